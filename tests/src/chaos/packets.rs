//! A net of its own between kits and hub: the hub lives in a network namespace, and every IP packet goes through a relay that loses, doubles,
//! delays and reorders them on demand. What TCP makes of it is slowness, repeats that nobody sees, and connections that die without a word.
//! (The kernel's own emulation, netem, is not built into every kernel; a TUN device is.)

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::program::{Running, debian};

/// Nets that this process has made: each has addresses of its own.
static MADE: AtomicU8 = AtomicU8::new(0);

/// The net of one round. Dropped, it is gone.
pub struct Packets {
    namespace: String,
    /// The hub's address in it.
    pub there: String,
    relay: Running,
}

impl Packets {
    /// Makes a namespace, a device at both ends, and the relay.
    ///
    /// # Errors
    /// When that can't be had here: it needs root and `/dev/net/tun`.
    pub async fn open(folder: &Path, seed: u64) -> Result<Self> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let namespace = format!("vagt-{process}-{number}");
        ip(&["netns", "add", &namespace])?;
        // Addresses for testing (RFC 2544), so that nobody's own are met.
        let [low, high] = [process % 250, (process / 250) % 250].map(|part| part.to_string());
        let end = |last: u8| format!("198.18.{high}.{}", (u32::from(number) * 4 + u32::from(last)) % 250 + 1);
        let (here, there, name) = (end(0), end(1), format!("v{low}{high}{number}"));
        let script = folder.join("relay.py");
        std::fs::write(&script, include_str!("relay.py"))?;
        let seed = seed.to_string();
        let args = [script.to_str().context("UTF-8")?, &namespace, &name, &here, &there, &seed];
        let mut relay = Running::start(&debian("python3", "python3")?, &args, &[], &folder.join("relay.log"))?;
        let ready = relay.line_where(|line| line["ready"] == true).await;
        let net = Self { namespace, there, relay };
        ready.map(|_| net)
    }

    /// A command before a program that has it live there.
    #[must_use]
    pub fn inside(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace].map(str::to_owned).to_vec()
    }

    /// So many of all packets are lost, doubled and late.
    ///
    /// # Errors
    /// When the relay has ended.
    pub async fn rules(&mut self, rules: &Value) -> Result<()> {
        self.relay.tell(&rules.to_string()).await?;
        self.relay.line_where(|line| line["rules"] == *rules).await.map(|_| ())
    }

    /// One in twenty is doubled, a quarter is reordered, one in a hundred is lost.
    #[must_use]
    pub fn rough() -> Value {
        json!({"lost": 0.01, "doubled": 0.05, "late": 0.25, "late_ms": 60})
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        self.relay.close_input();
        if let Err(error) = ip(&["netns", "delete", &self.namespace]) {
            eprintln!("{error:#}");
        }
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let done = Command::new("ip").args(args).output().context("ip: apt-get install iproute2")?;
    ensure!(done.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
