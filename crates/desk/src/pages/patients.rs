//! `/patients`: everybody who is watched, with a search by name.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{
    Extension,
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use triage::Mark;
use vitals::PatientId;

use crate::{
    app::App,
    board::Person,
    pages::{
        cards::sub,
        frame::{Frame, html},
    },
    say::Say,
    session::Session,
};

/// People listed at most; a search narrows it.
const ROWS_MAX: usize = 1000;

/// What is searched for.
#[derive(Deserialize)]
pub struct Search {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "patients.html")]
struct PatientsPage {
    f: Frame,
    q: String,
    rows: Vec<Row>,
    found: String,
}

struct Row {
    id: String,
    name: String,
    sub: String,
    simulated: bool,
    mark: &'static str,
    mark_word: String,
    waiting: Option<String>,
}

/// The page.
pub async fn page(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Query(search): Query<Search>,
) -> Response {
    let say = app.say(&session);
    let worst = worst_marks(&app);
    let wanted = search.q.trim().to_lowercase();
    let mut found: Vec<Person> = app.desk.board.people();
    found.retain(|person| matches(person, &wanted));
    found.sort_by(|a, b| a.patient.name.cmp(&b.patient.name));
    let count = say.words.count("people", found.len());
    let rows = found.iter().take(ROWS_MAX).map(|person| row(&say, person, worst.get(&person.patient.id))).collect();
    html(&PatientsPage {
        f: Frame::new(&app, &session, "patients", app.desk.board.version()),
        q: search.q,
        rows,
        found: count,
    })
}

fn matches(person: &Person, wanted: &str) -> bool {
    wanted.is_empty()
        || person.patient.name.to_lowercase().contains(wanted)
        || person.patient.id.as_str().contains(wanted)
}

/// Of each patient, the worst open alert's mark and how many are open.
fn worst_marks(app: &App) -> HashMap<PatientId, (Mark, usize)> {
    let mut worst = HashMap::new();
    for alert in app.desk.board.queue().1 {
        let (mark, count) = worst.entry(alert.patient.clone()).or_insert((alert.mark, 0));
        *mark = alert.mark.max(*mark);
        *count += 1;
    }
    worst
}

fn row(say: &Say<'_>, person: &Person, open: Option<&(Mark, usize)>) -> Row {
    // Green of what was measured, while something that is expected is missing, is not how somebody is.
    let missing = |blue| if blue { Mark::Blue } else { Mark::Green };
    let judged = person.standing.map(|standing| Mark::from(standing.colour).max(missing(standing.blue)));
    let mark = open.map(|(mark, _)| *mark).or(judged);
    Row {
        id: person.patient.id.to_string(),
        name: person.patient.name.clone(),
        sub: sub(say, person),
        simulated: person.patient.simulated,
        mark: mark.map_or("none", Mark::name),
        mark_word: mark.map_or_else(|| say.words.say("mark-none"), |mark| say.mark(mark)),
        waiting: open.map(|(_, count)| say.words.count("patients-waiting", *count)),
    }
}
