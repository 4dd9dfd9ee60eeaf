//! `/`: the queue on the left, which keeps still, and the chosen alert on the right.

use std::sync::Arc;

use askama::Template;
use axum::{
    Extension,
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use triage::AlertId;

use crate::{
    app::App,
    pages::{
        cards::{CARDS_MAX, Card, cards as draw_cards},
        detail::{Detail, detail},
        error::PageError,
        frame::{Frame, html},
    },
    session::Session,
    words::Words,
};

/// Which alert is open on the right.
#[derive(Deserialize)]
pub struct Chosen {
    alert: Option<String>,
}

impl Chosen {
    fn id(&self) -> Option<AlertId> {
        self.alert.as_ref()?.parse().ok()
    }
}

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    f: Frame,
    cards: Vec<Card>,
    more: Option<String>,
    d: Option<Detail>,
}

#[derive(Template)]
#[template(path = "cards.html")]
struct Cards {
    w: &'static Words,
    version: u64,
    counted: String,
    kits: String,
    cards: Vec<Card>,
    more: Option<String>,
}

/// The page.
pub async fn page(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Query(chosen): Query<Chosen>,
) -> Result<Response, PageError> {
    let (version, open) = app.desk.board.queue();
    let selected = chosen.id().or_else(|| open.first().map(|alert| alert.id));
    let cards = draw_cards(&app, &session, &open, selected).await;
    let d = match selected {
        Some(id) => app.read(detail(&app, &session, id, None)).await.flatten(),
        None => None,
    };
    Ok(html(&QueuePage { f: Frame::new(&app, &session, "queue", version), cards, more: more(&session, open.len()), d }))
}

/// The cards alone, for a page that has heard of a change.
pub async fn cards(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Query(chosen): Query<Chosen>,
) -> Result<Response, PageError> {
    let (version, open) = app.desk.board.queue();
    let cards = draw_cards(&app, &session, &open, chosen.id()).await;
    let frame = Frame::new(&app, &session, "queue", version);
    let (counted, kits) = (frame.counted(), frame.kits());
    Ok(html(&Cards { w: session.words(), version, counted, kits, cards, more: more(&session, open.len()) }))
}

fn more(session: &Session, open: usize) -> Option<String> {
    (open > CARDS_MAX).then(|| session.words().count("queue-more", open - CARDS_MAX))
}
