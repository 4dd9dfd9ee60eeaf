//! What a configuration file may say, and what is said about one that can't be used.

use super::*;

const GOOD: &str = r#"kit = "kit-1"
zone = "Europe/Copenhagen"
data_dir = "data"

[broker]
host = "127.0.0.1"
port = 1883
secret = "s"

[[device]]
driver = "gatt-plx"
address = "c0:ff:ee:00:00:01"

[[device]]
driver = "nonin-df2"
path = "/dev/serial/by-id/usb-nonin"
"#;

fn edit(from: &str, to: &str) -> Result<Settings, ConfigError> {
    assert!(GOOD.contains(from), "{from:?} is in the good file");
    parse(Path::new("/etc/vagt/edge.toml"), &GOOD.replacen(from, to, 1))
}

#[track_caller]
fn check(from: &str, to: &str, wanted: &str) {
    let error = edit(from, to).unwrap_err().to_string();
    let wanted = format!("/etc/vagt/edge.toml:{wanted}");
    assert!(error.starts_with(&wanted), "\n  {error}\n  want {wanted}");
}

#[test]
fn a_good_file_means_what_it_says() {
    let settings = edit("kit-1", "kit-1").unwrap();
    assert_eq!(settings.data_dir, Path::new("/etc/vagt/data"));
    assert_eq!(settings.devices.ble[0].address.as_deref(), Some("C0:FF:EE:00:00:01"));
    assert_eq!(settings.devices.serial[0].name, "usb-nonin");
    assert_eq!((settings.broker.keep_alive.as_secs(), settings.broker.tls.is_some()), (30, false));
    assert_eq!(settings.bounds.bytes_max, SPOOL_BYTES_MAX);
    let two = edit("port = 1883", "port = 1883\nothers = [\"vagt-2.clinic.example:8883\"]").unwrap();
    assert_eq!(two.broker.addresses, [("127.0.0.1".to_owned(), 1883), ("vagt-2.clinic.example".to_owned(), 8883)]);
}

#[test]
fn errors_name_line_column_field_found_and_wanted() {
    check("host =", "hots =", "6:1: broker.hots: unknown field `hots`, expected one of `host`");
    check("kit-1", "Kit/1", "1:7: kit: found \"Kit/1\", want a kit");
    check("1883", "0", "7:8: broker.port: found 0, want 1 to 65535");
    check("1883", "\"1883\"", "7:8: broker.port: invalid type: string \"1883\", expected u16");
    check("port = 1883", "port = 1883\nothers = [\"hub-2\"]", "8:11: broker.others: found \"hub-2\", want host:port");
    check(
        "port = 1883",
        "port = 1883\nothers = [\"a:1\", \"b:0\"]",
        "8:18: broker.others: found \"b:0\", want host:port",
    );
    check("Europe/Copenhagen", "Europe/Kopenhagen", "2:8: zone: found \"Europe/Kopenhagen\", want an IANA");
    check("gatt-plx", "gatt-plz", "11:10: device.driver: found \"gatt-plz\", want one of ");
    check("c0:ff:ee:00:00:01", "c0:ff", "12:11: device.address: found \"c0:ff\", want six bytes");
    check("address = \"c0:ff:ee:00:00:01\"", "", "10:1: device: gatt-plx is a Bluetooth driver: want address or name");
    check("path =", "name =", "14:1: device: nonin-df2 is a serial driver: want path");
    check("secret = \"s\"", "", "5:1: broker: want secret_file (or secret), found neither");
    check("secret = \"s\"", "secret_file = \"none\"", "8:15: broker.secret_file: /etc/vagt/none: No such file");
    check(
        "secret = \"s\"",
        "secret = \"s\"\nkeep_alive_seconds = 1",
        "9:22: broker.keep_alive_seconds: found 1, want at least 5",
    );
    check("[broker]", "[spool]\nbytes_max = 1\n[broker]", "6:13: spool.bytes_max: found 1, want at least 65536");
    check("zone = \"Europe/Copenhagen\"", "", "1:1: zone: missing field `zone`");
    check("port = 1883", "port = ", "7:8: broker.port: ");
    check("host = \"127.0.0.1\"", "", "5:1: broker.host: missing field `host`");
    check("driver = \"nonin-df2\"", "", "14:1: device.driver: missing field `driver`");
}

#[test]
fn what_is_said_of_a_device_is_checked() {
    let with = |line: &str| edit("driver = \"gatt-plx\"", &format!("driver = \"gatt-plx\"\n{line}"));
    let ble = |line: &str| with(line).unwrap().devices.ble.remove(0);
    let device = ble("user = 1\nconsent = 1234\npasskey = 1234");
    assert!(device.options.user == Some(1) && device.options.consent == Some(1234));
    assert_eq!(device.bond.unwrap().passkey, Some(1234));
    assert!(ble("").bond.is_none() && ble("pair = true").bond.unwrap().passkey.is_none());
    for (line, wanted) in [
        ("consent = 10000", "12:11: device.consent: found 10000, want at most 9999"),
        ("passkey = 1000000", "12:11: device.passkey: found 1000000, want at most 999999"),
        ("quirk = \"none\"", "12:9: device.quirk: found \"none\", want "),
    ] {
        let error = with(line).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    check(
        "path = \"/dev/serial/by-id/usb-nonin\"",
        "path = \"a\"\n[[device]]\ndriver = \"nonin-df2\"\npath = \"a\"",
        "17:1: device: found \"a\" twice",
    );
}

#[test]
fn one_adapter_or_several_or_all() {
    let with = |line: &str| edit("data_dir = \"data\"", &format!("data_dir = \"data\"\n{line}"));
    let adapters = |line: &str| with(line).unwrap().adapters;
    let named = |names: &[&str]| Adapters::Named(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(adapters(""), Adapters::First);
    assert_eq!(adapters("adapter = \"hci1\""), named(&["hci1"]));
    assert_eq!(adapters("adapters = [\"hci0\", \"hci1\"]"), named(&["hci0", "hci1"]));
    assert_eq!(adapters("adapters = [\"all\"]"), Adapters::All);
    assert!(with("adapters = []").unwrap_err().to_string().contains("adapters: found none, want names"));
    assert!(with("adapter = \"a\"\nadapters = [\"b\"]").unwrap_err().to_string().contains("found beside adapter"));
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (file, secret) = (dir.path().join("edge.toml"), dir.path().join("secret"));
    fs::write(&secret, "hush\n").unwrap();
    let text = GOOD.replace("secret = \"s\"", "secret_file = \"secret\"");
    let mode = |mode| fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    assert!(
        parse(&file, &text).unwrap_err().to_string().contains("has mode 0644, so that others can read it; want 0600")
    );
    mode(0o600);
    assert_eq!(parse(&file, &text).unwrap().broker.secret, "hush");
}

#[test]
fn the_example_is_good() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/edge.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text =
        text.replace("secret_file = \"/etc/vagt/edge.secret\"", "secret = \"s\"").replace("ca_file", "# ca_file");
    let settings = parse(&file, &text).unwrap();
    assert!(!settings.devices.ble.is_empty() && !settings.devices.serial.is_empty());
}

#[test]
fn a_file_that_is_not_there_is_said_plainly() {
    let error = load(Path::new("/nonexistent/edge.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/edge.toml: the configuration can't be read: No such file"), "{error}");
}
