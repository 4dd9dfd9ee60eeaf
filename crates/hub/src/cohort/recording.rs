//! Everybody's messages in the order in which they arrived, without holding everybody's year: people are drawn again for each stretch of time.

use std::ops::Range;

use jiff::Timestamp;

use super::{Cohort, Ids, Simulated, Sitting};

/// The most that is held at a time, in days of a person.
pub const PERSON_DAYS_MAX: u64 = 400_000;

/// One message of somebody.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Whose place in the stretch's list of people.
    pub whose: usize,
    /// What.
    pub sitting: Sitting,
}

/// What arrived in one stretch of time.
#[derive(Debug)]
pub struct Stretch {
    /// The people, in the order of their numbers.
    pub people: Vec<Ids>,
    /// What they sent, in the order in which it arrived.
    pub sent: Vec<Sent>,
}

impl Cohort {
    /// The stretches of the time, as days, for so many people.
    #[must_use]
    pub fn stretches(&self, people: u64) -> Vec<Range<i64>> {
        let days = i64::from(self.days);
        let length = i64::try_from(PERSON_DAYS_MAX / people.max(1)).unwrap_or(days).clamp(1, days);
        let starts = (0..days).step_by(usize::try_from(length).expect("days are few"));
        starts.map(|start| start..(start + length).min(days)).collect()
    }

    /// What the people with these numbers sent that arrived on these days; on the last day, and whatever comes after it.
    #[must_use]
    pub fn stretch(&self, people: Range<u64>, days: Range<i64>) -> Stretch {
        let until = if days.end >= i64::from(self.days) { Timestamp::MAX } else { self.midnight(days.end) };
        let from = if days.start == 0 { Timestamp::MIN } else { self.midnight(days.start) };
        let mut stretch = Stretch { people: Vec::new(), sent: Vec::new() };
        for number in people {
            let Simulated { ids, sittings, .. } = self.person(number);
            let whose = stretch.people.len();
            stretch.people.push(ids);
            let within = sittings.into_iter().filter(|sitting| (from..until).contains(&sitting.received_at));
            stretch.sent.extend(within.map(|sitting| Sent { whose, sitting }));
        }
        stretch.sent.sort_by_key(|sent| (sent.sitting.received_at, sent.whose));
        stretch
    }
}
