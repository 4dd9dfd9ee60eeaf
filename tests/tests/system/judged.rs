//! What was judged is judged again: readings declared invalid and restored, doubtful ones measured again, silence put down to the kit or to the
//! person, several programmes, own limits and pauses. Each beside a running service, and retold from its store in the end.

use std::fs;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp, Unit, tz::TimeZone};
use serde_json::{Value, json};
use store::{Journal, JournalEntry, Sqlite, Store as _};
use tests::{
    clinic::{Clinic, KitLogin},
    load::{message, send_one},
    program::{Running, debian, now},
    programme::small,
};
use vitals::Vital;

async fn clinic(kits: &[KitLogin], files: &[(&str, &str)]) -> Result<Clinic> {
    let mut clinic = Clinic::stopped(kits).await?;
    clinic.use_programmes(files)?;
    clinic.restart().await?;
    clinic.sign_in().await?;
    Ok(clinic)
}

async fn measures(clinic: &Clinic, kit: &KitLogin, seq: u64, readings: &[(Vital, &str, &[&str])]) -> Result<()> {
    send_one(clinic.mqtt_port, kit, message(seq, now(), readings)).await
}

/// Listens as the kit, on its commands.
fn listens(clinic: &Clinic, login: &KitLogin) -> Result<Running> {
    let (port, kit) = (clinic.mqtt_port.to_string(), login.kit.as_str());
    let topic = format!("vagt/v1/{kit}/commands");
    let args = ["-h", "127.0.0.1", "-p", &port, "-V", "5", "-u", kit, "-P", &login.secret, "-q", "1", "-t", &topic];
    Running::start(&debian("mosquitto_sub", "mosquitto-clients")?, &args, &[], &clinic.path("listen.log"))
}

async fn colour(clinic: &Clinic, wanted: &str) -> Result<()> {
    let all = clinic.get_where("/api/v1/patients/p-1", |one| one["colour"] == wanted).await;
    all.map(|_| ())
}

#[tokio::test]
async fn an_invalid_reading_takes_its_alert_along_and_a_restored_one_brings_it_back() -> Result<()> {
    let kits = [KitLogin::simulated(1)];
    let clinic = clinic(&kits, &[("copd.toml", &small(1, 85, 88, ""))]).await?;
    measures(&clinic, &kits[0], 1, &[(Vital::Spo2, "95", &[]), (Vital::Pulse, "80", &[])]).await?;
    measures(&clinic, &kits[0], 2, &[(Vital::Spo2, "80", &[]), (Vital::Pulse, "80", &[])]).await?;
    let alert = clinic.alert_where(|alert| alert["mark"] == "red").await?;
    colour(&clinic, "red").await?;
    let id = alert["id"].as_str().context("an id")?.to_owned();
    let why = clinic.get(&format!("/api/v1/alerts/{id}/why")).await?;
    let said = why["findings"][0]["otherwise"]["said"].as_str().unwrap_or_default();
    ensure!(said.contains("88"), "{why}");

    let args = ["reading", "invalidate", "kit-1", "2", "0", "--reason", "the dog's ear", "--by", "mette", "--json"];
    clinic.vagt(&args).await?;
    clinic.queue_is_empty().await?;
    colour(&clinic, "green").await?;
    let quiet = clinic.get("/api/v1/patients/p-1/why-not").await?;
    let spo2 =
        quiet["rules"].as_array().context("rules")?.iter().find(|rule| rule["rule"] == "spo2").context("spo2")?;
    ensure!(spo2["mark"] == "green" && spo2["near"]["distance"] == json!(7), "{spo2}");
    let refused = clinic.vagt_refuses(&args).await?;
    ensure!(refused.contains("invalid already") || refused.contains("already"), "{refused}");

    let again = json!({ "kit": "kit-1", "seq": 2, "place": 0, "reason": "it was hers after all" });
    clinic.post("/api/v1/patients/p-1/readings/restore", &again).await?;
    clinic.alert_where(|alert| alert["mark"] == "red").await?;
    colour(&clinic, "red").await?;
    clinic.post("/api/v1/patients/p-1/readings/invalidate", &again).await?;
    clinic.queue_is_empty().await?;

    let store = clinic.store().await?;
    let of: Vec<String> = store
        .journal(store::JournalFilter { limit: 1000, ..Default::default() })
        .await?
        .iter()
        .filter(|entry| matches!(entry.what, Journal::ReadingInvalidated { .. } | Journal::ReadingRestored { .. }))
        .map(|entry| format!("{} {}", entry.by.as_deref().unwrap_or_default(), entry.what.name()))
        .collect();
    assert_eq!(of, ["mette reading_invalidated", "mette reading_restored", "mette reading_invalidated"]);
    clinic.retold().await?;
    Ok(())
}

#[tokio::test]
async fn a_doubtful_red_is_told_at_once_and_measured_again_and_a_doubtful_yellow_waits() -> Result<()> {
    let kits = [KitLogin::simulated(1), KitLogin::simulated(2)];
    let clinic = clinic(&kits, &[("copd.toml", &small(1, 85, 88, ""))]).await?;
    let mut kit = listens(&clinic, &kits[0])?;
    clinic.get_where("/api/v1/kits", |kits| kits[0]["online"] == true).await?;
    measures(&clinic, &kits[0], 1, &[(Vital::Spo2, "82", &["low_perfusion"])]).await?;
    let asked = kit.line_where(|line| line["command"] == "remeasure").await.with_context(|| clinic.log())?;
    assert_eq!(asked["vital"], "spo2");
    let alert = clinic.alert_where(|alert| alert["mark"] == "red" && alert["patient"] == "p-1").await?;
    assert_eq!(alert["provisional"], true, "{alert}");
    measures(&clinic, &kits[0], 2, &[(Vital::Spo2, "94", &[])]).await?;
    clinic.queue_is_empty().await?;
    let ended = clinic.get(&format!("/api/v1/alerts/{}", alert["id"].as_str().context("an id")?)).await?;
    let events = ended["events"].as_array().or_else(|| ended["history"].as_array()).context("its history")?;
    assert_eq!(events.last().map(|event| &event["kind"]), Some(&json!("not_confirmed")), "{ended}");

    // The yellow is told 4 seconds after it was measured, since nothing more came.
    let before = now();
    measures(&clinic, &kits[1], 1, &[(Vital::Spo2, "87", &["low_perfusion"])]).await?;
    let alert = clinic.alert_where(|alert| alert["patient"] == "p-2").await?;
    let raised: Timestamp = alert["raised_at"].as_str().context("raised_at")?.parse()?;
    ensure!(raised.duration_since(before) >= SignedDuration::from_millis(3900), "told too soon: {alert}");
    clinic.retold().await?;
    Ok(())
}

/// A programme that expects the pulse so many seconds from now, for a second.
fn expects(seconds: i64) -> Result<String> {
    let due = (now() + SignedDuration::from_secs(seconds)).to_zoned(TimeZone::UTC).round(Unit::Second)?;
    let days = r#"["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]"#;
    let more = format!(
        "[[schedule]]\nid = \"soon\"\ndays = {days}\nat = \"{}\"\nwindow = \"1s\"\n\
         [[rule]]\nid = \"missing\"\nkind = \"missing\"\nfamily = \"missing\"\nschedule = \"soon\"\nvitals = [\"pulse\"]\n",
        due.time()
    );
    Ok(small(1, 85, 88, &more))
}

#[tokio::test]
async fn silence_is_put_down_to_the_kit_or_to_the_person_and_a_pause_expects_nothing() -> Result<()> {
    let kits: Vec<KitLogin> = (1..=3).map(KitLogin::simulated).collect();
    let mut clinic = Clinic::stopped(&kits).await?;
    clinic.use_programmes(&[("copd.toml", &expects(12)?)])?;
    clinic.restart().await?;
    clinic.stop().await?;
    // Half a day of silence, as the service told it before it was stopped.
    let since = now() - SignedDuration::from_hours(13);
    let silent = Journal::KitSilent { kit: kits[0].kit.clone(), since };
    let entry = JournalEntry { at: now(), by: None, patient: Some(kits[0].patient.clone()), what: silent };
    let store = Sqlite::open(&clinic.path("data/vagt.db")).await?;
    store.append(&[entry]).await?;
    store.close().await;
    let (from, until) = (now() - SignedDuration::from_mins(1), now() + SignedDuration::from_hours(1));
    let pause = format!(
        "[[pauses]]\nkind = \"holiday\"\nauthor = \"Mette\"\nreason = \"in Skagen\"\nfrom = \"{from}\"\nuntil = \"{until}\"\n"
    );
    fs::write(clinic.path("own.toml"), pause)?;
    let own = clinic.path("own.toml");
    clinic.vagt(&["patient", "own", "p-3", "--file", own.to_str().context("UTF-8")?]).await?;
    clinic.restart().await?;
    clinic.sign_in().await?;
    let _online = listens(&clinic, &kits[1])?;

    let why = |alert: &Value| alert["findings"][0]["why"].as_str().unwrap_or_default().to_owned();
    let of_kit = clinic.alert_where(|alert| alert["patient"] == "p-1").await?;
    ensure!(of_kit["mark"] == "blue" && why(&of_kit).contains("kit"), "{of_kit}");
    let of_person = clinic.alert_where(|alert| alert["patient"] == "p-2").await?;
    ensure!(of_person["mark"] == "blue" && !why(&of_person).contains("kit"), "{of_person}");
    let alerts = clinic.alerts().await?;
    assert_eq!(alerts.len(), 2, "p-3 is on holiday: {alerts:?}");
    let quiet = clinic.get("/api/v1/patients/p-3/why-not").await?.to_string();
    ensure!(quiet.contains("holiday"), "{quiet}");
    clinic.retold().await?;
    Ok(())
}

#[tokio::test]
async fn a_patient_is_in_two_programmes_with_own_limits_that_have_an_author_and_an_end() -> Result<()> {
    let kits = [KitLogin::simulated(1)];
    let heart = small(1, 84, 92, "").replace("\"copd\"", "\"heart\"").replace("below = 110", "below = 100");
    let heart = heart.replace("from = 110", "from = 100");
    let clinic = clinic(&kits, &[("copd.toml", &small(1, 85, 88, "")), ("heart.toml", &heart)]).await?;
    let add = [
        "patient",
        "add",
        "p-1",
        "--name",
        "Simulated p-1",
        "--programme",
        "copd",
        "--programme",
        "heart",
        "--by",
        "mette",
    ];
    clinic.vagt(&add).await?;
    let both = |said: &Value| {
        let of = |id| said["rules"].as_array().is_some_and(|rules| rules.iter().any(|rule| rule["programme"] == id));
        of("copd") && of("heart")
    };
    clinic.get_where("/api/v1/patients/p-1/why-not", both).await?;
    measures(&clinic, &kits[0], 1, &[(Vital::Spo2, "90", &[]), (Vital::Pulse, "80", &[])]).await?;
    let alert = clinic.alert_where(|alert| alert["mark"] == "yellow").await?;
    assert_eq!(alert["findings"][0]["programme"], "heart", "90 % is green by the other: {alert}");

    let own = |value: u8, until: &str| {
        let from = now() - SignedDuration::from_hours(24);
        format!(
            "[[limits]]\nprogramme = \"heart\"\nrule = \"spo2\"\nlimit = \"yellow_low\"\nvalue = {value}\nunit = \"%\"\n\
             author = \"Dr Test\"\nreason = \"his normal state\"\nfrom = \"{from}\"\n{until}"
        )
    };
    let file = clinic.path("own.toml");
    let args = ["patient", "own", "p-1", "--file", file.to_str().context("UTF-8")?];
    fs::write(&file, own(89, &format!("until = \"{}\"\n", now() + SignedDuration::from_secs(3600))))?;
    clinic.vagt(&args).await?;
    clinic.queue_is_empty().await?;
    fs::write(&file, own(80, "").replace("yellow_low", "red_low"))?;
    let refused = clinic.vagt_refuses(&args).await?;
    ensure!(refused.contains("83") && refused.contains("until"), "{refused}");
    fs::write(&file, own(89, &format!("until = \"{}\"\n", now() - SignedDuration::from_secs(60))))?;
    clinic.vagt(&args).await?;
    clinic.alert_where(|alert| alert["mark"] == "yellow").await?;
    let overdue = clinic.vagt(&["limits", "--overdue", "--json"]).await?;
    assert_eq!((overdue.len(), &overdue[0]["author"], &overdue[0]["overdue"]), (1, &json!("Dr Test"), &json!(true)));
    clinic.retold().await?;
    Ok(())
}
