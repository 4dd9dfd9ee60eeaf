//! A page that says what went wrong, in one sentence, and how to go on.

use askama::Template;
use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use store::StoreError;

use crate::{
    assets,
    pages::frame::html,
    problem::Problem,
    session::Session,
    words::{Language, Words},
};

/// What went wrong on a page.
pub struct PageError {
    status: StatusCode,
    key: &'static str,
    /// What exactly was refused, in English: it comes from the rules themselves.
    detail: String,
    language: Language,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    w: &'static Words,
    lang: &'static str,
    style: String,
    what: String,
    detail: String,
}

impl PageError {
    /// There is no such page, patient or alert.
    pub fn not_found(session: &Session) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            key: "error-not-found",
            detail: String::new(),
            language: Language::of(&session.language).unwrap_or_default(),
        }
    }

    /// The store failed; logged here, once.
    pub fn store(session: &Session) -> impl Fn(StoreError) -> Self {
        let language = Language::of(&session.language).unwrap_or_default();
        move |error| {
            tracing::error!(%error, "the store failed a page");
            Self { status: StatusCode::SERVICE_UNAVAILABLE, key: "error-store", detail: String::new(), language }
        }
    }

    /// What was asked makes no sense, or is too much; `key` names the sentence.
    pub fn unfit(session: &Session, key: &'static str) -> Self {
        let language = Language::of(&session.language).unwrap_or_default();
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, key, detail: String::new(), language }
    }

    /// What the guard refused.
    pub fn of(problem: Problem, headers: &HeaderMap, session: Option<&Session>) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let language =
            session.and_then(|session| Language::of(&session.language)).unwrap_or_else(|| Language::accepted(accepted));
        let status = problem.into_response().status();
        let key = match status {
            StatusCode::FORBIDDEN => "error-form",
            StatusCode::PAYLOAD_TOO_LARGE => "error-large",
            _ => "error-store",
        };
        Self { status, key, detail: String::new(), language }
    }

    /// Another service leads: `who`.
    pub fn standby(headers: &HeaderMap, who: String) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let language = Language::accepted(accepted);
        Self { status: StatusCode::SERVICE_UNAVAILABLE, key: "error-standby", detail: who, language }
    }

    /// What a change was refused for.
    pub fn refused(session: &Session) -> impl Fn(Problem) -> Self {
        let language = Language::of(&session.language).unwrap_or_default();
        move |problem| {
            let status = problem.status();
            let key = match status {
                StatusCode::FORBIDDEN => "error-role",
                StatusCode::NOT_FOUND => "error-not-found",
                StatusCode::CONFLICT => "error-conflict",
                StatusCode::UNPROCESSABLE_ENTITY => "error-unfit",
                _ => "error-store",
            };
            Self { status, key, detail: problem.detail().to_owned(), language }
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let w = self.language.words();
        let (lang, style) = (self.language.code(), assets::url("desk.css"));
        let page = ErrorPage { w, lang, style, what: w.say(self.key), detail: self.detail };
        (self.status, html(&page)).into_response()
    }
}

/// No such page.
pub async fn nowhere(headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let (key, detail, language) = ("error-not-found", String::new(), Language::accepted(accepted));
    PageError { status: StatusCode::NOT_FOUND, key, detail, language }.into_response()
}
