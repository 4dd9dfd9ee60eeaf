//! pure
fn main() {}
