//! The history, block by block of so many ids. `message_day` says which blocks can hold anything of the time that is wanted, and when they were
//! kept, which divides the table. Each block is a question of its own: whoever reads slowly holds up nobody.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use tokio::sync::mpsc;
use vitals::PatientId;

use super::{Inner, channels, conn::Asked, message};
use crate::{
    History, HistoryFilter, StoreError,
    convert::{nanos, parsed, time},
    history::place,
    history::{HistoryChunk, HistoryMessage, HistoryNames, HistoryReading, Step},
    rows,
};

/// Messages of a block, as a power of two.
const BLOCK_BITS: u32 = 10;
/// A chunk ends with the message that brings it to so many readings and answers.
const CHUNK_ROWS: usize = 32_768;
/// Chunks that wait for their turn, of each reader.
const CHUNKS_WAIT_MAX: usize = 4;
/// Patients beyond which they are not named in a question, but left out of its answer.
const PATIENTS_NAMED_MAX: usize = 1_000;

const DAYS: &str = "\
SELECT (extract(epoch FROM day::timestamp AT TIME ZONE 'UTC') * 1000000)::bigint, first_id, last_id
FROM message_day WHERE last >= $1 AND first < $2";

const BLOCK: &str = "\
SELECT id, patient, kit, seq, recorded_at, readings, odd, answers FROM message
WHERE id >= $1 AND id < $2 AND kept_at >= to_timestamp($3::bigint / 1e6) AND kept_at < to_timestamp($4::bigint / 1e6)
AND recorded_at >= $5 AND recorded_at < $6 AND patient IS NOT NULL AND ($7::int[] IS NULL OR patient = ANY($7)) ORDER BY id";

const DAY_MICROS: i64 = 86_400_000_000;

/// What every reader of a history knows.
struct Wanted {
    store: Arc<Inner>,
    /// By patient's number.
    patients: Vec<bool>,
    named: Option<Vec<i32>>,
    /// Each with when it was kept.
    blocks: Vec<(i64, Range<i64>)>,
    /// The last message when it began.
    last: i64,
    since: i64,
    until: i64,
}

/// Begins to read.
pub(super) async fn begin(store: &Arc<Inner>, filter: &HistoryFilter) -> Result<History, StoreError> {
    let (since, until) = (nanos(filter.since), nanos(filter.until));
    let mut conn = store.long_reader().await?;
    // First the end, then the names: what is before the end is named.
    let last: i64 = sqlx::query_scalar("SELECT last_id FROM book").fetch_one(&mut *conn).await?;
    let days: Vec<(i64, i64, i64)> = sqlx::query_as(DAYS).bind(since).bind(until).fetch_all(&mut *conn).await?;
    let names = Arc::new(names(&mut conn).await?);
    drop(conn);
    let patients = wanted_patients(&names, filter);
    let named = named(&patients, filter);
    let blocks = blocks(&days, last);
    let total = (blocks.len() as u64) << BLOCK_BITS;
    let wanted = Arc::new(Wanted { store: Arc::clone(store), patients, named, blocks, last, since, until });
    let count = filter.readers.clamp(1, HistoryFilter::READERS_MAX);
    let readers = (0..count).map(|turn| start(Arc::clone(&wanted), turn, count)).collect();
    Ok(History::new(names, total, readers))
}

/// Blocks upwards. A clock that was set back gives a block several days: it is looked for in all that lies between.
fn blocks(days: &[(i64, i64, i64)], last: i64) -> Vec<(i64, Range<i64>)> {
    let mut blocks: BTreeMap<i64, Range<i64>> = BTreeMap::new();
    for (day, first_id, last_id) in days {
        for block in first_id >> BLOCK_BITS..=(*last_id).min(last) >> BLOCK_BITS {
            let kept = blocks.entry(block).or_insert(*day..*day + DAY_MICROS);
            *kept = kept.start.min(*day)..kept.end.max(*day + DAY_MICROS);
        }
    }
    blocks.into_iter().collect()
}

fn wanted_patients(names: &HistoryNames, filter: &HistoryFilter) -> Vec<bool> {
    let listed: Option<std::collections::HashSet<&PatientId>> =
        filter.patients.as_ref().map(|list| list.iter().collect());
    let is_wanted = |(index, patient): (usize, &Option<PatientId>)| {
        let is_listed = listed.as_ref().is_none_or(|list| patient.as_ref().is_some_and(|one| list.contains(one)));
        is_listed && filter.part.is_none_or(|(part, of)| index % (of.max(1) as usize) == part as usize)
    };
    names.patients.iter().enumerate().map(is_wanted).collect()
}

/// The numbers of a few patients.
fn named(patients: &[bool], filter: &HistoryFilter) -> Option<Vec<i32>> {
    filter.patients.as_ref()?;
    let wanted = patients.iter().enumerate().filter(|(_, wanted)| **wanted);
    let keys: Vec<i32> = wanted.filter_map(|(key, _)| i32::try_from(key).ok()).collect();
    (keys.len() <= PATIENTS_NAMED_MAX).then_some(keys)
}

async fn names(conn: &mut Asked) -> Result<HistoryNames, StoreError> {
    let mut names = HistoryNames::default();
    for row in sqlx::query("SELECT key, patient FROM patient_key").fetch_all(&mut *conn).await? {
        let key: i32 = row.try_get(0)?;
        place(&mut names.patients, key.into(), parsed("patient_key", key, row.try_get(1)?)?)?;
    }
    for row in sqlx::query("SELECT key, kit FROM kit_key").fetch_all(&mut *conn).await? {
        let key: i32 = row.try_get(0)?;
        place(&mut names.kits, key.into(), parsed("kit_key", key, row.try_get(1)?)?)?;
    }
    let sql = format!("SELECT {} FROM channel", channels::COLUMNS);
    for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *conn).await? {
        let key: i32 = row.try_get(0)?;
        place(&mut names.channels, key.into(), rows::channel(&row, key.into())?)?;
    }
    Ok(names)
}

/// A reader of every `count`-th block.
fn start(wanted: Arc<Wanted>, turn: usize, count: usize) -> mpsc::Receiver<Step> {
    let (to, from) = mpsc::channel(CHUNKS_WAIT_MAX);
    tokio::spawn(async move {
        if let Err(error) = read(&wanted, turn, count, &to).await
            && to.send(Err(error)).await.is_err()
        {
            tracing::debug!("a history was given up");
        }
    });
    from
}

/// Reads until the end, or until nobody wants more.
async fn read(wanted: &Wanted, turn: usize, count: usize, to: &mpsc::Sender<Step>) -> Result<(), StoreError> {
    for (index, (block, kept)) in wanted.blocks.iter().enumerate().skip(turn).step_by(count) {
        let rows = rows(wanted, *block, kept).await?;
        let mut chunk = HistoryChunk::default();
        for row in &rows {
            add(&mut chunk, wanted, row)?;
            if chunk.readings.len() + chunk.answers.len() >= CHUNK_ROWS {
                chunk.done = (index as u64) << BLOCK_BITS;
                if to.send(Ok((std::mem::take(&mut chunk), false))).await.is_err() {
                    return Ok(());
                }
            }
        }
        chunk.done = (index as u64 + 1) << BLOCK_BITS;
        if to.send(Ok((chunk, true))).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn rows(wanted: &Wanted, block: i64, kept: &Range<i64>) -> Result<Vec<PgRow>, StoreError> {
    let mut conn = wanted.store.long_reader().await?;
    let rows = sqlx::query(BLOCK)
        .bind(block << BLOCK_BITS)
        .bind(((block + 1) << BLOCK_BITS).min(wanted.last + 1))
        .bind(kept.start)
        .bind(kept.end)
        .bind(wanted.since)
        .bind(wanted.until)
        .bind(wanted.named.as_deref())
        .fetch_all(&mut *conn)
        .await;
    rows.map_err(|error| wanted.store.trouble(error))
}

fn add(chunk: &mut HistoryChunk, wanted: &Wanted, row: &PgRow) -> Result<(), StoreError> {
    let (id, patient, kit): (i64, i32, i32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if !usize::try_from(patient).ok().and_then(|key| wanted.patients.get(key)).is_some_and(|wanted| *wanted) {
        return Ok(());
    }
    let (readings, answers) = (message::readings(row, 5, id)?, message::answers(row, 7, id)?);
    let message = HistoryMessage {
        patient: patient.cast_unsigned(),
        kit: kit.cast_unsigned(),
        seq: row.try_get::<i64, _>(3)?.cast_unsigned(),
        recorded_at: time(row.try_get(4)?),
        readings: range(chunk.readings.len(), readings.len()),
        answers: range(chunk.answers.len(), answers.len()),
    };
    chunk.messages.push(message);
    chunk.readings.extend(readings.into_iter().map(|kept| HistoryReading {
        channel: kept.channel.cast_unsigned(),
        value: kept.value,
        measured_at: time(kept.measured_at),
    }));
    chunk.answers.extend(answers);
    Ok(())
}

fn range(from: usize, count: usize) -> Range<u32> {
    let at = |at: usize| u32::try_from(at).expect("a chunk ends long before four billion readings");
    at(from)..at(from + count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_looked_for_in_every_day_that_it_may_have_been_kept_on() {
        let size = 1 << BLOCK_BITS;
        let days = [(DAY_MICROS, 1, size + 4), (0, size + 5, size + 9), (9 * DAY_MICROS, size * 7, size * 7)];
        let found = blocks(&days, size * 9);
        assert_eq!(
            found,
            [(0, DAY_MICROS..DAY_MICROS * 2), (1, 0..DAY_MICROS * 2), (7, DAY_MICROS * 9..DAY_MICROS * 10)]
        );
        assert_eq!(blocks(&days, size - 1).len(), 1);
    }
}
