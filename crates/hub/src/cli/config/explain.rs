//! `vagt config explain`: what a file means, in words.

use std::{io::Write, path::PathBuf};

use serde_json::json;
use store::Roster;

use super::kind::{Kind, Text};
use crate::{
    cli::{Ended, json_line, out},
    config::Config,
    programmes::tried::clinic_in_words,
};

/// Say in plain words what a file means: a programme's rules or a score's points with their sources, where the service listens, who is in a roster.
#[derive(clap::Args)]
pub struct Args {
    /// The file.
    file: PathBuf,
    /// What the file is, where it can't be seen from what is in it.
    #[arg(long)]
    kind: Option<Kind>,
    /// One line of JSON: {"file","kind","text"}.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Ended::Failed`] when there is a problem in the file: what is wrong can't be explained.
pub fn run(args: &Args) -> Result<(), Ended> {
    let file = Text::read_or_end(&args.file)?;
    let kind = file.kind(args.kind)?;
    if let Some(problem) = kind.check(&file)?.first() {
        return Err(Ended::Failed(problem.sentence(&file.name)));
    }
    let words = in_words(kind, &file)?;
    let mut out = out();
    if args.json {
        json_line(&mut out, &json!({ "file": file.name, "kind": kind.name(), "text": words }))?;
    } else {
        write!(out, "{words}")?;
    }
    Ok(out.flush()?)
}

fn in_words(kind: Kind, file: &Text) -> Result<String, Ended> {
    let failed = |error: String| Ended::Failed(error);
    match kind {
        Kind::Programme => triage::Programme::parse(&file.text, &file.name)
            .map(|programme| programme.explain())
            .map_err(|error| failed(error.to_string())),
        Kind::Score => triage::Score::parse(&file.text, &file.name)
            .map(|score| score.explain())
            .map_err(|error| failed(error.to_string())),
        Kind::Clinic => triage::Clinic::parse(&file.text, &file.name)
            .map(|clinic| clinic_in_words(&clinic))
            .map_err(|error| failed(error.to_string())),
        Kind::Hub => {
            Config::parse(&file.text, &file.name).map(|config| hub(&config)).map_err(|e| failed(e.to_string()))
        }
        Kind::Roster => toml::from_str(&file.text).map(|r| roster(&r)).map_err(|e| failed(e.to_string())),
        Kind::Edge => Ok(super::edge::explain(&file.text)),
        Kind::Questionnaire => super::edge::explain_questionnaire(file),
    }
}

fn hub(config: &Config) -> String {
    let Config { clinic, mqtt, http, limits, .. } = config;
    let broker = config.broker.as_ref().map_or(String::new(), |broker| {
        let tls = if broker.tls || broker.ca_file.is_some() { "with TLS" } else { "without TLS" };
        format!(
            "Readings are also taken from the broker at {}:{} ({tls}), as the shared subscription {:?}.\n",
            broker.host, broker.port, broker.group
        )
    });
    let tls = match &mqtt.tls {
        Some(tls) if tls.client_ca.is_some() => "with TLS, each with its own certificate and its secret",
        Some(_) => "with TLS",
        None => "without TLS",
    };
    let door = match mqtt.open {
        true => format!("Kits connect to {} ({tls}), at most {} at a time.", mqtt.listen, mqtt.connections_max),
        false => "The front door is closed: kits come by the broker or over HTTP.".to_owned(),
    };
    let cookies = if config.secure_cookies() { "over HTTPS only" } else { "over plain HTTP" };
    let path = |path: &Option<PathBuf>, none: &str| path.as_ref().map_or(none.to_owned(), |p| p.display().to_string());
    let roster = path(&config.roster, "only what the store holds");
    let programmes = path(&config.programmes, "those that come with Vagt");
    let people = if config.simulated { "are simulated, and every page says so" } else { "are real" };
    format!(
        "The clinic {clinic:?}, in the time zone {}. Its people {people}.\n\
         {door}\n\
         {broker}A kit may send {} messages and {} KiB a second, and {} messages and {} KiB at once on top of that; what is over it waits.\n\
         The pages are at http://{}/, signed in to {cookies}.\n\
         Data is kept in {}. Patients and kits: {roster}. Programmes: {programmes}.\n\
         {}\n{}\n{}\n{}\n",
        config.zone.iana_name().unwrap_or("UTC"),
        limits.messages_per_second,
        limits.kib_per_second,
        limits.messages_burst,
        limits.kib_burst,
        http.listen,
        config.store(),
        enrolment(config),
        heartbeat(config),
        standby(config),
        traces(config),
    )
}

fn enrolment(config: &Config) -> String {
    match &config.enrolment {
        Some(enrolment) => format!("Kits enrol at {}, with a one-time code.", enrolment.listen),
        None => "Kits can't enrol with a one-time code: there is no [enrolment].".to_owned(),
    }
}

fn heartbeat(config: &Config) -> String {
    match config.heartbeat.period_seconds {
        0 => "The heartbeat is off (`period_seconds = 0` in [heartbeat]): nobody is told when readings silently stop."
            .to_owned(),
        seconds => format!("The heartbeat sends a test reading the way of every other one each {seconds} s."),
    }
}

fn standby(config: &Config) -> String {
    match &config.store {
        Some(_) => format!(
            "A second service on the same database takes over, also when nothing was heard of this one for {} s.",
            config.standby.after_silent_seconds
        ),
        None => "No second service can stand by: the store is a file.".to_owned(),
    }
}

fn traces(config: &Config) -> String {
    match &config.traces {
        Some(traces) => format!("Traces of {} of the sittings (1 is all) go to {}.", traces.share, traces.endpoint),
        None => "No traces are sent.".to_owned(),
    }
}

fn roster(roster: &Roster) -> String {
    let mut text = format!("{} patients, {} kits.\n", roster.patients.len(), roster.kits.len());
    for patient in &roster.patients {
        let kits: Vec<_> =
            roster.kits.iter().filter(|kit| kit.serves(&patient.id)).map(|kit| kit.id.as_str()).collect();
        let kits = if kits.is_empty() { "no kit".to_owned() } else { kits.join(", ") };
        let own = super::roster::form(&patient.own).map_or(0, |own| own.limits.len());
        text.push_str(&format!(
            "{}: programme {}, {own} own limits, {kits}\n",
            patient.id,
            patient.programmes.join(" and ")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_said_too() {
        let words = |text: &str| hub(&Config::parse(text, "hub.toml").unwrap());
        let off = words("[heartbeat]\nperiod_seconds = 0\n");
        for line in ["The heartbeat is off", "No second service can stand by", "No traces are sent", "Kits can't enrol"]
        {
            assert!(off.contains(line), "{line}: {off}");
        }
        let on = words(
            "store = \"postgres://vagt@db/clinic\"\n[standby]\nafter_silent_seconds = 7\n[enrolment]\nlisten = \"0.0.0.0:8443\"\n\
             [traces]\nendpoint = \"http://localhost:4318/v1/traces\"\n",
        );
        for line in ["each 60 s", "of this one for 7 s", "Traces of 0.01 of the sittings", "Kits enrol at 0.0.0.0:8443"]
        {
            assert!(on.contains(line), "{line}: {on}");
        }
    }
}
