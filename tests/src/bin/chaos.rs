//! `make chaos`: a real clinic under load, and one fault after the other, chosen by a seed. See docs/chaos.md.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tests::chaos::{
    self, Options, Report,
    fault::{FAULTS, Fault},
    world::{GROUNDS, Ground},
};

const HELP: &str = "\
A real clinic under load, and one fault after the other, chosen by a seed: kill -9 of hub, agents, broker and PostgreSQL, a full disk, a slow disk,
connections that are cut or hang, clocks that are wrong, poison, a flood, a leader that is taken over from. After each round every acknowledged reading must be stored
once, every due alert raised once.

Usage: chaos [OPTIONS]

  --seed N       where chance begins (20261122); a failing round says its own
  --rounds N     clinics, one after the other (6), each on the next ground
  --on NAMES     these grounds alone, with commas: small (front door, SQLite on a small disk), disk (front door, SQLite on the machine's disk),
                 broker (Mosquitto, SQLite), database (front door, PostgreSQL), packets (front door in a net of its own, SQLite),
                 pair (the front doors of two hubs on one PostgreSQL)
  --seconds N    how long faults are made in each round (120)
  --kills N      rounds until so many programs were killed, whatever --rounds says; with --kills-often
  --kills-often  what kills comes four times as often, and sooner
  --faults N     faults in each round at most (100000)
  --rate N       messages a second of each of the 8 kits (25)
  --homes N      homes with a real agent each (2)
  --only NAMES   these faults alone, by name, with commas
  --json         print the report as one line of JSON; progress goes to standard error
  --list         the faults, by name
  --help         this

Exit codes: 0 all was as it must be, 1 something was not, 2 bad usage. Filling and slowing disks and astray packets need root; wrong clocks need libfaketime.";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let (options, json) = match read(std::env::args().skip(1)) {
        Ok(Some(read)) => read,
        Ok(None) => return ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("chaos: {why:#}; see --help");
            return ExitCode::from(2);
        }
    };
    match chaos::run(&options, |line| eprintln!("{line}")).await {
        Ok(report) => {
            if json {
                println!("{}", serde_json::to_string(&report).expect("a report has text keys"));
            } else {
                print(&report);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What was asked for; nothing if that was only to be told something.
fn read(mut args: impl Iterator<Item = String>) -> Result<Option<(Options, bool)>> {
    let mut options = Options {
        seed: 20_261_122,
        rounds: 6,
        seconds: 120,
        faults_max: 100_000,
        kills: 0,
        kills_often: false,
        rate: 25,
        only: Vec::new(),
        grounds: Vec::new(),
        homes: 2,
    };
    let mut json = false;
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} wants a value"));
        match arg.as_str() {
            "--seed" => options.seed = value()?.parse().context("--seed")?,
            "--rounds" => options.rounds = value()?.parse().context("--rounds")?,
            "--seconds" => options.seconds = value()?.parse().context("--seconds")?,
            "--faults" => options.faults_max = value()?.parse().context("--faults")?,
            "--rate" => options.rate = value()?.parse::<std::num::NonZeroU32>().context("--rate")?.get(),
            "--only" => {
                let known = |name: &str| Fault::of(name).with_context(|| format!("--only: there is no fault {name:?}"));
                options.only = value()?.split(',').map(known).collect::<Result<_>>()?;
            }
            "--on" => {
                let known = |name: &str| Ground::of(name).with_context(|| format!("--on: there is no ground {name:?}"));
                options.grounds = value()?.split(',').map(known).collect::<Result<_>>()?;
            }
            "--kills" => options.kills = value()?.parse().context("--kills")?,
            "--kills-often" => options.kills_often = true,
            "--homes" => options.homes = value()?.parse().context("--homes")?,
            "--json" => json = true,
            "--list" => {
                FAULTS.iter().for_each(|(_, name, _)| println!("{name}"));
                GROUNDS.iter().for_each(|(_, name)| println!("--on {name}"));
                return Ok(None);
            }
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(None);
            }
            other => anyhow::bail!("{other:?} is no option"),
        }
    }
    options.kills_often |= options.kills > 0;
    Ok(Some((options, json)))
}

fn print(report: &Report) {
    let Report { faults, killed, counted, kills, taken_over, fenced, hub_mib, left_out } = report;
    println!(
        "{:<17} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "fault", "times", "p50 ms", "p90 ms", "p99 ms", "max ms", "hub MiB"
    );
    for (name, took) in faults.iter().map(|(name, took)| (*name, took)).chain([("what kills", killed)]) {
        println!(
            "{name:<17} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8}",
            took.times, took.p50_ms, took.p90_ms, took.p99_ms, took.max_ms, took.hub_mib
        );
    }
    println!(
        "{kills} times kill -9; {} messages, each once; {} alerts, each raised once and retold; the hub began {} times and held {hub_mib} MiB at most",
        counted.messages, counted.alerts, counted.starts
    );
    if *taken_over > 0 {
        println!("the hub that stood by took over {taken_over} times; {fenced} came back late, were refused and ended");
    }
    if !left_out.is_empty() {
        println!("not made: {}", left_out.join(", "));
    }
}
