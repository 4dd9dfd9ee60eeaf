//! One patient's own settings over the programmes': single limits, reference values, oxygen, pauses; each with who set it, why, and from when
//! until when.
//!
//! They lie over the programme field by field and are never a copy of it: what the programme improves later reaches the patient too.

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use vitals::{PatientId, Unit};

use crate::{
    Number, Problem, ProgrammeError, Rulebook,
    bands::{Ladder, Rung},
    bounds::{OWN_LIMITS_MAX, TEXT_CHARS_MAX},
    rules::Rule,
};

/// For the schema: a moment, whatever the zone.
pub(crate) struct Moment;

impl JsonSchema for Moment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let what = "a day and time with its zone, in quotes";
        json_schema!({ "type": "string", "description": what, "examples": ["2026-12-01T07:00:00Z"] })
    }
}

/// One patient's own settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// Own limits; of two that hold at the same time for the same limit, the one set later counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<OwnLimit>,
    /// Own reference values: dry weight, personal best. Each has an end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<OwnReference>,
    /// What is known of the patient's oxygen, where no device tells its flow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oxygen: Vec<OwnOxygen>,
    /// When nothing is expected: holidays, a stay in hospital. What comes all the same is judged as ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
}

/// One limit of one rule, moved for one patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnLimit {
    /// The programme's id; every programme that has the rule, where it says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programme: Option<String>,
    /// The rule's id.
    pub rule: String,
    /// Which of its limits.
    pub limit: Rung,
    /// Where it lies for this patient.
    pub value: Number,
    /// In which unit: the one of the rule's limits.
    #[schemars(with = "String")]
    pub unit: String,
    /// Who decided it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Grows each time that this limit is set anew.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub version: u32,
    /// From when on.
    #[schemars(with = "Moment")]
    pub from: Timestamp,
    /// Until when (that moment excluded); until further notice where it says none. One that passes a safety floor must have an end when it is
    /// set, no further ahead than the clinic's document allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub until: Option<Timestamp>,
}

/// A value of the patient's own that a rule compares with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnReference {
    /// The programme's id; every programme that has the rule, where it says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programme: Option<String>,
    /// The rule's id.
    pub rule: String,
    /// How much.
    pub value: Number,
    /// In which unit: the vital's canonical one.
    pub unit: Unit,
    /// Who decided it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Grows each time that it is set anew.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub version: u32,
    /// From when on.
    #[schemars(with = "Moment")]
    pub from: Timestamp,
    /// Until when (that moment excluded). What is normal for somebody drifts, so it has an end.
    #[schemars(with = "Moment")]
    pub until: Timestamp,
}

/// What is known of a patient's oxygen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnOxygen {
    /// Do they breathe oxygen at home?
    pub at_home: bool,
    /// Is the target 88 to 92 %, because a clinician has documented hypercapnic respiratory failure? (NEWS2: SpO2 scale 2.)
    #[serde(default)]
    pub target_88_92: bool,
    /// Who decided it.
    pub author: String,
    /// Why: of a target of 88 to 92 %, where it is documented.
    pub reason: String,
    /// From when on.
    #[schemars(with = "Moment")]
    pub from: Timestamp,
    /// Until when (that moment excluded); until further notice where it says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub until: Option<Timestamp>,
}

/// A time in which nothing is expected of the patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// What for.
    pub kind: PauseKind,
    /// Who decided it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// From when on.
    #[schemars(with = "Moment")]
    pub from: Timestamp,
    /// Until when (that moment excluded). A pause without an end would be a silence that nobody hears.
    #[schemars(with = "Moment")]
    pub until: Timestamp,
}

/// Why nothing is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum PauseKind {
    Holiday,
    InHospital,
    Other,
}

fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_one(version: &u32) -> bool {
    *version == 1
}

/// What has a start and may have an end.
pub trait Lasting {
    /// From when on.
    fn from(&self) -> Timestamp;
    /// Until when (that moment excluded).
    fn until(&self) -> Option<Timestamp>;
    /// Is nothing to be done when it is over? So it is with a pause: what is expected is expected again.
    fn just_ends(&self) -> bool;
    /// Does it hold at this time?
    fn holds(&self, at: Timestamp) -> bool {
        self.from() <= at && self.until().is_none_or(|until| at < until)
    }
}

macro_rules! lasting {
    ($($kind:ty, $just_ends:literal, $until:expr);* $(;)?) => { $(impl Lasting for $kind {
        fn from(&self) -> Timestamp {
            self.from
        }
        fn until(&self) -> Option<Timestamp> {
            let until: fn(&Self) -> Option<Timestamp> = $until;
            until(self)
        }
        fn just_ends(&self) -> bool {
            $just_ends
        }
    })* };
}

lasting! {
    OwnLimit, false, |it| it.until;
    OwnReference, false, |it| Some(it.until);
    OwnOxygen, false, |it| it.until;
    Pause, true, |it| Some(it.until);
}

impl Own {
    /// Every setting.
    pub fn settings(&self) -> impl Iterator<Item = &dyn Lasting> {
        let limits = self.limits.iter().map(|it| it as &dyn Lasting);
        let references = self.references.iter().map(|it| it as &dyn Lasting);
        let oxygen = self.oxygen.iter().map(|it| it as &dyn Lasting);
        limits.chain(references).chain(oxygen).chain(self.pauses.iter().map(|it| it as &dyn Lasting))
    }

    /// Gives what is set anew the next version of its kind. What is as before but for its version stays what it was, version included.
    pub fn number(&mut self, before: &Self) {
        let (limits, references) = (&before.limits, &before.references);
        for limit in &mut self.limits {
            let kind = (limit.programme.clone(), limit.rule.clone(), limit.limit);
            let of_kind =
                limits.iter().filter(|old| (&old.programme, &old.rule, old.limit) == (&kind.0, &kind.1, kind.2));
            let again = |old: &&OwnLimit| OwnLimit { version: old.version, ..limit.clone() } == **old;
            limit.version = version(of_kind.clone().find(again).map(|old| old.version), of_kind.map(|old| old.version));
        }
        for reference in &mut self.references {
            let kind = (reference.programme.clone(), reference.rule.clone());
            let of_kind = references.iter().filter(|old| (&old.programme, &old.rule) == (&kind.0, &kind.1));
            let again = |old: &&OwnReference| OwnReference { version: old.version, ..reference.clone() } == **old;
            reference.version =
                version(of_kind.clone().find(again).map(|old| old.version), of_kind.map(|old| old.version));
        }
    }
}

/// The version that it has already, or the one after all of its kind.
fn version(again: Option<u32>, of_kind: impl Iterator<Item = u32>) -> u32 {
    again.unwrap_or_else(|| of_kind.max().map_or(1, |last| last + 1))
}

impl OwnLimit {
    pub(crate) fn is_of(&self, programme: &str, rule: &str) -> bool {
        self.rule == rule && self.programme.as_deref().is_none_or(|own| own == programme)
    }
}

impl OwnReference {
    pub(crate) fn is_of(&self, programme: &str, rule: &str) -> bool {
        self.rule == rule && self.programme.as_deref().is_none_or(|own| own == programme)
    }
}

/// A rule's limits with the patient's own over them, as these hold at a time.
pub(crate) fn ladder(own: &Own, programme: &str, rule: &str, ladder: &Ladder, at: Timestamp) -> Ladder {
    let mut ladder = *ladder;
    let holds = |limit: &&OwnLimit| limit.is_of(programme, rule) && limit.holds(at);
    let mut holding: Vec<&OwnLimit> = own.limits.iter().filter(holds).collect();
    holding.sort_by_key(|limit| limit.from);
    for limit in holding {
        ladder.set(limit.limit, limit.value.0);
    }
    ladder
}

/// Checks own settings against their programmes: every fault found, with the number of the setting as its place.
pub(crate) fn check(own: &Own, book: &Rulebook, patient: &PatientId) -> Result<(), ProgrammeError> {
    let mut faults = Faults { file: format!("own settings of {patient}"), problems: Vec::new() };
    let counts = [
        ("limits", own.limits.len()),
        ("references", own.references.len()),
        ("oxygen", own.oxygen.len()),
        ("pauses", own.pauses.len()),
    ];
    for (list, found) in counts.into_iter().filter(|(_, found)| *found > OWN_LIMITS_MAX) {
        faults.add(list, OWN_LIMITS_MAX, "", format!("found {found} {list}, want at most {OWN_LIMITS_MAX}"));
    }
    for (at, limit) in own.limits.iter().enumerate().take(OWN_LIMITS_MAX) {
        faults.said("limits", at, &limit.author, &limit.reason);
        faults.ends("limits", at, limit);
        check_limit(own, book, at, limit, &mut faults);
    }
    for (at, reference) in own.references.iter().enumerate().take(OWN_LIMITS_MAX) {
        faults.said("references", at, &reference.author, &reference.reason);
        faults.ends("references", at, reference);
        check_reference(book, at, reference, &mut faults);
    }
    for (at, oxygen) in own.oxygen.iter().enumerate().take(OWN_LIMITS_MAX) {
        faults.said("oxygen", at, &oxygen.author, &oxygen.reason);
        faults.ends("oxygen", at, oxygen);
    }
    for (at, pause) in own.pauses.iter().enumerate().take(OWN_LIMITS_MAX) {
        faults.said("pauses", at, &pause.author, &pause.reason);
        faults.ends("pauses", at, pause);
    }
    if faults.problems.is_empty() { Ok(()) } else { Err(ProgrammeError::new(faults.problems)) }
}

struct Faults {
    file: String,
    problems: Vec<Problem>,
}

impl Faults {
    fn add(&mut self, list: &str, at: usize, field: &str, text: String) {
        let (file, field) = (self.file.clone(), format!("{list}[{at}]{field}"));
        self.problems.push(Problem { file, line: at + 1, column: 1, field, text });
    }

    /// Who, and why.
    fn said(&mut self, list: &str, at: usize, author: &str, reason: &str) {
        for (field, text) in [(".author", author), (".reason", reason)] {
            let found = text.chars().count();
            if text.trim().is_empty() || found > TEXT_CHARS_MAX {
                let text = format!("found {found} characters, want 1 to {TEXT_CHARS_MAX}, and not only spaces");
                self.add(list, at, field, text);
            }
        }
    }

    fn ends(&mut self, list: &str, at: usize, it: &impl Lasting) {
        if it.until().is_some_and(|until| until <= it.from()) {
            self.add(list, at, ".until", format!("found an end before the start {}, want it after", it.from()));
        }
    }
}

/// The rules that a setting means, each with its place: of one programme, or of each that has it.
fn rules<'b>(book: &'b Rulebook, programme: Option<&str>, rule: &str) -> Vec<(usize, &'b str, &'b Rule)> {
    let of = book.rules().enumerate().filter(|(_, (known, known_rule))| {
        *known_rule.id == *rule && programme.is_none_or(|programme| programme == known.id())
    });
    of.map(|(place, (programme, rule))| (place, programme.id(), rule)).collect()
}

fn check_limit(own: &Own, book: &Rulebook, at: usize, limit: &OwnLimit, faults: &mut Faults) {
    let found = rules(book, limit.programme.as_deref(), &limit.rule);
    let with_limits: Vec<_> = found
        .iter()
        .filter_map(|(place, programme, rule)| Some((*place, *programme, *rule, rule.judge.ladder()?)))
        .collect();
    if with_limits.is_empty() {
        let text = format!("found {:?}, want a rule with limits of {}", limit.rule, book.in_words());
        return faults.add("limits", at, ".rule", text);
    }
    for (place, programme, rule, base) in with_limits {
        let unit = rule.judge.unit().unwrap_or_default();
        if limit.unit != unit {
            faults.add("limits", at, ".unit", format!("found {:?}, want {unit:?}", limit.unit));
        }
        // Limits change together only where one begins or ends: each of these moments is checked. Where one of the clinic's ends, what is left
        // stays in order.
        for moment in [Some(limit.from), limit.until].into_iter().flatten() {
            let base = book.ladder(place, base, moment);
            if let Err(text) = ladder(own, programme, &rule.id, base, moment).check(unit) {
                faults.add("limits", at, ".value", format!("{text} (from {moment} on)"));
            }
        }
    }
}

fn check_reference(book: &Rulebook, at: usize, reference: &OwnReference, faults: &mut Faults) {
    let found = rules(book, reference.programme.as_deref(), &reference.rule);
    let vitals: Vec<_> = found.iter().filter_map(|(.., rule)| rule.judge.takes_reference()).collect();
    if vitals.is_empty() {
        let text = format!(
            "found {:?}, want a rule that compares with a reference value, of {}",
            reference.rule,
            book.in_words()
        );
        return faults.add("references", at, ".rule", text);
    }
    for vital in vitals {
        if reference.unit != vital.unit() {
            let text = format!("found {:?}, want {:?}", reference.unit.ucum(), vital.unit().ucum());
            faults.add("references", at, ".unit", text);
        } else if let vitals::Plausibility::Reject(text) = vitals::check_value(vital, reference.value.0) {
            faults.add("references", at, ".value", text);
        }
    }
}
