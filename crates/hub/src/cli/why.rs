//! `vagt why` and `vagt why-not`: why an alert was raised, and why none was; in plain text for whoever is on duty, or as JSON. The same as over
//! HTTP: it reads the store, beside a running service or without one.

use std::{io::Write, sync::Arc};

use desk::{Explained, WhyAlert, WhyNot, why_alert, why_quiet};
use jiff::{Timestamp, tz::TimeZone};
use store::{Patient, Store};
use triage::{Alert, AlertId, ClinicLimit, Decided, Input, Mark, Origin, OwnLimit, Quiet, State};
use vitals::PatientId;

use super::{Ended, backtest::failed, block_on, json_line, out, place::Place, since::Since};
use crate::{clock, ward::StoredWard};

/// Why an alert was raised: programme and rule with their versions, what was measured, when and with what, the limit and whose it is, what the
/// person was compared with, and what would have been green.
///
/// Without an alert's id it lists alerts with their ids: those that are open, or all of one patient.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  vagt why                                            the open alerts
  vagt why --patient p-7                              every alert of p-7, the newest first
  vagt why 0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f       why this one was raised

Exit codes: 0 told, 1 there is no such alert, or the store can't be read, 2 bad usage.")]
pub struct WhyArgs {
    /// The alert's id, as the pages, the HTTP API and this command without it tell it.
    alert: Option<AlertId>,
    /// List this patient's alerts, ended ones too.
    #[arg(long, value_name = "ID", conflicts_with = "alert")]
    patient: Option<PatientId>,
    #[command(flatten)]
    to: Place,
}

/// Why there was no alert: every rule that the patient was judged by, how near it was to its next limit, and what kept it quiet.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  vagt why-not p-7                                    as of now
  vagt why-not p-7 --at 2026-11-20T03:00:00Z          as of then: by the versions, limits and pauses that held then
  vagt why-not p-7 --at 36h                           36 hours ago

The rules that were not quiet stand first, then those nearest to their next limit.
Exit codes: 0 told, 1 there is no such patient, or nobody was judging them then, 2 bad usage.")]
pub struct WhyNotArgs {
    /// Whose.
    patient: PatientId,
    /// As of when: a time, a date, or so long ago as 36h; now, if left out.
    #[arg(long, value_name = "TIME")]
    at: Option<Since>,
    #[command(flatten)]
    to: Place,
}

/// Alerts of one patient that are listed: the newest.
const ALERTS_LISTED_MAX: u32 = 200;

/// Runs `vagt why`.
///
/// # Errors
/// There is no such alert or patient, or the store can't be read.
pub fn why(args: &WhyArgs) -> Result<(), Ended> {
    block_on(async {
        let (store, zone) = args.to.read().await?;
        let Some(id) = args.alert else {
            let alerts = listed(&*store, args.patient.as_ref()).await;
            store.close().await;
            return list(&alerts?, &zone, args.to.json);
        };
        let told = explained(&store, &zone, id).await;
        store.close().await;
        let told = told?;
        let mut out = out();
        if args.to.json {
            json_line(&mut out, &told)?;
        } else {
            in_words(&mut out, &told, &zone)?;
        }
        Ok(out.flush()?)
    })
}

/// Runs `vagt why-not`.
///
/// # Errors
/// There is no such patient, nobody was judging them then, or the store can't be read.
pub fn why_not(args: &WhyNotArgs) -> Result<(), Ended> {
    block_on(async {
        let (store, zone) = args.to.read().await?;
        let now = clock::now();
        let at = args.at.map(|at| at.time(now, &zone));
        let told = quiet(&store, &zone, &args.patient, at, now).await;
        store.close().await;
        let told = told?;
        let mut out = out();
        if args.to.json {
            told.rules.iter().try_for_each(|rule| json_line(&mut out, rule))?;
        } else {
            quiet_in_words(&mut out, &told, &zone)?;
        }
        Ok(out.flush()?)
    })
}

fn ward(store: &Arc<dyn Store>, zone: &TimeZone) -> StoredWard {
    StoredWard { store: Arc::clone(store), zone: zone.clone(), setting: tokio::sync::Mutex::default() }
}

async fn explained(store: &Arc<dyn Store>, zone: &TimeZone, id: AlertId) -> Result<WhyAlert, Ended> {
    let patients = store.roster().await.map_err(failed)?.patients;
    let simulated = |of: &PatientId| patients.iter().any(|patient| patient.id == *of && patient.simulated);
    why_alert(&**store, &ward(store, zone), id, simulated, clock::now()).await.map_err(failed)
}

async fn quiet(
    store: &Arc<dyn Store>,
    zone: &TimeZone,
    patient: &PatientId,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<WhyNot, Ended> {
    let simulated = known(&**store, patient).await?.simulated;
    why_quiet(&ward(store, zone), patient, simulated, at, now).await.map_err(failed)
}

/// A patient of the roster.
pub(super) async fn known(store: &dyn Store, id: &PatientId) -> Result<Patient, Ended> {
    let patients = store.roster().await.map_err(failed)?.patients;
    let found = patients.into_iter().find(|patient| patient.id == *id);
    found.ok_or_else(|| Ended::Failed(format!("patient {id} is not in the roster")))
}

async fn listed(store: &dyn Store, patient: Option<&PatientId>) -> Result<Vec<Alert>, Ended> {
    let Some(patient) = patient else { return store.open_alerts(None).await.map_err(failed) };
    known(store, patient).await?;
    store.alerts_of(patient, ALERTS_LISTED_MAX).await.map_err(failed)
}

fn list(alerts: &[Alert], zone: &TimeZone, json: bool) -> Result<(), Ended> {
    let mut out = out();
    for alert in alerts {
        if json {
            json_line(&mut out, alert)?;
            continue;
        }
        let (id, mark, patient, raised) = (alert.id, alert.mark.name(), &alert.patient, local(alert.raised_at, zone));
        let why = alert.ever_found().next().map(|finding| finding.why.as_str()).unwrap_or_default();
        writeln!(out, "{id}  {mark:<6}  {patient}  {raised}  {}: {why}", state(&alert.state, zone))?;
    }
    if alerts.is_empty() && !json {
        writeln!(out, "None.")?;
    }
    Ok(out.flush()?)
}

fn in_words(out: &mut impl Write, told: &WhyAlert, zone: &TimeZone) -> Result<(), Ended> {
    let WhyAlert { patient, simulated, mark: worst, raised_at, state: stands, findings, .. } = told;
    let simulated = if *simulated { " (simulated)" } else { "" };
    let (worst, raised) = (worst.name().to_uppercase(), local(*raised_at, zone));
    writeln!(out, "{worst} alert of {patient}{simulated}, raised {raised}: {}", state(stands, zone))?;
    findings.iter().try_for_each(|finding| one(out, finding, patient, zone))
}

/// One finding: a headline, and a line for everything that is known of it.
fn one(out: &mut impl Write, told: &Explained, patient: &PatientId, zone: &TimeZone) -> Result<(), Ended> {
    let why = &told.why;
    let finding = &why.finding;
    let late = if finding.late { ", came late" } else { "" };
    let doubt = if finding.provisional { ", doubtful, another measurement was asked for" } else { "" };
    let gone = if why.withdrawn { ", withdrawn: what it rested on was declared invalid" } else { "" };
    let (colour, at) = (finding.colour.name(), local(finding.at, zone));
    writeln!(out, "\n  {colour}: {} ({at}{late}{doubt}{gone})", finding.why)?;
    let mut line = |name: &str, said: &str| writeln!(out, "    {name:<11} {said}");
    let now = why.version_now.map(|now| format!("; judged by version {now} now")).unwrap_or_default();
    let kind = why.rule_kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
    let (programme, version, rule) = (&finding.programme, finding.version, &finding.rule);
    line("rule", &format!("{rule}{kind} of {programme} version {version}{now}"))?;
    for input in &finding.inputs {
        line("measured", &measured(input, zone))?;
    }
    if let Some(decided) = &why.limit {
        line("limit", &format!("{}, {}", decided.said, whose(decided, patient, zone)))?;
    }
    for moved in &why.moved {
        let said = set(&moved.setting, moved.beyond_floor.as_deref(), zone);
        line("own limit", &format!("{}; {patient}'s own{said}", moved.said))?;
    }
    if let Some(compared) = &why.compared {
        line("compared", compared)?;
    }
    if let Some(set) = &why.reference {
        let until = local(set.until, zone);
        line("reference", &format!("set by {}: {}, until {until}", set.author, set.reason))?;
    }
    if let Some(otherwise) = &why.otherwise {
        line("otherwise", &otherwise.said)?;
    }
    if let Some(explanation) = &why.explanation {
        line("it says", explanation.trim())?;
    }
    if let Some(source) = &why.source {
        line("source", source)?;
    }
    line("lately", &format!("in {} of this person's alerts of the last 30 days", told.fired_30_days))?;
    Ok(())
}

fn measured(input: &Input, zone: &TimeZone) -> String {
    match input {
        Input::Reading { vital, value, unit, measured_at, device, flags } => {
            let (label, unit, at) = (vital.info().label, unit.plain(), local(*measured_at, zone));
            let flags: Vec<&str> = flags.iter().map(vitals::Flag::as_str).collect();
            let odd = if flags.is_empty() { String::new() } else { format!(" ({})", flags.join(", ")) };
            format!("{label} {value} {unit} at {at} with {device}{odd}")
        }
        Input::Answer { question, answer, answered_at, .. } => {
            format!("{answer:?} to {question:?} at {}", local(*answered_at, zone))
        }
    }
}

fn whose(decided: &Decided, patient: &PatientId, zone: &TimeZone) -> String {
    match &decided.origin {
        Origin::Programme { .. } => "the programme's".to_owned(),
        Origin::Clinic { version, setting: None } => format!("the clinic's, by version {version} of its document"),
        Origin::Clinic { version, setting: Some(ClinicLimit { source, until, .. }) } => {
            format!("the clinic's, by version {version} of its document: {source}, {}", ends(*until, zone))
        }
        Origin::Patient { setting: Some(setting), beyond_floor } => {
            format!("{patient}'s own{}", set(setting, beyond_floor.as_deref(), zone))
        }
        Origin::Patient { setting: None, beyond_floor } => {
            format!("{patient}'s own, set anew since{}", floor(beyond_floor.as_deref()))
        }
    }
}

/// Who set a limit, why, until when, and which floor it passes.
fn set(OwnLimit { author, reason, until, .. }: &OwnLimit, beyond_floor: Option<&str>, zone: &TimeZone) -> String {
    format!(", set by {author}: {reason}, {}{}", ends(*until, zone), floor(beyond_floor))
}

fn ends(until: Option<Timestamp>, zone: &TimeZone) -> String {
    until.map_or("until further notice".to_owned(), |at| format!("until {}", local(at, zone)))
}

fn floor(beyond: Option<&str>) -> String {
    beyond.map(|floor| format!("; {floor}")).unwrap_or_default()
}

fn quiet_in_words(out: &mut impl Write, told: &WhyNot, zone: &TimeZone) -> Result<(), Ended> {
    let WhyNot { patient, simulated, at, rules } = told;
    let simulated = if *simulated { " (simulated)" } else { "" };
    writeln!(out, "{patient}{simulated} as of {}: the nearest first", local(*at, zone))?;
    for Quiet { programme, version, rule, kind, mark: found, at, said, why, near, .. } in rules {
        let found = found.map_or("-", Mark::name);
        writeln!(out, "\n  {rule} ({kind}) of {programme} version {version}: {found}")?;
        if let (Some(said), Some(at)) = (said, at) {
            writeln!(out, "    found       {said} ({})", local(*at, zone))?;
        }
        if let Some(near) = near {
            writeln!(out, "    next        {}", near.said)?;
        }
        writeln!(out, "    quiet       {why}")?;
    }
    Ok(())
}

fn state(state: &State, zone: &TimeZone) -> String {
    match state {
        State::Open => "open".to_owned(),
        State::Acknowledged { by, at } => format!("{by} has it since {}", local(*at, zone)),
        State::Eased { at } => format!("passed by itself {}", local(*at, zone)),
        State::Closed { by, at, reason, note } => {
            let reason = serde_json::to_value(reason).ok().and_then(|name| name.as_str().map(str::to_owned));
            let reason = reason.unwrap_or_default().replace('_', " ");
            let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
            format!("closed by {by} {}: {reason}{note}", local(*at, zone))
        }
    }
}

/// By the clinic's clock, with its zone: `2026-11-22 09:00 CET`.
pub(super) fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%F %H:%M %Z").to_string()
}
