//! Frames of Contec's devices.

use drivers::{
    contec_cms50d_bt::{self, Frame},
    contec_sp10::{self, Record},
};

use super::*;

pub fn spirometer(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    if format == "contec-sp10/record" {
        return spirometry(bytes);
    }
    let (code, arguments) = (bytes[0], &bytes[1..bytes.len() - 1]);
    assert_eq!(contec_sp10::command(code, arguments), bytes);
    assert_eq!(line("contec-sp10", bytes)?, [], "a command of the host says nothing");
    let hex: String = arguments.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Facts::from([("op", json!(code)), ("args", json!(hex)), ("kind", json!("command"))]))
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

/// Frames of the oximeter share only the checksum with the spirometer, whose driver must not take them for its own.
pub fn oximeter(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let measured = values_of("contec-cms50d-bt", bytes)?;
    assert!(line("contec-sp10", bytes).is_err());
    Ok(match contec_cms50d_bt::parse(bytes)? {
        Frame::Curve { pleth, bar } => {
            assert_eq!(measured, []);
            Facts::from([("kind", json!("wave")), ("pleth", json!(pleth)), ("bar", json!(bar))])
        }
        Frame::Start => Facts::from([("kind", json!("command"))]),
        Frame::Values { .. } => {
            let mut facts = of_vitals(&measured, &["spo2", "pulse"]);
            facts.insert("kind", json!("values"));
            facts
        }
    })
}
