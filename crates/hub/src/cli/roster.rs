//! `vagt patient`: the people, changed in the store. A running service notices within seconds.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Subcommand;
use jiff::tz::TimeZone;
use serde_json::json;
use store::{Patient, Roster, Store};
use triage::{Own, Plan};
use vitals::{KitId, PatientId};

use super::{
    Ended, block_on,
    config::{own as places, problem},
    json_line, out, person,
    place::Place,
    who::{EVERYBODY, LIMITS, who},
    why::known,
};
use crate::{
    clock,
    config::Config,
    directory::{Books, plan_of},
    lock::make_folder,
    programmes::{self, Library},
    roster, ward,
};

/// Which store.
#[derive(clap::Args)]
pub struct Where {
    /// The service's configuration file, which says where the store is.
    #[arg(long, value_name = "FILE", default_value = "hub.toml")]
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
    /// The people: id, name, programmes, risk level, kits.
    List(Place),
    /// Adds a patient, or changes name, year of birth, programmes and risk level. Own settings stay.
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
        /// The risk level: one of the strata of the programmes.
        #[arg(long)]
        stratum: Option<String>,
        /// Who does it, for the journal.
        #[arg(long, value_name = "USER", long_help = BY)]
        by: Option<String>,
        #[command(flatten)]
        place: Where,
    },
    /// Writes everything that is stored of a person into one JSON file, for them; the journal says so.
    ///
    /// Measurements and answers, alerts with their history, what was judged and decided, what was sent to them, which kit they have. Without the
    /// clinic's secrets, and without the others who share a kit.
    Export(person::Export),
    /// Erases a person for ever: everything that is stored of them, beside a running service or without one; the journal says that it was done.
    ///
    /// What stays is that their kit's messages were seen (its number and theirs, without content), so that nothing comes back when it is sent again.
    /// A kit of theirs alone leaves the roster. Backups made before still have everything: see docs/guides/privacy.md.
    Erase(person::Erase),
    /// Puts own settings (limits, references, oxygen, pauses) in the place of those there are.
    Own {
        /// Whose.
        patient: PatientId,
        /// The settings, TOML or JSON: limits, references, oxygen, pauses. An empty file takes all of them away.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Who does it, for the journal.
        #[arg(long, value_name = "USER", long_help = BY)]
        by: Option<String>,
        #[command(flatten)]
        place: Where,
    },
}

/// What is said of `--by`.
const BY: &str = "Who does it, for the journal: the user name of an account that may; the machine's own user, as `command:NAME`, if left out";

impl Where {
    /// What the file says, and the store, to write.
    pub(super) async fn write(&self) -> Result<(Config, Arc<dyn Store>), Ended> {
        let config = Config::load(&self.config).map_err(|e| Ended::Failed(e.to_string()))?;
        make_folder(&config.data)?;
        let store = store::open(&config.store()).await.map_err(failed)?;
        Ok((config, store))
    }

    /// The same, to read.
    pub(super) async fn read(&self) -> Result<(Config, Arc<dyn Store>), Ended> {
        let config = Config::load(&self.config).map_err(|e| Ended::Failed(e.to_string()))?;
        let store = store::open_read_only(&config.store()).await.map_err(failed)?;
        Ok((config, store))
    }
}

/// Runs `vagt patient`.
///
/// # Errors
/// When the store can't be written, or what is asked makes no sense.
pub fn patient(args: &PatientArgs) -> Result<(), Ended> {
    match &args.command {
        PatientCommand::Add { patient, name, born, programme, stratum, by, place } => {
            let patient = Patient {
                id: patient.clone(),
                name: name.clone(),
                born: *born,
                programmes: programme.clone(),
                stratum: stratum.clone(),
                own: serde_json::Value::Null,
                simulated: false,
                since: None,
            };
            block_on(add_patient(patient, by.as_deref(), place))
        }
        PatientCommand::List(place) => block_on(list(place)),
        PatientCommand::Export(args) => block_on(person::export(args)),
        PatientCommand::Erase(args) => block_on(person::erase(args)),
        PatientCommand::Own { patient, file, by, place } => {
            let (text, own) = read_own(file)?;
            block_on(set_own(patient, &own, (&text, &file.display().to_string()), by.as_deref(), place))
        }
    }
}

async fn list(place: &Place) -> Result<(), Ended> {
    let (store, _) = place.read().await?;
    let roster = store.roster().await;
    store.close().await;
    let Roster { patients, kits } = roster.map_err(failed)?;
    let mut out = out();
    if patients.is_empty() && !place.json {
        writeln!(out, "Nobody is watched over yet: `vagt patient add` adds somebody.")?;
    }
    for Patient { id, name, born, programmes, stratum, simulated, since, .. } in &patients {
        let kits: Vec<&KitId> =
            kits.iter().filter(|kit| kit.people().any(|own| own == id)).map(|kit| &kit.id).collect();
        if place.json {
            let line = json!({ "patient": id, "name": name, "born": born, "programmes": programmes, "stratum": stratum,
                "kits": kits, "simulated": simulated, "since": since });
            json_line(&mut out, &line)?;
            continue;
        }
        let kits = match kits.as_slice() {
            [] => "no kit".to_owned(),
            kits => kits.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let stratum = stratum.as_deref().map(|stratum| format!("  risk {stratum}")).unwrap_or_default();
        let simulated = if *simulated { "  (simulated)" } else { "" };
        writeln!(out, "{id}  {name}  {}{stratum}  {kits}{simulated}", programmes.join(", "))?;
    }
    Ok(out.flush()?)
}

async fn add_patient(mut patient: Patient, by: Option<&str>, place: &Where) -> Result<(), Ended> {
    let (config, store) = place.write().await?;
    let by = who(&*store, by, EVERYBODY).await?;
    patient.simulated = config.simulated;
    let books = books(&*store, &config).await?;
    let roster = store.roster().await.map_err(failed)?;
    if let Some(before) = roster.patients.iter().find(|known| known.id == patient.id) {
        patient.own = before.own.clone();
        patient.since = before.since;
        patient.simulated = before.simulated;
        patient.stratum = patient.stratum.or_else(|| before.stratum.clone());
    }
    let plan = plan_of(&patient, &books, &config.zone).map_err(|e| Ended::Failed(e.to_string()))?;
    check_stratum(&patient, &plan)?;
    let changed = Roster { patients: vec![patient], kits: Vec::new() };
    let put = roster::put(&*store, &changed, &roster, (&by, None), clock::now()).await;
    store.close().await;
    put.map_err(failed)
}

/// The programmes in use. Of a store that no service has used yet: those that it will use.
async fn books(store: &dyn Store, config: &Config) -> Result<Books, Ended> {
    let mut library = Library::open(store, clock::now()).await.map_err(failed)?;
    if library.in_use().is_empty() {
        programmes::bring_in(store, config.programmes.as_deref(), clock::now()).await?;
        library = Library::open(store, clock::now()).await.map_err(failed)?;
    }
    library.books().map_err(Ended::Failed)
}

/// A risk level is one of those of the patient's programmes.
fn check_stratum(patient: &Patient, plan: &Plan) -> Result<(), Ended> {
    let known: Vec<&str> =
        plan.programmes().iter().flat_map(|programme| programme.strata()).map(|stratum| stratum.id.as_str()).collect();
    match patient.stratum.as_deref() {
        Some(stratum) if !known.contains(&stratum) => {
            let wanted = if known.is_empty() {
                "none: its programmes have no strata".to_owned()
            } else {
                format!("one of {}", known.join(", "))
            };
            Err(Ended::Failed(format!("patient {}: found stratum {stratum:?}, want {wanted}", patient.id)))
        }
        _ => Ok(()),
    }
}

async fn set_own(
    patient: &PatientId,
    own: &Own,
    (text, file): (&str, &str),
    by: Option<&str>,
    place: &Where,
) -> Result<(), Ended> {
    let (config, store) = place.write().await?;
    let zone: &TimeZone = &config.zone;
    let set = async {
        let by = &who(&*store, by, LIMITS).await?;
        fits(&*store, &config, patient, own, (text, file)).await?;
        let set = ward::set_own(&*store, zone, patient, own, by, clock::now()).await;
        set.map_err(|refused| Ended::Failed(places::said(text, file, "", &refused.to_string())))
    };
    let set = set.await;
    store.close().await;
    set
}

/// Do they fit what the patient is judged by now? Each fault is told with its place in the file.
async fn fits(
    store: &dyn Store,
    config: &Config,
    patient: &PatientId,
    own: &Own,
    (text, file): (&str, &str),
) -> Result<(), Ended> {
    let before = known(store, patient).await?;
    let own = serde_json::to_value(own).map_err(|error| Ended::Failed(error.to_string()))?;
    let books = books(store, config).await?;
    let planned = plan_of(&Patient { own, ..before }, &books, &config.zone);
    planned.map(drop).map_err(|error| Ended::Failed(places::unfit(text, file, "", &error)))
}

fn read_own(file: &Path) -> Result<(String, Own), Ended> {
    let name = file.display().to_string();
    let text = problem::text(file).map_err(Ended::Failed)?;
    if text.trim_start().starts_with('{') {
        let own = serde_json::from_str(&text)
            .map_err(|error| Ended::Failed(format!("{name}: {}", triage::plain(&error.to_string()))))?;
        return Ok((text, own));
    }
    let own = problem::toml::<Own, Own>(&text, &name).map_err(Ended::Failed)?;
    Ok((text, own))
}

pub(super) async fn put(store: &dyn Store, roster: Roster) -> Result<(), Ended> {
    let put = store.put_roster(&roster, clock::now()).await;
    store.close().await;
    put.map_err(failed)
}

pub(super) fn failed(error: store::StoreError) -> Ended {
    Ended::Failed(error.to_string())
}
