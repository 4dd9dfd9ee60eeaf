//! Contec SP10 family of spirometers: the host asks, the device answers with what it has stored.
//!
//! ```text
//! every frame: code (bit 7 set) | 7-bit bytes | sum of the bytes & 0x7F
//! host 80 00                              device F0 + 1
//!      83 yy mo dd hh mi ss ms(7+7 bit)          F3 + 2      the clock is set
//!      82                                        F2 + 7
//!      94                                        E4 + 22     predicted values, not used
//!      90                                        E0 + 9      b1 | b2 << 7 records are stored
//!      91 00 01                                  E1 + 43     the first record; 7F or 7E after the code: there is none
//!      92 00                                     E2 + 4      record, frames (7+7 bit each), then 8 bytes a frame: the curve, not used
//!      91 01 01                                  E1 + 43     the next record ...
//!      91 7F 01 / 91 7E 01                                   done: delete / keep what was read
//! record, from its code: 2 kind {0 all, 1 FVC, 2 VC, 3 MVV, 4 MV}, 3-4 number, 5-10 yy mo dd hh mi ss, 11 sex, 12 age, 13-14 height,
//!      15 standard, 16 drug, then 7+7-bit words: 17 FVC, 19 FEV0.5, 21 FEV1, 23 FEV1/FVC, 25 FEV3, 27 FEV6, 29 PEF, 31 FEF25 ...
//!      volumes in 0.01 L, PEF in 0.01 L/s, the ratio in 0.1 %; a word of 0 was not measured
//! ```
//!
//! Records come oldest first and each becomes readings once per connection. The delete command may clear the whole memory, also a blow that
//! came after the transfer. So when the core has acknowledged, the records are read once more, and deleted at the end of a transfer in which
//! each was understood and had been acknowledged before. Otherwise the device is told to keep them, or hears nothing, and keeps them too.
//! A device that doesn't answer is asked [`ASKED_MAX`] times, then left alone until the next poll. Every record of this device comes out of
//! its memory, so `from_storage` would say nothing and isn't set. Sex, age, height and the curve are no readings.
//!
//! The bytes are those of the maker's Bluetooth service ff12 as decoded in public (tikhonp/contec-spirometer-ios-app), here on a serial line.
//! No public source gives the line's rate for this device: 115200 8N1 is the one that the maker documents for its other USB instruments
//! (CMS50D+, CMS50F, protocol V7).

mod frame;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use vitals::Vital;

pub(crate) use frame::decode;
use frame::{CURVE, CURVE_FRAME_BYTES, CURVE_HEAD_BYTES, RECORD, RECORD_BYTES, check_sum, frame_len};
pub use frame::{Record, checksum, command};

use crate::{Channel, DecodeError, Driver, Heard, LineSettings, Output, Session, Transport, gatt};

const WHAT: &str = "contec sp10";

/// How long an answer may take.
pub const ANSWER_WAIT: SignedDuration = SignedDuration::from_secs(2);
/// How often a device is asked the same before it is left alone.
pub const ASKED_MAX: u32 = 3;
/// After a curve the line is let fall silent for this long: what follows its last frame is not documented.
pub const CURVE_QUIET: SignedDuration = SignedDuration::from_millis(300);
/// How long the device is kept waiting for the core to acknowledge, before it is told to keep its records.
pub const KEPT_WAIT: SignedDuration = SignedDuration::from_secs(60);
/// How often a device on the line is asked for new records.
pub const POLL_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// Bytes that were not understood, kept for one refusal.
const NOISE_BYTES_MAX: usize = 64;

/// How a transfer ends.
const KEEP: u8 = 0x7e;
const DELETE: u8 = 0x7f;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "contec-sp10",
    transport: Transport::Serial { settings: &[LineSettings::plain(115_200)] },
    vitals: &[Vital::Fev1, Vital::Fvc, Vital::Fev6, Vital::Pef, Vital::Fev1Fvc],
    devices: &["Contec SP10", "Contec SP80B"],
    standard: "Contec SP10 protocol, as decoded in public (no document of the maker)",
    open: |_| Box::new(Spirometer::on(Channel::Line)),
    decode,
};

fn set_clock(local: DateTime) -> Vec<u8> {
    let low = |number: i32| u8::try_from(number & 0x7f).expect("7 bits fit a byte");
    let milli = i32::from(local.millisecond());
    let date = [i32::from(local.year()) - 2000, local.month().into(), local.day().into()];
    let time = [local.hour().into(), local.minute().into(), local.second().into(), milli, milli >> 7];
    let arguments: Vec<u8> = date.into_iter().chain(time).map(low).collect();
    command(0x83, &arguments)
}

/// What the session waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// The next poll.
    #[default]
    Idle,
    Hello,
    Clock,
    Ready,
    Predicted,
    Count,
    Record,
    Curve,
    /// The line to fall silent after a curve.
    Quiet,
    /// The core to acknowledge.
    Kept,
    /// The device to take note that the transfer is over.
    Over {
        /// Whether the next one begins at once.
        again: bool,
    },
}

impl Step {
    /// The code of the answer that is waited for.
    fn answer(self) -> Option<u8> {
        match self {
            Self::Idle | Self::Quiet | Self::Kept => None,
            Self::Hello => Some(0xf0),
            Self::Clock => Some(0xf3),
            Self::Ready => Some(0xf2),
            Self::Predicted => Some(0xe4),
            Self::Count => Some(0xe0),
            Self::Record | Self::Over { .. } => Some(RECORD),
            Self::Curve => Some(CURVE),
        }
    }
}

/// A connection.
pub(crate) struct Spirometer {
    /// Where commands go.
    channel: Channel,
    heard: Heard,
    step: Step,
    /// The last thing asked, to be asked again.
    asked: Vec<u8>,
    asked_times: u32,
    until: Option<Timestamp>,
    /// The device has taken the time; it was said so.
    clock_set: bool,
    clock_said: bool,
    /// When the session began, and the wall clock then.
    began: Option<(Timestamp, DateTime)>,
    buffer: Vec<u8>,
    noise: Vec<u8>,
    /// Bytes of the curve that are still to come.
    curve_left: usize,
    /// Records of this transfer: announced, and come.
    announced: u16,
    come: u16,
    /// Every record of this transfer was understood.
    whole: bool,
    /// Something was measured in this transfer.
    measured: bool,
    /// Identities of the records of this transfer and of those said before, with whether the core has acknowledged them.
    /// At most two transfers' worth of 16,383, which is all that a device can announce.
    seen: BTreeMap<Vec<u8>, bool>,
    transfer: Vec<Vec<u8>>,
}

impl Spirometer {
    /// A session that writes to `channel`.
    pub(crate) fn on(channel: Channel) -> Self {
        Self {
            channel,
            heard: Heard::default(),
            step: Step::Idle,
            asked: Vec::new(),
            asked_times: 0,
            until: None,
            clock_set: false,
            clock_said: false,
            began: None,
            buffer: Vec::new(),
            noise: Vec::new(),
            curve_left: 0,
            announced: 0,
            come: 0,
            whole: false,
            measured: false,
            seen: BTreeMap::new(),
            transfer: Vec::new(),
        }
    }

    fn ask(&mut self, now: Timestamp, step: Step, bytes: Vec<u8>) -> Output {
        self.asked_times = 0;
        self.asked = bytes;
        self.step = step;
        self.ask_again(now)
    }

    fn ask_again(&mut self, now: Timestamp) -> Output {
        self.asked_times += 1;
        self.until = now.checked_add(ANSWER_WAIT).ok();
        Output::Write { channel: self.channel, bytes: self.asked.clone() }
    }

    fn begin(&mut self, now: Timestamp) -> Vec<Output> {
        self.buffer.clear();
        (self.announced, self.come, self.whole, self.measured) = (0, 0, true, false);
        self.transfer.clear();
        vec![self.ask(now, Step::Hello, vec![0x80, 0x00])]
    }

    /// What comes from now on is by the clock that was set. A device on a line is asked again later. One on Bluetooth connects when it has something, and may go now.
    fn rest(&mut self, now: Timestamp) -> Vec<Output> {
        self.step = Step::Idle;
        let on_line = self.channel == Channel::Line;
        self.until = now.checked_add(POLL_EVERY).ok().filter(|_| on_line);
        let clock = self.clock_set && !std::mem::replace(&mut self.clock_said, self.clock_set);
        let end = (!on_line).then_some(Output::SittingEnd);
        clock.then_some(Output::ClockSet).into_iter().chain(end).collect()
    }

    fn local(&self, now: Timestamp) -> Option<DateTime> {
        let (began, local) = self.began?;
        local.checked_add(now.duration_since(began)).ok()
    }

    /// Takes one frame from the buffer and does what follows; `None` when more bytes are needed.
    fn next(&mut self, now: Timestamp) -> Option<Vec<Output>> {
        if self.curve_left > 0 {
            return self.skip_curve(now);
        }
        let first = *self.buffer.first()?;
        if Some(first) != self.step.answer() {
            self.buffer.remove(0);
            return Some(self.unexpected(first));
        }
        let need = match self.step {
            Step::Hello | Step::Clock => 1,
            Step::Curve => CURVE_HEAD_BYTES,
            _ => frame_len(&self.buffer).ok()?,
        };
        if self.buffer.len() < need {
            return None;
        }
        let frame: Vec<u8> = self.buffer.drain(..need).collect();
        if check_sum(&frame).is_ok() {
            self.heard.framed(frame.len())
        } else {
            self.heard.noise(frame.len())
        }
        Some([self.refuse_noise(), self.answered(now, &frame)].concat())
    }

    /// Ends of frames, of which the lengths are not all certain, are passed over; a code that nobody waits for is not.
    fn unexpected(&mut self, byte: u8) -> Vec<Output> {
        self.heard.noise(1);
        if byte & 0x80 == 0 && self.noise.is_empty() {
            return Vec::new();
        }
        self.noise.push(byte);
        if self.noise.len() < NOISE_BYTES_MAX { Vec::new() } else { self.refuse_noise() }
    }

    fn refuse_noise(&mut self) -> Vec<Output> {
        let bytes = std::mem::take(&mut self.noise);
        let Some(first) = bytes.first() else { return Vec::new() };
        let error = DecodeError::Malformed {
            what: WHAT,
            field: "code",
            found: (*first).into(),
            wanted: "the answer to what was asked",
        };
        vec![Output::Refused { error, bytes }]
    }

    fn answered(&mut self, now: Timestamp, frame: &[u8]) -> Vec<Output> {
        match self.step {
            Step::Hello => {
                let Some(local) = self.local(now) else { return Vec::new() };
                vec![self.ask(now, Step::Clock, set_clock(local))]
            }
            Step::Clock => {
                self.clock_set = true;
                vec![self.ask(now, Step::Ready, command(0x82, &[]))]
            }
            Step::Ready => vec![self.ask(now, Step::Predicted, command(0x94, &[]))],
            Step::Predicted => vec![self.ask(now, Step::Count, command(0x90, &[]))],
            Step::Count => self.counted(now, frame),
            Step::Record => self.record(now, frame),
            Step::Curve => {
                self.curve_left =
                    CURVE_FRAME_BYTES * (usize::from(frame[3] & 0x7f) | usize::from(frame[4] & 0x7f) << 7);
                self.until = now.checked_add(ANSWER_WAIT).ok();
                self.curve_if_done(now);
                Vec::new()
            }
            Step::Over { again } => self.over(now, again),
            Step::Idle | Step::Quiet | Step::Kept => Vec::new(),
        }
    }

    fn counted(&mut self, now: Timestamp, frame: &[u8]) -> Vec<Output> {
        if let Err(error) = check_sum(frame) {
            return vec![Output::Refused { error, bytes: frame.to_vec() }];
        }
        self.announced = u16::from(frame[1] & 0x7f) | u16::from(frame[2] & 0x7f) << 7;
        if self.announced == 0 {
            return self.rest(now);
        }
        vec![self.ask(now, Step::Record, command(0x91, &[0x00, 0x01]))]
    }

    fn record(&mut self, now: Timestamp, frame: &[u8]) -> Vec<Output> {
        if frame.len() < RECORD_BYTES {
            return self.transferred(now);
        }
        self.come += 1;
        let mut outputs = match Record::parse(frame) {
            Ok(record) => self.say(&record),
            Err(error) => {
                self.whole = false;
                vec![Output::Refused { error, bytes: frame.to_vec() }]
            }
        };
        outputs.push(self.ask(now, Step::Curve, command(0x92, &[0x00])));
        outputs
    }

    fn say(&mut self, record: &Record) -> Vec<Output> {
        self.transfer.push(record.identity());
        if self.seen.contains_key(&record.identity()) {
            return Vec::new();
        }
        self.seen.insert(record.identity(), false);
        let measured = record.measured();
        self.measured |= !measured.is_empty();
        gatt::outputs(Ok(measured), &[])
    }

    fn skip_curve(&mut self, now: Timestamp) -> Option<Vec<Output>> {
        let skipped = self.curve_left.min(self.buffer.len());
        if skipped == 0 {
            return None;
        }
        self.buffer.drain(..skipped);
        self.curve_left -= skipped;
        self.until = now.checked_add(ANSWER_WAIT).ok();
        self.curve_if_done(now);
        Some(Vec::new())
    }

    fn curve_if_done(&mut self, now: Timestamp) {
        if self.curve_left == 0 {
            self.step = Step::Quiet;
            self.until = now.checked_add(CURVE_QUIET).ok();
        }
    }

    fn after_curve(&mut self, now: Timestamp) -> Vec<Output> {
        self.buffer.clear();
        if self.come >= self.announced {
            return self.transferred(now);
        }
        vec![self.ask(now, Step::Record, command(0x91, &[0x01, 0x01]))]
    }

    /// All records have come, or all that will.
    fn transferred(&mut self, now: Timestamp) -> Vec<Output> {
        self.whole &= self.come == self.announced;
        self.step = Step::Kept;
        self.until = now.checked_add(KEPT_WAIT).ok();
        let mut outputs = self.end_sitting();
        if self.transfer.iter().all(|record| self.seen.get(record) == Some(&true)) {
            let end = if self.whole { DELETE } else { KEEP };
            outputs.push(self.finish(now, end, false));
        }
        outputs
    }

    fn end_sitting(&mut self) -> Vec<Output> {
        if std::mem::take(&mut self.measured) { vec![Output::SittingEnd] } else { Vec::new() }
    }

    /// Ends the transfer on the device; only records that this transfer read are remembered.
    fn finish(&mut self, now: Timestamp, end: u8, again: bool) -> Output {
        self.seen = self.transfer.drain(..).filter_map(|record| self.seen.remove_entry(&record)).collect();
        self.ask(now, Step::Over { again }, command(0x91, &[end, 0x01]))
    }

    fn over(&mut self, now: Timestamp, again: bool) -> Vec<Output> {
        if again { self.begin(now) } else { self.rest(now) }
    }

    fn give_up(&mut self, now: Timestamp) -> Vec<Output> {
        self.curve_left = 0;
        let ended = [self.refuse_noise(), self.end_sitting()].concat();
        let rest = self.rest(now);
        let rest = rest.into_iter().filter(|output| !ended.contains(output)).collect();
        [ended, rest].concat()
    }
}

impl Session for Spirometer {
    fn connected(&mut self, now: Timestamp, local: DateTime) -> Vec<Output> {
        self.began = Some((now, local));
        self.begin(now)
    }

    fn received(&mut self, now: Timestamp, _channel: Channel, bytes: &[u8]) -> Vec<Output> {
        self.buffer.extend_from_slice(bytes);
        if self.step == Step::Quiet {
            self.until = now.checked_add(CURVE_QUIET).ok();
        }
        let mut outputs = Vec::new();
        while let Some(said) = self.next(now) {
            outputs.extend(said);
        }
        outputs
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        self.until
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        if self.until.is_none_or(|at| now < at) {
            return Vec::new();
        }
        match self.step {
            Step::Idle => self.begin(now),
            Step::Quiet => self.after_curve(now),
            Step::Kept => vec![self.finish(now, KEEP, false)],
            Step::Over { again } => self.over(now, again),
            Step::Curve if self.curve_left > 0 => {
                self.curve_left = 0;
                self.after_curve(now)
            }
            _ if self.asked_times < ASKED_MAX => {
                self.buffer.clear();
                vec![self.ask_again(now)]
            }
            _ => self.give_up(now),
        }
    }

    fn kept(&mut self, now: Timestamp) -> Vec<Output> {
        self.seen.values_mut().for_each(|acknowledged| *acknowledged = true);
        if self.step == Step::Kept { vec![self.finish(now, KEEP, self.whole)] } else { Vec::new() }
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        (self.step, self.until, self.curve_left) = (Step::Idle, None, 0);
        [self.refuse_noise(), self.end_sitting()].concat()
    }

    fn understands(&self) -> Option<bool> {
        self.heard.understands()
    }
}
