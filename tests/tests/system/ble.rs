//! The path over Bluetooth: bytes -> D-Bus -> btleplug -> vagt-edge -> MQTT -> front door -> triage -> store -> queue.

use anyhow::{Context, Result};
use serde_json::json;
use tests::{
    clinic::{Clinic, KitLogin},
    home::Home,
};

#[tokio::test]
async fn a_low_saturation_comes_from_the_finger_to_the_queue() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    clinic.sign_in().await?;
    let mut home = Home::start(&clinic, &login, "oximeter,thermometer,cuff,scale", 0).await?;

    let truth = home.tell(&json!({"measure": "oximeter", "spo2": 82, "pulse": 118})).await?;
    let alert = clinic.alert_where(|alert| alert["patient"] == "p-1").await.with_context(|| home.log())?;

    assert_eq!(alert["mark"], "red", "{alert}");
    let found = &alert["findings"][0];
    assert_eq!(found["rule"], "spo2", "{alert}");
    assert_eq!(found["inputs"][0]["value"], 82, "{alert}");
    let why = found["why"].as_str().context("why")?;
    assert!(why.starts_with("SpO2 82 %, red at 85 % or less"), "{why}");
    assert!(truth["values"]["spo2"].is_number(), "{truth}");
    Ok(())
}

#[tokio::test]
async fn every_bluetooth_device_is_stored_with_its_values() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::start(&clinic, &login, "oximeter,thermometer,cuff,scale", 0).await?;
    for measurement in [
        json!({"measure": "oximeter", "spo2": 93, "pulse": 71}),
        json!({"measure": "thermometer", "temperature": 36.7}),
        json!({"measure": "cuff", "systolic": 131, "diastolic": 82, "pulse": 72}),
        json!({"measure": "scale", "weight": 71.5}),
    ] {
        home.tell(&measurement).await?;
    }
    let values = super::serial::values_where(&clinic, &login, &["spo2", "temperature", "systolic", "weight"]).await;
    let values = values.with_context(|| home.log())?;
    assert_eq!(values["spo2"], ["93"]);
    assert_eq!(values["temperature"], ["36.7"]);
    assert_eq!(values["systolic"], ["131"]);
    assert_eq!(values["diastolic"], ["82"]);
    assert!(values["weight"][0].starts_with("71.5"), "{values:?}");
    Ok(())
}
