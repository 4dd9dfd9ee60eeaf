//! What the demonstration says while it runs: lines for a person, or JSON lines for a program.

use std::{
    collections::HashMap,
    io::{IsTerminal, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use triage::{Alert, AlertEvent, AlertId, EventKind, Mark};
use vitals::PatientId;

use super::homes::Prepared;
use crate::{cli::out, clock, serve::Ready};

/// Says what happens, once.
pub struct Teller {
    json: bool,
    began: Instant,
    names: HashMap<PatientId, &'static str>,
    /// The mark that was last told of each alert. Bounded by what is open.
    told: HashMap<AlertId, Mark>,
    spinner: ProgressBar,
}

impl Teller {
    /// Tells of these homes.
    pub fn new(json: bool, homes: &[Prepared]) -> Self {
        let now = clock::now();
        let names = homes.iter().map(|home| (home.patient(now).id, home.name())).collect();
        Self { json, began: Instant::now(), names, told: HashMap::new(), spinner: spinner() }
    }

    /// The service is there.
    pub fn ready(&self, ready: &Ready, user: &str, password: &str) -> anyhow::Result<()> {
        let (http, mqtt) = (ready.http, ready.mqtt);
        let text = format!(
            "\n  The clinic's page:  {http}/\n  Sign in as:         {user}\n  Password:           {password}\n\n  \
             Kits connect to {mqtt} (MQTT). Everybody here is simulated. Ctrl-C ends it.\n"
        );
        self.say(json!({ "event": "ready", "http": http, "mqtt": mqtt, "user": user, "password": password }), &text)
    }

    /// A home runs.
    pub fn home(&self, name: &str, kiosk: SocketAddr) -> anyhow::Result<()> {
        let page = format!("http://{kiosk}/");
        let text = format!("home of {name} runs, with its kit's page at {page}");
        self.say(json!({ "event": "home", "name": name, "kiosk": page }), &text)
    }

    /// Is this alert new, or worse than was told?
    pub fn is_news(&self, alert: &Alert) -> bool {
        self.told.get(&alert.id).is_none_or(|told| *told < alert.mark)
    }

    /// An alert is on the queue, or got worse.
    pub fn alert(&mut self, alert: &Alert, history: &[AlertEvent]) -> anyhow::Result<()> {
        self.told.insert(alert.id, alert.mark);
        let name = self.names.get(&alert.patient).copied().unwrap_or_default();
        let worse = |event: &&AlertEvent| matches!(event.kind, EventKind::Raised | EventKind::Worsened);
        let raised = || history.iter().rev().find(worse).map(|event| event.text.as_str());
        let newest = alert.findings.first().filter(|finding| finding.colour == alert.mark).map(|f| f.why.as_str());
        let why = newest.or_else(raised).unwrap_or_default();
        let event = json!({
            "event": "alert", "id": alert.id, "patient": alert.patient, "family": alert.family, "mark": alert.mark,
            "name": name, "why": why, "after_seconds": self.began.elapsed().as_secs(),
        });
        self.say(event, &format!("alert  {:<6}  {name}: {why}", mark(alert.mark)))
    }

    /// Nothing new.
    pub fn waiting(&self) {
        let yellow_or_red = self.told.values().any(|mark| *mark >= Mark::Yellow);
        let what =
            if yellow_or_red { "the clinic is at work; see the page" } else { "waiting for the first measured alert" };
        self.spinner.set_message(format!("{} s, {what}", self.began.elapsed().as_secs()));
    }

    /// It ends.
    pub fn stopping(&self) {
        self.spinner.finish_and_clear();
        if !self.json {
            eprintln!("stopping");
        }
    }

    fn say(&self, event: Value, text: &str) -> anyhow::Result<()> {
        self.spinner.suspend(|| {
            let mut out = out();
            if self.json {
                writeln!(out, "{event}")?
            } else {
                writeln!(out, "{text}")?
            }
            out.flush()
        })?;
        Ok(())
    }
}

fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Green => "green",
        Mark::Blue => "blue",
        Mark::Yellow => "yellow",
        Mark::Red => "red",
    }
}

/// On standard error, if that is a terminal.
fn spinner() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    spinner.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("the template is a constant"));
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}
