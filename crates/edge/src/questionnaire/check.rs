//! From the file to a questionnaire that can be walked: everything that is referred to exists, every question can be reached, and none is
//! asked twice.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use vitals::{Decimal, Value};

use super::{
    file::{Branch, ChoiceFile, File, Kind, PathFile, QuestionFile, RangeFile},
    walk::{Asked, END, Path, Questionnaire, Range},
};
use crate::{
    config::{ConfigError, Source},
    round::{Choice, QuestionKind, Text},
};

/// Questions of one questionnaire.
const QUESTIONS_MAX: usize = 64;
/// Characters of one text.
const TEXT_CHARS_MAX: usize = 1000;
/// Characters of a free answer, unless said otherwise, and at most.
const ANSWER_CHARS: u16 = 500;
const ANSWER_CHARS_MAX: u16 = 2000;
/// Digits after the decimal sign.
const DECIMALS_MAX: u8 = 3;
/// Ids have at most this many characters.
const ID_CHARS_MAX: usize = 64;

type Checked<T> = Result<T, ConfigError>;

/// Checks a file through.
pub(super) fn questionnaire(source: &Source<'_>, file: File) -> Checked<Questionnaire> {
    let (id, at) = (file.id.get_ref().clone(), file.id.span().start);
    if !is_id(&id, '-') {
        return Err(source.error(at, "id", format!("found {id:?}, want 1 to {ID_CHARS_MAX} of a-z, 0-9 and -")));
    }
    if id == "kit" {
        return Err(source.error(at, "id", "found \"kit\", which is the kit's own; want another"));
    }
    if !(1..=QUESTIONS_MAX).contains(&file.questions.len()) {
        let reason = format!("found {} questions, want 1 to {QUESTIONS_MAX}", file.questions.len());
        return Err(source.error(at, "question", reason));
    }
    text(source, at, "title", &file.title)?;
    let ids = question_ids(source, &file.questions)?;
    let mut questions = Vec::with_capacity(ids.len());
    for (index, question) in file.questions.into_iter().enumerate() {
        let following = ids.get(index + 1).map_or(END, String::as_str).to_owned();
        questions
            .push(Check { source, ids: &ids, at: question.span().start }.question(question.into_inner(), following)?);
    }
    let mut made = Questionnaire {
        id,
        version: file.version,
        title: file.title,
        questions,
        paths: vec![],
        examples: file.examples,
    };
    walkable(source, &made, &ids)?;
    made.paths = file.paths.iter().map(|path| checked_path(source, &made, path)).collect::<Checked<_>>()?;
    Ok(made)
}

fn question_ids(source: &Source<'_>, questions: &[Spanned<QuestionFile>]) -> Checked<Vec<String>> {
    let mut ids: Vec<String> = Vec::new();
    for question in questions {
        let (id, at) = (question.get_ref().id.get_ref(), question.get_ref().id.span().start);
        let reason = if !is_id(id, '_') || id == END {
            format!("found {id:?}, want 1 to {ID_CHARS_MAX} of a-z, 0-9 and _, and not {END:?}")
        } else if ids.contains(id) {
            format!("found {id:?} again, want an id of its own")
        } else {
            ids.push(id.clone());
            continue;
        };
        return Err(source.error(at, "question.id", reason));
    }
    Ok(ids)
}

/// One question's check.
struct Check<'a> {
    source: &'a Source<'a>,
    ids: &'a [String],
    at: usize,
}

impl Check<'_> {
    fn question(&self, file: QuestionFile, following: String) -> Checked<Asked> {
        text(self.source, self.at, "question.text", &file.text)?;
        self.only_its_kind(&file)?;
        if let Some(next) = &file.next {
            self.known(next.span().start, "question.next", next.get_ref())?;
        }
        let next = file.next.as_ref().map_or(following, |next| next.get_ref().clone());
        let (kind, branches, ranges) = match file.kind {
            Kind::Choice => self.choice(file.choices)?,
            Kind::YesNo => self.yes_no(file.yes, file.no)?,
            Kind::Number => self.number(&file)?,
            Kind::Text => self.text(file.length_max)?,
        };
        Ok(Asked { id: file.id.into_inner(), text: file.text, help: file.help, kind, branches, ranges, next })
    }

    /// Fields of another kind are a mistake.
    fn only_its_kind(&self, file: &QuestionFile) -> Checked<()> {
        let number = file.unit.is_some() || file.min.is_some() || file.max.is_some() || file.decimals.is_some();
        for (found, kind, field) in [
            (!file.choices.is_empty(), Kind::Choice, "question.choice"),
            (file.yes.is_some() || file.no.is_some(), Kind::YesNo, "question.yes"),
            (number || !file.ranges.is_empty(), Kind::Number, "question.min"),
            (file.length_max.is_some(), Kind::Text, "question.length_max"),
        ] {
            if found && file.kind != kind {
                let reason = format!("found with kind {:?}, want it only with kind {kind:?}", file.kind);
                return Err(self.error(field, reason));
            }
        }
        Ok(())
    }

    fn choice(&self, choices: Vec<Spanned<ChoiceFile>>) -> Checked<Made> {
        if !(2..=32).contains(&choices.len()) {
            return Err(self.error("question.choice", format!("found {} choices, want 2 to 32", choices.len())));
        }
        let (mut options, mut branches) = (Vec::new(), BTreeMap::new());
        for choice in choices {
            let at = choice.span().start;
            let ChoiceFile { id, text: words, significance, next } = choice.into_inner();
            if !is_id(&id, '_') || branches.contains_key(&id) {
                let reason = format!("found {id:?}, want 1 to {ID_CHARS_MAX} of a-z, 0-9 and _, and each once");
                return Err(self.source.error(at, "question.choice.id", reason));
            }
            text(self.source, at, "question.choice.text", &words)?;
            self.known_or_none(at, "question.choice.next", next.as_deref())?;
            options.push(Choice { id: id.clone(), text: words });
            branches.insert(id, Branch { significance, next });
        }
        Ok((QuestionKind::Choice { options }, branches, vec![]))
    }

    fn yes_no(&self, yes: Option<Spanned<Branch>>, no: Option<Spanned<Branch>>) -> Checked<Made> {
        let mut branches = BTreeMap::new();
        for (answer, branch) in [("yes", yes), ("no", no)] {
            let Some(branch) = branch else { continue };
            let at = branch.span().start;
            let branch = branch.into_inner();
            self.known_or_none(at, &format!("question.{answer}.next"), branch.next.as_deref())?;
            branches.insert(answer.to_owned(), branch);
        }
        Ok((QuestionKind::YesNo, branches, vec![]))
    }

    fn number(&self, file: &QuestionFile) -> Checked<Made> {
        let (Some(min), Some(max)) = (file.min, file.max) else {
            return Err(self.error("question.min", "found no min and max, want both with kind Number"));
        };
        let (min, max) = (self.decimal("question.min", min)?, self.decimal("question.max", max)?);
        if min >= max {
            return Err(self.error("question.max", format!("found {max}, want more than min, which is {min}")));
        }
        let decimals = file.decimals.unwrap_or(0);
        if decimals > DECIMALS_MAX {
            return Err(self.error("question.decimals", format!("found {decimals}, want at most {DECIMALS_MAX}")));
        }
        let ranges = file.ranges.iter().map(|range| self.range(range)).collect::<Checked<Vec<Range>>>()?;
        let kind =
            QuestionKind::Number { unit: file.unit.clone(), min: Value::from(min), max: Value::from(max), decimals };
        Ok((kind, BTreeMap::new(), ranges))
    }

    fn range(&self, range: &Spanned<RangeFile>) -> Checked<Range> {
        let RangeFile { from, below, significance, next } = range.get_ref();
        self.known_or_none(range.span().start, "question.range.next", next.as_deref())?;
        let end = |end: Option<f64>| end.map(|end| self.decimal("question.range", end)).transpose();
        let (from, below) = (end(*from)?, end(*below)?);
        if from.zip(below).is_some_and(|(from, below)| from >= below) {
            return Err(self.source.error(range.span().start, "question.range", "want from to be less than below"));
        }
        let branch = Branch { significance: *significance, next: next.clone() };
        Ok(Range { from, below, branch })
    }

    fn text(&self, length_max: Option<u16>) -> Checked<Made> {
        let length_max = length_max.unwrap_or(ANSWER_CHARS);
        if !(1..=ANSWER_CHARS_MAX).contains(&length_max) {
            return Err(self.error("question.length_max", format!("found {length_max}, want 1 to {ANSWER_CHARS_MAX}")));
        }
        Ok((QuestionKind::Text { length_max }, BTreeMap::new(), vec![]))
    }

    fn decimal(&self, field: &str, number: f64) -> Checked<Decimal> {
        let made = number.to_string().parse();
        made.map_err(|_| self.error(field, format!("found {number}, want a number of at most 28 digits")))
    }

    fn known_or_none(&self, at: usize, field: &str, next: Option<&str>) -> Checked<()> {
        next.map_or(Ok(()), |next| self.known(at, field, next))
    }

    fn known(&self, at: usize, field: &str, next: &str) -> Checked<()> {
        if next == END || self.ids.iter().any(|id| id == next) {
            return Ok(());
        }
        Err(self.source.error(at, field, format!("found {next:?}, want {END:?} or one of {}", self.ids.join(", "))))
    }

    fn error(&self, field: &str, reason: impl std::fmt::Display) -> ConfigError {
        self.source.error(self.at, field, reason)
    }
}

type Made = (QuestionKind, BTreeMap<String, Branch>, Vec<Range>);

/// Every question is reached from the first, and no way comes to the same question twice.
fn walkable(source: &Source<'_>, made: &Questionnaire, ids: &[String]) -> Checked<()> {
    let (mut reached, mut above) = (BTreeSet::new(), Vec::new());
    if let Some(circle) = circle(made, made.first(), &mut reached, &mut above) {
        let at = source.of(&format!("id = {:?}", circle[0]));
        return Err(source.error(at, "question.next", format!("goes in a circle: {}", circle.join(" -> "))));
    }
    match ids.iter().find(|id| !reached.contains(id.as_str())) {
        Some(id) => {
            let at = source.of(&format!("id = {id:?}"));
            Err(source.error(at, "question.id", format!("found {id:?}, which no way from the first question comes to")))
        }
        None => Ok(()),
    }
}

/// The questions of a circle, if one can be walked from here; `reached` are those from which there is none.
fn circle<'a>(
    made: &'a Questionnaire,
    id: &'a str,
    reached: &mut BTreeSet<&'a str>,
    above: &mut Vec<&'a str>,
) -> Option<Vec<String>> {
    if let Some(begin) = above.iter().position(|before| *before == id) {
        return Some(above[begin..].iter().chain([&id]).map(|id| (*id).to_owned()).collect());
    }
    if !reached.insert(id) {
        return None;
    }
    above.push(id);
    let found = made.find(id).and_then(|asked| {
        let branches = asked.branches.values().chain(asked.ranges.iter().map(|range| &range.branch));
        let ways = branches.filter_map(|branch| branch.next.as_deref()).chain([asked.next.as_str()]);
        ways.filter(|next| *next != END).find_map(|next| circle(made, next, reached, above))
    });
    above.pop();
    found
}

fn checked_path(source: &Source<'_>, made: &Questionnaire, path: &Spanned<PathFile>) -> Checked<Path> {
    let at = path.span().start;
    let PathFile { when, significance, .. } = path.get_ref();
    if when.is_empty() {
        return Err(source.error(at, "path.when", "found no question, want at least one"));
    }
    for (question, answers) in when {
        let Some(asked) = made.find(question) else {
            return Err(source.error(at, "path.when", format!("found {question:?}, which is no question here")));
        };
        let known = |answer: &String| match &asked.kind {
            QuestionKind::Choice { options } => options.iter().any(|choice| choice.id == *answer),
            QuestionKind::YesNo => answer == "yes" || answer == "no",
            QuestionKind::Number { .. } | QuestionKind::Text { .. } => false,
        };
        if let Some(unknown) = answers.iter().find(|answer| !known(answer)) {
            let reason = format!("found {unknown:?} for {question}, which can't be answered so");
            return Err(source.error(at, "path.when", reason));
        }
        if answers.is_empty() {
            return Err(source.error(at, "path.when", format!("found no answer for {question}, want at least one")));
        }
    }
    Ok(Path { when: when.clone(), significance: *significance })
}

fn text(source: &Source<'_>, at: usize, field: &str, text: &Text) -> Checked<()> {
    for (language, words) in [("en", &text.en), ("da", &text.da)] {
        let chars = words.chars().count();
        if words.trim().is_empty() || chars > TEXT_CHARS_MAX {
            let reason = format!("found {chars} characters, want 1 to {TEXT_CHARS_MAX}");
            return Err(source.error(at, &format!("{field}.{language}"), reason));
        }
    }
    Ok(())
}

fn is_id(id: &str, extra: char) -> bool {
    (1..=ID_CHARS_MAX).contains(&id.len())
        && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == extra)
}
