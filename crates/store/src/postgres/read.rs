//! The queries. They run on the readers, beside each other and beside a commit.

use sqlx::Row;
use triage::{Alert, AlertEvent, AlertId};
use vitals::{KitId, PatientId};

use super::{Inner, migrate};
use crate::{
    KitSeq, QuarantinedEntry, StoreError, Stored,
    convert::{corrupt, json, parsed},
    rows::{self, HISTORY_EVENTS_MAX},
};

/// Messages of one question.
const ASKED_AT_ONCE: usize = 512;

/// Which of these are stored, with their hashes. One that is beyond its kit's last is not, and that is nearly every one that is asked for.
pub(super) async fn seen(store: &Inner, messages: &[KitSeq]) -> Result<Vec<(KitSeq, [u8; 32])>, StoreError> {
    let sql = "SELECT w.place, m.hash FROM UNNEST($1::text[], $2::bigint[]) WITH ORDINALITY w (kit, seq, place)
               JOIN kit_key k ON k.kit = w.kit JOIN kit_end e ON e.kit = k.key AND e.seq >= w.seq
               CROSS JOIN LATERAL (SELECT m.hash FROM message m WHERE m.kit = k.key AND m.seq = w.seq ORDER BY m.id LIMIT 1) m
               ORDER BY w.place";
    let mut conn = store.reader().await?;
    let mut seen = Vec::new();
    for part in messages.chunks(ASKED_AT_ONCE) {
        let kits: Vec<&str> = part.iter().map(|key| key.kit.as_str()).collect();
        let seqs: Vec<i64> = part.iter().map(|key| key.seq.cast_signed()).collect();
        let rows = sqlx::query(sql).bind(kits).bind(seqs).fetch_all(&mut *conn).await;
        for row in rows.map_err(|error| store.trouble(error))? {
            let key = usize::try_from(row.try_get::<i64, _>(0)? - 1).ok().and_then(|index| part.get(index));
            let key = key.ok_or_else(|| corrupt("message", "?", "an index beyond the question".into()))?.clone();
            let hash = rows::hash(&row, 1).map_err(|what| corrupt("message", key.seq, what))?;
            seen.push((key, hash));
        }
    }
    Ok(seen)
}

/// The largest seq of each of these kits that was ever heard of.
pub(super) async fn last_seqs(store: &Inner, kits: &[KitId]) -> Result<Vec<(KitId, u64)>, StoreError> {
    let sql = "SELECT k.kit, e.seq FROM UNNEST($1::text[]) WITH ORDINALITY w (kit, place)
               JOIN kit_key k ON k.kit = w.kit JOIN kit_end e ON e.kit = k.key ORDER BY w.place";
    let kits: Vec<&str> = kits.iter().map(KitId::as_str).collect();
    let rows = sqlx::query(sql).bind(kits).fetch_all(&mut *store.reader().await?).await;
    let rows = rows.map_err(|error| store.trouble(error))?;
    rows.iter()
        .map(|row| Ok((parsed("kit_key", "?", row.try_get(0)?)?, row.try_get::<i64, _>(1)?.cast_unsigned())))
        .collect()
}

async fn alerts(
    store: &Inner,
    query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
) -> Result<Vec<Alert>, StoreError> {
    let rows = query.fetch_all(&mut *store.reader().await?).await.map_err(|error| store.trouble(error))?;
    rows.iter().map(|row| json("alert", "?", row.try_get(0)?)).collect()
}

/// Open alerts, the longest open first.
pub(super) async fn open_alerts(store: &Inner, patient: Option<&PatientId>) -> Result<Vec<Alert>, StoreError> {
    let query = match patient {
        None => sqlx::query("SELECT body FROM alert WHERE open ORDER BY raised_at, key"),
        Some(patient) => sqlx::query(
            "SELECT a.body FROM patient_key p JOIN alert a ON a.patient = p.key
             WHERE p.patient = $1 AND a.open ORDER BY a.raised_at, a.key",
        )
        .bind(patient.as_str()),
    };
    alerts(store, query).await
}

/// A patient's alerts, newest first.
pub(super) async fn alerts_of(store: &Inner, patient: &PatientId, limit: u32) -> Result<Vec<Alert>, StoreError> {
    let sql = "SELECT a.body FROM patient_key p JOIN alert a ON a.patient = p.key
               WHERE p.patient = $1 ORDER BY a.raised_at DESC, a.key DESC LIMIT $2";
    alerts(store, sqlx::query(sql).bind(patient.as_str()).bind(i64::from(limit))).await
}

/// One alert and its history.
pub(super) async fn alert(store: &Inner, id: AlertId) -> Result<Option<(Alert, Vec<AlertEvent>)>, StoreError> {
    let mut tx = store.snapshot().await?;
    let find = sqlx::query("SELECT key, body FROM alert WHERE id = $1").bind(id);
    let Some(row) = find.fetch_optional(&mut *tx).await? else {
        return Ok(None);
    };
    let alert = json("alert", &id.to_string(), row.try_get(1)?)?;
    let sql = "SELECT * FROM (SELECT id, kind, at, by, mark, text FROM alert_event WHERE alert = $1
               ORDER BY id DESC LIMIT $2) newest ORDER BY id";
    let rows = sqlx::query(sql)
        .bind(row.try_get::<i64, _>(0)?)
        .bind(i64::from(HISTORY_EVENTS_MAX))
        .fetch_all(&mut *tx)
        .await?;
    Ok(Some((alert, rows.iter().map(rows::event).collect::<Result<_, _>>()?)))
}

/// What is in quarantine, newest first, and how many in all.
pub(super) async fn quarantine(store: &Inner, limit: u32) -> Result<(Vec<QuarantinedEntry>, u64), StoreError> {
    let mut tx = store.snapshot().await?;
    let all: i64 = sqlx::query("SELECT count(*) FROM quarantine").fetch_one(&mut *tx).await?.try_get(0)?;
    let sql = "SELECT q.id, k.kit, q.seq, q.recorded_at, q.reason, length(q.bytes)::bigint
               FROM quarantine q JOIN kit_key k ON k.key = q.kit ORDER BY q.id DESC LIMIT $1";
    let rows = sqlx::query(sql).bind(i64::from(limit)).fetch_all(&mut *tx).await?;
    Ok((rows.iter().map(rows::quarantined).collect::<Result<_, _>>()?, all.cast_unsigned()))
}

/// One of what is in quarantine, with its bytes.
pub(super) async fn quarantined(store: &Inner, id: i64) -> Result<Option<(QuarantinedEntry, Vec<u8>)>, StoreError> {
    let sql = "SELECT q.id, k.kit, q.seq, q.recorded_at, q.reason, length(q.bytes)::bigint, q.bytes
               FROM quarantine q JOIN kit_key k ON k.key = q.kit WHERE q.id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(&mut *store.reader().await?).await;
    let row = row.map_err(|error| store.trouble(error))?;
    row.map(|row| Ok((rows::quarantined(&row)?, row.try_get(6)?))).transpose()
}

/// How many bytes the database has on the server's disk.
pub(super) async fn bytes(store: &Inner) -> Result<u64, StoreError> {
    let asked = sqlx::query_scalar("SELECT pg_database_size(current_database())");
    let bytes: i64 = asked.fetch_one(&mut *store.reader().await?).await.map_err(|error| store.trouble(error))?;
    Ok(bytes.unsigned_abs())
}

/// Writes, commits durably and reads back.
pub(super) async fn ping(store: &Inner) -> Result<(), StoreError> {
    let mut write = store.writer.begin().await?;
    let sql = "UPDATE ping SET count = count + 1 WHERE id = 1 RETURNING count";
    let row = sqlx::query(sql).fetch_one(write.conn()).await.map_err(|error| store.trouble(error))?;
    let wrote: i64 = row.try_get(0)?;
    write.commit().await?;
    let row = sqlx::query("SELECT count FROM ping WHERE id = 1").fetch_one(&mut *store.reader().await?).await;
    let found: i64 = row.map_err(|error| store.trouble(error))?.try_get(0)?;
    if found < wrote {
        return Err(corrupt("ping", 1, format!("found {found} after writing {wrote}")));
    }
    Ok(())
}

/// Counts rows, really: what a kill test asks must not be a shortcut.
pub(super) async fn stored(store: &Inner) -> Result<Stored, StoreError> {
    let mut tx = store.long_snapshot().await?;
    let sql = "SELECT (SELECT count(*) FROM message WHERE patient IS NOT NULL), (SELECT coalesce(sum(cardinality(readings) / 3), 0)::bigint FROM message),
               (SELECT coalesce(sum(jsonb_array_length(answers::jsonb)), 0)::bigint FROM message), (SELECT count(*) FROM quarantine), (SELECT count(*) FROM alert)";
    let row = sqlx::query(sql).fetch_one(&mut *tx).await?;
    let count = |at: usize| row.try_get::<i64, _>(at).map(i64::cast_unsigned);
    let mut stored = Stored {
        messages: count(0)?,
        readings: count(1)?,
        answers: count(2)?,
        quarantined: count(3)?,
        alerts: count(4)?,
        schema: migrate::known(),
        ..Stored::default()
    };
    for row in sqlx::query("SELECT mark, count(*) FROM alert WHERE open GROUP BY mark").fetch_all(&mut *tx).await? {
        rows::open(&row, &mut stored)?;
    }
    Ok(stored)
}
