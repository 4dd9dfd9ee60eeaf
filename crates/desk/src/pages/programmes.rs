//! `/programmes`: every programme with its versions; of one version what it says, and what differs from the one in use.

use std::sync::Arc;

use askama::Template;
use axum::{
    Extension,
    extract::{Path, State},
    response::Response,
};

use crate::{
    Diff, ProgrammeView, Refused, VersionState, VersionView,
    app::App,
    pages::{
        error::PageError,
        frame::{Frame, html},
    },
    problem::Problem,
    say::Say,
    session::Session,
    words::Language,
};

#[derive(Template)]
#[template(path = "programmes.html")]
struct ProgrammesPage {
    f: Frame,
    programmes: Vec<Programme>,
}

struct Programme {
    id: String,
    title: String,
    versions: Vec<Version>,
}

struct Version {
    number: u32,
    name: String,
    kind: &'static str,
    state: String,
    shadow: bool,
    by: String,
    note: String,
}

#[derive(Template)]
#[template(path = "programme.html")]
struct VersionPage {
    f: Frame,
    title: String,
    version: Version,
    explained: Option<String>,
    /// None where it is the one in use.
    diff: Option<Diff>,
}

/// The page of all.
pub async fn page(State(app): State<Arc<App>>, Extension(session): Extension<Session>) -> Result<Response, PageError> {
    let all = all(&app).await.map_err(PageError::refused(&session))?;
    let say = app.say(&session);
    let one = |view: ProgrammeView| Programme {
        title: title(&say, &view).to_owned(),
        versions: view.versions.iter().map(|version| line(&say, version)).collect(),
        id: view.id,
    };
    let f = Frame::new(&app, &session, "programmes", app.desk.board.version());
    Ok(html(&ProgrammesPage { f, programmes: all.into_iter().map(one).collect() }))
}

async fn all(app: &App) -> Result<Vec<ProgrammeView>, Problem> {
    Ok(app.tuning()?.programmes().await?)
}

/// The page of one version.
pub async fn version(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path((id, number)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let refused = PageError::refused(&session);
    let all = all(&app).await.map_err(&refused)?;
    let not_found = || PageError::not_found(&session);
    let programme = all.into_iter().find(|one| one.id == id).ok_or_else(not_found)?;
    let number: u32 = number.parse().map_err(|_| not_found())?;
    let version = programme.versions.iter().find(|one| one.version == number).ok_or_else(not_found)?;
    let say = app.say(&session);
    let (explained, diff) = about(&app, &programme, number).await.map_err(|refusal| refused(Problem::from(refusal)))?;
    Ok(html(&VersionPage {
        f: Frame::new(&app, &session, "programmes", app.desk.board.version()),
        title: title(&say, &programme).to_owned(),
        version: line(&say, version),
        explained,
        diff,
    }))
}

/// What a version says, and what differs from the one in use.
async fn about(app: &App, programme: &ProgrammeView, number: u32) -> Result<(Option<String>, Option<Diff>), Refused> {
    let tuning = app.tuning()?;
    let explained = tuning.text(&programme.id, number).await?.explained;
    let diff = match programme.in_use.filter(|used| *used != number) {
        Some(used) => Some(tuning.diff(&programme.id, used, number).await?),
        None => None,
    };
    Ok((explained, diff))
}

fn title<'v>(say: &Say<'_>, view: &'v ProgrammeView) -> &'v str {
    match say.words.language {
        Language::Da => &view.title_da,
        Language::En => &view.title,
    }
}

fn line(say: &Say<'_>, view: &VersionView) -> Version {
    let when =
        |key: &str| say.words.with(key, &[("when", view.from.map(|at| say.date(at)).unwrap_or_default().into())]);
    let (kind, state) = match view.state {
        VersionState::Proposed => ("proposed", say.words.say("state-proposed")),
        VersionState::Planned => ("planned", when("state-planned")),
        VersionState::InUse => ("in_use", when("state-in_use")),
        VersionState::Before => ("before", say.words.say("state-before")),
        VersionState::Rejected => ("rejected", say.words.say("state-rejected")),
    };
    let args = [("by", view.proposed_by.as_str().into()), ("when", say.date(view.proposed_at).into())];
    Version {
        number: view.version,
        name: say.words.count("programme-version-n", view.version),
        kind,
        state,
        shadow: view.shadow,
        by: say.words.with("programme-by", &args),
        note: view.note.clone(),
    }
}
