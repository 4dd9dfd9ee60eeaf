//! Everything SQL: one trait, and every backend behind it passes one conformance suite.
//!
//! Promise 1 lives here: a batch of messages, what they changed and the mark that they were seen are committed in one transaction, or not at
//! all. Nothing outside this crate writes SQL.

mod carry;
mod change;
pub mod conformance;
mod convert;
mod history;
mod journal;
mod lead;
mod model;
mod newest;
mod one_or_more;
mod pages;
mod place;
pub mod postgres;
mod programme;
mod rows;
mod spans;
mod sqlite;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use triage::{Alert, AlertEvent, AlertId};
use vitals::{KitId, PatientId, Vital};

pub use carry::{Dump, Erased, Load, Part, sections};
pub use change::{AccountChange, AsOf, Change};
pub use history::{History, HistoryChannel, HistoryChunk, HistoryFilter, HistoryMessage, HistoryNames, HistoryReading};
pub use journal::{InvalidReading, Journal, JournalEntry, JournalFilter, PatientOutcome, UnknownEntry};
pub use lead::{Lead, Leader};
pub use model::{
    Account, Batch, Command, CommandState, Connections, Curve, CurvePoint, Enrolled, Enrolment, Entry, Heard, Kit,
    KitSeq, Patient, Progress, Quarantined, QuarantinedEntry, Receipt, Roster, StoreError, Stored, StoredMessage,
    WebSession,
};
pub use pages::MessagePages;
pub use place::{Place, open, open_read_only};
pub use postgres::Postgres;
pub use programme::{ProgrammeVersion, ShadowAlert};
pub use spans::{LongCurve, Span, Step};
pub use sqlite::Sqlite;

/// What a store can do. Reads may run beside each other and beside a write; writes come one at a time.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // --- who writes

    /// Takes the lead: from now on this service alone commits batches here. `by` says which it is. Another that leads is not disturbed
    /// ([`StoreError::Led`]), unless nothing was heard of it for `over_silent`: then it is taken over from, and what it still sends is refused
    /// ([`StoreError::LeadLost`]). A file is locked by the service itself, and needs no more.
    async fn take_lead(&self, by: &str, over_silent: Option<Duration>) -> Result<Lead, StoreError> {
        let _ = (by, over_silent);
        Ok(Lead::for_good())
    }

    /// Who leads, or led last. Nobody, where nobody ever has, or a file's own lock says so.
    async fn leader(&self) -> Result<Option<Leader>, StoreError> {
        Ok(None)
    }

    // --- step 7, record

    /// Commits a batch durably, in one transaction: messages with their readings and answers, alert changes, assessment changes,
    /// quarantine, journal, and the dedupe marks. When this returns `Ok`, the messages may be acknowledged.
    async fn commit_shared(&self, batch: Arc<Batch>) -> Result<(), StoreError>;

    /// The same of a batch that its owner goes on with: of a copy.
    async fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.commit_shared(Arc::new(batch.clone())).await
    }

    /// Which of these messages are already stored or in quarantine, with the hash of what they said.
    async fn seen(&self, messages: &[KitSeq]) -> Result<Vec<(KitSeq, [u8; 32])>, StoreError>;

    /// For each kit, the largest seq ever stored or in quarantine.
    async fn last_seqs(&self, kits: &[KitId]) -> Result<Vec<(KitId, u64)>, StoreError>;

    /// Makes a change and appends to the journal what is said of it, durably and in one transaction, and gives the stamps of the entries as
    /// [`append`](Self::append) does. Where the journal has gone on since it was read ([`Change::as_of`]), nothing is changed
    /// ([`StoreError::Overtaken`]). Refused are also a kit of nobody ([`StoreError::UnknownPatient`]), and a version of a programme that is
    /// there with another text ([`StoreError::VersionTaken`]); the same again with the same text leaves the one there is.
    async fn change(&self, change: &Change<'_>) -> Result<Vec<Timestamp>, StoreError>;

    /// Appends to the journal what belongs to no batch, durably, and gives the stamp of each: the one it came with if nothing that is stored
    /// is as new, else the next after that, a microsecond on or more. It is moved on to a nanosecond beyond a whole microsecond: the judge's
    /// stamps are whole ones, so that a program that appends beside a running service never takes one of them. (What is stored with a time
    /// more than a minute ahead of the entry's own came of a wrong clock, and is not waited for.) A batch's entries keep the judge's stamps;
    /// one that is taken by another entry, since a clock was set back, moves on to the next free nanosecond.
    async fn append(&self, entries: &[JournalEntry]) -> Result<Vec<Timestamp>, StoreError> {
        self.change(&Change { journal: entries, ..Change::default() }).await
    }

    /// Entries of the journal, by stamp.
    async fn journal(&self, filter: JournalFilter<'_>) -> Result<Vec<JournalEntry>, StoreError>;

    /// The newest stamp of anything stored: the next of the judge must be later.
    async fn last_stamp(&self) -> Result<Option<Timestamp>, StoreError>;

    // --- programmes

    /// Keeps a version of a programme, and says nothing of it in the journal.
    async fn put_programme(&self, version: &ProgrammeVersion) -> Result<(), StoreError> {
        self.change(&Change { programme: Some(version), ..Change::default() }).await.map(drop)
    }

    /// The versions of one programme or of all, by id and version.
    async fn programme_versions(&self, id: Option<&str>) -> Result<Vec<ProgrammeVersion>, StoreError>;

    /// Keeps the latest state of alerts that a version raises without paging, by their ids.
    async fn put_shadow(&self, alerts: &[ShadowAlert]) -> Result<(), StoreError>;

    /// What a version raised so, from `since` on and before `until`, in that order.
    async fn shadow_alerts(
        &self,
        programme: &str,
        version: u32,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<ShadowAlert>, StoreError>;

    /// Forgets everything that a version raised so.
    async fn shadow_clear(&self, programme: &str, version: u32) -> Result<(), StoreError>;

    // --- rebuilding charts

    /// A patient's messages recorded at or after `since`, in the order in which they were recorded.
    async fn messages(&self, patient: &PatientId, since: Timestamp) -> Result<Vec<StoredMessage>, StoreError>;

    /// The same, some at a time: for whoever goes through months of them.
    async fn message_pages(&self, patient: &PatientId, since: Timestamp) -> Result<MessagePages, StoreError>;

    /// The newest of the same (of those recorded before `before`, where that is said), at most `limit`, in the order in which they were recorded.
    async fn newest_messages(
        &self,
        patient: &PatientId,
        since: Timestamp,
        before: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, StoreError>;

    /// One message, and whose it is. None if nothing of it is stored but its mark.
    async fn message(&self, key: &KitSeq) -> Result<Option<(PatientId, StoredMessage)>, StoreError>;

    /// The readings, of one patient or of all, that are invalid now: the journal's last word on each. By when they became so.
    async fn invalidated(&self, patient: Option<&PatientId>) -> Result<Vec<InvalidReading>, StoreError>;

    /// Open alerts, of one patient or of all.
    async fn open_alerts(&self, patient: Option<&PatientId>) -> Result<Vec<Alert>, StoreError>;

    /// Begins to read messages of all patients, in the order in which they were recorded: what is stored now, nothing that comes later.
    async fn history(&self, filter: &HistoryFilter) -> Result<History, StoreError>;

    // --- for the pages

    /// One alert with its history, oldest first.
    async fn alert(&self, id: AlertId) -> Result<Option<(Alert, Vec<AlertEvent>)>, StoreError>;

    /// A patient's alerts, newest first, at most `limit`.
    async fn alerts_of(&self, patient: &PatientId, limit: u32) -> Result<Vec<Alert>, StoreError>;

    /// A patient's values of these vitals measured at or after `since`, by `measured_at`, at most `limit` each (the newest). What was
    /// invalidated is among them, marked.
    async fn curves(
        &self,
        patient: &PatientId,
        vitals: &[Vital],
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Curve>, StoreError>;

    /// A patient's values of these vitals by hour or day, from the hour or day of `since` on: what a long curve shows. What was invalidated is not
    /// among them; what came in the last seconds need not be.
    async fn long_curves(
        &self,
        patient: &PatientId,
        vitals: &[Vital],
        since: Timestamp,
        step: Step,
    ) -> Result<Vec<LongCurve>, StoreError> {
        spans::of_messages(self, patient, vitals, since, step).await
    }

    /// What is in quarantine, newest first, at most `limit`, and how many there are in all.
    async fn quarantine(&self, limit: u32) -> Result<(Vec<QuarantinedEntry>, u64), StoreError>;

    /// One of what is in quarantine, by its number, with its bytes as they came.
    async fn quarantined(&self, id: i64) -> Result<Option<(QuarantinedEntry, Vec<u8>)>, StoreError>;

    // --- the roster

    /// Replaces what is given of patients and kits (by id); others stay. The journal says only whom a kit has left.
    async fn put_roster(&self, roster: &Roster, now: Timestamp) -> Result<(), StoreError> {
        self.change(&Change { roster: Some((roster, now)), ..Change::default() }).await.map(drop)
    }

    /// All patients and kits.
    async fn roster(&self) -> Result<Roster, StoreError>;

    /// What a kit last said of itself: status, connection.
    async fn heard(&self, heard: &[Heard]) -> Result<(), StoreError>;

    /// The last that was heard of every kit.
    async fn last_heard(&self) -> Result<Vec<Heard>, StoreError>;

    // --- enrolment

    /// Keeps a code for a kit of the roster, in place of one given out before. The kit's secret stays until the code is used.
    async fn put_enrolment(&self, enrolment: &Enrolment) -> Result<(), StoreError>;

    /// Exchanges a code for a secret that the kit has made, both as SHA-256 in hex: from now on the kit signs in with it, and is no longer
    /// revoked if it was. The same code with the same secret gives the same answer until it expires; with another it is refused.
    async fn enrol(&self, code_sha256: &str, secret_sha256: &str, now: Timestamp) -> Result<Enrolled, StoreError>;

    /// Every code that is kept.
    async fn enrolments(&self) -> Result<Vec<Enrolment>, StoreError>;

    // --- commands

    /// Keeps a command. One of the same id, whichever kit it is for, stays as it was: then this one is not kept, and the answer is no.
    async fn put_command(&self, command: &Command) -> Result<bool, StoreError>;

    /// Commands of which no kit has said anything yet, oldest first, at most `limit`; what has expired at `now` is marked and left out, and so is
    /// what is for somebody who has the kit no longer. That somebody has looked (`seen`) comes after everything else: it must not keep what is
    /// asked for from being sent.
    async fn open_commands(&self, now: Timestamp, limit: u32) -> Result<Vec<Command>, StoreError>;

    /// A kit's commands with what became of them, newest first, at most `limit`.
    async fn commands_of(&self, kit: &KitId, limit: u32) -> Result<Vec<CommandState>, StoreError>;

    // --- sign-in

    /// Creates or replaces an account, and says nothing of it in the journal.
    async fn put_account(&self, account: &Account) -> Result<(), StoreError> {
        self.change(&Change { account: Some(AccountChange::Put(account)), ..Change::default() }).await.map(drop)
    }

    /// Every account, by user name.
    async fn accounts(&self) -> Result<Vec<Account>, StoreError>;

    /// An account by its user name.
    async fn account(&self, user: &str) -> Result<Option<Account>, StoreError>;

    /// Keeps a web session (by the hash of its token), replacing one of the same id.
    async fn put_web_session(&self, session: &WebSession) -> Result<(), StoreError>;

    /// A web session that has not expired at `now`.
    async fn web_session(&self, id: &str, now: Timestamp) -> Result<Option<WebSession>, StoreError>;

    /// Ends a web session; and those expired at `now`.
    async fn end_web_session(&self, id: &str, now: Timestamp) -> Result<(), StoreError>;

    // --- everything, to be taken elsewhere; and a person, to be handed out or forgotten

    /// Begins to read everything, or what is of one person, as it is now: the same on every backend that holds the same, byte for byte.
    async fn dump(&self, of: Option<&PatientId>) -> Result<Dump, StoreError>;

    /// How many rows each section of a dump has, in their order.
    async fn holdings(&self) -> Result<Vec<(&'static str, u64)>, StoreError>;

    /// Begins to take in a dump, in one transaction. Only an empty store takes one ([`StoreError::NotEmpty`]).
    async fn load(&self) -> Result<Box<dyn Load + '_>, StoreError>;

    /// Takes everything of a person away, and appends to the journal what is said of it, in one transaction. The marks of their messages stay,
    /// without them: what is sent again can't come back. A kit of theirs alone leaves the roster; one that is shared goes on without them.
    async fn erase(&self, patient: &PatientId, said: &[JournalEntry]) -> Result<Erased, StoreError>;

    /// Cleans what was erased out of free space too, as far as the database lets go of it. It takes as long as writing everything once, and holds up
    /// commits meanwhile where the store is a file.
    async fn scrub(&self) -> Result<(), StoreError>;

    // --- health

    /// Writes and reads back something small: is the store taking data now?
    async fn ping(&self) -> Result<(), StoreError>;

    /// Counts for `vagt doctor` and the kill tests.
    async fn stored(&self) -> Result<Stored, StoreError>;

    /// How many bytes the database on a server has; none where there is no server, and a file is looked at as one.
    async fn bytes(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// How the connections to a server are used; none where there is no server.
    fn connections(&self) -> Option<Connections> {
        None
    }

    /// Finishes what is under way and closes.
    async fn close(&self);
}
