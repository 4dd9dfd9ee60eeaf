//! How a driver is fuzzed: the bytes are a script of what happens to a session, and what it received is decoded by itself as well.
//!
//! ```text
//! 0 channel len_low len_high bytes   bytes come          1   time passes until the session wants to be called
//! 2 milliseconds_low high            time passes         3   what was measured is acknowledged          4   the link is gone
//! 5                                  everything is subscribed to (it is, in the beginning, unless this comes first)
//! ```
//!
//! Beside not panicking, a session has to come to rest: called when it wanted to be, it must sooner or later want to be called later.

use drivers::{Channel, DRIVERS, Driver, Options, Session, Transport, gatt};
use jiff::{SignedDuration, Timestamp, civil::DateTime};

/// The wall clock of the room.
pub const LOCAL: DateTime = DateTime::constant(2026, 11, 22, 9, 0, 0, 0);
/// Calls at one instant, at most.
const CALLS_MAX: usize = 100;

/// The driver of this name.
///
/// # Panics
/// When there is none: its target is an old one.
#[must_use]
pub fn driver(name: &str) -> &'static Driver {
    DRIVERS.iter().find(|driver| driver.name == name).expect("a target for each driver and none for another")
}

/// Where bytes for this driver may come from.
#[must_use]
pub fn channels(driver: &Driver) -> Vec<Channel> {
    match driver.transport {
        Transport::Serial { .. } => vec![Channel::Line],
        Transport::Advertisement { service } => vec![Channel::Advertisement(service)],
        Transport::Ble { subscribe, read, .. } => {
            let known = subscribe.iter().chain(read).copied();
            let others = [0x2a19, 0x2a2b, 0x2a1e, 0x2a36, 0x2a49, 0x2a52, 0xffff].map(gatt::uuid16);
            known.chain(others).map(Channel::Characteristic).collect()
        }
    }
}

/// A session, and the time.
pub struct Play {
    session: Box<dyn Session>,
    now: Timestamp,
    connected: bool,
}

impl Play {
    /// Begins a connection.
    #[must_use]
    pub fn open(driver: &Driver) -> Self {
        let options = Options { user: Some(1), consent: Some(0x1234), ..Options::default() };
        let now = "2026-11-22T08:00:00Z".parse().expect("a time");
        Self { session: (driver.open)(&options), now, connected: false }
    }

    /// Everything is subscribed to.
    pub fn connected(&mut self) {
        if !self.connected {
            self.connected = true;
            drop(self.session.connected(self.now, LOCAL));
        }
    }

    /// Bytes come.
    pub fn received(&mut self, channel: Channel, bytes: &[u8]) {
        drop(self.session.received(self.now, channel, bytes));
    }

    /// What is not bytes happens.
    pub fn happens(&mut self, what: u8, milliseconds: u16) {
        match what {
            1 => self.now = self.session.timeout_at().unwrap_or(self.now).max(self.now),
            2 => self.now += SignedDuration::from_millis(milliseconds.into()),
            3 => drop(self.session.kept(self.now)),
            4 => drop(self.session.closed(self.now)),
            _ => self.connected(),
        }
        self.settle();
    }

    fn settle(&mut self) {
        let mut calls = 0;
        while self.session.timeout_at().is_some_and(|at| at <= self.now) {
            drop(self.session.timed_out(self.now));
            calls += 1;
            assert!(calls < CALLS_MAX, "it wants to be called for ever without time passing");
        }
    }
}

/// Plays a script to a driver.
pub fn play(driver: &Driver, script: &[u8]) {
    let (channels, mut play, mut frames) = (channels(driver), Play::open(driver), Vec::new());
    let mut rest = script;
    if !matches!(rest, [5, ..]) {
        play.connected();
    }
    while let [what, after @ ..] = rest {
        rest = match (what % 8, after) {
            (0, [channel, low, high, after @ ..]) => {
                let len = usize::from(u16::from_le_bytes([*low, *high])).min(after.len());
                let (bytes, after) = after.split_at(len);
                play.received(channels[usize::from(*channel) % channels.len()], bytes);
                frames.push((usize::from(*channel) % channels.len(), bytes.to_vec()));
                after
            }
            (2, [low, high, after @ ..]) => {
                play.happens(2, u16::from_le_bytes([*low, *high]));
                after
            }
            (what, after) => {
                play.happens(what, 0);
                after
            }
        };
    }
    for (index, channel) in channels.iter().enumerate() {
        let of_it: Vec<Vec<u8>> =
            frames.iter().filter(|(at, _)| *at == index).map(|(_, bytes)| bytes.clone()).collect();
        let _ = drivers::decode(driver, Some(*channel), &of_it);
    }
}
