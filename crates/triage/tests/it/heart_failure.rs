//! The shipped programme for heart failure: it is taken with all its examples, and asks what the kit asks.

use triage::{HEART_FAILURE, Programme};

#[test]
fn it_is_taken_and_its_examples_run() {
    let programme = Programme::parse(HEART_FAILURE, "heart-failure.toml").unwrap_or_else(|fault| panic!("{fault}"));
    assert!(programme.examples() > 50, "{}", programme.examples());
}
