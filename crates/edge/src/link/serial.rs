//! Devices on serial lines: a thread reads, a task talks. Unplugging and plugging in again is ordinary; the path may be a link that comes
//! and goes with the device.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    time::{Duration, Instant},
};

use drivers::{Channel, LineSettings, Parity, Transport};
use serialport::SerialPort;
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{sleep, sleep_until},
};

use super::{
    Links,
    talk::{Talk, Writes},
    until,
};
use crate::{backoff::Backoff, config::SerialDevice, identity};

/// How long a read waits; as often the thread looks whether anybody still listens.
const READ_TIMEOUT: Duration = Duration::from_millis(200);
/// Bytes of one read.
const READ_BYTES_MAX: usize = 1024;
/// Reads that wait to be looked at; then the thread waits.
const READS_MAX: usize = 64;
/// A port that is open and says nothing for this long is reported.
const SILENT_AFTER: Duration = Duration::from_secs(60);
/// Between attempts to open a port, at first and in the end, at most. Opening is cheap, and somebody may be waiting beside it.
const OPEN_FIRST: Duration = Duration::from_millis(500);
const OPEN_CAP: Duration = Duration::from_secs(5);

type Port = Box<dyn SerialPort>;

/// Reads one device until the kit stops.
pub async fn run(links: Links, device: SerialDevice) {
    let key = device.path.display().to_string();
    let mut backoff = Backoff::new(OPEN_FIRST, OPEN_CAP);
    while !links.stop.is_cancelled() {
        let opened = open(&device).await;
        let problem = match opened {
            Ok(port) => {
                backoff.reset();
                tracing::info!(device = ?device, "serial: open");
                converse(&links, &device, &key, port).await
            }
            Err(problem) => problem,
        };
        if links.stop.is_cancelled() {
            return;
        }
        links.board.absent(&key, Some(problem));
        let wait = backoff.failed(rand::random());
        tokio::select! {
            () = links.stop.cancelled() => {}
            () = sleep(wait) => {}
        }
    }
}

async fn open(device: &SerialDevice) -> Result<Port, String> {
    let Transport::Serial { settings } = device.driver.transport else {
        return Err(format!("{} is no serial driver", device.driver.name));
    };
    let LineSettings { baud, parity } = settings[0];
    let parity = match parity {
        Parity::None => serialport::Parity::None,
        Parity::Odd => serialport::Parity::Odd,
    };
    let path = device.path.display().to_string();
    let builder = serialport::new(path.clone(), baud).parity(parity).timeout(READ_TIMEOUT);
    let opened = spawn_blocking(move || builder.open()).await.map_err(|error| error.to_string())?;
    opened.map_err(|error| format!("can't open {path}: {error}"))
}

/// Talks until the line is gone; returns why.
async fn converse(links: &Links, device: &SerialDevice, key: &str, port: Port) -> String {
    let mut writer = match port.try_clone() {
        Ok(writer) => writer,
        Err(error) => return format!("can't open the line for writing: {error}"),
    };
    let (sender, mut reads) = mpsc::channel(READS_MAX);
    let mut thread = spawn_blocking(move || read(port, &sender));
    let id = identity::device_id(device.driver, &device.name);
    let mut talk = Talk::new(links, device.driver, key, id, false);
    let mut silent_at = Instant::now() + SILENT_AFTER;
    let mut writes = talk.connected().await;
    let reason = loop {
        match write(writer, writes).await {
            Ok(same) => writer = same,
            Err(reason) => break reason,
        }
        let timeout_at = talk.timeout_at();
        writes = tokio::select! {
            () = links.stop.cancelled() => break "stopped".to_owned(),
            Some(bytes) = reads.recv() => {
                silent_at = Instant::now() + SILENT_AFTER;
                talk.received(&more(bytes, &mut reads)).await
            }
            reason = &mut thread => break reason.unwrap_or_else(|error| error.to_string()),
            () = until(timeout_at) => talk.timed_out().await,
            () = talk.covered() => talk.kept().await,
            () = sleep_until(silent_at.into()) => {
                links.board.absent(key, Some(format!("the line is open, but nothing came for {} s", SILENT_AFTER.as_secs())));
                silent_at += SILENT_AFTER;
                Writes::new()
            }
        };
    };
    reads.close();
    while let Ok(bytes) = reads.try_recv() {
        talk.received(&[(Channel::Line, bytes)]).await;
    }
    talk.closed().await;
    reason
}

/// With what else has been read meanwhile.
fn more(first: Vec<u8>, reads: &mut mpsc::Receiver<Vec<u8>>) -> Vec<(Channel, Vec<u8>)> {
    let mut bytes = first;
    while let Ok(next) = reads.try_recv() {
        bytes.extend(next);
    }
    vec![(Channel::Line, bytes)]
}

/// Writes on a thread, since a full line may take its time. The writer comes back.
async fn write(mut writer: Port, writes: Writes) -> Result<Port, String> {
    if writes.is_empty() {
        return Ok(writer);
    }
    let written = spawn_blocking(move || {
        for (_, bytes) in &writes {
            writer.write_all(bytes)?;
        }
        Ok(writer)
    });
    let written: Result<_, std::io::Error> = written.await.map_err(|error| error.to_string())?;
    written.map_err(|error| format!("can't write to the line: {error}"))
}

/// Reads until the line is gone or nobody listens; returns why. Zero bytes mean unplugged.
fn read(mut port: Port, reads: &mpsc::Sender<Vec<u8>>) -> String {
    let mut buffer = [0; READ_BYTES_MAX];
    while !reads.is_closed() {
        match port.read(&mut buffer) {
            Ok(0) => return "unplugged".to_owned(),
            Ok(length) => {
                if reads.blocking_send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(error) => return format!("unplugged: {error}"),
        }
    }
    "stopped".to_owned()
}
