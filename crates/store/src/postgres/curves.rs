//! The values of a patient over time.
//!
//! Days are gone through from the newest back, more of them at each step, until what is older can't be among the points any more: nothing that
//! was kept on a day is newer than its `newest`.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::{Row, postgres::PgRow};
use vitals::{Flag, PatientId, Vital};

use super::{Inner, channels, conn::Asked, journal, message};
use crate::{
    Curve, StoreError,
    convert::nanos,
    newest::{Newest, Point},
};

/// Days of the first step; each next one has twice as many.
const DAYS_FIRST: usize = 7;

/// A day of keeping: where it begins in microseconds since 1970, and the newest time in it.
type Day = (i64, i64);

const DAYS: &str = "\
SELECT (extract(epoch FROM day::timestamp AT TIME ZONE 'UTC') * 1000000)::bigint, newest
FROM message_day WHERE newest >= $1 ORDER BY day DESC";

const MESSAGES: &str = "\
SELECT m.id, m.kit, m.seq, m.readings, m.odd FROM message m
WHERE m.patient = $1 AND m.newest >= $2 AND m.kept_at >= to_timestamp($3::bigint / 1e6) AND m.kept_at < to_timestamp($4::bigint / 1e6)
AND m.readings IS NOT NULL ORDER BY m.id";

const DAY_MICROS: i64 = 86_400_000_000;

/// Kit (by number), seq and place of each reading that is invalid now.
type Places = HashSet<(i32, i64, usize)>;

/// The newest points of each vital.
pub(super) async fn curves(
    store: &Inner,
    patient: &PatientId,
    vitals: &[Vital],
    since: Timestamp,
    limit: u32,
) -> Result<Vec<Curve>, StoreError> {
    let mut wanted: Vec<(Vital, Newest)> = vitals.iter().map(|vital| (*vital, Newest::new(limit))).collect();
    let invalid = invalid_places(store, patient).await?;
    let mut conn = store.reader().await?;
    let key = sqlx::query("SELECT key FROM patient_key WHERE patient = $1").bind(patient.as_str());
    if let Some(key) = key.fetch_optional(&mut *conn).await.map_err(|error| store.trouble(error))? {
        let asked = Wanted { patient: key.try_get(0)?, since: nanos(since), invalid };
        walk(store, &mut conn, &asked, &mut wanted).await?;
    }
    Ok(wanted.into_iter().map(|(vital, newest)| newest.into_curve(vital)).collect())
}

/// Of whom, and from when on.
struct Wanted {
    patient: i32,
    since: i64,
    invalid: Places,
}

async fn walk(
    store: &Inner,
    conn: &mut Asked,
    asked: &Wanted,
    wanted: &mut [(Vital, Newest)],
) -> Result<(), StoreError> {
    let days: Vec<Day> = sqlx::query_as(DAYS).bind(asked.since).fetch_all(&mut *conn).await?;
    let (mut rest, mut count) = (days.as_slice(), DAYS_FIRST);
    while let Some(newest) = rest.iter().map(|(_, newest)| *newest).max() {
        if wanted.iter().all(|(_, points)| points.is_full_beyond(newest)) {
            return Ok(());
        }
        let (now, later) = rest.split_at(rest.len().min(count));
        (rest, count) = (later, count * 2);
        let (Some((last, _)), Some((first, _))) = (now.first(), now.last()) else { return Ok(()) };
        let rows = sqlx::query(MESSAGES).bind(asked.patient).bind(asked.since).bind(*first).bind(*last + DAY_MICROS);
        let rows = rows.fetch_all(&mut *conn).await.map_err(|error| store.trouble(error))?;
        add(store, conn, asked, &rows, wanted).await?;
    }
    Ok(())
}

async fn add(
    store: &Inner,
    conn: &mut Asked,
    asked: &Wanted,
    rows: &[PgRow],
    wanted: &mut [(Vital, Newest)],
) -> Result<(), StoreError> {
    for row in rows {
        let (id, kit, seq): (i64, i32, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let kept = message::readings(row, 3, id)?;
        let channels = store.channels.of(conn, kept.iter()).await?;
        for (place, kept) in kept.iter().enumerate().filter(|(_, kept)| kept.measured_at >= asked.since) {
            let reading = channels::reading(kept, &channels, id)?;
            let Some((_, newest)) = wanted.iter_mut().find(|(vital, _)| *vital == reading.vital) else { continue };
            newest.add(Point {
                at: kept.measured_at,
                order: (id, place),
                value: kept.value,
                flagged: reading.flags.iter().any(Flag::is_doubt),
                invalid: asked.invalid.contains(&(kit, seq, place)),
            });
        }
    }
    Ok(())
}

async fn invalid_places(store: &Inner, patient: &PatientId) -> Result<Places, StoreError> {
    let mut places = Places::new();
    let invalid = journal::invalidated(store, Some(patient)).await?;
    for reading in invalid {
        let kit = sqlx::query_scalar("SELECT key FROM kit_key WHERE kit = $1").bind(reading.key.kit.as_str());
        let kit: Option<i32> =
            kit.fetch_optional(&mut *store.reader().await?).await.map_err(|error| store.trouble(error))?;
        places.extend(kit.map(|kit| (kit, reading.key.seq.cast_signed(), usize::from(reading.place))));
    }
    Ok(places)
}
