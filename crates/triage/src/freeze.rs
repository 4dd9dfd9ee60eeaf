//! What is measured around a red says nothing of a person's usual state: for as long as the programme says, it is left out of baselines.
//!
//! Where the programme says so, a red that rests on doubtful values counts unless something beyond doubt was measured in time that makes up
//! for it. That is looked at whenever it is asked for as long as that may still arrive, and then once for good: so neither the order nor the
//! division of a sitting matters.

use jiff::Timestamp;

use crate::{
    Chart, Plan,
    assess::{TOGETHER, is_superseded},
    bounds::UNSTABLE_MAX,
    rules::Verdict,
    series::{Nanos, length, nanos, push},
};

/// A red of doubtful values, whose repeat may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubted {
    /// The rule's place in the plan.
    pub place: usize,
    pub at: Nanos,
    /// Another measurement makes up for it if it was made up to here,
    pub repeat_by: Nanos,
    /// and came up to here.
    pub came_by: Nanos,
    /// What is measured before this is not usual.
    pub until: Nanos,
}

/// Notes a red that came `now`.
pub(crate) fn note(chart: &mut Chart, plan: &Plan, place: usize, red: Verdict, now: Timestamp) {
    let (at, clinic) = (red.at, plan.programme_of(place).clinic());
    let until = at.saturating_add(length(clinic.baseline_frozen.0));
    if !red.doubtful || clinic.refuted_reds_freeze {
        return chart.is_unstable(at, until);
    }
    if chart.doubted.iter().any(|known| (known.place, known.at) == (place, at)) {
        return;
    }
    let within = length(clinic.repeat_within.map_or(TOGETHER, |within| within.0.max(TOGETHER)));
    let [repeat_by, came_by] = [at, nanos(now).max(at)].map(|from| from.saturating_add(within));
    let doubted = Doubted { place, at, repeat_by, came_by, until };
    if chart.doubted.len() >= UNSTABLE_MAX {
        let oldest = chart.doubted.remove(0);
        decide(chart, plan, oldest);
    }
    push(&mut chart.doubted, doubted);
}

/// Decides on those for which no other measurement comes in time any more.
pub(crate) fn settle(chart: &mut Chart, plan: &Plan, now: Timestamp) {
    while let Some(place) = chart.doubted.iter().position(|doubted| doubted.came_by < nanos(now)) {
        let doubted = chart.doubted.remove(place);
        decide(chart, plan, doubted);
    }
}

/// Does nothing between these times lie around a red?
pub(crate) fn is_usual(chart: &Chart, plan: &Plan, start: Nanos, end: Nanos) -> bool {
    let is_apart = |from: Nanos, until: Nanos| until <= start || end <= from;
    let doubted = |one: &Doubted| is_apart(one.at, one.until) || is_made_up_for(chart, plan, *one);
    chart.unstable.iter().all(|(from, until)| is_apart(*from, *until)) && chart.doubted.iter().all(doubted)
}

fn decide(chart: &mut Chart, plan: &Plan, doubted: Doubted) {
    if !is_made_up_for(chart, plan, doubted) {
        chart.is_unstable(doubted.at, doubted.until);
    }
}

fn is_made_up_for(chart: &Chart, plan: &Plan, doubted: Doubted) -> bool {
    is_superseded(chart, &plan.rule(doubted.place).watches, doubted.at, doubted.repeat_by)
}
