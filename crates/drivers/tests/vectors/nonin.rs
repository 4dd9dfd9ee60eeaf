//! Frames of Nonin's serial formats.

use drivers::nonin_df2::{self, Frame, Packet};

use super::*;

pub fn df2(format: &str, bytes: &[u8]) -> Result<Facts, DecodeError> {
    if format == "nonin-df2/frame" {
        let five = bytes.try_into().expect("a frame has five bytes");
        let frame = Frame::parse(five)?;
        return Ok(Facts::from([
            ("pleth", json!(frame.pleth())),
            ("float", json!(frame.float())),
            ("sync", json!(frame.is_sync())),
        ]));
    }
    let measured = drivers::decode(drivers::find("nonin-df2").unwrap(), None, &[bytes.to_vec()])?;
    let vitals = of_vitals(&measured, &["spo2", "pulse"]);
    Ok(packet(&nonin_df2::packets(bytes)?[0]).into_iter().chain(vitals).collect())
}

fn packet(read: &Packet) -> Facts {
    let pulses = [("pulse", 1), ("e_pulse", 14), ("pulse_d", 20), ("e_pulse_d", 22)]
        .map(|(name, at)| (name, json!(read.pulse(at))));
    let saturations =
        [("spo2", 3), ("spo2_d", 9), ("spo2_fast", 10), ("spo2_bb", 11), ("e_spo2", 16), ("e_spo2_d", 17)]
            .map(|(name, at)| (name, json!(read.spo2(at))));
    pulses.into_iter().chain(saturations).chain([("rev", json!(read.revision()))]).collect()
}
