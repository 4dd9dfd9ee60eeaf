//! What the body does from day to day: each vital wanders over weeks, has its days, and each measurement its own noise.

use super::{
    course::Effect,
    draw::Draw,
    parameters as p,
    person::{Person, SYMPTOMS, symptoms_within},
};

/// How much of yesterday's wandering is left today.
const WANDER_KEPT: f64 = 0.9;
/// The same for the slow course of the weight.
const WEIGHT_KEPT: f64 = 0.99;
/// In the evening: pulse, temperature and pressure are higher. Our assumption.
const EVENING: (f64, f64, f64) = (2.0, 0.3, 3.0);

/// A course with mean 0 and sd 1 for each day.
fn wandering(draw: &mut Draw, days: usize, kept: f64) -> Vec<f64> {
    let mut now = draw.standard();
    let step = (1.0 - kept * kept).sqrt();
    (0..days)
        .map(|_| {
            let today = now;
            now = kept * now + step * draw.standard();
            today
        })
        .collect()
}

/// What belongs to a day, of one vital: wandering and the day's own, without the single measurement's noise.
struct Days(Vec<f64>);

impl Days {
    fn draw(draw: &mut Draw, days: usize) -> Self {
        let (wander, day) = (p::SHARE_WANDER.value.sqrt(), p::SHARE_DAY.value.sqrt());
        Self(wandering(draw, days, WANDER_KEPT).into_iter().map(|w| wander * w + day * draw.standard()).collect())
    }

    /// One measurement on that day; mean 0 and sd 1.
    fn once(&self, draw: &mut Draw, day: usize) -> f64 {
        self.0[day] + (1.0 - p::SHARE_WANDER.value - p::SHARE_DAY.value).sqrt() * draw.standard()
    }
}

/// The year of a body.
pub(super) struct Body {
    spo2: Days,
    pulse: Days,
    temperature: Days,
    blow: Days,
    pressure: Days,
    weight: Vec<f64>,
    symptoms: Days,
}

/// Which time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    Morning,
    Evening,
}

/// What one sitting would measure, were there no errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truth {
    pub spo2: f64,
    pub pulse: f64,
    pub temperature: f64,
    pub fev1: f64,
    pub fvc: f64,
    pub systolic: f64,
    pub diastolic: f64,
    pub weight: f64,
}

impl Body {
    pub fn draw(draw: &mut Draw, days: usize) -> Self {
        let mut of = || Days::draw(draw, days);
        let (spo2, pulse, temperature, blow, pressure, symptoms) = (of(), of(), of(), of(), of(), of());
        Self { spo2, pulse, temperature, blow, pressure, weight: wandering(draw, days, WEIGHT_KEPT), symptoms }
    }

    /// The vitals at one time of a day.
    pub fn measure(&self, draw: &mut Draw, person: &Person, effect: &Effect, day: usize, time: Time) -> Truth {
        let normal = &person.habitual;
        let (warmer, faster, higher) = match time {
            Time::Morning => (0.0, 0.0, 0.0),
            Time::Evening => (EVENING.1, EVENING.0, EVENING.2),
        };
        let (blow, own) = (self.blow.once(draw, day), draw.standard());
        let pressure = self.pressure.once(draw, day);
        let weight = p::WEIGHT_SLOW.value * self.weight[day] + p::WEIGHT_DAY.value * draw.standard();
        Truth {
            spo2: normal.spo2 + effect.spo2 + p::SPO2_WITHIN.value * self.spo2.once(draw, day),
            pulse: normal.pulse + effect.pulse + faster + p::PULSE_WITHIN.value * self.pulse.once(draw, day),
            temperature: normal.temperature
                + effect.temperature
                + warmer
                + p::TEMPERATURE_WITHIN.value * self.temperature.once(draw, day),
            fev1: normal.fev1 * (1.0 + effect.fev1 + p::FEV1_CV.value * blow),
            fvc: normal.fvc * (1.0 + effect.fvc + person.fvc_cv * (0.6 * blow + 0.8 * own)),
            systolic: normal.systolic + effect.systolic + higher + p::SYSTOLIC_WITHIN.value * pressure,
            diastolic: normal.diastolic
                + 0.6 * (effect.systolic + higher)
                + 0.6 * p::SYSTOLIC_WITHIN.value * (0.8 * pressure + 0.6 * draw.standard()),
            weight: normal.weight + effect.weight + weight,
        }
    }

    /// The latent level of each symptom on a day: the person's own, the day's (shared by all symptoms), the event's, and each one's own.
    pub fn symptoms(&self, draw: &mut Draw, person: &Person, effect: &Effect, day: usize) -> [f64; SYMPTOMS] {
        std::array::from_fn(|at| {
            person.habitual.symptoms[at] + effect.symptoms[at] + symptoms_within() * self.symptoms.once(draw, day)
        })
    }
}
