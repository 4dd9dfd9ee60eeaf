//! Programmes: the files that come in, the versions that are stored, and which of them are in use.
//!
//! The store is the truth. A file is how a version comes in: the first of its programme is taken into use at once, a later one waits for
//! somebody to activate it. What is stored is never edited: a file with the number of a stored version and another text is refused.

pub mod office;
pub mod standing;
pub mod tried;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, OnceLock},
};

use anyhow::Context as _;
use jiff::{Timestamp, tz::TimeZone};
use store::{AsOf, Journal, JournalEntry, JournalFilter, Patient, ProgrammeVersion, Store, StoreError};
use triage::{CLINIC, CLINIC_ID, Clinic, Plan, Programme, SHIPPED};
use vitals::PatientId;

use self::{
    standing::Standing,
    tried::{Tried, clinic_in_words},
};
use crate::{
    basis::Basis,
    directory::{Books, Programmes, plan_of},
};

pub use self::office::{Decider, Refused, activate, history, propose, reject, rollback};

/// Who proposes what comes as a file.
pub const FILE: &str = "file";
/// Entries of the journal that are read in one go.
const PAGE: u32 = 10_000;

/// What a file or a stored text holds.
#[allow(clippy::large_enum_variant, reason = "there are few, and each lives for a moment")]
pub enum Document {
    /// A programme.
    Programme(Programme),
    /// The clinic's defaults and floors.
    Clinic(Clinic),
}

/// A version, read with its examples when it is first asked for; none where this program can't read it.
type Read = OnceLock<Option<Arc<Programme>>>;

/// Every version that is stored, and which are in use.
#[derive(Clone)]
pub struct Library {
    stored: Arc<BTreeMap<(String, u32), ProgrammeVersion>>,
    /// Each is read, with its examples, when it is first asked for; none where this program can't read it.
    read: Arc<HashMap<(String, u32), Read>>,
    standing: Arc<BTreeMap<String, Standing>>,
    /// Decisions that were read.
    decisions: u64,
    in_use: BTreeMap<String, u32>,
}

static NEVER: Standing = Standing { used: Vec::new(), planned: None, rejected: std::collections::BTreeSet::new() };

impl Document {
    /// Its id and version.
    #[must_use]
    pub fn name(&self) -> (String, u32) {
        match self {
            Self::Programme(programme) => (programme.id().to_owned(), programme.version()),
            Self::Clinic(clinic) => (CLINIC_ID.to_owned(), clinic.version()),
        }
    }
}

/// Reads a text, with the examples in it. `Err` is every fault with its place.
///
/// # Errors
/// A sentence for each fault.
pub fn read(text: &str, file: &str) -> Result<Document, String> {
    let read = match is_clinic(text) {
        true => Clinic::parse(text, file).map(Document::Clinic),
        false => Programme::parse(text, file).map(Document::Programme),
    };
    read.map_err(|error| error.to_string())
}

fn is_clinic(text: &str) -> bool {
    let id = text.parse::<toml::Table>().ok().and_then(|table| Some(table.get("id")?.as_str()? == CLINIC_ID));
    id.unwrap_or(false)
}

impl Library {
    /// Reads everything from the store, as it is at `now`.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn open(store: &dyn Store, now: Timestamp) -> Result<Self, StoreError> {
        let versions = store.programme_versions(None).await?;
        let read = versions.iter().map(|one| ((one.id.clone(), one.version), OnceLock::new())).collect();
        let stored = versions.into_iter().map(|one| ((one.id.clone(), one.version), one)).collect();
        let decided = all_entries(store, &standing::ENTRIES).await?;
        let standing = standing::standing(&decided, now);
        let in_use = standing::in_use(&standing);
        let (stored, read, standing) = (Arc::new(stored), Arc::new(read), Arc::new(standing));
        Ok(Self { stored, read, standing, decisions: decided.len() as u64, in_use })
    }

    /// What was known of the decisions: for whoever decides by it.
    #[must_use]
    pub fn as_of(&self) -> AsOf<'static> {
        AsOf { entries: &standing::ENTRIES, patient: None, count: self.decisions }
    }

    /// When the next version that is planned comes into force.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.standing.values().filter_map(|standing| Some(standing.planned.as_ref()?.from)).min()
    }

    /// The same with another version of one programme in use.
    ///
    /// # Errors
    /// That version can't be read: every fault with its place.
    pub fn with(&self, id: &str, version: u32) -> Result<Self, String> {
        let readable = match id {
            CLINIC_ID => self.clinic_of(version).is_some(),
            _ => self.version(id, version).is_some(),
        };
        if !readable {
            let text = self.stored(id, version).map(|one| one.text.as_str()).unwrap_or_default();
            return Err(read(text, &file_name(id, version))
                .err()
                .unwrap_or_else(|| "it was stored just now".to_owned()));
        }
        let mut other = self.clone();
        other.in_use.insert(id.to_owned(), version);
        Ok(other)
    }

    /// A stored version.
    #[must_use]
    pub fn stored(&self, id: &str, version: u32) -> Option<&ProgrammeVersion> {
        self.stored.get(&(id.to_owned(), version))
    }

    /// A stored version, ready to judge by.
    #[must_use]
    pub fn version(&self, id: &str, version: u32) -> Option<&Arc<Programme>> {
        let read = self.read.get(&(id.to_owned(), version))?;
        read.get_or_init(|| match self.parse(id, version)? {
            Document::Programme(programme) => Some(Arc::new(programme)),
            Document::Clinic(_) => None,
        })
        .as_ref()
    }

    /// A stored version to be tried: its worked examples may fail.
    ///
    /// # Errors
    /// It is not stored, is no programme, or can't be read by this program: every fault with its place.
    pub fn tried(&self, id: &str, version: u32) -> Result<Tried, String> {
        if id == CLINIC_ID {
            return Err("the clinic's defaults and floors are tried beside no history: want a programme".to_owned());
        }
        let stored = self.stored(id, version).ok_or_else(|| format!("found no version {version} of {id}"))?;
        Tried::read(&stored.text, &file_name(id, version))
    }

    /// What a stored version says, in plain English words; also where its worked examples fail.
    ///
    /// # Errors
    /// As [`Library::tried`].
    pub fn explained(&self, id: &str, version: u32) -> Result<String, String> {
        match self.clinic_of(version).filter(|_| id == CLINIC_ID) {
            Some(clinic) => Ok(clinic_in_words(&clinic)),
            None => self.tried(id, version).map(|tried| tried.explain()),
        }
    }

    fn clinic_of(&self, version: u32) -> Option<Arc<Clinic>> {
        match self.parse(CLINIC_ID, version)? {
            Document::Clinic(clinic) => Some(Arc::new(clinic)),
            Document::Programme(_) => None,
        }
    }

    fn parse(&self, id: &str, version: u32) -> Option<Document> {
        let read = read(&self.stored(id, version)?.text, &file_name(id, version));
        read.map_err(|error| tracing::warn!("a stored programme can't be read by this program: {error}")).ok()
    }

    /// How a programme stands.
    #[must_use]
    pub fn standing(&self, id: &str) -> &Standing {
        self.standing.get(id).unwrap_or(&NEVER)
    }

    /// How every programme stands.
    #[must_use]
    pub fn standings(&self) -> &BTreeMap<String, Standing> {
        &self.standing
    }

    /// The version of each programme that is in use.
    #[must_use]
    pub fn in_use(&self) -> &BTreeMap<String, u32> {
        &self.in_use
    }

    /// The numbers of a programme's versions.
    #[must_use]
    pub fn numbers(&self, id: &str) -> Vec<u32> {
        self.stored.keys().filter(|(of, _)| of == id).map(|(_, version)| *version).collect()
    }

    /// The ids that there are.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.stored.keys().map(|(id, _)| id.clone()).collect();
        ids.dedup();
        ids
    }

    /// What is judged by: the programmes in use, each read when somebody is judged by it, with the clinic's defaults.
    ///
    /// # Errors
    /// The clinic's defaults can't be read by this program.
    pub fn books(&self) -> Result<Books, String> {
        Ok(Books::of_library(self.clone(), self.clinic()?))
    }

    /// The programmes in use, ready to judge by.
    ///
    /// # Errors
    /// One of them can't be read by this program.
    pub fn programmes(&self) -> Result<Programmes, String> {
        let ids = self.in_use.keys().filter(|id| *id != CLINIC_ID);
        ids.map(|id| Ok((id.clone(), self.named(id)?))).collect()
    }

    /// The version of a programme that is in use.
    ///
    /// # Errors
    /// None is, or it can't be read by this program.
    pub fn named(&self, id: &str) -> Result<Arc<Programme>, String> {
        let Some(version) = self.in_use.get(id).filter(|_| id != CLINIC_ID) else {
            let known: Vec<_> = self.in_use.keys().filter(|id| *id != CLINIC_ID).map(String::as_str).collect();
            return Err(format!("found programme {id:?}, want one of {}", known.join(", ")));
        };
        self.version(id, *version).cloned().ok_or_else(|| self.unreadable(id, *version))
    }

    /// The clinic's defaults and floors that are in use; those that come with Vagt, if none ever were.
    ///
    /// # Errors
    /// They can't be read by this program.
    pub fn clinic(&self) -> Result<Arc<Clinic>, String> {
        let Some(version) = self.in_use.get(CLINIC_ID) else { return Ok(Arc::new(Clinic::shipped())) };
        self.clinic_of(*version).ok_or_else(|| self.unreadable(CLINIC_ID, *version))
    }

    fn unreadable(&self, id: &str, version: u32) -> String {
        let text = self.stored(id, version).map(|one| one.text.as_str()).unwrap_or_default();
        let faults = read(text, &file_name(id, version)).err().unwrap_or_default();
        format!("{id} version {version} is in use and can't be read by this program: {faults}")
    }

    /// Does a change of this programme change how a patient is judged?
    #[must_use]
    pub fn concerns(&self, id: &str, patient: &Patient) -> bool {
        id == CLINIC_ID || patient.programmes.iter().any(|programme| programme == id)
    }

    /// The plan that a patient was once judged by. `Err` says why it can't be made.
    ///
    /// # Errors
    /// A sentence.
    pub fn plan_by(&self, patient: &PatientId, basis: &Basis) -> Result<Plan, String> {
        let mut then = self.clone();
        then.in_use = basis.programmes.iter().map(|one| (one.id.clone(), one.version)).collect();
        if self.stored(CLINIC_ID, basis.clinic).is_some() {
            then.in_use.insert(CLINIC_ID.to_owned(), basis.clinic);
        }
        let zone = TimeZone::get(&basis.zone).map_err(|error| error.to_string())?;
        let patient = Patient {
            id: patient.clone(),
            name: String::new(),
            born: None,
            programmes: basis.programmes.iter().map(|one| one.id.clone()).collect(),
            stratum: basis.stratum.clone(),
            own: basis.own.clone(),
            simulated: false,
            since: Some(basis.since),
        };
        plan_of(&patient, &then.books()?, &zone).map_err(|error| error.to_string())
    }

    /// Does nothing that is in use leave one of the clinic's safety floors open?
    ///
    /// # Errors
    /// Each that is open: where, what was found, what is wanted.
    pub fn check_floors(&self) -> Result<(), String> {
        within_floors(&*self.clinic()?, self.programmes()?.values().map(|programme| &**programme))
    }

    /// The same of the version in use of one programme; of the clinic's defaults, beside every programme.
    ///
    /// # Errors
    /// As [`Library::check_floors`].
    pub fn check_floors_of(&self, id: &str) -> Result<(), String> {
        match id {
            CLINIC_ID => self.check_floors(),
            _ => within_floors(&*self.clinic()?, std::iter::once(&*self.named(id)?)),
        }
    }

    /// The same of a document that is not stored yet, beside what is in use.
    fn floors_of(&self, document: &Document) -> Result<(), String> {
        match document {
            Document::Programme(programme) => within_floors(&*self.clinic()?, std::iter::once(programme)),
            Document::Clinic(clinic) => {
                within_floors(clinic, self.programmes()?.values().map(|programme| &**programme))
            }
        }
    }
}

fn within_floors<'a>(clinic: &Clinic, programmes: impl Iterator<Item = &'a Programme>) -> Result<(), String> {
    let mut programmes: Vec<_> = programmes.collect();
    programmes.sort_unstable_by_key(|programme| programme.id());
    let passed: Vec<_> = programmes
        .into_iter()
        .flat_map(|programme| clinic.passed_by(programme))
        .map(|problem| problem.to_string())
        .collect();
    if passed.is_empty() { Ok(()) } else { Err(passed.join("; ")) }
}

fn file_name(id: &str, version: u32) -> String {
    format!("{id} version {version}")
}

/// Every entry of these names, oldest first.
///
/// # Errors
/// The store can't be read.
pub async fn all_entries(store: &dyn Store, names: &[&str]) -> Result<Vec<JournalEntry>, StoreError> {
    let mut all = Vec::new();
    each_entry(store, names, |entry| all.push(entry)).await?;
    Ok(all)
}

/// Every entry of these names, oldest first, read page by page.
///
/// # Errors
/// The store can't be read.
pub async fn each_entry(
    store: &dyn Store,
    names: &[&str],
    mut take: impl FnMut(JournalEntry) + Send,
) -> Result<(), StoreError> {
    let mut since = None;
    loop {
        let filter = JournalFilter { entries: Some(names), since, limit: PAGE, ..JournalFilter::default() };
        let page = store.journal(filter).await?;
        let full = page.len() >= PAGE as usize;
        since = page.last().and_then(|entry| entry.at.checked_add(jiff::SignedDuration::from_nanos(1)).ok());
        page.into_iter().for_each(&mut take);
        if !full {
            return Ok(());
        }
    }
}

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
        // No version may leave a floor of the clinic open, not even the first; what does is not kept, so that the file can be mended.
        match (library.floors_of(&document), &document) {
            (Err(open), Document::Programme(_)) if waits => {
                tracing::error!("{open}: this file is left alone, and {id} stays as it is");
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
            library.with(&id, first.version).and_then(|with| with.check_floors_of(&id)).map_err(anyhow::Error::msg)?;
            first_use(store, &id, first.version, now).await?;
            tracing::info!("{id} version {} is in use, the first of its programme", first.version);
        }
    }
    // What was taken into use under other floors is judged by all the same: no judgement at all would be worse.
    if let Err(open) = Library::open(store, now).await?.check_floors() {
        tracing::error!("what is in use leaves a safety floor open, want another version of it activated: {open}");
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
        Ok((name.clone(), std::fs::read_to_string(file).context(name)?))
    };
    let mut texts = files.into_iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    if !texts.iter().any(|(_, text)| is_clinic(text)) {
        texts.push(owned(SHIPPED_CLINIC));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests;
