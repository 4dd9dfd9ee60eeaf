//! Pulse oximeter, service 0x1822.
//!
//! Spot-check 0x2A5E (indicate): flags u8 {0 timestamp, 1 measurement status, 2 device and sensor status, 3 amplitude index, 4 clock not
//! set}; SFLOAT SpO2, SFLOAT pulse; Date Time; u16; u24; SFLOAT. Continuous 0x2A5F (notify): flags {0 fast, 1 slow, 2 measurement
//! status, 3 sensor status, 4 amplitude index}; SFLOAT SpO2, SFLOAT pulse; the rest in that order. Features 0x2A60. Stored spot-checks are
//! counted, reported and deleted through the record access control point 0x2A52 (`racp.rs`); a new one is sent unasked. (Bluetooth SIG, Pulse Oximeter Service 1.0.)

use uuid::Uuid;

use super::{
    BleModel, Body, Frame, Kept, Kind, Memory, Record, Stream, datetime::date_time, information, medfloat::sfloat, racp,
};
use crate::bluez::gatt::{Characteristic, Service, uuid16};

/// Spot-check measurement.
pub const SPOT_CHECK: Uuid = uuid16(0x2a5e);
/// Continuous measurement.
pub const CONTINUOUS: Uuid = uuid16(0x2a5f);
const STATUS_ONGOING: u16 = 1 << 5;
const STATUS_FULLY_QUALIFIED: u16 = 1 << 8;
const STATUS_FROM_STORAGE: u16 = 1 << 9;
const SENSOR_LOW_PERFUSION: u32 = 1 << 5;

/// Its Bluetooth side.
pub static MODEL: BleModel = BleModel {
    memory: Memory::Asked { dialect: racp::Dialect::Plain, live: true },
    stream: Some(Stream { characteristic: CONTINUOUS, millis: 1000, habit: 0, encode: continuous }),
    ..BleModel::plain(Kind::Oximeter, uuid16(0x1822), SPOT_CHECK, services, frames)
};

fn services() -> Vec<Service> {
    let oximeter = vec![
        Characteristic::new(SPOT_CHECK, &["indicate"], &[]),
        Characteristic::new(CONTINUOUS, &["notify"], &[]),
        Characteristic::read(uuid16(0x2a60), &features()),
        Characteristic::new(racp::POINT, &["write", "indicate"], &[]),
    ];
    vec![
        Service { uuid: uuid16(0x1822), characteristics: oximeter },
        information::current_time(),
        information::battery(),
    ]
}

/// Features: status, sensor status, storage and timestamp are supported; then the bits that may be set in each status.
fn features() -> Vec<u8> {
    let mut bytes = 0b1111_u16.to_le_bytes().to_vec();
    bytes.extend((STATUS_ONGOING | STATUS_FULLY_QUALIFIED | STATUS_FROM_STORAGE).to_le_bytes());
    bytes.extend(&SENSOR_LOW_PERFUSION.to_le_bytes()[..3]);
    bytes
}

fn frames(kept: &Kept) -> Vec<Frame> {
    spot_check(&kept.record).map(|bytes| (SPOT_CHECK, bytes)).into_iter().collect()
}

fn spot_check(record: &Record) -> Option<Vec<u8>> {
    let Body::Oxygen { spo2, pulse, low_perfusion } = record.body else { return None };
    let mut bytes = vec![if record.clock_set { 0b0_0111 } else { 0b1_0111 }];
    bytes.extend(whole(spo2));
    bytes.extend(whole(pulse));
    bytes.extend(date_time(record.device_time));
    let storage = if record.stored { STATUS_FROM_STORAGE } else { 0 };
    bytes.extend((status(low_perfusion) | storage).to_le_bytes());
    bytes.extend(sensor_status(low_perfusion));
    Some(bytes)
}

/// One second of a continuous measurement.
#[must_use]
pub fn continuous(body: Body, _left: u32) -> Option<Vec<u8>> {
    let Body::Oxygen { spo2, pulse, low_perfusion } = body else { return None };
    let mut bytes = vec![0b0_1100];
    bytes.extend(whole(spo2));
    bytes.extend(whole(pulse));
    bytes.extend(status(low_perfusion).to_le_bytes());
    bytes.extend(sensor_status(low_perfusion));
    Some(bytes)
}

fn whole(value: u16) -> [u8; 2] {
    sfloat(i16::try_from(value).expect("saturation and pulse are small"), 0)
}

/// With too little blood a real oximeter (the ChoiceMMed of the test below) still calls its measurement ongoing.
fn status(low_perfusion: bool) -> u16 {
    if low_perfusion { STATUS_ONGOING } else { STATUS_FULLY_QUALIFIED }
}

fn sensor_status(low_perfusion: bool) -> [u8; 3] {
    let [low, mid, high, _] = if low_perfusion { SENSOR_LOW_PERFUSION } else { 0 }.to_le_bytes();
    [low, mid, high]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{hex, record};

    fn oxygen(spo2: u16, pulse: u16, low_perfusion: bool) -> Body {
        Body::Oxygen { spo2, pulse, low_perfusion }
    }

    /// A real ChoiceMMed oximeter (Stack Overflow 71264072): 97 %, 96 /min, clock not set, ongoing, low perfusion.
    #[test]
    fn spot_check_has_the_layout_of_a_real_device() {
        let mut taken = record(oxygen(97, 96, true), "2017-01-01T01:34:19");
        taken.clock_set = false;
        assert_eq!(hex(&spot_check(&taken).unwrap()), "1761006000e10701010122132000200000");
    }

    #[test]
    fn a_stored_spot_check_says_so() {
        let mut taken = record(oxygen(88, 104, false), "2026-11-21T08:00:00");
        taken.stored = true;
        assert_eq!(hex(&spot_check(&taken).unwrap()), "0758006800ea070b150800000003000000");
    }

    #[test]
    fn continuous_has_its_own_flags() {
        assert_eq!(hex(&continuous(oxygen(93, 88, false), 1).unwrap()), "0c5d0058000001000000");
    }
}
