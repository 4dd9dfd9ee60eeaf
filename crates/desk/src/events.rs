//! `/events`: what changed, as server-sent events; and every second a beat, so that a page knows whether it is live.
//!
//! A page has a cursor into the board's ring (see `feed`); between the two is a small buffer. A page that does not take what it is sent is
//! disconnected: its browser comes back with `Last-Event-ID`, and goes on or loads again.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    Board,
    app::App,
    clock,
    feed::{Change, News, Read},
    problem::Problem,
    session::Session,
};

/// Pages that may be open at the same time.
pub const EVENT_PAGES_MAX: usize = 512;
/// Events on their way to one page.
const PAGE_EVENTS_MAX: usize = 64;
/// A page that takes nothing for so long is disconnected.
const STALL_SECONDS_MAX: u64 = 10;
/// How often the session is looked at again, so that signing out ends the stream.
const SESSION_BEATS: u32 = 15;

const BEAT: Duration = Duration::from_secs(1);

/// Where a page begins that has no `Last-Event-ID` yet: the version that it was drawn from.
#[derive(Deserialize)]
pub struct From {
    after: Option<u64>,
}

/// What a page hears every second.
#[derive(Debug, Serialize)]
struct Beat {
    at: Timestamp,
    live: bool,
    behind_since: Option<Timestamp>,
    reason: Option<String>,
    waiting: usize,
    red: usize,
    red_late: usize,
    yellow: usize,
    missing: usize,
    kits_online: usize,
    kits_offline: usize,
    quarantined: u64,
}

/// The stream.
pub async fn events(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    from: Result<Query<From>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(from) = from.map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.body_text()))?;
    let full = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{EVENT_PAGES_MAX} pages are open already"));
    let place = app.pages.clone().try_acquire_owned().map_err(|_| full())?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let cursor = last.or(from.after).unwrap_or_else(|| app.desk.board.version());
    let (page, events) = mpsc::channel(PAGE_EVENTS_MAX);
    tokio::spawn(pump(app, session, cursor, page, place));
    let stream = futures::StreamExt::map(ReceiverStream::new(events), Ok::<_, Infallible>);
    Ok((
        [(header::CACHE_CONTROL, "no-store"), (header::HeaderName::from_static("x-accel-buffering"), "no")],
        Sse::new(stream),
    )
        .into_response())
}

/// Feeds one page until it goes away, stalls, its session ends, or the core stops (so that a server can stop with pages open).
async fn pump(
    app: Arc<App>,
    session: Session,
    mut cursor: u64,
    page: mpsc::Sender<Event>,
    _place: OwnedSemaphorePermit,
) {
    metrics::gauge!("vagt_desk_pages").increment(1);
    let mut version = app.desk.board.watch();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut beats = 0_u32;
    loop {
        let beating = tokio::select! {
            () = page.closed() => break,
            changed = version.changed() => { if changed.is_err() { break } false }
            _ = beat.tick() => true,
        };
        if !drain(&app.desk.board, &mut cursor, &page).await {
            break;
        }
        if beating {
            beats = beats.wrapping_add(1);
            let checked = !beats.is_multiple_of(SESSION_BEATS) || lasts(&app, &session).await;
            let stopping = app.desk.actions.is_closed();
            if !checked || !send(&page, beat_event(&app.desk.board)).await || stopping {
                break;
            }
        }
    }
    metrics::gauge!("vagt_desk_pages").decrement(1);
}

/// Sends everything after the cursor. False when the page no longer takes it.
async fn drain(board: &Board, cursor: &mut u64, page: &mpsc::Sender<Event>) -> bool {
    loop {
        let lines = match board.after(*cursor) {
            Read::Resync(version) => {
                *cursor = version;
                metrics::counter!("vagt_desk_resyncs_total").increment(1);
                return send(page, resync_event(version)).await;
            }
            Read::Lines(lines) => lines,
        };
        if lines.is_empty() {
            return true;
        }
        for change in lines {
            *cursor = change.at_version;
            if !send(page, change_event(&change)).await {
                return false;
            }
            metrics::histogram!("vagt_desk_event_delay_seconds").record(change.since.elapsed().as_secs_f64());
        }
    }
}

async fn send(page: &mpsc::Sender<Event>, event: Event) -> bool {
    let taken = timeout(Duration::from_secs(STALL_SECONDS_MAX), page.send(event)).await;
    if taken.is_err() {
        metrics::counter!("vagt_desk_stalled_pages_total").increment(1);
    }
    matches!(taken, Ok(Ok(())))
}

/// Does the session still last? A store that does not answer ends nobody's session: the beat says that it does not answer.
async fn lasts(app: &App, session: &Session) -> bool {
    let now = clock::now();
    session.lasts(&*app.desk.store, now).await.unwrap_or(session.expires_at > now)
}

fn change_event(change: &Change) -> Event {
    let (name, data) = match &change.news {
        News::Alert(line) => ("alert", serde_json::to_string(line)),
        News::Pulse(pulse) => ("heartbeat", serde_json::to_string(pulse)),
    };
    Event::default().event(name).id(change.at_version.to_string()).data(data.expect("plain fields are JSON"))
}

fn resync_event(version: u64) -> Event {
    Event::default().event("resync").id(version.to_string()).data("{}")
}

fn beat_event(board: &Board) -> Event {
    let now = clock::now();
    let (live, counts) = (board.liveness(now), board.counts());
    let beat = Beat {
        at: now,
        live: live.live,
        behind_since: live.behind_since,
        reason: live.reason,
        waiting: live.waiting,
        red: counts.red,
        red_late: counts.red_late,
        yellow: counts.yellow,
        missing: counts.blue,
        kits_online: counts.kits_online,
        kits_offline: counts.kits_offline,
        quarantined: counts.quarantined,
    };
    Event::default().event("beat").data(serde_json::to_string(&beat).expect("plain fields are JSON"))
}
