//! What goes wrong with a Bluetooth device on command, and looking into it.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::firmware::{Firmware, NEVER, State};
use crate::{
    bluez::gatt::uuid16,
    clock,
    home::fault::{Fault, Trouble},
};

/// What is to go wrong.
#[derive(Debug, Default)]
pub(super) struct Armed {
    pub(super) garbage: bool,
    pub(super) truncate: bool,
    pub(super) cut_after_value: bool,
    /// In the middle of a record, after so many whole ones.
    pub(super) cut_in_record: Option<u32>,
    pub(super) never_resolve: bool,
    pub(super) resolve_after: Option<Duration>,
    pub(super) refuse_writes: bool,
    /// Nothing is known of records, whatever the services say.
    pub(super) refuse_records: bool,
    /// The next request for records meets another one that goes on.
    pub(super) busy_records: bool,
    pub(super) vanished: bool,
}

impl Firmware {
    pub(super) async fn go_wrong(&mut self, fault: Fault) -> zbus::Result<()> {
        match fault {
            Fault::Disconnect if self.radio.connected() => return self.hang_up(false, "link_lost").await,
            Fault::Disconnect => self.armed.cut_after_value = true,
            Fault::DisconnectMidFrame => self.armed.cut_in_record = Some(0),
            Fault::Garbage => self.armed.garbage = true,
            Fault::Truncate => self.armed.truncate = true,
            Fault::RefusedFirst | Fault::Unconfirmed => {} // of IEEE 11073-20601 alone
            Fault::NeverResolve => self.armed.never_resolve = true,
            Fault::RefuseWrites => self.armed.refuse_writes = true,
            Fault::Clock { offset_seconds } => self.clock.put_off(jiff::SignedDuration::from_secs(offset_seconds)),
            Fault::ClockLost => self.clock.lose(clock::now()),
            Fault::Unplug => return self.vanish().await,
            Fault::Replug => self.come_back(),
            Fault::Clear => {
                self.armed = Armed::default();
                self.radio.show_everything().await?;
                self.come_back();
            }
        }
        Ok(())
    }

    pub(super) async fn make_trouble(&mut self, trouble: Trouble) -> zbus::Result<()> {
        match trouble {
            Trouble::SlowServices { seconds } => {
                self.armed.resolve_after = Some(Duration::from_secs(seconds.into()));
            }
            Trouble::DisconnectMidRecord { after } => self.armed.cut_in_record = Some(after),
            Trouble::RefuseRecords => self.armed.refuse_records = true,
            Trouble::BusyRecords => self.armed.busy_records = true,
            Trouble::Hide { property } => self.radio.hide(property),
            Trouble::LoseCharacteristic { characteristic } => return self.radio.lose(uuid16(characteristic)).await,
        }
        Ok(())
    }

    /// Tells what it holds, and what its clock shows.
    pub(super) async fn inspected(&self) {
        let (now, numbers) = (clock::now(), self.memory.iter().map(|kept| kept.record.number));
        let line = json!({
            "event": "inspected", "device": self.identity.kind, "records": numbers.collect::<Vec<_>>(),
            "device_time": self.clock.shows(now).to_string(), "clock_set": self.clock.is_set(),
            "clock_ahead_seconds": self.clock.ahead_seconds(), "connected": self.radio.connected(),
        });
        self.teller.tell(line).await;
    }

    async fn vanish(&mut self) -> zbus::Result<()> {
        self.armed.vanished = true;
        self.report = None;
        for kept in &mut self.memory {
            kept.sent = false;
        }
        self.state = State::Asleep;
        self.next = Instant::now() + NEVER;
        self.radio.vanish().await
    }

    fn come_back(&mut self) {
        self.armed.vanished = false;
        if !self.memory.is_empty() {
            self.wake();
        }
    }
}
