//! An agent of IEEE 11073-20601: a scale and a peak flow meter, each with a configuration of its own.
//!
//! With something to tell and a host on the line it asks for an association (three times, ten seconds apart, then it rests), tells its
//! configuration if the host doesn't know it, answers what it is asked, and reports its memory, one confirmed report a measurement, oldest
//! first; a confirmed one is forgotten. When nothing has happened for a while it releases the association. What is not answered within three
//! seconds is aborted and begun anew.

pub mod frames;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use jiff::civil::DateTime;

use self::frames::{CONFIGURATION, REPORT, data, words};
use super::{Identity, Record};

/// Records that its memory holds; the oldest goes when it is full.
pub const MEMORY_RECORDS_MAX: usize = 25;
/// Bytes of an APDU of the host that are kept while it is incomplete.
const HEARD_BYTES_MAX: usize = 8192;
const ASSOCIATION_WAIT: Duration = Duration::from_secs(10);
const ASSOCIATION_TRIES: u32 = 3;
const CONFIGURATION_WAIT: Duration = Duration::from_secs(20);
const CONFIRM_WAIT: Duration = Duration::from_secs(3);
/// After an association that came to nothing.
const REST: Duration = Duration::from_secs(1);
/// After three requests in vain.
const LONG_REST: Duration = Duration::from_secs(15);
/// How long it waits to be asked what it is before it reports.
const ASKED_FIRST: Duration = Duration::from_millis(500);
/// How long it stays when it has told everything.
const LINGER: Duration = Duration::from_secs(3);

/// How it misbehaves once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// It asks for an association by a protocol that nobody has, and is refused.
    RefusedFirst,
    /// It tells its configuration without wanting it confirmed.
    Unconfirmed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Resting,
    Associating {
        tries: u32,
    },
    Configuring,
    Operating,
    /// A report has been sent.
    Confirming {
        invoke_id: u16,
    },
    Releasing,
}

/// What it did with what it heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Bytes to send.
    pub answer: Vec<u8>,
    /// The host set the clock to this.
    pub clock_set_to: Option<DateTime>,
    /// The host has confirmed a report.
    pub confirmed: bool,
    /// It has told its configuration against the rules.
    pub unconfirmed: bool,
    /// The host has refused the association, for this reason.
    pub refused: Option<u16>,
}

/// The device.
#[derive(Debug)]
pub struct Agent {
    identity: Identity,
    memory: VecDeque<Record>,
    state: State,
    /// When the state ends, if nothing happens.
    until: Instant,
    invoke_id: u16,
    heard: Vec<u8>,
    /// How it will misbehave, each once.
    misbehaviours: Vec<Misbehaviour>,
}

impl Agent {
    /// This specimen, switched on.
    #[must_use]
    pub fn new(identity: Identity, now: Instant) -> Self {
        let (memory, heard) = (VecDeque::new(), Vec::new());
        Self { identity, memory, state: State::Resting, until: now, invoke_id: 0, heard, misbehaviours: Vec::new() }
    }

    /// A measurement goes into memory.
    pub fn remember(&mut self, record: Record) {
        if self.memory.len() >= MEMORY_RECORDS_MAX {
            self.memory.pop_front();
        }
        self.memory.push_back(record);
    }

    /// The oldest measurement that has not been confirmed.
    #[must_use]
    pub fn oldest(&self) -> Option<&Record> {
        self.memory.front()
    }

    /// It will misbehave so the next time that it can.
    pub fn misbehave(&mut self, how: Misbehaviour) {
        if !self.misbehaviours.contains(&how) {
            self.misbehaviours.push(how);
        }
    }

    /// It will behave.
    pub fn behave(&mut self) {
        self.misbehaviours.clear();
    }

    /// Does it misbehave so this time?
    fn misbehaves(&mut self, how: Misbehaviour) -> bool {
        let place = self.misbehaviours.iter().position(|one| *one == how);
        place.map(|place| self.misbehaviours.remove(place)).is_some()
    }

    /// The line was closed.
    pub fn hang_up(&mut self, now: Instant) {
        self.heard.clear();
        self.enter(State::Resting, now);
    }

    fn enter(&mut self, state: State, until: Instant) {
        (self.state, self.until) = (state, until);
    }

    /// Time passes while a host is on the line: what it sends.
    pub fn tick(&mut self, now: Instant) -> Vec<u8> {
        if now < self.until {
            return Vec::new();
        }
        match self.state {
            State::Resting if self.memory.is_empty() => Vec::new(),
            State::Resting => self.associate(now, 1),
            State::Associating { tries } if tries < ASSOCIATION_TRIES => self.associate(now, tries + 1),
            State::Associating { .. } | State::Releasing => {
                self.enter(State::Resting, now + LONG_REST);
                Vec::new()
            }
            State::Operating => self.report(now),
            State::Configuring | State::Confirming { .. } => {
                self.enter(State::Resting, now + REST);
                frames::abort()
            }
        }
    }

    fn associate(&mut self, now: Instant, tries: u32) -> Vec<u8> {
        self.enter(State::Associating { tries }, now + ASSOCIATION_WAIT);
        let by_20601 = !self.misbehaves(Misbehaviour::RefusedFirst);
        frames::association_request(&self.identity, by_20601)
    }

    fn report(&mut self, now: Instant) -> Vec<u8> {
        while let Some(record) = self.memory.front() {
            if let Some(info) = frames::report(record) {
                self.invoke_id = self.invoke_id.wrapping_add(1);
                self.enter(State::Confirming { invoke_id: self.invoke_id }, now + CONFIRM_WAIT);
                return frames::event(self.invoke_id, true, REPORT, &info);
            }
            self.memory.pop_front();
        }
        self.enter(State::Releasing, now + CONFIRM_WAIT);
        frames::release_request()
    }

    /// Bytes from the host, at this time of its own clock.
    pub fn hear(&mut self, bytes: &[u8], now: Instant, clock: DateTime) -> Heard {
        let mut done = Heard::default();
        self.heard.extend_from_slice(bytes);
        while let [_, _, high, low, ..] = *self.heard {
            let len = 4 + usize::from(u16::from_be_bytes([high, low]));
            if len > HEARD_BYTES_MAX {
                self.heard.clear();
            }
            if self.heard.len() < len {
                break;
            }
            let apdu: Vec<u8> = self.heard.drain(..len).collect();
            self.answer(&apdu, now, clock, &mut done);
        }
        done
    }

    fn answer(&mut self, apdu: &[u8], now: Instant, clock: DateTime, done: &mut Heard) {
        match apdu {
            [0xe3, 0, _, _, high, low, ..] => self.associated(u16::from_be_bytes([*high, *low]), now, done),
            [0xe4, ..] => {
                self.enter(State::Resting, now + REST);
                done.answer.extend(frames::release_response());
            }
            [0xe5 | 0xe6, ..] => self.enter(State::Resting, now + REST),
            [0xe7, 0, _, _, _, _, id_high, id_low, group, kind, _, _, body @ ..] => {
                let (invoke_id, operation) = (u16::from_be_bytes([*id_high, *id_low]), [*group, *kind]);
                self.operate(invoke_id, operation, body, (now, clock), done);
            }
            _ => {}
        }
    }

    fn associated(&mut self, result: u16, now: Instant, done: &mut Heard) {
        match result {
            0 => self.enter(State::Operating, now + ASKED_FIRST),
            3 => {
                self.invoke_id = self.invoke_id.wrapping_add(1);
                self.enter(State::Configuring, now + CONFIGURATION_WAIT);
                done.unconfirmed = self.misbehaves(Misbehaviour::Unconfirmed);
                let configuration = frames::configuration(self.identity.kind);
                done.answer.extend(frames::event(self.invoke_id, !done.unconfirmed, CONFIGURATION, &configuration));
            }
            reason => {
                done.refused = Some(reason);
                self.enter(State::Resting, now + REST);
            }
        }
    }

    fn operate(
        &mut self,
        id: u16,
        operation: [u8; 2],
        body: &[u8],
        (now, clock): (Instant, DateTime),
        done: &mut Heard,
    ) {
        match (operation, self.state) {
            // the host's result of an event: the object, a time, the kind, and for a configuration whether it is accepted
            ([2, 1], State::Configuring) => match body {
                [_, _, _, _, _, _, _, _, 0, 4, _, _, 0, 0] => self.enter(State::Operating, now + ASKED_FIRST),
                _ => self.enter(State::Resting, now + LONG_REST),
            },
            ([2, 1], State::Confirming { invoke_id }) if id == invoke_id => {
                self.memory.pop_front();
                done.confirmed = true;
                let next = if self.memory.is_empty() { LINGER } else { Duration::ZERO };
                self.enter(State::Operating, now + next);
            }
            ([1, 3], State::Operating | State::Confirming { .. }) => {
                done.answer.extend(data(id, 0x0203, &frames::description(&self.identity, clock)));
            }
            ([1, 7], State::Operating | State::Confirming { .. }) => {
                let answer = self.act(id, body, done);
                done.answer.extend(answer);
            }
            ([3 | 4, _], State::Confirming { .. }) => self.enter(State::Resting, now + REST),
            _ => {}
        }
    }

    /// Does what the host wants, which can only be to set its clock.
    fn act(&self, id: u16, body: &[u8], done: &mut Heard) -> Vec<u8> {
        match body {
            [0, 0, 0x0c, 0x17, 0, 12, time @ ..] => {
                done.clock_set_to = read_time(time);
                data(id, 0x0207, &words(&[0, 0x0c17, 0]))
            }
            _ => data(id, 0x0300, &words(&[9, 0])),
        }
    }
}

fn read_time(bytes: &[u8]) -> Option<DateTime> {
    let two = |at: usize| bytes.get(at).map(|byte| i16::from(byte >> 4) * 10 + i16::from(byte & 15));
    let small = |at: usize| i8::try_from(two(at)?).ok();
    let year = two(0)? * 100 + two(1)?;
    DateTime::new(year, small(2)?, small(3)?, small(4)?, small(5)?, small(6)?, i32::from(two(7)?) * 10_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{Body, Kind, hex, record};

    const CLOCK: DateTime = DateTime::constant(2026, 11, 22, 9, 0, 0, 0);

    fn agent(now: Instant) -> Agent {
        let mut agent = Agent::new(Identity::new(Kind::PhdScale, 7), now);
        agent.remember(record(Body::Weight { steps: 14_501 }, "2026-11-22T09:00:01"));
        agent
    }

    fn accepted(result: u8) -> Vec<u8> {
        vec![0xe3, 0, 0, 6, 0, result, 0, 0, 0, 0]
    }

    #[test]
    fn it_tells_its_memory_and_forgets_what_was_confirmed() {
        let now = Instant::now();
        let mut agent = agent(now);
        assert!(hex(&agent.tick(now)).starts_with("e2000032"));
        let configuration = agent.hear(&accepted(3), now, CLOCK).answer;
        assert!(hex(&configuration).starts_with("e7000044004200010101003c0000ffffffff0d1c"), "{}", hex(&configuration));
        let confirmed = data(1, 0x0201, &[&[0; 6][..], &words(&[0x0d1c, 4, 0x4000, 0])].concat());
        assert_eq!(agent.hear(&confirmed, now, CLOCK), Heard::default());
        assert!(agent.tick(now).is_empty(), "it waits to be asked first");
        let asked = agent.hear(&data(7, 0x0103, &words(&[0, 0, 0])), now, CLOCK).answer;
        assert!(hex(&asked).contains("0987000820261122090000"), "{}", hex(&asked));
        let report = agent.tick(now + ASKED_FIRST);
        assert!(hex(&report).ends_with("fd011b39"));
        let done = agent.hear(&data(2, 0x0201, &[&[0; 6][..], &words(&[0x0d1d, 0])].concat()), now, CLOCK);
        assert!(done.confirmed && agent.oldest().is_none());
        assert_eq!(agent.tick(now + LINGER), frames::release_request());
        agent.hear(&frames::release_response(), now, CLOCK);
        assert!(agent.tick(now + LONG_REST).is_empty(), "nothing to tell");
    }

    #[test]
    fn it_asks_three_times_and_rests() {
        let mut now = Instant::now();
        let mut agent = agent(now);
        for _ in 0..ASSOCIATION_TRIES {
            assert!(!agent.tick(now).is_empty());
            now += ASSOCIATION_WAIT;
        }
        assert!(agent.tick(now).is_empty());
        assert!(!agent.tick(now + LONG_REST).is_empty());
    }

    #[test]
    fn what_is_not_confirmed_is_kept_and_told_again() {
        let now = Instant::now();
        let mut agent = agent(now);
        agent.tick(now);
        agent.hear(&accepted(0), now, CLOCK);
        assert!(!agent.tick(now + ASKED_FIRST).is_empty());
        assert_eq!(agent.tick(now + ASKED_FIRST + CONFIRM_WAIT), frames::abort());
        assert!(agent.oldest().is_some());
    }

    #[test]
    fn its_clock_can_be_set_and_it_misbehaves_once() {
        let now = Instant::now();
        let mut agent = agent(now);
        agent.misbehave(Misbehaviour::RefusedFirst);
        assert!(hex(&agent.tick(now)).contains("ffff0026"));
        assert_eq!(agent.hear(&accepted(4), now, CLOCK).refused, Some(4));
        assert!(hex(&agent.tick(now + REST)).contains("50790026"));
        agent.hear(&accepted(0), now, CLOCK);
        let time = frames::absolute_time(DateTime::constant(2026, 11, 22, 10, 30, 0, 0));
        let set = data(9, 0x0107, &[&words(&[0, 0x0c17, 12])[..], &time, &[0; 4]].concat());
        assert_eq!(agent.hear(&set, now, CLOCK).clock_set_to.unwrap().to_string(), "2026-11-22T10:30:00");
    }
}
