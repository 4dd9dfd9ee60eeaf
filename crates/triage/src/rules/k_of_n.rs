//! Rule kind `k_of_n`: another rule found something in k of n readings, or on k of n days; in a row where k is n.

use std::sync::Arc;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Colour, Vital};

use super::{
    Judge, Nothing, Reader, Told, Verdict, Watches,
    parts::{Part, Said, WITHIN_MAX, check_looks, check_within, local, yellow},
    read,
    trend::in_range,
};
use crate::{
    Length, Mark, Programme, Reason,
    look::{Look, days},
    programme::place::steps,
    series::{Nanos, Need, in_words, length},
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The other rule: it stands before this one.
    of: String,
    /// How bad it has to be: yellow where it says nothing.
    #[serde(default = "yellow")]
    at_least: Colour,
    /// So many have to be met.
    #[schemars(range(min = 1, max = 31))]
    k: u32,
    /// Of so many, the newest.
    #[schemars(range(min = 1, max = 31))]
    n: u32,
    /// Readings, or local days by their worst.
    by: By,
    /// Of days: does one without data count as one that was not met, or is it left out and an earlier one counted? It is not met where it
    /// says nothing.
    no_data: Option<NoData>,
    /// What is longer ago does not count. For days that are all counted it is `n` days.
    within: Option<Length>,
    /// What it means when so many are met.
    mark: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum By {
    Readings,
    Days,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum NoData {
    NotMet,
    LeftOut,
}

#[derive(Debug)]
struct KOfN {
    part: Part,
    k: usize,
    n: usize,
    by: By,
    /// Days follow each other, data or not.
    every_day: bool,
    within: SignedDuration,
    mark: Mark,
}

/// Of how many at most.
const N_MAX: u32 = 31;

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { of, at_least, k, n, by, no_data, within, mark } = reader.file()?;
    let fits = in_range(reader, &["n"], n, 1, N_MAX) && in_range(reader, &["k"], k, 1, n);
    if mark == Colour::Green {
        reader.fault(steps!["mark"], "found green, want yellow or red");
    }
    if no_data.is_some() && by == By::Readings {
        reader.fault(steps!["no_data"], "found it, want it for days alone");
    }
    let every_day = by == By::Days && no_data != Some(NoData::LeftOut);
    let within = match (within, every_day) {
        (Some(Length(within)), false) => {
            check_within(reader, "within", within);
            within
        }
        (None, true) => days(n.min(N_MAX) + 1),
        (Some(_), true) => {
            reader.fault(steps!["within"], format!("found it, want none: it is {n} days, of which each counts"));
            return None;
        }
        (None, false) => {
            reader.fault(steps!["within"], "found nothing, want how long ago the oldest may be");
            return None;
        }
    };
    let part = Part::read(reader, &[], &of, at_least)?;
    let size = |number: u32| usize::try_from(number).expect("a small number");
    let rule = KOfN { part, k: size(k), n: size(n), by, every_day, within: within.min(WITHIN_MAX), mark: mark.into() };
    check_looks(reader, rule.looks());
    fits.then(|| read::judge(rule)).flatten()
}

/// One reading or day, newest first.
struct Occasion {
    at: Nanos,
    /// The worst that was said, if something was.
    said: Said,
    /// Is it as bad without what is doubtful?
    sure: bool,
}

impl KOfN {
    /// All of them; or, to judge alone, no more than it takes to see that too few are met.
    fn occasions(&self, look: &Look<'_>, whole: bool) -> Vec<Occasion> {
        let after = look.at.saturating_sub(length(self.within)).saturating_sub(1);
        let today = look.day(look.at);
        let first = if self.every_day { today - i64::try_from(self.n).unwrap_or(i64::MAX) + 1 } else { i64::MIN };
        let mut all: Vec<(i64, Occasion)> = Vec::new();
        for at in self.part.times(look, after) {
            let day = if self.by == By::Days { look.day(at) } else { 0 };
            let goes_on = self.by == By::Days && all.last().is_some_and(|(last, _)| *last == day);
            if !goes_on && !whole && self.is_lost(&all) {
                break;
            }
            let Some(said) = self.part.said_at(look, at) else { continue };
            if self.by == By::Days && day < first || !goes_on && all.len() == self.n {
                break;
            }
            let sure = self.part.is_met(&said) && !said.verdict.doubtful;
            match all.last_mut().filter(|_| goes_on) {
                Some((_, day)) => {
                    day.sure |= sure;
                    if said.verdict.mark > day.said.verdict.mark {
                        day.said = said;
                    }
                }
                None => all.push((day, Occasion { at, said, sure })),
            }
        }
        all.into_iter().map(|(_, occasion)| occasion).collect()
    }

    /// Can too few be met, whatever comes?
    fn is_lost(&self, all: &[(i64, Occasion)]) -> bool {
        all.iter().filter(|(_, it)| !self.is_met(it)).count() > self.n - self.k
    }

    fn is_met(&self, occasion: &Occasion) -> bool {
        self.part.is_met(&occasion.said)
    }

    fn what(&self) -> &'static str {
        if self.by == By::Days { "days" } else { "readings" }
    }
}

impl Judge for KOfN {
    fn watches(&self) -> Watches {
        self.part.watches.clone()
    }

    fn needs(&self) -> Vec<(Vital, Need)> {
        self.part.needs(self.within)
    }

    fn needs_answers(&self) -> Need {
        self.part.needs_answers(self.within)
    }

    fn looks(&self) -> usize {
        self.part.looks.saturating_mul(self.n)
    }

    fn within(&self) -> Option<SignedDuration> {
        Some(self.within)
    }

    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing> {
        let occasions = self.occasions(look, false);
        let at = occasions.first().ok_or(Nothing::NoValue)?.at;
        let met = occasions.iter().filter(|it| self.is_met(it)).count();
        let sure = occasions.iter().filter(|it| it.sure).count();
        let mark = if met >= self.k { self.mark } else { Mark::Green };
        Ok(Verdict { mark, at, doubtful: met >= self.k && sure < self.k })
    }

    fn tell(&self, look: &Look<'_>, verdict: &Verdict) -> Told {
        let occasions = self.occasions(look, true);
        let met: Vec<&Occasion> = occasions.iter().filter(|it| self.is_met(it)).collect();
        let told: Vec<(Nanos, Told)> = met.iter().map(|it| (it.at, self.part.tell(look, &it.said))).collect();
        let parts: Vec<String> = told.iter().map(|(at, told)| format!("{}: {}", local(look, *at), told.why)).collect();
        let (found, k, n, what) = (met.len(), self.k, self.n, self.what());
        let newest = parts.first().map(|part| format!(", newest {part}")).unwrap_or_default();
        let means = if verdict.mark == Mark::Green {
            format!("{} from {k} on", self.mark.name())
        } else {
            self.mark.name().to_owned()
        };
        let why = format!("{} {} on {found} of {n} {what}, {means}{newest}", self.part.id, self.part.at_least.name());
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (how, missing) = ("k_of_n".to_owned(), Vec::new());
        let reason = Reason::Together { how, found: number(found), of: number(n), want: number(k), parts, missing };
        let mut inputs = Vec::new();
        for input in told.into_iter().flat_map(|(_, told)| told.inputs) {
            if !inputs.contains(&input) {
                inputs.push(input);
            }
        }
        Told { why, reason, inputs }
    }

    fn means(&self) -> Option<Mark> {
        Some(self.mark)
    }

    fn explain(&self, _: &Programme) -> String {
        let Self { part, k, n, mark, .. } = self;
        let what = self.what();
        let gaps = match (self.by, self.every_day) {
            (By::Readings, _) => format!(", none longer ago than {}", in_words(self.within)),
            (By::Days, true) => ", a day without data counting as not met".to_owned(),
            (By::Days, false) => format!(" with data, none longer ago than {}", in_words(self.within)),
        };
        let row = if k == n && *n > 1 { " in a row" } else { "" };
        format!(
            "{} at least {} on {k} of the last {n} {what}{row}{gaps}, is {}.",
            part.id,
            part.at_least.name(),
            mark.name()
        )
    }
}
