//! `vagt`, the clinic's program.

fn main() {}
