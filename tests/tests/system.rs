//! Whole systems of real programs: simulated devices, `vagt-edge`, MQTT, `vagt serve`, the store and the pages.

#[path = "system/again.rs"]
mod again;
#[path = "system/ble.rs"]
mod ble;
#[path = "system/bluezoo.rs"]
mod bluezoo;
#[path = "system/broker.rs"]
mod broker;
#[path = "system/broker_tls.rs"]
mod broker_tls;
#[path = "system/carry.rs"]
mod carry;
#[path = "system/chaos.rs"]
mod chaos;
#[path = "system/clients.rs"]
mod clients;
#[path = "system/commands.rs"]
mod commands;
#[path = "system/devices.rs"]
mod devices;
#[path = "system/enrol.rs"]
mod enrol;
#[path = "system/explained.rs"]
mod explained;
#[path = "system/faults.rs"]
mod faults;
#[path = "system/http_source.rs"]
mod http_source;
#[path = "system/judged.rs"]
mod judged;
#[path = "system/kill.rs"]
mod kill;
#[path = "system/postgres.rs"]
mod postgres;
#[path = "system/programmes.rs"]
mod programmes;
#[path = "system/radio.rs"]
mod radio;
#[path = "system/records.rs"]
mod records;
#[path = "system/serial.rs"]
mod serial;
#[path = "system/standby.rs"]
mod standby;
#[path = "system/trouble.rs"]
mod trouble;
#[path = "system/tuning.rs"]
mod tuning;
#[path = "system/upgraded.rs"]
mod upgraded;
