//! A stable person with cold hands: the first touch of the oximeter is far too low and says "low perfusion", the second is good.

use super::{Condition, Person, stable};

pub(super) const PERSON: Person = Person {
    name: "cold-finger",
    about: "stable with cold hands: a low first value that says low perfusion, a good one after",
    condition,
};

fn condition(day: f64) -> Condition {
    let well = stable::condition(day);
    Condition { cold_finger: day >= 0.0, spo2: well.spo2 + 0.2, ..well }
}
