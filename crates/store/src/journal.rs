//! The journal: what was decided and by whom, append only. It is the audit trail, and what a replay needs beside the messages.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use triage::{Action, AlertId};
use vitals::{KitId, PatientId};

use crate::{
    KitSeq, StoreError,
    convert::{corrupt, nanos, time},
};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its stamp: no other entry has the same. In a batch it is the judge's; else the store gives it (see [`Store::append`](crate::Store::append)).
    pub at: Timestamp,
    /// Who did it; nobody where the program did it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Of whom it is; always there for what concerns one patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<PatientId>,
    /// What.
    pub what: Journal,
}

/// What a journal's line says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Journal {
    /// A version of a programme was proposed.
    ProgrammeProposed {
        /// The programme's id.
        programme: String,
        /// Its version.
        version: u32,
        /// Why.
        note: String,
    },
    /// A version of a programme was activated.
    ProgrammeActivated {
        /// The programme's id.
        programme: String,
        /// Its version.
        version: u32,
        /// In force from then on.
        from: Timestamp,
        /// Who had proposed it.
        proposed_by: String,
        /// Why.
        reason: String,
        /// Is it the return to a version that was in use before?
        rollback: bool,
    },
    /// A proposed version was turned down.
    ProgrammeRejected {
        /// The programme's id.
        programme: String,
        /// Its version.
        version: u32,
        /// Why.
        reason: String,
    },
    /// The judge took these versions into use at this stamp.
    ProgrammesInUse {
        /// Each programme's version, by id.
        versions: BTreeMap<String, u32>,
    },
    /// A version is judged by beside the active one, without paging anybody.
    ShadowStarted {
        /// The programme's id.
        programme: String,
        /// Its version.
        version: u32,
    },
    /// It is no longer.
    ShadowStopped {
        /// The programme's id.
        programme: String,
        /// Its version.
        version: u32,
    },
    /// How one patient is judged was changed. How it was before says the entry before.
    PlanChanged {
        /// Ids of the programmes.
        programmes: Vec<String>,
        /// Own limits, in the form of `triage::Own`.
        own: serde_json::Value,
        /// The risk level.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stratum: Option<String>,
        /// Why, in the words of who did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Somebody may sign in now, or may do something else than before.
    AccountPut {
        /// Who: the user name.
        user: String,
        /// As what.
        role: String,
    },
    /// Somebody may no longer sign in.
    AccountRemoved {
        /// Who: the user name.
        user: String,
    },
    /// Everything of a person was taken away, but the marks that their messages were seen. It does not say of whom.
    PersonErased {
        /// Why, in the words of who did it.
        reason: String,
        /// Rows that there were.
        rows: u64,
    },
    /// What an erasure had left in free space was taken away too.
    ErasureFinished {
        /// The stamp of the erasure.
        erased_at: Timestamp,
    },
    /// Everything of a person was handed out.
    PersonExported {
        /// Rows that there were.
        rows: u64,
    },
    /// A reading is not to be judged by any more. It stays stored.
    ReadingInvalidated {
        /// The kit that sent it.
        kit: KitId,
        /// The message it came in.
        seq: u64,
        /// Its place among the message's stored readings, from 0.
        place: u16,
        /// Why.
        reason: String,
    },
    /// A reading that was invalidated counts again.
    ReadingRestored {
        /// The kit that sent it.
        kit: KitId,
        /// The message it came in.
        seq: u64,
        /// Its place among the message's stored readings, from 0.
        place: u16,
        /// Why.
        reason: String,
    },
    /// What really happened to a patient, for judging the programmes.
    OutcomeRecorded {
        /// What.
        outcome: PatientOutcome,
        /// When it happened or began.
        at: Timestamp,
        /// In the nurse's words.
        note: String,
        /// The alert that it belongs to, if the nurse says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alert: Option<AlertId>,
    },
    /// Nothing is heard of a kit: that nothing is measured says nothing of the person.
    KitSilent {
        /// Which.
        kit: KitId,
        /// Since when.
        since: Timestamp,
    },
    /// A silent kit is heard again.
    KitBack {
        /// Which.
        kit: KitId,
    },
    /// A kit that was this patient's went to somebody else. What it sends late is theirs by this.
    KitLeft {
        /// Which.
        kit: KitId,
        /// It was theirs since.
        since: Timestamp,
        /// And no longer from then on.
        until: Timestamp,
    },
    /// Somebody did something to an alert.
    Acted {
        /// Which.
        alert: AlertId,
        /// The version that the person saw.
        seen_version: u32,
        /// What.
        action: Action,
    },
    /// The judge began at this stamp: every chart was built from the store.
    Started {
        /// The last stamp before, where the clock had run ahead and went back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        set_back_from: Option<Timestamp>,
    },
    /// From this stamp on the patient is judged by this.
    JudgedBy {
        /// Programmes with versions, own settings, and what else decides: the hub's form.
        basis: serde_json::Value,
        /// The chart was built from what was recorded from then on.
        from: Timestamp,
        /// Was there no chart before, whose judgements the new ones are compared with?
        fresh: bool,
        /// What is different from before.
        why: String,
    },
    /// Time passed, and it changed something: every deadline up to this stamp was judged.
    Ticked {
        /// The first of them.
        due: Timestamp,
    },
    /// Written by another version of the program, and kept as it is: this one does not know what it says. Must be the last here.
    #[serde(untagged)]
    Unknown(UnknownEntry),
}

impl Journal {
    /// The name under which it is stored, e.g. `reading_invalidated`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::ProgrammeProposed { .. } => "programme_proposed",
            Self::ProgrammeActivated { .. } => "programme_activated",
            Self::ProgrammeRejected { .. } => "programme_rejected",
            Self::ProgrammesInUse { .. } => "programmes_in_use",
            Self::ShadowStarted { .. } => "shadow_started",
            Self::ShadowStopped { .. } => "shadow_stopped",
            Self::PlanChanged { .. } => "plan_changed",
            Self::AccountPut { .. } => "account_put",
            Self::AccountRemoved { .. } => "account_removed",
            Self::PersonErased { .. } => "person_erased",
            Self::ErasureFinished { .. } => "erasure_finished",
            Self::PersonExported { .. } => "person_exported",
            Self::ReadingInvalidated { .. } => "reading_invalidated",
            Self::ReadingRestored { .. } => "reading_restored",
            Self::OutcomeRecorded { .. } => "outcome_recorded",
            Self::KitSilent { .. } => "kit_silent",
            Self::KitBack { .. } => "kit_back",
            Self::KitLeft { .. } => "kit_left",
            Self::Acted { .. } => "acted",
            Self::Started { .. } => "started",
            Self::JudgedBy { .. } => "judged_by",
            Self::Ticked { .. } => "ticked",
            Self::Unknown(unknown) => &unknown.entry,
        }
    }
}

/// What an entry says that this program does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnknownEntry {
    /// Its name.
    pub entry: String,
    /// Everything else of it.
    #[serde(flatten)]
    pub body: serde_json::Map<String, serde_json::Value>,
}

/// What happened to a patient, as a nurse records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatientOutcome {
    /// The lungs became worse.
    Exacerbation,
    /// The heart became worse.
    Decompensation,
    /// Taken into hospital.
    Admission,
    /// Died.
    Death,
    /// Something else: the note says what.
    Other,
}

/// Which entries of the journal are wanted. What is not said is not asked for.
#[derive(Clone, Copy, Debug)]
pub struct JournalFilter<'a> {
    /// Of this patient alone.
    pub patient: Option<&'a PatientId>,
    /// Of these names alone (see [`Journal::name`]).
    pub entries: Option<&'a [&'a str]>,
    /// With this stamp or a later one.
    pub since: Option<Timestamp>,
    /// With an earlier stamp than this one.
    pub before: Option<Timestamp>,
    /// The newest first, and of them at most `limit`; else the oldest first.
    pub newest_first: bool,
    /// At most so many.
    pub limit: u32,
}

impl JournalFilter<'_> {
    /// Entries of one answer, if nothing else is said.
    pub const LIMIT: u32 = 1_000;
}

impl Default for JournalFilter<'_> {
    fn default() -> Self {
        Self { patient: None, entries: None, since: None, before: None, newest_first: false, limit: Self::LIMIT }
    }
}

/// A reading that was invalidated and not restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvalidReading {
    /// The message it came in.
    pub key: KitSeq,
    /// Its place among the message's stored readings, from 0.
    pub place: u16,
    /// Who invalidated it, when and why.
    pub entry: JournalEntry,
}

/// A clock that was set back by no more than this is waited for, by every stamp; what is stored beyond it says only that a clock was wrong.
const STEP_BACK_MAX: SignedDuration = SignedDuration::from_mins(1);
/// From one appended stamp to the next.
const MICROSECOND: i64 = 1_000;

/// How far what is stored is looked at for the stamp of something that happened at `wanted`.
pub(crate) fn stamp_bound(wanted: i64) -> i64 {
    wanted.saturating_add(i64::try_from(STEP_BACK_MAX.as_nanos()).unwrap_or(i64::MAX))
}

/// The stamp for something that happened at `wanted`, after the `newest` that is stored. One nanosecond beyond a whole microsecond, where the
/// judge, whose stamps are whole ones, never is.
pub(crate) fn stamp_after(newest: Option<i64>, wanted: i64) -> i64 {
    let at = newest.map_or(wanted, |newest| wanted.max(newest.saturating_add(MICROSECOND)));
    (at - at.rem_euclid(MICROSECOND)).saturating_add(1)
}

/// A stamp up to a whole microsecond.
pub(crate) fn stamp_whole(at: i64) -> Timestamp {
    time(at.saturating_add((-at).rem_euclid(MICROSECOND)))
}

/// The entries that [`still_invalid`] wants.
pub(crate) const INVALIDATING: [&str; 2] = ["reading_invalidated", "reading_restored"];

/// What is invalid after all of these, by when it became so.
pub(crate) fn still_invalid(entries: Vec<JournalEntry>) -> Result<Vec<InvalidReading>, StoreError> {
    let mut invalid = BTreeMap::new();
    for entry in entries {
        let (kit, seq, place, is_valid) = match &entry.what {
            Journal::ReadingInvalidated { kit, seq, place, .. } => (kit, seq, place, false),
            Journal::ReadingRestored { kit, seq, place, .. } => (kit, seq, place, true),
            other => {
                let what = format!("{} in a form that is not known", other.name());
                return Err(corrupt("journal", nanos(entry.at), what));
            }
        };
        let (key, place) = (KitSeq { kit: kit.clone(), seq: *seq }, *place);
        if is_valid {
            invalid.remove(&(key, place));
        } else {
            invalid.entry((key, place)).or_insert(entry);
        }
    }
    let mut invalid: Vec<_> =
        invalid.into_iter().map(|((key, place), entry)| InvalidReading { key, place, entry }).collect();
    invalid.sort_by_key(|reading| reading.entry.at);
    Ok(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Journal {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_entry_of_a_later_program_is_kept_as_it_is() {
        let text = r#"{"entry":"moon_phase","full":true,"of":[1,2.5]}"#;
        let found = read(text);
        assert_eq!(found.name(), "moon_phase");
        assert_eq!(serde_json::to_string(&found).unwrap(), text);
        let with_more = read(r#"{"entry":"kit_back","kit":"kit-1","after_s":9}"#);
        assert_eq!(with_more, Journal::KitBack { kit: "kit-1".parse().unwrap() });
        let other_form = read(r#"{"entry":"kit_back","kits":["kit-1"]}"#);
        assert!(matches!(&other_form, Journal::Unknown(unknown) if unknown.entry == "kit_back"));
        assert!(serde_json::from_str::<Journal>(r#"{"kit":"kit-1"}"#).is_err());
    }

    #[test]
    fn names_are_those_that_are_written() {
        let (programme, version) = ("copd".to_owned(), 4);
        let kit: KitId = "kit-1".parse().unwrap();
        let (at, reason, seq, place) = (Timestamp::UNIX_EPOCH, "a tap".to_owned(), 7, 2);
        let all = [
            Journal::ProgrammeProposed { programme: programme.clone(), version, note: String::new() },
            Journal::ProgrammeActivated {
                programme: programme.clone(),
                version,
                from: at,
                proposed_by: "ane".to_owned(),
                reason: reason.clone(),
                rollback: false,
            },
            Journal::ProgrammeRejected { programme: programme.clone(), version, reason: reason.clone() },
            Journal::ProgrammesInUse { versions: BTreeMap::from([(programme.clone(), version)]) },
            Journal::ShadowStarted { programme: programme.clone(), version },
            Journal::ShadowStopped { programme: programme.clone(), version },
            Journal::PlanChanged {
                programmes: vec![programme],
                own: serde_json::json!({ "spo2": 85.5 }),
                stratum: Some("high".to_owned()),
                reason: Some(reason.clone()),
            },
            Journal::AccountPut { user: "ane".to_owned(), role: "nurse".to_owned() },
            Journal::AccountRemoved { user: "ane".to_owned() },
            Journal::PersonErased { reason: reason.clone(), rows: 9 },
            Journal::ErasureFinished { erased_at: at },
            Journal::PersonExported { rows: 9 },
            Journal::ReadingInvalidated { kit: kit.clone(), seq, place, reason: reason.clone() },
            Journal::ReadingRestored { kit: kit.clone(), seq, place, reason },
            Journal::OutcomeRecorded { outcome: PatientOutcome::Admission, at, note: String::new(), alert: None },
            Journal::KitSilent { kit: kit.clone(), since: at },
            Journal::KitLeft { kit: kit.clone(), since: at, until: at },
            Journal::KitBack { kit },
            Journal::Acted { alert: uuid::Uuid::nil(), seen_version: 1, action: Action::Acknowledge },
            Journal::Started { set_back_from: Some(at) },
            Journal::JudgedBy { basis: serde_json::json!({}), from: at, fresh: true, why: String::new() },
            Journal::Ticked { due: at },
        ];
        for one in all {
            let text = serde_json::to_string(&one).unwrap();
            assert!(text.starts_with(&format!(r#"{{"entry":"{}","#, one.name())), "{text}");
            assert_eq!(read(&text), one);
        }
    }
}
