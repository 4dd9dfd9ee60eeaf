//! Values of the clocks that a Bluetooth device may have.

use drivers::{current_time, elapsed_time};

use super::*;

pub fn current(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let read = current_time::current_time(bytes)?;
    // a time of which a part is unknown is no time
    let said = read.time.map_or_else(|| format!("0000-00-00T{}", read.time_of_day), |time| time.to_string());
    Ok(Facts::from([
        ("datetime", json!(said)),
        ("dow", json!(read.day_of_week)),
        ("fractions256", json!(read.fractions)),
        ("adjust", json!(read.reasons)),
    ]))
}

pub fn elapsed(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let read = elapsed_time::current(bytes)?;
    let time = read.time;
    Ok(Facts::from([
        ("value", json!(time.value)),
        ("tick", json!(time.is_ticks())),
        ("utc", json!(time.is_utc())),
        ("res", json!(1.0 / f64::from(time.steps_per_second()))),
        ("tz_used", json!(time.uses_zone())),
        ("tz_offset_15min", json!(time.zone_quarters)),
        ("current_timeline", json!(time.is_on_current_timeline())),
        ("source", json!(time.source)),
        ("iso", json!(time.value_time().map(|time| time.to_string()))),
        ("needs_set", json!(read.has_to_be_set)),
        ("capabilities", json!(read.capabilities)),
    ]))
}
