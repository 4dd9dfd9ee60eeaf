//! A device's times.
//!
//! ```text
//! absolute  century, year, month, day, hour, minute, second, hundredths: 8 bytes of binary-coded decimal digits, local, without a zone
//! relative  u32 in eighths of a millisecond, from any beginning, over its end and on again; all ones: not supported
//! ```

use jiff::{SignedDuration, civil::DateTime};
use vitals::Flag;

use super::mder::Reader;
use crate::DecodeError;

/// A device without a relative time says this.
pub const NO_RELATIVE_TIME: u32 = u32::MAX;
/// Eighths of a millisecond in nanoseconds.
const RELATIVE_NANOSECONDS: i64 = 125_000;

/// What eight bytes of time say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absolute {
    /// A time.
    At(DateTime),
    /// All zeros or all ones.
    NotSet,
    /// No time at all.
    Impossible,
}

impl Absolute {
    /// Reads it.
    ///
    /// # Errors
    /// [`DecodeError::Length`] unless there are eight bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("20601 absolute time", bytes);
        let eight = reader.take(8)?;
        reader.end()?;
        if eight.iter().all(|byte| *byte == 0) || eight.iter().all(|byte| *byte == 0xff) {
            return Ok(Self::NotSet);
        }
        Ok(read(eight).map_or(Self::Impossible, Self::At))
    }

    /// The time, if there is one, and else why not.
    #[must_use]
    pub fn or_flag(self) -> (Option<DateTime>, Option<Flag>) {
        match self {
            Self::At(time) => (Some(time), None),
            Self::NotSet => (None, Some(Flag::CLOCK_NOT_SET)),
            Self::Impossible => (None, Some(Flag::CLOCK_IMPLAUSIBLE)),
        }
    }
}

fn read(eight: &[u8]) -> Option<DateTime> {
    let digits =
        |byte: u8| (byte >> 4 < 10 && byte & 15 < 10).then_some(i16::from(byte >> 4) * 10 + i16::from(byte & 15));
    let all: Vec<i16> = eight.iter().map(|byte| digits(*byte)).collect::<Option<_>>()?;
    let small = |at: usize| i8::try_from(all[at]).expect("two digits");
    let hundredths = i32::from(all[7]) * 10_000_000;
    DateTime::new(all[0] * 100 + all[1], small(2), small(3), small(4), small(5), small(6), hundredths).ok()
}

/// A time as eight bytes.
#[must_use]
pub fn absolute(time: DateTime) -> [u8; 8] {
    let bcd = |number: i32| u8::try_from(number / 10 % 10 * 16 + number % 10).expect("two digits");
    let year = i32::from(time.year());
    let small = [time.month(), time.day(), time.hour(), time.minute(), time.second()].map(|number| bcd(number.into()));
    let [month, day, hour, minute, second] = small;
    [bcd(year / 100), bcd(year % 100), month, day, hour, minute, second, bcd(i32::from(time.millisecond()) / 10)]
}

/// How long before `now` a relative time was, over the end of its count if need be.
#[must_use]
pub fn since(now: u32, then: u32) -> SignedDuration {
    SignedDuration::from_nanos(i64::from(now.wrapping_sub(then)) * RELATIVE_NANOSECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{bytes, hex};

    #[track_caller]
    fn check(hex: &str, wanted: Option<&str>) {
        let read = Absolute::parse(&bytes(hex)).unwrap();
        assert_eq!(read.or_flag().0.map(|time| time.to_string()).as_deref(), wanted);
    }

    #[test]
    fn digits_are_binary_coded_decimals() {
        check("2007120612100000", Some("2007-12-06T12:10:00"));
        check("2026112209000150", Some("2026-11-22T09:00:01.5"));
        check("2007130612100000", None);
        check("200712061a100000", None);
        assert_eq!(Absolute::parse(&[0; 8]), Ok(Absolute::NotSet));
        assert_eq!(Absolute::parse(&[0xff; 8]), Ok(Absolute::NotSet));
        assert!(Absolute::parse(&[0; 7]).is_err() && Absolute::parse(&[0; 9]).is_err());
    }

    #[test]
    fn a_time_is_written_as_it_is_read() {
        let time = DateTime::constant(2026, 11, 22, 9, 0, 1, 500_000_000);
        assert_eq!(hex(&absolute(time)), "2026112209000150");
    }

    #[test]
    fn relative_times_wrap() {
        assert_eq!(since(8_000, 0), SignedDuration::from_secs(1));
        assert_eq!(since(3_999, u32::MAX - 4_000), SignedDuration::from_secs(1));
    }
}
