//! The programs of one round, and the ground on which they stand: which store, which way the readings come. What dies here comes back in the
//! order in which a machine would start it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::{
    packets::Packets,
    pair::{Second, Turns, free_port, hub_on},
    place::Place,
    proxy::Proxy,
};
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
    /// The front doors of two hubs on one PostgreSQL server: one leads, the other stands by.
    Pair,
}

/// Every ground, and its name.
pub const GROUNDS: &[(Ground, &str)] = &[
    (Ground::Small, "small"),
    (Ground::Disk, "disk"),
    (Ground::Broker, "broker"),
    (Ground::Database, "database"),
    (Ground::Packets, "packets"),
    (Ground::Pair, "pair"),
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
pub(super) const HERE: &str = "127.0.0.1";

/// What dies by `kill -9`, in the order in which it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// PostgreSQL, with every process of it.
    Database,
    /// Mosquitto.
    Broker,
    /// `vagt serve`; of two the one that leads.
    Hub,
    /// The other, which stands by.
    Standby,
    /// Every home's `vagt-edge`.
    Edges,
}

/// A clinic, its homes, and what stands between.
pub struct World {
    /// Where it stands.
    pub ground: Ground,
    /// The hub; of two the one that leads.
    pub clinic: Clinic,
    /// The one that stands by, on its ground.
    pub second: Option<Second>,
    /// Homes with real devices' bytes and the real agent, each with its kit.
    pub homes: Vec<Home>,
    /// The broker, on its ground.
    pub broker: Option<Mosquitto>,
    /// The server, on its ground.
    pub database: Option<Cluster>,
    /// Between kits and hub, or kits and broker.
    pub front: Proxy,
    /// The ports at which kits try in turn.
    pub doors: Vec<u16>,
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
    /// How the lead went from one hub to the other.
    pub turns: Turns,
    /// The process of a leader that stands still.
    pub(super) frozen: Option<u32>,
}

impl World {
    /// Starts a clinic on this ground for these kits.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn begin(ground: Ground, logins: &[KitLogin], stranger: &KitLogin, seed: u64) -> Result<Self> {
        let (mut broker, mut database, mut back, mut packets, mut second) = (None, None, None, None, None);
        let mut clinic = match ground {
            Ground::Database | Ground::Pair => {
                let cluster = Cluster::start();
                let url = cluster.database("clinic");
                let (clinic, line) = hub_on(logins, &cluster, &url).await?;
                (database, back) = (Some((cluster, url)), Some(line));
                clinic
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
        let small = !matches!(ground, Ground::Disk | Ground::Database | Ground::Pair);
        let place = Place::prepare(&mut clinic, small)?;
        if ground == Ground::Pair {
            clinic.set_mqtt_port(free_port()?)?;
        }
        clinic.restart().await.with_context(|| clinic.log())?;
        if let Some((cluster, url)) = database.as_ref().filter(|_| ground == Ground::Pair) {
            second = Some(Second::begin(logins, cluster, url, &place.clock_env("hub")?).await?);
        }
        let front = match &broker {
            Some(broker) => Proxy::open(HERE, broker.port).await?,
            None => Proxy::open(clinic.host(), clinic.mqtt_port).await?,
        };
        let doors = [front.port].into_iter().chain(second.as_ref().map(|second| second.front.port)).collect();
        let (homes, stranger, database) = (Vec::new(), stranger.clone(), database.map(|(cluster, _)| cluster));
        let (kills, turns, frozen) = (0, Turns::default(), None);
        Ok(Self {
            ground,
            clinic,
            second,
            homes,
            broker,
            database,
            front,
            doors,
            back,
            packets,
            place,
            stranger,
            kills,
            turns,
            frozen,
        })
    }

    /// Every hub that there is.
    pub fn hubs(&self) -> impl Iterator<Item = &Clinic> {
        [&self.clinic].into_iter().chain(self.second.as_ref().map(|second| &second.hub))
    }

    /// The end of what each hub has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.hubs().map(|hub| super::tail(&hub.log())).collect::<Vec<_>>().join("\n--- the one that stands by\n")
    }

    /// Switches a home on.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn add_home(&mut self, login: &KitLogin) -> Result<()> {
        let mut home = Home::without_kit(login, "spirometer", 0).await?;
        home.set_env(&self.place.clock_env("edge")?);
        if let [_, others @ ..] = &self.doors[..]
            && !others.is_empty()
        {
            let others: Vec<String> = others.iter().map(|port| format!("{HERE}:{port}")).collect();
            home.say_of_broker(&format!("others = {others:?}\n"));
        }
        home.start_edge(self.doors[0]).with_context(|| self.clinic.log())?;
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
            (Program::Standby, self.second.is_some()),
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
            Program::Standby => self.second.as_mut().context("a second hub")?.hub.kill_9().await?,
            Program::Edges => {
                for home in &mut self.homes {
                    home.kill_9_edge().await?;
                }
            }
        }
        Ok(())
    }

    /// Starts it again. A leader behind which another stands by is started when that one leads ([`settle`](Self::settle)).
    ///
    /// # Errors
    /// When it does not start.
    pub async fn raise(&mut self, program: Program) -> Result<()> {
        match program {
            Program::Database => self.database.as_mut().context("a server")?.go_on(),
            Program::Broker => self.broker.as_mut().context("a broker")?.restart().await?,
            Program::Hub => {
                let takes_over = self.second.as_mut().is_some_and(|second| second.hub.is_running());
                if !takes_over {
                    self.clinic.restart().await?;
                }
            }
            Program::Standby => drop(self.second.as_mut().context("a second hub")?.hub.join().await?),
            Program::Edges => {
                for home in &mut self.homes {
                    home.start_edge(self.doors[0])?;
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
