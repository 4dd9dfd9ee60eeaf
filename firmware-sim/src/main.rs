//! `firmware-sim`, simulated homes.

fn main() {}
