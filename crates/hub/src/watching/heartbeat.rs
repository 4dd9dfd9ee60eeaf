//! The heartbeat: once a minute a synthetic reading goes in where kits come in, and must come out judged rightly, stored, and shown as pages
//! are shown things. If it does not, everybody is told: the pages in red, `/readyz`, a metric, the log.
//!
//! It is nobody's. Its kit and patient have names of their own that no roster may use, and are in no roster: so it is counted among no people
//! and no kits, and questions that go by the roster (reports, backtests, exports) never meet it. It is judged by the real triage, with a
//! programme and an empty chart of its own, and what would become an alert ends here (decision 0084).

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use desk::{Board, Follower, Pulse, Stopped};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use store::{Entry, KitSeq, Store};
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use triage::{Chart, Clinic, Event, Own, Plan, Programme, Sitting, assess};
use vitals::{Colour, KitId, PatientId, Vital};
use wire::Judged;

use super::way::Way;
use crate::{authority, clock, directory::hex};

/// The kit and the patient that nobody may be: what it sends and what is stored of it carries this name.
pub const NAME: &str = "vagt-heartbeat";
/// How long a reading may take to come out at the end.
pub const BEAT_MAX: Duration = Duration::from_secs(15);
/// How soon it is tried again when one did not.
pub const AGAIN: Duration = Duration::from_secs(5);
/// How soon the store is asked again, where an acknowledgement does not mean stored.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Its two values, judged green and red, in turn: a triage that says the same of everything is found out.
const VALUES: [(&str, Colour); 2] = [("1", Colour::Green), ("9", Colour::Red)];
/// What it is judged by. The vital is one that says nothing of illness here; the limits are between its two values.
const PROGRAMME: &str = r#"
id = "vagt-heartbeat"
version = 1
title = { en = "The service's heartbeat", da = "Tjenestens puls" }
zone = "UTC"
source = "synthetic"
[clinic]
late_after = "24h"
ease_after_sittings = 1
early = "1h"
grace = "1h"
[[rule]]
id = "heartbeat"
kind = "band"
family = "heartbeat"
vital = "perfusion_index"
unit = "%"
bands = [{ mark = "green", below = 5 }, { mark = "red", from = 5 }]
source = "synthetic"
"#;

/// Its kit.
#[must_use]
pub fn kit() -> KitId {
    NAME.parse().expect("it is a kit's id")
}

/// Its patient.
#[must_use]
pub fn patient() -> PatientId {
    NAME.parse().expect("it is a patient's id")
}

/// What its kit shows where a certificate is asked for, and the key to it: signed by itself, made anew by every process and kept nowhere.
#[must_use]
pub fn certificate() -> &'static (CertificateDer<'static>, PrivateKeyDer<'static>) {
    static CERTIFICATE: OnceLock<(CertificateDer<'static>, PrivateKeyDer<'static>)> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        authority::signed_by_itself(NAME, clock::now()).expect("there are random numbers, and the name is ASCII")
    })
}

/// Is this the heartbeat's kit?
#[must_use]
pub fn is(kit: &KitId) -> bool {
    kit.as_str() == NAME
}

/// What its kit signs in with, made anew by every process and kept nowhere.
#[must_use]
pub fn secret() -> &'static str {
    static SECRET: OnceLock<String> = OnceLock::new();
    SECRET.get_or_init(|| hex(&rand::random::<[u8; 32]>()))
}

fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| {
        let programme = Programme::parse(PROGRAMME, "the heartbeat's programme").expect("a test reads it");
        let (clinic, own) = (Arc::new(Clinic::shipped()), Own::default());
        Plan::new(patient(), vec![Arc::new(programme)], clinic, own, TimeZone::UTC, Timestamp::UNIX_EPOCH)
            .expect("a test makes it")
    })
}

/// What the triage makes of one of its messages, on an empty chart: alerts and assessments of nobody go nowhere.
#[must_use]
pub fn judge(entry: &Entry, at: Timestamp) -> (Option<Pulse>, Vec<Judged>) {
    let Entry { key: KitSeq { kit, seq }, readings, answers, .. } = entry;
    let sitting = Sitting { kit, seq: *seq, readings, answers };
    let outcome = assess(&mut Chart::default(), plan(), &Event::Sitting(sitting), at);
    let said: Vec<Judged> =
        outcome.judged.into_iter().map(|(vital, colour)| Judged { seq: *seq, vital, colour }).collect();
    let of_it = said.iter().find(|judged| judged.vital == Some(Vital::PerfusionIndex));
    (of_it.map(|judged| Pulse { seq: *seq, colour: judged.colour, at }), said)
}

/// Where one is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Taken,
    Stored,
    Shown,
}

impl Step {
    /// For a person who reads the page's head.
    fn missed(self) -> &'static str {
        match self {
            Self::Taken => "a test reading is not taken in where kits send",
            Self::Stored => "a test reading was acknowledged and is not in the store",
            Self::Shown => "a test reading was stored and is not shown",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Stored => "stored",
            Self::Shown => "shown",
        }
    }
}

/// One that is on its way: sent again as it was until it is acknowledged, as a kit does.
struct Beat {
    seq: u64,
    payload: String,
    wanted: Colour,
}

/// Keeps the heart beating.
pub struct Heart {
    store: Arc<dyn Store>,
    board: Arc<Board>,
    /// The one that the next beat goes, first.
    ways: VecDeque<Box<dyn Way>>,
    period: Duration,
    /// Hears what pages hear, from before the one that is on its way was sent.
    page: Follower,
    shown: Timestamp,
    seq: u64,
    waiting: Option<Beat>,
    stopped: bool,
}

impl Heart {
    /// One that beats every `period`, by each of these ways in turn.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, board: Arc<Board>, ways: Vec<Box<dyn Way>>, period: Duration) -> Self {
        let (page, ways) = (board.follow(), ways.into());
        Self { store, board, ways, period, page, shown: clock::now(), seq: 0, waiting: None, stopped: false }
    }

    /// Beats for ever. A way that is missed is tried again before another is.
    pub async fn keep(mut self) {
        while let Some(mut way) = self.ways.pop_front() {
            let mut step = Step::Taken;
            let started = Instant::now();
            let came = match timeout(BEAT_MAX, self.beat(&mut *way, &mut step)).await {
                Ok(came) => came,
                Err(_) => Err(format!("nothing in {} s", BEAT_MAX.as_secs())),
            };
            let pause = match came {
                Ok(()) => {
                    self.ways.push_back(way);
                    self.came(started.elapsed())
                }
                Err(why) => {
                    let pause = self.missed(way.name(), step, &why);
                    self.ways.push_front(way);
                    pause
                }
            };
            sleep(pause).await;
        }
    }

    /// One reading, all the way. `step` says how far it is.
    async fn beat(&mut self, way: &mut dyn Way, step: &mut Step) -> Result<(), String> {
        let Beat { seq, payload, wanted } = self.next().await?;
        let (seq, wanted, payload) = (*seq, *wanted, payload.clone());
        way.send(payload.into_bytes()).await?;
        self.waiting = None;
        *step = Step::Stored;
        while !self.is_stored(seq).await? {
            if way.acknowledged_means_stored() {
                return Err(format!("message {seq} is not there as it was sent"));
            }
            sleep(LOOK_AGAIN).await;
        }
        *step = Step::Shown;
        loop {
            let pulse = self.page.pulse().await;
            if pulse.seq == seq {
                let Pulse { colour, .. } = pulse;
                return if colour == wanted {
                    Ok(())
                } else {
                    Err(format!("judged {colour:?}, want {wanted:?}").to_lowercase())
                };
            }
        }
    }

    /// Is it there, as it was sent?
    async fn is_stored(&self, seq: u64) -> Result<bool, String> {
        let found = self.store.message(&KitSeq { kit: kit(), seq }).await.map_err(|error| error.to_string())?;
        Ok(found.is_some_and(|(whose, message)| whose == patient() && message.readings.len() == 1))
    }

    /// The one that waits to be acknowledged, or a new one.
    async fn next(&mut self) -> Result<&Beat, String> {
        if self.waiting.is_none() {
            if self.seq == 0 {
                let last = self.store.last_seqs(&[kit()]).await.map_err(|error| error.to_string())?;
                self.seq = last.first().map_or(0, |(_, seq)| *seq);
            }
            self.seq += 1;
            self.page = self.board.follow();
            self.waiting = Some(Beat::new(self.seq, clock::now()));
        }
        Ok(self.waiting.as_ref().expect("it was just put there"))
    }

    fn came(&mut self, took: Duration) -> Duration {
        self.shown = clock::now();
        metrics::gauge!("vagt_heartbeat_last_success_timestamp_seconds").set(self.shown.as_millisecond() as f64 / 1e3);
        metrics::histogram!("vagt_heartbeat_seconds").record(took.as_secs_f64());
        metrics::gauge!("vagt_heartbeat_stopped").set(0.0);
        self.board.heartbeat(None);
        if std::mem::take(&mut self.stopped) {
            tracing::info!("the heartbeat is back: a test reading came through in {} ms", took.as_millis());
        }
        self.period / u32::try_from(self.ways.len()).unwrap_or(1).max(1)
    }

    fn missed(&mut self, way: &str, step: Step, why: &str) -> Duration {
        metrics::counter!("vagt_heartbeat_missed_total", "step" => step.name()).increment(1);
        metrics::gauge!("vagt_heartbeat_stopped").set(1.0);
        let reason = step.missed();
        if !std::mem::replace(&mut self.stopped, true) {
            tracing::error!(way, "{reason}: {why}");
        }
        self.board.heartbeat(Some(Stopped { since: self.shown, reason: reason.to_owned() }));
        AGAIN.min(self.period)
    }
}

impl Beat {
    fn new(seq: u64, now: Timestamp) -> Self {
        let (value, wanted) = VALUES[usize::from(seq % 2 == 1)];
        let value: serde_json::Number = value.parse().expect("it is a number");
        let reading = json!({
            "vital": "perfusion_index", "value": value, "unit": "%", "measured_at": now, "clock": "kit", "device": "vagt-heartbeat:0",
        });
        let message = json!({ "seq": seq, "oldest": seq, "sent_at": now, "session": uuid::Uuid::now_v7(), "readings": [reading] });
        Self { seq, payload: message.to_string(), wanted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        directory::{Directory, copd},
        pipeline::admit::admit,
        source::Arrival,
    };

    fn entry(seq: u64) -> Entry {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let directory = Directory::new(store::Roster::default(), &copd(), &TimeZone::UTC).unwrap();
        let payload = Beat::new(seq, now).payload.into();
        let arrival = Arrival { kit: kit(), payload, refused: None, received_at: now, wants_ack: true };
        let admitted = admit(&directory, &arrival);
        assert_eq!(admitted.refused, None);
        admitted.entry.unwrap()
    }

    #[test]
    fn its_values_are_judged_green_and_red_in_turn() {
        let at = Timestamp::UNIX_EPOCH;
        for (seq, colour) in [(1, Colour::Red), (2, Colour::Green), (3, Colour::Red)] {
            let (pulse, judged) = judge(&entry(seq), at);
            assert_eq!(pulse, Some(Pulse { seq, colour, at }));
            assert_eq!(judged.len(), 1);
        }
    }

    #[test]
    fn it_is_in_no_roster_and_signs_in() {
        let directory = Directory::new(store::Roster::default(), &copd(), &TimeZone::UTC).unwrap();
        assert_eq!(directory.check_secret(&kit(), secret().as_bytes()), Ok(()));
        assert!(directory.check_secret(&kit(), b"").is_err());
        assert!(directory.plans().is_empty() && directory.roster().kits.is_empty());
    }
}
