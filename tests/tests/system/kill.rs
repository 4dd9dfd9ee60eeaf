//! Promise 1, by force: `kill -9` of the hub and of the kit at random moments, a hundred times, under load. Afterwards every message that a
//! kit ever sent is in the store exactly once, every record of the spirometer too, every due alert was raised once, and a replay from the store
//! gives the same alerts, byte for byte.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tests::{
    clinic::{Clinic, KitLogin, SOON},
    home::Home,
    load::send_all,
    program,
    proofs::{every_message_once, every_value_once, one_alert_alone},
};
use tokio::time::sleep;
use uuid::Uuid;
use vitals::{Clock, Reading, Unit, Value, Vital};
use wire::Message;

/// Kills of each of the two programs.
const KILLS_EACH: usize = 50;
/// Kits that send as fast as they are acknowledged, beside the home.
const LOAD_KITS: usize = 12;
/// Of so many readings one is red.
const RED_EVERY: u64 = 40;
/// The longest that a program lives between two kills, in milliseconds.
const LIFE_MS_MAX: u64 = 600;
/// A repeatable run: print it, set it, run again.
const SEED: u64 = 20_261_122;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_kills_lose_nothing_and_double_nothing() -> Result<()> {
    let logins: Vec<KitLogin> = (1..=LOAD_KITS + 1).map(KitLogin::simulated).collect();
    let mut clinic = Clinic::start(&logins).await?;
    let mut home = Home::start(&clinic, &logins[0], "spirometer", 0).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> =
        logins[1..].iter().map(|login| tokio::spawn(send(clinic.mqtt_port, login.clone(), stop.clone()))).collect();

    let blown = kill_at_random(&mut clinic, &mut home).await?;
    stop.store(true, Ordering::Relaxed);

    let store = clinic.store().await?;
    let mut messages = 0;
    for (sent, login) in load.into_iter().zip(&logins[1..]) {
        let sent = sent.await?.with_context(|| clinic.log())?;
        messages += sent.len();
        every_message_once(&store, login, &sent).await?;
        one_alert_alone(&store, login, &sent, Value::new(84, 0)).await?;
    }
    every_value_once(&store, &logins[0], Vital::Fev1, &blown, SOON).await.with_context(|| home.log())?;
    the_way_is_retold(&clinic).await?;
    println!("{} kills, {messages} messages and {} blows, seed {SEED}: each once", KILLS_EACH * 2, blown.len());
    ensure!(messages > LOAD_KITS * 100, "too little load to prove anything: {messages} messages");
    Ok(())
}

/// What is stored, folded once more, gives the alerts that are stored, with their histories, byte for byte: as if nothing had been killed.
async fn the_way_is_retold(clinic: &Clinic) -> Result<()> {
    let said = clinic.vagt(&["replay", "--stored", "--verify"]).await.with_context(|| clinic.log())?;
    let last = said.last().context("a line")?;
    ensure!(last["verified"] == true && last["alerts_before"] == 0, "{last}");
    ensure!(last["starts"].as_u64() > Some(KILLS_EACH as u64), "{last}");
    ensure!(last["alerts"].as_u64() >= Some(LOAD_KITS as u64), "{last}");
    println!("replayed from the store: {last}");
    Ok(())
}

/// Kills the two in turn, each after a random life, while the person blows; gives what was blown, as FEV1.
async fn kill_at_random(clinic: &mut Clinic, home: &mut Home) -> Result<Vec<String>> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut blown = Vec::new();
    for kill in 0..KILLS_EACH {
        let fev1 = format!("1.{:02}", kill + 10);
        home.tell(&json!({"measure": "spirometer", "fev1": fev1.parse::<f64>()?, "fvc": 2.9, "pef": 5.1})).await?;
        blown.push(fev1);
        sleep(Duration::from_millis(random.random_range(0..LIFE_MS_MAX))).await;
        clinic.kill_9().await?;
        clinic.restart().await?;
        sleep(Duration::from_millis(random.random_range(0..LIFE_MS_MAX))).await;
        home.kill_9_edge().await?;
        home.start_edge(clinic.mqtt_port)?;
    }
    Ok(blown)
}

/// Sends SpO2 readings until told to stop; gives what was sent, by seq.
async fn send(mqtt_port: u16, login: KitLogin, stop: Arc<AtomicBool>) -> Result<BTreeMap<u64, Value>> {
    let mut sent = BTreeMap::new();
    let session = Uuid::new_v4();
    send_all(mqtt_port, &login, || {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let seq = sent.len() as u64 + 1;
        let spo2 = if seq.is_multiple_of(RED_EVERY) { 84 } else { 90 + seq.cast_signed() % 8 };
        sent.insert(seq, Value::new(spo2, 0));
        Some(message(seq, session, Value::new(spo2, 0)))
    })
    .await?;
    Ok(sent)
}

fn message(seq: u64, session: Uuid, value: Value) -> Message {
    let now = program::now();
    let device = "gatt-plx:SIMULATED".parse().expect("a device id");
    let reading = Reading {
        vital: Vital::Spo2,
        value,
        unit: Unit::Percent,
        measured_at: now,
        clock: Clock::Device,
        device,
        flags: Vec::new(),
    };
    Message {
        seq,
        oldest: None,
        sent_at: now,
        session,
        readings: vec![reading],
        answers: Vec::new(),
        patient: None,
        receipts: Vec::new(),
    }
}
