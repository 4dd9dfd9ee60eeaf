//! `[[device]]` of `edge.toml`: what was said ([`DeviceConfig`]) and what it means ([`BleDevice`], [`SerialDevice`]).

use std::{collections::BTreeSet, fmt, path::PathBuf};

use drivers::{Driver, Options, Quirk, Transport};
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::{ConfigError, DEVICES_MAX, Source};
use crate::identity;

/// A passkey has six digits.
const PASSKEY_MAX: u32 = 999_999;
/// A consent code has four.
const CONSENT_MAX: u16 = 9999;

/// One `[[device]]`: over Bluetooth by `address` or `name`, on a serial line by `path`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// A driver's name, as `vagt drivers` lists it.
    #[schemars(with = "String")]
    pub driver: Spanned<String>,
    /// The Bluetooth address, `C0:FF:EE:00:00:01`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub address: Option<Spanned<String>>,
    /// Over Bluetooth: the advertised name. On a serial line: what to call the device.
    #[serde(default)]
    pub name: Option<String>,
    /// The serial port, best as `/dev/serial/by-id/...`.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// Which user of a shared device the patient is, as the device counts.
    #[serde(default)]
    pub user: Option<u8>,
    /// The code with which that user consents, where the device asks for one.
    #[serde(default)]
    #[schemars(with = "Option<u16>", range(max = 9999))]
    pub consent: Option<Spanned<u16>>,
    /// The quirk profile to read it by, of a device that breaks the standard and doesn't say its model.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub quirk: Option<Spanned<String>>,
    /// Bond with it before it is read. With `passkey` it is on anyway.
    #[serde(default)]
    pub pair: bool,
    /// The six digits that it shows, or that are printed on it, for bonding.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(max = 999_999))]
    pub passkey: Option<Spanned<u32>>,
}

/// A configured Bluetooth device.
#[derive(Clone)]
pub struct BleDevice {
    /// What reads it.
    pub driver: &'static Driver,
    /// By its address, in capitals with colons,
    pub address: Option<String>,
    /// or by the name that it advertises.
    pub name: Option<String>,
    /// What its session has to know.
    pub options: Options,
    /// Bond with it, if it is to be bonded with.
    pub bond: Option<Bond>,
}

/// How a device is bonded with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bond {
    /// The six digits, if it asks for them.
    pub passkey: Option<u32>,
}

/// A configured device on a serial line.
#[derive(Clone)]
pub struct SerialDevice {
    /// What reads it.
    pub driver: &'static Driver,
    /// Its port.
    pub path: PathBuf,
    /// What to call it.
    pub name: String,
    /// What its session has to know.
    pub options: Options,
}

impl fmt::Debug for BleDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.driver.name, self.key())
    }
}

impl fmt::Debug for SerialDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.driver.name, self.path.display())
    }
}

impl PartialEq for BleDevice {
    fn eq(&self, other: &Self) -> bool {
        let told = |device: &Self| (device.address.clone(), device.name.clone(), device.options.clone(), device.bond);
        self.driver.name == other.driver.name && told(self) == told(other)
    }
}

impl PartialEq for SerialDevice {
    fn eq(&self, other: &Self) -> bool {
        let told = |device: &Self| (device.path.clone(), device.name.clone(), device.options.clone());
        self.driver.name == other.driver.name && told(self) == told(other)
    }
}

impl BleDevice {
    /// What the device is called before it has told its serial number.
    #[must_use]
    pub fn key(&self) -> &str {
        self.address.as_deref().or(self.name.as_deref()).unwrap_or("unnamed")
    }
}

impl SerialDevice {
    /// Under which the board knows it.
    #[must_use]
    pub fn key(&self) -> String {
        self.path.display().to_string()
    }
}

/// The devices of a kit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Devices {
    /// Over Bluetooth.
    pub ble: Vec<BleDevice>,
    /// On serial lines.
    pub serial: Vec<SerialDevice>,
}

impl Devices {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ble.len() + self.serial.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Source<'_> {
    pub(super) fn devices(&self, said: &[Spanned<DeviceConfig>]) -> Result<Devices, ConfigError> {
        if said.len() > DEVICES_MAX {
            let reason = format!("found {} devices, at most {DEVICES_MAX} are taken", said.len());
            return Err(self.error(said[DEVICES_MAX].span().start, "device", reason));
        }
        let (mut devices, mut keys) = (Devices::default(), BTreeSet::new());
        for device in said {
            let key = self.device(device, &mut devices)?;
            if !keys.insert(key.clone()) {
                let reason = format!("found {key:?} twice, want each device once");
                return Err(self.error(device.span().start, "device", reason));
            }
        }
        Ok(devices)
    }

    /// Adds the device, and returns its key.
    fn device(&self, device: &Spanned<DeviceConfig>, devices: &mut Devices) -> Result<String, ConfigError> {
        let (at, said) = (device.span().start, device.get_ref());
        let driver = self.driver(&said.driver)?;
        let options = self.options(said, driver)?;
        match (driver.transport, &said.path) {
            (Transport::Serial { .. }, Some(path)) if said.address.is_none() => {
                let last = path.file_name().map_or_else(|| "line".into(), |name| name.to_string_lossy());
                let name = said.name.clone().unwrap_or_else(|| last.into_owned());
                devices.serial.push(SerialDevice { driver, path: path.clone(), name, options });
                Ok(path.display().to_string())
            }
            (Transport::Serial { .. }, _) => {
                let reason = format!("{} is a serial driver: want path and no address", driver.name);
                Err(self.error(at, "device", reason))
            }
            (_, Some(_)) => {
                let reason = format!("{} is a Bluetooth driver: want address or name, found path", driver.name);
                Err(self.error(at, "device.path", reason))
            }
            (_, None) => {
                let address = said.address.as_ref().map(|address| self.address(address)).transpose()?;
                if address.is_none() && said.name.is_none() {
                    let reason = format!("{} is a Bluetooth driver: want address or name, found neither", driver.name);
                    return Err(self.error(at, "device", reason));
                }
                let bond = self.bond(said)?;
                let device = BleDevice { driver, address, name: said.name.clone(), options, bond };
                let key = device.key().to_owned();
                devices.ble.push(device);
                Ok(key)
            }
        }
    }

    fn driver(&self, name: &Spanned<String>) -> Result<&'static Driver, ConfigError> {
        drivers::find(name.get_ref()).ok_or_else(|| {
            let known: Vec<_> = drivers::DRIVERS.iter().map(|driver| driver.name).collect();
            let reason = format!("found {:?}, want one of {}", name.get_ref(), known.join(", "));
            self.error(name.span().start, "device.driver", reason)
        })
    }

    fn address(&self, address: &Spanned<String>) -> Result<String, ConfigError> {
        identity::ble_address(address.get_ref()).ok_or_else(|| {
            let reason = format!("found {:?}, want six bytes such as C0:FF:EE:00:00:01", address.get_ref());
            self.error(address.span().start, "device.address", reason)
        })
    }

    fn options(&self, said: &DeviceConfig, driver: &Driver) -> Result<Options, ConfigError> {
        let consent = said.consent.as_ref().map(|code| self.at_most(code, CONSENT_MAX, "device.consent"));
        let quirk = said.quirk.as_ref().map(|name| self.quirk(name, driver));
        Ok(Options { user: said.user, consent: consent.transpose()?, quirk: quirk.transpose()? })
    }

    fn quirk(&self, name: &Spanned<String>, driver: &Driver) -> Result<&'static Quirk, ConfigError> {
        let of_driver = || drivers::QUIRKS.iter().filter(|quirk| quirk.driver == driver.name);
        of_driver().find(|quirk| quirk.name == name.get_ref()).ok_or_else(|| {
            let known: Vec<_> = of_driver().map(|quirk| quirk.name).collect();
            let wanted = match known.len() {
                0 => format!("none: {} has no quirk profiles", driver.name),
                _ => format!("one of {}", known.join(", ")),
            };
            self.error(name.span().start, "device.quirk", format!("found {:?}, want {wanted}", name.get_ref()))
        })
    }

    fn bond(&self, said: &DeviceConfig) -> Result<Option<Bond>, ConfigError> {
        let passkey = said.passkey.as_ref().map(|digits| self.at_most(digits, PASSKEY_MAX, "device.passkey"));
        let passkey = passkey.transpose()?;
        Ok((said.pair || passkey.is_some()).then_some(Bond { passkey }))
    }

    fn at_most<T: Copy + PartialOrd + fmt::Display>(
        &self,
        said: &Spanned<T>,
        most: T,
        field: &str,
    ) -> Result<T, ConfigError> {
        let value = *said.get_ref();
        if value <= most {
            return Ok(value);
        }
        Err(self.error(said.span().start, field, format!("found {value}, want at most {most}")))
    }
}

/// Which Bluetooth adapters are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Adapters {
    /// The first one.
    #[default]
    First,
    /// All that there are.
    All,
    /// These.
    Named(Vec<String>),
}

impl Source<'_> {
    pub(super) fn adapters(
        &self,
        one: Option<String>,
        many: Option<Spanned<Vec<String>>>,
    ) -> Result<Adapters, ConfigError> {
        let Some(many) = many else { return Ok(one.map_or(Adapters::First, |one| Adapters::Named(vec![one]))) };
        let at = many.span().start;
        if one.is_some() {
            return Err(self.error(at, "adapters", "found beside adapter, want only one of the two"));
        }
        let named = many.into_inner();
        match named.as_slice() {
            [] => Err(self.error(at, "adapters", "found none, want names such as \"hci0\", or \"all\"")),
            [all] if all == "all" => Ok(Adapters::All),
            _ => Ok(Adapters::Named(named)),
        }
    }
}
