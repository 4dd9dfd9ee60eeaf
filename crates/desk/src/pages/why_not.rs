//! `/patients/{id}/why-not`: why there was no alert, now or at a time: every rule, the nearest to its limit first.

use std::sync::Arc;

use askama::Template;
use axum::{
    Extension,
    extract::{Path, Query, State},
    response::Response,
};
use jiff::{Timestamp, civil::DateTime};
use serde::Deserialize;
use triage::{Mark, Near, Plan, Quiet, QuietBecause, Reason, why_not};
use vitals::PatientId;

use crate::{
    app::App,
    pages::{
        error::PageError,
        frame::{Frame, html},
        own::pause,
    },
    problem::Problem,
    say::Say,
    session::Session,
};

#[derive(Template)]
#[template(path = "why_not.html")]
struct WhyNotPage {
    f: Frame,
    id: String,
    name: String,
    simulated: bool,
    sub: String,
    /// For the field of the time, by the clinic's clock.
    at: String,
    rows: Vec<Row>,
}

struct Row {
    mark: &'static str,
    mark_word: String,
    rule: String,
    programme: String,
    said: String,
    because: String,
    near: String,
}

/// As of when, by the clinic's clock.
#[derive(Deserialize)]
pub struct AsOf {
    #[serde(default)]
    at: String,
}

/// The page.
pub async fn page(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Query(asked): Query<AsOf>,
) -> Result<Response, PageError> {
    let refused = PageError::refused(&session);
    let id: PatientId = id.parse().map_err(|_| PageError::not_found(&session))?;
    let person = app.desk.board.person(&id).ok_or_else(|| PageError::not_found(&session))?;
    let say = app.say(&session);
    let at = time(&say, &asked.at).map_err(&refused)?.min(say.now);
    let ward = app.ward().map_err(Problem::from).map_err(&refused)?;
    let (plan, chart) = ward.chart(&id, at).await.map_err(Problem::from).map_err(&refused)?;
    let rows = why_not(&chart, &plan, at).into_iter().map(|quiet| row(&say, &plan, quiet)).collect();
    Ok(html(&WhyNotPage {
        f: Frame::new(&app, &session, "patients", app.desk.board.version()),
        id: id.to_string(),
        name: person.patient.name.clone(),
        simulated: person.patient.simulated,
        sub: say.words.with("whynot-sub", &[("when", say.when(at).into())]),
        at: at.to_zoned(say.zone.clone()).strftime("%Y-%m-%dT%H:%M").to_string(),
        rows,
    }))
}

/// The time that was chosen; now, where none was.
fn time(say: &Say<'_>, text: &str) -> Result<Timestamp, Problem> {
    if text.is_empty() {
        return Ok(say.now);
    }
    let unfit = || crate::api::unfit(format!("found time {text:?}, want one like 2026-11-22T08:00"));
    let local: DateTime = text.parse().map_err(|_| unfit())?;
    Ok(local.to_zoned(say.zone.clone()).map_err(|_| unfit())?.timestamp())
}

fn row(say: &Say<'_>, plan: &Plan, quiet: Quiet) -> Row {
    Row {
        mark: quiet.mark.map_or("none", Mark::name),
        mark_word: quiet.mark.map_or_else(|| say.words.say("mark-none"), |mark| say.mark(mark)),
        programme: say.text(&quiet.title).split(',').next().unwrap_or_default().to_owned(),
        said: said(say, plan, &quiet),
        because: because(say, &quiet.because),
        near: quiet.near.as_ref().map(|near| distance(say, &quiet, near)).unwrap_or_default(),
        rule: quiet.rule,
    }
}

fn said(say: &Say<'_>, plan: &Plan, quiet: &Quiet) -> String {
    let (Some(reason), Some(mark), Some(at)) = (&quiet.reason, quiet.mark, quiet.at) else { return String::new() };
    let finding = triage::Finding {
        rule: quiet.rule.clone(),
        version: quiet.version,
        programme: quiet.programme.clone(),
        colour: mark,
        why: quiet.said.clone().unwrap_or_default(),
        reason: reason.clone(),
        inputs: Vec::new(),
        at,
        late: false,
        provisional: false,
    };
    format!("{}, {}", say.sentence(&finding, Some(plan)), say.when(at))
}

fn because(say: &Say<'_>, because: &QuietBecause) -> String {
    let counted =
        |key: &str, found: u64, want: u64| say.words.with(key, &[("found", found.into()), ("want", want.into())]);
    match because {
        QuietBecause::Speaks => say.words.say("whynot-speaks"),
        QuietBecause::Closed { at, again_at: None } => {
            say.words.with("whynot-closed", &[("when", say.when(*at).into())])
        }
        QuietBecause::Closed { at, again_at: Some(until) } => {
            let args = [("when", say.when(*at).into()), ("until", say.when(*until).into())];
            say.words.with("whynot-held-back", &args)
        }
        QuietBecause::NotRaised => say.words.say("whynot-not_raised"),
        QuietBecause::TooOld { newest, counts_hours } => {
            let args = [("when", say.when(*newest).into()), ("hours", counts_hours.to_string().into())];
            say.words.with("whynot-too_old", &args)
        }
        QuietBecause::Green => say.words.say("whynot-green"),
        QuietBecause::NoValue => say.words.say("whynot-no_value"),
        QuietBecause::TooLittle { found, want } => counted("whynot-too_little", *found as u64, *want as u64),
        QuietBecause::NoReference { expired: None } => say.words.say("whynot-no_reference"),
        QuietBecause::NoReference { expired: Some(at) } => {
            say.words.with("whynot-expired", &[("when", say.date(*at).into())])
        }
        QuietBecause::NotNow => say.words.say("whynot-not_now"),
        QuietBecause::Ingredient => say.words.say("whynot-ingredient"),
        QuietBecause::Held { until } => say.words.with("whynot-held", &[("when", say.clock(*until).into())]),
        QuietBecause::Fewer { found, want } => counted("whynot-fewer", u64::from(*found), u64::from(*want)),
        QuietBecause::Paused { kind, until } => {
            let args = [("when", say.date(*until).into()), ("kind", pause(say, *kind).into())];
            say.words.with("whynot-paused", &args)
        }
        QuietBecause::NotOverdue { next: None } => say.words.say("whynot-not_overdue"),
        QuietBecause::NotOverdue { next: Some(next) } => {
            say.words.with("whynot-next", &[("when", say.when(*next).into())])
        }
    }
}

fn distance(say: &Say<'_>, quiet: &Quiet, near: &Near) -> String {
    let quantity = |value| match &quiet.reason {
        Some(Reason::Band { vital, .. } | Reason::Trend { vital, .. }) => say.of_statistic(value, &near.unit, *vital),
        Some(Reason::Sum { .. }) => say.points(value),
        _ => say.value(value),
    };
    let limit = say.limit_of(near.mark, near.limit, &quantity(near.limit.value), false);
    say.words.with("whynot-distance", &[("distance", quantity(near.distance).into()), ("limit", limit.into())])
}
