//! Messages as they were admitted: one, or a patient's.
//!
//! A patient's chain goes from the newest back, so it is walked once for the numbers (16 bytes a message), then read page by page, oldest first.

use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use tokio::sync::mpsc;
use uuid::Uuid;
use vitals::{Answer, PatientId, Reading};

use super::{
    Sqlite, chain,
    convert::{corrupt, flags, named, nanos, parsed, time, to_json, unit, value},
    trouble,
};
use crate::{KitSeq, MessagePages, StoreError, StoredMessage, pages::Page};

/// The most messages of a page.
const PAGE_MESSAGES_MAX: usize = 1_024;
/// A page ends with the message that brings it to so many readings and answers.
const PAGE_ROWS: i64 = 8_192;
/// Pages that wait for whoever asked.
const PAGES_WAIT_MAX: usize = 1;

/// A patient's (`?1`) messages from the newest back, until nothing before can be of `?2` or later; then the rest of the query.
macro_rules! of_patient {
    ($rest:literal) => {
        concat!(
            "WITH RECURSIVE m (id, kit, seq, recorded_at, latest, previous,
                               reading_from, reading_count, answer_from, answer_count) AS (
                 SELECT n.id, n.kit, n.seq, n.recorded_at, n.latest, n.previous_of_patient,
                        n.reading_from, n.reading_count, n.answer_from, n.answer_count
                 FROM patient_key p CROSS JOIN patient_end e ON e.patient = p.key CROSS JOIN message n ON n.id = e.id
                 WHERE p.patient = ?1 AND n.latest >= ?2
                 UNION ALL
                 SELECT n.id, n.kit, n.seq, n.recorded_at, n.latest, n.previous_of_patient,
                        n.reading_from, n.reading_count, n.answer_from, n.answer_count
                 FROM m CROSS JOIN message n ON n.id = m.previous WHERE n.latest >= ?2
             ) ",
            $rest
        )
    };
}
pub(super) use of_patient;

/// Where messages are read from.
#[derive(Clone)]
struct Readers {
    path: PathBuf,
    pool: SqlitePool,
}

/// A message's number, and how many readings and answers it has.
type Found = (i64, i64);

/// All of a patient's messages recorded at or after `since`, in the order in which they were recorded.
pub(super) async fn all(
    store: &Sqlite,
    patient: &PatientId,
    since: Timestamp,
) -> Result<Vec<StoredMessage>, StoreError> {
    newest(store, patient, since, None, u32::MAX).await
}

/// The newest of them.
pub(super) async fn newest(
    store: &Sqlite,
    patient: &PatientId,
    since: Timestamp,
    before: Option<Timestamp>,
    limit: u32,
) -> Result<Vec<StoredMessage>, StoreError> {
    let from = readers(store);
    let found = from.find(patient, since, before, limit).await?;
    let mut messages = Vec::with_capacity(found.len());
    for page in cut(&found) {
        messages.extend(from.page(page).await?);
    }
    Ok(messages)
}

/// The same as [`all`], page by page.
pub(super) async fn pages(store: &Sqlite, patient: &PatientId, since: Timestamp) -> Result<MessagePages, StoreError> {
    let from = readers(store);
    let found = from.find(patient, since, None, u32::MAX).await?;
    let (to, pages) = mpsc::channel(PAGES_WAIT_MAX);
    tokio::spawn(async move { from.send(&found, &to).await });
    Ok(MessagePages::new(pages))
}

/// One message, and whose it is; none if it is not stored, or in quarantine as a whole.
pub(super) async fn one(store: &Sqlite, key: &KitSeq) -> Result<Option<(PatientId, StoredMessage)>, StoreError> {
    let from = readers(store);
    let mut conn = from.pool.acquire().await.map_err(|error| from.trouble(error))?;
    let kit = sqlx::query("SELECT key FROM kit_key WHERE kit = ?1").bind(key.kit.as_str());
    let Some(kit) = kit.fetch_optional(&mut *conn).await.map_err(|error| from.trouble(error))? else {
        return Ok(None);
    };
    let Some(found) = chain::find(&mut conn, kit.try_get(0)?, key.seq).await? else { return Ok(None) };
    let id: i64 = found.try_get(0)?;
    let whose = "SELECT p.patient FROM message m CROSS JOIN patient_key p ON p.key = m.patient WHERE m.id = ?1";
    let Some(whose) = sqlx::query(whose).bind(id).fetch_optional(&mut *conn).await? else { return Ok(None) };
    let patient = parsed("patient_key", id, whose.try_get(0)?)?;
    drop(conn);
    Ok(from.page(&[(id, 0)]).await?.pop().map(|message| (patient, message)))
}

fn readers(store: &Sqlite) -> Readers {
    Readers { path: store.path.clone(), pool: store.readers.clone() }
}

/// Pages of them.
fn cut(found: &[Found]) -> impl Iterator<Item = &[Found]> {
    let mut rest = found;
    std::iter::from_fn(move || {
        let mut rows = 0;
        let fits = |(_, count): &&Found| {
            let fits = rows < PAGE_ROWS;
            rows += count;
            fits
        };
        let len = rest.iter().take(PAGE_MESSAGES_MAX).take_while(fits).count();
        let (page, others) = rest.split_at(len);
        rest = others;
        (!page.is_empty()).then_some(page)
    })
}

impl Readers {
    fn path(&self) -> &Path {
        &self.path
    }

    fn trouble(&self, error: sqlx::Error) -> StoreError {
        trouble::of(self.path(), error)
    }

    async fn send(&self, found: &[Found], to: &mpsc::Sender<Page>) {
        for ids in cut(found) {
            let page = self.page(ids).await;
            let is_last = page.is_err();
            if to.send(page).await.is_err() || is_last {
                return;
            }
        }
    }

    /// The newest of a patient's messages, oldest first.
    async fn find(
        &self,
        patient: &PatientId,
        since: Timestamp,
        before: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<Found>, StoreError> {
        let sql = of_patient!(
            "SELECT m.id, m.reading_count + m.answer_count FROM m WHERE m.recorded_at >= ?2 AND m.recorded_at < ?4 LIMIT ?3"
        );
        let asked = sqlx::query(sql).bind(patient.as_str()).bind(nanos(since)).bind(limit);
        let mut rows = asked.bind(before.map_or(i64::MAX, nanos)).fetch(&self.pool);
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(|error| self.trouble(error))? {
            found.push((row.try_get(0)?, row.try_get(1)?));
        }
        found.reverse();
        Ok(found)
    }

    /// Messages of these numbers, in that order.
    async fn page(&self, found: &[Found]) -> Result<Vec<StoredMessage>, StoreError> {
        let ids: Vec<i64> = found.iter().map(|(id, _)| *id).collect();
        let mut tx = self.pool.begin().await.map_err(|error| self.trouble(error))?;
        of_ids(&mut tx, &ids).await
    }
}

/// Messages of these numbers, in that order.
pub(super) async fn of_ids(conn: &mut SqliteConnection, ids: &[i64]) -> Result<Vec<StoredMessage>, StoreError> {
    let ids = to_json(ids);
    let sql = "SELECT m.id, k.kit, m.seq, m.recorded_at, m.session FROM json_each(?1) w
               CROSS JOIN message m ON m.id = w.value CROSS JOIN kit_key k ON k.key = m.kit ORDER BY w.key";
    let rows = sqlx::query(sql).bind(ids.as_str()).fetch_all(&mut *conn).await?;
    let mut messages = rows.iter().map(message).collect::<Result<Vec<_>, _>>()?;

    let sql = "SELECT w.key, r.mantissa, r.scale, r.measured_at, c.vital, c.unit, c.clock, c.device, c.flags, r.id
               FROM json_each(?1) w CROSS JOIN message m ON m.id = w.value
               CROSS JOIN reading r ON r.id >= m.reading_from AND r.id < m.reading_from + m.reading_count
               CROSS JOIN channel c ON c.key = r.channel ORDER BY r.id";
    let mut rows = sqlx::query(sql).bind(ids.as_str()).fetch(&mut *conn);
    while let Some(row) = rows.try_next().await? {
        of(&mut messages, &row)?.readings.push(reading(&row)?);
    }
    drop(rows);

    let sql = "SELECT w.key, a.questionnaire, a.version, a.question, a.answer, a.answered_at
               FROM json_each(?1) w CROSS JOIN message m ON m.id = w.value
               CROSS JOIN answer a ON a.id >= m.answer_from AND a.id < m.answer_from + m.answer_count ORDER BY a.id";
    let mut rows = sqlx::query(sql).bind(ids.as_str()).fetch(&mut *conn);
    while let Some(row) = rows.try_next().await? {
        of(&mut messages, &row)?.answers.push(answer(&row)?);
    }
    Ok(messages)
}

/// The message that a row belongs to, by the row's first column.
fn of<'a>(messages: &'a mut [StoredMessage], row: &SqliteRow) -> Result<&'a mut StoredMessage, StoreError> {
    let index: i64 = row.try_get(0)?;
    let message = usize::try_from(index).ok().and_then(|index| messages.get_mut(index));
    message.ok_or_else(|| corrupt("message", index, "a row of no message that was asked for".into()))
}

fn message(row: &SqliteRow) -> Result<StoredMessage, StoreError> {
    let id: i64 = row.try_get(0)?;
    let key = KitSeq { kit: parsed("message", id, row.try_get(1)?)?, seq: row.try_get::<i64, _>(2)?.cast_unsigned() };
    let session = Uuid::from_slice(row.try_get(4)?).map_err(|error| corrupt("message", id, error.to_string()))?;
    let recorded_at = time(row.try_get(3)?);
    Ok(StoredMessage { key, recorded_at, session, readings: Vec::new(), answers: Vec::new() })
}

fn reading(row: &SqliteRow) -> Result<Reading, StoreError> {
    let id: i64 = row.try_get(9)?;
    let bad = |what| corrupt("reading", id, what);
    Ok(Reading {
        vital: parsed("reading", id, row.try_get(4)?)?,
        value: value(row, 1).map_err(bad)?,
        unit: unit(row.try_get(5)?).map_err(bad)?,
        measured_at: time(row.try_get(3)?),
        clock: named(row.try_get(6)?).map_err(bad)?,
        device: parsed("reading", id, row.try_get(7)?)?,
        flags: flags(row.try_get(8)?).map_err(bad)?,
    })
}

fn answer(row: &SqliteRow) -> Result<Answer, StoreError> {
    Ok(Answer {
        questionnaire: row.try_get(1)?,
        version: row.try_get(2)?,
        question: row.try_get(3)?,
        answer: row.try_get(4)?,
        answered_at: time(row.try_get(5)?),
    })
}
