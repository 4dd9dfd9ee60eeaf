//! The cohort: simulated people over a year, labelled as simulated everywhere, with what truly happened to them.
//!
//! For judging programmes where nobody's history may be used: some people are stable, some exacerbate (COPD) or decompensate (heart
//! failure), some are sloppy and some fall silent; people with pulmonary fibrosis are a group of their own. Every number that it is made of stands in [`PARAMETERS`] with its source; most
//! publications are small, and where none was found the number is our assumption and says so. Pure: no clock, no IO; the same seed gives
//! the same people, each from a stream of their own. What it can't tell: `docs/cohort.md`.

mod answers;
mod body;
mod course;
mod draw;
mod fibrosis;
mod parameters;
mod person;
mod recording;
mod sitting;
#[cfg(test)]
mod tests;
mod truth;

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, Time as Clock, time},
    tz::TimeZone,
};

pub use answers::{Said, questionnaire};
use body::{Body, Time};
pub use course::{Course, Effect, Event, Silence};
pub use draw::Draw;
use parameters as p;
pub use parameters::{PARAMETERS, Parameter, Source};
pub use person::{Condition, Habitual, Kind, Person};
pub use recording::{PERSON_DAYS_MAX, Sent, Stretch};
use sitting::Devices;
pub use sitting::{Ids, Line, Measured, Sitting, TechniqueError};
pub use truth::{Truth, TruthEvent, TruthSilence};

/// When people sit down, before their own spread.
const MORNING: Clock = time(8, 45, 0, 0);
const EVENING: Clock = time(19, 30, 0, 0);
/// How long after the last measurement a kit that is online has sent it.
const SENT_AFTER: SignedDuration = SignedDuration::from_secs(20);
/// The longest time that can be simulated, in days.
pub const DAYS_MAX: u16 = 3660;

/// A cohort, before anybody is drawn.
#[derive(Clone, Debug)]
pub struct Cohort {
    /// The same seed gives the same people.
    pub seed: u64,
    /// How many days, 1 to [`DAYS_MAX`].
    pub days: u16,
    /// The first day.
    pub start: Date,
    /// Where they live.
    pub zone: TimeZone,
}

/// One simulated person with the year that they had.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// Ids of the person, the kit and its devices.
    pub ids: Ids,
    /// Who they are.
    pub person: Person,
    /// What happened to them.
    pub course: Course,
    /// What they sent, in the order in which it arrived.
    pub sittings: Vec<Sitting>,
}

impl Cohort {
    /// The person of this number, from 1.
    #[must_use]
    pub fn person(&self, number: u64) -> Simulated {
        let mut draw = Draw::new(self.seed, number);
        let person = Person::draw(&mut draw);
        self.lived(number, draw, person)
    }

    /// The person of this number, who has pulmonary fibrosis.
    #[must_use]
    pub fn with_fibrosis(&self, number: u64) -> Simulated {
        let mut draw = Draw::new(self.seed ^ fibrosis::STREAMS, number);
        let person = fibrosis::person(&mut draw);
        self.lived(number, draw, person)
    }

    fn lived(&self, number: u64, mut draw: Draw, person: Person) -> Simulated {
        let course = Course::draw(&mut draw, &person, i64::from(self.days));
        let body = Body::draw(&mut draw, usize::from(self.days));
        let sittings = Year { cohort: self, draw: &mut draw, person: &person, course: &course, body: &body }.sittings();
        Simulated { ids: Ids::new(number, person.condition), person, course, sittings }
    }

    /// Midnight at the beginning of a day.
    #[must_use]
    pub fn midnight(&self, day: i64) -> Timestamp {
        self.at(day, Clock::midnight())
    }

    fn at(&self, day: i64, clock: Clock) -> Timestamp {
        let date = self.date(day);
        self.zone.to_timestamp(date.to_datetime(clock)).unwrap_or(Timestamp::MAX)
    }

    /// The date of a day.
    #[must_use]
    pub fn date(&self, day: i64) -> Date {
        self.start.saturating_add(day.days())
    }
}

/// Somebody's year, as it is lived.
struct Year<'a> {
    cohort: &'a Cohort,
    draw: &'a mut Draw,
    person: &'a Person,
    course: &'a Course,
    body: &'a Body,
}

impl Year<'_> {
    fn sittings(&mut self) -> Vec<Sitting> {
        let mut sittings = Vec::with_capacity(usize::from(self.cohort.days) * 2);
        let mut done = true;
        for day in 0..i64::from(self.cohort.days) {
            for time in [Time::Morning, Time::Evening] {
                done = self.draw.chance(self.adherence(day, done));
                if done && !self.course.is_away(day) {
                    sittings.push(self.sitting(day, time));
                }
            }
        }
        self.receive(&mut sittings);
        sittings
    }

    /// How likely somebody sits down, after having done so the last time or not.
    fn adherence(&self, day: i64, last: bool) -> f64 {
        let late = self.person.adherence;
        let drifted = late + (p::ADHERENCE_FIRST.value - late) * (-(day as f64) / p::ADHERENCE_DRIFT_DAYS.value).exp();
        let now = if self.course.is_before_event(day) { drifted * p::ADHERENCE_ILL.value } else { drifted };
        let sticks = p::ADHERENCE_STICKS.value;
        if last { now + sticks * (1.0 - now) } else { now * (1.0 - sticks) }
    }

    fn sitting(&mut self, day: i64, time: Time) -> Sitting {
        let at = usize::try_from(day).expect("days count from 0");
        let effect = &self.course.effects[at];
        let begins = self.begins(day, time);
        let truth = self.body.measure(self.draw, self.person, effect, at, time);
        let mut devices =
            Devices { draw: self.draw, person: self.person, now: begins, measured: Vec::with_capacity(8) };
        devices.sit(&truth, time);
        let (answered_at, measured) = (devices.now, devices.measured);
        let answers = match time {
            Time::Evening => Vec::new(),
            Time::Morning => {
                let symptoms = self.body.symptoms(self.draw, self.person, effect, at);
                let treated = self.course.is_treated(day);
                let day = answers::Day { symptoms, colour: effect.colour, temperature: truth.temperature, treated };
                answers::answer(self.draw, self.person, &day)
            }
        };
        Sitting { seq: 0, received_at: answered_at + SENT_AFTER, measured, answers, answered_at }
    }

    /// When somebody sits down. The morning stays before 14:00 and the evening before midnight.
    fn begins(&mut self, day: i64, time: Time) -> Timestamp {
        let (clock, least, most) = match time {
            Time::Morning => (MORNING, -210.0, 300.0),
            Time::Evening => (EVENING, -300.0, 240.0),
        };
        let minutes = self.draw.normal(0.0, self.person.minutes_spread).clamp(least, most);
        self.cohort.at(day, clock) + SignedDuration::from_secs((minutes * 60.0) as i64)
    }

    /// When each is received, and in which order: what is measured while the kit is offline comes when it is back.
    fn receive(&mut self, sittings: &mut [Sitting]) {
        let years = f64::from(self.cohort.days) / 365.0;
        let mut outages: Vec<(Timestamp, Timestamp)> = (0..self.draw.poisson(p::OUTAGES.value * years))
            .map(|_| {
                let from = self.cohort.midnight(self.draw.whole(0, i64::from(self.cohort.days) - 1));
                let from = from + SignedDuration::from_secs(self.draw.whole(0, 86_399));
                let seconds = self.draw.exponential(p::OUTAGE_HOURS.value) * 3600.0;
                (from, from + SignedDuration::from_secs(seconds as i64))
            })
            .collect();
        outages.sort_unstable();
        let mut last = Timestamp::MIN;
        for (seq, sitting) in (1..).zip(sittings) {
            for (from, until) in &outages {
                if (*from..*until).contains(&sitting.received_at) {
                    sitting.received_at = *until;
                }
            }
            sitting.seq = seq;
            sitting.received_at = sitting.received_at.max(last + SignedDuration::from_secs(1));
            last = sitting.received_at;
        }
    }
}
