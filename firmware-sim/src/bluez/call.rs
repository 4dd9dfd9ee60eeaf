//! What reaches a Bluetooth device, from the bus or from its home, and how it is tuned.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{BluezError, gatt::Live};
use crate::home::{Order, fault::Trouble};

/// How the devices behave.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// How long a device advertises after a measurement.
    pub advertise_for: Duration,
    /// How long it sleeps before it tries again with what it still holds.
    pub rest_for: Duration,
    /// How long it stays connected after its last value.
    pub linger: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { advertise_for: seconds(60), rest_for: seconds(15), linger: Duration::from_millis(800) }
    }
}

/// Where the answer to a call goes.
pub type Reply<T> = oneshot::Sender<Result<T, BluezError>>;

/// What reaches a device: from the bus, or from its home.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields are BlueZ's own words")]
pub enum Call {
    /// Device1.Connect.
    Connect { reply: Reply<()> },
    /// Device1.Disconnect.
    Disconnect { reply: Reply<()> },
    /// ReadValue.
    Read { live: Arc<Live>, reply: Reply<Vec<u8>> },
    /// WriteValue.
    Write { live: Arc<Live>, value: Vec<u8>, reply: Reply<()> },
    /// StartNotify.
    StartNotify { live: Arc<Live>, client: String, reply: Reply<()> },
    /// StopNotify.
    StopNotify { live: Arc<Live>, client: String, reply: Reply<()> },
    /// A client of the bus is gone.
    ClientGone(String),
    /// The home wants something of it.
    Order(Order),
    /// The home makes trouble.
    Trouble(Trouble),
    /// The home wants to know what it holds.
    Inspect,
}
