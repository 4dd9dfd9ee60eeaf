//! `vagt kit`: the home gateways, changed in the store. A running service notices within a second or two.

use std::{fs, io::Write as _, path::Path};

use clap::{Subcommand, ValueEnum};
use desk::{Ask, ask};
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{Enrolment, Kit, Roster, Store};
use vitals::{KitId, PatientId, Vital};

use super::{
    Ended, block_on,
    config::problem,
    json_line, out,
    roster::{Where, failed, put},
    secret,
    who::{EVERYBODY, account},
};
use crate::{authority::Authority, clock, config::Config, directory::hex, enrolment::hash_of};

/// How long a code is good, in days.
const CODE_DAYS: i64 = 7;

/// Kits: the home gateways that may connect.
#[derive(clap::Args)]
pub struct KitArgs {
    #[command(subcommand)]
    command: KitCommand,
}

#[derive(Subcommand)]
enum KitCommand {
    /// Adds a kit, or gives it to somebody else. Prints a one-time code to enrol it with, good for 7 days; or, where the clinic has no
    /// authority of its own (`vagt ca init`) or with --password, a password. Either is printed once, and nowhere kept.
    Add {
        /// Its id: the user name and the client id of its connection.
        kit: KitId,
        /// Whose it is.
        #[arg(long, required_unless_present = "station", conflicts_with = "station")]
        patient: Option<PatientId>,
        /// Several people share it: a bus, a care home.
        #[arg(long, requires = "patients")]
        station: bool,
        /// Who shares it, with commas between.
        #[arg(long, value_delimiter = ',', requires = "station")]
        patients: Vec<PatientId>,
        /// Its devices, as DRIVER:SERIAL; may be repeated.
        #[arg(long = "device", value_name = "DRIVER:SERIAL")]
        devices: Vec<String>,
        /// Make a password instead of a code.
        #[arg(long)]
        password: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Where,
    },
    /// Prints a new one-time code for a kit, e.g. a repaired or a revoked one. What it signs in with now stays until the code is used.
    Renew {
        /// Its id.
        kit: KitId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Where,
    },
    /// Lets a kit connect no longer, and ends its connection; a code that was given out for it is no longer good. What it has sent stays.
    Revoke {
        /// Its id.
        kit: KitId,
        #[command(flatten)]
        place: Where,
    },
    /// Asks a kit for something. It is sent when the kit is connected, and again until the kit says something of it or it expires.
    Command {
        /// Its id.
        kit: KitId,
        /// What to ask for.
        #[arg(value_enum)]
        what: What,
        /// The message, or the file of a schedule (TOML, `[[due]]`).
        said: Option<String>,
        /// What to measure again.
        #[arg(long)]
        vital: Option<Vital>,
        /// For whom, on a kit that several people share.
        #[arg(long)]
        patient: Option<PatientId>,
        /// Who asks: the user name of an account. The person sees the first of that colleague's names; nobody's, if left out.
        #[arg(long, value_name = "USER")]
        by: Option<String>,
        /// When it is no longer worth doing, e.g. 2026-11-22T18:00:00Z; if left out, as is usual for its kind.
        #[arg(long)]
        expires: Option<Timestamp>,
        #[command(flatten)]
        place: Where,
    },
    /// What a kit was asked, newest first, and what became of it, as JSON lines.
    Commands {
        /// Its id.
        kit: KitId,
        #[command(flatten)]
        place: Where,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Remeasure,
    Message,
    Schedule,
    Diagnostics,
}

/// Runs `vagt kit`.
///
/// # Errors
/// When the store can't be written, or what is asked makes no sense.
pub fn kit(args: KitArgs) -> Result<(), Ended> {
    match args.command {
        KitCommand::Add { kit, patient, patients, devices, password, json, place, .. } => {
            let kit =
                Kit { id: kit, patient, patients, secret_sha256: String::new(), since: None, devices, revoked: false };
            block_on(add(kit, password, json, &place))
        }
        KitCommand::Renew { kit, json, place } => block_on(renew(&kit, json, &place)),
        KitCommand::Revoke { kit, place } => block_on(revoke(&kit, &place)),
        KitCommand::Command { kit, what, said, vital, patient, by, expires, place } => {
            let asked = asked(what, said, vital)?;
            let asked = Ask { patient, expires_at: expires, ..asked };
            block_on(command(&kit, asked, by.as_deref(), &place))
        }
        KitCommand::Commands { kit, place } => block_on(commands(&kit, &place)),
    }
}

async fn add(mut kit: Kit, password: bool, json: bool, place: &Where) -> Result<(), Ended> {
    let (config, store) = place.write().await?;
    let roster = store.roster().await.map_err(failed)?;
    if let Some(patient) = kit.people().find(|patient| !roster.patients.iter().any(|known| known.id == **patient)) {
        return Err(Ended::Failed(format!(
            "patient {patient} is not in the roster; `vagt patient add {patient}` first"
        )));
    }
    let authority = if password { None } else { Authority::open(&config.data).ok() };
    let before = roster.kits.into_iter().find(|known| known.id == kit.id);
    kit.since = handed_out(before.as_ref(), &kit, clock::now());
    // One that was revoked comes back when it has enrolled, not before.
    kit.revoked = authority.is_some() && before.is_some_and(|before| before.revoked);
    match authority {
        Some(authority) => {
            not_in_file(&config, &kit.id)?;
            let id = kit.id.clone();
            put_roster(&*store, kit).await?;
            give_code(&*store, &authority, &id, json).await
        }
        None => {
            let secret = secret::new();
            kit.secret_sha256 = hex(&Sha256::digest(secret.as_bytes()));
            let (id, people) = (kit.id.clone(), people(&kit));
            put(&*store, Roster { patients: Vec::new(), kits: vec![kit.clone()] }).await?;
            tell_password(&id, &kit, &people, &secret, json)
        }
    }
}

/// Since when a kit is theirs. Of one that somebody had before it is the very moment: what was measured until then is the other's.
fn handed_out(before: Option<&Kit>, kit: &Kit, now: Timestamp) -> Option<Timestamp> {
    match before {
        Some(before) if before.patient == kit.patient && before.patients == kit.patients => before.since,
        Some(_) => Some(now),
        None => this_minute(now),
    }
}

/// A kit that nobody had before is handed out in this minute: many devices' clocks know no seconds, and the first measurement may follow at once.
fn this_minute(now: Timestamp) -> Option<Timestamp> {
    now.round(TimestampRound::new().smallest(Unit::Minute).mode(RoundMode::Trunc)).ok()
}

fn people(kit: &Kit) -> String {
    kit.people().map(PatientId::as_str).collect::<Vec<_>>().join(", ")
}

fn tell_password(id: &KitId, kit: &Kit, people: &str, secret: &str, json: bool) -> Result<(), Ended> {
    let mut out = out();
    if json {
        let line =
            json!({ "kit": id, "patient": kit.patient, "patients": kit.patients, "user": id, "password": secret });
        json_line(&mut out, &line)?;
    } else {
        writeln!(out, "{id} is given to {people}. Its user name is {id}, its password (shown this once):\n{secret}")?;
    }
    Ok(out.flush()?)
}

async fn renew(id: &KitId, json: bool, place: &Where) -> Result<(), Ended> {
    let (config, store) = place.write().await?;
    let authority = Authority::open(&config.data).map_err(|error| Ended::Failed(error.to_string()))?;
    known(&*store, id).await?;
    not_in_file(&config, id)?;
    give_code(&*store, &authority, id, json).await
}

/// A kit whose secret stands in the roster file would get that one back with the next start.
fn not_in_file(config: &Config, id: &KitId) -> Result<(), Ended> {
    let Some(file) = &config.roster else { return Ok(()) };
    let text = fs::read_to_string(file).unwrap_or_default();
    let roster: Roster = toml::from_str(&text).unwrap_or_default();
    if roster.kits.iter().any(|kit| kit.id == *id && kit.revoked) {
        return Err(Ended::Failed(format!(
            "{}: kit {id} has `revoked = true` there, which would shut it out again at the next start: take that line out first",
            file.display()
        )));
    }
    if roster.kits.iter().any(|kit| kit.id == *id && !kit.secret_sha256.is_empty()) {
        return Err(Ended::Failed(format!(
            "{}: kit {id} has a secret_sha256 there, which would take the place of what it enrols with: take that line out first",
            file.display()
        )));
    }
    Ok(())
}

async fn give_code(store: &dyn Store, authority: &Authority, id: &KitId, json: bool) -> Result<(), Ended> {
    let code = authority.code();
    let expires_at = clock::now() + SignedDuration::from_hours(24 * CODE_DAYS);
    let enrolment = Enrolment { kit: id.clone(), code_sha256: hash_of(&code), expires_at, secret_sha256: None };
    let put = store.put_enrolment(&enrolment).await;
    store.close().await;
    put.map_err(failed)?;
    let mut out = out();
    if json {
        json_line(&mut out, &json!({ "kit": id, "code": code.to_string(), "expires_at": expires_at }))?;
    } else {
        writeln!(out, "{id} enrols with this code, once, until {expires_at} (shown this once):\n{code}")?;
    }
    Ok(out.flush()?)
}

async fn revoke(id: &KitId, place: &Where) -> Result<(), Ended> {
    let (_, store) = place.write().await?;
    let mut kit = known(&*store, id).await?;
    kit.revoked = true;
    // A code that was given out meanwhile is good for nothing: this one has ended already.
    let now = clock::now();
    let nothing = Enrolment { kit: id.clone(), code_sha256: secret::new(), expires_at: now, secret_sha256: None };
    store.put_enrolment(&nothing).await.map_err(failed)?;
    put(&*store, Roster { patients: Vec::new(), kits: vec![kit] }).await
}

async fn known(store: &dyn Store, id: &KitId) -> Result<Kit, Ended> {
    let kits = store.roster().await.map_err(failed)?.kits;
    kits.into_iter()
        .find(|known| known.id == *id)
        .ok_or_else(|| Ended::Failed(format!("kit {id} is not in the roster")))
}

async fn put_roster(store: &dyn Store, kit: Kit) -> Result<(), Ended> {
    store.put_roster(&Roster { patients: Vec::new(), kits: vec![kit] }, clock::now()).await.map_err(failed)
}

/// A schedule as a file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Schedule {
    due: Vec<wire::Due>,
}

fn asked(what: What, said: Option<String>, vital: Option<Vital>) -> Result<Ask, Ended> {
    let name = what.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let ask = Ask { command: name, vital, ..Ask::default() };
    match (what, said) {
        (What::Schedule, None) => Err(Ended::Usage("schedule wants a file, found none".to_owned())),
        (What::Schedule, Some(file)) => {
            let text = problem::text(Path::new(&file)).map_err(Ended::Failed)?;
            let schedule: Schedule = problem::toml::<_, serde_json::Value>(&text, &file).map_err(Ended::Failed)?;
            Ok(Ask { schedule: Some(schedule.due), ..ask })
        }
        (_, text) => Ok(Ask { text, ..ask }),
    }
}

async fn command(id: &KitId, asked: Ask, by: Option<&str>, place: &Where) -> Result<(), Ended> {
    let (_, store) = place.write().await?;
    let kept = async {
        let kit = known(&*store, id).await?;
        let by = match by {
            Some(by) => Some(account(&*store, by, EVERYBODY).await?.name),
            None => None,
        };
        let kept = ask(&*store, &kit, asked, by.as_deref(), clock::now()).await;
        kept.map_err(|error| Ended::Failed(error.to_string()))
    };
    let kept = kept.await;
    store.close().await;
    let mut out = out();
    json_line(&mut out, &kept?)?;
    Ok(out.flush()?)
}

/// Commands of one kit that are listed.
const COMMANDS_LISTED_MAX: u32 = 100;

async fn commands(id: &KitId, place: &Where) -> Result<(), Ended> {
    let (_, store) = place.read().await?;
    let mut out = out();
    for state in store.commands_of(id, COMMANDS_LISTED_MAX).await.map_err(failed)? {
        json_line(&mut out, &state)?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kit_that_goes_to_somebody_else_is_theirs_from_the_very_moment() {
        let (early, now): (Timestamp, Timestamp) =
            ("2026-11-22T08:00:00Z".parse().unwrap(), "2026-11-22T09:30:59.5Z".parse().unwrap());
        let of = |patient: &str| Kit {
            id: "kit-7".parse().unwrap(),
            patient: Some(patient.parse().unwrap()),
            patients: Vec::new(),
            secret_sha256: String::new(),
            since: Some(early),
            devices: Vec::new(),
            revoked: false,
        };
        assert_eq!(handed_out(Some(&of("p-7")), &of("p-8"), now), Some(now));
        assert_eq!(handed_out(Some(&of("p-7")), &of("p-7"), now), Some(early));
        let minute = "2026-11-22T09:30:00Z".parse().unwrap();
        assert_eq!(handed_out(None, &of("p-7"), now), Some(minute), "of nobody before");
    }
}
