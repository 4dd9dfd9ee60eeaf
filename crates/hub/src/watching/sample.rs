//! What is looked at every few seconds for `/metrics`: the board, the kits, files, the process. What happens is counted where it happens.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use desk::{Board, EVENT_PAGES_MAX, KitState};
use jiff::{SignedDuration, Timestamp};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::PrometheusHandle;
use store::{Connections, Place, Sqlite, Store};
use triage::{Mark, State};

use crate::{
    authority, clock,
    config::Config,
    pipeline::{BATCH_MESSAGES_MAX, INTAKE_BYTES_MAX, QUEUE_MESSAGES_MAX},
    watching::heartbeat,
};

/// How often.
const PERIOD: Duration = Duration::from_secs(5);
/// How often files are looked at, and how long a certificate lasts, in periods.
const FILES_PERIODS: u32 = 6;
/// How long a server may take to say how large its database is: what else is looked at does not wait for longer.
const DATABASE_MAX: Duration = Duration::from_secs(2);
/// A kit that was not heard of for so long is silent.
const SILENT_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What is looked at.
pub struct Sampled {
    /// What the pages show.
    pub board: Arc<Board>,
    /// What `/metrics` prints.
    pub handle: PrometheusHandle,
    store: Arc<dyn Store>,
    place: Place,
    data: PathBuf,
    certificate: Option<PathBuf>,
}

impl Sampled {
    /// Of the service with this configuration. What never changes is said here.
    #[must_use]
    pub fn new(config: &Config, store: Arc<dyn Store>, board: Arc<Board>, handle: PrometheusHandle) -> Self {
        gauge!("vagt_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!("vagt_started_timestamp_seconds").set(clock::now().as_millisecond() as f64 / 1e3);
        gauge!("vagt_intake_queue_messages_max").set(QUEUE_MESSAGES_MAX as f64);
        gauge!("vagt_intake_queue_max_bytes").set(INTAKE_BYTES_MAX as f64);
        gauge!("vagt_judged_messages_max").set(BATCH_MESSAGES_MAX as f64);
        gauge!("vagt_front_door_connections_max").set(config.mqtt.connections_max as f64);
        gauge!("vagt_desk_pages_max").set(EVENT_PAGES_MAX as f64);
        gauge!("vagt_heartbeat_period_seconds").set(f64::from(config.heartbeat.period_seconds));
        let certificate = config.mqtt.tls.as_ref().map(|tls| tls.cert.clone());
        Self { board, handle, store, place: config.store(), data: config.data.clone(), certificate }
    }
}

/// Looks, for ever.
pub async fn keep(sampled: Sampled) {
    let process = metrics_process::Collector::default();
    for round in 0_u32.. {
        let now = clock::now();
        board(&sampled.board, now);
        kits(&sampled.board.kits(), now);
        connections(sampled.store.connections());
        if round.is_multiple_of(FILES_PERIODS) {
            files(&sampled);
            database(&*sampled.store).await;
        }
        process.collect();
        sampled.handle.run_upkeep();
        tokio::time::sleep(PERIOD).await;
    }
}

fn board(board: &Board, now: Timestamp) {
    let (_, open) = board.queue();
    for (mark, name) in [(Mark::Red, "red"), (Mark::Yellow, "yellow"), (Mark::Blue, "blue")] {
        let of_mark = open.iter().filter(|alert| alert.mark == mark);
        gauge!("vagt_alerts_open", "mark" => name).set(of_mark.clone().count() as f64);
        let unseen = of_mark.filter(|alert| matches!(alert.state, State::Open)).map(|alert| alert.waiting_since).min();
        let waits = unseen.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0));
        gauge!("vagt_alerts_oldest_unseen_seconds", "mark" => name).set(waits);
    }
    gauge!("vagt_patients").set(board.people().len() as f64);
    gauge!("vagt_quarantine_entries").set(board.counts().quarantined as f64);
    gauge!("vagt_live").set(if board.liveness(now).live { 1.0 } else { 0.0 });
}

fn connections(connections: Option<Connections>) {
    let Some(Connections { idle, used, most, waiting, waits }) = connections else { return };
    gauge!("vagt_store_connections", "state" => "idle").set(f64::from(idle));
    gauge!("vagt_store_connections", "state" => "used").set(f64::from(used));
    gauge!("vagt_store_connections_max").set(f64::from(most));
    gauge!("vagt_store_reads_waiting").set(f64::from(waiting));
    counter!("vagt_store_reads_waited_total").absolute(waits);
}

fn kits(kits: &[KitState], now: Timestamp) {
    let (mut online, mut away, mut silent, mut never) = (0_u32, 0_u32, 0_u32, 0_u32);
    let (mut spooled, mut troubled) = (0.0, 0_u32);
    for state in kits.iter().filter(|state| !state.kit.revoked && !heartbeat::is(&state.kit.id)) {
        match &state.heard {
            Some(heard) if heard.online => {
                online += 1;
                spooled += heard.status["spooled"].as_f64().unwrap_or(0.0);
                troubled += u32::from(heard.status["problems"].as_array().is_some_and(|problems| !problems.is_empty()));
            }
            Some(heard) if now.duration_since(heard.at) <= SILENT_AFTER => away += 1,
            Some(_) => silent += 1,
            None => never += 1,
        }
    }
    for (state, count) in [("online", online), ("away", away), ("silent", silent), ("never", never)] {
        gauge!("vagt_kits", "state" => state).set(f64::from(count));
    }
    gauge!("vagt_kits_spooled_messages").set(spooled);
    gauge!("vagt_kits_troubled").set(f64::from(troubled));
}

/// The database on a server, if there is one.
async fn database(store: &dyn Store) {
    match tokio::time::timeout(DATABASE_MAX, store.bytes()).await {
        Ok(Ok(Some(bytes))) => gauge!("vagt_store_bytes", "file" => "server").set(bytes as f64),
        Ok(Ok(None)) => {}
        Ok(Err(error)) => tracing::debug!("how large the database is can't be asked: {error}"),
        Err(_) => tracing::debug!("the server does not say how large the database is"),
    }
}

fn files(sampled: &Sampled) {
    if let Place::File(path) = &sampled.place {
        let [wal, _] = Sqlite::beside(path);
        for (file, path) in [("database", path), ("wal", &wal)] {
            let bytes = fs::metadata(path).map_or(0, |file| file.len());
            gauge!("vagt_store_bytes", "file" => file).set(bytes as f64);
        }
    }
    if let Ok(stat) = rustix::fs::statvfs(&sampled.data) {
        gauge!("vagt_data_free_bytes").set(stat.f_bavail.saturating_mul(stat.f_frsize) as f64);
    }
    let ends = sampled.certificate.as_ref().and_then(|path| authority::ends(path).ok());
    if let Some(ends) = ends {
        gauge!("vagt_server_certificate_expiry_timestamp_seconds").set(ends.as_second() as f64);
    }
}
