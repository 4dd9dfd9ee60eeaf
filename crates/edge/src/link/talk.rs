//! One connection to one device: feeds the driver's session, gives what it measured to the keeper, and hands back what it wants written.

use drivers::{About, Channel, DeviceClock, Driver, Options, Output, Session};
use jiff::Timestamp;
use tokio::sync::watch;
use vitals::DeviceId;

use super::Links;
use crate::{clock, identity, keeper::Source, placing::Timeline, spool::Receipt, stage::Event};

/// Measurements in one message, at most.
const READINGS_MAX: usize = 256;
/// Refusals of one connection that are logged.
const REFUSALS_LOGGED_MAX: usize = 20;
/// The maker of simulated devices.
const MANUFACTURER_SIMULATED: &str = "Simulated";

/// Bytes for the device.
pub type Writes = Vec<(Channel, Vec<u8>)>;

/// Which device it is, before it says more of itself.
pub struct Party<'a> {
    /// Its driver.
    pub driver: &'static Driver,
    /// What is configured of it.
    pub options: &'a Options,
    /// Under which the board knows it.
    pub key: &'a str,
    /// What it is called, unless it tells its serial number: its address, its configured name.
    pub called: &'a str,
}

/// A connection's conversation.
pub struct Talk {
    links: Links,
    driver: &'static Driver,
    key: String,
    device: DeviceId,
    /// Which of the device's users the person is, where that is configured.
    user: Option<u8>,
    simulated: bool,
    session: Box<dyn Session>,
    timeline: Timeline,
    acked: watch::Receiver<Receipt>,
    /// What the core has to acknowledge before the device may forget.
    owed: Option<Receipt>,
    /// What was taken together is complete.
    pub ended: bool,
    /// Measurements of this connection.
    pub measured: usize,
    /// Packets of this connection that are no measurement.
    refused: usize,
    /// The device has said something: it is there, and not only its line.
    announced: bool,
    /// The kit has moved the clock on this connection: from here on its own reckoning holds.
    moved: bool,
}

impl Talk {
    /// A conversation with a device that has just been connected.
    pub fn new(links: &Links, party: &Party<'_>) -> Self {
        let Party { driver, options, key, called } = *party;
        let device = identity::device_id(driver, called);
        links.board.identify(key, &device);
        let acked = links.keeper.spool().acked_through();
        let timeline = links.clocks.timeline(&device);
        let session = drivers::open(driver, options);
        let (links, key) = (links.clone(), key.to_owned());
        let (owed, ended, simulated, announced, moved) = (None, false, false, false, false);
        let (measured, refused) = (0, 0);
        Self {
            links,
            driver,
            key,
            device,
            user: options.user,
            simulated,
            session,
            timeline,
            acked,
            owed,
            ended,
            measured,
            refused,
            announced,
            moved,
        }
    }

    /// What could be read of the device at once, before anything else; and then the link is up.
    pub async fn connected(&mut self, read: &[(Channel, Vec<u8>)]) -> Writes {
        let now = clock::now();
        let mut outputs = Vec::new();
        for (channel, bytes) in read {
            outputs.extend(self.session.received(now, *channel, bytes));
        }
        // Who it is comes first: what it measured and what its clock says belong to that name.
        outputs.sort_by_key(|output| !matches!(output, Output::About(_)));
        if !read.is_empty() {
            self.announce();
        }
        let local = self.links.keeper.zone().to_datetime(now);
        outputs.extend(self.session.connected(now, local));
        self.take(outputs, now).await
    }

    /// Packets came, in this order.
    pub async fn received(&mut self, packets: &[(Channel, Vec<u8>)]) -> Writes {
        let now = clock::now();
        let mut outputs = Vec::new();
        for (channel, bytes) in packets {
            outputs.extend(self.session.received(now, *channel, bytes));
        }
        if self.understands() != Some(false) {
            self.links.board.heard(&self.key, now);
            self.announce();
        }
        self.take(outputs, now).await
    }

    /// Are the bytes heard so far the driver's? See [`Session::understands`].
    pub fn understands(&self) -> Option<bool> {
        self.session.understands()
    }

    /// Does silence mean that the device is not there? See [`Session::speaks_by_itself`].
    pub fn speaks_by_itself(&self) -> bool {
        self.session.speaks_by_itself()
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
        if let Some(owed) = self.owed {
            self.links.owed.remember(&self.key, owed);
        }
        if self.announced {
            self.links.keeper.stage().say(&self.key, &self.device, Event::Gone);
        }
        self.measured
    }

    fn announce(&mut self) {
        if !std::mem::replace(&mut self.announced, true) {
            self.links.keeper.stage().say(&self.key, &self.device, Event::Connected);
        }
    }

    async fn take(&mut self, outputs: Vec<Output>, now: Timestamp) -> Writes {
        let (mut measured, mut writes) = (Vec::new(), Vec::new());
        for output in outputs {
            match output {
                Output::Measured(one) => measured.push(one),
                Output::Write { channel, bytes } => writes.push((channel, bytes)),
                Output::Refused { error, bytes } => self.refuse(&error, bytes.len()),
                Output::SittingEnd => self.ended = true,
                Output::Progress(progress) => {
                    self.links.keeper.stage().say(&self.key, &self.device, Event::Progress(progress));
                }
                // What was measured before is on the clock as it was.
                Output::Clock(read) => {
                    self.keep(std::mem::take(&mut measured), now).await;
                    self.clock(read, now);
                }
                Output::ClockSet => {
                    self.keep(std::mem::take(&mut measured), now).await;
                    self.clock_set(now);
                }
                Output::About(about) => self.about(&about),
            }
        }
        self.keep(measured, now).await;
        if self.ended || self.measured > 0 {
            self.owed = self.links.owed.take(&self.key).into_iter().chain(self.owed).reduce(Receipt::max);
        }
        writes
    }

    async fn keep(&mut self, mut measured: Vec<drivers::Measured>, now: Timestamp) {
        self.measured += measured.len();
        while !measured.is_empty() {
            let rest = measured.split_off(measured.len().min(READINGS_MAX));
            let Self { key, device, user, simulated, timeline, .. } = &*self;
            let source = Source { key, device, user: *user, simulated: *simulated, timeline };
            let receipt = self.links.keeper.keep(source, measured, now).await;
            self.owed = self.owed.into_iter().chain(receipt).reduce(Receipt::max);
            measured = rest;
        }
    }

    fn refuse(&mut self, error: &drivers::DecodeError, bytes: usize) {
        self.refused += 1;
        if self.refused <= REFUSALS_LOGGED_MAX {
            tracing::warn!(device = %self.device, bytes, %error, "link: bytes that are no measurement");
        }
    }

    fn clock(&mut self, read: DeviceClock, now: Timestamp) {
        // A kit that doesn't know the time itself can't say what another clock is worth. After setting it, the driver says which of the
        // two clocks it takes a time to be of; the timeline knows both, and doesn't guess.
        if now < clock::CLOCK_EARLIEST || self.moved {
            return;
        }
        let ahead = self.timeline.read(read, now, self.links.keeper.zone());
        let seconds = ahead.map(|ahead| ahead.as_secs());
        tracing::info!(device = %self.device, ahead_seconds = seconds, "link: the device's clock was read");
        self.links.board.clock(&self.key, seconds);
        self.links.clocks.remember(&self.device, &self.timeline);
    }

    fn clock_set(&mut self, now: Timestamp) {
        if now >= clock::CLOCK_EARLIEST {
            self.moved = true;
            self.timeline.set(now);
            self.links.clocks.remember(&self.device, &self.timeline);
        }
    }

    fn about(&mut self, about: &About) {
        self.links.board.about(&self.key, about);
        self.simulated |= about.manufacturer.as_deref().is_some_and(|maker| maker.starts_with(MANUFACTURER_SIMULATED));
        let serial = about.serial_number.as_deref().and_then(|serial| identity::serial_number(serial.as_bytes()));
        // Once something was measured under a name, it stays that name's.
        if let Some(serial) = serial.filter(|_| self.measured == 0) {
            let device = identity::device_id(self.driver, &serial);
            if device != self.device {
                self.links.board.identify(&self.key, &device);
                self.timeline = self.links.clocks.timeline(&device);
                self.device = device;
            }
        }
    }
}
