//! What goes on being wrong is told at once, and then at most once a minute. Pure: the time goes in.

use std::time::Duration;

use tokio::time::Instant;

/// When it was told last.
#[derive(Debug, Default)]
pub struct Seldom {
    told: Option<Instant>,
}

impl Seldom {
    const PERIOD: Duration = Duration::from_secs(60);

    /// Is it to be told now? Then it counts as told.
    pub fn is_time(&mut self, now: Instant) -> bool {
        let is_time = self.told.is_none_or(|told| now.duration_since(told) >= Self::PERIOD);
        if is_time {
            self.told = Some(now);
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_being_wrong_is_told_once_a_minute() {
        let (start, mut seldom) = (Instant::now(), Seldom::default());
        let halves = (0..240).map(|half| start + Duration::from_millis(500) * half);
        assert_eq!(halves.filter(|half| seldom.is_time(*half)).count(), 2, "in two minutes");
    }
}
