//! When a way of raising alerts puts somebody before a nurse: the same convention for all of them.
//!
//! A nurse handles every alert, and closes it before the next morning, whatever stands; what is still wrong then raises another. So
//! somebody who is over a limit every day is an alert every day, whichever way raised it, and several alerts of a person within that time
//! (several families, yellow and then red) are one.

use jiff::{SignedDuration, Timestamp};

use super::scores::Scored;

/// After so long a nurse has handled an alert. Less than a day, so that who measures a little earlier the next morning is not passed over.
pub const HANDLED_AFTER: SignedDuration = SignedDuration::from_hours(20);

/// Somebody is put before a nurse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Was a measurement of the sitting wrong?
    pub wrong: bool,
}

/// The moments of a plain way at one setting.
#[must_use]
pub fn moments(scored: &[Scored], setting: f64) -> Vec<Moment> {
    let reached = scored.iter().filter(|one| one.score >= setting);
    together(reached.map(|one| Moment { at: one.at, wrong: one.wrong }).collect())
}

/// Leaves out what comes before the nurse has handled the moment before.
#[must_use]
pub fn together(mut moments: Vec<Moment>) -> Vec<Moment> {
    moments.sort_unstable();
    let mut kept: Vec<Moment> = Vec::with_capacity(moments.len());
    for moment in moments {
        if kept.last().is_none_or(|last| moment.at.duration_since(last.at) >= HANDLED_AFTER) {
            kept.push(moment);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn hours(moments: &[Moment]) -> Vec<i64> {
        moments.iter().map(|moment| moment.at.as_second() / 3600).collect()
    }

    #[test]
    fn who_is_over_the_setting_every_day_is_an_alert_every_day() {
        let scores = [(8, 3.0), (19, 3.0), (32, 3.0), (43, 0.0), (55, 2.0), (67, 3.0)];
        let scored = scores.map(|(hour, score)| Scored { at: at(hour), score, wrong: false });
        assert_eq!(hours(&moments(&scored, 3.0)), [8, 32, 67]);
        assert_eq!(hours(&moments(&scored, 2.0)), [8, 32, 55]);
        assert_eq!(hours(&moments(&scored, 4.0)), [] as [i64; 0]);
    }

    #[test]
    fn several_alerts_are_one_until_they_are_handled() {
        let moments = [30, 0, 1, 19, 20, 50].map(|hour| Moment { at: at(hour), wrong: false });
        assert_eq!(hours(&together(moments.to_vec())), [0, 20, 50]);
    }
}
