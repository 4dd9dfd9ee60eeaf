//! Which devices are attended to: a link for each, and a configuration that is changed while the agent runs.
//!
//! The file is looked at every [`LOOK_EVERY`], and at once on SIGHUP. Only what changed is stopped and started; a file that can't be used
//! is said and changes nothing. Everything but the devices and adapters is taken on at the next start.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use crate::{
    config::{self, Adapters, Devices, SerialDevice},
    identity::device_id,
    link::{self, Links},
    parts::Parts,
};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Attends to the devices until the kit stops.
pub async fn run(links: Links, file: PathBuf, adapters: Adapters, devices: Devices) {
    let mut attended = Attended::new(links.clone());
    let mut seen = stamp(&file);
    attended.take_on(adapters, devices).await;
    let mut hang_up = signal(SignalKind::hangup()).ok();
    loop {
        let asked = tokio::select! {
            () = links.stop.cancelled() => break,
            () = sleep(LOOK_EVERY) => false,
            () = asked(&mut hang_up) => true,
        };
        let found = stamp(&file);
        if found.is_some() && (asked || found != seen) {
            attended.reload(&file).await;
        }
        seen = found.or(seen);
    }
    attended.stop_all().await;
}

async fn asked(hang_up: &mut Option<Signal>) {
    match hang_up {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// When the file was changed, and its length: what tells that it was.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let found = fs::metadata(file).ok()?;
    Some((found.modified().ok()?, found.len()))
}

/// A link that runs.
struct Running {
    links: Links,
    parts: Parts,
}

impl Running {
    fn new(links: &Links) -> Self {
        let links = Links { stop: links.stop.child_token(), ..links.clone() };
        Self { parts: Parts::new(links.board.clone(), links.stop.clone()), links }
    }

    async fn stop(mut self) {
        self.links.stop.cancel();
        self.parts.all_stopped().await;
    }
}

struct Attended {
    links: Links,
    adapters: Adapters,
    devices: Devices,
    bluetooth: Option<Running>,
    serial: BTreeMap<String, (SerialDevice, Running)>,
}

impl Attended {
    fn new(links: Links) -> Self {
        let (adapters, devices) = (Adapters::default(), Devices::default());
        Self { links, adapters, devices, bluetooth: None, serial: BTreeMap::new() }
    }

    async fn reload(&mut self, file: &Path) {
        match config::load(file) {
            Ok(settings) => {
                self.links.board.problem("configuration", None);
                if (&settings.adapters, &settings.devices) != (&self.adapters, &self.devices) {
                    tracing::info!(devices = settings.devices.len(), "the devices of the configuration were taken on");
                    self.take_on(settings.adapters, settings.devices).await;
                }
            }
            Err(error) => {
                let sentence = format!("{error}; the kit goes on with what it had");
                self.links.board.problem("configuration", Some(sentence));
            }
        }
    }

    async fn take_on(&mut self, adapters: Adapters, devices: Devices) {
        self.pin(&devices);
        for device in &self.devices.serial {
            if !devices.serial.contains(device)
                && let Some((_, running)) = self.serial.remove(&device.key())
            {
                running.stop().await;
            }
        }
        for device in devices.serial.iter().filter(|device| !self.devices.serial.contains(device)) {
            self.serial.insert(device.key(), (device.clone(), self.start_serial(device)));
        }
        if devices.ble != self.devices.ble || adapters != self.adapters {
            if let Some(running) = self.bluetooth.take() {
                running.stop().await;
            }
            self.bluetooth = (!devices.ble.is_empty()).then(|| self.start_bluetooth(&adapters, &devices));
        }
        (self.adapters, self.devices) = (adapters, devices);
    }

    /// The board shows the devices that are configured, and keeps what it knows of those that stay.
    fn pin(&self, devices: &Devices) {
        let (was, is) = (pinned(&self.devices), pinned(devices));
        for (key, _) in was.iter().filter(|(key, id)| is.get(*key) != Some(id)) {
            self.links.board.forget(key);
        }
        for (key, id) in is.into_iter().filter(|(key, id)| was.get(key) != Some(id)) {
            self.links.board.expect(&key, id);
        }
    }

    fn start_serial(&self, device: &SerialDevice) -> Running {
        let mut running = Running::new(&self.links);
        let (links, device) = (running.links.clone(), device.clone());
        running.parts.start("serial", move || link::serial::run(links.clone(), device.clone()));
        running
    }

    fn start_bluetooth(&self, adapters: &Adapters, devices: &Devices) -> Running {
        let mut running = Running::new(&self.links);
        let (links, adapters, devices) = (running.links.clone(), adapters.clone(), devices.ble.clone());
        running.parts.start("bluetooth", move || link::ble::run(links.clone(), adapters.clone(), devices.clone()));
        running
    }

    async fn stop_all(self) {
        for running in self.bluetooth.into_iter().chain(self.serial.into_values().map(|(_, running)| running)) {
            running.stop().await;
        }
    }
}

/// The devices as the board shows them before they are heard.
fn pinned(devices: &Devices) -> BTreeMap<String, vitals::DeviceId> {
    let ble = devices.ble.iter().map(|device| (device.key().to_owned(), device_id(device.driver, device.key())));
    let serial = devices.serial.iter().map(|device| (device.key(), device_id(device.driver, &device.name)));
    ble.chain(serial).collect()
}
