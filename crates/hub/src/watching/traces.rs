//! Traces by OpenTelemetry, for clinics that run a collector: one trace a sitting, from the kit to the pages, over OTLP (HTTP with JSON).
//!
//! Off, which is the default, a message carries one empty pointer and nothing else happens. On, the spans of a message are told when they are
//! over, with the times that the pipeline read anyway; what can't be sent is dropped by the exporter's bounded queue, and never holds up a
//! reading. No span carries a name, an id of a person or of a kit, a value or a colour.
//!
//! A trace begins with a span that the kit has sent the id of and exports to nobody: a kit knows no collector. So it is told here, once a
//! message, from when it was measured until it came; else the traces had no root, and the time in a kit's spool were nowhere to be seen.

use std::{cell::Cell, sync::OnceLock, time::Duration};

use jiff::Timestamp;
use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Span as _, SpanContext, SpanKind, TraceContextExt as _, TraceState, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, IdGenerator, RandomIdGenerator, Sampler, SdkTracer, SdkTracerProvider,
    },
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
        .with_id_generator(Ids::default())
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

thread_local! {
    /// The ids of the span that this thread begins now, where they are known beforehand: the SDK takes them from its generator alone.
    static KNOWN: Cell<Option<TraceParent>> = const { Cell::new(None) };
}

/// The ids of spans: drawn, unless they are known.
#[derive(Debug, Default)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        KNOWN.get().map_or_else(|| self.0.new_trace_id(), |known| TraceId::from_bytes(known.trace))
    }

    fn new_span_id(&self) -> SpanId {
        KNOWN.get().map_or_else(|| self.0.new_span_id(), |known| SpanId::from_bytes(known.span))
    }
}

/// A message's time with its kit.
#[derive(Clone, Copy, Debug)]
pub struct AtKit {
    /// The trace, and the span of it that this time is.
    pub span: TraceParent,
    /// When the newest that it says was measured or answered.
    pub from: Timestamp,
    /// When the kit sent it, at last.
    pub sent_at: Timestamp,
}

/// One message's way through the service; nothing where it is not traced.
#[derive(Clone, Debug, Default)]
pub struct Way(Option<Box<Traced>>);

#[derive(Clone, Debug)]
struct Traced {
    /// With the message's span.
    context: Context,
    at_kit: AtKit,
    received_at: Timestamp,
}

impl Way {
    /// The way of a message that came at `received_at`, if its sitting is one of those that are traced.
    #[must_use]
    pub fn begin(at_kit: impl FnOnce() -> AtKit, received_at: Timestamp) -> Self {
        let Some(Sending { tracer, share }) = TRACER.get() else { return Self(None) };
        let at_kit = at_kit();
        let TraceParent { trace, span } = at_kit.span;
        if !is_in(*share, trace) {
            return Self(None);
        }
        let (trace, span) = (TraceId::from_bytes(trace), SpanId::from_bytes(span));
        let before = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
        let message = tracer
            .span_builder("message")
            .with_kind(SpanKind::Consumer)
            .with_start_time(received_at)
            .start_with_context(tracer, &Context::new().with_remote_span_context(before));
        Self(Some(Box::new(Traced { context: Context::new().with_span(message), at_kit, received_at })))
    }

    /// It never came before. Now its time with the kit is told, so that it is told once however often the message comes.
    pub fn came_first(&self) {
        let (Some(traced), Some(Sending { tracer, .. })) = (&self.0, TRACER.get()) else { return };
        let Traced { at_kit, received_at, .. } = **traced;
        let kit = tracer
            .span_builder("kit")
            .with_kind(SpanKind::Producer)
            // The kit's clock may be ahead.
            .with_start_time(at_kit.from.min(received_at));
        KNOWN.set(Some(at_kit.span));
        let mut kit = kit.start_with_context(tracer, &Context::new());
        KNOWN.set(None);
        kit.add_event_with_timestamp("sent", at_kit.sent_at.into(), Vec::new());
        kit.end_with_timestamp(received_at.into());
    }

    /// One step of it, from when until when; `messages` went through it together.
    pub fn step(&self, name: &'static str, from: Timestamp, until: Timestamp, messages: usize) {
        let (Some(traced), Some(Sending { tracer, .. })) = (&self.0, TRACER.get()) else { return };
        let together = i64::try_from(messages).unwrap_or(i64::MAX);
        tracer
            .span_builder(name)
            .with_start_time(from)
            .with_attributes([KeyValue::new("vagt.messages_together", together)])
            .start_with_context(tracer, &traced.context)
            .end_with_timestamp(until.into());
    }

    /// It is over.
    pub fn end(self, at: Timestamp) {
        if let Some(traced) = self.0 {
            traced.context.span().end_with_timestamp(at.into());
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
            (0..10_000_u128).filter(|n| is_in(share, TraceParent::of(&uuid::Uuid::from_u128(*n), 1).trace)).count()
        };
        assert_eq!((traced(0.0), traced(1.0)), (0, 10_000));
        assert!((900..1100).contains(&traced(0.1)), "{}", traced(0.1));
    }

    #[test]
    fn what_is_not_traced_does_nothing() {
        let way = Way::begin(|| unreachable!("nobody asked for traces"), Timestamp::UNIX_EPOCH);
        assert!(!way.is_traced());
        way.came_first();
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
