//! Which answers would have made a path's mark milder: to one of its questions alone, or to all of them together.
//!
//! Only what is certain by what is known of the sitting is said: any other question may have been answered in any way, and so may one that would
//! have been asked only then.

use jiff::Timestamp;
use serde::Serialize;
use vitals::Answer;

use super::{Chosen, Otherwise, Would};
use crate::{
    Choice, Finding, Input, Mark, Plan, Programme, Reason, Text,
    rules::{Answered, Paths, SITTING_MAX},
};

/// An answer that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given<'a> {
    /// To which questionnaire.
    pub questionnaire: &'a str,
    /// To which question.
    pub question: &'a str,
    /// Which answer.
    pub answer: &'a str,
    /// When.
    pub at: Timestamp,
}

impl<'a> From<&'a Answer> for Given<'a> {
    fn from(given: &'a Answer) -> Self {
        let Answer { questionnaire, question, answer, answered_at, .. } = given;
        Self { questionnaire, question, answer, at: *answered_at }
    }
}

/// Other answers that would have been enough together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    /// It would have been so at most.
    pub mark: Mark,
    /// The questions, with the answers that would have done.
    pub answers: Vec<Instead>,
}

/// What might have been answered to a question instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instead {
    /// The question's id.
    pub question: String,
    /// As the person reads it.
    pub text: Text,
    /// Any of these answers.
    pub answers: Vec<Chosen>,
}

/// From when on answers belong to what was found on a path of answers: whoever knows those up to then says more with [`super::why_given`]. None of
/// other findings.
#[must_use]
pub fn sitting_since(finding: &Finding) -> Option<Timestamp> {
    let Reason::Together { how, .. } = &finding.reason else { return None };
    (how == "path").then(|| finding.at.checked_sub(SITTING_MAX).unwrap_or(Timestamp::MIN))
}

/// So many combinations of answers are tried.
const COMBINATIONS_MAX: usize = 1024;

pub(super) fn otherwise(plan: &Plan, finding: &Finding, paths: &Paths, given: &[Given<'_>]) -> Option<Otherwise> {
    let programme = plan.programme_named(&finding.programme)?;
    let led: Vec<Given<'_>> = finding.inputs.iter().filter_map(|input| led(paths, input)).collect();
    let all: Vec<Given<'_>> = given.iter().chain(&led).copied().collect();
    let sitting = Sitting {
        paths,
        known: paths.known(&all, finding.at),
        questions: led.iter().filter_map(|one| Question::of(programme, one)).collect(),
        mark: finding.colour,
    };
    let mut ways = sitting.alone();
    if ways.is_empty() {
        ways.extend(sitting.together());
    }
    (!ways.is_empty()).then(|| Otherwise { said: in_words(&ways), what: Would::Path { ways } })
}

fn led<'a>(paths: &'a Paths, input: &'a Input) -> Option<Given<'a>> {
    let Input::Answer { question, answer, answered_at } = input else { return None };
    Some(Given { questionnaire: paths.questionnaire(), question, answer, at: *answered_at })
}

/// A question that may be answered otherwise.
struct Question<'a> {
    id: &'a str,
    text: &'a Text,
    choices: &'a [Choice],
}

impl<'a> Question<'a> {
    fn of(programme: &'a Programme, given: &Given<'a>) -> Option<Self> {
        let (text, choices) = programme.question(given.questionnaire, given.question)?;
        Some(Self { id: given.question, text, choices })
    }

    fn answers(&self) -> impl Iterator<Item = &'a str> {
        self.choices.iter().map(|choice| choice.id.as_str())
    }

    fn instead(&self, answers: &[&str]) -> Instead {
        let chosen = self.choices.iter().filter(|choice| answers.contains(&choice.id.as_str())).map(Chosen::from);
        Instead { question: self.id.to_owned(), text: self.text.clone(), answers: chosen.collect() }
    }
}

/// What is known of a sitting, and what of it may be otherwise.
struct Sitting<'a> {
    paths: &'a Paths,
    known: Vec<Answered<'a>>,
    /// Those that led where it ended.
    questions: Vec<Question<'a>>,
    mark: Mark,
}

impl<'a> Sitting<'a> {
    /// The marks that are milder, the mildest first.
    fn milder(&self) -> impl Iterator<Item = Mark> {
        let mark = self.mark;
        [Mark::Green, Mark::Yellow].into_iter().filter(move |milder| *milder < mark)
    }

    /// The worst that is possible, had these been answered.
    fn worst(&self, others: &[Answered<'a>]) -> Mark {
        self.paths.worst(&self.paths.had_been(&self.known, others))
    }

    fn is_given(&self, question: &Question<'_>, answer: &str) -> bool {
        self.known.contains(&(question.id, answer))
    }

    /// Each question that alone would have been enough.
    fn alone(&self) -> Vec<Way> {
        let mut ways = Vec::new();
        for mark in self.milder() {
            for question in &self.questions {
                let would_do = |answer: &&'a str| {
                    !self.is_given(question, answer) && self.worst(&[(question.id, *answer)]) == mark
                };
                let answers: Vec<&str> = question.answers().filter(would_do).collect();
                if !answers.is_empty() {
                    ways.push(Way { mark, answers: vec![question.instead(&answers)] });
                }
            }
        }
        ways
    }

    /// All of them together, each with as many answers as leave every combination of them mild. A question whose answer may stay is left out.
    fn together(&self) -> Option<Way> {
        let combinations = self.questions.iter().fold(1, |many: usize, one| many.saturating_mul(one.choices.len()));
        if self.questions.len() < 2 || combinations > COMBINATIONS_MAX {
            return None;
        }
        self.milder().find_map(|mark| self.together_for(mark))
    }

    fn together_for(&self, mark: Mark) -> Option<Way> {
        let other =
            |question: &Question<'a>| question.answers().filter(|answer| !self.is_given(question, answer)).collect();
        let others: Vec<Vec<&'a str>> = self.questions.iter().map(other).collect();
        let is_mild = |one: &Vec<Answered<'a>>| self.worst(one) <= mark;
        let first = self.combinations(&others).into_iter().find(is_mild)?;
        let mut sets: Vec<Vec<&'a str>> = first.iter().map(|(_, answer)| vec![*answer]).collect();
        for (place, question) in self.questions.iter().enumerate() {
            let mut tried = sets.clone();
            let would_do = |answer: &&'a str| {
                tried[place] = vec![*answer];
                self.combinations(&tried).iter().all(is_mild)
            };
            sets[place] = question.answers().filter(would_do).collect();
        }
        let stays = |question: &Question<'_>, answers: &[&str]| {
            self.known.iter().filter(|(asked, _)| *asked == question.id).all(|(_, given)| answers.contains(given))
        };
        let changed = self.questions.iter().zip(&sets).filter(|(question, answers)| !stays(question, answers));
        let answers: Vec<Instead> = changed.map(|(question, answers)| question.instead(answers)).collect();
        (!answers.is_empty()).then_some(Way { mark, answers })
    }

    /// Every combination of one answer to each question.
    fn combinations(&self, sets: &[Vec<&'a str>]) -> Vec<Vec<Answered<'a>>> {
        let mut all: Vec<Vec<Answered<'a>>> = vec![Vec::new()];
        for (question, answers) in self.questions.iter().zip(sets) {
            let with = |answer: &&'a str| {
                all.iter().map(|one| [one.as_slice(), &[(question.id, *answer)]].concat()).collect::<Vec<_>>()
            };
            all = answers.iter().flat_map(with).collect();
        }
        all
    }
}

/// `green if the answer to "Cough?" were "No"; yellow if ...`.
fn in_words(ways: &[Way]) -> String {
    let as_mild = |ways: &[Way]| {
        let each: Vec<String> = ways.iter().map(way_in_words).collect();
        format!("{} if {}", ways[0].mark.name(), each.join(", or if "))
    };
    ways.chunk_by(|one, next| one.mark == next.mark).map(as_mild).collect::<Vec<_>>().join("; ")
}

fn way_in_words(way: &Way) -> String {
    let one = |instead: &Instead| {
        let answers: Vec<String> = instead.answers.iter().map(|answer| format!("{:?}", answer.text.en)).collect();
        format!("the answer to {:?} were {}", instead.text.en, answers.join(" or "))
    };
    way.answers.iter().map(one).collect::<Vec<_>>().join(" and ")
}
