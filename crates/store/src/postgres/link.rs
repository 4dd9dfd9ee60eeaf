//! Connections to one database: how each begins, and what the server can do, which is asked once.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    path::PathBuf,
    str::FromStr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Executor, PgConnection, PgPool, Postgres, Row, Transaction,
    pool::{PoolConnection, PoolOptions},
    postgres::PgConnectOptions,
};

use super::trouble;
use crate::{Connections, StoreError};

/// Reads that run at once.
const READERS_MAX: u32 = 4;
/// How long a read waits for its turn.
const READER_WAIT: Duration = Duration::from_secs(30);
/// How long a server is waited for.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Statements that a connection keeps prepared.
const STATEMENTS_MAX: usize = 128;
/// The oldest server whose every feature is used here.
const SERVER_MIN: i32 = 150_000;

/// What every connection begins with. A server whose client is gone should know it soon: what that client held, others wait for.
const BEGIN: &str = "\
SET search_path = vagt, public; SET jit = off; SET client_min_messages = error; SET lock_timeout = '30s'; \
SET idle_in_transaction_session_timeout = '30s'; \
SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3; \
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
/// A server that goes on with the session of the client before.
const ANEW: [&str; 2] = ["ROLLBACK", "DISCARD ALL"];
/// A reader's.
const READ_ONLY: &str = "SET default_transaction_read_only = on";

/// A database on a PostgreSQL server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    url: String,
    password_file: Option<PathBuf>,
}

impl Server {
    /// The database of a URL, `postgres://user@host:port/database`. The password may be in a file of its own
    /// ([`with_password_file`](Self::with_password_file)), in `PGPASSWORD`, in PostgreSQL's own password file (`PGPASSFILE`, `~/.pgpass`), or in
    /// the URL.
    ///
    /// # Errors
    /// What is wrong with the URL, in a sentence that does not repeat it.
    pub fn new(url: &str) -> Result<Self, String> {
        if !is_url(url) {
            return Err("want postgres://user@host:port/database".to_owned());
        }
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| format!("{error}; want postgres://user@host:port/database"))?;
        if options.get_database().is_none() {
            return Err("names no database: want postgres://user@host:port/database".to_owned());
        }
        Ok(Self { url: url.to_owned(), password_file: None })
    }

    /// The same, with its password in a file.
    #[must_use]
    pub fn with_password_file(self, password_file: Option<PathBuf>) -> Self {
        Self { password_file, ..self }
    }

    fn options(&self) -> Result<PgConnectOptions, StoreError> {
        let options = PgConnectOptions::from_str(&self.url).map_err(|error| trouble::of(&self.to_string(), error))?;
        let Some(path) = &self.password_file else { return Ok(options) };
        let read = std::fs::read_to_string(path);
        let password = read.map_err(|error| StoreError::Unusable {
            path: path.display().to_string(),
            what: "the database's password can't be read from here".to_owned(),
            source: sqlx::Error::Io(error),
        })?;
        Ok(options.password(password.trim_end_matches(['\r', '\n'])))
    }
}

/// Does this text name a PostgreSQL database, rather than a file?
#[must_use]
pub fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// Without a password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(options) = PgConnectOptions::from_str(&self.url) else { return f.write_str("postgres://?") };
        let (user, database) = (options.get_username(), options.get_database().unwrap_or("?"));
        match options.get_socket() {
            Some(socket) => write!(f, "postgres://{user}@{}:{}/{database}", socket.display(), options.get_port()),
            None => write!(f, "postgres://{user}@{}:{}/{database}", options.get_host(), options.get_port()),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

/// What a server can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Can {
    /// Does it take `COPY`, and questions of any length?
    pub(super) copy: bool,
    /// Does it serve several connections at once?
    pub(super) several: bool,
    /// Its version, as `server_version_num`.
    pub(super) version: i32,
}

/// The way to a database.
pub(super) struct Link {
    /// As it is shown: without a password.
    pub(super) name: String,
    pub(super) can: Can,
    options: PgConnectOptions,
    pub(super) readers: PgPool,
    waits: AtomicU64,
    waiting: AtomicU32,
}

/// One that waits for a connection, for as long as this lives.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection: one's own, or the only one there is, for as long as it is used.
pub(super) enum Conn {
    Own(Box<PgConnection>),
    Only(PoolConnection<Postgres>),
}

impl Deref for Conn {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Own(conn) => conn,
            Self::Only(conn) => conn,
        }
    }
}

impl DerefMut for Conn {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Own(conn) => conn,
            Self::Only(conn) => conn,
        }
    }
}

impl Link {
    /// Asks the server what it is.
    pub(super) async fn new(server: &Server) -> Result<Self, StoreError> {
        let name = server.to_string();
        let options = server.options()?.application_name("vagt").statement_cache_capacity(STATEMENTS_MAX);
        let options = options.disable_statement_logging();
        let can = ask(&options).await.map_err(|error| trouble::of(&name, error))?;
        if can.version < SERVER_MIN {
            return Err(trouble::too_old(&name, can.version, SERVER_MIN));
        }
        let readers = readers(options.clone(), can);
        Ok(Self { name, can, options, readers, waits: AtomicU64::new(0), waiting: AtomicU32::new(0) })
    }

    /// A connection to read with.
    pub(super) async fn reader(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        self.counted(self.readers.acquire()).await
    }

    /// The same, in a transaction that begins so.
    pub(super) async fn reading(&self, begin: &'static str) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.counted(self.readers.begin_with(begin)).await
    }

    /// Counts those that have to wait until another gives its connection back.
    async fn counted<T>(&self, getting: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        let is_full = self.readers.num_idle() == 0 && self.readers.size() >= self.most();
        let _waiting = is_full.then(|| {
            self.waits.fetch_add(1, Ordering::Relaxed);
            self.waiting.fetch_add(1, Ordering::Relaxed);
            Waiting(&self.waiting)
        });
        getting.await.map_err(|error| self.trouble(error))
    }

    fn most(&self) -> u32 {
        self.readers.options().get_max_connections()
    }

    /// How the connections to read with are used.
    pub(super) fn connections(&self) -> Connections {
        let idle = u32::try_from(self.readers.num_idle()).unwrap_or(u32::MAX);
        Connections {
            idle,
            used: self.readers.size().saturating_sub(idle),
            most: self.most(),
            waiting: self.waiting.load(Ordering::Relaxed),
            waits: self.waits.load(Ordering::Relaxed),
        }
    }

    /// A connection to write with.
    pub(super) async fn writing(&self) -> Result<Conn, StoreError> {
        let conn = async {
            if !self.can.several {
                return Ok(Conn::Only(self.readers.acquire().await?));
            }
            let mut conn = connected(&self.options).await?;
            conn.execute(BEGIN).await?;
            Ok(Conn::Own(Box::new(conn)))
        };
        conn.await.map_err(|error| self.trouble(error))
    }

    /// An error of this database, in words where there are any.
    pub(super) fn trouble(&self, error: sqlx::Error) -> StoreError {
        trouble::of(&self.name, error)
    }
}

async fn connected(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within 10 s");
    tokio::time::timeout(CONNECT_WAIT, options.connect()).await.unwrap_or_else(|_| Err(late().into()))
}

async fn ask(options: &PgConnectOptions) -> Result<Can, sqlx::Error> {
    let mut conn = connected(options).await?;
    let row = (&mut conn).fetch_one("SELECT version(), current_setting('server_version_num')::int").await?;
    // PostgreSQL compiled to WebAssembly: one process, one session, small messages.
    let whole = !row.try_get::<&str, _>(0)?.contains("emcc");
    let can = Can { copy: whole, several: whole, version: row.try_get(1)? };
    sqlx::Connection::close(conn).await?;
    Ok(can)
}

/// Where there is one connection alone, it is given back after each use, and writes too.
fn readers(options: PgConnectOptions, can: Can) -> PgPool {
    let pool = PoolOptions::<Postgres>::new().acquire_timeout(READER_WAIT).max_lifetime(None);
    let pool = if can.several { pool.max_connections(READERS_MAX) } else { pool.max_connections(1) };
    pool.after_connect(move |conn: &mut PgConnection, _| {
        Box::pin(async move {
            if can.several {
                conn.execute(BEGIN).await?;
                conn.execute(READ_ONLY).await?;
                return Ok(());
            }
            for statement in ANEW {
                conn.execute(statement).await?;
            }
            conn.execute(BEGIN).await.map(|_| ())
        })
    })
    .after_release(move |_, _| Box::pin(async move { Ok(can.several) }))
    .connect_lazy_with(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let server = Server::new("postgres://vagt:hemmelig@db.example:6432/clinic").unwrap();
        assert_eq!(server.to_string(), "postgres://vagt@db.example:6432/clinic");
        assert!(!format!("{server:?}").contains("hemmelig"));
        let wrong = Server::new("postgres://vagt:hemmelig@db.example:99999/clinic").unwrap_err();
        assert!(!wrong.contains("hemmelig"), "{wrong}");
        assert!(Server::new("postgres://vagt@db.example").unwrap_err().contains("names no database"));
        assert!(Server::new("mysql://vagt@db.example/clinic").is_err());
    }
}
