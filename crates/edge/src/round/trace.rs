//! What became of what was sent: kept, acknowledged, judged, seen. In memory alone: the spool is the truth. Pure.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use vitals::{Colour, Reading, Vital};
use wire::Judged;

use super::{Fate, Sight, Who, view::Shown};
use crate::spool::Receipt;

/// Messages that are followed; the oldest is forgotten first.
pub const TRACES_MAX: usize = 128;

/// Messages on their way.
#[derive(Debug, Default)]
pub struct Traces {
    all: VecDeque<Trace>,
    next: u64,
}

/// One message on its way.
#[derive(Debug)]
pub struct Trace {
    /// Its number here.
    pub id: u64,
    /// Whose.
    pub who: Who,
    /// Does it ask for a call?
    pub call: bool,
    kept_at: Timestamp,
    receipt: Option<Receipt>,
    sent_at: Option<Timestamp>,
    colours: BTreeMap<Option<Vital>, Colour>,
    seen: Option<Sight>,
}

impl Traces {
    /// Follows a message that is about to be spooled.
    pub fn begin(&mut self, who: Who, call: bool, now: Timestamp) -> u64 {
        self.next += 1;
        let (receipt, sent_at, seen) = (None, None, None);
        self.all.push_back(Trace {
            id: self.next,
            who,
            call,
            kept_at: now,
            receipt,
            sent_at,
            colours: BTreeMap::new(),
            seen,
        });
        if self.all.len() > TRACES_MAX {
            self.all.pop_front();
        }
        self.next
    }

    /// It is in the spool, under this receipt.
    pub fn spooled(&mut self, id: u64, receipt: Receipt) -> Option<&Trace> {
        let trace = self.all.iter_mut().find(|trace| trace.id == id)?;
        trace.receipt = Some(receipt);
        Some(trace)
    }

    /// The core has everything up to this. Returns whose news it is.
    pub fn acked(&mut self, acked: Receipt, now: Timestamp) -> bool {
        let waiting = self.all.iter_mut().filter(|trace| trace.sent_at.is_none());
        let covered = waiting.filter(|trace| trace.receipt.is_some_and(|receipt| receipt.covered_by(acked)));
        covered.fold(false, |_, trace| {
            trace.sent_at = Some(now);
            true
        })
    }

    /// The core has judged these. The worst counts.
    pub fn judged(&mut self, judged: &[Judged]) {
        for one in judged {
            let of = |trace: &&mut Trace| trace.receipt.is_some_and(|receipt| receipt.seq() == one.seq);
            if let Some(trace) = self.all.iter_mut().find(of) {
                let colour = trace.colours.entry(one.vital).or_insert(one.colour);
                *colour = one.colour.max(*colour);
            }
        }
    }

    /// Somebody at the clinic has looked at what this person sent up to then.
    pub fn seen(&mut self, who: &Who, sight: &Sight) {
        for trace in self.all.iter_mut().filter(|trace| trace.who == *who && trace.kept_at <= sight.at) {
            trace.seen.get_or_insert_with(|| sight.clone());
        }
    }

    /// What became of it.
    #[must_use]
    pub fn fate(&self, id: u64) -> Option<Fate> {
        let trace = self.find(id)?;
        let colour = trace.colours.values().max().copied();
        Some(Fate { kept_at: trace.kept_at, sent_at: trace.sent_at, colour, seen: trace.seen.clone() })
    }

    /// The values with the colours that they have by now.
    #[must_use]
    pub fn coloured(&self, id: u64, values: &[Shown]) -> Vec<Shown> {
        let colour = |vital: Vital| self.find(id)?.colours.get(&Some(vital)).copied();
        values.iter().map(|value| Shown { colour: colour(value.vital), ..value.clone() }).collect()
    }

    fn find(&self, id: u64) -> Option<&Trace> {
        self.all.iter().find(|trace| trace.id == id)
    }
}

/// A reading, for the page.
#[must_use]
pub fn shown(reading: &Reading) -> Shown {
    let Reading { vital, value, unit, flags, .. } = reading;
    Shown { vital: *vital, value: *value, unit: *unit, flags: flags.clone(), colour: None }
}
