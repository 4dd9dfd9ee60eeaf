//! The page as a whole: every view in both languages, what is pressed, who may press it, and what every answer carries.

use std::collections::BTreeSet;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tower::ServiceExt as _;
use vitals::VITALS;

use super::*;
use crate::round::{Page, advice::ADVICE};

#[path = "../../examples/kiosk/views.rs"]
mod views;

const SOURCES: &[&str] = &[
    include_str!("draw.rs"),
    include_str!("say.rs"),
    include_str!("../../templates/kiosk/document.html"),
    include_str!("../../templates/kiosk/regions.html"),
    include_str!("../../templates/kiosk/stage.html"),
];

/// Every key that the page can say: those that stand in its sources, and the families that are put together.
pub(super) fn said_keys() -> BTreeSet<String> {
    let calls = ["say(\"", "with(\"", ".t(\"", "{ \"", "=> \"", "\"result", "\"answered", "\"call"];
    let mut said = BTreeSet::new();
    for text in SOURCES {
        for call in calls {
            let skip = if call.starts_with('"') { 1 } else { call.len() };
            for (at, _) in text.match_indices(call) {
                let key = text[at + skip..].split('"').next().unwrap_or_default();
                if words::keys(Language::Da).contains(&key) || call == ".t(\"" {
                    said.insert(key.to_owned());
                }
            }
        }
    }
    said.remove("");
    let mut family = |head: &str, tails: &[&str]| said.extend(tails.iter().map(|tail| format!("{head}-{tail}")));
    let instruments = ["oximeter", "cuff", "thermometer", "scale", "spirometer", "glucometer", "other"];
    family("measure", &instruments);
    family("measuring", &instruments);
    family("step", &instruments[..6]);
    family("step", &["done", "skipped", "now", "left"]);
    family("colour", &["green", "yellow", "red"]);
    let parts = ["morning", "forenoon", "afternoon", "evening", "night"];
    family("hello", &parts);
    family("part", &parts);
    family("day", &["1", "2", "3", "4", "5", "6", "7"]);
    family("month", &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]);
    family("advice", ADVICE);
    family("vital", &VITALS.iter().map(|info| info.name).collect::<Vec<_>>());
    let more: Vec<String> = ADVICE.iter().map(|advice| format!("advice-{advice}-more")).collect();
    said.extend(more.into_iter().chain(instruments.iter().map(|instrument| format!("measure-{instrument}-how"))));
    for info in VITALS {
        said.extend(
            info.accepts
                .iter()
                .chain([&info.unit])
                .filter_map(|unit| say::unit_key(*unit))
                .map(|key| format!("unit-{key}")),
        );
    }
    said
}

/// Presses that one test looks at.
const PRESSES_MAX: usize = 16;

/// A page, what it is told to show, and what is pressed on it. It answers as `answer` says.
struct Stood {
    kiosk: Kiosk,
    shown: watch::Sender<View>,
    pressed: mpsc::Receiver<Action>,
}

fn stood(page: View, answer: Acted) -> Stood {
    let (shown, view) = watch::channel(page);
    let (press, pressed) = mpsc::channel(PRESSES_MAX);
    let act = move |action| -> BoxFuture<'static, Acted> {
        press.try_send(action).expect("somebody listens");
        let answer = answer.clone();
        Box::pin(async move { answer })
    };
    let listen = "127.0.0.1:8088".parse().unwrap();
    let settings = KioskSettings { listen, language: Language::Da, phone: Some("12 34 56 78".into()) };
    let zone = TimeZone::get("Europe/Copenhagen").unwrap();
    let kiosk = Kiosk::new(settings, zone, Person { view, act: Arc::new(act) }, CancellationToken::new());
    Stood { kiosk, shown, pressed }
}

async fn ask(kiosk: &Kiosk, request: axum::http::request::Builder, body: &str) -> (StatusCode, HeaderMap, String) {
    let request = request.header("host", "localhost:8088").body(Body::from(body.to_owned())).unwrap();
    let answer = kiosk.router().oneshot(request).await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, headers, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn press(kiosk: &Kiosk, body: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::post("/act")
        .header("origin", "http://localhost:8088")
        .header("content-type", "application/x-www-form-urlencoded");
    ask(kiosk, request, body).await
}

#[test]
fn every_view_is_drawn_in_both_languages_with_its_words() {
    let settings = KioskSettings { listen: "127.0.0.1:1".parse().unwrap(), language: Language::Da, phone: None };
    let now: Timestamp = "2026-11-22T07:14:00Z".parse().unwrap();
    let zone = TimeZone::get("Europe/Copenhagen").unwrap();
    let mut kinds = BTreeSet::new();
    for (name, view) in views::views(now) {
        kinds.insert(view.page.name());
        let drawn = Language::ALL.map(|language| {
            Drawing { view: &view, language, zone: &zone, now, settings: &settings, refusal: None }.document()
        });
        assert_ne!(drawn[0], drawn[1], "{name}: the languages differ");
        for text in drawn {
            assert_eq!(text.matches("<h1").count(), 1, "{name}: one thing at a time");
            assert_eq!(text.matches("<main ").count(), 1, "{name}");
            assert!(
                !text.contains("style=") && !text.contains("<style") && !text.contains(" onclick"),
                "{name}: nothing inline"
            );
            let unsaid = words::keys(Language::Da)
                .into_iter()
                .find(|key| key.contains('-') && text.contains(&format!(">{key}<")));
            assert_eq!(unsaid, None, "{name}: a key instead of its words");
        }
    }
    let every = [
        "advice",
        "answered",
        "choose",
        "finished",
        "hold",
        "measure",
        "measuring",
        "message",
        "question",
        "rest",
        "result",
        "waiting",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), every);
}

#[test]
fn what_others_wrote_is_text_and_never_markup() {
    let settings = KioskSettings { listen: "127.0.0.1:1".parse().unwrap(), language: Language::Da, phone: None };
    let (id, text) = ("\"><script>".to_owned(), "<img src=x onerror=alert(1)>".to_owned());
    let page = Page::Message { id, text: text.clone(), by: Some(text), at: Timestamp::UNIX_EPOCH };
    let view = View { page, ..View::default() };
    let (zone, now) = (TimeZone::UTC, Timestamp::UNIX_EPOCH);
    let drawn =
        Drawing { view: &view, language: Language::En, zone: &zone, now, settings: &settings, refusal: None }.regions();
    assert!(!drawn.contains("<img") && !drawn.contains("<script"), "{drawn}");
}

#[tokio::test]
async fn every_answer_has_its_headers_and_only_its_own_name_is_answered() {
    let stood = stood(View::default(), Acted::Done);
    for (path, wanted) in [("/", 200), ("/nowhere", 404), ("/assets/kiosk.js", 200), ("/assets/../Cargo.toml", 404)] {
        let (status, headers, _) = ask(&stood.kiosk, Request::get(path), "").await;
        assert_eq!(status, wanted, "{path}");
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert!(headers.contains_key("cache-control"), "{path}");
    }
    let elsewhere = Request::get("/").header("host", "evil.example").body(Body::empty()).unwrap();
    let refused = stood.kiosk.router().oneshot(elsewhere).await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(refused.headers().contains_key("content-security-policy"));
}

#[tokio::test]
async fn what_is_pressed_on_the_page_is_done_and_the_page_comes_again() {
    let mut stood = stood(View::default(), Acted::Done);
    let (status, headers, _) = press(&stood.kiosk, "action=call_me").await;
    assert_eq!((status.as_u16(), &headers["location"]), (303, &HeaderValue::from_static("/")));
    assert_eq!(stood.pressed.try_recv(), Ok(Action::CallMe));
}

#[tokio::test]
async fn a_press_from_elsewhere_or_on_another_screen_does_nothing() {
    let mut stood = stood(View::default(), Acted::Done);
    for origin in [None, Some("https://evil.example"), Some("null")] {
        let request = Request::post("/act").header("content-type", "application/x-www-form-urlencoded");
        let request = origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
        assert_eq!(ask(&stood.kiosk, request, "action=call_me").await.0, 403, "{origin:?}");
    }
    press(&stood.kiosk, "action=skip&seen=measure-spo2").await;
    assert!(stood.pressed.try_recv().is_err());
    press(&stood.kiosk, "action=skip&seen=rest").await;
    assert_eq!(stood.pressed.try_recv(), Ok(Action::Skip));
    assert_eq!(press(&stood.kiosk, "action=explode").await.0, 400);
    assert_eq!(press(&stood.kiosk, &format!("action=choose&code={}", "1".repeat(BODY_BYTES_MAX))).await.0, 413);
}

#[tokio::test]
async fn an_answer_that_cannot_be_taken_says_why_beside_the_field() {
    let page = Page::Choose { unclaimed: 0, unknown_code: false };
    let stood = stood(View { station: true, page, ..View::default() }, Acted::Refused { why: Refusal::UnknownCode });
    let (status, _, text) = press(&stood.kiosk, "action=choose&code=12").await;
    assert_eq!(status, 422);
    assert!(text.contains("Koden kendes ikke") && text.contains("aria-invalid"), "{text}");
}

#[tokio::test]
async fn the_language_is_switched_for_this_screen() {
    let stood = stood(View::default(), Acted::Done);
    let request = || {
        Request::post("/language")
            .header("origin", "http://localhost:8088")
            .header("content-type", "application/x-www-form-urlencoded")
    };
    let (status, headers, _) = ask(&stood.kiosk, request(), "language=en").await;
    assert_eq!(status, 303);
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("language=en;") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert_eq!(ask(&stood.kiosk, request(), "language=xx").await.0, 400);
    let english = ask(&stood.kiosk, Request::get("/").header("cookie", "a=b; language=en"), "").await.2;
    assert!(english.contains("<html lang=\"en\">") && english.contains("Call me"));
    assert!(ask(&stood.kiosk, Request::get("/").header("cookie", "language=xx"), "").await.2.contains("Ring mig op"));
}

#[tokio::test]
async fn an_open_page_hears_what_changes_and_otherwise_a_beat() {
    let stood = stood(View::default(), Acted::Done);
    let request = Request::get("/live").header("host", "127.0.0.1").body(Body::empty()).unwrap();
    let answer = stood.kiosk.router().oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut stream = answer.into_body().into_data_stream();
    let mut next = async || {
        let bytes = futures::StreamExt::next(&mut stream).await.unwrap().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    assert!(next().await.contains("event: page"));
    assert!(next().await.contains("event: beat"));
    stood.shown.send_modify(|view| view.call = crate::round::Call::Asked { at: clock::now() });
    let page = next().await;
    assert!(page.contains("event: page") && page.contains("på vej til klinikken"), "{page}");
}

#[tokio::test]
async fn no_more_than_so_many_pages_are_live() {
    let stood = stood(View::default(), Acted::Done);
    let mut open = Vec::new();
    for wanted in std::iter::repeat_n(200, LIVE_PAGES_MAX).chain([503]) {
        let request = Request::get("/live").header("host", "127.0.0.1").body(Body::empty()).unwrap();
        let answer = stood.kiosk.router().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), wanted);
        open.push(answer);
    }
}

async fn served(kiosk: Kiosk) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { kiosk.serve(listener).await });
    at
}

#[tokio::test]
async fn what_is_pressed_is_done_to_its_end_though_the_browser_hangs_up() {
    let (begun, mut begins) = mpsc::channel(1);
    let (done, mut ends) = mpsc::channel(1);
    let act = move |_| -> BoxFuture<'static, Acted> {
        let (begun, done) = (begun.clone(), done.clone());
        Box::pin(async move {
            begun.try_send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            done.try_send(()).unwrap();
            Acted::Done
        })
    };
    let mut kiosk = stood(View::default(), Acted::Done).kiosk;
    let inner = Arc::get_mut(&mut kiosk.inner).unwrap();
    inner.person.act = Arc::new(act);
    let mut browser = tokio::net::TcpStream::connect(served(kiosk).await).await.unwrap();
    let body = "action=call_me";
    let request = format!(
        "POST /act HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\ncontent-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    );
    tokio::io::AsyncWriteExt::write_all(&mut browser, request.as_bytes()).await.unwrap();
    begins.recv().await.unwrap();
    drop(browser);
    let ended = tokio::time::timeout(Duration::from_secs(30), ends.recv()).await;
    assert_eq!(ended, Ok(Some(())), "the half of it is on the page and not in the spool");
}

#[tokio::test]
async fn connections_are_bounded_and_the_ones_that_end_make_room() {
    let at = served(stood(View::default(), Acted::Done).kiosk).await;
    let ask = async |stream: &mut tokio::net::TcpStream, within: u64| {
        let request = b"GET /assets/none HTTP/1.1\r\nhost: localhost\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(stream, request).await.unwrap();
        let mut answer = [0; 12];
        let read = tokio::io::AsyncReadExt::read_exact(stream, &mut answer);
        tokio::time::timeout(Duration::from_secs(within), read).await.is_ok_and(|read| read.is_ok())
    };
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
        assert!(ask(&mut stream, 30).await);
        open.push(stream);
    }
    let mut next = tokio::net::TcpStream::connect(at).await.unwrap();
    assert!(!ask(&mut next, 1).await, "no place");
    open.pop();
    let mut answer = [0; 12];
    let read = tokio::io::AsyncReadExt::read_exact(&mut next, &mut answer);
    assert!(tokio::time::timeout(Duration::from_secs(30), read).await.unwrap().is_ok(), "a place");
}

#[tokio::test]
async fn a_connection_that_says_nothing_gives_up_its_place() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = stood(View::default(), Acted::Done).kiosk.router();
    tokio::spawn(async move { axum::serve(Door::patient_for(listener, Duration::from_millis(200)), router).await });
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    let mut byte = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut byte);
    let read = tokio::time::timeout(Duration::from_secs(30), read).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
}
