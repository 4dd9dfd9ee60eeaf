//! Where kits come in and enrol, and the ways back to them, as the configuration names them.

use std::{io, net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use axum::serve::Listener;
use store::Store;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
};

use crate::{
    authority::Authority,
    config::Config,
    directory::Directories,
    enrolment::{self, Enrolment},
    source::{
        Everywhere, ToKits,
        broker::BrokerSource,
        front_door::{Behind, FrontDoor},
    },
    visit::Visit,
};

/// Where kits come in, and the ways back to them.
pub(super) struct Doors {
    pub front_door: Option<FrontDoor>,
    pub broker: Option<BrokerSource>,
    pub to_kits: Arc<dyn ToKits>,
}

impl Doors {
    /// Opens those that the configuration names.
    pub async fn open(config: &Config, behind: &Behind) -> anyhow::Result<Self> {
        let front_door = match config.mqtt.open {
            true => Some(FrontDoor::open(&config.mqtt, behind.clone()).await?),
            false => None,
        };
        let broker = config.broker.as_ref().map(|broker| BrokerSource::start(broker, behind.clone())).transpose()?;
        let ways = [front_door.as_ref().map(FrontDoor::to_kits), broker.as_ref().map(BrokerSource::to_kits)];
        let to_kits: Arc<dyn ToKits> = Arc::new(Everywhere(ways.into_iter().flatten().collect()));
        Ok(Self { front_door, broker, to_kits })
    }
}

/// Connections to the pages at a time, kits over HTTP among them; further ones wait to be taken, so that they leave files for the others.
const PAGES_CONNECTIONS_MAX: usize = 4096;

/// Takes the connections to the pages, for axum.
pub(super) struct Pages {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl Pages {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(PAGES_CONNECTIONS_MAX)) }
    }
}

impl Listener for Pages {
    type Io = Visit<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let room = Arc::clone(&self.room).acquire_owned().await.expect("nobody closes the semaphore");
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        (Visit::new(stream, room, None), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Listener::local_addr(&self.listener)
    }
}

/// Waits until the front door ends, if there is one.
pub(super) async fn door_ended(door: Option<&mut FrontDoor>) {
    match door {
        Some(door) => door.ended().await,
        None => std::future::pending().await,
    }
}

/// Kits enrol only where they then find a front door that speaks TLS: else their secret would cross the net in the clear.
pub(super) async fn open_enrolment(
    config: &Config,
    store: &Arc<dyn Store>,
    directories: Directories,
    changed: &Arc<Notify>,
    mqtt: Option<SocketAddr>,
) -> anyhow::Result<Option<Enrolment>> {
    let Some(wanted) = &config.enrolment else { return Ok(None) };
    let mqtt = mqtt.filter(|_| config.mqtt.tls.is_some());
    let mqtt = mqtt.context(
        "enrolment.listen is set, and mqtt.tls is not or mqtt.open is false: want a front door with TLS, see `vagt ca show`",
    )?;
    let authority = Authority::open(&config.data)?;
    let (store, changed) = (Arc::clone(store), Arc::clone(changed));
    let zone = config.zone.iana_name().map(str::to_owned);
    let behind = enrolment::Behind { store, directories, changed, authority, mqtt, zone };
    Ok(Some(Enrolment::open(wanted, behind).await?))
}
