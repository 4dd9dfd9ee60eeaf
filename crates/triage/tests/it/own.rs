//! A patient's own limits over the programme's.

use triage::{Clinic, Mark, Own};
use vitals::Vital;

use crate::person::{Person, copd, time};

fn own(limits: &str) -> Own {
    serde_json::from_str(&format!("{{\"limits\":[{limits}]}}")).unwrap_or_else(|fault| panic!("{fault}"))
}

fn limit(rule: &str, rung: &str, value: &str, unit: &str, from: &str, until: &str) -> String {
    let until = if until.is_empty() { String::new() } else { format!(",\"until\":\"{until}\"") };
    format!(
        "{{\"rule\":\"{rule}\",\"limit\":\"{rung}\",\"value\":{value},\"unit\":\"{unit}\",\"author\":\"dr. Berg\",\"reason\":\"habitual 86 to 88\",\"from\":\"{from}\"{until}}}"
    )
}

const FROM: &str = "2026-11-01T00:00:00Z";

#[track_caller]
fn reads(own: &Own, at: &str, text: &str, mark: Mark, why: &str) {
    let mut person = Person::with(own.clone(), "2026-10-01T00:00:00Z");
    person.gives(&[crate::person::reading(text, time(at))], &[], at);
    let finding =
        person.chart.standing(&person.plan).into_iter().find(|finding| finding.rule != "missing").expect("a finding");
    assert_eq!((finding.colour, finding.why.as_str()), (mark, why));
}

#[test]
fn an_own_limit_moves_one_limit_and_leaves_the_others() {
    let own =
        own(&[limit("spo2", "red_low", "82", "%", FROM, ""), limit("spo2", "yellow_low", "85.5", "%", FROM, "")]
            .join(","));
    reads(&own, "2026-11-22T08:00:00Z", "84 spo2", Mark::Yellow, "SpO2 84 %, yellow at 85.5 % or less (own limit)");
    reads(&own, "2026-11-22T08:00:00Z", "82 spo2", Mark::Red, "SpO2 82 %, red at 82 % or less (own limit)");
    reads(&own, "2026-11-22T08:00:00Z", "131 pulse", Mark::Red, "pulse 131 /min, red at 130 /min or more");
    let text = serde_json::to_string(&own).unwrap();
    assert_eq!(serde_json::from_str::<Own>(&text).unwrap(), own);
}

#[test]
fn an_own_limit_counts_from_its_start_to_its_end_and_the_later_of_two_wins() {
    let own = own(&[
        limit("spo2", "red_low", "80", "%", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
        limit("spo2", "red_low", "82", "%", FROM, ""),
    ]
    .join(","));
    reads(&own, "2026-10-31T08:00:00Z", "83 spo2", Mark::Red, "SpO2 83 %, red at 85 % or less");
    reads(&own, "2026-11-19T08:00:00Z", "81 spo2", Mark::Red, "SpO2 81 %, red at 82 % or less (own limit)");
    reads(&own, "2026-11-20T08:00:00Z", "81 spo2", Mark::Yellow, "SpO2 81 %, yellow at 88 % or less");
    reads(&own, "2026-11-21T00:00:00Z", "81 spo2", Mark::Red, "SpO2 81 %, red at 82 % or less (own limit)");
}

#[test]
fn a_limit_that_the_programme_lacks_can_be_added() {
    let own = own(&limit("spo2", "yellow_high", "95", "%", FROM, ""));
    reads(&own, "2026-11-22T08:00:00Z", "95 spo2", Mark::Yellow, "SpO2 95 %, yellow at 95 % or more (own limit)");
    reads(
        &own,
        "2026-11-22T08:00:00Z",
        "94 spo2",
        Mark::Green,
        "SpO2 94 %, green above 88 % and below 95 % (own limit)",
    );
}

#[test]
fn bands_are_given_for_drawing() {
    let own = own(&[
        limit("spo2", "red_low", "82", "%", FROM, ""),
        limit("spo2", "red_low", "80", "%", FROM, "2026-11-21T00:00:00Z"),
    ]
    .join(","));
    let person = Person::with(own, "2026-11-21T00:00:00Z");
    let ends = |views: &[triage::BandView]| {
        let end = |value: Option<vitals::Value>| value.map_or("-".to_owned(), |value| value.to_string());
        views
            .iter()
            .map(|view| format!("{:?} {} {} {}", view.mark, end(view.from), end(view.below), view.own))
            .collect::<Vec<_>>()
    };
    assert_eq!(ends(&person.plan.bands(Vital::Spo2)), ["Red - 82 true", "Yellow 82 88 false", "Green 88 - false"]);
    assert_eq!(ends(&person.plan.bands_at(Vital::Spo2, time("2026-11-20T00:00:00Z")))[0], "Red - 80 true");
    assert_eq!(person.plan.bands(Vital::Pulse).len(), 5);
    assert!(person.plan.bands(Vital::Weight).is_empty());
}

#[track_caller]
fn refused(limits: &str, wanted: &str) {
    let zone = jiff::tz::TimeZone::UTC;
    let fault =
        triage::Plan::new("p-1".parse().unwrap(), vec![copd()], crate::person::clinic(), own(limits), zone, time(FROM))
            .unwrap_err()
            .to_string();
    assert!(fault.contains(wanted), "{fault}");
}

#[test]
fn own_limits_that_do_not_fit_are_refused_in_words() {
    refused(
        &limit("spo3", "red_low", "82", "%", FROM, ""),
        "own settings of p-1:1:1: limits[0].rule: found \"spo3\", want a rule with limits of programme copd",
    );
    refused(&limit("spo2", "red_low", "82", "kg", FROM, ""), "limits[0].unit: found \"kg\", want \"%\"");
    refused(
        &limit("spo2", "red_low", "89", "%", FROM, ""),
        "limits[0].value: found red_low at 89 % and yellow_low at 88 %: these bands overlap",
    );
    refused(&limit("spo2", "red_low", "82", "%", FROM, FROM), "limits[0].until: found an end before the start");
    let many = vec![limit("spo2", "red_low", "82", "%", FROM, ""); 65].join(",");
    refused(&many, "found 65 limits, want at most 64");
}

#[test]
fn what_passes_a_safety_floor_must_have_an_end_when_it_is_set() {
    let said = |limits: &str| Person::with(own(limits), FROM).plan.unbounded(time(FROM));
    assert_eq!(said(&limit("spo2", "red_low", "83", "%", FROM, "")), Vec::<String>::new());
    assert_eq!(said(&limit("spo2", "red_low", "80", "%", FROM, "2027-01-01T00:00:00Z")), Vec::<String>::new());
    assert_eq!(
        said(&limit("spo2", "red_low", "80", "%", FROM, "")),
        [
            "limits[0].until: found no end, want one: red at 80 % or less passes the safety floor of 83 % or less (NEWS2, SpO2 scale 2: three points at 83 % or less)"
        ]
    );
    assert_eq!(said(&limit("spo2", "red_low", "80", "%", FROM, "2027-12-06T00:00:00Z")), Vec::<String>::new());
    let far = said(&limit("spo2", "red_low", "80", "%", FROM, "9999-01-01T00:00:00Z"));
    assert!(
        far[0].starts_with("limits[0].until: found 9999-01-01T00:00:00Z, want an end within 400 days: red at 80 %"),
        "{far:?}"
    );
    // Its start does not matter: it is the day on which it is set that counts.
    let later = said(&limit("spo2", "red_low", "80", "%", "2027-12-01T00:00:00Z", "2027-12-31T00:00:00Z"));
    assert_eq!(later.len(), 1, "{later:?}");
}

#[test]
fn a_pause_ends_in_sight_and_a_far_end_is_no_end() {
    let pause = |until: &str| {
        let text = format!(
            r#"{{"pauses":[{{"kind":"holiday","author":"anna","reason":"Rome","from":"{FROM}","until":"{until}"}}]}}"#
        );
        serde_json::from_str::<Own>(&text).unwrap()
    };
    let said = |until: &str| Person::with(pause(until), FROM).plan.unbounded(time(FROM));
    assert_eq!(said("2026-12-24T00:00:00Z"), Vec::<String>::new());
    // A slip of the year: nobody would be missed for all that time.
    assert_eq!(
        said("2028-12-24T00:00:00Z"),
        ["pauses[0].until: found 2028-12-24T00:00:00Z, want an end within 182 days: nobody is missed in a pause"]
    );
    let clinic = Clinic::shipped();
    let overdue = |own: &Own, at: &str| clinic.overdue(own, time(at));
    let (far, near) = (pause("2029-01-01T00:00:00Z"), pause("2026-12-01T00:00:00Z"));
    assert_eq!((overdue(&far, "2026-12-01T00:00:00Z"), overdue(&far, "2027-07-01T00:00:00Z")), (0, 1));
    assert_eq!(overdue(&near, "2027-07-01T00:00:00Z"), 0, "what is over needs nobody");
    let limit = own(&limit("spo2", "red_low", "84", "%", FROM, "2099-01-01T00:00:00Z"));
    assert_eq!((overdue(&limit, "2026-12-01T00:00:00Z"), overdue(&limit, "2027-07-01T00:00:00Z")), (0, 1));
}

#[test]
fn what_passes_a_floor_is_listed_while_it_lasts() {
    let own = own(&limit("spo2", "red_low", "80", "%", FROM, "2026-11-23T00:00:00Z"));
    let person = Person::with(own, FROM);
    let listed =
        |at: &str| person.plan.overrides_at(time(at)).iter().map(|it| (it.at, it.floor.clone())).collect::<Vec<_>>();
    assert_eq!(listed("2026-11-22T23:59:59Z").len(), 1);
    assert!(listed("2026-11-22T08:00:00Z")[0].1.starts_with("red at 80 % or less passes the safety floor"));
    assert_eq!(listed("2026-11-23T00:00:00Z"), []);
}

#[test]
fn a_typo_in_own_settings_is_refused() {
    let text = limit("spo2", "red_low", "82", "%", FROM, "").replace("author", "autor");
    let fault = serde_json::from_str::<Own>(&format!("{{\"limits\":[{text}]}}")).unwrap_err().to_string();
    assert!(fault.contains("unknown field `autor`"), "{fault}");
}

#[test]
fn what_is_set_anew_gets_the_next_version_and_what_is_as_before_keeps_its_own() {
    let set = |value: &str, before: &Own| {
        let mut own = own(&limit("spo2", "red_low", value, "%", FROM, ""));
        own.number(before);
        own
    };
    let first = set("84", &Own::default());
    let second = set("80", &first);
    let again = set("80", &second);
    let third = set("81", &again);
    let versions = [&first, &second, &again, &third].map(|own| own.limits[0].version);
    assert_eq!(versions, [1, 2, 2, 3]);
}
