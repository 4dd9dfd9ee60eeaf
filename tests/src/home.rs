//! A home: a private D-Bus, simulated devices that play `org.bluez` and serial ports, and the real `vagt-edge` beside them.

use std::{fmt::Write as _, fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    clinic::{Clinic, KitLogin, SOON},
    program::{Running, debian, ours},
};

/// A home with its kit running.
pub struct Home {
    folder: TempDir,
    login: KitLogin,
    sim: Running,
    edge: Option<Running>,
    devices: Vec<Value>,
    /// What the kit's configuration says of every device besides.
    said: String,
    /// The same, of the devices of one kind.
    said_of: Vec<(String, String)>,
    adapters: Option<String>,
    /// What the kit's configuration says of the broker besides.
    said_of_broker: String,
    /// What the kit has in its environment besides.
    env: Vec<(&'static str, String)>,
    _bus: Running,
}

impl Home {
    /// Switches on `devices` (as `firmware-sim home --devices` names them), remembering so many days, and starts the kit.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(clinic: &Clinic, login: &KitLogin, devices: &str, history_days: u32) -> Result<Self> {
        let mut home = Self::without_kit(login, devices, history_days).await?;
        home.start_edge(clinic.mqtt_port)?;
        Ok(home)
    }

    /// The same, with the kit not started yet.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn without_kit(login: &KitLogin, devices: &str, history_days: u32) -> Result<Self> {
        Self::with_trials(login, devices, history_days, &[]).await
    }

    /// The same, with more arguments of `firmware-sim home`.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn with_trials(login: &KitLogin, devices: &str, history_days: u32, trials: &[&str]) -> Result<Self> {
        debian("dbus-daemon", "dbus")?;
        let folder = tempfile::tempdir()?;
        let path = folder.path().to_str().context("UTF-8")?.to_owned();
        let log = folder.path().join("sim.log");
        let bus = Running::start(&ours("firmware-sim")?, &["bus", "--dir", &path], &[], &log)?;
        let until = Instant::now() + SOON;
        while !folder.path().join("bus").exists() {
            ensure!(Instant::now() < until, "the private bus does not open: {}", fs::read_to_string(&log)?);
            sleep(Duration::from_millis(20)).await;
        }
        let (address, days) = (format!("unix:path={path}/bus"), history_days.to_string());
        let mut args = vec![
            "home",
            "--person",
            "stable",
            "--seed",
            "7",
            "--bus",
            &address,
            "--serial",
            &path,
            "--devices",
            devices,
            "--history-days",
            &days,
            "--live",
            "off",
            "--json",
            "--end-with-stdin",
        ];
        args.extend(trials);
        let mut sim = Running::start(&ours("firmware-sim")?, &args, &[], &log)?;
        let ready = sim.line_where(|line| line["event"] == "ready").await?;
        let devices = ready["devices"].as_array().context("devices")?.clone();
        let (said, said_of, adapters) = (String::new(), Vec::new(), None);
        let (said_of_broker, env) = (String::new(), Vec::new());
        let (login, edge, _bus) = (login.clone(), None, bus);
        Ok(Self { folder, login, sim, edge, devices, said, said_of, adapters, said_of_broker, env, _bus })
    }

    /// Starts the kit (again).
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start_edge(&mut self, mqtt_port: u16) -> Result<()> {
        let config = self.path("edge.toml");
        fs::write(&config, self.edge_config(mqtt_port)?)?;
        let bus = format!("unix:path={}", self.path("bus").display());
        let args = ["run", "--config", config.to_str().context("UTF-8")?];
        let more: Vec<(&str, &str)> = self.env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let env = [&[("DBUS_SYSTEM_BUS_ADDRESS", bus.as_str()), ("RUST_LOG", "info")], &more[..]].concat();
        self.edge = Some(Running::start(&ours("vagt-edge")?, &args, &env, &self.path("edge.log"))?);
        Ok(())
    }

    /// Gives the kit these variables too, from the next start on.
    pub fn set_env(&mut self, env: &[(&'static str, String)]) {
        self.env = env.to_vec();
    }

    /// Has the kit's configuration say this of every device too, from the next start on.
    pub fn say_of_devices(&mut self, lines: &str) {
        self.said = lines.to_owned();
    }

    /// Has it say this of the devices of one kind.
    pub fn say_of(&mut self, kind: &str, lines: &str) {
        self.said_of.push((kind.to_owned(), lines.to_owned()));
    }

    /// Has it say this of the broker.
    pub fn say_of_broker(&mut self, lines: &str) {
        self.said_of_broker = lines.to_owned();
    }

    /// Has the kit use these adapters (TOML), from the next start on.
    pub fn use_adapters(&mut self, adapters: &str) {
        self.adapters = Some(adapters.to_owned());
    }

    /// Leaves the devices out of the kit's configuration; returns what was known of them.
    pub fn forget_devices(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.devices)
    }

    /// Runs a command of `vagt-edge` in this home, and returns what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn edge_command(&self, args: &[&str]) -> Result<String> {
        let bus = format!("unix:path={}", self.path("bus").display());
        let mut command = tokio::process::Command::new(ours("vagt-edge")?);
        let output = command.args(args).env("DBUS_SYSTEM_BUS_ADDRESS", bus).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "vagt-edge {args:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The same, for a kit that enrols first: its configuration holds its devices and a clinic that is not there. Gives what it says.
    ///
    /// # Errors
    /// When it is refused, or can't be started.
    pub async fn enrol_and_start(&mut self, code: &str, clinic: &str) -> Result<Value> {
        let config = self.path("edge.toml");
        fs::write(&config, self.edge_config(1)?)?;
        let folder = self.folder.path().to_str().context("UTF-8")?.to_owned();
        let args = ["enrol", code, "--clinic", clinic, "--out", &folder, "--json"];
        let mut enrol = Running::start(&ours("vagt-edge")?, &args, &[], &self.path("enrol.log"))?;
        let said = enrol.line_where(|line| line["kit"].is_string()).await.with_context(|| self.log())?;
        let bus = format!("unix:path={}", self.path("bus").display());
        let args = ["run", "--config", config.to_str().context("UTF-8")?];
        let env = [("DBUS_SYSTEM_BUS_ADDRESS", bus.as_str()), ("RUST_LOG", "info")];
        self.edge = Some(Running::start(&ours("vagt-edge")?, &args, &env, &self.path("edge.log"))?);
        Ok(said)
    }

    /// `kill -9` of the kit.
    ///
    /// # Errors
    /// When it was not running.
    pub async fn kill_9_edge(&mut self) -> Result<()> {
        self.edge.take().context("it is running")?.kill_9().await
    }

    /// Is the kit still running?
    ///
    /// # Errors
    /// When that can't be asked.
    pub fn edge_is_running(&mut self) -> Result<bool> {
        self.edge.as_mut().context("started")?.is_running()
    }

    /// Has a device measure, or go wrong: a line as `firmware-sim home --help` describes.
    ///
    /// # Errors
    /// When the home no longer listens, or refuses.
    pub async fn tell(&mut self, command: &Value) -> Result<Value> {
        self.sim.tell(&command.to_string()).await?;
        let answers = |line: &Value| match line["event"].as_str() {
            Some("measured") => line["story_day"].is_null(),
            event => matches!(event, Some("fault" | "refused" | "inspected")),
        };
        let line = self.sim.line_where(answers).await?;
        if line["event"] == "refused" {
            bail!("the home refuses: {line}");
        }
        Ok(line)
    }

    /// The next line of the truth that is of this event of a device.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn happens(&mut self, event: &str, device: &str) -> Result<Value> {
        let happened = self.sim.line_where(|line| line["event"] == event && line["device"] == device).await;
        happened.with_context(|| format!("no {event:?} of the {device}\n{}", self.log()))
    }

    /// The next line of the truth that is of one of these events, of any device.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn happens_any(&mut self, events: &[&str]) -> Result<Value> {
        let wanted = |line: &Value| line["event"].as_str().is_some_and(|event| events.contains(&event));
        self.sim.line_where(wanted).await.with_context(|| format!("none of {events:?}\n{}", self.log()))
    }

    /// Looks into a Bluetooth device until what it holds satisfies `wanted`.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn holds(&mut self, device: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let until = Instant::now() + SOON;
        loop {
            let held = self.tell(&json!({ "inspect": device })).await?;
            if wanted(&held) {
                return Ok(held);
            }
            ensure!(Instant::now() < until, "the {device} holds {held}\n{}", self.log());
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// A path in the home's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the kit has logged, for a failing test's message.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.path(name)).unwrap_or_default();
        format!("--- enrol\n{}\n--- edge\n{}\n--- devices\n{}", read("enrol.log"), read("edge.log"), read("sim.log"))
    }

    fn edge_config(&self, mqtt_port: u16) -> Result<String> {
        let KitLogin { kit, secret, .. } = &self.login;
        let adapters = self.adapters.as_ref().map_or_else(String::new, |adapters| format!("adapters = {adapters}"));
        let mut text = format!(
            "# The kit of a simulated home.\nkit = \"{kit}\"\nzone = \"Europe/Copenhagen\"\ndata_dir = \"edge-data\"\n\
             {adapters}\n[broker]\nhost = \"127.0.0.1\"\nport = {mqtt_port}\nsecret = \"{secret}\"\nkeep_alive_seconds = 5\n{}",
            self.said_of_broker
        );
        for device in &self.devices {
            let kind = device["device"].as_str().context("device")?;
            let (driver, link) = match kind {
                "oximeter" => ("gatt-plx", "address"),
                "thermometer" => ("gatt-thermometer", "address"),
                "cuff" => ("gatt-blood-pressure", "address"),
                "scale" => ("gatt-weight", "address"),
                "mi-scale" => ("xiaomi-scale", "address"),
                "glucose" => ("gatt-glucose", "address"),
                "body-scale" => ("gatt-body-composition", "address"),
                "health-sensor" => ("gatt-ghs", "address"),
                "nonin-3230" => ("nonin-3230", "address"),
                "nonin" => ("nonin-df2", "path"),
                "spirometer" => ("contec-sp10", "path"),
                "phd-scale" | "peak-flow" => ("phd-20601", "path"),
                other => bail!("no driver for {other}"),
            };
            let field = if link == "address" { "address" } else { "port" };
            let at = device[field].as_str().with_context(|| format!("{field} in {device}"))?;
            writeln!(text, "[[device]]\ndriver = \"{driver}\"\n{link} = \"{at}\"\n{}", self.said)?;
            for (_, said) in self.said_of.iter().filter(|(of, _)| of == kind) {
                writeln!(text, "{said}")?;
            }
        }
        Ok(text)
    }
}
