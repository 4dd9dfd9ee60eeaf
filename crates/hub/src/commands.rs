//! Commands on their way to the kits: from the store, when they are new, and again each time that a kit begins to listen, until the kit says
//! something of them or they expire. Sending twice is harmless: the same id is the same command.
//!
//! The store is asked once a second, so that `vagt kit command` and another process's page are heard too. What it holds is the truth; in
//! memory is only what was sent already.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use store::{Command, Store};
use tokio::{sync::Notify, time::timeout};
use vitals::KitId;
use wire::{Topic, TopicKind};

use crate::{clock, source::ToKits};

/// How often the store is asked.
const ASK_PERIOD: Duration = Duration::from_secs(1);
/// The most commands of all kits that are on their way at a time; the oldest first.
pub const COMMANDS_ON_THE_WAY_MAX: u32 = 10_000;

/// What was sent to whom. Bounded by what the store gives.
#[derive(Default)]
pub struct Commands {
    sent: Mutex<HashMap<KitId, HashSet<String>>>,
    wake: Notify,
}

impl Commands {
    /// A kit begins to listen: what waits for it is sent again.
    pub fn again(&self, kit: &KitId) {
        self.lock().remove(kit);
        self.wake.notify_one();
    }

    /// Sends for ever.
    pub async fn keep(self: Arc<Self>, store: Arc<dyn Store>, to_kits: Arc<dyn ToKits>) {
        let mut failed = false;
        loop {
            match self.send(&*store, &*to_kits).await {
                Ok(()) => failed = false,
                Err(error) if !failed => {
                    failed = true;
                    tracing::warn!("commands wait, the store can't be asked for them: {error}");
                }
                Err(_) => {}
            }
            let _woken_or_due = timeout(ASK_PERIOD, self.wake.notified()).await;
        }
    }

    /// Sends what waits and was not sent to the kit's connection yet.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn send(&self, store: &dyn Store, to_kits: &dyn ToKits) -> Result<(), store::StoreError> {
        let open = store.open_commands(clock::now(), COMMANDS_ON_THE_WAY_MAX).await?;
        let new = self.note(open);
        for command in new {
            match payload(&command) {
                Ok(payload) => to_kits.send(&Topic::new(&command.kit, TopicKind::Commands), payload).await,
                Err(error) => tracing::error!(kit = %command.kit, "a command can't be written: {error}"),
            }
        }
        Ok(())
    }

    /// Those that were not sent; what no longer waits is forgotten.
    fn note(&self, open: Vec<Command>) -> Vec<Command> {
        let mut sent = self.lock();
        let mut still: HashMap<KitId, HashSet<String>> = HashMap::new();
        let mut new = Vec::new();
        for command in open {
            if !sent.get(&command.kit).is_some_and(|ids| ids.contains(&command.id)) {
                new.push(command.clone());
            }
            still.entry(command.kit).or_default().insert(command.id);
        }
        *sent = still;
        new
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KitId, HashSet<String>>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command as the wire has it.
fn payload(command: &Command) -> Result<Vec<u8>, serde_json::Error> {
    let body = |name: &str| command.body.get(name).cloned().unwrap_or_default();
    serde_json::to_vec(&wire::Command {
        id: command.id.clone(),
        command: command.command.clone(),
        vital: serde_json::from_value(body("vital"))?,
        text: serde_json::from_value(body("text"))?,
        by: command.by.clone(),
        issued_at: Some(command.issued_at),
        expires_at: Some(command.expires_at),
        patient: command.patient.clone(),
        schedule: serde_json::from_value(body("schedule"))?,
    })
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use store::{Batch, Entry, KitSeq, Progress, Receipt, Sqlite};

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    #[async_trait]
    impl ToKits for Heard {
        async fn send(&self, topic: &Topic, payload: Vec<u8>) {
            let command: wire::Command = serde_json::from_slice(&payload).unwrap();
            self.0.lock().unwrap().push(format!("{topic} {} {}", command.id, command.text.unwrap_or_default()));
        }
    }

    #[tokio::test]
    async fn a_command_is_sent_again_to_a_kit_that_listens_anew_until_it_says_something() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        let (commands, heard) = (Commands::default(), Heard::default());
        let now = clock::now();
        let kit: KitId = "kit-1".parse().unwrap();
        let asked = Command {
            id: "c-1".to_owned(),
            kit: kit.clone(),
            patient: None,
            command: "message".to_owned(),
            by: None,
            issued_at: now,
            expires_at: now + jiff::SignedDuration::from_hours(1),
            body: serde_json::json!({ "text": "hej" }),
        };
        store.put_command(&asked).await.unwrap();
        let told = async || {
            commands.send(&store, &heard).await.unwrap();
            heard.0.lock().unwrap().len()
        };
        assert_eq!((told().await, told().await), (1, 1), "once for a connection");
        commands.again(&kit);
        assert_eq!(told().await, 2);
        let receipts = vec![Receipt { command: "c-1".to_owned(), outcome: Progress::Taken, at: now, detail: None }];
        let entry = Entry {
            key: KitSeq { kit: kit.clone(), seq: 1 },
            hash: [0; 32],
            patient: "p-1".parse().unwrap(),
            session: uuid::Uuid::nil(),
            sent_at: now,
            recorded_at: now,
            readings: Vec::new(),
            answers: Vec::new(),
            receipts,
        };
        store.commit(&Batch { recorded_at: now, entries: vec![entry], ..Batch::default() }).await.unwrap();
        commands.again(&kit);
        assert_eq!(told().await, 2);
        assert_eq!(heard.0.into_inner().unwrap()[0], "vagt/v1/kit-1/commands c-1 hej");
    }
}
