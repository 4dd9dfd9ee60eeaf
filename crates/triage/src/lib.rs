//! Reading + chart + programme + now -> findings -> assessment -> alert changes. One file for each kind of rule, and one table.
//!
//! Four semantics, from the first day: judge the reading that arrived, not the newest on the chart; alerts latch; repeats are harmless;
//! silence is a rule. Pure: no IO, no clock, no environment, no async.

mod act;
mod alert;
mod assess;
mod bands;
pub mod bounds;
mod chart;
mod episode;
mod finding;
mod outcome;
mod own;
mod plan;
mod programme;
mod rules;
mod silence;

pub use act::act;
pub use alert::{Action, ActionError, Alert, AlertChange, AlertEvent, AlertId, CloseReason, EventKind, State};
pub use assess::{Event, Sitting, TOGETHER, assess};
pub use bands::{BandView, Rung};
pub use chart::{Chart, suspect_step};
pub use finding::{Finding, Input, Limit, LimitKind, Mark, Reason};
pub use outcome::{AssessmentChange, Outcome};
pub use own::{Own, OwnLimit};
pub use plan::Plan;
pub use programme::{
    COPD, Choice, Length, Number, OnlyIf, PROBLEMS_MAX, Problem, Programme, ProgrammeError, Question, Questionnaire,
    Text,
};
pub use rules::{RULES, RuleKind};
pub use silence::next_tick;
