//! Bluetooth Weight Scale service 0x181D.
//!
//! ```text
//! 2A9D measurement. flags u8: 0 pounds and inches, 1 time, 2 user, 3 BMI and height
//! u16 weight x 0.005 kg or 0.01 lb, 0xFFFF unsuccessful | Date Time 7 | user u8, 255 unknown | BMI u16 x 0.1, height u16 x 0.001 m or 0.1 in
//! 2A9E feature u32: 0 time, 1 users, 2 BMI, 3-6 weight resolution, 7-9 height resolution
//! ```
//!
//! The steps are fixed: the resolution in the feature says how finely the device measures, not how it counts. BMI and height are read, and
//! are no vitals. Source: Bluetooth SIG Weight Scale Service 1.0 and the GATT specification supplement.

use jiff::civil::DateTime;
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    DecodeError, Driver, Measured, Transport,
    gatt::{self, Fields, Finished, uuid16},
};

const WHAT: &str = "weight";

/// Measurement.
pub const MEASUREMENT: Uuid = uuid16(0x2a9d);
/// What the device can do.
pub const FEATURE: Uuid = uuid16(0x2a9e);

const IMPERIAL: u8 = 1 << 0;
const TIME: u8 = 1;
const USER: u8 = 2;
const BODY: u8 = 3;
const OPTIONAL: &[(u8, usize)] = &[(TIME, 7), (USER, 1), (BODY, 4)];
const UNSUCCESSFUL: u16 = u16::MAX;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "gatt-weight",
    transport: Transport::Ble { service: uuid16(0x181d), subscribe: &[MEASUREMENT], read: &[FEATURE], names: &[] },
    vitals: &[Vital::Weight],
    devices: &["A&D UC-352BLE", "Beurer BF105", "Beurer BF720"],
    standard: "Bluetooth SIG Weight Scale Service 1.0 (0x181D)",
    open: |_| Finished::open(WHAT, decode),
    decode: |channel, frames| gatt::decode_values(WHAT, decode, channel, frames),
};

/// One value of 2A9D.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// How heavy.
    pub value: Option<Value>,
    /// Kilogram or pound.
    pub unit: Unit,
    /// The device's time.
    pub time: Option<DateTime>,
    /// Body mass index.
    pub bmi: Option<Value>,
    /// In metres or inches.
    pub height: Option<Value>,
    /// The user.
    pub flags: Vec<Flag>,
}

/// Reads a value of 2A9D.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn parse(bytes: &[u8]) -> Result<Weight, DecodeError> {
    let (bits, mut fields) = Fields::after_flags(WHAT, bytes, 3, OPTIONAL)?;
    let has = |bit: u8| bits & (1 << bit) != 0;
    let imperial = bits & IMPERIAL != 0;
    let raw = fields.u16();
    let steps = i64::from(raw);
    let (weight, unit) =
        if imperial { (Value::new(steps, 2), Unit::Pound) } else { (Value::new(steps * 5, 3), Unit::Kilogram) };
    let mut flags = Vec::new();
    let time = if has(TIME) { fields.date_time(&mut flags) } else { None };
    if has(USER) {
        flags.extend(gatt::user(fields.u8()));
    }
    let bmi = has(BODY).then(|| Value::new(fields.u16().into(), 1));
    let height = has(BODY).then(|| Value::new(fields.u16().into(), if imperial { 1 } else { 3 }));
    Ok(Weight { value: (raw != UNSUCCESSFUL).then_some(weight), unit, time, bmi, height, flags })
}

/// One value of 2A9E.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Feature {
    pub time: bool,
    pub users: bool,
    pub bmi: bool,
    /// 0 unknown, 1 to 7 from 0.5 kg to 0.005 kg.
    pub weight_resolution: u8,
    /// 0 unknown, 1 to 3 from 0.01 m to 0.001 m.
    pub height_resolution: u8,
}

/// Reads a value of 2A9E.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn feature(bytes: &[u8]) -> Result<Feature, DecodeError> {
    let bits = Fields::exact("weight scale feature", bytes, 4)?.u32();
    let part = |shift: u32, mask: u32| u8::try_from(bits >> shift & mask).expect("the mask fits a byte");
    Ok(Feature {
        time: bits & 1 != 0,
        users: bits & 1 << 1 != 0,
        bmi: bits & 1 << 2 != 0,
        weight_resolution: part(3, 0b1111),
        height_resolution: part(7, 0b111),
    })
}

fn decode(uuid: Uuid, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    match uuid {
        MEASUREMENT => {
            parse(bytes).map(|read| gatt::present([(Vital::Weight, read.value, read.unit)], read.time, &read.flags))
        }
        FEATURE => feature(bytes).map(|_| Vec::new()),
        other => Err(gatt::unknown(WHAT, other, "0x2a9d or 0x2a9e")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

    #[test]
    fn weights_come_in_steps_of_5_grams_or_a_hundredth_of_a_pound() {
        tape::check(DRIVER, &["00b036"], "weight 70.000 kg");
        tape::check(DRIVER, &["019a3a"], "weight 150.02 [lb_av]");
        tape::check(DRIVER, &["06b036e7070c190e1e2d02"], "weight 70.000 kg 2023-12-25T14:30:45 user_2");
        tape::check(DRIVER, &["04b036ff"], "weight 70.000 kg");
        tape::check(DRIVER, &["02b03600000000081e2d"], "weight 70.000 kg clock_not_set");
        tape::check(DRIVER, &["02b036e707021e081e2d"], "weight 70.000 kg clock_implausible");
        tape::check(DRIVER, &["08b036f500d606"], "weight 70.000 kg");
        tape::check(DRIVER, &["00ffff"], "");
        tape::check(DRIVER, &["0001"], "weight: 2 bytes, need at least 3");
    }

    #[test]
    fn stored_weights_are_one_sitting() {
        let mut tape = Tape::open(DRIVER);
        tape.value(FEATURE, "8f000000").gives("");
        tape.value(MEASUREMENT, "00b036").gives("weight 70.000 kg");
        tape.value(MEASUREMENT, "00b136").gives("weight 70.005 kg");
        tape.wait().gives("end");
        tape.wait().gives("");
        tape.value(MEASUREMENT, "00ffff").gives("");
        tape.closed().gives("");
    }
}
