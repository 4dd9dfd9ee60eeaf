//! Accounts and web sessions. A session is found by the hash of its token, so that the file holds nothing that could be used to sign in.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{Sqlite, convert::nanos};
use crate::{Account, StoreError, WebSession, rows};

/// Adds or replaces an account.
pub(super) async fn put_account(conn: &mut SqliteConnection, account: &Account) -> Result<(), sqlx::Error> {
    let sql = "INSERT OR REPLACE INTO account (user, name, password_hash, role, language) VALUES (?1, ?2, ?3, ?4, ?5)";
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
pub(super) async fn remove_account(conn: &mut SqliteConnection, user: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM account WHERE user = ?1").bind(user).execute(conn).await.map(|_| ())
}

/// Every account, by user name.
pub(super) async fn accounts(store: &Sqlite) -> Result<Vec<Account>, StoreError> {
    let sql = "SELECT user, name, password_hash, role, language FROM account ORDER BY user";
    let rows = sqlx::query(sql).fetch_all(&store.readers).await.map_err(|error| store.trouble(error))?;
    rows.iter().map(rows::account).collect()
}

/// An account by its user name.
pub(super) async fn account(store: &Sqlite, user: &str) -> Result<Option<Account>, StoreError> {
    let sql = "SELECT user, name, password_hash, role, language FROM account WHERE user = ?1";
    let row = sqlx::query(sql).bind(user).fetch_optional(&store.readers).await;
    row.map_err(|error| store.trouble(error))?.as_ref().map(rows::account).transpose()
}

/// Keeps a session, replacing one of the same id.
pub(super) async fn put_web_session(store: &Sqlite, session: &WebSession) -> Result<(), StoreError> {
    let mut write = store.writer.begin().await?;
    sqlx::query("INSERT OR REPLACE INTO web_session (id, data, expires_at) VALUES (?1, ?2, ?3)")
        .bind(session.id.as_str())
        .bind(session.data.as_str())
        .bind(nanos(session.expires_at))
        .execute(write.conn())
        .await
        .map_err(|error| store.trouble(error))?;
    write.commit().await
}

/// A session that has not expired.
pub(super) async fn web_session(store: &Sqlite, id: &str, now: Timestamp) -> Result<Option<WebSession>, StoreError> {
    let sql = "SELECT id, data, expires_at FROM web_session WHERE id = ?1 AND expires_at > ?2";
    let row = sqlx::query(sql).bind(id).bind(nanos(now)).fetch_optional(&store.readers).await;
    row.map_err(|error| store.trouble(error))?.as_ref().map(rows::web_session).transpose()
}

/// Ends a session, and every expired one.
pub(super) async fn end_web_session(store: &Sqlite, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let mut write = store.writer.begin().await?;
    sqlx::query("DELETE FROM web_session WHERE id = ?1 OR expires_at <= ?2")
        .bind(id)
        .bind(nanos(now))
        .execute(write.conn())
        .await
        .map_err(|error| store.trouble(error))?;
    write.commit().await
}
