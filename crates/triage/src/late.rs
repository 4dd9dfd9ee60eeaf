//! What comes late is judged as what it was: what a rule says of it as of then, and what it makes worse of times that were judged before it
//! came. Each is told once, and none of it is news of now.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    Chart, Finding, Mark, Outcome, Plan,
    arrive::Arrived,
    assess::{Judged, TOGETHER, find, is_superseded, say, worst_at},
    episode::Tells,
    freeze,
    look::Memo,
    rules::Verdict,
    series::{Nanos, length},
};

/// What a rule says of something that came late, as of then: told once, where it is above green.
pub(crate) fn as_it_was(
    chart: &mut Chart,
    plan: &Plan,
    place: usize,
    arrived: &Arrived,
    now: Timestamp,
    memo: &Memo,
    outcome: &mut Outcome,
) -> Option<Judged> {
    let at = arrived.sample.at;
    let (verdict, rank) = worst_at(chart, plan, place, at).filter(|(verdict, _)| verdict.at == at)?;
    say(outcome, std::slice::from_ref(arrived), &plan.rule(place).watches, verdict.mark);
    let key = arrived.key(chart, place);
    // Of what makes up one time, any part may be the one that comes again.
    if verdict.mark <= Mark::Green || chart.knows(key) || is_told(chart, place, verdict) {
        return None;
    }
    chart.remember(key_of(place, verdict.at, verdict.mark));
    if verdict.mark == Mark::Red {
        freeze::note(chart, plan, place, verdict, now);
        memo.forget();
    }
    let finding = Some(Arc::new(told(find(chart, plan, place, verdict, rank))));
    Some(Judged { place, at, mark: verdict.mark, finding, late: true, tells: Tells::Then, held: false })
}

/// So many times after what came late are judged again, the newest of them: what it bears on lies mostly there.
const BETWEEN_MAX: usize = 64;

/// What a rule says otherwise of times that were judged before, since something earlier came late: the worst of it, as of then. Nobody was
/// told of it then, and what stands now may be green.
pub(crate) fn between(
    chart: &mut Chart,
    plan: &Plan,
    place: usize,
    late: &[&Arrived],
    start: Nanos,
    now: Timestamp,
    memo: &Memo,
) -> Option<Judged> {
    let watches = &plan.rule(place).watches;
    // What was found above green and comes again bears on nothing that it has not borne on.
    let is_new = |arrived: &&&Arrived| plan.judging().is_first() || !chart.knows(arrived.key(chart, place));
    let late: Vec<&&Arrived> = late.iter().filter(is_new).collect();
    let oldest = late.first()?.sample.at;
    let mut times = Vec::new();
    chart.times(watches, oldest, start.saturating_sub(1), &mut times);
    times.retain(|at| late.iter().all(|arrived| arrived.sample.at != *at));
    if times.is_empty() {
        return None;
    }
    let mut before = chart.clone();
    late.iter().for_each(|arrived| arrived.take_out(&mut before));
    let worse = times.into_iter().rev().take(BETWEEN_MAX).filter_map(|at| {
        let (verdict, rank) = as_of(chart, plan, place, at)?;
        let was = as_of(&before, plan, place, at).map_or(Mark::Green, |(verdict, _)| verdict.mark);
        (verdict.mark > was && !is_told(chart, place, verdict)).then_some((verdict, rank))
    });
    let worse: Vec<(Verdict, u8)> = worse.collect();
    let (verdict, rank) = *worse.iter().max_by_key(|(verdict, _)| (verdict.mark, verdict.at))?;
    // The worst speaks for all of them: should the same come again when it is no longer kept, none of them is news.
    let spoken_for = |(other, _): &&(Verdict, u8)| !plan.judging().is_first() || *other == verdict;
    worse.iter().filter(spoken_for).for_each(|(other, _)| chart.remember(key_of(place, other.at, other.mark)));
    let Verdict { mark, at, .. } = verdict;
    if mark == Mark::Red {
        freeze::note(chart, plan, place, verdict, now);
        memo.forget();
    }
    let finding = Some(Arc::new(known_late(find(chart, plan, place, verdict, rank))));
    Some(Judged { place, at, mark, finding, late: true, tells: Tells::Then, held: false })
}

/// What a rule says of exactly this time, unless that was doubtful and was measured again.
pub(crate) fn as_of(chart: &Chart, plan: &Plan, place: usize, at: Nanos) -> Option<(Verdict, u8)> {
    let again = at.saturating_add(length(TOGETHER));
    let found = worst_at(chart, plan, place, at).filter(|(verdict, _)| verdict.at == at)?;
    (!is_superseded(chart, &plan.rule(place).watches, at, again)).then_some(found)
}

/// Was it, or worse, told of this time before?
fn is_told(chart: &Chart, place: usize, verdict: Verdict) -> bool {
    let mut worse = [Mark::Yellow, Mark::Red].into_iter().filter(|mark| *mark >= verdict.mark);
    worse.any(|mark| chart.knows(key_of(place, verdict.at, mark)))
}

/// Did it feed its family's alert before? From now on it did.
pub(crate) fn has_counted(chart: &mut Chart, plan: &Plan, place: usize, (at, mark): (Nanos, Mark)) -> bool {
    let key = key_of(place, at, Mark::Green);
    let known = chart.knows(key);
    chart.remember(key);
    if !plan.judging().is_first() {
        chart.remember(key_of(place, at, mark));
    }
    known
}

/// What is known by its rule, time and mark; of whatever mark: green.
fn key_of(place: usize, at: Nanos, mark: Mark) -> u64 {
    let place = u64::try_from(place).expect("few rules").wrapping_mul(0x9e37_79b9_7f4a_7c15);
    place ^ u64::from_ne_bytes(at.to_ne_bytes()).rotate_left(7) ^ mark as u64
}

/// True of then, and seen only now, since something before it came late or is no longer what it was.
pub(crate) fn known_late(mut finding: Finding) -> Finding {
    finding.late = true;
    finding.why.push_str(", seen only now that something before it is known");
    finding
}

/// It arrived late.
pub(crate) fn told(mut finding: Finding) -> Finding {
    finding.late = true;
    finding.why.push_str(", arrived late");
    finding
}
