//! What every request passes: the headers of every answer, and the guard of everything that changes something.
//!
//! A change needs three things: a session (see `session`), an `Origin` of this very page where a browser sends one, and the session's
//! synchroniser token, in the `X-CSRF-Token` header or the form field `csrf`.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::{Form, FromRequest, OriginalUri, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    app::App,
    clock,
    pages::error::PageError,
    problem::Problem,
    session::{Session, same},
};

/// The largest body that is read.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The largest body that holds a programme, which is told as a JSON text: twice a programme's bytes.
pub const PROGRAMME_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Addresses that take a programme.
const WITH_PROGRAMME: [&str; 2] = ["/api/v1/programmes", "/api/v1/backtests"];

const CSRF_HEADER: &str = "x-csrf-token";

/// Nothing from elsewhere, nothing inline, no frames, no plug-ins.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Puts the security headers on every answer; and nothing about people into any cache.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Who is refused, and how that is said: a page sends to sign-in, the API gives a problem.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A page.
    Page,
    /// The API or the event stream.
    Api,
}

/// Lets only signed-in people through, to pages.
pub async fn guard_pages(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    guard(&app, Kind::Page, request, next).await
}

/// Lets only signed-in people through, to the API.
pub async fn guard_api(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    guard(&app, Kind::Api, request, next).await
}

async fn guard(app: &App, kind: Kind, mut request: Request, next: Next) -> Response {
    let session = match app.session(request.headers()).await {
        Ok(Some(session)) => session,
        Ok(None) => return sign_in_first(kind, request.headers()),
        Err(error) => return refused(kind, Problem::from(error), request.headers(), None),
    };
    if changes_something(request.method()) {
        let headers = request.headers().clone();
        request = match check_change(request, &session.csrf).await {
            Ok(request) => request,
            Err(problem) => return refused(kind, problem, &headers, Some(&session)),
        };
    }
    // Without it colleagues are called what they were called before.
    let _known = app.read(app.names.refresh(&*app.desk.store, clock::now())).await;
    request.extensions_mut().insert(session);
    next.run(request).await
}

fn changes_something(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn sign_in_first(kind: Kind, headers: &HeaderMap) -> Response {
    match kind {
        Kind::Api => Problem::new(StatusCode::UNAUTHORIZED, "sign in first").into_response(),
        Kind::Page if headers.contains_key("hx-request") => {
            (StatusCode::UNAUTHORIZED, [("hx-redirect", "/sign-in")]).into_response()
        }
        Kind::Page => Redirect::to("/sign-in").into_response(),
    }
}

fn refused(kind: Kind, problem: Problem, headers: &HeaderMap, session: Option<&Session>) -> Response {
    match kind {
        Kind::Api => problem.into_response(),
        Kind::Page => PageError::of(problem, headers, session).into_response(),
    }
}

/// Checks the origin and the token of a change, and gives the request back with its body as it was.
pub async fn check_change(request: Request, csrf: &str) -> Result<Request, Problem> {
    check_origin(request.headers())?;
    let (parts, body) = request.into_parts();
    let most = bytes_max(&parts);
    let bytes = axum::body::to_bytes(body, most).await.map_err(|_| too_large(most))?;
    let given = match parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()) {
        Some(token) => token.to_owned(),
        None => form_token(&parts.headers, &bytes).await.unwrap_or_default(),
    };
    if !same(&given, csrf) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the form's token is missing or old: load the page again"));
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// How large a body may be. Routers that are nested see the rest of an address; what was asked for is the whole.
fn bytes_max(parts: &Parts) -> usize {
    let asked = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
    if WITH_PROGRAMME.contains(&asked.path()) { PROGRAMME_BODY_BYTES_MAX } else { BODY_BYTES_MAX }
}

fn too_large(most: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {most} bytes"))
}

/// A browser says where a change comes from; another program does not, and can't be made to by a page.
pub fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or_default();
    let ours = |origin: &str| origin.split_once("://").is_some_and(|(_, at)| at.eq_ignore_ascii_case(host));
    let good = match (text("origin"), text("sec-fetch-site")) {
        (Some(origin), _) => ours(origin),
        (None, Some(site)) => matches!(site, "same-origin" | "none"),
        (None, None) => true,
    };
    if good { Ok(()) } else { Err(Problem::new(StatusCode::FORBIDDEN, "the request comes from another page")) }
}

#[derive(Deserialize)]
struct TokenField {
    csrf: String,
}

async fn form_token(headers: &HeaderMap, bytes: &Bytes) -> Option<String> {
    let mut request = Request::builder().method(Method::POST).body(Body::from(bytes.clone())).ok()?;
    request.headers_mut().insert(header::CONTENT_TYPE, headers.get(header::CONTENT_TYPE)?.clone());
    let Form(field) = Form::<TokenField>::from_request(request, &()).await.ok()?;
    Some(field.csrf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[(&'static str, &str)], wanted: bool) {
        let headers =
            lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        assert_eq!(check_origin(&headers).is_ok(), wanted, "{lines:?}");
    }

    #[test]
    fn a_change_must_come_from_our_own_page() {
        check(&[("host", "vagt.example"), ("origin", "https://vagt.example")], true);
        check(&[("host", "vagt.example:8443"), ("origin", "https://vagt.example:8443")], true);
        check(&[("host", "vagt.example"), ("origin", "https://evil.example")], false);
        check(&[("host", "vagt.example"), ("origin", "https://vagt.example.evil.example")], false);
        check(&[("host", "vagt.example"), ("origin", "null")], false);
        check(&[("host", "vagt.example"), ("sec-fetch-site", "cross-site")], false);
        check(&[("host", "vagt.example"), ("sec-fetch-site", "same-origin")], true);
        check(&[("host", "vagt.example")], true);
    }
}
