//! `/openapi.json`: every address of the desk, written as a table. A test compares it with the router.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

/// One address with one method.
struct Row {
    method: &'static str,
    path: &'static str,
    does: &'static str,
    /// Query parameters: name, JSON type, what it is.
    query: &'static [(&'static str, &'static str, &'static str)],
    /// The request body's schema: JSON for the API, a form for pages.
    body: Option<(&'static str, &'static str)>,
    /// The answer's status, media type and schema.
    answer: (u16, &'static str, &'static str),
    /// Errors, each as problem details on the API.
    errors: &'static [u16],
    /// Without a session?
    open: bool,
}

const JSON: &str = "application/json";
const HTML: &str = "text/html";
const FORM: &str = "application/x-www-form-urlencoded";

const fn api(
    method: &'static str,
    path: &'static str,
    does: &'static str,
    schema: &'static str,
    errors: &'static [u16],
) -> Row {
    Row { method, path, does, query: &[], body: None, answer: (200, JSON, schema), errors, open: false }
}

const fn page(path: &'static str, does: &'static str) -> Row {
    Row {
        method: "get",
        path,
        does,
        query: &[],
        body: None,
        answer: (200, HTML, "Html"),
        errors: &[404, 503],
        open: false,
    }
}

const fn form(path: &'static str, does: &'static str, schema: &'static str) -> Row {
    Row {
        method: "post",
        path,
        does,
        query: &[],
        body: Some((FORM, schema)),
        answer: (303, HTML, "Html"),
        errors: &[403, 404, 409, 413, 422, 503],
        open: false,
    }
}

const fn open(path: &'static str, does: &'static str, media: &'static str, errors: &'static [u16]) -> Row {
    Row { method: "get", path, does, query: &[], body: None, answer: (200, media, "Text"), errors, open: true }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    open("/healthz", "The process answers.", "text/plain", &[]),
    open("/readyz", "The store takes data and readings are being taken in.", "text/plain", &[503]),
    open("/metrics", "Metrics for Prometheus.", "text/plain", &[]),
    open("/openapi.json", "This description.", JSON, &[]),
    open("/assets/{name}", "A style sheet or a script.", "text/plain", &[404]),
    open("/sign-in", "The sign-in form.", HTML, &[]),
    Row { method: "post", open: true, errors: &[401, 403, 422, 429, 503], ..form("/sign-in", "Signs in and sets the session's cookie.", "SignIn") },
    form("/sign-out", "Ends the session.", "Token"),
    form("/language", "Changes the language of the pages.", "Language"),
    Row { query: &[("alert", "string", "the alert that is open on the right")], ..page("/", "The queue.") },
    Row { query: &[("alert", "string", "the alert that is open on the right")], ..page("/queue/cards", "The queue's cards alone.") },
    page("/alerts/{id}", "One alert."),
    form("/alerts/{id}/acknowledge", "Takes an alert.", "ActionForm"),
    form("/alerts/{id}/close", "Closes an alert with a reason.", "ActionForm"),
    Row { query: &[("q", "string", "part of a name")], ..page("/patients", "Everybody who is watched.") },
    page("/patients/{id}", "One patient."),
    form("/patients/{id}/commands", "Asks a patient's kit for something.", "CommandForm"),
    page("/kits", "Every kit."),
    page("/quarantine", "What could not be used."),
    Row { query: &[("after", "integer", "the version to begin after, if there is no Last-Event-ID")], answer: (200, "text/event-stream", "Text"),
        ..api("get", "/events", "What changed, and a beat every second. Resumes with Last-Event-ID.", "Text", &[401, 422, 503]) },
    api("get", "/api/v1/session", "Who is signed in, and the token that a change has to carry.", "Session", &[401, 503]),
    api("get", "/api/v1/alerts", "Open alerts, worst first, then longest waiting.", "Queue", &[401, 503]),
    api("get", "/api/v1/alerts/{id}", "One alert with its history.", "Alert", &[401, 404, 422, 503]),
    Row { body: Some((JSON, "Action")), ..api("post", "/api/v1/alerts/{id}/actions", "Acknowledges or closes an alert.", "AlertChange", &[401, 403, 404, 409, 413, 422, 503]) },
    api("get", "/api/v1/patients", "Everybody who is watched.", "Patients", &[401, 503]),
    api("get", "/api/v1/patients/{id}", "One patient with limits.", "Patient", &[401, 404, 503]),
    api("get", "/api/v1/patients/{id}/alerts", "A patient's alerts, newest first.", "Alerts", &[401, 404, 503]),
    Row { query: &[("days", "integer", "how far back, 1 to 366, 28 if not given"), ("vitals", "string", "names with commas between, all if not given")],
        ..api("get", "/api/v1/patients/{id}/curves", "A patient's values with their limits.", "Curves", &[401, 404, 422, 503]) },
    api("get", "/api/v1/kits", "Every kit and what was last heard of it.", "Kits", &[401, 503]),
    api("get", "/api/v1/kits/{id}/commands", "What a kit was asked, newest first, and what became of it.", "CommandStates", &[401, 404, 503]),
    Row { body: Some((JSON, "Ask")), answer: (201, JSON, "Command"),
        ..api("post", "/api/v1/kits/{id}/commands", "Asks a kit for a measurement, to show a message, to keep a schedule, for diagnostics.", "Command",
            &[401, 403, 404, 409, 413, 422, 503]) },
    api("get", "/api/v1/quarantine", "What could not be used, newest first.", "Quarantine", &[401, 503]),
];

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// `GET /openapi.json`.
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, JSON)], TEXT.as_str()).into_response()
}

fn document() -> Value {
    let mut paths = Map::new();
    for row in ROWS {
        let path = paths.entry(row.path).or_insert_with(|| json!({}));
        path[row.method] = operation(row);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Vagt desk", "version": "1", "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" } },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": crate::session::SESSION_COOKIE },
                "csrf": { "type": "apiKey", "in": "header", "name": "X-CSRF-Token" },
            },
        },
    })
}

fn operation(row: &Row) -> Value {
    let (status, media, schema) = row.answer;
    let mut responses = Map::new();
    responses.insert(status.to_string(), json!({ "description": "done", "content": content(media, schema) }));
    let problem =
        if row.answer.1 == HTML { content(HTML, "Html") } else { content("application/problem+json", "Problem") };
    for error in row.errors {
        responses.insert(error.to_string(), json!({ "description": "refused", "content": problem }));
    }
    let mut operation = json!({ "summary": row.does, "parameters": parameters(row), "responses": responses, "security": security(row) });
    if let Some((media, schema)) = row.body {
        operation["requestBody"] = json!({ "required": true, "content": content(media, schema) });
    }
    operation
}

fn security(row: &Row) -> Value {
    match (row.open, row.method) {
        (true, _) => json!([]),
        (false, "get") => json!([{ "session": [] }]),
        (false, _) => json!([{ "session": [], "csrf": [] }]),
    }
}

fn parameters(row: &Row) -> Vec<Value> {
    let in_path = row.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        in_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = row.query.iter().map(|(name, kind, what)| {
        json!({ "name": name, "in": "query", "required": false, "description": what, "schema": { "type": kind } })
    });
    in_path.chain(in_query).collect()
}

fn content(media: &str, schema: &str) -> Value {
    json!({ media: { "schema": { "$ref": format!("#/components/schemas/{schema}") } } })
}

/// An object that has at least these fields; more may be added.
fn object(fields: &[(&str, &str)], required: &[&str]) -> Value {
    let kind = |kind: &str| match kind {
        "time" => json!({ "type": "string", "format": "date-time" }),
        "any" => json!({}),
        plain => json!({ "type": plain }),
    };
    let fields: Map<String, Value> = fields.iter().map(|(name, of)| ((*name).to_owned(), kind(of))).collect();
    json!({ "type": "object", "properties": fields, "required": required })
}

fn list(of: &str) -> Value {
    json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{of}") } })
}

#[rustfmt::skip]
fn schemas() -> Value {
    let alert: &[(&str, &str)] = &[("id", "string"), ("patient", "string"), ("family", "string"), ("state", "object"), ("mark", "string"),
        ("now_mark", "string"), ("waiting_since", "time"), ("raised_at", "time"), ("changed_at", "time"), ("late", "boolean"),
        ("count", "integer"), ("normal_in_row", "integer"), ("findings", "array"), ("version", "integer"), ("events", "array")];
    json!({
        "Text": { "type": "string" },
        "Html": { "type": "string" },
        "Problem": object(&[("type", "string"), ("title", "string"), ("status", "integer"), ("detail", "string")], &["type", "title", "status", "detail"]),
        "SignIn": object(&[("user", "string"), ("password", "string"), ("csrf", "string")], &["user", "password", "csrf"]),
        "Token": object(&[("csrf", "string")], &["csrf"]),
        "Language": object(&[("csrf", "string"), ("language", "string")], &["csrf", "language"]),
        "ActionForm": object(&[("csrf", "string"), ("seen_version", "integer"), ("reason", "string"), ("note", "string")], &["csrf", "seen_version"]),
        "Action": object(&[("seen_version", "integer"), ("action", "string"), ("reason", "string"), ("note", "string")], &["seen_version", "action"]),
        "Session": object(&[("user", "string"), ("name", "string"), ("role", "string"), ("language", "string"), ("csrf", "string"), ("expires_at", "time")], &["user", "csrf"]),
        "Alert": object(alert, &["id", "patient", "family", "state", "mark", "version"]),
        "Alerts": list("Alert"),
        "AlertChange": object(&[("alert", "object"), ("event", "object")], &["alert", "event"]),
        "Queue": object(&[("version", "integer"), ("alerts", "array")], &["version", "alerts"]),
        "Patient": object(&[("id", "string"), ("name", "string"), ("born", "any"), ("programme", "string"), ("programme_version", "any"),
            ("simulated", "boolean"), ("since", "any"), ("colour", "any"), ("missing", "boolean"), ("limits", "array")], &["id", "name"]),
        "Patients": list("Patient"),
        "Curve": object(&[("vital", "string"), ("unit", "string"), ("unit_plain", "string"), ("since", "time"), ("until", "time"),
            ("zones", "array"), ("points", "array")], &["vital", "unit", "points"]),
        "Curves": list("Curve"),
        "Kit": object(&[("id", "string"), ("patient", "any"), ("patients", "array"), ("enrolled", "boolean"), ("devices", "array"),
            ("revoked", "boolean"), ("online", "boolean"), ("heard_at", "any"), ("status", "any")], &["id", "online"]),
        "CommandForm": object(&[("csrf", "string"), ("kit", "string"), ("command", "string"), ("vital", "string"), ("text", "string")],
            &["csrf", "kit", "command"]),
        "Ask": object(&[("id", "string"), ("command", "string"), ("vital", "string"), ("text", "string"), ("schedule", "array"),
            ("patient", "string"), ("expires_at", "time")], &["command"]),
        "Command": object(&[("id", "string"), ("kit", "string"), ("patient", "string"), ("command", "string"), ("by", "string"),
            ("issued_at", "time"), ("expires_at", "time"), ("body", "object")], &["id", "kit", "command", "issued_at", "expires_at", "body"]),
        "CommandState": object(&[("id", "string"), ("kit", "string"), ("patient", "string"), ("command", "string"), ("by", "string"),
            ("issued_at", "time"), ("expires_at", "time"), ("body", "object"), ("state", "string"), ("changed_at", "time"),
            ("detail", "string"), ("receipts", "array")], &["id", "kit", "command", "state", "changed_at", "receipts"]),
        "CommandStates": list("CommandState"),
        "Kits": list("Kit"),
        "Quarantine": object(&[("total", "integer"), ("newest", "array")], &["total", "newest"]),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What the router's source mounts: the API's list stands under `/api/v1`.
    fn mounted() -> BTreeSet<String> {
        let source = include_str!("router.rs");
        let (pages, api) = source.split_once("fn api_routes").unwrap();
        let found = |text: &str, prefix: &str| {
            let routes = text.split(".route(\"").skip(1);
            routes.map(|rest| format!("{prefix}{}", rest.split('"').next().unwrap())).collect::<Vec<_>>()
        };
        found(pages, "").into_iter().chain(found(api, "/api/v1")).collect()
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let described: BTreeSet<String> = ROWS.iter().map(|row| row.path.to_owned()).collect();
        assert_eq!(described, mounted());
    }

    #[test]
    fn every_schema_that_is_named_exists() {
        let document = document();
        let text = document.to_string();
        for rest in text.split("#/components/schemas/").skip(1) {
            let name = rest.split('"').next().unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        }
    }
}
