//! What versions that page nobody would have raised. Derived: cleared and judged again from the messages, it is the same.

use jiff::Timestamp;

use super::Inner;
use crate::{
    ShadowAlert, StoreError,
    convert::{nanos, to_json},
    rows,
};

/// Keeps the latest state of each, all or none.
pub(super) async fn put(store: &Inner, alerts: &[ShadowAlert]) -> Result<(), StoreError> {
    if alerts.is_empty() {
        return Ok(());
    }
    let sql =
        "INSERT INTO shadow_alert (programme, version, id, patient, raised_at, body) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (programme, version, id) DO UPDATE SET raised_at = excluded.raised_at, body = excluded.body";
    let mut write = store.writer.begin().await?;
    for ShadowAlert { programme, version, patient, alert, raised_at } in alerts {
        sqlx::query(sql)
            .bind(programme.as_str())
            .bind(i64::from(*version))
            .bind(alert.id)
            .bind(patient.as_str())
            .bind(nanos(*raised_at))
            .bind(to_json(alert))
            .execute(write.conn())
            .await
            .map_err(|error| store.trouble(error))?;
    }
    write.commit().await
}

/// Those raised from `since` on and before `until`, in that order.
pub(super) async fn list(
    store: &Inner,
    programme: &str,
    version: u32,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<ShadowAlert>, StoreError> {
    let sql = "SELECT programme, version, patient, raised_at, body FROM shadow_alert
               WHERE programme = $1 AND version = $2 AND raised_at >= $3 AND raised_at < $4 ORDER BY raised_at, key";
    let asked = sqlx::query(sql).bind(programme).bind(i64::from(version)).bind(nanos(since)).bind(nanos(until));
    let rows = asked.fetch_all(&mut *store.reader().await?).await.map_err(|error| store.trouble(error))?;
    rows.iter().map(rows::shadow).collect()
}

/// Forgets all of one version.
pub(super) async fn clear(store: &Inner, programme: &str, version: u32) -> Result<(), StoreError> {
    let mut write = store.writer.begin().await?;
    let sql = "DELETE FROM shadow_alert WHERE programme = $1 AND version = $2";
    let clear = sqlx::query(sql).bind(programme).bind(i64::from(version)).execute(write.conn()).await;
    clear.map_err(|error| store.trouble(error))?;
    write.commit().await
}
