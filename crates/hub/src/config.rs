//! `hub.toml`: what the service has to be told. What is said is checked when it is read; errors name file, line, column and field.

use std::{
    fmt::Display,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use store::{Place, postgres::Server};

use crate::{
    cli::config::problem::{self, Problem},
    watching::traces::Traces,
};

/// The clinic's service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The clinic's name, as the pages show it.
    #[serde(default = "clinic")]
    pub clinic: String,
    /// The clinic's time zone (IANA name): schedules are in its local time.
    #[serde(default = "zone", deserialize_with = "zone_by_name")]
    #[schemars(with = "String")]
    pub zone: TimeZone,
    /// The folder of the clinic's data; it holds the store, `vagt.db`. From the folder of this file on, as every path here.
    #[serde(default = "data")]
    pub data: PathBuf,
    /// The database that is the store, on a PostgreSQL server (15 or newer): `postgres://user@host:port/database`. Without it: the file
    /// `vagt.db` in the data folder.
    #[serde(default, deserialize_with = "server")]
    #[schemars(with = "Option<String>")]
    pub store: Option<Server>,
    /// A file that holds the database's password. Without it: the environment's `PGPASSWORD`, or a password file of PostgreSQL's own
    /// (`PGPASSFILE`, `~/.pgpass`).
    #[serde(default)]
    pub store_password_file: Option<PathBuf>,
    /// Patients and kits, read at start into the store; those that are only in the store stay.
    #[serde(default)]
    pub roster: Option<PathBuf>,
    /// The folder of the programmes (`*.toml`). Without it: the programmes that come with Vagt.
    #[serde(default)]
    pub programmes: Option<PathBuf>,
    /// Are the people simulated? The pages say so.
    #[serde(default)]
    pub simulated: bool,
    /// The front door: where kits connect.
    #[serde(default)]
    pub mqtt: Mqtt,
    /// An MQTT broker that is there already, where kits connect beside the front door, or instead of it; none without it.
    #[serde(default)]
    pub broker: Option<Broker>,
    /// How fast one kit may send, wherever it does.
    #[serde(default)]
    pub limits: Limits,
    /// The pages and the HTTP API.
    #[serde(default)]
    pub http: Http,
    /// Where kits exchange a one-time code for their own credentials; not at all without it.
    #[serde(default)]
    pub enrolment: Option<Enrolment>,
    /// The service's own test readings.
    #[serde(default)]
    pub heartbeat: Heartbeat,
    /// A second service on the same database.
    #[serde(default)]
    pub standby: Standby,
    /// Traces for an OpenTelemetry collector; none without it.
    #[serde(default)]
    pub traces: Option<Traces>,
}

/// On a PostgreSQL server, a service that finds another leading waits, and takes over when that one is gone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Standby {
    /// Nothing was heard of the leader for so long, in seconds, though its connection stands: it is frozen, or cut off. It gives a sign of life every 2.
    #[serde(deserialize_with = "after_silent")]
    #[schemars(range(min = 4, max = 300))]
    pub after_silent_seconds: u32,
}

impl Default for Standby {
    fn default() -> Self {
        Self { after_silent_seconds: AFTER_SILENT_SECONDS }
    }
}

/// How long a leader may be silent where the file does not say: found dead, taken over from and judging again takes less than 10 s.
const AFTER_SILENT_SECONDS: u32 = 5;
/// Two signs of life.
const AFTER_SILENT_SECONDS_MIN: u32 = 4;

/// A synthetic reading goes the way of every reading, and an alarm is raised if it does not come out judged, stored and shown.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Heartbeat {
    /// How often, in seconds; 0 switches it off, and then nobody is told when readings silently stop.
    #[schemars(range(max = 3600))]
    pub period_seconds: u32,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { period_seconds: HEARTBEAT_PERIOD_SECONDS }
    }
}

/// How often a test reading goes in where the file does not say.
const HEARTBEAT_PERIOD_SECONDS: u32 = 60;

/// Where kits enrol, over TLS, with the certificate that `vagt ca` made.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// Address and port; port 0 takes a free one.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The host that kits connect to with MQTT; if left out, the one that they enrolled at.
    #[serde(default)]
    pub mqtt_host: Option<String>,
    /// The port that kits connect to with MQTT; if left out, that of `mqtt.listen`.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub mqtt_port: Option<u16>,
    /// Further addresses, `host:port`, that kits try in turn where that one does not take what they send: of a second service that stands by.
    #[serde(default, deserialize_with = "addresses")]
    #[schemars(length(max = 7))]
    pub others: Vec<String>,
}

/// As many as a kit takes beside the first (`broker.others` of `edge.toml`).
const OTHERS_MAX: usize = 7;

/// The front door.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {
    /// Is it open? Where every kit comes by a broker or over HTTP, it need not be.
    pub open: bool,
    /// Address and port; port 0 takes a free one.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Certificate and key: with them the port speaks TLS, and only TLS.
    pub tls: Option<Tls>,
    /// The most connections at a time.
    #[schemars(range(min = 1, max = 200_000))]
    pub connections_max: usize,
    /// The most connections that are begun in a second. After a restart the others come again, each after a random while.
    #[schemars(range(min = 1, max = 100_000))]
    pub connections_per_second: u32,
}

/// An MQTT 5 broker with shared subscriptions, such as Mosquitto. It has to see to it that a kit publishes under its own topics alone: there
/// the topic says who sent a message (config/mosquitto).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Its name or address.
    pub host: String,
    /// Its port.
    #[serde(default = "broker_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The user that the service signs in as.
    #[serde(default)]
    pub user: Option<String>,
    /// The file with that user's password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Speaks TLS, and trusts the authority whose certificate this is (PEM).
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Speaks TLS, and trusts the system's certificates where there is no `ca_file`.
    #[serde(default)]
    pub tls: bool,
    /// The certificate that the service shows to a broker that demands one (PEM; `vagt ca service`). Needs `key_file` and `ca_file`.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    /// The key of `cert_file` (PEM).
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The service's client id there, with `-in` and `-out` behind it for its two connections. No other program may use it.
    #[serde(default = "broker_client")]
    pub client_id: String,
    /// The name of the shared subscription. Services that share the work have the same.
    #[serde(default = "broker_client")]
    pub group: String,
    /// A connection that is dead is noticed within twice this time.
    #[serde(default = "broker_keep_alive")]
    #[schemars(range(min = 5, max = 3600))]
    pub keep_alive_seconds: u16,
}

/// How fast one kit may send. What is over it waits, and is not lost.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Messages a second, in the long run.
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(range(min = 1))]
    pub messages_per_second: u32,
    /// Messages at once on top of that: what a kit has kept over an outage.
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(range(min = 1))]
    pub messages_burst: u32,
    /// Kibibytes a second, in the long run.
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(range(min = 1))]
    pub kib_per_second: u32,
    /// Kibibytes at once on top of that.
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(range(min = 1))]
    pub kib_burst: u32,
    /// Connections of one kit at a time, at the front door.
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(range(min = 1, max = 1024))]
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_per_second: 1000,
            messages_burst: 5000,
            kib_per_second: 2048,
            kib_burst: 32 * 1024,
            connections: 16,
        }
    }
}

/// Certificate and key of the front door, in PEM files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, followed by its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The certificate of the authority that signs kits' own (`data/authority/authority.crt` with `vagt ca kit`): with it, a connection without
    /// one of those is refused, and so is a kit that shows another kit's. The kit's secret is asked for all the same.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// Pages and API. Plain HTTP: TLS is a reverse proxy's business, beyond loopback one is needed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port; port 0 takes a free one.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Does the browser reach the pages over HTTPS? Cookies are marked Secure then. Without it: yes, unless `listen` is loopback.
    pub secure_cookies: Option<bool>,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            open: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 1883)),
            tls: None,
            connections_max: CONNECTIONS_MAX,
            connections_per_second: CONNECTIONS_PER_SECOND,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), secure_cookies: None }
    }
}

/// The most MQTT connections where the file does not say.
const CONNECTIONS_MAX: usize = 10_000;
/// The most MQTT connections begun in a second where the file does not say.
const CONNECTIONS_PER_SECOND: u32 = 2000;

/// A configuration file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error("{file}: found no such file, want the service's configuration: `--config FILE` says where it is")]
    Missing {
        /// Which.
        file: String,
    },
    /// It can't be read, or something in it is wrong.
    #[error("{}", .problem.sentence(.file))]
    Wrong {
        /// Which file.
        file: String,
        /// What and where.
        problem: Problem,
    },
}

impl Config {
    /// Reads a file; its relative paths count from its folder.
    ///
    /// # Errors
    /// [`ConfigError`], with file, line and column.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        if !path.exists() {
            return Err(ConfigError::Missing { file });
        }
        let text = problem::read(path).map_err(|problem| ConfigError::Wrong { file: file.clone(), problem })?;
        let mut config = Self::parse(&text, &file)?;
        config.resolve(path.parent().unwrap_or(Path::new(".")));
        Ok(config)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`], with line and column.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        toml::from_str(text)
            .map_err(|e| ConfigError::Wrong { file: file.to_owned(), problem: Problem::from_toml::<Self>(text, &e) })
    }

    /// Where the store is.
    #[must_use]
    pub fn store(&self) -> Place {
        match &self.store {
            Some(server) => Place::Postgres(server.clone().with_password_file(self.store_password_file.clone())),
            None => Place::File(self.data.join("vagt.db")),
        }
    }

    /// Are cookies marked Secure?
    #[must_use]
    pub fn secure_cookies(&self) -> bool {
        self.http.secure_cookies.unwrap_or(!self.http.listen.ip().is_loopback())
    }

    fn resolve(&mut self, folder: &Path) {
        self.store = self.store.take().map(|server| server.with_folder(folder.to_owned()));
        let own = [self.roster.as_mut(), self.programmes.as_mut(), self.store_password_file.as_mut()];
        let paths = own.into_iter().chain([Some(&mut self.data)]);
        let tls = self.mqtt.tls.as_mut().map(|tls| [Some(&mut tls.cert), Some(&mut tls.key), tls.client_ca.as_mut()]);
        let broker = self.broker.as_mut().map(|broker| {
            let Broker { password_file, ca_file, cert_file, key_file, .. } = broker;
            [password_file.as_mut(), ca_file.as_mut(), cert_file.as_mut(), key_file.as_mut()]
        });
        let broker = broker.into_iter().flatten().flatten();
        for path in paths.flatten().chain(broker).chain(tls.into_iter().flatten().flatten()) {
            *path = folder.join(&*path);
        }
    }
}

fn broker_port() -> u16 {
    1883
}

fn broker_client() -> String {
    "vagt".to_owned()
}

fn broker_keep_alive() -> u16 {
    30
}

fn clinic() -> String {
    "Vagt".to_owned()
}

fn data() -> PathBuf {
    "data".into()
}

fn zone() -> TimeZone {
    TimeZone::get("Europe/Copenhagen").expect("the zone database is built in")
}

fn after_silent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    at_least(AFTER_SILENT_SECONDS_MIN, u32::deserialize(deserializer)?)
}

fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let addresses = Vec::<String>::deserialize(deserializer)?;
    if addresses.len() > OTHERS_MAX {
        return Err(D::Error::custom(format!("found {} addresses, want at most {OTHERS_MAX}", addresses.len())));
    }
    let is_one = |address: &&String| {
        let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        parts.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    match addresses.iter().find(|address| !is_one(address)) {
        Some(wrong) => {
            Err(D::Error::custom(format!("found {wrong:?}, want host:port, e.g. \"vagt-2.clinic.example:8883\"")))
        }
        None => Ok(addresses),
    }
}

fn at_least_one<'de, D: Deserializer<'de>, N>(deserializer: D) -> Result<N, D::Error>
where
    N: Deserialize<'de> + PartialOrd + Display + From<u8>,
{
    at_least(N::from(1), N::deserialize(deserializer)?)
}

fn at_least<N: PartialOrd + Display, E: serde::de::Error>(least: N, found: N) -> Result<N, E> {
    if found < least { Err(E::custom(format!("found {found}, want at least {least}"))) } else { Ok(found) }
}

/// What is wrong is said without what was found: it may hold a password.
fn server<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Server>, D::Error> {
    let url = Option::<String>::deserialize(deserializer)?;
    url.map(|url| Server::new(&url).map_err(D::Error::custom)).transpose()
}

fn zone_by_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(deserializer)?;
    TimeZone::get(&name)
        .map_err(|_| D::Error::custom(format!("found {name:?}, want a time zone such as \"Europe/Copenhagen\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, wanted: &str) {
        assert_eq!(Config::parse(text, "hub.toml").unwrap_err().to_string(), wanted);
    }

    #[test]
    fn an_empty_file_is_a_clinic_on_loopback() {
        let config = Config::parse("", "hub.toml").unwrap();
        assert_eq!(config.mqtt.listen.to_string(), "127.0.0.1:1883");
        assert_eq!(config.zone.iana_name(), Some("Europe/Copenhagen"));
        assert!(!config.secure_cookies());
    }

    #[test]
    fn a_server_is_named_and_its_password_is_not() {
        let text = "store = \"postgres://vagt:hemmelig@db.example/clinic\"\nstore_password_file = \"password\"";
        let config = Config::parse(text, "hub.toml").unwrap();
        assert_eq!(config.store().to_string(), "postgres://vagt@db.example:5432/clinic");
        assert!(!format!("{config:?}").contains("hemmelig"));
        let wrong = Config::parse("store = \"vagt:hemmelig@db\"", "hub.toml").unwrap_err().to_string();
        assert!(wrong.contains("1:9: store: want postgres://user@host:port/database"), "{wrong}");
        assert!(!wrong.contains("hemmelig"), "{wrong}");
    }

    #[test]
    fn the_shipped_file_is_read() {
        let text = include_str!("../../../config/hub.toml");
        let config = Config::parse(text, "config/hub.toml").unwrap();
        assert_eq!(config.http.listen.port(), 8080);
    }

    #[test]
    fn says_where_it_is_wrong() {
        refused(
            "clinik = \"x\"\n",
            "hub.toml:1:1: clinik: found unknown field `clinik`, want one of `clinic`, `zone`, `data`, `store`, `store_password_file`, `roster`, `programmes`, `simulated`, `mqtt`, `broker`, `limits`, `http`, `enrolment`, `heartbeat`, `standby`, `traces`",
        );
        refused(
            "[mqtt]\nlisten = \"here\"\n",
            "hub.toml:2:10: mqtt.listen: found \"here\": invalid socket address syntax",
        );
        refused(
            "[mqtt.tls]\nclients_ca = \"ca.pem\"\n",
            "hub.toml:2:1: mqtt.tls.clients_ca: found unknown field `clients_ca`, want one of `cert`, `key`, `client_ca`",
        );
        refused(
            "[standby]\nafter_silent_seconds = 1\n",
            "hub.toml:2:24: standby.after_silent_seconds: found 1, want at least 4",
        );
        refused(
            "[limits]\nmessages_per_second = 0\n",
            "hub.toml:2:23: limits.messages_per_second: found 0, want at least 1",
        );
        refused(
            "[enrolment]\nlisten = \"0.0.0.0:8443\"\nothers = [\"vagt-2\"]\n",
            "hub.toml:3:10: enrolment.others: found \"vagt-2\", want host:port, e.g. \"vagt-2.clinic.example:8883\"",
        );
        refused(
            "zone = \"Mars/Olympus\"\n",
            "hub.toml:1:8: zone: found \"Mars/Olympus\", want a time zone such as \"Europe/Copenhagen\"",
        );
    }

    #[test]
    fn paths_count_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hub.toml");
        let tls = "[mqtt.tls]\ncert = \"s.crt\"\nkey = \"/s.key\"\nclient_ca = \"ca.crt\"\n";
        std::fs::write(&file, format!("data = \"d\"\nroster = \"/r.toml\"\n{tls}")).unwrap();
        let config = Config::load(&file).unwrap();
        assert_eq!(config.store(), Place::File(folder.path().join("d/vagt.db")));
        assert_eq!(config.roster.unwrap(), Path::new("/r.toml"));
        let tls = config.mqtt.tls.unwrap();
        assert_eq!((tls.cert, tls.key), (folder.path().join("s.crt"), "/s.key".into()));
        assert_eq!(tls.client_ca, Some(folder.path().join("ca.crt")));
    }
}
