//! What a device has stored is deleted only when the clinic has it: a device that stores, loses and spoils values at random, measures while
//! it is read, and does what it is asked over the record access control point, against the sessions of the drivers that ask.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeSet, VecDeque};

use drivers::{Channel, Options, Output, Session, gatt::uuid16};
use jiff::{SignedDuration, Timestamp, civil::DateTime};
use proptest::{collection::vec, prelude::*};
use uuid::Uuid;
use vitals::Vital;

const CONTROL_POINT: Uuid = uuid16(0x2a52);
const LOCAL: DateTime = DateTime::constant(2026, 11, 22, 9, 0, 0, 0);

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The device does the next thing it was asked, or sends the next value.
    Go,
    /// The next value is lost on the way.
    Lose,
    /// The next value comes cut short.
    Spoil,
    /// Somebody measures, and the device stores it.
    Measure,
    /// Everything said so far is acknowledged.
    Kept,
    /// Nothing happens until the session gets impatient.
    Wait,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => Just(Event::Go),
        1 => Just(Event::Lose),
        1 => Just(Event::Spoil),
        1 => Just(Event::Measure),
        4 => Just(Event::Kept),
        2 => Just(Event::Wait),
    ]
}

/// A kind of device: its driver, the characteristic of its records, and a record by its number.
struct Kind {
    driver: &'static str,
    records: Uuid,
    features: Option<(Uuid, &'static [u8])>,
    /// Which values carry the number.
    vital: Vital,
    numbered: bool,
    encode: fn(u16) -> Vec<u8>,
}

const OXIMETER: Kind = Kind {
    driver: "gatt-plx",
    records: uuid16(0x2a5e),
    features: Some((uuid16(0x2a60), &[4, 0])),
    vital: Vital::Pulse,
    numbered: false,
    encode: |number| [&[0, 93, 0][..], &number.to_le_bytes()].concat(),
};

/// Moles per litre with three decimals less, so that the number comes out as millimoles.
const METER: Kind = Kind {
    driver: "gatt-glucose",
    records: uuid16(0x2a18),
    features: None,
    vital: Vital::Glucose,
    numbered: true,
    encode: |number| {
        let base = [0xea, 0x07, 11, 22, 8, 0, 0];
        [&[0b110][..], &number.to_le_bytes(), &base, &(0xd000 | number).to_le_bytes(), &[0x11]].concat()
    },
};

/// A device and the session that reads it.
struct World {
    kind: Kind,
    session: Box<dyn Session>,
    now: Timestamp,
    memory: BTreeSet<u16>,
    next: u16,
    asked: VecDeque<Vec<u8>>,
    sending: VecDeque<(Uuid, Vec<u8>)>,
    said: BTreeSet<u16>,
    kept: BTreeSet<u16>,
    deleted: BTreeSet<u16>,
}

impl World {
    fn new(kind: Kind, stored: u16) -> Self {
        let session = (drivers::find(kind.driver).unwrap().open)(&Options::default());
        let (said, kept, deleted) = Default::default();
        let (asked, sending) = Default::default();
        let (memory, now) = ((1..=stored).collect(), Timestamp::UNIX_EPOCH);
        let mut world = Self { kind, session, now, memory, next: stored + 1, asked, sending, said, kept, deleted };
        if let Some((uuid, value)) = world.kind.features {
            let outputs = world.session.received(now, Channel::Characteristic(uuid), value);
            world.heard(outputs);
        }
        let outputs = world.session.connected(now, LOCAL);
        world.heard(outputs);
        world
    }

    fn heard(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Write { channel: Channel::Characteristic(CONTROL_POINT), bytes } => self.asked.push_back(bytes),
                Output::Measured(one) if one.vital == self.kind.vital => {
                    let whole = one.value.decimal().trunc().to_string();
                    self.said.insert(whole.parse().unwrap());
                }
                _ => {}
            }
        }
    }

    fn happens(&mut self, event: Event) {
        self.now += SignedDuration::from_millis(100);
        match event {
            Event::Go => self.go(),
            Event::Lose => drop(self.sending.pop_front()),
            Event::Spoil => {
                if let Some((_, bytes)) = self.sending.front_mut() {
                    bytes.truncate(1);
                }
                self.go();
            }
            Event::Measure if self.is_between_count_and_deletion() => {}
            Event::Measure => {
                self.memory.insert(self.next);
                self.next += 1;
            }
            Event::Kept => {
                self.kept.extend(&self.said);
                let outputs = self.session.kept(self.now);
                self.heard(outputs);
            }
            Event::Wait => {
                self.now = self.session.timeout_at().map_or(self.now, |at| at.max(self.now));
                let outputs = self.session.timed_out(self.now);
                self.heard(outputs);
            }
        }
    }

    /// A device whose records have no numbers can't be told to spare the newest. In the instant between its count and the deletion that follows,
    /// only the live value, which every connected device sends too, tells of a new record.
    fn is_between_count_and_deletion(&self) -> bool {
        let counted = self.sending.iter().any(|(uuid, bytes)| *uuid == CONTROL_POINT && bytes.first() == Some(&5));
        let deleting = self.asked.iter().any(|bytes| bytes.first() == Some(&2));
        !self.kind.numbered && (counted || deleting)
    }

    fn go(&mut self) {
        if let Some((uuid, value)) = self.sending.pop_front() {
            let outputs = self.session.received(self.now, Channel::Characteristic(uuid), &value);
            return self.heard(outputs);
        }
        let Some(asked) = self.asked.pop_front() else { return };
        let chosen: BTreeSet<u16> = match asked[..] {
            [_, 1] => self.memory.clone(),
            [_, 2, 1, low, high] if self.kind.numbered => {
                self.memory.range(..=u16::from_le_bytes([low, high])).copied().collect()
            }
            [3, 0] => BTreeSet::new(),
            ref other => return self.answer(vec![6, 0, other[0], 4]),
        };
        match asked[0] {
            1 => {
                let records = chosen.iter().map(|number| (self.kind.records, (self.kind.encode)(*number)));
                self.sending.extend(records.collect::<Vec<_>>());
            }
            2 => {
                self.memory.retain(|number| !chosen.contains(number));
                self.deleted.extend(&chosen);
            }
            3 => self.sending.clear(),
            _ => {
                let [low, high] = u16::try_from(chosen.len()).unwrap().to_le_bytes();
                return self.answer(vec![5, 0, low, high]);
            }
        }
        self.answer(vec![6, 0, asked[0], if chosen.is_empty() && asked[0] != 3 { 6 } else { 1 }]);
    }

    fn answer(&mut self, bytes: Vec<u8>) {
        self.sending.push_back((CONTROL_POINT, bytes));
    }
}

fn check(kind: Kind, stored: u16, events: &[Event]) -> Result<(), TestCaseError> {
    let mut world = World::new(kind, stored);
    for event in events {
        world.happens(*event);
        prop_assert!(world.deleted.is_subset(&world.kept), "deleted {:?}, kept {:?}", world.deleted, world.kept);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn an_oximeter_forgets_only_what_was_kept(stored in 0_u16..6, events in vec(event(), 0..80)) {
        check(OXIMETER, stored, &events)?;
    }

    #[test]
    fn a_meter_forgets_only_what_was_kept(stored in 0_u16..6, events in vec(event(), 0..80)) {
        check(METER, stored, &events)?;
    }
}

#[test]
fn without_mishap_everything_is_fetched_kept_and_forgotten() {
    for kind in [OXIMETER, METER] {
        let mut world = World::new(kind, 5);
        (0..20).for_each(|_| world.happens(Event::Go));
        world.happens(Event::Kept);
        (0..20).for_each(|_| world.happens(Event::Go));
        assert_eq!(world.deleted, (1..=5).collect());
        assert!(world.memory.is_empty());
    }
}
