//! The journal: in a batch's transaction with the judge's stamps, or by itself with a stamp that the store gives.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::{PgConnection, QueryBuilder, Row, postgres::PgRow};
use vitals::PatientId;

use super::{Inner, keys::Keys};
use crate::{
    InvalidReading, Journal, JournalEntry, JournalFilter, KitSeq, StoreError,
    convert::{corrupt, json, nanos, time, to_json},
};

/// A clock that was set back by no more than this is waited for, by every stamp; what is stored beyond it says only that a clock was wrong.
const STEP_BACK_MAX: SignedDuration = SignedDuration::from_mins(1);
/// From one appended stamp to the next.
const MICROSECOND: i64 = 1_000;

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
    conn: &mut PgConnection,
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

/// The stamp for something that happened at `wanted`: after everything that is stored. One nanosecond beyond a whole microsecond, where the judge,
/// whose stamps are whole ones, never is.
async fn next(conn: &mut PgConnection, wanted: i64) -> Result<i64, sqlx::Error> {
    let bound = wanted.saturating_add(i64::try_from(STEP_BACK_MAX.as_nanos()).unwrap_or(i64::MAX));
    let newest: Option<i64> = sqlx::query(NEWEST).bind(bound).fetch_one(conn).await?.try_get(0)?;
    let at = newest.map_or(wanted, |newest| wanted.max(newest.saturating_add(MICROSECOND)));
    Ok((at - at.rem_euclid(MICROSECOND)).saturating_add(1))
}

/// Keeps a batch's entries with its stamps. What is there already in every part (a batch that is committed again) stays as it is.
pub(super) async fn record(
    conn: &mut PgConnection,
    keys: &mut Keys,
    entries: &[JournalEntry],
) -> Result<(), sqlx::Error> {
    for entry in entries {
        put(conn, keys, entry, nanos(entry.at)).await?;
    }
    Ok(())
}

/// With this stamp, or the next nanosecond that is free: a clock that was set back can bring an old stamp again.
async fn put(conn: &mut PgConnection, keys: &mut Keys, entry: &JournalEntry, mut at: i64) -> Result<i64, sqlx::Error> {
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
    rows.iter().map(entry).collect()
}

/// Readings that are invalid now, by when they became so.
pub(super) async fn invalidated(store: &Inner, patient: Option<&PatientId>) -> Result<Vec<InvalidReading>, StoreError> {
    let entries = Some(["reading_invalidated", "reading_restored"].as_slice());
    let filter = JournalFilter { patient, entries, limit: u32::MAX, ..JournalFilter::default() };
    let mut invalid = BTreeMap::new();
    for entry in list(store, filter).await? {
        let (kit, seq, place, is_valid) = match &entry.what {
            Journal::ReadingInvalidated { kit, seq, place, .. } => (kit, seq, place, false),
            Journal::ReadingRestored { kit, seq, place, .. } => (kit, seq, place, true),
            other => {
                return Err(corrupt(
                    "journal",
                    nanos(entry.at),
                    format!("{} in a form that is not known", other.name()),
                ));
            }
        };
        let (key, place) = (KitSeq { kit: kit.clone(), seq: *seq }, *place);
        if is_valid {
            invalid.remove(&(key, place));
        } else {
            invalid.entry((key, place)).or_insert(entry);
        }
    }
    let mut invalid: Vec<_> =
        invalid.into_iter().map(|((key, place), entry)| InvalidReading { key, place, entry }).collect();
    invalid.sort_by_key(|reading| reading.entry.at);
    Ok(invalid)
}

/// The newest stamp of all, of whatever kind, up to a whole microsecond.
pub(super) async fn last_stamp(store: &Inner) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query(NEWEST).bind(i64::MAX).fetch_one(&mut *store.reader().await?).await;
    let newest: Option<i64> = row.map_err(|error| store.trouble(error))?.try_get(0)?;
    Ok(newest.map(|at| time(at.saturating_add((-at).rem_euclid(MICROSECOND)))))
}

pub(super) fn entry(row: &PgRow) -> Result<JournalEntry, StoreError> {
    let at: i64 = row.try_get(0)?;
    let patient: Option<&str> = row.try_get(2)?;
    let patient: Option<PatientId> = patient
        .map(|id| id.parse().map_err(|error: vitals::IdError| corrupt("journal", at, error.to_string())))
        .transpose()?;
    Ok(JournalEntry {
        at: time(at),
        by: row.try_get(1)?,
        patient,
        what: json("journal", &at.to_string(), row.try_get(3)?)?,
    })
}
