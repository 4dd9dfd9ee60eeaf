//! Where kits come in and enrol, and the ways back to them, as the configuration names them.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use store::Store;
use tokio::sync::Notify;

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
