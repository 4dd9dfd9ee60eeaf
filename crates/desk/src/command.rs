//! What is asked of a kit: checked, given an id and an end, and kept in the store. The hub sends it; what became of it comes back as receipts.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use store::{Command, CommandState, Kit, Progress, Store, StoreError};
use uuid::Uuid;
use vitals::{PatientId, Vital};
use wire::Due;

/// Commands of one kit that may wait at a time.
pub const COMMANDS_WAITING_MAX: usize = 32;
/// The longest text for a person, in characters.
pub const TEXT_CHARS_MAX: usize = 500;
/// The longest id that a caller may give, in characters.
const ID_CHARS_MAX: usize = 64;
/// The most entries of a schedule.
const SCHEDULE_MAX: usize = 32;
/// The longest that something may be worth doing.
const LASTS_MAX: SignedDuration = SignedDuration::from_hours(24 * 366);
/// The kind that tells that somebody has looked.
const LOOKED: &str = "seen";
/// A name that no command of ours has: so are ids made from what they stand for.
const SEEN: Uuid = Uuid::from_u128(0x3b0e_91c2_5d47_5a68_9f13_0c44_be17_a2d5);

/// A kind of command.
struct Kind {
    name: &'static str,
    /// How long it is worth doing.
    lasts: SignedDuration,
}

/// Every kind. A request to measure is worth little after some hours; a schedule holds until there is another.
const KINDS: &[Kind] = &[
    Kind { name: "remeasure", lasts: SignedDuration::from_hours(2) },
    Kind { name: "message", lasts: SignedDuration::from_hours(24) },
    Kind { name: "schedule", lasts: SignedDuration::from_hours(24 * 30) },
    Kind { name: "diagnostics", lasts: SignedDuration::from_hours(1) },
    Kind { name: LOOKED, lasts: SignedDuration::from_hours(24) },
];

/// What somebody asks of a kit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The command's id, if the caller wants to be able to ask twice and be heard once.
    #[serde(default)]
    pub id: Option<String>,
    /// `remeasure`, `message`, `schedule`, `diagnostics`.
    pub command: String,
    /// What to measure again.
    #[serde(default)]
    pub vital: Option<Vital>,
    /// What to show.
    #[serde(default)]
    pub text: Option<String>,
    /// What is due when.
    #[serde(default)]
    pub schedule: Option<Vec<Due>>,
    /// For whom, on a kit that several people share.
    #[serde(default)]
    pub patient: Option<PatientId>,
    /// When it is no longer worth doing, if not as is usual for its kind.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Why a command was not kept.
#[derive(Debug, thiserror::Error)]
pub enum AskRefused {
    /// It makes no sense: what was found, what was wanted.
    #[error("{0}")]
    Unfit(String),
    /// Too much waits for this kit.
    #[error("{found} commands wait for this kit, at most {COMMANDS_WAITING_MAX} may")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks what is asked of a kit and keeps it. `by` is a colleague's name; the person at home sees the first of it.
///
/// # Errors
/// [`AskRefused`], a sentence.
pub async fn ask(
    store: &dyn Store,
    kit: &Kit,
    ask: Ask,
    by: Option<&str>,
    now: Timestamp,
) -> Result<Command, AskRefused> {
    let command = command(kit, ask, by, now).map_err(AskRefused::Unfit)?;
    let known = lately(store, kit).await?;
    if let Some(again) = asked_before(&known, &command) {
        return again;
    }
    // Looks count for themselves: a kit without a page never says anything of them, and what is asked for must not wait for that.
    let waiting = |one: &&CommandState| {
        let alike = (one.command.command == LOOKED) == (command.command == LOOKED);
        alike && one.state == Progress::Waiting && one.command.expires_at > now
    };
    let found = known.iter().filter(waiting).count();
    if found >= COMMANDS_WAITING_MAX {
        return Err(AskRefused::TooMany { found });
    }
    if store.put_command(&command).await? {
        return Ok(command);
    }
    // Asked twice at once; or the id is another kit's, or an old one.
    asked_before(&lately(store, kit).await?, &command).unwrap_or_else(|| Err(used_before(&command)))
}

/// What a kit was asked lately, with room for all that may wait.
async fn lately(store: &dyn Store, kit: &Kit) -> Result<Vec<CommandState>, StoreError> {
    let limit = u32::try_from(COMMANDS_WAITING_MAX).unwrap_or(u32::MAX) * 4;
    store.commands_of(&kit.id, limit).await
}

/// The same id is the same command: it is answered as the first time. Another command can't have it.
fn asked_before(known: &[CommandState], command: &Command) -> Option<Result<Command, AskRefused>> {
    let before = &known.iter().find(|known| known.command.id == command.id)?.command;
    let said = |one: &Command| (one.command.clone(), one.patient.clone(), one.body.clone());
    Some(if said(before) == said(command) { Ok(before.clone()) } else { Err(used_before(command)) })
}

fn used_before(command: &Command) -> AskRefused {
    AskRefused::Unfit(format!("id {:?} was used before, for another command: want a new one", command.id))
}

fn command(kit: &Kit, ask: Ask, by: Option<&str>, now: Timestamp) -> Result<Command, String> {
    let Some(kind) = KINDS.iter().find(|kind| kind.name == ask.command) else {
        let known: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        return Err(format!("command is {:?}, want one of {}", ask.command, known.join(", ")));
    };
    if kit.revoked {
        return Err(format!("kit {} is revoked", kit.id));
    }
    check(kind.name, &ask)?;
    let patient = check_patient(kit, kind.name, ask.patient)?;
    let expires_at = ask.expires_at.unwrap_or(now + kind.lasts);
    if expires_at <= now {
        return Err(format!("expires_at is {expires_at}, and it is {now} already"));
    }
    if expires_at.duration_since(now) > LASTS_MAX {
        return Err(format!("expires_at is {expires_at}, want at most {} days from now", LASTS_MAX.as_hours() / 24));
    }
    let id = ask.id.unwrap_or_else(|| Uuid::new_v4().to_string());
    if !(1..=ID_CHARS_MAX).contains(&id.chars().count()) {
        return Err(format!("id has {} characters, want 1 to {ID_CHARS_MAX}", id.chars().count()));
    }
    let mut body = serde_json::Map::new();
    let fields = [
        ("vital", ask.vital.map(|vital| serde_json::json!(vital))),
        ("text", ask.text.map(|text| text.trim().into())),
        ("schedule", ask.schedule.map(|schedule| serde_json::json!(schedule))),
    ];
    body.extend(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(Command {
        id,
        kit: kit.id.clone(),
        patient,
        command: kind.name.to_owned(),
        by: by.map(first_name),
        issued_at: now,
        expires_at,
        body: body.into(),
    })
}

/// What each kind needs, and takes.
fn check(kind: &str, ask: &Ask) -> Result<(), String> {
    let characters = ask.text.as_deref().map_or(0, |text| text.trim().chars().count());
    if characters > TEXT_CHARS_MAX {
        return Err(format!("text has {characters} characters, want at most {TEXT_CHARS_MAX}"));
    }
    let entries = ask.schedule.as_ref().map_or(0, Vec::len);
    match kind {
        "remeasure" if ask.vital.is_none() => Err("remeasure wants `vital`, found none".to_owned()),
        "message" if characters == 0 => Err("message wants `text`, found none".to_owned()),
        "schedule" if !(1..=SCHEDULE_MAX).contains(&entries) => {
            Err(format!("schedule has {entries} entries, want 1 to {SCHEDULE_MAX}"))
        }
        "schedule" => ask.schedule.iter().flatten().try_for_each(check_due),
        _ => Ok(()),
    }
}

fn check_due(due: &Due) -> Result<(), String> {
    match due.days.iter().find(|day| !(1..=7).contains(*day)) {
        Some(day) => Err(format!("schedule: day {day}, want 1 (Monday) to 7 (Sunday)")),
        None if due.vitals.is_empty() && due.questionnaires.is_empty() => {
            Err(format!("schedule: nothing is due at {}, want vitals or questionnaires", due.at))
        }
        None => Ok(()),
    }
}

/// For whom it is: on a kit of one person that person, who keeps it when the kit goes to somebody else; on one that several share, whoever is named.
fn check_patient(kit: &Kit, kind: &str, patient: Option<PatientId>) -> Result<Option<PatientId>, String> {
    match patient.or_else(|| kit.patient.clone()) {
        Some(patient) if kit.serves(&patient) => Ok(Some(patient)),
        Some(patient) => Err(format!("patient {patient} does not measure with kit {}", kit.id)),
        None if kind != "diagnostics" => {
            Err(format!("kit {} is shared by several people: want `patient`, found none", kit.id))
        }
        None => Ok(None),
    }
}

fn first_name(name: &str) -> String {
    name.split_whitespace().next().unwrap_or_default().chars().take(40).collect()
}

/// Tells a patient's kits that somebody has looked: the same look twice is told once. A kit without a page passes it over.
pub(crate) async fn seen(
    store: &dyn Store,
    kits: &[crate::KitState],
    patient: &PatientId,
    what: &str,
    by: &str,
    now: Timestamp,
) {
    for kit in kits.iter().map(|state| &*state.kit).filter(|kit| kit.serves(patient) && !kit.revoked) {
        let id = Uuid::new_v5(&SEEN, format!("{} {what}", kit.id).as_bytes()).to_string();
        let wanted = Ask { id: Some(id), command: LOOKED.to_owned(), patient: Some(patient.clone()), ..Ask::default() };
        if let Err(error) = ask(store, kit, wanted, Some(by), now).await {
            tracing::warn!(kit = %kit.id, "the kit is not told that its patient was seen: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kit(text: &str) -> Kit {
        serde_json::from_str(text).unwrap()
    }

    #[track_caller]
    fn refused(kit: &Kit, ask: &str, wanted: &str) {
        let now = "2026-11-22T08:00:00Z".parse().unwrap();
        let ask = serde_json::from_str(ask).unwrap();
        assert_eq!(command(kit, ask, Some("Mette Larsen"), now).unwrap_err(), wanted);
    }

    #[test]
    fn says_what_it_wants() {
        let own = kit(r#"{"id":"kit-1","patient":"p-1"}"#);
        let station = kit(r#"{"id":"bus","patients":["p-1","p-2"]}"#);
        refused(
            &own,
            r#"{"command":"dance"}"#,
            "command is \"dance\", want one of remeasure, message, schedule, diagnostics, seen",
        );
        refused(&own, r#"{"command":"remeasure"}"#, "remeasure wants `vital`, found none");
        refused(&own, r#"{"command":"message","text":"  "}"#, "message wants `text`, found none");
        refused(&own, r#"{"command":"schedule"}"#, "schedule has 0 entries, want 1 to 32");
        let nothing = r#"{"command":"schedule","schedule":[{"at":"08:00:00"}]}"#;
        refused(&own, nothing, "schedule: nothing is due at 08:00:00, want vitals or questionnaires");
        refused(&own, r#"{"command":"diagnostics","patient":"p-9"}"#, "patient p-9 does not measure with kit kit-1");
        refused(
            &station,
            r#"{"command":"message","text":"x"}"#,
            "kit bus is shared by several people: want `patient`, found none",
        );
        refused(
            &own,
            r#"{"command":"diagnostics","expires_at":"2026-11-22T07:00:00Z"}"#,
            "expires_at is 2026-11-22T07:00:00Z, and it is 2026-11-22T08:00:00Z already",
        );
        refused(
            &own,
            r#"{"command":"diagnostics","expires_at":"9999-01-01T00:00:00Z"}"#,
            "expires_at is 9999-01-01T00:00:00Z, want at most 366 days from now",
        );
    }

    #[tokio::test]
    async fn an_id_is_one_command_and_looks_keep_nothing_from_being_asked() {
        let folder = tempfile::tempdir().unwrap();
        let store = store::Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        let (one, two) = (kit(r#"{"id":"kit-1","patient":"p-1"}"#), kit(r#"{"id":"kit-2","patient":"p-1"}"#));
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let text = |id: &str, text: &str| Ask {
            id: Some(id.to_owned()),
            command: "message".to_owned(),
            text: Some(text.to_owned()),
            ..Ask::default()
        };
        let first = ask(&store, &one, text("a", "Hej"), None, now).await.unwrap();
        let later = now + SignedDuration::from_secs(9);
        assert_eq!(ask(&store, &one, text("a", "Hej"), None, later).await.unwrap(), first, "asked twice, heard once");
        for (kit, said) in [(&one, "Ring"), (&two, "Hej")] {
            let refused = ask(&store, kit, text("a", said), None, now).await.unwrap_err().to_string();
            assert_eq!(refused, "id \"a\" was used before, for another command: want a new one");
        }
        for look in 0..COMMANDS_WAITING_MAX {
            let seen = Ask { id: Some(format!("s{look}")), command: LOOKED.to_owned(), ..Ask::default() };
            ask(&store, &one, seen, None, now).await.unwrap();
        }
        let seen = Ask { command: LOOKED.to_owned(), ..Ask::default() };
        assert!(matches!(ask(&store, &one, seen, None, now).await, Err(AskRefused::TooMany { .. })));
        ask(&store, &one, text("b", "Hej igen"), None, now).await.expect("it need not wait for anybody's look");
    }

    #[test]
    fn each_kind_has_an_end_of_its_own_and_a_first_name() {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let asked =
            serde_json::from_str(r#"{"command":"remeasure","vital":"spo2","text":" Warm the finger "}"#).unwrap();
        let made = command(&kit(r#"{"id":"kit-1","patient":"p-1"}"#), asked, Some("Mette Larsen"), now).unwrap();
        assert_eq!(
            (made.by.as_deref(), made.expires_at.duration_since(now)),
            (Some("Mette"), SignedDuration::from_hours(2))
        );
        assert_eq!(made.body, serde_json::json!({ "vital": "spo2", "text": "Warm the finger" }));
    }

    #[test]
    fn who_it_is_for_is_kept() {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let own = kit(r#"{"id":"kit-1","patient":"p-1"}"#);
        let station = kit(r#"{"id":"bus","patients":["p-1","p-2"]}"#);
        for (kit, ask, wanted) in [
            (&own, r#"{"command":"message","text":"Hej"}"#, Some("p-1")),
            (&own, r#"{"command":"message","text":"Hej","patient":"p-1"}"#, Some("p-1")),
            (&own, r#"{"command":"diagnostics"}"#, Some("p-1")),
            (&station, r#"{"command":"message","text":"Hej","patient":"p-2"}"#, Some("p-2")),
            (&station, r#"{"command":"diagnostics"}"#, None),
        ] {
            let made = command(kit, serde_json::from_str(ask).unwrap(), None, now).unwrap();
            assert_eq!(made.patient.as_ref().map(PatientId::as_str), wanted, "{ask}");
        }
    }
}
