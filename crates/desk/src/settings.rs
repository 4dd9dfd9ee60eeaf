//! A patient's own settings as they are changed: who is signed in is the author of what is new, and what was there before stays as it was
//! set. Pure; what is set is checked where it is stored.

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use triage::{Clinic, Lasting, Own, OwnLimit, OwnOxygen, OwnReference, Pause, Plan};

use crate::session::sha256_hex;

/// One setting, with what a list of them says of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// `limits`, `references`, `oxygen`, `pauses`.
    pub list: &'static str,
    /// As it was set.
    pub setting: Value,
    /// Does it hold now?
    pub holds: bool,
    /// Is it over, or has it stood for longer than the clinic lets one stand unlooked at, without an end or with a far one? (A pause that is over
    /// is just over; one that lasts so long is overdue, whatever its end.)
    pub overdue: bool,
    /// Which safety floor of the clinic it passes, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond_floor: Option<String>,
}

/// What names settings as somebody saw them: they are changed only if they are still so.
pub fn seen(own: &Own) -> String {
    sha256_hex(&[&serde_json::to_string(own).expect("settings are JSON")])
}

/// Every setting, in the order in which they are stored.
pub fn rows(own: &Own, plan: Option<&Plan>, clinic: &Clinic, now: Timestamp) -> Vec<Setting> {
    fn of<T: Lasting + Serialize>(list: &'static str, all: &[T], clinic: &Clinic, now: Timestamp) -> Vec<Setting> {
        let row = |one: &T| Setting {
            list,
            setting: json!(one),
            holds: one.holds(now),
            overdue: clinic.is_overdue(one, now),
            beyond_floor: None,
        };
        all.iter().map(row).collect()
    }
    let mut rows = of("limits", &own.limits, clinic, now);
    for (row, limit) in rows.iter_mut().zip(&own.limits) {
        row.beyond_floor = plan.and_then(|plan| plan.floor_passed_by(limit));
    }
    rows.extend(of("references", &own.references, clinic, now));
    rows.extend(of("oxygen", &own.oxygen, clinic, now));
    rows.extend(of("pauses", &own.pauses, clinic, now));
    rows
}

/// The settings that somebody asks for: what is as before keeps its author, start and version; of what is new they are the author.
///
/// # Errors
/// Which of them can't be read: what was found, what was wanted.
pub fn asked_for(before: &Own, asked: &Map<String, Value>, by: &str, now: Timestamp) -> Result<Own, String> {
    const LISTS: [&str; 4] = ["limits", "references", "oxygen", "pauses"];
    if let Some(other) = asked.keys().find(|key| !LISTS.contains(&key.as_str())) {
        return Err(format!("found {other:?}, want one of {}", LISTS.join(", ")));
    }
    let new = New { asked, by, now };
    let mut own = Own {
        limits: new.list("limits", &before.limits, |one: &mut OwnLimit, old| {
            (one.author, one.version) = (old.author.clone(), old.version);
        })?,
        references: new.list("references", &before.references, |one: &mut OwnReference, old| {
            (one.author, one.version) = (old.author.clone(), old.version);
        })?,
        oxygen: new.list("oxygen", &before.oxygen, |one: &mut OwnOxygen, old| one.author.clone_from(&old.author))?,
        pauses: new.list("pauses", &before.pauses, |one: &mut Pause, old| one.author.clone_from(&old.author))?,
    };
    own.number(before);
    Ok(own)
}

struct New<'a> {
    asked: &'a Map<String, Value>,
    by: &'a str,
    now: Timestamp,
}

impl New<'_> {
    fn list<T: Clone + PartialEq + DeserializeOwned + Serialize>(
        &self,
        list: &str,
        before: &[T],
        as_before: impl Fn(&mut T, &T),
    ) -> Result<Vec<T>, String> {
        let none = Value::Array(Vec::new());
        let Value::Array(items) = self.asked.get(list).unwrap_or(&none) else {
            return Err(format!("{list}: want a list"));
        };
        let one = |(at, item): (usize, &Value)| {
            self.one(item, before, &as_before).map_err(|fault| format!("{list}[{at}]: {fault}"))
        };
        items.iter().enumerate().map(one).collect()
    }

    fn one<T: Clone + PartialEq + DeserializeOwned + Serialize>(
        &self,
        item: &Value,
        before: &[T],
        as_before: &impl Fn(&mut T, &T),
    ) -> Result<T, String> {
        let Value::Object(fields) = item else { return Err("want an object".to_owned()) };
        let read = |from: &Value| {
            let mut filled = fields.clone();
            filled.insert("author".to_owned(), self.by.into());
            filled.entry("from").or_insert_with(|| from.clone());
            filled.remove("version");
            serde_json::from_value::<T>(Value::Object(filled)).map_err(|fault| fault.to_string())
        };
        for old in before {
            let stored = json!(old);
            let mut same = read(&stored["from"])?;
            as_before(&mut same, old);
            if same == *old {
                return Ok(same);
            }
        }
        read(&json!(self.now))
    }
}

/// The same settings with one pause more.
pub fn with_pause(own: &Own, pause: Pause) -> Own {
    let mut own = own.clone();
    own.pauses.push(pause);
    own
}

/// The same settings where no pause holds any more: what holds ends now. None where nothing holds.
pub fn without_pause(own: &Own, now: Timestamp) -> Option<Own> {
    own.pauses.iter().find(|pause| pause.holds(now))?;
    let mut ended = own.clone();
    ended.pauses.retain(|pause| !(pause.holds(now) && pause.from == now));
    ended.pauses.iter_mut().filter(|pause| pause.holds(now)).for_each(|pause| pause.until = now);
    Some(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-22T08:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn before() -> Own {
        serde_json::from_value(json!({
            "limits": [{ "rule": "spo2", "limit": "red_low", "value": 84.5, "unit": "%", "author": "Dr Holm", "reason": "stable at 86",
                         "from": "2026-06-01T00:00:00Z", "version": 3 }],
            "pauses": [{ "kind": "holiday", "author": "Karen Smith", "reason": "in Spain", "from": "2026-11-20T00:00:00Z",
                         "until": "2026-11-30T00:00:00Z" }],
        }))
        .unwrap()
    }

    fn asked(asked: Value) -> Result<Own, String> {
        asked_for(&before(), asked.as_object().unwrap(), "Dr Lund", now())
    }

    #[test]
    fn what_is_as_before_keeps_its_author_and_what_is_new_has_its_own() {
        let same = json!({ "rule": "spo2", "limit": "red_low", "value": 84.5, "unit": "%", "reason": "stable at 86" });
        let pauses = json!(before().pauses);
        assert_eq!(asked(json!({ "limits": [same], "pauses": pauses })).unwrap(), before());
        let moved = json!({ "rule": "spo2", "limit": "red_low", "value": 85, "unit": "%", "reason": "better again", "author": "the Queen" });
        let own = asked(json!({ "limits": [moved] })).unwrap();
        let limit = &own.limits[0];
        assert_eq!((limit.author.as_str(), limit.version, limit.from), ("Dr Lund", 4, now()));
        assert!(own.pauses.is_empty());
        assert_ne!(seen(&own), seen(&before()));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(
            asked(json!({ "limit": [] })).unwrap_err(),
            "found \"limit\", want one of limits, references, oxygen, pauses"
        );
        let fault = asked(json!({ "limits": [{ "rule": "spo2" }] })).unwrap_err();
        assert!(fault.starts_with("limits[0]: missing field"), "{fault}");
    }

    #[test]
    fn overdue_settings_are_marked_and_a_pause_that_is_over_is_just_over() {
        let clinic = Clinic::shipped();
        let later = now() + clinic.review_after() + jiff::SignedDuration::from_hours(24 * 200);
        let marks =
            |at| rows(&before(), None, &clinic, at).iter().map(|row| (row.holds, row.overdue)).collect::<Vec<_>>();
        assert_eq!(marks("2026-06-02T00:00:00Z".parse().unwrap()), [(true, false), (false, false)]);
        assert_eq!(marks(later), [(true, true), (false, false)]);
    }

    #[test]
    fn a_pause_that_holds_can_be_ended_now() {
        let ended = without_pause(&before(), now()).unwrap();
        assert_eq!((ended.pauses[0].until, &ended.limits), (now(), &before().limits));
        assert_eq!(without_pause(&ended, now()), None);
        let pause =
            Pause { from: now(), until: now() + jiff::SignedDuration::from_hours(9), ..before().pauses[0].clone() };
        let both = with_pause(&ended, pause);
        assert_eq!(without_pause(&both, now()).unwrap().pauses.len(), 1, "one that begins now is taken back");
    }
}
