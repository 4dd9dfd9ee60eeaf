//! How many readings a second one core judges: a year of one person, again and again, by bands alone and by every shipped programme.
//!
//! The machine is shared and wall time swings; what is counted is the thread's own time on a core, as Linux tells it. Nothing is asserted.
//! `cargo bench -p benches --bench judge [-- WORD]`: the programmes whose name has the word. With `--digest` it times nothing and prints for
//! each programme a number made of all that is put out over a rough year: the same before and after a change that only makes it faster.

mod year;

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
};

use triage::{Chart, Event, Sitting, assess};
use vitals::{KitId, Vital};

/// Rounds of one measurement, after two that warm up.
const ROUNDS: usize = 21;
/// How many readings one round judges at least.
const ROUND_READINGS: u64 = 120_000;
/// What the project aims at, in readings a second and core.
const AIM_BANDS: f64 = 2_000_000.0;
const AIM_FULL: f64 = 500_000.0;

fn main() {
    let is_test = std::env::args().any(|arg| arg == "--test");
    let word = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let is_digest = std::env::args().any(|arg| arg == "--digest");
    let (bands, all): (Vec<Vital>, Vec<Vital>) =
        (vec![Vital::Spo2, Vital::Pulse], year::VITALS.iter().map(|(vital, ..)| *vital).collect());
    for programme in year::programmes() {
        let name = format!("{} v{}", programme.id(), programme.version());
        let plan = year::plan(&year::rulebook(&programme), 1);
        if is_digest {
            println!("{name}: {:016x}", digest(&plan, &all));
            continue;
        }
        let measured = |what: &str, vitals: &[Vital], answers: &[year::Answers], aim: f64| {
            let line = format!("{name}, {what}");
            if line.contains(&word) {
                measure(&line, &plan, &year::days(1, 365, vitals, answers), aim, is_test);
            }
        };
        if programme.id() == "copd" {
            measured("bands alone", &bands, &[], AIM_BANDS);
        }
        measured("all vitals", &all, &[], AIM_FULL);
        measured("all vitals and answers", &all, year::ANSWERS, AIM_FULL);
    }
}

fn measure(name: &str, plan: &triage::Plan, taken: &[year::Taken], aim: f64, is_test: bool) {
    let kit: KitId = "kit-1".parse().expect("a kit");
    let of_year: u64 = taken.iter().map(|one| one.readings.len() as u64).sum();
    let years = if is_test { 1 } else { ROUND_READINGS.div_ceil(of_year) };
    let round = || {
        let began = on_core_nanos();
        let readings: u64 = (0..years).map(|_| year::judge(&mut Chart::new(), plan, &kit, taken)).sum();
        readings as f64 * 1e9 / (on_core_nanos() - began).max(1) as f64
    };
    let warm = round();
    if is_test {
        return println!("{name}: {warm:.0} readings a second and core, once");
    }
    round();
    let mut rates: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    rates.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| rates[(rates.len() - 1) * percent / 100];
    println!(
        "{name}: {:.0} readings a second and core (half of the rounds; {:.0} to {:.0} in 10 to 90 %), {:.2} of the aim of {aim:.0}",
        at(50),
        at(10),
        at(90),
        at(50) / aim
    );
}

/// All that is put out over rough years of some people, as one number: the alerts, the findings, what stands at the end.
fn digest(plan: &triage::Plan, vitals: &[Vital]) -> u64 {
    let kit: KitId = "kit-1".parse().expect("a kit");
    let mut hasher = DefaultHasher::new();
    for person in 1..=20 {
        let mut chart = Chart::new();
        for (seq, one) in (1..).zip(year::rough(person, 365, vitals)) {
            let sitting = Sitting { kit: &kit, seq, readings: &one.readings, answers: &one.answers };
            format!("{:?}", assess(&mut chart, plan, &Event::Sitting(sitting), one.now)).hash(&mut hasher);
        }
        format!("{:?}", chart.standing(plan)).hash(&mut hasher);
    }
    hasher.finish()
}

/// How long this thread has been on a core, in nanoseconds.
fn on_core_nanos() -> u64 {
    let told = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells how long a thread ran");
    told.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("its first number is that")
}
