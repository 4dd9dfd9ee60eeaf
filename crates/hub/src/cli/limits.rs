//! `vagt limits`: every patient's own settings, with who set them, why, and until when; the limits of the whole clinic; and which of them somebody
//! has to look at, beside the baselines of their own that patients lack.

use std::io::Write;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use store::{Patient, Store, StoreError};
use triage::{
    CLINIC_ID, Clinic, ClinicLimit, Lasting, NoBaseline, Own, OwnLimit, OwnOxygen, OwnReference, Pause, Plan,
};
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
    programmes::{Library, standing::Use},
    ward::no_baselines,
};

/// Own limits, references, oxygen and pauses of patients: by whom, why, from when until when; and the limits of the whole clinic that hold where
/// programmes say none, of one patient those that they are judged by now.
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

/// A limit of the clinic's document.
#[derive(Debug, Serialize)]
struct OfClinic {
    /// Who is judged by it now, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    patient: Option<PatientId>,
    kind: &'static str,
    said: String,
    /// Who proposed the document.
    author: Option<String>,
    activated_by: Option<String>,
    reason: String,
    version: u32,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    state: &'static str,
    overdue: bool,
}

/// Everything that is told.
#[derive(Default)]
struct Found {
    lines: Vec<Line>,
    of_clinic: Vec<OfClinic>,
    missing: Vec<Missing>,
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
        print(&found?, args.json, &config.zone)
    })
}

async fn found(args: &Args, store: &dyn Store, zone: &TimeZone) -> Result<Found, Ended> {
    let now = clock::now();
    let roster = store.roster().await.map_err(failed)?;
    let library = Library::open(store, now).await.map_err(failed)?;
    let books = library.books().map_err(Ended::Failed)?;
    let lines = lines(&roster.patients, args, &books, now)?;
    if args.beyond_floor {
        return Ok(Found { lines, ..Found::default() });
    }
    let one = roster.patients.iter().find(|patient| args.patient.as_ref() == Some(&patient.id));
    let mut of_clinic = match one.map(|patient| plan_of(patient, &books, &TimeZone::UTC)) {
        Some(plan) => plan.map(|plan| judged_by(&plan, now)).unwrap_or_default(),
        None => books.clinic().limits().iter().map(|limit| of_document(books.clinic(), limit, now)).collect(),
    };
    of_clinic.retain(|line| line.overdue || !args.overdue);
    if let Some(used) = library.standing(CLINIC_ID).in_use() {
        of_clinic.iter_mut().for_each(|line| line.signed(used));
    }
    if !args.overdue {
        return Ok(Found { lines, of_clinic, missing: Vec::new() });
    }
    let wanted = roster.patients.iter().map(|patient| &patient.id);
    let wanted: Vec<&PatientId> = wanted.filter(|id| args.patient.as_ref().is_none_or(|one| one == *id)).collect();
    let missing = missing(store, &library, &wanted, now, zone).await.map_err(failed)?;
    Ok(Found { lines, of_clinic, missing })
}

impl OfClinic {
    /// Who put the document into use, and since when it is.
    fn signed(&mut self, used: &Use) {
        (self.author, self.activated_by) = (Some(used.proposed_by.clone()), used.by.clone());
        self.from = Some(used.from);
    }
}

/// A limit of the document, whoever is judged by it.
fn of_document(clinic: &Clinic, limit: &ClinicLimit, now: Timestamp) -> OfClinic {
    let ClinicLimit { vital, unit, limit: rung, value, source, until } = limit;
    let is_over = !limit.holds(now);
    OfClinic {
        patient: None,
        kind: "clinic_limit",
        said: format!("{vital} {} {} {unit}", named(rung), value.0),
        author: None,
        activated_by: None,
        reason: source.clone(),
        version: clinic.version(),
        from: None,
        until: *until,
        state: if is_over { "over" } else { "holds" },
        overdue: is_over,
    }
}

/// Those that somebody is judged by now.
fn judged_by(plan: &Plan, now: Timestamp) -> Vec<OfClinic> {
    let of = plan.clinic_limits(now).into_iter().map(|found| {
        let line = of_document(plan.book().clinic(), &found.limit, now);
        let said = format!("{}: {}, by rule {}", found.programme, line.said, found.rule);
        OfClinic { patient: Some(plan.patient().clone()), said, ..line }
    });
    of.collect()
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

fn print(Found { lines, of_clinic, missing }: &Found, json: bool, zone: &TimeZone) -> Result<(), Ended> {
    let mut out = out();
    for line in of_clinic {
        if json {
            json_line(&mut out, line)?;
        } else {
            writeln!(out, "{}", clinic_line(line, zone))?;
        }
    }
    for line in lines {
        if json {
            json_line(&mut out, line)?;
            continue;
        }
        let Line { patient, kind, said, author, reason, version, from, until, state, overdue, beyond_floor } = line;
        let until = ends(*until, zone);
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
    if lines.is_empty() && of_clinic.is_empty() && missing.is_empty() && !json {
        writeln!(
            out,
            "Nobody has such a setting of their own: `vagt patient own` sets limits, references, oxygen and pauses."
        )?;
    }
    Ok(out.flush()?)
}

/// `the clinic: temperature yellow_high 38.5 Cel (holds; from ... until ..., version 2; olga, activated by bo: fever)`.
fn clinic_line(line: &OfClinic, zone: &TimeZone) -> String {
    let OfClinic { patient, said, author, activated_by, reason, version, from, until, state, overdue, .. } = line;
    let who = patient.as_ref().map(|patient| format!("{patient}: ")).unwrap_or_default();
    let overdue = if *overdue { ", OVERDUE" } else { "" };
    let from = from.map(|from| format!("from {} ", local(from, zone))).unwrap_or_default();
    let activated = activated_by.as_ref().map(|by| format!(", activated by {by}")).unwrap_or_default();
    let (author, until) = (author.as_deref().unwrap_or("it comes with Vagt"), ends(*until, zone));
    format!(
        "{who}the clinic: {said} ({state}{overdue}; {from}{until}, version {version}; {author}{activated}: {reason})"
    )
}

fn ends(until: Option<Timestamp>, zone: &TimeZone) -> String {
    until.map_or("until further notice".to_owned(), |until| format!("until {}", local(until, zone)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_whose_a_limit_of_the_clinic_is_and_which_is_over() {
        let limit = |vital: &str, unit: &str, rung: &str, rest: &str| {
            format!(
                "\n[[limit]]\nvital = \"{vital}\"\nunit = \"{unit}\"\nlimit = \"{rung}\"\nsource = \"agreed\"\n{rest}\n"
            )
        };
        let text = triage::CLINIC.replacen("\nversion = 1", "\nversion = 2", 1)
            + &limit("spo2", "%", "yellow_high", "value = 99")
            + &limit("spo2", "%", "red_high", "value = 100\nuntil = \"2026-11-01T00:00:00Z\"");
        let clinic = std::sync::Arc::new(Clinic::parse(&text, "clinic.toml").unwrap());
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let told: Vec<_> = clinic.limits().iter().map(|limit| of_document(&clinic, limit, now)).collect();
        let used = Use {
            version: 2,
            from: "2026-10-01T00:00:00Z".parse().unwrap(),
            by: Some("bo".into()),
            proposed_by: "ane".into(),
            reason: "agreed on Monday".into(),
            rollback: false,
            decided_at: now,
        };
        let said: Vec<_> = told
            .into_iter()
            .map(|mut line| {
                line.signed(&used);
                clinic_line(&line, &TimeZone::UTC)
            })
            .collect();
        assert_eq!(
            said,
            [
                "the clinic: spo2 yellow_high 99 % (holds; from 2026-10-01 00:00 UTC until further notice, version 2; ane, activated by bo: agreed)",
                "the clinic: spo2 red_high 100 % (over, OVERDUE; from 2026-10-01 00:00 UTC until 2026-11-01 00:00 UTC, version 2; ane, activated by bo: agreed)",
            ]
        );
        let programmes = crate::directory::copd().programmes().clone();
        let patient: Patient = toml::from_str("id = \"p-1\"\nname = \"Test\"\nprogramme = \"copd\"").unwrap();
        let plan = plan_of(&patient, &Books::new(programmes, clinic), &TimeZone::UTC).unwrap();
        let lines: Vec<_> = judged_by(&plan, now).iter().map(|line| line.said.clone()).collect();
        assert_eq!(lines, ["copd: spo2 yellow_high 99 %, by rule spo2"], "the other is over");
    }

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
