//! Step 7, record: one batch, one transaction. A message is one row, with its readings in it, so that what finds it is indexed once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use sqlx::Row;
use triage::{Alert, AlertChange};

use super::{
    Inner, command,
    conn::Asked,
    journal,
    keys::Keys,
    message::{self, MessageRow},
    trouble,
    writer::{Begun, Write},
};
use crate::{
    Batch, KitSeq, Quarantined, StoreError,
    carry::message::Carried,
    convert::state_name,
    convert::{name_of, nanos, to_json},
};

/// Rows of one statement of arrays, small enough for every server.
pub(super) const ARRAY_ROWS: usize = 64;

const ALERT: &str = "\
INSERT INTO alert (id, patient, family, open, state, mark, raised_at, waiting_since, changed_at, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET open = excluded.open, state = excluded.state, mark = excluded.mark,
    waiting_since = excluded.waiting_since, changed_at = excluded.changed_at, body = excluded.body
RETURNING key";

const EVENTS: &str = "\
INSERT INTO alert_event (alert, kind, at, by, mark, text)
SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[])";

const ASSESSMENTS: &str = "\
INSERT INTO assessment (patient, recorded_at, at, was, colour, blue, late, findings)
SELECT patient, $1, at, was, colour, blue, late, findings
FROM UNNEST($2::int[], $3::bigint[], $4::text[], $5::text[], $6::boolean[], $7::boolean[], $8::text[])
AS n (patient, at, was, colour, blue, late, findings)";

const KIT_ENDS: &str = "\
INSERT INTO kit_end (kit, seq) SELECT * FROM UNNEST($1::int[], $2::bigint[])
ON CONFLICT (kit) DO UPDATE SET seq = excluded.seq";

const DAY: &str = "\
INSERT INTO message_day VALUES ((to_timestamp($1::bigint / 1e6) AT TIME ZONE 'UTC')::date, $2, $3, $4, $5, $6)
ON CONFLICT (day) DO UPDATE SET first_id = least(message_day.first_id, excluded.first_id),
    last_id = greatest(message_day.last_id, excluded.last_id), first = least(message_day.first, excluded.first),
    last = greatest(message_day.last, excluded.last), newest = greatest(message_day.newest, excluded.newest)";

/// Kits whose ends are written in one statement.
const ENDS_AT_ONCE: usize = 2_048;

/// Commits a batch, whole or not at all.
pub(super) async fn commit(store: &Inner, batch: &Batch) -> Result<(), StoreError> {
    let marks = batch.quarantined.iter().filter(|row| row.whole && row.seq.is_some()).count();
    let what = || fingerprint(batch);
    let Some((mut write, begun)) = store.writer.begin_batch(batch.entries.len() + marks, what).await? else {
        return Ok(());
    };
    match record(&mut write, &begun, store.link.can.copy, batch).await {
        Ok(()) => write.commit_as(what).await,
        Err(Failure::Known(error)) => {
            write.abandon().await;
            Err(error)
        }
        Err(Failure::Database(error)) => Err(store.trouble(error)),
    }
}

/// Messages and marks that are carried here from another store, in their order, within a transaction that goes on.
pub(super) async fn carried(
    store: &Inner,
    write: &mut Write<'_>,
    kept_at: i64,
    carried: Vec<Carried>,
) -> Result<(), StoreError> {
    let (conn, keys) = write.parts();
    match record_carried(conn, keys, kept_at, store.link.can.copy, carried).await {
        Ok(()) => Ok(()),
        Err(Failure::Known(error)) => Err(error),
        Err(Failure::Database(error)) => Err(store.trouble(error)),
    }
}

const NEXT_IDS: &str =
    "UPDATE book SET commits = commits + 1, last_id = last_id + $1 WHERE id = 1 RETURNING last_id - $1 + 1";

async fn record_carried(
    conn: &mut Asked,
    keys: &mut Keys,
    kept_at: i64,
    copy: bool,
    carried: Vec<Carried>,
) -> Result<(), Failure> {
    let count = carried.len().cast_signed() as i64;
    let first_id: i64 = sqlx::query_scalar(NEXT_IDS).bind(count).fetch_one(&mut *conn).await?;
    keys.learn_kits(conn, carried.iter().map(|one| &one.key().kit)).await?;
    let entries = || carried.iter().filter_map(Carried::whole);
    keys.learn_patients(conn, entries().map(|entry| &entry.patient)).await?;
    keys.learn_channels(conn, entries().flat_map(|entry| &entry.readings)).await?;
    let mut placing = Placing::default();
    let mut rows = Vec::with_capacity(carried.len());
    for (id, one) in (first_id..).zip(&carried) {
        let kit = placing.place(conn, keys, one.key()).await?;
        rows.push(match one {
            Carried::Whole(entry) => MessageRow::of_entry(id, kit, entry, keys),
            Carried::Mark(mark) => MessageRow::of_mark(id, kit, mark.key.seq, &mark.hash, mark.recorded_at),
        });
    }
    put_rows(conn, kept_at, copy, &rows, placing).await
}

async fn put_rows(
    conn: &mut Asked,
    kept_at: i64,
    copy: bool,
    rows: &[MessageRow<'_>],
    placing: Placing,
) -> Result<(), Failure> {
    message::write(conn, kept_at, rows, copy).await?;
    placing.write(conn).await?;
    Ok(note_day(conn, kept_at, rows).await?)
}

/// Tells a batch from others. Asked only after an answer was lost.
fn fingerprint(batch: &Batch) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{batch:?}").hash(&mut hasher);
    hasher.finish()
}

/// Why a batch was not recorded: in our words, or in the database's.
enum Failure {
    Known(StoreError),
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

async fn record(write: &mut Write<'_>, begun: &Begun, copy: bool, batch: &Batch) -> Result<(), Failure> {
    let (conn, keys) = write.parts();
    learn(conn, keys, batch).await?;
    if !batch.entries.is_empty() || !batch.quarantined.is_empty() {
        record_messages(conn, keys, begun, copy, batch).await?;
        record_quarantined(conn, keys, batch).await?;
        command::record_receipts(conn, batch).await?;
    }
    if !batch.assessments.is_empty() {
        record_assessments(conn, keys, batch).await?;
    }
    record_alerts(conn, keys, &batch.alerts).await?;
    Ok(journal::record(conn, keys, &batch.journal).await?)
}

/// Everything that a batch names has a number afterwards.
async fn learn(conn: &mut Asked, keys: &mut Keys, batch: &Batch) -> Result<(), sqlx::Error> {
    let Batch { entries, quarantined, assessments, alerts, .. } = batch;
    let kits = entries.iter().map(|entry| &entry.key.kit).chain(quarantined.iter().map(|row| &row.kit));
    keys.learn_kits(conn, kits).await?;
    let patients = entries.iter().map(|entry| &entry.patient);
    let patients = patients.chain(assessments.iter().map(|change| &change.patient));
    keys.learn_patients(conn, patients.chain(alerts.iter().map(|change| &change.alert.patient))).await?;
    keys.learn_channels(conn, entries.iter().flat_map(|entry| &entry.readings)).await
}

fn duplicate(key: &KitSeq) -> Failure {
    Failure::Known(StoreError::Duplicate { kit: key.kit.clone(), seq: key.seq })
}

/// The messages, then the marks of those that are in quarantine as a whole.
async fn record_messages(
    conn: &mut Asked,
    keys: &mut Keys,
    begun: &Begun,
    copy: bool,
    batch: &Batch,
) -> Result<(), Failure> {
    let mut placing = Placing::default();
    let mut rows: Vec<MessageRow<'_>> = Vec::with_capacity(batch.entries.len());
    for (id, entry) in (begun.first_id..).zip(&batch.entries) {
        let kit = placing.place(conn, keys, &entry.key).await?;
        rows.push(MessageRow::of_entry(id, kit, entry, keys));
    }
    let mut next_id = begun.first_id + rows.len().cast_signed() as i64;
    for row in batch.quarantined.iter().filter(|row| row.whole) {
        let Some(seq) = row.seq else { continue };
        let key = KitSeq { kit: row.kit.clone(), seq };
        let kit = placing.place(conn, keys, &key).await?;
        rows.push(MessageRow::of_mark(next_id, kit, seq, &row.hash, batch.recorded_at));
        next_id += 1;
    }
    if rows.is_empty() {
        return Ok(());
    }
    put_rows(conn, begun.kept_at, copy, &rows, placing).await
}

/// The kits of a batch, and where each of them ends.
#[derive(Default)]
struct Placing {
    ends: BTreeMap<i32, i64>,
    below: HashSet<(i32, i64)>,
}

impl Placing {
    /// A kit's number, if its message was never seen. One beyond the kit's last never was; others are looked for.
    async fn place(&mut self, conn: &mut Asked, keys: &mut Keys, key: &KitSeq) -> Result<i32, Failure> {
        let known = keys.kit(&key.kit);
        let (kit, seq) = (known.key, key.seq.cast_signed());
        match known.last {
            Some(last) if seq <= last => {
                // In this batch, or stored: both are in `below` or in the table, or are the last itself.
                if seq == last || !self.below.insert((kit, seq)) || message::find(conn, kit, seq).await?.is_some() {
                    return Err(duplicate(key));
                }
            }
            _ => {
                known.last = Some(seq);
                self.below.insert((kit, seq));
                self.ends.insert(kit, seq);
            }
        }
        Ok(kit)
    }

    async fn write(self, conn: &mut Asked) -> Result<(), sqlx::Error> {
        let (kits, seqs): (Vec<_>, Vec<_>) = self.ends.into_iter().unzip();
        for (kits, seqs) in kits.chunks(ENDS_AT_ONCE).zip(seqs.chunks(ENDS_AT_ONCE)) {
            sqlx::query(KIT_ENDS).bind(kits).bind(seqs).execute(&mut *conn).await?;
        }
        Ok(())
    }
}

async fn note_day(conn: &mut Asked, kept_at: i64, rows: &[MessageRow<'_>]) -> Result<(), sqlx::Error> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
    let recorded = || rows.iter().map(|row| row.recorded_at);
    sqlx::query(DAY)
        .bind(kept_at)
        .bind(first.id)
        .bind(last.id)
        .bind(recorded().min())
        .bind(recorded().max())
        .bind(rows.iter().map(|row| row.newest).max())
        .execute(conn)
        .await
        .map(|_| ())
}

async fn record_quarantined(conn: &mut Asked, keys: &mut Keys, batch: &Batch) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO quarantine (kit, seq, hash, recorded_at, bytes, reason, whole) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    for Quarantined { kit, seq, hash, bytes, reason, whole } in &batch.quarantined {
        sqlx::query(sql)
            .bind(keys.kit(kit).key)
            .bind(seq.map(u64::cast_signed))
            .bind(hash.as_slice())
            .bind(nanos(batch.recorded_at))
            .bind(bytes.as_slice())
            .bind(message::plain(reason).as_ref())
            .bind(*whole)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

async fn record_assessments(conn: &mut Asked, keys: &Keys, batch: &Batch) -> Result<(), sqlx::Error> {
    for part in batch.assessments.chunks(ARRAY_ROWS) {
        let texts = |text: fn(&triage::AssessmentChange) -> &'static str| part.iter().map(text).collect::<Vec<_>>();
        let flags = |flag: fn(&triage::AssessmentChange) -> bool| part.iter().map(flag).collect::<Vec<_>>();
        sqlx::query(ASSESSMENTS)
            .bind(nanos(batch.recorded_at))
            .bind(part.iter().map(|change| keys.patient(&change.patient)).collect::<Vec<_>>())
            .bind(part.iter().map(|change| nanos(change.at)).collect::<Vec<_>>())
            .bind(texts(|change| change.was.name()))
            .bind(texts(|change| change.colour.name()))
            .bind(flags(|change| change.blue))
            .bind(flags(|change| change.late))
            .bind(part.iter().map(|change| to_json(&change.findings)).collect::<Vec<_>>())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// The last state of every changed alert, then every event.
async fn record_alerts(conn: &mut Asked, keys: &Keys, changes: &[AlertChange]) -> Result<(), Failure> {
    let last: HashMap<_, _> = changes.iter().enumerate().map(|(index, change)| (change.alert.id, index)).collect();
    let mut rows = HashMap::with_capacity(last.len());
    for (index, change) in changes.iter().enumerate() {
        if last.get(&change.alert.id) == Some(&index) {
            let key = put_alert(conn, keys.patient(&change.alert.patient), &change.alert).await?;
            rows.insert(change.alert.id, key);
        }
    }
    for part in changes.chunks(ARRAY_ROWS) {
        let events = || part.iter().map(|change| &change.event);
        let insert = sqlx::query(EVENTS)
            .bind(part.iter().map(|change| rows.get(&change.alert.id).copied()).collect::<Vec<_>>())
            .bind(events().map(|event| name_of(&event.kind)).collect::<Vec<_>>())
            .bind(events().map(|event| nanos(event.at)).collect::<Vec<_>>())
            .bind(events().map(|event| event.by.clone()).collect::<Vec<_>>())
            .bind(events().map(|event| name_of(&event.mark)).collect::<Vec<_>>())
            .bind(events().map(|event| message::plain(&event.text).into_owned()).collect::<Vec<_>>());
        insert.execute(&mut *conn).await?;
    }
    Ok(())
}

async fn put_alert(conn: &mut Asked, patient: i32, alert: &Alert) -> Result<i64, Failure> {
    let put = sqlx::query(ALERT)
        .bind(alert.id)
        .bind(patient)
        .bind(alert.family.as_str())
        .bind(alert.state.is_open())
        .bind(state_name(&alert.state))
        .bind(name_of(&alert.mark))
        .bind(nanos(alert.raised_at))
        .bind(nanos(alert.waiting_since))
        .bind(nanos(alert.changed_at))
        .bind(to_json(alert))
        .fetch_one(conn);
    match put.await {
        Ok(row) => Ok(row.try_get(0)?),
        Err(error) if trouble::is_duplicate(&error) => {
            let (patient, family) = (alert.patient.clone(), alert.family.clone());
            Err(Failure::Known(StoreError::AlertAlreadyOpen { patient, family }))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_batch_is_told_from_others() {
        let one = Batch { recorded_at: Timestamp::UNIX_EPOCH, ..Batch::default() };
        let other = Batch { recorded_at: Timestamp::MAX, ..Batch::default() };
        assert_eq!(fingerprint(&one), fingerprint(&one.clone()));
        assert_ne!(fingerprint(&one), fingerprint(&other));
    }
}
