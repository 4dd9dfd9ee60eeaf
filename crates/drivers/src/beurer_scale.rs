//! Beurer's and Sanitas' older Bluetooth scales: service FFE0, one characteristic FFE1 both ways.
//!
//! ```text
//! start u8: F7 (BF700, BF800, Runtastic Libra) or E7 (BF710, Sanitas SBF70); below S, and S6, S9 with the same upper half
//! to the scale    S6 01 hello; S9 time u32, seconds since 1970 in UTC; S7 F1, then bytes 1 to 3 of what is acknowledged
//! from the scale  S6 .. hello back; S7 58 moving u8 (0 stable, 1 moving), weight u16 x 50 g
//!                 S7 59 count u8, number u8, part: the measurement in parts; the first names the user, the others joined are
//!                 time u32, weight u16 x 50 g, impedance u16, fat u16, water u16, muscle u16 ...
//! ```
//!
//! All big-endian. A stable weight is the reading, at once; what moves shows how it stands. The measurement that follows, after the current
//! has been through the body, is a reading where no stable weight was heard in this connection. Body composition is no vital and is left. A
//! scale stores measurements of its users by a number of theirs; these are not asked for. FFE0 is used by other things too: look at the name.
//! Sources: oliexdev/openScale (`BluetoothBeurerSanitas`, `BluetoothFactory`, issue 1500), KristianP26/ble-scale-sync issue 211.

use jiff::{Timestamp, civil::DateTime, tz::Offset};
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    Channel, DecodeError, Driver, Measured, Options, Output, Progress, Session, Transport,
    gatt::{self, Sitting, uuid16},
};

const WHAT: &str = "beurer scale";

/// Both ways.
pub const CHANNEL: Uuid = uuid16(0xffe1);

const STARTS: [u8; 2] = [0xf7, 0xe7];
const WEIGHT: u8 = 0x58;
const MEASUREMENT: u8 = 0x59;
const ACKNOWLEDGE: u8 = 0xf1;
/// The lower half of the first byte.
const HELLO: u8 = 0x06;
const SET_TIME: u8 = 0x09;

/// Nobody has weighed with one of these before: a clock that says so has not been set, and counts from 1970.
const SOLD_SINCE: DateTime = DateTime::constant(2010, 1, 1, 0, 0, 0, 0);

/// Time and weight of a measurement; what follows is not needed.
const MEASUREMENT_LEN: usize = 6;
/// Parts of a measurement are put together up to this.
const MEASUREMENT_BYTES_MAX: usize = 256;

/// The driver of the scales that begin with F7.
pub const DRIVER: Driver = Driver {
    name: "beurer-bf700",
    transport: Transport::Ble {
        service: uuid16(0xffe0),
        subscribe: &[CHANNEL],
        read: &[],
        names: &["BEURER BF700", "BEURER BF800", "BF-700", "BF-800", "RT-Libra", "Libra-"],
    },
    vitals: &[Vital::Weight],
    devices: &["Beurer BF700", "Beurer BF800"],
    standard: "Beurer's protocol (service 0xFFE0), from public captures",
    open: |_: &Options| Scale::open(0xf7),
    decode,
};

/// The driver of the scales that begin with E7.
pub const E7_DRIVER: Driver = Driver {
    name: "beurer-bf710",
    transport: Transport::Ble {
        service: uuid16(0xffe0),
        subscribe: &[CHANNEL],
        read: &[],
        names: &["BEURER BF710", "Beurer BF710", "BF700", "SANITAS SBF70", "SBF75", "AICDSCALE1"],
    },
    devices: &["Beurer BF710", "Sanitas SBF70"],
    open: |_: &Options| Scale::open(0xe7),
    ..DRIVER
};

/// What the scale says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// How heavy, now.
    Weight {
        /// It stands still.
        stable: bool,
        /// Kilograms.
        weight: Value,
    },
    /// One part of a measurement.
    Part {
        /// Parts there are.
        count: u8,
        /// Which this is, from 1.
        number: u8,
        /// What it holds.
        piece: &'a [u8],
    },
    /// Anything else.
    Other,
}

impl<'a> Frame<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] for another start, and for a weight that is neither
    /// stable nor moving.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let too_short = |need| DecodeError::TooShort { what: WHAT, found: bytes.len(), need };
        let [start, code, rest @ ..] = bytes else { return Err(too_short(2)) };
        if !STARTS.contains(start) {
            let (field, found, wanted) = ("start", (*start).into(), "0xf7 or 0xe7");
            return Err(DecodeError::Malformed { what: WHAT, field, found, wanted });
        }
        match (*code, rest) {
            (WEIGHT, [moving @ (0 | 1), high, low]) => {
                Ok(Self::Weight { stable: *moving == 0, weight: kilograms([*high, *low]) })
            }
            (WEIGHT, [other, _, _]) => {
                let (field, found, wanted) = ("state", (*other).into(), "0 stable or 1 moving");
                Err(DecodeError::Malformed { what: WHAT, field, found, wanted })
            }
            (WEIGHT, [_, _, _, _, ..]) => Err(DecodeError::TooLong { what: WHAT, found: bytes.len(), most: 5 }),
            (WEIGHT, _) => Err(too_short(5)),
            (MEASUREMENT, [count, number, piece @ ..]) => Ok(Self::Part { count: *count, number: *number, piece }),
            (MEASUREMENT, _) => Err(too_short(4)),
            _ => Ok(Self::Other),
        }
    }
}

/// Steps of 50 g.
fn kilograms(bytes: [u8; 2]) -> Value {
    Value::new(i64::from(u16::from_be_bytes(bytes)) * 5, 2)
}

fn reading(weight: Value, stable: bool) -> Measured {
    let flags = if stable { Vec::new() } else { vec![Flag::new("unstable")] };
    let (vital, unit) = (Vital::Weight, Unit::Kilogram);
    Measured { vital, value: weight, unit, device_time: None, device_offset: None, flags }
}

/// The parts of one measurement.
#[derive(Default)]
struct Parts {
    joined: Vec<u8>,
    next: u8,
    count: u8,
}

impl Parts {
    /// Takes a part; gives the measurement with its last one. The first names the user and is left.
    fn take(&mut self, count: u8, number: u8, piece: &[u8]) -> Result<Option<Measured>, DecodeError> {
        if number == 1 {
            let before = std::mem::replace(self, Self { joined: Vec::new(), next: 2, count });
            let is_said_again = before.next == self.next;
            return if is_said_again { Ok(None) } else { before.end().map(|()| None) };
        }
        if number != self.next || number > count || self.joined.len() + piece.len() > MEASUREMENT_BYTES_MAX {
            let (found, need) = (usize::from(self.next.max(1)), usize::from(count));
            *self = Self::default();
            return Err(DecodeError::FrameLoss { what: WHAT, found, need });
        }
        self.joined.extend_from_slice(piece);
        self.next = number.saturating_add(1);
        if number < count {
            return Ok(None);
        }
        let joined = std::mem::take(self).joined;
        measurement(&joined).map(Some)
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// [`DecodeError::FrameLoss`] where a measurement has begun.
    fn end(&self) -> Result<(), DecodeError> {
        let (found, need) = (usize::from(self.next), usize::from(self.count.max(self.next)));
        if found == 0 { Ok(()) } else { Err(DecodeError::FrameLoss { what: WHAT, found, need }) }
    }
}

fn measurement(joined: &[u8]) -> Result<Measured, DecodeError> {
    let Some(&[a, b, c, d, high, low]) = joined.first_chunk::<MEASUREMENT_LEN>() else {
        return Err(DecodeError::TooShort { what: WHAT, found: joined.len(), need: MEASUREMENT_LEN });
    };
    let made =
        Timestamp::from_second(u32::from_be_bytes([a, b, c, d]).into()).expect("32 bits of seconds are in range");
    let time = Offset::UTC.to_datetime(made);
    let flags = if time < SOLD_SINCE { vec![Flag::CLOCK_NOT_SET] } else { Vec::new() };
    let (device_time, device_offset) = (Some(time), Some(Offset::UTC));
    Ok(Measured { device_time, device_offset, flags, ..reading(kilograms([high, low]), true) })
}

fn decode(channel: Channel, frames: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    match gatt::characteristic(WHAT, channel)? {
        CHANNEL => {}
        other => return Err(gatt::unknown(WHAT, other, "0xffe1")),
    }
    let (mut parts, mut all) = (Parts::default(), Vec::new());
    for frame in frames {
        match Frame::parse(frame)? {
            Frame::Weight { stable, weight } => all.push(reading(weight, stable)),
            Frame::Part { count, number, piece } => all.extend(parts.take(count, number, piece)?),
            Frame::Other => {}
        }
    }
    parts.end().map(|()| all)
}

/// A connection.
struct Scale {
    start: u8,
    parts: Parts,
    /// The weight that was said; a stable weight is sent several times.
    said: Option<Value>,
    sitting: Sitting,
}

impl Scale {
    fn open(start: u8) -> Box<dyn Session> {
        Box::new(Self { start, parts: Parts::default(), said: None, sitting: Sitting::default() })
    }

    fn write(&self, lower_half: u8, rest: &[u8]) -> Output {
        let bytes = [&[self.start & 0xf0 | lower_half], rest].concat();
        Output::Write { channel: Channel::Characteristic(CHANNEL), bytes }
    }

    fn came(&mut self, now: Timestamp, bytes: &[u8]) -> Result<Vec<Output>, DecodeError> {
        if bytes.first() == Some(&(self.start & 0xf0 | HELLO)) {
            let seconds = u32::try_from(now.as_second()).unwrap_or(0);
            return Ok(vec![self.write(SET_TIME, &seconds.to_be_bytes()), Output::ClockSet]);
        }
        match Frame::parse(bytes)? {
            // nobody stands on it
            Frame::Weight { weight, .. } if weight == Value::new(0, 0) => {
                self.said = None;
                Ok(Vec::new())
            }
            Frame::Weight { stable: true, weight } => Ok(self.say(now, reading(weight, true))),
            Frame::Weight { stable: false, weight } => {
                self.said = None;
                let values = vec![reading(weight, false)];
                Ok(vec![Output::Progress(Progress { values, percent: None })])
            }
            Frame::Part { count, number, piece } => {
                let acknowledged = self.write(STARTS[0] & 0x0f, &[&[ACKNOWLEDGE], &bytes[1..4]].concat());
                let said = match self.parts.take(count, number, piece) {
                    Ok(made) => made.map(|made| self.say(now, made)).unwrap_or_default(),
                    // it is what came before that is refused
                    Err(error) if number == 1 => vec![Output::Refused { error, bytes: bytes.to_vec() }],
                    Err(error) => return Err(error),
                };
                Ok([said, vec![acknowledged]].concat())
            }
            Frame::Other => Ok(Vec::new()),
        }
    }

    fn say(&mut self, now: Timestamp, measured: Measured) -> Vec<Output> {
        if self.said == Some(measured.value) {
            return Vec::new();
        }
        self.said = Some(measured.value);
        self.sitting.heard(now);
        vec![Output::Measured(measured)]
    }
}

impl Session for Scale {
    fn connected(&mut self, _now: Timestamp, _local: DateTime) -> Vec<Output> {
        vec![self.write(HELLO, &[0x01])]
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let came = gatt::characteristic(WHAT, channel).and_then(|uuid| match uuid {
            CHANNEL => self.came(now, bytes),
            other => Err(gatt::unknown(WHAT, other, "0xffe1")),
        });
        came.unwrap_or_else(|error| vec![Output::Refused { error, bytes: bytes.to_vec() }])
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        self.sitting.ends_at()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        self.sitting.end_if_due(now)
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        let parts = std::mem::take(&mut self.parts);
        let cut = parts.end().err().map(|error| Output::Refused { error, bytes: parts.joined });
        cut.into_iter().chain(self.sitting.end()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

    #[test]
    fn weights_come_in_steps_of_50_grams() {
        tape::check(DRIVER, &["f75801066b", "f75800066b"], "weight 82.15 kg unstable; weight 82.15 kg");
        tape::check(E7_DRIVER, &["e758010685"], "weight 83.45 kg unstable");
        tape::check(DRIVER, &["f758"], "beurer scale: 2 bytes, need at least 5");
        tape::check(DRIVER, &["f75800066b00"], "beurer scale: 6 bytes, at most 5 are meant by its flags");
        tape::check(DRIVER, &["f75802066b"], "beurer scale: state is 0x02, want 0 stable or 1 moving");
        tape::check(DRIVER, &["a75800066b"], "beurer scale: start is 0xa7, want 0xf7 or 0xe7");
        tape::check(DRIVER, &["f74f00"], "");
    }

    /// The same weight on 2026-11-22 at 08:00 UTC, in three parts.
    const PARTS: [&str; 3] = ["f7590301000000000000000065", "f7590302 6b02a100 066b 01f4", "f7590303 00c8"];

    #[test]
    fn a_measurement_comes_in_parts() {
        tape::check(DRIVER, &PARTS, "weight 82.15 kg 2026-11-22T08:00:00");
        tape::check(DRIVER, &[PARTS[0], PARTS[2]], "beurer scale: frame 2 of 3 is missing");
        tape::check(DRIVER, &["f7590201", "f759020201020304"], "beurer scale: 4 bytes, need at least 6");
        tape::check(DRIVER, &["f75903"], "beurer scale: 3 bytes, need at least 4");
    }

    #[test]
    fn a_measurement_whose_last_part_does_not_come_is_refused() {
        const LOST: &str = "beurer scale: frame 3 of 3 is missing";
        tape::check(DRIVER, &PARTS[..2], LOST);
        tape::check(DRIVER, &PARTS[..1], "beurer scale: frame 2 of 3 is missing");
        tape::check(DRIVER, &[&PARTS[..2], &PARTS].concat(), LOST);
        tape::check(DRIVER, &[&PARTS[..1], &PARTS].concat(), "weight 82.15 kg 2026-11-22T08:00:00");
        let mut tape = Tape::open(DRIVER);
        tape.value(CHANNEL, PARTS[0]).value(CHANNEL, PARTS[1]).said();
        tape.value(CHANNEL, PARTS[0]).gives(&format!("! {LOST}; > f7f1590301"));
        tape.value(CHANNEL, PARTS[1]).said();
        tape.closed().gives(&format!("! {LOST}"));
    }

    #[test]
    fn a_clock_that_counts_from_1970_is_not_set() {
        tape::check(
            DRIVER,
            &["f75902010000000000", "f759020200000000066b01f4"],
            "weight 82.15 kg 1970-01-01T00:00:00 clock_not_set",
        );
    }

    #[test]
    fn a_scale_is_greeted_and_told_the_time_and_says_a_weight_once() {
        let mut tape = Tape::open(DRIVER);
        tape.gives("> f601");
        tape.value(CHANNEL, "f600").gives("> f96b02a100; clock set");
        tape.value(CHANNEL, "f758010665").gives("~ weight 81.85 kg unstable");
        tape.value(CHANNEL, "f75800066b").gives("weight 82.15 kg");
        tape.value(CHANNEL, "f75800066b").gives("");
        for (part, number) in PARTS.into_iter().zip(1..) {
            tape.value(CHANNEL, part).gives(&format!("> f7f159030{number}"));
        }
        tape.value(CHANNEL, "f758000000").gives("");
        tape.wait().gives("end");
    }

    #[test]
    fn a_measurement_without_a_stable_weight_before_it_is_the_reading() {
        let mut tape = Tape::open(E7_DRIVER);
        tape.gives("> e601");
        for part in PARTS {
            tape.value(CHANNEL, &part.replacen('f', "e", 1));
        }
        tape.gives("> e7f1590301; > e7f1590302; weight 82.15 kg 2026-11-22T08:00:00; > e7f1590303");
        tape.value(CHANNEL, "e758").gives("! beurer scale: 2 bytes, need at least 5");
        tape.closed().gives("end");
    }
}
