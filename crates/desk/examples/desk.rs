//! The desk by itself, with simulated people: `cargo run -p desk --example desk -- 8080`, then sign in as `karen` or `mette`.
//!
//! `--still` raises nothing more after the start; `--stalled` plays a core that no longer takes in readings.
#![allow(clippy::disallowed_methods, reason = "it plays the outside world, which has a clock")]

mod clinic;

use std::{net::SocketAddr, time::Duration};

use clinic::{Clinic, PASSWORD, Sat, person};
use desk::Intake;
use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};
use serde_json::json;
use tokio::net::TcpListener;
use vitals::{Flag, Vital};

const DAYS: i64 = 28;
const SIMULATED: &[Flag] = &[Flag::SIMULATED];

/// How somebody's days go.
struct Life {
    id: &'static str,
    name: &'static str,
    born: i16,
    /// SpO2 of a good day, and how much it falls on each of the last six.
    spo2: (f64, f64),
    /// Pulse of a good day, and how much it rises on each of the last six.
    pulse: (f64, f64),
    /// The last day with a measurement, counted back from today.
    until: i64,
    /// What is answered today.
    answers: &'static [(&'static str, &'static str)],
}

#[rustfmt::skip]
const LIVES: &[Life] = &[
    Life { id: "p-inger", name: "Inger Madsen", born: 1948, spo2: (91.0, 1.6), pulse: (84.0, 4.0), until: 0, answers: &[("breathless", "somewhat"), ("cough", "not_at_all")] },
    Life { id: "p-poul", name: "Poul Andersen", born: 1955, spo2: (92.0, 0.2), pulse: (88.0, 7.5), until: 0, answers: &[("breathless", "not_at_all")] },
    Life { id: "p-kirsten", name: "Kirsten Bech", born: 1960, spo2: (93.0, 0.1), pulse: (86.0, 5.0), until: 0, answers: &[("breathless", "a_little"), ("cough", "a_little")] },
    Life { id: "p-jens-ole", name: "Jens-Ole Rasmussen", born: 1946, spo2: (91.0, 2.2), pulse: (78.0, 0.5), until: 2, answers: &[] },
    Life { id: "p-anna", name: "Anna Sørensen", born: 1942, spo2: (91.5, 0.0), pulse: (74.0, 0.0), until: 6, answers: &[] },
    Life { id: "p-verner", name: "Verner Kjær", born: 1953, spo2: (94.0, 0.0), pulse: (68.0, 0.0), until: 0, answers: &[("breathless", "not_at_all")] },
    Life { id: "p-bodil", name: "Bodil Friis", born: 1958, spo2: (93.5, 0.0), pulse: (72.0, 0.0), until: 0, answers: &[] },
];

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let port = words.iter().find_map(|word| word.parse().ok()).unwrap_or(8080);
    let says = |word: &str| words.iter().any(|given| given == word);
    let clinic = Clinic::open(LIVES.iter().map(|life| person(life.id, life.name, life.born)).collect()).await;
    let now = Timestamp::now();
    for day in (0..=DAYS).rev() {
        for life in LIVES.iter().filter(|life| day >= life.until) {
            live(&clinic, life, day, now).await;
        }
    }
    clinic.tick(now).await;
    kits(&clinic, now).await;
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.expect("the port is free");
    println!(
        "http://{}  sign in as karen or mette, password {PASSWORD:?}",
        listener.local_addr().expect("it is bound")
    );
    let app = desk::router(clinic.desk()).into_make_service_with_connect_info::<SocketAddr>();
    let (stalled, still) = (says("--stalled"), says("--still"));
    tokio::spawn(async move { run(&clinic, stalled, still).await });
    axum::serve(listener, app).await.expect("serves until it is stopped");
}

/// One morning of one life.
async fn live(clinic: &Clinic, life: &Life, day: i64, now: Timestamp) {
    let ill = ((6 - day).max(0) as f64).powi(3) / 36.0;
    let noise = |salt: i64| ((day * 7919 + salt * 104_729 + life.born as i64 * 31) % 17) as f64 / 17.0 - 0.5;
    let spo2 = format!("{:.0}", life.spo2.0 - life.spo2.1 * ill + noise(1) * 2.0);
    let pulse = format!("{:.0}", life.pulse.0 + life.pulse.1 * ill + noise(2) * 6.0);
    let minutes = i64::from(life.born % 37);
    let at = if day == 0 { now - SignedDuration::from_mins(4 + minutes) } else { morning(now, day, minutes) };
    let late = day == 2 && life.id == "p-jens-ole";
    let after =
        if late { now.duration_since(at) - SignedDuration::from_mins(23) } else { SignedDuration::from_secs(2) };
    let answers = if day == 0 { life.answers } else { &[] };
    let doubtful = &[Flag::SIMULATED, Flag::SUSPECT_STEP];
    let flags = if day == 0 && life.id == "p-poul" { doubtful } else { SIMULATED };
    clinic
        .sit(life.id, at, after, Sat { readings: &[(Vital::Spo2, &spo2), (Vital::Pulse, &pulse)], answers, flags })
        .await;
}

/// Some minutes past eight, so many days ago.
fn morning(now: Timestamp, day: i64, minutes: i64) -> Timestamp {
    let copenhagen = TimeZone::get("Europe/Copenhagen").expect("a zone of the bundled database");
    let then = now.to_zoned(copenhagen.clone()).date() - Span::new().days(day);
    let eight = then.at(8, 0, 0, 0).to_zoned(copenhagen).expect("eight o'clock exists");
    eight.timestamp() + SignedDuration::from_mins(minutes)
}

async fn kits(clinic: &Clinic, now: Timestamp) {
    for life in LIVES {
        let offline = life.id == "p-jens-ole";
        let device = json!({ "device": format!("pulse-oximeter:{}", life.id), "present": !offline, "last_heard": now,
            "problem": (life.id == "p-verner").then_some("battery is low") });
        let problems = if offline { json!(["spool: the disk is nearly full"]) } else { json!([]) };
        let status = json!({ "online": !offline, "version": "0.1.0", "spooled": if offline { 3 } else { 0 }, "devices": [device], "problems": problems });
        clinic.heard(life.id, now - SignedDuration::from_mins(if offline { 23 } else { 1 }), !offline, status).await;
    }
}

/// The pipeline goes on: says every second that it lives, and now and then somebody measures.
async fn run(clinic: &Clinic, stalled: bool, still: bool) {
    let since = Timestamp::now();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    for count in 1_u64.. {
        second.tick().await;
        let now = Timestamp::now();
        let behind_since = stalled.then_some(since);
        let reason = stalled.then(|| "the disk is full".to_owned());
        clinic.board.intake(Intake { at: now, behind_since, reason, waiting: if stalled { 212 } else { 0 } });
        if !still && !stalled && count % 20 == 0 {
            let (life, low) = if count % 40 == 0 { ("p-bodil", "83") } else { ("p-verner", "87") };
            clinic
                .sit(
                    life,
                    now,
                    SignedDuration::from_secs(1),
                    Sat { readings: &[(Vital::Spo2, low)], answers: &[], flags: SIMULATED },
                )
                .await;
        }
    }
}
