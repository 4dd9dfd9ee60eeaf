//! Yonker YK-IBPA1: a cuff with a Bluetooth service of its own. It says what it measured once, when it has measured.
//!
//! ```text
//! notification, 15 bytes:
//! 81 | systolic u8 | diastolic u8 | pulse u8 | 2 unknown | day u8 | month u8 | year u8 (2000 +) | hour u8 | minute u8 | 4 unknown
//! ```
//!
//! 0 is no value. Its clock is said to be unreliable: a time that can't be is left out and said. The same service is used by Jumper's
//! oximeters, whose packets are shorter. Source: blood-pressure-monitor-fl (issue 615 and its unit tests); no document of the maker.

use jiff::civil::DateTime;
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    DecodeError, Driver, Measured, Transport,
    gatt::{self, Finished},
};

const WHAT: &str = "yonker";

/// The service.
pub const SERVICE: Uuid = Uuid::from_u128(0xcdea_cd80_5235_4c07_8846_93a3_7ee6_b86d);
/// Measurements.
pub const MEASUREMENT: Uuid = Uuid::from_u128(0xcdea_cd81_5235_4c07_8846_93a3_7ee6_b86d);

const KIND: u8 = 0x81;
const LEN: usize = 15;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "yonker",
    transport: Transport::Ble { service: SERVICE, subscribe: &[MEASUREMENT], read: &[], names: &[] },
    vitals: &[Vital::Systolic, Vital::Diastolic, Vital::Pulse],
    devices: &["Yonker YK-IBPA1"],
    standard: "the maker's own, as found by blood-pressure-monitor-fl",
    open: |_| Finished::open(WHAT, decode),
    decode: |channel, frames| gatt::decode_values(WHAT, decode, channel, frames),
};

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Systolic and diastolic, mmHg.
    pub pressures: [Option<Value>; 2],
    /// Beats a minute.
    pub pulse: Option<Value>,
    /// To the minute.
    pub time: Option<DateTime>,
    /// Whether the time can't be.
    pub flags: Vec<Flag>,
}

impl Record {
    /// Reads a notification.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] for another kind of packet.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        if let Some(kind) = bytes.first().filter(|kind| **kind != KIND) {
            return Err(DecodeError::Malformed { what: WHAT, field: "kind", found: (*kind).into(), wanted: "0x81" });
        }
        let bytes: &[u8; LEN] = bytes.try_into().map_err(|_| match bytes.len() {
            found if found < LEN => DecodeError::TooShort { what: WHAT, found, need: LEN },
            found => DecodeError::TooLong { what: WHAT, found, most: LEN },
        })?;
        let [_, systolic, diastolic, pulse, _, _, day, month, year, hour, minute, ..] = *bytes;
        let number = |raw: u8| (raw != 0).then(|| Value::new(raw.into(), 0));
        let time = gatt::since_2000(year, [month, day, hour, minute, 0]).ok();
        let flags = if time.is_none() { vec![Flag::CLOCK_IMPLAUSIBLE] } else { Vec::new() };
        Ok(Self { pressures: [number(systolic), number(diastolic)], pulse: number(pulse), time, flags })
    }
}

fn decode(uuid: Uuid, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    if uuid != MEASUREMENT {
        return Err(gatt::unknown(WHAT, uuid, "0xcdeacd81"));
    }
    let read = Record::parse(bytes)?;
    let [systolic, diastolic] = read.pressures;
    let values = [
        (Vital::Systolic, systolic, Unit::MillimetreMercury),
        (Vital::Diastolic, diastolic, Unit::MillimetreMercury),
        (Vital::Pulse, read.pulse, Unit::PerMinute),
    ];
    Ok(gatt::present(values, read.time, &read.flags))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

    #[test]
    fn a_packet_is_a_measurement() {
        tape::check(
            DRIVER,
            &["818367510000190b18131200000000"],
            "systolic 131 mm[Hg] 2024-11-25T19:18:00; diastolic 103 mm[Hg] 2024-11-25T19:18:00; pulse 81 /min 2024-11-25T19:18:00",
        );
        tape::check(
            DRIVER,
            &["81836700000000000000000000ffff"],
            "systolic 131 mm[Hg] clock_implausible; diastolic 103 mm[Hg] clock_implausible",
        );
        tape::check(
            DRIVER,
            &["818367510000190b1813120000000000"],
            "yonker: 16 bytes, at most 15 are meant by its flags",
        );
        tape::check(DRIVER, &["818367"], "yonker: 3 bytes, need at least 15");
        tape::check(DRIVER, &["80"], "yonker: kind is 0x80, want 0x81");
    }

    #[test]
    fn a_measurement_ends_the_sitting() {
        let mut tape = Tape::open(DRIVER);
        tape.value(MEASUREMENT, "8012").gives("! yonker: kind is 0x80, want 0x81");
        tape.value(MEASUREMENT, "818300000000190b18131200000000").gives("systolic 131 mm[Hg] 2024-11-25T19:18:00");
        tape.wait().gives("end");
    }
}
