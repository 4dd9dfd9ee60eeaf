//! Everything, taken out and taken in; and one person, handed out or erased.

use std::collections::BTreeMap;

use super::{
    Failure, Open, ensure,
    kits::{brings, command, receipt},
    people::{kit, patient},
    same,
    sample::{alert, at, batch, key, of, plain},
};
use crate::{
    Batch, Command, Entry, HistoryFilter, Journal, JournalEntry, JournalFilter, Progress, Quarantined, Roster, Store,
    StoreError, sections,
};

/// Lines of each section.
type Lines = BTreeMap<&'static str, Vec<String>>;

const UUID: &str = "018f2b6c-0000-7000-8000-000000000001";

fn base64(byte: u8) -> String {
    crate::carry::line::encoded(&[byte; 32])
}

fn reading(value: &str) -> String {
    format!(
        r#"{{"vital":"spo2","value":{value},"unit":"%","measured_at":"2026-11-22T07:59:00.000000001Z","clock":"device","device":"nonin-3230:1"}}"#
    )
}

/// Two people with a kit each and one that they share, one more kit that sent nonsense.
#[rustfmt::skip]
fn document() -> Vec<(&'static str, Vec<String>)> {
    let body = |id: u128, patient: &str| serde_json::to_string(&alert(id, patient, "spo2", 0)).expect("an alert is JSON");
    let id = |id: u128| uuid::Uuid::from_u128(id);
    let whole = |kit: &str, seq: u64, patient: &str, rest: &str| format!(
        r#"{{"kit":"{kit}","seq":{seq},"hash":"{}","recorded_at":"2026-11-22T08:00:0{seq}Z","patient":"{patient}","session":"{UUID}","sent_at":"2026-11-22T08:00:00.5Z"{rest}}}"#,
        base64(seq.to_le_bytes()[0]));
    let answer = r#"{"questionnaire":"copd-daily","version":1,"question":"breathless","answer":"noget","answered_at":"2026-11-22T07:58:00Z"}"#;
    let an_alert = |number: u128, patient: &str| format!(
        r#"{{"id":"{}","patient":"{patient}","family":"spo2","open":true,"state":"open","mark":"yellow","raised_at":"2026-11-22T08:00:00.12Z","waiting_since":"2026-11-22T08:00:00.12Z","changed_at":"2026-11-22T08:00:00.12Z","body":{}}}"#,
        id(number), body(number, patient));
    let event = |number: u128| format!(r#"{{"alert":"{}","kind":"raised","at":"2026-11-22T08:00:00.12Z","mark":"yellow","text":"SpO2"}}"#, id(number));
    let nonsense = |kit: &str, seq: &str, hash: u8, bytes: &str, reason: &str| format!(
        r#"{{"kit":"{kit}",{seq}"hash":"{}","recorded_at":"2026-11-22T08:00:00Z","bytes":"{}","reason":"{reason}","whole":true}}"#,
        base64(hash), crate::carry::line::encoded(bytes.as_bytes()));
    vec![
        ("programme_version", vec![r#"{"id":"copd","version":4,"text":"[\"æ\"]\n","sha256":"a5","proposed_by":"ane","proposed_at":"2026-11-22T08:00:00Z","note":""}"#.into()]),
        ("patient", vec![
            r#"{"id":"p-1","name":"Ane \"Å\" Nielsen","born":1948,"programmes":["copd"],"stratum":"high","own":{"spo2":85.50},"simulated":true,"since":"2026-11-22T08:00:00.000000001Z"}"#.into(),
            r#"{"id":"p-10","name":"Bo","programmes":["copd"],"own":null,"simulated":false,"since":"2026-11-22T08:00:00Z"}"#.into(),
        ]),
        ("kit", vec![
            r#"{"id":"kit-1","patient":"p-1","patients":[],"secret_sha256":"5e","since":"2026-11-22T08:00:00Z","devices":["nonin-3230:1"],"revoked":false}"#.into(),
            r#"{"id":"kit-2","patient":"p-10","patients":[],"secret_sha256":"5f","since":"2026-11-22T08:00:00Z","devices":[],"revoked":true}"#.into(),
            r#"{"id":"station","patients":["p-1","p-10"],"secret_sha256":"","since":"2026-11-22T08:00:00Z","devices":[],"revoked":false}"#.into(),
        ]),
        ("enrolment", vec![
            r#"{"kit":"kit-1","code_sha256":"c0","expires_at":"2026-11-22T09:00:00Z"}"#.into(),
            r#"{"kit":"station","code_sha256":"c1","expires_at":"2026-11-22T09:00:00Z","secret_sha256":"aa"}"#.into(),
        ]),
        ("account", vec![r#"{"user":"ane","name":"Ane","password_hash":"$argon2id$","role":"nurse","language":"da"}"#.into()]),
        ("heard", vec![r#"{"kit":"kit-1","at":"2026-11-22T08:00:00Z","online":true,"status":{"spooled":0}}"#.into()]),
        ("command", vec![
            r#"{"id":"c-1","kit":"kit-1","patient":"p-1","command":"message","by":"ane","issued_at":"2026-11-22T08:00:00Z","expires_at":"2026-11-22T09:00:00Z","body":{"text":"Hej Ane"},"state":"read","changed_at":"2026-11-22T08:00:00Z","detail":"ok"}"#.into(),
            r#"{"id":"c-2","kit":"station","patient":"p-10","command":"message","issued_at":"2026-11-22T08:00:00Z","expires_at":"2026-11-22T09:00:00Z","body":{"text":"Hej Bo"},"state":"waiting","changed_at":"2026-11-22T08:00:00Z"}"#.into(),
        ]),
        ("receipt", vec![r#"{"kit":"kit-1","command":"c-1","outcome":"read","at":"2026-11-22T08:00:00Z","recorded_at":"2026-11-22T08:00:01Z"}"#.into()]),
        ("message", vec![
            whole("kit-1", 1, "p-1", &format!(r#","readings":[{},{}],"answers":[{answer}]"#, reading("93.0"), reading("36.70"))),
            whole("station", 1, "p-10", &format!(r#","readings":[{}]"#, reading("94"))),
            format!(r#"{{"kit":"kit-2","seq":7,"hash":"{}","recorded_at":"2026-11-22T08:00:02Z"}}"#, base64(7)),
            whole("station", 3, "p-1", &format!(r#","readings":[{},{}]"#, reading("90"), reading("-0.00000000001"))),
            whole("station", 2, "p-10", &format!(r#","readings":[{}],"answers":[{answer}]"#, reading("95"))),
        ]),
        ("quarantine", vec![
            nonsense("kit-1", "", 1, "half a mess", "not JSON"),
            nonsense("kit-2", r#""seq":7,"#, 7, r#"{"patient":"p-10"}"#, "for patient p-10, who is not here"),
            nonsense("station", "", 2, r#"{"patient":"p-1"}"#, "late"),
            nonsense("station", "", 3, "half a mess", "not JSON"),
        ]),
        ("assessment", ["p-1", "p-10"].map(|patient| format!(
            r#"{{"patient":"{patient}","recorded_at":"2026-11-22T08:00:01Z","at":"2026-11-22T08:00:01Z","was":"green","colour":"yellow","blue":false,"late":true,"findings":[{{"value":93.0}}]}}"#)).to_vec()),
        ("alert", vec![an_alert(1, "p-1"), an_alert(2, "p-10")]),
        ("alert_event", vec![event(1), event(2), event(1)]),
        ("journal", vec![
            r#"{"at":"2026-11-22T08:00:00Z","by":"ane","entry":"shadow_started","body":{"entry":"shadow_started","programme":"copd","version":4}}"#.into(),
            r#"{"at":"2026-11-22T08:00:00.000000001Z","patient":"p-1","entry":"ticked","body":{"entry":"ticked","due":"2026-11-22T08:00:00Z"}}"#.into(),
            r#"{"at":"2026-11-22T07:00:00Z","patient":"p-10","entry":"moon_phase","body":{"entry":"moon_phase","of":1.50}}"#.into(),
        ]),
        ("shadow_alert", vec![format!(r#"{{"programme":"copd","version":5,"id":"{}","patient":"p-1","raised_at":"2026-11-22T08:00:00.12Z","body":{}}}"#, id(1), body(1, "p-1"))]),
    ]
}

async fn filled(store: &dyn Store) -> Result<(), StoreError> {
    let mut load = store.load().await?;
    for (section, lines) in document() {
        // In parts, as they come.
        for part in lines.chunks(2) {
            load.put(section, part).await?;
        }
    }
    load.finish().await
}

async fn dumped(store: &dyn Store, of: Option<&str>) -> Result<Lines, Failure> {
    let of = of.map(of_patient);
    let mut dump = store.dump(of.as_ref()).await?;
    let (mut lines, mut ended) = (Lines::new(), Vec::new());
    while let Some(part) = dump.next().await {
        let part = part?;
        if part.is_last {
            ended.push(part.section);
        }
        lines.entry(part.section).or_default().extend(part.lines);
    }
    same("each section ends once, in order", ended, sections().collect())?;
    Ok(lines)
}

fn of_patient(id: &str) -> vitals::PatientId {
    of(id)
}

pub(super) async fn what_is_carried_is_the_same(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    {
        let mut given_up = store.load().await?;
        for (section, lines) in document() {
            given_up.put(section, &lines).await?;
        }
    }
    let rows: u64 = store.holdings().await?.iter().map(|(_, rows)| rows).sum();
    same("of one that was given up", rows, 0)?;
    filled(&*store).await?;
    drop(store);
    let store = open().await?;
    same("everything", dumped(&*store, None).await?, document().into_iter().collect())?;
    let holdings: BTreeMap<_, _> = store.holdings().await?.into_iter().collect();
    same("holdings", holdings, document().into_iter().map(|(section, lines)| (section, lines.len() as u64)).collect())?;
    match store.load().await.err() {
        Some(StoreError::NotEmpty { section: "programme_version", found: 1, .. }) => {}
        other => return Err(Failure(format!("a second load gave {other:?}"))),
    }
    let seen = store.seen(&[key("kit-2", 7), key("station", 3), key("station", 4)]).await?;
    same("seen", seen, vec![(key("kit-2", 7), [7; 32]), (key("station", 3), [3; 32])])?;
    same("last", store.last_seqs(&[of("station")]).await?, vec![(of("station"), 3)])?;
    same("of p-10", store.messages(&of("p-10"), jiff::Timestamp::MIN).await?.len(), 2)?;
    store.commit(&batch(9, vec![plain("station", 4, "p-10")])).await?;
    same("one more of p-10", store.messages(&of("p-10"), jiff::Timestamp::MIN).await?.len(), 3)
}

pub(super) async fn a_line_that_is_wrong_brings_nothing(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    for (section, line, said) in [
        ("patient", r#"{"id":"p-1","name":7}"#, "section patient, line 0: name: want a text"),
        ("message", r#"{"kit":"kit-1"}"#, "section message, line 0: not a message, at its character 15"),
        ("moon", "{}", "section moon, line 0: a section that is not known here"),
    ] {
        let mut load = store.load().await?;
        let refused = load.put(section, &[line.to_owned()]).await.err().map(|error| error.to_string());
        same("refusal", refused.as_deref(), Some(said))?;
    }
    same("nothing came in", store.holdings().await?.iter().map(|(_, rows)| rows).sum(), 0_u64)
}

fn said() -> JournalEntry {
    let what = Journal::PersonErased { reason: "asked for".to_owned(), rows: 7 };
    JournalEntry { at: at(99), by: Some("bo".to_owned()), patient: None, what }
}

pub(super) async fn a_person_is_handed_out_and_erased(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    filled(&*store).await?;
    let theirs = dumped(&*store, Some("p-1")).await?;
    let counts: Vec<(&str, usize)> =
        theirs.iter().filter(|(_, lines)| !lines.is_empty()).map(|(section, lines)| (*section, lines.len())).collect();
    let wanted = [
        ("alert", 1),
        ("alert_event", 2),
        ("assessment", 1),
        ("command", 1),
        ("enrolment", 1),
        ("heard", 1),
        ("journal", 1),
        ("kit", 2),
        ("message", 2),
        ("patient", 1),
        ("quarantine", 2),
        ("receipt", 1),
        ("shadow_alert", 1),
    ];
    same("handed out", counts, wanted.to_vec())?;
    let others = dumped(&*store, Some("p-10")).await?;

    let erased = store.erase(&of("p-1"), &[said()]).await?;
    same("readings", (erased.0.get("reading"), erased.0.get("answer")), (Some(&4), Some(&1)))?;
    same("messages", erased.0.get("message"), Some(&2))?;
    store.scrub().await?;
    drop(store);
    let store = open().await?;
    let left = dumped(&*store, None).await?;
    for (section, lines) in &left {
        let named =
            lines.iter().any(|line| line.contains("\"p-1\"") || line.contains("Nielsen") || line.contains("Hej Ane"));
        ensure(!named, &format!("{section} still names the person"))?;
    }
    ensure(dumped(&*store, Some("p-1")).await?.values().all(Vec::is_empty), "something is still theirs")?;
    let mut as_before = others.clone();
    if let Some(kits) = as_before.get_mut("kit") {
        kits.iter_mut().for_each(|kit| *kit = kit.replace(r#"["p-1","p-10"]"#, r#"["p-10"]"#));
    }
    same("the other person", dumped(&*store, Some("p-10")).await?, as_before)?;
    same("marks", left["message"].len(), 5)?;
    let words = store.journal(JournalFilter { entries: Some(&["person_erased"]), ..JournalFilter::default() }).await?;
    same("said", words.iter().map(|entry| (&entry.patient, &entry.what)).collect(), vec![(&None, &said().what)])?;

    let again = store.commit(&batch(100, vec![plain("kit-1", 1, "p-1")])).await;
    ensure(matches!(again, Err(StoreError::Duplicate { .. })), "what was sent before came back")?;
    store.commit(&batch(101, vec![plain("station", 9, "p-10")])).await?;
    let mut history = store.history(&HistoryFilter::default()).await?;
    let mut found = Vec::new();
    while let Some(chunk) = history.next().await {
        let chunk = chunk?;
        for message in &chunk.messages {
            let values = chunk.readings_of(message).iter().map(|reading| reading.value.to_string());
            found.push((history.names().patient(message).as_str().to_owned(), values.collect::<Vec<_>>().join(" ")));
        }
    }
    let wanted = [("p-10", "94"), ("p-10", "95"), ("p-10", "93")].map(|(id, value)| (id.to_owned(), value.to_owned()));
    same("history", found, wanted.to_vec())?;
    ensure(store.erase(&of("p-1"), &[]).await?.is_nothing(), "something of them came back")
}

/// One field of each row.
fn fields(lines: &Lines, section: &str, name: &str) -> Vec<String> {
    let field = |line: &String| -> Option<String> {
        let row: serde_json::Value = serde_json::from_str(line).ok()?;
        row[name].as_str().map(str::to_owned)
    };
    lines.get(section).into_iter().flatten().filter_map(field).collect()
}

fn asked(id: &str, whose: Option<&str>, second: i64) -> Command {
    Command { patient: whose.map(of_patient), ..command(id, second) }
}

/// What the kit brings: receipts, and something that can't be read.
fn brought(seq: u64, whose: &str, commands: &[&str], outcome: Progress, second: i64) -> Batch {
    let receipts = commands.iter().map(|command| receipt(command, outcome, second)).collect();
    let entry = Entry { patient: of_patient(whose), ..brings("kit-1", seq, receipts) };
    let nonsense = Quarantined {
        kit: of("kit-1"),
        seq: None,
        hash: [seq.to_le_bytes()[0]; 32],
        bytes: format!("half of {whose}").into_bytes(),
        reason: "not JSON".to_owned(),
        whole: true,
    };
    Batch { quarantined: vec![nonsense], ..batch(second, vec![entry]) }
}

/// A kit goes from p-1 to p-2. "old" is a command as earlier programs kept it: for nobody by name.
pub(super) async fn a_kit_that_changed_hands_takes_nothing_along(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    for (seq, second, to) in [(1, 0, "p-1"), (2, 100, "p-2")] {
        let patients = vec![patient("p-1", "Ane"), patient("p-2", "Bo")];
        store.put_roster(&Roster { patients, kits: vec![kit("kit-1", to)] }, at(second)).await?;
        let (named, old) = (format!("for {to}"), format!("old {to}"));
        store.put_command(&asked(&named, Some(to), second + 1)).await?;
        store.put_command(&asked(&old, None, second + 1)).await?;
        store.commit(&brought(seq, to, &[named.as_str(), old.as_str()], Progress::Taken, second + 2)).await?;
        let theirs = dumped(&*store, Some(to)).await?;
        same("since it is theirs", fields(&theirs, "command", "id"), vec![named.clone(), old.clone()])?;
        same("what was said of it", fields(&theirs, "receipt", "command"), vec![named, old])?;
        same("quarantine", theirs["quarantine"].len(), 1)?;
    }
    // What was for p-1, the kit tells of when p-2 has it.
    store.commit(&brought(3, "p-2", &["for p-1", "unknown"], Progress::Read, 103)).await?;

    let [ane, bo] = [dumped(&*store, Some("p-1")).await?, dumped(&*store, Some("p-2")).await?];
    same("of p-1", fields(&ane, "command", "id"), vec!["for p-1".to_owned()])?;
    same("what was said of it", fields(&ane, "receipt", "outcome"), vec!["read".to_owned(), "taken".to_owned()])?;
    same("their kit, and what it sent", (ane["kit"].len(), ane["quarantine"].len(), ane["message"].len()), (0, 1, 1))?;
    same("what is said of it", fields(&ane, "journal", "entry"), vec!["kit_left".to_owned()])?;
    same("of p-2", fields(&bo, "command", "id"), vec!["for p-2".to_owned(), "old p-2".to_owned()])?;
    let said = ["for p-2", "old p-2", "unknown"].map(str::to_owned);
    same("what was said of those", fields(&bo, "receipt", "command"), said.to_vec())?;
    let half = crate::carry::line::encoded(b"half of p-2");
    same("quarantine", fields(&bo, "quarantine", "bytes"), vec![half.clone(), half])?;

    store.erase(&of("p-2"), &[]).await?;
    same("p-1 keeps theirs", dumped(&*store, Some("p-1")).await?, ane)?;
    store.erase(&of("p-1"), &[]).await?;
    let left = dumped(&*store, None).await?;
    // Nobody's: of whom it was, nothing says.
    same("left", fields(&left, "command", "id"), vec!["old p-1".to_owned()])?;
    same("of what was said", fields(&left, "receipt", "command"), vec!["old p-1".to_owned()])?;
    same("in quarantine", left["quarantine"].len(), 0)
}

/// What a kit brought that could not be used: measured and answered then.
fn late(number: u8, measured: &[i64]) -> Quarantined {
    let readings: Vec<_> =
        measured.iter().map(|second| serde_json::json!({ "value": number, "measured_at": at(*second) })).collect();
    Quarantined {
        kit: of("kit-1"),
        seq: None,
        hash: [number; 32],
        bytes: serde_json::json!({ "readings": readings }).to_string().into_bytes(),
        reason: "readings[0]: measured_at is before the kit was handed out".to_owned(),
        whole: true,
    }
}

/// The numbers of what is in quarantine.
fn numbers(lines: &Lines) -> Vec<u8> {
    let hashes = fields(lines, "quarantine", "hash");
    hashes.iter().filter_map(|hash| crate::carry::line::decoded(hash).ok()?.first().copied()).collect()
}

/// A kit goes from p-1 to p-2 and to p-3, and sends late what it measured before.
pub(super) async fn what_comes_late_is_of_whoever_had_the_kit(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    for (second, to) in [(0, "p-1"), (100, "p-2"), (200, "p-3")] {
        let patients = ["p-1", "p-2", "p-3"].map(|id| patient(id, "Ane")).to_vec();
        store.put_roster(&Roster { patients, kits: vec![kit("kit-1", to)] }, at(second)).await?;
    }
    let measured: [&[i64]; 8] = [&[50], &[150], &[50, 210], &[210], &[-50], &[-2_000_000_000], &[150, 50], &[900]];
    let quarantined = measured.iter().zip(1..).map(|(seconds, number)| late(number, seconds)).collect();
    store.commit(&Batch { quarantined, ..batch(220, Vec::new()) }).await?;
    let named = Quarantined {
        bytes: br#"{"patient":"p-1","readings":[{"measured_at":"2026-11-22T08:03:35Z"}]}"#.to_vec(),
        reason: "message is for patient p-1, and kit kit-1 is given to p-3".to_owned(),
        ..late(9, &[])
    };
    store.commit(&Batch { quarantined: vec![named], ..batch(221, Vec::new()) }).await?;
    drop(store);
    let store = open().await?;
    let mut theirs = Vec::new();
    for (id, wanted) in [("p-1", vec![1, 3, 7, 9]), ("p-2", vec![2, 7]), ("p-3", vec![4, 6, 8])] {
        let lines = dumped(&*store, Some(id)).await?;
        same(id, numbers(&lines), wanted)?;
        theirs.push(lines);
    }
    // With p-3 goes what came to them and is nobody else's, and what names them.
    store.erase(&of("p-3"), &[]).await?;
    same("left", numbers(&dumped(&*store, None).await?), vec![1, 2, 3, 7])?;
    same("p-2 keeps theirs", dumped(&*store, Some("p-2")).await?, theirs.remove(1))?;
    store.erase(&of("p-1"), &[]).await?;
    same("left", numbers(&dumped(&*store, None).await?), vec![2])?;
    store.erase(&of("p-2"), &[]).await?;
    same("left", numbers(&dumped(&*store, None).await?), Vec::new())
}
