//! The person's side over a real Mosquitto: commands are answered by receipts, once, also over a kill; "call me" goes out and comes back seen.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use edge::{
    board::Board,
    clock,
    round::{Acted, Action, Call, Handle, Page, Rules},
    spool::{Bounds, Spool},
    stage::Stage,
    uplink::Uplink,
};
use jiff::{SignedDuration, tz::TimeZone};
use rumqttc::{AsyncClient, Broker as At, MqttOptions, PublishOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wire::CommandOutcome::{Done, Read, Taken};

use super::common::{Core, Mosquitto, SOON};

const BOUNDS: Bounds = Bounds { bytes_max: 1 << 20, age_max: SignedDuration::from_hours(24 * 30) };

/// A kit of one person, with its uplink.
struct Kit {
    round: Handle,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Kit {
    async fn start(dir: &Path, port: u16) -> Self {
        let (board, stop) = (Board::default(), CancellationToken::new());
        let spool = Arc::new(Spool::open(dir, BOUNDS, clock::now(), board.clone()).await.unwrap());
        let round = Handle::open(Rules::plain(TimeZone::UTC), spool.clone(), board.clone(), dir.to_owned()).await;
        let broker = edge::config::Broker {
            addresses: vec![("127.0.0.1".to_owned(), port)],
            secret: "s".to_owned(),
            tls: None,
            own: None,
            keep_alive: std::time::Duration::from_secs(5),
        };
        let mut uplink = Uplink::new("kit-1".parse().unwrap(), broker, spool, board);
        uplink.tell(round.clone());
        let sending = tokio::spawn({
            let stop = stop.clone();
            async move { uplink.run(&stop).await }
        });
        let following = tokio::spawn({
            let (round, heard, stop) = (round.clone(), Stage::default(), stop.clone());
            async move { round.run(heard.listen(), stop).await }
        });
        Self { round, stop, tasks: vec![sending, following] }
    }

    async fn until(&self, what: &str, so: impl Fn(&edge::round::View) -> bool) {
        let mut view = self.round.view();
        let found = tokio::time::timeout(SOON, view.wait_for(|view| so(view))).await;
        assert!(found.is_ok(), "in time: {what}");
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// The clinic's other hand: gives commands.
async fn command(port: u16, payload: &str) {
    let (client, mut eventloop) = AsyncClient::builder(MqttOptions::new("desk", At::tcp("127.0.0.1", port))).build();
    client.try_publish("vagt/v1/kit-1/commands", payload.to_owned(), PublishOptions::at_least_once()).unwrap();
    loop {
        let event = eventloop.poll().await.unwrap();
        if matches!(event, rumqttc::Event::Incoming(rumqttc::Incoming::PubAck(_))) {
            return;
        }
    }
}

/// Every receipt, each message once: one that the kit was stopped before it heard the ack comes again.
fn receipts(core: &super::common::Heard) -> Vec<(String, wire::CommandOutcome)> {
    let by_seq: BTreeMap<u64, &wire::Message> = core.messages.iter().map(|message| (message.seq, message)).collect();
    by_seq.values().flat_map(|message| &message.receipts).map(|r| (r.command.clone(), r.outcome)).collect()
}

#[tokio::test]
async fn commands_are_answered_once_over_a_kill_and_a_call_comes_back_seen() {
    let broker = Mosquitto::start();
    let dir = tempfile::tempdir().unwrap();
    let core = Core::start(&broker, true).await;
    let kit = Kit::start(dir.path(), broker.port).await;
    core.until("connected", |heard| heard.statuses.iter().any(|status| status.online)).await;

    let message = r#"{"id":"m1","command":"message","text":"Drink well","by":"Mette"}"#;
    command(broker.port, message).await;
    kit.until("the message is shown", |view| matches!(&view.page, Page::Message { text, .. } if text == "Drink well"))
        .await;
    core.until("taken", |heard| receipts(heard) == [("m1".to_owned(), Taken)]).await;
    kit.stop().await;

    // Another start: the message is still there; coming again it changes nothing.
    let kit = Kit::start(dir.path(), broker.port).await;
    command(broker.port, message).await;
    command(broker.port, r#"{"id":"d1","command":"diagnostics"}"#).await;
    core.until("diagnostics", |heard| receipts(heard).contains(&("d1".to_owned(), Done))).await;
    assert_eq!(kit.round.act(Action::Read { id: "m1".to_owned() }).await, Acted::Done);
    let wanted = [("m1".to_owned(), Taken), ("d1".to_owned(), Done), ("m1".to_owned(), Read)];
    core.until("read", |heard| receipts(heard) == wanted).await;

    kit.round.act(Action::CallMe).await;
    core.until("the call", |heard| {
        heard
            .messages
            .iter()
            .flat_map(|m| &m.answers)
            .any(|a| (a.questionnaire.as_str(), a.question.as_str()) == ("kit", "call_me"))
    })
    .await;
    kit.until("it has arrived", |view| matches!(view.call, Call::Sent { .. })).await;
    command(broker.port, r#"{"id":"s1","command":"seen","by":"Mette"}"#).await;
    kit.until("seen", |view| matches!(&view.call, Call::Seen { seen, .. } if seen.by.as_deref() == Some("Mette")))
        .await;
    kit.stop().await;
}
