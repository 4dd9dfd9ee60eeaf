//! What a bench kit sends: contract messages, every one another, one in a hundred with a value that has to reach a nurse.

use std::fmt::Write as _;

use jiff::Timestamp;
use vitals::KitId;

/// Every so many messages of a kit one reading is red.
pub(super) const RED_EVERY: u64 = 100;

/// Writes the messages of one kit.
pub(super) struct Writer {
    topic: String,
    readings: u16,
    kit: u64,
}

impl Writer {
    pub fn new(kit: &KitId, number: usize, readings: u16) -> Self {
        Self { topic: format!("vagt/v1/{kit}/readings"), readings, kit: number as u64 }
    }

    /// Is this message one that a nurse must see?
    pub fn is_red(&self, seq: u64) -> bool {
        (seq + self.kit).is_multiple_of(RED_EVERY)
    }

    /// Appends a QoS 1 PUBLISH packet of MQTT 3.1.1; `text` is kept from message to message so that nothing is allocated.
    pub fn publish(&self, seq: u64, packet: u16, now: Timestamp, text: &mut String, out: &mut Vec<u8>) {
        self.message(seq, now, text);
        let length = 2 + self.topic.len() + 2 + text.len();
        out.push(0x32);
        super::kit::length(out, length);
        out.extend(u16::try_from(self.topic.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(self.topic.as_bytes());
        out.extend(packet.to_be_bytes());
        out.extend(text.as_bytes());
    }

    fn message(&self, seq: u64, now: Timestamp, text: &mut String) {
        text.clear();
        let kit = self.kit;
        let written = write!(
            text,
            r#"{{"seq":{seq},"sent_at":"{now}","session":"00000000-0000-4000-8{:03x}-{seq:012x}","readings":["#,
            kit & 0xfff
        );
        written.expect("a String takes any text");
        for index in 0..self.readings {
            let (vital, unit, value) = self.value(seq, index);
            let comma = if index == 0 { "" } else { "," };
            let written = write!(
                text,
                r#"{comma}{{"vital":"{vital}","value":{value},"unit":"{unit}","measured_at":"{now}","clock":"device","device":"bench:{kit}","flags":["simulated"]}}"#
            );
            written.expect("a String takes any text");
        }
        text.push_str("]}");
    }

    /// Calm values that move a little; red is an SpO2 of 85 %.
    fn value(&self, seq: u64, index: u16) -> (&'static str, &'static str, Digits) {
        let step = (seq % 10) as u32;
        match index % 4 {
            0 if index == 0 && self.is_red(seq) => ("spo2", "%", Digits(85, 0)),
            0 => ("spo2", "%", Digits(91 + step % 2, 0)),
            1 => ("pulse", "/min", Digits(70 + step, 0)),
            2 => ("temperature", "Cel", Digits(365 + step % 5, 1)),
            _ => ("fev1", "L", Digits(150 + step, 2)),
        }
    }
}

/// A number of so many decimals.
struct Digits(u32, u32);

impl std::fmt::Display for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(number, decimals) = *self;
        let one = 10_u32.pow(decimals);
        match decimals {
            0 => write!(f, "{number}"),
            _ => write!(f, "{}.{:0width$}", number / one, number % one, width = decimals as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_what_the_contract_takes() {
        let writer = Writer::new(&"bench-7".parse().unwrap(), 7, 6);
        let mut text = String::new();
        writer.message(93, "2026-11-22T08:00:00.123456Z".parse().unwrap(), &mut text);
        let arrived = wire::decode(text.as_bytes()).unwrap();
        assert_eq!((arrived.message.seq, arrived.message.readings.len(), arrived.refused.len()), (93, 6, 0));
        assert!(writer.is_red(93));
        assert_eq!(arrived.message.readings[0].value.to_string(), "85");
        assert_eq!(arrived.message.readings[3].value.to_string(), "1.53");
    }
}
