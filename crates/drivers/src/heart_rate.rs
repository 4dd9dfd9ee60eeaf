//! Bluetooth Heart Rate service 0x180D.
//!
//! ```text
//! 2A37 measurement. flags u8: 0 rate is u16, 1-2 contact (2 lost, 3 there, else unknown), 3 energy, 4 intervals
//! rate u8 or u16, /min | energy u16, kJ since it was last cleared | intervals between beats, u16 each, 1/1024 s
//! 2A38 where the sensor is, u8: 0 other, 1 chest, 2 wrist, 3 finger, 4 hand, 5 ear lobe, 6 foot
//! ```
//!
//! A belt says a rate about every second; it becomes one measurement of a sitting as an oximeter's stream does (see the file `settle.rs`),
//! and shows how it stands meanwhile. Lost contact is a flag, `contact_lost`. A rate of 0 is what belts say while they find no beat, and is
//! absent. Source: Bluetooth SIG Heart Rate Service 1.0.

use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    Channel, DecodeError, Driver, Measured, Transport,
    gatt::{self, uuid16},
    live::{self, End, Live, Streaming, Values},
};

const WHAT: &str = "heart rate";

/// Measurement.
pub const MEASUREMENT: Uuid = uuid16(0x2a37);
/// Where the sensor is.
pub const LOCATION: Uuid = uuid16(0x2a38);

const RATE_IS_WIDE: u8 = 1 << 0;
const HAS_ENERGY: u8 = 1 << 3;
const HAS_INTERVALS: u8 = 1 << 4;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "gatt-heart-rate",
    transport: Transport::Ble { service: uuid16(0x180d), subscribe: &[MEASUREMENT], read: &[], names: &[] },
    vitals: &[Vital::Pulse],
    devices: &["any belt with the Heart Rate service"],
    standard: "Bluetooth SIG Heart Rate Service 1.0 (0x180D)",
    open: |_| {
        let live = Live::new(1, 1, End::FingerOut).measuring(Vital::Pulse);
        live::over_bluetooth(WHAT, Streaming::new(Values::new(WHAT, measured, |_| false), live, None))
    },
    decode,
};

/// One value of 2A37.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartRate {
    /// Beats a minute.
    pub rate: u16,
    /// Does the sensor touch the skin? `None` if it doesn't know.
    pub contact: Option<bool>,
    /// Kilojoule since it was last cleared.
    pub energy_kj: Option<u16>,
    /// Intervals between beats, oldest first, in 1/1024 s.
    pub intervals: Vec<u16>,
}

/// Reads a value of 2A37.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn parse(bytes: &[u8]) -> Result<HeartRate, DecodeError> {
    let flags = *bytes.first().ok_or(DecodeError::TooShort { what: WHAT, found: 0, need: 2 })?;
    let has = |bit: u8| flags & bit != 0;
    let rate_len = 1 + usize::from(has(RATE_IS_WIDE));
    let need = 1 + rate_len + if has(HAS_ENERGY) { 2 } else { 0 };
    let Some((fixed, rest)) = bytes.split_at_checked(need) else {
        return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need });
    };
    if !rest.is_empty() && !has(HAS_INTERVALS) {
        return Err(DecodeError::TooLong { what: WHAT, found: bytes.len(), most: need });
    }
    let (intervals, half) = rest.as_chunks::<2>();
    if !half.is_empty() {
        return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need: bytes.len() + 1 });
    }
    let u16_at = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
    Ok(HeartRate {
        rate: if has(RATE_IS_WIDE) { u16_at(1) } else { fixed[1].into() },
        contact: match flags >> 1 & 0b11 {
            2 => Some(false),
            3 => Some(true),
            _ => None,
        },
        energy_kj: has(HAS_ENERGY).then(|| u16_at(1 + rate_len)),
        intervals: intervals.iter().map(|interval| u16::from_le_bytes(*interval)).collect(),
    })
}

/// Reads a value of 2A38: the number of the place.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn location(bytes: &[u8]) -> Result<u8, DecodeError> {
    Ok(gatt::Fields::exact("sensor location", bytes, 1)?.u8())
}

fn measured(bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    let read = parse(bytes)?;
    let rate = (read.rate != 0).then(|| Value::new(read.rate.into(), 0));
    let flags: Vec<Flag> = (read.contact == Some(false)).then(|| Flag::new("contact_lost")).into_iter().collect();
    Ok(gatt::present([(Vital::Pulse, rate, Unit::PerMinute)], None, &flags))
}

fn decode_value(uuid: Uuid, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    match uuid {
        MEASUREMENT => measured(bytes),
        LOCATION => location(bytes).map(|_| Vec::new()),
        other => Err(gatt::unknown(WHAT, other, "0x2a37 or 0x2a38")),
    }
}

fn decode(channel: Channel, frames: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    gatt::decode_values(WHAT, decode_value, channel, frames)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::tape::{self, Tape};

    #[test]
    fn a_rate_is_a_pulse() {
        tape::check(DRIVER, &["0055"], "pulse 85 /min");
        tape::check(DRIVER, &["01c800", "065a", "045a"], "pulse 200 /min; pulse 90 /min; pulse 90 /min contact_lost");
        tape::check(DRIVER, &["0000"], "");
        tape::check(DRIVER, &["00"], "heart rate: 1 bytes, need at least 2");
        tape::check(DRIVER, &["105a0008ff"], "heart rate: 5 bytes, need at least 6");
        tape::check(DRIVER, &["005aff"], "heart rate: 3 bytes, at most 2 are meant by its flags");
        tape::check(DRIVER, &["105a"], "pulse 90 /min");
    }

    #[test]
    fn a_belt_settles_into_one_measurement() {
        let mut tape = Tape::open(DRIVER);
        for _ in 0..3 {
            tape.value(MEASUREMENT, "0000").gives("");
        }
        tape.value(MEASUREMENT, "045a").gives("~ pulse 90 /min contact_lost 0 %");
        for rate in ["0648", "0649", "0649"] {
            tape.pass(SignedDuration::from_secs(1)).value(MEASUREMENT, rate);
        }
        tape.measures("");
        tape.value(MEASUREMENT, "0650").gives("pulse 73 /min");
        for _ in 0..60 {
            tape.pass(SignedDuration::from_secs(1)).value(MEASUREMENT, "0650");
        }
        tape.wait().measures("end");
    }

    #[test]
    fn a_belt_that_never_touches_is_told_as_unsettled() {
        let mut tape = Tape::open(DRIVER);
        for _ in 0..30 {
            tape.value(MEASUREMENT, "045a");
        }
        tape.measures("pulse 90 /min contact_lost unsettled");
        tape.closed().measures("end");
    }
}
