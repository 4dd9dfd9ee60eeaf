//! How well alerts and recorded outcomes agree: sensitivity, positive predictive value, lead time. Pure counting, with the definitions here.
//!
//! - An *event* is a recorded outcome that says somebody became worse (exacerbation, decompensation, admission, death). Outcomes of one patient
//!   within [`Window::merge`] of the first are one event, at the time of the first.
//! - An alert of illness (yellow or red; not blue, not a call) *belongs* to an event if it was raised, or became red, at most [`Window::lead`] before
//!   it and at most [`Window::after`] after it.
//! - *Sensitivity*: events with an alert that belongs to them, of all events. *Positive predictive value*: alerts that belong to an event, of all
//!   alerts whose time has come: one raised less than `lead` before the end of the history is left out, since its event may be to come.
//! - *Lead time*: from the first alert that belongs to an event until the event; negative where the alert came after it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// What belongs together, in time. The defaults are the clinic's own: published signs begin 3 to 7 days before an exacerbation.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// An alert at most so long before an event belongs to it.
    pub lead: SignedDuration,
    /// An alert at most so long after an event belongs to it.
    pub after: SignedDuration,
    /// Outcomes at most so long after the first are the same event.
    pub merge: SignedDuration,
}

impl Default for Window {
    fn default() -> Self {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        Self { lead: days(7), after: days(1), merge: days(14) }
    }
}

impl Window {
    /// The times of the events among these outcomes.
    #[must_use]
    pub fn events(&self, outcomes: &[Timestamp]) -> Vec<Timestamp> {
        let mut sorted = outcomes.to_vec();
        sorted.sort_unstable();
        let mut events: Vec<Timestamp> = Vec::new();
        for at in sorted {
            if events.last().is_none_or(|last| at.duration_since(*last) > self.merge) {
                events.push(at);
            }
        }
        events
    }

    /// Does what happened at `at` belong to the event?
    #[must_use]
    pub fn belongs(&self, at: Timestamp, event: Timestamp) -> bool {
        let before = event.duration_since(at);
        before <= self.lead && -before <= self.after
    }
}

/// One alert, as far as it matters here: when it was raised, and when it became red, if it did.
#[derive(Clone, Copy, Debug)]
pub struct Raise {
    /// When it was raised.
    pub at: Timestamp,
    /// When it became red.
    pub red_at: Option<Timestamp>,
    /// Was it raised within the time that is looked at? One from before may have foretold an event, and counts as no alert.
    pub counts: bool,
}

impl Raise {
    fn moments(&self) -> impl Iterator<Item = Timestamp> {
        [Some(self.at), self.red_at.filter(|red| *red != self.at)].into_iter().flatten()
    }

    /// When it first said something that belongs to the event.
    #[must_use]
    pub fn foretells(&self, event: Timestamp, window: &Window) -> Option<Timestamp> {
        self.moments().find(|at| window.belongs(*at, event))
    }
}

/// Counts of one side, added up over patients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events.
    pub events: u64,
    /// Events with an alert that belongs to them.
    pub detected: u64,
    /// Alerts whose time has come.
    pub alerts: u64,
    /// Those of them that belong to an event.
    pub true_alerts: u64,
    /// Alerts that are too new to say.
    pub undecided: u64,
    /// Lead times, in seconds.
    pub leads: Vec<i64>,
}

impl Counts {
    /// Takes in one patient: the events within the time looked at, and alerts. `until` is where the history ends.
    pub fn patient(&mut self, events: &[Timestamp], raises: &[Raise], until: Timestamp, window: &Window) {
        for event in events {
            self.events += 1;
            let first = raises.iter().filter_map(|raise| raise.foretells(*event, window)).min();
            if let Some(first) = first {
                self.detected += 1;
                self.leads.push(event.duration_since(first).as_secs());
            }
        }
        for raise in raises.iter().filter(|raise| raise.counts) {
            let hit = events.iter().any(|event| raise.foretells(*event, window).is_some());
            if !hit && until.duration_since(raise.at) < window.lead {
                self.undecided += 1;
                continue;
            }
            self.alerts += 1;
            self.true_alerts += u64::from(hit);
        }
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        let Self { events, detected, alerts, true_alerts, undecided, leads } = other;
        self.events += events;
        self.detected += detected;
        self.alerts += alerts;
        self.true_alerts += true_alerts;
        self.undecided += undecided;
        self.leads.extend(leads);
    }

    /// As shares.
    #[must_use]
    pub fn agreement(&self) -> Agreement {
        let mut leads = self.leads.clone();
        leads.sort_unstable();
        let days = |seconds: i64| tidy(seconds as f64 / 86_400.0);
        let at = |numerator: usize| leads.get((leads.len().saturating_sub(1)) * numerator / 4).copied().map(days);
        Agreement {
            events: self.events,
            detected: self.detected,
            sensitivity: share(self.detected, self.events),
            alerts: self.alerts,
            true_alerts: self.true_alerts,
            undecided: self.undecided,
            ppv: share(self.true_alerts, self.alerts),
            lead_days_median: at(2),
            lead_days_quartiles: at(1).zip(at(3)),
        }
    }
}

/// How well one side's alerts agree with the events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Events.
    pub events: u64,
    /// Events with an alert that belongs to them.
    pub detected: u64,
    /// `detected` of `events`; none without events.
    pub sensitivity: Option<f64>,
    /// Alerts whose time has come.
    pub alerts: u64,
    /// Those that belong to an event.
    pub true_alerts: u64,
    /// Too new to say.
    pub undecided: u64,
    /// `true_alerts` of `alerts`; none without alerts.
    pub ppv: Option<f64>,
    /// The middle of the lead times, in days.
    pub lead_days_median: Option<f64>,
    /// Their lower and upper quartile.
    pub lead_days_quartiles: Option<(f64, f64)>,
}

/// A share to four digits; none of nothing.
#[must_use]
pub fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| tidy(part as f64 / of as f64))
}

/// Rounded to four digits.
#[must_use]
pub fn tidy(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(days: f64) -> Timestamp {
        Timestamp::from_second((days * 86_400.0) as i64).unwrap()
    }

    fn raise(at: f64) -> Raise {
        Raise { at: day(at), red_at: None, counts: true }
    }

    #[test]
    fn outcomes_close_together_are_one_event() {
        let window = Window::default();
        assert_eq!(window.events(&[day(20.0), day(10.0), day(24.0), day(40.0)]), [day(10.0), day(40.0)]);
    }

    #[test]
    fn sensitivity_ppv_and_lead_as_by_hand() {
        // Events on day 20 and 60. Alerts on days 5 (of nothing), 14 (6 days before), 18 (2 before), 61 (1 after), 98 (too new to say).
        let raises = [raise(5.0), raise(14.0), raise(18.0), raise(61.0), raise(98.0)];
        let mut counts = Counts::default();
        counts.patient(&[day(20.0), day(60.0)], &raises, day(100.0), &Window::default());
        let agreement = counts.agreement();
        assert_eq!((agreement.events, agreement.detected, agreement.sensitivity), (2, 2, Some(1.0)));
        assert_eq!((agreement.alerts, agreement.true_alerts, agreement.ppv), (4, 3, Some(0.75)));
        assert_eq!(agreement.undecided, 1);
        assert_eq!(agreement.lead_days_quartiles, Some((-1.0, -1.0)));
        assert_eq!(counts.leads, [6 * 86_400, -86_400]);
    }

    #[test]
    fn an_old_alert_that_becomes_red_in_time_belongs_and_one_from_before_counts_as_none() {
        let window = Window::default();
        let old = Raise { at: day(2.0), red_at: Some(day(18.0)), counts: false };
        let mut counts = Counts::default();
        counts.patient(&[day(20.0)], &[old], day(100.0), &window);
        assert_eq!((counts.detected, counts.alerts), (1, 0));
        assert_eq!(counts.leads, [2 * 86_400]);
        counts.patient(&[day(50.0)], &[old], day(100.0), &window);
        assert_eq!((counts.events, counts.detected), (2, 1));
    }

    #[test]
    fn edges_of_the_window_belong() {
        let window = Window::default();
        for (at, belongs) in [(13.0, true), (12.99, false), (21.0, true), (21.01, false)] {
            assert_eq!(window.belongs(day(at), day(20.0)), belongs, "{at}");
        }
    }
}
