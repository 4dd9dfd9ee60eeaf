//! What a reader of TOML or JSON says, as what was found and what was wanted. What may stand somewhere is known from the JSON Schema of what is
//! read there.

use schemars::JsonSchema;
use serde_json::Value;

/// So much of what is written is repeated, in characters.
const WRITTEN_CHARS_MAX: usize = 40;
const TEXT: &str = "a text in quotes";

/// What a reader said of the value at `field` while it read a `T`: `found 72, want a length of time with its unit, e.g. "4h" or "90m"`.
/// `written` is the value as it stands in the file; empty where that is not known.
#[must_use]
pub fn found_and_wanted<T: JsonSchema>(said: &str, written: &str, field: &str) -> String {
    let form = Form::of::<T>();
    let wanted = form.at(field).and_then(|node| form.wanted(node));
    if said.starts_with("missing field") {
        let wanted = wanted.unwrap_or_else(|| "it".to_owned());
        return format!("found nothing, want {wanted}{}", form.about(field));
    }
    of_value(said, &short(written), wanted)
}

/// What is wanted where a `T` should stand: `a table: { en = ..., da = ... }`.
pub(crate) fn wanted<T: JsonSchema>() -> String {
    let form = Form::of::<T>();
    form.wanted(&form.0).unwrap_or_else(|| "it".to_owned())
}

/// What serde said of a value that it knows alone, with what was wanted in its own words: of a body of JSON, say.
#[must_use]
pub fn plain(said: &str) -> String {
    match said.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
        Some((field, at)) => format!("found no `{field}`, want it{at}"),
        None => of_value(said, "", None),
    }
}

fn of_value(said: &str, written: &str, wanted: Option<String>) -> String {
    let said = said.trim_end();
    let (found, theirs) = said.split_once(", expected ").unwrap_or((said, ""));
    let of_type = ["invalid type: ", "invalid value: "].iter().find_map(|start| found.strip_prefix(start));
    // That a text is wanted is no news where a reader wants one of a certain form.
    let is_text = wanted.as_deref() == Some(TEXT);
    if let Some(found) = of_type {
        let wanted = wanted.filter(|_| !is_text || theirs == "a string").unwrap_or_else(|| kind(theirs));
        return format!("found {}, want {wanted}", value(found, written));
    }
    for (start, ours) in [
        ("unknown field", "found unknown field"),
        ("unknown variant", "found"),
        ("duplicate field", "found a second time"),
        ("invalid length", "found length"),
    ] {
        if let Some(rest) = said.strip_prefix(start) {
            return format!("{ours}{}", rest.replacen(", expected ", ", want ", 1));
        }
    }
    // Who says what is wanted and nothing of what was found has a reason, e.g. a password in it.
    let is_whole = said.starts_with("found ") || said.starts_with("want ");
    match wanted.filter(|_| !written.is_empty() && !is_whole) {
        Some(_) if is_text => format!("found {written}: {said}"),
        Some(wanted) => format!("found {written}, want {wanted}"),
        None => said.replacen(", expected ", ", want ", 1),
    }
}

/// What was found, as it is written: serde's "integer `72`" is 72.
fn value(theirs: &str, written: &str) -> String {
    if theirs == "map" && !written.is_empty() && !written.starts_with(['{', '[']) {
        return written.to_owned();
    }
    let inner = |start: &str| theirs.strip_prefix(start)?.split_once('`').map(|(inner, _)| inner.to_owned());
    let number = ["integer `", "floating point `", "boolean `"].iter().find_map(|start| inner(start));
    let text = || theirs.strip_prefix("string ").map(str::to_owned);
    number.or_else(text).unwrap_or_else(|| match theirs {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        other => other.to_owned(),
    })
}

/// What serde expects, for somebody who does not write Rust.
fn kind(theirs: &str) -> String {
    let (theirs, place) = theirs.find(" at line ").map_or((theirs, ""), |at| theirs.split_at(at));
    let ours = match theirs {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "a borrowed string" => TEXT,
        "a boolean" => "true or false",
        "a sequence" => "a list: [ ... ]",
        "a map" => "a table: { ... }",
        _ if theirs.starts_with("struct ") => "a table: { ... }",
        other => other,
    };
    format!("{ours}{place}")
}

/// What the parser said of a text that is no TOML. `rest` is what stands there, as far as its line goes.
pub(crate) fn of_syntax(said: &str, rest: &str) -> String {
    let word = short(rest.split(['#', ',', ']', '}', ' ', '\t', '\n']).next().unwrap_or_default());
    if said.starts_with("duplicate key") {
        return format!("found `{word}` a second time, want it once");
    }
    if said.starts_with("string values must be quoted") {
        let found = if word.is_empty() { "nothing".to_owned() } else { format!("`{word}`") };
        return format!("found {found}, want a text in quotes, a number, or true or false");
    }
    let said = said.trim_end().replacen(", expected ", ", want ", 1);
    match rest.chars().next() {
        Some(c) if c.is_control() => format!("found the control character U+{:04X}: {said}", u32::from(c)),
        Some(_) => format!("found `{}`: {said}", short(rest)),
        None => format!("found the end of the line: {said}"),
    }
}

/// As much of it as is repeated in a message.
pub(crate) fn short(written: &str) -> String {
    let line = written.lines().next().unwrap_or_default().trim();
    let mut text: String = line.chars().take(WRITTEN_CHARS_MAX).collect();
    if text.len() < line.len() {
        text.push_str("...");
    }
    text
}

/// What may stand in a file, as a JSON Schema.
struct Form(Value);

impl Form {
    fn of<T: JsonSchema>() -> Self {
        Self(schemars::schema_for!(T).to_value())
    }

    /// What may stand at a field, e.g. `bands[0].mark`.
    fn at(&self, field: &str) -> Option<&Value> {
        field.split(['.', '[']).filter(|part| !part.is_empty()).try_fold(&self.0, |node, part| {
            let node = self.resolved(node);
            if part.ends_with(']') {
                return node.get("items");
            }
            let named = node.get("properties").and_then(|all| all.get(part));
            named.or_else(|| node.get("additionalProperties").filter(|any| any.is_object()))
        })
    }

    /// What it refers to, and what it is where it is not left out.
    fn resolved<'v>(&'v self, node: &'v Value) -> &'v Value {
        if let Some(name) = node["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
            return self.resolved(&self.0["$defs"][name]);
        }
        let null = |one: &&Value| one["type"] == "null";
        match node["anyOf"].as_array().map(Vec::as_slice) {
            Some([one, or]) if null(&or) => self.resolved(one),
            _ => node,
        }
    }

    fn wanted(&self, node: &Value) -> Option<String> {
        let node = self.resolved(node);
        if let (Some(what), Some(examples)) = (node["description"].as_str(), node["examples"].as_array()) {
            let examples: Vec<String> = examples.iter().map(ToString::to_string).collect();
            return Some(format!("{what}, e.g. {}", examples.join(" or ")));
        }
        if let Some(names) = names(node) {
            return Some(format!("one of {}", names.join(", ")));
        }
        let kind = node["type"].as_str().or_else(|| node["type"].as_array()?.first()?.as_str());
        Some(match kind? {
            "string" => TEXT.to_owned(),
            "integer" => whole_number(node),
            "number" => "a number".to_owned(),
            "boolean" => "true or false".to_owned(),
            "array" => "a list: [ ... ]".to_owned(),
            "object" => table(node),
            _ => return None,
        })
    }

    /// `: how long before its time a scheduled measurement may be taken`, by the first sentence that is said of a field.
    fn about(&self, field: &str) -> String {
        let said = self.at(field).and_then(|node| node["description"].as_str()).unwrap_or_default();
        let sentence = said.split(". ").next().unwrap_or_default().trim_end_matches('.').replace('\n', " ");
        let mut chars = sentence.chars();
        match (chars.next(), chars.next()) {
            (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
                format!(": {}{}", first.to_lowercase(), &sentence[first.len_utf8()..])
            }
            (Some(_), _) => format!(": {sentence}"),
            (None, _) => String::new(),
        }
    }
}

/// The names of which it is one.
fn names(node: &Value) -> Option<Vec<String>> {
    let quoted = |name: &Value| name.as_str().map(|name| format!("`{name}`"));
    match (node["enum"].as_array(), node["oneOf"].as_array()) {
        (Some(names), _) => names.iter().map(quoted).collect(),
        (None, Some(each)) => each.iter().map(|one| quoted(&one["const"])).collect(),
        (None, None) => None,
    }
}

fn whole_number(node: &Value) -> String {
    let most = node["maximum"].as_u64().or(match node["format"].as_str() {
        Some("uint8") => Some(u64::from(u8::MAX)),
        Some("uint16") => Some(u64::from(u16::MAX)),
        Some("uint32") => Some(u64::from(u32::MAX)),
        _ => None,
    });
    match (node["minimum"].as_i64(), most) {
        (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
        (Some(least), None) => format!("a whole number, {least} or more"),
        _ => "a whole number".to_owned(),
    }
}

/// A table, with what may not be left out of it.
fn table(node: &Value) -> String {
    let needed: Vec<String> = node["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| Some(format!("{} = ...", name.as_str()?)))
        .collect();
    if needed.is_empty() { "a table: { ... }".to_owned() } else { format!("a table: {{ {} }}", needed.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programme::file::{Clinic, Text};

    #[test]
    fn what_a_reader_says_is_what_was_found_and_wanted() {
        let length = "a length of time with its unit, e.g. \"4h\" or \"90m\"";
        for (said, written, field, wanted) in [
            ("invalid type: integer `72`, expected a string", "72", "early", format!("found 72, want {length}")),
            (
                "missing field `early`",
                "",
                "early",
                format!("found nothing, want {length}: how long before its time a scheduled measurement may be taken"),
            ),
            (
                "invalid value: integer `-1`, expected u32",
                "-1",
                "ease_after_sittings",
                "found -1, want a whole number from 1 to 100".to_owned(),
            ),
            ("floating-point number overflowed", "1e999", "early", format!("found 1e999, want {length}")),
            ("found \"3\", want more", "\"3\"", "early", "found \"3\", want more".to_owned()),
        ] {
            assert_eq!(found_and_wanted::<Clinic>(said, written, field), wanted);
        }
        assert_eq!(wanted::<Text>(), "a table: { en = ..., da = ... }");
        assert_eq!(
            plain("invalid type: sequence, expected u8 at line 1 column 3"),
            "found a list, want a whole number from 0 to 255 at line 1 column 3"
        );
        assert_eq!(plain("missing field `note` at line 1 column 3"), "found no `note`, want it at line 1 column 3");
    }
}
