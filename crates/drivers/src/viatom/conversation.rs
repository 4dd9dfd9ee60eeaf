//! What is said with a ring, as a state machine. The order stands in the file above, `viatom.rs`.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp, civil::DateTime};

use super::{
    FILE_HEAD_BYTES, FileHead, Info, Message, RECORD_BYTES, REQUESTS, Sensors, WHAT,
    message::{self, record},
};
use crate::{
    About, CLOCK_TOLERANCE, Channel, DecodeError, DeviceClock, Output, Progress, Session, gatt,
    live::{End, Live},
    recording::Recording,
};

/// How long an answer may take.
pub const ANSWER_WAIT: SignedDuration = SignedDuration::from_secs(5);
/// How often the same is asked.
pub const ASKED_MAX: u32 = 2;
/// How often the sensors are asked while somebody is measured, or may be.
pub const POLL_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// How often they are asked when the measurement has been said, or nobody wears it and its files are read.
pub const POLL_RARELY: SignedDuration = SignedDuration::from_secs(10);
/// A file that says to be longer is not fetched: a day and a half of records.
pub const FILE_BYTES_MAX: u32 = 512 * 1024;
/// Files of one device.
const FILES_MAX: usize = 64;
/// Bytes that one write may have.
pub const WRITE_BYTES_MAX: usize = 20;

const OPEN: u8 = 0x03;
const READ: u8 = 0x04;
const CLOSE: u8 = 0x05;
const INFORMATION: u8 = 0x14;
const CONFIGURE: u8 = 0x16;
const SENSORS: u8 = 0x17;

/// A file that is being fetched.
struct Fetching {
    name: String,
    bytes: u32,
    come: u32,
    block: u16,
    /// What is less than a record yet, or than the head.
    rest: Vec<u8>,
    recording: Option<Recording>,
}

impl Fetching {
    /// How many of its bytes can't be part of it any more, if it goes on as it has.
    fn push(&mut self, data: &[u8]) -> Result<(), DecodeError> {
        self.come = self.come.saturating_add(u32::try_from(data.len()).unwrap_or(u32::MAX));
        self.rest.extend_from_slice(data);
        if self.recording.is_none() && self.rest.len() >= FILE_HEAD_BYTES {
            let head = FileHead::parse(&self.rest)?;
            let records = self.bytes.saturating_sub(FILE_HEAD_BYTES as u32) / RECORD_BYTES as u32;
            self.recording = Some(head.recording(records)?);
            self.rest.drain(..FILE_HEAD_BYTES);
        }
        let Some(recording) = &mut self.recording else { return Ok(()) };
        let (records, rest) = self.rest.as_chunks::<RECORD_BYTES>();
        records.iter().for_each(|bytes| recording.push(record(*bytes)));
        self.rest = rest.to_vec();
        Ok(())
    }

    fn percent(&self) -> Option<u8> {
        u8::try_from((u64::from(self.come) * 100).checked_div(u64::from(self.bytes))?.min(100)).ok()
    }
}

/// A connection.
pub(super) struct Ring {
    live: Live,
    /// What was asked and not answered yet, and what of the answer has come.
    asked: Option<Message>,
    asked_times: u32,
    answer: Vec<u8>,
    until: Option<Timestamp>,
    began: Option<(Timestamp, DateTime)>,
    /// The clock is to be set, when the files have been read.
    clock_is_off: bool,
    files: VecDeque<String>,
    /// Read in this connection.
    known: Vec<String>,
    fetching: Option<Fetching>,
    /// The measurement of this sitting was said.
    said: bool,
    worn: bool,
    battery: Option<u8>,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            live: Live::new(1, 1, End::Measured),
            asked: None,
            asked_times: 0,
            answer: Vec::new(),
            until: None,
            began: None,
            clock_is_off: false,
            files: VecDeque::new(),
            known: Vec::new(),
            fetching: None,
            said: false,
            worn: false,
            battery: None,
        }
    }
}

impl Ring {
    fn ask(&mut self, now: Timestamp, code: u8, block: u16, data: &[u8]) -> Vec<Output> {
        self.asked = Some(Message { code, block, data: data.to_vec() });
        self.asked_times = 0;
        self.ask_again(now)
    }

    fn ask_again(&mut self, now: Timestamp) -> Vec<Output> {
        let Some(asked) = &self.asked else { return Vec::new() };
        self.asked_times += 1;
        self.answer.clear();
        self.until = now.checked_add(ANSWER_WAIT).ok();
        let channel = Channel::Characteristic(REQUESTS);
        let pieces = asked.request();
        pieces.chunks(WRITE_BYTES_MAX).map(|piece| Output::Write { channel, bytes: piece.to_vec() }).collect()
    }

    fn local(&self, now: Timestamp) -> Option<DateTime> {
        let (began, local) = self.began?;
        local.checked_add(now.duration_since(began)).ok()
    }

    /// What is to be done when nothing is going on.
    fn go_on(&mut self, now: Timestamp) -> Vec<Output> {
        self.asked = None;
        let busy = self.worn && !self.said;
        if !busy && let Some(name) = self.files.pop_front() {
            let data = [name.as_bytes(), &[0]].concat();
            self.fetching = Some(Fetching { name, bytes: 0, come: 0, block: 0, rest: Vec::new(), recording: None });
            return self.ask(now, OPEN, 0, &data);
        }
        if !busy
            && std::mem::take(&mut self.clock_is_off)
            && let Some(local) = self.local(now)
        {
            let set = format!("{{\"SetTIME\":\"{}\"}}", local.strftime("%Y-%m-%d,%H:%M:%S"));
            return self.ask(now, CONFIGURE, 0, set.as_bytes());
        }
        let wait = if busy || self.live.silent_at().is_some() && !self.said { POLL_EVERY } else { POLL_RARELY };
        self.until = now.checked_add(wait).ok();
        Vec::new()
    }

    fn answered(&mut self, now: Timestamp, response: &Message) -> Vec<Output> {
        let Some(asked) = self.asked.take() else { return Vec::new() };
        if let Err(error) = response.check_status() {
            let refused = vec![Output::Refused { error, bytes: vec![asked.code, response.code] }];
            return [refused, self.failed(now, asked.code)].concat();
        }
        match asked.code {
            INFORMATION => self.informed(now, &response.data),
            CONFIGURE => [vec![Output::ClockSet], self.go_on(now)].concat(),
            SENSORS => self.sensed(now, &response.data),
            OPEN => self.opened(now, &response.data),
            READ => self.read(now, &response.data),
            _ => self.go_on(now),
        }
    }

    /// It could not be done, or wasn't answered.
    fn failed(&mut self, now: Timestamp, code: u8) -> Vec<Output> {
        match code {
            OPEN | READ => {
                let cut = self.cut();
                [cut, self.ask(now, CLOSE, 0, &[])].concat()
            }
            _ => self.go_on(now),
        }
    }

    fn informed(&mut self, now: Timestamp, data: &[u8]) -> Vec<Output> {
        let info = match Info::parse(data) {
            Ok(info) => info,
            Err(error) => return [gatt::outputs(Err(error), data), self.go_on(now)].concat(),
        };
        self.files = info.files.into_iter().filter(|name| !self.known.contains(name)).take(FILES_MAX).collect();
        self.battery = info.about.battery_percent;
        let off = info.clock.zip(self.local(now)).map(|(clock, local)| clock.duration_since(local).abs());
        self.clock_is_off = off.is_some_and(|off| off > CLOCK_TOLERANCE);
        let clock = info.clock.map(|clock| Output::Clock(DeviceClock::Local(clock)));
        // Whether somebody is waiting to be measured is known before the files are fetched.
        let sense = self.ask(now, SENSORS, 0, &[]);
        [Output::About(info.about)].into_iter().chain(clock).chain(sense).collect()
    }

    fn sensed(&mut self, now: Timestamp, data: &[u8]) -> Vec<Output> {
        let sensors = match Sensors::parse(data) {
            Ok(sensors) => sensors,
            Err(error) => return [gatt::outputs(Err(error), data), self.go_on(now)].concat(),
        };
        let mut outputs = self.live.packet(now, sensors.measured());
        // The ring is not told to go: it would be connected to again.
        let all = outputs.len();
        outputs.retain(|output| *output != Output::SittingEnd);
        self.said |= outputs.len() < all;
        let battery = Some(sensors.battery).filter(|percent| *percent <= 100 && Some(*percent) != self.battery);
        if battery.is_some() {
            self.battery = battery;
            outputs.push(Output::About(About { battery_percent: battery, ..About::default() }));
        }
        let taken_off = std::mem::replace(&mut self.worn, sensors.worn) && !sensors.worn;
        self.said &= sensors.worn;
        let next = if taken_off { self.ask(now, INFORMATION, 0, &[]) } else { self.go_on(now) };
        [outputs, next].concat()
    }

    fn opened(&mut self, now: Timestamp, data: &[u8]) -> Vec<Output> {
        let length = data.try_into().map(u32::from_le_bytes).ok();
        match (&mut self.fetching, length) {
            (Some(fetching), Some(bytes @ 1..=FILE_BYTES_MAX)) => {
                fetching.bytes = bytes;
                self.ask(now, READ, 0, &[])
            }
            (_, length) => {
                self.fetching = None;
                let (found, wanted) = (length.unwrap_or_default(), "a length in four bytes, 512 KiB at most");
                let error = DecodeError::Malformed { what: WHAT, field: "file length", found, wanted };
                [gatt::outputs(Err(error), data), self.ask(now, CLOSE, 0, &[])].concat()
            }
        }
    }

    fn read(&mut self, now: Timestamp, data: &[u8]) -> Vec<Output> {
        let Some(fetching) = &mut self.fetching else { return self.go_on(now) };
        if let Err(error) = fetching.push(data) {
            self.forget();
            return [gatt::outputs(Err(error), data), self.ask(now, CLOSE, 0, &[])].concat();
        }
        if data.is_empty() {
            return self.failed(now, READ);
        }
        let progress = Output::Progress(Progress { values: Vec::new(), percent: fetching.percent() });
        if fetching.come < fetching.bytes {
            fetching.block = fetching.block.wrapping_add(1);
            let block = fetching.block;
            return [vec![progress], self.ask(now, READ, block, &[])].concat();
        }
        let recording = self.fetching.take().map(|fetched| {
            self.remember(fetched.name);
            fetched.recording
        });
        let measured = recording.flatten().map(Recording::finish).unwrap_or_default();
        let outputs = measured.into_iter().map(Output::Measured).collect();
        [outputs, self.ask(now, CLOSE, 0, &[])].concat()
    }

    /// A file that can't be read is not tried again in this connection.
    fn forget(&mut self) {
        if let Some(fetching) = self.fetching.take() {
            self.remember(fetching.name);
        }
    }

    fn remember(&mut self, name: String) {
        if self.known.len() < FILES_MAX {
            self.known.push(name);
        }
    }

    /// Whole minutes of what came of a file.
    fn cut(&mut self) -> Vec<Output> {
        let recording = self.fetching.take().and_then(|fetching| fetching.recording);
        recording.map(Recording::cut).unwrap_or_default().into_iter().map(Output::Measured).collect()
    }

    /// Takes a response from the start of what has come.
    fn next(&mut self, now: Timestamp) -> Option<Vec<Output>> {
        let skipped = (0..self.answer.len()).find(|at| message::begins_response(&self.answer[*at..]));
        let noise: Vec<u8> = self.answer.drain(..skipped.unwrap_or(self.answer.len())).collect();
        if let Some(first) = noise.first() {
            let error = DecodeError::Malformed { what: WHAT, field: "header", found: (*first).into(), wanted: "0x55" };
            return Some(vec![Output::Refused { error, bytes: noise }]);
        }
        let need = message::response_bytes(&self.answer)?;
        if self.answer.len() < need {
            return None;
        }
        let bytes: Vec<u8> = self.answer.drain(..need).collect();
        Some(match Message::response(&bytes) {
            Ok(response) => self.answered(now, &response),
            Err(error) => vec![Output::Refused { error, bytes }],
        })
    }
}

impl Session for Ring {
    fn connected(&mut self, now: Timestamp, local: DateTime) -> Vec<Output> {
        self.began = Some((now, local));
        self.ask(now, INFORMATION, 0, &[])
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        if let Err(error) = gatt::characteristic(WHAT, channel) {
            return gatt::outputs(Err(error), bytes);
        }
        self.answer.extend_from_slice(bytes);
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
        match &self.asked {
            None => self.ask(now, SENSORS, 0, &[]),
            Some(_) if self.asked_times < ASKED_MAX => self.ask_again(now),
            Some(asked) => {
                let code = asked.code;
                self.answer.clear();
                self.failed(now, code)
            }
        }
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        (self.asked, self.until) = (None, None);
        let mut outputs = [self.cut(), self.live.finish()].concat();
        outputs.retain(|output| *output != Output::SittingEnd);
        outputs.push(Output::SittingEnd);
        outputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        tape::{self, Tape},
        viatom::{DRIVER, RESPONSES, crc8},
    };

    const ASK_SENSORS: &str = "> aa17e8000000001b";
    const WORN: [u8; 13] = [98, 66, 0, 0, 0, 0, 0, 97, 0, 0, 10, 1, 0];
    const OFF: [u8; 13] = [255, 255, 0, 0, 0, 0, 0, 97, 0, 0, 0, 0, 0];

    fn answer<'a>(tape: &'a mut Tape, data: &[u8]) -> &'a mut Tape {
        let mut bytes = vec![0x55, 0x00, 0xff, 0, 0];
        bytes.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
        bytes.extend(data);
        bytes.push(crc8(&bytes));
        for piece in bytes.chunks(20) {
            tape.value(RESPONSES, &tape::hex(piece));
        }
        tape
    }

    fn info(clock: &str, files: &str) -> Vec<u8> {
        format!("{{\"Model\":\"1652\",\"CurBAT\":\"97%\",\"CurTIME\":\"{clock}\",\"FileList\":\"{files}\"}}\0")
            .into_bytes()
    }

    fn asks(code: u8, block: u16, data: &[u8]) -> String {
        let bytes = Message { code, block, data: data.to_vec() }.request();
        bytes.chunks(20).map(|piece| format!("> {}", tape::hex(piece))).collect::<Vec<_>>().join("; ")
    }

    /// A file of two minutes.
    fn file() -> Vec<u8> {
        let mut head = vec![3, 0, 0xea, 0x07, 11, 21, 23, 30, 0];
        head.resize(FILE_HEAD_BYTES, 0);
        head[13] = 120;
        [head, [97, 60, 0, 1, 0].repeat(30)].concat()
    }

    const NIGHT: &str = "spo2 97 % 2026-11-21T23:30:00 from_storage; pulse 60 /min 2026-11-21T23:30:00 from_storage; \
         spo2 97 % 2026-11-21T23:31:00 from_storage; pulse 60 /min 2026-11-21T23:31:00 from_storage";

    #[test]
    fn a_ring_that_is_worn_is_measured_before_its_files_are_fetched() {
        let mut tape = Tape::open(DRIVER);
        tape.gives(&asks(0x14, 0, &[]));
        answer(&mut tape, &info("2026-11-22,09:00:05", "20261121233000,"));
        let said = tape.said();
        assert!(
            said.contains("battery_percent: Some(97)") && said.contains("clock Local(2026-11-22T09:00:05)"),
            "{said}"
        );
        assert!(said.ends_with(ASK_SENSORS), "{said}");
        for _ in 0..3 {
            answer(&mut tape, &WORN).measures("").wait().gives(ASK_SENSORS);
        }
        let open = asks(0x03, 0, b"20261121233000\0");
        answer(&mut tape, &WORN).measures(&format!("spo2 98 %; pulse 66 /min; {open}"));
    }

    #[test]
    fn a_file_comes_in_blocks_and_then_the_clock_is_set() {
        let mut tape = Tape::open(DRIVER);
        answer(&mut tape, &info("2026-11-22,08:00:00", "20261121233000")).said();
        answer(&mut tape, &OFF).gives(&asks(0x03, 0, b"20261121233000\0"));
        let file = file();
        answer(&mut tape, &u32::try_from(file.len()).unwrap().to_le_bytes()).gives(&asks(0x04, 0, &[]));
        answer(&mut tape, &file[..102]).gives(&format!("~  53 %; {}", asks(0x04, 1, &[])));
        answer(&mut tape, &file[102..]).measures(&format!("{NIGHT}; {}", asks(0x05, 0, &[])));
        answer(&mut tape, &[]).gives(&asks(0x16, 0, b"{\"SetTIME\":\"2026-11-22,09:00:00\"}"));
        answer(&mut tape, &[]).gives("clock set").wait().gives(ASK_SENSORS);
        answer(&mut tape, &OFF).gives("").closed().gives("end");
    }

    #[test]
    fn a_link_lost_in_a_file_says_whole_minutes() {
        let mut tape = Tape::open(DRIVER);
        answer(&mut tape, &info("2026-11-22,09:00:00", "20261121233000")).said();
        let file = file();
        answer(&mut tape, &OFF);
        answer(&mut tape, &u32::try_from(file.len()).unwrap().to_le_bytes()).said();
        answer(&mut tape, &file[..120]).said();
        tape.closed().gives(&format!("{}; end", NIGHT.split("; ").take(2).collect::<Vec<_>>().join("; ")));
    }

    #[test]
    fn a_file_that_cannot_be_opened_or_read_is_passed_over() {
        let mut tape = Tape::open(DRIVER);
        answer(&mut tape, &info("2026-11-22,09:00:00", "1,2")).said();
        answer(&mut tape, &OFF).gives(&asks(0x03, 0, b"1\0"));
        tape.value(
            RESPONSES,
            &tape::hex(&[&[0x55, 1, 0xfe, 0, 0, 0, 0][..], &[crc8(&[0x55, 1, 0xfe, 0, 0, 0, 0])]].concat()),
        );
        tape.gives(&format!("! viatom: status is 0x01, want 0x00: well; {}", asks(0x05, 0, &[])));
        answer(&mut tape, &[]).gives(&asks(0x03, 0, b"2\0"));
        answer(&mut tape, &[255; 4]).said();
        answer(&mut tape, &[]).gives("").wait().gives(ASK_SENSORS);
    }

    #[test]
    fn a_damaged_answer_is_refused_and_asked_for_again() {
        let mut tape = Tape::open(DRIVER);
        answer(&mut tape, &info("2026-11-22,09:00:00", "")).said();
        tape.value(RESPONSES, "ffff5500ff00000d00624200000000006100920a010030");
        tape.gives("! viatom: header is 0xff, want 0x55; ! viatom: checksum is 0x30, the bytes give 0x2f");
        tape.wait().gives(ASK_SENSORS);
        answer(&mut tape, &OFF).gives("").wait().gives(ASK_SENSORS);
        tape.wait().gives(ASK_SENSORS).wait().gives("");
    }

    #[test]
    fn a_ring_taken_off_has_a_new_file() {
        let mut tape = Tape::open(DRIVER);
        answer(&mut tape, &info("2026-11-22,09:00:00", "")).said();
        for _ in 0..4 {
            answer(&mut tape, &WORN).wait();
        }
        tape.said();
        answer(&mut tape, &OFF).gives(&asks(0x14, 0, &[]));
    }
}
