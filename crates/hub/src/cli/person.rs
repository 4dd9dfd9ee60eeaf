//! `vagt patient export` and `vagt patient erase`: what is stored of a person, handed out or taken away.
//!
//! Erasing beside a running service: the person leaves the roster with everything else, the service notices within a second and forgets its chart;
//! what it was about to store of them is looked for afterwards, and taken away too.

use std::{
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Map, Value, json};
use store::{Erased, Journal, JournalEntry, Roster, Store};
use vitals::PatientId;

use super::{
    Ended,
    carry::{Partial, in_file, is_served, is_stdout, new_file, said, said_of},
    place::Place,
    roster::failed,
    who::who,
};
use crate::{carry::CarryError, clock, config::Config};

/// Who may.
const MAY: &[&str] = &["operator", "admin"];
/// A running service has forgotten a person who left after this: it looks every second, its shadows every five.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(7);
/// How often it is looked whether something came back.
const LOOKS_MAX: usize = 5;
/// What is the clinic's secret, or another person's, is not handed out.
const NOT_HANDED_OUT: [&str; 1] = ["enrolment"];

/// Whom, by whom, and in which store.
#[derive(clap::Args)]
pub(super) struct Whom {
    /// Whose.
    patient: PatientId,
    /// Who does it: the user name of an operator or an admin.
    #[arg(long, value_name = "USER")]
    by: String,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
pub(super) struct Export {
    #[command(flatten)]
    whom: Whom,
    /// The JSON file that is written, which must not be there yet; `-` is standard output.
    #[arg(value_name = "TO")]
    to: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct Erase {
    #[command(flatten)]
    whom: Whom,
    /// Why, for the journal, where it stays: without the person's name or id.
    #[arg(long)]
    reason: String,
    /// Don't ask for the id once more.
    #[arg(long)]
    yes: bool,
}

/// Writes everything that is of a person into one file, and says so in the journal.
pub(super) async fn export(args: &Export) -> Result<(), Ended> {
    let Export { whom: Whom { patient, by, place }, to } = args;
    let partial = if is_stdout(to) { None } else { Some(Partial::of(to)?) };
    let (store, _) = place.write().await?;
    let done = async {
        let by = who(&*store, Some(by), MAY).await?;
        let rows = match partial {
            Some(partial) => into_file(&*store, patient, partial, to).await?,
            None => {
                let rows = write(&*store, patient, &mut BufWriter::new(io::stdout().lock())).await;
                rows.map_err(said).and_then(|rows| some(rows, patient))?
            }
        };
        let what = Journal::PersonExported { rows };
        let said = [JournalEntry { at: clock::now(), by: Some(by), patient: Some(patient.clone()), what }];
        store.append(&said).await.map_err(failed)?;
        Ok::<_, Ended>(rows)
    };
    let done = done.await;
    store.close().await;
    let rows = done?;
    if is_stdout(to) {
        eprintln!("{rows} rows");
        return Ok(());
    }
    place.done(&json!({ "person": patient, "exported": to, "rows": rows }), &format!("{}: {rows} rows", to.display()))
}

/// Under another name until it is whole and on the disk; only this user reads it.
async fn into_file(store: &dyn Store, patient: &PatientId, partial: Partial, to: &Path) -> Result<u64, Ended> {
    let file = new_file(partial.path())?;
    let rows = write(store, patient, &mut BufWriter::new(&file)).await;
    let rows = rows.map_err(|error| said_of(partial.path(), error)).and_then(|rows| some(rows, patient))?;
    file.sync_all().map_err(|error| in_file(partial.path(), &error))?;
    partial.name(to)?;
    Ok(rows)
}

fn some(rows: u64, patient: &PatientId) -> Result<u64, Ended> {
    if rows == 0 { Err(Ended::Failed(format!("found nothing of patient {patient}"))) } else { Ok(rows) }
}

/// One JSON object: who and when, then each section with its rows, one a line. How many rows there are.
/// Nothing at all if there are none.
async fn write(store: &dyn Store, patient: &PatientId, out: &mut impl Write) -> Result<u64, CarryError> {
    let mut dump = store.dump(Some(patient)).await?;
    let (mut rows, mut in_section) = (0, 0_u64);
    let mut head =
        format!("{{\n\"vagt\": \"person\",\n\"format\": 1,\n\"patient\": \"{patient}\",\n\"at\": \"{}\"", clock::now());
    while let Some(part) = dump.next().await {
        let part = part?;
        if !NOT_HANDED_OUT.contains(&part.section) {
            for line in &part.lines {
                match in_section {
                    0 => write!(out, "{},\n\"{}\": [\n  ", std::mem::take(&mut head), part.section)?,
                    _ => write!(out, ",\n  ")?,
                }
                out.write_all(theirs_alone(part.section, line, patient)?.as_bytes())?;
                in_section += 1;
            }
        }
        if part.is_last && in_section > 0 {
            write!(out, "\n]")?;
            rows += std::mem::take(&mut in_section);
        }
    }
    if rows > 0 {
        writeln!(out, "\n}}")?;
    }
    out.flush()?;
    Ok(rows)
}

/// A kit's line without its secret and without the others who share it; any other as it is.
fn theirs_alone(section: &str, line: &str, patient: &PatientId) -> io::Result<String> {
    if section != "kit" {
        return Ok(line.to_owned());
    }
    let mut kit: Map<String, Value> = serde_json::from_str(line)?;
    kit.remove("secret_sha256");
    kit.insert("patients".to_owned(), json!([]));
    kit.insert("patient".to_owned(), json!(patient));
    Ok(Value::Object(kit).to_string())
}

/// Takes everything of a person away.
pub(super) async fn erase(args: &Erase) -> Result<(), Ended> {
    let Erase { whom: Whom { patient, by, place }, reason, yes } = args;
    let config = place.config()?;
    not_in_file(&config, patient)?;
    let (store, _) = place.write().await?;
    let done = async {
        let by = who(&*store, Some(by), MAY).await?;
        let rows = rows_of(&*store, patient).await?;
        let roster = store.roster().await.map_err(failed)?;
        no_name_in(reason, &roster, patient)?;
        some(rows, patient)?;
        confirmed(patient, rows, *yes)?;
        let erased = taken_away(&config, &*store, patient, (&by, reason, rows)).await?;
        Ok::<_, Ended>((rows, erased))
    };
    let done = done.await;
    store.close().await;
    // As the journal and an export count them: a message is one row there, whatever is in it.
    let (rows, Erased(tables)) = done?;
    let words = format!(
        "{patient}: erased, {rows} rows. Backups and exports made before still have them: docs/guides/privacy.md says what to do"
    );
    place.done(&json!({ "erased": patient, "rows_in_journal": rows, "rows": tables }), &words)
}

async fn taken_away(
    config: &Config,
    store: &dyn Store,
    patient: &PatientId,
    (by, reason, rows): (&str, &str, u64),
) -> Result<Erased, Ended> {
    let served = is_served(config, store).await?;
    let what = Journal::PersonErased { reason: reason.to_owned(), rows };
    let said = [JournalEntry { at: clock::now(), by: Some(by.to_owned()), patient: None, what }];
    let mut erased = store.erase(patient, &said).await.map_err(failed)?;
    for look in 0.. {
        if served {
            eprintln!("a service is running: waiting {} s until it has forgotten {patient}", FORGOTTEN_AFTER.as_secs());
            tokio::time::sleep(FORGOTTEN_AFTER).await;
        }
        if rows_of(store, patient).await? == 0 {
            break;
        }
        if look == LOOKS_MAX {
            return Err(Ended::Failed(format!(
                "something of {patient} comes back again and again: stop the service, and do the same"
            )));
        }
        erased.and(&store.erase(patient, &[]).await.map_err(failed)?);
    }
    store.scrub().await.map_err(failed)?;
    Ok(erased)
}

async fn rows_of(store: &dyn Store, patient: &PatientId) -> Result<u64, Ended> {
    let mut dump = store.dump(Some(patient)).await.map_err(failed)?;
    let mut rows = 0;
    while let Some(part) = dump.next().await {
        rows += part.map_err(failed)?.lines.len() as u64;
    }
    Ok(rows)
}

/// A roster file that names them would bring them back.
fn not_in_file(config: &Config, patient: &PatientId) -> Result<(), Ended> {
    let Some(path) = &config.roster else { return Ok(()) };
    let text = std::fs::read_to_string(path).map_err(|error| in_file(path, &error))?;
    let roster: Roster =
        toml::from_str(&text).map_err(|error| Ended::Failed(format!("{}: {error}", path.display())))?;
    let is_named =
        roster.patients.iter().any(|one| one.id == *patient) || roster.kits.iter().any(|kit| kit.serves(patient));
    if is_named {
        return Err(Ended::Failed(format!(
            "{} names {patient} and would bring them back: take them and their kit out of it first",
            path.display()
        )));
    }
    Ok(())
}

/// What stays in the journal must not say of whom it is.
fn no_name_in(reason: &str, roster: &Roster, patient: &PatientId) -> Result<(), Ended> {
    let words = reason.to_lowercase();
    let name = roster.patients.iter().find(|one| one.id == *patient).map(|one| one.name.to_lowercase());
    let is_named = words.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| word == patient.as_str())
        || name.is_some_and(|name| !name.is_empty() && words.contains(&name));
    if reason.trim().is_empty() || is_named {
        return Err(Ended::Failed(
            "--reason stays in the journal: want a few words, without the person's name or id".to_owned(),
        ));
    }
    Ok(())
}

/// The second step, by hand.
fn confirmed(patient: &PatientId, rows: u64, yes: bool) -> Result<(), Ended> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Ended::Failed(format!(
            "{rows} rows of {patient} would be erased for ever: want --yes, or a terminal to ask at"
        )));
    }
    eprint!("{rows} rows of {patient} will be erased, for ever. Write the id again to go on: ");
    let mut said = String::new();
    io::stdin().read_line(&mut said)?;
    if said.trim() == patient.as_str() { Ok(()) } else { Err(Ended::Failed("not erased".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_nobody() {
        let roster: Roster =
            toml::from_str("[[patient]]\nid = \"p-1\"\nname = \"Ane Nielsen\"\nprogramme = \"copd\"\n").unwrap();
        let patient = "p-1".parse().unwrap();
        for wrong in ["", "  ", "P-1 asked", "Ane nielsen asked for it"] {
            assert!(no_name_in(wrong, &roster, &patient).is_err(), "{wrong}");
        }
        no_name_in("asked for by letter, p-10 stays", &roster, &patient).unwrap();
    }

    #[test]
    fn a_shared_kit_is_handed_out_without_the_others() {
        let line = r#"{"id":"s","patients":["p-1","p-2"],"secret_sha256":"5e","revoked":false}"#;
        let said = theirs_alone("kit", line, &"p-1".parse().unwrap()).unwrap();
        assert!(!said.contains("p-2") && !said.contains("5e") && said.contains(r#""patient":"p-1""#), "{said}");
    }
}
