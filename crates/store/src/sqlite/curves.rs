//! The values of a patient over time.

use std::collections::HashSet;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::{Row, sqlite::SqliteRow};
use vitals::{Flag, PatientId, Vital};

use super::{
    Sqlite,
    convert::{corrupt, flags, nanos, value},
    journal,
    messages::of_patient,
};
use crate::{
    Curve, StoreError,
    newest::{Newest, Point},
};

/// Walks the messages back from the newest, and stops when what is older can't be among the points any more: nothing in a message or before
/// it is newer than its `latest`.
pub(super) async fn curves(
    store: &Sqlite,
    patient: &PatientId,
    vitals: &[Vital],
    since: Timestamp,
    limit: u32,
) -> Result<Vec<Curve>, StoreError> {
    let mut wanted: Vec<(Vital, Newest)> = vitals.iter().map(|vital| (*vital, Newest::new(limit))).collect();
    let invalid = invalid_places(store, patient).await?;
    let sql = of_patient!(
        "SELECT m.latest, r.mantissa, r.scale, r.measured_at, r.id, c.vital, c.flags, m.kit, m.seq, r.id - m.reading_from
         FROM m
         CROSS JOIN reading r ON r.id >= m.reading_from AND r.id < m.reading_from + m.reading_count
         CROSS JOIN channel c ON c.key = r.channel WHERE r.measured_at >= ?2"
    );
    let mut rows = sqlx::query(sql).bind(patient.as_str()).bind(nanos(since)).fetch(&store.readers);
    while let Some(row) = rows.try_next().await.map_err(|error| store.trouble(error))? {
        let latest: i64 = row.try_get(0)?;
        if wanted.iter().all(|(_, newest)| newest.is_full_beyond(latest)) {
            break;
        }
        let name: &str = row.try_get(5)?;
        if let Some((_, newest)) = wanted.iter_mut().find(|(vital, _)| vital.name() == name) {
            newest.add(point(&row, &invalid)?);
        }
    }
    Ok(wanted.into_iter().map(|(vital, newest)| newest.into_curve(vital)).collect())
}

/// Kit (by number), seq and place of each reading that is invalid now.
type Places = HashSet<(i64, i64, i64)>;

async fn invalid_places(store: &Sqlite, patient: &PatientId) -> Result<Places, StoreError> {
    let mut places = Places::new();
    for reading in journal::invalidated(store, Some(patient)).await? {
        let kit = sqlx::query_scalar("SELECT key FROM kit_key WHERE kit = ?1").bind(reading.key.kit.as_str());
        let kit: Option<i64> = kit.fetch_optional(&store.readers).await.map_err(|error| store.trouble(error))?;
        places.extend(kit.map(|kit| (kit, reading.key.seq.cast_signed(), i64::from(reading.place))));
    }
    Ok(places)
}

fn point(row: &SqliteRow, invalid: &Places) -> Result<Point, StoreError> {
    let id: i64 = row.try_get(4)?;
    let bad = |what| corrupt("reading", id, what);
    let flags = flags(row.try_get(6)?).map_err(bad)?;
    let flagged = flags.iter().any(Flag::is_doubt);
    let invalid = !invalid.is_empty() && invalid.contains(&(row.try_get(7)?, row.try_get(8)?, row.try_get(9)?));
    Ok(Point { at: row.try_get(3)?, order: (id, 0), value: value(row, 1).map_err(bad)?, flagged, invalid })
}
