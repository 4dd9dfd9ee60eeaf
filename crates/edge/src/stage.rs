//! What happens at the devices, for whoever shows it to the person: connected, how far a measurement is, what was kept, gone, trouble.
//!
//! A bounded broadcast that nobody has to listen to and that never holds up a link. Listen with [`Stage::listen`]: a listener that falls
//! behind by more than [`EVENTS_MAX`] loses the oldest and is told so (`RecvError::Lagged`). The same event may be said twice. Nothing
//! durable hangs on it: what is said to be `Measured` is in the spool already, under the receipt that is said with it.

use drivers::Progress;
use tokio::sync::broadcast;
use vitals::{DeviceId, Reading, SessionId};

use crate::spool::Receipt;

/// Events that wait for a slow listener.
pub const EVENTS_MAX: usize = 256;

/// Something happened at a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// Under which the board knows the device: its configured address, name or path.
    pub key: String,
    /// The device, as far as it is known by now.
    pub device: DeviceId,
    /// What happened.
    pub event: Event,
}

/// What can happen at a device.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The link is up.
    Connected,
    /// A measurement is going on; nothing of it is kept yet.
    Progress(Progress),
    /// Measurements of one sitting are in the spool.
    Measured(Kept),
    /// The link is gone, in order or not.
    Gone,
    /// Something is wrong with the device, in one sentence.
    Trouble(String),
}

/// What was put into the spool as one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Its sitting.
    pub session: SessionId,
    /// Under which number; an acknowledgement that covers it means that the core has it.
    pub receipt: Receipt,
    /// What was measured, with every flag, at the time it was placed at.
    pub readings: Vec<Reading>,
}

/// Where it is said. Clones share it.
#[derive(Clone, Debug)]
pub struct Stage {
    sender: broadcast::Sender<Heard>,
}

impl Default for Stage {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(EVENTS_MAX) }
    }
}

impl Stage {
    /// Hears everything that is said from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Heard> {
        self.sender.subscribe()
    }

    /// Says it to whoever listens.
    pub fn say(&self, key: &str, device: &DeviceId, event: Event) {
        if self.sender.receiver_count() > 0 {
            let heard = Heard { key: key.to_owned(), device: device.clone(), event };
            // The last listener may have gone in between.
            let _unheard = self.sender.send(heard);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;

    #[test]
    fn a_slow_listener_loses_the_oldest_and_is_told_and_nobody_waits() {
        let stage = Stage::default();
        let device: DeviceId = "gatt-plx:1".parse().unwrap();
        stage.say("a", &device, Event::Connected);
        let mut listener = stage.listen();
        for _ in 0..EVENTS_MAX + 5 {
            stage.say("a", &device, Event::Gone);
        }
        assert!(matches!(listener.try_recv(), Err(TryRecvError::Lagged(5))));
        assert_eq!(listener.try_recv().unwrap().event, Event::Gone);
    }
}
