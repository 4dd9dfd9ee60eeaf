//! Blood sugar meter, service 0x1808.
//!
//! Measurement 0x2A18 (notify): flags u8 {0 offset, 1 concentration, 2 mol/L, 3 status, 4 a context follows}; number u16; Date Time; SFLOAT;
//! type (low 4 bits, 1 capillary whole blood) and location (1 finger). Context 0x2A34 (notify): flags u8 {1 meal}; number u16; meal u8.
//! Feature 0x2A51. A meter sends nothing by itself: everything is asked for through 0x2A52. (Bluetooth SIG, Glucose Service 1.0.1.)

use uuid::Uuid;

use super::{BleModel, Body, Frame, Kept, Kind, Memory, datetime::date_time, information, medfloat::sfloat, racp};
use crate::bluez::gatt::{Characteristic, Service, uuid16};

const MEASUREMENT: Uuid = uuid16(0x2a18);
const CONTEXT: Uuid = uuid16(0x2a34);

/// Concentration, in mol/L, and a context.
const FLAGS: u8 = 1 << 1 | 1 << 2 | 1 << 4;
const CAPILLARY_BLOOD_OF_A_FINGER: u8 = 0x11;
const HAS_MEAL: u8 = 1 << 1;

/// What a measurement can be beside, by the code that it has in the context, from 1.
pub const MEALS: [&str; 5] = ["before", "after", "fasting", "casual", "bedtime"];

/// Its Bluetooth side.
pub static MODEL: BleModel = BleModel {
    memory: Memory::Asked { dialect: racp::Dialect::Numbered, live: false },
    ..BleModel::plain(Kind::Glucose, uuid16(0x1808), MEASUREMENT, services, frames)
};

fn services() -> Vec<Service> {
    let meter = vec![
        Characteristic::new(MEASUREMENT, &["notify"], &[]),
        Characteristic::new(CONTEXT, &["notify"], &[]),
        Characteristic::read(uuid16(0x2a51), &[0, 0]),
        Characteristic::new(racp::POINT, &["write", "indicate"], &[]),
    ];
    vec![Service { uuid: uuid16(0x1808), characteristics: meter }, information::current_time(), information::battery()]
}

/// Tenths of mmol/L are steps of 10^-4 mol/L.
fn frames(kept: &Kept) -> Vec<Frame> {
    let Body::Glucose { decimillimoles, meal } = kept.record.body else { return vec![] };
    let number = u16::try_from(kept.record.number % 0x1_0000).expect("less than 65536").to_le_bytes();
    let mantissa = i16::try_from(decimillimoles).expect("no more than a meter shows");
    let mut measurement = vec![FLAGS];
    measurement.extend(number);
    measurement.extend(date_time(kept.record.device_time));
    measurement.extend(sfloat(mantissa, -4));
    measurement.push(CAPILLARY_BLOOD_OF_A_FINGER);
    vec![(MEASUREMENT, measurement), (CONTEXT, vec![HAS_MEAL, number[0], number[1], meal])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{hex, record};

    /// The layout of Nordic's test vector 1b 0100 e307021b0b0a1e fbff 1e00 12 0501, without its offset and status and in mol/L.
    #[test]
    fn a_measurement_and_its_context() {
        let taken = record(Body::Glucose { decimillimoles: 61, meal: 3 }, "2019-02-27T11:10:30");
        let frames = frames(&Kept::new(taken));
        assert_eq!(hex(&frames[0].1), "160100e307021b0b0a1e3dc011");
        assert_eq!(hex(&frames[1].1), "02010003");
    }
}
