//! Device1: what BlueZ shows of a device, and its Connect and Disconnect.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{mpsc::WeakSender, oneshot};
use zbus::{
    Connection, ObjectPath, OwnedObjectPath, OwnedVariant, interface, message::Header, object_server::SignalEmitter,
};

use super::{
    BluezError,
    adapter::{self, AdapterState, caller},
    call::Call,
    radio::Shown,
};
use crate::home::fault::Property;

/// The D-Bus object.
#[derive(Debug)]
pub struct Device {
    shown: Arc<Shown>,
    state: Arc<AdapterState>,
    calls: WeakSender<Call>,
}

impl Device {
    pub(super) fn new(shown: Arc<Shown>, state: Arc<AdapterState>, calls: WeakSender<Call>) -> Self {
        Self { shown, state, calls }
    }

    fn unless_hidden<T>(&self, property: Property, value: impl FnOnce() -> T) -> zbus::fdo::Result<T> {
        let hidden = || zbus::fdo::Error::Failed(format!("{property:?} is not known"));
        if self.shown.hides(property) { Err(hidden()) } else { Ok(value()) }
    }
}

/// Hands a call to the device and waits for what it says.
pub(super) async fn ask<T>(
    calls: &WeakSender<Call>,
    call: impl FnOnce(oneshot::Sender<Result<T, BluezError>>) -> Call,
) -> Result<T, BluezError> {
    let gone = || BluezError::Failed("the device is gone".into());
    let (reply, answer) = oneshot::channel();
    calls.upgrade().ok_or_else(gone)?.send(call(reply)).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

#[interface(name = "org.bluez.Device1", introspection_docs = false)]
impl Device {
    async fn connect(&self) -> Result<(), BluezError> {
        ask(&self.calls, |reply| Call::Connect { reply }).await
    }

    async fn disconnect(&self) -> Result<(), BluezError> {
        ask(&self.calls, |reply| Call::Disconnect { reply }).await
    }

    /// As BlueZ does, asks the agent of whoever wants the bond.
    async fn pair(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<(), BluezError> {
        let wanted = self.state.passkey().ok_or_else(|| BluezError::NotSupported("it needs no pairing".into()))?;
        if self.shown.paired() {
            return Err(BluezError::AlreadyExists("Already Exists".into()));
        }
        let given = self.state.agents.passkey(connection, &caller(&header), emitter.path()).await?;
        if given != wanted {
            return Err(BluezError::AuthenticationFailed("Authentication Failed".into()));
        }
        self.shown.pair();
        Ok(self.paired_changed(&emitter).await?)
    }

    #[zbus(property)]
    fn address(&self) -> String {
        self.shown.address.clone()
    }

    #[zbus(property)]
    fn address_type(&self) -> zbus::fdo::Result<String> {
        self.unless_hidden(Property::AddressType, || "random".into())
    }

    /// Absent of a device that never said it.
    #[zbus(property)]
    fn name(&self) -> zbus::fdo::Result<String> {
        self.unless_hidden(Property::Name, || self.shown.name.clone())
    }

    #[zbus(property)]
    fn alias(&self) -> String {
        self.shown.alias()
    }

    #[zbus(property)]
    fn paired(&self) -> bool {
        self.shown.paired()
    }

    #[zbus(property)]
    fn bonded(&self) -> bool {
        self.shown.paired()
    }

    #[zbus(property)]
    fn trusted(&self) -> bool {
        self.shown.trusted()
    }

    #[zbus(property)]
    fn set_trusted(&self, trusted: bool) {
        self.shown.trust(trusted);
    }

    #[zbus(property)]
    fn blocked(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn legacy_pairing(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn connected(&self) -> bool {
        self.shown.connected()
    }

    #[zbus(property)]
    fn services_resolved(&self) -> bool {
        self.shown.resolved()
    }

    /// Absent while the device does not advertise, as BlueZ has it.
    #[zbus(property, name = "RSSI")]
    fn rssi(&self) -> zbus::fdo::Result<i16> {
        self.shown.rssi().ok_or_else(|| zbus::fdo::Error::Failed("not advertising".into()))
    }

    /// Absent of a device that advertises none.
    #[zbus(property)]
    fn service_data(&self) -> zbus::fdo::Result<HashMap<String, OwnedVariant>> {
        let failed = |why: String| zbus::fdo::Error::Failed(why);
        let data = self.shown.service_data().ok_or_else(|| failed("no service data".into()))?;
        let owned = data.into_iter().map(|(service, bytes)| {
            let bytes = OwnedVariant::try_from(bytes).map_err(|error| failed(error.to_string()))?;
            Ok((service, bytes))
        });
        owned.collect()
    }

    #[zbus(property, name = "UUIDs")]
    fn uuids(&self) -> zbus::fdo::Result<Vec<String>> {
        self.unless_hidden(Property::Uuids, || self.shown.uuids())
    }

    #[zbus(property)]
    fn adapter(&self) -> OwnedObjectPath {
        ObjectPath::try_from(adapter::PATH).expect("the constant is a path").into()
    }
}
