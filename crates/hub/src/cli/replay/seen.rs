//! Which messages have been seen: `(kit, seq)` names a message for ever, and sending it again changes nothing.
//!
//! Kept as ranges of consecutive seqs, so that a million messages without gaps cost as much as one.

use std::collections::{BTreeMap, HashMap};

use vitals::KitId;

/// The most ranges that are kept of one kit: a kit with this many gaps is not a kit.
const RANGES_MAX: usize = 100_000;

/// Every message seen so far.
#[derive(Default)]
pub struct Seen {
    /// First and last seq of each range, both included.
    ranges: HashMap<KitId, BTreeMap<u64, u64>>,
}

impl Seen {
    /// Marks a message; `false` if it had been seen before.
    pub fn mark(&mut self, kit: &KitId, seq: u64) -> bool {
        if !self.ranges.contains_key(kit) {
            self.ranges.insert(kit.clone(), BTreeMap::new());
        }
        let ranges = self.ranges.get_mut(kit).expect("inserted above");
        let before = ranges.range(..=seq).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| seq <= last) {
            return false;
        }
        let first = before.filter(|(_, last)| last + 1 == seq).map_or(seq, |(first, _)| first);
        let last = ranges.remove(&(seq + 1)).unwrap_or(seq);
        ranges.insert(first, last);
        if ranges.len() > RANGES_MAX {
            ranges.pop_first();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_any_order_each_is_new_once_and_ranges_grow_together() {
        let kit: KitId = "kit-1".parse().unwrap();
        let mut seen = Seen::default();
        for (seq, new) in [(5, true), (7, true), (5, false), (6, true), (6, false), (7, false), (1, true), (8, true)] {
            assert_eq!(seen.mark(&kit, seq), new, "{seq}");
        }
        assert_eq!(seen.ranges[&kit], BTreeMap::from([(1, 1), (5, 8)]));
        assert!(seen.mark(&"kit-2".parse().unwrap(), 5));
    }
}
