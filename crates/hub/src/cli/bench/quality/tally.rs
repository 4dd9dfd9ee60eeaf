//! Counts of one person: which events were foretold, and which alerts foretold nothing. The definitions are here, and in `docs/cohort.md`.

use jiff::{SignedDuration, Timestamp};

use super::moments::Moment;
use crate::cohort::{Cohort, Course};

/// Nothing is counted before this day: everybody has learnt by then (limits 14 days, baselines up to 28).
pub const JUDGED_FROM_DAY: i64 = 28;
/// An alert at most so many days before onset is true. Al Rajeh 2020 saw the first changes 7 days before treatment.
pub const BEFORE_DAYS: i64 = 7;
/// And at most so many days after. Ours: later than that, somebody has called a doctor.
pub const AFTER_DAYS: i64 = 3;
/// From then until so many days after treatment began an alert is neither true nor false: the person is known to be ill. Ours.
pub const AFTERMATH_DAYS: i64 = 14;

/// One event, as times.
#[derive(Clone, Copy, Debug)]
pub struct Happened {
    /// From when an alert is true.
    pub from: Timestamp,
    /// Noon of the day of onset.
    pub onset: Timestamp,
    /// Until when an alert is true.
    pub until: Timestamp,
    /// Noon of the day when treatment began.
    pub treated: Timestamp,
    /// Until when an alert is neither.
    pub over: Timestamp,
}

/// What one person's year is judged against.
#[derive(Clone, Debug)]
pub struct Judged {
    /// From when anything counts.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Every event, those before `from` too: their aftermath may reach into it.
    pub events: Vec<Happened>,
}

/// What one way did for one person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Events that count.
    pub events: u32,
    /// Those with a true alert.
    pub detected: u32,
    /// Alerts.
    pub alerts: u32,
    /// True ones.
    pub right: u32,
    /// False ones; the rest came while somebody was known to be ill.
    pub false_alerts: u32,
    /// False ones raised by a sitting in which a measurement was wrong.
    pub by_technique: u32,
    /// Missing data.
    pub blue: u32,
    /// For each event that was detected: days from the first alert to onset.
    pub leads: Vec<f32>,
    /// The same to treatment.
    pub leads_to_treatment: Vec<f32>,
}

const fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

impl Judged {
    /// What somebody's course is judged against.
    #[must_use]
    pub fn of(cohort: &Cohort, course: &Course) -> Self {
        let noon = |day: i64| cohort.midnight(day) + SignedDuration::from_hours(12);
        let happened = course.events.iter().map(|event| Happened {
            from: noon(event.onset) - days(BEFORE_DAYS),
            onset: noon(event.onset),
            until: noon(event.onset) + days(AFTER_DAYS),
            treated: noon(event.treated),
            over: noon(event.treated) + days(AFTERMATH_DAYS),
        });
        let (from, until) = (cohort.midnight(JUDGED_FROM_DAY), cohort.midnight(i64::from(cohort.days)));
        Self { from, until, events: happened.collect() }
    }

    /// The weeks that count.
    #[must_use]
    pub fn weeks(&self) -> f64 {
        self.until.duration_since(self.from).as_secs_f64().max(0.0) / (7.0 * 86_400.0)
    }

    /// The share of the time in which an alert would be true: what guessing would give as positive predictive value.
    #[must_use]
    pub fn seconds_true(&self) -> f64 {
        let within = |event: &Happened| {
            let (from, until) = (event.from.max(self.from), event.until.min(self.until));
            until.duration_since(from).as_secs_f64().max(0.0)
        };
        self.events.iter().map(within).sum()
    }

    /// Does the whole window of this event lie in the time that counts?
    #[must_use]
    pub fn counts(&self, event: &Happened) -> bool {
        self.from <= event.from && event.until <= self.until
    }

    /// Counts the moments of one way.
    #[must_use]
    pub fn tally(&self, moments: &[Moment]) -> Tally {
        let within = |moment: &&Moment| (self.from..self.until).contains(&moment.at);
        let moments: Vec<&Moment> = moments.iter().filter(within).collect();
        let mut tally = Tally::default();
        for event in self.events.iter().filter(|event| self.counts(event)) {
            tally.events += 1;
            if let Some(first) = moments.iter().find(|moment| (event.from..=event.until).contains(&moment.at)) {
                let until = |end: Timestamp| (end.duration_since(first.at).as_secs_f64() / 86_400.0) as f32;
                tally.detected += 1;
                tally.leads.push(until(event.onset));
                tally.leads_to_treatment.push(until(event.treated));
            }
        }
        for moment in moments {
            let is_right = self.events.iter().any(|event| (event.from..=event.until).contains(&moment.at));
            let is_known = self.events.iter().any(|event| (event.from..event.over).contains(&moment.at));
            tally.alerts += 1;
            tally.right += u32::from(is_right);
            tally.false_alerts += u32::from(!is_known);
            tally.by_technique += u32::from(!is_known && moment.wrong);
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use jiff::{civil::date, tz::TimeZone};

    use super::*;
    use crate::cohort::{Effect, Event};

    #[test]
    fn as_by_hand() {
        let cohort = Cohort { seed: 1, days: 200, start: date(2025, 1, 1), zone: TimeZone::UTC };
        let event = |onset: i64| Event {
            onset,
            treated: onset + 2,
            admitted: false,
            begins: onset - 3,
            gains_from: onset,
            size: Effect::default(),
        };
        // Day 30 lies too early to count, day 199 too late.
        let course = Course { events: vec![event(30), event(100), event(150), event(199)], ..Course::default() };
        let judged = Judged::of(&cohort, &course);
        let at = |day: i64, wrong: bool| Moment { at: cohort.midnight(day) + SignedDuration::from_hours(12), wrong };
        // Before the time; true, of an event that does not count itself; false by technique; false; a day too early; true; true; known.
        let moments = [
            at(20, false),
            at(31, false),
            at(60, true),
            at(80, false),
            at(92, false),
            at(93, false),
            at(103, false),
            at(104, false),
        ];
        let tally = judged.tally(&moments);
        assert_eq!((tally.events, tally.detected), (2, 1));
        assert_eq!((tally.alerts, tally.right, tally.false_alerts, tally.by_technique), (7, 3, 3, 1));
        assert_eq!((tally.leads.as_slice(), tally.leads_to_treatment.as_slice()), (&[7.0][..], &[9.0][..]));
        assert_eq!(judged.weeks(), 172.0 / 7.0);
    }
}
