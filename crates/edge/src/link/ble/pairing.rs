//! Bonding with devices that ask for it, through BlueZ's agent.
//!
//! The agent answers for the kit's own devices alone, and only while they are being bonded with: everybody else is refused. A bond is made
//! once and never removed here; BlueZ keeps it. The passkey is the configured one; a device that wants none (`pair = true`) is taken as it
//! is, because whoever wrote that into the configuration has it in hand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex as StdMutex},
    time::Duration,
};

use bluer::{
    Address, Session,
    agent::{Agent, AgentHandle, ReqError, ReqResult},
};
use tokio::sync::Mutex;

use super::radio::{Failure, call, within};
use crate::config::Bond;

/// A person may have to press a button on the device meanwhile.
const BOND_DEADLINE: Duration = Duration::from_secs(30);

/// Devices that are being bonded with, and their passkeys.
type Awaited = Arc<StdMutex<BTreeMap<Address, Option<u32>>>>;

/// Makes bonds. One for all adapters.
#[derive(Default)]
pub struct Bonds {
    awaited: Awaited,
    /// Registered at the first need.
    registered: Mutex<Option<(Session, AgentHandle)>>,
}

impl Bonds {
    /// Bonds with a device that is connected, unless it is bonded with already.
    pub async fn bond(&self, adapter: &str, address: &str, bond: Bond) -> Result<(), Failure> {
        let address: Address = address.parse().map_err(|error| Failure::plain(format!("can't bond: {error}")))?;
        let session = self.session().await?;
        let device = session.adapter(adapter).and_then(|adapter| adapter.device(address));
        let device = device.map_err(|error| Failure::plain(format!("can't bond: {error}")))?;
        if call("can't ask for the bond", device.is_paired()).await? {
            return Ok(());
        }
        self.awaited().insert(address, bond.passkey);
        let bonded = within(BOND_DEADLINE, "can't bond", device.pair()).await;
        self.awaited().remove(&address);
        bonded.map_err(|failure| Failure { hung: false, ..failure })?;
        tracing::info!(%address, "bluetooth: bonded");
        call("can't trust the device", device.set_trusted(true)).await
    }

    async fn session(&self) -> Result<Session, Failure> {
        let mut registered = self.registered.lock().await;
        if let Some((session, _)) = &*registered {
            return Ok(session.clone());
        }
        let session = call("no system bus", Session::new()).await?;
        let agent = call("can't register for bonding", session.register_agent(agent(&self.awaited))).await?;
        *registered = Some((session.clone(), agent));
        Ok(session)
    }

    fn awaited(&self) -> std::sync::MutexGuard<'_, BTreeMap<Address, Option<u32>>> {
        self.awaited.lock().expect("no code panics while it holds the passkeys")
    }
}

fn agent(awaited: &Awaited) -> Agent {
    let (typed, shown, asked) = (awaited.clone(), awaited.clone(), awaited.clone());
    Agent {
        request_passkey: Some(Box::new(move |request| {
            let passkey = passkey(&typed, request.device);
            Box::pin(async move { passkey })
        })),
        request_confirmation: Some(Box::new(move |request| {
            let confirmed = confirmed(&shown, request.device, request.passkey);
            Box::pin(async move { confirmed })
        })),
        request_authorization: Some(Box::new(move |request| {
            let awaited = expected(&asked, request.device).map(|_| ());
            Box::pin(async move { awaited })
        })),
        ..Agent::default()
    }
}

/// The device's configured passkey, if it is being bonded with.
fn expected(awaited: &Awaited, device: Address) -> ReqResult<Option<u32>> {
    let awaited = awaited.lock().expect("no code panics while it holds the passkeys");
    awaited.get(&device).copied().ok_or(ReqError::Rejected)
}

fn passkey(awaited: &Awaited, device: Address) -> ReqResult<u32> {
    expected(awaited, device)?.ok_or(ReqError::Rejected)
}

/// A device that shows a number: it must be the configured one, where one is configured.
fn confirmed(awaited: &Awaited, device: Address, shown: u32) -> ReqResult<()> {
    let wanted = expected(awaited, device)?;
    wanted.is_none_or(|wanted| wanted == shown).then_some(()).ok_or(ReqError::Rejected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kits_devices_are_answered_and_only_while_they_are_bonded_with() {
        let (ours, open, strange) = (Address([1; 6]), Address([2; 6]), Address([9; 6]));
        let bonds = Bonds::default();
        bonds.awaited().insert(ours, Some(123_456));
        bonds.awaited().insert(open, None);
        let awaited = &bonds.awaited;
        assert_eq!(passkey(awaited, ours), Ok(123_456));
        assert_eq!(passkey(awaited, open), Err(ReqError::Rejected));
        assert_eq!(passkey(awaited, strange), Err(ReqError::Rejected));
        assert_eq!(confirmed(awaited, ours, 123_456), Ok(()));
        assert_eq!(confirmed(awaited, ours, 654_321), Err(ReqError::Rejected));
        assert_eq!(confirmed(awaited, open, 654_321), Ok(()));
        assert_eq!(confirmed(awaited, strange, 654_321), Err(ReqError::Rejected));
        bonds.awaited().clear();
        assert_eq!(expected(awaited, ours), Err(ReqError::Rejected));
    }
}
