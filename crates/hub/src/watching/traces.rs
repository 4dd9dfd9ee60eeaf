//! Traces by OpenTelemetry, for clinics that run a collector: one trace a sitting, from the kit to the pages, over OTLP (HTTP with JSON).
//!
//! Off, which is the default, a message carries one empty pointer and nothing else happens. On, the spans of a message are told when they are
//! over, with the times that the pipeline read anyway; what can't be sent is dropped by the exporter's bounded queue, and never holds up a
//! reading. No span carries a name, an id of a person or of a kit, a value or a colour.

use std::{sync::OnceLock, time::Duration};

use jiff::Timestamp;
use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Span as _, SpanContext, SpanKind, TraceContextExt as _, TraceState, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider},
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use wire::TraceParent;

/// Spans that wait for the collector; what is more is dropped, and the next reading is not held up.
pub const SPANS_WAITING_MAX: usize = 8192;
/// Spans of one request to the collector.
const SPANS_SENT_MAX: usize = 1024;
/// How often what waits is sent.
const SEND_PERIOD: Duration = Duration::from_secs(2);
/// How long the collector may take.
const SEND_MAX: Duration = Duration::from_secs(5);

/// Traces of readings, for a collector that speaks OTLP over HTTP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// Where the collector takes traces: `http://host:4318/v1/traces`. Plain HTTP: run the collector on this machine, or beside it.
    #[serde(deserialize_with = "plain_http")]
    pub endpoint: String,
    /// Which part of the sittings is traced, from 0 to 1.
    #[serde(default = "share", deserialize_with = "a_share")]
    #[schemars(range(min = 0, max = 1))]
    pub share: f64,
}

fn share() -> f64 {
    0.01
}

fn plain_http<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let endpoint = String::deserialize(deserializer)?;
    let has_host = endpoint
        .strip_prefix("http://")
        .is_some_and(|rest| rest.chars().next().is_some_and(char::is_alphanumeric) || rest.starts_with('['));
    if has_host {
        Ok(endpoint)
    } else {
        Err(D::Error::custom(format!("found {endpoint:?}, want http://HOST:4318/v1/traces")))
    }
}

fn a_share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(D::Error::custom(format!("found {share}, want a part from 0 to 1")))
    }
}

/// The process's one tracer.
static TRACER: OnceLock<Sending> = OnceLock::new();

struct Sending {
    tracer: SdkTracer,
    share: f64,
}

/// What sends the traces. [`Exporter::finish`] sends what still waits.
pub struct Exporter(SdkTracerProvider);

/// Begins to trace. Not from within an async task: the exporter has a thread of its own, which waits for its answers.
///
/// # Errors
/// The exporter can't be made, or the process traces already.
pub fn start(wanted: &Traces) -> anyhow::Result<Exporter> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpJson)
        .with_endpoint(&wanted.endpoint)
        .with_timeout(SEND_MAX)
        .build()
        .map_err(|error| anyhow::anyhow!("traces.endpoint {}: {error}", wanted.endpoint))?;
    let bounds = BatchConfigBuilder::default()
        .with_max_queue_size(SPANS_WAITING_MAX)
        .with_max_export_batch_size(SPANS_SENT_MAX)
        .with_scheduled_delay(SEND_PERIOD)
        .build();
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(bounds).build())
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(Resource::builder().with_service_name("vagt").with_attribute(version).build())
        .build();
    let sending = Sending { tracer: provider.tracer("vagt"), share: wanted.share };
    anyhow::ensure!(TRACER.set(sending).is_ok(), "this process sends traces already");
    tracing::info!(share = wanted.share, "traces go to {}", wanted.endpoint);
    Ok(Exporter(provider))
}

impl Exporter {
    /// Sends what still waits, and ends.
    pub fn finish(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

/// One message's way through the service; nothing where it is not traced.
#[derive(Clone, Debug, Default)]
pub struct Way(Option<Box<Context>>);

impl Way {
    /// The way of a message that came at `received_at`, if its sitting is one of those that are traced.
    #[must_use]
    pub fn begin(parent: impl FnOnce() -> TraceParent, received_at: Timestamp) -> Self {
        let Some(Sending { tracer, share }) = TRACER.get() else { return Self(None) };
        let parent = parent();
        if !is_in(*share, parent.trace) {
            return Self(None);
        }
        let (trace, span) = (TraceId::from_bytes(parent.trace), SpanId::from_bytes(parent.span));
        let kit = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
        let span = tracer
            .span_builder("message")
            .with_kind(SpanKind::Consumer)
            .with_start_time(received_at)
            .start_with_context(tracer, &Context::new().with_remote_span_context(kit));
        Self(Some(Box::new(Context::new().with_span(span))))
    }

    /// One step of it, from when until when; `messages` went through it together.
    pub fn step(&self, name: &'static str, from: Timestamp, until: Timestamp, messages: usize) {
        let (Some(context), Some(Sending { tracer, .. })) = (&self.0, TRACER.get()) else { return };
        let together = i64::try_from(messages).unwrap_or(i64::MAX);
        tracer
            .span_builder(name)
            .with_start_time(from)
            .with_attributes([KeyValue::new("vagt.messages_together", together)])
            .start_with_context(tracer, context)
            .end_with_timestamp(until.into());
    }

    /// It is over.
    pub fn end(self, at: Timestamp) {
        if let Some(context) = self.0 {
            context.span().end_with_timestamp(at.into());
        }
    }

    /// Is it traced?
    #[must_use]
    pub fn is_traced(&self) -> bool {
        self.0.is_some()
    }
}

/// The same sitting is traced wherever this is asked.
fn is_in(share: f64, trace: [u8; 16]) -> bool {
    let [.., a, b, c, d] = trace;
    f64::from(u32::from_be_bytes([a, b, c, d])) < share * (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_sittings_is_traced() {
        let traced = |share: f64| {
            (0..10_000_u128).filter(|n| is_in(share, TraceParent::of(&uuid::Uuid::from_u128(*n)).trace)).count()
        };
        assert_eq!((traced(0.0), traced(1.0)), (0, 10_000));
        assert!((900..1100).contains(&traced(0.1)), "{}", traced(0.1));
    }

    #[test]
    fn what_is_not_traced_does_nothing() {
        let way = Way::begin(|| unreachable!("nobody asked for traces"), Timestamp::UNIX_EPOCH);
        assert!(!way.is_traced());
        way.step("record", Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, 1);
        way.end(Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn the_configuration_says_where_it_is_wrong() {
        let read = |text: &str| toml::from_str::<Traces>(text).map_err(|error| error.message().to_owned());
        assert_eq!(read("endpoint = \"http://127.0.0.1:4318/v1/traces\"").unwrap().share, 0.01);
        assert_eq!(
            read("endpoint = \"https://x\"").unwrap_err(),
            "found \"https://x\", want http://HOST:4318/v1/traces"
        );
        assert_eq!(
            read("endpoint = \"http://[::1]:4318/v1/traces\"\nshare = 2").unwrap_err(),
            "found 2, want a part from 0 to 1"
        );
    }
}
