//! Nonin serial data format 2: Xpod, OEM III and relatives, 9600 8N1, talking without being asked.
//!
//! ```text
//! frame, 75 a second: 01 | status | pleth | float | sum of the four mod 256
//! status: 7 always 1, 5 artifact, 4 out of track, 3 sensor fault, 2 red and 1 green perfusion (both: yellow), 0 sync, on frame 1
//! packet, 3 a second: 25 frames, whose floats are, from 1:
//!   1-2 pulse, 3 SpO2, 4 revision, 6-7 timer, 8 {5 SmartPoint, 0 low battery}, 9 SpO2 for display, 10 SpO2 fast, 11 SpO2 beat to beat,
//!   14-15 pulse over 8 beats, 16 SpO2 over 8 beats, 17 the same for display, 20-21 pulse for display, 22-23 pulse over 8 beats for display
//! pulse = (msb & 3) << 7 | lsb, 511 missing; SpO2 127 missing
//! ```
//!
//! Pulse and SpO2 are the averages over 4 beats, not those for display: these stay for 10 s after the finger has gone. The stream becomes
//! one measurement of a sitting (see the file `settle.rs`). A port opened in the middle of a packet is no error: bytes are skipped until a frame
//! with the sync bit and a right checksum. After a frame that can't be, the packet is dropped and the search begins again.
//! Source: Nonin 9560 OEM specification 6470-000-01.

use jiff::{Timestamp, civil::DateTime};
use vitals::{Flag, Unit, Value, Vital};

use crate::{Channel, DecodeError, Driver, LineSettings, Measured, Output, Session, Transport, gatt, settle::Settle};

const WHAT: &str = "nonin df2";

/// Bytes in a frame.
pub const FRAME_BYTES: usize = 5;
/// Frames in a packet.
pub const PACKET_FRAMES: usize = 25;
const PACKET_BYTES: usize = FRAME_BYTES * PACKET_FRAMES;
const PACKETS_PER_SECOND: usize = 3;

const START: u8 = 0x01;
const ALWAYS: u8 = 1 << 7;
const SYNC: u8 = 1 << 0;
const PULSE_MISSING: u16 = 511;
const SPO2_MISSING: u8 = 127;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "nonin-df2",
    transport: Transport::Serial { settings: &[LineSettings::plain(9600)] },
    vitals: &[Vital::Spo2, Vital::Pulse],
    devices: &["Nonin Xpod", "Nonin OEM III", "Nonin 9560"],
    standard: "Nonin serial data format 2 (9560 OEM specification 6470-000-01)",
    open: |_| Box::new(Oximeter { stream: Stream::opened_anywhere(), settle: Settle::new(PACKETS_PER_SECOND) }),
    decode,
};

/// One frame whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame([u8; FRAME_BYTES]);

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for a wrong start or status, [`DecodeError::Checksum`].
    pub fn parse(bytes: [u8; FRAME_BYTES]) -> Result<Self, DecodeError> {
        let [start, status, pleth, float, found] = bytes;
        if start != START {
            return Err(DecodeError::Malformed { what: WHAT, field: "start", found: start.into(), wanted: "0x01" });
        }
        if status & ALWAYS == 0 {
            return Err(DecodeError::Malformed {
                what: WHAT,
                field: "status",
                found: status.into(),
                wanted: "bit 7 set",
            });
        }
        let wanted = [start, status, pleth, float].into_iter().fold(0, u8::wrapping_add);
        if found != wanted {
            return Err(DecodeError::Checksum { what: WHAT, found, wanted });
        }
        Ok(Self(bytes))
    }

    /// Is it the first of its packet?
    #[must_use]
    pub fn is_sync(self) -> bool {
        self.status() & SYNC != 0
    }

    /// Quality bits of this 75th of a second.
    #[must_use]
    pub fn status(self) -> u8 {
        self.0[1]
    }

    /// One point of the pulse curve.
    #[must_use]
    pub fn pleth(self) -> u8 {
        self.0[2]
    }

    /// This frame's part of the packet.
    #[must_use]
    pub fn float(self) -> u8 {
        self.0[3]
    }
}

/// What 25 frames say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    floats: [u8; PACKET_FRAMES],
    /// Quality bits of any of its frames.
    pub flags: Vec<Flag>,
}

impl Packet {
    fn of(frames: &[Frame]) -> Self {
        let mut floats = [0; PACKET_FRAMES];
        for (float, frame) in floats.iter_mut().zip(frames) {
            *float = frame.float();
        }
        let mut flags = status_flags(frames);
        let second = floats[7];
        flags.extend(gatt::named(second.into(), &[(5, "smart_point"), (0, "low_battery")]));
        Self { floats, flags }
    }

    /// The pulse whose upper part is float `from`, counted from 1: 1, 14, 20 or 22.
    #[must_use]
    pub fn pulse(&self, from: usize) -> Option<u16> {
        let (high, low) = (self.floats[from - 1], self.floats[from]);
        let rate = u16::from(high & 0b11) << 7 | u16::from(low & 0x7f);
        (rate != PULSE_MISSING).then_some(rate)
    }

    /// The saturation in float `at`, counted from 1: 3, 9, 10, 11, 16 or 17.
    #[must_use]
    pub fn spo2(&self, at: usize) -> Option<u8> {
        let percent = self.floats[at - 1] & 0x7f;
        (percent != SPO2_MISSING).then_some(percent)
    }

    /// The revision of the device's program.
    #[must_use]
    pub fn revision(&self) -> u8 {
        self.floats[3]
    }

    fn measured(&self) -> Vec<Measured> {
        let spo2 = self.spo2(3).map(|percent| Value::new(percent.into(), 0));
        let pulse = self.pulse(1).map(|rate| Value::new(rate.into(), 0));
        gatt::present([(Vital::Spo2, spo2, Unit::Percent), (Vital::Pulse, pulse, Unit::PerMinute)], None, &self.flags)
    }
}

fn status_flags(frames: &[Frame]) -> Vec<Flag> {
    const RED: u8 = 1 << 2;
    const GREEN: u8 = 1 << 1;
    let any = |mask: u8, value: u8| frames.iter().any(|frame| frame.status() & mask == value);
    let seen = [
        (any(1 << 5, 1 << 5), "artifact"),
        (any(1 << 4, 1 << 4), "out_of_track"),
        (any(1 << 3, 1 << 3), "sensor_fault"),
        (any(RED | GREEN, RED), "low_perfusion"),
        (any(RED | GREEN, RED | GREEN), "marginal_perfusion"),
    ];
    seen.into_iter().filter(|(seen, _)| *seen).map(|(_, name)| Flag::new(name)).collect()
}

/// A refusal and its bytes.
type Refusal = (DecodeError, Vec<u8>);

/// Where the stream stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Looking byte by byte for a sync frame. What is skipped first has been accounted for already.
    Lost { excused: bool },
    /// On a frame's start, somewhere in a packet of which the beginning is missing.
    Within,
    /// On a frame's start, all frames of the packet so far at hand.
    Packet,
}

/// Bytes, cut anywhere, to packets.
struct Stream {
    buffer: Vec<u8>,
    place: Place,
    frames: Vec<Frame>,
    skipped: Vec<u8>,
}

impl Stream {
    fn opened_anywhere() -> Self {
        Self { buffer: Vec::new(), place: Place::Lost { excused: true }, frames: Vec::new(), skipped: Vec::new() }
    }

    fn opened_on_a_frame() -> Self {
        Self { place: Place::Within, ..Self::opened_anywhere() }
    }

    /// At most four bytes and a packet's frames are kept between calls.
    fn take(&mut self, bytes: &[u8]) -> Vec<Result<Packet, Refusal>> {
        let mut said = Vec::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.extend_from_slice(bytes);
        let mut rest = &buffer[..];
        while let Some(next) = rest.first_chunk::<FRAME_BYTES>() {
            let used = self.step(*next, &mut said);
            rest = &rest[used..];
        }
        self.buffer = rest.to_vec();
        said
    }

    /// Looks at the next five bytes, and says how many of them are done with.
    fn step(&mut self, next: [u8; FRAME_BYTES], said: &mut Vec<Result<Packet, Refusal>>) -> usize {
        let parsed = Frame::parse(next);
        match (self.place, parsed) {
            (Place::Lost { .. }, Ok(frame)) if frame.is_sync() => self.begin(frame),
            (Place::Lost { excused }, _) => {
                said.extend(self.skip(next[0], excused).map(Err));
                return 1;
            }
            (_, Err(error)) => {
                said.push(Err((error, next.to_vec())));
                *self = Self { place: Place::Lost { excused: true }, ..Self::opened_anywhere() };
                return 1;
            }
            (Place::Within, Ok(frame)) if !frame.is_sync() => {}
            (Place::Within, Ok(frame)) => self.begin(frame),
            (Place::Packet, Ok(frame)) => said.extend(self.go_on(frame)),
        }
        FRAME_BYTES
    }

    fn begin(&mut self, frame: Frame) {
        self.skipped.clear();
        self.frames = vec![frame];
        self.place = Place::Packet;
    }

    fn skip(&mut self, byte: u8, excused: bool) -> Option<Refusal> {
        self.skipped.push(byte);
        if self.skipped.len() < PACKET_BYTES {
            return None;
        }
        let skipped = std::mem::take(&mut self.skipped);
        self.place = Place::Lost { excused: false };
        let error = DecodeError::Malformed {
            what: WHAT,
            field: "start",
            found: skipped[0].into(),
            wanted: "0x01 and a status with the sync bit",
        };
        (!excused).then_some((error, skipped))
    }

    fn go_on(&mut self, frame: Frame) -> Option<Result<Packet, Refusal>> {
        let lost = match (frame.is_sync(), self.frames.len()) {
            (true, 0) | (false, 1..) => None,
            (true, count) => Some(DecodeError::FrameLoss { what: WHAT, found: count + 1, need: PACKET_FRAMES }),
            (false, 0) => Some(DecodeError::Malformed {
                what: WHAT,
                field: "status",
                found: frame.status().into(),
                wanted: "the sync bit after 25 frames",
            }),
        };
        if let Some(error) = lost {
            let mut bytes: Vec<u8> = self.frames.iter().flat_map(|frame| frame.0).collect();
            if frame.is_sync() {
                self.begin(frame);
            } else {
                bytes.extend(frame.0);
                self.place = Place::Within;
            }
            return Some(Err((error, bytes)));
        }
        self.frames.push(frame);
        if self.frames.len() < PACKET_FRAMES {
            return None;
        }
        Some(Ok(Packet::of(&std::mem::take(&mut self.frames))))
    }

    /// Bytes of a packet that isn't complete.
    fn pending(&self) -> usize {
        self.frames.len() * FRAME_BYTES + self.buffer.len()
    }
}

/// The packets of a stream that begins on a frame and ends with a packet.
///
/// # Errors
/// The first thing in it that can't be understood, or [`DecodeError::Incomplete`].
pub fn packets(bytes: &[u8]) -> Result<Vec<Packet>, DecodeError> {
    let mut stream = Stream::opened_on_a_frame();
    let said: Result<Vec<Packet>, Refusal> = stream.take(bytes).into_iter().collect();
    let packets = said.map_err(|(error, _)| error)?;
    if packets.is_empty() || stream.pending() > 0 {
        return Err(DecodeError::Incomplete { what: WHAT, found: stream.pending(), need: PACKET_BYTES });
    }
    Ok(packets)
}

fn decode(_: Channel, pieces: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    Ok(packets(&pieces.concat())?.iter().flat_map(Packet::measured).collect())
}

/// A connection.
struct Oximeter {
    stream: Stream,
    settle: Settle,
}

impl Session for Oximeter {
    fn connected(&mut self, _now: Timestamp, _local: DateTime) -> Vec<Output> {
        Vec::new()
    }

    fn received(&mut self, now: Timestamp, _channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let said = self.stream.take(bytes);
        said.into_iter()
            .flat_map(|one| match one {
                Ok(packet) => self.settle.sample(now, packet.measured()),
                Err((error, bytes)) => vec![Output::Refused { error, bytes }],
            })
            .collect()
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        self.settle.silent_at()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        self.settle.timed_out(now)
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        self.settle.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

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
        tape.line(&good[33..]);
        for _ in 0..24 {
            for piece in good.chunks(7) {
                tape.line(piece);
            }
        }
        tape.gives("spo2 97 %; pulse 72 /min; end");
    }

    #[test]
    fn resyncs_after_garbage_and_says_it_once() {
        let mut tape = Tape::open(DRIVER);
        let good = packet(0, 97, 72);
        tape.line(&good).line(&[0xff; 60]).gives("! nonin df2: start is 0xff, want 0x01");
        for _ in 0..12 {
            tape.line(&good);
        }
        tape.gives("spo2 97 %; pulse 72 /min; end");
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
    fn an_old_value_beside_a_sensor_on_nobody_is_no_measurement() {
        let mut tape = Tape::open(DRIVER);
        for _ in 0..100 {
            tape.line(&packet(1 << 3, 97, 72));
        }
        tape.closed().gives("");
    }
}
