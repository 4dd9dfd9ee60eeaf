//! What a service shows that waits behind another: who leads, and nothing of anybody. A queue that is not kept up is never shown.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::from_fn,
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use crate::{assets, health, pages::error::PageError, problem::Problem, security};

/// When it is asked again, in seconds: by then it may lead.
const AGAIN_SECONDS: u64 = 5;

/// A service that waits.
#[derive(Clone)]
pub struct Standby {
    /// Who leads.
    pub leader: watch::Receiver<String>,
    /// What `/metrics` prints.
    pub metrics: PrometheusHandle,
}

/// Everything that is answered: for machines that it lives and is not ready, for people a sentence.
pub fn standby(standby: Standby) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(metrics))
        .route("/assets/{name}", get(assets::asset))
        .fallback(waits)
        .layer(from_fn(security::headers))
        .with_state(Arc::new(standby))
}

async fn metrics(State(standby): State<Arc<Standby>>) -> Response {
    health::printed(&standby.metrics)
}

/// A page for a browser, a problem for a program.
async fn waits(State(standby): State<Arc<Standby>>, request: Request) -> Response {
    let leads = standby.leader.borrow().clone();
    let accepts = request.headers().get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let mut response = if accepts.is_some_and(|accepted| accepted.contains("text/html")) {
        PageError::standby(request.headers(), leads).into_response()
    } else {
        let said = format!("this service is a standby: it takes over when the one that leads is gone ({leads})");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, said).into_response()
    };
    for name in [header::RETRY_AFTER, header::REFRESH] {
        response.headers_mut().insert(name, HeaderValue::from(AGAIN_SECONDS));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt as _;

    use super::*;

    async fn asked(path: &str, accept: &str) -> (StatusCode, Option<String>, String) {
        let leader = watch::channel("vagt serve on <one>, process 7".to_owned()).1;
        let app = standby(Standby { leader, metrics: PrometheusBuilder::new().build_recorder().handle() });
        let request = Request::builder().uri(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
        let response = app.oneshot(request).await.unwrap();
        let again = response.headers().get(header::RETRY_AFTER).map(|it| it.to_str().unwrap().to_owned());
        let (status, body) = (response.status(), to_bytes(response.into_body(), 1 << 20).await.unwrap());
        (status, again, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn it_lives_and_is_not_ready_and_says_who_leads() {
        assert_eq!(asked("/healthz", "*/*").await.0, StatusCode::OK);
        assert_eq!(asked("/metrics", "*/*").await.0, StatusCode::OK);
        for path in ["/readyz", "/api/v1/alerts", "/api/v1/readings"] {
            let (status, again, said) = asked(path, "*/*").await;
            assert_eq!((status.as_u16(), again.as_deref()), (503, Some("5")), "{path}");
            assert!(said.contains("standby") && said.contains("vagt serve on <one>, process 7"), "{said}");
        }
        for path in ["/", "/patients", "/sign-in"] {
            let (status, again, page) = asked(path, "text/html").await;
            assert_eq!((status.as_u16(), again.as_deref()), (503, Some("5")), "{path}");
            assert!(page.contains("vagt serve on &#60;one&#62;, process 7") && page.contains("<h1>"), "{page}");
        }
    }
}
