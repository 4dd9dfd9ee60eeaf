//! One-time codes that kits enrol with. Only hashes are kept: the file holds nothing that a kit could sign in with.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use vitals::KitId;

use super::{Sqlite, convert::nanos};
use crate::{Enrolled, Enrolment, StoreError, rows};

/// Keeps a code, in place of the kit's one before.
pub(super) async fn put(store: &Sqlite, enrolment: &Enrolment) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO enrolment (kit, code_sha256, expires_at, secret_sha256) VALUES (?1, ?2, ?3, ?4)";
    let mut write = store.writer.begin().await?;
    sqlx::query(sql)
        .bind(enrolment.kit.as_str())
        .bind(enrolment.code_sha256.as_str())
        .bind(nanos(enrolment.expires_at))
        .bind(enrolment.secret_sha256.as_deref())
        .execute(write.conn())
        .await
        .map_err(|error| store.trouble(error))?;
    write.commit().await
}

/// Every code, by kit.
pub(super) async fn all(store: &Sqlite) -> Result<Vec<Enrolment>, StoreError> {
    let sql = "SELECT kit, code_sha256, expires_at, secret_sha256 FROM enrolment ORDER BY kit";
    let rows = sqlx::query(sql).fetch_all(&store.readers).await;
    rows.map_err(|error| store.trouble(error))?.iter().map(rows::enrolment).collect()
}

/// Exchanges a code. The second time is harmless.
pub(super) async fn enrol(store: &Sqlite, code: &str, secret: &str, now: Timestamp) -> Result<Enrolled, StoreError> {
    let sql = "SELECT kit, code_sha256, expires_at, secret_sha256 FROM enrolment WHERE code_sha256 = ?1";
    let mut write = store.writer.begin().await?;
    let found = sqlx::query(sql).bind(code).fetch_optional(write.conn()).await;
    let found = found.map_err(|error| store.trouble(error))?.as_ref().map(rows::enrolment).transpose()?;
    let Some(found) = found.filter(|found| found.expires_at > now) else { return Ok(Enrolled::No) };
    match &found.secret_sha256 {
        Some(used) if used == secret => return Ok(Enrolled::Yes(found.kit)),
        Some(_) => return Ok(Enrolled::Used(found.kit)),
        None => {}
    }
    give(write.conn(), &found.kit, secret).await.map_err(|error| store.trouble(error))?;
    write.commit().await?;
    Ok(Enrolled::Yes(found.kit))
}

async fn give(conn: &mut SqliteConnection, kit: &KitId, secret: &str) -> Result<(), sqlx::Error> {
    for sql in [
        "UPDATE enrolment SET secret_sha256 = ?2 WHERE kit = ?1",
        "UPDATE kit SET secret_sha256 = ?2, revoked = 0 WHERE id = ?1",
    ] {
        sqlx::query(sql).bind(kit.as_str()).bind(secret).execute(&mut *conn).await?;
    }
    Ok(())
}
