//! A kit's edge.toml: the kit's own program, installed beside this one, is asked about it. (The clinic's program does not contain the kit's.)

use std::process::{Command, Output};

use serde_json::Value;

use super::{kind::Text, problem::Problem};
use crate::cli::{Ended, sibling};

/// What is wrong with a kit's file: its program tells the first.
///
/// # Errors
/// The program is missing, or says something else.
pub fn check(file: &Text) -> Result<Vec<Problem>, Ended> {
    first_problem(&["check", "--config", &file.name], file)
}

/// What is wrong with a questionnaire: the kit's program tells the first.
///
/// # Errors
/// The program is missing, or says something else.
pub fn check_questionnaire(file: &Text) -> Result<Vec<Problem>, Ended> {
    first_problem(&["questionnaire", "check", &file.name], file)
}

/// What a checked questionnaire asks and means.
///
/// # Errors
/// The program is missing.
pub fn explain_questionnaire(file: &Text) -> Result<String, Ended> {
    let output = ask(&["questionnaire", "explain", &file.name])?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The JSON Schema of a questionnaire.
///
/// # Errors
/// The program is missing, or says something else.
pub fn questionnaire_schema() -> Result<Value, Ended> {
    let output = ask(&["questionnaire", "schema"])?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| Ended::Failed(format!("vagt-edge questionnaire schema: {error}")))
}

fn first_problem(question: &[&str], file: &Text) -> Result<Vec<Problem>, Ended> {
    let output = ask(question)?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let sentence = said.trim().trim_start_matches("vagt-edge: ");
    let problem = problem(sentence, &file.name).ok_or_else(|| Ended::Failed(sentence.to_owned()))?;
    Ok(vec![problem])
}

/// The JSON Schema of the file.
///
/// # Errors
/// The program is missing, or says something else.
pub fn schema() -> Result<Value, Ended> {
    let output = ask(&["schema"])?;
    serde_json::from_slice(&output.stdout).map_err(|error| Ended::Failed(format!("vagt-edge schema: {error}")))
}

/// What a checked file means.
#[must_use]
pub fn explain(text: &str) -> String {
    let table: toml::Table = text.parse().unwrap_or_default();
    let word = |value: Option<&toml::Value>| match value {
        Some(toml::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "nothing".to_owned(),
    };
    let broker = table.get("broker").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let tls = broker.contains_key("ca_file") || broker.get("tls").and_then(toml::Value::as_bool) == Some(true);
    let mut words = format!(
        "Kit {} sends to {}:{} ({}), and keeps in {} what is not acknowledged.\nIts devices' clocks show the time of {}.\n",
        word(table.get("kit")),
        word(broker.get("host")),
        word(broker.get("port")),
        if tls { "with TLS" } else { "without TLS" },
        word(table.get("data_dir")),
        word(table.get("zone")),
    );
    let devices = table.get("device").and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for device in devices {
        let at = ["address", "path", "name"].iter().find_map(|key| device.get(*key));
        words.push_str(&format!("Reads {} at {}.\n", word(device.get("driver")), word(at)));
    }
    words
}

fn ask(args: &[&str]) -> Result<Output, Ended> {
    let program = sibling::find("vagt-edge")?;
    Ok(Command::new(program).args(args).output()?)
}

/// Reads `FILE:LINE:COLUMN: field: what was found, what was wanted`.
fn problem(sentence: &str, file: &str) -> Option<Problem> {
    let (line, rest) = sentence.strip_prefix(file)?.strip_prefix(':')?.split_once(':')?;
    let (column, rest) = rest.split_once(": ")?;
    let (field, message) = rest.split_once(": ")?;
    Some(Problem {
        line: line.parse().ok()?,
        column: column.parse().ok()?,
        field: field.into(),
        message: message.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kits_words_are_understood() {
        let sentence = "a:b.toml:3:7: broker.port: found 0, want 1 to 65535";
        assert_eq!(problem(sentence, "a:b.toml").unwrap().sentence("a:b.toml"), sentence);
        assert_eq!(problem("no such thing", "a.toml"), None);
    }

    #[test]
    fn the_shipped_file_is_explained() {
        let words = explain(include_str!("../../../../../config/edge.toml"));
        assert!(words.starts_with("Kit kit-0001 sends to vagt.clinic.example:8883 (with TLS)"), "{words}");
        assert!(words.contains("Reads gatt-plx at C0:FF:EE:00:00:01."), "{words}");
    }
}
