//! Rule kind `flag`: what a device says of itself or of its measurement (an irregular pulse, a low battery, a value that is hardly
//! believable) in k of the last n measurements. It makes nobody act at once, so it is yellow at most.

use std::sync::Arc;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Colour, Flag, Vital};

use super::{Judge, Nothing, Reader, Told, Verdict, Watches, parts::check_within, read, trend::in_range};
use crate::{
    Input, Length, Mark, Programme, Reason,
    bounds::VITALS_EXPECTED_MAX,
    look::Look,
    programme::{nearest, place::steps},
    series::{Nanos, Need, in_words, length},
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Of which vitals: values of one time are one measurement.
    vitals: Vec<Vital>,
    /// Which flags: any of them.
    flags: Vec<Flag>,
    /// In so many measurements.
    #[schemars(range(min = 1, max = 31))]
    k: u32,
    /// Of so many, the newest.
    #[schemars(range(min = 1, max = 31))]
    n: u32,
    /// What is longer ago does not count.
    within: Length,
    /// What it means: green or yellow.
    mark: Colour,
}

#[derive(Debug)]
struct Flagged {
    vitals: Vec<Vital>,
    flags: Vec<Flag>,
    k: usize,
    n: usize,
    within: SignedDuration,
    mark: Mark,
}

/// Of how many measurements at most.
const N_MAX: u32 = 31;
/// Flags that one rule looks for.
const FLAGS_MAX: usize = 16;

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { vitals, flags, k, n, within, mark } = reader.file()?;
    let fits = in_range(reader, &["n"], n, 1, N_MAX) && in_range(reader, &["k"], k, 1, n);
    let counts = [("vitals", vitals.len(), VITALS_EXPECTED_MAX), ("flags", flags.len(), FLAGS_MAX)];
    for (field, found, most) in counts.into_iter().filter(|(_, found, most)| !(1..=*most).contains(found)) {
        reader.fault(steps![field], format!("found {found}, want 1 to {most}"));
    }
    for (at, flag) in flags.iter().enumerate() {
        // The list is open: a flag that is unlike all of today may be one of tomorrow.
        let is_sent = Flag::sent().any(|sent| sent == flag.as_str());
        if let Some(near) = nearest(flag.as_str(), Flag::sent()).filter(|_| !is_sent) {
            reader.refuse_new(
                steps!["flags", at],
                format!("found {:?}, which nothing sends, want {near:?}", flag.as_str()),
            );
        }
    }
    if mark == Colour::Red {
        reader.fault(steps!["mark"], "found red, want yellow or green: what a device says of itself is never red");
    }
    check_within(reader, "within", within.0);
    let size = |number: u32| usize::try_from(number).expect("a small number");
    let rule = Flagged { vitals, flags, k: size(k), n: size(n), within: within.0, mark: mark.into() };
    fits.then(|| read::judge(rule)).flatten()
}

impl Flagged {
    /// The newest measurements, newest first, each with what was flagged in it.
    fn measurements<'a>(&self, look: &Look<'a>) -> Vec<(Nanos, Option<(Vital, &'a crate::series::Sample)>)> {
        let mut times = Vec::new();
        let after = look.at.saturating_sub(length(self.within)).saturating_sub(1);
        look.chart.times(&self.watches(), after, look.at, &mut times);
        times.iter().rev().take(self.n).map(|at| (*at, self.flagged(look, *at))).collect()
    }

    fn flagged<'a>(&self, look: &Look<'a>, at: Nanos) -> Option<(Vital, &'a crate::series::Sample)> {
        self.vitals.iter().find_map(|vital| {
            let samples = look.chart.series(*vital)?.until(at);
            let here = samples.iter().rev().take_while(|sample| sample.at == at);
            let mut flagged =
                here.filter(|sample| sample.flags(&look.chart.names).iter().any(|flag| self.flags.contains(flag)));
            flagged.next().map(|sample| (*vital, sample))
        })
    }

    fn words(&self) -> String {
        let words: Vec<String> = self.flags.iter().map(|flag| flag.as_str().replace('_', " ")).collect();
        words.join(" or ")
    }
}

impl Judge for Flagged {
    fn watches(&self) -> Watches {
        Watches { vitals: self.vitals.clone(), questions: Vec::new() }
    }

    fn needs(&self) -> Vec<(Vital, Need)> {
        self.vitals.iter().map(|vital| (*vital, Need::raw(self.within))).collect()
    }

    fn within(&self) -> Option<SignedDuration> {
        Some(self.within)
    }

    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing> {
        let measurements = self.measurements(look);
        let at = measurements.first().ok_or(Nothing::NoValue)?.0;
        let met = measurements.iter().filter(|(_, flagged)| flagged.is_some()).count();
        Ok(Verdict { mark: if met >= self.k { self.mark } else { Mark::Green }, at, doubtful: false })
    }

    fn tell(&self, look: &Look<'_>, _: &Verdict) -> Told {
        let measurements = self.measurements(look);
        let flagged: Vec<_> = measurements.iter().filter_map(|(_, flagged)| *flagged).collect();
        let inputs: Vec<Input> = flagged.iter().map(|(vital, sample)| look.input(*vital, sample)).collect();
        let (found, of, k) = (flagged.len(), measurements.len(), self.k);
        let why = format!("{} on {found} of the last {of} measurements, told from {k} on", self.words());
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let part = |(vital, sample): &(Vital, &crate::series::Sample)| {
            format!("{} {} {}", vital.info().label, sample.value(), vital.unit().plain())
        };
        let parts = flagged.iter().map(part).collect();
        let (how, missing) = ("flag".to_owned(), Vec::new());
        let reason =
            Reason::Together { how, found: number(found), of: number(self.n), want: number(k), parts, missing };
        Told { why, reason, inputs }
    }

    fn means(&self) -> Option<Mark> {
        Some(self.mark)
    }

    fn explain(&self, _: &Programme) -> String {
        let labels: Vec<&str> = self.vitals.iter().map(|vital| vital.info().label).collect();
        let (k, n, within, mark) = (self.k, self.n, in_words(self.within), self.mark.name());
        let (of, words) = (labels.join(", "), self.words());
        format!("{words} on {k} of the last {n} measurements of {of}, none longer ago than {within}, is {mark}.")
    }
}
