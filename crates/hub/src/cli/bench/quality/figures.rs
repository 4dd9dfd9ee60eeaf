//! From counts to figures: sums over people, confidence by drawing people again, and false alerts at equal sensitivity.

use serde::Serialize;

use super::tally::Tally;
use crate::cohort::Draw;

/// Lead times are counted in steps of this many days, from the earliest that can be.
const LEAD_STEP: f32 = 0.25;
/// The largest and the smallest lead, in days (a true alert is at most 7 days before onset and 3 after; treatment up to 4 later).
const LEAD_MAX: f32 = 12.0;
const LEAD_MIN: f32 = -4.0;
const LEAD_STEPS: usize = 65;

/// One number with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Over everybody.
    pub value: f64,
    /// 2.5 % of the redrawn are below.
    pub low: f64,
    /// 2.5 % are above.
    pub high: f64,
}

/// Sums over people.
#[derive(Clone, Debug)]
pub struct Sum {
    weeks: f64,
    events: f64,
    detected: f64,
    alerts: f64,
    right: f64,
    false_alerts: f64,
    by_technique: f64,
    blue: f64,
    leads: [f64; LEAD_STEPS],
    leads_to_treatment: [f64; LEAD_STEPS],
}

impl Default for Sum {
    fn default() -> Self {
        let (leads, leads_to_treatment) = ([0.0; LEAD_STEPS], [0.0; LEAD_STEPS]);
        Self {
            weeks: 0.0,
            events: 0.0,
            detected: 0.0,
            alerts: 0.0,
            right: 0.0,
            false_alerts: 0.0,
            by_technique: 0.0,
            blue: 0.0,
            leads,
            leads_to_treatment,
        }
    }
}

impl Sum {
    /// Adds somebody, so many times.
    pub fn add(&mut self, weeks: f64, tally: &Tally, times: f64) {
        self.weeks += weeks * times;
        self.events += f64::from(tally.events) * times;
        self.detected += f64::from(tally.detected) * times;
        self.alerts += f64::from(tally.alerts) * times;
        self.right += f64::from(tally.right) * times;
        self.false_alerts += f64::from(tally.false_alerts) * times;
        self.by_technique += f64::from(tally.by_technique) * times;
        self.blue += f64::from(tally.blue) * times;
        for lead in &tally.leads {
            self.leads[step(*lead)] += times;
        }
        for lead in &tally.leads_to_treatment {
            self.leads_to_treatment[step(*lead)] += times;
        }
    }

    /// Events found, of all events.
    #[must_use]
    pub fn sensitivity(&self) -> f64 {
        share(self.detected, self.events)
    }

    /// True alerts, of true and false ones.
    #[must_use]
    pub fn ppv(&self) -> f64 {
        share(self.right, self.right + self.false_alerts)
    }

    /// Alerts a person and week.
    #[must_use]
    pub fn alerts_a_week(&self) -> f64 {
        share(self.alerts, self.weeks)
    }

    /// False alerts a person and week.
    #[must_use]
    pub fn false_a_week(&self) -> f64 {
        share(self.false_alerts, self.weeks)
    }

    /// Alerts of missing data a person and week.
    #[must_use]
    pub fn blue_a_week(&self) -> f64 {
        share(self.blue, self.weeks)
    }

    /// False alerts that a wrong measurement raised, of all false ones.
    #[must_use]
    pub fn technique(&self) -> f64 {
        share(self.by_technique, self.false_alerts)
    }

    /// The middle of the days from the first true alert to onset.
    #[must_use]
    pub fn lead(&self) -> f64 {
        median(&self.leads)
    }

    /// The same to treatment.
    #[must_use]
    pub fn lead_to_treatment(&self) -> f64 {
        median(&self.leads_to_treatment)
    }
}

fn share(part: f64, of: f64) -> f64 {
    if of > 0.0 { part / of } else { f64::NAN }
}

fn step(lead: f32) -> usize {
    ((lead.clamp(LEAD_MIN, LEAD_MAX) - LEAD_MIN) / LEAD_STEP) as usize
}

fn median(steps: &[f64; LEAD_STEPS]) -> f64 {
    let (all, mut below) = (steps.iter().sum::<f64>(), 0.0);
    for (at, count) in steps.iter().enumerate() {
        below += count;
        if below > 0.0 && below * 2.0 >= all {
            return f64::from(LEAD_MIN + (at as f32 + 0.5) * LEAD_STEP);
        }
    }
    f64::NAN
}

/// Which people are drawn, how often each: the whole cohort first, then people drawn again from it with replacement, the same for every way.
#[must_use]
pub fn redrawn(people: usize, times: usize, seed: u64) -> Vec<Vec<u16>> {
    let mut drawn = vec![vec![1; people]];
    let mut draw = Draw::new(seed, u64::MAX);
    let most = i64::try_from(people).expect("people are few").saturating_sub(1);
    for _ in 0..times {
        let mut counts = vec![0_u16; people];
        for _ in 0..people {
            counts[usize::try_from(draw.whole(0, most)).expect("from 0")] += 1;
        }
        drawn.push(counts);
    }
    drawn
}

/// The number of the whole cohort with the interval of the redrawn ones. `None` where the whole has none.
#[must_use]
pub fn figure(numbers: &[f64]) -> Option<Figure> {
    let value = *numbers.first().filter(|value| value.is_finite())?;
    let mut sorted: Vec<f64> = numbers[1..].iter().copied().filter(|number| number.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| sorted.get(((sorted.len() as f64 - 1.0) * share).round() as usize).copied().unwrap_or(value);
    Some(Figure { value, low: at(0.025), high: at(0.975) })
}

/// False alerts a week of a curve at this sensitivity: straight between the two settings on either side. Below its first point the curve goes to
/// no alert at all (alerts kept at random); beyond its last nothing is said.
#[must_use]
pub fn false_at(curve: &[(f64, f64)], sensitivity: f64) -> f64 {
    let mut before = (0.0, 0.0);
    for point in curve {
        if point.0 >= sensitivity {
            let along = if point.0 > before.0 { (sensitivity - before.0) / (point.0 - before.0) } else { 0.0 };
            return before.1 + along * (point.1 - before.1);
        }
        if point.0 >= before.0 {
            before = *point;
        }
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_straight_between_settings_and_says_nothing_beyond_its_end() {
        let curve = [(0.2, 0.1), (0.4, 0.3), (0.6, 0.9)];
        for (sensitivity, want) in [(0.1, 0.05), (0.2, 0.1), (0.3, 0.2), (0.5, 0.6), (0.6, 0.9)] {
            assert!((false_at(&curve, sensitivity) - want).abs() < 1e-12, "{sensitivity}");
        }
        assert!(false_at(&curve, 0.61).is_nan());
    }

    #[test]
    fn sums_and_medians_are_as_by_hand() {
        let tally = |detected: u32, leads: &[f32]| Tally {
            events: 2,
            detected,
            alerts: 5,
            right: 2,
            false_alerts: 2,
            leads: leads.to_vec(),
            ..Tally::default()
        };
        let mut sum = Sum::default();
        sum.add(10.0, &tally(2, &[1.0, 3.0]), 1.0);
        sum.add(10.0, &tally(1, &[5.0]), 1.0);
        assert_eq!((sum.sensitivity(), sum.ppv()), (0.75, 0.5));
        assert_eq!((sum.alerts_a_week(), sum.false_a_week()), (0.5, 0.2));
        assert!((sum.lead() - 3.0).abs() < 0.26 && sum.lead_to_treatment().is_nan());
    }

    #[test]
    fn the_interval_of_a_mean_is_about_two_standard_errors() {
        let people: Vec<f64> = (0..400).map(|at| f64::from(at % 2)).collect();
        let mean = |times: &Vec<u16>| {
            people.iter().zip(times).map(|(value, times)| value * f64::from(*times)).sum::<f64>() / people.len() as f64
        };
        let numbers: Vec<f64> = redrawn(people.len(), 600, 3).iter().map(mean).collect();
        let figure = figure(&numbers).unwrap();
        assert!((figure.value - 0.5).abs() < 1e-12);
        assert!((figure.low - 0.451).abs() < 0.012 && (figure.high - 0.549).abs() < 0.012, "{figure:?}");
    }
}
