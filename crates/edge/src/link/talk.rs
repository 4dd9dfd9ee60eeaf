//! One connection to one device: feeds the driver's session, gives what it measured to the keeper, and hands back what it wants written.

use std::time::Instant;

use drivers::{About, Channel, DeviceClock, Driver, Options, Output, Session};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use vitals::DeviceId;

use super::{Links, memory::Debt};
use crate::{clock, identity, keeper::Source, placing::Timeline, spool::Receipt, stage::Event};

/// Measurements in one message, at most.
const READINGS_MAX: usize = 256;
/// Refusals of one connection that are logged.
const REFUSALS_LOGGED_MAX: usize = 20;
/// The kit's clock was put right when it has moved by more than this against the time that went by.
const CLOCK_STEP_MIN: SignedDuration = SignedDuration::from_secs(60);
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
    owed: Option<Debt>,
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
    /// When it began, by the clock that is never set and by the kit's.
    began: (Instant, Timestamp),
    /// How far the kit's clock was set ahead since.
    stepped: SignedDuration,
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
            began: (Instant::now(), clock::now()),
            stepped: SignedDuration::ZERO,
        }
    }

    /// The session's time. It goes evenly whatever happens to the kit's clock: a session that waits for an answer of half a second must not
    /// wait for an hour because the clock was set back.
    fn steady(&self) -> Timestamp {
        let (instant, at) = self.began;
        let gone = SignedDuration::try_from(instant.elapsed()).unwrap_or(SignedDuration::MAX);
        at.saturating_add(gone).unwrap_or(Timestamp::MAX)
    }

    /// What was read of the device's clock was read by the kit's. When that is put right, the device's is off by so much less, or more.
    fn follow_the_clock(&mut self, now: Timestamp) {
        let step = now.duration_since(self.steady()) - self.stepped;
        if step.abs() > CLOCK_STEP_MIN {
            self.stepped += step;
            self.timeline.kit_stepped(step, self.moved);
            self.links.clocks.remember(&self.device, &self.timeline);
            tracing::info!(device = %self.device, seconds = step.as_secs(), "link: the kit's clock was set meanwhile");
        }
    }

    /// What could be read of the device at once, before anything else; and then the link is up.
    pub async fn connected(&mut self, read: &[(Channel, Vec<u8>)]) -> Writes {
        let (now, steady) = (clock::now(), self.steady());
        let mut outputs = Vec::new();
        for (channel, bytes) in read {
            outputs.extend(self.session.received(steady, *channel, bytes));
        }
        // Who it is comes first: what it measured and what its clock says belong to that name.
        outputs.sort_by_key(|output| !matches!(output, Output::About(_)));
        if !read.is_empty() {
            self.announce();
        }
        let local = self.links.keeper.zone().to_datetime(now);
        outputs.extend(self.session.connected(steady, local));
        self.take(outputs, now).await
    }

    /// Packets came, in this order.
    pub async fn received(&mut self, packets: &[(Channel, Vec<u8>)]) -> Writes {
        let (now, steady) = (clock::now(), self.steady());
        let mut outputs = Vec::new();
        for (channel, bytes) in packets {
            outputs.extend(self.session.received(steady, *channel, bytes));
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
    pub fn timeout_at(&self) -> Option<Instant> {
        let left = self.session.timeout_at()?.duration_since(self.began.1);
        let left = if left.is_positive() { left.unsigned_abs() } else { std::time::Duration::ZERO };
        self.began.0.checked_add(left)
    }

    /// That time has come.
    pub async fn timed_out(&mut self) -> Writes {
        let outputs = self.session.timed_out(self.steady());
        self.take(outputs, clock::now()).await
    }

    /// Waits until the core has acknowledged everything that was measured; for ever, if nothing was.
    pub async fn covered(&mut self) {
        let Some(owed) = self.owed else { return std::future::pending().await };
        if self.acked.wait_for(|acked| owed.receipt.covered_by(*acked)).await.is_err() {
            std::future::pending().await
        }
    }

    /// Everything measured has been acknowledged: the device may forget. Unless the spool had to give something up meanwhile, which may have
    /// been of this: then the device still has it, and tells it again at its next connection.
    pub async fn kept(&mut self) -> Writes {
        let owed = self.owed.take();
        let given_up = self.links.keeper.spool().given_up().await;
        if owed.is_some_and(|owed| owed.given_up != given_up) {
            return Writes::new();
        }
        let outputs = self.session.kept(self.steady());
        self.take(outputs, clock::now()).await
    }

    /// Does the device wait for an acknowledgement?
    pub fn owes(&self) -> bool {
        self.owed.is_some()
    }

    /// The link is gone; what was half heard comes out.
    pub async fn closed(mut self) -> usize {
        let outputs = self.session.closed(self.steady());
        self.take(outputs, clock::now()).await;
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
        self.follow_the_clock(now);
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
            self.owed = self.links.owed.take(&self.key).into_iter().chain(self.owed).reduce(Debt::and);
        }
        writes
    }

    async fn keep(&mut self, mut measured: Vec<drivers::Measured>, now: Timestamp) {
        self.measured += measured.len();
        while !measured.is_empty() {
            let rest = measured.split_off(measured.len().min(READINGS_MAX));
            let Self { key, device, user, simulated, timeline, .. } = &*self;
            let source = Source { key, device, user: *user, simulated: *simulated, timeline };
            let given_up = self.links.keeper.spool().given_up().await;
            let receipt = self.links.keeper.keep(source, measured, now).await;
            let debt = receipt.map(|receipt| Debt { receipt, given_up });
            self.owed = self.owed.into_iter().chain(debt).reduce(Debt::and);
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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use drivers::{DecodeError, Measured, Transport};
    use jiff::{civil::DateTime, tz::TimeZone};
    use tokio_util::sync::CancellationToken;
    use vitals::{Unit, Value, Vital};

    use super::*;
    use crate::{
        board::Board,
        keeper::Keeper,
        link::memory::{Clocks, Owed},
        round::{Handle, Rules},
        spool::{Bounds, Spool},
        stage::Stage,
    };

    const FORGET: &[u8] = b"forget";

    /// A device that stores: each packet is one value, and it can be told to forget. Waits for half a second after each.
    #[derive(Default)]
    struct Stores(Option<Timestamp>);

    impl Session for Stores {
        fn connected(&mut self, _: Timestamp, _: DateTime) -> Vec<Output> {
            Vec::new()
        }

        fn received(&mut self, now: Timestamp, _: Channel, bytes: &[u8]) -> Vec<Output> {
            self.0 = now.checked_add(SignedDuration::from_millis(500)).ok();
            let value = Value::new(bytes[0].into(), 0);
            let (device_time, device_offset, flags) = (None, None, vec![]);
            let measured =
                Measured { vital: Vital::Spo2, value, unit: Unit::Percent, device_time, device_offset, flags };
            vec![Output::Measured(measured)]
        }

        fn timeout_at(&self) -> Option<Timestamp> {
            self.0
        }

        fn kept(&mut self, _: Timestamp) -> Vec<Output> {
            vec![Output::Write { channel: Channel::Line, bytes: FORGET.to_vec() }]
        }
    }

    fn never(_: Channel, _: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
        Ok(Vec::new())
    }

    static DRIVER: Driver = Driver {
        name: "stores",
        transport: Transport::Serial { settings: &[] },
        vitals: &[],
        devices: &[],
        standard: "",
        open: |_| Box::new(Stores::default()),
        decode: never,
    };

    async fn links(dir: &tempfile::TempDir, bytes_max: u64) -> (Links, Arc<Spool>) {
        let bounds = Bounds { bytes_max, age_max: SignedDuration::from_hours(240) };
        let board = Board::default();
        let spool = Arc::new(Spool::open(dir.path(), bounds, clock::now(), board.clone()).await.unwrap());
        let round =
            Handle::open(Rules::plain(TimeZone::UTC), spool.clone(), board.clone(), dir.path().to_owned()).await;
        let keeper = Arc::new(Keeper::new(spool.clone(), round, TimeZone::UTC, Stage::default()));
        let (clocks, stop) = (Clocks::open(dir.path().join("clocks.json")), CancellationToken::new());
        (Links { keeper, board, clocks, owed: Owed::default(), stop }, spool)
    }

    fn talk(links: &Links) -> Talk {
        Talk::new(links, &Party { driver: &DRIVER, options: &Options::default(), key: "a", called: "1" })
    }

    /// Two values are told, and the core has stored all that still waits. Is the device told to forget, on this connection or the next?
    async fn forgets(bytes_max: u64, on_the_next: bool) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let (links, spool) = links(&dir, bytes_max).await;
        let mut here = talk(&links);
        for byte in [93, 94, 95] {
            here.received(&[(Channel::Line, vec![byte])]).await;
        }
        if on_the_next {
            here.closed().await;
            here = talk(&links);
            here.ended = true;
            here.take(Vec::new(), clock::now()).await;
        }
        let through = spool.after(0, 100).await.last().unwrap().seq;
        spool.acked(through, through, clock::now()).await;
        tokio::time::timeout(Duration::from_secs(30), here.covered()).await.unwrap();
        here.kept().await == [(Channel::Line, FORGET.to_vec())]
    }

    #[tokio::test]
    async fn a_device_forgets_only_what_the_core_has_and_not_what_the_spool_has_given_up() {
        for on_the_next in [false, true] {
            assert!(forgets(1 << 20, on_the_next).await);
            assert!(!forgets(400, on_the_next).await);
        }
    }

    #[tokio::test]
    async fn a_wait_is_as_long_as_it_was_meant_whatever_the_wall_clock_does() {
        let dir = tempfile::tempdir().unwrap();
        let (links, _) = links(&dir, 1 << 20).await;
        let mut talk = talk(&links);
        // As if the wall clock had been an hour ahead when the connection began.
        talk.began.1 += SignedDuration::from_hours(1);
        talk.received(&[(Channel::Line, vec![93])]).await;
        let left = talk.timeout_at().unwrap().saturating_duration_since(Instant::now());
        assert!(left <= Duration::from_millis(500), "{left:?}");
        assert!((talk.stepped + SignedDuration::from_hours(1)).abs() < CLOCK_STEP_MIN);
    }
}
