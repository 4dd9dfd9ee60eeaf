//! The service watches itself: the heartbeat goes the way of every reading and is nobody's; when it does not come through everybody is told;
//! what `/metrics` says is described; a trace goes from kit to page.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::{
    collections::{BTreeSet, HashMap},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use hub::{
    config::Config,
    directory::hex,
    serve::Service,
    watching::{heartbeat, metrics, traces},
};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{HistoryFilter, JournalFilter, KitSeq};
use wire::TraceParent;

/// How long anything that must happen may take: a test machine is busy.
const SOON: Duration = Duration::from_secs(60);

fn config(folder: &Path, more: &str) -> Config {
    let hash = hex(&Sha256::digest(b"secret"));
    let roster = format!(
        "[[patient]]\nid = \"p-1\"\nname = \"Test Person\"\nprogramme = \"copd\"\n\
         [[kit]]\nid = \"kit-1\"\npatient = \"p-1\"\nsecret_sha256 = \"{hash}\"\n"
    );
    std::fs::write(folder.join("roster.toml"), roster).unwrap();
    let text = format!(
        "data = \"data\"\nroster = \"roster.toml\"\n[http]\nlisten = \"127.0.0.1:0\"\n[mqtt]\nlisten = \"127.0.0.1:0\"\n{more}"
    );
    std::fs::write(folder.join("hub.toml"), text).unwrap();
    Config::load(&folder.join("hub.toml")).unwrap()
}

/// Status and body of a page, without a sign-in.
fn get(http: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(http).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn get_where(http: SocketAddr, path: &'static str, wanted: impl Fn(u16, &str) -> bool) -> String {
    let until = Instant::now() + SOON;
    loop {
        let (status, body) = tokio::task::spawn_blocking(move || get(http, path)).await.unwrap();
        if wanted(status, &body) {
            return body;
        }
        assert!(Instant::now() < until, "{path}: {status} {body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The value of a metric, with its labels as they are printed.
fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// One of Mosquitto's programs, as kit-1.
fn mosquitto(program: &str, mqtt: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &mqtt.port().to_string(), "-u", "kit-1", "-P", "secret", "-V", "5"]);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn message(session: &str, measured_at: Timestamp) -> String {
    let now = hub::clock::now();
    format!(
        r#"{{"seq":1,"sent_at":"{now}","session":"{session}","readings":[{{"vital":"spo2","value":83.25,"unit":"%","measured_at":"{measured_at}","clock":"kit","device":"nonin-df2:1"}}]}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_comes_through_and_is_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(config(folder.path(), "[heartbeat]\nperiod_seconds = 1\n")).await.unwrap();
    let (http, store) = (service.ready().http.0, service.store());
    let metrics = get_where(http, "/metrics", |_, body| value(body, "vagt_heartbeat_seconds_count") >= Some(3.0)).await;
    assert!(value(&metrics, "vagt_heartbeat_last_success_timestamp_seconds") > Some(1.7e9), "{metrics}");
    assert_eq!(get(http, "/readyz"), (200, "ready\n".to_owned()));
    // Stored, as every message is.
    let key = KitSeq { kit: heartbeat::kit(), seq: 1 };
    let (whose, stored) = store.message(&key).await.unwrap().unwrap();
    assert_eq!((whose, stored.readings.len()), (heartbeat::patient(), 1));
    // And nobody's: in no roster, among no kits, in no alert, in no journal, in no count.
    let roster = store.roster().await.unwrap();
    assert_eq!((roster.patients.len(), roster.kits.len()), (1, 1));
    assert!(store.last_heard().await.unwrap().is_empty());
    assert!(store.open_alerts(None).await.unwrap().is_empty());
    assert!(store.alerts_of(&heartbeat::patient(), 10).await.unwrap().is_empty());
    let of_it = JournalFilter { patient: Some(&heartbeat::patient()), limit: 10, ..JournalFilter::default() };
    assert!(store.journal(of_it).await.unwrap().is_empty());
    let metrics = get_where(http, "/metrics", |_, body| value(body, "vagt_patients") == Some(1.0)).await;
    assert_eq!(value(&metrics, "vagt_kits{state=\"never\"}"), Some(1.0));
    assert_eq!(value(&metrics, "vagt_kits{state=\"online\"}"), Some(0.0));
    assert!(value(&metrics, "vagt_readings_total").is_none_or(|count| count == 0.0), "{metrics}");
    assert!(value(&metrics, "vagt_alert_changes_total").is_none_or(|count| count == 0.0), "{metrics}");
    // A question by the roster's people never meets it.
    let patients = Some(roster.patients.iter().map(|patient| patient.id.clone()).collect());
    let mut history = store.history(&HistoryFilter { patients, ..HistoryFilter::default() }).await.unwrap();
    while let Some(chunk) = history.next().await {
        assert!(chunk.unwrap().messages.is_empty());
    }
    service.stop().await;
    // The next start goes on where this one was.
    let service = Service::start(config(folder.path(), "[heartbeat]\nperiod_seconds = 1\n")).await.unwrap();
    get_where(service.ready().http.0, "/readyz", |status, _| status == 200).await;
    let last = service.store().last_seqs(&[heartbeat::kit()]).await.unwrap();
    assert!(last[0].1 >= 3);
    assert_eq!(service.store().quarantine(1).await.unwrap().1, 0, "no seq is used twice");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_kits_cannot_come_in_everybody_is_told_until_they_can() {
    let folder = tempfile::tempdir().unwrap();
    let more = "connections_max = 1\n[heartbeat]\nperiod_seconds = 1\n";
    let service = Service::start(config(folder.path(), more)).await.unwrap();
    let (http, mqtt) = (service.ready().http.0, service.ready().mqtt.unwrap());
    get_where(http, "/metrics", |_, body| value(body, "vagt_heartbeat_seconds_count") >= Some(1.0)).await;
    // The only place is taken.
    let mut kit = loop {
        let mut kit = mosquitto("mosquitto_sub", mqtt, &["-i", "kit-1", "-t", "vagt/v1/kit-1/acks"]).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        match kit.try_wait().unwrap() {
            None => break kit,
            Some(_) => continue,
        }
    };
    let why = get_where(http, "/readyz", |status, _| status == 503).await;
    let problem: Value = serde_json::from_str(&why).unwrap();
    assert_eq!(problem["detail"], "a test reading is not taken in where kits send", "{why}");
    assert_eq!(get(http, "/healthz"), (200, "ok\n".to_owned()), "the process answers");
    let metrics = get_where(http, "/metrics", |_, body| value(body, "vagt_live") == Some(0.0)).await;
    assert_eq!(value(&metrics, "vagt_heartbeat_stopped"), Some(1.0));
    assert!(value(&metrics, "vagt_heartbeat_missed_total{step=\"taken\"}") >= Some(1.0), "{metrics}");
    kit.kill().unwrap();
    kit.wait().unwrap();
    get_where(http, "/readyz", |status, _| status == 200).await;
    get_where(http, "/metrics", |_, body| value(body, "vagt_heartbeat_stopped") == Some(0.0)).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_nothing_is_not_ready_and_the_process_answers() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(config(folder.path(), "[heartbeat]\nperiod_seconds = 1\n")).await.unwrap();
    let http = service.ready().http.0;
    get_where(http, "/readyz", |status, _| status == 200).await;
    // Another program holds the store's lock for writing.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/hold_lock.py");
    let mut holder = Command::new("python3")
        .arg(script)
        .arg(folder.path().join("data/vagt.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    get_where(http, "/readyz", |status, _| status == 503).await;
    assert_eq!(get(http, "/healthz"), (200, "ok\n".to_owned()));
    holder.kill().unwrap();
    holder.wait().unwrap();
    get_where(http, "/readyz", |status, _| status == 200).await;
    service.stop().await;
}

/// A service whose front door speaks TLS, with this besides in `[mqtt.tls]`; and its authority.
fn config_with_tls(folder: &Path, more: &str) -> (Config, hub::authority::Authority) {
    std::fs::create_dir(folder.join("data")).unwrap();
    let authority = hub::authority::Authority::init(&folder.join("data"), "Test", hub::clock::now()).unwrap();
    authority.issue_server(&["vagt.clinic.example".to_owned()], hub::clock::now()).unwrap();
    let tls = "[mqtt.tls]\ncert = \"data/authority/server.crt\"\nkey = \"data/authority/server.key\"\n";
    (config(folder, &format!("{tls}{more}[heartbeat]\nperiod_seconds = 1\n")), authority)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heartbeat_comes_in_where_kits_must_show_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = config_with_tls(folder.path(), "client_ca = \"data/authority/authority.crt\"\n");
    let service = Service::start(config).await.unwrap();
    let http = service.ready().http.0;
    get_where(http, "/metrics", |_, body| value(body, "vagt_heartbeat_seconds_count") >= Some(2.0)).await;
    assert_eq!(get(http, "/readyz"), (200, "ready\n".to_owned()));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heartbeat_goes_through_tls_too() {
    let folder = tempfile::tempdir().unwrap();
    let (config, authority) = config_with_tls(folder.path(), "");
    let service = Service::start(config).await.unwrap();
    let http = service.ready().http.0;
    let metrics = get_where(http, "/metrics", |_, body| {
        value(body, "vagt_heartbeat_seconds_count") >= Some(1.0)
            && value(body, "vagt_server_certificate_expiry_timestamp_seconds").is_some()
    })
    .await;
    let ends = value(&metrics, "vagt_server_certificate_expiry_timestamp_seconds").unwrap();
    let certificate = hub::authority::ends(&authority.server_certificate()).unwrap();
    assert_eq!(ends, certificate.as_second() as f64);
    service.stop().await;
}

/// Mosquitto, with the topics that config/mosquitto lets a kit and the service use.
fn broker(folder: &Path) -> (std::process::Child, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let passwords = folder.join("passwords");
    let made = Command::new("mosquitto_passwd").args(["-c", "-b"]).arg(&passwords).args(["vagt-hub", "hub"]).status();
    assert!(made.expect("mosquitto_passwd runs: install Debian's mosquitto").success());
    let acl = folder.join("acl");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/mosquitto/acl"), &acl).unwrap();
    let (acl, passwords) = (acl.display(), passwords.display());
    let conf = format!(
        "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nacl_file {acl}\nuser root\nmax_inflight_messages 0\n"
    );
    std::fs::write(folder.join("mosquitto.conf"), conf).unwrap();
    let program = if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" };
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let process = command.spawn().expect("mosquitto starts: install Debian's mosquitto");
    let until = Instant::now() + SOON;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "mosquitto does not start");
        std::thread::yield_now();
    }
    (process, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_goes_by_the_broker_too_and_a_broker_that_is_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (mut mosquitto, port) = broker(folder.path());
    std::fs::write(folder.path().join("password"), "hub").unwrap();
    let more = format!(
        "[broker]\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"vagt-hub\"\npassword_file = \"password\"\n\
         [heartbeat]\nperiod_seconds = 1\n"
    );
    let service = Service::start(config(folder.path(), &more)).await.unwrap();
    let http = service.ready().http.0;
    // By each way at least twice.
    get_where(http, "/metrics", |_, body| value(body, "vagt_heartbeat_seconds_count") >= Some(4.0)).await;
    get_where(http, "/readyz", |status, _| status == 200).await;
    assert!(service.store().last_heard().await.unwrap().is_empty(), "no kit was heard of");
    mosquitto.kill().unwrap();
    mosquitto.wait().unwrap();
    let why = get_where(http, "/readyz", |status, _| status == 503).await;
    assert!(why.contains("a test reading is not taken in where kits send"), "{why}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_that_is_told_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(config(folder.path(), "[heartbeat]\nperiod_seconds = 1\n")).await.unwrap();
    let (http, mqtt) = (service.ready().http.0, service.ready().mqtt.unwrap());
    let said = message("0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f", hub::clock::now());
    let sent =
        mosquitto("mosquitto_pub", mqtt, &["-i", "kit-1", "-q", "1", "-t", "vagt/v1/kit-1/readings", "-m", &said]);
    assert!({ sent }.status().unwrap().success());
    let text = get_where(http, "/metrics", |_, body| {
        value(body, "vagt_readings_total") == Some(1.0) && value(body, "vagt_alerts_open{mark=\"red\"}") == Some(1.0)
    })
    .await;
    let described: HashMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' ')).collect();
    let known: BTreeSet<&str> =
        metrics::all().map(|metric| metric.name).chain(metrics::PROCESS.iter().copied()).collect();
    let told: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(told.len() > 30, "{told:?}");
    for name in told {
        assert!(known.contains(name), "{name} is told and not in the table");
        assert!(described.contains_key(name), "{name} is told without a word");
    }
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_max_fds"] {
        assert!(value(&text, name) > Some(0.0), "{name}\n{text}");
    }
    assert!(value(&text, "process_cpu_seconds_total").is_some(), "whole seconds: none may be used up yet");
    for secret in ["kit-1", "p-1", "Test Person", "83.25"] {
        assert!(!text.contains(secret), "/metrics tells {secret}");
    }
    service.stop().await;
}

/// A collector: every request's body, as JSON.
fn collector() -> (SocketAddr, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while stream
                .read_line({
                    line.clear();
                    &mut line
                })
                .is_ok_and(|bytes| bytes > 0)
            {
                let mut length = 0;
                while stream
                    .read_line({
                        line.clear();
                        &mut line
                    })
                    .unwrap()
                    > 2
                {
                    if let Some((_, bytes)) = line.to_lowercase().split_once("content-length:") {
                        length = bytes.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                told.send(serde_json::from_slice(&body).unwrap()).unwrap();
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    (addr, heard)
}

#[test]
fn a_trace_goes_from_the_kit_to_the_page_and_tells_nothing_of_anybody() {
    let (addr, heard) = collector();
    let wanted = traces::Traces { endpoint: format!("http://{addr}/v1/traces"), share: 1.0 };
    let exporter = traces::start(&wanted).unwrap();
    let session = "0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f";
    let measured_at = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start(config(folder.path(), "[heartbeat]\nperiod_seconds = 0\n")).await.unwrap();
        // After the kit was handed out, and a while before it is sent.
        let measured_at = hub::clock::now();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let said = message(session, measured_at);
        let to = ["-i", "kit-1", "-q", "1", "-t", "vagt/v1/kit-1/readings", "-m", &said];
        // Twice, as a kit that did not hear that it is stored.
        for _ in 0..2 {
            assert!(mosquitto("mosquitto_pub", service.ready().mqtt.unwrap(), &to).status().unwrap().success());
        }
        service.stop().await;
        measured_at
    });
    exporter.finish();
    let told: Vec<Value> = heard.try_iter().collect();
    let spans: Vec<&Value> = told
        .iter()
        .flat_map(|request| request["resourceSpans"].as_array().unwrap())
        .flat_map(|resource| resource["scopeSpans"].as_array().unwrap())
        .flat_map(|scope| scope["spans"].as_array().unwrap())
        .collect();
    let names: BTreeSet<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["admit", "assess", "kit", "message", "record", "show"]), "{told:#?}");
    let parent = TraceParent::of(&session.parse().unwrap(), 1);
    for span in &spans {
        assert_eq!(span["traceId"], hex(&parent.trace), "{span}");
        let time = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"), "{span}");
    }
    let is_root = |span: &&Value| span["parentSpanId"].as_str().is_none_or(|id| id.is_empty());
    let (roots, others): (Vec<&Value>, Vec<&Value>) = spans.iter().copied().partition(is_root);
    let [kit] = roots[..] else { panic!("one root, though the message came twice: {told:#?}") };
    assert_eq!(kit["name"], "kit");
    assert_eq!(kit["spanId"], hex(&parent.span), "as the kit has named it");
    assert_eq!(kit["startTimeUnixNano"], measured_at.as_nanosecond().to_string(), "the time in the spool is seen");
    assert_eq!(kit["events"][0]["name"], "sent", "{kit}");
    let messages = spans.iter().filter(|span| span["name"] == "message");
    let messages: BTreeSet<&str> = messages.map(|span| span["spanId"].as_str().unwrap()).collect();
    assert_eq!(messages.len(), 2, "it came twice: {told:#?}");
    for span in others {
        let before = span["parentSpanId"].as_str().unwrap();
        match span["name"].as_str().unwrap() {
            "message" => assert_eq!(kit["spanId"], before),
            _ => assert!(messages.contains(before), "its parent was not told: {span}"),
        }
    }
    let everything = serde_json::to_string(&told).unwrap();
    for secret in ["83.25", "spo2", "Test Person", "p-1", "kit-1", "red", session] {
        assert!(!everything.contains(secret), "a span tells {secret}");
    }
}
