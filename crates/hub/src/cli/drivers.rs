//! `vagt drivers`: which devices can be read.

use std::io::Write;

use drivers::{DRIVERS, Driver, QUIRKS, Quirk, Transport};
use serde::Serialize;
use vitals::Vital;

use super::{Ended, json_line, out};

/// List the drivers: name, transport, vitals, devices known to work, the standard they follow; and the quirk profiles of devices that break it.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vagt drivers
  vagt drivers --json | grep spo2")]
pub struct Args {
    /// One line of JSON for each driver.
    #[arg(long)]
    json: bool,
}

/// One driver, as printed.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    transport: &'static str,
    link: String,
    vitals: &'static [Vital],
    devices: &'static [&'static str],
    standard: &'static str,
    quirks: Vec<QuirkRow>,
}

/// One quirk profile, as printed.
#[derive(Serialize)]
struct QuirkRow {
    name: &'static str,
    models: &'static [&'static str],
    does: &'static str,
}

/// Runs the command.
///
/// # Errors
/// When the output can't be written.
pub fn run(args: &Args) -> Result<(), Ended> {
    let rows: Vec<_> = DRIVERS.iter().map(Row::of).collect();
    let mut out = out();
    if args.json {
        rows.iter().try_for_each(|row| json_line(&mut out, row))?;
    } else {
        table(&mut out, &rows)?;
    }
    Ok(out.flush()?)
}

impl Row {
    fn of(driver: &Driver) -> Self {
        let (transport, link) = match driver.transport {
            Transport::Ble { service, .. } => ("ble", service.to_string()),
            Transport::Advertisement { service } => ("advertisement", service.to_string()),
            Transport::Serial { settings } => {
                ("serial", settings.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "))
            }
        };
        let Driver { name, vitals, devices, standard, .. } = *driver;
        let quirks = QUIRKS.iter().filter(|quirk| quirk.driver == name).map(QuirkRow::of).collect();
        Self { name, transport, link, vitals, devices, standard, quirks }
    }
}

impl QuirkRow {
    fn of(quirk: &Quirk) -> Self {
        Self { name: quirk.name, models: quirk.models, does: quirk.does }
    }
}

fn table(out: &mut impl Write, rows: &[Row]) -> Result<(), Ended> {
    let cells: Vec<[String; 5]> = rows.iter().map(cells).collect();
    let heads = ["driver", "transport", "vitals", "known to work", "standard"].map(str::to_owned);
    let widths = widths(&heads, &cells);
    for line in std::iter::once(&heads).chain(&cells) {
        let padded: Vec<_> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", padded.join("  ").trim_end())?;
    }
    for row in rows.iter().filter(|row| !row.quirks.is_empty()) {
        writeln!(
            out,
            "
Quirk profiles of {}:",
            row.name
        )?;
        for quirk in &row.quirks {
            let models = if quirk.models.is_empty() { "named only".to_owned() } else { quirk.models.join(", ") };
            writeln!(out, "  {}  ({models})  {}", quirk.name, quirk.does)?;
        }
    }
    Ok(())
}

fn cells(row: &Row) -> [String; 5] {
    let vitals: Vec<_> = row.vitals.iter().map(|vital| vital.name()).collect();
    [row.name.into(), row.transport.into(), vitals.join(" "), row.devices.join("; "), row.standard.into()]
}

fn widths(heads: &[String; 5], cells: &[[String; 5]]) -> [usize; 5] {
    let mut widths = heads.each_ref().map(|head| head.chars().count());
    for line in cells {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}
