//! What the desk asks of the clinic's service about programmes: versions and what is decided about them, and questions to the stored history.
//! The service implements it; the desk decides who may ask.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{JournalEntry, ProgrammeVersion, StoreError};

/// Programmes, and questions to the history. `by` is always the user name of an account.
#[async_trait]
pub trait Tuning: Send + Sync + 'static {
    /// Every programme with its versions, by id. The clinic's defaults and floors are among them, as `clinic`.
    async fn programmes(&self) -> Result<Vec<ProgrammeView>, Refused>;

    /// One version: its text, and what it says in plain words.
    async fn text(&self, id: &str, version: u32) -> Result<ProgrammeText, Refused>;

    /// What differs between two versions.
    async fn diff(&self, id: &str, from: u32, to: u32) -> Result<Diff, Refused>;

    /// Everything that was decided about a programme, oldest first.
    async fn history(&self, id: &str) -> Result<Vec<JournalEntry>, Refused>;

    /// Keeps a proposed version: `text` says which it is. One whose worked examples fail is kept too, so that it can be tried.
    async fn propose(&self, text: &str, note: &str, by: &str) -> Result<Proposed, Refused>;

    /// Takes a version that somebody else proposed into use, at once or from a time to come on. Gives what was decided.
    async fn activate(
        &self,
        id: &str,
        version: u32,
        from: Option<Timestamp>,
        reason: &str,
        by: &str,
    ) -> Result<Value, Refused>;

    /// Turns a proposed version down.
    async fn reject(&self, id: &str, version: u32, reason: &str, by: &str) -> Result<(), Refused>;

    /// Goes back to the version that was in use before, at once. Gives what was decided.
    async fn rollback(&self, id: &str, reason: &str, by: &str) -> Result<Value, Refused>;

    /// Asks the stored history a long question; gives how it stands, with its `id`.
    async fn ask(&self, question: Question, by: &str) -> Result<Value, Refused>;

    /// Every long question that is known, the newest first: how each stands, without its answer.
    async fn asked(&self) -> Result<Vec<Value>, Refused>;

    /// How a long question stands; with its answer as `result`, once there is one.
    async fn answer(&self, id: &str) -> Result<Value, Refused>;

    /// Ends a long question as soon as may be. What a backtest knows so far is its answer; a budget has none, and proposes nothing.
    async fn cancel(&self, id: &str) -> Result<(), Refused>;

    /// Lets a version judge beside the one in use, without paging anybody.
    async fn shadow_start(&self, id: &str, version: u32, by: &str) -> Result<(), Refused>;

    /// Ends that.
    async fn shadow_stop(&self, id: &str, version: u32, by: &str) -> Result<(), Refused>;

    /// What it would have raised since then, beside what was raised, day by day.
    async fn shadow(&self, id: &str, version: u32, since: Option<Timestamp>) -> Result<Value, Refused>;

    /// Of each rule of a programme: how often it fired, was acted on, was closed as false, and what it is worth.
    async fn rules(&self, id: &str, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Value, Refused>;
}

/// A version that was kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposed {
    /// As it is stored.
    #[serde(flatten)]
    pub kept: ProgrammeVersion,
    /// What keeps it from being taken into use, as it stands: worked examples that fail, or are missing.
    pub obstacles: Vec<String>,
}

/// What differs between two versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The lines, each with `-`, `+` or a space before it; `...` where unchanged lines are left out.
    pub lines: Vec<String>,
    /// Limits that moved while the source of their rule stayed as it was.
    pub warnings: Vec<String>,
}

/// One programme.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProgrammeView {
    /// Its id.
    pub id: String,
    /// The title of the version in use (else of the newest) in English; its id where that can't be read.
    pub title: String,
    /// The same in Danish.
    pub title_da: String,
    /// The version in use.
    pub in_use: Option<u32>,
    /// Its versions, the newest first.
    pub versions: Vec<VersionView>,
}

/// One version of a programme.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionView {
    /// Its number.
    pub version: u32,
    /// How it stands.
    pub state: VersionState,
    /// From when it is or was in use, or will be.
    pub from: Option<Timestamp>,
    /// Does it judge beside the one in use, without paging?
    pub shadow: bool,
    /// Who proposed it.
    pub proposed_by: String,
    /// When.
    pub proposed_at: Timestamp,
    /// Why.
    pub note: String,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
}

/// How a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// Waits for somebody else to activate or reject it.
    Proposed,
    /// Will be in use from a time on.
    Planned,
    /// Is judged by.
    InUse,
    /// Was judged by before.
    Before,
    /// Was turned down.
    Rejected,
}

/// One version with its text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProgrammeText {
    /// As it is stored.
    #[serde(flatten)]
    pub stored: ProgrammeVersion,
    /// What it says, in plain English words; none where this program can't read it.
    pub explained: Option<String>,
}

/// A question to the history that takes a while.
#[derive(Clone, Debug)]
pub enum Question {
    /// What a version would have raised.
    Backtest(BacktestAsk),
    /// Which limits would raise no more than so much.
    Budget(BudgetAsk),
}

/// What is asked of a backtest. What is left out is as on the command line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BacktestAsk {
    /// The programme's id; may be left out beside `text`.
    #[serde(default)]
    pub programme: Option<String>,
    /// A stored version, ...
    #[serde(default)]
    pub version: Option<u32>,
    /// ... or a text that need not be stored.
    #[serde(default)]
    pub text: Option<String>,
    /// Beside this stored version, instead of the one in use.
    #[serde(default)]
    pub active: Option<u32>,
    /// Alerts are counted from here on: 90 days back, if left out.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Until here: now, if left out.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// How many days before that the history begins; as long as the rules look back, if left out.
    #[serde(default)]
    pub warm_up_days: Option<u32>,
    /// The length of a nurse shift, in hours.
    #[serde(default)]
    pub shift_hours: Option<u32>,
    /// An alert at most so many days before an outcome belongs to it.
    #[serde(default)]
    pub lead_days: Option<u32>,
    /// How many differences are told, the worst.
    #[serde(default)]
    pub worst: Option<u32>,
}

/// What is asked of an alert budget.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetAsk {
    /// The programme's id.
    pub programme: String,
    /// At most so many alerts per shift.
    pub per_shift: f64,
    /// Move red limits too, as far as the clinic's safety floors; where there is no floor they stay.
    #[serde(default)]
    pub red: bool,
    /// Propose nothing: tell what was found, and the text.
    #[serde(default)]
    pub dry_run: bool,
    /// As for a backtest.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// As for a backtest.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// As for a backtest.
    #[serde(default)]
    pub shift_hours: Option<u32>,
}

/// Why something was not done: nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// Of which kind.
    pub kind: Refusal,
    /// One clear sentence, or one line for each fault.
    pub text: String,
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The person may not.
    Forbidden,
    /// There is no such thing.
    Unknown,
    /// Not as things stand: the same person proposed it, it is in use already.
    Conflict,
    /// What was sent makes no sense, or is faulty.
    Unfit,
    /// Too much waits: try again later.
    Busy,
    /// The store or the service failed.
    Failed,
}

impl Refused {
    /// Of this kind, with its sentence.
    pub fn new(kind: Refusal, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed a request");
        Self::new(Refusal::Failed, "the store does not answer: try again in a moment")
    }
}
