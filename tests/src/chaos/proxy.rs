//! What stands between kits and hub and can go wrong: a TCP proxy that cuts (with a reset), hangs half open, is slow, refuses, and delivers what
//! was on its way after the kit has come again. (The kernel's own emulation, netem, is not built into every kernel.)

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// How long the other end may take to answer.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// What is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// How a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// As it should.
    Well,
    /// Reset, at both ends.
    Cut,
    /// Nothing comes through, and nobody is told.
    HalfOpen,
    /// The kit sees a reset; what it had sent arrives so many milliseconds later.
    CutLate(u64),
}

struct Wires {
    refuses: AtomicBool,
    delay_ms: AtomicU64,
    behind: (String, u16),
    open: Mutex<Vec<watch::Sender<Going>>>,
}

/// A running proxy. Dropped, it ends with all its connections.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    wires: Arc<Wires>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Opens it before what listens at this address and port.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn open(host: &str, behind: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let wires = Arc::new(Wires {
            refuses: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
            behind: (host.to_owned(), behind),
            open: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&wires)));
        Ok(Self { port, wires, accepting })
    }

    /// Has every connection of the moment go on like this.
    pub fn all(&self, going: Going) {
        let mut open = self.wires.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|wire| wire.send(going).is_ok());
    }

    /// Lets nobody in, or everybody again.
    pub fn refuse(&self, refuses: bool) {
        self.wires.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Everything takes so long each way.
    pub fn delay(&self, by: Duration) {
        self.wires.delay_ms.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.all(Going::Cut);
    }
}

async fn accept(listener: TcpListener, wires: Arc<Wires>) {
    while let Ok((kit, _)) = listener.accept().await {
        if wires.refuses.load(Ordering::Relaxed) {
            continue;
        }
        tokio::spawn(join(kit, Arc::clone(&wires)));
    }
}

/// One connection through: nobody else's waits for the other end to answer.
async fn join(kit: TcpStream, wires: Arc<Wires>) {
    let (host, port) = &wires.behind;
    let Ok(Ok(hub)) = tokio::time::timeout(CONNECT_MAX, TcpStream::connect((host.as_str(), *port))).await else {
        return;
    };
    let (wire, going) = watch::channel(Going::Well);
    wires.open.lock().unwrap_or_else(PoisonError::into_inner).push(wire);
    for end in [&kit, &hub] {
        // A connection that can't be made fast is slow, no more.
        _ = end.set_nodelay(true);
    }
    let ((from_kit, to_kit), (from_hub, to_hub)) = (kit.into_split(), hub.into_split());
    tokio::spawn(carry(from_kit, to_hub, going.clone(), Arc::clone(&wires), true));
    tokio::spawn(carry(from_hub, to_kit, going, Arc::clone(&wires), false));
}

/// One direction.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut going: watch::Receiver<Going>,
    wires: Arc<Wires>,
    up: bool,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = tokio::select! {
            changed = going.changed() => changed.map(|()| None).map_err(|_| ()),
            read = from.read(&mut chunk) => read.map(Some).map_err(|_| ()),
        };
        let now = *going.borrow();
        let read = match (read, now) {
            (Ok(Some(read)), _) => read,
            (Ok(None), Going::Well) => continue,
            (Ok(None), Going::HalfOpen) => return half_open(from, to, going).await,
            (Ok(None), Going::CutLate(ms)) if up => return late(from, to, ms).await,
            _ => break,
        };
        if read == 0 {
            break;
        }
        let delay = wires.delay_ms.load(Ordering::Relaxed);
        if delay > 0 {
            sleep(Duration::from_millis(delay)).await;
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            break;
        }
    }
    // A reset, not a polite end; where that can't be had, an end.
    _ = from.as_ref().set_zero_linger();
}

/// Holds both ends, and carries nothing, until somebody cuts or hangs up.
async fn half_open(from: OwnedReadHalf, to: OwnedWriteHalf, mut going: watch::Receiver<Going>) {
    while going.changed().await.is_ok() {
        if *going.borrow() == Going::Cut {
            break;
        }
    }
    drop((from, to));
}

/// What the kit had sent arrives late, when the kit has come again perhaps.
async fn late(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, ms: u64) {
    let mut held = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(Duration::from_millis(20), from.read(&mut chunk)).await {
        held.extend_from_slice(&chunk[..read]);
    }
    drop(from);
    sleep(Duration::from_millis(ms)).await;
    if to.write_all(&held).await.is_ok() {
        // The hub may read it until it sees the end.
        sleep(Duration::from_millis(200)).await;
    }
}
