//! What goes into a store and comes out of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use triage::{AlertChange, AssessmentChange};
use vitals::{Answer, Colour, KitId, PatientId, Reading, SessionId, Unit, Value, Vital};

use crate::JournalEntry;

/// What names a message for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KitSeq {
    /// The kit.
    pub kit: KitId,
    /// Its sequence number.
    pub seq: u64,
}

/// Everything that one commit holds.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// When it is recorded: the hub's time of what has no stamp of its own (assessments, quarantine).
    pub recorded_at: Timestamp,
    /// Messages, in receive order.
    pub entries: Vec<Entry>,
    /// What can't be used, with its bytes.
    pub quarantined: Vec<Quarantined>,
    /// Assessment changes, in order.
    pub assessments: Vec<AssessmentChange>,
    /// Alert changes, in order; the last of an alert is its state.
    pub alerts: Vec<AlertChange>,
    /// What was decided, with the judge's stamps, in order.
    pub journal: Vec<JournalEntry>,
}

impl Batch {
    /// Is there anything in it?
    #[must_use]
    pub fn has_content(&self) -> bool {
        let Self { entries, quarantined, assessments, alerts, journal, .. } = self;
        !(entries.is_empty()
            && quarantined.is_empty()
            && assessments.is_empty()
            && alerts.is_empty()
            && journal.is_empty())
    }
}

/// One admitted message.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which.
    pub key: KitSeq,
    /// SHA-256 of what it says (readings and answers), so that a reused seq with other content is noticed.
    pub hash: [u8; 32],
    /// Whose.
    pub patient: PatientId,
    /// The sitting.
    pub session: SessionId,
    /// When the kit sent it.
    pub sent_at: Timestamp,
    /// When the hub recorded it: the judge's stamp of this message alone.
    pub recorded_at: Timestamp,
    /// Admitted readings, in canonical units.
    pub readings: Vec<Reading>,
    /// Answers.
    pub answers: Vec<Answer>,
    /// What the kit says of commands.
    pub receipts: Vec<Receipt>,
}

/// Bytes that could not be used, whole or in part.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// The kit whose credentials brought it.
    pub kit: KitId,
    /// Its seq, where that could be read.
    pub seq: Option<u64>,
    /// SHA-256 of the bytes.
    pub hash: [u8; 32],
    /// The payload as it came.
    pub bytes: Vec<u8>,
    /// What was found, what was wanted and where.
    pub reason: String,
    /// Is nothing of the message stored elsewhere? Then this is its dedupe mark too.
    pub whole: bool,
}

/// Something in quarantine, as listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QuarantinedEntry {
    /// Its number.
    pub id: i64,
    /// The kit.
    pub kit: KitId,
    /// Its seq, where known.
    pub seq: Option<u64>,
    /// When it came.
    pub recorded_at: Timestamp,
    /// Why it is here.
    pub reason: String,
    /// How many bytes.
    pub bytes: u64,
}

/// A stored message, for rebuilding a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    /// Which.
    pub key: KitSeq,
    /// When the hub recorded it: its stamp.
    pub recorded_at: Timestamp,
    /// The sitting.
    pub session: SessionId,
    /// Its readings; those that were invalidated too (see [`Store::invalidated`](crate::Store::invalidated)).
    pub readings: Vec<Reading>,
    /// Its answers.
    pub answers: Vec<Answer>,
}

/// The values of one vital over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// Which.
    pub vital: Vital,
    /// Canonical unit.
    pub unit: Unit,
    /// By `measured_at`, oldest first.
    pub points: Vec<CurvePoint>,
}

/// One point of a curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// When it was measured.
    pub at: Timestamp,
    /// How much.
    pub value: Value,
    /// Was anything odd about it? (Not that it is simulated, nor that it came from the device's memory.)
    pub flagged: bool,
    /// Was it invalidated? Nothing is judged by it.
    pub invalid: bool,
}

/// A person being monitored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patient {
    /// Opaque id.
    pub id: PatientId,
    /// Shown to staff.
    pub name: String,
    /// Year of birth, for the age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<i16>,
    /// Ids of the programmes, e.g. `copd`. In a file `programme` is one id or a list of them.
    #[serde(rename = "programme", alias = "programmes", with = "crate::one_or_more")]
    pub programmes: Vec<String>,
    /// The risk level, e.g. `high`: one of the strata of the programmes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stratum: Option<String>,
    /// Own limits over the programme's, in the form of `triage::Own`.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub own: serde_json::Value,
    /// A person that does not exist, for demonstration and test.
    #[serde(default)]
    pub simulated: bool,
    /// Watched since; set when first stored if the file does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// A home gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kit {
    /// The MQTT client id and user name.
    pub id: KitId,
    /// Given to; absent on a kit that several people share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<PatientId>,
    /// Those who share it (station mode); empty on a kit of one person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patients: Vec<PatientId>,
    /// SHA-256 of its password (256 random bits), in hex; empty until it has enrolled. An empty one never takes the place of one that is stored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret_sha256: String,
    /// Handed out at; readings before this are rejected. Set when first stored if the file does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Its devices, as configured.
    #[serde(default)]
    pub devices: Vec<String>,
    /// May it no longer connect?
    #[serde(default)]
    pub revoked: bool,
}

impl Kit {
    /// Everybody who measures with it.
    pub fn people(&self) -> impl Iterator<Item = &PatientId> {
        self.patient.iter().chain(&self.patients)
    }

    /// Does this patient measure with it?
    #[must_use]
    pub fn serves(&self, patient: &PatientId) -> bool {
        self.people().any(|one| one == patient)
    }

    /// Do several people share it?
    #[must_use]
    pub fn is_station(&self) -> bool {
        self.patient.is_none()
    }
}

/// A one-time code that was given out for a kit.
#[derive(Clone, Debug, PartialEq)]
pub struct Enrolment {
    /// For which kit.
    pub kit: KitId,
    /// SHA-256 of the code, in hex: the store never holds a code that could be used.
    pub code_sha256: String,
    /// After this it is good for nothing.
    pub expires_at: Timestamp,
    /// SHA-256 of the secret that it was used with, in hex.
    pub secret_sha256: Option<String>,
}

/// What became of a code that a kit brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// The kit has its new secret: now, or since the same was asked before.
    Yes(KitId),
    /// No such code was given out, or it is too late, or the kit was revoked since.
    No,
    /// The code was used with another secret.
    Used(KitId),
}

/// What is asked of a kit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The same id is the same command.
    pub id: String,
    /// Of which kit.
    pub kit: KitId,
    /// For whom. Nobody, where it is for a kit that several people share (`diagnostics`). Earlier programs named nobody of a kit of one person
    /// either: that was for whoever had the kit then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<PatientId>,
    /// What: `remeasure`, `message`, `schedule`, `diagnostics`, `seen`.
    pub command: String,
    /// Who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was asked.
    pub issued_at: Timestamp,
    /// After this it must not be done any more.
    pub expires_at: Timestamp,
    /// What else it says, as the wire has it: `vital`, `text`, `schedule`.
    pub body: serde_json::Value,
}

/// A command, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandState {
    /// Which.
    #[serde(flatten)]
    pub command: Command,
    /// How far it is.
    pub state: Progress,
    /// Since when.
    pub changed_at: Timestamp,
    /// What the kit said beside that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Everything that the kit said, oldest first.
    pub receipts: Vec<Receipt>,
}

/// How far a command is, in the order in which it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// The kit has not said anything of it.
    Waiting,
    /// The kit has it.
    Taken,
    /// It came too late, or nothing was heard of it in time; or whom it was for had the kit no longer.
    Expired,
    /// It can't be done.
    Failed,
    /// It is done.
    Done,
    /// A person has read it.
    Read,
}

impl Progress {
    /// Every one.
    pub const ALL: [Self; 6] = [Self::Waiting, Self::Taken, Self::Expired, Self::Failed, Self::Done, Self::Read];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Taken => "taken",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Done => "done",
            Self::Read => "read",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|progress| progress.name() == name)
    }
}

/// What a kit says of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The command's id, as the kit has it.
    pub command: String,
    /// What became of it.
    pub outcome: Progress,
    /// When, by the kit's clock.
    pub at: Timestamp,
    /// What there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Patients and kits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// People.
    #[serde(default, rename = "patient")]
    pub patients: Vec<Patient>,
    /// Kits.
    #[serde(default, rename = "kit")]
    pub kits: Vec<Kit>,
}

/// What was last heard of a kit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// Which.
    pub kit: KitId,
    /// When the hub heard it.
    pub at: Timestamp,
    /// Is it connected?
    pub online: bool,
    /// Its last status payload, as JSON.
    #[serde(default)]
    pub status: serde_json::Value,
}

/// A member of staff who signs in with a password.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// User name.
    pub user: String,
    /// Shown to colleagues.
    pub name: String,
    /// Argon2id, as a PHC string.
    pub password_hash: String,
    /// `nurse`, `doctor`, `operator` or `admin`.
    pub role: String,
    /// Language of the pages, `da` or `en`.
    pub language: String,
}

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq)]
pub struct WebSession {
    /// SHA-256 of the cookie's token, in hex: the store never holds a token that could be used.
    pub id: String,
    /// What the session holds, as JSON.
    pub data: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// How much is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// Messages.
    pub messages: u64,
    /// Readings.
    pub readings: u64,
    /// Answers.
    pub answers: u64,
    /// Quarantined payloads or parts.
    pub quarantined: u64,
    /// Alerts ever.
    pub alerts: u64,
    /// Alerts that wait, by colour.
    pub open: BTreeMap<Colour, u64>,
    /// Alerts that wait for missing data: blue stands beside the colours.
    pub open_blue: u64,
    /// The schema's version.
    pub schema: u32,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file was written by a newer program.
    #[error(
        "{path}: schema version {found} is newer than {known}, the newest this program knows: use the newer vagt, or a backup from before its upgrade"
    )]
    NewerSchema {
        /// Which file.
        path: String,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The database can't be opened or written.
    #[error("{path}: {what}")]
    Unusable {
        /// Which file.
        path: String,
        /// In one sentence, what to do about it.
        what: String,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// A message is there already, or twice in one batch: the caller asks `seen` first. Nothing of the batch was stored.
    #[error("{kit}: message {seq} is stored already, or twice in this batch; nothing of the batch was stored")]
    Duplicate {
        /// Whose.
        kit: KitId,
        /// Which.
        seq: u64,
    },
    /// A patient would have two open alerts of one family. Nothing of the batch was stored.
    #[error("{patient}: a second open alert of family {family}; nothing of the batch was stored")]
    AlertAlreadyOpen {
        /// Whose.
        patient: PatientId,
        /// Which family of rules.
        family: String,
    },
    /// A kit of the roster is given to somebody who is not in it. Nothing of the roster was stored.
    #[error("{kit} is given to {patient}, who is not in the roster")]
    UnknownPatient {
        /// Which kit.
        kit: KitId,
        /// To whom.
        patient: PatientId,
    },
    /// A version of a programme is there already with another text. Nothing was stored.
    #[error(
        "programme {programme}: version {version} is stored already with another text; a version is never edited, want a new number"
    )]
    VersionTaken {
        /// The programme's id.
        programme: String,
        /// Which version.
        version: u32,
    },
    /// Somebody else has decided something since this was decided. Nothing was changed.
    #[error(
        "somebody decided something else meanwhile (the journal has {found} such entries, want {known}): look at it again"
    )]
    Overtaken {
        /// Entries that there are.
        found: u64,
        /// Entries that were known of.
        known: u64,
    },
    /// Another service writes to this database.
    #[error("another service leads this database: {by}; nothing was stored")]
    Led {
        /// Which, and since when nothing was heard of it.
        by: String,
    },
    /// Another service has taken over from this one. Nothing was stored, and nothing will be.
    #[error(
        "another service has taken the lead (epoch {epoch}, this one had {own}); nothing was stored, stop this one"
    )]
    LeadLost {
        /// This one's epoch.
        own: i64,
        /// The database's.
        epoch: i64,
    },
    /// Everything comes into an empty store alone. Nothing was changed.
    #[error("{store}: found {found} rows of {section}, want an empty store: name a new file, or a new database")]
    NotEmpty {
        /// Which store.
        store: String,
        /// Of what something is there.
        section: &'static str,
        /// How many rows.
        found: u64,
    },
    /// A line that was carried here can't be taken in. Nothing was changed.
    #[error("section {section}, line {line}: {what}")]
    BadLine {
        /// Of which section.
        section: String,
        /// Its place among those that came with it, from 0.
        line: usize,
        /// What was found, or wanted, without a value.
        what: String,
    },
    /// It was opened for reading only.
    #[error("the store was opened for reading only")]
    ReadOnly,
    /// It was closed.
    #[error("the store is closed")]
    Closed,
    /// The database refused.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// Something stored can't be read back.
    #[error("{table} row {row}: {what}")]
    Corrupt {
        /// Where.
        table: &'static str,
        /// Which.
        row: String,
        /// What was found.
        what: String,
    },
}

/// Connections to a server that reads take turns with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Open, and nobody's.
    pub idle: u32,
    /// With somebody.
    pub used: u32,
    /// How many there may be.
    pub most: u32,
    /// Reads that wait for one now.
    pub waiting: u32,
    /// Reads that have had to wait.
    pub waits: u64,
}
