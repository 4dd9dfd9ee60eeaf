//! Judging again: after a change of programmes or own settings, and after a reading was declared invalid or valid again.
//!
//! The chart has been built again from what is stored, by the new plan or without what is invalid. What it says of now is compared with what
//! the chart before said, and the alerts follow: what is worse is raised, what is milder improves. What rested on an invalid reading alone is
//! withdrawn; nothing is withdrawn for a change of plan, since it was true when it was found.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use crate::{
    Alert, AlertChange, CALL_RULE, Chart, CloseReason, EventKind, Finding, Mark, Outcome, Plan, State,
    assess::{self, change},
    episode::{self, Fed, Opening, now_mark},
    series::{length, nanos},
};

/// Why a patient is judged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because<'a> {
    /// The plan is another.
    Plan,
    /// A reading was declared invalid, or valid again.
    Readings {
        /// By whom.
        by: &'a str,
        /// Why.
        why: &'a str,
    },
}

/// The chart of now from the one before and the one built again, and what that changes.
pub fn rejudge(old: &Chart, mut rebuilt: Chart, plan: &Plan, because: Because<'_>, now: Timestamp) -> (Chart, Outcome) {
    let before = assess::State::of(old);
    rebuilt.alerts = old.alerts.clone();
    rebuilt.ended = old.ended.clone();
    rebuilt.kit_silent_since = old.kit_silent_since;
    rebuilt.follow(plan);
    for place in 0..plan.len() {
        let before = old.said(plan.programme_of(place).id(), &plan.rule(place).id).and_then(|memory| memory.handled);
        let memory = &mut rebuilt.rules[place];
        memory.handled = before.filter(|_| memory.stands && memory.mark > Mark::Green);
    }
    let mut outcome = Outcome::default();
    if let Because::Readings { by, why } = because {
        outcome.alerts = withdraw(old, &mut rebuilt, plan, by, why, now);
    }
    let mut families: BTreeMap<Arc<str>, Vec<Fed>> = BTreeMap::new();
    for place in (0..plan.len()).filter(|place| differs(old, &rebuilt, plan, *place)) {
        let memory = &rebuilt.rules[place];
        if memory.held_until.is_none() {
            let finding = rebuilt.finding(plan, place);
            families.entry(Arc::clone(&plan.rule(place).family)).or_default().push(Fed {
                place,
                finding,
                stands: true,
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

/// Takes out of the open alerts what is no longer found, and ends those in which nothing is left. What neither chart finds (it has no place in
/// time, or is not kept any longer) is none of what was declared invalid, and stays.
fn withdraw(old: &Chart, chart: &mut Chart, plan: &Plan, by: &str, why: &str, now: Timestamp) -> Vec<AlertChange> {
    let mut changes = Vec::new();
    for (family, alert) in chart.alerts.clone() {
        let stays = |finding: &&Finding| is_still_found(chart, plan, finding) || !is_still_found(old, plan, finding);
        let (mut left, gone): (Vec<Finding>, Vec<Finding>) =
            alert.findings.iter().cloned().partition(|finding| stays(&finding));
        if gone.is_empty() {
            continue;
        }
        left.extend(gone.iter().filter_map(|gone| before(chart, plan, &alert, gone)));
        left.sort_by_key(|finding| std::cmp::Reverse(finding.colour));
        let mut alert = Alert { findings: left, ..(*alert).clone() };
        let worst = alert.findings.iter().map(|finding| finding.colour).max().unwrap_or(Mark::Green);
        if worst == Mark::Green {
            let note = format!("reading declared invalid: {why}");
            alert.state = State::Closed { by: by.to_owned(), at: now, reason: CloseReason::Technical, note };
            chart.alerts.remove(&family);
            chart.end(alert.id, "withdrawn");
        } else {
            alert.mark = worst;
        }
        alert.now_mark = now_mark(chart, plan, &alert);
        alert.must_have_seen = alert.version + 1;
        let mut change = episode::step(alert, EventKind::Withdrawn, now, why.to_owned());
        change.event.by = Some(by.to_owned());
        if change.alert.state.is_open() {
            chart.alerts.insert(family, Arc::new(change.alert.clone()));
        }
        changes.push(change);
    }
    changes
}

/// The worst that the same rule found earlier in the same episode: an alert keeps the last of what is equally bad, and what came before that is
/// still true.
fn before(chart: &Chart, plan: &Plan, alert: &Alert, gone: &Finding) -> Option<Finding> {
    let place = plan.place(&gone.programme, &gone.rule).filter(|_| gone.colour > Mark::Green)?;
    let late_after = plan.programme_of(place).clinic().late_after.0;
    let mut times = Vec::new();
    let since = nanos(alert.raised_at).saturating_sub(length(late_after));
    chart.times(&plan.rule(place).watches, since, nanos(gone.at).saturating_sub(1), &mut times);
    let found = times.into_iter().filter_map(|at| {
        assess::worst_at(chart, plan, place, at).filter(|(verdict, _)| verdict.at == at && verdict.mark > Mark::Green)
    });
    let (verdict, rank) = found.max_by_key(|(verdict, _)| (verdict.mark, verdict.at))?;
    let found = assess::find(chart, plan, place, verdict, rank);
    Some(if gone.late { assess::late(found) } else { found })
}

/// Is what was found then found then still? What can't be judged again (a call, a silence, what is older than the chart) stays.
fn is_still_found(chart: &Chart, plan: &Plan, finding: &Finding) -> bool {
    let Some(place) = plan.place(&finding.programme, &finding.rule).filter(|_| finding.rule != CALL_RULE) else {
        return true;
    };
    let watches = &plan.rule(place).watches;
    let at = nanos(finding.at);
    let oldest = chart.watched(watches).filter_map(|series| Some(series.all().first()?.at)).min();
    if watches == &crate::rules::Watches::default() {
        return true;
    }
    // Without a sample the reading was the only one, and it is gone.
    if oldest.is_some_and(|oldest| oldest > at) && chart.is_older_than_kept(plan, watches, at) {
        return true;
    }
    assess::worst_at(chart, plan, place, at)
        .is_some_and(|(verdict, _)| verdict.at == at && verdict.mark >= finding.colour)
}
