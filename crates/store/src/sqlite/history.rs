//! The history, read by threads of their own with the plain SQLite interface: a row costs a tenth of what it does through a pool.
//!
//! Blocks of 4096 messages are handed round to the readers; `message_block` says which of them can hold anything of the time that is wanted.
//! Rows that are committed never change, so each chunk is a transaction of its own, and the names are those of when it began.

use std::{collections::HashSet, ops::Range, path::PathBuf, sync::Arc};

use rusqlite::{Connection, OpenFlags, Statement, types::ValueRef};
use sqlx::Row;
use tokio::sync::mpsc;
use vitals::{Answer, Decimal, PatientId, Value};

use super::{
    Sqlite,
    convert::{SCALE_MAX, corrupt, nanos, time},
    trouble,
};
use crate::{
    History, HistoryFilter, StoreError,
    history::place,
    history::{HistoryChunk, HistoryMessage, HistoryNames, HistoryReading, Step},
    rows,
};

/// Messages of a block, as a power of two; the migration and [`super::commit`] know it.
pub(super) const BLOCK_BITS: u32 = 12;
/// Rows of others that are passed over rather than left out of the question.
const GAP_MAX: i64 = 16;
/// A chunk ends with the message that brings it to so many readings and answers.
const CHUNK_ROWS: i64 = 32_768;
/// Chunks that wait for their turn, of each reader.
const CHUNKS_WAIT_MAX: usize = 4;

const MESSAGES: &str = "\
SELECT patient, kit, seq, recorded_at, reading_from, reading_count, answer_from, answer_count FROM message
WHERE id >= ?1 AND id < ?2 AND patient IS NOT NULL AND recorded_at >= ?3 AND recorded_at < ?4 ORDER BY id";
const READINGS: &str =
    "SELECT channel, mantissa, scale, measured_at FROM reading WHERE id >= ?1 AND id < ?2 ORDER BY id";
const ANSWERS: &str =
    "SELECT questionnaire, version, question, answer, answered_at FROM answer WHERE id >= ?1 AND id < ?2 ORDER BY id";

/// What every reader of a history knows.
struct Wanted {
    path: PathBuf,
    /// By patient's number.
    patients: Vec<bool>,
    blocks: Vec<i64>,
    /// The last message when it began.
    last: i64,
    since: i64,
    until: i64,
}

/// Begins to read.
pub(super) async fn begin(store: &Sqlite, filter: &HistoryFilter) -> Result<History, StoreError> {
    let mut tx = store.readers.begin().await.map_err(|error| store.trouble(error))?;
    let last: i64 = sqlx::query("SELECT coalesce(max(id), 0) FROM message").fetch_one(&mut *tx).await?.try_get(0)?;
    let (since, until) = (nanos(filter.since), nanos(filter.until));
    let sql = "SELECT block FROM message_block WHERE last >= ?1 AND first < ?2 ORDER BY block";
    let blocks = sqlx::query_scalar(sql).bind(since).bind(until).fetch_all(&mut *tx).await?;
    let names = Arc::new(names(&mut tx).await?);
    drop(tx);
    let patients = wanted_patients(&names, filter);
    let total = (blocks.len() as u64) << BLOCK_BITS;
    let wanted = Wanted { path: store.path.clone(), patients, blocks, last, since, until };
    let wanted = Arc::new(wanted);
    let count = filter.readers.clamp(1, HistoryFilter::READERS_MAX);
    let readers = (0..count).map(|turn| start(Arc::clone(&wanted), turn, count)).collect();
    Ok(History::new(names, total, readers))
}

fn wanted_patients(names: &HistoryNames, filter: &HistoryFilter) -> Vec<bool> {
    let listed: Option<HashSet<&PatientId>> = filter.patients.as_ref().map(|list| list.iter().collect());
    let is_wanted = |(index, patient): (usize, &Option<PatientId>)| {
        let is_listed = listed.as_ref().is_none_or(|list| patient.as_ref().is_some_and(|one| list.contains(one)));
        is_listed && filter.part.is_none_or(|(part, of)| index % (of.max(1) as usize) == part as usize)
    };
    names.patients.iter().enumerate().map(is_wanted).collect()
}

async fn names(conn: &mut sqlx::SqliteConnection) -> Result<HistoryNames, StoreError> {
    let mut names = HistoryNames::default();
    for row in sqlx::query("SELECT key, patient FROM patient_key").fetch_all(&mut *conn).await? {
        let text: &str = row.try_get(1)?;
        let id = text.parse().map_err(|error: vitals::IdError| corrupt("patient_key", text, error.to_string()))?;
        place(&mut names.patients, row.try_get(0)?, id)?;
    }
    for row in sqlx::query("SELECT key, kit FROM kit_key").fetch_all(&mut *conn).await? {
        let text: &str = row.try_get(1)?;
        let id = text.parse().map_err(|error: vitals::IdError| corrupt("kit_key", text, error.to_string()))?;
        place(&mut names.kits, row.try_get(0)?, id)?;
    }
    for row in sqlx::query("SELECT key, vital, unit, clock, device, flags FROM channel").fetch_all(&mut *conn).await? {
        let key: i64 = row.try_get(0)?;
        place(&mut names.channels, key, rows::channel(&row, key)?)?;
    }
    Ok(names)
}

/// A reader of every `count`-th block.
fn start(wanted: Arc<Wanted>, turn: usize, count: usize) -> mpsc::Receiver<Step> {
    let (to, from) = mpsc::channel(CHUNKS_WAIT_MAX);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read(&wanted, turn, count, &to) {
            let error = trouble::of_stopped(&wanted.path, error);
            if to.blocking_send(Err(error)).is_err() {
                tracing::debug!("a history was given up");
            }
        }
    });
    from
}

/// Why reading or writing stopped: in the database's words, or in ours.
pub(super) enum Stopped {
    Database(rusqlite::Error),
    Known(StoreError),
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Reads until the end, or until nobody wants more.
fn read(wanted: &Wanted, turn: usize, count: usize, to: &mpsc::Sender<Step>) -> Result<(), Stopped> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(&wanted.path, flags)?;
    conn.busy_timeout(super::BUSY_WAIT)?;
    let mut reader = Reader {
        messages: conn.prepare(MESSAGES)?,
        readings: conn.prepare(READINGS)?,
        answers: conn.prepare(ANSWERS)?,
        wanted,
    };
    for (index, block) in wanted.blocks.iter().enumerate().skip(turn).step_by(count) {
        let tx = conn.unchecked_transaction()?;
        let placed = reader.block(*block)?;
        tx.finish()?;
        let mut rest = placed.as_slice();
        loop {
            let (these, others) = rest.split_at(chunk_len(rest));
            let tx = conn.unchecked_transaction()?;
            let mut chunk = reader.chunk(these)?;
            tx.finish()?;
            rest = others;
            chunk.done = (index as u64 + u64::from(rest.is_empty())) << BLOCK_BITS;
            if to.blocking_send(Ok((chunk, rest.is_empty()))).is_err() {
                return Ok(());
            }
            if rest.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

/// A message and where its rows are.
struct Placed {
    message: HistoryMessage,
    readings: (i64, i64),
    answers: (i64, i64),
}

fn chunk_len(messages: &[Placed]) -> usize {
    let mut rows = 0;
    let is_full = |placed: &Placed| {
        let full = rows >= CHUNK_ROWS;
        rows += placed.readings.1 + placed.answers.1;
        full
    };
    messages.iter().position(is_full).unwrap_or(messages.len())
}

struct Reader<'a> {
    messages: Statement<'a>,
    readings: Statement<'a>,
    answers: Statement<'a>,
    wanted: &'a Wanted,
}

impl Reader<'_> {
    fn block(&mut self, block: i64) -> Result<Vec<Placed>, Stopped> {
        let (from, until) = (block << BLOCK_BITS, ((block + 1) << BLOCK_BITS).min(self.wanted.last + 1));
        let mut rows = self.messages.query((from, until, self.wanted.since, self.wanted.until))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let patient: u32 = row.get(0)?;
            if !self.wanted.patients.get(patient as usize).is_some_and(|wanted| *wanted) {
                continue;
            }
            let message = HistoryMessage {
                patient,
                kit: row.get(1)?,
                seq: row.get::<_, i64>(2)?.cast_unsigned(),
                recorded_at: time(row.get(3)?),
                readings: 0..0,
                answers: 0..0,
            };
            found.push(Placed { message, readings: (row.get(4)?, row.get(5)?), answers: (row.get(6)?, row.get(7)?) });
        }
        Ok(found)
    }

    fn chunk(&mut self, placed: &[Placed]) -> Result<HistoryChunk, Stopped> {
        let mut chunk = HistoryChunk { messages: Vec::with_capacity(placed.len()), ..HistoryChunk::default() };
        let count: i64 = placed.iter().map(|placed| placed.readings.1).sum();
        chunk.readings.reserve_exact(usize::try_from(count).unwrap_or(0));
        let (mut readings, mut answers) = (0, 0);
        for one in placed {
            let mut message = one.message.clone();
            message.readings = range(&mut readings, one.readings.1);
            message.answers = range(&mut answers, one.answers.1);
            chunk.messages.push(message);
        }
        each_row(&mut self.readings, placed.iter().map(|one| one.readings), |row| {
            chunk.readings.push(reading(row)?);
            Ok(())
        })?;
        each_row(&mut self.answers, placed.iter().map(|one| one.answers), |row| {
            chunk.answers.push(answer(row)?);
            Ok(())
        })?;
        if chunk.readings.len() != readings as usize || chunk.answers.len() != answers as usize {
            let what = format!(
                "found {} readings and {} answers, want {readings} and {answers}",
                chunk.readings.len(),
                chunk.answers.len()
            );
            return Err(Stopped::Known(corrupt("message", placed[0].message.seq, what)));
        }
        Ok(chunk)
    }
}

/// Rows of these ranges (first id, count), upwards. Ids are given without gaps, so those of others that lie between are counted, not looked at.
fn each_row(
    rows_between: &mut Statement<'_>,
    ranges: impl Iterator<Item = (i64, i64)>,
    mut take: impl FnMut(&rusqlite::Row<'_>) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut ranges = ranges.filter(|(_, count)| *count > 0).map(|(from, count)| from..from + count).peekable();
    let mut run: Vec<Range<i64>> = Vec::new();
    while let Some(range) = ranges.next() {
        let (until, is_near) = (range.end, |next: &Range<i64>| next.start - range.end <= GAP_MAX);
        let goes_on = ranges.peek().is_some_and(is_near);
        match run.last_mut() {
            Some(last) if last.end == range.start => last.end = until,
            _ => run.push(range),
        }
        if !goes_on {
            rows_of_run(rows_between, &run, &mut take)?;
            run.clear();
        }
    }
    Ok(())
}

fn rows_of_run(
    rows_between: &mut Statement<'_>,
    run: &[Range<i64>],
    take: &mut impl FnMut(&rusqlite::Row<'_>) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
    let mut rows = rows_between.query((first.start, last.end))?;
    let mut at = first.start;
    for range in run {
        while at < range.end {
            let Some(row) = rows.next()? else { return Ok(()) };
            if at >= range.start {
                take(row)?;
            }
            at += 1;
        }
    }
    Ok(())
}

fn range(at: &mut u32, count: i64) -> Range<u32> {
    let from = *at;
    *at += u32::try_from(count).unwrap_or(0);
    from..*at
}

fn reading(row: &rusqlite::Row<'_>) -> Result<HistoryReading, Stopped> {
    let scale: u32 = row.get(2)?;
    let value = match row.get_ref(1)? {
        ValueRef::Integer(mantissa) if scale <= SCALE_MAX => Value::new(mantissa, scale),
        other => {
            let text = other.as_str().unwrap_or_default();
            let wrong = |_| corrupt("reading", "?", format!("value {other:?}, scale {scale}"));
            text.parse::<Decimal>().map(Value::from).map_err(wrong).map_err(Stopped::Known)?
        }
    };
    Ok(HistoryReading { channel: row.get(0)?, value, measured_at: time(row.get(3)?) })
}

fn answer(row: &rusqlite::Row<'_>) -> Result<Answer, rusqlite::Error> {
    Ok(Answer {
        questionnaire: row.get(0)?,
        version: row.get(1)?,
        question: row.get(2)?,
        answer: row.get(3)?,
        answered_at: time(row.get(4)?),
    })
}
