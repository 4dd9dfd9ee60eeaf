//! A person who stops measuring after some days. Nothing else is known: that is the point.

use super::{Condition, Person, stable};

pub(super) const PERSON: Person =
    Person { name: "silent", about: "stable, then stops measuring after day 3", condition };

const LAST_DAY: f64 = 3.5;

fn condition(day: f64) -> Condition {
    Condition { silent: day > LAST_DAY, ..stable::condition(day) }
}
