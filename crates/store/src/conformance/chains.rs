//! Once for ever: repeats and strays of any age, and histories in one piece, whatever happened in between.

use super::{
    Failure, Open, ensure, same,
    sample::{at, batch, entry, key, of, plain, reading},
};
use crate::{Batch, Quarantined, Store, StoreError};
use vitals::Vital;

async fn keys_of(store: &dyn Store, patient: &str) -> Result<Vec<crate::KitSeq>, StoreError> {
    let found = store.messages(&of(patient), at(-1_000_000)).await?;
    Ok(found.into_iter().map(|message| message.key).collect())
}

async fn refuses(store: &dyn Store, refused: &Batch, kit: &str, seq: u64) -> Result<(), Failure> {
    let before = store.stored().await?;
    match store.commit(refused).await {
        Err(StoreError::Duplicate { kit: named, seq: found }) => same("named", (named.as_str(), found), (kit, seq))?,
        other => return Err(Failure(format!("{kit}, {seq} again gave {other:?}"))),
    }
    same("stored", store.stored().await?, before)
}

fn one(kit: &str, seq: u64) -> Batch {
    batch(0, vec![plain(kit, seq, "p-1")])
}

pub(super) async fn a_stray_below_the_last_is_kept_and_known(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    for seq in [100, 50, 75, 1, 101] {
        same("seen before", store.seen(&[key("kit-1", seq)]).await?, vec![])?;
        store.commit(&one("kit-1", seq)).await?;
        same(
            "seen",
            store.seen(&[key("kit-1", seq)]).await?,
            vec![(key("kit-1", seq), plain("kit-1", seq, "p-1").hash)],
        )?;
    }
    same("between", store.seen(&[key("kit-1", 2), key("kit-1", 76), key("kit-1", 0)]).await?, vec![])?;
    same("last", store.last_seqs(&[of("kit-1")]).await?, vec![(of("kit-1"), 101)])?;
    let order: Vec<u64> = keys_of(&*store, "p-1").await?.iter().map(|key| key.seq).collect();
    same("order", order, vec![100, 50, 75, 1, 101])
}

/// Every third seq is sent, so that what lies between was never seen.
pub(super) async fn a_repeat_is_known_however_long_ago(open: Open<'_>) -> Result<(), Failure> {
    const MESSAGES: u64 = 1_300;
    let store = open().await?;
    for first in (0..MESSAGES).step_by(100) {
        let seqs = (first..first + 100).map(|n| n * 3);
        store
            .commit(&batch(
                0,
                seqs.flat_map(|seq| [plain("kit-1", seq, "p-1"), plain("kit-2", seq + 1, "p-2")]).collect(),
            ))
            .await?;
    }
    let asked: Vec<_> = (0..MESSAGES * 3 + 9).map(|seq| key("kit-1", seq)).collect();
    let found: Vec<_> = store.seen(&asked).await?.into_iter().collect();
    let wanted: Vec<_> = (0..MESSAGES).map(|n| (key("kit-1", n * 3), plain("kit-1", n * 3, "p-1").hash)).collect();
    ensure(found == wanted, "a kit's messages are seen, and no others")?;
    for seq in [0, 255 * 3, 256 * 3, 300 * 3, 767 * 3, 768 * 3, (MESSAGES - 1) * 3] {
        refuses(&*store, &one("kit-1", seq), "kit-1", seq).await?;
    }
    store.commit(&one("kit-1", 299 * 3 + 1)).await?;
    store.close().await;
    let store = open().await?;
    refuses(&*store, &one("kit-1", 299 * 3), "kit-1", 299 * 3).await?;
    refuses(&*store, &one("kit-1", 299 * 3 + 1), "kit-1", 299 * 3 + 1).await
}

pub(super) async fn a_repeat_of_a_stray_is_refused(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    store.commit(&batch(0, vec![plain("kit-1", 7, "p-1"), plain("kit-1", 5, "p-1")])).await?;
    refuses(&*store, &one("kit-1", 5), "kit-1", 5).await?;
    let inside = |seqs: &[u64]| batch(0, seqs.iter().map(|seq| plain("kit-1", *seq, "p-1")).collect());
    refuses(&*store, &inside(&[6, 6]), "kit-1", 6).await?;
    refuses(&*store, &inside(&[8, 9, 10, 8]), "kit-1", 8).await?;
    refuses(&*store, &inside(&[8, 3, 9, 3]), "kit-1", 3).await?;
    let bytes = vec![b'{'];
    let bad =
        Quarantined { kit: of("kit-1"), seq: Some(8), hash: [9; 32], bytes, reason: "no".to_owned(), whole: true };
    refuses(&*store, &Batch { quarantined: vec![bad.clone()], ..inside(&[8]) }, "kit-1", 8).await?;
    store.commit(&Batch { quarantined: vec![Quarantined { seq: Some(6), ..bad }], ..inside(&[8]) }).await?;
    same("in quarantine", store.seen(&[key("kit-1", 6)]).await?, vec![(key("kit-1", 6), [9; 32])])?;
    refuses(&*store, &inside(&[9, 6]), "kit-1", 6).await
}

pub(super) async fn a_patients_history_goes_across_kits(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let sent = [
        ("kit-1", 1, "p-1"),
        ("kit-2", 9, "p-2"),
        ("kit-2", 10, "p-1"),
        ("kit-1", 2, "p-2"),
        ("kit-1", 3, "p-1"),
        ("kit-2", 4, "p-1"),
    ];
    store.commit(&batch(0, sent[..3].iter().map(|(kit, seq, patient)| plain(kit, *seq, patient)).collect())).await?;
    store.commit(&batch(1, sent[3..].iter().map(|(kit, seq, patient)| plain(kit, *seq, patient)).collect())).await?;
    for patient in ["p-1", "p-2"] {
        let wanted: Vec<_> = sent.iter().filter(|sent| sent.2 == patient).map(|(kit, seq, _)| key(kit, *seq)).collect();
        let curve = store.curves(&of(patient), &[Vital::Spo2], at(-1), 10).await?;
        same("points", curve[0].points.len(), wanted.len())?;
        same(patient, keys_of(&*store, patient).await?, wanted)?;
    }
    Ok(())
}

pub(super) async fn a_refused_batch_leaves_every_end_where_it_was(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    store.commit(&batch(0, vec![plain("kit-1", 1, "p-1"), plain("kit-2", 1, "p-2")])).await?;
    let refused =
        vec![plain("kit-1", 5, "p-1"), plain("kit-3", 5, "p-2"), plain("kit-1", 6, "p-2"), plain("kit-2", 1, "p-2")];
    refuses(&*store, &batch(0, refused), "kit-2", 1).await?;
    same("last", store.last_seqs(&[of("kit-1"), of("kit-3")]).await?, vec![(of("kit-1"), 1)])?;
    store.commit(&batch(0, vec![plain("kit-1", 4, "p-1"), plain("kit-1", 5, "p-2"), plain("kit-3", 2, "p-1")])).await?;
    same("p-1", keys_of(&*store, "p-1").await?, vec![key("kit-1", 1), key("kit-1", 4), key("kit-3", 2)])?;
    same("p-2", keys_of(&*store, "p-2").await?, vec![key("kit-2", 1), key("kit-1", 5)])?;
    refuses(&*store, &one("kit-1", 4), "kit-1", 4).await
}

/// A hub without a battery for its clock begins in another year.
pub(super) async fn a_clock_set_back_hides_nothing(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let year = 31_536_000;
    for (seq, second) in [(1, 0), (2, -20 * year), (3, 10), (4, 3)] {
        store
            .commit(&batch(second, vec![entry("kit-1", seq, "p-1", vec![reading(Vital::Pulse, "80", second)])]))
            .await?;
    }
    let found = store.messages(&of("p-1"), at(0)).await?;
    same("messages", found.iter().map(|message| message.key.seq).collect(), vec![1, 3, 4])?;
    let curves = store.curves(&of("p-1"), &[Vital::Pulse], at(0), 10).await?;
    same("points", curves[0].points.iter().map(|point| point.at).collect(), vec![at(0), at(3), at(10)])
}

/// Two programs may have one store open: each knows what the other committed.
pub(super) async fn another_writers_messages_are_known(open: Open<'_>) -> Result<(), Failure> {
    let (one_store, two) = (open().await?, open().await?);
    for seq in [1, 3, 5] {
        one_store.commit(&one("kit-1", seq)).await?;
        refuses(&*two, &one("kit-1", seq), "kit-1", seq).await?;
        two.commit(&one("kit-1", seq + 1)).await?;
        refuses(&*one_store, &one("kit-1", seq + 1), "kit-1", seq + 1).await?;
    }
    let found: Vec<u64> = keys_of(&*one_store, "p-1").await?.iter().map(|key| key.seq).collect();
    same("both", found, vec![1, 2, 3, 4, 5, 6])
}
