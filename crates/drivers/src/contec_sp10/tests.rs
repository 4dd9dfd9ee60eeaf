//! Tapes of the spirometer's conversation.

use super::{
    frame::tests::{EXAMPLE_SAYS, record},
    *,
};
use crate::tape::Tape;

fn counted(records: u8) -> Vec<u8> {
    command(0xe0, &[records, 0, 0, 0, 0, 0, 0, 0])
}

fn curve(number: u8, frames: u8) -> Vec<u8> {
    [&[0xe2, number, 0, frames, 0][..], &vec![0x7f; 8 * usize::from(frames)], &[0x12]].concat()
}

fn listed(records: u8) -> Tape {
    let mut tape = Tape::open(DRIVER);
    tape.gives("> 8000");
    tape.line(&[0xf0]).line(&[0x70]).gives("> 831a0b16090000000047");
    tape.line(&command(0xf3, &[0])).gives("> 8202");
    tape.line(&command(0xf2, &[0; 6])).gives("> 9414");
    tape.line(&command(0xe4, &[1; 21])).gives("> 9010");
    tape.line(&counted(records));
    tape
}

/// The same again, for the polls after the first.
fn list(tape: &mut Tape, records: u8) -> &mut Tape {
    for answer in [command(0xf0, &[]), command(0xf3, &[0]), command(0xf2, &[0; 6]), command(0xe4, &[1; 21])] {
        tape.line(&answer);
    }
    tape.line(&counted(records))
}

/// The answer to the end of a transfer: a record's frame that holds none.
fn ended(how: u8) -> Vec<u8> {
    command(0xe1, &[&[how][..], &[0; 41]].concat())
}

#[test]
fn two_records_are_read_oldest_first_and_deleted_only_when_kept() {
    let mut tape = listed(2);
    tape.gives("> 91000112");
    tape.line(&record(1, 36, 0x6f)).gives(&format!("{EXAMPLE_SAYS}; > 920012"));
    for piece in curve(1, 40).chunks(20) {
        tape.line(piece);
    }
    tape.gives("").wait().gives("> 91010113");
    tape.line(&record(2, 40, 0x70))
        .gives(&format!("{EXAMPLE_SAYS}; > 920012").replace(":36", ":40").replace("4.95", "4.96"));
    tape.line(&curve(2, 0)).wait().gives("end");
    tape.kept().gives("> 917e0110");
    tape.line(&ended(0x7e)).gives("> 8000");
    list(&mut tape, 2).said();
    tape.line(&record(1, 36, 0x6f)).line(&curve(1, 1)).wait().gives("> 920012; > 91010113");
    tape.line(&record(2, 40, 0x70)).line(&curve(2, 1)).wait().gives("> 920012; > 917f0111");
    tape.line(&ended(0x7f)).gives("clock set").wait().gives("> 8000");
    list(&mut tape, 0).said();
    tape.wait().gives("> 8000");
}

#[test]
fn a_blow_after_the_transfer_is_read_before_anything_is_deleted() {
    let mut tape = listed(1);
    tape.line(&record(1, 36, 0x6f)).line(&curve(1, 1)).wait().kept().line(&ended(0x7e)).said();
    list(&mut tape, 2).said();
    tape.line(&record(1, 36, 0x6f)).line(&curve(1, 1)).wait().said();
    tape.line(&record(2, 40, 0x70)).line(&curve(2, 1)).wait();
    let said = tape.said();
    assert!(said.contains("fev1 4.96") && said.ends_with("; end"), "{said}");
    tape.kept().gives("> 917e0110");
}

#[test]
fn records_that_nobody_acknowledges_are_kept_and_not_said_twice() {
    let mut tape = listed(1);
    tape.line(&record(1, 36, 0x6f))
        .line(&curve(1, 1))
        .wait()
        .gives(&format!("> 91000112; {EXAMPLE_SAYS}; > 920012; end"));
    tape.wait().gives("> 917e0110");
    tape.line(&ended(0x7e)).gives("clock set").wait().gives("> 8000");
    list(&mut tape, 1);
    tape.line(&record(1, 36, 0x6f)).kept().line(&curve(1, 1));
    tape.pass(SignedDuration::ZERO).wait();
    let all = tape.said();
    assert!(all.ends_with("> 91000112; > 920012; > 917f0111"), "{all}");
}

#[test]
fn a_damaged_record_is_refused_and_nothing_is_deleted() {
    let mut tape = listed(1);
    let mut damaged = record(1, 36, 0x6f);
    damaged[20] ^= 1;
    tape.line(&damaged).line(&curve(1, 1)).wait();
    let said = tape.kept().said();
    assert!(said.starts_with("> 91000112; ! contec sp10: checksum"), "{said}");
    assert!(said.ends_with("> 920012; > 917e0110"), "{said}");
}

#[test]
fn a_silent_device_is_asked_three_times_then_left_until_the_next_poll() {
    let mut tape = Tape::open(DRIVER);
    tape.wait().wait().gives("> 8000; > 8000; > 8000");
    tape.wait().gives("");
    tape.wait().gives("> 8000");
}

#[test]
fn an_empty_memory_is_no_sitting() {
    listed(0).gives("clock set").closed().gives("");
}

#[test]
fn a_lost_link_ends_the_sitting() {
    let mut tape = listed(3);
    tape.line(&record(1, 36, 0x6f)).closed().gives(&format!("> 91000112; {EXAMPLE_SAYS}; > 920012; end"));
}
