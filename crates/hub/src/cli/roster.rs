//! `vagt patient`: the people, changed in the store. A running service notices within seconds.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use store::{Patient, Roster, Sqlite, Store};
use vitals::PatientId;

use super::{Ended, block_on};
use crate::{
    clock,
    config::Config,
    directory::{Books, plan_of, programmes},
};

/// Which store.
#[derive(clap::Args)]
pub struct Where {
    /// The service's configuration file, which says where the store is.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Patients: the people who are watched over.
#[derive(clap::Args)]
pub struct PatientArgs {
    #[command(subcommand)]
    command: PatientCommand,
}

#[derive(Subcommand)]
enum PatientCommand {
    /// Adds a patient, or changes name, year of birth and programme. Own limits stay.
    Add {
        /// An opaque id, never a national identity number.
        patient: PatientId,
        /// Shown to staff.
        #[arg(long)]
        name: String,
        /// Year of birth.
        #[arg(long)]
        born: Option<i16>,
        /// The programme's id; several are given one by one.
        #[arg(long, default_value = "copd")]
        programme: Vec<String>,
        #[command(flatten)]
        place: Where,
    },
}

impl Where {
    pub(super) fn open(&self) -> Result<(Config, PathBuf), Ended> {
        let config = Config::load(&self.config).map_err(|e| Ended::Failed(e.to_string()))?;
        let store = config.store();
        make_folder(&config.data)?;
        Ok((config, store))
    }
}

fn make_folder(folder: &Path) -> Result<(), Ended> {
    std::fs::create_dir_all(folder).map_err(|e| Ended::Failed(format!("data folder {}: {e}", folder.display())))
}

/// Runs `vagt patient`.
///
/// # Errors
/// When the store can't be written, or what is asked makes no sense.
pub fn patient(args: &PatientArgs) -> Result<(), Ended> {
    let PatientCommand::Add { patient, name, born, programme, place } = &args.command;
    let patient = Patient {
        id: patient.clone(),
        name: name.clone(),
        born: *born,
        programmes: programme.clone(),
        stratum: None,
        own: serde_json::Value::Null,
        simulated: false,
        since: None,
    };
    block_on(add_patient(patient, place))
}

async fn add_patient(mut patient: Patient, place: &Where) -> Result<(), Ended> {
    let (config, path) = place.open()?;
    let programmes: Books = programmes(config.programmes.as_deref())?;
    let store = Sqlite::open(&path).await.map_err(failed)?;
    let roster = store.roster().await.map_err(failed)?;
    if let Some(before) = roster.patients.into_iter().find(|known| known.id == patient.id) {
        patient.own = before.own;
        patient.since = before.since;
        patient.simulated = before.simulated;
        patient.stratum = before.stratum;
    }
    plan_of(&patient, &programmes, &config.zone).map_err(|e| Ended::Failed(e.to_string()))?;
    put(&store, Roster { patients: vec![patient], kits: Vec::new() }).await
}

pub(super) async fn put(store: &Sqlite, roster: Roster) -> Result<(), Ended> {
    let put = store.put_roster(&roster, clock::now()).await;
    store.close().await;
    put.map_err(failed)
}

pub(super) fn failed(error: store::StoreError) -> Ended {
    Ended::Failed(error.to_string())
}
