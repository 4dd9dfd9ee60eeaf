//! The programs of one round, and the ground on which they stand: which store, which way the readings come. What dies here comes back in the
//! order in which a machine would start it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::{packets::Packets, place::Place, proxy::Proxy};
use crate::{
    clinic::{Clinic, KitLogin},
    home::Home,
    mosquitto::Mosquitto,
    servers::Cluster,
};

/// What a round is made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The front door; SQLite on a small disk, which can be filled.
    Small,
    /// The front door; SQLite on the machine's disk, which can be slowed down.
    Disk,
    /// Mosquitto, with what is shipped for it; SQLite on a small disk.
    Broker,
    /// The front door; a PostgreSQL server.
    Database,
    /// The front door, in a net of its own whose packets can go astray; SQLite on a small disk.
    Packets,
}

/// Every ground, and its name.
pub const GROUNDS: &[(Ground, &str)] = &[
    (Ground::Small, "small"),
    (Ground::Disk, "disk"),
    (Ground::Broker, "broker"),
    (Ground::Database, "database"),
    (Ground::Packets, "packets"),
];

impl Ground {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        GROUNDS.iter().find(|(ground, _)| *ground == self).map_or("", |(_, name)| name)
    }

    /// The one of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        GROUNDS.iter().find(|(_, known)| *known == name).map(|(ground, _)| *ground)
    }
}

/// Where servers listen.
const HERE: &str = "127.0.0.1";

/// What dies by `kill -9`, in the order in which it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// PostgreSQL, with every process of it.
    Database,
    /// Mosquitto.
    Broker,
    /// `vagt serve`.
    Hub,
    /// Every home's `vagt-edge`.
    Edges,
}

/// A clinic, its homes, and what stands between.
pub struct World {
    /// Where it stands.
    pub ground: Ground,
    /// The hub.
    pub clinic: Clinic,
    /// Homes with real devices' bytes and the real agent, each with its kit.
    pub homes: Vec<Home>,
    /// The broker, on its ground.
    pub broker: Option<Mosquitto>,
    /// The server, on its ground.
    pub database: Option<Cluster>,
    /// Between kits and hub, or kits and broker.
    pub front: Proxy,
    /// Between the hub and what it leans on: broker or server.
    pub back: Option<Proxy>,
    /// The hub's own net, on its ground.
    pub packets: Option<Packets>,
    /// Where the data lies.
    pub place: Place,
    /// A kit of the roster that no load uses.
    pub stranger: KitLogin,
    /// `kill -9` so far.
    pub kills: u64,
}

impl World {
    /// Starts a clinic on this ground for these kits.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn begin(ground: Ground, logins: &[KitLogin], stranger: &KitLogin, seed: u64) -> Result<Self> {
        let (mut broker, mut database, mut back, mut packets) = (None, None, None, None);
        let mut clinic = match ground {
            Ground::Database => {
                let cluster = Cluster::start();
                let between = Proxy::open(HERE, cluster.port()).await?;
                let url = cluster
                    .database("clinic")
                    .replace(&format!(":{}/", cluster.port()), &format!(":{}/", between.port));
                (database, back) = (Some(cluster), Some(between));
                Clinic::stopped_on_postgres(logins, &url).await?
            }
            _ => Clinic::stopped(logins).await?,
        };
        if ground == Ground::Broker {
            let mosquitto = Mosquitto::start(logins, &[]).await?;
            let between = Proxy::open(HERE, mosquitto.port).await?;
            clinic.configure(&format!("{}keep_alive_seconds = 5\n", mosquitto.of_hub_at(between.port)?))?;
            (broker, back) = (Some(mosquitto), Some(between));
        }
        if ground == Ground::Packets {
            let net = Packets::open(&clinic.path(""), seed).await?;
            clinic.live_at(&net.there, net.inside())?;
            packets = Some(net);
        }
        let small = !matches!(ground, Ground::Disk | Ground::Database);
        let place = Place::prepare(&mut clinic, small)?;
        clinic.restart().await.with_context(|| clinic.log())?;
        let front = match &broker {
            Some(broker) => Proxy::open(HERE, broker.port).await?,
            None => Proxy::open(clinic.host(), clinic.mqtt_port).await?,
        };
        let (homes, stranger) = (Vec::new(), stranger.clone());
        Ok(Self { ground, clinic, homes, broker, database, front, back, packets, place, stranger, kills: 0 })
    }

    /// Switches a home on.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn add_home(&mut self, login: &KitLogin) -> Result<()> {
        let mut home = Home::without_kit(login, "spirometer", 0).await?;
        home.set_env(&self.place.clock_env("edge")?);
        home.start_edge(self.front.port).with_context(|| self.clinic.log())?;
        self.homes.push(home);
        Ok(())
    }

    /// What there is to kill.
    #[must_use]
    pub fn programs(&self) -> Vec<Program> {
        let there = [
            (Program::Database, self.database.is_some()),
            (Program::Broker, self.broker.is_some()),
            (Program::Hub, true),
            (Program::Edges, !self.homes.is_empty()),
        ];
        there.into_iter().filter(|(_, there)| *there).map(|(program, _)| program).collect()
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it was not running.
    pub async fn kill(&mut self, program: Program) -> Result<()> {
        self.kills += if program == Program::Edges { self.homes.len() as u64 } else { 1 };
        match program {
            Program::Database => self.database.as_mut().context("a server")?.kill_9(),
            Program::Broker => self.broker.as_mut().context("a broker")?.kill_9().await?,
            Program::Hub => self.clinic.kill_9().await?,
            Program::Edges => {
                for home in &mut self.homes {
                    home.kill_9_edge().await?;
                }
            }
        }
        Ok(())
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn raise(&mut self, program: Program) -> Result<()> {
        match program {
            Program::Database => self.database.as_mut().context("a server")?.go_on(),
            Program::Broker => self.broker.as_mut().context("a broker")?.restart().await?,
            Program::Hub => self.clinic.restart().await?,
            Program::Edges => {
                for home in &mut self.homes {
                    home.start_edge(self.front.port)?;
                }
            }
        }
        Ok(())
    }

    /// Kills the hub while it starts: so long after its start.
    ///
    /// # Errors
    /// When it can't be started.
    pub async fn kill_starting(&mut self, after: Duration) -> Result<()> {
        let starting = self.clinic.launch()?;
        sleep(after).await;
        self.kills += 1;
        starting.kill_9().await
    }

    /// The processes that write the data.
    #[must_use]
    pub fn writers(&self) -> Vec<u32> {
        match &self.database {
            Some(cluster) => cluster.processes(),
            None => self.clinic.hub_id().into_iter().collect(),
        }
    }
}
