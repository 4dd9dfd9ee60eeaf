//! What a backtest tells: the figures of both sides, and the differences that a person should look at first.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    agreement::{Agreement, tidy},
    compare::{Change, Difference, NEAR},
    shift::PerShift,
    side::STAND_IN_SITTINGS,
    tally::{ByMark, Counting, Covered, Ended, PatientAlerts, SideTally, Tally},
};

/// How many patients are named who gain, and who lose, most.
const NAMED_MAX: usize = 20;
const WEEK_SECONDS: f64 = 7.0 * 86_400.0;

/// The result of a backtest.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The programme's id.
    pub programme: String,
    /// The version in use.
    pub active_version: u32,
    /// The version that was tried.
    pub proposed_version: u32,
    /// Worked examples of the tried version that say otherwise, each with its place: it can't be taken into use before they are changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing_examples: Vec<String>,
    /// From when on alerts are counted.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// From when on readings were looked at, so that what compares a person with themselves has something to compare with.
    pub warm_up_from: Timestamp,
    /// Was it ended before the history was over? Then `until` is where it had come to.
    pub partial: bool,
    /// People in the programme.
    pub patients: u64,
    /// How many of them do not exist.
    pub simulated_patients: u64,
    /// How long they were watched together, in weeks.
    pub patient_weeks: f64,
    /// Messages judged, by both programmes each.
    pub messages: u64,
    /// Readings in them.
    pub readings: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The programme in use.
    pub active: SideReport,
    /// The one that was tried.
    pub proposed: SideReport,
    /// How many alerts differ, by what they are and the louder side's mark.
    pub changes: BTreeMap<Change, ByMark>,
    /// People with more alerts than before.
    pub patients_with_more: u64,
    /// People with fewer.
    pub patients_with_fewer: u64,
    /// Those with most more.
    pub gain_most: Vec<PatientAlerts>,
    /// Those with most fewer.
    pub lose_most: Vec<PatientAlerts>,
    /// What nurses closed, by reason, and on which side there is such an alert.
    pub closings: BTreeMap<&'static str, Covered>,
    /// The worst differences, the worst first.
    pub worst: Vec<Difference>,
    /// People whose own settings don't fit the tried version, and why: they were judged without them.
    pub unfit: Vec<Unfit>,
    /// How many there are, where more than are told.
    pub unfit_count: u64,
    /// Alerts that were too many of one patient to be kept.
    pub dropped: u64,
    /// How it was counted, in words.
    pub conventions: Vec<String>,
}

/// A patient whose own settings don't fit.
#[derive(Clone, Debug, Serialize)]
pub struct Unfit {
    /// Whose.
    pub patient: vitals::PatientId,
    /// What was found, what was wanted.
    pub why: String,
}

/// The figures of one side.
#[derive(Clone, Debug, Serialize)]
pub struct SideReport {
    /// Alerts.
    pub alerts: ByMark,
    /// Those that arrived late.
    pub late: u64,
    /// Alerts of one patient in one week.
    pub per_patient_week: PerWeek,
    /// Alerts in one nurse shift.
    pub per_shift: PerShift,
    /// Red ones in one nurse shift.
    pub red_per_shift: PerShift,
    /// How they ended.
    pub ended: Ended,
    /// By the rule that raised them or made them worst.
    pub rules: BTreeMap<String, ByMark>,
    /// Agreement with recorded outcomes, of all that say illness.
    pub agreement: Agreement,
    /// The same of the red ones alone.
    pub red_agreement: Agreement,
}

/// Alerts of one patient in one week.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct PerWeek {
    pub red: f64,
    pub yellow: f64,
    pub blue: f64,
    pub all: f64,
}

/// What is known beside what was counted.
pub struct About {
    /// The programme's id.
    pub programme: String,
    /// The version in use.
    pub active_version: u32,
    /// The version that was tried.
    pub proposed_version: u32,
    /// Where the history began.
    pub warm_up_from: Timestamp,
    /// Was it ended before the history was over?
    pub partial: bool,
    /// Patients that do not exist.
    pub simulated_patients: u64,
    /// How long it took.
    pub seconds: f64,
    /// Patients whose own settings don't fit.
    pub unfit: Vec<Unfit>,
    /// All of them.
    pub unfit_count: u64,
}

impl Report {
    /// The report of what was counted.
    #[must_use]
    pub fn new(about: About, counting: &Counting, mut tally: Tally) -> Self {
        let weeks = tally.watched_seconds as f64 / WEEK_SECONDS;
        let worst = tally.take_worst();
        let (gain_most, patients_with_more) = most(&tally.patients, |patient| patient.more());
        let (lose_most, patients_with_fewer) = most(&tally.patients, |patient| -patient.more());
        Self {
            programme: about.programme,
            active_version: about.active_version,
            proposed_version: about.proposed_version,
            failing_examples: Vec::new(),
            since: counting.span.since,
            until: counting.span.until,
            warm_up_from: about.warm_up_from,
            partial: about.partial,
            patients: tally.patients.len() as u64,
            simulated_patients: about.simulated_patients,
            patient_weeks: tidy(weeks),
            messages: tally.messages,
            readings: tally.readings,
            seconds: about.seconds,
            active: side(tally.active, weeks),
            proposed: side(tally.proposed, weeks),
            changes: tally.changes,
            patients_with_more,
            patients_with_fewer,
            gain_most,
            lose_most,
            closings: tally.closings,
            worst,
            unfit: about.unfit,
            unfit_count: about.unfit_count,
            dropped: tally.dropped,
            conventions: conventions(counting),
        }
    }

    /// The same, of a version of which these examples fail.
    #[must_use]
    pub fn of_failing(self, failing_examples: Vec<String>) -> Self {
        Self { failing_examples, ..self }
    }

    /// Does the tried version differ in nothing?
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.changes.is_empty()
    }
}

fn side(side: SideTally, weeks: f64) -> SideReport {
    let per_week = |count: u64| if weeks > 0.0 { tidy(count as f64 / weeks) } else { 0.0 };
    let ByMark { red, yellow, blue } = side.alerts;
    SideReport {
        alerts: side.alerts,
        late: side.late,
        per_patient_week: PerWeek {
            red: per_week(red),
            yellow: per_week(yellow),
            blue: per_week(blue),
            all: per_week(side.alerts.all()),
        },
        per_shift: side.shifts.summary(),
        red_per_shift: side.red_shifts.summary(),
        ended: side.ended,
        rules: side.rules,
        agreement: side.agreement.agreement(),
        red_agreement: side.red_agreement.agreement(),
    }
}

/// The patients with most, and how many have any.
fn most(patients: &[PatientAlerts], by: impl Fn(&PatientAlerts) -> i64) -> (Vec<PatientAlerts>, u64) {
    let mut some: Vec<&PatientAlerts> = patients.iter().filter(|patient| by(patient) > 0).collect();
    let count = some.len() as u64;
    some.sort_by_key(|patient| std::cmp::Reverse(by(patient)));
    (some.into_iter().take(NAMED_MAX).cloned().collect(), count)
}

fn conventions(counting: &Counting) -> Vec<String> {
    let window = &counting.window;
    let days = |length: jiff::SignedDuration| tidy(length.as_secs_f64() / 86_400.0);
    vec![
        "Both versions judge the same stored messages anew, in the order in which they were recorded; readings that were declared invalid are left \
         out on both sides."
            .to_owned(),
        format!(
            "On both sides an alert ends by itself as triage says; or when a nurse closed the clinic's own alert of that patient and family; or, where \
             it is red, when what raised it was normal for {STAND_IN_SITTINGS} sittings in a row: whichever comes first."
        ),
        format!(
            "Alerts are the same if they are of one family and open at the same time or, where neither is open together with another, within {} h of \
             each other. Missed and foreseen are events that one side alone foretells although both have the alert: it was raised at other times.",
            NEAR.as_hours()
        ),
        format!(
            "An alert belongs to an outcome if it was raised or became red at most {} days before and at most {} days after it; outcomes within {} days \
             are one event.",
            days(window.lead),
            days(window.after),
            days(window.merge)
        ),
        "Sensitivity: events with such an alert, of all events. Positive predictive value: alerts that belong to an event, of those old enough to say. \
         Lead time: from the first such alert until the event."
            .to_owned(),
        "Calls by the patient are in neither side's figures.".to_owned(),
    ]
}
