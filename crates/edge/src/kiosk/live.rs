//! `/live`: the page's regions whenever they look different, and a beat every second, so that the page knows that the kit is there.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{Kiosk, words::Language};

/// Pages that may be open at the same time.
pub const LIVE_PAGES_MAX: usize = 16;
/// Events on their way to one page.
const PAGE_EVENTS_MAX: usize = 4;
/// A page that takes nothing for so long is disconnected, and comes back.
const STALL_MAX: Duration = Duration::from_secs(10);
const BEAT: Duration = Duration::from_secs(1);
/// Between two drawings, at least: a value that runs is read no faster.
const DRAW_INTERVAL_MIN: Duration = Duration::from_millis(120);

/// The stream.
pub async fn live(State(kiosk): State<Kiosk>, headers: HeaderMap) -> Response {
    let Ok(place) = kiosk.inner.pages.clone().try_acquire_owned() else {
        let sentence = format!("{LIVE_PAGES_MAX} pages are open already\n");
        return (StatusCode::SERVICE_UNAVAILABLE, sentence).into_response();
    };
    let language = kiosk.language(&headers);
    let (page, mut events) = mpsc::channel(PAGE_EVENTS_MAX);
    tokio::spawn(pump(kiosk, language, page, place));
    let stream = futures::stream::poll_fn(move |context| events.poll_recv(context));
    Sse::new(futures::StreamExt::map(stream, Ok::<_, Infallible>)).into_response()
}

/// Feeds one page until it goes away, stalls, or the kit stops.
async fn pump(kiosk: Kiosk, language: Language, page: mpsc::Sender<Event>, _place: OwnedSemaphorePermit) {
    let mut view = kiosk.inner.person.view.clone();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown = String::new();
    loop {
        let beating = tokio::select! {
            () = page.closed() => return,
            () = kiosk.inner.stop.cancelled() => return,
            changed = view.changed() => { if changed.is_err() { return } false }
            _ = beat.tick() => true,
        };
        let now = view.borrow_and_update().clone();
        // Drawn at every beat: what is said of times changes by itself.
        let drawn = kiosk.drawing(&now, language).regions();
        let event = if drawn != shown {
            let data = serde_json::to_string(&drawn).expect("a text is JSON");
            shown = drawn;
            Event::default().event("page").data(data)
        } else if beating {
            Event::default().event("beat").data("{}")
        } else {
            continue;
        };
        if !matches!(timeout(STALL_MAX, page.send(event)).await, Ok(Ok(()))) {
            return;
        }
        sleep(DRAW_INTERVAL_MIN).await;
    }
}
