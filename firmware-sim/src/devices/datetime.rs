//! Date Time (0x2A08) and Current Time (0x2A2B): year u16 LE, month, day, hour, minute, second; Current Time adds the day of the week,
//! 1/256 s and the reason of the last adjustment. Neither carries a zone.

use jiff::civil::{DateTime, date};

/// Seven bytes of Date Time.
#[must_use]
pub fn date_time(time: DateTime) -> [u8; 7] {
    let [low, high] = time.year().to_le_bytes();
    let small = |part: i8| part.unsigned_abs();
    [low, high, small(time.month()), small(time.day()), small(time.hour()), small(time.minute()), small(time.second())]
}

/// Ten bytes of Current Time, last adjusted by an external reference.
#[must_use]
pub fn current_time(time: DateTime) -> Vec<u8> {
    let weekday = time.weekday().to_monday_one_offset().unsigned_abs();
    [date_time(time).as_slice(), &[weekday, 0, 0b10]].concat()
}

/// What a host has written, from the first seven bytes; `None` if it is no time.
#[must_use]
pub fn read_date_time(bytes: &[u8]) -> Option<DateTime> {
    let [low, high, month, day, hour, minute, second, ..] = *bytes else { return None };
    let year = i16::from_le_bytes([low, high]);
    let small = |part: u8| i8::try_from(part).ok();
    let day = jiff::civil::Date::new(year, small(month)?, small(day)?).ok()?;
    let time = jiff::civil::Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    (day >= date(1582, 1, 1)).then(|| day.to_datetime(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The date of a real A&D UA-651BLE's log (ThingML-BLE): E1 07 01 10 0D 00 18 is 2017-01-16 13:00:24.
    #[test]
    fn a_real_cuffs_date() {
        let bytes = [0xe1, 0x07, 0x01, 0x10, 0x0d, 0x00, 0x18];
        let time = read_date_time(&bytes).unwrap();
        assert_eq!(time.to_string(), "2017-01-16T13:00:24");
        assert_eq!(date_time(time), bytes);
        assert_eq!(current_time(time)[7..], [1, 0, 2], "a Monday");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bytes in
            [&[0xe1, 0x07, 13, 1, 0, 0, 0][..], &[0, 0, 1, 1, 0, 0, 0], &[0xe1, 0x07, 1], &[0xe1, 0x07, 1, 1, 24, 0, 0]]
        {
            assert_eq!(read_date_time(bytes), None, "{bytes:?}");
        }
    }
}
