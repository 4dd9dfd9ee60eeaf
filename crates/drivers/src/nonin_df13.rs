//! Nonin serial data format 13: spot checks, stored and forwarded, oldest first (Onyx II 9560), 9600 8N1.
//!
//! ```text
//! 00 02 | packet type 00 0D | data length, 14 or more, 2 bytes | data | sum of the data mod 256 | 03
//! data: 20 yy mo dd hh mi ss hundredths in BCD | status 2 bytes {9 SmartPoint, 8 no measurement, 4 from memory, 0 low battery}
//!       pulse 2 bytes, 511 missing | reserved | SpO2, 127 missing | what later models add
//! ```
//!
//! Each packet is a measurement, with the device's own time. The device removes what it has sent from its memory by itself, so a measurement
//! whose time can't be (30 February) is kept without it. Its clock is read
//! first; if it is off it is set, and read again; then it is told to use this format (see the file `nonin_command.rs`), all within the five seconds in which
//! it listens. It loses its clock and its memory with its batteries.
//! Source: Nonin 9560 OEM specification 6470-000-01.

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use vitals::{Flag, Vital};

use crate::{
    CLOCK_TOLERANCE, Channel, DecodeError, DeviceClock, Driver, Heard, LineSettings, Measured, Output, Session,
    Transport, bci,
    gatt::{self, Sitting},
    nonin_command::{self, ACK, Command, DataFormat, NAK},
};

const WHAT: &str = "nonin df13";

const START: [u8; 4] = [0x00, 0x02, 0x00, 0x0d];
const ETX: u8 = 0x03;
/// Bytes before and after the data.
const HEAD_BYTES: usize = 6;
const FOOT_BYTES: usize = 2;
/// Bytes of data, at least; and at most, in a stream: twice what is known.
pub const DATA_BYTES_MIN: usize = 14;
const DATA_BYTES_MAX: usize = 64;
/// Bytes of an answer with the clock.
const CLOCK_BYTES: usize = 10;
/// Bytes of no packet, kept for one refusal.
const NOISE_BYTES_MAX: usize = 64;
/// How far the clock may be from the room's after it was set.
const CLOCK_SET_WITHIN: SignedDuration = SignedDuration::from_secs(2);

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "nonin-df13",
    transport: Transport::Serial { settings: &[LineSettings::plain(9600)] },
    vitals: &[Vital::Spo2, Vital::Pulse],
    devices: &["Nonin Onyx II 9560"],
    standard: "Nonin serial data format 13 (9560 OEM specification 6470-000-01)",
    open: |_| Box::<Oximeter>::default(),
    decode: |_, pieces| decode(&pieces.concat()),
};

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The device's time, if it can be.
    pub time: Option<DateTime>,
    /// Oxygen saturation, percent.
    pub spo2: Option<u8>,
    /// Beats a minute.
    pub pulse: Option<u16>,
    /// Every status bit.
    pub flags: Vec<Flag>,
}

fn malformed(field: &'static str, found: u8, wanted: &'static str) -> DecodeError {
    DecodeError::Malformed { what: WHAT, field, found: found.into(), wanted }
}

/// How many bytes the packet has that begins so; `None` while that can't be said.
fn packet_bytes(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(START.len()..HEAD_BYTES)?;
    Some(HEAD_BYTES + usize::from(u16::from_be_bytes([length[0], length[1]])) + FOOT_BYTES)
}

impl Packet {
    /// Reads a packet.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::Length`], [`DecodeError::Checksum`], [`DecodeError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        if let Some((found, _)) = bytes.iter().zip(START).find(|(found, wanted)| **found != *wanted) {
            return Err(malformed("header", *found, "0x00, 0x02, 0x00, 0x0d"));
        }
        let need = packet_bytes(bytes).unwrap_or(HEAD_BYTES + DATA_BYTES_MIN + FOOT_BYTES);
        if bytes.len() < need {
            return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need });
        }
        if bytes.len() > need {
            return Err(DecodeError::TooLong { what: WHAT, found: bytes.len(), most: need });
        }
        let (data, foot) = bytes[HEAD_BYTES..].split_at(need - HEAD_BYTES - FOOT_BYTES);
        let wanted = data.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
        match *foot {
            [found, ETX] if found == wanted => Self::of(data),
            [found, ETX] => Err(DecodeError::Checksum { what: WHAT, found, wanted }),
            _ => Err(malformed("end", *foot.last().unwrap_or(&0), "0x03")),
        }
    }

    fn of(data: &[u8]) -> Result<Self, DecodeError> {
        let &[century, year, month, day, hour, minute, second, _, high, low, rate_high, rate_low, _, spo2, ..] = data
        else {
            return Err(DecodeError::Length { what: WHAT, said: data.len(), found: DATA_BYTES_MIN });
        };
        let status = u16::from_be_bytes([high, low]);
        let rate = u16::from_be_bytes([rate_high, rate_low]) & 0x1ff;
        let no_measurement = status & 1 << 8 != 0;
        let time = time([century, year, month, day, hour, minute, second])?;
        let doubt = time.is_none().then_some(Flag::CLOCK_IMPLAUSIBLE);
        Ok(Self {
            time,
            spo2: Some(spo2 & 0x7f).filter(|percent| *percent != 127 && !no_measurement),
            pulse: Some(rate).filter(|rate| *rate != 511 && !no_measurement),
            flags: doubt.into_iter().chain(gatt::named(status.into(), STATUS_FLAGS)).collect(),
        })
    }

    fn measured(&self) -> Vec<Measured> {
        let all = bci::measured(self.spo2, self.pulse, &self.flags);
        all.into_iter().map(|one| Measured { device_time: self.time, ..one }).collect()
    }
}

const STATUS_FLAGS: &[(u32, &str)] =
    &[(9, "smart_point"), (8, "measurement_unavailable"), (4, "from_storage"), (0, "low_battery")];

/// Two decimal digits, a nibble each.
fn bcd(byte: u8) -> Result<u8, DecodeError> {
    let (tens, ones) = (byte >> 4, byte & 0x0f);
    if tens > 9 || ones > 9 {
        return Err(malformed("bcd", byte, "two decimal digits"));
    }
    Ok(tens * 10 + ones)
}

fn time(bytes: [u8; 7]) -> Result<Option<DateTime>, DecodeError> {
    let mut numbers = [0; 7];
    for (number, byte) in numbers.iter_mut().zip(bytes) {
        *number = bcd(byte)?.cast_signed();
    }
    let [century, year, month, day, hour, minute, second] = numbers;
    Ok(DateTime::new(i16::from(century) * 100 + i16::from(year), month, day, hour, minute, second, 0).ok())
}

/// Packets one after the other; a command or an answer to one says nothing, nor do answers before the packets.
fn decode(bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    let mut rest = bytes;
    while let Some(len) = command_bytes(rest) {
        let (command, after) = rest.split_at(len);
        Command::parse(command)?;
        if after.is_empty() {
            return Ok(Vec::new());
        }
        rest = after;
    }
    let mut measured = Vec::new();
    loop {
        let len = packet_bytes(rest).map_or(rest.len(), |len| len.min(rest.len()));
        let (packet, after) = rest.split_at(len);
        measured.extend(Packet::parse(packet)?.measured());
        rest = after;
        if rest.is_empty() {
            return Ok(measured);
        }
    }
}

/// How many bytes the command or the answer has that begins so; `None` for a packet.
fn command_bytes(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [ACK | NAK, ..] => Some(1),
        [0x02, 0xf2, 0x06, ..] => Some(bytes.len().min(CLOCK_BYTES)),
        [0x02, 0x70 | 0x72 | 0xf2, ..] => Some(bytes.len()),
        _ => None,
    }
}

/// What the device was asked.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Clock,
    /// The clock after it was set.
    ClockAgain,
    Format {
        long: bool,
    },
    /// Nothing: it sends what it has.
    Listen,
}

/// A connection.
#[derive(Default)]
struct Oximeter {
    step: Step,
    until: Option<Timestamp>,
    began: Option<(Timestamp, DateTime)>,
    /// What the clock said before it was set, and when.
    clock: Option<(Timestamp, DateTime)>,
    set_at: Option<Timestamp>,
    /// The clock that was said last is the one that was set.
    said_set: bool,
    /// At most a packet.
    buffer: Vec<u8>,
    noise: Vec<u8>,
    sitting: Sitting,
    heard: Heard,
}

fn write(command: Command) -> Output {
    Output::Write { channel: Channel::Line, bytes: command.bytes() }
}

impl Oximeter {
    fn ask(&mut self, now: Timestamp, step: Step, command: Command) -> Output {
        self.step = step;
        self.until = now.checked_add(nonin_command::ANSWER_WAIT).ok();
        write(command)
    }

    fn select(&mut self, now: Timestamp, long: bool) -> Output {
        self.ask(now, Step::Format { long }, Command::select(DataFormat::Df13, long))
    }

    fn listen(&mut self) -> Vec<Output> {
        (self.step, self.until) = (Step::Listen, None);
        Vec::new()
    }

    fn local(&self, now: Timestamp) -> Option<DateTime> {
        let (began, local) = self.began?;
        local.checked_add(now.duration_since(began)).ok()
    }

    fn answered(&mut self, now: Timestamp, answer: Command) -> Vec<Output> {
        self.heard.certain();
        match (self.step, answer) {
            (Step::Clock, Command::Clock(time)) => {
                self.clock = Some((now, time));
                let said = Output::Clock(DeviceClock::Local(time));
                match self.local(now).filter(|local| local.duration_since(time).abs() > CLOCK_TOLERANCE) {
                    Some(local) => {
                        self.set_at = Some(now);
                        let set = write(Command::SetClock(local));
                        vec![said, set, self.ask(now, Step::ClockAgain, Command::GetClock)]
                    }
                    None => vec![said, self.select(now, false)],
                }
            }
            (Step::ClockAgain, Command::Clock(time)) => {
                let off = self.local(now).map(|local| local.duration_since(time).abs());
                self.said_set = off.is_some_and(|off| off <= CLOCK_SET_WITHIN);
                if !self.said_set {
                    self.set_at = None;
                }
                let set = self.said_set.then_some(Output::ClockSet);
                set.into_iter().chain([self.select(now, false)]).collect()
            }
            (Step::Format { .. }, Command::Ack) => self.listen(),
            (Step::Format { long: false }, Command::Nak) => vec![self.select(now, true)],
            (Step::Format { long: true }, Command::Nak) => {
                self.listen();
                let error = malformed("answer", NAK, "0x06: the device has this data format");
                vec![Output::Refused { error, bytes: vec![NAK] }]
            }
            _ => Vec::new(),
        }
    }

    /// Which clock the packet's time is by, where that isn't the one that was said last: what was measured before the clock was set keeps
    /// the time that it had.
    fn clock_of(&mut self, now: Timestamp, packet: &Packet) -> Option<Output> {
        let (set_at, (read_at, clock), time) = (self.set_at?, self.clock?, packet.time?);
        let (from, to) = (self.local(set_at)?, self.local(now)?);
        let of_set = time.duration_since(from) >= -CLOCK_TOLERANCE && time.duration_since(to) <= CLOCK_TOLERANCE;
        if std::mem::replace(&mut self.said_set, of_set) == of_set {
            return None;
        }
        let unset = clock.checked_add(now.duration_since(read_at)).ok()?;
        Some(Output::Clock(DeviceClock::Local(if of_set { to } else { unset })))
    }

    /// Takes what is complete at the start of the buffer; `None` when more bytes are needed.
    fn next(&mut self, now: Timestamp) -> Option<Vec<Output>> {
        let first = *self.buffer.first()?;
        let begins = |wanted: &[u8]| self.buffer.iter().zip(wanted).all(|(found, wanted)| found == wanted);
        if begins(&START) {
            return self.packet(now);
        }
        if begins(&[0x02, 0xf2, 0x06]) {
            let bytes = self.buffer.get(..CLOCK_BYTES)?;
            if let Ok(answer) = Command::parse(bytes) {
                self.buffer.drain(..CLOCK_BYTES);
                return Some([self.refuse_noise(), self.answered(now, answer)].concat());
            }
        }
        self.buffer.remove(0);
        if [ACK, NAK].contains(&first) && matches!(self.step, Step::Format { .. }) {
            let answer = if first == ACK { Command::Ack } else { Command::Nak };
            return Some([self.refuse_noise(), self.answered(now, answer)].concat());
        }
        Some(self.skip(first))
    }

    fn packet(&mut self, now: Timestamp) -> Option<Vec<Output>> {
        let need = packet_bytes(&self.buffer)?;
        if need > HEAD_BYTES + DATA_BYTES_MAX + FOOT_BYTES {
            let byte = self.buffer.remove(0);
            return Some(self.skip(byte));
        }
        let bytes = self.buffer.get(..need)?.to_vec();
        match Packet::parse(&bytes) {
            Ok(packet) => {
                self.buffer.drain(..need);
                self.heard.certain();
                self.sitting.heard(now);
                let clock = self.clock_of(now, &packet);
                let measured = packet.measured().into_iter().map(Output::Measured);
                Some(self.refuse_noise().into_iter().chain(clock).chain(measured).collect())
            }
            // What looked like a packet may hold the beginning of one.
            Err(error) => {
                let noise = self.refuse_noise();
                self.buffer.drain(..START.len());
                Some([noise, vec![Output::Refused { error, bytes }]].concat())
            }
        }
    }

    fn skip(&mut self, byte: u8) -> Vec<Output> {
        self.heard.noise(1);
        self.noise.push(byte);
        if self.noise.len() < NOISE_BYTES_MAX { Vec::new() } else { self.refuse_noise() }
    }

    fn refuse_noise(&mut self) -> Vec<Output> {
        let bytes = std::mem::take(&mut self.noise);
        let Some(first) = bytes.first() else { return Vec::new() };
        vec![Output::Refused { error: malformed("header", *first, "0x00, 0x02, 0x00, 0x0d"), bytes }]
    }
}

impl Session for Oximeter {
    fn connected(&mut self, now: Timestamp, local: DateTime) -> Vec<Output> {
        self.began = Some((now, local));
        vec![self.ask(now, Step::Clock, Command::GetClock)]
    }

    fn received(&mut self, now: Timestamp, _channel: Channel, bytes: &[u8]) -> Vec<Output> {
        self.buffer.extend_from_slice(bytes);
        let mut outputs = Vec::new();
        while let Some(said) = self.next(now) {
            outputs.extend(said);
        }
        outputs
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        [self.until, self.sitting.ends_at()].into_iter().flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let mut outputs = self.sitting.end_if_due(now);
        if self.until.is_some_and(|at| at <= now) {
            outputs.extend(match self.step {
                Step::Clock | Step::ClockAgain => vec![self.select(now, false)],
                Step::Format { long: false } => vec![self.select(now, true)],
                Step::Format { long: true } | Step::Listen => self.listen(),
            });
        }
        outputs
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        [self.refuse_noise(), self.sitting.end()].concat()
    }

    fn understands(&self) -> Option<bool> {
        self.heard.understands()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

    const GOOD: &str = "0002000d000e20260115083015000200004800625503";
    const SAYS: &str = "spo2 98 % 2026-01-15T08:30:15 smart_point; pulse 72 /min 2026-01-15T08:30:15 smart_point";

    #[test]
    fn a_packet_is_a_measurement_at_the_devices_time() {
        tape::check(DRIVER, &[GOOD], SAYS);
        tape::check(DRIVER, &["06", GOOD], SAYS);
        tape::check(DRIVER, &["15", GOOD], SAYS);
        tape::check(DRIVER, &["02f2061a0b1609001403", "06", GOOD], SAYS);
        tape::check(DRIVER, &["06"], "");
        tape::check(
            DRIVER,
            &["0002000d000e202512312359590002110096005b6103"],
            "spo2 91 % 2025-12-31T23:59:59 smart_point from_storage low_battery; \
             pulse 150 /min 2025-12-31T23:59:59 smart_point from_storage low_battery",
        );
        tape::check(DRIVER, &["0002000d000e2026011508301500010001ff007f2903"], "");
        tape::check(DRIVER, &["0002000d00102026011508301500020000480062010258 03"], SAYS);
        tape::check(DRIVER, &[&GOOD[..10], &GOOD[10..], GOOD], &format!("{SAYS}; {SAYS}"));
        tape::check(
            DRIVER,
            &["0002000d000e20260231083015000210004800628203"],
            "spo2 98 % clock_implausible smart_point from_storage; pulse 72 /min clock_implausible smart_point from_storage",
        );
        tape::check(DRIVER, &["027002020d03"], "");
    }

    #[test]
    fn what_is_none_is_refused() {
        tape::check(DRIVER, &[&GOOD.replace("5503", "5403")], "nonin df13: checksum is 0x54, the bytes give 0x55");
        tape::check(
            DRIVER,
            &["0002000d000e2026011a083015000200004800625a03"],
            "nonin df13: bcd is 0x1a, want two decimal digits",
        );
        tape::check(DRIVER, &[&GOOD[..40]], "nonin df13: 20 bytes, need at least 22");
        tape::check(DRIVER, &["0002000800"], "nonin df13: header is 0x08, want 0x00, 0x02, 0x00, 0x0d");
        tape::check(DRIVER, &["0002000d0001010103"], "nonin df13: its length says 1 bytes, its contents take 14");
    }

    #[test]
    fn the_clock_is_read_and_set_before_the_format_is_chosen() {
        let mut tape = Tape::open(DRIVER);
        tape.gives("> 02720003");
        tape.line(&tape::bytes("02f2061a0b16083000")).gives("").line(&[0x03]);
        tape.gives("clock Local(2026-11-22T08:48:00); > 0272061a0b1609000003; > 02720003");
        tape.line(&tape::bytes("02f2061a0b1609000003")).gives("clock set; > 027002020d03");
        tape.line(&[0x06]).line(&tape::bytes(GOOD)).gives(&format!("clock Local(2026-11-22T08:48:00); {SAYS}"));
        let now = "0002000d000e20261122090000000200004800622e03";
        tape.line(&tape::bytes(now));
        let said = tape.said();
        assert!(said.starts_with("clock Local(2026-11-22T09:00:00); spo2 98 % 2026-11-22T09:00:00"), "{said}");
        tape.wait().gives("end");
        assert_eq!(tape.understands(), Some(true));
    }

    #[test]
    fn a_clock_that_is_right_is_left_alone() {
        let mut tape = Tape::open(DRIVER);
        tape.line(&tape::bytes("02f2061a0b1609001403"));
        tape.gives("> 02720003; clock Local(2026-11-22T09:00:20); > 027002020d03");
        tape.line(&[0x06]).line(&tape::bytes(GOOD)).gives(SAYS);
    }

    #[test]
    fn a_clock_that_is_not_set_is_not_said_to_be() {
        let mut tape = Tape::open(DRIVER);
        tape.line(&tape::bytes("02f206000101000000 03")).said();
        tape.line(&tape::bytes("02f206000101000001 03")).gives("> 027002020d03");
    }

    #[test]
    fn a_silent_device_is_listened_to() {
        let mut tape = Tape::open(DRIVER);
        tape.wait().wait().gives("> 02720003; > 027002020d03; > 027004020d008303");
        tape.wait().gives("").wait().gives("");
        tape.line(&tape::bytes(GOOD)).gives(SAYS);
    }

    #[test]
    fn a_format_that_is_refused_is_said_to_be() {
        let mut tape = Tape::open(DRIVER);
        tape.wait().line(&[0x15]).line(&[0x15]).gives(
            "> 02720003; > 027002020d03; > 027004020d008303; \
             ! nonin df13: answer is 0x15, want 0x06: the device has this data format",
        );
    }

    #[test]
    fn a_packet_is_found_again_in_a_damaged_stream() {
        let mut tape = Tape::open(DRIVER);
        let stored =
            [&tape::bytes("ff0d00"), &tape::bytes(GOOD)[..15], &tape::bytes(GOOD), &tape::bytes(GOOD)].concat();
        tape.line(&stored);
        let said = tape.said();
        assert!(said.ends_with(SAYS), "{said}");
        assert!(said.contains("! nonin df13: header is 0xff"), "{said}");
    }
}
