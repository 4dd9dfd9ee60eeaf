//! What people decide about programmes: proposed by one, activated by another, at a time; or turned down; or back to what was in use before.
//!
//! Everything is kept as a journal entry; a running service sees it within a second and takes it into use when its time has come.

use std::sync::Arc;

use desk::Proposed;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use sha2::{Digest, Sha256};
use store::{Account, AsOf, Change, Journal, JournalEntry, ProgrammeVersion, Store, StoreError};
use vitals::PatientId;

use super::{
    Document, Library, all_entries, is_clinic,
    standing::{Standing, Use},
    tried::{Tried, unshown},
};
use crate::directory::{RosterError, hex, plan_of};

/// The longest reason or note, in characters.
pub const REASON_CHARS_MAX: usize = 1_000;
/// A plan for later may lie at most so far ahead, in days.
pub const AHEAD_DAYS_MAX: i64 = 366;
/// A time that is past by no more than this is now: clocks differ, and a request takes its time.
const PAST_MAX: SignedDuration = SignedDuration::from_mins(5);
/// How often it is decided anew where somebody else has just decided something.
const TRIES_MAX: usize = 5;
/// Patients that are named in one sentence.
const PATIENTS_NAMED_MAX: usize = 5;

/// Why something was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such account.
    #[error("found no account {0:?}, want the user name of somebody who signs in here")]
    Nobody(String),
    /// The person may not.
    #[error("{user} is a {role}: want an operator or an admin")]
    Role {
        /// Who.
        user: String,
        /// What they are.
        role: String,
    },
    /// Four eyes.
    #[error("{user} proposed {programme} version {version}: want another person to activate it")]
    SamePerson {
        /// Who.
        user: String,
        /// Which programme.
        programme: String,
        /// Which version.
        version: u32,
    },
    /// Nobody has proposed it.
    #[error("found no version {version} of programme {programme:?}, {known}")]
    Unknown {
        /// Which programme.
        programme: String,
        /// Which version.
        version: u32,
        /// What there is.
        known: String,
    },
    /// It makes no sense now: what was found, what was wanted.
    #[error("{0}")]
    Unfit(String),
    /// The programme can't be read, or an example in it fails: every fault with its place.
    #[error("{0}")]
    Faulty(String),
    /// It leaves one of the clinic's safety floors open, or a limit of the clinic's would be out of order in it.
    #[error("{0}")]
    Floors(String),
    /// Patients whose own settings don't fit it.
    #[error("{} can't be judged by it: {}", people(.0.len()), listed(.0))]
    Patients(Vec<(PatientId, String)>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn people(count: usize) -> String {
    if count == 1 { "1 patient".to_owned() } else { format!("{count} patients") }
}

fn listed(unfit: &[(PatientId, String)]) -> String {
    let named: Vec<_> =
        unfit.iter().take(PATIENTS_NAMED_MAX).map(|(patient, what)| format!("{patient}: {what}")).collect();
    match unfit.len().saturating_sub(PATIENTS_NAMED_MAX) {
        0 => named.join("; "),
        more => format!("{}; and {more} more", named.join("; ")),
    }
}

/// Who decides, and when.
#[derive(Clone, Copy, Debug)]
pub struct Decider<'a> {
    /// The user name of an account that is an operator's or an admin's.
    pub by: &'a str,
    /// Why: in their words.
    pub reason: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// Proposes a programme (or, with the id `clinic`, the clinic's defaults and floors): the text of a file. Gives the version that is kept, and what
/// keeps it from being taken into use: a version is proposed so that it can be tried.
///
/// # Errors
/// [`Refused`]: not an operator, a faulty text, a programme that leaves a safety floor open or is out of order with the clinic's limits, a number that is taken or not above those there are, the store.
pub async fn propose(store: &dyn Store, text: &str, file: &str, who: Decider<'_>) -> Result<Proposed, Refused> {
    let account = operator(store, who.by).await?;
    check_words(who.reason)?;
    let (document, obstacles) = readable(text, file).map_err(Refused::Faulty)?;
    let (id, version) = document.name();
    if let Document::Programme(_) = document {
        // Floors and limits that are to be another are held against the programmes when they come into use: those may be changed before.
        Library::open(store, who.now).await?.floors_of(&document).map_err(Refused::Floors)?;
    }
    let known = store.programme_versions(Some(&id)).await?;
    if let Some(newest) = known.last().filter(|newest| newest.version >= version) {
        let newest = newest.version;
        return Err(Refused::Unfit(format!(
            "{file}: found version {version} of {id}, want one above {newest}, the newest there is"
        )));
    }
    let kept = keep(store, text, &id, version, &account.user, who.reason, who.now).await?;
    Ok(Proposed { kept, obstacles })
}

/// A text of which nothing but worked examples may be faulty, and what keeps it from being taken into use.
fn readable(text: &str, file: &str) -> Result<(Document, Vec<String>), String> {
    if is_clinic(text) {
        return Ok((super::read(text, file)?, Vec::new()));
    }
    let Tried { programme, failing, .. } = Tried::read(text, file)?;
    let obstacles = if failing.is_empty() { unshown(&programme).into_iter().collect() } else { failing };
    Ok((Document::Programme(Arc::unwrap_or_clone(programme)), obstacles))
}

/// Stores a version and says so in the journal.
pub(super) async fn keep(
    store: &dyn Store,
    text: &str,
    id: &str,
    version: u32,
    by: &str,
    note: &str,
    now: Timestamp,
) -> Result<ProgrammeVersion, StoreError> {
    let sha256 = hex(&Sha256::digest(text));
    let (id, text, proposed_by, note) = (id.to_owned(), text.to_owned(), by.to_owned(), note.to_owned());
    let kept = ProgrammeVersion { id, version, text, sha256, proposed_by, proposed_at: now, note };
    propose_kept(store, &kept).await?;
    Ok(kept)
}

/// Keeps a proposed version, and says so in the journal, in one transaction.
///
/// # Errors
/// The number is taken by another text, or the store fails.
pub async fn propose_kept(store: &dyn Store, kept: &ProgrammeVersion) -> Result<(), StoreError> {
    let (programme, version, note) = (kept.id.clone(), kept.version, kept.note.clone());
    let what = Journal::ProgrammeProposed { programme, version, note };
    let journal = [JournalEntry { at: kept.proposed_at, by: Some(kept.proposed_by.clone()), patient: None, what }];
    store.change(&Change { programme: Some(kept), journal: &journal, ..Change::default() }).await.map(drop)
}

/// Decides; and anew, by what there is then, where somebody else was faster.
async fn until_first<T, F: Future<Output = Result<T, Refused>>>(decide: impl Fn() -> F) -> Result<T, Refused> {
    for _ in 1..TRIES_MAX {
        match decide().await {
            Err(Refused::Store(StoreError::Overtaken { .. })) => {}
            decided => return decided,
        }
    }
    decide().await
}

/// Activates a version that somebody else proposed, at once or from a time to come on.
///
/// # Errors
/// [`Refused`].
pub async fn activate(
    store: &dyn Store,
    zone: &TimeZone,
    (id, version): (&str, u32),
    from: Option<Timestamp>,
    who: Decider<'_>,
) -> Result<Use, Refused> {
    until_first(|| try_activate(store, zone, (id, version), from, who)).await
}

async fn try_activate(
    store: &dyn Store,
    zone: &TimeZone,
    (id, version): (&str, u32),
    from: Option<Timestamp>,
    who: Decider<'_>,
) -> Result<Use, Refused> {
    let account = operator(store, who.by).await?;
    check_words(who.reason)?;
    let library = Library::open(store, who.now).await?;
    let proposed = library.stored(id, version).ok_or_else(|| unknown(&library, id, version))?;
    let from = begins(from, who.now)?;
    may_activate(&account.user, proposed, library.standing(id), (from, who.now))?;
    fits(store, &library, zone, (id, version)).await?;
    // Who goes back goes back at once: this is asked of what is new alone.
    if let Some(unshown) = library.version(id, version).and_then(|programme| unshown(programme)) {
        return Err(Refused::Faulty(unshown));
    }
    let use_ = Use {
        version,
        from,
        by: Some(account.user),
        proposed_by: proposed.proposed_by.clone(),
        reason: who.reason.to_owned(),
        rollback: false,
        decided_at: who.now,
    };
    Ok(decide(store, library.as_of(), id, use_).await?)
}

/// Goes back to the version that was in use before: one person, at once.
///
/// # Errors
/// [`Refused`].
pub async fn rollback(store: &dyn Store, zone: &TimeZone, id: &str, who: Decider<'_>) -> Result<Use, Refused> {
    until_first(|| try_rollback(store, zone, id, who)).await
}

async fn try_rollback(store: &dyn Store, zone: &TimeZone, id: &str, who: Decider<'_>) -> Result<Use, Refused> {
    let account = operator(store, who.by).await?;
    check_words(who.reason)?;
    let library = Library::open(store, who.now).await?;
    let before = library.standing(id).before().cloned().ok_or_else(|| no_way_back(id, library.standing(id)))?;
    fits(store, &library, zone, (id, before.version)).await?;
    let use_ = Use {
        from: who.now,
        by: Some(account.user),
        reason: who.reason.to_owned(),
        rollback: true,
        decided_at: who.now,
        ..before
    };
    Ok(decide(store, library.as_of(), id, use_).await?)
}

/// Turns a proposed version down; one that was to come into use later does not.
///
/// # Errors
/// [`Refused`]: not an operator, no such version, it is in use.
pub async fn reject(store: &dyn Store, (id, version): (&str, u32), who: Decider<'_>) -> Result<(), Refused> {
    until_first(|| try_reject(store, (id, version), who)).await
}

async fn try_reject(store: &dyn Store, (id, version): (&str, u32), who: Decider<'_>) -> Result<(), Refused> {
    let account = operator(store, who.by).await?;
    check_words(who.reason)?;
    let library = Library::open(store, who.now).await?;
    if library.stored(id, version).is_none() {
        return Err(unknown(&library, id, version));
    }
    if library.standing(id).in_use().is_some_and(|used| used.version == version) {
        return Err(Refused::Unfit(format!(
            "version {version} of {id} is in use: want another activated, or a rollback"
        )));
    }
    let (programme, reason) = (id.to_owned(), who.reason.to_owned());
    let what = Journal::ProgrammeRejected { programme, version, reason };
    let journal = [JournalEntry { at: who.now, by: Some(account.user), patient: None, what }];
    store.change(&Change { as_of: Some(library.as_of()), journal: &journal, ..Change::default() }).await?;
    Ok(())
}

/// Everything that was decided about a programme, oldest first.
///
/// # Errors
/// The store can't be read.
pub async fn history(store: &dyn Store, id: &str) -> Result<Vec<JournalEntry>, StoreError> {
    let names = [
        "programme_proposed",
        "programme_activated",
        "programme_rejected",
        "shadow_started",
        "shadow_stopped",
        "programmes_in_use",
    ];
    let mut all = all_entries(store, &names).await?;
    let mut used = None;
    all.retain(|entry| match &entry.what {
        Journal::ProgrammeProposed { programme, .. }
        | Journal::ProgrammeActivated { programme, .. }
        | Journal::ProgrammeRejected { programme, .. }
        | Journal::ShadowStarted { programme, .. }
        | Journal::ShadowStopped { programme, .. } => programme == id,
        Journal::ProgrammesInUse { versions } => versions.get(id).is_some_and(|now| used.replace(*now) != Some(*now)),
        _ => false,
    });
    Ok(all)
}

/// May this person activate this version from then on? Pure.
fn may_activate(
    user: &str,
    version: &ProgrammeVersion,
    standing: &Standing,
    (from, now): (Timestamp, Timestamp),
) -> Result<(), Refused> {
    let ProgrammeVersion { id, version, proposed_by, .. } = version;
    if proposed_by == user {
        let (user, programme) = (user.to_owned(), id.clone());
        return Err(Refused::SamePerson { user, programme, version: *version });
    }
    let unfit = |text: String| Err(Refused::Unfit(text));
    if standing.rejected.contains(version) {
        return unfit(format!("version {version} of {id} was turned down: want it proposed again, under a new number"));
    }
    if standing.planned.is_none() && standing.in_use().is_some_and(|used| used.version == *version) {
        return unfit(format!("version {version} of {id} is in use already"));
    }
    if from.duration_since(now).as_hours() > AHEAD_DAYS_MAX * 24 {
        return unfit(format!("found {from} as the time to begin, want at most {AHEAD_DAYS_MAX} days from now"));
    }
    Ok(())
}

/// From when on: now, where nothing is said.
fn begins(from: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Refused> {
    let from = from.unwrap_or(now);
    if now.duration_since(from) > PAST_MAX {
        return Err(Refused::Unfit(format!(
            "found {from} as the time to begin, which is past: want a time to come, or none to begin at once"
        )));
    }
    Ok(from.max(now))
}

fn no_way_back(id: &str, standing: &Standing) -> Refused {
    let left: Vec<String> = standing.left().into_iter().map(|version| version.to_string()).collect();
    Refused::Unfit(match left.as_slice() {
        [] => format!("no other version of programme {id:?} was in use before"),
        left => format!(
            "there is no version of programme {id:?} to go back to: somebody went back from {}, which wants to be activated anew",
            left.join(", ")
        ),
    })
}

/// Can everybody be judged with this version in use, within the clinic's floors?
async fn fits(
    store: &dyn Store,
    library: &Library,
    zone: &TimeZone,
    (id, version): (&str, u32),
) -> Result<(), Refused> {
    library.takeable(id, version).map_err(Refused::Faulty)?;
    let with = library.with(id, version).map_err(Refused::Faulty)?;
    with.check_floors_of(id).map_err(Refused::Floors)?;
    let (books, roster) = (with.books().map_err(Refused::Faulty)?, store.roster().await?);
    let unfit: Vec<_> = roster
        .patients
        .iter()
        .filter(|patient| with.concerns(id, patient))
        .filter_map(|patient| Some((patient.id.clone(), plan_of(patient, &books, zone).err()?)))
        .map(|(patient, error)| match error {
            RosterError::Patient { what, .. } | RosterError::Kit { what, .. } => (patient, what),
        })
        .collect();
    if unfit.is_empty() { Ok(()) } else { Err(Refused::Patients(unfit)) }
}

async fn decide(store: &dyn Store, as_of: AsOf<'_>, id: &str, mut decided: Use) -> Result<Use, StoreError> {
    let what = Journal::ProgrammeActivated {
        programme: id.to_owned(),
        version: decided.version,
        from: decided.from,
        proposed_by: decided.proposed_by.clone(),
        reason: decided.reason.clone(),
        rollback: decided.rollback,
    };
    let journal = [JournalEntry { at: decided.decided_at, by: decided.by.clone(), patient: None, what }];
    let change = Change { as_of: Some(as_of), journal: &journal, ..Change::default() };
    if let Some(at) = store.change(&change).await?.first() {
        decided.decided_at = *at;
    }
    Ok(decided)
}

async fn operator(store: &dyn Store, user: &str) -> Result<Account, Refused> {
    let account = store.account(user).await?.ok_or_else(|| Refused::Nobody(user.to_owned()))?;
    if !matches!(account.role.as_str(), "operator" | "admin") {
        return Err(Refused::Role { user: account.user, role: account.role });
    }
    Ok(account)
}

/// A reason that somebody can read.
///
/// # Errors
/// [`Refused::Unfit`]: it is empty, or longer than anybody reads.
pub fn check_words(reason: &str) -> Result<(), Refused> {
    match reason.trim().chars().count() {
        0 => Err(Refused::Unfit("found no reason, want one in a few words".to_owned())),
        found if found > REASON_CHARS_MAX => {
            Err(Refused::Unfit(format!("found a reason of {found} characters, want at most {REASON_CHARS_MAX}")))
        }
        _ => Ok(()),
    }
}

fn unknown(library: &Library, id: &str, version: u32) -> Refused {
    let known = library.numbers(id);
    let known = match known.as_slice() {
        [] => format!("want one of the programmes {}", library.ids().join(", ")),
        numbers => {
            format!("want one of {}", numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    };
    Refused::Unknown { programme: id.to_owned(), version, known }
}
