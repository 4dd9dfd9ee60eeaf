//! What one adapter hears, and which of the kit's devices are visited or listened to because of it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use btleplug::{
    api::{Central as _, CentralEvent, Peripheral as _, PeripheralProperties, ScanFilter},
    platform::{Manager, Peripheral, PeripheralId},
};
use drivers::Transport;
use futures::{Stream, StreamExt as _};
use tokio::{
    task::{JoinError, JoinSet},
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    KNOWN_MAX, Shared,
    radio::{CALL_DEADLINE, Failure, Radio, call},
    visit::{self, Visited},
};
use crate::{config::BleDevice, link::turn::Turn};

/// Discovery is started anew this often: BlueZ may have been restarted, the adapter may have been plugged in again.
const RESCAN_EVERY: Duration = Duration::from_secs(60);
/// An adapter of which nothing was heard for this long, and that doesn't answer either, hangs.
const SILENT_MEANS_HUNG: Duration = Duration::from_secs(30);
/// A device that is none of the kit's is looked at again after this: its name may come later than itself.
const STRANGER_AGAIN: Duration = Duration::from_secs(10);
/// Visits in a row that brought an error before it is reported: one failed connection is nothing.
const FAILURES_REPORTED: u32 = 3;

type Ended = (usize, PeripheralId, Result<Visited, Failure>);

/// The supervisor of one adapter.
pub struct Supervisor {
    shared: Arc<Shared>,
    /// What the board calls the adapter.
    about: String,
    /// Where each device was last heard.
    places: Vec<Option<Peripheral>>,
    known: HashMap<PeripheralId, usize>,
    /// Devices that BlueZ knew before it was listened to, and has not told of yet: being told of, they were not heard.
    remembered: HashSet<PeripheralId>,
    /// Devices that are none of the kit's, and when to look again.
    strangers: HashMap<PeripheralId, Instant>,
    hung_up: HashMap<PeripheralId, CancellationToken>,
    visits: JoinSet<Ended>,
}

impl Supervisor {
    /// One that has heard nothing yet.
    pub fn new(shared: Arc<Shared>, about: String) -> Self {
        let places = shared.devices.iter().map(|_| None).collect();
        let (known, strangers, hung_up) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { shared, about, places, known, remembered: HashSet::new(), strangers, hung_up, visits: JoinSet::new() }
    }

    /// Listens until the kit stops (`Ok`) or the adapter can't be used.
    pub async fn listen(&mut self, manager: &Manager, adapter: Option<&str>) -> Result<(), Failure> {
        let filter = ScanFilter { services: services(&self.shared.devices) };
        let radio = Arc::new(Radio::open(manager, adapter, filter).await?);
        let before = call("can't list devices", radio.adapter.peripherals()).await?;
        self.remembered = before.iter().take(KNOWN_MAX).map(Peripheral::id).collect();
        let mut events = call("can't hear devices", radio.adapter.events()).await?;
        radio.listen().await?;
        self.shared.links.board.problem(&self.about, None);
        tracing::info!(adapter = radio.name, "bluetooth: listening");
        let heard = self.hear(&radio, &mut events).await;
        if heard.is_ok() {
            while self.visits.join_next().await.is_some() {}
            radio.stop().await;
        }
        heard
    }

    async fn hear(
        &mut self,
        radio: &Arc<Radio>,
        events: &mut (impl Stream<Item = CentralEvent> + Unpin),
    ) -> Result<(), Failure> {
        let mut rescan_at = Instant::now() + RESCAN_EVERY;
        loop {
            let wake = self.wakes_at().unwrap_or(rescan_at);
            tokio::select! {
                () = self.shared.links.stop.cancelled() => return Ok(()),
                event = events.next() => match event {
                    Some(event) => {
                        radio.alive();
                        self.event(radio, event).await;
                    }
                    None => return Err(Failure::plain("BlueZ has gone")),
                },
                Some(visited) = self.visits.join_next() => self.visited(radio, visited)?,
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
            CentralEvent::ServiceDataAdvertisement { id, service_data } => {
                self.advertised(radio, id, false, &service_data).await;
            }
            CentralEvent::DeviceDiscovered(id) => {
                let appeared = !self.remembered.remove(&id);
                self.advertised(radio, id, appeared, &HashMap::new()).await;
            }
            // One that is connected already is left from an agent that was killed.
            CentralEvent::DeviceConnected(id)
            | CentralEvent::DeviceUpdated(id)
            | CentralEvent::RssiUpdate { id, .. }
            | CentralEvent::ManufacturerDataAdvertisement { id, .. }
            | CentralEvent::ServicesAdvertisement { id, .. } => {
                self.advertised(radio, id, false, &HashMap::new()).await
            }
            _ => {}
        }
    }

    /// `appeared`: BlueZ did not know the device before.
    async fn advertised(
        &mut self,
        radio: &Arc<Radio>,
        id: PeripheralId,
        appeared: bool,
        data: &HashMap<Uuid, Vec<u8>>,
    ) {
        let index = match self.known.get(&id) {
            Some(&index) if self.places[index].is_some() => index,
            _ => match self.look_at(radio, &id, appeared).await {
                Some((index, properties)) => {
                    self.overhear(index, &properties.service_data);
                    index
                }
                None => return,
            },
        };
        self.overhear(index, data);
        if self.is_visited(index) && self.turn(index, |turn| turn.heard(Instant::now())) {
            self.visit(radio, index);
        }
    }

    /// Gives a device that is never connected to what it says of itself.
    fn overhear(&self, index: usize, data: &HashMap<Uuid, Vec<u8>>) {
        let Transport::Advertisement { service } = self.shared.devices[index].driver.transport else { return };
        let mut ears = self.shared.ears.lock().expect("no code panics while it holds the ears");
        if let (Some(ear), Some(data)) = (&mut ears[index], data.get(&service)) {
            ear.heard(Instant::now(), data);
        }
    }

    fn is_visited(&self, index: usize) -> bool {
        matches!(self.shared.devices[index].driver.transport, Transport::Ble { .. })
    }

    /// Which of the kit's devices this is, if it is one and in range: BlueZ also tells of devices that it only remembers. One that it
    /// heard has a signal strength, unless the radio could not tell it; then it has only just appeared.
    async fn look_at(
        &mut self,
        radio: &Arc<Radio>,
        id: &PeripheralId,
        appeared: bool,
    ) -> Option<(usize, PeripheralProperties)> {
        if self.strangers.get(id).is_some_and(|again| Instant::now() < *again) {
            return None;
        }
        let peripheral = timeout(CALL_DEADLINE, radio.adapter.peripheral(id)).await.ok()?.ok()?;
        let properties = timeout(CALL_DEADLINE, peripheral.properties()).await.ok()?.ok()??;
        let Some(index) = self.shared.devices.iter().position(|device| is(device, &properties)) else {
            make_room(&mut self.strangers);
            self.strangers.insert(id.clone(), Instant::now() + STRANGER_AGAIN);
            return None;
        };
        let heard = appeared || properties.rssi.is_some();
        if !heard && !timeout(CALL_DEADLINE, peripheral.is_connected()).await.ok()?.ok()? {
            return None;
        }
        make_room(&mut self.known);
        self.known.insert(id.clone(), index);
        self.places[index] = Some(peripheral);
        Some((index, properties))
    }

    fn visit(&mut self, radio: &Arc<Radio>, index: usize) {
        let Some(peripheral) = self.places[index].clone() else { return };
        let hung_up = CancellationToken::new();
        let id = peripheral.id();
        self.hung_up.insert(id.clone(), hung_up.clone());
        let (shared, radio) = (self.shared.clone(), radio.clone());
        self.visits.spawn(async move {
            let visited = visit::visit(&shared, &radio, &shared.devices[index], peripheral, &hung_up).await;
            (index, id, visited)
        });
    }

    /// When to look whether a device that this adapter has heard has rested enough.
    fn wakes_at(&self) -> Option<Instant> {
        let turns = self.shared.turns.lock().expect("no code panics while it holds the turns");
        let heard_here = turns.iter().zip(&self.places).filter(|(_, place)| place.is_some());
        heard_here.filter_map(|(turn, _)| turn.wakes_at()).min()
    }

    fn wake(&mut self, radio: &Arc<Radio>) {
        for index in 0..self.places.len() {
            if self.places[index].is_some() && self.turn(index, |turn| turn.woken(Instant::now())) {
                self.visit(radio, index);
            }
        }
    }

    /// A visit has ended. An adapter that did not answer, and of which nothing was heard either, is of no use.
    fn visited(&mut self, radio: &Radio, joined: Result<Ended, JoinError>) -> Result<(), Failure> {
        let (index, id, visited) = match joined {
            Ok(visited) => visited,
            Err(error) => {
                tracing::error!(%error, "bluetooth: a visit failed inside");
                return Ok(());
            }
        };
        self.hung_up.remove(&id);
        let fruitful = visited.as_ref().is_ok_and(|visited| visited.heard);
        let failures = self.turn(index, |turn| turn.ended(Instant::now(), fruitful, rand::random()));
        let device = &self.shared.devices[index];
        match visited {
            Ok(visited) => tracing::info!(device = ?device, measured = visited.measured, "bluetooth: visited"),
            Err(failure) => {
                tracing::info!(device = ?device, problem = failure.sentence, failures, "bluetooth: visit failed");
                if failures >= FAILURES_REPORTED {
                    self.shared.links.trouble(device.key(), device.driver, &failure.sentence);
                }
                if failure.hung && radio.silent_for() > SILENT_MEANS_HUNG {
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    fn turn<T>(&self, index: usize, with: impl FnOnce(&mut Turn) -> T) -> T {
        with(&mut self.shared.turns.lock().expect("no code panics while it holds the turns")[index])
    }
}

/// The services to listen for; none if a device may be there that doesn't advertise its service: then everything is listened to.
fn services(devices: &[BleDevice]) -> Vec<Uuid> {
    let service = |device: &BleDevice| match device.driver.transport {
        Transport::Ble { service, names: [], .. } => Some(service),
        _ => None,
    };
    devices.iter().map(service).collect::<Option<_>>().unwrap_or_default()
}

fn is(device: &BleDevice, seen: &PeripheralProperties) -> bool {
    match &device.address {
        Some(wanted) => *wanted == seen.address.to_string(),
        None => device.name.is_some() && [&seen.advertisement_name, &seen.local_name].contains(&&device.name),
    }
}

fn make_room<T>(map: &mut HashMap<PeripheralId, T>) {
    if map.len() >= KNOWN_MAX {
        map.clear();
    }
}
