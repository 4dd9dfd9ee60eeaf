//! Test tapes: bytes in, readings out, both as text.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{Channel, DecodeError, Driver, Measured, Options, Output, Progress, Session};

pub fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn say(measured: &Measured) -> String {
    let mut words = vec![measured.vital.to_string(), measured.value.to_string(), measured.unit.to_string()];
    words.extend(measured.device_time.map(|time| time.to_string()));
    words.extend(measured.flags.iter().map(ToString::to_string));
    words.join(" ")
}

fn say_all(decoded: Result<Vec<Measured>, DecodeError>) -> String {
    decoded.map_or_else(|error| error.to_string(), |all| all.iter().map(say).collect::<Vec<_>>().join("; "))
}

/// Frames of the main characteristic or pieces of the stream, decoded by themselves.
#[track_caller]
pub fn check(driver: Driver, frames: &[&str], wanted: &str) {
    let frames: Vec<_> = frames.iter().map(|hex| bytes(hex)).collect();
    assert_eq!(say_all(crate::decode(&driver, None, &frames)), wanted);
}

/// A connection to play a tape to.
pub struct Tape {
    session: Box<dyn Session>,
    pub now: Timestamp,
    said: Vec<String>,
    /// Where advertisements come from.
    advertisement: Channel,
}

impl Tape {
    pub fn open(driver: Driver) -> Self {
        Self::open_with(driver, &Options::default())
    }

    pub fn open_with(driver: Driver, options: &Options) -> Self {
        let mut tape = Self::before(driver, options);
        tape.connected();
        tape
    }

    /// A connection whose values are still being read.
    pub fn before(driver: Driver, options: &Options) -> Self {
        Self::of((driver.open)(options))
    }

    /// The same, of a session that is open.
    pub fn of(session: Box<dyn Session>) -> Self {
        let advertisement = Channel::Advertisement(Uuid::nil());
        Self { session, now: "2026-11-22T08:00:00Z".parse().unwrap(), said: Vec::new(), advertisement }
    }

    /// Everything is read and subscribed to. The room is an hour ahead of UTC.
    pub fn connected(&mut self) -> &mut Self {
        let local = jiff::tz::Offset::constant(1).to_datetime(self.now);
        let said = self.session.connected(self.now, local);
        self.heard(said)
    }

    /// The device calls itself this.
    pub fn model(&mut self, model: &str) -> &mut Self {
        self.session.model(model);
        self
    }

    fn heard(&mut self, outputs: Vec<Output>) -> &mut Self {
        self.said.extend(outputs.iter().map(|output| match output {
            Output::Measured(measured) => say(measured),
            Output::Write { bytes, .. } => format!("> {}", hex(bytes)),
            Output::Refused { error, .. } => format!("! {error}"),
            Output::Progress(Progress { values, percent }) => {
                let percent = percent.map_or(String::new(), |percent| format!(" {percent} %"));
                format!("~ {}{percent}", values.iter().map(say).collect::<Vec<_>>().join("; "))
            }
            Output::Clock(clock) => format!("clock {clock:?}"),
            Output::ClockSet => "clock set".to_owned(),
            Output::About(about) => format!("{about:?}"),
            Output::SittingEnd => "end".to_owned(),
        }));
        self
    }

    pub fn value(&mut self, uuid: Uuid, hex: &str) -> &mut Self {
        let said = self.session.received(self.now, Channel::Characteristic(uuid), &bytes(hex));
        self.heard(said)
    }

    /// A device that only advertises: nobody connects to it.
    pub fn heard_from(driver: Driver) -> Self {
        Self { advertisement: driver.main_channel(), ..Self::before(driver, &Options::default()) }
    }

    pub fn advertised(&mut self, hex: &str) -> &mut Self {
        let said = self.session.received(self.now, self.advertisement, &bytes(hex));
        self.heard(said)
    }

    pub fn line(&mut self, bytes: &[u8]) -> &mut Self {
        let said = self.session.received(self.now, Channel::Line, bytes);
        self.heard(said)
    }

    /// Moves on to the session's next timeout.
    pub fn wait(&mut self) -> &mut Self {
        if let Some(at) = self.session.timeout_at() {
            self.now = self.now.max(at);
            let said = self.session.timed_out(self.now);
            self.heard(said);
        }
        self
    }

    pub fn pass(&mut self, time: SignedDuration) -> &mut Self {
        self.now += time;
        self
    }

    pub fn kept(&mut self) -> &mut Self {
        let said = self.session.kept(self.now);
        self.heard(said)
    }

    pub fn closed(&mut self) -> &mut Self {
        let said = self.session.closed(self.now);
        self.heard(said)
    }

    /// What the session has said since the last time.
    pub fn said(&mut self) -> String {
        std::mem::take(&mut self.said).join("; ")
    }

    /// It has said this since the last time, and nothing else but how far it was.
    #[track_caller]
    pub fn measures(&mut self, wanted: &str) -> &mut Self {
        self.said.retain(|said| !said.starts_with('~'));
        self.gives(wanted)
    }

    /// See [`Session::understands`].
    pub fn understands(&self) -> Option<bool> {
        self.session.understands()
    }

    /// It has said this since the last time, and nothing else.
    #[track_caller]
    pub fn gives(&mut self, wanted: &str) -> &mut Self {
        assert_eq!(self.said(), wanted);
        self
    }
}
