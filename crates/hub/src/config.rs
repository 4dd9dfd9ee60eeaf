//! `hub.toml`: what the service has to be told. What is said is checked when it is read; errors name file, line, column and field.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use store::Place;

use crate::cli::config::problem::Problem;

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
    /// The pages and the HTTP API.
    #[serde(default)]
    pub http: Http,
    /// Where kits exchange a one-time code for their own credentials; not at all without it.
    #[serde(default)]
    pub enrolment: Option<Enrolment>,
}

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
}

/// The front door.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {
    /// Address and port; port 0 takes a free one.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Certificate and key: with them the port speaks TLS, and only TLS.
    pub tls: Option<Tls>,
    /// The most connections at a time.
    #[schemars(range(min = 1, max = 100_000))]
    pub connections_max: usize,
}

/// Certificate and key of the front door, in PEM files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, followed by its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
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
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 1883)), tls: None, connections_max: CONNECTIONS_MAX }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), secure_cookies: None }
    }
}

/// The most MQTT connections where the file does not say.
const CONNECTIONS_MAX: usize = 10_000;

/// A configuration file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{file}: {source}")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something in it is wrong.
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
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { file: file.clone(), source })?;
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
            .map_err(|e| ConfigError::Wrong { file: file.to_owned(), problem: Problem::from_toml(text, &e) })
    }

    /// Where the store is.
    #[must_use]
    pub fn store(&self) -> Place {
        Place::File(self.data.join("vagt.db"))
    }

    /// Are cookies marked Secure?
    #[must_use]
    pub fn secure_cookies(&self) -> bool {
        self.http.secure_cookies.unwrap_or(!self.http.listen.ip().is_loopback())
    }

    fn resolve(&mut self, folder: &Path) {
        let paths = [Some(&mut self.data), self.roster.as_mut(), self.programmes.as_mut()];
        let tls = self.mqtt.tls.as_mut().map(|tls| [&mut tls.cert, &mut tls.key]);
        for path in paths.into_iter().flatten().chain(tls.into_iter().flatten()) {
            *path = folder.join(&*path);
        }
    }
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
    fn the_shipped_file_is_read() {
        let text = include_str!("../../../config/hub.toml");
        let config = Config::parse(text, "config/hub.toml").unwrap();
        assert_eq!(config.http.listen.port(), 8080);
    }

    #[test]
    fn says_where_it_is_wrong() {
        refused(
            "clinik = \"x\"\n",
            "hub.toml:1:1: clinik: unknown field `clinik`, expected one of `clinic`, `zone`, `data`, `roster`, `programmes`, `simulated`, `mqtt`, `http`, `enrolment`",
        );
        refused("[mqtt]\nlisten = \"here\"\n", "hub.toml:2:10: mqtt.listen: invalid socket address syntax");
        refused(
            "zone = \"Mars/Olympus\"\n",
            "hub.toml:1:8: zone: found \"Mars/Olympus\", want a time zone such as \"Europe/Copenhagen\"",
        );
    }

    #[test]
    fn paths_count_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hub.toml");
        std::fs::write(&file, "data = \"d\"\nroster = \"/r.toml\"\n").unwrap();
        let config = Config::load(&file).unwrap();
        assert_eq!(config.store(), Place::File(folder.path().join("d/vagt.db")));
        assert_eq!(config.roster.unwrap(), Path::new("/r.toml"));
    }
}
