//! Tuning, own settings and what nurses record, over HTTP: real requests through the router, over a real store and what the service gives it.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "the test plays the outside world, which has a clock")]

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use desk::{Board, Desk};
use hub::{
    clock, programmes,
    roster::Decided,
    tuning::{beside::Beside, service::StoredTuning},
    ward::StoredWard,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{
    Account, Batch, Entry, Journal, JournalEntry, KitSeq, ProgrammeVersion, Roster, Sqlite, Store, WebSession,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use vitals::{Clock, Reading, Vital};

/// The desk over a store, with somebody of each role signed in: the cookie is the user's name.
struct House {
    router: Router,
    store: Arc<Sqlite>,
    folder: tempfile::TempDir,
    _stop: tokio_util::sync::DropGuard,
}

struct Answer {
    status: StatusCode,
    head: axum::http::HeaderMap,
    body: Value,
}

impl House {
    async fn open() -> Self {
        Self::of("copd").await
    }

    /// The patient is in this programme.
    async fn of(programme: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vagt.db");
        let store = Arc::new(Sqlite::open(&file).await.unwrap());
        let now = Timestamp::now();
        let (file_name, text) = triage::SHIPPED.iter().find(|(name, _)| *name == format!("{programme}.toml")).unwrap();
        std::fs::write(folder.path().join(file_name), text).unwrap();
        programmes::bring_in(&*store, Some(folder.path()), now).await.unwrap();
        let roster: Roster = serde_json::from_value(json!({
            "patient": [{ "id": "p-1", "name": "Simulated One", "programme": programme, "simulated": true, "since": ago(40) }],
            "kit": [{ "id": "kit-1", "patient": "p-1" }],
        }))
        .unwrap();
        store.put_roster(&roster, now).await.unwrap();
        for (user, role) in [("ane", "operator"), ("bo", "admin"), ("mette", "nurse"), ("holm", "doctor")] {
            sign_in(&store, user, role).await;
        }
        let zone = TimeZone::UTC;
        let directory = Decided::read(&*store, now).await.unwrap().directory(roster.clone(), &zone).unwrap();
        let board = Board::new(Vec::new(), roster, Vec::new(), directory.plans().clone());
        let basis = serde_json::to_value(&**directory.basis(&"p-1".parse().unwrap()).unwrap()).unwrap();
        judged(&store, basis).await;
        let (stop, shared) = (CancellationToken::new(), Arc::clone(&store) as Arc<dyn Store>);
        let beside = Beside::new(stop.clone());
        let tuning =
            StoredTuning::new(Arc::clone(&shared), store::Place::File(file), zone.clone(), clock::wall(), beside);
        let ward =
            StoredWard { store: Arc::clone(&shared), zone: zone.clone(), setting: tokio::sync::Mutex::default() };
        let desk = Desk {
            store: shared,
            board,
            actions: tokio::sync::mpsc::channel(1).0,
            tuning: Some(Arc::new(tuning)),
            ward: Some(Arc::new(ward)),
            door: None,
            metrics: metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle(),
            zone,
            clinic: "Klinik Odden".to_owned(),
            secure_cookies: false,
            simulated: true,
        };
        Self { router: desk::router(desk), store, folder, _stop: stop.drop_guard() }
    }

    async fn ask(&self, user: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("cookie", format!("vagt_session={user}"))
            .header("x-csrf-token", "token")
            .header("content-type", "application/json");
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        let (parts, body) = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 22).await.unwrap();
        // A page is told as its text.
        let text = || if bytes.is_empty() { Value::Null } else { String::from_utf8_lossy(&bytes).into() };
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
        Answer { status: parts.status, head: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask("mette", "GET", path, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }

    /// What was asked is refused as a problem; gives its sentence.
    async fn refused(&self, user: &str, method: &str, path: &str, body: Option<Value>, status: u16) -> String {
        let answer = self.ask(user, method, path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.body);
        assert_eq!(answer.head["content-type"], "application/problem+json");
        assert_eq!(answer.body["status"], status);
        answer.body["detail"].as_str().unwrap().to_owned()
    }

    /// How a question stands once it has ended.
    async fn ended(&self, place: &str) -> Value {
        let mut stands = self.get(place).await;
        while stands.get("ended_at").is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            stands = self.get(place).await;
        }
        stands
    }

    /// Asks a long question, and waits for its answer.
    async fn answer(&self, user: &str, path: &str, body: Value) -> Value {
        let asked = self.done(user, "POST", path, Some(body), 202).await;
        let stands = self.ended(&format!("/api/v1/questions/{}", asked["id"].as_str().unwrap())).await;
        assert_eq!(stands["state"], "done", "{stands}");
        stands["result"].clone()
    }

    async fn done(&self, user: &str, method: &str, path: &str, body: Option<Value>, status: u16) -> Value {
        let answer = self.ask(user, method, path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.body);
        answer.body
    }
}

fn ago(days: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(24 * days)
}

async fn sign_in(store: &Sqlite, user: &str, role: &str) {
    let (name, language) = (format!("Nurse {user}"), "en".to_owned());
    let account = Account { user: user.into(), name, password_hash: String::new(), role: role.into(), language };
    store.put_account(&account).await.unwrap();
    let id = Sha256::digest(user).iter().map(|byte| format!("{byte:02x}")).collect();
    let password: String = Sha256::digest(&account.password_hash).iter().map(|byte| format!("{byte:02x}")).collect();
    let data = json!({ "user": user, "name": account.name, "language": "en", "csrf": "token", "role": role, "password": password });
    let data = data.to_string();
    let expires_at = Timestamp::now() + SignedDuration::from_hours(1);
    store.put_web_session(&WebSession { id, data, expires_at }).await.unwrap();
}

/// The patient has been judged since three days ago, and has measured twice.
async fn judged(store: &Sqlite, basis: Value) {
    let what = Journal::JudgedBy { basis, from: ago(40), fresh: true, why: "first".to_owned() };
    let patient: vitals::PatientId = "p-1".parse().unwrap();
    let entry = JournalEntry { at: ago(3), by: None, patient: Some(patient.clone()), what };
    let reading = |value: &str, at: Timestamp| Reading {
        vital: Vital::Spo2,
        value: value.parse().unwrap(),
        unit: Vital::Spo2.unit(),
        measured_at: at,
        clock: Clock::Device,
        device: "nonin-3230:1".parse().unwrap(),
        flags: Vec::new(),
    };
    let message = |seq: u64, at: Timestamp, value: &str| Entry {
        key: KitSeq { kit: "kit-1".parse().unwrap(), seq },
        hash: [0; 32],
        patient: patient.clone(),
        session: uuid::Uuid::nil(),
        sent_at: at,
        recorded_at: at,
        readings: vec![reading(value, at)],
        answers: Vec::new(),
        receipts: Vec::new(),
    };
    let entries = vec![message(1, ago(2), "90"), message(2, ago(1), "87")];
    let batch = Batch { recorded_at: ago(1), entries, journal: vec![entry], ..Batch::default() };
    store.commit(&batch).await.unwrap();
}

/// The shipped programme as another version, with its yellow limit moved.
fn version(number: u32) -> String {
    let text = triage::COPD.replacen("version = 1", &format!("version = {number}"), 1);
    assert_ne!(text, triage::COPD);
    text
}

#[tokio::test]
async fn one_proposes_another_activates_and_going_back_is_one_request() {
    let house = House::open().await;
    let proposal = json!({ "text": version(2), "note": "fewer false yellows" });
    let said = house.refused("mette", "POST", "/api/v1/programmes", Some(proposal.clone()), 403).await;
    assert_eq!(said, "mette is signed in as nurse, want operator or admin");
    let kept = house.done("ane", "POST", "/api/v1/programmes", Some(proposal), 201).await;
    assert_eq!(
        (kept["id"].as_str(), kept["version"].as_u64(), kept["proposed_by"].as_str()),
        (Some("copd"), Some(2), Some("ane"))
    );
    let path = "/api/v1/programmes/copd/versions/2/activate";
    let reason = json!({ "reason": "looks right" });
    let said = house.refused("ane", "POST", path, Some(reason.clone()), 409).await;
    assert_eq!(said, "ane proposed copd version 2: want another person to activate it");
    let used = house.done("bo", "POST", path, Some(reason.clone()), 200).await;
    assert_eq!((used["version"].as_u64(), used["by"].as_str()), (Some(2), Some("bo")));
    let states =
        |all: &Value| all["versions"].as_array().unwrap().iter().map(|one| one["state"].clone()).collect::<Vec<_>>();
    assert_eq!(states(&house.get("/api/v1/programmes/copd").await), ["in_use", "before"]);
    house.refused("bo", "POST", "/api/v1/programmes/copd/versions/9/activate", Some(reason.clone()), 404).await;
    let back = house.done("ane", "POST", "/api/v1/programmes/copd/rollback", Some(reason), 200).await;
    assert_eq!((back["version"].as_u64(), back["rollback"].as_bool()), (Some(1), Some(true)));
    let history = house.get("/api/v1/programmes/copd/history").await;
    assert!(history.as_array().unwrap().len() >= 5, "{history}");
    let diff = house.get("/api/v1/programmes/copd/diff?from=1&to=2").await;
    assert!(diff["lines"].as_array().unwrap().iter().any(|line| line == "+version = 2"), "{diff}");
    let text = house.get("/api/v1/programmes/copd/versions/2").await;
    assert!(text["explained"].as_str().unwrap().contains("version 2") && text["text"] == version(2));
    let faulty = json!({ "text": version(3).replacen("unit = \"%\"", "unit = \"kg\"", 1), "note": "x" });
    let said = house.refused("ane", "POST", "/api/v1/programmes", Some(faulty), 422).await;
    assert!(said.contains("found \"kg\", want \"%\""), "{said}");
    let large = json!({ "text": "#".repeat(3 << 20), "note": "x" });
    house.refused("ane", "POST", "/api/v1/programmes", Some(large), 413).await;
}

#[tokio::test]
async fn own_settings_are_a_doctors_and_pauses_a_nurses() {
    let house = House::open().await;
    let path = "/api/v1/patients/p-1/own";
    let seen = house.get(path).await["seen"].clone();
    let limit = |until: Option<Timestamp>| json!({ "rule": "spo2", "limit": "red_low", "value": 82, "unit": "%", "reason": "stable at 84", "until": until });
    let set = |limit: Value| Some(json!({ "seen": seen, "limits": [limit] }));
    house.refused("mette", "PUT", path, set(limit(None)), 403).await;
    let said = house.refused("holm", "PUT", path, set(limit(None)), 422).await;
    assert!(
        said.contains("limits[0].until: found no end, want one: red at 82 % or less passes the safety floor of 83 %"),
        "{said}"
    );
    let until = Timestamp::now() + SignedDuration::from_hours(24 * 30);
    let own = house.done("holm", "PUT", path, set(limit(Some(until))), 200).await;
    let setting = &own["settings"][0]["setting"];
    assert_eq!((setting["author"].as_str(), setting["reason"].as_str()), (Some("holm"), Some("stable at 84")));
    let said = house.refused("holm", "PUT", path, set(limit(Some(until))), 409).await;
    assert_eq!(said, "the settings have changed since you looked: look again");
    let pause = json!({ "kind": "holiday", "until": until, "reason": "in Spain" });
    let years =
        json!({ "kind": "holiday", "until": until + SignedDuration::from_hours(24 * 730), "reason": "in Spain" });
    let said = house.refused("mette", "POST", "/api/v1/patients/p-1/pauses", Some(years), 422).await;
    assert!(said.starts_with("pauses[0].until: found ") && said.contains("want an end within 182 days"), "{said}");
    let own = house.done("mette", "POST", "/api/v1/patients/p-1/pauses", Some(pause), 201).await;
    assert_eq!(own["settings"][1]["list"], "pauses");
    assert_eq!(own["settings"][1]["holds"], true);
    house.done("mette", "DELETE", "/api/v1/patients/p-1/pauses", None, 200).await;
    house.refused("mette", "DELETE", "/api/v1/patients/p-1/pauses", None, 409).await;
    house.refused("mette", "GET", "/api/v1/patients/p-9/own", None, 404).await;
    let names = ["plan_changed"];
    let filter = store::JournalFilter { entries: Some(&names), ..store::JournalFilter::default() };
    let by: Vec<_> = house.store.journal(filter).await.unwrap().into_iter().filter_map(|entry| entry.by).collect();
    assert_eq!(by, ["holm", "mette", "mette"]);
}

#[tokio::test]
async fn who_lacks_a_baseline_is_listed_over_http_on_the_page_and_by_the_command_line() {
    let house = House::of("copd-baseline").await;
    // Watched for forty days, with two values, of the last two days.
    let listed = house.get("/api/v1/own?overdue=true").await;
    let lacking = &listed[0]["baselines"];
    let (rule, days) = (lacking[0]["rule"].as_str(), [&lacking[0]["found"], &lacking[0]["want"]]);
    assert_eq!((listed[0]["patient"].as_str(), rule, days), (Some("p-1"), Some("spo2-drift"), [&json!(0), &json!(7)]));
    assert_eq!((listed.as_array().unwrap().len(), lacking.as_array().unwrap().len()), (1, 1), "{listed}");
    assert_eq!(house.get("/api/v1/patients/p-1/own").await["baselines"], *lacking);
    for path in ["/api/v1/own", "/api/v1/own?overdue=false", "/api/v1/own?overdue=true&after=p-1"] {
        assert_eq!(house.get(path).await, json!([]), "{path}");
    }
    let page = house.get("/patients/p-1").await;
    let said = "spo2-drift: no usual values to compare with, 0 of 7 stable days";
    assert!(page.as_str().unwrap().contains(said), "{page}");
    let config = house.folder.path().join("hub.toml");
    std::fs::write(&config, "zone = \"UTC\"\ndata = \".\"\n").unwrap();
    let vagt = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vagt"));
        let output = command.arg("limits").args(args).current_dir(house.folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let line: Value = serde_json::from_str(&vagt(&["--overdue", "--json"])).unwrap();
    assert_eq!((line["patient"].as_str(), line["kind"].as_str()), (Some("p-1"), Some("baseline")));
    for field in ["programme", "version", "title", "rule", "found", "want", "last_said_at"] {
        assert_eq!(line[field], lacking[0][field], "{field}");
    }
    let words = "p-1: baseline: copd-baseline: spo2-drift has nothing to compare with, 0 of 7 stable days (OVERDUE)\n";
    assert_eq!(vagt(&["--overdue"]), words);
    assert!(vagt(&[]).starts_with("Nobody has such a setting"), "it takes long, and is looked at only when asked");
}

/// Somebody woke up breathless and is swollen, and is otherwise well: red together. Gives the alert's id.
async fn woken_and_swollen(store: &Sqlite) -> triage::AlertId {
    let (at, patient) = (Timestamp::now(), "p-1".parse::<vitals::PatientId>().unwrap());
    let answer = |(question, answer): (&str, &str)| vitals::Answer {
        questionnaire: "heart-failure-daily".to_owned(),
        version: 1,
        question: question.to_owned(),
        answer: answer.to_owned(),
        answered_at: at,
    };
    let answers = [("overall", "same"), ("night", "yes"), ("swelling", "a_lot"), ("medicine", "yes")];
    let answers: Vec<vitals::Answer> = answers.into_iter().map(answer).collect();
    let programme = Arc::new(triage::Programme::parse(triage::HEART_FAILURE, "heart-failure.toml").unwrap());
    let (clinic, own) = (Arc::new(triage::Clinic::shipped()), triage::Own::default());
    let plan = triage::Plan::new(patient.clone(), vec![programme], clinic, own, TimeZone::UTC, at).unwrap();
    let key = KitSeq { kit: "kit-1".parse().unwrap(), seq: 3 };
    let sitting = triage::Sitting { kit: &key.kit, seq: key.seq, readings: &[], answers: &answers };
    let mut chart = triage::Chart::new().with_silence_judged(at);
    let alerts = triage::assess(&mut chart, &plan, &triage::Event::Sitting(sitting), at).alerts;
    let is_it = |change: &&triage::AlertChange| change.alert.findings.iter().any(|it| it.rule == "answers_together");
    let id = alerts.iter().find(is_it).unwrap().alert.id;
    let entry = Entry {
        key,
        hash: [1; 32],
        patient,
        session: uuid::Uuid::nil(),
        sent_at: at,
        recorded_at: at,
        readings: Vec::new(),
        answers,
        receipts: Vec::new(),
    };
    store.commit(&Batch { recorded_at: at, entries: vec![entry], alerts, ..Batch::default() }).await.unwrap();
    id
}

#[tokio::test]
async fn other_answers_that_would_have_been_milder_are_told_by_all_that_was_answered() {
    let house = House::of("heart-failure").await;
    let id = woken_and_swollen(&house.store).await;
    let why = house.get(&format!("/api/v1/alerts/{id}/why")).await;
    let found = why["findings"].as_array().unwrap().iter().find(|one| one["rule"] == "answers_together").unwrap();
    let told = &found["otherwise"];
    assert_eq!(told["would"], "path", "{found}");
    for (way, question, answers) in [(0_usize, "night", 1), (1, "swelling", 2)] {
        let way = &told["ways"][way];
        assert_eq!((&way["mark"], &way["answers"][0]["question"]), (&json!("green"), &json!(question)), "{told}");
        assert_eq!(way["answers"][0]["answers"].as_array().unwrap().len(), answers);
    }
    for page in ["/patients/p-1".to_owned(), format!("/?alert={id}")] {
        let page = house.get(&page).await;
        assert!(page.as_str().unwrap().contains("Green if the answer to “Did you wake up"), "{page}");
    }
}

#[tokio::test]
async fn why_nobody_was_told_then_and_readings_that_do_not_count() {
    let house = House::open().await;
    let at = |days| format!("/api/v1/patients/p-1/why-not?at={}", ago(days) + SignedDuration::from_hours(1));
    let spo2 = |all: &Value| all["rules"].as_array().unwrap().iter().find(|one| one["rule"] == "spo2").unwrap().clone();
    let then = house.get(&at(2)).await;
    let because = |wanted: &'static str| move |one: &&Value| one["because"]["because"] == wanted;
    let (mut rules, told) =
        (then["rules"].as_array().unwrap().iter(), "history was brought in, and nobody judged it then");
    assert_eq!(rules.clone().find(because("not_raised")).unwrap()["rule"], "missing", "{told}");
    assert_eq!(rules.find(because("green")), Some(&spo2(&then)), "the nearest is first");
    assert_eq!(then["simulated"], true);
    assert_eq!(spo2(&then)["near"]["said"], "yellow at 88 % or less, 2 % away");
    assert_eq!(spo2(&house.get(&at(1)).await)["because"]["because"], "not_raised", "{told}");
    let ahead = format!("/api/v1/patients/p-1/why-not?at={}", Timestamp::now() + SignedDuration::from_hours(9));
    house.refused("mette", "GET", &ahead, None, 422).await;
    house.refused("mette", "GET", &at(5), None, 404).await;

    let place = json!({ "kit": "kit-1", "seq": 2, "place": 0, "reason": "cold finger" });
    let (invalidate, restore) = ("/api/v1/patients/p-1/readings/invalidate", "/api/v1/patients/p-1/readings/restore");
    assert_eq!(house.done("mette", "POST", invalidate, Some(place.clone()), 200).await["vital"], "spo2");
    house.refused("mette", "POST", invalidate, Some(place.clone()), 409).await;
    let readings = house.get("/api/v1/patients/p-1/readings").await;
    assert_eq!(readings[0]["invalid"]["what"]["reason"], "cold finger");
    assert_eq!((readings[0]["seq"].as_u64(), readings[1]["invalid"].is_null()), (Some(2), true));
    let page = house.ask("mette", "GET", "/api/v1/patients/p-1/readings?limit=1", None).await;
    assert_eq!(page.body, json!([readings[0]]), "the newest alone");
    let link = page.head["link"].to_str().unwrap();
    let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let page = house.ask("mette", "GET", next, None).await;
    assert_eq!((page.body, page.head.get("link")), (json!([readings[1]]), None), "and the one before it");
    for limit in [0, 2001] {
        let path = format!("/api/v1/patients/p-1/readings?limit={limit}");
        let refused = house.refused("mette", "GET", &path, None, 422).await;
        assert_eq!(refused, format!("limit is {limit}, want 1 to 2000"));
    }
    let curve = house.get("/api/v1/patients/p-1/curves?vitals=spo2").await;
    assert_eq!(curve[0]["points"][1]["invalid"], true);
    house.done("mette", "POST", restore, Some(place), 200).await;
    let nowhere = json!({ "kit": "kit-1", "seq": 77, "place": 0, "reason": "x" });
    house.refused("mette", "POST", invalidate, Some(nowhere), 404).await;
}

#[tokio::test]
async fn outcomes_are_recorded_with_who_says_so() {
    let house = House::open().await;
    let path = "/api/v1/patients/p-1/outcomes";
    let outcome = json!({ "outcome": "exacerbation", "at": ago(1), "note": "prednisolone begun" });
    let entry = house.done("mette", "POST", path, Some(outcome), 201).await;
    assert_eq!((entry["by"].as_str(), entry["what"]["outcome"].as_str()), (Some("mette"), Some("exacerbation")));
    assert_eq!(house.get(path).await[0], entry);
    house.refused("mette", "POST", path, Some(json!({ "outcome": "moon" })), 422).await;
    house.refused("mette", "POST", path, Some(json!({ "outcome": "other" })), 422).await;
    let of_nobody = json!({ "outcome": "death", "alert": uuid::Uuid::nil() });
    house.refused("mette", "POST", path, Some(of_nobody), 404).await;
}

#[tokio::test]
async fn a_backtest_is_asked_watched_and_read() {
    let house = House::open().await;
    let asked = json!({ "text": version(2), "since": ago(4) });
    house.refused("holm", "POST", "/api/v1/backtests", Some(asked.clone()), 403).await;
    house.refused("ane", "POST", "/api/v1/backtests", Some(json!({ "moon": 1 })), 422).await;
    let answer = house.ask("ane", "POST", "/api/v1/backtests", Some(asked)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let place = answer.head["location"].to_str().unwrap().to_owned();
    let stands = house.ended(&place).await;
    assert_eq!(
        (stands["state"].as_str(), stands["result"]["programme"].as_str()),
        (Some("done"), Some("copd")),
        "{stands}"
    );
    assert_eq!(house.get("/api/v1/questions").await.as_array().unwrap().len(), 1);
    house.done("ane", "DELETE", &place, None, 204).await;
    house.refused("ane", "DELETE", "/api/v1/questions/none", None, 404).await;
    let rules = house.get("/api/v1/programmes/copd/rules").await;
    assert!(rules.is_object() || rules.is_array(), "{rules}");
}

#[tokio::test]
async fn a_budget_that_is_only_tried_proposes_nothing() {
    let house = House::open().await;
    let asked = json!({ "programme": "copd", "per_shift": 0.001, "red": true, "dry_run": true, "since": ago(10) });
    let found = house.answer("ane", "/api/v1/budgets", asked).await;
    assert!(found["proposed"] == false && found["before"]["alerts"]["red"].is_u64(), "{found}");
    assert_eq!(house.get("/api/v1/programmes/copd").await["versions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_version_whose_examples_fail_is_read_and_tried_and_not_activated() {
    let house = House::open().await;
    let example = "\n[[example]]\nname = \"nobody is yellow at 80\"\nreadings = [{ vital = \"spo2\", value = 80, unit = \"%\" }]\nwant = { spo2 = \"yellow\" }\n";
    let text = version(2) + example;
    let sha256 = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let (id, proposed_by, note) = ("copd".to_owned(), "ane".to_owned(), "alert budget".to_owned());
    let kept = ProgrammeVersion { id, version: 2, text, sha256, proposed_by, proposed_at: Timestamp::now(), note };
    programmes::office::propose_kept(&*house.store, &kept).await.unwrap();

    let shown = house.get("/api/v1/programmes/copd/versions/2").await;
    assert!(shown["explained"].as_str().unwrap().contains("1 worked example says otherwise"), "{shown}");
    let asked = json!({ "programme": "copd", "version": 2, "active": 1, "warm_up_days": 0, "since": ago(4) });
    let report = house.answer("ane", "/api/v1/backtests", asked).await;
    assert!(report["failing_examples"][0].as_str().unwrap().contains("nobody is yellow at 80"), "{report}");
    assert_eq!((&report["active_version"], &report["warm_up_from"]), (&json!(1), &report["since"]));
    house.done("ane", "PUT", "/api/v1/programmes/copd/versions/2/shadow", None, 204).await;
    let activate = "/api/v1/programmes/copd/versions/2/activate";
    let said = house.refused("bo", "POST", activate, Some(json!({ "reason": "now" })), 422).await;
    assert!(said.contains("nobody is yellow at 80"), "{said}");
}

#[tokio::test]
async fn a_version_runs_in_the_shadow_until_it_is_told_to_stop() {
    let house = House::open().await;
    house.done("ane", "POST", "/api/v1/programmes", Some(json!({ "text": version(2), "note": "try" })), 201).await;
    let path = "/api/v1/programmes/copd/versions/2/shadow";
    house.refused("mette", "PUT", path, None, 403).await;
    house.refused("mette", "GET", path, None, 404).await;
    house.done("ane", "PUT", path, None, 204).await;
    assert_eq!(house.get("/api/v1/programmes/copd").await["versions"][0]["shadow"], true);
    assert!(house.get(path).await.is_object());
    house.done("bo", "DELETE", path, None, 204).await;
    assert_eq!(house.get("/api/v1/programmes/copd").await["versions"][0]["shadow"], false);
}
