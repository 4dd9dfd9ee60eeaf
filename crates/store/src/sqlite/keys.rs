//! Long texts as small numbers: kits, patients and channels (what a series of readings has in common), remembered so that a message that
//! brings nothing new asks the database nothing. With a kit and a patient goes where their chain ends.
//!
//! Bounded: a memory that is full is emptied between two batches and fills again from the file.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection};
use vitals::{Clock, DeviceId, Flag, KitId, PatientId, Reading, Unit, Vital};

/// Entries of each memory, beside those of the batch that filled it.
const KEYS_REMEMBERED_MAX: usize = 200_000;
/// Channels remembered of one device.
const CHANNELS_OF_DEVICE_MAX: usize = 64;

/// The numbers known to one connection.
#[derive(Default)]
pub(super) struct Keys {
    kits: HashMap<KitId, Known<KitEnd>>,
    patients: HashMap<PatientId, Known<PatientEnd>>,
    devices: HashMap<DeviceId, Vec<Channel>>,
}

/// A kit's or a patient's number, and where its chain ends.
pub(super) struct Known<End> {
    pub(super) key: i64,
    /// `None` before the first message.
    pub(super) end: Option<End>,
}

/// The last message of a kit's chain, and how many there are.
#[derive(Clone, Copy)]
pub(super) struct KitEnd {
    pub(super) id: i64,
    pub(super) seq: i64,
    pub(super) chained: i64,
}

/// The last message of a patient, and a time after which nothing of the chain was recorded or measured.
#[derive(Clone, Copy)]
pub(super) struct PatientEnd {
    pub(super) id: i64,
    pub(super) latest: i64,
}

struct Channel {
    key: i64,
    vital: Vital,
    unit: Unit,
    clock: Clock,
    flags: Vec<Flag>,
}

impl Channel {
    fn is_of(&self, reading: &Reading) -> bool {
        self.vital == reading.vital
            && self.unit == reading.unit
            && self.clock == reading.clock
            && self.flags == reading.flags
    }
}

impl Keys {
    /// Called between two batches: within one, what it remembers is newer than the file.
    pub(super) fn make_room(&mut self) {
        empty_if_full(&mut self.kits);
        empty_if_full(&mut self.patients);
        empty_if_full(&mut self.devices);
    }

    /// A kit's number and end.
    pub(super) async fn kit(
        &mut self,
        conn: &mut SqliteConnection,
        kit: &KitId,
    ) -> Result<&mut Known<KitEnd>, sqlx::Error> {
        if !self.kits.contains_key(kit) {
            let find = "SELECT key FROM kit_key WHERE kit = ?1";
            let insert = "INSERT INTO kit_key (kit) VALUES (?1) RETURNING key";
            let key = find_or_insert(conn, find, insert, kit.as_str()).await?;
            let end = "SELECT id, seq, chained FROM kit_end WHERE kit = ?1";
            let row = sqlx::query(end).bind(key).fetch_optional(conn).await?;
            let end = row.map(|row| {
                Ok::<_, sqlx::Error>(KitEnd { id: row.try_get(0)?, seq: row.try_get(1)?, chained: row.try_get(2)? })
            });
            self.kits.insert(kit.clone(), Known { key, end: end.transpose()? });
        }
        Ok(self.kits.get_mut(kit).expect("it was there, or was put there"))
    }

    /// A patient's number and end.
    pub(super) async fn patient(
        &mut self,
        conn: &mut SqliteConnection,
        patient: &PatientId,
    ) -> Result<&mut Known<PatientEnd>, sqlx::Error> {
        if !self.patients.contains_key(patient) {
            let find = "SELECT key FROM patient_key WHERE patient = ?1";
            let insert = "INSERT INTO patient_key (patient) VALUES (?1) RETURNING key";
            let key = find_or_insert(conn, find, insert, patient.as_str()).await?;
            let end = "SELECT id, latest FROM patient_end WHERE patient = ?1";
            let row = sqlx::query(end).bind(key).fetch_optional(conn).await?;
            let end = row.map(|row| Ok::<_, sqlx::Error>(PatientEnd { id: row.try_get(0)?, latest: row.try_get(1)? }));
            self.patients.insert(patient.clone(), Known { key, end: end.transpose()? });
        }
        Ok(self.patients.get_mut(patient).expect("it was there, or was put there"))
    }

    /// The number of a reading's channel.
    pub(super) async fn channel(&mut self, conn: &mut SqliteConnection, reading: &Reading) -> Result<i64, sqlx::Error> {
        let known = self.devices.get(&reading.device).and_then(|channels| channels.iter().find(|c| c.is_of(reading)));
        if let Some(channel) = known {
            return Ok(channel.key);
        }
        let key = channel_in_file(conn, reading).await?;
        let channels = self.devices.entry(reading.device.clone()).or_default();
        if channels.len() >= CHANNELS_OF_DEVICE_MAX {
            channels.clear();
        }
        let Reading { vital, unit, clock, .. } = *reading;
        channels.push(Channel { key, vital, unit, clock, flags: reading.flags.clone() });
        Ok(key)
    }
}

fn empty_if_full<K, V>(memory: &mut HashMap<K, V>) {
    if memory.len() >= KEYS_REMEMBERED_MAX {
        memory.clear();
    }
}

async fn find_or_insert(
    conn: &mut SqliteConnection,
    find: &'static str,
    insert: &'static str,
    text: &str,
) -> Result<i64, sqlx::Error> {
    if let Some(row) = sqlx::query(find).bind(text).fetch_optional(&mut *conn).await? {
        return row.try_get(0);
    }
    sqlx::query(insert).bind(text).fetch_one(conn).await?.try_get(0)
}

async fn channel_in_file(conn: &mut SqliteConnection, reading: &Reading) -> Result<i64, sqlx::Error> {
    let flags = reading.flags.iter().map(Flag::as_str).collect::<Vec<_>>().join(" ");
    let bound = |sql: &'static str| {
        sqlx::query(sql)
            .bind(reading.device.as_str())
            .bind(reading.vital.name())
            .bind(reading.unit.ucum())
            .bind(super::convert::clock_name(reading.clock))
            .bind(flags.clone())
    };
    let find = "SELECT key FROM channel WHERE device = ?1 AND vital = ?2 AND unit = ?3 AND clock = ?4 AND flags = ?5";
    if let Some(row) = bound(find).fetch_optional(&mut *conn).await? {
        return row.try_get(0);
    }
    let insert = "INSERT INTO channel (device, vital, unit, clock, flags) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING key";
    bound(insert).fetch_one(conn).await?.try_get(0)
}
