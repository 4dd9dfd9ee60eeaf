//! What a long curve shows: of each hour or day how much was measured, between what, and the mean.
//!
//! PostgreSQL keeps them added up (see `postgres::upkeep`). They are made of the messages here where nothing is added up: in a file, where a patient's
//! messages are found by their chain; and where a reading was invalidated, which what is added up does not know.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use vitals::{Flag, PatientId, Unit, Vital};

use crate::{KitSeq, Store, StoreError, StoredMessage};

/// A device whose clock is so far ahead of the message, or so far behind, measures nothing that a long curve should show.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);
const BEHIND_MAX: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// How long each part of a long curve is. They begin at whole hours and days of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Step {
    /// How long it is.
    #[must_use]
    pub fn length(self) -> SignedDuration {
        SignedDuration::from_hours(match self {
            Self::Hour => 1,
            Self::Day => 24,
        })
    }

    /// The beginning of the part that this time is in.
    #[must_use]
    pub fn begin(self, at: Timestamp) -> Timestamp {
        let second = at.as_nanosecond().div_euclid(1_000_000_000) as i64;
        Timestamp::from_second(second - second.rem_euclid(self.length().as_secs())).unwrap_or(Timestamp::MIN)
    }
}

/// The values of one vital over a long time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LongCurve {
    /// Which.
    pub vital: Vital,
    /// Canonical unit.
    pub unit: Unit,
    /// By time, oldest first; none where nothing was measured.
    pub spans: Vec<Span>,
}

/// An hour or a day of a long curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Span {
    /// When it begins.
    pub at: Timestamp,
    /// How many readings, and how many of them with a flag that speaks against the value.
    pub readings: u64,
    /// See `readings`.
    pub doubtful: u64,
    /// The lowest value.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// The mean.
    pub mean: f64,
}

/// Makes them of a patient's messages.
pub(crate) async fn of_messages<S: Store + ?Sized>(
    store: &S,
    patient: &PatientId,
    vitals: &[Vital],
    since: Timestamp,
    step: Step,
) -> Result<Vec<LongCurve>, StoreError> {
    let since = step.begin(since);
    let invalid = store.invalidated(Some(patient)).await?;
    let invalid: HashSet<(KitSeq, u16)> = invalid.into_iter().map(|reading| (reading.key, reading.place)).collect();
    let mut adding =
        Adding { since, step, invalid, curves: vitals.iter().map(|vital| (*vital, BTreeMap::new())).collect() };
    // What was measured since then was recorded since then, or by a clock that is ahead.
    let mut pages = store.message_pages(patient, since.saturating_sub(AHEAD_MAX).unwrap_or(Timestamp::MIN)).await?;
    while let Some(page) = pages.next().await {
        page?.iter().for_each(|message| adding.message(message));
    }
    Ok(adding.curves.into_iter().map(|(vital, spans)| long_curve(vital, spans.into_values())).collect())
}

pub(crate) fn long_curve(vital: Vital, spans: impl Iterator<Item = Span>) -> LongCurve {
    LongCurve { vital, unit: vital.unit(), spans: spans.collect() }
}

struct Adding {
    since: Timestamp,
    step: Step,
    invalid: HashSet<(KitSeq, u16)>,
    curves: Vec<(Vital, BTreeMap<Timestamp, Span>)>,
}

impl Adding {
    fn message(&mut self, message: &StoredMessage) {
        for (place, reading) in (0_u16..).zip(&message.readings) {
            let before = message.recorded_at.duration_since(reading.measured_at);
            let is_invalid = !self.invalid.is_empty() && self.invalid.contains(&(message.key.clone(), place));
            let is_shown = reading.measured_at >= self.since && before < BEHIND_MAX && before > -AHEAD_MAX;
            if is_invalid || !is_shown {
                continue;
            }
            let Some((_, spans)) = self.curves.iter_mut().find(|(vital, _)| *vital == reading.vital) else { continue };
            let at = self.step.begin(reading.measured_at);
            let doubtful = u64::from(reading.flags.iter().any(Flag::is_doubt));
            add(spans.entry(at), at, reading.value.to_f64(), doubtful);
        }
    }
}

fn add(entry: std::collections::btree_map::Entry<'_, Timestamp, Span>, at: Timestamp, value: f64, doubtful: u64) {
    let span = entry.or_insert(Span { at, readings: 0, doubtful: 0, low: value, high: value, mean: 0.0 });
    span.readings += 1;
    span.doubtful += doubtful;
    span.low = span.low.min(value);
    span.high = span.high.max(value);
    span.mean += (value - span.mean) / span.readings as f64;
}
