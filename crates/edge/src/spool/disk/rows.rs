//! What is done inside one transaction of the spool's file: messages written, given up, deleted and renumbered.

use jiff::{Timestamp, civil::DateTime};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{Batch, DiskError, REFUSED_ROWS_MAX, Totals};
use crate::spool::row::{Priority, Row, SeenKey};

/// Messages looked at in one step of making room.
const EVICT_ROWS_STEP: i64 = 64;

/// Writes all of it, and makes room for it. Returns the new totals.
pub async fn write_batch(
    conn: &mut SqliteConnection,
    batch: Batch<'_>,
    totals: Totals,
    bytes_max: u64,
) -> Result<Totals, DiskError> {
    for (name, value) in batch.kept {
        let write = if value.is_empty() {
            sqlx::query("DELETE FROM kept WHERE name = ?").bind(name)
        } else {
            sqlx::query("INSERT OR REPLACE INTO kept (name, value) VALUES (?, ?)").bind(name).bind(value)
        };
        write.execute(&mut *conn).await?;
    }
    for (key, seq) in batch.passed_over {
        remember(conn, key, *seq).await?;
    }
    if batch.rows.is_empty() { Ok(totals) } else { insert_rows(conn, batch.rows, totals, bytes_max).await }
}

async fn insert_rows(
    conn: &mut SqliteConnection,
    rows: &[Row],
    mut totals: Totals,
    bytes_max: u64,
) -> Result<Totals, DiskError> {
    for row in rows {
        if insert_row(conn, row).await? {
            totals.rows += 1;
            totals.bytes += row.bytes();
        }
        totals.next_seq = totals.next_seq.max(row.seq + 1);
    }
    while totals.bytes > bytes_max && totals.rows > 0 {
        let worst = sqlx::query("SELECT seq, bytes, created_at FROM spool ORDER BY priority, seq LIMIT ?")
            .bind(EVICT_ROWS_STEP);
        let worst = worst.fetch_all(&mut *conn).await?;
        totals = evict(conn, &worst, totals, bytes_max).await?;
    }
    write_meta(conn, &totals).await?;
    Ok(totals)
}

/// Is it new? A commit that reported an error may still have happened, and the same message comes again.
async fn insert_row(conn: &mut SqliteConnection, row: &Row) -> Result<bool, DiskError> {
    let inserted = sqlx::query(
        "INSERT OR IGNORE INTO spool (seq, body, created_at, bytes, priority, sum) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(signed(row.seq))
    .bind(&row.body)
    .bind(row.created_at.as_millisecond())
    .bind(signed(row.bytes()))
    .bind(row.priority as i64)
    .bind(checksum(&row.body))
    .execute(&mut *conn)
    .await?;
    for key in &row.seen {
        remember(conn, key, row.seq).await?;
    }
    Ok(inserted.rows_affected() == 1)
}

/// The device has told this, and it went with message `seq`.
async fn remember(conn: &mut SqliteConnection, key: &SeenKey, seq: u64) -> Result<(), DiskError> {
    let [device, time, vital, value] = columns(key);
    let remember =
        sqlx::query("INSERT OR IGNORE INTO seen (device, device_time, vital, value, seq) VALUES (?, ?, ?, ?, ?)");
    remember.bind(device).bind(time).bind(vital).bind(value).bind(signed(seq)).execute(&mut *conn).await?;
    Ok(())
}

/// Deletes these, in order, until the spool is within `bytes_max`, and counts them.
pub async fn evict(
    conn: &mut SqliteConnection,
    rows: &[SqliteRow],
    mut totals: Totals,
    bytes_max: u64,
) -> Result<Totals, DiskError> {
    for row in rows {
        if totals.bytes <= bytes_max {
            break;
        }
        let seq: i64 = row.try_get(0)?;
        sqlx::query("DELETE FROM spool WHERE seq = ?").bind(seq).execute(&mut *conn).await?;
        // The device may still hold these records: if it sends them again, the gap closes.
        sqlx::query("DELETE FROM seen WHERE seq = ?").bind(seq).execute(&mut *conn).await?;
        totals.rows = totals.rows.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(unsigned(row.try_get(1)?));
        totals.dropped += 1;
        totals.dropped_newest = totals.dropped_newest.max(row.try_get(2)?);
    }
    write_meta(conn, &totals).await?;
    Ok(totals)
}

/// Deletes what the core has acknowledged.
pub async fn delete_rows(conn: &mut SqliteConnection, through: u64, totals: Totals) -> Result<Totals, DiskError> {
    let deleted = sqlx::query_scalar("DELETE FROM spool WHERE seq <= ? RETURNING bytes").bind(signed(through));
    let deleted: Vec<i64> = deleted.fetch_all(&mut *conn).await?;
    let rows = totals.rows.saturating_sub(deleted.len() as u64);
    let bytes = totals.bytes.saturating_sub(deleted.into_iter().map(unsigned).sum());
    let totals = Totals { rows, bytes, ..totals };
    write_meta(conn, &totals).await?;
    Ok(totals)
}

/// Moves these to what was refused, and counts them as given up. What devices told is remembered: told again it would be refused again.
pub async fn refuse_rows(
    conn: &mut SqliteConnection,
    seqs: &[u64],
    why: &str,
    mut totals: Totals,
) -> Result<Totals, DiskError> {
    for seq in seqs {
        let copy = "INSERT OR REPLACE INTO refused (seq, body, created_at, why) SELECT seq, body, created_at, ? FROM spool WHERE seq = ?";
        sqlx::query(copy).bind(why).bind(signed(*seq)).execute(&mut *conn).await?;
        let moved = sqlx::query("DELETE FROM spool WHERE seq = ? RETURNING bytes, created_at").bind(signed(*seq));
        for row in moved.fetch_all(&mut *conn).await? {
            totals.rows = totals.rows.saturating_sub(1);
            totals.bytes = totals.bytes.saturating_sub(unsigned(row.try_get(0)?));
            totals.dropped += 1;
            totals.dropped_newest = totals.dropped_newest.max(row.try_get(1)?);
        }
    }
    let old = "DELETE FROM refused WHERE seq <= (SELECT seq FROM refused ORDER BY seq DESC LIMIT 1 OFFSET ?)";
    sqlx::query(old).bind(REFUSED_ROWS_MAX).execute(&mut *conn).await?;
    write_meta(conn, &totals).await?;
    Ok(totals)
}

/// In two steps, over the negative numbers, so that no number is taken twice on the way.
pub async fn renumber_rows(conn: &mut SqliteConnection, through: u64, totals: Totals) -> Result<Totals, DiskError> {
    let oldest: Option<i64> = sqlx::query_scalar("SELECT min(seq) FROM spool").fetch_one(&mut *conn).await?;
    let by = signed(through) + 1 - oldest.unwrap_or(0);
    sqlx::query("UPDATE spool SET seq = -(seq + ?)").bind(by).execute(&mut *conn).await?;
    sqlx::query("UPDATE spool SET seq = -seq").execute(&mut *conn).await?;
    sqlx::query("UPDATE seen SET seq = seq + ?").bind(by).execute(&mut *conn).await?;
    let newest: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM spool").fetch_one(&mut *conn).await?;
    let totals = Totals { next_seq: unsigned(newest.unwrap_or(0)).max(through) + 1, ..totals };
    write_meta(conn, &totals).await?;
    Ok(totals)
}

async fn write_meta(conn: &mut SqliteConnection, totals: &Totals) -> Result<(), DiskError> {
    let values = [
        ("next_seq", signed(totals.next_seq)),
        ("dropped", signed(totals.dropped)),
        ("dropped_newest", totals.dropped_newest),
    ];
    for (name, value) in values {
        let write = sqlx::query(
            "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        );
        write.bind(name).bind(value).execute(&mut *conn).await?;
    }
    Ok(())
}

/// A message as it was written, or the file is damaged.
pub fn row_of(row: &SqliteRow) -> Result<Row, DiskError> {
    let (seq, body, sum) = (row.try_get::<i64, _>(0)?, row.try_get::<String, _>(1)?, row.try_get::<Option<i64>, _>(4)?);
    if sum.is_some_and(|sum| sum != checksum(&body)) {
        return Err(DiskError::Corrupt(format!("message {seq} is not as it was written")));
    }
    Ok(Row {
        seq: unsigned(seq),
        body,
        created_at: Timestamp::from_millisecond(row.try_get(2)?).unwrap_or(Timestamp::UNIX_EPOCH),
        priority: if row.try_get::<i64, _>(3)? == 0 { Priority::Routine } else { Priority::Urgent },
        seen: Vec::new(),
    })
}

/// FNV-1a of 64 bits: SQLite notices a damaged page, but not a damaged digit.
fn checksum(body: &str) -> i64 {
    let hash = body
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash.cast_signed()
}

/// How a record of a device is known again.
pub fn columns(key: &SeenKey) -> [String; 4] {
    let time: DateTime = key.device_time;
    // A device id has no space: rows from before people were told apart mean what they meant.
    let device = key.person.iter().fold(key.device.to_string(), |device, person| format!("{device} {person}"));
    [device, time.to_string(), key.vital.to_string(), key.value.decimal().normalize().to_string()]
}

/// As SQLite has it.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// And back.
pub fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
