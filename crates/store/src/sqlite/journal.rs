//! The journal: in a batch's transaction with the judge's stamps, or by itself with a stamp that the store gives.

use jiff::Timestamp;
use rusqlite::Connection;
use sqlx::{QueryBuilder, Row, SqliteConnection};
use vitals::PatientId;

use super::{
    Sqlite,
    convert::{nanos, time, to_json},
    keys::Keys,
};
use crate::{
    InvalidReading, JournalEntry, JournalFilter, StoreError,
    journal::{INVALIDATING, stamp_after, stamp_bound, stamp_whole, still_invalid},
    rows,
};

/// The newest stamp of each kind, up to `?1`.
const NEWEST: &str = "\
SELECT max(at) FROM (
    SELECT max(at) AS at FROM journal WHERE at <= ?1
    UNION ALL SELECT recorded_at FROM message WHERE id = (SELECT max(id) FROM message)
    UNION ALL SELECT recorded_at FROM assessment WHERE id = (SELECT max(id) FROM assessment)
    UNION ALL SELECT at FROM alert_event WHERE id = (SELECT max(id) FROM alert_event)
) WHERE at <= ?1";

const INSERT: &str =
    "INSERT INTO journal (at, by, patient, entry, body) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (at) DO NOTHING";

/// Appends what belongs to no batch, and tells the stamps.
pub(super) async fn append(
    conn: &mut SqliteConnection,
    entries: &[JournalEntry],
) -> Result<Vec<Timestamp>, sqlx::Error> {
    let mut stamps = Vec::with_capacity(entries.len());
    for entry in entries {
        let patient = match &entry.patient {
            Some(patient) => Some(number_of(conn, patient).await?),
            None => None,
        };
        let mut at = next(conn, nanos(entry.at)).await?;
        let body = to_json(&entry.what);
        loop {
            let row = sqlx::query(INSERT).bind(at).bind(entry.by.as_deref()).bind(patient).bind(entry.what.name());
            if row.bind(body.as_str()).execute(&mut *conn).await?.rows_affected() == 1 {
                break;
            }
            at = at.saturating_add(1);
        }
        stamps.push(time(at));
    }
    Ok(stamps)
}

async fn number_of(conn: &mut SqliteConnection, patient: &PatientId) -> Result<i64, sqlx::Error> {
    let new = sqlx::query("INSERT INTO patient_key (patient) VALUES (?1) ON CONFLICT DO NOTHING");
    new.bind(patient.as_str()).execute(&mut *conn).await?;
    let key = sqlx::query("SELECT key FROM patient_key WHERE patient = ?1").bind(patient.as_str());
    key.fetch_one(conn).await?.try_get(0)
}

/// The stamp for something that happened at `wanted`: after everything that is stored.
async fn next(conn: &mut SqliteConnection, wanted: i64) -> Result<i64, sqlx::Error> {
    let newest = sqlx::query(NEWEST).bind(stamp_bound(wanted)).fetch_one(conn).await?.try_get(0)?;
    Ok(stamp_after(newest, wanted))
}

/// Keeps a batch's entries with its stamps. What is there already in every part (a batch that is committed again) stays as it is; a stamp
/// that another entry has (a clock that was set back can bring an old one again) moves on to the next nanosecond that is free.
pub(super) fn record(conn: &Connection, keys: &mut Keys, entries: &[JournalEntry]) -> Result<(), rusqlite::Error> {
    let same = "SELECT by IS ?2 AND patient IS ?3 AND body = ?4 FROM journal WHERE at = ?1";
    for entry in entries {
        let patient =
            entry.patient.as_ref().map(|patient| keys.patient(conn, patient).map(|known| known.key)).transpose()?;
        let (by, body, mut at) = (entry.by.as_deref(), to_json(&entry.what), nanos(entry.at));
        while conn.prepare_cached(INSERT)?.execute((at, by, patient, entry.what.name(), &body))? == 0
            && !conn.prepare_cached(same)?.query_row((at, by, patient, &body), |row| row.get(0))?
        {
            at = at.saturating_add(1);
        }
    }
    Ok(())
}

/// Entries that are wanted, by stamp.
pub(super) async fn list(store: &Sqlite, filter: JournalFilter<'_>) -> Result<Vec<JournalEntry>, StoreError> {
    let mut sql = QueryBuilder::new(
        "SELECT j.at, j.by, p.patient, j.body FROM journal j LEFT JOIN patient_key p ON p.key = j.patient WHERE true",
    );
    if let Some(patient) = filter.patient {
        sql.push(" AND j.patient = (SELECT key FROM patient_key WHERE patient = ")
            .push_bind(patient.as_str())
            .push(")");
    }
    if let Some(names) = filter.entries {
        sql.push(" AND j.entry IN (SELECT value FROM json_each(").push_bind(to_json(&names)).push("))");
    }
    if let Some(since) = filter.since {
        sql.push(" AND j.at >= ").push_bind(nanos(since));
    }
    if let Some(before) = filter.before {
        sql.push(" AND j.at < ").push_bind(nanos(before));
    }
    sql.push(if filter.newest_first { " ORDER BY j.at DESC" } else { " ORDER BY j.at" });
    sql.push(" LIMIT ").push_bind(filter.limit);
    let rows = sql.build().fetch_all(&store.readers).await.map_err(|error| store.trouble(error))?;
    rows.iter().map(rows::entry).collect()
}

/// Readings that are invalid now, by when they became so.
pub(super) async fn invalidated(
    store: &Sqlite,
    patient: Option<&PatientId>,
) -> Result<Vec<InvalidReading>, StoreError> {
    let filter = JournalFilter { patient, entries: Some(&INVALIDATING), limit: u32::MAX, ..JournalFilter::default() };
    still_invalid(list(store, filter).await?)
}

/// The newest stamp of all, of whatever kind, up to a whole microsecond.
pub(super) async fn last_stamp(store: &Sqlite) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query(NEWEST).bind(i64::MAX).fetch_one(&store.readers).await;
    let newest: Option<i64> = row.map_err(|error| store.trouble(error))?.try_get(0)?;
    Ok(newest.map(stamp_whole))
}
