//! The course of the year: events, isolated bad days and silences, and what they do to the body on each day.
//!
//! An event has an onset (symptoms meet the diary's criterion) and a day of treatment 0 to 4 days later. Physiology begins to change at most
//! 7 days before treatment and symptoms 5 days before; both are at their full height at onset. An isolated bad day looks the same for one
//! day, and nothing follows.

use super::{
    draw::Draw,
    fibrosis, parameters as p,
    person::{Condition, Kind, Person, SYMPTOMS},
};

/// What a day adds to the person's own normal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "in the vitals' canonical units; spirometry as a share, symptoms latent")]
pub struct Effect {
    pub pulse: f64,
    pub spo2: f64,
    pub temperature: f64,
    pub fev1: f64,
    pub fvc: f64,
    pub systolic: f64,
    pub weight: f64,
    pub symptoms: [f64; SYMPTOMS],
    /// How purulent, 0 to 1.
    pub colour: f64,
}

impl Effect {
    fn add(&mut self, size: &Self, physiology: f64, symptoms: f64, weight: f64) {
        self.pulse += size.pulse * physiology;
        self.spo2 += size.spo2 * physiology;
        self.temperature += size.temperature * physiology;
        self.systolic += size.systolic * physiology;
        self.fev1 += size.fev1 * symptoms;
        self.fvc += size.fvc * symptoms;
        self.weight += size.weight * weight;
        self.colour = self.colour.max(size.colour * symptoms);
        for (sum, size) in self.symptoms.iter_mut().zip(size.symptoms) {
            *sum += size * symptoms;
        }
    }
}

/// One exacerbation or decompensation. Days count from the first day of the year, 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Symptoms meet the diary's criterion.
    pub onset: i64,
    /// Treatment starts.
    pub treated: i64,
    /// In hospital from the day of treatment.
    pub admitted: bool,
    /// Physiology begins to change.
    pub begins: i64,
    /// The weight begins to rise.
    pub gains_from: i64,
    /// Full size of the changes.
    pub size: Effect,
}

/// Nothing comes for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// First silent day.
    pub from: i64,
    /// First day that is not silent any more.
    pub until: i64,
    /// The kit is dead; else the person is silent and the kit lives.
    pub kit: bool,
}

/// The year of one person.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// By onset.
    pub events: Vec<Event>,
    /// Isolated bad days.
    pub bad_days: Vec<i64>,
    /// Silences.
    pub silences: Vec<Silence>,
    /// What each day adds.
    pub effects: Vec<Effect>,
}

impl Course {
    /// Draws the year of somebody.
    pub(super) fn draw(draw: &mut Draw, person: &Person, days: i64) -> Self {
        let years = days as f64 / 365.0;
        let onsets = onsets(draw, person.events_a_year * years, days);
        let events: Vec<Event> = onsets.into_iter().map(|onset| Event::draw(draw, person, onset)).collect();
        let bad = draw.poisson(p::COPD_RATE.value * p::BAD_DAY_SHARE.value * years);
        let mut bad_days: Vec<i64> = (0..bad).map(|_| draw.whole(0, days - 1)).collect();
        // A day near an event is no isolated one.
        bad_days.retain(|day| !events.iter().any(|event| (event.begins - 7..event.treated + 28).contains(day)));
        bad_days.sort_unstable();
        bad_days.dedup();
        let silences = if person.kind == Kind::Silent { vec![Silence::draw(draw, days)] } else { Vec::new() };
        let mut effects = vec![Effect::default(); usize::try_from(days).expect("a year has days")];
        for event in &events {
            event.spread(person, &mut effects);
        }
        for day in &bad_days {
            let size = size(draw, person, 1.0);
            effects[usize::try_from(*day).expect("within the year")].add(&size, 1.0, 1.0, 0.0);
        }
        for (day, effect) in (0_u32..).zip(&mut effects) {
            let lost = person.fvc_lost_a_year * f64::from(day) / 365.0;
            effect.fvc -= lost;
            effect.fev1 -= lost;
        }
        Self { events, bad_days, silences, effects }
    }

    /// Is nothing measured on this day: in hospital, or silent?
    pub(super) fn is_away(&self, day: i64) -> bool {
        let stay = p::STAY_DAYS.value as i64;
        self.events.iter().any(|event| event.admitted && (event.treated..event.treated + stay).contains(&day))
            || self.silences.iter().any(|silence| (silence.from..silence.until).contains(&day))
    }

    /// Is an event coming within 5 days?
    pub(super) fn is_before_event(&self, day: i64) -> bool {
        self.events.iter().any(|event| (event.treated - 5..event.treated).contains(&day))
    }

    /// Is the person under treatment for an event (the week after its start)?
    pub(super) fn is_treated(&self, day: i64) -> bool {
        self.events.iter().any(|event| (event.treated..event.treated + 7).contains(&day))
    }
}

/// Days of onset, each far enough from the one before. Those too close are left out, so that few more than expected never come.
fn onsets(draw: &mut Draw, expected: f64, days: i64) -> Vec<i64> {
    let count = draw.poisson(expected);
    let mut drawn: Vec<i64> = (0..count).map(|_| draw.whole(0, days - 1)).collect();
    drawn.sort_unstable();
    let mut kept: Vec<i64> = Vec::with_capacity(count);
    for onset in drawn {
        if kept.last().is_none_or(|last| (onset - last) as f64 >= p::EVENT_GAP_DAYS.value) {
            kept.push(onset);
        }
    }
    kept
}

impl Event {
    fn draw(draw: &mut Draw, person: &Person, onset: i64) -> Self {
        let delay = draw.whole(0, p::TREATED_AFTER_DAYS_MAX.value as i64);
        let treated = onset + delay;
        let least = delay.max(p::PHYSIOLOGY_BEFORE_DAYS_MIN.value as i64);
        let (most, share) = match person.condition {
            Condition::Copd => (p::PHYSIOLOGY_BEFORE_DAYS_MAX, p::COPD_ADMITTED.value),
            Condition::HeartFailure => (p::PHYSIOLOGY_BEFORE_DAYS_MAX, p::HF_ADMITTED.value),
            Condition::PulmonaryFibrosis => (p::PF_BEFORE_DAYS_MAX, p::PF_ADMITTED.value),
        };
        let begins = treated - draw.whole(least, most.value as i64);
        let gains_from = treated + 1 - draw.whole(1, p::WEIGHT_BEFORE_DAYS.value as i64);
        let admitted = draw.chance(share);
        let large = p::ADMITTED_SIZE.value;
        let factor = if admitted { large } else { (1.0 - share * large) / (1.0 - share) };
        Self { onset, treated, admitted, begins, gains_from, size: size(draw, person, factor) }
    }

    /// Adds what it does to each day.
    fn spread(&self, person: &Person, effects: &mut [Effect]) {
        let factor = if person.rolling { p::ROLLING_FACTOR.value } else { 1.0 };
        let symptoms_from = self.treated - p::SYMPTOMS_BEFORE_DAYS.value as i64;
        for (day, effect) in (0..).zip(effects.iter_mut()) {
            let physiology = self.height(day, self.begins, self.onset, p::RECOVERY_DAYS.value * factor);
            let symptoms = self.height(day, symptoms_from.min(self.onset), self.onset, p::RECOVERY_DAYS.value * factor);
            let weight = self.height(day, self.gains_from, self.treated, p::WEIGHT_RECOVERY_DAYS.value);
            effect.add(&self.size, physiology, symptoms, weight);
        }
    }

    /// 0 before `begins`, 1 from `full` to the end of the plateau, then easing.
    fn height(&self, day: i64, begins: i64, full: i64, easing_days: f64) -> f64 {
        let plateau = self.treated + p::PLATEAU_DAYS.value as i64;
        if day < begins {
            0.0
        } else if day < full {
            (day - begins + 1) as f64 / (full - begins + 1) as f64
        } else if day <= plateau {
            1.0
        } else {
            (-((day - plateau) as f64) / easing_days).exp()
        }
    }
}

impl Silence {
    fn draw(draw: &mut Draw, days: i64) -> Self {
        let first = (p::SILENT_FROM_DAY.value as i64).min(days - 1);
        let from = draw.whole(first, (days - 30).max(first));
        let length = draw.whole(p::SILENT_DAYS_MIN.value as i64, p::SILENT_DAYS_MAX.value as i64);
        Self { from, until: from + length, kit: draw.chance(p::SHARE_SILENT_KIT.value) }
    }
}

/// How large an event's changes are, or those of a bad day.
fn size(draw: &mut Draw, person: &Person, factor: f64) -> Effect {
    match person.condition {
        Condition::Copd => copd_size(draw, person, factor),
        Condition::HeartFailure => heart_size(draw, factor),
        Condition::PulmonaryFibrosis => fibrosis::size(draw, factor),
    }
}

fn copd_size(draw: &mut Draw, person: &Person, factor: f64) -> Effect {
    let fev1 = shown(draw, p::COPD_FEV1_FALL.value, p::FEV1_RESPONDERS.value) * factor / p::FEV1.value;
    Effect {
        pulse: shown(draw, p::COPD_PULSE_RISE.value, p::PULSE_RESPONDERS.value) * factor,
        spo2: -shown(draw, p::COPD_SPO2_FALL.value, p::SPO2_RESPONDERS.value) * factor,
        temperature: if draw.chance(p::FEVER_SHARE.value) { p::FEVER_RISE.value } else { 0.0 },
        fev1: -fev1.min(0.6),
        fvc: -(fev1 * p::FVC_FALL_SHARE.value).min(0.6),
        symptoms: [
            symptom(draw, p::DYSPNOEA_TAKES_PART.value),
            symptom(draw, p::COUGH_TAKES_PART.value),
            symptom(draw, p::SPUTUM_TAKES_PART.value),
        ],
        colour: if draw.chance(p::COLOUR_TAKES_PART.value) && !person.habitual.coloured { 1.0 } else { 0.0 },
        ..Effect::default()
    }
}

fn heart_size(draw: &mut Draw, factor: f64) -> Effect {
    Effect {
        pulse: shown(draw, p::HF_PULSE_RISE.value, p::PULSE_RESPONDERS.value) * factor,
        spo2: -shown(draw, p::HF_SPO2_FALL.value, p::SPO2_RESPONDERS.value) * factor,
        systolic: draw.normal(-p::HF_SYSTOLIC_FALL.value, p::HF_SYSTOLIC_SPREAD.value) * factor,
        weight: if draw.chance(p::WEIGHT_RESPONDERS.value) {
            draw.gamma(p::WEIGHT_GAIN.value, p::WEIGHT_GAIN.value * p::SIZE_SPREAD.value)
        } else {
            0.0
        },
        symptoms: [
            symptom(draw, p::DYSPNOEA_TAKES_PART.value),
            symptom(draw, p::COUGH_TAKES_PART.value),
            symptom(draw, p::SPUTUM_TAKES_PART.value),
        ],
        ..Effect::default()
    }
}

/// How much a symptom rises that takes part in a share of the events.
pub(super) fn symptom(draw: &mut Draw, share: f64) -> f64 {
    if draw.chance(share) { p::SYMPTOM_RISE.value } else { 0.0 }
}

/// A change that a share of the events show, with this mean over all of them.
pub(super) fn shown(draw: &mut Draw, mean: f64, share: f64) -> f64 {
    let mean_of_those = mean / share;
    if draw.chance(share) { draw.gamma(mean_of_those, mean_of_those * p::SIZE_SPREAD.value) } else { 0.0 }
}
