//! A device's id: its driver's name and its serial number; its address where it tells no usable serial number. Pure.

use drivers::Driver;
use vitals::DeviceId;

/// The longest serial number that is taken, in characters.
const SERIAL_LEN_MAX: usize = 60;

/// The id of a device that is called `serial` (a serial number, an address or a port's name).
///
/// What a device id may not contain becomes `-`.
#[must_use]
pub fn device_id(driver: &Driver, serial: &str) -> DeviceId {
    let kept: String =
        serial.chars().map(|c| if c.is_ascii_graphic() && c != ':' { c } else { '-' }).take(SERIAL_LEN_MAX).collect();
    let serial = if kept.is_empty() { "unnamed" } else { kept.as_str() };
    format!("{}:{serial}", driver.name)
        .parse()
        .expect("a driver's name, a colon and 1 to 60 graphic characters are a device id")
}

/// The serial number in the Serial Number String characteristic (0x2A25), unless it is one that the maker never filled in.
#[must_use]
pub fn serial_number(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    let filled_in = text.chars().any(|c| c.is_ascii_digit() && c != '0');
    filled_in.then(|| text.to_owned())
}

/// A Bluetooth address in capitals with colons.
#[must_use]
pub fn ble_address(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let bytes = parts.iter().all(|part| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit()));
    (parts.len() == 6 && bytes).then(|| parts.join(":").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_that_nobody_filled_in_are_none() {
        for (bytes, wanted) in [
            (&b"501234567"[..], Some("501234567")),
            (b" A1-77 \0\0", Some("A1-77")),
            (b"0000000000", None),
            (b"Serial Number", None),
            (b"", None),
            (b"\0\0\0", None),
        ] {
            assert_eq!(serial_number(bytes).as_deref(), wanted, "{bytes:?}");
        }
    }

    #[test]
    fn anything_becomes_an_id() {
        let driver = &drivers::DRIVERS[0];
        let id = |serial: &str| device_id(driver, serial).as_str().split_once(':').unwrap().1.to_owned();
        assert_eq!(id("C0:FF:EE:00:00:01"), "C0-FF-EE-00-00-01");
        assert_eq!(id("Ünïque pump"), "-n-que-pump");
        assert_eq!(id(""), "unnamed");
        assert_eq!(id(&"9".repeat(500)).len(), SERIAL_LEN_MAX);
    }

    #[test]
    fn addresses_are_normalised() {
        assert_eq!(ble_address("c0-ff-ee-00-00-01").as_deref(), Some("C0:FF:EE:00:00:01"));
        assert_eq!(ble_address("C0:FF:EE:00:00"), None);
        assert_eq!(ble_address("C0:FF:EE:00:00:0g"), None);
    }
}
