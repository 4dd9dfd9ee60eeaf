//! The keeper: who is judged, and by what, on its way in. The files at start; while the service runs, changes of the roster's file and of the
//! store: people, their own settings, versions of programmes whose time has come, readings that were invalidated.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use desk::Board;
use jiff::{Timestamp, tz::TimeZone};
use store::{Journal, JournalEntry, JournalFilter, Patient, Roster, Store};
use tokio::sync::{Notify, watch};

use crate::{
    cli::config::problem::Problem,
    clock,
    config::Config,
    directory::{Books, Directory, Invalid, plan_of},
    programmes::Library,
    readings,
};

/// How often a running service looks for changes.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// Who changes a plan by a roster file.
const ROSTER: &str = "roster";
/// Names of the journal's entries that change what is judged by.
const DECISIONS: [&str; 5] =
    ["programme_proposed", "programme_activated", "programme_rejected", "reading_invalidated", "reading_restored"];

/// What is judged by, as the store has it.
pub struct Decided {
    library: Library,
    books: Books,
    invalid: Invalid,
    newest: Option<Timestamp>,
}

impl Decided {
    /// Reads it.
    ///
    /// # Errors
    /// The store fails, or what is in use can't be read by this program.
    pub async fn read(store: &dyn Store, now: Timestamp) -> anyhow::Result<Self> {
        let newest = newest(store).await?;
        let library = Library::open(store, now).await?;
        let books = library.books().map_err(anyhow::Error::msg)?;
        Ok(Self { library, books, invalid: readings::invalid(store).await?, newest })
    }

    /// The same at start. Where somebody can't be judged by it (a version's time came, and own settings don't fit it), everybody is judged by
    /// what was in use before, rather than nobody by anything; a running service takes over what was decided once everybody fits.
    ///
    /// # Errors
    /// As [`Decided::read`].
    pub async fn read_fitting(store: &dyn Store, zone: &TimeZone, now: Timestamp) -> anyhow::Result<Self> {
        let decided = Self::read(store, now).await?;
        let roster = store.roster().await?;
        let Err(problem) = decided.directory(roster.clone(), zone) else { return Ok(decided) };
        let names = ["programmes_in_use"];
        let filter = JournalFilter { entries: Some(&names), newest_first: true, limit: 1, ..JournalFilter::default() };
        let last = store.journal(filter).await?.pop().map(|entry| entry.what);
        let Some(Journal::ProgrammesInUse { versions }) = last else { return Ok(decided) };
        let library = decided.library.clone().judging_by(&versions);
        let Ok(books) = library.books() else { return Ok(decided) };
        // With no newest entry known, the keeper looks again every second.
        let before = Self { library, books, invalid: decided.invalid.clone(), newest: None };
        if before.directory(roster, zone).is_err() {
            return Ok(decided);
        }
        tracing::error!("what was in use before stays so: {problem:#}");
        Ok(before)
    }

    /// The programmes in use, with the clinic's defaults.
    #[must_use]
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Everybody of a roster, with how each is judged.
    ///
    /// # Errors
    /// Somebody can't be judged, or a kit can't be used.
    pub fn directory(&self, roster: Roster, zone: &TimeZone) -> anyhow::Result<Directory> {
        let directory = Directory::leaving_out(roster, &self.books, zone, self.invalid.clone())?;
        Ok(directory.with_library(self.library.clone()))
    }
}

async fn newest(store: &dyn Store) -> anyhow::Result<Option<Timestamp>> {
    let filter = JournalFilter { entries: Some(&DECISIONS), newest_first: true, limit: 1, ..JournalFilter::default() };
    Ok(store.journal(filter).await?.pop().map(|entry| entry.at))
}

/// Reads the roster file of the configuration into the store, and gives the store's roster.
///
/// # Errors
/// The file can't be read or is wrong, or the store fails.
pub async fn bring_in(store: &dyn Store, config: &Config, books: &Books) -> anyhow::Result<Roster> {
    if let Some(path) = &config.roster {
        put_file(store, path, books, &config.zone).await?;
    }
    Ok(store.roster().await?)
}

async fn put_file(store: &dyn Store, path: &PathBuf, books: &Books, zone: &TimeZone) -> anyhow::Result<()> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| file.clone())?;
    let mut roster: Roster =
        toml::from_str(&text).map_err(|e| anyhow::anyhow!(Problem::from_toml(&text, &e).sentence(&file)))?;
    let stored = store.roster().await?;
    for patient in &mut roster.patients {
        keep_own(patient, &stored);
        let plan = plan_of(patient, books, zone).with_context(|| file.clone())?;
        let before = stored.patients.iter().find(|before| before.id == patient.id);
        if before.is_none_or(|before| before.own != patient.own) {
            let beyond = plan.unbounded_overrides(clock::now());
            anyhow::ensure!(beyond.is_empty(), "{file}: patient {}: {}", patient.id, beyond.join("; "));
        }
    }
    for kit in &mut roster.kits {
        for given in kit.people() {
            let known = roster.patients.iter().chain(&stored.patients).any(|patient| patient.id == *given);
            anyhow::ensure!(known, "{file}: kit {}: is given to patient {given}, who is not in the roster", kit.id);
        }
        kit.revoked |= stored.kits.iter().any(|stored| stored.id == kit.id && stored.revoked);
    }
    Ok(put(store, &roster, &stored, ROSTER, clock::now()).await?)
}

/// Where the file says nothing of own settings or of the risk level, those that were set by command stay.
fn keep_own(patient: &mut Patient, stored: &Roster) {
    let Some(before) = stored.patients.iter().find(|before| before.id == patient.id) else { return };
    if patient.own.is_null() {
        patient.own = before.own.clone();
    }
    if patient.stratum.is_none() {
        patient.stratum.clone_from(&before.stratum);
    }
}

/// Puts people and kits into the store, and into the journal who is judged otherwise than before, by whose doing.
///
/// # Errors
/// The store fails.
pub async fn put(
    store: &dyn Store,
    roster: &Roster,
    before: &Roster,
    by: &str,
    now: Timestamp,
) -> Result<(), store::StoreError> {
    let same = |patient: &Patient| {
        let before = before.patients.iter().find(|before| before.id == patient.id);
        before.is_some_and(|before| {
            (&before.programmes, &before.own, &before.stratum) == (&patient.programmes, &patient.own, &patient.stratum)
        })
    };
    let changed: Vec<JournalEntry> =
        roster.patients.iter().filter(|patient| !same(patient)).map(|patient| plan_changed(patient, by, now)).collect();
    store.put_roster(roster, now).await?;
    if !changed.is_empty() {
        store.append(&changed).await?;
    }
    Ok(())
}

fn plan_changed(patient: &Patient, by: &str, at: Timestamp) -> JournalEntry {
    let (programmes, own, stratum) = (patient.programmes.clone(), patient.own.clone(), patient.stratum.clone());
    let what = Journal::PlanChanged { programmes, own, stratum, reason: None };
    JournalEntry { at, by: Some(by.to_owned()), patient: Some(patient.id.clone()), what }
}

/// Keeps a running service at what file and store say.
pub struct Keeper {
    file: Option<PathBuf>,
    file_changed: Option<std::time::SystemTime>,
    decided: Decided,
    zone: TimeZone,
    store: Arc<dyn Store>,
    board: Arc<Board>,
    directory: watch::Sender<Arc<Directory>>,
    changed: Arc<Notify>,
    last_problem: String,
}

impl Keeper {
    /// A keeper that publishes to `directory`, and looks at once when `known_to_change` says so.
    #[must_use]
    pub fn new(
        config: &Config,
        decided: Decided,
        store: Arc<dyn Store>,
        board: Arc<Board>,
        directory: watch::Sender<Arc<Directory>>,
        known_to_change: Arc<Notify>,
    ) -> Self {
        let (file, zone) = (config.roster.clone(), config.zone.clone());
        let file_changed = changed(file.as_ref());
        Self {
            file,
            file_changed,
            decided,
            zone,
            store,
            board,
            directory,
            changed: known_to_change,
            last_problem: String::new(),
        }
    }

    /// Looks every second, and when it is told to, for ever. What can't be used is said once, and what was used before stays.
    pub async fn keep(mut self) {
        loop {
            let _told_or_due = tokio::time::timeout(LOOK_PERIOD, self.changed.notified()).await;
            let problem = self.look().await.err().map(|error| format!("{error:#}")).unwrap_or_default();
            if !problem.is_empty() && problem != self.last_problem {
                tracing::error!("who is judged, and by what, stays as it was: {problem}");
            }
            self.last_problem = problem;
        }
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let file_changed = changed(self.file.as_ref());
        if let Some(file) = self.file.as_ref().filter(|_| file_changed != self.file_changed) {
            put_file(&*self.store, file, &self.decided.books, &self.zone).await?;
            self.file_changed = file_changed;
        }
        let decided = self.decide().await?;
        let roster = self.store.roster().await?;
        if decided.is_none() && roster == *self.directory.borrow().roster() {
            return Ok(());
        }
        let directory = decided.as_ref().unwrap_or(&self.decided).directory(roster.clone(), &self.zone)?;
        self.tell(decided.as_ref());
        if let Some(decided) = decided {
            self.decided = decided;
        }
        self.board.roster(roster, directory.plans().clone());
        tracing::info!(patients = directory.plans().len(), "who is judged, or by what, has changed");
        self.directory.send_replace(Arc::new(directory));
        Ok(())
    }

    /// What is judged by now, if something was decided, or came into force.
    async fn decide(&self) -> anyhow::Result<Option<Decided>> {
        let now = clock::now();
        let due = self.decided.library.next().is_some_and(|next| next <= now);
        if !due && newest(&*self.store).await? == self.decided.newest {
            return Ok(None);
        }
        Decided::read(&*self.store, now).await.map(Some)
    }

    fn tell(&self, decided: Option<&Decided>) {
        let Some(decided) = decided else { return };
        let before = self.decided.library.in_use();
        for (id, version) in decided.library.in_use().iter().filter(|(id, version)| before.get(*id) != Some(version)) {
            tracing::info!("programme {id} version {version} is in use");
        }
    }
}

fn changed(file: Option<&PathBuf>) -> Option<std::time::SystemTime> {
    file.and_then(|file| std::fs::metadata(file).ok()?.modified().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_says_nothing_of_own_settings_leaves_those_that_were_set_by_command() {
        let read = |own: &str| -> Roster {
            toml::from_str(&format!("[[patient]]\nid = \"p-1\"\nname = \"Test\"\nprogramme = \"copd\"\n{own}")).unwrap()
        };
        let stored = read("stratum = \"high\"\n[patient.own]\nlimits = []\n");
        let mut silent = read("").patients.remove(0);
        keep_own(&mut silent, &stored);
        assert_eq!(silent, stored.patients[0]);
        let mut says = read("stratum = \"low\"\n[patient.own]\npauses = []\n").patients.remove(0);
        let said = says.clone();
        keep_own(&mut says, &stored);
        assert_eq!(says, said);
    }
}
