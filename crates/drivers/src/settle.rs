//! From a stream of oximetry to one measurement of a sitting.
//!
//! An oximeter on a finger says a value every second, or three times; a clinic wants one. The sitting begins with the first value. When
//! [`SETTLED_SECONDS`] in a row have values and nothing to doubt, their medians are the measurement. If that doesn't come within
//! [`UNSETTLED_SECONDS`], or the finger is taken out before, the medians of whatever was said are, with every flag that was seen and
//! `unsettled`. Then nothing more comes until the finger has been out for [`FINGER_OUT_SECONDS`]. The median is the lower of the middle two,
//! so that it is a number that the device said.
//!
//! The lengths are our own choices, of no standard: a device's running average over four beats is replaced in four seconds at 60 beats a
//! minute, and nobody keeps a finger still for long. They count the device's samples, so that a tape gives the same readings for ever; only
//! silence is measured by the clock.

use jiff::{SignedDuration, Timestamp};
use vitals::{Flag, Value, Vital};

use crate::{Measured, Output};

/// Undoubted seconds in a row that make a measurement.
pub const SETTLED_SECONDS: usize = 4;
/// The longest that is waited for them.
pub const UNSETTLED_SECONDS: usize = 30;
/// Seconds without a value, said or silent, after which the finger is out.
pub const FINGER_OUT_SECONDS: usize = 3;

/// Flags that say nothing against a value.
const HARMLESS: &[&str] = &[
    "measurement_ongoing",
    "validated_data",
    "fully_qualified_data",
    "from_storage",
    "demonstration_data",
    "test_data",
    "low_battery",
    "smart_point",
    "low_spo2_alarm",
];
/// Flags of a sensor that is on nobody: a value beside them is an old one.
const NOBODY: &[&str] = &["sensor_fault", "sensor_unconnected_to_user", "sensor_disconnected"];

const UNSETTLED: Flag = Flag::new("unsettled");

/// What one sample says.
type Sample = Vec<Measured>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// No finger, or none yet.
    Empty,
    Measuring,
    /// Said; waiting for the finger to go.
    Said,
}

/// One device's stream.
pub struct Settle {
    /// Without this there is nobody on the sensor.
    main: Vital,
    per_second: usize,
    state: State,
    /// Samples with a value since the sitting began; at most [`UNSETTLED_SECONDS`] of them.
    taken: Vec<Sample>,
    /// Samples of any kind since the sitting began.
    count: usize,
    /// The last so many of `taken` are undoubted and without a gap.
    steady: usize,
    /// Samples without a value, up to now.
    missing: usize,
    heard_at: Option<Timestamp>,
}

impl Settle {
    /// For a device that says `per_second` samples a second.
    pub fn new(per_second: usize) -> Self {
        let (state, taken, main) = (State::Empty, Vec::new(), Vital::Spo2);
        Self { main, per_second, state, taken, count: 0, steady: 0, missing: 0, heard_at: None }
    }

    /// For a device that measures `main` above all, and not a saturation.
    pub fn measuring(self, main: Vital) -> Self {
        Self { main, ..self }
    }

    fn anew(&self) -> Self {
        Self::new(self.per_second).measuring(self.main)
    }

    /// The device said something.
    pub fn sample(&mut self, now: Timestamp, sample: Sample) -> Vec<Output> {
        self.heard_at = Some(now);
        let there = is_there(&sample, self.main);
        self.missing = if there { 0 } else { self.missing + 1 };
        if there && self.state == State::Empty {
            self.state = State::Measuring;
        }
        match self.state {
            State::Measuring => self.measure(there.then_some(sample)),
            State::Said if self.missing >= FINGER_OUT_SECONDS * self.per_second => self.finish(),
            State::Said | State::Empty => Vec::new(),
        }
    }

    fn measure(&mut self, sample: Option<Sample>) -> Vec<Output> {
        self.count += 1;
        let undoubted = sample.as_ref().is_some_and(is_undoubted);
        self.steady = if undoubted { self.steady + 1 } else { 0 };
        self.taken.extend(sample);
        let needed = SETTLED_SECONDS * self.per_second;
        if self.steady >= needed {
            let settled = self.taken.split_off(self.taken.len() - needed);
            return self.say(&settled, None);
        }
        if self.missing >= FINGER_OUT_SECONDS * self.per_second {
            return self.finish();
        }
        if self.count >= UNSETTLED_SECONDS * self.per_second {
            let all = std::mem::take(&mut self.taken);
            return self.say(&all, Some(UNSETTLED));
        }
        Vec::new()
    }

    fn say(&mut self, samples: &[Sample], doubt: Option<Flag>) -> Vec<Output> {
        *self = Self { state: State::Said, heard_at: self.heard_at, ..self.anew() };
        let medians = medians(samples, doubt).into_iter().map(Output::Measured);
        medians.chain([Output::SittingEnd]).collect()
    }

    /// How far a measurement that is going on has settled, in percent.
    pub fn percent(&self) -> Option<u8> {
        let needed = SETTLED_SECONDS * self.per_second;
        let percent = u8::try_from(self.steady * 100 / needed).unwrap_or(100);
        (self.state == State::Measuring).then_some(percent)
    }

    /// A measurement came by another way: this sitting, if there is one, has its values.
    pub fn said_otherwise(&mut self) {
        if self.state == State::Empty {
            return;
        }
        *self = Self { state: State::Said, heard_at: self.heard_at, ..self.anew() };
    }

    /// Nobody is on the sensor, or nobody yet.
    pub fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    /// Once a second of samples since the sitting began.
    pub fn is_full_second(&self) -> bool {
        self.count.is_multiple_of(self.per_second)
    }

    /// When silence means that the finger is out.
    pub fn silent_at(&self) -> Option<Timestamp> {
        let silence = SignedDuration::from_secs(FINGER_OUT_SECONDS.try_into().expect("a few seconds"));
        if self.state == State::Empty { None } else { self.heard_at?.checked_add(silence).ok() }
    }

    /// Time has passed.
    pub fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        if self.silent_at().is_some_and(|at| at <= now) { self.finish() } else { Vec::new() }
    }

    /// The finger is out, or the device gone: what was heard is the measurement.
    pub fn finish(&mut self) -> Vec<Output> {
        let left = std::mem::take(&mut self.taken);
        let outputs = if left.is_empty() { Vec::new() } else { self.say(&left, Some(UNSETTLED)) };
        *self = self.anew();
        outputs
    }
}

fn has(sample: &Sample, names: &[&str]) -> bool {
    sample.iter().flat_map(|measured| &measured.flags).any(|flag| names.contains(&flag.as_str()))
}

fn is_there(sample: &Sample, main: Vital) -> bool {
    sample.iter().any(|measured| measured.vital == main) && !has(sample, NOBODY)
}

fn is_undoubted(sample: &Sample) -> bool {
    sample.iter().flat_map(|measured| &measured.flags).all(|flag| HARMLESS.contains(&flag.as_str()))
}

fn medians(samples: &[Sample], doubt: Option<Flag>) -> Vec<Measured> {
    let mut flags: Vec<Flag> = Vec::new();
    for flag in samples.iter().flatten().flat_map(|measured| &measured.flags).chain(&doubt) {
        if !flags.contains(flag) {
            flags.push(flag.clone());
        }
    }
    let median_of = |vital| {
        let mut all: Vec<&Measured> = samples.iter().flatten().filter(|measured| measured.vital == vital).collect();
        all.sort_by_key(|measured| -> Value { measured.value });
        let middle = all.get(all.len().saturating_sub(1) / 2)?;
        Some(Measured { flags: flags.clone(), ..(*middle).clone() })
    };
    [Vital::Spo2, Vital::Pulse, Vital::PerfusionIndex].into_iter().filter_map(median_of).collect()
}
