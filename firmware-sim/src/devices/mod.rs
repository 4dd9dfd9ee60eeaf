//! The devices: one file each, encoding from the standards, and what is common to them.

pub mod body_scale;
pub mod cuff;
pub mod datetime;
pub mod elapsed_time;
pub mod glucose;
pub mod health_sensor;
pub mod information;
pub mod medfloat;
pub mod mi_scale;
pub mod nonin;
pub mod nonin_3230;
pub mod oximeter;
pub mod phd;
pub mod racp;
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
    /// A Bluetooth blood sugar meter.
    Glucose,
    /// A Bluetooth body composition scale whose users consent.
    #[serde(rename = "body-scale")]
    BodyScale,
    /// A Bluetooth spirometer over the Generic Health Sensor service.
    #[serde(rename = "health-sensor")]
    HealthSensor,
    /// A Bluetooth oximeter with the maker's own service.
    #[serde(rename = "nonin-3230")]
    #[value(name = "nonin-3230")]
    Nonin3230,
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
            Self::Glucose => "glucose",
            Self::BodyScale => "body-scale",
            Self::HealthSensor => "health-sensor",
            Self::Nonin3230 => "nonin-3230",
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
            Self::Glucose => Some(&glucose::MODEL),
            Self::BodyScale => Some(&body_scale::MODEL),
            Self::HealthSensor => Some(&health_sensor::MODEL),
            Self::Nonin3230 => Some(&nonin_3230::MODEL),
            Self::Nonin | Self::Spirometer | Self::PhdScale | Self::PeakFlow => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A value of a characteristic.
pub type Frame = (Uuid, Vec<u8>);

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
    /// One measurement as values of its characteristics, in order; none when it measures something else.
    pub frames: fn(&Kept) -> Vec<Frame>,
    /// When it tells what it holds.
    pub memory: Memory,
    /// What it shows while it measures.
    pub stream: Option<Stream>,
    /// Where the host tells it things.
    pub control: Option<Control>,
}

impl BleModel {
    /// One that sends what it holds to whoever subscribes, and nothing else.
    const fn plain(
        kind: Kind,
        service: Uuid,
        measurement: Uuid,
        services: fn() -> Vec<Service>,
        frames: fn(&Kept) -> Vec<Frame>,
    ) -> Self {
        Self { kind, service, measurement, services, frames, memory: Memory::Pushed, stream: None, control: None }
    }

    /// Is it never connected to? Then what it encodes is the data of its service, in its advertisements.
    #[must_use]
    pub fn only_advertises(&self) -> bool {
        (self.services)().is_empty()
    }

    /// Does it keep a record in `stored` form, to be asked for, from the beginning?
    #[must_use]
    pub fn stores_at_once(&self) -> bool {
        matches!(self.memory, Memory::Asked { live: false, .. })
    }
}

/// When a device tells what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Unasked, oldest first, to whoever has subscribed; what was sent is forgotten when the sitting ended well.
    Pushed,
    /// What is stored when it is asked through the record access control point, and forgotten when that says so.
    Asked {
        /// How its service speaks that.
        dialect: racp::Dialect,
        /// What was just measured is sent unasked, and only stored if nobody takes it.
        live: bool,
    },
}

/// What a device shows while it measures.
#[derive(Debug)]
pub struct Stream {
    /// On which characteristic.
    pub characteristic: Uuid,
    /// Milliseconds from one value to the next.
    pub millis: u32,
    /// Seconds for which it goes on, unless the command says how many.
    pub habit: u32,
    /// A value, with so many to come.
    pub encode: fn(Body, u32) -> Option<Vec<u8>>,
}

impl Stream {
    /// What is measured with the number of values that are to come, for so many seconds or as is its habit.
    #[must_use]
    pub fn of(&self, body: Body, seconds: u32) -> Option<(Body, u32)> {
        let seconds = if seconds == 0 { self.habit } else { seconds };
        Some((body, seconds.saturating_mul(1000) / self.millis)).filter(|(_, values)| *values > 0)
    }
}

/// Where a host tells a device things.
#[derive(Debug)]
pub struct Control {
    /// The characteristic.
    pub point: Uuid,
    /// What follows from a value.
    pub heard: fn(&[u8]) -> Heard,
    /// Must it be told something before it sends anything?
    pub opens: bool,
}

/// What follows from a value that the host has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Indicated from the same characteristic.
    pub answer: Option<Vec<u8>>,
    /// From now on it sends.
    pub opens: bool,
    /// What is measured is complete.
    pub completes: bool,
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
        let name = if kind == Kind::Nonin3230 { format!("Nonin3230_{low:09}") } else { format!("Vagt-sim {kind}") };
        Self {
            kind,
            name,
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
    /// A blood pressure that could not be measured.
    NoPressure,
    /// Blood sugar.
    Glucose {
        /// Tenths of mmol/L.
        decimillimoles: u16,
        /// Beside which meal, from 1, as in [`glucose::MEALS`].
        meal: u8,
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
            Self::NoPressure => json!({}),
            Self::Glucose { decimillimoles, .. } => json!({ "glucose": f64::from(decimillimoles) / 10.0 }),
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
            Self::NoPressure => json!({}),
            Self::Glucose { .. } => json!({ "glucose": "mmol/L" }),
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

/// A measurement as a Bluetooth device keeps it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What it holds.
    pub record: Record,
    /// It was sent over the link that there is.
    pub sent: bool,
    /// The clock has been set since.
    pub older_clock: bool,
}

impl Kept {
    /// Just measured.
    #[must_use]
    pub fn new(record: Record) -> Self {
        Self { record, sent: false, older_clock: false }
    }
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
