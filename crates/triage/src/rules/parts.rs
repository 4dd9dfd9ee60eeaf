//! Rules of which others are made: what one said as of some time, at which times it looked, and what it costs to ask.

use std::sync::Arc;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Colour, Vital};

use super::{Reader, Told, Verdict, Watches};
use crate::{
    Mark,
    assess::{TOGETHER, is_superseded, stands, worst_at},
    look::Look,
    programme::place::{Step, steps},
    series::{Nanos, Need, length},
};

/// One look of a rule asks at most so many other looks: what refers to what refers to others multiplies.
const LOOKS_MAX: usize = 4096;

/// Another rule, as it is referred to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PartFile {
    /// Its id: it stands before this one.
    pub rule: String,
    /// How bad it has to be: yellow where it says nothing.
    #[serde(default = "yellow")]
    pub at_least: Colour,
}

pub(super) fn yellow() -> Colour {
    Colour::Yellow
}

/// Another rule.
#[derive(Debug)]
pub(super) struct Part {
    number: usize,
    pub id: Arc<str>,
    pub at_least: Mark,
    pub watches: Watches,
    needs: Vec<(Vital, Need)>,
    needs_answers: Need,
    pub looks: usize,
}

/// What a rule said as of some time.
#[derive(Clone, Copy)]
pub(super) struct Said {
    pub verdict: Verdict,
    rank: u8,
}

impl Part {
    /// Reads a reference; `field` is where it stands, and its keys below it.
    pub fn read(reader: &mut Reader<'_, '_, '_>, field: &[Step], id: &str, at_least: Colour) -> Option<Self> {
        let at = |key: &str| field.iter().cloned().chain(steps![key]).collect::<Vec<Step>>();
        if at_least == Colour::Green {
            reader.fault(at("at_least"), "found green, want yellow or red: every verdict is at least green");
        }
        let key = if field.is_empty() { "of" } else { "rule" };
        let number = reader.earlier(at(key), id)?;
        let rule = &reader.before[number].1;
        if rule.judge.missing().is_some() {
            reader.fault(at(key), format!("found {id:?}, a rule of silence, want one that judges what was measured"));
            return None;
        }
        Some(Self {
            number,
            id: Arc::clone(&rule.id),
            at_least: at_least.into(),
            watches: rule.watches.clone(),
            needs: rule.needs(),
            needs_answers: rule.judge.needs_answers(),
            looks: rule.judge.looks(),
        })
    }

    /// What it needs to be asked as of times that lie so far back.
    pub fn needs(&self, back: SignedDuration) -> Vec<(Vital, Need)> {
        self.needs.iter().map(|(vital, need)| (*vital, need.longer(back))).collect()
    }

    /// The same of answers.
    pub fn needs_answers(&self, back: SignedDuration) -> Need {
        self.needs_answers.longer(back)
    }

    fn place(&self, look: &Look<'_>) -> usize {
        look.plan.first_of(look.place) + self.number
    }

    /// What it says as of the look's time, of what is at most so old: the worst of its newest sitting.
    pub fn says(&self, look: &Look<'_>, within: SignedDuration) -> Option<Said> {
        let newest =
            look.chart.watched(&self.watches).filter_map(|series| series.until(look.at).last()).map(|it| it.at);
        let oldest = look.at.saturating_sub(length(within));
        let newest = newest.max().filter(|newest| *newest >= oldest)?;
        let start = newest.saturating_sub(length(TOGETHER));
        let (place, of) = (self.place(look), (start, newest));
        let say = || stands(look.chart, look.plan, place, of, look.memo, None);
        let (verdict, rank) = look.memo.recall((place, start, newest), say)?;
        (verdict.at >= oldest).then_some(Said { verdict, rank })
    }

    /// The times of what it looks at from `after` on (that time excluded), newest first.
    pub fn times(&self, look: &Look<'_>, after: Nanos) -> impl Iterator<Item = Nanos> + use<> {
        let mut times = Vec::new();
        look.chart.times(&self.watches, after, look.at, &mut times);
        times.into_iter().rev()
    }

    /// What it said as of one of these times. What was doubtful and measured again says nothing.
    pub fn said_at(&self, look: &Look<'_>, at: Nanos) -> Option<Said> {
        if is_superseded(look.chart, &self.watches, at, at.saturating_add(length(TOGETHER)).min(look.at)) {
            return None;
        }
        let place = self.place(look);
        let say = || worst_at(look.chart, look.plan, place, at);
        let (verdict, rank) = look.memo.recall_at((place, at), say)?;
        Some(Said { verdict, rank })
    }

    /// What it said at each of them.
    pub fn said<'l>(&'l self, look: &'l Look<'_>, after: Nanos) -> impl Iterator<Item = (Nanos, Said)> + 'l {
        self.times(look, after).filter_map(move |at| Some((at, self.said_at(look, at)?)))
    }

    /// Is that as bad as it has to be?
    pub fn is_met(&self, said: &Said) -> bool {
        said.verdict.mark >= self.at_least
    }

    /// It in words and data.
    pub fn tell(&self, look: &Look<'_>, said: &Said) -> Told {
        let (place, at) = (self.place(look), said.verdict.at);
        let look = Look { place, at, rank: said.rank, ..*look };
        look.rule().judge.tell(&look, &said.verdict)
    }
}

/// Faults of a rule that asks too much.
pub(super) fn check_looks(reader: &mut Reader<'_, '_, '_>, looks: usize) {
    if looks > LOOKS_MAX {
        let text = format!("found {looks} looks at other rules for each of its own, want at most {LOOKS_MAX}");
        reader.fault(steps!["of"], text);
    }
}

/// A length of time that a rule looks back, checked.
pub(super) fn check_within(reader: &mut Reader<'_, '_, '_>, field: &str, within: SignedDuration) {
    if within.is_zero() || within > WITHIN_MAX {
        let text = format!("found {within:#}, want more than nothing and at most {WITHIN_MAX:#}");
        reader.fault(steps![field], text);
    }
}

/// Rules look back at most so far on others.
pub(super) const WITHIN_MAX: SignedDuration = SignedDuration::from_hours(24 * 92);

/// `2026-11-20 08:00`, where the patient is.
pub(super) fn local(look: &Look<'_>, at: Nanos) -> String {
    crate::series::time(at).to_zoned(look.zone().clone()).strftime("%Y-%m-%d %H:%M").to_string()
}
