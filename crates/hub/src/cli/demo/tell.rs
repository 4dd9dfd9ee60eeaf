//! What the demonstration says while it runs: lines for a person, or JSON lines for a program.

use std::{
    collections::HashMap,
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use triage::{Alert, AlertEvent, AlertId, EventKind, Mark};
use vitals::PatientId;

use super::{ADMIN, NURSE, OPERATOR, homes::Prepared, people::PEOPLE, proposal};
use crate::{cli::out, clock, serve::Http};

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
        let homes = homes.iter().map(|home| (home.patient(now).id, home.name()));
        let names = homes.chain(PEOPLE.iter().map(|person| (person.id(), person.name))).collect();
        Self { json, began: Instant::now(), names, told: HashMap::new(), spinner: spinner() }
    }

    /// The past is gone through first.
    pub fn past(&self) {
        self.spinner.set_message("ninety days of simulated people go through the triage");
    }

    /// The service is there; `config` is its configuration file.
    pub fn ready(&self, (http, mqtt): (Http, SocketAddr), password: &str, config: &Path) -> anyhow::Result<()> {
        let commands = commands(config).join("\n  ");
        let text = format!(
            "\n  The clinic's page:  {http}/\n  Sign in as:         {NURSE}, {OPERATOR} (operator) or {ADMIN} (admin)\n  \
             Password:           {password}\n\n  Kits connect to {mqtt} (MQTT). Everybody here is simulated. Ctrl-C ends it.\n\n  \
             To try beside it, in another terminal:\n\n  {commands}\n"
        );
        let event = json!({
            "event": "ready", "http": http, "mqtt": mqtt, "user": NURSE, "password": password, "config": config,
            "operator": OPERATOR, "admin": ADMIN,
        });
        self.say(event, &text)
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
        let worse =
            |event: &&AlertEvent| matches!(event.kind, EventKind::Raised | EventKind::Worsened | EventKind::Reopened);
        let raised = || history.iter().rev().find(worse).map(|event| event.text.as_str());
        let newest = alert.findings.first().filter(|finding| finding.colour == alert.mark).map(|f| f.why.as_str());
        let why = newest.or_else(raised).unwrap_or_default();
        let event = json!({
            "event": "alert", "id": alert.id, "patient": alert.patient, "family": alert.family, "mark": alert.mark,
            "name": name, "why": why, "after_seconds": self.began.elapsed().as_secs(),
        });
        self.say(event, &format!("alert  {:<6}  {name}: {why}", alert.mark.name()))
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

/// What can be tried.
fn commands(config: &Path) -> Vec<String> {
    let vagt = std::env::current_exe().map_or_else(|_| "vagt".to_owned(), |path| path.display().to_string());
    let with = |what: String| format!("{vagt} {what} --config {}", config.display());
    let proposed = config.with_file_name(proposal::FILE);
    vec![
        with("programme diff copd".to_owned()),
        with(format!("backtest --programme {} --since 90d", proposed.display())),
        with("shadow show copd 2".to_owned()),
        with(format!("programme activate copd 2 --by {ADMIN} --reason \"tried and looked at\"")),
        with("report rules".to_owned()),
        with("limits".to_owned()),
        with("budget --at-most 1.15 --per-shift --programme copd --dry-run".to_owned()),
        with("replay --stored --verify".to_owned()),
    ]
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
