//! Who somebody is before the year begins: kind, condition, habitual values and habits.

use serde::Serialize;

use super::{draw::Draw, parameters as p};

/// How many symptoms are told by degree; in COPD breathlessness, cough and sputum; in heart failure breathlessness, swelling and how
/// the day is.
pub(super) const SYMPTOMS: usize = 3;

/// What distinguishes a simulated person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No event all year; bad days like everybody.
    Stable,
    /// COPD, with exacerbations; pulmonary fibrosis, with acute ones.
    Exacerbating,
    /// Heart failure, with decompensations.
    Decompensating,
    /// Technique errors, cold fingers, odd times.
    Sloppy,
    /// Stops sending for a time: the kit is dead, or the person silent.
    Silent,
}

/// What the person has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Chronic obstructive pulmonary disease.
    Copd,
    /// Heart failure.
    HeartFailure,
    /// Pulmonary fibrosis: see `fibrosis.rs`.
    PulmonaryFibrosis,
}

/// Habitual values: the person's own normal.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "in the vitals' canonical units")]
pub struct Habitual {
    pub spo2: f64,
    pub pulse: f64,
    pub temperature: f64,
    pub fev1: f64,
    pub fvc: f64,
    pub systolic: f64,
    pub diastolic: f64,
    pub weight: f64,
    /// Latent level of each symptom, 0 for the average person.
    pub symptoms: [f64; SYMPTOMS],
    /// What is coughed up is always light yellow.
    pub coloured: bool,
}

/// One simulated person.
#[derive(Clone, Debug)]
pub struct Person {
    /// What distinguishes them.
    pub kind: Kind,
    /// What they have.
    pub condition: Condition,
    /// Their own normal.
    pub habitual: Habitual,
    /// Their events come back before the last one is over.
    pub rolling: bool,
    /// Events that are expected of them in a year.
    pub events_a_year: f64,
    /// The share of the lung volume that is lost in a year, of those of whom that is simulated.
    pub fvc_lost_a_year: f64,
    /// How unsteady their FVC is: its coefficient of variation.
    pub fvc_cv: f64,
    /// The share of sittings that they drift to.
    pub adherence: f64,
    /// The share of measurements with a technique error.
    pub errors: f64,
    /// How far from the usual time they measure, in minutes.
    pub minutes_spread: f64,
}

impl Person {
    /// Draws somebody.
    pub(super) fn draw(draw: &mut Draw) -> Self {
        let kind = kind(draw);
        let condition = condition(draw, kind);
        let has_events = match kind {
            Kind::Stable => false,
            Kind::Exacerbating | Kind::Decompensating => true,
            Kind::Sloppy | Kind::Silent => draw.chance(p::SHARE_OTHERS_WITH_EVENTS.value),
        };
        let rate = if condition == Condition::Copd { p::COPD_RATE.value } else { p::HF_RATE.value };
        let own_rate = draw.gamma(rate, rate * p::RATE_SPREAD.value);
        let is_sloppy = kind == Kind::Sloppy;
        Self {
            kind,
            condition,
            habitual: Habitual::draw(draw, condition),
            rolling: draw.chance(p::ROLLING_SHARE.value),
            events_a_year: if has_events { own_rate } else { 0.0 },
            fvc_lost_a_year: 0.0,
            fvc_cv: p::FVC_CV.value,
            adherence: draw.between(p::ADHERENCE_LOW.value, p::ADHERENCE_HIGH.value, p::ADHERENCE_MEAN.value),
            errors: if is_sloppy { p::ERRORS_SLOPPY.value } else { p::ERRORS.value },
            minutes_spread: if is_sloppy { p::MINUTES_SPREAD_SLOPPY.value } else { p::MINUTES_SPREAD.value },
        }
    }
}

fn kind(draw: &mut Draw) -> Kind {
    let shares = [
        (Kind::Stable, p::SHARE_STABLE.value),
        (Kind::Exacerbating, p::SHARE_EXACERBATING.value),
        (Kind::Decompensating, p::SHARE_DECOMPENSATING.value),
        (Kind::Sloppy, p::SHARE_SLOPPY.value),
        (Kind::Silent, p::SHARE_SILENT.value),
    ];
    let mut left = draw.even(0.0, 1.0);
    for (kind, share) in shares {
        if left < share {
            return kind;
        }
        left -= share;
    }
    Kind::Silent
}

fn condition(draw: &mut Draw, kind: Kind) -> Condition {
    let copd = draw.chance(p::SHARE_COPD.value);
    match kind {
        Kind::Exacerbating => Condition::Copd,
        Kind::Decompensating => Condition::HeartFailure,
        _ if copd => Condition::Copd,
        _ => Condition::HeartFailure,
    }
}

impl Habitual {
    fn draw(draw: &mut Draw, condition: Condition) -> Self {
        let is_copd = condition == Condition::Copd;
        let of = |copd: p::Parameter, heart: p::Parameter| if is_copd { copd.value } else { heart.value };
        let fev1 = lognormal(draw, p::FEV1.value, p::FEV1_BETWEEN.value).clamp(0.5, 3.5);
        let systolic = draw.normal(of(p::SYSTOLIC_COPD, p::SYSTOLIC_HF), p::SYSTOLIC_BETWEEN.value).clamp(85.0, 190.0);
        Self {
            spo2: draw.normal(of(p::COPD_SPO2, p::HF_SPO2), between(p::SPO2_WITHIN.value)).min(98.5),
            pulse: draw.normal(of(p::COPD_PULSE, p::HF_PULSE), between(p::PULSE_WITHIN.value)),
            temperature: draw.normal(p::TEMPERATURE.value, p::TEMPERATURE_BETWEEN.value),
            fev1,
            fvc: fev1 / draw.normal(p::FEV1_FVC.value, 0.08).clamp(0.3, 0.69),
            systolic,
            diastolic: (systolic * draw.normal(0.6, 0.05)).clamp(45.0, systolic - 25.0),
            weight: draw.normal(p::WEIGHT.value, p::WEIGHT_BETWEEN.value).clamp(40.0, 150.0),
            symptoms: symptoms(draw),
            coloured: is_copd && draw.chance(p::COLOURED_HABIT.value),
        }
    }
}

/// The sd between people that belongs to an sd within.
pub(super) fn between(within: f64) -> f64 {
    within * (p::BETWEEN_SHARE.value / (1.0 - p::BETWEEN_SHARE.value)).sqrt()
}

/// The sd of symptoms between people, in the units of a standard logistic distribution.
pub(super) fn symptoms_between() -> f64 {
    symptoms_within() * (p::SYMPTOM_ICC.value / (1.0 - p::SYMPTOM_ICC.value)).sqrt()
}

/// The sd of symptoms within a person: that of a standard logistic distribution.
pub(super) fn symptoms_within() -> f64 {
    std::f64::consts::PI / 3.0_f64.sqrt()
}

/// Somebody's symptoms go together, and each has something of its own.
pub(super) fn symptoms(draw: &mut Draw) -> [f64; SYMPTOMS] {
    let common = draw.standard();
    std::array::from_fn(|_| symptoms_between() * (0.8 * common + 0.6 * draw.standard()))
}

pub(super) fn lognormal(draw: &mut Draw, mean: f64, sd: f64) -> f64 {
    let variance = (1.0 + sd * sd / (mean * mean)).ln();
    draw.normal(mean.ln() - variance / 2.0, variance.sqrt()).exp()
}
