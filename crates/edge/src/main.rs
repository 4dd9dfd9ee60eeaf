//! `vagt-edge`, the kit's agent: read the configuration, open the spool, start the links and the uplink, wait, stop.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use edge::{agent, config, enlist};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// The kit's agent of Vagt: reads medical devices and sends what they measure to the clinic.
///
/// Exit codes: 0 success, 1 failure with one sentence on standard error, 2 bad usage.
#[derive(Parser)]
#[command(name = "vagt-edge", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print JSON lines.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum QuestionnaireCommand {
    /// Check a file and run its examples, naming line and field of what is wrong.
    Check {
        /// The questionnaire.
        file: PathBuf,
    },
    /// Say in words what is asked, which way it goes and what it means.
    Explain {
        /// The questionnaire.
        file: PathBuf,
    },
    /// Print the JSON Schema of the file.
    Schema,
}

#[derive(Subcommand)]
enum Command {
    /// Run the agent until it is told to stop (SIGTERM or Ctrl-C). RUST_LOG sets what is logged, e.g. "debug".
    Run {
        /// The kit's configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Check a configuration file, naming line and field of what is wrong.
    Check {
        /// The kit's configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Check a questionnaire and run its examples, say it in words, or print its JSON Schema.
    Questionnaire {
        #[command(subcommand)]
        command: QuestionnaireCommand,
    },
    /// Exchange a one-time code from the clinic for this kit's own credentials.
    Enrol {
        /// The code, as the clinic gave it: seven groups of four.
        code: String,
        /// The clinic, e.g. https://vagt.clinic.example:8443.
        #[arg(long)]
        clinic: String,
        /// The folder of edge.toml. One that is there is completed, with its comments and devices kept.
        #[arg(long, default_value = "/etc/vagt")]
        out: PathBuf,
    },
    /// Add a device to the configuration, or list its devices. A running agent takes on the change by itself.
    Device {
        #[command(subcommand)]
        command: DeviceCommand,
    },
    /// List devices in range and serial ports, with the driver that would take each.
    Scan {
        /// How long to listen for Bluetooth devices, in seconds.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
        seconds: u64,
        /// The Bluetooth adapter, e.g. hci0; the first one if left out.
        #[arg(long)]
        adapter: Option<String>,
    },
}

#[derive(Subcommand)]
enum DeviceCommand {
    /// Add a device.
    Add {
        #[command(flatten)]
        device: Box<enlist::NewDevice>,
        /// The kit's configuration.
        #[arg(long)]
        config: PathBuf,
        /// How long to listen for a Bluetooth device whose driver is not given, in seconds.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=300))]
        seconds: u64,
    },
    /// List the devices of the configuration.
    List {
        /// The kit's configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to(cli.json);
    let runtime = tokio::runtime::Runtime::new().expect("the system gives a process threads and timers");
    let done = runtime.block_on(async {
        match cli.command {
            Command::Run { config } => run(&config).await,
            Command::Check { config } => check(&config, cli.json),
            Command::Schema => schema(),
            Command::Questionnaire { command } => questionnaire(&command, cli.json),
            Command::Enrol { code, clinic, out } => edge::enrol::run(&code, &clinic, &out, cli.json).await,
            Command::Device { command: DeviceCommand::Add { device, config, seconds } } => {
                enlist::add(&config, *device, seconds, cli.json).await
            }
            Command::Device { command: DeviceCommand::List { config } } => enlist::list(&config, cli.json),
            Command::Scan { seconds, adapter } => edge::scan::run(seconds, adapter, cli.json).await,
        }
    });
    // Threads that wait for a serial port must not hold up the end.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vagt-edge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(file: &Path) -> anyhow::Result<()> {
    let settings = config::load(file)?;
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("can't wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't wait for Ctrl-C")?;
    tokio::spawn({
        let stop = stop.clone();
        async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
            stop.cancel();
        }
    });
    agent::run(settings, stop).await
}

fn check(file: &Path, json: bool) -> anyhow::Result<()> {
    let settings = config::load(file)?;
    let devices = settings.devices.len();
    if json {
        println!("{}", serde_json::json!({ "file": file, "ok": true, "kit": settings.kit, "devices": devices }));
    } else {
        println!("{}: good, kit {} with {devices} devices", file.display(), settings.kit);
    }
    Ok(())
}

fn questionnaire(command: &QuestionnaireCommand, json: bool) -> anyhow::Result<()> {
    match command {
        QuestionnaireCommand::Schema => {
            println!("{}", serde_json::to_string_pretty(&schemars::schema_for!(edge::questionnaire::File))?);
        }
        QuestionnaireCommand::Explain { file } => print!("{}", edge::questionnaire::load(file)?.explain()),
        QuestionnaireCommand::Check { file } => {
            let read = edge::questionnaire::load(file)?;
            let (id, version, questions, examples) = (read.id(), read.version(), read.len(), read.examples());
            if json {
                let said = serde_json::json!({ "file": file, "ok": true, "id": id, "version": version, "questions": questions, "examples": examples });
                println!("{said}");
            } else {
                let name = file.display();
                println!(
                    "{name}: good, {id} version {version} with {questions} questions; {examples} examples came out as they say"
                );
            }
        }
    }
    Ok(())
}

fn schema() -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(&schemars::schema_for!(config::Config))?);
    Ok(())
}

/// Text for people on standard error; JSON lines for programs on standard output.
fn log_to(json: bool) {
    let filter = EnvFilter::try_from_env("RUST_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,rumqttc=error,rumqttc_v5=error,bluez_async=error"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    if json {
        builder.json().init();
    } else {
        builder.with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).init();
    }
}
