//! Which versions run as shadows: started and stopped by people, by the journal; one that is taken into use has ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use store::{AsOf, Change, Journal, JournalEntry, Store, StoreError};

use crate::programmes::{
    Library, Refused, all_entries,
    standing::{self, Standing},
};

/// The most versions that run as shadows at a time.
pub const SHADOWS_MAX: usize = 4;

/// A version that runs as a shadow, and since when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Running {
    /// The programme's id.
    pub programme: String,
    /// Its version.
    pub version: u32,
    /// Since when.
    pub since: Timestamp,
    /// When it ended, and how; none while it runs.
    pub ended: Option<(Timestamp, Ended)>,
}

/// How a shadow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Somebody stopped it.
    Stopped,
    /// It was taken into use, and can't be told from itself since.
    TakenIntoUse,
}

impl Ended {
    /// It was ...
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::TakenIntoUse => "taken into use",
        }
    }
}

/// Names of the entries that say which versions run as shadows.
const ENTRIES: [&str; 2] = ["shadow_started", "shadow_stopped"];

/// Which versions run as shadows, by the journal.
///
/// # Errors
/// The store can't be read.
pub async fn running(store: &dyn Store, now: Timestamp) -> Result<Vec<Running>, StoreError> {
    Ok(all(store, now).await?.0.into_iter().filter(|one| one.ended.is_none()).collect())
}

/// Which versions run or ever ran as shadows, and since when: what one would have raised until it was stopped stays to be looked at.
///
/// # Errors
/// The store can't be read.
pub async fn ever(store: &dyn Store, now: Timestamp) -> Result<Vec<Running>, StoreError> {
    Ok(all(store, now).await?.0)
}

/// Every version that was ever started, with its last start; and how many entries say so. One that was taken into use runs no longer, and does
/// not run again when it is left: it is started anew.
async fn all(store: &dyn Store, now: Timestamp) -> Result<(Vec<Running>, u64), StoreError> {
    let entries = all_entries(store, &ENTRIES).await?;
    let count = entries.len() as u64;
    let standing = match entries.is_empty() {
        true => BTreeMap::new(),
        false => standing::standing(&all_entries(store, &standing::ENTRIES).await?, now),
    };
    // What ran until `until` and was taken into use before.
    let settle = |one: &mut Running, until: Timestamp| {
        let used = standing.get(&one.programme).map(|standing| standing.used.as_slice()).unwrap_or_default();
        let taken = used.iter().find(|used| used.version == one.version && used.from > one.since && used.from <= until);
        one.ended = one.ended.or(taken.map(|taken| (taken.from, Ended::TakenIntoUse)));
    };
    let mut known: BTreeMap<(String, u32), Running> = BTreeMap::new();
    for entry in entries {
        let at = entry.at;
        match entry.what {
            Journal::ShadowStarted { programme, version } => {
                let new = Running { programme: programme.clone(), version, since: at, ended: None };
                let one = known.entry((programme, version)).or_insert_with(|| new.clone());
                settle(one, at);
                if one.ended.is_some() {
                    *one = new;
                }
            }
            Journal::ShadowStopped { programme, version } => {
                if let Some(one) = known.get_mut(&(programme, version)) {
                    settle(one, at);
                    one.ended = one.ended.or(Some((at, Ended::Stopped)));
                }
            }
            _ => {}
        }
    }
    known.values_mut().for_each(|one| settle(one, now));
    Ok((known.into_values().collect(), count))
}

/// Says it in the journal, if nobody has started or stopped another meanwhile.
async fn say(store: &dyn Store, what: Journal, by: &str, count: u64, now: Timestamp) -> Result<(), StoreError> {
    let journal = [JournalEntry { at: now, by: Some(by.to_owned()), patient: None, what }];
    let as_of = Some(AsOf { entries: &ENTRIES, patient: None, count });
    store.change(&Change { as_of, journal: &journal, ..Change::default() }).await.map(drop)
}

/// Starts a version as a shadow: a running service begins with it within seconds.
///
/// # Errors
/// [`Refused`]: the person may not, there is no such version, it can't be read, it is in use or was turned down, it runs already or too many do.
pub async fn start(store: &dyn Store, (id, version): (&str, u32), by: &str, now: Timestamp) -> Result<(), Refused> {
    super::proposals::may_propose(store, by).await?;
    let library = Library::open(store, now).await?;
    if library.stored(id, version).is_none() {
        let known: Vec<String> = library.numbers(id).iter().map(ToString::to_string).collect();
        let known =
            if known.is_empty() { "none is known".to_owned() } else { format!("want one of {}", known.join(", ")) };
        return Err(Refused::Unknown { programme: id.to_owned(), version, known });
    }
    may_run(library.standing(id), (id, version))?;
    library.tried(id, version).map_err(Refused::Faulty)?;
    let (known, count) = all(store, now).await?;
    let running: Vec<Running> = known.into_iter().filter(|one| one.ended.is_none()).collect();
    if running.iter().any(|one| one.programme == id && one.version == version) {
        return Err(Refused::Unfit(format!("{id} version {version} runs as a shadow already")));
    }
    if running.len() >= SHADOWS_MAX {
        return Err(Refused::Unfit(format!("found {} shadows running, at most {SHADOWS_MAX} may", running.len())));
    }
    Ok(say(store, Journal::ShadowStarted { programme: id.to_owned(), version }, by, count, now).await?)
}

/// Is there something to learn from it? The version in use judges already, and one that was turned down never will.
fn may_run(standing: &Standing, (id, version): (&str, u32)) -> Result<(), Refused> {
    if standing.in_use().is_some_and(|used| used.version == version) {
        return Err(Refused::Unfit(format!("version {version} of {id} is in use: want another one as a shadow")));
    }
    if standing.rejected.contains(&version) {
        return Err(Refused::Unfit(format!(
            "version {version} of {id} was turned down: want it proposed again, under a new number"
        )));
    }
    Ok(())
}

/// Stops it; what it would have raised stays.
///
/// # Errors
/// [`Refused`]: the person may not, or it does not run.
pub async fn stop(store: &dyn Store, (id, version): (&str, u32), by: &str, now: Timestamp) -> Result<(), Refused> {
    super::proposals::may_propose(store, by).await?;
    let (known, count) = all(store, now).await?;
    let ran = known.into_iter().find(|one| one.programme == id && one.version == version);
    let ended = ran.as_ref().map(|one| one.ended);
    if ended != Some(None) {
        let how = ended.flatten().map(|(at, how)| format!(": it was {} at {at}", how.in_words())).unwrap_or_default();
        return Err(Refused::Unfit(format!("{id} version {version} does not run as a shadow{how}")));
    }
    Ok(say(store, Journal::ShadowStopped { programme: id.to_owned(), version }, by, count, now).await?)
}
