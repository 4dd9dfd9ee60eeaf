//! Conversations with an agent: the worked examples of the standard's public frames, and what goes wrong.

use super::{
    super::{
        DRIVER,
        mder::{sized, words},
    },
    *,
};
use crate::tape::{Tape, bytes, hex};

const REQUEST: &str = "e2000032800000000001002a5079002680000000a00080000000400000000080000000081122334455667788";
/// A scale's own configuration: weight and body fat (worked example H.2.2.1).
const CONFIGURATION: &str = "e7000070006e4321010100680000000000000d1c005e4000000200580006000100040024092f00040002e1400a460002d0\
    400996000206c30a55000c000200080a560004099000080006000200040024092f00040002e14c0a460002d0420996000202200a55000c000200080a560004\
    09900008";
/// What it says of itself (H.2.3.3), but for the invoke id.
const DESCRIPTION: &str = "0203006600000006\
    00600a5a000800010004100f00010928001a000a546865436f6d70616e79000c5468655363616c65414243000984000a0008887766554433221\
    10a4400024000092d00120001000e0001000000084445313234353637098700082007020112050000";
/// Its report (H.2.4.1).
const REPORT: &str = "e700003a00384321010100320000000000000d1d0028f0000000000200200001000cff000270200702011210000000\
    02000cff0001002007020112100000";
const CONFIRMED: &str = "> e7000012001043210201000a0000000000000d1d0000";
const ACCEPTED: &str =
    "> e300002c0000507900268000000080008000000000000000800000000008025641475400000100000000000000000000";
const UNKNOWN: &str =
    "> e300002c0003507900268000000080008000000000000000800000000008025641475400000100000000000000000000";

fn request(configuration: u16) -> Vec<u8> {
    [bytes(REQUEST), words(&[configuration, 0x0001, 0x0100, 0, 0])].concat()
}

/// Something that the agent sends.
fn data(invoke_id: u16, operation: u16, body: &[u8]) -> Vec<u8> {
    let inner = [words(&[invoke_id, operation]), sized(body)].concat();
    [vec![0xe7, 0], sized(&sized(&inner))].concat()
}

fn event(kind: u16, handle: u16, time: u32, info: &[u8]) -> Vec<u8> {
    let body = [words(&[handle]), time.to_be_bytes().to_vec(), words(&[kind]), sized(info)].concat();
    data(0x77, operation::CONFIRMED_EVENT, &body)
}

/// The answer to the request with this number.
fn described(invoke_id: u16, time: &str, capabilities: u16) -> Vec<u8> {
    let info = [words(&[0x0a45, 10, capabilities]), vec![0; 8]].concat();
    let time = [words(&[0x0987, 8]), bytes(time)].concat();
    let list = [words(&[2]), sized(&[time, info].concat())].concat();
    data(invoke_id, operation::GET_RESULT, &[words(&[0]), list].concat())
}

fn operating(configuration: u16) -> Tape {
    let mut tape = Tape::open(DRIVER);
    tape.line(&request(configuration)).gives(&format!("{ACCEPTED}; > e700000e000c000101030006000000000000"));
    tape
}

/// The same, with nothing left to ask for.
fn described_as(configuration: u16) -> Tape {
    let mut tape = operating(configuration);
    tape.line(&described(1, "2026112209000000", 0)).said();
    tape
}

#[test]
fn a_scale_tells_its_configuration_and_what_it_weighed() {
    let mut tape = Tape::open(DRIVER);
    tape.gives("").line(&request(0x4000)).gives(UNKNOWN);
    tape.line(&bytes(CONFIGURATION));
    tape.gives("> e7000016001443210201000e0000000000000d1c000440000000; > e700000e000c000101030006000000000000");
    tape.line(&[vec![0xe7, 0, 0, 0x6e, 0, 0x6c, 0, 1], bytes(DESCRIPTION)].concat());
    let said = tape.said();
    assert!(said.contains("TheCompany") && said.contains("TheScaleABC") && said.contains("DE124567"), "{said}");
    assert!(said.ends_with("clock Local(2007-02-01T12:05:00)"), "{said}");
    tape.line(&bytes(REPORT)).gives(&format!("weight 62.4 kg 2007-02-01T12:10:00; {CONFIRMED}"));
    tape.line(&bytes("e40000020000")).gives("end; > e50000020000");
    tape.line(&request(0x4000));
    tape.gives(&format!("{ACCEPTED}; > e700000e000c000201030006000000000000"));
}

#[test]
fn a_cut_stream_and_joined_apdus_are_the_same_conversation() {
    let all = [request(0x4000), bytes(CONFIGURATION), bytes(REPORT), bytes("e40000020000")].concat();
    let mut joined = Tape::open(DRIVER);
    let joined = joined.line(&all).said();
    let mut cut = Tape::open(DRIVER);
    for piece in all.chunks(7) {
        cut.line(piece);
    }
    assert_eq!(cut.said().matches("weight 62.4").count(), 1);
    assert_eq!(joined.matches("> e5").count(), 1);
}

#[test]
fn an_unconfirmed_configuration_is_aborted_and_begun_anew() {
    let mut tape = Tape::open(DRIVER);
    let mut unconfirmed = bytes(CONFIGURATION);
    unconfirmed[9] = 0;
    tape.line(&request(0x4000)).line(&unconfirmed).gives(&format!("{UNKNOWN}; > e60000020000"));
    tape.line(&request(0x4000)).line(&bytes(CONFIGURATION)).line(&bytes(REPORT));
    assert!(tape.said().contains("weight 62.4 kg"));
}

#[test]
fn a_configuration_without_anything_to_read_is_refused_and_one_that_never_comes_given_up() {
    let mut tape = Tape::open(DRIVER);
    let nothing = words(&[0x4001, 0, 0]);
    tape.line(&request(0x4001)).line(&event(event::CONFIGURATION, 0, 0, &nothing));
    tape.gives(&format!("{UNKNOWN}; > e7000016001400770201000e0000000000000d1c000440010001"));
    let before = tape.now;
    tape.wait().gives("> e60000020003");
    assert_eq!(tape.now.duration_since(before), CONFIGURATION_WAIT);
}

#[test]
fn outside_an_association_everything_is_aborted_and_an_abort_is_not_answered() {
    let mut tape = Tape::open(DRIVER);
    tape.line(&bytes(REPORT)).gives("> e60000020000");
    tape.line(&bytes("e40000020000")).gives("> e60000020000");
    tape.line(&bytes("e60000020002")).gives("");
    operating(0x05dc).line(&bytes("e60000020000")).gives("").line(&request(0x05dc)).line(&request(0x05dc));
    let mut twice = operating(0x05dc);
    twice.line(&request(0x05dc)).gives("> e60000020000").line(&request(0x05dc));
    twice.gives(&format!("{ACCEPTED}; > e700000e000c000201030006000000000000"));
}

#[test]
fn a_request_in_vain_is_aborted_and_not_asked_again() {
    let mut tape = operating(0x05dc);
    let before = tape.now;
    tape.wait().gives("> e60000020002");
    assert_eq!(tape.now.duration_since(before), ANSWER_WAIT);
    tape.line(&request(0x05dc)).gives(ACCEPTED);
    tape.line(&bytes(REPORT));
    assert!(tape.said().starts_with("weight 62.4 kg 2007-02-01T12:10:00; ! 20601 report: object is 0x02"));
}

#[test]
fn a_clock_that_is_off_is_set_when_no_report_is_on_its_way() {
    let mut tape = operating(0x0191);
    tape.line(&described(1, "2007020112050000", 0xc000)).said();
    let mut late = operating(0x0191);
    late.line(&event(event::FIXED, 0, 0, &words(&[0xf000, 0, 0, 0]))).said();
    late.line(&described(1, "0000000000000000", 0xc000)).gives(&format!("{:?}; clock NotSet", crate::About::default()));
    late.wait();
    let set = late.said();
    assert!(set.starts_with("> e700001a001800020107001200000c17000c2026112209000100"), "{set}");
    late.line(&data(2, operation::ACTION_RESULT, &words(&[0, 0x0c17, 0]))).gives("clock set");
    let mut right = operating(0x0191);
    right.line(&described(1, "2026112209000500", 0xc000)).wait();
    assert!(!right.said().contains("0c17"), "five seconds are let be");
    let mut refused = operating(0x0191);
    refused.line(&described(1, "2007020112050000", 0xc000)).said();
    refused.line(&data(2, operation::ERROR, &words(&[2, 0]))).gives("").wait().gives("");
}

#[test]
fn a_stream_of_oximetry_becomes_one_measurement() {
    let mut tape = described_as(0x0190);
    let sample = |spo2: u16| {
        let values = [words(&[1, 2, spo2]), words(&[10, 2, 72])].concat();
        event(event::FIXED, 0, u32::MAX, &[words(&[0xf000, 0, 2]), sized(&values)].concat())
    };
    for spo2 in [93, 94, 95, 95, 95] {
        tape.line(&sample(spo2)).pass(SignedDuration::from_secs(1));
    }
    let said = tape.said();
    assert_eq!(said.matches("spo2").count(), 1, "{said}");
    assert!(said.contains("spo2 94 %; pulse 72 /min; end"), "{said}");
    assert_eq!(said.matches("> e7").count(), 5, "each is confirmed");
}

#[test]
fn relative_times_are_told_by_the_rooms_clock_and_missing_values_are_absent() {
    let mut tape = described_as(0x0191);
    // ten seconds ago, questionable; the pulse not a number
    let first = [words(&[2, 3, 0x0a4c, 2, 95]), words(&[0x0991, 4]), words(&[0, 8000]), words(&[0x0947, 2, 0x4000])];
    let wanted = sized(&first.concat()[4..]);
    let spo2 = [words(&[1, 3]), wanted].concat();
    let pulse = [words(&[10, 1]), sized(&words(&[0x0a4c, 2, 0x07ff]))].concat();
    let info = [words(&[0xf000, 0, 2]), sized(&[spo2, pulse].concat())].concat();
    tape.line(&event(event::VARIABLE, 0, 88_000, &info));
    assert!(tape.said().starts_with("spo2 95 % 2026-11-22T08:59:50 questionable_measurement; > "));
    let other = [words(&[0xf000, 0, 1]), sized(&words(&[99, 0, 0]))].concat();
    tape.line(&event(event::VARIABLE, 0, 0, &other));
    tape.gives("! 20601 report: object is 0x63, want one of its configuration; > e700000c000a00770300000400010000");
}

#[test]
fn a_damaged_report_is_refused_to_the_agent_so_that_it_keeps_it() {
    let mut tape = described_as(0x05dc);
    let mut damaged = bytes(REPORT);
    damaged[29] += 1;
    tape.line(&damaged);
    let said = tape.said();
    assert!(said.starts_with("! 20601 ") && said.ends_with("> e700000a00084321040000020002"), "{said}");
}

/// An oximeter with a store: handle 1 SpO2, handle 20 the store.
fn with_store() -> Tape {
    with_store_of(None)
}

fn with_store_of(user: Option<u8>) -> Tape {
    let mut tape = stored(user);
    tape.line(&described(1, "2026112209000000", 0)).said();
    tape
}

fn with_store_described(time: &str, capabilities: u16) -> Tape {
    let mut tape = stored(None);
    tape.line(&described(1, time, capabilities)).said();
    tape
}

fn stored(user: Option<u8>) -> Tape {
    let spo2 = [
        words(&[6, 1, 4]),
        sized(&words(&[
            0x092f, 4, 2, 0x4bb8, 0x0996, 2, 0x0220, 0x0a55, 8, 1, 4, 0x0a4c, 2, 0x0a61, 8, 1, 4, 2, 0x4c3c,
        ])),
    ];
    let store = [words(&[61, 20, 0]), sized(&[])];
    let objects = [spo2.concat(), store.concat()].concat();
    let mut tape = Tape::open_with(DRIVER, &Options { user, ..Options::default() });
    tape.line(&request(0x4002)).line(&event(
        event::CONFIGURATION,
        0,
        0,
        &[words(&[0x4002, 2]), sized(&objects)].concat(),
    ));
    tape.said();
    tape
}

fn segments(invoke_id: u16, entries: u16) -> Vec<u8> {
    segments_of(invoke_id, entries, 0xffff)
}

fn segments_of(invoke_id: u16, entries: u16, person: u16) -> Vec<u8> {
    segments_at(invoke_id, entries, person, 1)
}

fn segments_at(invoke_id: u16, entries: u16, person: u16, object: u16) -> Vec<u8> {
    let element = [words(&[6, 2, 0x4bb8, object, 1]), sized(&words(&[0x0a4c, 2]))].concat();
    let map = [words(&[0x8000, 1]), sized(&element)].concat();
    let attributes = [words(&[0x0a4e]), sized(&map), words(&[0x097b, 4, 0, entries, 0x0a4f, 2, person])].concat();
    let segment = [words(&[5, 3]), sized(&attributes)].concat();
    let list = [words(&[1]), sized(&segment)].concat();
    data(invoke_id, operation::ACTION_RESULT, &[words(&[20, 0x0c0d]), sized(&list)].concat())
}

fn entries(index: u16, status: u16, values: &[u16]) -> Vec<u8> {
    let entry = |value: &u16| [bytes("2026112112100000"), words(&[*value])].concat();
    let all: Vec<u8> = values.iter().flat_map(entry).collect();
    let count = u16::try_from(values.len()).unwrap();
    event(event::SEGMENT_DATA, 20, 0, &[words(&[5, 0, index, 0, count, status]), sized(&all)].concat())
}

fn agreed(invoke_id: u16) -> Vec<u8> {
    data(invoke_id, operation::ACTION_RESULT, &words(&[20, 0x0c1c, 4, 5, 0]))
}

#[test]
fn a_store_is_read_and_cleared_only_when_everything_in_it_was_kept() {
    let mut tape = with_store();
    tape.line(&segments(2, 2)).gives("> e7000010000e00030107000800140c1c00020005");
    tape.line(&agreed(3)).gives("").line(&entries(0, 0x8000, &[93]));
    let first = tape.said();
    assert!(first.starts_with("spo2 93 % 2026-11-21T12:10:00 from_storage; > e7"), "{first}");
    assert!(first.ends_with("000c000500000000000000018080"), "confirmed as the first: {first}");
    tape.line(&entries(1, 0x4000, &[94]));
    assert!(tape.said().starts_with("spo2 94 %"));
    tape.kept();
    let again = tape.said();
    assert!(again.contains("00140c0d"), "{again}");
    tape.line(&segments(4, 2));
    let clear = tape.said();
    assert!(clear.ends_with("00140c0c000a00020006000100020005"), "{clear}");
    tape.line(&data(5, operation::ACTION_RESULT, &words(&[20, 0x0c0c, 0]))).kept().wait().gives("end");
}

#[test]
fn a_store_that_grew_is_read_again_and_one_that_was_not_kept_is_not_cleared() {
    let mut tape = with_store();
    tape.line(&segments(2, 1)).line(&agreed(3)).line(&entries(0, 0xc000, &[93])).said();
    tape.kept().line(&segments(4, 2));
    let said = tape.said();
    assert!(said.ends_with("00140c1c00020005"), "transferred again: {said}");
    tape.line(&agreed(5)).line(&entries(0, 0xc000, &[93])).line(&entries(7, 0xc000, &[94])).said();
    let mut lost = with_store();
    lost.line(&segments(2, 2)).line(&agreed(3)).line(&entries(1, 0x4000, &[94])).kept();
    assert!(!lost.said().contains("0c0d"), "an entry was missed");
    let mut silent = with_store();
    silent.line(&segments(2, 2)).line(&agreed(3)).said();
    silent.wait().gives("").kept().gives("");
}

#[test]
fn what_is_stored_is_read_before_the_clock_is_set() {
    const CAN_BE_SET: u16 = 0xc000;
    let mut tape = with_store_described("2017010101000000", CAN_BE_SET);
    tape.line(&segments(2, 1));
    tape.gives("> e7000010000e00030107000800140c1c00020005");
    tape.line(&agreed(3)).gives("").line(&entries(0, 0xc000, &[93])).said();
    tape.wait();
    let set = tape.said();
    assert!(set.contains("0c17000c20261122"), "{set}");
}

#[test]
fn what_is_stored_of_an_unknown_object_is_not_cleared() {
    let read = |object| {
        let mut tape = with_store();
        tape.line(&segments_at(2, 1, 0xffff, object)).line(&agreed(3)).line(&entries(0, 0xc000, &[93])).said();
        tape.kept().said()
    };
    assert!(read(1).contains("00140c0d"), "listed again, to be cleared");
    assert_eq!(read(9), "");
}

#[test]
fn what_is_stored_of_other_people_is_neither_read_nor_cleared() {
    let transfer = "> e7000010000e00030107000800140c1c00020005";
    with_store_of(Some(1)).line(&segments_of(2, 2, 2)).gives("").kept().gives("");
    for person in [1, 0xffff] {
        with_store_of(Some(1)).line(&segments_of(2, 2, person)).gives(transfer);
    }
    with_store_of(None).line(&segments_of(2, 2, 2)).gives(transfer);
}

#[test]
fn requests_of_an_agent_are_answered_with_an_error() {
    let mut tape = described_as(0x05dc);
    tape.line(&data(9, operation::GET, &words(&[0, 0, 0])))
        .gives(&format!("> {}", hex(&apdu::error(9, NO_SUCH_OBJECT))));
    tape.line(&data(9, operation::GET_RESULT, &words(&[0, 0, 0])));
    tape.gives("! 20601 apdu: invoke id is 0x09, want the one that was asked with");
}

#[test]
fn other_people_are_left_out_where_the_patients_number_is_known() {
    let report = "e7000052005000010101004a0000ffffffff0d1f0040f000000100010038004200030032000100120003000600710047005520100721153553\
        000002000a004720100721153553000003000a00002010072115355300";
    let read = |user| {
        let mut tape = Tape::open_with(DRIVER, &Options { user, ..Options::default() });
        tape.line(&request(0x02bc)).said();
        tape.line(&described(1, "2026112209000000", 0)).said();
        tape.line(&bytes(report)).said()
    };
    assert!(read(Some(66)).starts_with("systolic 113 mm[Hg] 2010-07-21T15:35:53 user_66; diastolic 71"));
    assert!(read(None).starts_with("systolic 113"));
    assert!(!read(Some(1)).contains("systolic"));
}
