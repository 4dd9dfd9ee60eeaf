//! The manager: one connection to an agent, as a state machine.
//!
//! ```text
//! unassociated  a request: accepted (operating), accepted with an unknown configuration (configuring), or refused with the reason
//!               anything else of an association: aborted, so that the agent begins anew
//! configuring   the confirmed report of the configuration, within 20 s, or it is aborted
//! operating     asks for the device's description, then reads its stores, switches on a scanner, sets the clock: one at a time, each
//!               answered within 3 s or aborted; and confirms every report that wants it, once what it says has been handed on
//! ```
//!
//! The agent asks for the association, and asks again by itself: three times, ten seconds apart. After an abort it begins anew, and a
//! configuration that it has told before is remembered for the length of the connection. What an agent lets a request for wait in vain isn't
//! asked again on this connection, so that the rest can be read.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use vitals::Vital;

use super::{
    apdu::{self, AbortReason, Apdu, Attributes, Body, Data, Event, operation},
    association::{self, Request, Verdict},
    codes::{action, attribute, event},
    configuration::{self, Configuration},
    known::{Known, Said},
    mds::Mds,
    report::Report,
    stores::Stores,
    stream::Stream,
    time::{self, Absolute, NO_RELATIVE_TIME},
};
use crate::{Channel, DecodeError, DeviceClock, Measured, Options, Output, Session, gatt::Sitting, settle::Settle};

/// How long a configuration may take.
pub const CONFIGURATION_WAIT: SignedDuration = SignedDuration::from_secs(20);
/// How long any answer may take.
pub const ANSWER_WAIT: SignedDuration = SignedDuration::from_secs(3);
/// A clock that is off by more is set.
pub const CLOCK_OFF_MAX: SignedDuration = SignedDuration::from_secs(10);
/// A clock is set when no report has come for this long: those that were waiting bear times of the old one.
pub const SET_CLOCK_QUIET: SignedDuration = SignedDuration::from_secs(1);
/// Configurations that are remembered.
pub const CONFIGURATIONS_MAX: usize = 8;
/// Values a second of a stream of oximetry.
const PER_SECOND: usize = 1;

/// Why an operation can't be done.
const NO_SUCH_OBJECT: u16 = 1;
const NOT_ALLOWED: u16 = 24;
const BADLY_STRUCTURED: u16 = 2;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unassociated,
    Configuring,
    Operating,
}

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
struct Asked {
    invoke_id: u16,
    what: Ask,
    until: Option<Timestamp>,
}

/// A connection.
pub struct Manager {
    user: Option<u8>,
    stream: Stream,
    state: State,
    /// When the configuration must have come.
    configured_until: Option<Timestamp>,
    known: Known,
    system_id: Vec<u8>,
    remembered: VecDeque<(Vec<u8>, Configuration)>,
    /// When the session began, and the wall clock of the room then.
    began: Option<(Timestamp, DateTime)>,
    asked: Option<Asked>,
    invoke_id: u16,
    todo: VecDeque<Ask>,
    /// Asked for in vain.
    in_vain: Vec<Ask>,
    stores: Stores,
    /// When the last report came.
    reported_at: Option<Timestamp>,
    settle: Settle,
    sitting: Sitting,
}

impl Manager {
    /// A session.
    #[must_use]
    pub fn open(options: &Options) -> Box<dyn Session> {
        Box::new(Self {
            user: options.user,
            stream: Stream::default(),
            state: State::Unassociated,
            configured_until: None,
            known: Known::default(),
            system_id: Vec::new(),
            remembered: VecDeque::new(),
            began: None,
            asked: None,
            invoke_id: 0,
            todo: VecDeque::new(),
            in_vain: Vec::new(),
            stores: Stores::default(),
            reported_at: None,
            settle: Settle::new(PER_SECOND),
            sitting: Sitting::default(),
        })
    }

    fn read(&mut self, now: Timestamp, late: bool) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(bytes) = self.stream.next(late, &mut outputs) {
            outputs.extend(self.hear(now, &bytes));
            outputs.extend(self.ask_next(now));
        }
        outputs
    }

    fn hear(&mut self, now: Timestamp, bytes: &[u8]) -> Vec<Output> {
        let heard = match Apdu::parse(bytes) {
            Ok(apdu) => {
                self.stream.heard.certain();
                self.hear_apdu(now, &apdu)
            }
            Err(error) => Err(error),
        };
        heard.unwrap_or_else(|error| {
            let refused = Output::Refused { error, bytes: bytes.to_vec() };
            [vec![refused], self.answer_to_nonsense(bytes)].concat()
        })
    }

    fn hear_apdu(&mut self, now: Timestamp, heard: &Apdu<'_>) -> Result<Vec<Output>, DecodeError> {
        match heard {
            Apdu::AssociationRequest(body) if self.state == State::Unassociated => self.associate(now, body),
            Apdu::Data(data) if self.state != State::Unassociated => self.hear_data(now, data),
            Apdu::ReleaseRequest(_) if self.state != State::Unassociated => {
                Ok([self.end(), vec![write(apdu::release_response())]].concat())
            }
            Apdu::Abort(_) => Ok(self.end()),
            // answers to what this manager never asks
            Apdu::ReleaseResponse(_) | Apdu::AssociationResponse(_) if self.state == State::Unassociated => Ok(vec![]),
            _ => Ok(self.abort(AbortReason::Undefined)),
        }
    }

    /// What is answered to an APDU that can't be read.
    fn answer_to_nonsense(&mut self, bytes: &[u8]) -> Vec<Output> {
        match bytes {
            [0xe2, ..] if self.state == State::Unassociated => {
                vec![write(association::response(Verdict::RejectedUnknown))]
            }
            [0xe7, 0, _, _, _, _, high, low, 1, kind, ..] if self.state != State::Unassociated => {
                let wants_an_answer = [1, 3, 5, 7].contains(kind);
                let reject = write(apdu::reject(u16::from_be_bytes([*high, *low]), BADLY_STRUCTURED));
                wants_an_answer.then_some(reject).into_iter().collect()
            }
            [0xe7, ..] => Vec::new(),
            _ => self.abort(AbortReason::Undefined),
        }
    }

    fn associate(&mut self, now: Timestamp, body: &[u8]) -> Result<Vec<Output>, DecodeError> {
        let request = Request::parse(body)?;
        let mut configuration = None;
        let verdict = request.judge(|information| {
            configuration = self.configuration(information.system_id, information.configuration);
            configuration.is_some()
        });
        let accepted = match verdict {
            Verdict::Accepted => State::Operating,
            Verdict::UnknownConfiguration => State::Configuring,
            _ => return Ok(vec![write(association::response(verdict))]),
        };
        self.known = Known { configuration, ..Known::default() };
        self.system_id = request.information.map_or_else(Vec::new, |information| information.system_id.to_vec());
        self.enter(now, accepted);
        Ok(vec![write(association::response(verdict))])
    }

    fn configuration(&self, system_id: &[u8], id: u16) -> Option<Configuration> {
        let told = self.remembered.iter().find(|(of, one)| of == system_id && one.id == id);
        told.map(|(_, configuration)| configuration.clone()).or_else(|| Configuration::standard(id))
    }

    fn remember(&mut self, configuration: Configuration) {
        self.remembered.retain(|(of, one)| (of, one.id) != (&self.system_id, configuration.id));
        if self.remembered.len() >= CONFIGURATIONS_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back((self.system_id.clone(), configuration.clone()));
        self.known.configuration = Some(configuration);
    }

    fn enter(&mut self, now: Timestamp, state: State) {
        self.state = state;
        self.configured_until = now.checked_add(CONFIGURATION_WAIT).ok().filter(|_| state == State::Configuring);
        self.todo.clear();
        if state == State::Operating {
            self.todo.push_back(Ask::Description);
        }
    }

    /// The association is over: what was heard of an unfinished measurement comes out.
    fn end(&mut self) -> Vec<Output> {
        self.state = State::Unassociated;
        (self.asked, self.configured_until, self.reported_at) = (None, None, None);
        self.todo.clear();
        self.stores = Stores::default();
        [self.settle.finish(), self.sitting.end()].concat()
    }

    fn abort(&mut self, reason: AbortReason) -> Vec<Output> {
        [self.end(), vec![write(apdu::abort(reason))]].concat()
    }

    fn hear_data(&mut self, now: Timestamp, data: &Data<'_>) -> Result<Vec<Output>, DecodeError> {
        let confirmed = data.operation == operation::CONFIRMED_EVENT;
        match (data.operation, &data.body) {
            (operation::CONFIRMED_EVENT, Body::Event(told)) if told.kind == event::CONFIGURATION => {
                self.configure(now, data.invoke_id, told)
            }
            // only a configuration that is confirmed can be told: anything else is against the rules
            _ if self.state == State::Configuring => Ok(self.abort(AbortReason::Undefined)),
            (operation::EVENT | operation::CONFIRMED_EVENT, Body::Event(told)) => {
                self.hear_event(now, data.invoke_id, confirmed, told)
            }
            (operation::GET | operation::CONFIRMED_SET | operation::CONFIRMED_ACTION, _) => {
                Ok(vec![write(apdu::error(data.invoke_id, NO_SUCH_OBJECT))])
            }
            (operation::SET | operation::ACTION, _) => Ok(Vec::new()),
            _ => self.answered(now, data),
        }
    }

    fn configure(&mut self, now: Timestamp, invoke_id: u16, told: &Event<'_>) -> Result<Vec<Output>, DecodeError> {
        if self.state == State::Operating {
            return Ok(vec![write(apdu::error(invoke_id, NOT_ALLOWED))]);
        }
        let configuration = Configuration::parse(told.info)?;
        let (id, useful) = (configuration.id, configuration.is_useful());
        if useful {
            self.remember(configuration);
            self.enter(now, State::Operating);
        } else {
            // it may have another one
            self.enter(now, State::Configuring);
        }
        Ok(vec![write(apdu::event_result(invoke_id, told, &configuration::reply(id, useful)))])
    }

    fn hear_event(
        &mut self,
        now: Timestamp,
        invoke_id: u16,
        confirmed: bool,
        told: &Event<'_>,
    ) -> Result<Vec<Output>, DecodeError> {
        self.reported_at = Some(now);
        self.known.room = self.room(now);
        if told.kind == event::SEGMENT_DATA {
            return self.stored(now, invoke_id, confirmed, told);
        }
        let Some(report) = Report::parse(told.kind, told.handle, told.info)? else {
            let refusal = write(apdu::error(invoke_id, NOT_ALLOWED));
            return Ok(confirmed.then_some(refusal).into_iter().collect());
        };
        let at = Some(told.time).filter(|time| *time != NO_RELATIVE_TIME);
        let Said { measured, unknown } = self.known.report(&report, at)?;
        let nothing_known = !unknown.is_empty() && unknown.len() == report.observations.len();
        let mut outputs = self.hand_on(now, told.handle, measured);
        outputs.extend(unknown.first().map(|handle| unknown_object(*handle, told.info)));
        if confirmed {
            outputs.push(write(match nothing_known {
                true => apdu::error(invoke_id, NO_SUCH_OBJECT),
                false => apdu::event_result(invoke_id, told, &[]),
            }));
        }
        Ok(outputs)
    }

    /// A spot check is a measurement; a stream of oximetry becomes one.
    fn hand_on(&mut self, now: Timestamp, scanner: u16, measured: Vec<Measured>) -> Vec<Output> {
        let measured = self.of_user(measured);
        let is_timed = measured.iter().any(|one| one.device_time.is_some());
        if self.is_stream() && (scanner != 0 || !is_timed) {
            return self.settle.sample(now, measured);
        }
        self.say(now, measured)
    }

    fn say(&mut self, now: Timestamp, measured: Vec<Measured>) -> Vec<Output> {
        if !measured.is_empty() {
            self.sitting.heard(now);
        }
        measured.into_iter().map(Output::Measured).collect()
    }

    /// Measurements of other people, of devices that tell them apart, are nobody's business here.
    fn of_user(&self, mut measured: Vec<Measured>) -> Vec<Measured> {
        if let Some(user) = self.user {
            let ours = format!("user_{user}");
            let others = |flag: &str| flag.starts_with("user_") && flag != ours;
            measured.retain(|one| !one.flags.iter().any(|flag| others(flag.as_str())));
        }
        measured
    }

    /// Does it measure oxygen saturation, and not as a spot check?
    fn is_stream(&self) -> bool {
        self.known.configuration.as_ref().is_some_and(|of| of.is_stream_of(Vital::Spo2))
    }

    fn stored(
        &mut self,
        now: Timestamp,
        invoke_id: u16,
        confirmed: bool,
        told: &Event<'_>,
    ) -> Result<Vec<Output>, DecodeError> {
        let (measured, confirmation) = self.stores.hear(now, told, &self.known)?;
        let measured = self.of_user(measured);
        let mut outputs = self.say(now, measured);
        if confirmed {
            outputs.push(write(apdu::event_result(invoke_id, told, &confirmation)));
        }
        Ok(outputs)
    }

    fn answered(&mut self, now: Timestamp, data: &Data<'_>) -> Result<Vec<Output>, DecodeError> {
        let Some(asked) = self.asked.take_if(|asked| asked.invoke_id == data.invoke_id) else {
            let (found, wanted) = (data.invoke_id.into(), "the one that was asked with");
            return Err(DecodeError::Malformed { what: apdu::WHAT, field: "invoke id", found, wanted });
        };
        match (asked.what, &data.body) {
            (Ask::Description, Body::Attributes(attributes)) => self.described(now, attributes),
            (Ask::SetClock, Body::Action(_)) => Ok(vec![Output::ClockSet]),
            (Ask::Segments(store), Body::Action(result)) => {
                let follows = self.stores.listed(store, result.info, self.user)?;
                self.todo.extend(follows);
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

    fn room(&self, now: Timestamp) -> Option<DateTime> {
        let (began, local) = self.began?;
        local.checked_add(now.duration_since(began)).ok()
    }

    /// Asks for the next thing, if nothing is being waited for.
    fn ask_next(&mut self, now: Timestamp) -> Vec<Output> {
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
    fn quiet_at(&self) -> Option<Timestamp> {
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
            Ask::Segments(store) => apdu::action(id, *store, action::SEGMENT_INFO, &super::pmstore::all_segments()),
            Ask::Transfer(store, segment) => apdu::action(id, *store, action::TRANSFER_SEGMENT, &segment.to_be_bytes()),
            Ask::Clear(store, segments) => {
                apdu::action(id, *store, action::CLEAR_SEGMENTS, &super::pmstore::these_segments(segments))
            }
        })
    }

    /// What has been waited for in vain.
    fn give_up(&mut self, now: Timestamp) -> Vec<Output> {
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

fn write(bytes: Vec<u8>) -> Output {
    Output::Write { channel: Channel::Line, bytes }
}

fn unknown_object(handle: u16, info: &[u8]) -> Output {
    let (found, wanted) = (handle.into(), "one of its configuration");
    let error = DecodeError::Malformed { what: "20601 report", field: "object", found, wanted };
    Output::Refused { error, bytes: info.to_vec() }
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

impl Session for Manager {
    fn connected(&mut self, now: Timestamp, local: DateTime) -> Vec<Output> {
        self.began = Some((now, local));
        Vec::new()
    }

    fn received(&mut self, now: Timestamp, _channel: Channel, bytes: &[u8]) -> Vec<Output> {
        self.stream.push(now, bytes);
        self.read(now, false)
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        let asked = self.asked.as_ref().and_then(|asked| asked.until);
        let conversation = [self.configured_until, asked, self.stores.until()];
        let quiet = if self.asked.is_none() && !self.stores.is_transferring() { self.quiet_at() } else { None };
        let others = [quiet, self.stream.rest_until(), self.settle.silent_at(), self.sitting.ends_at()];
        conversation.into_iter().chain(others).flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let late = self.stream.rest_until().is_some_and(|until| until <= now);
        let mut outputs = self.give_up(now);
        outputs.extend(self.read(now, late));
        outputs.extend(self.ask_next(now));
        outputs.extend(self.settle.timed_out(now));
        outputs.extend(self.sitting.end_if_due(now));
        outputs
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.stream.close(&mut outputs);
        outputs.extend(self.end());
        outputs
    }

    fn kept(&mut self, now: Timestamp) -> Vec<Output> {
        let stores = self.stores.kept();
        self.todo.extend(stores.into_iter().map(Ask::Segments));
        self.ask_next(now)
    }

    fn understands(&self) -> Option<bool> {
        self.stream.heard.understands()
    }
}

#[cfg(test)]
mod tests;
