//! A clinic whose store is a PostgreSQL server: from a kit's reading to an alert, over `kill -9` of the hub and of the server, told again the same.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::{
    clinic::{Clinic, KitLogin, SOON},
    home::Home,
    load::{message, send_all},
    program::now,
    servers::Cluster,
};
use tokio::time::{Duration, Instant, sleep, timeout};
use vitals::Vital;

/// Kits that send as fast as they are acknowledged.
const LOAD_KITS: usize = 4;
/// Rounds in which the hub, the server or one of its connections is killed.
const KILLS: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clinic_on_a_server_outlives_its_hub_and_its_server() -> Result<()> {
    let mut cluster = Cluster::start();
    let url = cluster.database("clinic");
    let logins: Vec<KitLogin> = (1..=LOAD_KITS + 1).map(KitLogin::simulated).collect();
    let mut clinic = Clinic::on_postgres(&logins, &url).await?;
    clinic.sign_in().await?;

    let mut home = Home::start(&clinic, &logins[0], "nonin-3230", 0).await?;
    home.tell(&json!({"measure": "nonin-3230", "spo2": 82, "pulse": 96, "seconds": 20})).await?;
    let alert = clinic.alert_where(|alert| alert["patient"] == "p-1" && alert["mark"] == "red").await?;
    let mut second = Clinic::stopped_on_postgres(&logins, &url).await?;
    ensure!(second.stand_by().await?.contains("vagt serve on"), "{}", second.log());
    ensure!(second.stop().await? == 0, "a standby stops in order: {}", second.log());

    let stop = Arc::new(AtomicBool::new(false));
    let port = clinic.mqtt_port;
    let load: Vec<_> = logins[1..].iter().map(|login| tokio::spawn(send(port, login.clone(), stop.clone()))).collect();
    for round in 0..KILLS {
        let before = messages(&clinic).await?;
        while messages(&clinic).await? < before + 20 {
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_millis(37 * round)).await;
        match round % 3 {
            0 => {
                clinic.kill_9().await?;
                clinic.restart().await?;
            }
            1 => {
                cluster.kill_9();
                cluster.go_on();
            }
            _ => cluster.kill_9_a_backend(),
        }
        // What was away comes back by itself.
        sleep(Duration::from_millis(500)).await;
    }
    stop.store(true, Ordering::Relaxed);
    // The server may notice only now that one of its processes was killed, and recover once more.
    for _ in 0..3 {
        sleep(Duration::from_millis(700)).await;
        messages(&clinic).await?;
    }
    let store = clinic.any_store().await?;
    for (sent, login) in load.into_iter().zip(&logins[1..]) {
        let sent = sent.await?.with_context(|| clinic.log())?;
        let found = store.messages(&login.patient, jiff::Timestamp::UNIX_EPOCH).await?;
        let seqs: Vec<u64> = found.iter().map(|message| message.key.seq).collect();
        ensure!(seqs == (1..=sent).collect::<Vec<_>>(), "{}: sent 1 to {sent}, stored {seqs:?}", login.kit);
    }
    let again = clinic.get(&format!("/api/v1/alerts/{}", alert["id"].as_str().context("an id")?)).await;
    ensure!(again.is_ok() || clinic.sign_in().await.is_ok(), "the alert is there after all that");
    clinic.retold().await?;
    the_queue_is_shown_without_a_server(&clinic, &mut cluster).await?;

    let doctor = clinic.vagt(&["doctor", "--json"]).await?;
    let of = |check: &str| doctor.iter().find(|line| line["check"] == check).cloned().unwrap_or_default();
    ensure!(of("server")["found"].as_str().is_some_and(|found| found.contains("partitions by month")), "{doctor:?}");
    ensure!(of("server's disk")["state"] == "ok" && of("server takes data")["state"] == "ok", "{doctor:?}");
    Ok(())
}

/// Whoever opens a page meanwhile sees what the queue had, and a machine is told in time that nothing is taken in.
async fn the_queue_is_shown_without_a_server(clinic: &Clinic, cluster: &mut Cluster) -> Result<()> {
    let (status, queue) = clinic.page("/").await?;
    ensure!(status == 200 && queue.contains("Simulated p-1"), "{status}: {queue}");
    cluster.kill_9();
    // A page has 20 s before it is given up.
    let in_time = Duration::from_secs(15);
    for _ in 0..2 {
        let (status, queue) = timeout(in_time, clinic.page("/")).await.context("the queue, in time")??;
        ensure!(status == 200 && queue.contains("Simulated p-1"), "{status}: {queue}");
        let (status, why) = timeout(in_time, clinic.page("/readyz")).await.context("an answer, in time")??;
        ensure!(status == 503, "{status}: {why}");
    }
    cluster.go_on();
    messages(clinic).await?;
    Ok(())
}

/// How many are stored, as soon as the server says so.
async fn messages(clinic: &Clinic) -> Result<u64> {
    let until = Instant::now() + SOON;
    loop {
        let asked = async { Ok::<_, anyhow::Error>(clinic.any_store().await?.stored().await?.messages) };
        match asked.await {
            Ok(messages) => return Ok(messages),
            Err(error) => ensure!(Instant::now() < until, "{error:#}\n{}", clinic.log()),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Sends one reading after the other until it is told to stop; how many were acknowledged.
async fn send(mqtt_port: u16, login: KitLogin, stop: Arc<AtomicBool>) -> Result<u64> {
    let mut sent = 0;
    send_all(mqtt_port, &login, || {
        let goes_on = !stop.load(Ordering::Relaxed);
        goes_on.then(|| {
            sent += 1;
            message(sent, now(), &[(Vital::Spo2, if sent % 40 == 0 { "84" } else { "94" }, &[])])
        })
    })
    .await?;
    Ok(sent)
}
