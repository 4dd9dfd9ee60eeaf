//! TimescaleDB's continuous aggregates, where what they were made of is let go of.
//!
//! That chunks were dropped is noted as a change of the time that they were of, and a refresh whose window covers it takes the buckets of that time
//! away: there is nothing left to make them of. So no refresh may look back as far as readings are kept. A window that was shortened stays short,
//! also where readings are kept for longer later: what was dropped before is noted still.

use sqlx::{AssertSqlSafe, Executor as _};

use super::conn::Asked;

/// What refreshes ours from time to time.
const JOBS: &str = "\
timescaledb_information.jobs j JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = (j.config->>'mat_hypertable_id')::int
WHERE j.proc_name = 'policy_refresh_continuous_aggregate' AND a.user_view_schema = 'vagt'";

/// Where they are kept.
const TABLES: &str = "\
SELECT format('%I.%I', h.schema_name, h.table_name)
FROM _timescaledb_catalog.continuous_agg a JOIN _timescaledb_catalog.hypertable h ON h.id = a.mat_hypertable_id WHERE a.user_view_schema = 'vagt'";

/// From now on they are refreshed a month less far back than readings are kept, if it was further.
pub(super) async fn look_back(conn: &mut Asked, months: i32) -> Result<(), sqlx::Error> {
    let window = format!("make_interval(months => {})", months - 1);
    let sql = format!(
        "SELECT alter_job(j.job_id, config => jsonb_set(j.config, '{{start_offset}}', to_jsonb({window}::text)))
         FROM {JOBS} AND coalesce((j.config->>'start_offset')::interval > {window}, true)"
    );
    let changed = conn.fetch_all(AssertSqlSafe(sql)).await?.len();
    if changed > 0 {
        tracing::info!(months = months - 1, "aggregates are refreshed no further back than this");
    }
    Ok(())
}

/// Refreshes them as far back as that.
pub(super) async fn refresh(conn: &mut Asked) -> Result<(), sqlx::Error> {
    let sql =
        format!("SELECT a.user_view_name::text, (now() - (j.config->>'start_offset')::interval)::text FROM {JOBS}");
    let windows: Vec<(String, Option<String>)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *conn).await?;
    for (name, since) in windows {
        let since = since.map_or_else(|| "NULL".to_owned(), |since| format!("'{since}'::timestamptz"));
        let sql = format!("CALL public.refresh_continuous_aggregate('vagt.{name}', {since}, NULL)");
        conn.execute(AssertSqlSafe(sql)).await?;
    }
    Ok(())
}

/// Takes a person (by number) out of them, however long ago it was, and whether or not what they were made of is there.
pub(super) async fn forget(conn: &mut Asked, patient: i32) -> Result<(), sqlx::Error> {
    let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *conn).await?;
    for table in tables {
        conn.execute(AssertSqlSafe(format!("DELETE FROM {table} WHERE patient = {patient}"))).await?;
    }
    Ok(())
}
