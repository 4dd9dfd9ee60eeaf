//! The clinic's own database server: PostgreSQL 15 or newer, with TimescaleDB where it is there.
//!
//! Decision 0081: a message is one row, readings are in it; one writer, and an epoch that fences off whoever was taken over from.

mod aggregates;
mod carry;
mod change;
mod channels;
mod command;
mod commit;
mod conn;
mod copy;
mod curves;
mod enrolment;
mod erase;
mod history;
mod journal;
mod keys;
mod lead;
mod link;
mod message;
mod messages;
mod migrate;
mod programme;
mod read;
mod report;
mod roster;
mod shadow;
mod sign_in;
mod spans;
pub(crate) mod trouble;
mod upkeep;
mod writer;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::{task::JoinSet, time::timeout};
use triage::{Alert, AlertEvent, AlertId};
use vitals::{KitId, PatientId, Vital};

use self::{
    channels::Channels,
    conn::{Conn, LONG_WAIT},
    link::Link,
    writer::Writer,
};
pub use self::{
    link::{Server, is_url},
    migrate::Layout,
    report::{Report, report},
};
use crate::{
    Account, Batch, Change, Command, CommandState, Connections, Curve, Dump, Enrolled, Enrolment, Erased, Heard,
    History, HistoryFilter, InvalidReading, JournalEntry, JournalFilter, KitSeq, Lead, Leader, Load, LongCurve,
    MessagePages, ProgrammeVersion, QuarantinedEntry, Roster, ShadowAlert, Step, Store, StoreError, Stored,
    StoredMessage, WebSession, spans::of_messages,
};

/// How long questions that are under way are waited for when the store is closed.
const CLOSE_WAIT: Duration = Duration::from_secs(15);

/// A database on a PostgreSQL server.
pub struct Postgres {
    inner: Arc<Inner>,
    /// What goes on beside: the lead's sign of life, the upkeep.
    tasks: Mutex<JoinSet<()>>,
}

/// What the store and its tasks share.
pub(crate) struct Inner {
    link: Arc<Link>,
    writer: Writer,
    channels: Channels,
    layout: Layout,
}

impl Inner {
    /// A connection to read with.
    async fn reader(&self) -> Result<Conn, StoreError> {
        self.link.reader().await
    }

    /// The same for a question that goes through everything.
    async fn long_reader(&self) -> Result<Conn, StoreError> {
        let mut conn = self.reader().await?;
        conn.wait(LONG_WAIT);
        Ok(conn)
    }

    /// Several questions about one and the same state.
    async fn snapshot(&self) -> Result<Conn, StoreError> {
        self.link.reading("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await
    }

    /// The same for questions that go through everything.
    async fn long_snapshot(&self) -> Result<Conn, StoreError> {
        let mut conn = self.snapshot().await?;
        conn.wait(LONG_WAIT);
        Ok(conn)
    }

    /// An error of this database, in words where there are any.
    fn trouble(&self, error: sqlx::Error) -> StoreError {
        self.link.trouble(error)
    }
}

impl Postgres {
    /// Opens a database and brings its schema up to this program's.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], or [`StoreError::Unusable`] in a sentence that says what to do.
    pub async fn open(server: &Server) -> Result<Self, StoreError> {
        let link = Arc::new(Link::new(server).await?);
        let writer = Writer::new(Arc::clone(&link), None);
        let layout = writer.migrate().await?;
        Ok(Self::of(link, writer, layout))
    }

    /// Opens a database as it is, for reading only; beside a running service too.
    ///
    /// # Errors
    /// As [`open`](Self::open); and a database of an older schema is refused, since reading may not migrate it.
    pub async fn open_read_only(server: &Server) -> Result<Self, StoreError> {
        let link = Arc::new(Link::new(server).await?);
        let mut conn = link.reader().await?;
        let layout = match migrate::check(&mut conn, &link).await? {
            Some((found, layout)) if found == migrate::known() => layout,
            found => {
                let found = found.map_or(0, |(found, _)| found);
                let what = format!("schema version {found}, want {}: start vagt once to migrate it", migrate::known());
                return Err(trouble::refused(&link.name, what, "an older schema"));
            }
        };
        drop(conn);
        let writer = Writer::new(Arc::clone(&link), Some(|| StoreError::ReadOnly));
        Ok(Self::of(link, writer, layout))
    }

    fn of(link: Arc<Link>, writer: Writer, layout: Layout) -> Self {
        let inner = Inner { link, writer, channels: Channels::default(), layout };
        Self { inner: Arc::new(inner), tasks: Mutex::default() }
    }

    /// How the big tables are divided.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.inner.layout
    }

    /// Does now what the leader's task does from time to time: makes what is missing ahead, adds up aggregates, lets go what is too old.
    ///
    /// # Errors
    /// The database refused.
    pub async fn upkeep(&self) -> Result<(), StoreError> {
        upkeep::once(&self.inner).await
    }

    fn beside(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}

/// Each line hands over to the file that does it.
#[async_trait]
impl Store for Postgres {
    async fn take_lead(&self, by: &str, over_silent: Option<Duration>) -> Result<Lead, StoreError> {
        let lead = lead::take(&self.inner, by, over_silent).await?;
        self.beside(lead::live(Arc::clone(&self.inner)));
        self.beside(upkeep::run(Arc::clone(&self.inner)));
        Ok(lead)
    }

    async fn leader(&self) -> Result<Option<Leader>, StoreError> {
        lead::leader(&self.inner).await
    }

    async fn commit_shared(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        commit::commit(&self.inner, &batch).await
    }

    async fn seen(&self, messages: &[KitSeq]) -> Result<Vec<(KitSeq, [u8; 32])>, StoreError> {
        read::seen(&self.inner, messages).await
    }

    async fn last_seqs(&self, kits: &[KitId]) -> Result<Vec<(KitId, u64)>, StoreError> {
        read::last_seqs(&self.inner, kits).await
    }

    async fn change(&self, change: &Change<'_>) -> Result<Vec<Timestamp>, StoreError> {
        change::change(&self.inner, change).await
    }

    async fn journal(&self, filter: JournalFilter<'_>) -> Result<Vec<JournalEntry>, StoreError> {
        journal::list(&self.inner, filter).await
    }

    async fn last_stamp(&self) -> Result<Option<Timestamp>, StoreError> {
        journal::last_stamp(&self.inner).await
    }

    async fn programme_versions(&self, id: Option<&str>) -> Result<Vec<ProgrammeVersion>, StoreError> {
        programme::list(&self.inner, id).await
    }

    async fn put_shadow(&self, alerts: &[ShadowAlert]) -> Result<(), StoreError> {
        shadow::put(&self.inner, alerts).await
    }

    async fn shadow_alerts(
        &self,
        programme: &str,
        version: u32,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<ShadowAlert>, StoreError> {
        shadow::list(&self.inner, programme, version, since, until).await
    }

    async fn shadow_clear(&self, programme: &str, version: u32) -> Result<(), StoreError> {
        shadow::clear(&self.inner, programme, version).await
    }

    async fn messages(&self, patient: &PatientId, since: Timestamp) -> Result<Vec<StoredMessage>, StoreError> {
        messages::all(&self.inner, patient, since).await
    }

    async fn message_pages(&self, patient: &PatientId, since: Timestamp) -> Result<MessagePages, StoreError> {
        messages::pages(&self.inner, patient, since).await
    }

    async fn newest_messages(
        &self,
        patient: &PatientId,
        since: Timestamp,
        before: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        messages::newest(&self.inner, patient, since, before, limit).await
    }

    async fn message(&self, key: &KitSeq) -> Result<Option<(PatientId, StoredMessage)>, StoreError> {
        messages::one(&self.inner, key).await
    }

    async fn invalidated(&self, patient: Option<&PatientId>) -> Result<Vec<InvalidReading>, StoreError> {
        journal::invalidated(&self.inner, patient).await
    }

    async fn history(&self, filter: &HistoryFilter) -> Result<History, StoreError> {
        history::begin(&self.inner, filter).await
    }

    async fn open_alerts(&self, patient: Option<&PatientId>) -> Result<Vec<Alert>, StoreError> {
        read::open_alerts(&self.inner, patient).await
    }

    async fn alert(&self, id: AlertId) -> Result<Option<(Alert, Vec<AlertEvent>)>, StoreError> {
        read::alert(&self.inner, id).await
    }

    async fn alerts_of(&self, patient: &PatientId, limit: u32) -> Result<Vec<Alert>, StoreError> {
        read::alerts_of(&self.inner, patient, limit).await
    }

    async fn curves(
        &self,
        patient: &PatientId,
        vitals: &[Vital],
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Curve>, StoreError> {
        curves::curves(&self.inner, patient, vitals, since, limit).await
    }

    async fn long_curves(
        &self,
        patient: &PatientId,
        vitals: &[Vital],
        since: Timestamp,
        step: Step,
    ) -> Result<Vec<LongCurve>, StoreError> {
        if self.invalidated(Some(patient)).await?.is_empty() {
            spans::spans(&self.inner, patient, vitals, since, step).await
        } else {
            of_messages(self, patient, vitals, since, step).await
        }
    }

    async fn quarantine(&self, limit: u32) -> Result<(Vec<QuarantinedEntry>, u64), StoreError> {
        read::quarantine(&self.inner, limit).await
    }

    async fn quarantined(&self, id: i64) -> Result<Option<(QuarantinedEntry, Vec<u8>)>, StoreError> {
        read::quarantined(&self.inner, id).await
    }

    async fn roster(&self) -> Result<Roster, StoreError> {
        roster::get(&self.inner).await
    }

    async fn heard(&self, heard: &[Heard]) -> Result<(), StoreError> {
        roster::put_heard(&self.inner, heard).await
    }

    async fn last_heard(&self) -> Result<Vec<Heard>, StoreError> {
        roster::last_heard(&self.inner).await
    }

    async fn put_enrolment(&self, enrolment: &Enrolment) -> Result<(), StoreError> {
        enrolment::put(&self.inner, enrolment).await
    }

    async fn enrol(&self, code_sha256: &str, secret_sha256: &str, now: Timestamp) -> Result<Enrolled, StoreError> {
        enrolment::enrol(&self.inner, code_sha256, secret_sha256, now).await
    }

    async fn enrolments(&self) -> Result<Vec<Enrolment>, StoreError> {
        enrolment::all(&self.inner).await
    }

    async fn put_command(&self, command: &Command) -> Result<bool, StoreError> {
        command::put(&self.inner, command).await
    }

    async fn open_commands(&self, now: Timestamp, limit: u32) -> Result<Vec<Command>, StoreError> {
        command::open(&self.inner, now, limit).await
    }

    async fn commands_of(&self, kit: &KitId, limit: u32) -> Result<Vec<CommandState>, StoreError> {
        command::of_kit(&self.inner, kit, limit).await
    }

    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        sign_in::accounts(&self.inner).await
    }

    async fn account(&self, user: &str) -> Result<Option<Account>, StoreError> {
        sign_in::account(&self.inner, user).await
    }

    async fn put_web_session(&self, session: &WebSession) -> Result<(), StoreError> {
        sign_in::put_web_session(&self.inner, session).await
    }

    async fn web_session(&self, id: &str, now: Timestamp) -> Result<Option<WebSession>, StoreError> {
        sign_in::web_session(&self.inner, id, now).await
    }

    async fn end_web_session(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        sign_in::end_web_session(&self.inner, id, now).await
    }

    async fn dump(&self, of: Option<&PatientId>) -> Result<Dump, StoreError> {
        carry::dump(&self.inner, of).await
    }

    async fn holdings(&self) -> Result<Vec<(&'static str, u64)>, StoreError> {
        carry::holdings(&self.inner).await
    }

    async fn load(&self) -> Result<Box<dyn Load + '_>, StoreError> {
        carry::load(&self.inner).await
    }

    async fn erase(&self, patient: &PatientId, said: &[JournalEntry]) -> Result<Erased, StoreError> {
        erase::erase(&self.inner, patient, said).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        erase::scrub(&self.inner).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        read::ping(&self.inner).await
    }

    async fn stored(&self) -> Result<Stored, StoreError> {
        read::stored(&self.inner).await
    }

    async fn bytes(&self) -> Result<Option<u64>, StoreError> {
        read::bytes(&self.inner).await.map(Some)
    }

    fn connections(&self) -> Option<Connections> {
        Some(self.inner.link.connections())
    }

    async fn close(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        // Whoever still reads from a server that says nothing any more is not waited for.
        if timeout(CLOSE_WAIT, self.inner.link.readers.close()).await.is_err() {
            tracing::debug!("a question was still open when the store was closed");
        }
        self.inner.writer.close().await;
    }
}
