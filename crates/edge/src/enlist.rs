//! `vagt-edge device add` and `device list`: the devices in `edge.toml`, without losing a comment of it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use drivers::{Driver, Transport};
use serde_json::json;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use crate::{
    config::{self, Adapters},
    identity,
    link::ble,
    scan,
};

/// What is said of a device on the command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct NewDevice {
    /// Its Bluetooth address, as `scan` prints it.
    #[arg(long, required_unless_present_any = ["path", "name"])]
    pub address: Option<String>,
    /// Its serial port, as `scan` prints it.
    #[arg(long, conflicts_with = "address")]
    pub path: Option<PathBuf>,
    /// The name that it advertises, in place of an address; or what to call a device on a serial port.
    #[arg(long)]
    pub name: Option<String>,
    /// The driver, as `scan` prints it. Of a Bluetooth device it may be left out: then it is listened for.
    #[arg(long)]
    pub driver: Option<String>,
    /// Which user of a shared device the patient is, as the device counts.
    #[arg(long)]
    pub user: Option<u8>,
    /// The code with which that user consents.
    #[arg(long)]
    pub consent: Option<u16>,
    /// The quirk profile to read it by.
    #[arg(long)]
    pub quirk: Option<String>,
    /// Bond with it.
    #[arg(long)]
    pub pair: bool,
    /// The six digits for bonding.
    #[arg(long)]
    pub passkey: Option<u32>,
}

/// Adds a device to the file, which a running agent notices by itself.
///
/// # Errors
/// When the file can't be used with the device in it; then it is left as it was.
pub async fn add(file: &Path, mut device: NewDevice, seconds: u64, json: bool) -> anyhow::Result<()> {
    let settings = config::load(file)?;
    if let Some(address) = &device.address {
        let wanted = || format!("--address is {address:?}, want six bytes such as C0:FF:EE:00:00:01");
        device.address = Some(identity::ble_address(address).with_context(wanted)?);
    }
    let driver = match &device.driver {
        Some(driver) => driver.clone(),
        None => listen_for(&device, &settings.adapters, seconds).await?.name.to_owned(),
    };
    let before = fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
    let after = with_device(&before, &driver, &device).with_context(|| format!("{}", file.display()))?;
    config::parse(file, &after)?;
    replace(file, &after).with_context(|| format!("{} can't be written", file.display()))?;
    let at = device.address.clone().or(device.path.map(|path| path.display().to_string())).or(device.name);
    if json {
        println!("{}", json!({ "file": file, "driver": driver, "at": at, "added": true }));
    } else {
        println!("{}: added {driver} at {}", file.display(), at.unwrap_or_default());
    }
    Ok(())
}

/// Prints the devices of the file.
///
/// # Errors
/// When the file can't be used.
pub fn list(file: &Path, json: bool) -> anyhow::Result<()> {
    let devices = config::load(file)?.devices;
    let ble =
        devices.ble.iter().map(|device| ("ble", device.driver.name, device.key().to_owned(), device.bond.is_some()));
    let serial = devices.serial.iter().map(|device| ("serial", device.driver.name, device.key(), false));
    for (link, driver, at, bonded) in ble.chain(serial) {
        if json {
            println!("{}", json!({ "link": link, "driver": driver, "at": at, "pair": bonded }));
        } else {
            println!("{link:<7} {at:<48} {driver}{}", if bonded { ", bonded with" } else { "" });
        }
    }
    Ok(())
}

/// The one driver that would take a device that is in range.
async fn listen_for(device: &NewDevice, adapters: &Adapters, seconds: u64) -> anyhow::Result<&'static Driver> {
    let (Some(wanted), None) = (device.address.as_ref().or(device.name.as_ref()), &device.path) else {
        let serial = drivers::DRIVERS.iter().filter(|driver| matches!(driver.transport, Transport::Serial { .. }));
        let names: Vec<_> = serial.map(|driver| driver.name).collect();
        anyhow::bail!(
            "which device is on a serial port can't be seen from outside: want --driver, one of {}",
            names.join(", ")
        );
    };
    let adapter = match adapters {
        Adapters::Named(names) => names.first().map(String::as_str),
        Adapters::First | Adapters::All => None,
    };
    let heard = ble::scan(adapter, Duration::from_secs(seconds), |_, _| {}).await.map_err(anyhow::Error::msg)?;
    let found = heard.iter().find(|heard| heard.address == *wanted || heard.name.as_ref() == Some(wanted));
    let found = found.with_context(|| {
        format!("{wanted} was not heard within {seconds} s: have it measure, or say its driver with --driver")
    })?;
    let takers = scan::takers(found);
    match takers.as_slice() {
        [driver] => Ok(driver),
        [] => anyhow::bail!("no driver would take {wanted} by what it advertises: want --driver"),
        many => {
            let names: Vec<_> = many.iter().map(|driver| driver.name).collect();
            anyhow::bail!("{} would take {wanted}: want one of them as --driver", names.join(" and "))
        }
    }
}

/// The file's text with one more `[[device]]` at the end.
fn with_device(text: &str, driver: &str, device: &NewDevice) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let mut block = Table::new();
    block.insert("driver", value(driver));
    let path = device.path.as_ref().map(|path| path.display().to_string());
    for (key, said) in [("address", &device.address), ("path", &path), ("name", &device.name), ("quirk", &device.quirk)]
    {
        if let Some(said) = said {
            block.insert(key, value(said));
        }
    }
    let numbers = [
        ("user", device.user.map(i64::from)),
        ("consent", device.consent.map(i64::from)),
        ("passkey", device.passkey.map(i64::from)),
    ];
    for (key, said) in numbers {
        if let Some(said) = said {
            block.insert(key, value(said));
        }
    }
    if device.pair {
        block.insert("pair", value(true));
    }
    let devices = document.entry("device").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let devices = devices.as_array_of_tables_mut().context("device is not written as [[device]] blocks")?;
    devices.push(block);
    Ok(document.to_string())
}

/// All or nothing, with the file's own permissions: the agent reads it at any time.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let file = file.canonicalize()?;
    let beside = file.with_extension("toml.new");
    fs::copy(&file, &beside)?;
    let mut written = fs::OpenOptions::new().write(true).truncate(true).open(&beside)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    fs::rename(&beside, &file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# Who\nkit = \"kit-1\" # ours\nzone = \"UTC\"\ndata_dir = \"data\"\n\n[broker]\nhost = \"h\"\nport = 1883\nsecret = \"s\"\n\n\
                        # The oximeter\n[[device]]\ndriver = \"gatt-plx\"\naddress = \"C0:FF:EE:00:00:01\"\n\n# The end\n";

    fn new(driver: &str, address: Option<&str>, path: Option<&str>) -> NewDevice {
        NewDevice {
            address: address.map(str::to_owned),
            path: path.map(PathBuf::from),
            driver: Some(driver.to_owned()),
            ..NewDevice::default()
        }
    }

    #[tokio::test]
    async fn a_device_is_added_and_every_comment_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("edge.toml");
        fs::write(&file, FILE).unwrap();
        let mut scale = new("gatt-weight", Some("c0:ff:ee:00:00:02"), None);
        (scale.user, scale.consent, scale.passkey) = (Some(1), Some(1234), Some(123_456));
        add(&file, scale, 1, true).await.unwrap();
        add(&file, new("nonin-df2", None, Some("/dev/serial/by-id/usb-x")), 1, false).await.unwrap();
        let text = fs::read_to_string(&file).unwrap();
        for comment in ["# Who", "# ours", "# The oximeter", "# The end"] {
            assert!(text.contains(comment), "{comment} in {text}");
        }
        let devices = config::load(&file).unwrap().devices;
        assert_eq!((devices.ble.len(), devices.serial.len()), (2, 1));
        assert_eq!(devices.ble[1].address.as_deref(), Some("C0:FF:EE:00:00:02"));
        assert_eq!((devices.ble[1].options.consent, devices.ble[1].bond.unwrap().passkey), (Some(1234), Some(123_456)));
        list(&file, true).unwrap();
    }

    #[tokio::test]
    async fn what_cannot_be_used_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("edge.toml");
        fs::write(&file, FILE).unwrap();
        for (device, wanted) in [
            (new("gatt-plx", Some("C0:FF"), None), "want six bytes"),
            (new("gatt-plx", Some("C0:FF:EE:00:00:01"), None), "found \"C0:FF:EE:00:00:01\" twice"),
            (new("gatt-none", Some("C0:FF:EE:00:00:03"), None), "want one of gatt-"),
            (new("nonin-df2", Some("C0:FF:EE:00:00:03"), None), "is a serial driver: want path"),
            (NewDevice { path: Some("/dev/x".into()), ..NewDevice::default() }, "want --driver, one of "),
        ] {
            let error = format!("{:#}", add(&file, device, 1, false).await.unwrap_err());
            assert!(error.contains(wanted), "{error}");
            assert_eq!(fs::read_to_string(&file).unwrap(), FILE);
        }
    }

    #[test]
    fn the_first_device_of_a_file_is_added_too() {
        let text = with_device("kit = \"a\"\n", "gatt-plx", &new("gatt-plx", Some("C0:FF:EE:00:00:01"), None)).unwrap();
        assert_eq!(text, "kit = \"a\"\n\n[[device]]\ndriver = \"gatt-plx\"\naddress = \"C0:FF:EE:00:00:01\"\n");
    }
}
