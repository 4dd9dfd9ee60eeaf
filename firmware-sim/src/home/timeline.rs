//! When what is measured: the fortnight before, and the story day by day. One story day takes `day` of real time.

use std::collections::VecDeque;

use jiff::{SignedDuration, Span, Timestamp};
use tokio::time::Instant;

use super::Options;
use crate::{
    devices::Body,
    people::{Story, noise::uniform},
};

/// Eight in the morning, as a part of the day.
const MORNING: f64 = 8.0 / 24.0;
/// Eight in the evening.
const EVENING: f64 = 20.0 / 24.0;
/// Every home has its own minute past eight, within this many.
const MINUTES_PAST: f64 = 25.0;

/// What is due when.
#[derive(Debug)]
pub struct Timeline {
    story: Story,
    began: Instant,
    start_day: f64,
    day: std::time::Duration,
    live: bool,
    days: u32,
    due: VecDeque<(Instant, f64, Body)>,
}

impl Timeline {
    /// From `began` on.
    #[must_use]
    pub fn new(options: &Options, began: Instant) -> Self {
        let (story, start_day) = (options.story, f64::from(options.start_day));
        Self { story, began, start_day, day: options.day, live: options.live, days: 0, due: VecDeque::new() }
    }

    /// The day of the story at `now`.
    #[must_use]
    pub fn day(&self, now: Instant) -> f64 {
        if !self.live {
            return self.start_day + MORNING;
        }
        self.start_day + MORNING + (now - self.began).as_secs_f64() / self.day.as_secs_f64()
    }

    /// When something is due next.
    #[must_use]
    pub fn next(&self) -> Instant {
        let morning = self.morning(self.days);
        let far = self.began + std::time::Duration::from_secs(365 * 86_400);
        let morning = if self.live { morning } else { far };
        self.due.front().map_or(morning, |(at, ..)| (*at).min(morning))
    }

    fn morning(&self, day: u32) -> Instant {
        self.began + self.day * day
    }

    /// What is due by `now`, with its day of the story.
    pub fn due(&mut self, now: Instant) -> Vec<(f64, Body)> {
        while self.live && self.morning(self.days) <= now {
            self.plan(self.days);
            self.days += 1;
        }
        let mut due = vec![];
        while let Some((at, day, body)) = self.due.pop_front() {
            if at > now {
                self.due.push_front((at, day, body));
                break;
            }
            due.push((day, body));
        }
        due
    }

    /// One day: everything in the morning, a second try at the oximeter a little later, some evenings the oximeter again.
    fn plan(&mut self, days: u32) {
        let day = self.start_day + f64::from(days);
        let morning = self.morning(days);
        let mut tries = 0;
        let mut later = vec![];
        for body in self.story.measurements(day + MORNING) {
            tries += u32::from(matches!(body, Body::Oxygen { .. }));
            if tries == 2 && matches!(body, Body::Oxygen { .. }) {
                later.push((morning + self.day / 4, day + MORNING, body));
            } else {
                self.due.push_back((morning, day + MORNING, body));
            }
        }
        later.extend(evening(&self.story, day).map(|body| (morning + self.day / 2, day + EVENING, body)));
        self.due.extend(later);
    }
}

fn evening(story: &Story, day: f64) -> Option<Body> {
    #[allow(clippy::cast_possible_truncation, reason = "a day of a story of some weeks")]
    let whole_day = day as i64;
    let takes = story.measures_in_the_evening(whole_day);
    let oxygen = |body: &Body| matches!(body, Body::Oxygen { .. });
    takes.then(|| story.measurements(day + EVENING).into_iter().rfind(oxygen)).flatten()
}

/// The measurements of the days before `now`, oldest first, at their real local times.
#[must_use]
pub fn history(options: &Options, now: Timestamp) -> Vec<(Timestamp, f64, Body)> {
    let today = now.to_zoned(options.zone.clone()).date();
    #[allow(clippy::cast_possible_truncation, reason = "less than half an hour")]
    let past = (uniform(options.seed, 99, 0) * MINUTES_PAST) as i64;
    let mut all = vec![];
    for back in (1..=options.history_days).rev() {
        let day = f64::from(options.start_day) - f64::from(back);
        let date = today.saturating_sub(Span::new().days(back));
        let at = |hour| date.at(hour, 0, 0, 0).to_zoned(options.zone.clone()).map(|zoned| zoned.timestamp());
        let (Ok(morning), Ok(evening_at)) = (at(8), at(20)) else { continue };
        let bodies = options.story.measurements(day + MORNING);
        for (place, body) in (0_i64..).zip(bodies) {
            all.push((
                morning + SignedDuration::from_mins(past) + SignedDuration::from_secs(70 * place),
                day + MORNING,
                body,
            ));
        }
        let evening = evening(&options.story, day);
        all.extend(evening.map(|body| (evening_at + SignedDuration::from_mins(past), day + EVENING, body)));
    }
    all.retain(|(at, ..)| *at < now);
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::{bluez::call::Tuning, people::person};

    fn options(name: &str) -> Options {
        Options {
            story: Story::new(person(name).unwrap(), 7),
            seed: 7,
            bus: None,
            serial: None,
            kinds: vec![],
            history_days: 14,
            day: Duration::from_secs(8),
            start_day: 0,
            live: true,
            zone: TimeZone::get("Europe/Copenhagen").unwrap(),
            tuning: Tuning::default(),
            trials: crate::bluez::Trials::default(),
        }
    }

    #[test]
    fn the_past_is_a_fortnight_of_mornings_and_some_evenings() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let history = history(&options("stable"), now);
        let oxygen: Vec<_> = history.iter().filter(|(.., body)| matches!(body, Body::Oxygen { .. })).collect();
        assert!((15..=24).contains(&oxygen.len()), "{}", oxygen.len());
        assert!(history.is_sorted_by_key(|(at, ..)| *at));
        assert!(oxygen[0].0.to_string().starts_with("2026-11-08T07:"), "eight in Denmark: {}", oxygen[0].0);
        assert!((oxygen[0].1 - (-14.0 + MORNING)).abs() < 1e-9);
    }

    #[test]
    fn a_story_day_passes_in_eight_seconds() {
        let began = Instant::now();
        let mut timeline = Timeline::new(&options("cold-finger"), began);
        let first = timeline.due(began);
        assert!(matches!(first[0].1, Body::Oxygen { low_perfusion: true, .. }));
        assert_eq!(first.iter().filter(|(_, body)| matches!(body, Body::Oxygen { .. })).count(), 1);
        let second = timeline.due(began + Duration::from_secs(2));
        assert!(matches!(second[0].1, Body::Oxygen { low_perfusion: false, .. }), "two seconds later the warm finger");
        assert!(timeline.next() <= began + Duration::from_secs(8));
        timeline.due(began + Duration::from_secs(7));
        assert_eq!(timeline.due(began + Duration::from_secs(8)).len(), 5);
        assert!((timeline.day(began + Duration::from_secs(8)) - (1.0 + MORNING)).abs() < 1e-9);
    }

    #[test]
    fn nothing_happens_by_itself_when_it_is_not_live() {
        let began = Instant::now();
        let mut timeline = Timeline::new(&Options { live: false, ..options("stable") }, began);
        assert!(timeline.due(began + Duration::from_secs(100)).is_empty());
        assert!(timeline.next() > began + Duration::from_secs(100));
    }
}
