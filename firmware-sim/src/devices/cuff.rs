//! Blood pressure cuff, service 0x1810.
//!
//! Blood pressure measurement 0x2A35 (indicate): flags u8 {0 kPa, 1 timestamp, 2 pulse, 3 user, 4 status}; SFLOAT systolic, diastolic,
//! mean; Date Time; SFLOAT pulse; user u8; status u16. Features 0x2A49. Stored records come oldest first, then the device disconnects.
//! As A&D's, it lets the host set its clock through 0x2A08 inside the service. (Bluetooth SIG, Blood Pressure Service 1.1.)

use super::{BleModel, Body, Kind, Record, datetime::date_time, information, medfloat::sfloat};
use crate::bluez::gatt::{Characteristic, Service, uuid16};

/// Its Bluetooth side.
pub static MODEL: BleModel =
    BleModel { kind: Kind::Cuff, service: uuid16(0x1810), measurement: uuid16(0x2a35), services, encode };

fn services() -> Vec<Service> {
    let cuff = vec![
        Characteristic::new(uuid16(0x2a35), &["indicate"], &[]),
        Characteristic::read(uuid16(0x2a49), &0b111_u16.to_le_bytes()),
        Characteristic::new(information::DATE_TIME, &["read", "write"], &[]),
    ];
    vec![Service { uuid: uuid16(0x1810), characteristics: cuff }, information::battery()]
}

fn encode(record: &Record) -> Option<Vec<u8>> {
    let Body::Pressure { systolic, diastolic, pulse } = record.body else { return None };
    let whole = |value: u16| sfloat(i16::try_from(value).expect("pressure and pulse are small"), 0);
    let mut bytes = vec![0b1_0110];
    for value in [systolic, diastolic, Body::mean_pressure(systolic, diastolic)] {
        bytes.extend(whole(value));
    }
    bytes.extend(date_time(record.device_time));
    bytes.extend(whole(pulse));
    bytes.extend([0, 0]);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{hex, record};

    /// A real A&D UA-651BLE (ThingML-BLE's log): 16 8600 4d00 6400 e10701100d0018 3d00 0000 is 134/77, mean 100, pulse 61. That cuff
    /// measured its mean; ours computes it (96 = 0x60), and the rest is the same.
    #[test]
    fn the_layout_of_a_real_cuff() {
        let taken = record(Body::Pressure { systolic: 134, diastolic: 77, pulse: 61 }, "2017-01-16T13:00:24");
        assert_eq!(hex(&encode(&taken).unwrap()), "1686004d006000e10701100d00183d000000");
    }
}
