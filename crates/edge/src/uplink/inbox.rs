//! What the core says to the kit, taken in by the task that polls: never waits, and keeps the newest.

use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use vitals::PatientId;
use wire::{Acks, Command, Judged, TopicKind};

/// Commands that wait to be looked at; more are passed over.
const COMMANDS_MAX: usize = 64;
/// Acks with judgements that wait to be looked at; more are passed over, since only the page shows them.
const JUDGED_MAX: usize = 64;

/// What the clinic asks, as far as this kit can read it.
pub type Asked = Result<Command, Unreadable>;

/// A command that can't be read, by a newer core or a wrong one: the clinic is told so, and does not wait for it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Unreadable {
    /// Which.
    pub id: String,
    /// For whom.
    #[serde(default)]
    pub patient: Option<PatientId>,
    /// What is wrong with it.
    #[serde(skip)]
    pub why: String,
}

/// The writing end.
pub struct Inbox {
    through: watch::Sender<u64>,
    commands: mpsc::Sender<Asked>,
    judged: mpsc::Sender<Vec<Judged>>,
    rejected: u64,
}

/// The reading end.
pub struct FromCore {
    /// The highest acknowledgement so far.
    pub through: watch::Receiver<u64>,
    /// Commands, in order. One that comes again is told from its first coming by whoever does it, over restarts too.
    pub commands: mpsc::Receiver<Asked>,
    /// What was judged, in order.
    pub judged: mpsc::Receiver<Vec<Judged>>,
}

/// Both ends.
pub fn inbox() -> (Inbox, FromCore) {
    let (through, acked) = watch::channel(0);
    let (sender, commands) = mpsc::channel(COMMANDS_MAX);
    let (judging, judged) = mpsc::channel(JUDGED_MAX);
    let inbox = Inbox { through, commands: sender, judged: judging, rejected: 0 };
    (inbox, FromCore { through: acked, commands, judged })
}

impl Inbox {
    /// Takes in what came.
    pub fn take(&mut self, kind: TopicKind, payload: &[u8]) {
        match kind {
            TopicKind::Acks => self.acks(payload),
            TopicKind::Commands => self.command(payload),
            TopicKind::Readings | TopicKind::Status => {}
        }
    }

    /// The reasons of rejections name values, which no log may carry; the core shows them beside its quarantine.
    fn acks(&mut self, payload: &[u8]) {
        let Some(acks) = understood::<Acks>(payload) else { return };
        for rejection in &acks.rejected {
            self.rejected += 1;
            tracing::warn!(
                seq = rejection.seq,
                rejected = self.rejected,
                "uplink: the core rejected a message or a part of it"
            );
        }
        if !acks.judged.is_empty() && self.judged.try_send(acks.judged).is_err() {
            tracing::debug!("uplink: more judgements came than could be looked at");
        }
        // Also the same number again is news: it may cover what has been sent since.
        self.through.send_modify(|through| *through = acks.through.max(*through));
    }

    fn command(&mut self, payload: &[u8]) {
        let asked = match serde_json::from_slice::<Command>(payload) {
            Ok(command) => Ok(command),
            Err(error) => {
                let Some(unreadable) = understood::<Unreadable>(payload) else { return };
                Err(Unreadable { why: format!("this kit can't read the command: {error}"), ..unreadable })
            }
        };
        if self.commands.try_send(asked).is_err() {
            tracing::warn!("uplink: more commands came than could be looked at");
        }
    }
}

fn understood<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Option<T> {
    let read = serde_json::from_slice(payload);
    if let Err(error) = &read {
        // The error itself may quote what stands there, which no log may carry.
        let (kind, column) = (error.classify(), error.column());
        tracing::warn!(?kind, column, bytes = payload.len(), "uplink: can't understand what the core said");
    }
    read.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_acks_the_highest_is_kept_and_nonsense_does_no_harm() {
        let (mut inbox, from_core) = inbox();
        for payload in [
            r#"{"through":7}"#,
            "",
            "null",
            r#"{"through":-1}"#,
            r#"{"through":900,"rejected":[],"new":1}"#,
            r#"{"through":8}"#,
        ] {
            inbox.take(TopicKind::Acks, payload.as_bytes());
        }
        assert_eq!(*from_core.through.borrow(), 900);
    }

    #[test]
    fn a_command_that_cannot_be_read_is_named() {
        let (mut inbox, mut from_core) = inbox();
        let schedule =
            r#"{"id":"s1","command":"schedule","patient":"p-1","schedule":[{"at":"25:61","vitals":["spo2"]}]}"#;
        for payload in [schedule, r#"{"id":"r1","command":"remeasure","vital":"mood"}"#, r#"{"command":"x","vital":1}"#]
        {
            inbox.take(TopicKind::Commands, payload.as_bytes());
        }
        let mut next = || from_core.commands.try_recv().ok().map(Result::unwrap_err);
        let (schedule, remeasure) = (next().unwrap(), next().unwrap());
        assert_eq!((schedule.id.as_str(), schedule.patient), ("s1", "p-1".parse().ok()));
        assert!(remeasure.id == "r1" && remeasure.why.contains("mood"), "{}", remeasure.why);
        assert_eq!(next(), None, "what has no id can't be answered");
    }

    #[test]
    fn commands_and_judgements_come_in_order_and_never_without_end() {
        let (mut inbox, mut from_core) = inbox();
        for id in [1, 2] {
            inbox.take(TopicKind::Commands, format!(r#"{{"id":"{id}","command":"remeasure"}}"#).as_bytes());
            let judged = format!(r#"{{"through":{id},"judged":[{{"seq":{id},"colour":"red"}}]}}"#);
            inbox.take(TopicKind::Acks, judged.as_bytes());
        }
        let ids: Vec<String> = std::iter::from_fn(|| Some(from_core.commands.try_recv().ok()?.unwrap().id)).collect();
        assert_eq!(ids, ["1", "2"]);
        let seqs: Vec<u64> = std::iter::from_fn(|| Some(from_core.judged.try_recv().ok()?[0].seq)).collect();
        assert_eq!(seqs, [1, 2]);
        for id in 0..1000 {
            inbox.take(TopicKind::Commands, format!(r#"{{"id":"{id}","command":"x"}}"#).as_bytes());
            inbox.take(TopicKind::Acks, br#"{"through":1,"judged":[{"seq":1,"colour":"red"}]}"#);
        }
        assert_eq!((from_core.commands.len(), from_core.judged.len()), (COMMANDS_MAX, JUDGED_MAX));
    }
}
