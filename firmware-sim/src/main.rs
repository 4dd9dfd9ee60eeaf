//! `firmware-sim`: plays simulated medical devices and the homes in which they are used.

use std::{
    io::{BufRead as _, Read as _, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser as _;
use firmware_sim::{
    bus::PrivateBus,
    cli::{BusArgs, Cli, Command, HomeArgs, PeripheralArgs, StoryArgs},
    home::{Home, truth},
    peripheral::Peripheral,
};
use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// Commands that wait to be obeyed, at most.
const COMMANDS_MAX: usize = 64;
/// The longest command line.
const COMMAND_BYTES_MAX: u64 = 64 * 1024;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Home(args) => home(&args).await,
            Command::Bus(args) => bus(&args).await,
            Command::Peripheral(args) => peripheral(&args).await,
            Command::Story(args) => story(&args),
        }
    });
    runtime.shutdown_background();
    done.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("firmware-sim: {}", sentence(error));
    ExitCode::FAILURE
}

/// The error and its causes, without those that a library has already put into its own text.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        so_far if so_far.contains(&cause) => told,
        so_far => format!("{so_far}: {cause}"),
    })
}

async fn home(args: &HomeArgs) -> anyhow::Result<()> {
    let options = args.options()?;
    let (teller, lines) = truth::teller();
    let printer = tokio::spawn(print(lines, args.json));
    let home = Home::start(options, teller).await?;
    let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
    let kept_open = (!args.end_with_stdin).then(|| commands.clone());
    listen(commands);
    tokio::select! {
        () = home.live(inbox) => {}
        done = asked_to_stop() => done?,
    }
    drop(kept_open);
    // devices go with the home; what they told last is still printed
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), printer).await;
    Ok(())
}

async fn peripheral(args: &PeripheralArgs) -> anyhow::Result<()> {
    let (model, (identity, clock, story)) = (args.model()?, args.specimen()?);
    let (teller, lines) = truth::teller();
    let printer = tokio::spawn(print(lines, args.json));
    let device = Peripheral::register(&args.bus, &args.adapter, model, identity, clock, teller).await?;
    let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
    listen(commands);
    tokio::select! {
        () = device.live(inbox, &story) => {}
        done = asked_to_stop() => done?,
    }
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), printer).await;
    Ok(())
}

async fn bus(args: &BusArgs) -> anyhow::Result<()> {
    let parent_gone = rustix::process::Signal::TERM;
    rustix::process::set_parent_process_death_signal(Some(parent_gone))
        .context("could not bind our life to the parent's")?;
    let mut bus = PrivateBus::start(&args.dir).await?;
    say(bus.address())?;
    let (lines, mut closed) = mpsc::channel(COMMANDS_MAX);
    let kept_open = (!args.end_with_stdin).then(|| lines.clone());
    listen(lines);
    let stdin_closed = async { while closed.recv().await.is_some() {} };
    tokio::select! {
        () = stdin_closed => {}
        done = asked_to_stop() => done?,
        done = bus.ended() => {
            done?;
            anyhow::bail!("dbus-daemon ended by itself");
        }
    }
    drop(kept_open);
    Ok(())
}

fn story(args: &StoryArgs) -> anyhow::Result<()> {
    args.lines().try_for_each(|line| say(&line.to_string()))
}

async fn asked_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for signals")?;
    tokio::select! {
        _ = terminate.recv() => {}
        done = tokio::signal::ctrl_c() => done?,
    }
    Ok(())
}

/// Reads standard input on a thread of its own, which no shutdown waits for.
fn listen(commands: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = String::new();
            let read = input.by_ref().take(COMMAND_BYTES_MAX).read_line(&mut line);
            if !matches!(read, Ok(1..)) || commands.blocking_send(line).is_err() {
                return;
            }
        }
    });
}

async fn print(mut lines: mpsc::Receiver<Value>, json: bool) {
    while let Some(line) = lines.recv().await {
        let text = if json { line.to_string() } else { in_words(&line) };
        if say(&text).is_err() {
            return; // nobody reads any more
        }
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("could not write to standard output")
}

fn in_words(line: &Value) -> String {
    let text = |key: &str| line.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), Into::into));
    let known = ["event", "device", "values", "device_time", "fault", "why", "bus", "person"];
    known.into_iter().filter_map(text).collect::<Vec<_>>().join("  ")
}
