//! A short, seeded run of chaos on every ground, in which each kind of fault that this machine can make has its chance. `make chaos` runs it for
//! longer.

use anyhow::{Result, ensure};
use tests::chaos::{Options, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_of_chaos_loses_nothing_and_doubles_nothing() -> Result<()> {
    let options = Options {
        seed: 7,
        rounds: 6,
        seconds: 9,
        faults_max: 20,
        kills: 0,
        kills_often: false,
        rate: 20,
        only: Vec::new(),
        grounds: Vec::new(),
        homes: 1,
    };
    let report = run(&options, |line| println!("{line}")).await?;
    println!("{}", serde_json::to_string(&report)?);
    ensure!(report.kills >= 5, "{} kills prove too little", report.kills);
    ensure!(report.counted.messages > 2_000 && report.counted.alerts > 8, "{:?} proves too little", report.counted);
    Ok(())
}
