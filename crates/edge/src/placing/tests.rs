//! What device times mean, as data; and that whatever a device's clock went through, a time is right or said to be the kit's.

use drivers::DeviceClock;
use jiff::tz::Offset;
use proptest::prelude::*;
use vitals::{Unit, Value, Vital};

use super::*;

fn copenhagen() -> TimeZone {
    TimeZone::get("Europe/Copenhagen").unwrap()
}

fn measured(device_time: Option<DateTime>) -> Measured {
    Measured {
        vital: Vital::Spo2,
        value: Value::new(93, 0),
        unit: Unit::Percent,
        device_time,
        device_offset: None,
        flags: vec![],
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn local(text: &str) -> DeviceClock {
    DeviceClock::Local(text.parse().unwrap())
}

const BELIEVED: (Clock, Option<Flag>) = (Clock::Device, None);
const CORRECTED: (Clock, Option<Flag>) = (Clock::Corrected, None);
const ARRIVAL: (Clock, Option<Flag>) = (Clock::Kit, Some(Flag::CLOCK_IMPLAUSIBLE));

/// With this timeline: (device time, now) -> measured at, clock and flag.
#[track_caller]
fn check(timeline: &Timeline, device_time: &str, now: &str, wanted: &str, (clock, flag): (Clock, Option<Flag>)) {
    let placed = timeline.place(&measured(Some(device_time.parse().unwrap())), at(now), &copenhagen());
    assert_eq!(placed, Placed { measured_at: at(wanted), clock, flag }, "{device_time} at {now}");
}

fn paired(clock: DeviceClock, now: &str) -> Timeline {
    let mut timeline = Timeline::default();
    timeline.read(clock, at(now), &copenhagen());
    timeline
}

#[test]
fn without_a_clock_to_read_a_set_one_is_believed_in_the_kits_zone() {
    let unread = Timeline::default();
    let now = "2026-11-22T08:00:05Z";
    check(&unread, "2026-11-22T09:00:01", now, "2026-11-22T08:00:01Z", BELIEVED);
    check(&unread, "2026-07-01T09:00:00", now, "2026-07-01T07:00:00Z", BELIEVED);
    check(&unread, "2026-11-22T09:05:05", now, "2026-11-22T08:05:05Z", BELIEVED);
    check(&unread, "2026-11-22T09:05:06", now, now, ARRIVAL);
    for unset in ["1970-01-01T00:00:10", "2000-01-01T00:00:00", "2017-01-01T00:00:00", "2019-12-31T23:59:59"] {
        check(&unread, unset, now, now, ARRIVAL);
    }
    check(&unread, "2020-01-01T00:00:00", now, "2019-12-31T23:00:00Z", BELIEVED);
}

#[test]
fn no_time_or_a_clock_marked_as_unset_means_the_arrival() {
    let (now, unread) = (at("2026-11-22T08:00:00Z"), Timeline::default());
    let arrival = Placed { measured_at: now, clock: Clock::Kit, flag: None };
    assert_eq!(unread.place(&measured(None), now, &copenhagen()), arrival);
    let mut marked = measured(Some("2026-11-22T09:00:00".parse().unwrap()));
    marked.flags.push(Flag::CLOCK_NOT_SET);
    assert_eq!(unread.place(&marked, now, &copenhagen()), arrival);
}

#[test]
fn the_hour_that_comes_twice_is_the_later_one_that_has_been() {
    // Summer time ends at 01:00Z on 2026-10-25: 02:30 is 00:30Z and again 01:30Z.
    let unread = Timeline::default();
    check(&unread, "2026-10-25T02:30:00", "2026-10-25T01:31:00Z", "2026-10-25T01:30:00Z", BELIEVED);
    check(&unread, "2026-10-25T02:30:00", "2026-10-25T00:31:00Z", "2026-10-25T00:30:00Z", BELIEVED);
    let read = paired(local("2026-10-25T02:31:00"), "2026-10-25T00:31:00Z");
    check(&read, "2026-10-25T02:30:00", "2026-10-25T00:31:00Z", "2026-10-25T00:30:00Z", BELIEVED);
}

#[test]
fn a_time_that_summer_time_skips_is_read_by_winter_time() {
    let unread = Timeline::default();
    check(&unread, "2026-03-29T02:30:00", "2026-03-29T01:31:00Z", "2026-03-29T01:30:00Z", BELIEVED);
    let not_switched = paired(local("2026-03-29T02:31:00"), "2026-03-29T01:31:00Z");
    check(&not_switched, "2026-03-29T02:30:00", "2026-03-29T01:31:00Z", "2026-03-29T01:30:00Z", CORRECTED);
    check(&not_switched, "2026-03-29T01:30:00", "2026-03-29T01:31:00Z", "2026-03-29T00:30:00Z", CORRECTED);
}

#[test]
fn a_clock_that_agrees_is_believed_and_one_that_is_off_is_corrected() {
    let now = "2026-11-22T08:00:00Z";
    let right = paired(local("2026-11-22T09:01:30"), now);
    check(&right, "2026-11-20T09:00:00", now, "2026-11-20T08:00:00Z", BELIEVED);
    let slow = paired(local("2026-11-22T08:40:00"), now);
    check(&slow, "2026-11-20T08:40:00", now, "2026-11-20T08:00:00Z", CORRECTED);
    check(&slow, "2026-11-22T08:41:30", "2026-11-22T08:01:30Z", "2026-11-22T08:01:30Z", CORRECTED);
    let pm = paired(local("2026-11-22T21:00:00"), now);
    check(&pm, "2026-11-22T20:59:00", now, "2026-11-22T07:59:00Z", CORRECTED);
    check(&pm, "2026-11-22T21:03:00", now, now, ARRIVAL);
}

#[test]
fn a_clock_that_nobody_switched_is_corrected_over_the_switch() {
    // It still shows summer time: an hour ahead.
    let now = "2026-10-25T08:00:00Z";
    let summer = paired(local("2026-10-25T10:00:00"), now);
    check(&summer, "2026-10-25T09:50:00", now, "2026-10-25T07:50:00Z", CORRECTED);
    check(&summer, "2026-10-25T02:30:00", now, "2026-10-25T00:30:00Z", CORRECTED);
    check(&summer, "2026-10-25T03:30:00", now, "2026-10-25T01:30:00Z", CORRECTED);
    check(&summer, "2026-10-20T09:00:00", now, "2026-10-20T07:00:00Z", CORRECTED);
}

#[test]
fn what_is_not_on_the_clocks_timeline_is_not_guessed() {
    let now = "2026-11-22T08:00:00Z";
    for (clock, device_time) in [
        // The battery was out, and the clock counts from its start value; or says that it isn't set.
        (local("2017-01-16T01:00:00"), "2017-01-16T00:57:28"),
        (local("2017-01-16T01:00:00"), "2026-11-20T09:00:00"),
        (DeviceClock::NotSet, "2026-11-20T09:00:00"),
        (DeviceClock::NotSet, "2026-11-22T08:59:00"),
        // Later than the clock itself.
        (local("2026-11-22T08:00:00"), "2026-11-22T08:30:00"),
        // Off by more than anybody would have set it.
        (local("2026-11-10T09:00:00"), "2026-11-10T08:00:00"),
        (local("2026-11-24T09:01:00"), "2026-11-24T08:00:00"),
    ] {
        check(&paired(clock, now), device_time, now, now, ARRIVAL);
    }
}

#[test]
fn after_setting_the_clock_new_readings_are_on_the_new_timeline_and_stored_ones_on_the_old() {
    let now = "2026-03-29T08:00:00Z";
    let mut behind = paired(local("2026-03-29T09:00:00"), now);
    behind.set(at(now));
    check(&behind, "2026-03-29T08:50:00", now, "2026-03-29T07:50:00Z", CORRECTED);
    check(&behind, "2026-03-29T10:00:20", "2026-03-29T08:00:20Z", "2026-03-29T08:00:20Z", BELIEVED);
    check(&behind, "2026-03-29T09:30:00", now, now, ARRIVAL);

    let now = "2026-10-25T08:00:00Z";
    let mut ahead = paired(local("2026-10-25T10:00:00"), now);
    ahead.set(at(now));
    check(&ahead, "2026-10-25T08:50:00", now, "2026-10-25T06:50:00Z", CORRECTED);
    check(&ahead, "2026-10-25T09:50:00", now, "2026-10-25T07:50:00Z", CORRECTED);
    // An hour ago, or just now: two things.
    check(&ahead, "2026-10-25T09:00:10", "2026-10-25T08:00:10Z", "2026-10-25T08:00:10Z", ARRIVAL);

    // The next day it is right, and what was stored before it was set is told late.
    let next = "2026-10-26T08:00:00Z";
    ahead.connected();
    ahead.read(local("2026-10-26T09:00:03"), at(next), &copenhagen());
    check(&ahead, "2026-10-25T08:30:00", next, "2026-10-25T06:30:00Z", CORRECTED);
    check(&ahead, "2026-10-25T20:00:00", next, "2026-10-25T19:00:00Z", BELIEVED);
    check(&ahead, "2026-10-25T09:30:00", next, next, ARRIVAL);
}

#[test]
fn an_unset_clock_that_was_set_is_believed_from_then_on() {
    let now = "2026-11-22T08:00:00Z";
    let mut unset = paired(DeviceClock::NotSet, now);
    unset.set(at(now));
    check(&unset, "2026-11-22T09:00:30", "2026-11-22T08:00:30Z", "2026-11-22T08:00:30Z", BELIEVED);
    check(&unset, "2026-11-22T08:30:00", now, now, ARRIVAL);
}

#[test]
fn a_device_that_refuses_the_new_time_stays_on_its_old_one() {
    let now = "2026-11-22T08:00:00Z";
    let mut refuses = paired(local("2026-11-22T08:40:00"), now);
    refuses.set(at(now));
    check(&refuses, "2026-11-22T08:45:00", "2026-11-22T08:05:00Z", "2026-11-22T08:05:00Z", CORRECTED);
    let next = "2026-11-23T08:00:00Z";
    refuses.connected();
    refuses.read(local("2026-11-23T08:40:00"), at(next), &copenhagen());
    assert!(!refuses.is_worth_keeping());
    check(&refuses, "2026-11-22T09:00:00", next, "2026-11-22T08:20:00Z", CORRECTED);
}

#[test]
fn what_is_older_than_the_second_last_setting_is_not_guessed() {
    let mut timeline = paired(local("2026-11-20T08:40:00"), "2026-11-20T08:00:00Z");
    timeline.set(at("2026-11-20T08:00:00Z"));
    timeline.connected();
    timeline.read(local("2026-11-22T09:30:00"), at("2026-11-22T08:00:00Z"), &copenhagen());
    timeline.set(at("2026-11-22T08:00:00Z"));
    let now = "2026-11-22T08:00:10Z";
    check(&timeline, "2026-11-21T09:30:00", now, "2026-11-21T08:00:00Z", CORRECTED);
    check(&timeline, "2026-11-20T09:10:00", now, now, ARRIVAL);
}

#[test]
fn a_device_that_tells_its_zone_is_taken_by_it() {
    let now = at("2026-11-22T08:00:00Z");
    let mut zoned = measured(Some("2026-11-22T02:58:00".parse().unwrap()));
    zoned.device_offset = Some(Offset::constant(-5));
    let placed = |timeline: &Timeline| timeline.place(&zoned, now, &copenhagen());
    let believed = Placed { measured_at: at("2026-11-22T07:58:00Z"), clock: Clock::Device, flag: None };
    assert_eq!(placed(&Timeline::default()), believed);
    let mut fast = Timeline::default();
    fast.read(DeviceClock::Zoned(at("2026-11-22T08:10:00Z")), now, &copenhagen());
    let corrected = Placed { measured_at: at("2026-11-22T07:48:00Z"), clock: Clock::Corrected, flag: None };
    assert_eq!(placed(&fast), corrected);
}

#[test]
fn how_far_a_clock_is_ahead_is_told_also_when_it_proves_nothing() {
    let now = at("2026-11-22T08:00:00Z");
    let read = |clock| Timeline::default().read(clock, now, &copenhagen()).map(|ahead| ahead.as_secs());
    assert_eq!(read(local("2026-11-22T09:00:07")), Some(7));
    assert_eq!(read(local("2026-11-22T08:00:00")), Some(-3600));
    assert_eq!(read(local("2026-11-10T09:00:00")), Some(-12 * 86_400));
    assert_eq!(read(DeviceClock::NotSet), None);
}

/// A device whose clock counts evenly, `ahead` of winter time by so many seconds, in the winter of 2026.
fn shown(at: Timestamp, ahead: i64) -> DateTime {
    copenhagen().to_datetime(at) + SignedDuration::from_secs(ahead)
}

proptest! {
    /// Stored records and new readings, over two connections, with the clock set or refusing to be set: what is not said to be the kit's
    /// time is right, within what counts as right.
    #[test]
    fn a_time_is_right_or_is_said_to_be_the_kits(
        ahead in -400_000_i64..400_000, drift in -100_i64..100, accepts: bool, sets: bool,
        records in prop::collection::vec(0_i64..2_000_000, 1..20), news in prop::collection::vec(0_i64..86_000, 1..20),
    ) {
        let (first, next) = (at("2026-12-20T08:00:00Z"), at("2026-12-21T08:00:00Z"));
        let zone = copenhagen();
        let moved = sets && accepts;
        let seconds = SignedDuration::from_secs;
        let offset = |at: Timestamp| if moved && at >= first { drift } else { ahead };
        let mut timeline = Timeline::default();
        timeline.read(DeviceClock::Local(shown(first, ahead)), first, &zone);
        if sets {
            timeline.set(first);
        }
        let true_times: Vec<_> = records.iter().map(|back| first - seconds(*back)).chain(news.iter().map(|on| first + seconds(*on))).collect();
        let right = |timeline: &Timeline, true_at: Timestamp, now: Timestamp| {
            let shown = shown(true_at, offset(true_at));
            let placed = timeline.place(&measured(Some(shown)), now, &zone);
            let off = placed.measured_at.duration_since(true_at).abs();
            match placed.clock {
                Clock::Kit => placed.measured_at == now && placed.flag == Some(Flag::CLOCK_IMPLAUSIBLE),
                Clock::Device | Clock::Corrected => off <= CLOCK_SAME_MAX * 2 && placed.flag.is_none(),
            }
        };
        for &true_at in true_times.iter().filter(|at| **at < first) {
            prop_assert!(right(&timeline, true_at, first), "{true_at} on the first connection");
        }
        timeline.connected();
        timeline.read(DeviceClock::Local(shown(next, offset(next))), next, &zone);
        for &true_at in &true_times {
            prop_assert!(right(&timeline, true_at, next), "{true_at} on the next connection");
        }
    }

    /// An even clock that is off by a little more or less than an hour, around both switches of the year.
    #[test]
    fn a_clock_without_summer_time_is_never_an_hour_wrong(autumn: bool, summer_clock: bool, back in 0_i64..200_000, after in 0_i64..200_000) {
        let zone = copenhagen();
        let switch = at(if autumn { "2026-10-25T01:00:00Z" } else { "2026-03-29T01:00:00Z" });
        let now = switch + SignedDuration::from_secs(after);
        let true_at = now - SignedDuration::from_secs(back);
        let even = |at: Timestamp| Offset::constant(if summer_clock { 2 } else { 1 }).to_datetime(at);
        let mut timeline = Timeline::default();
        let ahead = timeline.read(DeviceClock::Local(even(now)), now, &zone).unwrap();
        // A clock that is right now was switched, or is read by the local time of its day: an even one is not meant.
        prop_assume!(!is_right(ahead) || true_at >= switch);
        let placed = timeline.place(&measured(Some(even(true_at))), now, &zone);
        prop_assume!(!(is_right(ahead) && zone.to_ambiguous_timestamp(even(true_at)).is_ambiguous()));
        prop_assert_eq!((placed.measured_at, placed.flag), (true_at, None));
    }

    #[test]
    fn any_time_is_placed_without_a_panic(
        clock in (-9_000_i16..9_000, 1_i8..=12, 1_i8..=28), time in (-9_000_i16..9_000, 1_i8..=12, 1_i8..=28), sets: bool,
        now in -300_000_000_000_i64..200_000_000_000,
    ) {
        let date = |(year, month, day)| jiff::civil::date(year, month, day).at(2, 30, 0, 0);
        let now = Timestamp::from_second(now).unwrap();
        let mut timeline = Timeline::default();
        timeline.read(DeviceClock::Local(date(clock)), now, &copenhagen());
        if sets {
            timeline.set(now);
        }
        let placed = timeline.place(&measured(Some(date(time))), now, &copenhagen());
        prop_assert_eq!(placed.clock == Clock::Kit, placed.flag.is_some());
    }
}

/// The kit was `behind` seconds behind when it read a clock that is right, and is put right while the device is connected.
#[test]
fn a_kit_whose_clock_is_put_right_corrects_no_device_by_what_was_wrong_with_itself() {
    let right = "2026-11-22T10:00:00Z";
    for behind in [3600, 10 * 86_400] {
        let step = SignedDuration::from_secs(behind);
        let mut timeline = Timeline::default();
        timeline.read(local("2026-11-22T11:00:00"), at(right) - step, &copenhagen());
        timeline.kit_stepped(step, false);
        check(&timeline, "2026-11-22T11:01:00", "2026-11-22T10:01:05Z", "2026-11-22T10:01:00Z", BELIEVED);
    }
}

#[test]
fn a_device_that_a_wrong_kit_has_set_is_corrected_once_the_kit_is_right() {
    let step = SignedDuration::from_hours(1);
    let mut timeline = Timeline::default();
    // The kit thinks that it is nine; the device, which was right at ten (11:00 in the room), is set to nine.
    timeline.read(local("2026-11-22T11:00:00"), at("2026-11-22T09:00:00Z"), &copenhagen());
    timeline.set(at("2026-11-22T09:00:00Z"));
    timeline.kit_stepped(step, true);
    // It may be of the clock as it was, or as it was set: it is not guessed.
    check(&timeline, "2026-11-22T10:05:00", "2026-11-22T10:05:00Z", "2026-11-22T10:05:00Z", ARRIVAL);
    // On the next connection it is an hour behind; what it stored before it was set was right.
    timeline.connected();
    timeline.read(local("2026-11-22T13:30:00"), at("2026-11-22T13:30:00Z"), &copenhagen());
    check(&timeline, "2026-11-22T08:30:00", "2026-11-22T13:30:05Z", "2026-11-22T07:30:00Z", BELIEVED);
}
