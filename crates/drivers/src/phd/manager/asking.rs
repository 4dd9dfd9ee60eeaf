//! What the manager asks an agent for, one thing at a time: its description, its stores, to switch on a scanner, to set its clock.

use jiff::{Timestamp, civil::DateTime};

use super::{
    super::{
        apdu::{self, AbortReason, Attributes, Body, Data},
        codes::{action, attribute},
        mds::Mds,
        pmstore,
        time::{self, Absolute},
    },
    ANSWER_WAIT, CLOCK_OFF_MAX, Manager, SET_CLOCK_QUIET, State, write,
};
use crate::{DecodeError, DeviceClock, Output};

/// Something to ask the agent for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// All that it says of itself.
    Description,
    /// To switch on a scanner.
    Scan(u16),
    /// To set its clock.
    SetClock,
    /// What segments a store has.
    Segments(u16),
    /// A segment's entries.
    Transfer(u16, u16),
    /// To forget segments of a store.
    Clear(u16, Vec<u16>),
}

/// What has been asked for.
pub(super) struct Asked {
    invoke_id: u16,
    what: Ask,
    pub(super) until: Option<Timestamp>,
}

impl Manager {
    pub(super) fn answered(&mut self, now: Timestamp, data: &Data<'_>) -> Result<Vec<Output>, DecodeError> {
        let Some(asked) = self.asked.take_if(|asked| asked.invoke_id == data.invoke_id) else {
            let (found, wanted) = (data.invoke_id.into(), "the one that was asked with");
            return Err(DecodeError::Malformed { what: apdu::WHAT, field: "invoke id", found, wanted });
        };
        match (asked.what, &data.body) {
            (Ask::Description, Body::Attributes(attributes)) => self.described(now, attributes),
            (Ask::SetClock, Body::Action(_)) => Ok(vec![Output::ClockSet]),
            (Ask::Segments(store), Body::Action(result)) => {
                let follows = self.stores.listed(store, result.info, self.user)?;
                // what is stored bears times of the clock as it is, so it is read before that is set
                follows.into_iter().rev().for_each(|ask| self.todo.push_front(ask));
                Ok(Vec::new())
            }
            (Ask::Transfer(store, segment), Body::Action(result)) => {
                self.stores.begin(now, store, segment, result.info);
                Ok(Vec::new())
            }
            (Ask::Scan(_) | Ask::Clear(..), Body::Attributes(_) | Body::Action(_)) => Ok(Vec::new()),
            (what, _) => {
                self.in_vain.push(what);
                Ok(Vec::new())
            }
        }
    }

    fn described(&mut self, now: Timestamp, attributes: &Attributes<'_>) -> Result<Vec<Output>, DecodeError> {
        let mds = Mds::parse(&attributes.list)?;
        let room = self.room(now);
        let mut outputs = vec![Output::About(mds.about.clone())];
        outputs.extend(mds.date_time.map(|time| Output::Clock(clock(time))));
        if let Some(configuration) = &self.known.configuration {
            self.todo.extend(configuration.stores().map(Ask::Segments));
            self.todo.extend(configuration.scanner().map(Ask::Scan));
        }
        if mds.can_set_clock() && (mds.asks_to_be_set() || is_off(mds.date_time, room)) {
            self.todo.push_back(Ask::SetClock);
        }
        self.known.mds = mds;
        Ok(outputs)
    }

    /// Asks for the next thing, if nothing is being waited for.
    pub(super) fn ask_next(&mut self, now: Timestamp) -> Vec<Output> {
        if self.state != State::Operating || self.asked.is_some() || self.stores.is_transferring() {
            return Vec::new();
        }
        while let Some(next) = self.todo.front() {
            if *next == Ask::SetClock && self.quiet_at().is_some_and(|at| now < at) {
                return Vec::new();
            }
            let next = self.todo.pop_front().expect("it was at the front");
            if let Some(bytes) = self.request(now, &next).filter(|_| !self.in_vain.contains(&next)) {
                let until = now.checked_add(ANSWER_WAIT).ok();
                self.asked = Some(Asked { invoke_id: self.invoke_id, what: next, until });
                return vec![write(bytes)];
            }
        }
        Vec::new()
    }

    /// When the clock may be set, if that is next.
    pub(super) fn quiet_at(&self) -> Option<Timestamp> {
        let quiet_at = self.reported_at?.checked_add(SET_CLOCK_QUIET).ok();
        quiet_at.filter(|_| self.todo.front() == Some(&Ask::SetClock))
    }

    fn request(&mut self, now: Timestamp, what: &Ask) -> Option<Vec<u8>> {
        self.invoke_id = self.invoke_id.wrapping_add(1);
        let id = self.invoke_id;
        Some(match what {
            Ask::Description => apdu::get_all(id, 0),
            Ask::Scan(scanner) => apdu::set(id, *scanner, attribute::OPERATIONAL_STATE, &[0, 1]),
            Ask::SetClock => {
                let exactly = [0; 4];
                apdu::action(id, 0, action::SET_TIME, &[&time::absolute(self.room(now)?)[..], &exactly].concat())
            }
            Ask::Segments(store) => apdu::action(id, *store, action::SEGMENT_INFO, &pmstore::all_segments()),
            Ask::Transfer(store, segment) => apdu::action(id, *store, action::TRANSFER_SEGMENT, &segment.to_be_bytes()),
            Ask::Clear(store, segments) => {
                apdu::action(id, *store, action::CLEAR_SEGMENTS, &pmstore::these_segments(segments))
            }
        })
    }

    /// What has been waited for in vain.
    pub(super) fn give_up(&mut self, now: Timestamp) -> Vec<Output> {
        let is_due = |until: Option<Timestamp>| until.is_some_and(|until| until <= now);
        if is_due(self.configured_until) {
            return self.abort(AbortReason::ConfigurationTimeout);
        }
        if let Some(asked) = self.asked.take_if(|asked| is_due(asked.until)) {
            self.in_vain.push(asked.what);
            return self.abort(AbortReason::ResponseTimeout);
        }
        self.stores.give_up(now);
        Vec::new()
    }
}

fn clock(time: Absolute) -> DeviceClock {
    match time {
        Absolute::At(time) => DeviceClock::Local(time),
        Absolute::NotSet | Absolute::Impossible => DeviceClock::NotSet,
    }
}

fn is_off(device: Option<Absolute>, room: Option<DateTime>) -> bool {
    match (device, room) {
        (Some(Absolute::At(device)), Some(room)) => device.duration_until(room).abs() > CLOCK_OFF_MAX,
        (device, room) => device.is_some() && room.is_some(),
    }
}
