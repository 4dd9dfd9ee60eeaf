//! Long texts as small numbers: kits, patients and channels (what a series of readings has in common), remembered so that a message that
//! brings nothing new asks the database nothing. With a kit and a patient goes where their chain ends.
//!
//! Bounded: a memory that is full is emptied between two batches and fills again from the file.

use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension as _};
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
    pub(super) fn kit(&mut self, conn: &Connection, kit: &KitId) -> Result<&mut Known<KitEnd>, rusqlite::Error> {
        if !self.kits.contains_key(kit) {
            let find = "SELECT key FROM kit_key WHERE kit = ?1";
            let insert = "INSERT INTO kit_key (kit) VALUES (?1) RETURNING key";
            let key = find_or_insert(conn, find, insert, kit.as_str())?;
            let mut end = conn.prepare_cached("SELECT id, seq, chained FROM kit_end WHERE kit = ?1")?;
            let end =
                end.query_row([key], |row| Ok(KitEnd { id: row.get(0)?, seq: row.get(1)?, chained: row.get(2)? }));
            self.kits.insert(kit.clone(), Known { key, end: end.optional()? });
        }
        Ok(self.kits.get_mut(kit).expect("it was there, or was put there"))
    }

    /// A patient's number and end.
    pub(super) fn patient(
        &mut self,
        conn: &Connection,
        patient: &PatientId,
    ) -> Result<&mut Known<PatientEnd>, rusqlite::Error> {
        if !self.patients.contains_key(patient) {
            let find = "SELECT key FROM patient_key WHERE patient = ?1";
            let insert = "INSERT INTO patient_key (patient) VALUES (?1) RETURNING key";
            let key = find_or_insert(conn, find, insert, patient.as_str())?;
            let mut end = conn.prepare_cached("SELECT id, latest FROM patient_end WHERE patient = ?1")?;
            let end = end.query_row([key], |row| Ok(PatientEnd { id: row.get(0)?, latest: row.get(1)? }));
            self.patients.insert(patient.clone(), Known { key, end: end.optional()? });
        }
        Ok(self.patients.get_mut(patient).expect("it was there, or was put there"))
    }

    /// The number of a reading's channel.
    pub(super) fn channel(&mut self, conn: &Connection, reading: &Reading) -> Result<i64, rusqlite::Error> {
        let known = self.devices.get(&reading.device).and_then(|channels| channels.iter().find(|c| c.is_of(reading)));
        if let Some(channel) = known {
            return Ok(channel.key);
        }
        let key = channel_in_file(conn, reading)?;
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

fn find_or_insert(conn: &Connection, find: &str, insert: &str, text: &str) -> Result<i64, rusqlite::Error> {
    match conn.prepare_cached(find)?.query_row([text], |row| row.get(0)).optional()? {
        Some(key) => Ok(key),
        None => conn.prepare_cached(insert)?.query_row([text], |row| row.get(0)),
    }
}

fn channel_in_file(conn: &Connection, reading: &Reading) -> Result<i64, rusqlite::Error> {
    let flags = reading.flags.iter().map(Flag::as_str).collect::<Vec<_>>().join(" ");
    let Reading { device, vital, unit, clock, .. } = reading;
    let columns = (device.as_str(), vital.name(), unit.ucum(), super::convert::clock_name(*clock), flags);
    let find = "SELECT key FROM channel WHERE device = ?1 AND vital = ?2 AND unit = ?3 AND clock = ?4 AND flags = ?5";
    if let Some(key) = conn.prepare_cached(find)?.query_row(columns.clone(), |row| row.get(0)).optional()? {
        return Ok(key);
    }
    let insert = "INSERT INTO channel (device, vital, unit, clock, flags) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING key";
    conn.prepare_cached(insert)?.query_row(columns, |row| row.get(0))
}
