//! Tuning: what a change of a programme would have done, and what it does beside the one in use, before anybody lives with it.
//!
//! ```text
//! store ── history ──▶ reader ── by patient ──▶ threads: both plans, each its chart ──▶ counted, compared ──▶ report
//! ```
//!
//! A backtest is one pass over the stored history (`fold.rs`) in which every patient is watched by two programmes at once (`pair.rs`, `side.rs`),
//! with a stand-in where a nurse would have acted. What differs is told worst first (`compare.rs`), and what is counted has its definition beside
//! it (`agreement.rs`, `shift.rs`). Nothing here writes but the shadow and the proposals, and nothing holds up live triage: reading has a connection
//! of its own, and the threads are nice.

pub mod agreement;
pub mod backtest;
pub mod beside;
pub mod budget;
pub mod compare;
pub mod diff;
pub mod episode;
pub mod fold;
mod held;
pub mod history;
pub mod jobs;
pub mod ladder;
pub mod pair;
pub mod proposals;
mod quiet;
pub mod report;
pub mod rules;
pub mod service;
pub mod shadow;
pub mod shadow_report;
mod shadow_runs;
pub mod shift;
pub mod side;
pub mod tally;
mod text;
