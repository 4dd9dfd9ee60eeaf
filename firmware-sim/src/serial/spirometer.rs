//! A Contec SP10 spirometer on its cable: it keeps its blows and answers when the host asks.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::Port;
use crate::{
    clock::{self, DeviceClock},
    devices::{Identity, Record, spirometer::Spirometer},
    home::{
        Order,
        fault::Fault,
        truth::{Teller, hex},
    },
};

const TICK: Duration = Duration::from_millis(20);

/// The device on its port.
#[derive(Debug)]
pub struct Sp10 {
    port: Port,
    identity: Identity,
    clock: DeviceClock,
    teller: Teller,
    device: Spirometer,
    was_open: bool,
    armed: Option<Fault>,
}

impl Sp10 {
    /// On this port.
    #[must_use]
    pub fn new(port: Port, identity: Identity, clock: DeviceClock, teller: Teller) -> Self {
        Self { port, identity, clock, teller, device: Spirometer::default(), was_open: false, armed: None }
    }

    /// Lives until its home is gone.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.take(order).await,
                    None => break,
                },
                _ = ticks.tick() => self.tick().await,
            }
        }
    }

    async fn take(&mut self, order: Order) {
        match order {
            Order::Measure { body, number, story_day, .. } => {
                let now = clock::now();
                let (device_time, clock_set) = (self.clock.stamp(now), self.clock.is_set());
                self.remember(Record {
                    number,
                    body,
                    real_time: now,
                    device_time,
                    clock_set,
                    stored: false,
                    story_day,
                })
                .await;
            }
            Order::Remember(record) => self.remember(record).await,
            Order::Fault(fault) => self.go_wrong(fault).await,
        }
    }

    async fn remember(&mut self, record: Record) {
        self.teller.measured(&self.identity, &record).await;
        self.device.remember(record);
    }

    async fn go_wrong(&mut self, fault: Fault) {
        match fault {
            Fault::Unplug => self.unplug().await,
            Fault::Replug | Fault::Clear => {
                self.armed = None;
                if let Err(error) = self.port.plug() {
                    tracing::error!(%error, "could not plug the spirometer in again");
                }
            }
            Fault::Disconnect | Fault::DisconnectMidFrame | Fault::Garbage | Fault::Truncate => {
                self.armed = Some(fault)
            }
            Fault::Clock { offset_seconds } => self.clock.put_off(jiff::SignedDuration::from_secs(offset_seconds)),
            Fault::ClockLost => self.clock.lose(clock::now()),
            Fault::NeverResolve | Fault::RefuseWrites | Fault::RefusedFirst | Fault::Unconfirmed => {}
        }
    }

    async fn unplug(&mut self) {
        self.port.unplug();
        self.device.hang_up();
        self.teller.happened("unplugged", &self.identity).await;
    }

    async fn tick(&mut self) {
        let open = self.port.is_open();
        if self.was_open && !open {
            self.device.hang_up();
            self.port.flush();
        }
        self.was_open = open;
        let mut bytes = [0; 256];
        let read = if open { self.port.read(&mut bytes) } else { 0 };
        if read > 0 {
            self.answer(&bytes[..read]).await;
        }
    }

    async fn answer(&mut self, bytes: &[u8]) {
        let done = self.device.hear(bytes);
        if let Some(time) = done.clock_set_to {
            self.clock.set(time, clock::now());
        }
        match self.armed.take() {
            Some(Fault::Garbage) => drop(self.port.write(&[0xff, 0x5a, 0x7e, 0x41])),
            Some(Fault::Truncate) if !done.answer.is_empty() => {
                self.port.write(&done.answer[..done.answer.len() - 1]);
                return;
            }
            Some(Fault::DisconnectMidFrame) if !done.answer.is_empty() => {
                self.port.write(&done.answer[..done.answer.len() / 2]);
                return self.unplug().await;
            }
            Some(Fault::Disconnect) => return self.unplug().await,
            other => self.armed = other,
        }
        self.port.write(&done.answer);
        for number in done.sent {
            if let Some(record) = self.device.record(number) {
                tracing::debug!(bytes = hex(&done.answer), "a record went out");
                self.teller.sent(&self.identity, record, &done.answer, 1).await;
            }
        }
    }
}
