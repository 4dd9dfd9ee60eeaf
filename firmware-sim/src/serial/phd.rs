//! An agent of IEEE 11073-20601 on a serial line.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use super::Port;
use crate::{
    clock::{self, DeviceClock},
    devices::{
        Identity, Record,
        phd::{Agent, Misbehaviour},
    },
    home::{Order, fault::Fault, truth::Teller},
};

const TICK: Duration = Duration::from_millis(20);

/// The device on its port.
#[derive(Debug)]
pub struct Phd {
    port: Port,
    identity: Identity,
    clock: DeviceClock,
    teller: Teller,
    agent: Agent,
    was_open: bool,
    attempts: u32,
    /// The last report.
    report: Vec<u8>,
    armed: Option<Fault>,
}

impl Phd {
    /// On this port.
    #[must_use]
    pub fn new(port: Port, identity: Identity, clock: DeviceClock, teller: Teller) -> Self {
        let agent = Agent::new(identity.clone(), now());
        Self { port, identity, clock, teller, agent, was_open: false, attempts: 0, report: Vec::new(), armed: None }
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
                let real_time = clock::now();
                let (device_time, clock_set) = (self.clock.stamp(real_time), self.clock.is_set());
                self.remember(Record { number, body, real_time, device_time, clock_set, stored: false, story_day })
                    .await;
            }
            Order::Remember(record) => self.remember(record).await,
            Order::Fault(fault) => self.go_wrong(fault).await,
        }
    }

    async fn remember(&mut self, record: Record) {
        self.teller.measured(&self.identity, &record).await;
        self.agent.remember(record);
    }

    async fn go_wrong(&mut self, fault: Fault) {
        match fault {
            Fault::Unplug => self.unplug().await,
            Fault::Replug | Fault::Clear => {
                self.armed = None;
                self.agent.behave();
                if let Err(error) = self.port.plug() {
                    tracing::error!(%error, "could not plug the device in again");
                }
            }
            Fault::Disconnect | Fault::DisconnectMidFrame | Fault::Garbage | Fault::Truncate => {
                self.armed = Some(fault)
            }
            Fault::RefusedFirst => self.agent.misbehave(Misbehaviour::RefusedFirst),
            Fault::Unconfirmed => self.agent.misbehave(Misbehaviour::Unconfirmed),
            Fault::Clock { offset_seconds } => self.clock.put_off(jiff::SignedDuration::from_secs(offset_seconds)),
            Fault::ClockLost => self.clock.lose(clock::now()),
            Fault::NeverResolve | Fault::RefuseWrites => {}
        }
    }

    async fn unplug(&mut self) {
        self.port.unplug();
        self.agent.hang_up(now());
        self.teller.happened("unplugged", &self.identity).await;
    }

    async fn tick(&mut self) {
        let open = self.port.is_open();
        if self.was_open && !open {
            self.agent.hang_up(now());
            self.port.flush();
        }
        self.was_open = open;
        if !open {
            return;
        }
        let mut bytes = [0; 1024];
        let read = self.port.read(&mut bytes);
        if read > 0 {
            self.hear(&bytes[..read]).await;
        }
        let said = self.agent.tick(now());
        if !said.is_empty() {
            self.say(&said).await;
        }
    }

    async fn hear(&mut self, bytes: &[u8]) {
        let real_time = clock::now();
        let oldest = self.agent.oldest().cloned();
        let done = self.agent.hear(bytes, now(), self.clock.shows(real_time));
        if let Some(time) = done.clock_set_to {
            self.clock.set(time, real_time);
            self.teller.happened("clock_set", &self.identity).await;
        }
        if done.unconfirmed {
            tracing::info!("20601: tells its configuration unconfirmed");
        }
        if let Some(reason) = done.refused {
            tracing::info!(reason, "20601: refused_association");
            self.teller.happened("refused_association", &self.identity).await;
        }
        if let Some(record) = oldest.filter(|_| done.confirmed) {
            self.teller.sent(&self.identity, &record, &self.report, self.attempts).await;
            self.attempts = 0;
        }
        self.port.write(&done.answer);
    }

    /// What it says of its own accord is where a fault shows: the link is cut within a report.
    async fn say(&mut self, said: &[u8]) {
        let is_report = said.starts_with(&[0xe7]);
        if is_report {
            self.attempts += 1;
            self.report = said.to_vec();
        }
        match self.armed.take() {
            Some(Fault::Garbage) => {
                self.port.write(&[0xff, 0x5a, 0xe7, 0x00, 0x41]);
            }
            Some(Fault::Truncate) if is_report => {
                self.port.write(&said[..said.len() - 1]);
                return;
            }
            Some(Fault::DisconnectMidFrame) if is_report => {
                tracing::info!("20601: cut within a report");
                self.port.write(&said[..said.len() / 2]);
                return self.unplug().await;
            }
            Some(Fault::Disconnect) => return self.unplug().await,
            other => self.armed = other,
        }
        self.port.write(said);
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
