//! The cohort is what its table of parameters says: means, spreads, rates, leads and habits, from fixed seeds.

use std::{fs, path::Path};

use jiff::{civil::date, tz::TimeZone};
use vitals::{Plausibility, Vital, check_value};

use wire::Message;

use super::{parameters as p, *};

/// Enough for the tolerances below, and few enough for a debug build.
const PEOPLE: u64 = 220;

fn cohort(seed: u64) -> Cohort {
    let zone = TimeZone::get("Europe/Copenhagen").expect("the time zones are inside");
    Cohort { seed, days: 365, start: date(2025, 1, 1), zone }
}

fn people() -> impl Iterator<Item = Simulated> {
    let cohort = cohort(7);
    (1..=PEOPLE).map(move |number| cohort.person(number))
}

/// The day of a sitting, from the first measurement.
fn day_of(cohort: &Cohort, sitting: &Sitting) -> i64 {
    (sitting.measured[0].at.as_second() - cohort.midnight(0).as_second() + 3600).div_euclid(86_400)
}

/// Values of a vital without technique errors, each with its day.
fn values(cohort: &Cohort, simulated: &Simulated, vital: Vital) -> Vec<(i64, f64)> {
    let sittings = simulated.sittings.iter();
    sittings
        .flat_map(|sitting| {
            let day = day_of(cohort, sitting);
            let right = move |measured: &&Measured| measured.vital == vital && measured.error.is_none();
            sitting.measured.iter().filter(right).map(move |measured| (day, measured.value.to_f64()))
        })
        .collect()
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

fn variance(numbers: &[f64]) -> f64 {
    let mean = mean(numbers);
    numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / (numbers.len() - 1) as f64
}

fn near(what: &str, found: f64, want: f64, within: f64) {
    assert!((found - want).abs() <= within, "{what}: found {found:.3}, want {want} within {within}");
}

/// Is nothing going on, for a good while around?
fn is_quiet(course: &Course, day: i64) -> bool {
    let event = |event: &Event| (event.begins - 1..event.treated + 60).contains(&day);
    !course.events.iter().any(event) && !course.bad_days.contains(&day)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_a_person_does_not_depend_on_the_others() {
    let lines = |seed: u64, number: u64| {
        let simulated = cohort(seed).person(number);
        let line = |sitting: &Sitting| serde_json::to_string(&Line::of(sitting, &simulated.ids)).unwrap();
        simulated.sittings.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(lines(1, 3), lines(1, 3));
    assert_ne!(lines(1, 3), lines(2, 3));
    assert_ne!(lines(1, 3), lines(1, 4));
}

#[test]
fn everything_says_that_it_is_simulated_and_is_believable_as_a_message() {
    for simulated in people().take(12) {
        let truth = serde_json::to_value(Truth::of(&cohort(7), &simulated)).unwrap();
        assert_eq!(truth["simulated"], true);
        for sitting in &simulated.sittings {
            let line = serde_json::to_vec(&Line::of(sitting, &simulated.ids)).unwrap();
            let arrived = wire::decode(&line).unwrap();
            assert_eq!(arrived.refused, []);
            let sent = Message { patient: Some(simulated.ids.patient.clone()), ..sitting.message(&simulated.ids) };
            assert_eq!(arrived.message, sent);
            let text = String::from_utf8(line).unwrap();
            assert!(text.contains(r#""simulated":true"#) && text.contains(r#""patient":"sim-"#), "{text}");
            for reading in &arrived.message.readings {
                assert!(reading.has(&vitals::Flag::SIMULATED));
                let believed = check_value(reading.vital, reading.value);
                assert!(!matches!(believed, Plausibility::Reject(_)), "{believed:?}");
            }
        }
    }
}

#[test]
fn messages_come_in_order_and_never_before_they_are_measured() {
    for simulated in people().take(60) {
        for (before, after) in simulated.sittings.iter().zip(&simulated.sittings[1..]) {
            assert!(before.seq < after.seq && before.received_at < after.received_at);
        }
        for sitting in &simulated.sittings {
            assert!(sitting.measured.iter().all(|measured| measured.at < sitting.received_at));
        }
    }
}

#[test]
fn people_differ_from_each_other_as_much_as_the_table_says() {
    let cohort = cohort(7);
    for (vital, mean_wanted, within_wanted) in [
        (Vital::Spo2, p::COPD_SPO2.value, p::SPO2_WITHIN.value),
        (Vital::Pulse, p::COPD_PULSE.value, p::PULSE_WITHIN.value),
    ] {
        let copd = people().filter(|simulated| simulated.person.condition == Condition::Copd);
        let (means, withins): (Vec<f64>, Vec<f64>) = copd
            .map(|simulated| {
                let quiet = |(day, _): &(i64, f64)| is_quiet(&simulated.course, *day);
                let quiet: Vec<f64> =
                    values(&cohort, &simulated, vital).into_iter().filter(quiet).map(|(_, value)| value).collect();
                (mean(&quiet), variance(&quiet))
            })
            .unzip();
        let (between, within) = (variance(&means), mean(&withins));
        near("mean", mean(&means), mean_wanted, mean_wanted * 0.02);
        near("sd within", within.sqrt(), within_wanted, within_wanted * 0.08);
        near("share between people", between / (between + within), p::BETWEEN_SHARE.value, 0.08);
    }
}

#[test]
fn onsets_and_isolated_bad_days_look_the_same_and_are_as_large_as_published() {
    let cohort = cohort(7);
    let copd: Vec<Simulated> = people().filter(|one| one.person.condition == Condition::Copd).collect();
    let differences = |vital: Vital, bad: bool| {
        let found = copd.iter().flat_map(|simulated| {
            let normal: Vec<(i64, f64)> = values(&cohort, simulated, vital);
            let quiet: Vec<f64> =
                normal.iter().filter(|(day, _)| is_quiet(&simulated.course, *day)).map(|(_, value)| *value).collect();
            let days: Vec<i64> = match bad {
                true => simulated.course.bad_days.clone(),
                false => simulated.course.events.iter().map(|event| event.onset).collect(),
            };
            let own = mean(&quiet);
            normal
                .into_iter()
                .filter(move |(day, _)| days.contains(day))
                .map(move |(_, value)| value - own)
                .collect::<Vec<_>>()
        });
        mean(&found.collect::<Vec<_>>())
    };
    for bad in [false, true] {
        near("pulse", differences(Vital::Pulse, bad), p::COPD_PULSE_RISE.value, 2.0);
        near("SpO2", differences(Vital::Spo2, bad), -p::COPD_SPO2_FALL.value, 0.4);
    }
}

#[test]
fn nothing_changes_before_physiology_may_and_symptoms_come_later() {
    for simulated in people() {
        let course = &simulated.course;
        for event in &course.events {
            // What an earlier one has left is not looked at.
            let first = course.events[0] == *event;
            let before = event.treated - p::PHYSIOLOGY_BEFORE_DAYS_MAX.value as i64 - 1;
            if let Some(effect) = usize::try_from(before).ok().and_then(|day| course.effects.get(day)).filter(|_| first)
            {
                assert!(course.bad_days.contains(&before) || *effect == Effect::default(), "{effect:?}");
            }
            assert!((0..=4).contains(&(event.treated - event.onset)) && event.begins <= event.onset);
            let begins = event.treated - event.begins;
            assert!((3..=7).contains(&begins), "{begins}");
            let early = event.treated - p::SYMPTOMS_BEFORE_DAYS.value as i64 - 1;
            if let Some(effect) = usize::try_from(early)
                .ok()
                .and_then(|day| course.effects.get(day))
                .filter(|_| first && !course.bad_days.contains(&early))
            {
                assert_eq!(effect.symptoms, [0.0; 3]);
            }
        }
    }
}

#[test]
fn rates_are_those_of_the_table() {
    let everybody: Vec<Simulated> = people().collect();
    let events = |kind: Kind| {
        let of_kind: Vec<f64> =
            everybody.iter().filter(|one| one.person.kind == kind).map(|one| one.course.events.len() as f64).collect();
        mean(&of_kind)
    };
    assert_eq!(events(Kind::Stable), 0.0);
    // A few are left out for being too close to another.
    near("exacerbations", events(Kind::Exacerbating), p::COPD_RATE.value, 0.6);
    near("decompensations", events(Kind::Decompensating), p::HF_RATE.value, 0.5);
    let bad: Vec<f64> = everybody.iter().map(|one| one.course.bad_days.len() as f64).collect();
    near("bad days", mean(&bad), p::COPD_RATE.value * p::BAD_DAY_SHARE.value, 0.35);
}

#[test]
fn stable_days_have_as_many_symptoms_as_the_table_says() {
    let mut degrees = [0_u32; 4];
    let cohort = cohort(7);
    for simulated in people().filter(|simulated| simulated.person.condition == Condition::Copd) {
        for sitting in &simulated.sittings {
            let Some((_, answer)) = sitting.answers.iter().find(|(question, _)| *question == "breathless") else {
                continue;
            };
            if is_quiet(&simulated.course, day_of(&cohort, sitting)) {
                let degree = ["not_at_all", "a_little", "somewhat", "a_lot"].iter().position(|known| known == answer);
                degrees[degree.expect("a known degree")] += 1;
            }
        }
    }
    let all = f64::from(degrees.iter().sum::<u32>());
    let share = |from: usize| f64::from(degrees[from..].iter().sum::<u32>()) / all;
    near("a little or more", share(1), p::SYMPTOM_STABLE.value, 0.05);
    near("somewhat or more", share(2), p::SYMPTOM_STABLE_SOME.value, 0.025);
    near("a lot", share(3), p::SYMPTOM_STABLE_LOT.value, 0.008);
}

#[test]
fn adherence_starts_high_and_drifts_into_the_published_range() {
    let cohort = cohort(7);
    let present: Vec<Simulated> = people().filter(|one| one.person.kind != Kind::Silent).collect();
    let share = |from: i64, until: i64| {
        let shares: Vec<f64> = present
            .iter()
            .map(|simulated| {
                let days = simulated.sittings.iter().map(|sitting| day_of(&cohort, sitting));
                days.filter(|day| (from..until).contains(day)).count() as f64 / (2 * (until - from)) as f64
            })
            .collect();
        shares
    };
    near("first days", mean(&share(0, 4)), p::ADHERENCE_FIRST.value, 0.04);
    near("the year", mean(&share(0, 365)), 0.758, 0.03);
    let late = share(120, 365);
    let inside = late.iter().filter(|share| (0.33..=0.95).contains(*share)).count();
    assert!(inside as f64 / late.len() as f64 > 0.98);
}

#[test]
fn spirometry_varies_as_published() {
    let cohort = cohort(7);
    let copd = people().filter(|one| one.person.condition == Condition::Copd && one.person.events_a_year == 0.0);
    let copd: Vec<Simulated> = copd.collect();
    let cv_of = |one: &Simulated, vital: Vital| {
        let quiet = |(day, _): &(i64, f64)| is_quiet(&one.course, *day);
        let values: Vec<f64> = values(&cohort, one, vital).into_iter().filter(quiet).map(|(_, value)| value).collect();
        variance(&values).sqrt() / mean(&values)
    };
    let cv = |vital: Vital| mean(&copd.iter().map(|one| cv_of(one, vital)).collect::<Vec<f64>>());
    near("FEV1", cv(Vital::Fev1), p::FEV1_CV.value, 0.01);
    near("FVC", cv(Vital::Fvc), p::FVC_CV.value, 0.008);
}

/// Of decompensations with weights in the week before treatment: how many each rule of thumb finds (a gain of so much within so many days).
fn found_by_weight(rules: [(f64, i64); 2]) -> [f64; 2] {
    let cohort = cohort(7);
    let (mut found, mut all) = ([0.0; 2], 0.0);
    let hearts =
        (1..=900).filter(|number| Person::draw(&mut Draw::new(cohort.seed, *number)).kind == Kind::Decompensating);
    for simulated in hearts.map(|number| cohort.person(number)) {
        let weights = values(&cohort, &simulated, Vital::Weight);
        for event in &simulated.course.events {
            let window: Vec<&(i64, f64)> =
                weights.iter().filter(|(day, _)| (event.treated - 7..=event.treated).contains(day)).collect();
            if window.len() < 3 {
                continue;
            }
            all += 1.0;
            for ((gain, days), found) in rules.iter().zip(&mut found) {
                let rises = |(late, after): &(i64, f64)| {
                    weights
                        .iter()
                        .any(|(early, before)| (1..=*days).contains(&(late - early)) && after - before >= *gain)
                };
                *found += f64::from(window.iter().any(|weight| rises(weight)));
            }
        }
    }
    assert!(all > 100.0, "{all} events");
    found.map(|found| found / all)
}

#[test]
fn rules_of_thumb_for_weight_find_about_as_many_as_published() {
    let [of_days, of_a_day] = found_by_weight([(2.0, 3), (1.36, 1)]);
    near("2 kg in 3 days", of_days, 0.21, 0.08);
    // HeartPhone's 46 % can't be met together with its 21 %: the cohort gives the rule of a day less than it had there (docs/cohort.md).
    near("1.36 kg in 1 day", of_a_day, 0.22, 0.08);
}

#[test]
fn the_silent_send_nothing_while_silent_and_a_year_has_about_3000_readings() {
    let cohort = cohort(7);
    let mut readings = Vec::new();
    for simulated in people() {
        for silence in &simulated.course.silences {
            let is_silent = |sitting: &Sitting| (silence.from..silence.until).contains(&day_of(&cohort, sitting));
            assert!(!simulated.sittings.iter().any(is_silent));
        }
        readings.push(Truth::of(&cohort, &simulated).readings as f64);
    }
    near("readings", mean(&readings), 3000.0, 450.0);
}

#[test]
fn a_recording_in_stretches_is_the_recording_in_one() {
    let cohort = cohort(3);
    let lines = |stretch: &Stretch| -> Vec<String> {
        let line = |sent: &Sent| serde_json::to_string(&Line::of(&sent.sitting, &stretch.people[sent.whose])).unwrap();
        stretch.sent.iter().map(line).collect()
    };
    let whole = lines(&cohort.stretch(1..7, 0..365));
    let parts = [0..100, 100..101, 101..365].map(|days| lines(&cohort.stretch(1..7, days)));
    assert_eq!(whole, parts.concat());
    assert_eq!(cohort.stretches(1000), std::iter::once(0..365).collect::<Vec<_>>());
    assert_eq!(cohort.stretches(PERSON_DAYS_MAX / 100), [0..100, 100..200, 200..300, 300..365]);
}

#[test]
fn lungs_with_fibrosis_lose_what_they_were_drawn_to_lose_and_vary_as_published() {
    let cohort = cohort(7);
    let people: Vec<Simulated> = (1..=PEOPLE).map(|number| cohort.with_fibrosis(number)).collect();
    let rapid = |one: &&Simulated| one.person.fvc_lost_a_year > p::PF_DECLINE_RAPID.value / 100.0;
    near("share rapid", people.iter().filter(rapid).count() as f64 / PEOPLE as f64, p::PF_SHARE_RAPID.value, 0.08);
    let calm = people.iter().filter(|one| one.course.events.is_empty());
    let mut lost = Vec::new();
    let (mut steady, mut unsteady) = (Vec::new(), Vec::new());
    for one in calm {
        let blows = values(&cohort, one, Vital::Fvc);
        let quiet: Vec<(i64, f64)> = blows.into_iter().filter(|(day, _)| is_quiet(&one.course, *day)).collect();
        let usual = |day: i64| one.person.habitual.fvc * (1.0 - one.person.fvc_lost_a_year * day as f64 / 365.0);
        let of_usual: Vec<f64> = quiet.iter().map(|(day, fvc)| fvc / usual(*day)).collect();
        lost.push(mean(&of_usual));
        let spread = variance(&of_usual).sqrt();
        if rapid(&one) { unsteady.push(spread) } else { steady.push(spread) }
    }
    near("of the volume that is left", mean(&lost), 1.0, 0.01);
    near("steady", mean(&steady), p::PF_FVC_CV.value, 0.008);
    near("unsteady", mean(&unsteady), p::PF_FVC_CV_RAPID.value, 0.015);
}

#[test]
fn who_has_fibrosis_answers_what_the_programme_asks_and_what_comes_is_believable() {
    let cohort = cohort(7);
    let (_, text) = triage::SHIPPED.iter().find(|(file, _)| *file == "pulmonary-fibrosis.toml").expect("it is shipped");
    let programme = triage::Programme::parse(text, "pulmonary-fibrosis.toml").unwrap();
    for simulated in (1..=12).map(|number| cohort.with_fibrosis(number)) {
        for sitting in &simulated.sittings {
            for answer in sitting.answered(&simulated.ids) {
                let of =
                    programme.questionnaires().iter().find(|of| of.id == answer.questionnaire).expect("it is asked");
                let question = of.question.iter().find(|question| question.id == answer.question).expect("it is asked");
                assert!(question.choice.iter().any(|choice| choice.id == answer.answer), "{answer:?}");
            }
            for reading in sitting.readings(&simulated.ids) {
                let believed = check_value(reading.vital, reading.value);
                assert!(!matches!(believed, Plausibility::Reject(_)), "{believed:?}");
            }
        }
    }
}

#[test]
fn the_table_in_the_docs_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cohort.md");
    let docs = fs::read_to_string(&path).expect("docs/cohort.md");
    let found: Vec<&str> =
        docs.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 4).collect();
    let want: Vec<String> = PARAMETERS.iter().map(Parameter::row).collect();
    let missing: Vec<&String> = want.iter().filter(|row| !found.contains(&row.as_str())).collect();
    assert!(
        missing.is_empty(),
        "docs/cohort.md lacks these rows (`vagt cohort --parameters` prints them):\n{missing:#?}"
    );
}
