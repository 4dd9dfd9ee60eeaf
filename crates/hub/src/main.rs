//! `vagt`, the clinic's program: one service and its tools. Each command is a module of `hub::cli` with `Args` and `run`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hub::cli::{self, Ended};

/// A message is a few dozen small pieces of memory, made on one thread and given back on another: a sixth of what the service does under load with
/// the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Watches over people with chronic lung and heart disease at home: the clinic's service, and the tools around it.
///
/// Every command exits 0 on success, 1 on failure with one sentence on standard error, and 2 on bad usage; `serve` exits 3 when another service
/// has taken over from it.
#[derive(Parser)]
#[command(name = "vagt", version, propagate_version = true, max_term_width = 110)]
struct Vagt {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(cli::demo::Args),
    Serve(cli::serve::Args),
    Budget(cli::budget::Args),
    Ca(cli::ca::Args),
    Kit(cli::kit::KitArgs),
    #[command(alias = "person")]
    Patient(cli::roster::PatientArgs),
    Reading(cli::reading::Args),
    Quarantine(cli::quarantine::Args),
    Why(cli::why::WhyArgs),
    WhyNot(cli::why::WhyNotArgs),
    Outcome(cli::outcome::Args),
    Limits(cli::limits::Args),
    Account(cli::account::Args),
    Backtest(cli::backtest::Args),
    Backup(cli::backup::BackupArgs),
    Restore(cli::backup::RestoreArgs),
    Export(cli::carry::ExportArgs),
    Import(cli::carry::ImportArgs),
    Bench(cli::bench::Args),
    Doctor(cli::doctor::Args),
    Config(cli::config::Args),
    Cohort(cli::cohort::Args),
    Programme(cli::programme::Args),
    Replay(cli::replay::Args),
    Shadow(cli::shadow::Args),
    Report(cli::report::Args),
    Score(cli::score::Args),
    Decode(cli::decode::Args),
    Drivers(cli::drivers::Args),
}

fn main() -> ExitCode {
    run(Vagt::parse().command).map_or_else(Ended::report, |()| ExitCode::SUCCESS)
}

fn run(command: Command) -> Result<(), Ended> {
    match command {
        Command::Demo(args) => cli::demo::run(&args),
        Command::Serve(args) => cli::serve::run(&args),
        Command::Budget(args) => cli::budget::run(&args),
        Command::Ca(args) => cli::ca::run(&args),
        Command::Kit(args) => cli::kit::kit(args),
        Command::Patient(args) => cli::roster::patient(&args),
        Command::Reading(args) => cli::reading::run(&args),
        Command::Quarantine(args) => cli::quarantine::run(&args),
        Command::Why(args) => cli::why::why(&args),
        Command::WhyNot(args) => cli::why::why_not(&args),
        Command::Outcome(args) => cli::outcome::run(&args),
        Command::Limits(args) => cli::limits::run(&args),
        Command::Account(args) => cli::account::run(&args),
        Command::Backtest(args) => cli::backtest::run(&args),
        Command::Backup(args) => cli::backup::backup(&args),
        Command::Restore(args) => cli::backup::restore(&args),
        Command::Export(args) => cli::carry::export(&args),
        Command::Import(args) => cli::carry::import(&args),
        Command::Bench(args) => cli::bench::run(&args),
        Command::Doctor(args) => cli::doctor::run(&args),
        Command::Config(args) => cli::config::run(&args),
        Command::Cohort(args) => cli::cohort::run(&args),
        Command::Programme(args) => cli::programme::run(&args),
        Command::Replay(args) => cli::replay::run(&args),
        Command::Score(args) => cli::score::run(&args),
        Command::Report(args) => cli::report::run(&args),
        Command::Shadow(args) => cli::shadow::run(&args),
        Command::Decode(args) => cli::decode::run(&args),
        Command::Drivers(args) => cli::drivers::run(&args),
    }
}
