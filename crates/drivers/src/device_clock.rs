//! The clocks of a device: what they said when it was connected to, when they are set, and of which setting a time is.
//!
//! A clock is set if nobody has set it, or if it is off by more than [`CLOCK_TOLERANCE`], which is our own choice: far less than what a
//! clinic looks at, far more than what a radio delays. What the device has stored keeps the times of the clock as it was. So the kit is told
//! what the clock said before it was set, and again whenever the times that follow are of the other setting: a time from a little before the
//! setting until now is of the new one, any other of the old one.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::Offset};
use uuid::Uuid;

use crate::{
    Channel, DecodeError, DeviceClock, Measured, Output,
    current_time::{self, CURRENT_TIME, DATE_TIME},
    elapsed_time::{self, CURRENT_ELAPSED_TIME, offset_of},
};

/// A clock that is off by no more than this is left alone.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);

/// The characteristics that are clocks. A device that has several is placed by the last of these.
pub const CLOCKS: [Uuid; 3] = [DATE_TIME, CURRENT_TIME, CURRENT_ELAPSED_TIME];

/// One clock, as it was read.
#[derive(Clone, Copy)]
struct Read {
    uuid: Uuid,
    clock: DeviceClock,
    at: Timestamp,
    /// How the elapsed time is kept, where it is one.
    elapsed: Option<elapsed_time::Current>,
}

/// The wall clock of the room, known since the device was connected to.
#[derive(Clone, Copy)]
struct Room {
    local: DateTime,
    at: Timestamp,
}

/// Which clock the kit was told of last.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Said {
    /// As it was read.
    #[default]
    Old,
    /// As it was set.
    New,
    /// The profile's session has said one of its own.
    Another,
}

/// All clocks of one device, for one connection.
#[derive(Default)]
pub struct DeviceClocks {
    /// At most one for each of [`CLOCKS`].
    read: Vec<Read>,
    room: Option<Room>,
    set_at: Option<Timestamp>,
    /// Which clock was said last.
    said: Said,
}

impl DeviceClocks {
    /// One of [`CLOCKS`] was read.
    pub fn read(&mut self, now: Timestamp, uuid: Uuid, bytes: &[u8]) -> Vec<Output> {
        let (clock, elapsed, refused) = match decode(uuid, bytes) {
            Ok((Some(clock), elapsed)) => (clock, elapsed, None),
            Ok((None, _)) => return Vec::new(),
            // a time that can't be: the clock is one, and stands wrong
            Err(error @ DecodeError::Malformed { .. }) => (DeviceClock::NotSet, None, Some(error)),
            Err(error) => return vec![Output::Refused { error, bytes: bytes.to_vec() }],
        };
        self.read.retain(|read| read.uuid != uuid);
        self.read.push(Read { uuid, clock, at: now, elapsed });
        self.said = Said::Old;
        let refused = refused.map(|error| Output::Refused { error, bytes: bytes.to_vec() });
        refused.into_iter().chain([Output::Clock(clock)]).collect()
    }

    /// The wall clock of the room.
    pub fn in_room(&mut self, now: Timestamp, local: DateTime) {
        self.room = Some(Room { local, at: now });
    }

    /// Are they nothing but a Date Time?
    pub fn are_date_times(&self) -> bool {
        self.read.iter().all(|read| read.uuid == DATE_TIME)
    }

    /// Is one of them to be set?
    pub fn are_off(&self, now: Timestamp) -> bool {
        self.set_at.is_none() && self.room.is_some_and(|room| self.read.iter().any(|read| read.is_off(now, room)))
    }

    /// Sets those that are off.
    pub fn set(&mut self, now: Timestamp) -> Vec<Output> {
        let Some(room) = self.room.filter(|_| self.set_at.is_none()) else { return Vec::new() };
        let off = self.read.iter().filter(|read| read.is_off(now, room));
        let mut outputs: Vec<Output> = off.filter_map(|read| read.setting(now, room)).collect();
        if !outputs.is_empty() {
            self.set_at = Some(now);
            outputs.push(Output::ClockSet);
        }
        outputs
    }

    /// The profile's session has said which clock the times are by that come with it.
    pub fn said_by_the_profile(&mut self) {
        self.said = Said::Another;
    }

    /// What the kit has to be told before it is given this measurement: by which clock its time is.
    pub fn before(&mut self, now: Timestamp, measured: &Measured) -> Option<Output> {
        let (room, old) = (self.room?, self.read.last()?);
        let of_new = match self.set_at {
            Some(set_at) => room.is_within(measured, set_at, now)?,
            None => false,
        };
        let saying = if of_new { Said::New } else { Said::Old };
        if saying == self.said {
            return None;
        }
        self.said = saying;
        let new = match old.clock {
            DeviceClock::Zoned(_) => DeviceClock::Zoned(now),
            DeviceClock::Local(_) | DeviceClock::NotSet => DeviceClock::Local(room.local_at(now)?),
        };
        Some(Output::Clock(if of_new { new } else { old.clock_at(now) }))
    }
}

/// Is this a value of one of [`CLOCKS`]?
pub fn check(uuid: Uuid, bytes: &[u8]) -> Result<(), DecodeError> {
    decode(uuid, bytes).map(drop)
}

fn decode(uuid: Uuid, bytes: &[u8]) -> Result<(Option<DeviceClock>, Option<elapsed_time::Current>), DecodeError> {
    match uuid {
        CURRENT_TIME => Ok((Some(current_time::current_time(bytes)?.clock()), None)),
        CURRENT_ELAPSED_TIME => {
            let elapsed = elapsed_time::current(bytes)?;
            Ok((elapsed.clock(), Some(elapsed)))
        }
        _ => Ok((Some(current_time::date_time_clock(bytes)?), None)),
    }
}

impl Read {
    fn clock_at(&self, now: Timestamp) -> DeviceClock {
        let since = now.duration_since(self.at);
        match self.clock {
            DeviceClock::NotSet => DeviceClock::NotSet,
            DeviceClock::Local(time) => time.checked_add(since).map_or(DeviceClock::NotSet, DeviceClock::Local),
            DeviceClock::Zoned(time) => time.checked_add(since).map_or(DeviceClock::NotSet, DeviceClock::Zoned),
        }
    }

    fn is_off(&self, now: Timestamp, room: Room) -> bool {
        let ahead = match (self.clock_at(now), room.local_at(now)) {
            (DeviceClock::Local(time), Some(local)) => time.duration_since(local),
            (DeviceClock::Zoned(time), _) => time.duration_since(now),
            _ => return true,
        };
        let in_another_zone =
            || room.offset().zip(self.elapsed).is_some_and(|(offset, elapsed)| elapsed.is_in_another_zone(offset));
        ahead.abs() > CLOCK_TOLERANCE || in_another_zone()
    }

    fn setting(&self, now: Timestamp, room: Room) -> Option<Output> {
        let local = room.local_at(now)?;
        let bytes = match self.uuid {
            CURRENT_TIME => current_time::encode(local),
            CURRENT_ELAPSED_TIME => self.elapsed?.time.encode(local, room.offset()?)?,
            _ => current_time::encode_date_time(local),
        };
        Some(Output::Write { channel: Channel::Characteristic(self.uuid), bytes })
    }
}

impl Room {
    fn local_at(&self, now: Timestamp) -> Option<DateTime> {
        self.local.checked_add(now.duration_since(self.at)).ok()
    }

    fn offset(&self) -> Option<Offset> {
        offset_of(self.local, self.at)
    }

    /// Is the time of what was measured between a little before `from` and a little after `now`? `None` if it has no time.
    fn is_within(&self, measured: &Measured, from: Timestamp, now: Timestamp) -> Option<bool> {
        let offset = measured.device_offset.or_else(|| self.offset())?;
        let at = offset.to_timestamp(measured.device_time?).ok()?;
        Some(at.duration_since(from) >= -CLOCK_TOLERANCE && at.duration_since(now) <= CLOCK_TOLERANCE)
    }
}
