//! What can go wrong with a device on command.

use serde::{Deserialize, Serialize};

/// A fault. Each means what it can mean for the kind of link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The link is lost: now if there is one, else after the next value. Serial: as `unplug`, after the next bytes.
    Disconnect,
    /// Half of the next frame is sent, then the link is lost.
    DisconnectMidFrame,
    /// Bytes that mean nothing come before the next frame.
    Garbage,
    /// The next frame comes cut short first, then whole.
    Truncate,
    /// Bluetooth: services are never resolved, until `clear`.
    NeverResolve,
    /// Bluetooth: every write is refused, until `clear`.
    RefuseWrites,
    /// The device's clock runs off by so many seconds.
    Clock {
        /// Positive is ahead.
        offset_seconds: i64,
    },
    /// The device's clock starts again at 2017-01-01 and says that it was never set, until the host sets it.
    ClockLost,
    /// IEEE 11073-20601: the next association is asked for by a protocol that no host has, and refused.
    RefusedFirst,
    /// IEEE 11073-20601: the next configuration is told without wanting it confirmed, which the rules forbid.
    Unconfirmed,
    /// Out of reach, until `replug`: Bluetooth vanishes from the bus, a serial line closes.
    Unplug,
    /// Within reach again.
    Replug,
    /// All faults end.
    Clear,
}
