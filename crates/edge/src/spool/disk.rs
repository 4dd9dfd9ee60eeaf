//! The spool's file: SQLite (bundled) in WAL mode with full sync, so that what is committed survives a pulled plug.
//!
//! `spool` holds the messages that the core has not acknowledged, `seen` what devices have already told, `meta` the next `seq` and what
//! had to be given up, `refused` what the broker did not want, `kept` what the kit remembers besides (see [`crate::round`]). Every change is one transaction.

mod rows;

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};

use super::row::{Row, SeenKey};
use rows::{columns, delete_rows, evict, refuse_rows, renumber_rows, row_of, signed, unsigned, write_batch};

/// The schema that this program writes and reads.
const SCHEMA_VERSION: i64 = 1;
/// The write-ahead log is cut back to this after a checkpoint, in bytes.
const WAL_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The most device records that are remembered; the oldest are forgotten first.
pub const SEEN_ROWS_MAX: i64 = 20_000;
/// The most refused messages that are kept; the oldest are forgotten first.
pub const REFUSED_ROWS_MAX: i64 = 100;
/// Messages taken over from a damaged file in one step.
const SALVAGE_ROWS_STEP: i64 = 64;
/// A larger number in a damaged file is part of the damage.
const SALVAGED_SEQ_MAX: u64 = 1 << 52;
const SALVAGE_FORWARD: &str = "SELECT seq, body, created_at, priority, sum FROM damaged.spool
    WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?";
const SALVAGE_BACKWARD: &str = "SELECT seq, body, created_at, priority, sum FROM damaged.spool
    WHERE seq > ? AND seq < ? ORDER BY seq DESC LIMIT ?";
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS spool (
        seq INTEGER PRIMARY KEY, body TEXT NOT NULL, created_at INTEGER NOT NULL, bytes INTEGER NOT NULL, priority INTEGER NOT NULL,
        sum INTEGER
    ) STRICT;
    CREATE INDEX IF NOT EXISTS spool_by_worth ON spool (priority, seq);
    CREATE TABLE IF NOT EXISTS seen (
        device TEXT NOT NULL, device_time TEXT NOT NULL, vital TEXT NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (device, device_time, vital, value)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS seen_by_seq ON seen (seq);
    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS refused (
        seq INTEGER PRIMARY KEY, body TEXT NOT NULL, created_at INTEGER NOT NULL, why TEXT NOT NULL
    ) STRICT;
    PRAGMA user_version = 1;
";

/// Why the file can't be used right now.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No space left.
    #[error("the disk is full")]
    Full(#[source] sqlx::Error),
    /// The file system takes no writes.
    #[error("the disk is read-only")]
    ReadOnly(#[source] sqlx::Error),
    /// The file is not what was written.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
    /// Written by a newer program.
    #[error("the file has schema version {found}, this program knows up to {SCHEMA_VERSION}")]
    Newer {
        /// Its version.
        found: i64,
    },
    /// Anything else.
    #[error("the file can't be used: {0}")]
    Other(#[source] sqlx::Error),
}

impl From<sqlx::Error> for DiskError {
    /// SQLite's primary result code is the low byte of the extended one.
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) {
            return Self::Corrupt(error.to_string());
        }
        let code = error.as_database_error().and_then(|e| e.code()).and_then(|code| code.parse::<i32>().ok());
        match code.map(|code| code & 0xff) {
            Some(13) => Self::Full(error),
            Some(8) => Self::ReadOnly(error),
            Some(11 | 26) => Self::Corrupt(error.to_string()),
            _ => Self::Other(error),
        }
    }
}

/// What is in the file besides the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The next message's number; 0 in a fresh file.
    pub next_seq: u64,
    /// Messages given up, ever.
    pub dropped: u64,
    /// When the newest of them was spooled, in milliseconds.
    pub dropped_newest: i64,
    /// Messages that wait.
    pub rows: u64,
    /// Their size.
    pub bytes: u64,
}

/// What the kit remembers besides its messages: texts by name.
pub type Kept = BTreeMap<String, String>;

/// What is written in one transaction.
#[derive(Clone, Copy, Default)]
pub struct Batch<'a> {
    /// Messages.
    pub rows: &'a [Row],
    /// What is remembered by name; an empty text forgets it.
    pub kept: &'a [(String, String)],
    /// Device records that are passed over though they are in no message, as if they had gone with this one.
    pub passed_over: &'a [(SeenKey, u64)],
}

/// The open file.
pub struct Disk {
    conn: SqliteConnection,
    /// A transaction was begun and not seen to its end.
    in_doubt: bool,
}

impl Disk {
    /// Opens or creates the file, and checks it through.
    pub async fn open(path: &Path) -> Result<(Self, Totals), DiskError> {
        let conn = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", WAL_BYTES_MAX.to_string())
            .connect()
            .await?;
        let mut disk = Self { conn, in_doubt: false };
        disk.check().await?;
        sqlx::raw_sql(SCHEMA).execute(&mut disk.conn).await?;
        disk.add_sums().await?;
        let totals = disk.totals().await?;
        Ok((disk, totals))
    }

    /// Files of the first release have no checksums; what is in them is believed.
    async fn add_sums(&mut self) -> Result<(), DiskError> {
        let found = sqlx::query_scalar("SELECT count(*) FROM pragma_table_info('spool') WHERE name = 'sum'");
        let found: i64 = found.fetch_one(&mut self.conn).await?;
        if found == 0 {
            sqlx::raw_sql("ALTER TABLE spool ADD COLUMN sum INTEGER").execute(&mut self.conn).await?;
        }
        Ok(())
    }

    /// Takes over what can still be read of a damaged file, at both ends of where it can't. Returns the new totals, and what was remembered
    /// there besides messages.
    pub async fn salvage(
        &mut self,
        damaged: &Path,
        mut totals: Totals,
        bytes_max: u64,
    ) -> Result<(Totals, Kept), DiskError> {
        let attached = sqlx::query("ATTACH DATABASE ? AS damaged").bind(damaged.display().to_string());
        if attached.execute(&mut self.conn).await.is_err() {
            return Ok((totals, Kept::new()));
        }
        let (mut low, mut high) = (0_i64, signed(SALVAGED_SEQ_MAX));
        for (query, forward) in [(SALVAGE_FORWARD, true), (SALVAGE_BACKWARD, false)] {
            for limit in [SALVAGE_ROWS_STEP, 1] {
                while let Some(rows) = self.readable(query, low, high, limit).await {
                    let (before, ends) = ((low, high), rows.iter().filter_map(|row| row.try_get::<i64, _>(0).ok()));
                    if forward {
                        low = ends.fold(low, i64::max)
                    } else {
                        high = ends.fold(high, i64::min)
                    }
                    // A damaged file may give the same for ever.
                    if (low, high) == before {
                        break;
                    }
                    let rows: Vec<Row> = rows.iter().filter_map(|row| row_of(row).ok()).collect();
                    totals = self.write(Batch { rows: &rows, ..Batch::default() }, totals, bytes_max).await?;
                }
            }
        }
        let seen = "INSERT OR IGNORE INTO seen (device, device_time, vital, value, seq)
            SELECT device, device_time, vital, value, seq FROM damaged.seen";
        let seen = sqlx::raw_sql(seen).execute(&mut self.conn).await.is_ok();
        let kept =
            sqlx::query("SELECT name, value FROM damaged.kept").fetch_all(&mut self.conn).await.unwrap_or_default();
        let kept = kept.iter().filter_map(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?))).collect();
        let detached = sqlx::raw_sql("DETACH DATABASE damaged").execute(&mut self.conn).await.is_ok();
        tracing::warn!(
            messages = totals.rows,
            seen,
            detached,
            "spool: what could still be read of the damaged file was taken over"
        );
        Ok((totals, kept))
    }

    /// The next messages of the damaged file; `None` at its end, or where it can't be read.
    async fn readable(&mut self, query: &'static str, low: i64, high: i64, limit: i64) -> Option<Vec<SqliteRow>> {
        let rows = sqlx::query(query).bind(low).bind(high).bind(limit).fetch_all(&mut self.conn).await.ok()?;
        (!rows.is_empty()).then_some(rows)
    }

    async fn check(&mut self) -> Result<(), DiskError> {
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut self.conn).await?;
        if found > SCHEMA_VERSION {
            return Err(DiskError::Newer { found });
        }
        let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut self.conn).await?;
        if verdict == "ok" { Ok(()) } else { Err(DiskError::Corrupt(verdict)) }
    }

    async fn totals(&mut self) -> Result<Totals, DiskError> {
        let sums = sqlx::query("SELECT count(*), coalesce(sum(bytes), 0), coalesce(max(seq), 0) FROM spool");
        let sums = sums.fetch_one(&mut self.conn).await?;
        let meta = sqlx::query("SELECT name, value FROM meta").fetch_all(&mut self.conn).await?;
        let named = |name: &str| {
            let row = meta.iter().find(|row| row.try_get::<&str, _>(0).is_ok_and(|found| found == name));
            row.and_then(|row| row.try_get::<i64, _>(1).ok()).unwrap_or(0)
        };
        let after_last = sums.try_get::<i64, _>(2)?.saturating_add(1);
        let next_seq = if after_last > 1 { named("next_seq").max(after_last) } else { named("next_seq") };
        Ok(Totals {
            next_seq: unsigned(next_seq),
            dropped: unsigned(named("dropped")),
            dropped_newest: named("dropped_newest"),
            rows: unsigned(sums.try_get(0)?),
            bytes: unsigned(sums.try_get(1)?),
        })
    }

    /// Writes messages, makes room for them, and writes what else is to be remembered. Returns the new totals; nothing has changed on an
    /// error.
    pub async fn write(&mut self, batch: Batch<'_>, totals: Totals, bytes_max: u64) -> Result<Totals, DiskError> {
        self.begin().await?;
        let outcome = write_batch(&mut self.conn, batch, totals, bytes_max).await;
        self.end(outcome).await
    }

    /// Everything that the kit remembers besides its messages.
    pub async fn kept(&mut self) -> Result<Kept, DiskError> {
        let rows = sqlx::query("SELECT name, value FROM kept").fetch_all(&mut self.conn).await?;
        Ok(rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Gives up what is older than `oldest`.
    pub async fn drop_older(&mut self, oldest: Timestamp, totals: Totals) -> Result<Totals, DiskError> {
        let old =
            sqlx::query("SELECT seq, bytes, created_at FROM spool WHERE created_at < ?").bind(oldest.as_millisecond());
        let old = old.fetch_all(&mut self.conn).await?;
        if old.is_empty() {
            return Ok(totals);
        }
        self.begin().await?;
        let outcome = evict(&mut self.conn, &old, totals, 0).await;
        self.end(outcome).await
    }

    /// Deletes what the core has acknowledged.
    pub async fn delete_through(&mut self, through: u64, totals: Totals) -> Result<Totals, DiskError> {
        self.begin().await?;
        let outcome = delete_rows(&mut self.conn, through, totals).await;
        self.end(outcome).await
    }

    /// Moves these to what was refused, and counts them as given up.
    pub async fn refuse(&mut self, seqs: &[u64], why: &str, totals: Totals) -> Result<Totals, DiskError> {
        self.begin().await?;
        let outcome = refuse_rows(&mut self.conn, seqs, why, totals).await;
        self.end(outcome).await
    }

    /// Gives every message a number above `through`, in the same order.
    pub async fn renumber(&mut self, through: u64, totals: Totals) -> Result<Totals, DiskError> {
        self.begin().await?;
        let outcome = renumber_rows(&mut self.conn, through, totals).await;
        self.end(outcome).await
    }

    /// The first `limit` messages after `seq`, in order.
    pub async fn after(&mut self, seq: u64, limit: u32) -> Result<Vec<Row>, DiskError> {
        let rows =
            sqlx::query("SELECT seq, body, created_at, priority, sum FROM spool WHERE seq > ? ORDER BY seq LIMIT ?");
        let rows = rows.bind(signed(seq)).bind(limit).fetch_all(&mut self.conn).await?;
        rows.iter().map(row_of).collect()
    }

    /// In which message this record of a device went, if it was seen before.
    pub async fn seen(&mut self, key: &SeenKey) -> Result<Option<u64>, DiskError> {
        let found =
            sqlx::query_scalar("SELECT seq FROM seen WHERE device = ? AND device_time = ? AND vital = ? AND value = ?");
        let [device, time, vital, value] = columns(key);
        let found: Option<i64> =
            found.bind(device).bind(time).bind(vital).bind(value).fetch_optional(&mut self.conn).await?;
        Ok(found.map(unsigned))
    }

    /// Forgets the oldest device records beyond the bound.
    pub async fn forget(&mut self) -> Result<(), DiskError> {
        let old = "DELETE FROM seen WHERE seq < (SELECT seq FROM seen ORDER BY seq DESC LIMIT 1 OFFSET ?)";
        sqlx::query(old).bind(SEEN_ROWS_MAX).execute(&mut self.conn).await?;
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), DiskError> {
        if self.in_doubt {
            self.roll_back().await;
        }
        self.in_doubt = true;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut self.conn).await?;
        Ok(())
    }

    async fn end(&mut self, outcome: Result<Totals, DiskError>) -> Result<Totals, DiskError> {
        let outcome = match outcome {
            Ok(totals) => {
                sqlx::raw_sql("COMMIT").execute(&mut self.conn).await.map(|_| totals).map_err(DiskError::from)
            }
            failed => failed,
        };
        match outcome {
            Ok(_) => self.in_doubt = false,
            Err(_) => self.roll_back().await,
        }
        outcome
    }

    /// A full disk may have rolled back by itself already; then there is nothing to roll back, which is as good.
    async fn roll_back(&mut self) {
        let rolled_back = sqlx::raw_sql("ROLLBACK").execute(&mut self.conn).await;
        tracing::debug!(ok = rolled_back.is_ok(), "spool: rolled back");
        self.in_doubt = false;
    }

    /// Closes the file in order; a kill instead loses nothing.
    pub async fn close(self) {
        if let Err(error) = self.conn.close().await {
            tracing::debug!(%error, "spool: closing");
        }
    }

    #[cfg(test)]
    pub(crate) async fn pages_max(&mut self, pages: Option<i64>) {
        let pages = pages.unwrap_or(1_000_000);
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}")))
            .execute(&mut self.conn)
            .await
            .unwrap();
    }
}
