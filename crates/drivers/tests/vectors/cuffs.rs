//! Frames of cuffs with a protocol of their own.

use drivers::microlife;

use super::*;

pub fn yonker(bytes: &[u8]) -> Result<Facts, DecodeError> {
    let driver = drivers::find("yonker").unwrap();
    Ok(cuff(&drivers::decode(driver, None, &[bytes.to_vec()])?))
}

pub fn microlife(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    let measured = drivers::decode(drivers::find("microlife").unwrap(), None, &[bytes.to_vec()])?;
    if format == "microlife/record" {
        return Ok(cuff(&measured));
    }
    assert_eq!(measured, [], "a command or an acknowledgement is no reading");
    let payload = microlife::payload(bytes)?;
    let is_command = bytes.starts_with(&[0x4d, 0xff]);
    if is_command {
        assert_eq!(microlife::command(payload), bytes);
    }
    let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut facts =
        Facts::from([("dir", json!(if is_command { "command" } else { "response" })), ("payload", json!(hex))]);
    if let [0x0d, year, rest @ ..] = payload {
        let local = gatt::since_2000(*year, rest.try_into().unwrap())?;
        assert_eq!(microlife::set_clock(local).unwrap(), bytes);
        facts.insert("set_time", json!(local.to_string()));
    }
    Ok(facts)
}

fn cuff(measured: &[Measured]) -> Facts {
    let mut facts = of_vitals(measured, &["systolic", "diastolic", "pulse"]);
    let time = measured.iter().find_map(|one| one.device_time).map(|time| time.strftime("%Y-%m-%dT%H:%M").to_string());
    facts.insert("timestamp", json!(time));
    facts
}
