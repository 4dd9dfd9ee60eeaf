//! Where kits enrol: `POST /enrol` over TLS, with the certificate of the clinic's own authority. A kit brings its one-time code and the hash
//! of a secret that it has made; the secret itself it keeps. See docs/decisions/0057-enrolment.md.
//!
//! Nobody is signed in here, so everything is bounded: connections, handshakes in time, bytes, tries of an address.

mod door;

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, State, rejection::JsonRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{Enrolled, Store};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use vitals::KitId;
use wire::Code;

use self::door::{Door, Peer};
use crate::{
    authority::Authority,
    clock, config,
    directory::{Directories, hex},
    tls::{self, TlsListener},
};

/// The largest request, in bytes.
const BODY_BYTES_MAX: usize = 4096;
/// How long the front door may take to learn of a new secret; the kit tries again in any case.
const KNOWN_MAX: Duration = Duration::from_secs(5);
/// Tries of one address at once, and seconds until one more.
const TRIES_BURST: u32 = 20;
const TRY_SECONDS: u64 = 5;
/// Addresses fall into so many slots, by a hash that is secret to this process.
const LIMIT_SLOTS_MAX: u64 = 4096;

/// The running service.
pub struct Enrolment {
    addr: SocketAddr,
    serving: JoinHandle<()>,
    close: CancellationToken,
}

/// What it works with.
pub struct Behind {
    /// Where codes are kept.
    pub store: Arc<dyn Store>,
    /// Who may come in: a kit is answered when its new secret is known here.
    pub directories: Directories,
    /// Told when the roster has changed.
    pub changed: Arc<Notify>,
    /// What kits trust.
    pub authority: Authority,
    /// Where the front door listens.
    pub mqtt: SocketAddr,
    /// The clinic's time zone, for the kit's schedules.
    pub zone: Option<String>,
}

struct Shared {
    behind: Behind,
    mqtt_host: Option<String>,
    mqtt_port: u16,
    others: Vec<String>,
    tries: DefaultKeyedRateLimiter<u64>,
    slots: RandomState,
}

impl Enrolment {
    /// Opens it.
    ///
    /// # Errors
    /// The address can't be listened on, or the certificate can't be used.
    pub async fn open(config: &config::Enrolment, behind: Behind) -> anyhow::Result<Self> {
        let what = || format!("enrolment.listen {}", config.listen);
        let (certificate, key) = (behind.authority.server_certificate(), behind.authority.server_key());
        let acceptor = tls::acceptor(&certificate, &key, tls::anybody())
            .context("the server's certificate can't be used: `vagt ca issue --name HOST` makes a new one")?;
        let listener = TlsListener::bind(config.listen, acceptor).await.with_context(what)?;
        let addr = listener.addr();
        let shared = Arc::new(Shared {
            mqtt_host: config.mqtt_host.clone(),
            mqtt_port: config.mqtt_port.unwrap_or(behind.mqtt.port()),
            others: config.others.clone(),
            behind,
            tries: RateLimiter::keyed(quota()),
            slots: RandomState::new(),
        });
        let app = Router::new()
            .route("/enrol", post(enrol))
            .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is no such address: want POST /enrol"))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(shared)
            .into_make_service_with_connect_info::<Peer>();
        let close = CancellationToken::new();
        let closing = close.clone().cancelled_owned();
        let door = Door::new(listener);
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(door, app).with_graceful_shutdown(closing).await {
                tracing::error!("the enrolment has ended: {error}");
            }
        });
        Ok(Self { addr, serving, close })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Closes it; what is being asked has a moment to be answered.
    pub async fn close(mut self) {
        self.close.cancel();
        if timeout(Duration::from_secs(2), &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

fn quota() -> Quota {
    let burst = NonZeroU32::new(TRIES_BURST).expect("more than none");
    Quota::with_period(Duration::from_secs(TRY_SECONDS)).expect("more than no time").allow_burst(burst)
}

/// What a kit brings.
#[derive(Deserialize)]
struct Asked {
    code: String,
    secret_sha256: String,
}

/// What it needs to connect, beside its secret.
#[derive(Debug, Serialize)]
struct Answer {
    kit: KitId,
    /// Absent: the host that it called.
    mqtt_host: Option<String>,
    mqtt_port: u16,
    /// What it tries where that one does not take what it sends, `host:port`.
    others: Vec<String>,
    authority: String,
    zone: Option<String>,
}

async fn enrol(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Answer>, Problem> {
    shared.check_rate(peer.ip())?;
    let answer = shared.exchange(asked).await;
    let outcome = if answer.is_ok() { "vagt_enrolments_total" } else { "vagt_enrolments_refused_total" };
    metrics::counter!(outcome).increment(1);
    match &answer {
        Ok(answer) => tracing::info!(kit = %answer.kit, "a kit has enrolled"),
        Err(refused) => tracing::warn!(%peer, "an enrolment was refused: {}", refused.detail),
    }
    answer.map(Json)
}

impl Shared {
    fn check_rate(&self, address: IpAddr) -> Result<(), Problem> {
        let slot = self.slots.hash_one(one_visitor(address)) % LIMIT_SLOTS_MAX;
        self.tries.check_key(&slot).map_err(|until| {
            let seconds = until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
            let detail = format!("too many tries from this address: the next in {seconds} s");
            Problem { retry_after: Some(seconds), ..Problem::new(StatusCode::TOO_MANY_REQUESTS, detail) }
        })
    }

    async fn exchange(&self, asked: Result<Json<Asked>, JsonRejection>) -> Result<Answer, Problem> {
        let unfit = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        let Json(Asked { code, secret_sha256 }) = asked.map_err(|error| unfit(error.body_text()))?;
        let code: Code = code.parse().map_err(|error: wire::CodeError| unfit(error.to_string()))?;
        let is_hash =
            secret_sha256.len() == 64 && secret_sha256.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hash {
            return Err(unfit("secret_sha256: want a SHA-256 as 64 hex digits".to_owned()));
        }
        let enrolled = self.behind.store.enrol(&hash_of(&code), &secret_sha256, clock::now()).await;
        match enrolled {
            Ok(Enrolled::Yes(kit)) => {
                self.until_known(&kit, &secret_sha256).await;
                Ok(self.answer(kit))
            }
            Ok(Enrolled::No) => {
                Err(Problem::new(StatusCode::FORBIDDEN, "this code is not good, or no longer: ask for a new one"))
            }
            Ok(Enrolled::Used(kit)) => {
                let detail = format!("this code was used already, for kit {kit}: ask for a new one");
                Err(Problem::new(StatusCode::CONFLICT, detail))
            }
            Err(error) => {
                tracing::error!("an enrolment can't be stored: {error}");
                let detail = "the store does not answer: try again in a moment";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail))
            }
        }
    }

    /// The kit connects as soon as it is answered.
    async fn until_known(&self, kit: &KitId, secret_sha256: &str) {
        let mut directories = self.behind.directories.clone();
        let known = async {
            while !directories.now().has_secret(kit, secret_sha256) {
                self.behind.changed.notify_one();
                directories.changed().await;
            }
        };
        if timeout(KNOWN_MAX, known).await.is_err() {
            tracing::warn!(%kit, "the front door does not know the new secret yet");
        }
    }

    fn answer(&self, kit: KitId) -> Answer {
        let (mqtt_host, mqtt_port) = (self.mqtt_host.clone(), self.mqtt_port);
        Answer {
            kit,
            mqtt_host,
            mqtt_port,
            others: self.others.clone(),
            authority: self.behind.authority.pem().to_owned(),
            zone: self.behind.zone.clone(),
        }
    }
}

/// What counts as one visitor: an IPv6 line has 2^64 addresses of its own.
fn one_visitor(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

/// A code's hash, as the store keeps it.
#[must_use]
pub fn hash_of(code: &Code) -> String {
    hex(&Sha256::digest(code.to_string().as_bytes()))
}

/// An error as problem details (RFC 9457).
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    detail: String,
    retry_after: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body =
            json!({ "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_line_is_one_visitor() {
        let visitor = |text: &str| one_visitor(text.parse().expect("an address"));
        assert_eq!(visitor("2001:db8:1:2::1"), visitor("2001:db8:1:2:ffff::9"));
        assert_ne!(visitor("2001:db8:1:2::1"), visitor("2001:db8:1:3::1"));
        assert_eq!(visitor("::ffff:10.0.0.1"), visitor("10.0.0.1"));
        assert_ne!(visitor("10.0.0.1"), visitor("10.0.0.2"));
    }
}
