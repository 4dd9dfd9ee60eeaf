//! A programme's life beside a running service: proposed by one, activated by another, at a time, with whom it concerns judged again; turned
//! down for every reason there is; rolled back; and the same over HTTP.

use std::fs;

use anyhow::{Context, Result, ensure};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tests::{
    clinic::{Clinic, KitLogin, NURSE},
    load::{message, send_one},
    program::now,
    programme::small,
};
use vitals::Vital;

async fn clinic(kits: &[KitLogin]) -> Result<Clinic> {
    let mut clinic = Clinic::stopped(kits).await?;
    clinic.use_programmes(&[("copd.toml", &small(1, 85, 88, ""))])?;
    clinic.add_account("olga", "operator").await?;
    clinic.add_account("per", "admin").await?;
    clinic.restart().await?;
    clinic.sign_in().await?;
    Ok(clinic)
}

async fn measures(clinic: &Clinic, login: &KitLogin, seq: u64, spo2: &str) -> Result<()> {
    send_one(clinic.mqtt_port, login, message(seq, now(), &[(Vital::Spo2, spo2, &[])])).await
}

/// Proposes a text by the command line, as olga.
async fn proposes(clinic: &Clinic, text: &str) -> Result<()> {
    let file = clinic.path("proposed.toml");
    fs::write(&file, text)?;
    let args = ["programme", "propose", file.to_str().context("UTF-8")?, "--by", "olga", "--reason", "a trial"];
    clinic.vagt(&args).await.map(|_| ())
}

fn decided(entries: &[Value]) -> Vec<String> {
    let told = entries.iter().filter(|entry| entry["what"]["entry"] != "programmes_in_use");
    told.map(|entry| {
        format!("{} {} {}", entry["by"], entry["what"]["entry"], entry["what"]["version"]).replace('"', "")
    })
    .collect()
}

#[tokio::test]
async fn a_change_is_proposed_activated_by_another_takes_effect_while_running_and_is_rolled_back() -> Result<()> {
    let kits = [KitLogin::simulated(1), KitLogin::simulated(2)];
    let clinic = clinic(&kits).await?;
    measures(&clinic, &kits[0], 1, "89").await?;
    measures(&clinic, &kits[1], 1, "96").await?;
    proposes(&clinic, &small(2, 87, 90, "")).await?;

    let activate = |by: &'static str| ["programme", "activate", "copd", "2", "--by", by, "--reason", "as agreed"];
    let refused = clinic.vagt_refuses(&activate("olga")).await?;
    ensure!(refused.contains("olga proposed copd version 2: want another person"), "{refused}");
    let refused = clinic.vagt_refuses(&activate(NURSE.0)).await?;
    ensure!(refused.contains("mette is a nurse: want an operator or an admin"), "{refused}");
    let refused = clinic.vagt_refuses(&activate("nobody")).await?;
    ensure!(refused.contains("found no account \"nobody\""), "{refused}");

    let from = (now() + SignedDuration::from_secs(3)).to_string();
    clinic.vagt(&[&activate("per")[..], &["--at", &from]].concat()).await?;
    let listed = clinic.vagt(&["programme", "list", "copd", "--json"]).await?;
    let states: Vec<_> = listed.iter().map(|line| line["state"].as_str().unwrap_or_default()).collect();
    assert_eq!(states, ["in use", "planned"]);
    assert_eq!(clinic.alerts().await?, Vec::<Value>::new(), "89 % is green by version 1");

    // p-1 has sent nothing more: 89 % is yellow by version 2. p-2 is green by both.
    let alert = clinic.alert_where(|alert| alert["patient"] == "p-1").await?;
    assert_eq!((&alert["mark"], &alert["findings"][0]["version"]), (&json!("yellow"), &json!(2)), "{alert}");
    assert_eq!(clinic.alerts().await?.len(), 1);

    clinic.vagt(&["programme", "rollback", "copd", "--by", "per", "--reason", "too many alerts"]).await?;
    clinic.queue_is_empty().await?;
    measures(&clinic, &kits[1], 2, "89.5").await?;
    let quiet = clinic.get_where("/api/v1/patients/p-2/why-not", |said| said["rules"][0]["version"] == 1).await?;
    assert_eq!(
        quiet["rules"][0]["because"]["because"].as_str().or(quiet["rules"][0]["because"].as_str()),
        Some("green"),
        "{quiet}"
    );

    let history = clinic.vagt(&["programme", "history", "copd", "--json"]).await?;
    let wanted = ["olga programme_proposed 2", "per programme_activated 2", "per programme_activated 1"];
    let told = decided(&history);
    ensure!(told.ends_with(&wanted.map(str::to_owned)), "{told:?}");
    clinic.retold().await?;
    Ok(())
}

#[tokio::test]
async fn a_version_that_fails_its_example_passes_a_floor_or_was_turned_down_is_refused_and_no_file_is_edited_in_place()
-> Result<()> {
    let kits = [KitLogin::simulated(1)];
    let mut clinic = clinic(&kits).await?;
    let wrong = "[[example]]\nname = \"wrong\"\nreadings = [{ vital = \"spo2\", value = 95, unit = \"%\" }]\nwant = { spo2 = \"red\" }\n";
    let file = clinic.path("proposed.toml");
    let path = file.to_str().context("UTF-8")?.to_owned();
    let propose = ["programme", "propose", &path, "--by", "olga", "--reason", "a trial"];
    fs::write(&file, small(1, 84, 88, ""))?;
    let refused = clinic.vagt_refuses(&propose).await?;
    ensure!(refused.contains("found version 1 of copd, want one above 1"), "{refused}");

    fs::write(&file, small(2, 82, 88, ""))?;
    let refused = clinic.vagt_refuses(&propose).await?;
    ensure!(refused.contains("83") && refused.contains("82") && refused.contains("floor"), "{refused}");
    ensure!(refused.contains("proposed.toml:") && refused.contains("rule[0].bands"), "{refused}");

    proposes(&clinic, &small(2, 84, 88, "")).await?;
    let activate = ["programme", "activate", "copd", "2", "--by", "per", "--reason", "as agreed"];
    clinic.vagt(&["programme", "reject", "copd", "2", "--by", "per", "--reason", "not agreed on"]).await?;
    let refused = clinic.vagt_refuses(&activate).await?;
    ensure!(refused.contains("was turned down"), "{refused}");

    // It can be tried, and not taken into use.
    fs::write(&file, small(3, 85, 88, wrong))?;
    let proposed = clinic.vagt(&[&propose[..], &["--json"]].concat()).await?;
    ensure!(format!("{proposed:?}").contains("example["), "{proposed:?}");
    let activate = ["programme", "activate", "copd", "3", "--by", "per", "--reason", "as agreed"];
    let refused = clinic.vagt_refuses(&activate).await?;
    ensure!(refused.contains("copd version 3") && refused.contains("\"wrong\""), "{refused}");

    // What is stored stays as it was proposed; somebody who edits the file in place is told.
    fs::write(clinic.path("programmes/copd.toml"), small(1, 84, 87, ""))?;
    assert_eq!(clinic.stop().await?, 0);
    clinic.restart().await?;
    let log = clinic.log();
    let said = log.lines().find(|line| line.contains("found another text than is stored as copd version 1"));
    ensure!(said.is_some_and(|line| line.contains("copd.toml")), "{log}");
    let shown = clinic.vagt(&["programme", "show", "copd", "--json"]).await?;
    assert_eq!(shown[0]["text"], small(1, 85, 88, ""));
    Ok(())
}

#[tokio::test]
async fn the_same_over_http_with_a_session_and_as_the_openapi_description_says() -> Result<()> {
    let clinic = clinic(&[KitLogin::simulated(1)]).await?;
    let proposal = json!({ "text": small(2, 87, 90, ""), "note": "a trial" });
    let decision = json!({ "reason": "as agreed" });
    let programmes = "/api/v1/programmes";
    assert_eq!(clinic.ask("POST", programmes, &proposal).await?.0, 403, "a nurse proposes nothing");

    clinic.sign_in_as("olga").await?;
    let (status, kept) = clinic.ask("POST", programmes, &proposal).await?;
    assert_eq!((status, &kept["version"], &kept["proposed_by"]), (201, &json!(2), &json!("olga")), "{kept}");
    let activate = "/api/v1/programmes/copd/versions/2/activate";
    let (status, told) = clinic.ask("POST", activate, &decision).await?;
    assert_eq!((status, &told["status"]), (409, &json!(409)), "four eyes: {told}");
    let (status, told) = clinic.ask("POST", programmes, &json!({ "text": "id = 7", "note": "x" })).await?;
    ensure!(status == 422 && told["detail"].as_str().is_some_and(|detail| detail.contains("id")), "{status} {told}");

    clinic.sign_in_as("per").await?;
    let (status, told) = clinic.ask("POST", activate, &decision).await?;
    assert_eq!(status, 200, "{told}");
    let in_use = |all: &Value| all["in_use"]["version"] == 2 || all["in_use"] == 2;
    clinic.get_where("/api/v1/programmes/copd", in_use).await?;
    let (status, told) = clinic.ask("POST", "/api/v1/programmes/copd/rollback", &decision).await?;
    assert_eq!(status, 200, "{told}");
    let diff = clinic.get("/api/v1/programmes/copd/diff?from=1&to=2").await?;
    ensure!(diff["lines"].as_array().is_some_and(|lines| lines.iter().any(|line| line == "+version = 2")), "{diff}");
    let history = clinic.get("/api/v1/programmes/copd/history").await?;
    let told = decided(history.as_array().context("a list")?);
    let wanted = ["olga programme_proposed 2", "per programme_activated 2", "per programme_activated 1"];
    ensure!(told.ends_with(&wanted.map(str::to_owned)), "{told:?}");

    let described = clinic.get("/openapi.json").await?;
    for (route, method) in [
        ("/api/v1/programmes", "post"),
        ("/api/v1/programmes/{id}/versions/{version}/activate", "post"),
        ("/api/v1/programmes/{id}/rollback", "post"),
        ("/api/v1/programmes/{id}/versions/{version}/shadow", "put"),
        ("/api/v1/backtests", "post"),
        ("/api/v1/budgets", "post"),
    ] {
        ensure!(described["paths"][route][method].is_object(), "{method} {route} is not described");
    }
    Ok(())
}
