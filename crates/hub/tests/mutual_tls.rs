//! Kits that show a certificate: what `vagt ca kit` issues, shown by Mosquitto's clients to a real Mosquitto that demands it and takes its
//! common name as the user; and what OpenSSL makes of it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use hub::{authority::Authority, clock};

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
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "localhost", "-p", &port.to_string(), "-V", "5", "-q", "1", "-t", topic, "-m", "{}", "-d"]);
    command.arg("--cafile").arg(folder.join("ca.pem"));
    if let Some((certificate, key)) = certificate {
        command.arg("--cert").arg(certificate).arg("--key").arg(key);
    }
    command.stdin(Stdio::null()).output().expect("mosquitto_pub runs: install Debian's mosquitto-clients")
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
