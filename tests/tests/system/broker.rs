//! Kits on a Mosquitto that is there already: nothing is lost and nothing counted twice, whoever dies, and whatever the broker forgets.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use store::Store;
use tests::{
    clinic::{Clinic, KitLogin, SOON},
    home::Home,
    load::{message, send_all},
    mosquitto::Mosquitto,
    program,
    proofs::{Sent, every_message_once, every_value_once, one_alert_alone},
};
use tokio::time::{Instant, sleep};
use vitals::{Value, Vital};

/// Rounds, in each of which the hub, the broker and the kit are killed once.
const ROUNDS: usize = 6;
/// Kits that send as fast as they are acknowledged, beside the home.
const LOAD_KITS: usize = 4;
/// Of so many readings one is red.
const RED_EVERY: u64 = 40;
/// The others say this or one more: no step that is hard to believe, since what is doubtful gives way to what came after it.
const CALM: i64 = 89;
/// What that one says.
fn red() -> Value {
    Value::new(85, 0)
}

/// The longest that a program lives between two kills, in milliseconds.
const LIFE_MS_MAX: u64 = 1500;
/// A repeatable run.
const SEED: u64 = 20_261_122;

/// A clinic that takes readings from a broker.
async fn clinic_on(broker: &Mosquitto, logins: &[KitLogin]) -> Result<Clinic> {
    let mut clinic = Clinic::stopped(logins).await?;
    clinic.configure(&broker.of_hub()?)?;
    clinic.restart().await?;
    let until = Instant::now() + SOON;
    while !clinic.log().contains("readings are taken from there") {
        ensure!(Instant::now() < until, "{}", clinic.log());
        sleep(Duration::from_millis(50)).await;
    }
    Ok(clinic)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_hub_broker_and_kit_lose_nothing_and_double_nothing() -> Result<()> {
    let logins: Vec<KitLogin> = (1..=LOAD_KITS + 1).map(KitLogin::simulated).collect();
    let mut broker = Mosquitto::start(&logins, &[]).await?;
    let mut clinic = clinic_on(&broker, &logins).await?;
    let mut home = Home::without_kit(&logins[0], "oximeter", 0).await?;
    home.start_edge(broker.port)?;
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> =
        logins[1..].iter().map(|login| tokio::spawn(send(broker.port, login.clone(), stop.clone()))).collect();

    let mut random = StdRng::seed_from_u64(SEED);
    let mut measured = Vec::new();
    for round in 0..ROUNDS {
        let pulse = 60 + round as i64;
        home.tell(&json!({"measure": "oximeter", "spo2": 95, "pulse": pulse})).await?;
        measured.push(pulse.to_string());
        sleep(Duration::from_millis(random.random_range(0..LIFE_MS_MAX))).await;
        clinic.kill_9().await?;
        sleep(Duration::from_millis(random.random_range(0..LIFE_MS_MAX))).await;
        clinic.restart().await?;
        sleep(Duration::from_millis(random.random_range(0..LIFE_MS_MAX))).await;
        broker.kill_9().await?;
        if round % 2 == 1 {
            broker.forget()?;
        }
        broker.restart().await?;
        sleep(Duration::from_millis(random.random_range(0..LIFE_MS_MAX))).await;
        home.kill_9_edge().await?;
        home.start_edge(broker.port)?;
    }
    stop.store(true, Ordering::Relaxed);

    let store = clinic.store().await?;
    let mut messages = 0;
    for (sent, login) in load.into_iter().zip(&logins[1..]) {
        let sent = sent.await?.with_context(|| format!("{}\n{}", clinic.log(), broker.log()))?;
        messages += sent.len();
        every_message_once(&store, login, &sent).await?;
        if sent.values().any(|spo2| *spo2 == red()) {
            one_alert_alone(&store, login, &sent, red()).await?;
        } else {
            let alerts = store.alerts_of(&login.patient, 100).await?;
            ensure!(alerts.is_empty(), "{}: no red reading, {alerts:#?}", login.patient);
        }
    }
    every_value_once(&store, &logins[0], Vital::Pulse, &measured, SOON).await.with_context(|| home.log())?;
    clinic.retold().await?;
    println!("{} kills, {messages} messages, seed {SEED}: each once", ROUNDS * 3);
    ensure!(messages > LOAD_KITS * 100, "too little load to prove anything: {messages} messages");
    Ok(())
}

/// Messages of each of the kits that wait at the broker: together more than the service says it takes at once.
const QUEUED_EACH: u64 = 12_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_queue_is_taken_in_though_the_broker_sends_more_of_it_at_once_than_it_was_told() -> Result<()> {
    let logins: Vec<KitLogin> = (1..=4).map(KitLogin::simulated).collect();
    let broker = Mosquitto::start(&logins, &[]).await?;
    let mut clinic = clinic_on(&broker, &logins).await?;
    clinic.kill_9().await?;
    for login in &logins {
        let lines: Vec<_> = (1..=QUEUED_EACH)
            .map(|seq| serde_json::to_string(&message(seq, program::now(), &[(Vital::Spo2, "95", &[])])))
            .collect::<Result<_, _>>()?;
        let file = clinic.path("queued");
        fs::write(&file, lines.join("\n"))?;
        broker.publish_lines(login, &file).await?;
    }
    clinic.restart().await?;
    let all = QUEUED_EACH * logins.len() as u64;
    let stored = clinic.stored_where(|stored| stored.messages >= all).await.with_context(|| clinic.log())?;
    ensure!(stored.messages == all && stored.quarantined == 0, "{stored:?}");
    let lost = clinic.log().lines().filter(|line| line.contains("no readings come from there")).count();
    ensure!(lost == 0, "the connection was given up {lost} times\n{}", clinic.log());
    Ok(())
}

/// Sends SpO2 readings until told to stop; gives what was sent, by seq.
async fn send(port: u16, login: KitLogin, stop: Arc<AtomicBool>) -> Result<Sent> {
    let mut sent = Sent::new();
    send_all(port, &login, || {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let seq = sent.len() as u64 + 1;
        let spo2 = if seq.is_multiple_of(RED_EVERY) { red() } else { Value::new(CALM + (seq % 2).cast_signed(), 0) };
        sent.insert(seq, spo2);
        Some(message(seq, program::now(), &[(Vital::Spo2, &spo2.to_string(), &[])]))
    })
    .await?;
    Ok(sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_kit_sent_while_nobody_listened_comes_again_though_later_ones_came_first() -> Result<()> {
    let login = KitLogin::simulated(1);
    let broker = Mosquitto::start(std::slice::from_ref(&login), &[]).await?;
    let mut home = Home::without_kit(&login, "oximeter", 0).await?;
    home.start_edge(broker.port)?;
    // The broker takes it, has nobody to give it to, and drops it.
    home.tell(&json!({"measure": "oximeter", "spo2": 83, "pulse": 61})).await?;
    let until = Instant::now() + SOON;
    while !home.log().contains("uplink: connected") {
        ensure!(Instant::now() < until, "{}", home.log());
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_secs(1)).await;
    let clinic = clinic_on(&broker, std::slice::from_ref(&login)).await?;
    home.tell(&json!({"measure": "oximeter", "spo2": 94, "pulse": 62})).await?;
    let store = clinic.store().await?;
    every_value_once(&store, &login, Vital::Pulse, &["61".to_owned(), "62".to_owned()], SOON)
        .await
        .with_context(|| format!("{}\n{}", home.log(), clinic.log()))?;
    clinic.sign_in().await?;
    clinic.alert_where(|alert| alert["mark"] == "red").await?;
    clinic.get_where("/api/v1/kits", |kits| kits[0]["online"] == true).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_restart_of_the_broker_leaves_nobody_deaf() -> Result<()> {
    let login = KitLogin::simulated(1);
    let mut broker = Mosquitto::start(std::slice::from_ref(&login), &[]).await?;
    let clinic = clinic_on(&broker, std::slice::from_ref(&login)).await?;
    let mut home = Home::without_kit(&login, "oximeter", 0).await?;
    home.start_edge(broker.port)?;
    let store = clinic.store().await?;
    let mut measured = Vec::new();
    for pulse in ["61", "62"] {
        home.tell(&json!({"measure": "oximeter", "spo2": 94, "pulse": pulse.parse::<u8>()?})).await?;
        measured.push(pulse.to_owned());
        every_value_once(&store, &login, Vital::Pulse, &measured, SOON)
            .await
            .with_context(|| format!("{}\n{}\n{}", home.log(), clinic.log(), broker.log()))?;
        broker.stop().await?;
        broker.restart().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_too_small_is_told_in_a_sentence_each() -> Result<()> {
    let login = KitLogin::simulated(1);
    let small = ["max_inflight_messages 20", "max_packet_size 20000"];
    let broker = Mosquitto::start(std::slice::from_ref(&login), &small).await?;
    let clinic = clinic_on(&broker, std::slice::from_ref(&login)).await?;
    let until = Instant::now() + SOON;
    let wanted = ["it lets 20 messages be under way at a time, want at least 4096", "it takes packets of 20000 bytes"];
    while !wanted.iter().all(|words| clinic.log().contains(words)) {
        ensure!(Instant::now() < until, "{}", clinic.log());
        sleep(Duration::from_millis(100)).await;
    }
    let checks = doctor(&clinic).await?;
    for words in wanted {
        ensure!(
            checks.iter().any(|check| check["found"].as_str().is_some_and(|found| found.contains(words))),
            "{checks:?}"
        );
    }

    // This one it does not tell of itself: a kit would find out with its first large sitting.
    let silent = Mosquitto::start(std::slice::from_ref(&login), &["message_size_limit 10000"]).await?;
    let clinic = clinic_on(&silent, std::slice::from_ref(&login)).await?;
    let checks = doctor(&clinic).await?;
    let of_broker: Vec<_> = checks.iter().filter(|check| check["check"] == "broker").collect();
    ensure!(of_broker.len() == 1 && of_broker[0]["state"] == "warn", "{of_broker:?}\n{}", silent.log());
    let found = of_broker[0]["found"].as_str().unwrap_or_default();
    for words in ["does not take a message of 262144 bytes", "want `message_size_limit` 0 or at least 262144"] {
        ensure!(found.contains(words), "{found}\n{}", silent.log());
    }

    let fit = Mosquitto::start(std::slice::from_ref(&login), &[]).await?;
    let clinic = clinic_on(&fit, std::slice::from_ref(&login)).await?;
    let checks = doctor(&clinic).await?;
    let of_broker: Vec<_> = checks.iter().filter(|check| check["check"] == "broker").collect();
    ensure!(of_broker.len() == 1 && of_broker[0]["state"] == "ok", "the shipped configuration fits: {of_broker:?}");
    let found = of_broker[0]["found"].as_str().unwrap_or_default();
    ensure!(found.contains("it kept all of 20000 messages"), "{found}");
    Ok(())
}

#[tokio::test]
async fn a_broker_that_drops_what_it_acknowledged_is_told_and_nothing_of_the_trial_stays_there() -> Result<()> {
    let login = KitLogin::simulated(1);
    let mut broker = Mosquitto::start(std::slice::from_ref(&login), &["max_queued_messages 100"]).await?;
    let clinic = clinic_on(&broker, std::slice::from_ref(&login)).await?;
    ensure!(clinic.log().contains("`vagt doctor` tries it"), "{}", clinic.log());

    let quick = clinic.vagt(&["doctor", "--quick", "--json"]).await?;
    let of_broker = quick.iter().find(|check| check["check"] == "broker").context("a line of the broker")?;
    ensure!(of_broker["state"] == "ok", "{of_broker}");
    ensure!(of_broker["found"].as_str().is_some_and(|found| found.contains("was not tried")), "{of_broker}");

    let checks = doctor(&clinic).await?;
    let of_broker: Vec<_> = checks.iter().filter(|check| check["check"] == "broker").collect();
    ensure!(of_broker.len() == 1 && of_broker[0]["state"] == "warn", "{of_broker:?}\n{}", broker.log());
    let found = of_broker[0]["found"].as_str().unwrap_or_default();
    for words in ["it kept 100 of 20000 messages", "want all kept: in mosquitto.conf, set `max_queued_messages 0`"] {
        ensure!(found.contains(words), "{found}\n{}", broker.log());
    }

    // The service's own session is written down, so the doctor's would be too.
    broker.stop().await?;
    let kept = broker.kept()?;
    let left = ["vagt-doctor", "doctor_of_vagt/queue"].iter().any(|name| kept.contains(name));
    ensure!(kept.contains("vagt-in") && !left, "{kept:?}");
    Ok(())
}

/// Permissions by which the broker lets in what it may not, or not what it must; what the doctor says of each.
const PERMISSIONS: [(&str, &str, &str, &str); 7] = [
    ("topic read vagt/v1/+/readings\n", "", "fail", "it does not let the service read vagt/v1/+/readings"),
    ("topic write vagt/v1/+/acks\n", "", "fail", "it does not let the service write vagt/v1/+/acks"),
    ("topic write vagt/v1/doctor_of_vagt/readings\n", "", "warn", "can't be tried: let the service write"),
    (
        "topic readwrite vagt/v1/doctor_of_vagt/queue/+\n",
        "topic read vagt/v1/doctor_of_vagt/queue/+\n",
        "warn",
        "it does not let the service write vagt/v1/doctor_of_vagt/queue/",
    ),
    (
        "topic readwrite vagt/v1/doctor_of_vagt/queue/+\n",
        "topic write vagt/v1/doctor_of_vagt/queue/+\n",
        "warn",
        "it does not let the service read vagt/v1/doctor_of_vagt/queue/",
    ),
    ("topic read vagt/v1/+/status\n", "topic readwrite vagt/v1/#\n", "warn", "send readings in any kit's name"),
    (
        "pattern write vagt/v1/%u/readings\n",
        "topic write vagt/v1/+/readings\n",
        "fail",
        "it lets anybody send readings",
    ),
];

#[tokio::test]
async fn permissions_that_are_missing_or_too_wide_are_told() -> Result<()> {
    let login = KitLogin::simulated(1);
    let logins = std::slice::from_ref(&login);
    let shipped = include_str!("../../../config/mosquitto/acl");
    let folder = tempfile::tempdir()?;
    let acl = folder.path().join("acl");
    for (from, to, state, words) in PERMISSIONS {
        ensure!(shipped.contains(from), "{from:?} is not in the shipped permissions");
        std::fs::write(&acl, shipped.replace(from, to))?;
        let acl = format!("acl_file {}", acl.display());
        let broker = Mosquitto::start(logins, &[&acl, "allow_anonymous true"]).await?;
        let checks = doctor(&clinic_on(&broker, logins).await?).await?;
        let told = checks.iter().find(|check| check["found"].as_str().is_some_and(|found| found.contains(words)));
        ensure!(told.is_some_and(|check| check["state"] == state), "{words}: {checks:?}\n{}", broker.log());
    }
    Ok(())
}

/// What the doctor says, whether something fails or not.
async fn doctor(clinic: &Clinic) -> Result<Vec<serde_json::Value>> {
    let config = clinic.path("hub.toml");
    let run = tokio::process::Command::new(program::ours("vagt")?)
        .args(["doctor", "--json", "--config"])
        .arg(config)
        .output()
        .await?;
    Ok(String::from_utf8(run.stdout)?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[tokio::test]
async fn the_shipped_permissions_bind_a_kit_to_its_own_topics() -> Result<()> {
    let (one, two) = (KitLogin::simulated(1), KitLogin::simulated(2));
    let logins = [one.clone(), two.clone()];
    let broker = Mosquitto::start(&logins, &[]).await?;
    let mut clinic = clinic_on(&broker, &logins).await?;
    clinic.mqtt_port = broker.port;
    let body = clinic.path("body");
    let written = |spo2| serde_json::to_string(&message(1, program::now(), &[(Vital::Spo2, spo2, &[])]));
    std::fs::write(&body, written("84")?)?;
    let foreign = format!("vagt/v1/{}/readings", two.kit);
    clinic.publish(&one, "mqttv5", &foreign, &body)?.wait().await?;
    clinic.publish(&one, "mqttv311", &foreign, &body)?.wait().await?;
    std::fs::write(&body, written("95")?)?;
    let own = format!("vagt/v1/{}/readings", one.kit);
    ensure!(clinic.publish(&one, "mqttv5", &own, &body)?.wait().await? == 0, "{}", broker.log());
    let stored = clinic.stored_where(|stored| stored.messages == 1).await?;
    ensure!(stored.alerts == 0, "a kit spoke for another: {stored:?}");
    let store = clinic.store().await?;
    ensure!(store.messages(&two.patient, Timestamp::UNIX_EPOCH).await?.is_empty());
    Ok(())
}
