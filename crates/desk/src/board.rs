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
use triage::{Alert, AlertChange, AlertId, AssessmentChange, Mark, Plan};
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

/// How a patient was last judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// The colour.
    pub colour: Colour,
    /// Is expected data missing?
    pub blue: bool,
    /// When what was judged was measured.
    pub at: Timestamp,
}

/// Everything of one patient that the board knows.
#[derive(Clone, Debug)]
pub struct Person {
    /// As in the roster.
    pub patient: Arc<Patient>,
    /// The programme with the patient's own limits over it.
    pub plan: Option<Arc<Plan>>,
    /// The last judgement since the core started.
    pub standing: Option<Standing>,
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

    /// Takes in what was committed, in order; one version step per alert change.
    pub fn apply(&self, changes: &[AlertChange], assessments: &[AssessmentChange], _at: Timestamp) {
        let version = {
            let mut inner = self.write();
            assessments.iter().for_each(|assessment| inner.set_standing(assessment));
            changes.iter().for_each(|change| inner.set_alert(&change.alert));
            inner.feed.version()
        };
        self.announce(version);
    }

    /// Replaces the roster.
    pub fn roster(&self, roster: Roster, plans: HashMap<PatientId, Arc<Plan>>) {
        self.write().set_roster(roster, plans);
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

    /// A late reading's colour is of then, not of now.
    fn set_standing(&mut self, change: &AssessmentChange) {
        if change.late {
            return;
        }
        if let Some(person) = self.people.get_mut(&change.patient) {
            person.standing = Some(Standing { colour: change.colour, blue: change.blue, at: change.at });
        }
    }

    fn set_roster(&mut self, roster: Roster, mut plans: HashMap<PatientId, Arc<Plan>>) {
        let mut before = std::mem::take(&mut self.people);
        for patient in roster.patients {
            let standing = before.remove(&patient.id).and_then(|person| person.standing);
            let plan = plans.remove(&patient.id);
            self.people.insert(patient.id.clone(), Person { patient: Arc::new(patient), plan, standing });
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
mod tests {
    use super::*;
    use crate::tests::alert;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn board(open: Vec<Alert>) -> Arc<Board> {
        let roster: Roster = serde_json::from_value(serde_json::json!({
            "patient": [{ "id": "p-1", "name": "One", "programme": "copd" }, { "id": "p-2", "name": "Two", "programme": "copd" }],
            "kit": [
                { "id": "kit-1", "patient": "p-1", "secret_sha256": "" },
                { "id": "kit-2", "patient": "p-2", "secret_sha256": "" },
                { "id": "kit-3", "patient": "p-2", "secret_sha256": "", "revoked": true },
            ],
        }))
        .unwrap();
        Board::new(open, roster, Vec::new(), HashMap::new())
    }

    /// A programme that knows risk levels.
    const WITH_STRATA: &str = include_str!("../../../config/programmes/heart-failure.toml");

    fn heard(kit: &str, online: bool) -> Heard {
        Heard { kit: kit.parse().unwrap(), at: at(1), online, status: serde_json::Value::Null }
    }

    #[test]
    fn worst_first_then_longest_waiting_and_missing_last() {
        let waiting = [(Mark::Blue, 1), (Mark::Yellow, 2), (Mark::Red, 9), (Mark::Yellow, 1), (Mark::Red, 3)];
        let board = board(
            waiting
                .iter()
                .map(|(mark, minute)| Alert { id: uuid::Uuid::new_v4(), ..alert("p-1", *mark, *minute) })
                .collect(),
        );
        let order: Vec<_> =
            board.queue().1.iter().map(|alert| (alert.mark, alert.waiting_since.as_second() / 60)).collect();
        assert_eq!(order, [(Mark::Red, 3), (Mark::Red, 9), (Mark::Yellow, 1), (Mark::Yellow, 2), (Mark::Blue, 1)]);
    }

    #[test]
    fn of_one_colour_the_higher_risk_level_comes_first_and_a_red_before_all() {
        let in_stratum = |id: &str, stratum: Option<&str>| {
            let programme = Arc::new(triage::Programme::parse(WITH_STRATA, "heart-failure.toml").unwrap());
            let clinic = Arc::new(triage::Clinic::shipped());
            let (own, zone) = (triage::Own::default(), jiff::tz::TimeZone::UTC);
            let plan = Plan::new(id.parse().unwrap(), vec![programme], clinic, own, zone, at(0)).unwrap();
            (id.parse().unwrap(), Arc::new(plan.in_stratum(stratum)))
        };
        let roster: Roster = serde_json::from_value(serde_json::json!({
            "patient": [{ "id": "p-1", "name": "One", "programme": "heart-failure" }, { "id": "p-2", "name": "Two", "programme": "heart-failure" }],
        }))
        .unwrap();
        let plans = HashMap::from([in_stratum("p-1", None), in_stratum("p-2", Some("discharged"))]);
        let waiting =
            [("p-1", Mark::Yellow, 1), ("p-2", Mark::Yellow, 5), ("p-1", Mark::Red, 9), ("p-2", Mark::Yellow, 3)];
        let open =
            waiting.map(|(patient, mark, minute)| Alert { id: uuid::Uuid::new_v4(), ..alert(patient, mark, minute) });
        let board = Board::new(open.to_vec(), roster, Vec::new(), plans);
        let order: Vec<_> = board.queue().1.iter().map(|alert| alert.waiting_since.as_second() / 60).collect();
        assert_eq!(order, [9, 3, 5, 1]);
    }

    #[test]
    fn an_ended_alert_leaves_and_every_change_is_one_version() {
        let board = board(Vec::new());
        let start = board.version();
        let open = alert("p-1", Mark::Red, 1);
        let closed = Alert { state: triage::State::Eased { at: at(5) }, version: 2, ..open.clone() };
        let change = |alert: &Alert| AlertChange {
            alert: alert.clone(),
            event: serde_json::from_value(
                serde_json::json!({ "kind": "raised", "at": at(1), "mark": "red", "text": "" }),
            )
            .unwrap(),
        };
        let woken = board.watch();
        board.apply(&[change(&open)], &[], at(1));
        assert_eq!((board.version(), board.counts().red), (start + 1, 1));
        board.apply(&[change(&closed)], &[], at(5));
        assert_eq!((board.version(), board.counts().red), (start + 2, 0));
        assert_eq!(*woken.borrow(), start + 2);
    }

    #[test]
    fn a_late_judgement_is_not_how_somebody_is_now() {
        let board = board(Vec::new());
        let judged = |colour, late| AssessmentChange {
            at: at(60),
            patient: "p-1".parse().unwrap(),
            was: Colour::Green,
            colour,
            blue: false,
            late,
            findings: Vec::new(),
        };
        board.apply(&[], &[judged(Colour::Yellow, false), judged(Colour::Red, true)], at(60));
        let standing = board.person(&"p-1".parse().unwrap()).unwrap().standing.unwrap();
        assert_eq!(standing.colour, Colour::Yellow);
    }

    #[test]
    fn a_new_roster_keeps_what_was_heard_and_revoked_kits_do_not_count() {
        let one = board(Vec::new());
        one.heard(heard("kit-1", true));
        one.heard(heard("kit-of-nobody", true));
        let roster =
            Roster { patients: Vec::new(), kits: one.kits().iter().map(|state| (*state.kit).clone()).collect() };
        one.roster(roster, HashMap::new());
        assert_eq!((one.counts().kits_online, one.counts().kits_offline), (1, 1));
    }

    #[test]
    fn live_is_a_claim_that_runs_out() {
        let board = board(Vec::new());
        assert!(!board.liveness(clock::now()).live, "nothing was reported yet");
        let intake = |behind_since: Option<Timestamp>| Intake {
            at: at(100),
            behind_since,
            reason: Some("slow".to_owned()),
            waiting: 4,
        };
        board.intake(intake(None));
        assert_eq!(board.liveness(at(103)), Liveness { live: true, behind_since: None, reason: None, waiting: 4 });
        let late = board.liveness(at(104));
        assert_eq!((late.live, late.behind_since), (false, Some(at(100))));
        board.intake(intake(Some(at(90))));
        let behind = board.liveness(at(101));
        assert_eq!((behind.live, behind.behind_since, behind.reason.as_deref()), (false, Some(at(90)), Some("slow")));
    }
}
