//! The state machine: what came in, what was decided, what is to be made durable. Everything that a person, a device, the clinic or the time
//! does goes through here, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use drivers::Progress;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use vitals::{Answer, DeviceId, Flag, PatientId, SessionId};
use wire::{Due, Judged};

use super::{
    Note,
    commands::Commands,
    held::{Held, Keyed},
    own::Own,
    station::{Station, Turn},
    trace::Traces,
};
use crate::{
    questionnaire::Questionnaires,
    sitting::Sittings,
    spool::{Changes, Draft, Priority, Receipt},
};

/// Whose something is: nobody's in particular on a kit of one person, which knows no patient.
pub type Who = Option<PatientId>;

/// A measurement is shown as going on for this long after its last news.
pub const LIVE_FOR: SignedDuration = SignedDuration::from_secs(6);
/// News after so long a pause are of another measurement. Until then it may be the same finger in the same clip, whoever is chosen meanwhile.
pub const LIVE_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// Devices whose measurements are followed at once.
const LIVE_MAX: usize = 64;
/// People whose sittings are joined.
const SITTINGS_OF_MAX: usize = 16;
/// Under which name the kit's own state is kept, and a person's.
const KEPT_KIT: &str = "round";
const KEPT_PERSON: &str = "round person";

/// What is configured.
#[derive(Debug)]
pub struct Rules {
    /// The zone of the room.
    pub zone: TimeZone,
    /// What the page calls the kit's one person.
    pub name: Option<String>,
    /// What is due, unless the clinic has set it.
    pub dues: Vec<Due>,
    /// What can be asked.
    pub questionnaires: Questionnaires,
    /// The people of a station.
    pub station: Option<Station>,
}

impl Rules {
    /// A kit of one person with the program's own questionnaires, on which nothing is due.
    ///
    /// # Panics
    /// When the program's own questionnaires are wrong, which its tests rule out.
    #[must_use]
    pub fn plain(zone: TimeZone) -> Self {
        let questionnaires = crate::questionnaire::defaults().expect("the program's own questionnaires are tested");
        Self { zone, name: None, dues: Vec::new(), questionnaires, station: None }
    }
}

/// What is kept for the kit as a whole.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kit {
    /// What is due, by the clinic.
    pub dues: Option<Vec<Due>>,
    /// What waits for somebody to say whose it is.
    pub held: Vec<Held>,
    /// The last number given to something held.
    pub held_last: u64,
    /// The commands that were done.
    pub commands: Commands,
    /// Measurements that were somebody else's, by the person's word.
    pub not_mine: u64,
    /// Measurements at a station that nobody has claimed.
    pub unclaimed: u64,
}

/// A measurement that is going on.
#[derive(Debug)]
pub struct Live {
    /// How far it is; `None` since the device has told a value.
    pub progress: Option<Progress>,
    /// When it was last heard of.
    pub at: Timestamp,
    /// In whose turn it was begun: remembered until the device is gone, or has been quiet.
    pub turn: Option<u64>,
}

/// What a device told, placed in time.
#[derive(Debug)]
pub struct Taken {
    /// Which device.
    pub device: DeviceId,
    /// Which of the device's users the person is, where that is configured.
    pub user: Option<u8>,
    /// What it measured, with how it is known again.
    pub readings: Vec<Keyed>,
}

/// Something to be counted and logged, without a value and without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// A measurement is held until somebody says whose it is.
    Held,
    /// It was the person's.
    Confirmed,
    /// Nobody has answered; it was sent, marked.
    Unconfirmed,
    /// It was somebody else's, and was dropped on the person's word.
    NotMine,
    /// At a station: nobody has claimed it, and it was given up.
    Unclaimed,
    /// A command was answered.
    Command,
    /// Somebody wants to be called.
    CallMe,
}

/// What has to be done about what came in.
#[derive(Debug, Default)]
pub struct Out {
    /// To be made durable, together.
    pub changes: Changes,
    /// For each message, where it is followed.
    pub traces: Vec<u64>,
    /// To be counted and logged.
    pub said: Vec<Said>,
}

/// The person's side of one kit.
pub struct Round {
    pub(super) rules: Rules,
    pub(super) kit: Kit,
    pub(super) people: BTreeMap<Who, Own>,
    pub(super) turn: Option<Turn>,
    pub(super) turns: u64,
    pub(super) unknown_code: bool,
    pub(super) live: BTreeMap<DeviceId, Live>,
    pub(super) traces: Traces,
    pub(super) notes: BTreeSet<Note>,
    pub(super) out: Out,
    sittings: BTreeMap<Who, Sittings>,
    kit_changed: bool,
    changed: BTreeSet<Who>,
    fresh: Box<dyn FnMut(Timestamp) -> SessionId + Send>,
}

impl Round {
    /// As it was kept. `fresh` makes the id of a new sitting.
    #[must_use]
    pub fn new(
        rules: Rules,
        kept: &BTreeMap<String, String>,
        fresh: Box<dyn FnMut(Timestamp) -> SessionId + Send>,
    ) -> Self {
        let (kit, people) = remembered(kept);
        Self {
            rules,
            kit,
            people,
            turn: None,
            turns: 0,
            unknown_code: false,
            live: BTreeMap::new(),
            traces: Traces::default(),
            notes: BTreeSet::new(),
            out: Out::default(),
            sittings: BTreeMap::new(),
            kit_changed: false,
            changed: BTreeSet::new(),
            fresh,
        }
    }

    /// What is to be done about what came in since this was last asked.
    pub fn out(&mut self) -> Out {
        let mut out = std::mem::take(&mut self.out);
        if std::mem::take(&mut self.kit_changed) {
            out.changes.kept.push((KEPT_KIT.to_owned(), written(&self.kit)));
        }
        for who in std::mem::take(&mut self.changed) {
            let own = self.people.get(&who).filter(|own| **own != Own::default());
            out.changes.kept.push((kept_name(&who), own.map(written).unwrap_or_default()));
        }
        out
    }

    /// The messages of [`Round::out`] are in the spool, under these receipts.
    pub fn spooled(&mut self, traces: &[u64], receipts: &[Receipt]) {
        for (trace, receipt) in traces.iter().zip(receipts) {
            let of = self.traces.spooled(*trace, *receipt).map(|trace| (trace.call, trace.who.clone()));
            if let Some((true, who)) = of
                && let Some(call) = self.own_mut(&who).call.as_mut()
            {
                call.seq = Some(receipt.seq());
            }
        }
    }

    /// The core has stored everything up to this.
    pub fn acked(&mut self, acked: Receipt, now: Timestamp) {
        self.traces.acked(acked, now);
        let called = |own: &Own| {
            own.call
                .as_ref()
                .is_some_and(|call| call.sent_at.is_none() && call.seq.is_some_and(|seq| seq <= acked.seq()))
        };
        let called: Vec<Who> = self.people.iter().filter(|(_, own)| called(own)).map(|(who, _)| who.clone()).collect();
        for who in called {
            if let Some(call) = self.own_mut(&who).call.as_mut() {
                call.sent_at = Some(now);
            }
        }
    }

    /// The core has judged these.
    pub fn judged(&mut self, judged: &[Judged]) {
        self.traces.judged(judged);
    }

    /// What is wrong with the kit, as far as the person should know.
    pub fn noted(&mut self, notes: BTreeSet<Note>) {
        self.notes = notes;
    }

    /// A measurement goes on.
    pub fn progress(&mut self, device: &DeviceId, progress: Progress, now: Timestamp) {
        let turn = self.turn.as_ref().map(|turn| turn.number);
        let before = self.live.get(device).filter(|live| now.duration_since(live.at).abs() <= LIVE_PAUSE);
        let begun_in = before.map_or(turn, |live| live.turn);
        if self.live.len() < LIVE_MAX || self.live.contains_key(device) {
            self.live.insert(device.clone(), Live { progress: Some(progress), at: now, turn: begun_in });
        }
        if begun_in == turn {
            self.touch(now);
        }
    }

    /// The connection to a device is gone, and with it what was going on.
    pub fn gone(&mut self, device: &DeviceId) {
        self.live.remove(device);
    }

    /// Time goes by.
    pub fn tick(&mut self, now: Timestamp) {
        self.not_later_than(now);
        self.end_idle_turn(now);
        self.release_over(now);
        self.expire(now);
        self.leave_idle_questions(now);
        let people: Vec<Who> = self.people.keys().cloned().collect();
        for who in people {
            if self.people.get_mut(&who).is_some_and(|own| own.forget(now)) {
                self.changed.insert(who);
            }
        }
    }

    /// A clock that was set back: what waits since a time that is still to come would wait until then, and a turn would not end.
    fn not_later_than(&mut self, now: Timestamp) {
        if let Some(turn) = &mut self.turn {
            (turn.began, turn.touched) = (turn.began.min(now), turn.touched.min(now));
        }
        if self.kit.held.iter().any(|held| held.since > now) {
            self.kit_mut().held.iter_mut().for_each(|held| held.since = held.since.min(now));
        }
        for filling in self.people.values_mut().filter_map(|own| own.filling.as_mut()) {
            filling.touched = filling.touched.min(now);
        }
    }

    /// Measurements that wait for somebody to say whose they are.
    #[must_use]
    pub fn held(&self) -> usize {
        self.kit.held.len()
    }

    /// Whose turn it is; `None` when nobody is chosen at a station.
    pub(super) fn who(&self) -> Option<Who> {
        match (&self.rules.station, &self.turn) {
            (None, _) => Some(None),
            (Some(_), Some(turn)) => Some(Some(turn.patient.clone())),
            (Some(_), None) => None,
        }
    }

    pub(super) fn dues(&self) -> &[Due] {
        self.kit.dues.as_ref().unwrap_or(&self.rules.dues)
    }

    /// A person's state, to be changed and kept.
    pub(super) fn own_mut(&mut self, who: &Who) -> &mut Own {
        self.changed.insert(who.clone());
        self.people.entry(who.clone()).or_default()
    }

    /// The kit's state, to be changed and kept.
    pub(super) fn kit_mut(&mut self) -> &mut Kit {
        self.kit_changed = true;
        &mut self.kit
    }

    /// Something happened in the turn.
    pub(super) fn touch(&mut self, now: Timestamp) {
        if let Some(turn) = &mut self.turn {
            turn.touched = now;
        }
    }

    /// Into the message of its sitting; returns where it is followed.
    pub(super) fn send_reading(&mut self, who: &Who, (reading, key): Keyed, urgent: bool, now: Timestamp) -> u64 {
        let session = self.session(who, reading.measured_at, now);
        let same = |draft: &Draft| draft.session == session && draft.patient == *who && !draft.readings.is_empty();
        let index = self.out.changes.drafts.iter().position(same).unwrap_or_else(|| {
            self.draft(Draft { session, patient: who.clone(), ..Draft::default() }, who, false, now)
        });
        let draft = &mut self.out.changes.drafts[index];
        if urgent {
            draft.priority = Priority::Urgent;
        }
        draft.readings.push(reading);
        draft.seen.extend(key);
        self.out.traces[index]
    }

    /// A message with answers; returns where it is followed.
    pub(super) fn send_answers(&mut self, who: &Who, answers: Vec<Answer>, call: bool, now: Timestamp) -> u64 {
        let session = self.session(who, now, now);
        let draft = Draft { session, answers, patient: who.clone(), priority: Priority::Urgent, ..Draft::default() };
        let index = self.draft(draft, who, call, now);
        self.out.traces[index]
    }

    /// A message with what became of a command.
    pub(super) fn send_receipt(&mut self, who: &Who, receipt: wire::Receipt, now: Timestamp) {
        let session = (self.fresh)(now);
        let same = |draft: &Draft| draft.patient == *who && !draft.receipts.is_empty();
        if let Some(draft) = self.out.changes.drafts.iter_mut().find(|draft| same(draft)) {
            return draft.receipts.push(receipt);
        }
        let receipts = vec![receipt];
        let draft = Draft { session, receipts, patient: who.clone(), priority: Priority::Urgent, ..Draft::default() };
        self.out.changes.drafts.push(draft);
        self.out.traces.push(0);
    }

    fn draft(&mut self, draft: Draft, who: &Who, call: bool, now: Timestamp) -> usize {
        self.out.changes.drafts.push(draft);
        let trace = self.traces.begin(who.clone(), call, now);
        self.out.traces.push(trace);
        self.people.entry(who.clone()).or_default().last = Some(trace);
        self.out.traces.len() - 1
    }

    fn session(&mut self, who: &Who, at: Timestamp, now: Timestamp) -> SessionId {
        if self.sittings.len() >= SITTINGS_OF_MAX && !self.sittings.contains_key(who) {
            self.sittings.clear();
        }
        let fresh = &mut self.fresh;
        self.sittings.entry(who.clone()).or_default().join(at, || fresh(now))
    }
}

/// Marks them.
pub(super) fn flagged(readings: &mut [Keyed], flag: &Flag) {
    readings.iter_mut().for_each(|(reading, _)| reading.flag(flag.clone()));
}

/// What was kept of the kit, and of its people.
pub(super) fn remembered(kept: &BTreeMap<String, String>) -> (Kit, BTreeMap<Who, Own>) {
    let kit = kept.get(KEPT_KIT).and_then(|text| read(text)).unwrap_or_default();
    let people = kept.iter().filter_map(|(name, text)| Some((who_of(name)?, read(text)?))).collect();
    (kit, people)
}

fn kept_name(who: &Who) -> String {
    who.as_ref().map_or_else(|| KEPT_PERSON.to_owned(), |patient| format!("{KEPT_PERSON}:{patient}"))
}

fn who_of(name: &str) -> Option<Who> {
    match name.strip_prefix(KEPT_PERSON)? {
        "" => Some(None),
        patient => patient.strip_prefix(':')?.parse().ok().map(Some),
    }
}

fn written<T: Serialize>(state: &T) -> String {
    serde_json::to_string(state).expect("text keys and parts that can't fail")
}

/// What an older or damaged program wrote is begun anew rather than kept from starting.
fn read<T: for<'a> Deserialize<'a>>(text: &str) -> Option<T> {
    let read = serde_json::from_str(text);
    if let Err(error) = &read {
        tracing::warn!(%error, "what was kept of the person's side can't be read, and is begun anew");
    }
    read.ok()
}
