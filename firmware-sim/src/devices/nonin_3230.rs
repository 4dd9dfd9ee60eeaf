//! Nonin 3230 with the maker's own service, 46a970e0-0d5f-11e2-8b5e-0002a5d5c51b.
//!
//! 0aad7ea0 (notify), once a second: length u8; status u8 {5 low battery, 4 finger placed right, 3 searching, 2 SmartPoint}; voltage u8; pulse
//! amplitude u16; counter u16; SpO2 u8; pulse u16, words with the higher byte first. 62 4E 4D 49 written to 1447af80 ends the measurement. It
//! stores nothing. (andreasdri/nonin-3230-ble.)

use uuid::{Uuid, uuid};

use super::{BleModel, Body, Control, Heard, Kind, Stream, information};
use crate::bluez::gatt::{Characteristic, Service};

const SERVICE: Uuid = uuid!("46a970e0-0d5f-11e2-8b5e-0002a5d5c51b");
const VALUES: Uuid = uuid!("0aad7ea0-0d60-11e2-8e3c-0002a5d5c51b");
const CONTROL: Uuid = uuid!("1447af80-0d60-11e2-88b6-0002a5d5c51b");

const PLACED_RIGHT: u8 = 1 << 4;
const SMART_POINT: u8 = 1 << 2;
const SEARCHING: u8 = 1 << 3;
const BATTERY_DECIVOLT: u8 = 30;

/// Seconds for which a finger is in, unless it is said otherwise.
const HABIT_SECONDS: u32 = 8;

/// Its Bluetooth side.
pub static MODEL: BleModel = BleModel {
    stream: Some(Stream { characteristic: VALUES, millis: 1000, habit: HABIT_SECONDS, encode }),
    control: Some(Control { point: CONTROL, heard, opens: false }),
    ..BleModel::plain(Kind::Nonin3230, SERVICE, VALUES, services, |_| vec![])
};

fn services() -> Vec<Service> {
    let oximeter =
        vec![Characteristic::new(VALUES, &["notify"], &[]), Characteristic::new(CONTROL, &["write", "indicate"], &[])];
    vec![Service { uuid: SERVICE, characteristics: oximeter }, information::battery()]
}

fn heard(written: &[u8]) -> Heard {
    Heard { answer: None, opens: false, completes: written == [0x62, 0x4e, 0x4d, 0x49] }
}

/// One second, with so many to come.
fn encode(body: Body, left: u32) -> Option<Vec<u8>> {
    let Body::Oxygen { spo2, pulse, low_perfusion } = body else { return None };
    let status = PLACED_RIGHT | if low_perfusion { SEARCHING } else { SMART_POINT };
    let amplitude: u16 = if low_perfusion { 40 } else { 1200 };
    let counter = u16::try_from(left % 0x1_0000).expect("less than 65536");
    let [spo2, _] = spo2.to_le_bytes();
    let words = [amplitude, u16::MAX - counter].map(u16::to_be_bytes).concat();
    Some([&[10, status, BATTERY_DECIVOLT], &words[..], &[spo2], &pulse.to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::hex;

    #[test]
    fn a_second_of_a_finger() {
        let body = Body::Oxygen { spo2: 97, pulse: 72, low_perfusion: false };
        assert_eq!(hex(&encode(body, 1).unwrap()), "0a141e04b0fffe610048");
        assert!(heard(b"bNMI").completes && !heard(b"bNM").completes);
    }
}
