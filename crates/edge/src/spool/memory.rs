//! What could not be written to the disk is held here meanwhile, bounded, and written when there is space again. Pure.

use std::collections::VecDeque;

use super::row::{Row, SeenKey};

/// The most messages that are held in memory.
pub const HELD_ROWS_MAX: usize = 1_000;
/// The most bytes that are held in memory.
pub const HELD_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Messages that are in memory alone, oldest first.
#[derive(Debug, Default)]
pub struct Memory {
    rows: VecDeque<Row>,
    bytes: u64,
}

impl Memory {
    /// Holds a message. Returns what had to be given up for it: the oldest routine first.
    pub fn hold(&mut self, row: Row) -> Vec<Row> {
        self.bytes += row.bytes();
        self.rows.push_back(row);
        let mut given_up = Vec::new();
        while self.rows.len() > HELD_ROWS_MAX || self.bytes > HELD_BYTES_MAX {
            let lowest = self.rows.iter().map(|row| row.priority).min();
            let index = self.rows.iter().position(|row| Some(row.priority) == lowest);
            let Some(row) = index.and_then(|index| self.rows.remove(index)) else { break };
            self.bytes -= row.bytes();
            given_up.push(row);
        }
        given_up
    }

    /// Everything that is held, in order.
    pub fn rows(&mut self) -> &[Row] {
        self.rows.make_contiguous()
    }

    /// The first `limit` messages after `seq`, in order.
    pub fn after(&self, seq: u64, limit: usize) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.seq > seq).take(limit)
    }

    /// It is on the disk now.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Removes what the core has acknowledged.
    pub fn delete_through(&mut self, through: u64) {
        self.rows.retain(|row| row.seq > through);
        self.bytes = self.rows.iter().map(Row::bytes).sum();
    }

    /// Gives every message a number from `next` on, and returns the number after the last.
    pub fn renumber(&mut self, mut next: u64) -> u64 {
        for row in &mut self.rows {
            row.seq = next;
            next += 1;
        }
        next
    }

    /// In which held message this record of a device went.
    pub fn seen(&self, key: &SeenKey) -> Option<u64> {
        self.rows.iter().find(|row| row.seen.contains(key)).map(|row| row.seq)
    }

    /// Messages held.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::row::{Priority, tests::draft};

    fn row(seq: u64, priority: Priority) -> Row {
        draft(priority).numbered(seq, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn over_the_bound_the_oldest_routine_goes_first() {
        let mut memory = Memory::default();
        assert!(memory.hold(row(1, Priority::Urgent)).is_empty());
        for seq in 2..=HELD_ROWS_MAX as u64 {
            assert!(memory.hold(row(seq, Priority::Routine)).is_empty());
        }
        let given_up = memory.hold(row(5000, Priority::Urgent));
        assert_eq!(given_up.iter().map(|row| row.seq).collect::<Vec<_>>(), [2]);
        assert_eq!(memory.after(0, 2).map(|row| row.seq).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(memory.after(4999, 2).map(|row| row.seq).collect::<Vec<_>>(), [5000]);
    }

    #[test]
    fn over_the_bytes_too() {
        let mut memory = Memory::default();
        let mut large = row(1, Priority::Routine);
        large.body = "x".repeat(HELD_BYTES_MAX as usize);
        assert!(memory.hold(large).is_empty());
        assert_eq!(memory.hold(row(2, Priority::Routine)).len(), 1);
        assert_eq!(memory.len(), 1);
        memory.delete_through(2);
        assert_eq!((memory.len(), memory.bytes), (0, 0));
    }
}
