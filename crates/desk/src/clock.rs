//! The one place where the desk reads the wall clock.

use jiff::Timestamp;

/// What time it is.
#[allow(
    clippy::disallowed_methods,
    reason = "the desk's only reading of the clock: ages, sessions and the live banner need it"
)]
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}
