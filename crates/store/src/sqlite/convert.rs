//! Between our values and SQLite's columns; what both databases have in common is in `crate::convert`.

use std::str::FromStr;

use sqlx::{Row, sqlite::SqliteRow};
use vitals::{Decimal, Value};

use super::insert::Values;
pub(super) use crate::convert::{
    SCALE_MAX, clock_name, corrupt, flags, json, name_of, named, nanos, parsed, time, to_json, unit,
};

/// Pushes mantissa and scale.
pub(super) fn push_value(values: &mut Values<'_>, value: Value) -> Result<(), rusqlite::Error> {
    let decimal = value.decimal();
    match i64::try_from(decimal.mantissa()) {
        Ok(mantissa) if decimal.scale() <= SCALE_MAX && !(mantissa == 0 && decimal.is_sign_negative()) => {
            values.push(&[&mantissa, &decimal.scale()])
        }
        _ => values.push(&[&decimal.to_string(), &0]),
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
