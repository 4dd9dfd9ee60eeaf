//! People with pulmonary fibrosis: how fast their lung volume falls over the year, how unsteady their blows are, and acute exacerbations.
//!
//! They are people of their own, each from a stream of their own: who has COPD or heart failure is the same with them and without. How fast the
//! volume falls and how unsteady it is are published; how many fall how fast, and how large an acute exacerbation is, are our assumptions.

use super::{
    course::{Effect, shown, symptom},
    draw::Draw,
    parameters as p,
    person::{Condition, Habitual, Kind, Person, between, lognormal, symptoms},
};

/// What parts their streams from everybody else's.
pub(super) const STREAMS: u64 = 0x5046;

/// Draws somebody.
pub(super) fn person(draw: &mut Draw) -> Person {
    let decline = decline(draw);
    let is_rapid = decline > p::PF_DECLINE_RAPID.value;
    let has_events = draw.chance(p::PF_SHARE_WITH_EVENTS.value);
    let is_sloppy = !has_events && draw.chance(p::SHARE_SLOPPY.value / (1.0 - p::PF_SHARE_WITH_EVENTS.value));
    let kind = match (has_events, is_sloppy) {
        (true, _) => Kind::Exacerbating,
        (_, true) => Kind::Sloppy,
        _ => Kind::Stable,
    };
    let rate = draw.gamma(p::PF_RATE.value, p::PF_RATE.value * p::RATE_SPREAD.value);
    Person {
        kind,
        condition: Condition::PulmonaryFibrosis,
        habitual: habitual(draw),
        rolling: false,
        events_a_year: if has_events { rate } else { 0.0 },
        fvc_lost_a_year: decline / 100.0,
        fvc_cv: if is_rapid { p::PF_FVC_CV_RAPID.value } else { p::PF_FVC_CV.value },
        adherence: draw.between(p::ADHERENCE_LOW.value, p::ADHERENCE_HIGH.value, p::ADHERENCE_MEAN.value),
        errors: if is_sloppy { p::ERRORS_SLOPPY.value } else { p::ERRORS.value },
        minutes_spread: if is_sloppy { p::MINUTES_SPREAD_SLOPPY.value } else { p::MINUTES_SPREAD.value },
    }
}

/// Percent of the volume that are lost in the year, by class.
fn decline(draw: &mut Draw) -> f64 {
    let (slow, rapid) = (p::PF_DECLINE_SLOW.value, p::PF_DECLINE_RAPID.value);
    let class = draw.even(0.0, 1.0);
    if class < p::PF_SHARE_RAPID.value {
        draw.even(rapid, p::PF_DECLINE_MOST.value)
    } else if class < p::PF_SHARE_RAPID.value + p::PF_SHARE_MODERATE.value {
        draw.even(slow, rapid)
    } else {
        draw.even(0.0, slow)
    }
}

fn habitual(draw: &mut Draw) -> Habitual {
    let fvc = lognormal(draw, p::PF_FVC.value, p::PF_FVC_BETWEEN.value).clamp(1.0, 5.0);
    let systolic = draw.normal(p::SYSTOLIC_COPD.value, p::SYSTOLIC_BETWEEN.value).clamp(85.0, 190.0);
    Habitual {
        spo2: draw.normal(p::PF_SPO2.value, between(p::SPO2_WITHIN.value)).min(98.5),
        pulse: draw.normal(p::PF_PULSE.value, between(p::PULSE_WITHIN.value)),
        temperature: draw.normal(p::TEMPERATURE.value, p::TEMPERATURE_BETWEEN.value),
        fev1: fvc * draw.normal(p::PF_FEV1_FVC.value, 0.04).clamp(0.7, 0.95),
        fvc,
        systolic,
        diastolic: (systolic * draw.normal(0.6, 0.05)).clamp(45.0, systolic - 25.0),
        weight: draw.normal(p::WEIGHT.value, p::WEIGHT_BETWEEN.value).clamp(40.0, 150.0),
        symptoms: symptoms(draw),
        coloured: false,
    }
}

/// How large an acute exacerbation is.
pub(super) fn size(draw: &mut Draw, factor: f64) -> Effect {
    let fvc = shown(draw, p::PF_FVC_FALL.value, p::FEV1_RESPONDERS.value) * factor;
    Effect {
        pulse: shown(draw, p::PF_PULSE_RISE.value, p::PULSE_RESPONDERS.value) * factor,
        spo2: -shown(draw, p::PF_SPO2_FALL.value, p::SPO2_RESPONDERS.value) * factor,
        fev1: -fvc.min(0.6),
        fvc: -fvc.min(0.6),
        symptoms: [symptom(draw, p::DYSPNOEA_TAKES_PART.value), symptom(draw, p::COUGH_TAKES_PART.value), 0.0],
        ..Effect::default()
    }
}
