//! The path over serial lines: pseudo-terminals -> serialport -> vagt-edge -> MQTT -> store.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::json;
use store::Store;
use tests::{
    clinic::{Clinic, KitLogin, SOON},
    home::Home,
};
use tokio::time::{Duration, Instant, sleep};

/// Every stored value of the kit's patient, by vital, once all of `wanted` are there.
pub async fn values_where(clinic: &Clinic, login: &KitLogin, wanted: &[&str]) -> Result<BTreeMap<String, Vec<String>>> {
    let store = clinic.store().await?;
    let until = Instant::now() + SOON;
    loop {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for message in store.messages(&login.patient, Timestamp::UNIX_EPOCH).await? {
            for reading in message.readings {
                values.entry(reading.vital.to_string()).or_default().push(reading.value.to_string());
            }
        }
        if wanted.iter().all(|vital| values.contains_key(*vital)) {
            return Ok(values);
        }
        ensure!(Instant::now() < until, "want {wanted:?}, stored are {values:?}\n{}", clinic.log());
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_finger_in_the_nonin_becomes_one_settled_reading() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    clinic.sign_in().await?;
    let mut home = Home::start(&clinic, &login, "nonin", 0).await?;
    home.tell(&json!({"measure": "nonin", "spo2": 84, "pulse": 96})).await?;
    let alert = clinic.alert_where(|alert| alert["patient"] == "p-1").await.with_context(|| home.log())?;
    assert_eq!(alert["mark"], "red", "{alert}");
    let values = values_where(&clinic, &login, &["spo2", "pulse"]).await?;
    assert_eq!((&values["spo2"], &values["pulse"]), (&vec!["84".to_owned()], &vec!["96".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn the_spirometers_records_are_read_once_even_over_an_unplugged_line() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::start(&clinic, &login, "spirometer", 3).await?;
    let first = values_where(&clinic, &login, &["fev1", "fvc", "pef"]).await.with_context(|| home.log())?;
    home.tell(&json!({"fault": "unplug", "device": "spirometer"})).await?;
    sleep(Duration::from_secs(2)).await;
    home.tell(&json!({"fault": "replug", "device": "spirometer"})).await?;
    home.tell(&json!({"measure": "spirometer", "fev1": 1.37, "fvc": 2.4, "pef": 5.1})).await?;
    let until = Instant::now() + SOON;
    let values = loop {
        let values = values_where(&clinic, &login, &["fev1"]).await?;
        if values["fev1"].iter().any(|value| value == "1.37") {
            break values;
        }
        ensure!(Instant::now() < until, "the new blow is not stored: {values:?}\n{}", home.log());
        sleep(Duration::from_millis(200)).await;
    };
    let old = values["fev1"].iter().filter(|value| *value != "1.37").count();
    assert!(old >= first["fev1"].len() && old <= 6, "each old record once: {values:?}");
    Ok(())
}

/// IEEE 11073-20601: the scale is refused first, tells its own configuration against the rules, and its report is cut.
#[tokio::test]
async fn devices_of_ieee_11073_20601_are_read_whatever_goes_wrong_first() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "phd-scale,peak-flow", 0).await?;
    for fault in ["refused_first", "unconfirmed", "disconnect_mid_frame"] {
        home.tell(&json!({"fault": fault, "device": "phd-scale"})).await?;
        home.tell(&json!({"measure": "phd-scale", "weight": 80.505})).await?;
    }
    home.tell(&json!({"measure": "peak-flow", "fev1": 1.37, "fev6": 2.1, "pef": 5.1})).await?;
    home.start_edge(clinic.mqtt_port)?;
    let blow = values_where(&clinic, &login, &["pef", "fev1", "fev6"]).await.with_context(|| home.log())?;
    assert_eq!((&blow["fev1"], &blow["fev6"]), (&vec!["1.37".to_owned()], &vec!["2.10".to_owned()]), "{blow:?}");
    assert_eq!(blow["pef"].len(), 1);
    let until = Instant::now() + SOON;
    for happened in ["refused_association", "tells its configuration unconfirmed", "cut within a report"] {
        while !home.log().contains(happened) {
            ensure!(Instant::now() < until, "nothing {happened}\n{}", home.log());
            sleep(Duration::from_millis(100)).await;
        }
    }
    home.tell(&json!({"fault": "replug", "device": "phd-scale"})).await?;
    let weighed = values_where(&clinic, &login, &["weight"]).await.with_context(|| home.log())?;
    assert!(weighed["weight"].iter().all(|weight| weight == "80.505"), "{weighed:?}");
    Ok(())
}
