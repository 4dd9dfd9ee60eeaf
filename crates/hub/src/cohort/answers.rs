//! What somebody answers: degrees of latent symptoms, by the kit's questionnaires (`config/questionnaires`).

use super::{
    draw::Draw,
    parameters as p,
    person::{Condition, Person, SYMPTOMS, symptoms_between, symptoms_within},
};

/// Question and answer, by their ids.
pub type Said = (&'static str, &'static str);

/// What else is true of the day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Day {
    /// Latent symptoms.
    pub symptoms: [f64; SYMPTOMS],
    /// How purulent, 0 to 1.
    pub colour: f64,
    /// What the body's temperature is.
    pub temperature: f64,
    /// Under treatment.
    pub treated: bool,
}

/// The standard normal number below which this share of all numbers lies (Abramowitz and Stegun 26.2.23, good to 0.0005).
fn quantile(share: f64) -> f64 {
    let tail = share.min(1.0 - share);
    let t = (-2.0 * tail.ln()).sqrt();
    let top = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let bottom = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let far = t - top / bottom;
    if share < 0.5 { -far } else { far }
}

/// Where the latent level turns into "a little", "somewhat" and "a lot".
pub(super) fn thresholds() -> [f64; 3] {
    let sd = (symptoms_between().powi(2) + symptoms_within().powi(2)).sqrt();
    [p::SYMPTOM_STABLE, p::SYMPTOM_STABLE_SOME, p::SYMPTOM_STABLE_LOT].map(|share| sd * quantile(1.0 - share.value))
}

/// The degree of a latent level, 0 to 3.
fn degree(latent: f64) -> usize {
    thresholds().into_iter().filter(|threshold| latent >= *threshold).count()
}

/// The questionnaire's id and version.
pub fn questionnaire(condition: Condition) -> (&'static str, u32) {
    match condition {
        Condition::Copd => ("copd-daily", 2),
        Condition::HeartFailure => ("heart-failure-daily", 1),
        Condition::PulmonaryFibrosis => ("pulmonary-fibrosis-daily", 1),
    }
}

/// What somebody answers on a day.
pub(super) fn answer(draw: &mut Draw, person: &Person, day: &Day) -> Vec<Said> {
    match person.condition {
        Condition::Copd => copd(draw, person, day),
        Condition::HeartFailure => heart(draw, day),
        Condition::PulmonaryFibrosis => {
            let [breathless, cough, _] = day.symptoms.map(degree);
            vec![("breathless", DEGREES[breathless]), ("cough", DEGREES[cough])]
        }
    }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// Degrees of a symptom, as the questionnaires of the lungs have them.
const DEGREES: [&str; 4] = ["not_at_all", "a_little", "somewhat", "a_lot"];

fn copd(draw: &mut Draw, person: &Person, day: &Day) -> Vec<Said> {
    let [breathless, cough, sputum] = day.symptoms.map(degree);
    let purulent = draw.chance(0.8 * day.colour);
    let coughs_up = sputum > 0 || purulent || person.habitual.coloured;
    let mut said: Vec<Said> =
        vec![("breathless", DEGREES[breathless]), ("cough", DEGREES[cough]), ("sputum", yes_no(coughs_up))];
    if coughs_up {
        said.push(("sputum_colour", colour(draw, purulent, person.habitual.coloured)));
        said.push(("sputum_amount", DEGREES[sputum]));
    }
    let treatment = yes_no(day.treated);
    said.extend([("fever", yes_no(day.temperature >= 38.0)), ("prednisolone", treatment), ("antibiotics", treatment)]);
    said.push(("other", other(draw, breathless + cough + sputum > 3)));
    said
}

fn colour(draw: &mut Draw, purulent: bool, always: bool) -> &'static str {
    match (purulent, always) {
        (true, _) => ["light_yellow", "green", "dark_yellow"][draw.whole(0, 2) as usize],
        (false, true) => "light_yellow",
        (false, false) => ["clear", "white"][draw.whole(0, 1) as usize],
    }
}

fn other(draw: &mut Draw, ill: bool) -> &'static str {
    yes_no(draw.chance(if ill { p::CALL_ILL.value } else { p::CALL_STABLE.value }))
}

fn heart(draw: &mut Draw, day: &Day) -> Vec<Said> {
    let [breathless, swelling, overall] = day.symptoms.map(degree);
    let wakes = breathless == 3 || (breathless == 2 && draw.chance(0.5));
    let mut said: Vec<Said> = vec![
        ("overall", ["same", "worse", "worse", "much_worse"][overall]),
        ("breathless", ["usual", "by_less", "by_less", "at_rest"][breathless]),
        ("night", yes_no(wakes)),
    ];
    if !wakes {
        said.push(("pillows", ["2", "3", "4", "4"][breathless]));
    }
    said.push(("swelling", ["not_at_all", "a_little", "a_little", "a_lot"][swelling]));
    said.push(("dizzy", if draw.chance(0.02) { "dizzy" } else { "no" }));
    said.push(("medicine", yes_no(!draw.chance(0.02))));
    said.push(("other", other(draw, breathless + swelling + overall > 3)));
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_the_normal_ones() {
        for (share, want) in [(0.5, 0.0), (0.759, 0.7031), (0.94, 1.5548), (0.99, 2.3263), (0.025, -1.96)] {
            assert!((quantile(share) - want).abs() < 0.001, "{share}");
        }
    }
}
