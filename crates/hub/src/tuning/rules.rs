//! What each rule is worth: how often it fired, what nurses did about it, and what it costs them. Counted from the alerts that were really raised.
//!
//! - *Fired*: alerts that it raised, or fed with something above green. *Alone*: those that no other rule fed.
//! - *Acted on*: closed with advice, a change of medicine, a nurse sent, an admission. *False*: closed as a false alarm or as technical.
//! - *Positive predictive value*: acted on, of those acted on or false: what nurses said of it. Beside it the same from recorded outcomes: alerts that
//!   belong to an event, of those old enough to say (see `agreement.rs`).
//! - *Burden*: alerts in a shift, and minutes from the raising until the alert ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Serialize;
use store::{Journal, PatientOutcome, Store, StoreError};
use triage::{Alert, AlertId, CALL_RULE, CloseReason, Mark, State};
use vitals::PatientId;

use super::{
    agreement::{Counts, Raise, Window, share, tidy},
    compare::Span,
    history::alerts_of,
    shift::Shifts,
    tally::ByMark,
};
use crate::programmes::all_entries;

/// What is asked.
#[derive(Clone, Debug)]
pub struct RulesAsk {
    /// Of this programme alone.
    pub programme: Option<String>,
    /// Alerts raised in this time.
    pub span: Span,
    /// What belongs to an outcome.
    pub window: Window,
    /// The clinic's time zone.
    pub zone: TimeZone,
    /// The length of a nurse shift.
    pub shift: SignedDuration,
}

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct RulesReport {
    /// From when on.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Alerts in that time.
    pub alerts: u64,
    /// Are people among them who do not exist?
    pub simulated: bool,
    /// One row for each rule and version of its programme, those that fired most first.
    pub rules: Vec<RuleRow>,
    /// How it was counted, in words.
    pub conventions: Vec<&'static str>,
}

/// One rule of one version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleRow {
    /// The programme's id.
    pub programme: String,
    /// Its version.
    pub version: u32,
    /// The rule's id.
    pub rule: String,
    /// Alerts that it raised or fed, by the worst mark that it gave.
    pub fired: ByMark,
    /// Those that no other rule fed.
    pub alone: u64,
    /// Those that somebody took.
    pub acknowledged: u64,
    /// Those that nurses closed, by reason.
    pub closed: BTreeMap<&'static str, u64>,
    /// Closed by doing something.
    pub acted_on: u64,
    /// Closed as a false alarm, or as technical.
    pub closed_as_false: u64,
    /// Passed by themselves.
    pub eased: u64,
    /// Open still.
    pub open: u64,
    /// Acted on, of those acted on or false.
    pub ppv: Option<f64>,
    /// Alerts that belong to a recorded outcome, of those old enough to say.
    pub ppv_by_outcomes: Option<f64>,
    /// Alerts in a shift, on average.
    pub per_shift: f64,
    /// Minutes from raising to ending, the middle one of those that have ended.
    pub minutes_open_median: Option<f64>,
    /// All of them together, in hours.
    pub hours_open: f64,
}

/// Reads the alerts and counts.
///
/// # Errors
/// The store can't be read.
pub async fn report(store: &dyn Store, ask: &RulesAsk) -> Result<RulesReport, StoreError> {
    let patients = store.roster().await?.patients;
    let ids = patients.iter().map(|patient| patient.id.clone()).collect();
    let alerts = alerts_of(store, ids, |alert| ask.span.holds(alert.raised_at).then_some(alert)).await?;
    let told = Told::read(store).await?;
    let concerned: BTreeSet<&PatientId> = alerts.iter().map(|alert| &alert.patient).collect();
    let simulated = patients.iter().any(|patient| patient.simulated && concerned.contains(&patient.id));
    Ok(RulesReport {
        since: ask.span.since,
        until: ask.span.until,
        alerts: alerts.len() as u64,
        simulated,
        rules: rows(&alerts, &told, ask),
        conventions: vec![
            "Fired: alerts that the rule raised, or fed with something above green; an alert of several rules counts for each.",
            "Positive predictive value: acted on (advice, medicine changed, acute nurse sent, admitted), of those acted on or closed as false or technical.",
            "By outcomes: alerts that belong to a recorded outcome, of those old enough to say.",
            "Minutes open: from raising until it eased or was closed.",
        ],
    })
}

/// What the journal says of alerts and people.
#[derive(Default)]
pub struct Told {
    acknowledged: BTreeSet<AlertId>,
    outcomes: HashMap<PatientId, Vec<Timestamp>>,
}

impl Told {
    async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let mut told = Self::default();
        for entry in all_entries(store, &["acted", "outcome_recorded"]).await? {
            match (entry.what, entry.patient) {
                (Journal::Acted { alert, action: triage::Action::Acknowledge, .. }, _) => {
                    told.acknowledged.insert(alert);
                }
                (Journal::OutcomeRecorded { outcome, at, .. }, Some(patient)) if outcome != PatientOutcome::Other => {
                    told.outcomes.entry(patient).or_default().push(at);
                }
                _ => {}
            }
        }
        Ok(told)
    }
}

/// One row for each rule and version.
#[must_use]
pub fn rows(alerts: &[Alert], told: &Told, ask: &RulesAsk) -> Vec<RuleRow> {
    let mut counted: BTreeMap<(String, u32, String), Counted> = BTreeMap::new();
    for alert in alerts {
        for ((programme, version, rule), mark) in rules_of(alert) {
            if ask.programme.as_ref().is_some_and(|wanted| wanted != programme) {
                continue;
            }
            let key = (programme.to_owned(), version, rule.to_owned());
            let counted = counted.entry(key).or_insert_with(|| Counted::new(ask));
            counted.alert(alert, mark, told, ask);
        }
    }
    let mut rows: Vec<RuleRow> = counted.into_iter().map(|(key, counted)| counted.row(key)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.fired.all()));
    rows
}

/// The rules that fed an alert with something above green, and the worst mark of each: it was raised for what was withdrawn since, too.
fn rules_of(alert: &Alert) -> BTreeMap<(&str, u32, &str), Mark> {
    let mut rules = BTreeMap::new();
    let above = |finding: &&triage::Finding| finding.colour > Mark::Green && finding.rule != CALL_RULE;
    for finding in alert.ever_found().filter(above) {
        let worst = rules.entry((finding.programme.as_str(), finding.version, finding.rule.as_str()));
        let worst = worst.or_insert(finding.colour);
        *worst = finding.colour.max(*worst);
    }
    rules
}

struct Counted {
    row: RuleRow,
    shifts: Shifts,
    agreement: Counts,
    minutes: Vec<f64>,
}

impl Counted {
    fn new(ask: &RulesAsk) -> Self {
        let row = RuleRow {
            programme: String::new(),
            version: 0,
            rule: String::new(),
            fired: ByMark::default(),
            alone: 0,
            acknowledged: 0,
            closed: BTreeMap::new(),
            acted_on: 0,
            closed_as_false: 0,
            eased: 0,
            open: 0,
            ppv: None,
            ppv_by_outcomes: None,
            per_shift: 0.0,
            minutes_open_median: None,
            hours_open: 0.0,
        };
        let shifts = Shifts::new(ask.zone.clone(), ask.span.since, ask.span.until, ask.shift);
        Self { row, shifts, agreement: Counts::default(), minutes: Vec::new() }
    }

    fn alert(&mut self, alert: &Alert, mark: Mark, told: &Told, ask: &RulesAsk) {
        let row = &mut self.row;
        row.fired.count(mark);
        row.alone += u64::from(rules_of(alert).len() == 1);
        let taken = told.acknowledged.contains(&alert.id);
        row.acknowledged += u64::from(taken || matches!(alert.state, State::Acknowledged { .. }));
        let ended = match &alert.state {
            State::Closed { at, reason, .. } => {
                *row.closed.entry(super::tally::reason_name(*reason)).or_default() += 1;
                row.acted_on += u64::from(is_action(*reason));
                row.closed_as_false += u64::from(is_false(*reason));
                Some(*at)
            }
            State::Eased { at } => {
                row.eased += 1;
                Some(*at)
            }
            State::Open | State::Acknowledged { .. } => {
                row.open += 1;
                None
            }
        };
        let until = ended.unwrap_or(ask.span.until).max(alert.raised_at);
        let minutes = until.duration_since(alert.raised_at).as_secs_f64() / 60.0;
        row.hours_open += minutes / 60.0;
        self.minutes.extend(ended.map(|_| minutes));
        self.shifts.count(alert.raised_at);
        if mark >= Mark::Yellow {
            let raise = Raise { at: alert.raised_at, red_at: None, counts: true };
            let events =
                told.outcomes.get(&alert.patient).map(|outcomes| ask.window.events(outcomes)).unwrap_or_default();
            self.agreement.patient(&events, &[raise], ask.span.until, &ask.window);
        }
    }

    fn row(mut self, (programme, version, rule): (String, u32, String)) -> RuleRow {
        self.minutes.sort_by(f64::total_cmp);
        let median = self.minutes.get(self.minutes.len().saturating_sub(1) / 2).map(|minutes| tidy(*minutes));
        let row = self.row;
        let told = row.acted_on + row.closed_as_false;
        RuleRow {
            programme,
            version,
            rule,
            ppv: share(row.acted_on, told),
            ppv_by_outcomes: share(self.agreement.true_alerts, self.agreement.alerts),
            per_shift: self.shifts.summary().mean,
            minutes_open_median: median,
            hours_open: tidy(row.hours_open),
            ..row
        }
    }
}

/// Did the nurse do something?
fn is_action(reason: CloseReason) -> bool {
    use CloseReason::{AcuteNurseSent, Admitted, Advice, MedicineChanged};
    matches!(reason, Advice | MedicineChanged | AcuteNurseSent | Admitted)
}

/// Was it no alarm?
fn is_false(reason: CloseReason) -> bool {
    matches!(reason, CloseReason::FalseAlarm | CloseReason::Technical)
}

impl std::fmt::Display for RulesReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} to {}: {} alerts", self.since, self.until, self.alerts)?;
        if self.simulated {
            writeln!(f, "SIMULATED: people among them do not exist")?;
        }
        writeln!(
            f,
            "\n{:<32}{:>5}{:>7}{:>7}{:>7}{:>8}{:>7}{:>7}{:>7}{:>9}{:>10}{:>10}",
            "rule",
            "v",
            "red",
            "yellow",
            "blue",
            "acted",
            "false",
            "eased",
            "PPV",
            "by outc.",
            "per shift",
            "min. open"
        )?;
        for row in &self.rules {
            let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0));
            let minutes = row.minutes_open_median.map_or("-".to_owned(), |minutes| format!("{minutes:.0}"));
            writeln!(
                f,
                "{:<32}{:>5}{:>7}{:>7}{:>7}{:>8}{:>7}{:>7}{:>7}{:>9}{:>10.2}{:>10}",
                format!("{}/{}", row.programme, row.rule),
                row.version,
                row.fired.red,
                row.fired.yellow,
                row.fired.blue,
                row.acted_on,
                row.closed_as_false,
                row.eased,
                percent(row.ppv),
                percent(row.ppv_by_outcomes),
                row.per_shift,
                minutes,
            )?;
        }
        writeln!(f)?;
        self.conventions.iter().try_for_each(|convention| writeln!(f, "- {convention}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_is_counted_for_an_alert_whose_reading_was_declared_invalid_since() {
        let at = "2026-11-22T08:00:00Z";
        let red = json!({ "rule": "spo2", "version": 1, "programme": "copd", "colour": "red", "why": "SpO2 80 %, red at 85 % or less",
            "reason": { "kind": "answer", "questionnaire": "q", "question": "a", "answer": "b" }, "inputs": [], "at": at });
        let alert = json!({ "id": "0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f", "patient": "p-1", "family": "copd", "mark": "red", "now_mark": "green",
            "state": { "state": "closed", "by": "anna", "at": at, "reason": "technical", "note": "" }, "waiting_since": at, "raised_at": at,
            "changed_at": at, "late": false, "count": 1, "normal_in_row": 0, "findings": [], "withdrawn": [red], "version": 2 });
        let alert: Alert = serde_json::from_str(&alert.to_string()).unwrap();
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let ask = RulesAsk {
            programme: None,
            span: Span { since: time("2026-11-01T00:00:00Z"), until: time("2026-12-01T00:00:00Z") },
            window: Window::default(),
            zone: TimeZone::UTC,
            shift: SignedDuration::from_hours(8),
        };
        let rows = rows(&[alert], &Told::default(), &ask);
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((row.rule.as_str(), row.fired.red, row.closed_as_false, row.ppv), ("spo2", 1, 1, Some(0.0)));
    }
}
