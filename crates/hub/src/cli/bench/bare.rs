//! The floor: the same front door with nothing behind it but one synced append for each batch.

use std::{fs::File, io::Write as _, path::Path, sync::Arc};

use anyhow::Context as _;
use desk::Board;
use serde_json::json;
use store::Roster;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    cli::{Ended, block_on, json_line, out, serve::log_to_stderr},
    config::Config,
    directory::{Directories, Directory, programmes},
    lock::make_folder,
    pipeline::{BATCH_MESSAGES_MAX, QUEUE_MESSAGES_MAX, acks::Outbox},
    presence::Presence,
    source::{
        Acked, Arrival, LinedUp, NotTaken, Stored, Taker,
        front_door::{Behind, FrontDoor},
        limits::Limits,
    },
};

type Waiting = (Arrival, oneshot::Sender<Acked>);

struct Appender(mpsc::Sender<Waiting>);

impl Taker for Appender {
    fn line_up(self: Arc<Self>, arrival: Arrival, _slowed: bool) -> LinedUp {
        LinedUp::fresh(async move {
            let (ack, acked) = oneshot::channel();
            self.0.send((arrival, ack)).await.map_err(|_| NotTaken::Stopping)?;
            Ok(Stored::when(acked))
        })
    }
}

/// Runs until it is killed.
///
/// # Errors
/// When it can't be opened.
pub(super) fn run(config: &Path) -> Result<(), Ended> {
    log_to_stderr();
    let config = Config::load(config).map_err(|e| Ended::Failed(e.to_string()))?;
    block_on(async move { Ok(serve(&config).await?) })
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let roster = config.roster.as_ref().context("the bench needs a roster")?;
    let roster: Roster = toml::from_str(&std::fs::read_to_string(roster)?)?;
    let directory = Directory::new(roster, &programmes(None)?, &config.zone)?;
    let (_keep, followed) = watch::channel(Arc::new(directory));
    let (queue, waiting) = mpsc::channel(QUEUE_MESSAGES_MAX);
    make_folder(&config.data)?;
    let log = File::create(config.data.join("bare.log"))?;
    let appending = tokio::task::spawn_blocking(move || append(log, waiting));
    let board = Board::new(Vec::new(), Roster::default(), Vec::new(), Default::default());
    let behind = Behind {
        directories: Directories::new(followed),
        taker: Arc::new(Appender(queue)),
        presence: Presence::new(board, Vec::new()),
        outbox: Arc::new(Outbox::default()),
        commands: Arc::default(),
        limits: Arc::new(Limits::new(&Default::default())),
    };
    let door = FrontDoor::open(&config.mqtt, behind).await?;
    let mut out = out();
    json_line(&mut out, &json!({ "ready": true, "mqtt": door.addr() }))
        .map_err(|_| anyhow::anyhow!("standard output"))?;
    out.flush()?;
    appending.await?
}

fn append(mut log: File, mut waiting: mpsc::Receiver<Waiting>) -> anyhow::Result<()> {
    let (mut batch, mut bytes) = (Vec::new(), Vec::new());
    while waiting.blocking_recv_many(&mut batch, BATCH_MESSAGES_MAX) > 0 {
        for (arrival, _) in &batch {
            bytes.extend(u32::try_from(arrival.payload.len())?.to_be_bytes());
            bytes.extend(&arrival.payload);
        }
        log.write_all(&bytes)?;
        log.sync_data()?;
        bytes.clear();
        for (_, ack) in batch.drain(..) {
            let _ = ack.send(Acked::default());
        }
    }
    Ok(())
}
