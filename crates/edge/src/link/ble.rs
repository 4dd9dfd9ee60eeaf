//! Bluetooth devices, through BlueZ: hears them advertise, connects at once, fetches what they have, lets them go.
//!
//! Discovery is stopped while connecting, since many adapters can't do both; one device is connected to at a time, and then talked to
//! beside the others. A device that hangs up in the middle of anything is ordinary.

mod visit;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use btleplug::{
    api::{Central as _, CentralEvent, Manager as _, Peripheral as _, ScanFilter},
    platform::{Adapter, Manager, Peripheral, PeripheralId},
};
use drivers::Transport;
use futures::{Stream, StreamExt as _};
use tokio::{
    sync::{Mutex, Notify},
    task::{JoinError, JoinSet},
    time::{sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Links, turn::Turn};
use crate::{backoff::Backoff, config::BleDevice};
use visit::Visited;

/// For one call to BlueZ.
const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// From connected to known services.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(15);
/// Discovery is started anew this often: BlueZ may have been restarted, the adapter may have been plugged in again.
const RESCAN_EVERY: Duration = Duration::from_secs(60);
/// Between attempts to reach BlueZ, at first and in the end, at most.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_CAP: Duration = Duration::from_secs(30);
/// Devices in range that are remembered; then all are looked at anew.
const KNOWN_MAX: usize = 1024;
/// Visits in a row that brought an error before it is reported: one failed connection is nothing.
const FAILURES_REPORTED: u32 = 3;

/// The adapter, of which only one task at a time may start and stop discovery or connect.
struct Radio {
    adapter: Adapter,
    filter: ScanFilter,
    /// Discovery could not be started again after connecting.
    deaf: Notify,
    busy: Mutex<()>,
}

/// Reads the kit's Bluetooth devices until the kit stops.
pub async fn run(links: Links, adapter: Option<String>, devices: Vec<BleDevice>) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_CAP);
    let mut supervisor = Supervisor::new(links.clone(), devices);
    while !links.stop.is_cancelled() {
        let began = Instant::now();
        let problem = match supervisor.listen(adapter.as_deref()).await {
            Ok(()) => return,
            Err(problem) => problem,
        };
        links.board.problem("bluetooth", Some(problem));
        if began.elapsed() > RESCAN_EVERY {
            backoff.reset();
        }
        tokio::select! {
            () = links.stop.cancelled() => {}
            () = sleep(backoff.failed(rand::random())) => {}
        }
    }
}

/// A Bluetooth device in range.
pub struct InRange {
    /// Its address.
    pub address: String,
    /// The name it advertises.
    pub name: Option<String>,
    /// The services it advertises.
    pub services: Vec<uuid::Uuid>,
}

/// Listens for a while and tells which devices are in range, of any kind.
///
/// # Errors
/// A sentence that says why Bluetooth can't be used.
pub async fn scan(adapter: Option<&str>, duration: Duration) -> Result<Vec<InRange>, String> {
    let radio = open(adapter, ScanFilter::default()).await?;
    radio.listen().await?;
    sleep(duration).await;
    let peripherals = call("can't list devices", radio.adapter.peripherals()).await?;
    let mut found = Vec::new();
    for peripheral in peripherals.into_iter().take(KNOWN_MAX) {
        if let Ok(Some(properties)) = call("a device does not answer", peripheral.properties()).await {
            let (address, name) = (properties.address.to_string(), properties.local_name);
            found.push(InRange { address, name, services: properties.services });
        }
    }
    Ok(found)
}

async fn open(name: Option<&str>, filter: ScanFilter) -> Result<Radio, String> {
    let manager = call("no system bus", Manager::new()).await?;
    let adapters = call("BlueZ does not answer", manager.adapters()).await?;
    for adapter in adapters {
        let info = call("an adapter does not answer", adapter.adapter_info()).await?;
        let id = info.split(' ').next().unwrap_or_default();
        if name.is_none_or(|name| id == name || id.ends_with(&format!("/{name}"))) {
            return Ok(Radio { adapter, filter, deaf: Notify::new(), busy: Mutex::default() });
        }
    }
    Err(name.map_or_else(|| "there is no adapter".to_owned(), |name| format!("there is no adapter {name}")))
}

struct Supervisor {
    links: Links,
    devices: Arc<Vec<BleDevice>>,
    turns: Vec<Turn>,
    /// Where each device was last heard.
    places: Vec<Option<Peripheral>>,
    known: HashMap<PeripheralId, usize>,
    hung_up: HashMap<PeripheralId, CancellationToken>,
    visits: JoinSet<(usize, PeripheralId, Result<Visited, String>)>,
}

impl Supervisor {
    fn new(links: Links, devices: Vec<BleDevice>) -> Self {
        let turns = devices.iter().map(|_| Turn::default()).collect();
        let places = devices.iter().map(|_| None).collect();
        let (known, hung_up) = (HashMap::new(), HashMap::new());
        Self { links, devices: Arc::new(devices), turns, places, known, hung_up, visits: JoinSet::new() }
    }

    /// Listens until the kit stops (`Ok`) or BlueZ can't be used.
    async fn listen(&mut self, adapter: Option<&str>) -> Result<(), String> {
        let radio = Arc::new(open(adapter, ScanFilter { services: self.services() }).await?);
        let mut events = call("can't hear devices", radio.adapter.events()).await?;
        radio.listen().await?;
        self.links.board.problem("bluetooth", None);
        tracing::info!("bluetooth: listening");
        let heard = self.hear(&radio, &mut events).await;
        if heard.is_ok() {
            while self.visits.join_next().await.is_some() {}
            let _stopped = timeout(CALL_DEADLINE, radio.adapter.stop_scan()).await;
        }
        heard
    }

    fn services(&self) -> Vec<uuid::Uuid> {
        let service = |device: &BleDevice| match device.driver.transport {
            Transport::Ble { service, .. } => Some(service),
            Transport::Advertisement { service } => Some(service),
            Transport::Serial { .. } => None,
        };
        self.devices.iter().filter_map(service).collect()
    }

    async fn hear(
        &mut self,
        radio: &Arc<Radio>,
        events: &mut (impl Stream<Item = CentralEvent> + Unpin),
    ) -> Result<(), String> {
        let mut rescan_at = Instant::now() + RESCAN_EVERY;
        loop {
            let wake = self.turns.iter().filter_map(Turn::wakes_at).min().unwrap_or(rescan_at);
            tokio::select! {
                () = self.links.stop.cancelled() => return Ok(()),
                event = events.next() => match event {
                    Some(event) => self.event(radio, event).await,
                    None => return Err("BlueZ has gone".to_owned()),
                },
                Some(visited) = self.visits.join_next() => self.visited(visited),
                () = sleep_until(wake.into()) => self.wake(radio),
                () = radio.deaf.notified() => rescan_at = Instant::now(),
                () = sleep_until(rescan_at.into()) => {
                    radio.listen_anew().await?;
                    rescan_at = Instant::now() + RESCAN_EVERY;
                }
            }
        }
    }

    async fn event(&mut self, radio: &Arc<Radio>, event: CentralEvent) {
        match event {
            CentralEvent::DeviceDisconnected(id) => {
                if let Some(hung_up) = self.hung_up.get(&id) {
                    hung_up.cancel();
                }
            }
            // One that is connected already is left from an agent that was killed.
            CentralEvent::DeviceConnected(id)
            | CentralEvent::DeviceDiscovered(id)
            | CentralEvent::DeviceUpdated(id)
            | CentralEvent::RssiUpdate { id, .. }
            | CentralEvent::ManufacturerDataAdvertisement { id, .. }
            | CentralEvent::ServiceDataAdvertisement { id, .. }
            | CentralEvent::ServicesAdvertisement { id, .. } => self.advertised(radio, id).await,
            _ => {}
        }
    }

    async fn advertised(&mut self, radio: &Arc<Radio>, id: PeripheralId) {
        let index = match self.known.get(&id) {
            Some(&index) if self.places[index].is_some() => index,
            _ => match self.look_at(radio, &id).await {
                Some(index) => index,
                None => return,
            },
        };
        if self.turns[index].heard(Instant::now()) {
            self.visit(radio, index);
        }
    }

    /// Which of the kit's devices this is, if it is one and in range: BlueZ also tells of devices that it only remembers.
    async fn look_at(&mut self, radio: &Arc<Radio>, id: &PeripheralId) -> Option<usize> {
        let peripheral = timeout(CALL_DEADLINE, radio.adapter.peripheral(id)).await.ok()?.ok()?;
        let properties = timeout(CALL_DEADLINE, peripheral.properties()).await.ok()?.ok()??;
        if properties.rssi.is_none() && !timeout(CALL_DEADLINE, peripheral.is_connected()).await.ok()?.ok()? {
            return None;
        }
        let address = properties.address.to_string();
        let names = [properties.advertisement_name, properties.local_name];
        let index = self.devices.iter().position(|device| match &device.address {
            Some(wanted) => *wanted == address,
            None => device.name.is_some() && names.contains(&device.name),
        })?;
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(id.clone(), index);
        self.places[index] = Some(peripheral);
        Some(index)
    }

    fn visit(&mut self, radio: &Arc<Radio>, index: usize) {
        let Some(peripheral) = self.places[index].clone() else { return };
        let hung_up = CancellationToken::new();
        let id = peripheral.id();
        self.hung_up.insert(id.clone(), hung_up.clone());
        let (links, radio, devices) = (self.links.clone(), radio.clone(), self.devices.clone());
        self.visits.spawn(async move {
            let visited = visit::visit(&links, &radio, &devices[index], peripheral, &hung_up).await;
            (index, id, visited)
        });
    }

    fn wake(&mut self, radio: &Arc<Radio>) {
        for index in 0..self.turns.len() {
            if self.turns[index].woken(Instant::now()) {
                self.visit(radio, index);
            }
        }
    }

    fn visited(&mut self, joined: Result<(usize, PeripheralId, Result<Visited, String>), JoinError>) {
        let (index, id, visited) = match joined {
            Ok(visited) => visited,
            Err(error) => return tracing::error!(%error, "bluetooth: a visit failed inside"),
        };
        self.hung_up.remove(&id);
        let fruitful = visited.as_ref().is_ok_and(|visited| visited.heard);
        let failures = self.turns[index].ended(Instant::now(), fruitful, rand::random());
        let device = &self.devices[index];
        match visited {
            Ok(visited) => tracing::info!(device = ?device, measured = visited.measured, "bluetooth: visited"),
            Err(problem) => {
                tracing::info!(device = ?device, %problem, failures, "bluetooth: visit failed");
                if failures >= FAILURES_REPORTED {
                    self.links.board.absent(device.key(), Some(problem));
                }
            }
        }
    }
}

impl Radio {
    /// Starts discovery.
    async fn listen(&self) -> Result<(), String> {
        let _busy = self.busy.lock().await;
        call("can't listen for devices", self.adapter.start_scan(self.filter.clone())).await
    }

    /// Starts discovery anew, unless a device is being connected to.
    async fn listen_anew(&self) -> Result<(), String> {
        let Ok(_busy) = self.busy.try_lock() else { return Ok(()) };
        let stopped = timeout(CALL_DEADLINE, self.adapter.stop_scan()).await;
        tracing::debug!(stopped = matches!(stopped, Ok(Ok(()))), "bluetooth: listening anew");
        call("can't listen for devices", self.adapter.start_scan(self.filter.clone())).await
    }

    /// Connects, with discovery stopped meanwhile.
    async fn connect(&self, peripheral: &Peripheral) -> Result<(), String> {
        let _busy = self.busy.lock().await;
        let stopped = timeout(CALL_DEADLINE, self.adapter.stop_scan()).await;
        tracing::debug!(stopped = matches!(stopped, Ok(Ok(()))), "bluetooth: connecting");
        let connected = call("can't connect", peripheral.connect()).await;
        if let Err(problem) = call("can't listen for devices", self.adapter.start_scan(self.filter.clone())).await {
            tracing::warn!(%problem, "bluetooth: deaf");
            self.deaf.notify_one();
        }
        connected
    }
}

async fn call<T>(what: &str, future: impl Future<Output = btleplug::Result<T>>) -> Result<T, String> {
    within(CALL_DEADLINE, what, future).await
}

/// The outcome of a call, or a sentence that says what could not be done and why.
async fn within<T>(
    deadline: Duration,
    what: &str,
    future: impl Future<Output = btleplug::Result<T>>,
) -> Result<T, String> {
    match timeout(deadline, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{what}: {error}")),
        Err(_) => Err(format!("{what}: no answer within {} s", deadline.as_secs())),
    }
}
