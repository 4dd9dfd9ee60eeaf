//! Reading for the judge, however long the store can't be read.

use std::{future::Future, time::Duration};

use store::StoreError;
use tokio::time::sleep;

use super::health::Health;

/// How long a store that can't be read is left alone.
pub(super) const READ_PAUSE: Duration = Duration::from_millis(500);

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
