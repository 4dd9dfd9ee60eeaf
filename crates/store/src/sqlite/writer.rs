//! The single writer: one transaction at a time, over two connections: one for batches, which a thread of its own works with, and one for
//! everything small.
//!
//! A transaction takes its connection out of its place and brings it back when it has committed. Whatever else happens (an error, a full
//! disk, a small write that nobody waits for any more), the connection is dropped, which rolls back, and the next write opens another:
//! SQLite may already have rolled back by itself, and the keys in memory may be of rows that are no longer there. A commit over any other
//! connection, ours or another program's, empties that memory too, since the ends of chains move.

use std::{
    fs::OpenOptions,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection as Direct, OpenFlags};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Options, history::Stopped, keys::Keys, migrate, trouble};
use crate::StoreError;

/// Where the connections are when nothing is being written.
pub(super) struct Writer {
    path: PathBuf,
    place: Arc<Mutex<Place>>,
}

struct Place {
    /// `None` where writing is not allowed, or no longer.
    options: Option<Options>,
    small: Option<SqliteConnection>,
    batches: Option<Batches>,
    refusal: fn() -> StoreError,
}

/// The connection for batches, and what it knows of the file.
struct Batches {
    conn: Direct,
    keys: Keys,
    /// `PRAGMA data_version`: moves when another connection has committed.
    data_version: i64,
}

/// Nothing is written while this is held.
pub(super) struct Pause(#[expect(dead_code, reason = "held, never read")] OwnedMutexGuard<Place>);

/// The turn of a batch.
pub(super) struct Turn {
    path: PathBuf,
    place: OwnedMutexGuard<Place>,
}

/// A transaction of many pieces: rolled back unless [`commit`](Self::commit) is called.
pub(super) struct Pieces {
    turn: Turn,
    batches: Batches,
}

/// A small transaction under way: rolled back unless [`commit`](Self::commit) is called.
pub(super) struct Write<'a> {
    path: &'a Path,
    place: OwnedMutexGuard<Place>,
    conn: SqliteConnection,
}

impl Writer {
    /// Without options, every write is refused.
    pub(super) fn new(path: &Path, options: Option<Options>) -> Self {
        let place = Place { options, small: None, batches: None, refusal: || StoreError::ReadOnly };
        Self { path: path.to_owned(), place: Arc::new(Mutex::new(place)) }
    }

    /// Opens the connection and brings the schema up to date.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let mut place = self.place.lock().await;
        place.options()?;
        nobody_elses(&self.path);
        let mut conn = place.small(&self.path).await?;
        migrate::up(&mut conn, &self.path).await?;
        place.small = Some(conn);
        Ok(())
    }

    /// Waits for its turn and begins something small.
    pub(super) async fn begin(&self) -> Result<Write<'_>, StoreError> {
        let mut place = Arc::clone(&self.place).lock_owned().await;
        let conn = place.small(&self.path).await?;
        let mut write = Write { path: &self.path, place, conn };
        write.run("BEGIN IMMEDIATE").await?;
        Ok(write)
    }

    /// Waits for the turn of a batch.
    pub(super) async fn turn(&self) -> Result<Turn, StoreError> {
        let place = Arc::clone(&self.place).lock_owned().await;
        place.options()?;
        Ok(Turn { path: self.path.clone(), place })
    }

    /// Waits for what is under way, and keeps others from beginning for as long as it is held.
    pub(super) async fn pause(&self) -> Pause {
        Pause(Arc::clone(&self.place).lock_owned().await)
    }

    /// Waits for what is under way, then refuses everything.
    pub(super) async fn close(&self) {
        let mut place = self.place.lock().await;
        place.options = None;
        place.refusal = || StoreError::Closed;
        place.batches = None;
        if let Some(conn) = place.small.take()
            && let Err(error) = in_order(conn).await
        {
            tracing::warn!(%error, "the store's file was not closed in order; it is whole nevertheless");
        }
    }
}

/// A store that is made now is read and written by its owner alone; what SQLite lays beside it follows. Where that can't be, opening says why.
fn nobody_elses(path: &Path) {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    if let Err(error) = made
        && error.kind() != ErrorKind::AlreadyExists
    {
        tracing::debug!(%error, "the store's file can't be made");
    }
}

impl Place {
    fn options(&self) -> Result<&Options, StoreError> {
        self.options.as_ref().ok_or_else(self.refusal)
    }

    async fn small(&mut self, path: &Path) -> Result<SqliteConnection, StoreError> {
        let options: SqliteConnectOptions = self.options()?.small(path);
        match self.small.take() {
            Some(conn) => Ok(conn),
            None => options.connect().await.map_err(|error| trouble::of(path, error)),
        }
    }
}

/// Copies the log into the file, empties it, and closes.
async fn in_order(mut conn: SqliteConnection) -> Result<(), sqlx::Error> {
    let copied = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut conn).await;
    conn.close().await?;
    copied.map(|_| ())
}

impl Turn {
    /// Does its work in one transaction and commits it durably. Waits for the disk.
    pub(super) fn commit(self, work: impl FnOnce(&Direct, &mut Keys) -> Result<(), Stopped>) -> Result<(), StoreError> {
        let mut pieces = self.begin()?;
        pieces.put(work)?;
        pieces.commit()
    }

    /// Begins one that takes many pieces.
    pub(super) fn begin(mut self) -> Result<Pieces, StoreError> {
        let begun = self.batches().and_then(|mut batches| {
            batches.conn.prepare_cached("BEGIN IMMEDIATE")?.raw_execute()?;
            batches.forget_what_is_old()?;
            Ok(batches)
        });
        let batches = begun.map_err(|stopped| trouble::of_stopped(&self.path, stopped))?;
        Ok(Pieces { turn: self, batches })
    }

    fn batches(&mut self) -> Result<Batches, Stopped> {
        if let Some(batches) = self.place.batches.take() {
            return Ok(batches);
        }
        let options = self.place.options().map_err(Stopped::Known)?;
        let conn =
            Direct::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        options.apply(&conn)?;
        Ok(Batches { conn, keys: Keys::default(), data_version: 0 })
    }
}

impl Pieces {
    /// One piece. Waits for the disk.
    pub(super) fn put(
        &mut self,
        work: impl FnOnce(&Direct, &mut Keys) -> Result<(), Stopped>,
    ) -> Result<(), StoreError> {
        let Self { turn, batches } = self;
        work(&batches.conn, &mut batches.keys).map_err(|stopped| trouble::of_stopped(&turn.path, stopped))
    }

    /// Commits it durably.
    pub(super) fn commit(mut self) -> Result<(), StoreError> {
        self.put(|conn, _| Ok(conn.prepare_cached("COMMIT")?.raw_execute().map(drop)?))?;
        self.turn.place.batches = Some(self.batches);
        Ok(())
    }
}

impl Batches {
    /// In the transaction, so that nobody else can commit after it.
    fn forget_what_is_old(&mut self) -> Result<(), rusqlite::Error> {
        let found = self.conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if found != self.data_version {
            self.keys = Keys::default();
            self.data_version = found;
        }
        Ok(())
    }
}

impl Write<'_> {
    /// The connection.
    pub(super) fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.conn
    }

    /// Commits durably, and leaves the connection for the next.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        self.run("COMMIT").await?;
        let Self { mut place, conn, .. } = self;
        place.small = Some(conn);
        Ok(())
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let done = sqlx::query(sql).execute(&mut self.conn).await;
        done.map(|_| ()).map_err(|error| trouble::of(self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Direct;
    use crate::{
        Sqlite, Store, StoreError,
        conformance::sample::{batch, plain},
    };

    fn of_100(first: u64) -> crate::Batch {
        batch(0, (first..first + 100).map(|seq| plain("kit-1", seq, "p-1")).collect())
    }

    #[tokio::test]
    async fn a_store_is_read_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        store.commit(&of_100(1)).await.unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_and_the_store_goes_on_when_there_is_space_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        store.commit(&of_100(1)).await.unwrap();
        for first in [1_001, 2_001] {
            // The limit belongs to the connection, which a failed write throws away: the next one has space again.
            let limit = |conn: &Direct| conn.query_row("PRAGMA max_page_count = 1", [], |_| Ok(()));
            store.writer.turn().await.unwrap().commit(|conn, _| Ok(limit(conn)?)).unwrap();

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
