//! What an agent of IEEE 11073-20601 sends, written from the standard's layouts: big-endian, every part with its length before it.

use jiff::civil::DateTime;

use crate::devices::{Body, Identity, Kind, Record};

/// The report of a configuration, and a fixed report of measurements.
pub const CONFIGURATION: u16 = 0x0d1c;
/// See [`CONFIGURATION`].
pub const REPORT: u16 = 0x0d1d;

const SIMPLE: u16 = 0x0a56;
const BASIC: u16 = 0x0a4c;
const STAMP: u16 = 0x0990;

/// Bytes of 16-bit words.
#[must_use]
pub fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A part with its length before it.
#[must_use]
pub fn sized(part: &[u8]) -> Vec<u8> {
    let len = u16::try_from(part.len()).expect("a home device's part is short");
    [&len.to_be_bytes()[..], part].concat()
}

/// A list with its count and its length.
#[must_use]
pub fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(items.len()).expect("a home device's lists are short");
    [words(&[count]), sized(&items.concat())].concat()
}

fn attribute(id: u16, value: &[u8]) -> Vec<u8> {
    [words(&[id]), sized(value)].concat()
}

fn apdu(choice: u16, body: &[u8]) -> Vec<u8> {
    [words(&[choice]), sized(body)].concat()
}

/// An operation of an association.
#[must_use]
pub fn data(invoke_id: u16, operation: u16, body: &[u8]) -> Vec<u8> {
    apdu(0xe700, &sized(&[words(&[invoke_id, operation]), sized(body)].concat()))
}

/// An event of the device itself.
#[must_use]
pub fn event(invoke_id: u16, confirmed: bool, kind: u16, info: &[u8]) -> Vec<u8> {
    let no_relative_time = [0xff; 4];
    let body = [&words(&[0])[..], &no_relative_time, &words(&[kind]), &sized(info)].concat();
    data(invoke_id, 0x0100 + u16::from(confirmed), &body)
}

/// Asks for an association, by 20601 or, as a fault, by another protocol alone.
#[must_use]
pub fn association_request(identity: &Identity, by_20601: bool) -> Vec<u8> {
    let version_1 = [0x80, 0, 0, 0];
    let agent = [0, 0x80, 0, 0];
    let no_functional_units = [0; 4];
    let encoding = words(&[0xa000]);
    let heads = [&version_1[..], &encoding, &version_1, &no_functional_units, &agent].concat();
    let tails = [&words(&[configuration_id(identity.kind), 0x0001])[..], &[1, 0], &list(&[])].concat();
    let information = [heads, sized(&system_id(identity)), tails].concat();
    let protocol = if by_20601 { 0x5079 } else { 0xffff };
    let protocols = list(&[[words(&[protocol]), sized(&information)].concat()]);
    apdu(0xe200, &[&version_1[..], &protocols].concat())
}

/// Asks to end the association.
#[must_use]
pub fn release_request() -> Vec<u8> {
    apdu(0xe400, &words(&[0]))
}

/// Agrees to end it.
#[must_use]
pub fn release_response() -> Vec<u8> {
    apdu(0xe500, &words(&[0]))
}

/// Ends it: an answer did not come in time.
#[must_use]
pub fn abort() -> Vec<u8> {
    apdu(0xe600, &words(&[2]))
}

fn system_id(identity: &Identity) -> [u8; 8] {
    let digits: u64 =
        identity.serial.bytes().filter(u8::is_ascii_digit).fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    // a locally administered id
    (0x02_53_49_4d_00_00_00_00 | digits & 0xffff_ffff).to_be_bytes()
}

/// Its configuration is one of its own.
#[must_use]
pub fn configuration_id(kind: Kind) -> u16 {
    if kind == Kind::PhdScale { 0x4000 } else { 0x4001 }
}

fn numeric(handle: u16, code: u16, unit: u16, map: &[(u16, u16)]) -> Vec<u8> {
    let map: Vec<_> = map.iter().map(|(id, len)| words(&[*id, *len])).collect();
    let attributes = [
        attribute(0x092f, &words(&[2, code])),
        attribute(0x0a46, &words(&[0xf040])),
        attribute(0x0996, &words(&[unit])),
        attribute(0x0a55, &list(&map)),
    ];
    [words(&[6, handle]), list(&attributes)].concat()
}

/// What it is made of. The scale has its time before its weight, under a handle that no standard scale has.
#[must_use]
pub fn configuration(kind: Kind) -> Vec<u8> {
    let objects = if kind == Kind::PhdScale {
        vec![numeric(7, 0xe140, 0x06c3, &[(STAMP, 8), (SIMPLE, 4)])]
    } else {
        let map = &[(BASIC, 2), (STAMP, 8)];
        vec![numeric(1, 0x5408, 0x0be0, map), numeric(3, 0x540a, 0x0640, map), numeric(4, 0x540b, 0x0640, map)]
    };
    [words(&[configuration_id(kind)]), list(&objects)].concat()
}

/// One measurement as a fixed report; `None` when it measures something else.
#[must_use]
pub fn report(record: &Record) -> Option<Vec<u8>> {
    let time = absolute_time(record.device_time);
    let fixed = |handle: u16, value: Vec<u8>| [words(&[handle]), sized(&value)].concat();
    let values = match record.body {
        Body::Weight { steps } => {
            let grams = u32::from(steps) * 5;
            vec![fixed(7, [&time[..], &(0xfd00_0000 | grams).to_be_bytes()].concat())]
        }
        Body::Spirometry { fev1_cl, fev6_cl, pef_cl, .. } => {
            let hundredths = |number: u16| words(&[0xe000 | number & 0x0fff]);
            let of = |(handle, number)| fixed(handle, [hundredths(number), time.to_vec()].concat());
            [(1, pef_cl), (3, fev1_cl), (4, fev6_cl)].map(of).to_vec()
        }
        _ => return None,
    };
    Some([words(&[0xf000, 0]), list(&values)].concat())
}

/// Eight bytes of binary-coded decimal digits.
#[must_use]
pub fn absolute_time(time: DateTime) -> [u8; 8] {
    let two = |number: i16| u8::try_from(((number / 10 % 10) << 4) | (number % 10)).expect("two digits");
    let [month, day, hour, minute, second] =
        [time.month(), time.day(), time.hour(), time.minute(), time.second()].map(|number| two(number.into()));
    [two(time.year() / 100), two(time.year() % 100), month, day, hour, minute, second, 0]
}

/// What it says of itself.
#[must_use]
pub fn description(identity: &Identity, clock: DateTime) -> Vec<u8> {
    let specialisation = if identity.kind == Kind::PhdScale { 0x100f } else { 0x1015 };
    let model = [sized(b"Vagt (simulated)"), sized(identity.name.as_bytes())].concat();
    let serial = [words(&[1, 0]), sized(identity.serial.as_bytes())].concat();
    let clock_can_be_set = words(&[0xc000, 0x1f00, 0, 0, 0, 0, 0, 0]);
    let attributes = [
        attribute(0x0a5a, &list(&[words(&[specialisation, 1])])),
        attribute(0x0928, &model),
        attribute(0x0984, &sized(&system_id(identity))),
        attribute(0x0a44, &words(&[configuration_id(identity.kind)])),
        attribute(0x092d, &list(&[serial])),
        attribute(0x0a45, &clock_can_be_set),
        attribute(0x0987, &absolute_time(clock)),
    ];
    [words(&[0]), list(&attributes)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{hex, record};

    #[test]
    fn a_request_is_laid_out_as_the_public_examples() {
        let request = association_request(&Identity::new(Kind::PhdScale, 7), true);
        let example = "e2000032800000000001002a5079002680000000a000800000000000000000800000000802534953";
        assert_eq!(hex(&request)[..72], example[..72]);
        assert!(hex(&request).ends_with("40000001010000000000"));
    }

    #[test]
    fn reports_carry_the_digits_of_the_device() {
        let weight = report(&record(Body::Weight { steps: 14_501 }, "2026-11-22T09:00:01")).unwrap();
        assert_eq!(hex(&weight), "f00000000001001000070 00c2026112209000100fd011b39".replace(' ', ""));
        let body = Body::Spirometry { fev1_cl: 137, fvc_cl: 240, fev6_cl: 230, pef_cl: 510 };
        let blow = report(&record(body, "2026-11-22T09:00:01")).unwrap();
        assert!(hex(&blow).starts_with("f00000000003002a0001000ae1fe20261122090001000003000ae089"), "{}", hex(&blow));
        assert!(report(&record(Body::Temperature { decidegrees: 367 }, "2026-11-22T09:00:01")).is_none());
    }
}
