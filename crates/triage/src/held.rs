//! A doubtful yellow waits for another measurement before anybody is told; when none has come in time, it is told at that time.

use jiff::Timestamp;

use crate::{
    AlertChange, Chart, Plan,
    episode::{self, Fed, Opening, Tells},
    series::{Nanos, nanos, time},
};

/// Tells what has waited long enough by `now`, each as at its own time.
pub(crate) fn settle(chart: &mut Chart, plan: &Plan, now: Timestamp, alerts: &mut Vec<AlertChange>) {
    if chart.rules.iter().all(|memory| memory.held_until().is_none()) {
        return;
    }
    let now = nanos(now);
    let mut due: Vec<(Nanos, usize)> = chart
        .rules
        .iter()
        .enumerate()
        .filter_map(|(place, memory)| Some((memory.held_until().filter(|until| *until <= now)?, place)))
        .collect();
    due.sort_unstable();
    for (at, place) in due {
        let memory = &mut chart.rules[place];
        memory.more().held_until = None;
        let fed = [Fed { place, finding: memory.finding().cloned(), tells: Tells::Now }];
        let family = &plan.rule(place).family;
        alerts.extend(episode::feed(chart, plan, family, &fed, &Opening::Held(time(at)), time(at)));
    }
}

/// When something that waits for another measurement is next told. A sitting may bring this forward: of all that [`crate::next_tick`] looks at,
/// this alone.
#[must_use]
pub fn next(chart: &Chart) -> Option<Timestamp> {
    chart.rules.iter().filter_map(|memory| memory.held_until()).min().map(time)
}
