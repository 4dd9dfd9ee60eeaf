//! Programs that the demonstration runs beside itself. They end with it, in order or not: those of the simulation when their standard input
//! closes, the kit's agent by the signal that util-linux's `setpriv` asks the kernel for.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::cli::sibling;

/// How long a program may take to end when it is asked to.
const END_MAX: Duration = Duration::from_secs(5);
/// How long a program may take to say its first line.
const FIRST_LINE_MAX: Duration = Duration::from_secs(20);

/// A running program.
pub struct Helper {
    name: String,
    turn: u8,
    child: Child,
    log: PathBuf,
}

impl Helper {
    /// Starts a program of ours, with what it says on standard error in `folder/name.log`. When all end, those of a lower turn end first.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(name: &str, turn: u8, command: &mut Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} can't be started"))?;
        Ok(Self { name: name.to_owned(), turn, child, log })
    }

    /// The first line that it prints for which `wanted` gives something; what it prints after that is read and dropped.
    ///
    /// # Errors
    /// It ended, or said nothing of the kind in time; with the last line of its log.
    pub async fn says<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let stdout = self.child.stdout.take().context("its output is read once")?;
        let mut lines = BufReader::new(stdout).lines();
        match timeout(FIRST_LINE_MAX, first(&mut lines, wanted)).await {
            Ok(Some(found)) => {
                tokio::spawn(drain(lines));
                Ok(found)
            }
            Ok(None) => anyhow::bail!("{} has ended: {}", self.name, self.last_words()),
            Err(_) => anyhow::bail!("{} is not ready after {FIRST_LINE_MAX:?}: {}", self.name, self.last_words()),
        }
    }

    /// If it has ended by itself: in one sentence.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(format!("{} has ended ({status}): {}", self.name, self.last_words()))
    }

    /// The order in which programs end: agents, then devices, then buses.
    pub fn ends_in_turn(&self) -> u8 {
        self.turn
    }

    /// Asks it to end, and sees to it that it does.
    pub async fn stop(&mut self) {
        drop(self.child.stdin.take());
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(pid) = pid
            && let Err(error) = kill_process(pid, Signal::TERM)
        {
            tracing::debug!("{} was gone already: {error}", self.name);
        }
        if timeout(END_MAX, self.child.wait()).await.is_err() {
            tracing::warn!("{} does not end: it is killed", self.name);
            if let Err(error) = self.child.kill().await {
                tracing::warn!("{} can't be killed: {error}", self.name);
            }
        }
    }

    /// The last line of its log, and where that is.
    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        format!("{last} ({})", self.log.display())
    }
}

async fn first<T>(lines: &mut Lines<BufReader<ChildStdout>>, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(found) = wanted(&line) {
            return Some(found);
        }
    }
    None
}

async fn drain(mut lines: Lines<BufReader<ChildStdout>>) {
    while let Ok(Some(_)) = lines.next_line().await {}
}

/// A program that gets a signal when we end, however we end, where the system has `setpriv`.
pub fn ends_with_us(program: &Path) -> Command {
    match sibling::on_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}
