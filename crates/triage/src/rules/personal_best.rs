//! Rule kind `personal_best`: a value in percent of the person's best. The best is the one that was set for the person (with author, reason,
//! from and until, in their own settings), the best on record of the last months, or the latter where none is set.
//!
//! (Zones at 80 and 50 % of the best peak flow are those of the written action plans for asthma; for other vitals and illnesses they are a
//! clinic's own choice.)

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Vital;

use super::{
    BandFile, Judge, Nothing, Reader,
    baseline::set_by_hand,
    days::{self, WINDOW_DAYS_MAX, day},
    trend::{self, Asked, Basis, Measured, Parts, Statistic, Telling, in_range},
};
use crate::{
    look::Look,
    programme::{Number, place::steps},
    series::{Need, Sample},
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Which vital.
    vital: Vital,
    /// The unit of its limits: `%`.
    unit: String,
    /// Where the best comes from.
    best: Best,
    /// The best on record is that of so many days before the reading's own.
    #[schemars(range(min = 2, max = 400))]
    over_days: Option<u32>,
    /// With values on fewer of them there is none on record.
    #[schemars(range(min = 1, max = 400))]
    minimum_days: Option<u32>,
    /// Digits of the percentage behind its point.
    digits: u32,
    /// Bands of the percentage.
    bands: Vec<BandFile>,
    /// How far the percentage must go back over a limit that was crossed before it counts as milder again.
    hysteresis: Option<Number>,
}

/// Where the best comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Best {
    /// It is set for the person.
    Set,
    /// It is the best on record.
    Record,
    /// It is set; where it is not, the best on record.
    SetOrRecord,
}

#[derive(Debug)]
struct PersonalBest {
    takes_set: bool,
    /// Days, and how many at least.
    record: Option<(u32, u32)>,
}

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { vital, unit, best, over_days, minimum_days, digits, bands, hysteresis } = reader.file()?;
    let record = match (best, over_days, minimum_days) {
        (Best::Set, None, None) => Some(None),
        (Best::Set, ..) => {
            let field = if over_days.is_some() { "over_days" } else { "minimum_days" };
            reader.fault(steps![field], "found it, want it where the best may come from the record");
            None
        }
        (_, Some(over), Some(minimum)) => {
            let fits = in_range(reader, &["over_days"], over, 2, WINDOW_DAYS_MAX);
            (fits & in_range(reader, &["minimum_days"], minimum, 1, over.max(1))).then_some(Some((over, minimum)))
        }
        (_, over, _) => {
            let field = if over.is_none() { "over_days" } else { "minimum_days" };
            reader.fault(steps![field], "found nothing, want it where the best comes from the record");
            None
        }
    };
    let takes_set = best != Best::Record;
    let statistic = record.map(|record| PersonalBest { takes_set, record });
    trend::read(reader, Parts { vital, unit, wanted: "%", digits, bands, hysteresis }, statistic)
}

impl PersonalBest {
    fn on_record(&self, look: &Look<'_>, vital: Vital, newest: &Sample) -> Result<Basis, Nothing> {
        let (over, minimum) = self.record.ok_or(Nothing::NoReference)?;
        let today = day(newest.at);
        let (mut best, mut count) = (None::<&Sample>, 0);
        for sample in days::days(look.samples(vital), today - i64::from(over), today - 1) {
            best = Some(best.filter(|best| best.number() >= sample.number()).unwrap_or(sample));
            count += 1;
        }
        let want = minimum as usize;
        let best = best.filter(|_| count >= want).ok_or(Nothing::TooLittle { found: count, want })?;
        Ok(Basis { what: "best", centre: best.number(), spread: None, count, from: best.at, until: best.at })
    }
}

impl Statistic for PersonalBest {
    const NAME: &'static str = "personal_best";

    fn need(&self) -> Need {
        self.record.map_or(Need::default(), |(over, _)| Need::days(i64::from(over) + 1))
    }

    fn measure(&self, asked: &Asked<'_>, newest: &Sample) -> Result<Measured, Nothing> {
        let basis = match asked.look.reference().filter(|_| self.takes_set) {
            Some(set) => set_by_hand(set),
            None => self.on_record(asked.look, asked.vital, newest)?,
        };
        if basis.centre <= 0.0 {
            return Err(Nothing::NotNow);
        }
        Ok(Measured { value: 100.0 * newest.number() / basis.centre, compared: Some(basis) })
    }

    fn words(&self, telling: &Telling<'_>) -> String {
        let set = telling.compared.is_some_and(|basis| basis.what == "reference");
        let from = if set { telling.set() } else { telling.day_of_best() };
        format!("{} % of the personal best {} ({from})", telling.value, telling.centre())
    }

    fn explain(&self, vital: Vital) -> String {
        let label = vital.info().label;
        let record = self.record.map(|(over, minimum)| {
            format!("the best on record of the {over} days before (of which {minimum} at least have a value)")
        });
        let best = match (self.takes_set, record) {
            (true, Some(record)) => format!("the one that was set, or {record}"),
            (false, Some(record)) => record,
            _ => "the one that was set".to_owned(),
        };
        format!("{label} in percent of the person's best: {best}.")
    }

    fn is_signed(&self) -> bool {
        false
    }

    fn takes_reference(&self) -> bool {
        self.takes_set
    }
}
