//! How findings feed an alert: one open alert for each family. Red latches until a person closes it; yellow eases after enough normal
//! sittings; blue eases when data comes. A worse finding raises the mark, un-acknowledges and makes somebody wait anew; the same again only
//! counts, unless it is of something that whoever has taken the alert can't have seen: then it waits anew too. Late findings feed it too, as
//! what they were, and never count towards easing. All this is the newest way of judging; see [`Judging`].

use std::{cmp::Reverse, sync::Arc};

use jiff::Timestamp;
use uuid::Uuid;
use vitals::{Flag, KitId};

use crate::{
    Alert, AlertChange, AlertEvent, AlertId, Chart, EventKind, Finding, Input, Judging, Mark, Plan, Reason, State,
    assess::TOGETHER,
    bounds::FINDINGS_MAX,
    late,
    series::{length, nanos},
};

/// The space of alert ids.
const ALERTS: Uuid = Uuid::from_u128(0x7d1c_2a44_9f0b_5b6e_8a53_61c0_9e2f_4d17);

/// The place of the rule that stands beside every plan: whoever asks to be called is called.
pub(crate) const CALL: usize = usize::MAX;

/// What an alert is fed.
pub(crate) struct Fed {
    /// The rule's place in the plan, or [`CALL`].
    pub place: usize,
    /// What the rule found; `None`: a silence ended.
    pub finding: Option<Arc<Finding>>,
    pub tells: Tells,
}

/// Of when a rule tells something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tells {
    /// Of now: it stands.
    Now,
    /// Of then: it came late.
    Then,
    /// Of its own time, close to what stands and no worse: it only counts.
    Beside,
}

impl Fed {
    fn mark(&self) -> Mark {
        self.finding.as_ref().map_or(Mark::Green, |finding| finding.colour)
    }

    /// Says it of now, and came in time.
    fn is_news(&self) -> bool {
        self.tells == Tells::Now && self.finding.as_ref().is_none_or(|finding| !finding.late)
    }

    /// Is what it says of now measured beyond doubt? What else it looked at may be older.
    fn is_sure(&self) -> bool {
        self.finding.as_ref().is_none_or(|finding| {
            let of_now = |input: &&Input| match input {
                Input::Reading { measured_at, .. } => finding.at.duration_since(*measured_at) <= TOGETHER,
                Input::Answer { .. } => true,
            };
            !finding.inputs.iter().filter(of_now).any(is_doubtful)
        })
    }
}

/// What opened an alert.
pub(crate) enum Opening<'a> {
    Sitting(&'a KitId, u64),
    Deadline(Timestamp),
    Held(Timestamp),
    /// Judged again, at this time.
    Again(Timestamp),
}

impl Opening<'_> {
    /// What ended and opens again, since the clock was set back, is another alert.
    fn id(&self, chart: &Chart, plan: &Plan, family: &str) -> AlertId {
        let opening = match self {
            Self::Sitting(kit, seq) => format!("sitting {kit} {seq}"),
            Self::Deadline(at) => format!("deadline {at}"),
            Self::Held(at) => format!("held {at}"),
            Self::Again(at) => format!("again {at}"),
        };
        let first = format!("{} {family} {opening}", plan.patient());
        let mut id = Uuid::new_v5(&ALERTS, first.as_bytes());
        for time in 2_u32.. {
            if !chart.has_ended(id) {
                break;
            }
            id = Uuid::new_v5(&ALERTS, format!("{first}, time {time}").as_bytes());
        }
        id
    }
}

/// Feeds a family's alert with all that one event found, and gives its change.
pub(crate) fn feed(
    chart: &mut Chart,
    plan: &Plan,
    family: &Arc<str>,
    fed: &[Fed],
    opening: &Opening<'_>,
    at: Timestamp,
) -> Option<AlertChange> {
    let (open, is_beside) = (chart.alerts.get(family).cloned(), |fed: &Fed| fed.tells == Tells::Beside);
    let told = fed.iter().filter(|fed| !is_beside(fed)).map(Fed::mark).max().unwrap_or(Mark::Green);
    let worst = open.as_ref().map_or(told, |alert| alert.mark.max(told));
    let counts = |fed: &&Fed| fed.mark() > Mark::Green && (!is_beside(fed) || fed.mark() <= worst);
    let mut bad: Vec<&Fed> = fed.iter().filter(counts).collect();
    bad.sort_by_key(|fed| (Reverse(fed.mark()), is_beside(fed)));
    let bad: Vec<&Arc<Finding>> = bad.into_iter().filter_map(|fed| fed.finding.as_ref()).collect();
    let is_news = |fed: &Fed| !is_beside(fed) && !is_handled(chart, plan, fed, at);
    let mut change = match (open, bad.first()) {
        (None, None) => return None,
        (None, Some(_)) if !fed.iter().any(is_news) => return None,
        (None, Some(worst)) => raise(chart, plan, (family, fed), &bad, worst, opening.id(chart, plan, family), at),
        (Some(alert), Some(worst)) => again(chart, plan, (*alert).clone(), fed, &bad, worst, at),
        (Some(alert), None) => calm(chart, plan, (*alert).clone(), fed, at)?,
    };
    let news = fed.iter().filter(counts).filter(|fed| !has_counted(chart, plan, fed)).count();
    change.alert.count = change.alert.count.saturating_add(u32::try_from(news).unwrap_or(u32::MAX)).max(1);
    if change.alert.state.is_open() {
        chart.alerts.insert(family, change.alert.clone());
    } else {
        chart.alerts.remove(family);
        chart.end(change.alert.id, "eased");
    }
    Some(change)
}

/// Has the same been fed before? What stands is told anew when something else passes, and counts once.
fn has_counted(chart: &mut Chart, plan: &Plan, fed: &Fed) -> bool {
    let of_a_rule = fed.finding.as_ref().filter(|_| fed.place != CALL);
    of_a_rule.is_some_and(|finding| late::has_counted(chart, plan, fed.place, (nanos(finding.at), finding.colour)))
}

/// Has a person lately closed an alert of this, no milder, and has it not passed since? Or is there nothing to handle?
fn is_handled(chart: &Chart, plan: &Plan, fed: &Fed, now: Timestamp) -> bool {
    if fed.mark() == Mark::Green {
        return true;
    }
    if fed.place == CALL {
        return false;
    }
    let (rule, memory) = (plan.rule(fed.place), &chart.rules[fed.place]);
    let (Some(again_after), Some((closed, mark))) = (rule.again_after, memory.handled()) else { return false };
    fed.mark() <= mark && nanos(now) < closed.saturating_add(length(again_after))
}

fn raise(
    chart: &Chart,
    plan: &Plan,
    (family, fed): (&str, &[Fed]),
    bad: &[&Arc<Finding>],
    worst: &Finding,
    id: AlertId,
    at: Timestamp,
) -> AlertChange {
    let mut alert = Alert {
        id,
        patient: plan.patient().clone(),
        family: family.to_owned(),
        state: State::Open,
        mark: worst.colour,
        now_mark: worst.colour,
        waiting_since: at,
        raised_at: at,
        changed_at: at,
        late: as_bad_as(bad, worst.colour).all(|finding| finding.late),
        provisional: as_bad_as(bad, worst.colour).all(|finding| finding.provisional),
        count: 0,
        normal_in_row: 0,
        normal_at: None,
        findings: Vec::new(),
        withdrawn: Vec::new(),
        version: 0,
        must_have_seen: 1,
    };
    fed.iter().filter(|fed| fed.mark() > Mark::Green).for_each(|fed| take_in(&mut alert, plan, fed));
    alert.now_mark = now_mark(chart, plan, &alert);
    step(alert, EventKind::Raised, at, worst.why.clone())
}

/// Another finding above green on an open alert.
fn again(
    chart: &Chart,
    plan: &Plan,
    mut alert: Alert,
    fed: &[Fed],
    bad: &[&Arc<Finding>],
    worst: &Finding,
    at: Timestamp,
) -> AlertChange {
    let worse = worst.colour > alert.mark;
    let unseen = plan.judging() >= Judging::Second && is_unseen(plan, &alert, fed);
    // What is milder says nothing of what was doubtful.
    let as_bad = |finding: &Finding| !finding.provisional && !finding.late && finding.colour >= alert.mark;
    let confirmed = alert.provisional && bad.iter().any(|finding| as_bad(finding));
    alert.provisional = match worse {
        true => plan.judging() >= Judging::Second && as_bad_as(bad, worst.colour).all(|finding| finding.provisional),
        false => alert.provisional && !confirmed,
    };
    let before = in_doubt(&alert);
    alert.mark = alert.mark.max(worst.colour);
    fed.iter().for_each(|fed| take_in(&mut alert, plan, fed));
    alert.now_mark = now_mark(chart, plan, &alert);
    alert.late = alert.findings.iter().filter(|finding| finding.colour == alert.mark).all(|finding| finding.late);
    if let Some(before) = before.filter(|before| is_denied(chart, plan, before, fed)) {
        return deny(chart, plan, alert, &before, at, worst.why.clone());
    }
    if bad.iter().any(|finding| !finding.late) {
        (alert.normal_in_row, alert.normal_at) = (0, None);
    }
    if worse || unseen || (confirmed && plan.judging() >= Judging::Second) {
        alert.must_have_seen = alert.version + 1;
    }
    let is_taken = alert.state != State::Open;
    if worse || (unseen && is_taken) {
        alert.state = State::Open;
        alert.waiting_since = at;
    }
    let kind = match (worse, confirmed) {
        (true, _) => EventKind::Worsened,
        (false, true) => EventKind::Confirmed,
        (false, false) if unseen && is_taken => EventKind::Reopened,
        (false, false) => EventKind::Repeated,
    };
    step(alert, kind, at, worst.why.clone())
}

/// Is it no worse than the alert has been, and yet what nobody can have seen in it? A person asks to be called once more; what made it as bad as
/// it is had come late, and now it is so; it is red again after all had been well, or another rule finds red; expected data is missing that was not.
fn is_unseen(plan: &Plan, alert: &Alert, fed: &[Fed]) -> bool {
    let fresh = |fed: &&Fed| fed.place == CALL || (fed.is_news() && fed.mark() >= alert.mark);
    let was_well = alert.now_mark == Mark::Green;
    fed.iter().filter(fresh).any(|fed| {
        let known = |old: &&Arc<Finding>| is_of(plan, old, fed.place) && old.colour >= alert.mark && !old.late;
        let before = alert.findings.iter().find(known);
        match alert.mark {
            _ if fed.place == CALL => true,
            Mark::Red => alert.late || was_well || before.is_none(),
            Mark::Blue => before.is_none_or(|before| misses_more(before, fed)),
            Mark::Yellow | Mark::Green => alert.late,
        }
    })
}

/// Is something missing now that had come before?
fn misses_more(before: &Finding, fed: &Fed) -> bool {
    let now = fed.finding.as_ref().map(|finding| &finding.reason);
    let (
        Reason::Missing { vitals, questionnaires, .. },
        Some(Reason::Missing { vitals: now, questionnaires: asked, .. }),
    ) = (&before.reason, now)
    else {
        return false;
    };
    now.iter().any(|vital| !vitals.contains(vital)) || asked.iter().any(|of| !questionnaires.contains(of))
}

fn as_bad_as<'f>(findings: &'f [&'f Arc<Finding>], mark: Mark) -> impl Iterator<Item = &'f Arc<Finding>> {
    findings.iter().copied().filter(move |finding| finding.colour == mark)
}

/// Only green: towards easing, where it comes from rules that fed the alert. Nothing where that changes nothing: a red that waits for a
/// person does not grow by a line of history with every normal reading.
fn calm(chart: &Chart, plan: &Plan, mut alert: Alert, fed: &[Fed], at: Timestamp) -> Option<AlertChange> {
    let ours: Vec<&Fed> = fed.iter().filter(|fed| fed.tells == Tells::Now && fed_it(&alert, plan, fed.place)).collect();
    let findings = alert.findings.clone();
    let second = plan.judging() >= Judging::Second;
    let rest = |alert: &Alert| (alert.now_mark, alert.normal_in_row, second && alert.provisional);
    let before = rest(&alert);
    let whole = in_doubt(&alert);
    let ended = |fed: &Fed| match fed.place {
        CALL => "called".to_owned(),
        place if plan.rule(place).judge.missing().is_some() => "data has come again".to_owned(),
        place => {
            let why = chart.rules[place].ended().unwrap_or(crate::rules::Nothing::NotNow);
            format!("{}: {}", plan.rule(place).id, why.ended())
        }
    };
    let text =
        ours.first().map(|fed| fed.finding.as_ref().map_or_else(|| ended(fed), |finding| finding.why.clone()))?;
    ours.iter().for_each(|fed| take_in(&mut alert, plan, fed));
    alert.now_mark = now_mark(chart, plan, &alert);
    if let Some(whole) = whole {
        if is_denied(chart, plan, &whole, fed) {
            return Some(deny(chart, plan, alert, &whole, at, text));
        }
        // Nobody measured again in time: what comes hours later does not say that it was wrong.
        alert.provisional &= alert.now_mark > Mark::Green;
    }
    if alert.mark < Mark::Red && alert.now_mark == Mark::Green && counts_as_normal(&mut alert, plan, &ours) {
        alert.normal_in_row = alert.normal_in_row.saturating_add(1);
    }
    let as_bad =
        if second { marks(&findings) == marks(&alert.findings) } else { are_as_bad(&findings, &alert.findings) };
    if as_bad && before == rest(&alert) {
        return None;
    }
    let enough = match alert.mark {
        Mark::Red => u32::MAX,
        Mark::Yellow if is_of_silence(&alert) => 1,
        Mark::Yellow => ease_after(plan, &alert.family),
        Mark::Blue | Mark::Green => 1,
    };
    if alert.now_mark > Mark::Green || alert.normal_in_row < enough {
        return Some(step(alert, EventKind::Improved, at, text));
    }
    alert.state = State::Eased { at };
    Some(step(alert, EventKind::Eased, at, text))
}

/// Is this a normal sitting more? Each device sends a message of its own, so what lies close together is one; what is doubtful is none.
fn counts_as_normal(alert: &mut Alert, plan: &Plan, ours: &[&Fed]) -> bool {
    if plan.judging() < Judging::Second {
        return ours.iter().any(|fed| fed.is_news());
    }
    let mut sure = ours.iter().filter(|fed| fed.is_news() && fed.is_sure()).peekable();
    if sure.peek().is_none() {
        return false;
    }
    let measured = sure.filter_map(|fed| Some(fed.finding.as_ref()?.at)).max();
    if let (Some(at), Some(last)) = (measured, alert.normal_at)
        && at.duration_since(last) <= TOGETHER
    {
        return false;
    }
    alert.normal_at = measured;
    true
}

/// The rules of findings with their marks, in whatever order they came.
fn marks(findings: &[Arc<Finding>]) -> Vec<(Mark, &str)> {
    let mut marks: Vec<_> = findings.iter().map(|finding| (finding.colour, finding.rule.as_str())).collect();
    marks.sort_unstable();
    marks
}

/// Are these findings of the same rules, and their marks the same, in the same order?
fn are_as_bad(before: &[Arc<Finding>], now: &[Arc<Finding>]) -> bool {
    let same = |(one, two): (&Arc<Finding>, &Arc<Finding>)| (&one.rule, one.colour) == (&two.rule, two.colour);
    before.len() == now.len() && before.iter().zip(now).all(same)
}

/// Does it change nothing that this rule finds green? So it is where the rule never fed the alert, and where a red waits for a person and nothing
/// else of the rule is left in it than its red and a green (in the first way of judging one that is the newest of all).
pub(crate) fn is_no_news(chart: &Chart, plan: &Plan, alert: &Alert, place: usize) -> bool {
    let of_it = |finding: &&Arc<Finding>| !finding.late && is_of(plan, finding, place);
    let is_green = |finding: &Arc<Finding>| finding.colour == Mark::Green;
    let has_green = match plan.judging() {
        Judging::First => alert.findings.last().filter(of_it).is_some_and(is_green),
        Judging::Second => alert.findings.iter().filter(of_it).any(is_green),
    };
    let is_green_again = alert.mark == Mark::Red
        && has_green
        && !is_in_doubt(alert)
        && alert.findings.iter().filter(of_it).all(|finding| matches!(finding.colour, Mark::Red | Mark::Green))
        && now_mark(chart, plan, alert) == alert.now_mark;
    is_green_again || !fed_it(alert, plan, place)
}

/// An alert as it is, if another measurement may say that it was for nothing.
fn in_doubt(alert: &Alert) -> Option<Alert> {
    is_in_doubt(alert).then(|| alert.clone())
}

fn is_in_doubt(alert: &Alert) -> bool {
    alert.provisional && alert.state == State::Open
}

/// Has what made such an alert as bad as it is been measured again in time, beyond doubt, and is it not so?
fn is_denied(chart: &Chart, plan: &Plan, alert: &Alert, fed: &[Fed]) -> bool {
    let doubted: Vec<&Arc<Finding>> =
        alert.findings.iter().filter(|it| it.provisional && it.colour == alert.mark).collect();
    let since: Vec<Timestamp> = doubted.iter().map(|finding| finding.at).collect();
    let of_it = |fed: &&Fed| fed.place != CALL && doubted.iter().any(|finding| is_of(plan, finding, fed.place));
    let still = |finding: &&Arc<Finding>| {
        let place = plan.place(&finding.programme, &finding.rule);
        place.and_then(|place| chart.mark_of(place)).is_none_or(|mark| mark >= alert.mark)
    };
    !doubted.iter().any(still) && fed.iter().filter(of_it).any(|fed| fed.is_news() && is_repeat(plan, &since, fed))
}

/// What was doubtful was not so: what is left of the alert is what else was found, beyond doubt; without that it is over.
fn deny(chart: &Chart, plan: &Plan, mut alert: Alert, before: &Alert, at: Timestamp, text: String) -> AlertChange {
    let sure = |alert: &Alert| alert.findings.iter().filter(|it| !it.provisional).map(|it| it.colour).max();
    let left = sure(before).max(sure(&alert)).unwrap_or(Mark::Green);
    alert.provisional = false;
    if left == Mark::Green {
        alert.state = State::Eased { at };
        return step(alert, EventKind::NotConfirmed, at, text);
    }
    alert.findings.retain(|finding| !finding.provisional);
    alert.mark = left;
    alert.now_mark = now_mark(chart, plan, &alert);
    step(alert, EventKind::NotConfirmed, at, text)
}

/// Is it a measurement beyond doubt that was asked for: so soon after what was doubtful that it is of the same state?
fn is_repeat(plan: &Plan, doubted: &[Timestamp], fed: &Fed) -> bool {
    let (Some(finding), true) = (&fed.finding, fed.place != CALL) else { return false };
    let within = plan.programme_of(fed.place).clinic().repeat_within.map_or(TOGETHER, |it| it.0.max(TOGETHER));
    let newest = doubted.iter().max();
    !finding.inputs.iter().any(is_doubtful) && newest.is_some_and(|at| finding.at.duration_since(*at) <= within)
}

fn is_doubtful(input: &Input) -> bool {
    matches!(input, Input::Reading { flags, .. } if flags.iter().any(Flag::is_doubt))
}

/// Is it of nothing but missing data? Then it is over when they come.
fn is_of_silence(alert: &Alert) -> bool {
    alert.findings.iter().all(|finding| matches!(finding.reason, Reason::Missing { .. }))
}

/// The next version of an alert, and its line of history.
pub(crate) fn step(mut alert: Alert, kind: EventKind, at: Timestamp, text: String) -> AlertChange {
    alert.version += 1;
    alert.changed_at = alert.changed_at.max(at);
    let mark = alert.mark;
    AlertChange { alert, event: AlertEvent { kind, at, by: None, mark, text } }
}

/// So many normal sittings ease a yellow alert: the most that a programme with rules of its family asks for.
fn ease_after(plan: &Plan, family: &str) -> u32 {
    let of_family = plan.programmes().iter().filter(|it| it.rules().iter().any(|rule| *rule.family == *family));
    let each = of_family.map(|programme| programme.clinic().ease_after_sittings);
    each.max().unwrap_or_else(|| plan.programme().clinic().ease_after_sittings)
}

/// Is a finding one of the rule at this place?
fn is_of(plan: &Plan, finding: &Finding, place: usize) -> bool {
    if place == CALL || finding.rule == crate::CALL_RULE {
        return place == CALL && finding.rule == crate::CALL_RULE;
    }
    *plan.rule(place).id == *finding.rule && plan.programme_of(place).id() == finding.programme
}

/// Has the rule at this place fed the alert?
pub(crate) fn fed_it(alert: &Alert, plan: &Plan, place: usize) -> bool {
    alert.findings.iter().any(|finding| is_of(plan, finding, place))
}

/// Takes a finding into the alert: any above green, and a green one of a rule that fed it.
fn take_in(alert: &mut Alert, plan: &Plan, fed: &Fed) {
    if let Some(finding) = &fed.finding
        && fed.tells != Tells::Beside
        && (fed.mark() > Mark::Green || fed_it(alert, plan, fed.place))
    {
        // What is found again, since its reading is valid again, is withdrawn no longer.
        let again =
            |gone: &Finding| is_of(plan, gone, fed.place) && (gone.at, gone.colour) == (finding.at, finding.colour);
        alert.withdrawn.retain(|gone| !again(gone));
        keep(alert, finding);
    }
}

/// Keeps the last finding of each rule, and beside it, where that is milder, the one that made the alert as bad as it is; and beside those
/// the last late one that is not milder than the late one before. Worst first.
fn keep(alert: &mut Alert, new: &Arc<Finding>) {
    let (mark, findings) = (alert.mark, &mut alert.findings);
    let same = |old: &Finding| old.rule == new.rule && old.programme == new.programme && old.late == new.late;
    if new.late {
        if findings.iter().any(|old| same(old) && old.colour > new.colour) {
            return;
        }
        findings.retain(|old| !same(old));
    } else {
        findings.retain(|old| !same(old) || (old.colour == mark && new.colour < mark));
    }
    if findings.len() < FINDINGS_MAX {
        findings.push(Arc::clone(new));
    }
    findings.sort_by_key(|finding| Reverse(finding.colour));
}

/// The worst of what each rule that fed the alert found last. A rule that no programme has any longer finds nothing.
pub(crate) fn now_mark(chart: &Chart, plan: &Plan, alert: &Alert) -> Mark {
    let says = |finding: &Arc<Finding>| {
        if finding.rule == crate::CALL_RULE {
            return Some(finding.colour);
        }
        let place = plan.place(&finding.programme, &finding.rule)?;
        Some(chart.mark_of(place).unwrap_or(finding.colour))
    };
    alert.findings.iter().filter_map(says).max().unwrap_or(Mark::Green)
}
