//! What an assessment changes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vitals::{Colour, PatientId, Vital};

use crate::{AlertChange, Finding};

/// A patient's colour at one time changed: the worst of the findings, with all of them kept. One line of `vagt replay`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssessmentChange {
    /// When what was judged was measured, or when missing data became overdue.
    pub at: Timestamp,
    /// Whose.
    pub patient: PatientId,
    /// The colour before.
    pub was: Colour,
    /// The colour now.
    pub colour: Colour,
    /// Is expected data missing? Stands beside the colour.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blue: bool,
    /// What was judged had arrived late: the colour is of then, and the patient's colour of now may be another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Every finding that stands, worst first.
    pub findings: Vec<Finding>,
}

/// Everything that one event changes. Empty when nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The assessment, if it changed.
    pub assessment: Option<AssessmentChange>,
    /// Alerts raised or changed, in the order in which it happened.
    pub alerts: Vec<AlertChange>,
    /// What the rules said of the sitting itself, late or not: the worst for each vital, and (without a vital) for its answers.
    pub judged: Vec<(Option<Vital>, Colour)>,
    /// What should be measured again, since it is doubtful.
    pub remeasure: Vec<Remeasure>,
}

/// A vital that should be measured again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remeasure {
    /// Which.
    pub vital: Vital,
    /// Why, in one English sentence.
    pub why: String,
}

impl Outcome {
    /// Takes in what a rule said of a vital, or of the rest of a sitting.
    pub(crate) fn judge(&mut self, vital: Option<Vital>, mark: crate::Mark) {
        let Some(colour) = mark.colour() else { return };
        match self.judged.iter_mut().find(|(known, _)| *known == vital) {
            Some((_, worst)) => *worst = colour.max(*worst),
            None => self.judged.push((vital, colour)),
        }
    }
}
