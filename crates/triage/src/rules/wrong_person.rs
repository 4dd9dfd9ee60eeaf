//! Rule kind `wrong_person`: somebody else of the household may have stood on the scale. A value that lies far from the person's own median, or
//! that the device counts to another of its users than most before, is marked as unconfirmed when it comes: it is doubtful, so that it is
//! compared with nothing, is asked for again, and is told as provisional where it is red. Nothing is thrown away. What the person has
//! confirmed at the kit is theirs, and so is what has been measured like this several times running.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Colour, Flag, Reading, Value, Vital};

use super::{Judge, Nothing, Reader, Told, Verdict, Watches, doubt, read, trend::in_range};
use crate::{
    Mark, Programme, Reason,
    assess::TOGETHER,
    look::{Look, days},
    programme::{Number, place::steps},
    series::{Names, Nanos, Need, Sample, Series, length, nanos},
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Which vital.
    vital: Vital,
    /// A value that lies farther than so many percent from the person's own median is unconfirmed.
    percent: Number,
    /// The median of so many days before it.
    #[schemars(range(min = 1, max = 92))]
    days: u32,
    /// With fewer values than so many there is no median, and nothing is unconfirmed for it.
    #[schemars(range(min = 1, max = 31))]
    minimum: u32,
    /// Is a value unconfirmed, too, that the device counts to another of its users than most of those before?
    #[serde(default)]
    users: bool,
    /// What an unconfirmed value means: yellow, or green, where asking for it again is enough.
    mark: Colour,
}

/// When a value is taken for somebody else's.
#[derive(Debug)]
pub(crate) struct Guard {
    pub vital: Vital,
    percent: Value,
    days: u32,
    minimum: u32,
    users: bool,
}

#[derive(Debug)]
struct WrongPerson {
    guard: Guard,
    mark: Mark,
}

/// The device does not know which user it was.
const USER_UNKNOWN: &str = "user_255";

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { vital, percent, days, minimum, users, mark } = reader.file()?;
    let fits = in_range(reader, &["days"], days, 1, 92) & in_range(reader, &["minimum"], minimum, 1, 31);
    let (zero, hundred) = (Value::new(0, 0), Value::new(100, 0));
    if percent.0 <= zero || percent.0 > hundred {
        reader.fault(steps!["percent"], format!("found {}, want more than 0 and at most 100", percent.0));
    }
    if mark == Colour::Red {
        reader.fault(
            steps!["mark"],
            "found red, want yellow or green: what may be somebody else's is never red by itself",
        );
    }
    let guard = Guard { vital, percent: percent.0, days, minimum, users };
    fits.then(|| read::judge(WrongPerson { guard, mark: mark.into() })).flatten()
}

impl Guard {
    /// Marks a reading that may be somebody else's, by what was measured before its own sitting.
    pub fn check(&self, reading: &mut Reading, series: Option<&Series>, names: &Names) {
        let confirmed = [Flag::PERSON_CONFIRMED, Flag::PERSON_UNCONFIRMED].iter().any(|flag| reading.has(flag));
        let (Some(series), false) = (series, confirmed) else { return };
        let at = nanos(reading.measured_at);
        let samples = series.until(at.saturating_sub(length(TOGETHER)).saturating_sub(1));
        let far = self.is_far(reading.value, self.median(samples, at)) && !self.is_usual_lately(reading.value, samples);
        if far || (self.users && self.is_other(reading, samples, names)) {
            reading.flag(Flag::PERSON_UNCONFIRMED);
        }
    }

    fn median(&self, samples: &[Sample], at: Nanos) -> Option<Value> {
        let oldest = at.saturating_sub(length(days(self.days)));
        let near = samples.iter().rev().take_while(|sample| sample.at >= oldest).filter(|sample| !sample.is_doubtful());
        let mut values: Vec<Value> = near.map(Sample::value).collect();
        values.sort_unstable();
        let enough = values.len() >= usize::try_from(self.minimum).unwrap_or(usize::MAX);
        enough.then(|| values[(values.len() - 1) / 2])
    }

    /// Were the last few all near it, believed or not? Then it is what the person weighs now.
    fn is_usual_lately(&self, value: Value, samples: &[Sample]) -> bool {
        let want = usize::try_from(self.minimum).unwrap_or(usize::MAX);
        let last: Vec<&Sample> = samples.iter().rev().take(want).collect();
        last.len() == want && last.iter().all(|sample| !self.is_far(value, Some(sample.value())))
    }

    fn is_far(&self, value: Value, median: Option<Value>) -> bool {
        let Some(median) = median else { return false };
        let away = (value.decimal() - median.decimal()).abs() * Value::new(100, 0).decimal();
        away > self.percent.decimal() * median.decimal().abs()
    }

    /// Does the device count it to another user than most of those before?
    fn is_other(&self, reading: &Reading, samples: &[Sample], names: &Names) -> bool {
        let Some(user) = user(&reading.flags) else { return false };
        let before =
            samples.iter().rev().filter(|sample| sample.device(names) == &reading.device && !sample.is_doubtful());
        let users: Vec<&Flag> = before.filter_map(|sample| self::user(sample.flags(names))).collect();
        let same = users.iter().filter(|other| **other == user).count();
        users.len() >= usize::try_from(self.minimum).unwrap_or(usize::MAX) && 2 * same < users.len()
    }
}

fn user(flags: &[Flag]) -> Option<&Flag> {
    flags.iter().find(|flag| flag.as_str().starts_with("user_") && flag.as_str() != USER_UNKNOWN)
}

impl WrongPerson {
    fn is_unconfirmed(look: &Look<'_>, sample: &Sample) -> bool {
        sample.flags(&look.chart.names).contains(&Flag::PERSON_UNCONFIRMED)
    }
}

impl Judge for WrongPerson {
    fn watches(&self) -> Watches {
        Watches::vital(self.guard.vital)
    }

    fn needs(&self) -> Vec<(Vital, Need)> {
        vec![(self.guard.vital, Need::raw(days(self.guard.days)))]
    }

    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing> {
        let newest = look.newest(self.guard.vital)?;
        let unconfirmed = Self::is_unconfirmed(look, newest);
        let mark = if unconfirmed { self.mark } else { Mark::Green };
        Ok(Verdict { mark, at: newest.at, doubtful: unconfirmed })
    }

    fn tell(&self, look: &Look<'_>, verdict: &Verdict) -> Told {
        let vital = self.guard.vital;
        let newest = look.newest(vital).expect("a verdict has a value");
        let (label, value, unit) = (vital.info().label, newest.value(), vital.unit().plain());
        let unconfirmed = Self::is_unconfirmed(look, newest);
        let says = if unconfirmed { "may be somebody else's" } else { "is taken for the person's own" };
        let usual = self.guard.median(look.samples(vital).split_last().map_or(&[], |(_, before)| before), newest.at);
        let usual = usual.map(|median| format!(", usually {median} {unit}")).unwrap_or_default();
        let doubts = if verdict.doubtful { doubt(newest.flags(&look.chart.names)) } else { String::new() };
        let why = format!("{label} {value} {unit} {says}{usual}{doubts}");
        let found = u32::from(unconfirmed);
        let (how, parts, missing) = ("wrong_person".to_owned(), vec![why.clone()], Vec::new());
        let reason = Reason::Together { how, found, of: 1, want: 1, parts, missing };
        Told { why, reason, inputs: vec![look.input(vital, newest)] }
    }

    fn explain(&self, _: &Programme) -> String {
        let Guard { vital, percent, days, minimum, users } = &self.guard;
        let (label, mark) = (vital.info().label, self.mark.name());
        let of_user = if *users { ", or of another user of the device than most before" } else { "" };
        format!(
            "{label} more than {percent} % from the own median of {days} days (of {minimum} values at least){of_user} may be \
             somebody else's: it is doubtful, is compared with nothing, is measured again, and is {mark}."
        )
    }

    fn guard(&self) -> Option<&Guard> {
        Some(&self.guard)
    }
}
