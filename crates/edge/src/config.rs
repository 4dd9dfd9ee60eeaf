//! `edge.toml`: what was said ([`Config`]) and what it means ([`Settings`]).
//!
//! Unknown fields are refused. Every error names file, line, column and field, what was found and what was wanted.

mod device;
mod round;

use std::{
    fmt, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, tz::TimeZone};
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;
use vitals::KitId;

pub use device::{Adapters, BleDevice, Bond, DeviceConfig, Devices, SerialDevice};
pub use round::{PersonConfig, StationConfig};

use crate::spool::{Bounds, SPOOL_AGE_MAX_DAYS, SPOOL_BYTES_MAX};

/// The most devices of one kit.
pub const DEVICES_MAX: usize = 64;
/// The most addresses of the clinic.
const ADDRESSES_MAX: usize = 8;
/// The smallest bound of the spool, in bytes.
const SPOOL_BYTES_MIN: u64 = 64 * 1024;
/// The shortest keep-alive, in seconds: less would only make traffic.
const KEEP_ALIVE_MIN_SECONDS: u16 = 5;

/// The file as it was written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The kit's id; also its user name and client id at the broker.
    pub kit: KitId,
    /// The time zone of the devices' clocks, by its IANA name, e.g. `Europe/Copenhagen`.
    #[schemars(with = "String")]
    pub zone: Spanned<String>,
    /// Where the spool is kept.
    pub data_dir: PathBuf,
    /// The Bluetooth adapter, e.g. `hci0`; the first one if absent.
    #[serde(default)]
    pub adapter: Option<String>,
    /// Several Bluetooth adapters: `["hci0", "hci1"]`, or `["all"]`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub adapters: Option<Spanned<Vec<String>>>,
    /// Where to send to.
    pub broker: BrokerConfig,
    /// How much is kept while there is no connection.
    #[serde(default)]
    pub spool: SpoolConfig,
    /// The kit's devices.
    #[serde(default, rename = "device")]
    #[schemars(with = "Vec<DeviceConfig>", length(max = 64))]
    pub devices: Vec<Spanned<DeviceConfig>>,
    /// What the page calls the kit's person: a first name.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub person: Option<Spanned<String>>,
    /// What the person should do when, unless the clinic has set it.
    #[serde(default, rename = "round")]
    #[schemars(with = "Vec<wire::Due>", length(max = 32))]
    pub rounds: Vec<Spanned<wire::Due>>,
    /// A folder of questionnaires, beside those that the program brings; relative to this file.
    #[serde(default)]
    #[schemars(with = "Option<PathBuf>")]
    pub questionnaires: Option<Spanned<PathBuf>>,
    /// One kit for many people.
    #[serde(default)]
    #[schemars(with = "Option<StationConfig>")]
    pub station: Option<Spanned<StationConfig>>,
    /// The page on the kit; none without this block.
    #[serde(default)]
    pub kiosk: Option<crate::kiosk::KioskConfig>,
}

/// `[broker]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// Host name or address.
    pub host: String,
    /// Port: usually 8883 with TLS, 1883 without.
    #[schemars(range(min = 1), with = "u16")]
    pub port: Spanned<u16>,
    /// Others, `host:port`, tried in turn where one does not take what is sent: a second service that stands by. Secret and certificates
    /// are the same.
    #[serde(default)]
    #[schemars(with = "Vec<String>", length(max = 7))]
    pub others: Vec<Spanned<String>>,
    /// The kit's secret; better kept in `secret_file`.
    #[serde(default)]
    pub secret: Option<String>,
    /// A file that holds the secret, readable by the agent alone; relative to this file.
    #[serde(default)]
    #[schemars(with = "Option<PathBuf>")]
    pub secret_file: Option<Spanned<PathBuf>>,
    /// Use TLS. With `ca_file` it is on anyway.
    #[serde(default)]
    pub tls: bool,
    /// Certificates (PEM) that the broker's must be signed by; the system's if absent. Relative to this file.
    #[serde(default)]
    #[schemars(with = "Option<PathBuf>")]
    pub ca_file: Option<Spanned<PathBuf>>,
    /// The certificate that the kit shows to a broker that demands one (PEM; `vagt ca kit` issues it). Needs `key_file` and `ca_file`.
    #[serde(default)]
    #[schemars(with = "Option<PathBuf>")]
    pub cert_file: Option<Spanned<PathBuf>>,
    /// The key of `cert_file` (PEM).
    #[serde(default)]
    #[schemars(with = "Option<PathBuf>")]
    pub key_file: Option<Spanned<PathBuf>>,
    /// A dead connection is noticed within twice this time.
    #[serde(default = "keep_alive_seconds")]
    #[schemars(range(min = 5), with = "u16")]
    pub keep_alive_seconds: Spanned<u16>,
}

/// `[spool]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// Bytes of messages on disk.
    #[schemars(range(min = 65_536), with = "u64")]
    pub bytes_max: Spanned<u64>,
    /// Days that a message waits.
    #[schemars(range(min = 7), with = "u32")]
    pub age_max_days: Spanned<u32>,
}

fn keep_alive_seconds() -> Spanned<u16> {
    Spanned::new(0..0, 30)
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { bytes_max: Spanned::new(0..0, SPOOL_BYTES_MAX), age_max_days: Spanned::new(0..0, SPOOL_AGE_MAX_DAYS) }
    }
}

/// What the file means.
#[derive(Debug)]
pub struct Settings {
    /// The file that it stands in.
    pub file: PathBuf,
    /// Who we are.
    pub kit: KitId,
    /// The zone of the devices' clocks.
    pub zone: TimeZone,
    /// Where the spool is.
    pub data_dir: PathBuf,
    /// Which Bluetooth adapters.
    pub adapters: Adapters,
    /// Where to send to.
    pub broker: Broker,
    /// How much is kept.
    pub bounds: Bounds,
    /// The kit's devices.
    pub devices: Devices,
    /// The person's side.
    pub rules: crate::round::Rules,
    /// The page on the kit.
    pub kiosk: Option<crate::kiosk::KioskSettings>,
}

/// The broker, ready to connect to.
#[derive(Clone)]
pub struct Broker {
    /// Host name or address, and port: each is tried in turn. There is at least one.
    pub addresses: Vec<(String, u16)>,
    /// The kit's secret.
    pub secret: String,
    /// `None`: without TLS. `Some(None)`: with the system's certificates. `Some(Some(pem))`: with these.
    pub tls: Option<Option<Vec<u8>>>,
    /// The certificate that is shown, and its key.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
    /// The keep-alive of the connection.
    pub keep_alive: Duration,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broker({:?}, tls: {})", self.addresses, self.tls.is_some())
    }
}

/// Something in the file that can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}{}: {reason}", file.display(), self.place())]
pub struct ConfigError {
    /// Which file.
    pub file: PathBuf,
    /// Its line, from 1; 0 if the file can't be read at all.
    pub line: usize,
    /// Its column, from 1.
    pub column: usize,
    /// Which field.
    pub field: String,
    /// What was found and what was wanted.
    pub reason: String,
}

impl ConfigError {
    fn place(&self) -> String {
        if self.line == 0 { String::new() } else { format!(":{}:{}: {}", self.line, self.column, self.field) }
    }
}

/// Reads and checks a configuration file.
///
/// # Errors
/// [`ConfigError`] with the first thing that can't be used.
pub fn load(file: &Path) -> Result<Settings, ConfigError> {
    let text = fs::read_to_string(file).map_err(|error| {
        let (field, reason) = ("file".to_owned(), format!("the configuration can't be read: {error}"));
        ConfigError { file: file.to_owned(), line: 0, column: 0, field, reason }
    })?;
    parse(file, &text)
}

/// Checks a configuration's `text`; `file` is for the errors, and for what is relative to it.
///
/// # Errors
/// [`ConfigError`] with the first thing that can't be used.
pub fn parse(file: &Path, text: &str) -> Result<Settings, ConfigError> {
    let source = Source { file, text };
    let config: Config = toml::from_str(text).map_err(|error| source.refused(&error))?;
    source.settings(config)
}

/// A configuration's text, and where it is from.
pub(crate) struct Source<'a> {
    /// For the errors, and for what is relative to it.
    pub file: &'a Path,
    /// What is in it.
    pub text: &'a str,
}

impl Source<'_> {
    fn settings(&self, config: Config) -> Result<Settings, ConfigError> {
        let zone = TimeZone::get(config.zone.get_ref()).map_err(|_| {
            let reason =
                format!("found {:?}, want an IANA time zone such as \"Europe/Copenhagen\"", config.zone.get_ref());
            self.error(config.zone.span().start, "zone", reason)
        })?;
        let rules = self.rules(&config, zone.clone())?;
        let devices = self.devices(&config.devices)?;
        let adapters = self.adapters(config.adapter, config.adapters)?;
        let bounds = self.bounds(&config.spool)?;
        let broker = self.broker(config.broker)?;
        let kiosk = config.kiosk.map(crate::kiosk::KioskConfig::settings).transpose();
        let kiosk = kiosk.map_err(|refused| self.error(refused.at, refused.field, refused.reason))?;
        let Config { kit, data_dir, .. } = config;
        Ok(Settings {
            file: self.file.to_owned(),
            kit,
            zone,
            data_dir: self.beside(&data_dir),
            adapters,
            broker,
            bounds,
            devices,
            rules,
            kiosk,
        })
    }

    fn bounds(&self, spool: &SpoolConfig) -> Result<Bounds, ConfigError> {
        let (bytes_max, days) = (*spool.bytes_max.get_ref(), *spool.age_max_days.get_ref());
        if bytes_max < SPOOL_BYTES_MIN {
            let reason = format!("found {bytes_max}, want at least {SPOOL_BYTES_MIN}");
            return Err(self.error(spool.bytes_max.span().start, "spool.bytes_max", reason));
        }
        if days < 7 {
            return Err(self.error(
                spool.age_max_days.span().start,
                "spool.age_max_days",
                format!("found {days}, want at least 7"),
            ));
        }
        Ok(Bounds { bytes_max, age_max: SignedDuration::from_hours(24 * i64::from(days)) })
    }

    fn broker(&self, broker: BrokerConfig) -> Result<Broker, ConfigError> {
        let (port, keep_alive) = (*broker.port.get_ref(), *broker.keep_alive_seconds.get_ref());
        if port == 0 {
            return Err(self.error(broker.port.span().start, "broker.port", "found 0, want 1 to 65535"));
        }
        if keep_alive < KEEP_ALIVE_MIN_SECONDS {
            let reason = format!("found {keep_alive}, want at least {KEEP_ALIVE_MIN_SECONDS}");
            return Err(self.error(broker.keep_alive_seconds.span().start, "broker.keep_alive_seconds", reason));
        }
        let read = |name, path: &Option<Spanned<PathBuf>>| {
            let Some(path) = path else { return Ok(None) };
            let wrong = |error| self.error(path.span().start, name, format!("{}: {error}", path.get_ref().display()));
            fs::read(self.beside(path.get_ref())).map(Some).map_err(wrong)
        };
        let ca = read("broker.ca_file", &broker.ca_file)?;
        let (cert, key) = (read("broker.cert_file", &broker.cert_file)?, read("broker.key_file", &broker.key_file)?);
        let own = match (cert, key, &ca) {
            (Some(cert), Some(key), Some(_)) => Some((cert, key)),
            (None, None, _) => None,
            _ => {
                let given = broker.cert_file.as_ref().or(broker.key_file.as_ref());
                let at = given.map_or(0, |path| path.span().start);
                return Err(self.error(at, "broker", "want cert_file, key_file and ca_file together"));
            }
        };
        let tls = (broker.tls || ca.is_some()).then_some(ca);
        let secret = self.secret(&broker)?;
        let addresses = self.addresses((broker.host, port), &broker.others)?;
        Ok(Broker { addresses, secret, tls, own, keep_alive: Duration::from_secs(keep_alive.into()) })
    }

    fn addresses(&self, first: (String, u16), others: &[Spanned<String>]) -> Result<Vec<(String, u16)>, ConfigError> {
        let mut addresses = vec![first];
        for other in others {
            let error = |reason: String| self.error(other.span().start, "broker.others", reason);
            if addresses.len() == ADDRESSES_MAX {
                return Err(error(format!("found {}, want at most {}", others.len(), ADDRESSES_MAX - 1)));
            }
            let read = other.get_ref().rsplit_once(':').filter(|(host, _)| !host.is_empty());
            let read = read
                .and_then(|(host, port)| Some((host.to_owned(), port.parse::<u16>().ok().filter(|port| *port > 0)?)));
            let wanted =
                || error(format!("found {:?}, want host:port, e.g. \"vagt-2.clinic.example:8883\"", other.get_ref()));
            addresses.push(read.ok_or_else(wanted)?);
        }
        Ok(addresses)
    }

    fn secret(&self, broker: &BrokerConfig) -> Result<String, ConfigError> {
        let (path, at) = match (&broker.secret, &broker.secret_file) {
            (Some(secret), None) => return Ok(secret.clone()),
            (None, Some(file)) => (self.beside(file.get_ref()), file.span().start),
            (Some(_), Some(file)) => {
                let reason = "found beside broker.secret, want only one of the two";
                return Err(self.error(file.span().start, "broker.secret_file", reason));
            }
            (None, None) => {
                return Err(self.error(
                    self.text.find("[broker]").unwrap_or(0),
                    "broker",
                    "want secret_file (or secret), found neither",
                ));
            }
        };
        let refused = |reason: String| self.error(at, "broker.secret_file", format!("{}: {reason}", path.display()));
        let mode = fs::metadata(&path).map_err(|error| refused(error.to_string()))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(refused(format!("has mode {mode:04o}, so that others can read it; want 0600")));
        }
        let secret = fs::read_to_string(&path).map_err(|error| refused(error.to_string()))?;
        let secret = secret.trim();
        if secret.is_empty() {
            Err(refused("is empty, want the kit's secret".to_owned()))
        } else {
            Ok(secret.to_owned())
        }
    }

    /// Paths in the file are relative to it.
    fn beside(&self, path: &Path) -> PathBuf {
        self.file.parent().map_or_else(|| path.to_owned(), |dir| dir.join(path))
    }

    /// What the reader of the format refused; the field is what stands before the `=` of that line.
    fn refused(&self, error: &toml::de::Error) -> ConfigError {
        let at = error.span().map_or(0, |span| span.start);
        let line_start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let key = line.split_once('=').map(|(key, _)| key.trim()).filter(|key| !key.starts_with('#'));
        let before = &self.text[..line_start + line.len()];
        let header = before.lines().rev().map(str::trim).find(|line| line.starts_with('['));
        let header = header.map(|header| header.trim_matches(['[', ']']));
        let missing = error.message().strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        let field = match (header, missing.or(key)) {
            (Some(header), Some(key)) => format!("{header}.{key}"),
            (Some(header), None) => header.to_owned(),
            (None, Some(key)) => key.to_owned(),
            (None, None) => "file".to_owned(),
        };
        self.error(at, &field, error.message().lines().next().unwrap_or("is not TOML"))
    }

    /// Reads it as `T`.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(self.text).map_err(|error| self.refused(&error))
    }

    /// Where this first stands; the beginning, if nowhere.
    pub(crate) fn of(&self, needle: &str) -> usize {
        self.text.find(needle).unwrap_or(0)
    }

    /// The thing that begins `at` this byte can't be used.
    pub(crate) fn error(&self, at: usize, field: &str, reason: impl fmt::Display) -> ConfigError {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        ConfigError { file: self.file.to_owned(), line, column, field: field.to_owned(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests;
