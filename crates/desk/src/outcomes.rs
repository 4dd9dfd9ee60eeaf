//! What really happened to a patient, as it is recorded over HTTP, on a page, and by the command line alike: checked, and kept in the journal.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use store::{Journal, JournalEntry, JournalFilter, PatientOutcome, Store, StoreError};
use triage::{Alert, AlertId};
use vitals::PatientId;

use crate::tuning::{Refusal, Refused};

/// Outcomes of one answer: the newest.
pub const OUTCOMES_MAX: u32 = 200;
/// An outcome may lie so far ahead of the hub's clock: a nurse's clock may be ahead.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);

/// What happened.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOutcome {
    /// `exacerbation`, `decompensation`, `admission`, `death`, `other`.
    pub outcome: PatientOutcome,
    /// When it happened or began: now, if left out.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// In the words of who records it.
    #[serde(default)]
    pub note: String,
    /// The alert that it belongs to.
    #[serde(default)]
    pub alert: Option<AlertId>,
}

/// Records what happened to a patient of the roster.
///
/// # Errors
/// It makes no sense, there is no such alert of this patient, or the store fails.
pub async fn record_outcome(
    store: &dyn Store,
    patient: &PatientId,
    new: NewOutcome,
    by: &str,
    now: Timestamp,
) -> Result<JournalEntry, Refused> {
    let at = new.at.unwrap_or(now);
    check(&new, at, now).map_err(|what| Refused::new(Refusal::Unfit, what))?;
    if let Some(alert) = new.alert {
        let found = store.alert(alert).await?.filter(|(alert, _)| alert.patient == *patient);
        found.ok_or_else(|| Refused::new(Refusal::Unknown, format!("found no alert {alert} of patient {patient}")))?;
    }
    let what =
        Journal::OutcomeRecorded { outcome: new.outcome, at, note: new.note.trim().to_owned(), alert: new.alert };
    let mut entry = JournalEntry { at: now, by: Some(by.to_owned()), patient: Some(patient.clone()), what };
    if let Some(stamp) = store.append(std::slice::from_ref(&entry)).await?.first() {
        entry.at = *stamp;
    }
    Ok(entry)
}

fn check(new: &NewOutcome, at: Timestamp, now: Timestamp) -> Result<(), String> {
    let (found, most) = (new.note.chars().count(), Alert::NOTE_CHARS_MAX);
    if found > most {
        return Err(format!("the note has {found} characters, want at most {most}"));
    }
    if new.outcome == PatientOutcome::Other && new.note.trim().is_empty() {
        return Err("found no note with the outcome \"other\", want one that says what it was".to_owned());
    }
    if at.duration_since(now) > AHEAD_MAX {
        return Err(format!("at is {at}, and it is {now}: want a time that has passed"));
    }
    Ok(())
}

/// What was recorded, of one patient or of all, the newest first.
///
/// # Errors
/// The store fails.
pub async fn outcomes(store: &dyn Store, patient: Option<&PatientId>) -> Result<Vec<JournalEntry>, StoreError> {
    let names = ["outcome_recorded"];
    let entries = Some(&names[..]);
    let filter =
        JournalFilter { patient, entries, newest_first: true, limit: OUTCOMES_MAX, ..JournalFilter::default() };
    store.journal(filter).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn checked(outcome: &str, note: &str, at: &str, wanted: Option<&str>) {
        let now = "2026-11-22T08:00:00Z".parse().unwrap();
        let (note, outcome) = (note.to_owned(), serde_json::from_value(outcome.into()).unwrap());
        let new = NewOutcome { outcome, at: None, note, alert: None };
        assert_eq!(check(&new, at.parse().unwrap(), now).err().as_deref(), wanted);
    }

    #[test]
    fn an_outcome_has_passed_and_another_one_is_named() {
        let before = "2026-11-20T08:00:00Z";
        checked("admission", "", before, None);
        checked("other", "fell at home", before, None);
        checked("other", " ", before, Some("found no note with the outcome \"other\", want one that says what it was"));
        let ahead = "at is 2026-11-22T09:00:00Z, and it is 2026-11-22T08:00:00Z: want a time that has passed";
        checked("death", "", "2026-11-22T09:00:00Z", Some(ahead));
        let long = "x".repeat(Alert::NOTE_CHARS_MAX + 1);
        checked("admission", &long, before, Some("the note has 2001 characters, want at most 2000"));
    }
}
