//! Bluetooth Blood Pressure service 0x1810: cuffs such as A&D UA-651BLE.
//!
//! ```text
//! 2A35 measurement, 2A36 intermediate cuff pressure (same layout; the first pressure is the cuff's, the other two mean nothing)
//! flags u8: 0 kPa, 1 time, 2 pulse, 3 user, 4 status
//! SFLOAT systolic, diastolic, mean | Date Time 7 | SFLOAT pulse | user u8, 255 unknown | status u16
//! status: 0 body movement, 1 cuff loose, 2 irregular pulse, 3-4 pulse range (1 above, 2 below), 5 improper position
//! ```
//!
//! The pressure of a cuff that is still being let down is nobody's blood pressure: 2A36 is checked, and gives no reading. Some Beurer cuffs
//! send a user that their flags don't announce; their frames are refused as too long, because read by the flags they give absurd numbers.
//! Source: Bluetooth SIG Blood Pressure Service 1.0 and the GATT specification supplement.

use jiff::civil::DateTime;
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    DecodeError, Driver, Measured, Transport,
    gatt::{self, Fields, Finished, uuid16},
};

const WHAT: &str = "blood pressure";

/// Measurement.
pub const MEASUREMENT: Uuid = uuid16(0x2a35);
/// Intermediate cuff pressure.
pub const INTERMEDIATE_CUFF: Uuid = uuid16(0x2a36);
/// What the device can do.
pub const FEATURE: Uuid = uuid16(0x2a49);

const KPA: u8 = 1 << 0;
const TIME: u8 = 1;
const PULSE: u8 = 2;
const USER: u8 = 3;
const STATUS: u8 = 4;
const OPTIONAL: &[(u8, usize)] = &[(TIME, 7), (PULSE, 2), (USER, 1), (STATUS, 2)];

const STATUS_FLAGS: &[(u32, &str)] =
    &[(0, "body_movement"), (1, "cuff_loose"), (2, "irregular_pulse"), (5, "improper_position")];

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "gatt-blood-pressure",
    transport: Transport::Ble { service: uuid16(0x1810), subscribe: &[MEASUREMENT], read: &[], names: &[] },
    vitals: &[Vital::Systolic, Vital::Diastolic, Vital::MeanPressure, Vital::Pulse],
    devices: &["A&D UA-651BLE", "Medisana BU5xx"],
    standard: "Bluetooth SIG Blood Pressure Service 1.0 (0x1810)",
    open: |_| Finished::open(WHAT, decode),
    decode: |channel, frames| gatt::decode_values(WHAT, decode, channel, frames),
};

/// One value of 2A35 or 2A36.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressures {
    /// mmHg or kPa.
    pub unit: Unit,
    /// Systolic, diastolic, mean; in 2A36 the first is the cuff's and the others mean nothing.
    pub pressures: [Option<Value>; 3],
    /// The device's time.
    pub time: Option<DateTime>,
    /// Beats a minute.
    pub pulse: Option<Value>,
    /// Status bits and user.
    pub flags: Vec<Flag>,
}

/// Reads a value of 2A35 or 2A36.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn parse(bytes: &[u8]) -> Result<Pressures, DecodeError> {
    let (bits, mut fields) = Fields::after_flags(WHAT, bytes, 7, OPTIONAL)?;
    let has = |bit: u8| bits & (1 << bit) != 0;
    let unit = if bits & KPA == 0 { Unit::MillimetreMercury } else { Unit::Kilopascal };
    let pressures = [fields.sfloat(), fields.sfloat(), fields.sfloat()];
    let mut flags = Vec::new();
    let time = if has(TIME) { fields.date_time(&mut flags) } else { None };
    let pulse = if has(PULSE) { fields.sfloat() } else { None };
    if has(USER) {
        flags.extend(gatt::user(fields.u8()));
    }
    if has(STATUS) {
        flags.extend(status_flags(fields.u16()));
    }
    Ok(Pressures { unit, pressures, time, pulse, flags })
}

fn status_flags(status: u16) -> impl Iterator<Item = Flag> {
    let range = match status >> 3 & 0b11 {
        1 => Some(Flag::new("pulse_above_range")),
        2 => Some(Flag::new("pulse_below_range")),
        _ => None,
    };
    gatt::named(status.into(), STATUS_FLAGS).chain(range)
}

fn decode(uuid: Uuid, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    match uuid {
        MEASUREMENT => parse(bytes).map(measured),
        INTERMEDIATE_CUFF => parse(bytes).map(|_| Vec::new()),
        FEATURE => Fields::exact(WHAT, bytes, 2).map(|_| Vec::new()),
        other => Err(gatt::unknown(WHAT, other, "0x2a35, 0x2a36 or 0x2a49")),
    }
}

fn measured(read: Pressures) -> Vec<Measured> {
    let [systolic, diastolic, mean] = read.pressures;
    let values = [
        (Vital::Systolic, systolic, read.unit),
        (Vital::Diastolic, diastolic, read.unit),
        (Vital::MeanPressure, mean, read.unit),
        (Vital::Pulse, read.pulse, Unit::PerMinute),
    ];
    gatt::present(values, read.time, &read.flags)
}

#[cfg(test)]
mod tests {
    use crate::tape;

    #[test]
    fn a_measurement_gives_its_pressures_and_pulse() {
        tape::check(
            super::DRIVER,
            &["1686004d006400e10701100d00183d000400"],
            "systolic 134 mm[Hg] 2017-01-16T13:00:24 irregular_pulse; diastolic 77 mm[Hg] 2017-01-16T13:00:24 irregular_pulse; \
             mean_pressure 100 mm[Hg] 2017-01-16T13:00:24 irregular_pulse; pulse 61 /min 2017-01-16T13:00:24 irregular_pulse",
        );
    }

    #[test]
    fn kilopascals_keep_their_unit_and_digits() {
        tape::check(
            super::DRIVER,
            &["00bdf00b009ff0"],
            "systolic 18.9 mm[Hg]; diastolic 11 mm[Hg]; mean_pressure 15.9 mm[Hg]",
        );
        tape::check(super::DRIVER, &["09bdf00b00ff0703"], "systolic 18.9 kPa user_3; diastolic 11 kPa user_3");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        tape::check(super::DRIVER, &["0102030405"], "blood pressure: 5 bytes, need at least 7");
        tape::check(
            super::DRIVER,
            &["56710049000000ea07080b1438000041010000"],
            "blood pressure: 19 bytes, at most 18 are meant by its flags",
        );
    }

    #[test]
    fn an_impossible_time_is_left_out_and_said() {
        tape::check(
            super::DRIVER,
            &["02780050006000e707021e000000"],
            "systolic 120 mm[Hg] clock_implausible; \
             diastolic 80 mm[Hg] clock_implausible; mean_pressure 96 mm[Hg] clock_implausible",
        );
    }
}
