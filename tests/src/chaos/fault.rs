//! What goes wrong, one after the other: each is done, lasts for a moment, and is over. The list is the index.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use rand::{RngExt as _, rngs::StdRng};
use rumqttc::{AsyncClient, MqttOptions, PublishOptions};
use serde_json::json;
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use super::{
    place::Place,
    proxy::{Going, Proxy},
};
use crate::{
    clinic::{Clinic, KitLogin},
    home::Home,
    program::{Running, ours},
};

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of the hub, and a new start.
    KillHub,
    /// `kill -9` of the kit's agent, and a new start.
    KillEdge,
    /// The hub stands still (SIGSTOP) for up to four seconds, sometimes for twelve, and goes on.
    PauseHub,
    /// The hub's disk is full for some seconds.
    DiskFull,
    /// The hub's disk takes 64 KiB a second, for some seconds.
    SlowDisk,
    /// Every connection is reset.
    Cut,
    /// Every connection hangs half open.
    HalfOpen,
    /// Connections are cut, and what was on its way arrives later, out of order and a second time.
    Late,
    /// Everything takes up to 400 ms longer each way, for some seconds.
    SlowNet,
    /// Nobody can connect, for some seconds.
    NoNet,
    /// The hub's clock is up to a minute off, for some seconds.
    HubClock,
    /// The kit's clock is an hour off, for some seconds.
    EdgeClock,
    /// Bytes that are no message come with a kit's own credentials.
    Poison,
    /// One kit sends thousands of messages that nobody waits for.
    Flood,
    /// A second hub is started on the same data.
    TwoHubs,
}

/// Every fault, its name and how often it is chosen beside the others.
pub const FAULTS: &[(Fault, &str, u32)] = &[
    (Fault::KillHub, "kill-hub", 12),
    (Fault::KillEdge, "kill-edge", 8),
    (Fault::PauseHub, "pause-hub", 3),
    (Fault::DiskFull, "disk-full", 2),
    (Fault::SlowDisk, "slow-disk", 2),
    (Fault::Cut, "cut", 4),
    (Fault::HalfOpen, "half-open", 3),
    (Fault::Late, "late", 4),
    (Fault::SlowNet, "slow-net", 2),
    (Fault::NoNet, "no-net", 2),
    (Fault::HubClock, "hub-clock", 2),
    (Fault::EdgeClock, "edge-clock", 1),
    (Fault::Poison, "poison", 3),
    (Fault::Flood, "flood", 2),
    (Fault::TwoHubs, "two-hubs", 2),
];

/// What dies by `kill -9` and comes back: one line for each more.
#[async_trait(?Send)]
pub trait Mortal {
    /// Kills it and starts it again.
    async fn die_and_rise(&mut self, at: &Stage<'_>) -> Result<()>;
}

/// Where a fault is done.
pub struct Stage<'a> {
    /// Between kits and hub.
    pub proxy: &'a Proxy,
    /// Where the data lies.
    pub place: &'a Place,
    /// A kit of the roster that no load uses.
    pub stranger: &'a KitLogin,
}

#[async_trait(?Send)]
impl Mortal for Clinic {
    async fn die_and_rise(&mut self, _: &Stage<'_>) -> Result<()> {
        self.kill_9().await?;
        self.restart().await
    }
}

#[async_trait(?Send)]
impl Mortal for Home {
    async fn die_and_rise(&mut self, at: &Stage<'_>) -> Result<()> {
        self.kill_9_edge().await?;
        self.start_edge(at.proxy.port)
    }
}

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

    /// Can it be done here?
    #[must_use]
    pub fn fits(self, place: &Place, has_home: bool) -> bool {
        match self {
            Self::DiskFull => place.can_fill(),
            Self::SlowDisk => place.can_slow(),
            Self::HubClock => place.can_set_clocks(),
            Self::EdgeClock => has_home && place.can_set_clocks(),
            Self::KillEdge => has_home,
            _ => true,
        }
    }

    /// Does it, and is over with it when it returns.
    ///
    /// # Errors
    /// When it can't be done, or a program does not do what it should.
    pub async fn happen(
        self,
        clinic: &mut Clinic,
        home: Option<&mut Home>,
        at: &Stage<'_>,
        random: &mut StdRng,
    ) -> Result<()> {
        let moment = Duration::from_millis(random.random_range(200..3_000));
        match self {
            Self::KillHub => clinic.die_and_rise(at).await?,
            Self::KillEdge => home.context("a home")?.die_and_rise(at).await?,
            Self::PauseHub => {
                let pid = clinic.hub_id().context("it runs")?;
                signal("STOP", pid).await?;
                sleep(if random.random_range(0..6) == 0 { Duration::from_secs(12) } else { moment }).await;
                signal("CONT", pid).await?;
            }
            Self::DiskFull => at.place.full_for(moment).await?,
            Self::SlowDisk => at.place.slow_for(clinic.hub_id().context("it runs")?, moment).await?,
            Self::Cut => at.proxy.all(Going::Cut),
            Self::HalfOpen => at.proxy.all(Going::HalfOpen),
            Self::Late => at.proxy.all(Going::CutLate(random.random_range(100..1_500))),
            Self::SlowNet => {
                at.proxy.delay(Duration::from_millis(random.random_range(20..400)));
                sleep(moment).await;
                at.proxy.delay(Duration::ZERO);
            }
            Self::NoNet => {
                at.proxy.refuse(true);
                at.proxy.all(Going::Cut);
                sleep(moment).await;
                at.proxy.refuse(false);
            }
            Self::HubClock => off(&at.place.clock_of("hub"), random.random_range(-50..50), moment).await?,
            Self::EdgeClock => off(&at.place.clock_of("edge"), 3_600, moment).await?,
            Self::Poison => poison(at, random).await?,
            Self::Flood => flood(at).await?,
            Self::TwoHubs => second_hub(clinic).await?,
        }
        Ok(())
    }
}

async fn signal(name: &str, pid: u32) -> Result<()> {
    let sent = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().await?;
    ensure!(sent.success(), "kill -{name} {pid}");
    Ok(())
}

/// A clock that is read through `libfaketime` is off by so many seconds.
async fn off(clock: &Path, seconds: i64, moment: Duration) -> Result<()> {
    fs::write(clock, format!("{seconds:+}\n"))?;
    sleep(moment).await;
    Ok(fs::write(clock, "+0\n")?)
}

/// A client that publishes what it is given, and ends.
async fn publish(at: &Stage<'_>, payloads: Vec<Vec<u8>>, quality: PublishOptions) -> Result<()> {
    let id = at.stranger.kit.as_str();
    let mut options = MqttOptions::new(id, ("127.0.0.1", at.proxy.port));
    options.set_clean_start(true).set_keep_alive(2).set_credentials(id, at.stranger.secret.clone());
    let (client, mut events) = AsyncClient::builder(options).capacity(payloads.len() + 1).build();
    for payload in payloads {
        client.try_publish(format!("vagt/v1/{id}/readings"), payload, quality.clone())?;
    }
    // Whatever the hub does with it: the others must not feel it.
    let polling = async { while events.poll().await.is_ok() {} };
    _ = timeout(Duration::from_millis(1_500), polling).await;
    Ok(())
}

async fn poison(at: &Stage<'_>, random: &mut StdRng) -> Result<()> {
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
    publish(at, payloads, PublishOptions::at_least_once()).await
}

/// Ten thousand messages of the size of a sitting, as fast as the connection takes them, QoS 0: nobody waits for an acknowledgement.
async fn flood(at: &Stage<'_>) -> Result<()> {
    let junk = |number: u32| format!("flood {number} {}", "x".repeat(500)).into_bytes();
    publish(at, (0..10_000).map(junk).collect(), PublishOptions::at_most_once()).await
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
