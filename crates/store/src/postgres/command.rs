//! What is asked of kits, and what they say became of it. Receipts are recorded with the message that brought them.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row};
use vitals::KitId;

use super::{Inner, conn::Asked, message::plain};
use crate::{
    Batch, Command, CommandState, Receipt, StoreError,
    convert::{IS_FOR_ITS_KIT, PROGRESS_IN_ORDER, nanos, to_json},
    rows,
};

const RECEIPT: &str = "\
INSERT INTO receipt (kit, command, outcome, at, recorded_at, detail) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING";

/// Only onward: what came late or again changes nothing. The order is that of [`Progress::ALL`].
const ONWARD: &str = "\
UPDATE command SET state = $3, changed_at = $4, detail = coalesce($5, detail)
WHERE id = $1 AND kit = $2 AND strpos($6, ' ' || state || ' ') < strpos($6, ' ' || $3 || ' ')";

/// Keeps a command, once; says whether it did.
pub(super) async fn put(store: &Inner, command: &Command) -> Result<bool, StoreError> {
    let sql = "INSERT INTO command (id, kit, patient, command, by, issued_at, expires_at, body, state, changed_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $6) ON CONFLICT DO NOTHING";
    let mut write = store.writer.begin().await?;
    let put = sqlx::query(sql)
        .bind(command.id.as_str())
        .bind(command.kit.as_str())
        .bind(command.patient.as_ref().map(vitals::PatientId::as_str))
        .bind(command.command.as_str())
        .bind(command.by.as_deref())
        .bind(nanos(command.issued_at))
        .bind(nanos(command.expires_at))
        .bind(to_json(&command.body))
        .execute(write.conn())
        .await
        .map_err(|error| store.trouble(error))?;
    write.commit().await?;
    Ok(put.rows_affected() == 1)
}

/// What no kit has said anything of. Writes only when something has expired, or its kit is somebody else's now.
pub(super) async fn open(store: &Inner, now: Timestamp, limit: u32) -> Result<Vec<Command>, StoreError> {
    let over = format!("state = 'waiting' AND (expires_at <= $1 OR NOT {IS_FOR_ITS_KIT})");
    let found = format!("SELECT 1 FROM command AS c WHERE {over} LIMIT 1");
    let found = sqlx::query(AssertSqlSafe(found)).bind(nanos(now)).fetch_optional(&mut *store.reader().await?).await;
    if found.map_err(|error| store.trouble(error))?.is_some() {
        let expire =
            format!("UPDATE command AS c SET state = 'expired', changed_at = least(expires_at, $1) WHERE {over}");
        let mut write = store.writer.begin().await?;
        let expired = sqlx::query(AssertSqlSafe(expire)).bind(nanos(now)).execute(write.conn()).await;
        expired.map_err(|error| store.trouble(error))?;
        write.commit().await?;
    }
    let sql = format!(
        "SELECT id, kit, patient, command, by, issued_at, expires_at, body FROM command AS c
         WHERE state = 'waiting' AND expires_at > $1 AND {IS_FOR_ITS_KIT}
         ORDER BY command = 'seen', issued_at, id LIMIT $2"
    );
    let asked = sqlx::query(AssertSqlSafe(sql)).bind(nanos(now)).bind(i64::from(limit));
    let rows = asked.fetch_all(&mut *store.reader().await?).await;
    rows.map_err(|error| store.trouble(error))?.iter().map(rows::command).collect()
}

/// A kit's commands, newest first.
pub(super) async fn of_kit(store: &Inner, kit: &KitId, limit: u32) -> Result<Vec<CommandState>, StoreError> {
    let sql =
        "SELECT id, kit, patient, command, by, issued_at, expires_at, body, state, changed_at, detail FROM command
               WHERE kit = $1 ORDER BY issued_at DESC, id DESC LIMIT $2";
    let mut tx = store.snapshot().await?;
    let rows = sqlx::query(sql).bind(kit.as_str()).bind(i64::from(limit)).fetch_all(&mut *tx).await?;
    let mut states = Vec::with_capacity(rows.len());
    for row in &rows {
        let command: &str = row.try_get(0)?;
        let said =
            "SELECT command, outcome, at, detail FROM receipt WHERE kit = $1 AND command = $2 ORDER BY at, recorded_at";
        let said = sqlx::query(said).bind(kit.as_str()).bind(command).fetch_all(&mut *tx).await?;
        let receipts = said.iter().map(rows::receipt).collect::<Result<_, _>>()?;
        states.push(rows::command_state(row, receipts)?);
    }
    Ok(states)
}

/// Keeps what the kits of a batch say of commands, and moves those commands on that are theirs.
pub(super) async fn record_receipts(conn: &mut Asked, batch: &Batch) -> Result<(), sqlx::Error> {
    for entry in &batch.entries {
        for Receipt { command, outcome, at, detail } in &entry.receipts {
            let kit = entry.key.kit.as_str();
            sqlx::query(RECEIPT)
                .bind(kit)
                .bind(command.as_str())
                .bind(outcome.name())
                .bind(nanos(*at))
                .bind(nanos(entry.recorded_at))
                .bind(detail.as_deref().map(plain))
                .execute(&mut *conn)
                .await?;
            sqlx::query(ONWARD)
                .bind(command.as_str())
                .bind(kit)
                .bind(outcome.name())
                .bind(nanos(*at))
                .bind(detail.as_deref().map(plain))
                .bind(PROGRESS_IN_ORDER)
                .execute(&mut *conn)
                .await?;
        }
    }
    Ok(())
}
