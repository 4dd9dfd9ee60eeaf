//! A life of a patient on a shipped programme, made up by a property test: sittings (late, doubtful, told twice), silence, nurses, a kit that
//! falls silent; judged live, and judged again from what is stored.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use proptest::{prelude::*, sample::Index};
use triage::{
    Action, Alert, AlertChange, AlertId, Chart, CloseReason, Event, Outcome, Own, Plan, Programme, SHIPPED, Sitting,
    act, assess, next_tick,
};
use vitals::{Answer, KitId, Reading};

use crate::person::{bytes, clinic, reading, time};

/// Vitals with the least and the most that is measured, in units of the last digit.
const RANGES: [(&str, i64, i64, usize); 10] = [
    ("spo2", 82, 98, 0),
    ("pulse", 50, 130, 0),
    ("resp_rate", 10, 28, 0),
    ("temperature", 358, 392, 1),
    ("systolic", 85, 180, 0),
    ("diastolic", 50, 110, 0),
    ("weight", 790, 830, 1),
    ("fev1", 100, 160, 2),
    ("fvc", 200, 300, 2),
    ("oxygen_flow", 0, 3, 0),
];

/// What happens next.
#[derive(Clone, Debug)]
pub enum Op {
    /// So many hours later (each but a few a day), these come, measured so many minutes before.
    Comes { hours: i64, late: i64, vitals: Vec<(Index, u16, u8)>, answers: Vec<(Index, Index)> },
    /// An earlier message comes again.
    Again(Index),
    /// Time passes.
    Passes { hours: i64 },
    /// The kit falls silent, or is there again.
    Kit(bool),
    /// A nurse closes an alert.
    Closes(Index),
    /// The judge ends, and another begins.
    Restart,
}

pub fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    let late = prop_oneof![6 => Just(0_i64), 1 => 1..40_i64, 2 => 40..5000_i64];
    let hours = prop_oneof![1 => 0..2_i64, 4 => 20..30_i64];
    let vitals = prop::collection::vec((any::<Index>(), any::<u16>(), any::<u8>()), 0..6);
    let answers = prop::collection::vec((any::<Index>(), any::<Index>()), 0..4);
    let comes = (hours, late, vitals, answers).prop_map(|(hours, late, vitals, answers)| Op::Comes {
        hours,
        late,
        vitals,
        answers,
    });
    let op = prop_oneof![
        12 => comes,
        1 => any::<Index>().prop_map(Op::Again),
        1 => (1..60_i64).prop_map(|hours| Op::Passes { hours }),
        1 => any::<bool>().prop_map(Op::Kit),
        2 => any::<Index>().prop_map(Op::Closes),
        1 => Just(Op::Restart),
    ];
    prop::collection::vec(op, 1..most)
}

/// Something that was judged, as it is stored.
#[derive(Clone, Debug)]
pub enum Step {
    Message { seq: u64, readings: Vec<Reading>, answers: Vec<Answer> },
    Tick,
    Kit(Option<Timestamp>),
    Closed(Box<Alert>),
}

/// A patient.
#[derive(Clone)]
pub struct Life {
    pub plan: Plan,
    pub chart: Chart,
    pub now: Timestamp,
    pub steps: Vec<(Timestamp, Step)>,
    pub alerts: BTreeMap<AlertId, Alert>,
    seq: u64,
}

pub fn shipped(name: &str) -> Arc<Programme> {
    let (file, text) = SHIPPED.iter().find(|(file, _)| *file == name).unwrap();
    Arc::new(Programme::parse(text, file).unwrap_or_else(|fault| panic!("{fault}")))
}

/// The readings and answers that an op stands for. Of a value that a device gives twice for one moment the flags of the first count.
pub fn contents(
    plan: &Plan,
    at: Timestamp,
    vitals: &[(Index, u16, u8)],
    answers: &[(Index, Index)],
) -> (Vec<Reading>, Vec<Answer>) {
    let mut readings: Vec<Reading> = Vec::new();
    for (which, how, flag) in vitals {
        let (vital, least, most, digits) = which.get(&RANGES);
        let number = least + i64::from(*how) * (most - least) / 65_535;
        let value = match digits {
            0 => number.to_string(),
            _ => {
                let scale = 10_i64.pow(u32::try_from(*digits).unwrap());
                format!("{}.{:0digits$}", number / scale, number % scale, digits = digits)
            }
        };
        let flag = ["", "", "", "", "", "", " low_perfusion", " irregular_pulse"][usize::from(flag % 8)];
        let one = reading(&format!("{value} {vital}{flag}"), at);
        if readings.iter().all(|other| (other.vital, other.value) != (one.vital, one.value)) {
            readings.push(one);
        }
    }
    let questionnaires = plan.programme().questionnaires();
    let asked = answers.iter().filter(|_| !questionnaires.is_empty()).map(|(which, how)| {
        let questions: Vec<_> =
            questionnaires.iter().flat_map(|it| it.question.iter().map(move |question| (it, question))).collect();
        let (of, question) = which.get(&questions);
        let answer = if question.choice.is_empty() { "words".into() } else { how.get(&question.choice).id.clone() };
        let (questionnaire, question) = (of.id.clone(), question.id.clone());
        Answer { questionnaire, version: of.version, question, answer, answered_at: at }
    });
    (readings, asked.collect())
}

impl Life {
    pub fn on(programme: &Arc<Programme>, own: Own) -> Self {
        let since = time("2026-03-02T06:00:00Z");
        let (patient, zone) = ("p-1".parse().unwrap(), TimeZone::get("Europe/Copenhagen").unwrap());
        let plan = Plan::new(patient, vec![Arc::clone(programme)], clinic(), own, zone, since).unwrap();
        let chart = Chart::new().with_silence_judged(since);
        Self { plan, chart, now: since, steps: Vec::new(), alerts: BTreeMap::new(), seq: 0 }
    }

    /// What an op does: the outcome, in bytes.
    pub fn does(&mut self, op: &Op) -> String {
        self.now += SignedDuration::from_millis(1);
        match op {
            Op::Comes { hours, late, vitals, answers } => {
                self.passes(*hours);
                let measured = self.now - SignedDuration::from_mins(*late);
                let (readings, answers) = contents(&self.plan, measured, vitals, answers);
                self.comes(readings, answers)
            }
            Op::Again(which) => {
                let lately = self.now - SignedDuration::from_hours(24 * 14);
                let messages = self.steps.iter().filter(|(at, _)| *at > lately).filter_map(|(_, step)| match step {
                    Step::Message { readings, answers, .. } => Some((readings, answers)),
                    _ => None,
                });
                let messages: Vec<_> = messages.collect();
                if messages.is_empty() {
                    return String::new();
                }
                let (readings, answers) = which.get(&messages);
                self.comes((*readings).clone(), (*answers).clone())
            }
            Op::Passes { hours } => {
                self.passes(*hours);
                String::new()
            }
            Op::Kit(silent) => {
                let outcome = self.judges(Step::Kit(silent.then_some(self.now)));
                bytes(&outcome)
            }
            Op::Closes(which) => self.closes(which),
            Op::Restart => String::new(),
        }
    }

    /// A message comes.
    pub fn takes(&mut self, readings: Vec<Reading>, answers: Vec<Answer>) -> String {
        self.now += SignedDuration::from_millis(1);
        self.comes(readings, answers)
    }

    fn comes(&mut self, readings: Vec<Reading>, answers: Vec<Answer>) -> String {
        self.seq += 1;
        let outcome = self.judges(Step::Message { seq: self.seq, readings, answers });
        bytes(&outcome)
    }

    /// Time passes: what is due is judged in time, and stored where it changes something.
    pub fn passes(&mut self, hours: i64) {
        let until = self.now + SignedDuration::from_hours(hours);
        while let Some(due) = next_tick(&self.chart, &self.plan).filter(|due| *due <= until) {
            self.now = due.max(self.now + SignedDuration::from_millis(1));
            let outcome = assess(&mut self.chart, &self.plan, &Event::Tick, self.now);
            if outcome.assessment.is_some() || !outcome.alerts.is_empty() {
                self.steps.push((self.now, Step::Tick));
                self.keep(&outcome.alerts);
            }
        }
        self.now = self.now.max(until);
    }

    fn judges(&mut self, step: Step) -> Outcome {
        let outcome = judge(&mut self.chart, &self.plan, &step, self.now);
        self.steps.push((self.now, step));
        self.keep(&outcome.alerts);
        outcome
    }

    fn keep(&mut self, changes: &[AlertChange]) {
        self.alerts.extend(changes.iter().map(|change| (change.alert.id, change.alert.clone())));
    }

    fn closes(&mut self, which: &Index) -> String {
        let open: Vec<Alert> = self.chart.open_alerts().cloned().collect();
        if open.is_empty() {
            return String::new();
        }
        let Alert { id, version, .. } = *which.get(&open);
        self.close(id, version)
    }

    /// A nurse closes this one.
    pub fn close(&mut self, id: AlertId, version: u32) -> String {
        let action = Action::Close { reason: CloseReason::Advice, note: "called".into() };
        let change = act(&mut self.chart, id, version, &action, "anna", self.now).unwrap();
        self.steps.push((self.now, Step::Closed(Box::new(change.alert.clone()))));
        self.keep(std::slice::from_ref(&change));
        serde_json::to_string(&change).unwrap()
    }

    /// The chart as it comes from what is stored, by the same plan.
    pub fn rebuilt(&self) -> Chart {
        let from = self.now.checked_sub(self.plan.book().history()).unwrap();
        let mut chart = Chart::new().with_silence_judged(from);
        let lasting = |(at, step): &&(Timestamp, Step)| *at < from && matches!(step, Step::Kit(_));
        if let Some((_, step)) = self.steps.iter().rfind(lasting) {
            judge(&mut chart, &self.plan, step, from);
        }
        for (at, step) in self.steps.iter().filter(|(at, _)| *at >= from) {
            judge(&mut chart, &self.plan, step, *at);
        }
        chart.with_alerts(self.alerts.values().filter(|alert| alert.state.is_open()).cloned().collect())
    }

    /// What a chart says of now.
    pub fn said(&self, chart: &Chart) -> String {
        let lines = |lines: Vec<String>| lines.join("\n");
        let standing = chart.standing(&self.plan).iter().map(|it| serde_json::to_string(it).unwrap()).collect();
        let alerts = chart.open_alerts().map(|it| serde_json::to_string(it).unwrap()).collect();
        let (colour, blue, last, tick) = (chart.colour(), chart.blue(), chart.last_at(), next_tick(chart, &self.plan));
        format!("{colour} {blue} {last:?} {tick:?}\n{}\n{}", lines(standing), lines(alerts))
    }
}

fn judge(chart: &mut Chart, plan: &Plan, step: &Step, at: Timestamp) -> Outcome {
    let kit: KitId = "kit-1".parse().unwrap();
    match step {
        Step::Message { seq, readings, answers } => {
            assess(chart, plan, &Event::Sitting(Sitting { kit: &kit, seq: *seq, readings, answers }), at)
        }
        Step::Tick => assess(chart, plan, &Event::Tick, at),
        Step::Kit(since) => assess(chart, plan, &Event::Kit(*since), at),
        Step::Closed(alert) => {
            chart.hear_closed(alert);
            Outcome::default()
        }
    }
}
