//! What the kit's page shows now: one thing at a time. Data and ids of sentences, never sentences: the page has the words.
//!
//! Two kinds of text come as they are: a questionnaire's own (in both languages), and what the clinic wrote to the person.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vitals::{Colour, DeviceId, Flag, Unit, Value, Vital};

/// Everything that the page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct View {
    /// Grows with every change. An action that was meant for another page is told by what it names, not by this.
    pub revision: u64,
    /// Does the kit serve several people? Then somebody has to be chosen before anything is taken, and `LeaveSitting` ends it.
    pub station: bool,
    /// Whose turn it is, by first name: the person of the kit where one is configured, or the one chosen at the station.
    pub person: Option<String>,
    /// Today's round, in order, as far as it has begun; empty when nothing is due.
    pub steps: Vec<Step>,
    /// The one thing.
    pub page: Page,
    /// May the current step, question or message be skipped ([`super::Action::Skip`])?
    pub skip: bool,
    /// What became of what was sent last; for the foot of the page.
    pub sent: Option<Fate>,
    /// "Call me".
    pub call: Call,
    /// What the person should know about the kit itself.
    pub notes: Vec<Note>,
}

/// One step of today's round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What is to be done.
    pub what: What,
    /// How far it is.
    pub state: StepState,
}

/// What a step asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Measure these, which one device tells together; the first names the measurement (`spo2`, `systolic`, `weight`).
    Measure(Vec<Vital>),
    /// Answer the questionnaire of this id.
    Answer(String),
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Done.
    Done,
    /// The person skipped it.
    Skipped,
    /// It is its turn.
    Now,
    /// It comes later.
    Left,
}

/// The one thing that the page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "page", rename_all = "snake_case")]
pub enum Page {
    /// Nothing is to be done. Measuring by oneself is always possible.
    #[default]
    Rest,
    /// All steps of the round are done or skipped.
    Finished {
        /// When the next round begins, if one is planned within a week.
        next: Option<Timestamp>,
    },
    /// Nothing is due now.
    Waiting {
        /// When the next round begins.
        next: Timestamp,
    },
    /// Measure this now.
    Measure {
        /// The vitals, the first of which names the measurement.
        vitals: Vec<Vital>,
        /// The clinic asks for it, outside the plan.
        asked: Option<Asked>,
    },
    /// A measurement is going on.
    Measuring {
        /// Which device.
        device: DeviceId,
        /// The values as they stand, with their flags; may be empty.
        values: Vec<Shown>,
        /// How much is done, 0 to 100, where that is known.
        percent: Option<u8>,
        /// What to do meanwhile, of [`super::advice::ADVICE`], when the signal is poor.
        advice: Option<&'static str>,
    },
    /// It was poor, and is asked for again. It is sent too, flagged.
    Advice {
        /// What was measured.
        values: Vec<Shown>,
        /// What to do, of [`super::advice::ADVICE`]: the id of a heading, and with `-more` of the explanation.
        advice: &'static str,
        /// What is to be measured again.
        vitals: Vec<Vital>,
        /// Which attempt the next is: 2 or 3.
        attempt: u8,
    },
    /// It was taken. Goes on by [`super::Action::Next`], by the next measurement, or by itself after a while.
    Result {
        /// What was measured.
        values: Vec<Shown>,
        /// What becomes of it: held on the kit, sent, judged.
        fate: Fate,
    },
    /// A question.
    Question {
        /// The questionnaire's id: to be named in the action.
        questionnaire: String,
        /// Its title.
        title: Text,
        /// The question.
        question: Question,
        /// Its place on the way taken, from 1.
        number: u8,
        /// Is there one before it?
        back: bool,
    },
    /// The questionnaire is answered.
    Answered {
        /// Its title.
        title: Text,
        /// What the answers mean by the questionnaire's own significances: to phrase what happens next. The core judges by its programme.
        significance: Colour,
        /// What becomes of the answers.
        fate: Fate,
    },
    /// The clinic has written.
    Message {
        /// To be named in [`super::Action::Read`].
        id: String,
        /// What.
        text: String,
        /// Who, by first name.
        by: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// Is this you? (The device says another user, or the weight is another person's.) Held until answered with
    /// [`super::Action::Mine`] or [`super::Action::NotMine`].
    Hold {
        /// To be named in the action.
        id: u64,
        /// What was measured.
        values: Vec<Shown>,
        /// When.
        at: Timestamp,
        /// Why it is asked.
        why: Doubt,
    },
    /// Nobody is chosen at the station: type or scan the code ([`super::Action::Choose`]).
    Choose {
        /// Measurements that nobody has claimed yet: whose are they?
        unclaimed: u8,
        /// The code that was given last is nobody's.
        unknown_code: bool,
    },
}

impl Page {
    /// Its name, as in JSON: the beginning of its sentences' ids.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Finished { .. } => "finished",
            Self::Waiting { .. } => "waiting",
            Self::Measure { .. } => "measure",
            Self::Measuring { .. } => "measuring",
            Self::Advice { .. } => "advice",
            Self::Result { .. } => "result",
            Self::Question { .. } => "question",
            Self::Answered { .. } => "answered",
            Self::Message { .. } => "message",
            Self::Hold { .. } => "hold",
            Self::Choose { .. } => "choose",
        }
    }
}

/// The clinic asks for a measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Why, in the clinic's words.
    pub text: Option<String>,
    /// Who, by first name.
    pub by: Option<String>,
}

/// A value to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What.
    pub vital: Vital,
    /// How much, with the device's digits.
    pub value: Value,
    /// In the device's unit.
    pub unit: Unit,
    /// What is odd about it.
    pub flags: Vec<Flag>,
    /// How the core judged it, once it has; blue is never among these.
    pub colour: Option<Colour>,
}

/// Why it is asked whose a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// The device counts it for another of its users.
    OtherUser,
    /// The weight is far from the ones before.
    OtherWeight,
    /// At a station: it was measured when nobody was chosen.
    Nobody,
    /// At a station: it was begun in somebody else's turn.
    OtherTurn,
}

/// What became of something that was measured or answered. The furthest that is known counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Fate {
    /// When it was taken in; it is on the kit since then, and survives a power cut.
    pub kept_at: Timestamp,
    /// When the clinic confirmed that it is stored there. `None`: it will be sent.
    pub sent_at: Option<Timestamp>,
    /// The worst that the core judged of it.
    pub colour: Option<Colour>,
    /// Somebody at the clinic has looked at it.
    pub seen: Option<Sight>,
}

/// Somebody at the clinic has looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Who, by first name, if told.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// "Call me".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Call {
    /// Not asked for, or long done.
    #[default]
    Idle,
    /// Asked for, and on the kit; not at the clinic yet. Offline, the page must say so, and to phone by oneself in an emergency.
    Asked {
        /// When.
        at: Timestamp,
    },
    /// It has arrived at the clinic.
    Sent {
        /// When it was asked for.
        asked_at: Timestamp,
        /// When it arrived.
        at: Timestamp,
    },
    /// A nurse has taken it.
    Seen {
        /// When it was asked for.
        asked_at: Timestamp,
        /// Who, and when.
        seen: Sight,
    },
}

/// Something the person should know about the kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// There is no connection to the clinic; everything is kept and will be sent.
    Offline,
    /// The kit's own clock is wrong.
    Clock,
    /// What is measured can't be written to the disk just now; it is sent if there is a connection.
    Disk,
    /// Something measured earlier had to be given up unsent.
    Gap,
    /// Bluetooth does not work on the kit.
    Bluetooth,
}

/// A text of a questionnaire, in every language of the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// Danish.
    pub da: String,
}

/// A question as it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// To be named in the action.
    pub id: String,
    /// What is asked.
    pub text: Text,
    /// What may help to answer it.
    pub help: Option<Text>,
    /// How it is answered.
    pub kind: QuestionKind,
    /// The answer given before, when the person came back: what goes into [`super::Action::Answer`].
    pub answer: Option<String>,
}

/// How a question is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum QuestionKind {
    /// One of these; the answer is the id.
    Choice {
        /// In order.
        options: Vec<Choice>,
    },
    /// `yes` or `no`; the words are the page's.
    YesNo,
    /// A number; the answer is its digits with `.` for the decimal sign.
    Number {
        /// In what.
        unit: Option<Text>,
        /// The smallest that is taken.
        min: Value,
        /// The largest that is taken.
        max: Value,
        /// Digits after the decimal sign, at most.
        decimals: u8,
    },
    /// Words.
    Text {
        /// Characters, at most.
        length_max: u16,
    },
}

/// One possible answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The answer.
    pub id: String,
    /// What it says.
    pub text: Text,
}
