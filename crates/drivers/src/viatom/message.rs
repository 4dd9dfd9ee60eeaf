//! The messages of Viatom's rings: requests, responses, what the sensors say, what the device says of itself, and its files. The layout stands in
//! the file above, `viatom.rs`.

use jiff::civil::DateTime;
use serde_json::Value as Json;
use vitals::Flag;

use super::WHAT;
use crate::{
    About, DecodeError, Measured, bci,
    recording::{Recording, Sample},
};

/// Bytes before the data of a message, and of its checksum.
const HEAD_BYTES: usize = 7;
const CRC_BYTES: usize = 1;

const REQUEST: u8 = 0xaa;
const RESPONSE: u8 = 0x55;

/// Bytes of what the sensors say.
pub const SENSORS_BYTES: usize = 13;
/// Bytes of a file before its records, and of a record.
pub const FILE_HEAD_BYTES: usize = 40;
/// Bytes of a record.
pub const RECORD_BYTES: usize = 5;
/// The version of files that can be read.
const FILE_VERSION: u16 = 3;

/// The checksum: CRC-8 with the polynomial 0x07, from 0.
#[must_use]
pub fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 })
    })
}

/// A request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What is asked, or how it went: 0 is well.
    pub code: u8,
    /// Which part of a file.
    pub block: u16,
    /// What is said.
    pub data: Vec<u8>,
}

impl Message {
    /// The bytes of a request.
    ///
    /// # Panics
    /// If there is more data than two bytes can tell.
    #[must_use]
    pub fn request(&self) -> Vec<u8> {
        let len = u16::try_from(self.data.len()).expect("requests are short");
        let mut bytes = vec![REQUEST, self.code, !self.code];
        bytes.extend(self.block.to_le_bytes().into_iter().chain(len.to_le_bytes()));
        bytes.extend(&self.data);
        bytes.push(crc8(&bytes));
        bytes
    }

    /// Reads a request.
    ///
    /// # Errors
    /// As [`Message::response`].
    pub fn parse_request(bytes: &[u8]) -> Result<Self, DecodeError> {
        parse(REQUEST, bytes)
    }

    /// Reads a response.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::Length`], [`DecodeError::Checksum`], [`DecodeError::Malformed`].
    pub fn response(bytes: &[u8]) -> Result<Self, DecodeError> {
        parse(RESPONSE, bytes)
    }

    /// Is it the answer that was asked for?
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if the device says that it can't.
    pub fn check_status(&self) -> Result<(), DecodeError> {
        if self.code == 0 { Ok(()) } else { Err(malformed("status", self.code.into(), "0x00: well")) }
    }
}

fn malformed(field: &'static str, found: u32, wanted: &'static str) -> DecodeError {
    DecodeError::Malformed { what: WHAT, field, found, wanted }
}

/// How many bytes the response has that begins so; `None` while that can't be said.
pub(super) fn response_bytes(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(5..HEAD_BYTES)?;
    Some(HEAD_BYTES + usize::from(u16::from_le_bytes([length[0], length[1]])) + CRC_BYTES)
}

/// Could a response begin so?
pub(super) fn begins_response(bytes: &[u8]) -> bool {
    match *bytes {
        [first, code, inverted, ..] => first == RESPONSE && inverted == !code,
        [first, ..] => first == RESPONSE,
        [] => true,
    }
}

fn parse(start: u8, bytes: &[u8]) -> Result<Message, DecodeError> {
    let found = bytes.len();
    let &[first, code, inverted, block_low, block_high, ..] = bytes else {
        return Err(DecodeError::TooShort { what: WHAT, found, need: HEAD_BYTES + CRC_BYTES });
    };
    if first != start {
        return Err(malformed("header", first.into(), "0xaa in a request, 0x55 in a response"));
    }
    if inverted != !code {
        return Err(malformed("inverted code", inverted.into(), "the code with every bit turned"));
    }
    let need = response_bytes(bytes).unwrap_or(HEAD_BYTES + CRC_BYTES);
    if found != need {
        return Err(DecodeError::Length { what: WHAT, said: need, found });
    }
    let (before, crc) = bytes.split_at(need - CRC_BYTES);
    let wanted = crc8(before);
    if crc != [wanted] {
        return Err(DecodeError::Checksum { what: WHAT, found: crc[0], wanted });
    }
    let block = u16::from_le_bytes([block_low, block_high]);
    Ok(Message { code, block, data: before[HEAD_BYTES..].to_vec() })
}

/// What the sensors say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sensors {
    /// Oxygen saturation, percent.
    pub spo2: Option<u8>,
    /// Beats a minute.
    pub pulse: Option<u8>,
    /// What is left of the battery, percent.
    pub battery: u8,
    /// 1 while it charges, 2 when it has.
    pub charging: u8,
    /// How much it moves; the unit is not public.
    pub motion: u8,
    /// How strong the pulse is; the unit is not public.
    pub strength: u8,
    /// Somebody wears it.
    pub worn: bool,
}

impl Sensors {
    /// Reads what the sensors say.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
    pub fn parse(data: &[u8]) -> Result<Self, DecodeError> {
        let found = data.len();
        let &[spo2, pulse, _, _, _, _, _, battery, charging, motion, strength, worn, _] = data else {
            return Err(if found < SENSORS_BYTES {
                DecodeError::TooShort { what: WHAT, found, need: SENSORS_BYTES }
            } else {
                DecodeError::TooLong { what: WHAT, found, most: SENSORS_BYTES }
            });
        };
        Ok(Self { spo2: there(spo2), pulse: there(pulse), battery, charging, motion, strength, worn: worn != 0 })
    }

    /// The values; those of a ring that nobody wears are flagged so.
    #[must_use]
    pub fn measured(&self) -> Vec<Measured> {
        let flags = (!self.worn).then(|| Flag::new("sensor_unconnected_to_user"));
        bci::measured(self.spo2, self.pulse.map(u16::from), flags.as_slice())
    }
}

fn there(number: u8) -> Option<u8> {
    Some(number).filter(|number| ![0, 0xff].contains(number))
}

/// What the device says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Its model, serial number, firmware and battery.
    pub about: About,
    /// Its clock, without a zone.
    pub clock: Option<DateTime>,
    /// Its files, the oldest first.
    pub files: Vec<String>,
}

impl Info {
    /// Reads the JSON, of which the text is `None` when it is none.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if it is no JSON object.
    pub fn parse(data: &[u8]) -> Result<Self, DecodeError> {
        let text = data.trim_ascii_end();
        let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        let said: Json = serde_json::from_slice(&text[..end]).unwrap_or_default();
        if !said.is_object() {
            let found = text.first().copied().unwrap_or_default();
            return Err(malformed("information", found.into(), "a JSON object"));
        }
        let of = |key: &str| said[key].as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let battery = of("CurBAT").and_then(|text| text.trim_end_matches('%').parse().ok());
        let about = About {
            manufacturer: Some("Viatom".to_owned()),
            model: of("Model"),
            serial_number: of("SN"),
            firmware: of("SoftwareVer"),
            battery_percent: battery.filter(|percent| *percent <= 100),
            ..About::default()
        };
        let clock = of("CurTIME").and_then(|text| text.replacen(',', "T", 1).parse().ok());
        let names = of("FileList").unwrap_or_default();
        let mut files: Vec<String> =
            names.split(',').map(str::trim).filter(|name| is_name(name)).map(str::to_owned).collect();
        files.sort();
        Ok(Self { about, clock, files })
    }
}

/// Names are the time at which the file began.
fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

/// How a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHead {
    /// When its recording began, by the device's clock, if that can be.
    pub start: Option<DateTime>,
    /// How long it is.
    pub seconds: u32,
}

impl FileHead {
    /// Reads the first [`FILE_HEAD_BYTES`] of a file.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::Malformed`] for another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some(head) = bytes.get(..FILE_HEAD_BYTES) else {
            return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need: FILE_HEAD_BYTES });
        };
        let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        if word(0) != FILE_VERSION {
            return Err(malformed("file version", word(0).into(), "3"));
        }
        let [month, day, hour, minute, second] = [4, 5, 6, 7, 8].map(|at: usize| head[at].cast_signed());
        let start =
            i16::try_from(word(2)).ok().and_then(|year| DateTime::new(year, month, day, hour, minute, second, 0).ok());
        Ok(Self { start, seconds: word(13).into() })
    }

    /// Seconds between records, of which the file has so many: every second one, or every fourth.
    #[must_use]
    pub fn step_seconds(&self, records: u32) -> Option<u32> {
        self.seconds.checked_div(records).filter(|step| [2, 4].contains(step))
    }

    /// The recording of so many records. One of which the head doesn't tell both is of an unknown time.
    pub(super) fn recording(&self, records: u32) -> Result<Recording, DecodeError> {
        if records == 0 {
            return Err(malformed("number of records", 0, "1 or more"));
        }
        Ok(match self.start.zip(self.step_seconds(records)) {
            Some((start, step)) => Recording::new(Some(start), step),
            None => Recording::new(None, 1),
        })
    }
}

/// One record of a file.
#[must_use]
pub fn record(bytes: [u8; RECORD_BYTES]) -> Sample {
    let [spo2, pulse, invalid, _, _] = bytes;
    let spo2 = Some(spo2).filter(|percent| invalid == 0 && (10..=100).contains(percent));
    Sample { spo2, pulse: there(pulse).filter(|_| invalid == 0), index: None }
}
