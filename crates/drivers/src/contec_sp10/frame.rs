//! The spirometer's frames: their lengths, their checksum, and the record. The layout stands in the file above, `contec_sp10.rs`.

use jiff::civil::DateTime;
use vitals::{Flag, Unit, Value, Vital};

use super::WHAT;
use crate::{Channel, DecodeError, Measured, gatt};

/// The code of a record.
pub(super) const RECORD: u8 = 0xe1;
/// Bytes of a record, with its checksum.
pub(super) const RECORD_BYTES: usize = 44;
/// Codes of the host's commands.
const COMMANDS: [u8; 9] = [0x80, 0x82, 0x83, 0x8b, 0x90, 0x91, 0x92, 0x93, 0x94];
/// Second byte of a record's frame that holds none.
const NO_RECORD: [u8; 2] = [0x7e, 0x7f];
pub(super) const CURVE: u8 = 0xe2;
pub(super) const CURVE_HEAD_BYTES: usize = 5;
pub(super) const CURVE_FRAME_BYTES: usize = 8;

/// The last byte of a frame: the sum of the bytes before it, without bit 7.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) & 0x7f
}

/// A frame for the device.
#[must_use]
pub fn command(code: u8, arguments: &[u8]) -> Vec<u8> {
    let mut frame = [&[code], arguments].concat();
    frame.push(checksum(&frame));
    frame
}

/// One stored measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    bytes: [u8; RECORD_BYTES],
}

impl Record {
    /// Reads a record from its code to its checksum. Bit 7 of the bytes between may be set and means nothing.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::TooLong`], [`DecodeError::Checksum`], [`DecodeError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let malformed =
            |field, found: u8, wanted| DecodeError::Malformed { what: WHAT, field, found: found.into(), wanted };
        let sized: [u8; RECORD_BYTES] = bytes.try_into().map_err(|_| {
            let (found, need) = (bytes.len(), RECORD_BYTES);
            if found < need {
                DecodeError::TooShort { what: WHAT, found, need }
            } else {
                DecodeError::TooLong { what: WHAT, found, most: need }
            }
        })?;
        if sized[0] != RECORD {
            return Err(malformed("code", sized[0], "0xe1"));
        }
        check_sum(&sized)?;
        let record = Self { bytes: sized };
        if record.kind() > 4 {
            return Err(malformed("kind", record.kind(), "0 to 4"));
        }
        Ok(record)
    }

    /// The 7-bit byte at `at` of the layout above.
    #[must_use]
    pub fn byte(&self, at: usize) -> u8 {
        self.bytes[at] & 0x7f
    }

    /// The word whose lower byte is at `at` of the layout above.
    #[must_use]
    pub fn word(&self, at: usize) -> u16 {
        u16::from(self.byte(at)) | u16::from(self.byte(at + 1)) << 7
    }

    /// 0 all, 1 forced, 2 slow vital capacity, 3 and 4 ventilation.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.byte(2)
    }

    /// Its number in the device's list.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.word(3)
    }

    /// The device's time, `None` when its month or its day is 0.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for a time that can't be.
    pub fn time(&self) -> Result<Option<DateTime>, DecodeError> {
        let [low, high] = (2000 + u16::from(self.byte(5))).to_le_bytes();
        let [month, day, hour, minute, second] = [6, 7, 8, 9, 10].map(|at| self.byte(at));
        gatt::date_time(&[low, high, month, day, hour, minute, second])
    }

    /// The word at `at` of the layout above, with this many decimals; 0 was not measured.
    #[must_use]
    pub fn number_at(&self, at: usize, decimals: u32) -> Option<Value> {
        Some(self.word(at)).filter(|word| *word != 0).map(|word| Value::new(word.into(), decimals))
    }

    /// What the record is, without its number, which changes when older ones are deleted.
    pub(super) fn identity(&self) -> Vec<u8> {
        [&self.bytes[2..3], &self.bytes[5..RECORD_BYTES - 1]].concat()
    }

    /// A slow or a ventilation test has no forced values. A record needs no saying that it was stored, except where no time says so.
    pub(super) fn measured(&self) -> Vec<Measured> {
        if self.kind() > 1 {
            return Vec::new();
        }
        let read = self.time();
        let doubt = if read.is_ok() { Flag::TIME_UNKNOWN } else { Flag::CLOCK_IMPLAUSIBLE };
        let time = read.unwrap_or_default();
        let mut flags = if time.is_some() { Vec::new() } else { vec![Flag::FROM_STORAGE, doubt] };
        if self.byte(16) != 0 {
            flags.push(Flag::new("drug"));
        }
        let values = [
            (Vital::Fev1, self.number_at(21, 2), Unit::Litre),
            (Vital::Fvc, self.number_at(17, 2), Unit::Litre),
            (Vital::Fev6, self.number_at(27, 2), Unit::Litre),
            (Vital::Pef, self.number_at(29, 2), Unit::LitrePerSecond),
            (Vital::Fev1Fvc, self.number_at(23, 1), Unit::Percent),
        ];
        gatt::present(values, time, &flags)
    }
}

pub(super) fn check_sum(frame: &[u8]) -> Result<(), DecodeError> {
    let Some((found, before)) = frame.split_last() else { return Ok(()) };
    let (found, wanted) = (found & 0x7f, checksum(before));
    if found == wanted { Ok(()) } else { Err(DecodeError::Checksum { what: WHAT, found, wanted }) }
}

/// How many bytes the frame at the start of `bytes` has; `Err` with how many are needed to tell.
pub(super) fn frame_len(bytes: &[u8]) -> Result<usize, usize> {
    let word = |at: usize| usize::from(bytes[at] & 0x7f) | usize::from(bytes[at + 1] & 0x7f) << 7;
    match *bytes {
        [] => Err(1),
        [0xf0, ..] => Ok(2),
        [0xf3 | 0xe3, ..] => Ok(3),
        [0xf2, ..] => Ok(8),
        [0xe4, ..] => Ok(23),
        [0xe0, ..] => Ok(10),
        [RECORD] => Err(2),
        [RECORD, state, ..] => Ok(if NO_RECORD.contains(&state) { 2 } else { RECORD_BYTES }),
        [CURVE, ..] if bytes.len() < CURVE_HEAD_BYTES => Err(CURVE_HEAD_BYTES),
        [CURVE, ..] => Ok(CURVE_HEAD_BYTES + CURVE_FRAME_BYTES * word(3)),
        _ => Ok(1),
    }
}

/// An answer whose code is all of it.
fn is_bare(bytes: &[u8]) -> bool {
    match *bytes {
        [0xf0 | 0xf3] => true,
        [0xf0 | 0xf3, next, ..] => next & 0x80 != 0,
        _ => false,
    }
}

/// Frames from the device, one after the other, or a command of the host, which says nothing. Only records give readings. What follows a curve up to the next code is not documented.
pub(crate) fn decode(_: Channel, pieces: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    let bytes = pieces.concat();
    let mut rest = &bytes[..];
    let mut measured = Vec::new();
    let mut tail_allowed = false;
    if rest.is_empty() {
        return Err(DecodeError::Incomplete { what: WHAT, found: 0, need: 2 });
    }
    if rest.len() >= 2 && COMMANDS.contains(&rest[0]) {
        return check_sum(rest).map(|()| measured);
    }
    while let Some(first) = rest.first() {
        let need = if is_bare(rest) { 1 } else { frame_len(rest).unwrap_or_else(|need| need) };
        if rest.len() < need {
            return Err(DecodeError::Incomplete { what: WHAT, found: rest.len(), need });
        }
        let (frame, after) = rest.split_at(need);
        rest = after;
        match *first {
            RECORD if frame.len() == RECORD_BYTES => measured.extend(Record::parse(frame)?.measured()),
            0xf0 | 0xf3 if frame.len() == 1 => {}
            0xf0 | 0xf2 | 0xf3 | 0xe0 | 0xe3 | 0xe4 => check_sum(frame)?,
            RECORD | CURVE => {}
            ..0x80 if tail_allowed => continue,
            code => {
                return Err(DecodeError::Malformed {
                    what: WHAT,
                    field: "code",
                    found: code.into(),
                    wanted: "0xe0 to 0xe4, 0xf0, 0xf2 or 0xf3",
                });
            }
        }
        tail_allowed = matches!(*first, RECORD | CURVE) && frame.len() != RECORD_BYTES;
    }
    Ok(measured)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{contec_sp10::DRIVER, tape};

    /// An example record of the public source named above.
    const EXAMPLE: &str = "e10001010016081d111e2400272f0101017e0300006f034b0700000000250721060c050703660423024f005b";
    pub const EXAMPLE_SAYS: &str = "fev1 4.95 L 2022-08-29T17:30:36 drug; fvc 5.10 L 2022-08-29T17:30:36 drug; \
         pef 9.33 L/s 2022-08-29T17:30:36 drug; fev1_fvc 97.1 % 2022-08-29T17:30:36 drug";

    pub fn record(number: u8, second: u8, fev1: u8) -> Vec<u8> {
        let mut bytes = tape::bytes(EXAMPLE);
        (bytes[3], bytes[10], bytes[21]) = (number, second, fev1);
        bytes[43] = checksum(&bytes[..43]);
        bytes
    }

    #[test]
    fn a_record_says_what_was_blown() {
        tape::check(DRIVER, &[EXAMPLE], EXAMPLE_SAYS);
        tape::check(DRIVER, &[&EXAMPLE[..20], &EXAMPLE[20..]], EXAMPLE_SAYS);
    }

    #[test]
    fn damaged_records_are_refused() {
        tape::check(DRIVER, &[&EXAMPLE[..86]], "contec sp10: incomplete, 43 bytes of 44");
        tape::check(DRIVER, &[&EXAMPLE.replace("6f03", "6e03")], "contec sp10: checksum is 0x5b, the bytes give 0x5a");
        tape::check(DRIVER, &["91000113"], "contec sp10: checksum is 0x13, the bytes give 0x12");
        tape::check(DRIVER, &["a1000122"], "contec sp10: code is 0xa1, want 0xe0 to 0xe4, 0xf0, 0xf2 or 0xf3");
        tape::check(DRIVER, &["91000112"], "");
        tape::check(DRIVER, &["f0"], "");
        tape::check(DRIVER, &["f3"], "");
        tape::check(DRIVER, &["f0", "f3", "f300 73", "f3"], "");
        tape::check(DRIVER, &["f071"], "contec sp10: checksum is 0x71, the bytes give 0x70");
        tape::check(DRIVER, &[""], "contec sp10: incomplete, 0 bytes of 2");
    }

    #[test]
    fn a_slow_test_has_no_forced_values_and_an_impossible_time_is_said() {
        let mut slow = record(1, 36, 0x6f);
        slow[2] = 2;
        slow[43] = checksum(&slow[..43]);
        tape::check(DRIVER, &[&tape::hex(&slow)], "");
        let odd = record(1, 61, 0);
        tape::check(
            DRIVER,
            &[&tape::hex(&odd)],
            &[
                "fev1 3.84 L from_storage clock_implausible drug",
                "fvc 5.10 L from_storage clock_implausible drug",
                "pef 9.33 L/s from_storage clock_implausible drug",
                "fev1_fvc 97.1 % from_storage clock_implausible drug",
            ]
            .join("; "),
        );
    }

    #[test]
    fn a_record_without_a_day_does_not_look_live() {
        const TIMELESS: &str =
            "e10001010016001d111e2400272f0101017e0300006f034b0700000000250721060c050703660423024f0053";
        tape::check(
            DRIVER,
            &[TIMELESS],
            &["fev1 4.95 L", "fvc 5.10 L", "pef 9.33 L/s", "fev1_fvc 97.1 %"]
                .map(|value| format!("{value} from_storage time_unknown drug"))
                .join("; "),
        );
    }
}
