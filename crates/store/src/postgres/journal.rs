//! The journal: in a batch's transaction with the judge's stamps, or by itself with a stamp that the store gives.

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row};
use vitals::PatientId;

use super::{Inner, conn::Asked, keys::Keys};
use crate::{
    InvalidReading, JournalEntry, JournalFilter, StoreError,
    convert::{nanos, time, to_json},
    journal::{INVALIDATING, stamp_after, stamp_bound, stamp_whole, still_invalid},
    rows,
};

/// The newest stamp of each kind, up to `$1`.
const NEWEST: &str = "\
SELECT max(at) FROM (
    SELECT max(at) AS at FROM journal WHERE at <= $1
    UNION ALL SELECT m.recorded_at FROM book b JOIN message m ON m.id = b.last_id AND m.kept_at >=
        (SELECT min(day)::timestamp AT TIME ZONE 'UTC' FROM message_day d WHERE d.last_id >= (SELECT last_id FROM book))
    UNION ALL SELECT recorded_at FROM assessment WHERE id = (SELECT max(id) FROM assessment)
    UNION ALL SELECT at FROM alert_event WHERE id = (SELECT max(id) FROM alert_event)
) newest WHERE at <= $1";

/// Appends what belongs to no batch, and tells the stamps.
pub(super) async fn append(
    conn: &mut Asked,
    keys: &mut Keys,
    entries: &[JournalEntry],
) -> Result<Vec<Timestamp>, sqlx::Error> {
    keys.make_room();
    let mut stamps = Vec::with_capacity(entries.len());
    for entry in entries {
        let at = next(&mut *conn, nanos(entry.at)).await?;
        stamps.push(time(put(conn, keys, entry, at).await?));
    }
    Ok(stamps)
}

/// The stamp for something that happened at `wanted`: after everything that is stored.
async fn next(conn: &mut Asked, wanted: i64) -> Result<i64, sqlx::Error> {
    let newest = sqlx::query(NEWEST).bind(stamp_bound(wanted)).fetch_one(conn).await?.try_get(0)?;
    Ok(stamp_after(newest, wanted))
}

/// Keeps a batch's entries with its stamps. What is there already in every part (a batch that is committed again) stays as it is.
pub(super) async fn record(conn: &mut Asked, keys: &mut Keys, entries: &[JournalEntry]) -> Result<(), sqlx::Error> {
    for entry in entries {
        put(conn, keys, entry, nanos(entry.at)).await?;
    }
    Ok(())
}

/// With this stamp, or the next nanosecond that is free: a clock that was set back can bring an old stamp again.
async fn put(conn: &mut Asked, keys: &mut Keys, entry: &JournalEntry, mut at: i64) -> Result<i64, sqlx::Error> {
    let patient = match &entry.patient {
        Some(patient) => {
            keys.learn_patients(conn, std::iter::once(patient)).await?;
            Some(keys.patient(patient))
        }
        None => None,
    };
    let body = to_json(&entry.what);
    let insert =
        "INSERT INTO journal (at, by, patient, entry, body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (at) DO NOTHING";
    let same = "SELECT by IS NOT DISTINCT FROM $2 AND patient IS NOT DISTINCT FROM $3 AND body = $4 FROM journal WHERE at = $1";
    loop {
        let row = sqlx::query(insert).bind(at).bind(entry.by.as_deref()).bind(patient);
        if row.bind(entry.what.name()).bind(body.as_str()).execute(&mut *conn).await?.rows_affected() == 1 {
            return Ok(at);
        }
        let there = sqlx::query(same).bind(at).bind(entry.by.as_deref()).bind(patient).bind(body.as_str());
        if there.fetch_one(&mut *conn).await?.try_get(0)? {
            return Ok(at);
        }
        at = at.saturating_add(1);
    }
}

/// Entries that are wanted, by stamp.
pub(super) async fn list(store: &Inner, filter: JournalFilter<'_>) -> Result<Vec<JournalEntry>, StoreError> {
    let mut sql = QueryBuilder::new(
        "SELECT j.at, j.by, p.patient, j.body FROM journal j LEFT JOIN patient_key p ON p.key = j.patient WHERE true",
    );
    if let Some(patient) = filter.patient {
        sql.push(" AND j.patient = (SELECT key FROM patient_key WHERE patient = ")
            .push_bind(patient.as_str())
            .push(")");
    }
    if let Some(names) = filter.entries {
        sql.push(" AND j.entry = ANY(").push_bind(names).push(")");
    }
    if let Some(since) = filter.since {
        sql.push(" AND j.at >= ").push_bind(nanos(since));
    }
    if let Some(before) = filter.before {
        sql.push(" AND j.at < ").push_bind(nanos(before));
    }
    sql.push(if filter.newest_first { " ORDER BY j.at DESC" } else { " ORDER BY j.at" });
    sql.push(" LIMIT ").push_bind(i64::from(filter.limit));
    let rows = sql.build().fetch_all(&mut *store.reader().await?).await.map_err(|error| store.trouble(error))?;
    rows.iter().map(rows::entry).collect()
}

/// Readings that are invalid now, by when they became so.
pub(super) async fn invalidated(store: &Inner, patient: Option<&PatientId>) -> Result<Vec<InvalidReading>, StoreError> {
    let filter = JournalFilter { patient, entries: Some(&INVALIDATING), limit: u32::MAX, ..JournalFilter::default() };
    still_invalid(list(store, filter).await?)
}

/// The newest stamp of all, of whatever kind, up to a whole microsecond.
pub(super) async fn last_stamp(store: &Inner) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query(NEWEST).bind(i64::MAX).fetch_one(&mut *store.reader().await?).await;
    let newest: Option<i64> = row.map_err(|error| store.trouble(error))?.try_get(0)?;
    Ok(newest.map(stamp_whole))
}
