//! What a driver is: a pure state machine that is fed packets and answers with readings and with bytes for the device.
//!
//! The link (Bluetooth or serial) owns the socket and the clock; a session owns the protocol. `now` goes in with every call, so that a
//! tape of bytes gives the same readings for ever.

use jiff::{Timestamp, civil::DateTime, tz::Offset};
use serde::Serialize;
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::device_information::{PnpId, SystemId};

/// One row of [`crate::DRIVERS`].
#[derive(Clone, Copy)]
pub struct Driver {
    /// Its name in configuration and before the colon of a device id.
    pub name: &'static str,
    /// How the bytes come.
    pub transport: Transport,
    /// What it can measure.
    pub vitals: &'static [Vital],
    /// Devices known to speak it.
    pub devices: &'static [&'static str],
    /// The standard or the maker's document that it follows.
    pub standard: &'static str,
    /// Begins a connection.
    pub open: fn(&Options) -> Box<dyn Session>,
    /// What frames say by themselves, without a connection around them; see [`crate::decode`].
    pub decode: DecodeFrames,
}

/// Frames of one channel, in order, to what they say.
pub type DecodeFrames = fn(Channel, &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError>;

impl Driver {
    /// Where its measurements come from: the main characteristic, or the line.
    #[must_use]
    pub fn main_channel(&self) -> Channel {
        match self.transport {
            Transport::Ble { subscribe, .. } => Channel::Characteristic(subscribe[0]),
            Transport::Advertisement { service } => Channel::Advertisement(service),
            Transport::Serial { .. } => Channel::Line,
        }
    }
}

/// What is configured of one device, for its session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which user of a shared device the patient is, as the device counts.
    pub user: Option<u8>,
    /// The code with which that user consents (User Data service).
    pub consent: Option<u16>,
    /// The quirk profile to read it by, whatever it calls itself; see [`crate::QUIRKS`].
    pub quirk: Option<&'static crate::Quirk>,
}

/// How a driver's bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Bluetooth Low Energy: the service to look for, and the characteristics to subscribe to (notify or indicate).
    Ble {
        /// The primary service's UUID, by which an advertisement is recognised.
        service: Uuid,
        /// Characteristics whose values are fed to the session, the main one first.
        subscribe: &'static [Uuid],
        /// Characteristics read once after connecting and fed to the session, where the device has them.
        read: &'static [Uuid],
        /// How advertised names begin, of devices that don't advertise the service.
        names: &'static [&'static str],
    },
    /// Bluetooth advertisements alone: the device puts what it measured into the service data of this service, and is never connected to.
    Advertisement {
        /// The service whose data it is.
        service: Uuid,
    },
    /// A serial line.
    Serial {
        /// How the line is set, the usual one first; models that speak it otherwise need another.
        settings: &'static [LineSettings],
    },
}

/// How a serial line is set; always with 8 data bits and 1 stop bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LineSettings {
    /// Bits per second.
    pub baud: u32,
    /// Parity.
    pub parity: Parity,
}

impl LineSettings {
    /// Bits per second without parity.
    #[must_use]
    pub const fn plain(baud: u32) -> Self {
        Self { baud, parity: Parity::None }
    }
}

impl std::fmt::Display for LineSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} baud 8{}1", self.baud, if self.parity == Parity::None { 'N' } else { 'O' })
    }
}

/// Parity of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Parity {
    None,
    Odd,
}

/// Where bytes come from or go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// A GATT characteristic.
    Characteristic(Uuid),
    /// The data of a service in an advertisement.
    Advertisement(Uuid),
    /// The serial line; its bytes are a stream that may be cut anywhere.
    Line,
}

/// What a session wants done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A value was measured.
    Measured(Measured),
    /// Send these bytes to the device (a GATT write with response, or onto the line).
    Write {
        /// Where to.
        channel: Channel,
        /// What.
        bytes: Vec<u8>,
    },
    /// Bytes that could not be understood. The session goes on.
    Refused {
        /// Why.
        error: DecodeError,
        /// The bytes, for the log and the counter.
        bytes: Vec<u8>,
    },
    /// A measurement is going on: what to show the person meanwhile. It is never sent to the core.
    Progress(Progress),
    /// What the device's clock says at the `now` of this call. Times of the device that follow are of the clock that was said last; see the
    /// file `every_device.rs`.
    Clock(DeviceClock),
    /// The device's clock is set to the room's local time by the writes said before this.
    ClockSet,
    /// What the device says of itself. Said again, it adds to what was said before.
    About(About),
    /// What was taken together is complete: the link may close this sitting.
    SittingEnd,
}

/// How far a measurement is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Values as they stand now (the pressure in the cuff, the saturation before it has settled), with their flags.
    pub values: Vec<Measured>,
    /// How much of it is done, 0 to 100, where that is known.
    pub percent: Option<u8>,
}

/// What a device's clock said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceClock {
    /// It has never been set, or says so.
    NotSet,
    /// Local time of the room, without a zone.
    Local(DateTime),
    /// A time with its zone.
    Zoned(Timestamp),
}

/// What a device says of itself (Device Information, Battery).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial_number: Option<String>,
    /// The revision of its firmware.
    pub firmware: Option<String>,
    /// The revision of its hardware.
    pub hardware: Option<String>,
    /// The revision of its software.
    pub software: Option<String>,
    /// Its system id.
    pub system_id: Option<SystemId>,
    /// Its plug and play id.
    pub pnp_id: Option<PnpId>,
    /// What is left of its battery, %.
    pub battery_percent: Option<u8>,
}

/// One measured value, as the device said it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// What.
    pub vital: Vital,
    /// How much, with the device's digits.
    pub value: Value,
    /// In the device's unit.
    pub unit: Unit,
    /// The device's own time, which has no zone; absent if it gave none or none that can be. Beside the flag `clock_not_set` it is as it was
    /// sent, and tells nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_time: Option<DateTime>,
    /// How far the device's own time is from UTC, of the few devices that say it.
    #[serde(skip)]
    pub device_offset: Option<Offset>,
    /// Every quality bit that was set.
    pub flags: Vec<Flag>,
}

/// One connection to one device.
pub trait Session: Send {
    /// Called once when everything is subscribed to, and after what can be read has been fed to [`Session::received`]: what to send first.
    /// `local` is the wall clock of the device's room, for setting its clock. Never called for advertisements.
    fn connected(&mut self, now: Timestamp, local: DateTime) -> Vec<Output>;

    /// Bytes came.
    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output>;

    /// When to call [`Session::timed_out`], if nothing comes before.
    fn timeout_at(&self) -> Option<Timestamp> {
        None
    }

    /// The time given by [`Session::timeout_at`] has come.
    fn timed_out(&mut self, _now: Timestamp) -> Vec<Output> {
        Vec::new()
    }

    /// The link is gone; nothing more will come or can be sent. What was heard of an unfinished measurement comes out now.
    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        Vec::new()
    }

    /// Which model the device calls itself (Device Information 0x2A24). Said before [`Session::connected`], where the device says it.
    fn model(&mut self, _model: &str) {}

    /// Everything measured so far has been acknowledged by the core: the device may forget what it stores. If that takes a conversation
    /// (the outputs hold writes), it is over with the next [`Output::SittingEnd`].
    fn kept(&mut self, _now: Timestamp) -> Vec<Output> {
        Vec::new()
    }

    /// Whether the bytes heard so far are this driver's, on a line set as this one is: a serial line that is set wrongly, or has another
    /// device on it, brings bytes without a packet in them. `None` while too few have come to tell; a device that is silent never tells.
    /// It may change its mind in both directions as more is heard.
    fn understands(&self) -> Option<bool> {
        None
    }

    /// Whether a device that is there and well says something of itself within a minute, or answers when it is asked: then silence means
    /// that it is off or unplugged. One that speaks only when it has measured is silent most of its life.
    fn speaks_by_itself(&self) -> bool {
        true
    }
}

/// Why bytes are not a measurement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the format needs.
    #[error("{what}: {found} bytes, need at least {need}")]
    TooShort {
        /// Which format.
        what: &'static str,
        /// Bytes there.
        found: usize,
        /// Bytes needed.
        need: usize,
    },
    /// More bytes than the format has.
    #[error("{what}: {found} bytes, at most {most} are meant by its flags")]
    TooLong {
        /// Which format.
        what: &'static str,
        /// Bytes there.
        found: usize,
        /// Bytes that the flags announce.
        most: usize,
    },
    /// The checksum does not match.
    #[error("{what}: checksum is {found:#04x}, the bytes give {wanted:#04x}")]
    Checksum {
        /// Which format.
        what: &'static str,
        /// Sent.
        found: u8,
        /// Computed.
        wanted: u8,
    },
    /// A fixed byte or bit is not what the format says.
    #[error("{what}: {field} is {found:#04x}, want {wanted}")]
    Malformed {
        /// Which format.
        what: &'static str,
        /// Which field.
        field: &'static str,
        /// What it held.
        found: u32,
        /// What it should hold.
        wanted: &'static str,
    },
    /// A length field doesn't fit what it measures.
    #[error("{what}: its length says {said} bytes, its contents take {found}")]
    Length {
        /// Which part.
        what: &'static str,
        /// Bytes that there should be.
        said: usize,
        /// Bytes that there are, or that are needed.
        found: usize,
    },
    /// A stream ends before its packet does.
    #[error("{what}: incomplete, {found} bytes of {need}")]
    Incomplete {
        /// Which format.
        what: &'static str,
        /// Bytes there since the packet began.
        found: usize,
        /// Bytes in a packet.
        need: usize,
    },
    /// Frames of a packet were lost in between.
    #[error("{what}: frame {found} of {need} is missing")]
    FrameLoss {
        /// Which format.
        what: &'static str,
        /// The first missing frame, from 1.
        found: usize,
        /// Frames in a packet.
        need: usize,
    },
}
