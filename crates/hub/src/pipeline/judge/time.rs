//! The judge's clock, and what is judged because time passes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use store::Journal;
use triage::{Event, assess, next_tick};

use super::{Judge, Timers};
use crate::{
    kits::KitHeard,
    pipeline::{health::BEAT, stamps::Stamps},
};

/// Deadlines that are judged in one turn, so that readings are not held up by silence.
const TICKS_MAX: usize = 256;
/// The same patient is not judged for silence more often than this.
const TICK_PAUSE: SignedDuration = SignedDuration::from_millis(100);

impl Judge {
    /// The judge begins: whoever is in the roster goes on as of now.
    pub(super) fn begin(&mut self, set_back_from: Option<Timestamp>) {
        self.started = self.stamp();
        self.known = self.directory.plans().keys().cloned().collect();
        self.note(self.started, None, None, Journal::Started { set_back_from });
        self.note_in_use();
    }

    /// Sees a clock that has been set back: the charts hold as judged what is still to come.
    pub(super) fn watch_clock(&mut self) {
        let now = (self.clock)();
        if !self.stamps.is_behind(now) {
            self.stamps.see(now);
        } else if !self.stepped_back {
            self.stepped_back = true;
            self.tell_set_back(self.stamps.last());
        }
    }

    pub(super) fn tell_set_back(&self, from: Timestamp) {
        let now = (self.clock)();
        metrics::counter!("vagt_clock_stepped_back_total").increment(1);
        tracing::warn!(
            "the clock went from {from} back to {now}: every chart is loaded anew, and time is taken from it again"
        );
    }

    /// Is everything stored that the charts know of? Until then nothing is taken in.
    pub(super) fn may_start_anew(&self) -> bool {
        self.stepped_back && self.work.is_empty() && self.committed.number() + 1 >= self.work.number
    }

    /// Goes by the clock again. The charts are derived: they come again from what is stored.
    pub(super) fn start_anew(&mut self) {
        let left = self.stamps.last();
        self.charts.clear();
        self.rebuilds.clear();
        self.building = 0;
        self.timers = Timers::default();
        self.stamps = Stamps::anew((self.clock)());
        self.stepped_back = false;
        self.begin(Some(left));
    }

    pub(super) fn until_tick(&self) -> Duration {
        let Some(next) = self.timers.next().filter(|_| self.room() > 0) else { return BEAT };
        Duration::try_from(next.duration_since((self.clock)())).unwrap_or(Duration::ZERO).min(BEAT)
    }

    /// Judges the silences that are due. A sitting moves a deadline to later and leaves the timer, and this looks again;
    /// only what waits to be measured again brings it forward.
    pub(super) fn tick(&mut self) {
        let now = (self.clock)();
        if self.room() == 0 {
            return;
        }
        for _ in 0..TICKS_MAX {
            let Some(patient) = self.timers.pop(now) else { break };
            self.pass(&patient, now);
            let next = self.charts.get(&patient).and_then(|watched| next_tick(&watched.chart, &watched.plan));
            self.timers.set(&patient, next.map(|next| next.max(now + TICK_PAUSE)));
        }
    }

    /// A patient's kit fell silent, or came back.
    pub(super) async fn hear(&mut self, heard: KitHeard) {
        let KitHeard { patient, kit, silent_since } = heard;
        if let Err(damage) = self.need_chart(&patient).await {
            tracing::error!(%patient, "that a kit is silent is not judged, the chart can't be read: {damage}");
            return;
        }
        let silent = self.charts.get(&patient).map(|watched| watched.chart.kit_silent_since().is_some());
        if silent.is_none_or(|silent| silent == silent_since.is_some()) {
            return;
        }
        let at = self.stamp();
        let Some(watched) = self.charts.get_mut(&patient) else { return };
        let outcome = assess(&mut watched.chart, &watched.plan, &Event::Kit(silent_since), at);
        let next = next_tick(&watched.chart, &watched.plan);
        self.timers.set(&patient, next);
        self.work.add(outcome);
        self.show(&patient);
        let what =
            silent_since.map_or(Journal::KitBack { kit: kit.clone() }, |since| Journal::KitSilent { kit, since });
        self.note_step(&patient, at, None, what);
    }

    /// Judges one patient's deadlines up to now, if one has passed.
    pub(super) fn pass(&mut self, patient: &vitals::PatientId, now: Timestamp) {
        let Some(watched) = self.charts.get(patient) else { return };
        let Some(due) = next_tick(&watched.chart, &watched.plan).filter(|due| *due <= now) else { return };
        let at = self.stamp();
        let Some(watched) = self.charts.get_mut(patient) else { return };
        metrics::counter!("vagt_ticks_total").increment(1);
        let outcome = assess(&mut watched.chart, &watched.plan, &Event::Tick, at);
        if outcome.assessment.is_none() && outcome.alerts.is_empty() {
            return;
        }
        self.work.add(outcome);
        self.show(patient);
        self.note_step(patient, at, None, Journal::Ticked { due });
    }
}
