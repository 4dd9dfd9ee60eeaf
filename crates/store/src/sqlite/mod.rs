//! The built-in store: one SQLite file, one writer, a few readers.
//!
//! Decisions: 0020 (layout: messages are indexed, readings are not), 0021 (pragmas and the single writer).

mod commit;
mod convert;
mod insert;
mod keys;
mod migrate;
mod read;
mod roster;
mod sign_in;
mod trouble;
mod writer;

use std::{
    path::{Path, PathBuf},
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

use self::writer::Writer;
use crate::{
    Account, Batch, Curve, Heard, KitSeq, QuarantinedEntry, Roster, Store, StoreError, Stored, StoredMessage,
    WebSession,
};

/// Reads that run at once.
const READERS_MAX: u32 = 4;
/// How long a read waits for its turn.
const READER_WAIT: Duration = Duration::from_secs(30);
/// How long a lock that another program holds (a backup, a shell) is waited for.
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// After how many pages (4 KiB) of log SQLite copies it into the file: large, since each copy syncs twice.
const CHECKPOINT_PAGES: &str = "50000";
/// What is left of the log file after it was copied, if it had grown beyond that.
const WAL_KEPT_BYTES_MAX: &str = "268435456";
/// The writer's page cache, in KiB; SQLite takes the negative number.
const WRITER_CACHE_KIB: &str = "-65536";
/// Statements that a connection keeps prepared.
const STATEMENTS_MAX: usize = 128;

/// An SQLite file.
pub struct Sqlite {
    path: PathBuf,
    writer: Writer,
    readers: SqlitePool,
}

impl Sqlite {
    /// Opens a file, or makes it, and brings its schema up to this program's.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], or [`StoreError::Unusable`] in a sentence that says what to do.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = Writer::new(path, Some(writing(path)));
        writer.migrate().await?;
        Ok(Self { path: path.to_owned(), writer, readers: readers(path) })
    }

    /// Opens a file as it is, for reading only; beside a running service too.
    ///
    /// # Errors
    /// As [`open`](Self::open); and a file of an older schema is refused, since reading may not migrate it.
    pub async fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let readers = readers(path);
        let mut conn = readers.acquire().await.map_err(|error| trouble::of(path, error))?;
        let found = migrate::check(&mut conn, path).await?;
        drop(conn);
        if found < migrate::known() {
            let what = format!("schema version {found}, want {}: start vagt once to migrate it", migrate::known());
            let source = sqlx::Error::Configuration("an older schema".into());
            return Err(StoreError::Unusable { path: path.display().to_string(), what, source });
        }
        Ok(Self { path: path.to_owned(), writer: Writer::new(path, None), readers })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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

fn writing(path: &Path) -> SqliteConnectOptions {
    common(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", WAL_KEPT_BYTES_MAX)
        .pragma("cache_size", WRITER_CACHE_KIB)
        .pragma("temp_store", "memory")
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
    async fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        commit::commit(self, batch).await
    }

    async fn seen(&self, messages: &[KitSeq]) -> Result<Vec<(KitSeq, [u8; 32])>, StoreError> {
        read::seen(self, messages).await
    }

    async fn last_seqs(&self, kits: &[KitId]) -> Result<Vec<(KitId, u64)>, StoreError> {
        read::last_seqs(self, kits).await
    }

    async fn messages(&self, patient: &PatientId, since: Timestamp) -> Result<Vec<StoredMessage>, StoreError> {
        read::messages(self, patient, since).await
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
        read::curves(self, patient, vitals, since, limit).await
    }

    async fn quarantine(&self, limit: u32) -> Result<(Vec<QuarantinedEntry>, u64), StoreError> {
        read::quarantine(self, limit).await
    }

    async fn put_roster(&self, roster: &Roster, now: Timestamp) -> Result<(), StoreError> {
        roster::put(self, roster, now).await
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

    async fn put_account(&self, account: &Account) -> Result<(), StoreError> {
        sign_in::put_account(self, account).await
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

    async fn ping(&self) -> Result<(), StoreError> {
        read::ping(self).await
    }

    async fn stored(&self) -> Result<Stored, StoreError> {
        read::stored(self).await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
