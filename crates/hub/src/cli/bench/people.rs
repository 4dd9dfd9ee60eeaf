//! Simulated people for a bench's store: everybody sits down once a day, for so many days, and nothing more is said of them.

use std::{ops::Range, sync::Arc};

use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use store::{Batch, Entry, Kit, KitSeq, Patient, Roster, Store, StoreError};
use vitals::{Clock, DeviceId, IdError, KitId, PatientId, Reading, SessionId, Value, Vital};

/// Messages of one commit.
const BATCH_MESSAGES: usize = 4_096;
/// What a sitting measures, over and over until it has enough: vital, usual value, spread between people, spread from day to day.
const MEASURED: [(Vital, f64, f64, f64, u32); 8] = [
    (Vital::Spo2, 93.0, 1.8, 1.2, 0),
    (Vital::Pulse, 82.0, 9.0, 6.0, 0),
    (Vital::Temperature, 36.7, 0.2, 0.25, 1),
    (Vital::RespRate, 18.0, 2.0, 1.5, 0),
    (Vital::Systolic, 132.0, 12.0, 8.0, 0),
    (Vital::Diastolic, 78.0, 7.0, 5.0, 0),
    (Vital::Weight, 74.0, 12.0, 0.5, 1),
    (Vital::Fev1, 1.3, 0.3, 0.06, 2),
];

/// Who they are, and from when on.
pub(super) struct People {
    people: Vec<Person>,
    begin: Timestamp,
    readings: u8,
}

impl People {
    /// So many people, who begin on this day and measure so much in a sitting.
    pub fn new(count: u32, begin: Timestamp, readings: u8) -> Result<Self, IdError> {
        Ok(Self { people: (0..count).map(Person::new).collect::<Result<_, _>>()?, begin, readings })
    }

    /// Everybody with a kit of their own; `secret` gives the hash of a kit's secret, or nothing.
    pub fn roster(&self, programme: &str, secret: impl Fn(usize) -> String) -> Roster {
        let patient = |person: &Person| Patient {
            id: person.patient.clone(),
            name: format!("Simulated {}", person.number),
            born: None,
            programmes: vec![programme.to_owned()],
            stratum: None,
            own: serde_json::Value::Null,
            simulated: true,
            since: Some(self.begin),
        };
        let kit = |(index, person): (usize, &Person)| Kit {
            id: person.kit.clone(),
            patient: Some(person.patient.clone()),
            patients: Vec::new(),
            secret_sha256: secret(index),
            since: Some(self.begin),
            devices: Vec::new(),
            revoked: false,
        };
        Roster {
            patients: self.people.iter().map(patient).collect(),
            kits: self.people.iter().enumerate().map(kit).collect(),
        }
    }

    /// The id of a kit.
    pub fn kit(&self, index: usize) -> Option<&KitId> {
        self.people.get(index).map(|person| &person.kit)
    }

    /// Commits what everybody measured on these days, a day after the other; each is told before it begins.
    pub async fn fill(
        &self,
        store: &dyn Store,
        days: Range<i64>,
        bar: &ProgressBar,
        mut day_begins: impl FnMut(Timestamp) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut batch = Batch::default();
        let share = 1_000.0 / (days.end - days.start).max(1) as f64;
        for day in days.clone() {
            day_begins(self.begin + SignedDuration::from_hours(24 * day))?;
            for person in &self.people {
                batch.entries.push(person.sitting(self.begin, day, self.readings));
                if batch.entries.len() >= BATCH_MESSAGES {
                    commit(store, &mut batch).await?;
                }
            }
            commit(store, &mut batch).await?;
            bar.set_position(((day + 1 - days.start) as f64 * share) as u64);
        }
        bar.finish_and_clear();
        Ok(())
    }
}

async fn commit(store: &dyn Store, batch: &mut Batch) -> Result<(), StoreError> {
    let Some(last) = batch.entries.last() else { return Ok(()) };
    batch.recorded_at = last.recorded_at;
    store.commit_shared(Arc::new(std::mem::take(batch))).await
}

/// A simulated person: what is usual of each vital.
struct Person {
    number: u32,
    patient: PatientId,
    kit: KitId,
    device: DeviceId,
    usual: [f64; MEASURED.len()],
}

impl Person {
    fn new(number: u32) -> Result<Self, IdError> {
        let mut chance = StdRng::seed_from_u64(u64::from(number));
        Ok(Self {
            number,
            patient: format!("bench-{number}").parse()?,
            kit: format!("bench-{number}").parse()?,
            device: "bench:1".parse()?,
            usual: MEASURED.map(|(_, usual, between, ..)| usual + between * bell(&mut chance)),
        })
    }

    fn sitting(&self, begin: Timestamp, day: i64, readings: u8) -> Entry {
        let mut chance = StdRng::seed_from_u64((u64::from(self.number) << 20) | day.cast_unsigned());
        let minutes = i64::from(self.number % 240);
        let at = begin + SignedDuration::from_mins(day * 24 * 60 + 60 + minutes);
        // A stamp of its own for each message.
        let recorded_at = at + SignedDuration::from_micros(i64::from(self.number));
        let readings = (0..usize::from(readings)).map(|place| self.reading(place, at, &mut chance)).collect();
        Entry {
            key: KitSeq { kit: self.kit.clone(), seq: day.cast_unsigned() + 1 },
            hash: [0; 32],
            patient: self.patient.clone(),
            session: SessionId::from_u128(u128::from(self.number) << 64 | u128::from(day.cast_unsigned())),
            sent_at: at,
            recorded_at,
            readings,
            answers: Vec::new(),
            receipts: Vec::new(),
        }
    }

    fn reading(&self, place: usize, at: Timestamp, chance: &mut StdRng) -> Reading {
        let (vital, _, _, within, digits) = MEASURED[place % MEASURED.len()];
        let number = self.usual[place % MEASURED.len()] + within * bell(chance);
        let number = if vital == Vital::Spo2 { number.min(100.0) } else { number };
        let mantissa = (number * 10_f64.powi(digits.cast_signed())).round() as i64;
        Reading {
            vital,
            value: Value::new(mantissa, digits),
            unit: vital.unit(),
            measured_at: at - SignedDuration::from_secs(60 * (place as i64 / MEASURED.len() as i64)),
            clock: Clock::Device,
            device: self.device.clone(),
            flags: Vec::new(),
        }
    }
}

/// About normal, mean 0 and spread 1: twelve even numbers added up.
fn bell(chance: &mut StdRng) -> f64 {
    (0..12).map(|_| chance.random::<f64>()).sum::<f64>() - 6.0
}
