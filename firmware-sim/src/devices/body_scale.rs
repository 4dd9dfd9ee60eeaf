//! Body composition scale that several people use: services 0x181B, 0x181D and 0x181C.
//!
//! Body composition 0x2A9C (indicate), in two packets: flags u16 {1 time, 2 user, 4 muscle %, 9 impedance, 10 weight, 12 one of two}; fat
//! u16 x 0.1 %; Date Time; user u8; muscle u16 x 0.1 %; impedance u16 x 0.1 ohm; weight u16 x 0.005 kg. Feature 0x2A9B u32. The weight comes
//! as 0x2A9D too, with its user. It says nothing before its user has consented: 0x2A9F (write, indicate) 02, user u8, code u16, answered 20 02
//! result {1 done, 2 not supported, 3 invalid, 5 not this user}. (Bluetooth SIG: Body Composition, Weight Scale and User Data Services.)

use uuid::Uuid;

use super::{BleModel, Body, Control, Frame, Heard, Kept, Kind, datetime::date_time, information};
use crate::bluez::gatt::{Characteristic, Service, uuid16};

const COMPOSITION: Uuid = uuid16(0x2a9c);
const WEIGHT: Uuid = uuid16(0x2a9d);
const USER_CONTROL: Uuid = uuid16(0x2a9f);

/// The user that it knows.
pub const USER: u8 = 2;
/// That user's code.
pub const CONSENT: u16 = 1234;

const FIRST: u16 = 1 << 1 | 1 << 2 | 1 << 10 | 1 << 12;
const SECOND: u16 = 1 << 4 | 1 << 9 | 1 << 12;
/// Time, users, muscle %, impedance, weight; resolution 7 is 0.005 kg.
const FEATURES: u32 = 1 | 1 << 1 | 1 << 3 | 1 << 8 | 1 << 9 | 7 << 11;
/// Time, users; resolution 7 is 0.005 kg.
const SCALE_FEATURES: u32 = 1 | 1 << 1 | 7 << 3;
const FAT_PERMILLE: u16 = 284;
const MUSCLE_PERMILLE: u16 = 381;
const IMPEDANCE_DECIOHM: u16 = 5120;

/// Its Bluetooth side.
pub static MODEL: BleModel = BleModel {
    control: Some(Control { point: USER_CONTROL, heard, opens: true }),
    ..BleModel::plain(Kind::BodyScale, uuid16(0x181b), COMPOSITION, services, frames)
};

fn services() -> Vec<Service> {
    let composition = vec![
        Characteristic::new(COMPOSITION, &["indicate"], &[]),
        Characteristic::read(uuid16(0x2a9b), &FEATURES.to_le_bytes()),
    ];
    let scale = vec![
        Characteristic::new(WEIGHT, &["indicate"], &[]),
        Characteristic::read(uuid16(0x2a9e), &SCALE_FEATURES.to_le_bytes()),
    ];
    let users = vec![
        Characteristic::new(USER_CONTROL, &["write", "indicate"], &[]),
        Characteristic::read(uuid16(0x2a99), &1_u32.to_le_bytes()),
        Characteristic::read(uuid16(0x2a9a), &[0xff]),
    ];
    vec![
        Service { uuid: uuid16(0x181b), characteristics: composition },
        Service { uuid: uuid16(0x181d), characteristics: scale },
        Service { uuid: uuid16(0x181c), characteristics: users },
        information::current_time(),
        information::battery(),
    ]
}

fn heard(written: &[u8]) -> Heard {
    let opcode = written.first().copied().unwrap_or(0);
    let [low, high] = CONSENT.to_le_bytes();
    let result = match *written {
        [2, USER, a, b] if [a, b] == [low, high] => 1,
        [2, _, _, _] => 5,
        [2, ..] => 3,
        _ => 2,
    };
    Heard { answer: Some(vec![0x20, opcode, result]), opens: result == 1, completes: false }
}

fn frames(kept: &Kept) -> Vec<Frame> {
    let Body::Weight { steps } = kept.record.body else { return vec![] };
    let (time, fat) = (date_time(kept.record.device_time), FAT_PERMILLE.to_le_bytes());
    let steps = steps.to_le_bytes();
    let first = [&FIRST.to_le_bytes()[..], &fat, &time, &[USER], &steps].concat();
    let [muscle, impedance] = [MUSCLE_PERMILLE, IMPEDANCE_DECIOHM].map(u16::to_le_bytes);
    let second = [&SECOND.to_le_bytes()[..], &fat, &muscle, &impedance].concat();
    let weight = [&[0b110], &steps[..], &time, &[USER]].concat();
    vec![(WEIGHT, weight), (COMPOSITION, first), (COMPOSITION, second)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{hex, record};

    #[test]
    fn one_weighing_in_two_packets_and_as_a_weight() {
        let taken = record(Body::Weight { steps: 14_000 }, "2023-12-25T14:30:45");
        let frames: Vec<String> = frames(&Kept::new(taken)).iter().map(|(_, bytes)| hex(bytes)).collect();
        let wanted = ["06b036e7070c190e1e2d02", "06141c01e7070c190e1e2d02b036", "10121c017d010014"];
        assert_eq!(frames, wanted);
    }

    #[test]
    fn only_the_right_code_opens_it() {
        assert_eq!(heard(&[2, 2, 0xd2, 0x04]), Heard { answer: Some(vec![0x20, 2, 1]), opens: true, completes: false });
        let refused = |written: &[u8]| heard(written).answer.unwrap()[2];
        assert_eq!([refused(&[2, 2, 0, 0]), refused(&[2, 1, 0xd2, 0x04]), refused(&[2]), refused(&[1])], [5, 5, 3, 2]);
    }
}
