//! Our programs as children: found beside the test, started, read line by line, killed by their own id.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// How long a program may take to say that it is ready. Generous: a test machine is busy.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// One of our programs, as built by `cargo build --bins`.
///
/// # Errors
/// When it was not built.
pub fn ours(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.parent().context("a program lies in target/PROFILE")?;
    let folder =
        if beside.ends_with("deps") { beside.parent().context("a test lies in target/PROFILE/deps")? } else { beside };
    let path = folder.join(name);
    ensure!(path.is_file(), "{} is missing: run `cargo build --bins` (make test does)", path.display());
    Ok(path)
}

/// A program from Debian.
///
/// # Errors
/// When it is not installed, saying what to install.
pub fn debian(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&format!("{path}:/usr/sbin"))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is missing: apt-get install {package}"))
}

/// The time, for messages that must be of now.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the tests' one clock")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A running child.
pub struct Running {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts a program; what it says on standard error goes to `log`.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(program: &Path, args: &[&str], env: &[(&str, &str)], log: &Path) -> Result<Self> {
        let name = program.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = Command::new(program)
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} starts"))?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("piped")?).lines();
        Ok(Self { name, child, stdin, stdout })
    }

    /// Reads standard output until a JSON line that `wanted` accepts.
    ///
    /// # Errors
    /// When it ends or says nothing of the kind in time.
    pub async fn line_where(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let reading = async {
            while let Some(line) = self.stdout.next_line().await? {
                match serde_json::from_str::<Value>(&line) {
                    Ok(value) if wanted(&value) => return Ok(value),
                    _ => {}
                }
            }
            bail!("{} ended before it said what was waited for", self.name)
        };
        timeout(READY_WITHIN, reading).await.with_context(|| format!("{} says nothing of the kind", self.name))?
    }

    /// Reads standard output until this line.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn line_of(&mut self, wanted: &str) -> Result<()> {
        let reading = async {
            while let Some(line) = self.stdout.next_line().await? {
                if line == wanted {
                    return Ok(());
                }
            }
            bail!("{} ended before it said {wanted:?}", self.name)
        };
        timeout(READY_WITHIN, reading).await.with_context(|| format!("{} does not say {wanted:?}", self.name))?
    }

    /// Waits until it ends by itself, and gives its exit code.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn wait(&mut self) -> Result<i32> {
        let status =
            timeout(READY_WITHIN, self.child.wait()).await.with_context(|| format!("{} does not end", self.name))??;
        Ok(status.code().unwrap_or(-1))
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// When it no longer reads.
    pub async fn tell(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("standard input is open")?;
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(stdin.flush().await?)
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// `kill -9`, as by a power cut, and waits until it is gone.
    ///
    /// # Errors
    /// When it can't be waited for.
    pub async fn kill_9(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to stop (SIGTERM) and waits for its exit code.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn stop(mut self) -> Result<i32> {
        let id = self.child.id().context("still running")?;
        let killed = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        ensure!(killed.success(), "kill -TERM {id}");
        let status = timeout(READY_WITHIN, self.child.wait()).await.context("it does not stop")??;
        Ok(status.code().unwrap_or(-1))
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Is it still running?
    ///
    /// # Errors
    /// When that can't be asked.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}
