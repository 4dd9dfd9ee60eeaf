//! GattService1 and GattCharacteristic1: the tree of a connected device, and its description.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use tokio::sync::{mpsc::WeakSender, oneshot};
use uuid::Uuid;
use zbus::{OwnedObjectPath, OwnedVariant, interface, message::Header};

use super::{BluezError, adapter::caller, call::Call, device::ask};

/// The ATT MTU of every link here.
const MTU: u16 = 185;

/// A 16-bit UUID of the Bluetooth SIG in full.
#[must_use]
pub const fn uuid16(short: u16) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_1000_8000_0080_5f9b_34fb | (short as u128) << 96)
}

/// A primary service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its UUID.
    pub uuid: Uuid,
    /// What is in it.
    pub characteristics: Vec<Characteristic>,
}

/// A characteristic.
#[derive(Clone, Debug)]
pub struct Characteristic {
    /// Its UUID.
    pub uuid: Uuid,
    /// BlueZ's words: read, write, notify, indicate.
    pub flags: &'static [&'static str],
    /// Its value at first.
    pub value: Vec<u8>,
}

impl Characteristic {
    /// With these flags and this value at first.
    #[must_use]
    pub fn new(uuid: Uuid, flags: &'static [&'static str], value: &[u8]) -> Self {
        Self { uuid, flags, value: value.to_vec() }
    }

    /// One that can only be read.
    #[must_use]
    pub fn read(uuid: Uuid, value: &[u8]) -> Self {
        Self::new(uuid, &["read"], value)
    }
}

/// A characteristic as it lives on the bus.
#[derive(Debug)]
pub struct Live {
    /// What it is.
    pub described: Characteristic,
    /// Where its service is.
    pub service_path: String,
    /// Where it is.
    pub path: String,
    value: Mutex<Vec<u8>>,
    subscribers: Mutex<BTreeSet<String>>,
}

/// Clients that may subscribe to one characteristic.
const SUBSCRIBERS_MAX: usize = 64;

impl Live {
    pub(super) fn new(described: Characteristic, service_path: String, path: String) -> Self {
        let value = Mutex::new(described.value.clone());
        Self { described, service_path, path, value, subscribers: Mutex::default() }
    }

    /// Its value now.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        self.value.lock().expect("no holder panics").clone()
    }

    pub(super) fn keep(&self, value: &[u8]) {
        *self.value.lock().expect("no holder panics") = value.to_vec();
    }

    /// Whether it can do one of these.
    #[must_use]
    pub fn can(&self, flags: &[&str]) -> bool {
        self.described.flags.iter().any(|flag| flags.contains(flag))
    }

    /// Whether somebody has subscribed.
    #[must_use]
    pub fn notifying(&self) -> bool {
        !self.subscribers.lock().expect("no holder panics").is_empty()
    }

    pub(super) fn subscribe(&self, client: String) -> Result<(), BluezError> {
        if !self.can(&["notify", "indicate"]) {
            return Err(BluezError::NotSupported("Operation is not supported".into()));
        }
        let mut subscribers = self.subscribers.lock().expect("no holder panics");
        if subscribers.len() >= SUBSCRIBERS_MAX {
            return Err(BluezError::Failed(format!("{SUBSCRIBERS_MAX} clients have subscribed already")));
        }
        if subscribers.insert(client) {
            Ok(())
        } else {
            Err(BluezError::InProgress("Operation already in progress".into()))
        }
    }

    pub(super) fn unsubscribe(&self, client: &str) -> bool {
        self.subscribers.lock().expect("no holder panics").remove(client)
    }

    pub(super) fn unsubscribe_all(&self) {
        self.subscribers.lock().expect("no holder panics").clear();
    }
}

/// The D-Bus object of a service.
#[derive(Debug)]
pub struct ServiceObject {
    pub(super) uuid: Uuid,
    pub(super) device: OwnedObjectPath,
}

#[interface(name = "org.bluez.GattService1", introspection_docs = false)]
impl ServiceObject {
    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        self.uuid.to_string()
    }

    #[zbus(property)]
    fn primary(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn device(&self) -> OwnedObjectPath {
        self.device.clone()
    }

    #[zbus(property)]
    fn includes(&self) -> Vec<OwnedObjectPath> {
        vec![]
    }
}

/// The D-Bus object of a characteristic.
#[derive(Debug)]
pub struct CharacteristicObject {
    pub(super) live: Arc<Live>,
    pub(super) calls: WeakSender<Call>,
}

impl CharacteristicObject {
    async fn ask<T>(
        &self,
        call: impl FnOnce(Arc<Live>, oneshot::Sender<Result<T, BluezError>>) -> Call,
    ) -> Result<T, BluezError> {
        ask(&self.calls, |reply| call(Arc::clone(&self.live), reply)).await
    }
}

#[interface(name = "org.bluez.GattCharacteristic1", introspection_docs = false)]
impl CharacteristicObject {
    async fn read_value(&self, _options: HashMap<String, OwnedVariant>) -> Result<Vec<u8>, BluezError> {
        self.ask(|live, reply| Call::Read { live, reply }).await
    }

    async fn write_value(&self, value: Vec<u8>, _options: HashMap<String, OwnedVariant>) -> Result<(), BluezError> {
        self.ask(|live, reply| Call::Write { live, value, reply }).await
    }

    async fn start_notify(&self, #[zbus(header)] header: Header<'_>) -> Result<(), BluezError> {
        let client = caller(&header);
        self.ask(|live, reply| Call::StartNotify { live, client, reply }).await
    }

    async fn stop_notify(&self, #[zbus(header)] header: Header<'_>) -> Result<(), BluezError> {
        let client = caller(&header);
        self.ask(|live, reply| Call::StopNotify { live, client, reply }).await
    }

    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        self.live.described.uuid.to_string()
    }

    #[zbus(property)]
    fn service(&self) -> OwnedObjectPath {
        self.live.service_path.as_str().try_into().expect("made of a device's path and a number")
    }

    #[zbus(property)]
    fn value(&self) -> Vec<u8> {
        self.live.value()
    }

    #[zbus(property)]
    fn notifying(&self) -> bool {
        self.live.notifying()
    }

    #[zbus(property)]
    fn flags(&self) -> Vec<String> {
        self.live.described.flags.iter().map(ToString::to_string).collect()
    }

    #[zbus(property, name = "MTU")]
    fn mtu(&self) -> u16 {
        MTU
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_uuids_in_full() {
        assert_eq!(uuid16(0x2a5e).to_string(), "00002a5e-0000-1000-8000-00805f9b34fb");
    }
}
