//! Bands of one vital: a ladder of at most four limits, red and yellow on either side of green, so that every value lies in exactly one band.
//!
//! A band is half-open in either sense: `[from, below)` or `(above, at_most]`. National plans close their lower bands ("85 % or less is
//! red") and their upper ones ("130 or more is red"), and only both senses say each of them without 85.0000001.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vitals::{Colour, Value};

use crate::{Limit, LimitKind, Mark};

/// A limit's place on the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Red on the low side.
    RedLow,
    /// Yellow on the low side.
    YellowLow,
    /// Yellow on the high side.
    YellowHigh,
    /// Red on the high side.
    RedHigh,
}

impl Rung {
    pub(crate) const ALL: [Self; 4] = [Self::RedLow, Self::YellowLow, Self::YellowHigh, Self::RedHigh];

    pub(crate) fn name(self) -> &'static str {
        ["red_low", "yellow_low", "yellow_high", "red_high"][self as usize]
    }

    pub(crate) fn low(self) -> bool {
        matches!(self, Self::RedLow | Self::YellowLow)
    }

    pub(crate) fn colour(self) -> Colour {
        match self {
            Self::RedLow | Self::RedHigh => Colour::Red,
            Self::YellowLow | Self::YellowHigh => Colour::Yellow,
        }
    }
}

/// Where one band ends and the next begins: just before a number, or just after it. Orders along the number line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cut {
    pub value: Value,
    /// The number itself belongs to the band below.
    pub after: bool,
}

impl Cut {
    /// Does `value` lie below it?
    fn is_above(self, value: Value) -> bool {
        value < self.value || (self.after && value == self.value)
    }

    /// The cut of a limit as it is told.
    pub fn of(limit: Limit) -> Self {
        Self { value: limit.value, after: matches!(limit.kind, LimitKind::AtMost | LimitKind::Above) }
    }

    pub fn limit(self, low: bool) -> Limit {
        let kind = match (low, self.after) {
            (true, true) => LimitKind::AtMost,
            (true, false) => LimitKind::Below,
            (false, true) => LimitKind::Above,
            (false, false) => LimitKind::From,
        };
        Limit { kind, value: self.value }
    }
}

/// Whose a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Patient,
    Programme,
    /// The clinic's, where the programme says none.
    Clinic,
}

/// One limit of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub cut: Cut,
    pub whose: Whose,
}

/// One band, as a page draws it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BandView {
    /// Its lower end; `None`: it has none.
    pub from: Option<Value>,
    /// Its upper end; `None`: it has none.
    pub below: Option<Value>,
    /// What a value in it means.
    pub mark: Mark,
    /// The limit that faces green, which says whether the end itself belongs to it; `None` for green.
    pub limit: Option<Limit>,
    /// Is that limit (of green: either) the patient's own?
    pub own: bool,
    /// Is it the clinic's, since the programme says none (of green: either, and neither is the patient's own)?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub clinic: bool,
}

/// The limits of one vital.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ladder {
    edges: [Option<Edge>; 4],
}

impl Ladder {
    /// The ladder of some bands, or every fault, with the number of the band where it shows.
    pub fn new(bands: &[Band]) -> Result<Self, Vec<(usize, String)>> {
        let mut order: Vec<usize> = (0..bands.len()).collect();
        order.sort_by_key(|&at| (bands[at].lower, bands[at].upper));
        let faults = faults(bands, &order);
        if !faults.is_empty() {
            return Err(faults);
        }
        let marks: Vec<Colour> = order.iter().map(|&at| bands[at].mark).collect();
        let Some(green) = marks.iter().position(|mark| *mark == Colour::Green).filter(|at| climbs(&marks, *at)) else {
            let found = marks.iter().map(|mark| mark.name()).collect::<Vec<_>>().join(", ");
            let wanted = "want one green band, with at most a yellow and then a red one on either side";
            return Err(vec![(
                order.first().copied().unwrap_or(0),
                format!("found bands {found} from low to high, {wanted}"),
            )]);
        };
        let mut ladder = Self::default();
        for (place, &at) in order.iter().enumerate() {
            let (rung, cut) = match (place.cmp(&green), marks[place]) {
                (std::cmp::Ordering::Less, Colour::Red) => (Rung::RedLow, bands[at].upper),
                (std::cmp::Ordering::Less, _) => (Rung::YellowLow, bands[at].upper),
                (std::cmp::Ordering::Greater, Colour::Red) => (Rung::RedHigh, bands[at].lower),
                (std::cmp::Ordering::Greater, _) => (Rung::YellowHigh, bands[at].lower),
                (std::cmp::Ordering::Equal, _) => continue,
            };
            ladder.edges[rung as usize] = cut.map(|cut| Edge { cut, whose: Whose::Programme });
        }
        Ok(ladder)
    }

    /// The band that `value` lies in.
    pub fn judge(&self, value: Value) -> BandView {
        let beyond = |rung: Rung| self.edges[rung as usize].is_some_and(|edge| edge.cut.is_above(value) == rung.low());
        let hit =
            [Rung::RedLow, Rung::RedHigh, Rung::YellowLow, Rung::YellowHigh].into_iter().find(|rung| beyond(*rung));
        self.view(hit)
    }

    /// Does `value` lie beyond a limit that is `back` nearer to green?
    pub fn is_beyond(&self, rung: Rung, value: Value, back: Value) -> bool {
        let Some(Edge { mut cut, .. }) = self.edges[rung as usize] else { return false };
        let moved =
            if rung.low() { cut.value.decimal() + back.decimal() } else { cut.value.decimal() - back.decimal() };
        cut.value = moved.into();
        cut.is_above(value) == rung.low()
    }

    /// The number at a limit.
    pub fn at(&self, rung: Rung) -> Option<Value> {
        self.edges[rung as usize].map(|edge| edge.cut.value)
    }

    /// Where a limit lies, with the sense in which it is closed.
    pub fn cut_at(&self, rung: Rung) -> Option<Cut> {
        self.edges[rung as usize].map(|edge| edge.cut)
    }

    /// A limit as it is told: which side of it counts.
    pub fn limit_at(&self, rung: Rung) -> Option<Limit> {
        self.edges[rung as usize].map(|edge| edge.cut.limit(rung.low()))
    }

    /// The band beyond a limit, as a value in it would be told.
    pub fn beyond(&self, rung: Rung) -> BandView {
        self.view(Some(rung))
    }

    /// What lies before green, for "green if it were ...": nothing for a green band.
    pub fn green_list(&self, band: &BandView) -> Vec<Limit> {
        let (low, high) = self.green();
        if band.mark == Mark::Green { Vec::new() } else { low.into_iter().chain(high).collect() }
    }

    /// Every band, from low to high: `red at 85 % or less; ...`.
    pub fn in_words(&self, unit: &str) -> String {
        let words: Vec<String> = self.views().iter().map(|band| meaning(self, band, unit)).collect();
        words.join("; ")
    }

    /// Every band that is not empty, from low to high.
    pub fn views(&self) -> Vec<BandView> {
        let rungs = [Some(Rung::RedLow), Some(Rung::YellowLow), None, Some(Rung::YellowHigh), Some(Rung::RedHigh)];
        let there = |rung: &Option<Rung>| rung.is_none_or(|rung| self.edges[rung as usize].is_some());
        let views = rungs.into_iter().filter(there).map(|rung| self.view(rung));
        views.filter(|view| view.from.is_none() || view.from != view.below).collect()
    }

    /// Moves a limit to another number, keeping the sense in which it is closed; where the programme has none, low ones are "or less", high
    /// ones "or more".
    pub fn set(&mut self, rung: Rung, value: Value) {
        let after = self.edges[rung as usize].map_or(rung.low(), |edge| edge.cut.after);
        self.edges[rung as usize] = Some(Edge { cut: Cut { value, after }, whose: Whose::Patient });
    }

    /// The same ladder with a limit of the clinic's where it has none: low ones are "or less", high ones "or more".
    pub fn filled(mut self, rung: Rung, value: Value) -> Self {
        let edge = &mut self.edges[rung as usize];
        *edge = edge.or(Some(Edge { cut: Cut { value, after: rung.low() }, whose: Whose::Clinic }));
        self
    }

    /// Is a limit the clinic's?
    pub fn is_clinics(&self, rung: Rung) -> bool {
        self.edges[rung as usize].is_some_and(|edge| edge.whose == Whose::Clinic)
    }

    /// The same ladder with one limit as `other` has it.
    pub fn with(mut self, rung: Rung, other: &Self) -> Self {
        self.edges[rung as usize] = other.edges[rung as usize];
        self
    }

    /// Are the limits in order, so that no two bands overlap?
    pub fn check(&self, unit: &str) -> Result<(), String> {
        let there: Vec<(Rung, Cut)> =
            Rung::ALL.into_iter().filter_map(|rung| Some((rung, self.edges[rung as usize]?.cut))).collect();
        for pair in there.windows(2) {
            let ((low, low_cut), (high, high_cut)) = (pair[0], pair[1]);
            let green_between = low.low() && !high.low();
            if low_cut > high_cut || (green_between && low_cut == high_cut) {
                let (a, b) = (low_cut.value, high_cut.value);
                let (low, high) = (low.name(), high.name());
                return Err(format!(
                    "found {low} at {a} {unit} and {high} at {b} {unit}: these bands overlap, want {low} under {high}"
                ));
            }
        }
        Ok(())
    }

    fn edge(&self, rung: Rung) -> Option<Edge> {
        self.edges[rung as usize]
    }

    fn view(&self, rung: Option<Rung>) -> BandView {
        let red_low = self.edge(Rung::RedLow);
        let red_high = self.edge(Rung::RedHigh);
        let low = self.edge(Rung::YellowLow).or(red_low);
        let high = self.edge(Rung::YellowHigh).or(red_high);
        let number = |edge: Option<Edge>| edge.map(|edge| edge.cut.value);
        let (from, below) = match rung {
            None => (low, high),
            Some(Rung::RedLow) => (None, red_low),
            Some(Rung::YellowLow) => (red_low, low),
            Some(Rung::YellowHigh) => (high, red_high),
            Some(Rung::RedHigh) => (red_high, None),
        };
        let deciding = rung.and_then(|rung| Some((rung, self.edge(rung)?)));
        let either = |whose: Whose| [low, high].iter().flatten().any(|edge| edge.whose == whose);
        let is = |whose: Whose| deciding.map_or_else(|| either(whose), |(_, edge)| edge.whose == whose);
        let own = is(Whose::Patient);
        BandView {
            from: number(from),
            below: number(below),
            mark: rung.map_or(Colour::Green, Rung::colour).into(),
            limit: deciding.map(|(rung, edge)| edge.cut.limit(rung.low())),
            own,
            clinic: !own && is(Whose::Clinic),
        }
    }

    /// The two limits of green, for its sentence: above which, below which.
    pub fn green(&self) -> (Option<Limit>, Option<Limit>) {
        let low = self.edge(Rung::YellowLow).or(self.edge(Rung::RedLow));
        let high = self.edge(Rung::YellowHigh).or(self.edge(Rung::RedHigh));
        (low.map(|edge| edge.cut.limit(false)), high.map(|edge| edge.cut.limit(true)))
    }
}

/// One band as it was written: its ends as cuts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Band {
    pub mark: Colour,
    pub lower: Option<Cut>,
    pub upper: Option<Cut>,
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.mark.name();
        let lower = self.lower.map(|cut| cut.limit(false));
        let upper = self.upper.map(|cut| cut.limit(true));
        match (lower, upper) {
            (None, None) => write!(f, "{name} (every value)"),
            (Some(end), None) | (None, Some(end)) => write!(f, "{name} ({})", words(end)),
            (Some(lower), Some(upper)) => write!(f, "{name} ({}, {})", words(lower), words(upper)),
        }
    }
}

fn words(limit: Limit) -> String {
    let kind = match limit.kind {
        LimitKind::AtMost => "at most",
        LimitKind::Below => "below",
        LimitKind::From => "from",
        LimitKind::Above => "above",
    };
    format!("{kind} {}", limit.value)
}

/// A limit in a sentence: `at 85 % or less`.
pub(crate) fn sentence(limit: Limit, unit: &str) -> String {
    let value = limit.value;
    match limit.kind {
        LimitKind::AtMost => format!("at {value} {unit} or less"),
        LimitKind::Below => format!("below {value} {unit}"),
        LimitKind::From => format!("at {value} {unit} or more"),
        LimitKind::Above => format!("above {value} {unit}"),
    }
}

/// `red at 85 % or less`, `green above 60 /min and below 110 /min`.
pub(crate) fn meaning(ladder: &Ladder, band: &BandView, unit: &str) -> String {
    match band.limit {
        Some(limit) => format!("{} {}", band.mark.name(), sentence(limit, unit)),
        None => match ladder.green() {
            (None, None) => "green".to_owned(),
            (Some(end), None) | (None, Some(end)) => format!("green {}", sentence(end, unit)),
            (Some(low), Some(high)) => format!("green {} and {}", sentence(low, unit), sentence(high, unit)),
        },
    }
}

/// Empty, overlapping and uncovered ranges, in the bands' order along the number line.
fn faults(bands: &[Band], order: &[usize]) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    for (at, band) in bands.iter().enumerate() {
        if let (Some(lower), Some(upper)) = (band.lower, band.upper)
            && lower >= upper
        {
            faults
                .push((at, format!("found band {band}, which holds no value, want its upper end over its lower one")));
        }
    }
    if !faults.is_empty() {
        return faults;
    }
    for pair in order.windows(2) {
        let (one, two) = (&bands[pair[0]], &bands[pair[1]]);
        match (one.upper, two.lower) {
            (Some(upper), Some(lower)) if upper == lower => {}
            (Some(upper), Some(lower)) if upper < lower => {
                faults.push((
                    pair[1],
                    format!("found values between bands {one} and {two} in no band, want every value in one"),
                ));
            }
            _ => faults
                .push((pair[1], format!("found bands {one} and {two} overlapping, want every value in one alone"))),
        }
    }
    if let (Some(&first), Some(&last)) = (order.first(), order.last()) {
        if bands[first].lower.is_some() {
            faults.push((first, format!("found no band under {}, want every value in one", bands[first])));
        }
        if bands[last].upper.is_some() && faults.is_empty() {
            faults.push((last, format!("found no band over {}, want every value in one", bands[last])));
        }
    }
    faults
}

/// Do the marks only get worse away from the green one at `green`, each step a different mark?
fn climbs(marks: &[Colour], green: usize) -> bool {
    marks[..green].windows(2).all(|pair| pair[0] > pair[1])
        && marks[green + 1..].windows(2).all(|pair| pair[0] < pair[1])
        && marks.iter().filter(|mark| **mark == Colour::Green).count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(mark: Colour, lower: Option<(i64, bool)>, upper: Option<(i64, bool)>) -> Band {
        let cut = |(value, after)| Cut { value: Value::new(value, 0), after };
        Band { mark, lower: lower.map(cut), upper: upper.map(cut) }
    }

    fn pulse() -> Vec<Band> {
        vec![
            band(Colour::Green, Some((60, true)), Some((110, false))),
            band(Colour::Red, None, Some((50, true))),
            band(Colour::Yellow, Some((50, true)), Some((60, true))),
            band(Colour::Red, Some((130, false)), None),
            band(Colour::Yellow, Some((110, false)), Some((130, false))),
        ]
    }

    #[track_caller]
    fn refused(bands: &[Band], wanted: &str) {
        let faults = Ladder::new(bands).unwrap_err();
        assert!(faults.iter().any(|(_, fault)| fault.contains(wanted)), "{faults:?} lack {wanted:?}");
    }

    #[test]
    fn every_value_lies_in_one_band_and_each_end_in_the_right_one() {
        let ladder = Ladder::new(&pulse()).unwrap();
        for (value, mark) in [
            ("50", Mark::Red),
            ("50.1", Mark::Yellow),
            ("60", Mark::Yellow),
            ("60.1", Mark::Green),
            ("109.9", Mark::Green),
            ("110", Mark::Yellow),
            ("129.9999999", Mark::Yellow),
            ("130.0", Mark::Red),
        ] {
            assert_eq!(ladder.judge(value.parse().unwrap()).mark, mark, "{value}");
        }
    }

    #[test]
    fn overlaps_gaps_and_shapes_are_refused_with_the_bands_named() {
        let mut bands = pulse();
        bands[2].upper = Some(Cut { value: Value::new(65, 0), after: true });
        refused(&bands, "bands yellow (above 50, at most 65) and green (above 60, below 110) overlapping");
        bands[2].upper = Some(Cut { value: Value::new(55, 0), after: true });
        refused(&bands, "between bands yellow (above 50, at most 55) and green");
        bands[2].upper = Some(Cut { value: Value::new(40, 0), after: true });
        refused(&bands, "holds no value");
        refused(&pulse()[..3], "no band over green");
        refused(&[], "want one green band");
        refused(&[band(Colour::Red, None, None)], "want one green band");
        let twice = [band(Colour::Green, None, Some((1, true))), band(Colour::Green, Some((1, true)), None)];
        refused(&twice, "found bands green, green");
    }

    #[test]
    fn own_limits_keep_their_sense_and_their_order() {
        let mut ladder = Ladder::new(&pulse()).unwrap();
        ladder.set(Rung::RedLow, Value::new(45, 0));
        let red = ladder.judge(Value::new(45, 0));
        assert_eq!((red.mark, red.own, red.limit.unwrap().kind), (Mark::Red, true, LimitKind::AtMost));
        assert!(!ladder.judge(Value::new(55, 0)).own);
        assert!(ladder.check("/min").is_ok());
        ladder.set(Rung::RedLow, Value::new(61, 0));
        assert!(ladder.check("/min").unwrap_err().contains("red_low at 61 /min and yellow_low at 60 /min"));
    }
}
