//! The clinic: store, programmes, roster, kits.

use std::{collections::HashSet, path::Path};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use store::{Heard, Place, Roster, StoreError, Stored};

use super::check::Check;
use crate::{
    cli::config::{problem, roster::RosterForm},
    config::Config,
    directory::{Books, Directory, plan_of},
    programmes::{Library, OUTGROWN_TODO, read, read_stored},
};

/// A kit that has not been heard for longer than this is told.
const HEARD_MAX: SignedDuration = SignedDuration::from_hours(24);
/// So many ids are spelt out; the rest is counted.
const IDS_SHOWN_MAX: usize = 5;

/// What the store says.
#[derive(Default)]
pub struct InStore {
    /// Patients and kits.
    pub roster: Roster,
    /// What was last heard of each kit.
    pub heard: Vec<Heard>,
    /// Who can't be judged by what is in use, and why.
    pub unfit: Vec<String>,
    /// What is in use and would be refused today.
    pub outgrown: Vec<String>,
    /// The texts of all versions.
    pub texts: HashSet<String>,
}

/// Opens the store as it is, changing nothing. Nothing is said of what is in it where it can't be read: that is not the same as empty.
pub async fn store(place: &Place, zone: &TimeZone, now: Timestamp) -> (Check, Option<InStore>) {
    if matches!(place, Place::File(path) if !path.exists()) {
        return (Check::ok("store", format!("{place} will be made at the first start")), Some(InStore::default()));
    }
    match look(place, zone, now).await {
        Ok((stored, inside)) => (told(place, &stored), Some(inside)),
        Err(error @ StoreError::NewerSchema { .. }) => {
            (Check::fail("store", error.to_string(), "nothing was changed in it"), None)
        }
        Err(StoreError::Unusable { what, .. }) if what.starts_with("schema version 0,") => {
            let found = format!("{place}: its tables will be made at the first start");
            (Check::ok("store", found), Some(InStore::default()))
        }
        Err(StoreError::Unusable { what, .. }) if what.starts_with("schema version") => {
            let first = match place {
                Place::File(_) => "keep a copy of the file",
                Place::Postgres(_) => "make a backup",
            };
            let todo = format!("{first} before you start this vagt: the upgrade can't be taken back");
            (Check::warn("store", format!("{place}: {what}"), todo), None)
        }
        Err(error) => {
            let error = place.in_words(error);
            (Check::fail("store", error.to_string(), "until then no reading is taken in"), None)
        }
    }
}

async fn look(place: &Place, zone: &TimeZone, now: Timestamp) -> Result<(Stored, InStore), StoreError> {
    let store = store::open_read_only(place).await?;
    let looked = async {
        let (roster, heard) = (store.roster().await?, store.last_heard().await?);
        let library = Library::open(&*store, now).await?;
        let (unfit, outgrown) = (unfit(&library, &roster, zone), library.outgrown());
        let texts = store.programme_versions(None).await?.into_iter().map(|one| one.text).collect();
        Ok((store.stored().await?, InStore { roster, heard, unfit, outgrown, texts }))
    };
    let looked = looked.await;
    store.close().await;
    looked
}

/// Who is not judged by the versions in use. A store that no service has used yet has none.
fn unfit(library: &Library, roster: &Roster, zone: &TimeZone) -> Vec<String> {
    let Ok(books) = library.books() else { return Vec::new() };
    let found = |patient| Some(plan_of(patient, &books, zone).err()?.to_string());
    if library.in_use().is_empty() { Vec::new() } else { roster.patients.iter().filter_map(found).collect() }
}

/// Who is judged as before, since what is in use does not fit them.
pub fn plans(unfit: &[String]) -> Option<Check> {
    let found = ids(unfit.iter().map(String::as_str))?;
    let todo = "they stay judged by what they had; change their own settings (`vagt patient own`) or programmes so that they fit";
    Some(Check::warn("plans", found, todo))
}

/// What is judged by and would be refused today, one line each.
pub fn outgrown(outgrown: &[String]) -> Vec<Check> {
    let todo = format!("it stays in use as it is; {OUTGROWN_TODO}");
    let one =
        |faults: &String| Check::warn("programmes", format!("in use, and would be refused today: {faults}"), &todo);
    outgrown.iter().map(one).collect()
}

fn told(place: &Place, stored: &Stored) -> Check {
    let Stored { messages, quarantined, schema, .. } = stored;
    let open: u64 = stored.open.values().sum();
    let found = format!("schema {schema}, {messages} messages, {open} alerts open, {quarantined} in quarantine");
    let Place::File(path) = place else { return Check::ok("store", found) };
    match std::fs::OpenOptions::new().append(true).open(path) {
        Ok(_) => Check::ok("store", found),
        Err(error) => {
            let todo = "make the file writable for the account that runs vagt";
            Check::fail("store", format!("{place} can't be written: {error}"), todo)
        }
    }
}

/// Every programme is read, and its examples are run. A file that is stored as it stands was taken in when it came.
pub fn programmes(config: &Config, stored: &HashSet<String>) -> (Check, Books) {
    let read = |text: &str, file: &str| if stored.contains(text) { read_stored(text, file) } else { read(text, file) };
    match crate::directory::programmes_read(config.programmes.as_deref(), read) {
        Ok(programmes) => {
            let mut words: Vec<_> = programmes
                .programmes()
                .values()
                .map(|programme| {
                    format!("{} version {} ({} examples)", programme.id(), programme.version(), programme.examples())
                })
                .collect();
            words.sort_unstable();
            (Check::ok("programmes", words.join(", ")), programmes)
        }
        Err(error) => {
            let todo = "see `vagt config check FILE` for every problem of a file";
            (Check::fail("programmes", format!("{error:#}"), todo), Books::default())
        }
    }
}

/// The roster as it will be: the store's, with the file's over it. Of a store that can't be read, what is wrong with the file's patients alone.
pub fn roster(config: &Config, stored: Option<Roster>, programmes: &Books) -> (Vec<Check>, Roster) {
    let file = match config.roster.as_deref().map(roster_file).transpose() {
        Ok(file) => file.unwrap_or_default(),
        Err(error) => {
            let checks = vec![Check::fail("roster", error, "see `vagt config check FILE`")];
            return (checks, stored.unwrap_or_default());
        }
    };
    let is_whole = stored.is_some();
    let roster = match stored {
        Some(stored) => over(stored, file),
        // Its kits may be of patients who are in the store.
        None => Roster { kits: Vec::new(), ..file },
    };
    if !programmes.programmes().is_empty()
        && let Err(error) = Directory::new(roster.clone(), programmes, &config.zone)
    {
        let todo = "mend it in the roster file, or with `vagt patient add` and `vagt kit add`";
        return (vec![Check::fail("roster", error.to_string(), todo)], roster);
    }
    (if is_whole { people(config, &roster) } else { Vec::new() }, roster)
}

fn roster_file(path: &Path) -> Result<Roster, String> {
    let file = path.display().to_string();
    let text = problem::text(path)?;
    problem::toml::<_, RosterForm>(&text, &file)
}

fn over(mut stored: Roster, file: Roster) -> Roster {
    stored.patients.retain(|patient| file.patients.iter().all(|other| other.id != patient.id));
    stored.kits.retain(|kit| file.kits.iter().all(|other| other.id != kit.id));
    stored.patients.extend(file.patients);
    stored.kits.extend(file.kits);
    stored
}

fn people(config: &Config, roster: &Roster) -> Vec<Check> {
    let found = format!("patients: {}, kits: {}", roster.patients.len(), roster.kits.len());
    if roster.patients.is_empty() {
        return vec![Check::warn("roster", found, "add people with a roster file or `vagt patient add`")];
    }
    let mut checks = vec![Check::ok("roster", found)];
    let with_kit: HashSet<_> = roster.kits.iter().filter(|kit| !kit.revoked).flat_map(store::Kit::people).collect();
    let without = roster.patients.iter().filter(|patient| !with_kit.contains(&patient.id));
    if let Some(ids) = ids(without.map(|patient| patient.id.as_str())) {
        checks.push(Check::warn("roster", format!("without a kit: {ids}"), "give each a kit with `vagt kit add`"));
    }
    let odd = roster.patients.iter().filter(|patient| patient.simulated != config.simulated);
    if let Some(ids) = ids(odd.map(|patient| patient.id.as_str())) {
        let (found, todo) = if config.simulated {
            (
                format!("not simulated, in a clinic that says it is: {ids}"),
                "set `simulated = false`, or take real people out",
            )
        } else {
            (format!("simulated, among real people: {ids}"), "take them out of the roster of a real clinic")
        };
        checks.push(Check::warn("roster", found, todo));
    }
    let strange = roster.kits.iter().flat_map(|kit| &kit.devices).filter(|device| {
        let driver = device.split_once(':').map_or(device.as_str(), |(driver, _)| driver);
        drivers::find(driver).is_none()
    });
    if let Some(ids) = ids(strange.map(String::as_str)) {
        checks.push(Check::warn(
            "roster",
            format!("devices without a driver: {ids}"),
            "see `vagt drivers` for the names",
        ));
    }
    checks
}

/// Which kits are silent?
pub fn kits(now: Timestamp, roster: &Roster, heard: &[Heard]) -> Vec<Check> {
    let active: Vec<_> = roster.kits.iter().filter(|kit| !kit.revoked).collect();
    let last = |kit: &store::Kit| heard.iter().find(|heard| heard.kit == kit.id);
    let never = active.iter().filter(|kit| last(kit).is_none());
    let silent = active
        .iter()
        .filter(|kit| last(kit).is_some_and(|heard| now.duration_since(heard.at) > HEARD_MAX && !heard.online));
    let mut checks = Vec::new();
    if let Some(ids) = ids(never.map(|kit| kit.id.as_str())) {
        checks.push(Check::warn(
            "kits",
            format!("never heard of: {ids}"),
            "is the kit switched on, with the right address and secret?",
        ));
    }
    if let Some(ids) = ids(silent.map(|kit| kit.id.as_str())) {
        checks.push(Check::warn(
            "kits",
            format!("silent for more than a day: {ids}"),
            "call, or see the kit's last status on the pages",
        ));
    }
    let slowed = heard.iter().filter(|heard| heard.status.get("slowed").is_some());
    if let Some(ids) = ids(slowed.map(|heard| heard.kit.as_str())) {
        checks.push(Check::warn(
            "kits",
            format!("sent faster than [limits] lets them: {ids}"),
            "look at their status; a kit that sends what it kept over an outage is slowed for a while, and that is well",
        ));
    }
    if checks.is_empty() && !active.is_empty() {
        checks.push(Check::ok("kits", format!("{} heard of within a day", active.len())));
    }
    checks
}

fn ids<'a>(ids: impl Iterator<Item = &'a str>) -> Option<String> {
    let ids: Vec<_> = ids.collect();
    let more = ids.len().saturating_sub(IDS_SHOWN_MAX);
    let shown = ids[..ids.len() - more].join(", ");
    match (ids.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(shown),
        _ => Some(format!("{shown} and {more} more")),
    }
}

/// When the newest of what was heard was heard.
pub fn newest(heard: &[Heard]) -> Option<Timestamp> {
    heard.iter().map(|heard| heard.at).max()
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn roster_of(text: &str) -> Roster {
        toml::from_str(text).unwrap()
    }

    fn states(checks: &[Check]) -> Vec<(State, &str)> {
        checks.iter().map(|check| (check.state, check.found.as_str())).collect()
    }

    const PEOPLE: &str = r#"
patient = [
  { id = "p-1", name = "A", programme = "copd" },
  { id = "p-2", name = "B", programme = "copd", simulated = true },
]
[[kit]]
id = "kit-1"
patient = "p-1"
secret_sha256 = "a5"
devices = ["gatt-plx:AA:BB", "crystal-ball:1"]
"#;

    #[test]
    fn people_without_kits_strange_devices_and_simulated_ones_are_told() {
        let config = Config::parse("", "hub.toml").unwrap();
        assert_eq!(
            states(&people(&config, &roster_of(PEOPLE))),
            [
                (State::Ok, "patients: 2, kits: 1"),
                (State::Warn, "without a kit: p-2"),
                (State::Warn, "simulated, among real people: p-2"),
                (State::Warn, "devices without a driver: crystal-ball:1"),
            ]
        );
    }

    #[test]
    fn silent_kits_are_told_apart_from_those_never_heard_of() {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let roster = roster_of(PEOPLE);
        let heard = |hours: i64, online| {
            let at = now - SignedDuration::from_hours(hours);
            vec![Heard { kit: "kit-1".parse().unwrap(), at, online, status: serde_json::Value::Null }]
        };
        assert_eq!(states(&kits(now, &roster, &[])), [(State::Warn, "never heard of: kit-1")]);
        assert_eq!(
            states(&kits(now, &roster, &heard(25, false))),
            [(State::Warn, "silent for more than a day: kit-1")]
        );
        assert_eq!(states(&kits(now, &roster, &heard(25, true))), [(State::Ok, "1 heard of within a day")]);
        assert_eq!(states(&kits(now, &roster, &heard(1, false))), [(State::Ok, "1 heard of within a day")]);
    }
}
