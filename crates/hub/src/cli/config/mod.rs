//! `vagt config`: every configuration file can be checked, explained and described by a schema before it is put into use.

mod check;
mod edge;
mod explain;
mod kind;
pub mod own;
pub mod problem;
pub mod roster;
mod schema;

use clap::Subcommand;

use super::Ended;

/// Check, describe and explain configuration files: programmes, clinic.toml, hub.toml, roster.toml, edge.toml.
///
/// The kind of a file is seen from what is in it; --kind says it instead. About a kit's edge.toml, vagt-edge is asked, which has to be
/// installed beside vagt for that.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vagt config check config/programmes/copd.toml config/hub.toml
  vagt config explain config/programmes/copd.toml
  vagt config schema programme > programme.json
  vagt config schema --all docs/schemas")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Args),
    Schema(schema::Args),
    Explain(explain::Args),
}

/// Runs the command.
///
/// # Errors
/// As each of the three.
pub fn run(args: &Args) -> Result<(), Ended> {
    match &args.command {
        Command::Check(args) => check::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Explain(args) => explain::run(args),
    }
}
