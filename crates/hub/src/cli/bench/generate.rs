//! `vagt bench load`: the load generator by itself, against any MQTT server, so that services can be compared under the same load.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use vitals::KitId;

use super::{
    load::{Load, Pace, Ran},
    report::Latency,
};
use crate::cli::{json_line, out};

/// What `load` is told.
#[derive(clap::Args)]
pub struct Args {
    /// The MQTT server.
    #[arg(long, value_name = "ADDRESS")]
    to: SocketAddr,
    /// The kits: a line each, its id and its password with a space between.
    #[arg(long, value_name = "FILE")]
    kits: PathBuf,
    /// How many messages of a kit are on their way at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=512))]
    inflight: u16,
    /// How many readings a message has.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    readings: u16,
    /// How long it sends before it is measured.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// How long it is measured.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Messages a second of all kits together; as fast as they are acknowledged, if left out.
    #[arg(long)]
    rate: Option<f64>,
    /// Each kit's numbers (`seq`) begin after this one.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// Where to write up to which seq each kit was acknowledged: a JSON object. Written too if the server dies meanwhile.
    #[arg(long, value_name = "FILE")]
    acknowledged: Option<PathBuf>,
}

/// Sends, and prints one JSON line.
///
/// # Errors
/// The server refuses a kit or goes away; what was acknowledged until then is written all the same.
pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    let kits = kits(args)?;
    let mut load = Load::connect(args.to, &kits, args.after, args.inflight, args.readings).await?;
    let pace = args.rate.map_or(Pace::Saturate, Pace::Rate);
    let ran = async {
        load.run(Duration::from_secs(args.warm_up), pace).await?;
        load.run(Duration::from_secs(args.seconds.max(1)), pace).await
    };
    let ran = ran.await;
    if let Some(file) = &args.acknowledged {
        let of: Map<String, Value> = load.acknowledged_of().map(|(kit, seq)| (kit.to_string(), json!(seq))).collect();
        fs::write(file, Value::from(of).to_string()).with_context(|| file.display().to_string())?;
    }
    let Ran { messages, seconds, latency } = ran?;
    let line = json!({
        "messages": messages, "seconds": seconds, "messages_per_second": messages as f64 / seconds,
        "publish_to_ack_ms": Latency::of(&latency),
    });
    json_line(&mut out(), &line).map_err(|_| anyhow::anyhow!("standard output can't be written"))
}

fn kits(args: &Args) -> anyhow::Result<Vec<(KitId, String)>> {
    let file = args.kits.display();
    let text = fs::read_to_string(&args.kits).with_context(|| file.to_string())?;
    let kit = |(at, line): (usize, &str)| {
        let (id, password) = line
            .split_once(' ')
            .with_context(|| format!("{file}, line {}: found {line:?}, want an id, a space and a password", at + 1))?;
        Ok((id.parse().with_context(|| format!("{file}, line {}", at + 1))?, password.to_owned()))
    };
    text.lines().enumerate().map(kit).collect()
}
