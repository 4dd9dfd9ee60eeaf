//! Plays `org.bluez` on a private D-Bus: an adapter, devices and their GATT tree, so that a BlueZ client runs here unmodified.
//!
//! `adapter` is Adapter1, `agent` AgentManager1, `device` Device1, `gatt` the service tree; `radio` is what a device's firmware can do to the bus, `firmware`
//! the device itself (when it advertises and when it hangs up), `sending` what it sends, `requests` what it answers, `trouble` what goes wrong.

pub mod adapter;
pub mod agent;
pub mod call;
pub mod device;
pub mod firmware;
pub mod gatt;
pub mod radio;
mod requests;
mod sending;
mod trouble;

use std::sync::Arc;

use tokio::sync::mpsc;
use zbus::{
    Connection, connection,
    fdo::{ObjectManager, RequestNameFlags},
};

use self::{
    adapter::{Adapter, AdapterState},
    agent::AgentManager,
    call::{Call, Tuning},
    firmware::Firmware,
    radio::Radio,
};
use crate::{
    clock::DeviceClock,
    devices::{BleModel, Identity},
    home::truth::Teller,
};

/// The name that BlueZ has on the bus.
pub const BUS_NAME: &str = "org.bluez";

/// Calls and orders that wait for one device, at most.
const CALLS_MAX: usize = 512;

/// Errors as BlueZ names them.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.bluez.Error")]
pub enum BluezError {
    /// The bus itself failed.
    #[zbus(error)]
    Bus(zbus::Error),
    /// It was tried and did not work.
    Failed(String),
    /// There is no link.
    NotConnected(String),
    /// The characteristic can't do this.
    NotSupported(String),
    /// The device refuses it.
    NotPermitted(String),
    /// It is going on already.
    InProgress(String),
    /// It is so already.
    AlreadyExists(String),
    /// The passkey was wrong, or nobody gave one.
    AuthenticationFailed(String),
}

/// Why the bus could not be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No such bus, or the name is taken.
    #[error(
        "could not play {BUS_NAME} on the bus at {address}: start one with `firmware-sim bus --dir DIR`, one home to a bus"
    )]
    Bus {
        /// The address given.
        address: String,
        /// What the bus library says.
        #[source]
        source: Box<zbus::Error>,
    },
}

/// What makes it harder than it has to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trials {
    /// Every device wants to be bonded with, with this passkey, before it lets anybody subscribe.
    pub passkey: Option<u32>,
    /// The adapter hangs: it doesn't discover until it is switched off and on.
    pub hung_adapter: bool,
}

/// A running `org.bluez`.
#[derive(Debug)]
pub struct Bluez {
    connection: Connection,
    adapter: Arc<AdapterState>,
}

impl Bluez {
    /// Serves `org.bluez` with one adapter, `hci0`, on the bus at `address`.
    ///
    /// # Errors
    /// [`StartError`] when the bus can't be reached or somebody plays BlueZ there already.
    pub async fn start(address: &str, trials: Trials) -> Result<Self, StartError> {
        let adapter = Arc::new(AdapterState::new(trials));
        let refused = |source| StartError::Bus { address: address.to_owned(), source: Box::new(source) };
        let connection = serve(address, Arc::clone(&adapter)).await.map_err(refused)?;
        adapter::forget_lost_clients(&connection, &adapter).await.map_err(refused)?;
        Ok(Self { connection, adapter })
    }

    /// Puts a device within reach; it runs until the returned sender is dropped.
    #[must_use]
    pub fn place(
        &self,
        model: &'static BleModel,
        identity: Identity,
        clock: DeviceClock,
        tuning: Tuning,
        teller: Teller,
    ) -> mpsc::Sender<Call> {
        let (calls, inbox) = mpsc::channel(CALLS_MAX);
        let radio = Radio::new(self.connection.clone(), Arc::clone(&self.adapter), model, &identity, calls.downgrade());
        self.adapter.join(calls.downgrade());
        tokio::spawn(Firmware::new(model, identity, clock, tuning, radio, teller).run(inbox));
        calls
    }
}

async fn serve(address: &str, state: Arc<AdapterState>) -> zbus::Result<Connection> {
    let builder = connection::Builder::address(address);
    let builder = builder.serve_at("/", ObjectManager).serve_at(adapter::PATH, Adapter::new(Arc::clone(&state)));
    let connection = builder.serve_at(agent::PATH, AgentManager::new(state)).build().await?;
    // whoever comes second must not wait in the bus's queue for the first to end
    connection.request_name_with_flags(BUS_NAME, RequestNameFlags::DO_NOT_QUEUE).await?;
    Ok(connection)
}
