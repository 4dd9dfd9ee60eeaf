//! The pure steps of a reading, one by one: decode a frame, read a message, judge a sitting. `cargo bench -p benches`.

mod year;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use triage::Chart;
use vitals::{KitId, Vital};

/// A blood pressure of the Bluetooth profile: flags, three pressures, time, pulse, status.
const PRESSURE: [u8; 18] = [0x1e, 0x78, 0, 0x50, 0, 0x5d, 0, 0xea, 0x07, 0x0b, 0x16, 8, 0, 0, 0x48, 0, 0, 0];

fn four_readings() -> String {
    let reading = |vital: &str, value: &str, unit: &str| {
        format!(
            r#"{{"vital":"{vital}","value":{value},"unit":"{unit}","measured_at":"2026-11-22T08:00:01Z","clock":"device","device":"gatt-plx:SIM-1"}}"#
        )
    };
    let readings = [
        reading("spo2", "93", "%"),
        reading("pulse", "72", "/min"),
        reading("temperature", "36.7", "Cel"),
        reading("fev1", "1.42", "L"),
    ];
    format!(
        r#"{{"seq":42,"sent_at":"2026-11-22T08:00:07Z","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","readings":[{}]}}"#,
        readings.join(",")
    )
}

fn decode(c: &mut Criterion) {
    let driver = drivers::find("gatt-blood-pressure").expect("a driver");
    let frame = [PRESSURE.to_vec()];
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    group.bench_function("blood pressure frame", |b| b.iter(|| drivers::decode(driver, None, black_box(&frame))));
    group.finish();
}

fn read(c: &mut Criterion) {
    let payload = four_readings();
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Elements(4));
    group.bench_function("message of four readings", |b| b.iter(|| wire::decode(black_box(payload.as_bytes()))));
    group.finish();
}

/// A year of one person, two sittings a day; counted are readings. Bands alone first, then every shipped programme with all it asks for.
fn judge(c: &mut Criterion) {
    let kit: KitId = "kit-1".parse().expect("a kit");
    let bands = [Vital::Spo2, Vital::Pulse];
    let all: Vec<Vital> = year::VITALS.iter().map(|(vital, ..)| *vital).collect();
    let mut group = c.benchmark_group("triage");
    group.sample_size(20);
    for programme in year::programmes() {
        let plan = year::plan(&year::rulebook(&programme), 1);
        let mut of = |name: String, taken: Vec<year::Taken>| {
            let readings = taken.iter().map(|one| one.readings.len() as u64).sum();
            group.throughput(Throughput::Elements(readings));
            group.bench_function(name, |b| {
                b.iter_batched(
                    Chart::new,
                    |mut chart| year::judge(&mut chart, &plan, &kit, black_box(&taken)),
                    criterion::BatchSize::SmallInput,
                );
            });
        };
        if programme.id() == "copd" {
            of("a year by bands alone (copd), readings".to_owned(), year::days(1, 365, &bands, &[]));
        }
        let name = format!("a year by {} v{}, all vitals and answers, readings", programme.id(), programme.version());
        of(name, year::days(1, 365, &all, year::ANSWERS));
    }
    group.finish();
}

criterion_group!(benches, decode, read, judge);
criterion_main!(benches);
