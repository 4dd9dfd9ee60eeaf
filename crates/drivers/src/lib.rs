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
    if let (Channel::Characteristic(uuid), Transport::Ble { .. }) = (channel, driver.transport) {
        let of_every_device: Option<Vec<_>> = frames.iter().map(|frame| every_device::check(uuid, frame)).collect();
        if let Some(checked) = of_every_device.filter(|checked| !checked.is_empty()) {
            return checked.into_iter().collect::<Result<(), _>>().map(|()| Vec::new());
        }
    }
    (driver.decode)(channel, frames)
}

#[cfg(test)]
mod tests {
    use super::*;

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
