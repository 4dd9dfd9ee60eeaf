//! The small payloads: status from the kit, acknowledgements and commands from the core.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vitals::{DeviceId, Vital};

/// `vagt/v1/{kit}/status`, retained, and the last will (with `online` false).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Is the agent connected?
    pub online: bool,
    /// The agent's version.
    #[serde(default)]
    pub version: String,
    /// Messages waiting in the spool.
    #[serde(default)]
    pub spooled: u64,
    /// The kit's devices.
    #[serde(default)]
    pub devices: Vec<DeviceStatus>,
    /// When this was true, by the kit's clock; a last will carries the time of connecting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// What is wrong on the kit, one sentence each ("spool: the disk is full").
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Messages that the kit had to give up unacknowledged, ever.
    #[serde(default)]
    pub dropped: u64,
}

/// One device, as the kit sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceStatus {
    /// Which.
    pub device: DeviceId,
    /// Could it be reached when it was last due?
    pub present: bool,
    /// When it last said anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_heard: Option<Timestamp>,
    /// What is wrong with it, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// `vagt/v1/{kit}/acks`: everything up to `through` is stored, but what is listed as rejected is in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acks {
    /// Every message of this kit with a `seq` up to this is stored durably or in quarantine.
    pub through: u64,
    /// What went to quarantine, wholly or in part.
    #[serde(default)]
    pub rejected: Vec<Rejection>,
}

/// One message, or part of one, that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejection {
    /// Which message.
    pub seq: u64,
    /// What was found, what was wanted and where.
    pub reason: String,
}

/// `vagt/v1/{kit}/commands`: what the core asks of the kit. A kit passes over a command that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// The same id is the same command: doing it twice is doing it once.
    pub id: String,
    /// `remeasure`, `message`, ...
    pub command: String,
    /// What to measure again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vital: Option<Vital>,
    /// What to show the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
