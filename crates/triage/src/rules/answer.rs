//! Rule kind `answer`: each answer to one question has a significance. An answer that the programme doesn't know (an older or newer
//! questionnaire on the kit) is yellow: somebody should look, since nobody can say that it means nothing.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Colour;

use super::{Judge, Nothing, Reader, Told, Verdict, Watches, read};
use crate::{Input, Mark, Programme, Reason, look::Look, programme::place::steps, series::time};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Of which questionnaire.
    questionnaire: String,
    /// Which question.
    question: String,
    /// What each answer means: all of the question's choices.
    marks: BTreeMap<String, Colour>,
}

#[derive(Debug)]
struct Answer(File);

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let file: File = reader.file()?;
    let File { questionnaire, question, marks } = &file;
    let asked = reader.question(questionnaire, question)?;
    for answer in marks.keys().filter(|answer| asked.choice.iter().all(|choice| choice.id != **answer)) {
        let text = format!("found {answer:?}, want a choice of question {question:?}");
        reader.fault(steps!["marks", answer.as_str()], text);
    }
    for choice in asked.choice.iter().filter(|choice| !marks.contains_key(&choice.id)) {
        reader.fault(steps!["marks"], format!("found no mark for answer {:?}, want one for each", choice.id));
    }
    read::judge(Answer(file))
}

impl Answer {
    fn mark(&self, answer: &str) -> Mark {
        self.0.marks.get(answer).copied().unwrap_or(Colour::Yellow).into()
    }
}

impl Judge for Answer {
    fn watches(&self) -> Watches {
        Watches::question(&self.0.questionnaire, &self.0.question)
    }

    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing> {
        let given = look.answers(&self.0.questionnaire, &self.0.question).last().ok_or(Nothing::NoValue)?;
        let mark = self.mark(look.text(given));
        if mark > Mark::Green && look.is_answered_anew(&self.0.questionnaire, given) {
            return Err(Nothing::NotNow);
        }
        Ok(Verdict { mark, at: given.at, doubtful: false })
    }

    fn tell(&self, look: &Look<'_>, _: &Verdict) -> Told {
        let File { questionnaire, question, marks } = &self.0;
        let given = look.answers(questionnaire, question).last().expect("a verdict has an answer");
        let answer = look.text(given).to_owned();
        let why = match marks.get(&answer) {
            Some(colour) => look.programme().answer_in_words(questionnaire, question, &answer, *colour),
            None => format!(
                "answer {answer:?} to {question:?} of {questionnaire} is unknown, yellow until somebody has looked"
            ),
        };
        let known = marks.contains_key(&answer);
        let (questionnaire, question) = (questionnaire.clone(), question.clone());
        let input = Input::Answer { question: question.clone(), answer: answer.clone(), answered_at: time(given.at) };
        Told { why, reason: Reason::Answer { questionnaire, question, answer, known }, inputs: vec![input] }
    }

    fn explain(&self, programme: &Programme) -> String {
        let File { questionnaire, question, marks } = &self.0;
        let Some((question, choices)) = programme.question(questionnaire, question) else { return String::new() };
        let words: Vec<String> = choices
            .iter()
            .filter_map(|choice| Some(format!("{:?} is {}", choice.text.en, marks.get(&choice.id)?.name())))
            .collect();
        format!("To {:?}: {}. An unknown answer is yellow.", question.en, words.join(", "))
    }
}
