//! The state machine of IEEE 11073-20601: a script of APDUs whose outer lengths are right, so that it gets beyond the framing.
//!
//! ```text
//! 0 id               an association request with one of sixteen configuration ids
//! 1 kind object len bytes   a confirmed event       2 the same, unconfirmed
//! 3 id operation object action len bytes   a result 4 a release, an abort and so on
//! 5..                what is not bytes, as for any driver
//! ```
#![no_main]

use drivers::Channel;
use libfuzzer_sys::fuzz_target;
use vagt_fuzz::{Play, driver};

const CONFIGURATIONS: [u16; 16] = [
    0x0190, 0x0191, 0x02bc, 0x0320, 0x05dc, 0x06a4, 0x0834, 0x4000, 0x4001, 0x4002, 0x7fff, 0x8000, 0, 1, 0x0191,
    0x4000,
];

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn sized(part: &[u8]) -> Vec<u8> {
    let len = u16::try_from(part.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes()[..], part].concat()
}

fn data(invoke_id: u16, operation: u16, body: &[u8]) -> Vec<u8> {
    let inner = [words(&[invoke_id, operation]), sized(body)].concat();
    [vec![0xe7, 0], sized(&sized(&inner))].concat()
}

fn request(id: u8) -> Vec<u8> {
    let information = [
        &[0x80, 0, 0, 0, 0xa0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, id >> 4][..],
        &words(&[CONFIGURATIONS[usize::from(id & 15)], 1, 0x0100, 0, 0]),
    ];
    let protocols = [words(&[0x5079]), sized(&information.concat())].concat();
    [vec![0xe2, 0], sized(&[vec![0x80, 0, 0, 0, 0, 1], sized(&protocols)].concat())].concat()
}

fn event(confirmed: bool, kind: u8, handle: u8, info: &[u8]) -> Vec<u8> {
    let head = [words(&[handle.into(), 0, 0x8000, 0x0d1c + u16::from(kind % 18)]), sized(info)].concat();
    data(kind.into(), 0x0100 + u16::from(confirmed), &head)
}

fn result(id: u8, operation: u8, handle: u8, action: u8, info: &[u8]) -> Vec<u8> {
    match operation % 4 {
        0 => data(id.into(), 0x0203, &[words(&[handle.into()]), info.to_vec()].concat()),
        1 => data(id.into(), 0x0205, &[words(&[handle.into()]), info.to_vec()].concat()),
        2 => data(id.into(), 0x0207, &[words(&[handle.into(), 0x0c0c + u16::from(action % 17)]), sized(info)].concat()),
        _ => data(id.into(), 0x0300, &words(&[1, 0])),
    }
}

/// So many bytes of it, and the rest.
fn cut(len: u8, rest: &[u8]) -> (&[u8], &[u8]) {
    rest.split_at(usize::from(len).min(rest.len()))
}

fuzz_target!(|script: &[u8]| {
    let mut play = Play::open(driver("phd-20601"));
    play.connected();
    let (mut rest, mut recorded) = (script, Vec::new());
    while let [what, after @ ..] = rest {
        let (apdu, after) = match (what % 10, after) {
            (0, [id, after @ ..]) => (request(*id), after),
            (kind @ (1 | 2), [event_kind, handle, len, after @ ..]) => {
                let (info, after) = cut(*len, after);
                (event(kind == 1, *event_kind, *handle, info), after)
            }
            (3, [id, operation, handle, action, len, after @ ..]) => {
                let (info, after) = cut(*len, after);
                (result(*id, *operation, *handle, *action, info), after)
            }
            (4, [choice, after @ ..]) => (vec![0xe4 + choice % 3, 0, 0, 2, 0, 0], after),
            (what, after) => {
                play.happens(what.saturating_sub(4), 700);
                (Vec::new(), after)
            }
        };
        if !apdu.is_empty() {
            play.received(Channel::Line, &apdu);
            recorded.push(apdu);
        }
        rest = after;
    }
    let _ = drivers::decode(driver("phd-20601"), None, &recorded);
});
