//! Frames of devices whose makers have formats of their own: oximeters, and the cuff on a line.

use drivers::{
    bci, contec_cms50d,
    contec_v7::Package,
    viatom::{Message, Sensors},
    visomat,
};

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
    let measured = values_of("jumper", bytes)?;
    let mut facts = of_vitals(&measured, &["spo2", "pulse"]);
    facts.extend(of_vitals(&measured, &["perfusion_index"]).into_values().map(|index| ("pi", index)));
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

pub fn cms50_v7(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let read = Package::parse(bytes)?;
    assert_eq!(read.bytes(), bytes, "written as it was read");
    let measured = line("contec-v7", bytes)?;
    if let Some(live) = read.live() {
        let mut facts = of_vitals(&measured, &["spo2", "pulse", "perfusion_index"]);
        let signal = [("strength", live.strength()), ("pleth", live.pleth()), ("bar", live.bar())];
        facts.extend(signal.map(|(name, number)| (name, json!(number))));
        let bits = [("beep", live.beep()), ("low_spo2", live.low_spo2()), ("pi_valid", live.index_valid())];
        facts.extend(bits.map(|(name, bit)| (name, json!(bit))));
        let search = [("probe_error", live.probe_error()), ("searching", live.searching())];
        facts.extend(search.map(|(name, bit)| (name, json!(bit))));
        facts.insert("searching_too_long", json!(live.too_long()));
        facts.insert("pi_raw", json!(live.index_sent()));
        return Ok(facts);
    }
    let records: Vec<Json> = read.samples().iter().map(|sample| json!([sample.spo2, sample.pulse])).collect();
    let pair = [read.byte(0), read.byte(1)];
    Ok(match read.kind {
        0x0f | 0x09 => Facts::from([("records", json!(records))]),
        0x07 => Facts::from([("date", json!(read.date().map(|date| date.to_string())))]),
        0x12 => Facts::from([("time", json!(read.time().map(|time| time.to_string())))]),
        0x08 => Facts::from([("length", json!(read.length())), ("bytes", json!(read.length()))]),
        0x0a => Facts::from([("user", json!(pair[0])), ("segments", json!(pair[1]))]),
        0x0b => Facts::from([("command", json!(pair[0])), ("reason", json!(pair[1]))]),
        0x0d => Facts::from([("reason", json!(pair[0]))]),
        0x7d => Facts::from([("type", json!(read.kind)), ("command", json!(pair[0]))]),
        kind => Facts::from([("type", json!(kind))]),
    })
}

pub fn visomat(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let measured = line("visomat", bytes)?;
    let memories = visomat::parse(bytes)?;
    let records = memories.iter().map(|memory| memory.records.len()).sum::<usize>();
    assert_eq!(measured.iter().filter(|one| one.vital.name() == "systolic").count(), records);
    let record = |one: &visomat::Record| json!({ "date": one.date, "time": one.time, "flag": one.mark.to_string(), "sys": one.systolic, "dia": one.diastolic, "pulse": one.pulse });
    let of = |memory: &visomat::Memory| (memory.user.to_string(), memory.records.iter().map(record).collect::<Json>());
    Ok(Facts::from([("users", memories.iter().map(of).collect::<serde_json::Map<_, _>>().into())]))
}

pub fn viatom(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    let measured = values_of("viatom", bytes)?;
    if format == "viatom/request" {
        let read = Message::parse_request(bytes)?;
        assert_eq!((read.request(), measured), (bytes.to_vec(), Vec::new()));
        return Ok(Facts::from([
            ("cmd", json!(read.code)),
            ("block", json!(read.block)),
            ("len", json!(read.data.len())),
        ]));
    }
    let mut facts = of_vitals(&measured, &["spo2", "pulse"]);
    let data = match format {
        "viatom/response" => {
            let read = Message::response(bytes)?;
            facts.insert("status", json!(read.code));
            read.data
        }
        _ => bytes.to_vec(),
    };
    let read = Sensors::parse(&data)?;
    let numbers =
        [("battery", read.battery), ("charging", read.charging), ("motion", read.motion), ("strength", read.strength)];
    facts.extend(numbers.map(|(name, number)| (name, json!(number))));
    facts.insert("worn", json!(read.worn));
    Ok(facts)
}
