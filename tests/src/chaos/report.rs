//! What a run came to: how often what went wrong, how long it took until all was well, what was checked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    check::Counted,
    fault::{FAULTS, Fault},
    world::World,
};

/// The longest recovery that is told apart, in milliseconds.
const TOOK_MS_MAX: u64 = 600_000;

/// What a run came to.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Of each kind of fault how often, and how long until every kit was heard again, in milliseconds.
    pub faults: BTreeMap<&'static str, Recovery>,
    /// The same of everything that kills.
    pub killed: Recovery,
    /// What was checked, in all rounds.
    pub counted: Counted,
    /// Kinds that were not to be had, or not asked for.
    pub left_out: Vec<&'static str>,
    /// `kill -9` of all programs.
    pub kills: u64,
    /// How often the hub that stood by took over.
    pub taken_over: u64,
    /// How often one that had been taken over from went on, and was refused.
    pub fenced: u64,
    /// The most that the hub held in memory, in MiB.
    pub hub_mib: u64,
}

/// How long it took.
#[derive(Debug, Default, Serialize)]
pub struct Recovery {
    /// How often.
    pub times: u64,
    /// The middle one.
    pub p50_ms: u64,
    /// Of ten the worst.
    pub p90_ms: u64,
    /// Of a hundred the worst.
    pub p99_ms: u64,
    /// The worst.
    pub max_ms: u64,
    /// The most that the hub held afterwards, in MiB.
    pub hub_mib: u64,
}

/// A report in the making.
#[derive(Default)]
pub(super) struct Tally {
    pub report: Report,
    took: BTreeMap<&'static str, (Histogram<u64>, u64)>,
    had: BTreeSet<&'static str>,
}

/// Under which name what kills is counted together.
const KILLS: &str = "(kills)";

impl Tally {
    /// A fault that took so long to be over, after which the hub held so much.
    pub fn took(&mut self, fault: Fault, heard: Duration, hub_mib: u64) -> Result<()> {
        let names = [Some(fault.name()), fault.kills().then_some(KILLS)];
        for name in names.into_iter().flatten() {
            let (took, held) = match self.took.entry(name) {
                std::collections::btree_map::Entry::Occupied(took) => took.into_mut(),
                std::collections::btree_map::Entry::Vacant(none) => {
                    none.insert((Histogram::new_with_bounds(1, TOOK_MS_MAX, 3)?, 0))
                }
            };
            took.record(u64::try_from(heard.as_millis())?.clamp(1, TOOK_MS_MAX))?;
            *held = hub_mib.max(*held);
        }
        Ok(())
    }

    /// These could be had in a round.
    pub fn had(&mut self, faults: impl Iterator<Item = Fault>) {
        self.had.extend(faults.map(Fault::name));
    }

    /// What was killed in a round, and how the lead went from one hub to the other.
    pub fn turned(&mut self, world: &World) {
        self.report.kills += world.kills;
        self.report.taken_over += world.turns.taken_over;
        self.report.fenced += world.turns.fenced;
    }

    /// A round was as it must be.
    pub fn count(&mut self, counted: &Counted) {
        let sum = &mut self.report.counted;
        sum.messages += counted.messages;
        sum.alerts += counted.alerts;
        sum.starts += counted.starts;
    }

    /// The report.
    pub fn finish(self) -> Report {
        let Self { mut report, mut took, had } = self;
        report.killed = took.remove(KILLS).map_or_else(Recovery::default, |took| recovery(&took));
        report.faults = took.iter().map(|(name, took)| (*name, recovery(took))).collect();
        report.left_out = FAULTS.iter().map(|(_, name, _)| *name).filter(|name| !had.contains(name)).collect();
        report
    }
}

fn recovery((took, hub_mib): &(Histogram<u64>, u64)) -> Recovery {
    let at = |quantile| took.value_at_quantile(quantile);
    let (times, max_ms) = (took.len(), took.max());
    Recovery { times, p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), max_ms, hub_mib: *hub_mib }
}
