//! The one place of this crate that reads the wall clock.

use jiff::Timestamp;

/// Now, by the hub's clock.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the crate's one reading of the wall clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
