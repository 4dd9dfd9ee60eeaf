//! Tapes of conversations in protocol V7.

use super::{
    package::{self, Package},
    *,
};
use crate::{
    Options,
    tape::{self, Tape},
};

fn says(kind: u8, data: &[u8]) -> Vec<u8> {
    Package { kind, data: data.to_vec() }.bytes()
}

fn done(command: u8) -> Vec<u8> {
    says(package::FEEDBACK, &[command, 0])
}

fn live() -> Vec<u8> {
    tape::bytes("01a0c6b187d8e1ac81")
}

/// Up to the number of recordings.
fn counted(tape: &mut Tape, recordings: u8) {
    tape.line(&says(package::FREE, &[]));
    tape.line(&says(package::IDENTITY, b"AB12_3\0"));
    tape.line(&says(package::COUNT, &[0, recordings]));
}

/// It takes the date and the time.
fn set(tape: &mut Tape) -> &mut Tape {
    tape.line(&done(0xb2)).line(&done(0xb1))
}

/// How it was set, a second after nine.
const SET: &str = "> 7d81b2949a8b968080; > 7d81b1898081808080; clock set; > 7d81a1808080808080";

/// How one recording of a minute and a half is announced.
fn announced(tape: &mut Tape, at: u8) {
    tape.line(&says(package::START_DATE, &[0, at, 20, 26, 11, 21]));
    tape.line(&says(package::START_TIME, &[0, at, 23, 30, 0, 0]));
    tape.line(&says(package::LENGTH, &[0, at, 180, 0, 0, 0]));
}

fn recorded(seconds: usize) -> Vec<u8> {
    says(package::STORED, &[98, 72, 97, 71, 96, 70]).repeat(seconds / 3)
}

const NIGHT: &str = "spo2 97 % 2026-11-21T23:30:00 from_storage; pulse 71 /min 2026-11-21T23:30:00 from_storage; \
     spo2 97 % 2026-11-21T23:31:00 from_storage; pulse 71 /min 2026-11-21T23:31:00 from_storage";

#[test]
fn the_clock_is_set_the_date_first_and_then_it_is_live() {
    let mut tape = Tape::open(DRIVER);
    tape.gives("> 7d81a7808080808080; > 7d81a2808080808080");
    tape.line(&says(package::FREE, &[])).gives("> 7d81aa808080808080");
    tape.line(&says(package::IDENTITY, b"AB12_3\0"));
    let said = tape.said();
    assert!(said.contains("serial_number: Some(\"AB12_3\")") && said.ends_with("> 7d81a3808080808080"), "{said}");
    tape.line(&says(package::COUNT, &[0, 0])).gives("> 7d81b2949a8b968080");
    tape.line(&done(0xb2)).gives("> 7d81b1898080808080");
    tape.line(&done(0xb1)).gives("clock set; > 7d81a1808080808080");
    for _ in 0..60 * 5 {
        tape.line(&live());
    }
    tape.measures("spo2 97 %; pulse 88 /min; perfusion_index 4.28 %; end");
    assert_eq!(tape.understands(), Some(true));
}

#[test]
fn a_recording_is_read_in_minutes_and_deleted_only_when_kept() {
    let mut tape = Tape::open(DRIVER);
    counted(&mut tape, 1);
    tape.said();
    announced(&mut tape, 0);
    tape.gives("> 7d81a4808080808080; > 7d81a6808080808080");
    tape.line(&recorded(90)).measures("").wait();
    set(&mut tape).measures(&format!("{NIGHT}; > 7d81a7808080808080; end; {SET}"));
    tape.kept().gives("> 7d81a2808080808080");
    tape.line(&says(package::FREE, &[])).line(&says(package::COUNT, &[0, 1]));
    tape.line(&says(package::LENGTH, &[0, 0, 180, 0, 0, 0]));
    tape.gives("> 7d81a3808080808080; > 7d81a4808080808080; > 7d81ae808080808080");
    tape.line(&done(0xae)).gives("> 7d81a1808080808080");
    tape.kept().gives("");
}

#[test]
fn a_recording_that_has_grown_is_not_deleted() {
    let mut tape = Tape::open(DRIVER);
    counted(&mut tape, 1);
    announced(&mut tape, 0);
    set(tape.line(&recorded(90)).wait().kept()).said();
    tape.line(&says(package::FREE, &[])).line(&says(package::COUNT, &[0, 1]));
    tape.line(&says(package::LENGTH, &[0, 0, 186, 0, 0, 0]));
    tape.gives("> 7d81a3808080808080; > 7d81a4808080808080; > 7d81a1808080808080");
}

#[test]
fn a_download_cut_in_the_middle_says_whole_minutes_and_nothing_is_deleted() {
    let mut tape = Tape::open(DRIVER);
    counted(&mut tape, 1);
    announced(&mut tape, 0);
    tape.line(&recorded(75)).said();
    set(tape.wait()).measures(&format!(
        "! contec v7: incomplete, 150 bytes of 180; {}; > 7d81a7808080808080; end; {SET}",
        NIGHT.split("; ").take(2).collect::<Vec<_>>().join("; ")
    ));
    tape.kept().gives("");
}

#[test]
fn two_recordings_come_one_after_the_other_and_are_deleted_together() {
    let mut tape = Tape::open_with(DRIVER, &Options { user: Some(1), ..Options::default() });
    counted(&mut tape, 2);
    announced(&mut tape, 0);
    tape.line(&recorded(90)).wait().said();
    announced(&mut tape, 1);
    set(tape.line(&recorded(90)).wait().kept()).said();
    tape.line(&says(package::FREE, &[])).line(&says(package::COUNT, &[1, 2]));
    tape.line(&says(package::LENGTH, &[1, 1, 180, 0, 0, 0]))
        .measures("> 7d81a3818080808080; > 7d81a4818180808080; > 7d85ae81ff80808080");
}

#[test]
fn what_a_device_does_not_support_is_passed_over() {
    let mut tape = Tape::open(DRIVER);
    tape.line(&says(package::FREE, &[])).line(&says(package::FEEDBACK, &[0xaa, 5]));
    tape.line(&says(package::COUNT, &[0, 0])).line(&says(package::FEEDBACK, &[0xb2, 5]));
    let said = tape.said();
    assert!(said.contains("! contec v7: feedback is 0x05, want 0x00: done; > 7d81a3"), "{said}");
    assert!(said.ends_with("> 7d81a1808080808080") && !said.contains("clock set"), "{said}");
}

#[test]
fn the_device_is_told_that_somebody_is_there() {
    let mut tape = Tape::open(DRIVER);
    counted(&mut tape, 0);
    set(&mut tape).said();
    tape.wait().gives("> 7d81af808080808080");
    tape.line(&live()).wait().gives("> 7d81af808080808080");
}

#[test]
fn a_silent_device_is_asked_again_later() {
    let mut tape = Tape::open(DRIVER);
    tape.said();
    for _ in 0..4 {
        tape.wait();
    }
    tape.gives("> 7d81a2808080808080; > 7d81aa808080808080; > 7d81aa808080808080");
    tape.wait().gives("> 7d81a7808080808080; > 7d81a2808080808080");
    assert_eq!(tape.understands(), None);
}

#[test]
fn a_device_that_goes_is_talked_to_anew() {
    let mut tape = Tape::open(DRIVER);
    counted(&mut tape, 0);
    set(&mut tape).said();
    tape.line(&says(package::DISCONNECT, &[1])).gives("").wait().gives("> 7d81a7808080808080; > 7d81a2808080808080");
}

#[test]
fn packages_are_found_again_after_garbage() {
    let mut tape = Tape::open(DRIVER);
    counted(&mut tape, 0);
    set(&mut tape).said();
    tape.line(&[0xff; 3]).line(&live()[..5]).line(&live().repeat(60));
    tape.gives(
        "! contec v7: sync is 0xff, want bit 7 clear in a package's first byte; \
         ~ spo2 97 %; pulse 88 /min; perfusion_index 4.28 % 25 %",
    );
    tape.line(&[0xf8; 300]);
    assert_eq!(tape.understands(), Some(false));
}
