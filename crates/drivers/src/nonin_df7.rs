//! Nonin serial data format 7: as format 2, with the pulse curve in 16 bits, 9600 8N1.
//!
//! ```text
//! frame, 75 a second: status | pleth msb | pleth lsb | float | sum of the four mod 256    25 of them are a packet: nonin_frames.rs
//! ```
//!
//! The stream becomes one measurement of a sitting (see the file `settle.rs`). A device that doesn't talk is told to use this format.
//! Source: Nonin 9560 OEM specification 6470-000-01.

use vitals::Vital;

use crate::{
    DecodeError, Driver, LineSettings, Transport,
    live::{End, Live, Streaming},
    nonin_command::{DataFormat, Selecting},
    nonin_frames::{self, FRAME_BYTES, Format, Frame, PACKETS_PER_SECOND, Stream},
};

const WHAT: &str = "nonin df7";

/// The format.
pub const FORMAT: Format = Format { what: WHAT, frame, begin: "a status with bit 7 and the sync bit" };

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "nonin-df7",
    transport: Transport::Serial { settings: &[LineSettings::plain(9600)] },
    vitals: &[Vital::Spo2, Vital::Pulse],
    devices: &["Nonin Xpod", "Nonin OEM III", "Nonin 9560"],
    standard: "Nonin serial data format 7 (9560 OEM specification 6470-000-01)",
    open: |_| {
        let live = Live::new(1, PACKETS_PER_SECOND, End::Measured);
        let streaming = Streaming::new(Stream::opened_anywhere(FORMAT), live, None);
        Box::new(Selecting::new(DataFormat::Df7, streaming))
    },
    decode: |_, pieces| nonin_frames::decode(FORMAT, pieces),
};

/// Reads a frame.
///
/// # Errors
/// [`DecodeError::Malformed`] for a wrong status, [`DecodeError::Checksum`].
pub fn frame(bytes: [u8; FRAME_BYTES]) -> Result<Frame, DecodeError> {
    let [status, high, low, float, _] = bytes;
    Frame::checked(WHAT, bytes, status, u16::from_be_bytes([high, low]), float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        nonin_frames::PACKET_FRAMES,
        tape::{self, Tape},
    };

    fn packet(status: u8, spo2: u8, pulse: u8) -> Vec<u8> {
        let mut floats = [0; PACKET_FRAMES];
        (floats[1], floats[2]) = (pulse, spo2);
        let frame = |(index, float): (usize, &u8)| {
            let head = [0x80 | status | u8::from(index == 0), 0x12, 0x34, *float];
            [&head[..], &[head.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))]].concat()
        };
        floats.iter().enumerate().flat_map(frame).collect()
    }

    #[test]
    fn a_packet_says_the_averages_over_four_beats() {
        let good = packet(1 << 5, 97, 72);
        tape::check(DRIVER, &[&tape::hex(&good)], "spo2 97 % artifact; pulse 72 /min artifact");
        tape::check(DRIVER, &[&tape::hex(&good[..124])], "nonin df7: incomplete, 124 bytes of 125");
        tape::check(DRIVER, &["0112341234"], "nonin df7: status is 0x01, want bit 7 set");
        assert_eq!(frame([0x81, 0x12, 0x34, 0, 0xc7]).unwrap().pleth, 0x1234);
    }

    #[test]
    fn a_stream_opened_anywhere_is_one_measurement() {
        let mut tape = Tape::open(DRIVER);
        let good = packet(0, 97, 72);
        tape.line(&good[33..]).line(&[0xff; 9]);
        for piece in good.repeat(14).chunks(7) {
            tape.line(piece);
        }
        tape.measures("spo2 97 %; pulse 72 /min; end").wait().gives("");
        assert_eq!(tape.understands(), Some(true));
    }
}
