//! How long the core's acknowledgement is waited for before everything unacknowledged is sent again. Pure.
//!
//! A broker may say with its PUBACK (MQTT 5) that nobody is subscribed: then the core is away, the message is lost already, and sending
//! it again soon costs little. Otherwise the message may be queued for the core, and sending it again only makes the queue longer.

use std::time::Duration;

/// Queued, perhaps: at first, and in the end.
const QUEUED: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));
/// The same where there is another address to try: longer than a front door holds a message that its store does not take (10 s).
const ELSEWHERE: Duration = Duration::from_secs(15);
/// Nobody is subscribed: at first, and in the end.
const UNHEARD: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// What a PUBACK says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Puback {
    /// The broker has it.
    Taken,
    /// The broker has it, and nobody to give it to.
    NobodyListens,
    /// The broker does not take it, and why.
    Refused(String),
    /// It never came: the connection is over.
    Missing,
}

/// Doubles with every silence of the core, up to its end.
#[derive(Debug, Default)]
pub struct Patience {
    silences: u32,
    nobody_listens: bool,
    elsewhere: bool,
}

impl Patience {
    /// Of a kit that can try `elsewhere`.
    #[must_use]
    pub fn trying(elsewhere: bool) -> Self {
        Self { elsewhere, ..Self::default() }
    }

    /// How long to wait now.
    pub fn wait(&self) -> Duration {
        let (first, cap) = match (self.nobody_listens, self.elsewhere) {
            (true, _) => UNHEARD,
            (false, true) => (ELSEWHERE, QUEUED.1),
            (false, false) => QUEUED,
        };
        first.saturating_mul(1 << self.silences.min(16)).min(cap)
    }

    /// The broker says that nobody is subscribed.
    pub fn nobody_listens(&mut self) {
        self.nobody_listens = true;
    }

    /// The wait was over, and nothing was acknowledged. What nobody heard is sent again.
    pub fn silent(&mut self) {
        *self = Self { silences: self.silences.saturating_add(1), nobody_listens: false, ..*self };
    }

    /// The core has acknowledged something.
    pub fn acknowledged(&mut self) {
        *self = Self::trying(self.elsewhere);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_and_is_short_when_nobody_listens() {
        let mut patience = Patience::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            let queued = patience.wait().as_secs();
            patience.nobody_listens();
            waits.push((queued, patience.wait().as_secs()));
            patience.silent();
        }
        assert_eq!(waits, [(30, 2), (60, 4), (120, 8), (240, 16), (480, 30), (600, 30), (600, 30)]);
        patience.acknowledged();
        assert_eq!(patience.wait().as_secs(), 30);
    }
}
