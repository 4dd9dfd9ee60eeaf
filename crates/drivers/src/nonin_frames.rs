//! The packets of Nonin's data formats 2 and 7: 25 frames of five bytes, which differ in the frame alone.
//!
//! ```text
//! status: 7 always 1, 5 artifact, 4 out of track, 3 sensor alarm, 2 red and 1 green perfusion (both: yellow), 0 sync, on frame 1
//! packet, 3 a second: 25 frames, whose floats are, from 1:
//!   1-2 pulse, 3 SpO2, 4 revision, 6-7 timer, 8 {5 SmartPoint, 0 low battery}, 9 SpO2 for display, 10 SpO2 fast, 11 SpO2 beat to beat,
//!   14-15 pulse over 8 beats, 16 SpO2 over 8 beats, 17 the same for display, 20-21 pulse for display, 22-23 pulse over 8 beats for display
//! pulse = (msb & 3) << 7 | lsb, 511 missing; SpO2 127 missing
//! ```
//!
//! Pulse and SpO2 are the averages over 4 beats, not those for display: these stay for 10 s after the finger has gone. A port opened in the
//! middle of a packet is no error: bytes are skipped until a frame with the sync bit and a right checksum. After a frame that can't be, the
//! packet is dropped and the search begins again.
//! Source: Nonin 9560 OEM specification 6470-000-01.

use vitals::{Flag, Unit, Value, Vital};

use crate::{
    DecodeError, Measured, gatt,
    live::{self, Refusal, Said},
};

/// Bytes in a frame.
pub const FRAME_BYTES: usize = 5;
/// Frames in a packet.
pub const PACKET_FRAMES: usize = 25;
const PACKET_BYTES: usize = FRAME_BYTES * PACKET_FRAMES;
/// Packets a second.
pub const PACKETS_PER_SECOND: usize = 3;

const ALWAYS: u8 = 1 << 7;
const SYNC: u8 = 1 << 0;
const PULSE_MISSING: u16 = 511;
const SPO2_MISSING: u8 = 127;

/// What the two formats differ in.
#[derive(Clone, Copy)]
pub struct Format {
    /// Its name.
    pub what: &'static str,
    /// Reads a frame.
    pub frame: fn([u8; FRAME_BYTES]) -> Result<Frame, DecodeError>,
    /// How its packets begin, for a sentence.
    pub begin: &'static str,
}

/// One frame whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: [u8; FRAME_BYTES],
    /// Quality bits of this 75th of a second.
    pub status: u8,
    /// One point of the pulse curve.
    pub pleth: u16,
    /// This frame's part of the packet.
    pub float: u8,
}

impl Frame {
    /// Checks the status and the checksum.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for a wrong status, [`DecodeError::Checksum`].
    pub fn checked(
        what: &'static str,
        bytes: [u8; FRAME_BYTES],
        status: u8,
        pleth: u16,
        float: u8,
    ) -> Result<Self, DecodeError> {
        if status & ALWAYS == 0 {
            let (field, found, wanted) = ("status", status.into(), "bit 7 set");
            return Err(DecodeError::Malformed { what, field, found, wanted });
        }
        let [before @ .., found] = bytes;
        let wanted = before.into_iter().fold(0, u8::wrapping_add);
        if found != wanted {
            return Err(DecodeError::Checksum { what, found, wanted });
        }
        Ok(Self { bytes, status, pleth, float })
    }

    /// Is it the first of its packet?
    #[must_use]
    pub fn is_sync(self) -> bool {
        self.status & SYNC != 0
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
            *float = frame.float;
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

    /// The averages over four beats.
    #[must_use]
    pub fn measured(&self) -> Vec<Measured> {
        let spo2 = self.spo2(3).map(|percent| Value::new(percent.into(), 0));
        let pulse = self.pulse(1).map(|rate| Value::new(rate.into(), 0));
        gatt::present([(Vital::Spo2, spo2, Unit::Percent), (Vital::Pulse, pulse, Unit::PerMinute)], None, &self.flags)
    }
}

fn status_flags(frames: &[Frame]) -> Vec<Flag> {
    const RED: u8 = 1 << 2;
    const GREEN: u8 = 1 << 1;
    let any = |mask: u8, value: u8| frames.iter().any(|frame| frame.status & mask == value);
    let seen = [
        (any(1 << 5, 1 << 5), "artifact"),
        (any(1 << 4, 1 << 4), "out_of_track"),
        (any(1 << 3, 1 << 3), "sensor_fault"),
        (any(RED | GREEN, RED), "low_perfusion"),
        (any(RED | GREEN, RED | GREEN), "marginal_perfusion"),
    ];
    seen.into_iter().filter(|(seen, _)| *seen).map(|(_, name)| Flag::new(name)).collect()
}

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
pub struct Stream {
    format: Format,
    buffer: Vec<u8>,
    place: Place,
    frames: Vec<Frame>,
    skipped: Vec<u8>,
}

impl Stream {
    /// A stream that is opened anywhere.
    #[must_use]
    pub fn opened_anywhere(format: Format) -> Self {
        let place = Place::Lost { excused: true };
        Self { format, buffer: Vec::new(), place, frames: Vec::new(), skipped: Vec::new() }
    }

    fn opened_on_a_frame(format: Format) -> Self {
        Self { place: Place::Within, ..Self::opened_anywhere(format) }
    }

    /// At most four bytes and a packet's frames are kept between calls.
    fn packets(&mut self, bytes: &[u8]) -> Vec<Result<Packet, Refusal>> {
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
        let parsed = (self.format.frame)(next);
        match (self.place, parsed) {
            (Place::Lost { .. }, Ok(frame)) if frame.is_sync() => self.begin(frame),
            (Place::Lost { excused }, _) => {
                said.extend(self.skip(next[0], excused).map(Err));
                return 1;
            }
            (_, Err(error)) => {
                said.push(Err((error, next.to_vec())));
                *self = Self::opened_anywhere(self.format);
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
            what: self.format.what,
            field: "start",
            found: skipped[0].into(),
            wanted: self.format.begin,
        };
        (!excused).then_some((error, skipped))
    }

    fn go_on(&mut self, frame: Frame) -> Option<Result<Packet, Refusal>> {
        let lost = match (frame.is_sync(), self.frames.len()) {
            (true, 0) | (false, 1..) => None,
            (true, count) => {
                Some(DecodeError::FrameLoss { what: self.format.what, found: count + 1, need: PACKET_FRAMES })
            }
            (false, 0) => Some(DecodeError::Malformed {
                what: self.format.what,
                field: "status",
                found: frame.status.into(),
                wanted: "the sync bit after 25 frames",
            }),
        };
        if let Some(error) = lost {
            let mut bytes: Vec<u8> = self.frames.iter().flat_map(|frame| frame.bytes).collect();
            if frame.is_sync() {
                self.begin(frame);
            } else {
                bytes.extend(frame.bytes);
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
pub fn packets(format: Format, bytes: &[u8]) -> Result<Vec<Packet>, DecodeError> {
    let mut stream = Stream::opened_on_a_frame(format);
    let said: Result<Vec<Packet>, Refusal> = stream.packets(bytes).into_iter().collect();
    let packets = said.map_err(|(error, _)| error)?;
    if packets.is_empty() || stream.pending() > 0 {
        return Err(DecodeError::Incomplete { what: format.what, found: stream.pending(), need: PACKET_BYTES });
    }
    Ok(packets)
}

/// The measurements of a stream, as [`packets`].
///
/// # Errors
/// As [`packets`].
pub fn decode(format: Format, pieces: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    Ok(packets(format, &pieces.concat())?.iter().flat_map(Packet::measured).collect())
}

impl live::Stream for Stream {
    fn take(&mut self, bytes: &[u8]) -> Vec<Said> {
        self.packets(bytes).into_iter().map(|one| one.map(|packet| packet.measured())).collect()
    }

    fn packet_bytes(&self) -> usize {
        PACKET_BYTES
    }
}
