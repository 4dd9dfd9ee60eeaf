//! Bluetooth devices beside the usual four: what each of them says arrives as it was measured.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use store::Store;
use tests::{
    clinic::{Clinic, KitLogin, SOON},
    home::Home,
};
use tokio::time::{Duration, Instant, sleep};
use vitals::Reading;

use super::records::{has, of, readings_where};

/// The kit's status, once every device in it satisfies `wanted`.
async fn status_where(clinic: &Clinic, home: &Home, wanted: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
    let store = clinic.store().await?;
    let until = Instant::now() + SOON;
    loop {
        let heard = store.last_heard().await?;
        let devices = heard.first().and_then(|heard| heard.status["devices"].as_array().cloned()).unwrap_or_default();
        if !devices.is_empty() && devices.iter().all(&wanted) {
            return Ok(devices);
        }
        ensure!(Instant::now() < until, "the status says {devices:?}\n{}", home.log());
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_blow_over_the_health_sensor_service_and_an_oximeter_of_the_makers_own() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "health-sensor,nonin-3230", 0).await?;
    home.tell(&json!({"measure": "health-sensor", "fev1": 1.31, "fvc": 2.3, "pef": 4.9})).await?;
    home.tell(&json!({"measure": "health-sensor", "fev1": 1.37, "fvc": 2.4, "pef": 5.1})).await?;
    home.tell(&json!({"measure": "nonin-3230", "spo2": 93, "pulse": 71, "seconds": 20})).await?;
    home.start_edge(clinic.mqtt_port)?;
    home.happens("completed", "nonin-3230").await.context("the oximeter is told that it has been read")?;
    let all = |readings: &[Reading]| of(readings, "fev1").len() == 2 && !of(readings, "spo2").is_empty();
    let readings = readings_where(&clinic, &home, &login, all).await?;
    let words = |vital: &str| {
        let mut values: Vec<String> = of(&readings, vital).iter().map(|reading| reading.value.to_string()).collect();
        values.sort();
        values.join(" ")
    };
    assert_eq!([words("fev1"), words("fvc")], ["1.31 1.37", "2.30 2.40"]);
    assert!(words("pef").starts_with("294"), "4.9 L/s are 294 L/min: {}", words("pef"));
    assert_eq!([words("spo2"), words("pulse")], ["93", "71"]);
    let stored = of(&readings, "fev1").into_iter().filter(|reading| has(reading, "from_storage"));
    assert_eq!(stored.count(), 1, "the first; {readings:?}\n{}", home.log());
    home.holds("health-sensor", |now| now["records"] == json!([])).await?;
    Ok(())
}

#[tokio::test]
async fn a_scale_of_several_users_tells_who_has_consented_and_says_what_it_is() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "body-scale,glucose", 0).await?;
    home.say_of("body-scale", "user = 2\nconsent = 1234");
    home.tell(&json!({"measure": "body-scale", "weight": 71.5})).await?;
    home.tell(&json!({"measure": "glucose", "glucose": 6.1, "meal": "before"})).await?;
    home.start_edge(clinic.mqtt_port)?;
    let all = |readings: &[Reading]| !of(readings, "weight").is_empty() && !of(readings, "glucose").is_empty();
    let readings = readings_where(&clinic, &home, &login, all).await?;
    assert_eq!((of(&readings, "weight").len(), readings.len()), (1, 2), "{readings:?}");
    assert!(has(of(&readings, "weight")[0], "user_2"), "{readings:?}");
    assert!(of(&readings, "weight")[0].value.to_string().starts_with("71.5"));
    assert_eq!(of(&readings, "glucose")[0].value.to_string(), "6.1");
    assert!(has(of(&readings, "glucose")[0], "meal_before") && has(of(&readings, "glucose")[0], "site_finger"));

    let told = |device: &Value| device["battery_percent"] == 87 && device["model"].is_string();
    for device in status_where(&clinic, &home, told).await? {
        let model = device["model"].as_str().context("model")?;
        assert!(model.starts_with("Simulated Vagt-sim "), "{device}");
        assert!(device["firmware"].is_string() && device["clock_ahead_seconds"].is_number(), "{device}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_code_is_said_and_the_scale_keeps_what_it_has() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "body-scale,thermometer", 0).await?;
    home.say_of("body-scale", "user = 2\nconsent = 4321");
    home.tell(&json!({"measure": "body-scale", "weight": 71.5})).await?;
    home.start_edge(clinic.mqtt_port)?;
    super::radio::logged(&home, "answer to the consent is 0x05").await?;
    home.tell(&json!({"measure": "thermometer", "temperature": 36.7})).await?;
    let all = |readings: &[Reading]| !of(readings, "temperature").is_empty();
    let readings = readings_where(&clinic, &home, &login, all).await?;
    assert!(of(&readings, "weight").is_empty(), "{readings:?}");
    home.holds("body-scale", |now| now["records"] == json!([1])).await?;
    Ok(())
}

#[tokio::test]
async fn a_cuffs_empty_records_are_no_readings_and_its_pressure_is_none_until_it_is_measured() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "cuff", 0).await?;
    home.tell(&json!({"measure": "cuff", "failed": true})).await?;
    home.tell(&json!({"measure": "cuff", "failed": true})).await?;
    let real = json!({"measure": "cuff", "systolic": 131, "diastolic": 82, "pulse": 72, "seconds": 3});
    home.tell(&real).await?;
    home.start_edge(clinic.mqtt_port)?;
    let readings = readings_where(&clinic, &home, &login, |readings| !readings.is_empty()).await?;
    home.holds("cuff", |now| now["records"] == json!([])).await?;
    assert_eq!(readings.len(), 4, "{readings:?}");
    assert_eq!(of(&readings, "systolic")[0].value.to_string(), "131");
    assert!(home.log().contains("the measurement has none"), "{}", home.log());
    Ok(())
}
