//! One alert on the right side: why, the curve, the last sittings, what can be done, and what has happened.

use std::sync::Arc;

use askama::Template;
use axum::{
    Extension, Form,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use jiff::SignedDuration;
use serde::Deserialize;
use store::{StoreError, StoredMessage};
use triage::{
    Action, ActionError, Alert, AlertEvent, AlertId, CALL_RULE, CloseReason, EventKind, Finding, Given, Input, Plan,
    Reason, State as Stage, why_given,
};

use crate::{
    ActionRefused,
    action::{Wanted, act_on},
    api::records::invalid_of,
    app::App,
    explain::{fired, lately},
    pages::{
        cards::{Owner, Tag, deciding_vital, last_heard, owner, plan, programmes, sub, tags},
        error::PageError,
        frame::html,
        reasons,
        sittings::{Sittings, sittings},
    },
    say::{Said, Say},
    session::Session,
    words::Words,
};

/// Sittings shown beside an alert.
const SITTINGS_MAX: usize = 4;
/// Sittings are looked for so far back.
pub const SITTINGS_AGE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Messages that are looked through for them: the newest.
pub const MESSAGES_MAX: u32 = 500;

/// Everything of one alert.
#[derive(Template)]
#[template(path = "detail.html")]
pub struct Detail {
    w: &'static Words,
    csrf: String,
    id: AlertId,
    version: u32,
    patient: String,
    mark: &'static str,
    mark_word: String,
    name: String,
    sub: String,
    tags: Vec<Tag>,
    whys: Vec<Why>,
    vital: Option<Drawn>,
    sittings: Sittings,
    open: bool,
    acknowledged: Option<Owner>,
    ended: Option<String>,
    since: String,
    waited: String,
    reasons: Vec<(String, String)>,
    log: Vec<LogLine>,
    notice: Option<String>,
}

/// The vital whose curve is drawn.
pub struct Drawn {
    /// Its wire name.
    pub name: &'static str,
    /// Its name in words.
    pub label: String,
    /// Its unit.
    pub unit: &'static str,
}

/// One finding, explained.
pub struct Why {
    /// Its colour.
    pub mark: &'static str,
    /// Value and limit.
    pub said: Said,
    /// What it looked at.
    pub inputs: Vec<String>,
    /// Whose limit decided, what was compared with, what would have been green.
    pub told: Vec<String>,
    /// How often the rule fed this patient's alerts lately.
    pub fired: Option<String>,
    /// Which rule of which version.
    pub rule: String,
    /// It was true then, and is not news.
    pub late: bool,
    /// It is doubtful, and another measurement was asked for.
    pub provisional: bool,
    /// What it rested on was declared invalid.
    pub withdrawn: bool,
}

/// One line of the history.
pub struct LogLine {
    /// When, in words.
    pub when: String,
    /// What happened, and who did it.
    pub what: String,
    /// The words that were stored with it.
    pub text: String,
    /// The alert's colour after it.
    pub mark: &'static str,
}

/// Gathers one alert; `None` if there is none. `notice` is said on top: why an action was not done.
pub async fn detail(
    app: &App,
    session: &Session,
    id: AlertId,
    notice: Option<String>,
) -> Result<Option<Detail>, StoreError> {
    let Some((stored, events)) = app.desk.store.alert(id).await? else { return Ok(None) };
    let alert = app.desk.board.alert(id).map_or(stored, |alert| (*alert).clone());
    let say = app.say(session);
    let person = app.desk.board.person(&alert.patient);
    let plan = plan(person.as_ref());
    let messages =
        app.desk.store.newest_messages(&alert.patient, say.now - SITTINGS_AGE_MAX, None, MESSAGES_MAX).await?;
    let invalid = invalid_of(app, &alert.patient).await?;
    let lately = lately(&*app.desk.store, &alert.patient, say.now).await?;
    let readings = messages.iter().flat_map(|message| &message.readings);
    // What was closed was closed on what was known then.
    let newest = readings.map(|reading| reading.measured_at).max().filter(|_| alert.state.is_open());
    let findings = alert.findings.iter().map(|finding| Arc::new(last_heard(finding, newest))).collect();
    let alert = Alert { findings, ..alert };
    Ok(Some(Detail {
        w: say.words,
        csrf: session.csrf.clone(),
        id,
        version: alert.version,
        patient: alert.patient.to_string(),
        mark: alert.mark.name(),
        mark_word: say.mark(alert.mark),
        name: person.as_ref().map_or_else(|| alert.patient.to_string(), |person| person.patient.name.clone()),
        sub: person.as_ref().map(|person| sub(&say, person)).unwrap_or_default(),
        tags: tags(&say, &alert, person.as_ref()),
        whys: alert
            .ever_found()
            .zip(whys(&say, &alert, plan, &given(&messages)))
            .map(|(finding, why)| {
                let fired = fired(&lately, &finding.programme, &finding.rule);
                Why { fired: (fired > 1).then(|| say.words.count("why-fired", fired)), ..why }
            })
            .collect(),
        vital: drawn(&say, &alert),
        sittings: sittings(&say, &messages, &invalid, plan, SITTINGS_MAX),
        open: alert.state.is_open(),
        acknowledged: owner(&say, &alert.state),
        ended: ended(&say, &alert.state),
        since: alert.waiting_since.to_string(),
        waited: say.age(alert.waiting_since),
        reasons: CloseReason::ALL.iter().map(|reason| (wire_name(*reason), reason_word(&say, *reason))).collect(),
        log: log(&say, &alert, &events, plan),
        notice,
    }))
}

fn drawn(say: &Say<'_>, alert: &Alert) -> Option<Drawn> {
    let vital = deciding_vital(alert)?;
    Some(Drawn { name: vital.name(), label: say.vital(vital), unit: vital.unit().plain() })
}

/// What was answered in these messages.
pub fn given(messages: &[StoredMessage]) -> Vec<Given<'_>> {
    messages.iter().flat_map(|message| &message.answers).map(Given::from).collect()
}

/// Everything that fed an alert, explained, what was withdrawn since last; with what is known to have been answered.
pub fn whys(say: &Say<'_>, alert: &Alert, asked: Option<&Plan>, given: &[Given<'_>]) -> Vec<Why> {
    let withdrawn = alert.withdrawn.iter().map(|finding| Why { withdrawn: true, ..why(say, finding, asked, given) });
    alert.findings.iter().map(|finding| why(say, finding, asked, given)).chain(withdrawn).collect()
}

/// One finding, explained.
fn why(say: &Say<'_>, finding: &Finding, asked: Option<&Plan>, given: &[Given<'_>]) -> Why {
    let title = asked.and_then(|plan| plan.programme_named(&finding.programme));
    let title = title.map_or(finding.programme.as_str(), |programme| say.text(programme.titles()));
    let args =
        [("programme", title.into()), ("version", finding.version.into()), ("rule", finding.rule.as_str().into())];
    Why {
        mark: finding.colour.name(),
        said: say.finding(finding, asked),
        inputs: finding.inputs.iter().map(|input| input_line(say, finding, input, asked)).collect(),
        told: asked.map(|plan| reasons::told(say, &why_given(plan, finding, given))).unwrap_or_default(),
        fired: None,
        rule: say.words.with("why-rule", &args),
        late: finding.late,
        provisional: finding.provisional,
        withdrawn: false,
    }
}

fn input_line(say: &Say<'_>, finding: &Finding, input: &Input, asked: Option<&Plan>) -> String {
    match input {
        Input::Reading { vital, value, unit, measured_at, device, flags } => {
            let what = format!("{} {}", say.vital(*vital), say.quantity(*value, *unit));
            let args =
                [("what", what.into()), ("when", say.when(*measured_at).into()), ("device", device.as_str().into())];
            let odd: Vec<String> = flags.iter().map(|flag| say.flag(flag)).collect();
            let line = say.words.with("why-reading", &args);
            if odd.is_empty() { line } else { format!("{line} ({})", odd.join(", ")) }
        }
        Input::Answer { answered_at, .. } => {
            let key = if finding.rule == CALL_RULE { "why-asked" } else { "why-answer" };
            let line = say.words.with(key, &[("when", say.when(*answered_at).into())]);
            // What was asked and answered stands in the headline, where it is about one answer.
            let alone = matches!(finding.reason, Reason::Answer { .. });
            if alone { line } else { format!("{}, {line}", say.input(input, asked)) }
        }
    }
}

/// How it ended, in words.
pub fn ended(say: &Say<'_>, state: &Stage) -> Option<String> {
    match state {
        Stage::Open | Stage::Acknowledged { .. } => None,
        Stage::Eased { at } => Some(say.words.with("ended-eased", &[("when", say.when(*at).into())])),
        Stage::Closed { by, at, reason, note } => {
            let args = [
                ("by", say.colleague(by).into()),
                ("when", say.when(*at).into()),
                ("reason", reason_word(say, *reason).to_lowercase().into()),
            ];
            let line = say.words.with("ended-closed", &args);
            Some(if note.is_empty() { line } else { format!("{line}: {note}") })
        }
    }
}

/// The history, oldest first.
pub fn log(say: &Say<'_>, alert: &Alert, events: &[AlertEvent], asked: Option<&Plan>) -> Vec<LogLine> {
    events.iter().map(|event| log_line(say, alert, event, asked)).collect()
}

fn log_line(say: &Say<'_>, alert: &Alert, event: &AlertEvent, asked: Option<&Plan>) -> LogLine {
    let kind = say.words.say(event_key(event.kind));
    let what = match &event.by {
        Some(by) => say.words.with("event-by", &[("what", kind.into()), ("by", say.colleague(by).into())]),
        None => kind,
    };
    LogLine { when: say.when(event.at), what, text: event_text(say, alert, event, asked), mark: event.mark.name() }
}

/// The stored words are English; where the finding behind them is still at hand, or they are a closing's, they are said in the page's language.
fn event_text(say: &Say<'_>, alert: &Alert, event: &AlertEvent, asked: Option<&Plan>) -> String {
    if let (EventKind::Closed, Stage::Closed { reason, note, .. }) = (event.kind, &alert.state) {
        let reason = reason_word(say, *reason);
        return if note.is_empty() { reason } else { format!("{reason}: {note}") };
    }
    let finding = alert.ever_found().find(|finding| finding.why == event.text);
    finding.map_or_else(|| event.text.clone(), |finding| say.sentence(finding, asked))
}

fn event_key(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Raised => "event-raised",
        EventKind::Worsened => "event-worsened",
        EventKind::Reopened => "event-reopened",
        EventKind::Repeated => "event-repeated",
        EventKind::Improved => "event-improved",
        EventKind::Eased => "event-eased",
        EventKind::Acknowledged => "event-acknowledged",
        EventKind::Closed => "event-closed",
        EventKind::Confirmed => "event-confirmed",
        EventKind::NotConfirmed => "event-not-confirmed",
        EventKind::Withdrawn => "event-withdrawn",
    }
}

fn reason_word(say: &Say<'_>, reason: CloseReason) -> String {
    say.words.say(&format!("close-{}", wire_name(reason)))
}

fn wire_name(reason: CloseReason) -> String {
    serde_json::to_value(reason).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// `GET /alerts/{id}`: the right side alone, or the whole queue for a browser without scripts.
pub async fn pane(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let id = alert_id(&session, &id)?;
    if !headers.contains_key("hx-request") {
        return Ok(Redirect::to(&format!("/?alert={id}")).into_response());
    }
    let found = detail(&app, &session, id, None).await.map_err(PageError::store(&session))?;
    found.map(|detail| html(&detail)).ok_or_else(|| PageError::not_found(&session))
}

fn alert_id(session: &Session, text: &str) -> Result<AlertId, PageError> {
    text.parse().map_err(|_| PageError::not_found(session))
}

/// What every action's form sends.
#[derive(Deserialize)]
pub struct ActionForm {
    seen_version: u32,
    reason: Option<CloseReason>,
    #[serde(default)]
    note: String,
}

/// `POST /alerts/{id}/acknowledge`.
pub async fn acknowledge(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<ActionForm>,
) -> Result<Response, PageError> {
    let id = alert_id(&session, &id)?;
    act(&app, &session, id, form.seen_version, Action::Acknowledge, &headers).await
}

/// `POST /alerts/{id}/close`.
pub async fn close(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<ActionForm>,
) -> Result<Response, PageError> {
    let id = alert_id(&session, &id)?;
    let Some(reason) = form.reason else {
        return answer(
            &app,
            &session,
            id,
            StatusCode::UNPROCESSABLE_ENTITY,
            Some(session.words().say("action-reason")),
            &headers,
        )
        .await;
    };
    act(&app, &session, id, form.seen_version, Action::Close { reason, note: form.note }, &headers).await
}

async fn act(
    app: &App,
    session: &Session,
    id: AlertId,
    seen: u32,
    action: Action,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    let Some(patient) = patient_of(app, id).await.map_err(PageError::store(session))? else {
        return Err(PageError::not_found(session));
    };
    let wanted =
        Wanted { alert: id, patient, seen_version: seen, action, by: session.user.clone(), name: session.name.clone() };
    match act_on(app, wanted).await {
        Ok(_) => answer(app, session, id, StatusCode::OK, None, headers).await,
        Err(refused) => {
            let say = app.say(session);
            let stands = app.desk.store.alert(id).await.ok().flatten().map(|(alert, _)| alert);
            let notice = refusal(&say, &refused, stands.as_ref());
            answer(app, session, id, StatusCode::CONFLICT, Some(notice), headers).await
        }
    }
}

/// Whose alert it is, open or ended.
pub async fn patient_of(app: &App, id: AlertId) -> Result<Option<vitals::PatientId>, StoreError> {
    if let Some(alert) = app.desk.board.alert(id) {
        return Ok(Some(alert.patient.clone()));
    }
    Ok(app.desk.store.alert(id).await?.map(|(alert, _)| alert.patient))
}

/// Why it was not done, and how the alert stands now.
fn refusal(say: &Say<'_>, refused: &ActionRefused, stands: Option<&Alert>) -> String {
    let now = stands.map(|alert| &alert.state);
    let stands = match now {
        Some(Stage::Acknowledged { .. }) => now.and_then(|state| owner(say, state)).map(|owner| owner.said),
        Some(state) => ended(say, state),
        None => None,
    };
    let said = match refused {
        ActionRefused::Illegal(ActionError::AlreadyEnded(_)) => say.words.say("action-ended"),
        ActionRefused::Illegal(ActionError::Changed { .. }) => say.words.say("action-changed"),
        ActionRefused::Illegal(ActionError::TakenBy { .. }) => say.words.say("action-taken"),
        ActionRefused::Illegal(ActionError::NoteTooLong { limit, .. }) => say.words.count("action-note", *limit),
        ActionRefused::Unknown => say.words.say("action-unknown"),
        ActionRefused::Store(_) => say.words.say("action-store"),
    };
    stands.map_or(said.clone(), |stands| format!("{said} {stands}."))
}

async fn answer(
    app: &App,
    session: &Session,
    id: AlertId,
    status: StatusCode,
    notice: Option<String>,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    if status == StatusCode::OK && !headers.contains_key("hx-request") {
        return Ok(Redirect::to(&format!("/?alert={id}")).into_response());
    }
    let found = detail(app, session, id, notice).await.map_err(PageError::store(session))?;
    found.map(|detail| (status, html(&detail)).into_response()).ok_or_else(|| PageError::not_found(session))
}

/// The programmes' line under a patient's name.
pub fn programme_line(say: &Say<'_>, person: &crate::board::Person) -> String {
    let Some(plan) = &person.plan else { return programmes(say, person).join(" · ") };
    let line = |programme: &Arc<triage::Programme>| {
        let title = say.text(programme.titles()).to_owned();
        let args = [("programme", title.into()), ("version", programme.version().into())];
        say.words.with("programme-version", &args)
    };
    plan.programmes().iter().map(line).collect::<Vec<_>>().join(" · ")
}
