//! Everybody goes through every way of raising alerts, spread over the machine's cores. The order of the results is that of the people.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use jiff::Timestamp;
use triage::{Own, Plan, Rulebook, Sitting};

use super::{
    moments::{HANDLED_AFTER, Moment, moments, together},
    own,
    scores::{METHODS, scores},
    tally::{Judged, Tally},
};
use crate::{
    cohort::{Cohort, Condition, Simulated},
    tuning::{
        episode::{Episode, Kind},
        side::Side,
    },
};

/// A programme with those whom it concerns.
pub struct Ours {
    /// Its id and version.
    pub name: String,
    /// It, over the clinic's defaults that are shipped.
    pub book: Arc<Rulebook>,
    /// Whom.
    pub concerns: &'static [Condition],
    /// With own limits for who lives beyond a floor: see [`own`].
    pub own: bool,
}

/// What all ways did for one person.
pub struct Seen {
    /// What the person has.
    pub condition: Condition,
    /// Weeks that count.
    pub weeks: f64,
    /// Seconds in which an alert would have been true.
    pub seconds_true: f64,
    /// Events that count, and in how many of their windows nothing came at all.
    pub events: u32,
    /// Those without anything in their window.
    pub silent_events: u32,
    /// Readings of the year.
    pub readings: u64,
    /// For each plain way (by its place in [`METHODS`]) and each of its settings.
    pub plain: Vec<Vec<Tally>>,
    /// For each programme, by its place: red alone, and yellow or red. None where it does not concern the person.
    pub ours: Vec<Option<[Tally; 2]>>,
}

/// Open alerts are among so many latest ones: a person has at most one for each family of rules.
const OPEN_MAX: usize = 64;
/// People that a thread takes at a time.
const TAKEN: u64 = 8;

/// Runs people 1 to so many, and so many more with pulmonary fibrosis; `step` hears of every few that are done.
///
/// # Errors
/// A programme can't be used, in a sentence.
pub fn run(
    cohort: &Cohort,
    ours: &[Ours],
    [mixed, fibrosis]: [u64; 2],
    step: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Seen>, String> {
    let (next, people) = (AtomicU64::new(1), mixed + fibrosis);
    let done: Mutex<BTreeMap<u64, Result<Seen, String>>> = Mutex::new(BTreeMap::new());
    let drawn = |number: u64| match number <= mixed {
        true => cohort.person(number),
        false => cohort.with_fibrosis(number),
    };
    let work = || loop {
        let first = next.fetch_add(TAKEN, Ordering::Relaxed);
        if first > people {
            return;
        }
        let numbers = first..(first + TAKEN).min(people + 1);
        let seen: Vec<_> = numbers.clone().map(|number| (number, person(ours, cohort, drawn(number)))).collect();
        done.lock().expect("no thread fails while it holds this").extend(seen);
        step(numbers.count() as u64);
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    done.into_inner().expect("every thread is done").into_values().collect()
}

fn person(ours: &[Ours], cohort: &Cohort, simulated: Simulated) -> Result<Seen, String> {
    let condition = simulated.person.condition;
    let judged = Judged::of(cohort, &simulated.course);
    let plain = METHODS.iter().map(|method| {
        if !method.concerns.contains(&condition) {
            return Vec::new();
        }
        let scored = scores(method.plain, cohort, &simulated);
        method.swept.iter().map(|setting| judged.tally(&moments(&scored, *setting))).collect()
    });
    let plain = plain.collect();
    let tallies = ours.iter().map(|one| {
        let concerned = one.concerns.contains(&condition);
        concerned.then(|| watched(cohort, one, &simulated, &judged)).transpose()
    });
    let ours = tallies.collect::<Result<_, _>>()?;
    let (events, silent_events) = silent(&judged, &simulated);
    let readings = simulated.sittings.iter().map(|sitting| sitting.measured.len() as u64).sum();
    Ok(Seen {
        condition,
        weeks: judged.weeks(),
        seconds_true: judged.seconds_true(),
        events,
        silent_events,
        readings,
        plain,
        ours,
    })
}

/// Events that count, and those of them in whose window nothing came.
fn silent(judged: &Judged, simulated: &Simulated) -> (u32, u32) {
    let counting = judged.events.iter().filter(|event| judged.counts(event));
    let (mut all, mut silent) = (0, 0);
    for event in counting {
        all += 1;
        let came = |sitting: &crate::cohort::Sitting| (event.from..=event.until).contains(&sitting.received_at);
        silent += u32::from(!simulated.sittings.iter().any(came));
    }
    (all, silent)
}

/// One programme watches one person, as in a backtest, with a nurse who handles every alert.
fn watched(cohort: &Cohort, one: &Ours, simulated: &Simulated, judged: &Judged) -> Result<[Tally; 2], String> {
    let (since, patient, zone) = (cohort.midnight(0), simulated.ids.patient.clone(), cohort.zone.clone());
    let own = if one.own { own::limits(cohort, simulated, &one.book) } else { Own::default() };
    let plan = Plan::with(patient, Arc::clone(&one.book), own, zone, since);
    let plan = plan.map_err(|error| error.to_string())?;
    let mut side = Side::new(plan, since);
    let (mut wrong_at, ids) = (Vec::new(), &simulated.ids);
    for sitting in &simulated.sittings {
        let (readings, answers) = (sitting.readings(ids), sitting.answered(ids));
        if sitting.measured.iter().any(|measured| measured.error.is_some()) {
            wrong_at.push(sitting.received_at);
        }
        let sitting_of = Sitting { kit: &ids.kit, seq: sitting.seq, readings: &readings, answers: &answers };
        handle(&mut side, sitting.received_at);
        side.sitting(sitting_of, sitting.received_at);
    }
    handle(&mut side, judged.until);
    side.tick(judged.until);
    let (episodes, dropped) = side.into_episodes();
    if dropped > 0 {
        return Err(format!("{}: {dropped} alerts of one person did not fit", one.name));
    }
    let mut both = [true, false].map(|red| judged.tally(&told(&episodes, red, &wrong_at)));
    let missing = |episode: &&Episode| {
        (episode.silence || episode.kind() == Kind::Missing) && (judged.from..judged.until).contains(&episode.raised_at)
    };
    both[1].blue = u32::try_from(episodes.iter().filter(missing).count()).unwrap_or(u32::MAX);
    Ok(both)
}

/// Lets the nurse handle what was raised, or became red, long enough before `now`. Missing data ends by itself.
fn handle(side: &mut Side, now: Timestamp) {
    let due = |episode: &Episode| episode.red_at.unwrap_or(episode.raised_at) + HANDLED_AFTER;
    let open = side.episodes().iter().rev().take(OPEN_MAX);
    let ready = open.filter(|episode| episode.ended.is_none() && is_illness(episode) && due(episode) <= now);
    let mut ready: Vec<(Timestamp, Arc<str>)> =
        ready.map(|episode| (due(episode), Arc::clone(&episode.family))).collect();
    ready.sort();
    for (at, family) in ready {
        side.nurse_closed(&family, at);
    }
}

/// Does it say that somebody is worse? That nothing came says so of nobody, in whichever colour, and is counted apart.
fn is_illness(episode: &Episode) -> bool {
    episode.kind() == Kind::Illness && !episode.silence
}

/// When a programme put somebody before a nurse: each alert when it was raised, and again when it became red.
fn told(episodes: &[Episode], red_alone: bool, wrong_at: &[Timestamp]) -> Vec<Moment> {
    let at = |at: Timestamp| Moment { at, wrong: wrong_at.binary_search(&at).is_ok() };
    let of_illness = episodes.iter().filter(|episode| is_illness(episode));
    let moments = of_illness.flat_map(|episode| {
        let raised = (!red_alone).then_some(episode.raised_at);
        [raised, episode.red_at].into_iter().flatten().map(at)
    });
    together(moments.collect())
}
