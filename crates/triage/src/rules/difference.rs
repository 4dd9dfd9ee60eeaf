//! Rule kind `difference`: how far a value lies from the first, the least or the greatest of a window before it, or from a value that was set
//! for the person (dry weight); in the vital's unit or in percent.
//!
//! A window is a length of time, or so many local days before the value's own: a weight of Monday morning is compared with Friday's for
//! "within 3 days", even where somebody got up a little later. What is doubtful is not compared with, and neither is what may be somebody
//! else's. (Limits of weight gain and loss in heart failure: ESC/HFA, AHA; their programme names them with their sources.)

use std::sync::Arc;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Vital;

use super::{
    BandFile, Judge, Nothing, Reader,
    baseline::set_by_hand,
    parts::check_within,
    trend::{self, Asked, Basis, Measured, Parts, Statistic, Telling, in_range},
};
use crate::{
    Length,
    look::{Look, days},
    programme::{Number, place::steps},
    series::{Need, Sample, length, time},
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Which vital.
    vital: Vital,
    /// The unit of its limits: the vital's canonical one, or `%`.
    unit: String,
    /// What a value is compared with.
    against: Against,
    /// The window: so long before the value. It or `days`, unless `against` is a reference.
    within: Option<Length>,
    /// The window: so many local days before the value's own, and that day up to the value.
    #[schemars(range(min = 1, max = 92))]
    days: Option<u32>,
    /// Digits of the difference behind its point.
    digits: u32,
    /// Bands of the difference: it is above zero where the value is greater.
    bands: Vec<BandFile>,
    /// How far the difference must go back over a limit that was crossed before it counts as milder again.
    hysteresis: Option<Number>,
}

/// What a value is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Against {
    /// The first value of the window.
    First,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// The person's own reference value.
    Reference,
}

/// How far back is looked.
#[derive(Clone, Copy, Debug)]
enum Window {
    Length(SignedDuration),
    Days(u32),
}

#[derive(Debug)]
struct Difference {
    percent: bool,
    against: Against,
    window: Window,
}

/// Of how many local days a window is at most.
const DAYS_MAX: u32 = 92;

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { vital, unit, against, within, days, digits, bands, hysteresis } = reader.file()?;
    let window = window(reader, against, within, days);
    let percent = unit == "%" && vital.unit().ucum() != "%";
    let wanted = if percent { "%" } else { vital.unit().ucum() };
    let statistic = window.map(|window| Difference { percent, against, window });
    trend::read(reader, Parts { vital, unit, wanted, digits, bands, hysteresis }, statistic)
}

fn window(
    reader: &mut Reader<'_, '_, '_>,
    against: Against,
    within: Option<Length>,
    days: Option<u32>,
) -> Option<Window> {
    match (against, within, days) {
        (Against::Reference, None, None) => return Some(Window::Days(0)),
        (Against::Reference, ..) => {
            let field = if within.is_some() { "within" } else { "days" };
            reader.fault(steps![field], "found it, want none: a reference value is not of a window");
        }
        (_, Some(within), None) => {
            check_within(reader, "within", within.0);
            return Some(Window::Length(within.0));
        }
        (_, None, Some(days)) => {
            return in_range(reader, &["days"], days, 1, DAYS_MAX).then_some(Window::Days(days));
        }
        (_, None, None) => reader.fault(steps!["days"], "found neither `days` nor `within`, want one of them"),
        (_, Some(_), Some(_)) => reader.fault(steps!["days"], "found both `days` and `within`, want one of them"),
    }
    None
}

impl Difference {
    /// What the newest value is compared with: undoubted, of the window, and before it.
    fn compared<'a>(
        &self,
        look: &Look<'a>,
        vital: Vital,
        newest: &Sample,
    ) -> impl DoubleEndedIterator<Item = &'a Sample> {
        let samples = look.samples(vital);
        let earlier = &samples[..samples.len().saturating_sub(1)];
        let start = match self.window {
            Window::Length(window) => {
                let oldest = newest.at.saturating_sub(length(window));
                earlier.partition_point(|sample| sample.at < oldest)
            }
            Window::Days(days) => {
                let first = look.day(newest.at) - i64::from(days);
                earlier.partition_point(|sample| look.day(sample.at) < first)
            }
        };
        earlier[start..].iter().filter(|sample| !sample.is_doubtful())
    }

    fn basis(&self, look: &Look<'_>, vital: Vital, newest: &Sample) -> Result<Basis, Nothing> {
        let compared = || self.compared(look, vital, newest);
        let (what, chosen) = match self.against {
            Against::Reference => return look.reference().map(set_by_hand).ok_or(Nothing::NoReference),
            Against::First => ("first", compared().next()),
            Against::Minimum => ("minimum", compared().min_by_key(|sample| sample.value())),
            Against::Maximum => ("maximum", compared().rev().max_by_key(|sample| sample.value())),
        };
        let chosen = chosen.ok_or(Nothing::TooLittle { found: 0, want: 1 })?;
        let (centre, count) = (chosen.number(), compared().count());
        Ok(Basis { what, centre, spread: None, count, from: chosen.at, until: chosen.at })
    }

    fn in_words(&self) -> String {
        match self.window {
            Window::Length(window) => format!("{window:#}"),
            Window::Days(1) => "a day".to_owned(),
            Window::Days(days) => format!("{days} days"),
        }
    }
}

impl Statistic for Difference {
    const NAME: &'static str = "difference";

    fn need(&self) -> Need {
        match self.window {
            Window::Length(window) => Need::raw(window),
            Window::Days(0) => Need::default(),
            Window::Days(window) => Need::raw(days(window + 1)),
        }
    }

    fn measure(&self, asked: &Asked<'_>, newest: &Sample) -> Result<Measured, Nothing> {
        let basis = self.basis(asked.look, asked.vital, newest)?;
        let difference = newest.number() - basis.centre;
        if self.percent && basis.centre <= 0.0 {
            return Err(Nothing::NotNow);
        }
        let value = if self.percent { 100.0 * difference / basis.centre } else { difference };
        Ok(Measured { value, compared: Some(basis) })
    }

    fn words(&self, telling: &Telling<'_>) -> String {
        let which = match self.against {
            Against::First => "the first",
            Against::Minimum => "the least",
            Against::Maximum => "the greatest",
            Against::Reference => {
                return format!("{} the own {} ({})", telling.distance(), telling.centre(), telling.set());
            }
        };
        let at = telling.compared.map(|basis| time(basis.from).to_zoned(telling.look.zone().clone()).date());
        let at = at.map(|at| format!(" on {at}")).unwrap_or_default();
        format!("{} {which} within {}, {}{at}", telling.distance(), self.in_words(), telling.centre())
    }

    fn explain(&self, vital: Vital) -> String {
        let label = vital.info().label;
        let with = match self.against {
            Against::First => format!("the first within {}", self.in_words()),
            Against::Minimum => format!("the least within {}", self.in_words()),
            Against::Maximum => format!("the greatest within {}", self.in_words()),
            Against::Reference => "the value that is set for the person".to_owned(),
        };
        let percent = if self.percent { ", in percent of it" } else { "" };
        format!("How far {label} lies from {with}{percent}; doubtful values are not compared with.")
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn takes_reference(&self) -> bool {
        self.against == Against::Reference
    }
}
