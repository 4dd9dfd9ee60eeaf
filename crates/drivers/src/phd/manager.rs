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

mod asking;

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use vitals::Vital;

use super::{
    apdu::{self, AbortReason, Apdu, Body, Data, Event, operation},
    association::{self, Request, Verdict},
    codes::event,
    configuration::{self, Configuration},
    known::{Known, Said},
    report::Report,
    stores::Stores,
    stream::Stream,
    time::NO_RELATIVE_TIME,
};
pub use asking::Ask;
use asking::Asked;

use crate::{Channel, DecodeError, Measured, Options, Output, Session, gatt::Sitting, settle::Settle};

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

    fn room(&self, now: Timestamp) -> Option<DateTime> {
        let (began, local) = self.began?;
        local.checked_add(now.duration_since(began)).ok()
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

    /// An agent associates when it has measured, and is released after it.
    fn speaks_by_itself(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
