//! One event on one patient: findings, what of them stands, the assessment, and the alerts that change.
//!
//! What a rule says of now is what it says as of the newest of what it watches; of what lies within [`TOGETHER`] before that the worst counts,
//! so neither the order of readings nor their division into messages matters within a sitting. A doubtful value gives way to a later one of
//! the same vital that nothing speaks against. What is older arrives late: it is judged as of its own time, and all that it bears on is
//! judged again as of now.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use vitals::{Answer, Colour, Flag, KitId, Reading, Vital};

use crate::{
    Alert, AssessmentChange, Chart, Finding, Input, Mark, Outcome, Plan, Remeasure,
    arrive::{self, Arrived},
    call,
    chart::{Memory, More},
    episode::{self, Fed, Opening, Tells},
    freeze, held, late,
    look::{Look, Memo},
    rules::{Nothing, Verdict, Watches, finding},
    series::{Nanos, Sample, Series, length, time},
    silence,
};

/// What lies at most so far apart is taken together.
pub const TOGETHER: SignedDuration = SignedDuration::from_mins(15);

/// Readings and answers that came together in one message.
#[derive(Clone, Copy, Debug)]
pub struct Sitting<'a> {
    /// From which kit.
    pub kit: &'a KitId,
    /// The message's number.
    pub seq: u64,
    /// Readings, admitted and in canonical units.
    pub readings: &'a [Reading],
    /// Answers.
    pub answers: &'a [Answer],
}

/// What happens to a patient.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Something came.
    Sitting(Sitting<'a>),
    /// Time passed.
    Tick,
    /// The patient's kit has been silent since then, or (`None`) is there again.
    Kit(Option<Timestamp>),
}

/// What an event changes. It can't fail. Deadlines that have passed by `now` are judged first, whatever the event.
pub fn assess(chart: &mut Chart, plan: &Plan, event: &Event<'_>, now: Timestamp) -> Outcome {
    chart.follow(plan);
    let before = State::of(chart);
    let mut outcome = Outcome::default();
    freeze::settle(chart, plan, now);
    held::settle(chart, plan, now, &mut outcome.alerts);
    let silent = silence::settle(chart, plan, now, &mut outcome.alerts);
    outcome.assessment = match event {
        Event::Tick => silent,
        Event::Kit(silent_since) => {
            chart.kit_silent_since = *silent_since;
            silent
        }
        Event::Sitting(sitting) => sit(chart, plan, sitting, now, before, &mut outcome),
    };
    outcome
}

/// The patient's state, to see a change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub colour: Colour,
    pub blue: bool,
}

impl State {
    pub fn of(chart: &Chart) -> Self {
        Self { colour: chart.colour(), blue: chart.blue() }
    }
}

/// The change since `before`, if there is one.
pub(crate) fn change(chart: &Chart, plan: &Plan, before: State, at: Timestamp, late: bool) -> Option<AssessmentChange> {
    let State { colour, blue } = State::of(chart);
    (before != State { colour, blue }).then(|| AssessmentChange {
        at,
        patient: plan.patient().clone(),
        was: before.colour,
        colour,
        blue,
        late,
        findings: chart.worst_first(plan),
    })
}

/// What a rule found, and of when.
pub(crate) struct Judged {
    pub place: usize,
    pub at: Nanos,
    pub mark: Mark,
    /// Made where it is above green; others when somebody reads them.
    pub finding: Option<Arc<Finding>>,
    pub late: bool,
    pub tells: Tells,
    /// It waits for another measurement: nobody is told yet.
    pub held: bool,
}

fn sit(
    chart: &mut Chart,
    plan: &Plan,
    sitting: &Sitting<'_>,
    now: Timestamp,
    before: State,
    outcome: &mut Outcome,
) -> Option<AssessmentChange> {
    let (arrived, touched) = arrive::arrive(chart, plan, sitting);
    let (mut judged, memo) = (Vec::with_capacity(touched.iter().count()), Memo::default());
    for place in touched.iter() {
        judge(chart, plan, place, &arrived, false, now, &memo, &mut judged, outcome);
    }
    arrive::settle_in(chart, plan, &arrived, false);
    let (unplaced, touched) = arrive::arrive_unplaced(chart, plan, sitting);
    if !unplaced.is_empty() {
        let memo = Memo::default();
        for place in touched.iter() {
            judge(chart, plan, place, &unplaced, true, now, &memo, &mut judged, outcome);
        }
        arrive::settle_in(chart, plan, &unplaced, true);
    }
    arrive::note(chart, plan, sitting);
    feed(chart, plan, sitting, &judged, now, outcome);
    assessment(chart, plan, before, sitting, &judged)
}

/// What one rule makes of a sitting.
#[allow(clippy::too_many_arguments, reason = "one step of sit, split off for its length")]
fn judge(
    chart: &mut Chart,
    plan: &Plan,
    place: usize,
    arrived: &[Arrived],
    unplaced: bool,
    now: Timestamp,
    memo: &Memo,
    judged: &mut Vec<Judged>,
    outcome: &mut Outcome,
) {
    let rule = plan.rule(place);
    if rule.ingredient {
        return;
    }
    let Some(newest) = chart.newest_of(&rule.watches) else { return };
    let start = newest.saturating_sub(length(TOGETHER));
    let mut late: Vec<&Arrived> = Vec::new();
    for arrived in arrived.iter().filter(|arrived| arrived.is_of(&rule.watches)) {
        if unplaced || arrived.sample.at < start {
            late.push(arrived);
        }
    }
    if let Some(at) = is_asked_no_more(chart, plan, place, newest) {
        judged.extend(stand_down(chart, plan, place, at));
    } else if !unplaced && let Some(verdict) = stands(chart, plan, place, (start, newest), memo, Some(arrived)) {
        let brought = || arrived.iter().any(|arrived| arrived.is_of(&rule.watches));
        if rule.judge.also().is_empty() || brought() {
            say(outcome, arrived, &rule.watches, verdict.0.mark);
        }
        // Of what came later alone, a verdict of an earlier time says nothing new.
        let is_later = |arrived: &Arrived| arrived.vital.is_some() && arrived.sample.at > verdict.0.at;
        if !stays(chart, place, verdict.0) || !arrived.iter().all(is_later) {
            judged.extend(stand(chart, plan, place, verdict, now, memo, outcome));
        }
        if verdict.0.mark > Mark::Green && chart.rules[place].held_until().is_none() {
            judged.extend(beside(chart, plan, place, (start, newest), verdict.0, arrived, now));
        }
    } else if !unplaced {
        judged.extend(stand_down(chart, plan, place, newest));
    }
    late.sort_by_key(|arrived| (arrived.sample.at, arrived.vital));
    if !unplaced {
        judged.extend(late::between(chart, plan, place, &late, start, now, memo));
    }
    late.dedup_by_key(|arrived| arrived.sample.at);
    for arrived in late {
        judged.extend(late::as_it_was(chart, plan, place, arrived, now, memo, outcome));
    }
}

/// What came close to what stands, and is above green as of its own time: what stands is as bad and speaks for it, but it counts too, so that
/// how often somebody was found ill does not hang on the order in which it came.
fn beside(
    chart: &Chart,
    plan: &Plan,
    place: usize,
    (start, newest): (Nanos, Nanos),
    stands: Verdict,
    arrived: &[Arrived],
    now: Timestamp,
) -> Vec<Judged> {
    let rule = plan.rule(place);
    let times = times_of(arrived, &rule.watches).into_iter().filter(|at| *at >= start && *at != stands.at);
    let found = times.filter(|at| !is_superseded(chart, &rule.watches, *at, newest)).filter_map(|at| {
        let (verdict, rank) = worst_at(chart, plan, place, at).filter(|(verdict, _)| verdict.at == at)?;
        let late = now.duration_since(time(at)) > plan.programme_of(place).clinic().late_after.0;
        let found = || Arc::new(told(find(chart, plan, place, verdict, rank), false, late));
        let judged = |finding| Judged {
            place,
            at,
            mark: verdict.mark,
            finding: Some(finding),
            late,
            tells: Tells::Beside,
            held: false,
        };
        (verdict.mark > Mark::Green).then(|| judged(found()))
    });
    found.collect()
}

/// When the questionnaire of a rule was answered without its question, so that what was answered before says nothing of now.
fn is_asked_no_more(chart: &Chart, plan: &Plan, place: usize, newest: Nanos) -> Option<Nanos> {
    let questions = &plan.rule(place).watches.questions;
    let at = questions.iter().filter_map(|(of, _)| chart.answered(of)).max().filter(|at| *at > newest)?;
    (Look { plan, chart, place, at, rank: 0, memo: &Memo::default() }.judge() == Err(Nothing::NotNow)).then_some(at)
}

/// Tells the kit what the rule says of what it brought.
pub(crate) fn say(outcome: &mut Outcome, arrived: &[Arrived], rule: &Watches, mark: Mark) {
    match rule.vitals.as_slice() {
        [vital] if rule.questions.is_empty() => {
            if arrived.iter().any(|arrived| arrived.vital == Some(*vital)) {
                outcome.judge(Some(*vital), mark);
            }
        }
        _ => outcome.judge(None, mark),
    }
}

/// The worst of what a rule says as of each time from `start` on: later ones where they are as bad. A doubtful value does not count where a
/// later one of the same vital, within the same time, is beyond doubt. All times count; of a rule that remembers what stands, see [`times`].
pub(crate) fn stands(
    chart: &Chart,
    plan: &Plan,
    place: usize,
    (start, newest): (Nanos, Nanos),
    memo: &Memo,
    arrived: Option<&[Arrived]>,
) -> Option<(Verdict, u8)> {
    let watches = &plan.rule(place).watches;
    if let Some((at, at_once)) = chart.one_time(watches, start.saturating_sub(1), newest) {
        // Nothing later makes up for what is doubtful.
        return worst_of(chart, plan, place, (at, at_once), memo);
    }
    let mut worst = arrived.and_then(|arrived| still_worst(chart, plan, place, (start, newest), arrived));
    let times = match worst {
        Some(_) => arrived.map(|arrived| times_of(arrived, watches)).unwrap_or_default(),
        None => times(chart, plan, place, (start, newest), arrived),
    };
    for at in times {
        if is_superseded(chart, watches, at, newest) {
            continue;
        }
        let at_once = chart.at_once(watches, at);
        let Some((verdict, rank)) = worst_of(chart, plan, place, (at, at_once), memo) else { continue };
        if worst.is_none_or(|(worst, _)| (verdict.mark, verdict.at) >= (worst.mark, worst.at)) {
            worst = Some((verdict, rank));
        }
    }
    worst
}

/// What stands, where all that has arrived is later than all that was there: what a rule says of a time rests on nothing later, so of what was
/// there it is the worst still. That is how things come, all but always.
fn still_worst(
    chart: &Chart,
    plan: &Plan,
    place: usize,
    (start, newest): (Nanos, Nanos),
    arrived: &[Arrived],
) -> Option<(Verdict, u8)> {
    let rule = plan.rule(place);
    let memory = chart.rules.get(place).filter(|memory| memory.stands && memory.at >= start)?;
    let first = arrived.iter().map(|arrived| arrived.sample.at).min().filter(|first| *first > memory.at)?;
    let is_new = |sample: &Sample| arrived.iter().any(|arrived| arrived.sample == *sample);
    let later = |series: &Series| series.all().iter().rev().take_while(|sample| sample.at >= first).all(is_new);
    let exact = rule.judge.also().is_empty()
        && rule.watches.questions.is_empty()
        && chart.watched(&rule.watches).all(later)
        && !is_superseded(chart, &rule.watches, memory.at, newest);
    exact.then_some((Verdict { mark: memory.mark, at: memory.at, doubtful: false }, memory.rank))
}

/// The times of what has arrived and is looked at, each once.
fn times_of(arrived: &[Arrived], watches: &Watches) -> Vec<Nanos> {
    let mut times: Vec<Nanos> =
        arrived.iter().filter(|arrived| arrived.is_of(watches)).map(|arrived| arrived.sample.at).collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// The times that are looked at. Who sends more often than any device does is not looked at longer for it: of more than
/// [`crate::bounds::TIMES_MAX`] times the newest, those that have arrived just now, and the one that stands as the worst of the others
/// (decision 0096).
fn times(
    chart: &Chart,
    plan: &Plan,
    place: usize,
    (start, newest): (Nanos, Nanos),
    arrived: Option<&[Arrived]>,
) -> Vec<Nanos> {
    let (watches, mut times) = (&plan.rule(place).watches, Vec::with_capacity(4));
    let Some(arrived) = arrived else {
        chart.times(watches, start.saturating_sub(1), newest, &mut times);
        return times;
    };
    if chart.newest_times(watches, start.saturating_sub(1), newest, &mut times) {
        let before = start..times[0];
        let came = arrived.iter().filter(|arrived| arrived.is_of(watches)).map(|arrived| arrived.sample.at);
        let standing = chart.rules.get(place).filter(|memory| memory.stands).map(|memory| memory.at);
        times.extend(came.chain(standing).filter(|at| before.contains(at)));
        times.sort_unstable();
        times.dedup();
    }
    times
}

/// What a rule says as of a time: the worst of it, where several values are of exactly that time.
pub(crate) fn worst_at(chart: &Chart, plan: &Plan, place: usize, at: Nanos) -> Option<(Verdict, u8)> {
    let at_once = chart.at_once(&plan.rule(place).watches, at);
    worst_of(chart, plan, place, (at, at_once), &Memo::default())
}

fn worst_of(
    chart: &Chart,
    plan: &Plan,
    place: usize,
    (at, at_once): (Nanos, u8),
    memo: &Memo,
) -> Option<(Verdict, u8)> {
    let look = |rank| Look { plan, chart, place, at, rank, memo };
    let ranks = 0..at_once.max(1);
    let verdicts = ranks.filter_map(|rank| Some((look(rank).judge().ok()?, rank)));
    verdicts.reduce(|worst, next| if next.0.mark > worst.0.mark { next } else { worst })
}

/// Is everything that was measured at this time doubtful, and measured again beyond doubt since?
pub(crate) fn is_superseded(chart: &Chart, watches: &Watches, at: Nanos, newest: Nanos) -> bool {
    let mut here = 0;
    let mut gone = 0;
    for vital in &watches.vitals {
        let Some(series) = chart.series(*vital) else { continue };
        let samples = series.between(at, newest);
        let mut now = samples.iter().take_while(|sample| sample.at == at).peekable();
        if now.peek().is_some() {
            // Beyond doubt, as nearly everything is: nothing to look for.
            if !now.all(Sample::is_doubtful) {
                return false;
            }
            here += 1;
            gone += usize::from(samples.iter().any(|sample| sample.at > at && !sample.is_doubtful()));
        }
    }
    let answered = |(of, question): &(Arc<str>, Arc<str>)| {
        chart.asked(of, question).is_some_and(|series| series.until(at).last().is_some_and(|sample| sample.at == at))
    };
    here > 0 && here == gone && !watches.questions.iter().any(answered)
}

/// Lets a verdict stand, where it is news.
fn stand(
    chart: &mut Chart,
    plan: &Plan,
    place: usize,
    (verdict, rank): (Verdict, u8),
    now: Timestamp,
    memo: &Memo,
    outcome: &mut Outcome,
) -> Option<Judged> {
    let Verdict { mark, at, doubtful } = verdict;
    if stays(chart, place, verdict) {
        refresh(chart, plan, place, (verdict, rank));
        return None;
    }
    let memory = &chart.rules[place];
    let clinic = plan.programme_of(place).clinic();
    let late = now.duration_since(time(at)) > clinic.late_after.0;
    let again = clinic.repeat_within.map(|within| within.0).filter(|_| doubtful && !late && mark > Mark::Green);
    let was_told = memory.stands && memory.mark > Mark::Green && memory.held_until().is_none();
    // One that is doubtful again does not put off when somebody is told.
    let since = memory.held_until().unwrap_or(Nanos::MAX);
    let held_until =
        again.filter(|_| mark < Mark::Red && !was_told).map(|within| at.saturating_add(length(within)).min(since));
    let finding = (mark > Mark::Green).then(|| {
        let found = told(find(chart, plan, place, verdict, rank), again.is_some(), late);
        if found.provisional {
            ask_again(plan, place, &found, outcome);
        }
        Arc::new(found)
    });
    if mark == Mark::Red {
        freeze::note(chart, plan, place, verdict, now);
        memo.forget();
    }
    let handled = chart.rules[place].handled().filter(|_| mark > Mark::Green);
    let memory = Memory { at, rank, mark, stands: true, late, ..Memory::default() };
    chart.rules[place] = memory.with(More { held_until, finding: finding.clone(), handled, ended: None });
    Some(Judged { place, at, mark, finding, late, tells: Tells::Now, held: held_until.is_some() })
}

/// Is it what stands already?
fn stays(chart: &Chart, place: usize, verdict: Verdict) -> bool {
    let memory = &chart.rules[place];
    memory.stands && (memory.at, memory.mark) == (verdict.at, verdict.mark)
}

/// The same verdict may rest on more by now: it is told anew to whoever asks, and nobody is woken for it.
fn refresh(chart: &mut Chart, plan: &Plan, place: usize, (verdict, rank): (Verdict, u8)) {
    let Some(old) = chart.rules[place].finding().cloned() else { return };
    let found = told(find(chart, plan, place, verdict, rank), old.provisional, old.late);
    if found != *old {
        let memory = &mut chart.rules[place];
        memory.rank = rank;
        memory.more().finding = Some(Arc::new(found));
    }
}

/// What was found, with what else there is to say of it.
fn told(mut found: Finding, provisional: bool, late: bool) -> Finding {
    if provisional {
        found.provisional = true;
        found.why.push_str(", to be measured again");
    }
    if late { late::told(found) } else { found }
}

/// A rule that does not apply any longer, or has nothing left to compare with, says nothing more of now.
fn stand_down(chart: &mut Chart, plan: &Plan, place: usize, newest: Nanos) -> Option<Judged> {
    let look = Look { plan, chart, place, at: newest, rank: 0, memo: &Memo::default() };
    let ended = look.judge().err().filter(|nothing| nothing.ends())?;
    let memory = &chart.rules[place];
    if !memory.stands || (memory.mark == Mark::Green && ended != Nothing::NotNow) {
        return None;
    }
    let memory = Memory { at: newest, ..Memory::default() };
    chart.rules[place] = memory.with(More { ended: Some(ended), ..More::default() });
    Some(Judged { place, at: newest, mark: Mark::Green, finding: None, late: false, tells: Tells::Now, held: false })
}

/// Asks for what is doubtful in it once more; for all of it, where nothing of it says that it is.
fn ask_again(plan: &Plan, place: usize, found: &Finding, outcome: &mut Outcome) {
    let doubted = |input: &Input| match input {
        Input::Reading { vital, flags, .. } if flags.iter().any(Flag::is_doubt) => Some(*vital),
        _ => None,
    };
    let mut vitals: Vec<Vital> = found.inputs.iter().filter_map(doubted).collect();
    if vitals.is_empty() {
        vitals.clone_from(&plan.rule(place).watches.vitals);
    }
    for vital in vitals {
        if outcome.remeasure.iter().all(|asked| asked.vital != vital) {
            outcome.remeasure.push(Remeasure { vital, why: found.why.clone() });
        }
    }
}

pub(crate) fn find(chart: &Chart, plan: &Plan, place: usize, verdict: Verdict, rank: u8) -> Finding {
    let look = Look { plan, chart, place, at: verdict.at, rank, memo: &Memo::default() };
    finding(&look, verdict.mark, look.rule().judge.tell(&look, &verdict), time(verdict.at))
}

/// Feeds the alerts of each family.
fn feed(
    chart: &mut Chart,
    plan: &Plan,
    sitting: &Sitting<'_>,
    judged: &[Judged],
    now: Timestamp,
    outcome: &mut Outcome,
) {
    let told = || judged.iter().filter(|one| !one.held).map(|one| (&plan.rule(one.place).family, one));
    let news = told().filter(|(family, one)| !is_nothing(chart, plan, family, one));
    let mut families: BTreeMap<&Arc<str>, Vec<Fed>> = news.map(|(family, _)| (family, Vec::new())).collect();
    let ended = silence::ended(chart, plan);
    families.extend(ended.iter().map(|(place, _)| (&plan.rule(*place).family, Vec::new())));
    for (family, one) in told() {
        if let Some(fed) = families.get_mut(family) {
            let finding = one.finding.clone().or_else(|| chart.finding(plan, one.place));
            fed.push(Fed { place: one.place, finding, tells: one.tells });
        }
    }
    for (place, fed) in ended {
        families.entry(&plan.rule(place).family).or_default().push(fed);
    }
    let opening = Opening::Sitting(sitting.kit, sitting.seq);
    for (family, fed) in families {
        outcome.alerts.extend(episode::feed(chart, plan, family, &fed, &opening, now));
    }
    if let Some(called) = call::heard(chart, plan, sitting, now) {
        outcome.alerts.extend(episode::feed(chart, plan, &called.family, &called.fed, &opening, now));
    }
}

/// Is it green now, and no news to an alert of its family?
fn is_nothing(chart: &Chart, plan: &Plan, family: &str, judged: &Judged) -> bool {
    let no_news = |alert: &Arc<Alert>| episode::is_no_news(chart, plan, alert, judged.place);
    judged.mark == Mark::Green && !judged.late && chart.alerts.get(family).is_none_or(no_news)
}

/// The change of the assessment: of now, or, where that stays, of then, for late findings that were not green.
fn assessment(
    chart: &Chart,
    plan: &Plan,
    before: State,
    sitting: &Sitting<'_>,
    judged: &[Judged],
) -> Option<AssessmentChange> {
    let late = || {
        judged
            .iter()
            .filter(|judged| judged.tells == Tells::Then)
            .filter_map(|judged| judged.finding.as_deref().cloned())
    };
    let worst = |tells: Tells| {
        judged.iter().filter(|judged| judged.tells == tells).max_by_key(|judged| (judged.mark, judged.at))
    };
    let at = match worst(Tells::Now) {
        Some(judged) => Some(time(judged.at)),
        None => newest_in(sitting),
    };
    let mut assessment = at.and_then(|at| change(chart, plan, before, at, worst(Tells::Now).is_some_and(|it| it.late)));
    if let Some(change) = &mut assessment {
        change.findings.extend(late());
        change.findings.sort_by_key(|finding| Reverse(finding.colour));
        return assessment;
    }
    let then = worst(Tells::Then)?;
    let mut findings: Vec<Finding> = late().collect();
    findings.sort_by_key(|finding| Reverse(finding.colour));
    let (patient, was, blue) = (plan.patient().clone(), before.colour, chart.blue());
    let colour = then.mark.colour().unwrap_or_default();
    Some(AssessmentChange { at: time(then.at), patient, was, colour, blue, late: true, findings })
}

fn newest_in(sitting: &Sitting<'_>) -> Option<Timestamp> {
    let measured = sitting.readings.iter().map(|reading| reading.measured_at);
    measured.chain(sitting.answers.iter().map(|answer| answer.answered_at)).max()
}
