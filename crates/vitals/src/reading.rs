//! One value of one vital at one time, as it is sent and as it is kept.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DeviceId, Flag, Unit, UnitError, Value, Vital};

/// Whose time `measured_at` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The device's clock, believed.
    Device,
    /// The device's clock, shifted by a measured offset.
    Corrected,
    /// The time of arrival at the kit.
    Kit,
}

/// A reading. Three times have three names in Vagt: `measured_at` is here; `received_at` is the kit's time of
/// arrival and `recorded_at` the hub's time of commit, which belong to the message that carries the reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// What was measured.
    pub vital: Vital,
    /// How much, in `unit`.
    pub value: Value,
    /// The unit; canonical once admitted.
    pub unit: Unit,
    /// When it was measured, by `clock`.
    #[schemars(with = "String")]
    pub measured_at: Timestamp,
    /// Whose time that is.
    pub clock: Clock,
    /// Which device measured it.
    pub device: DeviceId,
    /// What was odd about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
}

impl Reading {
    /// The same reading in the vital's canonical unit.
    ///
    /// # Errors
    /// [`UnitError`] when the vital is not measured in the reading's unit.
    pub fn into_canonical(mut self) -> Result<Self, UnitError> {
        self.value = self.unit.to_canonical(self.vital, self.value)?;
        self.unit = self.vital.unit();
        Ok(self)
    }

    /// Adds a flag, once.
    pub fn flag(&mut self, flag: Flag) {
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }

    /// Does it carry this flag?
    #[must_use]
    pub fn has(&self, flag: &Flag) -> bool {
        self.flags.contains(flag)
    }
}
