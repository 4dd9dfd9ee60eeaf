//! What goes wrong, one after the other: each is done, lasts for a moment, and is over. The list is the index.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use rand::{RngExt as _, rngs::StdRng, seq::SliceRandom as _};
use rumqttc::{AsyncClient, MqttOptions, PublishOptions};
use serde_json::json;
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use super::{
    packets::Packets,
    proxy::{Going, Proxy},
    world::{Ground, Program, World},
};
use crate::{
    clinic::Clinic,
    program::{Running, ours},
};

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of the hub, and a new start.
    KillHub,
    /// `kill -9` of the hub, and up to three times more while it starts.
    KillAgain,
    /// `kill -9` of the hub that stands by, and a new start.
    KillStandby,
    /// `kill -9` of both hubs at once, and a new start of both.
    KillBoth,
    /// `kill -9` of every kit's agent at once, and a new start.
    KillEdges,
    /// `kill -9` of the broker, and a new start: it has what it wrote last, up to a minute ago.
    KillBroker,
    /// The same, and the file in which it keeps sessions, queues and what is retained is gone.
    BrokerForgets,
    /// The broker is ended in order, with what it keeps written down, and started again.
    RestartBroker,
    /// `kill -9` of PostgreSQL, all of it, and a new start.
    KillDatabase,
    /// `kill -9` of the process of one connection to PostgreSQL: it ends all others itself, and recovers.
    KillBackend,
    /// `kill -9` of several programs at once, in any order.
    KillSeveral,
    /// PostgreSQL is away, for some seconds, now and then for twenty.
    NoDatabase,
    /// It is away for three minutes. Made where it is asked for by name.
    NoDatabaseForMinutes,
    /// The hub stands still (SIGSTOP) for up to three seconds, sometimes for twelve, and goes on.
    PauseHub,
    /// The hub that leads stands still until the other has taken over; then it goes on, and must be refused.
    PauseLeader,
    /// The broker does.
    PauseBroker,
    /// PostgreSQL does, every process of it.
    PauseDatabase,
    /// The data's disk is full for some seconds.
    DiskFull,
    /// The data's disk takes 64 KiB a second, for some seconds.
    SlowDisk,
    /// Every connection of a kit is reset.
    Cut,
    /// Every connection of a kit hangs half open.
    HalfOpen,
    /// Connections of kits are cut, and what was on its way arrives later, out of order and a second time.
    Late,
    /// The hub's connections to the broker or to the server are reset.
    CutBehind,
    /// They hang half open.
    HalfOpenBehind,
    /// They are cut, and what the hub had sent arrives later.
    LateBehind,
    /// Everything takes up to 400 ms longer each way, for some seconds.
    SlowNet,
    /// Nobody can connect, for some seconds.
    NoNet,
    /// IP packets are lost, doubled and reordered, for some seconds.
    Packets,
    /// No IP packet comes through, either way, for some seconds: nobody is told.
    NoPackets,
    /// The hub's clock is up to a minute off, for some seconds.
    HubClock,
    /// The kits' clocks are an hour off, for some seconds.
    EdgeClock,
    /// Bytes that are no message come with a kit's own credentials.
    Poison,
    /// One kit sends thousands of messages that nobody waits for.
    Flood,
    /// A second hub is started on the same data.
    TwoHubs,
}

/// Every fault, its name and how often it is chosen beside the others; never, unless it is asked for by name, where that is 0.
pub const FAULTS: &[(Fault, &str, u32)] = &[
    (Fault::KillHub, "kill-hub", 8),
    (Fault::KillAgain, "kill-again", 4),
    (Fault::KillStandby, "kill-standby", 3),
    (Fault::KillBoth, "kill-both", 3),
    (Fault::KillEdges, "kill-edges", 6),
    (Fault::KillBroker, "kill-broker", 6),
    (Fault::BrokerForgets, "broker-forgets", 3),
    (Fault::RestartBroker, "restart-broker", 4),
    (Fault::KillDatabase, "kill-database", 6),
    (Fault::KillBackend, "kill-backend", 3),
    (Fault::KillSeveral, "kill-several", 6),
    (Fault::NoDatabase, "no-database", 3),
    (Fault::NoDatabaseForMinutes, "no-database-for-minutes", 0),
    (Fault::PauseHub, "pause-hub", 3),
    (Fault::PauseLeader, "pause-leader", 6),
    (Fault::PauseBroker, "pause-broker", 2),
    (Fault::PauseDatabase, "pause-database", 2),
    (Fault::DiskFull, "disk-full", 2),
    (Fault::SlowDisk, "slow-disk", 2),
    (Fault::Cut, "cut", 4),
    (Fault::HalfOpen, "half-open", 3),
    (Fault::Late, "late", 4),
    (Fault::CutBehind, "cut-behind", 3),
    (Fault::HalfOpenBehind, "half-open-behind", 2),
    (Fault::LateBehind, "late-behind", 2),
    (Fault::SlowNet, "slow-net", 2),
    (Fault::NoNet, "no-net", 2),
    (Fault::Packets, "packets", 10),
    (Fault::NoPackets, "no-packets", 4),
    (Fault::HubClock, "hub-clock", 2),
    (Fault::EdgeClock, "edge-clock", 1),
    (Fault::Poison, "poison", 3),
    (Fault::Flood, "flood", 2),
    (Fault::TwoHubs, "two-hubs", 2),
];

impl Fault {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        FAULTS.iter().find(|(fault, ..)| *fault == self).map_or("", |(_, name, _)| name)
    }

    /// The one of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        FAULTS.iter().find(|(_, known, _)| *known == name).map(|(fault, ..)| *fault)
    }

    /// Does it kill?
    #[must_use]
    pub fn kills(self) -> bool {
        use Fault::{KillAgain, KillBackend, KillBoth, KillBroker, KillDatabase, KillEdges, KillHub, KillSeveral};
        matches!(self, KillHub | KillAgain | KillEdges | KillBroker | KillDatabase | KillBackend | KillSeveral)
            || matches!(self, KillBoth | Self::KillStandby | Self::BrokerForgets)
    }

    /// Can it be done here?
    #[must_use]
    pub fn fits(self, world: &World) -> bool {
        let there = |program| world.programs().contains(&program);
        match self {
            Self::KillEdges => there(Program::Edges),
            Self::KillBroker | Self::BrokerForgets | Self::RestartBroker | Self::PauseBroker => there(Program::Broker),
            Self::KillStandby | Self::KillBoth | Self::PauseLeader => there(Program::Standby),
            Self::KillDatabase | Self::KillBackend | Self::PauseDatabase => there(Program::Database),
            Self::NoDatabase | Self::NoDatabaseForMinutes => there(Program::Database),
            Self::KillSeveral => world.programs().len() > 1,
            Self::CutBehind | Self::HalfOpenBehind | Self::LateBehind => world.back.is_some(),
            Self::Packets | Self::NoPackets => world.packets.is_some(),
            Self::DiskFull => world.place.can_fill(),
            Self::SlowDisk => world.place.can_slow(),
            Self::HubClock => world.place.can_set_clocks(),
            Self::EdgeClock => there(Program::Edges) && world.place.can_set_clocks(),
            // On a server the second waits for the first to die: that is a ground of its own.
            Self::TwoHubs => !matches!(world.ground, Ground::Database | Ground::Pair),
            _ => true,
        }
    }

    /// Does it, and is over with it when it returns.
    ///
    /// # Errors
    /// When it can't be done, or a program does not do what it should.
    pub async fn happen(self, world: &mut World, random: &mut StdRng) -> Result<()> {
        let moment = Duration::from_millis(random.random_range(200..3_000));
        let now_and_then = random.random_range(0..6) == 0;
        match self {
            Self::KillHub => kill(world, &[Program::Hub], Duration::ZERO).await?,
            Self::KillStandby => kill(world, &[Program::Standby], Duration::ZERO).await?,
            Self::KillBoth => kill(world, &[Program::Hub, Program::Standby], Duration::ZERO).await?,
            Self::KillEdges => kill(world, &[Program::Edges], Duration::ZERO).await?,
            Self::KillBroker => kill(world, &[Program::Broker], Duration::ZERO).await?,
            Self::KillDatabase => kill(world, &[Program::Database], Duration::ZERO).await?,
            Self::KillAgain => kill_again(world, random).await?,
            Self::KillSeveral => kill(world, &several(world, random), Duration::ZERO).await?,
            Self::KillBackend => {
                world.database.as_ref().context("a server")?.kill_9_a_backend();
                world.kills += 1;
            }
            Self::BrokerForgets => {
                world.kill(Program::Broker).await?;
                world.broker.as_ref().context("a broker")?.forget()?;
                world.raise(Program::Broker).await?;
            }
            Self::RestartBroker => {
                world.broker.as_mut().context("a broker")?.stop().await?;
                sleep(moment).await;
                world.raise(Program::Broker).await?;
            }
            Self::NoDatabase => {
                let away = if now_and_then { Duration::from_secs(20) } else { moment };
                kill(world, &[Program::Database], away).await?;
            }
            Self::NoDatabaseForMinutes => kill(world, &[Program::Database], Duration::from_secs(180)).await?,
            Self::PauseHub => {
                let longer = if now_and_then { Duration::from_secs(12) } else { moment };
                pause(&[world.clinic.hub_id().context("it runs")?], longer).await?;
            }
            Self::PauseLeader => world.freeze_leader().await?,
            Self::PauseBroker => {
                let broker = world.broker.as_ref().context("a broker")?;
                pause(&[broker.id().context("it runs")?], moment).await?;
            }
            Self::PauseDatabase => {
                pause(&world.database.as_ref().context("a server")?.processes(), moment).await?;
            }
            Self::DiskFull => world.place.full_for(moment).await?,
            Self::SlowDisk => world.place.slow_for(&world.writers(), moment).await?,
            Self::Cut => world.front.all(Going::Cut),
            Self::HalfOpen => world.front.all(Going::HalfOpen),
            Self::Late => world.front.all(Going::CutLate(random.random_range(100..1_500))),
            Self::CutBehind => behind(world)?.all(Going::Cut),
            Self::HalfOpenBehind => behind(world)?.all(Going::HalfOpen),
            Self::LateBehind => behind(world)?.all(Going::CutLate(random.random_range(100..1_500))),
            Self::SlowNet => {
                world.front.delay(Duration::from_millis(random.random_range(20..400)));
                sleep(moment).await;
                world.front.delay(Duration::ZERO);
            }
            Self::NoNet => {
                world.front.refuse(true);
                world.front.all(Going::Cut);
                sleep(moment).await;
                world.front.refuse(false);
            }
            Self::Packets => astray(world, &Packets::rough(), moment * 3).await?,
            Self::NoPackets => astray(world, &json!({"lost": 1.0}), moment).await?,
            Self::HubClock => off(&world.place.clock_of("hub"), random.random_range(-50..50), moment).await?,
            Self::EdgeClock => off(&world.place.clock_of("edge"), 3_600, moment).await?,
            Self::Poison => poison(world, random).await?,
            Self::Flood => flood(world).await?,
            Self::TwoHubs => second_hub(&world.clinic).await?,
        }
        Ok(())
    }
}

/// All of them at once; after a while they come again.
async fn kill(world: &mut World, programs: &[Program], away: Duration) -> Result<()> {
    for program in programs {
        world.kill(*program).await?;
    }
    sleep(away).await;
    let mut rising = programs.to_vec();
    rising.sort();
    for program in rising {
        world.raise(program).await?;
    }
    Ok(())
}

/// Two programs or more.
fn several(world: &World, random: &mut StdRng) -> Vec<Program> {
    let mut programs = world.programs();
    programs.shuffle(random);
    programs.truncate(random.random_range(2..=programs.len().max(2)));
    programs
}

async fn kill_again(world: &mut World, random: &mut StdRng) -> Result<()> {
    world.kill(Program::Hub).await?;
    for _ in 0..random.random_range(1..4) {
        world.kill_starting(Duration::from_millis(random.random_range(0..1_500))).await?;
    }
    world.raise(Program::Hub).await
}

fn behind(world: &World) -> Result<&Proxy> {
    world.back.as_ref().context("something behind the hub")
}

async fn astray(world: &mut World, rules: &serde_json::Value, moment: Duration) -> Result<()> {
    let packets = world.packets.as_mut().context("a net of its own")?;
    packets.rules(rules).await?;
    sleep(moment).await;
    packets.rules(&json!({})).await
}

async fn pause(processes: &[u32], moment: Duration) -> Result<()> {
    signal("STOP", processes).await?;
    sleep(moment).await;
    signal("CONT", processes).await
}

/// The last of them must take it; helpers of a server come and go.
pub(super) async fn signal(name: &str, processes: &[u32]) -> Result<()> {
    let (last, helpers) = processes.split_last().context("a process")?;
    for id in helpers {
        _ = Command::new("kill").args([format!("-{name}"), id.to_string()]).output().await?;
    }
    let sent = Command::new("kill").args([format!("-{name}"), last.to_string()]).status().await?;
    ensure!(sent.success(), "kill -{name} {last}");
    Ok(())
}

/// A clock that is read through `libfaketime` is off by so many seconds.
async fn off(clock: &Path, seconds: i64, moment: Duration) -> Result<()> {
    fs::write(clock, format!("{seconds:+}\n"))?;
    sleep(moment).await;
    Ok(fs::write(clock, "+0\n")?)
}

/// A client that publishes what it is given, and ends.
async fn publish(world: &World, payloads: Vec<Vec<u8>>, quality: PublishOptions) -> Result<()> {
    let id = world.stranger.kit.as_str();
    let mut options = MqttOptions::new(id, ("127.0.0.1", world.front.port));
    options.set_clean_start(true).set_keep_alive(2).set_credentials(id, world.stranger.secret.clone());
    let (client, mut events) = AsyncClient::builder(options).capacity(payloads.len() + 1).build();
    for payload in payloads {
        client.try_publish(format!("vagt/v1/{id}/readings"), payload, quality.clone())?;
    }
    // Whatever the hub does with it: the others must not feel it.
    let polling = async { while events.poll().await.is_ok() {} };
    _ = timeout(Duration::from_millis(1_500), polling).await;
    Ok(())
}

async fn poison(world: &World, random: &mut StdRng) -> Result<()> {
    let now = crate::program::now();
    let number: u64 = random.random_range(0..1_000_000);
    let impossible = json!({"seq": number + 1, "sent_at": now.to_string(), "session": uuid::Uuid::from_u128(number.into()),
        "readings": [{"vital": "spo2", "value": 930, "unit": "%", "measured_at": now.to_string(), "clock": "device", "device": "sim:1"}]});
    let payloads = vec![
        Vec::new(),
        b"poison".to_vec(),
        vec![0xff; 4_000],
        format!("{{\"seq\":{number}").into_bytes(),
        impossible.to_string().into_bytes(),
        vec![b' '; 300 * 1024],
    ];
    publish(world, payloads, PublishOptions::at_least_once()).await
}

/// Ten thousand messages of the size of a sitting, as fast as the connection takes them, QoS 0: nobody waits for an acknowledgement.
async fn flood(world: &World) -> Result<()> {
    let junk = |number: u32| format!("flood {number} {}", "x".repeat(500)).into_bytes();
    publish(world, (0..10_000).map(junk).collect(), PublishOptions::at_most_once()).await
}

/// It must refuse, with one sentence, and leave the first alone.
async fn second_hub(clinic: &Clinic) -> Result<()> {
    let (config, log) = (clinic.path("hub.toml"), clinic.path("second.log"));
    fs::write(&log, "")?;
    let args = ["serve", "--config", config.to_str().context("UTF-8")?];
    let code = Running::start(&ours("vagt")?, &args, &[("RUST_LOG", "error")], &log)?.wait().await?;
    let said = fs::read_to_string(&log)?;
    ensure!(code == 1 && !said.contains("panicked"), "a second hub on the same data ends with {code}: {said}");
    Ok(())
}
