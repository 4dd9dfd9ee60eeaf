//! Every driver is fuzzed: `fuzz/Cargo.toml` has a target for each, and none for a driver that is gone. `make fuzz` writes them.

use std::collections::BTreeSet;

#[test]
fn every_driver_has_a_fuzz_target() {
    let manifest = include_str!("../../../fuzz/Cargo.toml");
    let (_, generated) = manifest.split_once("\n# ---\n").expect("a line above the targets");
    let names = generated.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let targets: BTreeSet<&str> = names.collect();
    let drivers: BTreeSet<&str> = drivers::DRIVERS.iter().map(|driver| driver.name).collect();
    assert_eq!(targets, drivers, "run `make fuzz`, which writes the targets");
}
