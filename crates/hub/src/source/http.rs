//! Kits over HTTP: the same message with the same promise. It goes through the same hands as over MQTT; only "not now" can be said here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use desk::{Door, Entered, NotTakenIn, TakenIn};
use tokio::time::timeout;
use vitals::KitId;

use super::{
    Acked, Arrival,
    front_door::{Behind, HOLD_MAX},
};
use crate::clock;

/// Messages that are read and stored at a time, of all kits: each is at most [`desk::BODY_BYTES_MAX`] bytes.
const UNDER_WAY_MAX: usize = 256;

/// The source.
pub struct HttpSource {
    behind: Behind,
    under_way: UnderWay,
}

/// How many messages of each kit are read and stored now. Bounded by [`UNDER_WAY_MAX`].
type UnderWay = Arc<Mutex<HashMap<KitId, usize>>>;

/// One of them.
struct Turn {
    kit: KitId,
    under_way: UnderWay,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = under_way.get_mut(&self.kit) {
            *turns -= 1;
            if *turns == 0 {
                under_way.remove(&self.kit);
            }
        }
    }
}

impl HttpSource {
    /// With nothing under way.
    #[must_use]
    pub fn new(behind: Behind) -> Self {
        Self { behind, under_way: Arc::default() }
    }

    fn known(&self, kit: &str, secret: &[u8]) -> Option<KitId> {
        let kit: KitId = kit.parse().ok()?;
        let directory = self.behind.directories.now();
        let known = directory.may_connect(kit.as_str()) && directory.check_secret(&kit, secret).is_ok();
        known.then_some(kit)
    }
}

#[async_trait]
impl Door for HttpSource {
    fn enter(&self, kit: &str, secret: &[u8]) -> Result<Entered, NotTakenIn> {
        let Some(kit) = self.known(kit, secret) else {
            metrics::counter!("vagt_http_source_refused_total").increment(1);
            return Err(NotTakenIn::Unknown);
        };
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.get(&kit).is_some_and(|turns| *turns >= self.behind.limits.connections()) {
            return Err(NotTakenIn::Later("so many messages of this kit are being read already".to_owned()));
        }
        if under_way.values().sum::<usize>() >= UNDER_WAY_MAX {
            return Err(NotTakenIn::Later("so many messages are being read already".to_owned()));
        }
        *under_way.entry(kit.clone()).or_default() += 1;
        drop(under_way);
        Ok(Box::new(Turn { kit, under_way: Arc::clone(&self.under_way) }))
    }

    async fn take(&self, kit: &str, secret: &[u8], payload: Bytes) -> Result<TakenIn, NotTakenIn> {
        let Behind { taker, presence, limits, .. } = &self.behind;
        let Some(kit) = self.known(kit, secret) else { return Err(NotTakenIn::Unknown) };
        let now = clock::now();
        if let Err(wait) = limits.check(&kit, payload.len()) {
            presence.slowed(&kit, limits.note_over(&kit), now);
            return Err(NotTakenIn::TooFast(wait.as_secs() + 1));
        }
        presence.touched(&kit, now);
        let arrival = Arrival { kit, payload, refused: None, received_at: now, wants_ack: true };
        let stored = Arc::clone(taker).line_up(arrival, false).stored();
        match timeout(HOLD_MAX, stored).await {
            Ok(Ok(Acked { rejected: Some(why), whole: true })) => Err(NotTakenIn::Unusable(why)),
            Ok(Ok(Acked { rejected, .. })) => Ok(TakenIn { stored: true, rejected }),
            Ok(Err(why)) => Err(NotTakenIn::Later(why.to_string())),
            Err(_) => Err(NotTakenIn::Later(format!("not stored in {} s", HOLD_MAX.as_secs()))),
        }
    }
}
