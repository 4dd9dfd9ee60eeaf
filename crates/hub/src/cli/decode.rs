//! `vagt decode`: what a driver makes of bytes, outside any connection.

use drivers::{Channel, DRIVERS, Driver, QUIRKS, Quirk, Transport};
use serde_json::json;
use uuid::Uuid;

use super::{Ended, json_line, out};

/// Say what a driver makes of bytes: a JSON array of readings, or the error.
///
/// The bytes are those of one Bluetooth characteristic (each --hex one value, or one part of an indication that comes in parts), or of a
/// serial line (joined in one --hex, or cut anywhere into several). Values keep the device's unit and digits; device_time is the device's
/// own clock, without zone, and is absent where it gave none.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vagt decode --driver gatt-plx --characteristic 2A5F --hex '00 5D 00 48 00'
  vagt decode --driver gatt-plx/2A5E --hex 1761006000e10701010122132000200000
  vagt decode --driver gatt-blood-pressure --hex 16:86:04:4d:00:64:00:e1:07:01:10:0d:00:18:3d:00:00:00
  vagt decode --driver gatt-blood-pressure --quirk beurer-bm85 --hex 56710049000000ea07080b1438000041010000

Exit codes: 0 readings (an empty array where the device says that it has no value), 1 the driver refuses the bytes,
2 no such driver or quirk, or no hex.")]
pub struct Args {
    /// The driver, see `vagt drivers`; for Bluetooth also with the characteristic, as NAME/2A5F.
    #[arg(long, value_name = "NAME")]
    driver: String,
    /// The Bluetooth characteristic that the bytes are of, as 2A5F or a whole UUID; the driver's main one if left out.
    #[arg(long, value_name = "UUID")]
    characteristic: Option<String>,
    /// The quirk profile of a device that breaks the standard, see `vagt drivers`.
    #[arg(long, value_name = "NAME")]
    quirk: Option<String>,
    /// Bytes in hexadecimal, upper or lower case, with or without spaces, colons or hyphens between them. May be repeated.
    #[arg(long = "hex", value_name = "BYTES", required = true, value_parser = Frame::parse, allow_hyphen_values = true)]
    frames: Vec<Frame>,
    /// Accepted for likeness with the other commands: the answer is one line of JSON in any case.
    #[arg(long)]
    json: bool,
}

/// The bytes of one `--hex`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame(Vec<u8>);

/// Runs the command.
///
/// # Errors
/// [`Ended::Usage`] for an unknown driver or characteristic, [`Ended::Failed`] when the driver refuses the bytes.
pub fn run(args: &Args) -> Result<(), Ended> {
    let (name, suffix) = args.driver.split_once('/').map_or((args.driver.as_str(), None), |(name, c)| (name, Some(c)));
    let driver = drivers::find(name).ok_or_else(|| unknown(name))?;
    let channel = channel(driver, args.characteristic.as_deref().or(suffix))?;
    let frames: Vec<_> = args.frames.iter().map(|frame| frame.0.clone()).collect();
    let decoded = match args.quirk.as_deref().map(|name| quirk(driver, name)).transpose()? {
        Some(quirk) => drivers::decode_quirk(quirk, channel, &frames),
        None => drivers::decode(driver, channel, &frames),
    };
    match decoded {
        Ok(readings) => json_line(&mut out(), &readings),
        Err(error) => {
            json_line(&mut out(), &json!({ "error": error.to_string() }))?;
            Err(Ended::Failed(format!("{name} refuses the bytes: {error}")))
        }
    }
}

fn unknown(name: &str) -> Ended {
    let names: Vec<_> = DRIVERS.iter().map(|driver| driver.name).collect();
    Ended::Usage(format!("no driver is called {name:?}; there are {}", names.join(", ")))
}

/// The driver's quirk profile of this name.
fn quirk(driver: &Driver, name: &str) -> Result<&'static Quirk, Ended> {
    let of_driver = || QUIRKS.iter().filter(|quirk| quirk.driver == driver.name);
    of_driver().find(|quirk| quirk.name == name).ok_or_else(|| {
        let names: Vec<_> = of_driver().map(|quirk| quirk.name).collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Ended::Usage(format!("{} has no quirk profile {name:?}; there are {there}", driver.name))
    })
}

/// Where the driver would have had the bytes from; `None` for its main channel.
fn channel(driver: &Driver, characteristic: Option<&str>) -> Result<Option<Channel>, Ended> {
    match (&driver.transport, characteristic) {
        (_, None) => Ok(None),
        (Transport::Serial { .. }, Some(_)) => {
            Err(Ended::Usage(format!("{} reads a serial line, which has no characteristics", driver.name)))
        }
        (Transport::Advertisement { .. }, Some(_)) => {
            Err(Ended::Usage(format!("{} reads advertisements, which have no characteristics", driver.name)))
        }
        (Transport::Ble { .. }, Some(text)) => Ok(Some(Channel::Characteristic(parse_uuid(text)?))),
    }
}

/// A whole UUID, or the 16-bit form on the Bluetooth base UUID.
fn parse_uuid(text: &str) -> Result<Uuid, Ended> {
    let short = (text.len() == 4).then(|| u16::from_str_radix(text, 16).ok()).flatten();
    let uuid = short.map(drivers::gatt::uuid16).or_else(|| Uuid::parse_str(text).ok());
    uuid.ok_or_else(|| {
        Ended::Usage(format!("characteristic is {text:?}, want 4 hexadecimal digits as 2A5F, or a whole UUID"))
    })
}

impl Frame {
    fn parse(text: &str) -> Result<Self, String> {
        let digits: Vec<char> = text.chars().filter(|c| !matches!(c, ' ' | ':' | '-' | '\t' | '\n')).collect();
        if let Some(odd) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
            return Err(format!("found {odd:?}, want hexadecimal digits"));
        }
        if !digits.len().is_multiple_of(2) {
            return Err(format!("found {} hexadecimal digits, want two a byte", digits.len()));
        }
        let nibble = |c: char| c.to_digit(16).expect("checked above") as u8;
        Ok(Self(digits.chunks(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_may_be_written_as_people_write_it() {
        for text in ["005D0a", "00 5d 0A", "00:5D:0A", "00-5d-0a", " 00 5D\t0A\n"] {
            assert_eq!(Frame::parse(text), Ok(Frame(vec![0x00, 0x5d, 0x0a])), "{text:?}");
        }
        assert_eq!(Frame::parse("005"), Err("found 3 hexadecimal digits, want two a byte".into()));
        assert_eq!(Frame::parse("0x5D"), Err("found 'x', want hexadecimal digits".into()));
        assert_eq!(Frame::parse(""), Ok(Frame(vec![])));
    }

    #[test]
    fn characteristics_may_be_short() {
        assert_eq!(parse_uuid("2A5F"), parse_uuid("00002a5f-0000-1000-8000-00805f9b34fb"));
        assert!(parse_uuid("2A5").is_err());
    }
}
