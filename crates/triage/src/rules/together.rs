//! Rule kinds `all` and `any`: several others together, each as it was in its newest sitting of a window (weight up and swollen within
//! three days), give a mark.

use std::sync::Arc;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Colour, Vital};

use super::{
    Judge, Nothing, Reader, Told, Verdict, Watches,
    parts::{Part, PartFile, Said, check_looks, check_within},
    read,
};
use crate::{
    Length, Mark, Programme, Reason,
    look::Look,
    programme::place::steps,
    series::{Need, in_words},
};

/// Parts that one rule is made of.
const PARTS_MAX: usize = 16;

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The other rules.
    of: Vec<PartFile>,
    /// What one of them said counts so long.
    within: Length,
    /// What it means when they are met.
    mark: Colour,
}

#[derive(Debug)]
struct Together {
    every: bool,
    parts: Vec<Part>,
    within: SignedDuration,
    mark: Mark,
}

pub(super) fn read_all(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    read(reader, true)
}

pub(super) fn read_any(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    read(reader, false)
}

fn read(reader: &mut Reader<'_, '_, '_>, every: bool) -> Option<Arc<dyn Judge>> {
    let File { of, within, mark } = reader.file()?;
    let found = of.len();
    if !(2..=PARTS_MAX).contains(&found) {
        reader.fault(steps!["of"], format!("found {found} rules, want 2 to {PARTS_MAX}"));
    }
    if mark == Colour::Green {
        reader.fault(steps!["mark"], "found green, want yellow or red");
    }
    check_within(reader, "within", within.0);
    let mut parts: Vec<Part> = Vec::new();
    for (at, written) in of.iter().enumerate() {
        let Some(part) = Part::read(reader, &steps!["of", at], &written.rule, written.at_least) else { continue };
        if parts.iter().any(|other| other.id == part.id) {
            let text = format!("found {:?} a second time, want each rule once", part.id);
            reader.fault(steps!["of", at, "rule"], text);
        }
        parts.push(part);
    }
    let together = Together { every, parts, within: within.0, mark: mark.into() };
    check_looks(reader, together.looks());
    (together.parts.len() == found).then(|| read::judge(together)).flatten()
}

impl Together {
    /// What each says now, where it says something.
    fn say<'p>(&'p self, look: &Look<'_>) -> Vec<(&'p Part, Option<Said>)> {
        self.parts.iter().map(|part| (part, part.says(look, self.within))).collect()
    }

    fn want(&self) -> usize {
        if self.every { self.parts.len() } else { 1 }
    }
}

fn is_met((part, said): &&(&Part, Option<Said>)) -> bool {
    said.as_ref().is_some_and(|said| part.is_met(said))
}

impl Judge for Together {
    fn watches(&self) -> Watches {
        self.parts.iter().fold(Watches::default(), |all, part| all.and(&part.watches))
    }

    fn needs(&self) -> Vec<(Vital, Need)> {
        self.parts.iter().flat_map(|part| part.needs(self.within)).collect()
    }

    fn needs_answers(&self) -> Need {
        self.parts.iter().fold(Need::default(), |need, part| need.and(part.needs_answers(self.within)))
    }

    fn looks(&self) -> usize {
        self.parts.iter().map(|part| part.looks).fold(0, usize::saturating_add)
    }

    fn within(&self) -> Option<SignedDuration> {
        Some(self.within)
    }

    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing> {
        let (mut met, mut doubts, mut met_at, mut known_at) = (0, 0, None, None);
        let unmet = |at| Verdict { mark: Mark::Green, at, doubtful: false };
        for (asked, part) in (1..).zip(&self.parts) {
            if let Some(said) = part.says(look, self.within) {
                let at = Some(said.verdict.at);
                known_at = known_at.max(at);
                if part.is_met(&said) {
                    (met, met_at) = (met + 1, met_at.max(at));
                    doubts += usize::from(said.verdict.doubtful);
                }
            }
            // Nothing is newer than the look, so nothing more can change it.
            if self.every && met < asked && known_at == Some(look.at) {
                return Ok(unmet(look.at));
            }
        }
        if met < self.want() {
            return known_at.map(unmet).ok_or(Nothing::NoValue);
        }
        let at = met_at.ok_or(Nothing::NoValue)?;
        // What is left without what is doubtful would not be enough.
        Ok(Verdict { mark: self.mark, at, doubtful: met - doubts < self.want() })
    }

    fn tell(&self, look: &Look<'_>, verdict: &Verdict) -> Told {
        let said = self.say(look);
        let (mut parts, mut missing, mut inputs) = (Vec::new(), Vec::new(), Vec::new());
        for one in &said {
            let (part, words) = (one.0, one.1.map(|said| one.0.tell(look, &said)));
            match words {
                None => missing.push(part.id.to_string()),
                Some(told) if is_met(&one) => {
                    parts.push(told.why);
                    for input in told.inputs {
                        if !inputs.contains(&input) {
                            inputs.push(input);
                        }
                    }
                }
                Some(_) => {}
            }
        }
        let (found, of, want) = (parts.len(), said.len(), self.want());
        let unknown = if missing.is_empty() { String::new() } else { format!(", not known: {}", missing.join(", ")) };
        let why = match verdict.mark {
            Mark::Green => format!("{found} of {of} together, of which {want} would be {}{unknown}", self.mark.name()),
            mark => format!("together {}: {}", mark.name(), parts.join("; ")),
        };
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let how = if self.every { "all" } else { "any" }.to_owned();
        let reason = Reason::Together { how, found: number(found), of: number(of), want: number(want), parts, missing };
        Told { why, reason, inputs }
    }

    fn means(&self) -> Option<Mark> {
        Some(self.mark)
    }

    fn explain(&self, _: &Programme) -> String {
        let parts: Vec<String> =
            self.parts.iter().map(|part| format!("{} at least {}", part.id, part.at_least.name())).collect();
        let (join, mark) = (if self.every { " and " } else { " or " }, self.mark.name());
        format!("{} is {mark}; each as it last was, at most {} ago.", parts.join(join), in_words(self.within))
    }
}
