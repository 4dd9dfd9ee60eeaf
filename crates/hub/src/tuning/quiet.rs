//! Why a programme raised no alert where another did, in a sentence.

use jiff::Timestamp;
use triage::{Finding, QuietBecause, Reason, why_not};
use vitals::Vital;

use super::side::Side;

/// How many rules are told that look at the same.
const TOLD_MAX: usize = 2;

/// What `side` had to say at `at`: the rule itself, and how near it was; or, where it has none of this name, the nearest that look at the same.
#[must_use]
pub fn why(side: &Side, rule: &str, vital: Option<Vital>, at: Timestamp) -> String {
    let all = why_not(side.chart(), side.plan(), at);
    let same = |quiet: &&triage::Quiet| quiet.rule == rule;
    let alike = |quiet: &&triage::Quiet| {
        vital.is_some() && quiet.reason.as_ref().is_some_and(|reason| of_reason(reason) == vital)
    };
    let mut told: Vec<String> = all.iter().filter(same).map(sentence).collect();
    if told.is_empty() {
        told = all.iter().filter(alike).take(TOLD_MAX).map(sentence).collect();
    }
    if told.is_empty() { format!("it has no rule {rule}, and none that looks at the same") } else { told.join("; ") }
}

fn sentence(quiet: &triage::Quiet) -> String {
    let near = quiet.near.as_ref().map(|near| format!(" ({})", near.said)).unwrap_or_default();
    match (&quiet.because, &quiet.said) {
        (QuietBecause::Green | QuietBecause::Speaks, Some(said)) => format!("{said}{near}"),
        (QuietBecause::Closed { .. } | QuietBecause::NotRaised, Some(said)) => format!("{said}{near}: {}", quiet.why),
        _ => format!("{}{near}", quiet.why),
    }
}

fn of_reason(reason: &Reason) -> Option<Vital> {
    match reason {
        Reason::Band { vital, .. } | Reason::Trend { vital, .. } => Some(*vital),
        _ => None,
    }
}

/// Which vital a finding looked at first.
#[must_use]
pub fn of(finding: &Finding) -> Option<Vital> {
    match finding.inputs.first() {
        Some(triage::Input::Reading { vital, .. }) => Some(*vital),
        _ => None,
    }
}
