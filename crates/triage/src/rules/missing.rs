//! Rule kind `missing`: silence is a finding. A schedule expects vitals at a local time; the measurement may be taken a little early, and in
//! a window after it; a grace later, what has not come is missing. Times are local, so a change to or from summer time moves with the clock
//! on the wall: a time that does not exist that day is the same distance later, one that exists twice is the first.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Time, Weekday},
    tz::TimeZone,
};
use vitals::Vital;

use super::{Rule, Seen, Spec};
use crate::{Finding, Mark, Plan, Programme, Reason, bounds::VITALS_EXPECTED_MAX};

/// A checked rule of silence, with its schedule.
#[derive(Clone, Debug)]
pub(crate) struct MissingSpec {
    pub schedule: String,
    pub vitals: Vec<Vital>,
    pub days: Vec<Weekday>,
    pub at: Time,
    pub early: SignedDuration,
    pub window: SignedDuration,
    pub grace: SignedDuration,
}

/// One occurrence of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// From when on a measurement counts for it.
    pub opens: Timestamp,
    /// When it is expected.
    pub expected: Timestamp,
    /// When it is missing: window and grace over.
    pub overdue: Timestamp,
}

impl MissingSpec {
    /// The occurrences whose deadline lies after `after` and not after `until`, in order.
    pub fn slots(&self, zone: &TimeZone, after: Timestamp, until: Timestamp) -> Vec<Slot> {
        let reach = self.window + self.grace + SignedDuration::from_hours(24);
        let date = |at: Timestamp| zone.to_datetime(at).date();
        let first = after.checked_sub(reach).unwrap_or(Timestamp::MIN);
        let (mut day, last) = (date(first), date(until));
        let mut slots = Vec::new();
        while day <= last {
            if self.days.contains(&day.weekday())
                && let Some(slot) = self.slot(zone, day).filter(|slot| slot.overdue > after && slot.overdue <= until)
            {
                slots.push(slot);
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        slots
    }

    fn slot(&self, zone: &TimeZone, day: jiff::civil::Date) -> Option<Slot> {
        let expected = zone.to_timestamp(day.to_datetime(self.at)).ok()?;
        let overdue = expected.checked_add(self.window).ok()?.checked_add(self.grace).ok()?;
        Some(Slot { opens: self.opens(expected), expected, overdue })
    }

    /// From when on a measurement counts for what is expected at `expected`.
    pub fn opens(&self, expected: Timestamp) -> Timestamp {
        expected.checked_sub(self.early).unwrap_or(Timestamp::MIN)
    }

    /// The bit of a vital among those expected.
    pub fn bit(&self, vital: Vital) -> u16 {
        let place = self.vitals.iter().take(VITALS_EXPECTED_MAX).position(|expected| *expected == vital);
        place.map_or(0, |place| 1 << place)
    }

    /// Those of the expected vitals whose bit is not in `met`.
    pub fn unmet(&self, met: u16) -> Vec<Vital> {
        self.vitals.iter().copied().filter(|vital| met & self.bit(*vital) == 0).collect()
    }
}

/// A blue finding for a deadline that passed.
pub(super) fn judge(rule: &Rule, plan: &Plan, seen: &Seen<'_>) -> Vec<Finding> {
    let (Spec::Missing(spec), Seen::Deadline(deadline)) = (&rule.spec, seen) else { return Vec::new() };
    if *deadline.rule != *rule.id || deadline.vitals.is_empty() {
        return Vec::new();
    }
    let local = |at: Timestamp| at.to_zoned(plan.zone().clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let labels: Vec<&str> = deadline.vitals.iter().map(|vital| vital.info().label).collect();
    let Slot { expected, overdue, .. } = deadline.slot;
    let heard = deadline
        .last_at
        .map_or_else(|| "never heard of before".to_owned(), |at| format!("last heard of {}", local(at)));
    let why =
        format!("no {} for {}, overdue since {}, {heard}", labels.join(" and no "), local(expected), local(overdue));
    let reason = Reason::Missing {
        schedule: spec.schedule.clone(),
        vitals: deadline.vitals.clone(),
        expected_at: expected,
        overdue_at: overdue,
        last_at: deadline.last_at,
    };
    vec![rule.finding(plan, Mark::Blue, why, reason, Vec::new(), overdue)]
}

/// When what is expected.
pub(super) fn explain(rule: &Rule, programme: &Programme) -> String {
    let Spec::Missing(spec) = &rule.spec else { return String::new() };
    let labels: Vec<&str> = spec.vitals.iter().map(|vital| vital.info().label).collect();
    let days: Vec<String> = spec.days.iter().map(|day| format!("{day:?}")).collect();
    format!(
        "{} expected on {} at {} ({}), from {:#} before until {:#} after. What has not come {:#} later is missing and blue. \
         Further measurements may be sent at any time.",
        labels.join(" and "),
        days.join(", "),
        spec.at.strftime("%H:%M"),
        programme.zone().iana_name().unwrap_or("local time"),
        spec.early,
        spec.window,
        spec.grace,
    )
}
