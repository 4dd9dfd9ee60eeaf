//! Bluetooth Current Time service 0x1805, and the Date Time that other services have by itself.
//!
//! ```text
//! 2A2B current time 10: Date Time 7 | day of week u8, 1 Monday to 7 Sunday, 0 unknown | fractions u8 / 256 s | reasons u8
//!      reasons of the last change: 0 by hand, 1 by a reference, 2 another zone, 3 summer time
//! 2A08 Date Time 7, see the file `gatt.rs`
//! ```
//!
//! Both are local time of the room, without a zone. A clock whose date is unknown has not been set. Source: Bluetooth SIG Current Time Service 1.1 and the GATT specification supplement.

use jiff::civil::{DateTime, Time};
use uuid::Uuid;

use crate::{
    DecodeError, DeviceClock,
    gatt::{self, Fields, uuid16},
};

const WHAT: &str = "current time";

/// Current time.
pub const CURRENT_TIME: Uuid = uuid16(0x2a2b);
/// Date and time alone.
pub const DATE_TIME: Uuid = uuid16(0x2a08);

/// The clock was changed by hand: what a device is told when the kit sets its clock. It is what weliem/blessed writes, with which many
/// real devices have been set.
const BY_HAND: u8 = 1 << 0;

/// One value of 2A2B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentTime {
    /// Local time to the second; `None` if its date is unknown.
    pub time: Option<DateTime>,
    /// The time of day, which a clock without a date has too.
    pub time_of_day: Time,
    /// 1 Monday to 7 Sunday, 0 unknown.
    pub day_of_week: u8,
    /// Parts of 256 of a second.
    pub fractions: u8,
    /// Why it was changed the last time, as bits.
    pub reasons: u8,
}

/// Reads a value of 2A2B.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] for a time that can't be.
pub fn current_time(bytes: &[u8]) -> Result<CurrentTime, DecodeError> {
    let mut rest = Fields::exact(WHAT, bytes, 10)?;
    let time = gatt::date_time(&bytes[..7])?;
    rest.u32();
    let [hour, minute, second] = [rest.u8(), rest.u8(), rest.u8()].map(u8::cast_signed);
    let time_of_day = Time::new(hour, minute, second, 0).expect("the date time was checked");
    let day_of_week = rest.u8();
    if day_of_week > 7 {
        let (field, found, wanted) = ("day of the week", day_of_week.into(), "0 to 7");
        return Err(DecodeError::Malformed { what: "date time", field, found, wanted });
    }
    Ok(CurrentTime { time, time_of_day, day_of_week, fractions: rest.u8(), reasons: rest.u8() })
}

impl CurrentTime {
    /// What the device's clock says.
    #[must_use]
    pub fn clock(&self) -> DeviceClock {
        let nanoseconds = i32::from(self.fractions) * (1_000_000_000 / 256);
        let exact = |time: DateTime| time.with().subsec_nanosecond(nanoseconds).build();
        self.time.and_then(|time| exact(time).ok()).map_or(DeviceClock::NotSet, DeviceClock::Local)
    }
}

/// What the device's clock says, by a value of 2A08.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] for a time that can't be.
pub fn date_time_clock(bytes: &[u8]) -> Result<DeviceClock, DecodeError> {
    Ok(gatt::date_time(bytes)?.map_or(DeviceClock::NotSet, DeviceClock::Local))
}

/// The value that sets 2A08.
#[must_use]
pub fn encode_date_time(local: DateTime) -> Vec<u8> {
    let [low, high] = local.year().to_le_bytes();
    let rest = [local.month(), local.day(), local.hour(), local.minute(), local.second()].map(i8::cast_unsigned);
    [&[low, high], &rest[..]].concat()
}

/// The value that sets 2A2B.
#[must_use]
pub fn encode(local: DateTime) -> Vec<u8> {
    let weekday = local.weekday().to_monday_one_offset().cast_unsigned();
    let fractions = u8::try_from(local.subsec_nanosecond() / (1_000_000_000 / 256)).unwrap_or(u8::MAX);
    [encode_date_time(local), vec![weekday, fractions, BY_HAND]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{bytes, hex};

    #[track_caller]
    fn check(hex: &str, wanted: &str) {
        let said = current_time(&bytes(hex)).map(|read| format!("{:?}", read.clock()));
        assert_eq!(said.unwrap_or_else(|error| error.to_string()), wanted);
    }

    #[test]
    fn a_current_time_is_local_and_may_be_unknown() {
        check("e907010f0e1e2d038001", "Local(2025-01-15T14:30:45.5)");
        check("000000000c1e00010000", "NotSet");
        check("e907010f0e1e2d0300", "current time: 9 bytes, need at least 10");
        check("0f270c1f173b3b07ff0f", "Local(9999-12-31T23:59:59.99609375)");
        check("e9070101000000080000", "date time: day of the week is 0x08, want 0 to 7");
        check("e9070101180000010000", "date time: hour is 0x18, want 0 to 23");
        assert_eq!(current_time(&bytes("000000000c1e00010000")).unwrap().time_of_day.to_string(), "12:30:00");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let local = DateTime::constant(2026, 11, 22, 9, 0, 5, 500_000_000);
        assert_eq!(hex(&encode(local)), "ea070b16090005078001");
        assert_eq!(current_time(&encode(local)).unwrap().clock(), DeviceClock::Local(local));
        let whole = DateTime::constant(2026, 11, 22, 9, 0, 5, 0);
        assert_eq!(date_time_clock(&encode_date_time(whole)), Ok(DeviceClock::Local(whole)));
    }
}
