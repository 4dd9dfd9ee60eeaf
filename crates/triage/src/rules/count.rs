//! Rule kind `count`: how often something happened in a window of local days: another rule was met, or a vital fell or rose by more than so
//! much from one reading, or from one day, to the next.
//!
//! A day is taken by its lowest value for a fall and by its highest for a rise, from what nothing speaks against.

use std::sync::Arc;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Colour, Unit, Value, Vital};

use super::{
    BandFile, Judge, Nothing, Reader, Told, Verdict, Watches,
    parts::{Part, check_looks, local},
    read,
    trend::in_range,
};
use crate::{
    Input, Limit, Mark, Programme, Reason, Rung,
    bands::{BandView, Ladder, meaning},
    hysteresis::{FOLLOWED_BACK, Hysteresis},
    look::{Look, days},
    programme::{
        Number,
        place::{Step, steps},
    },
    series::{Nanos, Need, Sample, length},
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Times that another rule was met: its id. It stands before this one.
    of: Option<String>,
    /// How bad that rule has to be: yellow where it says nothing.
    at_least: Option<Colour>,
    /// Or times that a vital fell.
    falls: Option<StepFile>,
    /// Or times that a vital rose.
    rises: Option<StepFile>,
    /// So many local days: the one of the newest value and those before it.
    #[schemars(range(min = 1, max = 92))]
    days: u32,
    /// Does a day on which the other rule was met count once, however often it was? Else each time counts.
    #[serde(default)]
    each_day: bool,
    /// The unit of its limits: `1`.
    unit: String,
    /// Bands of the number of times.
    bands: Vec<BandFile>,
    /// How many times fewer than a limit that was crossed it must be before it counts as milder again.
    hysteresis: Option<Number>,
}

/// A step of a vital.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepFile {
    /// Which vital.
    vital: Vital,
    /// In its canonical unit.
    unit: Unit,
    /// By more than so much.
    more_than: Number,
    /// From one reading to the next, or from one day to the next.
    between: Between,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Between {
    Readings,
    Days,
}

#[derive(Debug)]
enum Of {
    Rule(Part),
    Step { step: StepFile, falls: bool },
}

#[derive(Debug)]
struct Count {
    of: Of,
    days: u32,
    each_day: bool,
    ladder: Ladder,
    hysteresis: Hysteresis,
}

/// A window is at most so many days.
const DAYS_MAX: u32 = 92;
/// A rule is not asked more often than so: readings of a window beyond these are not counted.
const TIMES_MAX: usize = 400;
/// With hysteresis it is counted anew for each day that is followed back.
const COUNTS_MAX: usize = 15;
/// How many times something happened, told with the newest of them.
const TOLD_MAX: usize = 8;
/// The unit of a count.
const UNIT: &str = "1";

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { of, at_least, falls, rises, days, each_day, unit, bands, hysteresis } = reader.file()?;
    reader.unit(&unit, UNIT, "a count");
    let fits = in_range(reader, &["days"], days, 1, DAYS_MAX);
    if at_least.is_some() && of.is_none() {
        reader.fault(steps!["at_least"], "found it without `of`, want it for the times that a rule was met");
    }
    if each_day && of.is_none() {
        reader.fault(steps!["each_day"], "found it without `of`, want it for the days on which a rule was met");
    }
    let of = match (of, falls, rises) {
        (Some(of), None, None) => Part::read(reader, &[], &of, at_least.unwrap_or(Colour::Yellow)).map(Of::Rule),
        (None, Some(step), None) => check_step(reader, "falls", step).then_some(Of::Step { step, falls: true }),
        (None, None, Some(step)) => check_step(reader, "rises", step).then_some(Of::Step { step, falls: false }),
        _ => {
            reader.fault(std::iter::empty::<Step>(), "found none or several of `of`, `falls` and `rises`, want one");
            None
        }
    };
    let (ladder, of) = (reader.ladder(&bands), of?);
    let (hysteresis, ladder) = (Hysteresis::read(reader, hysteresis)?, ladder?);
    hysteresis.check(reader, &ladder, "times");
    hysteresis.check_nothing(reader, &ladder);
    let rule = Count { of, days, each_day, ladder, hysteresis };
    if let Of::Rule(part) = &rule.of {
        check_looks(reader, part.looks);
    }
    fits.then(|| read::judge(rule)).flatten()
}

fn check_step(reader: &mut Reader<'_, '_, '_>, field: &str, step: StepFile) -> bool {
    let wanted = step.vital.unit();
    if step.unit != wanted {
        let (found, wanted) = (step.unit.ucum(), wanted.ucum());
        reader.fault(steps![field, "unit"], format!("found {found:?}, want {wanted:?}"));
    }
    let more_than = step.more_than.0;
    let fits = more_than.decimal() > Value::new(0, 0).decimal();
    if !fits {
        reader.fault(steps![field, "more_than"], format!("found {more_than}, want more than 0"));
    }
    fits && step.unit == wanted
}

/// One time that it happened.
struct Time {
    at: Nanos,
    why: String,
    inputs: Vec<Input>,
}

impl Count {
    /// The first local day that counts.
    fn first_day(&self, look: &Look<'_>, newest: Nanos) -> i64 {
        look.day(newest) - i64::from(self.days) + 1
    }

    /// Times of the newest value.
    fn newest(&self, look: &Look<'_>) -> Result<Nanos, Nothing> {
        let watches = self.watches();
        let newest = look.chart.watched(&watches).filter_map(|series| Some(series.until(look.at).last()?.at)).max();
        newest.ok_or(Nothing::NoValue)
    }

    /// How often it happened, and whether all of them are beyond doubt.
    fn count(&self, look: &Look<'_>, newest: Nanos) -> (usize, bool) {
        match &self.of {
            Of::Rule(part) => {
                let met: Vec<bool> = self.met(part, look, newest).map(|(_, said)| said.verdict.doubtful).collect();
                (met.len(), met.iter().all(|doubtful| !doubtful))
            }
            Of::Step { step, falls } => {
                let steps = self.steps(look, *step, *falls, newest);
                (steps.len(), steps.iter().all(|(_, sample)| !sample.is_doubtful()))
            }
        }
    }

    fn met<'l>(
        &'l self,
        part: &'l Part,
        look: &'l Look<'_>,
        newest: Nanos,
    ) -> impl Iterator<Item = (Nanos, super::parts::Said)> + 'l {
        let first = self.first_day(look, newest);
        let after = newest.saturating_sub(crate::series::length(days(self.days + 1)));
        let said = part.said(look, after).take(TIMES_MAX).take_while(move |(at, _)| look.day(*at) >= first);
        let mut last = None;
        let mut is_first = move |day| last.replace(day) != Some(day);
        said.filter(move |(at, said)| part.is_met(said) && (!self.each_day || is_first(look.day(*at))))
    }

    /// Pairs of neighbours with such a step, oldest first. The newest value counts, doubtful or not; of the others those beyond doubt.
    fn steps<'a>(&self, look: &Look<'a>, step: StepFile, falls: bool, newest: Nanos) -> Vec<(&'a Sample, &'a Sample)> {
        let first = self.first_day(look, newest);
        let samples = look.samples(step.vital);
        let start = samples.partition_point(|sample| look.day(sample.at) < first - 1);
        let last = samples.len().saturating_sub(1);
        let believed =
            samples.iter().enumerate().skip(start).filter(|(at, sample)| *at == last || !sample.is_doubtful());
        let believed: Vec<&Sample> = believed.map(|(_, sample)| sample).collect();
        let points = if step.between == Between::Days { by_day(look, &believed, falls) } else { believed };
        let large = |pair: &&[&'a Sample]| {
            let (one, two) = (pair[0].value().decimal(), pair[1].value().decimal());
            let size = if falls { one - two } else { two - one };
            size > step.more_than.0.decimal()
        };
        let near = |pair: &&[&'a Sample]| {
            step.between == Between::Readings || look.day(pair[1].at) - look.day(pair[0].at) == 1
        };
        let counts = |pair: &&[&'a Sample]| look.day(pair[1].at) >= first && near(pair) && large(pair);
        points.windows(2).filter(counts).map(|pair| (pair[0], pair[1])).collect()
    }

    /// The newest times, newest first, in words.
    fn times(&self, look: &Look<'_>, newest: Nanos) -> Vec<Time> {
        match &self.of {
            Of::Rule(part) => {
                let tell = |(at, said): (Nanos, super::parts::Said)| {
                    let Told { why, inputs, .. } = part.tell(look, &said);
                    Time { at, why, inputs }
                };
                self.met(part, look, newest).take(TOLD_MAX).map(tell).collect()
            }
            Of::Step { step, falls } => {
                let tell = |(one, two): (&Sample, &Sample)| {
                    let (label, unit) = (step.vital.info().label, step.vital.unit().plain());
                    let why = format!("{label} from {} to {} {unit}", one.value(), two.value());
                    Time { at: two.at, why, inputs: vec![look.input(step.vital, one), look.input(step.vital, two)] }
                };
                self.steps(look, *step, *falls, newest).into_iter().rev().take(TOLD_MAX).map(tell).collect()
            }
        }
    }

    /// The band of a number of times. Those of days before are only counted as far as the hysteresis asks for them.
    fn band(&self, look: &Look<'_>, ladder: &Ladder, (count, newest): (usize, Nanos)) -> BandView {
        if self.hysteresis.back().is_none() {
            return ladder.judge(number(count));
        }
        self.hysteresis.judge(ladder, || std::iter::once(number(count)).chain(self.older(look, newest)))
    }

    /// How often it had happened as of the newest value of each local day before, newest first.
    fn older<'l>(&'l self, look: &'l Look<'_>, newest: Nanos) -> impl Iterator<Item = Value> + 'l {
        let mut times = Vec::new();
        look.chart.times(&self.watches(), newest.saturating_sub(length(FOLLOWED_BACK)), newest, &mut times);
        let mut day = look.day(newest);
        let ends = times.into_iter().rev().filter(move |at| std::mem::replace(&mut day, look.day(*at)) > look.day(*at));
        ends.map(move |at| number(self.count(&Look { at, rank: 0, ..*look }, at).0))
    }

    /// So many local days, and more where the hysteresis asks for what was before.
    fn back(&self, days_of_rule: u32) -> SignedDuration {
        let before = self.hysteresis.need().raw;
        days(days_of_rule) + before
    }

    fn what(&self) -> String {
        match &self.of {
            Of::Rule(part) if self.each_day => format!("{} {}, each day once", part.id, part.at_least.name()),
            Of::Rule(part) => format!("{} {}", part.id, part.at_least.name()),
            Of::Step { step, falls } => {
                let (label, unit, size) = (step.vital.info().label, step.vital.unit().plain(), step.more_than.0);
                let way = if *falls { "fell" } else { "rose" };
                let between = if step.between == Between::Days { "a day to the next" } else { "a reading to the next" };
                format!("{label} {way} more than {size} {unit} from {between}")
            }
        }
    }
}

/// The lowest (or highest) of each local day.
fn by_day<'a>(look: &Look<'_>, samples: &[&'a Sample], lowest: bool) -> Vec<&'a Sample> {
    let days = samples.chunk_by(|one, two| look.day(one.at) == look.day(two.at));
    let worst = |day: &[&'a Sample]| {
        let day = day.iter().copied();
        if lowest { day.min_by_key(|sample| sample.value()) } else { day.max_by_key(|sample| sample.value()) }
    };
    days.filter_map(worst).collect()
}

impl Judge for Count {
    fn watches(&self) -> Watches {
        match &self.of {
            Of::Rule(part) => part.watches.clone(),
            Of::Step { step, .. } => Watches::vital(step.vital),
        }
    }

    fn needs(&self) -> Vec<(Vital, Need)> {
        match &self.of {
            Of::Rule(part) => part.needs(self.back(self.days + 1)),
            Of::Step { step, .. } => vec![(step.vital, Need::raw(self.back(self.days + 2)))],
        }
    }

    fn needs_answers(&self) -> Need {
        match &self.of {
            Of::Rule(part) => part.needs_answers(self.back(self.days + 1)),
            Of::Step { .. } => Need::default(),
        }
    }

    fn looks(&self) -> usize {
        let counts = if self.hysteresis.back().is_some() { COUNTS_MAX } else { 1 };
        match &self.of {
            Of::Rule(part) => part.looks.saturating_mul(TIMES_MAX / 10).saturating_mul(counts),
            Of::Step { .. } => counts,
        }
    }

    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing> {
        let at = self.newest(look)?;
        let (count, sure) = self.count(look, at);
        let mark = self.band(look, &look.ladder(&self.ladder), (count, at)).mark;
        Ok(Verdict { mark, at, doubtful: mark > Mark::Green && !sure })
    }

    fn tell(&self, look: &Look<'_>, _: &Verdict) -> Told {
        let at = self.newest(look).expect("a verdict has a value");
        let (count, _) = self.count(look, at);
        let (ladder, times) = (look.ladder(&self.ladder), self.times(look, at));
        let band = self.band(look, &ladder, (count, at));
        let kept = self.hysteresis.words(&ladder, number(count), &band, "times");
        let (what, within) = (self.what(), self.days);
        let own = if band.own { " (own limit)" } else { "" };
        let newest = times.first().map(|time| format!(", newest {}: {}", local(look, time.at), time.why));
        let means = meaning(&ladder, &band, "times");
        let why = format!("{what}: {count} times in {within} days, {means}{own}{kept}{}", newest.unwrap_or_default());
        let inputs = times.into_iter().flat_map(|time| time.inputs).fold(Vec::new(), |mut inputs, input| {
            if !inputs.contains(&input) {
                inputs.push(input);
            }
            inputs
        });
        let reason = match self.watches().vitals.first() {
            Some(vital) => Reason::Trend {
                statistic: "count".to_owned(),
                vital: *vital,
                of: look.newest(*vital).map_or_else(|_| number(count), |newest| newest.value()),
                value: number(count),
                unit: UNIT.to_owned(),
                limit: band.limit,
                own: band.own,
                green: self.hysteresis.green_list(&ladder, &band, || self.older(look, at)),
                compared: None,
            },
            None => {
                let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                let how = "count".to_owned();
                let rung = if band.mark == Mark::Red { Rung::RedHigh } else { Rung::YellowHigh };
                let holds = self.hysteresis.holds(&ladder, rung, || self.older(look, at));
                let back = self.hysteresis.back().filter(|_| holds).unwrap_or(Value::new(0, 0)).decimal();
                let fewer = |limit: Limit| u32::try_from((limit.value.decimal() - back).ceil().mantissa()).unwrap_or(0);
                let want = band.limit.map_or(0, fewer);
                let (found, parts) = (number(count), vec![why.clone()]);
                Reason::Together { how, found, of: within, want, parts, missing: Vec::new() }
            }
        };
        Told { why, reason, inputs }
    }

    fn explain(&self, _: &Programme) -> String {
        let (what, words) = (self.what(), self.ladder.in_words("times"));
        format!("How often in {} days: {what}. It is {words}.{}", self.days, self.hysteresis.explain("times"))
    }

    fn ladder(&self) -> Option<&Ladder> {
        Some(&self.ladder)
    }

    fn unit(&self) -> Option<&str> {
        Some(UNIT)
    }
}

fn number(count: usize) -> Value {
    Value::new(i64::try_from(count).unwrap_or(i64::MAX), 0)
}
