//! What a database needs from time to time. The leader's task does it beside the commits, on a connection of its own: months made ahead and let
//! go when they are too old (`retention`), and the readings of new messages added up by hour and day, or, with TimescaleDB, put where its
//! continuous aggregates find them.

use std::{sync::Arc, time::Duration};

use sqlx::{Executor as _, Row};
use tokio::time::sleep;

use super::{
    Inner, aggregates,
    conn::{Asked, LONG_WAIT},
    migrate::Layout,
    trouble,
};
use crate::StoreError;

/// From one round to the next.
const ROUND: Duration = Duration::from_secs(10);
/// Messages of one transaction, and transactions of one round.
const MESSAGES_AT_ONCE: i64 = 20_000;
const STEPS_MAX: u32 = 60;
/// Held by whoever does it: "VAGT" and 3.
pub(super) const LOCK: i64 = 0x5641_4754_0003;

/// Whoever waits to divide a table, or to drop a part of it, stands before everybody who comes to it later: behind a backup, all would wait.
const GIVE_UP_SOON: &str = "SET lock_timeout = '500ms'";
/// As every connection begins.
const BE_PATIENT: &str = "SET lock_timeout = '30s'";

const MAKE_AHEAD: &str = "\
SELECT make_month((date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead))::date) FROM generate_series(0, 2) AS ahead";

/// Months that end before what is kept.
const OLD_MONTHS: &str = "\
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'message'::regclass AND c.relname ~ '^message_[0-9]{4}_[0-9]{2}$'
AND to_date(substr(c.relname, 9), 'YYYY_MM') + interval '1 month' <= (now() AT TIME ZONE 'UTC') - make_interval(months => $1)";

/// The readings of so many messages are sorted by what they are of: with a server's usual 4 MB, on its disk.
const BEGIN: &str = "BEGIN; SET LOCAL work_mem = '64MB'";

/// Where the next messages are: up to which id, and from which day of keeping on.
const NEXT: &str = "\
SELECT u.up_to, least(b.last_id, u.up_to + $1), (SELECT (extract(epoch FROM min(d.day)::timestamp AT TIME ZONE 'UTC') * 1000000)::bigint
    FROM message_day d WHERE d.last_id > u.up_to)
FROM unfolded u, book b FOR UPDATE OF u";

/// New messages' readings by hour, and those by day. They are added up as whole numbers, without a look at what they are, and told apart then: most are
/// of an hour that others are of too. A device whose clock is ten years behind or a day ahead measures nothing that a long curve should show.
const ADD_UP: &str = "\
WITH parts AS (
    SELECT patient, (readings[i] >> 8)::int AS channel, readings[i] & 255 AS digits, readings[i + 2] / 3600000000000 AS hour,
           count(*) AS readings, min(value) AS low, max(value) AS high, sum(value) AS total
    FROM (SELECT patient, readings, odd, (date_part('epoch', kept_at) * 1e6)::bigint * 1000 AS kept FROM message
          WHERE id > $1 AND id <= $2 AND kept_at >= to_timestamp($3::bigint / 1e6) AND patient IS NOT NULL OFFSET 0) m
    CROSS JOIN LATERAL generate_series(1, cardinality(readings), 3) AS i
    CROSS JOIN LATERAL (SELECT CASE readings[i] & 255 WHEN 255 THEN odd[readings[i + 1]]::float8 ELSE readings[i + 1]::float8 END AS value) v
    WHERE readings[i + 2] > kept - 315576000000000000 AND readings[i + 2] < kept + 86400000000000
    GROUP BY 1, 2, 3, 4),
hours AS (
    SELECT patient, vital, to_timestamp(hour * 3600) AS bucket, sum(readings)::bigint AS readings,
           sum(readings * doubt::int)::bigint AS doubtful, min(low / one) AS low, max(high / one) AS high, sum(total / one) AS total
    FROM parts JOIN channel ON key = channel
    CROSS JOIN LATERAL (SELECT CASE digits WHEN 255 THEN 1 ELSE power(10::float8, digits::float8) END AS one) o
    GROUP BY 1, 2, 3),
by_hour AS (INSERT INTO reading_hour AS a SELECT * FROM hours ON CONFLICT (patient, vital, bucket) DO UPDATE
    SET readings = a.readings + excluded.readings, doubtful = a.doubtful + excluded.doubtful,
        low = least(a.low, excluded.low), high = greatest(a.high, excluded.high), total = a.total + excluded.total)
INSERT INTO reading_day AS a SELECT patient, vital, date_trunc('day', bucket), sum(readings), sum(doubtful), min(low), max(high), sum(total)
    FROM hours GROUP BY 1, 2, 3 ON CONFLICT (patient, vital, bucket) DO UPDATE
    SET readings = a.readings + excluded.readings, doubtful = a.doubtful + excluded.doubtful,
        low = least(a.low, excluded.low), high = greatest(a.high, excluded.high), total = a.total + excluded.total";

/// New messages' readings by the time of measuring; the same devices' clocks are not believed.
const PUT_BY_TIME: &str = "\
INSERT INTO reading (patient, vital, measured_at, value, doubtful)
SELECT m.patient, c.vital, t, r.value, c.doubt::int
FROM message m CROSS JOIN LATERAL unfold(m.readings, m.odd) r JOIN channel c ON c.key = r.channel
CROSS JOIN LATERAL to_timestamp(r.measured_at / 1e9) t
WHERE m.id > $1 AND m.id <= $2 AND m.kept_at >= to_timestamp($3::bigint / 1e6) AND m.patient IS NOT NULL
AND t > m.kept_at - interval '10 years' AND t < m.kept_at + interval '1 day'
ORDER BY t";

/// Rounds, as long as the store is open.
pub(super) async fn run(store: Arc<Inner>) {
    loop {
        sleep(ROUND).await;
        match once(&store).await {
            Ok(()) => {}
            Err(StoreError::Closed) => return,
            Err(error) => tracing::warn!(%error, "the database's upkeep has to wait"),
        }
    }
}

/// One round.
pub(super) async fn once(store: &Inner) -> Result<(), StoreError> {
    let mut conn = store.link.writing().await?;
    conn.wait(LONG_WAIT);
    // What can't be divided now is no reason not to add up.
    let divided = match divide(&mut conn, store.layout).await {
        Err(error) if trouble::is_lost(&error) => return Err(store.trouble(error)),
        divided => divided,
    };
    add_up(&mut conn, store.layout).await.map_err(|error| store.trouble(error))?;
    match divided {
        Err(error) if trouble::is_locked(&error) => {
            tracing::debug!(%error, "somebody uses a table that is to be divided: again in the next round");
            Ok(())
        }
        divided => divided.map_err(|error| store.trouble(error)),
    }
}

async fn add_up(conn: &mut Asked, layout: Layout) -> Result<(), sqlx::Error> {
    conn.execute(BE_PATIENT).await?;
    for _ in 0..STEPS_MAX {
        if !unfold(conn, layout).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Makes ahead, and lets go.
async fn divide(conn: &mut Asked, layout: Layout) -> Result<(), sqlx::Error> {
    conn.execute(GIVE_UP_SOON).await?;
    let months: Option<i32> = sqlx::query_scalar("SELECT months FROM retention").fetch_one(&mut *conn).await?;
    match layout {
        Layout::Native => {
            sqlx::query(MAKE_AHEAD).execute(&mut *conn).await?;
            let Some(months) = months else { return Ok(()) };
            let old: Vec<String> = sqlx::query_scalar(OLD_MONTHS).bind(months).fetch_all(&mut *conn).await?;
            for name in old {
                sqlx::query("SELECT drop_month($1)").bind(name.as_str()).execute(&mut *conn).await?;
                tracing::info!(name, months, "let go of a month of messages");
            }
        }
        Layout::Timescale => {
            let Some(months) = months else { return Ok(()) };
            aggregates::look_back(conn, months).await?;
            for table in ["message", "reading"] {
                let sql = "SELECT drop_chunks($1::text::regclass, now() - make_interval(months => $2))";
                sqlx::query(sql).bind(table).bind(months).fetch_all(&mut *conn).await?;
            }
        }
    }
    Ok(())
}

/// Takes the next messages in, each once: how far it is, is written in the same transaction. Says whether there may be more.
async fn unfold(conn: &mut Asked, layout: Layout) -> Result<bool, sqlx::Error> {
    conn.execute(BEGIN).await?;
    let goes_on = unfold_next(conn, layout).await?;
    conn.execute(if goes_on { "COMMIT" } else { "ROLLBACK" }).await?;
    Ok(goes_on)
}

/// The same, within the transaction that it ends with.
async fn unfold_next(conn: &mut Asked, layout: Layout) -> Result<bool, sqlx::Error> {
    let lock = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(LOCK);
    let is_free: bool = lock.fetch_one(&mut *conn).await?;
    if !is_free {
        return Ok(false);
    }
    let row = sqlx::query(NEXT).bind(MESSAGES_AT_ONCE).fetch_one(&mut *conn).await?;
    let (from, up_to, day): (i64, i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let Some(day) = day.filter(|_| up_to > from) else { return Ok(false) };
    let sql = match layout {
        Layout::Native => ADD_UP,
        Layout::Timescale => PUT_BY_TIME,
    };
    sqlx::query(sql).bind(from).bind(up_to).bind(day).execute(&mut *conn).await?;
    sqlx::query("UPDATE unfolded SET up_to = $1").bind(up_to).execute(&mut *conn).await?;
    Ok(true)
}
