//! Every route, in one list for each kind: who may come there is decided by the list that a route stands in.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    Desk,
    api::{self, programmes},
    app::App,
    assets, door, events, health, measure, openapi, pages,
    problem::Problem,
    security, sign_in,
};

/// A request that takes longer is given up, but for the event stream.
const REQUEST_SECONDS_MAX: u64 = 20;

/// Pages, `/api/v1`, `/events`, health, metrics and assets.
pub fn router(desk: Desk) -> Router {
    let app = App::new(desk);
    let slow =
        Router::new().route("/events", get(events::events)).layer(from_fn_with_state(app.clone(), security::guard_api));
    let quick = Router::new()
        .merge(public())
        .merge(page_routes().layer(from_fn_with_state(app.clone(), security::guard_pages)))
        .nest(
            "/api/v1",
            api_routes().layer(from_fn(api::problems)).layer(from_fn_with_state(app.clone(), security::guard_api)),
        )
        .fallback(pages::error::nowhere)
        .layer(from_fn(in_time));
    quick
        .merge(slow)
        .layer(from_fn(measure::measured))
        .layer(DefaultBodyLimit::max(security::BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(from_fn(security::headers))
        .with_state(app)
}

/// Without a session: nothing here is about a person, and what takes readings asks for a kit's own credentials.
fn public() -> Router<Arc<App>> {
    Router::new()
        .route("/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/assets/{name}", get(assets::asset))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .route("/api/v1/readings", post(door::post).layer(DefaultBodyLimit::max(door::BODY_BYTES_MAX)))
}

/// For people who have signed in.
fn page_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(pages::queue::page))
        .route("/queue/cards", get(pages::queue::cards))
        .route("/alerts/{id}", get(pages::detail::pane))
        .route("/alerts/{id}/acknowledge", post(pages::detail::acknowledge))
        .route("/alerts/{id}/close", post(pages::detail::close))
        .route("/patients", get(pages::patients::page))
        .route("/patients/{id}", get(pages::patient::page))
        .route("/patients/{id}/commands", post(pages::commands::post))
        .route("/patients/{id}/why-not", get(pages::why_not::page))
        .route("/patients/{id}/readings", get(pages::readings::page).post(pages::records::reading))
        .route("/patients/{id}/outcomes", post(pages::records::outcome))
        .route("/patients/{id}/pauses", post(pages::records::pause))
        .route("/patients/{id}/pauses/end", post(pages::records::resume))
        .route("/programmes", get(pages::programmes::page))
        .route("/programmes/{id}/{version}", get(pages::programmes::version))
        .route("/kits", get(pages::kits::page))
        .route("/quarantine", get(pages::quarantine::page))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/language", post(sign_in::language))
}

/// For programs, with the same sign-in. Each is described in `openapi.rs`, and a test compares the two.
fn api_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/session", get(api::session))
        .route("/alerts", get(api::alerts::list))
        .route("/alerts/{id}", get(api::alerts::one))
        .route("/alerts/{id}/actions", post(api::alerts::act))
        .route("/patients", get(api::patients::list))
        .route("/patients/{id}", get(api::patients::one))
        .route("/patients/{id}/alerts", get(api::patients::alerts))
        .route("/patients/{id}/curves", get(api::patients::curves))
        .route("/patients/{id}/long-curves", get(api::long::curves))
        .route("/alerts/{id}/why", get(api::explain::why_alert))
        .route("/patients/{id}/why-not", get(api::explain::why_quiet))
        .route("/patients/{id}/outcomes", get(api::records::list_outcomes).post(api::records::record))
        .route("/patients/{id}/readings", get(api::records::readings))
        .route("/patients/{id}/readings/invalidate", post(api::records::invalidate))
        .route("/patients/{id}/readings/restore", post(api::records::restore))
        .route("/patients/{id}/own", get(api::own::one).put(api::own::put))
        .route("/patients/{id}/pauses", post(api::own::pause).delete(api::own::resume))
        .route("/own", get(api::own::list))
        .route("/programmes", get(programmes::list).post(programmes::propose).layer(with_programme()))
        .route("/programmes/{id}", get(programmes::one))
        .route("/programmes/{id}/versions/{version}", get(programmes::text))
        .route("/programmes/{id}/versions/{version}/activate", post(programmes::activate))
        .route("/programmes/{id}/versions/{version}/reject", post(programmes::reject))
        .route(
            "/programmes/{id}/versions/{version}/shadow",
            get(programmes::shadow).put(programmes::shadow_start).delete(programmes::shadow_stop),
        )
        .route("/programmes/{id}/rollback", post(programmes::rollback))
        .route("/programmes/{id}/diff", get(programmes::diff))
        .route("/programmes/{id}/history", get(programmes::history))
        .route("/programmes/{id}/rules", get(programmes::rules))
        .route("/backtests", post(api::questions::backtest).layer(with_programme()))
        .route("/budgets", post(api::questions::budget))
        .route("/questions", get(api::questions::list))
        .route("/questions/{id}", get(api::questions::one).delete(api::questions::cancel))
        .route("/kits", get(api::kits))
        .route("/kits/{id}/commands", get(api::commands::list).post(api::commands::post))
        .route("/quarantine", get(api::quarantine))
        .fallback(api::nowhere)
        .method_not_allowed_fallback(api::wrong_method)
}

fn with_programme() -> DefaultBodyLimit {
    DefaultBodyLimit::max(security::PROGRAMME_BODY_BYTES_MAX)
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = |_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("no answer within {REQUEST_SECONDS_MAX} s"))
            .into_response()
    };
    tokio::time::timeout(Duration::from_secs(REQUEST_SECONDS_MAX), next.run(request)).await.unwrap_or_else(late)
}

fn panicked() -> Response {
    metrics::counter!("vagt_desk_panics_total").increment(1);
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the program has a fault here: tell who runs it").into_response()
}
