//! `vagt demo`: the whole clinic on one machine. Only the people and their devices are simulated: from the Bluetooth bus and the serial line on,
//! what runs is what runs in a clinic and in a home.

mod helper;
mod homes;
mod past;
mod people;
mod proposal;
mod tell;

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use anyhow::Context as _;
use futures::future::join_all;
use helper::Helper;
use homes::{Prepared, Programs};
use serde::Serialize;
use store::{Account, Roster, Store};
use tell::Teller;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::interval,
};
use tracing_subscriber::EnvFilter;

use super::{Ended, block_on};
use crate::{clock, config::Config, lock::Lock, serve::Service};

/// The zone of the clinic and of its homes.
const ZONE: &str = "Europe/Copenhagen";
/// Where the pages are, if nothing else is there.
const PORT: u16 = 8080;
/// The configuration file, in the demonstration's folder.
const CONFIG: &str = "hub.toml";
/// How often the queue is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// A day passes no faster than this: people measure twice a day, and a sitting must have ended before the next begins.
const DAY_SECONDS_MIN: f64 = 5.0;
/// A day passes no slower than a day.
const DAY_SECONDS_MAX: f64 = 86_400.0;
/// Who can sign in: user, name and role.
const ACCOUNTS: [(&str, &str, &str); 3] = [
    (NURSE, "Nurse (demonstration)", "nurse"),
    (OPERATOR, "Olga, operator (demonstration)", "operator"),
    (ADMIN, "Asta, admin (demonstration)", "admin"),
];
/// Who works at the queue.
const NURSE: &str = "nurse";
/// Who proposes.
const OPERATOR: &str = "olga";
/// Who can activate what the operator has proposed.
const ADMIN: &str = "asta";

/// The whole clinic on this machine: the service, and five simulated homes with their devices and kits.
///
/// Prints the address of the pages and the sign-in, and what happens. The devices are simulated on a private Bluetooth bus and on serial
/// lines; from there on everything is real: the kit's agent, MQTT, the triage, the pages. A day of the simulated people passes every eight
/// seconds; the first of them is alarmingly ill within a minute. Twelve more simulated people have ninety days behind them, which went through
/// the same triage: for backtests, reports, and a proposed programme that waits for a second signature. Ends with Ctrl-C, and leaves nothing
/// behind.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vagt demo
  vagt demo --port 9000 --minutes 10 --data /tmp/clinic

Needs dbus-daemon (Debian's dbus), and vagt-edge and firmware-sim beside vagt.")]
pub struct Args {
    /// The port of the pages: 8080 if it is free, else any.
    #[arg(long)]
    port: Option<u16>,
    /// The port of the front door; 0 takes any.
    #[arg(long, default_value_t = 0)]
    mqtt_port: u16,
    /// End after so many minutes.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    minutes: Option<u32>,
    /// Seconds in which a day of the simulated people passes.
    #[arg(long, default_value_t = 8.0)]
    day_seconds: f64,
    /// Keep the clinic's data in this folder, and go on with what is there.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// One line of JSON for each thing that happens: {"event":"ready","http","mqtt","user","password","config"}, {"event":"home"}, {"event":"alert"}.
    #[arg(long)]
    json: bool,
}

/// Runs until it is told to stop.
///
/// # Errors
/// Something is missing, or does not start.
pub fn run(args: &Args) -> Result<(), Ended> {
    if !(DAY_SECONDS_MIN..=DAY_SECONDS_MAX).contains(&args.day_seconds) {
        let found = args.day_seconds;
        return Err(Ended::Usage(format!("found --day-seconds {found}, want {DAY_SECONDS_MIN} to {DAY_SECONDS_MAX}")));
    }
    let programs = Programs::find()?;
    let folder = tempfile::Builder::new().prefix("vagt-demo-").tempdir()?;
    log_to(&folder.path().join("service.log"))?;
    let ended = block_on(async { Ok(demonstrate(args, &programs, folder.path()).await?) });
    if let Err(Ended::Failed(sentence)) = ended {
        let kept = folder.keep();
        return Err(Ended::Failed(format!("{sentence}. What every program said is in {}", kept.display())));
    }
    ended
}

async fn demonstrate(args: &Args, programs: &Programs, folder: &Path) -> anyhow::Result<()> {
    let told_to_stop = told_to_stop()?;
    let data = args.data.clone().unwrap_or_else(|| folder.join("data"));
    std::fs::create_dir_all(&data).with_context(|| data.display().to_string())?;
    let homes = Prepared::all(folder, &data.canonicalize()?);
    let config = configure(args, &data, folder, &homes)?;
    let mut teller = Teller::new(args.json, &homes);
    teller.past();
    let password = prepare(&config).await?;
    let mut service = Service::start(config).await?;
    let (ready, store) = (service.ready(), service.store());
    let mqtt = ready.mqtt.context("a demonstration has a front door")?;
    teller.ready((ready.http, mqtt), &password, &folder.join(CONFIG))?;
    let mut helpers = Vec::new();
    let lived = tokio::select! {
        () = told_to_stop => Ok(()),
        () = after(args.minutes) => Ok(()),
        ended = service.ended() => Err(ended),
        ended = live(&homes, programs, (mqtt, args.day_seconds), &*store, &mut helpers, &mut teller) => ended,
    };
    teller.stopping();
    stop(helpers).await;
    service.stop().await;
    lived
}

/// The service's configuration: the defaults, on this machine alone.
fn configure(args: &Args, data: &Path, folder: &Path, homes: &[Prepared]) -> anyhow::Result<Config> {
    let now = clock::now();
    let roster = Roster {
        patients: homes.iter().map(|home| home.patient(now)).collect(),
        kits: homes.iter().map(|home| home.kit(now)).collect(),
    };
    let path = folder.join("roster.toml");
    std::fs::write(&path, toml::to_string(&roster)?)?;
    let asked = Asked { clinic: "Vagt demo", zone: ZONE, simulated: true, data: &data.canonicalize()?, roster: &path };
    let text = toml::to_string(&asked)?;
    std::fs::write(folder.join(CONFIG), &text)?;
    std::fs::write(folder.join(proposal::FILE), proposal::text())?;
    let mut config = Config::parse(&text, CONFIG)?;
    config.http.listen = loopback(args.port.unwrap_or_else(free_port));
    config.mqtt.listen = loopback(args.mqtt_port);
    Ok(config)
}

/// What the configuration file says, for the commands that are tried beside the demonstration.
#[derive(Serialize)]
struct Asked<'a> {
    clinic: &'static str,
    zone: &'static str,
    simulated: bool,
    data: &'a Path,
    roster: &'a Path,
}

/// Makes the store ready: accounts, and the past where there is none. Gives the accounts' password.
async fn prepare(config: &Config) -> anyhow::Result<String> {
    let _lock = Lock::take(&config.data)?;
    let store = store::open(&config.store()).await?;
    let password = accounts(&*store).await?;
    if store.stored().await?.messages == 0 {
        let messages = past::live(&store, &config.zone, clock::now()).await?;
        tracing::info!(messages, "the past of the demonstration is stored");
    }
    store.close().await;
    Ok(password)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// [`PORT`], if nobody has it; else any.
fn free_port() -> u16 {
    TcpListener::bind(loopback(PORT)).map_or(0, |_| PORT)
}

/// Makes the accounts that can sign in; their password.
async fn accounts(store: &dyn Store) -> anyhow::Result<String> {
    let password = password();
    let password_hash = desk::password_hash(&password);
    for (user, name, role) in ACCOUNTS {
        let (user, name, role, language) = (user.to_owned(), name.to_owned(), role.to_owned(), "en".to_owned());
        store.put_account(&Account { user, name, role, language, password_hash: password_hash.clone() }).await?;
    }
    Ok(password)
}

/// 64 random bits, in groups that can be typed: only this machine can reach the page.
fn password() -> String {
    let random: [u16; 4] = rand::random();
    random.map(|group| format!("{group:04x}")).join("-")
}

/// Starts the homes, and tells what happens; ends only when something fails.
async fn live(
    homes: &[Prepared],
    programs: &Programs,
    (broker, day_seconds): (SocketAddr, f64),
    store: &dyn Store,
    helpers: &mut Vec<Helper>,
    teller: &mut Teller,
) -> anyhow::Result<()> {
    let starting = homes.iter().map(|home| home.start(programs, broker, day_seconds));
    for (home, started) in homes.iter().zip(join_all(starting).await) {
        helpers.extend(started.with_context(|| format!("the home of {}", home.name()))?);
        teller.home(home.name(), home.kiosk())?;
    }
    let mut look = interval(LOOK_PERIOD);
    loop {
        look.tick().await;
        if let Some(ended) = helpers.iter_mut().find_map(Helper::ended) {
            anyhow::bail!(ended);
        }
        for alert in store.open_alerts(None).await? {
            if teller.is_news(&alert)
                && let Some((alert, events)) = store.alert(alert.id).await?
            {
                teller.alert(&alert, &events)?;
            }
        }
        teller.waiting();
    }
}

/// Ends the agents first, then the devices that they talk to, then the buses.
async fn stop(mut helpers: Vec<Helper>) {
    helpers.sort_by_key(Helper::ends_in_turn);
    for turn in helpers.chunk_by_mut(|a, b| a.ends_in_turn() == b.ends_in_turn()) {
        join_all(turn.iter_mut().map(Helper::stop)).await;
    }
}

async fn after(minutes: Option<u32>) {
    match minutes {
        Some(minutes) => tokio::time::sleep(Duration::from_secs(60 * u64::from(minutes))).await,
        None => std::future::pending().await,
    }
}

/// Resolves when the process is asked to stop.
fn told_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// What the service has to say goes into a file: the screen is for what happens.
fn log_to(path: &Path) -> Result<(), Ended> {
    let file = std::fs::File::create(path)?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,mqtt5=warn,sqlx=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Mutex::new(file)).with_ansi(false);
    if log.try_init().is_err() {
        tracing::debug!("logging is set up already");
    }
    Ok(())
}
