//! Contec SP10 spirometer: the host asks, the device answers; every frame ends with the sum of its bytes, lower seven bits.
//!
//! | host | device |
//! | --- | --- |
//! | 80 00 hello | F0 cs |
//! | 83 yy mo dd hh mi ss ms ms cs set the clock | F3 00 cs |
//! | 82 02 | F2 and 6 bytes, cs |
//! | 94 14 predicted values | E4 and 21 bytes, cs |
//! | 90 10 how many records | E0, count in two times seven bits, 6 bytes, cs |
//! | 91 00 01 12 first record, 91 01 01 13 next | E1 and the record (44 bytes in all); byte 1 is 7F when there is none |
//! | 92 00 12 the curve of this record | E2, record, frames, frames of 8 bytes, cs |
//! | 91 7E 01 10 done, keep; 91 7F 01 11 done, delete | E1 with byte 1 = 7E or 7F |
//! | 93 13 delete all | E3 00 cs |
//!
//! Record: [1] 0, [2] type 1 FVC, [3-4] number, [5-10] yy mo dd hh mi ss, [11] sex, [12] age, [13-14] height, [15] 1 ECCS, [16] drug,
//! then words of 7 + 7 bits, low first, in hundredths: FVC FEV0.5 FEV1 FEV1% (tenths) FEV3 FEV6 PEF FEF25 FEF50 FEF75 FEF2575, PEFT, EVOL.
//! (Facts read from the public source of tikhonp's iOS client; no capture of a real device is public.)

use std::collections::VecDeque;

use jiff::civil::DateTime;

use super::{Body, Record};

/// Records that its memory holds; the oldest goes when it is full.
pub const MEMORY_RECORDS_MAX: usize = 250;
/// Bytes of a request that are kept while it is incomplete.
const REQUEST_BYTES_MAX: usize = 64;
const RECORD_BYTES: usize = 44;

/// FEV1 as a share of FVC, in thousandths.
#[must_use]
pub fn permille(fev1_cl: u16, fvc_cl: u16) -> u16 {
    let share = (u32::from(fev1_cl) * 1000 + u32::from(fvc_cl) / 2) / u32::from(fvc_cl.max(1));
    u16::try_from(share).unwrap_or(u16::MAX)
}

/// What the device did with what it heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Bytes to send.
    pub answer: Vec<u8>,
    /// The host set the clock to this.
    pub clock_set_to: Option<DateTime>,
    /// Numbers of the records that went out.
    pub sent: Vec<u64>,
}

/// The device: a memory, and the place in it that the host has reached.
#[derive(Debug, Default)]
pub struct Spirometer {
    memory: VecDeque<Record>,
    at: usize,
    /// How many the host has been told in this transfer.
    told: usize,
    heard: Vec<u8>,
}

impl Spirometer {
    /// A blow goes into memory.
    pub fn remember(&mut self, record: Record) {
        if self.memory.len() >= MEMORY_RECORDS_MAX {
            self.memory.pop_front();
            self.at = self.at.saturating_sub(1);
            self.told = self.told.saturating_sub(1);
        }
        self.memory.push_back(record);
    }

    /// A record of the memory.
    #[must_use]
    pub fn record(&self, number: u64) -> Option<&Record> {
        self.memory.iter().find(|record| record.number == number)
    }

    /// The line was closed: a request cut short is forgotten.
    pub fn hang_up(&mut self) {
        self.heard.clear();
        self.at = 0;
        self.told = 0;
    }

    /// Bytes from the host. Answers every request that is complete; skips bytes that begin none.
    pub fn hear(&mut self, bytes: &[u8]) -> Heard {
        let mut done = Heard::default();
        for byte in bytes {
            self.heard.push(*byte);
            while let Some(first) = self.heard.first().copied() {
                let Some(wanted) = request_len(first) else {
                    self.heard.remove(0);
                    continue;
                };
                if self.heard.len() < wanted {
                    break;
                }
                let request: Vec<u8> = self.heard.drain(..wanted).collect();
                if sum(&request[..wanted - 1]) == request[wanted - 1] {
                    self.answer(&request, &mut done);
                }
            }
            debug_assert!(self.heard.len() < REQUEST_BYTES_MAX, "the longest request has 10 bytes");
        }
        done
    }

    fn answer(&mut self, request: &[u8], done: &mut Heard) {
        let answer = match *request {
            [0x80, ..] => framed(vec![0xf0]),
            [0x83, ..] => {
                done.clock_set_to = read_clock(&request[1..7]);
                framed(vec![0xf3, 0])
            }
            [0x82, ..] => framed(vec![0xf2, 0, 0, 0, 0, 0, 0]),
            [0x94, ..] => framed([vec![0xe4], vec![0; 21]].concat()),
            [0x90, ..] => {
                let [low, high] = word(self.memory.len());
                framed(vec![0xe0, low, high, 0, 0, 0, 0, 0, 0])
            }
            [0x91, end @ (0x7e | 0x7f), ..] => self.finish(end),
            [0x91, next, ..] => self.tell(next != 0, done),
            [0x92, ..] => self.curve(),
            [0x93, ..] => {
                self.memory.clear();
                (self.at, self.told) = (0, 0);
                framed(vec![0xe3, 0])
            }
            _ => return,
        };
        done.answer.extend(answer);
    }

    /// Whether a real one's "delete" also takes what came after the transfer is not known; this one deletes what it has told.
    fn finish(&mut self, end: u8) -> Vec<u8> {
        if end == 0x7f {
            self.memory.drain(..self.told.min(self.memory.len()));
        }
        (self.at, self.told) = (0, 0);
        no_record(end)
    }

    fn tell(&mut self, next: bool, done: &mut Heard) -> Vec<u8> {
        self.at = if next { self.at + 1 } else { 0 };
        match self.memory.get(self.at) {
            Some(record) => {
                self.told = self.told.max(self.at + 1);
                done.sent.push(record.number);
                encode(record, self.at + 1)
            }
            None => no_record(0x7f),
        }
    }

    fn curve(&self) -> Vec<u8> {
        let [record_low, record_high] = word(self.at + 1);
        let points = self.memory.get(self.at).map(|record| curve(record.body)).unwrap_or_default();
        let [frames_low, frames_high] = word(points.len());
        let mut bytes = vec![0xe2, record_low, record_high, frames_low, frames_high];
        for point in points {
            bytes.extend(wave_frame(point));
        }
        framed(bytes)
    }
}

fn request_len(first: u8) -> Option<usize> {
    match first {
        0x80 | 0x82 | 0x90 | 0x93 | 0x94 => Some(2),
        0x83 => Some(10),
        0x91 => Some(4),
        0x92 => Some(3),
        0x8b => Some(9),
        _ => None,
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) & 0x7f
}

fn framed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.push(sum(&bytes));
    bytes
}

/// Two times seven bits, low first.
fn word(value: usize) -> [u8; 2] {
    let [low, high, ..] = ((value & 0x3f80) << 1 | (value & 0x7f)).to_le_bytes();
    [low, high]
}

fn no_record(end: u8) -> Vec<u8> {
    let mut bytes = vec![0; RECORD_BYTES - 1];
    bytes[0] = 0xe1;
    bytes[1] = end;
    framed(bytes)
}

fn read_clock(bytes: &[u8]) -> Option<DateTime> {
    let [year, month, day, hour, minute, second] = *bytes else { return None };
    let small = |part: u8| i8::try_from(part).ok();
    DateTime::new(2000 + i16::from(year), small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, 0)
        .ok()
}

fn encode(record: &Record, number: usize) -> Vec<u8> {
    let (Body::Spirometry { fev1_cl, fvc_cl, fev6_cl, pef_cl }, time) = (record.body, record.device_time) else {
        return no_record(0x7f);
    };
    let [number_low, number_high] = word(number);
    let [height_low, height_high] = word(168);
    let year = u8::try_from(time.year() - 2000).unwrap_or(0) & 0x7f;
    let small = |part: i8| part.unsigned_abs();
    let mut bytes = vec![0xe1, 0, 1, number_low, number_high, year, small(time.month()), small(time.day())];
    bytes.extend([
        small(time.hour()),
        small(time.minute()),
        small(time.second()),
        1,
        72,
        height_low,
        height_high,
        1,
        0,
    ]);
    let share = permille(fev1_cl, fvc_cl);
    let flows = [pef_cl * 8 / 10, pef_cl * 4 / 10, pef_cl * 15 / 100, pef_cl * 3 / 10];
    let (peak_time_ms, extrapolated_ml) = (90, 60);
    for value in
        [fvc_cl, 0, fev1_cl, share, 0, fev6_cl, pef_cl].into_iter().chain(flows).chain([peak_time_ms, extrapolated_ml])
    {
        bytes.extend(word(usize::from(value)));
    }
    framed(bytes)
}

/// One point of a curve: time in 0.1 ms, flow in mL/s, volume in mL.
type Point = (u32, u16, u16);

/// A forced expiration in steps of 100 ms over six seconds: the volume nears FVC exponentially, through FEV1 at one second.
fn curve(body: Body) -> Vec<Point> {
    const STEPS: u32 = 60;
    let Body::Spirometry { fev1_cl, fvc_cl, .. } = body else { return vec![] };
    let (fev1, fvc) = (f64::from(fev1_cl) * 10.0, f64::from(fvc_cl.max(fev1_cl + 1)) * 10.0);
    let rate = -(1.0 - fev1 / fvc).ln();
    let rounded = |value: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
        let rounded = value.round().clamp(0.0, 65_535.0) as u16;
        rounded
    };
    (0..=STEPS)
        .map(|step| {
            let left = (-rate * f64::from(step) / 10.0).exp();
            (step * 1000, rounded(fvc * rate * left), rounded(fvc * (1.0 - left)))
        })
        .collect()
}

/// Seven bytes of data, whose upper bits stand in the byte before them (bit 0 is the first byte's).
fn wave_frame((time, flow, volume): Point) -> [u8; 8] {
    let time = time.to_le_bytes();
    let (flow, volume) = (flow.to_le_bytes(), volume.to_le_bytes());
    let data = [time[0], time[1], time[2], flow[0], flow[1], volume[0], volume[1]];
    let mut frame = [0; 8];
    for (index, byte) in data.into_iter().enumerate() {
        frame[0] |= (byte >> 7) << index;
        frame[index + 1] = byte & 0x7f;
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{hex, record};

    fn blow(number: u64) -> Record {
        let body = Body::Spirometry { fev1_cl: 495, fvc_cl: 510, fev6_cl: 0, pef_cl: 933 };
        Record { number, ..record(body, "2022-08-29T17:30:36") }
    }

    /// The record composed by that source's layout: e1 00 01 0100 16081d111e24 00 27 2f01 01 01 7e03 0000 6f03 4b07 0000 0000 2507 ...:
    /// 2022-08-29 17:30:36, FVC 5.10, FEV1 4.95, 97.1 %, PEF 9.33.
    #[test]
    fn a_record_has_its_fields_in_place() {
        let bytes = encode(&blow(1), 1);
        assert_eq!(bytes.len(), RECORD_BYTES);
        assert_eq!(hex(&bytes[..11]), "e10001010016081d111e24");
        assert_eq!(hex(&bytes[17..25]), "7e0300006f034b07");
        assert_eq!(hex(&bytes[29..31]), "2507");
        assert_eq!(bytes[43], sum(&bytes[..43]));
    }

    /// The whole talk, with the commands that the public client writes.
    #[test]
    fn the_handshake() {
        let mut device = Spirometer::default();
        device.remember(blow(11));
        device.remember(blow(12));
        assert_eq!(hex(&device.hear(&[0x80, 0x00]).answer), "f070");
        let mut set = vec![0x83, 26, 11, 22, 8, 0, 1, 0, 0];
        set.push(sum(&set));
        let done = device.hear(&set);
        assert_eq!(done.clock_set_to.unwrap().to_string(), "2026-11-22T08:00:01");
        assert_eq!(hex(&done.answer), "f30073");
        assert_eq!(device.hear(&[0x82, 0x02]).answer.len(), 8);
        assert_eq!(device.hear(&[0x94, 0x14]).answer.len(), 23);
        assert_eq!(hex(&device.hear(&[0x90, 0x10]).answer), "e0020000000000000062");
        assert_eq!(device.hear(&[0x91, 0x00, 0x01, 0x12]).sent, [11]);
        let wave = device.hear(&[0x92, 0x00, 0x12]).answer;
        assert_eq!((wave.len(), hex(&wave[..5])), (5 + 61 * 8 + 1, "e201003d00".into()));
        assert_eq!(device.hear(&[0x91, 0x01, 0x01, 0x13]).sent, [12]);
        let end = device.hear(&[0x91, 0x01, 0x01, 0x13]);
        assert_eq!((end.sent.len(), end.answer[1], end.answer.len()), (0, 0x7f, RECORD_BYTES));
        assert_eq!(device.hear(&[0x91, 0x7e, 0x01, 0x10]).answer[1], 0x7e);
        assert!(device.record(11).is_some(), "kept");
        device.hear(&[0x91, 0x00, 0x01, 0x12]);
        device.hear(&[0x91, 0x7f, 0x01, 0x11]);
        assert!(device.record(11).is_none(), "deleted");
        assert!(device.record(12).is_some(), "not told in that transfer");
    }

    #[test]
    fn requests_may_come_in_pieces_and_after_noise() {
        let mut device = Spirometer::default();
        assert_eq!(device.hear(&[0x00, 0x41, 0x91, 0x00]), Heard::default());
        assert_eq!(device.hear(&[0x01]), Heard::default());
        assert_eq!(device.hear(&[0x12]).answer[..2], [0xe1, 0x7f]);
        assert!(device.hear(&[0x91, 0x00, 0x01, 0x13]).answer.is_empty(), "a wrong sum is not answered");
    }

    #[test]
    fn a_curve_reaches_fev1_after_a_second() {
        let points = curve(blow(1).body);
        assert_eq!(points[10], (10_000, points[10].1, 4950));
        assert_eq!(wave_frame((10_000, 1000, 4950)), [0b0000_1000, 0x10, 0x27, 0, 0x68, 3, 0x56, 0x13]);
    }
}
