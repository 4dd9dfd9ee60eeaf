//! Visomat Double Comfort and relatives (JPI, Prevention DS-2200PV): a blood pressure cuff for two people, whose memory is read over USB.
//!
//! ```text
//! request and answer: 02 | ASCII | 03
//! host   R00                                              send the memory
//! device M | user | records, 2 digits | the records, or one byte that means nothing if there are none | M | ...
//! record yymmdd HHMM | mark | systolic, 3 digits | diastolic, 3 | pulse, 3
//! ```
//!
//! Every record comes out of the memory, oldest or newest first as the device likes, and is said once for each connection, with its user as a
//! flag; where the kit's device has a user, those of the other are left out. What the mark 1 means is not public; it becomes the flag
//! `device_mark`, which speaks against the value. There is no public command to delete. The line has no rate: it is a USB device, any will do.
//! Source: visomat-utils (git.ao2.it).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use vitals::{Flag, Unit, Value, Vital};

use crate::{Channel, DecodeError, Driver, Heard, LineSettings, Measured, Output, Session, Transport, gatt};

const WHAT: &str = "visomat";

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
/// Asks for the memory.
pub const ASK: [u8; 5] = [STX, b'R', b'0', b'0', ETX];
/// How often it is asked for.
pub const POLL_EVERY: SignedDuration = SignedDuration::from_secs(30);

const RECORD_BYTES: usize = 20;
/// An answer for two people with 99 records each.
const ANSWER_BYTES_MAX: usize = 2 * (4 + 99 * RECORD_BYTES);

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "visomat",
    transport: Transport::Serial { settings: &[LineSettings::plain(9600)] },
    vitals: &[Vital::Systolic, Vital::Diastolic, Vital::Pulse],
    devices: &["Visomat Double Comfort", "Prevention DS-2200PV"],
    standard: "JPI blood pressure memory over USB, as decoded in public (no document of the maker)",
    open: |options| Box::new(Cuff { user: options.user, ..Cuff::default() }),
    decode: |_, pieces| decode(&pieces.concat()),
};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Whose.
    pub user: u8,
    /// `yymmdd`.
    pub date: String,
    /// `HHMM`.
    pub time: String,
    /// What isn't public.
    pub mark: char,
    /// mmHg.
    pub systolic: u16,
    /// mmHg.
    pub diastolic: u16,
    /// Beats a minute.
    pub pulse: u16,
}

/// The memory of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Whose.
    pub user: u8,
    /// What was measured.
    pub records: Vec<Record>,
}

fn malformed(field: &'static str, found: u8, wanted: &'static str) -> DecodeError {
    DecodeError::Malformed { what: WHAT, field, found: found.into(), wanted }
}

/// An answer that is being read.
struct Reader<'a> {
    rest: &'a [u8],
    all: usize,
}

impl<'a> Reader<'a> {
    /// The next `count` bytes.
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let need = self.all - self.rest.len() + count;
        let split = self.rest.split_at_checked(count);
        let (taken, after) = split.ok_or(DecodeError::TooShort { what: WHAT, found: self.all, need })?;
        self.rest = after;
        Ok(taken)
    }
}

/// A number of `count` digits.
fn digits(rest: &mut Reader<'_>, count: usize) -> Result<u16, DecodeError> {
    rest.take(count)?.iter().try_fold(0, |number: u16, byte| {
        let digit = byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
        Ok(number * 10 + digit.ok_or(malformed("digit", *byte, "0 to 9"))?)
    })
}

/// Digits as they are.
fn text(rest: &mut Reader<'_>, count: usize) -> Result<String, DecodeError> {
    let taken = rest.take(count)?;
    match taken.iter().find(|byte| !byte.is_ascii_digit()) {
        Some(byte) => Err(malformed("digit", *byte, "0 to 9")),
        None => Ok(taken.iter().map(|byte| char::from(*byte)).collect()),
    }
}

impl Record {
    fn parse(user: u8, rest: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            user,
            date: text(rest, 6)?,
            time: text(rest, 4)?,
            mark: char::from(rest.take(1)?[0]),
            systolic: digits(rest, 3)?,
            diastolic: digits(rest, 3)?,
            pulse: digits(rest, 3)?,
        })
    }

    fn device_time(&self) -> Option<DateTime> {
        let number = |text: &str, at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
        let year = 2000 + i16::from(number(&self.date, 0)?);
        let (month, day) = (number(&self.date, 2)?, number(&self.date, 4)?);
        DateTime::new(year, month, day, number(&self.time, 0)?, number(&self.time, 2)?, 0, 0).ok()
    }

    fn measured(&self) -> Vec<Measured> {
        let time = self.device_time();
        let mut flags: Vec<Flag> = [Flag::FROM_STORAGE].into_iter().chain(gatt::user(self.user)).collect();
        flags.extend(time.is_none().then_some(Flag::CLOCK_IMPLAUSIBLE));
        flags.extend((self.mark != '0').then_some(Flag::new("device_mark")));
        let there = |number: u16| (number != 0).then(|| Value::new(number.into(), 0));
        let values = [
            (Vital::Systolic, there(self.systolic), Unit::MillimetreMercury),
            (Vital::Diastolic, there(self.diastolic), Unit::MillimetreMercury),
            (Vital::Pulse, there(self.pulse), Unit::PerMinute),
        ];
        gatt::present(values, time, &flags)
    }
}

/// Reads an answer, with or without the bytes around it.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::Malformed`].
pub fn parse(bytes: &[u8]) -> Result<Vec<Memory>, DecodeError> {
    let bytes = bytes.strip_prefix(&[STX]).unwrap_or(bytes);
    let bytes = bytes.strip_suffix(&[ETX]).unwrap_or(bytes);
    let mut rest = Reader { rest: bytes, all: bytes.len() };
    let mut memories = Vec::new();
    while memories.is_empty() || !rest.rest.is_empty() {
        let begin = rest.take(1)?[0];
        if begin != b'M' {
            return Err(malformed("memory", begin, "M"));
        }
        let user = u8::try_from(digits(&mut rest, 1)?).expect("one digit");
        let count = digits(&mut rest, 2)?;
        let records: Result<Vec<_>, _> = (0..count).map(|_| Record::parse(user, &mut rest)).collect();
        memories.push(Memory { user, records: records? });
        if count == 0 && rest.rest.first().is_some_and(|byte| *byte != b'M') {
            rest.take(1)?;
        }
    }
    Ok(memories)
}

fn decode(bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    Ok(parse(bytes)?.iter().flat_map(|memory| &memory.records).flat_map(Record::measured).collect())
}

/// A connection.
#[derive(Default)]
struct Cuff {
    user: Option<u8>,
    /// An answer that has begun.
    buffer: Vec<u8>,
    until: Option<Timestamp>,
    /// Said in this connection; at most two memories' worth for each answer, of which only the last is kept.
    said: BTreeSet<Record>,
    heard: Heard,
}

impl Cuff {
    fn ask(&mut self, now: Timestamp) -> Vec<Output> {
        self.buffer.clear();
        self.until = now.checked_add(POLL_EVERY).ok();
        vec![Output::Write { channel: Channel::Line, bytes: ASK.to_vec() }]
    }

    fn push(&mut self, byte: u8) -> Vec<Output> {
        if byte == STX {
            self.heard.noise(self.buffer.len());
            self.buffer.clear();
        } else if self.buffer.is_empty() {
            self.heard.noise(1);
            return Vec::new();
        }
        self.buffer.push(byte);
        match byte {
            ETX => {
                let answer = std::mem::take(&mut self.buffer);
                self.answered(&answer)
            }
            _ if self.buffer.len() > ANSWER_BYTES_MAX + 2 => {
                let bytes = std::mem::take(&mut self.buffer);
                self.heard.noise(bytes.len());
                let error = DecodeError::TooLong { what: WHAT, found: bytes.len(), most: ANSWER_BYTES_MAX + 2 };
                vec![Output::Refused { error, bytes }]
            }
            _ => Vec::new(),
        }
    }

    fn answered(&mut self, answer: &[u8]) -> Vec<Output> {
        let memories = match parse(answer) {
            Ok(memories) => memories,
            Err(error) => {
                self.heard.noise(answer.len());
                return vec![Output::Refused { error, bytes: answer.to_vec() }];
            }
        };
        self.heard.certain();
        let mut records: Vec<Record> = memories.into_iter().flat_map(|memory| memory.records).collect();
        records.retain(|record| self.user.is_none_or(|user| user == record.user));
        records.sort_by(|one, other| (&one.date, &one.time).cmp(&(&other.date, &other.time)));
        let new = records.iter().filter(|record| !self.said.contains(record));
        let mut outputs: Vec<Output> = new.flat_map(Record::measured).map(Output::Measured).collect();
        self.said = records.into_iter().collect();
        if !outputs.is_empty() {
            outputs.push(Output::SittingEnd);
        }
        outputs
    }
}

impl Session for Cuff {
    fn connected(&mut self, now: Timestamp, _local: DateTime) -> Vec<Output> {
        self.ask(now)
    }

    fn received(&mut self, _now: Timestamp, _channel: Channel, bytes: &[u8]) -> Vec<Output> {
        bytes.iter().flat_map(|byte| self.push(*byte)).collect()
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        self.until
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        if self.until.is_some_and(|at| at <= now) { self.ask(now) } else { Vec::new() }
    }

    fn understands(&self) -> Option<bool> {
        self.heard.understands()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Options,
        tape::{self, Tape},
    };

    const EXAMPLE: &str = "M1001 M201 151103 2130 0 134 097 083";

    fn hex(text: &str) -> String {
        tape::hex(text.replace(' ', "").as_bytes())
    }

    fn framed(text: &str) -> Vec<u8> {
        [&[STX][..], text.replace(' ', "").as_bytes(), &[ETX]].concat()
    }

    fn says(user: u8, time: &str, systolic: u8) -> String {
        let rest = format!("{time} from_storage user_{user}");
        format!("systolic {systolic} mm[Hg] {rest}; diastolic 97 mm[Hg] {rest}; pulse 83 /min {rest}")
    }

    #[test]
    fn a_memory_says_its_records() {
        let wanted = says(2, "2015-11-03T21:30:00", 134);
        tape::check(DRIVER, &[&hex(EXAMPLE)], &wanted);
        tape::check(DRIVER, &[&tape::hex(&framed(EXAMPLE))], &wanted);
        tape::check(DRIVER, &[&hex("M1000M2000")], "");
        tape::check(DRIVER, &[&hex("M100M200")], "");
        tape::check(
            DRIVER,
            &[&hex("M101 100131 1202 1 151 102 000")],
            "systolic 151 mm[Hg] 2010-01-31T12:02:00 from_storage user_1 device_mark; \
             diastolic 102 mm[Hg] 2010-01-31T12:02:00 from_storage user_1 device_mark",
        );
        tape::check(
            DRIVER,
            &[&hex("M101 100231 1202 0 151 000 000")],
            "systolic 151 mm[Hg] from_storage user_1 clock_implausible",
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        tape::check(DRIVER, &[""], "visomat: 0 bytes, need at least 1");
        tape::check(DRIVER, &[&hex("X101")], "visomat: memory is 0x58, want M");
        tape::check(DRIVER, &[&hex("M101 100101 1202 0 151 102 12")], "visomat: 23 bytes, need at least 24");
        tape::check(DRIVER, &[&hex("M101 100101 1202 0 15x 102 120")], "visomat: digit is 0x78, want 0 to 9");
        tape::check(DRIVER, &[&hex("M1a1")], "visomat: digit is 0x61, want 0 to 9");
    }

    #[test]
    fn a_record_is_said_once_and_the_oldest_first() {
        let mut tape = Tape::open(DRIVER);
        tape.gives("> 0252303003");
        let two = framed("M102 151104 0800 0 120 097 083 151103 2130 0 134 097 083 M2000");
        let wanted = [says(1, "2015-11-03T21:30:00", 134), says(1, "2015-11-04T08:00:00", 120)].join("; ");
        for piece in two.chunks(9) {
            tape.line(piece);
        }
        tape.gives(&format!("{wanted}; end")).wait().gives("> 0252303003");
        tape.line(&two).gives("");
        assert_eq!(tape.understands(), Some(true));
    }

    #[test]
    fn the_other_persons_records_are_left_out() {
        let mut tape = Tape::open_with(DRIVER, &Options { user: Some(1), ..Options::default() });
        tape.line(&framed(EXAMPLE)).gives("> 0252303003");
    }

    #[test]
    fn a_damaged_answer_is_refused_and_asked_for_again() {
        let mut tape = Tape::open(DRIVER);
        tape.said();
        tape.line(&framed("M201 1511")).gives("! visomat: 8 bytes, need at least 10");
        tape.line(&[0xf8; 300]).wait().gives("> 0252303003");
        assert_eq!(tape.understands(), Some(false));
    }
}
