//! The built-in store: one SQLite file, one writer, a few readers.
//!
//! Decisions: 0020 (layout: messages are chained, readings are ranges), 0021 (pragmas and the single writer).

mod carry;
mod chain;
mod change;
mod checkpoint;
mod command;
mod commit;
mod convert;
mod curves;
mod enrolment;
mod erase;
mod history;
mod insert;
mod journal;
mod keys;
mod messages;
mod migrate;
mod programme;
mod read;
mod roster;
mod shadow;
mod sign_in;
pub(crate) mod trouble;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{
    ConnectOptions, SqlitePool,
    pool::PoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use triage::{Alert, AlertEvent, AlertId};
use vitals::{KitId, PatientId, Vital};

use self::{
    checkpoint::{Bounds, Checkpoints},
    writer::Writer,
};
use crate::{
    Account, Batch, Change, Command, CommandState, Curve, Dump, Enrolled, Enrolment, Erased, Heard, History,
    HistoryFilter, InvalidReading, JournalEntry, JournalFilter, KitSeq, Load, MessagePages, ProgrammeVersion,
    QuarantinedEntry, Roster, ShadowAlert, Store, StoreError, Stored, StoredMessage, WebSession,
};

/// Reads that run at once.
const READERS_MAX: u32 = 4;
/// How long a read waits for its turn.
const READER_WAIT: Duration = Duration::from_secs(30);
/// How long a lock that another program holds (a backup, a shell) is waited for.
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// The writer's page cache, in KiB; SQLite takes the negative number.
const WRITER_CACHE_KIB: &str = "-65536";
/// Statements that a connection keeps prepared.
const STATEMENTS_MAX: usize = 128;

/// An SQLite file.
pub struct Sqlite {
    path: PathBuf,
    writer: Arc<Writer>,
    readers: SqlitePool,
    /// `None` where nothing is written.
    checkpoints: Option<Checkpoints>,
}

impl Sqlite {
    /// Opens a file, or makes it, and brings its schema up to this program's.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], or [`StoreError::Unusable`] in a sentence that says what to do.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_within(path, Bounds::default()).await
    }

    async fn open_within(path: &Path, bounds: Bounds) -> Result<Self, StoreError> {
        let writer = Arc::new(Writer::new(path, Some(Options { log_kept_bytes: bounds.copied })));
        writer.migrate().await?;
        let checkpoints = Some(Checkpoints::start(path, copying(path), writer.clone(), bounds));
        Ok(Self { path: path.to_owned(), writer, readers: readers(path), checkpoints })
    }

    /// Opens a file as it is, for reading only; beside a running service too.
    ///
    /// # Errors
    /// As [`open`](Self::open); and a file of an older schema is refused, since reading may not migrate it.
    pub async fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        if matches!(path.try_exists(), Ok(false)) {
            return Err(trouble::said(
                path,
                "there is no store yet: `vagt serve` makes it at its first start",
                "no file",
            ));
        }
        let readers = readers(path);
        let mut conn = readers.acquire().await.map_err(|error| trouble::of(path, error))?;
        let found = migrate::check(&mut conn, path).await?;
        drop(conn);
        if found < migrate::known() {
            let what = format!("schema version {found}, want {}: start vagt once to migrate it", migrate::known());
            let source = sqlx::Error::Configuration("an older schema".into());
            return Err(StoreError::Unusable { path: path.display().to_string(), what, source });
        }
        Ok(Self { path: path.to_owned(), writer: Arc::new(Writer::new(path, None)), readers, checkpoints: None })
    }

    /// Writes a copy of the file as it is at this moment, whole, beside whoever writes, and looks through it.
    ///
    /// # Errors
    /// The copy can't be written, or something in the file is damaged.
    pub async fn copy(&self, to: &Path) -> Result<(), StoreError> {
        let mut conn = self.readers.acquire().await.map_err(|error| self.trouble(error))?;
        let copied = sqlx::query("VACUUM INTO ?1").bind(to.display().to_string()).execute(&mut *conn).await;
        copied.map_err(|error| trouble::of(to, error))?;
        drop(conn);
        Self::check(to).await
    }

    /// Is everything in this file in order?
    ///
    /// # Errors
    /// It is not, and what was found first.
    pub async fn check(path: &Path) -> Result<(), StoreError> {
        let mut conn = common(path).read_only(true).connect().await.map_err(|error| trouble::of(path, error))?;
        let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
            .fetch_one(&mut conn)
            .await
            .map_err(|error| trouble::of(path, error))?;
        if found == "ok" { Ok(()) } else { Err(trouble::said(path, &format!("damaged: {found}"), "integrity_check")) }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What SQLite lays beside a file while it is open, or was when it was killed: its log, and the index of that. They belong to that file: beside
    /// another they would be read as its newest pages.
    #[must_use]
    pub fn beside(path: &Path) -> [PathBuf; 2] {
        ["-wal", "-shm"].map(|more| {
            let mut beside = path.as_os_str().to_owned();
            beside.push(more);
            beside.into()
        })
    }

    /// An error of this file, in words where there are any.
    fn trouble(&self, error: sqlx::Error) -> StoreError {
        trouble::of(&self.path, error)
    }
}

fn common(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_WAIT)
        .foreign_keys(true)
        .statement_cache_capacity(STATEMENTS_MAX)
        .disable_statement_logging()
}

/// What both of the writer's connections begin with.
#[derive(Clone)]
struct Options {
    log_kept_bytes: u64,
}

impl Options {
    fn pragmas(&self) -> [(&'static str, String); 4] {
        [
            ("wal_autocheckpoint", "0".to_owned()),
            ("journal_size_limit", self.log_kept_bytes.to_string()),
            ("cache_size", WRITER_CACHE_KIB.to_owned()),
            ("temp_store", "memory".to_owned()),
        ]
    }

    /// For the connection of what is small, which makes the file and brings it up to date.
    fn small(&self, path: &Path) -> SqliteConnectOptions {
        let options = common(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        self.pragmas().into_iter().fold(options, |options, (name, value)| options.pragma(name, value))
    }

    /// For the connection of batches, when it has been opened.
    fn apply(&self, conn: &rusqlite::Connection) -> Result<(), rusqlite::Error> {
        conn.busy_timeout(BUSY_WAIT)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        conn.pragma_update(None, "synchronous", "full")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        self.pragmas().into_iter().try_for_each(|(name, value)| conn.pragma_update(None, name, value))
    }
}

fn copying(path: &Path) -> SqliteConnectOptions {
    common(path)
        .busy_timeout(checkpoint::READERS_WAIT)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "0")
}

fn readers(path: &Path) -> SqlitePool {
    PoolOptions::new()
        .max_connections(READERS_MAX)
        .acquire_timeout(READER_WAIT)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(common(path).read_only(true))
}

/// Each line hands over to the file that does it.
#[async_trait]
impl Store for Sqlite {
    async fn commit_shared(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        commit::commit(self, batch).await
    }

    async fn seen(&self, messages: &[KitSeq]) -> Result<Vec<(KitSeq, [u8; 32])>, StoreError> {
        read::seen(self, messages).await
    }

    async fn last_seqs(&self, kits: &[KitId]) -> Result<Vec<(KitId, u64)>, StoreError> {
        read::last_seqs(self, kits).await
    }

    async fn change(&self, change: &Change<'_>) -> Result<Vec<Timestamp>, StoreError> {
        change::change(self, change).await
    }

    async fn journal(&self, filter: JournalFilter<'_>) -> Result<Vec<JournalEntry>, StoreError> {
        journal::list(self, filter).await
    }

    async fn last_stamp(&self) -> Result<Option<Timestamp>, StoreError> {
        journal::last_stamp(self).await
    }

    async fn programme_versions(&self, id: Option<&str>) -> Result<Vec<ProgrammeVersion>, StoreError> {
        programme::list(self, id).await
    }

    async fn put_shadow(&self, alerts: &[ShadowAlert]) -> Result<(), StoreError> {
        shadow::put(self, alerts).await
    }

    async fn shadow_alerts(
        &self,
        programme: &str,
        version: u32,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<ShadowAlert>, StoreError> {
        shadow::list(self, programme, version, since, until).await
    }

    async fn shadow_clear(&self, programme: &str, version: u32) -> Result<(), StoreError> {
        shadow::clear(self, programme, version).await
    }

    async fn messages(&self, patient: &PatientId, since: Timestamp) -> Result<Vec<StoredMessage>, StoreError> {
        messages::all(self, patient, since).await
    }

    async fn message_pages(&self, patient: &PatientId, since: Timestamp) -> Result<MessagePages, StoreError> {
        messages::pages(self, patient, since).await
    }

    async fn newest_messages(
        &self,
        patient: &PatientId,
        since: Timestamp,
        before: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        messages::newest(self, patient, since, before, limit).await
    }

    async fn message(&self, key: &KitSeq) -> Result<Option<(PatientId, StoredMessage)>, StoreError> {
        messages::one(self, key).await
    }

    async fn invalidated(&self, patient: Option<&PatientId>) -> Result<Vec<InvalidReading>, StoreError> {
        journal::invalidated(self, patient).await
    }

    async fn history(&self, filter: &HistoryFilter) -> Result<History, StoreError> {
        history::begin(self, filter).await
    }

    async fn open_alerts(&self, patient: Option<&PatientId>) -> Result<Vec<Alert>, StoreError> {
        read::open_alerts(self, patient).await
    }

    async fn alert(&self, id: AlertId) -> Result<Option<(Alert, Vec<AlertEvent>)>, StoreError> {
        read::alert(self, id).await
    }

    async fn alerts_of(&self, patient: &PatientId, limit: u32) -> Result<Vec<Alert>, StoreError> {
        read::alerts_of(self, patient, limit).await
    }

    async fn curves(
        &self,
        patient: &PatientId,
        vitals: &[Vital],
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Curve>, StoreError> {
        curves::curves(self, patient, vitals, since, limit).await
    }

    async fn quarantine(&self, limit: u32) -> Result<(Vec<QuarantinedEntry>, u64), StoreError> {
        read::quarantine(self, limit).await
    }

    async fn quarantined(&self, id: i64) -> Result<Option<(QuarantinedEntry, Vec<u8>)>, StoreError> {
        read::quarantined(self, id).await
    }

    async fn roster(&self) -> Result<Roster, StoreError> {
        roster::get(self).await
    }

    async fn heard(&self, heard: &[Heard]) -> Result<(), StoreError> {
        roster::put_heard(self, heard).await
    }

    async fn last_heard(&self) -> Result<Vec<Heard>, StoreError> {
        roster::last_heard(self).await
    }

    async fn put_enrolment(&self, enrolment: &Enrolment) -> Result<(), StoreError> {
        enrolment::put(self, enrolment).await
    }

    async fn enrol(&self, code_sha256: &str, secret_sha256: &str, now: Timestamp) -> Result<Enrolled, StoreError> {
        enrolment::enrol(self, code_sha256, secret_sha256, now).await
    }

    async fn enrolments(&self) -> Result<Vec<Enrolment>, StoreError> {
        enrolment::all(self).await
    }

    async fn put_command(&self, command: &Command) -> Result<bool, StoreError> {
        command::put(self, command).await
    }

    async fn open_commands(&self, now: Timestamp, limit: u32) -> Result<Vec<Command>, StoreError> {
        command::open(self, now, limit).await
    }

    async fn commands_of(&self, kit: &KitId, limit: u32) -> Result<Vec<CommandState>, StoreError> {
        command::of_kit(self, kit, limit).await
    }

    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        sign_in::accounts(self).await
    }

    async fn account(&self, user: &str) -> Result<Option<Account>, StoreError> {
        sign_in::account(self, user).await
    }

    async fn put_web_session(&self, session: &WebSession) -> Result<(), StoreError> {
        sign_in::put_web_session(self, session).await
    }

    async fn web_session(&self, id: &str, now: Timestamp) -> Result<Option<WebSession>, StoreError> {
        sign_in::web_session(self, id, now).await
    }

    async fn end_web_session(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        sign_in::end_web_session(self, id, now).await
    }

    async fn dump(&self, of: Option<&PatientId>) -> Result<Dump, StoreError> {
        carry::dump(self, of).await
    }

    async fn holdings(&self) -> Result<Vec<(&'static str, u64)>, StoreError> {
        carry::holdings(self).await
    }

    async fn load(&self) -> Result<Box<dyn Load + '_>, StoreError> {
        carry::load(self).await
    }

    async fn erase(&self, patient: &PatientId, said: &[JournalEntry]) -> Result<Erased, StoreError> {
        erase::erase(self, patient, said).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        erase::scrub(self).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        read::ping(self).await
    }

    async fn stored(&self) -> Result<Stored, StoreError> {
        read::stored(self).await
    }

    async fn close(&self) {
        self.readers.close().await;
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.end().await;
        }
        self.writer.close().await;
    }
}
