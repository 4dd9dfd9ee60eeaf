//! Frames of belts, of scales that look into the body or advertise what they weigh, and of the generic health sensor.

use drivers::{
    beurer_scale::{self, Frame},
    body_composition as composition, ghs, heart_rate, xiaomi_scale,
};

use super::*;

pub fn heart_rate(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let measured = values("gatt-heart-rate", 0x2a37, bytes)?;
    let read = heart_rate::parse(bytes)?;
    assert_eq!(measured.first().map(|one| one.value), Some(Value::new(read.rate.into(), 0)));
    assert_eq!(measured.iter().any(|one| has(&one.flags, "contact_lost")), read.contact == Some(false));
    Ok(Facts::from([
        ("hr", json!(read.rate)),
        ("contact", json!(read.contact)),
        ("energy_kj", json!(read.energy_kj)),
        ("rr", json!(read.intervals)),
    ]))
}

pub fn composition(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let mut facts = of_vitals(&values("gatt-body-composition", 0x2a9c, bytes)?, &["weight"]);
    let read = composition::parse(bytes)?;
    facts.extend([
        ("unit", json!(if read.unit.ucum() == "kg" { "kg" } else { "lb" })),
        ("timestamp", json!(read.time.map(|time| time.to_string()))),
        ("user_id", json!(user(&read.flags))),
        ("body_fat", json!(read.fat_percent)),
        ("bmr_kj", json!(read.basal_metabolism_kj)),
        ("muscle_pct", json!(read.muscle_percent)),
        ("muscle_mass", json!(read.muscle)),
        ("fat_free_mass", json!(read.fat_free)),
        ("soft_lean_mass", json!(read.soft_lean)),
        ("body_water_mass", json!(read.water)),
        ("impedance", json!(read.impedance)),
        ("height", json!(read.height)),
        ("multiple_packet", json!(read.is_one_of_two)),
    ]);
    Ok(facts)
}

pub fn health(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let measured = values("gatt-ghs", 0x2b8b, bytes)?;
    let observation = &ghs::parse(bytes)?[0];
    let quantity = observation.quantities.first();
    assert_eq!(measured.first().map(|one| one.vital.info().mdc), quantity.map(|quantity| Some(quantity.code)));
    Ok(Facts::from([
        ("class", json!(observation.class)),
        ("type", json!(quantity.map(|quantity| quantity.code))),
        ("unit", json!(quantity.map(|quantity| quantity.unit))),
        ("value", json!(measured.first().map(|one| one.value))),
    ]))
}

pub fn xiaomi(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    let (name, service) = match format {
        "xiaomi-181D" => ("xiaomi-scale", xiaomi_scale::SCALE),
        _ => ("xiaomi-body-scale", xiaomi_scale::BODY_SCALE),
    };
    let measured = drivers::decode(drivers::find(name).unwrap(), None, &[bytes.to_vec()])?;
    let read = xiaomi_scale::parse(service, bytes)?;
    assert_eq!(has(&measured[0].flags, "unstable"), !read.stable);
    assert_eq!(has(&measured[0].flags, "removed"), read.removed);
    // 1970 is what the source states, and must not be used
    let is_set = measured[0].device_time.is_some_and(|time| time.year() >= 2015);
    assert_eq!(has(&measured[0].flags, "clock_not_set"), !is_set);
    Ok(Facts::from([
        ("weight", json!(measured[0].value)),
        ("unit", json!(if measured[0].unit.ucum() == "kg" { "kg" } else { "lb" })),
        ("stable", json!(read.stable)),
        ("removed", json!(read.removed)),
        ("timestamp", json!(measured[0].device_time.map(|time| time.to_string()))),
        ("has_impedance", json!(read.impedance.is_some())),
        ("impedance", json!(read.impedance)),
    ]))
}

pub fn beurer(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let measured = values("beurer-bf700", 0xffe1, bytes)?;
    let Frame::Weight { stable, weight } = beurer_scale::Frame::parse(bytes)? else { panic!("a frame of weight") };
    assert_eq!((measured[0].value, has(&measured[0].flags, "unstable")), (weight, !stable));
    Ok(Facts::from([("weight", json!(weight)), ("stable", json!(stable))]))
}
