//! One home: a simulated person and the devices, with faults on command and the truth as JSON lines.

pub mod command;
pub mod fault;
pub mod timeline;
pub mod truth;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use self::{
    command::{Command, measures},
    fault::Fault,
    timeline::Timeline,
    truth::Teller,
};
use crate::{
    bluez::{
        Bluez, Trials,
        call::{Call, Tuning},
    },
    clock::{self, DeviceClock},
    devices::{Body, Identity, Kind, Record},
    people::Story,
    serial::{self, Port, nonin::Nonin, phd::Phd, spirometer::Sp10},
};

/// Orders that wait for a serial device, at most.
const ORDERS_MAX: usize = 512;

/// What a home wants of a device.
#[derive(Clone, Debug)]
pub enum Order {
    /// Somebody measures.
    Measure {
        /// What.
        body: Body,
        /// The measurement's number in this run.
        number: u64,
        /// The day of the story.
        story_day: Option<f64>,
        /// How long (continuous oximetry), 0 for the device's own habit.
        seconds: u32,
    },
    /// A measurement of the past, already in memory.
    Remember(Record),
    /// Something goes wrong, or right again.
    Fault(Fault),
}

/// What a home is made of.
#[derive(Debug)]
pub struct Options {
    /// Who lives there.
    pub story: Story,
    /// The seed, also of the devices' identities.
    pub seed: u64,
    /// The bus on which to play `org.bluez`.
    pub bus: Option<String>,
    /// The folder of the serial ports.
    pub serial: Option<PathBuf>,
    /// Which devices.
    pub kinds: Vec<Kind>,
    /// Days of stored measurements at the start.
    pub history_days: u32,
    /// How long a day of the story takes.
    pub day: Duration,
    /// The day of the story on which it begins.
    pub start_day: i32,
    /// Whether the story goes on by itself.
    pub live: bool,
    /// The zone of the devices' clocks.
    pub zone: TimeZone,
    /// How the Bluetooth devices behave.
    pub tuning: Tuning,
    /// What makes Bluetooth harder.
    pub trials: Trials,
}

#[derive(Debug)]
enum Handle {
    Ble(mpsc::Sender<Call>),
    Serial(mpsc::Sender<Order>),
}

impl Handle {
    async fn order(&self, order: Order) {
        // a device only goes with its home
        let _ = match self {
            Self::Ble(calls) => calls.send(Call::Order(order)).await.is_ok(),
            Self::Serial(orders) => orders.send(order).await.is_ok(),
        };
    }
}

/// A home with its devices switched on.
#[derive(Debug)]
pub struct Home {
    options: Options,
    teller: Teller,
    devices: BTreeMap<Kind, Handle>,
    described: Vec<Value>,
    #[allow(dead_code, reason = "kept so that the bus is served as long as the home is there")]
    bluez: Option<Bluez>,
    records: u64,
    /// The last finger in the Nonin: when, and on which day of the story.
    last_finger: Option<(Instant, f64)>,
}

impl Home {
    /// Switches the devices on.
    ///
    /// # Errors
    /// When the bus or a serial port can't be had.
    pub async fn start(options: Options, teller: Teller) -> anyhow::Result<Self> {
        let bluez = match &options.bus {
            Some(address) => Some(Bluez::start(address, options.trials).await?),
            None => None,
        };
        let mut home = Self {
            options,
            teller,
            devices: BTreeMap::new(),
            described: vec![],
            bluez: None,
            records: 0,
            last_finger: None,
        };
        for kind in home.options.kinds.clone() {
            home.switch_on(kind, bluez.as_ref())?;
        }
        home.bluez = bluez;
        Ok(home)
    }

    fn switch_on(&mut self, kind: Kind, bluez: Option<&Bluez>) -> anyhow::Result<()> {
        let identity = Identity::new(kind, self.options.seed);
        let clock = DeviceClock::new(self.options.zone.clone());
        let teller = self.teller.clone();
        let handle = match (kind.ble(), kind.port_name()) {
            (Some(model), _) => {
                let Some(bluez) = bluez else { bail!("{kind} speaks Bluetooth: give --bus unix:path=...") };
                self.described.push(json!(identity));
                Handle::Ble(bluez.place(model, identity, clock, self.options.tuning, teller))
            }
            (None, Some(name)) => {
                let Some(dir) = &self.options.serial else { bail!("{kind} is on a serial line: give --serial DIR") };
                let port = Port::plugged(dir, name)
                    .with_context(|| format!("could not make the serial port {}", dir.join(name).display()))?;
                self.described.push(serial::nonin::describe(&identity, &port));
                let (orders, inbox) = mpsc::channel(ORDERS_MAX);
                match kind {
                    Kind::Nonin => drop(tokio::spawn(Nonin::new(port, identity, clock, teller).run(inbox))),
                    Kind::Spirometer => drop(tokio::spawn(Sp10::new(port, identity, clock, teller).run(inbox))),
                    _ => drop(tokio::spawn(Phd::new(port, identity, clock, teller).run(inbox))),
                }
                Handle::Serial(orders)
            }
            (None, None) => bail!("{kind} has no link"),
        };
        self.devices.insert(kind, handle);
        Ok(())
    }

    /// Lives the story until `lines` of commands end it: with `quit`, or when their sender is dropped.
    pub async fn live(mut self, mut lines: mpsc::Receiver<String>) {
        self.look_back().await;
        self.tell_ready().await;
        let mut timeline = Timeline::new(&self.options, Instant::now());
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => if !self.obey(&line, timeline.day(Instant::now())).await { break },
                    None => break,
                },
                () = sleep_until(timeline.next()) => {
                    for (day, body) in timeline.due(Instant::now()) {
                        self.measure_everywhere(body, day).await;
                    }
                }
            }
        }
        self.teller.tell(json!({ "event": "end", "records": self.records })).await;
    }

    async fn tell_ready(&self) {
        let options = &self.options;
        self.teller
            .tell(json!({
                "event": "ready", "simulated": true, "person": options.story.person().name, "seed": options.seed,
                "bus": options.bus, "devices": self.described, "at": clock::now().to_string(),
            }))
            .await;
    }

    /// Fills the memories with the days before the story.
    async fn look_back(&mut self) {
        for (real_time, day, body) in timeline::history(&self.options, clock::now()) {
            for kind in self.kinds_that_measure(&body) {
                if matches!(kind, Kind::Nonin | Kind::Nonin3230) {
                    continue; // they have no memory
                }
                self.records += 1;
                let device_time = DeviceClock::new(self.options.zone.clone()).shows(real_time);
                let (number, story_day) = (self.records, Some(day));
                let record = Record { number, body, real_time, device_time, clock_set: true, stored: true, story_day };
                self.order(kind, Order::Remember(record)).await;
            }
        }
    }

    fn kinds_that_measure(&self, body: &Body) -> Vec<Kind> {
        self.devices.keys().copied().filter(|kind| measures(*kind, body)).collect()
    }

    async fn measure_everywhere(&mut self, body: Body, day: f64) {
        for kind in self.kinds_that_measure(&body) {
            if kind != Kind::Nonin || self.finger_is_free(day) {
                self.measure(kind, body, Some(day), 0).await;
            }
        }
    }

    /// A stream tells two sittings apart by the finger that was out between them, so days that pass too fast for that share one. The second
    /// try of a cold finger belongs to its first.
    fn finger_is_free(&mut self, day: f64) -> bool {
        let now = Instant::now();
        let same_sitting = |(_, of): (Instant, f64)| (of - day).abs() < f64::EPSILON;
        let rested = |(since, _): (Instant, f64)| now - since >= serial::nonin::SITTINGS_APART;
        let free = self.last_finger.is_none_or(|last| same_sitting(last) || rested(last));
        if free {
            self.last_finger = Some((now, day));
        }
        free
    }

    async fn measure(&mut self, kind: Kind, body: Body, story_day: Option<f64>, seconds: u32) {
        self.records += 1;
        self.order(kind, Order::Measure { body, number: self.records, story_day, seconds }).await;
    }

    async fn order(&self, kind: Kind, order: Order) {
        if let Some(device) = self.devices.get(&kind) {
            device.order(order).await;
        }
    }

    /// False when the line says to quit.
    async fn obey(&mut self, line: &str, day: f64) -> bool {
        if line.trim().is_empty() {
            return true;
        }
        let command = match command::read(line, &self.options.story, day) {
            Ok(command) => command,
            Err(error) => {
                self.refuse(line, &error.to_string()).await;
                return true;
            }
        };
        let (Command::Measure { kind, .. }
        | Command::Fault { kind, .. }
        | Command::Trouble { kind, .. }
        | Command::Inspect { kind }) = command
        else {
            return false;
        };
        if !self.devices.contains_key(&kind) {
            self.refuse(line, &format!("this home has no {kind}")).await;
            return true;
        }
        match command {
            Command::Measure { body, seconds, .. } => self.measure(kind, body, None, seconds).await,
            Command::Fault { fault, .. } => {
                self.teller.tell(json!({ "event": "fault", "device": kind, "fault": fault })).await;
                self.order(kind, Order::Fault(fault)).await;
            }
            Command::Trouble { trouble, .. } => {
                let told = json!({ "event": "fault", "device": kind, "fault": trouble });
                self.call(line, kind, Call::Trouble(trouble), Some(told)).await;
            }
            Command::Inspect { .. } => self.call(line, kind, Call::Inspect, None).await,
            Command::Quit => return false,
        }
        true
    }

    /// What only Bluetooth devices understand, after telling it.
    async fn call(&self, line: &str, kind: Kind, call: Call, told: Option<Value>) {
        let Some(Handle::Ble(calls)) = self.devices.get(&kind) else {
            return self.refuse(line, &format!("{kind} is on a serial line, want a Bluetooth device")).await;
        };
        if let Some(told) = told {
            self.teller.tell(told).await;
        }
        // a device only goes with its home
        let _ = calls.send(call).await;
    }

    async fn refuse(&self, line: &str, why: &str) {
        self.teller.tell(json!({ "event": "refused", "command": line, "why": why })).await;
    }
}
