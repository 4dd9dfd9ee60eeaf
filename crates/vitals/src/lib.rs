//! The nouns of Vagt: what is measured, in which unit, by whom, when, and how far it can be believed.
//!
//! Pure: no IO, no clock, no environment, no async. Every other crate speaks in these types.

mod answer;
mod colour;
mod flag;
mod id;
mod plausible;
mod reading;
mod text;
mod unit;
mod value;
mod vital;

pub use answer::Answer;
pub use colour::Colour;
pub use flag::{Flag, FlagError};
pub use id::{DeviceId, IdError, KitId, PatientId, SessionId};
pub use plausible::{Bounds, CLOCK_AHEAD_MAX, Plausibility, check_step, check_time, check_value};
pub use reading::{Clock, Reading};
pub use rust_decimal::Decimal;
pub use unit::{Unit, UnitError};
pub use value::{Value, ValueError};
pub use vital::{VITALS, Vital, VitalInfo};
