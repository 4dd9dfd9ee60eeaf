//! Pulse oximeter, service 0x1822.
//!
//! Spot-check 0x2A5E (indicate): flags u8 {0 timestamp, 1 measurement status, 2 device and sensor status, 3 amplitude index, 4 clock not
//! set}; SFLOAT SpO2, SFLOAT pulse; Date Time; u16; u24; SFLOAT. Continuous 0x2A5F (notify): flags {0 fast, 1 slow, 2 measurement
//! status, 3 sensor status, 4 amplitude index}; SFLOAT SpO2, SFLOAT pulse; the rest in that order. Features 0x2A60. Stored spot-checks are
//! counted, reported and deleted through the record access control point 0x2A52. (Bluetooth SIG, Pulse Oximeter Service 1.0.)

use uuid::Uuid;

use super::{BleModel, Body, Kind, Record, datetime::date_time, information, medfloat::sfloat};
use crate::bluez::gatt::{Characteristic, Service, uuid16};

/// Spot-check measurement.
pub const SPOT_CHECK: Uuid = uuid16(0x2a5e);
/// Continuous measurement.
pub const CONTINUOUS: Uuid = uuid16(0x2a5f);
/// Record access control point.
pub const RACP: Uuid = uuid16(0x2a52);

const STATUS_ONGOING: u16 = 1 << 5;
const STATUS_FULLY_QUALIFIED: u16 = 1 << 8;
const STATUS_FROM_STORAGE: u16 = 1 << 9;
const SENSOR_LOW_PERFUSION: u32 = 1 << 5;

/// Its Bluetooth side.
pub static MODEL: BleModel =
    BleModel { kind: Kind::Oximeter, service: uuid16(0x1822), measurement: SPOT_CHECK, services, encode: spot_check };

fn services() -> Vec<Service> {
    let oximeter = vec![
        Characteristic::new(SPOT_CHECK, &["indicate"], &[]),
        Characteristic::new(CONTINUOUS, &["notify"], &[]),
        Characteristic::read(uuid16(0x2a60), &features()),
        Characteristic::new(RACP, &["write", "indicate"], &[]),
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
pub fn continuous(body: Body) -> Option<Vec<u8>> {
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

/// What the host asks of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordRequest {
    /// Send all stored records.
    Report,
    /// Forget all stored records.
    Delete,
    /// How many there are.
    Count,
    /// Not understood: answer with this code.
    Refused {
        /// The opcode that came.
        opcode: u8,
        /// 2 opcode not supported, 3 invalid operator, 4 operator not supported.
        code: u8,
    },
}

/// Reads a request to the record access control point: opcode 01 report, 02 delete, 04 count; operator 01 all.
#[must_use]
pub fn read_racp(bytes: &[u8]) -> RecordRequest {
    let opcode = bytes.first().copied().unwrap_or(0);
    match (opcode, bytes.get(1).copied()) {
        (1, Some(1)) => RecordRequest::Report,
        (2, Some(1)) => RecordRequest::Delete,
        (4, Some(1)) => RecordRequest::Count,
        (1 | 2 | 4, Some(2..=6)) => RecordRequest::Refused { opcode, code: 4 },
        (1 | 2 | 4, _) => RecordRequest::Refused { opcode, code: 3 },
        _ => RecordRequest::Refused { opcode, code: 2 },
    }
}

/// The answer: 05 00 count, or 06 00 opcode code (1 success, 6 no records found).
#[must_use]
pub fn racp_answer(request: RecordRequest, records: usize) -> Vec<u8> {
    let code = if records == 0 { 6 } else { 1 };
    match request {
        RecordRequest::Report => vec![6, 0, 1, code],
        RecordRequest::Delete => vec![6, 0, 2, code],
        RecordRequest::Count => {
            let [low, high] = u16::try_from(records).unwrap_or(u16::MAX).to_le_bytes();
            vec![5, 0, low, high]
        }
        RecordRequest::Refused { opcode, code } => vec![6, 0, opcode, code],
    }
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
        assert_eq!(hex(&continuous(oxygen(93, 88, false)).unwrap()), "0c5d0058000001000000");
    }

    /// Answers as Nordic's tests have them: 06 00 01 01 success, 06 00 01 06 no records, 05 00 02 01 count 258.
    #[test]
    fn racp_answers() {
        assert_eq!(racp_answer(read_racp(&[1, 1]), 3), [6, 0, 1, 1]);
        assert_eq!(racp_answer(read_racp(&[1, 1]), 0), [6, 0, 1, 6]);
        assert_eq!(racp_answer(read_racp(&[4, 1]), 258), [5, 0, 2, 1]);
        assert_eq!(racp_answer(read_racp(&[2, 4]), 3), [6, 0, 2, 4]);
        assert_eq!(racp_answer(read_racp(&[9, 1]), 3), [6, 0, 9, 2]);
        assert_eq!(racp_answer(read_racp(&[]), 3), [6, 0, 0, 2]);
    }
}
