//! The fold: recorded messages and passing time in, changes out. The same code as the service runs, with the recording's own clock.
//!
//! A patient's time is `received_at` and never goes back. Before a message, every deadline that passed until then is judged at its own time,
//! of all patients, in order; so silence is told where it happened.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use store::{Kit, Patient, Roster};
use triage::{
    Chart, Clinic, Event, Judging, Outcome, Plan, Programme, Sitting, assess, next_held, next_tick, suspect_step,
};
use vitals::{Flag, KitId, PatientId, Reading};

use super::{line::Head, seen::Seen, settings::Settings};
use crate::{
    directory::{Books, Directory, Programmes, RosterError, hex},
    pipeline::admit::{Admitted, admit},
    source::Arrival,
};

/// The most patients of one recording.
pub const PATIENTS_MAX: usize = 1_000_000;
/// The most kits of one patient that are remembered at a time.
const KITS_MAX: usize = 64;
/// A reading this much older than its patient's first message is of a clock that was never set. (The service knows when the kit was handed
/// out; a recording does not.)
const BEFORE_FIRST_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Everybody in the recording, as they are now.
pub struct Fold {
    programme: Arc<Programme>,
    /// The same, as admission's roster wants it.
    books: Books,
    settings: Vec<Settings>,
    judging: Judging,
    people: HashMap<PatientId, Person>,
    /// When each person's silence is next looked at.
    ticks: BTreeSet<(Timestamp, PatientId)>,
    seen: Seen,
    /// The newest `received_at`.
    latest: Option<Timestamp>,
}

/// One patient.
struct Person {
    chart: Chart,
    plan: Arc<Plan>,
    now: Timestamp,
    /// Readings before this are none.
    since: Timestamp,
    /// For admission: each kit that has brought something, as a roster of one.
    kits: HashMap<KitId, Directory>,
}

/// What became of a line, besides changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// It had been there before: nothing changed.
    pub again: bool,
    /// What of it the service would have put into quarantine, and why.
    pub refused: Option<String>,
}

/// What comes out, in order.
pub type Changes = Vec<(Outcome, Arc<Plan>)>;

impl Fold {
    /// A fold that judges by `programme`, with what is particular to patients.
    #[must_use]
    pub fn new(programme: Programme, settings: Vec<Settings>, judging: Judging) -> Self {
        let programme = Arc::new(programme);
        let programmes = Programmes::from([(programme.id().to_owned(), Arc::clone(&programme))]);
        let books = Books::new(programmes, Arc::new(Clinic::shipped()));
        let (people, ticks, seen) = (HashMap::new(), BTreeSet::new(), Seen::default());
        Self { programme, books, settings, judging, people, ticks, seen, latest: None }
    }

    /// Takes a line in.
    ///
    /// # Errors
    /// It is not a recorded message: what was found, what was wanted.
    pub fn line(&mut self, line: &[u8], changes: &mut Changes) -> Result<Read, String> {
        let Head { kit, patient, received_at, seq, .. } = Head::parse(line)?;
        self.meet(&patient, received_at)?;
        self.latest = self.latest.max(Some(received_at));
        self.pass(received_at, changes);
        if !self.seen.mark(&kit, seq) {
            return Ok(Read { again: true, refused: None });
        }
        let person = self.people.get_mut(&patient).expect("met above");
        person.now = person.now.max(received_at);
        let read = person.take(&kit, line, &self.books, changes);
        if let Some(held) = next_held(&person.chart) {
            self.ticks.insert((held, patient));
        }
        read
    }

    /// A patient's chart as it is now.
    #[must_use]
    pub fn chart(&self, patient: &PatientId) -> Option<&Chart> {
        self.people.get(patient).map(|person| &person.chart)
    }

    /// Lets time pass to the newest `received_at`, or to `until`.
    pub fn end(&mut self, until: Option<Timestamp>, changes: &mut Changes) {
        if let Some(end) = until.max(self.latest) {
            self.pass(end, changes);
        }
    }

    /// Judges, in order, every deadline up to `now`.
    fn pass(&mut self, now: Timestamp, changes: &mut Changes) {
        while self.ticks.first().is_some_and(|(due, _)| *due <= now) {
            let Some((due, patient)) = self.ticks.pop_first() else { return };
            let Some(person) = self.people.get_mut(&patient) else { continue };
            person.now = person.now.max(due);
            let outcome = assess(&mut person.chart, &person.plan, &Event::Tick, person.now);
            changes.push((outcome, Arc::clone(&person.plan)));
            if let Some(next) = next_tick(&person.chart, &person.plan).filter(|next| *next > due) {
                self.ticks.insert((next, patient));
            }
        }
    }

    /// Makes sure that a patient is known.
    fn meet(&mut self, id: &PatientId, now: Timestamp) -> Result<(), String> {
        if self.people.contains_key(id) {
            return Ok(());
        }
        if self.people.len() == PATIENTS_MAX {
            return Err(format!("found more than {PATIENTS_MAX} patients, want at most that in one recording"));
        }
        let plan = Arc::new(self.plan(id, now)?);
        let chart = Chart::new();
        if let Some(due) = next_tick(&chart, &plan) {
            self.ticks.insert((due, id.clone()));
        }
        let since = now.checked_sub(BEFORE_FIRST_MAX).unwrap_or(Timestamp::MIN);
        self.people.insert(id.clone(), Person { chart, plan, now, since, kits: HashMap::new() });
        Ok(())
    }

    fn plan(&self, id: &PatientId, first: Timestamp) -> Result<Plan, String> {
        let of_patient = self.settings.iter().find(|settings| settings.id.as_ref() == Some(id));
        let of_all = self.settings.iter().find(|settings| settings.id.is_none());
        let Settings { own, zone, since, .. } = of_patient.or(of_all).cloned().unwrap_or_default();
        let zone = zone.unwrap_or_else(|| self.programme.zone().clone());
        let since = since.unwrap_or(first);
        let clinic = Arc::clone(self.books.clinic());
        let plan = Plan::new(id.clone(), vec![Arc::clone(&self.programme)], clinic, own, zone, since);
        plan.map(|plan| plan.judged(self.judging)).map_err(|error| error.to_string())
    }
}

impl Person {
    /// Admits and judges a message that is new.
    fn take(&mut self, kit: &KitId, line: &[u8], books: &Books, changes: &mut Changes) -> Result<Read, String> {
        let arrival = Arrival {
            kit: kit.clone(),
            payload: Bytes::copy_from_slice(line),
            refused: None,
            received_at: self.now,
            wants_ack: false,
        };
        let Admitted { entry, refused, .. } = admit(self.directory(kit, books)?, &arrival);
        if let Some(mut entry) = entry {
            mark_steps(&self.chart, &mut entry.readings);
            let sitting = Sitting { kit, seq: entry.key.seq, readings: &entry.readings, answers: &entry.answers };
            let outcome = assess(&mut self.chart, &self.plan, &Event::Sitting(sitting), self.now);
            changes.push((outcome, Arc::clone(&self.plan)));
        }
        Ok(Read { again: false, refused })
    }

    /// The directory in which this kit is this patient's.
    fn directory(&mut self, kit: &KitId, books: &Books) -> Result<&Directory, String> {
        if !self.kits.contains_key(kit) {
            let directory = self.roster_of_one(kit, books).map_err(|error| error.to_string())?;
            if self.kits.len() == KITS_MAX {
                self.kits.clear();
            }
            self.kits.insert(kit.clone(), directory);
        }
        Ok(self.kits.get(kit).expect("inserted above"))
    }

    fn roster_of_one(&self, kit: &KitId, books: &Books) -> Result<Directory, RosterError> {
        let patient = Patient {
            id: self.plan.patient().clone(),
            name: String::new(),
            born: None,
            programmes: vec![self.plan.programme().id().to_owned()],
            stratum: None,
            own: serde_json::Value::Null,
            simulated: false,
            since: None,
        };
        let kit = Kit {
            id: kit.clone(),
            patient: Some(patient.id.clone()),
            patients: Vec::new(),
            secret_sha256: hex(&[0; 32]),
            since: Some(self.since),
            devices: Vec::new(),
            revoked: false,
        };
        Directory::new(Roster { patients: vec![patient], kits: vec![kit] }, books, self.plan.zone())
    }
}

/// Flags what is too far from the value before.
fn mark_steps(chart: &Chart, readings: &mut [Reading]) {
    for reading in readings {
        if suspect_step(chart, reading).is_some() {
            reading.flag(Flag::SUSPECT_STEP);
        }
    }
}
