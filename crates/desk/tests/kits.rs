//! Kits on the pages and in the API: what they say of themselves, what they are asked, and what became of it.

#![allow(clippy::unwrap_used, reason = "a test")]

mod browser;
#[path = "../examples/clinic/mod.rs"]
mod clinic;

use axum::http::StatusCode;
use browser::{Browser, between};
use clinic::{Clinic, Sat, person};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{Command, Heard, Kit, Roster, Store as _};
use vitals::{Answer, Vital};

fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the test plays the outside world, which has a clock")]
    Timestamp::now()
}

async fn two() -> Clinic {
    Clinic::open(vec![person("p-anna", "Anna S.", 1942), person("p-poul", "Poul A.", 1955)]).await
}

#[tokio::test]
async fn a_kit_is_asked_on_the_patients_page_and_the_answer_is_shown_there() {
    let clinic = two().await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let page = browser.get("/patients/p-anna").await.text;
    for words in ["Ask for a new measurement", "Send a message", "Tell the kit that I have looked"] {
        assert!(page.contains(words), "{words}");
    }
    let form = "kit=kit-p-anna&command=remeasure&vital=spo2&text=Warm+the+finger";
    let asked = browser.form("/patients/p-anna/commands", form).await;
    assert_eq!((asked.status, asked.head("location")), (StatusCode::SEE_OTHER, "/patients/p-anna#commands"));
    let page = browser.get("/patients/p-anna").await.text;
    let line = between(&page, "<li class=\"waiting\">", "</li>");
    for words in ["waits for the kit", "New measurement: SpO₂", "Karen", "Warm the finger"] {
        assert!(line.contains(words), "{words}: {line}");
    }
    let kit = "kit-p-anna".parse().unwrap();
    let command = clinic.store.commands_of(&kit, 1).await.unwrap().remove(0).command;
    clinic.receives(&kit, "p-anna", &command.id, store::Progress::Failed, Some("no oximeter in reach")).await;
    let page = browser.get("/patients/p-anna").await.text;
    let line = between(&page, "<li class=\"failed\">", "</li>");
    assert!(line.contains("failed ") && line.contains("no oximeter in reach"), "{line}");

    for (path, form, status) in [
        ("/patients/p-anna/commands", "kit=kit-p-anna&command=message&text=+", StatusCode::UNPROCESSABLE_ENTITY),
        ("/patients/p-anna/commands", "kit=kit-p-poul&command=message&text=x", StatusCode::NOT_FOUND),
        ("/patients/p-anna/commands", "kit=kit-9&command=message&text=x", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(browser.form(path, form).await.status, status, "{form}");
    }
    assert_eq!(clinic.store.commands_of(&kit, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_asked_for_somebody_stays_theirs_when_the_kit_goes_to_somebody_else() {
    let clinic = two().await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let measured = Sat { readings: &[(Vital::Spo2, "97")], ..Sat::default() };
    clinic.sit("p-anna", now(), SignedDuration::from_secs(1), measured).await;
    let asked = browser.form("/patients/p-anna/commands", "kit=kit-p-anna&command=message&text=Anna+alone").await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);
    let as_it_was_kept_before = Command {
        id: "old".to_owned(),
        kit: "kit-p-anna".parse().unwrap(),
        patient: None,
        command: "message".to_owned(),
        by: None,
        issued_at: now() - SignedDuration::from_mins(1),
        expires_at: now() + SignedDuration::from_hours(1),
        body: json!({ "text": "Named nobody" }),
    };
    clinic.store.put_command(&as_it_was_kept_before).await.unwrap();
    let page = browser.get("/patients/p-anna").await.text;
    assert!(page.contains("Anna alone") && page.contains("Named nobody"));

    let mut kits = clinic.store.roster().await.unwrap().kits;
    (kits[0].patient, kits[0].since) = ("p-poul".parse().ok(), None);
    clinic.store.put_roster(&Roster { patients: Vec::new(), kits }, now()).await.unwrap();
    clinic.board.roster(clinic.store.roster().await.unwrap(), Default::default());
    // The hub asks for what is to be sent.
    assert!(clinic.store.open_commands(now(), 9).await.unwrap().is_empty());
    let asked = browser.form("/patients/p-poul/commands", "kit=kit-p-anna&command=message&text=Poul+alone").await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);

    let poul = browser.get("/patients/p-poul").await.text;
    assert!(poul.contains("Poul alone") && !poul.contains("Anna alone") && !poul.contains("Named nobody"));
    let anna = browser.get("/patients/p-anna").await.text;
    let line = between(&anna, "<li class=\"expired\">", "</li>");
    assert!(line.contains("Anna alone") && line.contains("expired "), "{line}");
    assert!(anna.contains("No longer with this patient") && !anna.contains("Send a message"));
    assert!(!anna.contains("Poul alone") && !anna.contains("Named nobody"));
}

#[tokio::test]
async fn the_api_asks_lists_and_refuses() {
    let clinic = two().await;
    let browser = Browser::signed_in(&clinic, "mette").await;
    let path = "/api/v1/kits/kit-p-anna/commands";
    let made = browser.api(path, json!({ "command": "message", "text": "Hej" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let list = browser.get(path).await.json();
    assert_eq!(
        (&list[0]["id"], &list[0]["state"], &list[0]["by"]),
        (&made.json()["id"], &json!("waiting"), &json!("Mette"))
    );
    for (body, why) in [
        (json!({ "command": "message" }), "message wants `text`, found none"),
        (json!({ "command": "message", "text": "x".repeat(501) }), "text has 501 characters, want at most 500"),
        (json!({ "command": "remeasure", "vital": "mood" }), "vital: found `mood`, want one of"),
    ] {
        let problem = browser.api(path, body).await.is_problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    }
    browser
        .api("/api/v1/kits/kit-9/commands", json!({ "command": "diagnostics" }))
        .await
        .is_problem(StatusCode::NOT_FOUND);
    for _ in 1..desk::COMMANDS_WAITING_MAX {
        assert_eq!(browser.api(path, json!({ "command": "diagnostics" })).await.status, StatusCode::CREATED);
    }
    browser.api(path, json!({ "command": "diagnostics" })).await.is_problem(StatusCode::CONFLICT);
}

#[tokio::test]
async fn the_kit_is_told_who_took_the_alert() {
    let clinic = two().await;
    let browser = Browser::signed_in(&clinic, "mette").await;
    clinic
        .sit("p-anna", now(), SignedDuration::from_secs(1), Sat { readings: &[(Vital::Spo2, "84")], ..Sat::default() })
        .await;
    let alert = browser.get("/api/v1/alerts").await.json()["alerts"][0].clone();
    let taken = json!({ "action": "acknowledge", "seen_version": alert["version"] });
    for _ in 0..2 {
        assert_eq!(browser.act(alert["id"].as_str().unwrap(), taken.clone()).await.status, StatusCode::OK);
    }
    let told = clinic.store.commands_of(&"kit-p-anna".parse().unwrap(), 9).await.unwrap();
    assert_eq!(told.len(), 1, "the same look is told once");
    assert_eq!((told[0].command.command.as_str(), told[0].command.by.as_deref()), ("seen", Some("Mette")));
    assert_eq!(clinic.store.commands_of(&"kit-p-poul".parse().unwrap(), 9).await.unwrap().len(), 0);
}

#[tokio::test]
async fn who_asks_to_be_called_stands_before_the_yellows() {
    let clinic = two().await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    clinic
        .sit("p-poul", now(), SignedDuration::from_secs(1), Sat { readings: &[(Vital::Spo2, "87")], ..Sat::default() })
        .await;
    let (questionnaire, question, answer) = ("kit".to_owned(), "call_me".to_owned(), "now".to_owned());
    let asked = Answer { questionnaire, version: 1, question, answer, answered_at: now() };
    clinic.answers("p-anna", vec![asked]).await;
    let queue = browser.get("/api/v1/alerts").await.json();
    let families: Vec<_> = (0..2).map(|at| queue["alerts"][at]["family"].as_str().unwrap().to_owned()).collect();
    assert_eq!(families[0], "call", "{queue}");
    let card = browser.get("/queue/cards").await.text;
    assert!(card.contains("Asks to be called"), "{card}");
    let danish = Browser::signed_in(&clinic, "mette").await;
    assert!(danish.get("/queue/cards").await.text.contains("Beder om at blive ringet op"));
}

#[tokio::test]
async fn the_page_of_kits_says_what_a_kit_says_of_its_devices_and_who_shares_it() {
    let clinic = two().await;
    let mut kits = clinic.store.roster().await.unwrap().kits;
    let patients = kits.iter().flat_map(Kit::people).cloned().collect();
    let bus =
        Kit { id: "bus-1".parse().unwrap(), patient: None, patients, secret_sha256: String::new(), ..kits[0].clone() };
    kits.push(bus);
    clinic.store.put_roster(&Roster { patients: Vec::new(), kits }, now()).await.unwrap();
    clinic.board.roster(clinic.store.roster().await.unwrap(), Default::default());
    let status = json!({ "online": true, "devices": [
        { "device": "nonin-3230:1", "present": true, "battery_percent": 15, "model": "Nonin 3230", "firmware": "1.2", "clock_ahead_seconds": -7200 },
        { "device": "a-d-ua-651:2", "present": true, "battery_percent": 90, "clock_ahead_seconds": 3 },
    ] });
    clinic.board.heard(Heard { kit: "kit-p-anna".parse().unwrap(), at: now(), online: true, status });
    let browser = Browser::signed_in(&clinic, "karen").await;
    let page = browser.get("/kits").await.text;
    let anna = between(&page, "id=\"kit-kit-p-anna\"", "</li>");
    for words in ["Nonin 3230", "firmware 1.2", "battery 15 %", "low battery", "clock 2 h behind", "battery 90 %"] {
        assert!(anna.contains(words), "{words}: {anna}");
    }
    assert_eq!((anna.matches("low battery").count(), anna.matches("clock ").count()), (1, 1));
    let bus = between(&page, "id=\"kit-bus-1\"", "</li>");
    assert!(
        bus.contains("shared by")
            && bus.contains("Anna S.")
            && bus.contains("Poul A.")
            && bus.contains("Not enrolled yet"),
        "{bus}"
    );
    let kits = browser.get("/api/v1/kits").await.json();
    let bus = kits.as_array().unwrap().iter().find(|kit| kit["id"] == "bus-1").unwrap();
    assert_eq!(
        (&bus["patient"], &bus["patients"], &bus["enrolled"]),
        (&json!(null), &json!(["p-anna", "p-poul"]), &json!(false))
    );
    let page = browser.get("/patients/p-poul").await.text;
    assert!(page.contains("kit-p-poul") && page.contains("bus-1"));
}
