//! A bathroom scale that is never connected to: it puts the weight into its advertisements, as service data of 0x181D.
//!
//! control u8 {0 pounds, 4 catties, 5 stable, 7 removed}; u16 weight in steps of 1/200 kg; Date Time. (Public captures of the Mi Scale, as
//! theengs/decoder describes them.)

use super::{BleModel, Body, Frame, Kept, Kind, Record, datetime::date_time};
use crate::bluez::gatt::uuid16;

const STABLE: u8 = 1 << 5;

/// Its Bluetooth side.
pub static MODEL: BleModel = BleModel::plain(Kind::MiScale, uuid16(0x181d), uuid16(0x181d), Vec::new, frames);

fn frames(kept: &Kept) -> Vec<Frame> {
    encode(&kept.record).map(|bytes| (uuid16(0x181d), bytes)).into_iter().collect()
}

/// Steps of 1/200 kg are steps of 0.005 kg.
fn encode(record: &Record) -> Option<Vec<u8>> {
    let Body::Weight { steps } = record.body else { return None };
    let mut bytes = vec![STABLE];
    bytes.extend(steps.to_le_bytes());
    bytes.extend(date_time(record.device_time));
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{hex, record};

    #[test]
    fn a_weight_that_stands_still() {
        let taken = record(Body::Weight { steps: 14_000 }, "2023-12-25T14:30:45");
        assert_eq!(hex(&encode(&taken).unwrap()), "20b036e7070c190e1e2d");
    }
}
