//! Chaos: a real clinic under load, and one fault after the other, chosen by a seed. After each the time until every kit is heard again; after
//! each round (a clinic of its own) the proof that nothing was lost and nothing doubled. docs/chaos.md says what was found.

pub mod check;
pub mod fault;
pub mod load;
pub mod packets;
pub mod pair;
pub mod place;
pub mod proxy;
pub mod report;
pub mod world;

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tokio::time::{Instant, sleep};

pub use self::report::{Recovery, Report};
use self::{
    fault::{FAULTS, Fault},
    load::Load,
    report::Tally,
    world::{GROUNDS, Ground, World},
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
/// Every so many faults the person in each home blows into the spirometer.
const BLOW_EVERY: usize = 4;
/// Blows of a round at most: two decimals tell them apart.
const BLOWS_MAX: usize = 80;
/// Where so many kills are asked for, what kills is chosen so many times as often.
const KILLS_WEIGHT: u32 = 4;
/// The longest pause before a fault, in milliseconds; and where kills are asked for.
const PAUSE_MS_MAX: (u64, u64) = (800, 150);

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
    /// Rounds go on until so many programs were killed; 0: as many as there are rounds.
    pub kills: u64,
    /// What kills comes more often, and sooner.
    pub kills_often: bool,
    /// Messages a second of each kit.
    pub rate: u32,
    /// These alone.
    pub only: Vec<Fault>,
    /// On these grounds, in turn; none: on all.
    pub grounds: Vec<Ground>,
    /// Homes with real agents, which are killed too.
    pub homes: usize,
}

impl Options {
    /// What makes one round of these again.
    fn again(&self, seed: u64, ground: Ground) -> String {
        let Self { seconds, faults_max, rate, homes, .. } = self;
        let only: Vec<_> = self.only.iter().map(|fault| fault.name()).collect();
        let only = if only.is_empty() { String::new() } else { format!(" --only {}", only.join(",")) };
        let often = if self.kills_often { " --kills-often" } else { "" };
        format!(
            "--seed {seed} --rounds 1 --on {} --seconds {seconds} --faults {faults_max} --rate {rate} --homes {homes}{only}{often}",
            ground.name()
        )
    }
}

/// One run under way.
struct Run<'a> {
    options: &'a Options,
    tally: Tally,
    tell: Box<dyn FnMut(&str)>,
}

/// Runs it; `tell` hears what happens.
///
/// # Errors
/// The first thing that is not as it must be, with the seed of its round.
pub async fn run(options: &Options, tell: impl FnMut(&str) + 'static) -> Result<Report> {
    let mut run = Run { options, tally: Tally::default(), tell: Box::new(tell) };
    let grounds: Vec<Ground> = match &options.grounds[..] {
        [] => GROUNDS.iter().map(|(ground, _)| *ground).collect(),
        asked => asked.to_vec(),
    };
    for (round, ground) in (0..).zip(grounds.iter().copied().cycle()) {
        let goes_on = if options.kills > 0 { run.tally.report.kills < options.kills } else { round < options.rounds };
        if !goes_on {
            break;
        }
        let seed = options.seed + u64::from(round);
        run.round(ground, seed, round)
            .await
            .with_context(|| format!("round {round}; again: chaos {}", options.again(seed, ground)))?;
    }
    Ok(run.tally.finish())
}

impl Run<'_> {
    async fn round(&mut self, ground: Ground, seed: u64, round: u32) -> Result<()> {
        let began = Instant::now();
        let mut random = StdRng::seed_from_u64(seed);
        let logins: Vec<KitLogin> = (1..=KITS + 1 + self.options.homes).map(KitLogin::simulated).collect();
        let (of_homes, rest) = logins.split_at(self.options.homes);
        let [stranger, of_load @ ..] = rest else { anyhow::bail!("too few kits") };
        let mut world = World::begin(ground, &logins, stranger, seed).await?;
        for login in of_homes {
            world.add_home(login).await?;
        }
        let load = Load::start(&world.doors, of_load, self.options.rate, seed, ground == Ground::Broker);
        let blown = self.faults(&mut world, &load, &mut random).await?;
        self.tally.turned(&world);
        (self.tell)("waiting until everything is acknowledged");
        let kits = load.finish(FINISH_WITHIN).await.with_context(|| world.log())?;
        self.remember_memory(&world)?;
        let counted = check::all(&world.clinic, &kits).await?;
        for (home, login) in world.homes.iter().zip(of_homes) {
            check::every_blow_once(&world.clinic, login, &blown).await.with_context(|| tail(&home.log()))?;
        }
        self.tally.count(&counted);
        let (name, took, kills) = (ground.name(), began.elapsed().as_secs(), world.kills);
        (self.tell)(&format!("round {round} on {name}, seed {seed}: {counted:?}, {kills} kills, {took} s"));
        if let Some(second) = &mut world.second {
            second.hub.kill_9().await?;
        }
        world.clinic.kill_9().await
    }

    /// One fault after the other; gives what was blown in each home, as FEV1.
    async fn faults(&mut self, world: &mut World, load: &Load, random: &mut StdRng) -> Result<Vec<String>> {
        let choice = self.choice(world);
        let total: u32 = choice.iter().map(|(_, weight)| weight).sum();
        ensure!(total > 0, "none of the faults that were asked for can be had here");
        let pause = if self.options.kills_often { PAUSE_MS_MAX.1 } else { PAUSE_MS_MAX.0 };
        let (began, mut blown) = (Instant::now(), Vec::new());
        for number in 0..self.options.faults_max {
            let killed = self.tally.report.kills + world.kills;
            let enough = self.options.kills > 0 && killed >= self.options.kills;
            if enough || began.elapsed() > Duration::from_secs(self.options.seconds) {
                break;
            }
            if number.is_multiple_of(BLOW_EVERY) && blown.len() < BLOWS_MAX {
                blown.push(blow(&mut world.homes, blown.len()).await?);
            }
            sleep(Duration::from_millis(random.random_range(0..pause))).await;
            let fault = chosen(&choice, random.random_range(0..total));
            self.one(fault, world, load, random, began).await?;
        }
        Ok(blown)
    }

    /// One fault, and the time until every kit is heard again.
    async fn one(
        &mut self,
        fault: Fault,
        world: &mut World,
        load: &Load,
        random: &mut StdRng,
        began: Instant,
    ) -> Result<()> {
        self.remember_memory(world)?;
        let begun = Instant::now();
        let happened = fault.happen(world, random).await;
        happened.with_context(|| format!("{}\n{}", fault.name(), world.log()))?;
        let over = Instant::now();
        let heard = load.all_heard_since(over, RECOVER_WITHIN).await;
        let heard = heard.with_context(|| {
            let (name, within) = (fault.name(), RECOVER_WITHIN.as_secs());
            format!("{name}: not every kit is heard {within} s later\n{}", world.log())
        })?;
        let settled = world.settle().await;
        settled.with_context(|| format!("{}\n{}", fault.name(), world.log()))?;
        let holds = self.remember_memory(world)?;
        self.tally.took(fault, heard, holds)?;
        (self.tell)(&format!(
            "{:>6.1} s {:<10} took {:>6} ms, all heard {:>6} ms later, hub {holds} MiB",
            began.elapsed().as_secs_f64(),
            fault.name(),
            (over - begun).as_millis(),
            heard.as_millis()
        ));
        Ok(())
    }

    /// Which faults can be had here. What can't, in no round so far, is reported.
    fn choice(&mut self, world: &World) -> Vec<(Fault, u32)> {
        let only = &self.options.only;
        let asked = |fault: Fault| only.is_empty() || only.contains(&fault);
        let often = |fault: Fault| if self.options.kills_often && fault.kills() { KILLS_WEIGHT } else { 1 };
        let fits = FAULTS.iter().filter(|(fault, ..)| asked(*fault) && fault.fits(world));
        let named = u32::from(!only.is_empty());
        let weighed = fits.map(|(fault, _, weight)| (*fault, *weight.max(&named) * often(*fault)));
        let choice: Vec<_> = weighed.filter(|(_, weight)| *weight > 0).collect();
        self.tally.had(choice.iter().map(|(fault, _)| *fault));
        choice
    }

    /// What the hub holds now, in MiB (of two the one that holds more), and the most that it has held; too much is a fault of its own.
    fn remember_memory(&mut self, world: &World) -> Result<u64> {
        let mut holds_most = 0;
        for (holds, peak) in world.hubs().filter_map(memory_mib) {
            self.tally.report.hub_mib = self.tally.report.hub_mib.max(peak);
            ensure!(peak <= HUB_MEMORY_MIB_MAX, "the hub has held {peak} MiB, at most {HUB_MEMORY_MIB_MAX} are wanted");
            holds_most = holds_most.max(holds);
        }
        Ok(holds_most)
    }
}

/// What a hub holds and has held at most, in MiB; nothing of one that has ended.
fn memory_mib(hub: &Clinic) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{}/status", hub.hub_id()?)).ok()?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    };
    Some((of("VmRSS:")? / 1024, of("VmHWM:")? / 1024))
}

/// Somebody in each home blows; gives the FEV1.
async fn blow(homes: &mut [Home], number: usize) -> Result<String> {
    let fev1 = format!("1.{:02}", number + 10);
    for home in homes {
        home.tell(&json!({"measure": "spirometer", "fev1": fev1.parse::<f64>()?, "fvc": 2.9, "pef": 5.1})).await?;
    }
    Ok(fev1)
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
