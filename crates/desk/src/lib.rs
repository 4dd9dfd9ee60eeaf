//! Step 8 and the people in front of it: the pages, the HTTP API, the event stream, and sign-in.
//!
//! The desk reads a [`Board`] in memory and a [`store::Store`]; what a nurse does goes to the pipeline as an [`ActionRequest`], and comes back
//! as a change of the board like every other. It never judges anybody itself, and of MQTT it knows no more than what a
//! kit can be asked for.

mod action;
mod api;
mod app;
mod assets;
mod board;
mod clock;
mod command;
mod door;
mod events;
mod explain;
mod feed;
mod health;
mod limit;
mod measure;
mod names;
mod openapi;
mod outcomes;
mod pages;
mod password;
mod problem;
mod right;
mod router;
mod say;
mod schemas;
mod security;
mod session;
mod settings;
mod sign_in;
mod spark;
mod standby;
mod tuning;
mod ward;
mod words;

use std::sync::Arc;

use jiff::tz::TimeZone;
use metrics_exporter_prometheus::PrometheusHandle;
use store::Store;
use tokio::sync::mpsc;

pub use action::{ACTION_SECONDS_MAX, ActionRefused, ActionRequest};
pub use board::{Board, Counts, Follower, INTAKE_AGE_MAX, Intake, KitState, Liveness, Person, Standing, Stopped};
pub use command::{Ask, AskRefused, COMMANDS_WAITING_MAX, ask};
pub use door::{BODY_BYTES_MAX, Door, Entered, NotTakenIn, TakenIn};
pub use events::EVENT_PAGES_MAX;
pub use explain::{Explained, WhyAlert, WhyNot, why_alert, why_quiet};
pub use feed::{FEED_CHANGES_MAX, Pulse};
pub use outcomes::{NewOutcome, outcomes, record_outcome};
pub use password::password_hash;
pub use router::router;
pub use standby::{Standby, standby};
pub use tuning::{
    BacktestAsk, BudgetAsk, Diff, ProgrammeText, ProgrammeView, Proposed, Question, Refusal, Refused, Tuning,
    VersionState, VersionView,
};
pub use ward::{Change, Place, Ward};

/// What the desk is made of.
pub struct Desk {
    /// Accounts, sessions, curves and histories.
    pub store: Arc<dyn Store>,
    /// What waits.
    pub board: Arc<Board>,
    /// The pipeline's ear.
    pub actions: mpsc::Sender<ActionRequest>,
    /// Programmes and what is asked of the history; none where the desk runs without the clinic's service.
    pub tuning: Option<Arc<dyn Tuning>>,
    /// Charts of a time past, own settings, readings that are left out; none as above.
    pub ward: Option<Arc<dyn Ward>>,
    /// Takes kits' messages over HTTP; none as above.
    pub door: Option<Arc<dyn Door>>,
    /// What `/metrics` prints.
    pub metrics: PrometheusHandle,
    /// The clinic's time zone: pages speak in it.
    pub zone: TimeZone,
    /// The clinic's name, in the page's head.
    pub clinic: String,
    /// Cookies only over TLS: true unless the listener is plain HTTP on loopback.
    pub secure_cookies: bool,
    /// Says "simulated" over every page.
    pub simulated: bool,
}

#[cfg(test)]
mod tests;
