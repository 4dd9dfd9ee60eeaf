//! A browser: the router, asked as a browser asks it, with the cookies and the token that it was given.
#![allow(dead_code, reason = "each test uses its own part of it")]

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use futures::StreamExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::clinic::{Clinic, PASSWORD};

const BODY_BYTES_MAX: usize = 1 << 20;
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A browser: a router, and the cookies that it has been given.
pub struct Browser {
    pub router: Router,
    pub session: Option<String>,
    pub form: Option<String>,
    pub csrf: String,
}

pub struct Answer {
    pub status: StatusCode,
    pub head: axum::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap();
        Self { status: parts.status, head: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn head(&self, name: &str) -> &str {
        self.head.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        let lines = self.head.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap());
        let value = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')?.split(';').next()).next()?;
        Some(value.to_owned())
    }

    /// It is a problem of this status, in its media type.
    #[track_caller]
    pub fn is_problem(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.head("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status.as_u16());
        assert!(problem["title"].is_string() && problem["detail"].is_string() && problem["type"].is_string());
        problem
    }
}

impl Browser {
    pub fn new(clinic: &Clinic) -> Self {
        Self { router: desk::router(clinic.desk()), session: None, form: None, csrf: String::new() }
    }

    pub async fn signed_in(clinic: &Clinic, user: &str) -> Self {
        let mut browser = Self::new(clinic);
        let answer = browser.sign_in(user, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        browser.csrf = browser.get("/api/v1/session").await.json()["csrf"].as_str().unwrap().to_owned();
        browser
    }

    pub async fn sign_in(&mut self, user: &str, password: &str) -> Answer {
        let page = self.get("/sign-in").await;
        self.form = page.cookie("vagt_form").or(self.form.take());
        let csrf = between(&page.text, "name=\"csrf\" value=\"", "\"").to_owned();
        let body = format!("user={user}&password={}&csrf={csrf}", password.replace(' ', "+"));
        let answer = self.send(self.post("/sign-in", FORM).body(Body::from(body)).unwrap()).await;
        self.session = answer.cookie("vagt_session").or(self.session.take());
        answer
    }

    pub fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let cookies = [("vagt_session", &self.session), ("vagt_form", &self.form)];
        let cookies = cookies.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        Request::builder().method(method).uri(path).header("host", "desk.example").header("cookie", cookies)
    }

    pub fn post(&self, path: &str, media: &str) -> axum::http::request::Builder {
        self.request("POST", path).header("content-type", media).header("origin", "http://desk.example")
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    pub async fn form(&self, path: &str, fields: &str) -> Answer {
        let body = format!("{fields}&csrf={}", self.csrf);
        self.send(self.post(path, FORM).header("hx-request", "true").body(Body::from(body)).unwrap()).await
    }

    pub async fn act(&self, alert: &str, action: Value) -> Answer {
        self.api(&format!("/api/v1/alerts/{alert}/actions"), action).await
    }

    /// A change through the API.
    pub async fn api(&self, path: &str, body: Value) -> Answer {
        let request = self.post(path, "application/json").header("x-csrf-token", &self.csrf);
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// The first events of the stream that begins after `cursor`, as (event, id, data).
    pub async fn events(&self, cursor: &str, count: usize) -> Vec<(String, String, Value)> {
        let request = self.request("GET", "/events").header("last-event-id", cursor).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let (mut body, mut text) = (response.into_body().into_data_stream(), String::new());
        while text.matches("\n\n").count() < count {
            text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
        }
        text.split("\n\n").take(count).map(event).collect()
    }
}

fn event(text: &str) -> (String, String, Value) {
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    (field("event:"), field("id:"), serde_json::from_str(&field("data:")).unwrap())
}

pub fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).unwrap_or_else(|| panic!("no {start:?} in {text}")).1;
    rest.split_once(end).unwrap().0
}
