//! What the numbers of channels stand for, remembered by the readers: a channel never changes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use sqlx::Row;
use vitals::Reading;

use super::{conn::Asked, message::Kept};
use crate::{
    HistoryChannel, StoreError,
    convert::{corrupt, time},
    rows,
};

/// Channels remembered; a memory that is full is emptied.
const CHANNELS_REMEMBERED_MAX: usize = 200_000;

/// Columns that [`rows::channel`] reads.
pub(super) const COLUMNS: &str = "key, vital, unit, clock, device, flags";

/// Those that were asked for.
#[derive(Default)]
pub(super) struct Channels(RwLock<HashMap<i32, Arc<HistoryChannel>>>);

impl Channels {
    /// Those of these readings.
    pub(super) async fn of<'a>(
        &self,
        conn: &mut Asked,
        kept: impl Iterator<Item = &'a Kept>,
    ) -> Result<HashMap<i32, Arc<HistoryChannel>>, StoreError> {
        let wanted: BTreeSet<i32> = kept.map(|kept| kept.channel).collect();
        let mut found = self.known(&wanted);
        let missing: Vec<i32> = wanted.into_iter().filter(|key| !found.contains_key(key)).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let sql = "SELECT key, vital, unit, clock, device, flags FROM channel WHERE key = ANY($1)";
        for row in sqlx::query(sql).bind(missing).fetch_all(conn).await? {
            let key: i32 = row.try_get(0)?;
            found.insert(key, Arc::new(rows::channel(&row, key.into())?));
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= CHANNELS_REMEMBERED_MAX {
            all.clear();
        }
        all.extend(found.iter().map(|(key, channel)| (*key, Arc::clone(channel))));
        Ok(found)
    }

    fn known(&self, wanted: &BTreeSet<i32>) -> HashMap<i32, Arc<HistoryChannel>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        wanted.iter().filter_map(|key| Some((*key, Arc::clone(all.get(key)?)))).collect()
    }
}

/// A reading as it was admitted.
pub(super) fn reading(
    kept: &Kept,
    channels: &HashMap<i32, Arc<HistoryChannel>>,
    id: i64,
) -> Result<Reading, StoreError> {
    let channel = channels.get(&kept.channel);
    let channel = channel.ok_or_else(|| corrupt("message", id, format!("channel {} is not there", kept.channel)))?;
    let HistoryChannel { vital, unit, clock, device, flags } = &**channel;
    Ok(Reading {
        vital: *vital,
        value: kept.value,
        unit: *unit,
        measured_at: time(kept.measured_at),
        clock: *clock,
        device: device.clone(),
        flags: flags.clone(),
    })
}
