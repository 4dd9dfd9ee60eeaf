//! One service leads a database. Another on the same database waits behind it, shows that it waits, and takes over when the first is gone or
//! silent (decision 0091). Nothing of it listens for kits, and nothing is judged, before it leads.

use std::time::Duration;

use anyhow::Context as _;
use desk::Standby;
use store::{Lead, Leader, Store, StoreError};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{config::Config, serve::Opened};

/// How often it is looked whether the leader is there.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// One that is silent is looked at once more: a single look may fall between a slow commit and the sign of life that waited for it.
const SILENT_LOOKS: u32 = 2;
/// A leader whose connection broke opens another with its next sign of life, every two seconds.
const BACK_WITHIN: Duration = Duration::from_secs(3);
/// How long those who are shown that it waits may take to let go.
const PAGES_CLOSE_MAX: Duration = Duration::from_millis(500);

/// Another service has the lead now: whatever this one still sends is refused.
#[derive(Debug, thiserror::Error)]
#[error(
    "another service has taken over the lead of the store: this one acknowledges nothing more and has ended; started again, it is the standby"
)]
pub struct TakenOver;

/// Takes the lead, or waits for it for as long as somebody else has it; `waiting` hears once who has.
///
/// # Errors
/// The store can't be asked at the start, or `waiting` can't be told.
pub async fn lead(
    opened: &Opened,
    config: &Config,
    waiting: impl FnOnce(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Lead> {
    let by = name();
    let leads = metrics::gauge!("vagt_hub_leads");
    let lead = match opened.store.take_lead(&by, None).await {
        Err(StoreError::Led { by: leader }) => {
            leads.set(0.0);
            tracing::info!(leader, "another service leads this database: this one is its standby");
            waiting(&leader)?;
            let (says, leader) = watch::channel(leader);
            let shown = Shown::start(opened, leader)?;
            let after_silent = Duration::from_secs(config.standby.after_silent_seconds.into());
            let lead = wait(&*opened.store, &by, after_silent, &says).await;
            shown.close().await;
            lead
        }
        taken => taken?,
    };
    leads.set(1.0);
    tracing::info!(epoch = lead.epoch, "leads");
    Ok(lead)
}

/// What it is called in the store.
fn name() -> String {
    let uname = rustix::system::uname();
    format!("vagt serve on {}, process {}", uname.nodename().to_string_lossy(), std::process::id())
}

/// Looks until the lead is there for the taking, and takes it. A database that does not answer is waited for.
async fn wait(store: &dyn Store, by: &str, after_silent: Duration, says: &watch::Sender<String>) -> Lead {
    let mut patience = Patience { after_silent, silent_looks: 0 };
    loop {
        sleep(LOOK_PERIOD).await;
        let taken = match store.leader().await {
            Ok(leader) => {
                let over = patience.is_over(leader.as_ref());
                if let Some(leader) = leader {
                    says.send_replace(format!("{}, heard of {} s ago", leader.by, leader.silent.as_secs()));
                }
                if !over {
                    continue;
                }
                store.take_lead(by, Some(after_silent)).await
            }
            Err(error) => Err(error),
        };
        match taken {
            Ok(lead) => return lead,
            Err(error) => {
                patience.silent_looks = 0;
                tracing::debug!(%error, "the lead could not be taken");
            }
        }
    }
}

/// When a leader is waited for no longer.
struct Patience {
    after_silent: Duration,
    silent_looks: u32,
}

impl Patience {
    fn is_over(&mut self, leader: Option<&Leader>) -> bool {
        let Some(leader) = leader else { return true };
        let bound = if leader.holds { self.after_silent } else { self.after_silent.min(BACK_WITHIN) };
        if leader.silent < bound {
            self.silent_looks = 0;
            return false;
        }
        self.silent_looks += 1;
        !leader.holds || self.silent_looks >= SILENT_LOOKS
    }
}

/// What is shown meanwhile, at the address of the pages.
struct Shown {
    close: CancellationToken,
    serving: JoinHandle<()>,
}

impl Shown {
    fn start(opened: &Opened, leader: watch::Receiver<String>) -> anyhow::Result<Self> {
        let listener = TcpListener::from_std(opened.pages.try_clone().context("http.listen")?)?;
        let app = desk::standby(Standby { leader, metrics: opened.metrics.clone() });
        let close = CancellationToken::new();
        let closed = close.clone().cancelled_owned();
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(closed).await {
                tracing::error!("the web server has ended: {error}");
            }
        });
        Ok(Self { close, serving })
    }

    async fn close(mut self) {
        self.close.cancel();
        if timeout(PAGES_CLOSE_MAX, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

/// Not waited for any longer.
impl Drop for Shown {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_waited_for_while_it_may_come_back() {
        let looks = |looks: &[(u64, bool)]| {
            let mut patience = Patience { after_silent: Duration::from_secs(5), silent_looks: 0 };
            let leader = |(silent, holds): (u64, bool)| Leader {
                by: "hub-1".to_owned(),
                silent: Duration::from_secs(silent),
                holds,
            };
            looks.iter().map(|look| patience.is_over(Some(&leader(*look)))).collect::<Vec<_>>()
        };
        assert_eq!(looks(&[(0, true), (4, true), (5, true), (6, true)]), [false, false, false, true]);
        assert_eq!(looks(&[(7, true), (0, true), (5, true), (5, true)]), [false, false, false, true], "it came back");
        assert_eq!(looks(&[(0, false), (2, false), (3, false)]), [false, false, true], "its connection broke");
        assert_eq!(looks(&[(1_000_000, false)]), [true], "it ended in order");
        let mut patience = Patience { after_silent: Duration::from_secs(5), silent_looks: 0 };
        assert!(patience.is_over(None), "nobody ever led");
    }
}
