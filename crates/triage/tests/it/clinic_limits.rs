//! The clinic's limits, where a programme says none: the patient's own before the programme's, and that before the clinic's, each limit by itself.

use std::sync::Arc;

use jiff::tz::TimeZone;
use triage::{CLINIC, Chart, Clinic, Finding, Mark, Origin, Own, Plan, Programme, Reason, SHIPPED, why};
use vitals::Vital;

use crate::person::{self, Person, copd, reading, time};

const NOW: &str = "2026-11-22T08:00:00Z";

fn limit(vital: Vital, rung: &str, value: &str, until: &str) -> String {
    let until = if until.is_empty() { String::new() } else { format!("until = \"{until}\"\n") };
    let (name, unit) = (vital.name(), vital.unit().ucum());
    format!(
        "\n[[limit]]\nvital = \"{name}\"\nunit = \"{unit}\"\nlimit = \"{rung}\"\nvalue = {value}\nsource = \"agreed\"\n{until}"
    )
}

/// The shipped document as its second version, with these limits.
fn clinic(limits: &[String]) -> Arc<Clinic> {
    let text = CLINIC.replacen("\nversion = 1\n", "\nversion = 2\n", 1) + &limits.concat();
    Arc::new(Clinic::parse(&text, "clinic.toml").unwrap_or_else(|fault| panic!("{fault}")))
}

fn shipped(id: &str) -> Arc<Programme> {
    let mut all = SHIPPED.iter().map(|(file, text)| Programme::parse(text, file).unwrap());
    Arc::new(all.find(|programme| programme.id() == id).expect("it is shipped"))
}

fn programme(rules: &str) -> Arc<Programme> {
    let text = format!(
        "id = \"p\"\nversion = 1\ntitle = {{ en = \"P\", da = \"P\" }}\nzone = \"UTC\"\n\
         clinic = {{ late_after = \"4h\", ease_after_sittings = 1, early = \"1h\", grace = \"1h\" }}\n{rules}"
    );
    Arc::new(Programme::parse(&text, "p.toml").unwrap_or_else(|fault| panic!("{fault}")))
}

/// A band rule on SpO2.
fn band(id: &str, more: &str, bands: &str) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\nkind = \"band\"\nfamily = \"f\"\nvital = \"spo2\"\nunit = \"%\"\n{more}\nbands = [{bands}]\n"
    )
}

const RED_83: &str = "{ mark = \"red\", at_most = 83 }, { mark = \"green\", above = 83 }";

fn own(rung: &str, value: &str, from: &str) -> Own {
    let text = format!(
        r#"{{"limits":[{{"rule":"spo2","limit":"{rung}","value":{value},"unit":"%","author":"dr. Berg","reason":"habitual","from":"{from}"}}]}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn planned(programme: Arc<Programme>, clinic: Arc<Clinic>, own: Own) -> Result<Plan, triage::ProgrammeError> {
    Plan::new("p-1".parse().unwrap(), vec![programme], clinic, own, TimeZone::UTC, time("2026-11-01T00:00:00Z"))
}

fn plan(programme: Arc<Programme>, limits: &[String]) -> Plan {
    planned(programme, clinic(limits), Own::default()).unwrap_or_else(|fault| panic!("{fault}"))
}

fn found(plan: &Plan, at: &str, text: &str) -> Finding {
    let mut person = Person { plan: plan.clone(), chart: Chart::new(), seq: 0 };
    person.gives(&[reading(text, time(at))], &[], at);
    person.chart.standing(plan).into_iter().find(|finding| finding.rule != "missing").expect("a finding")
}

#[track_caller]
fn reads(plan: &Plan, at: &str, text: &str, mark: Mark, why: &str) {
    let finding = found(plan, at, text);
    assert_eq!((finding.colour, finding.why.as_str()), (mark, why));
}

/// Which rules take which of the clinic's limits, as `rule rung`.
fn taken(plan: &Plan, at: &str) -> Vec<String> {
    let of = plan.clinic_limits(time(at)).into_iter();
    of.map(|it| format!("{} {}", it.rule, serde_json::to_value(it.limit.limit).unwrap().as_str().unwrap())).collect()
}

#[test]
fn the_patients_own_comes_before_the_programmes_and_that_before_the_clinics() {
    let limits = [limit(Vital::Spo2, "yellow_low", "92", ""), limit(Vital::Spo2, "yellow_high", "99", "")];
    let all = plan(copd(), &limits);
    reads(&all, NOW, "85 spo2", Mark::Red, "SpO2 85 %, red at 85 % or less");
    reads(&all, NOW, "88 spo2", Mark::Yellow, "SpO2 88 %, yellow at 88 % or less");
    reads(&all, NOW, "90 spo2", Mark::Green, "SpO2 90 %, green above 88 % and below 99 % (the clinic's limit)");
    reads(&all, NOW, "99 spo2", Mark::Yellow, "SpO2 99 %, yellow at 99 % or more (the clinic's limit)");
    assert_eq!(taken(&all, NOW), ["spo2 yellow_high"], "the programme has a yellow_low of its own");

    let own = planned(copd(), clinic(&limits), own("yellow_high", "97", "2026-11-20T00:00:00Z")).unwrap();
    reads(&own, NOW, "97 spo2", Mark::Yellow, "SpO2 97 %, yellow at 97 % or more (own limit)");
    let before = "2026-11-19T08:00:00Z";
    reads(&own, before, "97 spo2", Mark::Green, "SpO2 97 %, green above 88 % and below 99 % (the clinic's limit)");
    assert_eq!(taken(&own, NOW), Vec::<String>::new(), "the own limit lies over it");
    let marks = |plan: &Plan| {
        let bands = plan.bands_at(Vital::Spo2, time(NOW)).into_iter();
        bands.map(|band| (band.mark, band.own, band.clinic)).collect::<Vec<_>>()
    };
    let high = |plan: &Plan| *marks(plan).last().unwrap();
    assert_eq!((high(&all), high(&own)), ((Mark::Yellow, false, true), (Mark::Yellow, true, false)));
}

#[test]
fn what_no_rule_of_a_programme_looks_at_changes_nothing_to_the_byte() {
    let far = plan(copd(), &[limit(Vital::Temperature, "yellow_high", "38.5", "")]);
    let none = planned(copd(), person::clinic(), Own::default()).unwrap();
    for text in ["84 spo2", "95 spo2", "125 pulse"] {
        let bytes = |plan| serde_json::to_string(&found(plan, NOW, text)).unwrap();
        assert_eq!(bytes(&far), bytes(&none));
    }
    assert_eq!(taken(&far, NOW), Vec::<String>::new());
}

#[test]
fn a_limit_holds_until_its_end_and_the_others_go_on() {
    let end = "2026-12-01T00:00:00Z";
    let all = plan(copd(), &[limit(Vital::Spo2, "yellow_high", "98", end), limit(Vital::Spo2, "red_high", "100", "")]);
    let before = "2026-11-30T23:59:59Z";
    reads(&all, before, "98 spo2", Mark::Yellow, "SpO2 98 %, yellow at 98 % or more (the clinic's limit)");
    reads(&all, end, "98 spo2", Mark::Green, "SpO2 98 %, green above 88 % and below 100 % (the clinic's limit)");
    reads(&all, end, "100 spo2", Mark::Red, "SpO2 100 %, red at 100 % or more (the clinic's limit)");
    assert_eq!(taken(&all, before), ["spo2 yellow_high", "spo2 red_high"]);
    assert_eq!(taken(&all, end), ["spo2 red_high"]);
    assert_eq!(all.bands(Vital::Spo2).len(), 4, "until further notice there is no yellow on the high side");

    let ending = plan(copd(), &[limit(Vital::Spo2, "yellow_high", "98", end)]);
    reads(&ending, end, "98 spo2", Mark::Green, "SpO2 98 %, green above 88 %");
}

#[test]
fn everybody_has_it_once_and_what_a_programme_says_anywhere_it_says() {
    let high = limit(Vital::Spo2, "yellow_high", "99", "");
    // Two rules that part the people between them.
    assert_eq!(
        taken(&plan(shipped("news2-home"), std::slice::from_ref(&high)), NOW),
        ["spo2 yellow_high", "spo2-target yellow_high"]
    );
    // One of them has a yellow on the low side, and the other has none on purpose.
    let low = limit(Vital::Spo2, "yellow_low", "93", "");
    assert_eq!(taken(&plan(shipped("news2-home"), &[low]), NOW), Vec::<String>::new());
    // It waits for a second value before it is yellow.
    let pulse = limit(Vital::Pulse, "yellow_high", "105", "");
    assert_eq!(taken(&plan(shipped("heart-failure"), &[pulse]), NOW), Vec::<String>::new());

    let of = |rules: &[String]| taken(&plan(programme(&rules.concat()), std::slice::from_ref(&high)), NOW);
    let yellow = "{ mark = \"yellow\", at_most = 88 }, { mark = \"green\", above = 88 }";
    let (red, yellow) = (band("red", "", RED_83), band("yellow", "", yellow));
    assert_eq!(of(&[red.clone(), yellow.clone()]), ["red yellow_high"], "two rules for everybody");
    let (some, others) = (band("air", "when = \"on_air\"", RED_83), band("oxygen", "when = \"on_oxygen\"", RED_83));
    assert_eq!(of(&[some.clone(), red.clone()]), ["red yellow_high"], "the one for everybody");
    assert_eq!(of(std::slice::from_ref(&some)), ["air yellow_high"]);
    assert_eq!(of(&[some, others]), ["air yellow_high", "oxygen yellow_high"]);
    let part = band("part", "ingredient = true", RED_83);
    assert_eq!(of(&[part.clone(), yellow]), ["yellow yellow_high"], "an ingredient does not count alone");
    assert_eq!(of(&[part]), Vec::<String>::new());
}

#[test]
fn what_would_be_out_of_order_is_refused_with_its_place_and_left_out_where_it_is_in_use() {
    let limits = [limit(Vital::Spo2, "yellow_high", "87", ""), limit(Vital::Spo2, "red_high", "100", "")];
    let unfit = clinic(&limits).unfit(&copd());
    let [problem] = unfit.as_slice() else { panic!("{unfit:?}") };
    assert_eq!((problem.file.as_str(), problem.field.as_str()), ("copd.toml", "rule[0].bands"));
    assert_eq!(
        problem.text,
        "found yellow_low at 88 % and yellow_high at 87 %: these bands overlap, want yellow_low under yellow_high; \
         yellow_high at 87 % is the clinic's (agreed)"
    );
    let all = plan(copd(), &limits);
    assert_eq!(taken(&all, NOW), ["spo2 red_high"], "the one in order holds");
    reads(&all, NOW, "86 spo2", Mark::Yellow, "SpO2 86 %, yellow at 88 % or less");
    reads(&all, NOW, "95 spo2", Mark::Green, "SpO2 95 %, green above 88 % and below 100 % (the clinic's limit)");
    assert_eq!(clinic(&limits[1..]).unfit(&copd()), []);

    let wide = programme(&band("spo2", "hysteresis = 3", RED_83));
    let unfit = clinic(&[limit(Vital::Spo2, "yellow_high", "85", "")]).unfit(&wide);
    assert_eq!(unfit.len(), 1, "{unfit:?}");
    assert!(unfit[0].text.contains("no value would be green again; yellow_high at 85 % is the clinic's"), "{unfit:?}");
    assert_eq!(clinic(&[limit(Vital::Spo2, "yellow_high", "87", "")]).unfit(&wide), []);
}

#[test]
fn a_limit_of_the_clinics_closes_no_floor() {
    let yellow = "{ mark = \"yellow\", at_most = 88 }, { mark = \"green\", above = 88 }";
    let (open, limits) = (programme(&band("spo2", "", yellow)), [limit(Vital::Spo2, "red_low", "84", "")]);
    let unfit = clinic(&limits).unfit(&open);
    assert_eq!(unfit, clinic(&limits).passed_by(&open));
    assert!(unfit[0].text.contains("which leaves open the safety floor of 83 %"), "{unfit:?}");
    // It is judged by all the same, where somebody is in such a programme.
    reads(&plan(open, &limits), NOW, "84 spo2", Mark::Red, "SpO2 84 %, red at 84 % or less (the clinic's limit)");
}

#[test]
fn an_own_limit_is_held_against_the_clinics_beside_it() {
    let set = |limits: &[String]| planned(copd(), clinic(limits), own("yellow_low", "99", NOW));
    assert!(set(&[]).is_ok());
    let fault = set(&[limit(Vital::Spo2, "yellow_high", "99", "")]).unwrap_err().to_string();
    assert!(fault.contains("limits[0].value: found yellow_low at 99 % and yellow_high at 99 %"), "{fault}");
    assert!(set(&[limit(Vital::Spo2, "yellow_high", "99", NOW)]).is_ok(), "it is over when the own one begins");
}

#[test]
fn why_says_that_it_is_the_clinics_and_what_an_own_limit_over_it_changed() {
    let limits = [limit(Vital::Spo2, "yellow_high", "99", "")];
    let all = plan(copd(), &limits);
    let finding = found(&all, NOW, "99 spo2");
    let text = serde_json::to_string(&finding).unwrap();
    let read: Finding = serde_json::from_str(&text).unwrap();
    assert_eq!(read, finding);
    assert!(matches!(finding.reason, Reason::Band { own: false, clinic: Some(2), .. }), "{text}");
    let decided = why(&all, &finding).limit.unwrap();
    assert_eq!(decided.said, "yellow at 99 % or more");
    let Origin::Clinic { version: 2, setting: Some(setting) } = decided.origin else { panic!("it is the clinic's") };
    assert_eq!((setting.source.as_str(), setting.until), ("agreed", None));
    // The clinic's document is another by now: what was found stays the clinic's.
    let later = planned(copd(), person::clinic(), Own::default()).unwrap();
    let origin = why(&later, &finding).limit.unwrap().origin;
    assert_eq!(origin, Origin::Clinic { version: 2, setting: None });

    let own = planned(copd(), clinic(&limits), own("yellow_high", "100", "2026-11-20T00:00:00Z")).unwrap();
    let why = why(&own, &found(&own, NOW, "99 spo2"));
    let [moved] = why.moved.as_slice() else { panic!("{:?}", why.moved) };
    assert_eq!(
        moved.said,
        "yellow at 100 % or more, where the clinic has it at 99 % or more: without it this would be yellow"
    );
    assert!(moved.programme.is_none() && moved.clinic.is_some());
}
