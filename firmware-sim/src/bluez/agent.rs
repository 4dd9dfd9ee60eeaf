//! AgentManager1: clients that answer when a device wants to be bonded with, and asking them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use zbus::{Connection, ObjectPath, OwnedObjectPath, interface, message::Header};

use super::{
    BluezError,
    adapter::{AdapterState, caller},
};

/// Where the manager is.
pub const PATH: &str = "/org/bluez";

/// Clients that may have an agent.
const AGENTS_MAX: usize = 64;

/// Who answers: by client, the path of its agent.
#[derive(Debug, Default)]
pub struct Agents {
    by_client: Mutex<HashMap<String, OwnedObjectPath>>,
}

impl Agents {
    pub(super) fn forget(&self, client: &str) {
        self.by_client.lock().expect("no holder panics").remove(client);
    }

    /// What the agent of `client` says is the passkey of `device`.
    pub(super) async fn passkey(&self, connection: &Connection, client: &str, device: &str) -> Result<u32, BluezError> {
        let failed = |why: &str| BluezError::AuthenticationFailed(why.into());
        let agent = self.by_client.lock().expect("no holder panics").get(client).cloned();
        let agent = agent.ok_or_else(|| failed("nobody to ask"))?;
        let device = ObjectPath::try_from(device).map_err(|_| failed("no such device"))?;
        let interface = Some("org.bluez.Agent1");
        let answer = connection.call_method(Some(client), &agent, interface, "RequestPasskey", &(device,)).await;
        let answer = answer.map_err(|error| failed(&error.to_string()))?;
        answer.body().deserialize().map_err(|_| failed("that is no passkey"))
    }
}

/// The D-Bus object.
#[derive(Debug)]
pub struct AgentManager {
    state: Arc<AdapterState>,
}

impl AgentManager {
    pub(super) fn new(state: Arc<AdapterState>) -> Self {
        Self { state }
    }
}

#[interface(name = "org.bluez.AgentManager1", introspection_docs = false)]
impl AgentManager {
    async fn register_agent(
        &self,
        agent: OwnedObjectPath,
        _capability: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), BluezError> {
        let mut by_client = self.state.agents.by_client.lock().expect("no holder panics");
        if by_client.len() >= AGENTS_MAX {
            return Err(BluezError::Failed(format!("{AGENTS_MAX} clients have an agent already")));
        }
        by_client.insert(caller(&header), agent);
        Ok(())
    }

    async fn unregister_agent(
        &self,
        _agent: OwnedObjectPath,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), BluezError> {
        self.state.agents.forget(&caller(&header));
        Ok(())
    }

    async fn request_default_agent(&self, _agent: OwnedObjectPath) -> Result<(), BluezError> {
        Ok(())
    }
}
