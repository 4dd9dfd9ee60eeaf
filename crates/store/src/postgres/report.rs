//! What a server says of itself, for `vagt doctor`. Nothing is changed by asking.

use jiff::Timestamp;
use sqlx::Row;

use super::{Layout, Server, lead, link::Link, migrate};
use crate::{Leader, StoreError, convert::time};

/// What there is to know before a clinic relies on a server.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where it is, without a password.
    pub server: String,
    /// Its version, e.g. `15.14`.
    pub version: String,
    /// The version of TimescaleDB, if this database has it.
    pub timescale: Option<String>,
    /// Is it on the server, and not in this database? Whoever makes the tables then tries to bring it in.
    pub timescale_offered: bool,
    /// The schema's version and layout; nothing before the first start.
    pub schema: Option<(u32, Layout)>,
    /// The newest schema that this program knows.
    pub known: u32,
    /// Is a commit on the disk when it is answered? (`fsync`)
    pub fsync: bool,
    /// What a commit waits for (`synchronous_commit`), as it is for this program.
    pub synchronous_commit: String,
    /// Can data be written (a primary that is not told to be read-only, and the permission)?
    pub can_write: bool,
    /// For how many months messages are kept; for ever if nothing is said.
    pub months: Option<i32>,
    /// Which service leads, or led last; nobody before the first start.
    pub leader: Option<Leader>,
    /// The server's clock when it was asked.
    pub now: Timestamp,
}

const ASK: &str = "\
SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
    current_setting('fsync') = 'on', current_setting('synchronous_commit'),
    NOT pg_is_in_recovery() AND (SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_read_only') = 'off' AND CASE WHEN to_regclass('vagt.book') IS NULL THEN has_database_privilege(current_database(), 'CREATE')
        ELSE has_table_privilege('vagt.book', 'UPDATE') END,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb' AND installed_version IS NULL)";

/// Asks a server.
///
/// # Errors
/// It can't be reached, is too old, or its schema is newer than this program.
pub async fn report(server: &Server) -> Result<Report, StoreError> {
    let link = Link::new(server).await?;
    let mut conn = link.reader().await?;
    let row = sqlx::query(ASK).fetch_one(&mut *conn).await.map_err(|error| link.trouble(error))?;
    let schema = migrate::check(&mut conn, &link).await?;
    let (months, leader) = match schema {
        Some((found, _)) if found == migrate::known() => {
            let months = sqlx::query_scalar("SELECT months FROM vagt.retention").fetch_one(&mut *conn).await?;
            (months, lead::look_at(&mut conn).await?.map(|(leader, _)| leader))
        }
        _ => (None, None),
    };
    let report = Report {
        server: link.name.clone(),
        version: row.try_get(0)?,
        timescale: row.try_get(1)?,
        timescale_offered: row.try_get(6)?,
        schema,
        known: migrate::known(),
        fsync: row.try_get(2)?,
        synchronous_commit: row.try_get(3)?,
        can_write: row.try_get(4)?,
        months,
        leader,
        now: time(row.try_get::<i64, _>(5)?.saturating_mul(1_000)),
    };
    drop(conn);
    link.readers.close().await;
    Ok(report)
}
