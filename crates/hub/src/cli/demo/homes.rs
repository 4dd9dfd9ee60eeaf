//! The simulated homes: who lives there, with which devices, and how one is started: a private D-Bus, the simulated devices on it, and a
//! kit's agent, which is the real one.

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Kit, Patient};
use tokio::process::Command;

use super::helper::{Helper, ends_with_us};
use crate::{
    cli::{Ended, secret, sibling},
    directory::hex,
};

/// Where the first home's page is, if nothing else is there.
const KIOSK_PORT: u16 = 8088;
/// Days of measurements that the devices hold at the start.
const HISTORY_DAYS: u32 = 14;

/// One row of [`HOMES`].
pub struct Home {
    /// The person, as the simulation calls the story.
    pub person: &'static str,
    /// Shown to staff.
    pub name: &'static str,
    /// Year of birth.
    pub born: i16,
    /// The devices, as the simulation calls them.
    pub devices: &'static str,
    /// Where in the story the demonstration begins; at 0 it begins to move.
    pub start_day: i32,
    /// Measurements were expected of this person in the last fortnight too.
    pub expected_before: bool,
    /// The programmes.
    pub programmes: &'static [&'static str],
    /// The risk level.
    pub stratum: Option<&'static str>,
}

/// Everybody in the demonstration. None of these people exist.
pub const HOMES: &[Home] = &[
    home("stable", "Astrid (simulated, stable)", 1948, "oximeter,thermometer,cuff,scale,spirometer", 0),
    home("exacerbating", "Bent (simulated, getting worse)", 1944, "oximeter,thermometer,spirometer", 0),
    Home {
        programmes: &["copd", "heart-failure"],
        stratum: Some("discharged"),
        ..home("fluid", "Clara (simulated, retaining fluid)", 1951, "nonin,cuff,scale", 0)
    },
    Home { expected_before: true, ..home("silent", "Ditlev (simulated, has fallen silent)", 1939, "oximeter", 10) },
    home("cold-finger", "Ellen (simulated, cold fingers)", 1946, "oximeter,thermometer", 0),
];

const fn home(person: &'static str, name: &'static str, born: i16, devices: &'static str, start_day: i32) -> Home {
    Home { person, name, born, devices, start_day, expected_before: false, programmes: &["copd"], stratum: None }
}

/// The programs of the project that homes need.
pub struct Programs {
    simulation: PathBuf,
    agent: PathBuf,
}

impl Programs {
    /// Finds them.
    ///
    /// # Errors
    /// One is missing: what to do.
    pub fn find() -> Result<Self, Ended> {
        if sibling::on_path("dbus-daemon").is_none() {
            return Err(Ended::Failed("dbus-daemon is not installed: apt-get install dbus".into()));
        }
        Ok(Self { simulation: sibling::find("firmware-sim")?, agent: sibling::find("vagt-edge")? })
    }
}

/// One home, ready to be started.
pub struct Prepared {
    home: &'static Home,
    number: usize,
    secret: String,
    folder: PathBuf,
    data: PathBuf,
    kiosk: SocketAddr,
}

impl Prepared {
    /// Everybody of the list, each with a fresh secret. `run` is short-lived and has a short path, `data` is kept.
    pub fn all(run: &Path, data: &Path) -> Vec<Self> {
        let prepare = |(index, home): (usize, &'static Home)| {
            let number = index + 1;
            let folder = run.join(number.to_string());
            let kiosk = free_for_kiosk(if index == 0 { KIOSK_PORT } else { 0 });
            Self { home, number, secret: secret::new(), folder, data: data.join(format!("kit-{number}")), kiosk }
        };
        HOMES.iter().enumerate().map(prepare).collect()
    }

    /// Who lives there.
    pub fn name(&self) -> &'static str {
        self.home.name
    }

    /// The address of the kit's page.
    pub fn kiosk(&self) -> SocketAddr {
        self.kiosk
    }

    /// The roster's patient. Measurements are expected from now on, or since long enough that one is missing.
    pub fn patient(&self, now: Timestamp) -> Patient {
        Patient {
            id: format!("p-{}", self.number).parse().expect("a letter, a hyphen and a number"),
            name: self.home.name.to_owned(),
            born: Some(self.home.born),
            programmes: self.home.programmes.iter().map(|id| (*id).to_owned()).collect(),
            stratum: self.home.stratum.map(str::to_owned),
            own: serde_json::Value::Null,
            simulated: true,
            since: Some(if self.home.expected_before { four_days_before(now) } else { now }),
        }
    }

    /// The roster's kit, handed out before the oldest measurement that its devices hold.
    pub fn kit(&self, now: Timestamp) -> Kit {
        Kit {
            id: self.kit_id().parse().expect("letters, a hyphen and a number"),
            patient: Some(self.patient(now).id),
            patients: Vec::new(),
            secret_sha256: hex(&Sha256::digest(self.secret.as_bytes())),
            since: Some(fortnight_before(now)),
            devices: Vec::new(),
            revoked: false,
        }
    }

    fn kit_id(&self) -> String {
        format!("kit-{}", self.number)
    }

    /// Starts the home; its programs.
    ///
    /// # Errors
    /// A program does not come up; with its last words.
    pub async fn start(
        &self,
        programs: &Programs,
        broker: std::net::SocketAddr,
        day_seconds: f64,
    ) -> anyhow::Result<Vec<Helper>> {
        std::fs::create_dir_all(&self.folder).with_context(|| self.folder.display().to_string())?;
        let mut command = Command::new(&programs.simulation);
        command.args(["bus", "--end-with-stdin", "--dir"]).arg(&self.folder);
        let mut bus = self.helper("bus", 2, &mut command)?;
        let address = bus.says(|line| line.starts_with("unix:").then(|| line.to_owned())).await?;
        let mut devices = self.helper("devices", 1, &mut self.simulation(programs, &address, day_seconds))?;
        let Ready { devices: found, .. } = devices.says(|line| serde_json::from_str(line).ok()).await?;
        let config = self.configure(&found, broker)?;
        let mut agent = ends_with_us(&programs.agent);
        agent.args(["run", "--config"]).arg(config).env("DBUS_SYSTEM_BUS_ADDRESS", address);
        let agent = self.helper("agent", 0, &mut agent)?;
        Ok(vec![bus, devices, agent])
    }

    fn helper(&self, what: &str, turn: u8, command: &mut Command) -> anyhow::Result<Helper> {
        Helper::start(&format!("{what}-{}", self.number), turn, command, &self.folder)
    }

    fn simulation(&self, programs: &Programs, bus: &str, day_seconds: f64) -> Command {
        let Home { person, devices, start_day, .. } = self.home;
        let mut command = Command::new(&programs.simulation);
        command.args(["home", "--json", "--end-with-stdin", "--bus", bus, "--person", person, "--devices", devices]);
        command.arg("--serial").arg(&self.folder);
        command.arg(format!("--seed={}", self.number)).arg(format!("--start-day={start_day}"));
        command.arg(format!("--history-days={HISTORY_DAYS}")).arg(format!("--day-seconds={day_seconds}"));
        command
    }

    /// Writes the agent's configuration and secret.
    fn configure(&self, devices: &[SimDevice], broker: std::net::SocketAddr) -> anyhow::Result<PathBuf> {
        let secret_file = self.folder.join("secret");
        let mut secret = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&secret_file)?;
        std::io::Write::write_all(&mut secret, self.secret.as_bytes())?;
        let edge = Edge {
            kit: self.kit_id(),
            zone: super::ZONE,
            data_dir: &self.data,
            person: self.home.name.split(' ').next().unwrap_or_default(),
            kiosk: Kiosk { listen: self.kiosk.to_string(), language: "en" },
            broker: Broker { host: broker.ip().to_string(), port: broker.port(), secret_file: &secret_file },
            device: devices.iter().filter_map(EdgeDevice::of).collect(),
        };
        let path = self.folder.join("edge.toml");
        std::fs::write(&path, toml::to_string(&edge)?).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

/// A loopback address that is free now: with this port if that is free, else with any.
fn free_for_kiosk(port: u16) -> SocketAddr {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr());
    free(port).or_else(|_| free(0)).unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], port)))
}

/// In any four days the plan's Monday, Wednesday and Friday hold a measurement that is overdue by now.
fn four_days_before(now: Timestamp) -> Timestamp {
    now - SignedDuration::from_hours(4 * 24)
}

/// Before the oldest measurement that a device holds.
fn fortnight_before(now: Timestamp) -> Timestamp {
    now - SignedDuration::from_hours(24 * i64::from(HISTORY_DAYS + 1))
}

/// What the simulation says when its devices are there.
#[derive(Deserialize)]
struct Ready {
    #[serde(rename = "event")]
    _event: ReadyEvent,
    devices: Vec<SimDevice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReadyEvent {
    Ready,
}

#[derive(Deserialize)]
struct SimDevice {
    device: String,
    serial: String,
    address: Option<String>,
    port: Option<PathBuf>,
}

/// The agent's configuration.
#[derive(Serialize)]
struct Edge<'a> {
    kit: String,
    zone: &'a str,
    data_dir: &'a Path,
    person: &'a str,
    kiosk: Kiosk,
    broker: Broker<'a>,
    device: Vec<EdgeDevice<'a>>,
}

#[derive(Serialize)]
struct Kiosk {
    listen: String,
    language: &'static str,
}

#[derive(Serialize)]
struct Broker<'a> {
    host: String,
    port: u16,
    secret_file: &'a Path,
}

#[derive(Serialize)]
struct EdgeDevice<'a> {
    driver: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

impl<'a> EdgeDevice<'a> {
    fn of(found: &'a SimDevice) -> Option<Self> {
        let driver = driver(&found.device)?;
        let name = found.port.as_ref().map(|_| found.serial.as_str());
        Some(Self { driver, address: found.address.as_deref(), path: found.port.as_deref(), name })
    }
}

/// What reads a simulated device.
fn driver(device: &str) -> Option<&'static str> {
    let name = match device {
        "oximeter" => "gatt-plx",
        "thermometer" => "gatt-thermometer",
        "cuff" => "gatt-blood-pressure",
        "scale" => "gatt-weight",
        "nonin" => "nonin-df2",
        "spirometer" => "contec-sp10",
        _ => return None,
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_of_every_home_has_a_driver_and_every_name_says_simulated() {
        for home in HOMES {
            assert!(home.name.contains("simulated"), "{}", home.name);
            for device in home.devices.split(',') {
                let name = driver(device).unwrap_or_else(|| panic!("{device} has no driver"));
                assert!(drivers::find(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn the_agents_configuration_is_of_its_form() {
        let line = r#"{"event":"ready","devices":[{"address":"C0:FF:EE:00:00:01","device":"oximeter","serial":"S-1"},
            {"device":"nonin","port":"/tmp/n","serial":"S-2"}]}"#;
        let ready: Ready = serde_json::from_str(line).unwrap();
        let devices: Vec<_> = ready.devices.iter().filter_map(EdgeDevice::of).collect();
        let text = toml::to_string(&Edge {
            kit: "kit-1".into(),
            zone: "UTC",
            data_dir: Path::new("d"),
            person: "Astrid",
            kiosk: Kiosk { listen: "127.0.0.1:8088".into(), language: "en" },
            broker: Broker { host: "127.0.0.1".into(), port: 1, secret_file: Path::new("s") },
            device: devices,
        });
        let read: toml::Table = text.unwrap().parse().unwrap();
        assert_eq!(read["device"][0]["address"].as_str(), Some("C0:FF:EE:00:00:01"));
        assert_eq!(read["device"][1]["name"].as_str(), Some("S-2"));
        assert_eq!(read["kiosk"]["listen"].as_str(), Some("127.0.0.1:8088"));
        assert!(serde_json::from_str::<Ready>(&line.replace("ready", "measured")).is_err());
    }
}
