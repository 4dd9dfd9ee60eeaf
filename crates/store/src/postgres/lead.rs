//! Who writes batches: the service that holds a lock of its session, with the epoch that it began. Whoever takes over begins a new epoch, and
//! what the one before still sends is refused by that, however long it was paused.

use std::{sync::Arc, time::Duration};

use sqlx::Row;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{Inner, conn::Asked, writer::LEAD_LOCK};
use crate::{Lead, Leader, StoreError};

/// From one sign of life to the next.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// How long an ended session is waited for, and how often it is looked for.
const ENDED_TRIES: u32 = 30;
const ENDED_PAUSE: Duration = Duration::from_millis(100);

/// Who led last, who holds the lock, and whether the server is at work for them now: then it is slow, and they are not silent. Looked up, not tried
/// for: whoever tries would stand in the way of a leader that comes back.
const LOOK: &str = "\
SELECT leader, greatest(0, extract(epoch FROM clock_timestamp() - heard_at))::float8, held.pid,
    coalesce(session.state = 'active' AND session.wait_event_type IS DISTINCT FROM 'Client', false)
FROM book
LEFT JOIN pg_locks held ON held.locktype = 'advisory' AND held.mode = 'ExclusiveLock' AND held.granted
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND held.classid::bigint = $1 >> 32 AND held.objid::bigint = $1 & 4294967295 AND held.objsubid = 1
LEFT JOIN pg_stat_activity session ON session.pid = held.pid";

const TAKE: &str = "\
UPDATE book SET epoch = epoch + 1, leader = $1, pid = pg_backend_pid(), heard_at = clock_timestamp() WHERE id = 1 RETURNING epoch";

/// Takes the lead, if nobody has it, or whoever has it was silent for too long.
pub(super) async fn take(store: &Inner, by: &str, over_silent: Option<Duration>) -> Result<Lead, StoreError> {
    if let Some((leader, Some(pid))) = look(store).await? {
        if over_silent.is_none_or(|bound| leader.silent < bound) {
            return Err(refusal(&leader));
        }
        end(store, &leader, pid).await?;
    }
    // An earlier try may have ended without an answer.
    store.writer.lead_nothing().await;
    let mut write = store.writer.begin().await?;
    let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LEAD_LOCK);
    let locked: bool = lock.fetch_one(write.conn()).await.map_err(|error| store.trouble(error))?;
    if !locked {
        write.abandon().await;
        return Err(StoreError::Led { by: "one that was faster".to_owned() });
    }
    let epoch: i64 =
        sqlx::query_scalar(TAKE).bind(by).fetch_one(write.conn()).await.map_err(|error| store.trouble(error))?;
    let (lost, is_lost) = watch::channel(false);
    let (heard, is_heard) = watch::channel(Instant::now());
    write.lead(epoch, lost, heard);
    write.commit().await?;
    Ok(Lead::new(epoch.unsigned_abs(), is_lost, is_heard))
}

/// Who leads, or led last.
pub(super) async fn leader(store: &Inner) -> Result<Option<Leader>, StoreError> {
    Ok(look(store).await?.map(|(leader, _)| leader))
}

fn refusal(leader: &Leader) -> StoreError {
    StoreError::Led { by: format!("{}, heard of {} s ago", leader.by, leader.silent.as_secs()) }
}

/// The leader, and the process of the server that holds its lock.
async fn look(store: &Inner) -> Result<Option<(Leader, Option<i32>)>, StoreError> {
    look_at(&mut *store.reader().await?).await.map_err(|error| store.trouble(error))
}

/// The same, by this connection.
pub(super) async fn look_at(conn: &mut Asked) -> Result<Option<(Leader, Option<i32>)>, sqlx::Error> {
    let row = sqlx::query(LOOK).bind(LEAD_LOCK).fetch_one(conn).await?;
    let (by, silent, pid): (String, f64, Option<i32>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if by.is_empty() && pid.is_none() {
        return Ok(None);
    }
    let silent = if row.try_get(3)? { Duration::ZERO } else { Duration::from_secs_f64(silent) };
    Ok(Some((Leader { by, silent, holds: pid.is_some() }, pid)))
}

/// Ends the session of one that is silent, and waits until its lock is free.
async fn end(store: &Inner, leader: &Leader, pid: i32) -> Result<(), StoreError> {
    tracing::warn!(by = leader.by, silent_s = leader.silent.as_secs(), "taking over the lead from a silent service");
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND application_name = 'vagt'";
    let ended = sqlx::query(sql).bind(pid).execute(&mut *store.reader().await?).await;
    ended.map_err(|error| store.trouble(error))?;
    for _ in 0..ENDED_TRIES {
        if look(store).await?.is_none_or(|(leader, _)| !leader.holds) {
            return Ok(());
        }
        sleep(ENDED_PAUSE).await;
    }
    Err(refusal(leader))
}

/// Gives signs of life until the lead is lost.
pub(super) async fn live(store: Arc<Inner>) {
    loop {
        sleep(SIGN_OF_LIFE).await;
        match sign(&store).await {
            Ok(()) => {}
            Err(StoreError::Closed | StoreError::LeadLost { .. }) => return,
            Err(error) => tracing::debug!(%error, "no sign of life could be given"),
        }
    }
}

/// Not worth waiting for the disk.
async fn sign(store: &Inner) -> Result<(), StoreError> {
    let mut write = store.writer.begin().await?;
    for sql in [
        "SET LOCAL synchronous_commit = off",
        "UPDATE book SET heard_at = clock_timestamp(), pid = pg_backend_pid() WHERE id = 1",
    ] {
        sqlx::query(sql).execute(write.conn()).await.map_err(|error| store.trouble(error))?;
    }
    write.commit().await
}
