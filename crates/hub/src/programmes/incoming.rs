//! Programmes that come in as files: what is new is kept, and the first version of a programme is taken into use.

use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use store::{Journal, JournalEntry, Store, StoreError};
use triage::{CLINIC, SHIPPED};

use crate::cli::config::problem;

use super::{Document, FILE, Library, is_clinic, office, read};

/// What to do about what is in use and would be refused today.
pub const OUTGROWN_TODO: &str = "want another version of it proposed and activated";

/// Brings in the files of a folder, or what comes with Vagt: what is new is kept, and the first version of a programme of which none ever was in
/// use is taken into use. Says on the log what waits for somebody, and what is refused.
///
/// # Errors
/// The folder can't be read, a file is faulty where none was ever kept, or the store fails.
pub async fn bring_in(store: &dyn Store, folder: Option<&Path>, now: Timestamp) -> anyhow::Result<()> {
    let stored = store.programme_versions(None).await?;
    // What is stored was read when it came in.
    let is_stored = |text: &str| stored.iter().any(|known| known.text == text);
    let mut new = Vec::new();
    for (file, text) in texts(folder)?.into_iter().filter(|(_, text)| !is_stored(text)) {
        let document = match read(&text, &file) {
            Ok(document) => document,
            Err(faults) if stored.is_empty() => anyhow::bail!(faults),
            // A clinic that judges by what is stored goes on: a file is only a way in.
            Err(faults) => {
                tracing::error!("{faults}: this file is left alone, what is stored stays in use");
                continue;
            }
        };
        new.push((document.name(), document, file, text));
    }
    new.sort_by(|one, other| one.0.cmp(&other.0));
    for ((id, version), document, file, text) in new {
        let library = Library::open(store, now).await?;
        if library.stored(&id, version).is_some() {
            let next = library.numbers(&id).last().copied().unwrap_or(version).saturating_add(1);
            tracing::error!(
                "{file}: found another text than is stored as {id} version {version}, and a version is never edited: want \
                 version {next} in it; the stored one stays",
            );
            continue;
        }
        let waits = library.standing(&id).in_use().is_some();
        // No version may leave a floor of the clinic open, or be out of order with its limits, not even the first; what does is not kept, so that the file can be mended.
        match (library.floors_of(&document), &document) {
            (Err(open), Document::Programme(_)) if !stored.is_empty() => {
                tracing::error!("{open}: this file is left alone, and what is in use stays as it is");
                continue;
            }
            (Err(open), _) if !waits => anyhow::bail!(open),
            _ => {}
        }
        office::keep(store, &text, &id, version, FILE, &file, now).await.with_context(|| file.clone())?;
        if waits {
            tracing::warn!(
                "{file}: {id} version {version} is kept and waits: `vagt programme activate {id} {version}` takes it into use"
            );
        } else {
            first_use(store, &id, version, now).await?;
            tracing::info!("{file}: {id} version {version} is in use, the first of its programme");
        }
    }
    finish(store, now).await
}

/// What came as a file and was kept, and the process ended before it was taken into use.
async fn finish(store: &dyn Store, now: Timestamp) -> anyhow::Result<()> {
    let library = Library::open(store, now).await?;
    for id in library.ids() {
        let standing = library.standing(&id);
        let Some(first) = library.numbers(&id).first().and_then(|first| library.stored(&id, *first)) else { continue };
        let decided = standing.in_use().is_some() || standing.planned.is_some() || !standing.rejected.is_empty();
        if !decided && first.proposed_by == FILE {
            library.takeable(&id, first.version).map_err(anyhow::Error::msg)?;
            if let Err(open) = library.with(&id, first.version).and_then(|with| with.check_floors_of(&id)) {
                tracing::error!("{open}: {id} is not taken into use, want another version of it activated");
                continue;
            }
            first_use(store, &id, first.version, now).await?;
            tracing::info!("{id} version {} is in use, the first of its programme", first.version);
        }
    }
    // What was taken into use under other floors and limits, or other bounds, is judged by all the same: no judgement at all would be worse.
    let library = Library::open(store, now).await?;
    if let Err(open) = library.check_floors() {
        tracing::error!(
            "what is in use does not keep to the clinic's floors and limits, want another version of it activated: {open}"
        );
    }
    for refused in library.outgrown() {
        tracing::error!(
            "what is in use would be refused today and is judged by all the same, {OUTGROWN_TODO}: {refused}"
        );
    }
    Ok(())
}

async fn first_use(store: &dyn Store, programme: &str, version: u32, now: Timestamp) -> Result<(), StoreError> {
    let what = Journal::ProgrammeActivated {
        programme: programme.to_owned(),
        version,
        from: now,
        proposed_by: FILE.to_owned(),
        reason: "the first of its programme".to_owned(),
        rollback: false,
    };
    store.append(&[JournalEntry { at: now, by: Some(FILE.to_owned()), patient: None, what }]).await?;
    Ok(())
}

/// The files of a folder, or those that come with Vagt, with their names.
///
/// # Errors
/// The folder can't be read, or holds none.
pub fn texts(folder: Option<&Path>) -> anyhow::Result<Vec<(String, String)>> {
    match folder {
        None => Ok(SHIPPED.iter().copied().chain([SHIPPED_CLINIC]).map(owned).collect()),
        Some(folder) => texts_in(folder),
    }
}

/// The clinic's defaults that come with Vagt.
const SHIPPED_CLINIC: (&str, &str) = ("clinic.toml", CLINIC);

fn owned((file, text): (&str, &str)) -> (String, String) {
    (file.to_owned(), text.to_owned())
}

fn texts_in(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<_> = entries.collect::<Result<Vec<_>, _>>()?.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    anyhow::ensure!(!files.is_empty(), "{}: no programme (*.toml) in this folder", folder.display());
    let read = |file: std::path::PathBuf| {
        let name = file.display().to_string();
        Ok((name, problem::text(&file).map_err(anyhow::Error::msg)?))
    };
    let mut texts = files.into_iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    if !texts.iter().any(|(_, text)| is_clinic(text)) {
        texts.push(owned(SHIPPED_CLINIC));
    }
    Ok(texts)
}
