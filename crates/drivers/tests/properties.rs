//! What holds for any bytes: no driver panics on them, however they are cut, and a stream is understood the same wherever it is cut.

#![allow(clippy::unwrap_used, reason = "a test")]

use drivers::{Channel, DRIVERS, Driver, Output, Transport, gatt};
use jiff::{SignedDuration, Timestamp, civil::DateTime};
use proptest::{collection::vec, prelude::*, sample::Index};

const LOCAL: DateTime = DateTime::constant(2026, 11, 22, 9, 0, 0, 0);

/// Drivers of a line whose packets are found by themselves (IEEE 11073-20601 has a file of its own).
const LINES: [&str; 8] =
    ["nonin-df2", "nonin-df7", "nonin-df8", "nonin-df13", "contec-cms50d", "contec-v7", "contec-sp10", "visomat"];

/// One thing that happens to a session.
#[derive(Clone, Debug)]
enum Event {
    Bytes(Index, Vec<u8>),
    Wait,
    Pass(u32),
    Kept,
    Model(&'static str),
    Closed,
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Bytes that are nearly right: a known frame, changed in places and cut.
fn nearly_a_frame() -> impl Strategy<Value = Vec<u8>> {
    let all: Vec<serde_json::Value> = serde_json::from_str(include_str!("vectors/vectors.json")).unwrap();
    let frames: Vec<Vec<u8>> = all.iter().map(|vector| hex(vector["hex"].as_str().unwrap())).collect();
    (prop::sample::select(frames), vec((any::<Index>(), any::<u8>()), 0..3), 0_usize..140, vec(any::<u8>(), 0..3))
        .prop_map(|(mut frame, changes, len, extra)| {
            for (at, byte) in changes {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            frame.truncate(len);
            [frame, extra].concat()
        })
}

/// Answers of the devices that are asked, so that their sessions get past the first question.
fn nearly_an_answer() -> impl Strategy<Value = Vec<u8>> {
    let counted = (0_u8..4).prop_map(|count| vec![5, 0, count, 0]);
    let ended = (1_u8..5, 1_u8..10).prop_map(|(request, code)| vec![6, 0, request, code]);
    let of_cuff = vec(0_u8..29, 0..70).prop_map(|payload| {
        let mut frame = drivers::microlife::command(&payload);
        (frame[1], *frame.last_mut().unwrap()) = (0x3a, frame.last().unwrap().wrapping_add(0x3a + 1));
        frame
    });
    prop_oneof![counted, ended, of_cuff, of_spirometer()]
}

fn of_spirometer() -> impl Strategy<Value = Vec<u8>> {
    let code = prop::sample::select(vec![0xf0, 0xf3, 0xf2, 0xe4, 0xe0, 0xe1, 0xe2, 0xe3_u8]);
    (code, vec(0_u8..4, 0..45)).prop_map(|(code, arguments)| drivers::contec_sp10::command(code, &arguments))
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..200), nearly_a_frame(), nearly_an_answer()]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (any::<Index>(), bytes()).prop_map(|(channel, bytes)| Event::Bytes(channel, bytes)),
        3 => Just(Event::Wait),
        1 => any::<u32>().prop_map(Event::Pass),
        2 => Just(Event::Kept),
        1 => prop::sample::select(vec!["BM85", "UA-651BLE", ""]).prop_map(Event::Model),
        1 => Just(Event::Closed),
    ]
}

fn channels(driver: &Driver) -> Vec<Channel> {
    match driver.transport {
        Transport::Serial { .. } => vec![Channel::Line],
        Transport::Advertisement { service } => vec![Channel::Advertisement(service)],
        Transport::Ble { subscribe, read, .. } => {
            let known = subscribe.iter().chain(read).copied();
            let others = [0x2a52, 0xfff2, 0xffff].map(gatt::uuid16);
            let every = drivers::COMMON_READ.iter().copied();
            known.chain(others).chain(every).map(Channel::Characteristic).chain([Channel::Line]).collect()
        }
    }
}

/// Characteristics that only the driver's own session hears.
fn own_channels(driver: &Driver) -> Vec<Channel> {
    let of_every_device = |channel: &Channel| match channel {
        Channel::Characteristic(uuid) => drivers::COMMON_READ.contains(uuid) || *uuid == CONSENT,
        Channel::Line | Channel::Advertisement(_) => false,
    };
    channels(driver).into_iter().filter(|channel| !of_every_device(channel)).collect()
}

const MODEL: uuid::Uuid = gatt::uuid16(0x2a24);
const CONSENT: uuid::Uuid = gatt::uuid16(0x2a9f);
const CLOCKS: [uuid::Uuid; 3] = [gatt::uuid16(0x2a08), gatt::uuid16(0x2a2b), gatt::uuid16(0x2bf2)];

/// What comes of the profile, without the care that is taken of the device around it.
fn of_the_profile(outputs: Vec<Output>) -> Vec<Output> {
    let around = |output: &Output| match output {
        Output::Clock(_) | Output::ClockSet | Output::About(_) | Output::Refused { .. } => true,
        Output::Write { channel: Channel::Characteristic(uuid), .. } => CLOCKS.contains(uuid) || *uuid == CONSENT,
        _ => false,
    };
    outputs.into_iter().filter(|output| !around(output)).collect()
}

/// Values of what every device may have, and what is nearly one.
fn nearly_of_every_device() -> impl Strategy<Value = Vec<u8>> {
    let times = prop::sample::select(vec!["e907010f0e1e2d032101", "3280510100000004080000", "ea070b16090000", "32"]);
    prop_oneof![times.prop_map(hex), vec(any::<u8>(), 7), vec(any::<u8>(), 10), vec(any::<u8>(), 11), bytes()]
}

/// Lets one thing happen.
fn happen(session: &mut dyn drivers::Session, channels: &[Channel], now: &mut Timestamp, event: &Event) -> Vec<Output> {
    match event {
        Event::Bytes(channel, bytes) => session.received(*now, *channel.get(channels), bytes),
        Event::Wait => session.timed_out(*now),
        Event::Pass(seconds) => {
            *now = now.checked_add(SignedDuration::from_secs((*seconds).into())).unwrap_or(*now);
            Vec::new()
        }
        Event::Kept => session.kept(*now),
        Event::Model(model) => {
            session.model(model);
            Vec::new()
        }
        Event::Closed => session.closed(*now),
    }
}

/// Readings and replies of a stream cut at `cuts`.
fn cut(driver: &Driver, stream: &[u8], cuts: &[Index]) -> Vec<Output> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).chain([0, stream.len()]).collect();
    places.sort_unstable();
    let mut session = (driver.open)(&drivers::Options::default());
    let now = Timestamp::UNIX_EPOCH;
    let mut outputs = session.connected(now, LOCAL);
    for piece in places.windows(2) {
        outputs.extend(session.received(now, Channel::Line, &stream[piece[0]..piece[1]]));
    }
    outputs.extend(session.closed(now));
    outputs
}

fn settled_packets() -> Vec<u8> {
    let all: Vec<serde_json::Value> = serde_json::from_str(include_str!("vectors/vectors.json")).unwrap();
    let packet = all.iter().find(|vector| vector["id"] == "df2-pufferfish").unwrap();
    hex(packet["hex"].as_str().unwrap()).repeat(20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_session_panics_on_anything(
        reads in vec((any::<Index>(), bytes()), 0..6),
        events in vec(event(), 0..40),
        quirk: Option<Index>,
        user: Option<u8>,
        consent: Option<u16>,
    ) {
        for driver in DRIVERS {
            let channels = channels(driver);
            let quirk = quirk.map(|at| at.get(drivers::QUIRKS));
            let mut session = drivers::open(driver, &drivers::Options { user, consent, quirk });
            let mut now = Timestamp::UNIX_EPOCH;
            if !matches!(driver.transport, Transport::Advertisement { .. }) {
                for (channel, bytes) in &reads {
                    session.received(now, *channel.get(&channels), bytes);
                }
                session.connected(now, LOCAL);
            }
            for event in &events {
                now = session.timeout_at().filter(|_| matches!(event, Event::Wait)).unwrap_or(now).max(now);
                happen(&mut *session, &channels, &mut now, event);
            }
        }
    }

    #[test]
    fn a_device_measures_the_same_whatever_it_says_of_itself(
        reads in vec((prop::sample::select(drivers::COMMON_READ), nearly_of_every_device()), 0..20),
        events in vec(event(), 0..40),
        consent: Option<u16>,
    ) {
        let options = drivers::Options { user: consent.map(|_| 1), consent, quirk: None };
        for driver in DRIVERS.iter().filter(|driver| matches!(driver.transport, Transport::Ble { .. })) {
            let channels = own_channels(driver);
            let (mut bare, mut whole) = ((driver.open)(&options), drivers::open(driver, &options));
            let mut now = Timestamp::UNIX_EPOCH;
            for (uuid, bytes) in reads.iter().filter(|(uuid, _)| *uuid != MODEL) {
                let said = whole.received(now, Channel::Characteristic(*uuid), bytes);
                prop_assert_eq!(of_the_profile(said), vec![]);
            }
            prop_assert_eq!(of_the_profile(whole.connected(now, LOCAL)), of_the_profile(bare.connected(now, LOCAL)));
            for event in &events {
                now = bare.timeout_at().filter(|_| matches!(event, Event::Wait)).unwrap_or(now).max(now);
                let mut at = now;
                let said = happen(&mut *whole, &channels, &mut at, event);
                prop_assert_eq!(of_the_profile(said), of_the_profile(happen(&mut *bare, &channels, &mut now, event)));
            }
        }
    }

    #[test]
    fn no_frame_panics_the_decoding(frames in vec(bytes(), 0..4), channel: Index) {
        for driver in DRIVERS {
            let _ = drivers::decode(driver, None, &frames);
            let _ = drivers::decode(driver, Some(*channel.get(&channels(driver))), &frames);
        }
    }

    #[test]
    fn a_stream_says_the_same_wherever_it_is_cut(noise in vec(any::<u8>(), 0..300), cuts in vec(any::<Index>(), 0..20)) {
        let stream = [noise, settled_packets()].concat();
        for name in LINES {
            let driver = drivers::find(name).unwrap();
            prop_assert_eq!(cut(driver, &stream, &cuts), cut(driver, &stream, &[]), "{}", name);
        }
    }

    #[test]
    fn frames_one_after_the_other_say_the_same_wherever_they_are_cut(
        frames in vec(nearly_a_frame(), 0..12),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let stream = frames.concat();
        for name in LINES {
            let driver = drivers::find(name).unwrap();
            prop_assert_eq!(cut(driver, &stream, &cuts), cut(driver, &stream, &[]), "{}", name);
        }
    }

    #[test]
    fn noise_is_not_understood(noise in vec(any::<u8>(), 600..1200)) {
        for name in LINES {
            let mut session = (drivers::find(name).unwrap().open)(&drivers::Options::default());
            session.connected(Timestamp::UNIX_EPOCH, LOCAL);
            session.received(Timestamp::UNIX_EPOCH, Channel::Line, &noise);
            prop_assert_ne!(session.understands(), Some(true), "{}", name);
        }
    }

    #[test]
    fn a_night_is_a_reading_a_minute_whatever_was_recorded(records in vec(any::<[u8; 5]>(), 60..2000)) {
        let seconds = u16::try_from(records.len() * 2).unwrap();
        let mut file = vec![0; 40];
        file[..9].copy_from_slice(&[3, 0, 0xea, 0x07, 11, 21, 23, 30, 0]);
        file[13..15].copy_from_slice(&seconds.to_le_bytes());
        file.extend(records.iter().flatten());
        let said = drivers::decode(drivers::find("viatom").unwrap(), None, &[file]).unwrap();
        let minutes = records.len().div_ceil(30);
        prop_assert!(said.len() <= 2 * minutes, "{} readings of {} minutes", said.len(), minutes);
        prop_assert!(said.iter().all(|one| one.device_time.is_some()));
    }

    #[test]
    fn nonin_finds_its_packets_after_any_garbage(noise in vec(any::<u8>(), 0..300), at in 0_usize..125) {
        let driver = drivers::find("nonin-df2").unwrap();
        let stream = [&settled_packets()[at..], &noise, &settled_packets()].concat();
        let outputs = cut(driver, &stream, &[]);
        let measured = outputs.iter().filter(|output| matches!(output, Output::Measured(one) if one.flags.is_empty())).count();
        prop_assert_eq!(measured, 2, "one settled SpO2 and pulse");
    }
}
