//! The kit's page: what the person sees and presses, on the kit itself and nowhere else.
//!
//! It draws the [`View`] of the person's side (`round`) and gives back [`Action`]s; it decides nothing. Everything works without scripts, by
//! forms; with them the page is live by server-sent events.

mod assets;
mod door;
mod draw;
mod guard;
mod live;
mod post;
mod say;
mod settings;
mod words;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::from_fn,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use futures::future::BoxFuture;
use jiff::tz::TimeZone;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tokio_util::sync::CancellationToken;

pub use door::CONNECTIONS_MAX;
pub use draw::{Drawing, key};
pub use guard::BODY_BYTES_MAX;
pub use live::LIVE_PAGES_MAX;
pub use settings::{KioskConfig, KioskSettings, Refused};
pub use words::Language;

use crate::{
    board::Board,
    clock,
    round::{Acted, Action, Handle, Refusal, View},
};
use door::Door;

/// A port that somebody else has is tried again after this.
const LISTEN_AGAIN: Duration = Duration::from_secs(10);
/// The cookie that remembers the language of this screen, for a year.
const LANGUAGE_COOKIE: &str = "language";
const LANGUAGE_SECONDS: u32 = 365 * 24 * 3600;

/// The person's side, as the page needs it: what to show, and where to give what was pressed.
#[derive(Clone)]
pub struct Person {
    /// What is shown.
    pub view: watch::Receiver<View>,
    /// Takes what was pressed.
    pub act: Arc<dyn Fn(Action) -> BoxFuture<'static, Acted> + Send + Sync>,
}

impl From<Handle> for Person {
    fn from(handle: Handle) -> Self {
        let view = handle.view();
        let act = move |action| -> BoxFuture<'static, Acted> {
            let handle = handle.clone();
            Box::pin(async move { handle.act(action).await })
        };
        Self { view, act: Arc::new(act) }
    }
}

/// The page.
#[derive(Clone)]
pub struct Kiosk {
    inner: Arc<Inner>,
}

struct Inner {
    settings: KioskSettings,
    zone: TimeZone,
    person: Person,
    pages: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Kiosk {
    /// A page that is not served yet. `stop` ends open streams.
    #[must_use]
    pub fn new(settings: KioskSettings, zone: TimeZone, person: Person, stop: CancellationToken) -> Self {
        let pages = Arc::new(Semaphore::new(LIVE_PAGES_MAX));
        Self { inner: Arc::new(Inner { settings, zone, person, pages, stop }) }
    }

    /// Serves until stopped. A port that can't be had is a problem of the kit, and is tried again.
    pub async fn run(&self, board: &Board) {
        let stop = &self.inner.stop;
        while !stop.is_cancelled() {
            let listen = self.inner.settings.listen;
            match TcpListener::bind(listen).await {
                Ok(listener) => {
                    board.problem("kiosk", None);
                    let at = listener.local_addr().unwrap_or(listen);
                    tracing::info!(page = %format_args!("http://{at}/"), "kiosk: the page is there");
                    self.serve(listener).await;
                }
                Err(error) => board.problem("kiosk", Some(format!("the page can't be at {listen}: {error}"))),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LISTEN_AGAIN) => {}
            }
        }
    }

    /// Serves on this listener until stopped.
    pub async fn serve(&self, listener: TcpListener) {
        let stop = self.inner.stop.clone();
        let served =
            axum::serve(Door::new(listener), self.router()).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::warn!(%error, "kiosk: the page is gone");
        }
    }

    /// Every route.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(page))
            .route("/live", get(live::live))
            .route("/act", post(act))
            .route("/language", post(language))
            .route("/assets/{name}", get(assets::asset))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(from_fn(guard::guard))
            .with_state(self.clone())
    }

    /// What was pressed is done to its end, also when the browser that pressed it doesn't wait: a request that is given up is dropped where it
    /// stands, and half of "call me" is on the page and not in the spool.
    async fn act(&self, action: Action) -> Acted {
        let done = tokio::spawn((self.inner.person.act)(action)).await;
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "kiosk: what was pressed failed inside");
            Acted::Stale
        })
    }

    fn drawing<'a>(&'a self, view: &'a View, language: Language) -> Drawing<'a> {
        let Inner { settings, zone, .. } = &*self.inner;
        Drawing { view, language, zone, now: clock::now(), settings, refusal: None }
    }

    fn view(&self) -> View {
        self.inner.person.view.borrow().clone()
    }

    /// The language that this screen was switched to, or the configured one.
    fn language(&self, headers: &HeaderMap) -> Language {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let chosen = pairs.filter(|(name, _)| *name == LANGUAGE_COOKIE).find_map(|(_, code)| Language::of(code));
        chosen.unwrap_or(self.inner.settings.language)
    }
}

/// `/`.
async fn page(State(kiosk): State<Kiosk>, headers: HeaderMap) -> Html<String> {
    let view = kiosk.view();
    Html(kiosk.drawing(&view, kiosk.language(&headers)).document())
}

/// `/act`: what was pressed. Our script hears what came of it over the stream; a browser without it gets the page anew.
async fn act(State(kiosk): State<Kiosk>, headers: HeaderMap, Form(fields): Form<post::Fields>) -> Response {
    let scripted = headers.contains_key("x-kiosk");
    let Some(action) = post::action(&fields) else {
        return (StatusCode::BAD_REQUEST, "this is none of the page's forms\n").into_response();
    };
    let meant = post::seen(&fields).is_none_or(|seen| seen == draw::key(&kiosk.view().page));
    let acted = if meant { kiosk.act(action).await } else { Acted::Stale };
    match acted {
        Acted::Refused { why } => refused(&kiosk, &headers, why, scripted),
        Acted::Done | Acted::Stale if scripted => StatusCode::NO_CONTENT.into_response(),
        Acted::Done | Acted::Stale => Redirect::to("/").into_response(),
    }
}

/// The page again, with why the answer can't be taken beside the field.
fn refused(kiosk: &Kiosk, headers: &HeaderMap, why: Refusal, scripted: bool) -> Response {
    let view = kiosk.view();
    let drawing = Drawing { refusal: Some(why), ..kiosk.drawing(&view, kiosk.language(headers)) };
    let text = if scripted { drawing.regions() } else { drawing.document() };
    (StatusCode::UNPROCESSABLE_ENTITY, Html(text)).into_response()
}

/// `/language`: the switch.
async fn language(Form(fields): Form<post::Fields>) -> Response {
    let Some(language) = fields.get("language").and_then(|code| Language::of(code)) else {
        return (StatusCode::BAD_REQUEST, "want language da or en\n").into_response();
    };
    let cookie =
        format!("{LANGUAGE_COOKIE}={}; Path=/; Max-Age={LANGUAGE_SECONDS}; HttpOnly; SameSite=Strict", language.code());
    let cookie = HeaderValue::from_str(&cookie).expect("letters, digits and signs");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

/// The address of a page that is served at `listen`, as a person types it.
#[must_use]
pub fn url(listen: SocketAddr) -> String {
    format!("http://{listen}/")
}

#[cfg(test)]
mod tests;
