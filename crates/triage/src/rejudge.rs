//! Judging again: after a change of programmes or own settings, and after a reading was declared invalid or valid again.
//!
//! The chart has been built again from what is stored, by the new plan or without what is invalid. What it says of now is compared with what
//! the chart before said, and the alerts follow: what is worse is raised, what is milder improves. What rested on an invalid reading alone is
//! withdrawn; nothing is withdrawn for a change of plan, since it was true when it was found.
//!
//! A chart keeps what the next judgement needs, which is often less than what an alert rests on. So a changed reading comes with two charts
//! that keep everything, with it and without: they say what was found at any time, and what would have been.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use vitals::Reading;

use crate::{
    Alert, AlertChange, CALL_RULE, Chart, CloseReason, EventKind, Finding, Input, Mark, Outcome, Plan, State,
    assess::{self, change},
    bounds::{FINDINGS_MAX, SAMPLES_MAX},
    episode::{self, Fed, Opening, Tells, now_mark},
    late,
    series::{Series, length, nanos},
};

/// Why a patient is judged again.
#[derive(Clone, Copy, Debug)]
pub enum Because<'a> {
    /// The plan is another.
    Plan,
    /// A reading was declared invalid, or valid again.
    Readings {
        /// By whom.
        by: &'a str,
        /// Why.
        why: &'a str,
        /// What was valid before and is now invalid, or the other way round.
        changed: &'a [Reading],
        /// As it was judged before, with everything kept: [`Chart::keeping_all`].
        before: &'a Chart,
        /// The same as it is judged now.
        after: &'a Chart,
    },
}

/// Times that are looked at again for each rule when a reading has changed: the newest.
const TIMES_MAX: usize = 256;

/// The chart of now from the one before and the one built again, and what that changes.
pub fn rejudge(old: &Chart, mut rebuilt: Chart, plan: &Plan, because: Because<'_>, now: Timestamp) -> (Chart, Outcome) {
    let before = assess::State::of(old);
    rebuilt.alerts = old.alerts.clone();
    rebuilt.ended = old.ended.clone();
    rebuilt.kit_silent_since = old.kit_silent_since;
    rebuilt.follow(plan);
    let mut outcome = Outcome::default();
    let mut families: BTreeMap<Arc<str>, Vec<Fed>> = BTreeMap::new();
    if let Because::Readings { by, why, changed, before, after } = because {
        let looks = Looks { plan, changed, before, after };
        outcome.alerts = withdraw(&looks, &mut rebuilt, by, why, now);
        for fed in looks.seen_only_now() {
            families.entry(Arc::clone(&plan.rule(fed.place).family)).or_default().push(fed);
        }
    }
    for place in (0..plan.len()).filter(|place| differs(old, &rebuilt, plan, *place)) {
        let memory = &rebuilt.rules[place];
        if memory.held_until().is_none() {
            let finding = rebuilt.finding(plan, place);
            families.entry(Arc::clone(&plan.rule(place).family)).or_default().push(Fed {
                place,
                finding,
                tells: Tells::Now,
            });
        }
    }
    for (family, fed) in families {
        outcome.alerts.extend(episode::feed(&mut rebuilt, plan, &family, &fed, &Opening::Again(now), now));
    }
    outcome.assessment = change(&rebuilt, plan, before, now, false);
    (rebuilt, outcome)
}

/// Does the rule say something else of now than before?
fn differs(old: &Chart, new: &Chart, plan: &Plan, place: usize) -> bool {
    let memory = &new.rules[place];
    let (programme, rule) = (plan.programme_of(place).id(), &plan.rule(place).id);
    match old.said(programme, rule) {
        Some(before) => (before.at, before.mark, before.stands) != (memory.at, memory.mark, memory.stands),
        None => memory.stands,
    }
}

/// What can be looked at when a reading has changed.
struct Looks<'a> {
    plan: &'a Plan,
    changed: &'a [Reading],
    before: &'a Chart,
    after: &'a Chart,
}

/// Takes out of the open alerts what is no longer found, and ends those in which nothing is left. What neither chart finds (it has no place in
/// time, or is not kept any longer) stays, unless it rests on nothing but what has changed.
fn withdraw(looks: &Looks<'_>, chart: &mut Chart, by: &str, why: &str, now: Timestamp) -> Vec<AlertChange> {
    let mut changes = Vec::new();
    for (family, alert) in chart.alerts.iter().cloned().collect::<Vec<_>>() {
        let (mut left, gone): (Vec<Arc<Finding>>, Vec<Arc<Finding>>) =
            alert.findings.iter().cloned().partition(|finding| looks.stays(finding));
        if gone.is_empty() {
            continue;
        }
        left.extend(gone.iter().filter_map(|gone| looks.earlier(&alert, gone)).map(Arc::new));
        left.sort_by_key(|finding| std::cmp::Reverse(finding.colour));
        let mut alert = Alert { findings: left, ..(*alert).clone() };
        alert.withdrawn.extend(gone.into_iter().filter(|finding| finding.colour > Mark::Green));
        alert.withdrawn.sort_by_key(|finding| std::cmp::Reverse(finding.colour));
        alert.withdrawn.truncate(FINDINGS_MAX);
        let worst = alert.findings.iter().map(|finding| finding.colour).max().unwrap_or(Mark::Green);
        if worst == Mark::Green {
            let note = format!("reading declared invalid: {why}");
            alert.state = State::Closed { by: by.to_owned(), at: now, reason: CloseReason::Technical, note };
            chart.alerts.remove(&family);
            chart.end(alert.id, "withdrawn");
        } else {
            alert.mark = worst;
        }
        alert.now_mark = now_mark(chart, looks.plan, &alert);
        alert.must_have_seen = alert.version + 1;
        let mut change = episode::step(alert, EventKind::Withdrawn, now, why.to_owned());
        change.event.by = Some(by.to_owned());
        if change.alert.state.is_open() {
            chart.alerts.insert(&family, change.alert.clone());
        }
        changes.push(change);
    }
    changes
}

impl Looks<'_> {
    /// Is what was found then not to be taken out?
    fn stays(&self, finding: &Finding) -> bool {
        match (is_found(self.before, self.plan, finding), is_found(self.after, self.plan, finding)) {
            (_, Found::Yes | Found::Unknown) | (Found::Unknown, _) => true,
            (Found::Yes, Found::No) => false,
            (Found::No, Found::No) => !self.rests_on_changed(finding),
        }
    }

    /// Is all that it looked at among what has changed?
    fn rests_on_changed(&self, finding: &Finding) -> bool {
        let is_changed = |input: &Input| match input {
            Input::Reading { vital, value, measured_at, device, .. } => self.changed.iter().any(|one| {
                (one.vital, one.value, one.measured_at) == (*vital, *value, *measured_at) && one.device == *device
            }),
            Input::Answer { .. } => false,
        };
        !finding.inputs.is_empty() && finding.inputs.iter().all(is_changed)
    }

    /// The worst that the same rule found earlier in the same episode: an alert keeps the last of what is equally bad, and what came before
    /// that is still true.
    fn earlier(&self, alert: &Alert, gone: &Finding) -> Option<Finding> {
        let place = self.plan.place(&gone.programme, &gone.rule).filter(|_| gone.colour > Mark::Green)?;
        let late_after = self.plan.programme_of(place).clinic().late_after.0;
        let since = nanos(alert.raised_at).saturating_sub(length(late_after));
        let mut times = Vec::new();
        self.after.times(&self.plan.rule(place).watches, since, nanos(gone.at).saturating_sub(1), &mut times);
        let found = times.into_iter().filter_map(|at| late::as_of(self.after, self.plan, place, at));
        let found = found.filter(|(verdict, _)| verdict.mark > Mark::Green);
        let (verdict, rank) = found.max_by_key(|(verdict, _)| (verdict.mark, verdict.at))?;
        let found = assess::find(self.after, self.plan, place, verdict, rank);
        Some(if gone.late { late::told(found) } else { found })
    }

    /// What each rule says now, and did not say before, of times that are over: the worst of it. Nobody was told of it then.
    fn seen_only_now(&self) -> Vec<Fed> {
        let Some(since) = self.changed.iter().map(|reading| nanos(reading.measured_at)).min() else {
            return Vec::new();
        };
        let mut seen = Vec::new();
        for place in (0..self.plan.len()).filter(|place| !self.plan.rule(*place).ingredient) {
            let watches = &self.plan.rule(place).watches;
            let Some(newest) = self.after.newest_of(watches) else { continue };
            if !self.changed.iter().any(|reading| watches.vitals.contains(&reading.vital)) {
                continue;
            }
            let mut times = Vec::new();
            let until = newest.saturating_sub(length(assess::TOGETHER)).saturating_sub(1);
            self.after.times(watches, since.saturating_sub(1), until, &mut times);
            let worse = times.into_iter().rev().take(TIMES_MAX).filter_map(|at| {
                let found = late::as_of(self.after, self.plan, place, at)?;
                let was = late::as_of(self.before, self.plan, place, at).map_or(Mark::Green, |(before, _)| before.mark);
                (found.0.mark > was).then_some(found)
            });
            let Some((verdict, rank)) = worse.max_by_key(|(verdict, _)| (verdict.mark, verdict.at)) else { continue };
            let finding = late::known_late(assess::find(self.after, self.plan, place, verdict, rank));
            seen.push(Fed { place, finding: Some(Arc::new(finding)), tells: Tells::Then });
        }
        seen
    }
}

/// Does a chart say so?
enum Found {
    Yes,
    No,
    /// It can't be judged again: a call, a silence, what is older than the chart.
    Unknown,
}

/// Is what was found then found then still?
fn is_found(chart: &Chart, plan: &Plan, finding: &Finding) -> Found {
    let at = nanos(finding.at);
    let Some(place) = plan.place(&finding.programme, &finding.rule).filter(|_| finding.rule != CALL_RULE) else {
        return Found::Unknown;
    };
    let watches = &plan.rule(place).watches;
    let is_full = |series: &Series| series.all().len() >= SAMPLES_MAX && series.all()[0].at > at;
    if *watches == crate::rules::Watches::default()
        || chart.whole_since.is_none_or(|since| at < since)
        || chart.watched(watches).any(is_full)
    {
        return Found::Unknown;
    }
    let found = assess::worst_at(chart, plan, place, at);
    match found.is_some_and(|(verdict, _)| verdict.at == at && verdict.mark >= finding.colour) {
        true => Found::Yes,
        false => Found::No,
    }
}
