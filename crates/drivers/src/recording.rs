//! From a night of seconds to readings: a device that records SpO2 and pulse every second or few says 30,000 numbers a night, and a clinic
//! wants to see the night. Each minute of the recording becomes one reading of each vital, the median of the minute, at the minute's beginning
//! on the device's own clock, with `from_storage`; a minute of which less than half has values is `unsettled`. The median is the lower of the
//! middle two, so that it is a number that the device said.
//!
//! A recording whose beginning the device doesn't tell can't be placed in time: it becomes one reading of each vital for the whole, marked
//! `time_unknown`, which speaks against it. See decision 0060.

use std::collections::BTreeMap;

use jiff::{SignedDuration, civil::DateTime};
use vitals::{Flag, Unit, Value, Vital};

use crate::{Measured, gatt};

/// What is one reading.
const MINUTE_SECONDS: u32 = 60;

const UNSETTLED: Flag = Flag::new("unsettled");

/// One sample of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Oxygen saturation, percent.
    pub spo2: Option<u8>,
    /// Beats a minute.
    pub pulse: Option<u8>,
    /// Perfusion index, in 0.01 %.
    pub index: Option<u16>,
}

/// How often each number was said. At most 256 different ones of SpO2 and pulse, and one index for each sample of a minute.
#[derive(Default)]
struct Tally(BTreeMap<u16, u32>);

impl Tally {
    fn add(&mut self, number: Option<u16>) {
        if let Some(number) = number {
            *self.0.entry(number).or_default() += 1;
        }
    }

    fn count(&self) -> u32 {
        self.0.values().sum()
    }

    fn median(&self) -> Option<u16> {
        let mut before = self.count().checked_sub(1)? / 2;
        for (number, times) in &self.0 {
            match before.checked_sub(*times) {
                Some(left) => before = left,
                None => return Some(*number),
            }
        }
        None
    }
}

/// A recording that is being read.
pub struct Recording {
    start: Option<DateTime>,
    /// Between samples.
    step_seconds: u32,
    /// Samples so far, of all and of this minute.
    samples: u32,
    in_minute: u32,
    spo2: Tally,
    pulse: Tally,
    index: Tally,
    minutes: Vec<Measured>,
}

impl Recording {
    /// Begins a recording with a sample each `step_seconds`, 1 to 60.
    pub fn new(start: Option<DateTime>, step_seconds: u32) -> Self {
        let (spo2, pulse, index) = Default::default();
        let step_seconds = step_seconds.clamp(1, MINUTE_SECONDS);
        Self { start, step_seconds, samples: 0, in_minute: 0, spo2, pulse, index, minutes: Vec::new() }
    }

    /// Samples so far.
    pub fn samples(&self) -> u32 {
        self.samples
    }

    /// The next sample.
    pub fn push(&mut self, sample: Sample) {
        self.samples = self.samples.saturating_add(1);
        self.in_minute += 1;
        self.spo2.add(sample.spo2.map(u16::from));
        self.pulse.add(sample.pulse.map(u16::from));
        if self.start.is_some() {
            self.index.add(sample.index);
        }
        if self.start.is_some() && self.in_minute >= MINUTE_SECONDS / self.step_seconds {
            self.close();
        }
    }

    /// What was taken since the last reading becomes one.
    fn close(&mut self) {
        let taken = std::mem::take(&mut self.in_minute);
        let [spo2, pulse, index] = [&mut self.spo2, &mut self.pulse, &mut self.index].map(std::mem::take);
        let mut flags = vec![Flag::FROM_STORAGE];
        let began = self.samples.saturating_sub(taken).saturating_mul(self.step_seconds);
        let time = self.start.and_then(|start| start.checked_add(SignedDuration::from_secs(began.into())).ok());
        flags.extend(time.is_none().then_some(Flag::TIME_UNKNOWN));
        flags.extend((spo2.count() * 2 < taken).then_some(UNSETTLED));
        let whole = |tally: &Tally| tally.median().map(|number| Value::new(number.into(), 0));
        let values = [
            (Vital::Spo2, whole(&spo2), Unit::Percent),
            (Vital::Pulse, whole(&pulse), Unit::PerMinute),
            (Vital::PerfusionIndex, index.median().map(|number| Value::new(number.into(), 2)), Unit::Percent),
        ];
        self.minutes.extend(gatt::present(values, time, &flags));
    }

    /// All samples have come: the readings.
    pub fn finish(mut self) -> Vec<Measured> {
        if self.in_minute > 0 {
            self.close();
        }
        self.minutes
    }

    /// No more samples will come, though there are some: the readings of whole minutes. What is left would be another reading of the same
    /// minute when the recording is read again.
    pub fn cut(self) -> Vec<Measured> {
        self.minutes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: DateTime = DateTime::constant(2026, 11, 21, 23, 59, 30, 0);

    fn say(measured: &[Measured]) -> Vec<String> {
        let time = |one: &Measured| one.device_time.map_or("-".to_owned(), |time| time.to_string());
        measured.iter().map(|one| format!("{} {} {} {:?}", one.vital, one.value, time(one), one.flags)).collect()
    }

    fn of(start: Option<DateTime>, step: u32, samples: &[(u8, u8)]) -> Recording {
        let mut recording = Recording::new(start, step);
        for (spo2, pulse) in samples {
            let there = |number: u8| Some(number).filter(|number| *number != 0);
            recording.push(Sample { spo2: there(*spo2), pulse: there(*pulse), index: None });
        }
        recording
    }

    #[test]
    fn a_minute_is_its_median_at_its_beginning() {
        let night = [vec![(95, 60); 31], vec![(80, 90); 29], vec![(0, 0); 40], vec![(93, 62); 20]].concat();
        assert_eq!(
            say(&of(Some(START), 1, &night).finish()),
            [
                "spo2 95 2026-11-21T23:59:30 [from_storage]",
                "pulse 60 2026-11-21T23:59:30 [from_storage]",
                "spo2 93 2026-11-22T00:00:30 [from_storage, unsettled]",
                "pulse 62 2026-11-22T00:00:30 [from_storage, unsettled]",
            ]
        );
    }

    #[test]
    fn the_last_minute_counts_only_when_the_recording_is_whole() {
        let samples = vec![(95, 60); 20];
        assert_eq!(say(&of(Some(START), 4, &samples).cut()).len(), 2);
        assert_eq!(say(&of(Some(START), 4, &samples).finish()).len(), 4);
    }

    #[test]
    fn an_hour_is_sixty_readings_and_nobody_on_it_is_none() {
        assert_eq!(of(Some(START), 1, &[(96, 70); 3600]).finish().len(), 120);
        assert_eq!(of(Some(START), 1, &[(0, 0); 3600]).finish().len(), 0);
    }

    #[test]
    fn a_recording_without_a_beginning_is_one_reading() {
        let all = of(None, 1, &[vec![(91, 60); 3000], vec![(97, 80); 3001]].concat()).finish();
        assert_eq!(say(&all), ["spo2 97 - [from_storage, time_unknown]", "pulse 80 - [from_storage, time_unknown]"]);
    }
}
