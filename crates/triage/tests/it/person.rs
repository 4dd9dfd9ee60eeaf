//! A person on the COPD programme, for tests that are lines: what came when, and what must come out.

use std::sync::{Arc, LazyLock};

use jiff::{Timestamp, tz::TimeZone};
use triage::{
    Action, ActionError, AlertChange, COPD, Chart, Clinic, CloseReason, Event, EventKind, Mark, Outcome, Own, Plan,
    Programme, Sitting, act, assess,
};
use vitals::{Answer, Clock, KitId, Reading, Vital};

pub struct Person {
    pub plan: Plan,
    pub chart: Chart,
    pub seq: u64,
}

static PROGRAMME: LazyLock<Arc<Programme>> =
    LazyLock::new(|| Arc::new(Programme::parse(COPD, "copd.toml").unwrap_or_else(|fault| panic!("{fault}"))));

pub fn copd() -> Arc<Programme> {
    Arc::clone(&PROGRAMME)
}

pub fn clinic() -> Arc<Clinic> {
    static CLINIC: LazyLock<Arc<Clinic>> = LazyLock::new(|| Arc::new(Clinic::shipped()));
    Arc::clone(&CLINIC)
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

/// A reading as `93 spo2` or `93 spo2 low_perfusion`, measured at a time.
pub fn reading(text: &str, at: Timestamp) -> Reading {
    let mut parts = text.split(' ');
    let value = parts.next().unwrap().parse().unwrap();
    let vital: Vital = parts.next().unwrap().parse().unwrap();
    let flags = parts.map(|flag| flag.parse().unwrap()).collect();
    Reading {
        vital,
        value,
        unit: vital.unit(),
        measured_at: at,
        clock: Clock::Device,
        device: "test:1".parse().unwrap(),
        flags,
    }
}

pub fn answer(question: &str, answer: &str, at: Timestamp) -> Answer {
    let (question, answer) = (question.to_owned(), answer.to_owned());
    Answer { questionnaire: "copd-daily".into(), version: 1, question, answer, answered_at: at }
}

impl Person {
    /// Watched since Saturday 2026-11-21; the first expected measurement is Monday's.
    pub fn new() -> Self {
        Self::with(Own::default(), "2026-11-21T00:00:00Z")
    }

    pub fn with(own: Own, since: &str) -> Self {
        let zone = TimeZone::get("Europe/Copenhagen").unwrap();
        let plan = Plan::new("p-1".parse().unwrap(), vec![copd()], clinic(), own, zone, time(since))
            .unwrap_or_else(|fault| panic!("{fault}"));
        Self { plan, chart: Chart::new(), seq: 0 }
    }

    /// Readings measured and arrived at the same time.
    pub fn measures(&mut self, at: &str, texts: &[&str]) -> Outcome {
        self.sends(at, at, texts)
    }

    /// Readings measured at one time, arrived at another.
    pub fn sends(&mut self, measured: &str, now: &str, texts: &[&str]) -> Outcome {
        let readings: Vec<Reading> = texts.iter().map(|text| reading(text, time(measured))).collect();
        self.gives(&readings, &[], now)
    }

    pub fn answers(&mut self, at: &str, question: &str, with: &str) -> Outcome {
        self.gives(&[], &[answer(question, with, time(at))], at)
    }

    pub fn gives(&mut self, readings: &[Reading], answers: &[Answer], now: &str) -> Outcome {
        self.seq += 1;
        let kit: KitId = "kit-1".parse().unwrap();
        let sitting = Sitting { kit: &kit, seq: self.seq, readings, answers };
        assess(&mut self.chart, &self.plan, &Event::Sitting(sitting), time(now))
    }

    pub fn ticks(&mut self, now: &str) -> Outcome {
        assess(&mut self.chart, &self.plan, &Event::Tick, time(now))
    }

    pub fn acknowledges(&mut self, by: &str, seen: u32) -> Result<AlertChange, ActionError> {
        self.acts(&Action::Acknowledge, by, seen)
    }

    pub fn closes(&mut self, by: &str, seen: u32) -> Result<AlertChange, ActionError> {
        self.acts(&Action::Close { reason: CloseReason::Advice, note: "called".into() }, by, seen)
    }

    fn acts(&mut self, action: &Action, by: &str, seen: u32) -> Result<AlertChange, ActionError> {
        let id = self.chart.open_alerts().next().expect("an open alert").id;
        act(&mut self.chart, id, seen, action, by, time("2026-11-30T12:00:00Z"))
    }

    /// What stands, as `rule mark` in the order of rules.
    pub fn stands(&self) -> Vec<(String, Mark)> {
        self.chart.standing(&self.plan).iter().map(|finding| (finding.rule.clone(), finding.colour)).collect()
    }
}

/// What happened to alerts, in order.
pub fn events(outcome: &Outcome) -> Vec<EventKind> {
    outcome.alerts.iter().map(|change| change.event.kind).collect()
}

/// An outcome to the byte.
pub fn bytes(outcome: &Outcome) -> String {
    let assessment = serde_json::to_string(&outcome.assessment).unwrap();
    let alerts = serde_json::to_string(&outcome.alerts).unwrap();
    format!("{assessment}\n{alerts}")
}

impl Person {
    /// The same person, to try something on.
    pub fn clone_chart(&self) -> Self {
        Self { plan: self.plan.clone(), chart: self.chart.clone(), seq: self.seq }
    }
}
