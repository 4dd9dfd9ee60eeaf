//! What the Bluetooth health profiles share: short UUIDs, fields after flags, the Date Time of 0x2A08, and a session for devices that send
//! finished measurements. All integers are little-endian.

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{Channel, DecodeError, Measured, Output, Session, float};

/// Values that come within this of each other were taken together. Devices send what they have stored back to back, then disconnect.
pub const SITTING_QUIET: SignedDuration = SignedDuration::from_secs(3);

/// A 16-bit UUID on the Bluetooth base UUID.
#[must_use]
pub const fn uuid16(short: u16) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_1000_8000_0080_5f9b_34fb | (short as u128) << 96)
}

/// The 16-bit form of a UUID on the Bluetooth base UUID, else the first 32 bits: enough to name it in a sentence.
#[must_use]
pub fn short(uuid: Uuid) -> u32 {
    uuid.as_fields().0
}

/// A frame whose length has been checked, read from its start.
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Takes exactly `base` bytes, plus the length of each optional field whose bit is set in the first byte.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
    pub fn after_flags(
        what: &'static str,
        bytes: &'a [u8],
        base: usize,
        optional: &[(u8, usize)],
    ) -> Result<(u8, Self), DecodeError> {
        let flags = *bytes.first().ok_or(DecodeError::TooShort { what, found: 0, need: base })?;
        let extra: usize = optional.iter().filter(|(bit, _)| flags & (1 << bit) != 0).map(|(_, len)| len).sum();
        let need = if bytes.len() < base { base } else { base + extra };
        let mut fields = Self::exact(what, bytes, need)?;
        fields.u8();
        Ok((flags, fields))
    }

    /// Takes exactly `len` bytes.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
    pub fn exact(what: &'static str, bytes: &'a [u8], len: usize) -> Result<Self, DecodeError> {
        if bytes.len() < len {
            return Err(DecodeError::TooShort { what, found: bytes.len(), need: len });
        }
        if bytes.len() > len {
            return Err(DecodeError::TooLong { what, found: bytes.len(), most: len });
        }
        Ok(Self { rest: bytes })
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.rest.split_first_chunk().expect("the length was checked against the flags");
        self.rest = rest;
        *taken
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.take())
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    /// Three bytes.
    pub fn u24(&mut self) -> u32 {
        let [low, middle, high] = self.take();
        u32::from_le_bytes([low, middle, high, 0])
    }

    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    /// A 16-bit float.
    pub fn sfloat(&mut self) -> Option<Value> {
        float::sfloat(self.u16())
    }

    /// A 32-bit float.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for a number of more digits than are kept.
    pub fn float(&mut self) -> Result<Option<Value>, DecodeError> {
        float::float(self.u32())
    }

    /// A Date Time. One that is unknown or can't be is no reason to lose the measurement beside it: the time is left out and a flag says so.
    pub fn date_time(&mut self, flags: &mut Vec<Flag>) -> Option<DateTime> {
        let read = date_time(&self.take::<7>());
        let doubt = if read.is_ok() { Flag::CLOCK_NOT_SET } else { Flag::CLOCK_IMPLAUSIBLE };
        let time = read.unwrap_or_default();
        if time.is_none() {
            flags.push(doubt);
        }
        time
    }
}

/// The Date Time of 0x2A08: year, month, day, hour, minute, second, without a zone. A year, month or day of 0 is unknown, and then there is
/// no time.
///
/// # Errors
/// [`DecodeError::Malformed`] for a time that can't be (30 February), [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn date_time(bytes: &[u8]) -> Result<Option<DateTime>, DecodeError> {
    const WHAT: &str = "date time";
    let mut fields = Fields::exact(WHAT, bytes, 7)?;
    let year = fields.u16();
    let [month, day, hour, minute, second] = fields.take();
    let wrong = |field, found: u32, wanted| DecodeError::Malformed { what: WHAT, field, found, wanted };
    let at_most = |field, found: u8, most: u8, wanted| {
        if found > most { Err(wrong(field, found.into(), wanted)) } else { Ok(found.cast_signed()) }
    };
    if year != 0 && !(1582..=9999).contains(&year) {
        return Err(wrong("year", year.into(), "0 or 1582 to 9999"));
    }
    let (month, hour) = (at_most("month", month, 12, "0 to 12")?, at_most("hour", hour, 23, "0 to 23")?);
    let (minute, second) = (at_most("minute", minute, 59, "0 to 59")?, at_most("second", second, 59, "0 to 59")?);
    let day_of_month = at_most("day", day, 31, "0 to 31")?;
    if year == 0 || month == 0 || day == 0 {
        return Ok(None);
    }
    DateTime::new(year.cast_signed(), month, day_of_month, hour, minute, second, 0)
        .map(Some)
        .map_err(|_| wrong("day", day.into(), "a day of that month"))
}

/// A time of devices that count the years from 2000: month, day, hour, minute, second.
///
/// # Errors
/// [`DecodeError::Malformed`] for a time that can't be, or is unknown.
pub fn since_2000(year: u8, [month, day, hour, minute, second]: [u8; 5]) -> Result<DateTime, DecodeError> {
    let [low, high] = (2000 + u16::from(year)).to_le_bytes();
    let (field, found) = if month == 0 { ("month", month) } else { ("day", day) };
    let unknown = DecodeError::Malformed { what: "date time", field, found: found.into(), wanted: "1 or more" };
    date_time(&[low, high, month, day, hour, minute, second])?.ok_or(unknown)
}

/// The flags of the bits that are set, by a table of bit and name.
pub fn named(bits: u32, table: &[(u32, &'static str)]) -> impl Iterator<Item = Flag> {
    table.iter().filter(move |(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| Flag::new(name))
}

/// The user of a shared device, as a flag; 255 is unknown.
#[must_use]
pub fn user(id: u8) -> Option<Flag> {
    (id != u8::MAX).then(|| format!("user_{id}").parse().expect("letters, digits and _"))
}

/// What one value of a characteristic says.
pub type DecodeValue = fn(Uuid, &[u8]) -> Result<Vec<Measured>, DecodeError>;

/// Each frame is a value of the characteristic by itself.
///
/// # Errors
/// As `decode`, for the first frame that is refused.
pub fn decode_values(
    what: &'static str,
    decode: impl Fn(Uuid, &[u8]) -> Result<Vec<Measured>, DecodeError>,
    channel: Channel,
    frames: &[Vec<u8>],
) -> Result<Vec<Measured>, DecodeError> {
    let uuid = characteristic(what, channel)?;
    let all: Result<Vec<_>, _> = frames.iter().map(|frame| decode(uuid, frame)).collect();
    Ok(all?.concat())
}

/// The characteristic of a channel.
///
/// # Errors
/// [`DecodeError::Malformed`] for the line, which these profiles don't have.
pub fn characteristic(what: &'static str, channel: Channel) -> Result<Uuid, DecodeError> {
    match channel {
        Channel::Characteristic(uuid) => Ok(uuid),
        Channel::Line | Channel::Advertisement(_) => {
            Err(DecodeError::Malformed { what, field: "channel", found: 0, wanted: "a characteristic" })
        }
    }
}

/// A characteristic that the profile doesn't have.
#[must_use]
pub fn unknown(what: &'static str, uuid: Uuid, wanted: &'static str) -> DecodeError {
    DecodeError::Malformed { what, field: "characteristic", found: short(uuid), wanted }
}

/// The values that are there, each with the same time and flags.
#[must_use]
pub fn present<const N: usize>(
    values: [(Vital, Option<Value>, Unit); N],
    device_time: Option<DateTime>,
    flags: &[Flag],
) -> Vec<Measured> {
    let there = values.into_iter().filter_map(|(vital, value, unit)| value.map(|value| (vital, value, unit)));
    there
        .map(|(vital, value, unit)| Measured {
            vital,
            value,
            unit,
            device_time,
            device_offset: None,
            flags: flags.to_vec(),
        })
        .collect()
}

/// When what was taken together is complete: [`SITTING_QUIET`] after the last of it.
#[derive(Default)]
pub struct Sitting {
    quiet_at: Option<Timestamp>,
}

impl Sitting {
    /// Something was measured.
    pub fn heard(&mut self, now: Timestamp) {
        self.quiet_at = now.checked_add(SITTING_QUIET).ok();
    }

    /// When it ends.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.quiet_at
    }

    /// Ends it, if there was one.
    pub fn end(&mut self) -> Vec<Output> {
        self.quiet_at.take().map(|_| Output::SittingEnd).into_iter().collect()
    }

    /// Ends it if it is time.
    pub fn end_if_due(&mut self, now: Timestamp) -> Vec<Output> {
        if self.quiet_at.is_some_and(|at| at <= now) { self.end() } else { Vec::new() }
    }
}

/// Measurements, or the refusal of `bytes`.
#[must_use]
pub fn outputs(decoded: Result<Vec<Measured>, DecodeError>, bytes: &[u8]) -> Vec<Output> {
    match decoded {
        Ok(measured) => measured.into_iter().map(Output::Measured).collect(),
        Err(error) => vec![Output::Refused { error, bytes: bytes.to_vec() }],
    }
}

/// A connection to a device that sends finished measurements: each becomes readings as it comes.
pub struct Finished {
    what: &'static str,
    decode: DecodeValue,
    sitting: Sitting,
}

impl Finished {
    /// A session that decodes with `decode`.
    pub fn open(what: &'static str, decode: DecodeValue) -> Box<dyn Session> {
        Box::new(Self { what, decode, sitting: Sitting::default() })
    }
}

impl Session for Finished {
    fn connected(&mut self, _now: Timestamp, _local: DateTime) -> Vec<Output> {
        Vec::new()
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let decoded = characteristic(self.what, channel).and_then(|uuid| (self.decode)(uuid, bytes));
        if decoded.as_ref().is_ok_and(|measured| !measured.is_empty()) {
            self.sitting.heard(now);
        }
        outputs(decoded, bytes)
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        self.sitting.ends_at()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        self.sitting.end_if_due(now)
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        self.sitting.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: [u8; 7], wanted: &str) {
        let got = match date_time(&bytes) {
            Ok(time) => time.map_or("unknown".to_owned(), |time| time.to_string()),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, wanted);
    }

    #[test]
    fn a_date_time_is_known_unknown_or_impossible() {
        check([0xe2, 0x07, 4, 17, 15, 51, 0], "2018-04-17T15:51:00");
        check([0, 0, 0, 0, 18, 26, 32], "unknown");
        check([0xe7, 0x07, 2, 0, 0, 0, 0], "unknown");
        check([0xe7, 0x07, 2, 30, 0, 0, 0], "date time: day is 0x1e, want a day of that month");
        check([0xe7, 0x07, 1, 1, 0, 0, 60], "date time: second is 0x3c, want 0 to 59");
        check([1, 0, 1, 1, 0, 0, 0], "date time: year is 0x01, want 0 or 1582 to 9999");
    }

    #[test]
    fn lengths_are_checked_against_the_flags() {
        let sized = |bytes: &[u8]| Fields::after_flags("x", bytes, 3, &[(0, 2), (2, 1)]).map(|(flags, _)| flags);
        assert_eq!(sized(&[1, 0, 0, 0, 0]), Ok(1));
        assert_eq!(sized(&[0xf8, 0, 0]), Ok(0xf8));
        assert_eq!(sized(&[]).unwrap_err().to_string(), "x: 0 bytes, need at least 3");
        assert_eq!(sized(&[5, 0]).unwrap_err().to_string(), "x: 2 bytes, need at least 3");
        assert_eq!(sized(&[5, 0, 0]).unwrap_err().to_string(), "x: 3 bytes, need at least 6");
        assert_eq!(sized(&[4, 0, 0, 0, 0]).unwrap_err().to_string(), "x: 5 bytes, at most 4 are meant by its flags");
    }

    #[test]
    fn short_uuids_sit_on_the_base() {
        assert_eq!(uuid16(0x2a35).to_string(), "00002a35-0000-1000-8000-00805f9b34fb");
        assert_eq!(short(uuid16(0x2a35)), 0x2a35);
    }
}
