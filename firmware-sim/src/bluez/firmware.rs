//! A Bluetooth device as it behaves: it measures, advertises for a while, is connected, sends what it holds oldest first once somebody
//! has subscribed, and hangs up by itself.
//!
//! What was sent is forgotten only when the sitting ended well (the device hung up, or the host said goodbye). After a lost link or a
//! vanished host all of it is sent again, as real cuffs do: a kit has to tell repetitions by the device's own time.

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
};
use crate::{
    clock::{self, DeviceClock},
    devices::{BleModel, Body, Identity, Record, oximeter},
    home::{Order, fault::Fault, truth::Teller},
};

/// Calls to connect that wait for the device to be heard, at most.
const CONNECTS_MAX: usize = 8;

/// Records that a device's memory holds; the oldest goes when it is full.
pub const MEMORY_RECORDS_MAX: usize = 250;

const ADVERTISE_EVERY: Duration = Duration::from_millis(400);
/// Advertisements that carry one measurement, of a device that is never connected to.
const BROADCASTS: u32 = 12;
const RESOLVE_AFTER: Duration = Duration::from_millis(120);
const FIRST_VALUE_AFTER: Duration = Duration::from_millis(100);
const VALUE_EVERY: Duration = Duration::from_millis(40);
const CONTINUOUS_EVERY: Duration = Duration::from_secs(1);
const IDLE_HANG_UP_AFTER: Duration = Duration::from_secs(20);
/// BlueZ gives up an LE connection about as late; clients wait 30 s for their call.
const CONNECT_GIVEN_UP_AFTER: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_secs(86_400);

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

/// What is to go wrong with the next values.
#[derive(Debug, Default)]
pub(super) struct Armed {
    pub(super) garbage: bool,
    pub(super) truncate: bool,
    pub(super) cut_after_value: bool,
    pub(super) cut_in_value: bool,
    pub(super) never_resolve: bool,
    pub(super) refuse_writes: bool,
    pub(super) vanished: bool,
}

/// One device.
#[derive(Debug)]
pub struct Firmware {
    model: &'static BleModel,
    identity: Identity,
    pub(super) clock: DeviceClock,
    pub(super) tuning: Tuning,
    pub(super) radio: Radio,
    teller: Teller,
    pub(super) memory: VecDeque<Record>,
    pub(super) sent: usize,
    attempts: u32,
    live_body: Option<(Body, u32)>,
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
            sent: 0,
            attempts: 0,
            live_body: None,
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

    fn wake(&mut self) {
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
        let Some(record) = self.memory.front().cloned() else { return self.sleep().await };
        let data = (self.model.encode)(&record);
        self.next = Instant::now() + ADVERTISE_EVERY;
        if let Some(data) = data.filter(|_| self.radio.heard()) {
            self.radio.broadcast(rssi, data.clone()).await?;
            self.attempts += 1;
            if self.attempts == 1 {
                self.teller.sent(&self.identity, &record, &data, self.attempts).await;
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
            self.go_on(Step::Resolving, RESOLVE_AFTER);
        }
        Ok(())
    }

    async fn resolve(&mut self) -> zbus::Result<()> {
        self.radio.resolve().await?;
        self.go_on(Step::Idle, IDLE_HANG_UP_AFTER);
        Ok(())
    }

    fn go_on(&mut self, step: Step, after: Duration) {
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

    /// Ends the link. What was sent is forgotten when the sitting ended well.
    async fn hang_up(&mut self, well: bool, event: &str) -> zbus::Result<()> {
        if well {
            self.memory.drain(..self.sent.min(self.memory.len()));
            self.attempts = 0;
        }
        self.sent = 0;
        self.live_body = None;
        self.radio.disconnect().await?;
        self.teller.happened(event, &self.identity).await;
        for record in &mut self.memory {
            record.stored = true;
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
        if [self.model.measurement, oximeter::CONTINUOUS].contains(&live.described.uuid)
            && matches!(self.state, State::Connected(Step::Idle))
        {
            self.go_on(Step::Sending, FIRST_VALUE_AFTER);
        }
        Ok(())
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

    pub(super) async fn send_next(&mut self) -> zbus::Result<()> {
        if self.send_continuous().await? {
            return Ok(());
        }
        let live = self.radio.characteristic(self.model.measurement).cloned();
        let Some(live) = live.filter(|live| live.notifying()) else {
            self.go_on(Step::Idle, IDLE_HANG_UP_AFTER);
            return Ok(());
        };
        let Some(record) = self.memory.get(self.sent).cloned() else {
            self.go_on(Step::Lingering, self.tuning.linger);
            return Ok(());
        };
        let Some(bytes) = (self.model.encode)(&record) else {
            self.memory.remove(self.sent);
            return Ok(());
        };
        if self.spoil(&live, &bytes).await? {
            return Ok(());
        }
        self.radio.send(&live, &bytes).await?;
        self.teller.sent(&self.identity, &record, &bytes, self.attempts).await;
        self.sent += 1;
        if std::mem::take(&mut self.armed.cut_after_value) {
            return self.hang_up(false, "link_lost").await;
        }
        self.next = Instant::now() + VALUE_EVERY;
        Ok(())
    }

    /// While the finger is in: one continuous value a second, to whoever listens to it.
    async fn send_continuous(&mut self) -> zbus::Result<bool> {
        let Some((body, seconds)) = self.live_body.filter(|(_, seconds)| *seconds > 0) else { return Ok(false) };
        let live = self.radio.characteristic(oximeter::CONTINUOUS).cloned();
        let (Some(live), Some(bytes)) = (live.filter(|live| live.notifying()), oximeter::continuous(body)) else {
            return Ok(false);
        };
        self.live_body = Some((body, seconds - 1));
        self.radio.send(&live, &bytes).await?;
        self.next = Instant::now() + CONTINUOUS_EVERY;
        Ok(true)
    }

    /// The faults that are due with this value. True when the link is gone.
    async fn spoil(&mut self, live: &Live, bytes: &[u8]) -> zbus::Result<bool> {
        if std::mem::take(&mut self.armed.garbage) {
            self.radio.send(live, &[0xff, 0x5a, 0x00, 0xff, 0x81, 0x7e]).await?;
        }
        if std::mem::take(&mut self.armed.truncate) {
            self.radio.send(live, &bytes[..bytes.len() - 3]).await?;
        }
        if std::mem::take(&mut self.armed.cut_in_value) {
            self.radio.send(live, &bytes[..bytes.len() / 2]).await?;
            self.hang_up(false, "link_lost").await?;
            return Ok(true);
        }
        Ok(false)
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
            stored: false,
            story_day,
        };
        self.teller.measured(&self.identity, &record).await;
        for older in &mut self.memory {
            older.stored = true;
        }
        self.live_body = (seconds > 0).then_some((body, seconds));
        self.keep(record);
        self.wake();
    }

    fn keep(&mut self, record: Record) {
        if self.memory.len() >= MEMORY_RECORDS_MAX {
            self.memory.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
        self.memory.push_back(record);
    }

    // faults

    async fn go_wrong(&mut self, fault: Fault) -> zbus::Result<()> {
        match fault {
            Fault::Disconnect if self.radio.connected() => return self.hang_up(false, "link_lost").await,
            Fault::Disconnect => self.armed.cut_after_value = true,
            Fault::DisconnectMidFrame => self.armed.cut_in_value = true,
            Fault::Garbage => self.armed.garbage = true,
            Fault::Truncate => self.armed.truncate = true,
            Fault::RefusedFirst | Fault::Unconfirmed => {} // of IEEE 11073-20601 alone
            Fault::NeverResolve => self.armed.never_resolve = true,
            Fault::RefuseWrites => self.armed.refuse_writes = true,
            Fault::Clock { offset_seconds } => self.clock.put_off(jiff::SignedDuration::from_secs(offset_seconds)),
            Fault::ClockLost => self.clock.lose(clock::now()),
            Fault::Unplug => return self.vanish().await,
            Fault::Replug => self.come_back(),
            Fault::Clear => {
                self.armed = Armed::default();
                self.come_back();
            }
        }
        Ok(())
    }

    async fn vanish(&mut self) -> zbus::Result<()> {
        self.armed.vanished = true;
        self.sent = 0;
        self.state = State::Asleep;
        self.next = Instant::now() + NEVER;
        self.radio.vanish().await
    }

    fn come_back(&mut self) {
        self.armed.vanished = false;
        if !self.memory.is_empty() {
            self.wake();
        }
    }
}
