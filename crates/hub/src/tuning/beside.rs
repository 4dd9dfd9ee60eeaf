//! What judges beside the live work, on threads of its own: the shadows, and the questions of tuning. Each works with the service's runtime, so
//! all of them end before it does: one that still waited for a timer then would panic.

use std::{future::Future, sync::Arc};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use super::jobs::RUNNING_MAX;

/// The shadows' thread, and those of questions.
const PLACES: u32 = 1 + RUNNING_MAX as u32;

/// Gives the places where something judges beside the live work, and ends what is there.
#[derive(Clone)]
pub struct Beside {
    stop: CancellationToken,
    places: Arc<Semaphore>,
}

/// A place, until this is dropped.
pub struct Place {
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Beside {
    /// Nothing judges yet; all of it ends with `stop`.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, places: Arc::new(Semaphore::new(PLACES as usize)) }
    }

    /// Waits for a place; none is given any more when all is to end.
    pub async fn place(&self) -> Option<Place> {
        let permit = Arc::clone(&self.places).acquire_owned().await.ok()?;
        (!self.stop.is_cancelled()).then(|| Place { stop: self.stop.clone(), _permit: permit })
    }

    /// Ends all of it; see [`ended`](Self::ended).
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until every place is free.
    pub async fn ended(&self) {
        // Nobody closes the semaphore.
        let _ = self.places.acquire_many(PLACES).await;
    }
}

impl Place {
    /// Does this on the thread that asks, until it is done; none if all is to end before.
    pub fn block_on<T>(&self, runtime: &Handle, work: impl Future<Output = T>) -> Option<T> {
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => None,
                done = work => Some(done),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{runtime::Builder, time::sleep};

    use super::*;

    #[test]
    fn what_waits_for_a_timer_ends_before_the_runtime_does() {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let beside = Beside::new(CancellationToken::new());
        let place = runtime.block_on(beside.place()).unwrap();
        let handle = runtime.handle().clone();
        let judging = std::thread::spawn(move || {
            place.block_on(&handle, async {
                loop {
                    sleep(Duration::from_millis(1)).await;
                }
            })
        });
        beside.stop();
        runtime.block_on(beside.ended());
        drop(runtime);
        let ended: Result<Option<()>, _> = judging.join();
        assert!(matches!(ended, Ok(None)), "it has panicked");
    }

    #[tokio::test]
    async fn nothing_begins_when_all_is_to_end() {
        let stop = CancellationToken::new();
        let beside = Beside::new(stop.child_token());
        assert!(beside.place().await.is_some());
        stop.cancel();
        assert!(beside.place().await.is_none());
        beside.ended().await;
    }
}
