//! The packages of Contec's protocol V7: seven bits a byte, with the eighths of up to seven bytes in one of their own. The layout stands in the
//! file above, `contec_v7.rs`.

use jiff::civil::{Date, DateTime, Time};
use vitals::{Flag, Unit, Value, Vital};

use super::WHAT;
use crate::{
    DecodeError, Measured, bci, gatt,
    live::Refusal,
    recording::{Recording, Sample},
};

/// Bytes of a package, at most; and before its data.
const PACKAGE_BYTES_MAX: usize = 9;
const HEAD_BYTES: usize = 2;
const DATA_BYTES_MAX: usize = PACKAGE_BYTES_MAX - HEAD_BYTES;
/// Bytes of no package, kept for one refusal.
const NOISE_BYTES_MAX: usize = 64;

const HIGH: u8 = 1 << 7;

pub(super) const LIVE: u8 = 0x01;
pub(super) const IDENTITY: u8 = 0x04;
pub(super) const START_DATE: u8 = 0x07;
pub(super) const LENGTH: u8 = 0x08;
pub(super) const STORED_WITH_INDEX: u8 = 0x09;
pub(super) const COUNT: u8 = 0x0a;
pub(super) const FEEDBACK: u8 = 0x0b;
pub(super) const FREE: u8 = 0x0c;
pub(super) const DISCONNECT: u8 = 0x0d;
pub(super) const STORED: u8 = 0x0f;
pub(super) const START_TIME: u8 = 0x12;
pub(super) const COMMAND: u8 = 0x7d;

/// Bytes of data, by kind; what isn't listed may have up to seven.
const DATA_BYTES: &[(u8, usize)] = &[
    (LIVE, 7),
    (IDENTITY, 7),
    (0x05, 7),
    (START_DATE, 6),
    (LENGTH, 6),
    (STORED_WITH_INDEX, 4),
    (COUNT, 2),
    (FEEDBACK, 2),
    (FREE, 0),
    (DISCONNECT, 1),
    (0x0e, 1),
    (STORED, 6),
    (0x10, 1),
    (0x11, 7),
    (START_TIME, 6),
    (0x15, 7),
    (COMMAND, 7),
];

fn data_bytes(kind: u8) -> Option<usize> {
    DATA_BYTES.iter().find(|(other, _)| *other == kind).map(|(_, bytes)| *bytes)
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// What it is.
    pub kind: u8,
    /// Its data, eight bits a byte.
    pub data: Vec<u8>,
}

impl Package {
    /// A command, of which what isn't given is 0.
    ///
    /// # Panics
    /// If there are more than seven bytes.
    #[must_use]
    pub fn command(bytes: &[u8]) -> Self {
        assert!(bytes.len() <= DATA_BYTES_MAX, "a command has at most {DATA_BYTES_MAX} bytes");
        let mut data = bytes.to_vec();
        data.resize(DATA_BYTES_MAX, 0);
        Self { kind: COMMAND, data }
    }

    /// Its bytes on the line.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let high = self.data.iter().enumerate().fold(HIGH, |high, (at, byte)| high | (byte & HIGH) >> (7 - at));
        [self.kind, high].into_iter().chain(self.data.iter().map(|byte| byte | HIGH)).collect()
    }

    /// Reads a package.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] where bit 7 is not as it should be.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let what = WHAT;
        for (at, byte) in bytes.iter().enumerate() {
            if (byte & HIGH != 0) == (at == 0) {
                let wanted =
                    if at == 0 { "bit 7 clear in a package's first byte" } else { "bit 7 set after the first byte" };
                return Err(DecodeError::Malformed { what, field: "sync", found: (*byte).into(), wanted });
            }
        }
        let known = bytes.first().and_then(|kind| data_bytes(*kind));
        let (least, most) = known.map_or((0, DATA_BYTES_MAX), |bytes| (bytes, bytes));
        let found = bytes.len();
        if found < HEAD_BYTES + least {
            return Err(DecodeError::TooShort { what, found, need: HEAD_BYTES + least });
        }
        if found > HEAD_BYTES + most {
            return Err(DecodeError::TooLong { what, found, most: HEAD_BYTES + most });
        }
        let high = bytes[1];
        let eight = |(at, byte): (usize, &u8)| byte & !HIGH | (high >> at & 1) << 7;
        Ok(Self { kind: bytes[0], data: bytes[HEAD_BYTES..].iter().enumerate().map(eight).collect() })
    }

    /// Is it of a kind that the protocol has?
    #[must_use]
    pub fn is_known(&self) -> bool {
        data_bytes(self.kind).is_some()
    }

    /// The byte at `at` of the data; 0, if it has none.
    #[must_use]
    pub fn byte(&self, at: usize) -> u8 {
        self.data.get(at).copied().unwrap_or_default()
    }

    fn bit(&self, at: usize, bit: u8) -> bool {
        self.byte(at) & 1 << bit != 0
    }

    /// The live values, where it is a package of them.
    #[must_use]
    pub fn live(&self) -> Option<LiveValues> {
        (self.kind == LIVE).then(|| LiveValues(self.clone()))
    }

    /// The date on which a recording began.
    #[must_use]
    pub fn date(&self) -> Option<Date> {
        let [century, year, month, day] = [2, 3, 4, 5].map(|at| self.byte(at));
        let year = i16::from(century) * 100 + i16::from(year);
        Date::new(year, month.cast_signed(), day.cast_signed()).ok().filter(|_| self.kind == START_DATE)
    }

    /// The time of day at which a recording began.
    #[must_use]
    pub fn time(&self) -> Option<Time> {
        let [hour, minute, second] = [2, 3, 4].map(|at| self.byte(at).cast_signed());
        Time::new(hour, minute, second, 0).ok().filter(|_| self.kind == START_TIME)
    }

    /// How long a recording is, in bytes.
    #[must_use]
    pub fn length(&self) -> u32 {
        u32::from_le_bytes([2, 3, 4, 5].map(|at| self.byte(at)))
    }

    /// Seconds of a recording.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let of = |spo2, pulse, index| Sample {
            spo2: there(spo2, 0x7f),
            pulse: there(pulse, 0xff),
            index: Some(index).filter(|index| ![0, u16::MAX].contains(index)),
        };
        match self.kind {
            STORED => self.data.chunks_exact(2).map(|pair| of(pair[0], pair[1], 0)).collect(),
            STORED_WITH_INDEX => {
                vec![of(self.byte(0), self.byte(1), u16::from_le_bytes([self.byte(2), self.byte(3)]))]
            }
            _ => Vec::new(),
        }
    }
}

/// A number that isn't the one for missing, nor 0, which the protocol excludes.
fn there(number: u8, missing: u8) -> Option<u8> {
    Some(number).filter(|number| ![0, missing].contains(number))
}

/// What a live package says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveValues(Package);

impl LiveValues {
    /// Strength of the signal, of 8.
    #[must_use]
    pub fn strength(&self) -> u8 {
        self.0.byte(0) & 0x0f
    }

    /// The search for the pulse takes too long.
    #[must_use]
    pub fn too_long(&self) -> bool {
        self.0.bit(0, 4)
    }

    /// The device's alarm of a low SpO2.
    #[must_use]
    pub fn low_spo2(&self) -> bool {
        self.0.bit(0, 5)
    }

    /// A beat is now.
    #[must_use]
    pub fn beep(&self) -> bool {
        self.0.bit(0, 6)
    }

    /// No finger is on the probe.
    #[must_use]
    pub fn probe_error(&self) -> bool {
        self.0.bit(0, 7)
    }

    /// One point of the pulse curve.
    #[must_use]
    pub fn pleth(&self) -> u8 {
        self.0.byte(1) & !HIGH
    }

    /// The pulse is still being looked for.
    #[must_use]
    pub fn searching(&self) -> bool {
        self.0.bit(1, 7)
    }

    /// The bar of the display, of 15.
    #[must_use]
    pub fn bar(&self) -> u8 {
        self.0.byte(2) & 0x0f
    }

    /// The device measures a perfusion index: the bit is 0 when it does.
    #[must_use]
    pub fn index_valid(&self) -> bool {
        !self.0.bit(2, 4)
    }

    /// Beats a minute.
    #[must_use]
    pub fn pulse(&self) -> Option<u8> {
        there(self.0.byte(3), 0xff)
    }

    /// Oxygen saturation, percent.
    #[must_use]
    pub fn spo2(&self) -> Option<u8> {
        there(self.0.byte(4), 0x7f)
    }

    /// The perfusion index as sent, in 0.01 %.
    #[must_use]
    pub fn index_sent(&self) -> u16 {
        u16::from_le_bytes([self.0.byte(5), self.0.byte(6)])
    }

    /// The values, with every status bit as a flag.
    #[must_use]
    pub fn measured(&self) -> Vec<Measured> {
        let seen = [
            (self.probe_error(), "sensor_unconnected_to_user"),
            (self.searching(), "signal_analysis_ongoing"),
            (self.too_long(), "inadequate_signal"),
            (self.low_spo2(), "low_spo2_alarm"),
        ];
        let flags: Vec<Flag> = seen.into_iter().filter(|(seen, _)| *seen).map(|(_, name)| Flag::new(name)).collect();
        let index = Some(self.index_sent()).filter(|index| self.index_valid() && ![0, u16::MAX].contains(index));
        let index = index.map(|index| Value::new(index.into(), 2));
        let index = gatt::present([(Vital::PerfusionIndex, index, Unit::Percent)], None, &flags);
        [bci::measured(self.spo2(), self.pulse().map(u16::from), &flags), index].concat()
    }
}

/// Bytes, cut anywhere, to packages.
#[derive(Default)]
pub(super) struct Stream {
    /// The package that is coming; shorter than one between calls.
    buffer: Vec<u8>,
    noise: Vec<u8>,
}

impl Stream {
    /// The next byte; a package that it completes.
    pub(super) fn push(&mut self, byte: u8) -> Vec<Result<Package, Refusal>> {
        let mut said = Vec::new();
        if byte & HIGH == 0 {
            let before = std::mem::take(&mut self.buffer);
            said.extend(self.unknown(before));
            self.buffer.push(byte);
        } else if self.buffer.is_empty() {
            self.noise.push(byte);
        } else {
            self.buffer.push(byte);
        }
        let need = self.buffer.first().map(|kind| data_bytes(*kind).unwrap_or(DATA_BYTES_MAX) + HEAD_BYTES);
        if Some(self.buffer.len()) == need {
            let package = Package::parse(&self.buffer).map_err(|error| (error, self.buffer.clone()));
            self.buffer.clear();
            said.extend(self.refuse_noise().into_iter().chain([package]));
        }
        if self.noise.len() >= NOISE_BYTES_MAX {
            said.extend(self.refuse_noise());
        }
        said
    }

    /// A package that ends where the next begins: of a kind that isn't known, or cut.
    fn unknown(&mut self, bytes: Vec<u8>) -> Option<Result<Package, Refusal>> {
        match Package::parse(&bytes) {
            Ok(package) => Some(Ok(package)),
            Err(_) => {
                self.noise.extend(bytes);
                None
            }
        }
    }

    fn refuse_noise(&mut self) -> Option<Result<Package, Refusal>> {
        let bytes = std::mem::take(&mut self.noise);
        Package::parse(&bytes).err().filter(|_| !bytes.is_empty()).map(|error| Err((error, bytes)))
    }
}

/// Packages from the device or to it, one after the other. Live ones give readings, and the stored ones after a beginning those of a recording.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    let mut starts: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte & HIGH == 0).map(|(at, _)| at).collect();
    if starts.first() != Some(&0) {
        return Package::parse(bytes).map(|_| Vec::new());
    }
    starts.push(bytes.len());
    let (mut measured, mut stored) = (Vec::new(), Stored::default());
    for piece in starts.windows(2) {
        let package = Package::parse(&bytes[piece[0]..piece[1]])?;
        if data_bytes(package.kind).is_none() {
            let (field, found, wanted) = ("type", package.kind.into(), "a type of protocol V7");
            return Err(DecodeError::Malformed { what: WHAT, field, found, wanted });
        }
        measured.extend(package.live().into_iter().flat_map(|live| live.measured()));
        measured.extend(stored.take(&package));
    }
    measured.extend(stored.finish());
    Ok(measured)
}

/// One recording in a stream: when it began, which is said before it, and its samples.
#[derive(Default)]
struct Stored {
    date: Option<Date>,
    time: Option<Time>,
    samples: Vec<Sample>,
}

impl Stored {
    /// Takes a package. One that announces another recording gives the readings of that before it.
    fn take(&mut self, package: &Package) -> Vec<Measured> {
        let announces = [START_DATE, START_TIME, LENGTH].contains(&package.kind);
        let before = if announces && !self.samples.is_empty() { std::mem::take(self).finish() } else { Vec::new() };
        self.date = package.date().or(self.date);
        self.time = package.time().or(self.time);
        self.samples.extend(package.samples());
        before
    }

    fn finish(self) -> Vec<Measured> {
        let start = self.date.zip(self.time).map(|(date, time)| DateTime::from_parts(date, time));
        let mut recording = Recording::new(start, 1);
        self.samples.into_iter().for_each(|sample| recording.push(sample));
        recording.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contec_v7::DRIVER, tape};

    #[test]
    fn a_live_package_says_what_is_there() {
        tape::check(DRIVER, &["0180c6b187d8e1ac81"], "spo2 97 %; pulse 88 /min; perfusion_index 3.00 %");
        tape::check(DRIVER, &["01a0c6b187d8e1ac81"], "spo2 97 %; pulse 88 /min; perfusion_index 4.28 %");
        tape::check(DRIVER, &["01e980c090ffffffff"], "");
        tape::check(
            DRIVER,
            &["01e3b6b187c8e1ffff"],
            "spo2 97 % sensor_unconnected_to_user signal_analysis_ongoing inadequate_signal low_spo2_alarm; \
             pulse 72 /min sensor_unconnected_to_user signal_analysis_ongoing inadequate_signal low_spo2_alarm",
        );
    }

    #[test]
    fn stored_packages_are_a_recording() {
        tape::check(
            DRIVER,
            &["0fa0e2c8e1c7ffff"],
            "spo2 97 % from_storage time_unknown; pulse 71 /min from_storage time_unknown",
        );
        tape::check(
            DRIVER,
            &["07808080948a8788", "1280808096b89e80", "0fa0e2c8e1c7ffff"],
            "spo2 97 % 2010-07-08T22:56:30 from_storage; pulse 71 /min 2010-07-08T22:56:30 from_storage",
        );
        tape::check(
            DRIVER,
            &["0980e2c8ac81"],
            "spo2 98 % from_storage time_unknown; pulse 72 /min from_storage time_unknown",
        );
    }

    #[test]
    fn recordings_with_beginnings_of_their_own_stay_apart() {
        let first = ["07808080948a8788", "1280808096b89e80", "0f80e2c8e2c8e2c8"];
        let second = ["0780808094968b95", "1280808188888080", "0f80d0bcd0bcd0bc"];
        let says = "spo2 98 % 2010-07-08T22:56:30 from_storage; pulse 72 /min 2010-07-08T22:56:30 from_storage; ";
        let then = "spo2 80 % 2022-11-21T08:08:00 from_storage; pulse 60 /min 2022-11-21T08:08:00 from_storage";
        tape::check(DRIVER, &[first, second].concat(), &format!("{says}{then}"));
        let unknown = "spo2 80 % from_storage time_unknown; pulse 60 /min from_storage time_unknown";
        tape::check(DRIVER, &[&first[..], &second[1..]].concat(), &format!("{says}{unknown}"));
    }

    #[test]
    fn what_is_none_is_refused() {
        tape::check(DRIVER, &["0180"], "contec v7: 2 bytes, need at least 9");
        tape::check(DRIVER, &["0181c6b187d8e1ac01"], "contec v7: 8 bytes, need at least 9");
        tape::check(DRIVER, &["81818181"], "contec v7: sync is 0x81, want bit 7 clear in a package's first byte");
        tape::check(DRIVER, &["0180c6b187d8e1ac8181"], "contec v7: 10 bytes, at most 9 are meant by its flags");
        tape::check(DRIVER, &["3380"], "contec v7: type is 0x33, want a type of protocol V7");
        tape::check(DRIVER, &[""], "contec v7: 0 bytes, need at least 2");
        let error = Package::parse(&tape::bytes("0181c6b187d8e1ac01")).unwrap_err();
        assert_eq!(error.to_string(), "contec v7: sync is 0x01, want bit 7 set after the first byte");
    }

    #[test]
    fn packages_are_written_as_they_are_read() {
        for hex in ["7d81af808080808080", "0181c6b187d8e1ac81", "0c80", "0b81b185"] {
            let package = Package::parse(&tape::bytes(hex)).unwrap();
            assert_eq!(tape::hex(&package.bytes()), hex);
        }
        assert_eq!(Package::command(&[0xaf]).bytes(), tape::bytes("7d81af808080808080"));
    }
}
