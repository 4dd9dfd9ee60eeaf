//! Commands on their way to the kits: from the store, when they are new, and again each time that a kit begins to listen, until the kit says
//! something of them or they expire. Sending twice is harmless: the same id is the same command. What is for somebody who no longer has the kit
//! the store marks as expired, and does not give.
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

use crate::{
    clock,
    directory::{Directories, Directory},
    source::ToKits,
};

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
    pub async fn keep(self: Arc<Self>, store: Arc<dyn Store>, to_kits: Arc<dyn ToKits>, directories: Directories) {
        let mut failed = false;
        loop {
            match self.send(&*store, &*to_kits, &directories.now()).await {
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
    pub async fn send(
        &self,
        store: &dyn Store,
        to_kits: &dyn ToKits,
        directory: &Directory,
    ) -> Result<(), store::StoreError> {
        let open = store.open_commands(clock::now(), COMMANDS_ON_THE_WAY_MAX).await?;
        let new = self.note(open);
        for command in new {
            match payload(&command, directory) {
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

/// A command as the wire has it: for whom it is, a kit of one person is not told.
fn payload(command: &Command, directory: &Directory) -> Result<Vec<u8>, serde_json::Error> {
    let body = |name: &str| command.body.get(name).cloned().unwrap_or_default();
    let is_one_persons = directory.kit(&command.kit).is_some_and(|kit| kit.patient.is_some());
    serde_json::to_vec(&wire::Command {
        id: command.id.clone(),
        command: command.command.clone(),
        vital: serde_json::from_value(body("vital"))?,
        text: serde_json::from_value(body("text"))?,
        by: command.by.clone(),
        issued_at: Some(command.issued_at),
        expires_at: Some(command.expires_at),
        patient: command.patient.clone().filter(|_| !is_one_persons),
        schedule: serde_json::from_value(body("schedule"))?,
    })
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jiff::{SignedDuration, tz::TimeZone};
    use store::{Batch, Entry, KitSeq, Progress, Receipt, Roster, Sqlite};

    use super::*;
    use crate::directory::copd;

    const ANE: &str = "patient = \"p-1\"";
    const BO: &str = "patient = \"p-2\"";
    const BOTH: &str = "patients = [\"p-1\", \"p-2\"]";

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    #[async_trait]
    impl ToKits for Heard {
        async fn send(&self, topic: &Topic, payload: Vec<u8>) {
            let command: wire::Command = serde_json::from_slice(&payload).unwrap();
            let whose = command.patient.map(|patient| format!(" for {patient}")).unwrap_or_default();
            let text = command.text.unwrap_or_default();
            self.0.lock().unwrap().push(format!("{topic} {} {text}{whose}", command.id));
        }
    }

    /// Ane and Bo, and a kit that is given so.
    fn roster(given: &str) -> Roster {
        let person = |id: &str| format!("[[patient]]\nid = \"{id}\"\nname = \"Test\"\nprogramme = \"copd\"\n");
        let (ane, bo) = (person("p-1"), person("p-2"));
        toml::from_str(&format!("{ane}{bo}[[kit]]\nid = \"kit-1\"\n{given}\n")).unwrap()
    }

    fn directory(given: &str) -> Directory {
        Directory::new(roster(given), &copd(), &TimeZone::UTC).unwrap()
    }

    fn asked(id: &str, patient: Option<&str>, now: jiff::Timestamp) -> Command {
        Command {
            id: id.to_owned(),
            kit: "kit-1".parse().unwrap(),
            patient: patient.map(|patient| patient.parse().unwrap()),
            command: "message".to_owned(),
            by: None,
            issued_at: now,
            expires_at: now + SignedDuration::from_hours(1),
            body: serde_json::json!({ "text": "hej" }),
        }
    }

    #[tokio::test]
    async fn a_command_is_sent_again_to_a_kit_that_listens_anew_until_it_says_something() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        let (commands, heard) = (Commands::default(), Heard::default());
        let now = clock::now();
        let kit: KitId = "kit-1".parse().unwrap();
        store.put_roster(&roster(ANE), now).await.unwrap();
        store.put_command(&asked("c-1", Some("p-1"), now)).await.unwrap();
        let directory = directory(ANE);
        let told = async || {
            commands.send(&store, &heard, &directory).await.unwrap();
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

    #[tokio::test]
    async fn what_was_for_somebody_who_has_the_kit_no_longer_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        let (commands, heard) = (Commands::default(), Heard::default());
        let (kit, now): (KitId, _) = ("kit-1".parse().unwrap(), clock::now());
        store.put_roster(&roster(ANE), now).await.unwrap();
        // The second as an earlier program kept it.
        for one in [asked("c-1", Some("p-1"), now), asked("c-2", None, now)] {
            store.put_command(&one).await.unwrap();
        }
        store.put_roster(&roster(BO), now + SignedDuration::from_secs(1)).await.unwrap();
        store.put_command(&asked("c-3", Some("p-2"), now)).await.unwrap();
        // The directory is a moment behind the store.
        commands.send(&store, &heard, &directory(ANE)).await.unwrap();
        assert_eq!(*heard.0.lock().unwrap(), ["vagt/v1/kit-1/commands c-3 hej"]);
        let states = store.commands_of(&kit, 9).await.unwrap();
        let found: Vec<_> = states.iter().map(|one| (one.command.id.as_str(), one.state)).collect();
        assert_eq!(found, [("c-3", Progress::Waiting), ("c-2", Progress::Expired), ("c-1", Progress::Expired)]);

        store.put_roster(&roster(BOTH), now + SignedDuration::from_secs(2)).await.unwrap();
        commands.again(&kit);
        commands.send(&store, &heard, &directory(BOTH)).await.unwrap();
        assert_eq!(heard.0.into_inner().unwrap()[1..], ["vagt/v1/kit-1/commands c-3 hej for p-2"]);
    }
}
