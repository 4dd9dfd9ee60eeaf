//! Long texts as small numbers: kits, patients and channels, remembered so that a batch that brings nothing new asks the database nothing. What a
//! batch does bring is looked up, or made, in one question for each kind. With a kit goes its last seq.
//!
//! Bounded: a memory that is full is emptied between two batches and fills again from the database.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::Row;
use vitals::{Clock, DeviceId, Flag, KitId, PatientId, Reading, Unit, Vital};

use super::conn::Asked;
use crate::convert::clock_name;

/// Entries of each memory, beside those of the batch that filled it.
const KEYS_REMEMBERED_MAX: usize = 200_000;
/// Channels remembered of one device.
const CHANNELS_OF_DEVICE_MAX: usize = 64;

/// The numbers known to one connection.
#[derive(Default)]
pub(super) struct Keys {
    kits: HashMap<KitId, KnownKit>,
    patients: HashMap<PatientId, i32>,
    devices: HashMap<DeviceId, Vec<Channel>>,
}

/// A kit's number and its last seq, if it ever sent anything.
#[derive(Clone, Copy)]
pub(super) struct KnownKit {
    pub(super) key: i32,
    pub(super) last: Option<i64>,
}

struct Channel {
    key: i32,
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
    /// Called between two batches: within one, what it remembers is newer than the database.
    pub(super) fn make_room(&mut self) {
        empty_if_full(&mut self.kits);
        empty_if_full(&mut self.patients);
        self.devices.retain(|_, channels| channels.len() < CHANNELS_OF_DEVICE_MAX);
        empty_if_full(&mut self.devices);
    }

    /// Learns these kits.
    pub(super) async fn learn_kits<'a>(
        &mut self,
        conn: &mut Asked,
        kits: impl Iterator<Item = &'a KitId>,
    ) -> Result<(), sqlx::Error> {
        let new: BTreeSet<&KitId> = kits.filter(|kit| !self.kits.contains_key(*kit)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = new.iter().map(|kit| kit.as_str()).collect();
        let make = "INSERT INTO kit_key (kit) SELECT n FROM UNNEST($1::text[]) n
                    WHERE NOT EXISTS (SELECT 1 FROM kit_key WHERE kit = n) ON CONFLICT DO NOTHING";
        sqlx::query(make).bind(&names).execute(&mut *conn).await?;
        let find = "SELECT k.key, e.seq FROM UNNEST($1::text[]) WITH ORDINALITY n (kit, place)
                    JOIN kit_key k ON k.kit = n.kit LEFT JOIN kit_end e ON e.kit = k.key ORDER BY n.place";
        let rows = sqlx::query(find).bind(&names).fetch_all(&mut *conn).await?;
        for (kit, row) in new.into_iter().zip(rows) {
            self.kits.insert(kit.clone(), KnownKit { key: row.try_get(0)?, last: row.try_get(1)? });
        }
        Ok(())
    }

    /// Learns these patients.
    pub(super) async fn learn_patients<'a>(
        &mut self,
        conn: &mut Asked,
        patients: impl Iterator<Item = &'a PatientId>,
    ) -> Result<(), sqlx::Error> {
        let new: BTreeSet<&PatientId> = patients.filter(|patient| !self.patients.contains_key(*patient)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = new.iter().map(|patient| patient.as_str()).collect();
        let make = "INSERT INTO patient_key (patient) SELECT n FROM UNNEST($1::text[]) n
                    WHERE NOT EXISTS (SELECT 1 FROM patient_key WHERE patient = n) ON CONFLICT DO NOTHING";
        sqlx::query(make).bind(&names).execute(&mut *conn).await?;
        let find = "SELECT p.key FROM UNNEST($1::text[]) WITH ORDINALITY n (patient, place)
                    JOIN patient_key p ON p.patient = n.patient ORDER BY n.place";
        let rows = sqlx::query(find).bind(&names).fetch_all(&mut *conn).await?;
        for (patient, row) in new.into_iter().zip(rows) {
            self.patients.insert(patient.clone(), row.try_get(0)?);
        }
        Ok(())
    }

    /// Learns what these readings are of.
    pub(super) async fn learn_channels<'a>(
        &mut self,
        conn: &mut Asked,
        readings: impl Iterator<Item = &'a Reading>,
    ) -> Result<(), sqlx::Error> {
        let mut known = HashSet::new();
        let mut new: Vec<&Reading> = Vec::new();
        for reading in readings {
            let Reading { device, vital, unit, clock, flags, .. } = reading;
            if self.find_channel(reading).is_none() && known.insert((device, vital, unit, clock, flags)) {
                new.push(reading);
            }
        }
        for part in new.chunks(CHANNELS_ASKED) {
            self.learn_new_channels(conn, part).await?;
        }
        Ok(())
    }

    async fn learn_new_channels(&mut self, conn: &mut Asked, new: &[&Reading]) -> Result<(), sqlx::Error> {
        let devices: Vec<&str> = new.iter().map(|reading| reading.device.as_str()).collect();
        let vitals: Vec<&str> = new.iter().map(|reading| reading.vital.name()).collect();
        let units: Vec<&str> = new.iter().map(|reading| reading.unit.ucum()).collect();
        let clocks: Vec<&str> = new.iter().map(|reading| clock_name(reading.clock)).collect();
        let flags: Vec<String> = new.iter().map(|reading| joined(&reading.flags)).collect();
        let doubt: Vec<bool> = new.iter().map(|reading| reading.flags.iter().any(Flag::is_doubt)).collect();
        let make = "INSERT INTO channel (device, vital, unit, clock, flags, doubt)
            SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[])
            AS n (device, vital, unit, clock, flags, doubt) WHERE NOT EXISTS (SELECT 1 FROM channel c
            WHERE c.device = n.device AND c.vital = n.vital AND c.unit = n.unit AND c.clock = n.clock AND c.flags = n.flags)
            ON CONFLICT DO NOTHING";
        let make = sqlx::query(make).bind(&devices).bind(&vitals).bind(&units).bind(&clocks).bind(&flags).bind(doubt);
        make.execute(&mut *conn).await?;
        let find = "SELECT c.key FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
            WITH ORDINALITY n (device, vital, unit, clock, flags, place) JOIN channel c USING (device, vital, unit, clock, flags)
            ORDER BY n.place";
        let find = sqlx::query(find).bind(devices).bind(vitals).bind(units).bind(clocks).bind(flags);
        let rows = find.fetch_all(&mut *conn).await?;
        for (reading, row) in new.iter().zip(rows) {
            let channels = self.devices.entry(reading.device.clone()).or_default();
            let Reading { vital, unit, clock, .. } = **reading;
            channels.push(Channel { key: row.try_get(0)?, vital, unit, clock, flags: reading.flags.clone() });
        }
        Ok(())
    }

    /// A kit that was learnt.
    pub(super) fn kit(&mut self, kit: &KitId) -> &mut KnownKit {
        self.kits.get_mut(kit).expect("every kit of a batch is learnt before the batch is placed")
    }

    /// A patient who was learnt.
    pub(super) fn patient(&self, patient: &PatientId) -> i32 {
        *self.patients.get(patient).expect("every patient of a batch is learnt before it is written")
    }

    /// A channel that was learnt.
    pub(super) fn channel(&self, reading: &Reading) -> i32 {
        self.find_channel(reading).expect("every channel of a batch is learnt before it is written")
    }

    fn find_channel(&self, reading: &Reading) -> Option<i32> {
        let channels = self.devices.get(&reading.device)?;
        channels.iter().find(|channel| channel.is_of(reading)).map(|channel| channel.key)
    }
}

/// Channels of one question.
const CHANNELS_ASKED: usize = 256;

fn joined(flags: &[Flag]) -> String {
    flags.iter().map(Flag::as_str).collect::<Vec<_>>().join(" ")
}

fn empty_if_full<K, V>(memory: &mut HashMap<K, V>) {
    if memory.len() >= KEYS_REMEMBERED_MAX {
        memory.clear();
    }
}
