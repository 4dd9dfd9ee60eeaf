//! An alert budget: limits that raise no more than so many alerts in a nurse shift, with the least loss of what the programme foretells.
//!
//! The history is read once and kept; then versions are tried on it, two in one pass. First each limit that may move is moved alone, a few steps
//! further from normal, to see what it saves and what it loses. From that table steps are taken, each time the one that loses least for what it
//! saves, until the sum is within the budget; then the whole is tried, and steps are added until it really is; at last each move is tried one
//! notch back. So it finds a good answer, not surely the best one, and what limits do together is seen in the whole alone (decision 0076).
//!
//! Yellow limits move; red ones only where that is asked for, never beyond a safety floor, and not at all where there is none. What is lost counts
//! first in events that nothing foretells any more, then in days of warning.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use serde::Serialize;
use store::Store;
use triage::{Programme, Rung};

use super::{
    agreement::tidy,
    backtest::{Ask, BacktestError},
    fold::Watch,
    held::{Folded, Held, PASS},
    ladder::{Place, Text, Written},
    tally::{ByMark, SideTally},
};

/// The most readings that are kept in memory: about 40 bytes each.
pub const READINGS_MAX: usize = 20_000_000;
/// A limit is tried so many units of its last digit further out.
const STEPS: [i64; 5] = [1, 2, 3, 5, 8];
/// So often the whole is tried and steps are added.
const WHOLE_TRIES_MAX: usize = 12;
/// An event that nothing foretells any more weighs as much as so many days of warning.
const EVENT_DAYS: f64 = 1_000.0;

/// What is asked.
#[derive(Clone, Debug)]
pub struct BudgetAsk {
    /// The time looked at, and everything else as for a backtest. `proposed` is not looked at.
    pub ask: Ask,
    /// The text of the version in use.
    pub text: String,
    /// At most so many alerts in a shift, on average.
    pub per_shift: f64,
    /// May red limits move too, as far as the floors?
    pub move_red: bool,
    /// The number of the version that is proposed.
    pub version: u32,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// As for a backtest.
    #[error(transparent)]
    Backtest(#[from] BacktestError),
    /// Too much to keep.
    #[error("found more than {READINGS_MAX} readings, which is what is kept in memory: want a shorter time")]
    TooMuch,
    /// The programme has no limit that may move.
    #[error("found no limit in programme {0:?} that may move")]
    NoLimits(String),
    /// The text can't be used.
    #[error("{0}")]
    Text(String),
    /// Somebody ended it.
    #[error("it was ended before there was an answer")]
    Cancelled,
}

impl From<store::StoreError> for BudgetError {
    fn from(error: store::StoreError) -> Self {
        Self::Backtest(error.into())
    }
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Proposal {
    /// The programme's id.
    pub programme: String,
    /// The version in use.
    pub active_version: u32,
    /// The number of the proposed one.
    pub version: u32,
    /// What was asked for: alerts in a shift.
    pub per_shift: f64,
    /// Is it met?
    pub met: bool,
    /// The limits that moved.
    pub moved: Vec<Moved>,
    /// The version in use.
    pub before: Score,
    /// The proposed one.
    pub after: Score,
    /// What sensitivity is measured against, in words.
    pub reference: String,
    /// Worked examples that say otherwise, and how: somebody must change them, in a version of their own, before it can be activated.
    pub contradicts: Vec<String>,
    /// How many versions were tried.
    pub tried: u32,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// In words, for the one who decides.
    pub note: String,
    /// The programme's text with other numbers and the next version.
    pub text: String,
}

/// One limit that moved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// The rule's id.
    pub rule: String,
    /// Which of its limits.
    pub limit: Rung,
    /// From where.
    pub from: Written,
    /// To where.
    pub to: Written,
}

/// What a version does on the history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Alerts in a shift, on average.
    pub per_shift: f64,
    /// Events.
    pub events: u64,
    /// Those that an alert foretells.
    pub detected: u64,
    /// `detected` of `events`.
    pub sensitivity: Option<f64>,
    /// Days of warning, of all events together: of each, from the first alert that belongs to it until the event; 0 where that came after it.
    pub warning_days: f64,
    /// The middle of the lead times, in days: of the events that an alert belongs to. As in a backtest.
    pub lead_days_median: Option<f64>,
    /// All alerts of the time looked at.
    pub alerts: ByMark,
}

impl Score {
    pub(super) fn of(side: &SideTally) -> Self {
        let agreement = side.agreement.agreement();
        let warning: i64 = side.agreement.leads.iter().map(|lead| (*lead).max(0)).sum();
        Self {
            per_shift: side.shifts.summary().mean,
            events: agreement.events,
            detected: agreement.detected,
            sensitivity: agreement.sensitivity,
            warning_days: tidy(warning as f64 / 86_400.0),
            lead_days_median: agreement.lead_days_median,
            alerts: side.alerts,
        }
    }

    /// What is lost from `before` to this, in days.
    fn loss(&self, before: &Self) -> f64 {
        let events = before.detected.saturating_sub(self.detected) as f64;
        events * EVENT_DAYS + (before.warning_days - self.warning_days).max(0.0)
    }
}

/// Looks for limits. It computes for minutes, so give it a thread of its own.
///
/// # Errors
/// [`BudgetError`].
pub async fn find(store: &dyn Store, asked: &BudgetAsk, watch: &Arc<Watch>) -> Result<Proposal, BudgetError> {
    let started = Instant::now();
    let text = Text::read(&asked.text).map_err(BudgetError::Text)?;
    let movable = movable(&text, asked);
    if movable.is_empty() {
        return Err(BudgetError::NoLimits(asked.ask.active.id().to_owned()));
    }
    watch.expect(PASS * passes_max(&movable));
    let held = Held::read(store, &asked.ask, watch).await?;
    let mut search = Search { asked, held, text, movable, watch, tried: 0 };
    search.held.settle_reference(&asked.ask, watch)?;
    let found = search.run()?;
    Ok(search.proposal(found, started.elapsed().as_secs_f64()))
}

/// The most passes over the history: the reading, what sensitivity is measured by, the version in use, each limit alone (two in one pass), the
/// whole, and each move one notch back.
fn passes_max(movable: &[Movable]) -> u64 {
    let alone: usize = movable.iter().map(|limit| limit.steps().count()).sum();
    (3 + alone.div_ceil(2) + WHOLE_TRIES_MAX + movable.len()) as u64
}

/// A limit that may move: where it is, and how far it may go.
struct Movable {
    place: Place,
    at: Written,
    /// Units of the last digit, towards fewer alerts.
    sign: i64,
    room: i64,
}

impl Movable {
    fn moved(&self, steps: i64) -> Written {
        self.at.moved(self.sign * steps)
    }

    /// How far it is tried.
    fn steps(&self) -> impl Iterator<Item = i64> {
        STEPS.into_iter().filter(|steps| *steps <= self.room)
    }
}

/// Which limits may move, and how far.
fn movable(text: &Text, asked: &BudgetAsk) -> Vec<Movable> {
    let (limits, open) = (text.limits(), unfit(asked, text));
    let at = |rule: &str, rung: Rung| {
        limits.iter().find(|limit| limit.place.rule == rule && limit.place.rung == rung).map(|limit| limit.at)
    };
    let movable = |limit: &super::ladder::Limit| {
        let Place { rule, rung } = &limit.place;
        let (sign, red) = match rung {
            Rung::YellowLow => (-1, Rung::RedLow),
            Rung::YellowHigh => (1, Rung::RedHigh),
            Rung::RedLow if asked.move_red => (-1, Rung::RedLow),
            Rung::RedHigh if asked.move_red => (1, Rung::RedHigh),
            _ => return None,
        };
        let most = STEPS[STEPS.len() - 1];
        let room = if *rung == red {
            let binds = |steps: &i64| is_bound(asked, text, &limit.place, limit.at.moved(sign * steps), &open);
            (1..=most).take_while(binds).count() as i64
        } else {
            // One step of yellow stays between it and red, which may be the clinic's.
            let room = at(rule, red).map_or(most, |red| (limit.at.units_to(red) - 1).clamp(0, most));
            let fits = |steps: &i64| fits(asked, text, &limit.place, limit.at.moved(sign * steps), &open);
            if asked.ask.clinic.limits().is_empty() { room } else { (1..=room).take_while(fits).count() as i64 }
        };
        (room > 0).then(|| Movable { place: limit.place.clone(), at: limit.at, sign, room })
    };
    limits.iter().filter_map(movable).collect()
}

/// May a red limit lie there? Without a floor it does not move, and with it there no floor may be open that was not.
fn is_bound(asked: &BudgetAsk, text: &Text, place: &Place, to: Written, open: &[String]) -> bool {
    let floors = asked.ask.clinic.floors();
    let has_floor = |vital| floors.iter().any(|floor| floor.vital == vital && floor.limit == place.rung);
    if !text.vital(&place.rule).is_some_and(has_floor) {
        return false;
    }
    fits(asked, text, place, to, open)
}

/// Does a text with a limit there go together with the clinic's document as well as without?
fn fits(asked: &BudgetAsk, text: &Text, place: &Place, to: Written, open: &[String]) -> bool {
    let mut moved = text.clone();
    moved.set(place, to);
    unfit(asked, &moved).iter().all(|field| open.contains(field))
}

/// The fields at which a text leaves a safety floor open, or would be out of order with the clinic's limits; one that can't be read is so everywhere.
fn unfit(asked: &BudgetAsk, text: &Text) -> Vec<String> {
    match Programme::parse(&text.clone().without_examples(), "the tried version") {
        Ok(programme) => asked.ask.clinic.unfit(&programme).into_iter().map(|problem| problem.field).collect(),
        Err(_) => vec!["all".to_owned()],
    }
}

struct Search<'a> {
    asked: &'a BudgetAsk,
    held: Held,
    text: Text,
    movable: Vec<Movable>,
    watch: &'a Watch,
    tried: u32,
}

/// How many steps each limit goes; those that stay are left out.
type Steps = BTreeMap<usize, i64>;

struct Found {
    steps: Steps,
    before: Score,
    after: Score,
}

impl Search<'_> {
    fn run(&mut self) -> Result<Found, BudgetError> {
        let before = self.try_all(&[Steps::new()])?.remove(0);
        let (steps, after) = (Steps::new(), before.clone());
        if before.per_shift <= self.asked.per_shift {
            return Ok(Found { steps, before, after });
        }
        let table = self.table(&before)?;
        let (steps, after) = self.until_met(&before, &table)?;
        let (steps, after) =
            if after.per_shift <= self.asked.per_shift { self.back(&before, steps, after)? } else { (steps, after) };
        Ok(Found { steps, before, after })
    }

    /// What each limit does alone: by limit and steps, the score.
    fn table(&mut self, before: &Score) -> Result<BTreeMap<(usize, i64), Score>, BudgetError> {
        let of_limit = |(at, limit): (usize, &Movable)| limit.steps().map(move |steps| (at, steps)).collect::<Vec<_>>();
        let places: Vec<(usize, i64)> = self.movable.iter().enumerate().flat_map(of_limit).collect();
        let alone: Vec<Steps> = places.iter().map(|(at, steps)| Steps::from([(*at, *steps)])).collect();
        let scores = self.try_all(&alone)?;
        Ok(places.into_iter().zip(scores).filter(|(_, score)| score.per_shift < before.per_shift).collect())
    }

    /// Takes steps until the whole is within the budget, or none are left.
    fn until_met(
        &mut self,
        before: &Score,
        table: &BTreeMap<(usize, i64), Score>,
    ) -> Result<(Steps, Score), BudgetError> {
        let (mut steps, mut after) = (Steps::new(), before.clone());
        let mut estimate = before.per_shift;
        for _ in 0..WHOLE_TRIES_MAX {
            let mut taken = false;
            while estimate > self.asked.per_shift {
                let Some((at, more, saved)) = next_step(&steps, table, before) else { break };
                steps.insert(at, more);
                estimate -= saved;
                taken = true;
            }
            if !taken {
                break;
            }
            after = self.try_all(&[steps.clone()])?.remove(0);
            if after.per_shift <= self.asked.per_shift {
                break;
            }
            estimate = after.per_shift;
        }
        Ok((steps, after))
    }

    /// Tries each move one notch back, and keeps what is still within the budget and loses less.
    fn back(&mut self, before: &Score, mut steps: Steps, mut after: Score) -> Result<(Steps, Score), BudgetError> {
        for at in steps.keys().copied().collect::<Vec<_>>() {
            let mut milder = steps.clone();
            match STEPS.iter().rev().find(|less| **less < steps[&at]) {
                Some(less) => _ = milder.insert(at, *less),
                None => _ = milder.remove(&at),
            }
            let score = self.try_all(&[milder.clone()])?.remove(0);
            if score.per_shift <= self.asked.per_shift && score.loss(before) <= after.loss(before) {
                (steps, after) = (milder, score);
            }
        }
        Ok((steps, after))
    }

    /// Tries versions, two in one pass.
    fn try_all(&mut self, all: &[Steps]) -> Result<Vec<Score>, BudgetError> {
        let mut scores = Vec::with_capacity(all.len());
        for two in all.chunks(2) {
            let programmes: Vec<Arc<Programme>> =
                two.iter().map(|steps| self.programme(steps)).collect::<Result<_, _>>()?;
            let (one, last) = (&programmes[0], &programmes[programmes.len() - 1]);
            let Folded { one, two: second, .. } = self.held.fold(one, last, (&self.asked.ask, false), self.watch)?;
            scores.push(one);
            if two.len() > 1 {
                scores.push(second);
            }
            self.tried += two.len() as u32;
        }
        Ok(scores)
    }

    fn moved_text(&self, steps: &Steps) -> Text {
        let mut text = self.text.clone();
        for Moved { rule, limit, to, .. } in self.moved(steps) {
            text.set(&Place { rule, rung: limit }, to);
        }
        text.set_version(self.asked.version);
        text
    }

    fn moved(&self, steps: &Steps) -> Vec<Moved> {
        let moved = |(at, steps): (&usize, &i64)| {
            let limit = &self.movable[*at];
            let Place { rule, rung } = limit.place.clone();
            Moved { rule, limit: rung, from: limit.at, to: limit.moved(*steps) }
        };
        steps.iter().map(moved).collect()
    }

    /// A version to try: its examples may say otherwise.
    fn programme(&self, steps: &Steps) -> Result<Arc<Programme>, BudgetError> {
        let text = self.moved_text(steps).without_examples();
        Programme::parse(&text, "the tried version").map(Arc::new).map_err(|error| BudgetError::Text(error.to_string()))
    }

    fn proposal(&self, Found { steps, before, after }: Found, seconds: f64) -> Proposal {
        let moved = self.moved(&steps);
        let mut text = self.moved_text(&steps);
        say_who_moved(&mut text, &moved);
        let text = text.text();
        let contradicts = Programme::parse(&text, "the proposed version")
            .err()
            .map_or(Vec::new(), |error| error.to_string().lines().map(ToOwned::to_owned).collect());
        let met = after.per_shift <= self.asked.per_shift;
        let mut proposal = Proposal {
            programme: self.asked.ask.active.id().to_owned(),
            active_version: self.asked.ask.active.version(),
            version: self.asked.version,
            per_shift: self.asked.per_shift,
            met,
            moved,
            before,
            after,
            reference: self.held.reference.to_owned(),
            contradicts,
            tried: self.tried,
            seconds,
            note: String::new(),
            text,
        };
        proposal.note = proposal.in_words();
        proposal
    }
}

/// No number stands as from a source that did not state it: each rule of which a limit moved says so, and what it said before.
fn say_who_moved(text: &mut Text, moved: &[Moved]) {
    let mut of_rule: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in moved {
        of_rule.entry(&one.rule).or_default().push(one.of_limit());
    }
    for (rule, moves) in of_rule {
        let before = text.source(rule).map(|before| format!("; before that: {before}")).unwrap_or_default();
        text.set_source(rule, &format!("moved by the alert budget: {}{before}", moves.join(", ")));
    }
}

/// The step that loses least for what it saves, by what each limit did alone: limit, steps, alerts saved in a shift.
fn next_step(steps: &Steps, table: &BTreeMap<(usize, i64), Score>, before: &Score) -> Option<(usize, i64, f64)> {
    let mut best: Option<(f64, f64, usize, i64)> = None;
    for ((at, more), score) in table {
        let so_far = steps.get(at).copied().unwrap_or(0);
        if *more <= so_far {
            continue;
        }
        let known = table.get(&(*at, so_far)).unwrap_or(before);
        let saved = known.per_shift - score.per_shift;
        let lost = score.loss(before) - known.loss(before);
        if saved <= 0.0 {
            continue;
        }
        let price = lost.max(0.0) / saved;
        if best.is_none_or(|(cheapest, most, ..)| price < cheapest || (price == cheapest && saved > most)) {
            best = Some((price, saved, *at, *more));
        }
    }
    best.map(|(_, saved, at, more)| (at, more, saved))
}

impl Proposal {
    fn in_words(&self) -> String {
        let Self { per_shift, before, after, moved, .. } = self;
        if moved.is_empty() && self.met {
            return format!(
                "nothing to change: {:.2} alerts per shift, at most {per_shift} asked for",
                before.per_shift
            );
        }
        let each: Vec<String> = moved.iter().map(ToString::to_string).collect();
        let met = if self.met { "meets" } else { "DOES NOT MEET, but comes nearest to," };
        let sensitivity =
            |score: &Score| score.sensitivity.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0));
        let lead = |score: &Score| score.lead_days_median.map_or("-".to_owned(), |days| format!("{days:.1}"));
        let mut words = format!(
            "{met} at most {per_shift} alerts per shift: {:.2} instead of {:.2}; sensitivity {} instead of {} ({} of {} events, measured against {}), \
             all lead times together {:.1} days instead of {:.1}, their median {} instead of {}; {} of {} alerts are blue (missing data), which no \
             limit changes; moved: {}",
            after.per_shift,
            before.per_shift,
            sensitivity(after),
            sensitivity(before),
            after.detected,
            after.events,
            self.reference,
            after.warning_days,
            before.warning_days,
            lead(after),
            lead(before),
            after.alerts.blue,
            after.alerts.all(),
            if each.is_empty() { "nothing".to_owned() } else { each.join(", ") },
        );
        if !self.contradicts.is_empty() {
            words.push_str(&format!(
                "; {} worked examples say otherwise and must be changed first",
                self.contradicts.len()
            ));
        }
        words
    }
}

impl Moved {
    /// Which limit of its rule, from where to where.
    fn of_limit(&self) -> String {
        let limit = serde_json::to_value(self.limit).ok().and_then(|name| Some(name.as_str()?.to_owned()));
        format!("{} from {} to {}", limit.unwrap_or_default(), self.from, self.to)
    }
}

impl std::fmt::Display for Moved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.rule, self.of_limit())
    }
}
