//! What the rules need to remember of one patient: bounded, and derived, so that it can be built again from what is stored.
//!
//! To build one again: start with [`Chart::new`], say with [`Chart::with_silence_judged`] up to when silence is known to have been judged
//! (or where the stored history begins), fold the stored sittings through [`crate::assess`] in the order in which they were recorded,
//! leaving what it puts out, saying between them with [`Chart::hear_closed`] what a person closed, and then put the open alerts in with
//! [`Chart::with_alerts`]. Cloning is cheap: findings and alerts are shared.

use std::{collections::VecDeque, sync::Arc};

use jiff::Timestamp;
use vitals::{Colour, Reading, Value, Vital, check_step};

use crate::{
    Alert, AlertId, Finding, Given, Mark, Plan, Reason, Rulebook,
    bounds::{ENDED_MAX, REMEMBERED_MAX, TIMES_MAX, UNSTABLE_MAX},
    freeze::Doubted,
    look::{Look, Memo},
    rules::{Nothing, Slot, Watches, finding},
    series::{Names, Nanos, Series, push, time},
    sitting_since,
};

/// One patient's chart.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// The rules that it was made with.
    book: Option<Arc<Rulebook>>,
    /// Everything since then is kept, needed or not.
    pub(crate) whole_since: Option<Nanos>,
    /// What was measured, of each vital that a rule watches.
    pub(crate) vitals: Vec<(Vital, Series)>,
    /// What was answered, of each question that a rule watches: questionnaire, question.
    pub(crate) questions: Vec<(Arc<str>, Arc<str>, Series)>,
    /// When each questionnaire of the programmes was answered last, whichever of its questions.
    pub(crate) answered: Vec<(Arc<str>, Nanos)>,
    /// Devices, flags and answers of the samples.
    pub(crate) names: Names,
    /// Each rule's memory, in the plan's order.
    pub(crate) rules: Vec<Memory>,
    /// Around reds: times that say nothing of the patient's normal state, oldest first.
    pub(crate) unstable: Vec<(Nanos, Nanos)>,
    /// Reds of doubtful values that may still be made up for, oldest first.
    pub(crate) doubted: Vec<Doubted>,
    /// What was found above green and may come again, oldest first.
    pub(crate) remembered: VecDeque<u64>,
    /// The newest value of each vital.
    pub(crate) newest: Vec<(Vital, Timestamp, Value)>,
    /// When the patient was last heard of.
    pub(crate) last_at: Option<Timestamp>,
    /// Since when the kit is silent, if it is.
    pub(crate) kit_silent_since: Option<Timestamp>,
    /// Every deadline up to here has been judged.
    pub(crate) settled: Option<Timestamp>,
    /// No deadline passes before this.
    pub(crate) quiet_until: Option<Timestamp>,
    /// What came for occurrences whose deadline is to come, of each rule of silence: a bit for each expected vital and questionnaire.
    pub(crate) pending: Vec<(usize, Vec<(Slot, u16)>)>,
    /// The open alert of each family.
    pub(crate) alerts: Open,
    /// Alerts that ended lately, and how, oldest first.
    pub(crate) ended: Vec<(AlertId, &'static str)>,
}

/// The open alerts, one for each family at most, in the order of the families' names. Most people have none or one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open(Vec<(Arc<str>, Arc<Alert>)>);

impl Open {
    pub fn iter(&self) -> impl Iterator<Item = &(Arc<str>, Arc<Alert>)> {
        self.0.iter()
    }

    pub fn get(&self, family: &str) -> Option<&Arc<Alert>> {
        self.place(family).ok().map(|place| &self.0[place].1)
    }

    pub fn insert(&mut self, family: &Arc<str>, alert: Alert) {
        let alert = Arc::new(alert);
        match self.place(family) {
            Ok(place) => self.0[place].1 = alert,
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (Arc::clone(family), alert));
            }
        }
    }

    pub fn remove(&mut self, family: &str) {
        if let Ok(place) = self.place(family) {
            self.0.remove(place);
        }
    }

    fn place(&self, family: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(family))
    }
}

/// What one rule says of now.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// When what decided it was measured, or missing data was due; nothing found yet where this is the beginning of time.
    pub at: Nanos,
    /// Which of several values of that time: see [`Look`].
    pub rank: u8,
    pub mark: Mark,
    /// Does it say anything of now? A silence that has ended does not.
    pub stands: bool,
    /// It had arrived late.
    pub late: bool,
    /// What a calm rule has none of.
    pub more: Option<Box<More>>,
}

/// What is remembered of a rule that found something: nearly all rules of nearly all people are calm, and take no room for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct More {
    /// A doubtful yellow that nobody has been told of yet: told at this time, unless another measurement comes before.
    pub held_until: Option<Nanos>,
    /// The finding, where it is above green or of a silence; others are made when they are asked for.
    pub finding: Option<Arc<Finding>>,
    /// When a person closed an alert of it that was so bad, if it has been above green ever since: it is not raised again at once, where the rule
    /// says so, and whoever asks why nobody is told hears of it.
    pub handled: Option<(Nanos, Mark)>,
    /// Why it says nothing of now any longer.
    pub ended: Option<Nothing>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { at: Nanos::MIN, rank: 0, mark: Mark::Green, stands: false, late: false, more: None }
    }
}

impl Memory {
    /// The same, with this.
    pub fn with(self, more: More) -> Self {
        Self { more: (more != More::default()).then(|| Box::new(more)), ..self }
    }

    /// What is remembered of it besides, to be changed.
    pub fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    pub fn held_until(&self) -> Option<Nanos> {
        self.more.as_ref()?.held_until
    }

    pub fn finding(&self) -> Option<&Arc<Finding>> {
        self.more.as_ref()?.finding.as_ref()
    }

    pub fn handled(&self) -> Option<(Nanos, Mark)> {
        self.more.as_ref()?.handled
    }

    pub fn ended(&self) -> Option<Nothing> {
        self.more.as_ref()?.ended
    }

    /// Is it of expected data that is missing, whatever its mark?
    fn is_silence(&self) -> bool {
        self.finding().is_some_and(|finding| matches!(finding.reason, Reason::Missing { .. }))
    }
}

impl Chart {
    /// A patient of whom nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same chart, which will keep everything that comes (up to [`crate::bounds::SAMPLES_MAX`] of a vital), and not only what is needed
    /// to judge what comes next: for looking at what was said at any time since `since`, from which on it is folded.
    #[must_use]
    pub fn keeping_all(mut self, since: Timestamp) -> Self {
        self.whole_since = Some(crate::series::nanos(since));
        self
    }

    /// The same chart with these alerts open, instead of those it had. Of those among them that have ended none is opened again.
    #[must_use]
    pub fn with_alerts(mut self, alerts: Vec<Alert>) -> Self {
        self.alerts = Open::default();
        for alert in alerts {
            match alert.state {
                crate::State::Closed { .. } => push(&mut self.ended, (alert.id, "closed")),
                crate::State::Eased { .. } => push(&mut self.ended, (alert.id, "eased")),
                _ => self.alerts.insert(&Arc::from(alert.family.as_str()), alert),
            }
        }
        self
    }

    /// Is this an alert that ended lately?
    pub(crate) fn has_ended(&self, id: AlertId) -> bool {
        self.ended.iter().any(|(ended, _)| *ended == id)
    }

    /// A person has closed this alert: what it was about and still stands has been handled. To be said of a chart that is built again where
    /// the alert was closed, between what was judged before and what came after.
    pub fn hear_closed(&mut self, alert: &Alert) {
        let crate::State::Closed { at, .. } = &alert.state else { return };
        self.alerts.remove(&alert.family);
        let Some(book) = self.book.clone() else { return };
        let at = crate::series::nanos(*at);
        for finding in alert.findings.iter().filter(|finding| finding.colour > Mark::Green) {
            let is_it = |(known, it): (&crate::Programme, &crate::rules::Rule)| {
                known.id() == finding.programme && *it.id == *finding.rule
            };
            let Some(place) = book.rules().position(is_it) else { continue };
            let memory = &mut self.rules[place];
            if memory.stands && memory.mark > Mark::Green {
                memory.more().handled = Some((at, finding.colour));
            }
        }
    }

    /// The same chart, where every deadline up to `through` has been judged already.
    #[must_use]
    pub fn with_silence_judged(mut self, through: Timestamp) -> Self {
        self.settled = Some(through);
        self.quiet_until = None;
        self
    }

    /// The worst of the findings that stand.
    #[must_use]
    pub fn colour(&self) -> Colour {
        self.marks().filter_map(Mark::colour).max().unwrap_or_default()
    }

    /// Is expected data missing?
    #[must_use]
    pub fn blue(&self) -> bool {
        self.rules.iter().any(|memory| memory.stands && (memory.mark == Mark::Blue || memory.is_silence()))
    }

    fn marks(&self) -> impl Iterator<Item = Mark> {
        self.rules.iter().filter(|memory| memory.stands).map(|memory| memory.mark)
    }

    /// The findings that stand: the latest of each rule, in the plan's order.
    #[must_use]
    pub fn standing(&self, plan: &Plan) -> Vec<Finding> {
        (0..self.rules.len()).filter_map(|place| self.finding(plan, place)).map(|finding| (*finding).clone()).collect()
    }

    /// What was answered around a finding on a path of answers, to explain it by ([`crate::why_given`]). Nothing of one that came late: of old
    /// sittings not every answer is kept.
    #[must_use]
    pub fn given(&self, finding: &Finding) -> Vec<Given<'_>> {
        let Some(since) = sitting_since(finding).filter(|_| !finding.late) else { return Vec::new() };
        let mut given = Vec::new();
        for (questionnaire, question, series) in &self.questions {
            let lately = series.all().iter().filter(|sample| time(sample.at) >= since);
            given.extend(lately.map(|sample| Given {
                questionnaire,
                question,
                answer: sample.text(&self.names),
                at: time(sample.at),
            }));
        }
        given
    }

    /// Since when the kit is silent, if it is.
    #[must_use]
    pub fn kit_silent_since(&self) -> Option<Timestamp> {
        self.kit_silent_since
    }

    /// The open alerts, one for each family at most.
    pub fn open_alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().map(|(_, alert)| &**alert)
    }

    /// When the patient was last heard of: the newest measurement or answer.
    #[must_use]
    pub fn last_at(&self) -> Option<Timestamp> {
        self.last_at
    }

    /// The finding of a rule that stands.
    pub(crate) fn finding(&self, plan: &Plan, place: usize) -> Option<Arc<Finding>> {
        let memory = self.rules.get(place).filter(|memory| memory.stands)?;
        if let Some(finding) = memory.finding() {
            return Some(Arc::clone(finding));
        }
        let look = Look { plan, chart: self, place, at: memory.at, rank: memory.rank, memo: &Memo::default() };
        let verdict = look.judge().ok()?;
        let mut found = finding(&look, verdict.mark, look.rule().judge.tell(&look, &verdict), time(memory.at));
        if memory.late {
            found = crate::late::told(found);
        }
        Some(Arc::new(found))
    }

    /// What a rule says of now, in the plan that the chart was made with.
    pub(crate) fn said(&self, programme: &str, rule: &str) -> Option<&Memory> {
        let place = self.book.as_ref()?.rules().position(|(known, it)| known.id() == programme && *it.id == *rule)?;
        self.rules.get(place)
    }

    /// The mark of what a rule found last; `None` where it has found nothing yet.
    pub(crate) fn mark_of(&self, place: usize) -> Option<Mark> {
        let memory = self.rules.get(place)?;
        if memory.stands { Some(memory.mark) } else { (memory.at > Nanos::MIN).then_some(Mark::Green) }
    }

    /// Every finding that stands, worst first, in the plan's order within a mark.
    pub(crate) fn worst_first(&self, plan: &Plan) -> Vec<Finding> {
        let mut findings = self.standing(plan);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.colour));
        findings
    }

    /// Follows the plan's rules, where they are others than before: what no rule knows is left out.
    pub(crate) fn follow(&mut self, plan: &Plan) {
        if self.book.as_ref().is_some_and(|book| Arc::ptr_eq(book, plan.book())) {
            return;
        }
        let mut before = std::mem::take(&mut self.rules);
        self.rules = vec![Memory::default(); plan.len()];
        if let Some(book) = &self.book {
            for ((programme, rule), memory) in book.rules().zip(&mut before) {
                if let Some(place) = plan.place(programme.id(), &rule.id) {
                    self.rules[place] = std::mem::take(memory);
                }
            }
            let book = Arc::clone(book);
            for doubted in std::mem::take(&mut self.doubted) {
                let rule = book.rules().nth(doubted.place);
                match rule.and_then(|(programme, rule)| plan.place(programme.id(), &rule.id)) {
                    Some(place) => self.doubted.push(Doubted { place, ..doubted }),
                    None => self.is_unstable(doubted.at, doubted.until),
                }
            }
        }
        self.vitals.retain(|(vital, _)| plan.of_vital(*vital).is_some());
        self.questions.retain(|(questionnaire, question, _)| plan.of_question(questionnaire, question).is_some());
        self.answered.retain(|(questionnaire, _)| plan.of_questionnaire(questionnaire).is_some());
        self.book = Some(Arc::clone(plan.book()));
        self.pending.clear();
        self.quiet_until = None;
    }

    pub(crate) fn series(&self, vital: Vital) -> Option<&Series> {
        self.vitals.iter().find(|(known, _)| *known == vital).map(|(_, series)| series)
    }

    pub(crate) fn series_mut(&mut self, vital: Vital) -> &mut Series {
        let place = self.vitals.iter().position(|(known, _)| *known == vital).unwrap_or_else(|| {
            push(&mut self.vitals, (vital, Series::default()));
            self.vitals.len() - 1
        });
        &mut self.vitals[place].1
    }

    pub(crate) fn asked(&self, questionnaire: &str, question: &str) -> Option<&Series> {
        let is_it = |(of, known, _): &&(Arc<str>, Arc<str>, Series)| **known == *question && **of == *questionnaire;
        self.questions.iter().find(is_it).map(|(.., series)| series)
    }

    pub(crate) fn asked_mut(&mut self, questionnaire: &Arc<str>, question: &Arc<str>) -> &mut Series {
        let is_it = |(of, known, _): &(Arc<str>, Arc<str>, Series)| of == questionnaire && known == question;
        let place = self.questions.iter().position(is_it).unwrap_or_else(|| {
            push(&mut self.questions, (Arc::clone(questionnaire), Arc::clone(question), Series::default()));
            self.questions.len() - 1
        });
        &mut self.questions[place].2
    }

    /// When a questionnaire was answered last.
    pub(crate) fn answered(&self, questionnaire: &str) -> Option<Nanos> {
        self.answered.iter().find(|(known, _)| **known == *questionnaire).map(|(_, at)| *at)
    }

    /// A questionnaire was answered.
    pub(crate) fn hear_answer(&mut self, questionnaire: &Arc<str>, at: Nanos) {
        match self.answered.iter_mut().find(|(known, _)| known == questionnaire) {
            Some((_, newest)) => *newest = at.max(*newest),
            None => push(&mut self.answered, (Arc::clone(questionnaire), at)),
        }
    }

    /// The series that a rule watches.
    pub(crate) fn watched<'c>(&'c self, watches: &'c Watches) -> impl Iterator<Item = &'c Series> {
        let vitals = watches.vitals.iter().filter_map(|vital| self.series(*vital));
        vitals.chain(watches.questions.iter().filter_map(|(of, question)| self.asked(of, question)))
    }

    /// The newest time of what a rule watches.
    pub(crate) fn newest_of(&self, watches: &Watches) -> Option<Nanos> {
        self.watched(watches).filter_map(|series| Some(series.newest()?.at)).max()
    }

    /// The times of what a rule watches in (`after`, `until`], oldest first, each once.
    pub(crate) fn times(&self, watches: &Watches, after: Nanos, until: Nanos, times: &mut Vec<Nanos>) {
        times.clear();
        for series in self.watched(watches) {
            let samples = series.until(until).iter().rev().take_while(|sample| sample.at > after);
            times.extend(samples.map(|sample| sample.at));
        }
        times.sort_unstable();
        times.dedup();
    }

    /// The newest of the same, [`TIMES_MAX`] at most; says whether there are more.
    pub(crate) fn newest_times(&self, watches: &Watches, after: Nanos, until: Nanos, times: &mut Vec<Nanos>) -> bool {
        times.clear();
        for series in self.watched(watches) {
            let samples = series.until(until).iter().rev().take_while(|sample| sample.at > after);
            let mut later = None;
            let apart = samples.map(|sample| sample.at).filter(|at| later.replace(*at) != Some(*at));
            times.extend(apart.take(TIMES_MAX + 1));
        }
        times.sort_unstable();
        times.dedup();
        let more = times.len().saturating_sub(TIMES_MAX);
        times.drain(..more);
        more > 0
    }

    /// The one time of all that a rule watches in (`after`, `until`], and how many values of one vital lie there at most; `None` where it
    /// is not one time.
    pub(crate) fn one_time(&self, watches: &Watches, after: Nanos, until: Nanos) -> Option<(Nanos, u8)> {
        let mut one = None;
        for series in self.watched(watches) {
            let samples = series.until(until);
            let Some(newest) = samples.last().filter(|sample| sample.at > after) else { continue };
            let here = samples.iter().rev().take_while(|sample| sample.at == newest.at).count();
            let more = samples.len() > here && samples[samples.len() - here - 1].at > after;
            let (at, most) = one.unwrap_or((newest.at, 0));
            if more || at != newest.at {
                return None;
            }
            one = Some((at, here.max(most)));
        }
        one.map(|(at, most)| (at, u8::try_from(most).unwrap_or(u8::MAX)))
    }

    /// How many values of one vital that a rule watches lie at exactly this time, at most.
    pub(crate) fn at_once(&self, watches: &Watches, at: Nanos) -> u8 {
        let count = |series: &Series| series.until(at).iter().rev().take_while(|sample| sample.at == at).count();
        let most = self.watched(watches).map(count).max().unwrap_or_default();
        u8::try_from(most).unwrap_or(u8::MAX)
    }

    /// The value of a vital is news: newest, or of the same time and larger.
    pub(crate) fn hear_of(&mut self, reading: &Reading) {
        let new = (reading.measured_at, reading.value);
        match self.newest.iter_mut().find(|(vital, ..)| *vital == reading.vital) {
            Some((_, at, value)) if (*at, *value) < new => (*at, *value) = new,
            Some(_) => {}
            None => push(&mut self.newest, (reading.vital, new.0, new.1)),
        }
        self.last_at = self.last_at.max(Some(reading.measured_at));
    }

    /// When a vital was measured last.
    pub(crate) fn newest_at(&self, vital: Vital) -> Option<Timestamp> {
        self.newest.iter().find(|(known, ..)| *known == vital).map(|(_, at, _)| *at)
    }

    /// From now on this time says nothing of the patient's normal state.
    pub(crate) fn is_unstable(&mut self, from: Nanos, until: Nanos) {
        let (mut from, mut until) = (from, until);
        self.unstable.retain(|(start, end)| {
            let apart = *end < from || until < *start;
            if !apart {
                (from, until) = (from.min(*start), until.max(*end));
            }
            apart
        });
        let place = self.unstable.partition_point(|(start, _)| *start < from);
        self.unstable.insert(place, (from, until));
        if self.unstable.len() > UNSTABLE_MAX {
            self.unstable.remove(0);
        }
    }

    /// Has this been found before?
    pub(crate) fn knows(&self, key: u64) -> bool {
        self.remembered.contains(&key)
    }

    pub(crate) fn remember(&mut self, key: u64) {
        if self.knows(key) {
            return;
        }
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(key);
    }

    pub(crate) fn end(&mut self, id: AlertId, how: &'static str) {
        if self.ended.len() >= ENDED_MAX {
            self.ended.remove(0);
        }
        push(&mut self.ended, (id, how));
    }
}

/// Is the step from the patient's newest value of the same vital believable? Says what is odd where it is not. A value that is itself doubtful
/// speaks against none: after it the newest that is beyond doubt is compared with, so that another measurement can clear up what was wrong.
#[must_use]
pub fn suspect_step(chart: &Chart, reading: &Reading) -> Option<String> {
    let (_, at, before) = chart.newest.iter().find(|(vital, ..)| *vital == reading.vital)?;
    let odd = check_step(reading.vital, *before, reading.value, reading.measured_at.duration_since(*at))?;
    let Some(series) = chart.series(reading.vital) else { return Some(odd) };
    let sure = series.all().iter().rev().find(|sample| !sample.is_doubtful())?;
    let apart = reading.measured_at.duration_since(crate::series::time(sure.at));
    check_step(reading.vital, sure.value(), reading.value, apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut chart = Chart::new();
        for at in 0..1000 {
            chart.remember(at);
            assert!(chart.knows(at));
            let at = i64::try_from(at).unwrap();
            chart.is_unstable(at * 10, at * 10 + 5);
            chart.end(AlertId::nil(), "closed");
        }
        assert_eq!(
            (chart.remembered.len(), chart.unstable.len(), chart.ended.len()),
            (REMEMBERED_MAX, UNSTABLE_MAX, ENDED_MAX)
        );
    }

    #[test]
    fn unstable_times_that_touch_are_one() {
        let mut chart = Chart::new();
        for (from, until) in [(10, 20), (40, 50), (0, 5), (18, 41)] {
            chart.is_unstable(from, until);
        }
        assert_eq!(chart.unstable, [(0, 5), (10, 50)]);
    }
}
