//! Rule kind `answer`: each answer to one question has a significance. An answer that the programme doesn't know (an older or newer
//! questionnaire on the kit) is yellow: somebody should look, since nobody can say that it means nothing.

use std::collections::BTreeMap;

use vitals::Colour;

use super::{Rule, Seen, Spec};
use crate::{Finding, Input, Mark, Plan, Programme, Reason};

/// A checked answer rule.
#[derive(Clone, Debug)]
pub(crate) struct AnswerSpec {
    pub questionnaire: String,
    pub question: String,
    pub marks: BTreeMap<String, Colour>,
}

/// The longest part of an unknown answer that a finding quotes, in characters.
const QUOTED_CHARS_MAX: usize = 60;

/// A finding for each answer to the question.
pub(super) fn judge(rule: &Rule, plan: &Plan, seen: &Seen<'_>) -> Vec<Finding> {
    let (Spec::Answer(spec), Seen::Sitting(sitting)) = (&rule.spec, seen) else { return Vec::new() };
    let ours =
        |answer: &&vitals::Answer| answer.questionnaire == spec.questionnaire && answer.question == spec.question;
    sitting
        .answers
        .iter()
        .filter(ours)
        .map(|given| {
            let known = spec.marks.get(&given.answer);
            let mark = Mark::from(known.copied().unwrap_or(Colour::Yellow));
            let answer: String = given.answer.chars().take(QUOTED_CHARS_MAX).collect();
            let why = match known {
                Some(colour) => plan.programme().answer_in_words(spec, &answer, *colour),
                None => format!(
                    "answer {answer:?} to {:?} of {} is unknown, yellow until somebody has looked",
                    spec.question, spec.questionnaire
                ),
            };
            let (questionnaire, question) = (spec.questionnaire.clone(), spec.question.clone());
            let reason = Reason::Answer {
                questionnaire,
                question: question.clone(),
                answer: answer.clone(),
                known: known.is_some(),
            };
            let input = Input::Answer { question, answer, answered_at: given.answered_at };
            rule.finding(plan, mark, why, reason, vec![input], given.answered_at)
        })
        .collect()
}

/// The question and what each answer means.
pub(super) fn explain(rule: &Rule, programme: &Programme) -> String {
    let Spec::Answer(spec) = &rule.spec else { return String::new() };
    let Some((question, choices)) = programme.question(spec) else { return String::new() };
    let words: Vec<String> = choices
        .iter()
        .filter_map(|choice| Some(format!("{:?} is {}", choice.text.en, spec.marks.get(&choice.id)?.name())))
        .collect();
    format!("To {:?}: {}. An unknown answer is yellow.", question.en, words.join(", "))
}
