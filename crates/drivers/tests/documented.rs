//! `docs/devices.md` holds the table of the drivers as they are, and says of each what it does and what proves it.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{collections::BTreeSet, fmt::Write as _};

use drivers::{DRIVERS, Driver, QUIRKS, Transport};
use serde_json::Value as Json;

const PAGE: &str = include_str!("../../../docs/devices.md");
const BEGIN: &str = "<!-- the drivers: begin -->\n";
const END: &str = "<!-- the drivers: end -->\n";

/// Which public frames a driver reads, by their protocol or format, where it isn't the driver's own name.
const FRAMES_OF: &[(&str, &[&str])] = &[
    ("xiaomi-scale", &["xiaomi-181D"]),
    ("xiaomi-body-scale", &["xiaomi-181B"]),
    ("beurer-bf700", &["beurer-proprietary"]),
    ("beurer-bf710", &["beurer-proprietary"]),
    ("berrymed", &["bci-5byte"]),
    ("contec-cms50d", &["bci-5byte", "cms50dplus-stored"]),
    ("contec-cms50d-bt", &["contec-ble"]),
    ("contec-v7", &["cms50-v7"]),
    ("contec-sp10bt", &["contec-sp10"]),
    ("visomat", &["serial-bp-visomat"]),
    ("phd-20601", &["ieee11073-20601"]),
];

fn frames(driver: &Driver, all: &[Json]) -> String {
    let own = [driver.name];
    let names = FRAMES_OF.iter().find(|(name, _)| *name == driver.name).map_or(&own[..], |(_, names)| names);
    let is_of = |frame: &&Json| ["protocol", "format"].iter().any(|key| names.contains(&frame[key].as_str().unwrap()));
    // `contec-ble` is a protocol and also the format of another's frames; Beurer's two protocols differ in the first byte.
    let is_own = |frame: &&Json| match driver.name {
        "contec-cms50d-bt" => frame["protocol"] == "contec-ble",
        "beurer-bf700" => frame["hex"].as_str().unwrap().starts_with("f7"),
        "beurer-bf710" => frame["hex"].as_str().unwrap().starts_with("e7"),
        _ => true,
    };
    let found: Vec<_> = all.iter().filter(is_of).filter(is_own).collect();
    let captured = found.iter().filter(|frame| frame["kind"] == "capture").count();
    if captured == 0 { found.len().to_string() } else { format!("{}, {captured} captured", found.len()) }
}

fn link(driver: &Driver) -> String {
    let short = |uuid: uuid::Uuid| {
        let text = uuid.to_string();
        match text.strip_suffix("-0000-1000-8000-00805f9b34fb").and_then(|text| text.strip_prefix("0000")) {
            Some(short) => format!("0x{}", short.to_uppercase()),
            None => text.split('-').next().unwrap().to_owned() + "…",
        }
    };
    match driver.transport {
        Transport::Ble { service, .. } => format!("Bluetooth, {}", short(service)),
        Transport::Advertisement { service } => format!("Bluetooth, advertised, {}", short(service)),
        Transport::Serial { settings } => {
            format!("serial, {}", settings.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "))
        }
    }
}

fn table() -> String {
    let all: Vec<Json> = serde_json::from_str(include_str!("vectors/vectors.json")).unwrap();
    let mut table =
        String::from("| driver | link | measures | known devices | public frames |\n| --- | --- | --- | --- | --- |\n");
    for driver in DRIVERS {
        let vitals: Vec<_> = driver.vitals.iter().map(|vital| vital.name()).collect();
        let (link, devices, frames) = (link(driver), driver.devices.join(", "), frames(driver, &all));
        writeln!(table, "| `{}` | {link} | {} | {devices} | {frames} |", driver.name, vitals.join(", ")).unwrap();
    }
    table
}

#[test]
fn the_table_of_the_page_is_that_of_the_drivers() {
    let found = PAGE.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).expect("the page has the marks").0;
    let wanted = table();
    assert!(found == wanted, "docs/devices.md is not as the drivers are; between its marks has to stand:\n{wanted}");
}

#[test]
fn every_driver_and_every_quirk_is_spoken_of() {
    let rest = PAGE.split_once(END).expect("the page has the marks").1;
    let rows: BTreeSet<&str> = rest.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let names = DRIVERS.iter().map(|driver| driver.name).chain(QUIRKS.iter().map(|quirk| quirk.name));
    let missing: Vec<_> = names.filter(|name| !rows.contains(name)).collect();
    assert!(missing.is_empty(), "docs/devices.md says nothing of {missing:?}");
}
