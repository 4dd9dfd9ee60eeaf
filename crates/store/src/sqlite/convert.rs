//! Between our types and SQLite's: times as nanoseconds since 1970, values as mantissa and scale, names as text.

use std::str::FromStr;

use jiff::Timestamp;
use serde::de::{IntoDeserializer, value};
use sqlx::{Row, sqlite::SqliteRow};
use vitals::{Clock, Decimal, Flag, Unit, Value};

use super::insert::Values;
use crate::StoreError;

/// Digits after the point up to which a value is kept as two numbers; the views know these.
pub(super) const SCALE_MAX: u32 = 9;

/// Nanoseconds since 1970. A time before 1677 or after 2262, which no device measures, is kept as that end.
pub(super) fn nanos(time: Timestamp) -> i64 {
    let nanos = time.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// The time of so many nanoseconds.
pub(super) fn time(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).expect("every i64 of nanoseconds is within a Timestamp's years")
}

/// Pushes mantissa and scale.
pub(super) fn push_value(values: &mut Values, value: Value) {
    let decimal = value.decimal();
    match i64::try_from(decimal.mantissa()) {
        Ok(mantissa) if decimal.scale() <= SCALE_MAX && !(mantissa == 0 && decimal.is_sign_negative()) => {
            values.push(mantissa);
            values.push(i64::from(decimal.scale()));
        }
        _ => {
            values.push(decimal.to_string());
            values.push(0_i64);
        }
    }
}

/// The value of columns `at` (mantissa) and `at + 1` (scale).
pub(super) fn value(row: &SqliteRow, at: usize) -> Result<Value, String> {
    if let Ok(mantissa) = row.try_get::<i64, _>(at) {
        let scale = row.try_get::<i64, _>(at + 1).map_err(|error| error.to_string())?;
        let scale = u32::try_from(scale).ok().filter(|scale| *scale <= SCALE_MAX);
        return Ok(Value::new(mantissa, scale.ok_or_else(|| format!("scale is not 0 to {SCALE_MAX}"))?));
    }
    let text = row.try_get::<&str, _>(at).map_err(|error| error.to_string())?;
    Decimal::from_str(text).map(Value::from).map_err(|error| format!("value {text:?}: {error}"))
}

/// Flags as one text.
pub(super) fn flags(text: &str) -> Result<Vec<Flag>, String> {
    text.split_ascii_whitespace()
        .map(|flag| flag.parse().map_err(|error: vitals::FlagError| error.to_string()))
        .collect()
}

/// The wire name of whose time it is.
pub(super) fn clock_name(clock: Clock) -> &'static str {
    match clock {
        Clock::Device => "device",
        Clock::Corrected => "corrected",
        Clock::Kit => "kit",
    }
}

/// The unit of a UCUM code.
pub(super) fn unit(code: &str) -> Result<Unit, String> {
    named(code)
}

/// A unit variant by its serialized name, as [`Unit`] and [`Clock`] are.
pub(super) fn named<'de, T: serde::Deserialize<'de>>(name: &'de str) -> Result<T, String> {
    let deserializer: value::BorrowedStrDeserializer<'de, value::Error> = value::BorrowedStrDeserializer::new(name);
    T::deserialize(deserializer.into_deserializer()).map_err(|error| error.to_string())
}

/// A JSON column's text, read back.
pub(super) fn json<'de, T: serde::Deserialize<'de>>(
    table: &'static str,
    row: &str,
    text: &'de str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt(table, row, error.to_string()))
}

/// Our own types always become JSON.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our types have text keys and no failing parts")
}

/// A stored text as a type of ours.
pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(
    table: &'static str,
    row: impl ToString,
    text: &str,
) -> Result<T, StoreError> {
    text.parse().map_err(|error: T::Err| corrupt(table, row, error.to_string()))
}

/// Something stored can't be read back.
pub(super) fn corrupt(table: &'static str, row: impl ToString, what: String) -> StoreError {
    StoreError::Corrupt { table, row: row.to_string(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_outside_of_an_i64_become_its_ends() {
        assert_eq!(nanos("9999-12-30T00:00:00Z".parse().unwrap()), i64::MAX);
        assert_eq!(nanos("-009998-01-02T00:00:00Z".parse().unwrap()), i64::MIN);
        assert_eq!(time(nanos("2026-11-22T08:00:01.123456789Z".parse().unwrap())).subsec_nanosecond(), 123_456_789);
        assert!(time(i64::MIN) < time(0) && time(0) < time(i64::MAX));
    }

    #[test]
    fn names_come_back() {
        for clock in [Clock::Device, Clock::Corrected, Clock::Kit] {
            assert_eq!(named::<Clock>(clock_name(clock)).unwrap(), clock);
        }
        for info in vitals::VITALS {
            assert_eq!(unit(info.unit.ucum()).unwrap(), info.unit);
        }
        assert!(unit("furlong").is_err());
    }
}
