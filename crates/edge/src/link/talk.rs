//! One connection to one device: feeds the driver's session, gives what it measured to the keeper, and hands back what it wants written.

use drivers::{Channel, Driver, Options, Output, Session};
use jiff::Timestamp;
use tokio::sync::watch;
use vitals::DeviceId;

use super::Links;
use crate::{clock, spool::Receipt};

/// Measurements in one message, at most.
const READINGS_MAX: usize = 256;

/// Bytes for the device.
pub type Writes = Vec<(Channel, Vec<u8>)>;

/// A connection's conversation.
pub struct Talk {
    links: Links,
    /// Under which the board knows the device.
    key: String,
    device: DeviceId,
    simulated: bool,
    session: Box<dyn Session>,
    acked: watch::Receiver<Receipt>,
    /// What the core has to acknowledge before the device may forget.
    owed: Option<Receipt>,
    /// What was taken together is complete.
    pub ended: bool,
    /// Measurements of this connection.
    pub measured: usize,
}

impl Talk {
    /// A conversation with a device that has just been connected.
    pub fn new(links: &Links, driver: &Driver, key: &str, device: DeviceId, simulated: bool) -> Self {
        links.board.identify(key, &device);
        let acked = links.keeper.spool().acked_through();
        let (session, links, key) = ((driver.open)(&Options::default()), links.clone(), key.to_owned());
        Self { links, key, device, simulated, session, acked, owed: None, ended: false, measured: 0 }
    }

    /// The link is up.
    pub async fn connected(&mut self) -> Writes {
        let now = clock::now();
        let local = self.links.keeper.zone().to_datetime(now);
        let outputs = self.session.connected(now, local);
        self.take(outputs, now).await
    }

    /// Packets came, in this order.
    pub async fn received(&mut self, packets: &[(Channel, Vec<u8>)]) -> Writes {
        let now = clock::now();
        self.links.board.heard(&self.key, now);
        let mut outputs = Vec::new();
        for (channel, bytes) in packets {
            outputs.extend(self.session.received(now, *channel, bytes));
        }
        self.take(outputs, now).await
    }

    /// When the session wants to be called if nothing comes.
    pub fn timeout_at(&self) -> Option<Timestamp> {
        self.session.timeout_at()
    }

    /// That time has come.
    pub async fn timed_out(&mut self) -> Writes {
        let now = clock::now();
        let outputs = self.session.timed_out(now);
        self.take(outputs, now).await
    }

    /// Waits until the core has acknowledged everything that was measured; for ever, if nothing was.
    pub async fn covered(&mut self) {
        let Some(owed) = self.owed else { return std::future::pending().await };
        if self.acked.wait_for(|acked| owed.covered_by(*acked)).await.is_err() {
            std::future::pending().await
        }
    }

    /// Everything measured has been acknowledged: the device may forget.
    pub async fn kept(&mut self) -> Writes {
        self.owed = None;
        let now = clock::now();
        let outputs = self.session.kept(now);
        self.take(outputs, now).await
    }

    /// Does the device wait for an acknowledgement?
    pub fn owes(&self) -> bool {
        self.owed.is_some()
    }

    /// The link is gone; what was half heard comes out.
    pub async fn closed(mut self) -> usize {
        let now = clock::now();
        let outputs = self.session.closed(now);
        self.take(outputs, now).await;
        self.measured
    }

    async fn take(&mut self, outputs: Vec<Output>, now: Timestamp) -> Writes {
        let (mut measured, mut writes) = (Vec::new(), Vec::new());
        for output in outputs {
            match output {
                Output::Measured(one) => measured.push(one),
                Output::Write { channel, bytes } => writes.push((channel, bytes)),
                Output::Refused { error, bytes } => {
                    tracing::warn!(device = %self.device, bytes = bytes.len(), %error, "link: bytes that are no measurement");
                }
                Output::SittingEnd => self.ended = true,
                Output::Progress(_) | Output::Clock(_) | Output::ClockSet | Output::About(_) => {}
            }
        }
        self.measured += measured.len();
        while !measured.is_empty() {
            let rest = measured.split_off(measured.len().min(READINGS_MAX));
            let receipt = self.links.keeper.keep(&self.device, self.simulated, measured, now).await;
            self.owed = match (self.owed, receipt) {
                (Some(owed), Some(receipt)) => Some(owed.max(receipt)),
                (owed, receipt) => owed.or(receipt),
            };
            measured = rest;
        }
        writes
    }
}
