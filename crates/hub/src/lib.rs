//! The clinic's service (sources -> admit -> assess -> record -> show) and its command line. It wires what the other crates decide.

pub mod authority;
pub mod basis;
pub mod carry;
pub mod cli;
pub mod clock;
pub mod cohort;
pub mod commands;
pub mod config;
pub mod directory;
pub mod enrolment;
pub mod kits;
mod lock;
pub mod pipeline;
pub mod presence;
pub mod programmes;
pub mod readings;
pub mod remeasure;
pub mod roster;
mod seldom;
pub mod serve;
pub mod source;
pub mod standby;
mod tls;
pub mod tuning;
mod visit;
pub mod ward;
pub mod watching;
