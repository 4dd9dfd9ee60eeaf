//! Ear thermometer, service 0x1809.
//!
//! Temperature measurement 0x2A1C (indicate): flags u8 {0 Fahrenheit, 1 timestamp, 2 type}; FLOAT; Date Time; type u8 (3 ear).
//! Temperature type 0x2A1D, measurement interval 0x2A21. (Bluetooth SIG, Health Thermometer Service 1.0.)

use super::{BleModel, Body, Frame, Kept, Kind, Record, datetime::date_time, information, medfloat::float};
use crate::bluez::gatt::{Characteristic, Service, uuid16};

const TYPE_EAR: u8 = 3;

/// Its Bluetooth side.
pub static MODEL: BleModel = BleModel::plain(Kind::Thermometer, uuid16(0x1809), uuid16(0x2a1c), services, frames);

fn services() -> Vec<Service> {
    let thermometer = vec![
        Characteristic::new(uuid16(0x2a1c), &["indicate"], &[]),
        Characteristic::read(uuid16(0x2a1d), &[TYPE_EAR]),
        Characteristic::new(information::DATE_TIME, &["read", "write"], &[]),
    ];
    vec![Service { uuid: uuid16(0x1809), characteristics: thermometer }, information::battery()]
}

fn frames(kept: &Kept) -> Vec<Frame> {
    encode(&kept.record).map(|bytes| (uuid16(0x2a1c), bytes)).into_iter().collect()
}

fn encode(record: &Record) -> Option<Vec<u8>> {
    let Body::Temperature { decidegrees } = record.body else { return None };
    let mut bytes = vec![0b110];
    bytes.extend(float(decidegrees, -1));
    bytes.extend(date_time(record.device_time));
    bytes.push(TYPE_EAR);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{hex, record};

    /// The layout of Nordic's test vector 06 b00e00fe dc070c050b321b (2012-12-05 11:50:27), with our exponent of -1.
    #[test]
    fn celsius_with_time_and_type() {
        let taken = record(Body::Temperature { decidegrees: 376 }, "2012-12-05T11:50:27");
        assert_eq!(hex(&encode(&taken).unwrap()), "06780100ffdc070c050b321b03");
    }
}
