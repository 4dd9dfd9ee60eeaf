//! What comes of a sitting, into the series of the chart: each thing once, in its place, marked where it may be somebody else's.

use std::sync::Arc;

use jiff::SignedDuration;
use vitals::{Clock, Flag, Reading, Vital};

use crate::{
    Chart, Mark, Plan, Sitting,
    assess::{TOGETHER, worst_at},
    plan::RuleSet,
    rules::Watches,
    series::{Need, Sample, nanos},
    silence,
};

/// What came of a sitting and is new, as samples.
pub(crate) struct Arrived {
    pub vital: Option<Vital>,
    pub rules: RuleSet,
    pub questions: Option<(Arc<str>, Arc<str>)>,
    pub sample: Sample,
}

impl Arrived {
    /// Is it something that a rule looks at?
    pub fn is_of(&self, watches: &Watches) -> bool {
        match (&self.vital, &self.questions) {
            (Some(vital), _) => watches.vitals.contains(vital),
            (None, Some(question)) => watches.questions.contains(question),
            (None, None) => false,
        }
    }

    /// Takes it out of a chart that it came to.
    pub fn take_out(&self, chart: &mut Chart) {
        match (&self.vital, &self.questions) {
            (Some(vital), _) => chart.series_mut(*vital).remove(&self.sample),
            (None, Some((questionnaire, question))) => chart.asked_mut(questionnaire, question).remove(&self.sample),
            (None, None) => {}
        }
    }

    /// What a rule's finding on it is known by.
    pub fn key(&self, chart: &Chart, place: usize) -> u64 {
        let device = if self.vital.is_some() { self.sample.device(&chart.names).as_str() } else { "" };
        self.sample.key(device) ^ u64::try_from(place).expect("few rules").wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Puts what is new into its series: what has a time of its own, and the answers.
///
/// Gives it, and the rules that it touches: those that look at it, and those of a questionnaire that was answered.
pub(crate) fn arrive(chart: &mut Chart, plan: &Plan, sitting: &Sitting<'_>) -> (Vec<Arrived>, RuleSet) {
    let mut arrived = readings(chart, plan, sitting.readings.iter().filter(|reading| !is_unplaced(reading)));
    let mut touched = RuleSet::default();
    for answer in sitting.answers {
        if let Some((questionnaire, rules)) = plan.of_questionnaire(&answer.questionnaire) {
            chart.hear_answer(questionnaire, nanos(answer.answered_at));
            touched.join(rules);
        }
        let Some((questionnaire, question, _, rules)) = plan.of_question(&answer.questionnaire, &answer.question)
        else {
            continue;
        };
        let text: String = answer.answer.chars().take(ANSWER_CHARS_MAX).collect();
        let sample = Sample::answer(answer.answered_at, &text, &mut chart.names);
        if chart.asked_mut(questionnaire, question).insert(sample) {
            let questions = Some((Arc::clone(questionnaire), Arc::clone(question)));
            arrived.push(Arrived { vital: None, rules, questions, sample });
        }
    }
    arrived.iter().for_each(|arrived| touched.join(arrived.rules));
    (arrived, touched)
}

/// Puts what has no time of its own into its series, for as long as it is judged. [`settle_in`] takes it out again.
pub(crate) fn arrive_unplaced(chart: &mut Chart, plan: &Plan, sitting: &Sitting<'_>) -> (Vec<Arrived>, RuleSet) {
    let arrived = readings(chart, plan, sitting.readings.iter().filter(|reading| is_unplaced(reading)));
    let mut touched = RuleSet::default();
    arrived.iter().for_each(|arrived| touched.join(arrived.rules));
    (arrived, touched)
}

fn readings<'r>(chart: &mut Chart, plan: &Plan, readings: impl Iterator<Item = &'r Reading>) -> Vec<Arrived> {
    let mut arrived = Vec::new();
    for reading in readings {
        let Some((_, rules)) = plan.of_vital(reading.vital) else { continue };
        let sample = sample(chart, plan, reading);
        if chart.series_mut(reading.vital).insert(sample) {
            arrived.push(Arrived { vital: Some(reading.vital), rules, questions: None, sample });
        }
    }
    arrived
}

/// A reading as it is kept: marked, where it may be somebody else's.
fn sample(chart: &mut Chart, plan: &Plan, reading: &Reading) -> Sample {
    let mut guards = plan.guards().filter(|guard| guard.vital == reading.vital).peekable();
    if guards.peek().is_none() {
        return Sample::of(reading, &mut chart.names);
    }
    let mut checked = reading.clone();
    guards.for_each(|guard| guard.check(&mut checked, chart.series(reading.vital), &chart.names));
    Sample::of(&checked, &mut chart.names)
}

/// The longest part of an answer that is kept and quoted, in characters.
const ANSWER_CHARS_MAX: usize = 60;

/// A device stored it, and its clock can't say when: the time is that of its arrival, and it must not be taken for the state of now. What came
/// with it and has a time of its own is what it is.
fn is_unplaced(reading: &Reading) -> bool {
    reading.clock == Clock::Kit && reading.has(&Flag::FROM_STORAGE)
}

/// What came finds its place for good: what has none is taken out again, what is no longer needed is left out; and what was found above
/// green is known, should it come again when it is no longer there to be compared with.
pub(crate) fn settle_in(chart: &mut Chart, plan: &Plan, arrived: &[Arrived], unplaced: bool) {
    for arrived in arrived {
        for place in arrived.rules.iter() {
            let memory = &chart.rules[place];
            let may_be_bad = memory.stands && (memory.mark > Mark::Green || arrived.sample.is_doubtful());
            if may_be_bad
                && worst_at(chart, plan, place, arrived.sample.at)
                    .is_some_and(|(verdict, _)| verdict.mark > Mark::Green)
            {
                chart.remember(arrived.key(chart, place));
            }
        }
    }
    let whole = chart.whole_since.map(|_| Need::raw(SignedDuration::MAX));
    // Whatever is of one sitting with the newest is looked at anew, and asks as far back as the rule does.
    let back = if plan.judging().is_first() { SignedDuration::ZERO } else { TOGETHER };
    for arrived in arrived {
        let (series, need) = match (&arrived.vital, &arrived.questions) {
            (Some(vital), _) => (chart.series_mut(*vital), plan.of_vital(*vital).map(|(need, _)| need)),
            (None, Some((questionnaire, question))) => {
                let need = plan.of_question(questionnaire, question).map(|(.., need, _)| need);
                (chart.asked_mut(questionnaire, question), need)
            }
            (None, None) => continue,
        };
        if unplaced {
            series.remove(&arrived.sample);
        } else {
            series.prune(whole.or(need).unwrap_or_default().longer(back));
        }
    }
}

/// Notes what came: newest values, when last heard, what was expected of it.
pub(crate) fn note(chart: &mut Chart, plan: &Plan, sitting: &Sitting<'_>) {
    // What was measured nobody knows when does not say that somebody measures.
    let unknown = |reading: &&Reading| is_unplaced(reading) || reading.has(&Flag::TIME_UNKNOWN);
    let first = plan.judging().is_first();
    for reading in sitting.readings.iter().filter(|reading| first || !unknown(reading)) {
        chart.hear_of(reading);
        silence::hear(chart, plan, reading);
    }
    for answer in sitting.answers {
        chart.last_at = chart.last_at.max(Some(answer.answered_at));
        silence::hear_answer(chart, plan, answer);
    }
}
