//! Weight scale, service 0x181D.
//!
//! Weight measurement 0x2A9D (indicate): flags u8 {0 imperial, 1 timestamp, 2 user, 3 BMI and height}; u16 weight in steps of 0.005 kg;
//! Date Time. Features 0x2A9E u32 {0 timestamp, 3-6 resolution: 7 = 0.005 kg}. (Bluetooth SIG, Weight Scale Service 1.0.)

use super::{BleModel, Body, Frame, Kept, Kind, Record, datetime::date_time, information};
use crate::bluez::gatt::{Characteristic, Service, uuid16};

const FEATURES: u32 = 1 | 7 << 3;

/// Its Bluetooth side.
pub static MODEL: BleModel = BleModel::plain(Kind::Scale, uuid16(0x181d), uuid16(0x2a9d), services, frames);

fn services() -> Vec<Service> {
    let scale = vec![
        Characteristic::new(uuid16(0x2a9d), &["indicate"], &[]),
        Characteristic::read(uuid16(0x2a9e), &FEATURES.to_le_bytes()),
        Characteristic::new(information::DATE_TIME, &["read", "write"], &[]),
    ];
    vec![Service { uuid: uuid16(0x181d), characteristics: scale }, information::battery()]
}

fn frames(kept: &Kept) -> Vec<Frame> {
    encode(&kept.record).map(|bytes| (uuid16(0x2a9d), bytes)).into_iter().collect()
}

fn encode(record: &Record) -> Option<Vec<u8>> {
    let Body::Weight { steps } = record.body else { return None };
    let mut bytes = vec![0b10];
    bytes.extend(steps.to_le_bytes());
    bytes.extend(date_time(record.device_time));
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{hex, record};

    /// bluetooth-sig-python's test (its integer fields are right): 02 b036 e7070c190e1e2d is 70.0 kg at 2023-12-25 14:30:45.
    #[test]
    fn weight_with_time() {
        let taken = record(Body::Weight { steps: 14_000 }, "2023-12-25T14:30:45");
        assert_eq!(hex(&encode(&taken).unwrap()), "02b036e7070c190e1e2d");
    }
}
