//! The command line.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValuesParser};
use jiff::tz::TimeZone;
use serde_json::json;

use crate::{
    bluez::{Trials, call::Tuning},
    clock::DeviceClock,
    devices::{BleModel, Identity, Kind},
    home::Options,
    people::{self, PEOPLE, Story},
};

/// Simulated devices and homes for Vagt.
///
/// Plays medical devices on a private D-Bus (as BlueZ shows them) and on pseudo-terminals, and simulated people who use them.
/// What reads them needs no change: point it at the bus with DBUS_SYSTEM_BUS_ADDRESS and at the ports by their names.
#[derive(Debug, Parser)]
#[command(name = "firmware-sim", version, after_help = EXAMPLE)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLE: &str = "\
Example, in two shells:
  firmware-sim bus --dir /tmp/home-7
  firmware-sim home --person exacerbating --seed 7 --bus unix:path=/tmp/home-7/bus --serial /tmp/home-7 --json
and what reads the devices runs with DBUS_SYSTEM_BUS_ADDRESS=unix:path=/tmp/home-7/bus.

Exit codes: 0 done, 1 failed (one sentence on standard error), 2 bad usage.";

const HOME_HELP: &str = r#"On the first connection each device sends what it has stored (--history-days), oldest first; then one story day passes every
--day-seconds. Time stamps of live measurements are the real local time: only the values move fast.

Commands on standard input, one JSON object a line:
  {"measure":"oximeter","spo2":82,"pulse":118}       one measurement now; values left out are the story's
  {"measure":"oximeter","spo2":90,"seconds":10}      also as a continuous measurement, to whoever subscribes to it
  {"measure":"cuff","systolic":150,"diastolic":90,"pulse":80}  also thermometer: temperature; scale: weight; nonin: spo2, pulse;
                                                      phd-scale, mi-scale, body-scale: weight; spirometer, peak-flow, health-sensor: fev1, fvc, fev6 (L),
                                                      pef (L/s); oximeters, nonin-3230: "low_perfusion":true; cuff: "failed":true; with
                                                      "seconds":2 the cuff's intermediate pressures come first
  {"measure":"glucose","glucose":6.1,"meal":"fasting"}  also before, after, casual, bedtime
  {"inspect":"oximeter"}                              what a Bluetooth device holds and what its clock shows, as "inspected"
  {"fault":"disconnect","device":"oximeter"}          the link is lost, now or after the next value
  {"fault":"disconnect_mid_frame","device":"cuff"}    half a frame, then the link is lost
  {"fault":"garbage","device":"nonin"}                bytes that mean nothing
  {"fault":"truncate","device":"scale"}               the next frame cut short, then whole
  {"fault":"never_resolve","device":"scale"}          Bluetooth services never resolve (until clear)
  {"fault":"refuse_writes","device":"cuff"}           Bluetooth writes are refused (until clear)
  {"fault":"clock","device":"cuff","offset_seconds":-3600}   the device's clock is wrong
  {"fault":"clock_lost","device":"oximeter"}          the clock starts at 2017-01-01, "not set", until the host sets it
  {"fault":"refused_first","device":"phd-scale"}      20601: the next association is asked for wrongly, and refused
  {"fault":"unconfirmed","device":"phd-scale"}        20601: the next configuration is told against the rules
  {"fault":"disconnect_mid_record","device":"oximeter","after":2}   Bluetooth: in the middle of the third record from now
  {"fault":"busy_records","device":"oximeter"}        the next request for records is refused: another one goes on
  {"fault":"refuse_records","device":"glucose"}       requests for records are refused as not supported (until clear)
  {"fault":"slow_services","device":"scale","seconds":8}   Bluetooth services resolve late (until clear)
  {"fault":"hide","device":"scale","property":"Name"}   BlueZ does not know Name, RSSI, UUIDs or AddressType (until clear)
  {"fault":"lose_characteristic","device":"scale","characteristic":"2a19"}   a characteristic is gone (until clear)
  {"fault":"unplug","device":"nonin"}                 out of reach; then {"fault":"replug",...} or {"fault":"clear",...}
  {"quit":true}

With --json, standard output has one JSON object a line with "event": "ready" (devices with address, serial number, port),
"measured" (what truly was measured: record, values, units, flags, device_time, real_time, story_day), "sent" (the same with the
bytes), "connected", "hung_up" and other ends of links, "deleted" (stored records, on request), "completed", "fault", "refused" (a command, and why), "end". A record
is "sent" again, with a higher "attempt", when the link or the host was lost before the device hung up. The Nonin sends for some
seconds: its "sent" has the first packet."#;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plays one home: a simulated person and the devices.
    #[command(after_help = HOME_HELP)]
    Home(HomeArgs),
    /// Runs a private D-Bus on DIR/bus with Debian's dbus-daemon; ends with its parent.
    Bus(BusArgs),
    /// Registers one Bluetooth device with a real BlueZ, through its public API for GATT servers.
    ///
    /// It measures what standard input orders, one JSON object a line: {"measure":"oximeter","spo2":82,"pulse":118}.
    Peripheral(PeripheralArgs),
    /// Prints a person's story as JSON lines, without any device.
    Story(StoryArgs),
}

/// `firmware-sim bus`.
#[derive(Debug, Args)]
pub struct BusArgs {
    /// The folder for the socket and the bus's configuration; made if it is not there.
    #[arg(long)]
    pub dir: PathBuf,
    /// Also end when standard input is closed.
    #[arg(long)]
    pub end_with_stdin: bool,
}

/// `firmware-sim peripheral`.
#[derive(Debug, Args)]
pub struct PeripheralArgs {
    /// The D-Bus on which BlueZ is, e.g. unix:path=/run/dbus/system_bus_socket.
    #[arg(long)]
    pub bus: String,
    /// The adapter to advertise on.
    #[arg(long, default_value = "hci0")]
    pub adapter: String,
    /// Which device.
    #[arg(long)]
    pub device: Kind,
    #[command(flatten)]
    who: Who,
    /// The zone of the device's clock.
    #[arg(long, default_value = "Europe/Copenhagen")]
    zone: String,
    /// Print the truth as JSON lines.
    #[arg(long)]
    pub json: bool,
}

impl PeripheralArgs {
    /// The device's Bluetooth side.
    ///
    /// # Errors
    /// One sentence for a device that has none.
    pub fn model(&self) -> anyhow::Result<&'static BleModel> {
        self.device.ble().with_context(|| format!("{} speaks over a serial line, want a Bluetooth device", self.device))
    }

    /// The specimen, the clock of its room and the story of who uses it.
    ///
    /// # Errors
    /// One sentence for an unknown zone.
    pub fn specimen(&self) -> anyhow::Result<(Identity, DeviceClock, Story)> {
        Ok((Identity::new(self.device, self.who.seed), DeviceClock::new(zone(&self.zone)?), self.who.story()))
    }
}

fn zone(name: &str) -> anyhow::Result<TimeZone> {
    TimeZone::get(name).with_context(|| format!("found --zone {name:?}, want a name such as Europe/Copenhagen"))
}

/// `firmware-sim story`.
#[derive(Debug, Args)]
pub struct StoryArgs {
    #[command(flatten)]
    who: Who,
    /// How many days to print.
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// The first day; 0 is when the story begins to move.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    start_day: i32,
}

#[derive(Debug, Args)]
struct Who {
    /// Who lives there: stable, exacerbating, fluid, silent or cold-finger.
    #[arg(long, default_value = "stable", value_parser = PossibleValuesParser::new(PEOPLE.iter().map(|person| person.name)))]
    person: String,
    /// The same seed tells the same story for ever. It also makes the devices' addresses and serial numbers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Who {
    fn story(&self) -> Story {
        Story::new(people::person(&self.person).expect("the parser takes only names of the list"), self.seed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Live {
    /// The story goes on by itself.
    #[value(alias = "story")]
    On,
    /// Only measurements commanded on standard input.
    #[value(alias = "none")]
    Off,
}

/// `firmware-sim home`.
#[derive(Debug, Args)]
pub struct HomeArgs {
    #[command(flatten)]
    who: Who,
    /// The D-Bus on which to play org.bluez, e.g. unix:path=/tmp/home-7/bus (one home to a bus).
    #[arg(long)]
    bus: Option<String>,
    /// The folder in which the serial ports appear: DIR/nonin, DIR/sp10, DIR/phd-scale, DIR/peak-flow.
    #[arg(long)]
    serial: Option<PathBuf>,
    /// Which devices, separated by commas. When left out: oximeter, thermometer, cuff and scale on the bus; nonin, spirometer, phd-scale and
    /// peak-flow on serial lines.
    #[arg(long, value_delimiter = ',')]
    devices: Vec<Kind>,
    /// Days of stored measurements at the start.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(0..=60))]
    history_days: u32,
    /// Seconds of real time that a day of the story takes.
    #[arg(long, default_value_t = 8.0)]
    day_seconds: f64,
    /// The day of the story on which it begins; 0 is when it begins to move.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    start_day: i32,
    /// Whether the story goes on by itself: on, off (also --script story, none).
    #[arg(long, value_enum, default_value = "on", alias = "script")]
    live: Live,
    /// The zone of the devices' clocks.
    #[arg(long, default_value = "Europe/Copenhagen")]
    zone: String,
    /// Seconds for which a Bluetooth device advertises after a measurement; then it rests 15 s and tries again while it holds records.
    #[arg(long, default_value_t = 60.0)]
    advertise_seconds: f64,
    /// The Bluetooth devices let nobody subscribe before they are bonded with, with these six digits.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=999_999))]
    passkey: Option<u32>,
    /// The Bluetooth adapter hangs: it does not discover until it is switched off and on.
    #[arg(long)]
    hung_adapter: bool,
    /// End when standard input is closed.
    #[arg(long)]
    pub end_with_stdin: bool,
    /// Print the truth as JSON lines.
    #[arg(long)]
    pub json: bool,
}

impl HomeArgs {
    /// What the arguments mean.
    ///
    /// # Errors
    /// One sentence on what does not fit.
    pub fn options(&self) -> anyhow::Result<Options> {
        if self.bus.is_none() && self.serial.is_none() {
            bail!("found neither --bus nor --serial, want at least one: devices need a link");
        }
        let carried = |kind: &Kind| if kind.ble().is_some() { self.bus.is_some() } else { self.serial.is_some() };
        let kinds = if self.devices.is_empty() {
            Kind::ALL.into_iter().filter(carried).collect()
        } else {
            self.devices.clone()
        };
        let zone = zone(&self.zone)?;
        let advertise_for = seconds("--advertise-seconds", self.advertise_seconds, 1.0)?;
        Ok(Options {
            story: self.who.story(),
            seed: self.who.seed,
            bus: self.bus.clone(),
            serial: self.serial.clone(),
            kinds,
            history_days: self.history_days,
            day: seconds("--day-seconds", self.day_seconds, 2.0)?,
            start_day: self.start_day,
            live: self.live == Live::On,
            zone,
            tuning: Tuning { advertise_for, ..Tuning::default() },
            trials: Trials { passkey: self.passkey, hung_adapter: self.hung_adapter },
        })
    }
}

/// At least two seconds a day: no device measures twice within the same second of its clock.
fn seconds(name: &str, value: f64, min: f64) -> anyhow::Result<Duration> {
    if !(min..=86_400.0).contains(&value) {
        bail!("found {name} {value}, want {min} to 86400");
    }
    Ok(Duration::from_secs_f64(value))
}

impl StoryArgs {
    /// The lines: one for each measurement.
    pub fn lines(&self) -> impl Iterator<Item = serde_json::Value> + '_ {
        let story = self.who.story();
        (0..self.days).flat_map(move |days| {
            let day = f64::from(self.start_day) + f64::from(days) + 8.0 / 24.0;
            let person = self.who.person.clone();
            story.measurements(day).into_iter().map(move |body| {
                json!({
                    "simulated": true, "person": person, "seed": self.who.seed, "story_day": day,
                    "values": body.values(), "units": body.units(), "flags": body.flags(),
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn home(arguments: &str) -> anyhow::Result<Options> {
        let cli = Cli::try_parse_from(["firmware-sim", "home"].into_iter().chain(arguments.split_whitespace()))?;
        let Command::Home(args) = cli.command else { bail!("not home") };
        args.options()
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn devices_follow_the_links_given() {
        assert_eq!(
            home("--bus unix:path=/x").unwrap().kinds,
            [Kind::Oximeter, Kind::Thermometer, Kind::Cuff, Kind::Scale]
        );
        assert_eq!(home("--serial /x").unwrap().kinds, [Kind::Nonin, Kind::Spirometer, Kind::PhdScale, Kind::PeakFlow]);
        assert_eq!(home("--serial /x --devices peak-flow").unwrap().kinds, [Kind::PeakFlow]);
        assert_eq!(home("--serial /x --devices nonin").unwrap().kinds, [Kind::Nonin]);
        assert!(!home("--serial /x --script none").unwrap().live);
        assert!(!home("--serial /x --live off").unwrap().live);
    }

    #[test]
    fn bad_usage_is_told_in_a_sentence() {
        let error = |arguments: &str| home(arguments).unwrap_err().to_string();
        assert!(error("").starts_with("found neither --bus nor --serial"));
        assert_eq!(error("--serial /x --day-seconds 0.1"), "found --day-seconds 0.1, want 2 to 86400");
        assert!(error("--serial /x --zone Nowhere").contains("want a name such as"));
        assert!(error("--serial /x --person nobody").contains("possible values: stable, exacerbating"));
    }
}
