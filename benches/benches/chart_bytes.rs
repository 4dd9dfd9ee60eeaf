//! How large a chart is: bytes on the heap for each patient after 35 days, and how often judging allocates. Every allocation is counted, so
//! nothing here is timed. `cargo bench -p benches --bench chart_bytes`.

mod year;

use triage::Chart;
use vitals::{KitId, Vital};

#[global_allocator]
static COUNTED: dhat::Alloc = dhat::Alloc;

/// How many charts are measured, and after how many days.
const PEOPLE: u64 = 100;
const DAYS: i64 = 35;
/// What one chart may take, in bytes: the aim of the project.
const AIM_BYTES: u64 = 2048;

fn main() {
    // A test run of the benches only wants to see that they run.
    let people = if std::env::args().any(|arg| arg == "--test") { 2 } else { PEOPLE };
    let _counting = dhat::Profiler::builder().testing().build();
    for programme in year::programmes() {
        let book = year::rulebook(&programme);
        let wanted: &[(&str, &[Vital], &[year::Answers])] = &[
            ("SpO2 and pulse", &[Vital::Spo2, Vital::Pulse], &[]),
            (
                "all vitals and answers",
                &[
                    Vital::Spo2,
                    Vital::Pulse,
                    Vital::Temperature,
                    Vital::Fev1,
                    Vital::Fvc,
                    Vital::Systolic,
                    Vital::Diastolic,
                    Vital::Weight,
                ],
                year::ANSWERS,
            ),
        ];
        for (name, vitals, answers) in wanted {
            let mut bytes: Vec<u64> = (0..people).map(|person| one(&book, person, vitals, answers)).collect();
            bytes.sort_unstable();
            let at = |percent: usize| bytes[(bytes.len() - 1) * percent / 100];
            println!(
                "{} v{}, {name}, {DAYS} days twice a day: {} bytes a chart (half), {} (99 %), {} (most); {:.2} of the aim of {AIM_BYTES}",
                programme.id(),
                programme.version(),
                at(50),
                at(99),
                at(100),
                at(50) as f64 / AIM_BYTES as f64
            );
        }
        allocations(&book, programme.id());
    }
}

/// Bytes of one chart: itself and what it holds.
fn one(book: &std::sync::Arc<triage::Rulebook>, person: u64, vitals: &[Vital], answers: &[year::Answers]) -> u64 {
    let (plan, kit): (_, KitId) = (year::plan(book, person), "kit-1".parse().expect("a kit"));
    let taken = year::days(person, DAYS, vitals, answers);
    let before = dhat::HeapStats::get().curr_bytes as u64;
    let mut chart = Box::new(Chart::new());
    year::judge(&mut chart, &plan, &kit, &taken);
    let after = dhat::HeapStats::get().curr_bytes as u64;
    drop(chart);
    after - before
}

/// How often a calm reading allocates, when the chart has grown to its size.
fn allocations(book: &std::sync::Arc<triage::Rulebook>, id: &str) {
    let (plan, kit): (_, KitId) = (year::plan(book, 0), "kit-1".parse().expect("a kit"));
    let taken = year::days(0, 2 * DAYS, &[Vital::Spo2, Vital::Pulse], &[]);
    let (early, late) = taken.split_at(taken.len() / 2);
    let mut chart = Chart::new();
    year::judge(&mut chart, &plan, &kit, early);
    let before = dhat::HeapStats::get().total_blocks;
    let readings = year::judge(&mut chart, &plan, &kit, late);
    let allocated = dhat::HeapStats::get().total_blocks - before;
    println!("{id}: {:.2} allocations a calm reading ({allocated} for {readings})", allocated as f64 / readings as f64);
}
