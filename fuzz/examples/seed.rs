//! Writes the seeds: every public frame, as a script for every driver that might have it come from one of its channels. With an argument it
//! prints the names of the drivers instead.

use std::{fs, io, path::Path};

use drivers::DRIVERS;
use vagt_fuzz::channels;

/// Channels of a driver that get every frame.
const CHANNELS_MAX: u8 = 4;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).filter_map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).ok()).collect()
}

fn main() -> io::Result<()> {
    if std::env::args().len() > 1 {
        DRIVERS.iter().for_each(|driver| println!("{}", driver.name));
        return Ok(());
    }
    let vectors = include_str!("../../crates/drivers/tests/vectors/vectors.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(vectors)?;
    let all = vectors.iter().filter_map(|vector| Some((vector["id"].as_str()?, bytes(vector["hex"].as_str()?))));
    let all: Vec<(&str, Vec<u8>)> = all.collect();
    for driver in DRIVERS {
        let folder = Path::new("corpus").join(driver.name);
        fs::create_dir_all(&folder)?;
        for channel in 0..u8::try_from(channels(driver).len()).unwrap_or(u8::MAX).min(CHANNELS_MAX) {
            for (id, frame) in &all {
                let [low, high] = u16::try_from(frame.len()).unwrap_or(u16::MAX).to_le_bytes();
                let script = [&[0, channel, low, high][..], frame, &[1, 3, 4]].concat();
                fs::write(folder.join(format!("{channel}-{id}")), script)?;
            }
        }
    }
    let folder = Path::new("corpus/phd-conversation");
    fs::create_dir_all(folder)?;
    for (id, frame) in all.iter().filter(|(_, frame)| frame.len() > 22 && frame[0] == 0xe7) {
        let info = &frame[22..];
        let len = u8::try_from(info.len()).unwrap_or(u8::MAX);
        let kind = frame[19].wrapping_sub(0x1c);
        let told = [&[0, 0x07, 1, kind, 0, len][..], info, &[3, 1, 0, 0, 0, 4, 0, 0, 0, 0, 5, 7, 8]].concat();
        fs::write(folder.join(id), told)?;
    }
    Ok(())
}
