//! The history: everything, in the order in which it was recorded, whatever way it is cut.

use jiff::Timestamp;
use vitals::{PatientId, Vital};

use super::{
    Failure, Open, ensure, same,
    sample::{answer, at, batch, entry, key, odd_reading, of, plain, reading},
};
use crate::{Batch, Entry, HistoryFilter, KitSeq, Quarantined, Store, StoreError};

/// More than one block.
const MESSAGES: u64 = 9_000;

/// What a history says of a message.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    patient: PatientId,
    key: KitSeq,
    recorded_at: Timestamp,
    readings: Vec<vitals::Reading>,
    answers: Vec<vitals::Answer>,
}

impl From<&Entry> for Told {
    fn from(entry: &Entry) -> Self {
        let Entry { patient, key, recorded_at, readings, answers, .. } = entry.clone();
        Self { patient, key, recorded_at, readings, answers }
    }
}

async fn told(store: &dyn Store, filter: &HistoryFilter) -> Result<Vec<Told>, StoreError> {
    let mut history = store.history(filter).await?;
    let names = history.names().clone();
    let (mut told, mut done) = (Vec::new(), 0);
    while let Some(chunk) = history.next().await {
        let chunk = chunk?;
        assert!(chunk.done >= done && chunk.done <= history.total(), "how far it is goes up to the total");
        done = chunk.done;
        let one = |message: &crate::HistoryMessage| {
            let mut readings = Vec::new();
            names.readings(&chunk, message, &mut readings);
            Told {
                patient: names.patient(message).clone(),
                key: KitSeq { kit: names.kit(message).clone(), seq: message.seq },
                recorded_at: message.recorded_at,
                readings,
                answers: chunk.answers_of(message).to_vec(),
            }
        };
        told.extend(chunk.messages.iter().map(one));
    }
    Ok(told)
}

/// Messages of seven patients; some say nothing, some much, one of each hundred is in quarantine.
async fn fill(store: &dyn Store) -> Result<Vec<Told>, StoreError> {
    let mut wanted = Vec::new();
    for first in (0..MESSAGES).step_by(1_000) {
        let mut entries = Vec::new();
        for n in (first..first + 1_000).filter(|n| n % 100 != 0) {
            let second = n.cast_signed();
            let readings = (0..n % 5).map(|_| reading(Vital::Pulse, &n.to_string(), second)).collect();
            let mut entry = entry("kit-1", n + 1, &format!("p-{}", n % 7), readings);
            entry.recorded_at = at(second);
            entry.answers = (0..n % 3).map(|_| answer(second)).collect();
            if n % 1_000 == 777 {
                entry.readings = vec![odd_reading(); 40_000];
            }
            entries.push(entry);
        }
        wanted.extend(entries.iter().map(Told::from));
        let bad = |n: u64| Quarantined {
            kit: of("kit-1"),
            seq: Some(n + 1),
            hash: [9; 32],
            bytes: vec![b'{'],
            reason: "no".to_owned(),
            whole: true,
        };
        let quarantined = (first..first + 1_000).step_by(100).map(bad).collect();
        let recorded_at = at(first.cast_signed());
        store.commit(&Batch { recorded_at, entries, quarantined, ..Batch::default() }).await?;
    }
    Ok(wanted)
}

pub(super) async fn a_history_is_everything_in_order(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    same("of nothing", told(&*store, &HistoryFilter::default()).await?, vec![])?;
    let wanted = fill(&*store).await?;
    for readers in [1, 3, 99] {
        let found = told(&*store, &HistoryFilter { readers, ..HistoryFilter::default() }).await?;
        ensure(found == wanted, &format!("{} messages by {readers} readers, not as they were sent", found.len()))?;
    }
    let some = |keep: &dyn Fn(&Told) -> bool| wanted.iter().filter(|told| keep(told)).cloned().collect::<Vec<_>>();
    let between = HistoryFilter { since: at(100), until: at(5_001), ..HistoryFilter::default() };
    let found = told(&*store, &between).await?;
    ensure(found == some(&|told| (at(100)..at(5_001)).contains(&told.recorded_at)), "between two times")?;
    let patients = Some(vec![of("p-3"), of("p-9")]);
    let found = told(&*store, &HistoryFilter { patients, ..HistoryFilter::default() }).await?;
    ensure(found == some(&|told| told.patient.as_str() == "p-3"), "of one patient")?;
    let mut parts = Vec::new();
    for part in 0..3 {
        let found = told(&*store, &HistoryFilter { part: Some((part, 3)), ..HistoryFilter::default() }).await?;
        ensure(found.iter().any(|told| !parts.contains(&told.patient)), "a part of its own")?;
        parts.extend(found.iter().map(|told| told.patient.clone()));
    }
    same("the parts together", parts.len(), wanted.len())
}

/// Beside a writer, and with a consumer that gives up.
pub(super) async fn a_history_ends_where_it_began(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let first = vec![plain("kit-1", 1, "p-1"), plain("kit-1", 2, "p-1")];
    store.commit(&batch(0, first.clone())).await?;
    let mut history = store.history(&HistoryFilter::default()).await?;
    store.commit(&batch(1, vec![plain("kit-9", 3, "p-9")])).await?;
    let mut found = 0;
    while let Some(chunk) = history.next().await {
        found += chunk?.messages.len();
    }
    same("messages", found, 2)?;
    let given_up = store.history(&HistoryFilter::default()).await?;
    drop(given_up);
    store.commit(&batch(2, vec![plain("kit-9", 4, "p-9")])).await?;
    same("a later one", told(&*store, &HistoryFilter::default()).await?.len(), 4)
}

/// A clock that was set back leaves older times after newer ones.
pub(super) async fn a_history_finds_what_a_clock_misplaced(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    for (seq, second) in [(1, 0), (2, 1_000_000), (3, 10)] {
        store.commit(&batch(second, vec![plain("kit-1", seq, "p-1")])).await?;
    }
    let filter = HistoryFilter { since: at(5), until: at(20), ..HistoryFilter::default() };
    let found: Vec<_> = told(&*store, &filter).await?.into_iter().map(|told| told.key).collect();
    same("between", found, vec![key("kit-1", 3)])
}

pub(super) async fn a_patients_messages_come_in_pages(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    for first in (0..3_000).step_by(500) {
        let one = |n: u64| {
            let who = if n.is_multiple_of(2) { "p-1" } else { "p-2" };
            let mut one = entry("kit-1", n + 1, who, (0..n % 20).map(|_| reading(Vital::Spo2, "93", 1)).collect());
            one.recorded_at = at(n.cast_signed());
            one.answers = (0..n % 3).map(|_| answer(2)).collect();
            one
        };
        let entries = (first..first + 500).map(one).collect();
        store.commit(&Batch { entries, ..Batch::default() }).await?;
    }
    let whole = store.messages(&of("p-1"), at(100)).await?;
    same("messages", whole.len(), 1_450)?;
    ensure(
        whole.iter().all(|message| message.session.as_u128() == u128::from(message.key.seq) + 7),
        "each its sitting",
    )?;
    ensure(whole.windows(2).all(|pair| pair[0].recorded_at < pair[1].recorded_at), "each its own stamp")?;
    let mut pages = store.message_pages(&of("p-1"), at(100)).await?;
    let (mut paged, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await {
        let page = page?;
        ensure(!page.is_empty() && page.len() < 1_450, "a page is some of them")?;
        paged.extend(page);
        count += 1;
    }
    ensure(count > 1 && paged == whole, "the pages together are not the whole")?;
    let newest = store.newest_messages(&of("p-1"), at(100), None, 3).await?;
    ensure(newest == whole[1_447..], "the newest three")?;
    let before = newest.first().map(|message| message.recorded_at);
    let older = store.newest_messages(&of("p-1"), at(100), before, 2).await?;
    ensure(older == whole[1_445..1_447], "the two before them")?;
    let one = store.message(&key("kit-1", 2_001)).await?;
    let wanted = whole.iter().find(|message| message.key.seq == 2_001).map(|message| (of("p-1"), message.clone()));
    same("one", one, wanted)?;
    same("one that is not there", store.message(&key("kit-1", 3_001)).await?, None)?;
    same("one of no kit", store.message(&key("kit-9", 1)).await?, None)
}
