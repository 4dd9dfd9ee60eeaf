//! A Bluetooth device as it behaves: it measures, advertises for a while, is connected, sends what it holds oldest first once somebody
//! has subscribed, and hangs up by itself.
//!
//! What was sent is forgotten only when the sitting ended well (the device hung up, or the host said goodbye). After a lost link or a
//! vanished host all of it is sent again, as real cuffs do: a kit has to tell repetitions by the device's own time. Devices with a record
//! access control point send what is stored when they are asked (`requests.rs`), and forget it when they are told to.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    BluezError,
    call::{Call, Reply, Tuning},
    gatt::Live,
    radio::Radio,
    trouble::Armed,
};
use crate::{
    clock::{self, DeviceClock},
    devices::{BleModel, Body, Identity, Kept, Memory, Record, racp},
    home::{Order, truth::Teller},
};

/// Calls to connect that wait for the device to be heard, at most.
const CONNECTS_MAX: usize = 8;

/// Records that a device's memory holds; the oldest goes when it is full.
pub const MEMORY_RECORDS_MAX: usize = 250;

const ADVERTISE_EVERY: Duration = Duration::from_millis(400);
/// Advertisements that carry one measurement, of a device that is never connected to.
const BROADCASTS: u32 = 12;
pub(super) const RESOLVE_AFTER: Duration = Duration::from_millis(120);
pub(super) const FIRST_VALUE_AFTER: Duration = Duration::from_millis(100);
pub(super) const VALUE_EVERY: Duration = Duration::from_millis(40);
pub(super) const IDLE_HANG_UP_AFTER: Duration = Duration::from_secs(20);
/// BlueZ gives up an LE connection about as late; clients wait 30 s for their call.
const CONNECT_GIVEN_UP_AFTER: Duration = Duration::from_secs(20);
pub(super) const NEVER: Duration = Duration::from_secs(86_400);

#[derive(Debug)]
pub(super) enum State {
    Asleep,
    Advertising { until: Instant },
    Connected(Step),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Resolving,
    Idle,
    Sending,
    Lingering,
}

/// A report that goes on.
#[derive(Debug)]
pub(super) struct Report {
    /// The numbers of the records to come.
    pub(super) left: VecDeque<u64>,
    pub(super) sent: usize,
}

/// One device.
#[derive(Debug)]
pub struct Firmware {
    pub(super) model: &'static BleModel,
    pub(super) identity: Identity,
    pub(super) clock: DeviceClock,
    pub(super) tuning: Tuning,
    pub(super) radio: Radio,
    pub(super) teller: Teller,
    pub(super) memory: VecDeque<Kept>,
    pub(super) attempts: u32,
    /// What is being measured, and the values of its stream that are to come.
    pub(super) live_body: Option<(Body, u32)>,
    /// The report that was asked for.
    pub(super) report: Option<Report>,
    /// It may send: the host has told it what it must be told first.
    pub(super) open: bool,
    pub(super) state: State,
    pub(super) next: Instant,
    connecting: Vec<(Instant, Reply<()>)>,
    pub(super) armed: Armed,
    advertisements: u32,
}

impl Firmware {
    pub(super) fn new(
        model: &'static BleModel,
        identity: Identity,
        clock: DeviceClock,
        tuning: Tuning,
        radio: Radio,
        teller: Teller,
    ) -> Self {
        Self {
            model,
            identity,
            clock,
            tuning,
            radio,
            teller,
            memory: VecDeque::new(),
            attempts: 0,
            live_body: None,
            report: None,
            open: !model.control.as_ref().is_some_and(|control| control.opens),
            state: State::Asleep,
            next: Instant::now() + NEVER,
            connecting: Vec::new(),
            armed: Armed::default(),
            advertisements: 0,
        }
    }

    /// Lives until its home is gone.
    pub async fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        loop {
            let done = tokio::select! {
                call = calls.recv() => match call {
                    Some(call) => self.take(call).await,
                    None => break,
                },
                () = sleep_until(self.next) => self.tick().await,
            };
            if let Err(error) = done {
                tracing::warn!(device = self.identity.kind.name(), %error, "the bus refused");
            }
        }
        if let Err(error) = self.radio.vanish().await {
            tracing::debug!(%error, "the bus was gone first");
        }
    }

    async fn take(&mut self, call: Call) -> zbus::Result<()> {
        match call {
            Call::Connect { reply } => return self.asked_to_connect(reply).await,
            Call::Disconnect { reply } => return self.asked_to_disconnect(reply).await,
            Call::Read { live, reply } => drop(reply.send(self.read(&live))),
            Call::Write { live, value, reply } => return self.written(&live, &value, reply).await,
            Call::StartNotify { live, client, reply } => return self.subscribed(&live, client, reply).await,
            Call::StopNotify { live, client, reply } => return self.unsubscribed(&live, &client, reply).await,
            Call::ClientGone(client) => self.lost(&client),
            Call::Order(order) => return self.ordered(order).await,
            Call::Trouble(trouble) => return self.make_trouble(trouble).await,
            Call::Inspect => self.inspected().await,
        }
        Ok(())
    }

    async fn ordered(&mut self, order: Order) -> zbus::Result<()> {
        match order {
            Order::Measure { body, number, story_day, seconds } => self.measure(body, number, story_day, seconds).await,
            Order::Remember(record) => {
                self.teller.measured(&self.identity, &record).await;
                self.keep(record);
                self.wake();
            }
            Order::Fault(fault) => return self.go_wrong(fault).await,
        }
        Ok(())
    }

    async fn tick(&mut self) -> zbus::Result<()> {
        self.give_up_connecting();
        match self.state {
            State::Asleep if !self.memory.is_empty() => {
                self.wake();
                Ok(())
            }
            State::Asleep => {
                self.next = Instant::now() + NEVER;
                Ok(())
            }
            State::Advertising { until } if Instant::now() >= until => self.sleep().await,
            State::Advertising { .. } => self.advertise().await,
            State::Connected(Step::Resolving) => self.resolve().await,
            State::Connected(Step::Sending) => self.send_next().await,
            State::Connected(Step::Idle) => self.hang_up(false, "hung_up_idle").await,
            State::Connected(Step::Lingering) => self.finish().await,
        }
    }

    // advertising

    pub(super) fn wake(&mut self) {
        match self.state {
            State::Connected(Step::Lingering) => self.go_on(Step::Sending, VALUE_EVERY),
            State::Connected(_) => {}
            State::Asleep | State::Advertising { .. } if self.armed.vanished => {}
            State::Asleep | State::Advertising { .. } => {
                let now = Instant::now();
                self.state = State::Advertising { until: now + self.tuning.advertise_for };
                self.next = now;
            }
        }
    }

    async fn advertise(&mut self) -> zbus::Result<()> {
        self.advertisements = self.advertisements.wrapping_add(1);
        let flutter = i16::try_from(self.advertisements * 7 % 11).expect("less than 11");
        if self.model.only_advertises() {
            return self.broadcast(-62 - flutter).await;
        }
        self.radio.advertise(-62 - flutter).await?;
        self.next = Instant::now() + ADVERTISE_EVERY;
        if !self.connecting.is_empty() {
            return self.link_up().await;
        }
        Ok(())
    }

    /// What it measured is said [`BROADCASTS`] times to whoever listens, and then forgotten.
    async fn broadcast(&mut self, rssi: i16) -> zbus::Result<()> {
        let Some(kept) = self.memory.front().cloned() else { return self.sleep().await };
        let data = (self.model.frames)(&kept).pop().map(|(_, data)| data);
        self.next = Instant::now() + ADVERTISE_EVERY;
        if let Some(data) = data.filter(|_| self.radio.heard()) {
            self.radio.broadcast(rssi, data.clone()).await?;
            self.attempts += 1;
            if self.attempts == 1 {
                self.teller.sent(&self.identity, &kept.record, &data, self.attempts).await;
            }
        }
        if self.attempts >= BROADCASTS {
            self.attempts = 0;
            self.memory.pop_front();
        }
        Ok(())
    }

    async fn sleep(&mut self) -> zbus::Result<()> {
        self.state = State::Asleep;
        self.next = Instant::now() + if self.memory.is_empty() { NEVER } else { self.tuning.rest_for };
        if let Some(first) = self.connecting.iter().map(|(deadline, _)| *deadline).min() {
            self.next = self.next.min(first);
        }
        self.radio.fall_silent().await
    }

    // connecting

    async fn asked_to_connect(&mut self, reply: Reply<()>) -> zbus::Result<()> {
        if self.radio.connected() {
            drop(reply.send(Ok(())));
            return Ok(());
        }
        if self.connecting.len() >= CONNECTS_MAX {
            drop(reply.send(Err(BluezError::InProgress("Operation already in progress".into()))));
            return Ok(());
        }
        let deadline = Instant::now() + CONNECT_GIVEN_UP_AFTER;
        self.connecting.push((deadline, reply));
        if matches!(self.state, State::Advertising { .. }) {
            return self.link_up().await;
        }
        self.next = self.next.min(deadline);
        Ok(())
    }

    fn give_up_connecting(&mut self) {
        let now = Instant::now();
        let (late, waiting) =
            std::mem::take(&mut self.connecting).into_iter().partition(|(deadline, _)| *deadline <= now);
        self.connecting = waiting;
        let late: Vec<_> = late;
        for (_, reply) in late {
            drop(reply.send(Err(BluezError::Failed("le-connection-abort-by-local".into()))));
        }
    }

    async fn link_up(&mut self) -> zbus::Result<()> {
        self.radio.connect().await?;
        self.attempts += 1;
        for (_, reply) in self.connecting.drain(..) {
            drop(reply.send(Ok(())));
        }
        self.teller.happened("connected", &self.identity).await;
        if self.armed.never_resolve {
            self.go_on(Step::Idle, IDLE_HANG_UP_AFTER);
        } else {
            self.go_on(Step::Resolving, self.armed.resolve_after.unwrap_or(RESOLVE_AFTER));
        }
        Ok(())
    }

    async fn resolve(&mut self) -> zbus::Result<()> {
        self.radio.resolve().await?;
        self.go_on(Step::Idle, IDLE_HANG_UP_AFTER);
        Ok(())
    }

    pub(super) fn go_on(&mut self, step: Step, after: Duration) {
        self.state = State::Connected(step);
        self.next = Instant::now() + after;
    }

    async fn asked_to_disconnect(&mut self, reply: Reply<()>) -> zbus::Result<()> {
        for (_, waiting) in self.connecting.drain(..) {
            drop(waiting.send(Err(BluezError::Failed("Operation was cancelled".into()))));
        }
        let done = if self.radio.connected() { self.hang_up(true, "host_hung_up").await } else { Ok(()) };
        drop(reply.send(Ok(())));
        done
    }

    /// Ends the link. What was sent is forgotten when the sitting ended well, but for what is stored to be asked for.
    pub(super) async fn hang_up(&mut self, well: bool, event: &str) -> zbus::Result<()> {
        let is_asked = self.model.memory != Memory::Pushed;
        if well {
            self.memory.retain(|kept| !kept.sent || (is_asked && kept.record.stored));
            self.attempts = 0;
        }
        self.live_body = None;
        self.report = None;
        self.open = !self.model.control.as_ref().is_some_and(|control| control.opens);
        self.radio.disconnect().await?;
        self.teller.happened(event, &self.identity).await;
        for kept in &mut self.memory {
            kept.sent = false;
            kept.record.stored = true;
        }
        self.state = State::Asleep;
        if self.memory.is_empty() {
            return self.sleep().await;
        }
        self.wake();
        Ok(())
    }

    /// All was sent: ends well if somebody still listens.
    async fn finish(&mut self) -> zbus::Result<()> {
        let heard = self.radio.characteristic(self.model.measurement).is_some_and(|live| live.notifying());
        self.hang_up(heard, if heard { "hung_up" } else { "host_lost" }).await
    }

    // values

    async fn subscribed(&mut self, live: &Arc<Live>, client: String, reply: Reply<()>) -> zbus::Result<()> {
        if !self.radio.connected() {
            drop(reply.send(Err(BluezError::NotConnected("Not Connected".into()))));
            return Ok(());
        }
        if self.radio.wants_bond() {
            let error = "Operation failed with ATT error: 0x05 (insufficient authentication)";
            drop(reply.send(Err(BluezError::NotPermitted(error.into()))));
            return Ok(());
        }
        let done = live.subscribe(client);
        let ok = done.is_ok();
        drop(reply.send(done));
        if !ok {
            return Ok(());
        }
        self.radio.show_notifying(live).await?;
        let stream = self.model.stream.as_ref().map(|stream| stream.characteristic);
        if [Some(self.model.measurement), stream].contains(&Some(live.described.uuid)) {
            self.begin_to_send();
        }
        Ok(())
    }

    /// Soon, if it is connected and may.
    pub(super) fn begin_to_send(&mut self) {
        if self.open && matches!(self.state, State::Connected(Step::Idle)) {
            self.go_on(Step::Sending, FIRST_VALUE_AFTER);
        }
    }

    async fn unsubscribed(&mut self, live: &Live, client: &str, reply: Reply<()>) -> zbus::Result<()> {
        let was = live.unsubscribe(client);
        drop(reply.send(if was { Ok(()) } else { Err(BluezError::Failed("No notify session started".into())) }));
        if was { self.radio.show_notifying(live).await } else { Ok(()) }
    }

    /// A client died. If it was the one that listened, the link soon ends, and nothing counts as sent.
    fn lost(&mut self, client: &str) {
        let listened = self.radio.forget(client);
        let alone = self.radio.characteristic(self.model.measurement).is_some_and(|live| !live.notifying());
        if listened && alone && self.radio.connected() {
            self.go_on(Step::Lingering, self.tuning.linger);
        }
    }

    // measuring

    async fn measure(&mut self, body: Body, number: u64, story_day: Option<f64>, seconds: u32) {
        let now = clock::now();
        let record = Record {
            number,
            body,
            real_time: now,
            device_time: self.clock.stamp(now),
            clock_set: self.clock.is_set(),
            stored: self.model.stores_at_once(),
            story_day,
        };
        self.teller.measured(&self.identity, &record).await;
        for older in &mut self.memory {
            older.record.stored = true;
        }
        self.live_body = self.model.stream.as_ref().and_then(|stream| stream.of(body, seconds));
        self.keep(record);
        self.wake();
    }

    fn keep(&mut self, record: Record) {
        if self.memory.len() >= MEMORY_RECORDS_MAX {
            self.memory.pop_front();
        }
        self.memory.push_back(Kept::new(record));
    }

    /// The numbers of what is stored, oldest first.
    pub(super) fn stored(&self) -> Vec<u64> {
        self.memory.iter().filter(|kept| kept.record.stored).map(|kept| kept.record.number).collect()
    }

    /// Does somebody ask it for records?
    pub(super) fn is_asked(&self) -> bool {
        self.radio.characteristic(racp::POINT).is_some_and(|live| live.notifying())
    }
}
