//! `vagt cohort --into`: the recording goes into a store, with what truly happened as recorded outcomes; for trying backtests.
//!
//! Only into the store of a clinic whose configuration says that it is simulated, so that nobody who does not exist stands among people.

use std::{path::Path, sync::Arc};

use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use store::{Batch, Entry, Journal, JournalEntry, Kit, KitSeq, Patient, PatientOutcome, Roster, Store};

use super::Who;
use crate::{
    cli::Ended,
    cohort::{Cohort, Condition, Ids, Sent, Simulated},
    config::Config,
    lock::make_folder,
};

/// Messages of one commit.
const BATCH_MESSAGES: usize = 4096;
/// So long after treatment began somebody records what happened.
const RECORDED_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Who records it.
const RECORDER: &str = "simulated";

/// Under which programmes the people are.
#[derive(clap::Args)]
pub struct Programmes {
    /// With --into: the programme of people with COPD.
    #[arg(long, default_value = "copd", value_name = "ID")]
    pub copd: String,
    /// With --into: the programme of people with heart failure.
    #[arg(long, default_value = "heart-failure", value_name = "ID")]
    pub heart_failure: String,
}

/// The programme of people with pulmonary fibrosis. Only a bench draws them so far.
const FIBROSIS: &str = "pulmonary-fibrosis";

impl Programmes {
    fn of(&self, condition: Condition) -> &str {
        match condition {
            Condition::Copd => &self.copd,
            Condition::HeartFailure => &self.heart_failure,
            Condition::PulmonaryFibrosis => FIBROSIS,
        }
    }
}

/// Fills the store of the clinic with this configuration file.
///
/// # Errors
/// The clinic is not a simulated one, has people already, or its store can't be written.
pub async fn into(config: &Path, who: &Who, programmes: &Programmes, progress: &ProgressBar) -> Result<(), Ended> {
    let config_of = Config::load(config).map_err(|error| Ended::Failed(error.to_string()))?;
    if !config_of.simulated {
        let said = "found a clinic that is not simulated, want `simulated = true`: nobody who does not exist may stand among people";
        return Err(Ended::Failed(format!("{}: {said}", config.display())));
    }
    make_folder(&config_of.data)?;
    let store = store::open(&config_of.store()).await.map_err(anyhow::Error::from)?;
    let found = store.roster().await.map_err(anyhow::Error::from)?.patients.len();
    if found > 0 {
        return Err(Ended::Failed(format!(
            "{}: found {found} patients in the store, want an empty one",
            config.display()
        )));
    }
    let filled =
        fill(&*store, &who.cohort()?, who.patients, programmes, progress).await.map_err(anyhow::Error::from)?;
    store.close().await;
    progress.finish_and_clear();
    eprintln!("{}: {filled} messages of {} simulated people", config.display(), who.patients);
    Ok(())
}

/// Fills a store; gives how many messages that were.
///
/// # Errors
/// The store can't be written.
pub async fn fill(
    store: &dyn Store,
    cohort: &Cohort,
    people: u64,
    programmes: &Programmes,
    progress: &ProgressBar,
) -> Result<u64, store::StoreError> {
    let (mut roster, mut outcomes) = (Roster { patients: Vec::new(), kits: Vec::new() }, Vec::new());
    for number in 1..=people {
        let simulated = cohort.person(number);
        roster.patients.push(patient(cohort, &simulated, programmes));
        roster.kits.push(kit(cohort, &simulated.ids));
        outcomes.extend(told(cohort, &simulated));
    }
    outcomes.sort_by_key(|outcome: &JournalEntry| outcome.at);
    store.put_roster(&roster, cohort.midnight(0)).await?;
    let mut filling =
        Filling { store, batch: Batch::default(), outcomes: outcomes.into_iter().peekable(), last: Timestamp::MIN };
    let mut messages = 0;
    for days in cohort.stretches(people) {
        let stretch = cohort.stretch(1..people + 1, days);
        for sent in &stretch.sent {
            filling.message(sent, &stretch.people[sent.whose]).await?;
        }
        messages += stretch.sent.len() as u64;
        progress.inc(1);
    }
    filling.end().await?;
    Ok(messages)
}

/// The batch that is being filled.
struct Filling<'s, I: Iterator<Item = JournalEntry>> {
    store: &'s dyn Store,
    batch: Batch,
    outcomes: std::iter::Peekable<I>,
    last: Timestamp,
}

impl<I: Iterator<Item = JournalEntry>> Filling<'_, I> {
    async fn message(&mut self, Sent { sitting, .. }: &Sent, ids: &Ids) -> Result<(), store::StoreError> {
        while let Some(mut outcome) = self.outcomes.next_if(|outcome| outcome.at <= sitting.received_at) {
            outcome.at = self.stamp(outcome.at);
            self.batch.journal.push(outcome);
        }
        let recorded_at = self.stamp(sitting.received_at);
        let message = sitting.message(ids);
        let hash = Sha256::digest(serde_json::to_vec(&message).expect("a message is JSON")).into();
        self.batch.entries.push(Entry {
            key: KitSeq { kit: ids.kit.clone(), seq: message.seq },
            hash,
            patient: ids.patient.clone(),
            session: message.session,
            sent_at: message.sent_at,
            recorded_at,
            readings: message.readings,
            answers: message.answers,
            receipts: Vec::new(),
        });
        if self.batch.entries.len() < BATCH_MESSAGES { Ok(()) } else { self.commit().await }
    }

    /// No two have the same.
    fn stamp(&mut self, at: Timestamp) -> Timestamp {
        self.last = at.max(self.last + SignedDuration::from_micros(1));
        self.last
    }

    async fn commit(&mut self) -> Result<(), store::StoreError> {
        self.batch.recorded_at = self.last;
        self.store.commit_shared(Arc::new(std::mem::take(&mut self.batch))).await
    }

    async fn end(mut self) -> Result<(), store::StoreError> {
        while let Some(mut outcome) = self.outcomes.next() {
            outcome.at = self.stamp(outcome.at);
            self.batch.journal.push(outcome);
        }
        self.commit().await
    }
}

fn patient(cohort: &Cohort, simulated: &Simulated, programmes: &Programmes) -> Patient {
    Patient {
        id: simulated.ids.patient.clone(),
        name: format!("Simulated {}", simulated.ids.number()),
        born: None,
        programmes: vec![programmes.of(simulated.person.condition).to_owned()],
        stratum: None,
        own: serde_json::Value::Null,
        simulated: true,
        since: Some(cohort.midnight(0)),
    }
}

fn kit(cohort: &Cohort, ids: &Ids) -> Kit {
    Kit {
        id: ids.kit.clone(),
        patient: Some(ids.patient.clone()),
        patients: Vec::new(),
        secret_sha256: String::new(),
        since: Some(cohort.midnight(0)),
        devices: Vec::new(),
        revoked: false,
    }
}

/// What happened to somebody, as a nurse would have recorded it a day after treatment began.
pub(in crate::cli) fn told(cohort: &Cohort, simulated: &Simulated) -> Vec<JournalEntry> {
    let noon = |day: i64| cohort.midnight(day) + SignedDuration::from_hours(12);
    let outcome = match simulated.person.condition {
        Condition::Copd | Condition::PulmonaryFibrosis => PatientOutcome::Exacerbation,
        Condition::HeartFailure => PatientOutcome::Decompensation,
    };
    let entry = |at: Timestamp, began: i64, outcome: PatientOutcome| JournalEntry {
        at,
        by: Some(RECORDER.to_owned()),
        patient: Some(simulated.ids.patient.clone()),
        what: Journal::OutcomeRecorded { outcome, at: noon(began), note: "simulated".to_owned(), alert: None },
    };
    let events = simulated.course.events.iter().flat_map(|event| {
        let at = noon(event.treated) + RECORDED_AFTER;
        let admission = event.admitted.then(|| entry(at, event.treated, PatientOutcome::Admission));
        [Some(entry(at, event.onset, outcome)), admission].into_iter().flatten()
    });
    events.collect()
}

#[cfg(test)]
mod tests {
    use jiff::{civil::date, tz::TimeZone};
    use store::JournalFilter;

    use super::*;

    #[tokio::test]
    async fn a_store_that_is_filled_has_every_message_and_what_happened() {
        let folder = tempfile::tempdir().unwrap();
        let store = store::Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        let cohort = Cohort { seed: 5, days: 120, start: date(2025, 1, 1), zone: TimeZone::UTC };
        let programmes = Programmes { copd: "copd".to_owned(), heart_failure: "heart-failure".to_owned() };
        let filled = fill(&store, &cohort, 12, &programmes, &ProgressBar::hidden()).await.unwrap();
        let roster = store.roster().await.unwrap();
        assert!(roster.patients.len() == 12 && roster.patients.iter().all(|patient| patient.simulated));
        let people = || (1..=12).map(|number| cohort.person(number));
        let sent: usize = people().map(|simulated| simulated.sittings.len()).sum();
        let readings: usize =
            people().flat_map(|simulated| simulated.sittings).map(|sitting| sitting.measured.len()).sum();
        let stored = store.stored().await.unwrap();
        assert_eq!((filled, stored.messages, stored.readings), (sent as u64, sent as u64, readings as u64));
        let one = cohort.person(3);
        let messages = store.messages(&one.ids.patient, Timestamp::MIN).await.unwrap();
        let first: Vec<_> = one.sittings.iter().map(|sitting| sitting.readings(&one.ids)).collect();
        assert_eq!(messages.into_iter().map(|message| message.readings).collect::<Vec<_>>(), first);
        let journal = store.journal(JournalFilter::default()).await.unwrap();
        let events: usize = people().map(|simulated| told(&cohort, &simulated).len()).sum();
        assert!(events > 0);
        assert_eq!(
            journal.iter().filter(|entry| matches!(entry.what, Journal::OutcomeRecorded { .. })).count(),
            events
        );
    }
}
