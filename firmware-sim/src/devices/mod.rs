//! The devices: one file each, encoding from the standards, and what is common to them.

pub mod cuff;
pub mod datetime;
pub mod information;
pub mod medfloat;
pub mod mi_scale;
pub mod nonin;
pub mod oximeter;
pub mod phd;
pub mod scale;
pub mod spirometer;
pub mod thermometer;

use std::fmt;

use jiff::{Timestamp, civil::DateTime};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::bluez::gatt::Service;

/// A kind of device, by the name used on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    Oximeter,
    Thermometer,
    Cuff,
    Scale,
    Nonin,
    Spirometer,
    /// An IEEE 11073-20601 scale on a serial line.
    #[serde(rename = "phd-scale")]
    PhdScale,
    /// An IEEE 11073-20601 peak flow meter on a serial line.
    #[serde(rename = "peak-flow")]
    PeakFlow,
    /// A Bluetooth scale that only advertises.
    #[serde(rename = "mi-scale")]
    MiScale,
}

impl Kind {
    /// The kinds that a home has unless it is told otherwise, in the order of the command line.
    pub const ALL: [Self; 8] = [
        Self::Oximeter,
        Self::Thermometer,
        Self::Cuff,
        Self::Scale,
        Self::Nonin,
        Self::Spirometer,
        Self::PhdScale,
        Self::PeakFlow,
    ];

    /// The name on the command line and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oximeter => "oximeter",
            Self::Thermometer => "thermometer",
            Self::Cuff => "cuff",
            Self::Scale => "scale",
            Self::Nonin => "nonin",
            Self::Spirometer => "spirometer",
            Self::PhdScale => "phd-scale",
            Self::PeakFlow => "peak-flow",
            Self::MiScale => "mi-scale",
        }
    }

    /// The file name of its serial line, if it has one.
    #[must_use]
    pub fn port_name(self) -> Option<&'static str> {
        match self {
            Self::Nonin => Some("nonin"),
            Self::Spirometer => Some("sp10"),
            Self::PhdScale => Some("phd-scale"),
            Self::PeakFlow => Some("peak-flow"),
            _ => None,
        }
    }

    /// Its Bluetooth side, if it has one.
    #[must_use]
    pub fn ble(self) -> Option<&'static BleModel> {
        match self {
            Self::Oximeter => Some(&oximeter::MODEL),
            Self::Thermometer => Some(&thermometer::MODEL),
            Self::Cuff => Some(&cuff::MODEL),
            Self::Scale => Some(&scale::MODEL),
            Self::MiScale => Some(&mi_scale::MODEL),
            Self::Nonin | Self::Spirometer | Self::PhdScale | Self::PeakFlow => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a Bluetooth device offers and how it writes a measurement.
#[derive(Debug)]
pub struct BleModel {
    /// Which kind.
    pub kind: Kind,
    /// The service that it advertises.
    pub service: Uuid,
    /// The characteristic that carries its measurements.
    pub measurement: Uuid,
    /// All its services.
    pub services: fn() -> Vec<Service>,
    /// One measurement as the value of that characteristic; `None` when it measures something else.
    pub encode: fn(&Record) -> Option<Vec<u8>>,
}

impl BleModel {
    /// Is it never connected to? Then what it encodes is the data of its service, in its advertisements.
    #[must_use]
    pub fn only_advertises(&self) -> bool {
        (self.services)().is_empty()
    }
}

/// Which specimen it is: all derived from the home's seed.
#[derive(Clone, Debug, Serialize)]
pub struct Identity {
    /// The kind.
    #[serde(rename = "device")]
    pub kind: Kind,
    /// The name that it advertises.
    pub name: String,
    /// The serial number that its Device Information service tells.
    pub serial: String,
    /// Its Bluetooth address (random static).
    pub address: String,
}

impl Identity {
    /// The specimen of `kind` in the home with this seed. Homes share addresses only when their seeds are alike modulo 65536.
    #[must_use]
    pub fn new(kind: Kind, seed: u64) -> Self {
        let low = seed % 65_536;
        Self {
            kind,
            name: format!("Vagt-sim {kind}"),
            serial: format!("SIM-{low:05}-{}", kind as u8 + 1),
            address: format!("C0:FF:EE:{:02X}:{:02X}:{:02X}", low >> 8, low & 0xff, kind as u8 + 1),
        }
    }
}

/// What was measured, in the resolution of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Pulse oximetry.
    Oxygen {
        /// Oxygen saturation, %.
        spo2: u16,
        /// Pulse rate, /min.
        pulse: u16,
        /// The finger is cold: the sensor sees little blood.
        low_perfusion: bool,
    },
    /// Body temperature.
    Temperature {
        /// Tenths of a degree Celsius.
        decidegrees: i32,
    },
    /// Blood pressure.
    Pressure {
        /// Systolic, mmHg.
        systolic: u16,
        /// Diastolic, mmHg.
        diastolic: u16,
        /// Pulse rate, /min.
        pulse: u16,
    },
    /// Body weight.
    Weight {
        /// In steps of 0.005 kg, the resolution of the weight scale service.
        steps: u16,
    },
    /// A forced expiration.
    Spirometry {
        /// Volume in the first second, hundredths of a litre.
        fev1_cl: u16,
        /// Forced vital capacity, hundredths of a litre.
        fvc_cl: u16,
        /// Volume in six seconds, hundredths of a litre.
        fev6_cl: u16,
        /// Peak flow, hundredths of a litre a second.
        pef_cl: u16,
    },
}

impl Body {
    /// The mean pressure that an oscillometric cuff of this simulation reports: diastolic plus a third of the pulse pressure.
    #[must_use]
    pub fn mean_pressure(systolic: u16, diastolic: u16) -> u16 {
        diastolic + (systolic.saturating_sub(diastolic) + 1) / 3
    }

    /// What truly was measured, by the names and in the units of the contract ("pef" in L/s, as the device has it).
    #[must_use]
    pub fn values(&self) -> Map<String, Value> {
        let value = match *self {
            Self::Oxygen { spo2, pulse, .. } => json!({ "spo2": spo2, "pulse": pulse }),
            Self::Temperature { decidegrees } => json!({ "temperature": f64::from(decidegrees) / 10.0 }),
            Self::Pressure { systolic, diastolic, pulse } => json!({
                "systolic": systolic, "diastolic": diastolic, "mean_pressure": Self::mean_pressure(systolic, diastolic), "pulse": pulse
            }),
            Self::Weight { steps } => json!({ "weight": f64::from(steps) * 5.0 / 1000.0 }),
            Self::Spirometry { fev1_cl, fvc_cl, fev6_cl, pef_cl } => json!({
                "fev1": centi(fev1_cl), "fvc": centi(fvc_cl), "fev6": centi(fev6_cl), "pef": centi(pef_cl),
                "fev1_fvc": f64::from(spirometer::permille(fev1_cl, fvc_cl)) / 10.0
            }),
        };
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    /// The vitals' units, beside [`Body::values`].
    #[must_use]
    pub fn units(&self) -> Value {
        match self {
            Self::Oxygen { .. } => json!({ "spo2": "%", "pulse": "/min" }),
            Self::Temperature { .. } => json!({ "temperature": "Cel" }),
            Self::Pressure { .. } => {
                json!({ "systolic": "mm[Hg]", "diastolic": "mm[Hg]", "mean_pressure": "mm[Hg]", "pulse": "/min" })
            }
            Self::Weight { .. } => json!({ "weight": "kg" }),
            Self::Spirometry { .. } => json!({ "fev1": "L", "fvc": "L", "fev6": "L", "pef": "L/s", "fev1_fvc": "%" }),
        }
    }

    /// What the device itself says of the quality.
    #[must_use]
    pub fn flags(&self) -> Vec<&'static str> {
        match self {
            Self::Oxygen { low_perfusion: true, .. } => vec!["low_perfusion"],
            _ => vec![],
        }
    }
}

fn centi(hundredths: u16) -> f64 {
    f64::from(hundredths) / 100.0
}

/// One measurement in a device's memory.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its number in this run, so that "measured" and "sent" can be matched.
    pub number: u64,
    /// What was measured.
    pub body: Body,
    /// When, truly.
    pub real_time: Timestamp,
    /// When, by the device's clock.
    pub device_time: DateTime,
    /// Whether that clock had ever been set.
    pub clock_set: bool,
    /// Whether it is sent later than it was taken.
    pub stored: bool,
    /// The day of the story, for the reader of the truth.
    pub story_day: Option<f64>,
}

#[cfg(test)]
pub(crate) fn record(body: Body, device_time: &str) -> Record {
    Record {
        number: 1,
        body,
        real_time: Timestamp::UNIX_EPOCH,
        device_time: device_time.parse().unwrap(),
        clock_set: true,
        stored: false,
        story_day: None,
    }
}

#[cfg(test)]
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_follow_the_seed() {
        let one = Identity::new(Kind::Oximeter, 7);
        assert_eq!((one.address.as_str(), one.serial.as_str()), ("C0:FF:EE:00:07:01", "SIM-00007-1"));
        assert_eq!(one.name, "Vagt-sim oximeter");
        assert_ne!(one.address, Identity::new(Kind::Cuff, 7).address);
        assert_ne!(one.address, Identity::new(Kind::Oximeter, 8).address);
    }

    #[test]
    fn the_truth_is_told_in_the_digits_of_the_device() {
        let weight = Body::Weight { steps: 14_501 };
        assert_eq!(weight.values()["weight"].to_string(), "72.505");
        assert_eq!(Body::Temperature { decidegrees: 367 }.values()["temperature"].to_string(), "36.7");
        assert_eq!(Body::mean_pressure(134, 77), 96);
    }
}
