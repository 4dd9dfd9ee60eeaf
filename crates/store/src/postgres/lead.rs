//! Who writes batches: the service that holds a lock of its session, with the epoch that it began. Whoever takes over begins a new epoch, and
//! what the one before still sends is refused by that, however long it was paused.

use std::{sync::Arc, time::Duration};

use sqlx::Row;
use tokio::{sync::watch, time::sleep};

use super::{Inner, writer::LEAD_LOCK};
use crate::{Lead, StoreError};

/// From one sign of life to the next.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// How long an ended session is waited for, and how often it is looked for.
const ENDED_TRIES: u32 = 30;
const ENDED_PAUSE: Duration = Duration::from_millis(100);

const LOOK: &str = "\
SELECT pg_try_advisory_xact_lock_shared($1), leader, pid,
    greatest(0, extract(epoch FROM clock_timestamp() - heard_at))::float8 FROM book";

const TAKE: &str = "\
UPDATE book SET epoch = epoch + 1, leader = $1, pid = pg_backend_pid(), heard_at = clock_timestamp() WHERE id = 1 RETURNING epoch";

/// Takes the lead, if nobody has it, or whoever has it was silent for too long.
pub(super) async fn take(
    store: &Inner,
    by: &str,
    over_silent: Option<Duration>,
) -> Result<(Lead, watch::Sender<bool>), StoreError> {
    if let Some(held) = look(store).await? {
        if over_silent.is_none_or(|bound| held.silent < bound) {
            return Err(held.refusal());
        }
        end(store, &held).await?;
    }
    let mut write = store.writer.begin().await?;
    let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LEAD_LOCK);
    let locked: bool = lock.fetch_one(write.conn()).await.map_err(|error| store.trouble(error))?;
    if !locked {
        write.abandon().await;
        return Err(StoreError::Led { by: "one that was faster".to_owned() });
    }
    let epoch: i64 =
        sqlx::query_scalar(TAKE).bind(by).fetch_one(write.conn()).await.map_err(|error| store.trouble(error))?;
    write.lead(epoch);
    write.commit().await?;
    let (lost, hears) = watch::channel(false);
    Ok((Lead::new(epoch.unsigned_abs(), hears), lost))
}

/// Who has the lead.
struct Held {
    by: String,
    pid: i32,
    silent: Duration,
}

impl Held {
    fn refusal(&self) -> StoreError {
        StoreError::Led { by: format!("{}, heard of {} s ago", self.by, self.silent.as_secs()) }
    }
}

async fn look(store: &Inner) -> Result<Option<Held>, StoreError> {
    let row = sqlx::query(LOOK).bind(LEAD_LOCK).fetch_one(&mut *store.reader().await?).await;
    let row = row.map_err(|error| store.trouble(error))?;
    if row.try_get(0)? {
        return Ok(None);
    }
    Ok(Some(Held { by: row.try_get(1)?, pid: row.try_get(2)?, silent: Duration::from_secs_f64(row.try_get(3)?) }))
}

/// Ends the session of one that is silent, and waits until its lock is free.
async fn end(store: &Inner, held: &Held) -> Result<(), StoreError> {
    tracing::warn!(by = held.by, silent_s = held.silent.as_secs(), "taking over the lead from a silent service");
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND application_name = 'vagt'";
    let ended = sqlx::query(sql).bind(held.pid).execute(&mut *store.reader().await?).await;
    ended.map_err(|error| store.trouble(error))?;
    for _ in 0..ENDED_TRIES {
        if look(store).await?.is_none() {
            return Ok(());
        }
        sleep(ENDED_PAUSE).await;
    }
    Err(held.refusal())
}

/// Gives signs of life until the lead is lost, and says so then.
pub(super) async fn live(store: Arc<Inner>, lost: watch::Sender<bool>) {
    loop {
        sleep(SIGN_OF_LIFE).await;
        match sign(&store).await {
            Ok(()) => {}
            Err(error @ StoreError::LeadLost { .. }) => {
                tracing::error!("{error}");
                lost.send_replace(true);
                return;
            }
            Err(StoreError::Closed) => return,
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
