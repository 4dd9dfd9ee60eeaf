//! What the bench prints: one line a phase, and a summary.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::load::Ran;

/// The longest latency that is told apart, in microseconds.
const LATENCY_MICROS_MAX: u64 = 120_000_000;

/// A histogram of microseconds, to three digits.
pub(super) fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, 3).expect("the bounds are in order")
}

/// Percentiles, in milliseconds.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub(super) struct Latency {
    pub count: u64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Latency {
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
        let (count, max) = (histogram.len(), milliseconds(histogram.max()));
        Self { count, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max }
    }
}

fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// One phase.
#[derive(Debug, Serialize)]
pub(super) struct Phase {
    pub phase: &'static str,
    /// Of the most that was just measured, where it is paced by that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    pub seconds: f64,
    pub messages: u64,
    pub messages_per_second: f64,
    pub readings_per_second: f64,
    pub server_cpu_us_per_reading: f64,
    pub server_cpu_cores: f64,
    pub publish_to_ack_ms: Latency,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_to_visible_ms: Option<Latency>,
    pub server_rss_mib: Vec<f64>,
}

impl Phase {
    pub fn new(phase: &'static str, ran: &Ran, readings: u16, cpu_seconds: f64, server_rss_mib: Vec<f64>) -> Self {
        let Ran { messages, seconds, latency } = ran;
        let readings = *messages as f64 * f64::from(readings);
        Self {
            phase,
            percent: None,
            seconds: round(*seconds),
            messages: *messages,
            messages_per_second: round(*messages as f64 / seconds),
            readings_per_second: round(readings / seconds),
            server_cpu_us_per_reading: round(cpu_seconds * 1e6 / readings.max(1.0)),
            server_cpu_cores: round(cpu_seconds / seconds),
            publish_to_ack_ms: Latency::of(latency),
            publish_to_visible_ms: None,
            server_rss_mib,
        }
    }
}

/// To two decimals.
pub(super) fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, messages_per_second, readings_per_second, server_cpu_us_per_reading, .. } = self;
        let Latency { p50, p99, p999, .. } = &self.publish_to_ack_ms;
        let phase = self.percent.map_or_else(|| (*phase).to_owned(), |percent| format!("at {percent} %"));
        write!(
            f,
            "{phase:<9} {messages_per_second:>9.0} messages/s {readings_per_second:>9.0} readings/s  \
             {server_cpu_us_per_reading:>6.2} CPU us a reading  publish to stored {p50:.1} ms, 99 % {p99:.1} ms, 99.9 % {p999:.1} ms"
        )?;
        if let Some(Latency { p50, p99, p999, count, .. }) = &self.publish_to_visible_ms {
            write!(
                f,
                "\n{:<9} publish to page {p50:.1} ms, 99 % {p99:.1} ms, 99.9 % {p999:.1} ms ({count} alerts)",
                ""
            )?;
        }
        let (first, last) = (self.server_rss_mib.first(), self.server_rss_mib.last());
        write!(
            f,
            "\n{:<9} memory {:.0} MiB at first, {:.0} MiB at last",
            "",
            first.unwrap_or(&0.0),
            last.unwrap_or(&0.0)
        )
    }
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub phase: &'static str,
    /// Where it is stored: `sqlite` or `postgres`.
    pub store: &'static str,
    /// Pipeline over bare front door, of this run.
    pub ratio: f64,
    pub messages_per_second: f64,
    pub bare_messages_per_second: f64,
    pub publish_to_visible_p99_ms: f64,
    pub acknowledged: u64,
    pub stored: u64,
    /// Acknowledged and not stored: must be 0.
    pub lost: u64,
}

impl Summary {
    pub fn new(
        store: &'static str,
        bare: &Phase,
        full: &Phase,
        paced: &[Phase],
        acknowledged: u64,
        stored: u64,
    ) -> Self {
        let page = paced.iter().rfind(|phase| phase.percent.is_none_or(|percent| percent <= 50));
        let page = page.and_then(|phase| phase.publish_to_visible_ms.as_ref());
        Self {
            phase: "summary",
            store,
            ratio: round(full.messages_per_second / bare.messages_per_second.max(1.0)),
            messages_per_second: full.messages_per_second,
            bare_messages_per_second: bare.messages_per_second,
            publish_to_visible_p99_ms: page.map_or(0.0, |latency| latency.p99),
            acknowledged,
            stored,
            lost: acknowledged.saturating_sub(stored),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ratio, acknowledged, stored, lost, .. } = self;
        write!(f, "pipeline/bare {ratio:.2}; {acknowledged} acknowledged, {stored} stored, {lost} lost")
    }
}
