//! What both databases keep in the same form: times as nanoseconds since 1970, values as mantissa and scale, names as text, our types as JSON.

use std::str::FromStr;

use jiff::Timestamp;
use serde::de::{IntoDeserializer, value};
use triage::State;
use vitals::{Clock, Flag, Unit};

use crate::StoreError;

/// Digits after the point up to which a value is kept as two numbers; the views know these.
pub(crate) const SCALE_MAX: u32 = 9;

/// Nanoseconds since 1970. A time before 1677 or after 2262, which no device measures, is kept as that end.
pub(crate) fn nanos(time: Timestamp) -> i64 {
    let nanos = time.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// The time of so many nanoseconds, without a division of 128 bits.
pub(crate) fn time(nanos: i64) -> Timestamp {
    let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    let rest = i32::try_from(rest).expect("less than a billion");
    Timestamp::new(seconds, rest).expect("every i64 of nanoseconds is within a Timestamp's years")
}

/// Flags as one text.
pub(crate) fn flags(text: &str) -> Result<Vec<Flag>, String> {
    text.split_ascii_whitespace()
        .map(|flag| flag.parse().map_err(|error: vitals::FlagError| error.to_string()))
        .collect()
}

/// The wire name of whose time it is.
pub(crate) fn clock_name(clock: Clock) -> &'static str {
    match clock {
        Clock::Device => "device",
        Clock::Corrected => "corrected",
        Clock::Kit => "kit",
    }
}

/// The unit of a UCUM code.
pub(crate) fn unit(code: &str) -> Result<Unit, String> {
    named(code)
}

/// A unit variant by its serialized name, as [`Unit`] and [`Clock`] are.
pub(crate) fn named<'de, T: serde::Deserialize<'de>>(name: &'de str) -> Result<T, String> {
    let deserializer: value::BorrowedStrDeserializer<'de, value::Error> = value::BorrowedStrDeserializer::new(name);
    T::deserialize(deserializer.into_deserializer()).map_err(|error| error.to_string())
}

/// The name that a plain variant has in JSON.
pub(crate) fn name_of(variant: &impl serde::Serialize) -> String {
    to_json(variant).trim_matches('"').to_owned()
}

/// A JSON column's text, read back.
pub(crate) fn json<'de, T: serde::Deserialize<'de>>(
    table: &'static str,
    row: &str,
    text: &'de str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt(table, row, error.to_string()))
}

/// Our own types always become JSON.
pub(crate) fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("our types have text keys and no failing parts")
}

/// A stored text as a type of ours.
pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(
    table: &'static str,
    row: impl ToString,
    text: &str,
) -> Result<T, StoreError> {
    text.parse().map_err(|error: T::Err| corrupt(table, row, error.to_string()))
}

/// Something stored can't be read back.
pub(crate) fn corrupt(table: &'static str, row: impl ToString, what: String) -> StoreError {
    StoreError::Corrupt { table, row: row.to_string(), what }
}

/// The states of a command in their order, each between two spaces.
pub(crate) const PROGRESS_IN_ORDER: &str = " waiting taken expired failed done read ";

/// Is a command (`c`) for somebody who has its kit now? One that names nobody is for whoever had the kit when it was asked.
pub(crate) const IS_FOR_ITS_KIT: &str = "\
EXISTS (SELECT 1 FROM kit k WHERE k.id = c.kit AND CASE WHEN c.patient IS NULL THEN k.patient IS NULL OR k.since <= c.issued_at
ELSE c.patient = coalesce(k.patient, '') OR replace(k.patients, '\"' || c.patient || '\"', '') <> k.patients END)";

/// The name of an alert's state in its column.
pub(crate) fn state_name(state: &State) -> &'static str {
    match state {
        State::Open => "open",
        State::Acknowledged { .. } => "acknowledged",
        State::Eased { .. } => "eased",
        State::Closed { .. } => "closed",
    }
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
        for nanos in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(time(nanos).as_nanosecond(), i128::from(nanos));
        }
    }

    #[test]
    fn the_order_in_sql_is_that_of_the_type() {
        let names: Vec<_> = PROGRESS_IN_ORDER.split_whitespace().collect();
        assert_eq!(names, crate::Progress::ALL.map(crate::Progress::name));
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
