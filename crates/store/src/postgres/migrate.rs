//! The schema's versions, in the database's schema `vagt`: each migration is one transaction, and one program at a time migrates. At the first, the
//! layout is chosen, and kept: with TimescaleDB where the server has it, with partitions where not.

use sqlx::{AssertSqlSafe, Executor, Row};

use super::{conn::Asked, link::Link, trouble};
use crate::StoreError;

/// One version on: before the layout's own part, that part, and after it.
struct Step {
    begin: &'static str,
    native: &'static str,
    timescale: &'static str,
    end: &'static str,
}

/// Every migration, in order. Published ones are never edited.
const MIGRATIONS: &[Step] = &[
    Step {
        begin: include_str!("../../migrations/postgres/0001_begin.sql"),
        native: include_str!("../../migrations/postgres/0001_native.sql"),
        timescale: include_str!("../../migrations/postgres/0001_timescale.sql"),
        end: include_str!("../../migrations/postgres/0001_end.sql"),
    },
    Step { begin: include_str!("../../migrations/postgres/0002.sql"), native: "", timescale: "", end: "" },
];

/// What stands in the first migration where a table of partitions says so, and a hypertable does not.
const DIVIDED: &str = "/* how it is divided: the layout says */";

/// Held while a program migrates: "VAGT" and 2.
const LOCK: i64 = 0x5641_4754_0002;

/// Ours, if it has this table.
const MARK: &str =
    "CREATE TABLE vagt_schema (id INT PRIMARY KEY CHECK (id = 1), version INT NOT NULL, layout TEXT NOT NULL)";

/// How the big tables are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Partitions by month, aggregates added up by the upkeep.
    Native,
    /// TimescaleDB's hypertables, compression and continuous aggregates.
    Timescale,
}

impl Layout {
    /// As it is kept.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Timescale => "timescale",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Native, Self::Timescale].into_iter().find(|layout| layout.name() == name)
    }
}

/// The newest version that this program knows.
pub(super) fn known() -> u32 {
    u32::try_from(MIGRATIONS.len()).expect("there are fewer than four billion migrations")
}

/// Brings a database up to [`known`], and says its layout. After an error, the connection is of no use any more.
pub(super) async fn up(conn: &mut Asked, link: &Link) -> Result<Layout, StoreError> {
    let stop = |error| link.trouble(error);
    if let Some((version, layout)) = check(conn, link).await?
        && version == known()
    {
        return Ok(layout);
    }
    let wanted = has_timescale(conn).await.map_err(stop)?;
    conn.execute("BEGIN").await.map_err(stop)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *conn).await.map_err(stop)?;
    let (found, layout) = match check(conn, link).await? {
        Some(found) => found,
        None => (begin(conn, wanted).await.map_err(stop)?, wanted),
    };
    for version in found..known() {
        step(conn, version, layout).await.map_err(stop)?;
        tracing::info!(from = version, to = version + 1, layout = layout.name(), "migrated the store");
    }
    conn.execute("COMMIT").await.map_err(stop)?;
    Ok(layout)
}

/// The database's version and layout, if it has ours, and not a newer one. Nothing if there is nothing yet.
pub(super) async fn check(conn: &mut Asked, link: &Link) -> Result<Option<(u32, Layout)>, StoreError> {
    let stop = |error| link.trouble(error);
    let sql = "SELECT to_regclass('vagt.vagt_schema') IS NOT NULL,
               EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'vagt')";
    let row = sqlx::query(sql).fetch_one(&mut *conn).await.map_err(stop)?;
    let (ours, something): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    if !ours {
        let what = "its schema `vagt` holds another program's tables: name another database".to_owned();
        return if something { Err(trouble::refused(&link.name, what, "not vagt's tables")) } else { Ok(None) };
    }
    let row = sqlx::query("SELECT version, layout FROM vagt.vagt_schema").fetch_one(&mut *conn).await.map_err(stop)?;
    let found = u32::try_from(row.try_get::<i32, _>(0)?).unwrap_or(u32::MAX);
    if found > known() {
        return Err(StoreError::NewerSchema { path: link.name.clone(), found, known: known() });
    }
    let layout: &str = row.try_get(1)?;
    let wrong = || crate::convert::corrupt("vagt_schema", 1, format!("layout {layout:?}, want native or timescale"));
    Ok(Some((found, Layout::of(layout).ok_or_else(wrong)?)))
}

/// Is the extension there, or can it be? What can't be made is done without, and told.
async fn has_timescale(conn: &mut Asked) -> Result<Layout, sqlx::Error> {
    let sql = "SELECT installed_version IS NOT NULL FROM pg_available_extensions WHERE name = 'timescaledb'";
    match sqlx::query(sql).fetch_optional(&mut *conn).await?.map(|row| row.try_get(0)).transpose()? {
        None => Ok(Layout::Native),
        Some(true) => Ok(Layout::Timescale),
        Some(false) => match conn.execute("CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public").await {
            Ok(_) => Ok(Layout::Timescale),
            Err(error) if !trouble::is_lost(&error) => {
                tracing::warn!(%error, "TimescaleDB is on this server and can't be used; partitions instead");
                Ok(Layout::Native)
            }
            Err(error) => Err(error),
        },
    }
}

/// The schema, and the mark that it is ours.
async fn begin(conn: &mut Asked, layout: Layout) -> Result<u32, sqlx::Error> {
    let there = sqlx::query("SELECT to_regnamespace('vagt') IS NOT NULL").fetch_one(&mut *conn).await?;
    if !there.try_get::<bool, _>(0)? {
        conn.execute("CREATE SCHEMA vagt").await?;
    }
    conn.execute(MARK).await?;
    sqlx::query("INSERT INTO vagt_schema VALUES (1, 0, $1)").bind(layout.name()).execute(conn).await?;
    Ok(0)
}

async fn step(conn: &mut Asked, version: u32, layout: Layout) -> Result<(), sqlx::Error> {
    let Step { begin, native, timescale, end } = &MIGRATIONS[version as usize];
    let (divided, own) = match layout {
        Layout::Native => ("PARTITION BY RANGE (kept_at)", native),
        Layout::Timescale => ("", timescale),
    };
    for part in [&begin.replace(DIVIDED, divided), *own, *end] {
        sqlx::raw_sql(AssertSqlSafe(part.to_owned())).execute(&mut *conn).await?;
    }
    let mark = sqlx::query("UPDATE vagt_schema SET version = $1").bind((version + 1).cast_signed());
    mark.execute(conn).await.map(|_| ())
}
