//! Which messages of this connection are under way. Pure.
//!
//! A PUBACK frees the send window: alone it promises nothing, since a broker may have sent it. What lets a message go is the core's
//! cumulative `acks`, and the message's own PUBACK beside it: `through` may have passed a number that the core has given up waiting for, and
//! that is under way now. When either stays away although messages were sent, everything unacknowledged is sent again on a new connection.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Messages sent and without PUBACK, at most.
pub const IN_FLIGHT_MAX: usize = 100;
/// Messages sent and not covered by the core's acks, at most: more would only fill a broker whose core is away.
pub const UNACKED_MAX: usize = 500;

/// One connection's messages.
#[derive(Debug)]
pub struct Window {
    in_flight: BTreeSet<u64>,
    unacked: BTreeSet<u64>,
    /// Refused on this connection.
    refused: BTreeSet<u64>,
    /// The last that was taken.
    taken: u64,
    cursor: u64,
    /// The core was told of no later one as the oldest that is kept.
    told: u64,
    progress: Instant,
}

impl Window {
    /// A connection that begins `now`, with nothing sent.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let [in_flight, unacked, refused] = Default::default();
        Self { in_flight, unacked, refused, taken: 0, cursor: 0, told: 0, progress: now }
    }

    /// How many messages may be sent now.
    #[must_use]
    pub fn room(&self) -> usize {
        let in_flight = IN_FLIGHT_MAX.saturating_sub(self.in_flight.len());
        in_flight.min(UNACKED_MAX.saturating_sub(self.unacked.len()))
    }

    /// The last `seq` that was sent on this connection; 0 before the first.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The oldest message that the kit still keeps, as far as this connection knows, when it sends `next`: on a connection everything is sent
    /// in order, from the first that waits.
    #[must_use]
    pub fn oldest(&self, next: u64) -> u64 {
        self.unacked.first().copied().unwrap_or(next).min(next)
    }

    /// A message was handed to the client.
    pub fn sent(&mut self, seq: u64, now: Instant) {
        if self.unacked.is_empty() {
            self.progress = now;
        }
        self.told = self.told.max(self.oldest(seq));
        self.in_flight.insert(seq);
        self.unacked.insert(seq);
        self.cursor = self.cursor.max(seq);
    }

    /// Its PUBACK came, and says that it was `taken` or that it was not.
    pub fn puback(&mut self, seq: u64, taken: bool) {
        self.in_flight.remove(&seq);
        if taken {
            self.taken = self.taken.max(seq);
        } else {
            self.refused.insert(seq);
        }
    }

    /// What was refused for what it is: later ones were taken. Nothing as long as anything has no PUBACK yet.
    #[must_use]
    pub fn refused_alone(&self) -> Vec<u64> {
        let known = self.in_flight.is_empty();
        self.refused.range(..self.taken).copied().filter(|_| known).collect()
    }

    /// Everything up to this that was sent on this connection has its PUBACK. Nothing beyond it leaves the spool.
    #[must_use]
    pub fn taken_through(&self) -> u64 {
        let first = self.in_flight.first().into_iter().chain(self.refused.first()).min();
        first.map_or(self.cursor, |first| self.cursor.min(first.saturating_sub(1)))
    }

    /// The core has everything through this. Returns whether that is news.
    pub fn acked(&mut self, through: u64, now: Instant) -> bool {
        let before = self.unacked.len();
        self.unacked = self.unacked.split_off(&through.saturating_add(1));
        let news = self.unacked.len() < before;
        if news {
            self.progress = now;
        }
        news
    }

    /// The core has everything through this, and the first that waits is not the next number: the kit started between them, or gave some up.
    /// The core passes that only when it is told that nothing before is kept, so that one goes once more, and what is behind it.
    pub fn tell_leap(&mut self, through: u64) {
        let first = self.unacked.first().copied().filter(|first| *first > self.told.max(through.saturating_add(1)));
        if let Some(first) = first.filter(|_| self.in_flight.is_empty()) {
            self.cursor = first - 1;
            self.unacked.clear();
        }
    }

    /// When to give up waiting for the core's acks, if it is waited for any.
    #[must_use]
    pub fn overdue_at(&self, patience: Duration) -> Option<Instant> {
        (!self.unacked.is_empty()).then(|| self.progress + patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn pubacks_free_the_window_and_acks_let_go() {
        let start = Instant::now();
        let mut window = Window::new(start);
        assert_eq!(window.room(), IN_FLIGHT_MAX);
        for seq in 1..=IN_FLIGHT_MAX as u64 {
            window.sent(seq, start);
        }
        assert_eq!((window.room(), window.cursor()), (0, 100));
        window.puback(7, true);
        assert_eq!(window.room(), 1);
        assert_eq!(window.oldest(101), 1);
        assert!(window.acked(50, start));
        assert_eq!(window.oldest(101), 51);
        assert!(!window.acked(50, start), "said before");
        assert_eq!(window.room(), 1, "an ack is no PUBACK");
    }

    #[test]
    fn what_has_no_puback_or_a_refusal_is_not_let_go() {
        let start = Instant::now();
        let mut window = Window::new(start);
        assert_eq!(window.taken_through(), 0);
        (5..=9).for_each(|seq| window.sent(seq, start));
        assert_eq!(window.taken_through(), 4);
        window.puback(5, true);
        window.puback(7, true);
        assert_eq!(window.taken_through(), 5, "6 is under way");
        window.puback(6, false);
        window.puback(9, true);
        assert!(window.refused_alone().is_empty(), "8 is under way");
        window.puback(8, true);
        assert_eq!(window.taken_through(), 5, "6 was refused");
        assert_eq!(window.refused_alone(), [6]);
        window.sent(10, start);
        window.puback(10, false);
        assert_eq!(window.refused_alone(), [6], "nothing after 10 was taken: it may not be 10's fault");
        let mut window = Window::new(start);
        window.sent(12, start);
        window.puback(12, true);
        assert_eq!(window.taken_through(), 12);
    }

    #[test]
    fn what_waits_behind_a_leap_goes_once_more_and_is_the_oldest_then() {
        let (start, restart) = (Instant::now(), 1_800_000_000_000);
        let mut window = Window::new(start);
        for seq in [41, 42, restart, restart + 1] {
            window.sent(seq, start);
            window.puback(seq, seq != 42);
        }
        window.acked(41, start);
        window.tell_leap(41);
        assert_eq!(window.cursor(), restart + 1, "42 is the next number");
        window.acked(42, start);
        window.tell_leap(42);
        assert_eq!((window.cursor(), window.oldest(restart)), (restart - 1, restart));
        window.sent(restart, start);
        window.tell_leap(42);
        assert_eq!(window.cursor(), restart, "it is under way");
        window.puback(restart, true);
        window.tell_leap(42);
        assert_eq!(window.cursor(), restart, "it was said");
    }

    #[test]
    fn a_core_that_is_away_does_not_fill_its_broker() {
        let start = Instant::now();
        let mut window = Window::new(start);
        let mut seq = 0;
        while window.room() > 0 {
            seq += 1;
            window.sent(seq, start);
            window.puback(seq, true);
        }
        assert_eq!(seq, UNACKED_MAX as u64);
        window.acked(10, start);
        assert_eq!(window.room(), 10);
    }

    #[test]
    fn waiting_for_acks_ends_only_where_something_is_waited_for() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(start);
        assert_eq!(window.overdue_at(PATIENCE), None);
        window.sent(1, later(10));
        window.sent(2, later(20));
        window.puback(1, true);
        assert_eq!(window.overdue_at(PATIENCE), Some(later(70)));
        window.acked(1, later(30));
        assert_eq!(window.overdue_at(PATIENCE), Some(later(90)));
        window.acked(2, later(40));
        assert_eq!(window.overdue_at(PATIENCE), None);
    }
}
