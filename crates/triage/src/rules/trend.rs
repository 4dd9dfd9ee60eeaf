//! What the kinds share that judge a statistic of one vital: a percent of the personal best, a distance from the own baseline, a weighted
//! mean, a sum of what has run away, a slope, a spread. Each kind measures; here the statistic is rounded to the digits that the rule states,
//! put on the rule's ladder (so that own limits, hysteresis and "green if" work as for a plain value), and told.

use std::{fmt, sync::Arc};

use vitals::{Unit, Value, Vital};

use super::{BandFile, Judge, Nothing, Reader, Told, Verdict, Watches, doubt, read};
use crate::{
    Compared, Limit, LimitKind, Mark, Programme, Reason,
    bands::{BandView, Ladder, meaning},
    hysteresis::Hysteresis,
    look::Look,
    programme::{Number, place::steps},
    series::{Nanos, Need, Sample, time},
};

/// A statistic is told with at most so many digits behind the point.
const DIGITS_MAX: u32 = 4;
/// A statistic beyond this is told as this.
const STATISTIC_MAX: f64 = 1e9;

/// What one kind of statistic does.
pub(super) trait Statistic: fmt::Debug + Send + Sync + 'static {
    /// The kind's name.
    const NAME: &'static str;

    /// How much of the vital it needs.
    fn need(&self) -> Need;

    /// What it is as of the look's time. `newest` is the value that is judged.
    fn measure(&self, asked: &Asked<'_>, newest: &Sample) -> Result<Measured, Nothing>;

    /// The statistic in a sentence that began with the value: `2.6 spreads below its own baseline 1.41 L (...)`.
    fn words(&self, telling: &Telling<'_>) -> String;

    /// What is compared, in plain words, as a sentence.
    fn explain(&self, vital: Vital) -> String;

    /// Is zero what is usual, so that a limit is so much below or above?
    fn is_signed(&self) -> bool;

    /// Does a reference value of the patient's own mean something to it?
    fn takes_reference(&self) -> bool {
        false
    }
}

/// What a statistic is asked about.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub look: &'a Look<'a>,
    pub vital: Vital,
    /// The limits as they hold for the patient.
    pub ladder: &'a Ladder,
    /// Digits of the statistic.
    pub digits: u32,
}

/// A statistic, and what it was compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub value: f64,
    pub compared: Option<Basis>,
}

/// What a value was compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Basis {
    /// As in [`Compared`].
    pub what: &'static str,
    pub centre: f64,
    pub spread: Option<f64>,
    /// Days that it was made of; none for one that was set.
    pub count: usize,
    pub from: Nanos,
    pub until: Nanos,
}

/// What a sentence is made of.
pub(super) struct Telling<'a> {
    pub look: &'a Look<'a>,
    pub vital: Vital,
    /// The statistic, rounded.
    pub value: Value,
    /// Its unit as it is read aloud.
    pub unit: &'a str,
    pub compared: Option<Basis>,
}

impl Telling<'_> {
    /// `2.6 spreads below`, `0.0 spreads from`.
    pub fn distance(&self) -> String {
        let (value, unit) = (self.value.decimal(), self.unit);
        let side = match value {
            value if value.is_zero() => "from",
            value if value.is_sign_negative() => "below",
            _ => "above",
        };
        format!("{} {unit} {side}", value.abs())
    }

    /// `1.41 L`, of what was compared with.
    pub fn centre(&self) -> String {
        let centre = self.compared.map_or(0.0, |basis| basis.centre);
        format!("{} {}", rounded(centre, digits_of(self.vital)), self.vital.unit().plain())
    }

    /// `14 stable days, 2026-10-20 to 2026-11-08`.
    pub fn days(&self, which: &str) -> String {
        self.compared.map(|basis| basis.days(self.look, which)).unwrap_or_default()
    }

    /// `of 2026-10-20, the best of 30 days`.
    pub fn day_of_best(&self) -> String {
        let Some(basis) = self.compared else { return String::new() };
        let day = time(basis.from).to_zoned(self.look.zone().clone()).date();
        format!("of {day}, the best of {} days", basis.count)
    }

    /// Since when a value that was set holds, and until when.
    pub fn set(&self) -> String {
        let Some(basis) = self.compared else { return String::new() };
        let day = |at| time(at).to_zoned(self.look.zone().clone()).date();
        format!("set from {} until {}", day(basis.from), day(basis.until))
    }
}

/// A checked rule.
#[derive(Debug)]
pub(super) struct Trend<S> {
    vital: Vital,
    unit: &'static str,
    digits: u32,
    ladder: Ladder,
    hysteresis: Hysteresis,
    statistic: S,
}

/// What every kind of statistic has in its own struct.
pub(super) struct Parts {
    pub vital: Vital,
    /// As it is written.
    pub unit: String,
    /// What it has to be.
    pub wanted: &'static str,
    pub digits: u32,
    pub bands: Vec<BandFile>,
    pub hysteresis: Option<Number>,
}

/// Checks what every kind of statistic has.
pub(super) fn read<S: Statistic>(
    reader: &mut Reader<'_, '_, '_>,
    parts: Parts,
    statistic: Option<S>,
) -> Option<Arc<dyn Judge>> {
    let Parts { vital, unit, wanted, digits, bands, hysteresis } = parts;
    reader.unit(&unit, wanted, "this statistic");
    if digits > DIGITS_MAX {
        reader.fault(steps!["digits"], format!("found {digits}, want at most {DIGITS_MAX}"));
    }
    let ladder = reader.ladder(&bands);
    let (hysteresis, ladder) = (Hysteresis::read(reader, hysteresis)?, ladder?);
    hysteresis.check(reader, &ladder, plain(wanted));
    read::judge(Trend { vital, unit: wanted, digits, ladder, hysteresis, statistic: statistic? })
}

/// Faults of a number of days that must lie in a range.
pub(super) fn in_range(reader: &mut Reader<'_, '_, '_>, field: &[&str], found: u32, least: u32, most: u32) -> bool {
    let fits = (least..=most).contains(&found);
    if !fits {
        let path = field.iter().map(|step| (*step).into()).collect::<Vec<_>>();
        reader.fault(path, format!("found {found}, want {least} to {most}"));
    }
    fits
}

impl<S: Statistic> Trend<S> {
    /// The statistic as of a look, rounded.
    fn measure(&self, look: &Look<'_>, ladder: &Ladder) -> Result<(Value, Measured), Nothing> {
        let newest = look.newest(self.vital)?;
        let asked = Asked { look, vital: self.vital, ladder, digits: self.digits };
        let measured = self.statistic.measure(&asked, newest)?;
        Ok((rounded(measured.value, self.digits), measured))
    }

    /// The band of a statistic. Those before it are only worked out as far as the hysteresis asks for them.
    fn band(&self, look: &Look<'_>, ladder: &Ladder, value: Value) -> BandView {
        self.hysteresis.judge(ladder, || std::iter::once(value).chain(self.older(look, ladder)))
    }

    /// What the statistic was before, newest first, of values beyond doubt.
    fn older<'l>(&'l self, look: &'l Look<'_>, ladder: &'l Ladder) -> impl Iterator<Item = Value> + 'l {
        let samples = look.samples(self.vital).iter().rev().skip(1);
        samples.filter(|sample| sample.at < look.at && !sample.is_doubtful()).map_while(|sample| {
            let then = Look { at: sample.at, rank: 0, ..*look };
            self.measure(&then, ladder).ok().map(|(value, _)| value)
        })
    }

    /// `red at 2.5 or more below`.
    fn meaning(&self, ladder: &Ladder, band: &BandView) -> String {
        let unit = plain(self.unit);
        let mark = if band.mark == Mark::Red { "red" } else { "yellow" };
        if !self.statistic.is_signed() {
            return meaning(ladder, band, unit);
        }
        let Some(limit) = band.limit else { return green(ladder, unit) };
        format!("{mark} {}", side(limit, unit))
    }
}

impl<S: Statistic> Judge for Trend<S> {
    fn watches(&self) -> Watches {
        Watches::vital(self.vital)
    }

    fn needs(&self) -> Vec<(Vital, Need)> {
        vec![(self.vital, self.statistic.need().and(self.hysteresis.need()))]
    }

    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing> {
        let newest = look.newest(self.vital)?;
        let ladder = look.ladder(&self.ladder);
        let (value, _) = self.measure(look, &ladder)?;
        let mark = self.band(look, &ladder, value).mark;
        Ok(Verdict { mark, at: newest.at, doubtful: newest.is_doubtful() })
    }

    fn tell(&self, look: &Look<'_>, _: &Verdict) -> Told {
        let vital = self.vital;
        let newest = look.newest(vital).expect("a verdict has a value");
        let ladder = look.ladder(&self.ladder);
        let (value, measured) = self.measure(look, &ladder).expect("a verdict has a statistic");
        let band = self.band(look, &ladder, value);
        let unit = plain(self.unit);
        let telling = Telling { look, vital, value, unit, compared: measured.compared };
        let head = format!("{} {} {}", vital.info().label, newest.value(), vital.unit().plain());
        let means = self.meaning(&ladder, &band);
        let own = if band.own { " (own limit)" } else { "" };
        let kept = self.hysteresis.words(&ladder, value, &band, unit);
        let doubts = doubt(newest.flags(&look.chart.names));
        let why = format!("{head}, {}, {means}{own}{kept}{doubts}", self.statistic.words(&telling));
        let reason = Reason::Trend {
            statistic: S::NAME.to_owned(),
            vital,
            of: newest.value(),
            value,
            unit: self.unit.to_owned(),
            limit: band.limit,
            own: band.own,
            green: self.hysteresis.green_list(&ladder, &band, || self.older(look, &ladder)),
            compared: measured.compared.map(|basis| basis.told(digits_of(vital))),
        };
        Told { why, reason, inputs: vec![look.input(vital, newest)] }
    }

    fn explain(&self, _: &Programme) -> String {
        let unit = plain(self.unit);
        let words = self.ladder.in_words(unit);
        format!("{} It is {words}.{}", self.statistic.explain(self.vital), self.hysteresis.explain(unit))
    }

    fn ladder(&self) -> Option<&Ladder> {
        Some(&self.ladder)
    }

    fn unit(&self) -> Option<&str> {
        Some(self.unit)
    }

    fn takes_reference(&self) -> Option<Vital> {
        self.statistic.takes_reference().then_some(self.vital)
    }
}

impl Basis {
    /// `14 stable days, 2026-10-20 to 2026-11-08`.
    pub fn days(self, look: &Look<'_>, which: &str) -> String {
        let day = |at| time(at).to_zoned(look.zone().clone()).date();
        format!("{} {which}days, {} to {}", self.count, day(self.from), day(self.until))
    }

    /// As data, with so many digits.
    pub fn told(self, digits: u32) -> Compared {
        Compared {
            what: self.what.to_owned(),
            value: rounded(self.centre, digits),
            spread: self.spread.map(|spread| rounded(spread, digits + 1)),
            count: u32::try_from(self.count).unwrap_or(u32::MAX),
            from: time(self.from),
            until: time(self.until),
        }
    }
}

/// A number with so many digits behind the point, half away from zero.
#[allow(clippy::cast_possible_truncation, reason = "bounded far below what fits")]
pub(super) fn rounded(number: f64, digits: u32) -> Value {
    let number = number.clamp(-STATISTIC_MAX, STATISTIC_MAX);
    let shifted = (number * f64::from(10_u32.pow(digits))).round();
    Value::new(shifted as i64, digits)
}

/// With how many digits a mean of this vital is told: one more than devices give.
pub(super) fn digits_of(vital: Vital) -> u32 {
    match vital.unit() {
        Unit::Litre | Unit::Celsius | Unit::Kilogram => 2,
        _ => 1,
    }
}

/// A unit as it is read aloud.
pub(super) fn plain(unit: &str) -> &str {
    match unit {
        "{z}" => "spreads",
        "%/a" => "% a year",
        "L/a" => "L a year",
        "kg/a" => "kg a year",
        "Cel" => "°C",
        "mm[Hg]" => "mmHg",
        other => other,
    }
}

/// A limit of a statistic that is usually zero: `at 2.5 or more below`.
fn side(limit: Limit, unit: &str) -> String {
    let unit = if unit == "spreads" { String::new() } else { format!(" {unit}") };
    let number = limit.value.decimal();
    let size = number.abs();
    match (limit.kind, number.is_sign_negative() && !number.is_zero()) {
        (LimitKind::AtMost, true) => format!("at {size}{unit} or more below"),
        (LimitKind::Below, true) => format!("at more than {size}{unit} below"),
        (LimitKind::From, true) => format!("at most {size}{unit} below"),
        (LimitKind::Above, true) => format!("at less than {size}{unit} below"),
        (LimitKind::AtMost, false) => format!("at most {size}{unit} above"),
        (LimitKind::Below, false) => format!("at less than {size}{unit} above"),
        (LimitKind::From, false) => format!("at {size}{unit} or more above"),
        (LimitKind::Above, false) => format!("at more than {size}{unit} above"),
    }
}

/// `green at less than 2 below and at less than 3 above`.
fn green(ladder: &Ladder, unit: &str) -> String {
    let (low, high) = ladder.green();
    let ends: Vec<String> = low.into_iter().chain(high).map(|limit| side(limit, unit)).collect();
    if ends.is_empty() { "green".to_owned() } else { format!("green {}", ends.join(" and ")) }
}
