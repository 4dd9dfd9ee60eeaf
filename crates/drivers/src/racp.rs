//! Record Access Control Point 0x2A52: how a host counts, fetches and deletes what a Bluetooth device has stored.
//!
//! ```text
//! request   opcode u8, operator u8, operand.   01 report, 02 delete, 03 abort (operator 00), 04 count
//!           operator 01 all; 02 up to and with: operand filter u8 (1 sequence number), number u16 or u32; 05 first, 06 last
//! answer    05 00 count u8, u16 or u32
//!           06 00 opcode of the request, code: 1 success, 2 opcode, 3 and 4 operator, 5 and 9 operand not understood, 6 no records,
//!           7 abort failed, 8 not completed
//! ```
//!
//! [`Download`] is the procedure: count, report everything (devices send the oldest first), and, once the clinic has acknowledged it, count
//! again and delete. Nothing is deleted that was not fetched, understood and acknowledged: both counts must equal the records that were
//! understood, and where records have numbers, only those up to the highest that came are counted and deleted. A record that could not be
//! read, one that was lost, or one measured meanwhile makes the counts differ, and then nothing is deleted: everything comes again with the
//! next connection, which is harmless.
//!
//! A device that never answers, or refuses the write because another procedure is in progress (ATT 0xFE) or nobody is subscribed (0xFD), looks
//! the same from here: after [`ANSWER_MAX`] it is told to abort, asked once more, and then left alone. The session goes on in any case.
//!
//! Where records have no numbers (pulse oximeters) one instant remains: a measurement that ends between the second count and the deletion,
//! which follows at once, is deleted unreported. Such a device is connected and subscribed to, so it has sent that measurement live.
//!
//! A session owns a [`Download`] and, for its service:
//! - calls [`Download::start`] when connected (if the device stores at all), and writes what that says;
//! - gives values of [`CONTROL_POINT`], to which it must subscribe, to [`Download::answered`];
//! - while [`Download::is_reporting`], calls [`Download::understood`] for every record whose measurements it has said, or that says of itself
//!   that it has none, and [`Download::misread`] for one that it can't read;
//! - forwards `timeout_at`, `timed_out`, `kept`; and says no [`Output::SittingEnd`] of its own while [`Download::is_busy`].
//!
//! After `kept` the conversation may go on for a moment (count, delete); [`Output::SittingEnd`] is said again when it is over.
//! Source: Bluetooth SIG GATT specification supplement, Glucose Service 1.0.1, Pulse Oximeter Service 1.0.

mod download;

use jiff::SignedDuration;
use uuid::Uuid;

use crate::{
    Channel, DecodeError, Output,
    gatt::{Fields, uuid16},
};

pub use download::Download;

const WHAT: &str = "record access";

/// The control point.
pub const CONTROL_POINT: Uuid = uuid16(0x2a52);

/// How long a device may take for an answer or the next record: the services' own limit for a procedure.
pub const ANSWER_MAX: SignedDuration = SignedDuration::from_secs(30);

const REPORT: u8 = 1;
const DELETE: u8 = 2;
const ABORT: u8 = 3;
const COUNT: u8 = 4;
const COUNT_ANSWER: u8 = 5;
const ANSWER: u8 = 6;

const BY_SEQUENCE_NUMBER: u8 = 1;

/// The number of a record, as wide as its service counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Number {
    /// Of the glucose service.
    Short(u16),
    /// Of the generic health sensor.
    Long(u32),
}

/// Which records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Every one.
    All,
    /// Those with this number or a lower one.
    UpTo(Number),
    /// The oldest.
    First,
    /// The newest.
    Last,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Send them.
    Report(Which),
    /// Forget them.
    Delete(Which),
    /// Stop what is going on.
    Abort,
    /// How many are there?
    Count(Which),
}

impl Request {
    /// The bytes of the request.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        let (opcode, which) = match self {
            Self::Report(which) => (REPORT, which),
            Self::Delete(which) => (DELETE, which),
            Self::Count(which) => (COUNT, which),
            Self::Abort => return vec![ABORT, 0],
        };
        match which {
            Which::All => vec![opcode, 1],
            Which::First => vec![opcode, 5],
            Which::Last => vec![opcode, 6],
            Which::UpTo(Number::Short(number)) => {
                [&[opcode, 2, BY_SEQUENCE_NUMBER][..], &number.to_le_bytes()].concat()
            }
            Which::UpTo(Number::Long(number)) => [&[opcode, 2, BY_SEQUENCE_NUMBER][..], &number.to_le_bytes()].concat(),
        }
    }

    /// The write that asks it.
    #[must_use]
    pub fn write(self) -> Output {
        Output::Write { channel: Channel::Characteristic(CONTROL_POINT), bytes: self.bytes() }
    }
}

/// Code of success.
pub const SUCCESS: u8 = 1;
/// Code of a device that has no such records.
pub const NO_RECORDS: u8 = 6;
/// Codes of a device that doesn't know the question, or not with these records.
const NOT_UNDERSTOOD: [u8; 5] = [2, 3, 4, 5, 9];

/// What a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// So many records.
    Count(u32),
    /// How a request ended.
    Ended {
        /// The opcode of the request.
        request: u8,
        /// The code.
        code: u8,
    },
}

impl Answer {
    /// Reads a value that the device indicated.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] for an opcode that is no answer.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let [opcode, operator, operand @ ..] = bytes else {
            return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need: 3 });
        };
        if operand.is_empty() {
            return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need: 3 });
        }
        if ![COUNT_ANSWER, ANSWER].contains(opcode) {
            return Err(wrong("opcode", (*opcode).into(), "5 or 6, an answer"));
        }
        if *operator != 0 {
            return Err(wrong("operator", (*operator).into(), "0"));
        }
        if *opcode == COUNT_ANSWER {
            return count(operand).map(Self::Count);
        }
        let mut fields = Fields::exact(WHAT, bytes, 4)?;
        fields.u16();
        Ok(Self::Ended { request: fields.u8(), code: fields.u8() })
    }
}

fn count(operand: &[u8]) -> Result<u32, DecodeError> {
    match *operand {
        [a] => Ok(a.into()),
        [a, b] => Ok(u16::from_le_bytes([a, b]).into()),
        [a, b, c, d] => Ok(u32::from_le_bytes([a, b, c, d])),
        _ if operand.len() < 4 => Err(DecodeError::TooShort { what: WHAT, found: operand.len() + 2, need: 6 }),
        _ => Err(DecodeError::TooLong { what: WHAT, found: operand.len() + 2, most: 6 }),
    }
}

fn wrong(field: &'static str, found: u32, wanted: &'static str) -> DecodeError {
    DecodeError::Malformed { what: WHAT, field, found, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape;

    #[test]
    fn requests_have_their_bytes() {
        assert_eq!(Request::Report(Which::First).bytes(), [1, 5]);
        assert_eq!(Request::Report(Which::Last).bytes(), [1, 6]);
        assert_eq!(Request::Delete(Which::UpTo(Number::Short(0x0102))).bytes(), [2, 2, 1, 2, 1]);
        assert_eq!(Request::Count(Which::UpTo(Number::Long(3))).bytes(), [4, 2, 1, 3, 0, 0, 0]);
        assert_eq!(Request::Abort.bytes(), [3, 0]);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let check = |hex: &str, wanted: &str| {
            assert_eq!(Answer::parse(&tape::bytes(hex)).unwrap_err().to_string(), wanted);
        };
        check("", "record access: 0 bytes, need at least 3");
        check("0500", "record access: 2 bytes, need at least 3");
        check("0500010203", "record access: 5 bytes, need at least 6");
        check("05000102030405", "record access: 7 bytes, at most 6 are meant by its flags");
        check("060001", "record access: 3 bytes, need at least 4");
        check("0600010100", "record access: 5 bytes, at most 4 are meant by its flags");
        check("050101", "record access: operator is 0x01, want 0");
    }
}
