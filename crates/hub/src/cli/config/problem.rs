//! Where in a file something is wrong: line, column and field, found from the byte where the reader stumbled.

use std::{io, ops::Range, path::Path};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// One thing that is wrong in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// From 1; 0 where it is the file as a whole.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The path of the field, e.g. `rule[2].bands[0].colour`; empty for the file as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What was found and what was wanted.
    pub message: String,
}

impl Problem {
    /// A problem at a byte of `text`.
    #[must_use]
    pub fn at_byte(text: &str, byte: usize, message: impl Into<String>) -> Self {
        let (line, column) = line_and_column(text, byte);
        Self { line, column, field: field_at(text, byte), message: message.into() }
    }

    /// A problem with a field of the `index`th table of the list `list`, or with that table where it lacks the field.
    #[must_use]
    pub fn at_field(text: &str, list: &str, index: usize, field: &str, message: impl Into<String>) -> Self {
        let byte = byte_of(text, list, index, field).unwrap_or(0);
        Self { field: format!("{list}[{index}].{field}"), ..Self::at_byte(text, byte, message) }
    }

    /// A problem with the field of this path, as `patient[0].own.limits[2].unit`; at the innermost part of it that the text has.
    #[must_use]
    pub fn at_path(text: &str, path: &str, message: impl Into<String>) -> Self {
        Self { field: path.to_owned(), ..Self::at_byte(text, byte_of_path(text, path), message) }
    }

    /// What the TOML reader stumbled on while it read a `T`.
    #[must_use]
    pub fn from_toml<T: JsonSchema>(text: &str, error: &toml::de::Error) -> Self {
        let said = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        let span = error.span().unwrap_or(0..0);
        let mut problem = Self::at_byte(text, span.start, "");
        if let Some(missing) = said.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            let dot = if problem.field.is_empty() { "" } else { "." };
            problem.field.extend([dot, missing]);
        }
        problem.message = triage::found_and_wanted::<T>(&said, text.get(span).unwrap_or_default(), &problem.field);
        problem
    }

    /// A problem with a file as a whole.
    fn of_file(message: impl Into<String>) -> Self {
        Self { line: 0, column: 0, field: String::new(), message: message.into() }
    }

    /// `FILE:LINE:COL: field: what was found, what was wanted`.
    #[must_use]
    pub fn sentence(&self, file: &str) -> String {
        let Self { line, column, field, message } = self;
        let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
        match line {
            0 => format!("{file}: {field}{message}"),
            _ => format!("{file}:{line}:{column}: {field}{message}"),
        }
    }
}

/// The text of a file that somebody wrote.
///
/// # Errors
/// What is wrong with the file: it is not there, may not be read, or is no text.
pub fn read(path: &Path) -> Result<String, Problem> {
    let bytes = std::fs::read(path).map_err(|error| Problem::of_file(unreadable(&error)))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..at]);
        let found = error.as_bytes().get(at).copied().unwrap_or_default();
        Problem::at_byte(&text, at, format!("found the byte 0x{found:02X}, want text in UTF-8: save the file as UTF-8"))
    })
}

/// The text of a file that somebody wrote, or a sentence with its name.
///
/// # Errors
/// As [`read`].
pub fn text(path: &Path) -> Result<String, String> {
    read(path).map_err(|problem| problem.sentence(&path.display().to_string()))
}

/// What a text of TOML says, read as `T`, whose form in a file is `F`; or a sentence with the file's name.
///
/// # Errors
/// The first thing that is wrong in it, with its place.
pub fn toml<T: DeserializeOwned, F: JsonSchema>(text: &str, file: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| Problem::from_toml::<F>(text, &error).sentence(file))
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "found no such file, want the path of one".to_owned(),
        io::ErrorKind::IsADirectory => "found a folder, want a file".to_owned(),
        io::ErrorKind::PermissionDenied => "found a file that this user may not read, want permission".to_owned(),
        _ => error.to_string(),
    }
}

/// What is no TOML in a text, one problem a line, in its order.
#[must_use]
pub fn syntax(text: &str, file: &str) -> Vec<Problem> {
    triage::syntax(text, file).iter().map(Problem::from).collect()
}

impl From<&triage::Problem> for Problem {
    fn from(theirs: &triage::Problem) -> Self {
        let triage::Problem { line, column, field, text, .. } = theirs;
        Self { line: *line, column: *column, field: field.clone(), message: text.clone() }
    }
}

fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = &text[..floor_char(text, byte)];
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (before.matches('\n').count() + 1, column)
}

fn byte_of(text: &str, list: &str, index: usize, field: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let item = table.get_ref().get(list)?.get_ref().as_array()?.get(index)?;
    let value = item.get_ref().as_table().and_then(|item| item.get(field));
    Some(value.map_or(item.span(), Spanned::span).start)
}

/// Where the innermost part of a path begins that the text has.
fn byte_of_path(text: &str, path: &str) -> usize {
    let Ok(table) = DeTable::parse(text) else { return 0 };
    let (mut found, mut at): (Option<&DeValue<'_>>, usize) = (None, 0);
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        let inner = match (part.strip_suffix(']'), found) {
            (Some(index), Some(DeValue::Array(items))) => index.parse::<usize>().ok().and_then(|at| items.get(at)),
            (None, None) => table.get_ref().get(part),
            (None, Some(DeValue::Table(table))) => table.get(part),
            _ => None,
        };
        let Some(inner) = inner else { break };
        (found, at) = (Some(inner.get_ref()), inner.span().start);
    }
    at
}

fn floor_char(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The path of the innermost field whose key or value holds this byte.
fn field_at(text: &str, byte: usize) -> String {
    let mut path = String::new();
    if let Ok(table) = DeTable::parse(text) {
        walk_table(table.get_ref(), byte, &mut path);
    }
    path
}

fn walk_table(table: &DeTable<'_>, byte: usize, path: &mut String) {
    let hit = table.iter().find(|(key, value)| holds(&key.span(), byte) || spans(value, byte));
    if let Some((key, value)) = hit {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key.get_ref());
        walk_value(value, byte, path);
    }
}

fn walk_value(value: &Spanned<DeValue<'_>>, byte: usize, path: &mut String) {
    match value.get_ref() {
        DeValue::Table(table) => walk_table(table, byte, path),
        DeValue::Array(items) => {
            if let Some(index) = items.iter().position(|item| spans(item, byte)) {
                path.push_str(&format!("[{index}]"));
                walk_value(&items[index], byte, path);
            }
        }
        _ => {}
    }
}

/// Does this value hold the byte? A table written as `[a]`, and an array of such, is as long as what is in it.
fn spans(value: &Spanned<DeValue<'_>>, byte: usize) -> bool {
    holds(&value.span(), byte)
        || match value.get_ref() {
            DeValue::Table(table) => table.iter().any(|(key, inner)| holds(&key.span(), byte) || spans(inner, byte)),
            DeValue::Array(items) => items.iter().any(|item| spans(item, byte)),
            _ => false,
        }
}

fn holds(span: &Range<usize>, byte: usize) -> bool {
    span.contains(&byte)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only what is wrong is looked at")]
    struct File {
        port: u16,
        #[serde(default)]
        home: Vec<Home>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only what is wrong is looked at")]
    struct Home {
        name: String,
        #[serde(default)]
        rooms: Vec<u8>,
    }

    #[track_caller]
    fn check(text: &str, wanted: &str) {
        let error = toml::from_str::<File>(text).unwrap_err();
        assert_eq!(Problem::from_toml::<File>(text, &error).sentence("f.toml"), wanted);
    }

    #[test]
    fn names_line_column_and_field() {
        check("port = \"x\"\n", "f.toml:1:8: port: found \"x\", want a whole number from 0 to 65535");
        check("port = 1\nprot = 2\n", "f.toml:2:1: prot: found unknown field `prot`, want `port` or `home`");
        check(
            "port = 1\n[[home]]\nname = \"a\"\n[[home]]\nname = \"æ\"\nrooms = [1, 999]\n",
            "f.toml:6:13: home[1].rooms[1]: found 999, want a whole number from 0 to 255",
        );
        check("port = 1\n[[home]]\nrooms = []\n", "f.toml:2:1: home[0].name: found nothing, want a text in quotes");
    }

    #[test]
    fn a_path_is_found_as_far_as_the_text_has_it() {
        let text = "[[home]]\nname = \"a\"\nrooms = [1, 2]\n[home.own]\nlimits = [{ unit = \"%\" }]\n";
        for (path, place) in [
            ("home[0].own.limits[0].unit", (5, 20)),
            ("home[0].own.limits[0].until", (5, 11)),
            ("home[0].rooms[1]", (3, 13)),
            ("nothing[3].of", (1, 1)),
        ] {
            let Problem { line, column, field, .. } = Problem::at_path(text, path, "x");
            assert_eq!(((line, column), field.as_str()), (place, path));
        }
    }

    #[test]
    fn tells_every_syntax_error() {
        let found: Vec<_> = syntax("a = \nb = 1\nc = [1,,2]\n", "f.toml").iter().map(|p| p.line).collect();
        assert_eq!(found, [1, 3]);
    }

    #[test]
    fn a_file_that_is_no_text_says_where_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, b"a = 1\nb = \"H\xf8j\"\n").unwrap();
        let found = read(&path).unwrap_err().sentence("a.toml");
        assert_eq!(found, "a.toml:2:7: found the byte 0xF8, want text in UTF-8: save the file as UTF-8");
        assert_eq!(read(folder.path()).unwrap_err().sentence("f"), "f: found a folder, want a file");
        let nowhere = read(&folder.path().join("b.toml")).unwrap_err().sentence("b.toml");
        assert_eq!(nowhere, "b.toml: found no such file, want the path of one");
    }
}
