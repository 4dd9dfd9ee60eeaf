//! Rule kind `path`: what several answers of one sitting mean together. A path names questions with the answers that lead along it, and the
//! mark at its end: breathless and coughing is red, either alone is yellow. The worst path that was taken to its end counts.
//!
//! Answers count together that were given within a sitting, in however many messages they came. A question that was not asked is known to be
//! so by the answer on which asking it depends (`only_if`), never by its silence: its answer may still be on the way. So what comes later can
//! take a path to its end, and never has to take back one that was at its end.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Colour;

use super::{Judge, Nothing, Reader, Told, Verdict, Watches, read};
use crate::{
    Given, Input, Length, Mark, OnlyIf, Programme, Reason,
    assess::TOGETHER,
    look::Look,
    programme::place::{Step, steps},
    series::{Need, Sample, in_words, length, time},
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Of which questionnaire.
    questionnaire: String,
    /// The paths.
    paths: Vec<PathFile>,
    /// Answers so far apart are of one sitting: 15 minutes where it says nothing.
    within: Option<Length>,
}

/// One path.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PathFile {
    /// Question = the answers that lead on: one of them for each question.
    #[serde(default)]
    when: BTreeMap<String, Vec<String>>,
    /// Questions that were not asked on this path, since the answer before them led past them.
    #[serde(default)]
    not_asked: Vec<String>,
    /// What it means at its end.
    mark: Colour,
}

/// A question that a path needs, and on which answer asking it depends.
#[derive(Debug)]
struct Asked {
    question: String,
    choices: Vec<String>,
    only_if: Option<OnlyIf>,
}

/// What a rule of this kind says.
#[derive(Debug)]
pub(crate) struct Paths {
    questionnaire: String,
    questions: Vec<Asked>,
    paths: Vec<PathFile>,
    within: SignedDuration,
}

/// Paths of one rule.
const PATHS_MAX: usize = 64;
/// Answers are of one sitting within this at most.
pub(crate) const SITTING_MAX: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { questionnaire, paths, within } = reader.file()?;
    let found = paths.len();
    if !(1..=PATHS_MAX).contains(&found) {
        reader.fault(steps!["paths"], format!("found {found}, want 1 to {PATHS_MAX}"));
    }
    let within = within.map_or(TOGETHER, |within| within.0);
    if within.is_zero() || within > SITTING_MAX {
        reader.fault(steps!["within"], format!("found {within:#}, want more than nothing and at most {SITTING_MAX:#}"));
    }
    if reader.known.questionnaires.iter().all(|(_, other)| other.id != questionnaire) {
        reader.unknown(steps!["questionnaire"], "questionnaire", &questionnaire);
        return None;
    }
    let mut rule = Paths { questionnaire, questions: Vec::new(), paths, within };
    let paths = std::mem::take(&mut rule.paths);
    for (at, path) in paths.iter().enumerate() {
        rule.check(reader, &steps!["paths", at], path);
    }
    rule.paths = paths;
    read::judge(rule)
}

impl Paths {
    fn check(&mut self, reader: &mut Reader<'_, '_, '_>, here: &[Step], path: &PathFile) {
        let at =
            |more: &[&str]| here.iter().cloned().chain(more.iter().map(|key| Step::from(*key))).collect::<Vec<_>>();
        if path.when.is_empty() {
            reader.fault(at(&["when"]), "found no question, want at least one with its answers");
        }
        if path.mark == Colour::Green {
            reader.fault(at(&["mark"]), "found green, want yellow or red: what leads nowhere is green");
        }
        for (question, answers) in &path.when {
            let Some(asked) = self.learn(reader, at(&["when", question]), question) else { continue };
            if answers.is_empty() {
                reader.fault(at(&["when", question]), "found no answer, want at least one");
            }
            for answer in answers.iter().filter(|answer| !asked.choices.contains(answer)) {
                let text = format!("found {answer:?}, want a choice of question {question:?}");
                reader.fault(at(&["when", question]), text);
            }
        }
        for question in &path.not_asked {
            let Some(asked) = self.learn(reader, at(&["not_asked"]), question) else { continue };
            if asked.only_if.is_none() {
                let text = format!("found {question:?}, which is always asked, want a question with `only_if`");
                reader.fault(at(&["not_asked"]), text);
            }
        }
    }

    /// Learns of a question, and of those on which asking it depends.
    fn learn(&mut self, reader: &mut Reader<'_, '_, '_>, at: Vec<Step>, question: &str) -> Option<&Asked> {
        let (_, asked_in) = reader.known.questionnaires.iter().find(|(_, other)| other.id == self.questionnaire)?;
        let mut next = Some(question.to_owned());
        while let Some(id) = next.take() {
            let Some(asked) = asked_in.question.iter().find(|other| other.id == id) else {
                reader.fault(at, format!("found {id:?}, want a question of {:?}", self.questionnaire));
                return None;
            };
            if self.questions.iter().any(|known| known.question == id) {
                break;
            }
            next = asked.only_if.as_ref().map(|only| only.question.clone());
            let choices = asked.choice.iter().map(|choice| choice.id.clone()).collect();
            self.questions.push(Asked { question: id, choices, only_if: asked.only_if.clone() });
        }
        self.asked(question)
    }

    fn asked(&self, question: &str) -> Option<&Asked> {
        self.questions.iter().find(|known| known.question == question)
    }

    /// When the newest of its questions was answered.
    fn newest(&self, look: &Look<'_>) -> Option<i64> {
        let newest = |asked: &Asked| Some(look.answers(&self.questionnaire, &asked.question).last()?.at);
        self.questions.iter().filter_map(newest).max()
    }

    /// The answers of this sitting's newest time: one, or several that were given at the very same time.
    fn given<'a>(&self, look: &Look<'a>, question: &str, newest: i64) -> impl Iterator<Item = &'a Sample> {
        let oldest = newest.saturating_sub(length(self.within));
        let answers = look.answers(&self.questionnaire, question);
        let last = answers.last().map(|given| given.at).filter(|at| *at >= oldest);
        answers.iter().rev().take_while(move |given| Some(given.at) == last)
    }

    fn is_given(&self, look: &Look<'_>, question: &str, newest: i64) -> bool {
        self.given(look, question, newest).next().is_some()
    }

    /// Is it known that the question was not asked in this sitting?
    fn is_not_asked(&self, look: &Look<'_>, question: &str, newest: i64) -> bool {
        let Some(only) = self.asked(question).and_then(|asked| asked.only_if.as_ref()) else { return false };
        match self.is_given(look, &only.question, newest) {
            true => self.given(look, &only.question, newest).all(|given| look.text(given) != only.answer),
            false => self.is_not_asked(look, &only.question, newest),
        }
    }

    fn is_taken(&self, look: &Look<'_>, path: &PathFile, newest: i64) -> bool {
        let answered = |(question, answers): (&String, &Vec<String>)| {
            let mut given = self.given(look, question, newest);
            given.any(|given| answers.iter().any(|answer| answer == look.text(given)))
        };
        path.when.iter().all(answered)
            && path.not_asked.iter().all(|question| self.is_not_asked(look, question, newest))
    }

    /// The worst path that was taken; of two as bad the one that is written first.
    fn taken(&self, look: &Look<'_>, newest: i64) -> Option<&PathFile> {
        let taken = self.paths.iter().filter(|path| self.is_taken(look, path, newest));
        taken.reduce(|worst, path| if path.mark > worst.mark { path } else { worst })
    }

    /// An answer of this sitting that the questionnaire does not know.
    fn unknown<'a>(&'a self, look: &Look<'a>, newest: i64) -> Option<(&'a Asked, &'a str)> {
        self.questions.iter().find_map(|asked| {
            let texts = self.given(look, &asked.question, newest).map(|given| look.text(given));
            let unknown = |text: &&str| !asked.choices.is_empty() && asked.choices.iter().all(|choice| choice != text);
            texts.filter(unknown).min().map(|text| (asked, text))
        })
    }

    /// What was not answered in this sitting, and may have been asked.
    fn missing(&self, look: &Look<'_>, newest: i64) -> Vec<String> {
        let silent = |asked: &&Asked| {
            let question = &asked.question;
            !self.is_given(look, question, newest) && !self.is_not_asked(look, question, newest)
        };
        self.questions.iter().filter(silent).map(|asked| asked.question.clone()).collect()
    }

    /// The answer that led on: of several of one time the first by name.
    fn led<'a>(&self, look: &Look<'a>, question: &str, answers: &[String], newest: i64) -> Option<&'a Sample> {
        let leads = |given: &&Sample| answers.iter().any(|answer| answer == look.text(given));
        self.given(look, question, newest).filter(leads).min_by_key(|given| look.text(given))
    }
}

/// A question, and what is known to have been answered to it.
pub(crate) type Answered<'k> = (&'k str, &'k str);

fn answers<'k>(known: &[Answered<'k>], question: &str) -> impl Iterator<Item = &'k str> {
    known.iter().filter(move |(asked, _)| *asked == question).map(|(_, answer)| *answer)
}

/// What would be, had something else been answered. An answer that is not among those that are known may still be on the way.
impl Paths {
    pub fn questionnaire(&self) -> &str {
        &self.questionnaire
    }

    /// What is known of the sitting whose newest answer is of `at`: each question that a path needs, with the last that was answered to it.
    pub fn known<'k>(&self, given: &[Given<'k>], at: Timestamp) -> Vec<Answered<'k>> {
        let is_of_sitting = |one: &&Given<'k>| {
            let age = at.duration_since(one.at);
            let in_time = !age.is_negative() && age <= self.within;
            in_time && *one.questionnaire == self.questionnaire && self.asked(one.question).is_some()
        };
        let given: Vec<&Given<'k>> = given.iter().filter(is_of_sitting).collect();
        let is_last =
            |one: &&&Given<'k>| given.iter().all(|other| other.question != one.question || other.at <= one.at);
        given.iter().filter(is_last).map(|one| (one.question, one.answer)).collect()
    }

    /// The worst mark that is possible by what is known: a question of which nothing is known may have been answered in any way, and with what
    /// the questionnaire does not know.
    pub fn worst(&self, known: &[Answered<'_>]) -> Mark {
        let possible =
            self.paths.iter().filter(|path| self.may_be_taken(path, known)).map(|path| Mark::from(path.mark));
        let unknown = self.questions.iter().any(|asked| self.may_be_unknown(asked, known)).then_some(Mark::Yellow);
        possible.chain(unknown).max().unwrap_or(Mark::Green)
    }

    /// What would be known, had `others` been answered: an answer to what would not have been asked then counts no longer, and one to what
    /// would have been asked only then is not known.
    pub fn had_been<'k>(&self, known: &[Answered<'k>], others: &[Answered<'k>]) -> Vec<Answered<'k>> {
        let stays = |(asked, _): &&Answered<'k>| others.iter().all(|(other, _)| other != asked);
        let mut then: Vec<Answered<'k>> = known.iter().filter(stays).chain(others).copied().collect();
        // What depends on an answer that counts no longer goes with it.
        let is_otherwise =
            |then: &[Answered<'k>], asked: &str| self.was_asked(asked, then) != self.was_asked(asked, known);
        while let Some(place) = then.iter().position(|(asked, _)| is_otherwise(&then, asked)) {
            then.remove(place);
        }
        then
    }

    fn may_be_taken(&self, path: &PathFile, known: &[Answered<'_>]) -> bool {
        let may_lead = |(question, leading): (&String, &Vec<String>)| {
            self.may_be(question, known, |answer| leading.iter().any(|one| one == answer))
        };
        let not_asked = |question: &String| self.was_asked(question, known) != Some(true);
        path.when.iter().all(may_lead) && path.not_asked.iter().all(not_asked)
    }

    /// May it have been answered with what the questionnaire does not know?
    fn may_be_unknown(&self, asked: &Asked, known: &[Answered<'_>]) -> bool {
        let is_unknown = |answer: &str| asked.choices.iter().all(|choice| choice != answer);
        !asked.choices.is_empty() && self.may_be(&asked.question, known, is_unknown)
    }

    /// May a question have been answered so? One that was not asked was not answered.
    fn may_be(&self, question: &str, known: &[Answered<'_>], so: impl Fn(&str) -> bool) -> bool {
        match answers(known, question).next() {
            Some(_) => answers(known, question).any(so),
            None => self.was_asked(question, known) != Some(false),
        }
    }

    /// Was a question asked, where that is known by the answer on which it depends?
    fn was_asked(&self, question: &str, known: &[Answered<'_>]) -> Option<bool> {
        let Some(only) = self.asked(question).and_then(|asked| asked.only_if.as_ref()) else { return Some(true) };
        let given = answers(known, &only.question).count();
        match answers(known, &only.question).filter(|answer| *answer == only.answer).count() {
            // Nobody is asked what depends on a question that was not asked.
            0 if given == 0 => self.was_asked(&only.question, known).filter(|asked| !asked),
            0 => Some(false),
            leading => (leading == given).then_some(true),
        }
    }
}

fn input(look: &Look<'_>, question: &str, given: &Sample) -> Input {
    let (question, answer) = (question.to_owned(), look.text(given).to_owned());
    Input::Answer { question, answer, answered_at: time(given.at) }
}

impl Judge for Paths {
    fn watches(&self) -> Watches {
        let each = self.questions.iter().map(|asked| Watches::question(&self.questionnaire, &asked.question));
        each.fold(Watches::default(), |all, one| all.and(&one))
    }

    fn needs_answers(&self) -> Need {
        Need::raw(self.within)
    }

    fn paths(&self) -> Option<&Paths> {
        Some(self)
    }

    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing> {
        let at = self.newest(look).ok_or(Nothing::NoValue)?;
        let taken = self.taken(look, at).map_or(Mark::Green, |path| path.mark.into());
        let unknown = self.unknown(look, at).map_or(Mark::Green, |_| Mark::Yellow);
        Ok(Verdict { mark: taken.max(unknown), at, doubtful: false })
    }

    fn tell(&self, look: &Look<'_>, _: &Verdict) -> Told {
        let newest = self.newest(look).expect("a verdict has an answer");
        let (taken, missing) = (self.taken(look, newest), self.missing(look, newest));
        let how = "path".to_owned();
        let Some(path) = taken else {
            let (mut why, mut inputs) = ("no path of answers was taken to its end".to_owned(), Vec::new());
            if let Some((asked, answer)) = self.unknown(look, newest) {
                let question = &asked.question;
                why = format!(
                    "answer {answer:?} to {question:?} of {} is unknown, yellow until somebody has looked",
                    self.questionnaire
                );
                let given = self.given(look, question, newest).find(|given| look.text(given) == answer);
                inputs.extend(given.map(|given| input(look, question, given)));
            }
            let parts = if inputs.is_empty() { Vec::new() } else { vec![why.clone()] };
            return Told { why, reason: Reason::Together { how, found: 0, of: 0, want: 1, parts, missing }, inputs };
        };
        let programme = look.programme();
        let led = |(question, answers): (&'_ String, &'_ Vec<String>)| {
            Some((question.clone(), self.led(look, question, answers, newest)?))
        };
        let led: Vec<(String, &Sample)> = path.when.iter().filter_map(led).collect();
        let words =
            |(question, given): &(String, &Sample)| programme.answer(&self.questionnaire, question, look.text(given));
        let mut parts: Vec<String> = led.iter().map(words).collect();
        parts.extend(path.not_asked.iter().map(|question| format!("{question:?} not asked")));
        let inputs = led.iter().map(|(question, given)| input(look, question, given)).collect();
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let why = format!("{}, {}", parts.join(" and "), path.mark.name());
        Told { why, reason: Reason::Together { how, found: count, of: count, want: count, parts, missing }, inputs }
    }

    fn explain(&self, _: &Programme) -> String {
        let path = |path: &PathFile| {
            let when = path.when.iter().map(|(question, answers)| format!("{question} {}", answers.join(" or ")));
            let not_asked = path.not_asked.iter().map(|question| format!("{question} not asked"));
            let all: Vec<String> = when.chain(not_asked).collect();
            format!("{} is {}", all.join(" and "), path.mark.name())
        };
        let paths: Vec<String> = self.paths.iter().map(path).collect();
        let within = in_words(self.within);
        format!("Answers within {within} together: {}; else green. An unknown answer is yellow.", paths.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cough leads to sputum, and green sputum to blood.
    fn paths() -> Paths {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
        let asked = |question: &str, choices: &[&str], only_if: Option<(&str, &str)>| Asked {
            question: question.to_owned(),
            choices: owned(choices),
            only_if: only_if
                .map(|(question, answer)| OnlyIf { question: question.to_owned(), answer: answer.to_owned() }),
        };
        let path = |when: &[(&str, &[&str])], not_asked: &[&str], mark| PathFile {
            when: when.iter().map(|(question, answers)| ((*question).to_owned(), owned(answers))).collect(),
            not_asked: owned(not_asked),
            mark,
        };
        Paths {
            questionnaire: "asked".to_owned(),
            questions: vec![
                asked("cough", &["no", "yes"], None),
                asked("sputum", &["clear", "green"], Some(("cough", "yes"))),
                asked("blood", &["no", "yes"], Some(("sputum", "green"))),
                asked("words", &[], None),
            ],
            paths: vec![
                path(&[("cough", &["yes"]), ("blood", &["yes"])], &[], Colour::Red),
                path(&[("sputum", &["green"])], &["blood"], Colour::Red),
                path(&[("cough", &["yes"])], &["blood"], Colour::Yellow),
            ],
            within: TOGETHER,
        }
    }

    fn known(text: &str) -> Vec<Answered<'_>> {
        text.split(", ").filter_map(|one| one.split_once('=')).collect()
    }

    #[track_caller]
    fn worst(text: &str, wanted: Mark) {
        assert_eq!(paths().worst(&known(text)), wanted, "{text}");
    }

    #[test]
    fn what_is_not_known_may_be_anything_and_what_was_not_asked_is_nothing() {
        worst("", Mark::Red);
        worst("cough=no", Mark::Green);
        worst("cough=perhaps", Mark::Yellow);
        worst("cough=yes", Mark::Red);
        worst("cough=yes, sputum=clear", Mark::Yellow);
        worst("cough=yes, sputum=green", Mark::Red);
        // That blood was asked after is known by the answer before it, and what was answered counts whether it was asked or not.
        worst("cough=yes, sputum=green, blood=no", Mark::Green);
        worst("cough=yes, sputum=clear, blood=yes", Mark::Red);
        worst("sputum=clear, blood=no", Mark::Yellow);
        // Two answers at the very same time.
        worst("cough=yes, cough=no", Mark::Red);
        worst("cough=no, sputum=clear, sputum=green", Mark::Red);
    }

    #[track_caller]
    fn would_be(text: &str, others: &str, wanted: &str) {
        assert_eq!(paths().had_been(&known(text), &known(others)), known(wanted), "{text}: {others}");
    }

    #[test]
    fn another_answer_takes_what_was_asked_after_it_along() {
        would_be("cough=yes, sputum=clear", "sputum=green", "cough=yes, sputum=green");
        would_be("cough=yes, sputum=green, blood=yes", "sputum=clear", "cough=yes, sputum=clear");
        would_be("cough=yes, sputum=green, blood=yes", "cough=no", "cough=no");
        would_be("cough=yes, sputum=green, blood=yes", "cough=no, sputum=clear", "cough=no");
        // Nobody was asked, and something was answered: it is not what would have been answered.
        would_be("cough=no, sputum=green", "cough=yes", "cough=yes");
        would_be("cough=yes, cough=no", "cough=no", "cough=no");
        // What leads to sputum is not known, and stays so.
        would_be("sputum=clear, words=none", "words=some", "sputum=clear, words=some");
    }

    #[test]
    fn of_a_sitting_the_last_answers_count() {
        let at = |minute: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        let given = |questionnaire, question, answer, minute| Given { questionnaire, question, answer, at: at(minute) };
        let all = [
            given("asked", "cough", "yes", 10),
            given("asked", "cough", "no", 20),
            given("asked", "sputum", "green", 4),
            given("asked", "blood", "yes", 21),
            given("asked", "pulse", "high", 20),
            given("another", "words", "none", 20),
        ];
        assert_eq!(paths().known(&all, at(20)), known("cough=no"));
        assert_eq!(paths().known(&all, at(19)), known("cough=yes, sputum=green"));
    }
}
