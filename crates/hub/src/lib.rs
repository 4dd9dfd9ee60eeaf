//! The clinic's service (sources -> admit -> assess -> record -> show) and its command line. It wires what the other crates decide.

pub mod cli;
