//! The roster on its way in: the file at start, and changes of file and store while the service runs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use desk::Board;
use jiff::tz::TimeZone;
use store::{Roster, Store};
use tokio::sync::{Notify, watch};

use crate::{
    cli::config::problem::Problem,
    clock,
    config::Config,
    directory::{Directory, Programmes, plan_of},
};

/// How often a running service looks for changes.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Reads the roster file of the configuration into the store, and gives the store's roster.
///
/// # Errors
/// The file can't be read or is wrong, or the store fails.
pub async fn bring_in(store: &dyn Store, config: &Config, programmes: &Programmes) -> anyhow::Result<Roster> {
    if let Some(path) = &config.roster {
        put_file(store, path, programmes, &config.zone).await?;
    }
    Ok(store.roster().await?)
}

async fn put_file(store: &dyn Store, path: &PathBuf, programmes: &Programmes, zone: &TimeZone) -> anyhow::Result<()> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| file.clone())?;
    let mut roster: Roster =
        toml::from_str(&text).map_err(|e| anyhow::anyhow!(Problem::from_toml(&text, &e).sentence(&file)))?;
    for patient in &roster.patients {
        plan_of(patient, programmes, zone).with_context(|| file.clone())?;
    }
    let stored = store.roster().await?;
    for kit in &mut roster.kits {
        for given in kit.people() {
            let known = roster.patients.iter().chain(&stored.patients).any(|patient| patient.id == *given);
            anyhow::ensure!(known, "{file}: kit {}: is given to patient {given}, who is not in the roster", kit.id);
        }
        kit.revoked |= stored.kits.iter().any(|stored| stored.id == kit.id && stored.revoked);
    }
    Ok(store.put_roster(&roster, clock::now()).await?)
}

/// Keeps a running service at what file and store say.
pub struct Keeper {
    file: Option<PathBuf>,
    file_changed: Option<std::time::SystemTime>,
    programmes: Programmes,
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
        programmes: Programmes,
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
            programmes,
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
                tracing::error!("the roster stays as it was: {problem}");
            }
            self.last_problem = problem;
        }
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let file_changed = changed(self.file.as_ref());
        if let Some(file) = self.file.as_ref().filter(|_| file_changed != self.file_changed) {
            put_file(&*self.store, file, &self.programmes, &self.zone).await?;
            self.file_changed = file_changed;
        }
        let roster = self.store.roster().await?;
        if roster == *self.directory.borrow().roster() {
            return Ok(());
        }
        let directory = Directory::new(roster.clone(), &self.programmes, &self.zone)?;
        self.board.roster(roster, directory.plans().clone());
        tracing::info!(patients = directory.plans().len(), "the roster has changed");
        self.directory.send_replace(Arc::new(directory));
        Ok(())
    }
}

fn changed(file: Option<&PathBuf>) -> Option<std::time::SystemTime> {
    file.and_then(|file| std::fs::metadata(file).ok()?.modified().ok())
}
