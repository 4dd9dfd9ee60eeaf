//! What any connected Bluetooth device may have beside its profile: Device Information, a battery, a clock, and users who have to consent.
//!
//! [`open`] wraps a profile's session in one that takes care of these and hands everything else through unchanged. The link reads
//! [`COMMON_READ`] after connecting, where the device has them, and subscribes to [`common_subscribe`]; a device that refuses one of them is
//! read without it.
//!
//! **When a clock is set.** What a device has stored keeps the times of its old clock, and some devices mark or shift their records when
//! they are set. So:
//! - a device whose records are asked for (over the record access control point, 0x2A52) is set when its download is over: at the end of its
//!   first sitting, or after [`RECORDS_QUIET`] without a byte if it has nothing to tell;
//! - any other is set at once, and so is one whose only clock is a Date Time (0x2A08). A&D's cuffs and scales, which have that, take a new
//!   time only in the first seconds of a connection (about 5), and send what they have stored without being asked, before or after.
//!
//! Where a time that follows is of the other setting than the clock said last, the clock is said again before it. The kit needs only: a
//! device's time is by the clock that was said last.
//!
//! **Consent** is written once, before the profile's session says anything. If it is refused that is said once, and the session goes on: the
//! scale then tells what it tells a stranger.

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use uuid::Uuid;

use crate::{
    About, Channel, DecodeError, Driver, Options, Output, Session, Transport, battery,
    current_time::{CURRENT_TIME, DATE_TIME},
    device_clock::{self, CLOCKS, DeviceClocks},
    device_information as information,
    elapsed_time::CURRENT_ELAPSED_TIME,
    gatt, user_data,
};

/// Characteristics of every device that are read after connecting, where it has them, and fed to [`Session::received`] before
/// [`Session::connected`]. The clocks come last, so that what they say is fresh.
pub const COMMON_READ: &[Uuid] = &[
    information::MANUFACTURER,
    information::MODEL,
    information::SERIAL_NUMBER,
    information::FIRMWARE,
    information::HARDWARE,
    information::SOFTWARE,
    information::SYSTEM_ID,
    information::PNP_ID,
    battery::LEVEL,
    user_data::DATABASE_CHANGE_INCREMENT,
    DATE_TIME,
    CURRENT_TIME,
    CURRENT_ELAPSED_TIME,
];

/// A device whose records are asked for, and that is silent for this long, has none.
pub const RECORDS_QUIET: SignedDuration = SignedDuration::from_secs(5);

/// The record access control point.
const RECORD_ACCESS: Uuid = gatt::uuid16(0x2a52);

/// What the link subscribes to beside the driver's own, before those, where the device has it.
#[must_use]
pub fn common_subscribe(options: &Options) -> &'static [Uuid] {
    if options.user.is_some() && options.consent.is_some() { &[user_data::CONTROL_POINT] } else { &[] }
}

/// Begins a connection to a device: what the link opens.
#[must_use]
pub fn open(driver: &Driver, options: &Options) -> Box<dyn Session> {
    let inner = (driver.open)(options);
    let Transport::Ble { subscribe, read, .. } = driver.transport else { return inner };
    let consent = options.user.zip(options.consent).map(|(user, code)| user_data::consent(user, code));
    Box::new(EveryDevice {
        inner,
        clocks: DeviceClocks::default(),
        inner_reads: [subscribe, read],
        has_records: subscribe.contains(&RECORD_ACCESS),
        set_at: None,
        consent,
        refused: false,
    })
}

/// Is this value of a characteristic that every device may have what it should be? `None` for any other characteristic.
#[must_use]
pub fn check(uuid: Uuid, bytes: &[u8]) -> Option<Result<(), DecodeError>> {
    match uuid {
        user_data::CONTROL_POINT => Some(user_data::consented(bytes)),
        clock if CLOCKS.contains(&clock) => Some(device_clock::check(clock, bytes)),
        _ => about(uuid, bytes).map(|about| about.map(drop)),
    }
}

/// What it adds to what the device says of itself.
fn about(uuid: Uuid, bytes: &[u8]) -> Option<Result<About, DecodeError>> {
    match uuid {
        battery::LEVEL => {
            Some(battery::level(bytes).map(|left| About { battery_percent: Some(left), ..About::default() }))
        }
        user_data::DATABASE_CHANGE_INCREMENT => {
            Some(user_data::database_change_increment(bytes).map(|_| About::default()))
        }
        known => information::ALL.contains(&known).then(|| information::read(uuid, bytes)),
    }
}

struct EveryDevice {
    inner: Box<dyn Session>,
    /// What the profile's session is fed, whatever is made of it here.
    inner_reads: [&'static [Uuid]; 2],
    clocks: DeviceClocks,
    /// Its records are asked for.
    has_records: bool,
    /// When the clocks are set, unless the download ends or goes on before.
    set_at: Option<Timestamp>,
    /// The user's consent, to be written.
    consent: Option<Vec<u8>>,
    /// It has been said that the consent was refused.
    refused: bool,
}

impl EveryDevice {
    fn own(&mut self, now: Timestamp, uuid: Uuid, bytes: &[u8]) -> Option<Vec<Output>> {
        if CLOCKS.contains(&uuid) {
            return Some(self.clocks.read(now, uuid, bytes));
        }
        if uuid == information::MODEL {
            self.inner.model(&information::text(bytes).unwrap_or_default());
        }
        if uuid == user_data::CONTROL_POINT {
            return Some(self.answered(bytes));
        }
        Some(match about(uuid, bytes)? {
            Ok(nothing) if nothing == About::default() => Vec::new(),
            Ok(about) => vec![Output::About(about)],
            Err(error) => vec![Output::Refused { error, bytes: bytes.to_vec() }],
        })
    }

    fn answered(&mut self, bytes: &[u8]) -> Vec<Output> {
        match user_data::consented(bytes) {
            Err(error) if !self.refused => {
                self.refused = true;
                vec![Output::Refused { error, bytes: bytes.to_vec() }]
            }
            _ => Vec::new(),
        }
    }

    /// What the profile said, with the clock that its times are by, unless it says one itself for them; the end of its sitting is the end
    /// of a download.
    fn pass(&mut self, now: Timestamp, said: Vec<Output>) -> Vec<Output> {
        let mut outputs = Vec::with_capacity(said.len());
        let mut said_itself = false;
        for output in said {
            match &output {
                Output::Clock(_) => {
                    said_itself = true;
                    self.clocks.said_by_the_profile();
                }
                Output::Measured(measured) if !said_itself => outputs.extend(self.clocks.before(now, measured)),
                _ => {}
            }
            let ended = output == Output::SittingEnd;
            outputs.push(output);
            if ended && self.set_at.take().is_some() {
                outputs.extend(self.clocks.set(now));
            }
        }
        outputs
    }

    fn set_if_due(&mut self, now: Timestamp) -> Vec<Output> {
        if self.set_at.is_some_and(|at| at <= now) {
            self.set_at = None;
            return self.clocks.set(now);
        }
        Vec::new()
    }
}

impl Session for EveryDevice {
    fn connected(&mut self, now: Timestamp, local: DateTime) -> Vec<Output> {
        self.clocks.in_room(now, local);
        let wait = self.has_records && !self.clocks.are_date_times();
        let set = if wait { Vec::new() } else { self.clocks.set(now) };
        if self.clocks.are_off(now) {
            self.set_at = now.checked_add(RECORDS_QUIET).ok();
        }
        let channel = Channel::Characteristic(user_data::CONTROL_POINT);
        let consent = self.consent.take().map(|bytes| Output::Write { channel, bytes });
        let said = self.inner.connected(now, local);
        set.into_iter().chain(consent).chain(self.pass(now, said)).collect()
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Channel::Characteristic(uuid) = channel
            && let Some(own) = self.own(now, uuid, bytes)
        {
            outputs = own;
            if !self.inner_reads.iter().any(|reads| reads.contains(&uuid)) {
                return outputs;
            }
        }
        if self.set_at.is_some() {
            self.set_at = now.checked_add(RECORDS_QUIET).ok();
        }
        let said = self.inner.received(now, channel, bytes);
        outputs.extend(self.pass(now, said));
        outputs
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        [self.inner.timeout_at(), self.set_at].into_iter().flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let due = self.inner.timeout_at().is_some_and(|at| at <= now);
        let said = if due { self.inner.timed_out(now) } else { Vec::new() };
        let mut outputs = self.pass(now, said);
        outputs.extend(self.set_if_due(now));
        outputs
    }

    fn closed(&mut self, now: Timestamp) -> Vec<Output> {
        self.set_at = None;
        let said = self.inner.closed(now);
        self.pass(now, said)
    }

    fn model(&mut self, model: &str) {
        self.inner.model(model);
    }

    fn kept(&mut self, now: Timestamp) -> Vec<Output> {
        let said = self.inner.kept(now);
        self.pass(now, said)
    }

    fn understands(&self) -> Option<bool> {
        self.inner.understands()
    }

    fn speaks_by_itself(&self) -> bool {
        self.inner.speaks_by_itself()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        blood_pressure, current_time,
        tape::{Tape, hex},
        weight,
    };

    const CUFF: Uuid = gatt::uuid16(0x2a35);
    const SCALE: Uuid = weight::MEASUREMENT;

    /// A blood pressure of 120/80 with this time, as a cuff with 2A35 sends it.
    fn pressure(at: &str) -> String {
        let time = current_time::encode_date_time(at.parse().unwrap());
        format!("0278005000ff07{}", hex(&time))
    }

    fn clock(at: &str) -> String {
        hex(&current_time::encode_date_time(at.parse().unwrap()))
    }

    fn opened(driver: &Driver) -> Tape {
        Tape::of(open(driver, &Options::default()))
    }

    #[test]
    fn what_the_device_says_of_itself_is_told() {
        let mut tape = opened(&weight::DRIVER);
        tape.value(information::MODEL, &hex(b"BF720\0\0")).value(battery::LEVEL, "0f").value(information::FIRMWARE, "");
        let said = tape.said();
        assert!(said.contains("model: Some(\"BF720\")") && said.contains("battery_percent: Some(15)"), "{said}");
        tape.value(battery::LEVEL, "ff").gives("! battery: level is 0xff, want 0 to 100 percent");
        tape.value(user_data::DATABASE_CHANGE_INCREMENT, "01000000").gives("");
        tape.connected().gives("");
        tape.value(SCALE, "00b036").gives("weight 70.000 kg");
        tape.wait().gives("end");
    }

    #[test]
    fn a_right_clock_is_left_alone() {
        let mut tape = opened(&weight::DRIVER);
        tape.value(DATE_TIME, &clock("2026-11-22T09:00:30")).gives("clock Local(2026-11-22T09:00:30)");
        tape.connected().gives("");
    }

    #[test]
    fn a_wrong_or_unset_clock_is_set_at_once_where_nothing_is_asked_for() {
        for (read, said) in [
            (clock("2026-11-22T09:00:31"), "clock Local(2026-11-22T09:00:31)"),
            (clock("2000-01-01T00:03:00"), "clock Local(2000-01-01T00:03:00)"),
            ("00000000000000".to_owned(), "clock NotSet"),
            ("ea070b1e1f0000".to_owned(), "! date time: hour is 0x1f, want 0 to 23; clock NotSet"),
        ] {
            let mut tape = opened(&weight::DRIVER);
            tape.value(DATE_TIME, &read).gives(said);
            tape.connected().gives("> ea070b16090000; clock set");
            assert_eq!(tape.wait().said(), "");
        }
        let mut tape = opened(&weight::DRIVER);
        tape.value(CURRENT_TIME, "e907010f0e1e2d032101").said();
        tape.pass(SignedDuration::from_secs(2)).connected().gives("> ea070b16090002070001; clock set");
    }

    #[test]
    fn a_clock_without_a_length_is_none() {
        let mut tape = opened(&weight::DRIVER);
        tape.value(CURRENT_TIME, "e907").gives("! current time: 2 bytes, need at least 10");
        tape.connected().gives("");
    }

    #[test]
    fn what_was_stored_is_by_the_old_clock_and_what_is_measured_now_by_the_new_one() {
        let mut tape = opened(&blood_pressure::DRIVER);
        tape.value(DATE_TIME, &clock("2026-11-22T07:00:00")).said();
        tape.connected().gives("> ea070b16090000; clock set");
        let at = |time: &str| format!("systolic 120 mm[Hg] {time}; diastolic 80 mm[Hg] {time}");
        tape.pass(SignedDuration::from_secs(2));
        tape.value(CUFF, &pressure("2026-11-21T18:00:00")).gives(&at("2026-11-21T18:00:00"));
        tape.value(CUFF, &pressure("2026-11-22T06:59:30")).gives(&at("2026-11-22T06:59:30"));
        tape.pass(SignedDuration::from_secs(60)).value(CUFF, &pressure("2026-11-22T09:01:00"));
        tape.gives(&format!("clock Local(2026-11-22T09:01:02); {}", at("2026-11-22T09:01:00")));
        tape.value(CUFF, &pressure("2026-11-22T06:50:00"));
        tape.gives(&format!("clock Local(2026-11-22T07:01:02); {}", at("2026-11-22T06:50:00")));
    }

    /// A device whose records are asked for.
    const RECORDER: Driver = Driver {
        transport: Transport::Ble {
            service: gatt::uuid16(0x181d),
            subscribe: &[SCALE, RECORD_ACCESS],
            read: &[],
            names: &[],
        },
        ..weight::DRIVER
    };

    #[test]
    fn a_device_whose_records_are_asked_for_is_set_after_its_download() {
        let mut tape = opened(&RECORDER);
        tape.value(CURRENT_TIME, "e907010f0e1e2d032101").said();
        tape.connected().gives("");
        for _ in 0..5 {
            tape.pass(SignedDuration::from_secs(2)).value(SCALE, "00b036").gives("weight 70.000 kg");
        }
        tape.wait().gives("end; > ea070b1609000d070001; clock set");
        tape.wait().gives("");
    }

    #[test]
    fn one_that_has_no_records_is_set_when_it_is_quiet() {
        let mut tape = opened(&RECORDER);
        tape.value(CURRENT_TIME, "e907010f0e1e2d032101").said();
        tape.connected().gives("");
        tape.wait().gives("> ea070b16090005070001; clock set");
        tape.wait().gives("");
        let mut tape = opened(&RECORDER);
        tape.value(DATE_TIME, "00000000000000").said();
        tape.connected().gives("> ea070b16090000; clock set");
        let mut tape = opened(&RECORDER);
        tape.connected().wait().closed().gives("");
    }

    #[test]
    fn an_elapsed_time_is_set_by_its_own_flags_and_a_counter_is_not() {
        let mut tape = opened(&weight::DRIVER);
        tape.value(CURRENT_ELAPSED_TIME, "3280510100000004080000").gives("clock Zoned(2000-01-02T00:00:00Z)");
        tape.connected().gives("> 12805d953200000004; clock set");
        let mut tape = opened(&weight::DRIVER);
        tape.value(CURRENT_ELAPSED_TIME, "05f4010000000000000000").gives("");
        tape.connected().gives("");
    }

    #[test]
    fn a_value_of_it_can_be_looked_at_under_any_bluetooth_driver() {
        let says = |short: u16, hex: &str| {
            let channel = Channel::Characteristic(gatt::uuid16(short));
            crate::decode(&weight::DRIVER, Some(channel), &[crate::tape::bytes(hex)]).map_err(|error| error.to_string())
        };
        for (short, hex) in [(0x2a2b, "e907010f0e1e2d032101"), (0x2a19, "0f"), (0x2a24, "41"), (0x2a9f, "200201")] {
            assert_eq!(says(short, hex), Ok(vec![]));
        }
        assert_eq!(says(0x2bf2, "02400000"), Err("elapsed time: 4 bytes, need at least 11".into()));
        assert_eq!(says(0x2a99, "01"), Err("database change increment: 1 bytes, need at least 4".into()));
        assert!(says(0x2a00, "41").is_err());
    }

    fn consenting() -> Tape {
        let options = Options { user: Some(2), consent: Some(4711), ..Options::default() };
        assert_eq!(common_subscribe(&options), [user_data::CONTROL_POINT]);
        let mut tape = Tape::of(open(&weight::DRIVER, &options));
        tape.connected().gives("> 02026712");
        tape
    }

    #[test]
    fn a_user_consents_and_is_refused_once() {
        let mut tape = consenting();
        tape.value(user_data::CONTROL_POINT, "200201").gives("");
        tape.value(SCALE, "00b036").gives("weight 70.000 kg");
        let mut tape = consenting();
        let refused = "! user control point: answer to the consent is 0x05, want 1, that the user has consented";
        tape.value(user_data::CONTROL_POINT, "200205").gives(refused);
        tape.value(user_data::CONTROL_POINT, "200205").gives("");
        tape.value(SCALE, "00b036").gives("weight 70.000 kg");
        assert!(common_subscribe(&Options::default()).is_empty());
    }
}
