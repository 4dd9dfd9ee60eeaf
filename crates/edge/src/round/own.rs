//! What the kit knows of one person: what was done today, what was accepted, what is asked for and has not been answered. Kept over restarts.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vitals::{Colour, Reading, Vital};

use super::{Asked, Call, Shown, Sight, Text, What, guard::Weights, plan::Begun, view::StepState};

/// Messages of the clinic that wait to be read.
pub const MESSAGES_MAX: usize = 20;
/// Measurements that the clinic has asked for.
pub const REMEASURES_MAX: usize = 8;
/// What was done or skipped longer ago is forgotten.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(48);
/// What was done later than this from now was done before the kit's clock was set back: it says nothing of today.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(2);
/// "Call me" is shown as taken for this long.
const CALL_SHOWN_FOR: SignedDuration = SignedDuration::from_hours(12);

/// One person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Own {
    /// When each vital was last measured well enough.
    pub measured: BTreeMap<Vital, Timestamp>,
    /// When each questionnaire was last answered.
    pub answered: BTreeMap<String, Timestamp>,
    /// What was skipped, and when.
    pub skipped: Vec<(What, Timestamp)>,
    /// Repeats that were asked for, by the vital that names the measurement, and when.
    pub repeats: BTreeMap<Vital, (u8, Timestamp)>,
    /// The weights that were accepted last.
    pub weights: Weights,
    /// What the clinic wants measured.
    pub remeasures: Vec<Remeasure>,
    /// What the clinic has written.
    pub messages: Vec<Waiting>,
    /// The questionnaire that is being answered.
    pub filling: Option<Filling>,
    /// "Call me".
    pub call: Option<Called>,
    /// What the page shows for a while.
    #[serde(skip)]
    pub after: Option<After>,
    /// The step that the person chose.
    #[serde(skip)]
    pub focus: Option<What>,
    /// What was sent last, among the traces.
    #[serde(skip)]
    pub last: Option<u64>,
}

/// The clinic asks for a measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remeasure {
    /// The command.
    pub command: String,
    /// What to measure.
    pub vital: Vital,
    /// Why.
    pub text: Option<String>,
    /// Who asks.
    pub by: Option<String>,
    /// When it came.
    pub at: Timestamp,
    /// When it is too late.
    pub expires_at: Option<Timestamp>,
}

impl Remeasure {
    /// As the page says it.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked { text: self.text.clone(), by: self.by.clone() }
    }
}

/// A message that waits to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The command.
    pub command: String,
    /// What.
    pub text: String,
    /// Who.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
    /// When it is too late.
    pub expires_at: Option<Timestamp>,
}

/// A questionnaire that is being answered. Its answers are sent together at the end, or as far as they go when the person leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filling {
    /// Which.
    pub questionnaire: String,
    /// Its version when it was begun.
    pub version: u32,
    /// The way taken: question, answer (`None`: skipped), when.
    pub way: Vec<(String, Option<String>, Timestamp)>,
    /// What was answered before the person went back, to be shown again.
    pub before: BTreeMap<String, String>,
    /// When something was last answered.
    pub touched: Timestamp,
}

/// "Call me" was pressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// When.
    pub at: Timestamp,
    /// In which message, once it has a number.
    pub seq: Option<u64>,
    /// When the clinic had it.
    pub sent_at: Option<Timestamp>,
    /// Who took it.
    pub seen: Option<Sight>,
}

/// What the page shows until the person goes on, or for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct After {
    /// What.
    pub what: Shows,
    /// Since when.
    pub since: Timestamp,
}

/// What was just done.
#[derive(Clone, Debug, PartialEq)]
pub enum Shows {
    /// A poor measurement, to be repeated.
    Advice {
        /// Its values.
        values: Vec<Shown>,
        /// What to do.
        advice: &'static str,
        /// What to measure again.
        vitals: Vec<Vital>,
        /// Which attempt the next is.
        attempt: u8,
    },
    /// A measurement.
    Result {
        /// Its values.
        values: Vec<Shown>,
        /// Where it can be followed.
        trace: u64,
    },
    /// A questionnaire.
    Answered {
        /// Its title.
        title: Text,
        /// What the answers mean by its own significances.
        significance: Colour,
        /// Where they can be followed.
        trace: u64,
    },
}

impl Own {
    /// How far this step is, if it is not its turn.
    #[must_use]
    pub fn state(&self, step: &Begun) -> StepState {
        let since = |at: Option<&Timestamp>| at.is_some_and(|at| *at >= step.counts_from);
        let done = match &step.what {
            What::Measure(vitals) => vitals.iter().all(|vital| since(self.measured.get(vital))),
            What::Answer(id) => since(self.answered.get(id)),
        };
        let skipped = self.skipped.iter().any(|(what, at)| *what == step.what && *at >= step.at);
        match (done, skipped) {
            (true, _) => StepState::Done,
            (false, true) => StepState::Skipped,
            (false, false) => StepState::Left,
        }
    }

    /// These were measured well enough.
    pub fn done(&mut self, readings: &[Reading]) {
        for reading in readings {
            let at = self.measured.entry(reading.vital).or_insert(reading.measured_at);
            *at = reading.measured_at.max(*at);
        }
    }

    /// This is not done now.
    pub fn skip(&mut self, what: What, now: Timestamp) {
        self.skipped.retain(|(before, _)| *before != what);
        self.skipped.push((what, now));
        self.focus = None;
    }

    /// Forgets what is long past.
    pub fn forget(&mut self, now: Timestamp) -> bool {
        let recent = |at: &Timestamp| (-AHEAD_MAX..REMEMBERED_FOR).contains(&now.duration_since(*at));
        let before = (self.measured.len(), self.answered.len(), self.skipped.len(), self.repeats.len());
        self.measured.retain(|_, at| recent(at));
        self.answered.retain(|_, at| recent(at));
        self.skipped.retain(|(_, at)| recent(at));
        self.repeats.retain(|_, (_, at)| recent(at));
        let call = self.call.as_ref().is_some_and(|call| now.duration_since(call.at) > CALL_SHOWN_FOR);
        if call {
            self.call = None;
        }
        call || before != (self.measured.len(), self.answered.len(), self.skipped.len(), self.repeats.len())
    }
}

impl Called {
    /// As the page says it.
    #[must_use]
    pub fn view(&self) -> Call {
        let asked_at = self.at;
        match (&self.seen, self.sent_at) {
            (Some(seen), _) => Call::Seen { asked_at, seen: seen.clone() },
            (None, Some(at)) => Call::Sent { asked_at, at },
            (None, None) => Call::Asked { at: asked_at },
        }
    }
}
