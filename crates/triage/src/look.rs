//! What a rule sees of one patient as of one time: the samples up to then, the limits that held then, and nothing of what came later.

use std::{cell::RefCell, collections::HashMap};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use vitals::Vital;

use crate::{
    Chart, Input, OwnReference, Plan, Programme,
    bands::Ladder,
    rules::{Nothing, Rule, Verdict},
    series::{Nanos, Sample, length, nanos, time},
};

/// One rule's view.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub plan: &'a Plan,
    pub chart: &'a Chart,
    /// The rule's number in the plan.
    pub place: usize,
    pub at: Nanos,
    /// Of several values of one vital at exactly this time, so many of the last are not seen: each of them gets its turn to be the newest.
    pub rank: u8,
    /// What others have said already, of the same chart.
    pub memo: &'a Memo,
}

/// What rules said while a chart stayed as it was: of one rule, several others may ask the same.
#[derive(Default)]
pub(crate) struct Memo {
    sittings: RefCell<Vec<(Asked, Said)>>,
    /// The same of a time, by the rule's place: whoever measures very often is asked for hundreds, by each rule that counts them.
    times: RefCell<HashMap<(usize, Nanos), Said>>,
}

/// A rule's place, and the sitting that is asked about: its start and its newest time.
type Asked = (usize, Nanos, Nanos);

/// The verdict, and of which of several values.
type Said = Option<(Verdict, u8)>;

/// So many answers are remembered.
const MEMO_MAX: usize = 32;

impl Memo {
    /// What was said already, or what is said now.
    pub fn recall(&self, asked: Asked, say: impl FnOnce() -> Said) -> Said {
        if let Some((_, said)) = self.sittings.borrow().iter().find(|(known, _)| *known == asked) {
            return *said;
        }
        let said = say();
        let mut all = self.sittings.borrow_mut();
        if all.len() < MEMO_MAX {
            all.push((asked, said));
        }
        said
    }

    /// What was said already as of a time, or what is said now.
    pub fn recall_at(&self, asked: (usize, Nanos), say: impl FnOnce() -> Said) -> Said {
        if let Some(said) = self.times.borrow().get(&asked) {
            return *said;
        }
        let said = say();
        self.times.borrow_mut().insert(asked, said);
        said
    }

    /// The chart is no longer what it was.
    pub fn forget(&self) {
        self.sittings.borrow_mut().clear();
        self.times.borrow_mut().clear();
    }
}

impl<'a> Look<'a> {
    pub fn rule(&self) -> &'a Rule {
        self.plan.rule(self.place)
    }

    pub fn programme(&self) -> &'a Programme {
        self.plan.programme_of(self.place)
    }

    pub fn time(&self) -> Timestamp {
        time(self.at)
    }

    pub fn zone(&self) -> &'a TimeZone {
        self.plan.zone()
    }

    /// The values of a vital up to now, oldest first.
    pub fn samples(&self, vital: Vital) -> &'a [Sample] {
        self.ranked(self.chart.series(vital).map(|series| series.until(self.at)).unwrap_or_default())
    }

    fn ranked(&self, samples: &'a [Sample]) -> &'a [Sample] {
        if self.rank == 0 {
            return samples;
        }
        let now = samples.iter().rev().take_while(|sample| sample.at == self.at).count();
        &samples[..samples.len() - usize::from(self.rank).min(now.saturating_sub(1))]
    }

    /// The newest value.
    pub fn newest(&self, vital: Vital) -> Result<&'a Sample, Nothing> {
        self.samples(vital).last().ok_or(Nothing::NoValue)
    }

    /// The answers to a question up to now, oldest first; [`Look::text`] says which each is.
    pub fn answers(&self, questionnaire: &str, question: &str) -> &'a [Sample] {
        self.ranked(self.chart.asked(questionnaire, question).map(|series| series.until(self.at)).unwrap_or_default())
    }

    pub fn text(&self, answer: &Sample) -> &'a str {
        answer.text(&self.chart.names)
    }

    /// Has the questionnaire been answered anew since this answer, without its question? Then it was not asked any more.
    pub fn is_answered_anew(&self, questionnaire: &str, given: &Sample) -> bool {
        self.chart
            .answered(questionnaire)
            .is_some_and(|newest| newest <= self.at && newest > given.at.saturating_add(length(ONE_ANSWERING)))
    }

    /// The rule's limits, with the patient's own over them.
    pub fn ladder(&self, ladder: &Ladder) -> Ladder {
        self.plan.ladder(self.place, ladder, self.time())
    }

    /// The patient's own reference value for this rule (dry weight, personal best), if one holds now.
    pub fn reference(&self) -> Option<&'a OwnReference> {
        self.plan.reference(self.place, self.time())
    }

    /// Judges.
    pub fn judge(&self) -> Result<Verdict, Nothing> {
        let rule = self.rule();
        if rule.when.holds(self) { rule.judge.judge(self) } else { Err(Nothing::NotNow) }
    }

    /// A sample as a finding's input.
    pub fn input(&self, vital: Vital, sample: &Sample) -> Input {
        Input::Reading {
            vital,
            value: sample.value(),
            unit: vital.unit(),
            measured_at: time(sample.at),
            device: sample.device(&self.chart.names).clone(),
            flags: sample.flags(&self.chart.names).to_vec(),
        }
    }

    /// A local day, as a number that grows by one each day.
    pub fn day(&self, at: Nanos) -> i64 {
        (at.div_euclid(1_000_000_000) + offset(self.zone(), at)).div_euclid(86_400)
    }
}

/// A time in which a zone keeps its distance from UTC, and that distance in seconds.
struct Kept {
    zone: TimeZone,
    from: Nanos,
    until: Nanos,
    seconds: i64,
}

/// So many are kept: a summer and a winter of a zone or two.
const KEPT_MAX: usize = 4;

thread_local! {
    /// Asked for each value of a window, by each rule: worked out anew it would be most of what judging costs.
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// How far local time is from UTC, in seconds.
fn offset(zone: &TimeZone, at: Nanos) -> i64 {
    let is_it = |kept: &Kept| kept.from <= at && at < kept.until && kept.zone == *zone;
    KEPT.with_borrow_mut(|all| {
        if let Some(kept) = all.iter().find(|kept| is_it(kept)) {
            return kept.seconds;
        }
        let changed = zone.preceding(time(at.saturating_add(1))).next();
        let changes = zone.following(time(at)).next();
        let seconds = i64::from(zone.to_offset(time(at)).seconds());
        let from = changed.map_or(Nanos::MIN, |change| nanos(change.timestamp()));
        let until = changes.map_or(Nanos::MAX, |change| nanos(change.timestamp()));
        all.truncate(KEPT_MAX - 1);
        all.insert(0, Kept { zone: zone.clone(), from, until, seconds });
        seconds
    })
}

/// Answers of one questionnaire that lie further apart are of two times that it was answered.
const ONE_ANSWERING: SignedDuration = SignedDuration::from_hours(1);

/// The whole length of days.
pub(crate) fn days(days: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(days))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_from_utc_is_that_of_the_zone_around_every_change_and_far_from_them() {
        let zones = ["Europe/Copenhagen", "Asia/Kathmandu", "America/St_Johns", "UTC"];
        let zones = zones.map(|name| TimeZone::get(name).unwrap());
        let start: Timestamp = "1990-01-01T00:00:00Z".parse().unwrap();
        for zone in zones.iter().chain([&TimeZone::fixed(jiff::tz::offset(2))]) {
            let changes = zone.following(start).take(120).map(|change| nanos(change.timestamp()));
            let far = [nanos(start), nanos("2200-01-01T00:00:00Z".parse().unwrap())];
            for at in changes.chain(far).flat_map(|at| [at - 1, at, at + 1]) {
                assert_eq!(offset(zone, at), i64::from(zone.to_offset(time(at)).seconds()), "{zone:?} {at}");
            }
        }
    }
}
