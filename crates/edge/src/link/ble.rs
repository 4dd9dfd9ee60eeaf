//! Bluetooth devices, through BlueZ: hears them advertise, connects at once, fetches what they have, lets them go.
//!
//! One supervisor for each adapter; a device that several of them hear is visited by the first. Discovery is stopped while connecting,
//! since many adapters can't do both; one device is connected to at a time, and then talked to beside the others. A device that hangs up in
//! the middle of anything is ordinary. An adapter that hangs is switched off and on.

mod advertised;
#[cfg(feature = "pairing")]
mod pairing;
mod radio;
mod supervisor;
mod visit;
mod watchdog;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use btleplug::{
    api::{Central as _, Peripheral as _, ScanFilter},
    platform::Manager,
};
use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use super::{Links, turn::Turn};
use crate::{
    backoff::Backoff,
    config::{Adapters, BleDevice},
};
use advertised::Ear;
use radio::{Failure, Radio, call};
use supervisor::Supervisor;
use watchdog::Watchdog;

/// Between attempts to reach BlueZ, at first and in the end, at most.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_CAP: Duration = Duration::from_secs(30);
/// An adapter that has worked for this long works.
const WORKS_AFTER: Duration = Duration::from_secs(60);
/// How often it is looked whether there is another adapter, if all of them are to be used.
const ADAPTERS_LOOKED_AT_EVERY: Duration = Duration::from_secs(30);
/// So many failures in a row may come from a connection to the bus that is broken: then another is made. Not sooner, since the old one stays
/// open as long as the program runs.
const FAILURES_RENEW_BUS: u32 = 20;
/// Devices in range that are remembered; then all are looked at anew.
const KNOWN_MAX: usize = 1024;

/// What the supervisors of all adapters share.
struct Shared {
    links: Links,
    devices: Vec<BleDevice>,
    turns: Mutex<Vec<Turn>>,
    /// Of the devices that are never connected to.
    ears: Mutex<Vec<Option<Ear>>>,
    #[cfg(feature = "pairing")]
    bonds: pairing::Bonds,
}

impl Shared {
    fn new(links: Links, devices: Vec<BleDevice>) -> Self {
        Self {
            turns: Mutex::new(devices.iter().map(|_| Turn::default()).collect()),
            ears: Mutex::new(devices.iter().map(|device| Ear::new(&links, device)).collect()),
            #[cfg(feature = "pairing")]
            bonds: pairing::Bonds::default(),
            links,
            devices,
        }
    }
}

/// Reads the kit's Bluetooth devices until the kit stops.
pub async fn run(links: Links, adapters: Adapters, devices: Vec<BleDevice>) {
    let shared = Arc::new(Shared::new(links, devices));
    match adapters {
        Adapters::First => run_one(shared, None, "bluetooth".to_owned()).await,
        Adapters::Named(names) if names.len() == 1 => {
            run_one(shared, names.into_iter().next(), "bluetooth".to_owned()).await;
        }
        Adapters::Named(names) => {
            let mut supervisors = JoinSet::new();
            for name in names.into_iter().collect::<BTreeSet<_>>() {
                supervisors.spawn(run_one(shared.clone(), Some(name.clone()), about(&name)));
            }
            supervisors.join_all().await;
        }
        Adapters::All => run_all(shared).await,
    }
}

fn about(name: &str) -> String {
    format!("bluetooth {name}")
}

/// Also adapters that are plugged in later.
async fn run_all(shared: Arc<Shared>) {
    let (mut known, mut supervisors) = (BTreeSet::new(), JoinSet::new());
    let mut bus = Bus::default();
    while !shared.links.stop.is_cancelled() {
        let found = match bus.manager().await {
            Ok(manager) => radio::names(&manager).await,
            Err(failure) => Err(failure),
        };
        bus.note(found.is_ok());
        let problem = match &found {
            Ok(names) if names.is_empty() && known.is_empty() => Some("there is no adapter".to_owned()),
            Ok(_) => None,
            Err(failure) => Some(failure.sentence.clone()),
        };
        shared.links.board.problem("bluetooth", problem);
        for name in found.unwrap_or_default() {
            if known.insert(name.clone()) {
                supervisors.spawn(run_one(shared.clone(), Some(name.clone()), about(&name)));
            }
        }
        tokio::select! {
            () = shared.links.stop.cancelled() => {}
            () = sleep(ADAPTERS_LOOKED_AT_EVERY) => {}
        }
    }
    supervisors.join_all().await;
}

/// One adapter, until the kit stops. `about` is what the board calls it.
async fn run_one(shared: Arc<Shared>, adapter: Option<String>, about: String) {
    let (stop, board) = (shared.links.stop.clone(), shared.links.board.clone());
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_CAP);
    let (mut bus, mut watchdog) = (Bus::default(), Watchdog::default());
    let mut supervisor = Supervisor::new(shared, about.clone());
    while !stop.is_cancelled() {
        let began = Instant::now();
        let failure = match bus.manager().await {
            Ok(manager) => match supervisor.listen(&manager, adapter.as_deref()).await {
                Ok(()) => return,
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        if began.elapsed() > WORKS_AFTER {
            backoff.reset();
            watchdog.well();
        }
        bus.note(began.elapsed() > WORKS_AFTER);
        if watchdog.failed(Instant::now(), failure.hung)
            && let Err(failure) = radio::power_cycle(adapter.as_deref()).await
        {
            tracing::warn!(problem = failure.sentence, "bluetooth: switching it off and on");
        }
        board.problem(&about, Some(failure.sentence));
        board.problem(&format!("{about} watchdog"), watchdog.said(Instant::now()));
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(backoff.failed(rand::random())) => {}
        }
    }
}

/// The connection to the system bus.
#[derive(Default)]
struct Bus {
    manager: Option<Manager>,
    failures: u32,
}

impl Bus {
    async fn manager(&mut self) -> Result<Manager, Failure> {
        if let Some(manager) = &self.manager {
            return Ok(manager.clone());
        }
        let manager = call("no system bus", Manager::new()).await?;
        Ok(self.manager.insert(manager).clone())
    }

    fn note(&mut self, works: bool) {
        self.failures = if works { 0 } else { self.failures + 1 };
        if self.failures >= FAILURES_RENEW_BUS {
            (self.manager, self.failures) = (None, 0);
        }
    }
}

/// A Bluetooth device in range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InRange {
    /// Its address.
    pub address: String,
    /// The name it advertises.
    pub name: Option<String>,
    /// How strongly it was heard, dBm; absent if BlueZ only remembers it.
    pub rssi: Option<i16>,
    /// The services it advertises.
    pub services: Vec<Uuid>,
    /// The services that it advertises data of.
    pub service_data: Vec<Uuid>,
}

/// Listens for a while and tells which devices are in range, of any kind; `meanwhile` is told each second how many there are.
///
/// # Errors
/// A sentence that says why Bluetooth can't be used.
pub async fn scan(
    adapter: Option<&str>,
    duration: Duration,
    mut meanwhile: impl FnMut(Duration, usize),
) -> Result<Vec<InRange>, String> {
    let manager = call("no system bus", Manager::new()).await?;
    let radio = Radio::open(&manager, adapter, ScanFilter::default()).await?;
    radio.listen().await?;
    let began = Instant::now();
    while began.elapsed() < duration {
        sleep(duration.saturating_sub(began.elapsed()).min(Duration::from_secs(1))).await;
        let heard = call("can't list devices", radio.adapter.peripherals()).await?.len();
        meanwhile(duration.saturating_sub(began.elapsed()), heard);
    }
    let found = in_range(&radio).await;
    radio.stop().await;
    found
}

async fn in_range(radio: &Radio) -> Result<Vec<InRange>, String> {
    let peripherals = call("can't list devices", radio.adapter.peripherals()).await?;
    let mut found = Vec::new();
    for peripheral in peripherals.into_iter().take(KNOWN_MAX) {
        if let Ok(Some(properties)) = call("a device does not answer", peripheral.properties()).await {
            found.push(InRange {
                address: properties.address.to_string(),
                name: properties.advertisement_name.or(properties.local_name),
                rssi: properties.rssi,
                services: properties.services,
                service_data: properties.service_data.into_keys().collect(),
            });
        }
    }
    Ok(found)
}
