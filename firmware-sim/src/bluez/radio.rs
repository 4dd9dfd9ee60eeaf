//! What a device's firmware can do to the bus: be heard, be connected, show its services, send a value, hang up, vanish.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::mpsc::WeakSender;
use uuid::Uuid;
use zbus::{Connection, OwnedObjectPath, Variant, names::BusName};

use super::{
    adapter::{self, AdapterState},
    call::Call,
    device::Device,
    gatt::{CharacteristicObject, Live, Service, ServiceObject},
};
use crate::{
    devices::{BleModel, Identity, information},
    home::fault::Property,
};

/// What the bus shows of a device.
#[derive(Debug)]
pub struct Shown {
    /// Its address.
    pub address: String,
    /// Its name.
    pub name: String,
    connected: AtomicBool,
    resolved: AtomicBool,
    paired: AtomicBool,
    trusted: AtomicBool,
    rssi: Mutex<Option<i16>>,
    service_data: Mutex<Option<(Uuid, Vec<u8>)>>,
    uuids: Mutex<Vec<Uuid>>,
    hidden: Mutex<BTreeSet<Property>>,
}

impl Shown {
    /// Whether there is a link.
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Whether its services are known.
    pub fn resolved(&self) -> bool {
        self.resolved.load(Ordering::Relaxed)
    }

    /// Whether there is a bond.
    pub fn paired(&self) -> bool {
        self.paired.load(Ordering::Relaxed)
    }

    /// There is a bond now.
    pub fn pair(&self) {
        self.paired.store(true, Ordering::Relaxed);
    }

    /// Whether somebody said that it can be trusted.
    pub fn trusted(&self) -> bool {
        self.trusted.load(Ordering::Relaxed)
    }

    /// Somebody says so, or no longer.
    pub fn trust(&self, trusted: bool) {
        self.trusted.store(trusted, Ordering::Relaxed);
    }

    /// How strongly it was last heard, dBm.
    pub fn rssi(&self) -> Option<i16> {
        self.rssi.lock().expect("no holder panics").filter(|_| !self.hides(Property::Rssi))
    }

    /// Does BlueZ not know this of it?
    pub fn hides(&self, property: Property) -> bool {
        self.hidden.lock().expect("no holder panics").contains(&property)
    }

    /// What it is called, where a name is wanted and there may be none.
    pub fn alias(&self) -> String {
        if self.hides(Property::Name) { self.address.replace(':', "-") } else { self.name.clone() }
    }

    /// What it advertises of its service.
    pub fn service_data(&self) -> Option<HashMap<String, Variant<'static>>> {
        let data = self.service_data.lock().expect("no holder panics").clone();
        data.map(|(service, bytes)| HashMap::from([(service.to_string(), bytes.into())]))
    }

    /// Advertised services, or all once they are resolved.
    pub fn uuids(&self) -> Vec<String> {
        self.uuids.lock().expect("no holder panics").iter().map(Uuid::to_string).collect()
    }
}

/// One device's side of the bus.
#[derive(Debug)]
pub struct Radio {
    connection: Connection,
    adapter: Arc<AdapterState>,
    calls: WeakSender<Call>,
    service: Uuid,
    path: String,
    shown: Arc<Shown>,
    tree: Vec<(String, Uuid, Vec<Arc<Live>>)>,
    /// Characteristics that are gone.
    lost: BTreeSet<Uuid>,
    known: bool,
    discovered: bool,
}

impl Radio {
    pub(super) fn new(
        connection: Connection,
        adapter: Arc<AdapterState>,
        model: &BleModel,
        identity: &Identity,
        calls: WeakSender<Call>,
    ) -> Self {
        let path = format!("{}/dev_{}", adapter::PATH, identity.address.replace(':', "_"));
        let mut services = (model.services)();
        services.push(information::device_information(identity));
        let shown = Shown {
            address: identity.address.clone(),
            name: identity.name.clone(),
            connected: AtomicBool::new(false),
            resolved: AtomicBool::new(false),
            paired: AtomicBool::new(false),
            trusted: AtomicBool::new(false),
            rssi: Mutex::new(None),
            service_data: Mutex::new(None),
            uuids: Mutex::new(vec![model.service]),
            hidden: Mutex::default(),
        };
        let tree = grow(&path, services);
        let shown = Arc::new(shown);
        let (lost, service) = (BTreeSet::new(), model.service);
        Self { connection, adapter, calls, service, path, shown, tree, lost, known: false, discovered: false }
    }

    /// The characteristic with this UUID.
    pub fn characteristic(&self, uuid: Uuid) -> Option<&Arc<Live>> {
        self.characteristics().find(|live| live.described.uuid == uuid && !self.lost.contains(&uuid))
    }

    fn characteristics(&self) -> impl Iterator<Item = &Arc<Live>> {
        self.tree.iter().flat_map(|(_, _, characteristics)| characteristics)
    }

    /// Whether there is a link.
    pub fn connected(&self) -> bool {
        self.shown.connected()
    }

    /// Whether it lets nobody subscribe because there is no bond.
    pub fn wants_bond(&self) -> bool {
        self.adapter.passkey().is_some() && !self.shown.paired()
    }

    /// Whether somebody listens to it.
    pub fn heard(&self) -> bool {
        self.adapter.hears(Some(self.service).filter(|_| !self.shown.hides(Property::Uuids)))
    }

    /// One advertisement, if somebody discovers: a new device for the first time, a new signal strength after that.
    pub async fn advertise(&mut self, rssi: i16) -> zbus::Result<()> {
        if !self.heard() {
            return Ok(());
        }
        *self.shown.rssi.lock().expect("no holder panics") = Some(rssi);
        if self.known {
            let heard: Vec<_> = self.shown.rssi().map(|rssi| ("RSSI", rssi.into())).into_iter().collect();
            return self.changed(&self.path, "org.bluez.Device1", &heard).await;
        }
        self.known = true;
        let device = Device::new(Arc::clone(&self.shown), Arc::clone(&self.adapter), self.calls.clone());
        self.connection.object_server().at(self.path.as_str(), device).await?;
        Ok(())
    }

    /// One advertisement that carries data of the device's service.
    pub async fn broadcast(&mut self, rssi: i16, data: Vec<u8>) -> zbus::Result<()> {
        *self.shown.service_data.lock().expect("no holder panics") = Some((self.service, data));
        let known = self.known;
        self.advertise(rssi).await?;
        match self.shown.service_data().filter(|_| known && self.heard()) {
            Some(data) => self.changed(&self.path, "org.bluez.Device1", &[("ServiceData", data.into())]).await,
            None => Ok(()),
        }
    }

    /// The last advertisement is over.
    pub async fn fall_silent(&mut self) -> zbus::Result<()> {
        let heard = self.shown.rssi.lock().expect("no holder panics").take().is_some();
        if self.known && heard {
            return self.emit(&self.path, "org.bluez.Device1", HashMap::new(), &["RSSI"]).await;
        }
        Ok(())
    }

    /// The link is up.
    pub async fn connect(&mut self) -> zbus::Result<()> {
        self.shown.connected.store(true, Ordering::Relaxed);
        self.changed(&self.path, "org.bluez.Device1", &[("Connected", true.into())]).await
    }

    /// The services are known: the tree appears (once; BlueZ keeps it), then ServicesResolved turns true.
    pub async fn resolve(&mut self) -> zbus::Result<()> {
        if !self.discovered {
            self.discovered = true;
            self.plant().await?;
        }
        let all: Vec<Uuid> = self.tree.iter().map(|(_, uuid, _)| *uuid).collect();
        *self.shown.uuids.lock().expect("no holder panics") = all;
        self.shown.resolved.store(true, Ordering::Relaxed);
        let changes = [("UUIDs", self.shown.uuids().into()), ("ServicesResolved", true.into())];
        self.changed(&self.path, "org.bluez.Device1", &changes).await
    }

    async fn plant(&self) -> zbus::Result<()> {
        let server = self.connection.object_server();
        let device: OwnedObjectPath = self.path.as_str().try_into().expect("made of a constant and an address");
        for (path, uuid, characteristics) in &self.tree {
            server.at(path.as_str(), ServiceObject { uuid: *uuid, device: device.clone() }).await?;
            for live in characteristics.iter().filter(|live| !self.lost.contains(&live.described.uuid)) {
                let object = CharacteristicObject { live: Arc::clone(live), calls: self.calls.clone() };
                server.at(live.path.as_str(), object).await?;
            }
        }
        Ok(())
    }

    /// BlueZ no longer knows this of the device, or never did.
    pub fn hide(&self, property: Property) {
        self.shown.hidden.lock().expect("no holder panics").insert(property);
    }

    /// The characteristic is gone.
    pub async fn lose(&mut self, uuid: Uuid) -> zbus::Result<()> {
        let live = self.characteristic(uuid).cloned();
        self.lost.insert(uuid);
        match live.filter(|_| self.discovered) {
            Some(live) => {
                live.unsubscribe_all();
                let server = self.connection.object_server();
                server.remove::<CharacteristicObject, _>(live.path.as_str()).await.map(drop)
            }
            None => Ok(()),
        }
    }

    /// Nothing is hidden or lost any more.
    pub async fn show_everything(&mut self) -> zbus::Result<()> {
        self.shown.hidden.lock().expect("no holder panics").clear();
        if !std::mem::take(&mut self.lost).is_empty() && self.discovered {
            return self.plant().await;
        }
        Ok(())
    }

    /// The link is down: subscriptions end with it.
    pub async fn disconnect(&mut self) -> zbus::Result<()> {
        if !self.shown.connected.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        for live in self.characteristics() {
            live.unsubscribe_all();
        }
        self.shown.resolved.store(false, Ordering::Relaxed);
        let changes = [("ServicesResolved", false.into()), ("Connected", false.into())];
        self.changed(&self.path, "org.bluez.Device1", &changes).await
    }

    /// A value goes out: BlueZ shows notifications and indications alike (it confirms the latter itself).
    pub async fn send(&self, live: &Live, value: &[u8]) -> zbus::Result<()> {
        live.keep(value);
        self.changed(&live.path, "org.bluez.GattCharacteristic1", &[("Value", value.to_vec().into())]).await
    }

    /// A subscription began or ended.
    pub async fn show_notifying(&self, live: &Live) -> zbus::Result<()> {
        let notifying = live.notifying().into();
        self.changed(&live.path, "org.bluez.GattCharacteristic1", &[("Notifying", notifying)]).await
    }

    /// A client left the bus. Whether it had subscribed to anything.
    pub fn forget(&self, client: &str) -> bool {
        self.characteristics().filter(|live| live.unsubscribe(client)).count() > 0
    }

    /// Out of reach for good: BlueZ drops the device and all below it.
    pub async fn vanish(&mut self) -> zbus::Result<()> {
        self.disconnect().await?;
        let server = self.connection.object_server();
        if std::mem::take(&mut self.discovered) {
            for (path, _, characteristics) in &self.tree {
                for live in characteristics {
                    server.remove::<CharacteristicObject, _>(live.path.as_str()).await?;
                }
                server.remove::<ServiceObject, _>(path.as_str()).await?;
            }
        }
        if std::mem::take(&mut self.known) {
            server.remove::<Device, _>(self.path.as_str()).await?;
        }
        *self.shown.rssi.lock().expect("no holder panics") = None;
        Ok(())
    }

    async fn changed(&self, path: &str, interface: &str, changes: &[(&str, Variant<'static>)]) -> zbus::Result<()> {
        let changes =
            changes.iter().map(|(name, value)| (*name, value.try_clone().expect("holds no descriptor"))).collect();
        self.emit(path, interface, changes, &[]).await
    }

    async fn emit(
        &self,
        path: &str,
        interface: &str,
        changes: HashMap<&str, Variant<'static>>,
        gone: &[&str],
    ) -> zbus::Result<()> {
        let body = (interface, changes, gone);
        let everybody = None::<BusName<'_>>;
        self.connection
            .emit_signal(everybody, path, "org.freedesktop.DBus.Properties", "PropertiesChanged", &body)
            .await
    }
}

/// Gives services and characteristics their handles, as an attribute table numbers them.
fn grow(device: &str, services: Vec<Service>) -> Vec<(String, Uuid, Vec<Arc<Live>>)> {
    let mut handle = 0x0010;
    let mut tree = Vec::with_capacity(services.len());
    for service in services {
        let path = format!("{device}/service{handle:04x}");
        let mut characteristics = Vec::with_capacity(service.characteristics.len());
        for described in service.characteristics {
            handle += 1;
            let at = format!("{path}/char{handle:04x}");
            handle += 2;
            characteristics.push(Arc::new(Live::new(described, path.clone(), at)));
        }
        handle += 1;
        tree.push((path, service.uuid, characteristics));
    }
    tree
}
