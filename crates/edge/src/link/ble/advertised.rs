//! Devices that are never connected to: they put what they measured into their advertisements.
//!
//! One conversation for each, that begins with the first advertisement and ends after a time of silence. What comes faster than it can be
//! taken is dropped: an advertisement is said many times.

use std::time::{Duration, Instant};

use drivers::{Channel, Transport};
use tokio::{
    sync::mpsc,
    time::{sleep, sleep_until},
};

use crate::{
    config::BleDevice,
    link::{
        Links,
        talk::{Party, Talk},
        until,
    },
};

/// Advertisements of one device that wait.
const WAITING_MAX: usize = 16;
/// The same data again within this is the same advertisement, heard again or by another adapter.
const SAME_WITHIN: Duration = Duration::from_millis(500);
/// A device that is silent for this long is gone.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// Between two advertisements that are looked at, at least.
const PACE: Duration = Duration::from_millis(20);

/// A device's ear.
pub struct Ear {
    sender: mpsc::Sender<Vec<u8>>,
    last: Option<(Instant, Vec<u8>)>,
}

impl Ear {
    /// Begins to listen to a device, until the kit stops. `None` if it is one to connect to.
    pub fn new(links: &Links, device: &BleDevice) -> Option<Self> {
        let Transport::Advertisement { service } = device.driver.transport else { return None };
        let (sender, heard) = mpsc::channel(WAITING_MAX);
        tokio::spawn(listen(links.clone(), device.clone(), Channel::Advertisement(service), heard));
        Some(Self { sender, last: None })
    }

    /// An advertisement with this data.
    pub fn heard(&mut self, now: Instant, data: &[u8]) {
        let same = self.last.as_ref().is_some_and(|(at, last)| now.duration_since(*at) < SAME_WITHIN && last == data);
        if !same && self.sender.try_send(data.to_vec()).is_ok() {
            self.last = Some((now, data.to_vec()));
        }
    }
}

async fn listen(links: Links, device: BleDevice, channel: Channel, mut heard: mpsc::Receiver<Vec<u8>>) {
    loop {
        tokio::select! {
            () = links.stop.cancelled() => return,
            data = heard.recv() => match data {
                Some(data) => converse(&links, &device, channel, data, &mut heard).await,
                None => return,
            },
        }
    }
}

/// Until it falls silent. There is nothing to write to, and nothing that it could forget.
async fn converse(
    links: &Links,
    device: &BleDevice,
    channel: Channel,
    first: Vec<u8>,
    heard: &mut mpsc::Receiver<Vec<u8>>,
) {
    let party = Party { driver: device.driver, options: &device.options, key: device.key(), called: device.key() };
    let mut talk = Talk::new(links, &party);
    let (mut next, mut last) = (Some(first), Instant::now());
    loop {
        if let Some(data) = next.take() {
            last = Instant::now();
            talk.received(&[(channel, data)]).await;
            sleep(PACE).await;
        }
        let timeout_at = talk.timeout_at();
        tokio::select! {
            () = links.stop.cancelled() => break,
            data = heard.recv() => match data {
                Some(data) => next = Some(data),
                None => break,
            },
            () = sleep_until((last + GONE_AFTER).into()) => break,
            () = until(timeout_at) => drop(talk.timed_out().await),
        }
    }
    talk.closed().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_advertisement_is_heard_once_and_a_flood_is_bounded() {
        let (sender, mut heard) = mpsc::channel(WAITING_MAX);
        let (mut ear, start) = (Ear { sender, last: None }, Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        ear.heard(at(0), &[1]);
        ear.heard(at(100), &[1]);
        ear.heard(at(200), &[2]);
        ear.heard(at(900), &[2]);
        let mut got = Vec::new();
        while let Ok(data) = heard.try_recv() {
            got.push(data);
        }
        assert_eq!(got, [vec![1], vec![2], vec![2]]);
        for byte in 0..=255 {
            ear.heard(at(1000), &[byte]);
        }
        assert_eq!(heard.len(), WAITING_MAX);
    }
}
