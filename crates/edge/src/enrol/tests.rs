//! The pure parts of an enrolment, and its files. The exchange itself is tried against the real service, in `tests/tests/system/enrol.rs`.

use std::os::unix::fs::PermissionsExt as _;

use super::{
    Given,
    ask::{Clinic, read},
    files::{Folder, base64, complete},
};
use crate::config;

fn given() -> Given {
    Given {
        kit: "kit-7".parse().unwrap(),
        host: "vagt.clinic.example".into(),
        port: 8883,
        others: vec!["vagt-2.clinic.example:8883".into()],
        zone: "Europe/Copenhagen".into(),
    }
}

#[test]
fn a_clinics_address_is_https_with_or_without_a_port() {
    let parse = |text: &str| Clinic::parse(text).map_err(|error| error.to_string()).map(|clinic| format!("{clinic:?}"));
    let clinic = |host: &str, port: u16| Ok(format!("Clinic {{ host: {host:?}, port: {port} }}"));
    assert_eq!(parse("https://vagt.example"), clinic("vagt.example", 8443));
    assert_eq!(parse("https://127.0.0.1:9000/"), clinic("127.0.0.1", 9000));
    assert_eq!(parse("https://[::1]:9000"), clinic("::1", 9000));
    assert_eq!(parse("https://[::1]"), clinic("::1", 8443));
    for wrong in ["http://vagt.example", "vagt.example", "https://", "https://a:b", "https://a/b"] {
        assert!(parse(wrong).unwrap_err().ends_with("want https://host or https://host:port"), "{wrong}");
    }
}

#[test]
fn an_answer_is_read_when_it_is_whole() {
    let whole = b"HTTP/1.1 409 Conflict\r\ncontent-type: x\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(read(whole), Some((409, b"{}".to_vec())));
    for cut in 0..whole.len() {
        assert_eq!(read(&whole[..cut]), None, "{cut}");
    }
    assert_eq!(read(b"HTTP/1.1 200 OK\r\n\r\n{}"), None, "no length");
}

#[test]
fn base64_is_that_of_the_rfc() {
    for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
}

#[test]
fn a_configuration_is_completed_and_keeps_what_stands_in_it() {
    let before = "# Mine.\nkit = \"old\" # the kit\nzone = \"Europe/Oslo\"\ndata_dir = \"spool\"\n\n[broker]\nhost = \"old.example\"\nport = 1883\n\
                  secret = \"5e\"\nkeep_alive_seconds = 10\n\n# The finger.\n[[device]]\ndriver = \"gatt-plx\"\naddress = \"C0:FF:EE:00:00:01\"\n";
    let after = complete(before, &given()).unwrap();
    for kept in
        ["# Mine.", "# the kit", "Europe/Oslo", "\"spool\"", "keep_alive_seconds = 10", "# The finger.", "C0:FF:EE"]
    {
        assert!(after.contains(kept), "{kept} is lost:\n{after}");
    }
    for gone in ["old", "1883", "secret = "] {
        assert!(!after.contains(gone), "{gone} is still there:\n{after}");
    }
    assert_eq!(complete(&after, &given()).unwrap(), after, "the second time changes nothing");
    let refused = complete("# Mine.\nkit = \n", &given()).unwrap_err().to_string();
    assert!(refused.starts_with("line 2: ") && !refused.contains('\n'), "{refused}");
}

#[test]
fn a_configuration_that_cannot_be_completed_is_told_before_the_code_is_used() {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::open(home.path()).unwrap();
    folder.check_config().unwrap();
    for (text, wanted) in [("kit = \n", "edge.toml: line 1: "), ("broker = 3\n", "broker: want a table")] {
        std::fs::write(home.path().join("edge.toml"), text).unwrap();
        let refused = format!("{:#}", folder.check_config().unwrap_err());
        assert!(refused.contains(wanted), "{refused}");
    }
    assert!(!home.path().join("edge.secret.new").exists());
}

#[test]
fn what_is_written_can_be_loaded_and_is_the_agents_alone() {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::open(&home.path().join("etc")).unwrap();
    let secret = folder.waiting_secret().unwrap();
    assert_eq!(folder.waiting_secret().unwrap(), secret, "a second try shows the same");
    folder.write_authority(b"not a certificate, and nobody looks yet").unwrap();
    let config = folder.write_config(&given()).unwrap();
    assert!(config::load(&config).is_err(), "the secret takes its place last");
    folder.keep_secret().unwrap();
    folder.keep_secret().unwrap();
    let settings = config::load(&config).unwrap();
    assert_eq!(
        (settings.kit.as_str(), settings.broker.addresses[0].1, settings.broker.secret),
        ("kit-7", 8883, secret)
    );
    let files: Vec<_> = std::fs::read_dir(home.path().join("etc")).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 3);
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[test]
fn every_address_of_the_clinic_is_written_and_what_stands_there_stays_where_it_names_none() {
    let told = complete("", &given()).unwrap();
    assert!(told.contains("others = [\"vagt-2.clinic.example:8883\"]"), "{told}");
    let alone = Given { others: Vec::new(), ..given() };
    assert!(!complete("", &alone).unwrap().contains("others"));
    assert!(complete(&told, &alone).unwrap().contains("vagt-2"), "written by hand, perhaps");
    let moved = Given { others: vec!["vagt-3.clinic.example:8883".into()], ..given() };
    let moved = complete(&told, &moved).unwrap();
    assert!(moved.contains("vagt-3") && !moved.contains("vagt-2"), "{moved}");
}
