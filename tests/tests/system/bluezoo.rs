//! The path over a BlueZ that nobody here wrote: `firmware-sim` registers its device through BlueZ's public API on one adapter of BlueZoo,
//! and `vagt-edge` reads it through btleplug on the other, as over a real radio.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;
use tests::{
    clinic::{Clinic, KitLogin, SOON},
    program::{Running, debian, ours},
};
use tokio::time::{Instant, sleep};

const KITS_ADAPTER: &str = "00:00:00:00:00:01";
const DEVICES_ADAPTER: &str = "00:00:00:00:00:02";

/// A private bus with BlueZoo on it.
struct Air {
    folder: TempDir,
    address: String,
    _bus: Running,
    _bluezoo: Running,
}

impl Air {
    async fn start() -> Result<Self> {
        debian("dbus-daemon", "dbus")?;
        let folder = tempfile::tempdir()?;
        let (path, log) = (folder.path().to_str().context("UTF-8")?.to_owned(), folder.path().join("air.log"));
        let bus = Running::start(&ours("firmware-sim")?, &["bus", "--dir", &path], &[], &log)?;
        let until = Instant::now() + SOON;
        while !folder.path().join("bus").exists() {
            ensure!(Instant::now() < until, "the private bus does not open: {}", fs::read_to_string(&log)?);
            sleep(Duration::from_millis(20)).await;
        }
        let address = format!("unix:path={path}/bus");
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/venv/bin/bluezoo");
        ensure!(program.is_file(), "bluezoo is missing: run `make install-test` (make test does)");
        let args = ["--auto-enable", "--scan-interval", "1", "-a", KITS_ADAPTER, "-a", DEVICES_ADAPTER];
        let bluezoo = Running::start(&program, &args, &[("DBUS_SYSTEM_BUS_ADDRESS", &address)], &log)?;
        Ok(Self { folder, address, _bus: bus, _bluezoo: bluezoo })
    }

    /// The device on its adapter; tried again while BlueZoo is still starting.
    async fn device(&self, kind: &str) -> Result<Running> {
        let args =
            ["peripheral", "--bus", &self.address, "--adapter", "hci1", "--device", kind, "--seed", "7", "--json"];
        let until = Instant::now() + SOON;
        loop {
            let mut device =
                Running::start(&ours("firmware-sim")?, &args, &[], &self.folder.path().join("device.log"))?;
            if device.line_where(|line| line["event"] == "ready").await.is_ok() {
                return Ok(device);
            }
            ensure!(Instant::now() < until, "BlueZoo takes no device:\n{}", self.log());
            sleep(Duration::from_millis(200)).await;
        }
    }

    fn kit(&self, clinic: &Clinic, login: &KitLogin, driver: &str) -> Result<Running> {
        let KitLogin { kit, secret, .. } = login;
        let port = clinic.mqtt_port;
        let config = self.folder.path().join("edge.toml");
        let text = format!(
            "kit = \"{kit}\"\nzone = \"Europe/Copenhagen\"\ndata_dir = \"edge-data\"\nadapter = \"hci0\"\n[broker]\nhost = \"127.0.0.1\"\n\
             port = {port}\nsecret = \"{secret}\"\n[[device]]\ndriver = \"{driver}\"\naddress = \"{DEVICES_ADAPTER}\"\n"
        );
        fs::write(&config, text)?;
        let args = ["run", "--config", config.to_str().context("UTF-8")?];
        let env = [("DBUS_SYSTEM_BUS_ADDRESS", self.address.as_str()), ("RUST_LOG", "info")];
        Running::start(&ours("vagt-edge")?, &args, &env, &self.folder.path().join("edge.log"))
    }

    fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("--- edge\n{}\n--- device\n{}\n--- BlueZoo\n{}", read("edge.log"), read("device.log"), read("air.log"))
    }
}

#[tokio::test]
async fn a_finger_is_read_through_a_bluez_made_by_others() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    clinic.sign_in().await?;
    let air = Air::start().await?;
    let mut device = air.device("oximeter").await?;
    device.tell(&json!({"measure": "oximeter", "spo2": 83, "pulse": 111}).to_string()).await?;
    let _kit = air.kit(&clinic, &login, "gatt-plx")?;
    let alert = clinic.alert_where(|alert| alert["patient"] == "p-1").await.with_context(|| air.log())?;
    assert_eq!(alert["findings"][0]["inputs"][0]["value"], 83, "{alert}");
    let values = super::serial::values_where(&clinic, &login, &["spo2", "pulse"]).await.with_context(|| air.log())?;
    assert_eq!((&values["spo2"], &values["pulse"]), (&vec!["83".to_owned()], &vec!["111".to_owned()]));
    Ok(())
}
