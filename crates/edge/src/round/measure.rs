//! What a device told: whose it is, whether it is good enough, what the page says about it.

use jiff::{SignedDuration, Timestamp};
use vitals::{Bounds, Clock, Flag, Plausibility, Reading, Vital, check_value};

use super::{
    Doubt, advice, guard,
    held::{HELD_MAX, Held, Keyed},
    machine::{LIVE_PAUSE, Live, Round, Said, Taken, Who, flagged},
    own::{After, Own, Shows},
    trace::shown,
};

/// A poor measurement is asked for again this often, and then let be.
pub const REPEATS_MAX: u8 = 2;
/// Repeats of a measurement belong together within this.
const REPEAT_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// The page speaks about what was measured within this; what a device had stored is taken in without a word.
const SPOKEN_OF_WITHIN: SignedDuration = SignedDuration::from_mins(10);

impl Round {
    /// Takes in what a device measured. Returns whether some of it is held until somebody has said whose it is.
    pub fn measured(&mut self, taken: Taken, now: Timestamp) -> bool {
        let going_on = |live: &&mut Live| live.progress.is_some() || now.duration_since(live.at).abs() <= LIVE_PAUSE;
        let begun_in = self.live.get_mut(&taken.device).filter(going_on).map(|live| {
            (live.progress, live.at) = (None, now);
            live.turn
        });
        let mut withheld = false;
        for group in together(taken.readings) {
            let (known, group): (Vec<Keyed>, Vec<Keyed>) = group.into_iter().partition(|keyed| self.is_held(keyed));
            withheld |= !known.is_empty();
            if group.is_empty() {
                continue;
            }
            match self.whose(&group, taken.user, begun_in) {
                Ok(who) => {
                    self.touch(now);
                    self.accept(&who, group, now);
                }
                Err((who, why)) => {
                    withheld = true;
                    self.hold(who, group, why, now);
                }
            }
        }
        withheld
    }

    /// "Yes, that was me."
    pub(super) fn mine(&mut self, id: u64, now: Timestamp) -> bool {
        let Some(who) = self.who() else { return false };
        let Some(mut held) = self.release(|held| held.id == id && held.asks(&who)) else { return false };
        flagged(&mut held.readings, &Flag::PERSON_CONFIRMED);
        self.out.said.push(Said::Confirmed);
        for group in together(held.readings) {
            self.accept(&who, group, now);
        }
        true
    }

    /// "No, that was somebody else." Gone on the person's word; at a station it may be somebody's there.
    pub(super) fn not_mine(&mut self, id: u64) -> bool {
        let Some(who) = self.who() else { return false };
        if self.rules.station.is_some() {
            let held = self.kit_mut().held.iter_mut().find(|held| held.id == id && held.asks(&who));
            return held.is_some_and(|held| {
                held.not_of.push(who.clone());
                (held.why, held.who) = (Doubt::Nobody, None);
                true
            });
        }
        let Some(held) = self.release(|held| held.id == id && held.asks(&who)) else { return false };
        self.kit_mut().not_mine += 1;
        self.drop_held(held, Said::NotMine);
        true
    }

    /// What nobody has answered for in time.
    pub(super) fn release_over(&mut self, now: Timestamp) {
        while let Some(held) = self.release(|held| held.is_over(now)) {
            self.let_go(held, now);
        }
    }

    /// What waits for this person's yes or no.
    pub(super) fn asking(&self, who: &Who) -> Option<&Held> {
        self.kit.held.iter().find(|held| held.asks(who))
    }

    /// Has the device told this already, and it waits?
    fn is_held(&self, (_, key): &Keyed) -> bool {
        let same = |held: &Held| held.readings.iter().any(|(_, other)| key.is_some() && other == key);
        self.kit.held.iter().any(same)
    }

    fn whose(&self, group: &[Keyed], user: Option<u8>, begun_in: Option<Option<u64>>) -> Result<Who, (Who, Doubt)> {
        let who = match (&self.rules.station, &self.turn) {
            (None, _) => None,
            (Some(_), None) => return Err((None, Doubt::Nobody)),
            // What lies before the turn was measured by somebody else, or stored by the device.
            (Some(_), Some(turn)) if group.iter().any(|(reading, _)| reading.measured_at < turn.began) => {
                return Err((None, Doubt::Nobody));
            }
            (Some(_), Some(_)) if group.iter().any(|(reading, _)| reading.has(&Flag::FROM_STORAGE)) => {
                return Err((None, Doubt::Nobody));
            }
            (Some(_), Some(turn)) if begun_in.is_some_and(|begun| begun != Some(turn.number)) => {
                return Err((None, Doubt::OtherTurn));
            }
            (Some(_), Some(turn)) => Some(turn.patient.clone()),
        };
        let readings: Vec<&Reading> = group.iter().map(|(reading, _)| reading).collect();
        let weights = self.people.get(&who).map(|own| own.weights.clone()).unwrap_or_default();
        match guard::doubt(&readings, user, &weights) {
            Some(doubt) => Err((who, doubt)),
            None => Ok(who),
        }
    }

    /// What one device told of another of its users is asked about once.
    fn hold(&mut self, who: Who, mut group: Vec<Keyed>, why: Doubt, now: Timestamp) {
        self.out.said.push(Said::Held);
        let kit = self.kit_mut();
        let device = group[0].0.device.clone();
        let same = |held: &&mut Held| {
            let asked_once = why != Doubt::OtherWeight && held.why == why && held.who == who;
            asked_once && held.since == now && held.readings[0].0.device == device
        };
        if let Some(held) = kit.held.iter_mut().find(same) {
            return held.readings.append(&mut group);
        }
        kit.held_last += 1;
        let (id, not_of) = (kit.held_last, Vec::new());
        kit.held.push(Held { id, who, readings: group, why, since: now, not_of });
        if kit.held.len() > HELD_MAX {
            let oldest = kit.held.remove(0);
            self.let_go(oldest, now);
        }
    }

    fn release(&mut self, which: impl Fn(&Held) -> bool) -> Option<Held> {
        let index = self.kit.held.iter().position(which)?;
        Some(self.kit_mut().held.remove(index))
    }

    /// Without an answer: sent, marked; or given up, when it may be anybody's.
    pub(super) fn let_go(&mut self, mut held: Held, now: Timestamp) {
        if held.is_nobodys() {
            self.kit_mut().unclaimed += 1;
            return self.drop_held(held, Said::Unclaimed);
        }
        self.out.said.push(Said::Unconfirmed);
        flagged(&mut held.readings, &Flag::PERSON_UNCONFIRMED);
        for keyed in held.readings {
            self.send_reading(&held.who, keyed, false, now);
        }
    }

    fn drop_held(&mut self, held: Held, said: Said) {
        self.out.said.push(said);
        self.out.changes.passed_over.extend(held.readings.into_iter().filter_map(|(_, key)| key));
    }

    /// It is this person's: it is sent, and the page says what it thinks of it.
    fn accept(&mut self, who: &Who, group: Vec<Keyed>, now: Timestamp) {
        let readings: Vec<Reading> = group.iter().map(|(reading, _)| reading.clone()).collect();
        let mut trace = 0;
        for keyed in group {
            let urgent = looks_urgent(&keyed.0);
            trace = self.send_reading(who, keyed, urgent, now);
        }
        let own = self.own_mut(who);
        readings.iter().filter(|reading| !reading.flags.iter().any(Flag::is_doubt)).for_each(|r| own.weights.accept(r));
        let good_enough = judge(own, &readings, trace, now);
        if good_enough {
            own.done(&readings);
            self.remeasured(who, &readings, now);
        }
    }
}

/// Was it measured just now? Some devices tell even that from their storage; of a stored one only its own clock can say.
fn is_of_now(reading: &Reading, now: Timestamp) -> bool {
    let near = now.duration_since(reading.measured_at).abs() <= SPOKEN_OF_WITHIN;
    near && (reading.clock != Clock::Kit || !reading.has(&Flag::FROM_STORAGE))
}

/// Says what is to be said about it. Returns whether it is good enough, or was repeated often enough.
fn judge(own: &mut Own, readings: &[Reading], trace: u64, now: Timestamp) -> bool {
    let advice = poor(readings);
    if !readings.iter().all(|reading| is_of_now(reading, now)) {
        return advice.is_none();
    }
    let lead = lead(readings);
    let values = readings.iter().map(shown).collect();
    let asked_for = own.repeats.get(&lead).filter(|(_, at)| now.duration_since(*at) <= REPEAT_WITHIN);
    let asked_for = asked_for.map_or(0, |(times, _)| *times);
    let what = match advice {
        Some(advice) if asked_for < REPEATS_MAX => {
            own.repeats.insert(lead, (asked_for + 1, now));
            let vitals = readings.iter().map(|reading| reading.vital).collect();
            Shows::Advice { values, advice, vitals, attempt: asked_for + 2 }
        }
        _ => {
            own.repeats.remove(&lead);
            Shows::Result { values, trace }
        }
    };
    let good_enough = matches!(what, Shows::Result { .. });
    own.after = Some(After { what, since: now });
    good_enough
}

/// What to do better, if anything speaks against these.
fn poor(readings: &[Reading]) -> Option<&'static str> {
    let cuff = readings.iter().any(|reading| reading.vital == Vital::Systolic);
    let instrument = |vital: Vital| if cuff { Vital::Systolic } else { vital };
    let flagged = readings.iter().find_map(|reading| advice::advice(instrument(reading.vital), &reading.flags));
    flagged.or_else(|| readings.iter().find_map(unbelievable))
}

/// A value that is hard to believe is asked for again, whatever the device thinks of it.
fn unbelievable(reading: &Reading) -> Option<&'static str> {
    let canonical = reading.clone().into_canonical().ok()?;
    let believed = check_value(canonical.vital, canonical.value) == Plausibility::Ok;
    (!believed).then(|| advice::instrument_advice(canonical.vital))
}

/// The vital that names the measurement.
fn lead(readings: &[Reading]) -> Vital {
    let named = [Vital::Spo2, Vital::Systolic, Vital::Weight, Vital::Fev1];
    let found = named.into_iter().find(|vital| readings.iter().any(|reading| reading.vital == *vital));
    found.unwrap_or(readings[0].vital)
}

/// Outside what is believable for a body: the last to be given up when the spool is over its bound. The kit knows no patient's limits.
fn looks_urgent(reading: &Reading) -> bool {
    let canonical = reading.clone().into_canonical().ok();
    canonical.zip(Bounds::of(reading.vital)).is_some_and(|(reading, bounds)| {
        let (low, high) = bounds.suspect;
        !(low..=high).contains(&reading.value.decimal())
    })
}

/// What was measured at the same moment belongs together.
fn together(readings: Vec<Keyed>) -> Vec<Vec<Keyed>> {
    let mut groups: Vec<Vec<Keyed>> = Vec::new();
    for keyed in readings {
        match groups.iter_mut().find(|group| group[0].0.measured_at == keyed.0.measured_at) {
            Some(group) => group.push(keyed),
            None => groups.push(vec![keyed]),
        }
    }
    groups
}
