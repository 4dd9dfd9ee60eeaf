//! Whose own baseline is not there: rules that compare a person with themselves and have nothing to compare with, though the person has been
//! watched for long enough and measures.
//!
//! Days expire, and those around a red don't count: whoever has one every two weeks never has enough of them, and such a rule is silent for
//! ever. No alert tells of that, so it is listed.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{
    Chart, Plan, Text,
    look::{Look, Memo, days},
    rules::Nothing,
    series::{Nanos, length, nanos, time},
};

/// A rule without the baseline that it compares with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoBaseline {
    /// The programme's id.
    pub programme: String,
    /// Its version.
    pub version: u32,
    /// Its title.
    pub title: Text,
    /// The rule's id.
    pub rule: String,
    /// How many stable days there are.
    pub found: usize,
    /// How many it wants.
    pub want: usize,
    /// When it last had something to say, where that is known: an ingredient of others remembers nothing, and a chart that is built again goes
    /// back only so far.
    pub last_said_at: Option<Timestamp>,
}

/// Who has been watched for no longer than a rule wants days, and for this, is new.
const NEW: SignedDuration = SignedDuration::from_hours(24 * 7);
/// Who has not measured for so long is silent: that is told as missing data.
const MEASURES: SignedDuration = SignedDuration::from_hours(24 * 14);

/// The rules that have no baseline of this person as of `at`, in the plan's order.
#[must_use]
pub fn no_baseline(chart: &Chart, plan: &Plan, at: Timestamp) -> Vec<NoBaseline> {
    let memo = Memo::default();
    let look = |place| Look { plan, chart, place, at: nanos(at), rank: 0, memo: &memo };
    (0..plan.len()).filter_map(|place| one(&look(place))).collect()
}

fn one(look: &Look<'_>) -> Option<NoBaseline> {
    let (programme, rule) = (look.programme(), look.rule());
    let Err(Nothing::NoBaseline { found, want, until }) = look.judge() else { return None };
    let watched = look.chart.watched(&rule.watches);
    let newest = watched.filter_map(|series| series.until(look.at).last()).map(|sample| sample.at).max()?;
    let wants = length(days(u32::try_from(want).unwrap_or(u32::MAX)) + NEW);
    let is_new = until.saturating_sub(nanos(look.plan.since())) <= wants;
    if is_new || newest < look.at.saturating_sub(length(MEASURES)) {
        return None;
    }
    let said = look.chart.rules.get(look.place).map(|memory| memory.at).filter(|at| *at > Nanos::MIN);
    Some(NoBaseline {
        programme: programme.id().to_owned(),
        version: programme.version(),
        title: programme.titles().clone(),
        rule: rule.id.to_string(),
        found,
        want,
        last_said_at: said.map(time),
    })
}
