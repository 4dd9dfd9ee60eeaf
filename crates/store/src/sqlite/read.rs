//! The queries. They run on the readers, beside each other and beside a commit.

use sqlx::Row;
use triage::{Alert, AlertEvent, AlertId};
use vitals::{KitId, PatientId};

use super::{
    Sqlite, chain,
    convert::{corrupt, json, parsed, to_json},
    migrate,
};
use crate::{
    KitSeq, QuarantinedEntry, StoreError, Stored,
    rows::{self, HISTORY_EVENTS_MAX},
};

/// Which of these are stored, with their hashes. One that is beyond its kit's last is not, and that is nearly every one that is asked for.
pub(super) async fn seen(store: &Sqlite, messages: &[KitSeq]) -> Result<Vec<(KitSeq, [u8; 32])>, StoreError> {
    let wanted: Vec<(&str, i64)> = messages.iter().map(|key| (key.kit.as_str(), key.seq.cast_signed())).collect();
    let sql = "SELECT wanted.key, k.key FROM json_each(?1) wanted
               CROSS JOIN kit_key k ON k.kit = wanted.value ->> 0
               CROSS JOIN kit_end e ON e.kit = k.key AND e.seq >= wanted.value ->> 1";
    let mut tx = store.readers.begin().await.map_err(|error| store.trouble(error))?;
    let rows = sqlx::query(sql).bind(to_json(&wanted)).fetch_all(&mut *tx).await;
    let mut seen = Vec::new();
    for row in rows.map_err(|error| store.trouble(error))? {
        let key = usize::try_from(row.try_get::<i64, _>(0)?).ok().and_then(|index| messages.get(index));
        let key = key.ok_or_else(|| corrupt("message", "?", "an index beyond the question".into()))?.clone();
        let found = chain::find(&mut tx, row.try_get(1)?, key.seq).await;
        if let Some(row) = found.map_err(|error| store.trouble(error))? {
            let hash = rows::hash(&row, 1).map_err(|what| corrupt("message", key.seq, what))?;
            seen.push((key, hash));
        }
    }
    Ok(seen)
}

/// The largest seq of each of these kits that was ever heard of.
pub(super) async fn last_seqs(store: &Sqlite, kits: &[KitId]) -> Result<Vec<(KitId, u64)>, StoreError> {
    let sql = "SELECT k.kit, e.seq FROM json_each(?1) wanted
               CROSS JOIN kit_key k ON k.kit = wanted.value CROSS JOIN kit_end e ON e.kit = k.key";
    let rows = sqlx::query(sql).bind(to_json(&kits)).fetch_all(&store.readers).await;
    let rows = rows.map_err(|error| store.trouble(error))?;
    rows.iter()
        .map(|row| Ok((parsed("kit_key", "?", row.try_get(0)?)?, row.try_get::<i64, _>(1)?.cast_unsigned())))
        .collect()
}

async fn alerts(
    store: &Sqlite,
    query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
) -> Result<Vec<Alert>, StoreError> {
    let rows = query.fetch_all(&store.readers).await.map_err(|error| store.trouble(error))?;
    rows.iter().map(|row| json("alert", "?", row.try_get(0)?)).collect()
}

/// Open alerts, the longest open first.
pub(super) async fn open_alerts(store: &Sqlite, patient: Option<&PatientId>) -> Result<Vec<Alert>, StoreError> {
    let query = match patient {
        None => sqlx::query("SELECT body FROM alert WHERE open = 1 ORDER BY raised_at, key"),
        Some(patient) => sqlx::query(
            "SELECT a.body FROM patient_key p CROSS JOIN alert a ON a.patient = p.key
             WHERE p.patient = ?1 AND a.open = 1 ORDER BY a.raised_at, a.key",
        )
        .bind(patient.as_str()),
    };
    alerts(store, query).await
}

/// A patient's alerts, newest first.
pub(super) async fn alerts_of(store: &Sqlite, patient: &PatientId, limit: u32) -> Result<Vec<Alert>, StoreError> {
    let sql = "SELECT a.body FROM patient_key p CROSS JOIN alert a ON a.patient = p.key
               WHERE p.patient = ?1 ORDER BY a.raised_at DESC, a.key DESC LIMIT ?2";
    alerts(store, sqlx::query(sql).bind(patient.as_str()).bind(limit)).await
}

/// One alert and its history.
pub(super) async fn alert(store: &Sqlite, id: AlertId) -> Result<Option<(Alert, Vec<AlertEvent>)>, StoreError> {
    let mut tx = store.readers.begin().await.map_err(|error| store.trouble(error))?;
    let find = sqlx::query("SELECT key, body FROM alert WHERE id = ?1").bind(id.as_bytes().as_slice());
    let Some(row) = find.fetch_optional(&mut *tx).await? else {
        return Ok(None);
    };
    let alert = json("alert", &id.to_string(), row.try_get(1)?)?;
    let sql = "SELECT * FROM (SELECT id, kind, at, by, mark, text FROM alert_event WHERE alert = ?1
               ORDER BY id DESC LIMIT ?2) ORDER BY id";
    let rows = sqlx::query(sql).bind(row.try_get::<i64, _>(0)?).bind(HISTORY_EVENTS_MAX).fetch_all(&mut *tx).await?;
    Ok(Some((alert, rows.iter().map(rows::event).collect::<Result<_, _>>()?)))
}

/// What is in quarantine, newest first, and how many in all.
pub(super) async fn quarantine(store: &Sqlite, limit: u32) -> Result<(Vec<QuarantinedEntry>, u64), StoreError> {
    let mut tx = store.readers.begin().await.map_err(|error| store.trouble(error))?;
    let all: i64 = sqlx::query("SELECT count(*) FROM quarantine").fetch_one(&mut *tx).await?.try_get(0)?;
    let sql = "SELECT q.id, k.kit, q.seq, q.recorded_at, q.reason, length(q.bytes)
               FROM quarantine q JOIN kit_key k ON k.key = q.kit ORDER BY q.id DESC LIMIT ?1";
    let rows = sqlx::query(sql).bind(limit).fetch_all(&mut *tx).await?;
    Ok((rows.iter().map(rows::quarantined).collect::<Result<_, _>>()?, all.cast_unsigned()))
}

/// One of what is in quarantine, with its bytes.
pub(super) async fn quarantined(store: &Sqlite, id: i64) -> Result<Option<(QuarantinedEntry, Vec<u8>)>, StoreError> {
    let sql = "SELECT q.id, k.kit, q.seq, q.recorded_at, q.reason, length(q.bytes), q.bytes
               FROM quarantine q JOIN kit_key k ON k.key = q.kit WHERE q.id = ?1";
    let row = sqlx::query(sql).bind(id).fetch_optional(&store.readers).await.map_err(|error| store.trouble(error))?;
    row.map(|row| Ok((rows::quarantined(&row)?, row.try_get(6)?))).transpose()
}

/// Writes, commits durably and reads back.
pub(super) async fn ping(store: &Sqlite) -> Result<(), StoreError> {
    let mut write = store.writer.begin().await?;
    let sql = "UPDATE ping SET count = count + 1 WHERE id = 1 RETURNING count";
    let row = sqlx::query(sql).fetch_one(write.conn()).await.map_err(|error| store.trouble(error))?;
    let wrote: i64 = row.try_get(0)?;
    write.commit().await?;
    let row = sqlx::query("SELECT count FROM ping WHERE id = 1").fetch_one(&store.readers).await;
    let found: i64 = row.map_err(|error| store.trouble(error))?.try_get(0)?;
    if found < wrote {
        return Err(corrupt("ping", 1, format!("found {found} after writing {wrote}")));
    }
    Ok(())
}

/// Counts rows, really: what a kill test asks must not be a shortcut.
pub(super) async fn stored(store: &Sqlite) -> Result<Stored, StoreError> {
    let mut tx = store.readers.begin().await.map_err(|error| store.trouble(error))?;
    let sql = "SELECT (SELECT count(*) FROM message WHERE patient IS NOT NULL), (SELECT count(*) FROM reading),
               (SELECT count(*) FROM answer), (SELECT count(*) FROM quarantine), (SELECT count(*) FROM alert)";
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
    for row in sqlx::query("SELECT mark, count(*) FROM alert WHERE open = 1 GROUP BY mark").fetch_all(&mut *tx).await? {
        rows::open(&row, &mut stored)?;
    }
    Ok(stored)
}
