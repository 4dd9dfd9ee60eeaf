//! One device on a real radio: its GATT tree registered with a BlueZ made by others, through BlueZ's public API for GATT servers
//! (GattManager1, LEAdvertisingManager1), the way it runs on a board with an adapter of its own.
//!
//! `bluez` plays BlueZ itself and can go wrong on demand; here somebody else's BlueZ carries the bytes. What was measured before anybody
//! listened is sent to the first who does.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::json;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant, connection, fdo::ObjectManager, interface};

use crate::{
    bluez::{BUS_NAME, BluezError, gatt},
    clock::{self, DeviceClock},
    devices::{BleModel, Identity, Kept, Record, information},
    home::{command, truth::Teller},
    people::Story,
};

const ROOT: &str = "/vagt";
const ADVERTISEMENT: &str = "/vagt/advertisement";
/// Measurements that wait for somebody to listen; the oldest goes.
const WAITING_MAX: usize = 64;

/// A device registered with BlueZ.
pub struct Peripheral {
    connection: Connection,
    model: &'static BleModel,
    identity: Identity,
    clock: DeviceClock,
    teller: Teller,
    measurement: Arc<Live>,
    waiting: VecDeque<Record>,
    measured: u64,
}

/// A characteristic whose value goes out when it changes.
#[derive(Debug)]
struct Live {
    path: String,
    value: Mutex<Vec<u8>>,
    notifying: AtomicBool,
    subscribed: Notify,
}

/// Why the device could not be registered.
#[derive(Debug, thiserror::Error)]
#[error("could not {what} on {adapter}")]
pub struct RegisterError {
    what: &'static str,
    adapter: String,
    #[source]
    source: Box<zbus::Error>,
}

impl Peripheral {
    /// Registers the device's services and its advertisement with `adapter`, e.g. `hci1`, of the BlueZ on the bus at `address`.
    ///
    /// # Errors
    /// [`RegisterError`] says which step BlueZ refused.
    pub async fn register(
        address: &str,
        adapter: &str,
        model: &'static BleModel,
        identity: Identity,
        clock: DeviceClock,
        teller: Teller,
    ) -> Result<Self, RegisterError> {
        let refused = |what| {
            let adapter = adapter.to_owned();
            move |source| RegisterError { what, adapter, source: Box::new(source) }
        };
        let mut services = (model.services)();
        services.push(information::device_information(&identity));
        let (connection, measurement) = serve(address, services, model.measurement)
            .await
            .map_err(refused("show the device's services on the bus"))?;
        let advertisement = Advertisement { service: model.service, name: identity.name.clone() };
        connection.object_server().at(ADVERTISEMENT, advertisement).await.map_err(refused("show an advertisement"))?;
        let at = format!("/org/bluez/{adapter}");
        for (interface, method, object, what) in [
            ("org.bluez.GattManager1", "RegisterApplication", ROOT, "register the device's services"),
            ("org.bluez.LEAdvertisingManager1", "RegisterAdvertisement", ADVERTISEMENT, "advertise"),
        ] {
            let object: OwnedObjectPath = object.try_into().expect("a constant path");
            let body = (object, HashMap::<String, OwnedVariant>::new());
            let call = connection.call_method(Some(BUS_NAME), at.as_str(), Some(interface), method, &body);
            call.await.map_err(refused(what))?;
        }
        let line = json!({ "event": "ready", "simulated": true, "devices": [identity], "adapter": adapter });
        teller.tell(line).await;
        Ok(Self { connection, model, identity, clock, teller, measurement, waiting: VecDeque::new(), measured: 0 })
    }

    /// Measures what the lines of standard input order (as in a home) and sends it to whoever listens, until they end.
    pub async fn live(mut self, mut commands: mpsc::Receiver<String>, story: &Story) {
        loop {
            let listened = self.measurement.clone();
            tokio::select! {
                line = commands.recv() => match line {
                    Some(line) => if self.obey(&line, story).await.is_none() { return },
                    None => return,
                },
                () = listened.subscribed.notified() => {}
            }
            self.send().await;
        }
    }

    async fn obey(&mut self, line: &str, story: &Story) -> Option<()> {
        match command::read(line, story, 0.0) {
            Ok(command::Command::Quit) => return None,
            Ok(command::Command::Measure { kind, body, .. }) if kind == self.model.kind => {
                let now = clock::now();
                self.measured += 1;
                let record = Record {
                    number: self.measured,
                    body,
                    real_time: now,
                    device_time: self.clock.stamp(now),
                    clock_set: self.clock.is_set(),
                    stored: false,
                    story_day: None,
                };
                self.teller.measured(&self.identity, &record).await;
                if self.waiting.len() >= WAITING_MAX {
                    self.waiting.pop_front();
                }
                self.waiting.push_back(record);
            }
            Ok(_) => self.refuse("this device only measures; faults are a home's").await,
            Err(error) => self.refuse(&error.to_string()).await,
        }
        Some(())
    }

    async fn refuse(&self, why: &str) {
        self.teller.tell(json!({ "event": "refused", "why": why })).await;
    }

    async fn send(&mut self) {
        while self.measurement.notifying.load(Ordering::Relaxed) {
            let Some(record) = self.waiting.pop_front() else { return };
            let frames = (self.model.frames)(&Kept::new(record.clone()));
            let mut of_measurement = frames.into_iter().filter(|(uuid, _)| *uuid == self.model.measurement);
            let Some((_, bytes)) = of_measurement.next() else { continue };
            if let Err(error) = self.measurement.send(&self.connection, &bytes).await {
                tracing::warn!(%error, "the bus refused");
                return self.waiting.push_front(record);
            }
            self.teller.sent(&self.identity, &record, &bytes, 1).await;
        }
    }
}

/// Puts the services below [`ROOT`], and gives the characteristic that carries measurements.
async fn serve(
    address: &str,
    services: Vec<gatt::Service>,
    measurement: Uuid,
) -> zbus::Result<(Connection, Arc<Live>)> {
    let connection = connection::Builder::address(address).serve_at(ROOT, ObjectManager).build().await?;
    let (server, mut measured) = (connection.object_server(), None);
    for (index, service) in services.into_iter().enumerate() {
        let path = format!("{ROOT}/service{index}");
        server.at(path.as_str(), Service { uuid: service.uuid }).await?;
        for (index, described) in service.characteristics.into_iter().enumerate() {
            let live = Arc::new(Live {
                path: format!("{path}/char{index}"),
                value: Mutex::new(described.value.clone()),
                notifying: AtomicBool::new(false),
                subscribed: Notify::new(),
            });
            if described.uuid == measurement {
                measured = Some(live.clone());
            }
            let object = Characteristic { live: live.clone(), service: path.clone(), described };
            server.at(live.path.as_str(), object).await?;
        }
    }
    Ok((connection, measured.expect("a model's services hold its measurement")))
}

impl Live {
    /// BlueZ notifies or indicates what a characteristic's value changes to.
    async fn send(&self, connection: &Connection, value: &[u8]) -> zbus::Result<()> {
        *self.value.lock().expect("no holder panics") = value.to_vec();
        let changes = HashMap::from([("Value", Variant::from(value.to_vec()))]);
        let body = ("org.bluez.GattCharacteristic1", changes, &[] as &[&str]);
        let everybody = None::<zbus::names::BusName<'_>>;
        let interface = "org.freedesktop.DBus.Properties";
        connection.emit_signal(everybody, self.path.as_str(), interface, "PropertiesChanged", &body).await
    }
}

struct Service {
    uuid: Uuid,
}

#[interface(name = "org.bluez.GattService1", introspection_docs = false)]
impl Service {
    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        self.uuid.to_string()
    }

    #[zbus(property)]
    fn primary(&self) -> bool {
        true
    }
}

struct Characteristic {
    live: Arc<Live>,
    service: String,
    described: gatt::Characteristic,
}

#[interface(name = "org.bluez.GattCharacteristic1", introspection_docs = false)]
impl Characteristic {
    fn read_value(&self, _options: HashMap<String, OwnedVariant>) -> Vec<u8> {
        self.value()
    }

    fn write_value(&self, value: Vec<u8>, _options: HashMap<String, OwnedVariant>) -> Result<(), BluezError> {
        if !self.described.flags.contains(&"write") {
            return Err(BluezError::NotSupported("Operation is not supported".into()));
        }
        *self.live.value.lock().expect("no holder panics") = value;
        Ok(())
    }

    fn start_notify(&self) -> Result<(), BluezError> {
        if !self.described.flags.iter().any(|flag| ["notify", "indicate"].contains(flag)) {
            return Err(BluezError::NotSupported("Operation is not supported".into()));
        }
        self.live.notifying.store(true, Ordering::Relaxed);
        self.live.subscribed.notify_one();
        Ok(())
    }

    fn stop_notify(&self) {
        self.live.notifying.store(false, Ordering::Relaxed);
    }

    /// The host has confirmed an indication.
    fn confirm(&self) {
        tracing::debug!(path = %self.live.path, "confirmed");
    }

    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        self.described.uuid.to_string()
    }

    #[zbus(property)]
    fn service(&self) -> OwnedObjectPath {
        self.service.as_str().try_into().expect("made of constants and a number")
    }

    #[zbus(property)]
    fn value(&self) -> Vec<u8> {
        self.live.value.lock().expect("no holder panics").clone()
    }

    #[zbus(property)]
    fn notifying(&self) -> bool {
        self.live.notifying.load(Ordering::Relaxed)
    }

    #[zbus(property)]
    fn flags(&self) -> Vec<String> {
        self.described.flags.iter().map(ToString::to_string).collect()
    }
}

struct Advertisement {
    service: Uuid,
    name: String,
}

#[interface(name = "org.bluez.LEAdvertisement1", introspection_docs = false)]
impl Advertisement {
    fn release(&self) {
        tracing::info!("BlueZ has stopped the advertisement");
    }

    #[zbus(property, name = "Type")]
    fn kind(&self) -> &str {
        "peripheral"
    }

    #[zbus(property)]
    fn discoverable(&self) -> bool {
        true
    }

    #[zbus(property, name = "ServiceUUIDs")]
    fn service_uuids(&self) -> Vec<String> {
        vec![self.service.to_string()]
    }

    #[zbus(property)]
    fn local_name(&self) -> String {
        self.name.clone()
    }
}
