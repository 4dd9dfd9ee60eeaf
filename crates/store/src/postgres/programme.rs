//! Versions of programmes, as they were proposed.

use sqlx::Row;

use super::{Inner, conn::Asked};
use crate::{ProgrammeVersion, StoreError, convert::nanos, rows};

/// Keeps a version. The first of its text stays, with who proposed it.
pub(super) async fn put(store: &Inner, conn: &mut Asked, version: &ProgrammeVersion) -> Result<(), StoreError> {
    let known = sqlx::query("SELECT text FROM programme_version WHERE id = $1 AND version = $2")
        .bind(version.id.as_str())
        .bind(i64::from(version.version))
        .fetch_optional(&mut *conn)
        .await
        .map_err(|error| store.trouble(error))?;
    if let Some(known) = known {
        let same = known.try_get::<&str, _>(0)? == version.text;
        let (programme, version) = (version.id.clone(), version.version);
        return if same { Ok(()) } else { Err(StoreError::VersionTaken { programme, version }) };
    }
    let sql = "INSERT INTO programme_version (id, version, text, sha256, proposed_by, proposed_at, note)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(sql)
        .bind(version.id.as_str())
        .bind(i64::from(version.version))
        .bind(version.text.as_str())
        .bind(version.sha256.as_str())
        .bind(version.proposed_by.as_str())
        .bind(nanos(version.proposed_at))
        .bind(version.note.as_str())
        .execute(conn)
        .await
        .map_err(|error| store.trouble(error))?;
    Ok(())
}

/// Versions of one programme or of all, by id and version.
pub(super) async fn list(store: &Inner, id: Option<&str>) -> Result<Vec<ProgrammeVersion>, StoreError> {
    let sql = "SELECT id, version, text, sha256, proposed_by, proposed_at, note FROM programme_version
               WHERE $1::text IS NULL OR id = $1 ORDER BY id, version";
    let rows =
        sqlx::query(sql).bind(id).fetch_all(&mut *store.reader().await?).await.map_err(|error| store.trouble(error))?;
    rows.iter().map(rows::version).collect()
}
