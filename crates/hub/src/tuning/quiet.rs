//! Why a programme raised no alert where another did, in a sentence.

use triage::Finding;

use super::side::Side;

/// What `side` has to say of a rule, now: what the rule itself says, or, where it has none of this name, what its rules say that look at the same.
#[must_use]
pub fn why(side: &Side, rule: &str, vital: Option<vitals::Vital>) -> String {
    let standing = side.chart().standing(side.plan());
    if let Some(finding) = standing.iter().find(|finding| finding.rule == rule) {
        return finding.why.clone();
    }
    let same = |finding: &&Finding| vital.is_some() && of(finding) == vital;
    let others: Vec<&str> = standing.iter().filter(same).map(|finding| finding.why.as_str()).collect();
    if others.is_empty() { format!("it has no rule {rule} that says anything") } else { others.join("; ") }
}

/// Which vital a finding looked at first.
#[must_use]
pub fn of(finding: &Finding) -> Option<vitals::Vital> {
    match finding.inputs.first() {
        Some(triage::Input::Reading { vital, .. }) => Some(*vital),
        _ => None,
    }
}
