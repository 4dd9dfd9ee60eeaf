//! Whatever people and devices do in whatever order, nobody gets what is somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// What can happen at a station. The value of a measurement names the person who stood there.
#[derive(Clone, Debug)]
enum Happens {
    Choose(usize),
    Leave,
    Begin(usize),
    Measure { device: usize, stored: bool },
    Yes,
    No,
    Answer,
    Call,
    Message(usize),
    Wait(i64),
    Kill,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0..3_usize).prop_map(Happens::Choose),
        2 => Just(Happens::Leave),
        2 => (0..2_usize).prop_map(Happens::Begin),
        6 => (0..2_usize, any::<bool>()).prop_map(|(device, stored)| Happens::Measure { device, stored }),
        2 => Just(Happens::Yes),
        2 => Just(Happens::No),
        3 => Just(Happens::Answer),
        1 => Just(Happens::Call),
        1 => (0..3_usize).prop_map(Happens::Message),
        2 => (1..600_i64).prop_map(Happens::Wait),
        1 => Just(Happens::Kill),
    ]
}

/// The room as it really is: who stands at the kit, and whose finger each device last measured.
struct Room {
    kit: Kit,
    second: i64,
    stands: Option<usize>,
    begun: BTreeMap<usize, Option<usize>>,
    whose: BTreeMap<String, Option<usize>>,
    answered: BTreeMap<String, usize>,
    claimed: BTreeSet<String>,
    measured: u32,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

impl Room {
    fn device(number: usize) -> vitals::DeviceId {
        format!("gatt-any:{number}").parse().unwrap()
    }

    fn does(&mut self, what: &Happens) {
        self.second += 1;
        let second = self.second;
        // The kit ends a turn by itself: then nobody is chosen, whoever stands there.
        self.kit.tick(second);
        if self.kit.round.turn.is_none() {
            self.stands = None;
        }
        match what {
            Happens::Choose(person) => {
                self.kit.choose(NAMES[*person], second);
                self.stands = Some(*person);
            }
            Happens::Leave => {
                self.kit.act(Action::LeaveSitting, second);
                self.stands = None;
            }
            Happens::Begin(device) => {
                self.begun.insert(*device, self.stands);
                self.kit.round.progress(&Self::device(*device), drivers::Progress::default(), at(second));
            }
            Happens::Measure { device, stored } => self.measures(*device, *stored),
            Happens::Yes => {
                if let Page::Hold { id, values, .. } = self.kit.page(second) {
                    self.claimed.insert(values[0].value.to_string());
                    self.kit.act(Action::Mine { id }, second);
                }
            }
            Happens::No => {
                if let Page::Hold { id, .. } = self.kit.page(second) {
                    self.kit.act(Action::NotMine { id }, second);
                }
            }
            Happens::Answer => self.answers(),
            Happens::Call => {
                self.kit.act(Action::CallMe, second);
            }
            Happens::Message(person) => {
                let (id, name) = (format!("m{second}"), NAMES[*person]);
                let text = format!(r#"{{"id":"{id}","command":"message","text":"for {name}","patient":"p-{name}"}}"#);
                self.kit.command(&text, second);
            }
            Happens::Wait(seconds) => self.second += seconds,
            Happens::Kill => {
                self.kit.round = Round::new(station(), &self.kit.kept, ids());
                (self.stands, self.begun) = (None, BTreeMap::new());
            }
        }
        self.shows_only_their_own();
    }

    /// A measurement whose value is its number; stored ones were taken before anybody was chosen.
    fn measures(&mut self, device: usize, stored: bool) {
        self.measured += 1;
        // Far enough apart that weights would be doubted; a temperature-like vital has no guard.
        let value = format!("{}.{:03}", 36, self.measured);
        let whose = match self.begun.remove(&device) {
            Some(begun) => begun,
            None => self.stands,
        };
        self.whose.insert(value.clone(), whose.filter(|_| !stored));
        let flags: &[&'static str] = if stored { &["from_storage"] } else { &[] };
        let mut reading = reading(Vital::Temperature, &value, flags, at(self.second));
        reading.device = Self::device(device);
        let taken = Taken { device: reading.device.clone(), user: None, readings: vec![(reading, None)] };
        self.kit.round.measured(taken, at(self.second));
        self.kit.out();
    }

    fn answers(&mut self) {
        let Page::Question { questionnaire, question, .. } = self.kit.page(self.second) else { return };
        let person = self.stands.expect("a question is asked of somebody");
        let answer = match question.kind {
            QuestionKind::Choice { options } => options[person].id.clone(),
            QuestionKind::YesNo => "yes".to_owned(),
            QuestionKind::Number { min, .. } => min.to_string(),
            QuestionKind::Text { .. } => format!("said by {}", NAMES[person]),
        };
        let key = format!("{}@{}", question.id, at(self.second));
        self.answered.insert(key, person);
        let action = Action::Answer { questionnaire, question: question.id, answer };
        assert_eq!(self.kit.act(action, self.second), Acted::Done);
    }

    fn shows_only_their_own(&self) {
        if let Page::Message { text, .. } = self.kit.page(self.second) {
            let name = NAMES[self.stands.expect("a message is shown to somebody")];
            assert_eq!(text, format!("for {name}"));
        }
        let person = self.kit.round.view(at(self.second)).person;
        let chosen = self.stands.map(|person| NAMES[person].to_owned()).or(Some("Inger".to_owned()));
        if self.kit.round.turn.is_some() {
            assert_eq!(person, chosen);
        }
    }

    fn nothing_crossed_over(&self) {
        let (mut seen, mut sessions) = (BTreeSet::new(), BTreeMap::new());
        for draft in &self.kit.sent {
            let Some(patient) = &draft.patient else {
                assert!(draft.readings.is_empty() && draft.answers.is_empty(), "nobody's: {draft:?}");
                continue;
            };
            for reading in &draft.readings {
                let value = reading.value.to_string();
                assert!(seen.insert(value.clone()), "{value} was sent twice");
                let whose = self.whose[&value].map(|person| format!("p-{}", NAMES[person]));
                let claimed = self.claimed.contains(&value) && reading.has(&Flag::PERSON_CONFIRMED);
                assert!(
                    claimed || whose.as_deref() == Some(patient.as_str()),
                    "{value} of {whose:?} went to {patient}"
                );
            }
            for answer in draft.answers.iter().filter(|answer| answer.questionnaire != "kit") {
                let person = self.answered[&format!("{}@{}", answer.question, answer.answered_at)];
                assert_eq!(patient.as_str(), format!("p-{}", NAMES[person]), "{answer:?}");
            }
            if draft.receipts.is_empty() {
                let of = sessions.entry(draft.session).or_insert_with(|| patient.clone());
                assert_eq!(of, patient, "two people in one sitting");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn nothing_crosses_over(scene in proptest::collection::vec(happens(), 1..60)) {
        let mut room = Room {
            kit: Kit::new(station()),
            second: 0,
            stands: None,
            begun: BTreeMap::new(),
            whose: BTreeMap::new(),
            answered: BTreeMap::new(),
            claimed: BTreeSet::new(),
            measured: 0,
        };
        for what in &scene {
            room.does(what);
        }
        room.nothing_crossed_over();
    }
}
