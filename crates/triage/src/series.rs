//! What was measured and answered, in the order of its time: sixteen bytes a sample, as much of it as the rules need.
//!
//! What is kept is a function of what came, not of the order in which it came: everything of the last [`Need::raw`], and of what is older the
//! first sample of each day that nothing speaks against (or else the first), back to [`Need::span`]. So a chart that is built again from the store is the chart that was there before.

use jiff::{SignedDuration, Timestamp};
use vitals::{DeviceId, Flag, Reading, Value};

use crate::bounds::{NAMES_MAX, SAMPLES_MAX};

/// Nanoseconds since 1970.
pub(crate) type Nanos = i64;

const DAY: Nanos = 86_400_000_000_000;

pub(crate) fn nanos(at: Timestamp) -> Nanos {
    Nanos::try_from(at.as_nanosecond()).unwrap_or(if at > Timestamp::UNIX_EPOCH { Nanos::MAX } else { Nanos::MIN })
}

pub(crate) fn time(at: Nanos) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(at)).expect("64 bits of nanoseconds are within the calendar")
}

pub(crate) fn length(length: SignedDuration) -> Nanos {
    Nanos::try_from(length.as_nanos()).unwrap_or(Nanos::MAX)
}

/// A length of time as people say it: `3 days`, `24 hours`, `15 minutes`.
pub(crate) fn in_words(length: SignedDuration) -> String {
    let counted = |number: i64, unit: &str| format!("{number} {unit}{}", if number == 1 { "" } else { "s" });
    match length.as_secs() {
        days if days % 86_400 == 0 && days > 86_400 => counted(days / 86_400, "day"),
        hours if hours % 3600 == 0 => counted(hours / 3600, "hour"),
        minutes if minutes % 60 == 0 => counted(minutes / 60, "minute"),
        _ => format!("{length:#}"),
    }
}

/// How much of a series the rules need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// Every sample of this long.
    pub raw: SignedDuration,
    /// The first sample of each day of this long.
    pub span: SignedDuration,
}

impl Need {
    /// Every sample of so long, and nothing older.
    pub fn raw(raw: SignedDuration) -> Self {
        Self { raw, span: raw }
    }

    /// The first sample of each day, and every one of the last day.
    pub fn days(days: i64) -> Self {
        Self { raw: SignedDuration::from_hours(24), span: SignedDuration::from_hours(24 * days) }
    }

    /// As of times that lie so far back.
    pub fn longer(self, back: SignedDuration) -> Self {
        Self { raw: self.raw.saturating_add(back), span: self.span.saturating_add(back) }
    }

    /// Enough for both.
    pub fn and(self, other: Self) -> Self {
        Self { raw: self.raw.max(other.raw), span: self.span.max(other.span) }
    }
}

/// One value or answer. Values are remembered with their digits, seven after the point at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub at: Nanos,
    /// From the top: 44 bits of the value without its decimal point (of an answer, its hash), 3 of how many digits stand behind the point,
    /// 1 of doubt, 8 of the device's name (of an answer, its name), 8 of the flags' name.
    packed: i64,
}

/// So many digits behind the point are remembered.
const DIGITS_MAX: u32 = 7;

impl Sample {
    /// A reading as a sample; its device and flags get names.
    pub fn of(reading: &Reading, names: &mut Names) -> Self {
        let (number, digits) = numbered(reading.value);
        let doubtful = reading.flags.iter().any(Flag::is_doubt);
        let (device, flags) = (names.device(&reading.device), names.flags(&reading.flags));
        let low = i64::from(digits) << 17 | i64::from(doubtful) << 16 | i64::from(device) << 8 | i64::from(flags);
        Self { at: nanos(reading.measured_at), packed: number << 20 | low }
    }

    /// An answer as a sample. Answers of one time are in the order of their hashes: names are given in the order in which they come, and
    /// that is another for a chart that is built again.
    pub fn answer(at: Timestamp, answer: &str, names: &mut Names) -> Self {
        let hash = i64::try_from(hash(answer.bytes()) >> (64 - ANSWER_BITS)).expect("few bits");
        Self { at: nanos(at), packed: hash << 20 | i64::from(names.answer(answer)) << 8 }
    }

    fn mantissa(&self) -> i64 {
        self.packed >> 20
    }

    fn digits(&self) -> u32 {
        u32::try_from(self.packed >> 17 & 7).expect("three bits")
    }

    fn name(&self, shift: u32) -> usize {
        usize::try_from(self.packed >> shift & 0xff).expect("eight bits")
    }

    pub fn value(&self) -> Value {
        Value::new(self.mantissa(), self.digits())
    }

    /// For statistics.
    #[allow(clippy::cast_precision_loss, reason = "44 bits fit a float")]
    pub fn number(&self) -> f64 {
        const TENS: [f64; 8] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
        self.mantissa() as f64 / TENS[self.digits() as usize]
    }

    /// Does the device, or what came before, speak against it?
    pub fn is_doubtful(&self) -> bool {
        self.packed >> 16 & 1 == 1
    }

    pub fn device<'n>(&self, names: &'n Names) -> &'n DeviceId {
        &names.devices[self.name(8)]
    }

    pub fn flags<'n>(&self, names: &'n Names) -> &'n [Flag] {
        &names.flags[self.name(0)]
    }

    pub fn text<'n>(&self, names: &'n Names) -> &'n str {
        &names.answers[self.name(8)]
    }

    /// By time, and of one time by value.
    fn order(&self) -> (Nanos, i128) {
        (self.at, i128::from(self.mantissa()) * i128::from(10_u32.pow(DIGITS_MAX - self.digits())))
    }

    /// The same value of the same time from the same device, whatever its flags.
    fn is_again(&self, other: &Self) -> bool {
        self.order() == other.order() && self.name(8) == other.name(8)
    }

    /// What it is known by when it is no longer kept; `device` is the one of a measurement.
    pub fn key(&self, device: &str) -> u64 {
        let (at, number) = self.order();
        hash(at.to_le_bytes().into_iter().chain(number.to_le_bytes()).chain(device.bytes()))
    }
}

/// So many bits of an answer's hash are remembered: what is left of the 44 is the sign.
const ANSWER_BITS: u32 = 43;

/// FNV-1a.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Mantissa and digits, as many as there is room for.
fn numbered(value: Value) -> (i64, u32) {
    let decimal = value.decimal();
    (0..=decimal.scale().min(DIGITS_MAX))
        .rev()
        .find_map(|scale| {
            let rounded = if scale == decimal.scale() { decimal } else { decimal.round_dp(scale) };
            let mantissa = i64::try_from(rounded.mantissa()).ok().filter(|it| it.unsigned_abs() < 1 << 43)?;
            Some((mantissa, rounded.scale()))
        })
        .unwrap_or(((1 << 43) - 1, 0))
}

/// Puts one more into a list that hardly ever grows: with room for it and no more, or for an eighth more of a long one.
pub(crate) fn push<T>(list: &mut Vec<T>, one: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(1.max(list.len() / 8));
    }
    list.push(one);
}

fn end_of_day(at: Nanos) -> Nanos {
    at.div_euclid(DAY).saturating_add(1).saturating_mul(DAY)
}

/// How many samples from the first on have a day of their own.
fn one_a_day(samples: &[Sample]) -> usize {
    let Some(first) = samples.first() else { return 0 };
    let mut next_day = end_of_day(first.at);
    for (at, sample) in samples.iter().enumerate().skip(1) {
        if sample.at < next_day {
            return at - 1;
        }
        next_day = next_day.saturating_add(DAY);
        if sample.at >= next_day {
            next_day = end_of_day(sample.at);
        }
    }
    samples.len()
}

/// The samples of one vital, or of one question, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<Sample>);

impl Series {
    /// Puts a sample in its place; no, if it is there already.
    pub fn insert(&mut self, sample: Sample) -> bool {
        if self.0.last().is_none_or(|newest| newest.at < sample.at) {
            push(&mut self.0, sample);
            return true;
        }
        let place = self.0.partition_point(|other| other.order() < sample.order());
        if self.0[place..]
            .iter()
            .take_while(|other| other.order() == sample.order())
            .any(|other| other.is_again(&sample))
        {
            return false;
        }
        push(&mut self.0, sample);
        self.0[place..].rotate_right(1);
        true
    }

    /// Takes one out again.
    pub fn remove(&mut self, sample: &Sample) {
        if let Some(place) = self.0.iter().position(|other| other.is_again(sample)) {
            self.0.remove(place);
        }
    }

    /// The place of the first sample from a time on. Nearly always one of the newest is meant, so it is looked for from there, in steps twice as long
    /// each: a chart that lies cold in memory costs a look or two and not one for each halving.
    fn place_of(&self, at: Nanos) -> usize {
        let samples = &self.0;
        let mut step = 1;
        while step <= samples.len() && samples[samples.len() - step].at >= at {
            step *= 2;
        }
        let (low, high) = (samples.len().saturating_sub(step), samples.len() - step / 2);
        low + samples[low..high].partition_point(|sample| sample.at < at)
    }

    /// Everything from a time on, up to another.
    pub fn between(&self, from: Nanos, until: Nanos) -> &[Sample] {
        self.until(until).get(self.place_of(from)..).unwrap_or_default()
    }

    /// Leaves what is needed.
    pub fn prune(&mut self, need: Need) {
        let Some(newest) = self.0.last().map(|sample| sample.at) else { return };
        let (raw, span) =
            (newest.saturating_sub(length(need.raw)), newest.saturating_sub(length(need.span.max(need.raw))));
        if self.0[0].at >= raw && self.0.len() <= SAMPLES_MAX {
            return;
        }
        let old = self.place_of(raw);
        let first_day = span.div_euclid(DAY).saturating_mul(DAY);
        let first = self.0[..old].iter().position(|sample| sample.at >= first_day).unwrap_or(old);
        let thinned = first + one_a_day(&self.0[first..old]);
        let (mut from, mut kept) = (thinned, thinned);
        while from < old {
            let day = self.0[from].at.div_euclid(DAY);
            let until = from + self.0[from..old].partition_point(|sample| sample.at.div_euclid(DAY) == day);
            let place = self.0[from..until].iter().position(|sample| !sample.is_doubtful()).unwrap_or_default();
            self.0[kept] = self.0[from + place];
            (from, kept) = (until, kept + 1);
        }
        if kept < old {
            self.0.drain(kept..old);
        }
        let most = first.max(self.0.len().saturating_sub(SAMPLES_MAX));
        if most > 0 {
            self.0.drain(..most);
        }
    }

    /// Everything up to a time, oldest first.
    pub fn until(&self, at: Nanos) -> &[Sample] {
        if self.0.last().is_some_and(|newest| newest.at <= at) {
            return &self.0;
        }
        &self.0[..self.place_of(at.saturating_add(1))]
    }

    /// The newest.
    pub fn newest(&self) -> Option<&Sample> {
        self.0.last()
    }

    pub fn all(&self) -> &[Sample] {
        &self.0
    }
}

/// Devices, sets of flags and answers, each as a small number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    devices: Vec<DeviceId>,
    flags: Vec<Vec<Flag>>,
    answers: Vec<Box<str>>,
}

impl Names {
    fn device(&mut self, device: &DeviceId) -> u8 {
        named(&mut self.devices, |known| known == device, || device.clone())
    }

    fn flags(&mut self, flags: &[Flag]) -> u8 {
        named(&mut self.flags, |known| known == flags, || flags.to_vec())
    }

    fn answer(&mut self, answer: &str) -> u8 {
        named(&mut self.answers, |known| **known == *answer, || answer.into())
    }
}

/// The number of a name. Where there are too many, the last makes room: a sample that is older than it may be told as of another device.
fn named<T>(names: &mut Vec<T>, is_it: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> u8 {
    let place = names.iter().position(is_it).unwrap_or_else(|| {
        if names.len() == NAMES_MAX {
            names.pop();
        }
        push(names, make());
        names.len() - 1
    });
    u8::try_from(place).expect("fewer than 256 names")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vitals::{Clock, Vital};

    use super::*;

    fn sample(names: &mut Names, minute: i64, value: &str) -> Sample {
        flagged(names, minute, value, &[])
    }

    fn flagged(names: &mut Names, minute: i64, value: &str, flags: &[Flag]) -> Sample {
        let reading = Reading {
            vital: Vital::Spo2,
            value: value.parse().unwrap(),
            unit: Vital::Spo2.unit(),
            measured_at: Timestamp::from_second(1_700_000_000 + minute * 60).unwrap(),
            clock: Clock::Device,
            device: "a:1".parse().unwrap(),
            flags: flags.to_vec(),
        };
        Sample::of(&reading, names)
    }

    #[test]
    fn lengths_are_said_as_people_say_them() {
        let said = ["72h", "24h", "1h", "90m", "15s"].map(|length| in_words(length.parse().unwrap()));
        assert_eq!(said, ["3 days", "24 hours", "1 hour", "90 minutes", "15s"]);
    }

    #[test]
    fn a_sample_is_small_and_keeps_its_digits() {
        assert_eq!(size_of::<Sample>(), 16);
        let mut names = Names::default();
        for (value, kept) in [
            ("93", "93"),
            ("93.0", "93.0"),
            ("36.70", "36.70"),
            ("1.23456789", "1.2345679"),
            ("85.0000001", "85.0000001"),
            ("-2.5", "-2.5"),
        ] {
            let sample = sample(&mut names, 0, value);
            assert_eq!(sample.value().to_string(), kept);
            assert_eq!(sample.number(), kept.parse::<f64>().unwrap());
        }
        assert_eq!(numbered("3000000.12345678".parse().unwrap()).1, 6, "as many digits as there is room for");
    }

    #[test]
    fn names_are_bounded() {
        let mut names = Names::default();
        for at in 0..1000 {
            names.device(&format!("d:{at}").parse().unwrap());
        }
        assert_eq!(names.devices.len(), NAMES_MAX);
        assert_eq!(names.device(&"d:3".parse().unwrap()), 3);
    }

    proptest! {
        #[test]
        fn a_time_is_found_from_the_newest_on(minutes in prop::collection::vec(0..40_i64, 0..60), from in -1..41_i64, until in -1..41_i64) {
            let mut names = Names::default();
            let mut series = Series::default();
            for (number, minute) in minutes.iter().enumerate() {
                series.insert(sample(&mut names, *minute, &number.to_string()));
            }
            let [from, until] = [from, until].map(|minute| sample(&mut names, minute, "93").at);
            let within = |sample: &&Sample| (from..=until).contains(&sample.at);
            prop_assert_eq!(series.between(from, until), series.all().iter().filter(within).copied().collect::<Vec<_>>());
        }

        #[test]
        fn what_is_kept_does_not_depend_on_the_order(minutes in prop::collection::vec(0..60_000_i64, 1..60), turn in 0..60_usize) {
            let need = Need { raw: SignedDuration::from_hours(24), span: SignedDuration::from_hours(24 * 14) };
            let mut names = Names::default();
            let flags = |minute: i64| if minute % 3 == 0 { vec![Flag::SUSPECT] } else { vec![] };
            let samples: Vec<Sample> =
                minutes.iter().map(|minute| flagged(&mut names, *minute, "93", &flags(*minute))).collect();
            let keep = |samples: &[Sample]| {
                let mut series = Series::default();
                for sample in samples {
                    series.insert(*sample);
                    series.prune(need);
                }
                series.0
            };
            let mut turned = samples.clone();
            turned.rotate_left(turn % samples.len());
            prop_assert_eq!(keep(&samples), keep(&turned));
        }
    }
}
