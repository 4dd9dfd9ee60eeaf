//! Chaos: a real clinic under load, and one fault after the other, chosen by a seed. After each the time until every kit is heard again; after
//! each round (a clinic of its own) the proof that nothing was lost and nothing doubled. docs/chaos.md says what was found.

pub mod check;
pub mod fault;
pub mod load;
pub mod place;
pub mod proxy;

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use self::{
    check::Counted,
    fault::{FAULTS, Fault, Stage},
    load::Load,
    place::Place,
    proxy::Proxy,
};
use crate::{
    clinic::{Clinic, KitLogin},
    home::Home,
};

/// Kits that send under load.
const KITS: usize = 8;
/// How long every kit may take to be heard again after a fault.
const RECOVER_WITHIN: Duration = Duration::from_secs(60);
/// How long everything that waits may take to be acknowledged at the end.
const FINISH_WITHIN: Duration = Duration::from_secs(120);
/// What the hub may hold in memory at most: what it takes in (64 MiB), SQLite's cache (64 MiB), and the program.
const HUB_MEMORY_MIB_MAX: u64 = 400;
/// Every so many faults the person in the home blows into the spirometer.
const BLOW_EVERY: usize = 4;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where chance begins.
    pub seed: u64,
    /// How many clinics, one after the other.
    pub rounds: u32,
    /// How long faults are made in each.
    pub seconds: u64,
    /// Faults in each at most.
    pub faults_max: usize,
    /// Messages a second of each kit.
    pub rate: u32,
    /// These alone.
    pub only: Vec<Fault>,
    /// With a home, so that the kit's agent is killed too.
    pub home: bool,
}

/// What a run came to.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Of each kind of fault how often, and how long until every kit was heard again, in milliseconds.
    pub faults: BTreeMap<&'static str, Recovery>,
    /// What was checked, in all rounds.
    pub counted: Counted,
    /// Kinds that could not be had on this machine.
    pub left_out: Vec<&'static str>,
    /// `kill -9` of all programs.
    pub kills: u64,
    /// The most that the hub held in memory, in MiB.
    pub hub_mib: u64,
}

/// How long it took.
#[derive(Debug, Default, Serialize)]
pub struct Recovery {
    /// How often.
    pub times: u64,
    /// The middle one.
    pub p50_ms: u64,
    /// Of ten the worst.
    pub p90_ms: u64,
    /// Of a hundred the worst.
    pub p99_ms: u64,
    /// The worst.
    pub max_ms: u64,
}

/// One run under way.
struct Run {
    took: BTreeMap<&'static str, Histogram<u64>>,
    report: Report,
    tell: Box<dyn FnMut(&str)>,
}

/// Runs it; `tell` hears what happens.
///
/// # Errors
/// The first thing that is not as it must be, with the seed of its round.
pub async fn run(options: &Options, tell: impl FnMut(&str) + 'static) -> Result<Report> {
    let mut run = Run { took: BTreeMap::new(), report: Report::default(), tell: Box::new(tell) };
    for round in 0..options.rounds {
        let seed = options.seed + u64::from(round);
        run.round(options, seed, round).await.with_context(|| {
            format!("round {round}; again: chaos --seed {seed} --rounds 1 --seconds {}", options.seconds)
        })?;
    }
    let Run { took, mut report, .. } = run;
    report.faults = took.into_iter().map(|(name, took)| (name, recovery(&took))).collect();
    Ok(report)
}

fn recovery(took: &Histogram<u64>) -> Recovery {
    let at = |quantile| took.value_at_quantile(quantile);
    Recovery { times: took.len(), p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), max_ms: took.max() }
}

impl Run {
    async fn round(&mut self, options: &Options, seed: u64, round: u32) -> Result<()> {
        let mut random = StdRng::seed_from_u64(seed);
        let logins: Vec<KitLogin> = (1..=KITS + 2).map(KitLogin::simulated).collect();
        let [of_home, stranger, of_load @ ..] = &logins[..] else { anyhow::bail!("too few kits") };
        let mut clinic = Clinic::stopped(&logins).await?;
        let place = Place::prepare(&mut clinic, round.is_multiple_of(2))?;
        clinic.restart().await?;
        let proxy = Proxy::open(clinic.mqtt_port).await?;
        let mut home = match options.home {
            true => Some(home(&clinic, &place, of_home, proxy.port).await?),
            false => None,
        };
        let load = Load::start(proxy.port, of_load, options.rate, seed);
        let stage = Stage { proxy: &proxy, place: &place, stranger };
        let blown = self.faults(options, &mut clinic, home.as_mut(), &stage, &load, &mut random).await?;
        (self.tell)("waiting until everything is acknowledged");
        let kits = load.finish(FINISH_WITHIN).await.with_context(|| clinic.log())?;
        self.remember_memory(&clinic)?;
        let counted = check::all(&clinic, &kits).await?;
        if let Some(home) = &home {
            check::every_blow_once(&clinic, of_home, &blown).await.with_context(|| tail(&home.log()))?;
        }
        let sum = &mut self.report.counted;
        sum.messages += counted.messages;
        sum.alerts += counted.alerts;
        sum.starts += counted.starts;
        (self.tell)(&format!("round {round}, seed {seed}: {counted:?}"));
        clinic.kill_9().await
    }

    /// One fault after the other; gives what was blown, as FEV1.
    async fn faults(
        &mut self,
        options: &Options,
        clinic: &mut Clinic,
        mut home: Option<&mut Home>,
        stage: &Stage<'_>,
        load: &Load,
        random: &mut StdRng,
    ) -> Result<Vec<String>> {
        let choice = self.choice(options, stage.place, home.is_some());
        let total: u32 = choice.iter().map(|(_, weight)| weight).sum();
        ensure!(total > 0, "none of the faults that were asked for can be had here");
        let (began, mut blown) = (Instant::now(), Vec::new());
        for number in 0..options.faults_max {
            if began.elapsed() > Duration::from_secs(options.seconds) {
                break;
            }
            if let Some(home) = home.as_deref_mut().filter(|_| number.is_multiple_of(BLOW_EVERY) && blown.len() < 80) {
                let fev1 = format!("1.{:02}", blown.len() + 10);
                home.tell(&json!({"measure": "spirometer", "fev1": fev1.parse::<f64>()?, "fvc": 2.9, "pef": 5.1}))
                    .await?;
                blown.push(fev1);
            }
            sleep(Duration::from_millis(random.random_range(0..800))).await;
            let fault = chosen(&choice, random.random_range(0..total));
            self.remember_memory(clinic)?;
            let begun = Instant::now();
            fault
                .happen(clinic, home.as_deref_mut(), stage, random)
                .await
                .with_context(|| format!("{}\n{}", fault.name(), tail(&clinic.log())))?;
            let over = Instant::now();
            let heard = load.all_heard_since(over, RECOVER_WITHIN).await;
            let heard = heard.with_context(|| {
                format!(
                    "{}: not every kit is heard {} s later\n{}",
                    fault.name(),
                    RECOVER_WITHIN.as_secs(),
                    tail(&clinic.log())
                )
            })?;
            self.took(fault, heard)?;
            (self.tell)(&format!(
                "{:>6.1} s {:<10} took {:>6} ms, all heard {:>6} ms later",
                began.elapsed().as_secs_f64(),
                fault.name(),
                (over - begun).as_millis(),
                heard.as_millis()
            ));
        }
        Ok(blown)
    }

    /// Which faults can be had here. What can't, in no round so far, is reported.
    fn choice(&mut self, options: &Options, place: &Place, has_home: bool) -> Vec<(Fault, u32)> {
        let asked = |fault: Fault| options.only.is_empty() || options.only.contains(&fault);
        let fits = FAULTS.iter().filter(|(fault, ..)| asked(*fault) && fault.fits(place, has_home));
        let choice: Vec<_> = fits.map(|(fault, _, weight)| (*fault, *weight)).collect();
        let is_there = |fault: Fault| choice.iter().any(|(there, _)| *there == fault);
        match self.report.counted.starts {
            0 => {
                self.report.left_out =
                    FAULTS.iter().filter(|(fault, ..)| !is_there(*fault)).map(|(_, name, _)| *name).collect()
            }
            _ => self.report.left_out.retain(|name| Fault::of(name).is_none_or(|fault| !is_there(fault))),
        }
        choice
    }

    fn took(&mut self, fault: Fault, heard: Duration) -> Result<()> {
        if matches!(fault, Fault::KillHub | Fault::KillEdge) {
            self.report.kills += 1;
        }
        let took = match self.took.entry(fault.name()) {
            std::collections::btree_map::Entry::Occupied(took) => took.into_mut(),
            std::collections::btree_map::Entry::Vacant(none) => none.insert(Histogram::new_with_bounds(1, 600_000, 3)?),
        };
        Ok(took.record(u64::try_from(heard.as_millis())?.max(1))?)
    }

    /// The most that the hub has held in memory; too much is a fault of its own.
    fn remember_memory(&mut self, clinic: &Clinic) -> Result<()> {
        let Some(id) = clinic.hub_id() else { return Ok(()) };
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        let mib = peak.context("VmHWM")? / 1024;
        self.report.hub_mib = self.report.hub_mib.max(mib);
        ensure!(mib <= HUB_MEMORY_MIB_MAX, "the hub has held {mib} MiB, at most {HUB_MEMORY_MIB_MAX} are wanted");
        Ok(())
    }
}

async fn home(clinic: &Clinic, place: &Place, login: &KitLogin, port: u16) -> Result<Home> {
    let mut home = Home::without_kit(login, "spirometer", 0).await?;
    home.set_env(&place.clock_env("edge")?);
    home.start_edge(port).with_context(|| clinic.log())?;
    Ok(home)
}

fn chosen(choice: &[(Fault, u32)], mut number: u32) -> Fault {
    for (fault, weight) in choice {
        match number.checked_sub(*weight) {
            Some(rest) => number = rest,
            None => return *fault,
        }
    }
    choice[0].0
}

/// The end of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
