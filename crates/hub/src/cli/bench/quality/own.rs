//! Own limits as a clinic sets them: who lives near a safety floor without being ill would be red by it day after day, so a doctor moves that
//! limit for this person, with a reason and an end. Fixed individual limits have the same for nothing: they are the person's own from the start.
//!
//! A programme that this concerns is counted twice: as it is shipped, and with such limits.

use std::sync::Arc;

use jiff::SignedDuration;
use triage::{Number, Own, OwnLimit, Rulebook, Rung};
use vitals::{Value, Vital};

use super::{people::Ours, scores};
use crate::cohort::{Cohort, Simulated};

/// How the programme's id begins, and its rule with the limit that is moved.
const MOVED: (&str, &str, Vital, Rung) = ("heart", "systolic", Vital::Systolic, Rung::RedLow);
/// So many sd below the person's mean of the first days, as the fixed limits that programmes are compared with.
const SD: f64 = 3.0;
/// It ends so long after it was set: longer than the cohort's year, and as long as the clinic's document allows.
const HOLDS: SignedDuration = SignedDuration::from_hours(24 * 400);

/// A programme as it is shipped and, where it has the rule, with own limits.
pub fn both(shipped: Ours) -> Vec<Ours> {
    let (starts, ..) = MOVED;
    if !shipped.book.programmes().iter().any(|programme| programme.id().starts_with(starts)) {
        return vec![shipped];
    }
    let (book, concerns) = (Arc::clone(&shipped.book), shipped.concerns);
    let own = Ours { name: format!("{}, own limits", shipped.name), book, concerns, own: true };
    vec![shipped, own]
}

/// The limit of somebody whose first days reach beyond the floor.
pub fn limits(cohort: &Cohort, simulated: &Simulated, book: &Rulebook) -> Own {
    let (_, rule, vital, limit) = MOVED;
    let from = cohort.midnight(scores::LEARNT_DAYS);
    let floor = book.clinic().floors().iter().find(|floor| floor.vital == vital && floor.limit == limit);
    let learnt = scores::learnt(&simulated.sittings, vital, from);
    let Some(((mean, sd), floor)) = learnt.zip(floor) else { return Own::default() };
    let lowest = (mean - SD * sd).round();
    if lowest >= floor.value.0.to_f64() {
        return Own::default();
    }
    let own = OwnLimit {
        programme: None,
        rule: rule.to_owned(),
        limit,
        value: Number(Value::new(lowest as i64, 0)),
        unit: vital.unit().ucum().to_owned(),
        author: "simulated doctor".to_owned(),
        reason: "lives near the floor".to_owned(),
        version: 1,
        from,
        until: Some(from + HOLDS),
    };
    Own { limits: vec![own], ..Own::default() }
}

#[cfg(test)]
mod tests {
    use jiff::{civil::Date, tz::TimeZone};
    use triage::{Clinic, Plan};

    use super::*;
    use crate::{cohort::Condition, directory};

    fn cohort() -> Cohort {
        Cohort { seed: 7, days: 30, start: Date::constant(2026, 1, 1), zone: TimeZone::UTC }
    }

    fn book(starts: &str) -> Arc<Rulebook> {
        let all = directory::programmes(None).unwrap().into_values();
        let programme = all.filter(|one| one.id().starts_with(starts)).min_by_key(|one| one.id().to_owned()).unwrap();
        Rulebook::new(vec![programme], Arc::new(Clinic::shipped())).unwrap()
    }

    /// Somebody with a failing heart whose systolic pressure is always the same.
    fn always(cohort: &Cohort, pressure: i64) -> Simulated {
        let mut all = (1..200).map(|number| cohort.person(number));
        let has = |one: &Simulated| {
            let learnt = scores::learnt(&one.sittings, Vital::Systolic, cohort.midnight(scores::LEARNT_DAYS));
            one.person.condition == Condition::HeartFailure && learnt.is_some()
        };
        let mut found = all.find(has).expect("among so many somebody measures their pressure");
        let measured = found.sittings.iter_mut().flat_map(|sitting| &mut sitting.measured);
        for measured in measured.filter(|measured| measured.vital == Vital::Systolic) {
            measured.value = Value::new(pressure, 0);
        }
        found
    }

    #[test]
    fn who_lives_near_the_floor_gets_a_limit_that_ends_and_is_allowed_and_others_none() {
        let (cohort, book) = (cohort(), book("heart"));
        let (.., vital, rung) = MOVED;
        let floor = book.clinic().floors().iter().find(|floor| floor.vital == vital && floor.limit == rung);
        let floor = floor.expect("the clinic has a floor of it").value.0.to_f64() as i64;
        // The least spread of the systolic pressure is 5: three of them below the mean is the limit.
        let near = limits(&cohort, &always(&cohort, floor + 1), &book);
        let [own] = &near.limits[..] else { panic!("found {} limits, want 1", near.limits.len()) };
        assert_eq!(own.value.0, Value::new(floor + 1 - 15, 0));
        assert_eq!((own.from, own.until), (cohort.midnight(14), Some(cohort.midnight(14) + HOLDS)));
        let plan = Plan::with("p-1".parse().unwrap(), Arc::clone(&book), near.clone(), TimeZone::UTC, own.from);
        assert_eq!(plan.unwrap().unbounded(own.from), Vec::<String>::new());

        assert_eq!(limits(&cohort, &always(&cohort, floor + 15), &book), Own::default(), "three spreads above it");
        let mut silent = always(&cohort, floor + 1);
        silent.sittings.clear();
        assert_eq!(limits(&cohort, &silent, &book), Own::default(), "nothing was learnt");
    }

    #[test]
    fn a_programme_with_the_rule_is_counted_twice() {
        for (id, wanted) in [("heart", &[false, true][..]), ("copd", &[false][..])] {
            let (name, concerns) = (id.to_owned(), &[Condition::Copd][..]);
            let found = both(Ours { name, book: book(id), concerns, own: false });
            assert_eq!(found.iter().map(|one| one.own).collect::<Vec<_>>(), wanted, "{id}");
        }
    }
}
