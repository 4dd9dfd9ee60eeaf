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
