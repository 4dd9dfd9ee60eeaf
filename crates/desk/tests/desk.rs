//! Whole requests through the router, over a real SQLite store and a pipeline that decides with `triage`.

#![allow(clippy::unwrap_used, reason = "a test")]

mod browser;
#[path = "../examples/clinic/mod.rs"]
mod clinic;

use axum::{
    body::Body,
    http::{StatusCode, header},
};
use browser::{Answer, Browser, FORM, between};
use clinic::{Clinic, PASSWORD, Sat, person};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tower::ServiceExt;
use vitals::{Flag, Vital};

fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the test plays the outside world, which has a clock")]
    Timestamp::now()
}

fn ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Somebody measures one value now.
async fn spo2(clinic: &Clinic, patient: &str, at: Timestamp, value: &str) {
    clinic.sit(patient, at, SECOND, Sat { readings: &[(Vital::Spo2, value)], ..Sat::default() }).await;
}

fn people(since: Timestamp) -> Vec<store::Patient> {
    let people = [("p-anna", "Anna S.", 1942), ("p-inger", "Inger M.", 1948), ("p-poul", "Poul A.", 1955)];
    people.into_iter().map(|(id, name, born)| store::Patient { since: Some(since), ..person(id, name, born) }).collect()
}

/// Three people who are watched since a minute ago, so that nothing is missing yet.
async fn three() -> Clinic {
    Clinic::open(people(ago(1))).await
}

#[tokio::test]
async fn signing_in_gives_a_new_locked_down_session_and_signing_out_ends_it() {
    let clinic = three().await;
    let mut browser = Browser::new(&clinic);
    assert_eq!(browser.get("/").await.head("location"), "/sign-in");
    let answer = browser.sign_in("karen", PASSWORD).await;
    assert_eq!((answer.status, answer.head("location")), (StatusCode::SEE_OTHER, "/"));
    let cookie = answer
        .head
        .get_all(header::SET_COOKIE)
        .iter()
        .map(|line| line.to_str().unwrap())
        .find(|line| line.contains("session"));
    assert!(cookie.unwrap().contains("; HttpOnly; SameSite=Strict; Max-Age=43200"));
    let first = browser.session.clone();
    browser.sign_in("karen", PASSWORD).await;
    assert_ne!(browser.session, first, "signing in renews the id");
    let old = Browser { session: first, ..Browser::new(&clinic) };
    old.get("/api/v1/alerts").await.is_problem(StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    browser.csrf = browser.get("/api/v1/session").await.json()["csrf"].as_str().unwrap().to_owned();
    assert_eq!(browser.form("/sign-out", "x=1").await.status, StatusCode::SEE_OTHER);
    browser.get("/api/v1/alerts").await.is_problem(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_account_that_is_demoted_removed_or_gets_another_password_is_so_at_once() {
    use store::Store as _;
    let clinic = three().await;
    let karen = clinic.store.account("karen").await.unwrap().unwrap();
    let put = async |account: &store::Account| clinic.store.put_account(account).await.unwrap();
    put(&store::Account { role: "operator".to_owned(), ..karen.clone() }).await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let role = async || browser.get("/api/v1/session").await.json()["role"].as_str().unwrap().to_owned();
    assert_eq!(role().await, "operator");
    put(&karen).await;
    assert_eq!(role().await, "nurse", "a session has no rights of its own");
    put(&store::Account { password_hash: "$argon2id$another".to_owned(), ..karen.clone() }).await;
    browser.get("/api/v1/alerts").await.is_problem(StatusCode::UNAUTHORIZED);
    put(&karen).await;
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    let removed = store::Change { account: Some(store::AccountChange::Remove("karen")), ..store::Change::default() };
    clinic.store.change(&removed).await.unwrap();
    browser.get("/api/v1/alerts").await.is_problem(StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get("/").await.head("location"), "/sign-in");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_sign_in_the_answer_is_the_same_and_tries_are_limited() {
    let clinic = three().await;
    let mut browser = Browser::new(&clinic);
    let wrong = browser.sign_in("karen", "guess").await;
    let nobody = browser.sign_in("nobody", "guess").await;
    assert_eq!((wrong.status, nobody.status), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    let said = |answer: &Answer| between(&answer.text, "class=\"notice\" role=\"alert\">", "<").to_owned();
    assert_eq!(said(&wrong), said(&nobody));
    for _ in 0..4 {
        browser.sign_in("karen", "guess").await;
    }
    let limited = browser.sign_in("karen", PASSWORD).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.head("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(browser.sign_in("mette", PASSWORD).await.status, StatusCode::SEE_OTHER, "another name is not limited");
}

#[tokio::test]
async fn a_sign_in_form_of_another_browser_is_refused() {
    let clinic = three().await;
    let browser = Browser::new(&clinic);
    let csrf = between(&browser.get("/sign-in").await.text, "name=\"csrf\" value=\"", "\"").to_owned();
    let body = format!("user=karen&password={PASSWORD}&csrf={csrf}");
    let request = browser.post("/sign-in", FORM).header("accept", "application/json").body(Body::from(body)).unwrap();
    browser.send(request).await.is_problem(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_change_needs_the_token_and_our_own_origin() {
    let clinic = three().await;
    spo2(&clinic, "p-inger", ago(1), "82").await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let id = first_id(&browser).await;
    let path = format!("/alerts/{id}/acknowledge");
    let bare = browser.post(&path, FORM).body(Body::from("seen_version=1")).unwrap();
    assert_eq!(browser.send(bare).await.status, StatusCode::FORBIDDEN);
    let body = Body::from(format!("seen_version=1&csrf={}", browser.csrf));
    let foreign = browser
        .request("POST", &path)
        .header("content-type", FORM)
        .header("origin", "http://evil.example")
        .body(body)
        .unwrap();
    assert_eq!(browser.send(foreign).await.status, StatusCode::FORBIDDEN);
    let action = Body::from(json!({ "seen_version": 1, "action": "acknowledge" }).to_string());
    let api = browser.post(&format!("/api/v1/alerts/{id}/actions"), "application/json").body(action).unwrap();
    browser.send(api).await.is_problem(StatusCode::FORBIDDEN);
    assert_eq!(browser.get("/api/v1/alerts").await.json()["alerts"][0]["state"]["state"], "open");
}

async fn first_id(browser: &Browser) -> String {
    browser.get("/api/v1/alerts").await.json()["alerts"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_queue_is_worst_first_then_longest_waiting_and_says_why_in_words() {
    let clinic = three().await;
    spo2(&clinic, "p-poul", ago(30), "87").await;
    spo2(&clinic, "p-inger", ago(20), "82").await;
    spo2(&clinic, "p-anna", ago(25), "84").await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let page = browser.get("/").await;
    let place = |name: &str| page.text.find(&format!("data-name=\"{name}\"")).unwrap();
    assert!(place("Anna S.") < place("Inger M.") && place("Inger M.") < place("Poul A."), "{}", page.text);
    for words in [
        "SpO₂ 82\u{a0}%",
        "red at 85\u{a0}% or less",
        "yellow at 88\u{a0}% or less",
        "simulated",
        "2 red · 1 yellow",
        "Waiting for someone",
    ] {
        assert!(page.text.contains(words), "{words:?} in {}", page.text);
    }
    let danish = Browser::signed_in(&clinic, "mette").await.get("/").await.text;
    for words in ["rød ved 85\u{a0}% eller derunder", "2 røde · 1 gul", "Venter på nogen", "<html lang=\"da\">"] {
        assert!(danish.contains(words), "{words:?} in {danish}");
    }
}

#[tokio::test]
async fn late_and_doubtful_readings_are_marked_on_the_card() {
    let clinic = three().await;
    let low = Sat { readings: &[(Vital::Spo2, "84")], flags: &[Flag::SUSPECT_STEP], ..Sat::default() };
    clinic.sit("p-inger", ago(60 * 30), SignedDuration::from_hours(29), low).await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let card = browser.get("/queue/cards").await.text;
    assert!(card.contains("<span class=\"tag late\">late</span>"), "{card}");
    assert!(card.contains("data-mark=\"red\" data-late "), "the page makes no sound of it: {card}");
    assert!(card.contains("<span class=\"tag doubt\">doubtful step</span>"), "{card}");
    assert!(card.contains("arrived later"), "{card}");
}

#[tokio::test]
async fn the_language_is_the_accounts_and_can_be_switched() {
    let clinic = three().await;
    let browser = Browser::signed_in(&clinic, "mette").await;
    assert!(browser.get("/kits").await.text.contains("Ikke forbundet"));
    assert_eq!(browser.form("/language", "language=en").await.status, StatusCode::SEE_OTHER);
    assert!(browser.get("/kits").await.text.contains("Not connected"));
    let again = Browser::signed_in(&clinic, "mette").await;
    assert!(again.get("/kits").await.text.contains("Not connected"), "the account keeps it");
}

#[tokio::test]
async fn a_name_is_shown_as_a_name_whatever_is_in_it() {
    let clinic = Clinic::open(vec![person("p-1", "<script>alert(1)</script>\" onload=\"x", 1950)]).await;
    spo2(&clinic, "p-1", ago(1), "82").await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    for path in ["/", "/queue/cards", "/patients", "/patients/p-1", "/kits"] {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.text.contains("<script>alert"), "{path}");
        assert!(!page.text.contains("\" onload=\""), "{path}");
        assert!(page.head("content-security-policy").starts_with("default-src 'none'"));
        assert!(!page.text.contains("style=\"") && !page.text.contains("<style"), "{path}: nothing inline");
    }
}

#[tokio::test]
async fn two_nurses_act_and_it_is_done_once() {
    let clinic = three().await;
    spo2(&clinic, "p-inger", ago(3), "82").await;
    let (karen, mette) = (Browser::signed_in(&clinic, "karen").await, Browser::signed_in(&clinic, "mette").await);
    let id = first_id(&karen).await;
    let taken = karen.form(&format!("/alerts/{id}/acknowledge"), "seen_version=1").await;
    assert_eq!(taken.status, StatusCode::OK);
    assert!(taken.text.contains("Karen Smith has it"), "{}", taken.text);
    let second = mette.form(&format!("/alerts/{id}/acknowledge"), "seen_version=1").await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert!(
        second.text.contains("nogen har lige taget den") && second.text.contains("Karen Smith har den"),
        "{}",
        second.text
    );
    let no_reason = karen.form(&format!("/alerts/{id}/close"), "seen_version=2").await;
    assert_eq!(no_reason.status, StatusCode::UNPROCESSABLE_ENTITY);
    let closed = karen.form(&format!("/alerts/{id}/close"), "seen_version=2&reason=advice&note=warm+%3Chands%3E").await;
    assert!(
        closed.text.contains("Closed by Karen Smith") && closed.text.contains("warm &#60;hands&#62;"),
        "{}",
        closed.text
    );
    assert_eq!(karen.get("/api/v1/alerts").await.json()["alerts"], json!([]));
    let history = karen.get(&format!("/api/v1/alerts/{id}")).await.json();
    assert_eq!(history["state"]["reason"], "advice");
    let kinds: Vec<&str> =
        history["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["raised", "acknowledged", "closed"]);
    let again = mette.act(&id, json!({ "seen_version": 2, "action": "close", "reason": "other" })).await;
    again.is_problem(StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_alert_that_became_worse_must_be_seen_again() {
    let clinic = three().await;
    spo2(&clinic, "p-inger", ago(30), "87").await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let id = first_id(&browser).await;
    spo2(&clinic, "p-inger", ago(1), "80").await;
    let old = browser.act(&id, json!({ "seen_version": 1, "action": "acknowledge" })).await;
    let problem = old.is_problem(StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains("changed since you looked"), "{problem}");
    for (field, value) in [("note", "called her"), ("reason", "advice")] {
        let lost = browser.act(&id, json!({ "seen_version": 2, "action": "acknowledge", field: value })).await;
        let problem = lost.is_problem(StatusCode::UNPROCESSABLE_ENTITY);
        let wanted = format!("{field}: found one with \"acknowledge\", want it with \"close\" alone");
        assert_eq!(problem["detail"], wanted);
    }
    let done = browser.act(&id, json!({ "seen_version": 2, "action": "acknowledge", "note": "" })).await;
    assert_eq!(done.json()["alert"]["state"]["by"], "karen");
}

#[tokio::test]
async fn the_stream_resumes_where_a_page_was_and_tells_one_that_is_too_old_to_load_again() {
    let clinic = three().await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let start = clinic.board.version();
    for (patient, value) in [("p-inger", "82"), ("p-poul", "87"), ("p-anna", "84")] {
        spo2(&clinic, patient, ago(1), value).await;
    }
    let events = browser.events(&start.to_string(), 4).await;
    let kinds: Vec<_> = events.iter().map(|(kind, id, _)| (kind.as_str(), id.clone())).collect();
    let id = |step: u64| (start + step).to_string();
    assert_eq!(kinds, [("alert", id(1)), ("alert", id(2)), ("alert", id(3)), ("beat", String::new())]);
    assert_eq!(events[0].2["patient"], "p-inger");
    assert_eq!(
        (&events[0].2["mark"], &events[0].2["state"], &events[0].2["version"]),
        (&json!("red"), &json!("open"), &json!(1))
    );
    let keys: Vec<&str> = events[0].2.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["changed_at", "count", "family", "id", "mark", "patient", "state", "version"],
        "no names, no values"
    );
    assert_eq!(browser.events(&id(2), 2).await[0].1, id(3), "only what is new");
    let (kind, at, _) = &browser.events("17", 2).await[0];
    assert_eq!((kind.as_str(), at), ("resync", &id(3)));
}

#[tokio::test]
async fn a_page_that_does_not_read_is_told_to_load_again_and_nothing_piles_up_for_it() {
    let clinic = three().await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let change = clinic
        .sit("p-inger", ago(1), SECOND, Sat { readings: &[(Vital::Spo2, "82")], ..Sat::default() })
        .await
        .alerts
        .remove(0);
    let request = browser.request("GET", "/events").body(Body::empty()).unwrap();
    let mut body = browser.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    for _ in 0..desk::FEED_CHANGES_MAX + 1000 {
        clinic.board.apply(std::slice::from_ref(&change), &[], now());
        tokio::task::yield_now().await;
    }
    let (mut text, mut events) = (String::new(), 0);
    while !text.contains("event: resync") {
        text = String::from_utf8(body.next().await.unwrap().unwrap().to_vec()).unwrap();
        events += 1;
        assert!(events < 1000, "it was sent what it should have been spared");
    }
    assert!(text.contains(&format!("id: {}", clinic.board.version())), "{text}");
}

#[tokio::test]
async fn the_beat_says_when_the_core_takes_in_nothing() {
    let clinic = three().await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    clinic.heard("p-inger", now(), true, Value::Null).await;
    let beat = |browser: &Browser| {
        let version = clinic.board.version().to_string();
        let events = Browser {
            router: browser.router.clone(),
            session: browser.session.clone(),
            form: None,
            csrf: String::new(),
        };
        async move { events.events(&version, 1).await.remove(0).2 }
    };
    clinic.alive(now());
    let good = beat(&browser).await;
    assert_eq!((&good["live"], &good["kits_online"], &good["kits_offline"]), (&json!(true), &json!(1), &json!(2)));
    let silent_since = now() - SignedDuration::from_secs(5);
    clinic.alive(silent_since);
    let silent = beat(&browser).await;
    assert_eq!((&silent["live"], &silent["behind_since"]), (&json!(false), &json!(silent_since.to_string())));
    browser.get("/readyz").await.is_problem(StatusCode::SERVICE_UNAVAILABLE);
    let full = Some("the disk is full".to_owned());
    clinic.board.intake(desk::Intake { at: now(), behind_since: Some(silent_since), reason: full, waiting: 7 });
    let behind = beat(&browser).await;
    assert_eq!(
        (&behind["live"], &behind["reason"], &behind["waiting"]),
        (&json!(false), &json!("the disk is full"), &json!(7))
    );
    assert!(browser.get("/").await.text.contains("has not taken in readings since"), "drawn in the head at once");
}

#[tokio::test]
async fn the_api_gives_curves_with_limits_and_says_what_is_wrong() {
    let clinic = three().await;
    for (day, value) in [(3, "91"), (2, "87"), (1, "84")] {
        spo2(&clinic, "p-inger", ago(day * 1440), value).await;
    }
    let browser = Browser::signed_in(&clinic, "karen").await;
    let curves = browser.get("/api/v1/patients/p-inger/curves?vitals=spo2&days=14").await.json();
    let marks: Vec<_> = curves[0]["points"].as_array().unwrap().iter().map(|point| point["mark"].clone()).collect();
    assert_eq!(marks, [json!("green"), json!("yellow"), json!("red")]);
    assert_eq!(curves[0]["zones"].as_array().unwrap().len(), 2);
    let long = browser.get("/api/v1/patients/p-inger/long-curves?vitals=spo2").await.json();
    let means: Vec<_> = long[0]["spans"].as_array().unwrap().iter().map(|span| span["mean"].clone()).collect();
    assert_eq!((means, &long[0]["by"]), (vec![json!(91.0), json!(87.0), json!(84.0)], &json!("day")));
    let page = browser.get("/patients/p-inger?span=year").await.text;
    assert!(
        page.contains("data-curve=\"/api/v1/patients/p-inger/long-curves?vitals=spo2\"")
            && page.contains("the last year by day")
    );
    for (path, status) in [
        ("/api/v1/patients/p-inger/long-curves?by=hour&days=93", StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/v1/patients/p-inger/long-curves?by=week", StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/v1/patients/p-nobody", StatusCode::NOT_FOUND),
        ("/api/v1/patients/p-inger/curves?days=0", StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/v1/patients/p-inger/curves?vitals=mood", StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/v1/alerts/not-an-id", StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/v1/alerts/00000000-0000-0000-0000-000000000000", StatusCode::NOT_FOUND),
        ("/api/v1/nothing", StatusCode::NOT_FOUND),
        ("/events?after=yesterday", StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/v1/patients/%FF", StatusCode::BAD_REQUEST),
        ("/api/v1/alerts/00000000-0000-0000-0000-000000000000/actions", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        browser.get(path).await.is_problem(status);
    }
    let broken = browser.act("00000000-0000-0000-0000-000000000000", json!({ "action": "dance" })).await;
    broken.is_problem(StatusCode::UNPROCESSABLE_ENTITY);
    let large = browser.act("00000000-0000-0000-0000-000000000000", json!({ "note": "x".repeat(70_000) })).await;
    large.is_problem(StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn silence_tells_a_silent_person_from_a_dead_kit() {
    let clinic = Clinic::open(people(ago(60 * 24 * 20))).await;
    clinic.heard("p-inger", ago(2), true, Value::Null).await;
    clinic.heard("p-poul", ago(200), false, Value::Null).await;
    clinic.tick(now()).await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let cards = browser.get("/queue/cards").await.text;
    for words in [
        "the person is silent",
        "the kit has not been connected since",
        "the kit has never connected",
        "No measurement yet",
    ] {
        assert!(cards.contains(words), "{words:?} in {cards}");
    }
    assert_eq!(cards.matches("data-mark=\"blue\"").count(), 3);
}

#[tokio::test]
async fn every_page_opens_and_what_is_nowhere_says_so() {
    let clinic = three().await;
    let sat = Sat {
        readings: &[(Vital::Spo2, "84"), (Vital::Pulse, "96")],
        answers: &[("breathless", "a_lot")],
        ..Sat::default()
    };
    clinic.sit("p-inger", ago(1), SECOND, sat).await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let id = first_id(&browser).await;
    let patient = browser.get("/patients/p-inger").await.text;
    for words in [
        "data-curve=\"/api/v1/patients/p-inger/curves?vitals=spo2\"",
        "short of breath",
        "A lot",
        "yellow at 110",
        "watched since",
    ] {
        assert!(patient.contains(words), "{words:?} in {patient}");
    }
    assert!(browser.get("/patients?q=ing").await.text.contains("1 person"));
    for path in ["/quarantine", "/kits", "/patients", "/?alert=garbage", &format!("/?alert={id}")] {
        assert_eq!(browser.get(path).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/patients/p-nobody", "/patients/%C3%98", "/alerts/00000000-0000-0000-0000-000000000000x", "/nowhere"]
    {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(Browser::new(&clinic).get(path).await.status, StatusCode::OK, "{path}: without a session");
    }
}

#[tokio::test]
async fn who_is_judged_as_before_says_so_on_the_page_and_over_the_api() {
    let clinic = three().await;
    let why = "own settings: limits[0].unit: found \"kg\", want \"%\"";
    let of = |id: &str| [(id.parse().unwrap(), why.to_owned())].into();
    clinic.board.not_as_decided(&of("p-inger"));
    let (karen, mette) = (Browser::signed_in(&clinic, "karen").await, Browser::signed_in(&clinic, "mette").await);
    let page = karen.get("/patients/p-inger").await.text;
    assert!(
        page.contains("Still judged as before, and not by what was decided since: own settings: limits[0]"),
        "{page}"
    );
    assert!(mette.get("/patients/p-inger").await.text.contains("Vurderes stadig som før og ikke efter det, der siden"));
    assert!(!karen.get("/patients/p-anna").await.text.contains("Still judged as before"));
    assert_eq!(karen.get("/api/v1/patients/p-inger").await.json()["not_as_decided"], why);
    assert!(karen.get("/api/v1/patients/p-anna").await.json().get("not_as_decided").is_none());
}

#[tokio::test]
async fn lists_are_told_in_pages() {
    let clinic = three().await;
    let browser = Browser::signed_in(&clinic, "karen").await;
    let page = browser.get("/api/v1/patients?limit=2").await;
    assert_eq!(page.head("link"), "</api/v1/patients?limit=2&after=p-inger>; rel=\"next\"");
    let ids = |page: &Answer| {
        let all = page.json();
        all.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&page), ["p-anna", "p-inger"]);
    let rest = browser.get("/api/v1/patients?limit=2&after=p-inger").await;
    assert_eq!((ids(&rest), rest.head.get("link")), (vec!["p-poul".to_owned()], None));
    for path in ["/api/v1/patients?limit=0", "/api/v1/kits?limit=1001", "/api/v1/own?limit=x"] {
        browser.get(path).await.is_problem(StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(browser.get("/api/v1/alerts").await.json()["total"], 0);
}
