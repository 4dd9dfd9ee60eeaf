//! The person's side of the kit: what to do today, what to do better, whose a measurement is, what the clinic asks for and has seen.
//!
//! A pure state machine ([`Round`]: no IO, no clock, takes `now`) behind a [`Handle`] that makes durable what it decides. The page draws
//! the [`View`] that the handle publishes and gives back an [`Action`].

mod action;
pub mod advice;
mod handle;
mod view;

pub use action::{Acted, Action, Refusal};
pub use handle::Handle;
pub use view::{
    Asked, Call, Choice, Doubt, Fate, Note, Page, Question, QuestionKind, Shown, Sight, Step, StepState, Text, View,
    What,
};
