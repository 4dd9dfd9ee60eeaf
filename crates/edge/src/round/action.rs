//! What a person can do on the kit's page.

use serde::{Deserialize, Serialize};

/// One action. It names what it is about, so that a press on a page that has changed meanwhile does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Go on from a result, an advice, or an answered questionnaire.
    Next,
    /// Skip the current step, or the current question.
    Skip,
    /// Take the step at this place of [`super::View::steps`] (from 0) now, also a skipped one.
    Take {
        /// Its place.
        step: u8,
    },
    /// Answer a question.
    Answer {
        /// Of which questionnaire.
        questionnaire: String,
        /// Which.
        question: String,
        /// The option's id, `yes` or `no`, the number, or the words.
        answer: String,
    },
    /// The question before.
    Back {
        /// Of which questionnaire.
        questionnaire: String,
        /// From which question.
        question: String,
    },
    /// "I have read it."
    Read {
        /// The message.
        id: String,
    },
    /// "Yes, that was me."
    Mine {
        /// What is held.
        id: u64,
    },
    /// "No, that was somebody else."
    NotMine {
        /// What is held.
        id: u64,
    },
    /// "Call me."
    CallMe,
    /// At a station: this is me.
    Choose {
        /// The code, typed or scanned.
        code: String,
    },
    /// At a station: I am done.
    LeaveSitting,
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Acted {
    /// Done; what it brought is durable.
    Done,
    /// The page has moved on, and it means nothing any more.
    Stale,
    /// The answer can't be taken: to be said beside the field.
    Refused {
        /// Why.
        why: Refusal,
    },
}

/// Why an answer or a code can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It is not a number.
    NotANumber,
    /// It is outside the question's range.
    OutOfRange,
    /// It has more decimals than the question takes.
    TooManyDecimals,
    /// It is longer than the question takes.
    TooLong,
    /// There is nothing in it.
    Empty,
    /// It is none of the options.
    UnknownOption,
    /// The code is nobody's.
    UnknownCode,
}
