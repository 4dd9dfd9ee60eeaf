//! A home: a private D-Bus, simulated devices that play `org.bluez` and serial ports, and the real `vagt-edge` beside them.

use std::{fmt::Write as _, fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
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
        let args = [
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
        let mut sim = Running::start(&ours("firmware-sim")?, &args, &[], &log)?;
        let ready = sim.line_where(|line| line["event"] == "ready").await?;
        let devices = ready["devices"].as_array().context("devices")?.clone();
        Ok(Self { folder, login: login.clone(), sim, edge: None, devices, _bus: bus })
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
        let env = [("DBUS_SYSTEM_BUS_ADDRESS", bus.as_str()), ("RUST_LOG", "info")];
        self.edge = Some(Running::start(&ours("vagt-edge")?, &args, &env, &self.path("edge.log"))?);
        Ok(())
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
            event => matches!(event, Some("fault" | "refused")),
        };
        let line = self.sim.line_where(answers).await?;
        if line["event"] == "refused" {
            bail!("the home refuses: {line}");
        }
        Ok(line)
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
        format!("--- edge\n{}\n--- devices\n{}", read("edge.log"), read("sim.log"))
    }

    fn edge_config(&self, mqtt_port: u16) -> Result<String> {
        let KitLogin { kit, secret, .. } = &self.login;
        let mut text = format!(
            "# The kit of a simulated home.\nkit = \"{kit}\"\nzone = \"Europe/Copenhagen\"\ndata_dir = \"edge-data\"\n\
             [broker]\nhost = \"127.0.0.1\"\nport = {mqtt_port}\nsecret = \"{secret}\"\nkeep_alive_seconds = 5\n"
        );
        for device in &self.devices {
            let kind = device["device"].as_str().context("device")?;
            let (driver, link) = match kind {
                "oximeter" => ("gatt-plx", "address"),
                "thermometer" => ("gatt-thermometer", "address"),
                "cuff" => ("gatt-blood-pressure", "address"),
                "scale" => ("gatt-weight", "address"),
                "nonin" => ("nonin-df2", "path"),
                "spirometer" => ("contec-sp10", "path"),
                other => bail!("no driver for {other}"),
            };
            let field = if link == "address" { "address" } else { "port" };
            let at = device[field].as_str().with_context(|| format!("{field} in {device}"))?;
            writeln!(text, "[[device]]\ndriver = \"{driver}\"\n{link} = \"{at}\"")?;
        }
        Ok(text)
    }
}
