//! The one place that reads the wall clock.

use jiff::Timestamp;

/// A kit whose clock is before this has not been told the time since it was switched on (it has no battery for its clock).
pub const CLOCK_EARLIEST: Timestamp = Timestamp::constant(1_767_225_600, 0); // 2026-01-01T00:00:00Z

/// Now, by the kit's clock.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
