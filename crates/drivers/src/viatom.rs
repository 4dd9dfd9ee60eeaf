//! Viatom and Wellue rings and wrist oximeters (O2Ring, Checkme O2): the host asks, the device answers, over Bluetooth.
//!
//! ```text
//! request   AA | command | ~command | block 2 | length 2 | data | CRC-8        written in pieces of 20 bytes
//! response  55 | status, 0 well | ~status | block 2 | length 2 | data | CRC-8     notified in pieces; words: the lower byte first
//! 14 information: JSON {CurTIME, CurBAT, Model, SN, SoftwareVer, FileList}         16 configuration: JSON {SetTIME}
//! 17 sensors: 0 SpO2 | 1 pulse | 7 battery | 8 charging | 9 motion | 10 strength | 11 worn, of 13; FF and 0 missing
//! 03 open a file, by its name and a 0: its length, 4 bytes | 04 read its block n | 05 close it
//! file: 40 bytes {0-1 version 3, 2-3 year, 4-8 month day hour minute second, 13-14 seconds}, then records of 5 bytes
//! record: SpO2 | pulse | invalid, if not 0 | motion | vibration                    every 2 or 4 seconds
//! ```
//!
//! While it is worn it is asked for its sensors each second, and what they say becomes one measurement of a sitting (see the file `settle.rs`);
//! after that, rarely. Files are fetched when nobody wears it or the measurement has been said, the oldest first, once for each connection, and
//! become readings as the file `recording.rs` says; one whose head doesn't tell when it began, or how far its records are apart, as a whole. Its clock is read first, and set when the files that keep the old clock's times
//! have been read. There is no public command to delete a file: the device overwrites the oldest. It is not told to go: it has new files
//! whenever it is taken off, and would be connected to again. The units of motion and strength are not public: they become nothing.
//! Source: MackeyStingray/o2r, with what its author captured.

mod conversation;
mod message;

use uuid::{Uuid, uuid};
use vitals::Vital;

pub use conversation::{ANSWER_WAIT, ASKED_MAX, FILE_BYTES_MAX, POLL_EVERY, POLL_RARELY, WRITE_BYTES_MAX};
pub use message::{FILE_HEAD_BYTES, FileHead, Info, Message, RECORD_BYTES, SENSORS_BYTES, Sensors, crc8, record};

use crate::{DecodeError, Driver, Measured, Transport, gatt};

const WHAT: &str = "viatom";

/// The service.
pub const SERVICE: Uuid = uuid!("14839ac4-7d7e-415c-9a42-167340cf2339");
/// Where responses come from.
pub const RESPONSES: Uuid = uuid!("0734594a-a8e7-4b1a-a6b1-cd5243059a57");
/// Where requests are written.
pub const REQUESTS: Uuid = uuid!("8b00ace7-eb0b-49b0-bbe9-9aee0a26e1a3");

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "viatom",
    transport: Transport::Ble {
        service: SERVICE,
        subscribe: &[RESPONSES],
        read: &[],
        names: &["O2Ring", "Checkme O2", "CheckmeO2", "CheckO2", "SleepU", "WearO2", "KidsO2", "Oxylink"],
    },
    vitals: &[Vital::Spo2, Vital::Pulse],
    devices: &["Wellue O2Ring", "Viatom Checkme O2"],
    standard: "Viatom ring protocol, as decoded in public (no document of the maker)",
    open: |_| Box::<conversation::Ring>::default(),
    decode: |channel, frames| {
        gatt::characteristic(WHAT, channel)?;
        decode(&frames.concat())
    },
};

/// Responses one after the other, of which those of the sensors give readings; or what the sensors say, without a message around it; or a file;
/// or a request, which gives none.
fn decode(bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    match bytes {
        [0xaa, ..] => Message::parse_request(bytes).map(|_| Vec::new()),
        [3, 0, ..] if bytes.len() >= FILE_HEAD_BYTES => file(bytes),
        _ if bytes.len() == SENSORS_BYTES && !(bytes[0] == 0x55 && bytes[2] == !bytes[1]) => {
            Ok(Sensors::parse(bytes)?.measured())
        }
        _ => responses(bytes),
    }
}

fn responses(mut rest: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    let mut measured = Vec::new();
    loop {
        let len = message::response_bytes(rest).map_or(rest.len(), |len| len.min(rest.len()));
        let (response, after) = rest.split_at(len);
        let response = Message::response(response)?;
        response.check_status()?;
        if response.data.len() == SENSORS_BYTES {
            measured.extend(Sensors::parse(&response.data)?.measured());
        }
        rest = after;
        if rest.is_empty() {
            return Ok(measured);
        }
    }
}

fn file(bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    let head = FileHead::parse(bytes)?;
    let (records, rest) = bytes[FILE_HEAD_BYTES..].as_chunks::<RECORD_BYTES>();
    if !rest.is_empty() {
        return Err(DecodeError::Incomplete { what: WHAT, found: rest.len(), need: RECORD_BYTES });
    }
    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let mut recording = head.recording(count)?;
    records.iter().for_each(|bytes| recording.push(record(*bytes)));
    Ok(recording.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape;

    const WORN: &str = "5500ff00000d00624200000000006100920a01002f";

    #[test]
    fn sensors_are_read_in_a_response_and_by_themselves() {
        tape::check(DRIVER, &[&WORN[..40], &WORN[40..]], "spo2 98 %; pulse 66 /min");
        tape::check(DRIVER, &["624200000000006100920a0100"], "spo2 98 %; pulse 66 /min");
        tape::check(DRIVER, &["ffffff00000000600005000000"], "");
        tape::check(
            DRIVER,
            &["624200000000006100920a0000"],
            "spo2 98 % sensor_unconnected_to_user; pulse 66 /min sensor_unconnected_to_user",
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        tape::check(DRIVER, &["aa17e8000000001b"], "");
        tape::check(DRIVER, &["aa17e8000000001c"], "viatom: checksum is 0x1c, the bytes give 0x1b");
        tape::check(DRIVER, &[&WORN[..28]], "viatom: its length says 21 bytes, its contents take 14");
        tape::check(
            DRIVER,
            &["5500fe0000000000"],
            "viatom: inverted code is 0xfe, want the code with every bit turned",
        );
        tape::check(
            DRIVER,
            &["5600ff0000000000"],
            "viatom: header is 0x56, want 0xaa in a request, 0x55 in a response",
        );
        tape::check(DRIVER, &["5500"], "viatom: 2 bytes, need at least 8");
        tape::check(DRIVER, &["5501fe00000d00624200000000006100000a0100a9"], "viatom: status is 0x01, want 0x00: well");
    }

    #[test]
    fn a_file_is_a_recording() {
        let mut head = [0; FILE_HEAD_BYTES];
        head[..9].copy_from_slice(&[3, 0, 0xea, 0x07, 11, 21, 23, 30, 0]);
        head[13] = 120;
        let of = |record: &[u8]| tape::hex(&[&head[..], &record.repeat(30)].concat());
        tape::check(
            DRIVER,
            &[&of(&[97, 60, 0, 1, 0])],
            "spo2 97 % 2026-11-21T23:30:00 from_storage; pulse 60 /min 2026-11-21T23:30:00 from_storage; \
             spo2 97 % 2026-11-21T23:31:00 from_storage; pulse 60 /min 2026-11-21T23:31:00 from_storage",
        );
        tape::check(DRIVER, &[&of(&[97, 60, 1, 1, 0])], "");
        tape::check(DRIVER, &[&of(&[97, 60, 0, 1, 0])[..378]], "viatom: incomplete, 4 bytes of 5");
        let unknown = "spo2 97 % from_storage time_unknown; pulse 60 /min from_storage time_unknown";
        tape::check(DRIVER, &[&of(&[97, 60, 0, 1, 0])[..90]], unknown);
        tape::check(DRIVER, &[&of(&[97, 60, 0, 1, 0]).replacen("ea070b15", "00000000", 1)], unknown);
        tape::check(DRIVER, &[&of(&[])], "viatom: number of records is 0x00, want 1 or more");
        tape::check(
            DRIVER,
            &[&of(&[97; 5]).replacen("0300", "0200", 1)],
            "viatom: header is 0x02, want 0xaa in a request, 0x55 in a response",
        );
    }

    #[test]
    fn what_the_device_says_of_itself() {
        let said = br#"{"Model":"1652","SN":"2012345678","SoftwareVer":"1.4.0","CurBAT":"97%",
            "CurTIME":"2020-08-17,23:29:30","FileList":"20200817225251,20200817095111,"} "#;
        let info = Info::parse(&[&said[..], &[0, 0]].concat()).unwrap();
        assert_eq!(info.files, ["20200817095111", "20200817225251"]);
        assert_eq!(info.clock.unwrap().to_string(), "2020-08-17T23:29:30");
        assert_eq!((info.about.battery_percent, info.about.model.as_deref()), (Some(97), Some("1652")));
        assert_eq!(Info::parse(b"{}").unwrap().files, [""; 0]);
        assert_eq!(Info::parse(b"[]").unwrap_err().to_string(), "viatom: information is 0x5b, want a JSON object");
    }
}
