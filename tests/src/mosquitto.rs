//! A real Mosquitto with the configuration that is shipped, on a free port, in a folder of its own.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::Command,
    time::{Instant, sleep, timeout},
};

use crate::{
    clinic::{KitLogin, SOON},
    program::{Running, debian},
};

/// The user that the service signs in as.
pub const HUB: (&str, &str) = ("vagt-hub", "secret-of-the-hub");

/// A broker.
pub struct Mosquitto {
    folder: TempDir,
    running: Option<Running>,
    /// Where it listens.
    pub port: u16,
}

impl Mosquitto {
    /// Starts it for these kits; `settings` are put in the place of those that are shipped (`name value`).
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(kits: &[KitLogin], settings: &[&str]) -> Result<Self> {
        Self::start_with(kits, settings, "").await
    }

    /// The same, with `more` at the end of its configuration.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_with(kits: &[KitLogin], settings: &[&str], more: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut broker = Self { folder, running: None, port };
        fs::write(broker.path("mosquitto.conf"), format!("{}{more}", broker.config(settings)?))?;
        fs::copy(shipped("acl"), broker.path("acl"))?;
        fs::write(broker.path("passwords"), "")?;
        for (user, secret) in kits.iter().map(|login| (login.kit.as_str(), login.secret.as_str())).chain([HUB]) {
            broker.add_user(user, secret).await?;
        }
        broker.restart().await?;
        Ok(broker)
    }

    /// Starts it (again), on the same port.
    ///
    /// # Errors
    /// When it does not listen.
    pub async fn restart(&mut self) -> Result<()> {
        let config = self.path("mosquitto.conf");
        let args = ["-c", config.to_str().context("UTF-8")?];
        self.running = Some(Running::start(&debian("mosquitto", "mosquitto")?, &args, &[], &self.path("broker.log"))?);
        let until = Instant::now() + SOON;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            ensure!(Instant::now() < until, "Mosquitto does not listen: {}", self.log());
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// `kill -9`: what it had not written yet is gone.
    ///
    /// # Errors
    /// When it was not running.
    pub async fn kill_9(&mut self) -> Result<()> {
        self.running.take().context("it is running")?.kill_9().await
    }

    /// Ends it in order: it writes down what it keeps.
    ///
    /// # Errors
    /// When it was not running, or does not end.
    pub async fn stop(&mut self) -> Result<()> {
        self.running.take().context("it is running")?.stop().await.map(drop)
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref()?.id()
    }

    /// Takes away all that it has kept: sessions, queues, what is retained.
    ///
    /// # Errors
    /// When the file can't be removed.
    pub fn forget(&self) -> Result<()> {
        let kept = self.path("mosquitto.db");
        if kept.exists() { Ok(fs::remove_file(kept)?) } else { Ok(()) }
    }

    /// What it has kept, as it wrote it down when it ended: names of clients and topics stand in it as they are.
    ///
    /// # Errors
    /// When there is no file.
    pub fn kept(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.path("mosquitto.db"))?).into_owned())
    }

    /// What stands in `hub.toml` for it.
    ///
    /// # Errors
    /// When the password can't be written.
    pub fn of_hub(&self) -> Result<String> {
        self.of_hub_at(self.port)
    }

    /// The same where something stands between, at this port.
    ///
    /// # Errors
    /// When the password can't be written.
    pub fn of_hub_at(&self, port: u16) -> Result<String> {
        let secret = self.path("hub.secret");
        fs::write(&secret, HUB.1)?;
        Ok(format!(
            "[broker]\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"{}\"\npassword_file = \"{}\"\n",
            HUB.0,
            secret.display()
        ))
    }

    /// Has each line of a file published as a message of this kit, with QoS 1, and waits until the broker has them all.
    ///
    /// # Errors
    /// When it does not take them.
    pub async fn publish_lines(&self, who: &KitLogin, lines: &Path) -> Result<()> {
        let (port, kit) = (self.port.to_string(), who.kit.as_str());
        let topic = format!("vagt/v1/{kit}/readings");
        let publish = Command::new(debian("mosquitto_pub", "mosquitto-clients")?)
            .args(["-h", "127.0.0.1", "-p", &port, "-V", "mqttv5", "-u", kit, "-P", &who.secret, "-i", kit])
            .args(["-q", "1", "-t", &topic, "-l"])
            .stdin(fs::File::open(lines)?)
            .kill_on_drop(true)
            .output();
        let done = timeout(SOON, publish).await.context("the broker does not take them")??;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("broker.log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The shipped file, on this port, without TLS, in this folder.
    fn config(&self, settings: &[&str]) -> Result<String> {
        let shipped = fs::read_to_string(shipped("mosquitto.conf"))?;
        let folder = self.folder.path().display();
        let replaced = |line: &str| {
            let name = line.split(' ').next().unwrap_or_default();
            if let Some(setting) = settings.iter().find(|setting| setting.split(' ').next() == Some(name)) {
                return (*setting).to_owned();
            }
            match name {
                "listener" => format!("listener {} 127.0.0.1", self.port),
                "cafile" | "certfile" | "keyfile" => String::new(),
                "password_file" => format!("password_file {folder}/passwords"),
                "acl_file" => format!("acl_file {folder}/acl"),
                "persistence_location" => format!("persistence_location {folder}/"),
                _ => line.to_owned(),
            }
        };
        let lines: Vec<String> = shipped.lines().map(replaced).collect();
        // Started by root it would go on as another user, who may not read this folder.
        Ok(format!("{}\nuser root\n", lines.join("\n")))
    }

    async fn add_user(&self, user: &str, secret: &str) -> Result<()> {
        let passwords = self.path("passwords");
        let args = ["-b", passwords.to_str().context("UTF-8")?, user, secret];
        let code = Running::start(&debian("mosquitto_passwd", "mosquitto")?, &args, &[], &self.path("passwd.log"))?
            .wait()
            .await?;
        ensure!(code == 0, "mosquitto_passwd: {code}");
        Ok(())
    }
}

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/mosquitto").join(name)
}
