//! The single writer: one connection, one transaction at a time.
//!
//! A transaction takes the connection and its keys out of their place and brings them back when it has committed. Whatever else happens
//! (an error, a full disk, a caller that gave up waiting), the connection is dropped, which rolls back, and the next write opens another:
//! SQLite may already have rolled back by itself, and the keys in memory may be of rows that are no longer there. Another program's commit
//! empties that memory too, since the ends of chains move.

use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions, Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{Mutex, MutexGuard};

use super::{keys::Keys, migrate, trouble};
use crate::StoreError;

/// Where the connection is when nothing is being written.
pub(super) struct Writer {
    path: PathBuf,
    place: Mutex<Place>,
}

struct Place {
    /// `None` where writing is not allowed, or no longer.
    options: Option<SqliteConnectOptions>,
    session: Option<Session>,
    refusal: fn() -> StoreError,
}

/// A connection, and what it knows of the file.
struct Session {
    conn: SqliteConnection,
    keys: Keys,
    /// `PRAGMA data_version`: moves when another connection has committed.
    data_version: i64,
}

/// Nothing is written while this is held.
pub(super) struct Pause<'a>(#[expect(dead_code, reason = "held, never read")] MutexGuard<'a, Place>);

/// A transaction under way: rolled back unless [`commit`](Self::commit) is called.
pub(super) struct Write<'a> {
    path: &'a Path,
    place: MutexGuard<'a, Place>,
    session: Session,
}

impl Writer {
    /// Without options, every write is refused.
    pub(super) fn new(path: &Path, options: Option<SqliteConnectOptions>) -> Self {
        let place = Place { options, session: None, refusal: || StoreError::ReadOnly };
        Self { path: path.to_owned(), place: Mutex::new(place) }
    }

    /// Opens the connection and brings the schema up to date.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let mut place = self.place.lock().await;
        let mut session = self.session(&mut place).await?;
        migrate::up(&mut session.conn, &self.path).await?;
        place.session = Some(session);
        Ok(())
    }

    /// Waits for its turn and begins.
    pub(super) async fn begin(&self) -> Result<Write<'_>, StoreError> {
        let mut place = self.place.lock().await;
        let session = self.session(&mut place).await?;
        let mut write = Write { path: &self.path, place, session };
        write.run("BEGIN IMMEDIATE").await?;
        write.forget_what_is_old().await?;
        Ok(write)
    }

    /// Waits for what is under way, and keeps others from beginning for as long as it is held.
    pub(super) async fn pause(&self) -> Pause<'_> {
        Pause(self.place.lock().await)
    }

    /// Waits for what is under way, then refuses everything.
    pub(super) async fn close(&self) {
        let mut place = self.place.lock().await;
        place.options = None;
        place.refusal = || StoreError::Closed;
        if let Some(session) = place.session.take()
            && let Err(error) = in_order(session.conn).await
        {
            tracing::warn!(%error, "the store's file was not closed in order; it is whole nevertheless");
        }
    }

    async fn session(&self, place: &mut Place) -> Result<Session, StoreError> {
        if let Some(session) = place.session.take() {
            return Ok(session);
        }
        let options = place.options.as_ref().ok_or_else(place.refusal)?;
        let conn = options.connect().await.map_err(|error| trouble::of(&self.path, error))?;
        Ok(Session { conn, keys: Keys::default(), data_version: 0 })
    }
}

/// Copies the log into the file, empties it, and closes.
async fn in_order(mut conn: SqliteConnection) -> Result<(), sqlx::Error> {
    let copied = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut conn).await;
    conn.close().await?;
    copied.map(|_| ())
}

impl Write<'_> {
    /// The connection, and the keys that it made.
    pub(super) fn parts(&mut self) -> (&mut SqliteConnection, &mut Keys) {
        (&mut self.session.conn, &mut self.session.keys)
    }

    /// The connection.
    pub(super) fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.session.conn
    }

    /// Commits durably, and leaves the connection for the next.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        self.run("COMMIT").await?;
        let Self { mut place, session, .. } = self;
        place.session = Some(session);
        Ok(())
    }

    /// In the transaction, so that nobody else can commit after it.
    async fn forget_what_is_old(&mut self) -> Result<(), StoreError> {
        let row = sqlx::query("PRAGMA data_version").fetch_one(&mut self.session.conn).await;
        let found: i64 = row.and_then(|row| row.try_get(0)).map_err(|error| trouble::of(self.path, error))?;
        if found != self.session.data_version {
            self.session.keys = Keys::default();
            self.session.data_version = found;
        }
        Ok(())
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let done = sqlx::query(sql).execute(&mut self.session.conn).await;
        done.map(|_| ()).map_err(|error| trouble::of(self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        Sqlite, Store, StoreError,
        conformance::sample::{batch, plain},
    };

    fn of_100(first: u64) -> crate::Batch {
        batch(0, (first..first + 100).map(|seq| plain("kit-1", seq, "p-1")).collect())
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_and_the_store_goes_on_when_there_is_space_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        store.commit(&of_100(1)).await.unwrap();
        for first in [1_001, 2_001] {
            // The limit belongs to the connection, which a failed write throws away: the next one has space again.
            let mut write = store.writer.begin().await.unwrap();
            sqlx::raw_sql("PRAGMA max_page_count = 1").execute(write.conn()).await.unwrap();
            write.commit().await.unwrap();

            let large = (0..20).flat_map(|n| of_100(first + n * 100).entries).collect();
            let error = store.commit(&batch(0, large)).await.unwrap_err();
            assert!(matches!(error, StoreError::Unusable { .. }), "{error:?}");
            assert!(error.to_string().contains("vagt.db: the disk is full: free some space"), "{error}");
            assert_eq!(store.stored().await.unwrap().messages % 100, 0);
            assert_eq!(
                store.last_seqs(&["kit-1".parse().unwrap()]).await.unwrap()[0].1 % 1_000,
                100,
                "nothing of it is there"
            );

            store.ping().await.unwrap();
            store.commit(&of_100(first)).await.unwrap();
        }
        assert_eq!(store.stored().await.unwrap().messages, 300);
    }

    #[tokio::test]
    async fn a_commit_that_nobody_waits_for_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        let mut cut = 0;
        for round in 0..40 {
            let given_up = Duration::from_micros(round * 100);
            let done = tokio::time::timeout(given_up, store.commit(&of_100(1 + round * 100))).await;
            cut += u32::from(done.is_err());
            assert_eq!(store.stored().await.unwrap().messages % 100, 0, "round {round}");
        }
        assert!(cut > 0, "no round was cut off: the test has lost its teeth");
        store.commit(&of_100(1_000_001)).await.unwrap();
        let patient = "p-1".parse().unwrap();
        let found = store.messages(&patient, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
        assert_eq!(found.len() as u64, store.stored().await.unwrap().messages);
        assert!(found.iter().all(|message| message.readings.len() == 1), "keys of a cut-off transaction were used");
    }

    #[tokio::test]
    async fn another_process_writing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vagt.db");
        let (one, two) = (Sqlite::open(&path).await.unwrap(), Sqlite::open(&path).await.unwrap());
        let write = one.writer.begin().await.unwrap();
        let batch = of_100(1);
        let second = two.commit(&batch);
        let release = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            write.commit().await
        };
        let (second, first) = tokio::join!(second, release);
        first.unwrap();
        second.unwrap();
        assert_eq!(one.stored().await.unwrap().messages, 100);
    }

    #[tokio::test]
    async fn a_store_opened_for_reading_reads_beside_the_writer_and_refuses_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vagt.db");
        assert!(Sqlite::open_read_only(&path).await.is_err(), "there is nothing to read");
        let store = Sqlite::open(&path).await.unwrap();
        let reader = Sqlite::open_read_only(&path).await.unwrap();
        store.commit(&of_100(1)).await.unwrap();
        assert_eq!(reader.stored().await.unwrap().messages, 100);
        assert!(matches!(reader.commit(&of_100(101)).await, Err(StoreError::ReadOnly)));
        assert!(matches!(reader.ping().await, Err(StoreError::ReadOnly)));
        store.close().await;
        assert_eq!(store.commit(&of_100(101)).await.unwrap_err().to_string(), "the store is closed");
        drop(reader);
        let alone = Sqlite::open_read_only(&path).await.unwrap();
        assert_eq!(alone.stored().await.unwrap().messages, 100);
    }
}
