//! Where in a programme file something stands, and faults that say it: `FILE:LINE:COL: field: what was found, what was wanted`.

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue, Error as TomlError, ValueDeserializer},
};

use super::words;

/// So many faults of one file are told.
pub const PROBLEMS_MAX: usize = 100;
/// So many lines that are no TOML are told of one file: after the first, most are its echo.
const SYNTAX_LINES_MAX: usize = 10;

/// Why a programme, or a patient's own settings over it, can't be used: all faults found, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ProgrammeError {
    problems: Vec<Problem>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// The field's path, e.g. `rule[0].unit`.
    pub field: String,
    /// What was found and what was wanted.
    pub text: String,
}

impl ProgrammeError {
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.dedup();
        problems.truncate(PROBLEMS_MAX);
        Self { problems }
    }

    /// The faults one by one, in the file's order.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ProgrammeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl Problem {
    /// The place of the worked example that it is in, if it is in one.
    #[must_use]
    pub fn example(&self) -> Option<usize> {
        self.field.strip_prefix("example[")?.split_once(']')?.0.parse().ok()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, field, text } = self;
        write!(f, "{file}:{line}:{column}: ")?;
        if !field.is_empty() {
            write!(f, "{field}: ")?;
        }
        f.write_str(text)
    }
}

/// One step of a field's path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A key of a table.
    Key(String),
    /// A place in an array.
    At(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(at: usize) -> Self {
        Self::At(at)
    }
}

/// A path from steps: `steps!["rule", 0, "unit"]`.
macro_rules! steps {
    ($($step:expr),* $(,)?) => { [$($crate::programme::place::Step::from($step)),*] };
}
pub(crate) use steps;

/// The file, parsed, with every fault found so far.
pub struct Document<'a> {
    file: &'a str,
    text: &'a str,
    root: Spanned<DeValue<'a>>,
    problems: Vec<Problem>,
    /// What today's bounds refuse, where that is no fault: of what was stored under earlier ones.
    outgrown: Option<Vec<Problem>>,
}

impl<'a> Document<'a> {
    /// Parses as much as can be parsed.
    pub fn parse(text: &'a str, file: &'a str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let span = table.span();
        let root = Spanned::new(span, DeValue::Table(table.into_inner()));
        let mut document = Self { file, text, root, problems: Vec::new(), outgrown: None };
        document.syntax(&errors);
        document
    }

    /// The same of a text that was stored: it was checked when it came in, and bounds that are stricter since are no faults of it.
    pub fn of_stored(mut self) -> Self {
        self.outgrown = Some(Vec::new());
        self
    }

    /// What was stored and today's bounds refuse.
    pub fn take_outgrown(&mut self) -> Vec<Problem> {
        self.outgrown.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Notes the faults of the text itself, one a line, with the field whose line each stands on. What was not closed is told once: all that
    /// comes after it is its echo.
    fn syntax(&mut self, errors: &[TomlError]) {
        let mut errors: Vec<_> = errors.iter().map(|error| (self.start(error), error.message())).collect();
        errors.sort_by_key(|(offset, _)| *offset);
        let mut unclosed = Vec::new();
        for (offset, said) in errors {
            let (line, _) = line_and_column(self.text, offset);
            if self.problems.last().is_some_and(|last| last.line == line) || self.problems.len() == SYNTAX_LINES_MAX {
                continue;
            }
            let within = self.begun(offset).filter(|begun| line_and_column(self.text, *begun).0 < line);
            if within.is_some_and(|begun| unclosed.contains(&begun)) {
                continue;
            }
            let line_start = self.text[..offset].rfind('\n').map_or(0, |at| at + 1);
            let indent = self.text[line_start..].find(|c: char| !c.is_whitespace()).unwrap_or(0);
            let field = field(&self.path_of(line_start + indent));
            let rest = self.text[offset..].split('\n').next().unwrap_or_default();
            let mut told = words::of_syntax(said, rest);
            if let Some(begun) = within {
                let (line, _) = line_and_column(self.text, begun);
                told.push_str(&format!("; is what begins in line {line} closed?"));
                unclosed.push(begun);
            } else if is_decimal_comma(self.text, offset) {
                told.push_str("; a decimal is written with a point, e.g. 85.5");
            }
            self.problem_at(offset, field, told);
        }
    }

    /// Where a fault begins.
    fn start(&self, error: &TomlError) -> usize {
        let offset = error.span().map_or(0, |span| span.start).min(self.text.len());
        (0..=offset).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }

    /// Where the innermost list or table in brackets begins within which an offset lies.
    fn begun(&self, offset: usize) -> Option<usize> {
        let path = self.path_of(offset);
        let within = (1..=path.len()).rev().filter_map(|len| self.find(&path[..len]));
        let start = |value: &Spanned<DeValue<'a>>| {
            let at = value.span().start;
            (self.text.get(at..)?.starts_with(['{', '['])
                && matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_)))
            .then_some(at)
        };
        within.filter_map(start).find(|at| *at < offset && !self.is_header(*at))
    }

    /// Does a table's header begin here?
    fn is_header(&self, offset: usize) -> bool {
        self.text[..offset].rsplit('\n').next().is_some_and(|before| before.trim_start_matches('[').trim().is_empty())
            && !self.text[..offset].trim_end().ends_with(['[', ',', '='])
    }

    /// Notes a fault at a key of the file's top.
    pub fn problem_of_key(&mut self, key: &str, text: String) {
        self.problem_of_key_at(&[], key, text);
    }

    /// Notes a fault at a key of the table at a path, at the key itself.
    pub fn problem_of_key_at(&mut self, path: &[Step], key: &str, text: String) {
        let table = self.find(path).and_then(|value| value.get_ref().as_table());
        let found = table.and_then(|table| table.keys().find(|name| name.get_ref() == key));
        let offset = found.map_or(0, |name| name.span().start);
        let path: Vec<Step> = path.iter().cloned().chain([key.into()]).collect();
        self.problem_at(offset, field(&path), text);
    }

    /// Notes a fault at every key of the file's top that is none of these.
    pub fn refuse_other_keys(&mut self, keys: &[&str]) {
        for key in self.keys().iter().filter(|key| !keys.contains(&key.as_str())) {
            self.problem_of_key(key, format!("found unknown field `{key}`, want one of {}", keys.join(", ")));
        }
    }

    /// Has anything been found?
    pub fn is_faulty(&self) -> bool {
        !self.problems.is_empty()
    }

    /// `value`, if nothing was found; all that was found otherwise.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ProgrammeError> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(ProgrammeError::new(self.problems)),
        }
    }

    /// Notes a fault at a path, or at its nearest parent that is written.
    pub fn problem(&mut self, path: &[Step], text: impl Into<String>) {
        let offset = self.offset(path);
        self.problem_at(offset, field(path), text.into());
    }

    /// Notes what an earlier version of Vagt took in, or may have: a fault of what comes in now, and none of what is stored.
    pub fn refuse_new(&mut self, path: &[Step], text: impl Into<String>) {
        let (offset, known) = (self.offset(path), self.problems.len());
        self.problem_at(offset, field(path), text.into());
        if let Some(outgrown) = &mut self.outgrown {
            outgrown.extend(self.problems.drain(known..));
        }
    }

    /// The file's name.
    pub fn file(&self) -> &str {
        self.file
    }

    /// Line and column of what stands at a path, or of its nearest parent that is written.
    pub fn place(&self, path: &[Step]) -> (usize, usize) {
        line_and_column(self.text, self.offset(path))
    }

    /// The keys of the file's top.
    pub fn keys(&self) -> Vec<String> {
        self.keys_at(&[])
    }

    /// The keys of the table at a path.
    pub fn keys_at(&self, path: &[Step]) -> Vec<String> {
        let table = self.find(path).and_then(|value| value.get_ref().as_table());
        table.map(|table| table.keys().map(|key| key.get_ref().to_string()).collect()).unwrap_or_default()
    }

    /// How many elements the array at a path has; 0 where there is none.
    pub fn len(&self, path: &[Step]) -> usize {
        self.find(path).and_then(|value| value.get_ref().as_array()).map_or(0, |array| array.len())
    }

    /// Is something written at this path?
    pub fn has(&self, path: &[Step]) -> bool {
        self.find(path).is_some()
    }

    /// The text at a path.
    pub fn text(&self, path: &[Step]) -> Option<String> {
        self.find(path)?.get_ref().as_str().map(str::to_owned)
    }

    /// The place of the element of an array of tables that has this id: of one that could not be read, or that stands there alone, too.
    pub fn place_of(&self, array: &str, id: &str) -> Option<usize> {
        let has = |at: &usize| self.text(&[array.into(), (*at).into(), "id".into()]).as_deref() == Some(id);
        let alone = || (self.text(&[array.into(), "id".into()]).as_deref() == Some(id)).then_some(0);
        (0..self.len(&[array.into()])).find(has).or_else(alone)
    }

    /// Is what stands at a path, if anything does, a list? A fault is noted.
    pub fn is_list(&mut self, path: &[Step]) -> bool {
        let is_list = self.find(path).is_none_or(|value| value.get_ref().is_array());
        if !is_list {
            let found = self.written(path);
            let Some(Step::Key(key)) = path.last() else { return is_list };
            self.problem(path, format!("found {found}, want a list: each of them headed [[{key}]]"));
        }
        is_list
    }

    /// What stands at a path, in words.
    pub fn written(&self, path: &[Step]) -> String {
        match self.find(path).map(|value| (value.get_ref(), value.span())) {
            None => "nothing".to_owned(),
            Some((DeValue::Table(_), _)) => "one table".to_owned(),
            Some((DeValue::Array(_), _)) => "a list".to_owned(),
            Some((_, span)) => words::short(self.text.get(span).unwrap_or_default()),
        }
    }

    /// What stands at a path, read as `T`; a fault is noted.
    pub fn read<T: DeserializeOwned + JsonSchema>(&mut self, path: &[Step]) -> Option<T> {
        self.read_some(path, |_| true)
    }

    /// The same, with some keys of the table left out.
    pub fn read_without<T: DeserializeOwned + JsonSchema>(&mut self, path: &[Step], left_out: &[&str]) -> Option<T> {
        let known = self.problems.len();
        let read = self.read_some(path, |key| !left_out.contains(&key));
        // What was left out may be written too.
        let also: Vec<String> = left_out.iter().map(|key| format!("`{key}`")).collect();
        let here = field(path);
        for problem in &mut self.problems[known..] {
            let is_top = problem.field.rsplit_once('.').is_some_and(|(parent, _)| parent == here);
            if let Some((found, want)) = problem.text.split_once(", want one of ").filter(|_| is_top)
                && found.starts_with("found unknown field")
            {
                problem.text = format!("{found}, want one of {}, {want}", also.join(", "));
            }
        }
        read
    }

    /// The same, with some keys of the table alone.
    pub fn read_only<T: DeserializeOwned + JsonSchema>(&mut self, path: &[Step], keys: &[&str]) -> Option<T> {
        self.read_some(path, |key| keys.contains(&key))
    }

    fn read_some<T: DeserializeOwned + JsonSchema>(
        &mut self,
        path: &[Step],
        takes: impl Fn(&str) -> bool,
    ) -> Option<T> {
        let Some(found) = self.find(path) else {
            self.problem(path, format!("found nothing, want {}", words::wanted::<T>()));
            return None;
        };
        let mut value = found.clone();
        if value.get_ref().is_array() {
            let wanted = words::wanted::<T>();
            if wanted.starts_with("a table") {
                self.problem(path, format!("found a list, want {wanted}"));
                return None;
            }
        }
        if let DeValue::Table(table) = value.get_mut() {
            let some = std::mem::take(table).into_iter().filter(|(name, _)| takes(name.get_ref()));
            *table = some.collect();
        }
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(read) => Some(read),
            Err(error) => {
                self.serde::<T>(path, &error);
                None
            }
        }
    }

    fn find(&self, path: &[Step]) -> Option<&Spanned<DeValue<'a>>> {
        let mut here = &self.root;
        for step in path {
            here = match step {
                Step::Key(key) => here.get_ref().as_table()?.get(key.as_str())?,
                Step::At(at) => here.get_ref().as_array()?.get(*at)?,
            };
        }
        Some(here)
    }

    fn offset(&self, path: &[Step]) -> usize {
        (0..=path.len()).rev().find_map(|len| self.find(&path[..len])).map_or(0, |value| value.span().start)
    }

    /// Notes a fault that the parser or serde found.
    fn serde<T: JsonSchema>(&mut self, path: &[Step], error: &TomlError) {
        let offset = error.span().map_or_else(|| self.offset(path), |span| span.start);
        let mut place = if error.span().is_some() { self.path_of(offset) } else { path.to_vec() };
        if place.len() < path.len() {
            place = path.to_vec();
        }
        let message = error.message();
        let named = between(message, "missing field `", "`").or_else(|| between(message, "unknown field `", "`"));
        if let Some(name) = named.filter(|name| place.last() != Some(&Step::from(*name))) {
            place.push(name.into());
        }
        let written = error.span().and_then(|span| self.text.get(span)).unwrap_or_default();
        let within = field(place.get(path.len()..).unwrap_or_default());
        self.problem_at(offset, field(&place), words::found_and_wanted::<T>(message, written, &within));
    }

    /// The path of the innermost key or value that stands at an offset.
    fn path_of(&self, offset: usize) -> Vec<Step> {
        let mut path = Vec::new();
        let mut here = Some(&self.root);
        while let Some(value) = here.take() {
            match value.get_ref() {
                DeValue::Table(table) => {
                    for (key, inner) in table {
                        if key.span().contains(&offset) || holds(inner, offset) {
                            path.push(Step::Key(key.get_ref().to_string()));
                            here = Some(inner);
                            break;
                        }
                    }
                }
                DeValue::Array(array) => {
                    if let Some((at, inner)) = array.iter().enumerate().find(|(_, inner)| holds(inner, offset)) {
                        path.push(Step::At(at));
                        here = Some(inner);
                    }
                }
                _ => {}
            }
        }
        path
    }

    fn problem_at(&mut self, offset: usize, field: String, text: String) {
        if self.problems.len() < PROBLEMS_MAX {
            let (line, column) = line_and_column(self.text, offset);
            self.problems.push(Problem { file: self.file.to_owned(), line, column, field, text });
        }
    }
}

/// Does the value, or one within it, stand at this offset? (A table made by headers spans its header alone.)
fn holds(value: &Spanned<DeValue<'_>>, offset: usize) -> bool {
    let within = || match value.get_ref() {
        DeValue::Table(table) => table.iter().any(|(key, inner)| key.span().contains(&offset) || holds(inner, offset)),
        DeValue::Array(array) => array.iter().any(|inner| holds(inner, offset)),
        _ => false,
    };
    value.span().contains(&offset) || within()
}

/// A path in words: `rule[0].unit`.
pub(crate) fn field(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key.as_str()]),
            Step::At(at) => text.push_str(&format!("[{at}]")),
        }
    }
    text
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    text.split_once(before)?.1.split_once(after).map(|(inner, _)| inner)
}

/// Was a decimal written with a comma, here or just before?
fn is_decimal_comma(text: &str, offset: usize) -> bool {
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line = text[start..].split('\n').next().unwrap_or_default().as_bytes();
    let near = (offset - start).saturating_sub(6)..line.len().min(offset - start + 1);
    near.clone().any(|at| {
        let digit = |at: usize| line.get(at).is_some_and(u8::is_ascii_digit);
        line[at] == b',' && at > 0 && digit(at - 1) && digit(at + 1)
    })
}

/// What is no TOML in a text, in its order.
#[must_use]
pub fn syntax(text: &str, file: &str) -> Vec<Problem> {
    Document::parse(text, file).problems
}
