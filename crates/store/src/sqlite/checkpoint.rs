//! Copies the log into the file, beside the commits instead of in one of them.
//!
//! Once the log file is larger than what it is kept at, the bulk is copied while commits go on; then, between two commits, the little that
//! came meanwhile, so that the next commit begins the log anew and cuts the file back. A reader that stays in the middle of a question keeps
//! the log from beginning anew: beyond the second bound, commits wait until it has ended.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{sync::Notify, task::JoinHandle};

use super::{Sqlite, writer::Writer};

/// The log is copied when its file is larger than this; afterwards it is cut back to it. A disk that takes the copy keeps commits waiting for as
/// long, so it is little and often.
const WAL_COPIED_BYTES: u64 = 8 << 20;
/// Beyond this, commits wait until the log is copied and empty. What one look and the next let in comes on top.
const WAL_BYTES_MAX: u64 = 512 << 20;
/// How often the log's size is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long commits wait for readers to end, at most; if they don't, it is tried again when the log has grown by a quarter of its bound.
pub(super) const READERS_WAIT: Duration = Duration::from_secs(1);
/// Copies beside the commits, before the one that they wait for.
const COPIES_BESIDE: u32 = 2;

/// How far the log may grow.
#[derive(Clone)]
pub(super) struct Bounds {
    /// Beyond this many bytes it is copied.
    pub(super) copied: u64,
    /// Beyond this many bytes commits wait for that.
    pub(super) most: u64,
    /// How often it is looked at.
    pub(super) every: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { copied: WAL_COPIED_BYTES, most: WAL_BYTES_MAX, every: LOOK_EVERY }
    }
}

/// The task that looks. Ends when this is dropped.
pub(super) struct Checkpoints {
    stop: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpoints {
    /// Begins to look.
    pub(super) fn start(path: &Path, options: SqliteConnectOptions, writer: Arc<Writer>, bounds: Bounds) -> Self {
        let stop = Arc::new(Notify::new());
        let look = Look { log: log_of(path), options, writer, most: bounds.most, bounds, conn: None };
        let task = tokio::spawn(look.run(stop.clone()));
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// Stops, and waits until it has closed its connection.
    pub(super) async fn end(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            self.stop.notify_one();
            if let Err(error) = task.await {
                tracing::warn!(%error, "what copies the store's log had ended already");
            }
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

fn log_of(path: &Path) -> PathBuf {
    let [log, _] = Sqlite::beside(path);
    log
}

struct Look {
    log: PathBuf,
    options: SqliteConnectOptions,
    writer: Arc<Writer>,
    bounds: Bounds,
    /// The second bound, or more while a reader stays.
    most: u64,
    conn: Option<SqliteConnection>,
}

impl Look {
    async fn run(mut self, stop: Arc<Notify>) {
        while tokio::time::timeout(self.bounds.every, stop.notified()).await.is_err() {
            let bytes = tokio::fs::metadata(&self.log).await.map_or(0, |log| log.len());
            if bytes > self.bounds.copied
                && let Err(error) = self.copy(bytes).await
            {
                tracing::warn!(%error, bytes, "the store's log could not be copied into its file; trying again");
            }
        }
        if let Some(conn) = self.conn
            && let Err(error) = conn.close().await
        {
            tracing::warn!(%error, "the connection that copies the store's log was not closed in order");
        }
    }

    /// A connection that failed is dropped; the next look opens another.
    async fn copy(&mut self, bytes: u64) -> Result<(), sqlx::Error> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.options.connect().await?,
        };
        for _ in 0..COPIES_BESIDE {
            run(&mut conn, "PRAGMA wal_checkpoint(PASSIVE)").await?;
        }
        let pause = self.writer.pause().await;
        if bytes > self.most {
            let busy = run(&mut conn, "PRAGMA wal_checkpoint(TRUNCATE)").await?;
            self.most = if busy { bytes + self.bounds.most / 4 } else { self.bounds.most };
            if busy {
                tracing::warn!(bytes, "the store's log can't begin anew: a reader, perhaps a backup, has not ended");
            }
        } else {
            run(&mut conn, "PRAGMA wal_checkpoint(PASSIVE)").await?;
        }
        drop(pause);
        self.conn = Some(conn);
        Ok(())
    }
}

/// Was something in the way of the copy?
async fn run(conn: &mut SqliteConnection, sql: &'static str) -> Result<bool, sqlx::Error> {
    sqlx::query(sql).fetch_one(conn).await?.try_get(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Sqlite, Store,
        conformance::sample::{batch, plain},
    };

    const SMALL: Bounds = Bounds { copied: 128 << 10, most: 1 << 20, every: Duration::from_millis(5) };

    async fn fill(store: &Sqlite, batches: std::ops::Range<u64>) -> u64 {
        let log = log_of(store.path());
        let mut largest = 0;
        for first in batches.map(|n| 1 + n * 100) {
            store
                .commit(&batch(0, (first..first + 100).map(|seq| plain("kit-1", seq, "p-1")).collect()))
                .await
                .unwrap();
            largest = largest.max(std::fs::metadata(&log).unwrap().len());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        largest
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_log_is_copied_beside_the_commits_and_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vagt.db");
        let never = Bounds { every: Duration::from_secs(3_600), ..SMALL };
        let store = Sqlite::open_within(&path, never).await.unwrap();
        let unbounded = fill(&store, 0..300).await;
        store.close().await;
        assert_eq!(std::fs::metadata(log_of(&path)).map_or(0, |log| log.len()), 0, "closing leaves no log");

        let store = Sqlite::open_within(&path, SMALL).await.unwrap();
        let bounded = fill(&store, 300..600).await;
        assert!(unbounded > 8 << 20, "{unbounded} bytes: the test has lost its teeth");
        assert!(bounded < unbounded / 3, "{bounded} bytes of log, without copying {unbounded}");
        assert_eq!(store.stored().await.unwrap().messages, 60_000);
        store.close().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_reader_in_the_middle_of_a_question_delays_the_log_and_spoils_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open_within(&folder.path().join("vagt.db"), SMALL).await.unwrap();
        fill(&store, 0..1).await;
        let mut reader = store.readers.begin().await.unwrap();
        let count = "SELECT count(*) FROM message";
        assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *reader).await.unwrap(), 100);
        let held = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let count = sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *reader).await.unwrap();
            reader.commit().await.unwrap();
            count
        };
        let (_, count) = tokio::join!(fill(&store, 1..200), held);
        assert_eq!(count, 100, "a question sees one state of the store");
        let end = fill(&store, 200..210).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let after = fill(&store, 210..211).await;
        assert!(after <= end && after < 2 * SMALL.most, "{after} bytes after {end}");
        assert_eq!(store.stored().await.unwrap().messages, 21_100);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_history_that_nobody_goes_on_with_holds_up_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open_within(&folder.path().join("vagt.db"), SMALL).await.unwrap();
        fill(&store, 0..300).await;
        let mut history = store.history(&crate::HistoryFilter::default()).await.unwrap();
        let mut found = history.next().await.unwrap().unwrap().messages.len();
        let largest = fill(&store, 300..600).await;
        assert!(largest < 2 * SMALL.most, "{largest} bytes of log");
        while let Some(chunk) = history.next().await {
            found += chunk.unwrap().messages.len();
        }
        assert_eq!(found, 30_000, "what came later is not of this history");
    }
}
