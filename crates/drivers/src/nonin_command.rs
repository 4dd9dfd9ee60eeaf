//! Nonin's commands: choosing the data format, the clock, and a session that chooses for a device that doesn't talk.
//!
//! ```text
//! 02 70 02 02 ff 03                        use data format ff; answer 06 taken, 15 not supported; within 5 s of connecting
//! 02 70 04 02 ff 00 sum 03                 the same on other models; sum of the five bytes from 70
//! 02 72 06 yy mo dd hh mi ss 03            set the clock; no answer
//! 02 72 00 03                              read the clock; answer 02 F2 06 yy mo dd hh mi ss 03; year 00 is 2000, all binary
//! ```
//!
//! Source: Nonin 9560 OEM specification 6470-000-01; the longer form is that of Nonin's later models.

use jiff::{SignedDuration, Timestamp, civil::DateTime};

use crate::{
    Channel, DecodeError, Output, Session,
    live::{Stream, Streaming},
};

const WHAT: &str = "nonin command";

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
/// The answer: taken.
pub const ACK: u8 = 0x06;
/// The answer: not supported.
pub const NAK: u8 = 0x15;
const FORMAT: u8 = 0x70;
const CLOCK: u8 = 0x72;
const CLOCK_SAYS: u8 = 0xf2;
/// A parameter of the format command: it sets the format.
const DATA_FORMAT: u8 = 0x02;
const CLOCK_BYTES: usize = 6;

/// A device that talks by itself is given this long to do so.
pub const TALK_WAIT: SignedDuration = SignedDuration::from_secs(1);
/// How long an answer may take. Commands are heard in the first five seconds of a connection only.
pub const ANSWER_WAIT: SignedDuration = SignedDuration::from_secs(1);
/// A device that could not be told is told again after this long: on a cable nobody sees when it was switched on.
pub const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// A data format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Nonin's")]
pub enum DataFormat {
    Df2 = 2,
    Df7 = 7,
    Df8 = 8,
    Df13 = 13,
}

/// A command, or an answer to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Use this data format, of any number.
    Select {
        /// Which.
        format: u8,
        /// The form with a checksum.
        long: bool,
    },
    /// Read the clock.
    GetClock,
    /// Set the clock.
    SetClock(DateTime),
    /// What the clock says.
    Clock(DateTime),
    /// Taken.
    Ack,
    /// Not supported.
    Nak,
}

impl Command {
    /// Chooses a format.
    #[must_use]
    pub fn select(format: DataFormat, long: bool) -> Self {
        Self::Select { format: format as u8, long }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        let framed = |code: u8, data: &[u8]| {
            let len = u8::try_from(data.len()).expect("a few bytes");
            [&[STX, code, len][..], data, &[ETX]].concat()
        };
        match self {
            Self::Select { format, long: false } => framed(FORMAT, &[DATA_FORMAT, format]),
            Self::Select { format, long: true } => {
                let sum = sum([FORMAT, 4, DATA_FORMAT, format, 0]);
                framed(FORMAT, &[DATA_FORMAT, format, 0, sum])
            }
            Self::GetClock => framed(CLOCK, &[]),
            Self::SetClock(time) => framed(CLOCK, &clock_bytes(time)),
            Self::Clock(time) => framed(CLOCK_SAYS, &clock_bytes(time)),
            Self::Ack => vec![ACK],
            Self::Nak => vec![NAK],
        }
    }

    /// Reads a command or an answer.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::Length`], [`DecodeError::Checksum`], [`DecodeError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        match *bytes {
            [ACK] => return Ok(Self::Ack),
            [NAK] => return Ok(Self::Nak),
            [first, ..] if first != STX => return Err(malformed("header", first, "0x02, 0x06 or 0x15")),
            _ => {}
        }
        let [_, code, len, data @ .., last] = bytes else {
            return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need: 4 });
        };
        if usize::from(*len) != data.len() {
            return Err(DecodeError::Length { what: WHAT, said: (*len).into(), found: data.len() });
        }
        if *last != ETX {
            return Err(malformed("end", *last, "0x03"));
        }
        Self::of(*code, data)
    }

    fn of(code: u8, data: &[u8]) -> Result<Self, DecodeError> {
        match (code, data) {
            (FORMAT, &[DATA_FORMAT, format]) => Ok(Self::Select { format, long: false }),
            (FORMAT, &[DATA_FORMAT, format, options, found]) => {
                let wanted = sum([FORMAT, 4, DATA_FORMAT, format, options]);
                let command = Self::Select { format, long: true };
                if found == wanted { Ok(command) } else { Err(DecodeError::Checksum { what: WHAT, found, wanted }) }
            }
            (FORMAT, &[kind, ..]) => Err(malformed("data type", kind, "0x02, with 1 or 3 bytes after it")),
            (CLOCK, []) => Ok(Self::GetClock),
            (CLOCK, data) => Ok(Self::SetClock(clock(data)?)),
            (CLOCK_SAYS, data) => Ok(Self::Clock(clock(data)?)),
            _ => Err(malformed("operation", code, "0x70, 0x72 or 0xf2")),
        }
    }
}

fn malformed(field: &'static str, found: u8, wanted: &'static str) -> DecodeError {
    DecodeError::Malformed { what: WHAT, field, found: found.into(), wanted }
}

fn sum(bytes: [u8; 5]) -> u8 {
    bytes.into_iter().fold(0, u8::wrapping_add)
}

fn clock_bytes(time: DateTime) -> [u8; CLOCK_BYTES] {
    let year = u8::try_from(time.year().rem_euclid(100)).expect("less than 100");
    let [month, day] = [time.month(), time.day()].map(i8::cast_unsigned);
    let [hour, minute, second] = [time.hour(), time.minute(), time.second()].map(i8::cast_unsigned);
    [year, month, day, hour, minute, second]
}

fn clock(data: &[u8]) -> Result<DateTime, DecodeError> {
    let [year, rest @ ..]: [u8; CLOCK_BYTES] = data.try_into().map_err(|_| DecodeError::Length {
        what: "nonin clock",
        said: CLOCK_BYTES,
        found: data.len(),
    })?;
    let [month, day, hour, minute, second] = rest.map(u8::cast_signed);
    let time = (year < 100).then(|| DateTime::new(2000 + i16::from(year), month, day, hour, minute, second, 0).ok());
    time.flatten().ok_or(DecodeError::Malformed {
        what: "date time",
        field: "clock",
        found: year.into(),
        wanted: "a year below 100, and a day and a time that exist",
    })
}

/// What the choosing waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The device to talk by itself.
    Talk,
    Answer {
        long: bool,
    },
    /// The device to talk after all, until it is told again.
    Rest,
}

/// A streaming device that is told to use a data format when it doesn't talk in it by itself.
pub struct Selecting<S> {
    format: DataFormat,
    inner: Streaming<S>,
    step: Step,
    until: Option<Timestamp>,
}

impl<S: Stream> Selecting<S> {
    /// Chooses `format` for `inner`.
    pub fn new(format: DataFormat, inner: Streaming<S>) -> Self {
        Self { format, inner, step: Step::Talk, until: None }
    }

    fn select(&mut self, now: Timestamp, long: bool) -> Vec<Output> {
        self.step = Step::Answer { long };
        self.until = now.checked_add(ANSWER_WAIT).ok();
        vec![Output::Write { channel: Channel::Line, bytes: Command::select(self.format, long).bytes() }]
    }

    fn rest(&mut self, now: Timestamp) -> Vec<Output> {
        self.step = Step::Rest;
        self.until = now.checked_add(AGAIN_AFTER).ok();
        Vec::new()
    }

    /// The shorter form was refused or not heard, then the longer.
    fn unheard(&mut self, now: Timestamp, refused: bool) -> Vec<Output> {
        match self.step {
            Step::Answer { long: false } => self.select(now, true),
            Step::Answer { long: true } if refused => {
                self.rest(now);
                let error = malformed("answer", NAK, "0x06: the device has this data format");
                vec![Output::Refused { error, bytes: vec![NAK] }]
            }
            _ => self.rest(now),
        }
    }

    fn understood(&self) -> bool {
        self.inner.heard().understands() == Some(true)
    }
}

impl<S: Stream> Session for Selecting<S> {
    fn connected(&mut self, now: Timestamp, _local: DateTime) -> Vec<Output> {
        self.until = now.checked_add(TALK_WAIT).ok();
        Vec::new()
    }

    fn received(&mut self, now: Timestamp, _channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let mut outputs = self.inner.take(now, bytes);
        if self.understood() {
            self.step = Step::Rest;
            self.until = None;
        } else if let (Step::Answer { .. }, [answer]) = (self.step, bytes) {
            match *answer {
                ACK => outputs.extend(self.rest(now)),
                NAK => outputs.extend(self.unheard(now, true)),
                _ => {}
            }
        }
        outputs
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        [self.until, self.inner.timeout_at()].into_iter().flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let mut outputs = self.inner.timed_out(now);
        if self.until.is_some_and(|at| at <= now) {
            outputs.extend(match self.step {
                Step::Talk | Step::Rest => self.select(now, false),
                Step::Answer { .. } => self.unheard(now, false),
            });
        }
        outputs
    }

    fn closed(&mut self, now: Timestamp) -> Vec<Output> {
        self.inner.closed(now)
    }

    fn understands(&self) -> Option<bool> {
        self.inner.understands()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        nonin_df8,
        tape::{self, Tape},
    };

    #[track_caller]
    fn check(hex: &str, wanted: &str) {
        let parsed = Command::parse(&tape::bytes(hex));
        if let Ok(command) = parsed {
            assert_eq!(tape::hex(&command.bytes()), hex, "written as it was read");
        }
        assert_eq!(parsed.map_or_else(|error| error.to_string(), |command| format!("{command:?}")), wanted);
    }

    #[test]
    fn commands_and_answers_are_read_as_they_are_written() {
        check("02720003", "GetClock");
        check("027206320c1f0e1e0f03", "SetClock(2050-12-31T14:30:15)");
        check("02f2061a0b1609000003", "Clock(2026-11-22T09:00:00)");
        check("027002020d03", "Select { format: 13, long: false }");
        check("0270040208007e03", "Select { format: 8, long: true }");
        check("06", "Ack");
        check("15", "Nak");
    }

    #[test]
    fn what_is_no_command_is_refused() {
        check("", "nonin command: 0 bytes, need at least 4");
        check("0272", "nonin command: 2 bytes, need at least 4");
        check("0372000300", "nonin command: header is 0x03, want 0x02, 0x06 or 0x15");
        check("02700202080000", "nonin command: its length says 2 bytes, its contents take 3");
        check("027002020800", "nonin command: end is 0x00, want 0x03");
        check("0270040208007f03", "nonin command: checksum is 0x7f, the bytes give 0x7e");
        check(
            "02f20632131f0e1e0f03",
            "date time: clock is 0x32, want a year below 100, and a day and a time that exist",
        );
        check("0273000003", "nonin command: its length says 0 bytes, its contents take 1");
        check("02730003", "nonin command: operation is 0x73, want 0x70, 0x72 or 0xf2");
    }

    #[test]
    fn a_command_refused_is_tried_in_the_longer_form_and_again_later() {
        let mut tape = Tape::open(nonin_df8::DRIVER);
        tape.gives("").wait().gives("> 027002020803");
        tape.line(&[NAK]).gives("> 0270040208007e03");
        tape.line(&[NAK]).gives("! nonin command: answer is 0x15, want 0x06: the device has this data format");
        tape.wait().gives("> 027002020803").wait().gives("> 0270040208007e03").wait().gives("");
        tape.wait().gives("> 027002020803");
        tape.line(&[ACK]).gives("");
    }
}
