//! Accounts and web sessions. A session is found by the hash of its token, so that the file holds nothing that could be used to sign in.

use jiff::Timestamp;

use super::{Inner, conn::Asked};
use crate::{Account, StoreError, WebSession, convert::nanos, rows};

/// Adds or replaces an account.
pub(super) async fn put_account(conn: &mut Asked, account: &Account) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO account (\"user\", name, password_hash, role, language) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (\"user\") DO UPDATE SET name = excluded.name, password_hash = excluded.password_hash,
               role = excluded.role, language = excluded.language";
    sqlx::query(sql)
        .bind(account.user.as_str())
        .bind(account.name.as_str())
        .bind(account.password_hash.as_str())
        .bind(account.role.as_str())
        .bind(account.language.as_str())
        .execute(conn)
        .await
        .map(|_| ())
}

/// Removes an account, if it is there.
pub(super) async fn remove_account(conn: &mut Asked, user: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM account WHERE \"user\" = $1").bind(user).execute(conn).await.map(|_| ())
}

/// Every account, by user name.
pub(super) async fn accounts(store: &Inner) -> Result<Vec<Account>, StoreError> {
    let sql = "SELECT \"user\", name, password_hash, role, language FROM account ORDER BY \"user\"";
    let rows = sqlx::query(sql).fetch_all(&mut *store.reader().await?).await.map_err(|error| store.trouble(error))?;
    rows.iter().map(rows::account).collect()
}

/// An account by its user name.
pub(super) async fn account(store: &Inner, user: &str) -> Result<Option<Account>, StoreError> {
    let sql = "SELECT \"user\", name, password_hash, role, language FROM account WHERE \"user\" = $1";
    let row = sqlx::query(sql).bind(user).fetch_optional(&mut *store.reader().await?).await;
    row.map_err(|error| store.trouble(error))?.as_ref().map(rows::account).transpose()
}

/// Keeps a session, replacing one of the same id.
pub(super) async fn put_web_session(store: &Inner, session: &WebSession) -> Result<(), StoreError> {
    let mut write = store.writer.begin().await?;
    sqlx::query(
        "INSERT INTO web_session (id, data, expires_at) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at",
    )
    .bind(session.id.as_str())
    .bind(session.data.as_str())
    .bind(nanos(session.expires_at))
    .execute(write.conn())
    .await
    .map_err(|error| store.trouble(error))?;
    write.commit().await
}

/// A session that has not expired.
pub(super) async fn web_session(store: &Inner, id: &str, now: Timestamp) -> Result<Option<WebSession>, StoreError> {
    let sql = "SELECT id, data, expires_at FROM web_session WHERE id = $1 AND expires_at > $2";
    let row = sqlx::query(sql).bind(id).bind(nanos(now)).fetch_optional(&mut *store.reader().await?).await;
    row.map_err(|error| store.trouble(error))?.as_ref().map(rows::web_session).transpose()
}

/// Ends a session, and every expired one.
pub(super) async fn end_web_session(store: &Inner, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let mut write = store.writer.begin().await?;
    sqlx::query("DELETE FROM web_session WHERE id = $1 OR expires_at <= $2")
        .bind(id)
        .bind(nanos(now))
        .execute(write.conn())
        .await
        .map_err(|error| store.trouble(error))?;
    write.commit().await
}
