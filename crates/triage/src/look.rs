//! What a rule sees of one patient as of one time: the samples up to then, the limits that held then, and nothing of what came later.

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

    /// Those of the last so long: later than `back` ago.
    pub fn within(&self, vital: Vital, back: SignedDuration) -> &'a [Sample] {
        let samples = self.samples(vital);
        let start = self.at.saturating_sub(length(back));
        &samples[samples.partition_point(|sample| sample.at <= start)..]
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

    /// Is this a time at which the patient's own state is taken for normal: not around a red?
    pub fn is_stable(&self, at: Nanos) -> bool {
        self.chart.unstable.iter().all(|(from, until)| at < *from || *until <= at)
    }

    /// The rule's limits, with the patient's own over them.
    pub fn ladder(&self, ladder: &Ladder) -> Ladder {
        self.plan.ladder(self.place, ladder, self.time())
    }

    /// The patient's own reference value for this rule (dry weight, personal best), if one holds now.
    pub fn reference(&self) -> Option<&'a OwnReference> {
        self.plan.reference(self.place, self.time())
    }

    /// The same chart, seen by another rule of the same programme (by its number there, as [`crate::rules::Reader::earlier`] gives it) as of
    /// some time. Only rules that stand before this one can be asked for.
    pub fn other(&self, number: usize, at: Nanos) -> Self {
        let rank = if at == self.at { self.rank } else { 0 };
        Self { place: self.plan.first_of(self.place) + number, at, rank, ..*self }
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

    /// The times of what this rule watches, in (`after`, now], oldest first, each once.
    pub fn times(&self, after: Nanos) -> Vec<Nanos> {
        let mut times = Vec::new();
        self.chart.times(&self.rule().watches, after, self.at, &mut times);
        times
    }

    /// A local day, as a number that grows by one each day.
    pub fn day(&self, at: Nanos) -> i64 {
        let offset = i64::from(self.zone().to_offset(time(at)).seconds());
        (at.div_euclid(1_000_000_000) + offset).div_euclid(86_400)
    }
}

/// The whole length of days.
pub(crate) fn days(days: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(days))
}

/// A time as nanoseconds, `back` earlier.
pub(crate) fn before(at: Timestamp, back: SignedDuration) -> Nanos {
    nanos(at).saturating_sub(length(back))
}
