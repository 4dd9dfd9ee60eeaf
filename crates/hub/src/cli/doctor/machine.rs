//! The machine: disk, clock, ports, certificates.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::check::Check;
use crate::{
    authority::{self, Authority},
    clock,
    config::Config,
    pipeline::stamps::STEP_BACK_MAX,
    tls,
};

/// Under this much free space somebody should look, in bytes.
const FREE_BYTES_WANTED: u64 = 1024 * 1024 * 1024;
/// Under this much the store may stop any moment, in bytes.
const FREE_BYTES_MIN: u64 = 100 * 1024 * 1024;
/// A clock before this has not been set: this program did not exist then.
const CLOCK_EARLIEST: Timestamp = Timestamp::constant(1_767_225_600, 0); // 2026-01-01T00:00:00Z
/// How long a service on this machine may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Can files be written where the data is?
pub fn folder(data: &Path) -> Check {
    if let Some(file) = data.ancestors().find(|path| path.exists() && !path.is_dir()) {
        let todo = if file == data { "name a folder as `data`" } else { "name another folder as `data`" };
        return Check::fail("folder", format!("{} is no folder", file.display()), todo);
    }
    let folder = nearest(data);
    let probe = folder.join(format!(".vagt-doctor-{}", std::process::id()));
    let written =
        OpenOptions::new().write(true).create_new(true).open(&probe).and_then(|mut file| file.write_all(b"x"));
    let removed = std::fs::remove_file(&probe);
    let shown = folder.display();
    match written.and(removed) {
        Ok(()) if folder == data => Check::ok("folder", format!("{shown} can be written")),
        Ok(()) => Check::ok("folder", format!("{} will be made at the first start", data.display())),
        Err(error) => Check::fail(
            "folder",
            format!("{shown} can't be written: {error}"),
            "let the account that runs vagt write there, or name another folder as `data`",
        ),
    }
}

/// Is there room?
pub fn disk(data: &Path) -> Check {
    let folder = nearest(data);
    let free = match rustix::fs::statvfs(&folder) {
        Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
        Err(error) => return Check::warn("disk", format!("{}: {error}", folder.display()), "look at the disk by hand"),
    };
    let found = format!("{} MiB free", free / (1024 * 1024));
    match free {
        ..FREE_BYTES_MIN => Check::fail("disk", found, "make room: when the disk is full, no reading is taken in"),
        FREE_BYTES_MIN..FREE_BYTES_WANTED => Check::warn("disk", found, "make room soon"),
        _ => Check::ok("disk", found),
    }
}

/// Is the clock set, and has it not gone back? `heard` is when the store last heard of a kit.
pub fn clock(now: Timestamp, heard: Option<Timestamp>, config: &Config) -> Check {
    let zone = config.zone.iana_name().unwrap_or("UTC");
    let local = now.to_zoned(config.zone.clone()).strftime("%Y-%m-%d %H:%M");
    if now < CLOCK_EARLIEST {
        return Check::fail("clock", format!("it is {now}"), "set the clock, and let it be kept by NTP");
    }
    // A service that runs goes on hearing while this looks.
    if let Some(heard) = heard.filter(|heard| heard.duration_since(now) > STEP_BACK_MAX) {
        let found = format!("it is {now}, but the store heard of a kit at {heard}");
        return Check::fail("clock", found, "the clock has gone back: set it, and let it be kept by NTP");
    }
    Check::ok("clock", format!("{local} in {zone}"))
}

/// Can the two ports be taken, or are they the running service's?
pub fn ports(config: &Config) -> Vec<Check> {
    let running = answers(config.http.listen);
    let mqtt = config.mqtt.open.then(|| port("mqtt port", config.mqtt.listen, running));
    mqtt.into_iter().chain([port("http port", config.http.listen, running)]).collect()
}

fn port(name: &'static str, listen: SocketAddr, running: bool) -> Check {
    match TcpListener::bind(listen) {
        Ok(_) => Check::ok(name, format!("{listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && running => {
            Check::ok(name, format!("{listen} is taken, and a running vagt answers"))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => Check::fail(
            name,
            format!("{listen} is taken by another program"),
            "stop that one, or name another port in `listen`",
        ),
        Err(error) => Check::fail(name, format!("{listen}: {error}"), "name an address of this machine in `listen`"),
    }
}

/// Does a running service answer at its pages' address?
fn answers(listen: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&listen, ANSWER_WAIT)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer)
    };
    listen.port() != 0 && ask().is_ok_and(|answer| answer.starts_with("HTTP/1.") && answer.trim_end().ends_with("ok"))
}

/// What is open to a network must be encrypted.
pub fn certificates(config: &Config) -> Vec<Check> {
    let mqtt = match &config.mqtt.tls {
        Some(tls) => {
            let unreadable = [&tls.cert, &tls.key].into_iter().find_map(unreadable);
            let unreadable = unreadable.or_else(|| tls.client_ca.as_deref().and_then(no_authority));
            unreadable.or_else(|| unusable("mqtt tls", tls::of_front_door(tls)))
        }
        None if config.mqtt.listen.ip().is_loopback() || !config.mqtt.open => None,
        None => Some(Check::fail(
            "mqtt tls",
            format!("{} is open to a network without TLS", config.mqtt.listen),
            "give [mqtt] a certificate and its key in `tls`, or listen on loopback",
        )),
    };
    let http = (!config.http.listen.ip().is_loopback()).then(|| {
        let found = format!("{} is open to a network over plain HTTP", config.http.listen);
        Check::warn("http tls", found, "put a reverse proxy with TLS before it, and let vagt listen on loopback")
    });
    let mqtt_words =
        if config.mqtt.tls.is_some() { "certificate and key are there" } else { "none needed on loopback" };
    let ends = config.mqtt.tls.as_ref().filter(|_| mqtt.is_none()).map(|tls| lasts(&tls.cert, clock::now()));
    let mut checks = vec![
        mqtt.or(ends).unwrap_or_else(|| Check::ok("mqtt tls", mqtt_words)),
        http.unwrap_or_else(|| Check::ok("http tls", "none needed on loopback")),
    ];
    checks.extend(enrolment(config));
    checks
}

/// Would somebody be told when readings silently stop?
pub fn heartbeat(config: &Config) -> Check {
    match config.heartbeat.period_seconds {
        0 => {
            let found = "off (`period_seconds = 0` in [heartbeat]): nobody is told when readings silently stop";
            Check::warn("heartbeat", found, "take the line out, unless somebody decided so and wrote down why")
        }
        seconds => Check::ok("heartbeat", format!("a test reading every {seconds} s")),
    }
}

/// The server's certificate is told of when it ends within so many days.
const CERTIFICATE_DAYS_MIN: i64 = 30;

/// How long the certificate that kits are shown still lasts, as it says itself.
fn lasts(certificate: &Path, now: Timestamp) -> Check {
    let todo = "make the next with `vagt ca issue --name HOST` (behind compose: `config/production/renew`; or get it from where this one is from) and restart the service";
    let ends = match authority::ends(certificate) {
        Ok(ends) => ends,
        Err(error) => {
            return Check::fail("mqtt tls", error.to_string(), "name a PEM file with the server's certificate");
        }
    };
    let days = ends.duration_since(now).as_hours().div_euclid(24);
    let shown = certificate.display();
    match days {
        ..0 => Check::fail("mqtt tls", format!("{shown} has ended at {ends}: no kit can come in"), todo),
        0..CERTIFICATE_DAYS_MIN => Check::warn("mqtt tls", format!("{shown} lasts {days} more days"), todo),
        _ => Check::ok("mqtt tls", format!("{shown} lasts {days} more days")),
    }
}

/// Kits can enrol where there is an authority, and come in as long as its certificate for the server lasts.
fn enrolment(config: &Config) -> Option<Check> {
    if config.enrolment.is_some() && config.mqtt.tls.is_none() {
        let found = "[enrolment] is there and [mqtt.tls] is not: the service does not start so";
        return Some(Check::fail("enrolment", found, "put the lines of `vagt ca show` into the file"));
    }
    let authority = match Authority::open(&config.data) {
        Ok(authority) => authority,
        Err(error) if config.enrolment.is_some() => {
            return Some(Check::fail("enrolment", error.to_string(), "make it with `vagt ca init --name HOST`"));
        }
        Err(_) => return None,
    };
    let (certificate, key) = (authority.server_certificate(), authority.server_key());
    let wrong = config.enrolment.as_ref().and_then(|_| {
        let read = [&certificate, &key].into_iter().find_map(unreadable);
        read.or_else(|| unusable("enrolment", tls::acceptor(&certificate, &key, tls::anybody())))
    });
    let check = wrong.unwrap_or_else(|| lasts(&certificate, clock::now()));
    Some(Check { check: "enrolment", ..check })
}

/// The service does not start with what it can't make a handshake of.
fn unusable<T>(check: &'static str, made: anyhow::Result<T>) -> Option<Check> {
    let error = made.err()?;
    let todo = "name PEM files that belong together, or make new ones with `vagt ca issue --name HOST`";
    Some(Check::fail(check, format!("{error:#}: the service does not start so"), todo))
}

fn unreadable(path: &PathBuf) -> Option<Check> {
    let error = std::fs::File::open(path).err()?;
    Some(Check::fail("mqtt tls", format!("{}: {error}", path.display()), "name PEM files that vagt's account may read"))
}

/// Is there no certificate by which kits' own can be checked?
fn no_authority(client_ca: &Path) -> Option<Check> {
    let error = authority::ends(client_ca).err()?;
    let todo = "name as `client_ca` the PEM file of the authority that signs kits' certificates";
    Some(Check::fail("mqtt tls", error.to_string(), todo))
}

/// The folder itself, or the nearest one above that is there.
fn nearest(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|path| path.is_dir());
    there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn what_kits_are_checked_by_must_be_a_certificate() {
        let data = tempfile::tempdir().unwrap();
        let folder = Authority::folder(data.path());
        Authority::init(data.path(), "Test", "2024-06-30T08:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(no_authority(&folder.join("authority.crt")), None);
        for wrong in ["authority.key", "nothing.crt"] {
            let check = no_authority(&folder.join(wrong)).unwrap();
            assert!(check.state == State::Fail && check.found.contains(wrong), "{check:?}");
        }
    }

    #[test]
    fn a_certificate_that_does_not_fit_its_key_fails() {
        let data = tempfile::tempdir().unwrap();
        let now = clock::now();
        let authority = Authority::init(data.path(), "Test", now).unwrap();
        authority.issue_server(&["localhost".into()], now).unwrap();
        let state = |key: &Path| {
            let (cert, key) = (authority.server_certificate(), key.display());
            let text = format!("[mqtt.tls]\ncert = \"{}\"\nkey = \"{key}\"\n", cert.display());
            let checks = certificates(&Config::parse(&text, "hub.toml").unwrap());
            let check = checks.into_iter().find(|check| check.check == "mqtt tls").unwrap();
            (check.state, check.found)
        };
        assert_eq!(state(&authority.server_key()).0, State::Ok);
        let (found, said) = state(&Authority::folder(data.path()).join("authority.key"));
        assert!(found == State::Fail && said.contains("does not fit its key"), "{said}");
    }

    #[test]
    fn the_certificate_itself_says_how_long_it_lasts() {
        let data = tempfile::tempdir().unwrap();
        let issued: Timestamp = "2024-06-30T08:00:00Z".parse().unwrap();
        let authority = Authority::init(data.path(), "Test", issued).unwrap();
        authority.issue_server(&["localhost".into()], issued).unwrap();
        let at = |now: &str| lasts(&authority.server_certificate(), now.parse().unwrap());
        for (now, state, says) in [
            ("2026-05-28T00:00:00Z", State::Ok, "lasts 31 more days"),
            ("2026-05-30T00:00:00Z", State::Warn, "lasts 29 more days"),
            ("2026-06-27T23:00:00Z", State::Warn, "lasts 0 more days"),
            ("2026-06-28T01:00:00Z", State::Fail, "has ended at 2026-06-28T00:00:00Z: no kit can come in"),
        ] {
            let check = at(now);
            assert!(check.state == state && check.found.ends_with(says), "{now}: {check:?}");
        }
        assert_eq!(lasts(&authority.server_key(), issued).state, State::Fail);
    }
}
