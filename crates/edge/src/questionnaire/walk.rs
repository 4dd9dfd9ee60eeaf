//! A checked questionnaire, walked question by question. Pure.

use std::{collections::BTreeMap, fmt};

use vitals::{Colour, Decimal, Value};

use super::file::{Branch, ExampleFile};
use crate::round::{self, Choice, QuestionKind, Refusal, Text};

/// What stands in place of a question's id when there is none after it.
pub const END: &str = "end";

/// A questionnaire that was checked through.
#[derive(Debug)]
pub struct Questionnaire {
    pub(super) id: String,
    pub(super) version: u32,
    pub(super) title: Text,
    pub(super) questions: Vec<Asked>,
    pub(super) paths: Vec<Path>,
    pub(super) examples: Vec<toml::Spanned<ExampleFile>>,
}

/// One question.
#[derive(Debug)]
pub(super) struct Asked {
    pub id: String,
    pub text: Text,
    pub help: Option<Text>,
    pub kind: QuestionKind,
    /// By answer, of what can be listed.
    pub branches: BTreeMap<String, Branch>,
    /// Of a number.
    pub ranges: Vec<Range>,
    /// The question after it, or [`END`].
    pub next: String,
}

/// What a range of numbers means.
#[derive(Debug)]
pub(super) struct Range {
    pub from: Option<Decimal>,
    pub below: Option<Decimal>,
    pub branch: Branch,
}

/// What answers mean together.
#[derive(Debug)]
pub(super) struct Path {
    pub when: BTreeMap<String, Vec<String>>,
    pub significance: Colour,
}

impl Questionnaire {
    /// Its id, as in an answer.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its version, as in an answer.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> &Text {
        &self.title
    }

    /// How many questions it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.questions.len()
    }

    /// Never: it has at least one question.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// How many worked examples came out as they say.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples.len()
    }

    /// What is asked, which way it goes and what it means, in English.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut words = format!("{} (version {}): {}\n", self.id, self.version, self.title.en);
        self.questions.iter().for_each(|asked| asked.explain(&mut words));
        for path in &self.paths {
            let each = path.when.iter().map(|(question, answers)| format!("{question} is {}", answers.join(" or ")));
            words.push_str(&format!("Together, {}: {}.\n", each.collect::<Vec<_>>().join(" and "), path.significance));
        }
        words
    }

    /// The question that is asked first.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.questions[0].id
    }

    /// Does it have this question?
    #[must_use]
    pub fn has(&self, question: &str) -> bool {
        self.find(question).is_some()
    }

    /// A question as it is asked, with the answer given before.
    #[must_use]
    pub fn question(&self, id: &str, answer: Option<String>) -> Option<round::Question> {
        let Asked { id, text, help, kind, .. } = self.find(id)?;
        Some(round::Question { id: id.clone(), text: text.clone(), help: help.clone(), kind: kind.clone(), answer })
    }

    /// The question after this one, by its answer (`None`: skipped); `None` at the end.
    #[must_use]
    pub fn next(&self, question: &str, answer: Option<&str>) -> Option<&str> {
        let asked = self.find(question)?;
        let branch = answer.and_then(|answer| asked.branch(answer)).and_then(|branch| branch.next.as_deref());
        Some(branch.unwrap_or(&asked.next)).filter(|next| *next != END)
    }

    /// The answer as it is sent, if it can be taken.
    ///
    /// # Errors
    /// Why it can't be taken.
    pub fn take(&self, question: &str, answer: &str) -> Result<String, Refusal> {
        let asked = self.find(question).ok_or(Refusal::UnknownOption)?;
        asked.kind.take(answer)
    }

    /// What these answers mean: the worst of each by itself and of the paths that hold.
    #[must_use]
    pub fn significance<'a>(&self, answers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Colour {
        let answers: BTreeMap<&str, &str> = answers.into_iter().collect();
        let alone = answers.iter().filter_map(|(question, answer)| self.find(question)?.branch(answer)?.significance);
        let together = self.paths.iter().filter(|path| path.holds(&answers)).map(|path| path.significance);
        alone.chain(together).max().unwrap_or_default()
    }

    pub(super) fn find(&self, id: &str) -> Option<&Asked> {
        self.questions.iter().find(|question| question.id == id)
    }
}

impl Asked {
    fn explain(&self, words: &mut String) {
        words.push_str(&format!("{}: {:?}\n", self.id, self.text.en));
        let ranges = self.ranges.iter().map(|range| (range.to_string(), &range.branch));
        let answers = self.branches.iter().map(|(answer, branch)| (answer.clone(), branch)).chain(ranges);
        for (answer, branch) in answers {
            let means = branch.significance.map_or("nothing by itself", Colour::name);
            let next = branch.next.as_deref().unwrap_or(&self.next);
            words.push_str(&format!("  {answer}: {means}, then {next}\n"));
        }
        if self.branches.is_empty() && self.ranges.is_empty() {
            words.push_str(&format!("  then {}\n", self.next));
        }
    }

    fn branch(&self, answer: &str) -> Option<&Branch> {
        if self.ranges.is_empty() {
            return self.branches.get(answer);
        }
        let number = answer.parse::<Value>().ok()?.decimal();
        let within = |range: &&Range| {
            range.from.is_none_or(|from| number >= from) && range.below.is_none_or(|below| number < below)
        };
        self.ranges.iter().find(within).map(|range| &range.branch)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.below) {
            (Some(from), Some(below)) => write!(f, "from {from} and below {below}"),
            (Some(from), None) => write!(f, "from {from}"),
            (None, Some(below)) => write!(f, "below {below}"),
            (None, None) => f.write_str("any number"),
        }
    }
}

impl Path {
    fn holds(&self, answers: &BTreeMap<&str, &str>) -> bool {
        self.when.iter().all(|(question, listed)| {
            answers.get(question.as_str()).is_some_and(|answer| listed.iter().any(|one| one == answer))
        })
    }
}

impl QuestionKind {
    fn take(&self, answer: &str) -> Result<String, Refusal> {
        let answer = answer.trim();
        if answer.is_empty() {
            return Err(Refusal::Empty);
        }
        match self {
            Self::Choice { options } if options.iter().any(|Choice { id, .. }| id == answer) => Ok(answer.to_owned()),
            Self::YesNo if ["yes", "no"].contains(&answer) => Ok(answer.to_owned()),
            Self::Choice { .. } | Self::YesNo => Err(Refusal::UnknownOption),
            Self::Text { length_max } if answer.chars().count() > usize::from(*length_max) => Err(Refusal::TooLong),
            Self::Text { .. } => Ok(answer.to_owned()),
            Self::Number { min, max, decimals, .. } => number(answer, *min, *max, *decimals),
        }
    }
}

/// A decimal comma is taken too.
fn number(answer: &str, min: Value, max: Value, decimals: u8) -> Result<String, Refusal> {
    let answer = answer.replace(',', ".");
    let number: Decimal = answer.parse().map_err(|_| Refusal::NotANumber)?;
    if number.normalize().scale() > u32::from(decimals) {
        return Err(Refusal::TooManyDecimals);
    }
    if number < min.decimal() || number > max.decimal() {
        return Err(Refusal::OutOfRange);
    }
    Ok(number.to_string())
}
