//! Jumper JPD-500F and relatives, fingertip oximeters with a Bluetooth service of the maker's own.
//!
//! ```text
//! service cdeacb80, characteristic cdeacb81 (notify)
//! 81 | pulse, 255 missing | SpO2, 127 missing | perfusion index x 10       once a second
//! 80 | ...                                                                 the pulse curve, not used
//! ```
//!
//! The stream becomes one measurement of a sitting (see the file `settle.rs`). A perfusion index of 0 is said as it is.
//! Source: two independent public apps that know the characteristic; no document of the maker.

use uuid::{Uuid, uuid};
use vitals::{Unit, Value, Vital};

use crate::{DecodeError, Driver, Measured, Transport, bci, gatt, live::Values};

const WHAT: &str = "jumper";

/// The service.
pub const SERVICE: Uuid = uuid!("cdeacb80-5235-4c07-8846-93a37ee6b86d");
/// Values and the curve.
pub const VALUES: Uuid = uuid!("cdeacb81-5235-4c07-8846-93a37ee6b86d");

const HEADER: u8 = 0x81;
const CURVE: u8 = 0x80;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "jumper",
    transport: Transport::Ble { service: SERVICE, subscribe: &[VALUES], read: &[], names: &["My Oximeter", "JPD"] },
    vitals: &[Vital::Spo2, Vital::Pulse, Vital::PerfusionIndex],
    devices: &["Jumper JPD-500F"],
    standard: "Jumper oximeter protocol, as decoded in public (no document of the maker)",
    open: |_| Values::new(WHAT, decode, |bytes| bytes.first() == Some(&CURVE)).open(None),
    decode: |channel, frames| gatt::decode_values(WHAT, |_, bytes| decode(bytes), channel, frames),
};

/// One value of the characteristic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oximetry {
    /// Beats a minute.
    pub pulse: Option<u8>,
    /// Oxygen saturation, percent.
    pub spo2: Option<u8>,
    /// Perfusion index, percent.
    pub index: Value,
}

/// Reads a value.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`], [`DecodeError::Malformed`] for another header.
pub fn parse(bytes: &[u8]) -> Result<Oximetry, DecodeError> {
    if let Some(&found) = bytes.first().filter(|first| **first != HEADER) {
        return Err(DecodeError::Malformed { what: WHAT, field: "header", found: found.into(), wanted: "0x81" });
    }
    let mut fields = gatt::Fields::exact(WHAT, bytes, 4)?;
    fields.u8();
    let pulse = Some(fields.u8()).filter(|rate| ![0, 255].contains(rate));
    let spo2 = Some(fields.u8()).filter(|percent| ![0, 127].contains(percent));
    Ok(Oximetry { pulse, spo2, index: Value::new(fields.u8().into(), 1) })
}

fn decode(bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    let read = parse(bytes)?;
    let index = gatt::present([(Vital::PerfusionIndex, Some(read.index), Unit::Percent)], None, &[]);
    Ok([bci::measured(read.spo2, read.pulse.map(u16::from), &[]), index].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

    #[test]
    fn a_value_says_what_is_there() {
        tape::check(DRIVER, &["81486129"], "spo2 97 %; pulse 72 /min; perfusion_index 4.1 %");
        tape::check(DRIVER, &["81ff7f00"], "perfusion_index 0.0 %");
        tape::check(DRIVER, &["81486100"], "spo2 97 %; pulse 72 /min; perfusion_index 0.0 %");
        tape::check(DRIVER, &["80386344"], "jumper: header is 0x80, want 0x81");
        tape::check(DRIVER, &["814861"], "jumper: 3 bytes, need at least 4");
        tape::check(DRIVER, &["8148612900"], "jumper: 5 bytes, at most 4 are meant by its flags");
    }

    #[test]
    fn a_stream_is_one_measurement_until_the_finger_is_out() {
        let mut tape = Tape::open(DRIVER);
        tape.value(VALUES, "8148612a").gives("~ spo2 97 %; pulse 72 /min; perfusion_index 4.2 % 25 %");
        for _ in 0..40 {
            tape.value(VALUES, "80386344").value(VALUES, "81486129");
        }
        tape.measures("spo2 97 %; pulse 72 /min; perfusion_index 4.1 %");
        for _ in 0..3 {
            tape.value(VALUES, "81ff7f00");
        }
        tape.gives("end").closed().gives("");
    }
}
