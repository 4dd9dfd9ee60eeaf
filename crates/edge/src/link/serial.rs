//! Devices on serial lines: a thread reads, a task talks. Unplugging and plugging in again is ordinary; the path may be a link that comes
//! and goes with the device. A line that is set wrongly brings bytes that the driver can't frame: then the other usual settings are tried.

mod settings;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    time::{Duration, Instant},
};

use drivers::{Channel, LineSettings, Parity, Transport};
use serialport::SerialPort;
use settings::Settings;
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{sleep, sleep_until},
};

use super::{
    Links,
    talk::{Party, Talk, Writes},
    until,
};
use crate::{backoff::Backoff, config::SerialDevice};

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
/// Settings that are only tried have this long to make sense.
const TRY_FOR: Duration = Duration::from_secs(4);
/// A device that says nothing at the usual settings for this long may speak at its driver's others.
const OTHERS_AFTER: Duration = Duration::from_secs(20);
/// Longer than any kit runs.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);
/// After all settings were tried in vain, before they are tried again.
const TRIED_REST: Duration = Duration::from_secs(60);

type Port = Box<dyn SerialPort>;

/// Why a conversation ended.
enum End {
    /// The line is gone, or the kit stops.
    Gone(String),
    /// Bytes came that the driver can't frame.
    NotUnderstood,
    /// Nothing came, and the device may be set otherwise.
    Silent,
}

/// Reads one device until the kit stops or the device is taken out of the configuration.
pub async fn run(links: Links, device: SerialDevice) {
    let Transport::Serial { settings: own } = device.driver.transport else {
        return tracing::error!(device = ?device, "serial: not a serial driver");
    };
    let key = device.key();
    let (mut backoff, mut settings) = (Backoff::new(OPEN_FIRST, OPEN_CAP), Settings::new(own));
    let mut silent_at = Instant::now() + SILENT_AFTER;
    while !links.stop.is_cancelled() {
        let wait = match open(&device, settings.current()).await {
            Ok(port) => {
                backoff.reset();
                tracing::info!(device = ?device, settings = %settings.current(), "serial: open");
                let end = converse(&links, &device, &key, port, &mut settings, &mut silent_at).await;
                ended(&links, &device, &key, end, &mut settings, &mut backoff)
            }
            Err(problem) => {
                silent_at = Instant::now() + SILENT_AFTER;
                gone(&links, &device, &key, &problem, &mut backoff)
            }
        };
        tokio::select! {
            () = links.stop.cancelled() => {}
            () = sleep(wait) => {}
        }
    }
}

/// Chooses the next settings; returns how long to wait before they are tried.
fn ended(
    links: &Links,
    device: &SerialDevice,
    key: &str,
    end: End,
    settings: &mut Settings,
    backoff: &mut Backoff,
) -> Duration {
    match end {
        End::Gone(problem) => gone(links, device, key, &problem, backoff),
        End::Silent => {
            settings.silent();
            Duration::ZERO
        }
        End::NotUnderstood if settings.wrong() => {
            let name = device.driver.name;
            let sentence =
                format!("bytes come that {name} can't read at any usual speed; is another device plugged in here?");
            links.board.note(key, Some(sentence));
            TRIED_REST
        }
        End::NotUnderstood => Duration::ZERO,
    }
}

fn gone(links: &Links, device: &SerialDevice, key: &str, problem: &str, backoff: &mut Backoff) -> Duration {
    if !links.stop.is_cancelled() {
        links.trouble(key, device.driver, problem);
    }
    backoff.failed(rand::random())
}

async fn open(device: &SerialDevice, settings: LineSettings) -> Result<Port, String> {
    let LineSettings { baud, parity } = settings;
    let parity = match parity {
        Parity::None => serialport::Parity::None,
        Parity::Odd => serialport::Parity::Odd,
    };
    let path = device.key();
    let builder = serialport::new(path.clone(), baud).parity(parity).timeout(READ_TIMEOUT);
    let opened = spawn_blocking(move || builder.open()).await.map_err(|error| error.to_string())?;
    opened.map_err(|error| format!("can't open {path}: {error}"))
}

/// Talks until the line is gone, or can't be understood as it is set.
async fn converse(
    links: &Links,
    device: &SerialDevice,
    key: &str,
    port: Port,
    settings: &mut Settings,
    silent_at: &mut Instant,
) -> End {
    let mut writer = match port.try_clone() {
        Ok(writer) => writer,
        Err(error) => return End::Gone(format!("can't open the line for writing: {error}")),
    };
    let (sender, mut reads) = mpsc::channel(READS_MAX);
    let mut thread = spawn_blocking(move || read(port, &sender));
    let party = Party { driver: device.driver, options: &device.options, key, called: &device.name };
    let mut talk = Talk::new(links, &party);
    let (began, mut heard) = (Instant::now(), false);
    let others = matches!(device.driver.transport, Transport::Serial { settings } if settings.len() > 1);
    let mut writes = talk.connected(&[]).await;
    let end = loop {
        match write(writer, writes).await {
            Ok(same) => writer = same,
            Err(reason) => break End::Gone(reason),
        }
        match talk.understands() {
            Some(true) => links.board.note(key, settings.understood()),
            Some(false) => break End::NotUnderstood,
            None => {}
        }
        let give_up_at = give_up_at(began, heard, settings.are_a_try(), others && !settings.are_right());
        let timeout_at = talk.timeout_at();
        writes = tokio::select! {
            () = links.stop.cancelled() => break End::Gone("stopped".to_owned()),
            Some(bytes) = reads.recv() => {
                (heard, *silent_at) = (true, Instant::now() + SILENT_AFTER);
                talk.received(&more(bytes, &mut reads)).await
            }
            reason = &mut thread => break End::Gone(reason.unwrap_or_else(|error| error.to_string())),
            () = until(timeout_at) => talk.timed_out().await,
            () = talk.covered() => talk.kept().await,
            () = sleep_until(give_up_at.into()) => break if heard { End::NotUnderstood } else { End::Silent },
            () = sleep_until((*silent_at).into()), if talk.speaks_by_itself() => {
                links.board.absent(key, Some(format!("the line is open, but nothing came for {} s", SILENT_AFTER.as_secs())));
                *silent_at += SILENT_AFTER;
                Writes::new()
            }
        };
    };
    reads.close();
    while let Ok(bytes) = reads.try_recv() {
        talk.received(&[(Channel::Line, bytes)]).await;
    }
    talk.closed().await;
    end
}

/// When these settings have had their time.
fn give_up_at(began: Instant, heard: bool, are_a_try: bool, others: bool) -> Instant {
    match (are_a_try, heard) {
        (true, _) => began + TRY_FOR,
        (false, false) if others => began + OTHERS_AFTER,
        _ => began + FOR_EVER,
    }
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
