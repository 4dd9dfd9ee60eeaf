//! Kits that show a certificate: what `vagt ca kit` issues, shown by Mosquitto's clients to a real Mosquitto that demands it and takes its
//! common name as the user, and to the service's own front door; and what OpenSSL makes of it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use hub::{
    authority::{Authority, ClientCertificate},
    clock,
    config::Config,
    directory::hex,
    serve::Service,
};
use sha2::{Digest, Sha256};
use store::KitSeq;

/// How long the broker may take to start.
const START_MAX: Duration = Duration::from_secs(20);

struct Broker {
    process: Child,
    port: u16,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Mosquitto as config/mosquitto has it for kits with certificates: a kit's name is its certificate's, and it has its own topics alone.
fn broker(folder: &Path, authority: &Authority) -> Broker {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let acl = "pattern write vagt/v1/%u/readings\npattern write vagt/v1/%u/status\npattern read vagt/v1/%u/acks\n";
    fs::write(folder.join("acl"), acl).unwrap();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    let conf = format!(
        "listener {port} 127.0.0.1\ncafile {0}/ca.pem\ncertfile {1}\nkeyfile {2}\nrequire_certificate true\n\
         use_identity_as_username true\nallow_anonymous false\nacl_file {0}/acl\nlog_dest stderr\nuser root\n",
        folder.display(),
        authority.server_certificate().display(),
        authority.server_key().display(),
    );
    fs::write(folder.join("mosquitto.conf"), conf).unwrap();
    let log = fs::File::create(folder.join("mosquitto.log")).unwrap();
    let process = Command::new(mosquitto())
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("mosquitto starts: install Debian's mosquitto");
    let until = Instant::now() + START_MAX;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || fs::read_to_string(folder.join("mosquitto.log")).unwrap_or_default();
        assert!(Instant::now() < until, "mosquitto does not start: {}", log());
        std::thread::yield_now();
    }
    Broker { process, port }
}

/// Debian has it where only root looks.
fn mosquitto() -> &'static str {
    if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" }
}

/// Publishes as MQTT 5 says, where a refusal is told.
fn publish(folder: &Path, port: u16, certificate: Option<(&Path, &Path)>, topic: &str) -> Output {
    publish_with(folder, port, certificate, &["-t", topic, "-m", "{}", "-d"])
}

fn publish_with(folder: &Path, port: u16, certificate: Option<(&Path, &Path)>, arguments: &[&str]) -> Output {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "localhost", "-p", &port.to_string(), "-V", "5", "-q", "1"]).args(arguments);
    command.arg("--cafile").arg(folder.join("ca.pem"));
    if let Some((certificate, key)) = certificate {
        command.arg("--cert").arg(certificate).arg("--key").arg(key);
    }
    command.stdin(Stdio::null()).output().expect("mosquitto_pub runs: install Debian's mosquitto-clients")
}

/// A service whose front door asks for certificates of the authority in its data; in its roster are kit-1 and kit-2, each with its id as its secret.
fn clinic(folder: &Path) -> (Config, Authority) {
    let mut roster = String::new();
    for number in [1, 2] {
        let hash = hex(&Sha256::digest(format!("kit-{number}").as_bytes()));
        roster += &format!(
            "[[patient]]\nid = \"p-{number}\"\nname = \"Test Person\"\nprogramme = \"copd\"\n\
             [[kit]]\nid = \"kit-{number}\"\npatient = \"p-{number}\"\nsecret_sha256 = \"{hash}\"\n"
        );
    }
    fs::write(folder.join("roster.toml"), roster).unwrap();
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    let authority = Authority::init(&data, "Test", clock::now()).unwrap();
    authority.issue_server(&["localhost".to_owned()], clock::now()).unwrap();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    let text = "data = \"data\"\nroster = \"roster.toml\"\n[http]\nlisten = \"127.0.0.1:0\"\n[mqtt]\nlisten = \"127.0.0.1:0\"\n\
                [mqtt.tls]\ncert = \"data/authority/server.crt\"\nkey = \"data/authority/server.key\"\nclient_ca = \"ca.pem\"\n";
    fs::write(folder.join("hub.toml"), text).unwrap();
    (Config::load(&folder.join("hub.toml")).unwrap(), authority)
}

/// Signs in as kit-1 with this secret and this certificate, and sends a message with this number.
fn send(folder: &Path, port: u16, secret: &str, certificate: Option<&ClientCertificate>, seq: u64) -> Output {
    let now = clock::now();
    let message = format!(
        r#"{{"seq":{seq},"sent_at":"{now}","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","readings":[{{"vital":"spo2","value":93,"unit":"%","measured_at":"{now}","clock":"kit","device":"nonin-df2:1"}}]}}"#
    );
    let shown = certificate.map(|shown| (shown.certificate.as_path(), shown.key.as_path()));
    let arguments = ["-u", "kit-1", "-P", secret, "-t", "vagt/v1/kit-1/readings", "-m", &message];
    publish_with(folder, port, shown, &arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_front_door_takes_a_kit_that_shows_its_own_certificate_and_knows_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (config, authority) = clinic(folder.path());
    let service = Service::start(config).await.unwrap();
    let (store, port) = (service.store(), service.ready().mqtt.unwrap().port());
    let stored = async |seq: u64| {
        let key = KitSeq { kit: "kit-1".parse().unwrap(), seq };
        store.message(&key).await.unwrap().is_some()
    };
    let issue = |kit: &str, now: &str| authority.issue_kit(&kit.parse().unwrap(), now.parse().unwrap()).unwrap();
    let today = clock::now().to_string();
    let (one, two) = (issue("kit-1", &today), issue("kit-2", &today));

    let own = send(folder.path(), port, "kit-1", Some(&one), 1);
    assert!(own.status.success() && stored(1).await, "{own:?}");

    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = Authority::init(elsewhere.path(), "Test", clock::now()).unwrap();
    let forged = stranger.issue_kit(&"kit-1".parse().unwrap(), clock::now()).unwrap();
    let server = ClientCertificate { certificate: authority.server_certificate(), key: authority.server_key() };
    for (seq, secret, shown, what) in [
        (2, "kit-1", None, "none"),
        (3, "kit-1", Some(&forged), "one of another authority, for the same name"),
        (4, "kit-1", Some(&server), "the server's own"),
        (5, "kit-1", Some(&two), "another kit's"),
        (6, "guessed", Some(&one), "its own, and does not know the secret"),
    ] {
        let refused = send(folder.path(), port, secret, shown, seq);
        assert!(!refused.status.success() && !stored(seq).await, "shows {what}: {refused:?}");
    }
    let anothers = send(folder.path(), port, "kit-1", Some(&two), 7);
    let guessed = send(folder.path(), port, "guessed", Some(&one), 8);
    assert_eq!(anothers.stderr, guessed.stderr, "nobody is told which of the two was wrong");

    // One that has ended, and the next, which the service takes as it runs.
    let ended = issue("kit-1", "2010-01-01T00:00:00Z");
    assert!(!send(folder.path(), port, "kit-1", Some(&ended), 9).status.success());
    let next = issue("kit-1", &today);
    let own = send(folder.path(), port, "kit-1", Some(&next), 10);
    assert!(own.status.success() && stored(10).await && !stored(9).await, "{own:?}");
    service.stop().await;
}

#[test]
fn an_authority_of_kits_that_is_none_is_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (_, authority) = clinic(folder.path());
    let (config, file) = (folder.path().join("hub.toml"), folder.path().join("ca.pem"));
    let refused = || {
        let mut vagt = Command::new(env!("CARGO_BIN_EXE_vagt"));
        let run = vagt.args(["serve", "--config"]).arg(&config).stdin(Stdio::null()).output().unwrap();
        assert_eq!(run.status.code(), Some(1), "{run:?}");
        String::from_utf8(run.stderr).unwrap()
    };
    let named = format!("mqtt.tls.client_ca: {}: ", file.display());
    fs::copy(authority.server_key(), &file).unwrap();
    let said = refused();
    assert!(said.contains(&format!("{named}holds no certificate")), "{said}");
    fs::remove_file(&file).unwrap();
    let said = refused();
    assert!(said.contains(&named), "{said}");
}

#[test]
fn a_broker_knows_a_kit_by_its_certificate_and_lets_nobody_else_in() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::init(folder.path(), "Test", clock::now()).unwrap();
    authority.issue_server(&["localhost".to_owned()], clock::now()).unwrap();
    let kit = authority.issue_kit(&"kit-1".parse().unwrap(), clock::now()).unwrap();
    let broker = broker(folder.path(), &authority);
    let with = Some((kit.certificate.as_path(), kit.key.as_path()));

    let own = publish(folder.path(), broker.port, with, "vagt/v1/kit-1/readings");
    let said = String::from_utf8_lossy(&own.stdout).into_owned() + &String::from_utf8_lossy(&own.stderr);
    assert!(own.status.success() && !said.contains("Not authorized"), "its own topic: {said}");

    let anothers = publish(folder.path(), broker.port, with, "vagt/v1/kit-2/readings");
    let said = String::from_utf8_lossy(&anothers.stdout).into_owned() + &String::from_utf8_lossy(&anothers.stderr);
    assert!(said.contains("ot authori"), "another kit's topic: {said}");

    let none = publish(folder.path(), broker.port, None, "vagt/v1/kit-1/readings");
    assert!(!none.status.success(), "no certificate");

    // One that another authority has signed, with the same name in it.
    let other = tempfile::tempdir().unwrap();
    let stranger = Authority::init(other.path(), "Other", clock::now()).unwrap();
    let forged = stranger.issue_kit(&"kit-1".parse().unwrap(), clock::now()).unwrap();
    let forged = Some((forged.certificate.as_path(), forged.key.as_path()));
    assert!(!publish(folder.path(), broker.port, forged, "vagt/v1/kit-1/readings").status.success(), "a stranger's");

    // The server's own certificate is none for a client.
    let (certificate, key) = (authority.server_certificate(), authority.server_key());
    let server = Some((certificate.as_path(), key.as_path()));
    assert!(!publish(folder.path(), broker.port, server, "vagt/v1/kit-1/readings").status.success(), "a server's");
}

#[test]
fn openssl_takes_it_for_a_clients_certificate_of_this_authority() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::init(folder.path(), "Test", clock::now()).unwrap();
    let kit = authority.issue_kit(&"kit-1".parse().unwrap(), clock::now()).unwrap();
    let ca = Authority::folder(folder.path()).join("authority.crt");
    let verify = |purpose: &str| {
        let mut command = Command::new("openssl");
        command.args(["verify", "-purpose", purpose, "-CAfile"]).arg(&ca).arg(&kit.certificate);
        command.output().expect("openssl runs: install Debian's openssl").status.success()
    };
    assert!(verify("sslclient"));
    assert!(!verify("sslserver"), "it is no server's");
    let subject =
        Command::new("openssl").args(["x509", "-noout", "-subject", "-in"]).arg(&kit.certificate).output().unwrap();
    assert!(String::from_utf8_lossy(&subject.stdout).contains("CN = kit-1"), "{subject:?}");
}
