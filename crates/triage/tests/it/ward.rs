//! A person on a small programme that a test writes: rules, what comes when, and what each rule says.

use std::sync::Arc;

use jiff::{Timestamp, tz::TimeZone};
use triage::{Chart, Event, Finding, Mark, Outcome, Own, Plan, Programme, ProgrammeError, Sitting, assess};
use vitals::{Answer, KitId, Reading};

use crate::person::{clinic, reading, time};

/// What is around the rules: a questionnaire, two schedules, two risk levels.
const AROUND: &str = r#"id = "ward"
version = 1
title = { en = "Ward", da = "Afdeling" }
zone = "Europe/Copenhagen"

[clinic]
late_after = "24h"
ease_after_sittings = 2
early = "2h"
grace = "2h"

[[schedule]]
id = "daily"
days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
at = "08:00"
window = "4h"

[[schedule]]
id = "mondays"
days = ["monday"]
at = "08:00"
window = "4h"

[[stratum]]
id = "low"
title = { en = "Low", da = "Lav" }
rank = 1
schedules = ["mondays"]

[[stratum]]
id = "high"
title = { en = "High", da = "Høj" }
rank = 7
schedules = ["daily"]

[[questionnaire]]
id = "asked"
version = 1
title = { en = "How are you?", da = "Hvordan har du det?" }

[[questionnaire.question]]
id = "breathless"
text = { en = "Breathless?", da = "Forpustet?" }
choice = [{ id = "no", text = { en = "No", da = "Nej" } }, { id = "yes", text = { en = "Yes", da = "Ja" } }]

[[questionnaire.question]]
id = "cough"
text = { en = "Cough?", da = "Hoste?" }
choice = [{ id = "no", text = { en = "No", da = "Nej" } }, { id = "yes", text = { en = "Yes", da = "Ja" } }]

[[questionnaire.question]]
id = "sputum"
text = { en = "Sputum?", da = "Slim?" }
only_if = { question = "cough", answer = "yes" }
choice = [{ id = "clear", text = { en = "Clear", da = "Klart" } }, { id = "green", text = { en = "Green", da = "Grønt" } }]
"#;

/// A pulse that others refer to.
pub const PULSE: &str = r#"
[[rule]]
id = "pulse"
kind = "band"
family = "ward"
vital = "pulse"
unit = "/min"
bands = [{ mark = "green", below = 110 }, { mark = "yellow", from = 110, below = 130 }, { mark = "red", from = 130 }]
"#;

/// A weight that others refer to.
pub const WEIGHT: &str = r#"
[[rule]]
id = "weight"
kind = "band"
family = "ward"
vital = "weight"
unit = "kg"
bands = [{ mark = "green", below = 90 }, { mark = "yellow", from = 90 }]
"#;

#[derive(Clone)]
pub struct Ward {
    pub plan: Plan,
    pub chart: Chart,
    seq: u64,
}

pub fn programme(rules: &str) -> Result<Programme, ProgrammeError> {
    Programme::parse(&format!("{AROUND}{rules}"), "ward.toml")
}

/// On which line of the file the rules begin.
pub fn first_line() -> usize {
    AROUND.lines().count()
}

impl Ward {
    pub fn of(rules: &str) -> Self {
        Self::with(rules, Own::default())
    }

    /// The same, where what is doubtful is measured again.
    pub fn repeating(rules: &str) -> Self {
        let around =
            AROUND.replace("grace = \"2h\"", "grace = \"2h\"\nrepeat_within = \"15m\"\nrefuted_reds_freeze = false");
        Self::judged(Programme::parse(&format!("{around}{rules}"), "ward.toml"), Own::default())
    }

    /// Watched since Monday 2026-11-02.
    pub fn with(rules: &str, own: Own) -> Self {
        Self::judged(programme(rules), own)
    }

    fn judged(programme: Result<Programme, ProgrammeError>, own: Own) -> Self {
        let programme = programme.unwrap_or_else(|fault| panic!("{fault}"));
        let (patient, zone) = ("p-1".parse().unwrap(), TimeZone::get("Europe/Copenhagen").unwrap());
        let plan = Plan::new(patient, vec![Arc::new(programme)], clinic(), own, zone, time("2026-11-02T00:00:00Z"))
            .unwrap_or_else(|fault| panic!("{fault}"));
        Self { plan, chart: Chart::new(), seq: 0 }
    }

    /// `day 08:00` of November 2026 in UTC, with `70 pulse` or `cough=yes`, several parted by commas.
    pub fn on(&mut self, at: &str, what: &str) -> Outcome {
        self.sends(at, at, what)
    }

    /// The same, arriving later.
    pub fn sends(&mut self, measured: &str, now: &str, what: &str) -> Outcome {
        let (readings, answers) = parsed(moment(measured), what);
        self.gives(&readings, &answers, moment(now))
    }

    pub fn gives(&mut self, readings: &[Reading], answers: &[Answer], now: Timestamp) -> Outcome {
        self.seq += 1;
        let kit: KitId = "kit-1".parse().unwrap();
        let sitting = Sitting { kit: &kit, seq: self.seq, readings, answers };
        assess(&mut self.chart, &self.plan, &Event::Sitting(sitting), now)
    }

    pub fn ticks(&mut self, at: &str) -> Outcome {
        assess(&mut self.chart, &self.plan, &Event::Tick, moment(at))
    }

    pub fn kit(&mut self, at: &str, silent: bool) {
        assess(&mut self.chart, &self.plan, &Event::Kit(silent.then(|| moment(at))), moment(at));
    }

    pub fn finding(&self, rule: &str) -> Option<Finding> {
        self.chart.standing(&self.plan).into_iter().find(|finding| finding.rule == rule)
    }

    pub fn mark(&self, rule: &str) -> Option<Mark> {
        self.finding(rule).map(|finding| finding.colour)
    }

    pub fn why(&self, rule: &str) -> String {
        self.finding(rule).map(|finding| finding.why).unwrap_or_default()
    }

    /// Open alerts: family, mark.
    pub fn alerts(&self) -> Vec<(String, Mark)> {
        self.chart.open_alerts().map(|alert| (alert.family.clone(), alert.mark)).collect()
    }
}

/// `24 08:00` in November 2026.
pub fn moment(at: &str) -> Timestamp {
    let (day, clock) = at.split_once(' ').unwrap_or_else(|| panic!("{at:?}"));
    let day: i64 = day.parse().unwrap();
    time(&format!("2026-11-01T{clock}:00Z")) + jiff::SignedDuration::from_hours(24 * (day - 1))
}

pub fn parsed(at: Timestamp, what: &str) -> (Vec<Reading>, Vec<Answer>) {
    let (mut readings, mut answers) = (Vec::new(), Vec::new());
    for one in what.split(", ").filter(|one| !one.is_empty()) {
        match one.split_once('=') {
            Some((question, answer)) => answers.push(Answer {
                questionnaire: "asked".into(),
                version: 1,
                question: question.into(),
                answer: answer.into(),
                answered_at: at,
            }),
            None => readings.push(reading(one, at)),
        }
    }
    (readings, answers)
}

/// What comes, and what a rule must say after each: nothing as `-`.
#[track_caller]
pub fn course(rules: &str, rule: &str, course: &[(&str, &str, &str)]) -> Ward {
    let mut ward = Ward::of(rules);
    for (at, what, wanted) in course {
        ward.on(at, what);
        let found = ward.mark(rule).map_or("-".to_owned(), |mark| format!("{mark:?}").to_lowercase());
        assert_eq!(&found, wanted, "{at} {what}: {}", ward.why(rule));
    }
    ward
}
