//! What was odd about a reading: one flag for each quality bit that a device or the kit reports.
//!
//! The list is open on the wire: a newer kit may send a flag that an older core does not know, and the reading must not be lost for it.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text;

/// A quality flag, in snake case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flag(Cow<'static, str>);

/// A text that is not a flag.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("found {0:?}, want a flag: 1 to 40 of a-z, 0-9 and _")]
pub struct FlagError(String);

/// Flags that say nothing against the value itself: where its time comes from, how it travelled, that the device is content, and what is
/// true of the body.
const HARMLESS: &[&str] = &[
    "clock_not_set",
    "clock_implausible",
    "from_storage",
    "simulated",
    "person_confirmed",
    "measurement_ongoing",
    "validated_data",
    "fully_qualified_data",
    "low_battery",
    "smart_point",
    "drug",
    "irregular_pulse",
    "pulse_above_range",
    "pulse_below_range",
    "low_spo2_alarm",
    "extended_display_ongoing",
    "exercise",
];
/// The same, by their beginning: where on the body and in what, which user of the device, and what the person told a glucose meter.
const HARMLESS_STARTS: &[&str] =
    &["site_", "user_", "specimen_", "meal_", "carbohydrate_", "tester_", "health_", "medication_"];

/// Flags that devices and kits send today, beside those above: what somebody who writes a rule may have meant. A kit of tomorrow may send others.
const SENT: &[&str] = &[
    "above_device_range",
    "artifact",
    "below_device_range",
    "body_movement",
    "calibration_ongoing",
    "contact_lost",
    "cuff_loose",
    "cuff_pressure",
    "demonstration_data",
    "device_fault",
    "device_mark",
    "early_estimate",
    "equipment_malfunction",
    "erratic_signal",
    "improper_position",
    "inadequate_signal",
    "intermediate",
    "invalid_measurement",
    "low_perfusion",
    "marginal_perfusion",
    "marginal_pulse_quality",
    "measurement_unavailable",
    "minimal_pulse_quality",
    "nonpulsatile_signal",
    "out_of_track",
    "person_unconfirmed",
    "poor_signal",
    "questionable_measurement",
    "questionable_pulse",
    "read_interrupted",
    "removed",
    "result_too_high",
    "result_too_low",
    "sample_insufficient",
    "sample_size_insufficient",
    "sensor_disconnected",
    "sensor_displaced",
    "sensor_fault",
    "sensor_interference",
    "sensor_malfunction",
    "sensor_too_cold",
    "sensor_too_warm",
    "sensor_unconnected_to_user",
    "signal_analysis_ongoing",
    "signal_processing_irregularity",
    "strip_insertion_error",
    "strip_type_incorrect",
    "suspect",
    "suspect_step",
    "temperature_out_of_range",
    "temperature_too_high",
    "temperature_too_low",
    "test_data",
    "time_fault",
    "time_unknown",
    "unacceptable_pulse_quality",
    "unknown_sensor_connected",
    "unsettled",
    "unstable",
];

impl Flag {
    /// The names that are sent today.
    pub fn sent() -> impl Iterator<Item = &'static str> {
        HARMLESS.iter().chain(SENT).copied()
    }

    /// Does it speak against the value? A flag that is not known here does.
    #[must_use]
    pub fn is_doubt(&self) -> bool {
        !HARMLESS.contains(&&*self.0) && !HARMLESS_STARTS.iter().any(|start| self.0.starts_with(start))
    }

    /// A flag that the program itself names.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The flag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value is outside what is believable, but not impossible.
    pub const SUSPECT: Self = Self::new("suspect");
    /// The step from the reading before is larger than is believable.
    pub const SUSPECT_STEP: Self = Self::new("suspect_step");
    /// The device's clock has never been set, so its time is not used.
    pub const CLOCK_NOT_SET: Self = Self::new("clock_not_set");
    /// The device's clock is impossible (1970, the future), so its time is not used.
    pub const CLOCK_IMPLAUSIBLE: Self = Self::new("clock_implausible");
    /// The device had stored it and sent it later.
    pub const FROM_STORAGE: Self = Self::new("from_storage");
    /// The device had stored it and nothing says when it was measured.
    pub const TIME_UNKNOWN: Self = Self::new("time_unknown");
    /// A simulated device.
    pub const SIMULATED: Self = Self::new("simulated");
    /// It looked like somebody else's, and the person has said that it is theirs.
    pub const PERSON_CONFIRMED: Self = Self::new("person_confirmed");
    /// It looks like somebody else's, and nobody has said whose it is.
    pub const PERSON_UNCONFIRMED: Self = Self::new("person_unconfirmed");
}

impl FromStr for Flag {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        let valid = (1..=40).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if valid { Ok(Self(Cow::Owned(text.to_owned()))) } else { Err(FlagError(text.chars().take(80).collect())) }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Flag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::parsed(deserializer)
    }
}

impl JsonSchema for Flag {
    fn schema_name() -> Cow<'static, str> {
        "Flag".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9_]{1,40}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_against_a_value_is_a_doubt_and_an_unknown_flag_too() {
        let doubt = |name: &str| name.parse::<Flag>().unwrap().is_doubt();
        assert!(["low_perfusion", "suspect", "a_flag_of_tomorrow"].into_iter().all(doubt));
        assert!(!["simulated", "fully_qualified_data", "site_ear", "user_2", "meal_fasting"].into_iter().any(doubt));
    }
}
