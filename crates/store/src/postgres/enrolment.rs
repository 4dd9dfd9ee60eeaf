//! One-time codes that kits enrol with. Only hashes are kept: the file holds nothing that a kit could sign in with.

use jiff::Timestamp;
use vitals::KitId;

use super::{Inner, conn::Asked};
use crate::{Enrolled, Enrolment, StoreError, convert::nanos, rows};

/// Keeps a code, in place of the kit's one before.
pub(super) async fn put(store: &Inner, enrolment: &Enrolment) -> Result<(), StoreError> {
    let sql = "INSERT INTO enrolment (kit, code_sha256, expires_at, secret_sha256) VALUES ($1, $2, $3, $4)
               ON CONFLICT (kit) DO UPDATE SET code_sha256 = excluded.code_sha256, expires_at = excluded.expires_at,
               secret_sha256 = excluded.secret_sha256";
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
pub(super) async fn all(store: &Inner) -> Result<Vec<Enrolment>, StoreError> {
    let sql = "SELECT kit, code_sha256, expires_at, secret_sha256 FROM enrolment ORDER BY kit";
    let rows = sqlx::query(sql).fetch_all(&mut *store.reader().await?).await;
    rows.map_err(|error| store.trouble(error))?.iter().map(rows::enrolment).collect()
}

/// Exchanges a code. The second time is harmless.
pub(super) async fn enrol(store: &Inner, code: &str, secret: &str, now: Timestamp) -> Result<Enrolled, StoreError> {
    let sql = "SELECT kit, code_sha256, expires_at, secret_sha256 FROM enrolment WHERE code_sha256 = $1";
    let mut write = store.writer.begin().await?;
    let found = sqlx::query(sql).bind(code).fetch_optional(write.conn()).await;
    let found = found.map_err(|error| store.trouble(error))?.as_ref().map(rows::enrolment).transpose()?;
    let known = match found.filter(|found| found.expires_at > now) {
        None => Err(Enrolled::No),
        Some(Enrolment { kit, secret_sha256: Some(used), .. }) if used == secret => Err(Enrolled::Yes(kit)),
        Some(Enrolment { kit, secret_sha256: Some(_), .. }) => Err(Enrolled::Used(kit)),
        Some(found) => Ok(found),
    };
    let found = match known {
        Ok(found) => found,
        Err(answer) => {
            write.abandon().await;
            return Ok(answer);
        }
    };
    give(write.conn(), &found.kit, secret).await.map_err(|error| store.trouble(error))?;
    write.commit().await?;
    Ok(Enrolled::Yes(found.kit))
}

async fn give(conn: &mut Asked, kit: &KitId, secret: &str) -> Result<(), sqlx::Error> {
    for sql in [
        "UPDATE enrolment SET secret_sha256 = $2 WHERE kit = $1",
        "UPDATE kit SET secret_sha256 = $2, revoked = false WHERE id = $1",
    ] {
        sqlx::query(sql).bind(kit.as_str()).bind(secret).execute(&mut *conn).await?;
    }
    Ok(())
}
