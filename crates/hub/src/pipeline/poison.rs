//! What has just gone into quarantine does not go there again: one kit that sends the same unusable bytes for ever would fill the disk.
//!
//! Remembered in memory alone, so a restart stores it once more. A message with a seq of its own is known by that seq, and stored.

use std::collections::{HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use store::Quarantined;
use vitals::KitId;

/// The same is stored again after this.
const REPEAT_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// The most that is remembered; then the oldest is forgotten.
const REMEMBERED_MAX: usize = 4096;

/// The same kit, the same seq or none, the same hash.
type Key = (KitId, Option<u64>, [u8; 32]);

/// What went into quarantine lately.
#[derive(Default)]
pub(super) struct Poison {
    known: HashSet<Key>,
    order: VecDeque<(Timestamp, Key)>,
}

impl Poison {
    /// Is this to be stored? Remembers it if it is.
    pub fn is_news(&mut self, row: &Quarantined, now: Timestamp) -> bool {
        let over = |at: Timestamp| !(SignedDuration::ZERO..REPEAT_AFTER).contains(&now.duration_since(at));
        while self.order.len() >= REMEMBERED_MAX || self.order.front().is_some_and(|(at, _)| over(*at)) {
            let Some((_, key)) = self.order.pop_front() else { break };
            self.known.remove(&key);
        }
        let key = (row.kit.clone(), row.seq, row.hash);
        let news = self.known.insert(key.clone());
        if news {
            self.order.push_back((now, key));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kit: &str, seq: Option<u64>, hash: u64) -> Quarantined {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&hash.to_be_bytes());
        let (kit, reason) = (kit.parse().unwrap(), String::new());
        Quarantined { kit, seq, hash: bytes, bytes: Vec::new(), reason, whole: false }
    }

    #[test]
    fn the_same_is_news_once_a_day() {
        let mut poison = Poison::default();
        let at = |hours: i64| Timestamp::from_second(3600 * hours).unwrap();
        for (kit, seq, hash, hours, news) in [
            ("kit-1", None, 1, 100, true),
            ("kit-1", None, 1, 123, false),
            ("kit-2", None, 1, 123, true),
            ("kit-1", Some(1), 1, 123, true),
            ("kit-1", None, 2, 123, true),
            ("kit-1", None, 1, 124, true),
            ("kit-1", None, 1, 125, false),
            ("kit-1", None, 2, 9, true),
        ] {
            assert_eq!(poison.is_news(&row(kit, seq, hash), at(hours)), news, "{kit} {seq:?} {hash} at {hours}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut poison = Poison::default();
        for hash in 0..3 * REMEMBERED_MAX as u64 {
            assert!(poison.is_news(&row("kit-1", None, hash), Timestamp::UNIX_EPOCH));
        }
        assert_eq!((poison.known.len(), poison.order.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
    }
}
