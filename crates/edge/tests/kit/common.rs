//! A real Mosquitto, and a core that hears messages and acknowledges what it is told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rumqttc::{AsyncClient, Broker, Event, Incoming, MqttOptions, PublishOptions, QoS};
use tempfile::TempDir;

/// Longest wait for something that must happen. A kit whose broker dies a few times in a row waits up to half a minute before it tries again, and
/// as long again for what it sent while nobody listened.
pub const SOON: Duration = Duration::from_secs(100);

/// Mosquitto on a free port; stopped when dropped.
pub struct Mosquitto {
    pub port: u16,
    dir: TempDir,
    child: Option<Child>,
    rules: &'static str,
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::with("allow_anonymous true")
    }

    pub fn with(rules: &'static str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut broker = Self { port, dir: tempfile::tempdir().unwrap(), child: None, rules };
        broker.go_on();
        broker
    }

    pub fn go_on(&mut self) {
        let conf = self.dir.path().join("mosquitto.conf");
        std::fs::write(&conf, format!("listener {} 127.0.0.1\n{}\nset_tcp_nodelay true\n", self.port, self.rules))
            .unwrap();
        let spawned =
            Command::new("mosquitto").arg("-c").arg(&conf).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(spawned.expect("the program mosquitto is needed: apt-get install mosquitto"));
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < SOON, "mosquitto does not listen");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Stops it without closing anything, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// As a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Everything a core has heard, by topic kind and in order.
#[derive(Default)]
pub struct Heard {
    pub messages: Vec<wire::Message>,
    pub statuses: Vec<wire::Status>,
    pub acking: bool,
    /// Say this after every message.
    pub through: Option<u64>,
}

impl Heard {
    /// Up to where nothing is missing, from the oldest that the kit still keeps. What comes after a hole is not acknowledged: the broker may have
    /// dropped what lay in it, when nobody was subscribed.
    fn without_a_hole(&self, oldest: u64) -> u64 {
        let heard: BTreeSet<u64> = self.messages.iter().map(|message| message.seq).collect();
        (oldest..).take_while(|seq| heard.contains(seq)).last().unwrap_or(oldest - 1)
    }
}

/// A core for one kit.
pub struct Core {
    pub heard: Arc<Mutex<Heard>>,
    client: AsyncClient,
    task: tokio::task::JoinHandle<()>,
}

impl Core {
    pub async fn start(broker: &Mosquitto, acking: bool) -> Self {
        let mut options = MqttOptions::new("core", Broker::tcp("127.0.0.1", broker.port));
        options.set_max_packet_size(Some(300_000));
        let (client, mut eventloop) = AsyncClient::builder(options).capacity(1000).build();
        let heard = Arc::new(Mutex::new(Heard { acking, ..Heard::default() }));
        let task = tokio::spawn({
            let (client, heard) = (client.clone(), heard.clone());
            async move {
                loop {
                    match eventloop.poll().await {
                        Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                            client.try_subscribe("vagt/v1/#", QoS::AtLeastOnce).unwrap()
                        }
                        Ok(Event::Incoming(Incoming::Publish(publish))) => take(&publish, &heard, &client),
                        Ok(_) => {}
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
            }
        });
        Self { heard, client, task }
    }

    pub fn ack(&self, kit: &str, through: u64) {
        let payload = format!(r#"{{"through":{through},"rejected":[]}}"#);
        self.client.try_publish(format!("vagt/v1/{kit}/acks"), payload, PublishOptions::at_least_once()).unwrap();
    }

    /// Says after every message that everything up to this is stored.
    pub fn ack_always(&self, through: u64) {
        let mut heard = self.heard.lock().unwrap();
        (heard.acking, heard.through) = (true, Some(through));
    }

    /// Waits until it is so.
    pub async fn until(&self, what: &str, so: impl Fn(&Heard) -> bool) {
        let began = Instant::now();
        while !so(&self.heard.lock().unwrap()) {
            assert!(began.elapsed() < SOON, "in time: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How often each number came.
    pub fn counts(&self) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for message in &self.heard.lock().unwrap().messages {
            *counts.entry(message.seq).or_default() += 1;
        }
        counts
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn take(publish: &rumqttc::Publish, heard: &Mutex<Heard>, client: &AsyncClient) {
    let topic = std::str::from_utf8(&publish.topic).unwrap();
    let mut heard = heard.lock().unwrap();
    if topic.ends_with("/readings") {
        let arrived = wire::decode(&publish.payload).unwrap();
        assert!(arrived.refused.is_empty(), "{:?}", arrived.refused);
        let (oldest, through) = (arrived.message.oldest, heard.through);
        heard.messages.push(arrived.message);
        let through = through.unwrap_or_else(|| heard.without_a_hole(oldest.unwrap_or(1)));
        if heard.acking {
            let acks = topic.replace("/readings", "/acks");
            client.try_publish(acks, format!(r#"{{"through":{through}}}"#), PublishOptions::at_least_once()).unwrap();
        }
    } else if topic.ends_with("/status") {
        heard.statuses.push(serde_json::from_slice(&publish.payload).unwrap());
    }
}
