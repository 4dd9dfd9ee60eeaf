//! Every metric of the service, in one table: what `/metrics` describes, what docs/metrics.md is made of, and what a test compares with the
//! sources. Names follow Prometheus' conventions: base units in the name, `_total` on what only grows. No label is a person or a kit.

use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from the start of the process on.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often values lay in which range.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What is counted or measured.
    pub unit: &'static str,
    /// Its labels, each with what it may say.
    pub labels: &'static [(&'static str, &'static str)],
    /// What it says, in one sentence.
    pub meaning: &'static str,
}

use Kind::{Counter as C, Gauge as G, Histogram as H};

const NONE: &[(&str, &str)] = &[];

const fn row(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    labels: &'static [(&'static str, &'static str)],
    meaning: &'static str,
) -> Metric {
    Metric { name, kind, unit, labels, meaning }
}

/// A part of the table: the way of a reading, step by step, and what is around it.
pub struct Part {
    /// Its heading.
    pub title: &'static str,
    /// Its metrics.
    pub metrics: &'static [Metric],
}

const QUARANTINE_REASONS: &str =
    "`unreadable`, `unknown_kit`, `not_theirs`, `implausible`, `wrong_topic`, `seq_reused`, `not_judged`";

/// All of them.
#[rustfmt::skip]
pub const METRICS: &[Part] = &[
    Part { title: "Coming in", metrics: &[
        row("vagt_front_door_connections", G, "connections", NONE, "Kits' connections that are open at the front door."),
        row("vagt_front_door_connections_max", G, "connections", NONE, "How many the front door takes at most (`mqtt.connections_max`)."),
        row("vagt_front_door_refused_total", C, "connections", &[("reason", "`credentials` (wrong name, wrong secret, another kit's certificate, revoked), `certificate` (none that is good, in the handshake), `kit_full` (one too many of a kit), `full` (one too many of all)")], "Connections that were refused; where there was no room, the kit was told to come again later."),
        row("vagt_front_door_turned_away_total", C, "connections", NONE, "Connections that were closed in place of an acknowledgement: the store did not take the message in time, or the service was stopping."),
        row("vagt_front_door_not_authorised_total", C, "requests", NONE, "Publishes and subscriptions to topics that are not the kit's own."),
        row("vagt_front_door_status_refused_total", C, "messages", NONE, "Statuses of kits that could not be read."),
        row("vagt_front_door_come_again_total", C, "connections", NONE, "Connections that were told to come again later: more came at once than are begun in a second."),
        row("vagt_tls_turned_away_total", C, "connections", NONE, "Connections closed before their TLS handshake: too many were under way."),
        row("vagt_source_over_limit_total", C, "messages", NONE, "Messages of kits that send faster than one kit may: they wait behind the others."),
        row("vagt_broker_connected", G, "0 or 1", NONE, "Are readings taken from the broker? Absent where there is none."),
        row("vagt_broker_disconnects_total", C, "connections", &[("connection", "`in`, `out`")], "Connections to the broker that ended."),
        row("vagt_broker_turned_away_total", C, "messages", NONE, "Messages from the broker that were left unacknowledged, since their kit sends too fast; it sends them again."),
        row("vagt_broker_strangers_total", C, "messages", NONE, "Messages from the broker under a topic that is no kit's of the roster."),
        row("vagt_broker_status_refused_total", C, "messages", NONE, "Statuses from the broker that could not be read."),
        row("vagt_broker_out_messages", G, "messages", NONE, "Acknowledgements and commands that wait to be handed to the broker. Absent where there is none."),
        row("vagt_broker_out_messages_max", G, "messages", NONE, "How many may wait; beyond it they are left out, and come again."),
        row("vagt_broker_not_told_total", C, "messages", NONE, "Acknowledgements and commands that could not be handed to the broker; they come again."),
        row("vagt_http_source_refused_total", C, "requests", NONE, "Messages by HTTP with a wrong name or secret."),
        row("vagt_enrolments_total", C, "kits", NONE, "Kits that exchanged a code for their credentials."),
        row("vagt_enrolments_refused_total", C, "requests", NONE, "Codes that were refused."),
    ] },
    Part { title: "Step 5, admit", metrics: &[
        row("vagt_admit_seconds", H, "seconds", NONE, "Reading and checking one message, in the task of its connection."),
        row("vagt_intake_queue_messages", G, "messages", NONE, "Messages that wait for the judge."),
        row("vagt_intake_late_messages", G, "messages", NONE, "Those of them that wait in the late lane: measured long ago, or of a kit that sends too fast."),
        row("vagt_intake_queue_messages_max", G, "messages", NONE, "How many may wait; beyond it the sources hold."),
        row("vagt_intake_queue_bytes", G, "bytes", NONE, "Bytes of messages from when they enter the queue until they are stored."),
        row("vagt_intake_queue_max_bytes", G, "bytes", NONE, "How many there may be; beyond it the sources hold."),
        row("vagt_admit_repeated_total", C, "messages", NONE, "Messages that had come before: acknowledged again, and nothing else."),
        row("vagt_quarantined_total", C, "messages", &[("reason", QUARANTINE_REASONS)], "Messages, or parts of one, that could not be used and are kept with their bytes."),
        row("vagt_quarantine_repeated_total", C, "messages", NONE, "Unusable messages that were not kept again, since the same was a short while ago."),
        row("vagt_quarantine_entries", G, "messages", NONE, "Entries in quarantine, ever."),
    ] },
    Part { title: "Step 6, assess", metrics: &[
        row("vagt_assess_seconds", H, "seconds", NONE, "Judging one message's sitting."),
        row("vagt_judged_messages", G, "messages", &[("batch", "`open` (being filled), `committing`")], "Messages that are judged and not stored yet."),
        row("vagt_judged_messages_max", G, "messages", NONE, "How many each of the two batches holds; beyond it the judge waits for the store."),
        row("vagt_charts", G, "people", NONE, "Charts in memory: at most one for each person of the roster."),
        row("vagt_assessment_changes_total", C, "changes", NONE, "Changes of somebody's colour."),
        row("vagt_alert_changes_total", C, "changes", NONE, "Alerts raised, fed, eased, acknowledged or closed."),
        row("vagt_ticks_total", C, "ticks", NONE, "Times at which rules were asked without a reading: something may be missing."),
        row("vagt_clock_stepped_back_total", C, "times", NONE, "Times that this machine's clock went back so far that charts were begun anew."),
        row("vagt_remeasure_asked_total", C, "requests", NONE, "Kits that were asked to measure a doubtful value again."),
        row("vagt_remeasure_not_asked_total", C, "requests", NONE, "Doubtful values that nobody was asked to measure again: the kit is away, or too many waited."),
    ] },
    Part { title: "Step 7, record", metrics: &[
        row("vagt_messages_total", C, "messages", NONE, "Messages that were taken in: stored, known already, or in quarantine. The heartbeat's are not counted."),
        row("vagt_readings_total", C, "readings", NONE, "Readings stored. The heartbeat's are not counted."),
        row("vagt_batch_messages", H, "messages", NONE, "Messages of one commit."),
        row("vagt_commit_seconds", H, "seconds", NONE, "One commit, with its retries."),
        row("vagt_not_as_decided", G, "entries", NONE, "People who are judged as before since what was decided does not fit them, and people and kits that are left out."),
        row("vagt_commit_errors_total", C, "commits", NONE, "Commits that failed and were tried again; nothing was acknowledged meanwhile."),
        row("vagt_store_bytes", G, "bytes", &[("file", "`database`, `wal` (of an SQLite store), `server` (the database on a PostgreSQL server)")], "The size of the store. A write-ahead log that only grows is not being copied back."),
        row("vagt_store_connections", G, "connections", &[("state", "`idle`, `used`")], "Connections to a PostgreSQL store that reads take turns with."),
        row("vagt_store_connections_max", G, "connections", NONE, "How many there may be."),
        row("vagt_store_reads_waiting", G, "reads", NONE, "Reads that wait for one of them."),
        row("vagt_store_reads_waited_total", C, "reads", NONE, "Reads that have had to wait for one."),
        row("vagt_data_free_bytes", G, "bytes", NONE, "Room left on the disk of the data folder. A PostgreSQL server's disk is watched there: the server does not tell of it."),
        row("vagt_acknowledged_after_seconds", H, "seconds", NONE, "From a message's arrival to its acknowledgement, of the oldest in each commit."),
        row("vagt_acknowledged_to_nobody_total", C, "messages", NONE, "Messages that were stored when their connection had gone: the kit sends them again."),
        row("vagt_holes_passed_total", C, "messages", NONE, "Messages that a kit numbered and that never came, and are no longer waited for."),
    ] },
    Part { title: "Step 8, show", metrics: &[
        row("vagt_live", G, "0 or 1", NONE, "Do the pages say that they are live?"),
        row("vagt_alerts_open", G, "alerts", &[("mark", "`red`, `yellow`, `blue`")], "Open alerts."),
        row("vagt_alerts_oldest_unseen_seconds", G, "seconds", &[("mark", "`red`, `yellow`, `blue`")], "How long the oldest alert waits that nobody has acknowledged; 0 if there is none."),
        row("vagt_patients", G, "people", NONE, "People who are watched."),
        row("vagt_desk_pages", G, "pages", NONE, "Pages that listen to the event stream."),
        row("vagt_desk_pages_max", G, "pages", NONE, "How many may."),
        row("vagt_desk_event_delay_seconds", H, "seconds", NONE, "From a change on the board to its being handed to one page's connection."),
        row("vagt_desk_resyncs_total", C, "times", NONE, "Pages that were so far behind that they had to load again."),
        row("vagt_desk_stalled_pages_total", C, "pages", NONE, "Pages that took nothing for 10 s and were disconnected."),
        row("vagt_desk_panics_total", C, "requests", NONE, "Requests that met a fault of the program."),
        row("vagt_http_requests_total", C, "requests", &[("method", "the method"), ("route", "the route's template, `none` where there is none"), ("status", "the answer's")], "Requests that were answered."),
        row("vagt_http_request_seconds", H, "seconds", &[("route", "as above")], "From a request to its answer; of the event stream, to its beginning."),
        row("vagt_sign_in_total", C, "tries", &[("outcome", "`ok`, `form`, `wrong`, `limited`, `store`")], "Tries to sign in."),
    ] },
    Part { title: "Kits", metrics: &[
        row("vagt_kits", G, "kits", &[("state", "`online`, `away` (heard of within a day), `silent` (for longer), `never` (not heard of yet)")], "Kits of the roster that are not revoked."),
        row("vagt_kits_spooled_messages", G, "messages", NONE, "Messages that connected kits said they still hold, all together."),
        row("vagt_kits_troubled", G, "kits", NONE, "Connected kits whose status names a problem."),
    ] },
    Part { title: "The heartbeat", metrics: &[
        row("vagt_heartbeat_period_seconds", G, "seconds", NONE, "How often a test reading goes in; 0 where it is switched off."),
        row("vagt_heartbeat_last_success_timestamp_seconds", G, "seconds", NONE, "When one last came out judged, stored and shown."),
        row("vagt_heartbeat_seconds", H, "seconds", NONE, "How long one took, all the way."),
        row("vagt_heartbeat_stopped", G, "0 or 1", NONE, "1 while it does not come through."),
        row("vagt_heartbeat_missed_total", C, "readings", &[("step", "`taken`, `stored`, `shown`: where it was missed")], "Test readings that did not come through."),
    ] },
    Part { title: "Shadows", metrics: &[
        row("vagt_shadows_running", G, "shadows", NONE, "Versions of programmes that run beside the one in use."),
        row("vagt_shadow_behind_seconds", G, "seconds", NONE, "How far the slowest is behind."),
    ] },
    Part { title: "The service", metrics: &[
        row("vagt_build_info", G, "1", &[("version", "of the program")], "Which program this is."),
        row("vagt_hub_leads", G, "0 or 1", NONE, "Does this service lead its store? One that waits behind another says 0."),
        row("vagt_started_timestamp_seconds", G, "seconds", NONE, "When the service started, or, after it waited behind another, took over."),
        row("vagt_server_certificate_expiry_timestamp_seconds", G, "seconds", NONE, "When the certificate that kits are shown ends, as the certificate says; absent without TLS."),
    ] },
];

/// Metrics of the process that every Prometheus client library has, by the crate `metrics-process`.
pub const PROCESS: &[&str] = &[
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
    "process_virtual_memory_bytes",
    "process_virtual_memory_max_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
];

/// Bounds of what is measured in seconds: from half a millisecond to a minute.
const SECONDS: [f64; 15] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// Bounds of what takes microseconds.
const SHORT: [f64; 8] = [0.000_005, 0.000_02, 0.000_05, 0.000_1, 0.000_5, 0.002, 0.01, 0.1];
/// Bounds of what is counted in messages.
const MESSAGES: [f64; 7] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0];

/// An exporter with the histograms' bounds.
///
/// # Errors
/// Bounds that are none.
pub fn exporter() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_messages".to_owned()), &MESSAGES)?;
    for name in ["vagt_admit_seconds", "vagt_assess_seconds", "vagt_desk_event_delay_seconds"] {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &SHORT)?;
    }
    Ok(builder)
}

/// Tells the recorder what each metric means, and begins every counter at 0: one that is not there before it first counts has not grown by then,
/// so that nobody would be told of the first of something that must never happen.
pub fn describe() {
    for metric @ Metric { name, kind, unit, meaning, .. } in all() {
        let unit = match *unit {
            "seconds" => Unit::Seconds,
            "bytes" => Unit::Bytes,
            _ => Unit::Count,
        };
        match kind {
            C => {
                metrics::describe_counter!(*name, unit, *meaning);
                metric.begin();
            }
            G => metrics::describe_gauge!(*name, unit, *meaning),
            H => metrics::describe_histogram!(*name, unit, *meaning),
        }
    }
    metrics_process::Collector::default().describe();
}

impl Metric {
    /// A counter at 0: where it has one label, with each that the table names in backquotes; where it has several, they are not known before.
    fn begin(&self) {
        match *self.labels {
            [] => metrics::counter!(self.name).increment(0),
            [(label, says)] => {
                for value in says.split('`').skip(1).step_by(2) {
                    metrics::counter!(self.name, label => value).increment(0);
                }
            }
            _ => {}
        }
    }
}

/// Every metric.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().flat_map(|part| part.metrics)
}

/// docs/metrics.md.
#[must_use]
pub fn page() -> String {
    use std::fmt::Write as _;
    let mut page = PREFACE.to_owned();
    for Part { title, metrics } in METRICS {
        // Writing to a text can't fail.
        let _ = write!(page, "\n## {title}\n\n| metric | kind | unit | says |\n| --- | --- | --- | --- |\n");
        for Metric { name, kind, unit, labels, meaning } in *metrics {
            let labels: String = labels.iter().map(|(label, says)| format!(" Label `{label}`: {says}.")).collect();
            let kind = format!("{kind:?}").to_lowercase();
            let _ = writeln!(page, "| `{name}` | {kind} | {unit} | {meaning}{labels} |");
        }
    }
    page.push_str("\n## The process\n\nAs every Prometheus client library names them: ");
    let named: Vec<_> = PROCESS.iter().map(|name| format!("`{name}`")).collect();
    page.push_str(&named.join(", "));
    page.push_str(".\n");
    page
}

const PREFACE: &str = "# Metrics

What `vagt serve` tells Prometheus at `/metrics`. This page is made of the program's own table (`crates/hub/src/watching/metrics.rs`) by
`VAGT_UPDATE=1 cargo nextest run -p hub metrics`, and a test compares the two. Dashboards and alert rules are in [dashboards](../dashboards);
what to do when one of them calls is in the [runbook](runbook.md).

Units are base units and stand in the name; a name that ends in `_total` only grows while the process lives. A histogram gives
`_bucket`, `_sum` and `_count`. No label is a person or a kit, and no metric carries a measured value. Kits have no metrics of their own:
a kit says how it is in its status, which the service sums up here.
";

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut seen = BTreeSet::new();
        for Metric { name, kind, unit, labels, meaning } in all() {
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.starts_with("vagt_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == C, "{name}: _total is for counters");
            let base = [("seconds", "_seconds"), ("bytes", "_bytes")];
            for (of, suffix) in base {
                assert_eq!(*unit == of, name.trim_end_matches("_total").ends_with(suffix), "{name} is in {unit}");
            }
            for wrong in ["_ms", "_millis", "_kb", "_mb", "_minutes", "_hours", "_percent"] {
                assert!(!name.contains(wrong), "{name}: base units");
            }
            assert!(*kind != H || name.ends_with("_seconds") || name.ends_with("_messages"), "{name} has no bounds");
            for (label, _) in *labels {
                assert!(!["patient", "kit", "name", "person", "user", "id"].contains(label), "{name} names {label}");
            }
            assert!(meaning.ends_with(['.', '?']) && !meaning.contains('|'), "{name}: {meaning}");
        }
        assert!(seen.len() > 50);
    }

    #[test]
    fn every_counter_is_there_before_it_counts() {
        let recorder = exporter().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, describe);
        let page = recorder.handle().render();
        for Metric { name, labels, .. } in all().filter(|metric| metric.kind == C && metric.labels.len() < 2) {
            let label = labels.first().map_or(String::new(), |(label, _)| format!("{{{label}=\""));
            assert!(page.contains(&format!("\n{name}{label}")), "{name} is absent until it counts\n{page}");
        }
        assert!(page.contains("\nvagt_heartbeat_missed_total{step=\"stored\"} 0\n"), "{page}");
    }

    #[test]
    fn the_page_is_made_of_the_table() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        if std::env::var_os("VAGT_UPDATE").is_some() {
            fs::write(&file, page()).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap_or_default(), page(), "run this with VAGT_UPDATE=1");
    }
}
