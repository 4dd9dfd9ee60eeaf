//! Signing in and out, and the language of the pages.
//!
//! Whatever is wrong, the answer is the same sentence after the same work; tries are limited by name and by address. The form is tied to the
//! browser by a cookie, since there is no session yet that could hold its token.

use std::{net::SocketAddr, sync::Arc};

use askama::Template;
use axum::{
    Extension, Form,
    extract::{ConnectInfo, FromRequestParts, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    app::App,
    assets, clock,
    pages::{error::PageError, frame::html},
    password,
    problem::Problem,
    security,
    session::{FORM_COOKIE, SESSION_AGE_MAX, SESSION_COOKIE, Session, cookie, same, set_cookie, sha256_hex, token},
    words::{Language, Words},
};

/// The sign-in form may be this old.
const FORM_SECONDS_MAX: i64 = 3600;
/// The longest name and password that are read.
const FIELD_BYTES_MAX: usize = 256;

/// What the form sends.
#[derive(Deserialize)]
pub struct SignIn {
    user: String,
    password: String,
    #[serde(default)]
    csrf: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    w: &'static Words,
    lang: &'static str,
    style: String,
    icon: String,
    clinic: &'a str,
    simulated: bool,
    csrf: String,
    user: &'a str,
    wrong: Option<String>,
}

/// The address that a request came from, where the listener tells it.
pub struct From(Option<std::net::IpAddr>);

impl<S: Sync> FromRequestParts<S> for From {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())))
    }
}

/// `GET /sign-in`.
pub async fn page(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    form(&app, &headers, StatusCode::OK, "", None)
}

/// `POST /sign-in`.
pub async fn sign_in(
    State(app): State<Arc<App>>,
    From(address): From,
    headers: HeaderMap,
    Form(form): Form<SignIn>,
) -> Response {
    match try_sign_in(&app, address, &headers, &form).await {
        Ok(response) => {
            metrics::counter!("vagt_sign_in_total", "outcome" => "ok").increment(1);
            response
        }
        Err(refused) => {
            metrics::counter!("vagt_sign_in_total", "outcome" => refused.outcome()).increment(1);
            refused.into_response(&app, &headers, &form.user)
        }
    }
}

enum Refused {
    Form,
    Wrong,
    TooOften(u64),
    Store,
}

impl Refused {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Wrong => "wrong",
            Self::TooOften(_) => "limited",
            Self::Store => "store",
        }
    }

    fn into_response(self, app: &App, headers: &HeaderMap, user: &str) -> Response {
        let w = accepted(headers).words();
        let (status, what) = match self {
            Self::Form => (StatusCode::FORBIDDEN, w.say("sign-in-form")),
            Self::Wrong => (StatusCode::UNAUTHORIZED, w.say("sign-in-wrong")),
            Self::TooOften(seconds) => (StatusCode::TOO_MANY_REQUESTS, w.count("sign-in-limited", seconds)),
            Self::Store => (StatusCode::SERVICE_UNAVAILABLE, w.say("error-store")),
        };
        let wants_json = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes() == b"application/json");
        match self {
            Self::TooOften(seconds) if wants_json => Problem::too_many(what, seconds).into_response(),
            _ if wants_json => Problem::new(status, what).into_response(),
            Self::TooOften(seconds) => {
                ([(header::RETRY_AFTER, seconds.to_string())], form(app, headers, status, user, Some(what)))
                    .into_response()
            }
            _ => form(app, headers, status, user, Some(what)),
        }
    }
}

async fn try_sign_in(
    app: &App,
    address: Option<std::net::IpAddr>,
    headers: &HeaderMap,
    form: &SignIn,
) -> Result<Response, Refused> {
    let given = cookie(headers, FORM_COOKIE).map(|seed| form_token(app, seed)).ok_or(Refused::Form)?;
    if security::check_origin(headers).is_err() || !same(&given, &form.csrf) {
        return Err(Refused::Form);
    }
    app.limit.check(&form.user, address).map_err(Refused::TooOften)?;
    if form.user.len() > FIELD_BYTES_MAX || form.password.len() > FIELD_BYTES_MAX {
        return Err(Refused::Wrong);
    }
    let store_failed = |error: store::StoreError| {
        tracing::error!(%error, "the store failed a sign-in");
        Refused::Store
    };
    let account = app.desk.store.account(&form.user).await.map_err(store_failed)?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let good = password::verify(form.password.clone(), hash).await;
    let account = account.filter(|_| good).ok_or(Refused::Wrong)?;
    end_old_session(app, headers).await.map_err(store_failed)?;
    let (session, token) = Session::new(&account, clock::now());
    session.save(&*app.desk.store).await.map_err(store_failed)?;
    Ok(with_cookies(
        app,
        Redirect::to("/"),
        &[(SESSION_COOKIE, &token, SESSION_AGE_MAX.as_secs()), (FORM_COOKIE, "", 0)],
    ))
}

/// A session of before is not carried on.
async fn end_old_session(app: &App, headers: &HeaderMap) -> Result<(), store::StoreError> {
    let Some(old) = cookie(headers, SESSION_COOKIE) else { return Ok(()) };
    let id = sha256_hex(&[old]);
    app.sessions.forget(&id);
    app.desk.store.end_web_session(&id, clock::now()).await
}

/// `POST /sign-out`.
pub async fn sign_out(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
) -> Result<Response, PageError> {
    app.sessions.forget(&session.id);
    app.desk.store.end_web_session(&session.id, clock::now()).await.map_err(PageError::store(&session))?;
    Ok(with_cookies(&app, Redirect::to("/sign-in"), &[(SESSION_COOKIE, "", 0)]))
}

/// What the language switch sends.
#[derive(Deserialize)]
pub struct Switch {
    language: String,
}

/// `POST /language`: of whoever is signed in, and of their account.
pub async fn language(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
    Form(switch): Form<Switch>,
) -> Result<Response, PageError> {
    let language = Language::of(&switch.language).ok_or_else(|| PageError::not_found(&session))?;
    let code = language.code().to_owned();
    let failed = PageError::store(&session);
    let changed = Session { language: code.clone(), ..session.clone() };
    changed.save(&*app.desk.store).await.map_err(&failed)?;
    if let Some(account) = app.desk.store.account(&session.user).await.map_err(&failed)? {
        app.desk.store.put_account(&store::Account { language: code, ..account }).await.map_err(&failed)?;
    }
    Ok(Redirect::to(&back(&headers)).into_response())
}

/// The page of this site that a form was on.
fn back(headers: &HeaderMap) -> String {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let path = text(header::REFERER).split_once("://").and_then(|(_, rest)| rest.strip_prefix(text(header::HOST)));
    path.filter(|path| path.starts_with('/') && !path.starts_with("//")).unwrap_or("/").to_owned()
}

fn with_cookies(app: &App, redirect: Redirect, cookies: &[(&str, &str, i64)]) -> Response {
    let mut response = redirect.into_response();
    for (name, value, seconds) in cookies {
        response.headers_mut().append(header::SET_COOKIE, set_cookie(name, value, *seconds, app.desk.secure_cookies));
    }
    response
}

/// The form's token of a browser's seed: who knows the one can't make the other.
fn form_token(app: &App, seed: &str) -> String {
    sha256_hex(&[&app.form_secret, seed])
}

fn accepted(headers: &HeaderMap) -> Language {
    Language::accepted(headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
}

/// The form, tied to the browser: its seed stays as long as the cookie does, so that two open forms both work.
fn form(app: &App, headers: &HeaderMap, status: StatusCode, user: &str, wrong: Option<String>) -> Response {
    let hex = |seed: &&str| seed.len() == 64 && seed.bytes().all(|byte| byte.is_ascii_hexdigit());
    let seed = cookie(headers, FORM_COOKIE).filter(hex).map_or_else(token, str::to_owned);
    let language = accepted(headers);
    let page = SignInPage {
        w: language.words(),
        lang: language.code(),
        style: assets::url("desk.css"),
        icon: assets::url("icon.svg"),
        clinic: &app.desk.clinic,
        simulated: app.desk.simulated,
        csrf: form_token(app, &seed),
        user,
        wrong,
    };
    let mut response = (status, html(&page)).into_response();
    let line = set_cookie(FORM_COOKIE, &seed, FORM_SECONDS_MAX, app.desk.secure_cookies);
    response.headers_mut().append(header::SET_COOKIE, line);
    response
}
