//! What holds for any agent of IEEE 11073-20601: the manager never panics, never takes more room than it says, is the same wherever its stream
//! is cut, and never wants to be called again without time passing.

#![allow(clippy::unwrap_used, reason = "a test")]

use drivers::{Channel, Options, Output, Session, phd};
use jiff::{SignedDuration, Timestamp, civil::DateTime};
use proptest::{collection::vec, prelude::*, sample::Index};

const LOCAL: DateTime = DateTime::constant(2026, 11, 22, 9, 0, 0, 0);

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn public_frames() -> Vec<Vec<u8>> {
    let all: Vec<serde_json::Value> = serde_json::from_str(include_str!("vectors/vectors.json")).unwrap();
    let ours = all.iter().filter(|vector| vector["protocol"] == "ieee11073-20601");
    ours.map(|vector| hex(vector["hex"].as_str().unwrap())).collect()
}

fn sized(part: &[u8]) -> Vec<u8> {
    [&u16::try_from(part.len()).unwrap().to_be_bytes()[..], part].concat()
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn data(invoke_id: u16, operation: u16, body: &[u8]) -> Vec<u8> {
    let inner = [words(&[invoke_id, operation]), sized(body)].concat();
    [vec![0xe7, 0], sized(&sized(&inner))].concat()
}

/// A list with its count and length.
fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [words(&[u16::try_from(items.len()).unwrap()]), sized(&items.concat())].concat()
}

fn association() -> impl Strategy<Value = Vec<u8>> {
    let ids = prop::sample::select(vec![
        0x0190, 0x0191, 0x02bc, 0x0320, 0x05dc, 0x06a4, 0x0834, 0x4000, 0x4001, 0x0000, 0x9000,
    ]);
    (ids, any::<bool>()).prop_map(|(id, good)| {
        let mut information = hex("80000000a0008000000000000000008000000008");
        information.extend(hex("1122334455667788"));
        information.extend(words(&[id, 1, 0x0101, 0, 0]));
        let protocols = list(&[[words(&[if good { 0x5079 } else { 1 }]), sized(&information)].concat()]);
        [vec![0xe2, 0], sized(&[hex("80000000"), protocols].concat())].concat()
    })
}

/// An attribute that may be anything, and often is one that matters.
fn an_attribute() -> impl Strategy<Value = Vec<u8>> {
    let ids = vec![
        0x0928, 0x092d, 0x092f, 0x0947, 0x094b, 0x0950, 0x0953, 0x097b, 0x0984, 0x0987, 0x098f, 0x0990, 0x0991, 0x0996,
        0x099c, 0x0a44, 0x0a45, 0x0a4c, 0x0a4e, 0x0a4f, 0x0a53, 0x0a55, 0x0a56, 0x0a61, 0x0a65, 0x0a66, 0x0a74, 0x0a75,
        0x0a76_u16,
    ];
    let list_of_words =
        vec(any::<u16>(), 0..6).prop_map(|all| list(&all.iter().map(|word| words(&[*word])).collect::<Vec<_>>()));
    let map = vec((prop::sample::select(vec![0x0a4c, 0x0a56, 0x0990, 0x0a75_u16]), 0_u16..12), 0..4)
        .prop_map(|all| list(&all.iter().map(|(id, len)| words(&[*id, *len])).collect::<Vec<_>>()));
    let type_or_unit =
        prop::sample::select(vec!["00024bb8", "0002481a", "00024a04", "0002e140", "00025408", "0220", "06c3", "0c00"])
            .prop_map(hex);
    let value = prop_oneof![list_of_words, map, type_or_unit, vec(any::<u8>(), 0..12)];
    (prop::sample::select(ids), value).prop_map(|(id, value)| [words(&[id]), sized(&value)].concat())
}

fn attributes() -> impl Strategy<Value = Vec<u8>> {
    vec(an_attribute(), 0..5).prop_map(|all| list(&all))
}

fn configuration() -> impl Strategy<Value = Vec<u8>> {
    let class = prop::sample::select(vec![5, 6, 18, 19, 61_u16]);
    let object =
        (class, 0_u16..4, attributes()).prop_map(|(class, handle, list)| [words(&[class, handle]), list].concat());
    vec(object, 0..4).prop_map(|objects| [words(&[0x4000]), list(&objects)].concat())
}

fn report() -> impl Strategy<Value = Vec<u8>> {
    let fixed = vec(any::<u8>(), 0..20).prop_map(|bytes| sized(&bytes));
    let observation =
        (0_u16..4, prop_oneof![fixed, attributes()]).prop_map(|(handle, rest)| [words(&[handle]), rest].concat());
    vec(observation, 0..4).prop_map(|all| [words(&[0xf000, 0]), list(&all)].concat())
}

fn event() -> impl Strategy<Value = Vec<u8>> {
    let told = prop_oneof![
        3 => configuration().prop_map(|info| (0x0d1c_u16, info)),
        3 => (0x0d1d_u16..=0x0d2d, report()),
        1 => (Just(0x0d21_u16), vec(any::<u8>(), 0..40)),
    ];
    (any::<bool>(), 0_u16..4, any::<u32>(), told).prop_map(|(confirmed, handle, time, (kind, info))| {
        let body = [words(&[handle]), time.to_be_bytes().to_vec(), words(&[kind]), sized(&info)].concat();
        data(9, 0x0100 + u16::from(confirmed), &body)
    })
}

/// An answer to one of the first requests.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let segment = (0_u16..3, attributes()).prop_map(|(number, list)| [words(&[number]), list].concat());
    let segments = vec(segment, 0..3).prop_map(|all| list(&all));
    let action = (prop::sample::select(vec![0x0c0c, 0x0c0d, 0x0c17, 0x0c1b, 0x0c1c_u16]), 0_u16..4);
    let info = prop_oneof![segments, vec(any::<u8>(), 0..20), Just(words(&[1, 0]))];
    let answered = prop_oneof![
        attributes().prop_map(|list| (0x0203, [words(&[0]), list].concat())),
        (action, info).prop_map(|((kind, handle), info)| (0x0207, [words(&[handle, kind]), sized(&info)].concat())),
        Just((0x0205, words(&[1, 0, 0]))),
        Just((0x0300, words(&[1, 0]))),
    ];
    (0_u16..6, answered).prop_map(|(id, (operation, body))| data(id, operation, &body))
}

fn apdu() -> impl Strategy<Value = Vec<u8>> {
    let others = prop::sample::select(vec!["e40000020000", "e50000020000", "e60000020000"]).prop_map(hex);
    prop_oneof![4 => association(), 6 => event(), 5 => answer(), 1 => others, 2 => prop::sample::select(public_frames())]
}

/// An APDU, or one that has been changed, cut or lengthened.
fn nearly_an_apdu() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), any::<u8>()), 0..3);
    (apdu(), changes, any::<Index>(), any::<bool>(), vec(any::<u8>(), 0..4)).prop_map(
        |(mut bytes, changes, at, cut, more)| {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if cut {
                bytes.truncate(at.index(bytes.len() + 1));
            }
            [bytes, more].concat()
        },
    )
}

#[derive(Clone, Debug)]
enum Happens {
    Bytes(Vec<u8>),
    Wait,
    Pass(u16),
    Kept,
    Closed,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        10 => apdu().prop_map(Happens::Bytes),
        3 => nearly_an_apdu().prop_map(Happens::Bytes),
        1 => vec(any::<u8>(), 0..80).prop_map(Happens::Bytes),
        3 => Just(Happens::Wait),
        1 => any::<u16>().prop_map(Happens::Pass),
        1 => Just(Happens::Kept),
        1 => Just(Happens::Closed),
    ]
}

fn open() -> Box<dyn Session> {
    let mut session = (phd::DRIVER.open)(&Options::default());
    session.connected(Timestamp::UNIX_EPOCH, LOCAL);
    session
}

/// Whatever is written is an APDU.
fn check(outputs: &[Output]) {
    for output in outputs {
        if let Output::Write { bytes, .. } = output {
            assert!(phd::apdu::Apdu::parse(bytes).is_ok(), "{bytes:02x?}");
        }
    }
}

fn said_of(stream: &[u8], cuts: &[Index]) -> Vec<Output> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).chain([0, stream.len()]).collect();
    places.sort_unstable();
    let mut session = open();
    let now = Timestamp::UNIX_EPOCH;
    let mut outputs = Vec::new();
    for piece in places.windows(2) {
        outputs.extend(session.received(now, Channel::Line, &stream[piece[0]..piece[1]]));
    }
    outputs.extend(session.closed(now));
    outputs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_conversation_is_survived_and_time_passes_between_calls(all in vec(happens(), 0..30)) {
        let mut session = open();
        let mut now = Timestamp::UNIX_EPOCH;
        for one in &all {
            let outputs = match one {
                Happens::Bytes(bytes) => session.received(now, Channel::Line, bytes),
                Happens::Wait => match session.timeout_at() {
                    Some(at) => {
                        now = now.max(at);
                        session.timed_out(now)
                    }
                    None => Vec::new(),
                },
                Happens::Pass(milliseconds) => {
                    now += SignedDuration::from_millis((*milliseconds).into());
                    session.timed_out(now)
                }
                Happens::Kept => session.kept(now),
                Happens::Closed => session.closed(now),
            };
            check(&outputs);
            if matches!(one, Happens::Wait | Happens::Pass(_)) {
                prop_assert!(session.timeout_at().is_none_or(|at| at > now), "to be called again at once");
            }
        }
    }

    #[test]
    fn a_conversation_is_the_same_wherever_its_stream_is_cut(
        all in vec(prop_oneof![5 => apdu(), 1 => nearly_an_apdu()], 0..8), cuts in vec(any::<Index>(), 0..20)
    ) {
        let stream = all.concat();
        prop_assert_eq!(said_of(&stream, &cuts), said_of(&stream, &[]));
    }

    #[test]
    fn a_recording_of_anything_is_read_or_refused(all in vec(prop_oneof![apdu(), nearly_an_apdu()], 0..6)) {
        let _ = drivers::decode(&phd::DRIVER, None, &all);
    }
}

#[test]
fn a_length_of_65535_takes_no_room_and_a_flood_is_bounded() {
    let mut session = open();
    let longest = [vec![0xe7, 0], words(&[64_508, 64_506]), vec![0; 64_000]].concat();
    for announced in [vec![0xe7, 0, 0xff, 0xff], vec![0xe2, 0, 0xff, 0xff], longest] {
        for piece in announced.chunks(1000) {
            let outputs = session.received(Timestamp::UNIX_EPOCH, Channel::Line, piece);
            assert!(outputs.len() <= 64, "{}", outputs.len());
        }
    }
}
