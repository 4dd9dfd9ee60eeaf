//! One Bluetooth adapter: discovery and connecting, of which only one goes on at a time, and switching it off and on when it hangs.

use std::{
    sync::Mutex as StdMutex,
    time::{Duration, Instant},
};

use bluez_async::BluetoothSession;
use btleplug::{
    api::{Central as _, Manager as _, Peripheral as _, ScanFilter},
    platform::{Adapter, Manager, Peripheral},
};
use tokio::{
    sync::{Mutex, Notify},
    time::{sleep, timeout},
};

/// For one call to BlueZ.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// Beyond that, from a link that is up to known services; other devices can be heard meanwhile.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(15);
/// A hung adapter stays switched off for this long.
const OFF_FOR: Duration = Duration::from_secs(2);

/// What could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What and why, in one sentence.
    pub sentence: String,
    /// The adapter did not answer, or can't discover: it may have to be switched off and on.
    pub hung: bool,
}

impl Failure {
    /// One that switching the adapter off and on would not mend.
    pub fn plain(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), hung: false }
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.sentence
    }
}

/// The adapter, of which only one task at a time may start and stop discovery or connect.
pub struct Radio {
    pub adapter: Adapter,
    /// Its name, `hci0`.
    pub name: String,
    filter: ScanFilter,
    /// Discovery could not be started again after connecting.
    pub deaf: Notify,
    busy: Mutex<()>,
    /// When anything was last heard of it.
    alive_at: StdMutex<Instant>,
}

/// The names of all adapters.
pub async fn names(manager: &Manager) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for adapter in call("BlueZ does not answer", manager.adapters()).await? {
        names.push(name_of(&adapter).await?);
    }
    Ok(names)
}

async fn name_of(adapter: &Adapter) -> Result<String, Failure> {
    let info = call("an adapter does not answer", adapter.adapter_info()).await?;
    let path = info.split(' ').next().unwrap_or_default();
    Ok(path.rsplit('/').next().unwrap_or_default().to_owned())
}

impl Radio {
    /// The adapter of this name, or the first.
    pub async fn open(manager: &Manager, wanted: Option<&str>, filter: ScanFilter) -> Result<Self, Failure> {
        for adapter in call("BlueZ does not answer", manager.adapters()).await? {
            let name = name_of(&adapter).await?;
            if wanted.is_none_or(|wanted| name == wanted) {
                let alive_at = StdMutex::new(Instant::now());
                return Ok(Self { adapter, name, filter, deaf: Notify::new(), busy: Mutex::default(), alive_at });
            }
        }
        let sentence =
            wanted.map_or_else(|| "there is no adapter".to_owned(), |wanted| format!("there is no adapter {wanted}"));
        Err(Failure::plain(sentence))
    }

    /// Starts discovery.
    pub async fn listen(&self) -> Result<(), Failure> {
        let _busy = self.busy.lock().await;
        self.start().await
    }

    /// Starts discovery anew, unless a device is being connected to.
    pub async fn listen_anew(&self) -> Result<(), Failure> {
        let Ok(_busy) = self.busy.try_lock() else { return Ok(()) };
        self.stop().await;
        self.start().await
    }

    /// Stops discovery, if it goes on.
    pub async fn stop(&self) {
        let stopped = timeout(CALL_DEADLINE, self.adapter.stop_scan()).await;
        tracing::debug!(stopped = matches!(stopped, Ok(Ok(()))), "bluetooth: discovery stopped");
    }

    /// Connects, with discovery stopped until the link is up, and waits until the device's services are known.
    pub async fn connect(&self, peripheral: &Peripheral) -> Result<(), Failure> {
        match self.link_up(peripheral).await {
            Err(failure) if failure.hung && is_connected(peripheral).await => {
                within(RESOLVE_DEADLINE, "the device does not tell its services", peripheral.connect()).await
            }
            linked => linked,
        }
    }

    async fn link_up(&self, peripheral: &Peripheral) -> Result<(), Failure> {
        let _busy = self.busy.lock().await;
        self.stop().await;
        let connected = call("can't connect", peripheral.connect()).await;
        if let Err(failure) = self.start().await {
            tracing::warn!(problem = failure.sentence, "bluetooth: deaf");
            self.deaf.notify_one();
        }
        connected
    }

    /// Something was heard of it.
    pub fn alive(&self) {
        *self.alive_at.lock().expect("no code panics while it holds the time") = Instant::now();
    }

    /// How long nothing has been heard of it.
    pub fn silent_for(&self) -> Duration {
        self.alive_at.lock().expect("no code panics while it holds the time").elapsed()
    }

    /// An adapter that can't discover, for whatever reason it gives, is of no use as it is.
    async fn start(&self) -> Result<(), Failure> {
        let started = call("can't listen for devices", self.adapter.start_scan(self.filter.clone())).await;
        started.map_err(|failure| Failure { hung: true, ..failure })
    }
}

async fn is_connected(peripheral: &Peripheral) -> bool {
    matches!(timeout(CALL_DEADLINE, peripheral.is_connected()).await, Ok(Ok(true)))
}

/// Switches an adapter off and on again. Bonds are kept.
pub async fn power_cycle(wanted: Option<&str>) -> Result<(), Failure> {
    let session = call("no system bus", BluetoothSession::new()).await?.1;
    let adapters = call("BlueZ does not answer", session.get_adapters()).await?;
    let named = |path: String| wanted.is_none_or(|wanted| path.rsplit('/').next() == Some(wanted));
    let adapter = adapters.into_iter().find(|adapter| named(adapter.id.to_string()));
    let adapter = adapter.ok_or_else(|| Failure::plain("there is no such adapter"))?;
    // One that hangs may not answer to this either; what counts is that it can be switched on.
    let off = call("can't switch it off", session.set_powered(&adapter.id, false)).await;
    tracing::warn!(adapter = %adapter.id, off = off.is_ok(), "bluetooth: switched off and on");
    sleep(OFF_FOR).await;
    call("can't switch it on", session.set_powered(&adapter.id, true)).await
}

/// The outcome of a call to BlueZ.
pub async fn call<T, E: std::fmt::Display>(
    what: &str,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    within(CALL_DEADLINE, what, future).await
}

/// The outcome of a call, or a sentence that says what could not be done and why.
pub async fn within<T, E: std::fmt::Display>(
    deadline: Duration,
    what: &str,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match timeout(deadline, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::plain(format!("{what}: {error}"))),
        Err(_) => Err(Failure { sentence: format!("{what}: no answer within {} s", deadline.as_secs()), hung: true }),
    }
}
