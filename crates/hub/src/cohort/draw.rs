//! Chance, from a seed: one stream of numbers a patient, so that a patient is the same whoever else is simulated and in whatever order.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Beta, Distribution, Exp, Gamma, Poisson, StandardNormal};

/// A stream of chance.
#[derive(Debug)]
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// The stream of this number under this seed. (ChaCha: the same numbers on every machine and with every version of the crate.)
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        chance.set_stream(stream);
        Self(chance)
    }

    /// Mean 0, sd 1.
    pub fn standard(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// Normal.
    pub fn normal(&mut self, mean: f64, sd: f64) -> f64 {
        mean + sd * self.standard()
    }

    /// Even between two numbers.
    pub fn even(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    /// A whole number from `low` to `high`, both included.
    pub fn whole(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high.max(low))
    }

    /// True so often.
    pub fn chance(&mut self, share: f64) -> bool {
        self.0.random::<f64>() < share
    }

    /// Positive, with this mean and sd.
    pub fn gamma(&mut self, mean: f64, sd: f64) -> f64 {
        let (shape, scale) = (mean * mean / (sd * sd), sd * sd / mean);
        Gamma::new(shape, scale).expect("mean and sd are positive constants").sample(&mut self.0)
    }

    /// How many, where so many are expected.
    pub fn poisson(&mut self, mean: f64) -> usize {
        if mean <= 0.0 {
            return 0;
        }
        Poisson::new(mean).expect("the mean is positive").sample(&mut self.0) as usize
    }

    /// How long until, where so long is expected.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        Exp::new(1.0 / mean).expect("the mean is a positive constant").sample(&mut self.0)
    }

    /// Between `low` and `high`, with this mean; bell-like.
    pub fn between(&mut self, low: f64, high: f64, mean: f64) -> f64 {
        const WEIGHT: f64 = 4.0;
        let share = (mean - low) / (high - low);
        let beta = Beta::new(WEIGHT * share, WEIGHT * (1.0 - share)).expect("the mean lies between");
        low + (high - low) * beta.sample(&mut self.0)
    }
}
