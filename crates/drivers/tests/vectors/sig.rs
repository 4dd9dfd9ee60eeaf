//! Frames of the Bluetooth SIG's health profiles, and the floats they share.

use drivers::{
    blood_pressure::{self, Pressures},
    float as floats, plx, thermometer, weight,
};

use super::*;

pub fn float(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    Ok(Facts::from([("value", json!(read_float(format, bytes)?))]))
}

pub fn date_time(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let time = gatt::date_time(bytes)?;
    // a time of which a part is unknown is no time
    let said = time.map_or("0000-00-00T18:26:32".to_owned(), |time| time.to_string());
    Ok(Facts::from([("datetime", json!(said)), ("year_known", json!(time.is_some()))]))
}

pub fn blood_pressure(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    if format == "2A36" {
        let shown = values("gatt-blood-pressure", 0x2a36, bytes)?;
        assert!(shown.iter().all(|one| has(&one.flags, "cuff_pressure")), "cuff pressure is no reading");
        let cuff = of_vitals(&shown, &["systolic"])["systolic"].clone();
        return Ok(pressures(&blood_pressure::parse(bytes)?, bytes).into_iter().chain([("cuff", cuff)]).collect());
    }
    let measured = values("gatt-blood-pressure", 0x2a35, bytes)?;
    let parts = [
        of_vitals(&measured, &["systolic", "diastolic", "mean_pressure", "pulse"]),
        pressures(&blood_pressure::parse_as(bytes, None)?, bytes),
    ];
    Ok(parts.into_iter().flatten().collect())
}

fn read_float(format: &str, bytes: &[u8]) -> Result<Option<Value>, DecodeError> {
    let mut bytes = bytes.to_vec();
    if format.ends_with("/BE") {
        bytes.reverse();
    }
    match bytes[..] {
        [a, b] => Ok(floats::sfloat(u16::from_le_bytes([a, b]))),
        [a, b, c, d] => floats::float(u32::from_le_bytes([a, b, c, d])),
        _ => panic!("a float has 2 or 4 bytes"),
    }
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

pub fn oximetry(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    if format == "2A60" {
        assert_eq!(values("gatt-plx", 0x2a60, bytes)?, []);
        let read = plx::features(bytes)?;
        let supported = [("status_support", json!(read.status)), ("sensor_status_support", json!(read.sensor))];
        return Ok([("features", json!(read.bits))].into_iter().chain(supported).collect());
    }
    let spot = format == "2A5E";
    let measured = values("gatt-plx", if spot { 0x2a5e } else { 0x2a5f }, bytes)?;
    let read = if spot { plx::spot_check(bytes)? } else { plx::continuous(bytes)? };
    let not_set = has(&read.flags, "clock_not_set");
    assert!(measured.iter().all(|one| one.device_time == read.time && has(&one.flags, "clock_not_set") == not_set));
    let mut facts = of_vitals(&measured, &["spo2", "pulse", "perfusion_index"]);
    facts.insert("clock_not_set", json!(not_set));
    facts.insert("timestamp", json!(read.time.map(|time| time.to_string())));
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

pub fn temperature(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
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

pub fn weighing(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
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
