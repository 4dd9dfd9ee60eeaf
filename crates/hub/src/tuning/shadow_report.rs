//! A shadow beside what was really raised, day by day.

use std::{collections::BTreeMap, fmt};

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::Serialize;
use store::{Journal, PatientOutcome, Store, StoreError};
use triage::Alert;
use vitals::PatientId;

use super::{
    agreement::Window,
    backtest::WORST_MAX,
    compare::{Both, Change, Difference, Span},
    episode::{Episode, Kind},
    history::alerts_of,
    pair::Told,
    shadow::{Ended, Running},
    tally::ByMark,
};
use crate::programmes::all_entries;

/// A shadow beside the version in use.
#[derive(Clone, Debug, Serialize)]
pub struct ShadowReport {
    /// The programme's id.
    pub programme: String,
    /// The version that runs as a shadow.
    pub version: u32,
    /// Since when it does.
    pub started: Timestamp,
    /// How it ended, if it has: this goes until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Until when this goes.
    pub until: Timestamp,
    /// Are people among them who do not exist?
    pub simulated: bool,
    /// Each day, by the clinic's clock.
    pub days: Vec<Day>,
    /// All days together.
    pub total: Counted,
    /// The worst differences, the worst first.
    pub worst: Vec<Difference>,
}

/// One day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Which.
    pub day: civil::Date,
    /// What was raised on it.
    #[serde(flatten)]
    pub counted: Counted,
}

/// Alerts raised in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// By what was in use.
    pub active: ByMark,
    /// By the shadow.
    pub shadow: ByMark,
    /// Alerts that the shadow has not.
    pub only_active: u64,
    /// Alerts that the shadow alone has.
    pub only_shadow: u64,
    /// Alerts of both, of which the shadow's is milder.
    pub milder: u64,
    /// Alerts of both, of which the shadow's is worse.
    pub worse: u64,
}

/// Reads what both raised and lays it side by side.
///
/// # Errors
/// The store can't be read.
pub async fn report(
    store: &dyn Store,
    running: &Running,
    since: Option<Timestamp>,
    until: Timestamp,
    zone: &TimeZone,
) -> Result<ShadowReport, StoreError> {
    let until = running.ended.map_or(until, |(ended, _)| ended.min(until));
    let span = Span { since: since.unwrap_or(running.since).max(running.since), until };
    let mut of: BTreeMap<PatientId, Of> = BTreeMap::new();
    let patients = store.roster().await?.patients;
    let in_it = |id: &String| *id == running.programme;
    let people: Vec<PatientId> =
        patients.iter().filter(|one| one.programmes.iter().any(in_it)).map(|one| one.id.clone()).collect();
    let raised = |alert: Alert| (alert.raised_at >= running.since && alert.raised_at < until).then_some(alert);
    for alert in alerts_of(store, people, raised).await? {
        of.entry(alert.patient.clone()).or_default().active.push((&alert).into());
    }
    for shadow in store.shadow_alerts(&running.programme, running.version, running.since, until).await? {
        of.entry(shadow.patient.clone()).or_default().shadow.push((&shadow.alert).into());
    }
    for entry in all_entries(store, &["outcome_recorded"]).await? {
        if let (Journal::OutcomeRecorded { outcome, at, .. }, Some(patient)) = (entry.what, entry.patient)
            && outcome != PatientOutcome::Other
            && let Some(of) = of.get_mut(&patient)
        {
            of.told.outcomes.push((at, outcome));
        }
    }
    let simulated = patients.iter().any(|patient| patient.simulated && of.contains_key(&patient.id));
    Ok(laid_out(running, span, zone, simulated, of))
}

/// One patient's alerts.
#[derive(Default)]
struct Of {
    active: Vec<Episode>,
    shadow: Vec<Episode>,
    told: Told,
}

fn laid_out(
    running: &Running,
    span: Span,
    zone: &TimeZone,
    simulated: bool,
    mut of: BTreeMap<PatientId, Of>,
) -> ShadowReport {
    let day = |at: Timestamp| zone.to_datetime(at).date();
    let mut days: BTreeMap<civil::Date, Counted> = BTreeMap::new();
    let mut at = day(span.since);
    while at <= day(span.until) && days.len() < DAYS_MAX {
        days.insert(at, Counted::default());
        at = at.tomorrow().unwrap_or(civil::Date::MAX);
    }
    let mut worst = Vec::new();
    for (patient, Of { active, shadow, told }) in &mut of {
        active.sort_by_key(|episode| episode.raised_at);
        let counts = |episode: &&Episode| span.holds(episode.raised_at) && episode.kind() != Kind::Call;
        for episode in active.iter().filter(counts) {
            days.entry(day(episode.raised_at)).or_default().active.count(episode.mark);
        }
        for episode in shadow.iter().filter(counts) {
            days.entry(day(episode.raised_at)).or_default().shadow.count(episode.mark);
        }
        let both = Both { patient, active, proposed: shadow, told, span, window: Window::default() };
        for difference in both.differences() {
            let raised = difference.active.as_ref().or(difference.proposed.as_ref()).map(|view| view.raised_at);
            if let Some(raised) = raised.filter(|_| difference.change.is_of_alerts()) {
                days.entry(day(raised)).or_default().differs(difference.change);
            }
            worst.push(difference);
        }
    }
    worst.sort_by_key(|difference| std::cmp::Reverse(difference.weight));
    worst.truncate(WORST_MAX);
    let mut total = Counted::default();
    days.values().for_each(|counted| total.add(counted));
    ShadowReport {
        programme: running.programme.clone(),
        version: running.version,
        started: running.since,
        ended: running.ended.map(|(_, how)| how),
        ended_at: running.ended.map(|(at, _)| at),
        until: span.until,
        simulated,
        days: days.into_iter().map(|(day, counted)| Day { day, counted }).collect(),
        total,
        worst,
    }
}

/// The most days of one report.
const DAYS_MAX: usize = 1_000;

impl Counted {
    fn differs(&mut self, change: Change) {
        match change {
            Change::Lost => self.only_active += 1,
            Change::Gained => self.only_shadow += 1,
            Change::Milder => self.milder += 1,
            Change::Worse => self.worse += 1,
            // Of an event, and not of a day's alerts: told among the worst.
            Change::Missed | Change::Foreseen => {}
        }
    }

    fn add(&mut self, other: &Self) {
        self.active.add(other.active);
        self.shadow.add(other.shadow);
        self.only_active += other.only_active;
        self.only_shadow += other.only_shadow;
        self.milder += other.milder;
        self.worse += other.worse;
    }
}

impl fmt::Display for ShadowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { programme, version, started, .. } = self;
        match self.ended.zip(self.ended_at) {
            None => writeln!(f, "{programme} version {version} runs as a shadow since {started}; it pages nobody")?,
            Some((how, at)) => writeln!(
                f,
                "{programme} version {version} ran as a shadow from {started} until {at}, when it was {}",
                how.in_words()
            )?,
        }
        if self.simulated {
            writeln!(f, "SIMULATED: people among them do not exist")?;
        }
        writeln!(f, "\n{:<12}{:^22}{:^22}{:>9}{:>9}{:>8}{:>7}", "", "in use", "shadow", "only", "only", "", "")?;
        writeln!(
            f,
            "{:<12}{:>6}{:>8}{:>8}{:>6}{:>8}{:>8}{:>9}{:>9}{:>8}{:>7}",
            "day", "red", "yellow", "blue", "red", "yellow", "blue", "in use", "shadow", "milder", "worse"
        )?;
        self.days.iter().try_for_each(|day| row(f, &day.day.to_string(), &day.counted))?;
        row(f, "together", &self.total)?;
        if !self.worst.is_empty() {
            writeln!(f, "\nThe worst differences (proposed: the shadow):")?;
        }
        self.worst.iter().try_for_each(|difference| write!(f, "{difference}"))
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, counted: &Counted) -> fmt::Result {
    let Counted { active, shadow, only_active, only_shadow, milder, worse } = counted;
    writeln!(
        f,
        "{name:<12}{:>6}{:>8}{:>8}{:>6}{:>8}{:>8}{only_active:>9}{only_shadow:>9}{milder:>8}{worse:>7}",
        active.red, active.yellow, active.blue, shadow.red, shadow.yellow, shadow.blue
    )
}
