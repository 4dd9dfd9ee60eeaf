//! Bluetooth devices that show too little of themselves, resolve slowly, lose characteristics, come and go.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::{
    clinic::{Clinic, KitLogin},
    home::Home,
};
use vitals::Reading;

use super::records::{of, readings_where};

/// The devices whose readings are to be there, by a vital of each.
const VITALS: [(&str, &str); 4] =
    [("oximeter", "spo2"), ("thermometer", "temperature"), ("scale", "weight"), ("cuff", "systolic")];

fn from(readings: &[Reading], kinds: &[&str]) -> bool {
    let vital: BTreeMap<_, _> = VITALS.into_iter().collect();
    kinds.iter().all(|kind| !of(readings, vital[kind]).is_empty())
}

/// The oximeter has no name, the thermometer no signal strength, the scale no services; the cuff lacks what none may lack. The fifth is
/// there because it is looked for by its name: without one like it, BlueZ tells of nothing that has no services.
#[tokio::test]
async fn devices_that_bluez_knows_too_little_of_are_read_and_one_that_can_t_be_harms_no_other() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "oximeter,thermometer,scale,cuff,nonin-3230", 0).await?;
    for (device, property) in
        [("oximeter", "Name"), ("thermometer", "RSSI"), ("scale", "UUIDs"), ("cuff", "AddressType")]
    {
        home.tell(&json!({"fault": "hide", "device": device, "property": property})).await?;
        home.tell(&json!({"measure": device})).await?;
    }
    home.start_edge(clinic.mqtt_port)?;
    let three = ["oximeter", "thermometer", "scale"];
    let readings = readings_where(&clinic, &home, &login, |readings| from(readings, &three)).await?;
    assert!(of(&readings, "systolic").is_empty(), "{readings:?}");
    home.tell(&json!({"fault": "clear", "device": "cuff"})).await?;
    readings_where(&clinic, &home, &login, |readings| from(readings, &["cuff"])).await?;
    Ok(())
}

#[tokio::test]
async fn slow_services_lost_characteristics_and_lost_links_are_lived_with() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "oximeter,scale,thermometer,cuff", 0).await?;
    for (device, seconds) in [("scale", 8), ("cuff", 12)] {
        home.tell(&json!({"fault": "slow_services", "device": device, "seconds": seconds})).await?;
    }
    for characteristic in ["2a52", "2a19", "2a5f"] {
        let lost = json!({"fault": "lose_characteristic", "device": "oximeter", "characteristic": characteristic});
        home.tell(&lost).await?;
    }
    home.tell(&json!({"fault": "disconnect_mid_frame", "device": "thermometer"})).await?;
    for device in ["oximeter", "scale", "thermometer", "cuff"] {
        home.tell(&json!({"measure": device})).await?;
    }
    home.start_edge(clinic.mqtt_port)?;
    let four = ["oximeter", "thermometer", "scale", "cuff"];
    readings_where(&clinic, &home, &login, |readings| from(readings, &four)).await?;
    home.tell(&json!({"fault": "clear", "device": "scale"})).await?;
    // out of reach and back, twice: what was measured meanwhile comes, and nothing comes again
    for weight in [78.2, 78.3] {
        home.tell(&json!({"fault": "unplug", "device": "scale"})).await?;
        home.tell(&json!({"measure": "scale", "weight": weight})).await?;
        home.tell(&json!({"fault": "replug", "device": "scale"})).await?;
        home.happens("connected", "scale").await?;
        home.holds("scale", |now| now["records"] == json!([])).await?;
    }
    let three = |readings: &[Reading]| of(readings, "weight").len() >= 3;
    let readings = readings_where(&clinic, &home, &login, three).await?;
    assert_eq!((of(&readings, "weight").len(), of(&readings, "temperature").len()), (3, 1), "{readings:?}");
    Ok(())
}

/// Both have just been measured with, and are talked to side by side.
#[tokio::test]
async fn two_devices_at_once_are_both_connected_and_read() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "oximeter,cuff", 0).await?;
    home.tell(&json!({"measure": "oximeter", "spo2": 93, "pulse": 71, "seconds": 6})).await?;
    home.tell(&json!({"measure": "cuff", "systolic": 131, "diastolic": 82, "pulse": 72, "seconds": 6})).await?;
    home.start_edge(clinic.mqtt_port)?;
    let mut open: Vec<Value> = Vec::new();
    let mut most = 0;
    for _ in 0..4 {
        let line = home.happens_any(&["connected", "hung_up", "host_hung_up"]).await?;
        match line["event"].as_str().context("event")? {
            "connected" => open.push(line["device"].clone()),
            _ => open.retain(|device| *device != line["device"]),
        }
        most = most.max(open.len());
    }
    assert_eq!(most, 2, "side by side\n{}", home.log());
    let readings = readings_where(&clinic, &home, &login, |readings| from(readings, &["oximeter", "cuff"])).await?;
    assert_eq!((of(&readings, "spo2").len(), of(&readings, "systolic").len()), (1, 1), "{readings:?}");
    Ok(())
}
