//! Rule kind `variability`: how much a vital goes up and down over a window, whatever its level.
//!
//! As a coefficient of variation (in pulmonary fibrosis a 28-day variability of FVC of 5 % and more is common and progressors have more of it
//! than the stable: Respir Res 2020, doi 10.1186/s12931-020-01524-8), or as the spread of what is left when the window's own robust line is
//! taken away (of SpO2 in COPD it rises from 2 % or less to 4 % or more before an exacerbation: Clarke 2016, with a local regression for the
//! line; here it is the line of Theil and Sen).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Vital;

use super::{
    BandFile, Judge, Nothing, Reader,
    days::{self, WINDOW_DAYS_MAX},
    trend::{self, Asked, Basis, Measured, Parts, Statistic, Telling, in_range},
};
use crate::{
    programme::Number,
    series::{Need, Sample},
    stats,
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Which vital.
    vital: Vital,
    /// How it is taken.
    r#as: As,
    /// The unit of its limits: `%`, or for what is left of the line the vital's canonical one.
    unit: String,
    /// The window, the reading's own day included.
    #[schemars(range(min = 5, max = 400))]
    over_days: u32,
    /// With values on fewer of its days there is none.
    #[schemars(range(min = 5, max = 400))]
    minimum_days: u32,
    /// Digits of it behind its point.
    digits: u32,
    /// Its bands.
    bands: Vec<BandFile>,
    /// How far it must go back over a limit that was crossed before it counts as milder again.
    hysteresis: Option<Number>,
}

/// How variability is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum As {
    /// The coefficient of variation: the standard deviation in percent of the mean.
    Cv,
    /// The standard deviation of what is left of the window's own robust line.
    Residual,
}

#[derive(Debug)]
struct Variability {
    taken: As,
    over_days: u32,
    minimum_days: u32,
}

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { vital, r#as, unit, over_days, minimum_days, digits, bands, hysteresis } = reader.file()?;
    let mut fits = in_range(reader, &["over_days"], over_days, 5, WINDOW_DAYS_MAX);
    fits &= in_range(reader, &["minimum_days"], minimum_days, 5, over_days.max(5));
    let statistic = fits.then_some(Variability { taken: r#as, over_days, minimum_days });
    let wanted = if r#as == As::Cv { "%" } else { vital.unit().ucum() };
    trend::read(reader, Parts { vital, unit, wanted, digits, bands, hysteresis }, statistic)
}

impl Statistic for Variability {
    const NAME: &'static str = "variability";

    fn need(&self) -> Need {
        Need::days(i64::from(self.over_days) + 1)
    }

    #[allow(clippy::cast_precision_loss, reason = "days of a window")]
    fn measure(&self, asked: &Asked<'_>, newest: &Sample) -> Result<Measured, Nothing> {
        let course = days::course(asked.look, asked.vital, newest, self.over_days);
        let (count, want) = (course.len(), self.minimum_days as usize);
        if count < want {
            return Err(Nothing::TooLittle { found: count, want });
        }
        let (from, until) = (course[0].0, newest.at);
        let numbers: Vec<f64> = course.iter().map(|(_, number)| *number).collect();
        let value = match self.taken {
            As::Cv => stats::variation(&numbers).ok_or(Nothing::NotNow)?,
            As::Residual => {
                let first = days::day(from);
                let points: Vec<_> =
                    course.iter().map(|(at, number)| ((days::day(*at) - first) as f64, *number)).collect();
                stats::residual_sd(&points).ok_or(Nothing::NotNow)?
            }
        };
        let centre = stats::mean(&numbers).unwrap_or_default();
        Ok(Measured { value, compared: Some(Basis { what: "mean", centre, spread: None, count, from, until }) })
    }

    fn words(&self, telling: &Telling<'_>) -> String {
        let (value, unit, days) = (telling.value, telling.unit, telling.days(""));
        match self.taken {
            As::Cv => format!("varying by {value} {unit} of its mean {} ({days})", telling.centre()),
            As::Residual => format!("varying by {value} {unit} about its own line ({days})"),
        }
    }

    fn explain(&self, vital: Vital) -> String {
        let (label, over, minimum) = (vital.info().label, self.over_days, self.minimum_days);
        let how = match self.taken {
            As::Cv => "its standard deviation in percent of its mean",
            As::Residual => "the standard deviation of what is left of its own robust line",
        };
        format!("How much {label} goes up and down: {how}, over {over} days, of which {minimum} at least have a value.")
    }

    fn is_signed(&self) -> bool {
        false
    }
}
