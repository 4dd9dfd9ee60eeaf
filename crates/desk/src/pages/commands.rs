//! On a patient's page: asking the kit for a new measurement, sending a message, and what became of both.

use std::sync::Arc;

use axum::{
    Extension, Form,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use serde::Deserialize;
use store::{CommandState, Progress, StoreError};
use vitals::{KitId, PatientId, Vital};

use crate::{
    app::App,
    clock,
    command::{Ask, AskRefused, ask},
    pages::error::PageError,
    say::Say,
    session::Session,
};

/// Commands shown for each kit.
const SHOWN_MAX: u32 = 8;

/// One command, in words.
pub struct CommandLine {
    /// What was asked, by whom.
    pub what: String,
    /// Its text for the person.
    pub text: String,
    /// How far it is.
    pub state: String,
    /// The state's name, for the style.
    pub kind: &'static str,
    /// What the kit said.
    pub detail: String,
}

/// What a kit was asked lately for this patient, who may have it no longer. What names nobody is theirs since they have the kit.
/// That somebody looked is told too, and shown once it was read by nobody: not here.
pub async fn lines(app: &App, say: &Say<'_>, kit: &KitId, patient: &PatientId) -> Result<Vec<CommandLine>, StoreError> {
    let states = app.desk.store.commands_of(kit, SHOWN_MAX * 4).await?;
    let has_it = app.desk.board.kit(kit.as_str()).filter(|state| state.kit.serves(patient));
    let since = has_it.map(|state| state.kit.since.unwrap_or(Timestamp::MIN));
    let is_theirs = |one: &&CommandState| match &one.command.patient {
        Some(whose) => whose == patient,
        None => since.is_some_and(|since| since <= one.command.issued_at),
    };
    let shown = states.iter().filter(|one| one.command.command != "seen").filter(is_theirs);
    Ok(shown.take(SHOWN_MAX as usize).map(|one| line(say, one)).collect())
}

fn line(say: &Say<'_>, one: &CommandState) -> CommandLine {
    let key = format!("command-{}", one.command.command);
    let kind = if say.words.knows(&key) { say.words.say(&key) } else { one.command.command.clone() };
    let vital = one.command.body.get("vital").and_then(|name| name.as_str()?.parse::<Vital>().ok());
    let kind = vital.map_or(kind.clone(), |vital| format!("{kind}: {}", say.vital(vital)));
    let has_ended = one.state == Progress::Waiting && one.command.expires_at <= say.now;
    let (state, since) =
        if has_ended { (Progress::Expired, one.command.expires_at) } else { (one.state, one.changed_at) };
    let args = [
        ("what", kind.into()),
        ("when", say.when(one.command.issued_at).into()),
        ("by", one.command.by.clone().unwrap_or_default().into()),
    ];
    CommandLine {
        what: say.words.with("command-asked", &args).trim_end_matches(" · ").to_owned(),
        text: one.command.body.get("text").and_then(|text| text.as_str()).unwrap_or_default().to_owned(),
        state: say.words.with(&format!("command-{}", state.name()), &[("when", say.when(since).into())]),
        kind: state.name(),
        detail: one.detail.iter().flat_map(|detail| detail.chars().take(300)).collect(),
    }
}

/// What the form sends.
#[derive(Deserialize)]
pub struct CommandForm {
    kit: String,
    command: String,
    #[serde(default)]
    vital: String,
    #[serde(default)]
    text: String,
}

/// `POST /patients/{id}/commands`.
pub async fn post(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let patient: PatientId = id.parse().map_err(|_| PageError::not_found(&session))?;
    let kit = app.desk.board.kit(&form.kit).filter(|state| state.kit.serves(&patient));
    let kit = kit.ok_or_else(|| PageError::not_found(&session))?.kit;
    let wanted = Ask {
        command: form.command,
        vital: form.vital.parse().ok(),
        text: (!form.text.trim().is_empty()).then_some(form.text),
        patient: Some(patient.clone()),
        ..Ask::default()
    };
    match ask(&*app.desk.store, &kit, wanted, Some(&session.name), clock::now()).await {
        Ok(_) => Ok(Redirect::to(&format!("/patients/{patient}#commands")).into_response()),
        Err(AskRefused::Store(error)) => Err(PageError::store(&session)(error)),
        Err(AskRefused::Unfit(_)) => Err(PageError::unfit(&session, "error-command")),
        Err(AskRefused::TooMany { .. }) => Err(PageError::unfit(&session, "error-commands")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, tz::TimeZone};
    use store::Command;

    use super::*;
    use crate::words::Language;

    #[test]
    fn what_became_of_a_command_has_its_day() {
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let say = Say { words: Language::En.words(), zone: &TimeZone::UTC, now, names: None };
        let before = |hours| now - SignedDuration::from_hours(hours);
        let became = |state, changed: i64, expires: i64| {
            let command = Command {
                id: "c-1".to_owned(),
                kit: "kit-1".parse().unwrap(),
                patient: None,
                command: "schedule".to_owned(),
                by: None,
                issued_at: before(30),
                expires_at: before(expires),
                body: serde_json::Value::Null,
            };
            let receipts = Vec::new();
            line(&say, &CommandState { command, state, changed_at: before(changed), detail: None, receipts }).state
        };
        assert_eq!(became(Progress::Done, 24, -1), "done yesterday 09:00");
        assert_eq!(became(Progress::Read, 1, -1), "read today 08:00");
        assert_eq!(became(Progress::Waiting, 30, 2), "expired today 07:00", "not when it was asked");
    }
}
