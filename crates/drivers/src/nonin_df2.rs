//! Nonin serial data format 2: Xpod, OEM III, 9560 and relatives, 9600 8N1.
//!
//! ```text
//! frame, 75 a second: 01 | status | pleth | float | sum of the four mod 256        25 of them are a packet: the file nonin_frames.rs
//! ```
//!
//! The stream becomes one measurement of a sitting (see the file `settle.rs`). Many models talk without being asked; one that doesn't is told
//! to use this format (see the file `nonin_command.rs`).
//! Source: Nonin 9560 OEM specification 6470-000-01.

use vitals::Vital;

use crate::{
    DecodeError, Driver, LineSettings, Transport,
    live::{End, Live, Streaming},
    nonin_command::{DataFormat, Selecting},
    nonin_frames::{self, FRAME_BYTES, Format, Frame, PACKETS_PER_SECOND, Stream},
};

const WHAT: &str = "nonin df2";
const START: u8 = 0x01;

/// The format.
pub const FORMAT: Format = Format { what: WHAT, frame, begin: "0x01 and a status with the sync bit" };

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "nonin-df2",
    transport: Transport::Serial { settings: &[LineSettings::plain(9600)] },
    vitals: &[Vital::Spo2, Vital::Pulse],
    devices: &["Nonin Xpod", "Nonin OEM III", "Nonin 9560"],
    standard: "Nonin serial data format 2 (9560 OEM specification 6470-000-01)",
    open: |_| {
        let live = Live::new(1, PACKETS_PER_SECOND, End::Measured);
        let streaming = Streaming::new(Stream::opened_anywhere(FORMAT), live, None);
        Box::new(Selecting::new(DataFormat::Df2, streaming))
    },
    decode: |_, pieces| nonin_frames::decode(FORMAT, pieces),
};

/// Reads a frame.
///
/// # Errors
/// [`DecodeError::Malformed`] for a wrong start or status, [`DecodeError::Checksum`].
pub fn frame(bytes: [u8; FRAME_BYTES]) -> Result<Frame, DecodeError> {
    let [start, status, pleth, float, _] = bytes;
    if start != START {
        return Err(DecodeError::Malformed { what: WHAT, field: "start", found: start.into(), wanted: "0x01" });
    }
    Frame::checked(WHAT, bytes, status, pleth.into(), float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        nonin_frames::PACKET_FRAMES,
        tape::{self, Tape},
    };

    fn packet(status: u8, spo2: u8, pulse: u16) -> Vec<u8> {
        let mut floats = [0_u8; PACKET_FRAMES];
        floats[0] = u8::try_from(pulse >> 7).unwrap();
        floats[1] = u8::try_from(pulse & 0x7f).unwrap();
        floats[2] = spo2;
        let frame = |(index, float): (usize, &u8)| {
            let head = [0x01, 0x80 | status | u8::from(index == 0), 100, *float];
            [&head[..], &[head.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))]].concat()
        };
        floats.iter().enumerate().flat_map(frame).collect()
    }

    #[track_caller]
    fn check(stream: &[u8], wanted: &str) {
        tape::check(DRIVER, &[&tape::hex(stream)], wanted);
    }

    #[test]
    fn a_packet_says_the_averages_over_four_beats() {
        check(&packet(0, 97, 200), "spo2 97 %; pulse 200 /min");
        check(
            &packet(0b0010_1100, 97, 72),
            "spo2 97 % artifact sensor_fault low_perfusion; pulse 72 /min artifact sensor_fault low_perfusion",
        );
        check(&packet(0b0000_0110, 97, 511), "spo2 97 % marginal_perfusion");
        check(&packet(0, 127, 511), "");
    }

    #[test]
    fn a_stream_that_is_cut_or_damaged_is_refused() {
        let good = packet(0, 97, 72);
        check(&good[..120], "nonin df2: incomplete, 120 bytes of 125");
        check(&[], "nonin df2: incomplete, 0 bytes of 125");
        check(&good[..123], "nonin df2: incomplete, 123 bytes of 125");
        check(&[&good[..100], &good[105..], &good[..5]].concat(), "nonin df2: frame 25 of 25 is missing");
        check(&[&good[..], &good[5..]].concat(), "nonin df2: status is 0x80, want the sync bit after 25 frames");
        let mut bad = good.clone();
        bad[9] ^= 1;
        check(&bad, &format!("nonin df2: checksum is {:#04x}, the bytes give {:#04x}", bad[9], good[9]));
        check(&[&good[50..], &good[..]].concat(), "spo2 97 %; pulse 72 /min");
    }

    #[test]
    fn more_than_settled_is_one_measurement() {
        let mut tape = Tape::open(DRIVER);
        let good = packet(0, 97, 72);
        assert_eq!(tape.understands(), None);
        tape.line(&good[33..]);
        for _ in 0..24 {
            for piece in good.chunks(7) {
                tape.line(piece);
            }
        }
        tape.measures("spo2 97 %; pulse 72 /min; end");
        assert_eq!(tape.understands(), Some(true));
    }

    #[test]
    fn resyncs_after_garbage_and_says_it_once() {
        let mut tape = Tape::open(DRIVER);
        let good = packet(0, 97, 72);
        tape.line(&good).line(&[0xff; 60]).gives("! nonin df2: start is 0xff, want 0x01");
        for _ in 0..12 {
            tape.line(&good);
        }
        tape.measures("spo2 97 %; pulse 72 /min; end");
    }

    #[test]
    fn a_line_that_is_only_noise_is_refused_in_bounded_pieces() {
        let mut tape = Tape::open(DRIVER);
        tape.line(&[0x55; 125 * 3 + 4]).gives(
            "! nonin df2: start is 0x55, want 0x01 and a status with the sync bit; \
             ! nonin df2: start is 0x55, want 0x01 and a status with the sync bit",
        );
    }

    #[test]
    fn what_comes_at_a_wrong_rate_is_told() {
        let mut tape = Tape::open(DRIVER);
        tape.line(&[0xf8; 255]);
        assert_eq!(tape.understands(), None);
        tape.line(&[0xf8; 126]);
        assert_eq!(tape.understands(), Some(false));
    }

    #[test]
    fn a_device_that_talks_is_not_asked_and_one_that_does_not_is() {
        let mut tape = Tape::open(DRIVER);
        tape.line(&packet(0, 127, 511)).wait().gives("");
        let mut tape = Tape::open(DRIVER);
        tape.wait().gives("> 027002020203");
        tape.line(&[0x06]).line(&packet(0, 127, 511)).wait().gives("");
    }

    #[test]
    fn an_old_value_beside_a_sensor_on_nobody_is_no_measurement() {
        let mut tape = Tape::open(DRIVER);
        for _ in 0..100 {
            tape.line(&packet(1 << 3, 97, 72));
        }
        tape.closed().gives("");
    }
}
