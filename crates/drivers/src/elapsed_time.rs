//! Bluetooth Elapsed Time service 0x183F: the clock of the Generic Health Sensor.
//!
//! ```text
//! flags u8: 0 tick counter, 1 UTC, 2-3 steps of 1 s, 100 ms, 1 ms, 100 us, 4 zone used, 5 current timeline
//! u48 steps since 2000-01-01, or since the counter began | source u8: 0 unknown, 1 NTP, 2 GPS, 3 radio, 4 by hand, 5 atomic clock,
//! 6 mobile network, 7 not synchronised | i8 zone and summer time, quarters of an hour
//! 2BF2 read: that, then status u8: 0 has to be set; capabilities u8: 0 summer time, 1 zones
//! ```
//!
//! Without the bit UTC the time is that of the room, which with the zone used is as good as UTC. A tick counter is no clock. A write has to
//! have the server's flags in the bits 0 to 4. Source: Bluetooth SIG Elapsed Time Service, as read in HL7's Personal Health Device guide and
//! the public tests of bluetooth-sig-python.

use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};
use uuid::Uuid;

use crate::{
    DecodeError, DeviceClock,
    gatt::{Fields, uuid16},
};

/// The current time of the device.
pub const CURRENT_ELAPSED_TIME: Uuid = uuid16(0x2bf2);

/// Bytes of a time inside another value.
pub const LEN: usize = 9;

const TICKS: u8 = 1 << 0;
const UTC: u8 = 1 << 1;
const ZONE_USED: u8 = 1 << 4;
const CURRENT_TIMELINE: u8 = 1 << 5;
const HAS_TO_BE_SET: u8 = 1 << 0;

const NOT_SYNCHRONISED: u8 = 7;
/// What the kit says of its own time: it does not know by which way it was told.
const SOURCE_UNKNOWN: u8 = 0;

const EPOCH: DateTime = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
const QUARTER_SECONDS: i32 = 15 * 60;

/// A time as the service has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElapsedTime {
    /// The flags as sent.
    pub flags: u8,
    /// Steps since 2000-01-01, or since the counter began.
    pub value: u64,
    /// By what it was set.
    pub source: u8,
    /// Zone and summer time, in quarters of an hour.
    pub zone_quarters: i8,
}

/// What a device's clock says of itself beside the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// The time.
    pub time: ElapsedTime,
    /// Nobody has set it since it was switched on.
    pub has_to_be_set: bool,
    /// 0 summer time, 1 zones.
    pub capabilities: u8,
}

/// When something was, as far as an elapsed time says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Time of the room where it is known, else of `offset`.
    pub time: DateTime,
    /// How far `time` is from UTC, if that was said.
    pub offset: Option<Offset>,
}

/// Reads a value of 2BF2.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn current(bytes: &[u8]) -> Result<Current, DecodeError> {
    let mut fields = Fields::exact("elapsed time", bytes, LEN + 2)?;
    let time = ElapsedTime::read(&mut fields);
    Ok(Current { time, has_to_be_set: fields.u8() & HAS_TO_BE_SET != 0, capabilities: fields.u8() })
}

impl ElapsedTime {
    /// Takes the nine bytes of a time.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        let flags = fields.u8();
        let value = u64::from(fields.u32()) | u64::from(fields.u16()) << 32;
        Self { flags, value, source: fields.u8(), zone_quarters: fields.u8().cast_signed() }
    }

    /// It counts since something, and is no time.
    #[must_use]
    pub fn is_ticks(self) -> bool {
        self.flags & TICKS != 0
    }

    /// The value is UTC.
    #[must_use]
    pub fn is_utc(self) -> bool {
        self.flags & UTC != 0
    }

    /// The zone was used.
    #[must_use]
    pub fn uses_zone(self) -> bool {
        self.flags & ZONE_USED != 0
    }

    /// The clock has not been set anew since.
    #[must_use]
    pub fn is_on_current_timeline(self) -> bool {
        self.flags & CURRENT_TIMELINE != 0
    }

    /// Nobody has ever told the clock the time.
    #[must_use]
    pub fn is_not_synchronised(self) -> bool {
        self.source == NOT_SYNCHRONISED
    }

    /// Steps a second, and the length of one.
    #[must_use]
    pub fn steps_per_second(self) -> u32 {
        [1, 10, 1000, 10_000][usize::from(self.flags >> 2 & 0b11)]
    }

    fn zone(self) -> Option<Offset> {
        Offset::from_seconds(i32::from(self.zone_quarters) * QUARTER_SECONDS).ok()
    }

    /// The value as a time of day, wherever that is; `None` for a counter, and for one beyond the year 9999.
    #[must_use]
    pub fn value_time(self) -> Option<DateTime> {
        if self.is_ticks() {
            return None;
        }
        let steps = u64::from(self.steps_per_second());
        let seconds = i64::try_from(self.value / steps).ok()?;
        let nanoseconds = i32::try_from(self.value % steps * (1_000_000_000 / steps)).ok()?;
        EPOCH.checked_add(SignedDuration::new(seconds, nanoseconds)).ok()
    }

    /// When it is.
    #[must_use]
    pub fn at(self) -> Option<At> {
        let value = self.value_time()?;
        let zone = if self.uses_zone() { Some(self.zone()?) } else { None };
        match (self.is_utc(), zone) {
            (false, offset) => Some(At { time: value, offset }),
            (true, None) => Some(At { time: value, offset: Some(Offset::UTC) }),
            (true, Some(offset)) => {
                Some(At { time: offset.to_datetime(Offset::UTC.to_timestamp(value).ok()?), offset: Some(offset) })
            }
        }
    }

    /// The value that sets a clock with these flags to `local`, which is `offset` from UTC; `None` for a counter, which can't be set.
    #[must_use]
    pub fn encode(self, local: DateTime, offset: Offset) -> Option<Vec<u8>> {
        if self.is_ticks() {
            return None;
        }
        let time = if self.is_utc() { Offset::UTC.to_datetime(offset.to_timestamp(local).ok()?) } else { local };
        let since = time.duration_since(EPOCH);
        let steps = self.steps_per_second();
        let parts = u64::from(since.subsec_nanos().unsigned_abs()) * u64::from(steps) / 1_000_000_000;
        let value = u64::try_from(since.as_secs()).ok()? * u64::from(steps) + parts;
        let zone = if self.uses_zone() { i8::try_from(offset.seconds() / QUARTER_SECONDS).ok()? } else { 0 };
        let flags = self.flags & !CURRENT_TIMELINE;
        Some([&[flags], &value.to_le_bytes()[..6], &[SOURCE_UNKNOWN, zone.cast_unsigned()]].concat())
    }
}

impl At {
    fn clock(self) -> DeviceClock {
        let zoned = self.offset.and_then(|offset| offset.to_timestamp(self.time).ok());
        zoned.map_or(DeviceClock::Local(self.time), DeviceClock::Zoned)
    }
}

impl Current {
    /// What the device's clock says; `None` for a counter.
    #[must_use]
    pub fn clock(self) -> Option<DeviceClock> {
        if self.time.is_ticks() {
            return None;
        }
        Some(self.time.at().filter(|_| !self.has_to_be_set).map_or(DeviceClock::NotSet, At::clock))
    }

    /// Its zone is used and is not `offset`.
    #[must_use]
    pub fn is_in_another_zone(self, offset: Offset) -> bool {
        self.time.uses_zone() && self.time.zone() != Some(offset)
    }
}

/// How far `local`, the wall clock at `now`, is from UTC.
#[must_use]
pub fn offset_of(local: DateTime, now: Timestamp) -> Option<Offset> {
    let here = TimeZone::UTC.to_timestamp(local).ok()?.duration_since(now);
    Offset::from_seconds(i32::try_from((here.as_millis() + 500).div_euclid(1000)).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{bytes, hex};

    const LOCAL: DateTime = DateTime::constant(2026, 11, 22, 9, 0, 0, 0);

    /// A value of 2BF2 -> what the clock says, and what sets it to 09:00 of winter time in Denmark.
    #[track_caller]
    fn check(read: &str, wanted: &str, written: &str) {
        let read = current(&bytes(read)).unwrap();
        assert_eq!(format!("{:?}", read.clock()), wanted);
        let set = read.time.encode(LOCAL, Offset::constant(1));
        assert_eq!(set.map_or("nothing".to_owned(), |bytes| hex(&bytes)), written);
    }

    #[test]
    fn a_clock_is_local_or_has_its_zone_and_is_set_by_its_own_flags() {
        check("3080510100000004080000", "Some(Zoned(2000-01-01T22:00:00Z))", "10906b953200000004");
        check("2080510100000004000000", "Some(Local(2000-01-02T00:00:00))", "00906b953200000000");
        check("2280510100000004000000", "Some(Zoned(2000-01-02T00:00:00Z))", "02805d953200000000");
        check("3280510100000004080000", "Some(Zoned(2000-01-02T00:00:00Z))", "12805d953200000004");
        check("2880ee3600000004000000", "Some(Local(2000-01-01T01:00:00))", "08802aac97c5000000");
        check("2280510100000004000100", "Some(NotSet)", "02805d953200000000");
        check("0580510100000004000000", "None", "nothing");
        check("22ffffffffffff04000000", "Some(NotSet)", "02805d953200000000");
    }

    #[test]
    fn a_time_keeps_the_zone_it_was_said_in() {
        let at = |hex: &str| ElapsedTime::read(&mut Fields::exact("x", &bytes(hex), LEN).unwrap()).at();
        let time = DateTime::constant(2000, 1, 2, 2, 0, 0, 0);
        assert_eq!(at("328051010000000408"), Some(At { time, offset: Some(Offset::constant(2)) }));
        assert_eq!(at("30a06d010000000408"), Some(At { time, offset: Some(Offset::constant(2)) }));
        assert_eq!(at("20a06d010000000400"), Some(At { time, offset: None }));
        assert_eq!(at("05a06d010000000400"), None);
    }

    #[test]
    fn the_offset_of_the_room_is_to_the_second() {
        let now: Timestamp = "2026-11-22T08:00:00.3Z".parse().unwrap();
        assert_eq!(offset_of(LOCAL, now), Some(Offset::constant(1)));
    }
}
