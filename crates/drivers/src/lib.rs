//! Bytes to readings: one file for each device or profile, and one table. Pure: no IO, no clock, no async.

pub mod battery;
pub mod bci;
pub mod berrymed;
pub mod beurer_scale;
mod bit7;
pub mod blood_pressure;
pub mod body_composition;
pub mod contec_cms50d;
pub mod contec_cms50d_bt;
pub mod contec_sp10;
pub mod contec_sp10bt;
pub mod contec_v7;
pub mod current_time;
mod device_clock;
pub mod device_information;
pub mod elapsed_time;
pub mod every_device;
pub mod float;
pub mod gatt;
pub mod ghs;
pub mod glucose;
mod heard;
pub mod heart_rate;
pub mod jumper;
mod live;
pub mod mdc;
pub mod microlife;
pub mod nonin_3230;
pub mod nonin_command;
pub mod nonin_df13;
pub mod nonin_df2;
pub mod nonin_df7;
pub mod nonin_df8;
pub mod nonin_frames;
pub mod phd;
pub mod plx;
pub mod quirks;
pub mod racp;
mod recording;
pub mod session;
mod settle;
#[cfg(test)]
mod tape;
pub mod thermometer;
pub mod user_data;
pub mod viatom;
pub mod visomat;
pub mod weight;
pub mod xiaomi_scale;
pub mod yonker;

pub use device_clock::CLOCK_TOLERANCE;
pub use every_device::{COMMON_READ, common_subscribe, open};
pub use heard::Heard;
use quirks::Break;
pub use quirks::{QUIRKS, Quirk};
pub use session::{
    About, Channel, DecodeError, DeviceClock, Driver, LineSettings, Measured, Options, Output, Parity, Progress,
    Session, Transport,
};

/// Every driver. The list is the index: what isn't here doesn't exist.
pub const DRIVERS: &[Driver] = &[
    plx::DRIVER,
    thermometer::DRIVER,
    blood_pressure::DRIVER,
    weight::DRIVER,
    body_composition::DRIVER,
    heart_rate::DRIVER,
    ghs::DRIVER,
    xiaomi_scale::DRIVER,
    xiaomi_scale::BODY_DRIVER,
    beurer_scale::DRIVER,
    beurer_scale::E7_DRIVER,
    glucose::DRIVER,
    yonker::DRIVER,
    microlife::DRIVER,
    nonin_df2::DRIVER,
    nonin_df7::DRIVER,
    nonin_df8::DRIVER,
    jumper::DRIVER,
    berrymed::DRIVER,
    contec_cms50d_bt::DRIVER,
    nonin_df13::DRIVER,
    nonin_3230::DRIVER,
    contec_cms50d::DRIVER,
    contec_v7::DRIVER,
    contec_sp10::DRIVER,
    viatom::DRIVER,
    visomat::DRIVER,
    contec_sp10bt::DRIVER,
    phd::DRIVER,
];

/// The driver of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|driver| driver.name == name)
}

/// What `frames` say by themselves, in order: values of one characteristic (the driver's main one, if none is named), or pieces of the
/// stream that comes from a serial device. Nothing is waited for and nothing averaged, as a [`Session`] would. A value of what every
/// Bluetooth device may have beside its profile (a clock, a battery) says nothing, or is refused.
///
/// # Errors
/// The first thing in them that can't be understood; in a stream, also a packet that isn't complete.
pub fn decode(driver: &Driver, channel: Option<Channel>, frames: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    let channel = channel.unwrap_or_else(|| driver.main_channel());
    of_every_device(driver, channel, frames).unwrap_or_else(|| (driver.decode)(channel, frames))
}

/// What `frames` say if a device with this quirk sent them; otherwise as [`decode`] by the quirk's driver.
///
/// # Errors
/// As [`decode`].
///
/// # Panics
/// If the quirk is of no driver; those of [`QUIRKS`] all are.
pub fn decode_quirk(quirk: &Quirk, channel: Option<Channel>, frames: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    let driver = find(quirk.driver).expect("every quirk is of a driver");
    let channel = channel.unwrap_or_else(|| driver.main_channel());
    of_every_device(driver, channel, frames).unwrap_or_else(|| match quirk.breaks {
        Break::HiddenUserBigEndianTail | Break::EmptyRecords => {
            blood_pressure::decode_breaking(Some(quirk.breaks), channel, frames)
        }
        Break::ClockStarts(_) => plx::decode_breaking(Some(quirk.breaks), channel, frames),
    })
}

/// Values of what every Bluetooth device may have: right, and saying nothing, or not.
fn of_every_device(
    driver: &Driver,
    channel: Channel,
    frames: &[Vec<u8>],
) -> Option<Result<Vec<Measured>, DecodeError>> {
    let (Channel::Characteristic(uuid), Transport::Ble { .. }) = (channel, driver.transport) else { return None };
    let checked: Option<Vec<_>> = frames.iter().map(|frame| every_device::check(uuid, frame)).collect();
    let checked = checked.filter(|checked| !checked.is_empty())?;
    Some(checked.into_iter().collect::<Result<(), _>>().map(|()| Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quirk_is_decoded_by_its_own_driver() {
        for quirk in QUIRKS {
            let driver = find(quirk.driver).unwrap();
            let said = decode_quirk(quirk, None, &[vec![]]);
            assert_eq!(said, decode(driver, None, &[vec![]]), "{}", quirk.name);
            assert!(said.is_err());
        }
    }

    #[test]
    fn a_quirk_is_read_where_it_is_named() {
        let frame = tape::bytes("16710049000000ea07080b1438000041010000");
        let quirk = |name: &str| decode_quirk(quirks::find(name).unwrap(), None, std::slice::from_ref(&frame));
        let values = |said: Vec<Measured>| said.iter().map(|one| one.value.to_string()).collect::<Vec<_>>();
        assert_eq!(quirk("beurer-bm85").map(values), Ok(vec!["113".into(), "73".into(), "65".into()]));
        assert!(
            quirk("and-nan-records").is_err()
                && decode(&blood_pressure::DRIVER, None, std::slice::from_ref(&frame)).is_err()
        );
        let spot = tape::bytes("0161006000e107010101220d");
        let started = decode_quirk(quirks::find("clock-starts-2017").unwrap(), None, &[spot]).unwrap();
        assert!(started.iter().all(|one| one.device_time.is_some() && one.flags == [vitals::Flag::CLOCK_NOT_SET]));
    }

    #[test]
    fn of_the_lines_only_an_agent_of_20601_is_silent_and_well() {
        let lines = DRIVERS.iter().filter(|driver| matches!(driver.transport, Transport::Serial { .. }));
        let silent = lines.filter(|driver| !open(driver, &Options::default()).speaks_by_itself());
        assert_eq!(silent.map(|driver| driver.name).collect::<Vec<_>>(), [phd::DRIVER.name]);
    }

    #[test]
    fn the_table_holds_together() {
        for (index, driver) in DRIVERS.iter().enumerate() {
            assert!(
                driver.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{}",
                driver.name
            );
            assert_eq!(DRIVERS.iter().position(|other| other.name == driver.name), Some(index));
            assert!(find(driver.name).is_some_and(|found| found.name == driver.name));
            assert!(!driver.vitals.is_empty() && !driver.devices.is_empty() && !driver.standard.is_empty());
            if let Transport::Ble { subscribe, .. } = driver.transport {
                assert!(!subscribe.is_empty(), "{} has no main characteristic", driver.name);
            }
        }
        assert!(find("gatt").is_none());
    }
}
