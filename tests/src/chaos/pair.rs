//! Two hubs on one database: one leads, the other stands by, each with a door and a line of its own. Whoever is killed, frozen or cut off loses
//! the lead to the other; whoever comes back late must be refused, and ends. Then it is started again, and stands by.

use std::{net::TcpListener, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tokio::time::{Instant, sleep};

use super::{
    fault::signal,
    proxy::Proxy,
    world::{HERE, World},
};
use crate::{
    clinic::{Clinic, KitLogin},
    servers::Cluster,
};

/// How long it may take after a fault until one leads and the other stands by. A line that hangs half open is noticed late.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
/// How often they are asked.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Exit code of one that was taken over from.
const TAKEN_OVER: i32 = 3;

/// The hub that stands by.
pub struct Second {
    /// The hub.
    pub hub: Clinic,
    /// Between kits and this hub.
    pub front: Proxy,
    /// Between this hub and the server.
    pub back: Option<Proxy>,
}

/// How the lead went from one to the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turns {
    /// So often the other took over.
    pub taken_over: u64,
    /// So often one that had been taken over from went on, was refused, and ended.
    pub fenced: u64,
}

impl Second {
    /// Starts it behind one that leads.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn begin(
        logins: &[KitLogin],
        cluster: &Cluster,
        url: &str,
        env: &[(&'static str, String)],
    ) -> Result<Self> {
        let (mut hub, back) = hub_on(logins, cluster, url).await?;
        hub.set_env(env);
        hub.set_mqtt_port(free_port()?)?;
        hub.stand_by().await?;
        let front = Proxy::open(hub.host(), hub.mqtt_port).await?;
        Ok(Self { hub, front, back: Some(back) })
    }
}

/// A hub on this database that does not run yet, and its line to the server.
pub(super) async fn hub_on(logins: &[KitLogin], cluster: &Cluster, url: &str) -> Result<(Clinic, Proxy)> {
    let line = Proxy::open(HERE, cluster.port()).await?;
    let url = url.replace(&format!(":{}/", cluster.port()), &format!(":{}/", line.port));
    Ok((Clinic::stopped_on_postgres(logins, &url).await?, line))
}

/// A port that stays a hub's own, since a standby's door is closed.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((HERE, 0))?.local_addr()?.port())
}

impl World {
    /// The leader stands still, until [`settle`](Self::settle) finds that the other leads.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn freeze_leader(&mut self) -> Result<()> {
        let id = self.clinic.hub_id().context("it runs")?;
        signal("STOP", &[id]).await?;
        self.frozen = Some(id);
        Ok(())
    }

    /// Waits until one of two hubs leads and the other stands by. Whoever was killed or taken over from is started again; whoever stood still goes
    /// on once the other leads, and must be refused.
    ///
    /// # Errors
    /// When that does not come about, or one has ended otherwise than by being taken over from.
    pub async fn settle(&mut self) -> Result<()> {
        let until = Instant::now() + SETTLED_WITHIN;
        while !self.is_settled().await? {
            let within = SETTLED_WITHIN.as_secs();
            ensure!(Instant::now() < until, "not one that leads and one that stands by after {within} s");
            sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    async fn is_settled(&mut self) -> Result<bool> {
        let Some(second) = &mut self.second else { return Ok(true) };
        if let Some(frozen) = self.frozen {
            if second.hub.is_leading().await != Some(true) {
                return Ok(false);
            }
            signal("CONT", &[frozen]).await?;
            self.frozen = None;
        }
        for hub in [&mut self.clinic, &mut second.hub] {
            self.turns.fenced += u64::from(rejoins(hub).await?);
        }
        match (self.clinic.is_leading().await, second.hub.is_leading().await) {
            (Some(true), Some(false)) => Ok(true),
            (Some(false), Some(true)) => {
                self.turns.taken_over += 1;
                std::mem::swap(&mut self.clinic, &mut second.hub);
                std::mem::swap(&mut self.front, &mut second.front);
                std::mem::swap(&mut self.back, &mut second.back);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Starts a hub that does not run; had it ended by being taken over from?
async fn rejoins(hub: &mut Clinic) -> Result<bool> {
    if hub.is_running() {
        return Ok(false);
    }
    let ended_itself = hub.was_started();
    if ended_itself {
        let code = hub.ended().await?;
        ensure!(code == TAKEN_OVER, "a hub has ended with {code}, want {TAKEN_OVER}: taken over from");
    }
    hub.join().await?;
    Ok(ended_itself)
}
