//! Step 7, record: one batch, one transaction. This is the hot path: what is done for each reading is a look-up in memory and four numbers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use jiff::Timestamp;
use rusqlite::Connection;
use triage::{Alert, AlertChange};
use vitals::Answer;

use super::{
    Sqlite,
    chain::{Chains, OfKit, OfPatient},
    command,
    convert::{name_of, nanos, push_value, to_json},
    history::BLOCK_BITS,
    history::Stopped,
    insert::Insert,
    journal,
    keys::Keys,
    trouble,
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

/// Commits a batch, whole or not at all. It goes to a thread where it may wait for the disk, in one piece: a batch is many statements, and each
/// journey between two threads costs more than most of them. Who stops waiting stops nothing.
pub(super) async fn commit(store: &Sqlite, batch: Arc<Batch>) -> Result<(), StoreError> {
    let turn = store.writer.turn().await?;
    let done = tokio::task::spawn_blocking(move || turn.commit(|conn, keys| record(conn, keys, &batch)));
    done.await.unwrap_or_else(|ended| match ended.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        // The service is ending, and this had not begun.
        Err(_) => Err(StoreError::Closed),
    })
}

/// Messages that are carried here from another store, after those before them; the ends of their chains are still to be written.
pub(super) fn messages(conn: &Connection, keys: &mut Keys, chains: &mut Chains, batch: &Batch) -> Result<(), Stopped> {
    let before = chains.next_id();
    record_messages(conn, keys, chains, batch)?;
    Ok(note_blocks(conn, before, batch)?)
}

/// The mark of a message that was seen, with its hash and its time of recording; the same way.
pub(super) fn mark(
    conn: &Connection,
    keys: &mut Keys,
    chains: &mut Chains,
    (key, hash, recorded_at): (&KitSeq, &[u8; 32], i64),
) -> Result<(), Stopped> {
    let place = chains.of_kit(conn, keys, key)?.ok_or_else(|| duplicate(key))?;
    Ok(mark_as_seen(conn, &place, key.seq, hash, recorded_at)?)
}

fn record(conn: &Connection, keys: &mut Keys, batch: &Batch) -> Result<(), Stopped> {
    keys.make_room();
    if !batch.entries.is_empty() || !batch.quarantined.is_empty() {
        let mut chains = Chains::begin(conn)?;
        let before = chains.next_id();
        record_messages(conn, keys, &mut chains, batch)?;
        record_quarantined(conn, keys, &mut chains, batch)?;
        chains.write(conn)?;
        note_blocks(conn, before, batch)?;
        command::record_receipts(conn, batch)?;
    }
    if !batch.assessments.is_empty() {
        record_assessments(conn, keys, batch)?;
    }
    record_alerts(conn, keys, &batch.alerts)?;
    Ok(journal::record(conn, keys, &batch.journal)?)
}

/// Which times the blocks of messages hold, for whoever reads a history. Entries get their ids first, in order; marks of quarantine follow.
fn note_blocks(conn: &Connection, first_id: i64, batch: &Batch) -> Result<(), rusqlite::Error> {
    let mut blocks: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    let times = batch.entries.iter().map(|entry| nanos(entry.recorded_at));
    for (id, at) in (first_id..).zip(times) {
        let (first, last) = blocks.entry(id >> BLOCK_BITS).or_insert((at, at));
        (*first, *last) = (at.min(*first), at.max(*last));
    }
    let sql = "INSERT INTO message_block (block, first, last) VALUES (?1, ?2, ?3) ON CONFLICT (block)
               DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)";
    let mut note = conn.prepare_cached(sql)?;
    blocks.into_iter().try_for_each(|(block, (first, last))| note.execute((block, first, last)).map(drop))
}

/// A message's numbers in the database.
struct Placed {
    of_kit: OfKit,
    of_patient: OfPatient,
    reading_from: i64,
    answer_from: i64,
}

fn duplicate(key: &KitSeq) -> Stopped {
    Stopped::Known(StoreError::Duplicate { kit: key.kit.clone(), seq: key.seq })
}

fn record_messages(conn: &Connection, keys: &mut Keys, chains: &mut Chains, batch: &Batch) -> Result<(), Stopped> {
    let entries = &batch.entries;
    let readings: usize = entries.iter().map(|entry| entry.readings.len()).sum();
    let answers: usize = entries.iter().map(|entry| entry.answers.len()).sum();
    let placed = place(conn, keys, chains, batch)?;
    let channels = channels(conn, keys, entries, readings)?;

    let rows = entries.iter().flat_map(|entry| &entry.readings).zip(channels);
    READINGS.run(conn, readings, rows, |values, (reading, channel)| {
        values.push(&[&channel])?;
        push_value(values, reading.value)?;
        values.push(&[&nanos(reading.measured_at)])
    })?;
    ANSWERS.run(conn, answers, entries.iter().flat_map(|entry| &entry.answers), |values, answer| {
        let Answer { questionnaire, version, question, answer, answered_at } = answer;
        values.push(&[questionnaire, version, question, answer, &nanos(*answered_at)])
    })?;
    Ok(insert_messages(conn, batch, &placed)?)
}

fn insert_messages(conn: &Connection, batch: &Batch, placed: &[Placed]) -> Result<(), rusqlite::Error> {
    MESSAGES.run(conn, placed.len(), batch.entries.iter().zip(placed), |values, (entry, placed)| {
        let Placed { of_kit, of_patient, reading_from, answer_from } = placed;
        values.push(&[&of_kit.id, &of_kit.kit, &entry.key.seq.cast_signed(), &of_kit.previous, &entry.hash])?;
        values.push(&[&of_patient.patient, &of_patient.previous, entry.session.as_bytes()])?;
        values.push(&[&nanos(entry.sent_at), &nanos(entry.recorded_at), &of_patient.latest])?;
        values.push(&[reading_from, &count(&entry.readings), answer_from, &count(&entry.answers)])
    })
}

fn count<T>(rows: &[T]) -> i64 {
    rows.len().cast_signed() as i64
}

/// Gives each message its kit, its patient and the numbers that its readings and answers will have.
fn place(conn: &Connection, keys: &mut Keys, chains: &mut Chains, batch: &Batch) -> Result<Vec<Placed>, Stopped> {
    let next = "SELECT (SELECT coalesce(max(id), 0) + 1 FROM reading), (SELECT coalesce(max(id), 0) + 1 FROM answer)";
    let (mut reading_from, mut answer_from) =
        conn.prepare_cached(next)?.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let mut placed = Vec::with_capacity(batch.entries.len());
    for entry in &batch.entries {
        let of_kit = chains.of_kit(conn, keys, &entry.key)?.ok_or_else(|| duplicate(&entry.key))?;
        let latest = entry.readings.iter().map(|reading| reading.measured_at).fold(entry.recorded_at, Timestamp::max);
        let of_patient = chains.of_patient(conn, keys, &entry.patient, of_kit.id, nanos(latest))?;
        placed.push(Placed { of_kit, of_patient, reading_from, answer_from });
        reading_from += count(&entry.readings);
        answer_from += count(&entry.answers);
    }
    Ok(placed)
}

fn channels(conn: &Connection, keys: &mut Keys, entries: &[Entry], count: usize) -> Result<Vec<i64>, rusqlite::Error> {
    let mut channels = Vec::with_capacity(count);
    for reading in entries.iter().flat_map(|entry| &entry.readings) {
        channels.push(keys.channel(conn, reading)?);
    }
    Ok(channels)
}

fn record_quarantined(conn: &Connection, keys: &mut Keys, chains: &mut Chains, batch: &Batch) -> Result<(), Stopped> {
    let recorded_at = nanos(batch.recorded_at);
    for Quarantined { kit, seq, hash, bytes, reason, whole } in &batch.quarantined {
        let key = keys.kit(conn, kit)?.key;
        QUARANTINE.run(conn, 1, std::iter::once(key), |values, key| {
            values.push(&[&key, &seq.map(u64::cast_signed), hash, &recorded_at, bytes, reason, whole])
        })?;
        if let (true, Some(seq)) = (whole, seq) {
            let key = KitSeq { kit: kit.clone(), seq: *seq };
            let place = chains.of_kit(conn, keys, &key)?.ok_or_else(|| duplicate(&key))?;
            mark_as_seen(conn, &place, key.seq, hash, recorded_at)?;
        }
    }
    Ok(())
}

/// The dedupe mark of a message of which nothing else is stored.
fn mark_as_seen(
    conn: &Connection,
    place: &OfKit,
    seq: u64,
    hash: &[u8; 32],
    recorded_at: i64,
) -> Result<(), rusqlite::Error> {
    let mark = "INSERT INTO message (id, kit, seq, previous_of_kit, hash, recorded_at, latest, \
                reading_from, reading_count, answer_from, answer_count) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 0, 0, 0, 0)";
    let values = (place.id, place.kit, seq.cast_signed(), place.previous, hash, recorded_at);
    conn.prepare_cached(mark)?.execute(values).map(drop)
}

fn record_assessments(conn: &Connection, keys: &mut Keys, batch: &Batch) -> Result<(), rusqlite::Error> {
    let recorded_at = nanos(batch.recorded_at);
    let mut patients = Vec::with_capacity(batch.assessments.len());
    for change in &batch.assessments {
        patients.push(keys.patient(conn, &change.patient)?.key);
    }
    ASSESSMENTS.run(conn, patients.len(), batch.assessments.iter().zip(patients), |values, (change, patient)| {
        values.push(&[&patient, &recorded_at, &nanos(change.at), &change.was.name(), &change.colour.name()])?;
        values.push(&[&change.blue, &change.late, &to_json(&change.findings)])
    })
}

/// The last state of every changed alert, then every event.
fn record_alerts(conn: &Connection, keys: &mut Keys, changes: &[AlertChange]) -> Result<(), Stopped> {
    let last: HashMap<_, _> = changes.iter().enumerate().map(|(index, change)| (change.alert.id, index)).collect();
    let mut rows = HashMap::with_capacity(last.len());
    for (index, change) in changes.iter().enumerate() {
        if last.get(&change.alert.id) == Some(&index) {
            let patient = keys.patient(conn, &change.alert.patient)?.key;
            let key = put_alert(conn, patient, &change.alert)?;
            rows.insert(change.alert.id, key);
        }
    }
    EVENTS.run(conn, changes.len(), changes.iter(), |values, AlertChange { alert, event }| {
        values.push(&[&rows.get(&alert.id), &name_of(&event.kind), &nanos(event.at), &event.by])?;
        values.push(&[&name_of(&event.mark), &event.text])
    })?;
    Ok(())
}

fn put_alert(conn: &Connection, patient: i64, alert: &Alert) -> Result<i64, Stopped> {
    let put = conn.prepare_cached(ALERT)?.query_row(
        (
            alert.id.as_bytes(),
            patient,
            alert.family.as_str(),
            alert.state.is_open(),
            state_name(&alert.state),
            name_of(&alert.mark),
            nanos(alert.raised_at),
            nanos(alert.waiting_since),
            nanos(alert.changed_at),
            to_json(alert),
        ),
        |row| row.get(0),
    );
    put.map_err(|error| match trouble::is_duplicate(&error) {
        true => {
            let (patient, family) = (alert.patient.clone(), alert.family.clone());
            Stopped::Known(StoreError::AlertAlreadyOpen { patient, family })
        }
        false => error.into(),
    })
}
