//! `vagt config`.
pub mod problem;
