//! Which kits are connected, and what they last said of themselves: to the board at once, to the store at most once a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use desk::Board;
use jiff::Timestamp;
use store::{Heard, Store};
use vitals::KitId;

/// How often what was heard is stored.
const FLUSH_PERIOD: Duration = Duration::from_secs(1);

/// The kits, as heard. Bounded by the roster: only kits that were let in are noted.
pub struct Presence {
    board: Arc<Board>,
    kits: Mutex<HashMap<KitId, Seen>>,
}

struct Seen {
    heard: Heard,
    connections: usize,
    stored: bool,
}

impl Presence {
    /// Starts from what was last stored; nobody is connected yet.
    #[must_use]
    pub fn new(board: Arc<Board>, last: Vec<Heard>) -> Arc<Self> {
        let kits = last.into_iter().map(|heard| {
            let stored = !heard.online;
            (heard.kit.clone(), Seen { heard: Heard { online: false, ..heard }, connections: 0, stored })
        });
        Arc::new(Self { board, kits: Mutex::new(kits.collect()) })
    }

    /// A connection of this kit was accepted.
    pub fn connected(&self, kit: &KitId, now: Timestamp) {
        self.change(kit, now, |seen| seen.connections += 1);
    }

    /// A connection of this kit ended; the kit is offline when it was the last.
    pub fn disconnected(&self, kit: &KitId, now: Timestamp) {
        self.change(kit, now, |seen| seen.connections = seen.connections.saturating_sub(1));
    }

    /// The kit said how it is.
    pub fn status(&self, kit: &KitId, status: serde_json::Value, now: Timestamp) {
        self.change(kit, now, |seen| seen.heard.status = status);
    }

    /// Is a kit connected, and when was it last heard? None if it never was.
    #[must_use]
    pub fn last(&self, kit: &KitId) -> Option<(bool, Timestamp)> {
        self.lock().get(kit).map(|seen| (seen.heard.online, seen.heard.at))
    }

    /// Stores what changed, once a second, for ever.
    pub async fn keep(self: Arc<Self>, store: Arc<dyn Store>) {
        loop {
            tokio::time::sleep(FLUSH_PERIOD).await;
            self.flush(&*store).await;
        }
    }

    /// Stores what changed since the last time.
    pub async fn flush(&self, store: &dyn Store) {
        let changed: Vec<_> = self.lock().values().filter(|seen| !seen.stored).map(|seen| seen.heard.clone()).collect();
        if changed.is_empty() {
            return;
        }
        if let Err(error) = store.heard(&changed).await {
            tracing::warn!("what was heard of {} kits is not stored yet: {error}", changed.len());
            return;
        }
        let mut kits = self.lock();
        for heard in changed {
            if let Some(seen) = kits.get_mut(&heard.kit).filter(|seen| seen.heard == heard) {
                seen.stored = true;
            }
        }
    }

    fn change(&self, kit: &KitId, now: Timestamp, change: impl FnOnce(&mut Seen)) {
        let heard = {
            let mut kits = self.lock();
            let seen = kits.entry(kit.clone()).or_insert_with(|| Seen {
                heard: Heard { kit: kit.clone(), at: now, online: false, status: serde_json::Value::Null },
                connections: 0,
                stored: false,
            });
            change(seen);
            seen.heard.at = now;
            seen.heard.online = seen.connections > 0;
            seen.stored = false;
            seen.heard.clone()
        };
        self.board.heard(heard);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KitId, Seen>> {
        self.kits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use store::Roster;

    use super::*;

    #[test]
    fn a_takeover_does_not_leave_the_kit_offline() {
        let board = Board::new(Vec::new(), Roster::default(), Vec::new(), HashMap::new());
        let presence = Presence::new(board, Vec::new());
        let (kit, now) = ("kit-1".parse().unwrap(), Timestamp::UNIX_EPOCH);
        let online = |presence: &Presence| presence.lock()[&kit].heard.online;
        presence.connected(&kit, now);
        presence.connected(&kit, now);
        presence.disconnected(&kit, now);
        assert!(online(&presence), "the new connection came before the old one went");
        presence.disconnected(&kit, now);
        assert!(!online(&presence));
    }
}
