//! One visit to one Bluetooth device: connect, subscribe, read, listen until it has told everything or hangs up.

use std::time::{Duration, Instant};

use btleplug::{
    api::{CharPropFlags, Characteristic, Peripheral as _, ValueNotification, WriteType},
    platform::Peripheral,
};
use drivers::{Channel, Transport};
use futures::{FutureExt as _, Stream, StreamExt as _};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{CALL_DEADLINE, RESOLVE_DEADLINE, Radio, call, within};
use crate::{
    config::BleDevice,
    identity,
    link::{
        Links,
        talk::{Talk, Writes},
        until,
    },
};

/// Device Information: the serial number and the maker's name.
const SERIAL_NUMBER: Uuid = Uuid::from_u128(0x0000_2a25_0000_1000_8000_0080_5f9b_34fb);
const MANUFACTURER: Uuid = Uuid::from_u128(0x0000_2a29_0000_1000_8000_0080_5f9b_34fb);
/// The maker of simulated devices.
const MANUFACTURER_SIMULATED: &[u8] = b"Simulated";
/// A device that stays connected and says nothing for this long is let go.
const SILENT_MAX: Duration = Duration::from_secs(60);
/// After everything was told, the core has this long to acknowledge, so that the device may forget.
const KEPT_MAX: Duration = Duration::from_secs(5);
/// Values that were on their way when the device hung up.
const LEFT_OVER: Duration = Duration::from_millis(250);
/// Values taken together in one go.
const PACKETS_MAX: usize = 64;

/// What a visit brought.
#[derive(Clone, Copy, Debug)]
pub struct Visited {
    /// The device said something.
    pub heard: bool,
    /// Measurements.
    pub measured: usize,
}

type Packets = Vec<(Channel, Vec<u8>)>;

/// Visits a device.
pub async fn visit(
    links: &Links,
    radio: &Radio,
    device: &BleDevice,
    peripheral: Peripheral,
    hung_up: &CancellationToken,
) -> Result<Visited, String> {
    let visited = match radio.connect(&peripheral).await {
        Ok(()) => talk(links, device, &peripheral, hung_up).await,
        Err(problem) => Err(problem),
    };
    // Also after a failed attempt, which BlueZ would go on with.
    let hung_up_first = hung_up.is_cancelled();
    let disconnected = timeout(CALL_DEADLINE, peripheral.disconnect()).await;
    tracing::debug!(hung_up_first, ok = matches!(disconnected, Ok(Ok(()))), "bluetooth: disconnected");
    visited
}

async fn talk(
    links: &Links,
    device: &BleDevice,
    peripheral: &Peripheral,
    hung_up: &CancellationToken,
) -> Result<Visited, String> {
    let Transport::Ble { subscribe, read, .. } = device.driver.transport else {
        return Err(format!("{} is no Bluetooth driver", device.driver.name));
    };
    within(RESOLVE_DEADLINE, "the device does not tell its services", peripheral.discover_services()).await?;
    let characteristics: Vec<Characteristic> =
        peripheral.services().into_iter().flat_map(|service| service.characteristics).collect();
    let find = |uuid: Uuid| characteristics.iter().find(|characteristic| characteristic.uuid == uuid);
    if subscribe.first().is_some_and(|main| find(*main).is_none()) {
        return Err(format!("the device has no characteristic {}, which {} needs", subscribe[0], device.driver.name));
    }
    let mut values = call("can't listen to the device", peripheral.notifications()).await?;
    let serial = read_text(peripheral, find(SERIAL_NUMBER)).await;
    let simulated =
        read_text(peripheral, find(MANUFACTURER)).await.is_some_and(|maker| maker.starts_with(MANUFACTURER_SIMULATED));
    for characteristic in subscribe.iter().filter_map(|uuid| find(*uuid)) {
        if characteristic.properties.intersects(CharPropFlags::NOTIFY | CharPropFlags::INDICATE) {
            call("can't subscribe", peripheral.subscribe(characteristic)).await?;
        }
    }
    let serial =
        serial.as_deref().and_then(identity::serial_number).unwrap_or_else(|| peripheral.address().to_string());
    let id = identity::device_id(device.driver, &serial);
    let mut talk = Talk::new(links, device.driver, device.key(), id, simulated);
    let mut writes = talk.connected().await;
    for uuid in read {
        if let Some(value) = read_text(peripheral, find(*uuid)).await {
            writes.extend(talk.received(&[(Channel::Characteristic(*uuid), value)]).await);
        }
    }
    let heard = listen(links, peripheral, &characteristics, &mut talk, &mut values, writes, hung_up).await;
    let measured = talk.closed().await;
    heard.map(|heard| Visited { heard, measured })
}

/// Until the device has told everything, hangs up or falls silent. Returns whether it said anything.
async fn listen(
    links: &Links,
    peripheral: &Peripheral,
    characteristics: &[Characteristic],
    talk: &mut Talk,
    values: &mut (impl Stream<Item = ValueNotification> + Unpin),
    mut writes: Writes,
    hung_up: &CancellationToken,
) -> Result<bool, String> {
    let (mut heard, mut last) = (false, Instant::now());
    let mut told_at = None;
    loop {
        write(peripheral, characteristics, writes).await?;
        if talk.ended && told_at.is_none() {
            told_at = Some(Instant::now());
        }
        let leave_at = match told_at {
            Some(at) if talk.owes() => at + KEPT_MAX,
            Some(at) => at,
            None => last + SILENT_MAX,
        };
        let timeout_at = talk.timeout_at();
        writes = tokio::select! {
            biased;
            Some(value) = values.next() => {
                (heard, last, told_at, talk.ended) = (true, Instant::now(), None, false);
                talk.received(&with_more(value, values)).await
            }
            () = hung_up.cancelled() => break,
            () = links.stop.cancelled() => break,
            () = talk.covered() => talk.kept().await,
            () = until(timeout_at) => talk.timed_out().await,
            () = sleep_until(leave_at.into()) => break,
        };
    }
    while let Ok(Some(value)) = timeout(LEFT_OVER, values.next()).await {
        heard = true;
        talk.received(&with_more(value, values)).await;
    }
    Ok(heard)
}

/// With what else has come already.
fn with_more(first: ValueNotification, values: &mut (impl Stream<Item = ValueNotification> + Unpin)) -> Packets {
    let packet = |value: ValueNotification| (Channel::Characteristic(value.uuid), value.value);
    let mut packets = vec![packet(first)];
    while packets.len() < PACKETS_MAX
        && let Some(Some(value)) = values.next().now_or_never()
    {
        packets.push(packet(value));
    }
    packets
}

/// A write that the device refuses does not end the visit: what it measures counts more than its clock.
async fn write(peripheral: &Peripheral, characteristics: &[Characteristic], writes: Writes) -> Result<(), String> {
    for (channel, bytes) in writes {
        let Channel::Characteristic(uuid) = channel else { continue };
        let Some(characteristic) = characteristics.iter().find(|characteristic| characteristic.uuid == uuid) else {
            tracing::debug!(%uuid, "bluetooth: the device has nothing to write this to");
            continue;
        };
        let with_response = characteristic.properties.contains(CharPropFlags::WRITE);
        let kind = if with_response { WriteType::WithResponse } else { WriteType::WithoutResponse };
        if let Err(problem) = call("can't write to the device", peripheral.write(characteristic, &bytes, kind)).await {
            tracing::warn!(%uuid, %problem, "bluetooth: a write was refused");
        }
    }
    Ok(())
}

/// What the characteristic holds, if the device has it and lets it be read.
async fn read_text(peripheral: &Peripheral, characteristic: Option<&Characteristic>) -> Option<Vec<u8>> {
    let characteristic = characteristic.filter(|c| c.properties.contains(CharPropFlags::READ))?;
    timeout(CALL_DEADLINE, peripheral.read(characteristic)).await.ok()?.ok()
}
