//! The journal: once, in order, with what it caused or not at all; and which readings it says are invalid.

use serde_json::json;
use vitals::Vital;

use super::{
    Failure, Open, ensure, same,
    sample::{at, batch, entry, key, of, plain, reading},
};
use crate::{Batch, Journal, JournalEntry, JournalFilter, Store, StoreError, UnknownEntry};
use jiff::{SignedDuration, Timestamp};

fn noted(second: i64, patient: Option<&str>, what: Journal) -> JournalEntry {
    JournalEntry { at: at(second), by: Some("ane".to_owned()), patient: patient.map(of), what }
}

fn back(kit: &str) -> Journal {
    Journal::KitBack { kit: of(kit) }
}

fn plan(spo2: f64) -> Journal {
    let (programmes, own) = (vec!["copd".to_owned()], json!({ "spo2": { "red_below": spo2 } }));
    Journal::PlanChanged { programmes, own, stratum: Some("high".to_owned()), reason: Some("his usual".to_owned()) }
}

async fn all(store: &dyn Store) -> Result<Vec<JournalEntry>, StoreError> {
    store.journal(JournalFilter::default()).await
}

pub(super) async fn entries_are_found_by_patient_name_and_stamp(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let moon =
        UnknownEntry { entry: "moon_phase".to_owned(), body: [("full".to_owned(), json!(true))].into_iter().collect() };
    let entries = vec![
        noted(1, None, back("kit-1")),
        noted(2, Some("p-1"), plan(85.5)),
        noted(3, Some("p-2"), plan(86.0)),
        noted(4, Some("p-1"), Journal::Unknown(moon)),
        JournalEntry { by: None, ..noted(5, None, back("kit-2")) },
    ];
    store.commit(&Batch { journal: entries.clone(), ..Batch::default() }).await?;
    drop(store);
    let store = open().await?;
    same("all", all(&*store).await?, entries.clone())?;
    let (patient, names) = (of("p-1"), ["plan_changed", "kit_back"]);
    let any = JournalFilter::default();
    let cases = [
        ("of a patient", JournalFilter { patient: Some(&patient), ..any }, vec![1, 3]),
        ("by name", JournalFilter { entries: Some(&names), ..any }, vec![0, 1, 2, 4]),
        ("by no name", JournalFilter { entries: Some(&[]), ..any }, vec![]),
        ("between", JournalFilter { since: Some(at(2)), before: Some(at(4)), ..any }, vec![1, 2]),
        ("the oldest", JournalFilter { limit: 2, ..any }, vec![0, 1]),
        ("the newest", JournalFilter { limit: 2, newest_first: true, ..any }, vec![4, 3]),
        ("both", JournalFilter { patient: Some(&patient), entries: Some(&names), newest_first: true, ..any }, vec![1]),
    ];
    for (what, filter, wanted) in cases {
        let wanted = wanted.into_iter().map(|index: usize| entries[index].clone()).collect();
        same(what, store.journal(filter).await?, wanted)?;
    }
    Ok(())
}

pub(super) async fn an_entry_is_stored_with_its_batch_once(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let entries = vec![noted(1, Some("p-1"), plan(85.0))];
    let together = Batch { journal: entries.clone(), ..batch(1, vec![plain("kit-1", 1, "p-1")]) };
    store.commit(&together).await?;
    let refused = Batch { journal: vec![noted(2, None, back("kit-1"))], ..together };
    ensure(store.commit(&refused).await.is_err(), "a duplicate was not refused")?;
    same("after a refused batch", all(&*store).await?, entries.clone())?;
    // A commit that was reported as failed, and had happened.
    store.commit(&Batch { journal: entries.clone(), ..Batch::default() }).await?;
    same("after the same again", all(&*store).await?, entries)
}

pub(super) async fn a_stamp_is_given_once(open: Open<'_>) -> Result<(), Failure> {
    let (one, two) = (open().await?, open().await?);
    same("nothing stored", one.last_stamp().await?, None)?;
    one.commit(&batch(10, vec![plain("kit-1", 1, "p-1")])).await?;
    same("a message", one.last_stamp().await?, Some(at(10)))?;
    let mut stamps = Vec::new();
    for second in [20, 20, 15, 20, 30] {
        stamps.extend(two.append(&[noted(second, None, back("kit-1")), noted(second, None, back("kit-1"))]).await?);
        one.commit(&Batch { journal: vec![noted(second + 100, None, back("kit-2"))], ..Batch::default() }).await?;
    }
    ensure(stamps.windows(2).all(|pair| pair[0] < pair[1]), "appended stamps do not grow")?;
    same("microseconds", stamps[0], at(20) + SignedDuration::from_nanos(1))?;
    ensure(stamps.iter().all(|stamp| stamp.subsec_nanosecond() % 1_000 == 1), "a judge's stamp was given away")?;
    let found = all(&*one).await?;
    ensure(found.windows(2).all(|pair| pair[0].at < pair[1].at), "a stamp is there twice")?;
    same("every one is there", found.iter().filter(|entry| stamps.contains(&entry.at)).count(), 10)?;
    let last = found.last().map(|entry| entry.at).unwrap_or_default();
    let (next, last_stamp) = (last + SignedDuration::from_micros(1), one.last_stamp().await?.unwrap_or_default());
    ensure(last <= last_stamp && last_stamp < next, "the last stamp is not up to a whole microsecond")
}

/// A clock that was wrong once must not give every later entry a time to come; and one that was set back brings old stamps again.
pub(super) async fn a_wrong_clock_is_not_waited_for(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let year = 31_536_000;
    store
        .commit(&Batch {
            journal: vec![noted(year, None, back("kit-1"))],
            ..batch(year, vec![plain("kit-1", 1, "p-1")])
        })
        .await?;
    let stamps = store.append(&[noted(10, None, back("kit-1")), noted(11, None, back("kit-1"))]).await?;
    same("whole seconds", stamps.iter().map(|stamp| (*stamp - at(0)).get_seconds()).collect(), vec![10, 11])?;
    let again = |kit| Batch { journal: vec![noted(5, None, back(kit))], ..Batch::default() };
    store.commit(&again("kit-5")).await?;
    store.commit(&again("kit-6")).await?;
    let found = all(&*store).await?;
    let wanted = vec![at(5), at(5) + SignedDuration::from_nanos(1)];
    same("both are there", found.iter().take(2).map(|entry| entry.at).collect(), wanted)
}

fn invalid(second: i64, patient: &str, seq: u64, place: u16) -> JournalEntry {
    let reason = "somebody else stood on the scale".to_owned();
    noted(second, Some(patient), Journal::ReadingInvalidated { kit: of("kit-1"), seq, place, reason })
}

fn restored(second: i64, patient: &str, seq: u64, place: u16) -> JournalEntry {
    noted(second, Some(patient), Journal::ReadingRestored { kit: of("kit-1"), seq, place, reason: "no".to_owned() })
}

pub(super) async fn a_reading_is_invalid_until_it_is_restored(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let pulses = |seq| entry("kit-1", seq, "p-1", (0..3).map(|n| reading(Vital::Pulse, "80", n)).collect());
    let others = entry("kit-2", 7, "p-1", vec![reading(Vital::Pulse, "81", 5)]);
    store.commit(&batch(9, vec![pulses(7), others, plain("kit-1", 8, "p-2")])).await?;
    same("at first", store.invalidated(None).await?, vec![])?;

    let entries =
        [invalid(10, "p-1", 7, 1), invalid(11, "p-1", 7, 2), invalid(12, "p-2", 8, 0), restored(13, "p-1", 7, 2)];
    store.append(&entries).await?;
    let places = |found: Vec<crate::InvalidReading>| -> Vec<_> {
        found.into_iter().map(|one| (one.key, one.place, one.entry.what)).collect()
    };
    let wanted = vec![(key("kit-1", 7), 1, entries[0].what.clone()), (key("kit-1", 8), 0, entries[2].what.clone())];
    same("of all", places(store.invalidated(None).await?), wanted.clone())?;
    same("of one", places(store.invalidated(Some(&of("p-1"))).await?), wanted[..1].to_vec())?;
    let marks = async || -> Result<Vec<bool>, StoreError> {
        let curves = store.curves(&of("p-1"), &[Vital::Pulse], at(0), 10).await?;
        Ok(curves[0].points.iter().map(|point| point.invalid).collect())
    };
    same("marked in a curve", marks().await?, vec![false, true, false, false])?;

    store.append(&[restored(20, "p-1", 7, 1), invalid(21, "p-1", 7, 0), restored(22, "p-2", 8, 0)]).await?;
    same("after restoring", places(store.invalidated(None).await?).len(), 1)?;
    same("marked after restoring", marks().await?, vec![true, false, false, false])?;
    same("all stay stored", store.messages(&of("p-1"), Timestamp::MIN).await?[0].readings.len(), 3)
}
