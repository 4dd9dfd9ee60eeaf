//! The single writer: one connection, one transaction at a time.
//!
//! A transaction takes the connection and its keys out of their place and brings them back when it has committed. Whatever else happens
//! (an error, a full disk, a caller that gave up waiting), the connection is dropped, which rolls back, and the next write opens another:
//! SQLite may already have rolled back by itself, and the keys in memory may be of rows that are no longer there.

use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{Mutex, MutexGuard};

use super::{keys::Keys, migrate, trouble};
use crate::StoreError;

/// Where the connection is when nothing is being written.
pub(super) struct Writer {
    path: PathBuf,
    place: Mutex<Place>,
}

struct Place {
    /// `None` where writing is not allowed, or no longer.
    options: Option<SqliteConnectOptions>,
    session: Option<Session>,
    refusal: fn() -> StoreError,
}

/// A connection, and what it knows of the file.
struct Session {
    conn: SqliteConnection,
    keys: Keys,
}

/// A transaction under way: rolled back unless [`commit`](Self::commit) is called.
pub(super) struct Write<'a> {
    path: &'a Path,
    place: MutexGuard<'a, Place>,
    session: Session,
}

impl Writer {
    /// Without options, every write is refused.
    pub(super) fn new(path: &Path, options: Option<SqliteConnectOptions>) -> Self {
        let place = Place { options, session: None, refusal: || StoreError::ReadOnly };
        Self { path: path.to_owned(), place: Mutex::new(place) }
    }

    /// Opens the connection and brings the schema up to date.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let mut place = self.place.lock().await;
        let mut session = self.session(&mut place).await?;
        migrate::up(&mut session.conn, &self.path).await?;
        place.session = Some(session);
        Ok(())
    }

    /// Waits for its turn and begins.
    pub(super) async fn begin(&self) -> Result<Write<'_>, StoreError> {
        let mut place = self.place.lock().await;
        let session = self.session(&mut place).await?;
        let mut write = Write { path: &self.path, place, session };
        write.run("BEGIN IMMEDIATE").await?;
        Ok(write)
    }

    /// Waits for what is under way, then refuses everything.
    pub(super) async fn close(&self) {
        let mut place = self.place.lock().await;
        place.options = None;
        place.refusal = || StoreError::Closed;
        if let Some(session) = place.session.take()
            && let Err(error) = session.conn.close().await
        {
            tracing::warn!(%error, "the store's file was not closed in order; it is whole nevertheless");
        }
    }

    async fn session(&self, place: &mut Place) -> Result<Session, StoreError> {
        if let Some(session) = place.session.take() {
            return Ok(session);
        }
        let options = place.options.as_ref().ok_or_else(place.refusal)?;
        let conn = options.connect().await.map_err(|error| trouble::of(&self.path, error))?;
        Ok(Session { conn, keys: Keys::default() })
    }
}

impl Write<'_> {
    /// The connection, and the keys that it made.
    pub(super) fn parts(&mut self) -> (&mut SqliteConnection, &mut Keys) {
        (&mut self.session.conn, &mut self.session.keys)
    }

    /// The connection.
    pub(super) fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.session.conn
    }

    /// Commits durably, and leaves the connection for the next.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        self.run("COMMIT").await?;
        let Self { mut place, session, .. } = self;
        place.session = Some(session);
        Ok(())
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let done = sqlx::query(sql).execute(&mut self.session.conn).await;
        done.map(|_| ()).map_err(|error| trouble::of(self.path, error))
    }
}
