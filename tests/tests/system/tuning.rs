//! Tuning beside a running service: a backtest, a budget and a shadow over a history that can be counted by hand, while kits send; live triage
//! goes on as if nothing were asked.

use std::{
    fs,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::{Batch, Entry, KitSeq, Sqlite, Store as _};
use tests::{
    clinic::{Clinic, KitLogin, SOON},
    load::{message, send_all, send_one},
    program::{now, ours},
    programme::small,
};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};
use vitals::Vital;

/// A clinic with version 1 and two people who may tune; not running yet.
async fn prepared(kits: &[KitLogin]) -> Result<Clinic> {
    let mut clinic = Clinic::stopped(kits).await?;
    clinic.use_programmes(&[("copd.toml", &small(1, 85, 88, ""))])?;
    clinic.add_account("olga", "operator").await?;
    clinic.add_account("per", "operator").await?;
    Ok(clinic)
}

/// What p-1 measured, and how many days ago. By version 1 (85, 88): one yellow (87) and one red (84). By version 2 (87, 90): two red, one yellow.
const HISTORY: [(i64, &str); 10] =
    [(20, "95"), (18, "87"), (17, "95"), (16, "95"), (10, "84"), (9, "95"), (8, "95"), (5, "89"), (4, "95"), (3, "95")];

/// Fills the store of a clinic that has never run, as if these had been recorded when they were measured.
async fn remember(clinic: &Clinic, of: &[(&KitLogin, Vec<(SignedDuration, &str)>)]) -> Result<()> {
    let store = Sqlite::open(&clinic.path("data/vagt.db")).await?;
    let (now, mut entries) = (now(), Vec::new());
    for (login, history) in of {
        for (seq, (ago, spo2)) in (1..).zip(history) {
            let at = now - *ago + SignedDuration::from_nanos(seq * 1000);
            let said = message(seq.cast_unsigned(), at, &[(Vital::Spo2, spo2, &[])]);
            entries.push(Entry {
                key: KitSeq { kit: login.kit.clone(), seq: said.seq },
                hash: [7; 32],
                patient: login.patient.clone(),
                session: said.session,
                sent_at: at,
                recorded_at: at,
                readings: said.readings,
                answers: Vec::new(),
                receipts: Vec::new(),
            });
        }
    }
    entries.sort_by_key(|entry| entry.recorded_at);
    for some in entries.chunks(2000) {
        let recorded_at = some[0].recorded_at;
        store.commit(&Batch { recorded_at, entries: some.to_vec(), ..Batch::default() }).await?;
    }
    store.close().await;
    Ok(())
}

fn history() -> Vec<(SignedDuration, &'static str)> {
    HISTORY.map(|(days, spo2)| (SignedDuration::from_hours(24 * days), spo2)).to_vec()
}

/// Sends normal readings for somebody until told to stop; gives how many. From a seq beyond the history's.
async fn load(port: u16, login: KitLogin, stop: Arc<AtomicBool>) -> Result<u64> {
    let mut sent = 0;
    send_all(port, &login, || {
        let more = !stop.load(Ordering::Relaxed);
        more.then(|| {
            sent += 1;
            message(1000 + sent, now(), &[(Vital::Spo2, "96", &[])])
        })
    })
    .await?;
    Ok(sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backtest_counts_right_while_kits_send_and_disturbs_nothing() -> Result<()> {
    let kits: Vec<KitLogin> = (1..=4).map(KitLogin::simulated).collect();
    let mut clinic = prepared(&kits).await?;
    remember(&clinic, &[(&kits[0], history())]).await?;
    clinic.restart().await?;
    clinic.sign_in().await?;
    let admitted = now() - SignedDuration::from_hours(24 * 8);
    clinic
        .post("/api/v1/patients/p-1/outcomes", &json!({ "outcome": "admission", "at": admitted.to_string() }))
        .await?;
    let stop = Arc::new(AtomicBool::new(false));
    let of = |login: &KitLogin| tokio::spawn(load(clinic.mqtt_port, login.clone(), stop.clone()));
    let loads: Vec<_> = kits[1..].iter().map(of).collect();

    let file = clinic.path("tried.toml");
    fs::write(&file, small(2, 87, 90, ""))?;
    let args = ["backtest", "--programme", file.to_str().context("UTF-8")?, "--since", "25d", "--json"];
    let told = clinic.vagt(&args).await?.pop().context("a report")?;
    assert_eq!((&told["partial"], &told["simulated_patients"]), (&json!(false), &json!(4)));
    assert_eq!(told["active"]["alerts"], json!({ "red": 1, "yellow": 1, "blue": 0 }), "{told}");
    assert_eq!(told["proposed"]["alerts"], json!({ "red": 2, "yellow": 1, "blue": 0 }), "{told}");
    assert_eq!(told["changes"]["worse"]["red"], 1, "87 %: {}", told["changes"]);
    assert_eq!(told["changes"]["gained"]["yellow"], 1, "89 %: {}", told["changes"]);
    let agreement = |side: &str| {
        let of = &told[side]["agreement"];
        json!([of["events"], of["detected"], of["true_alerts"], of["alerts"], of["undecided"]])
    };
    assert_eq!(
        agreement("active"),
        json!([1, 1, 1, 2, 0]),
        "84 %, two days before the admission; 87 % was for nothing"
    );
    assert_eq!(agreement("proposed"), json!([1, 1, 1, 2, 1]), "89 % is too new to say");
    let worst = told["worst"].as_array().context("differences")?;
    ensure!(worst.len() == 2 && worst.iter().all(|one| one["patient"] == "p-1"), "{worst:?}");
    let explained = worst.iter().find(|one| one["change"] == "gained").context("gained")?["quiet"].to_string();
    ensure!(explained.contains("89"), "{explained}");

    // Live triage meanwhile: a red is on the queue at once, and nothing of the load is lost.
    send_one(clinic.mqtt_port, &kits[0], message(50, now(), &[(Vital::Spo2, "83", &[])])).await?;
    clinic.alert_where(|alert| alert["mark"] == "red" && alert["patient"] == "p-1").await?;
    stop.store(true, Ordering::Relaxed);
    let store = clinic.store().await?;
    for (load, login) in loads.into_iter().zip(&kits[1..]) {
        let sent = load.await??;
        let stored = store.messages(&login.patient, now() - SignedDuration::from_hours(1)).await?.len();
        ensure!(sent > 0 && stored as u64 == sent, "{}: {sent} sent, {stored} stored", login.kit);
    }
    Ok(())
}

#[tokio::test]
async fn a_backtest_is_ended_by_ctrl_c_or_over_http_and_what_is_known_is_marked_partial() -> Result<()> {
    let kits: Vec<KitLogin> = (1..=40).map(KitLogin::simulated).collect();
    let mut clinic = prepared(&kits).await?;
    let long: Vec<_> = (1..600).rev().map(|ago| (SignedDuration::from_hours(ago * 3), "93")).collect();
    let of: Vec<_> = kits.iter().map(|login| (login, long.clone())).collect();
    remember(&clinic, &of).await?;
    clinic.restart().await?;
    clinic.sign_in_as("olga").await?;
    let (file, config) = (clinic.path("tried.toml"), clinic.path("hub.toml"));
    fs::write(&file, small(2, 87, 90, ""))?;
    let mut backtest = Command::new(ours("vagt")?);
    backtest.args(["backtest", "--since", "80d", "--threads", "1", "--json", "--programme"]).arg(&file);
    let running = backtest.arg("--config").arg(&config).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let id = running.id().context("it runs")?;
    listens_to_ctrl_c(id).await?;
    let ended = Command::new("kill").args(["-INT", &id.to_string()]).status().await?;
    ensure!(ended.success(), "kill -INT {id}");
    let output = running.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(0), "{:?}: {said}", output.status);
    let told: Value = serde_json::from_slice(&output.stdout).with_context(|| said.clone())?;
    ensure!(told["partial"] == true && told["messages"].as_u64() < Some(40 * 599), "{told}");

    let asked =
        json!({ "text": small(2, 87, 90, ""), "since": (now() - SignedDuration::from_hours(24 * 80)).to_string() });
    let (status, view) = clinic.ask("POST", "/api/v1/backtests", &asked).await?;
    assert_eq!(status, 202, "{view}");
    let place = format!("/api/v1/questions/{}", view["id"].as_str().context("an id")?);
    assert_eq!(clinic.ask("DELETE", &place, &Value::Null).await?.0, 204);
    let answer = clinic.get_where(&place, |answer| !answer["result"].is_null()).await?;
    assert_eq!(answer["result"]["partial"], true, "{answer}");
    Ok(())
}

/// Waits until a program catches SIGINT (the second bit of what it catches).
async fn listens_to_ctrl_c(id: u32) -> Result<()> {
    let until = Instant::now() + SOON;
    loop {
        let status = fs::read_to_string(format!("/proc/{id}/status")).context("it runs still")?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).context("SigCgt")?.trim();
        if u64::from_str_radix(caught, 16)? & 2 != 0 {
            return Ok(());
        }
        ensure!(Instant::now() < until, "it never listens to Ctrl-C: {caught}");
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_budget_makes_a_proposal_that_another_person_activates() -> Result<()> {
    let kits = [KitLogin::simulated(1)];
    let mut clinic = prepared(&kits).await?;
    remember(&clinic, &[(&kits[0], history())]).await?;
    clinic.restart().await?;
    clinic.sign_in().await?;
    // 25 days are 75 shifts: two alerts are 0.027 a shift, one is 0.013. Red limits stay, so it is the yellow one that goes.
    let ask = ["budget", "--at-most", "0.02", "--per-shift", "--programme", "copd", "--since", "25d", "--json"];
    let dry = clinic.vagt(&[&ask[..], &["--dry-run"]].concat()).await?.pop().context("a proposal")?;
    assert_eq!(
        (&dry["met"], clinic.vagt(&["programme", "list", "copd", "--json"]).await?.len()),
        (&json!(true), 1),
        "{dry}"
    );
    let refused = clinic.vagt_refuses(&[&ask[..], &["--by", "mette"]].concat()).await?;
    ensure!(refused.contains("mette is a nurse"), "{refused}");
    let told = clinic.vagt(&[&ask[..], &["--by", "olga"]].concat()).await?.pop().context("a proposal")?;
    let moved = told["moved"].as_array().context("moved")?;
    ensure!(moved.len() == 1 && moved[0]["rule"] == "spo2" && moved[0]["limit"] == "yellow_low", "{told}");

    let shown = clinic.vagt(&["programme", "show", "copd", "2", "--json"]).await?.pop().context("a version")?;
    assert_eq!((&shown["version"], &shown["proposed_by"]), (&json!(2), &json!("olga")));
    let refused =
        clinic.vagt_refuses(&["programme", "activate", "copd", "2", "--by", "olga", "--reason", "mine"]).await?;
    ensure!(refused.contains("want another person"), "{refused}");
    clinic.vagt(&["programme", "activate", "copd", "2", "--by", "per", "--reason", "as agreed"]).await?;
    clinic.get_where("/api/v1/patients/p-1/why-not", |said| said["rules"][0]["version"] == 2).await?;
    send_one(clinic.mqtt_port, &kits[0], message(50, now(), &[(Vital::Spo2, "87", &[])])).await?;
    send_one(clinic.mqtt_port, &kits[0], message(51, now(), &[(Vital::Pulse, "140", &[])])).await?;
    let alert = clinic.alert_where(|_| true).await?;
    assert_eq!(alert["family"], "pulse", "87 % is green by the new version: {alert}");

    let path = format!("/api/v1/alerts/{}/actions", alert["id"].as_str().context("an id")?);
    let close = json!({ "action": "close", "reason": "false_alarm", "note": "", "seen_version": alert["version"] });
    clinic.post(&path, &close).await?;
    let rules = clinic.vagt(&["report", "rules", "--json"]).await?;
    let pulse = rules.iter().find(|row| row["rule"] == "pulse").context("the rule")?;
    assert_eq!((&pulse["fired"]["red"], &pulse["version"]), (&json!(1), &json!(2)), "{pulse}");
    ensure!(pulse["closed"].as_object().is_some_and(|closed| closed.values().any(|count| *count == 1)), "{pulse}");
    clinic.retold().await?;
    Ok(())
}

#[tokio::test]
async fn a_shadow_judges_what_is_sent_pages_nobody_and_survives_a_kill() -> Result<()> {
    let kits = [KitLogin::simulated(1), KitLogin::simulated(2)];
    let mut clinic = prepared(&kits).await?;
    clinic.restart().await?;
    clinic.sign_in().await?;
    let file = clinic.path("tried.toml");
    fs::write(&file, small(2, 87, 90, ""))?;
    let propose = ["programme", "propose", file.to_str().context("UTF-8")?, "--by", "olga", "--reason", "a trial"];
    clinic.vagt(&propose).await?;
    let refused = clinic.vagt_refuses(&["shadow", "start", "copd", "2", "--by", "mette"]).await?;
    ensure!(refused.contains("mette is a nurse"), "{refused}");
    clinic.vagt(&["shadow", "start", "copd", "2", "--by", "olga"]).await?;

    send_one(clinic.mqtt_port, &kits[0], message(1, now(), &[(Vital::Spo2, "89", &[])])).await?;
    shows(&clinic, |total| total["only_shadow"] == 1).await?;
    assert_eq!(clinic.alerts().await?, Vec::<Value>::new(), "a shadow pages nobody");
    clinic.kill_9().await?;
    send_later(&mut clinic, &kits[1]).await?;
    let told = shows(&clinic, |total| total["worse"] == 1).await?;
    assert_eq!(told["total"]["shadow"], json!({ "red": 1, "yellow": 1, "blue": 0 }), "{told}");
    assert_eq!(told["total"]["active"], json!({ "red": 0, "yellow": 1, "blue": 0 }), "{told}");
    let of_days: u64 =
        told["days"].as_array().context("days")?.iter().filter_map(|day| day["only_shadow"].as_u64()).sum();
    ensure!(of_days == 1 && told["simulated"] == true, "{told}");
    let alerts = clinic.alerts().await?;
    ensure!(alerts.len() == 1 && alerts[0]["mark"] == "yellow", "{alerts:?}");

    let path = "/api/v1/programmes/copd/versions/2/shadow";
    assert_eq!(clinic.get(path).await?["total"], told["total"]);
    clinic.vagt(&["shadow", "stop", "copd", "--by", "per"]).await?;
    assert_eq!(clinic.vagt(&["shadow", "list", "--json"]).await?, Vec::<Value>::new());
    clinic.retold().await?;
    Ok(())
}

async fn send_later(clinic: &mut Clinic, login: &KitLogin) -> Result<()> {
    clinic.restart().await?;
    send_one(clinic.mqtt_port, login, message(1, now(), &[(Vital::Spo2, "86", &[])])).await
}

/// Waits until the shadow's figures satisfy `wanted`.
async fn shows(clinic: &Clinic, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let until = Instant::now() + SOON;
    loop {
        let told = clinic.vagt(&["shadow", "show", "copd", "--json"]).await?.pop().context("a report")?;
        if wanted(&told["total"]) {
            return Ok(told);
        }
        ensure!(Instant::now() < until, "the shadow shows {told}\n{}", clinic.log());
        sleep(Duration::from_millis(300)).await;
    }
}
