//! What a backtest counts, patient by patient: small, and added up over threads.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Serialize;
use triage::{CloseReason, Mark};
use vitals::PatientId;

use super::{
    agreement::{Counts, Raise, Window},
    compare::{Both, Change, Difference, Span, Weight, events, raises},
    episode::{End, Episode, Kind},
    pair::Watched,
    shift::Shifts,
};

/// How it is counted.
#[derive(Clone, Debug)]
pub struct Counting {
    /// The time looked at.
    pub span: Span,
    /// What belongs to an event.
    pub window: Window,
    /// The clinic's clock, for shifts.
    pub zone: TimeZone,
    /// The length of a shift.
    pub shift: SignedDuration,
    /// How many differences are kept, the worst.
    pub worst_max: usize,
    /// Are the times of the active side's red alerts kept?
    pub keep_reds: bool,
}

/// Everything counted.
pub struct Tally {
    counting: Counting,
    /// The active programme.
    pub active: SideTally,
    /// The proposed one.
    pub proposed: SideTally,
    /// Differences, by what they are and the louder side's mark.
    pub changes: BTreeMap<Change, ByMark>,
    /// Closings by reason, and on which side there was such an alert.
    pub closings: BTreeMap<&'static str, Covered>,
    /// Each patient's alerts on either side.
    pub patients: Vec<PatientAlerts>,
    /// How long patients were watched, in seconds.
    pub watched_seconds: i64,
    /// Messages.
    pub messages: u64,
    /// Readings.
    pub readings: u64,
    /// Episodes that were too many to keep.
    pub dropped: u64,
    /// When the active side's alerts became red, where that is asked for.
    pub reds: Vec<(PatientId, Timestamp)>,
    worst: BinaryHeap<Reverse<Ranked>>,
}

/// One side.
pub struct SideTally {
    /// Alerts raised in the time looked at.
    pub alerts: ByMark,
    /// Those that came late.
    pub late: u64,
    /// By rule.
    pub rules: BTreeMap<String, ByMark>,
    /// How they ended.
    pub ended: Ended,
    /// All of them by shift.
    pub shifts: Shifts,
    /// The red ones by shift.
    pub red_shifts: Shifts,
    /// Agreement of all that say illness.
    pub agreement: Counts,
    /// Agreement of the red ones.
    pub red_agreement: Counts,
}

/// Alerts by their worst mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByMark {
    /// Red.
    pub red: u64,
    /// Yellow.
    pub yellow: u64,
    /// Blue: expected data is missing.
    pub blue: u64,
}

/// How alerts ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// By themselves.
    pub eased: u64,
    /// When a nurse closed the clinic's own.
    pub by_nurse: u64,
    /// By the stand-in for a nurse.
    pub by_stand_in: u64,
    /// Still open at the end.
    pub open: u64,
}

/// Alerts that a nurse closed with one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// How many were closed so.
    pub closed: u64,
    /// Of how many the active programme has the like.
    pub active: u64,
    /// Of how many the proposed programme has the like.
    pub proposed: u64,
}

/// One patient's alerts on either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PatientAlerts {
    /// Whose.
    pub patient: PatientId,
    /// Under the active programme.
    pub active: ByMark,
    /// Under the proposed one.
    pub proposed: ByMark,
}

struct Ranked(Weight, Difference);

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Ranked {}
impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ranked {
    /// A total order, so that the same history tells the same differences whichever thread had them.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0).then_with(|| other.1.patient.cmp(&self.1.patient))
    }
}

impl ByMark {
    /// One more.
    pub fn count(&mut self, mark: Mark) {
        match mark {
            Mark::Red => self.red += 1,
            Mark::Yellow => self.yellow += 1,
            Mark::Blue | Mark::Green => self.blue += 1,
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.red + self.yellow + self.blue
    }

    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        self.red += other.red;
        self.yellow += other.yellow;
        self.blue += other.blue;
    }
}

impl PatientAlerts {
    /// How many more the proposed programme raises.
    #[must_use]
    pub fn more(&self) -> i64 {
        self.proposed.all().cast_signed() - self.active.all().cast_signed()
    }
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(counting: Counting) -> Self {
        Self {
            active: SideTally::new(&counting),
            proposed: SideTally::new(&counting),
            changes: BTreeMap::new(),
            closings: BTreeMap::new(),
            patients: Vec::new(),
            watched_seconds: 0,
            messages: 0,
            readings: 0,
            dropped: 0,
            reds: Vec::new(),
            worst: BinaryHeap::new(),
            counting,
        }
    }

    /// One patient more, watched from `from` on.
    pub fn patient(&mut self, patient: &PatientId, watched: Watched, from: Timestamp) {
        let Watched { active, proposed, dropped, told } = watched;
        let Counting { span, window, .. } = self.counting;
        self.messages += told.messages;
        self.readings += told.readings;
        self.dropped += dropped;
        self.watched_seconds += span.until.duration_since(from.max(span.since)).as_secs().max(0);
        if self.counting.keep_reds {
            let reds = active.iter().filter_map(|episode| episode.red_at).filter(|at| span.holds(*at));
            self.reds.extend(reds.map(|at| (patient.clone(), at)));
        }
        let both = Both { patient, active: &active, proposed: &proposed, told: &told, span, window };
        for difference in both.differences() {
            let louder = difference.active.iter().chain(&difference.proposed).map(|view| view.mark).max();
            self.changes.entry(difference.change).or_default().count(louder.unwrap_or(Mark::Green));
            self.keep(Ranked(difference.weight, difference));
        }
        let events = events(&told, &span, &window);
        let counted = PatientAlerts {
            patient: patient.clone(),
            active: self.active.patient(&active, &events, &self.counting),
            proposed: self.proposed.patient(&proposed, &events, &self.counting),
        };
        self.patients.push(counted);
        for closing in told.closings.iter().filter(|closing| span.holds(closing.at)) {
            let like = |episode: &&Episode| {
                *episode.family == *closing.family && episode.is_open_between(closing.raised_at, closing.at)
            };
            let covered = self.closings.entry(reason_name(closing.reason)).or_default();
            covered.closed += 1;
            covered.active += u64::from(active.iter().any(|episode| like(&episode)));
            covered.proposed += u64::from(proposed.iter().any(|episode| like(&episode)));
        }
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        self.active.add(other.active);
        self.proposed.add(other.proposed);
        for (change, marks) in other.changes {
            self.changes.entry(change).or_default().add(marks);
        }
        for (reason, more) in other.closings {
            let covered = self.closings.entry(reason).or_default();
            covered.closed += more.closed;
            covered.active += more.active;
            covered.proposed += more.proposed;
        }
        self.patients.extend(other.patients);
        self.reds.extend(other.reds);
        self.watched_seconds += other.watched_seconds;
        self.messages += other.messages;
        self.readings += other.readings;
        self.dropped += other.dropped;
        other.worst.into_iter().for_each(|Reverse(ranked)| self.keep(ranked));
    }

    /// The worst differences, the worst first.
    pub fn take_worst(&mut self) -> Vec<Difference> {
        let sorted = std::mem::take(&mut self.worst).into_sorted_vec();
        sorted.into_iter().map(|Reverse(Ranked(_, difference))| difference).collect()
    }

    fn keep(&mut self, ranked: Ranked) {
        self.worst.push(Reverse(ranked));
        if self.worst.len() > self.counting.worst_max {
            self.worst.pop();
        }
    }
}

impl SideTally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(counting: &Counting) -> Self {
        let Counting { span, zone, shift, .. } = counting;
        let shifts = Shifts::new(zone.clone(), span.since, span.until, *shift);
        Self {
            alerts: ByMark::default(),
            late: 0,
            rules: BTreeMap::new(),
            ended: Ended::default(),
            red_shifts: shifts.clone(),
            shifts,
            agreement: Counts::default(),
            red_agreement: Counts::default(),
        }
    }

    /// One patient's episodes.
    pub fn patient(&mut self, episodes: &[Episode], events: &[Timestamp], counting: &Counting) -> ByMark {
        let Counting { span, window, .. } = counting;
        let mut own = ByMark::default();
        let counted = |episode: &&Episode| span.holds(episode.raised_at) && episode.kind() != Kind::Call;
        for episode in episodes.iter().filter(counted) {
            own.count(episode.mark);
            self.episode(episode);
        }
        self.alerts.add(own);
        let all = raises(episodes, span);
        self.agreement.patient(events, &all, span.until, window);
        self.red_agreement.patient(events, &only_red(&all, span), span.until, window);
        own
    }

    fn episode(&mut self, episode: &Episode) {
        self.late += u64::from(episode.late);
        if !self.rules.contains_key(&*episode.rule) {
            self.rules.insert(episode.rule.to_string(), ByMark::default());
        }
        if let Some(of_rule) = self.rules.get_mut(&*episode.rule) {
            of_rule.count(episode.mark);
        }
        match episode.ended {
            Some((_, End::Eased)) => self.ended.eased += 1,
            Some((_, End::Nurse)) => self.ended.by_nurse += 1,
            Some((_, End::StandIn)) => self.ended.by_stand_in += 1,
            None => self.ended.open += 1,
        }
        self.shifts.count(episode.raised_at);
        if let Some(red_at) = episode.red_at {
            self.red_shifts.count(red_at);
        }
    }

    fn add(&mut self, other: Self) {
        self.alerts.add(other.alerts);
        self.late += other.late;
        for (rule, marks) in other.rules {
            self.rules.entry(rule).or_default().add(marks);
        }
        let Ended { eased, by_nurse, by_stand_in, open } = other.ended;
        self.ended.eased += eased;
        self.ended.by_nurse += by_nurse;
        self.ended.by_stand_in += by_stand_in;
        self.ended.open += open;
        self.shifts.add(&other.shifts);
        self.red_shifts.add(&other.red_shifts);
        self.agreement.add(other.agreement);
        self.red_agreement.add(other.red_agreement);
    }
}

/// Red alone: an alert counts from when it became red.
fn only_red(raises: &[Raise], span: &Span) -> Vec<Raise> {
    let red = raises.iter().filter_map(|raise| raise.red_at);
    red.filter(|at| *at < span.until).map(|at| Raise { at, red_at: None, counts: span.holds(at) }).collect()
}

/// A reason's name, as it is stored.
#[must_use]
pub fn reason_name(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Advice => "advice",
        CloseReason::MedicineChanged => "medicine_changed",
        CloseReason::AcuteNurseSent => "acute_nurse_sent",
        CloseReason::Admitted => "admitted",
        CloseReason::FalseAlarm => "false_alarm",
        CloseReason::Technical => "technical",
        CloseReason::Other => "other",
    }
}
