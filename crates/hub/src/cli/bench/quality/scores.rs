//! The plain ways of raising alerts, as numbers: each sitting gets a score, and an alert is raised where it reaches a setting. Since the setting
//! can be moved, each has a whole curve of sensitivity against false alerts.

use jiff::Timestamp;
use triage::{Score, score::Given};
use vitals::Vital;

use crate::cohort::{Cohort, Condition, Draw, Simulated, Sitting};

/// Individual limits are learnt on so many first days, as services do it (daily measuring for 14 days, then limits are set).
pub const LEARNT_DAYS: i64 = 14;
/// And from at least so many values.
const LEARNT_VALUES_MIN: usize = 5;

/// A plain way of raising alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Fixed individual limits around the person's mean of the first days; the setting is in sd.
    FixedLimits,
    /// How many symptoms there are more of than usual.
    SymptomCount,
    /// NEWS2 of what a kit measures, SpO2 on this scale; a single 3 counts as 5, which asks for the same.
    News2 {
        /// "1" or "2".
        scale: &'static str,
    },
    /// The gain of weight against the lowest of the last 3 days, in kg.
    WeightGain,
    /// Nothing but chance: what a way must be better than. The setting is the share of sittings without an alert.
    Random,
}

/// One way with its settings.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its name in the table.
    pub name: &'static str,
    /// Which way.
    pub plain: Plain,
    /// Whom it concerns.
    pub concerns: &'static [Condition],
    /// Settings at which it is printed.
    pub printed: &'static [f64],
    /// Every setting that is tried, from the one with the fewest alerts.
    pub swept: &'static [f64],
}

const EVERYBODY: &[Condition] = &[Condition::Copd, Condition::HeartFailure, Condition::PulmonaryFibrosis];

/// Every plain way.
#[rustfmt::skip]
pub const METHODS: &[Method] = &[
    Method { name: "fixed individual limits", plain: Plain::FixedLimits, concerns: EVERYBODY, printed: &[2.0, 3.0],
             swept: &[8.0, 7.0, 6.0, 5.5, 5.0, 4.5, 4.0, 3.75, 3.5, 3.25, 3.0, 2.75, 2.5, 2.25, 2.0, 1.75, 1.5, 1.25, 1.0] },
    Method { name: "symptom count", plain: Plain::SymptomCount, concerns: EVERYBODY, printed: &[2.0], swept: &[5.0, 4.0, 3.0, 2.0, 1.0] },
    Method { name: "NEWS2, scale 1, partial", plain: Plain::News2 { scale: "1" }, concerns: EVERYBODY, printed: &[5.0],
             swept: &[10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] },
    Method { name: "NEWS2, scale 2, partial", plain: Plain::News2 { scale: "2" }, concerns: &[Condition::Copd], printed: &[5.0],
             swept: &[10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] },
    Method { name: "weight gain in 3 days", plain: Plain::WeightGain, concerns: &[Condition::HeartFailure], printed: &[2.0],
             swept: &[4.0, 3.5, 3.0, 2.75, 2.5, 2.25, 2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5] },
    Method { name: "alerts at random", plain: Plain::Random, concerns: EVERYBODY, printed: &[0.95],
             swept: &[0.999, 0.995, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.92, 0.9, 0.875, 0.85, 0.8, 0.7, 0.6, 0.5] },
];

impl Method {
    /// What the setting means, for the table.
    #[must_use]
    pub fn label(&self, setting: f64) -> String {
        match self.plain {
            Plain::FixedLimits => format!("{}, {setting} sd", self.name),
            Plain::SymptomCount => format!("{}, {setting} or more", self.name),
            Plain::News2 { .. } => format!("{}, {setting} or more", self.name),
            Plain::WeightGain => format!("{}, {setting} kg", self.name),
            Plain::Random => format!("{}, {:.0} % of sittings", self.name, (1.0 - setting) * 100.0),
        }
    }
}

/// What one sitting scores.
#[derive(Clone, Copy, Debug)]
pub struct Scored {
    /// When the hub has it.
    pub at: Timestamp,
    /// How much.
    pub score: f64,
    /// Was a measurement in it wrong?
    pub wrong: bool,
}

/// What a plain way makes of a sitting.
type Scorer = Box<dyn FnMut(&Sitting) -> Option<f64>>;

/// The scores of somebody's sittings, of those that say something.
#[must_use]
pub fn scores(plain: Plain, cohort: &Cohort, simulated: &Simulated) -> Vec<Scored> {
    let sittings = &simulated.sittings;
    let mut judge: Scorer = match plain {
        Plain::FixedLimits => {
            let limits = Limits::learn(sittings, cohort.midnight(LEARNT_DAYS));
            Box::new(move |sitting| limits.score(sitting))
        }
        Plain::SymptomCount => Box::new(symptoms),
        Plain::News2 { scale } => {
            let score = Score::shipped("news2").expect("NEWS2 is shipped");
            Box::new(move |sitting| news2(&score, scale, sitting))
        }
        Plain::WeightGain => {
            let mut weights = Vec::new();
            Box::new(move |sitting| gain(&mut weights, sitting))
        }
        Plain::Random => {
            let mut draw = Draw::new(!cohort.seed, simulated.ids.number());
            Box::new(move |_| Some(draw.even(0.0, 1.0)))
        }
    };
    let scored = |sitting: &Sitting| {
        let wrong = sitting.measured.iter().any(|measured| measured.error.is_some());
        judge(sitting).map(|score| Scored { at: sitting.received_at, score, wrong })
    };
    sittings.iter().filter_map(scored).collect()
}

/// Which way a vital alerts, and the least sd that is taken for it (the floors are the clinical reference's, for personal z).
#[rustfmt::skip]
const LIMITED: &[(Vital, f64, f64, f64)] = &[
    // vital, counts below, counts above, least sd
    (Vital::Spo2,        1.0, 0.0, 1.0),
    (Vital::Pulse,       1.0, 1.0, 4.0),
    (Vital::Systolic,    1.0, 1.0, 5.0),
    (Vital::Temperature, 0.0, 1.0, 0.2),
];

/// Individual limits: for each vital the mean and sd of the first days.
struct Limits(Vec<(Vital, f64, f64, f64, f64)>);

impl Limits {
    fn learn(sittings: &[Sitting], until: Timestamp) -> Self {
        let learnt = LIMITED.iter().filter_map(|(vital, below, above, _)| {
            let (mean, sd) = learnt(sittings, *vital, until)?;
            Some((*vital, mean, sd, *below, *above))
        });
        Self(learnt.collect())
    }

    /// The largest distance from a mean, in sd, in a direction that counts.
    fn score(&self, sitting: &Sitting) -> Option<f64> {
        let distances = sitting.measured.iter().filter_map(|measured| {
            let (_, mean, sd, below, above) = self.0.iter().find(|limit| limit.0 == measured.vital)?;
            let z = (measured.value.to_f64() - mean) / sd;
            Some((z * above).max(-z * below))
        });
        distances.reduce(f64::max)
    }
}

/// Mean and sd of a vital that is limited, of what the devices doubt nothing of before a time. None where that is too little.
pub fn learnt(sittings: &[Sitting], vital: Vital, until: Timestamp) -> Option<(f64, f64)> {
    let (.., least) = LIMITED.iter().find(|limited| limited.0 == vital)?;
    let early = sittings.iter().flat_map(|sitting| &sitting.measured);
    let early = early.filter(|measured| measured.vital == vital && measured.at < until && measured.flag.is_none());
    let values: Vec<f64> = early.map(|measured| measured.value.to_f64()).collect();
    let count = values.len();
    if count < LEARNT_VALUES_MIN {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1) as f64;
    Some((mean, variance.sqrt().max(*least)))
}

/// How many symptoms are more than usual.
fn symptoms(sitting: &Sitting) -> Option<f64> {
    const CALM: &[(&str, &[&str])] = &[
        ("breathless", &["not_at_all", "usual"]),
        ("cough", &["not_at_all"]),
        ("sputum_amount", &["not_at_all"]),
        ("sputum_colour", &["clear", "white"]),
        ("fever", &["no"]),
        ("overall", &["same", "better"]),
        ("night", &["no"]),
        ("swelling", &["not_at_all"]),
        ("dizzy", &["no"]),
    ];
    if sitting.answers.is_empty() {
        return None;
    }
    let more = |(question, answer): &&(&str, &str)| {
        CALM.iter().any(|(known, calm)| known == question && !calm.contains(answer))
    };
    Some(sitting.answers.iter().filter(more).count() as f64)
}

/// NEWS2 of what there is; a single 3 asks for an urgent review as 5 does.
fn news2(score: &Score, scale: &'static str, sitting: &Sitting) -> Option<f64> {
    let mut inputs = score.inputs();
    inputs.give("scale", Given::Choice(scale)).expect("NEWS2 has two scales");
    inputs.give("oxygen", Given::Choice("no")).expect("NEWS2 asks for oxygen");
    for measured in &sitting.measured {
        // What NEWS2 doesn't ask for (weight, spirometry) is none of its business.
        let _ = inputs.give(measured.vital.name(), Given::Number(measured.value));
    }
    let scored = inputs.scored();
    let three = scored.parts().any(|(_, points)| points >= 3);
    Some(f64::from(if three { scored.total().max(5) } else { scored.total() }))
}

/// The gain against the lowest weight of the last 3 days.
fn gain(weights: &mut Vec<(Timestamp, f64)>, sitting: &Sitting) -> Option<f64> {
    const WINDOW_SECONDS: i64 = 3 * 86_400 + 6 * 3600;
    let last = sitting.measured.iter().rfind(|measured| measured.vital == Vital::Weight)?;
    let (at, weight) = (last.at, last.value.to_f64());
    weights.retain(|(then, _)| at.as_second() - then.as_second() <= WINDOW_SECONDS);
    let lowest = weights.iter().map(|(_, weight)| *weight).reduce(f64::min);
    weights.push((at, weight));
    lowest.map(|lowest| weight - lowest)
}
