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

use super::{
    Shared,
    radio::{CALL_DEADLINE, Failure, Radio, call, within},
};
use crate::{
    config::BleDevice,
    link::{
        Links,
        talk::{Party, Talk, Writes},
        until,
    },
};

/// Some devices take a new time only in the first seconds of a connection (A&D's, about five).
const READ_FOR: Duration = Duration::from_secs(4);
/// One value is waited for this long.
const READ_DEADLINE: Duration = Duration::from_secs(3);
/// From connected to known services.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(15);
/// A device that stays connected and says nothing for this long is let go.
const SILENT_MAX: Duration = Duration::from_secs(60);
/// After everything was told, the core has this long to acknowledge, so that the device may forget.
const KEPT_MAX: Duration = Duration::from_secs(15);
/// While there is no connection to the core, nothing is acknowledged: the device is told at a later visit.
const KEPT_OFFLINE_MAX: Duration = Duration::from_secs(2);
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
    shared: &Shared,
    radio: &Radio,
    device: &BleDevice,
    peripheral: Peripheral,
    hung_up: &CancellationToken,
) -> Result<Visited, Failure> {
    let visited = match radio.connect(&peripheral).await {
        Ok(()) => talk(shared, radio, device, &peripheral, hung_up).await,
        Err(problem) => Err(problem),
    };
    // Also after a failed attempt, which BlueZ would go on with.
    let hung_up_first = hung_up.is_cancelled();
    let disconnected = timeout(CALL_DEADLINE, peripheral.disconnect()).await;
    tracing::debug!(hung_up_first, ok = matches!(disconnected, Ok(Ok(()))), "bluetooth: disconnected");
    visited
}

async fn talk(
    shared: &Shared,
    radio: &Radio,
    device: &BleDevice,
    peripheral: &Peripheral,
    hung_up: &CancellationToken,
) -> Result<Visited, Failure> {
    let Transport::Ble { subscribe, read, .. } = device.driver.transport else {
        return Err(Failure::plain(format!("{} is not read by connecting to it", device.driver.name)));
    };
    let links = &shared.links;
    bond(shared, radio, device, peripheral).await?;
    within(RESOLVE_DEADLINE, "the device does not tell its services", peripheral.discover_services()).await?;
    let characteristics: Vec<Characteristic> =
        peripheral.services().into_iter().flat_map(|service| service.characteristics).collect();
    let find = |uuid: Uuid| characteristics.iter().find(|characteristic| characteristic.uuid == uuid);
    if subscribe.first().is_some_and(|main| find(*main).is_none()) {
        let sentence = format!("the device has no characteristic {}, which {} needs", subscribe[0], device.driver.name);
        return Err(Failure::plain(sentence));
    }
    let mut values = call("can't listen to the device", peripheral.notifications()).await?;
    let packets = read_all(peripheral, read, find, hung_up).await;
    let common = drivers::common_subscribe(&device.options);
    for characteristic in common.iter().chain(subscribe).filter_map(|uuid| find(*uuid)) {
        if characteristic.properties.intersects(CharPropFlags::NOTIFY | CharPropFlags::INDICATE) {
            subscribe_to(peripheral, characteristic, common).await?;
        }
    }
    let address = peripheral.address().to_string();
    let party = Party { driver: device.driver, options: &device.options, key: device.key(), called: &address };
    let mut talk = Talk::new(links, &party);
    let writes = talk.connected(&packets).await;
    let heard = listen(links, peripheral, &characteristics, &mut talk, &mut values, writes, hung_up).await;
    let measured = talk.closed().await;
    heard.map(|heard| Visited { heard, measured })
}

/// Bonds with a device that wants it, unless it is bonded with already.
#[cfg(feature = "pairing")]
async fn bond(shared: &Shared, radio: &Radio, device: &BleDevice, peripheral: &Peripheral) -> Result<(), Failure> {
    match device.bond {
        Some(bond) => shared.bonds.bond(&radio.name, &peripheral.address().to_string(), bond).await,
        None => Ok(()),
    }
}

#[cfg(not(feature = "pairing"))]
#[allow(clippy::unused_async, reason = "with the feature it waits")]
async fn bond(_: &Shared, _: &Radio, device: &BleDevice, _: &Peripheral) -> Result<(), Failure> {
    match device.bond {
        Some(_) => Err(Failure::plain("this vagt-edge was built without pairing, which the device is configured for")),
        None => Ok(()),
    }
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
) -> Result<bool, Failure> {
    let (mut heard, mut last) = (false, Instant::now());
    let mut told_at = None;
    loop {
        write(peripheral, characteristics, writes).await?;
        if talk.ended && told_at.is_none() {
            told_at = Some(Instant::now());
        }
        let leave_at = match told_at {
            Some(at) if talk.owes() && links.board.has_problem("broker") => at + KEPT_OFFLINE_MAX,
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
            () = talk.covered() => {
                let forget = talk.kept().await;
                if !forget.is_empty() {
                    // The device answers before it has forgotten: the visit goes on until it has.
                    (last, told_at, talk.ended) = (Instant::now(), None, false);
                }
                forget
            }
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
async fn write(peripheral: &Peripheral, characteristics: &[Characteristic], writes: Writes) -> Result<(), Failure> {
    for (channel, bytes) in writes {
        let Channel::Characteristic(uuid) = channel else { continue };
        let Some(characteristic) = characteristics.iter().find(|characteristic| characteristic.uuid == uuid) else {
            tracing::debug!(%uuid, "bluetooth: the device has nothing to write this to");
            continue;
        };
        let with_response = characteristic.properties.contains(CharPropFlags::WRITE);
        let kind = if with_response { WriteType::WithResponse } else { WriteType::WithoutResponse };
        if let Err(failure) = call("can't write to the device", peripheral.write(characteristic, &bytes, kind)).await {
            tracing::warn!(%uuid, problem = failure.sentence, "bluetooth: a write was refused");
        }
    }
    Ok(())
}

/// What every device may tell at once, and what this one's driver reads: before the device begins to send. A slow one is not asked for all.
async fn read_all<'a>(
    peripheral: &Peripheral,
    read: &[Uuid],
    find: impl Fn(Uuid) -> Option<&'a Characteristic>,
    hung_up: &CancellationToken,
) -> Packets {
    let (began, mut packets) = (Instant::now(), Packets::new());
    for uuid in read.iter().chain(drivers::COMMON_READ) {
        if hung_up.is_cancelled() || began.elapsed() > READ_FOR {
            break;
        }
        let value = read_value(peripheral, find(*uuid)).await;
        packets.extend(value.map(|value| (Channel::Characteristic(*uuid), value)));
    }
    packets
}

/// A device is read also without what is not of its profile.
async fn subscribe_to(
    peripheral: &Peripheral,
    characteristic: &Characteristic,
    common: &[Uuid],
) -> Result<(), Failure> {
    let subscribed = call("can't subscribe", peripheral.subscribe(characteristic)).await;
    match subscribed {
        Err(failure) if common.contains(&characteristic.uuid) => {
            tracing::warn!(uuid = %characteristic.uuid, problem = failure.sentence, "bluetooth: not of the profile, and refused");
            Ok(())
        }
        subscribed => subscribed,
    }
}

/// What the characteristic holds, if the device has it and lets it be read.
async fn read_value(peripheral: &Peripheral, characteristic: Option<&Characteristic>) -> Option<Vec<u8>> {
    let characteristic = characteristic.filter(|c| c.properties.contains(CharPropFlags::READ))?;
    timeout(READ_DEADLINE, peripheral.read(characteristic)).await.ok()?.ok()
}
