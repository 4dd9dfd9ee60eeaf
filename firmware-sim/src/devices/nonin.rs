//! Nonin serial data format 2: 9600 8N1, 75 frames a second, 25 frames a packet.
//!
//! Frame: 01, status, pleth, float, checksum (sum of the first four, modulo 256). Status: bit 7 always 1, 5 artefact, 4 out of track,
//! 3 sensor fault (no finger), 2 red and 1 green perfusion (red: low, both: middling), 0 synchronisation (first frame of a packet).
//! The floats of frames 1 to 25: HR msb, HR lsb, SpO2, revision, r, timer msb, timer lsb, STAT2, SpO2-D, SpO2 fast, SpO2 beat, r, r,
//! E-HR msb, E-HR lsb, E-SpO2, E-SpO2-D, r, r, HR-D msb, HR-D lsb, E-HR-D msb, E-HR-D lsb, r, r. HR = (msb & 3) << 7 | lsb. Missing is
//! 511 and 127; "-D" are the values for a display, which stay for 10 s after the finger has gone. (Nonin OEM specification.)

use super::Body;

/// Frames in a packet.
pub const PACKET_FRAMES: usize = 25;
/// Bytes in a frame.
pub const FRAME_BYTES: usize = 5;
/// Frames a second.
pub const FRAMES_PER_SECOND: u32 = 75;

const PULSE_MISSING: u16 = 511;
const SPO2_MISSING: u8 = 127;
const FIRMWARE_REVISION: u8 = 48;

const STATUS_ALWAYS: u8 = 0x80;
const STATUS_SENSOR_FAULT: u8 = 0x08;
const STATUS_RED: u8 = 0x04;
const STATUS_GREEN: u8 = 0x02;
const STATUS_SYNC: u8 = 0x01;

/// What the sensor sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensor {
    /// A finger.
    Finger(Body),
    /// None, but the display still shows what it was.
    JustOut(Body),
    /// None.
    Empty,
}

/// One packet of 125 bytes. `count` numbers the packets (the device's timer).
#[must_use]
pub fn packet(sensor: Sensor, count: u16) -> Vec<u8> {
    let floats = floats(sensor, count);
    let status = status(sensor);
    let mut bytes = Vec::with_capacity(PACKET_FRAMES * FRAME_BYTES);
    for (index, float) in floats.into_iter().enumerate() {
        let sync = if index == 0 { STATUS_SYNC } else { 0 };
        let frame = [0x01, status | sync, pleth(sensor, index), float];
        bytes.extend(frame);
        bytes.push(frame.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
    }
    bytes
}

fn status(sensor: Sensor) -> u8 {
    match sensor {
        Sensor::Finger(Body::Oxygen { low_perfusion: true, .. }) => STATUS_ALWAYS | STATUS_RED,
        Sensor::Finger(_) => STATUS_ALWAYS | STATUS_GREEN,
        Sensor::JustOut(_) | Sensor::Empty => STATUS_ALWAYS | STATUS_SENSOR_FAULT,
    }
}

fn floats(sensor: Sensor, count: u16) -> [u8; PACKET_FRAMES] {
    let (spo2, pulse) = measured(match sensor {
        Sensor::Finger(body) => Some(body),
        Sensor::JustOut(_) | Sensor::Empty => None,
    });
    let (spo2_shown, pulse_shown) = measured(match sensor {
        Sensor::Finger(body) | Sensor::JustOut(body) => Some(body),
        Sensor::Empty => None,
    });
    let (high, low) = split(pulse);
    let (high_shown, low_shown) = split(pulse_shown);
    let (timer_high, timer_low) = split(count);
    [
        high,
        low,
        spo2,
        FIRMWARE_REVISION,
        0,
        timer_high,
        timer_low,
        0,
        spo2_shown,
        spo2,
        spo2,
        0,
        0, //
        high,
        low,
        spo2,
        spo2_shown,
        0,
        0,
        high_shown,
        low_shown,
        high_shown,
        low_shown,
        0,
        0,
    ]
}

fn measured(body: Option<Body>) -> (u8, u16) {
    match body {
        Some(Body::Oxygen { spo2, pulse, .. }) => (u8::try_from(spo2).unwrap_or(SPO2_MISSING), pulse),
        _ => (SPO2_MISSING, PULSE_MISSING),
    }
}

/// The upper and the lower seven bits.
fn split(value: u16) -> (u8, u8) {
    let [low, high] = ((value & 0x3f80) << 1 | (value & 0x7f)).to_le_bytes();
    (high & 0x7f, low)
}

/// A plethysmogram that looks like one: a steep rise and a slow fall.
fn pleth(sensor: Sensor, frame: usize) -> u8 {
    const BEAT: [u8; 5] = [70, 161, 175, 105, 84];
    match sensor {
        Sensor::Finger(_) => BEAT[frame * BEAT.len() / PACKET_FRAMES],
        Sensor::JustOut(_) | Sensor::Empty => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::hex;

    fn finger(spo2: u16, pulse: u16, low_perfusion: bool) -> Sensor {
        Sensor::Finger(Body::Oxygen { spo2, pulse, low_perfusion })
    }

    /// Frames of pufferfish-software's Nonin test: HR 72 is frame 2 "01 80 01 48 ca" with its pleth of 1 and no perfusion bit, SpO2 97 is
    /// "01 80 01 61 e3", revision 48 is "01 80 01 30 b2". The same floats at the same places:
    #[test]
    fn floats_stand_where_other_peoples_test_has_them() {
        let theirs = "018101008301800148ca01800161e301800130b2018001008201800100820180010082018001008201800161e301800161e301800161e3018001008201800100820180010082\
                      01800148ca01800161e301800161e301800100820180010082018001008201800148ca018001008201800148ca01800100820180010082";
        let their_floats: Vec<&str> = (0..PACKET_FRAMES).map(|frame| &theirs[frame * 10 + 6..frame * 10 + 8]).collect();
        let ours = hex(&packet(finger(97, 72, false), 0));
        let our_floats: Vec<&str> = (0..PACKET_FRAMES).map(|frame| &ours[frame * 10 + 6..frame * 10 + 8]).collect();
        assert_eq!(our_floats, their_floats);
    }

    /// A frame of a real Nonin 9560 (comment in NoninPulseOx): 01 81 af 00 31.
    #[test]
    fn every_frame_sums_up_and_only_the_first_synchronises() {
        let sum = |frame: &[u8]| frame[..4].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        assert_eq!(sum(&[0x01, 0x81, 0xaf, 0x00]), 0x31);
        for sensor in [finger(82, 300, true), Sensor::Empty] {
            let bytes = packet(sensor, 300);
            assert_eq!(bytes.len(), 125);
            for (index, frame) in bytes.chunks(FRAME_BYTES).enumerate() {
                assert_eq!(frame[4], sum(frame));
                assert_eq!(frame[1] & STATUS_SYNC == 1, index == 0);
            }
        }
    }

    #[test]
    fn no_finger_is_511_and_127_and_the_display_lingers() {
        let empty = packet(Sensor::Empty, 0);
        let float = |bytes: &[u8], frame: usize| bytes[(frame - 1) * FRAME_BYTES + 3];
        assert_eq!((float(&empty, 1), float(&empty, 2), float(&empty, 3)), (3, 127, 127));
        assert_eq!(empty[1], 0x89);
        let Sensor::Finger(body) = finger(93, 130, false) else { unreachable!() };
        let out = packet(Sensor::JustOut(body), 0);
        assert_eq!((float(&out, 3), float(&out, 9)), (127, 93));
        assert_eq!((float(&out, 20), float(&out, 21)), (1, 2), "130 is 1 << 7 | 2");
    }
}
