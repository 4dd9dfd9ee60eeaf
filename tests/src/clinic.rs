//! A clinic: `vagt serve` with its own folder, roster and account, asked as a browser and as the store's reader would.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{Place, Sqlite, Store, postgres::Server};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use vitals::{KitId, PatientId};

use crate::program::{Running, debian, ours};

/// The account that every test clinic has.
pub const NURSE: (&str, &str) = ("mette", "correct horse battery staple");
/// How long anything that must happen may take. Generous: a test machine is busy.
pub const SOON: Duration = Duration::from_secs(60);

/// What a kit signs in with, and for whom.
#[derive(Clone, Debug)]
pub struct KitLogin {
    /// The kit: MQTT client id and user name.
    pub kit: KitId,
    /// Its patient.
    pub patient: PatientId,
    /// Its password.
    pub secret: String,
}

impl KitLogin {
    /// The `number`th simulated kit, given to the `number`th simulated patient.
    #[must_use]
    pub fn simulated(number: usize) -> Self {
        Self {
            kit: format!("kit-{number}").parse().expect("a kit id"),
            patient: format!("p-{number}").parse().expect("a patient id"),
            secret: format!("secret-of-simulated-kit-{number}"),
        }
    }
}

/// How long a hub that is well may take to say whether it leads.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// A running clinic.
pub struct Clinic {
    folder: TempDir,
    serve: Option<Running>,
    /// Where the pages are.
    pub http: String,
    /// Where kits connect.
    pub mqtt_port: u16,
    /// Where kits enrol, if they can.
    pub enrol_port: Option<u16>,
    /// What stands in its configuration besides: before the first table, and at the end.
    top: &'static str,
    /// How often its heartbeat beats; most tests count what is stored, so it does not.
    heartbeat_seconds: u32,
    more: String,
    /// The URL of its database, where it is not a file.
    database: Option<String>,
    /// What the hub has in its environment besides.
    env: Vec<(&'static str, String)>,
    /// Where it listens, and the command that starts it there.
    host: String,
    inside: Vec<String>,
    client: Client,
}

impl Clinic {
    /// Starts a clinic with these kits, on free ports.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(kits: &[KitLogin]) -> Result<Self> {
        let mut clinic = Self::stopped(kits).await?;
        clinic.restart().await?;
        Ok(clinic)
    }

    /// The same, with its store on a PostgreSQL server.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn on_postgres(kits: &[KitLogin], database: &str) -> Result<Self> {
        let mut clinic = Self::stopped_on_postgres(kits, database).await?;
        clinic.restart().await?;
        Ok(clinic)
    }

    /// The same, not running.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn stopped_on_postgres(kits: &[KitLogin], database: &str) -> Result<Self> {
        Self::stopped_with(kits, Some(database.to_owned())).await
    }

    /// A clinic with its folder, store and account, but not running.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn stopped(kits: &[KitLogin]) -> Result<Self> {
        Self::stopped_with(kits, None).await
    }

    async fn stopped_with(kits: &[KitLogin], database: Option<String>) -> Result<Self> {
        let clinic = Self::without_store(kits, database)?;
        clinic.add_account(NURSE.0, "nurse").await?;
        Ok(clinic)
    }

    /// A clinic with its folder and configuration alone; its store is to be a file, or the database of this URL.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn without_store(kits: &[KitLogin], database: Option<String>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let client = Client::builder().cookie_store(true).build()?;
        let clinic = Self {
            folder,
            serve: None,
            http: String::new(),
            mqtt_port: 0,
            enrol_port: None,
            top: "",
            heartbeat_seconds: 0,
            more: String::new(),
            database,
            env: Vec::new(),
            host: "127.0.0.1".to_owned(),
            inside: Vec::new(),
            client,
        };
        clinic.write_roster(kits)?;
        clinic.write_fresh_config()?;
        Ok(clinic)
    }

    /// Puts these people and kits alone into its roster file.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write_roster(&self, kits: &[KitLogin]) -> Result<()> {
        Ok(fs::write(self.path("roster.toml"), roster(kits))?)
    }

    /// Starts `vagt serve` (again), on the same ports as before.
    ///
    /// # Errors
    /// When it does not say that it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.serve = Some(self.launch()?);
        self.ready().await
    }

    /// Starts it behind another that leads; gives who that is.
    ///
    /// # Errors
    /// When it does not say that it waits.
    pub async fn stand_by(&mut self) -> Result<String> {
        self.join().await?.context("it leads, and should wait")
    }

    /// Starts it beside another on the same database, and waits until it says that it leads or waits; gives who leads, if it waits.
    ///
    /// # Errors
    /// When it says neither.
    pub async fn join(&mut self) -> Result<Option<String>> {
        self.serve = Some(self.launch()?);
        let serve = self.serve.as_mut().context("it was started")?;
        let said = serve.line_where(|line| line["standby"] == true || line["ready"] == true).await;
        let said = said.with_context(|| self.log())?;
        self.http = said["http"].as_str().context("http")?.to_owned();
        Ok(said["leader"].as_str().map(str::to_owned))
    }

    /// Does it say that it leads, or that it stands by? Nothing where it does not answer.
    pub async fn is_leading(&self) -> Option<bool> {
        let asked = self.client.get(format!("{}/metrics", self.http)).timeout(ANSWERS_WITHIN).send().await.ok()?;
        let said = asked.text().await.ok()?;
        let leads = said.lines().find_map(|line| line.strip_prefix("vagt_hub_leads "))?;
        Some(leads.trim() == "1")
    }

    /// Was it started, and not ended by us?
    #[must_use]
    pub fn was_started(&self) -> bool {
        self.serve.is_some()
    }

    /// Is its process there?
    pub fn is_running(&mut self) -> bool {
        self.serve.as_mut().is_some_and(|serve| serve.is_running().unwrap_or_default())
    }

    /// Waits until a hub that stood by leads.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn leads(&mut self) -> Result<()> {
        self.ready().await
    }

    /// Waits until it has ended by itself; its exit code.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(&mut self) -> Result<i32> {
        self.serve.take().context("it is running")?.wait().await
    }

    async fn ready(&mut self) -> Result<()> {
        let serve = self.serve.as_mut().context("it was started")?;
        let ready = serve.line_where(|line| line["ready"] == true).await;
        let ready = ready.with_context(|| self.log())?;
        self.http = ready["http"].as_str().context("http")?.to_owned();
        let mqtt = ready["mqtt"].as_str().unwrap_or("127.0.0.1:0");
        self.mqtt_port = mqtt.rsplit(':').next().context("a port")?.parse()?;
        self.write_config(mqtt, self.http.trim_start_matches("http://"))?;
        self.enrol_port = ready["enrolment"].as_str().and_then(|at| at.rsplit(':').next()?.parse().ok());
        Ok(())
    }

    /// Starts `vagt serve`, and does not wait until it is ready.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn launch(&self) -> Result<Running> {
        let config = self.path("hub.toml");
        let args = ["serve", "--json", "--config", config.to_str().context("UTF-8")?];
        let env: Vec<(&str, &str)> = self.env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let env = [&[("RUST_LOG", "info")], &env[..]].concat();
        let program = ours("vagt")?;
        let Some((outer, before)) = self.inside.split_first() else {
            return Running::start(&program, &args, &env, &self.path("serve.log"));
        };
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let args = [&before[..], &[program.to_str().context("UTF-8")?], &args[..]].concat();
        Running::start(&debian(outer, outer)?, &args, &env, &self.path("serve.log"))
    }

    /// Has it live elsewhere from the next start on: behind this command, listening at this address.
    ///
    /// # Errors
    /// When its configuration can't be written.
    pub fn live_at(&mut self, host: &str, inside: Vec<String>) -> Result<()> {
        (self.host, self.inside) = (host.to_owned(), inside);
        self.write_fresh_config()
    }

    /// The address at which it listens.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `kill -9` of the hub.
    ///
    /// # Errors
    /// When it was not running.
    pub async fn kill_9(&mut self) -> Result<()> {
        self.serve.take().context("it is running")?.kill_9().await
    }

    /// The hub's process id, while it runs.
    #[must_use]
    pub fn hub_id(&self) -> Option<u32> {
        self.serve.as_ref()?.id()
    }

    /// Gives the hub these variables too, from the next start on.
    pub fn set_env(&mut self, env: &[(&'static str, String)]) {
        self.env = env.to_vec();
    }

    /// Stops it gracefully and gives its exit code.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop(&mut self) -> Result<i32> {
        self.serve.take().context("it is running")?.stop().await
    }

    /// Starts `mosquitto_pub` with a QoS 1 message for this clinic's front door; what it says goes to `publish.log`.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn publish(&self, who: &KitLogin, protocol: &str, topic: &str, body: &Path) -> Result<Running> {
        let (port, kit) = (self.mqtt_port.to_string(), who.kit.as_str());
        let sign_in = ["-h", "127.0.0.1", "-p", &port, "-V", protocol, "-u", kit, "-P", &who.secret, "-i", kit];
        let message = ["-q", "1", "-t", topic, "-f", body.to_str().context("UTF-8")?];
        let args = [&sign_in[..], &message[..]].concat();
        Running::start(&debian("mosquitto_pub", "mosquitto-clients")?, &args, &[], &self.path("publish.log"))
    }

    /// A path in the clinic's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the hub has logged, for a failing test's message.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("serve.log")).unwrap_or_default()
    }

    /// Signs in as the nurse.
    ///
    /// # Errors
    /// When the pages do not let her in.
    pub async fn sign_in(&self) -> Result<()> {
        self.sign_in_as(NURSE.0).await
    }

    /// Signs in as somebody, in the place of whoever was signed in.
    ///
    /// # Errors
    /// When the pages do not let them in.
    pub async fn sign_in_as(&self, user: &str) -> Result<()> {
        if let Ok(session) = self.get("/api/v1/session").await {
            let form = [("csrf", session["csrf"].as_str().context("csrf")?)];
            self.client.post(format!("{}/sign-out", self.http)).form(&form).send().await?;
        }
        let page = self.client.get(format!("{}/sign-in", self.http)).send().await?.text().await?;
        let form = [("user", user), ("password", NURSE.1), ("csrf", csrf(&page)?)];
        let answer = self.client.post(format!("{}/sign-in", self.http)).form(&form).send().await?;
        ensure!(answer.status().is_success(), "sign-in: {}: {}", answer.status(), answer.text().await?);
        Ok(())
    }

    /// Asks the API (signed in).
    ///
    /// # Errors
    /// When it answers with an error.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.client.get(format!("{}{path}", self.http)).send().await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        Ok(answer.json().await?)
    }

    /// A page (signed in): its status, and what stands on it.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn page(&self, path: &str) -> Result<(u16, String)> {
        let answer = self.client.get(format!("{}{path}", self.http)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Waits until an alert on the queue satisfies `wanted`.
    ///
    /// # Errors
    /// When none does in time.
    pub async fn alert_where(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let until = Instant::now() + SOON;
        loop {
            let alerts = self.alerts().await?;
            if let Some(alert) = alerts.iter().find(|alert| wanted(alert)) {
                return Ok(alert.clone());
            }
            ensure!(Instant::now() < until, "no such alert; the queue holds {alerts:?}\n{}", self.log());
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// What is on the queue now.
    ///
    /// # Errors
    /// When it can't be asked.
    pub async fn alerts(&self) -> Result<Vec<Value>> {
        Ok(self.get("/api/v1/alerts").await?["alerts"].as_array().context("a list of alerts")?.clone())
    }

    /// Waits until nobody is on the queue.
    ///
    /// # Errors
    /// When somebody stays there.
    pub async fn queue_is_empty(&self) -> Result<()> {
        self.get_where("/api/v1/alerts", |queue| queue["alerts"].as_array().is_some_and(Vec::is_empty))
            .await
            .map(|_| ())
    }

    /// Opens the store beside the running hub, to count what is in it.
    ///
    /// # Errors
    /// When it can't be opened.
    pub async fn store(&self) -> Result<Sqlite> {
        Ok(Sqlite::open_read_only(&self.path("data/vagt.db")).await?)
    }

    /// The same, wherever it is.
    ///
    /// # Errors
    /// When it can't be opened.
    pub async fn any_store(&self) -> Result<Arc<dyn Store>> {
        let place = match &self.database {
            Some(url) => Place::Postgres(Server::new(url).map_err(anyhow::Error::msg)?),
            None => Place::File(self.path("data/vagt.db")),
        };
        Ok(store::open_read_only(&place).await?)
    }

    /// Waits until the store satisfies `wanted`.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn stored_where(&self, wanted: impl Fn(&store::Stored) -> bool) -> Result<store::Stored> {
        let store = self.any_store().await?;
        let until = Instant::now() + SOON;
        loop {
            let stored = store.stored().await?;
            if wanted(&stored) {
                return Ok(stored);
            }
            ensure!(Instant::now() < until, "the store holds {stored:?}\n{}", self.log());
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// On free ports.
    fn write_fresh_config(&self) -> Result<()> {
        let free = format!("{}:0", self.host);
        self.write_config(&free, &free)
    }

    fn write_config(&self, mqtt: &str, http: &str) -> Result<()> {
        let text = format!(
            "clinic = \"Test clinic\"\ndata = \"data\"\nroster = \"roster.toml\"\nsimulated = true\n{}{}\
             [mqtt]\nlisten = \"{mqtt}\"\n[http]\nlisten = \"{http}\"\n[heartbeat]\nperiod_seconds = {}\n{}",
            self.database.as_ref().map_or(String::new(), |url| format!("store = \"{url}\"\n")),
            self.top,
            self.heartbeat_seconds,
            self.more
        );
        Ok(fs::write(self.path("hub.toml"), text)?)
    }

    /// Gives it a folder of programmes of its own, `programmes`, with these files, from the next start on.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn use_programmes(&mut self, files: &[(&str, &str)]) -> Result<()> {
        fs::create_dir_all(self.path("programmes"))?;
        for (name, text) in files {
            fs::write(self.path("programmes").join(name), text)?;
        }
        self.top = "programmes = \"programmes\"\nzone = \"UTC\"\n";
        self.write_fresh_config()
    }

    /// Lets its heart beat this often, from the next start on; `more` goes into its configuration besides.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn set_heartbeat(&mut self, period_seconds: u32, more: &str) -> Result<()> {
        self.heartbeat_seconds = period_seconds;
        self.more.push_str(more);
        self.write_fresh_config()
    }

    /// Puts this into its configuration besides, from the next start on.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn configure(&mut self, more: &str) -> Result<()> {
        self.more.push_str(more);
        self.write_fresh_config()
    }

    /// Puts this into its configuration in the place of what was put there, from the next start on.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn set_more(&mut self, more: &str) -> Result<()> {
        self.more.clear();
        self.configure(more)
    }

    /// Has it listen for kits at this port, from the next start on.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn set_mqtt_port(&mut self, port: u16) -> Result<()> {
        self.mqtt_port = port;
        self.write_config(&format!("127.0.0.1:{port}"), "127.0.0.1:0")
    }

    /// Gives it an authority of its own: the front door speaks TLS from the next start on, and kits enrol.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn add_authority(&mut self) -> Result<()> {
        self.vagt(&["ca", "init", "--name", "127.0.0.1", "--name", "localhost", "--json"]).await?;
        self.more = "[mqtt.tls]\ncert = \"data/authority/server.crt\"\nkey = \"data/authority/server.key\"\n\
                     [enrolment]\nlisten = \"127.0.0.1:0\"\nothers = [\"127.0.0.1:9\"]\n"
            .to_owned();
        self.write_fresh_config()
    }

    /// Runs `vagt ...` with this clinic's configuration; the lines of JSON that it prints.
    ///
    /// # Errors
    /// When it fails.
    pub async fn vagt(&self, args: &[&str]) -> Result<Vec<Value>> {
        let (run, lines) = self.vagt_says(args).await?;
        ensure!(run.status.success(), "vagt {args:?}: {}", String::from_utf8_lossy(&run.stderr));
        Ok(lines)
    }

    /// The same, whether it fails or not: how it ended, and its lines of JSON.
    ///
    /// # Errors
    /// When it can't be run.
    pub async fn vagt_says(&self, args: &[&str]) -> Result<(std::process::Output, Vec<Value>)> {
        let config = self.path("hub.toml");
        let run = tokio::process::Command::new(ours("vagt")?).args(args).arg("--config").arg(config).output().await?;
        let lines = String::from_utf8_lossy(&run.stdout);
        let lines = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok((run, lines))
    }

    /// The same where it must be refused: exit code 1, and one sentence, which is given.
    ///
    /// # Errors
    /// When it is not refused, or not so.
    pub async fn vagt_refuses(&self, args: &[&str]) -> Result<String> {
        let config = self.path("hub.toml");
        let run = tokio::process::Command::new(ours("vagt")?).args(args).arg("--config").arg(config).output().await?;
        let said = String::from_utf8(run.stderr)?;
        ensure!(run.status.code() == Some(1), "vagt {args:?}: {:?}: {said}", run.status);
        ensure!(!said.trim().is_empty() && !said.contains("panicked"), "vagt {args:?} says {said:?}");
        Ok(said.trim().to_owned())
    }

    /// What is stored, folded once more by the same program, gives the alerts that are stored, byte for byte; what it says of it.
    ///
    /// # Errors
    /// When it does not.
    pub async fn retold(&self) -> Result<Value> {
        let said = self.vagt(&["replay", "--stored", "--verify"]).await.with_context(|| self.log())?;
        let last = said.last().context("a line")?;
        ensure!(last["verified"] == true && last["alerts_before"] == 0, "{last}");
        Ok(last.clone())
    }

    /// Asks the API anything (signed in): the status, and what it answers.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let csrf = self.get("/api/v1/session").await?["csrf"].as_str().context("csrf")?.to_owned();
        let request = self.client.request(method.parse()?, format!("{}{path}", self.http));
        let answer = request.header("X-CSRF-Token", csrf).json(body).send().await?;
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        Ok((status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? }))
    }

    /// Posts to the API (signed in).
    ///
    /// # Errors
    /// When it answers with an error.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let csrf = self.get("/api/v1/session").await?["csrf"].as_str().context("csrf")?.to_owned();
        let request = self.client.post(format!("{}{path}", self.http)).header("X-CSRF-Token", csrf).json(body);
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until what the API gives at `path` satisfies `wanted`.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn get_where(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let until = Instant::now() + SOON;
        loop {
            let found = self.get(path).await?;
            if wanted(&found) {
                return Ok(found);
            }
            ensure!(Instant::now() < until, "{path} gives {found}\n{}", self.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Gives somebody an account, with everybody's password.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn add_account(&self, user: &str, role: &str) -> Result<()> {
        let config = self.path("hub.toml");
        let name = if user == NURSE.0 { "Mette L." } else { user };
        let who = ["account", "add", user, "--name", name, "--role", role, "--language", "en", "--json", "--config"];
        let args = [&who[..], &[config.to_str().context("UTF-8")?]].concat();
        let mut add = Running::start(&ours("vagt")?, &args, &[], &self.path("account.log"))?;
        add.tell(NURSE.1).await?;
        add.close_input();
        add.line_where(|line| line["user"] == user).await?;
        Ok(())
    }
}

/// The form token of a page.
fn csrf(page: &str) -> Result<&str> {
    let (_, rest) = page.split_once("name=\"csrf\"").context("a csrf field")?;
    let (_, rest) = rest.split_once("value=\"").context("its value")?;
    Ok(rest.split_once('"').context("its end")?.0)
}

fn roster(kits: &[KitLogin]) -> String {
    let mut text = String::from("# Simulated people and kits of a test.\n");
    for KitLogin { kit, patient, secret } in kits {
        let hash: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
        let since = "2020-01-01T00:00:00Z";
        write!(
            text,
            "[[patient]]\nid = \"{patient}\"\nname = \"Simulated {patient}\"\nborn = 1948\nprogramme = \"copd\"\nsimulated = true\n\
             [[kit]]\nid = \"{kit}\"\npatient = \"{patient}\"\nsecret_sha256 = \"{hash}\"\nsince = \"{since}\"\n"
        )
        .expect("a string takes all");
    }
    text
}
