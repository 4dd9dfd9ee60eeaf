//! What came out: the sum, its band, the parts, and what is missing. Of a partial score, sum and band are the least that the whole can be.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap};
use vitals::Colour;

use super::{PARAMETERS_MAX, Parameter, Response, Score};

/// A score of what was given.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'s> {
    score: &'s Score,
    points: [Option<u8>; PARAMETERS_MAX],
    total: u16,
    band: usize,
}

impl<'s> Scored<'s> {
    pub(super) fn new(score: &'s Score, points: [Option<u8>; PARAMETERS_MAX]) -> Self {
        let total = points.iter().flatten().map(|points| u16::from(*points)).sum();
        let mut scored = Self { score, points, total, band: 0 };
        scored.band = scored.band_with(0);
        scored
    }

    /// The place of the band that it would have with so many points more, in the sum and in its highest part.
    pub(crate) fn band_with(&self, more: u8) -> usize {
        let total = (self.total + u16::from(more)).min(self.score.most());
        let most = self.highest_part().saturating_add(more);
        let holds = |response: &Response| {
            (response.from..=response.at_most).contains(&total) && response.any_part.is_none_or(|part| most >= part)
        };
        self.score.responses.iter().rposition(holds).expect("checked: every sum has a band")
    }

    fn highest_part(&self) -> u8 {
        self.points.iter().flatten().copied().max().unwrap_or(0)
    }

    /// The sum of what is known; of a partial score the least that the whole can be.
    #[must_use]
    pub fn total(&self) -> u16 {
        self.total
    }

    /// The band of the sum of what is known; of a partial score the mildest that the whole can be.
    #[must_use]
    pub fn band(&self) -> &'s str {
        &self.response().id
    }

    /// The band's place, mildest first.
    #[must_use]
    pub fn band_at(&self) -> usize {
        self.band
    }

    /// Under which sum it would be milder than this mark, of a mark for each band, where a mark that was reached counts until it is so many
    /// points back; 0 where a smaller sum alone would not make it so, since one part by itself is enough for it.
    pub(crate) fn milder_below(&self, marks: &[Colour], mark: Colour, back: u8) -> u16 {
        let bands = || self.score.responses.iter().zip(marks).filter(|(_, other)| **other >= mark);
        let sums = bands().filter(|(response, _)| response.any_part.is_none());
        let from = |response: &Response| response.from.saturating_sub(u16::from(back));
        let least = sums.map(|(response, _)| from(response)).min().unwrap_or(0);
        let most = self.highest_part().saturating_add(back);
        let by_one_part =
            |response: &Response| response.any_part.is_some_and(|part| most >= part) && from(response) < least;
        if self.total < least || bands().any(|(response, _)| by_one_part(response)) { 0 } else { least }
    }

    /// Is every part known?
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing().next().is_none()
    }

    /// The parameters whose points can't be known: not given, or hanging on something that was not given.
    pub fn missing(&self) -> impl Iterator<Item = &'s Parameter> + use<'s> {
        self.all().filter(|(_, points)| points.is_none()).map(|(parameter, _)| parameter)
    }

    /// The known parts, in the order of the table.
    pub fn parts(&self) -> impl Iterator<Item = (&'s Parameter, u8)> + use<'s> {
        self.all().filter_map(|(parameter, points)| Some((parameter, points?)))
    }

    fn all(&self) -> impl Iterator<Item = (&'s Parameter, Option<u8>)> + use<'s> {
        self.score.parameters.iter().zip(self.points)
    }

    fn response(&self) -> &'s Response {
        &self.score.responses[self.band]
    }
}

/// `NEWS2 6, medium` or `NEWS2 at least 5 of what was measured (medium or worse); respiratory rate and consciousness missing`.
impl fmt::Display for Scored<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (title, band, total) = (&self.score.title.en, &self.response().title.en, self.total);
        let missing: Vec<&str> = self.missing().map(Parameter::label).collect();
        let Some((last, others)) = missing.split_last() else { return write!(f, "{title} {total}, {band}") };
        let worse = if self.band + 1 == self.score.responses.len() { "" } else { " or worse" };
        write!(f, "{title} at least {total} of what was measured, {band}{worse}; ")?;
        match others {
            [] => write!(f, "{last} missing"),
            others => write!(f, "{} and {last} missing", others.join(", ")),
        }
    }
}

/// `{"score","total","band","complete","missing","parts"}`, and `"at_least": true` where it is partial.
impl Serialize for Scored<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Parts<'a>(&'a Scored<'a>);
        impl Serialize for Parts<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.parts().map(|(parameter, points)| (parameter.name(), points)))
            }
        }
        let missing: Vec<&str> = self.missing().map(Parameter::name).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("score", &self.score.id)?;
        map.serialize_entry("total", &self.total)?;
        map.serialize_entry("band", self.band())?;
        map.serialize_entry("complete", &missing.is_empty())?;
        map.serialize_entry("missing", &missing)?;
        map.serialize_entry("parts", &Parts(self))?;
        if !missing.is_empty() {
            map.serialize_entry("at_least", &true)?;
        }
        map.end()
    }
}
