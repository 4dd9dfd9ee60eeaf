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

/// Of lists in pages.
const PAGED: &[(&str, &str, &str)] = &[
    ("limit", "integer", "so many, 1 to 1000, 1000 if not given"),
    ("after", "string", "those after this id; a `Link` with rel=next names the next page"),
];

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
    Row { method: "post", open: true, body: Some((JSON, "Message")), ..api("post", "/api/v1/readings", "Takes a kit's message, with the kit's id and secret as basic credentials; the answer comes when it is stored.", "TakenIn", &[401, 404, 413, 422, 429, 503]) },
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
    Row { query: &[("span", "string", "year: the curves of a year, by day")], ..page("/patients/{id}", "One patient.") },
    form("/patients/{id}/commands", "Asks a patient's kit for something.", "CommandForm"),
    Row { query: &[("at", "string", "as of when, by the clinic's clock; now if not given")], ..page("/patients/{id}/why-not", "Why there was no alert.") },
    Row { query: &[("before", "string", "of messages recorded before this time")], ..page("/patients/{id}/readings", "Every stored reading of the last days, page by page.") },
    form("/patients/{id}/readings", "Declares a reading invalid, or valid again.", "ReadingForm"),
    form("/patients/{id}/outcomes", "Records what really happened.", "OutcomeForm"),
    form("/patients/{id}/pauses", "Nothing is expected until then.", "PauseForm"),
    form("/patients/{id}/pauses/end", "Ends the pause that holds now.", "Token"),
    page("/programmes", "Every programme with its versions."),
    page("/programmes/{id}/{version}", "One version: what it says, and what differs from the one in use."),
    page("/kits", "Every kit."),
    page("/quarantine", "What could not be used."),
    Row { query: &[("after", "integer", "the version to begin after, if there is no Last-Event-ID")], answer: (200, "text/event-stream", "Text"),
        ..api("get", "/events", "What changed, and a beat every second. Resumes with Last-Event-ID.", "Text", &[401, 422, 503]) },
    api("get", "/api/v1/session", "Who is signed in, and the token that a change has to carry.", "Session", &[401, 503]),
    api("get", "/api/v1/alerts", "Open alerts, worst first, then longest waiting: 1000 at most, and how many there are in all.", "Queue", &[401, 503]),
    api("get", "/api/v1/alerts/{id}", "One alert with its history.", "Alert", &[401, 404, 422, 503]),
    Row { body: Some((JSON, "Action")), ..api("post", "/api/v1/alerts/{id}/actions", "Acknowledges or closes an alert; reason and note are for closing alone.", "AlertChange", &[401, 403, 404, 409, 413, 422, 503]) },
    Row { query: PAGED, ..api("get", "/api/v1/patients", "Everybody who is watched, by id.", "Patients", &[401, 422, 503]) },
    api("get", "/api/v1/patients/{id}", "One patient with limits.", "Patient", &[401, 404, 503]),
    api("get", "/api/v1/patients/{id}/alerts", "A patient's alerts, newest first.", "Alerts", &[401, 404, 503]),
    Row { query: &[("days", "integer", "how far back, 1 to 366, 28 if not given"), ("vitals", "string", "names with commas between, all if not given")],
        ..api("get", "/api/v1/patients/{id}/curves", "A patient's values with their limits.", "Curves", &[401, 404, 422, 503]) },
    Row { query: &[("days", "integer", "how far back: 1 to 3660 by day, to 92 by hour; 365, or 92, if not given"), ("by", "string", "day or hour; day if not given"),
                   ("vitals", "string", "names with commas between, all if not given")],
        ..api("get", "/api/v1/patients/{id}/long-curves", "By day or hour (UTC), how much was measured, between what, and the mean; without what is invalid. The last seconds may be missing.",
            "LongCurves", &[401, 404, 422, 503]) },
    api("get", "/api/v1/alerts/{id}/why", "Why each finding of an alert is as it is: the rule in words, inputs, the limit and whose it is, what would have been green.", "WhyAlert",
        &[401, 404, 422, 503]),
    Row { query: &[("at", "string", "as of when, a time; now if not given")],
        ..api("get", "/api/v1/patients/{id}/why-not", "Every rule as of a time: how near it was to its next limit, and what kept it quiet; the nearest first.", "WhyNot",
            &[401, 404, 422, 503]) },
    api("get", "/api/v1/patients/{id}/outcomes", "What was recorded of a patient, newest first.", "JournalEntries", &[401, 404, 503]),
    Row { body: Some((JSON, "NewOutcome")), answer: (201, JSON, "JournalEntry"),
        ..api("post", "/api/v1/patients/{id}/outcomes", "Records what really happened: an exacerbation, a decompensation, an admission, a death, or something else.", "JournalEntry",
            &[401, 403, 404, 413, 422, 503]) },
    Row { query: &[("days", "integer", "how far back, 1 to 92, 7 if not given"), ("limit", "integer", "so many, 1 to 2000, 500 if not given; the last message is told whole"),
                   ("before", "string", "of messages recorded before this time; a `Link` with rel=next names the next page")],
        ..api("get", "/api/v1/patients/{id}/readings", "A patient's stored readings with their places, newest first; what is invalid says by whom and why.", "Readings", &[401, 404, 422, 503]) },
    Row { body: Some((JSON, "ReadingChange")),
        ..api("post", "/api/v1/patients/{id}/readings/invalidate", "Declares a reading invalid: it stays stored, and nothing is judged by it any more.", "Reading",
            &[401, 403, 404, 409, 413, 422, 503]) },
    Row { body: Some((JSON, "ReadingChange")),
        ..api("post", "/api/v1/patients/{id}/readings/restore", "Takes a reading that was declared invalid in again.", "Reading", &[401, 403, 404, 409, 413, 422, 503]) },
    Row { query: &[("overdue", "boolean", "those alone that are overdue for review, or are not; `true` gives too the baselines that people lack: at most 100 people are looked at for a page, which may hold fewer, or nobody, and yet name a next"),
                   ("beyond_floor", "boolean", "those alone that pass a safety floor now, or don't"), PAGED[0], PAGED[1]],
        ..api("get", "/api/v1/own", "Everybody's own settings; with `overdue=true` also the rules that have no baseline of the patient's own.", "OwnViews", &[401, 422, 503]) },
    api("get", "/api/v1/patients/{id}/own", "A patient's own limits, reference values, oxygen and pauses, each with who set it, why, from when until when; the limits of the clinic that they are judged by now, since no programme and no own limit says them; and the rules that have no baseline of theirs.", "OwnView", &[401, 404, 503]),
    Row { body: Some((JSON, "OwnSet")),
        ..api("put", "/api/v1/patients/{id}/own", "Puts own settings in the place of those there are; who is signed in is the author of what is new. Doctors, operators and admins.", "OwnView",
            &[401, 403, 404, 409, 413, 422, 503]) },
    Row { body: Some((JSON, "NewPause")), answer: (201, JSON, "OwnView"),
        ..api("post", "/api/v1/patients/{id}/pauses", "Nothing is expected of a patient until then.", "OwnView", &[401, 403, 404, 409, 413, 422, 503]) },
    api("delete", "/api/v1/patients/{id}/pauses", "Ends the pause that holds now.", "OwnView", &[401, 403, 404, 409, 503]),
    api("get", "/api/v1/programmes", "Every programme with its versions and how each stands.", "Programmes", &[401, 503]),
    Row { body: Some((JSON, "Proposal")), answer: (201, JSON, "ProgrammeVersion"),
        ..api("post", "/api/v1/programmes", "Proposes a version; its text says which. One whose worked examples fail is kept, to be tried, with what keeps it from being taken into use. Operators and admins.", "ProgrammeVersion", &[401, 403, 409, 413, 422, 503]) },
    api("get", "/api/v1/programmes/{id}", "One programme with its versions, the newest first.", "Programme", &[401, 404, 503]),
    api("get", "/api/v1/programmes/{id}/versions/{version}", "One version: its text, and what it says in plain words.", "ProgrammeText", &[401, 404, 422, 503]),
    Row { body: Some((JSON, "Decision")),
        ..api("post", "/api/v1/programmes/{id}/versions/{version}/activate", "Takes a version into use that somebody else proposed, at once or from a time on; 409 where the same person proposed it. Operators and admins.",
            "Use", &[401, 403, 404, 409, 413, 422, 503]) },
    Row { body: Some((JSON, "Reasoned")), answer: (204, JSON, "Nothing"),
        ..api("post", "/api/v1/programmes/{id}/versions/{version}/reject", "Turns a proposed version down. Operators and admins.", "Nothing", &[401, 403, 404, 409, 413, 422, 503]) },
    Row { query: &[("since", "string", "from when on, a time")],
        ..api("get", "/api/v1/programmes/{id}/versions/{version}/shadow", "What a version that pages nobody would have raised, beside what was raised, day by day.", "ShadowReport", &[401, 404, 422, 503]) },
    Row { answer: (204, JSON, "Nothing"),
        ..api("put", "/api/v1/programmes/{id}/versions/{version}/shadow", "Lets a version judge beside the one in use without paging. Operators and admins.", "Nothing",
            &[401, 403, 404, 409, 422, 503]) },
    Row { answer: (204, JSON, "Nothing"),
        ..api("delete", "/api/v1/programmes/{id}/versions/{version}/shadow", "Ends that. Operators and admins.", "Nothing", &[401, 403, 404, 409, 422, 503]) },
    Row { body: Some((JSON, "Reasoned")),
        ..api("post", "/api/v1/programmes/{id}/rollback", "Goes back to the version that was in use before, at once: one person can. Operators and admins.", "Use", &[401, 403, 404, 409, 413, 422, 503]) },
    Row { query: &[("from", "integer", "a version"), ("to", "integer", "another")],
        ..api("get", "/api/v1/programmes/{id}/diff", "What differs between two versions, line by line.", "Diff", &[401, 404, 422, 503]) },
    api("get", "/api/v1/programmes/{id}/history", "What was decided about a programme, oldest first; the newest 1000.", "JournalEntries", &[401, 404, 503]),
    Row { query: &[("since", "string", "from when on, a time"), ("until", "string", "until when, a time")],
        ..api("get", "/api/v1/programmes/{id}/rules", "Of each rule: how often it fired, was acted on, was closed as false, and what it is worth.", "RulesReport", &[401, 404, 422, 503]) },
    Row { body: Some((JSON, "BacktestAsk")), answer: (202, JSON, "Question"),
        ..api("post", "/api/v1/backtests", "Asks what a version would have raised on the stored history, beside the one in use. Operators and admins.", "Question",
            &[401, 403, 404, 413, 422, 429, 503]) },
    Row { body: Some((JSON, "BudgetAsk")), answer: (202, JSON, "Question"),
        ..api("post", "/api/v1/budgets", "Asks for the limits that raise at most so many alerts per shift, within the safety floors. Operators and admins.", "Question",
            &[401, 403, 404, 413, 422, 429, 503]) },
    api("get", "/api/v1/questions", "Backtests and budgets that are known, the newest first.", "Questions", &[401, 503]),
    api("get", "/api/v1/questions/{id}", "How a backtest or budget stands, with its `result` once there is one.", "Question", &[401, 404, 503]),
    Row { answer: (204, JSON, "Nothing"),
        ..api("delete", "/api/v1/questions/{id}", "Ends one. What a backtest knows so far is its result, marked as partial; a budget has none and proposes nothing. Operators and admins.", "Nothing", &[401, 403, 404, 503]) },
    Row { query: PAGED, ..api("get", "/api/v1/kits", "Every kit and what was last heard of it, by id.", "Kits", &[401, 422, 503]) },
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
            "schemas": crate::schemas::schemas(),
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
    let done = match status {
        204 => json!({ "description": "done" }),
        _ => json!({ "description": "done", "content": content(media, schema) }),
    };
    responses.insert(status.to_string(), done);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What the router's source mounts, with the methods: the API's list stands under `/api/v1`.
    fn mounted() -> BTreeSet<(String, &'static str)> {
        const METHODS: [(&str, &str); 4] = [("get(", "get"), ("post(", "post"), ("put(", "put"), ("delete(", "delete")];
        let source = include_str!("router.rs");
        let (pages, api) = source.split_once("fn api_routes").unwrap();
        let found = |text: &str, prefix: &str| {
            let routes = text.split(".route(").skip(1).map(|route| {
                let (path, rest) = route.split_once('"').unwrap().1.split_once('"').unwrap();
                (format!("{prefix}{path}"), rest.split("fn ").next().unwrap().to_owned())
            });
            let called = |rest: &str, call: &str| {
                let begins = |at: usize| rest[..at].ends_with([' ', '.', '(']);
                rest.match_indices(call).any(|(at, _)| begins(at))
            };
            let of = |(path, rest): (String, String)| {
                METHODS
                    .iter()
                    .filter(|(call, _)| called(&rest, call))
                    .map(|(_, name)| (path.clone(), *name))
                    .collect::<Vec<_>>()
            };
            routes.flat_map(of).collect::<Vec<_>>()
        };
        found(pages, "").into_iter().chain(found(api, "/api/v1")).collect()
    }

    #[test]
    fn every_route_is_described_with_its_methods_and_nothing_else() {
        let described: BTreeSet<(String, &str)> = ROWS.iter().map(|row| (row.path.to_owned(), row.method)).collect();
        assert!(described.len() > 50, "{}", described.len());
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
