//! Elapsed Time (service 0x183F): flags u8 {0 counter, 1 UTC, 2-3 step: 0 is 1 s, 4 zone used, 5 current timeline}; u48 seconds since
//! 2000-01-01; source u8 {0 unknown, 4 by hand, 7 not synchronised}; zone i8. Current Elapsed Time 0x2BF2 adds status u8 {0 has to be set} and
//! capabilities u8; a host writes the nine bytes of a time, with the same flags 0 to 4. This clock keeps local time. (Bluetooth SIG, Elapsed
//! Time Service, as HL7's Personal Health Device guide has it.)

use jiff::{
    SignedDuration,
    civil::{DateTime, date},
};
use uuid::Uuid;

use crate::bluez::gatt::{Characteristic, Service, uuid16};

/// The clock.
pub const CURRENT_ELAPSED_TIME: Uuid = uuid16(0x2bf2);

const CURRENT_TIMELINE: u8 = 1 << 5;
/// The flags 0 to 4 say how the clock counts, and are not the host's to change.
const HOW_IT_COUNTS: u8 = 0b1_1111;
const BY_HAND: u8 = 4;
const NOT_SYNCHRONISED: u8 = 7;

/// The service with the clock.
#[must_use]
pub fn service() -> Service {
    let clock = Characteristic::new(CURRENT_ELAPSED_TIME, &["read", "write"], &[]);
    Service { uuid: uuid16(0x183f), characteristics: vec![clock] }
}

/// Nine bytes of a time.
#[must_use]
pub fn time(at: DateTime, synchronised: bool, older_clock: bool) -> Vec<u8> {
    let flags = if older_clock { 0 } else { CURRENT_TIMELINE };
    let seconds = at.duration_since(date(2000, 1, 1).at(0, 0, 0, 0)).as_secs().unsigned_abs();
    let source = if synchronised { BY_HAND } else { NOT_SYNCHRONISED };
    [&[flags], &seconds.to_le_bytes()[..6], &[source, 0]].concat()
}

/// The value of 0x2BF2.
#[must_use]
pub fn current(shows: DateTime, is_set: bool) -> Vec<u8> {
    [time(shows, is_set, false), vec![u8::from(!is_set), 0]].concat()
}

/// What a host has written; `None` if it is no time, or counts otherwise than this clock.
#[must_use]
pub fn written(bytes: &[u8]) -> Option<DateTime> {
    let [flags, a, b, c, d, e, f, _source, _zone] = *bytes else { return None };
    let seconds = i64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    let time = date(2000, 1, 1).at(0, 0, 0, 0).checked_add(SignedDuration::from_secs(seconds)).ok()?;
    (flags & HOW_IT_COUNTS == 0).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::hex;

    #[test]
    fn a_day_after_the_epoch() {
        let at = date(2000, 1, 2).at(0, 0, 0, 0);
        assert_eq!(hex(&time(at, true, false)), "208051010000000400");
        assert_eq!(hex(&time(at, false, true)), "008051010000000700");
        assert_eq!(hex(&current(at, false)), "2080510100000007000100");
        assert_eq!(written(&[0, 0x80, 0x51, 1, 0, 0, 0, 0, 0]), Some(at));
        assert_eq!(written(&[2, 0x80, 0x51, 1, 0, 0, 0, 0, 0]), None, "UTC");
        assert_eq!(written(&[0, 0x80, 0x51]), None);
    }
}
