//! `vagt replay --stored`: the same from the store, as the judge went; and whether what comes out is what is stored.

use std::{io::Write, path::Path, sync::Arc};

use indicatif::ProgressBar;
use jiff::Timestamp;
use serde_json::json;
use store::{JournalEntry, JournalFilter, Store, StoreError};
use triage::{Alert, AlertEvent, Chart, Outcome, Plan};
use vitals::PatientId;

use super::{Args, progress};
use crate::{
    basis::Basis,
    cli::{Ended, block_on, json_line, out},
    clock,
    config::Config,
    pipeline::{
        charts::{Step, merge},
        retell::{self, Retelling},
    },
    programmes::Library,
};

/// The most alerts of one patient that are compared.
const ALERTS_MAX: u32 = 100_000;
/// The newest events of an alert that the store gives.
const EVENTS_MAX: usize = 1_000;
/// Entries of the journal that are read in one go.
const PAGE: u32 = 10_000;
/// How often a patient is looked at again, beside a running service, before a difference is told.
const LOOKS_MAX: usize = 3;

/// What a run came to.
#[derive(Default)]
struct Sum {
    patients: u64,
    alerts: u64,
    events: u64,
    /// Alerts from before the journal said what their patients are judged by.
    before: u64,
    differences: u64,
    first: Option<String>,
}

/// Runs it.
///
/// # Errors
/// The store can't be read, or (with `--verify`) something differs.
pub(super) fn run(args: &Args, config: &Path) -> Result<(), Ended> {
    let config = Config::load(config).map_err(|e| Ended::Failed(e.to_string()))?;
    block_on(async {
        let store = store::open_read_only(&config.store()).await.map_err(failed)?;
        let ended = all(args, &*store).await;
        store.close().await;
        ended
    })
}

fn failed(error: StoreError) -> Ended {
    Ended::Failed(error.to_string())
}

async fn all(args: &Args, store: &dyn Store) -> Result<(), Ended> {
    let library = Library::open(store, clock::now()).await.map_err(failed)?;
    let started = entries(store, None, &["started"]).await.map_err(failed)?;
    let patients = patients(args, store).await?;
    let (mut out, mut sum) = (out(), Sum::default());
    let progress = progress(Some(patients.len() as u64));
    for patient in &patients {
        let teller = Teller { store, library: &library, started: &started, patient };
        teller.tell(args, &mut out, &mut sum, &progress).await?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    if args.verify {
        said(&mut out, &sum, &started)?;
    }
    out.flush()?;
    match sum.first {
        Some(first) => Err(Ended::Failed(first)),
        None => Ok(()),
    }
}

/// How many alerts and events come out of the store as they are in it, and in what others differ.
#[cfg(test)]
pub(crate) async fn verified(store: &dyn Store, patients: &[PatientId]) -> Result<((u64, u64), Vec<String>), Ended> {
    let library = Library::open(store, clock::now()).await.map_err(failed)?;
    let started = entries(store, None, &["started"]).await.map_err(failed)?;
    let (mut sum, mut found) = (Sum::default(), Vec::new());
    for patient in patients {
        let teller = Teller { store, library: &library, started: &started, patient };
        let stored = teller.stored().await.map_err(failed)?;
        let retold = teller.retell(|_, _| Ok(())).await?;
        teller.count(&stored, &retold, &mut sum);
        found.extend(differences(patient, &stored, &retold));
    }
    Ok(((sum.alerts, sum.events), found))
}

/// Those who are asked for, or everybody in the roster.
async fn patients(args: &Args, store: &dyn Store) -> Result<Vec<PatientId>, Ended> {
    let named: Result<Vec<PatientId>, _> = args.patient.iter().map(|id| id.to_string_lossy().parse()).collect();
    let named = named.map_err(|error: vitals::IdError| Ended::Usage(format!("--patient: {error}")))?;
    let known: Vec<PatientId> =
        store.roster().await.map_err(failed)?.patients.into_iter().map(|patient| patient.id).collect();
    if let Some(unknown) = named.iter().find(|id| !known.contains(id)) {
        return Err(Ended::Failed(format!("patient {unknown} is not in the roster")));
    }
    Ok(if named.is_empty() { known } else { named })
}

fn said(out: &mut impl Write, sum: &Sum, started: &[JournalEntry]) -> Result<(), Ended> {
    let Sum { patients, alerts, events, before, differences, first } = sum;
    let set_back =
        started.iter().filter(|entry| matches!(&entry.what, store::Journal::Started { set_back_from: Some(_) }));
    json_line(
        out,
        &json!({
            "verified": differences == &0, "patients": patients, "alerts": alerts, "events": events, "alerts_before": before,
            "differences": differences, "first": first, "starts": started.len(), "clock_set_back": set_back.count(),
        }),
    )
}

/// Entries of these names, of one patient or of all, oldest first.
async fn entries(
    store: &dyn Store,
    patient: Option<&PatientId>,
    names: &[&str],
) -> Result<Vec<JournalEntry>, StoreError> {
    let mut all: Vec<JournalEntry> = Vec::new();
    loop {
        let since = all.last().and_then(|last| last.at.checked_add(jiff::SignedDuration::from_nanos(1)).ok());
        let filter = JournalFilter { patient, entries: Some(names), since, limit: PAGE, ..JournalFilter::default() };
        let page = store.journal(filter).await?;
        let full = page.len() >= PAGE as usize;
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}

/// One patient.
struct Teller<'a> {
    store: &'a dyn Store,
    library: &'a Library,
    started: &'a [JournalEntry],
    patient: &'a PatientId,
}

/// What is stored of a patient's alerts.
type Stored = Vec<(Alert, Vec<AlertEvent>)>;

impl Teller<'_> {
    async fn tell(
        &self,
        args: &Args,
        out: &mut impl Write,
        sum: &mut Sum,
        progress: &ProgressBar,
    ) -> Result<(), Ended> {
        sum.patients += 1;
        for look in 1.. {
            let stored = if args.verify { self.stored().await.map_err(failed)? } else { Stored::new() };
            let mut lines = Vec::new();
            let retold = self
                .retell(|outcome, judged| match args.verify {
                    true => Ok(()),
                    false => super::print_one(&mut lines, outcome, args, judged),
                })
                .await?;
            let found = if args.verify { differences(self.patient, &stored, &retold) } else { Vec::new() };
            if !found.is_empty() && look < LOOKS_MAX && self.has_moved(&stored).await.map_err(failed)? {
                continue;
            }
            out.write_all(&lines)?;
            self.count(&stored, &retold, sum);
            sum.differences += found.len() as u64;
            for difference in found {
                progress.suspend(|| eprintln!("{difference}"));
                sum.first.get_or_insert(difference);
            }
            break;
        }
        Ok(())
    }

    fn count(&self, stored: &Stored, retold: &Retelling, sum: &mut Sum) {
        let counted = stored.iter().filter(|(alert, _)| is_retold(alert, retold));
        for (_, events) in counted {
            sum.alerts += 1;
            sum.events += events.len() as u64;
        }
        sum.before += stored.iter().filter(|(alert, _)| !is_retold(alert, retold)).count() as u64;
    }

    /// Has a running service gone on meanwhile?
    async fn has_moved(&self, stored: &Stored) -> Result<bool, StoreError> {
        Ok(self.stored().await? != *stored)
    }

    async fn stored(&self) -> Result<Stored, StoreError> {
        let mut stored = Vec::new();
        for alert in self.store.alerts_of(self.patient, ALERTS_MAX).await? {
            stored.extend(self.store.alert(alert.id).await?);
        }
        stored.sort_by_key(|(alert, _)| (alert.raised_at, alert.id));
        Ok(stored)
    }

    async fn retell(
        &self,
        mut tell: impl FnMut(&Outcome, Option<(&Plan, &Chart)>) -> Result<(), Ended>,
    ) -> Result<Retelling, Ended> {
        let mut retelling = Retelling::default();
        for step in self.steps().await.map_err(failed)? {
            let plan = |basis: &Basis| self.library.plan_by(self.patient, basis).map(Arc::new);
            let outcome =
                retelling.step(step, plan).map_err(|why| Ended::Failed(format!("{}: {why}", self.patient)))?;
            if let Some(outcome) = outcome {
                tell(&outcome, retelling.chart().map(|(plan, chart)| (&**plan, chart)))?;
            }
        }
        Ok(retelling)
    }

    /// Everything that was judged of the patient, in order.
    async fn steps(&self) -> Result<Vec<Step>, StoreError> {
        let messages = self.store.messages(self.patient, Timestamp::MIN).await?;
        let own = entries(self.store, Some(self.patient), &retell::ENTRIES).await?;
        let mut entries: Vec<JournalEntry> = self.started.iter().cloned().chain(own).collect();
        entries.sort_by_key(|entry| entry.at);
        Ok(merge(messages, entries))
    }
}

/// Was it raised since the journal says what the patient is judged by?
fn is_retold(alert: &Alert, retold: &Retelling) -> bool {
    retold.episode(alert.id).is_some()
        || retold.began().is_some_and(|began| began <= alert.changed_at && began <= alert.raised_at)
}

/// In what the stored alerts differ from those that came out.
fn differences(patient: &PatientId, stored: &Stored, retold: &Retelling) -> Vec<String> {
    let mut found = Vec::new();
    for (alert, events) in stored.iter().filter(|(alert, _)| is_retold(alert, retold)) {
        let Some((again, events_again)) = retold.episode(alert.id) else {
            found.push(format!("{patient}: alert {} of {} is stored and does not come out", alert.id, alert.raised_at));
            continue;
        };
        let newest = &events_again[events_again.len().saturating_sub(EVENTS_MAX)..];
        if let Some(place) = first_difference(events, newest) {
            let line = |events: &[AlertEvent]| events.get(place).map_or("nothing".to_owned(), canonical);
            found.push(format!(
                "{patient}: alert {}, event {place}: stored {}, comes out {}",
                alert.id,
                line(events),
                line(newest)
            ));
        } else if canonical(alert) != canonical(again) {
            found.push(format!("{patient}: alert: stored {}, comes out {}", canonical(alert), canonical(again)));
        }
    }
    for (alert, _) in retold.episodes().filter(|(alert, _)| stored.iter().all(|(known, _)| known.id != alert.id)) {
        found.push(format!("{patient}: alert {} of {} comes out and is not stored", alert.id, alert.raised_at));
    }
    found
}

fn first_difference(stored: &[AlertEvent], again: &[AlertEvent]) -> Option<usize> {
    let length = stored.len().max(again.len());
    (0..length).find(|place| stored.get(*place).map(canonical) != again.get(*place).map(canonical))
}

fn canonical(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
