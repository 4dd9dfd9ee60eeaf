//! A home on a real D-Bus, read with plain D-Bus calls as a BlueZ client makes them.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::{collections::HashMap, path::Path, process::Stdio, time::Duration};

use firmware_sim::bus::PrivateBus;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use zbus::{
    Connection, MatchRule, MessageStream, OwnedVariant, Proxy, connection,
    fdo::{ManagedObjects, ObjectManagerProxy},
    message::Type,
};

const PATIENCE: Duration = Duration::from_secs(20);
const ADAPTER: &str = "/org/bluez/hci0";

/// A bus, a home on it as a process, and a client.
struct Played {
    client: Connection,
    home: Child,
    orders: ChildStdin,
    truth: Lines<BufReader<ChildStdout>>,
    _bus: PrivateBus,
    dir: tempfile::TempDir,
}

impl Played {
    async fn start(arguments: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bus = PrivateBus::start(dir.path()).await.unwrap();
        let mut home = spawn(&format!("--bus {} {arguments}", bus.address()), dir.path());
        let truth = BufReader::new(home.stdout.take().unwrap()).lines();
        let orders = home.stdin.take().unwrap();
        let client = connection::Builder::address(bus.address()).build().await.unwrap();
        let mut played = Self { client, home, orders, truth, _bus: bus, dir };
        played.event("ready").await;
        played
    }

    /// The next line of the truth with this event.
    async fn event(&mut self, event: &str) -> Value {
        let found = async {
            loop {
                let line = self.truth.next_line().await.unwrap().expect("the home goes on");
                let line: Value = serde_json::from_str(&line).unwrap();
                if line["event"] == event {
                    return line;
                }
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {event:?} within {PATIENCE:?}"))
    }

    async fn order(&mut self, order: Value) {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.unwrap();
    }

    async fn proxy(&self, path: &str, interface: &'static str) -> Proxy<'static> {
        let builder = zbus::proxy::Builder::<Proxy<'static>>::new(&self.client).destination("org.bluez");
        let builder = builder.path(path.to_owned()).interface(interface);
        builder.cache_properties(zbus::proxy::CacheProperties::No).build().await.unwrap()
    }

    async fn discover(&self) {
        let filter: HashMap<&str, OwnedVariant> = HashMap::new();
        let adapter = self.proxy(ADAPTER, "org.bluez.Adapter1").await;
        adapter.set_property("Powered", true).await.unwrap();
        adapter.call::<_, _, ()>("SetDiscoveryFilter", &(filter,)).await.unwrap();
        adapter.call::<_, _, ()>("StartDiscovery", &()).await.unwrap();
        assert!(adapter.get_property::<bool>("Discovering").await.unwrap());
    }

    async fn objects(&self) -> ManagedObjects {
        let manager = ObjectManagerProxy::builder(&self.client).destination("org.bluez").path("/");
        manager.build().await.unwrap().get_managed_objects().await.unwrap()
    }

    /// Waits until the device named so has been seen, and returns its path.
    async fn seen(&self, name: &str) -> String {
        self.seen_as("Name", name).await
    }

    /// The same, by another property.
    async fn seen_as(&self, property: &str, wanted: &str) -> String {
        let seen = async {
            loop {
                for (path, interfaces) in self.objects().await {
                    let device = interfaces.get("org.bluez.Device1");
                    let named = device
                        .and_then(|device| device.get(property))
                        .and_then(|value| String::try_from(value.clone()).ok());
                    if named.is_some_and(|named| named == wanted) {
                        return path.to_string();
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{wanted} was not seen"))
    }

    async fn until(&self, device: &str, property: &str, wanted: bool) {
        let proxy = self.proxy(device, "org.bluez.Device1").await;
        let turned = async {
            while proxy.get_property::<bool>(property).await.unwrap() != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, turned).await.unwrap_or_else(|_| panic!("{property} did not turn {wanted}"));
    }

    async fn connect(&self, device: &str) {
        let proxy = self.proxy(device, "org.bluez.Device1").await;
        proxy.call::<_, _, ()>("Connect", &()).await.unwrap();
        self.until(device, "ServicesResolved", true).await;
    }

    /// The path of the characteristic below `device` with this 16-bit UUID.
    async fn characteristic(&self, device: &str, short: &str) -> String {
        let uuid = format!("0000{short}-0000-1000-8000-00805f9b34fb");
        let objects = self.objects().await;
        let found = objects.iter().find(|(path, interfaces)| {
            let characteristic = interfaces.get("org.bluez.GattCharacteristic1");
            path.starts_with(device)
                && characteristic
                    .is_some_and(|all| String::try_from(all["UUID"].clone()).is_ok_and(|found| found == uuid))
        });
        found.unwrap_or_else(|| panic!("no {short} below {device}")).0.to_string()
    }

    /// Every value that this characteristic sends from now on.
    async fn values(&self, characteristic: &str) -> impl futures::Stream<Item = Vec<u8>> + Unpin + use<> {
        let rule = MatchRule::builder().msg_type(Type::Signal).path(characteristic.to_owned());
        let rule = rule.interface("org.freedesktop.DBus.Properties").build().unwrap();
        let signals = MessageStream::for_match_rule(rule, &self.client, None).await.unwrap();
        let gatt = self.proxy(characteristic, "org.bluez.GattCharacteristic1").await;
        gatt.call::<_, _, ()>("StartNotify", &()).await.unwrap();
        Box::pin(signals.filter_map(|message| async move {
            type Changed = (String, HashMap<String, OwnedVariant>, Vec<String>);
            let (_, mut changes, _): Changed = message.ok()?.body().deserialize().ok()?;
            Vec::<u8>::try_from(changes.remove("Value")?).ok()
        }))
    }
}

fn spawn(arguments: &str, dir: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firmware-sim"));
    command.args(["home", "--json", "--end-with-stdin"]).args(arguments.split_whitespace()).current_dir(dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

fn bytes(sent: &Value) -> Vec<u8> {
    let hex = sent["bytes"].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

async fn next(values: &mut (impl futures::Stream<Item = Vec<u8>> + Unpin)) -> Vec<u8> {
    timeout(PATIENCE, values.next()).await.expect("a value in time").expect("the bus goes on")
}

#[tokio::test]
async fn stored_records_come_oldest_first_and_then_the_device_hangs_up() {
    let mut home = Played::start("--devices thermometer --seed 7 --live off --history-days 3").await;
    home.discover().await;
    let device = home.seen("Vagt-sim thermometer").await;
    assert_eq!(device, "/org/bluez/hci0/dev_C0_FF_EE_00_07_02");
    home.connect(&device).await;
    let characteristic = home.characteristic(&device, "2a1c").await;
    let mut values = home.values(&characteristic).await;
    let mut last = String::new();
    for _ in 0..3 {
        let sent = home.event("sent").await;
        assert_eq!(next(&mut values).await, bytes(&sent));
        let time = sent["device_time"].as_str().unwrap().to_owned();
        assert!(time > last, "{time} after {last}");
        assert_eq!(sent["flags"], json!(["from_storage"]));
        last = time;
    }
    home.event("hung_up").await;
    home.until(&device, "Connected", false).await;

    // what was sent is forgotten; a new measurement comes alone and live
    home.order(json!({ "measure": "thermometer", "temperature": 38.5 })).await;
    home.connect(&device).await;
    let mut values = home.values(&characteristic).await;
    let value = next(&mut values).await;
    assert_eq!(value[..5], [0x06, 0x81, 0x01, 0, 0xff]);
    assert_eq!(bytes(&home.event("sent").await), value);
}

#[tokio::test]
async fn records_are_told_when_they_are_asked_for_and_forgotten_when_told_to() {
    let mut home = Played::start("--devices oximeter --seed 7 --live off --history-days 3").await;
    home.order(json!({ "inspect": "oximeter" })).await;
    let held = home.event("inspected").await["records"].as_array().unwrap().len();
    home.order(json!({ "measure": "oximeter", "spo2": 82, "pulse": 118 })).await;
    home.discover().await;
    let device = home.seen("Vagt-sim oximeter").await;
    home.connect(&device).await;
    let point = home.characteristic(&device, "2a52").await;
    let mut answers = home.values(&point).await;
    let characteristic = home.characteristic(&device, "2a5e").await;
    let mut values = home.values(&characteristic).await;
    assert_eq!(next(&mut values).await[..5], [0x07, 82, 0, 118, 0], "what was just measured comes unasked");
    let gatt = home.proxy(&point, "org.bluez.GattCharacteristic1").await;
    let none: HashMap<&str, OwnedVariant> = HashMap::new();
    let ask = async |request: &[u8]| gatt.call::<_, _, ()>("WriteValue", &(request, &none)).await;

    ask(&[4, 1]).await.unwrap();
    assert_eq!(next(&mut answers).await, [5, 0, u8::try_from(held).unwrap(), 0]);
    ask(&[1, 1]).await.unwrap();
    let refused = ask(&[4, 1]).await.unwrap_err().to_string();
    assert!(refused.contains("0xfe"), "a second procedure while the first goes on: {refused}");
    let mut times = vec![];
    for _ in 0..held {
        times.push(next(&mut values).await[5..12].to_vec());
    }
    assert!(times.is_sorted_by_key(|time| (time[3], time[4], time[5])), "{times:?}");
    assert_eq!(next(&mut answers).await, [6, 0, 1, 1]);

    ask(&[1, 1]).await.unwrap();
    next(&mut values).await;
    ask(&[3, 0]).await.unwrap();
    assert_eq!(next(&mut answers).await, [6, 0, 3, 1], "aborted");
    home.order(json!({ "fault": "refuse_records", "device": "oximeter" })).await;
    home.event("fault").await;
    ask(&[2, 1]).await.unwrap();
    assert_eq!(next(&mut answers).await, [6, 0, 2, 2]);
    home.order(json!({ "fault": "clear", "device": "oximeter" })).await;
    home.event("fault").await;
    ask(&[2, 5]).await.unwrap();
    assert_eq!(next(&mut answers).await, [6, 0, 2, 1]);
    assert_eq!(home.event("deleted").await["records"].as_array().unwrap().len(), 1, "the first");
    ask(&[2, 1]).await.unwrap();
    home.event("deleted").await;
    let gatt = home.proxy(&device, "org.bluez.Device1").await;
    gatt.call::<_, _, ()>("Disconnect", &()).await.unwrap();
    home.event("host_hung_up").await;
    home.order(json!({ "inspect": "oximeter" })).await;
    assert_eq!(home.event("inspected").await["records"], json!([]));
}

#[tokio::test]
async fn a_scale_says_nothing_before_its_user_has_consented() {
    let mut home = Played::start("--devices body-scale --seed 7 --live off --history-days 0").await;
    home.order(json!({ "measure": "body-scale", "weight": 70.0 })).await;
    home.discover().await;
    let device = home.seen("Vagt-sim body-scale").await;
    home.connect(&device).await;
    let control = home.characteristic(&device, "2a9f").await;
    let mut answers = home.values(&control).await;
    let mut values = home.values(&home.characteristic(&device, "2a9c").await).await;
    let gatt = home.proxy(&control, "org.bluez.GattCharacteristic1").await;
    let none: HashMap<&str, OwnedVariant> = HashMap::new();
    for (code, result) in [(0x00, 5), (0xd2, 1)] {
        assert!(timeout(Duration::from_millis(300), values.next()).await.is_err(), "not yet");
        gatt.call::<_, _, ()>("WriteValue", &([2_u8, 2, code, 4].as_slice(), &none)).await.unwrap();
        assert_eq!(next(&mut answers).await, [0x20, 2, result]);
    }
    assert_eq!(next(&mut values).await.len(), 14);
    assert_eq!(next(&mut values).await.len(), 8, "and the second packet");
    home.event("hung_up").await;
}

#[tokio::test]
async fn what_bluez_does_not_know_is_absent_and_a_lost_characteristic_is_gone() {
    let mut home = Played::start("--devices scale --seed 7 --live off --history-days 1").await;
    for property in ["Name", "RSSI", "UUIDs"] {
        home.order(json!({ "fault": "hide", "device": "scale", "property": property })).await;
    }
    home.order(json!({ "fault": "lose_characteristic", "device": "scale", "characteristic": "2a19" })).await;
    home.order(json!({ "fault": "slow_services", "device": "scale", "seconds": 1 })).await;
    home.discover().await;
    let device = home.seen_as("Alias", "C0-FF-EE-00-07-04").await;
    let shown = home.objects().await;
    let properties = &shown.iter().find(|(path, _)| path.as_str() == device).unwrap().1["org.bluez.Device1"];
    assert!(["Name", "RSSI", "UUIDs"].iter().all(|name| !properties.contains_key(*name)), "{properties:?}");
    assert!(properties.contains_key("Address"));
    let began = std::time::Instant::now();
    home.connect(&device).await;
    assert!(began.elapsed() > Duration::from_millis(900));
    let has = |objects: &ManagedObjects, short: &str| {
        let uuid = format!("0000{short}-0000-1000-8000-00805f9b34fb");
        objects
            .values()
            .filter_map(|interfaces| interfaces.get("org.bluez.GattCharacteristic1"))
            .any(|all| String::try_from(all["UUID"].clone()).is_ok_and(|found| found == uuid))
    };
    let objects = home.objects().await;
    assert!(has(&objects, "2a9d") && !has(&objects, "2a19"));
    home.order(json!({ "fault": "clear", "device": "scale" })).await;
    home.event("fault").await;
    let back = async {
        while !has(&home.objects().await, "2a19") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, back).await.expect("it is back");
}

#[tokio::test]
async fn introspection_names_every_child_and_reads_tell_who_it_is() {
    let home = Played::start("--devices cuff --seed 258 --live off --history-days 1").await;
    home.discover().await;
    let device = home.seen("Vagt-sim cuff").await;
    home.connect(&device).await;
    let proxy = home.proxy(&device, "org.freedesktop.DBus.Introspectable").await;
    let xml: String = proxy.call("Introspect", &()).await.unwrap();
    assert!(xml.contains("<node name=\"service0010\">"), "{xml}");
    let own = xml.split("<node name=").next().unwrap();
    assert!(
        own.rfind("</interface>").unwrap() > own.rfind("<interface ").unwrap(),
        "interfaces before children: {xml}"
    );
    assert!(!xml.contains("<!--"), "{xml}");

    let serial = home.characteristic(&device, "2a25").await;
    let none: HashMap<&str, OwnedVariant> = HashMap::new();
    let gatt = home.proxy(&serial, "org.bluez.GattCharacteristic1").await;
    let value: Vec<u8> = gatt.call("ReadValue", &(none,)).await.unwrap();
    assert_eq!(value, b"SIM-00258-3");
}

#[tokio::test]
async fn the_host_sets_a_lost_clock() {
    let mut home = Played::start("--devices cuff --seed 1 --live off --history-days 0").await;
    home.order(json!({ "fault": "clock_lost", "device": "cuff" })).await;
    home.order(json!({ "measure": "cuff", "systolic": 150, "diastolic": 90, "pulse": 70 })).await;
    let measured = home.event("measured").await;
    assert!(measured["device_time"].as_str().unwrap().starts_with("2017-01-01T00:00"), "{measured}");
    assert_eq!(measured["flags"], json!(["clock_not_set"]));
    home.discover().await;
    let device = home.seen("Vagt-sim cuff").await;
    home.connect(&device).await;
    let clock = home.characteristic(&device, "2a08").await;
    let none: HashMap<&str, OwnedVariant> = HashMap::new();
    let gatt = home.proxy(&clock, "org.bluez.GattCharacteristic1").await;
    let noon = vec![0xea_u8, 0x07, 11, 22, 12, 0, 0];
    gatt.call::<_, _, ()>("WriteValue", &(noon, &none)).await.unwrap();
    let shown: Vec<u8> = gatt.call("ReadValue", &(&none,)).await.unwrap();
    assert_eq!(shown[..6], [0xea, 0x07, 11, 22, 12, 0]);
    let nonsense = vec![0xea_u8, 0x07, 13, 40, 12, 0, 0];
    assert!(gatt.call::<_, _, ()>("WriteValue", &(nonsense, &none)).await.is_err(), "month 13");
}

#[tokio::test]
async fn a_lost_link_means_that_all_is_sent_again() {
    let mut home = Played::start("--devices scale --seed 3 --live off --history-days 2").await;
    home.discover().await;
    let device = home.seen("Vagt-sim scale").await;
    home.order(json!({ "fault": "disconnect_mid_frame", "device": "scale" })).await;
    home.event("fault").await;
    home.connect(&device).await;
    let characteristic = home.characteristic(&device, "2a9d").await;
    let mut values = home.values(&characteristic).await;
    assert_eq!(next(&mut values).await.len(), 5, "half of ten bytes");
    home.event("link_lost").await;
    home.until(&device, "Connected", false).await;

    home.order(json!({ "fault": "garbage", "device": "scale" })).await;
    home.event("fault").await;
    home.connect(&device).await;
    let mut values = home.values(&characteristic).await;
    assert_eq!(next(&mut values).await[0], 0xff, "garbage");
    for _ in 0..2 {
        assert_eq!(bytes(&home.event("sent").await), next(&mut values).await);
    }
    home.event("hung_up").await;
}

#[tokio::test]
async fn a_host_that_dies_gets_everything_when_it_is_back() {
    let mut home = Played::start("--devices thermometer --seed 3 --live off --history-days 2").await;
    home.discover().await;
    let device = home.seen("Vagt-sim thermometer").await;
    home.connect(&device).await;
    let characteristic = home.characteristic(&device, "2a1c").await;
    drop(home.values(&characteristic).await);
    home.event("sent").await;
    let address = format!("unix:path={}", home.dir.path().join("bus").display());
    home.client.clone().close().await.unwrap();
    home.client = connection::Builder::address(address.as_str()).build().await.unwrap();
    home.event("host_lost").await;
    home.discover().await;
    home.connect(&device).await;
    let mut values = home.values(&characteristic).await;
    for _ in 0..2 {
        let sent = home.event("sent").await;
        assert_eq!((sent["attempt"].as_u64(), bytes(&sent)), (Some(2), next(&mut values).await));
    }
}

#[tokio::test]
async fn a_device_that_does_not_advertise_is_neither_seen_nor_connected() {
    let mut home = Played::start("--devices oximeter --seed 5 --live off --history-days 1 --advertise-seconds 1").await;
    home.discover().await;
    let device = home.seen("Vagt-sim oximeter").await;
    home.order(json!({ "fault": "unplug", "device": "oximeter" })).await;
    home.event("fault").await;
    let gone = async {
        while home.objects().await.keys().any(|path| path.as_str() == device) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("BlueZ drops it");
    home.order(json!({ "fault": "replug", "device": "oximeter" })).await;
    assert_eq!(home.seen("Vagt-sim oximeter").await, device);
}

#[tokio::test]
async fn commands_that_make_no_sense_are_refused_and_life_goes_on() {
    let mut home = Played::start("--devices oximeter --seed 5 --live off --history-days 0").await;
    home.order(json!({ "measure": "scale" })).await;
    assert_eq!(home.event("refused").await["why"], "this home has no scale");
    home.order(json!({ "measure": "oximeter", "spo2": "low" })).await;
    assert_eq!(home.event("refused").await["why"], "spo2 is \"low\", want a whole number from 0 to 100");
    home.order(json!({ "measure": "oximeter" })).await;
    home.event("measured").await;
    home.order(json!({ "quit": true })).await;
    home.event("end").await;
    assert!(timeout(PATIENCE, home.home.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn a_home_ends_with_its_input_and_refuses_a_second_one_on_the_bus() {
    let home = Played::start("--devices oximeter --live off").await;
    let address = format!("unix:path={}", home.dir.path().join("bus").display());
    let mut second = Command::new(env!("CARGO_BIN_EXE_firmware-sim"));
    let second = second.args(["home", "--bus", &address]).stdin(Stdio::null()).output().await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("one home to a bus"), "{second:?}");
    let Played { orders, home: mut child, truth: _truth, _bus, .. } = home;
    drop(orders);
    assert!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success());
}

/// The same through btleplug's own code, unchanged, as the kit links it: the example `listen` beside this test.
#[tokio::test]
async fn btleplug_finds_connects_and_hears_every_device() {
    let mut home = Played::start("--seed 7 --live off --history-days 0").await;
    for kind in ["oximeter", "thermometer", "cuff", "scale"] {
        home.order(json!({ "measure": kind })).await;
    }
    let listen = Path::new(env!("CARGO_BIN_EXE_firmware-sim")).with_file_name("examples").join("listen");
    let mut command = Command::new(listen);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", home.dir.path().join("bus").display()));
    let mut client = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut heard = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut waiting: Vec<String> = vec![];
    for _ in 0..4 {
        waiting.push(home.event("sent").await["bytes"].as_str().unwrap().to_owned());
    }
    let all = async {
        while !waiting.is_empty() {
            let line = heard.next_line().await.unwrap().expect("the listener goes on");
            waiting.retain(|bytes| !line.ends_with(bytes.as_str()));
        }
    };
    timeout(PATIENCE, all).await.expect("every device is heard");
}
