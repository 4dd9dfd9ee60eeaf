//! Bad input and broken parts, on the whole path: each gets a clear sentence, nothing is lost, and the rest goes on.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{
    clinic::{Clinic, KitLogin, SOON},
    home::Home,
    program::{self, Running, debian, ours},
};
use tokio::time::{Instant, sleep};

/// Publishes with `mosquitto_pub` and gives its exit code and what it said.
async fn publish(clinic: &Clinic, user: &KitLogin, topic: &str, body: &Path) -> Result<(i32, String)> {
    let log = clinic.path("publish.log");
    fs::write(&log, "")?;
    let code = clinic.publish(user, "mqttv5", topic, body)?.wait().await?;
    Ok((code, fs::read_to_string(log)?))
}

fn reading(field: &str, value: &Value) -> Value {
    let mut reading = json!({
        "vital": "spo2", "value": 93, "unit": "%", "measured_at": program::now().to_string(), "clock": "device",
        "device": "nonin-3230:501234567"
    });
    reading[field] = value.clone();
    reading
}

fn message(seq: u64, readings: &[Value]) -> String {
    let now = program::now();
    json!({"seq": seq, "sent_at": now.to_string(), "session": "0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f", "readings": readings}).to_string()
}

#[tokio::test]
async fn bad_messages_go_to_quarantine_with_a_sentence_and_their_neighbours_are_stored() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    clinic.sign_in().await?;
    let topic = format!("vagt/v1/{}/readings", login.kit);
    let ahead = (program::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let good = reading("value", &json!(94));
    let whole = message(9, std::slice::from_ref(&good));
    let cases: BTreeMap<&str, (String, &str)> = BTreeMap::from([
        ("malformed", ("this is not JSON".to_owned(), "message: expected")),
        ("truncated", (whole[..whole.len() / 2].to_owned(), "message: EOF")),
        ("no session", (r#"{"seq":3,"sent_at":"2026-11-22T08:00:07Z"}"#.to_owned(), "missing field `session`")),
        (
            "unknown unit",
            (message(4, &[reading("unit", &json!("furlong")), good.clone()]), "unknown variant `furlong`"),
        ),
        (
            "wrong unit",
            (message(5, &[reading("unit", &json!("kg")), good.clone()]), "spo2 in kg can't be converted to %"),
        ),
        ("future", (message(6, &[reading("measured_at", &json!(ahead)), good.clone()]), "is in the future")),
        (
            "1970",
            (message(7, &[reading("measured_at", &json!("1970-01-01T00:00:00Z")), good.clone()]), "before the kit"),
        ),
        ("oversized", (" ".repeat(300 * 1024), "message has 307200 bytes, at most 262144 are taken")),
        ("impossible", (message(8, &[reading("value", &json!(300)), good.clone()]), "is impossible: want 50 to 100 %")),
    ]);
    let body = clinic.path("body");
    for (name, (text, _)) in &cases {
        fs::write(&body, text)?;
        let (code, said) = publish(&clinic, &login, &topic, &body).await?;
        ensure!(code == 0, "{name}: a quarantined message is acknowledged, or it would come for ever: {code} {said}");
    }
    clinic.stored_where(|stored| stored.quarantined == cases.len() as u64 && stored.readings == 5).await?;
    let quarantine = clinic.get("/api/v1/quarantine").await?.to_string();
    for (name, (_, reason)) in &cases {
        ensure!(quarantine.contains(reason), "{name}: no {reason:?} in {quarantine}");
    }
    Ok(())
}

#[tokio::test]
async fn repeats_change_nothing_and_a_reused_number_is_noticed() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let topic = format!("vagt/v1/{}/readings", login.kit);
    let body = clinic.path("body");
    let red = reading("value", &json!(84));
    let later = message(3, std::slice::from_ref(&red));
    let earlier = message(2, &[reading("value", &json!(95))]);
    for text in [&later, &earlier, &later, &later, &earlier] {
        fs::write(&body, text)?;
        let (code, said) = publish(&clinic, &login, &topic, &body).await?;
        ensure!(code == 0, "{code} {said}");
    }
    let stored = clinic.stored_where(|stored| stored.messages == 2).await?;
    ensure!(stored.readings == 2 && stored.quarantined == 0 && stored.alerts == 1, "{stored:?}");
    fs::write(&body, message(3, &[reading("value", &json!(96))]))?;
    publish(&clinic, &login, &topic, &body).await?;
    let stored = clinic.stored_where(|stored| stored.quarantined == 1).await?;
    ensure!(stored.messages == 2, "{stored:?}");
    Ok(())
}

#[tokio::test]
async fn strangers_and_trespassers_are_refused() -> Result<()> {
    let (one, two) = (KitLogin::simulated(1), KitLogin::simulated(2));
    let clinic = Clinic::start(&[one.clone(), two.clone()]).await?;
    let body = clinic.path("body");
    fs::write(&body, message(1, &[reading("value", &json!(84))]))?;
    let own = format!("vagt/v1/{}/readings", one.kit);
    let wrong_secret = KitLogin { secret: "guessed".to_owned(), ..one.clone() };
    for (who, topic) in [
        (&wrong_secret, own.clone()),
        (&KitLogin::simulated(9), "vagt/v1/kit-9/readings".to_owned()),
        (&one, format!("vagt/v1/{}/readings", two.kit)),
        (&one, format!("vagt/v1/{}/acks", one.kit)),
    ] {
        let (code, said) = publish(&clinic, who, &topic, &body).await?;
        ensure!(code != 0 || said.to_lowercase().contains("not authorized"), "{} on {topic}: {code} {said}", who.kit);
    }
    fs::write(&body, message(1, &[reading("value", &json!(84))]))?;
    ensure!(publish(&clinic, &one, &own, &body).await?.0 == 0, "the rest goes on");
    let stored = clinic.stored_where(|stored| stored.messages == 1).await?;
    ensure!(stored.readings == 1, "{stored:?}");
    Ok(())
}

#[tokio::test]
async fn a_device_that_hangs_up_mid_frame_costs_nothing_else() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::start(&clinic, &login, "oximeter,thermometer", 0).await?;
    home.tell(&json!({"fault": "disconnect_mid_frame", "device": "oximeter"})).await?;
    home.tell(&json!({"measure": "oximeter", "spo2": 91, "pulse": 80})).await?;
    home.tell(&json!({"measure": "thermometer", "temperature": 37.1})).await?;
    super::serial::values_where(&clinic, &login, &["temperature"]).await.with_context(|| home.log())?;
    home.tell(&json!({"fault": "clear", "device": "oximeter"})).await?;
    home.tell(&json!({"measure": "oximeter", "spo2": 92, "pulse": 80})).await?;
    let values = super::serial::values_where(&clinic, &login, &["spo2"]).await.with_context(|| home.log())?;
    ensure!(values["spo2"].iter().all(|value| value == "91" || value == "92"), "{values:?}");
    ensure!(home.edge_is_running()?, "{}", home.log());
    Ok(())
}

#[tokio::test]
async fn a_dead_core_costs_nothing_and_a_dead_kit_is_seen() -> Result<()> {
    let login = KitLogin::simulated(1);
    let mut clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let mut home = Home::start(&clinic, &login, "oximeter", 0).await?;
    clinic.sign_in().await?;
    kit_where(&clinic, true).await.with_context(|| home.log())?;
    clinic.kill_9().await?;
    home.tell(&json!({"measure": "oximeter", "spo2": 83, "pulse": 101})).await?;
    sleep(Duration::from_secs(3)).await;
    clinic.restart().await?;
    clinic.sign_in().await?;
    clinic.alert_where(|alert| alert["mark"] == "red").await.with_context(|| home.log())?;
    kit_where(&clinic, true).await.with_context(|| home.log())?;
    home.kill_9_edge().await?;
    kit_where(&clinic, false).await?;
    ensure!(clinic.stop().await? == 0, "a graceful stop exits with 0: {}", clinic.log());
    Ok(())
}

/// Waits until the one kit is online, or not.
async fn kit_where(clinic: &Clinic, online: bool) -> Result<()> {
    let until = Instant::now() + SOON;
    loop {
        let kits = clinic.get("/api/v1/kits").await?;
        if kits[0]["online"] == online {
            return Ok(());
        }
        ensure!(Instant::now() < until, "want online {online}, the clinic says {kits}\n{}", clinic.log());
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_refused_with_a_sentence() -> Result<()> {
    let clinic = Clinic::stopped(&[KitLogin::simulated(1)]).await?;
    let database = clinic.path("data/vagt.db");

    set_user_version(&clinic, &database, 999).await?;
    refused(&clinic, "schema version 999 is newer than").await?;

    fs::remove_dir_all(clinic.path("data"))?;
    fs::create_dir(clinic.path("data"))?;
    fs::write(&database, "this is no database, but somebody's notes, and longer than a header".repeat(20))?;
    refused(&clinic, "vagt.db").await?;

    fs::remove_dir_all(clinic.path("data"))?;
    std::os::unix::fs::symlink("/sys/kernel", clinic.path("data"))?;
    refused(&clinic, "vagt.lock can't be written").await
}

/// `vagt serve` ends with 1 and one sentence that says so.
async fn refused(clinic: &Clinic, wanted: &str) -> Result<()> {
    let (config, log) = (clinic.path("hub.toml"), clinic.path("refused.log"));
    fs::write(&log, "")?;
    let args = ["serve", "--config", config.to_str().context("UTF-8")?];
    let code = Running::start(&ours("vagt")?, &args, &[("RUST_LOG", "error")], &log)?.wait().await?;
    let said = fs::read_to_string(log)?;
    ensure!(code == 1 && said.contains(wanted), "exit {code}, want {wanted:?}, said: {said}");
    ensure!(said.trim().lines().count() <= 2, "one clear sentence, said: {said}");
    Ok(())
}

async fn set_user_version(clinic: &Clinic, database: &Path, version: u32) -> Result<()> {
    let code = format!("import sqlite3; sqlite3.connect({database:?}).execute('PRAGMA user_version = {version}')");
    let python = debian("python3", "python3")?;
    let exit = Running::start(&python, &["-c", &code], &[], &clinic.path("python.log"))?.wait().await?;
    ensure!(exit == 0, "{}", fs::read_to_string(clinic.path("python.log"))?);
    Ok(())
}
