//! What Bluetooth devices have stored: fetched once, at its own time, and deleted only when the clinic has it.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::Store;
use tests::{
    clinic::{Clinic, KitLogin, SOON},
    home::Home,
};
use tokio::time::{Duration, Instant, sleep};
use vitals::{Clock, Reading};

/// What is stored of the kit's patient, in the order in which it was recorded, once it satisfies `wanted`.
pub async fn readings_where(
    clinic: &Clinic,
    home: &Home,
    login: &KitLogin,
    wanted: impl Fn(&[Reading]) -> bool,
) -> Result<Vec<Reading>> {
    let store = clinic.store().await?;
    let until = Instant::now() + SOON;
    loop {
        let messages = store.messages(&login.patient, Timestamp::UNIX_EPOCH).await?;
        let readings: Vec<Reading> = messages.into_iter().flat_map(|message| message.readings).collect();
        if wanted(&readings) {
            return Ok(readings);
        }
        ensure!(Instant::now() < until, "stored are {readings:#?}\n{}\n{}", clinic.log(), home.log());
        sleep(Duration::from_millis(100)).await;
    }
}

/// Those of one vital.
pub fn of<'a>(readings: &'a [Reading], vital: &str) -> Vec<&'a Reading> {
    readings.iter().filter(|reading| reading.vital.name() == vital).collect()
}

/// Does it carry this flag?
pub fn has(reading: &Reading, flag: &str) -> bool {
    reading.flags.iter().any(|one| one.as_str() == flag)
}

fn records(held: &Value) -> usize {
    held["records"].as_array().map_or(0, Vec::len)
}

/// When it was truly measured.
fn real_time(line: &Value) -> Result<Timestamp> {
    Ok(line["real_time"].as_str().context("real_time")?.parse()?)
}

#[tokio::test]
async fn records_are_fetched_oldest_first_and_deleted_only_when_the_clinic_has_them() -> Result<()> {
    let login = KitLogin::simulated(1);
    let mut clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "oximeter", 3).await?;
    let held = records(&home.holds("oximeter", |_| true).await?);
    assert!(held >= 3);
    clinic.kill_9().await?;
    home.start_edge(clinic.mqtt_port)?;
    let mut times = Vec::new();
    for _ in 0..held {
        times.push(real_time(&home.happens("sent", "oximeter").await?)?);
    }
    assert!(times.is_sorted(), "{times:?}");
    home.happens("host_hung_up", "oximeter").await?;
    assert_eq!(records(&home.holds("oximeter", |_| true).await?), held, "nobody has them but the kit");

    clinic.restart().await?;
    home.holds("oximeter", |now| records(now) == 0).await?;
    let all = |readings: &[Reading]| of(readings, "spo2").len() == held;
    let readings = readings_where(&clinic, &home, &login, all).await?;
    for vital in ["spo2", "pulse"] {
        let stored: Vec<Timestamp> = of(&readings, vital).iter().map(|reading| reading.measured_at).collect();
        let off = stored.iter().zip(&times).map(|(stored, real)| stored.duration_since(*real).as_secs().abs());
        assert!(stored.len() == held && off.max() <= Some(1), "{stored:?}, {times:?}");
    }
    assert!(readings.iter().all(|reading| reading.clock == Clock::Device && has(reading, "from_storage")));
    Ok(())
}

#[tokio::test]
async fn a_link_lost_within_a_record_loses_and_repeats_nothing() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "oximeter,glucose", 4).await?;
    let held = records(&home.holds("oximeter", |_| true).await?);
    for (glucose, meal) in [(6.1, "fasting"), (9.4, "after"), (7.2, "bedtime")] {
        home.tell(&json!({"measure": "glucose", "glucose": glucose, "meal": meal})).await?;
    }
    home.tell(&json!({"fault": "disconnect_mid_record", "device": "oximeter", "after": 2})).await?;
    home.tell(&json!({"fault": "disconnect_mid_record", "device": "glucose", "after": 1})).await?;
    home.start_edge(clinic.mqtt_port)?;
    home.holds("oximeter", |now| records(now) == 0).await?;
    home.holds("glucose", |now| records(now) == 0).await?;
    // a new measurement, live or from storage: the last word on what came before
    home.tell(&json!({"measure": "oximeter", "spo2": 94, "pulse": 70})).await?;
    let last = |readings: &[Reading]| of(readings, "spo2").len() > held;
    let readings = readings_where(&clinic, &home, &login, last).await?;
    assert_eq!(of(&readings, "spo2").len(), held + 1, "each once\n{}", home.log());
    let sugars: Vec<_> = of(&readings, "glucose").iter().map(|reading| reading.value.to_string()).collect();
    assert_eq!(sugars, ["6.1", "9.4", "7.2"], "oldest first, each once");
    Ok(())
}

#[tokio::test]
async fn records_that_can_t_be_had_yet_are_had_later() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "oximeter,glucose", 2).await?;
    let held = records(&home.holds("oximeter", |_| true).await?);
    home.tell(&json!({"measure": "glucose", "glucose": 6.1, "meal": "fasting"})).await?;
    home.tell(&json!({"fault": "busy_records", "device": "oximeter"})).await?;
    home.tell(&json!({"fault": "refuse_records", "device": "glucose"})).await?;
    home.start_edge(clinic.mqtt_port)?;
    home.happens("connected", "glucose").await?;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(records(&home.holds("glucose", |_| true).await?), 1, "refused and kept");
    home.tell(&json!({"fault": "clear", "device": "glucose"})).await?;
    home.holds("oximeter", |now| records(now) == 0).await?;
    home.holds("glucose", |now| records(now) == 0).await?;
    let all = |readings: &[Reading]| of(readings, "spo2").len() == held && of(readings, "glucose").len() == 1;
    let readings = readings_where(&clinic, &home, &login, all).await?;
    assert!(has(of(&readings, "glucose")[0], "meal_fasting"), "{readings:?}");
    Ok(())
}

#[tokio::test]
async fn clocks_that_are_off_are_corrected_and_set_and_one_that_is_not_set_is_not_believed() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "oximeter,scale,cuff,health-sensor", 0).await?;
    let mut real = Vec::new();
    for (kind, offset_seconds) in [("oximeter", 3600), ("cuff", -600), ("health-sensor", -7200)] {
        home.tell(&json!({"fault": "clock", "device": kind, "offset_seconds": offset_seconds})).await?;
        real.push(real_time(&home.tell(&json!({"measure": kind})).await?)?);
    }
    home.tell(&json!({"fault": "clock_lost", "device": "scale"})).await?;
    let weighed = real_time(&home.tell(&json!({"measure": "scale", "weight": 71.5})).await?)?;
    home.start_edge(clinic.mqtt_port)?;
    let all = |readings: &[Reading]| {
        ["spo2", "systolic", "fev1", "weight"].iter().all(|vital| !of(readings, vital).is_empty())
    };
    let readings = readings_where(&clinic, &home, &login, all).await?;
    for (vital, real) in ["spo2", "systolic", "fev1"].into_iter().zip(real) {
        let [reading] = of(&readings, vital)[..] else { panic!("{vital} once: {readings:?}") };
        assert_eq!(reading.clock, Clock::Corrected, "{reading:?}\n{}", home.log());
        let off = reading.measured_at.duration_since(real).as_secs().abs();
        assert!(off <= 2, "{off} s off: {reading:?}\n{}", home.log());
    }
    let weight = of(&readings, "weight")[0];
    assert_eq!(weight.clock, Clock::Kit);
    assert!(has(weight, "clock_not_set") || has(weight, "clock_implausible"), "{weight:?}");
    assert!((0..120).contains(&weight.measured_at.duration_since(weighed).as_secs()), "{weight:?}");
    for kind in ["oximeter", "scale", "cuff", "health-sensor"] {
        let right = |now: &Value| now["clock_ahead_seconds"].as_i64().is_some_and(|ahead| ahead.abs() <= 2);
        let set = home.holds(kind, right).await?;
        assert_eq!(set["clock_set"], true, "{set}");
    }
    Ok(())
}
