//! What the desk asks of the clinic's service about one patient: a chart as of some time, own settings, readings that are left out.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use triage::{Alert, Chart, NoBaseline, Own, Plan, Why};
use vitals::{KitId, PatientId, Reading};

use crate::tuning::Refused;

/// One patient's matters. `by` is a colleague's name, as it is shown to others.
#[async_trait]
pub trait Ward: Send + Sync + 'static {
    /// What was known of a patient at a time, and what they were judged by then, built from the store.
    async fn chart(&self, patient: &PatientId, at: Timestamp) -> Result<(Arc<Plan>, Chart), Refused>;

    /// Of each of these patients, in that order: the rules that have no baseline of theirs at a time. None of somebody whom nobody judges.
    async fn no_baselines(&self, patients: &[PatientId], at: Timestamp) -> Result<Vec<Vec<NoBaseline>>, Refused>;

    /// Why each finding of an alert is as it is, in the words of the version that it was judged by where that is known.
    async fn why(&self, alert: &Alert) -> Result<Vec<Why>, Refused>;

    /// A patient's own settings, as they are stored.
    async fn own(&self, patient: &PatientId) -> Result<Own, Refused>;

    /// Puts own settings in the place of `before`; refused where it is something else by now that is stored. They are checked against the
    /// patient's programmes and the clinic's floors.
    async fn set_own(&self, patient: &PatientId, before: &Own, own: &Own, by: &str) -> Result<(), Refused>;

    /// Leaves a reading out of every judgement, or takes it in again. Gives the reading.
    async fn change_reading(
        &self,
        patient: &PatientId,
        place: &Place,
        change: Change,
        reason: &str,
        by: &str,
    ) -> Result<Reading, Refused>;
}

/// Which reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The kit that sent it.
    pub kit: KitId,
    /// The message it came in.
    pub seq: u64,
    /// Its place among the message's stored readings, from 0.
    pub place: u16,
}

/// What is to become of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing is judged by it any more.
    Invalidate,
    /// It counts again.
    Restore,
}
