//! Bluetooth as it makes trouble: devices that want to be bonded with, an adapter that hangs, clocks that are off, a device that is added
//! while the kit runs.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::json;
use store::Store;
use tests::{
    clinic::{Clinic, KitLogin, SOON},
    home::Home,
};
use tokio::time::{Duration, Instant, sleep};

use super::serial::values_where;

/// Waits until the kit's log has this in it.
pub async fn logged(home: &Home, wanted: &str) -> Result<()> {
    let until = Instant::now() + SOON;
    while !home.log().contains(wanted) {
        ensure!(Instant::now() < until, "want {wanted:?} in\n{}", home.log());
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_device_that_wants_a_bond_is_bonded_with_by_its_passkey_and_read() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::with_trials(&login, "oximeter", 0, &["--passkey", "123456"]).await?;
    home.say_of_devices("passkey = 123456");
    home.start_edge(clinic.mqtt_port)?;
    home.tell(&json!({"measure": "oximeter", "spo2": 93, "pulse": 71})).await?;
    let values = values_where(&clinic, &login, &["spo2"]).await.with_context(|| home.log())?;
    assert_eq!(values["spo2"], ["93"]);
    home.tell(&json!({"measure": "oximeter", "spo2": 94, "pulse": 71})).await?;
    let until = Instant::now() + SOON;
    while values_where(&clinic, &login, &["spo2"]).await?["spo2"].len() < 2 {
        ensure!(Instant::now() < until, "{}", home.log());
    }
    assert_eq!(home.log().matches("bluetooth: bonded").count(), 1, "{}", home.log());
    Ok(())
}

#[tokio::test]
async fn a_wrong_passkey_is_said_and_nothing_is_read() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::with_trials(&login, "oximeter", 0, &["--passkey", "123456"]).await?;
    home.say_of_devices("passkey = 654321");
    home.start_edge(clinic.mqtt_port)?;
    home.tell(&json!({"measure": "oximeter", "spo2": 93, "pulse": 71})).await?;
    logged(&home, "can't bond: ").await?;
    let store = clinic.store().await?;
    assert!(store.messages(&login.patient, Timestamp::UNIX_EPOCH).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_adapter_that_hangs_is_switched_off_and_on() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::with_trials(&login, "oximeter", 0, &["--hung-adapter"]).await?;
    home.start_edge(clinic.mqtt_port)?;
    logged(&home, "the adapter hung and was switched off and on once since the start").await?;
    home.tell(&json!({"measure": "oximeter", "spo2": 93, "pulse": 71})).await?;
    let values = values_where(&clinic, &login, &["spo2"]).await.with_context(|| home.log())?;
    assert_eq!(values["spo2"], ["93"]);
    Ok(())
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_corrected_by_what_it_shows() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "cuff", 0).await?;
    home.tell(&json!({"fault": "clock", "device": "cuff", "offset_seconds": -3600})).await?;
    home.tell(&json!({"measure": "cuff", "systolic": 131, "diastolic": 82, "pulse": 72})).await?;
    home.start_edge(clinic.mqtt_port)?;
    values_where(&clinic, &login, &["systolic"]).await.with_context(|| home.log())?;
    let store = clinic.store().await?;
    let messages = store.messages(&login.patient, Timestamp::UNIX_EPOCH).await?;
    let message = messages.first().context("one message")?;
    for reading in &message.readings {
        assert_eq!(reading.clock, vitals::Clock::Corrected, "{reading:?}");
        let off = message.recorded_at.duration_since(reading.measured_at).as_secs();
        assert!((0..120).contains(&off), "{off} s before it was stored: {reading:?}\n{}", home.log());
    }
    Ok(())
}

#[tokio::test]
async fn a_device_is_added_with_one_command_while_the_kit_runs() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "oximeter,scale", 0).await?;
    let devices = home.forget_devices();
    home.start_edge(clinic.mqtt_port)?;
    let address = |kind: &str| {
        let device = devices.iter().find(|device| device["device"] == kind);
        device.and_then(|device| device["address"].as_str()).context("an address")
    };
    let config = home.path("edge.toml").display().to_string();
    home.tell(&json!({"measure": "oximeter", "spo2": 93, "pulse": 71})).await?;
    let found = home.edge_command(&["scan", "--seconds", "2", "--json"]).await?;
    assert!(found.contains("\"drivers\":[\"gatt-plx\"]") && found.contains("\"rssi\":-"), "{found}");

    let add = ["device", "add", "--config", &config, "--seconds", "3", "--address", address("oximeter")?];
    let added = home.edge_command(&add).await?;
    assert!(added.contains("added gatt-plx at "), "{added}");
    let add = ["device", "add", "--config", &config, "--driver", "gatt-weight", "--address", address("scale")?];
    home.edge_command(&add).await?;
    home.tell(&json!({"measure": "scale", "weight": 71.5})).await?;
    let values = values_where(&clinic, &login, &["spo2", "weight"]).await.with_context(|| home.log())?;
    assert_eq!(values["spo2"], ["93"]);
    let listed = home.edge_command(&["device", "list", "--config", &config]).await?;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let again = home.edge_command(&add).await.err().context("the second time is refused")?.to_string();
    assert!(again.contains("twice, want each device once"), "{again}");
    Ok(())
}

#[tokio::test]
async fn a_scale_that_only_advertises_is_read_without_a_connection_on_any_adapter() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "mi-scale,oximeter", 0).await?;
    home.use_adapters("[\"all\"]");
    home.start_edge(clinic.mqtt_port)?;
    home.tell(&json!({"measure": "oximeter", "spo2": 93, "pulse": 71})).await?;
    home.tell(&json!({"measure": "mi-scale", "weight": 71.5})).await?;
    let values = values_where(&clinic, &login, &["weight", "spo2"]).await.with_context(|| home.log())?;
    assert!(values["weight"][0].starts_with("71.5"), "{values:?}");
    // It goes on saying so for some seconds: that is one weighing.
    sleep(Duration::from_secs(4)).await;
    let values = values_where(&clinic, &login, &["weight"]).await?;
    assert_eq!(values["weight"].len(), 1, "{values:?}\n{}", home.log());
    assert!(!home.log().contains("\"event\":\"connected\",\"device\":\"mi-scale\""), "{}", home.log());
    Ok(())
}
