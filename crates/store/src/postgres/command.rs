//! What is asked of kits, and what they say became of it. Receipts are recorded with the message that brought them.

use jiff::Timestamp;
use sqlx::{PgConnection, Row, postgres::PgRow};
use vitals::{IdError, KitId};

use super::{Inner, message::plain};
use crate::{
    Batch, Command, CommandState, Progress, Receipt, StoreError,
    convert::{corrupt, json, nanos, time, to_json},
};

const RECEIPT: &str = "\
INSERT INTO receipt (kit, command, outcome, at, recorded_at, detail) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING";

/// Only onward: what came late or again changes nothing. The order is that of [`Progress::ALL`].
const ONWARD: &str = "\
UPDATE command SET state = $3, changed_at = $4, detail = coalesce($5, detail)
WHERE id = $1 AND kit = $2 AND strpos($6, ' ' || state || ' ') < strpos($6, ' ' || $3 || ' ')";

/// The states in their order, each between two spaces.
const IN_ORDER: &str = " waiting taken expired failed done read ";

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

/// What no kit has said anything of. Writes only when something has expired.
pub(super) async fn open(store: &Inner, now: Timestamp, limit: u32) -> Result<Vec<Command>, StoreError> {
    let late = sqlx::query("SELECT 1 FROM command WHERE state = 'waiting' AND expires_at <= $1 LIMIT 1");
    let late = late
        .bind(nanos(now))
        .fetch_optional(&mut *store.reader().await?)
        .await
        .map_err(|error| store.trouble(error))?;
    if late.is_some() {
        let mut write = store.writer.begin().await?;
        let expire = "UPDATE command SET state = 'expired', changed_at = expires_at WHERE state = 'waiting' AND expires_at <= $1";
        sqlx::query(expire).bind(nanos(now)).execute(write.conn()).await.map_err(|error| store.trouble(error))?;
        write.commit().await?;
    }
    let sql = "SELECT id, kit, patient, command, by, issued_at, expires_at, body FROM command
               WHERE state = 'waiting' AND expires_at > $1 ORDER BY command = 'seen', issued_at, id LIMIT $2";
    let rows = sqlx::query(sql).bind(nanos(now)).bind(i64::from(limit)).fetch_all(&mut *store.reader().await?).await;
    rows.map_err(|error| store.trouble(error))?.iter().map(command).collect()
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
        let command = command(row)?;
        let said =
            "SELECT command, outcome, at, detail FROM receipt WHERE kit = $1 AND command = $2 ORDER BY at, recorded_at";
        let said = sqlx::query(said).bind(kit.as_str()).bind(command.id.as_str()).fetch_all(&mut *tx).await?;
        let receipts = said.iter().map(receipt).collect::<Result<_, _>>()?;
        let state = progress("command", &command.id, row.try_get(8)?)?;
        states.push(CommandState {
            state,
            changed_at: time(row.try_get(9)?),
            detail: row.try_get(10)?,
            receipts,
            command,
        });
    }
    Ok(states)
}

/// Keeps what the kits of a batch say of commands, and moves those commands on that are theirs.
pub(super) async fn record_receipts(conn: &mut PgConnection, batch: &Batch) -> Result<(), sqlx::Error> {
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
                .bind(IN_ORDER)
                .execute(&mut *conn)
                .await?;
        }
    }
    Ok(())
}

fn command(row: &PgRow) -> Result<Command, StoreError> {
    let id: &str = row.try_get(0)?;
    let bad = |error: IdError| corrupt("command", id, error.to_string());
    let patient: Option<&str> = row.try_get(2)?;
    Ok(Command {
        id: id.to_owned(),
        kit: row.try_get::<&str, _>(1)?.parse().map_err(bad)?,
        patient: patient.map(str::parse).transpose().map_err(bad)?,
        command: row.try_get(3)?,
        by: row.try_get(4)?,
        issued_at: time(row.try_get(5)?),
        expires_at: time(row.try_get(6)?),
        body: json("command", id, row.try_get(7)?)?,
    })
}

fn receipt(row: &PgRow) -> Result<Receipt, StoreError> {
    let command: &str = row.try_get(0)?;
    let outcome = progress("receipt", command, row.try_get(1)?)?;
    Ok(Receipt { command: command.to_owned(), outcome, at: time(row.try_get(2)?), detail: row.try_get(3)? })
}

fn progress(table: &'static str, row: &str, name: &str) -> Result<Progress, StoreError> {
    Progress::of(name).ok_or_else(|| corrupt(table, row, format!("state {name:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_in_sql_is_that_of_the_type() {
        let names: Vec<_> = IN_ORDER.split_whitespace().collect();
        assert_eq!(names, Progress::ALL.map(Progress::name));
    }
}
