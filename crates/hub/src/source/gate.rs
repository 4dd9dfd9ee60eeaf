//! Who may come in through the front door, and what they may use: credentials from the roster, own topics only.

use std::{
    collections::HashMap,
    future::{Future, ready},
    net::SocketAddr,
    num::NonZeroU32,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use governor::{DefaultDirectRateLimiter, Quota};
use mqtt5::broker::{AuthProvider, AuthResult};
use mqtt5::{packet::connect::ConnectPacket, protocol::v5::reason_codes::ReasonCode};
use vitals::KitId;
use wire::{Topic, TopicKind};

use crate::directory::Directories;

/// So long may connections wait for their turn after a restart; the others are told to come again.
const TURN_SECONDS_MAX: u32 = 8;

/// The broker's questions, answered from the roster as it is now.
pub struct Gate {
    directories: Directories,
    connections: Mutex<HashMap<String, Connection>>,
    /// Connections that begin, so that ten thousand kits after a restart don't all begin at once.
    turns: DefaultDirectRateLimiter,
    /// The most that wait for their turn.
    turns_max: usize,
    waiting: AtomicUsize,
    /// The most connections of one kit at a time; its own client id can always be taken over.
    of_kit_max: usize,
}

struct Connection {
    kit: KitId,
    protocol: u8,
    handlers: usize,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Gate {
    /// A gate that follows the roster.
    #[must_use]
    pub fn new(directories: Directories, per_second: u32, of_kit_max: usize) -> Arc<Self> {
        let rate = NonZeroU32::new(per_second.max(1)).expect("at least 1");
        Arc::new(Self {
            directories,
            connections: Mutex::default(),
            turns: DefaultDirectRateLimiter::direct(Quota::per_second(rate)),
            turns_max: rate.saturating_mul(NonZeroU32::new(TURN_SECONDS_MAX).expect("not 0")).get() as usize,
            waiting: AtomicUsize::new(0),
            of_kit_max,
        })
    }

    /// Waits for the turn of a connection; `false` if too many wait.
    async fn turn(&self) -> bool {
        if self.turns.check().is_ok() {
            return true;
        }
        let place = Place::of(&self.waiting);
        let in_time = place.before < self.turns_max;
        if in_time {
            self.turns.until_ready().await;
        } else {
            metrics::counter!("vagt_front_door_come_again_total").increment(1);
        }
        in_time
    }

    /// A connection begins to be served.
    pub fn came(&self, client: &str, kit: &KitId) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let known = connections.entry(client.to_owned()).or_insert_with(|| Connection {
            kit: kit.clone(),
            protocol: PROTOCOL_5,
            handlers: 0,
        });
        known.handlers += 1;
    }

    /// A connection has ended.
    pub fn went(&self, client: &str) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = connections.get_mut(client) {
            known.handlers = known.handlers.saturating_sub(1);
            if known.handlers == 0 {
                connections.remove(client);
            }
        }
    }

    /// Is this a kit of the roster, and not revoked?
    #[must_use]
    pub fn may_connect(&self, kit: &str) -> bool {
        self.directories.now().may_connect(kit)
    }

    /// Clients whose kit may connect no longer.
    #[must_use]
    pub fn unwelcome(&self) -> Vec<String> {
        let directory = self.directories.now();
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = connections.iter().filter(|(_, connection)| !directory.may_connect(connection.kit.as_str()));
        gone.map(|(client, _)| client.clone()).collect()
    }

    /// Can this client be told why a publish is refused? MQTT 3.1.1 has no word for it: there, a PUBACK means "stored".
    fn hears_reasons(&self, client: &str) -> bool {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.get(client).is_none_or(|connection| connection.protocol >= PROTOCOL_5)
    }

    /// Checks name, password and client id; `Err` says why not, for the log.
    fn admit(&self, connect: &ConnectPacket) -> Result<KitId, String> {
        let user = connect.username.as_deref().ok_or("no user name was given, want the kit's id")?;
        let kit: KitId = user.parse().map_err(|e| format!("user name: {e}"))?;
        let directory = self.directories.now();
        let password = connect.password.as_deref().unwrap_or_default();
        directory.check_secret(&kit, password)?;
        if connect.client_id != kit.as_str() && directory.is_kit(&connect.client_id) {
            return Err(format!("{kit} came with the client id of another kit, {}", connect.client_id));
        }
        if let Some(will) =
            connect.will.as_ref().filter(|will| own_topic(kit.as_str(), &will.topic) != Some(TopicKind::Status))
        {
            return Err(format!("the last will of {kit} is for another topic than its status: {:?}", will.topic));
        }
        self.note(connect, &kit)?;
        Ok(kit)
    }

    /// Remembers which protocol the client speaks; refuses one connection too many.
    fn note(&self, connect: &ConnectPacket, kit: &KitId) -> Result<(), String> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if !connections.contains_key(&connect.client_id) {
            let open = connections.values().filter(|c| c.kit == *kit && c.handlers > 0).count();
            if open >= self.of_kit_max && connect.client_id != kit.as_str() {
                return Err(format!("{kit} has {open} connections, at most {} are taken", self.of_kit_max));
            }
        }
        if connections.len() >= NOTED_MAX {
            connections.retain(|_, connection| connection.handlers > 0);
        }
        let handlers = connections.get(&connect.client_id).map_or(0, |connection| connection.handlers);
        let noted = Connection { kit: kit.clone(), protocol: connect.protocol_version, handlers };
        connections.insert(connect.client_id.clone(), noted);
        Ok(())
    }
}

/// One that waits for its turn.
struct Place<'a> {
    waiting: &'a AtomicUsize,
    before: usize,
}

impl<'a> Place<'a> {
    fn of(waiting: &'a AtomicUsize) -> Self {
        Self { waiting, before: waiting.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

const PROTOCOL_5: u8 = 5;
/// Clients remembered before those that never finished connecting are swept out.
const NOTED_MAX: usize = 65_536;

impl AuthProvider for Gate {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        from: SocketAddr,
    ) -> Answer<'a, mqtt5::error::Result<AuthResult>> {
        Box::pin(async move {
            if !self.turn().await {
                return Ok(AuthResult::fail(ReasonCode::ConnectionRateExceeded));
            }
            Ok(match self.admit(connect) {
                Ok(kit) => AuthResult::success_with_user(kit.as_str()),
                Err(why) => {
                    metrics::counter!("vagt_front_door_refused_total").increment(1);
                    tracing::warn!(%from, "connection refused: {why}");
                    AuthResult::fail(ReasonCode::BadUsernameOrPassword)
                }
            })
        })
    }

    fn authorize_publish<'a>(&'a self, client: &str, user: Option<&'a str>, topic: &'a str) -> Answer<'a, bool> {
        let kit = user.unwrap_or_default();
        let own = own_topic(kit, topic).is_some_and(TopicKind::from_kit);
        let allowed = (own && self.may_connect(kit)) || !self.hears_reasons(client);
        if !allowed {
            metrics::counter!("vagt_front_door_not_authorised_total").increment(1);
            tracing::warn!(kit, "publish refused: {}", wrong_topic(kit, topic));
        }
        Box::pin(ready(allowed))
    }

    fn authorize_subscribe<'a>(&'a self, _client: &str, user: Option<&'a str>, filter: &'a str) -> Answer<'a, bool> {
        let kit = user.unwrap_or_default();
        let allowed = own_topic(kit, filter).is_some_and(|kind| !kind.from_kit());
        if !allowed {
            metrics::counter!("vagt_front_door_not_authorised_total").increment(1);
            tracing::warn!(kit, filter, "subscription refused: a kit may subscribe to its own acks and commands");
        }
        Box::pin(ready(allowed))
    }
}

/// What this topic carries, if it is one of the kit's own.
pub fn own_topic(kit: &str, topic: &str) -> Option<TopicKind> {
    Topic::parse(topic).filter(|topic| topic.kit.as_str() == kit).map(|topic| topic.kind)
}

/// The sentence for a publish to a topic that is not the kit's to write.
pub fn wrong_topic(kit: &str, topic: &str) -> String {
    let found: String = topic.chars().take(TOPIC_SHOWN_MAX).collect();
    format!("published to {found:?}, want vagt/v1/{kit}/readings or vagt/v1/{kit}/status")
}

/// The most characters of a stranger's topic that are repeated in a sentence.
const TOPIC_SHOWN_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kit_has_four_topics() {
        assert_eq!(own_topic("kit-1", "vagt/v1/kit-1/readings"), Some(TopicKind::Readings));
        assert_eq!(own_topic("kit-1", "vagt/v1/kit-1/acks"), Some(TopicKind::Acks));
        for other in
            ["vagt/v1/kit-2/readings", "vagt/v1/+/acks", "vagt/v1/kit-1/#", "#", "$SYS/broker", "vagt/v1/kit-11/acks"]
        {
            assert_eq!(own_topic("kit-1", other), None, "{other}");
        }
    }
}
