//! `vagt limits`: every patient's own settings, with who set them, why, and until when; and which of them somebody has to look at, beside the
//! baselines of their own that patients lack.

use std::io::Write;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use store::{Patient, Store, StoreError};
use triage::{Clinic, Lasting, NoBaseline, Own, OwnLimit, OwnOxygen, OwnReference, Pause, Plan};
use vitals::PatientId;

use super::{
    Ended, block_on,
    cohort::progress,
    json_line, out,
    roster::{Where, failed},
    why::local,
};
use crate::{
    clock,
    directory::{Books, own_of, plan_of},
    programmes::Library,
    ward::no_baselines,
};

/// Own limits, references, oxygen and pauses of patients: by whom, why, from when until when.
///
/// Overdue is what has ended and stands there still, and what has no end and has stood for longer than the clinic's document allows; and every
/// rule that compares a patient with a baseline of their own and has none, though they are watched for long enough and measure (`baseline`,
/// listed with --overdue alone: each patient's stored history is looked at).
#[derive(clap::Args)]
pub struct Args {
    /// Of this patient alone.
    #[arg(long, value_name = "ID")]
    patient: Option<PatientId>,
    /// What somebody has to look at alone.
    #[arg(long)]
    overdue: bool,
    /// What passes one of the clinic's safety floors now, alone.
    #[arg(long)]
    beyond_floor: bool,
    /// Print JSON, one line each.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// One own setting.
#[derive(Debug, Serialize)]
struct Line {
    patient: PatientId,
    kind: &'static str,
    /// What it says, in words.
    said: String,
    author: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    from: Timestamp,
    until: Option<Timestamp>,
    state: &'static str,
    overdue: bool,
    /// Which safety floor it passes, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    beyond_floor: Option<String>,
}

/// A rule that has no baseline of a patient's own to compare with.
#[derive(Debug, Serialize)]
struct Missing {
    patient: PatientId,
    kind: &'static str,
    /// In words.
    said: String,
    overdue: bool,
    #[serde(flatten)]
    it: NoBaseline,
}

/// Runs `vagt limits`.
///
/// # Errors
/// The store can't be read, or there is no such patient.
pub fn run(args: &Args) -> Result<(), Ended> {
    block_on(async {
        let (config, store) = args.place.read().await?;
        let found = found(args, &*store, &config.zone).await;
        store.close().await;
        let (lines, missing) = found?;
        print(&lines, &missing, args.json, &config.zone)
    })
}

async fn found(args: &Args, store: &dyn Store, zone: &TimeZone) -> Result<(Vec<Line>, Vec<Missing>), Ended> {
    let now = clock::now();
    let roster = store.roster().await.map_err(failed)?;
    let library = Library::open(store, now).await.map_err(failed)?;
    let books = library.books().map_err(Ended::Failed)?;
    let lines = lines(&roster.patients, args, &books, now)?;
    if !args.overdue || args.beyond_floor {
        return Ok((lines, Vec::new()));
    }
    let wanted = roster.patients.iter().map(|patient| &patient.id);
    let wanted: Vec<&PatientId> = wanted.filter(|id| args.patient.as_ref().is_none_or(|one| one == *id)).collect();
    Ok((lines, missing(store, &library, &wanted, now, zone).await.map_err(failed)?))
}

async fn missing(
    store: &dyn Store,
    library: &Library,
    patients: &[&PatientId],
    now: Timestamp,
    zone: &TimeZone,
) -> Result<Vec<Missing>, StoreError> {
    let (mut all, progress) = (Vec::new(), progress(patients.len() as u64));
    for patient in patients {
        for it in no_baselines(store, library, patient, now).await? {
            let patient = PatientId::clone(patient);
            all.push(Missing { patient, kind: "baseline", said: in_words(&it, zone), overdue: true, it });
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(all)
}

/// `copd-baseline: unlike-usual has nothing to compare with, 3 of 7 stable days`.
fn in_words(it: &NoBaseline, zone: &TimeZone) -> String {
    let NoBaseline { programme, rule, found, want, last_said_at, .. } = it;
    let since = last_said_at.map(|at| format!(" since {}", local(at, zone))).unwrap_or_default();
    format!("{programme}: {rule} has nothing to compare with{since}, {found} of {want} stable days")
}

fn lines(patients: &[Patient], args: &Args, books: &Books, now: Timestamp) -> Result<Vec<Line>, Ended> {
    let wanted = |patient: &&Patient| args.patient.as_ref().is_none_or(|id| *id == patient.id);
    if let Some(id) = args.patient.as_ref().filter(|id| patients.iter().all(|patient| patient.id != **id)) {
        return Err(Ended::Failed(format!("patient {id} is not in the roster")));
    }
    let mut lines = Vec::new();
    for patient in patients.iter().filter(wanted) {
        let own = own_of(patient).map_err(|what| Ended::Failed(format!("patient {}: {what}", patient.id)))?;
        // Somebody whose settings don't fit is told of where they are judged.
        let plan = plan_of(patient, books, &TimeZone::UTC).ok();
        lines.extend(of(&patient.id, &own, plan.as_ref(), books.clinic(), now));
    }
    lines.retain(|line| line.overdue || !args.overdue);
    lines.retain(|line| (line.state == "holds" && line.beyond_floor.is_some()) || !args.beyond_floor);
    Ok(lines)
}

fn of(patient: &PatientId, own: &Own, plan: Option<&Plan>, clinic: &Clinic, now: Timestamp) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |kind, said: String, (author, reason): (&String, &String), version, it: &dyn Lasting| {
        let (from, until, overdue) = (it.from(), it.until(), clinic.is_overdue(it, now));
        let state = match until {
            Some(until) if until <= now => "over",
            _ if from > now => "to come",
            _ => "holds",
        };
        let (patient, author, reason) = (patient.clone(), author.clone(), reason.clone());
        let beyond_floor = None;
        lines.push(Line { patient, kind, said, author, reason, version, from, until, state, overdue, beyond_floor });
    };
    for it in &own.limits {
        let OwnLimit { programme, rule, limit, value, unit, author, reason, version, .. } = it;
        let said = format!("{}{rule} {} {} {unit}", within(programme.as_ref()), named(limit), value.0);
        add("limit", said, (author, reason), Some(*version), it);
    }
    for it in &own.references {
        let OwnReference { programme, rule, value, unit, author, reason, version, .. } = it;
        let said = format!("{}{rule} compares with {} {}", within(programme.as_ref()), value.0, unit.plain());
        add("reference", said, (author, reason), Some(*version), it);
    }
    for it in &own.oxygen {
        let OwnOxygen { at_home, target_88_92, author, reason, .. } = it;
        let said = match (at_home, target_88_92) {
            (true, true) => "oxygen at home, target 88 to 92 %",
            (true, false) => "oxygen at home",
            (false, true) => "no oxygen at home, target 88 to 92 %",
            (false, false) => "no oxygen at home",
        };
        add("oxygen", said.to_owned(), (author, reason), None, it);
    }
    for it in &own.pauses {
        let Pause { kind, author, reason, .. } = it;
        let kind = named(kind).replace('_', " ");
        add("pause", kind, (author, reason), None, it);
    }
    // Limits stand first.
    for (line, limit) in lines.iter_mut().zip(&own.limits) {
        line.beyond_floor = plan.and_then(|plan| plan.floor_passed_by(limit));
    }
    lines
}

/// The name that something has in a file.
fn named(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default().trim_matches('"').to_owned()
}

fn within(programme: Option<&String>) -> String {
    programme.map(|programme| format!("{programme}: ")).unwrap_or_default()
}

fn print(lines: &[Line], missing: &[Missing], json: bool, zone: &TimeZone) -> Result<(), Ended> {
    let mut out = out();
    for line in lines {
        if json {
            json_line(&mut out, line)?;
            continue;
        }
        let Line { patient, kind, said, author, reason, version, from, until, state, overdue, beyond_floor } = line;
        let until = until.map_or("until further notice".to_owned(), |until| format!("until {}", local(until, zone)));
        let version = version.map(|version| format!(", version {version}")).unwrap_or_default();
        let overdue = if *overdue { ", OVERDUE" } else { "" };
        writeln!(
            out,
            "{patient}: {kind}: {said} ({state}{overdue}; from {} {until}{version}; {author}: {reason}){}",
            local(*from, zone),
            beyond_floor.as_ref().map(|floor| format!(": {floor}")).unwrap_or_default(),
        )?;
    }
    for line in missing {
        if json {
            json_line(&mut out, line)?;
        } else {
            writeln!(out, "{}: {}: {} (OVERDUE)", line.patient, line.kind, line.said)?;
        }
    }
    if lines.is_empty() && missing.is_empty() && !json {
        writeln!(
            out,
            "Nobody has such a setting of their own: `vagt patient own` sets limits, references, oxygen and pauses."
        )?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_holds_what_is_over_and_what_is_overdue() {
        let limit = |value: &str, rest: &str| {
            format!(
                "[[limits]]\nrule = \"spo2\"\nlimit = \"red_low\"\nvalue = {value}\nunit = \"%\"\nauthor = \"Dr Test\"\n\
                 reason = \"his normal state\"\n{rest}\n"
            )
        };
        let own: Own = toml::from_str(&format!(
            "{}{}{}[[pauses]]\nkind = \"in_hospital\"\nauthor = \"Ane\"\nreason = \"hip\"\nfrom = \"2026-11-01T00:00:00Z\"\nuntil = \"2026-11-09T00:00:00Z\"\n",
            limit("84", "from = \"2026-11-01T00:00:00Z\""),
            limit("83", "from = \"2025-01-01T00:00:00Z\"\nversion = 2"),
            limit("82", "from = \"2026-10-01T00:00:00Z\"\nuntil = \"2026-11-01T00:00:00Z\""),
        ))
        .unwrap();
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let books = crate::directory::programmes(None).unwrap();
        let patient: Patient = toml::from_str("id = \"p-1\"\nname = \"Test\"\nprogramme = \"copd\"").unwrap();
        let patient = Patient { own: serde_json::to_value(&own).unwrap(), ..patient };
        let plan = plan_of(&patient, &books, &TimeZone::UTC).unwrap();
        let lines = of(&patient.id, &own, Some(&plan), &Clinic::shipped(), now);
        let floors: Vec<_> = lines.iter().map(|line| line.beyond_floor.is_some()).collect();
        assert_eq!(floors, [false, false, true, false], "82 passes the floor of 83");
        let found: Vec<_> = lines.iter().map(|line| (line.said.as_str(), line.state, line.overdue)).collect();
        assert_eq!(
            found,
            [
                ("spo2 red_low 84 %", "holds", false),
                ("spo2 red_low 83 %", "holds", true),
                ("spo2 red_low 82 %", "over", true),
                ("in hospital", "over", false),
            ]
        );
        assert_eq!((lines[1].version, lines[0].author.as_str()), (Some(2), "Dr Test"));
    }
}
