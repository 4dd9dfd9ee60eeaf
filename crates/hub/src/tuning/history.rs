//! What the store knows beside the messages: what nurses closed, what became of people, which readings are not to be judged by.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use store::{Journal, JournalEntry, Store, StoreError};
use triage::{Alert, State};
use vitals::{KitId, PatientId, Reading};

use super::pair::{Closing, Note};
use crate::programmes::each_entry;

/// How many patients' alerts are asked for at once.
const ASKED_AT_ONCE: usize = 4;
/// Of one patient, the most alerts whose closing is looked at.
const ALERTS_ASKED_MAX: u32 = 4096;

/// The journal's entries that matter here.
const TOLD: [&str; 5] = ["outcome_recorded", "reading_invalidated", "reading_restored", "kit_silent", "kit_back"];

/// What is known beside the messages.
#[derive(Default)]
pub struct Notes {
    /// Each patient's, by stamp.
    of: HashMap<PatientId, Vec<(Timestamp, Note)>>,
    invalid: Invalid,
}

/// Readings that are not to be judged by: their places, by message.
#[derive(Clone, Debug, Default)]
pub struct Invalid(HashMap<u64, Vec<(KitId, BTreeSet<u16>)>>);

impl Invalid {
    /// The places in this message, if there are any.
    #[must_use]
    pub fn places(&self, kit: &KitId, seq: u64) -> Option<&BTreeSet<u16>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&seq)?.iter().find(|(of, _)| of == kit).map(|(_, places)| places)
    }

    /// Takes them out of a message's readings.
    pub fn leave_out(&self, kit: &KitId, seq: u64, readings: &mut Vec<Reading>) {
        let Some(places) = self.places(kit, seq) else { return };
        let mut place = 0_u16;
        readings.retain(|_| {
            let valid = !places.contains(&place);
            place = place.saturating_add(1);
            valid
        });
    }

    /// Reads which they are.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let mut invalid = Self::default();
        each_entry(store, &["reading_invalidated", "reading_restored"], |entry| invalid.take_in(entry.what)).await?;
        Ok(invalid)
    }

    fn take_in(&mut self, what: Journal) {
        match what {
            Journal::ReadingInvalidated { kit, seq, place, .. } => _ = self.places_mut(kit, seq).insert(place),
            Journal::ReadingRestored { kit, seq, place, .. } => _ = self.places_mut(kit, seq).remove(&place),
            _ => {}
        }
    }

    fn places_mut(&mut self, kit: KitId, seq: u64) -> &mut BTreeSet<u16> {
        let kits = self.0.entry(seq).or_default();
        let at = kits.iter().position(|(of, _)| *of == kit).unwrap_or_else(|| {
            kits.push((kit, BTreeSet::new()));
            kits.len() - 1
        });
        &mut kits[at].1
    }
}

impl Notes {
    /// Reads what is known of these patients from `from` until `until`.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn read(
        store: &dyn Store,
        patients: &[PatientId],
        (from, until): (Timestamp, Timestamp),
    ) -> Result<Self, StoreError> {
        let mut notes = Self::default();
        notes.read_journal(store, &patients.iter().collect()).await?;
        let closed = |alert: Alert| closed(alert).filter(|(_, at, _)| from <= *at && *at < until);
        for (patient, at, closing) in alerts_of(store, patients.to_vec(), closed).await? {
            notes.of.entry(patient).or_default().push((at, Note::Closed(closing)));
        }
        notes.of.values_mut().for_each(|notes| notes.sort_by_key(|(at, _)| *at));
        Ok(notes)
    }

    /// Takes a patient's.
    pub fn take(&mut self, patient: &PatientId) -> Vec<(Timestamp, Note)> {
        self.of.remove(patient).unwrap_or_default()
    }

    /// What is not to be judged by.
    #[must_use]
    pub fn invalid(&self) -> &Invalid {
        &self.invalid
    }

    fn add(&mut self, patient: Option<PatientId>, at: Timestamp, note: Note) {
        if let Some(patient) = patient {
            self.of.entry(patient).or_default().push((at, note));
        }
    }

    /// What the journal says of these patients: it is read page by page, and of the others nothing is kept.
    async fn read_journal(&mut self, store: &dyn Store, wanted: &HashSet<&PatientId>) -> Result<(), StoreError> {
        let take = |entry: JournalEntry| {
            let patient = entry.patient.filter(|patient| wanted.contains(patient));
            match entry.what {
                Journal::OutcomeRecorded { outcome, at, .. } => {
                    // Somebody may tell of it long after: it belongs to when it was.
                    self.add(patient, entry.at.min(at), Note::Outcome(at, outcome));
                }
                Journal::KitSilent { since, .. } => self.add(patient, entry.at, Note::Kit(Some(since))),
                Journal::KitBack { .. } => self.add(patient, entry.at, Note::Kit(None)),
                other => self.invalid.take_in(other),
            }
        };
        each_entry(store, &TOLD, take).await
    }
}

/// What is wanted of these patients' alerts, the newest [`ALERTS_ASKED_MAX`] of each.
///
/// # Errors
/// The store can't be read.
pub async fn alerts_of<T>(
    store: &dyn Store,
    patients: Vec<PatientId>,
    wanted: impl Fn(Alert) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let ask = |patient: PatientId| async move { store.alerts_of(&patient, ALERTS_ASKED_MAX).await };
    let mut answered = stream::iter(patients).map(ask).buffered(ASKED_AT_ONCE);
    let mut found = Vec::new();
    while let Some(alerts) = answered.try_next().await? {
        found.extend(alerts.into_iter().filter_map(&wanted));
    }
    Ok(found)
}

/// The closing of an alert, if a person closed it.
fn closed(alert: Alert) -> Option<(PatientId, Timestamp, Closing)> {
    let State::Closed { at, reason, .. } = alert.state else { return None };
    let family = alert.family.as_str().into();
    Some((alert.patient, at, Closing { family, mark: alert.mark, raised_at: alert.raised_at, at, reason }))
}
