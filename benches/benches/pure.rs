//! The pure steps of a reading, one by one: decode a frame, read a message. (Judging: `judge.rs`.) `cargo bench -p benches`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

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

criterion_group!(benches, decode, read);
criterion_main!(benches);
