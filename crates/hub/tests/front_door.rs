//! The front door and clients that nobody here wrote: Mosquitto's. An acknowledgement means stored, and a kit has its own topics alone.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::{
    collections::HashMap,
    process::{Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use desk::Board;
use hub::{
    authority::Authority,
    clock,
    config::{self, Mqtt, Tls},
    directory::{Books, Directories, Directory, Programmes, hex},
    pipeline::acks::Outbox,
    presence::Presence,
    source::{
        Arrival, LinedUp, NotTaken, Stored, Taker,
        front_door::{Behind, FrontDoor},
        limits::Limits,
    },
};
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    sync::{Mutex, Semaphore},
    time::{sleep, timeout},
};

/// Takes a message for each permit, and remembers it.
struct Doubt {
    taken: Mutex<Vec<Arrival>>,
    permits: Semaphore,
}

impl Taker for Doubt {
    fn line_up(self: Arc<Self>, arrival: Arrival, _slowed: bool) -> LinedUp {
        LinedUp::fresh(async move {
            self.permits.acquire().await.map_err(|_| NotTaken::Stopping)?.forget();
            self.taken.lock().await.push(arrival);
            Ok(Stored::now())
        })
    }
}

struct House {
    door: FrontDoor,
    taker: Arc<Doubt>,
    board: Arc<Board>,
}

async fn open(permits: usize) -> House {
    open_with(permits, Mqtt::default(), &config::Limits::default()).await
}

async fn open_with(permits: usize, mqtt: Mqtt, limits: &config::Limits) -> House {
    let mut roster = String::new();
    for (kit, patient) in [("kit-1", "p-1"), ("kit-2", "p-2")] {
        let hash = hex(&Sha256::digest(kit.as_bytes()));
        roster += &format!(
            "[[patient]]\nid = \"{patient}\"\nname = \"Test Person\"\nprogramme = \"copd\"\n\
             [[kit]]\nid = \"{kit}\"\npatient = \"{patient}\"\nsecret_sha256 = \"{hash}\"\n"
        );
    }
    let directory = Directory::new(toml::from_str(&roster).unwrap(), &copd(), &TimeZone::UTC).unwrap();
    let board = Board::new(Vec::new(), directory.roster().clone(), Vec::new(), HashMap::new());
    let taker = Arc::new(Doubt { taken: Mutex::default(), permits: Semaphore::new(permits) });
    let behind = Behind {
        directories: Directories::fixed(directory),
        taker: Arc::clone(&taker) as Arc<dyn Taker>,
        presence: Presence::new(Arc::clone(&board), Vec::new()),
        outbox: Arc::new(Outbox::default()),
        commands: Arc::default(),
        limits: Arc::new(Limits::new(limits)),
    };
    let config = Mqtt { listen: "127.0.0.1:0".parse().unwrap(), ..mqtt };
    House { door: FrontDoor::open(&config, behind).await.unwrap(), taker, board }
}

impl House {
    /// One of Mosquitto's clients; its password is its name, unless said otherwise.
    fn client(&self, program: &str, user: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(["-p", &self.door.addr().port().to_string(), "-u", user]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn publishes(&self, user: &str, arguments: &[&str]) -> Output {
        let output = self.client("mosquitto_pub", user, arguments).output();
        let found = timeout(Duration::from_secs(30), output).await.expect("mosquitto_pub ends");
        found.expect("mosquitto_pub is needed: apt-get install mosquitto-clients")
    }

    async fn taken(&self) -> Vec<Arrival> {
        self.taker.taken.lock().await.clone()
    }

    async fn online(&self, wanted: bool) {
        let is = || self.board.kits().iter().any(|kit| kit.kit.id.as_str() == "kit-1" && kit.online());
        let deadline = Instant::now() + Duration::from_secs(8);
        while is() != wanted {
            assert!(Instant::now() < deadline, "kit-1 is not {}", if wanted { "online" } else { "offline" });
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const READINGS: &str = "vagt/v1/kit-1/readings";

#[tokio::test(flavor = "multi_thread")]
async fn the_puback_comes_when_the_message_is_stored_and_not_before() {
    for version in ["5", "311"] {
        let house = open(0).await;
        let arguments = ["-P", "kit-1", "-V", version, "-q", "1", "-t", READINGS, "-m", "hello"];
        let mut client = house.client("mosquitto_pub", "kit-1", &arguments).spawn().unwrap();
        sleep(Duration::from_secs(1)).await;
        assert!(client.try_wait().unwrap().is_none(), "MQTT {version}: acknowledged, and nothing is stored");
        house.taker.permits.add_permits(1);
        let ended = timeout(Duration::from_secs(30), client.wait()).await.expect("acknowledged").unwrap();
        assert!(ended.success());
        let taken = house.taken().await;
        assert_eq!((taken.len(), taken[0].kit.as_str(), &taken[0].payload[..]), (1, "kit-1", &b"hello"[..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_quality_of_service_is_taken() {
    let house = open(10).await;
    for qos in ["0", "1", "2"] {
        for version in ["5", "311"] {
            let sent =
                house.publishes("kit-1", &["-P", "kit-1", "-V", version, "-q", qos, "-t", READINGS, "-m", qos]).await;
            assert!(sent.status.success(), "{}", words(&sent));
        }
    }
    sleep(Duration::from_millis(200)).await;
    let waits: Vec<_> = house.taken().await.iter().map(|arrival| arrival.wants_ack).collect();
    assert_eq!(waits.iter().filter(|waits| **waits).count(), 4);
    assert_eq!(waits.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_that_is_marked_to_be_retained_is_taken_too() {
    let house = open(10).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.json");
    std::fs::write(&file, vec![b' '; 100 * 1024]).unwrap();
    for version in ["311", "5"] {
        let arguments =
            ["-P", "kit-1", "-V", version, "-q", "1", "-r", "-t", READINGS, "-f", file.to_str().expect("UTF-8")];
        let sent = house.publishes("kit-1", &arguments).await;
        assert!(sent.status.success(), "{}", words(&sent));
    }
    let sizes: Vec<_> = house.taken().await.iter().map(|arrival| arrival.payload.len()).collect();
    assert_eq!(sizes, [100 * 1024; 2], "what was acknowledged was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_wrong_secrets_stay_outside() {
    let house = open(10).await;
    for (user, password) in [("kit-1", "kit-2"), ("kit-9", "kit-9"), ("Kit/1", "x"), ("kit-1", "")] {
        let sent = house.publishes(user, &["-P", password, "-V", "311", "-q", "1", "-t", READINGS, "-m", "x"]).await;
        assert!(!sent.status.success(), "{user} {password}");
    }
    let anonymous = Command::new("mosquitto_pub")
        .args(["-p", &house.door.addr().port().to_string(), "-V", "311", "-q", "1", "-t", READINGS, "-m", "x"])
        .output();
    assert!(!anonymous.await.unwrap().status.success());
    let thief = house
        .publishes("kit-2", &["-P", "kit-2", "-i", "kit-1", "-V", "311", "-q", "1", "-t", READINGS, "-m", "x"])
        .await;
    assert!(!thief.status.success(), "came with another kit's client id");
    let will = ["-P", "kit-2", "--will-topic", "vagt/v1/kit-1/commands", "--will-payload", "x"];
    let will =
        house.publishes("kit-2", &[&will[..], &["-q", "1", "-t", "vagt/v1/kit-2/readings", "-m", "x"]].concat()).await;
    assert!(!will.status.success(), "a last will for another kit");
    assert!(house.taken().await.is_empty());
}

/// Nobody is to look for a wrong password where there is only too little room: MQTT 3.1.1 has one word for it, MQTT 5 several.
#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_told_to_come_again_later() {
    let said = |version: &str, newer: &'static str| if version == "5" { newer } else { "unavailable" };
    let send = |id: &'static str, version: &'static str| {
        ["-i", id, "-V", version, "-q", "1", "-t", READINGS, "-m", "x", "-P", "kit-1"]
    };
    let full = Mqtt { connections_max: 1, ..Mqtt::default() };
    let one_each = config::Limits { connections: 1, ..config::Limits::default() };
    for version in ["5", "311"] {
        let house = open_with(9, full.clone(), &config::Limits::default()).await;
        let _inside =
            house.client("mosquitto_sub", "kit-1", &["-P", "kit-1", "-i", "kit-1", "-t", "vagt/v1/kit-1/acks"]).spawn();
        house.online(true).await;
        let other = ["-P", "kit-2", "-V", version, "-q", "1", "-t", "vagt/v1/kit-2/readings", "-m", "x"];
        let refused = house.publishes("kit-2", &other).await;
        assert!(words(&refused).contains(said(version, "Server busy")), "{}", words(&refused));
        let again = house.publishes("kit-1", &send("kit-1", version)).await;
        assert!(again.status.success(), "its own place it has: {}", words(&again));

        let house = open_with(9, Mqtt::default(), &one_each).await;
        let _first =
            house.client("mosquitto_sub", "kit-1", &["-P", "kit-1", "-i", "a", "-t", "vagt/v1/kit-1/acks"]).spawn();
        house.online(true).await;
        let refused = house.publishes("kit-1", &send("b", version)).await;
        assert!(words(&refused).contains(said(version, "Quota exceeded")), "{}", words(&refused));
        let kit = house.board.kits().into_iter().find(|kit| kit.kit.id.as_str() == "kit-1").unwrap();
        let told = kit.heard.unwrap().status["problems"][0].to_string();
        assert!(told.contains("has more connections than [limits] lets it: 1 are open"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kit_has_its_own_topics_alone() {
    let house = open(10).await;
    for topic in ["vagt/v1/kit-1/readings", "vagt/v1/kit-2/acks", "vagt/v1/kit-2/commands", "other"] {
        let newer = house.publishes("kit-2", &["-P", "kit-2", "-V", "5", "-q", "1", "-t", topic, "-m", "x"]).await;
        assert!(words(&newer).contains("Not authorized"), "{topic}: {}", words(&newer));
    }
    assert!(house.taken().await.is_empty());
    let older = house.publishes("kit-2", &["-P", "kit-2", "-V", "311", "-q", "1", "-t", READINGS, "-m", "x"]).await;
    assert!(older.status.success(), "MQTT 3.1.1 has no word for no: it is kept, with what is wrong about it");
    let taken = house.taken().await;
    let sentence = "published to \"vagt/v1/kit-1/readings\", want vagt/v1/kit-2/readings or vagt/v1/kit-2/status";
    assert_eq!((taken[0].kit.as_str(), taken[0].refused.as_deref()), ("kit-2", Some(sentence)));
    for filter in
        ["vagt/v1/kit-1/acks", "vagt/v1/+/acks", "#", "$share/g/vagt/v1/kit-1/commands", "vagt/v1/kit-2/readings"]
    {
        let arguments = ["-P", "kit-2", "-V", "5", "-t", filter, "-W", "2"];
        let denied = house.client("mosquitto_sub", "kit-2", &arguments).output().await.unwrap();
        assert!(words(&denied).contains("denied") || !denied.status.success(), "{filter}: {}", words(&denied));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kit_that_vanishes_is_offline_and_one_that_takes_over_is_not() {
    let house = open(0).await;
    let listen = ["-P", "kit-1", "-i", "kit-1", "-k", "5", "-t", "vagt/v1/kit-1/acks"];
    let mut first = house.client("mosquitto_sub", "kit-1", &listen).spawn().unwrap();
    house.online(true).await;
    let mut second = house.client("mosquitto_sub", "kit-1", &[&listen[..], &["-V", "5"]].concat()).spawn().unwrap();
    sleep(Duration::from_millis(500)).await;
    first.kill().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    house.online(true).await;
    second.kill().await.unwrap();
    house.online(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_heard() {
    let house = open(0).await;
    let status = r#"{"online":true,"version":"0.1.0","spooled":3}"#;
    let sent =
        house.publishes("kit-1", &["-P", "kit-1", "-q", "1", "-r", "-t", "vagt/v1/kit-1/status", "-m", status]).await;
    assert!(sent.status.success());
    let heard = house.board.kits().into_iter().find(|kit| kit.kit.id.as_str() == "kit-1").and_then(|kit| kit.heard);
    assert_eq!(heard.unwrap().status["spooled"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_for_too_long_is_not_acknowledged() {
    let house = open(0).await;
    let mut kit = TcpStream::connect(house.door.addr()).await.unwrap();
    kit.write_all(b"\x10\x1b\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01x\x00\x05kit-1\x00\x05kit-1").await.unwrap();
    let mut answer = [0; 4];
    kit.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0]);
    kit.write_all(b"\x32\x1b\x00\x16vagt/v1/kit-1/readings\x00\x01x").await.unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(20), kit.read_to_end(&mut rest)).await.expect("the connection is closed").unwrap();
    assert_eq!(rest, b"", "no PUBACK");
}

/// Somebody who connects and says nothing must not shut the kits out.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_keeps_no_kit_waiting_for_its_handshake() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::init(folder.path(), "Test", clock::now()).unwrap();
    authority.issue_server(&["localhost".to_owned(), "127.0.0.1".to_owned()], clock::now()).unwrap();
    let tls = Tls { cert: authority.server_certificate(), key: authority.server_key(), client_ca: None };
    let mqtt = Mqtt { tls: Some(tls), ..Mqtt::default() };
    let house = open_with(9, mqtt, &config::Limits::default()).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(house.door.addr()).await.unwrap());
    }
    let authority = folder.path().join("authority/authority.crt");
    let by_tls = [
        "--cafile",
        authority.to_str().unwrap(),
        "-q",
        "1",
        "-t",
        "vagt/v1/kit-1/readings",
        "-m",
        "one",
        "-P",
        "kit-1",
    ];
    let published = timeout(Duration::from_secs(8), house.publishes("kit-1", &by_tls)).await;
    let published = published.expect("the door is not held");
    assert!(published.status.success(), "{published:?}");
    assert_eq!(house.taken().await.len(), 1);
    drop(silent);
    let started = Instant::now();
    house.door.close().await;
    assert!(started.elapsed() < Duration::from_secs(4), "the door closes when the last has gone");
}

/// The COPD programme alone.
fn copd() -> Books {
    let programme = Arc::new(triage::Programme::parse(triage::COPD, "copd.toml").unwrap());
    let programmes = Programmes::from([(programme.id().to_owned(), programme)]);
    Books::new(programmes, Arc::new(triage::Clinic::shipped()))
}
