//! Frames of the oximeters whose makers have formats of their own.

use drivers::{bci, contec_cms50d, jumper};

use super::*;

pub fn bci(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let measured = line("contec-cms50d", bytes)?;
    assert_eq!(of_vitals(&values_of("berrymed", bytes)?, &["spo2", "pulse"]), of_vitals(&measured, &["spo2", "pulse"]));
    let read = bci::Packet::parse("bci", bytes)?;
    let mut facts = of_vitals(&measured, &["spo2", "pulse"]);
    let signal = [("strength", json!(read.strength())), ("pleth", json!(read.pleth())), ("bar", json!(read.bar()))];
    let bits = [("beep", read.beep()), ("bit4", read.bit4()), ("bit5", read.bit5())];
    let status = [("no_finger", read.no_finger()), ("searching", read.searching())];
    facts.extend(bits.into_iter().chain(status).map(|(name, bit)| (name, json!(bit))));
    facts.extend(signal);
    Ok(facts)
}

pub fn jumper(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let mut facts = of_vitals(&values_of("jumper", bytes)?, &["spo2", "pulse"]);
    facts.insert("pi", json!(jumper::parse(bytes)?.index));
    Ok(facts)
}

pub fn cms50d_stored(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    let measured = line("contec-cms50d", bytes)?;
    if format == "cms50dplus/preamble" {
        let records = contec_cms50d::head(bytes)?;
        return Ok(Facts::from([("records", json!(records)), ("bytes", json!(records * 3))]));
    }
    assert!(measured.iter().all(|one| has(&one.flags, "from_storage")));
    Ok(of_vitals(&measured, &["spo2", "pulse"]))
}
