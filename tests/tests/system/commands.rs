//! What the clinic asks of a kit, through to its receipt; who looked; and how what was measured was judged. The kit is Mosquitto's clients.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{
    clinic::{Clinic, KitLogin},
    program::{Running, debian, now},
};

/// Listens as the kit, on one of its topics.
fn listens(clinic: &Clinic, login: &KitLogin, topic: &str) -> Result<Running> {
    let (port, kit) = (clinic.mqtt_port.to_string(), login.kit.as_str());
    let topic = format!("vagt/v1/{kit}/{topic}");
    let args = ["-h", "127.0.0.1", "-p", &port, "-V", "5", "-u", kit, "-P", &login.secret, "-q", "1", "-t", &topic];
    Running::start(&debian("mosquitto_sub", "mosquitto-clients")?, &args, &[], &clinic.path("listen.log"))
}

async fn sends(clinic: &Clinic, login: &KitLogin, seq: u64, parts: &str) -> Result<()> {
    let body = clinic.path("message.json");
    let session = "0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f";
    fs::write(&body, format!(r#"{{"seq":{seq},"sent_at":"{}","session":"{session}",{parts}}}"#, now()))?;
    let topic = format!("vagt/v1/{}/readings", login.kit);
    let code = clinic.publish(login, "mqttv5", &topic, &body)?.wait().await?;
    ensure!(code == 0, "not acknowledged: {}", clinic.log());
    Ok(())
}

fn receipt(id: &Value, outcome: &str) -> String {
    format!(r#""receipts":[{{"command":{id},"outcome":"{outcome}","at":"{}"}}]"#, now())
}

async fn state(clinic: &Clinic, id: &Value, wanted: &str) -> Result<Value> {
    let path = "/api/v1/kits/kit-1/commands";
    let is = |one: &&Value| one["id"] == *id && one["state"] == wanted;
    let list =
        clinic.get_where(path, |list| list.as_array().is_some_and(|list| list.iter().any(|one| is(&one)))).await?;
    Ok(list.as_array().and_then(|list| list.iter().find(is)).cloned().unwrap_or_default())
}

#[tokio::test]
async fn a_message_waits_for_the_kit_is_sent_again_and_is_read() -> Result<()> {
    let login = KitLogin::simulated(1);
    let mut clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    clinic.sign_in().await?;
    let asked = json!({ "command": "message", "text": "Vi ringer kl. 10", "id": "mine" });
    let made = clinic.post("/api/v1/kits/kit-1/commands", &asked).await?;
    assert_eq!(clinic.post("/api/v1/kits/kit-1/commands", &asked).await?, made, "asked twice, heard once");
    let id = &made["id"];
    let listed = state(&clinic, id, "waiting").await?;
    assert_eq!((&listed["by"], &listed["body"]["text"]), (&json!("Mette"), &json!("Vi ringer kl. 10")));

    // Nobody listened when it was asked; it comes when somebody does, and again after the clinic was killed.
    for _ in 0..2 {
        let mut kit = listens(&clinic, &login, "commands")?;
        let heard = kit.line_where(|line| line["id"] == "mine").await.with_context(|| clinic.log())?;
        assert_eq!(
            (&heard["command"], &heard["text"], &heard["by"]),
            (&json!("message"), &json!("Vi ringer kl. 10"), &json!("Mette"))
        );
        drop(kit);
        clinic.kill_9().await?;
        clinic.restart().await?;
    }
    let mut kit = listens(&clinic, &login, "commands")?;
    kit.line_where(|line| line["id"] == "mine").await?;
    sends(&clinic, &login, 1, &receipt(id, "taken")).await?;
    state(&clinic, id, "taken").await?;
    sends(&clinic, &login, 2, &receipt(id, "read")).await?;
    assert_eq!(state(&clinic, id, "read").await?["receipts"].as_array().map(Vec::len), Some(2));

    // By the command line, to a kit that listens already.
    let args = ["kit", "command", "kit-1", "remeasure", "--vital", "spo2", "Warm the finger", "--by", "mette"];
    let made = clinic.vagt(&args).await?.remove(0);
    let heard = kit.line_where(|line| line["id"] == made["id"]).await?;
    assert_eq!(
        (&heard["command"], &heard["vital"], &heard["text"]),
        (&json!("remeasure"), &json!("spo2"), &json!("Warm the finger"))
    );
    sends(&clinic, &login, 3, &receipt(&made["id"], "failed")).await?;
    state(&clinic, &made["id"], "failed").await?;
    Ok(())
}

#[tokio::test]
async fn the_kit_hears_how_it_was_judged_and_that_somebody_has_looked() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    clinic.sign_in().await?;
    let (mut acks, mut commands) = (listens(&clinic, &login, "acks")?, listens(&clinic, &login, "commands")?);
    let reading = format!(
        r#""readings":[{{"vital":"spo2","value":84,"unit":"%","measured_at":"{}","clock":"device","device":"nonin-3230:501234567"}}]"#,
        now()
    );
    clinic.get_where("/api/v1/kits", |kits| kits[0]["online"] == true).await?;
    sends(&clinic, &login, 1, &reading).await?;
    let heard = acks.line_where(|line| line["judged"].is_array()).await.with_context(|| clinic.log())?;
    assert_eq!(heard["judged"], json!([{ "seq": 1, "vital": "spo2", "colour": "red" }]));
    let alert = clinic.alert_where(|alert| alert["mark"] == "red").await?;
    let path = format!("/api/v1/alerts/{}/actions", alert["id"].as_str().context("an id")?);
    clinic.post(&path, &json!({ "action": "acknowledge", "seen_version": alert["version"] })).await?;
    let heard = commands.line_where(|line| line["command"] == "seen").await.with_context(|| clinic.log())?;
    assert_eq!(heard["by"], "Mette");

    // A person presses "call me", and is called before the yellows and after the reds.
    let call = format!(
        r#""answers":[{{"questionnaire":"kit","version":1,"question":"call_me","answer":"now","answered_at":"{}"}}]"#,
        now()
    );
    sends(&clinic, &login, 2, &call).await?;
    let alert = clinic.alert_where(|alert| alert["family"] == "call").await?;
    assert_eq!((&alert["mark"], &alert["findings"][0]["why"]), (&json!("yellow"), &json!("asks to be called")));
    Ok(())
}
