//! What truly happened in a home, as JSON lines: a test compares it with what arrived at the clinic.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::devices::{Identity, Record};

/// Lines that wait to be printed, at most; whoever tells one more waits.
const LINES_MAX: usize = 1024;

/// Tells what happened.
#[derive(Clone, Debug)]
pub struct Teller(mpsc::Sender<Value>);

/// A teller, and where its lines come out.
#[must_use]
pub fn teller() -> (Teller, mpsc::Receiver<Value>) {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    (Teller(sender), lines)
}

impl Teller {
    /// Any line.
    pub async fn tell(&self, line: Value) {
        // with nobody left to print it the line has no reader
        let _ = self.0.send(line).await;
    }

    /// Something was measured.
    pub async fn measured(&self, identity: &Identity, record: &Record) {
        self.tell(of_record("measured", identity, record)).await;
    }

    /// A measurement left the device as these bytes.
    pub async fn sent(&self, identity: &Identity, record: &Record, bytes: &[u8], attempt: u32) {
        let mut line = of_record("sent", identity, record);
        line["bytes"] = hex(bytes).into();
        line["attempt"] = attempt.into();
        line["sent_at"] = crate::clock::now().to_string().into();
        self.tell(line).await;
    }

    /// Something else happened to a device: connected, hung up, a fault.
    pub async fn happened(&self, event: &str, identity: &Identity) {
        let at = crate::clock::now().to_string();
        self.tell(json!({ "event": event, "device": identity.kind, "serial": identity.serial, "at": at })).await;
    }
}

fn of_record(event: &str, identity: &Identity, record: &Record) -> Value {
    let mut flags = record.body.flags();
    flags.extend((!record.clock_set).then_some("clock_not_set"));
    flags.extend(record.stored.then_some("from_storage"));
    json!({
        "event": event, "record": record.number, "simulated": true,
        "device": identity.kind, "serial": identity.serial, "address": identity.address,
        "values": record.body.values(), "units": record.body.units(), "flags": flags,
        "device_time": record.device_time.to_string(), "real_time": record.real_time.to_string(),
        "story_day": record.story_day,
    })
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
