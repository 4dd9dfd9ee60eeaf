//! `/kits`: is each home's gateway there, what waits in it, and what is wrong with its devices.

use std::sync::Arc;

use askama::Template;
use axum::{Extension, extract::State, response::Response};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use vitals::PatientId;

use crate::{
    app::App,
    board::KitState,
    pages::frame::{Frame, html},
    say::Say,
    session::Session,
};

/// Devices and problems shown of one kit: its status is its own claim, and is not trusted to be short.
const LINES_MAX: usize = 32;
/// People shown of one kit that many share.
const PEOPLE_MAX: usize = 64;
/// A device's clock that is wrong by less than this is not worth a word, in seconds.
const CLOCK_WRONG_MIN_SECONDS: u64 = 60;
/// A battery with no more than this is told as low, in percent.
const BATTERY_LOW_PERCENT: u8 = 20;

#[derive(Template)]
#[template(path = "kits.html")]
struct KitsPage {
    f: Frame,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    /// Id and name of everybody who measures with it.
    people: Vec<(String, String)>,
    shared: bool,
    online: bool,
    revoked: bool,
    state: String,
    heard: String,
    version: String,
    spooled: Option<String>,
    dropped: Option<String>,
    devices: Vec<Device>,
    problems: Vec<String>,
}

struct Device {
    id: String,
    present: bool,
    said: String,
    /// Model and firmware, battery, clock: as far as it told.
    about: Vec<String>,
    /// The battery is low.
    low: bool,
}

/// A kit's status as it is stored: read leniently, since a newer kit may say more and an older one less.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    version: String,
    spooled: u64,
    dropped: u64,
    devices: Vec<DeviceStatus>,
    problems: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DeviceStatus {
    device: String,
    present: bool,
    last_heard: Option<Timestamp>,
    problem: Option<String>,
    battery_percent: Option<u8>,
    model: Option<String>,
    firmware: Option<String>,
    clock_ahead_seconds: Option<i64>,
}

/// The page: kits that are not connected first.
pub async fn page(State(app): State<Arc<App>>, Extension(session): Extension<Session>) -> Response {
    let say = app.say(&session);
    let mut kits = app.desk.board.kits();
    kits.sort_by_key(|state| (state.kit.revoked, state.online(), state.kit.id.clone()));
    let rows = kits.iter().map(|state| row(&app, &say, state)).collect();
    html(&KitsPage { f: Frame::new(&app, &session, "kits", app.desk.board.version()), rows })
}

fn row(app: &App, say: &Say<'_>, state: &KitState) -> Row {
    let heard = state.heard.as_ref();
    let status: Status = heard.and_then(|heard| Status::deserialize(&heard.status).ok()).unwrap_or_default();
    let name = |patient: &PatientId| {
        let person = app.desk.board.person(patient);
        (patient.to_string(), person.map_or_else(|| patient.to_string(), |person| person.patient.name.clone()))
    };
    Row {
        id: state.kit.id.to_string(),
        people: state.kit.people().take(PEOPLE_MAX).map(name).collect(),
        shared: state.kit.is_station(),
        online: state.online(),
        revoked: state.kit.revoked,
        state: say.words.say(if state.kit.revoked {
            "kit-revoked"
        } else if state.kit.secret_sha256.is_empty() {
            "kit-not-enrolled"
        } else if state.online() {
            "kit-online"
        } else {
            "kit-offline"
        }),
        heard: heard_line(say, state),
        version: status.version.chars().take(40).collect(),
        spooled: (status.spooled > 0).then(|| say.words.count("kit-spooled", status.spooled)),
        dropped: (status.dropped > 0).then(|| say.words.count("kit-dropped", status.dropped)),
        devices: devices(say, state, &status),
        problems: status.problems.into_iter().take(LINES_MAX).collect(),
    }
}

/// What the kit says of its devices, and those it should have but says nothing of.
fn devices(say: &Say<'_>, state: &KitState, status: &Status) -> Vec<Device> {
    let told = status.devices.iter().map(|device| Device {
        id: device.device.clone(),
        present: device.present && device.problem.is_none(),
        said: device_line(say, device),
        about: about(say, device),
        low: device.battery_percent.is_some_and(|percent| percent <= BATTERY_LOW_PERCENT),
    });
    let silent = state.kit.devices.iter().filter(|id| !status.devices.iter().any(|device| device.device == **id));
    let silent = silent.map(|id| Device {
        id: id.clone(),
        present: false,
        said: say.words.say("device-unknown"),
        about: Vec::new(),
        low: false,
    });
    told.chain(silent).take(LINES_MAX).collect()
}

fn device_line(say: &Say<'_>, device: &DeviceStatus) -> String {
    let state = match (&device.problem, device.present) {
        (Some(problem), _) => problem.clone(),
        (None, true) => say.words.say("device-present"),
        (None, false) => say.words.say("device-absent"),
    };
    match device.last_heard {
        Some(at) => format!("{state} · {}", say.words.with("device-heard", &[("when", say.when(at).into())])),
        None => state,
    }
}

fn about(say: &Say<'_>, device: &DeviceStatus) -> Vec<String> {
    let short = |text: &String| text.chars().take(80).collect::<String>();
    let firmware = |text: &String| say.words.with("device-firmware", &[("version", short(text).into())]);
    let battery = device.battery_percent.map(|percent| say.words.count("device-battery", percent));
    let wrong = device.clock_ahead_seconds.filter(|ahead| ahead.unsigned_abs() >= CLOCK_WRONG_MIN_SECONDS);
    let clock = wrong.map(|ahead| {
        let by = say.length(SignedDuration::from_secs(ahead.saturating_abs()));
        say.words.with(if ahead > 0 { "device-ahead" } else { "device-behind" }, &[("by", by.into())])
    });
    let said = [device.model.as_ref().map(short), device.firmware.as_ref().map(firmware), battery, clock];
    said.into_iter().flatten().collect()
}

/// When a kit was last heard.
pub fn heard_line(say: &Say<'_>, state: &KitState) -> String {
    match &state.heard {
        Some(heard) => say.words.with("kit-heard", &[("when", say.when(heard.at).into())]),
        None => say.words.say("kit-never"),
    }
}
