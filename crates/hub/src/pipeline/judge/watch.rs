//! Whose chart, by which plan: charts come from the store, on start, on first need, and when somebody is to be judged by something else.
//!
//! A patient's plan is what the journal last said that they are judged by. Where the directory wants another (a version was activated, own
//! limits or the roster were changed, a reading was invalidated), the chart is built from the store by the new plan beside everything else,
//! and until then the old one judges. What is judged meanwhile is kept for the new chart too. Then, at a stamp of its own, the new one takes
//! over, and what it says otherwise is an outcome like any other.
//!
//! How a patient stands on the pages is what the chart says. At the start every chart is built anyway, so what it says is shown as soon as it is
//! there. The change that was stored last is no source for that: it may be of then alone, or by another plan, and who is well has none.

use std::sync::Arc;

use desk::Standing;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use store::{Journal, JournalEntry, Store, StoreError};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use triage::{Because, Chart, Plan, next_tick};
use vitals::PatientId;

use super::Judge;
use crate::{
    basis::Basis,
    clock::Clock,
    directory::Directory,
    pipeline::{
        charts::{self, Looks, Span, Step, Story},
        loading::{READ_PAUSE, until_read},
    },
    seldom::Seldom,
};

/// Charts that are built anew at a time.
const BUILDING_MAX: usize = 4;
/// Charts that are read at a time: as many as the store has connections to read with.
const LOADING_MAX: usize = 4;
/// The same, of those that nobody waits for.
const LOADING_BESIDE_MAX: usize = 2;
/// What is judged of one patient while the chart is built anew; beyond this it is begun again.
const MEANWHILE_MAX: usize = 1024;

/// A patient who is judged.
pub(super) struct Watched {
    pub plan: Arc<Plan>,
    pub basis: Arc<Basis>,
    pub chart: Chart,
    /// The plan that is to come.
    rebuild: Option<Rebuild>,
    /// How the pages show the patient, once what is in hand is stored.
    shown: Option<Standing>,
}

impl Watched {
    /// How the patient stands. A chart of which no rule says anything is not shown as green; that is asked only where it would be news, since every
    /// finding is made for it.
    fn standing(&self) -> Option<Standing> {
        let standing = Some(Standing { colour: self.chart.colour(), blue: self.chart.blue() });
        let is_known = standing == self.shown || !self.chart.standing(&self.plan).is_empty();
        standing.filter(|_| is_known)
    }
}

/// A chart that is to be built anew.
struct Rebuild {
    plan: Arc<Plan>,
    basis: Arc<Basis>,
    /// What was judged up to here is stored once the batch of this number is.
    through: Timestamp,
    batch: u64,
    /// What was judged since.
    meanwhile: Vec<Step>,
}

/// A chart from the store.
pub(super) enum Loaded {
    /// Of somebody who had none. The plan by which it was built may be an older one than the directory's.
    First { patient: PatientId, plan: Arc<Plan>, basis: Arc<Basis>, chart: Box<Chart>, fresh: Option<Timestamp> },
    /// Built anew.
    Anew { patient: PatientId, basis: Arc<Basis>, through: Timestamp, built: Option<Box<Built>> },
}

/// A chart that was built anew, and, where readings have changed, what there is to look at.
pub(super) struct Built {
    chart: Chart,
    looks: Option<Looks>,
    /// From when on it was folded.
    from: Timestamp,
}

/// How a patient came to be judged by something.
struct Entered {
    from: Timestamp,
    fresh: bool,
    by: Option<String>,
    why: String,
}

/// What loading a chart needs to know.
#[derive(Clone)]
pub(super) struct Wanted {
    plan: Arc<Plan>,
    basis: Arc<Basis>,
    directory: Arc<Directory>,
    /// Goes on from before the start, as of then; else begins.
    started: Option<Timestamp>,
}

impl Judge {
    /// Loads the charts that are not in memory, beside everything else.
    pub(super) fn load_missing(&self, loader: &mpsc::Sender<Loaded>) {
        let mut missing: Vec<_> = self.directory.plans().keys().filter(|id| !self.charts.contains_key(*id)).collect();
        missing.sort_unstable();
        let missing: Vec<_> = missing.into_iter().filter_map(|id| self.wanted(id)).collect();
        if !missing.is_empty() {
            tokio::spawn(load_all(Arc::clone(&self.store), missing, loader.clone(), Arc::clone(&self.clock)));
        }
    }

    fn wanted(&self, patient: &PatientId) -> Option<Wanted> {
        let (plan, basis) = (self.directory.plan(patient)?, self.directory.basis(patient)?);
        let started = self.known.contains(patient).then_some(self.started);
        Some(Wanted {
            plan: Arc::clone(plan),
            basis: Arc::clone(basis),
            directory: Arc::clone(&self.directory),
            started,
        })
    }

    /// Loads a chart that is not in memory, however long the store can't be read. What is read and makes no sense stays so, and is told.
    pub(super) async fn need_chart(&mut self, patient: &PatientId) -> Result<(), StoreError> {
        if self.charts.contains_key(patient) {
            return Ok(());
        }
        let Some(wanted) = self.wanted(patient) else { return Ok(()) };
        let load = || async {
            match load_first(&*self.store, &wanted, (self.clock)()).await {
                Err(damage @ StoreError::Corrupt { .. }) => Ok(Err(damage)),
                Err(trouble) => Err(trouble),
                Ok(loaded) => Ok(Ok(loaded)),
            }
        };
        let loaded = until_read(&self.health, load).await?;
        self.take_over(loaded);
        Ok(())
    }

    /// Loads charts beside each other. One that can't be read is left to be needed.
    pub(super) async fn load_ahead(&mut self, patients: impl IntoIterator<Item = PatientId>) {
        let wanted: Vec<Wanted> = patients.into_iter().filter_map(|patient| self.wanted(&patient)).collect();
        let now = (self.clock)();
        let loading = wanted.into_iter().map(|wanted| {
            let store = Arc::clone(&self.store);
            async move { load_first(&*store, &wanted, now).await }
        });
        let loaded: Vec<_> = stream::iter(loading).buffered(LOADING_MAX).collect().await;
        loaded.into_iter().flatten().for_each(|loaded| self.take_over(loaded));
    }

    /// A chart was loaded.
    pub(super) fn take_over(&mut self, loaded: Loaded) {
        match loaded {
            Loaded::First { patient, plan, basis, chart, fresh } => {
                // One that is in memory already knows more.
                if self.charts.contains_key(&patient) || self.directory.plan(&patient).is_none() {
                    return;
                }
                if let Some(from) = fresh {
                    let at = self.stamp();
                    let why = "watched from now on".to_owned();
                    self.note_basis(at, &patient, &basis, Entered { from, fresh: true, by: None, why });
                    self.known.insert(patient.clone());
                }
                self.timers.set(&patient, next_tick(&chart, &plan));
                let watched = Watched { plan, basis, chart: *chart, rebuild: None, shown: None };
                self.charts.insert(patient.clone(), watched);
                self.show_anew(&patient);
                self.want_anew(&patient);
            }
            Loaded::Anew { patient, basis, through, built } => {
                self.building = self.building.saturating_sub(1);
                self.change_over(&patient, &basis, through, built);
            }
        }
    }

    /// The roster, or what patients are judged by, has changed. Those that left are forgotten.
    pub(super) fn adopt(&mut self, directory: Arc<Directory>) {
        self.directory = directory;
        self.note_in_use();
        let plans = self.directory.plans();
        self.charts.retain(|patient, _| plans.contains_key(patient));
        self.known.retain(|patient| plans.contains_key(patient));
        let watched: Vec<PatientId> = self.charts.keys().cloned().collect();
        for patient in &watched {
            self.want_anew(patient);
        }
    }

    /// Says in the journal which versions are in use.
    pub(super) fn note_in_use(&mut self) {
        let Some(versions) = self.directory.library().map(|library| library.in_use().clone()) else { return };
        if self.in_use != versions {
            self.in_use.clone_from(&versions);
            let at = self.stamp();
            self.note(at, None, None, Journal::ProgrammesInUse { versions });
        }
    }

    /// Has the chart built anew where the directory wants somebody judged by something else.
    fn want_anew(&mut self, patient: &PatientId) {
        let (Some(plan), Some(basis)) = (self.directory.plan(patient), self.directory.basis(patient)) else { return };
        let Some(watched) = self.charts.get_mut(patient) else { return };
        if watched.basis == *basis {
            watched.rebuild = None;
            return;
        }
        if watched.rebuild.as_ref().is_some_and(|rebuild| rebuild.basis == *basis) {
            return;
        }
        // An open batch that holds nothing may stay open for long: everything is in those before it.
        let batch = if self.work.is_empty() { self.work.number - 1 } else { self.work.number };
        let through = self.stamps.last();
        let (plan, basis) = (Arc::clone(plan), Arc::clone(basis));
        watched.rebuild = Some(Rebuild { plan, basis, through, batch, meanwhile: Vec::new() });
        self.rebuilds.push_back(patient.clone());
    }

    /// Has the next charts built, those of whom everything is stored.
    pub(super) fn build(&mut self, loader: &mpsc::Sender<Loaded>) {
        while self.building < BUILDING_MAX {
            let Some(patient) = self.rebuilds.front() else { return };
            let watched = self.charts.get(patient);
            let rebuild = watched.and_then(|watched| Some((&watched.basis, watched.rebuild.as_ref()?)));
            let Some((before, Rebuild { plan, basis, through, batch, .. })) = rebuild else {
                self.rebuilds.pop_front();
                continue;
            };
            if self.committed.number() < *batch {
                return;
            }
            self.building += 1;
            let (store, to) = (Arc::clone(&self.store), loader.clone());
            let bases = [Arc::clone(before), Arc::clone(basis)];
            tokio::spawn(build_anew(store, Arc::clone(plan), bases, *through, to));
            self.rebuilds.pop_front();
        }
    }

    /// The new chart takes over, if it is the one that is wanted.
    fn change_over(&mut self, patient: &PatientId, basis: &Arc<Basis>, through: Timestamp, built: Option<Box<Built>>) {
        let rebuild = self.charts.get(patient).and_then(|watched| watched.rebuild.as_ref());
        if rebuild.is_none_or(|rebuild| rebuild.basis != *basis || rebuild.through != through) {
            return;
        }
        let Some(built) = built else {
            self.rebuilds.push_back(patient.clone());
            return;
        };
        self.pass(patient, (self.clock)());
        let (at, from) = (self.stamp(), built.from);
        let Some(watched) = self.charts.get_mut(patient) else { return };
        let Some(rebuild) = watched.rebuild.take() else { return };
        let readings = basis.without != watched.basis.without;
        let by = self.directory.readings_changed(patient).filter(|_| readings).cloned();
        let changes = basis.changes(&watched.basis);
        let outcome = change(watched, rebuild, *built, by.as_ref(), at);
        let next = next_tick(&watched.chart, &watched.plan);
        self.timers.set(patient, next);
        let (by, why) = by.map_or((None, changes), |(by, why)| (Some(by), why));
        self.note_basis(at, patient, basis, Entered { from, fresh: false, by, why });
        self.work.add(outcome);
        self.show_anew(patient);
    }

    /// Has the pages show how a patient stands, where that is otherwise than they show.
    pub(super) fn show(&mut self, patient: &PatientId) {
        let Some(watched) = self.charts.get_mut(patient) else { return };
        let standing = watched.standing();
        if watched.shown != standing {
            watched.shown = standing;
            self.work.standings.push((patient.clone(), standing));
        }
    }

    /// The same by another chart than before, whatever the pages show.
    fn show_anew(&mut self, patient: &PatientId) {
        let Some(watched) = self.charts.get_mut(patient) else { return };
        watched.shown = watched.standing();
        self.work.standings.push((patient.clone(), watched.shown));
    }

    /// Something was judged of a patient: it is in the journal, and in the chart that is being built.
    pub(super) fn note_step(&mut self, patient: &PatientId, at: Timestamp, by: Option<String>, what: Journal) {
        let entry = JournalEntry { at, by, patient: Some(patient.clone()), what };
        self.meanwhile(patient, || Step::Entry(entry.clone()));
        self.work.batch.journal.push(entry);
    }

    /// Keeps what is judged while a chart is being built.
    pub(super) fn meanwhile(&mut self, patient: &PatientId, step: impl FnOnce() -> Step) {
        let Some(watched) = self.charts.get_mut(patient) else { return };
        let Some(rebuild) = &mut watched.rebuild else { return };
        if rebuild.meanwhile.len() < MEANWHILE_MAX {
            rebuild.meanwhile.push(step());
            return;
        }
        rebuild.meanwhile.clear();
        (rebuild.through, rebuild.batch) = (self.stamps.last(), self.work.number);
        self.rebuilds.push_back(patient.clone());
    }

    fn note_basis(&mut self, at: Timestamp, patient: &PatientId, basis: &Basis, entered: Entered) {
        let basis = serde_json::to_value(basis).expect("a basis is JSON");
        let Entered { from, fresh, by, why } = entered;
        self.note(at, by, Some(patient), Journal::JudgedBy { basis, from, fresh, why });
    }
}

/// The patient is judged by another plan from `at` on.
fn change(
    watched: &mut Watched,
    rebuild: Rebuild,
    built: Built,
    by: Option<&(String, String)>,
    at: Timestamp,
) -> triage::Outcome {
    let Rebuild { plan, basis, meanwhile, .. } = rebuild;
    let Built { mut chart, mut looks, .. } = built;
    for step in &meanwhile {
        charts::judge(&mut chart, &plan, step, step.at(), &basis);
        if let Some(looks) = &mut looks {
            looks.judge(&plan, step, &watched.basis, &basis);
        }
    }
    let because = looks.as_ref().zip(by).map_or(Because::Plan, |(looks, (by, why))| looks.because(by, why));
    let (chart, outcome) = charts::rejudge(&watched.chart, chart, &plan, because, at);
    *watched = Watched { plan, basis, chart, rebuild: None, shown: None };
    outcome
}

/// Loads charts beside everything else, so that silence is judged of patients too who send nothing. One that can't be read keeps nobody
/// waiting: it is tried again when the others are done. Of a store that is damaged that may be everybody, for ever: one line for all of them.
async fn load_all(store: Arc<dyn Store>, wanted: Vec<Wanted>, to: mpsc::Sender<Loaded>, clock: Clock) {
    let (mut waiting, mut unread_told) = (wanted, Seldom::default());
    loop {
        let mut unread = Vec::new();
        let loading = waiting.into_iter().map(|one| {
            let (store, now) = (Arc::clone(&store), clock());
            async move { (load_first(&*store, &one, now).await, one) }
        });
        let mut loading = stream::iter(loading).buffered(LOADING_BESIDE_MAX);
        while let Some((loaded, one)) = loading.next().await {
            match loaded {
                Ok(loaded) => {
                    if to.send(loaded).await.is_err() {
                        return;
                    }
                }
                Err(_) if to.is_closed() => return,
                Err(error) => unread.push((one, error)),
            }
        }
        let Some((first, error)) = unread.first() else { return };
        if unread_told.is_time(Instant::now()) {
            let (patient, patients) = (first.plan.patient(), unread.len());
            tracing::error!(%patient, patients, "silence is not judged, charts can't be loaded yet: {error}");
        }
        waiting = unread.into_iter().map(|(one, _)| one).collect();
        sleep(READ_PAUSE).await;
    }
}

/// The chart of somebody who has none: by what the journal last said, if they were watched when the judge began.
async fn load_first(store: &dyn Store, wanted: &Wanted, now: Timestamp) -> Result<Loaded, StoreError> {
    let patient = wanted.plan.patient().clone();
    let last = match wanted.started {
        Some(_) => charts::last_basis(store, &patient).await?,
        None => None,
    };
    let before = last.and_then(|basis| Some((wanted.directory.plan_by(&patient, &basis)?, Arc::new(basis))));
    let goes_on = before.is_some();
    let (plan, basis) = before.unwrap_or_else(|| (Arc::clone(&wanted.plan), Arc::clone(&wanted.basis)));
    let through = wanted.started.filter(|_| goes_on).unwrap_or(now);
    let span = Span::stored(store, &plan, through).await?;
    let chart = Box::new(charts::load(store, &plan, &basis, span).await?);
    let fresh = (!goes_on).then_some(span.from);
    Ok(Loaded::First { patient, plan, basis, chart, fresh })
}

/// A chart by another plan, from what is stored up to `through`.
async fn build_anew(
    store: Arc<dyn Store>,
    plan: Arc<Plan>,
    [before, basis]: [Arc<Basis>; 2],
    through: Timestamp,
    to: mpsc::Sender<Loaded>,
) {
    let patient = plan.patient().clone();
    let built = match story_of(&*store, &plan, through).await {
        Ok((story, span)) => {
            let looks = Looks::of(&plan, &story.steps, span, &before, &basis);
            let chart = charts::fold(&plan, &story.steps, span, &basis);
            Some(Box::new(Built { chart, looks, from: span.from }))
        }
        Err(error) => {
            tracing::error!(%patient, "judged as before, a chart can't be built anew yet: {error}");
            sleep(READ_PAUSE).await;
            None
        }
    };
    let anew = Loaded::Anew { patient, basis, through, built };
    if to.send(anew).await.is_err() {
        tracing::debug!("a chart was built anew, and the judge has ended");
    }
}

/// What is stored up to `through`.
async fn story_of(store: &dyn Store, plan: &Plan, through: Timestamp) -> Result<(Story, Span), StoreError> {
    let span = Span::stored(store, plan, through).await?;
    let mut story = charts::read(store, plan.patient(), span.from).await?;
    story.steps.retain(|step| step.at() <= through);
    Ok((story, span))
}
