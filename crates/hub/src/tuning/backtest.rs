//! A backtest: a proposed version over the stored history, beside the one in use.

use std::{collections::HashMap, sync::Arc, time::Instant};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use store::{History, HistoryFilter, Patient, Store, StoreError};
use triage::{Clinic, Own, Plan, Programme, Rulebook};
use vitals::PatientId;

use super::{
    agreement::Window,
    compare::Span,
    fold::{Fold, Person, Watch},
    history::{Invalid, Notes},
    report::{About, Report, Unfit},
    shift::SHIFT,
    tally::Counting,
};
use crate::directory::Programmes;

/// How many differences are told.
pub const WORST_MAX: usize = 20;
/// The most that may be asked for.
pub const WORST_ASKED_MAX: usize = 1_000;
/// How many patients are named whose own settings don't fit.
const UNFIT_MAX: usize = 50;

/// What is asked of a backtest.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The version in use.
    pub active: Arc<Programme>,
    /// The version that is tried.
    pub proposed: Arc<Programme>,
    /// The other programmes in use, for those who are in several.
    pub others: Programmes,
    /// The clinic's defaults and floors.
    pub clinic: Arc<Clinic>,
    /// Alerts are counted from here on.
    pub since: Timestamp,
    /// Until here.
    pub until: Timestamp,
    /// How long before `since` the history begins.
    pub warm_up: SignedDuration,
    /// The clinic's time zone.
    pub zone: TimeZone,
    /// The length of a nurse shift.
    pub shift: SignedDuration,
    /// What belongs to an outcome.
    pub window: Window,
    /// How many differences are told.
    pub worst_max: usize,
    /// How many threads judge.
    pub threads: usize,
}

/// What is laid beside each other, and what is the same on both sides.
#[derive(Clone, Debug)]
pub struct Sides {
    /// The version in use.
    pub active: Arc<Programme>,
    /// The version that is tried.
    pub proposed: Arc<Programme>,
    /// The other programmes in use.
    pub others: Programmes,
    /// The clinic's defaults and floors.
    pub clinic: Arc<Clinic>,
}

impl Sides {
    /// How far back the rules look: so long before the time that is looked at the history begins.
    fn history(&self) -> SignedDuration {
        let all = self.others.values().chain([&self.active, &self.proposed]);
        let books = all.filter_map(|one| Rulebook::new(vec![Arc::clone(one)], Arc::clone(&self.clinic)).ok());
        books.map(|book| book.history()).max().unwrap_or_default()
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody to look at.
    #[error("nobody in the roster is in programme {0:?}")]
    Nobody(String),
    /// A thread could not be started.
    #[error("no thread could be started: {0}")]
    Threads(#[from] std::io::Error),
    /// A part failed inside.
    #[error("{0}: a fault of the program")]
    Failed(String),
}

impl Ask {
    /// With everything else as usual.
    #[must_use]
    pub fn new(sides: Sides, since: Timestamp, until: Timestamp, zone: TimeZone) -> Self {
        let warm_up = sides.history();
        let Sides { active, proposed, others, clinic } = sides;
        Self {
            active,
            proposed,
            others,
            clinic,
            since,
            until,
            warm_up,
            zone,
            shift: SHIFT,
            window: Window::default(),
            worst_max: WORST_MAX,
            threads: threads(),
        }
    }

    /// The programmes of these ids, with this version of the one that is tried. Those that are not in use are left out.
    pub(super) fn beside(&self, ids: &[String], tried: &Arc<Programme>) -> Vec<Arc<Programme>> {
        let one = |id: &String| if id == tried.id() { Some(tried) } else { self.others.get(id) };
        ids.iter().filter_map(one).cloned().collect()
    }

    /// How it is counted.
    #[must_use]
    pub fn counting(&self) -> Counting {
        Counting {
            span: Span { since: self.since, until: self.until },
            window: self.window,
            zone: self.zone.clone(),
            shift: self.shift,
            worst_max: self.worst_max.min(WORST_ASKED_MAX),
            keep_reds: false,
        }
    }

    /// Where the history begins.
    #[must_use]
    pub fn from(&self) -> Timestamp {
        self.since.checked_sub(self.warm_up).unwrap_or(Timestamp::MIN)
    }
}

/// As many threads as the machine has cores, less one: for triage.
#[must_use]
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1)
}

/// Runs a backtest. It waits for its threads while it hands them the history, so give it a thread of its own.
///
/// Cancelled by `watch`, it gives what is known so far: of everybody, until where it had come, marked as partial.
///
/// # Errors
/// [`BacktestError`].
pub async fn run(store: &dyn Store, ask: &Ask, watch: &Arc<Watch>) -> Result<Report, BacktestError> {
    let started = Instant::now();
    let roster = store.roster().await?;
    let People { people, simulated, unfit, unfit_count, .. } = People::of(&roster.patients, ask);
    let people = Told::read(store, ask, people).await?;
    let filter = HistoryFilter {
        since: ask.from(),
        until: ask.until,
        patients: people.filter(roster.patients.len()),
        ..HistoryFilter::default()
    };
    let mut history = store.history(&filter).await?;
    watch.expect(history.total());
    let mut fold = people.start(&history, ask)?;
    let mut counting = ask.counting();
    let mut reached = ask.from();
    while let Some(chunk) = history.next().await {
        let chunk = Arc::new(chunk?);
        reached = chunk.messages.last().map_or(reached, |last| last.recorded_at);
        watch.read(&chunk);
        fold.chunk(&chunk);
        if watch.is_cancelled() {
            counting.span.until = reached.clamp(ask.since, ask.until);
            break;
        }
    }
    drop(history);
    let tally = fold.end(&counting).map_err(BacktestError::Failed)?;
    let about = About {
        programme: ask.proposed.id().to_owned(),
        active_version: ask.active.version(),
        proposed_version: ask.proposed.version(),
        warm_up_from: ask.from(),
        partial: watch.is_cancelled(),
        simulated_patients: simulated,
        seconds: started.elapsed().as_secs_f64(),
        unfit_count,
        unfit,
    };
    Ok(Report::new(about, &counting, tally))
}

/// Everybody, with what is known of them beside the messages.
pub struct Told {
    people: Vec<Person>,
    invalid: Arc<Invalid>,
}

impl Told {
    /// Reads it.
    ///
    /// # Errors
    /// The store can't be read; or there is nobody.
    pub async fn read(store: &dyn Store, ask: &Ask, mut people: Vec<Person>) -> Result<Self, BacktestError> {
        if people.is_empty() {
            return Err(BacktestError::Nobody(ask.proposed.id().to_owned()));
        }
        let patients: Vec<PatientId> = people.iter().map(|person| person.patient.clone()).collect();
        let mut notes = Notes::read(store, &patients, (ask.from(), ask.until)).await?;
        people.iter_mut().for_each(|person| person.notes = notes.take(&person.patient));
        Ok(Self { people, invalid: Arc::new(notes.invalid().clone()) })
    }

    /// Those whose messages are wanted, unless it is everybody.
    fn filter(&self, roster: usize) -> Option<Vec<PatientId>> {
        (self.people.len() < roster).then(|| self.people.iter().map(|person| person.patient.clone()).collect())
    }

    fn start(self, history: &History, ask: &Ask) -> std::io::Result<Fold> {
        Fold::start(self.people, history.names(), &self.invalid, ask.from(), ask.threads)
    }
}

/// Who is looked at, and how they are judged: by the programme that is tried, and by the others that they are in, which are the same on both sides.
pub(super) struct People<'a> {
    ask: &'a Ask,
    books: HashMap<Vec<String>, Books>,
    pub(super) people: Vec<Person>,
    pub(super) simulated: u64,
    unfit: Vec<Unfit>,
    unfit_count: u64,
}

/// The rules of some programmes together, on either side.
#[derive(Clone)]
struct Books {
    active: Arc<Rulebook>,
    proposed: Arc<Rulebook>,
}

impl<'a> People<'a> {
    pub(super) fn of(patients: &[Patient], ask: &'a Ask) -> Self {
        let mut people =
            Self { ask, books: HashMap::new(), people: Vec::new(), simulated: 0, unfit: Vec::new(), unfit_count: 0 };
        let in_it = |patient: &&Patient| patient.programmes.iter().any(|id| id == ask.proposed.id());
        for patient in patients.iter().filter(in_it) {
            if let Some(Books { active, proposed }) = people.books(patient) {
                let active = people.plan(patient, active, ask.active.version());
                let proposed = people.plan(patient, proposed, ask.proposed.version());
                people.simulated += u64::from(patient.simulated);
                people.people.push(Person { patient: patient.id.clone(), active, proposed, notes: Vec::new() });
            }
        }
        people
    }

    /// The rules of the patient's programmes; nothing where they don't go together, which is told.
    fn books(&mut self, patient: &Patient) -> Option<Books> {
        if let Some(books) = self.books.get(&patient.programmes) {
            return Some(books.clone());
        }
        let book = |tried: &Arc<Programme>| {
            let programmes = self.ask.beside(&patient.programmes, tried);
            Rulebook::new(programmes, Arc::clone(&self.ask.clinic))
        };
        match (book(&self.ask.active), book(&self.ask.proposed)) {
            (Ok(active), Ok(proposed)) => {
                let books = Books { active, proposed };
                self.books.insert(patient.programmes.clone(), books.clone());
                Some(books)
            }
            (Err(error), _) | (_, Err(error)) => {
                self.tell(patient, format!("left out: {error}"));
                None
            }
        }
    }

    /// The patient's plan; without their own settings where these don't fit.
    fn plan(&mut self, patient: &Patient, book: Arc<Rulebook>, version: u32) -> Plan {
        let zone = &self.ask.zone;
        match plan(patient, Arc::clone(&book), zone) {
            Ok(plan) => plan,
            Err(why) => {
                self.tell(patient, format!("version {version}: {why}"));
                let bare = Patient { own: serde_json::Value::Null, ..patient.clone() };
                plan(&bare, book, zone).expect("rules without own settings fit themselves")
            }
        }
    }

    fn tell(&mut self, patient: &Patient, why: String) {
        self.unfit_count += 1;
        if self.unfit.len() < UNFIT_MAX {
            self.unfit.push(Unfit { patient: patient.id.clone(), why });
        }
    }
}

/// A patient's plan by these rules, with their own settings over them. `Err` says why these don't fit.
///
/// # Errors
/// A sentence.
pub fn plan(patient: &Patient, book: Arc<Rulebook>, zone: &TimeZone) -> Result<Plan, String> {
    let own: Own = match &patient.own {
        serde_json::Value::Null => Own::default(),
        own => serde_json::from_value(own.clone()).map_err(|error| format!("own settings: {error}"))?,
    };
    let since = patient.since.unwrap_or(Timestamp::MIN);
    let plan = Plan::with(patient.id.clone(), book, own, zone.clone(), since).map_err(|error| error.to_string())?;
    Ok(plan.in_stratum(patient.stratum.as_deref()))
}
