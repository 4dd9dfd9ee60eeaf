//! `/patients/{id}`: one person: curves with limits, the last sittings and answers, and every alert with what became of it.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::{
    Extension,
    extract::{Path, Query, State},
    response::Response,
};
use jiff::SignedDuration;
use serde::Deserialize;
use store::{StoreError, StoredMessage};
use triage::{Alert, Given};
use vitals::{KitId, PatientId};

use crate::{
    api::{own::no_baselines, records::invalid_of},
    app::App,
    board::Person,
    outcomes::outcomes,
    pages::{
        cards::{Tag, age, plan, tags},
        commands::{CommandLine, lines},
        detail::{Drawn, LogLine, MESSAGES_MAX, SITTINGS_AGE_MAX, Why, ended, given, log, programme_line, whys},
        error::PageError,
        frame::{Frame, html},
        own::{self, OwnLine},
        sittings::{Sittings, sittings},
    },
    problem::Problem,
    say::Say,
    session::Session,
};

/// How far back the long curves go.
const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);
/// Sittings in the table.
const SITTINGS_MAX: usize = 12;
/// Alerts in the history.
const ALERTS_MAX: u32 = 20;
/// Outcomes shown: the newest.
const OUTCOMES_SHOWN_MAX: usize = 10;

#[derive(Template)]
#[template(path = "patient.html")]
struct PatientPage {
    f: Frame,
    id: String,
    name: String,
    sub: String,
    since: Option<String>,
    simulated: bool,
    /// Why the person is judged as before, and not by what was decided.
    not_as_decided: Option<String>,
    limits: Vec<LimitRow>,
    vitals: Vec<Drawn>,
    /// Are the curves those of a year?
    year: bool,
    /// What a curve is called for those who don't see it.
    label: &'static str,
    sittings: Sittings,
    alerts: Vec<Past>,
    kits: Vec<KitLine>,
    /// Own settings.
    own: Vec<OwnLine>,
    /// Rules that have no baseline of theirs to compare with.
    no_baselines: Vec<String>,
    paused: bool,
    /// The first day that a pause may end on.
    today: String,
    /// What is recorded of what happened: line and note.
    outcomes: Vec<(String, String)>,
    /// What can be asked for: name and words.
    measurable: Vec<(&'static str, String)>,
}

/// The limits of one vital.
struct LimitRow {
    vital: String,
    bands: Vec<(&'static str, String, bool)>,
}

/// One alert of the history.
struct Past {
    id: String,
    open: bool,
    mark: &'static str,
    mark_word: String,
    raised: String,
    headline: String,
    ended: String,
    tags: Vec<Tag>,
    whys: Vec<Why>,
    log: Vec<LogLine>,
}

struct KitLine {
    id: String,
    said: String,
    /// Can it be asked for something?
    asks: bool,
    commands: Vec<CommandLine>,
}

/// How the page is asked for.
#[derive(Deserialize)]
pub struct Wanted {
    span: Option<String>,
}

impl Wanted {
    fn is_year(&self) -> bool {
        self.span.as_deref() == Some("year")
    }
}

/// The page.
pub async fn page(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let id: PatientId = id.parse().map_err(|_| PageError::not_found(&session))?;
    let person = app.desk.board.person(&id).ok_or_else(|| PageError::not_found(&session))?;
    let failed = PageError::store(&session);
    let say = app.say(&session);
    let messages =
        app.desk.store.newest_messages(&id, say.now - SITTINGS_AGE_MAX, None, MESSAGES_MAX).await.map_err(&failed)?;
    let invalid = invalid_of(&app, &id).await.map_err(&failed)?;
    let outcomes = outcomes(&*app.desk.store, Some(&id)).await.map_err(&failed)?;
    let alerts = history(&app, &say, &person, &given(&messages)).await.map_err(&failed)?;
    let lacking = no_baselines(&app, std::slice::from_ref(&person), say.now).await;
    let lacking = lacking.map_err(Problem::from).map_err(PageError::refused(&session))?;
    Ok(html(&PatientPage {
        f: Frame::new(&app, &session, "patients", app.desk.board.version()),
        name: person.patient.name.clone(),
        sub: age(&say, &person).into_iter().chain([programme_line(&say, &person)]).collect::<Vec<_>>().join(" · "),
        since: person.patient.since.map(|at| say.words.with("patient-since", &[("when", say.date(at).into())])),
        simulated: person.patient.simulated,
        not_as_decided: person.not_as_decided.as_deref().map(|why| not_as_decided(&say, &person, why)),
        limits: limits(&say, &person),
        vitals: drawn(&app, &say, &person, wanted.is_year()).await.map_err(&failed)?,
        year: wanted.is_year(),
        label: if wanted.is_year() { "curve-label-year" } else { "curve-label" },
        sittings: sittings(&say, &messages, &invalid, plan(Some(&person)), SITTINGS_MAX),
        own: plan(Some(&person)).map(|plan| own::lines(&say, plan)).unwrap_or_default(),
        no_baselines: lacking.iter().flatten().map(|one| own::no_baseline(&say, one)).collect(),
        today: say.local(say.now).date().to_string(),
        paused: plan(Some(&person)).is_some_and(|plan| own::is_paused(plan.own(), say.now)),
        outcomes: outcomes.iter().filter_map(|entry| own::outcome(&say, entry)).take(OUTCOMES_SHOWN_MAX).collect(),
        alerts,
        kits: kits(&app, &say, &id, &messages).await.map_err(&failed)?,
        measurable: vitals::VITALS.iter().map(|info| (info.vital.name(), say.vital(info.vital))).collect(),
        id: id.to_string(),
    }))
}

fn not_as_decided(say: &Say<'_>, person: &Person, why: &str) -> String {
    let key = if person.plan.is_some() { "patient-as-before" } else { "patient-not-judged" };
    say.words.with(key, &[("why", why.into())])
}

/// Vitals to draw: those measured in the last four weeks, or in the last year.
async fn drawn(app: &App, say: &Say<'_>, person: &Person, year: bool) -> Result<Vec<Drawn>, StoreError> {
    let all: Vec<_> = vitals::VITALS.iter().map(|info| info.vital).collect();
    let since = say.now - if year { YEAR } else { crate::api::patients::CURVE_AGE };
    let measured = app.desk.store.curves(&person.patient.id, &all, since, 1).await?;
    let has = |vital| measured.iter().any(|curve| curve.vital == vital && !curve.points.is_empty());
    let shown = all.into_iter().filter(|vital| has(*vital));
    Ok(shown.map(|vital| Drawn { name: vital.name(), label: say.vital(vital), unit: vital.unit().plain() }).collect())
}

fn limits(say: &Say<'_>, person: &Person) -> Vec<LimitRow> {
    let Some(plan) = plan(Some(person)) else { return Vec::new() };
    let rows = vitals::VITALS.iter().map(|info| (info.vital, plan.bands_at(info.vital, say.now)));
    let row = |(vital, bands): (vitals::Vital, Vec<triage::BandView>)| {
        let said = bands.iter().filter_map(|band| {
            let limit = band.limit?;
            Some((band.mark.name(), say.limit(band.mark, Some(limit), vital.unit(), (band.own, band.clinic)), band.own))
        });
        LimitRow { vital: say.vital(vital), bands: said.collect() }
    };
    rows.filter(|(_, bands)| !bands.is_empty()).map(row).collect()
}

async fn history(app: &App, say: &Say<'_>, person: &Person, given: &[Given<'_>]) -> Result<Vec<Past>, StoreError> {
    let mut alerts = app.desk.store.alerts_of(&person.patient.id, ALERTS_MAX).await?;
    alerts.sort_by_key(|alert| !alert.state.is_open());
    let mut past = Vec::with_capacity(alerts.len());
    for alert in alerts {
        let events = app.desk.store.alert(alert.id).await?.map(|(_, events)| events).unwrap_or_default();
        past.push(one(say, person, &alert, &events, given));
    }
    Ok(past)
}

fn one(say: &Say<'_>, person: &Person, alert: &Alert, events: &[triage::AlertEvent], given: &[Given<'_>]) -> Past {
    let plan = plan(Some(person));
    Past {
        id: alert.id.to_string(),
        open: alert.state.is_open(),
        mark: alert.mark.name(),
        mark_word: say.mark(alert.mark),
        raised: say.when(alert.raised_at),
        headline: alert.ever_found().next().map(|finding| say.sentence(finding, plan)).unwrap_or_default(),
        ended: ended(say, &alert.state).unwrap_or_else(|| say.words.say("patient-open")),
        tags: tags(say, alert, None),
        whys: whys(say, alert, plan, given),
        log: log(say, alert, events, plan),
    }
}

/// Their kits; and what was asked for them of one that they measured with lately, and have no longer.
async fn kits(
    app: &App,
    say: &Say<'_>,
    patient: &PatientId,
    lately: &[StoredMessage],
) -> Result<Vec<KitLine>, StoreError> {
    let mut shown = Vec::new();
    for state in app.desk.board.kits().into_iter().filter(|state| state.kit.serves(patient)) {
        shown.push(KitLine {
            id: state.kit.id.to_string(),
            said: crate::pages::kits::heard_line(say, &state),
            asks: !state.kit.revoked,
            commands: lines(app, say, &state.kit.id, patient).await?,
        });
    }
    let used: BTreeSet<&KitId> = lately.iter().map(|message| &message.key.kit).collect();
    for kit in used {
        if shown.iter().any(|line| line.id == kit.as_str()) {
            continue;
        }
        let commands = lines(app, say, kit, patient).await?;
        if !commands.is_empty() {
            let said = say.words.say("patient-kit-before");
            shown.push(KitLine { id: kit.to_string(), said, asks: false, commands });
        }
    }
    Ok(shown)
}
