//! Connections to one database: how each begins, and what the server can do, which is asked once.

use std::{
    fmt,
    io::ErrorKind,
    path::PathBuf,
    str::FromStr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Executor, PgConnection, PgPool, Postgres, Row,
    pool::{PoolConnection, PoolOptions},
    postgres::PgConnectOptions,
};

use super::{
    conn::{Asked, Conn, PING_WAIT, QUESTION_WAIT, STATEMENT_WAIT, answers},
    trouble,
};
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
SET idle_in_transaction_session_timeout = '10s'; \
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
    /// From where the URL's relative paths count.
    folder: Option<PathBuf>,
    /// Where answers are waited for less long than is usual.
    answers_within: Option<Duration>,
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
        Ok(Self { url: url.to_owned(), password_file: None, folder: None, answers_within: None })
    }

    /// The same, with its password in a file.
    #[must_use]
    pub fn with_password_file(self, password_file: Option<PathBuf>) -> Self {
        Self { password_file, ..self }
    }

    /// The same; relative paths of certificates in its URL count from this folder.
    #[must_use]
    pub fn with_folder(self, folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// The same, of which no answer is waited for longer than this. What is usual suits a clinic, and is long for a test.
    #[must_use]
    pub fn with_answers_within(self, wait: Duration) -> Self {
        Self { answers_within: Some(wait), ..self }
    }

    /// How long an answer is waited for that is usually waited for so long.
    fn wait(&self, usual: Duration) -> Duration {
        self.answers_within.map_or(usual, |most| most.min(usual))
    }

    fn options(&self) -> Result<PgConnectOptions, StoreError> {
        let options = PgConnectOptions::from_str(&self.url).map_err(|error| trouble::of(&self.to_string(), error))?;
        let options = self.files().iter().fold(options, |options, (name, path)| match *name {
            "sslcert" => options.ssl_client_cert(path),
            "sslkey" => options.ssl_client_key(path),
            _ => options.ssl_root_cert(path),
        });
        let Some(path) = &self.password_file else { return Ok(options) };
        let read = std::fs::read_to_string(path);
        let password = read.map_err(|error| StoreError::Unusable {
            path: path.display().to_string(),
            what: "the database's password can't be read from here".to_owned(),
            source: sqlx::Error::Io(error),
        })?;
        Ok(options.password(password.trim_end_matches(['\r', '\n'])))
    }

    /// The files that the URL names, each with what it is.
    fn files(&self) -> Vec<(&'static str, PathBuf)> {
        let Ok(url) = self.url.parse() else { return Vec::new() };
        if PgConnectOptions::from_url(&url).is_err() {
            return Vec::new();
        }
        let at = |path: &str| self.folder.as_ref().map_or_else(|| PathBuf::from(path), |folder| folder.join(path));
        url.query_pairs().filter_map(|(key, value)| Some((named_file(&key)?, at(&value)))).collect()
    }

    /// Why it can't be connected to. The driver does not say which file it can't read.
    fn unreachable(&self, error: sqlx::Error) -> StoreError {
        let is_file = matches!(&error, sqlx::Error::Io(inner) if FILE_FAULTS.contains(&inner.kind()));
        let unreadable = |(name, path): (&str, PathBuf)| Some((name.to_owned(), std::fs::read(&path).err()?, path));
        match self.files().into_iter().filter(|_| is_file).find_map(unreadable) {
            Some((name, why, path)) => StoreError::Unusable {
                path: path.display().to_string(),
                what: format!("the file that the database's URL names as `{name}` can't be read: {why}"),
                source: error,
            },
            None => trouble::of(&self.to_string(), error),
        }
    }
}

/// How a file that can't be read is told.
const FILE_FAULTS: [ErrorKind; 3] = [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::IsADirectory];

/// What the file is that this parameter of a URL names, if it names one: the driver knows several words for each.
fn named_file(key: &str) -> Option<&'static str> {
    match key {
        "sslrootcert" | "ssl-root-cert" | "ssl-ca" => Some("sslrootcert"),
        "sslcert" | "ssl-cert" => Some("sslcert"),
        "sslkey" | "ssl-key" => Some("sslkey"),
        _ => None,
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
    /// How long the answer to a question is waited for.
    question_wait: Duration,
    /// And to a statement of a write.
    pub(super) statement_wait: Duration,
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

impl Link {
    /// Asks the server what it is.
    pub(super) async fn new(server: &Server) -> Result<Self, StoreError> {
        let name = server.to_string();
        let options = server.options()?.application_name("vagt").statement_cache_capacity(STATEMENTS_MAX);
        let options = options.disable_statement_logging();
        let statement_wait = server.wait(STATEMENT_WAIT);
        let can = ask(&options, statement_wait).await.map_err(|error| server.unreachable(error))?;
        if can.version < SERVER_MIN {
            return Err(trouble::too_old(&name, can.version, SERVER_MIN));
        }
        let readers = readers(options.clone(), can, server.wait(PING_WAIT));
        let question_wait = server.wait(QUESTION_WAIT);
        let (waits, waiting) = (AtomicU64::new(0), AtomicU32::new(0));
        Ok(Self { name, can, options, readers, question_wait, statement_wait, waits, waiting })
    }

    /// A connection to read with.
    pub(super) async fn reader(&self) -> Result<Conn, StoreError> {
        Ok(Asked::pooled(self.acquired().await?, self.question_wait))
    }

    /// The same, in a transaction that begins so.
    pub(super) async fn reading(&self, begin: &'static str) -> Result<Conn, StoreError> {
        let mut conn = self.reader().await?;
        conn.read_one_state(begin).await.map_err(|error| self.trouble(error))?;
        Ok(conn)
    }

    /// One of the pool's. Those that have to wait until another gives its connection back are counted.
    async fn acquired(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        let is_full = self.readers.num_idle() == 0 && self.readers.size() >= self.most();
        let _waiting = is_full.then(|| {
            self.waits.fetch_add(1, Ordering::Relaxed);
            self.waiting.fetch_add(1, Ordering::Relaxed);
            Waiting(&self.waiting)
        });
        self.readers.acquire().await.map_err(|error| self.trouble(error))
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
                return Ok(Asked::pooled(self.readers.acquire().await?, self.statement_wait));
            }
            let mut conn = Asked::own(connected(&self.options).await?, self.statement_wait);
            conn.execute(BEGIN).await?;
            Ok(conn)
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

async fn ask(options: &PgConnectOptions, wait: Duration) -> Result<Can, sqlx::Error> {
    let mut conn = Asked::own(connected(options).await?, wait);
    let row = conn.fetch_one("SELECT version(), current_setting('server_version_num')::int").await?;
    // PostgreSQL compiled to WebAssembly: one process, one session, small messages.
    let whole = !row.try_get::<&str, _>(0)?.contains("emcc");
    let can = Can { copy: whole, several: whole, version: row.try_get(1)? };
    conn.close().await?;
    Ok(can)
}

/// Where there is one connection alone, it is given back after each use, and writes too. The pool's own look at whether a connection still answers
/// has no end where the server says nothing any more: it is looked here, before and after each use.
fn readers(options: PgConnectOptions, can: Can, wait: Duration) -> PgPool {
    let pool = PoolOptions::<Postgres>::new().acquire_timeout(READER_WAIT).max_lifetime(None);
    let pool = pool.test_before_acquire(false);
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
    .before_acquire(move |conn: &mut PgConnection, _| Box::pin(async move { Ok(answers(conn, wait).await) }))
    .after_release(move |conn: &mut PgConnection, _| {
        Box::pin(async move { Ok(can.several && answers(conn, wait).await) })
    })
    .connect_lazy_with(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_count_from_the_folder_and_the_one_that_is_missing_is_named() {
        let server = Server::new("postgres://vagt@db/clinic?ssl-ca=ca.pem&sslkey=%2Fown.key").unwrap();
        let server = server.with_folder("/nowhere/vagt".into());
        let path = PathBuf::from;
        assert_eq!(server.files(), [("sslrootcert", path("/nowhere/vagt/ca.pem")), ("sslkey", path("/own.key"))]);
        let of = |kind: ErrorKind| server.unreachable(std::io::Error::from(kind).into()).to_string();
        let said = of(ErrorKind::NotFound);
        assert!(said.starts_with("/nowhere/vagt/ca.pem: ") && said.contains("`sslrootcert` can't be read"), "{said}");
        let said = of(ErrorKind::ConnectionRefused);
        assert!(said.contains("is it running"), "{said}");
    }

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
