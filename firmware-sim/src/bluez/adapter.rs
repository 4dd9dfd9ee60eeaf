//! Adapter1: the radio of the home, `hci0`. Who discovers, for which services, and which clients have gone.

use std::sync::Arc;
use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::mpsc::WeakSender;
use uuid::Uuid;
use zbus::{Connection, ObjectPath, OwnedVariant, fdo::DBusProxy, interface, message::Header};

use super::{BluezError, Trials, agent::Agents, call::Call};

/// Where the adapter is.
pub const PATH: &str = "/org/bluez/hci0";
/// Its own address.
pub const ADDRESS: &str = "C0:FF:EE:00:00:00";

/// Clients that may discover at the same time.
const CLIENTS_MAX: usize = 64;

/// What the adapter knows, shared with the devices.
#[derive(Debug, Default)]
pub struct AdapterState {
    powered: AtomicBool,
    hung: AtomicBool,
    passkey: Option<u32>,
    pub(super) agents: Agents,
    discovering: Mutex<HashMap<String, Vec<Uuid>>>,
    filters: Mutex<HashMap<String, Vec<Uuid>>>,
    devices: Mutex<Vec<WeakSender<Call>>>,
}

impl AdapterState {
    pub(super) fn new(trials: Trials) -> Self {
        Self { hung: AtomicBool::new(trials.hung_adapter), passkey: trials.passkey, ..Self::default() }
    }

    /// What the devices want to be bonded with.
    #[must_use]
    pub fn passkey(&self) -> Option<u32> {
        self.passkey
    }

    /// Whether some client wants to hear of a device that advertises `service`, or none.
    #[must_use]
    pub fn hears(&self, service: Option<Uuid>) -> bool {
        let discovering = self.discovering.lock().expect("no holder panics");
        discovering.values().any(|wanted| wanted.is_empty() || service.is_some_and(|one| wanted.contains(&one)))
    }

    pub(super) fn join(&self, calls: WeakSender<Call>) {
        self.devices.lock().expect("no holder panics").push(calls);
    }

    async fn client_gone(&self, client: &str) {
        self.discovering.lock().expect("no holder panics").remove(client);
        self.filters.lock().expect("no holder panics").remove(client);
        self.agents.forget(client);
        let devices: Vec<_> =
            self.devices.lock().expect("no holder panics").iter().filter_map(WeakSender::upgrade).collect();
        for device in devices {
            // a device that is switched off has nothing to forget
            let _ = device.send(Call::ClientGone(client.to_owned())).await;
        }
    }
}

/// Watches the bus for clients that leave, as BlueZ does: their discovery and their subscriptions end.
pub(super) async fn forget_lost_clients(connection: &Connection, state: &Arc<AdapterState>) -> zbus::Result<()> {
    use zbus::export::ordered_stream::OrderedStreamExt as _;
    let mut changes = DBusProxy::new(connection).await?.receive_name_owner_changed().await?;
    let state = Arc::clone(state);
    tokio::spawn(async move {
        while let Some(change) = changes.next().await {
            let Ok(args) = change.args() else { continue };
            if args.new_owner().is_none() && args.name().starts_with(':') {
                state.client_gone(args.name()).await;
            }
        }
    });
    Ok(())
}

/// The D-Bus object.
#[derive(Debug)]
pub struct Adapter {
    state: Arc<AdapterState>,
}

impl Adapter {
    pub(super) fn new(state: Arc<AdapterState>) -> Self {
        Self { state }
    }
}

/// The unique name of who calls.
pub(super) fn caller(header: &Header<'_>) -> String {
    header.sender().map(ToString::to_string).unwrap_or_default()
}

#[interface(name = "org.bluez.Adapter1", introspection_docs = false)]
impl Adapter {
    async fn set_discovery_filter(
        &self,
        properties: HashMap<String, OwnedVariant>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), BluezError> {
        let named = properties.get("UUIDs").and_then(|value| Vec::<String>::try_from(value.clone()).ok());
        let services = named.unwrap_or_default().iter().filter_map(|uuid| Uuid::parse_str(uuid).ok()).collect();
        let mut filters = self.state.filters.lock().expect("no holder panics");
        if filters.len() >= CLIENTS_MAX {
            return Err(BluezError::Failed(format!("{CLIENTS_MAX} clients discover already")));
        }
        filters.insert(caller(&header), services);
        Ok(())
    }

    async fn start_discovery(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: zbus::object_server::SignalEmitter<'_>,
    ) -> Result<(), BluezError> {
        let client = caller(&header);
        if self.state.hung.load(Ordering::Relaxed) {
            return Err(BluezError::Failed("Operation failed".into()));
        }
        {
            let filter = self.state.filters.lock().expect("no holder panics").get(&client).cloned().unwrap_or_default();
            let mut discovering = self.state.discovering.lock().expect("no holder panics");
            if discovering.contains_key(&client) {
                return Err(BluezError::InProgress("Operation already in progress".into()));
            }
            if discovering.len() >= CLIENTS_MAX {
                return Err(BluezError::Failed(format!("{CLIENTS_MAX} clients discover already")));
            }
            discovering.insert(client, filter);
        }
        Ok(self.discovering_changed(&emitter).await?)
    }

    async fn stop_discovery(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: zbus::object_server::SignalEmitter<'_>,
    ) -> Result<(), BluezError> {
        let stopped = self.state.discovering.lock().expect("no holder panics").remove(&caller(&header));
        if stopped.is_none() {
            return Err(BluezError::Failed("No discovery started".into()));
        }
        Ok(self.discovering_changed(&emitter).await?)
    }

    async fn remove_device(&self, device: ObjectPath<'_>) -> Result<(), BluezError> {
        Err(BluezError::NotSupported(format!("{device} stays: simulated devices are never bonded")))
    }

    async fn get_discovery_filters(&self) -> Vec<String> {
        ["UUIDs", "RSSI", "Pathloss", "Transport", "DuplicateData", "Discoverable", "Pattern"].map(Into::into).to_vec()
    }

    #[zbus(property)]
    fn address(&self) -> String {
        ADDRESS.into()
    }

    #[zbus(property)]
    fn address_type(&self) -> String {
        "public".into()
    }

    #[zbus(property)]
    fn name(&self) -> String {
        "vagt-sim".into()
    }

    #[zbus(property)]
    fn alias(&self) -> String {
        "vagt-sim".into()
    }

    #[zbus(property)]
    fn class(&self) -> u32 {
        0
    }

    #[zbus(property)]
    fn powered(&self) -> bool {
        self.state.powered.load(Ordering::Relaxed)
    }

    #[zbus(property)]
    fn set_powered(&self, powered: bool) {
        if !powered {
            self.state.hung.store(false, Ordering::Relaxed);
            self.state.discovering.lock().expect("no holder panics").clear();
        }
        self.state.powered.store(powered, Ordering::Relaxed);
    }

    #[zbus(property)]
    fn discoverable(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn discoverable_timeout(&self) -> u32 {
        180
    }

    #[zbus(property)]
    fn pairable(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn pairable_timeout(&self) -> u32 {
        0
    }

    #[zbus(property)]
    fn discovering(&self) -> bool {
        !self.state.discovering.lock().expect("no holder panics").is_empty()
    }

    #[zbus(property, name = "UUIDs")]
    fn uuids(&self) -> Vec<String> {
        vec![]
    }

    #[zbus(property)]
    fn modalias(&self) -> String {
        "usb:v1D6Bp0246d0542".into()
    }
}
