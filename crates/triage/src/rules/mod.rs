//! The kinds of rule: one file each, and one table. A rule's judgement is pure: what was seen in, findings out.

mod answer;
mod band;
mod missing;

use std::sync::Arc;

use jiff::Timestamp;
use vitals::{Flag, Vital};

pub(crate) use answer::AnswerSpec;
pub(crate) use band::BandSpec;
pub(crate) use missing::{MissingSpec, Slot};

use crate::{Finding, Input, Mark, Plan, Programme, Reason, Sitting};

/// One kind of rule.
pub struct RuleKind {
    /// Its name, as in `kind = "band"`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub does: &'static str,
    /// What a rule of this kind finds: every input that it looks at gives a finding.
    pub(crate) judge: fn(&Rule, &Plan, &Seen<'_>) -> Vec<Finding>,
    /// A rule of this kind in plain words.
    pub(crate) explain: fn(&Rule, &Programme) -> String,
}

/// Every kind of rule.
pub const RULES: &[RuleKind] = &[
    RuleKind {
        name: "band",
        does: "gives a value of one vital the mark of the band that it lies in",
        judge: band::judge,
        explain: band::explain,
    },
    RuleKind {
        name: "answer",
        does: "gives an answer to one question its significance",
        judge: answer::judge,
        explain: answer::explain,
    },
    RuleKind {
        name: "missing",
        does: "makes it blue when data that a schedule expects did not come in its window and grace",
        judge: missing::judge,
        explain: missing::explain,
    },
];

/// A checked rule of a programme.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub id: Arc<str>,
    pub family: Arc<str>,
    pub source: Option<String>,
    pub spec: Spec,
}

/// What is particular to its kind.
#[derive(Clone, Debug)]
pub(crate) enum Spec {
    Band(BandSpec),
    Answer(AnswerSpec),
    Missing(MissingSpec),
}

impl Rule {
    /// Its row of the table.
    pub fn kind(&self) -> &'static RuleKind {
        &RULES[match self.spec {
            Spec::Band(_) => 0,
            Spec::Answer(_) => 1,
            Spec::Missing(_) => 2,
        }]
    }

    /// The rule of silence in it, if it is one.
    pub fn missing(&self) -> Option<&MissingSpec> {
        match &self.spec {
            Spec::Missing(spec) => Some(spec),
            _ => None,
        }
    }

    fn finding(
        &self,
        plan: &Plan,
        mark: Mark,
        why: String,
        reason: Reason,
        inputs: Vec<Input>,
        at: Timestamp,
    ) -> Finding {
        let programme = plan.programme();
        Finding {
            rule: self.id.to_string(),
            version: programme.version(),
            programme: programme.id().to_owned(),
            colour: mark,
            why,
            reason,
            inputs,
            at,
            late: false,
        }
    }
}

/// What a rule looks at.
pub(crate) enum Seen<'a> {
    /// Readings and answers that came.
    Sitting(&'a Sitting<'a>),
    /// A deadline that passed without data.
    Deadline(&'a Deadline<'a>),
}

/// A deadline that passed without data.
pub(crate) struct Deadline<'a> {
    pub rule: &'a str,
    pub slot: Slot,
    pub vitals: Vec<Vital>,
    pub last_at: Option<Timestamp>,
}

/// So many doubts are told in one sentence.
const DOUBTS_MAX: usize = 8;

/// What is doubtful about a reading, in words: `, doubtful: low perfusion`, or nothing. A doubtful value is judged all the same.
pub(crate) fn doubt(flags: &[Flag]) -> String {
    let mut doubts: Vec<&str> = flags.iter().filter(|flag| flag.is_doubt()).map(Flag::as_str).collect();
    doubts.sort_unstable();
    doubts.dedup();
    if doubts.is_empty() {
        return String::new();
    }
    let words: Vec<String> = doubts
        .into_iter()
        .take(DOUBTS_MAX)
        .map(|flag| match flag {
            "suspect" => "hardly believable value".to_owned(),
            "suspect_step" => "large step from the value before".to_owned(),
            other => other.replace('_', " "),
        })
        .collect();
    format!(", doubtful: {}", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_kind_once_and_the_shipped_programme_uses_all() {
        let programme = Programme::parse(crate::COPD, "copd.toml").unwrap();
        for (at, kind) in RULES.iter().enumerate() {
            assert!(!kind.does.is_empty());
            assert!(RULES[..at].iter().all(|other| other.name != kind.name), "{} twice", kind.name);
            let rule = programme.rules().iter().find(|rule| rule.kind().name == kind.name).expect(kind.name);
            assert!((kind.explain)(rule, &programme).contains(' '));
        }
    }

    #[test]
    fn doubts_are_told_in_a_fixed_order_and_harmless_flags_are_none() {
        let flags = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<Flag>>();
        assert_eq!(doubt(&flags(&["simulated", "from_storage", "site_ear", "user_2"])), "");
        assert_eq!(
            doubt(&flags(&["suspect_step", "low_perfusion"])),
            ", doubtful: low perfusion, large step from the value before"
        );
    }
}
