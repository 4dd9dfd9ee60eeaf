//! A device on a serial line, through the whole agent: port -> driver -> spool -> MQTT, and back as an acknowledgement. Unplugged and
//! plugged in again in between, and cut off in the middle of a frame.

use std::{
    fs::File,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::common::{Core, Heard, Mosquitto};
use edge::{agent, config};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio_util::sync::CancellationToken;

/// The device's end of a line; the other end is at `path`. Dropped, it is unplugged.
struct Line {
    device: File,
    path: PathBuf,
}

impl Line {
    fn plug(path: &Path) -> Self {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&device).unwrap();
        unlockpt(&device).unwrap();
        let name = ptsname(&device, Vec::new()).unwrap();
        symlink(name.to_str().unwrap(), path).unwrap();
        Self { device: File::from(device), path: path.to_owned() }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

/// Nonin data format 2, from its specification: 25 frames of 5 bytes, the first with the sync bit; pulse in two bytes, then SpO2.
fn packet(spo2: u8, pulse: u16) -> Vec<u8> {
    let float = |index: usize| match index {
        0 => (pulse >> 7) as u8,
        1 => (pulse & 0x7f) as u8,
        2 => spo2,
        _ => 0,
    };
    let frame = |index: usize| {
        let head = [0x01, 0x80 | u8::from(index == 0), 100, float(index)];
        let sum = head.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        [head[0], head[1], head[2], head[3], sum]
    };
    (0..25).flat_map(frame).collect()
}

/// Fifteen packets are five seconds of a finger.
fn finger(spo2: u8, pulse: u16) -> Vec<u8> {
    packet(spo2, pulse).repeat(15)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serial_device_is_read_unplugged_and_read_again() {
    let broker = Mosquitto::start();
    let core = Core::start(&broker, true).await;
    let dir = tempfile::tempdir().unwrap();
    let port = dir.path().join("nonin");
    let text = format!(
        "kit = \"kit-1\"\nzone = \"UTC\"\ndata_dir = \"data\"\n[broker]\nhost = \"127.0.0.1\"\nport = {}\nsecret = \"s\"\n\
         [[device]]\ndriver = \"nonin-df2\"\npath = {port:?}\nname = \"501\"\n",
        broker.port
    );
    let settings = config::parse(&dir.path().join("edge.toml"), &text).unwrap();
    let stop = CancellationToken::new();
    let agent = tokio::spawn(agent::run(settings, stop.clone()));
    let problem = |heard: &Heard| heard.statuses.last().and_then(|s| s.devices.first()?.problem.clone());
    core.until("a missing port is reported", |heard| problem(heard).is_some_and(|p| p.contains("can't open"))).await;

    let mut line = Line::plug(&port);
    core.until("the port is open", |heard| heard.statuses.last().is_some_and(|s| s.online)).await;
    // Written before the agent has opened the line, bytes would be echoed and changed by its terminal settings.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    line.device.write_all(&finger(93, 72)).unwrap();
    core.until("a reading", |heard| heard.messages.iter().any(|m| m.readings[0].value.to_string() == "93")).await;
    core.until("the device is there", |heard| heard.statuses.last().is_some_and(|s| s.devices[0].present)).await;

    line.device.write_all(&packet(93, 72)[..62]).unwrap();
    drop(line);
    core.until("it is missed", |heard| heard.statuses.last().is_some_and(|s| !s.devices[0].present)).await;

    let mut line = Line::plug(&port);
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    line.device.write_all(&finger(84, 110)).unwrap();
    core.until("a reading after it", |heard| heard.messages.iter().any(|m| m.readings[0].value.to_string() == "84"))
        .await;
    core.until("nothing waits", |heard| heard.statuses.last().is_some_and(|s| s.spooled == 0 && s.devices[0].present))
        .await;

    stop.cancel();
    agent.await.unwrap().unwrap();
    core.until("a goodbye", |heard| heard.statuses.last().is_some_and(|s| !s.online)).await;
    let heard = core.heard.lock().unwrap();
    assert_eq!(heard.messages[0].readings.len(), 2, "SpO2 and pulse");
    assert_eq!(heard.messages[0].readings[0].device.as_str(), "nonin-df2:501");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bluetooth_bus_the_rest_goes_on_and_it_is_said() {
    let broker = Mosquitto::start();
    let core = Core::start(&broker, true).await;
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "kit = \"kit-1\"\nzone = \"UTC\"\ndata_dir = \"data\"\nadapter = \"hci7\"\n[broker]\nhost = \"127.0.0.1\"\nport = {}\nsecret = \"s\"\n\
         [[device]]\ndriver = \"gatt-plx\"\naddress = \"C0:FF:EE:00:00:01\"\n",
        broker.port
    );
    let settings = config::parse(&dir.path().join("edge.toml"), &text).unwrap();
    let second = config::parse(&dir.path().join("edge.toml"), &text).unwrap();
    let stop = CancellationToken::new();
    let agent = tokio::spawn(agent::run(settings, stop.clone()));
    core.until("it is said", |heard| {
        heard.statuses.last().is_some_and(|s| s.online && s.problems.iter().any(|p| p.starts_with("bluetooth: ")))
    })
    .await;
    let refused = agent::run(second, stop.clone()).await.unwrap_err().to_string();
    assert!(refused.ends_with("is in use by another vagt-edge"), "{refused}");
    stop.cancel();
    agent.await.unwrap().unwrap();
}

/// Writes what a finger gives, as long as the line is set as the device is; noise, as a wrong speed makes of it, while it is not.
fn speaks_at_4800(mut device: File, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let set = rustix::termios::tcgetattr(&device).unwrap();
        let right = set.output_speed() == 4800;
        let noise: Vec<u8> = packet(93, 72).iter().map(|byte| byte.reverse_bits() | 0x41).collect();
        let said = if right { packet(93, 72) } else { noise };
        if device.write_all(&said).is_err() {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(333));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_speaks_at_another_speed_is_found_out_and_named() {
    let broker = Mosquitto::start();
    let core = Core::start(&broker, true).await;
    let dir = tempfile::tempdir().unwrap();
    let port = dir.path().join("nonin");
    let text = format!(
        "kit = \"kit-1\"\nzone = \"UTC\"\ndata_dir = \"data\"\n[broker]\nhost = \"127.0.0.1\"\nport = {}\nsecret = \"s\"\n\
         [[device]]\ndriver = \"nonin-df2\"\npath = {port:?}\nname = \"501\"\n",
        broker.port
    );
    let settings = config::parse(&dir.path().join("edge.toml"), &text).unwrap();
    let (stop, line) = (CancellationToken::new(), Line::plug(&port));
    let (device, until) = (line.device.try_clone().unwrap(), stop.clone());
    let agent = tokio::spawn(agent::run(settings, stop.clone()));
    let thread = std::thread::spawn(move || speaks_at_4800(device, &until));
    core.until("a reading", |heard| heard.messages.iter().any(|m| m.readings[0].value.to_string() == "93")).await;
    let sentence = "speaks 4800 baud 8N1, where 9600 baud 8N1 was expected";
    core.until("it is named", |heard| {
        let device = heard.statuses.last().and_then(|status| status.devices.first());
        device.is_some_and(|device| device.present && device.problem.as_deref() == Some(sentence))
    })
    .await;
    stop.cancel();
    thread.join().unwrap();
    agent.await.unwrap().unwrap();
}
