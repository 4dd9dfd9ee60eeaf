//! Every frame of `vectors.json`, each with its source: it decodes to the values expected of it, or is refused for the reason stated.
//!
//! The values are facts of public captures, unit tests and worked examples; a test fails for an expected key that nobody looks at.
//! One module here for each family of devices says what the drivers make of its frames, under the names of the expectations.

#![allow(clippy::unwrap_used, reason = "a test")]

mod body;
mod clocks;
mod contec;
mod cuffs;
mod glucose;
mod nonin;
mod oximeters;
mod phd;
mod racp;
mod sig;

use std::collections::BTreeMap;

use drivers::{Channel, DecodeError, Measured, gatt};
use serde_json::{Value as Json, json};
use vitals::{Flag, Value};

/// What was decoded, under the names of the expectations.
type Facts = BTreeMap<&'static str, Json>;

struct Vector {
    id: String,
    protocol: String,
    format: String,
    bytes: Vec<u8>,
    expect: serde_json::Map<String, Json>,
}

fn vectors() -> Vec<Vector> {
    let all: Vec<Json> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let text = |vector: &Json, key: &str| vector[key].as_str().unwrap().to_owned();
    all.iter()
        .map(|vector| Vector {
            id: text(vector, "id"),
            protocol: text(vector, "protocol"),
            format: text(vector, "format"),
            bytes: bytes(&text(vector, "hex")),
            expect: vector["expect"].as_object().unwrap().clone(),
        })
        .collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn every_frame_decodes_as_expected_or_is_refused_as_stated() {
    let all = vectors();
    assert_eq!(all.len(), 249);
    let wrong: Vec<String> =
        all.iter().filter_map(|vector| check(vector).err().map(|why| format!("{}: {why}", vector.id))).collect();
    assert!(wrong.is_empty(), "{} of {} vectors:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

fn check(vector: &Vector) -> Result<(), String> {
    let reason = vector.expect.get("error").and_then(Json::as_str);
    match (facts(vector), reason) {
        (Ok(facts), None) => vector.expect.iter().try_for_each(|(key, wanted)| compare(&facts, key, wanted)),
        (Err(error), Some(reason)) if is_reason(&error, reason) => Ok(()),
        (Ok(facts), Some(reason)) => Err(format!("got {facts:?}, want it refused as {reason}")),
        (Err(error), wanted) => Err(format!("refused ({error}), want {wanted:?}")),
    }
}

fn is_reason(error: &DecodeError, reason: &str) -> bool {
    match error {
        DecodeError::TooShort { .. } => matches!(reason, "too-short" | "truncated"),
        DecodeError::TooLong { .. } => reason == "too-long",
        DecodeError::Checksum { .. } => matches!(reason, "bad-checksum" | "bad-crc"),
        DecodeError::Malformed { what: "date time", .. } => reason == "bad-datetime",
        DecodeError::Malformed { field: "bcd", .. } => reason == "bad-bcd",
        DecodeError::Malformed { field: "preamble", .. } => reason == "bad-preamble",
        DecodeError::Malformed { field: "sync", .. } => reason == "bad-sync",
        DecodeError::Malformed { .. } => {
            matches!(reason, "bad-header" | "bad-opcode" | "bad-response" | "another-device")
        }
        DecodeError::Length { .. } => reason == "length-mismatch",
        DecodeError::Incomplete { .. } => reason == "incomplete",
        DecodeError::FrameLoss { .. } => reason == "frame-loss",
    }
}

fn compare(facts: &Facts, key: &str, wanted: &Json) -> Result<(), String> {
    let got = facts.get(key).ok_or_else(|| format!("nothing looks at {key}"))?;
    let same = match (got, wanted) {
        (Json::Null, Json::String(special)) => ["NaN", "NRes", "+INF", "-INF", "RFU"].contains(&special.as_str()),
        (Json::Number(got), Json::Number(wanted)) => number(got) == number(wanted),
        (got, wanted) => got == wanted,
    };
    if same { Ok(()) } else { Err(format!("{key} is {got}, want {wanted}")) }
}

fn number(json: &serde_json::Number) -> Value {
    json.to_string().parse().unwrap()
}

fn facts(vector: &Vector) -> Result<Facts, DecodeError> {
    let (format, bytes) = (vector.format.as_str(), &vector.bytes[..]);
    match vector.protocol.as_str() {
        "ieee11073-float" => sig::float(format, bytes),
        "gatt-datetime" => sig::date_time(bytes),
        "gatt-blood-pressure" => sig::blood_pressure(format, bytes),
        "gatt-plx" => sig::oximetry(format, bytes),
        "gatt-thermometer" => sig::temperature(format, bytes),
        "gatt-weight" => sig::weighing(format, bytes),
        "gatt-glucose" => glucose::sugar(format, bytes),
        "gatt-current-time" => clocks::current(bytes),
        "gatt-elapsed-time" => clocks::elapsed(bytes),
        "gatt-heart-rate" => body::heart_rate(bytes),
        "gatt-body-composition" => body::composition(bytes),
        "gatt-ghs" => body::health(bytes),
        "xiaomi-scale" => body::xiaomi(format, bytes),
        "beurer-proprietary" => body::beurer(bytes),
        "gatt-racp" => racp::answer(bytes),
        "yonker" => cuffs::yonker(bytes),
        "microlife" => cuffs::microlife(format, bytes),
        "nonin-df2" => nonin::df2(format, bytes),
        "nonin-df7" => nonin::df7(bytes),
        "nonin-df8" => nonin::df8(bytes),
        "nonin-df13" => nonin::df13(bytes),
        "nonin-3230" => nonin::of_3230(bytes),
        "nonin-command" => nonin::command(bytes),
        "bci-5byte" => oximeters::bci(bytes),
        "cms50-v7" => oximeters::cms50_v7(bytes),
        "serial-bp-visomat" => oximeters::visomat(bytes),
        "viatom" => oximeters::viatom(format, bytes),
        "jumper" => oximeters::jumper(bytes),
        "cms50dplus-stored" => oximeters::cms50d_stored(format, bytes),
        "contec-sp10" => contec::spirometer(format, bytes),
        "contec-ble" => contec::oximeter(bytes),
        "ieee11073-20601" => phd::apdu(bytes, &vector.expect),
        other => panic!("nothing decodes {other} {format}"),
    }
}

fn values(driver: &str, characteristic: u16, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    let channel = Channel::Characteristic(gatt::uuid16(characteristic));
    drivers::decode(drivers::find(driver).unwrap(), Some(channel), &[bytes.to_vec()])
}

/// What the driver makes of a value of its main characteristic.
fn values_of(driver: &str, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    drivers::decode(drivers::find(driver).unwrap(), None, &[bytes.to_vec()])
}

/// What the driver makes of a piece of the stream.
fn line(driver: &str, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    drivers::decode(drivers::find(driver).unwrap(), Some(Channel::Line), &[bytes.to_vec()])
}

fn of_vitals(measured: &[Measured], names: &[&'static str]) -> Facts {
    let value = |name: &str| measured.iter().find(|one| one.vital.name() == name).map(|one| one.value);
    names.iter().map(|name| (if *name == "mean_pressure" { "map" } else { *name }, json!(value(name)))).collect()
}

fn has(flags: &[Flag], name: &str) -> bool {
    flags.iter().any(|flag| flag.as_str() == name)
}

fn user(flags: &[Flag]) -> Option<u8> {
    flags.iter().find_map(|flag| flag.as_str().strip_prefix("user_")?.parse().ok())
}

/// The bits that these flags stand for.
fn bits(flags: &[Flag], table: &[(u32, &str)]) -> u32 {
    table.iter().filter(|(_, name)| has(flags, name)).map(|(bit, _)| 1 << bit).sum()
}
