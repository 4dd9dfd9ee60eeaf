//! One patient's matters, as the desk asks for them: a chart as of some time, own settings, readings that are left out.

use std::sync::Arc;

use async_trait::async_trait;
use desk::{Change, Place, Refusal, Refused, Ward};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use store::{Journal, JournalFilter, Patient, Roster, Store, StoreError, StoredMessage};
use tokio::sync::Semaphore;
use triage::{
    Alert, Chart, Given, NoBaseline, Own, Plan, Programme, State, Why, no_baseline, sitting_since, why_given,
};
use vitals::{PatientId, Reading};

use crate::{
    basis::{Basis, ReadingPlace},
    clock,
    directory::{own_of, plan_of},
    pipeline::charts::{self, Span},
    programmes::Library,
    readings, roster,
};

/// The clinic's ward, over its store.
pub struct StoredWard {
    /// Where everything is.
    pub store: Arc<dyn Store>,
    /// The clinic's zone: schedules are in its time.
    pub zone: TimeZone,
    /// Settings are compared with what is stored and put in its place by one at a time.
    pub setting: tokio::sync::Mutex<()>,
}

#[async_trait]
impl Ward for StoredWard {
    async fn chart(&self, patient: &PatientId, at: Timestamp) -> Result<(Arc<Plan>, Chart), Refused> {
        let library = Library::open(&*self.store, clock::now()).await?;
        let Some(basis) = last_basis(&*self.store, patient, at).await? else {
            return Err(Refused::new(Refusal::Unknown, not_judged(&*self.store, patient, at).await?));
        };
        let plan = library.plan_by(patient, &basis).map_err(|why| Refused::new(Refusal::Failed, why))?;
        let chart = chart(&*self.store, &plan, &basis, at).await?;
        Ok((Arc::new(plan), chart))
    }

    async fn no_baselines(&self, patients: &[PatientId], at: Timestamp) -> Result<Vec<Vec<NoBaseline>>, Refused> {
        let library = Library::open(&*self.store, clock::now()).await?;
        let mut all = Vec::with_capacity(patients.len());
        for patient in patients {
            all.push(no_baselines(&*self.store, &library, patient, at).await?);
        }
        Ok(all)
    }

    async fn why(&self, alert: &Alert) -> Result<Vec<Why>, Refused> {
        let library = Library::open(&*self.store, clock::now()).await?;
        let mut plans = Vec::new();
        for at in [Timestamp::MAX, alert.changed_at, alert.raised_at] {
            let basis = last_basis(&*self.store, &alert.patient, at).await?;
            plans.extend(basis.and_then(|basis| library.plan_by(&alert.patient, &basis).ok()));
        }
        let Some(now) = plans.first() else {
            let what = format!("nothing is known of what {} was judged by", alert.patient);
            return Err(Refused::new(Refusal::Unknown, what));
        };
        let messages = answered_around(&*self.store, alert).await?;
        let given: Vec<Given<'_>> = messages.iter().flat_map(|message| &message.answers).map(Given::from).collect();
        let version = |plan: &Plan, programme: &str| plan.programme_named(programme).map(Programme::version);
        let found = alert.findings.iter().map(|finding| (finding, false));
        let withdrawn = alert.withdrawn.iter().map(|finding| (finding, true));
        let explained = found.chain(withdrawn).map(|(finding, withdrawn)| {
            let same = |plan: &&Plan| version(plan, &finding.programme) == Some(finding.version);
            let version_now = version(now, &finding.programme).filter(|now| *now != finding.version);
            Why { version_now, withdrawn, ..why_given(plans.iter().find(same).unwrap_or(now), finding, &given) }
        });
        Ok(explained.collect())
    }

    async fn own(&self, patient: &PatientId) -> Result<Own, Refused> {
        let roster = self.store.roster().await?;
        own_of(known(&roster, patient)?).map_err(|what| Refused::new(Refusal::Failed, what))
    }

    async fn set_own(&self, patient: &PatientId, before: &Own, own: &Own, by: &str) -> Result<(), Refused> {
        let _one_at_a_time = self.setting.lock().await;
        if self.own(patient).await? != *before {
            let text = format!("the own settings of {patient} were changed meanwhile: look at them again");
            return Err(Refused::new(Refusal::Conflict, text));
        }
        set_own(&*self.store, &self.zone, patient, own, by, clock::now()).await
    }

    async fn change_reading(
        &self,
        patient: &PatientId,
        place: &Place,
        change: Change,
        reason: &str,
        by: &str,
    ) -> Result<Reading, Refused> {
        let Place { kit, seq, place } = place.clone();
        let change = match change {
            Change::Invalidate => readings::Change::Invalidate,
            Change::Restore => readings::Change::Restore,
        };
        let of = ReadingPlace { kit, seq, place };
        readings::change(&*self.store, change, &of, Some(patient), (by, reason), clock::now()).await.map_err(refused)
    }
}

/// Messages that are looked through for what was answered: the newest, so that no later answer is missed.
const MESSAGES_MAX: u32 = 500;
/// What was answered may come so long after an alert's last change.
const LATER_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Messages with what was answered in the sittings of an alert; none where that says nothing of what other answers would have been.
async fn answered_around(store: &dyn Store, alert: &Alert) -> Result<Vec<StoredMessage>, StoreError> {
    let Some(since) = alert.ever_found().filter_map(sitting_since).min() else { return Ok(Vec::new()) };
    let before = alert.changed_at.checked_add(LATER_MAX).ok();
    store.newest_messages(&alert.patient, since, before, MESSAGES_MAX).await
}

/// What was known of a patient at a time.
async fn chart(store: &dyn Store, plan: &Plan, basis: &Basis, at: Timestamp) -> Result<Chart, StoreError> {
    let span = Span::stored(store, plan, at).await?;
    let mut story = charts::read(store, plan.patient(), span.from).await?;
    story.steps.retain(|step| step.at() <= at);
    // The fold raises alerts of its own; what was really open then is what was told.
    let open = story.alerts.into_iter().filter_map(|alert| open_at(alert, at)).collect();
    // Of who measures very often it takes a while, which nobody else is to wait for: one at a time, beside what judges.
    let _one_at_a_time = FOLDING.acquire().await;
    let (plan, basis) = (plan.clone(), basis.clone());
    let folded = tokio::task::spawn_blocking(move || charts::fold(&plan, &story.steps, span, &basis)).await;
    let folded = folded.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    Ok(folded.with_alerts(open))
}

/// Charts are built for pages by one thread at most.
static FOLDING: Semaphore = Semaphore::const_new(1);

/// The rules that have no baseline of a patient's own at a time. None where nobody judges them, or where they are judged by what this program
/// can't read: that is told elsewhere.
///
/// # Errors
/// The store can't be read.
pub async fn no_baselines(
    store: &dyn Store,
    library: &Library,
    patient: &PatientId,
    at: Timestamp,
) -> Result<Vec<NoBaseline>, StoreError> {
    let Some(basis) = last_basis(store, patient, at).await? else { return Ok(Vec::new()) };
    let plan = library.plan_by(patient, &basis).ok().filter(|plan| plan.book().has_baseline());
    let Some(plan) = plan else { return Ok(Vec::new()) };
    Ok(no_baseline(&chart(store, &plan, &basis, at).await?, &plan, at))
}

/// An alert as it was open at a time, if it was.
fn open_at(alert: Alert, at: Timestamp) -> Option<Alert> {
    let ended = match alert.state {
        State::Open | State::Acknowledged { .. } => None,
        State::Eased { at } | State::Closed { at, .. } => Some(at),
    };
    let was_open = alert.raised_at <= at && ended.is_none_or(|ended| ended > at);
    was_open.then_some(Alert { state: State::Open, ..alert })
}

/// Nobody was judging a patient at a time: since when is somebody?
async fn not_judged(store: &dyn Store, patient: &PatientId, at: Timestamp) -> Result<String, StoreError> {
    let names = ["judged_by"];
    let filter = JournalFilter { patient: Some(patient), entries: Some(&names), limit: 1, ..JournalFilter::default() };
    Ok(match store.journal(filter).await?.first() {
        Some(first) => format!("nobody was judging {patient} at {at}: that began at {}", first.at),
        None => format!("nobody is judging {patient}, as far as the journal goes: the service has not run since"),
    })
}

/// What a patient was judged by at a time: what the journal last said until then.
///
/// # Errors
/// The store can't be read.
pub async fn last_basis(store: &dyn Store, patient: &PatientId, at: Timestamp) -> Result<Option<Basis>, StoreError> {
    let names = ["judged_by"];
    let before = at.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX);
    let filter = JournalFilter {
        patient: Some(patient),
        entries: Some(&names),
        before: Some(before),
        newest_first: true,
        limit: 1,
        ..JournalFilter::default()
    };
    let last = store.journal(filter).await?.pop();
    Ok(last.and_then(|entry| match entry.what {
        Journal::JudgedBy { basis, .. } => serde_json::from_value(basis).ok(),
        _ => None,
    }))
}

fn known<'r>(roster: &'r Roster, patient: &PatientId) -> Result<&'r Patient, Refused> {
    let known = roster.patients.iter().find(|known| known.id == *patient);
    known.ok_or_else(|| Refused::new(Refusal::Unknown, format!("patient {patient} is not in the roster")))
}

/// Puts own settings in the place of those there are: checked against the patient's programmes and the clinic's floors, and told in the
/// journal. A running service judges by them within seconds.
///
/// # Errors
/// There is no such patient, the settings don't fit, or the store fails.
pub async fn set_own(
    store: &dyn Store,
    zone: &TimeZone,
    patient: &PatientId,
    own: &Own,
    by: &str,
    now: Timestamp,
) -> Result<(), Refused> {
    let unfit = |text: String| Refused::new(Refusal::Unfit, text);
    let before = store.roster().await?;
    let mut known = known(&before, patient)?.clone();
    let was = own_of(&known).unwrap_or_default();
    let mut own = own.clone();
    own.number(&was);
    known.own = if own == Own::default() {
        serde_json::Value::Null
    } else {
        serde_json::to_value(&own).map_err(|error| unfit(error.to_string()))?
    };
    let library = Library::open(store, now).await?;
    let books = library.books().map_err(|why| Refused::new(Refusal::Failed, why))?;
    let plan = plan_of(&known, &books, zone).map_err(|error| unfit(error.to_string()))?;
    fits_planned(&library, &known, zone).map_err(unfit)?;
    let beyond = unbounded(&plan, &was, now);
    if !beyond.is_empty() {
        return Err(unfit(beyond.join("; ")));
    }
    let changed = Roster { patients: vec![known], kits: Vec::new() };
    let reason = reasons(&own, &was);
    Ok(roster::put(store, &changed, &before, (by, reason.as_deref()), now).await?)
}

/// Does it fit the versions too that are to come? Else nobody could be judged by them when their time has come.
///
/// # Errors
/// The first that it does not fit, and why.
pub fn fits_planned(library: &Library, patient: &Patient, zone: &TimeZone) -> Result<(), String> {
    for (id, standing) in library.standings().iter().filter(|(id, _)| library.concerns(id, patient)) {
        let Some(version) = standing.planned.as_ref().map(|planned| planned.version) else { continue };
        let books = library.with(id, version)?.books()?;
        plan_of(patient, &books, zone)
            .map_err(|error| format!("{id} version {version} is planned, and this does not fit it: {error}"))?;
    }
    Ok(())
}

/// Limits beyond a floor want an end, and no far one, when they are set; pauses no far one. What stands already stays, and is listed: nothing else
/// must wait for it.
fn unbounded(plan: &Plan, was: &Own, now: Timestamp) -> Vec<String> {
    let (limits, pauses) = (plan.own().limits.iter().enumerate(), plan.own().pauses.iter().enumerate());
    let limits = limits.filter(|(_, one)| !was.limits.contains(one)).map(|(at, _)| format!("limits[{at}]."));
    let pauses = pauses.filter(|(_, one)| !was.pauses.contains(one)).map(|(at, _)| format!("pauses[{at}]."));
    let fresh: Vec<String> = limits.chain(pauses).collect();
    let new = |said: &String| fresh.iter().any(|place| said.starts_with(place));
    plan.unbounded(now).into_iter().filter(new).collect()
}

/// Why: the reasons of what is new. None where something is only taken away.
fn reasons(own: &Own, was: &Own) -> Option<String> {
    let limits = own.limits.iter().filter(|one| !was.limits.contains(one)).map(|one| &one.reason);
    let references = own.references.iter().filter(|one| !was.references.contains(one)).map(|one| &one.reason);
    let oxygen = own.oxygen.iter().filter(|one| !was.oxygen.contains(one)).map(|one| &one.reason);
    let pauses = own.pauses.iter().filter(|one| !was.pauses.contains(one)).map(|one| &one.reason);
    let mut said: Vec<&str> = limits.chain(references).chain(oxygen).chain(pauses).map(String::as_str).collect();
    said.dedup();
    (!said.is_empty()).then(|| said.join("; "))
}

fn refused(error: readings::Refused) -> Refused {
    match error {
        readings::Refused::Unfit(text) => Refused::new(Refusal::Unfit, text),
        readings::Refused::Unknown(text) => Refused::new(Refusal::Unknown, text),
        readings::Refused::Conflict(text) => Refused::new(Refusal::Conflict, text),
        readings::Refused::Store(error) => error.into(),
    }
}
