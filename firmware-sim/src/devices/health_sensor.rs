//! Spirometer over the Generic Health Sensor service 0x1840: FEV1, FVC and peak flow by their MDC codes.
//!
//! Live observations 0x2B8B and stored ones 0x2BDD (notify), in segments: header u8 {0 first, 1 last, 2-7 counter} and a piece; a stored one
//! begins with the record's number u32. A blow is a bundle: class FF, length u16 of what follows, flags u16 {1 time}, Elapsed Time, count u8
//! and so many numerics: class 01, length, flags {0 type}, type u32, unit u16, FLOAT. Features 0x2BF3: flags u8, count u8, types u32.
//! Control point 0x2BF4 (write, indicate): 01 start, 02 stop; 80 done. Records over 0x2A52. (philips-labs/BLE-GHS-Server-Simulator; HL7's
//! Personal Health Device guide; codes of IEEE 11073-10101.)

use uuid::Uuid;

use super::{
    BleModel, Body, Control, Frame, Heard, Kept, Kind, Memory, elapsed_time, information, medfloat::float, racp,
};
use crate::bluez::gatt::{Characteristic, Service, uuid16};

const LIVE: Uuid = uuid16(0x2b8b);
const STORED: Uuid = uuid16(0x2bdd);
const CONTROL: Uuid = uuid16(0x2bf4);

const NUMERIC: u8 = 1;
const BUNDLE: u8 = 0xff;
const HAS_TYPE: u16 = 1;
const HAS_TIME: u16 = 1 << 1;

const FEV1: u32 = 152_586;
const FVC: u32 = 188_928;
const PEAK_FLOW: u32 = 152_584;
const LITRE: u16 = 0x0640;
const LITRE_PER_SECOND: u16 = 0x0be0;

/// Bytes of an observation in one segment: what a packet of the smallest ATT MTU holds beside the header.
const PIECE_BYTES: usize = 19;

/// Its Bluetooth side.
pub static MODEL: BleModel = BleModel {
    memory: Memory::Asked { dialect: racp::Dialect::Combined, live: true },
    control: Some(Control { point: CONTROL, heard, opens: true }),
    ..BleModel::plain(Kind::HealthSensor, uuid16(0x1840), LIVE, services, frames)
};

fn services() -> Vec<Service> {
    let types = [FEV1, FVC, PEAK_FLOW].map(u32::to_le_bytes).concat();
    let sensor = vec![
        Characteristic::new(LIVE, &["notify"], &[]),
        Characteristic::new(STORED, &["notify"], &[]),
        Characteristic::read(uuid16(0x2bf3), &[&[0, 3], &types[..]].concat()),
        Characteristic::new(CONTROL, &["write", "indicate"], &[]),
        Characteristic::new(racp::POINT, &["write", "indicate"], &[]),
    ];
    vec![Service { uuid: uuid16(0x1840), characteristics: sensor }, elapsed_time::service(), information::battery()]
}

fn heard(written: &[u8]) -> Heard {
    match *written {
        [1] => Heard { answer: Some(vec![0x80]), opens: true, completes: false },
        [2] => Heard { answer: Some(vec![0x80]), opens: false, completes: true },
        _ => Heard { answer: Some(vec![0x81]), opens: false, completes: false },
    }
}

fn frames(kept: &Kept) -> Vec<Frame> {
    let Some(observation) = observation(kept) else { return vec![] };
    if !kept.record.stored {
        return segments(&observation).into_iter().map(|segment| (LIVE, segment)).collect();
    }
    let number = u32::try_from(kept.record.number % (1 << 32)).expect("less than 2^32").to_le_bytes();
    segments(&[&number, &observation[..]].concat()).into_iter().map(|segment| (STORED, segment)).collect()
}

fn observation(kept: &Kept) -> Option<Vec<u8>> {
    let Body::Spirometry { fev1_cl, fvc_cl, pef_cl, .. } = kept.record.body else { return None };
    let record = &kept.record;
    let time = elapsed_time::time(record.device_time, record.clock_set, kept.older_clock);
    let numbers = [(FEV1, LITRE, fev1_cl), (FVC, LITRE, fvc_cl), (PEAK_FLOW, LITRE_PER_SECOND, pef_cl)];
    let numerics = numbers.map(|(code, unit, centi)| {
        let value = [&code.to_le_bytes()[..], &unit.to_le_bytes(), &float(centi.into(), -2)].concat();
        of_class(NUMERIC, HAS_TYPE, &value)
    });
    Some(of_class(BUNDLE, HAS_TIME, &[&time[..], &[3], &numerics.concat()].concat()))
}

fn of_class(class: u8, flags: u16, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len() + 2).expect("an observation is short").to_le_bytes();
    [&[class], &length[..], &flags.to_le_bytes(), rest].concat()
}

fn segments(observation: &[u8]) -> Vec<Vec<u8>> {
    let pieces: Vec<&[u8]> = observation.chunks(PIECE_BYTES).collect();
    let header =
        |(counter, place): (u8, usize)| counter << 2 | u8::from(place == 0) | u8::from(place + 1 == pieces.len()) << 1;
    let counted = (0_u8..64).cycle().zip(0..pieces.len());
    counted.zip(&pieces).map(|(at, piece)| [&[header(at)], *piece].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{hex, record};

    fn blow(stored: bool) -> Kept {
        let body = Body::Spirometry { fev1_cl: 266, fvc_cl: 351, fev6_cl: 340, pef_cl: 750 };
        let mut record = record(body, "2000-01-02T00:00:00");
        record.stored = stored;
        Kept::new(record)
    }

    #[test]
    fn a_blow_is_a_bundle_of_three_numbers() {
        let wanted = "ff39000200208051010000000400030\
                      10c0001000a54020040060a0100fe010c00010000e2020040065f0100fe\
                      010c00010008540200e00bee0200fe";
        assert_eq!(hex(&observation(&blow(false)).unwrap()), wanted);
    }

    #[test]
    fn it_comes_in_segments_and_a_stored_one_with_its_number() {
        let frames = frames(&blow(true));
        let headers: Vec<u8> = frames.iter().map(|(_, segment)| segment[0]).collect();
        assert_eq!(headers, [0b01, 0b100, 0b1000, 0b1110]);
        assert!(frames.iter().all(|(uuid, segment)| *uuid == STORED && segment.len() <= 20));
        assert_eq!(frames[0].1[1..5], [1, 0, 0, 0]);
    }
}
