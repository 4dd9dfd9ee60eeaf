//! The one place of this crate that reads the wall clock.

use std::sync::Arc;

use jiff::Timestamp;

/// What is asked for the time: the wall clock, or a test's.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The hub's clock.
#[must_use]
pub fn wall() -> Clock {
    Arc::new(now)
}

/// Now, by the hub's clock.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the crate's one reading of the wall clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
