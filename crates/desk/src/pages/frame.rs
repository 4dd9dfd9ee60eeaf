//! What is around every page: the head with its counts and its claim to be live, the words, the person.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

use crate::{
    app::App,
    assets,
    board::{Counts, Liveness},
    clock,
    problem::Problem,
    session::Session,
    words::{Language, Words},
};

/// Around every page of a signed-in person.
pub struct Frame {
    /// The words.
    pub w: &'static Words,
    /// Which page is open: `queue`, `patients`, `kits`, `quarantine`.
    pub here: &'static str,
    /// The clinic.
    pub clinic: String,
    /// Says "simulated" over the page.
    pub simulated: bool,
    /// Who.
    pub name: String,
    /// Every form's token.
    pub csrf: String,
    /// The counts.
    pub counts: Counts,
    /// Is the core taking in readings?
    pub live: Liveness,
    /// If not, in words.
    pub not_live: String,
    /// How many alerts wait.
    pub waiting: usize,
    /// How many people are watched.
    pub people: String,
    /// The board's version that the page was drawn from.
    pub version: u64,
    /// The clinic's time zone.
    pub zone: String,
    /// The time that the page was drawn at.
    pub now: String,
    /// The words of the scripts, as JSON.
    pub js: String,
}

impl Frame {
    /// The frame of one page for one person now.
    pub fn new(app: &App, session: &Session, here: &'static str, version: u64) -> Self {
        let now = clock::now();
        let w = session.words();
        let board = &app.desk.board;
        let (counts, live) = (board.counts(), board.liveness(now));
        Self {
            w,
            here,
            clinic: app.desk.clinic.clone(),
            simulated: app.desk.simulated,
            name: session.name.clone(),
            csrf: session.csrf.clone(),
            waiting: counts.red + counts.yellow + counts.blue,
            people: w.count("people", board.people().len()),
            not_live: not_live(app, session, &live),
            counts,
            live,
            version,
            zone: app.desk.zone.iana_name().unwrap_or_default().to_owned(),
            now: now.to_string(),
            js: js_words(w),
        }
    }

    /// The address of an asset.
    pub fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    /// The language's code.
    pub fn lang(&self) -> &'static str {
        self.w.language.code()
    }

    /// The other language's code and name.
    pub fn other_language(&self) -> (&'static str, &'static str) {
        match self.w.language {
            Language::Da => ("en", "English"),
            Language::En => ("da", "Dansk"),
        }
    }

    /// "2 red · 3 yellow · 1 missing".
    pub fn counted(&self) -> String {
        let Counts { red, yellow, blue, .. } = self.counts;
        [self.w.count("count-red", red), self.w.count("count-yellow", yellow), self.w.count("count-blue", blue)]
            .join(" · ")
    }

    /// "all kits connected but 1".
    pub fn kits(&self) -> String {
        match (self.counts.kits_online, self.counts.kits_offline) {
            (0, 0) => self.w.say("kits-none"),
            (_, 0) => self.w.say("kits-all"),
            (0, _) => self.w.say("kits-no-one"),
            (_, offline) => self.w.count("kits-all-but", offline),
        }
    }
}

fn not_live(app: &App, session: &Session, live: &Liveness) -> String {
    let since = live.behind_since.map(|at| app.say(session).clock(at)).unwrap_or_default();
    let reason = live.reason.clone().unwrap_or_default();
    session.words().with("banner-core", &[("since", since.into()), ("reason", reason.into())])
}

/// The words that the scripts say, by their key without `js-`.
fn js_words(w: &Words) -> String {
    const KEYS: [&str; 14] = [
        "js-now",
        "js-min",
        "js-h",
        "js-d",
        "js-live",
        "js-not-live",
        "js-core",
        "js-above",
        "js-above-red",
        "js-raised",
        "js-gone",
        "js-red",
        "js-changed",
        "js-unsent",
    ];
    let words = KEYS.map(|key| (key.trim_start_matches("js-"), w.say(key)));
    serde_json::to_string(&words.into_iter().collect::<std::collections::BTreeMap<_, _>>()).expect("texts are JSON")
}

/// A page as a response.
pub fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a template failed");
            Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "the page could not be drawn").into_response()
        }
    }
}
