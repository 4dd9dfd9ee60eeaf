//! Questionnaires as data: what is asked, in which order by which answer, and what the answers mean.
//!
//! A file is read ([`load`]), checked through (every question can be reached, none is asked twice, every reference exists) and its worked
//! examples are run; only then there is a [`Questionnaire`]. The significances only let the kit say what happens next: the core judges the
//! same answers by its programme. The defaults in `config/questionnaires` are in the program; a folder of files can replace and add.

mod check;
mod example;
mod file;
mod walk;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use file::File;
pub use walk::{END, Questionnaire};

use crate::config::ConfigError;

/// The most questionnaires of one kit.
pub const QUESTIONNAIRES_MAX: usize = 64;
/// The largest file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;

/// What the program brings: file name and content.
const DEFAULTS: &[(&str, &str)] = &[
    ("copd-daily.toml", include_str!("../../../config/questionnaires/copd-daily.toml")),
    ("heart-failure-daily.toml", include_str!("../../../config/questionnaires/heart-failure-daily.toml")),
];

/// Questionnaires by their ids.
pub type Questionnaires = BTreeMap<String, Arc<Questionnaire>>;

/// Those that the program brings.
///
/// # Errors
/// None in a program that passed its tests.
pub fn defaults() -> Result<Questionnaires, ConfigError> {
    let all = DEFAULTS.iter().map(|(name, text)| {
        let questionnaire = parse(Path::new(name), text)?;
        Ok((questionnaire.id().to_owned(), Arc::new(questionnaire)))
    });
    all.collect()
}

/// The program's own, replaced and added to by the `*.toml` files of a folder.
///
/// # Errors
/// The first thing that can't be used.
pub fn all(folder: Option<&Path>) -> Result<Questionnaires, ConfigError> {
    let mut all = defaults()?;
    let Some(folder) = folder else { return Ok(all) };
    for file in toml_files(folder)? {
        let questionnaire = load(&file)?;
        all.insert(questionnaire.id().to_owned(), Arc::new(questionnaire));
        if all.len() > QUESTIONNAIRES_MAX {
            return Err(unreadable(&file, format!("found more than {QUESTIONNAIRES_MAX} questionnaires")));
        }
    }
    Ok(all)
}

/// Reads and checks one file, and runs its examples.
///
/// # Errors
/// The first thing that can't be used, with file, line and field.
pub fn load(file: &Path) -> Result<Questionnaire, ConfigError> {
    let size = fs::metadata(file).map_err(|error| unreadable(file, error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(file, format!("has {size} bytes, at most {FILE_BYTES_MAX} are read")));
    }
    let text = fs::read_to_string(file).map_err(|error| unreadable(file, error.to_string()))?;
    parse(file, &text)
}

/// Checks a questionnaire's `text`, and runs its examples; `file` is for the errors.
///
/// # Errors
/// The first thing that can't be used, with file, line and field.
pub fn parse(file: &Path, text: &str) -> Result<Questionnaire, ConfigError> {
    let source = crate::config::Source { file, text };
    let questionnaire = check::questionnaire(&source, source.read()?)?;
    example::run(&source, &questionnaire)?;
    Ok(questionnaire)
}

fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, error.to_string()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

fn unreadable(file: &Path, reason: String) -> ConfigError {
    ConfigError { file: file.to_owned(), line: 0, column: 0, field: "file".to_owned(), reason }
}

#[cfg(test)]
mod tests;
