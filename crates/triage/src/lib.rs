//! Reading + chart + programme + now -> findings -> assessment -> alert changes. One file for each kind of rule, and one table.
//!
//! Four semantics, from the first day: judge the reading that arrived, not the newest on the chart; alerts latch; repeats are harmless;
//! silence is a rule. Pure: no IO, no clock, no environment, no async.

mod alert;
mod finding;
mod outcome;

pub use alert::{Action, ActionError, Alert, AlertChange, AlertEvent, AlertId, CloseReason, EventKind, State};
pub use finding::{Finding, Input, Mark, Reason};
pub use outcome::{AssessmentChange, Outcome};
