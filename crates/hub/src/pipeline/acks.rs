//! `vagt/v1/{kit}/acks`: how far a kit's messages are stored, and what of them could not be used. Sent after the commit.
//!
//! `through` is cumulative, so what waits for a kit is one number and a short list, however many batches went by; under load a kit hears at
//! most every [`ACKS_PAUSE`]. Lost acknowledgements do no harm: the kit hears again when it sends again, and when it subscribes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use vitals::KitId;
use wire::{Acks, Judged, Rejection, Topic, TopicKind};

use crate::source::ToKits;

/// The shortest time between two acknowledgements to the same kit.
pub const ACKS_PAUSE: Duration = Duration::from_millis(100);
/// The most rejections of one kit that wait to be told; they are in quarantine in any case.
pub const REJECTIONS_MAX: usize = 256;

/// The most colours of one kit that wait to be told.
pub const JUDGED_MAX: usize = 16;

/// What is still to be told. Bounded by the roster.
#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    kits: HashMap<KitId, Acks>,
    due: BTreeSet<KitId>,
}

impl Outbox {
    /// This kit's messages are here up to `through`; these could not be used.
    ///
    /// Only the newest [`JUDGED_MAX`] colours are told: they are for a person who looks at the kit's page now.
    pub fn put(&self, kit: &KitId, through: u64, rejected: Vec<Rejection>, judged: Vec<Judged>) {
        {
            let mut state = self.lock();
            let acks = state.kits.entry(kit.clone()).or_default();
            acks.through = acks.through.max(through);
            let room = REJECTIONS_MAX.saturating_sub(acks.rejected.len());
            acks.rejected.extend(rejected.into_iter().take(room));
            acks.judged.extend(judged);
            let old = acks.judged.len().saturating_sub(JUDGED_MAX);
            acks.judged.drain(..old);
            state.due.insert(kit.clone());
        }
        self.wake.notify_one();
    }

    /// Tells a kit again what it was told last; nothing, if it has not sent anything since the hub started.
    pub fn again(&self, kit: &KitId) {
        let known = {
            let mut state = self.lock();
            let known = state.kits.contains_key(kit);
            if known {
                state.due.insert(kit.clone());
            }
            known
        };
        if known {
            self.wake.notify_one();
        }
    }

    /// Sends for ever.
    pub async fn keep(self: Arc<Self>, to_kits: Arc<dyn ToKits>) {
        loop {
            self.wake.notified().await;
            self.flush(&*to_kits).await;
            tokio::time::sleep(ACKS_PAUSE).await;
        }
    }

    /// Sends what is due.
    pub async fn flush(&self, to_kits: &dyn ToKits) {
        for (topic, acks) in self.due() {
            match serde_json::to_vec(&acks) {
                Ok(payload) => to_kits.send(&topic, payload).await,
                Err(error) => tracing::error!("acknowledgements can't be written: {error}"),
            }
        }
    }

    fn due(&self) -> Vec<(Topic, Acks)> {
        let mut state = self.lock();
        let State { kits, due } = &mut *state;
        std::mem::take(due)
            .into_iter()
            .filter_map(|kit| {
                let acks = kits.get_mut(&kit)?;
                let (rejected, judged) = (std::mem::take(&mut acks.rejected), std::mem::take(&mut acks.judged));
                Some((Topic::new(&kit, TopicKind::Acks), Acks { through: acks.through, rejected, judged }))
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    #[async_trait]
    impl ToKits for Heard {
        async fn send(&self, topic: &Topic, payload: Vec<u8>) {
            self.0.lock().unwrap().push(format!("{topic} {}", String::from_utf8(payload).unwrap()));
        }
    }

    #[tokio::test]
    async fn batches_are_told_together_and_rejections_once() {
        let (outbox, heard) = (Outbox::default(), Heard::default());
        let kit: KitId = "kit-1".parse().unwrap();
        outbox.again(&kit);
        outbox.put(&kit, 41, vec![Rejection { seq: 41, reason: "no".into() }], Vec::new());
        outbox.put(&kit, 42, Vec::new(), Vec::new());
        outbox.flush(&heard).await;
        outbox.flush(&heard).await;
        outbox.again(&kit);
        outbox.flush(&heard).await;
        let told = heard.0.into_inner().unwrap();
        assert_eq!(
            told,
            [
                r#"vagt/v1/kit-1/acks {"through":42,"rejected":[{"seq":41,"reason":"no"}]}"#,
                r#"vagt/v1/kit-1/acks {"through":42,"rejected":[]}"#
            ]
        );
    }

    #[tokio::test]
    async fn the_newest_colours_are_told_once() {
        let (outbox, heard) = (Outbox::default(), Heard::default());
        let kit: KitId = "kit-1".parse().unwrap();
        let judged = |seq| Judged { seq, vital: None, colour: vitals::Colour::Green };
        outbox.put(&kit, 40, Vec::new(), (1..=40).map(judged).collect());
        outbox.put(&kit, 41, Vec::new(), vec![judged(41)]);
        outbox.flush(&heard).await;
        outbox.again(&kit);
        outbox.flush(&heard).await;
        let told = heard.0.into_inner().unwrap();
        assert_eq!(told[0].matches("colour").count(), JUDGED_MAX);
        assert!(told[0].contains(r#"{"seq":41,"colour":"green"}]"#) && !told[0].contains(r#""seq":25"#), "{}", told[0]);
        assert!(!told[1].contains("judged"));
    }
}
