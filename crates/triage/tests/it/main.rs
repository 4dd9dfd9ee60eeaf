//! The behaviour of triage through its public interface: a person, what comes, and what must come out.

mod alerts;
mod copd;
mod files;
mod own;
mod person;
mod properties;
mod silence;
mod sittings;
