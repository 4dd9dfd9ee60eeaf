//! `--since 90d`: a length of time back from now, or a date, or a time.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long before now.
    Ago(SignedDuration),
    /// The beginning of this day, by the clinic's clock.
    Day(civil::Date),
    /// At this time.
    At(Timestamp),
}

impl Since {
    /// The time that it means.
    #[must_use]
    pub fn time(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Ago(length) => now.checked_sub(length).unwrap_or(Timestamp::MIN),
            Self::Day(day) => zone.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or(Timestamp::MIN),
            Self::At(at) => at,
        }
    }

    /// The same of something that happened: of a day, its noon; of today, no later than now.
    #[must_use]
    pub fn happened(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Day(day) => {
                let noon = zone.to_timestamp(day.at(12, 0, 0, 0)).unwrap_or(Timestamp::MIN);
                noon.min(now.max(self.time(now, zone)))
            }
            _ => self.time(now, zone),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        length(text)
            .map(Self::Ago)
            .or_else(|| text.parse().ok().map(Self::At))
            .or_else(|| text.parse().ok().map(Self::Day))
            .ok_or_else(|| format!("found {text:?}, want a length as 90d, 12w or 36h, a date or a time"))
    }
}

/// A length of time: hours, days or weeks.
#[must_use]
pub fn length(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let hours = match unit {
        'h' => 1,
        'd' => 24,
        'w' => 24 * 7,
        _ => return None,
    };
    let count: u32 = text[..text.len() - 1].parse().ok()?;
    Some(SignedDuration::from_hours(i64::from(count).checked_mul(hours)?))
}

/// The same, for an argument.
///
/// # Errors
/// What was found and what was wanted.
pub fn parse_length(text: &str) -> Result<SignedDuration, String> {
    length(text).ok_or_else(|| format!("found {text:?}, want a length as 8h, 7d or 2w"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_days_and_times() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Copenhagen").unwrap();
        for (text, wanted) in [
            ("90d", "2026-08-24T12:00:00Z"),
            ("36h", "2026-11-21T00:00:00Z"),
            ("1w", "2026-11-15T12:00:00Z"),
            ("2026-11-01", "2026-10-31T23:00:00Z"),
            ("2026-11-01T05:00:00Z", "2026-11-01T05:00:00Z"),
        ] {
            assert_eq!(text.parse::<Since>().unwrap().time(now, &zone).to_string(), wanted, "{text}");
        }
        for wrong in ["", "d", "90", "90x", "-3d", "soon", "é"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
    }
}
