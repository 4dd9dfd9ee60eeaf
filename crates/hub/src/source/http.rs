//! Kits over HTTP: the same message with the same promise. It goes through the same hands as over MQTT; only "not now" can be said here.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use desk::{Door, NotTakenIn, TakenIn};
use tokio::time::timeout;
use vitals::KitId;

use super::{
    Acked, Arrival,
    front_door::{Behind, HOLD_MAX},
};
use crate::clock;

/// The source.
pub struct HttpSource(pub Behind);

impl HttpSource {
    fn known(&self, kit: &str, secret: &[u8]) -> Option<KitId> {
        let kit: KitId = kit.parse().ok()?;
        let directory = self.0.directories.now();
        let known = directory.may_connect(kit.as_str()) && directory.check_secret(&kit, secret).is_ok();
        known.then_some(kit)
    }
}

#[async_trait]
impl Door for HttpSource {
    fn knows(&self, kit: &str, secret: &[u8]) -> bool {
        let is_known = self.known(kit, secret).is_some();
        if !is_known {
            metrics::counter!("vagt_http_source_refused_total").increment(1);
        }
        is_known
    }

    async fn take(&self, kit: &str, secret: &[u8], payload: Bytes) -> Result<TakenIn, NotTakenIn> {
        let Behind { taker, presence, limits, .. } = &self.0;
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
