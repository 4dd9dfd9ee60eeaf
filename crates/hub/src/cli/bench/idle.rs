//! `vagt bench idle`: kits by the hundred thousand, connected, signed in, listening, with nothing to send: how fast they come back after a
//! restart of the service, and what memory each costs.
//!
//! The kits come from many addresses of the loopback network: one address has about 28,000 ports to call from.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, atomic},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use vitals::KitId;

use super::{
    child::{Child, Stand},
    kit::sign_in,
    report::{Latency, new_histogram, round},
};

/// What `idle` is told.
#[derive(clap::Args)]
pub struct Args {
    /// How many kits.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    kits: u32,
    /// How many connect at the same time.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    at_once: u16,
    /// How long they may take, in seconds; then those that stand are measured.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Where the temporary files go.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Print one JSON line.
    #[arg(long)]
    pub(super) json: bool,
}

/// Kits that call from one address.
const KITS_OF_ADDRESS: u32 = 10_000;
/// Files that either program has open besides.
const OTHER_FILES: u64 = 500;
/// How long one may take.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// After the last connection, before memory is looked at.
const SETTLE: Duration = Duration::from_secs(5);
const KIB: f64 = 1024.0;

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Idle {
    bench: &'static str,
    kits: u32,
    /// How many stood at the end.
    connected: u64,
    /// What kept it from more.
    stopped_by: Option<String>,
    connect_seconds: f64,
    connections_per_second: f64,
    connect_ms: Latency,
    server_cpu_us_per_connection: f64,
    /// The service with the roster of these kits, nobody connected.
    idle_mib: f64,
    connected_mib: f64,
    kib_per_connection: f64,
}

impl std::fmt::Display for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { connected, connect_seconds, connections_per_second, kib_per_connection, .. } = self;
        let Self { idle_mib, connected_mib, .. } = self;
        write!(
            f,
            "{connected} idle kits: {connect_seconds:.1} s to connect, {connections_per_second:.0} a second; memory {idle_mib:.0} MiB before, \
             {connected_mib:.0} MiB after, {kib_per_connection:.1} KiB a connection"
        )?;
        self.stopped_by.as_ref().map_or(Ok(()), |why| write!(f, "\nnot all {}: {why}", self.kits))
    }
}

/// Connects them and measures.
///
/// # Errors
/// The service can't be started.
pub(super) async fn run(args: &Args) -> anyhow::Result<Idle> {
    let (kits, limited) = affordable(args.kits)?;
    let stand = Stand::set_up(args.dir.as_deref(), kits, None).await?;
    let server = stand.start(&["serve", "--json"]).await?;
    sleep(SETTLE).await;
    let (idle, used) = (server.resident_mib()?, server.used()?);
    let storm = Storm::run(args, &stand, &server).await;
    sleep(SETTLE).await;
    let (connected, cpu) = (server.resident_mib()?, server.used()? - used);
    let count = storm.standing.iter().filter(|stream| is_open(stream)).count() as u64;
    drop(storm.standing);
    server.kill().await?;
    Ok(Idle {
        bench: "idle",
        kits: args.kits,
        connected: count,
        stopped_by: storm.failed.or(limited),
        connect_seconds: round(storm.seconds),
        connections_per_second: round(count as f64 / storm.seconds),
        connect_ms: Latency::of(&storm.latency),
        server_cpu_us_per_connection: round(cpu * 1e6 / count.max(1) as f64),
        idle_mib: idle,
        connected_mib: connected,
        kib_per_connection: round((connected - idle) * KIB / count.max(1) as f64),
    })
}

/// Raises how many files may be open, here and in what is started from here. As many kits as that allows, and what it is if that is fewer.
fn affordable(kits: u32) -> anyhow::Result<(u32, Option<String>)> {
    let wanted = u64::from(kits) + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok((kits, None));
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
    if setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok() {
        return Ok((kits, None));
    }
    let most = limit.maximum.unwrap_or(wanted).min(wanted);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }).context("open files")?;
    let said = format!("found {most} open files allowed to a process, want {wanted} (ulimit -Hn)");
    Ok((u32::try_from(most.saturating_sub(OTHER_FILES))?.min(kits), Some(said)))
}

/// Everybody at once, as after a restart.
struct Storm {
    standing: Vec<TcpStream>,
    latency: Histogram<u64>,
    seconds: f64,
    failed: Option<String>,
}

/// What the connecting tasks share.
struct Waiting {
    kits: Vec<(KitId, String)>,
    next: atomic::AtomicUsize,
    to: SocketAddr,
    until: Instant,
}

impl Storm {
    async fn run(args: &Args, stand: &Stand, server: &Child) -> Self {
        let started = Instant::now();
        let waiting = Arc::new(Waiting {
            kits: stand.kits().to_vec(),
            next: atomic::AtomicUsize::new(0),
            to: server.mqtt(),
            until: started + Duration::from_secs(args.seconds),
        });
        let mut tasks = JoinSet::new();
        for _ in 0..args.at_once {
            tasks.spawn_local(connect_some(Arc::clone(&waiting)));
        }
        let mut storm = Self { standing: Vec::new(), latency: new_histogram(), seconds: 0.0, failed: None };
        while let Some(ended) = tasks.join_next().await {
            let (streams, micros, failed) = ended.expect("a connecting task does not panic");
            storm.standing.extend(streams);
            micros.into_iter().for_each(|micros| storm.latency.saturating_record(micros));
            storm.failed = storm.failed.or(failed);
        }
        storm.seconds = started.elapsed().as_secs_f64();
        storm
    }
}

type Connected = (Vec<TcpStream>, Vec<u64>, Option<String>);

/// Connects one after the other, until there are no more or one fails.
async fn connect_some(waiting: Arc<Waiting>) -> Connected {
    let (mut streams, mut micros) = (Vec::new(), Vec::new());
    loop {
        let number = waiting.next.fetch_add(1, atomic::Ordering::Relaxed);
        let Some((kit, secret)) = waiting.kits.get(number) else { return (streams, micros, None) };
        let started = Instant::now();
        if started > waiting.until {
            let said = format!("the time was over at kit {number} of {}", waiting.kits.len());
            return (streams, micros, Some(said));
        }
        let connected = timeout(CONNECT_MAX, connect(waiting.to, number, kit, secret)).await;
        match connected.map_err(|_| anyhow::anyhow!("no answer within {CONNECT_MAX:?}")).flatten() {
            Ok(stream) => streams.push(stream),
            Err(error) => return (streams, micros, Some(format!("kit {number}: {error:#}"))),
        }
        micros.push(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
}

async fn connect(to: SocketAddr, number: usize, kit: &KitId, secret: &str) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let group = u32::try_from(number)? / KITS_OF_ADDRESS;
    socket.bind(SocketAddr::from((Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 0x100 + group), 0)))?;
    let mut stream = socket.connect(to).await?;
    sign_in(&mut stream, kit, secret).await?;
    Ok(stream)
}

/// Nothing to read is what an idle connection has; its end would be read as zero bytes.
fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0];
    match stream.try_read(&mut byte) {
        Ok(bytes) => bytes > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}
