//! Listens to every simulated Bluetooth device through btleplug, as the kit does, and prints what it sends.
//!
//! Run with `DBUS_SYSTEM_BUS_ADDRESS=unix:path=...` naming the bus of a `firmware-sim home`.

use std::{collections::HashSet, error::Error, time::Duration};

use btleplug::{
    api::{Central as _, CentralEvent, CharPropFlags, Manager as _, Peripheral as _, ScanFilter},
    platform::{Manager, Peripheral},
};
use futures::StreamExt as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let adapters = Manager::new().await?.adapters().await?;
    let adapter = adapters.first().ok_or("no adapter")?;
    let mut events = adapter.events().await?;
    adapter.start_scan(ScanFilter::default()).await?;
    let mut busy = HashSet::new();
    while let Some(event) = events.next().await {
        let (CentralEvent::DeviceDiscovered(id) | CentralEvent::RssiUpdate { id, .. }) = event else { continue };
        let peripheral = adapter.peripheral(&id).await?;
        if peripheral.is_connected().await? || !busy.insert(id.clone()) {
            continue;
        }
        println!("{id}: found");
        if let Err(error) = listen(&peripheral).await {
            println!("{id}: {error}");
        }
        busy.remove(&id);
    }
    Ok(())
}

async fn listen(peripheral: &Peripheral) -> Result<(), Box<dyn Error>> {
    peripheral.connect().await?;
    peripheral.discover_services().await?;
    let mut values = peripheral.notifications().await?;
    for characteristic in peripheral.characteristics() {
        if characteristic.properties.contains(CharPropFlags::READ) {
            println!("{} {}", characteristic.uuid, hex(&peripheral.read(&characteristic).await?));
        }
    }
    for characteristic in peripheral.characteristics() {
        if characteristic.properties.intersects(CharPropFlags::INDICATE | CharPropFlags::NOTIFY) {
            peripheral.subscribe(&characteristic).await?;
        }
    }
    while let Ok(Some(value)) = tokio::time::timeout(Duration::from_secs(2), values.next()).await {
        println!("{} {}", value.uuid, hex(&value.value));
    }
    println!("{}: connected is {}", peripheral.id(), peripheral.is_connected().await?);
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
