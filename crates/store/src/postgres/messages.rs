//! Messages as they were admitted: one, or a patient's. Each question is short and gives its connection back, so that whoever reads slowly
//! holds up nobody.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use tokio::sync::mpsc;
use uuid::Uuid;
use vitals::PatientId;

use super::{Inner, channels, conn::Asked, message};
use crate::{
    KitSeq, MessagePages, StoreError, StoredMessage,
    convert::{corrupt, nanos, parsed, time},
    pages::Page,
};

/// Messages of a page.
const PAGE_MESSAGES: i64 = 512;
/// Pages that wait for whoever asked.
const PAGES_WAIT_MAX: usize = 1;

/// What a message is read by.
pub(super) const COLUMNS: &str = "m.id, k.kit, m.seq, m.recorded_at, m.session, m.readings, m.odd, m.answers";

/// The patient's number, the newest message there is, and the first day (by the time of keeping, which divides the table) that can hold anything
/// recorded since then.
const WHERE: &str = "\
SELECT p.key, b.last_id,
    (SELECT (extract(epoch FROM min(day)::timestamp AT TIME ZONE 'UTC') * 1000000)::bigint FROM message_day WHERE last >= $2)
FROM patient_key p, book b WHERE p.patient = $1";

/// Where a patient's messages are looked for.
#[derive(Clone, Copy)]
struct Of {
    patient: i32,
    since: i64,
    from_day: i64,
    until_id: i64,
}

/// All of a patient's messages recorded at or after `since`, in the order in which they were recorded.
pub(super) async fn all(
    store: &Inner,
    patient: &PatientId,
    since: Timestamp,
) -> Result<Vec<StoredMessage>, StoreError> {
    let Some(of) = find(store, patient, since).await? else { return Ok(Vec::new()) };
    let (mut messages, mut after) = (Vec::new(), i64::MIN);
    while let Some((last, found)) = page(store, of, after).await? {
        messages.extend(found);
        after = last;
    }
    Ok(messages)
}

/// The same, page by page.
pub(super) async fn pages(
    store: &Arc<Inner>,
    patient: &PatientId,
    since: Timestamp,
) -> Result<MessagePages, StoreError> {
    let (to, pages) = mpsc::channel(PAGES_WAIT_MAX);
    if let Some(of) = find(store, patient, since).await? {
        let store = Arc::clone(store);
        tokio::spawn(async move { send(&store, of, &to).await });
    }
    Ok(MessagePages::new(pages))
}

async fn send(store: &Inner, of: Of, to: &mpsc::Sender<Page>) {
    let mut after = i64::MIN;
    loop {
        let (found, goes_on) = match page(store, of, after).await {
            Ok(None) => return,
            Ok(Some((last, found))) => {
                after = last;
                (Ok(found), true)
            }
            Err(error) => (Err(error), false),
        };
        if to.send(found).await.is_err() || !goes_on {
            return;
        }
    }
}

/// The newest of them.
pub(super) async fn newest(
    store: &Inner,
    patient: &PatientId,
    since: Timestamp,
    before: Option<Timestamp>,
    limit: u32,
) -> Result<Vec<StoredMessage>, StoreError> {
    let Some(of) = find(store, patient, since).await? else { return Ok(Vec::new()) };
    let mut conn = store.reader().await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM message m JOIN kit_key k ON k.key = m.kit WHERE m.patient = $1 AND m.id <= $2
         AND m.kept_at >= to_timestamp($3::bigint / 1e6) AND m.recorded_at >= $4 AND m.recorded_at < $6 ORDER BY m.id DESC LIMIT $5"
    );
    let asked = sqlx::query(AssertSqlSafe(sql)).bind(of.patient).bind(of.until_id).bind(of.from_day).bind(of.since);
    let asked = asked.bind(i64::from(limit)).bind(before.map_or(i64::MAX, nanos));
    let rows = asked.fetch_all(&mut *conn).await;
    let mut found = stored(store, &mut conn, &rows.map_err(|error| store.trouble(error))?).await?;
    found.reverse();
    Ok(found)
}

async fn find(store: &Inner, patient: &PatientId, since: Timestamp) -> Result<Option<Of>, StoreError> {
    let since = nanos(since);
    let asked = sqlx::query(WHERE).bind(patient.as_str()).bind(since);
    let row = asked.fetch_optional(&mut *store.reader().await?).await.map_err(|error| store.trouble(error))?;
    let Some(row) = row else { return Ok(None) };
    let Some(from_day) = row.try_get(2)? else { return Ok(None) };
    Ok(Some(Of { patient: row.try_get(0)?, since, from_day, until_id: row.try_get(1)? }))
}

/// The next messages after one, and the id of the last of them.
async fn page(store: &Inner, of: Of, after: i64) -> Result<Option<(i64, Vec<StoredMessage>)>, StoreError> {
    let mut conn = store.reader().await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM message m JOIN kit_key k ON k.key = m.kit WHERE m.patient = $1 AND m.id > $2 AND m.id <= $3
         AND m.kept_at >= to_timestamp($4::bigint / 1e6) AND m.recorded_at >= $5 ORDER BY m.id LIMIT $6"
    );
    let asked = sqlx::query(AssertSqlSafe(sql)).bind(of.patient).bind(after).bind(of.until_id).bind(of.from_day);
    let rows = asked.bind(of.since).bind(PAGE_MESSAGES).fetch_all(&mut *conn).await;
    let rows = rows.map_err(|error| store.trouble(error))?;
    let Some(last) = rows.last() else { return Ok(None) };
    Ok(Some((last.try_get(0)?, stored(store, &mut conn, &rows).await?)))
}

/// One message, and whose it is; none if it is not stored, or in quarantine as a whole.
pub(super) async fn one(store: &Inner, key: &KitSeq) -> Result<Option<(PatientId, StoredMessage)>, StoreError> {
    let mut conn = store.reader().await?;
    let sql = format!(
        "SELECT {COLUMNS}, p.patient FROM kit_key k JOIN message m ON m.kit = k.key JOIN patient_key p ON p.key = m.patient
         WHERE k.kit = $1 AND m.seq = $2 ORDER BY m.id LIMIT 1"
    );
    let asked = sqlx::query(AssertSqlSafe(sql)).bind(key.kit.as_str()).bind(key.seq.cast_signed());
    let row = asked.fetch_optional(&mut *conn).await.map_err(|error| store.trouble(error))?;
    let Some(row) = row else { return Ok(None) };
    let patient = parsed("patient_key", row.try_get::<i64, _>(0)?, row.try_get(8)?)?;
    Ok(stored(store, &mut conn, &[row]).await?.pop().map(|message| (patient, message)))
}

/// Rows of [`COLUMNS`] as messages.
pub(super) async fn stored(store: &Inner, conn: &mut Asked, rows: &[PgRow]) -> Result<Vec<StoredMessage>, StoreError> {
    let id = |row: &PgRow| row.try_get::<i64, _>(0);
    let kept = rows.iter().map(|row| message::readings(row, 5, id(row)?)).collect::<Result<Vec<_>, StoreError>>()?;
    let channels = store.channels.of(conn, kept.iter().flatten()).await?;
    let one = |(row, kept): (&PgRow, &Vec<message::Kept>)| {
        let id = id(row)?;
        let readings = kept.iter().map(|kept| channels::reading(kept, &channels, id)).collect::<Result<_, _>>()?;
        let session: Option<Uuid> = row.try_get(4)?;
        Ok(StoredMessage {
            key: KitSeq {
                kit: parsed("message", id, row.try_get(1)?)?,
                seq: row.try_get::<i64, _>(2)?.cast_unsigned(),
            },
            recorded_at: time(row.try_get(3)?),
            session: session.ok_or_else(|| corrupt("message", id, "no session".to_owned()))?,
            readings,
            answers: message::answers(row, 7, id)?,
        })
    };
    rows.iter().zip(&kept).map(one).collect()
}
