//! The agent: opens the spool, starts the links and the uplink, and stops them in order. A part that fails never stops the others.

use std::{
    fs::{DirBuilder, File, TryLockError},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    board::Board,
    clock,
    config::Settings,
    devices,
    keeper::Keeper,
    kiosk::Kiosk,
    link::{
        Links,
        memory::{Clocks, Owed},
    },
    parts::Parts,
    round::Handle,
    settling::Settling,
    spool::Spool,
    stage::Stage,
    systemd,
    uplink::Uplink,
};

/// The spool is tended this often.
const TEND_EVERY: Duration = Duration::from_secs(10);
/// For stopping in order, at most.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// Runs the kit until `stop`.
///
/// # Errors
/// Only what no waiting would mend: the data folder is in use by another agent, or the spool was written by a newer program.
pub async fn run(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let _alone = alone(&settings.data_dir)?;
    let board = Board::default();
    let spool = Spool::open(&settings.data_dir, settings.bounds, clock::now(), board.clone()).await;
    let spool = Arc::new(spool.with_context(|| format!("the spool in {} can't be used", settings.data_dir.display()))?);
    let (stage, dir) = (Stage::default(), settings.data_dir.clone());
    let round = Handle::open(settings.rules, spool.clone(), board.clone(), dir).await;
    let keeper = Arc::new(Keeper::new(spool.clone(), round.clone(), settings.zone.clone(), stage.clone()));
    let clocks = Clocks::open(settings.data_dir.join("clocks.json"));
    let links = Links { keeper, board: board.clone(), clocks, owed: Owed::default(), stop: stop.clone() };

    let mut parts = Parts::new(board.clone(), stop.clone());
    let (kit, broker) = (settings.kit.clone(), settings.broker.clone());
    parts.start("uplink", {
        let (spool, board, round, stop) = (spool.clone(), board.clone(), round.clone(), stop.clone());
        move || {
            let mut uplink = Uplink::new(kit.clone(), broker.clone(), spool.clone(), board.clone());
            uplink.tell(round.clone());
            let stop = stop.clone();
            async move { uplink.run(&stop).await }
        }
    });
    if let Some(kiosk) = settings.kiosk.clone() {
        let kiosk = Kiosk::new(kiosk, settings.zone.clone(), round.clone().into(), stop.clone());
        let board = board.clone();
        parts.start("kiosk", move || {
            let (kiosk, board) = (kiosk.clone(), board.clone());
            async move { kiosk.run(&board).await }
        });
    }
    parts.start("round", {
        let (round, stage, stop) = (round.clone(), stage.clone(), stop.clone());
        move || {
            let (round, heard, stop) = (round.clone(), stage.listen(), stop.clone());
            async move { round.run(heard, stop).await }
        }
    });
    let devices = settings.devices.len();
    parts.start("devices", {
        let (file, adapters, devices) = (settings.file, settings.adapters, settings.devices);
        move || devices::run(links.clone(), file.clone(), adapters.clone(), devices.clone())
    });
    parts.start("tending", {
        let (spool, board, stop) = (spool.clone(), board.clone(), stop.clone());
        move || tend(spool.clone(), board.clone(), stop.clone())
    });
    tracing::info!(kit = %settings.kit, devices, "started");

    systemd::ready();

    stop.cancelled().await;
    systemd::stopping();
    let in_order = timeout(STOP_DEADLINE, parts.all_stopped()).await.is_ok();
    spool.close().await;
    tracing::info!(in_order, "stopped");
    Ok(())
}

/// Two agents on one spool would send each other's messages. The lock goes with the process.
fn alone(dir: &Path) -> anyhow::Result<Option<File>> {
    let path = dir.join("lock");
    // What lies in it is what people measured.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    let opened = made.and_then(|()| File::create(&path));
    match opened {
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => anyhow::bail!("{} is in use by another vagt-edge", dir.display()),
            Err(TryLockError::Error(error)) => unlocked(&path, &error),
        },
        Err(error) => unlocked(&path, &error),
    }
}

/// A full or read-only disk must not keep the kit from running.
fn unlocked(path: &Path, error: &std::io::Error) -> anyhow::Result<Option<File>> {
    tracing::warn!(path = %path.display(), %error, "can't lock the data folder");
    Ok(None)
}

async fn tend(spool: Arc<Spool>, board: Board, stop: CancellationToken) {
    let mut clock = Settling::new(Instant::now(), clock::now());
    while !stop.is_cancelled() {
        let now = clock::now();
        let behind = now < clock::CLOCK_EARLIEST;
        board.problem("clock", behind.then(|| format!("the kit's clock says {now}; readings are sent with that time")));
        let settled = clock.is_settled(Instant::now(), now);
        spool.tend(now, !behind && settled).await;
        systemd::alive(board.status(true, now).spooled);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(TEND_EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn the_data_folder_is_the_agents_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("kit/data");
        let _held = alone(&data).unwrap();
        assert_eq!(std::fs::metadata(&data).unwrap().mode() & 0o777, 0o700);
        assert!(alone(&data).unwrap_err().to_string().ends_with("is in use by another vagt-edge"));
    }
}
