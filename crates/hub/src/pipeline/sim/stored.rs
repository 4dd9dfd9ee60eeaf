//! The disk as a store: what the service asks while it takes messages in and judges them. What only pages, kits' enrolment and backtests ask is
//! not there, and says so.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use store::{
    Account, Batch, Change, Command, CommandState, Curve, Dump, Enrolled, Enrolment, Entry, Erased, Heard, History,
    HistoryFilter, InvalidReading, JournalEntry, JournalFilter, KitSeq, Load, MessagePages, ProgrammeVersion,
    QuarantinedEntry, Roster, ShadowAlert, Store, StoreError, Stored, StoredMessage, WebSession,
};
use triage::{Alert, AlertEvent, AlertId};
use vitals::{KitId, PatientId, Vital};

use super::disk::Disk;

/// Nobody asks this in a story.
fn not_here<T>() -> Result<T, StoreError> {
    Err(StoreError::ReadOnly)
}

fn as_stored(entry: &Entry) -> StoredMessage {
    let Entry { key, recorded_at, session, readings, answers, .. } = entry.clone();
    StoredMessage { key, recorded_at, session, readings, answers }
}

#[async_trait]
#[rustfmt::skip]
impl Store for Disk {
    async fn commit_shared(&self, batch: Arc<Batch>) -> Result<(), StoreError> { Disk::commit(self, &batch).await }
    async fn seen(&self, messages: &[KitSeq]) -> Result<Vec<(KitSeq, [u8; 32])>, StoreError> {
        self.ask().await?;
        let state = self.state();
        Ok(messages.iter().filter_map(|key| Some((key.clone(), *state.seen.get(key)?))).collect())
    }
    async fn last_seqs(&self, kits: &[KitId]) -> Result<Vec<(KitId, u64)>, StoreError> {
        self.ask().await?;
        let state = self.state();
        let last = |kit: &KitId| state.seen.keys().filter(|key| key.kit == *kit).map(|key| key.seq).max();
        Ok(kits.iter().filter_map(|kit| Some((kit.clone(), last(kit)?))).collect())
    }
    async fn change(&self, change: &Change<'_>) -> Result<Vec<Timestamp>, StoreError> {
        self.ask().await?;
        self.still_leads()?;
        let mut state = self.state();
        if let Some(as_of) = &change.as_of {
            let of = |entry: &&JournalEntry| {
                as_of.entries.contains(&entry.what.name()) && as_of.patient.is_none_or(|patient| entry.patient.as_ref() == Some(patient))
            };
            let found = state.journal.values().filter(of).count() as u64;
            if found != as_of.count {
                return Err(StoreError::Overtaken { found, known: as_of.count });
            }
        }
        if let Some((roster, _)) = change.roster {
            state.put(roster);
        }
        state.programmes.extend(change.programme.cloned());
        Ok(change.journal.iter().map(|entry| {
            let newest = state.newest(entry.at + SignedDuration::from_mins(1));
            let at = newest.map_or(entry.at, |newest| entry.at.max(newest + SignedDuration::from_micros(1)));
            let nanos = i64::from(at.subsec_nanosecond()).rem_euclid(1000);
            state.note(JournalEntry { at: at + SignedDuration::from_nanos(1 - nanos), ..entry.clone() })
        }).collect())
    }
    async fn journal(&self, filter: JournalFilter<'_>) -> Result<Vec<JournalEntry>, StoreError> {
        self.ask().await?;
        let state = self.state();
        let wanted = |entry: &&JournalEntry| {
            filter.patient.is_none_or(|patient| entry.patient.as_ref() == Some(patient))
                && filter.entries.is_none_or(|names| names.contains(&entry.what.name()))
                && filter.since.is_none_or(|since| entry.at >= since)
                && filter.before.is_none_or(|before| entry.at < before)
        };
        let (entries, limit) = (state.journal.values(), filter.limit as usize);
        Ok(match filter.newest_first {
            true => entries.rev().filter(wanted).take(limit).cloned().collect(),
            false => entries.filter(wanted).take(limit).cloned().collect(),
        })
    }
    async fn last_stamp(&self) -> Result<Option<Timestamp>, StoreError> {
        self.ask().await?;
        let newest = self.state().newest(Timestamp::MAX);
        Ok(newest.map(|at| {
            let nanos = i64::from(at.subsec_nanosecond()).rem_euclid(1000);
            if nanos == 0 { at } else { at + SignedDuration::from_nanos(1000 - nanos) }
        }))
    }
    async fn programme_versions(&self, id: Option<&str>) -> Result<Vec<ProgrammeVersion>, StoreError> {
        self.ask().await?;
        let state = self.state();
        Ok(state.programmes.iter().filter(|one| id.is_none_or(|id| one.id == id)).cloned().collect())
    }
    async fn put_shadow(&self, _: &[ShadowAlert]) -> Result<(), StoreError> { not_here() }
    async fn shadow_alerts(&self, _: &str, _: u32, _: Timestamp, _: Timestamp) -> Result<Vec<ShadowAlert>, StoreError> { not_here() }
    async fn shadow_clear(&self, _: &str, _: u32) -> Result<(), StoreError> { not_here() }
    async fn messages(&self, patient: &PatientId, since: Timestamp) -> Result<Vec<StoredMessage>, StoreError> {
        self.ask().await?;
        let state = self.state();
        Ok(state.messages.iter().filter(|one| one.patient == *patient && one.recorded_at >= since).map(as_stored).collect())
    }
    async fn message_pages(&self, _: &PatientId, _: Timestamp) -> Result<MessagePages, StoreError> { not_here() }
    async fn newest_messages(&self, patient: &PatientId, since: Timestamp, before: Option<Timestamp>, limit: u32) -> Result<Vec<StoredMessage>, StoreError> {
        let mut all = self.messages(patient, since).await?;
        all.retain(|one| before.is_none_or(|before| one.recorded_at < before));
        Ok(all.split_off(all.len().saturating_sub(limit as usize)))
    }
    async fn message(&self, key: &KitSeq) -> Result<Option<(PatientId, StoredMessage)>, StoreError> {
        self.ask().await?;
        let state = self.state();
        Ok(state.messages.iter().find(|one| one.key == *key).map(|one| (one.patient.clone(), as_stored(one))))
    }
    async fn invalidated(&self, _: Option<&PatientId>) -> Result<Vec<InvalidReading>, StoreError> { not_here() }
    async fn open_alerts(&self, patient: Option<&PatientId>) -> Result<Vec<Alert>, StoreError> {
        self.ask().await?;
        Ok(self.state().open(patient))
    }
    async fn history(&self, _: &HistoryFilter) -> Result<History, StoreError> { not_here() }
    async fn alert(&self, id: AlertId) -> Result<Option<(Alert, Vec<AlertEvent>)>, StoreError> {
        self.ask().await?;
        let state = self.state();
        Ok(state.at.get(&id).map(|place| state.alerts[*place].clone()))
    }
    async fn alerts_of(&self, patient: &PatientId, limit: u32) -> Result<Vec<Alert>, StoreError> {
        self.ask().await?;
        let state = self.state();
        let mut of: Vec<Alert> = state.alerts.iter().rev().map(|(alert, _)| alert).filter(|alert| alert.patient == *patient).cloned().collect();
        of.sort_by_key(|alert| std::cmp::Reverse(alert.raised_at));
        of.truncate(limit as usize);
        Ok(of)
    }
    async fn curves(&self, _: &PatientId, _: &[Vital], _: Timestamp, _: u32) -> Result<Vec<Curve>, StoreError> { not_here() }
    async fn quarantine(&self, limit: u32) -> Result<(Vec<QuarantinedEntry>, u64), StoreError> {
        self.ask().await?;
        let state = self.state();
        let rows = state.quarantine.iter().enumerate().rev().take(limit as usize).map(|(id, (row, at))| QuarantinedEntry {
            id: id as i64, kit: row.kit.clone(), seq: row.seq, recorded_at: *at, reason: row.reason.clone(), bytes: row.bytes.len() as u64,
        });
        Ok((rows.collect(), state.quarantine.len() as u64))
    }
    async fn quarantined(&self, _: i64) -> Result<Option<(QuarantinedEntry, Vec<u8>)>, StoreError> { not_here() }
    async fn roster(&self) -> Result<Roster, StoreError> {
        self.ask().await?;
        Ok(self.state().roster.clone())
    }
    async fn heard(&self, _: &[Heard]) -> Result<(), StoreError> { not_here() }
    async fn last_heard(&self) -> Result<Vec<Heard>, StoreError> { Ok(Vec::new()) }
    async fn put_enrolment(&self, _: &Enrolment) -> Result<(), StoreError> { not_here() }
    async fn enrol(&self, _: &str, _: &str, _: Timestamp) -> Result<Enrolled, StoreError> { not_here() }
    async fn enrolments(&self) -> Result<Vec<Enrolment>, StoreError> { not_here() }
    async fn put_command(&self, _: &Command) -> Result<bool, StoreError> { not_here() }
    async fn open_commands(&self, _: Timestamp, _: u32) -> Result<Vec<Command>, StoreError> { not_here() }
    async fn commands_of(&self, _: &KitId, _: u32) -> Result<Vec<CommandState>, StoreError> { not_here() }
    async fn accounts(&self) -> Result<Vec<Account>, StoreError> { not_here() }
    async fn account(&self, _: &str) -> Result<Option<Account>, StoreError> { not_here() }
    async fn put_web_session(&self, _: &WebSession) -> Result<(), StoreError> { not_here() }
    async fn web_session(&self, _: &str, _: Timestamp) -> Result<Option<WebSession>, StoreError> { not_here() }
    async fn end_web_session(&self, _: &str, _: Timestamp) -> Result<(), StoreError> { not_here() }
    async fn dump(&self, _: Option<&PatientId>) -> Result<Dump, StoreError> { not_here() }
    async fn holdings(&self) -> Result<Vec<(&'static str, u64)>, StoreError> { not_here() }
    async fn load(&self) -> Result<Box<dyn Load + '_>, StoreError> { not_here() }
    async fn erase(&self, _: &PatientId, _: &[JournalEntry]) -> Result<Erased, StoreError> { not_here() }
    async fn scrub(&self) -> Result<(), StoreError> { not_here() }
    async fn ping(&self) -> Result<(), StoreError> { self.ask().await }
    async fn stored(&self) -> Result<Stored, StoreError> {
        let state = self.state();
        let readings = state.messages.iter().map(|one| one.readings.len() as u64).sum();
        let (messages, quarantined) = (state.messages.len() as u64, state.quarantine.len() as u64);
        Ok(Stored { messages, readings, quarantined, alerts: state.alerts.len() as u64, ..Stored::default() })
    }
    async fn close(&self) {}
}
