//! A connection to a cuff: who is chosen, what is stored, what time it is, good-bye.

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use vitals::Flag;

use super::{
    ANSWER, ANSWER_START, ASK_RECORDS, ASK_USER, COMMAND, DONE, FRAME_BYTES_MAX, HANG_UP, HEAD_LEN, Measured, WHAT,
    command, payload, records, set_clock,
};
use crate::{Channel, DecodeError, Output, Session, gatt};

/// What fits into one write.
const WRITE_BYTES_MAX: usize = 20;
/// How long the cuff may be silent while it owes an answer. Ours; the program that this was learnt from waits for a minute.
const ANSWER_MAX: SignedDuration = SignedDuration::from_secs(10);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    User,
    Records,
    Clock,
    Over,
}

/// A connection.
#[derive(Default)]
pub struct Cuff {
    state: State,
    /// The room's time when the link came up, and that moment.
    room: Option<(Timestamp, DateTime)>,
    user: Option<Flag>,
    /// What has come of an answer.
    heard: Vec<u8>,
    answer_by: Option<Timestamp>,
    asked_again: bool,
}

impl Cuff {
    fn ask(&mut self, now: Timestamp, state: State) -> Vec<Output> {
        self.state = state;
        self.heard.clear();
        self.answer_by = now.checked_add(ANSWER_MAX).ok();
        let bytes = match state {
            State::User => command(ASK_USER),
            State::Records => command(ASK_RECORDS),
            State::Clock => match self.local(now).and_then(set_clock) {
                Some(bytes) => bytes,
                None => return self.hang_up(),
            },
            State::Idle | State::Over => return Vec::new(),
        };
        writes(&bytes)
    }

    fn next(&mut self, now: Timestamp) -> Vec<Output> {
        self.asked_again = false;
        match self.state {
            State::User => self.ask(now, State::Records),
            State::Records => self.ask(now, State::Clock),
            State::Idle | State::Clock | State::Over => self.hang_up(),
        }
    }

    fn hang_up(&mut self) -> Vec<Output> {
        (self.state, self.answer_by) = (State::Over, None);
        [writes(&command(HANG_UP)), vec![Output::SittingEnd]].concat()
    }

    /// The room's time now.
    fn local(&self, now: Timestamp) -> Option<DateTime> {
        let (then, local) = self.room?;
        local.checked_add(now.duration_since(then)).ok()
    }

    /// What has been heard begins with an answer, or is thrown away up to where one may begin.
    fn resync(&mut self) -> Vec<Output> {
        let begins = |at: &usize| ANSWER_START.starts_with(&self.heard[*at..self.heard.len().min(at + 2)]);
        let start = (0..self.heard.len()).find(begins).unwrap_or(self.heard.len());
        let noise: Vec<u8> = self.heard.drain(..start).collect();
        let error = payload(&noise).err().filter(|_| !noise.is_empty());
        error.map(|error| Output::Refused { error, bytes: noise }).into_iter().collect()
    }

    /// The whole frame that was heard, if it is whole.
    fn take_frame(&mut self) -> Option<Vec<u8>> {
        let [_, _, high, low, ..] = self.heard[..] else { return None };
        let need = HEAD_LEN + usize::from(u16::from_be_bytes([high, low]));
        if need > FRAME_BYTES_MAX {
            return Some(std::mem::take(&mut self.heard));
        }
        (self.heard.len() >= need.max(HEAD_LEN + 1)).then(|| self.heard.drain(..need.max(HEAD_LEN + 1)).collect())
    }

    fn answered(&mut self, now: Timestamp, frame: &[u8]) -> Vec<Output> {
        let payload = match payload(frame) {
            Ok(payload) => payload,
            Err(error) => return [gatt::outputs(Err(error), frame), self.ask_again(now)].concat(),
        };
        let said = match self.state {
            State::User => {
                let user = payload.get(1).copied().filter(|user| (1..=2).contains(user));
                self.user = user.and_then(gatt::user);
                Vec::new()
            }
            State::Records => self.records(payload),
            State::Clock if payload == DONE => vec![Output::ClockSet],
            State::Clock | State::Idle | State::Over => {
                let found = payload.first().copied().unwrap_or(0).into();
                let error = DecodeError::Malformed { what: WHAT, field: "answer", found, wanted: "0x81, done" };
                gatt::outputs(Err(error), frame)
            }
        };
        let next = if matches!(self.state, State::Idle | State::Over) { Vec::new() } else { self.next(now) };
        [said, next].concat()
    }

    /// Oldest first.
    fn records(&self, payload: &[u8]) -> Vec<Output> {
        let mut outputs = Vec::new();
        let mut measured: Vec<Measured> = Vec::new();
        for (bytes, record) in records(payload) {
            match record {
                Ok(values) => measured.extend(values),
                Err(error) => outputs.push(Output::Refused { error, bytes: bytes.to_vec() }),
            }
        }
        measured.sort_by_key(|one| one.device_time);
        outputs.extend(measured.into_iter().map(|mut one| {
            one.flags.extend(self.user.clone());
            Output::Measured(one)
        }));
        outputs
    }

    fn ask_again(&mut self, now: Timestamp) -> Vec<Output> {
        if std::mem::replace(&mut self.asked_again, true) { self.next(now) } else { self.ask(now, self.state) }
    }
}

fn writes(bytes: &[u8]) -> Vec<Output> {
    let channel = Channel::Characteristic(COMMAND);
    bytes.chunks(WRITE_BYTES_MAX).map(|piece| Output::Write { channel, bytes: piece.to_vec() }).collect()
}

impl Session for Cuff {
    fn connected(&mut self, now: Timestamp, local: DateTime) -> Vec<Output> {
        self.room = Some((now, local));
        self.ask(now, State::User)
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        match gatt::characteristic(WHAT, channel) {
            Ok(ANSWER) => {}
            Ok(other) => return gatt::outputs(Err(gatt::unknown(WHAT, other, "0xfff1")), bytes),
            Err(error) => return gatt::outputs(Err(error), bytes),
        }
        self.heard.extend_from_slice(bytes);
        if self.answer_by.is_some() {
            self.answer_by = now.checked_add(ANSWER_MAX).ok();
        }
        let mut outputs = self.resync();
        while let Some(frame) = self.take_frame() {
            outputs.extend(self.answered(now, &frame));
            outputs.extend(self.resync());
        }
        outputs
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        self.answer_by
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        if self.answer_by.is_none_or(|by| by > now) {
            return Vec::new();
        }
        let half = std::mem::take(&mut self.heard);
        let lost = payload(&half).err().filter(|_| !half.is_empty());
        let lost = lost.map(|error| Output::Refused { error, bytes: half });
        lost.into_iter().chain(self.ask_again(now)).collect()
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        let half = std::mem::take(&mut self.heard);
        let lost = payload(&half).err().filter(|_| !half.is_empty());
        let was = std::mem::replace(&mut self.state, State::Over);
        self.answer_by = None;
        let end = (was != State::Over && was != State::Idle).then_some(Output::SittingEnd);
        lost.map(|error| Output::Refused { error, bytes: half }).into_iter().chain(end).collect()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::{
        microlife::{DRIVER, RECORDS_FROM, sum},
        tape::{self, Tape},
    };

    /// The cuff's answer with this payload.
    fn frame(payload: &[u8]) -> Vec<u8> {
        let len = u16::try_from(payload.len() + 1).unwrap();
        let mut frame = [&ANSWER_START[..], &len.to_be_bytes(), payload].concat();
        frame.push(sum(&frame));
        frame
    }

    /// The cuff's answer with these records.
    pub fn answer(records: &[&str]) -> Vec<u8> {
        let payload = [vec![0; RECORDS_FROM], tape::bytes(&records.concat())].concat();
        frame(&payload)
    }

    const OLDER: &str = "82554619010203040000";
    const NEWER: &str = "78503c19060f0e1e0000";
    const TIMELESS: &str = "6e464119000f0e1e0000";

    fn says(numbers: [u8; 3], time: &str) -> String {
        let [systolic, diastolic, pulse] = numbers;
        format!(
            "systolic {systolic} mm[Hg] {time} user_2; diastolic {diastolic} mm[Hg] {time} user_2; pulse {pulse} /min {time} user_2"
        )
    }

    const ASKS_USER: &str = "> 4dff00020553";
    const ASKS_RECORDS: &str = "> 4dff000900000000000000fd52";
    const SETS_CLOCK: &str = "> 4dff00080d1a0b16090000a5";
    const HANGS_UP: &str = "> 4dff00020452; end";

    fn asked_for_records() -> Tape {
        let mut tape = Tape::open(DRIVER);
        tape.gives(ASKS_USER);
        tape.value(ANSWER, &tape::hex(&frame(&[5, 2, b'M', b'e']))).gives(ASKS_RECORDS);
        tape
    }

    #[test]
    fn everything_stored_is_fetched_oldest_first_and_then_the_clock_is_set() {
        let mut tape = asked_for_records();
        let whole = answer(&[NEWER, "00000000000000000000", TIMELESS, OLDER]);
        let (last, first) =
            whole.chunks(20).collect::<Vec<_>>().split_last().map(|(a, b)| (a.to_vec(), b.to_vec())).unwrap();
        for piece in first {
            tape.value(ANSWER, &tape::hex(piece)).gives("");
        }
        tape.value(ANSWER, &tape::hex(&last)).gives(&format!(
            "! date time: month is 0x00, want 1 or more; {}; {}; {SETS_CLOCK}",
            says([130, 85, 70], "2025-01-02T03:04:00"),
            says([120, 80, 60], "2025-06-15T14:30:00"),
        ));
        tape.value(ANSWER, "4d3a0002810a").gives(&format!("clock set; {HANGS_UP}"));
        tape.kept().wait().closed().gives("");
    }

    #[test]
    fn a_link_lost_in_the_middle_gives_nothing_half() {
        let mut tape = asked_for_records();
        tape.value(ANSWER, &tape::hex(&answer(&[OLDER])[..45]));
        tape.closed().gives("! microlife: 45 bytes, need at least 53; end");
    }

    #[test]
    fn an_answer_that_is_spoilt_or_late_is_asked_for_once_more() {
        let mut tape = asked_for_records();
        tape.value(ANSWER, &tape::hex(&answer(&[OLDER])[..45])).gives("");
        tape.wait().gives(&format!("! microlife: 45 bytes, need at least 53; {ASKS_RECORDS}"));
        let mut spoilt = answer(&[OLDER]);
        spoilt[40] ^= 1;
        tape.value(ANSWER, &tape::hex(&spoilt))
            .gives("! microlife: checksum is 0xf8, the bytes give 0xf9; > 4dff00080d1a0b1609000aaf");
        tape.wait().said();
        tape.wait().gives(HANGS_UP);
        tape.wait().gives("");
    }

    #[test]
    fn noise_before_an_answer_is_counted_and_passed_over() {
        let mut tape = Tape::open(DRIVER);
        tape.said();
        tape.value(ANSWER, "004d").gives("! microlife: 1 bytes, need at least 5");
        tape.value(ANSWER, &tape::hex(&frame(&[5, 9])[1..])).gives(ASKS_RECORDS);
        tape.value(ANSWER, "4d3affff00").said();
        tape.value(ANSWER, &tape::hex(&answer(&[OLDER]))).said();
    }
}
