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

/// One rule's result.
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
}

/// Why, as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// A value lies in a band.
    Band {
        /// Which vital.
        vital: Vital,
        /// Its value, in `unit`.
        value: Value,
        /// Canonical unit.
        unit: Unit,
        /// The band's lower end (included), if it has one.
        from: Option<Value>,
        /// The band's upper end (excluded), if it has one.
        below: Option<Value>,
        /// Are these the patient's own limits?
        own: bool,
    },
    /// An answer has a significance.
    Answer {
        /// Which questionnaire.
        questionnaire: String,
        /// Which question.
        question: String,
        /// Which answer.
        answer: String,
    },
    /// Expected data did not come.
    Missing {
        /// The schedule's id.
        schedule: String,
        /// When it was expected.
        expected_at: Timestamp,
        /// By when it had to be there: window and grace over.
        overdue_at: Timestamp,
        /// When this patient was last heard of.
        last_at: Option<Timestamp>,
    },
}

/// One value or answer that a rule looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
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
