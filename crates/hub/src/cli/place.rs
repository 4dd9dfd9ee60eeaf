//! Which store a command is about, and how it prints: shared by the commands that decide about programmes.

use std::{io::Write as _, path::PathBuf, sync::Arc};

use jiff::tz::TimeZone;
use store::Store;

use super::{Ended, backtest::failed, json_line, out};
use crate::config::Config;

/// Which store, and how to print.
#[derive(clap::Args)]
pub struct Place {
    /// The service's configuration file, which says where the store is.
    #[arg(long, value_name = "FILE", default_value = "hub.toml")]
    config: PathBuf,
    /// Print JSON lines.
    #[arg(long)]
    pub(super) json: bool,
}

impl Place {
    /// The store, to read, and the clinic's zone.
    pub(super) async fn read(&self) -> Result<(Arc<dyn Store>, TimeZone), Ended> {
        let config = self.config()?;
        Ok((store::open_read_only(&config.store()).await.map_err(failed)?, config.zone))
    }

    /// The store, to write, and the clinic's zone.
    pub(super) async fn write(&self) -> Result<(Arc<dyn Store>, TimeZone), Ended> {
        let config = self.config()?;
        Ok((store::open(&config.store()).await.map_err(failed)?, config.zone))
    }

    /// What the file says.
    pub(super) fn config(&self) -> Result<Config, Ended> {
        Config::load(&self.config).map_err(failed)
    }

    /// The file.
    pub(super) fn config_file(&self) -> &std::path::Path {
        &self.config
    }

    /// Says what was done: as a line of JSON, or in words.
    pub(super) fn done(&self, line: &serde_json::Value, words: &str) -> Result<(), Ended> {
        let mut out = out();
        if self.json {
            json_line(&mut out, line)?;
        } else {
            writeln!(out, "{words}")?;
        }
        Ok(out.flush()?)
    }
}
