//! Bluetooth Glucose service 0x1808: blood sugar meters.
//!
//! ```text
//! 2A18 measurement. flags u8: 0 time offset, 1 concentration with type and location, 2 mol/L instead of kg/L, 3 status, 4 a context follows
//! number u16, base time 7 | offset i16, minutes | SFLOAT concentration, type (low 4 bits) and location (high 4 bits) | status u16
//! 2A34 context. flags u8: 0 carbohydrate, 1 meal, 2 tester and health, 3 exercise, 4 medication, 5 its amount in L instead of kg,
//!      6 HbA1c, 7 more flags
//! number u16 | more flags u8 | carbohydrate u8, SFLOAT kg | meal u8 | tester (low 4 bits) and health (high 4 bits)
//!      | seconds u16, intensity u8 % | medication u8, SFLOAT | SFLOAT %
//! 2A51 feature u16: which bits of the status the meter can set
//! ```
//!
//! A meter stores, and tells only what it is asked for over the record access control point, so `from_storage` would say nothing, and is set
//! only on a record that has no time of its own. A person's time is the base time plus the offset: the base only ever runs. A context comes after its measurement and has its number;
//! what it says becomes flags of the reading, which waits for it. A measurement of control solution is of nobody's blood, and is refused.
//! kg/L become mg/dL and mol/L become mmol/L by moving the decimal point. Source: Bluetooth SIG Glucose Service 1.0.1 and the GATT
//! specification supplement.

mod context;
mod meter;

use jiff::{SignedDuration, civil::DateTime};
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    DecodeError, Driver, Measured, Transport,
    gatt::{self, Fields, uuid16},
    racp::{Answer, CONTROL_POINT},
};

pub use context::Context;

const WHAT: &str = "glucose";

/// Measurement.
pub const MEASUREMENT: Uuid = uuid16(0x2a18);
/// What was said beside a measurement.
pub const CONTEXT: Uuid = uuid16(0x2a34);
/// What the meter can do.
pub const FEATURE: Uuid = uuid16(0x2a51);

const OFFSET: u8 = 0;
const CONCENTRATION: u8 = 1;
const MOLES: u8 = 1 << 2;
const STATUS: u8 = 3;
const CONTEXT_FOLLOWS: u8 = 1 << 4;
const OPTIONAL: &[(u8, usize)] = &[(OFFSET, 2), (CONCENTRATION, 3), (STATUS, 2)];

/// Offsets that say that the time is too far from the base.
const OFFSET_BEYOND: [i16; 2] = [i16::MIN, i16::MAX];

/// The type, and the location, of a measurement of the meter and not of a person.
pub const CONTROL_SOLUTION: Flag = Flag::new("control_solution");
const CONTROL_TYPE: u8 = 10;
const CONTROL_LOCATION: u8 = 4;

/// Bits of the status, and what they say.
pub const STATUS_FLAGS: &[(u32, &str)] = &[
    (0, "low_battery"),
    (1, "sensor_malfunction"),
    (2, "sample_insufficient"),
    (3, "strip_insertion_error"),
    (4, "strip_type_incorrect"),
    (5, "above_device_range"),
    (6, "below_device_range"),
    (7, "sensor_too_warm"),
    (8, "sensor_too_cold"),
    (9, "read_interrupted"),
    (10, "device_fault"),
    (11, "time_fault"),
];

/// What was measured in, from 1.
const SPECIMENS: [&str; 9] = [
    "specimen_capillary_blood",
    "specimen_capillary_plasma",
    "specimen_venous_blood",
    "specimen_venous_plasma",
    "specimen_arterial_blood",
    "specimen_arterial_plasma",
    "specimen_blood",
    "specimen_plasma",
    "specimen_interstitial_fluid",
];

/// Where it was taken, from 1.
const SITES: [&str; 3] = ["site_finger", "site_alternate", "site_earlobe"];

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "gatt-glucose",
    transport: Transport::Ble {
        service: uuid16(0x1808),
        subscribe: &[MEASUREMENT, CONTEXT, CONTROL_POINT],
        read: &[FEATURE],
        names: &[],
    },
    vitals: &[Vital::Glucose],
    devices: &["Accu-Chek Guide"],
    standard: "Bluetooth SIG Glucose Service 1.0.1 (0x1808)",
    open: |_| Box::new(meter::Meter::default()),
    decode: |channel, frames| gatt::decode_values(WHAT, decode, channel, frames),
};

/// One value of 2A18.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glucose {
    /// Its number in the meter.
    pub number: u16,
    /// The meter's clock, that is never set back or forth.
    pub base: Option<DateTime>,
    /// Minutes from that to the person's time.
    pub offset_minutes: Option<i16>,
    /// The person's time.
    pub time: Option<DateTime>,
    /// As it was sent, in kg/L or mol/L.
    pub concentration: Option<Value>,
    /// Is that mol/L?
    pub moles: bool,
    /// Type and location, as sent.
    pub specimen: Option<(u8, u8)>,
    /// Does a context follow?
    pub context_follows: bool,
    /// Status, type and location.
    pub flags: Vec<Flag>,
}

impl Glucose {
    /// Reads a value of 2A18.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (bits, mut fields) = Fields::after_flags(WHAT, bytes, 10, OPTIONAL)?;
        let has = |bit: u8| bits & (1 << bit) != 0;
        let mut flags = Vec::new();
        let number = fields.u16();
        let base = fields.date_time(&mut flags);
        let offset_minutes = has(OFFSET).then(|| fields.u16().cast_signed());
        let concentration = if has(CONCENTRATION) { fields.sfloat() } else { None };
        let specimen = has(CONCENTRATION).then(|| fields.u8()).map(|both| (both & 0x0f, both >> 4));
        let status = if has(STATUS) { fields.u16() } else { 0 };
        let time = placed(base, offset_minutes, &mut flags);
        flags.extend(gatt::named(status.into(), STATUS_FLAGS));
        flags.extend(specimen.into_iter().flat_map(specimen_flags));
        let (moles, context_follows) = (bits & MOLES != 0, bits & CONTEXT_FOLLOWS != 0);
        Ok(Self { number, base, offset_minutes, time, concentration, moles, specimen, context_follows, flags })
    }

    /// Is it of a person's blood?
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] where it is of the meter's own solution.
    pub fn check_person(&self) -> Result<(), DecodeError> {
        if !self.flags.contains(&CONTROL_SOLUTION) {
            return Ok(());
        }
        let (kind, location) = self.specimen.unwrap_or_default();
        let (field, found) = ("type and location", u32::from(location << 4 | kind));
        let wanted = "a person's blood: it was the meter's control solution";
        Err(DecodeError::Malformed { what: WHAT, field, found, wanted })
    }

    fn measured(&self) -> Vec<Measured> {
        let (unit, places) = if self.moles { (Unit::MillimolePerLitre, 3) } else { (Unit::MilligramPerDecilitre, 5) };
        let value = self.concentration.map(|value| moved(value, places));
        gatt::present([(Vital::Glucose, value, unit)], self.time, &self.flags)
    }
}

/// The base time and the offset together; one that can't be is left out and said.
fn placed(base: Option<DateTime>, offset: Option<i16>, flags: &mut Vec<Flag>) -> Option<DateTime> {
    let Some(minutes) = offset else { return base };
    let time = base.filter(|_| !OFFSET_BEYOND.contains(&minutes));
    let time = time.and_then(|base| base.checked_add(SignedDuration::from_mins(minutes.into())).ok());
    if base.is_some() && time.is_none() {
        flags.push(Flag::CLOCK_IMPLAUSIBLE);
    }
    time
}

fn specimen_flags((kind, location): (u8, u8)) -> impl Iterator<Item = Flag> {
    let named =
        |names: &[&'static str], code: u8| names.get(usize::from(code).checked_sub(1)?).map(|name| Flag::new(name));
    let control = (kind == CONTROL_TYPE || location == CONTROL_LOCATION).then_some(CONTROL_SOLUTION);
    [named(&SPECIMENS, kind), named(&SITES, location), control].into_iter().flatten()
}

/// The number with its decimal point so many places to the right: exact, and with the digits it was sent with.
fn moved(value: Value, places: u32) -> Value {
    let mut number = value.decimal();
    let scale = number.scale();
    let more = places.saturating_sub(scale);
    if number.set_scale(scale.saturating_sub(places)).is_err() {
        return value;
    }
    (0..more).fold(number, |number, _| number * vitals::Decimal::TEN).into()
}

/// Reads a value of 2A51: which bits of the status the meter can set.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn feature(bytes: &[u8]) -> Result<u16, DecodeError> {
    Ok(Fields::exact("glucose feature", bytes, 2)?.u16())
}

fn decode(uuid: Uuid, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    match uuid {
        MEASUREMENT => {
            let read = Glucose::parse(bytes)?;
            read.check_person().map(|()| read.measured())
        }
        CONTEXT => Context::parse(bytes).map(|_| Vec::new()),
        FEATURE => feature(bytes).map(|_| Vec::new()),
        CONTROL_POINT => Answer::parse(bytes).map(|_| Vec::new()),
        other => Err(gatt::unknown(WHAT, other, "0x2a18, 0x2a34, 0x2a51 or 0x2a52")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape;

    #[test]
    fn concentrations_move_their_decimal_point_and_keep_their_digits() {
        tape::check(
            DRIVER,
            &["030100e307021b0b0a1efbff5ab011"],
            "glucose 90 mg/dL 2019-02-27T11:05:30 specimen_capillary_blood site_finger",
        );
        tape::check(
            DRIVER,
            &["060100e307021b0b0a1e38c011"],
            "glucose 5.6 mmol/L 2019-02-27T11:10:30 specimen_capillary_blood site_finger",
        );
        tape::check(
            DRIVER,
            &["022a00e807030f0e1e2d788012"],
            "glucose 0.120 mg/dL 2024-03-15T14:30:45 specimen_capillary_plasma site_finger",
        );
        tape::check(
            DRIVER,
            &["0a0100e307021b0b0a1e1e00000501"],
            "glucose 3000000 mg/dL 2019-02-27T11:10:30 low_battery sample_insufficient sensor_too_cold",
        );
        tape::check(DRIVER, &["002a00e807030f0e1e2d", "022a00e807030f0e1e2dff0711"], "");
        tape::check(DRIVER, &["012a00e807030f0e1e2d05"], "glucose: 11 bytes, need at least 12");
    }

    #[test]
    fn every_concentration_that_can_be_sent_moves_exactly() {
        for exponent in 0..16_u16 {
            for mantissa in [0x000, 0x001, 0x7fd, 0x805, 0xfff_u16] {
                let value = crate::float::sfloat(exponent << 12 | mantissa).unwrap();
                let tens = |places: u32| vitals::Decimal::from(10_i64.pow(places));
                assert_eq!(moved(value, 5).decimal(), value.decimal() * tens(5));
                assert_eq!(moved(value, 3).decimal(), value.decimal() * tens(3));
            }
        }
    }

    #[test]
    fn a_time_that_cannot_be_is_left_out_and_said() {
        tape::check(DRIVER, &["030100e307021b0b0a1eff7f5ab000"], "glucose 90 mg/dL clock_implausible");
        tape::check(DRIVER, &["0301000f270c1f173b3b01005ab000"], "glucose 90 mg/dL clock_implausible");
    }

    #[test]
    fn control_solution_is_marked() {
        for specimen in ["0a", "41"] {
            let frame = format!("020100e307021b0b0a1e5ab0{specimen}");
            assert!(Glucose::parse(&tape::bytes(&frame)).unwrap().check_person().is_err(), "{specimen}");
            let refused = crate::decode(&DRIVER, None, &[tape::bytes(&frame)]).unwrap_err().to_string();
            assert!(refused.ends_with("it was the meter's control solution"), "{refused}");
        }
    }
}
