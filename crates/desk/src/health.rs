//! For machines: is the process there, does it take in readings, and how is it doing.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::timeout;

use crate::{app::App, clock, problem::Problem};

/// Whoever asks whether the service is ready (a balancer, somebody at 3 a.m.) has an answer within this.
const PING_MAX: Duration = Duration::from_secs(2);

/// `/healthz`: the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `/readyz`: the store takes data and the pipeline reports.
pub async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    let not_ready = |why: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why);
    match timeout(PING_MAX, app.desk.store.ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            return Err(not_ready("the store does not take data".to_owned()));
        }
        Err(_) => return Err(not_ready(format!("the store does not answer within {} s", PING_MAX.as_secs()))),
    }
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
