//! Device Information (0x180A), Battery (0x180F) and Current Time (0x1805): the services that devices share.

use uuid::Uuid;

use crate::{
    bluez::gatt::{Characteristic, Service, uuid16},
    devices::Identity,
};

/// Date Time, which A&D devices let the host write inside their measuring service.
pub const DATE_TIME: Uuid = uuid16(0x2a08);
/// Current Time, the characteristic of service 0x1805.
pub const CURRENT_TIME: Uuid = uuid16(0x2a2b);

const BATTERY_PERCENT: u8 = 87;

/// Who made it, which model, which specimen: manufacturer "Simulated", so that nobody takes it for real.
#[must_use]
pub fn device_information(identity: &Identity) -> Service {
    let text = |uuid, text: &str| Characteristic::read(uuid16(uuid), text.as_bytes());
    Service {
        uuid: uuid16(0x180a),
        characteristics: vec![
            text(0x2a29, "Simulated"),
            text(0x2a24, &identity.name),
            text(0x2a25, &identity.serial),
            text(0x2a26, env!("CARGO_PKG_VERSION")),
        ],
    }
}

/// Battery level, read and notify.
#[must_use]
pub fn battery() -> Service {
    let level = Characteristic::new(uuid16(0x2a19), &["read", "notify"], &[BATTERY_PERCENT]);
    Service { uuid: uuid16(0x180f), characteristics: vec![level] }
}

/// The device's clock, which the host may read and set.
#[must_use]
pub fn current_time() -> Service {
    Service { uuid: uuid16(0x1805), characteristics: vec![Characteristic::new(CURRENT_TIME, &["read", "write"], &[])] }
}
