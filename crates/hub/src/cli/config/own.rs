//! Own settings in a file: what is wrong with them, each fault with its line and field, whether their form is wrong or they don't fit what the
//! patient is judged by.

use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};
use triage::Own;

use super::problem::Problem;
use crate::directory::RosterError;

/// What is wrong with the form of the own settings of a roster's `index`th patient, if anything is.
#[must_use]
pub fn form(text: &str, index: usize) -> Option<Problem> {
    let table = DeTable::parse(text).ok()?;
    let patient = table.get_ref().get("patient")?.get_ref().as_array()?.get(index)?;
    let own: Spanned<DeValue<'_>> = patient.get_ref().as_table()?.get("own")?.clone();
    let error = <Own as serde::Deserialize>::deserialize(ValueDeserializer::from(own)).err()?;
    Some(Problem::from_toml::<super::roster::RosterForm>(text, &error))
}

/// Why somebody can't be judged, with the place of each fault where the file has it. `under` is the path of the settings, as `patient[2].own.`;
/// empty, where the file is nothing else.
#[must_use]
pub fn unfit(text: &str, file: &str, under: &str, error: &RosterError) -> String {
    match error {
        RosterError::Patient { faults, .. } if !faults.is_empty() => {
            let place = |fault: &triage::Problem| placed(text, file, &format!("{under}{}", fault.field), &fault.text);
            faults.iter().map(place).collect::<Vec<_>>().join("\n")
        }
        _ => format!("{file}: {error}"),
    }
}

/// A fault that names its field itself, as `limits[0].until: found none ...`.
#[must_use]
pub fn said(text: &str, file: &str, under: &str, said: &str) -> String {
    match said.split_once(": ") {
        Some((field, what)) if field.contains('[') => placed(text, file, &format!("{under}{field}"), what),
        _ => format!("{file}: {said}"),
    }
}

fn placed(text: &str, file: &str, path: &str, what: &str) -> String {
    // JSON has no lines worth telling: its field says where.
    if text.trim_start().starts_with('{') {
        return format!("{file}: {path}: {what}");
    }
    Problem::at_path(text, path, what).sentence(file)
}
