//! Contec SP10BT and SP80B spirometers on Contec's Bluetooth service ff12: the conversation is that of the file `contec_sp10.rs`, with the host's
//! frames written to ff01 and the device's coming from ff02 in pieces of 20 bytes. It ends with each connection: nothing is asked again while
//! the device is connected.

use crate::{
    Channel, Driver, Transport,
    contec_cms50d_bt::{COMMANDS, FRAMES, SERVICE},
    contec_sp10::{self, Spirometer},
    gatt,
};

const WHAT: &str = "contec sp10bt";

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "contec-sp10bt",
    transport: Transport::Ble { service: SERVICE, subscribe: &[FRAMES], read: &[], names: &["SP10", "SP80"] },
    vitals: contec_sp10::DRIVER.vitals,
    devices: &["Contec SP10BT", "Contec SP80B"],
    standard: contec_sp10::DRIVER.standard,
    open: |_| Box::new(Spirometer::on(Channel::Characteristic(COMMANDS))),
    decode: |channel, frames| {
        gatt::characteristic(WHAT, channel)?;
        contec_sp10::decode(channel, frames)
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contec_sp10::{checksum, command},
        tape::{self, Tape},
    };

    const RECORD: &str = "e10001010016081d111e2400272f0101017e0300006f034b0700000000250721060c050703660423024f005b";
    const SAYS: &str = "fev1 4.95 L 2022-08-29T17:30:36 drug; fvc 5.10 L 2022-08-29T17:30:36 drug; \
         pef 9.33 L/s 2022-08-29T17:30:36 drug; fev1_fvc 97.1 % 2022-08-29T17:30:36 drug";

    /// The device says this in notifications of 20 bytes.
    fn notify<'a>(tape: &'a mut Tape, bytes: &[u8]) -> &'a mut Tape {
        for piece in bytes.chunks(20) {
            tape.value(FRAMES, &tape::hex(piece));
        }
        tape
    }

    /// Up to the count of records.
    fn list(tape: &mut Tape, records: u8) {
        for answer in [command(0xf0, &[]), command(0xf3, &[0]), command(0xf2, &[0; 6]), command(0xe4, &[1; 21])] {
            notify(tape, &answer);
        }
        notify(tape, &command(0xe0, &[records, 0, 0, 0, 0, 0, 0, 0])).said();
    }

    #[test]
    fn a_record_comes_in_pieces_and_the_visit_ends_when_it_is_deleted() {
        let mut tape = Tape::open(DRIVER);
        tape.gives("> 8000");
        list(&mut tape, 1);
        notify(&mut tape, &tape::bytes(RECORD)).gives(&format!("{SAYS}; > 920012"));
        notify(&mut tape, &[0xe2, 1, 0, 0, 0, 0x12]).wait().gives("end");
        tape.kept().gives("> 917e0110");
        notify(&mut tape, &command(0xe1, &[&[0x7e][..], &[0; 41]].concat())).gives("> 8000");
        list(&mut tape, 1);
        notify(&mut tape, &tape::bytes(RECORD)).gives("> 920012");
        notify(&mut tape, &[0xe2, 1, 0, 0, 0, 0x12]).wait().gives("> 917f0111");
        notify(&mut tape, &command(0xe1, &[&[0x7f][..], &[0; 41]].concat())).gives("clock set; end");
        tape.wait().gives("");
    }

    #[test]
    fn an_empty_memory_ends_the_visit() {
        let mut tape = Tape::open(DRIVER);
        for answer in [command(0xf0, &[]), command(0xf3, &[0]), command(0xf2, &[0; 6]), command(0xe4, &[1; 21])] {
            notify(&mut tape, &answer);
        }
        tape.said();
        notify(&mut tape, &command(0xe0, &[0; 8])).gives("clock set; end");
        tape.wait().gives("").closed().gives("");
    }

    #[test]
    fn a_link_lost_in_a_record_loses_nothing_of_the_one_before() {
        let mut tape = Tape::open(DRIVER);
        list(&mut tape, 2);
        notify(&mut tape, &tape::bytes(RECORD)).gives(&format!("{SAYS}; > 920012"));
        notify(&mut tape, &[0xe2, 1, 0, 0, 0, 0x12]).wait().gives("> 91010113");
        notify(&mut tape, &tape::bytes(RECORD)[..30]).closed().gives("end");
    }

    #[test]
    fn an_oximeter_of_the_same_service_is_none() {
        let oximeter = [0xeb, 0x01, 0x04, 0x53, 0x63, 0x7f, 0x00];
        let frame = [&oximeter[..], &[checksum(&oximeter)]].concat();
        let wanted = "contec sp10: code is 0xeb, want 0xe0 to 0xe4, 0xf0, 0xf2 or 0xf3";
        tape::check(DRIVER, &[&tape::hex(&frame)], wanted);
        tape::check(DRIVER, &[&RECORD[..40], &RECORD[40..80], &RECORD[80..]], SAYS);
    }
}
