//! Reading for the judge: however long the store can't be read, beside everything else where nobody waits for it.

use std::{future::Future, sync::Arc, time::Duration};

use store::{Store, StoreError};
use tokio::{sync::mpsc, time::sleep};
use triage::{Chart, Plan};
use vitals::PatientId;

use super::{charts, health::Health};
use crate::clock::Clock;

/// How long a store that can't be read is left alone.
const READ_PAUSE: Duration = Duration::from_millis(500);

/// Loads charts one after the other, so that silence is judged of patients too who send nothing. One that can't be read keeps nobody
/// waiting: it is tried again when the others are done.
pub(super) async fn load_all(
    store: Arc<dyn Store>,
    plans: Vec<Arc<Plan>>,
    to: mpsc::Sender<(PatientId, Chart)>,
    clock: Clock,
) {
    let mut waiting = plans;
    loop {
        let mut unread = Vec::new();
        for plan in waiting {
            match charts::load(&*store, &plan, clock()).await {
                Ok(chart) => {
                    if to.send((plan.patient().clone(), chart)).await.is_err() {
                        return;
                    }
                }
                Err(_) if to.is_closed() => return,
                Err(error) => {
                    tracing::error!(patient = %plan.patient(), "silence is not judged, a chart can't be loaded yet: {error}");
                    unread.push(plan);
                }
            }
        }
        if unread.is_empty() {
            return;
        }
        waiting = unread;
        sleep(READ_PAUSE).await;
    }
}

/// Reads, again and again until it works: nothing can be judged without.
pub(super) async fn until_read<T, F, Fut>(health: &Health, read: F) -> T
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, StoreError>>,
{
    let mut failed = false;
    loop {
        match read().await {
            Ok(value) => {
                if failed {
                    health.well();
                }
                return value;
            }
            Err(error) => {
                failed = true;
                if health.trouble(&error.to_string()) {
                    tracing::error!("the store can't be read, everything waits: {error}");
                }
                health.judge_alive();
            }
        }
        sleep(READ_PAUSE).await;
    }
}
