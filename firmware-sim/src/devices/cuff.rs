//! Blood pressure cuff, service 0x1810.
//!
//! Blood pressure measurement 0x2A35 (indicate): flags u8 {0 kPa, 1 timestamp, 2 pulse, 3 user, 4 status}; SFLOAT systolic, diastolic,
//! mean; Date Time; SFLOAT pulse; user u8; status u16. Intermediate cuff pressure 0x2A36 (notify): the same, with NaN for diastolic and mean.
//! Features 0x2A49. A measurement that failed is stored with every number NaN, as A&D's UA-651BLE does (ThingML-BLE's log). Stored records come oldest first, then the device disconnects.
//! As A&D's, it lets the host set its clock through 0x2A08 inside the service. (Bluetooth SIG, Blood Pressure Service 1.1.)

use uuid::Uuid;

use super::{
    BleModel, Body, Frame, Kept, Kind, Record, Stream,
    datetime::date_time,
    information,
    medfloat::{SFLOAT_NAN, sfloat},
};
use crate::bluez::gatt::{Characteristic, Service, uuid16};

const INTERMEDIATE: Uuid = uuid16(0x2a36);
/// The cuff begins to deflate so far above the systolic pressure, mmHg.
const ABOVE_SYSTOLIC: u16 = 30;
/// From one intermediate value to the next, mmHg.
const DEFLATES_BY: u16 = 8;

/// Its Bluetooth side.
pub static MODEL: BleModel = BleModel {
    stream: Some(Stream { characteristic: INTERMEDIATE, millis: 250, habit: 0, encode: intermediate }),
    ..BleModel::plain(Kind::Cuff, uuid16(0x1810), uuid16(0x2a35), services, frames)
};

fn services() -> Vec<Service> {
    let cuff = vec![
        Characteristic::new(uuid16(0x2a35), &["indicate"], &[]),
        Characteristic::new(INTERMEDIATE, &["notify"], &[]),
        Characteristic::read(uuid16(0x2a49), &0b111_u16.to_le_bytes()),
        Characteristic::new(information::DATE_TIME, &["read", "write"], &[]),
    ];
    vec![Service { uuid: uuid16(0x1810), characteristics: cuff }, information::battery()]
}

fn frames(kept: &Kept) -> Vec<Frame> {
    encode(&kept.record).map(|bytes| (uuid16(0x2a35), bytes)).into_iter().collect()
}

fn encode(record: &Record) -> Option<Vec<u8>> {
    let numbers = match record.body {
        Body::Pressure { systolic, diastolic, pulse } => {
            [systolic, diastolic, Body::mean_pressure(systolic, diastolic), pulse].map(whole)
        }
        Body::NoPressure => [SFLOAT_NAN; 4],
        _ => return None,
    };
    let [pressures @ .., pulse] = numbers;
    Some([&[0b1_0110], &pressures.concat()[..], &date_time(record.device_time), &pulse, &[0, 0]].concat())
}

fn whole(value: u16) -> [u8; 2] {
    sfloat(i16::try_from(value).expect("pressure and pulse are small"), 0)
}

/// The pressure in the cuff falls to the diastolic one.
fn intermediate(body: Body, left: u32) -> Option<Vec<u8>> {
    let Body::Pressure { systolic, diastolic, .. } = body else { return None };
    let still = u16::try_from(left).unwrap_or(u16::MAX).saturating_mul(DEFLATES_BY);
    let pressure = diastolic.saturating_add(still).min(systolic + ABOVE_SYSTOLIC);
    Some([&[0], &whole(pressure)[..], &SFLOAT_NAN, &SFLOAT_NAN].concat())
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

    /// The same log has such a record: 16 ff07 ff07 ff07, its time, ff07, status.
    #[test]
    fn a_failed_measurement_has_no_number() {
        let failed = record(Body::NoPressure, "2017-01-16T13:00:24");
        assert_eq!(hex(&encode(&failed).unwrap()), "16ff07ff07ff07e10701100d0018ff070000");
    }

    #[test]
    fn the_cuff_deflates() {
        let body = Body::Pressure { systolic: 134, diastolic: 77, pulse: 61 };
        assert_eq!(hex(&intermediate(body, 99).unwrap()), "00a400ff07ff07");
        assert_eq!(hex(&intermediate(body, 1).unwrap()), "005500ff07ff07");
    }
}
