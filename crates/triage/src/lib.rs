//! Reading + chart + programme + now -> findings -> assessment -> alert changes. One file for each kind of rule, and one table.
//!
//! Pure: no IO, no clock, no environment, no async. The same events in the same order give the same bytes. Five semantics:
//!
//! 1. **Judge the reading that arrived**, not the newest on the chart (`assess.rs`). What is older than what its rule has judged, or than the
//!    programme's `late_after`, is judged as what it was and marked late; it changes the colour of now only where nothing newer is known.
//! 2. **Alerts latch** (`episode.rs`). Red stays until a person closes it; yellow eases after enough normal sittings, blue when data comes.
//!    A worse finding raises the mark, un-acknowledges and makes somebody wait anew; the same again counts.
//! 3. **Repeats are harmless.** The same finding of the same time never counts twice (`chart.rs`), an action never happens twice (`act.rs`).
//! 4. **Silence is a rule** (`silence.rs`). A deadline that passes without the expected data is a finding at its own time, however late the
//!    tick comes.
//!
//! 5. **Whoever asks to be called is called** (`call.rs`): an alert of its own in every programme, which no reading eases.
//!
//! An assessment is the worst of the findings that stand: the latest of each rule. Everything is bounded: see [`bounds`].

mod act;
mod alert;
mod arrive;
mod assess;
mod bands;
pub mod bounds;
mod call;
mod chart;
mod clinic;
mod episode;
mod explain;
mod fill;
mod finding;
mod floor;
mod freeze;
mod held;
mod hysteresis;
mod judging;
mod late;
mod look;
mod no_baseline;
mod outcome;
mod own;
mod plan;
mod programme;
mod quiet;
mod rejudge;
mod rules;
pub mod score;
mod series;
mod silence;
mod stats;

pub use act::act;
pub use alert::{Action, ActionError, Alert, AlertChange, AlertEvent, AlertId, CloseReason, EventKind, State};
pub use assess::{Event, Sitting, TOGETHER, assess};
pub use bands::{BandView, Rung};
pub use call::{CALL_FAMILY, CALL_NOW, CALL_QUESTION, CALL_QUESTIONNAIRE, CALL_RULE, asks_to_be_called};
pub use chart::{Chart, suspect_step};
pub use clinic::{CLINIC, CLINIC_ID, Clinic, ClinicLimit, Floor};
pub use explain::{
    Chosen, Decided, Given, Instead, Moved, Origin, Otherwise, Way, Why, Would, sitting_since, why, why_given,
};
pub use fill::FromClinic;
pub use finding::{Compared, Finding, Input, Limit, LimitKind, Mark, Reason, Share};
pub use floor::Override;
pub use held::next as next_held;
pub use judging::Judging;
pub use no_baseline::{NoBaseline, no_baseline};
pub use outcome::{AssessmentChange, Outcome, Remeasure};
pub use own::{Lasting, Own, OwnLimit, OwnOxygen, OwnReference, Pause, PauseKind};
pub use plan::{Plan, Rulebook};
pub use programme::{
    COPD, Choice, HEART_FAILURE, Length, Number, OnlyIf, PROBLEMS_MAX, Problem, Programme, ProgrammeError, Question,
    Questionnaire, SHIPPED, Stratum, Text, found_and_wanted, plain, syntax,
};
pub use quiet::{Because as QuietBecause, Near, Quiet, why_not};
pub use rejudge::{Because, rejudge};
pub use rules::{RULES, RuleKind};
pub use score::{Score, Scored};
pub use silence::next_tick;
