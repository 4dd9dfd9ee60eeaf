//! Commands on standard input, one JSON object a line.

use serde::Deserialize;
use serde_json::Value;

use super::fault::{Fault, Trouble};
use crate::{
    devices::{Body, Kind, glucose},
    people::Story,
};

/// What a line orders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// One measurement now.
    Measure {
        /// With which device.
        kind: Kind,
        /// What is measured.
        body: Body,
        /// How long (continuous oximetry), in seconds; 0 for the device's own habit.
        seconds: u32,
    },
    /// Something goes wrong.
    Fault {
        /// With which device.
        kind: Kind,
        /// What.
        fault: Fault,
    },
    /// Something goes wrong that only goes wrong with Bluetooth.
    Trouble {
        /// With which device.
        kind: Kind,
        /// What.
        trouble: Trouble,
    },
    /// What does this device hold?
    Inspect {
        /// Which device.
        kind: Kind,
    },
    /// The end.
    Quit,
}

/// Why a line is not obeyed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Not JSON, or not of the shape.
    #[error(
        "{0}; want {{\"measure\":\"oximeter\",\"spo2\":82,\"pulse\":118}}, {{\"fault\":\"disconnect\",\"device\":\"oximeter\"}} or {{\"quit\":true}}"
    )]
    NotACommand(#[from] serde_json::Error),
    /// A measurement that this device does not make.
    #[error("{kind} does not measure {field}")]
    NotMeasured {
        /// The device.
        kind: Kind,
        /// The value that was given.
        field: String,
    },
    /// A number out of what the device can show.
    #[error("{field} is {found}, want {wanted}")]
    OutOfRange {
        /// The value's name.
        field: String,
        /// What was given.
        found: Value,
        /// What can be shown.
        wanted: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Line {
    Measure(MeasureLine),
    Clock {
        fault: ClockFault,
        device: Kind,
        offset_seconds: i64,
    },
    Fault {
        fault: PlainFault,
        device: Kind,
    },
    Trouble(TroubleLine),
    Inspect {
        inspect: Kind,
    },
    Quit {
        #[allow(dead_code, reason = "its presence says it")]
        quit: bool,
    },
}

#[derive(Deserialize)]
struct TroubleLine {
    device: Kind,
    #[serde(flatten)]
    trouble: Trouble,
}

#[derive(Deserialize)]
struct MeasureLine {
    measure: Kind,
    #[serde(default)]
    seconds: u32,
    #[serde(flatten)]
    values: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClockFault {
    Clock,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlainFault {
    Disconnect,
    DisconnectMidFrame,
    Garbage,
    Truncate,
    NeverResolve,
    RefuseWrites,
    ClockLost,
    RefusedFirst,
    Unconfirmed,
    #[serde(alias = "vanish")]
    Unplug,
    Replug,
    Clear,
}

impl From<PlainFault> for Fault {
    fn from(plain: PlainFault) -> Self {
        match plain {
            PlainFault::Disconnect => Self::Disconnect,
            PlainFault::DisconnectMidFrame => Self::DisconnectMidFrame,
            PlainFault::Garbage => Self::Garbage,
            PlainFault::Truncate => Self::Truncate,
            PlainFault::NeverResolve => Self::NeverResolve,
            PlainFault::RefuseWrites => Self::RefuseWrites,
            PlainFault::ClockLost => Self::ClockLost,
            PlainFault::RefusedFirst => Self::RefusedFirst,
            PlainFault::Unconfirmed => Self::Unconfirmed,
            PlainFault::Unplug => Self::Unplug,
            PlainFault::Replug => Self::Replug,
            PlainFault::Clear => Self::Clear,
        }
    }
}

/// Reads a line. Values that it leaves out are those of the story at `day`.
///
/// # Errors
/// [`CommandError`] says what was found and what was wanted.
pub fn read(line: &str, story: &Story, day: f64) -> Result<Command, CommandError> {
    Ok(match serde_json::from_str(line)? {
        Line::Quit { .. } => Command::Quit,
        Line::Clock { fault: ClockFault::Clock, device, offset_seconds } => {
            Command::Fault { kind: device, fault: Fault::Clock { offset_seconds } }
        }
        Line::Fault { fault, device } => Command::Fault { kind: device, fault: fault.into() },
        Line::Trouble(TroubleLine { device, trouble }) => Command::Trouble { kind: device, trouble },
        Line::Inspect { inspect } => Command::Inspect { kind: inspect },
        Line::Measure(MeasureLine { measure, seconds, values }) => {
            let mut body = usual(measure, story, day);
            for (field, value) in values {
                put(&mut body, measure, field, value)?;
            }
            Command::Measure { kind: measure, body, seconds }
        }
    })
}

/// What the story has for this device at `day`; a silent person's last stable values. It says nothing of sugar.
fn usual(kind: Kind, story: &Story, day: f64) -> Body {
    if kind == Kind::Glucose {
        return Body::Glucose { decimillimoles: 58, meal: 1 };
    }
    let mut bodies = story.measurements(day);
    if bodies.is_empty() {
        bodies = story.measurements(-1.0);
    }
    bodies.into_iter().rfind(|body| measures(kind, body)).expect("the stable fortnight has a value for every device")
}

/// Whether a device of this kind measures this.
#[must_use]
pub fn measures(kind: Kind, body: &Body) -> bool {
    matches!(
        (kind, body),
        (Kind::Oximeter | Kind::Nonin | Kind::Nonin3230, Body::Oxygen { .. })
            | (Kind::Thermometer, Body::Temperature { .. })
            | (Kind::Cuff, Body::Pressure { .. } | Body::NoPressure)
            | (Kind::Scale | Kind::PhdScale | Kind::MiScale | Kind::BodyScale, Body::Weight { .. })
            | (Kind::Glucose, Body::Glucose { .. })
            | (Kind::Spirometer | Kind::PeakFlow | Kind::HealthSensor, Body::Spirometry { .. })
    )
}

fn put(body: &mut Body, kind: Kind, field: String, value: Value) -> Result<(), CommandError> {
    match (body, field.as_str()) {
        (body @ (Body::Pressure { .. } | Body::NoPressure), "failed") => {
            let wanted = "true";
            *body = Body::NoPressure;
            value.as_bool().filter(|failed| *failed).ok_or(CommandError::OutOfRange { field, found: value, wanted })?;
        }
        (Body::Glucose { decimillimoles, .. }, "glucose") => {
            *decimillimoles = scaled(field, &value, 10.0, 400.0, "mmol/L, from 0 to 40")?;
        }
        (Body::Glucose { meal, .. }, "meal") => {
            let wanted = "before, after, fasting, casual or bedtime";
            let named = glucose::MEALS.iter().zip(1_u8..).find(|(name, _)| value.as_str() == Some(name));
            *meal = named.ok_or(CommandError::OutOfRange { field, found: value.clone(), wanted })?.1;
        }
        (Body::Oxygen { low_perfusion, .. }, "low_perfusion") => {
            let wanted = "true or false";
            *low_perfusion = value.as_bool().ok_or(CommandError::OutOfRange { field, found: value, wanted })?;
        }
        (Body::Oxygen { spo2, .. }, "spo2") => {
            *spo2 = scaled(field, &value, 1.0, 100.0, "a whole number from 0 to 100")?
        }
        (Body::Oxygen { pulse, .. } | Body::Pressure { pulse, .. }, "pulse") => {
            *pulse = scaled(field, &value, 1.0, 300.0, "a whole number from 0 to 300")?;
        }
        (Body::Temperature { decidegrees }, "temperature") => {
            *decidegrees = scaled(field, &value, 10.0, 500.0, "a number from 0 to 50")?.into();
        }
        (Body::Pressure { systolic, .. }, "systolic") => {
            *systolic = scaled(field, &value, 1.0, 300.0, "a whole number from 0 to 300")?;
        }
        (Body::Pressure { diastolic, .. }, "diastolic") => {
            *diastolic = scaled(field, &value, 1.0, 300.0, "a whole number from 0 to 300")?;
        }
        (Body::Weight { steps }, "weight") => {
            *steps = scaled(field, &value, 200.0, 60_000.0, "a number from 0 to 300")?
        }
        (Body::Spirometry { fev1_cl, .. }, "fev1") => {
            *fev1_cl = scaled(field, &value, 100.0, 1500.0, "a number from 0 to 15")?
        }
        (Body::Spirometry { fvc_cl, .. }, "fvc") => {
            *fvc_cl = scaled(field, &value, 100.0, 1500.0, "a number from 0 to 15")?
        }
        (Body::Spirometry { fev6_cl, .. }, "fev6") => {
            *fev6_cl = scaled(field, &value, 100.0, 1500.0, "a number from 0 to 15")?
        }
        (Body::Spirometry { pef_cl, .. }, "pef") => {
            *pef_cl = scaled(field, &value, 100.0, 2000.0, "L/s, from 0 to 20")?
        }
        _ => return Err(CommandError::NotMeasured { kind, field }),
    }
    Ok(())
}

fn scaled(field: String, value: &Value, factor: f64, max: f64, wanted: &'static str) -> Result<u16, CommandError> {
    let scaled = value.as_f64().map(|number| (number * factor).round()).filter(|number| (0.0..=max).contains(number));
    let Some(scaled) = scaled else {
        return Err(CommandError::OutOfRange { field, found: value.clone(), wanted });
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 and the maximum")]
    let scaled = scaled as u16;
    Ok(scaled)
}

#[cfg(test)]
mod tests {
    use super::{super::fault::Property, *};
    use crate::people::person;

    fn read_line(line: &str) -> Result<Command, String> {
        read(line, &Story::new(person("stable").unwrap(), 7), 0.0).map_err(|error| error.to_string())
    }

    #[test]
    fn a_measurement_takes_what_is_given_and_the_story_for_the_rest() {
        let body = Body::Oxygen { spo2: 82, pulse: 118, low_perfusion: false };
        let wanted = Command::Measure { kind: Kind::Oximeter, body, seconds: 0 };
        assert_eq!(read_line(r#"{"measure":"oximeter","spo2":82,"pulse":118}"#), Ok(wanted));
        let Ok(Command::Measure { body: Body::Weight { steps }, .. }) =
            read_line(r#"{"measure":"scale","weight":80.505}"#)
        else {
            panic!("a weight")
        };
        assert_eq!(steps, 16_101);
        let Ok(Command::Measure { body: Body::Pressure { systolic: 200, diastolic, .. }, .. }) =
            read_line(r#"{"measure":"cuff","systolic":200}"#)
        else {
            panic!("a pressure")
        };
        assert!(diastolic > 50);
    }

    #[test]
    fn sugar_has_its_meal_and_a_pressure_can_fail() {
        let body = Body::Glucose { decimillimoles: 61, meal: 3 };
        let wanted = Command::Measure { kind: Kind::Glucose, body, seconds: 0 };
        assert_eq!(read_line(r#"{"measure":"glucose","glucose":6.1,"meal":"fasting"}"#), Ok(wanted));
        let error = read_line(r#"{"measure":"glucose","meal":"tea"}"#).unwrap_err();
        assert_eq!(error, "meal is \"tea\", want before, after, fasting, casual or bedtime");
        let failed = read_line(r#"{"measure":"cuff","failed":true}"#).unwrap();
        assert!(matches!(failed, Command::Measure { body: Body::NoPressure, .. }));
    }

    #[test]
    fn faults_are_read() {
        let fault = |kind, fault| Ok(Command::Fault { kind, fault });
        assert_eq!(
            read_line(r#"{"fault":"disconnect","device":"oximeter"}"#),
            fault(Kind::Oximeter, Fault::Disconnect)
        );
        assert_eq!(read_line(r#"{"fault":"unplug","device":"nonin"}"#), fault(Kind::Nonin, Fault::Unplug));
        let clock = Fault::Clock { offset_seconds: -3600 };
        assert_eq!(read_line(r#"{"fault":"clock","device":"cuff","offset_seconds":-3600}"#), fault(Kind::Cuff, clock));
        assert_eq!(read_line(r#"{"quit":true}"#), Ok(Command::Quit));
        let trouble = |kind, trouble| Ok(Command::Trouble { kind, trouble });
        assert_eq!(
            read_line(r#"{"fault":"disconnect_mid_record","device":"oximeter","after":2}"#),
            trouble(Kind::Oximeter, Trouble::DisconnectMidRecord { after: 2 })
        );
        assert_eq!(
            read_line(r#"{"fault":"lose_characteristic","device":"glucose","characteristic":"2a52"}"#),
            trouble(Kind::Glucose, Trouble::LoseCharacteristic { characteristic: 0x2a52 })
        );
        assert_eq!(
            read_line(r#"{"fault":"hide","device":"cuff","property":"RSSI"}"#),
            trouble(Kind::Cuff, Trouble::Hide { property: Property::Rssi })
        );
        assert!(read_line(r#"{"fault":"hide","device":"cuff","property":"Colour"}"#).is_err());
        assert_eq!(read_line(r#"{"inspect":"cuff"}"#), Ok(Command::Inspect { kind: Kind::Cuff }));
    }

    #[test]
    fn what_cannot_be_done_is_refused_in_words() {
        assert_eq!(read_line(r#"{"measure":"scale","spo2":82}"#).unwrap_err(), "scale does not measure spo2");
        assert_eq!(
            read_line(r#"{"measure":"oximeter","spo2":182}"#).unwrap_err(),
            "spo2 is 182, want a whole number from 0 to 100"
        );
        assert!(read_line(r#"{"measure":"toaster"}"#).unwrap_err().contains("want {\"measure\""));
        assert!(read_line("nonsense").is_err());
    }
}
