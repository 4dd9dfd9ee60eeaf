//! `vagt kit` and `vagt patient`: the roster, changed in the store. A running service notices within seconds.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{Kit, Patient, Roster, Sqlite, Store};
use vitals::{KitId, PatientId};

use super::{Ended, block_on, json_line, out, secret};
use crate::{
    clock,
    config::Config,
    directory::{Programmes, hex, plan_of, programmes},
};

/// Which store.
#[derive(clap::Args)]
pub struct Where {
    /// The service's configuration file, which says where the store is.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Kits: the home gateways that may connect.
#[derive(clap::Args)]
pub struct KitArgs {
    #[command(subcommand)]
    command: KitCommand,
}

#[derive(Subcommand)]
enum KitCommand {
    /// Adds a kit, or gives it to another patient, with a new secret: printed once, and nowhere kept.
    Add {
        /// Its id: the user name and the client id of its connection.
        kit: KitId,
        /// Whose it is.
        #[arg(long)]
        patient: PatientId,
        /// Its devices, as DRIVER:SERIAL; may be repeated.
        #[arg(long = "device", value_name = "DRIVER:SERIAL")]
        devices: Vec<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Where,
    },
    /// Lets a kit connect no longer. What it has sent stays.
    Revoke {
        /// Its id.
        kit: KitId,
        #[command(flatten)]
        place: Where,
    },
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
        /// The programme's id.
        #[arg(long, default_value = "copd")]
        programme: String,
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

/// Runs `vagt kit`.
///
/// # Errors
/// When the store can't be written, or what is asked makes no sense.
pub fn kit(args: &KitArgs) -> Result<(), Ended> {
    match &args.command {
        KitCommand::Add { kit, patient, devices, json, place } => {
            block_on(add_kit(kit, patient, devices, *json, place))
        }
        KitCommand::Revoke { kit, place } => block_on(revoke(kit, place)),
    }
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
        programme: programme.clone(),
        own: serde_json::Value::Null,
        simulated: false,
        since: None,
    };
    block_on(add_patient(patient, place))
}

async fn add_kit(id: &KitId, patient: &PatientId, devices: &[String], json: bool, place: &Where) -> Result<(), Ended> {
    let (_, path) = place.open()?;
    let store = Sqlite::open(&path).await.map_err(failed)?;
    let roster = store.roster().await.map_err(failed)?;
    if !roster.patients.iter().any(|known| known.id == *patient) {
        return Err(Ended::Failed(format!(
            "patient {patient} is not in the roster; `vagt patient add {patient}` first"
        )));
    }
    let secret = secret::new();
    let before = roster.kits.into_iter().find(|known| known.id == *id);
    let kit = Kit {
        id: id.clone(),
        patient: patient.clone(),
        secret_sha256: hex(&Sha256::digest(secret.as_bytes())),
        since: before.filter(|before| before.patient == *patient).and_then(|before| before.since),
        devices: devices.to_vec(),
        revoked: false,
    };
    put(&store, Roster { patients: Vec::new(), kits: vec![kit] }).await?;
    let mut out = out();
    if json {
        json_line(&mut out, &json!({ "kit": id, "patient": patient, "user": id, "password": secret }))?;
    } else {
        writeln!(out, "{id} is given to {patient}. Its user name is {id}, its password (shown this once):\n{secret}")?;
    }
    Ok(out.flush()?)
}

async fn revoke(id: &KitId, place: &Where) -> Result<(), Ended> {
    let (_, path) = place.open()?;
    let store = Sqlite::open(&path).await.map_err(failed)?;
    let roster = store.roster().await.map_err(failed)?;
    let mut kit = roster
        .kits
        .into_iter()
        .find(|known| known.id == *id)
        .ok_or_else(|| Ended::Failed(format!("kit {id} is not in the roster")))?;
    kit.revoked = true;
    put(&store, Roster { patients: Vec::new(), kits: vec![kit] }).await
}

async fn add_patient(mut patient: Patient, place: &Where) -> Result<(), Ended> {
    let (config, path) = place.open()?;
    let programmes: Programmes = programmes(config.programmes.as_deref())?;
    let store = Sqlite::open(&path).await.map_err(failed)?;
    let roster = store.roster().await.map_err(failed)?;
    if let Some(before) = roster.patients.into_iter().find(|known| known.id == patient.id) {
        patient.own = before.own;
        patient.since = before.since;
        patient.simulated = before.simulated;
    }
    plan_of(&patient, &programmes, &config.zone).map_err(|e| Ended::Failed(e.to_string()))?;
    put(&store, Roster { patients: vec![patient], kits: Vec::new() }).await
}

async fn put(store: &Sqlite, roster: Roster) -> Result<(), Ended> {
    let put = store.put_roster(&roster, clock::now()).await;
    store.close().await;
    put.map_err(failed)
}

pub(super) fn failed(error: store::StoreError) -> Ended {
    Ended::Failed(error.to_string())
}
