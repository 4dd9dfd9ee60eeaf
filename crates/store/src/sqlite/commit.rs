//! Step 7, record: one batch, one transaction. This is the hot path: what is done for each reading is a look-up in memory and four numbers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};
use triage::{Alert, AlertChange};

use super::{
    Sqlite,
    chain::{Chains, OfKit, OfPatient},
    command,
    convert::{name_of, nanos, push_value, to_json},
    history::BLOCK_BITS,
    insert::Insert,
    journal,
    keys::Keys,
    trouble,
    writer::Write,
};
use crate::{Batch, Entry, KitSeq, Quarantined, StoreError, convert::state_name};

static READINGS: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("INSERT INTO reading (channel, mantissa, scale, measured_at) VALUES", 4));

static ANSWERS: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new("INSERT INTO answer (questionnaire, version, question, answer, answered_at) VALUES", 5)
});

static MESSAGES: LazyLock<Insert> = LazyLock::new(|| {
    let columns = "id, kit, seq, previous_of_kit, hash, patient, previous_of_patient, session, sent_at, recorded_at, latest, \
                   reading_from, reading_count, answer_from, answer_count";
    Insert::new(&format!("INSERT INTO message ({columns}) VALUES"), 15)
});

static QUARANTINE: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new("INSERT INTO quarantine (kit, seq, hash, recorded_at, bytes, reason, whole) VALUES", 7)
});

static EVENTS: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("INSERT INTO alert_event (alert, kind, at, by, mark, text) VALUES", 6));

static ASSESSMENTS: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new("INSERT INTO assessment (patient, recorded_at, at, was, colour, blue, late, findings) VALUES", 8)
});

const ALERT: &str = "\
INSERT INTO alert (id, patient, family, open, state, mark, raised_at, waiting_since, changed_at, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT (id) DO UPDATE SET open = excluded.open, state = excluded.state, mark = excluded.mark,
    waiting_since = excluded.waiting_since, changed_at = excluded.changed_at, body = excluded.body
RETURNING key";

/// Commits a batch, whole or not at all.
pub(super) async fn commit(store: &Sqlite, batch: &Batch) -> Result<(), StoreError> {
    let mut write = store.writer.begin().await?;
    match record(&mut write, batch).await {
        Ok(()) => write.commit().await,
        Err(failure) => Err(failure.of(store)),
    }
}

/// Messages that are carried here from another store, after those before them; the ends of their chains are still to be written.
pub(super) async fn messages(
    store: &Sqlite,
    conn: &mut SqliteConnection,
    keys: &mut Keys,
    chains: &mut Chains,
    batch: &Batch,
) -> Result<(), StoreError> {
    let before = chains.next_id();
    record_messages(conn, keys, chains, batch).await.map_err(|failure| failure.of(store))?;
    note_blocks(conn, before, batch).await.map_err(|error| store.trouble(error))
}

/// The mark of a message that was seen, with its hash and its time of recording; the same way.
pub(super) async fn mark(
    store: &Sqlite,
    conn: &mut SqliteConnection,
    keys: &mut Keys,
    chains: &mut Chains,
    (key, hash, recorded_at): (&KitSeq, &[u8; 32], i64),
) -> Result<(), StoreError> {
    let marked = async {
        let place = chains.of_kit(conn, keys, key).await?.ok_or_else(|| duplicate(key))?;
        Ok(mark_as_seen(conn, &place, key.seq, hash, recorded_at).await?)
    };
    marked.await.map_err(|failure: Failure| failure.of(store))
}

/// Why a batch was not recorded: in our words, or in the database's.
enum Failure {
    Known(StoreError),
    Database(sqlx::Error),
}

impl Failure {
    fn of(self, store: &Sqlite) -> StoreError {
        match self {
            Self::Known(error) => error,
            Self::Database(error) => store.trouble(error),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

async fn record(write: &mut Write<'_>, batch: &Batch) -> Result<(), Failure> {
    let (conn, keys) = write.parts();
    keys.make_room();
    if !batch.entries.is_empty() || !batch.quarantined.is_empty() {
        let mut chains = Chains::begin(conn).await?;
        let before = chains.next_id();
        record_messages(conn, keys, &mut chains, batch).await?;
        record_quarantined(conn, keys, &mut chains, batch).await?;
        chains.write(conn).await?;
        note_blocks(conn, before, batch).await?;
        command::record_receipts(conn, batch).await?;
    }
    if !batch.assessments.is_empty() {
        record_assessments(conn, keys, batch).await?;
    }
    record_alerts(conn, keys, &batch.alerts).await?;
    Ok(journal::record(conn, keys, &batch.journal).await?)
}

/// Which times the blocks of messages hold, for whoever reads a history. Entries get their ids first, in order; marks of quarantine follow.
async fn note_blocks(conn: &mut SqliteConnection, first_id: i64, batch: &Batch) -> Result<(), sqlx::Error> {
    let mut blocks: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    let times = batch.entries.iter().map(|entry| nanos(entry.recorded_at));
    for (id, at) in (first_id..).zip(times) {
        let (first, last) = blocks.entry(id >> BLOCK_BITS).or_insert((at, at));
        (*first, *last) = (at.min(*first), at.max(*last));
    }
    let sql = "INSERT INTO message_block (block, first, last) VALUES (?1, ?2, ?3) ON CONFLICT (block)
               DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)";
    for (block, (first, last)) in blocks {
        sqlx::query(sql).bind(block).bind(first).bind(last).execute(&mut *conn).await?;
    }
    Ok(())
}

/// A message's numbers in the database.
struct Placed {
    of_kit: OfKit,
    of_patient: OfPatient,
    reading_from: i64,
    answer_from: i64,
}

fn duplicate(key: &KitSeq) -> Failure {
    Failure::Known(StoreError::Duplicate { kit: key.kit.clone(), seq: key.seq })
}

async fn record_messages(
    conn: &mut SqliteConnection,
    keys: &mut Keys,
    chains: &mut Chains,
    batch: &Batch,
) -> Result<(), Failure> {
    let entries = &batch.entries;
    let readings: usize = entries.iter().map(|entry| entry.readings.len()).sum();
    let answers: usize = entries.iter().map(|entry| entry.answers.len()).sum();
    let placed = place(conn, keys, chains, batch).await?;
    let channels = channels(conn, keys, entries, readings).await?;

    let rows = entries.iter().flat_map(|entry| &entry.readings).zip(channels);
    READINGS
        .run(conn, readings, rows, |values, (reading, channel)| {
            values.push(channel);
            push_value(values, reading.value);
            values.push(nanos(reading.measured_at));
        })
        .await?;
    ANSWERS
        .run(conn, answers, entries.iter().flat_map(|entry| &entry.answers), |values, answer| {
            values.push(answer.questionnaire.as_str());
            values.push(i64::from(answer.version));
            values.push(answer.question.as_str());
            values.push(answer.answer.as_str());
            values.push(nanos(answer.answered_at));
        })
        .await?;
    Ok(insert_messages(conn, batch, &placed).await?)
}

async fn insert_messages(conn: &mut SqliteConnection, batch: &Batch, placed: &[Placed]) -> Result<(), sqlx::Error> {
    MESSAGES
        .run(conn, placed.len(), batch.entries.iter().zip(placed), |values, (entry, placed)| {
            values.push(placed.of_kit.id);
            values.push(placed.of_kit.kit);
            values.push(entry.key.seq.cast_signed());
            values.push(placed.of_kit.previous);
            values.push(entry.hash.as_slice());
            values.push(placed.of_patient.patient);
            values.push(placed.of_patient.previous);
            values.push(entry.session.as_bytes().as_slice());
            values.push(nanos(entry.sent_at));
            values.push(nanos(entry.recorded_at));
            values.push(placed.of_patient.latest);
            values.push(placed.reading_from);
            values.push(entry.readings.len().cast_signed() as i64);
            values.push(placed.answer_from);
            values.push(entry.answers.len().cast_signed() as i64);
        })
        .await
}

/// Gives each message its kit, its patient and the numbers that its readings and answers will have.
async fn place(
    conn: &mut SqliteConnection,
    keys: &mut Keys,
    chains: &mut Chains,
    batch: &Batch,
) -> Result<Vec<Placed>, Failure> {
    let last = "SELECT (SELECT coalesce(max(id), 0) FROM reading), (SELECT coalesce(max(id), 0) FROM answer)";
    let last = sqlx::query(last).fetch_one(&mut *conn).await?;
    let mut reading_from = last.try_get::<i64, _>(0)? + 1;
    let mut answer_from = last.try_get::<i64, _>(1)? + 1;
    let mut placed = Vec::with_capacity(batch.entries.len());
    for entry in &batch.entries {
        let of_kit = chains.of_kit(conn, keys, &entry.key).await?.ok_or_else(|| duplicate(&entry.key))?;
        let latest = entry.readings.iter().map(|reading| reading.measured_at).fold(entry.recorded_at, Timestamp::max);
        let of_patient = chains.of_patient(conn, keys, &entry.patient, of_kit.id, nanos(latest)).await?;
        placed.push(Placed { of_kit, of_patient, reading_from, answer_from });
        reading_from += entry.readings.len().cast_signed() as i64;
        answer_from += entry.answers.len().cast_signed() as i64;
    }
    Ok(placed)
}

async fn channels(
    conn: &mut SqliteConnection,
    keys: &mut Keys,
    entries: &[Entry],
    count: usize,
) -> Result<Vec<i64>, sqlx::Error> {
    let mut channels = Vec::with_capacity(count);
    for reading in entries.iter().flat_map(|entry| &entry.readings) {
        channels.push(keys.channel(conn, reading).await?);
    }
    Ok(channels)
}

async fn record_quarantined(
    conn: &mut SqliteConnection,
    keys: &mut Keys,
    chains: &mut Chains,
    batch: &Batch,
) -> Result<(), Failure> {
    let recorded_at = nanos(batch.recorded_at);
    for Quarantined { kit, seq, hash, bytes, reason, whole } in &batch.quarantined {
        let key = keys.kit(conn, kit).await?.key;
        let row = [(key, *seq, hash, bytes, reason, *whole)];
        QUARANTINE
            .run(conn, 1, row.into_iter(), |values, (kit, seq, hash, bytes, reason, whole)| {
                values.push(kit);
                values.push(seq.map(u64::cast_signed));
                values.push(hash.as_slice());
                values.push(recorded_at);
                values.push(bytes.as_slice());
                values.push(reason.as_str());
                values.push(whole);
            })
            .await?;
        if let (true, Some(seq)) = (whole, seq) {
            let key = KitSeq { kit: kit.clone(), seq: *seq };
            let place = chains.of_kit(conn, keys, &key).await?.ok_or_else(|| duplicate(&key))?;
            mark_as_seen(conn, &place, key.seq, hash, recorded_at).await?;
        }
    }
    Ok(())
}

/// The dedupe mark of a message of which nothing else is stored.
async fn mark_as_seen(
    conn: &mut SqliteConnection,
    place: &OfKit,
    seq: u64,
    hash: &[u8; 32],
    recorded_at: i64,
) -> Result<(), sqlx::Error> {
    let mark = "INSERT INTO message (id, kit, seq, previous_of_kit, hash, recorded_at, latest, \
                reading_from, reading_count, answer_from, answer_count) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 0, 0, 0, 0)";
    sqlx::query(mark)
        .bind(place.id)
        .bind(place.kit)
        .bind(seq.cast_signed())
        .bind(place.previous)
        .bind(hash.as_slice())
        .bind(recorded_at)
        .execute(conn)
        .await
        .map(|_| ())
}

async fn record_assessments(conn: &mut SqliteConnection, keys: &mut Keys, batch: &Batch) -> Result<(), sqlx::Error> {
    let recorded_at = nanos(batch.recorded_at);
    let mut patients = Vec::with_capacity(batch.assessments.len());
    for change in &batch.assessments {
        patients.push(keys.patient(conn, &change.patient).await?.key);
    }
    ASSESSMENTS
        .run(conn, patients.len(), batch.assessments.iter().zip(patients), |values, (change, patient)| {
            values.push(patient);
            values.push(recorded_at);
            values.push(nanos(change.at));
            values.push(change.was.name());
            values.push(change.colour.name());
            values.push(change.blue);
            values.push(change.late);
            values.push(to_json(&change.findings));
        })
        .await
}

/// The last state of every changed alert, then every event.
async fn record_alerts(conn: &mut SqliteConnection, keys: &mut Keys, changes: &[AlertChange]) -> Result<(), Failure> {
    let last: HashMap<_, _> = changes.iter().enumerate().map(|(index, change)| (change.alert.id, index)).collect();
    let mut rows = HashMap::with_capacity(last.len());
    for (index, change) in changes.iter().enumerate() {
        if last.get(&change.alert.id) == Some(&index) {
            let patient = keys.patient(conn, &change.alert.patient).await?.key;
            let key = put_alert(conn, patient, &change.alert).await?;
            rows.insert(change.alert.id, key);
        }
    }
    EVENTS
        .run(conn, changes.len(), changes.iter(), |values, AlertChange { alert, event }| {
            values.push(rows.get(&alert.id).copied());
            values.push(name_of(&event.kind));
            values.push(nanos(event.at));
            values.push(event.by.as_deref());
            values.push(name_of(&event.mark));
            values.push(event.text.as_str());
        })
        .await?;
    Ok(())
}

async fn put_alert(conn: &mut SqliteConnection, patient: i64, alert: &Alert) -> Result<i64, Failure> {
    let put = sqlx::query(ALERT)
        .bind(alert.id.as_bytes().as_slice())
        .bind(patient)
        .bind(alert.family.as_str())
        .bind(alert.state.is_open())
        .bind(state_name(&alert.state))
        .bind(name_of(&alert.mark))
        .bind(nanos(alert.raised_at))
        .bind(nanos(alert.waiting_since))
        .bind(nanos(alert.changed_at))
        .bind(to_json(alert))
        .fetch_one(conn)
        .await;
    match put {
        Ok(row) => Ok(row.try_get(0)?),
        Err(error) if trouble::is_duplicate(&error) => {
            let (patient, family) = (alert.patient.clone(), alert.family.clone());
            Err(Failure::Known(StoreError::AlertAlreadyOpen { patient, family }))
        }
        Err(error) => Err(error.into()),
    }
}
