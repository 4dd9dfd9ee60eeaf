//! Contec CMS50D+ (firmware before 4.6), CMS50E and CMS50: five-byte live packets, and one recording that the device keeps.
//!
//! ```text
//! live, 60 a second: see the file bci.rs             CMS50D+ and CMS50E 19200 8O1, older CMS50 4800 8N1
//! F5 F5                                              the host asks for the recording; a CMS50E sends it from its menu
//! F2 80 00 F2 80 00 F2 80 00 | 3 bytes of length     7 bits each, the highest first; the number is the bytes that follow, less one
//! F0 + bit 7 of the pulse | 80 + pulse | SpO2        each second of the recording; pulse 255 and SpO2 127 missing
//! F6 F6 F6                                           the host asks for live packets again
//! ```
//!
//! The live stream becomes one measurement of a sitting (see the file `settle.rs`). The recording is asked for once, when the device is first
//! heard, and becomes readings as the file `recording.rs` says. This protocol doesn't tell when it was made, and has no command to delete it: it comes
//! again with every connection until the person deletes it on the device.
//! Source: atbrask/CMS50Dplus; no document of the maker.

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use vitals::Vital;

use crate::{
    Channel, DecodeError, Driver, LineSettings, Measured, Output, Parity, Progress, Session, Transport, bci,
    bit7::{Cut, Form, Packets},
    live::{End, Live, Streaming},
    recording::{Recording, Sample},
};

const WHAT: &str = "contec cms50d";
const FORM: Form = bci::contec(WHAT);

const PACKETS_PER_SECOND: usize = 60;

/// How the host asks for the recording.
pub const ASK_STORED: [u8; 2] = [0xf5, 0xf5];
/// How the host asks for live packets.
pub const ASK_LIVE: [u8; 3] = [0xf6, 0xf6, 0xf6];
/// How a recording begins, before its length.
const PREAMBLE: [u8; 9] = [0xf2, 0x80, 0x00, 0xf2, 0x80, 0x00, 0xf2, 0x80, 0x00];
/// Bytes of the preamble and the length.
pub const HEAD_BYTES: usize = 12;
/// Bytes of a second of the recording.
pub const RECORD_BYTES: usize = 3;
/// Silence in a recording after which no more will come, and the time that a device has to begin it.
pub const ANSWER_WAIT: SignedDuration = SignedDuration::from_secs(2);

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "contec-cms50d",
    transport: Transport::Serial {
        settings: &[LineSettings { baud: 19_200, parity: Parity::Odd }, LineSettings::plain(4800)],
    },
    vitals: &[Vital::Spo2, Vital::Pulse],
    devices: &["Contec CMS50D+ (firmware before 4.6)", "Contec CMS50E", "Contec CMS50"],
    standard: "Contec CMS50D+ protocol, as decoded in public (no document of the maker)",
    open: |_| Box::<Oximeter>::default(),
    decode,
};

fn malformed(field: &'static str, found: u8, wanted: &'static str) -> DecodeError {
    DecodeError::Malformed { what: WHAT, field, found: found.into(), wanted }
}

/// Reads how long a recording is, in seconds, from its first [`HEAD_BYTES`].
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`], [`DecodeError::Malformed`].
pub fn head(bytes: &[u8]) -> Result<u32, DecodeError> {
    let found = bytes.len();
    if found < HEAD_BYTES {
        return Err(DecodeError::TooShort { what: WHAT, found, need: HEAD_BYTES });
    }
    if found > HEAD_BYTES {
        return Err(DecodeError::TooLong { what: WHAT, found, most: HEAD_BYTES });
    }
    let (preamble, length) = bytes.split_at(PREAMBLE.len());
    if let Some((found, _)) = preamble.iter().zip(PREAMBLE).find(|(found, wanted)| **found != *wanted) {
        return Err(malformed("preamble", *found, "three times 0xf2, 0x80, 0x00"));
    }
    let [high, middle, low] = length.try_into().expect("three bytes are left");
    if [high, middle, low].map(|byte: u8| byte & 0x80 != 0) != [true, true, false] {
        return Err(malformed("preamble", high, "a length with bit 7 set in its first two bytes alone"));
    }
    let bytes = (u32::from(high & 0x7f) << 14 | u32::from(middle & 0x7f) << 7 | u32::from(low)) + 1;
    if !bytes.is_multiple_of(3) {
        return Err(malformed("preamble", low, "a length of whole records of 3 bytes"));
    }
    Ok(bytes / 3)
}

/// Reads a second of a recording.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`], [`DecodeError::Malformed`].
pub fn record(bytes: &[u8]) -> Result<Sample, DecodeError> {
    let [first, pulse, spo2] = *bytes else {
        let found = bytes.len();
        return Err(if found < RECORD_BYTES {
            DecodeError::TooShort { what: WHAT, found, need: RECORD_BYTES }
        } else {
            DecodeError::TooLong { what: WHAT, found, most: RECORD_BYTES }
        });
    };
    let checks = [(first, first & 0xfe == 0xf0), (pulse, pulse & 0x80 != 0), (spo2, spo2 & 0x80 == 0)];
    if let Some((found, _)) = checks.into_iter().find(|(_, right)| !right) {
        return Err(malformed("sync", found, "0xf0 or 0xf1, then bit 7 set, then bit 7 clear"));
    }
    let pulse = Some((first & 1) << 7 | pulse & 0x7f).filter(|rate| ![0, 255].contains(rate));
    let spo2 = Some(spo2).filter(|percent| ![0, 127].contains(percent));
    Ok(Sample { spo2, pulse, index: None })
}

/// Live packets, a recording with its head, or records without; before them the host may have asked, which says nothing.
fn decode(_: Channel, pieces: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    let bytes = pieces.concat();
    let asked = [&ASK_STORED[..], &ASK_LIVE].into_iter().find_map(|ask| bytes.strip_prefix(ask));
    match asked {
        Some([]) => Ok(Vec::new()),
        Some(answer) => answered(answer),
        None => answered(&bytes),
    }
}

fn answered(bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    match *bytes {
        [0xf2, 0x80, ..] => {
            let (first, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES));
            let seconds = head(first)?;
            if rest.is_empty() { Ok(Vec::new()) } else { recorded(rest, Some(seconds)) }
        }
        [0xf0 | 0xf1, second, ..] if second & 0x80 != 0 || bytes.len() <= RECORD_BYTES => recorded(bytes, None),
        _ => FORM.decode_all(bytes, Cut::Packets),
    }
}

fn recorded(bytes: &[u8], seconds: Option<u32>) -> Result<Vec<Measured>, DecodeError> {
    let found = bytes.len();
    let whole = found.next_multiple_of(RECORD_BYTES);
    let need = seconds.map_or(Some(whole), |seconds| usize::try_from(seconds).ok()?.checked_mul(RECORD_BYTES));
    let mut recording = Recording::new(None, 1);
    for bytes in bytes.chunks(RECORD_BYTES) {
        recording.push(record(bytes)?);
    }
    match need {
        Some(need) if found < need => Err(DecodeError::Incomplete { what: WHAT, found, need }),
        Some(need) if found > need => Err(DecodeError::TooLong { what: WHAT, found, most: need }),
        _ => Ok(recording.finish()),
    }
}

/// What comes over the line.
enum Step {
    /// Live packets; nothing was heard yet.
    Waiting,
    /// The recording was asked for, and may begin.
    Asked,
    /// Live packets.
    Live,
    /// A recording, of which so many seconds are still to come.
    Stored { recording: Recording, left: u32 },
}

/// A connection.
struct Oximeter {
    live: Streaming<Packets>,
    step: Step,
    until: Option<Timestamp>,
    /// What may be the beginning of a recording, or of a record.
    held: Vec<u8>,
    /// Something of the recording could not be read.
    damaged: bool,
}

impl Default for Oximeter {
    fn default() -> Self {
        let live = Streaming::new(Packets::new(FORM), Live::new(PACKETS_PER_SECOND, 1, End::Measured), None);
        Self { live, step: Step::Waiting, until: None, held: Vec::new(), damaged: false }
    }
}

fn write(bytes: &[u8]) -> Output {
    Output::Write { channel: Channel::Line, bytes: bytes.to_vec() }
}

impl Oximeter {
    fn wait(&mut self, now: Timestamp) {
        self.until = now.checked_add(ANSWER_WAIT).ok();
    }

    fn ask(&mut self, now: Timestamp) -> Output {
        self.step = Step::Asked;
        self.wait(now);
        write(&ASK_STORED)
    }

    fn push(&mut self, now: Timestamp, byte: u8) -> Vec<Output> {
        if matches!(self.step, Step::Stored { .. }) {
            return self.push_record(now, byte);
        }
        self.held.push(byte);
        if self.held.len() < HEAD_BYTES && self.held.iter().zip(PREAMBLE).all(|(held, wanted)| *held == wanted) {
            return Vec::new();
        }
        let held = std::mem::take(&mut self.held);
        match head(&held) {
            Ok(seconds) => {
                self.live.is_certain();
                self.damaged = false;
                self.step = Step::Stored { recording: Recording::new(None, 1), left: seconds };
                self.wait(now);
                Vec::new()
            }
            Err(error) if held.starts_with(&PREAMBLE) => vec![Output::Refused { error, bytes: held }],
            Err(_) => self.push_live(now, &held),
        }
    }

    /// Bytes that begin no recording; the last of them may begin one yet.
    fn push_live(&mut self, now: Timestamp, bytes: &[u8]) -> Vec<Output> {
        let outputs = match bytes {
            [before @ .., last] if !before.is_empty() && *last == PREAMBLE[0] => {
                self.held.push(*last);
                self.live.take(now, before)
            }
            all => self.live.take(now, all),
        };
        let known = matches!(self.step, Step::Waiting) && self.live.heard().understands() == Some(true);
        let ask = known.then(|| self.ask(now));
        outputs.into_iter().chain(ask).collect()
    }

    fn push_record(&mut self, now: Timestamp, byte: u8) -> Vec<Output> {
        self.held.push(byte);
        self.wait(now);
        if self.held.len() < RECORD_BYTES {
            return Vec::new();
        }
        let Step::Stored { recording, left } = &mut self.step else { return Vec::new() };
        match record(&self.held) {
            Ok(sample) => {
                recording.push(sample);
                *left -= 1;
                self.held.clear();
                if *left == 0 { self.stored() } else { self.progress() }
            }
            Err(error) => {
                let bytes = std::mem::take(&mut self.held);
                self.damaged = true;
                [vec![Output::Refused { error, bytes }], self.stored()].concat()
            }
        }
    }

    /// How far the recording is, once for each minute of it.
    fn progress(&self) -> Vec<Output> {
        let Step::Stored { recording, left } = &self.step else { return Vec::new() };
        let come = recording.samples();
        if !come.is_multiple_of(60) {
            return Vec::new();
        }
        let percent = u64::from(come) * 100 / (u64::from(come) + u64::from(*left)).max(1);
        vec![Output::Progress(Progress { values: Vec::new(), percent: u8::try_from(percent).ok() })]
    }

    /// The recording has ended, as it should or not: half of one has no median that the other half would not change.
    fn stored(&mut self) -> Vec<Output> {
        let step = std::mem::replace(&mut self.step, Step::Live);
        (self.until, self.held) = (None, Vec::new());
        let mut outputs = Vec::new();
        if let Step::Stored { recording, left } = step {
            let measured = if left == 0 && !self.damaged { recording.finish() } else { recording.cut() };
            if !measured.is_empty() {
                outputs.extend(measured.into_iter().map(Output::Measured).chain([Output::SittingEnd]));
            }
        }
        outputs.push(write(&ASK_LIVE));
        outputs
    }
}

impl Session for Oximeter {
    fn connected(&mut self, _now: Timestamp, _local: DateTime) -> Vec<Output> {
        Vec::new()
    }

    fn received(&mut self, now: Timestamp, _channel: Channel, bytes: &[u8]) -> Vec<Output> {
        bytes.iter().flat_map(|byte| self.push(now, *byte)).collect()
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        [self.until, self.live.timeout_at()].into_iter().flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let mut outputs = self.live.timed_out(now);
        if self.until.is_some_and(|at| at <= now) {
            outputs.extend(self.stored());
        }
        outputs
    }

    fn closed(&mut self, now: Timestamp) -> Vec<Output> {
        self.step = Step::Live;
        self.until = None;
        self.live.closed(now)
    }

    fn understands(&self) -> Option<bool> {
        self.live.understands()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

    const LIVE: &str = "c63107585f";
    const HEAD: &str = "f28000f28000f28000";

    /// A recording of so many seconds.
    fn stored(seconds: usize) -> Vec<u8> {
        let length = u32::try_from(seconds * 3 - 1).unwrap();
        let seven = |shift: u32| u8::try_from(length >> shift & 0x7f).unwrap();
        [&tape::bytes(HEAD)[..], &[seven(14) | 0x80, seven(7) | 0x80, seven(0)], &tape::bytes("f0c862").repeat(seconds)]
            .concat()
    }

    #[test]
    fn frames_by_themselves() {
        tape::check(DRIVER, &[LIVE, LIVE], "spo2 95 %; pulse 88 /min; spo2 95 %; pulse 88 /min");
        tape::check(
            DRIVER,
            &["b000304862"],
            "spo2 98 % sensor_unconnected_to_user signal_analysis_ongoing low_spo2_alarm inadequate_signal; \
             pulse 72 /min sensor_unconnected_to_user signal_analysis_ongoing low_spo2_alarm inadequate_signal",
        );
        tape::check(
            DRIVER,
            &["f0c862"],
            "spo2 98 % from_storage time_unknown; pulse 72 /min from_storage time_unknown",
        );
        tape::check(
            DRIVER,
            &["f1c861"],
            "spo2 97 % from_storage time_unknown; pulse 200 /min from_storage time_unknown",
        );
        tape::check(
            DRIVER,
            &[&tape::hex(&stored(3))],
            "spo2 98 % from_storage time_unknown; pulse 72 /min from_storage time_unknown",
        );
        tape::check(
            DRIVER,
            &["f5f5", &tape::hex(&stored(3))],
            "spo2 98 % from_storage time_unknown; pulse 72 /min from_storage time_unknown",
        );
        tape::check(DRIVER, &["f6f6f6", LIVE], "spo2 95 %; pulse 88 /min");
        tape::check(DRIVER, &["f5f5"], "");
        tape::check(DRIVER, &[HEAD, "80d42f"], "");
    }

    #[test]
    fn what_is_none_is_refused() {
        tape::check(DRIVER, &["c63107585f", "c631"], "contec cms50d: incomplete, 2 bytes of 5");
        tape::check(
            DRIVER,
            &["0080000000"],
            "contec cms50d: sync is 0x00, want bit 7 set in the first byte of a packet",
        );
        tape::check(DRIVER, &["80000000"], "contec cms50d: 4 bytes, need at least 5");
        tape::check(DRIVER, &["f080"], "contec cms50d: 2 bytes, need at least 3");
        tape::check(
            DRIVER,
            &["f00000"],
            "contec cms50d: sync is 0x00, want 0xf0 or 0xf1, then bit 7 set, then bit 7 clear",
        );
        tape::check(
            DRIVER,
            &["f28000f28000f28001808002"],
            "contec cms50d: preamble is 0x01, want three times 0xf2, 0x80, 0x00",
        );
        tape::check(
            DRIVER,
            &[HEAD, "808003"],
            "contec cms50d: preamble is 0x03, want a length of whole records of 3 bytes",
        );
        tape::check(DRIVER, &[HEAD, "80"], "contec cms50d: 10 bytes, need at least 12");
        tape::check(DRIVER, &[&tape::hex(&stored(3)[..18])], "contec cms50d: incomplete, 6 bytes of 9");
    }

    /// A device that has been heard and asked for its recording.
    fn asked() -> Tape {
        let mut tape = Tape::open(DRIVER);
        tape.line(&tape::bytes("585f")).line(&tape::bytes(LIVE).repeat(12)).gives("> f5f5");
        assert_eq!(tape.understands(), Some(true));
        tape
    }

    #[test]
    fn the_recording_is_one_reading_and_then_it_is_live_again() {
        let mut tape = asked();
        for piece in stored(600).chunks(50) {
            tape.line(piece);
        }
        tape.measures("spo2 98 % from_storage time_unknown; pulse 72 /min from_storage time_unknown; end; > f6f6f6");
        tape.line(&tape::bytes(LIVE).repeat(60 * 5)).measures("spo2 95 %; pulse 88 /min; end");
    }

    #[test]
    fn a_recording_cut_in_the_middle_says_nothing_and_live_goes_on() {
        let mut tape = asked();
        tape.line(&stored(600)[..900]).wait().measures("> f6f6f6");
        tape.line(&tape::bytes(LIVE).repeat(60 * 5)).measures("spo2 95 %; pulse 88 /min; end");
    }

    #[test]
    fn a_damaged_recording_is_refused() {
        let mut tape = asked();
        let mut damaged = stored(600);
        damaged[21] = 0x48;
        tape.line(&damaged[..24])
            .measures("! contec cms50d: sync is 0x48, want 0xf0 or 0xf1, then bit 7 set, then bit 7 clear; > f6f6f6");
    }

    #[test]
    fn a_device_without_a_recording_is_asked_once() {
        let mut tape = asked();
        tape.line(&tape::bytes(LIVE).repeat(60 * 2)).wait().measures("> f6f6f6");
        tape.line(&tape::bytes(LIVE).repeat(60 * 2)).measures("spo2 95 %; pulse 88 /min; end");
    }

    #[test]
    fn a_recording_sent_from_the_menu_is_taken() {
        let mut tape = Tape::open(DRIVER);
        tape.line(&tape::bytes("c631f2"))
            .line(&stored(2))
            .measures("spo2 98 % from_storage time_unknown; pulse 72 /min from_storage time_unknown; end; > f6f6f6");
    }

    #[test]
    fn another_rate_is_told_from_this_one() {
        let mut tape = Tape::open(DRIVER);
        tape.line(&[0x1c, 0xe0, 0x00, 0xfc, 0x80, 0x1c, 0x00].repeat(60));
        assert_eq!(tape.understands(), Some(false));
    }
}
