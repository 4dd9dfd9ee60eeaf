//! Messages without an index: each names the one before it, of its kit and of its patient, so that a commit only appends.
//!
//! A kit numbers its messages upwards, so in its chain the seqs strictly grow: one that is greater than the last was never seen. Every 256th
//! has a mark from where to walk back to a lower one. A message that comes after one of a higher seq is a stray, listed one by one.

use std::{collections::BTreeMap, sync::LazyLock};

use rusqlite::Connection;
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use vitals::PatientId;

use super::{
    insert::Insert,
    keys::{Keys, KitEnd, PatientEnd},
};
use crate::KitSeq;

/// Messages from one mark to the next: as far as a look-up walks at most.
const MARK_EVERY: i64 = 256;

/// The message of a kit (by number) with a seq, and its hash.
const FIND: &str = "\
SELECT m.id, m.hash FROM stray s CROSS JOIN message m ON m.id = s.id WHERE s.kit = ?1 AND s.seq = ?2
UNION ALL
SELECT * FROM (
    WITH RECURSIVE back (id, seq, previous, hash) AS (
        SELECT m.id, m.seq, m.previous_of_kit, m.hash FROM message m WHERE m.id = coalesce(
            (SELECT id FROM kit_mark WHERE kit = ?1 AND seq >= ?2 ORDER BY seq LIMIT 1),
            (SELECT id FROM kit_end WHERE kit = ?1))
        UNION ALL
        SELECT m.id, m.seq, m.previous_of_kit, m.hash FROM back CROSS JOIN message m ON m.id = back.previous
        WHERE back.seq > ?2
    )
    SELECT id, hash FROM back WHERE seq = ?2
)
LIMIT 1";

static KIT_ENDS: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("INSERT OR REPLACE INTO kit_end (kit, id, seq, chained) VALUES", 4));

static PATIENT_ENDS: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("INSERT OR REPLACE INTO patient_end (patient, id, latest) VALUES", 3));

static MARKS: LazyLock<Insert> = LazyLock::new(|| Insert::new("INSERT INTO kit_mark (kit, seq, id) VALUES", 3));

static STRAYS: LazyLock<Insert> = LazyLock::new(|| Insert::new("INSERT INTO stray (kit, seq, id) VALUES", 3));

/// The message of a kit (by number) with this seq: its id and hash.
pub(super) async fn find(conn: &mut SqliteConnection, kit: i64, seq: u64) -> Result<Option<SqliteRow>, sqlx::Error> {
    sqlx::query(FIND).bind(kit).bind(seq.cast_signed()).fetch_optional(conn).await
}

/// What one batch adds to the chains: gathered message by message, written once at its end.
pub(super) struct Chains {
    next_id: i64,
    placed: Vec<Place>,
    marks: Vec<Place>,
    strays: Vec<Place>,
    kits: BTreeMap<i64, KitEnd>,
    patients: BTreeMap<i64, PatientEnd>,
}

#[derive(Clone, Copy)]
struct Place {
    kit: i64,
    seq: i64,
    id: i64,
}

/// A message's place in its kit's chain.
pub(super) struct OfKit {
    pub(super) id: i64,
    pub(super) kit: i64,
    pub(super) previous: Option<i64>,
}

/// A message's place in its patient's chain.
pub(super) struct OfPatient {
    pub(super) patient: i64,
    pub(super) previous: Option<i64>,
    pub(super) latest: i64,
}

impl Chains {
    /// Before a batch's first message.
    pub(super) fn begin(conn: &Connection) -> Result<Self, rusqlite::Error> {
        let mut last = conn.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM message")?;
        Ok(Self {
            next_id: last.query_row([], |row| row.get(0))?,
            placed: Vec::new(),
            marks: Vec::new(),
            strays: Vec::new(),
            kits: BTreeMap::new(),
            patients: BTreeMap::new(),
        })
    }

    /// The id that the next message gets.
    pub(super) fn next_id(&self) -> i64 {
        self.next_id
    }

    /// Gives the next message its id and its place; none if it is there already, in the file or in this batch.
    pub(super) fn of_kit(
        &mut self,
        conn: &Connection,
        keys: &mut Keys,
        key: &KitSeq,
    ) -> Result<Option<OfKit>, rusqlite::Error> {
        let known = keys.kit(conn, &key.kit)?;
        let place = Place { kit: known.key, seq: key.seq.cast_signed(), id: self.next_id };
        let previous = match known.end {
            Some(end) if place.seq <= end.seq => {
                if place.seq == end.seq || self.is_there(conn, place)? {
                    return Ok(None);
                }
                self.strays.push(place);
                None
            }
            end => {
                let chained = end.map_or(0, |end| end.chained) + 1;
                let new = KitEnd { id: place.id, seq: place.seq, chained };
                known.end = Some(new);
                self.kits.insert(place.kit, new);
                if chained % MARK_EVERY == 0 {
                    self.marks.push(place);
                }
                end.map(|end| end.id)
            }
        };
        self.placed.push(place);
        self.next_id += 1;
        Ok(Some(OfKit { id: place.id, kit: place.kit, previous }))
    }

    /// The file still has the chains as they were before this batch.
    fn is_there(&self, conn: &Connection, wanted: Place) -> Result<bool, rusqlite::Error> {
        if self.placed.iter().any(|place| place.kit == wanted.kit && place.seq == wanted.seq) {
            return Ok(true);
        }
        conn.prepare_cached(FIND)?.exists((wanted.kit, wanted.seq))
    }

    /// Gives a message its place among its patient's; `latest` is the newest time in it.
    pub(super) fn of_patient(
        &mut self,
        conn: &Connection,
        keys: &mut Keys,
        patient: &PatientId,
        id: i64,
        latest: i64,
    ) -> Result<OfPatient, rusqlite::Error> {
        let known = keys.patient(conn, patient)?;
        let latest = known.end.map_or(latest, |end| end.latest.max(latest));
        let new = PatientEnd { id, latest };
        let previous = known.end.replace(new).map(|end| end.id);
        self.patients.insert(known.key, new);
        Ok(OfPatient { patient: known.key, previous, latest })
    }

    /// After a batch's last message.
    pub(super) fn write(self, conn: &Connection) -> Result<(), rusqlite::Error> {
        KIT_ENDS.run(conn, self.kits.len(), self.kits.into_iter(), |values, (kit, end)| {
            values.push(&[&kit, &end.id, &end.seq, &end.chained])
        })?;
        PATIENT_ENDS.run(conn, self.patients.len(), self.patients.into_iter(), |values, (patient, end)| {
            values.push(&[&patient, &end.id, &end.latest])
        })?;
        for (insert, places) in [(&*MARKS, self.marks), (&*STRAYS, self.strays)] {
            insert.run(conn, places.len(), places.into_iter(), |values, place| {
                values.push(&[&place.kit, &place.seq, &place.id])
            })?;
        }
        Ok(())
    }
}
