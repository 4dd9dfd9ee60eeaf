//! A Nonin oximeter on its cable: it streams whenever a host listens, finger or not.

use std::time::Duration;

use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use super::Port;
use crate::{
    clock::{self, DeviceClock},
    devices::{
        Body, Identity, Record,
        nonin::{FRAME_BYTES, Sensor, packet},
    },
    home::{Order, fault::Fault, truth::Teller},
};

/// Three frames of 75 a second.
const TICK: Duration = Duration::from_millis(40);
const FRAMES_A_TICK: usize = 3;
const DISPLAY_LASTS: Duration = Duration::from_secs(10);
/// How long the finger stays in when the home does not say: over four seconds, which is what a running average takes to settle, and short
/// enough that it is out for three before the next story day of eight.
const FINGER_IN: Duration = Duration::from_millis(4600);
/// How soon after a finger another one can be told from it.
pub const SITTINGS_APART: Duration = Duration::from_millis(7500);

/// The device and its state.
#[derive(Debug)]
pub struct Nonin {
    port: Port,
    identity: Identity,
    clock: DeviceClock,
    teller: Teller,
    finger: Option<(Record, Instant)>,
    shown: Option<(Body, Instant)>,
    line: Vec<u8>,
    packets: u16,
    told: bool,
    armed: Option<Fault>,
}

impl Nonin {
    /// On this port.
    #[must_use]
    pub fn new(port: Port, identity: Identity, clock: DeviceClock, teller: Teller) -> Self {
        let (finger, shown, line) = (None, None, Vec::new());
        Self { port, identity, clock, teller, finger, shown, line, packets: 0, told: false, armed: None }
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
            Order::Measure { body, number, story_day, seconds } => {
                let now = clock::now();
                let device_time = self.clock.stamp(now);
                let record =
                    Record { number, body, real_time: now, device_time, clock_set: true, stored: false, story_day };
                self.teller.measured(&self.identity, &record).await;
                let finger_in = if seconds == 0 { FINGER_IN } else { Duration::from_secs(seconds.into()) };
                self.finger = Some((record, Instant::now() + finger_in));
                self.told = false;
            }
            Order::Remember(_) => {}
            Order::Fault(fault) => self.go_wrong(fault).await,
        }
    }

    async fn go_wrong(&mut self, fault: Fault) {
        match fault {
            Fault::Unplug | Fault::Disconnect => self.unplug().await,
            Fault::Replug | Fault::Clear => {
                self.armed = None;
                if let Err(error) = self.port.plug() {
                    tracing::error!(%error, "could not plug the Nonin in again");
                }
            }
            Fault::DisconnectMidFrame | Fault::Garbage | Fault::Truncate => self.armed = Some(fault),
            Fault::NeverResolve | Fault::RefuseWrites | Fault::Clock { .. } | Fault::ClockLost => {}
            Fault::RefusedFirst | Fault::Unconfirmed => {}
        }
    }

    async fn unplug(&mut self) {
        self.port.unplug();
        self.line.clear();
        self.teller.happened("unplugged", &self.identity).await;
    }

    async fn tick(&mut self) {
        self.look_at_the_finger();
        if !self.port.is_open() {
            self.line.clear();
            return;
        }
        let mut commands = [0; 64];
        // format 2 is what it always sends: it takes no command
        let _ = self.port.read(&mut commands);
        if self.line.len() < FRAMES_A_TICK * FRAME_BYTES {
            self.next_packet().await;
        }
        match self.armed.take() {
            Some(Fault::Garbage) => drop(self.port.write(&[0xff, 0x01, 0x5a, 0x81, 0x00, 0x01, 0x7e])),
            Some(Fault::Truncate) => drop(self.line.drain(..2)),
            Some(Fault::DisconnectMidFrame) => {
                self.port.write(&self.line[..FRAME_BYTES / 2]);
                return self.unplug().await;
            }
            _ => {}
        }
        let chunk: Vec<u8> = self.line.drain(..(FRAMES_A_TICK * FRAME_BYTES).min(self.line.len())).collect();
        self.port.write(&chunk);
    }

    fn look_at_the_finger(&mut self) {
        let now = Instant::now();
        if let Some((record, _)) = self.finger.take_if(|(_, until)| *until <= now) {
            self.shown = Some((record.body, now + DISPLAY_LASTS));
        }
        self.shown.take_if(|(_, until)| *until <= now);
    }

    async fn next_packet(&mut self) {
        let sensor = match (&self.finger, &self.shown) {
            (Some((record, _)), _) => Sensor::Finger(record.body),
            (None, Some((body, _))) => Sensor::JustOut(*body),
            (None, None) => Sensor::Empty,
        };
        self.packets = self.packets.wrapping_add(1);
        let bytes = packet(sensor, self.packets);
        if let Some((record, _)) = self.finger.as_ref().filter(|_| !self.told) {
            self.teller.sent(&self.identity, record, &bytes, 1).await;
            self.told = true;
        }
        self.line.extend(bytes);
    }
}

/// What the ready line says of a port.
#[must_use]
pub fn describe(identity: &Identity, port: &Port) -> serde_json::Value {
    json!({ "device": identity.kind, "name": identity.name, "serial": identity.serial, "port": port.path() })
}
