//! Frames of Nonin's serial formats and commands.

use drivers::{
    nonin_3230,
    nonin_command::Command,
    nonin_df2, nonin_df7, nonin_df8, nonin_df13,
    nonin_frames::{self, Packet},
};

use super::*;

pub fn df2(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    if format == "nonin-df2/frame" {
        let five = bytes.try_into().expect("a frame has five bytes");
        let frame = nonin_df2::frame(five)?;
        return Ok(Facts::from([
            ("pleth", json!(frame.pleth)),
            ("float", json!(frame.float)),
            ("sync", json!(frame.is_sync())),
        ]));
    }
    let vitals = of_vitals(&line("nonin-df2", bytes)?, &["spo2", "pulse"]);
    Ok(packet(&nonin_frames::packets(nonin_df2::FORMAT, bytes)?[0]).into_iter().chain(vitals).collect())
}

pub fn df7(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let vitals = of_vitals(&line("nonin-df7", bytes)?, &["spo2", "pulse"]);
    let read = nonin_frames::packets(nonin_df7::FORMAT, bytes)?;
    let first = nonin_df7::frame(bytes[..5].try_into().unwrap())?;
    Ok(packet(&read[0]).into_iter().chain(vitals).chain([("pleth0", json!(first.pleth))]).collect())
}

fn packet(read: &Packet) -> Facts {
    let pulses = [("pulse", 1), ("e_pulse", 14), ("pulse_d", 20), ("e_pulse_d", 22)]
        .map(|(name, at)| (name, json!(read.pulse(at))));
    let saturations =
        [("spo2", 3), ("spo2_d", 9), ("spo2_fast", 10), ("spo2_bb", 11), ("e_spo2", 16), ("e_spo2_d", 17)]
            .map(|(name, at)| (name, json!(read.spo2(at))));
    pulses.into_iter().chain(saturations).chain([("rev", json!(read.revision()))]).collect()
}

pub fn df8(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let mut facts = of_vitals(&line("nonin-df8", bytes)?, &["spo2", "pulse"]);
    let read = nonin_df8::Packet::parse(bytes)?;
    facts.insert("smartpoint", json!(has(&read.flags, "smart_point")));
    facts.insert("low_battery", json!(has(&read.flags, "low_battery")));
    Ok(facts)
}

pub fn command(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let read = Command::parse(bytes)?;
    assert_eq!(read.bytes(), bytes, "written as it was read");
    let (op, len) = (("op", json!(bytes[1])), ("len", json!(bytes[2])));
    Ok(match read {
        Command::Select { format, .. } => Facts::from([op, len, ("format", json!(format))]),
        Command::SetClock(time) | Command::Clock(time) => Facts::from([op, len, ("time", json!(time.to_string()))]),
        Command::GetClock | Command::Ack | Command::Nak => Facts::from([op, len]),
    })
}

pub fn df13(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let measured = line("nonin-df13", bytes)?;
    let read = nonin_df13::Packet::parse(bytes)?;
    assert!(measured.iter().all(|one| one.device_time == read.time && one.flags == read.flags));
    let mut facts = of_vitals(&measured, &["spo2", "pulse"]);
    let bits = [("from_memory", "from_storage"), ("low_battery", "low_battery"), ("smartpoint", "smart_point")];
    facts.extend(bits.map(|(name, flag)| (name, json!(has(&read.flags, flag)))));
    facts.insert("no_measurement", json!(has(&read.flags, "measurement_unavailable")));
    let time = read.time.map(|time| time.to_string());
    facts.insert("timestamp", json!(time));
    facts.insert("time", json!(time));
    Ok(facts)
}

pub fn of_3230(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let mut facts = of_vitals(&values_of("nonin-3230", bytes)?, &["spo2", "pulse"]);
    let read = nonin_3230::Oximetry::parse(bytes)?;
    let bits = [("low_battery", 5), ("correct_check", 4), ("searching", 3), ("smartpoint", 2)];
    facts.extend(bits.map(|(name, bit)| (name, json!(read.bit(bit)))));
    facts.insert("counter", json!(read.counter));
    Ok(facts)
}
