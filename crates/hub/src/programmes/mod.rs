//! Programmes: the files that come in, the versions that are stored, and which of them are in use.
//!
//! The store is the truth. A file is how a version comes in: the first of its programme is taken into use at once, a later one waits for
//! somebody to activate it. What is stored is never edited: a file with the number of a stored version and another text is refused.

mod incoming;
pub mod office;
pub mod standing;
pub mod tried;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
};

use jiff::{Timestamp, tz::TimeZone};
use store::{AsOf, JournalEntry, JournalFilter, Patient, ProgrammeVersion, Store, StoreError};
use triage::{CLINIC_ID, Clinic, Plan, Programme};
use vitals::PatientId;

use self::{
    standing::Standing,
    tried::{Tried, clinic_in_words},
};
use crate::{
    basis::Basis,
    directory::{Books, Programmes, plan_of},
    tuning::diff,
};

pub use self::incoming::{OUTGROWN_TODO, bring_in, texts};
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

/// A version, read when it is first asked for; the faults where this program can't read it.
type Read = OnceLock<Result<Tried, String>>;

/// Every version that is stored, and which are in use.
#[derive(Clone)]
pub struct Library {
    stored: Arc<BTreeMap<(String, u32), ProgrammeVersion>>,
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

/// Reads a text that is stored: what Vagt is stricter in since is no fault of it.
///
/// # Errors
/// A sentence for each fault.
pub fn read_stored(text: &str, file: &str) -> Result<Document, String> {
    if is_clinic(text) {
        return read(text, file);
    }
    Tried::stored(text, file).map(|tried| Document::Programme(Arc::unwrap_or_clone(tried.programme)))
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
            return Err(self.faults(id, version).unwrap_or_else(|| "it was stored just now".to_owned()));
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

    /// Would a stored version be taken in today? It is judged by what was stored under less strict bounds, and nothing comes into use anew that
    /// today's refuse.
    ///
    /// # Errors
    /// Every fault with its place.
    pub fn takeable(&self, id: &str, version: u32) -> Result<(), String> {
        if self.tried(id, version).is_ok_and(|tried| tried.failing.is_empty() && tried.outgrown.is_empty()) {
            return Ok(());
        }
        let text = self.stored(id, version).map(|one| one.text.as_str()).unwrap_or_default();
        read(text, &file_name(id, version)).map(drop)
    }

    /// What is in use and would be refused today, a sentence each.
    #[must_use]
    pub fn outgrown(&self) -> Vec<String> {
        let refused = self.in_use.iter().filter_map(|(id, version)| self.takeable(id, *version).err());
        refused.collect()
    }

    /// A stored version, ready to judge by.
    #[must_use]
    pub fn version(&self, id: &str, version: u32) -> Option<&Arc<Programme>> {
        self.tried(id, version).ok().map(|tried| &tried.programme)
    }

    /// A stored version to be tried: its worked examples may fail.
    ///
    /// # Errors
    /// It is not stored, is no programme, or can't be read by this program: every fault with its place.
    pub fn tried(&self, id: &str, version: u32) -> Result<&Tried, String> {
        if id == CLINIC_ID {
            return Err("the clinic's defaults and floors are tried beside no history: want a programme".to_owned());
        }
        let key = (id.to_owned(), version);
        let (Some(stored), Some(read)) = (self.stored.get(&key), self.read.get(&key)) else {
            return Err(format!("found no version {version} of {id}"));
        };
        read.get_or_init(|| Tried::stored(&stored.text, &file_name(id, version)).inspect_err(|error| cant_read(error)))
            .as_ref()
            .map_err(Clone::clone)
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

    /// What somebody should look at before `to` follows on `from`: limits that moved while their source did not, safety floors that it leaves open,
    /// limits of the clinic's that would be out of order with its own, worked examples that fail or are missing.
    #[must_use]
    pub fn warnings(&self, id: &str, from: u32, to: u32) -> Vec<String> {
        let text = |version| self.stored(id, version).map(|stored| stored.text.as_str()).unwrap_or_default();
        let mut warnings = diff::unsourced(text(from), text(to));
        let Ok(tried) = self.tried(id, to) else { return warnings };
        if let Ok(clinic) = self.clinic() {
            warnings.extend(clinic.unfit(&tried.programme).iter().map(ToString::to_string));
        }
        match tried.failing.is_empty() {
            true => warnings.extend(tried::unshown(&tried.programme)),
            false => warnings.extend(tried.failing.iter().cloned()),
        }
        warnings
    }

    fn clinic_of(&self, version: u32) -> Option<Arc<Clinic>> {
        let text = &self.stored(CLINIC_ID, version)?.text;
        match read(text, &file_name(CLINIC_ID, version)).inspect_err(|error| cant_read(error)).ok()? {
            Document::Clinic(clinic) => Some(Arc::new(clinic)),
            Document::Programme(_) => None,
        }
    }

    /// What this program can't read of a stored version.
    fn faults(&self, id: &str, version: u32) -> Option<String> {
        if id != CLINIC_ID {
            return self.tried(id, version).err();
        }
        let text = self.stored(id, version).map(|one| one.text.as_str()).unwrap_or_default();
        read(text, &file_name(id, version)).err()
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
        let faults = self.faults(id, version).unwrap_or_default();
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
        let plan = plan_of(&patient, &then.books()?, &zone).map_err(|error| error.to_string())?;
        Ok(plan.judged(basis.judging))
    }

    /// Does nothing that is in use leave one of the clinic's safety floors open, and is each of the clinic's limits in order where it holds?
    ///
    /// # Errors
    /// Each floor that is open, and each limit that is not: where, what was found, what is wanted.
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
        .flat_map(|programme| clinic.unfit(programme))
        .map(|problem| problem.to_string())
        .collect();
    if passed.is_empty() { Ok(()) } else { Err(passed.join("; ")) }
}

fn cant_read(error: &str) {
    tracing::warn!("a stored programme can't be read by this program: {error}");
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

#[cfg(test)]
mod tests;
