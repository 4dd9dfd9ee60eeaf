//! When silence is next judged, for each patient. Bounded by the roster.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use vitals::PatientId;

/// One deadline a patient.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Timestamp, PatientId)>,
    due: HashMap<PatientId, Timestamp>,
}

impl Timers {
    /// Sets, moves or removes a patient's deadline.
    pub fn set(&mut self, patient: &PatientId, at: Option<Timestamp>) {
        if self.due.get(patient).copied() == at {
            return;
        }
        if let Some(before) = self.due.remove(patient) {
            self.order.remove(&(before, patient.clone()));
        }
        if let Some(at) = at {
            self.due.insert(patient.clone(), at);
            self.order.insert((at, patient.clone()));
        }
    }

    /// Brings a patient's deadline forward, where it is later.
    pub fn forward(&mut self, patient: &PatientId, at: Timestamp) {
        if self.due.get(patient).is_none_or(|due| at < *due) {
            self.set(patient, Some(at));
        }
    }

    /// The next deadline.
    pub fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the next patient whose deadline is over at `now`.
    pub fn pop(&mut self, now: Timestamp) -> Option<PatientId> {
        if self.next()? > now {
            return None;
        }
        let (_, patient) = self.order.pop_first()?;
        self.due.remove(&patient);
        Some(patient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_earliest_and_forgets_what_was_moved() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (one, two): (PatientId, PatientId) = ("p-1".parse().unwrap(), "p-2".parse().unwrap());
        let mut timers = Timers::default();
        timers.set(&one, Some(at(10)));
        timers.set(&two, Some(at(20)));
        timers.set(&one, Some(at(30)));
        assert_eq!(timers.pop(at(19)), None);
        assert_eq!(timers.pop(at(20)), Some(two));
        timers.forward(&one, at(40));
        timers.forward(&one, at(25));
        assert_eq!(timers.next(), Some(at(25)));
        timers.set(&one, None);
        assert_eq!((timers.next(), timers.pop(at(99))), (None, None));
    }
}
