//! Microlife BP3GY1-2N: a cuff that is asked for everything it has stored.
//!
//! ```text
//! command  4D FF | length u16 big-endian, of payload and checksum | payload | sum of all bytes before it, low 8 bits    to fff2, 20 at a time
//! answer   4D 3A | the same                                                             from fff1, cut into notifications anywhere
//!
//! payload  05                       which user is chosen: the second byte of the answer is 1 or 2
//!          00 00 00 00 00 00 00 FD  the records of that user: from byte 38 of the answer on, 10 bytes each
//!          0D yy mo dd hh mi ss     set the clock; the answer is 81, done
//!          04                       hang up; not answered
//! record   systolic, diastolic, pulse, year (2000 +), month, day, hour, minute, 2 unknown; all u8; 0 is no value
//! ```
//!
//! No command that deletes is known, so every connection brings all records again, and the kit tells by their times which it has had. For
//! the same reason a record whose time can't be is refused and not placed by its arrival: it would be measured anew with every connection.
//! The clock is set after the records were read, since nothing says what setting it does to them. A command that isn't answered is asked
//! once more, then left out. Source: joergmlpts/blood-pressure-monitor (`bpm_bt.py`) and blood-pressure-monitor-fl; no document of the maker.

mod session;

use jiff::civil::DateTime;
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    Channel, DecodeError, Driver, Measured, Transport,
    gatt::{self, Fields, uuid16},
};

const WHAT: &str = "microlife";

/// The service.
pub const SERVICE: Uuid = uuid16(0xfff0);
/// Answers.
pub const ANSWER: Uuid = uuid16(0xfff1);
/// Commands.
pub const COMMAND: Uuid = uuid16(0xfff2);

const COMMAND_START: [u8; 2] = [0x4d, 0xff];
const ANSWER_START: [u8; 2] = [0x4d, 0x3a];
const HEAD_LEN: usize = 4;
/// More than two users' memories.
const FRAME_BYTES_MAX: usize = 8192;

const RECORDS_FROM: usize = 38;
const RECORD_LEN: usize = 10;

const ASK_USER: &[u8] = &[0x05];
const ASK_RECORDS: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0xfd];
const SET_CLOCK: u8 = 0x0d;
const HANG_UP: &[u8] = &[0x04];
const DONE: &[u8] = &[0x81];

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "microlife",
    transport: Transport::Ble { service: SERVICE, subscribe: &[ANSWER], read: &[], names: &[] },
    vitals: &[Vital::Systolic, Vital::Diastolic, Vital::Pulse],
    devices: &["Microlife BP3GY1-2N"],
    standard: "the maker's own, as found by blood-pressure-monitor",
    open: |_| Box::new(session::Cuff::default()),
    decode,
};

/// A command with its head and sum.
#[must_use]
pub fn command(payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len() + 1).expect("commands are short");
    let mut frame = [&COMMAND_START[..], &len.to_be_bytes(), payload].concat();
    frame.push(sum(&frame));
    frame
}

/// The command that sets the clock to the room's time. The cuff knows the years from 2000 to 2255.
#[must_use]
pub fn set_clock(local: DateTime) -> Option<Vec<u8>> {
    let year = u8::try_from(local.year().checked_sub(2000)?).ok()?;
    let rest = [local.month(), local.day(), local.hour(), local.minute(), local.second()];
    let [month, day, hour, minute, second] = rest.map(i8::cast_unsigned);
    Some(command(&[SET_CLOCK, year, month, day, hour, minute, second]))
}

/// The payload of a whole frame, of either direction.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`], [`DecodeError::Malformed`] for another start, [`DecodeError::Checksum`].
pub fn payload(frame: &[u8]) -> Result<&[u8], DecodeError> {
    let &[first, second, high, low, ..] = frame else {
        return Err(DecodeError::TooShort { what: WHAT, found: frame.len(), need: HEAD_LEN + 1 });
    };
    if ![COMMAND_START, ANSWER_START].contains(&[first, second]) {
        let found = u16::from_be_bytes([first, second]).into();
        return Err(DecodeError::Malformed { what: WHAT, field: "start", found, wanted: "0x4d3a or 0x4dff" });
    }
    let need = HEAD_LEN + usize::from(u16::from_be_bytes([high, low]));
    if frame.len() > need {
        return Err(DecodeError::TooLong { what: WHAT, found: frame.len(), most: need });
    }
    let (found, before) = frame
        .split_last()
        .filter(|_| frame.len() == need && need > HEAD_LEN)
        .ok_or(DecodeError::TooShort { what: WHAT, found: frame.len(), need: need.max(HEAD_LEN + 1) })?;
    let wanted = sum(before);
    if *found != wanted {
        return Err(DecodeError::Checksum { what: WHAT, found: *found, wanted });
    }
    Ok(&before[HEAD_LEN..])
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Reads one record of 10 bytes; nothing for an empty place in the memory.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] for a time that can't be.
pub fn record(bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    let mut fields = Fields::exact("microlife record", bytes, RECORD_LEN)?;
    let numbers = [(); 3].map(|()| fields.u8());
    let [year, month, day, hour, minute] = [(); 5].map(|()| fields.u8());
    if numbers == [0; 3] {
        return Ok(Vec::new());
    }
    let time = gatt::since_2000(year, [month, day, hour, minute, 0])?;
    Ok(values(numbers, Some(time), &[]))
}

fn values([systolic, diastolic, pulse]: [u8; 3], device_time: Option<DateTime>, flags: &[Flag]) -> Vec<Measured> {
    let number = |raw: u8| (raw != 0).then(|| Value::new(raw.into(), 0));
    let values = [
        (Vital::Systolic, number(systolic), Unit::MillimetreMercury),
        (Vital::Diastolic, number(diastolic), Unit::MillimetreMercury),
        (Vital::Pulse, number(pulse), Unit::PerMinute),
    ];
    gatt::present(values, device_time, flags)
}

/// The values of a record that can't be refused, because others came with it, whatever its time.
fn without_time(bytes: &[u8]) -> Vec<Measured> {
    let numbers = bytes.first_chunk().copied().unwrap_or_default();
    values(numbers, None, &[Flag::FROM_STORAGE, Flag::CLOCK_IMPLAUSIBLE])
}

/// The records in the answer to the question for them, each as it could be read. Less than a record at the end is padding.
fn records(payload: &[u8]) -> impl Iterator<Item = (&[u8], Result<Vec<Measured>, DecodeError>)> {
    let memory = payload.get(RECORDS_FROM..).unwrap_or_default();
    memory.chunks_exact(RECORD_LEN).map(|bytes| (bytes, record(bytes)))
}

/// Does a frame begin so? A record of 77/58 does too but for its third byte, which is a pulse and not the upper half of a length.
fn begins_frame(bytes: &[u8]) -> bool {
    const LENGTH_HIGH_MAX: u8 = (FRAME_BYTES_MAX >> 8) as u8;
    let starts = [COMMAND_START, ANSWER_START].iter().any(|start| bytes.starts_with(start));
    starts && bytes.get(2).is_some_and(|high| *high < LENGTH_HIGH_MAX)
}

/// Frames, cut anywhere, or records by themselves. Among the records of a memory, one whose time can't be comes without it, and is marked.
fn decode(channel: Channel, frames: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    let uuid = gatt::characteristic(WHAT, channel)?;
    if ![ANSWER, COMMAND].contains(&uuid) {
        return Err(gatt::unknown(WHAT, uuid, "0xfff1 or 0xfff2"));
    }
    if frames.iter().all(|frame| frame.len() == RECORD_LEN && !begins_frame(frame)) {
        let all: Result<Vec<_>, _> = frames.iter().map(|frame| record(frame)).collect();
        return Ok(all?.concat());
    }
    let joined = frames.concat();
    let read = records(payload(&joined)?);
    Ok(read.flat_map(|(bytes, record)| record.unwrap_or_else(|_| without_time(bytes))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape;

    #[test]
    fn commands_have_their_length_and_sum() {
        assert_eq!(tape::hex(&command(ASK_RECORDS)), "4dff000900000000000000fd52");
        assert_eq!(tape::hex(&command(ASK_USER)), "4dff00020553");
        assert_eq!(tape::hex(&command(HANG_UP)), "4dff00020452");
        let local = DateTime::constant(2024, 6, 15, 14, 30, 45, 0);
        assert_eq!(tape::hex(&set_clock(local).unwrap()), "4dff00080d18060f0e1e2de7");
        assert_eq!(set_clock(DateTime::constant(1999, 12, 31, 0, 0, 0, 0)), None);
    }

    #[test]
    fn frames_are_checked() {
        let check = |hex: &str, wanted: &str| assert_eq!(payload(&tape::bytes(hex)).unwrap_err().to_string(), wanted);
        assert_eq!(payload(&tape::bytes("4d3a0002810a")), Ok(DONE));
        check("4d3a0002810b", "microlife: checksum is 0x0b, the bytes give 0x0a");
        check("4d3b0002810a", "microlife: start is 0x4d3b, want 0x4d3a or 0x4dff");
        check("4d3a0002810a00", "microlife: 7 bytes, at most 6 are meant by its flags");
        check("4d3a000281", "microlife: 5 bytes, need at least 6");
        check("4d3a0000", "microlife: 4 bytes, need at least 5");
        check("4d3a", "microlife: 2 bytes, need at least 5");
    }

    #[test]
    fn records_decode_alone_and_in_their_answer() {
        const SAYS: &str = "systolic 120 mm[Hg] 2024-06-15T14:30:00; diastolic 80 mm[Hg] 2024-06-15T14:30:00; \
                            pulse 60 /min 2024-06-15T14:30:00";
        tape::check(DRIVER, &["78503c18060f0e1e0000"], SAYS);
        tape::check(DRIVER, &["00000000000000000000"], "");
        let without_pulse = SAYS.split("; pulse").next().unwrap();
        tape::check(DRIVER, &["78500018060f0e1e0000"], without_pulse);
        tape::check(DRIVER, &["78503c18000f0e1e0000"], "date time: month is 0x00, want 1 or more");
        tape::check(DRIVER, &["78503c18060f181e0000"], "date time: hour is 0x18, want 0 to 23");
        tape::check(DRIVER, &["4d3a000b05010203040506"], "microlife: 11 bytes, need at least 15");
        tape::check(DRIVER, &["4d3a000b050102030405"], "microlife: 10 bytes, need at least 15");
        tape::check(
            DRIVER,
            &["4d3a3c0b050102030405"],
            "systolic 77 mm[Hg] 2011-05-01T02:03:00; diastolic 58 mm[Hg] 2011-05-01T02:03:00; pulse 60 /min 2011-05-01T02:03:00",
        );
        let answer = session::tests::answer(&["78503c18060f0e1e0000", "00000000000000000000", "0000"]);
        let (first, rest) = answer.split_at(41);
        tape::check(DRIVER, &[&tape::hex(first), &tape::hex(rest)], SAYS);
        let answer = session::tests::answer(&["78503c18060f0e1e0000", "6e463c18000f0e1e0000"]);
        let odd = "systolic 110 mm[Hg] from_storage clock_implausible; diastolic 70 mm[Hg] from_storage clock_implausible; \
                   pulse 60 /min from_storage clock_implausible";
        tape::check(DRIVER, &[&tape::hex(&answer)], &format!("{SAYS}; {odd}"));
    }
}
