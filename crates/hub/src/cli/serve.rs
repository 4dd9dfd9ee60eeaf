//! `vagt serve`: the clinic's service.

use std::{fmt, io::IsTerminal as _, path::PathBuf};

use anyhow::Context as _;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use super::{Ended, block_on, json_line, out};
use crate::{
    config::Config,
    serve::{Told, run_telling},
    watching::traces,
};

/// The clinic's service: the front door for kits, ingestion, triage and the pages.
///
/// Says where it can be reached once it is ready, and stops in order when it is told to (SIGTERM, Ctrl-C): what was taken in is stored and
/// acknowledged first. Logs go to standard error; RUST_LOG says how much.
///
/// Where another service leads the same PostgreSQL database, this one waits behind it, and takes over when that one is gone. A leader that was
/// taken over from ends with exit code 3.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration file; a commented one is config/hub.toml.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Say where it can be reached as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Runs until told to stop.
///
/// # Errors
/// When the service can't start, or ends by itself.
pub fn run(args: &Args) -> Result<(), Ended> {
    let config = Config::load(&args.config).map_err(|e| Ended::Failed(e.to_string()))?;
    log_to_stderr();
    let traces = config.traces.as_ref().map(traces::start).transpose()?;
    let ended = block_on(async { Ok(run_telling(config, |told| tell(&told, args.json)).await?) });
    if let Some(traces) = traces {
        traces.finish();
    }
    ended
}

/// Without RUST_LOG. Of the broker's own words only those that ours do not say.
const LOG_DEFAULT: &str = "info,mqtt5=error,mqtt5::broker::server=warn,sqlx=warn";

/// Logs to standard error, once for the process.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        .with_target(false);
    if log.finish().with(SaidOnce).try_init().is_err() {
        tracing::debug!("logging is set up already");
    }
}

/// Leaves out what the broker says of a connection that the gate has refused: the gate says why, and how often is its own decision.
struct SaidOnce;

/// Where the broker says it.
const BROKERS_OWN: &str = "mqtt5::broker::server";

impl<S: Subscriber> Layer<S> for SaidOnce {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let mut refusal = IsRefusal(false);
        if event.metadata().target() == BROKERS_OWN {
            event.record(&mut refusal);
        }
        !refusal.0
    }
}

struct IsRefusal(bool);

impl Visit for IsRefusal {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 |= field.name() == "message" && format!("{value:?}").ends_with("Authentication failed");
    }
}

fn tell(told: &Told, json: bool) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = out();
    if json {
        json_line(&mut out, told).map_err(|_| anyhow::anyhow!("standard output can't be written"))?;
        return out.flush().context("standard output");
    }
    match told {
        Told::Standby { http, leader, .. } => writeln!(out, "Waits behind {leader}. Says so at {http}.")?,
        Told::Ready(ready) => {
            let kits = ready.mqtt.map_or_else(
                || "Kits come by the broker or over HTTP.".to_owned(),
                |mqtt| format!("Kits connect to {mqtt} (MQTT)."),
            );
            writeln!(out, "The pages are at {}. {kits}", ready.http)?;
        }
    }
    out.flush().context("standard output")
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    struct Count(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_refused_connection_is_told_by_the_gate_alone() {
        let told = Arc::new(AtomicUsize::new(0));
        let log = tracing_subscriber::registry().with(Count(Arc::clone(&told))).with(SaidOnce);
        tracing::subscriber::with_default(log, || {
            tracing::warn!(target: "mqtt5::broker::server", "Client handler error: Authentication failed");
            assert_eq!(told.load(Ordering::Relaxed), 0);
            tracing::warn!(target: "mqtt5::broker::server", "Client handler error: Packet too large");
            tracing::warn!("connection refused: Authentication failed");
        });
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }
}
