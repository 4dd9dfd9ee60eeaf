//! Every frame of `vectors.json`, each with its source: it decodes to the values expected of it, or is refused for the reason stated.
//!
//! The values are facts of public captures, unit tests and worked examples; a test fails for an expected key that nobody looks at.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;

use drivers::{
    Channel, DecodeError, Measured,
    blood_pressure::{self, Pressures},
    contec_sp10::{self, Record},
    float, gatt,
    nonin_df2::{self, Frame, Packet},
    plx, thermometer, weight,
};
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
    assert_eq!(all.len(), 98);
    let wrong: Vec<String> =
        all.iter().filter_map(|vector| check(vector).err().map(|why| format!("{}: {why}", vector.id))).collect();
    assert!(wrong.is_empty(), "{} of {} vectors:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

fn check(vector: &Vector) -> Result<(), String> {
    let reason = match vector.format.as_str() {
        "2A35/beurer-quirk" => Some("too-long"),
        _ => vector.expect.get("error").and_then(Json::as_str),
    };
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
        DecodeError::Checksum { .. } => reason == "bad-checksum",
        DecodeError::Malformed { what: "date time", .. } => reason == "bad-datetime",
        DecodeError::Malformed { .. } => matches!(reason, "bad-header" | "another-device"),
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
    let bytes = &vector.bytes[..];
    match (vector.protocol.as_str(), vector.format.as_str()) {
        ("ieee11073-float", format) => Ok(Facts::from([("value", json!(read_float(format, bytes)))])),
        ("gatt-datetime", _) => {
            let time = gatt::date_time(bytes)?;
            // a time of which a part is unknown is no time
            let said = time.map_or("0000-00-00T18:26:32".to_owned(), |time| time.to_string());
            Ok(Facts::from([("datetime", json!(said)), ("year_known", json!(time.is_some()))]))
        }
        ("gatt-blood-pressure", "2A36") => {
            assert_eq!(values("gatt-blood-pressure", 0x2a36, bytes)?, [], "cuff pressure is no reading");
            Ok(pressures(&blood_pressure::parse(bytes)?, bytes))
        }
        ("gatt-blood-pressure", _) => {
            let measured = values("gatt-blood-pressure", 0x2a35, bytes)?;
            Ok([
                of_vitals(&measured, &["systolic", "diastolic", "mean_pressure", "pulse"]),
                pressures(&blood_pressure::parse(bytes)?, bytes),
            ]
            .into_iter()
            .flatten()
            .collect())
        }
        ("gatt-plx", "2A60") => {
            assert_eq!(values("gatt-plx", 0x2a60, bytes)?, []);
            let read = plx::features(bytes)?;
            let supported = [("status_support", json!(read.status)), ("sensor_status_support", json!(read.sensor))];
            Ok([("features", json!(read.bits))].into_iter().chain(supported).collect())
        }
        ("gatt-plx", format) => oximetry(format, bytes, vector.expect.get("timestamp")),
        ("gatt-thermometer", format) => temperature(format, bytes),
        ("gatt-weight", format) => weighing(format, bytes),
        ("nonin-df2", "nonin-df2/frame") => {
            let five = bytes.try_into().expect("a frame has five bytes");
            let frame = Frame::parse(five)?;
            Ok(Facts::from([
                ("pleth", json!(frame.pleth())),
                ("float", json!(frame.float())),
                ("sync", json!(frame.is_sync())),
            ]))
        }
        ("nonin-df2", _) => {
            let measured = drivers::decode(drivers::find("nonin-df2").unwrap(), None, &[bytes.to_vec()])?;
            Ok(packet(&nonin_df2::packets(bytes)?[0])
                .into_iter()
                .chain(of_vitals(&measured, &["spo2", "pulse"]))
                .collect())
        }
        ("contec-sp10", "contec-sp10/record") => spirometry(bytes),
        ("contec-sp10", _) => {
            let (code, arguments) = (bytes[0], &bytes[1..bytes.len() - 1]);
            assert_eq!(contec_sp10::command(code, arguments), bytes);
            let hex: String = arguments.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(Facts::from([("op", json!(code)), ("args", json!(hex)), ("kind", json!("command"))]))
        }
        ("contec-ble", _) => of_another_contec(bytes),
        (other, format) => panic!("nothing decodes {other} {format}"),
    }
}

fn values(driver: &str, characteristic: u16, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    let channel = Channel::Characteristic(gatt::uuid16(characteristic));
    drivers::decode(drivers::find(driver).unwrap(), Some(channel), &[bytes.to_vec()])
}

fn of_vitals(measured: &[Measured], names: &[&'static str]) -> Facts {
    let value = |name: &str| measured.iter().find(|one| one.vital.name() == name).map(|one| one.value);
    names.iter().map(|name| (if *name == "mean_pressure" { "map" } else { *name }, json!(value(name)))).collect()
}

fn read_float(format: &str, bytes: &[u8]) -> Option<Value> {
    let mut bytes = bytes.to_vec();
    if format.ends_with("/BE") {
        bytes.reverse();
    }
    match bytes[..] {
        [a, b] => float::sfloat(u16::from_le_bytes([a, b])),
        [a, b, c, d] => float::float(u32::from_le_bytes([a, b, c, d])),
        _ => panic!("a float has 2 or 4 bytes"),
    }
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

fn pressures(read: &Pressures, bytes: &[u8]) -> Facts {
    let flags = &read.flags;
    let range = bits(flags, &[(0, "pulse_above_range"), (1, "pulse_below_range")]);
    let status = [(0, "body_movement"), (1, "cuff_loose"), (2, "irregular_pulse"), (5, "improper_position")];
    let unit = if read.unit.ucum() == "kPa" { "kPa" } else { "mmHg" };
    Facts::from([
        ("cuff", json!(read.pressures[0])),
        ("pulse", json!(read.pulse)),
        ("timestamp", json!(read.time.map(|time| time.to_string()))),
        ("unit", json!(unit)),
        ("user_id", json!(user(flags))),
        ("status", json!(bits(flags, &status) | range << 3)),
        ("pulse_range", json!(range)),
        ("body_movement", json!(has(flags, "body_movement"))),
        ("cuff_loose", json!(has(flags, "cuff_loose"))),
        ("irregular_pulse", json!(has(flags, "irregular_pulse"))),
        ("bad_position", json!(has(flags, "improper_position"))),
        ("flags", json!(bytes[0])),
    ])
}

fn oximetry(format: &str, bytes: &[u8], stated_time: Option<&Json>) -> Result<Facts, DecodeError> {
    let spot = format == "2A5E";
    let measured = values("gatt-plx", if spot { 0x2a5e } else { 0x2a5f }, bytes)?;
    let read = if spot { plx::spot_check(bytes)? } else { plx::continuous(bytes)? };
    let not_set = has(&read.flags, "clock_not_set");
    // the time of a clock that was never set is stated by the source and must not be used
    assert!(!not_set || (read.time.is_none() && measured.iter().all(|one| one.device_time.is_none())));
    let time = if not_set { stated_time.cloned() } else { read.time.map(|time| json!(time.to_string())) };
    let mut facts = of_vitals(&measured, &["spo2", "pulse", "perfusion_index"]);
    facts.insert("clock_not_set", json!(not_set));
    facts.insert("timestamp", json!(time));
    facts.insert(
        "status",
        json!(bits(&read.flags, &[(5, "measurement_ongoing"), (7, "validated_data"), (8, "fully_qualified_data")])),
    );
    facts.insert(
        "sensor_status",
        json!(bits(&read.flags, &[(3, "inadequate_signal"), (4, "poor_signal"), (5, "low_perfusion")])),
    );
    Ok(facts)
}

fn temperature(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    match format {
        "2A1D" => {
            assert_eq!(values("gatt-thermometer", 0x2a1d, bytes)?, []);
            let site = thermometer::site(bytes)?.expect("the vectors name known sites");
            Ok(Facts::from([("type", json!(bytes[0])), ("name", json!(site.as_str().trim_start_matches("site_")))]))
        }
        "2A21" => Ok(Facts::from([("seconds", json!(thermometer::interval(bytes)?))])),
        _ => Ok(of_vitals(&values("gatt-thermometer", 0x2a1c, bytes)?, &["temperature"])),
    }
}

fn weighing(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    if format == "2A9E" {
        assert_eq!(values("gatt-weight", 0x2a9e, bytes)?, []);
        let read = weight::feature(bytes)?;
        let resolutions =
            [("weight_res", json!(read.weight_resolution)), ("height_res", json!(read.height_resolution))];
        return Ok(resolutions.into_iter().chain([("bmi", json!(read.bmi))]).collect());
    }
    let read = weight::parse(bytes)?;
    let mut facts = of_vitals(&values("gatt-weight", 0x2a9d, bytes)?, &["weight"]);
    facts.insert("unit", json!(read.unit));
    facts.insert("timestamp", json!(read.time.map(|time| time.to_string())));
    facts.insert("user_id", json!(user(&read.flags)));
    facts.insert("bmi", json!(read.bmi));
    facts.insert("height", json!(read.height));
    Ok(facts)
}

fn packet(read: &Packet) -> Facts {
    let pulses = [("pulse", 1), ("e_pulse", 14), ("pulse_d", 20), ("e_pulse_d", 22)]
        .map(|(name, at)| (name, json!(read.pulse(at))));
    let saturations =
        [("spo2", 3), ("spo2_d", 9), ("spo2_fast", 10), ("spo2_bb", 11), ("e_spo2", 16), ("e_spo2_d", 17)]
            .map(|(name, at)| (name, json!(read.spo2(at))));
    pulses.into_iter().chain(saturations).chain([("rev", json!(read.revision()))]).collect()
}

fn spirometry(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let measured = drivers::decode(drivers::find("contec-sp10").unwrap(), None, &[bytes.to_vec()])?;
    let read = Record::parse(bytes)?;
    let said = |name: &str| json!(measured.iter().find(|one| one.vital.name() == name).map(|one| one.value));
    let time = measured[0].device_time.map(|time| time.to_string());
    let head = [("type", json!(read.kind())), ("number", json!(read.number())), ("timestamp", json!(time))];
    let person = [("sex", json!(read.byte(11))), ("age", json!(read.byte(12))), ("height", json!(read.word(13)))];
    let test = [("standard", json!(read.byte(15))), ("drug", json!(u8::from(has(&measured[0].flags, "drug"))))];
    let vitals = [("FVC", "fvc"), ("FEV1", "fev1"), ("FEV1_FVC", "fev1_fvc"), ("PEF", "pef")]
        .map(|(key, name)| (key, said(name)));
    let flows = [("FEF25", 31), ("FEF50", 33), ("FEF75", 35), ("FEF2575", 37)]
        .map(|(key, at)| (key, json!(read.number_at(at, 2))));
    let start = [("PEFT", json!(read.word(39))), ("EVOL", json!(read.word(41)))];
    Ok(head.into_iter().chain(person).chain(test).chain(vitals).chain(flows).chain(start).collect())
}

/// Frames of Contec's oximeter share only the checksum; the spirometer's driver must not take them for its own.
fn of_another_contec(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let (found, before) = bytes.split_last().expect("a frame has a checksum");
    let wanted = contec_sp10::checksum(before);
    if *found != wanted {
        return Err(DecodeError::Checksum { what: "contec", found: *found, wanted });
    }
    assert!(drivers::decode(drivers::find("contec-sp10").unwrap(), None, &[bytes.to_vec()]).is_err());
    let pleth = bytes[3] & 0x7f;
    Ok(Facts::from([("kind", json!("wave")), ("pleth", json!(pleth)), ("bar", json!(bytes[4] & 0x0f))]))
}
