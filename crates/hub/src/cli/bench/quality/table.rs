//! One row for each way of raising alerts, and how it is printed.

use std::fmt;

use serde::Serialize;

use super::{
    figures::{Figure, Sum, false_at, figure, redrawn},
    people::{Ours, Seen},
    scores::{METHODS, Method},
    tally::Tally,
};
use crate::cohort::Condition;

/// What is said of everybody with one condition.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct People {
    pub line: &'static str,
    pub simulated: bool,
    pub condition: Condition,
    pub people: usize,
    pub readings: u64,
    pub patient_years: f64,
    pub events: u32,
    pub events_per_patient_year: f64,
    /// Events in whose window nothing was sent: nobody can find these.
    pub events_without_data: u32,
    /// What alerts at random would have as positive predictive value.
    pub ppv_by_chance: f64,
}

/// One way at one setting.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Row {
    pub line: &'static str,
    pub simulated: bool,
    pub condition: Condition,
    pub method: String,
    pub sensitivity: Option<Figure>,
    pub ppv: Option<Figure>,
    pub alerts_per_patient_week: Option<Figure>,
    pub false_per_patient_week: Option<Figure>,
    pub lead_days_median: Option<Figure>,
    pub lead_to_treatment_days_median: Option<Figure>,
    /// Of its false alerts, the share that a wrong measurement raised.
    pub false_by_technique: Option<Figure>,
    /// Alerts of missing data; programmes alone have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_per_patient_week: Option<Figure>,
    /// Its false alerts over those of fixed limits set so that they find as many events as it does.
    pub false_over_fixed_at_its_sensitivity: Option<Figure>,
    /// The same at the sensitivity of fixed limits at 3 sd, along its own curve. None where it does not come so high.
    pub false_over_fixed_at_fixed_sensitivity: Option<Figure>,
}

/// One point of a plain way's curve.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Point {
    pub line: &'static str,
    pub simulated: bool,
    pub condition: Condition,
    pub method: &'static str,
    pub setting: f64,
    pub sensitivity: f64,
    pub ppv: f64,
    pub false_per_patient_week: f64,
}

/// Everything of one condition.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Table {
    pub people: People,
    pub rows: Vec<Row>,
    pub points: Vec<Point>,
}

/// Where fixed limits stand in [`METHODS`], and their setting at which others are compared with them: here they alert about as often as those
/// of a published service (Linde: 4.2 alerts a patient and month).
const FIXED: usize = 0;
const FIXED_SETTING: f64 = 3.0;

/// One way at all its settings, for the whole cohort and each redrawn one.
struct Curve {
    /// For each setting, from the one with the fewest alerts, for each draw.
    sums: Vec<Vec<Sum>>,
}

impl Curve {
    /// Sums tallies: one list of settings for each person.
    fn of(seen: &[&Seen], drawn: &[Vec<u16>], tallies: &[&[Tally]]) -> Self {
        let settings = tallies.first().map_or(0, |tallies| tallies.len());
        let sum = |setting: usize, times: &Vec<u16>| {
            let mut sum = Sum::default();
            for ((one, tallies), times) in seen.iter().zip(tallies).zip(times).filter(|(_, times)| **times > 0) {
                sum.add(one.weeks, &tallies[setting], f64::from(*times));
            }
            sum
        };
        Self { sums: (0..settings).map(|setting| drawn.iter().map(|times| sum(setting, times)).collect()).collect() }
    }

    /// Sensitivity and false alerts at each setting, of one draw.
    fn points(&self, draw: usize) -> Vec<(f64, f64)> {
        self.sums.iter().map(|of_setting| (of_setting[draw].sensitivity(), of_setting[draw].false_a_week())).collect()
    }

    fn figure(&self, setting: usize, of: impl Fn(&Sum) -> f64) -> Option<Figure> {
        figure(&self.sums[setting].iter().map(of).collect::<Vec<f64>>())
    }
}

/// Makes the table of one condition. `None` where nobody has it.
#[must_use]
pub fn table(condition: Condition, seen: &[Seen], ours: &[Ours], resamples: usize, seed: u64) -> Option<Table> {
    let seen: Vec<&Seen> = seen.iter().filter(|one| one.condition == condition).collect();
    if seen.is_empty() {
        return None;
    }
    let drawn = redrawn(seen.len(), resamples, seed);
    let plain = |method: usize| {
        Curve::of(&seen, &drawn, &seen.iter().map(|one| one.plain[method].as_slice()).collect::<Vec<_>>())
    };
    let fixed = Fixed::of(plain(FIXED));
    let (mut rows, mut points) = (Vec::new(), Vec::new());
    for (at, method) in METHODS.iter().enumerate().filter(|(_, method)| method.concerns.contains(&condition)) {
        let curve = plain(at);
        points.extend(curve_points(condition, method, &curve));
        for (setting, value) in method.swept.iter().enumerate().filter(|(_, value)| method.printed.contains(value)) {
            rows.push(row(condition, method.label(*value), &curve, setting, &fixed));
        }
    }
    for (at, one) in ours.iter().enumerate().filter(|(_, one)| one.concerns.contains(&condition)) {
        // Red alone comes first: from the fewest alerts on.
        let tallies: Vec<&[Tally]> =
            seen.iter().filter_map(|seen| seen.ours[at].as_ref()).map(|both| &both[..]).collect();
        let (curve, name) = (Curve::of(&seen, &drawn, &tallies), &one.name);
        let mut yellow = row(condition, format!("{name}, yellow or red"), &curve, 1, &fixed);
        yellow.missing_per_patient_week = curve.figure(1, Sum::blue_a_week);
        rows.push(yellow);
        rows.push(row(condition, format!("{name}, red"), &curve, 0, &fixed));
    }
    Some(Table { people: people(condition, &seen), rows, points })
}

/// Fixed limits, with which everything is compared.
struct Fixed {
    curve: Curve,
    /// Sensitivity and false alerts at [`FIXED_SETTING`], of each draw.
    at_setting: Vec<(f64, f64)>,
}

impl Fixed {
    fn of(curve: Curve) -> Self {
        let setting = METHODS[FIXED].swept.iter().position(|value| *value == FIXED_SETTING).expect("it is swept");
        let at_setting = curve.sums[setting].iter().map(|sum| (sum.sensitivity(), sum.false_a_week())).collect();
        Self { curve, at_setting }
    }

    /// A way's false alerts over those of fixed limits, where these find as much as it does at this setting.
    fn at_its(&self, curve: &Curve, setting: usize) -> Option<Figure> {
        let ratio =
            |(draw, sum): (usize, &Sum)| sum.false_a_week() / false_at(&self.curve.points(draw), sum.sensitivity());
        figure(&curve.sums[setting].iter().enumerate().map(ratio).collect::<Vec<f64>>())
    }

    /// The same where it finds as much as fixed limits at their setting.
    fn at_fixed(&self, curve: &Curve) -> Option<Figure> {
        let ratio =
            |(draw, (sensitivity, alerts)): (usize, &(f64, f64))| false_at(&curve.points(draw), *sensitivity) / alerts;
        figure(&self.at_setting.iter().enumerate().map(ratio).collect::<Vec<f64>>())
    }
}

fn curve_points(condition: Condition, method: &Method, curve: &Curve) -> Vec<Point> {
    let point = |(setting, sums): (&f64, &Vec<Sum>)| Point {
        line: "point",
        simulated: true,
        condition,
        method: method.name,
        setting: *setting,
        sensitivity: tidy(sums[0].sensitivity()),
        ppv: tidy(sums[0].ppv()),
        false_per_patient_week: tidy(sums[0].false_a_week()),
    };
    method.swept.iter().zip(&curve.sums).map(point).collect()
}

fn row(condition: Condition, method: String, curve: &Curve, setting: usize, fixed: &Fixed) -> Row {
    let of = |number: fn(&Sum) -> f64| curve.figure(setting, number);
    Row {
        line: "method",
        simulated: true,
        condition,
        method,
        sensitivity: of(Sum::sensitivity),
        ppv: of(Sum::ppv),
        alerts_per_patient_week: of(Sum::alerts_a_week),
        false_per_patient_week: of(Sum::false_a_week),
        lead_days_median: of(Sum::lead),
        lead_to_treatment_days_median: of(Sum::lead_to_treatment),
        false_by_technique: of(Sum::technique),
        missing_per_patient_week: None,
        false_over_fixed_at_its_sensitivity: fixed.at_its(curve, setting),
        false_over_fixed_at_fixed_sensitivity: fixed.at_fixed(curve),
    }
}

fn people(condition: Condition, seen: &[&Seen]) -> People {
    let weeks: f64 = seen.iter().map(|one| one.weeks).sum();
    let years = weeks * 7.0 / 365.25;
    let events = seen.iter().map(|one| one.events).sum();
    People {
        line: "people",
        simulated: true,
        condition,
        people: seen.len(),
        readings: seen.iter().map(|one| one.readings).sum(),
        patient_years: tidy(years),
        events,
        events_per_patient_year: tidy(f64::from(events) / years),
        events_without_data: seen.iter().map(|one| one.silent_events).sum(),
        ppv_by_chance: tidy(seen.iter().map(|one| one.seconds_true).sum::<f64>() / (weeks * 7.0 * 86_400.0)),
    }
}

/// To four digits.
fn tidy(number: f64) -> f64 {
    // No minus before a zero.
    (number * 10_000.0).round() / 10_000.0 + 0.0
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let People { condition, people, events, ppv_by_chance, events_per_patient_year, .. } = &self.people;
        let name = match condition {
            Condition::Copd => "COPD",
            Condition::HeartFailure => "Heart failure",
            Condition::PulmonaryFibrosis => "Pulmonary fibrosis",
        };
        writeln!(
            f,
            "{name}: {people} simulated people, {events} events that count ({events_per_patient_year:.2} a patient-year; {} without any data around \
             them), PPV by chance {:.1} %\n",
            self.people.events_without_data,
            ppv_by_chance * 100.0
        )?;
        writeln!(
            f,
            "| method | sensitivity % | PPV % | alerts a patient-week | false a patient-week | lead, days | false / fixed limits' at its \
             sensitivity | at theirs (3 sd) |"
        )?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- | --- |")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            self.method,
            said(self.sensitivity, 100.0, 1),
            said(self.ppv, 100.0, 1),
            said(self.alerts_per_patient_week, 1.0, 3),
            said(self.false_per_patient_week, 1.0, 3),
            said(self.lead_days_median, 1.0, 1),
            said(self.false_over_fixed_at_its_sensitivity, 1.0, 2),
            said(self.false_over_fixed_at_fixed_sensitivity, 1.0, 2)
        )
    }
}

/// A number with its interval.
fn said(figure: Option<Figure>, times: f64, digits: usize) -> String {
    figure.map_or_else(
        || "-".to_owned(),
        |Figure { value, low, high }| {
            format!("{:.digits$} ({:.digits$} to {:.digits$})", value * times, low * times, high * times)
        },
    )
}
