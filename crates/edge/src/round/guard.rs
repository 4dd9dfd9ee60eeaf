//! Whose is it? Guards against the spouse on the scale: by the device's own user, and by how far a weight is from the ones before. Pure.
//!
//! The bounds are ours, not a clinic's (docs/decisions/0056): 4 kg is twice the gain within three days at which heart-failure patients are
//! taught to call (ESC/HFA, "more than 2 kg in 3 days"), so a gain that matters is never taken for another person; and what is asked about
//! is not lost, for without an answer it is sent, marked.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vitals::{Decimal, Flag, Reading, Value, Vital};

use super::Doubt;

/// A weight this far outside the accepted ones may be another person's, in kg.
pub const WEIGHT_BEYOND_KG: Decimal = Decimal::from_parts(4, 0, 0, false, 0);
/// Accepted weights that are remembered.
pub const WEIGHTS_MAX: usize = 8;
/// An older weight says nothing any more.
pub const WEIGHT_COUNTS_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Users of a device are counted from 1; this means that it does not know.
const USER_UNKNOWN: &str = "user_255";

/// The weights that were accepted last, in kg.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights(VecDeque<(Timestamp, Value)>);

impl Weights {
    /// This one is the person's.
    pub fn accept(&mut self, reading: &Reading) {
        let Some(kg) = kilograms(reading) else { return };
        self.0.push_back((reading.measured_at, kg));
        self.0.make_contiguous().sort();
        while self.0.len() > WEIGHTS_MAX {
            self.0.pop_front();
        }
    }

    /// Is it far from all that were accepted in the weeks around it?
    #[must_use]
    pub fn is_beyond(&self, reading: &Reading) -> bool {
        let Some(kg) = kilograms(reading) else { return false };
        let near = self.0.iter().filter(|(at, _)| reading.measured_at.duration_since(*at).abs() <= WEIGHT_COUNTS_FOR);
        let near: Vec<Decimal> = near.map(|(_, kg)| kg.decimal()).collect();
        let range = near.iter().min().zip(near.iter().max());
        range.is_some_and(|(low, high)| {
            kg.decimal() < *low - WEIGHT_BEYOND_KG || kg.decimal() > *high + WEIGHT_BEYOND_KG
        })
    }
}

/// What speaks against these readings, taken together, being the person's. `user`: the one that the person is on this device.
#[must_use]
pub fn doubt(readings: &[&Reading], user: Option<u8>, weights: &Weights) -> Option<Doubt> {
    let ours = user.map(|user| format!("user_{user}"));
    let is_other = |flag: &Flag| {
        let of_user = flag.as_str().starts_with("user_") && flag.as_str() != USER_UNKNOWN;
        of_user && ours.as_deref().is_some_and(|ours| ours != flag.as_str())
    };
    if readings.iter().flat_map(|reading| &reading.flags).any(is_other) {
        return Some(Doubt::OtherUser);
    }
    readings.iter().any(|reading| weights.is_beyond(reading)).then_some(Doubt::OtherWeight)
}

fn kilograms(reading: &Reading) -> Option<Value> {
    let weight = (reading.vital == Vital::Weight).then(|| reading.clone().into_canonical().ok())??;
    Some(weight.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(kg: &str, day: i64, flags: &[&'static str]) -> Reading {
        let mut reading: Reading = serde_json::from_str(
            r#"{"vital":"weight","value":0,"unit":"kg","measured_at":"2026-11-01T07:00:00Z","clock":"kit","device":"gatt-weight:1"}"#,
        )
        .unwrap();
        reading.value = kg.parse().unwrap();
        reading.measured_at += SignedDuration::from_hours(24 * day);
        reading.flags = flags.iter().map(|flag| Flag::new(flag)).collect();
        reading
    }

    /// Accepted weights, a new one and its day -> is it doubted?
    #[track_caller]
    fn check(accepted: &[(&str, i64)], new: (&str, i64), wanted: bool) {
        let mut weights = Weights::default();
        accepted.iter().for_each(|(kg, day)| weights.accept(&weight(kg, *day, &[])));
        let doubted = doubt(&[&weight(new.0, new.1, &[])], None, &weights);
        assert_eq!(doubted, wanted.then_some(Doubt::OtherWeight), "{accepted:?} {new:?}");
    }

    #[test]
    fn a_weight_far_from_the_ones_before_is_doubted() {
        check(&[], ("71.5", 0), false);
        check(&[("71.5", 0)], ("75.5", 1), false);
        check(&[("71.5", 0)], ("75.6", 1), true);
        check(&[("71.5", 0)], ("67.4", 1), true);
        check(&[("71.5", 0), ("74.5", 3)], ("78.4", 6), false);
        check(&[("71.5", 0)], ("95", 31), false);
        check(&[("71.5", 20)], ("95", 0), true);
    }

    #[test]
    fn only_the_newest_are_remembered() {
        let many: Vec<(&str, i64)> = [("60", 0)].into_iter().chain((1..=8).map(|day| ("70", day))).collect();
        check(&many, ("65.9", 9), true);
        check(&many, ("66", 9), false);
    }

    #[test]
    fn another_user_of_the_device_is_doubted_and_an_unknown_one_is_not() {
        let none = Weights::default();
        for (user, flag, wanted) in [
            (Some(1), "user_1", None),
            (Some(1), "user_2", Some(Doubt::OtherUser)),
            (Some(1), "user_255", None),
            (Some(1), "simulated", None),
            (None, "user_2", None),
        ] {
            assert_eq!(doubt(&[&weight("70", 0, &[flag])], user, &none), wanted, "{user:?} {flag}");
        }
    }
}
