//! Step 8. What waits, in memory: open alerts, the roster, the kits, and whether the core takes in readings.
//!
//! A read model: the pipeline tells it what it has committed, the pages read it, and nothing flows back. Bounded by what is open and by the
//! roster. Locks are held for a copy of a few pointers and never across an await.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use jiff::{SignedDuration, Timestamp};
use store::{Heard, Kit, Patient, Roster};
use tokio::sync::watch;
use triage::{Alert, AlertChange, AlertId, Mark, Plan};
use vitals::{Colour, KitId, PatientId};

use crate::{
    clock,
    feed::{Feed, News, Pulse, Read},
};

/// An [`Intake`] older than this means that the core no longer takes in readings.
pub const INTAKE_AGE_MAX: SignedDuration = SignedDuration::from_secs(3);

/// Does the core take in readings? Pushed by the pipeline at least once a second, also when idle.
#[derive(Clone, Debug)]
pub struct Intake {
    /// When the pipeline said so.
    pub at: Timestamp,
    /// The store refuses or is slow since then.
    pub behind_since: Option<Timestamp>,
    /// Why, in one sentence.
    pub reason: Option<String>,
    /// Messages that wait to be stored.
    pub waiting: usize,
}

/// What the heartbeat has to say: a synthetic reading that did not come out at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// When the last one came out; when the service started, if none did.
    pub since: Timestamp,
    /// At which step it is missed, in one sentence.
    pub reason: String,
}

/// What the beat says of the core.
#[derive(Clone, Debug, PartialEq)]
pub struct Liveness {
    /// Readings are being taken in.
    pub live: bool,
    /// If not, since when.
    pub behind_since: Option<Timestamp>,
    /// And why.
    pub reason: Option<String>,
    /// Messages that wait to be stored.
    pub waiting: usize,
}

/// How a patient stands: what the chart says of now, and no change of it, since what arrives late may change that, or say something of then alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The colour.
    pub colour: Colour,
    /// Is expected data missing?
    pub blue: bool,
}

/// Everything of one patient that the board knows.
#[derive(Clone, Debug)]
pub struct Person {
    /// As in the roster.
    pub patient: Arc<Patient>,
    /// The programme with the patient's own limits over it.
    pub plan: Option<Arc<Plan>>,
    /// As their chart says. `None` after a start until the chart is built, which is done for everybody: what was stored of it may be otherwise
    /// by now. And where no rule says anything yet: that is not green.
    pub standing: Option<Standing>,
    /// Why they are not judged by what was decided, but as before: an English sentence.
    pub not_as_decided: Option<Arc<str>>,
}

/// A kit and what was last heard of it.
#[derive(Clone, Debug)]
pub struct KitState {
    /// As in the roster.
    pub kit: Arc<Kit>,
    /// The last heard.
    pub heard: Option<Heard>,
}

impl KitState {
    /// Is it connected?
    pub fn online(&self) -> bool {
        self.heard.as_ref().is_some_and(|heard| heard.online)
    }
}

/// The numbers in the page's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct Counts {
    pub red: usize,
    /// Of those, what came late: true then, not news now.
    pub red_late: usize,
    pub yellow: usize,
    pub blue: usize,
    pub kits_online: usize,
    pub kits_offline: usize,
    pub quarantined: u64,
}

/// The read model. Shared as an `Arc`.
#[derive(Debug)]
pub struct Board {
    inner: RwLock<Inner>,
    version: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    open: HashMap<AlertId, Arc<Alert>>,
    people: BTreeMap<PatientId, Person>,
    kits: BTreeMap<KitId, KitState>,
    intake: Option<Intake>,
    stopped: Option<Stopped>,
    started_at: Timestamp,
    quarantined: u64,
    feed: Feed,
}

impl Board {
    /// A board of what the store holds when the core starts.
    #[must_use]
    pub fn new(open: Vec<Alert>, roster: Roster, heard: Vec<Heard>, plans: HashMap<PatientId, Arc<Plan>>) -> Arc<Self> {
        let now = clock::now();
        let mut inner = Inner {
            open: open.into_iter().map(|alert| (alert.id, Arc::new(alert))).collect(),
            people: BTreeMap::new(),
            kits: BTreeMap::new(),
            intake: None,
            stopped: None,
            started_at: now,
            quarantined: 0,
            feed: Feed::new(now),
        };
        inner.set_roster(roster, plans);
        heard.into_iter().for_each(|heard| inner.set_heard(heard));
        let (version, _) = watch::channel(inner.feed.version());
        Arc::new(Self { inner: RwLock::new(inner), version })
    }

    /// Takes in what was committed, in order, and how patients stand since; one version step per alert change.
    pub fn apply(&self, changes: &[AlertChange], standings: &[(PatientId, Option<Standing>)], _at: Timestamp) {
        let version = {
            let mut inner = self.write();
            standings.iter().for_each(|(patient, standing)| inner.set_standing(patient, *standing));
            changes.iter().for_each(|change| inner.set_alert(&change.alert));
            inner.feed.version()
        };
        self.announce(version);
    }

    /// Replaces the roster.
    pub fn roster(&self, roster: Roster, plans: HashMap<PatientId, Arc<Plan>>) {
        let version = {
            let mut inner = self.write();
            inner.set_roster(roster, plans);
            inner.feed.version()
        };
        self.announce(version);
    }

    /// Who is not judged by what was decided, and why; everybody else of the roster is.
    pub fn not_as_decided(&self, why: &HashMap<PatientId, String>) {
        for (id, person) in &mut self.write().people {
            person.not_as_decided = why.get(id).map(|why| why.as_str().into());
        }
    }

    /// A kit connected, disconnected or sent its status.
    pub fn heard(&self, heard: Heard) {
        self.write().set_heard(heard);
    }

    /// The pipeline is alive.
    pub fn intake(&self, intake: Intake) {
        self.write().intake = Some(intake);
    }

    /// A synthetic reading came out at the end of the pipeline: pages hear it as they hear of an alert.
    pub fn pulse(&self, pulse: Pulse) {
        let version = {
            let mut inner = self.write();
            inner.feed.pulse(pulse);
            inner.feed.version()
        };
        self.announce(version);
    }

    /// The heartbeat does not come through, or (`None`) does again.
    pub fn heartbeat(&self, stopped: Option<Stopped>) {
        self.write().stopped = stopped;
    }

    /// Follows the board as an open page does, from now on.
    #[must_use]
    pub fn follow(self: &Arc<Self>) -> Follower {
        Follower { board: Arc::clone(self), version: self.watch(), cursor: self.version() }
    }

    /// How many payloads are in quarantine.
    pub fn quarantined(&self, total: u64) {
        self.write().quarantined = total;
    }

    /// Open alerts: worst first, then by the patient's risk level, then longest waiting. With the version that they belong to.
    #[must_use]
    pub fn queue(&self) -> (u64, Vec<Arc<Alert>>) {
        let (version, mut open) = {
            let inner = self.read();
            let keyed = inner.open.values().map(|alert| (queue_key(alert, inner.rank(&alert.patient)), alert.clone()));
            (inner.feed.version(), keyed.collect::<Vec<_>>())
        };
        open.sort_by_key(|(key, _)| *key);
        (version, open.into_iter().map(|(_, alert)| alert).collect())
    }

    /// One open alert.
    #[must_use]
    pub fn alert(&self, id: AlertId) -> Option<Arc<Alert>> {
        self.read().open.get(&id).cloned()
    }

    /// One patient.
    #[must_use]
    pub fn person(&self, id: &PatientId) -> Option<Person> {
        self.read().people.get(id).cloned()
    }

    /// Everybody, by id.
    #[must_use]
    pub fn people(&self) -> Vec<Person> {
        self.read().people.values().cloned().collect()
    }

    /// Every kit, by id.
    #[must_use]
    pub fn kits(&self) -> Vec<KitState> {
        self.read().kits.values().cloned().collect()
    }

    /// One kit.
    #[must_use]
    pub fn kit(&self, id: &str) -> Option<KitState> {
        let id: KitId = id.parse().ok()?;
        self.read().kits.get(&id).cloned()
    }

    /// The numbers in the page's head.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.read().counts()
    }

    /// Does the core take in readings, as seen at `now`?
    #[must_use]
    pub fn liveness(&self, now: Timestamp) -> Liveness {
        self.read().liveness(now)
    }

    /// The version after the last change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.read().feed.version()
    }

    /// What came after a page's cursor.
    pub(crate) fn after(&self, cursor: u64) -> Read {
        self.read().feed.after(cursor)
    }

    /// Wakes when the version moves.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Two writers may come here in either order: the version never steps back.
    fn announce(&self, version: u64) {
        self.version.send_if_modified(|last| {
            let moved = version > *last;
            *last = version.max(*last);
            moved
        });
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Hears what a page hears.
pub struct Follower {
    board: Arc<Board>,
    version: watch::Receiver<u64>,
    cursor: u64,
}

impl Follower {
    /// The next heartbeat that is shown.
    pub async fn pulse(&mut self) -> Pulse {
        loop {
            match self.board.after(self.cursor) {
                Read::Resync(version) => self.cursor = version,
                Read::Lines(changes) => {
                    let is_pulse = |news: &News| matches!(news, News::Pulse(_));
                    let upto = changes.iter().position(|change| is_pulse(&change.news));
                    let last = upto.map_or(changes.last(), |place| changes.get(place));
                    self.cursor = last.map_or(self.cursor, |change| change.at_version);
                    if let Some(News::Pulse(pulse)) = upto.and_then(|place| changes.get(place)).map(|found| &found.news)
                    {
                        return *pulse;
                    }
                    if !changes.is_empty() {
                        continue;
                    }
                }
            }
            if self.version.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Worst first, and whoever asks to be called before the yellows; missing data last, since it is no degree of illness; then who has waited
/// longest, among those of the same risk level: of two of the same colour, who is at the higher risk comes first.
fn queue_key(alert: &Alert, risk: u8) -> (u8, Reverse<u8>, Timestamp, AlertId) {
    let rank = match alert.mark {
        Mark::Red => 0,
        Mark::Yellow if alert.family == triage::CALL_FAMILY => 1,
        Mark::Yellow => 2,
        Mark::Blue => 3,
        Mark::Green => 4,
    };
    (rank, Reverse(risk), alert.waiting_since, alert.id)
}

impl Inner {
    /// The patient's risk level; 0 where nobody said one.
    fn rank(&self, patient: &PatientId) -> u8 {
        self.people.get(patient).and_then(|person| person.plan.as_ref()).map_or(0, |plan| plan.rank())
    }

    fn set_alert(&mut self, alert: &Alert) {
        if alert.state.is_open() {
            self.open.insert(alert.id, Arc::new(alert.clone()));
        } else {
            self.open.remove(&alert.id);
        }
        self.feed.push(alert);
    }

    fn set_standing(&mut self, patient: &PatientId, standing: Option<Standing>) {
        if let Some(person) = self.people.get_mut(patient) {
            person.standing = standing;
        }
    }

    fn set_roster(&mut self, roster: Roster, mut plans: HashMap<PatientId, Arc<Plan>>) {
        let mut before = std::mem::take(&mut self.people);
        for patient in roster.patients {
            let standing = before.remove(&patient.id).and_then(|person| person.standing);
            let plan = plans.remove(&patient.id);
            self.people.insert(
                patient.id.clone(),
                Person { patient: Arc::new(patient), plan, standing, not_as_decided: None },
            );
        }
        // Who was erased is in no page that is open.
        if !before.is_empty() {
            self.open.retain(|_, alert| !before.contains_key(&alert.patient));
            self.feed.forget();
        }
        let mut before = std::mem::take(&mut self.kits);
        for kit in roster.kits {
            let heard = before.remove(&kit.id).and_then(|state| state.heard);
            self.kits.insert(kit.id.clone(), KitState { kit: Arc::new(kit), heard });
        }
    }

    fn set_heard(&mut self, heard: Heard) {
        if let Some(state) = self.kits.get_mut(&heard.kit) {
            state.heard = Some(heard);
        }
    }

    fn counts(&self) -> Counts {
        let marked = |mark| self.open.values().filter(|alert| alert.mark == mark).count();
        let (online, offline): (Vec<_>, Vec<_>) =
            self.kits.values().filter(|state| !state.kit.revoked).partition(|state| state.online());
        Counts {
            red: marked(Mark::Red),
            red_late: self.open.values().filter(|alert| alert.mark == Mark::Red && alert.late).count(),
            yellow: marked(Mark::Yellow),
            blue: marked(Mark::Blue),
            kits_online: online.len(),
            kits_offline: offline.len(),
            quarantined: self.quarantined,
        }
    }

    fn liveness(&self, now: Timestamp) -> Liveness {
        let said_at = self.intake.as_ref().map_or(self.started_at, |intake| intake.at);
        let silent = self.intake.is_none() || now.duration_since(said_at) > INTAKE_AGE_MAX;
        let stopped = self.stopped.as_ref().map(|stopped| stopped.since);
        let behind_since = self.intake.as_ref().and_then(|intake| intake.behind_since).or(stopped);
        Liveness {
            live: !silent && behind_since.is_none(),
            behind_since: behind_since.or(silent.then_some(said_at)),
            reason: self.reason(silent),
            waiting: self.intake.as_ref().map_or(0, |intake| intake.waiting),
        }
    }

    fn reason(&self, silent: bool) -> Option<String> {
        if silent {
            return Some("the pipeline has not reported".to_owned());
        }
        let behind = self.intake.as_ref().filter(|intake| intake.behind_since.is_some());
        match behind {
            Some(behind) => behind.reason.clone(),
            None => self.stopped.as_ref().map(|stopped| stopped.reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
