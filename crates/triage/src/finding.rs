//! What one rule found on one patient at one time, with the inputs and limits it used: the "why" of everything.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vitals::{Colour, DeviceId, Flag, Unit, Value, Vital};

/// A finding's colour: a degree of illness, or blue for expected data that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Nothing that needs anybody.
    Green,
    /// Expected data is missing. Stands beside the colour.
    Blue,
    /// Somebody should look.
    Yellow,
    /// Somebody must act now.
    Red,
}

impl Mark {
    /// How ill, `None` for blue.
    #[must_use]
    pub fn colour(self) -> Option<Colour> {
        match self {
            Self::Green => Some(Colour::Green),
            Self::Yellow => Some(Colour::Yellow),
            Self::Red => Some(Colour::Red),
            Self::Blue => None,
        }
    }

    /// `green`, `blue`, `yellow` or `red`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.colour().map_or("blue", Colour::name)
    }
}

impl From<Colour> for Mark {
    fn from(colour: Colour) -> Self {
        match colour {
            Colour::Green => Self::Green,
            Colour::Yellow => Self::Yellow,
            Colour::Red => Self::Red,
        }
    }
}

/// One rule's result on one input. A sitting gives several; see the crate's documentation for which of them stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id in its programme.
    pub rule: String,
    /// The programme's version.
    pub version: u32,
    /// The programme's id.
    pub programme: String,
    /// What it means.
    pub colour: Mark,
    /// One English sentence with value, limit and unit.
    pub why: String,
    /// The same, as data, for pages in other languages.
    pub reason: Reason,
    /// What it looked at.
    pub inputs: Vec<Input>,
    /// When what it looked at was measured, or when missing data was due.
    pub at: Timestamp,
    /// It arrived long after it was measured: true then, not news now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// What decided it is doubtful, and another measurement has been asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub provisional: bool,
}

/// On which side of a limit a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// The limit or less: a closed upper end.
    AtMost,
    /// Less than the limit: an open upper end.
    Below,
    /// The limit or more: a closed lower end.
    From,
    /// More than the limit: an open lower end.
    Above,
}

/// The limit that decided: the end of the band that faces green.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// Which side of it counts.
    pub kind: LimitKind,
    /// The number, in the vital's canonical unit.
    pub value: Value,
}

impl Limit {
    /// Does a number lie on the side that counts?
    pub(crate) fn is_met(self, number: Value) -> bool {
        match self.kind {
            LimitKind::AtMost => number <= self.value,
            LimitKind::Below => number < self.value,
            LimitKind::From => number >= self.value,
            LimitKind::Above => number > self.value,
        }
    }
}

/// Why, as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "flat::Reason")]
pub enum Reason {
    /// A value lies in a band.
    Band {
        /// Which vital.
        vital: Vital,
        /// Its value, in `unit`.
        value: Value,
        /// Canonical unit.
        unit: Unit,
        /// The band's lower end, if it has one: for drawing. Whether the end itself belongs to it is in `limit`.
        from: Option<Value>,
        /// The band's upper end, if it has one.
        below: Option<Value>,
        /// The limit that decided, for a sentence: `None` for a green value, which is beyond none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<Limit>,
        /// Are these the patient's own limits?
        own: bool,
        /// The version of the clinic's document, where these are limits of the clinic's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clinic: Option<u32>,
        /// The limits of green, for "green if it were ...": none for a green value.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        green: Vec<Limit>,
    },
    /// A statistic of a vital (a difference, a spread from the own baseline, a slope) lies in a band.
    Trend {
        /// Which statistic: the kind of rule, e.g. `baseline`.
        statistic: String,
        /// Of which vital.
        vital: Vital,
        /// The newest value, in the vital's canonical unit.
        of: Value,
        /// The statistic.
        value: Value,
        /// Its unit, e.g. `%`, `{z}`, `kg`, `L/a`.
        unit: String,
        /// The limit that decided; `None` for green.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<Limit>,
        /// Is it the patient's own?
        own: bool,
        /// The limits of green: none for a green value.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        green: Vec<Limit>,
        /// What it was compared with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compared: Option<Compared>,
    },
    /// Other rules decided together: all of them, one of them, so many in so many, a path of answers, a score, flags.
    Together {
        /// How: the kind of rule, e.g. `all`, `k_of_n`, `score`.
        how: String,
        /// How many were met.
        found: u32,
        /// Of how many.
        of: u32,
        /// How many it takes.
        want: u32,
        /// What was met, each in an English sentence.
        parts: Vec<String>,
        /// What could not be known.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
    },
    /// A sum of several things, each against what is usual for the person, lies in a band.
    Sum {
        /// Which sum: the kind of rule, e.g. `habit`.
        statistic: String,
        /// The sum.
        value: Value,
        /// Its unit, e.g. `{points}`.
        unit: String,
        /// The limit that decided; `None` for green.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<Limit>,
        /// Is it the patient's own?
        own: bool,
        /// The limits of green: none for a green sum.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        green: Vec<Limit>,
        /// What was added up.
        shares: Vec<Share>,
        /// What could not be compared.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
    },
    /// An answer has a significance.
    Answer {
        /// Which questionnaire.
        questionnaire: String,
        /// Which question.
        question: String,
        /// Which answer.
        answer: String,
        /// Is it one of the answers that the programme knows?
        known: bool,
    },
    /// Expected data did not come.
    Missing {
        /// The schedule's id.
        schedule: String,
        /// What was expected and did not come.
        vitals: Vec<Vital>,
        /// Which questionnaires were expected and not answered.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        questionnaires: Vec<String>,
        /// When it was expected.
        expected_at: Timestamp,
        /// By when it had to be there: window and grace over.
        overdue_at: Timestamp,
        /// When this patient was last heard of.
        last_at: Option<Timestamp>,
        /// Since when the kit itself was silent, if it was: then nobody knows whether the person measured.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kit_silent_since: Option<Timestamp>,
        /// How many times in a row, this one counted, where the rule counts them and it is not the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_a_row: Option<u32>,
    },
}

/// One part of a sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Of which vital; of the answers, where it says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vital: Option<Vital>,
    /// What it adds.
    pub points: Value,
    /// The mean of the days that are compared: in the vital's canonical unit, or in points a day.
    pub mean: Value,
    /// How many spreads it lies above what is usual, or below (below zero): of a vital.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spreads: Option<Value>,
    /// Points for each spread: of a vital.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Value>,
    /// What is usual.
    pub usual: Compared,
}

impl Share {
    /// What it is of, in English.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.vital.map_or("the answers", |vital| vital.info().label)
    }
}

/// What a statistic compares with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// What it is: `baseline`, `best`, `reference`, `minimum`, `first`, `mean`.
    pub what: String,
    /// Its value, in the vital's canonical unit.
    pub value: Value,
    /// The spread about it, in the same unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Value>,
    /// How many values or days it was made of.
    pub count: u32,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// One value or answer that a rule looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, try_from = "flat::Input")]
pub enum Input {
    /// A reading.
    Reading {
        /// Which vital.
        vital: Vital,
        /// Its value, canonical.
        value: Value,
        /// Canonical unit.
        unit: Unit,
        /// When.
        measured_at: Timestamp,
        /// By which device.
        device: DeviceId,
        /// What was odd about it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        flags: Vec<Flag>,
    },
    /// An answer.
    Answer {
        /// Which question.
        question: String,
        /// Which answer.
        answer: String,
        /// When.
        answered_at: Timestamp,
    },
}

/// How these are read back. A tagged or untagged enum is buffered by serde, and a buffered number forgets its digits (93.0 becomes 93),
/// so each is read as one flat struct and then told apart.
mod flat {
    use super::{Compared, Deserialize, DeviceId, Flag, Limit, Share, Timestamp, Value, Vital};
    use vitals::Unit;

    #[derive(Deserialize)]
    pub struct Reason {
        kind: String,
        vital: Option<Vital>,
        value: Option<Value>,
        unit: Option<String>,
        from: Option<Value>,
        below: Option<Value>,
        limit: Option<Limit>,
        own: Option<bool>,
        clinic: Option<u32>,
        questionnaire: Option<String>,
        question: Option<String>,
        answer: Option<String>,
        known: Option<bool>,
        schedule: Option<String>,
        #[serde(default)]
        vitals: Vec<Vital>,
        #[serde(default)]
        questionnaires: Vec<String>,
        expected_at: Option<Timestamp>,
        overdue_at: Option<Timestamp>,
        last_at: Option<Timestamp>,
        kit_silent_since: Option<Timestamp>,
        in_a_row: Option<u32>,
        statistic: Option<String>,
        of: Option<Value>,
        #[serde(default)]
        green: Vec<Limit>,
        compared: Option<Compared>,
        #[serde(default)]
        shares: Vec<Share>,
        how: Option<String>,
        found: Option<u32>,
        want: Option<u32>,
        #[serde(default)]
        parts: Vec<String>,
        #[serde(default)]
        missing: Vec<String>,
    }

    impl TryFrom<Reason> for super::Reason {
        type Error = String;

        fn try_from(flat: Reason) -> Result<Self, String> {
            let kind = flat.kind.clone();
            let reason = match kind.as_str() {
                "band" => band(flat),
                "answer" => answer(flat),
                "missing" => missing(flat),
                "trend" => trend(flat),
                "sum" => sum(flat),
                "together" => together(flat),
                other => {
                    return Err(format!("found reason {other:?}, want band, trend, sum, together, answer or missing"));
                }
            };
            reason.ok_or_else(|| format!("a reason of kind {kind} lacks a field"))
        }
    }

    fn band(flat: Reason) -> Option<super::Reason> {
        let Reason { vital, value, unit, from, below, limit, own, clinic, green, .. } = flat;
        let (vital, value, unit, own) = (vital?, value?, known_unit(&unit?)?, own?);
        Some(super::Reason::Band { vital, value, unit, from, below, limit, own, clinic, green })
    }

    fn known_unit(text: &str) -> Option<Unit> {
        use serde::de::{IntoDeserializer, value::Error};
        Unit::deserialize(IntoDeserializer::<Error>::into_deserializer(text)).ok()
    }

    fn trend(flat: Reason) -> Option<super::Reason> {
        let Reason { statistic, vital, of, value, unit, limit, own, green, compared, .. } = flat;
        let (statistic, vital, unit) = (statistic?, vital?, unit?);
        Some(super::Reason::Trend { statistic, vital, of: of?, value: value?, unit, limit, own: own?, green, compared })
    }

    fn sum(flat: Reason) -> Option<super::Reason> {
        let Reason { statistic, value, unit, limit, own, green, shares, missing, .. } = flat;
        let (statistic, value, unit, own) = (statistic?, value?, unit?, own?);
        Some(super::Reason::Sum { statistic, value, unit, limit, own, green, shares, missing })
    }

    fn together(flat: Reason) -> Option<super::Reason> {
        let Reason { how, found, of, want, parts, missing, .. } = flat;
        let of = u32::try_from(of?.decimal().mantissa()).ok()?;
        Some(super::Reason::Together { how: how?, found: found?, of, want: want?, parts, missing })
    }

    fn answer(flat: Reason) -> Option<super::Reason> {
        let known = flat.known.unwrap_or(true);
        let (questionnaire, question) = (flat.questionnaire?, flat.question?);
        Some(super::Reason::Answer { questionnaire, question, answer: flat.answer?, known })
    }

    fn missing(flat: Reason) -> Option<super::Reason> {
        let (schedule, expected_at, overdue_at) = (flat.schedule?, flat.expected_at?, flat.overdue_at?);
        Some(super::Reason::Missing {
            schedule,
            vitals: flat.vitals,
            questionnaires: flat.questionnaires,
            expected_at,
            overdue_at,
            last_at: flat.last_at,
            kit_silent_since: flat.kit_silent_since,
            in_a_row: flat.in_a_row,
        })
    }

    #[derive(Deserialize)]
    pub struct Input {
        vital: Option<Vital>,
        value: Option<Value>,
        unit: Option<Unit>,
        measured_at: Option<Timestamp>,
        device: Option<DeviceId>,
        #[serde(default)]
        flags: Vec<Flag>,
        question: Option<String>,
        answer: Option<String>,
        answered_at: Option<Timestamp>,
    }

    impl TryFrom<Input> for super::Input {
        type Error = &'static str;

        fn try_from(flat: Input) -> Result<Self, &'static str> {
            reading(&flat)
                .or_else(|| answered(&flat))
                .ok_or("an input is neither a reading nor an answer: a field is missing")
        }
    }

    fn reading(flat: &Input) -> Option<super::Input> {
        Some(super::Input::Reading {
            vital: flat.vital?,
            value: flat.value?,
            unit: flat.unit?,
            measured_at: flat.measured_at?,
            device: flat.device.clone()?,
            flags: flat.flags.clone(),
        })
    }

    fn answered(flat: &Input) -> Option<super::Input> {
        let (question, answer) = (flat.question.clone()?, flat.answer.clone()?);
        Some(super::Input::Answer { question, answer, answered_at: flat.answered_at? })
    }
}
