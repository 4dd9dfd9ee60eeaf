//! For machines: is the process there, does it take in readings, and how is it doing.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::{app::App, clock, problem::Problem};

/// `/healthz`: the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `/readyz`: the store takes data and the pipeline reports.
pub async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    let not_ready = |why: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why);
    app.desk.store.ping().await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        not_ready("the store does not take data".to_owned())
    })?;
    let live = app.desk.board.liveness(clock::now());
    if live.live {
        Ok("ready\n")
    } else {
        Err(not_ready(live.reason.unwrap_or_else(|| "the core takes in no readings".to_owned())))
    }
}

/// `/metrics`, for Prometheus. No patient and no kit is a label.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    printed(&app.desk.metrics)
}

/// What there is to print.
pub fn printed(metrics: &PrometheusHandle) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}
