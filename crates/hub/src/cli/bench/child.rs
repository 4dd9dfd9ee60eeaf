//! What the bench sets up and starts: a folder, a roster, the programs as processes of their own, and what the kernel says of them.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use store::{Account, Store};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    task::JoinHandle,
    time::timeout,
};
use vitals::KitId;

use crate::{cli::secret, config::Config, directory::hex};

/// How long a program may take to be ready.
const READY_MAX: Duration = Duration::from_secs(300);
/// Ticks a second in which Linux tells CPU time, on every machine that it runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// Connections besides those of the kits.
const OTHER_CONNECTIONS: usize = 16;
/// As fast as the front door takes them: a storm is to be measured, not smoothed.
const CONNECTIONS_PER_SECOND: u32 = 10_000;
/// How often memory is looked at in one phase.
const MEMORY_LOOKS: u32 = 20;

/// The folder with configuration, roster and store; removed when this is dropped.
pub(super) struct Stand {
    folder: PathBuf,
    kits: Vec<(KitId, String)>,
    password: String,
}

impl Stand {
    /// For so many kits, on this database in place of a file in the folder.
    pub async fn set_up(dir: Option<&Path>, kits: u32, store: Option<&str>) -> anyhow::Result<Self> {
        let folder = dir.map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = folder.join(format!("vagt-bench-{}", hex(&rand::random::<[u8; 8]>())));
        std::fs::create_dir_all(folder.join("data")).with_context(|| folder.display().to_string())?;
        let kits =
            (1..=kits).map(|n| Ok((format!("bench-{n}").parse()?, secret::new()))).collect::<anyhow::Result<_>>()?;
        let stand = Self { folder, kits, password: secret::new() };
        stand.write(store)?;
        stand.add_account().await?;
        Ok(stand)
    }

    pub fn kits(&self) -> &[(KitId, String)] {
        &self.kits
    }

    pub fn password(&self) -> &str {
        &self.password
    }

    fn write(&self, store: Option<&str>) -> anyhow::Result<()> {
        let mut roster = String::new();
        for (kit, secret) in &self.kits {
            let hash = hex(&Sha256::digest(secret.as_bytes()));
            writeln!(roster, "[[patient]]\nid = \"{kit}\"\nname = \"{kit}\"\nprogramme = \"copd\"\nsimulated = true")?;
            writeln!(roster, "[[kit]]\nid = \"{kit}\"\npatient = \"{kit}\"\nsecret_sha256 = \"{hash}\"")?;
        }
        std::fs::write(self.folder.join("roster.toml"), roster)?;
        let store = store.map(|url| format!("store = {}\n", toml::Value::from(url))).unwrap_or_default();
        let connections = self.kits.len() + OTHER_CONNECTIONS;
        let config = format!(
            "roster = \"roster.toml\"\nsimulated = true\n{store}[heartbeat]\nperiod_seconds = 0\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [mqtt]\nlisten = \"127.0.0.1:0\"\nconnections_max = {connections}\nconnections_per_second = {CONNECTIONS_PER_SECOND}\n"
        );
        Ok(std::fs::write(self.config(), config)?)
    }

    fn config(&self) -> PathBuf {
        self.folder.join("hub.toml")
    }

    async fn store(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(store::open(&Config::load(&self.config())?.store()).await?)
    }

    async fn add_account(&self) -> anyhow::Result<()> {
        let store = self.store().await?;
        let account = Account {
            user: "bench".to_owned(),
            name: "Bench".to_owned(),
            password_hash: desk::password_hash(&self.password),
            role: "nurse".to_owned(),
            language: "en".to_owned(),
        };
        store.put_account(&account).await?;
        store.close().await;
        Ok(())
    }

    /// Starts this program with a command and the stand's configuration, and waits until it is ready.
    pub async fn start(&self, command: &[&str]) -> anyhow::Result<Child> {
        let program = std::env::current_exe()?;
        let mut process = Command::new(program)
            .args(command)
            .arg("--config")
            .arg(self.config())
            .env("RUST_LOG", "warn,mqtt5=error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("its output")?).lines();
        let line = timeout(READY_MAX, lines.next_line()).await.context("the service was not ready in time")??;
        let ready: Ready = serde_json::from_str(&line.context("the service ended before it was ready")?)?;
        let id = process.id().context("the service has ended")?;
        Ok(Child { process, id, ready })
    }

    /// How many messages are stored.
    pub async fn stored(&self) -> anyhow::Result<u64> {
        let store = self.store().await?;
        let stored = store.stored().await?;
        store.close().await;
        Ok(stored.messages)
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("{} is left: {error}", self.folder.display());
        }
    }
}

#[derive(Deserialize)]
struct Ready {
    mqtt: SocketAddr,
    http: Option<String>,
}

/// A running program.
pub(super) struct Child {
    process: tokio::process::Child,
    id: u32,
    ready: Ready,
}

impl Child {
    pub fn mqtt(&self) -> SocketAddr {
        self.ready.mqtt
    }

    /// Where its pages are, without `http://`.
    pub fn http(&self) -> &str {
        self.ready.http.as_deref().unwrap_or_default().trim_start_matches("http://")
    }

    /// The CPU seconds that it has used until now.
    pub fn used(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        let fields: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("stat");
        Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
    }

    /// Its resident memory now, in MiB.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        resident(self.id).context("the service has ended")
    }

    /// Looks at its memory now and then for so long.
    pub fn watch_memory(&self, measured: Duration) -> Memory {
        let seen = Rc::new(std::cell::RefCell::new(Vec::new()));
        let (id, into) = (self.id, Rc::clone(&seen));
        let looking = tokio::task::spawn_local(async move {
            let pause = measured / MEMORY_LOOKS;
            for _ in 0..MEMORY_LOOKS {
                tokio::time::sleep(pause).await;
                if let Some(mebibytes) = resident(id) {
                    into.borrow_mut().push(mebibytes);
                }
            }
        });
        Memory { seen, looking }
    }

    /// Kills it, as a power cut would.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }
}

/// Resident memory in MiB.
fn resident(id: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kibibytes| (kibibytes / 102.4).round() / 10.0)
}

/// Memory over time.
pub(super) struct Memory {
    seen: Rc<std::cell::RefCell<Vec<f64>>>,
    looking: JoinHandle<()>,
}

impl Memory {
    pub fn finish(self) -> Vec<f64> {
        self.looking.abort();
        self.seen.take()
    }
}
