//! Which kits are connected, and what they last said of themselves: to the board at once, to the store at most once a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use desk::Board;
use jiff::{SignedDuration, Timestamp};
use store::{Heard, Store};
use vitals::KitId;

use crate::{clock, watching::heartbeat};

/// How often what was heard is stored.
const FLUSH_PERIOD: Duration = Duration::from_secs(1);

/// The kits, as heard. Bounded by the roster: only kits that were let in are noted.
pub struct Presence {
    board: Arc<Board>,
    kits: Mutex<HashMap<KitId, Seen>>,
}

/// A kit on a broker counts as connected as long as something is heard of it at least this often: it repeats its status every five minutes.
const BROKER_SILENCE_MAX: SignedDuration = SignedDuration::from_mins(15);
/// What a kit does on a broker is noted at most this often.
const BROKER_NOTE_PERIOD: SignedDuration = SignedDuration::from_secs(60);

/// Begins the sentence about a kit that was over its limit.
const SLOWED: &str = "sends faster than [limits] lets it";
/// Begins the sentence about a kit that comes with too many connections.
const CROWDED: &str = "has more connections than [limits] lets it";
/// For so long it is told that a kit was over a limit.
const LIMITS_TOLD: SignedDuration = SignedDuration::from_hours(24);

struct Seen {
    heard: Heard,
    connections: usize,
    stored: bool,
    /// When something was heard of it over a broker, while it is connected there.
    by_broker: Option<Timestamp>,
    /// How often it was over its limit, and when it was last.
    slowed: Option<(u64, Timestamp)>,
    /// How many connections it had when another was refused last, and when that was.
    crowded: Option<(usize, Timestamp)>,
}

impl Presence {
    /// Starts from what was last stored; nobody is connected yet.
    #[must_use]
    pub fn new(board: Arc<Board>, last: Vec<Heard>) -> Arc<Self> {
        let kits = last.into_iter().map(|heard| {
            let (stored, slowed) = (!heard.online, told_slowed(&heard.status));
            let kit = heard.kit.clone();
            let heard = Heard { online: false, ..heard };
            (kit, Seen { heard, connections: 0, stored, by_broker: None, slowed, crowded: None })
        });
        Arc::new(Self { board, kits: Mutex::new(kits.collect()) })
    }

    /// A connection of this kit was accepted.
    pub fn connected(&self, kit: &KitId, now: Timestamp) {
        self.change(kit, now, |seen| seen.connections += 1);
    }

    /// A connection of this kit ended; the kit is offline when it was the last.
    pub fn disconnected(&self, kit: &KitId, now: Timestamp) {
        self.change(kit, now, |seen| seen.connections = seen.connections.saturating_sub(1));
    }

    /// The kit said how it is.
    pub fn status(&self, kit: &KitId, status: serde_json::Value, now: Timestamp) {
        self.change(kit, now, |seen| seen.heard.status = status);
    }

    /// A kit on a broker sent something.
    pub fn heard_by_broker(&self, kit: &KitId, now: Timestamp) {
        let noted = |seen: &Seen| seen.by_broker.is_some_and(|at| now.duration_since(at) < BROKER_NOTE_PERIOD);
        if !self.lock().get(kit).is_some_and(noted) {
            self.change(kit, now, |seen| seen.by_broker = Some(now));
        }
    }

    /// A kit on a broker said how it is; or the broker remembers (`retained`) what it said last, which may be long ago.
    pub fn status_by_broker(
        &self,
        kit: &KitId,
        online: bool,
        status: serde_json::Value,
        retained: bool,
        now: Timestamp,
    ) {
        let heard_before = self.last(kit).map(|(_, at)| at);
        let at = if retained { heard_before.unwrap_or(now) } else { now };
        self.change(kit, at, |seen| {
            seen.heard.status = status;
            seen.by_broker = online.then_some(now);
        });
    }

    /// The broker can't be heard: nobody knows who is connected there.
    pub fn broker_lost(&self, now: Timestamp) {
        self.leave_broker(now, |_| true);
    }

    /// This kit was over its limit, and has been so often.
    pub fn slowed(&self, kit: &KitId, times: u64, now: Timestamp) {
        let noted = |seen: &Seen| seen.slowed.is_some_and(|(_, at)| now.duration_since(at) < BROKER_NOTE_PERIOD);
        if !self.lock().get(kit).is_some_and(noted) {
            self.change(kit, now, |seen| seen.slowed = Some((times, now)));
        }
    }

    /// A connection of this kit was refused, since it has so many.
    pub fn crowded(&self, kit: &KitId, open: usize, now: Timestamp) {
        let noted = |seen: &Seen| seen.crowded.is_some_and(|(_, at)| now.duration_since(at) < BROKER_NOTE_PERIOD);
        if !self.lock().get(kit).is_some_and(noted) {
            self.change(kit, now, |seen| seen.crowded = Some((open, now)));
        }
    }

    /// Those of whom the broker has told nothing for too long are not connected.
    fn lapse(&self, now: Timestamp) {
        self.leave_broker(now, |at| now.duration_since(at) > BROKER_SILENCE_MAX);
    }

    fn leave_broker(&self, now: Timestamp, leaves: impl Fn(Timestamp) -> bool) {
        let left: Vec<KitId> = {
            let kits = self.lock();
            kits.iter().filter(|(_, seen)| seen.by_broker.is_some_and(&leaves)).map(|(kit, _)| kit.clone()).collect()
        };
        for kit in left {
            let at = self.last(&kit).map_or(now, |(_, at)| at);
            self.change(&kit, at, |seen| seen.by_broker = None);
        }
    }

    /// A kit that keeps no connection sent something. Noted at most once a minute.
    pub fn touched(&self, kit: &KitId, now: Timestamp) {
        let noted = |seen: &Seen| now.duration_since(seen.heard.at) < BROKER_NOTE_PERIOD;
        if !self.lock().get(kit).is_some_and(noted) {
            self.change(kit, now, |_| {});
        }
    }

    /// Is a kit connected, and when was it last heard? None if it never was.
    #[must_use]
    pub fn last(&self, kit: &KitId) -> Option<(bool, Timestamp)> {
        self.lock().get(kit).map(|seen| (seen.heard.online, seen.heard.at))
    }

    /// Stores what changed, once a second, for ever.
    pub async fn keep(self: Arc<Self>, store: Arc<dyn Store>) {
        loop {
            tokio::time::sleep(FLUSH_PERIOD).await;
            self.lapse(clock::now());
            self.flush(&*store).await;
        }
    }

    /// Stores what changed since the last time.
    pub async fn flush(&self, store: &dyn Store) {
        let changed: Vec<_> = self.lock().values().filter(|seen| !seen.stored).map(|seen| seen.heard.clone()).collect();
        if changed.is_empty() {
            return;
        }
        if let Err(error) = store.heard(&changed).await {
            tracing::warn!("what was heard of {} kits is not stored yet: {error}", changed.len());
            return;
        }
        let mut kits = self.lock();
        for heard in changed {
            if let Some(seen) = kits.get_mut(&heard.kit).filter(|seen| seen.heard == heard) {
                seen.stored = true;
            }
        }
    }

    fn change(&self, kit: &KitId, now: Timestamp, change: impl FnOnce(&mut Seen)) {
        // The service's own test readings are no kit's.
        if heartbeat::is(kit) {
            return;
        }
        let heard = {
            let mut kits = self.lock();
            let seen = kits.entry(kit.clone()).or_insert_with(|| Seen {
                heard: Heard { kit: kit.clone(), at: now, online: false, status: serde_json::Value::Null },
                connections: 0,
                stored: false,
                by_broker: None,
                slowed: None,
                crowded: None,
            });
            change(seen);
            seen.heard.at = now.max(seen.heard.at);
            seen.heard.online = seen.connections > 0 || seen.by_broker.is_some();
            seen.tell_limits();
            seen.stored = false;
            seen.heard.clone()
        };
        self.board.heard(heard);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KitId, Seen>> {
        self.kits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was told of a kit that was over its limit: how often, and when last. A kit over HTTP never says anything in its place.
fn told_slowed(status: &serde_json::Value) -> Option<(u64, Timestamp)> {
    let told = status.get("slowed")?;
    Some((told["times"].as_u64()?, told["at"].as_str()?.parse().ok()?))
}

impl Seen {
    /// Beside what the kit says of itself, if it says anything: over HTTP it does not.
    fn tell_limits(&mut self) {
        if self.slowed.is_none() && self.crowded.is_none() {
            return;
        }
        if self.heard.status.is_null() {
            self.heard.status = serde_json::json!({});
        }
        let heard_at = self.heard.at;
        let serde_json::Value::Object(status) = &mut self.heard.status else { return };
        let lately = |at: Timestamp| heard_at.duration_since(at) <= LIMITS_TOLD;
        let slowed = self.slowed.filter(|(_, at)| lately(*at));
        let crowded = self.crowded.filter(|(_, at)| lately(*at));
        let problems = status.entry("problems").or_insert_with(|| serde_json::json!([]));
        if let Some(problems) = problems.as_array_mut() {
            let of_limits = |problem: &str| problem.starts_with(SLOWED) || problem.starts_with(CROWDED);
            problems.retain(|problem| !problem.as_str().is_some_and(of_limits));
            let slowed = slowed.map(|(times, at)| format!("{SLOWED}: {times} messages had to wait, the last at {at}"));
            let crowded = crowded.map(|(open, at)| format!("{CROWDED}: {open} are open, the last refused at {at}"));
            problems.extend(slowed.into_iter().chain(crowded).map(serde_json::Value::from));
        }
        match slowed {
            Some((times, at)) => {
                status.insert("slowed".to_owned(), serde_json::json!({ "times": times, "at": at }));
            }
            None => drop(status.remove("slowed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use store::Roster;

    use super::*;

    #[test]
    fn a_takeover_does_not_leave_the_kit_offline() {
        let board = Board::new(Vec::new(), Roster::default(), Vec::new(), HashMap::new());
        let presence = Presence::new(board, Vec::new());
        let (kit, now) = ("kit-1".parse().unwrap(), Timestamp::UNIX_EPOCH);
        let online = |presence: &Presence| presence.lock()[&kit].heard.online;
        presence.connected(&kit, now);
        presence.connected(&kit, now);
        presence.disconnected(&kit, now);
        assert!(online(&presence), "the new connection came before the old one went");
        presence.disconnected(&kit, now);
        assert!(!online(&presence));
    }

    #[test]
    fn on_a_broker_a_kit_is_there_as_long_as_it_is_heard() {
        let board = Board::new(Vec::new(), Roster::default(), Vec::new(), HashMap::new());
        let presence = Presence::new(board, Vec::new());
        let (kit, other): (KitId, KitId) = ("kit-1".parse().unwrap(), "kit-2".parse().unwrap());
        let at = |minutes: i64| Timestamp::from_second(60 * minutes).unwrap();
        let status = serde_json::json!({ "online": true });
        presence.status_by_broker(&kit, true, status.clone(), false, at(0));
        presence.status_by_broker(&other, false, status.clone(), true, at(0));
        assert_eq!((presence.last(&kit), presence.last(&other)), (Some((true, at(0))), Some((false, at(0)))));
        presence.heard_by_broker(&kit, at(10));
        presence.status_by_broker(&other, false, status, true, at(60));
        assert_eq!(presence.last(&other), Some((false, at(0))), "what the broker remembers is no news");
        presence.lapse(at(25));
        assert_eq!(presence.last(&kit), Some((true, at(10))));
        presence.lapse(at(26));
        assert_eq!(presence.last(&kit), Some((false, at(10))), "a broker that says nothing is no proof of life");
        presence.heard_by_broker(&kit, at(30));
        presence.slowed(&kit, 7, at(30));
        presence.broker_lost(at(31));
        assert_eq!(presence.last(&kit), Some((false, at(30))));
        let status = presence.lock()[&kit].heard.status.clone();
        assert_eq!((&status["slowed"]["times"], status["problems"].as_array().unwrap().len()), (&7.into(), 1));
    }

    #[test]
    fn a_kit_that_never_says_how_it_is_is_told_of_too_when_it_floods() {
        let board = || Board::new(Vec::new(), Roster::default(), Vec::new(), HashMap::new());
        let presence = Presence::new(board(), Vec::new());
        let kit: KitId = "kit-1".parse().unwrap();
        let at = |hours: i64| Timestamp::from_second(3600 * hours).unwrap();
        presence.touched(&kit, at(0));
        presence.slowed(&kit, 7, at(1));
        let heard = |presence: &Presence| presence.lock()[&kit].heard.clone();
        assert_eq!(heard(&presence).status["slowed"]["times"], 7);

        let anew = Presence::new(board(), vec![heard(&presence)]);
        anew.touched(&kit, at(2));
        assert_eq!(heard(&anew).status["slowed"]["times"], 7, "a restart forgets nothing");
        anew.touched(&kit, at(26));
        assert_eq!(heard(&anew).status, serde_json::json!({ "problems": [] }), "and tells it for a day");
    }

    #[test]
    fn a_kit_with_too_many_connections_is_told_of_for_a_day() {
        let presence = Presence::new(Board::new(Vec::new(), Roster::default(), Vec::new(), HashMap::new()), Vec::new());
        let kit: KitId = "kit-1".parse().unwrap();
        let at = |hours: i64| Timestamp::from_second(3600 * hours).unwrap();
        presence.crowded(&kit, 16, at(1));
        let problems = |presence: &Presence| presence.lock()[&kit].heard.status["problems"].clone();
        let sentence =
            "has more connections than [limits] lets it: 16 are open, the last refused at 1970-01-01T01:00:00Z";
        presence.status(&kit, serde_json::json!({ "problems": ["no oximeter"] }), at(2));
        assert_eq!(problems(&presence), serde_json::json!(["no oximeter", sentence]));
        presence.touched(&kit, at(26));
        assert_eq!(problems(&presence), serde_json::json!(["no oximeter"]));
    }
}
