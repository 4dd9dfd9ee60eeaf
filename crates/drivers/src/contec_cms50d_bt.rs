//! Contec CMS50D-BT: a fingertip oximeter on Contec's Bluetooth service ff12.
//!
//! ```text
//! every frame ends with the sum of the bytes before it, without bit 7
//! host   9B 01 1C                                          send live values
//! device EB 01 | state | pulse | SpO2 | 7F 00 | sum        values; pulse 255 and SpO2 127 missing, or both 127
//!        EB 00 | state | pulse curve | bar | sum           the curve, not used
//! ```
//!
//! The stream becomes one measurement of a sitting (see the file `settle.rs`). The bits of the state are not public, and give no flags.
//! Source: captures in tobiasisenberg/OxiVis issue 2, with the checksum found in them; no document of the maker.

use uuid::Uuid;
use vitals::Vital;

use crate::{
    Channel, DecodeError, Driver, Measured, Transport, bci,
    contec_sp10::checksum,
    gatt::{self, uuid16},
    live::Values,
};

const WHAT: &str = "contec cms50d-bt";

/// Contec's service.
pub const SERVICE: Uuid = uuid16(0xff12);
/// Where commands are written.
pub const COMMANDS: Uuid = uuid16(0xff01);
/// Where frames come from.
pub const FRAMES: Uuid = uuid16(0xff02);
/// Asks for live values.
pub const START: [u8; 3] = [0x9b, 0x01, 0x1c];

const COMMAND: u8 = 0x9b;
const LIVE: u8 = 0xeb;
const CURVE: u8 = 0x00;
const VALUES: u8 = 0x01;
/// Bytes of a frame of values, and of the curve.
const VALUES_BYTES: usize = 8;
const CURVE_BYTES: usize = 6;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "contec-cms50d-bt",
    transport: Transport::Ble { service: SERVICE, subscribe: &[FRAMES], read: &[], names: &["CMS50"] },
    vitals: &[Vital::Spo2, Vital::Pulse],
    devices: &["Contec CMS50D-BT"],
    standard: "Contec oximeter frames over service ff12, as decoded in public (no document of the maker)",
    open: |_| {
        Values::new(WHAT, decode, |bytes| matches!(parse(bytes), Ok(Frame::Curve { .. })))
            .open(Some((Channel::Characteristic(COMMANDS), &START)))
    },
    decode: |channel, frames| gatt::decode_values(WHAT, |_, bytes| decode(bytes), channel, frames),
};

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The host's command to send live values.
    Start,
    /// A point of the curve.
    Curve {
        /// The point.
        pleth: u8,
        /// The bar of the display.
        bar: u8,
    },
    /// Values.
    Values {
        /// Beats a minute.
        pulse: Option<u8>,
        /// Oxygen saturation, percent.
        spo2: Option<u8>,
    },
}

/// Reads a frame.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`], [`DecodeError::Checksum`], [`DecodeError::Malformed`] for a frame of another kind.
pub fn parse(bytes: &[u8]) -> Result<Frame, DecodeError> {
    let need = match *bytes {
        [COMMAND, ..] => START.len(),
        [LIVE, VALUES, ..] => VALUES_BYTES,
        [LIVE, CURVE, ..] => CURVE_BYTES,
        [LIVE, found, ..] => return Err(malformed("kind", found, "0x00 or 0x01")),
        [] | [LIVE] => return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need: CURVE_BYTES }),
        [found, ..] => return Err(malformed("code", found, "0xeb, or 0x9b of the host")),
    };
    let fields = gatt::Fields::exact(WHAT, bytes, need);
    fields?;
    let (found, wanted) = (bytes[need - 1], checksum(&bytes[..need - 1]));
    if found & 0x7f != wanted {
        return Err(DecodeError::Checksum { what: WHAT, found, wanted });
    }
    if need == START.len() {
        return Ok(Frame::Start);
    }
    if need == CURVE_BYTES {
        return Ok(Frame::Curve { pleth: bytes[3] & 0x7f, bar: bytes[4] & 0x0f });
    }
    let spo2 = Some(bytes[4]).filter(|percent| ![0, 127, 255].contains(percent));
    let pulse = Some(bytes[3]).filter(|rate| ![0, 255].contains(rate) && (*rate != 127 || spo2.is_some()));
    Ok(Frame::Values { pulse, spo2 })
}

fn malformed(field: &'static str, found: u8, wanted: &'static str) -> DecodeError {
    DecodeError::Malformed { what: WHAT, field, found: found.into(), wanted }
}

fn decode(bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    Ok(match parse(bytes)? {
        Frame::Start | Frame::Curve { .. } => Vec::new(),
        Frame::Values { pulse, spo2 } => bci::measured(spo2, pulse.map(u16::from), &[]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

    /// A capture of the source named above, with its checksum.
    const GOOD: &str = "eb010453637f0025";
    const CURVE: &str = "eb000348093f";

    #[test]
    fn frames_say_what_is_there() {
        tape::check(DRIVER, &[GOOD], "spo2 99 %; pulse 83 /min");
        tape::check(DRIVER, &["eb01047f637f0051"], "spo2 99 %; pulse 127 /min");
        tape::check(DRIVER, &[CURVE], "");
        tape::check(DRIVER, &["9b011c"], "");
        let nobody = [&[0xeb, 0x01, 0x00, 0x7f, 0x7f, 0x7f, 0x00][..], &[checksum(&[0xeb, 0x01, 0x7f, 0x7f, 0x7f])]];
        tape::check(DRIVER, &[&tape::hex(&nobody.concat())], "");
    }

    #[test]
    fn what_is_none_is_refused() {
        tape::check(DRIVER, &["eb010453637f0026"], "contec cms50d-bt: checksum is 0x26, the bytes give 0x25");
        tape::check(DRIVER, &["eb010453637f00"], "contec cms50d-bt: 7 bytes, need at least 8");
        tape::check(DRIVER, &["eb020453637f0025"], "contec cms50d-bt: kind is 0x02, want 0x00 or 0x01");
        tape::check(DRIVER, &["91000112"], "contec cms50d-bt: code is 0x91, want 0xeb, or 0x9b of the host");
        tape::check(DRIVER, &["9b011d"], "contec cms50d-bt: checksum is 0x1d, the bytes give 0x1c");
        tape::check(DRIVER, &["eb"], "contec cms50d-bt: 1 bytes, need at least 6");
    }

    #[test]
    fn it_is_asked_and_its_values_settle() {
        let mut tape = Tape::open(DRIVER);
        tape.gives("> 9b011c");
        for _ in 0..4 {
            tape.value(FRAMES, CURVE).value(FRAMES, GOOD);
        }
        tape.measures("spo2 99 %; pulse 83 /min").closed().gives("end");
    }
}
