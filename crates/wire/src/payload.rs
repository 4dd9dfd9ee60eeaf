//! The small payloads: status from the kit, acknowledgements and commands from the core.

use jiff::{Timestamp, civil};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vitals::{Colour, DeviceId, PatientId, Vital};

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
    /// What is left of its battery, %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_percent: Option<u8>,
    /// Its maker and model, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The revision of its firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// How far its clock was ahead of the kit's when it was last read, s; negative when behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_seconds: Option<i64>,
}

/// `vagt/v1/{kit}/acks`: everything up to `through` is stored, but what is listed as rejected is in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acks {
    /// Every message of this kit with a `seq` up to this is stored durably or in quarantine.
    pub through: u64,
    /// What went to quarantine, wholly or in part.
    #[serde(default)]
    pub rejected: Vec<Rejection>,
    /// How the newest of what was stored was judged, for the kit's page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
}

/// How the readings or answers of one message were judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// Which message.
    pub seq: u64,
    /// Which vital; absent for answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vital: Option<Vital>,
    /// The worst that its rules said of it.
    pub colour: Colour,
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
    /// `remeasure` (with `vital`, and `text` to say why), `message` (with `text`), `schedule` (with `schedule`), `diagnostics`, `seen` (with
    /// `by`: a person at the clinic has looked at what the kit sent last).
    pub command: String,
    /// What to measure again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vital: Option<Vital>,
    /// What to show the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Who asks, as the person should see it: a first name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub issued_at: Option<Timestamp>,
    /// After this it must not be done any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
    /// For whom, on a kit that several people share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<PatientId>,
    /// What is due when, in place of what was due before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub schedule: Option<Vec<Due>>,
}

/// What a person should do at one time of the day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// From when on, local time of the kit: `08:00`.
    #[schemars(with = "String")]
    pub at: civil::Time,
    /// Days of the week, 1 Monday to 7 Sunday; every day if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<i8>,
    /// What to measure, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vitals: Vec<Vital>,
    /// Questionnaires to answer, by their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questionnaires: Vec<String>,
}
