//! Vagt watching itself: what `/metrics` tells, the heartbeat that goes the way of a reading every minute, and traces for whoever wants them.

pub mod heartbeat;
pub mod metrics;
mod sample;
pub mod traces;
pub mod way;

pub use sample::{Sampled, keep};
