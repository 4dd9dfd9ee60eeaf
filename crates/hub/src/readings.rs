//! Readings that are not to be judged by: invalidated by somebody with a reason, and restored if that was wrong. A reading stays stored and
//! stays on the curves; what changes is the judgement, as the judge builds the patient's chart again without it.
//!
//! It is an entry of the journal, from a page or from the command line alike. A running service sees it within a second; the judge alone
//! changes alerts, with a stamp of its own (`pipeline/judge/watch.rs`).

use jiff::Timestamp;
use store::{Journal, JournalEntry, KitSeq, Store, StoreError};
use vitals::{PatientId, Reading};

use crate::{
    basis::ReadingPlace,
    directory::Invalid,
    programmes::{all_entries, office::REASON_CHARS_MAX},
};

/// Names of the entries.
const ENTRIES: [&str; 2] = ["reading_invalidated", "reading_restored"];
/// The most readings of one patient that are left out at a time.
pub const INVALID_MAX: usize = 1_000;

/// Why it was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It makes no sense: what was found, what was wanted.
    #[error("{0}")]
    Unfit(String),
    /// There is no such reading.
    #[error("{0}")]
    Unknown(String),
    /// It is so already.
    #[error("{0}")]
    Conflict(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Leaves a reading out, or takes it in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Leaves it out.
    Invalidate,
    /// Takes it in again.
    Restore,
}

/// Every reading that is left out, of each patient.
///
/// # Errors
/// The store can't be read.
pub async fn invalid(store: &dyn Store) -> Result<Invalid, StoreError> {
    Ok(left_out(&all_entries(store, &ENTRIES).await?))
}

fn left_out(journal: &[JournalEntry]) -> Invalid {
    let mut invalid = Invalid::default();
    for entry in journal {
        let Some(patient) = &entry.patient else { continue };
        match &entry.what {
            Journal::ReadingInvalidated { kit, seq, place, reason } => {
                let one = ReadingPlace { kit: kit.clone(), seq: *seq, place: *place };
                invalid.places.entry(patient.clone()).or_default().insert(one);
                invalid.last.insert(patient.clone(), (entry.by.clone().unwrap_or_default(), reason.clone()));
            }
            Journal::ReadingRestored { kit, seq, place, reason } => {
                let one = ReadingPlace { kit: kit.clone(), seq: *seq, place: *place };
                invalid.places.entry(patient.clone()).or_default().remove(&one);
                invalid.last.insert(patient.clone(), (entry.by.clone().unwrap_or_default(), reason.clone()));
            }
            _ => {}
        }
    }
    invalid.places.retain(|_, places| !places.is_empty());
    invalid
}

/// Has a reading left out from now on, or taken in again: who, why, when. `whose` says whose it must be. Gives the reading.
///
/// # Errors
/// [`Refused`]: there is no such reading, it is so already, no reason is given, or the store fails.
pub async fn change(
    store: &dyn Store,
    what: Change,
    of: &ReadingPlace,
    whose: Option<&PatientId>,
    (by, reason): (&str, &str),
    now: Timestamp,
) -> Result<Reading, Refused> {
    check_words(by, reason)?;
    let (patient, reading) = find(store, of).await?;
    if let Some(whose) = whose.filter(|whose| **whose != patient) {
        return Err(Refused::Unknown(format!("message {} of kit {} is not {whose}'s", of.seq, of.kit)));
    }
    check_now(store, what, of, &patient).await?;
    let (kit, seq, place, reason) = (of.kit.clone(), of.seq, of.place, reason.trim().to_owned());
    let what = match what {
        Change::Invalidate => Journal::ReadingInvalidated { kit, seq, place, reason },
        Change::Restore => Journal::ReadingRestored { kit, seq, place, reason },
    };
    store.append(&[JournalEntry { at: now, by: Some(by.to_owned()), patient: Some(patient), what }]).await?;
    Ok(reading)
}

async fn check_now(store: &dyn Store, what: Change, of: &ReadingPlace, patient: &PatientId) -> Result<(), Refused> {
    let invalid = store.invalidated(Some(patient)).await?;
    let is_so = invalid.iter().any(|one| one.key.kit == of.kit && one.key.seq == of.seq && one.place == of.place);
    match what {
        Change::Invalidate if is_so => Err(Refused::Conflict("that reading is invalidated already".to_owned())),
        Change::Restore if !is_so => Err(Refused::Conflict("that reading is not invalidated".to_owned())),
        Change::Invalidate if invalid.len() >= INVALID_MAX => {
            let found = invalid.len();
            Err(Refused::Unfit(format!("{found} readings of {patient} are invalidated, at most {INVALID_MAX} may be")))
        }
        _ => Ok(()),
    }
}

/// The stored reading at this place, and whose it is.
async fn find(store: &dyn Store, of: &ReadingPlace) -> Result<(PatientId, Reading), Refused> {
    let ReadingPlace { kit, seq, place } = of;
    let key = KitSeq { kit: kit.clone(), seq: *seq };
    let Some((patient, message)) = store.message(&key).await? else {
        return Err(Refused::Unknown(format!("found no message {seq} of kit {kit}")));
    };
    let count = message.readings.len();
    let reading = message.readings.into_iter().nth(usize::from(*place)).ok_or_else(|| {
        Refused::Unknown(format!(
            "message {seq} of kit {kit} has {count} readings, found place {place}, want 0 or more and below that"
        ))
    })?;
    Ok((patient, reading))
}

fn check_words(by: &str, reason: &str) -> Result<(), Refused> {
    let found = reason.trim().chars().count();
    if !(1..=REASON_CHARS_MAX).contains(&found) {
        return Err(Refused::Unfit(format!("found a reason of {found} characters, want 1 to {REASON_CHARS_MAX}")));
    }
    if by.trim().is_empty() {
        return Err(Refused::Unfit("found nobody who does it, want a name".to_owned()));
    }
    Ok(())
}
