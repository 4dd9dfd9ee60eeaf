//! What is said with an oximeter of protocol V7, as a state machine. The order stands in the file above, `contec_v7.rs`.

use std::collections::BTreeSet;

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
};

use super::{
    WHAT,
    package::{self, Package, Stream},
};
use crate::{
    About, Channel, DecodeError, Heard, Output, Progress, Session,
    live::{End, Live},
    recording::Recording,
};

const LIVE_PER_SECOND: usize = 60;

/// How long an answer may take, and a recording may pause.
pub const ANSWER_WAIT: SignedDuration = SignedDuration::from_secs(1);
/// How often the same is asked before the device is taken not to know it.
pub const ASKED_MAX: u32 = 2;
/// How often the device is told that somebody is there.
pub const KEEP_ALIVE_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// A device that has been silent for so long is talked to anew.
pub const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// A recording that says to be longer is not believed: eight days.
const RECORDING_BYTES_MAX: u32 = 2 * 8 * 86_400;
/// Recordings that are remembered as said.
const KNOWN_MAX: usize = 256;

const KEEP_ALIVE: u8 = 0xaf;
const ALL: u8 = 0xff;

/// What the session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Stop,
    Identify,
    SetDate,
    SetTime,
    Count,
    Start,
    Length,
    Data,
    Live,
    /// The same again before the recordings are deleted.
    StopToDelete,
    CountAgain,
    LengthAgain,
    Delete,
    /// The device to be there again.
    Away,
}

/// The recording that is being read.
struct Reading {
    recording: Recording,
    /// Seconds that it has, of a device without perfusion indices.
    seconds: u32,
    /// Bytes that came.
    bytes: u32,
}

/// A connection.
pub(super) struct Oximeter {
    user: u8,
    live: Live,
    heard: Heard,
    stream: Stream,
    /// It has said something.
    answered: bool,
    step: Step,
    asked_times: u32,
    until: Option<Timestamp>,
    keep_alive_at: Option<Timestamp>,
    began: Option<(Timestamp, DateTime)>,
    /// The device has taken the date and the time.
    clock_is_set: bool,
    recordings: u8,
    /// Which of them, from 0.
    at: u8,
    date: Option<Date>,
    start: Option<DateTime>,
    length: u32,
    reading: Option<Reading>,
    /// Every recording was read to its end.
    whole: bool,
    /// Something was measured that has not been acknowledged.
    owed: bool,
    /// All of it has been: the recordings may be deleted.
    acknowledged: bool,
    /// Recordings were said in this round.
    measured: bool,
    known: BTreeSet<(Option<DateTime>, u32)>,
}

impl Oximeter {
    pub(super) fn new(user: u8) -> Self {
        Self {
            user,
            live: Live::new(LIVE_PER_SECOND, 1, End::Measured),
            heard: Heard::default(),
            stream: Stream::default(),
            answered: false,
            step: Step::Away,
            asked_times: 0,
            until: None,
            keep_alive_at: None,
            began: None,
            clock_is_set: false,
            recordings: 0,
            at: 0,
            date: None,
            start: None,
            length: 0,
            reading: None,
            whole: false,
            owed: false,
            acknowledged: false,
            measured: false,
            known: BTreeSet::new(),
        }
    }

    fn go(&mut self, now: Timestamp, step: Step) -> Vec<Output> {
        let delete = step == Step::Live && self.whole && self.recordings > 0 && std::mem::take(&mut self.acknowledged);
        (self.step, self.asked_times) = (if delete { Step::StopToDelete } else { step }, 0);
        self.ask(now)
    }

    fn ask(&mut self, now: Timestamp) -> Vec<Output> {
        self.asked_times += 1;
        let wait = if matches!(self.step, Step::Live | Step::Away) { AGAIN_AFTER } else { ANSWER_WAIT };
        self.until = now.checked_add(wait).ok();
        let Some(command) = self.command(now) else { return Vec::new() };
        self.keep_alive_at = now.checked_add(KEEP_ALIVE_EVERY).ok();
        vec![write(&command)]
    }

    fn command(&self, now: Timestamp) -> Option<Vec<u8>> {
        let byte = |number: i16| u8::try_from(number).unwrap_or_default();
        Some(match self.step {
            Step::Stop | Step::StopToDelete => vec![0xa2],
            Step::Identify => vec![0xaa],
            Step::SetDate => {
                let date = self.local(now)?.date();
                let week_day = date.weekday().to_sunday_zero_offset();
                let parts =
                    [date.year() / 100, date.year() % 100, date.month().into(), date.day().into(), week_day.into()];
                [&[0xb2][..], &parts.map(byte)].concat()
            }
            Step::SetTime => {
                let time = self.local(now)?.time();
                let parts = [time.hour(), time.minute(), time.second()];
                [&[0xb1][..], &parts.map(i8::cast_unsigned)].concat()
            }
            Step::Count | Step::CountAgain => vec![0xa3, self.user],
            Step::Start => vec![0xa5, self.user, self.at],
            Step::Length | Step::LengthAgain => vec![0xa4, self.user, self.at],
            Step::Data => vec![0xa6, self.user, self.at],
            Step::Delete => vec![0xae, self.user, if self.recordings > 1 { ALL } else { 0 }],
            Step::Live => vec![0xa1],
            Step::Away => return None,
        })
    }

    fn local(&self, now: Timestamp) -> Option<DateTime> {
        let (began, local) = self.began?;
        local.checked_add(now.duration_since(began)).ok()
    }

    fn begin(&mut self, now: Timestamp) -> Vec<Output> {
        (self.recordings, self.at, self.whole, self.answered) = (0, 0, true, false);
        // A recording may be on its way still, asked for by whoever was here before.
        [vec![write(&[0xa7])], self.go(now, Step::Stop)].concat()
    }

    fn package(&mut self, now: Timestamp, package: &Package) -> Vec<Output> {
        let bytes = package.data.len() + 2;
        self.answered = true;
        if package.is_known() {
            self.heard.framed(bytes)
        } else {
            self.heard.noise(bytes)
        }
        if matches!(self.step, Step::Live | Step::Away) {
            self.until = now.checked_add(AGAIN_AFTER).ok();
        }
        match (package.kind, self.step) {
            (package::LIVE, _) => package.live().map(|live| self.live.packet(now, live.measured())).unwrap_or_default(),
            (package::IDENTITY, Step::Identify) => {
                [vec![Output::About(identity(&package.data))], self.go(now, Step::Count)].concat()
            }
            (package::FREE, Step::Stop) => self.go(now, Step::Identify),
            (package::FREE, Step::StopToDelete) => self.go(now, Step::CountAgain),
            (package::COUNT, Step::Count) => self.counted(now, package.byte(1)),
            (package::COUNT, Step::CountAgain) => {
                let same = package.byte(1) == self.recordings;
                self.go(now, if same { Step::LengthAgain } else { Step::Live })
            }
            (package::START_DATE, Step::Start) => {
                self.date = package.date();
                Vec::new()
            }
            (package::START_TIME, Step::Start) => {
                self.start = self.date.zip(package.time()).map(|(date, time)| DateTime::from_parts(date, time));
                self.go(now, Step::Length)
            }
            (package::LENGTH, Step::Length) => self.measured_out(now, package.length()),
            (package::LENGTH, Step::LengthAgain) => {
                let same = package.length() == self.length;
                self.go(now, if same { Step::Delete } else { Step::Live })
            }
            (package::STORED | package::STORED_WITH_INDEX, Step::Data) => self.stored(now, package),
            (package::FEEDBACK, _) => self.feedback(now, package),
            (package::DISCONNECT, _) => {
                let ended = self.read_out(false);
                [ended, self.end_sitting(), self.go(now, Step::Away)].concat()
            }
            _ => Vec::new(),
        }
    }

    fn feedback(&mut self, now: Timestamp, package: &Package) -> Vec<Output> {
        let (command, reason) = (package.byte(0), package.byte(1));
        if self.command(now).is_none_or(|asked| asked[0] != command) {
            return Vec::new();
        }
        if reason != 0 {
            let (found, wanted) = (reason.into(), "0x00: done");
            let error = DecodeError::Malformed { what: WHAT, field: "feedback", found, wanted };
            let refused = Output::Refused { error, bytes: package.bytes() };
            return [vec![refused], self.unanswered(now)].concat();
        }
        match self.step {
            Step::SetDate => self.go(now, Step::SetTime),
            Step::SetTime => {
                self.clock_is_set = true;
                [vec![Output::ClockSet], self.go(now, Step::Live)].concat()
            }
            Step::Delete => {
                (self.recordings, self.at) = (0, 0);
                self.known.clear();
                self.go(now, Step::Live)
            }
            _ => Vec::new(),
        }
    }

    fn counted(&mut self, now: Timestamp, recordings: u8) -> Vec<Output> {
        (self.recordings, self.at) = (recordings, 0);
        self.next(now)
    }

    /// The recording at `at`, or the live stream after the last.
    fn next(&mut self, now: Timestamp) -> Vec<Output> {
        (self.date, self.start) = (None, None);
        if self.at < self.recordings {
            return self.go(now, Step::Start);
        }
        self.at = self.recordings.saturating_sub(1);
        // What is recorded keeps the times of the clock as it was: it is set when that has been read.
        let next = if self.clock_is_set { Step::Live } else { Step::SetDate };
        [self.end_sitting(), self.go(now, next)].concat()
    }

    fn skip(&mut self, now: Timestamp) -> Vec<Output> {
        self.at = self.at.saturating_add(1);
        self.next(now)
    }

    /// How long the recording is, is known: it is read, if it wasn't already.
    fn measured_out(&mut self, now: Timestamp, length: u32) -> Vec<Output> {
        self.length = length;
        if length > RECORDING_BYTES_MAX {
            self.whole = false;
            let (found, wanted) = (length, "a recording of eight days at most");
            let error = DecodeError::Malformed { what: WHAT, field: "length", found, wanted };
            return [vec![Output::Refused { error, bytes: length.to_le_bytes().to_vec() }], self.skip(now)].concat();
        }
        if length == 0 || self.known.contains(&(self.start, length)) {
            return self.skip(now);
        }
        self.reading = Some(Reading { recording: Recording::new(self.start, 1), seconds: length / 2, bytes: 0 });
        self.go(now, Step::Data)
    }

    fn stored(&mut self, now: Timestamp, package: &Package) -> Vec<Output> {
        self.until = now.checked_add(ANSWER_WAIT).ok();
        let Some(reading) = &mut self.reading else { return Vec::new() };
        let with_index = package.kind == package::STORED_WITH_INDEX;
        for sample in package.samples() {
            // The last package is filled up.
            if with_index || reading.recording.samples() < reading.seconds {
                reading.recording.push(sample);
                reading.bytes += if with_index { 4 } else { 2 };
            }
        }
        let minute = reading.recording.samples().is_multiple_of(60);
        let percent = u64::from(reading.bytes) * 100 / u64::from(self.length.max(1));
        let percent = u8::try_from(percent.min(100)).ok();
        if minute { vec![Output::Progress(Progress { values: Vec::new(), percent })] } else { Vec::new() }
    }

    /// What came of the recording is said.
    fn read_out(&mut self, ended: bool) -> Vec<Output> {
        let Some(reading) = self.reading.take() else { return Vec::new() };
        let (found, need) = (reading.bytes as usize, self.length as usize);
        let whole = ended && (found == need || found == need.next_multiple_of(2) || found == 2 * need);
        let mut outputs = Vec::new();
        let measured = if whole {
            reading.recording.finish()
        } else {
            self.whole = false;
            outputs.push(Output::Refused {
                error: DecodeError::Incomplete { what: WHAT, found, need },
                bytes: Vec::new(),
            });
            reading.recording.cut()
        };
        if whole && self.known.len() < KNOWN_MAX {
            self.known.insert((self.start, self.length));
        }
        if !measured.is_empty() {
            (self.owed, self.acknowledged) = (true, false);
        }
        self.measured |= !measured.is_empty();
        outputs.extend(measured.into_iter().map(Output::Measured));
        outputs
    }

    fn end_sitting(&mut self) -> Vec<Output> {
        if std::mem::take(&mut self.measured) { vec![Output::SittingEnd] } else { Vec::new() }
    }

    /// The device doesn't answer this, or says that it can't.
    fn unanswered(&mut self, now: Timestamp) -> Vec<Output> {
        match self.step {
            Step::Stop => self.go(now, Step::Identify),
            Step::Identify if !self.answered => self.go(now, Step::Away),
            Step::Identify => self.go(now, Step::Count),
            Step::Start => self.go(now, Step::Length),
            Step::Length => {
                self.whole = false;
                self.skip(now)
            }
            Step::Data => {
                let read = self.read_out(true);
                [read, vec![write(&[0xa7])], self.skip(now)].concat()
            }
            Step::StopToDelete => self.go(now, Step::CountAgain),
            Step::Count if !self.clock_is_set => self.go(now, Step::SetDate),
            Step::Count | Step::SetDate | Step::SetTime | Step::CountAgain | Step::LengthAgain | Step::Delete => {
                self.go(now, Step::Live)
            }
            Step::Live | Step::Away => self.begin(now),
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|at| at <= now)
    }
}

fn write(command: &[u8]) -> Output {
    Output::Write { channel: Channel::Line, bytes: Package::command(command).bytes() }
}

/// A text that ends with a 0 byte.
fn identity(data: &[u8]) -> About {
    let text: String = data.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
    let known = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    About { manufacturer: Some("Contec".to_owned()), serial_number: known.then_some(text), ..About::default() }
}

impl Session for Oximeter {
    fn connected(&mut self, now: Timestamp, local: DateTime) -> Vec<Output> {
        self.began = Some((now, local));
        self.begin(now)
    }

    fn received(&mut self, now: Timestamp, _channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let mut outputs = Vec::new();
        for byte in bytes {
            for said in self.stream.push(*byte) {
                outputs.extend(match said {
                    Ok(package) => self.package(now, &package),
                    Err((error, bytes)) => {
                        self.heard.noise(bytes.len());
                        vec![Output::Refused { error, bytes }]
                    }
                });
            }
        }
        outputs
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        let keep_alive = self.keep_alive_at.filter(|_| self.step != Step::Away);
        [self.until, keep_alive, self.live.silent_at()].into_iter().flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let mut outputs = self.live.timed_out(now);
        if self.is_due(now) {
            let again = self.asked_times < ASKED_MAX
                && !matches!(self.step, Step::Live | Step::Away)
                && self.reading.as_ref().is_none_or(|reading| reading.bytes == 0);
            outputs.extend(if again { self.ask(now) } else { self.unanswered(now) });
        }
        if self.keep_alive_at.is_some_and(|at| at <= now) && self.step != Step::Away {
            self.keep_alive_at = now.checked_add(KEEP_ALIVE_EVERY).ok();
            outputs.push(write(&[KEEP_ALIVE]));
        }
        outputs
    }

    fn closed(&mut self, now: Timestamp) -> Vec<Output> {
        let _gone = self.go(now, Step::Away);
        (self.until, self.keep_alive_at) = (None, None);
        [self.read_out(false), self.end_sitting(), self.live.finish()].concat()
    }

    fn kept(&mut self, now: Timestamp) -> Vec<Output> {
        self.acknowledged |= std::mem::take(&mut self.owed);
        if self.step == Step::Live && self.acknowledged && self.whole && self.recordings > 0 {
            return self.go(now, Step::Live);
        }
        Vec::new()
    }

    fn understands(&self) -> Option<bool> {
        self.heard.understands()
    }
}
