//! Messages: all or nothing, once, as they were sent, in order.

use vitals::{Reading, Vital};

use super::{
    Failure, Open, ensure, same,
    sample::{answer, at, batch, entry, key, odd_reading, of, plain, reading, written},
};
use crate::{Batch, Quarantined, Store, StoreError, Stored};

/// Messages of a patient since the beginning.
async fn all_of(store: &dyn Store, patient: &str) -> Result<Vec<crate::StoredMessage>, StoreError> {
    store.messages(&of(patient), at(-1_000_000)).await
}

fn counted(stored: &Stored) -> (u64, u64, u64) {
    (stored.messages, stored.readings, stored.answers)
}

pub(super) async fn an_empty_store_has_nothing(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    store.ping().await?;
    store.commit(&Batch::default()).await?;
    let stored = store.stored().await?;
    ensure(stored.schema > 0, "the schema has a version")?;
    same("stored", stored.clone(), Stored { schema: stored.schema, ..Stored::default() })?;
    same("messages", all_of(&*store, "p-1").await?, vec![])?;
    same("seen", store.seen(&[key("kit-1", 1)]).await?, vec![])?;
    same("last seqs", store.last_seqs(&[of("kit-1")]).await?, vec![])?;
    same("open alerts", store.open_alerts(None).await?, vec![])?;
    same("roster", store.roster().await?, crate::Roster::default())?;
    same("quarantine", store.quarantine(10).await?.1, 0)
}

pub(super) async fn what_was_committed_comes_back_as_it_was(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let mut one = entry("kit-1", 42, "p-1", vec![reading(Vital::Spo2, "93", 1), odd_reading()]);
    one.answers = vec![answer(3), answer(2)];
    let mut none = entry("kit-2", 1, "p-1", vec![]);
    none.answers = vec![answer(9)];
    store.commit(&batch(5, vec![one.clone(), none.clone()])).await?;

    let found = all_of(&*store, "p-1").await?;
    for (found, sent) in found.iter().zip([&one, &none]) {
        same("key", &found.key, &sent.key)?;
        same("recorded_at", found.recorded_at, at(5))?;
        same("readings", &found.readings, &sent.readings)?;
        same("answers", &found.answers, &sent.answers)?;
    }
    same("messages", found.len(), 2)?;
    same("somebody else's", all_of(&*store, "p-2").await?, vec![])?;
    same("counts", counted(&store.stored().await?), (2, 2, 3))
}

pub(super) async fn digits_and_nanoseconds_are_kept(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let digits = [
        "93",
        "93.0",
        "36.70",
        "-0.5",
        "0",
        "0.00",
        "0.005",
        "999999.125",
        "0.123456789",
        "0.1234567890",
        "93.00000000000000000001",
        "123456789012345678901234",
    ];
    let readings: Vec<Reading> = digits.iter().map(|digits| reading(Vital::Weight, digits, 0)).collect();
    let mut nanosecond = odd_reading();
    nanosecond.measured_at = "1970-01-01T00:00:00.000000001Z".parse().expect("a constant");
    let sent = entry("kit-1", 1, "p-1", [readings, vec![nanosecond.clone()]].concat());
    store.commit(&batch(0, vec![sent])).await?;

    let mut found = all_of(&*store, "p-1").await?.remove(0).readings;
    same("times", found.pop().map(|reading| reading.measured_at), Some(nanosecond.measured_at))?;
    let wanted: Vec<String> = digits.iter().map(|digits| (*digits).to_owned()).collect();
    same("digits", written(found.iter().map(|reading| reading.value)), wanted.clone())?;
    let curves = store.curves(&of("p-1"), &[Vital::Weight], at(-10), 100).await?;
    same("digits in a curve", written(curves[0].points.iter().map(|point| point.value)), wanted)
}

pub(super) async fn messages_come_in_the_order_in_which_they_were_recorded(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    store.commit(&batch(1, vec![plain("kit-2", 9, "p-1"), plain("kit-1", 2, "p-1")])).await?;
    store.commit(&batch(1, vec![plain("kit-3", 1, "p-2"), plain("kit-1", 1, "p-1")])).await?;
    store.commit(&batch(0, vec![entry("kit-2", 3, "p-1", vec![reading(Vital::Pulse, "80", -500)])])).await?;
    let found: Vec<_> = all_of(&*store, "p-1").await?.into_iter().map(|message| message.key).collect();
    same("order", found, vec![key("kit-2", 9), key("kit-1", 2), key("kit-1", 1), key("kit-2", 3)])
}

pub(super) async fn messages_are_found_by_when_they_were_recorded(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let late = entry("kit-1", 2, "p-1", vec![reading(Vital::Pulse, "80", -500)]);
    let ahead = entry("kit-1", 3, "p-1", vec![reading(Vital::Pulse, "81", 500)]);
    store.commit(&batch(10, vec![plain("kit-1", 1, "p-1"), ahead])).await?;
    store.commit(&batch(20, vec![late])).await?;
    for (since, seqs) in [(10, vec![1, 3, 2]), (11, vec![2]), (20, vec![2]), (21, vec![])] {
        let found: Vec<u64> =
            store.messages(&of("p-1"), at(since)).await?.iter().map(|message| message.key.seq).collect();
        same(&format!("recorded since second {since}"), found, seqs)?;
    }
    Ok(())
}

pub(super) async fn a_duplicate_stores_nothing_of_its_batch(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    store.commit(&batch(0, vec![plain("kit-1", 1, "p-1")])).await?;
    let across = batch(1, vec![plain("kit-9", 2, "p-9"), plain("kit-1", 1, "p-1"), plain("kit-1", 3, "p-1")]);
    let inside = batch(1, vec![plain("kit-1", 4, "p-1"), plain("kit-1", 4, "p-1")]);
    for (refused, seq) in [(across, 1), (inside, 4)] {
        match store.commit(&refused).await {
            Err(StoreError::Duplicate { kit, seq: named }) => same("named", (kit.as_str(), named), ("kit-1", seq))?,
            other => return Err(Failure(format!("a duplicate gave {other:?}"))),
        }
    }
    same("counts", counted(&store.stored().await?), (1, 1, 0))?;
    same("seen", store.seen(&[key("kit-9", 2), key("kit-1", 3), key("kit-1", 4)]).await?, vec![])?;
    store.commit(&batch(2, vec![plain("kit-9", 2, "p-9"), plain("kit-1", 3, "p-1")])).await?;
    same("somebody's after it", all_of(&*store, "p-9").await?.len(), 1)?;
    same("counts after it", counted(&store.stored().await?), (3, 3, 0))
}

pub(super) async fn seen_knows_the_hash(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let sent = [plain("kit-1", 1, "p-1"), plain("kit-1", 9_007_199_254_740_991, "p-1"), plain("kit-2", 1, "p-2")];
    store.commit(&batch(0, sent.to_vec())).await?;
    let mut asked: Vec<_> = sent.iter().map(|entry| entry.key.clone()).collect();
    asked.extend([key("kit-1", 2), key("kit-3", 1), key("kit-2", 9_007_199_254_740_991)]);
    let mut found = store.seen(&asked).await?;
    found.sort();
    let mut wanted: Vec<_> = sent.iter().map(|entry| (entry.key.clone(), entry.hash)).collect();
    wanted.sort();
    same("seen", found, wanted)?;
    same("seen of nothing", store.seen(&[]).await?, vec![])
}

pub(super) async fn the_last_seq_of_each_kit(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    store.commit(&batch(0, vec![plain("kit-1", 7, "p-1"), plain("kit-1", 5, "p-1"), plain("kit-2", 1, "p-2")])).await?;
    let mut found = store.last_seqs(&[of("kit-1"), of("kit-2"), of("kit-3")]).await?;
    found.sort();
    same("last seqs", found, vec![(of("kit-1"), 7), (of("kit-2"), 1)])
}

fn quarantined(kit: &str, seq: Option<u64>, whole: bool) -> Quarantined {
    let bytes = vec![0, 159, 146, 150, b'{'];
    Quarantined { kit: of(kit), seq, hash: [9; 32], bytes, reason: "found {, want a message".to_owned(), whole }
}

pub(super) async fn quarantine_keeps_the_bytes_and_the_mark(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let bad = vec![
        quarantined("kit-1", Some(3), true),
        quarantined("kit-1", Some(4), false),
        quarantined("kit-1", None, true),
        quarantined("kit-1", None, true),
    ];
    store.commit(&Batch { quarantined: bad, ..batch(1, vec![plain("kit-1", 4, "p-1")]) }).await?;

    let (listed, all) = store.quarantine(3).await?;
    same("in all", all, 4)?;
    same("seqs, newest first", listed.iter().map(|entry| entry.seq).collect(), vec![None, None, Some(4)])?;
    let newest = &listed[0];
    same("kit", newest.kit.as_str(), "kit-1")?;
    same("length, time", (newest.bytes, newest.recorded_at), (5, at(1)))?;
    same("reason", newest.reason.as_str(), "found {, want a message")?;
    let shown = store.quarantined(listed[2].id).await?.map(|(entry, bytes)| (entry.seq, entry.bytes, bytes));
    same("one with its bytes", shown, Some((Some(4), 5, quarantined("kit-1", Some(4), false).bytes)))?;
    ensure(store.quarantined(newest.id + 100).await?.is_none(), "a number that nothing has")?;

    let mut seen = store.seen(&[key("kit-1", 3), key("kit-1", 4)]).await?;
    seen.sort();
    same("marks", seen, vec![(key("kit-1", 3), [9; 32]), (key("kit-1", 4), plain("kit-1", 4, "p-1").hash)])?;
    let more = Batch { quarantined: vec![quarantined("kit-1", Some(8), true)], ..batch(2, vec![]) };
    store.commit(&more).await?;
    same("last seq", store.last_seqs(&[of("kit-1")]).await?, vec![(of("kit-1"), 8)])?;
    ensure(
        matches!(store.commit(&more).await, Err(StoreError::Duplicate { seq: 8, .. })),
        "twice in quarantine is refused",
    )?;
    let stored = store.stored().await?;
    same("counts", (stored.messages, stored.quarantined), (1, 5))
}

pub(super) async fn curves_are_by_time_of_measurement(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let pulse = |value: &str, second| reading(Vital::Pulse, value, second);
    let mut flagged = pulse("84", 3);
    flagged.flags = vec![vitals::Flag::SUSPECT];
    let mut simulated = pulse("85", 5);
    simulated.flags = vec![vitals::Flag::SIMULATED];
    store.commit(&batch(10, vec![entry("kit-1", 1, "p-1", vec![pulse("82", 2), flagged])])).await?;
    store
        .commit(&batch(
            11,
            vec![entry("kit-1", 2, "p-1", vec![pulse("81", 1), simulated, reading(Vital::Spo2, "93", 4)])],
        ))
        .await?;
    store.commit(&batch(12, vec![entry("kit-2", 1, "p-2", vec![pulse("60", 2)])])).await?;

    let curves = store.curves(&of("p-1"), &[Vital::Pulse, Vital::Weight], at(2), 100).await?;
    same("vitals", curves.iter().map(|curve| curve.vital).collect(), vec![Vital::Pulse, Vital::Weight])?;
    let points: Vec<_> =
        curves[0].points.iter().map(|point| (point.value.to_string(), point.at, point.flagged)).collect();
    let wanted = vec![("82".to_owned(), at(2), false), ("84".to_owned(), at(3), true), ("85".to_owned(), at(5), false)];
    same("points", points, wanted)?;
    same("no points", curves[1].points.len(), 0)?;

    store.commit(&batch(13, vec![entry("kit-1", 3, "p-1", vec![pulse("90", 500)])])).await?;
    let ahead = store.curves(&of("p-1"), &[Vital::Pulse], at(400), 100).await?;
    same(
        "a point of a clock that is ahead",
        written(ahead[0].points.iter().map(|point| point.value)),
        vec!["90".to_owned()],
    )
}

pub(super) async fn curves_keep_the_newest(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let one = |seq: u64, second| entry("kit-1", seq, "p-1", vec![reading(Vital::Pulse, &seq.to_string(), second)]);
    store.commit(&batch(50, vec![one(61, 1), one(62, 9), one(63, 40)])).await?;
    store.commit(&batch(60, vec![one(64, 5), one(65, 8)])).await?;
    store.commit(&batch(70, vec![one(66, 2)])).await?;
    for (limit, wanted) in
        [(0, vec![]), (1, vec!["63"]), (3, vec!["65", "62", "63"]), (9, vec!["61", "66", "64", "65", "62", "63"])]
    {
        let curves = store.curves(&of("p-1"), &[Vital::Pulse], at(0), limit).await?;
        let found = written(curves[0].points.iter().map(|point| point.value));
        same(&format!("the newest {limit}"), found, wanted.into_iter().map(str::to_owned).collect())?;
    }
    Ok(())
}

pub(super) async fn what_was_committed_survives_closing(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    store.commit(&batch(0, vec![plain("kit-1", 1, "p-1")])).await?;
    let before = all_of(&*store, "p-1").await?;
    store.close().await;
    drop(store);

    let store = open().await?;
    same("messages", all_of(&*store, "p-1").await?, before)?;
    ensure(store.commit(&batch(1, vec![plain("kit-1", 1, "p-1")])).await.is_err(), "the mark is still there")?;
    store.commit(&batch(1, vec![plain("kit-1", 2, "p-1"), plain("kit-2", 1, "p-1")])).await?;
    let found: Vec<_> = all_of(&*store, "p-1")
        .await?
        .into_iter()
        .map(|m| (m.key, written(m.readings.iter().map(|r| r.value))))
        .collect();
    let wanted = [key("kit-1", 1), key("kit-1", 2), key("kit-2", 1)].map(|key| (key, vec!["93".to_owned()]));
    same("messages after more", found, wanted.to_vec())
}

pub(super) async fn what_was_committed_survives_dropping(open: Open<'_>) -> Result<(), Failure> {
    for seq in 1..=5 {
        let store = open().await?;
        store.commit(&batch(0, vec![plain("kit-1", seq, "p-1")])).await?;
        same("messages", all_of(&*store, "p-1").await?.len() as u64, seq)?;
        drop(store);
    }
    Ok(())
}

/// Every batch holds one message of each of two patients: a reader must never see one without the other.
pub(super) async fn a_reader_sees_whole_batches_while_another_writes(open: Open<'_>) -> Result<(), Failure> {
    const BATCHES: u64 = 60;
    let (writer, reader) = (open().await?, open().await?);
    let writing = async {
        for seq in 1..=BATCHES {
            writer.commit(&batch(0, vec![plain("kit-1", seq, "p-1"), plain("kit-2", seq, "p-2")])).await?;
        }
        Ok::<_, Failure>(())
    };
    let reading = async {
        loop {
            let stored = reader.stored().await?;
            ensure(stored.messages % 2 == 0 && stored.readings == stored.messages, "half a batch was seen")?;
            if stored.messages == BATCHES * 2 {
                return Ok::<_, Failure>(());
            }
            let before = all_of(&*reader, "p-1").await?.len();
            let after = all_of(&*reader, "p-2").await?.len();
            ensure(before <= after, "a later read saw less")?;
            tokio::task::yield_now().await;
        }
    };
    tokio::try_join!(writing, reading).map(|_| ())
}

pub(super) async fn a_big_batch(open: Open<'_>) -> Result<(), Failure> {
    const MESSAGES: u64 = 3_003;
    let store = open().await?;
    let readings =
        |seq: u64| (0..seq % 7).map(|n| reading(Vital::Pulse, &(seq + n).to_string(), 0)).collect::<Vec<_>>();
    let entries =
        (1..=MESSAGES).map(|seq| entry(&format!("kit-{}", seq % 101), seq, &format!("p-{}", seq % 101), readings(seq)));
    let sent: Vec<_> = entries.collect();
    store.commit(&batch(0, sent.clone())).await?;
    for patient in [0, 1, 77, 100] {
        let wanted: Vec<_> = sent.iter().filter(|entry| entry.key.seq % 101 == patient).collect();
        let found = all_of(&*store, &format!("p-{patient}")).await?;
        same("keys", found.iter().map(|m| &m.key).collect::<Vec<_>>(), wanted.iter().map(|e| &e.key).collect())?;
        same(
            "readings",
            found.iter().map(|m| &m.readings).collect::<Vec<_>>(),
            wanted.iter().map(|e| &e.readings).collect(),
        )?;
    }
    let keys: Vec<_> = sent.iter().map(|entry| entry.key.clone()).collect();
    same("seen", store.seen(&keys).await?.len(), sent.len())
}

pub(super) async fn a_closed_store_refuses(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    store.close().await;
    store.close().await;
    ensure(store.commit(&batch(0, vec![plain("kit-1", 1, "p-1")])).await.is_err(), "a closed store took a batch")?;
    ensure(store.ping().await.is_err(), "a closed store took a ping")?;
    ensure(store.stored().await.is_err(), "a closed store answered")
}
