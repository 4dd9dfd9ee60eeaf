//! `vagt-edge scan`: what is in range and on serial ports, and which driver would take it.

use std::{
    collections::BTreeMap,
    fs,
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use drivers::{Driver, Transport};
use serde::Serialize;
use serialport::SerialPortType;

use crate::link::ble::{self, InRange};

/// Where the system keeps names of serial ports that stay the same when a device is plugged into another socket.
const BY_ID: &str = "/dev/serial/by-id";

/// One thing that was found.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Found {
    link: &'static str,
    /// The address, or the path of the port.
    at: String,
    /// The advertised name; or of a serial port, what its USB adapter calls itself.
    name: Option<String>,
    /// How strongly it was heard, dBm.
    #[serde(skip_serializing_if = "Option::is_none")]
    rssi: Option<i16>,
    /// The USB adapter's vendor and product number, and its serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    usb: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usb_serial: Option<String>,
    /// Drivers that would take it. Which device is on a serial port can't be seen from outside.
    drivers: Vec<&'static str>,
}

/// Listens for `seconds` and prints what was found.
///
/// # Errors
/// When Bluetooth can't be used; what is on serial ports is printed before.
pub async fn run(seconds: u64, adapter: Option<String>, json: bool) -> anyhow::Result<()> {
    for found in on_serial(&links(Path::new(BY_ID))) {
        print(&found, json);
    }
    let shown = !json && std::io::stderr().is_terminal();
    let progress = |left: Duration, heard: usize| {
        if shown {
            eprint!("\rlistening, {} s left, {heard} Bluetooth devices known ", left.as_secs());
            let _unseen = std::io::stderr().flush();
        }
    };
    let heard = ble::scan(adapter.as_deref(), Duration::from_secs(seconds), progress).await;
    if shown {
        eprint!("\r\x1b[K");
    }
    let mut heard = heard.map_err(anyhow::Error::msg)?;
    // The nearest first; what BlueZ only remembers last.
    heard.sort_by_key(|device| (device.rssi.is_none(), device.rssi.map(|rssi| -rssi), device.address.clone()));
    for device in heard {
        print(&of_ble(device), json);
    }
    Ok(())
}

/// The drivers that would take what is in range, by the services that it advertises, or by how its name begins.
#[must_use]
pub fn takers(device: &InRange) -> Vec<&'static Driver> {
    let named = |names: &[&str]| device.name.as_ref().is_some_and(|name| names.iter().any(|n| name.starts_with(n)));
    let takes = |driver: &&Driver| match driver.transport {
        Transport::Ble { service, names, .. } => device.services.contains(&service) || named(names),
        Transport::Advertisement { service } => device.service_data.contains(&service),
        Transport::Serial { .. } => false,
    };
    drivers::DRIVERS.iter().filter(takes).collect()
}

fn of_ble(device: InRange) -> Found {
    let drivers = takers(&device).into_iter().map(|driver| driver.name).collect();
    let InRange { address, name, rssi, .. } = device;
    Found { link: "ble", at: address, name, rssi, usb: None, usb_serial: None, drivers }
}

/// What the names that stay the same stand for.
fn links(folder: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| Some((entry.path().canonicalize().ok()?, entry.path()))).collect()
}

fn on_serial(links: &BTreeMap<PathBuf, PathBuf>) -> Vec<Found> {
    let serial = drivers::DRIVERS.iter().filter(|driver| matches!(driver.transport, Transport::Serial { .. }));
    let drivers: Vec<_> = serial.map(|driver| driver.name).collect();
    let ports = serialport::available_ports().unwrap_or_default();
    ports.into_iter().map(|port| of_port(port, links, drivers.clone())).collect()
}

fn of_port(port: serialport::SerialPortInfo, links: &BTreeMap<PathBuf, PathBuf>, drivers: Vec<&'static str>) -> Found {
    let at = links.get(Path::new(&port.port_name)).map_or(port.port_name, |link| link.display().to_string());
    let SerialPortType::UsbPort(usb) = port.port_type else {
        return Found { link: "serial", at, name: None, rssi: None, usb: None, usb_serial: None, drivers };
    };
    let name: Vec<_> = [usb.manufacturer, usb.product].into_iter().flatten().collect();
    Found {
        link: "serial",
        at,
        name: (!name.is_empty()).then(|| name.join(" ")),
        rssi: None,
        usb: Some(format!("{:04x}:{:04x}", usb.vid, usb.pid)),
        usb_serial: usb.serial_number,
        drivers,
    }
}

fn print(found: &Found, json: bool) {
    if json {
        println!("{}", serde_json::json!(found));
    } else {
        println!("{}", line(found));
    }
}

fn line(found: &Found) -> String {
    let drivers = if found.drivers.is_empty() { "no driver".to_owned() } else { found.drivers.join(", ") };
    let near = found.rssi.map(|rssi| format!("{rssi} dBm")).or_else(|| found.usb.clone());
    let name = found.name.as_deref().unwrap_or("-");
    format!("{:<7} {:<32} {:<10} {name:<24} {drivers}", found.link, found.at, near.as_deref().unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use serialport::{SerialPortInfo, UsbPortInfo};

    use super::*;

    #[test]
    fn a_device_is_taken_by_its_service_or_by_its_name() {
        let drivers = |device: &InRange| takers(device).iter().map(|driver| driver.name).collect::<Vec<_>>();
        let mut taken = 0;
        for driver in drivers::DRIVERS {
            let device = match driver.transport {
                Transport::Ble { service, .. } => InRange { services: vec![service], ..InRange::default() },
                Transport::Advertisement { service } => InRange { service_data: vec![service], ..InRange::default() },
                Transport::Serial { .. } => continue,
            };
            assert!(drivers(&device).contains(&driver.name), "{}", driver.name);
            taken += 1;
            if let Transport::Ble { names: [name, ..], .. } = driver.transport {
                let named = InRange { name: Some(format!("{name} 12")), ..InRange::default() };
                assert!(drivers(&named).contains(&driver.name), "{}", driver.name);
            }
        }
        assert!(taken > 0);
        assert!(drivers(&InRange { name: Some("a lamp".to_owned()), ..InRange::default() }).is_empty());
    }

    #[test]
    fn a_port_is_named_by_the_link_that_stays_the_same_and_by_its_adapter() {
        let (dev, by_id) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (port, link) = (dev.path().join("ttyUSB0"), by_id.path().join("usb-Nonin_Xpod"));
        fs::write(&port, "").unwrap();
        std::os::unix::fs::symlink(&port, &link).unwrap();
        let usb = UsbPortInfo {
            vid: 0x0403,
            pid: 0x6001,
            serial_number: Some("A1".to_owned()),
            manufacturer: Some("FTDI".to_owned()),
            product: Some("FT232R".to_owned()),
        };
        let port_name = port.canonicalize().unwrap().display().to_string();
        let info = SerialPortInfo { port_name, port_type: SerialPortType::UsbPort(usb) };
        let found = of_port(info, &links(by_id.path()), vec!["nonin-df2"]);
        assert_eq!(found.at, link.display().to_string());
        assert!(line(&found).contains("0403:6001"), "{}", line(&found));
        assert!(line(&found).ends_with("FTDI FT232R              nonin-df2"), "{}", line(&found));
    }
}
