//! Step 1 of a reading's way: radio or port to packets. A link owns the socket and the clock; what the packets mean is the driver's.

pub mod ble;
pub mod memory;
pub mod serial;
mod talk;
mod turn;

use std::{sync::Arc, time::Instant};

use drivers::Driver;
use tokio_util::sync::CancellationToken;

use crate::{board::Board, identity::device_id, keeper::Keeper, stage::Event};
use memory::{Clocks, Owed};

/// What every link needs.
#[derive(Clone)]
pub struct Links {
    /// Takes what was measured.
    pub keeper: Arc<Keeper>,
    /// Where presence and problems are pinned.
    pub board: Board,
    /// The devices' clocks.
    pub clocks: Clocks,
    /// What devices wait for.
    pub owed: Owed,
    /// The kit stops.
    pub stop: CancellationToken,
}

impl Links {
    /// A device is configured, was heard, and can't be read.
    fn trouble(&self, key: &str, driver: &Driver, sentence: &str) {
        self.board.absent(key, Some(sentence.to_owned()));
        self.keeper.stage().say(key, &device_id(driver, key), Event::Trouble(sentence.to_owned()));
    }
}

/// Until then; for ever, if there is nothing to wait for.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
