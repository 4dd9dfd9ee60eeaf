//! `vagt patient export` and `vagt patient erase`: what is stored of a person, handed out or taken away.
//!
//! Erasing beside a running service: the person leaves the roster with everything else, the service notices within a second and forgets its chart;
//! what it was about to store of them is looked for afterwards, and taken away too.

use std::{
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use store::{Erased, Journal, JournalEntry, JournalFilter, Roster, Store};
use vitals::PatientId;

use super::{
    Ended,
    carry::{Partial, in_file, is_served, is_stdout, new_file, said_of, said_of_stdout},
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
                rows.map_err(said_of_stdout).and_then(|rows| some(rows, patient))?
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

/// A kit's line without its secret and without the others who share it, and what came by another's kit without the kit and the other; any other
/// line as it is.
fn theirs_alone(section: &str, line: &str, patient: &PatientId) -> io::Result<String> {
    let mut row: Map<String, Value> = match section {
        "kit" | "quarantine" => serde_json::from_str(line)?,
        _ => return Ok(line.to_owned()),
    };
    if section == "kit" {
        row.remove("secret_sha256");
        row.insert("patients".to_owned(), json!([]));
        row.insert("patient".to_owned(), json!(patient));
    } else if is_by_anothers_kit(&row, patient) {
        row.remove("kit");
        let reason = format!("message is for patient {patient}, and the kit is given to somebody else");
        row.insert("reason".to_owned(), json!(reason));
    } else {
        return Ok(line.to_owned());
    }
    Ok(Value::Object(row).to_string())
}

fn is_by_anothers_kit(row: &Map<String, Value>, patient: &PatientId) -> bool {
    let reason = row.get("reason").and_then(Value::as_str).unwrap_or_default();
    reason.rsplit_once(" is given to ").is_some_and(|(_, owner)| owner != patient.as_str())
}

/// Takes everything of a person away; or ends what was begun, where the rows are gone and the scrub failed or was interrupted.
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
        let served = is_served(&config, &*store).await?;
        let mut erased = Erased::default();
        if rows > 0 {
            confirmed(patient, rows, *yes)?;
            erased = taken_away(&*store, patient, (&by, reason, rows)).await?;
        } else if unfinished(&*store).await?.is_none() {
            some(rows, patient)?;
        }
        let finished = finished(&*store, patient, &by, served, &mut erased).await;
        finished.map_err(|ended| left_behind(patient, ended))?;
        Ok::<_, Ended>((rows, erased))
    };
    let done = done.await;
    store.close().await;
    // As the journal and an export count them: a message is one row there, whatever is in it.
    let (rows, Erased(tables)) = done?;
    let what = match rows {
        0 => format!("found nothing of patient {patient}; an erasure that had been begun is finished now"),
        rows => format!("{patient}: erased, {rows} rows"),
    };
    let words =
        format!("{what}. Backups and exports made before still have them: docs/guides/privacy.md says what to do");
    let whom = (rows > 0).then_some(patient);
    place.done(&json!({ "erased": whom, "finished": true, "rows_in_journal": rows, "rows": tables }), &words)
}

/// The rows, in one transaction with the journal's word of it.
async fn taken_away(
    store: &dyn Store,
    patient: &PatientId,
    (by, reason, rows): (&str, &str, u64),
) -> Result<Erased, Ended> {
    let what = Journal::PersonErased { reason: reason.to_owned(), rows };
    let said = [JournalEntry { at: clock::now(), by: Some(by.to_owned()), patient: None, what }];
    store.erase(patient, &said).await.map_err(failed)
}

/// Nothing of them comes back, nor is left in free space.
async fn finished(
    store: &dyn Store,
    patient: &PatientId,
    by: &str,
    served: bool,
    erased: &mut Erased,
) -> Result<(), Ended> {
    for look in 0.. {
        if served {
            eprintln!(
                "a service is running: waiting {} s until it has forgotten {patient}; interrupted, the same command finishes it",
                FORGOTTEN_AFTER.as_secs()
            );
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
    // What is erased by others while this goes on is for them to finish.
    let begun = unfinished(store).await?;
    store.scrub().await.map_err(failed)?;
    if let Some(erased_at) = begun {
        let what = Journal::ErasureFinished { erased_at };
        let said = [JournalEntry { at: clock::now(), by: Some(by.to_owned()), patient: None, what }];
        store.append(&said).await.map_err(failed)?;
    }
    Ok(())
}

/// The stamp of the last erasure, if it was not finished. It says nothing of whom it was: that is not kept.
async fn unfinished(store: &dyn Store) -> Result<Option<Timestamp>, Ended> {
    let begun = last(store, "person_erased").await?.map(|entry| entry.at);
    let finished = last(store, "erasure_finished").await?.and_then(|entry| match entry.what {
        Journal::ErasureFinished { erased_at } => Some(erased_at),
        _ => None,
    });
    Ok(begun.filter(|begun| finished != Some(*begun)))
}

async fn last(store: &dyn Store, name: &str) -> Result<Option<JournalEntry>, Ended> {
    let names = [name];
    let filter = JournalFilter { entries: Some(&names), newest_first: true, limit: 1, ..JournalFilter::default() };
    Ok(store.journal(filter).await.map_err(failed)?.pop())
}

/// The rows were erased, and that is all.
fn left_behind(patient: &PatientId, ended: Ended) -> Ended {
    match ended {
        Ended::Failed(sentence) => Ended::Failed(format!(
            "{sentence}; the rows of {patient} that there were are gone, but bytes of them may be left in free space: the same command finishes it"
        )),
        other => other,
    }
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
        || name.is_some_and(|name| !name.is_empty() && (words.contains(&name) || shares_a_name(&words, &name)));
    if reason.trim().is_empty() || is_named {
        return Err(Ended::Failed(
            "--reason stays in the journal: want a few words, without the person's id or any part of their name"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Letters of the shortest part of a name that is looked for: a shorter one is too often a word.
const NAME_CHARS_MIN: usize = 3;

/// Is a part of the name a word here, also with an s?
fn shares_a_name(words: &str, name: &str) -> bool {
    let split = |text: &str| text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect::<Vec<_>>();
    let words = split(words);
    let mut parts = split(name).into_iter().filter(|part| part.chars().count() >= NAME_CHARS_MIN);
    parts.any(|part| words.iter().any(|word| *word == part || word.strip_suffix('s') == Some(part.as_str())))
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
        for wrong in [
            "",
            "  ",
            "P-1 asked",
            "Ane nielsen asked for it",
            "by letter of Nielsen",
            "NIELSENS letter",
            "asked (ane)",
        ] {
            assert!(no_name_in(wrong, &roster, &patient).is_err(), "{wrong}");
        }
        for right in ["asked for by letter, p-10 stays", "asked for plane tickets"] {
            no_name_in(right, &roster, &patient).unwrap();
        }
    }

    #[test]
    fn what_came_by_anothers_kit_is_handed_out_without_the_other() {
        let patient = "p-1".parse().unwrap();
        let line =
            r#"{"kit":"kit-2","reason":"message is for patient p-1, and kit kit-2 is given to p-2","whole":true}"#;
        let said = theirs_alone("quarantine", line, &patient).unwrap();
        assert!(!said.contains("p-2") && !said.contains("kit-2") && said.contains("for patient p-1"), "{said}");
        let own = r#"{"kit":"kit-1","reason":"message is for patient p-9, and kit kit-1 is given to p-1"}"#;
        assert_eq!(theirs_alone("quarantine", own, &patient).unwrap(), own);
    }

    #[tokio::test]
    async fn an_erasure_that_was_begun_is_finished_later() {
        let folder = tempfile::tempdir().unwrap();
        let store = store::Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        let patient = "p-1".parse().unwrap();
        assert_eq!(unfinished(&store).await.unwrap(), None, "nobody was erased");
        let mut erased = taken_away(&store, &patient, ("bo", "asked for", 7)).await.unwrap();
        assert!(unfinished(&store).await.unwrap().is_some(), "as after an interrupted command");
        finished(&store, &patient, "bo", false, &mut erased).await.unwrap();
        assert_eq!(unfinished(&store).await.unwrap(), None);
        taken_away(&store, &patient, ("bo", "another", 7)).await.unwrap();
        assert!(unfinished(&store).await.unwrap().is_some());
        let said = left_behind(&patient, Ended::Failed("the disk is full".to_owned()));
        assert!(matches!(said, Ended::Failed(said) if said.ends_with("the same command finishes it")));
    }

    #[test]
    fn a_shared_kit_is_handed_out_without_the_others() {
        let line = r#"{"id":"s","patients":["p-1","p-2"],"secret_sha256":"5e","revoked":false}"#;
        let said = theirs_alone("kit", line, &"p-1".parse().unwrap()).unwrap();
        assert!(!said.contains("p-2") && !said.contains("5e") && said.contains(r#""patient":"p-1""#), "{said}");
    }
}
