//! Rule kind `missing`: silence is a finding. A schedule expects vitals at a local time; the measurement may be taken a little early, and in
//! a window after it; a grace later, what has not come is missing. Times are local, so a change to or from summer time moves with the clock
//! on the wall: a time that does not exist that day is the same distance later, one that exists twice is the first.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{
    SignedDuration, Timestamp,
    civil::{Time, Weekday},
    tz::TimeZone,
};
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Vital;

use super::{Judge, Nothing, Reader, Told, Verdict, Watches, read};
use crate::{Mark, Programme, Reason, bounds::VITALS_EXPECTED_MAX, look::Look, programme::place::steps};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// By which schedule.
    schedule: String,
    /// Which vitals are expected, each of them.
    vitals: Vec<Vital>,
}

/// A deadline that passed without data.
pub(crate) struct Deadline {
    pub slot: Slot,
    pub vitals: Vec<Vital>,
    pub last_at: Option<Timestamp>,
}

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

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { schedule, vitals } = reader.file()?;
    let distinct: BTreeSet<Vital> = vitals.iter().copied().collect();
    if !(1..=VITALS_EXPECTED_MAX).contains(&vitals.len()) || distinct.len() < vitals.len() {
        let text = format!(
            "found {} vitals, {} of them different, want 1 to {VITALS_EXPECTED_MAX}, each once",
            vitals.len(),
            distinct.len()
        );
        reader.fault(steps!["vitals"], text);
    }
    let Some((_, expected)) = reader.known.schedules.iter().find(|(_, other)| other.id == schedule) else {
        reader.fault(steps!["schedule"], format!("found {schedule:?}, want the id of a [[schedule]]"));
        return None;
    };
    let clinic = reader.known.clinic?;
    let source = expected.source.clone();
    let spec = MissingSpec {
        schedule,
        vitals,
        days: expected.days.iter().map(|day| day.weekday()).collect(),
        at: expected.at,
        early: clinic.early.0,
        window: expected.window.0,
        grace: clinic.grace.0,
    };
    read::judge(Missing { spec, source })
}

#[derive(Debug)]
struct Missing {
    spec: MissingSpec,
    /// Where the schedule comes from.
    source: Option<String>,
}

impl Judge for Missing {
    fn watches(&self) -> Watches {
        Watches::default()
    }

    fn judge(&self, _: &Look<'_>) -> Result<Verdict, Nothing> {
        Err(Nothing::NoValue)
    }

    fn tell(&self, _: &Look<'_>, _: &Verdict) -> Told {
        unreachable!("a rule of silence gives no verdict on what was measured")
    }

    fn missing(&self) -> Option<&MissingSpec> {
        Some(&self.spec)
    }

    fn overdue(&self, look: &Look<'_>, deadline: &Deadline) -> Option<(Mark, Told)> {
        if deadline.vitals.is_empty() {
            return None;
        }
        let local = |at: Timestamp| at.to_zoned(look.zone().clone()).strftime("%Y-%m-%d %H:%M").to_string();
        let labels: Vec<&str> = deadline.vitals.iter().map(|vital| vital.info().label).collect();
        let Slot { expected, overdue, .. } = deadline.slot;
        let heard = deadline
            .last_at
            .map_or_else(|| "never heard of before".to_owned(), |at| format!("last heard of {}", local(at)));
        let why = format!(
            "no {} for {}, overdue since {}, {heard}",
            labels.join(" and no "),
            local(expected),
            local(overdue)
        );
        let reason = Reason::Missing {
            schedule: self.spec.schedule.clone(),
            vitals: deadline.vitals.clone(),
            expected_at: expected,
            overdue_at: overdue,
            last_at: deadline.last_at,
        };
        Some((Mark::Blue, Told { why, reason, inputs: Vec::new() }))
    }

    fn explain(&self, programme: &Programme) -> String {
        let spec = &self.spec;
        let labels: Vec<&str> = spec.vitals.iter().map(|vital| vital.info().label).collect();
        let days: Vec<String> = spec.days.iter().map(|day| format!("{day:?}")).collect();
        format!(
            "{} expected on {} at {} ({}), from {:#} before until {:#} after. What has not come {:#} later is missing and blue. \
             Further measurements may be sent at any time.{}",
            labels.join(" and "),
            days.join(", "),
            spec.at.strftime("%H:%M"),
            programme.zone().iana_name().unwrap_or("local time"),
            spec.early,
            spec.window,
            spec.grace,
            self.source.as_ref().map(|source| format!(" (Source of the schedule: {source})")).unwrap_or_default(),
        )
    }
}
