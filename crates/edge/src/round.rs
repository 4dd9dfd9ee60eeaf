//! The person's side of the kit: what to do today, what to do better, whose a measurement is, what the clinic asks for and has seen.
//!
//! A pure state machine ([`Round`]: no IO, no clock, takes `now`) behind a [`Handle`] that makes durable what it decides. The page draws
//! the [`View`] that the handle publishes and gives back an [`Action`].

mod act;
mod action;
mod adopt;
pub mod advice;
mod commands;
mod diagnostics;
mod forms;
mod guard;
mod handle;
mod held;
mod machine;
mod measure;
mod own;
mod plan;
mod show;
mod station;
mod trace;
mod view;

pub use act::{CALL_AGAIN_AFTER, KIT_QUESTIONNAIRE, KIT_QUESTIONNAIRE_VERSION};
pub use action::{Acted, Action, Refusal};
pub use commands::COMMANDS_REMEMBERED;
pub use diagnostics::DIAGNOSTICS_BYTES_MAX;
pub use guard::{WEIGHT_BEYOND_KG, WEIGHT_COUNTS_FOR};
pub use handle::{Handle, Spooled, TakenIn};
pub use held::{ANSWER_WITHIN, CLAIM_WITHIN, HELD_MAX, Keyed};
pub use machine::{Round, Rules, Taken, Who};
pub use measure::REPEATS_MAX;
pub use plan::{DUES_MAX, check as check_dues};
pub use station::{CODE_CHARS_MAX, Member, PERSONS_MAX, Station, TURN_IDLE};
pub use view::{
    Asked, Call, Choice, Doubt, Fate, Note, Page, Question, QuestionKind, Shown, Sight, Step, StepState, Text, View,
    What,
};

#[cfg(test)]
mod tests;
