//! Frames of blood sugar meters.

use drivers::glucose::{self, Context, Glucose};

use super::*;

pub fn sugar(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    match format {
        "2A34" => context(bytes),
        "2A51" => {
            assert_eq!(values("gatt-glucose", 0x2a51, bytes)?, []);
            Ok(Facts::from([("features", json!(glucose::feature(bytes)?))]))
        }
        _ => measurement(bytes),
    }
}

fn measurement(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let said = values("gatt-glucose", 0x2a18, bytes)?;
    let read = Glucose::parse(bytes)?;
    let reading = said.first().map(|one| (one.unit.ucum(), one.value));
    let in_unit = |unit: &str| json!(reading.filter(|(of, _)| *of == unit).map(|(_, value)| value));
    let (kind, location) = read.specimen.unzip();
    Ok(Facts::from([
        ("seq", json!(read.number)),
        ("base_time", json!(read.base.map(|time| time.to_string()))),
        ("time_offset_min", json!(read.offset_minutes)),
        ("concentration", json!(read.concentration)),
        ("unit", json!(if read.moles { "mol/L" } else { "kg/L" })),
        ("mg_dl", in_unit("mg/dL")),
        ("mmol_l", in_unit("mmol/L")),
        ("type", json!(kind)),
        ("location", json!(location)),
        ("status", json!(bits(&read.flags, glucose::STATUS_FLAGS))),
        ("context_follows", json!(read.context_follows)),
    ]))
}

fn context(bytes: &[u8]) -> Result<Facts, DecodeError> {
    assert_eq!(values("gatt-glucose", 0x2a34, bytes)?, []);
    let read = Context::parse(bytes)?;
    Ok(Facts::from([("flags", json!(bytes[0])), ("seq", json!(read.number)), ("meal", json!(read.meal))]))
}
