//! The keeper: who is judged, and by what, on its way in. The files at start; while the service runs, changes of the roster's file and of the
//! store: people, their own settings, versions of programmes whose time has come, readings that were invalidated.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use desk::Board;
use jiff::{Timestamp, tz::TimeZone};
use store::{Change, Journal, JournalEntry, JournalFilter, Patient, Roster, Store};
use tokio::sync::{Notify, watch};
use vitals::PatientId;

use crate::{
    basis::Basis,
    cli::config::{own, problem, roster::RosterForm},
    clock,
    config::Config,
    directory::{Books, Directory, Invalid, RosterError, own_of, plan_of},
    programmes::Library,
    readings,
    ward::{fits_planned, last_basis},
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
    /// What those were judged by last who don't fit.
    earlier: HashMap<PatientId, Basis>,
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
        Ok(Self { library, books, invalid: readings::invalid(store).await?, earlier: HashMap::new(), newest })
    }

    /// The same at start, with what those were judged by last who don't fit it (a version's time came, and own settings don't fit it): they keep that.
    ///
    /// # Errors
    /// As [`Decided::read`].
    pub async fn read_fitting(store: &dyn Store, zone: &TimeZone, now: Timestamp) -> anyhow::Result<Self> {
        let mut decided = Self::read(store, now).await?;
        for patient in store.roster().await?.patients {
            if plan_of(&patient, &decided.books, zone).is_err()
                && let Some(basis) = last_basis(store, &patient.id, Timestamp::MAX).await?
            {
                decided.earlier.insert(patient.id, basis);
            }
        }
        Ok(decided)
    }

    /// The programmes in use, with the clinic's defaults.
    #[must_use]
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Everybody of a roster, with how each is judged. Who can't be judged by what was decided stays judged as before, and is told.
    ///
    /// # Errors
    /// There are people, and nobody can be judged.
    pub fn directory(&self, roster: Roster, zone: &TimeZone) -> anyhow::Result<Directory> {
        self.directory_after(roster, zone, &Directory::default())
    }

    /// The same, after this one.
    ///
    /// # Errors
    /// As [`Decided::directory`].
    pub fn directory_after(&self, roster: Roster, zone: &TimeZone, before: &Directory) -> anyhow::Result<Directory> {
        let earlier = |patient: &Patient| {
            let now = before.plan(&patient.id).cloned().zip(before.basis(&patient.id).cloned());
            now.or_else(|| {
                let basis = self.earlier.get(&patient.id)?;
                let plan = self.library.plan_by(&patient.id, basis).ok()?;
                Some((Arc::new(plan), Arc::new(basis.clone())))
            })
        };
        let directory = Directory::keeping(roster, &self.books, zone, self.invalid.clone(), earlier);
        if directory.plans().is_empty()
            && let Some(first) = directory.unfit().first()
        {
            anyhow::bail!("nobody can be judged: {first}");
        }
        tell_unfit(&directory);
        Ok(directory.with_library(self.library.clone()))
    }
}

/// Each is said, and how many they are is a metric: somebody has to look.
fn tell_unfit(directory: &Directory) {
    metrics::gauge!("vagt_not_as_decided").set(directory.unfit().len() as f64);
    for unfit in directory.unfit() {
        match unfit {
            RosterError::Patient { patient, .. } if directory.plan(patient).is_some() => {
                tracing::error!("not judged by what was decided, but as before: {unfit}");
            }
            _ => tracing::error!("left out: {unfit}"),
        }
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

async fn put_file(store: &dyn Store, path: &Path, books: &Books, zone: &TimeZone) -> anyhow::Result<()> {
    let file = path.display().to_string();
    let text = problem::text(path).map_err(anyhow::Error::msg)?;
    let mut roster: Roster = problem::toml::<_, RosterForm>(&text, &file).map_err(anyhow::Error::msg)?;
    let stored = store.roster().await?;
    for (at, patient) in roster.patients.iter_mut().enumerate() {
        let under = format!("patient[{at}].own.");
        if own_of(patient).is_err()
            && let Some(problem) = own::form(&text, at)
        {
            anyhow::bail!(problem.sentence(&file));
        }
        keep_own(patient, &stored);
        let before = stored.patients.iter().find(|before| before.id == patient.id);
        // Who is judged by the same as before holds up nobody: whether that fits what is in use is seen to when it is taken over.
        if before.is_some_and(|before| judged_alike(before, patient)) {
            continue;
        }
        let plan =
            plan_of(patient, books, zone).map_err(|error| anyhow::anyhow!(own::unfit(&text, &file, &under, &error)))?;
        if let Some(library) = books.library() {
            fits_planned(library, patient, zone)
                .map_err(|what| anyhow::anyhow!("{file}: patient {}: {what}", patient.id))?;
        }
        if before.is_none_or(|before| before.own != patient.own) {
            let beyond = plan.unbounded(clock::now());
            if let Some(first) = beyond.first() {
                anyhow::bail!(own::said(&text, &file, &under, first));
            }
        }
    }
    for kit in &mut roster.kits {
        for given in kit.people() {
            let known = roster.patients.iter().chain(&stored.patients).any(|patient| patient.id == *given);
            anyhow::ensure!(known, "{file}: kit {}: is given to patient {given}, who is not in the roster", kit.id);
        }
        kit.revoked |= stored.kits.iter().any(|stored| stored.id == kit.id && stored.revoked);
    }
    Ok(put(store, &roster, &stored, (ROSTER, Some(&file)), clock::now()).await?)
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

/// Puts people and kits into the store, and with it into the journal who is judged otherwise than before, by whose doing and why.
///
/// # Errors
/// The store fails.
pub async fn put(
    store: &dyn Store,
    roster: &Roster,
    before: &Roster,
    (by, reason): (&str, Option<&str>),
    now: Timestamp,
) -> Result<(), store::StoreError> {
    let same = |patient: &Patient| {
        before.patients.iter().any(|before| before.id == patient.id && judged_alike(before, patient))
    };
    let changed = roster.patients.iter().filter(|patient| !same(patient));
    let journal: Vec<JournalEntry> = changed.map(|patient| plan_changed(patient, (by, reason), now)).collect();
    store.change(&Change { roster: Some((roster, now)), journal: &journal, ..Change::default() }).await.map(drop)
}

fn judged_alike(one: &Patient, other: &Patient) -> bool {
    (&one.programmes, &one.own, &one.stratum) == (&other.programmes, &other.own, &other.stratum)
}

fn plan_changed(patient: &Patient, (by, reason): (&str, Option<&str>), at: Timestamp) -> JournalEntry {
    let (programmes, own, stratum) = (patient.programmes.clone(), patient.own.clone(), patient.stratum.clone());
    let what = Journal::PlanChanged { programmes, own, stratum, reason: reason.map(str::to_owned) };
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

    /// A file that can't be used holds up nothing that was decided elsewhere.
    async fn look(&mut self) -> anyhow::Result<()> {
        let file = self.look_at_file().await;
        self.take_over().await?;
        file
    }

    async fn look_at_file(&mut self) -> anyhow::Result<()> {
        let file_changed = changed(self.file.as_ref());
        if let Some(file) = self.file.as_ref().filter(|_| file_changed != self.file_changed) {
            put_file(&*self.store, file, &self.decided.books, &self.zone).await?;
            self.file_changed = file_changed;
        }
        Ok(())
    }

    async fn take_over(&mut self) -> anyhow::Result<()> {
        let decided = self.decide().await?;
        let roster = self.store.roster().await?;
        if decided.is_none() && roster == *self.directory.borrow().roster() {
            return Ok(());
        }
        let before = Arc::clone(&self.directory.borrow());
        let now = decided.as_ref().unwrap_or(&self.decided);
        let directory = now.directory_after(roster.clone(), &self.zone, &before)?;
        self.tell(decided.as_ref());
        if let Some(decided) = decided {
            self.decided = decided;
        }
        self.board.roster(roster, directory.plans().clone());
        self.board.not_as_decided(&directory.not_as_decided());
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
