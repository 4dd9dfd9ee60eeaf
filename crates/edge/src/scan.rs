//! `vagt-edge scan`: what is in range and on serial ports, and which driver would take it.

use std::{collections::BTreeMap, time::Duration};

use drivers::Transport;
use serde::Serialize;

use crate::link::ble;

/// One thing that was found.
#[derive(Serialize)]
struct Found {
    link: &'static str,
    /// The address, or the path of the port.
    at: String,
    name: Option<String>,
    /// Drivers that would take it. Which device is on a serial port can't be seen from outside.
    drivers: Vec<&'static str>,
}

/// Listens for `seconds` and prints what was found.
///
/// # Errors
/// When Bluetooth can't be used; what is on serial ports is printed before.
pub async fn run(seconds: u64, adapter: Option<String>, json: bool) -> anyhow::Result<()> {
    for port in serialport::available_ports().unwrap_or_default() {
        print(&Found { link: "serial", at: port.port_name, name: None, drivers: of_serial() }, json);
    }
    let heard = ble::scan(adapter.as_deref(), Duration::from_secs(seconds)).await.map_err(anyhow::Error::msg)?;
    let mut seen = BTreeMap::new();
    for device in heard {
        seen.insert(device.address.clone(), device);
    }
    for (at, device) in seen {
        let drivers = drivers::DRIVERS.iter().filter(
            |driver| matches!(driver.transport, Transport::Ble { service, .. } if device.services.contains(&service)),
        );
        print(
            &Found { link: "ble", at, name: device.name, drivers: drivers.map(|driver| driver.name).collect() },
            json,
        );
    }
    Ok(())
}

fn of_serial() -> Vec<&'static str> {
    let serial = drivers::DRIVERS.iter().filter(|driver| matches!(driver.transport, Transport::Serial { .. }));
    serial.map(|driver| driver.name).collect()
}

fn print(found: &Found, json: bool) {
    if json {
        println!("{}", serde_json::json!(found));
    } else {
        let drivers = if found.drivers.is_empty() { "no driver".to_owned() } else { found.drivers.join(", ") };
        println!("{:<7} {:<32} {:<24} {drivers}", found.link, found.at, found.name.as_deref().unwrap_or("-"));
    }
}
