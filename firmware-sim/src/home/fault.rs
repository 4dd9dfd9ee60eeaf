//! What can go wrong with a device on command.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

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

/// What can go wrong with a Bluetooth device alone. Each but the first two until `clear`, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum Trouble {
    /// The link is lost in the middle of a record, once.
    DisconnectMidRecord {
        /// After so many whole ones.
        #[serde(default)]
        after: u32,
    },
    /// The next request for records is refused, because another one goes on; once.
    BusyRecords,
    /// Every request for records is refused as unknown.
    RefuseRecords,
    /// Services take so long to be known.
    SlowServices {
        /// From the connection on.
        seconds: u32,
    },
    /// BlueZ does not know this of the device.
    Hide {
        /// What.
        property: Property,
    },
    /// A characteristic is gone, now and in connections to come.
    LoseCharacteristic {
        /// Its 16-bit UUID; four hexadecimal digits in JSON.
        #[serde(deserialize_with = "hexadecimal")]
        characteristic: u16,
    },
}

/// A property of BlueZ's Device1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are BlueZ's")]
pub enum Property {
    Name,
    #[serde(rename = "RSSI")]
    Rssi,
    #[serde(rename = "UUIDs")]
    Uuids,
    AddressType,
}

fn hexadecimal<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    let digits = String::deserialize(from)?;
    u16::from_str_radix(&digits, 16).map_err(|_| D::Error::custom(format!("{digits:?} is no 16-bit UUID such as 2a52")))
}
