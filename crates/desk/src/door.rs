//! `POST /api/v1/readings`: a kit's message over HTTP, for kits behind proxies that let nothing else through. The same message as over MQTT,
//! and the same promise: the answer comes when it is stored.
//!
//! The desk knows how HTTP speaks; who the kit is and what becomes of the message, the service says.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest as _, Request, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

use crate::{app::App, problem::Problem};

/// The largest body that is read. What is above the contract's largest message goes to quarantine, so that somebody can see what a kit sends.
pub const BODY_BYTES_MAX: usize = 4 * wire::MESSAGE_BYTES_MAX;
/// When a kit without a stored message should come again, in seconds.
const AGAIN_SECONDS: u64 = 10;
/// The longest `Authorization` that is looked at.
const CREDENTIALS_BYTES_MAX: usize = 1024;

/// A message's room, given back when this is dropped.
pub type Entered = Box<dyn Send>;

/// What takes a kit's messages in.
#[async_trait]
pub trait Door: Send + Sync + 'static {
    /// Lets a kit in with a message, before anything of that is read; what is given is held until the answer.
    ///
    /// # Errors
    /// [`NotTakenIn::Unknown`], or [`NotTakenIn::Later`] where so much is being read and stored that there is no room.
    fn enter(&self, kit: &str, secret: &[u8]) -> Result<Entered, NotTakenIn>;

    /// Takes a message from who says to be this kit; returns when it is stored.
    ///
    /// # Errors
    /// Why it was not.
    async fn take(&self, kit: &str, secret: &[u8], payload: Bytes) -> Result<TakenIn, NotTakenIn>;
}

/// A message that is stored, for the first time or again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TakenIn {
    /// Always true: it may be forgotten.
    pub stored: bool,
    /// What of it could not be used, and is in quarantine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

/// A message that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTakenIn {
    /// This is no kit, or not its secret.
    Unknown,
    /// Nothing of it can be used. It is in quarantine, with this reason; sending it again changes nothing.
    Unusable(String),
    /// This kit sends too fast; after so many seconds it may send again.
    TooFast(u64),
    /// It could not be stored now. It is to be sent again.
    Later(String),
}

/// Handles a message.
pub async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    let Some(door) = &app.desk.door else {
        return Problem::not_found("door for readings here").into_response();
    };
    let Some((kit, secret)) = credentials(request.headers()) else { return unknown() };
    let _entered = match door.enter(&kit, secret.as_bytes()) {
        Ok(entered) => entered,
        Err(why) => return told(Err(why), 0),
    };
    let payload = match Bytes::from_request(request, &()).await {
        Ok(payload) => payload,
        Err(error) => return Problem::new(error.status(), unread(&error)).into_response(),
    };
    let bytes = payload.len();
    told(door.take(&kit, secret.as_bytes(), payload).await, bytes)
}

/// The answer to a message of so many bytes: what is to be sent again says when.
fn told(outcome: Result<TakenIn, NotTakenIn>, bytes: usize) -> Response {
    match outcome {
        Ok(taken) => Json(taken).into_response(),
        Err(NotTakenIn::Unknown) => unknown(),
        Err(NotTakenIn::Unusable(why)) if bytes > wire::MESSAGE_BYTES_MAX => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why).into_response()
        }
        Err(NotTakenIn::Unusable(why)) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why).into_response(),
        Err(NotTakenIn::TooFast(seconds)) => {
            Problem::too_many("this kit sends faster than it may", seconds).into_response()
        }
        Err(NotTakenIn::Later(why)) => later(why),
    }
}

fn unread(error: &BytesRejection) -> String {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => format!(
            "message has more than {BODY_BYTES_MAX} bytes, at most {} are taken; nothing of it is kept",
            wire::MESSAGE_BYTES_MAX
        ),
        _ => error.body_text(),
    }
}

fn later(why: String) -> Response {
    let mut response = Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(AGAIN_SECONDS));
    response
}

fn unknown() -> Response {
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "want the kit's id and secret as HTTP basic credentials")
        .into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"kit\""));
    response
}

/// Of the form `Basic base64(kit:secret)` (RFC 7617).
fn credentials(head: &HeaderMap) -> Option<(String, String)> {
    let said = head.get(header::AUTHORIZATION)?.to_str().ok().filter(|said| said.len() <= CREDENTIALS_BYTES_MAX)?;
    let (scheme, coded) = said.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let plain = String::from_utf8(STANDARD.decode(coded.trim()).ok()?).ok()?;
    plain.split_once(':').map(|(kit, secret)| (kit.to_owned(), secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_sent_again_says_when_and_nothing_else_does() {
        for (outcome, status, again) in [
            (Ok(TakenIn { stored: true, rejected: None }), 200, None),
            (Err(NotTakenIn::Unknown), 401, None),
            (Err(NotTakenIn::Unusable("no".to_owned())), 422, None),
            (Err(NotTakenIn::TooFast(7)), 429, Some("7")),
            (Err(NotTakenIn::Later("the store is away".to_owned())), 503, Some("10")),
        ] {
            let answer = told(outcome, 100);
            let found = answer.headers().get(header::RETRY_AFTER).map(|again| again.to_str().unwrap());
            assert_eq!((answer.status().as_u16(), found), (status, again));
        }
    }

    #[test]
    fn credentials_are_read_and_nothing_else_is() {
        let read = |said: &str| {
            let head = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(said).unwrap())]);
            credentials(&head)
        };
        let wanted = Some(("kit-1".to_owned(), "a:b".to_owned()));
        assert_eq!((read("Basic a2l0LTE6YTpi"), read("basic a2l0LTE6YTpi")), (wanted.clone(), wanted));
        let long = format!("Basic {}", "A".repeat(2000));
        for said in ["Bearer a2l0LTE6YTpi", "Basic", "Basic ###", "Basic a2l0LTE=", "", &long] {
            assert_eq!(read(said), None, "{said}");
        }
    }
}
