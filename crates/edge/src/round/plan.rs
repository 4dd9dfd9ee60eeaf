//! What is due when: which steps of today's rounds have begun, in order, and when the next round begins. Pure.
//!
//! A step belongs to a round from its begin on, for the rest of the local day (and some hours past midnight). Who measures a little early
//! has done it: what was measured from [`EARLY_MAX`] before the begin counts, but never what lies nearer to the round before.

use std::collections::BTreeMap;

use jiff::{
    SignedDuration, Timestamp, ToSpan as _,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use vitals::Vital;
use wire::Due;

use super::What;

/// The most rounds of a schedule.
pub const DUES_MAX: usize = 32;
/// The most vitals, and the most questionnaires, of one round.
pub const PARTS_MAX: usize = 16;
/// What was measured this long before a round begins counts for it.
pub const EARLY_MAX: SignedDuration = SignedDuration::from_hours(2);
/// A round of yesterday evening can still be done this long after it began, past midnight.
pub const PAST_MIDNIGHT_MAX: SignedDuration = SignedDuration::from_hours(4);

/// Vitals that one device tells together, the one that names the measurement first. A pulse belongs to the oximeter where one is asked for.
const TOGETHER: &[&[Vital]] = &[
    &[Vital::Spo2, Vital::Pulse, Vital::PerfusionIndex],
    &[Vital::Systolic, Vital::Diastolic, Vital::MeanPressure, Vital::Pulse],
    &[Vital::Fev1, Vital::Fvc, Vital::Fev6, Vital::Pef, Vital::Fev1Fvc],
];

/// A step that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// What is to be done.
    pub what: What,
    /// When its round began.
    pub at: Timestamp,
    /// What was done since then counts.
    pub counts_from: Timestamp,
}

/// Is this schedule one that can be kept?
///
/// # Errors
/// What was found and what was wanted, with the place of the round in the list.
pub fn check(dues: &[Due], known: impl Fn(&str) -> bool) -> Result<(), (usize, String)> {
    if dues.len() > DUES_MAX {
        return Err((DUES_MAX, format!("found {} rounds, at most {DUES_MAX} are taken", dues.len())));
    }
    for (index, due) in dues.iter().enumerate() {
        if let Some(day) = due.days.iter().find(|day| !(1..=7).contains(*day)) {
            return Err((index, format!("found day {day}, want 1 (Monday) to 7 (Sunday)")));
        }
        if due.vitals.is_empty() && due.questionnaires.is_empty() {
            return Err((index, "found neither vitals nor questionnaires, want at least one".to_owned()));
        }
        if due.vitals.len().max(due.questionnaires.len()) > PARTS_MAX || due.days.len() > 7 {
            return Err((index, format!("found too much, at most {PARTS_MAX} vitals and questionnaires are taken")));
        }
        if let Some(unknown) = due.questionnaires.iter().find(|id| !known(id)) {
            return Err((index, format!("found questionnaire {unknown:?}, which this kit does not have")));
        }
    }
    Ok(())
}

/// The steps whose rounds have begun, in the order in which they are to be done.
#[must_use]
pub fn begun(dues: &[Due], now: Timestamp, zone: &TimeZone) -> Vec<Begun> {
    let today = zone.to_datetime(now).date();
    let mut all: Vec<(Timestamp, &Due)> = Vec::new();
    for date in [today.yesterday().ok(), Some(today)].into_iter().flatten() {
        let on_day = dues.iter().filter(|due| is_on(due, date)).filter_map(|due| Some((begins(due, date, zone)?, due)));
        all.extend(on_day.filter(|(at, _)| *at <= now));
    }
    all.sort_by_key(|(at, _)| *at);
    let open = |at: Timestamp| zone.to_datetime(at).date() == today || now.duration_since(at) <= PAST_MIDNIGHT_MAX;
    let (mut steps, mut before): (Vec<Begun>, BTreeMap<What, Timestamp>) = (Vec::new(), BTreeMap::new());
    for (at, due) in all {
        for what in parts(due) {
            let early = at.saturating_sub(EARLY_MAX).expect("a duration has no calendar");
            let counts_from = before.get(&what).map_or(early, |before| early.max(between(*before, at)));
            before.insert(what.clone(), at);
            steps.retain(|step| step.what != what);
            if open(at) {
                steps.push(Begun { what, at, counts_from });
            }
        }
    }
    steps
}

/// When the next round begins, if one is planned within a week.
#[must_use]
pub fn next(dues: &[Due], now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let today = zone.to_datetime(now).date();
    let dates = (0..=7).filter_map(|days| today.checked_add(days.days()).ok());
    let all = dates.flat_map(|date| {
        dues.iter().filter(move |due| is_on(due, date)).filter_map(move |due| begins(due, date, zone))
    });
    all.filter(|at| *at > now).min()
}

/// The steps of a round, in its order: vitals that one device tells together are one.
#[must_use]
pub fn parts(due: &Due) -> Vec<What> {
    let (mut parts, mut placed): (Vec<What>, Vec<Vital>) = (Vec::new(), Vec::new());
    for vital in &due.vitals {
        if placed.contains(vital) {
            continue;
        }
        let asked = |other: &&Vital| due.vitals.contains(other) && !placed.contains(other);
        let group = TOGETHER.iter().find(|group| group.contains(vital) && due.vitals.contains(&group[0]));
        let step: Vec<Vital> = group.map_or(vec![*vital], |group| group.iter().filter(asked).copied().collect());
        placed.extend(&step);
        parts.push(What::Measure(step));
    }
    let mut questionnaires: Vec<&String> = Vec::new();
    for id in &due.questionnaires {
        if !questionnaires.contains(&id) {
            questionnaires.push(id);
        }
    }
    parts.extend(questionnaires.into_iter().cloned().map(What::Answer));
    parts
}

fn is_on(due: &Due, date: Date) -> bool {
    due.days.is_empty() || due.days.contains(&Weekday::to_monday_one_offset(date.weekday()))
}

/// A time that summer time skips is the one after it; one that comes twice is the first.
fn begins(due: &Due, date: Date, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(date.to_datetime(due.at)).compatible().ok()
}

fn between(before: Timestamp, after: Timestamp) -> Timestamp {
    before.saturating_add(after.duration_since(before) / 2).expect("a duration has no calendar")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "Europe/Copenhagen";

    fn due(text: &str) -> Due {
        serde_json::from_str(text).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Dues and now -> the steps and when each began.
    #[track_caller]
    fn check_begun(dues: &[&str], now: &str, wanted: &[(&str, &str)]) {
        let dues: Vec<Due> = dues.iter().map(|text| due(text)).collect();
        let zone = TimeZone::get(ZONE).unwrap();
        let found: Vec<(String, String)> = begun(&dues, at(now), &zone)
            .into_iter()
            .map(|step| {
                let what = match step.what {
                    What::Measure(vitals) => vitals.iter().map(|v| v.name()).collect::<Vec<_>>().join("+"),
                    What::Answer(id) => id,
                };
                (what, step.at.to_string())
            })
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(what, at)| (what.as_str(), at.as_str())).collect();
        assert_eq!(found, wanted);
    }

    const MORNING: &str = r#"{"at":"08:00","vitals":["pulse","weight","spo2"],"questionnaires":["copd-daily"]}"#;
    const EVENING: &str = r#"{"at":"22:00","days":[7],"vitals":["spo2"]}"#;

    #[test]
    fn what_has_begun_stays_for_the_day_and_a_later_round_takes_its_step_over() {
        // 2026-11-22 is a Sunday; Copenhagen is an hour ahead.
        check_begun(&[MORNING, EVENING], "2026-11-22T06:59:59Z", &[]);
        let morning = "2026-11-22T07:00:00Z";
        let steps = [("spo2+pulse", morning), ("weight", morning), ("copd-daily", morning)];
        check_begun(&[MORNING, EVENING], "2026-11-22T07:00:00Z", &steps);
        check_begun(&[MORNING, EVENING], "2026-11-22T20:59:59Z", &steps);
        let evening = ("spo2", "2026-11-22T21:00:00Z");
        check_begun(&[MORNING, EVENING], "2026-11-22T22:59:59Z", &[steps[0], steps[1], steps[2], evening]);
        check_begun(&[MORNING, EVENING], "2026-11-23T00:59:59Z", &[evening]);
        check_begun(&[MORNING, EVENING], "2026-11-23T01:00:01Z", &[]);
    }

    #[test]
    fn summer_time_moves_the_rounds_with_the_clocks_on_the_wall() {
        check_begun(&[EVENING], "2026-07-05T20:00:00Z", &[("spo2", "2026-07-05T20:00:00Z")]);
        let skipped = r#"{"at":"02:30","vitals":["weight"]}"#;
        check_begun(&[skipped], "2026-03-29T01:30:00Z", &[("weight", "2026-03-29T01:30:00Z")]);
    }

    #[test]
    fn early_counts_but_not_what_lies_nearer_to_the_round_before() {
        let dues = [due(r#"{"at":"08:00","vitals":["spo2"]}"#), due(r#"{"at":"09:00","vitals":["spo2"]}"#)];
        let zone = TimeZone::get(ZONE).unwrap();
        let from = |now| begun(&dues, at(now), &zone)[0].counts_from;
        assert_eq!(from("2026-11-22T07:30:00Z"), at("2026-11-22T05:00:00Z"));
        assert_eq!(from("2026-11-22T08:30:00Z"), at("2026-11-22T07:30:00Z"));
    }

    #[test]
    fn the_next_round() {
        let zone = TimeZone::get(ZONE).unwrap();
        let dues = [due(EVENING), due(r#"{"at":"08:00","days":[1,3],"vitals":["spo2"]}"#)];
        let next = |now| next(&dues, at(now), &zone).unwrap().to_string();
        assert_eq!(next("2026-11-22T07:00:00Z"), "2026-11-22T21:00:00Z");
        assert_eq!(next("2026-11-22T21:00:00Z"), "2026-11-23T07:00:00Z");
        assert_eq!(next("2026-11-25T07:00:00Z"), "2026-11-29T21:00:00Z");
        assert_eq!(super::next(&[], at("2026-11-22T07:00:00Z"), &zone), None);
    }

    #[test]
    fn a_schedule_that_cannot_be_kept_is_refused() {
        for (text, wanted) in [
            (r#"{"at":"08:00","days":[8],"vitals":["spo2"]}"#, "found day 8, want 1 (Monday) to 7 (Sunday)"),
            (r#"{"at":"08:00"}"#, "found neither vitals nor questionnaires, want at least one"),
            (r#"{"at":"08:00","questionnaires":["x"]}"#, "found questionnaire \"x\", which this kit does not have"),
        ] {
            assert_eq!(check(&[due(text)], |id| id == "copd-daily"), Err((0, wanted.to_owned())));
        }
        assert_eq!(check(&[due(MORNING)], |id| id == "copd-daily"), Ok(()));
        assert!(check(&vec![due(MORNING); DUES_MAX + 1], |_| true).is_err());
    }
}
