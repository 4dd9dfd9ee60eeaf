//! Who may come in through the front door, and what they may use: credentials from the roster, own topics only. Where the handshake asks for a
//! certificate, it must name the kit that signs in, and the secret is asked for all the same.

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
use tokio::time::Instant;
use vitals::KitId;
use wire::{Topic, TopicKind};

use crate::{clock, directory::Directories, presence::Presence, seldom::Seldom};

/// So long may connections wait for their turn after a restart; the others are told to come again.
const TURN_SECONDS_MAX: u32 = 8;

/// The broker's questions, answered from the roster as it is now.
pub struct Gate {
    directories: Directories,
    /// Told of kits that come with too many connections.
    presence: Arc<Presence>,
    connections: Mutex<HashMap<String, Connection>>,
    /// Of them, those that are served.
    open: AtomicUsize,
    /// The most that are.
    open_max: usize,
    full_told: Mutex<Seldom>,
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
    pub fn new(
        directories: Directories,
        presence: Arc<Presence>,
        (per_second, open_max): (u32, usize),
        of_kit_max: usize,
    ) -> Arc<Self> {
        let rate = NonZeroU32::new(per_second.max(1)).expect("at least 1");
        Arc::new(Self {
            directories,
            presence,
            connections: Mutex::default(),
            open: AtomicUsize::new(0),
            open_max,
            full_told: Mutex::default(),
            turns: DefaultDirectRateLimiter::direct(Quota::per_second(rate)),
            turns_max: rate.saturating_mul(NonZeroU32::new(TURN_SECONDS_MAX).expect("not 0")).get() as usize,
            waiting: AtomicUsize::new(0),
            of_kit_max,
        })
    }

    /// What answers on one connection. `shown` is whom the certificate names that was shown on it, or why nobody; `None` where none is asked for.
    #[must_use]
    pub fn of_connection(self: &Arc<Self>, shown: Option<Result<String, String>>) -> Arc<dyn AuthProvider> {
        match shown {
            Some(named) => Arc::new(Certified { gate: Arc::clone(self), named }),
            None => Arc::clone(self) as Arc<dyn AuthProvider>,
        }
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
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection has ended.
    pub fn went(&self, client: &str) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = connections.get_mut(client) {
            known.handlers = known.handlers.saturating_sub(1);
            self.open.fetch_sub(1, Ordering::Relaxed);
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

    /// Answers somebody who signs in.
    async fn answer(&self, connect: &ConnectPacket, from: SocketAddr, shown: Shown<'_>) -> AuthResult {
        if !self.turn().await {
            return AuthResult::fail(ReasonCode::ConnectionRateExceeded);
        }
        match self.admit(connect, shown) {
            Ok(kit) => AuthResult::success_with_user(kit.as_str()),
            Err(why) => AuthResult::fail(self.refuse(&why, from)),
        }
    }

    /// Checks certificate, name, password and client id, and whether there is room.
    fn admit(&self, connect: &ConnectPacket, shown: Shown<'_>) -> Result<KitId, Refusal> {
        let kit = self.known(connect, shown).map_err(Refusal::Stranger)?;
        self.note(connect, &kit)?;
        Ok(kit)
    }

    /// Whose connection this is; `Err` says why it is nobody's, for the log.
    fn known(&self, connect: &ConnectPacket, shown: Shown<'_>) -> Result<KitId, String> {
        let user = connect.username.as_deref().ok_or("no user name was given, want the kit's id")?;
        let kit: KitId = user.parse().map_err(|e| format!("user name: {e}"))?;
        if let Some(named) = shown {
            let named = named.as_ref().map_err(|why| format!("{kit}: {why}"))?;
            if named != kit.as_str() {
                return Err(format!("{kit} came with the certificate of {named:?}"));
            }
        }
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
        Ok(kit)
    }

    /// Remembers which protocol the client speaks; refuses one connection too many. One that takes another's place is none.
    fn note(&self, connect: &ConnectPacket, kit: &KitId) -> Result<(), Refusal> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let handlers = connections.get(&connect.client_id).map_or(0, |connection| connection.handlers);
        if handlers == 0 {
            self.check_room(&connections, connect, kit)?;
        }
        if connections.len() >= NOTED_MAX {
            connections.retain(|_, connection| connection.handlers > 0);
        }
        let noted = Connection { kit: kit.clone(), protocol: connect.protocol_version, handlers };
        connections.insert(connect.client_id.clone(), noted);
        Ok(())
    }

    fn check_room(
        &self,
        connections: &HashMap<String, Connection>,
        connect: &ConnectPacket,
        kit: &KitId,
    ) -> Result<(), Refusal> {
        if connect.client_id != kit.as_str() {
            let open = connections.values().filter(|c| c.kit == *kit && c.handlers > 0).count();
            if open >= self.of_kit_max {
                return Err(Refusal::KitFull { kit: kit.clone(), open, most: self.of_kit_max });
            }
        }
        let open = self.open.load(Ordering::Relaxed);
        if open >= self.open_max { Err(Refusal::Full { open, most: self.open_max }) } else { Ok(()) }
    }

    /// Counts a refusal, tells of it, and gives what the client is told.
    fn refuse(&self, why: &Refusal, from: SocketAddr) -> ReasonCode {
        let (reason, code) = why.names();
        metrics::counter!("vagt_front_door_refused_total", "reason" => reason).increment(1);
        if let Refusal::KitFull { kit, open, .. } = why {
            self.presence.crowded(kit, *open, clock::now());
        }
        // Every kit that comes to a full door would have its line, again and again.
        let mut full_told = self.full_told.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(why, Refusal::Full { .. }) || full_told.is_time(Instant::now()) {
            tracing::warn!(%from, "connection refused: {why}");
        }
        code
    }
}

/// Why a connection is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// Nobody who may come in.
    #[error("{0}")]
    Stranger(String),
    /// One too many of a kit.
    #[error("{kit} has {open} connections, at most {most} are taken (limits.connections): told to come again later")]
    KitFull { kit: KitId, open: usize, most: usize },
    /// One too many of all. Told once a minute.
    #[error(
        "there are {open} connections, at most {most} are taken (mqtt.connections_max): kits are told to come again later"
    )]
    Full { open: usize, most: usize },
}

impl Refusal {
    /// As it is counted, and as the client is told. The last two are 3, "server unavailable", in MQTT 3.1.1: only who is told of a wrong
    /// password has anything to mend at the kit.
    fn names(&self) -> (&'static str, ReasonCode) {
        match self {
            Self::Stranger(_) => ("credentials", ReasonCode::BadUsernameOrPassword),
            Self::KitFull { .. } => ("kit_full", ReasonCode::QuotaExceeded),
            Self::Full { .. } => ("full", ReasonCode::ServerBusy),
        }
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
        Box::pin(async move { Ok(self.answer(connect, from, None).await) })
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

/// Whom a certificate names, or why nobody; `None` where none is asked for.
type Shown<'a> = Option<&'a Result<String, String>>;

/// The gate, for one connection on which a certificate was asked for.
struct Certified {
    gate: Arc<Gate>,
    named: Result<String, String>,
}

impl AuthProvider for Certified {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        from: SocketAddr,
    ) -> Answer<'a, mqtt5::error::Result<AuthResult>> {
        Box::pin(async move { Ok(self.gate.answer(connect, from, Some(&self.named)).await) })
    }

    fn authorize_publish<'a>(&'a self, client: &str, user: Option<&'a str>, topic: &'a str) -> Answer<'a, bool> {
        self.gate.authorize_publish(client, user, topic)
    }

    fn authorize_subscribe<'a>(&'a self, client: &str, user: Option<&'a str>, filter: &'a str) -> Answer<'a, bool> {
        self.gate.authorize_subscribe(client, user, filter)
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
    use desk::Board;
    use jiff::tz::TimeZone;
    use sha2::{Digest, Sha256};
    use store::Roster;

    use super::*;
    use crate::directory::{Directory, copd, hex};

    /// Where kit-1 is in the roster, with its name as its secret.
    fn gate() -> Arc<Gate> {
        let hash = hex(&Sha256::digest(b"kit-1"));
        let roster = format!(
            "[[patient]]\nid = \"p-1\"\nname = \"Test Person\"\nprogramme = \"copd\"\n\
             [[kit]]\nid = \"kit-1\"\npatient = \"p-1\"\nsecret_sha256 = \"{hash}\"\n"
        );
        let directory = Directory::new(toml::from_str(&roster).unwrap(), &copd(), &TimeZone::UTC).unwrap();
        let board = Board::new(Vec::new(), Roster::default(), Vec::new(), HashMap::new());
        Gate::new(Directories::fixed(directory), Presence::new(board, Vec::new()), (100, 100), 16)
    }

    fn connect(user: &str, password: &str) -> ConnectPacket {
        let mut options = mqtt5::ConnectOptions::new(user).protocol_options;
        options.username = Some(user.to_owned());
        options.password = Some(password.as_bytes().to_vec());
        ConnectPacket::new(options)
    }

    #[tokio::test]
    async fn who_signs_in_is_whom_the_certificate_names_and_knows_the_secret_too() {
        let (gate, from) = (gate(), SocketAddr::from(([127, 0, 0, 1], 1)));
        for (shown, password, comes_in) in [
            (None, "kit-1", true),
            (Some(Ok("kit-1")), "kit-1", true),
            (Some(Ok("kit-1")), "guessed", false),
            (Some(Ok("kit-2")), "kit-1", false),
            (Some(Ok("Kit-1")), "kit-1", false),
            (Some(Err("no certificate was shown")), "kit-1", false),
        ] {
            let owned = shown.map(|named| named.map(str::to_owned).map_err(str::to_owned));
            let door = gate.of_connection(owned);
            let answer = door.authenticate(&connect("kit-1", password), from).await.unwrap();
            let wanted = if comes_in { ReasonCode::Success } else { ReasonCode::BadUsernameOrPassword };
            assert_eq!((answer.authenticated, answer.reason_code), (comes_in, wanted), "{shown:?} {password}");
        }
    }

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
