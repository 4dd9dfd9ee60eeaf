//! Record Access Control Point 0x2A52: the memory of a device that tells its records only when it is asked.
//!
//! Request: opcode u8 {1 report, 2 delete, 3 abort, 4 count, 7 report in combined form}, operator u8 {0 none, 1 all, 2 up to and with, 3 from,
//! 4 between, 5 first, 6 last}, operand {filter u8: 1 is the record's number; the number, u16 or u32}. Answer: 05 00 count; 06 00, the
//! request's opcode, code {1 success, 2 opcode, 3 operator wrong, 4 operator, 5 operand wrong, 6 no records, 7 not aborted, 8 not completed,
//! 9 operand}; 08 00 count u32 after a report in combined form. (Bluetooth SIG: GATT specification supplement, Glucose Service 1.0.1;
//! philips-labs/BLE-GHS-Server-Simulator for opcodes 7 and 8.)

use uuid::Uuid;

use crate::bluez::gatt::uuid16;

/// The control point.
pub const POINT: Uuid = uuid16(0x2a52);

/// The codes of an answer.
pub const SUCCESS: u8 = 1;
/// The device does not know the opcode.
pub const OPCODE_NOT_SUPPORTED: u8 = 2;
const OPERATOR_INVALID: u8 = 3;
const OPERATOR_NOT_SUPPORTED: u8 = 4;
const OPERAND_INVALID: u8 = 5;
/// There is none.
pub const NO_RECORDS: u8 = 6;
const OPERAND_NOT_SUPPORTED: u8 = 9;

const BY_NUMBER: u8 = 1;

const REPORT: u8 = 1;
const DELETE: u8 = 2;
const ABORT: u8 = 3;
const COUNT: u8 = 4;
const COMBINED_REPORT: u8 = 7;

/// How a service speaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Records have no numbers (pulse oximeter).
    Plain,
    /// Records have numbers of 16 bits (glucose).
    Numbered,
    /// Records have numbers of 32 bits, and reports are of the combined form (generic health sensor).
    Combined,
}

/// Which records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Which {
    All,
    UpTo(u64),
    First,
    Last,
}

impl Which {
    /// The numbers that are meant, of these, which come oldest first.
    #[must_use]
    pub fn of(self, stored: &[u64]) -> Vec<u64> {
        match self {
            Self::All => stored.to_vec(),
            Self::UpTo(most) => stored.iter().copied().filter(|number| *number <= most).collect(),
            Self::First => stored.first().copied().into_iter().collect(),
            Self::Last => stored.last().copied().into_iter().collect(),
        }
    }
}

/// What the host asks of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Send them.
    Report(Which),
    /// Forget them.
    Delete(Which),
    /// Stop what is going on.
    Abort,
    /// How many there are.
    Count(Which),
    /// Not understood: answer with this code.
    Refused {
        /// The opcode that came.
        opcode: u8,
        /// Why.
        code: u8,
    },
}

/// Reads a request.
#[must_use]
pub fn read(bytes: &[u8], dialect: Dialect) -> Request {
    let opcode = bytes.first().copied().unwrap_or(0);
    let refused = |code| Request::Refused { opcode, code };
    let report = if dialect == Dialect::Combined { COMBINED_REPORT } else { REPORT };
    if opcode == ABORT {
        return if bytes[1..] == [0] { Request::Abort } else { refused(OPERATOR_INVALID) };
    }
    if ![report, DELETE, COUNT].contains(&opcode) {
        return refused(OPCODE_NOT_SUPPORTED);
    }
    match which(bytes.get(1..).unwrap_or_default(), dialect) {
        Ok(which) if opcode == report => Request::Report(which),
        Ok(which) if opcode == DELETE => Request::Delete(which),
        Ok(which) => Request::Count(which),
        Err(code) => refused(code),
    }
}

fn which(operation: &[u8], dialect: Dialect) -> Result<Which, u8> {
    match (operation, dialect) {
        ([1], _) => Ok(Which::All),
        ([5], _) => Ok(Which::First),
        ([6], _) => Ok(Which::Last),
        ([1 | 5 | 6, ..], _) => Err(OPERAND_INVALID),
        ([2, BY_NUMBER, low, high], Dialect::Numbered) => Ok(Which::UpTo(u16::from_le_bytes([*low, *high]).into())),
        ([2, BY_NUMBER, a, b, c, d], Dialect::Combined) => Ok(Which::UpTo(u32::from_le_bytes([*a, *b, *c, *d]).into())),
        ([2, BY_NUMBER, ..], Dialect::Numbered | Dialect::Combined) => Err(OPERAND_INVALID),
        ([2, _, ..], Dialect::Numbered | Dialect::Combined) => Err(OPERAND_NOT_SUPPORTED),
        ([2..=4, ..], _) => Err(OPERATOR_NOT_SUPPORTED),
        _ => Err(OPERATOR_INVALID),
    }
}

/// The answer to a count.
#[must_use]
pub fn counted(records: usize, dialect: Dialect) -> Vec<u8> {
    let bytes = u32::try_from(records).unwrap_or(u32::MAX).to_le_bytes();
    let width = if dialect == Dialect::Combined { 4 } else { 2 };
    [&[5, 0], &bytes[..width]].concat()
}

/// The answer to a report that has sent so many.
#[must_use]
pub fn reported(records: usize, dialect: Dialect) -> Vec<u8> {
    match (records, dialect) {
        (0, Dialect::Combined) => ended(COMBINED_REPORT, NO_RECORDS),
        (sent, Dialect::Combined) => [&[8, 0], &u32::try_from(sent).unwrap_or(u32::MAX).to_le_bytes()[..]].concat(),
        (0, _) => ended(REPORT, NO_RECORDS),
        _ => ended(REPORT, SUCCESS),
    }
}

/// The answer to a deletion of so many.
#[must_use]
pub fn deleted(records: usize) -> Vec<u8> {
    ended(DELETE, if records == 0 { NO_RECORDS } else { SUCCESS })
}

/// The answer to an abort.
#[must_use]
pub fn aborted() -> Vec<u8> {
    ended(ABORT, SUCCESS)
}

/// The answer to a request with this opcode.
#[must_use]
pub fn ended(opcode: u8, code: u8) -> Vec<u8> {
    vec![6, 0, opcode, code]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as Nordic's tests have them: 06 00 01 01 success, 06 00 01 06 no records, 05 00 02 01 count 258.
    #[test]
    fn answers_are_those_of_other_peoples_tests() {
        assert_eq!(reported(3, Dialect::Plain), [6, 0, 1, 1]);
        assert_eq!(reported(0, Dialect::Numbered), [6, 0, 1, 6]);
        assert_eq!(counted(258, Dialect::Plain), [5, 0, 2, 1]);
        assert_eq!(reported(2, Dialect::Combined), [8, 0, 2, 0, 0, 0]);
        assert_eq!(counted(2, Dialect::Combined), [5, 0, 2, 0, 0, 0]);
    }

    #[test]
    fn requests_are_understood_as_far_as_the_service_goes() {
        assert_eq!(read(&[1, 1], Dialect::Plain), Request::Report(Which::All));
        assert_eq!(read(&[4, 5], Dialect::Plain), Request::Count(Which::First));
        assert_eq!(read(&[2, 2, 1, 7, 1], Dialect::Numbered), Request::Delete(Which::UpTo(263)));
        assert_eq!(read(&[2, 2, 1, 7, 1, 0, 0], Dialect::Combined), Request::Delete(Which::UpTo(263)));
        assert_eq!(read(&[7, 1], Dialect::Combined), Request::Report(Which::All));
        assert_eq!(read(&[3, 0], Dialect::Plain), Request::Abort);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_reason() {
        let refused = |bytes: &[u8], dialect| match read(bytes, dialect) {
            Request::Refused { opcode, code } => (opcode, code),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&[2, 4], Dialect::Plain), (2, OPERATOR_NOT_SUPPORTED));
        assert_eq!(refused(&[9, 1], Dialect::Plain), (9, OPCODE_NOT_SUPPORTED));
        assert_eq!(refused(&[7, 1], Dialect::Plain), (7, OPCODE_NOT_SUPPORTED));
        assert_eq!(refused(&[1, 1], Dialect::Combined), (1, OPCODE_NOT_SUPPORTED));
        assert_eq!(refused(&[], Dialect::Plain), (0, OPCODE_NOT_SUPPORTED));
        assert_eq!(refused(&[1], Dialect::Plain), (1, OPERATOR_INVALID));
        assert_eq!(refused(&[3], Dialect::Plain), (3, OPERATOR_INVALID));
        assert_eq!(refused(&[1, 2, 1, 7], Dialect::Numbered), (1, OPERAND_INVALID));
        assert_eq!(refused(&[1, 2, 2, 7, 0], Dialect::Numbered), (1, OPERAND_NOT_SUPPORTED));
        assert_eq!(refused(&[1, 2, 1, 7, 0], Dialect::Plain), (1, OPERATOR_NOT_SUPPORTED));
    }

    #[test]
    fn what_is_meant_is_found() {
        let stored = [3, 5, 9];
        assert_eq!(Which::UpTo(5).of(&stored), [3, 5]);
        assert_eq!((Which::First.of(&stored), Which::Last.of(&stored)), (vec![3], vec![9]));
        assert_eq!(Which::All.of(&stored), stored);
        assert!(Which::First.of(&[]).is_empty());
    }
}
