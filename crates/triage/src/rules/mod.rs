//! The kinds of rule: one file each, and one table. A rule's judgement is a pure function of what is known of a patient up to some time.
//!
//! To add a kind: a file with its struct as it is written in a programme, `read`, and [`Judge`]; and its line in [`RULES`].

mod answer;
mod band;
mod baseline;
mod control;
mod count;
mod cusum;
mod days;
mod difference;
mod ewma;
mod flag;
mod habit;
mod k_of_n;
mod missing;
mod parts;
mod path;
mod personal_best;
mod read;
mod score;
mod slope;
mod together;
mod trend;
mod variability;
mod when;
mod wrong_person;

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use schemars::{Schema, SchemaGenerator};
use vitals::{Flag, Vital};

pub(crate) use missing::{Deadline, MissingSpec, Slot};
pub(crate) use path::{Answered, Paths, SITTING_MAX};
pub(crate) use read::{BandFile, Known, Reader, rule, rule_schema};
pub(crate) use when::When;
pub(crate) use wrong_person::Guard;

use crate::{Input, Mark, Programme, Reason, bands::Ladder, hysteresis::Hysteresis, look::Look, series::Need};

/// One kind of rule.
pub struct RuleKind {
    /// Its name, as in `kind = "band"`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub does: &'static str,
    /// Reads and checks what is particular to it. Faults are noted in the document.
    pub(crate) read: fn(&mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>>,
    /// What may be written of it.
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Every kind of rule.
pub const RULES: &[RuleKind] = &[
    RuleKind {
        name: "band",
        does: "gives a value of one vital the mark of the band that it lies in",
        read: band::read,
        schema: read::schema::<band::File>,
    },
    RuleKind {
        name: "answer",
        does: "gives an answer to one question its significance",
        read: answer::read,
        schema: read::schema::<answer::File>,
    },
    RuleKind {
        name: "missing",
        does: "makes it blue when data that a schedule expects did not come in its window and grace",
        read: missing::read,
        schema: read::schema::<missing::File>,
    },
    RuleKind {
        name: "score",
        does: "counts the points of a score as NEWS2 over what was measured, and gives its band a mark",
        read: score::read,
        schema: read::schema::<score::File>,
    },
    RuleKind {
        name: "personal_best",
        does: "compares a value with the person's own best, set for them or on record",
        read: personal_best::read,
        schema: read::schema::<personal_best::File>,
    },
    RuleKind {
        name: "baseline",
        does: "tells how far a value lies from the person's own baseline of stable days",
        read: baseline::read,
        schema: read::schema::<baseline::File>,
    },
    RuleKind {
        name: "ewma",
        does: "tells how far the weighted mean of the last days lies from the own baseline",
        read: ewma::read,
        schema: read::schema::<ewma::File>,
    },
    RuleKind {
        name: "cusum",
        does: "sums up what the last days have run away from the own baseline",
        read: cusum::read,
        schema: read::schema::<cusum::File>,
    },
    RuleKind {
        name: "control",
        does: "compares a value with a rolling control limit of the days before",
        read: control::read,
        schema: read::schema::<control::File>,
    },
    RuleKind {
        name: "slope",
        does: "tells how fast a vital has changed over months, robustly",
        read: slope::read,
        schema: read::schema::<slope::File>,
    },
    RuleKind {
        name: "variability",
        does: "tells how much a vital goes up and down over a window",
        read: variability::read,
        schema: read::schema::<variability::File>,
    },
    RuleKind {
        name: "difference",
        does: "tells how far a value lies from one of a window before it, or from one that was set",
        read: difference::read,
        schema: read::schema::<difference::File>,
    },
    RuleKind {
        name: "k_of_n",
        does: "finds that another rule was met in k of n readings, or on k of n days",
        read: k_of_n::read,
        schema: read::schema::<k_of_n::File>,
    },
    RuleKind {
        name: "count",
        does: "counts how often another rule was met, or a vital fell or rose by much, in some days",
        read: count::read,
        schema: read::schema::<count::File>,
    },
    RuleKind {
        name: "all",
        does: "finds that several other rules are met together",
        read: together::read_all,
        schema: read::schema::<together::File>,
    },
    RuleKind {
        name: "any",
        does: "finds that one of several other rules is met",
        read: together::read_any,
        schema: read::schema::<together::File>,
    },
    RuleKind {
        name: "path",
        does: "tells what several answers of one sitting mean together",
        read: path::read,
        schema: read::schema::<path::File>,
    },
    RuleKind {
        name: "habit",
        does: "adds up what of a person's answers and measurements is unlike what is usual for this person",
        read: habit::read,
        schema: read::schema::<habit::File>,
    },
    RuleKind {
        name: "flag",
        does: "finds that a device says something of itself in k of n measurements",
        read: flag::read,
        schema: read::schema::<flag::File>,
    },
    RuleKind {
        name: "wrong_person",
        does: "marks a value that may be somebody else's as unconfirmed, and has it measured again",
        read: wrong_person::read,
        schema: read::schema::<wrong_person::File>,
    },
];

/// A checked rule of a programme.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub id: Arc<str>,
    pub family: Arc<str>,
    pub source: Option<String>,
    /// It is there for other rules, and feeds no alert and no colour itself.
    pub ingredient: bool,
    /// Once a person has closed an alert of it, it raises none for so long, unless it becomes worse or passes and comes again.
    pub again_after: Option<jiff::SignedDuration>,
    /// When it applies at all.
    pub when: When,
    /// The name of its kind.
    pub kind: &'static str,
    /// What it looks at.
    pub watches: Watches,
    pub judge: Arc<dyn Judge>,
    /// Where it is written.
    pub written: Written,
}

/// Where a rule is written in its programme's file: itself, and what of it says whether a limit binds.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Its path, e.g. `rule[0]`.
    pub path: String,
    /// The line and column of it and of each of [`Written::FIELDS`], which are its own where they are not written.
    pub places: [(usize, usize); 5],
}

impl Written {
    /// The rule itself, then its fields.
    pub const FIELDS: [&str; 5] = ["", "bands", "when", "ingredient", "again_after"];
}

impl Rule {
    /// Does it look at a vital, or expect it?
    pub fn looks_at(&self, vital: Vital) -> bool {
        self.watches.vitals.contains(&vital)
            || self.judge.needs().iter().any(|(known, _)| *known == vital)
            || self.judge.missing().is_some_and(|missing| missing.vitals.contains(&vital))
    }

    /// How much it needs of each vital, to judge and to know whether it applies.
    pub fn needs(&self) -> Vec<(Vital, Need)> {
        let mut needs = self.judge.needs();
        needs.extend(self.when.needs());
        needs
    }
}

/// What a kind of rule does. Everything is as of the look's time; nothing is remembered between two judgements.
pub(crate) trait Judge: fmt::Debug + Send + Sync {
    /// What makes it look: it is judged when one of these comes.
    fn watches(&self) -> Watches;

    /// What it looks at besides, of those that it needs: when one of these comes, it is judged anew as of the newest of what it watches.
    fn also(&self) -> Vec<Vital> {
        Vec::new()
    }

    /// How much of each vital it needs. (Questions that are watched are kept as long as [`Judge::needs_answers`] says.)
    fn needs(&self) -> Vec<(Vital, Need)> {
        self.watches().vitals.iter().map(|vital| (*vital, Need::default())).collect()
    }

    /// How long answers are needed.
    fn needs_answers(&self) -> Need {
        Need::default()
    }

    /// What it finds.
    ///
    /// # Errors
    /// [`Nothing`]: why there is nothing to find.
    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing>;

    /// A verdict in words and data. Only asked for when somebody will read it.
    fn tell(&self, look: &Look<'_>, verdict: &Verdict) -> Told;

    /// What it does, in plain words.
    fn explain(&self, programme: &Programme) -> String;

    /// What it means when as many are met as it wants, where it counts them and knows one mark.
    fn means(&self) -> Option<Mark> {
        None
    }

    /// Its limits, if it has some that can be moved.
    fn ladder(&self) -> Option<&Ladder> {
        None
    }

    /// The vital whose absolute value its limits are in: then safety floors apply to them, and the clinic's limits stand where it has none.
    fn absolute(&self) -> Option<Vital> {
        None
    }

    /// How far a value must go back over a limit in the vital's absolute value that was crossed.
    fn hysteresis(&self) -> Hysteresis {
        Hysteresis::default()
    }

    /// The unit of its limits.
    fn unit(&self) -> Option<&str> {
        None
    }

    /// What is older than this does not count, where it says so.
    fn within(&self) -> Option<jiff::SignedDuration> {
        None
    }

    /// Does a patient's own reference value (dry weight, personal best) mean something to it, and in the unit of which vital?
    fn takes_reference(&self) -> Option<Vital> {
        None
    }

    /// How many looks one look of it takes: more than one where it asks other rules.
    fn looks(&self) -> usize {
        1
    }

    /// What marks a value that may be somebody else's.
    fn guard(&self) -> Option<&Guard> {
        None
    }

    /// What it is as a rule of paths of answers.
    fn paths(&self) -> Option<&Paths> {
        None
    }

    /// What it is as a rule of silence.
    fn missing(&self) -> Option<&MissingSpec> {
        None
    }

    /// What a deadline that passed without data means; only rules of silence are asked.
    fn overdue(&self, _look: &Look<'_>, _deadline: &Deadline) -> Option<(Mark, Told)> {
        None
    }
}

/// What a rule looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watches {
    pub vitals: Vec<Vital>,
    /// Questionnaire and question.
    pub questions: Vec<(Arc<str>, Arc<str>)>,
}

impl Watches {
    pub fn vital(vital: Vital) -> Self {
        Self { vitals: vec![vital], questions: Vec::new() }
    }

    pub fn question(questionnaire: &str, question: &str) -> Self {
        Self { vitals: Vec::new(), questions: vec![(questionnaire.into(), question.into())] }
    }

    /// These and those.
    pub fn and(mut self, other: &Self) -> Self {
        other.vitals.iter().for_each(|vital| {
            if !self.vitals.contains(vital) {
                self.vitals.push(*vital);
            }
        });
        other.questions.iter().for_each(|question| {
            if !self.questions.contains(question) {
                self.questions.push(question.clone());
            }
        });
        self
    }
}

/// What a rule finds, before it is put into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub mark: Mark,
    /// When the newest of what decided it was measured.
    pub at: crate::series::Nanos,
    /// Does what decided it carry a doubt?
    pub doubtful: bool,
}

/// Why a rule finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// What it looks at has not been measured or answered.
    NoValue,
    /// It compares with something of which there is too little.
    TooLittle {
        /// How many there are.
        found: usize,
        /// How many it wants.
        want: usize,
    },
    /// It compares with the person's own baseline, and there are too few stable days for one.
    NoBaseline {
        /// How many there are.
        found: usize,
        /// How many it wants.
        want: usize,
        /// What is measured from then on would not count yet.
        until: crate::series::Nanos,
    },
    /// No reference value is set, or the one that was set is over.
    NoReference,
    /// It is a sum of which too little is known to call it green: what is missing may be what was bad.
    Partial {
        /// How many parts are known.
        found: usize,
        /// Of how many.
        want: usize,
    },
    /// It does not apply: a condition that it names is not met.
    NotNow,
}

impl Nothing {
    /// Does it end what was found before? What only was not measured this time does not.
    pub fn ends(self) -> bool {
        matches!(self, Self::NotNow | Self::NoReference | Self::TooLittle { .. } | Self::NoBaseline { .. })
    }

    /// Why what was found before has ended.
    pub fn ended(self) -> String {
        match self {
            Self::NoReference => "the reference value that it compared with has ended".to_owned(),
            Self::TooLittle { found, want } | Self::NoBaseline { found, want, .. } => {
                format!("too little is left to compare with, {found} of {want}")
            }
            Self::NoValue | Self::Partial { .. } | Self::NotNow => "does not apply any longer".to_owned(),
        }
    }
}

/// A verdict in words and data.
pub(crate) struct Told {
    /// One English sentence with value, limit and unit.
    pub why: String,
    pub reason: Reason,
    pub inputs: Vec<Input>,
}

/// A deadline's or a verdict's finding, complete.
pub(crate) fn finding(look: &Look<'_>, mark: Mark, told: Told, at: Timestamp) -> crate::Finding {
    let programme = look.programme();
    crate::Finding {
        rule: look.rule().id.to_string(),
        version: programme.version(),
        programme: programme.id().to_owned(),
        colour: mark,
        why: told.why,
        reason: told.reason,
        inputs: told.inputs,
        at,
        late: false,
        provisional: false,
    }
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
    fn the_table_names_each_kind_once_and_the_shipped_programmes_use_all() {
        let programmes: Vec<Programme> = crate::SHIPPED
            .iter()
            .map(|(file, text)| Programme::parse(text, file).unwrap_or_else(|fault| panic!("{fault}")))
            .collect();
        for (at, kind) in RULES.iter().enumerate() {
            assert!(!kind.does.is_empty());
            assert!(RULES[..at].iter().all(|other| other.name != kind.name), "{} twice", kind.name);
            let uses = |programme: &Programme| {
                programme.rules().iter().find(|rule| rule.kind == kind.name).map(|rule| rule.judge.explain(programme))
            };
            assert!(programmes.iter().find_map(uses).expect(kind.name).contains(' '));
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
