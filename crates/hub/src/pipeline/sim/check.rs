//! What must be true of every story when it has come to rest.

use std::collections::{BTreeSet, HashMap};

use store::KitSeq;
use triage::EventKind;
use vitals::{KitId, PatientId};

use super::story::{Story, Told};
use crate::cli::replay::verified;

/// Checks everything.
pub async fn all(story: &Story) -> Result<Told, String> {
    let gaps = every_measurement_once(story)?;
    each_kit_in_order(story)?;
    poison_is_kept_once(story)?;
    every_alert_raised_once(story)?;
    the_board_shows_what_is_open(story)?;
    let set_back = set_back(story);
    retold(story, set_back).await?;
    let state = story.disk.state();
    let messages = state.messages.len();
    Ok(Told { messages, alerts: state.alerts.len(), gaps, set_back, ..Told::default() })
}

/// Each measurement is stored once; or it is in its kit's counted gap; or it is in quarantine for its time, where a clock was wrong.
fn every_measurement_once(story: &Story) -> Result<usize, String> {
    let state = story.disk.state();
    let mut stored: HashMap<u128, u32> = HashMap::new();
    for entry in &state.messages {
        *stored.entry(entry.session.as_u128()).or_default() += 1;
    }
    let refused = |session: u128| {
        let said = uuid::Uuid::from_u128(session).to_string();
        let in_time = |reason: &str| reason.contains("in the future") || reason.contains("before the kit");
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(&said);
        state.quarantine.iter().filter(|(row, _)| in_time(&row.reason) && holds(&row.bytes)).count()
    };
    let mut gaps = 0;
    for kit in &story.kits {
        let spool = kit.spool();
        let given_up: BTreeSet<u64> = spool.given_up.iter().copied().collect();
        gaps += given_up.len();
        for id in 0..spool.spooled {
            let session = kit.session(id).as_u128();
            let times = stored.get(&session).copied().unwrap_or_default();
            let excused = given_up.contains(&id) || (story.clocks_were_wrong && refused(session) > 0);
            if times > 1 || (times == 0 && !excused) {
                return Err(format!("the {id}th measurement of {} is stored {times} times", kit.id));
            }
        }
    }
    Ok(gaps)
}

/// At the front door a kit's messages are judged as it measured: those that are late are not overtaken by its own. (A broker may lose one in the
/// middle, which comes after the others; so does one that was turned away.)
fn each_kit_in_order(story: &Story) -> Result<(), String> {
    if story.net.broker.is_some() || story.net.trace.was_troubled() {
        return Ok(());
    }
    let state = story.disk.state();
    let mut last: HashMap<&KitId, u64> = HashMap::new();
    for entry in &state.messages {
        let KitSeq { kit, seq } = &entry.key;
        if let Some(before) = last.insert(kit, *seq).filter(|before| before >= seq) {
            return Err(format!("message {seq} of {kit} was judged after {before}"));
        }
    }
    Ok(())
}

/// The same bytes go into quarantine once a day and life of the hub, however often they come.
fn poison_is_kept_once(story: &Story) -> Result<(), String> {
    if story.clocks_were_wrong {
        return Ok(());
    }
    let state = story.disk.state();
    let [first, last] = [state.quarantine.first(), state.quarantine.last()].map(|row| row.map(|(_, at)| *at));
    let days = first.zip(last).map_or(0, |(first, last)| last.duration_since(first).as_hours() / 24);
    let most = usize::try_from(days + 2).unwrap_or(usize::MAX).saturating_mul(story.told.starts as usize);
    let mut kept: HashMap<(&KitId, Option<u64>, [u8; 32]), usize> = HashMap::new();
    for (row, _) in &state.quarantine {
        let times = kept.entry((&row.kit, row.seq, row.hash)).or_default();
        *times += 1;
        if *times > most {
            return Err(format!("the same {} bytes of {} are in quarantine {times} times", row.bytes.len(), row.kit));
        }
    }
    Ok(())
}

/// No alert was raised twice, and no event was kept twice.
fn every_alert_raised_once(story: &Story) -> Result<(), String> {
    for (alert, events) in &story.disk.state().alerts {
        let raised = events.iter().filter(|event| event.kind == EventKind::Raised).count();
        if raised != 1 {
            return Err(format!(
                "an alert of {} ({}) was raised {raised} times: {events:#?}",
                alert.patient, alert.family
            ));
        }
        if events.len() != alert.version as usize {
            let (kept, version) = (events.len(), alert.version);
            return Err(format!(
                "an alert of {} is at version {version}, with {kept} events: {events:#?}",
                alert.patient
            ));
        }
    }
    Ok(())
}

/// Step 8: the pages show what is stored.
fn the_board_shows_what_is_open(story: &Story) -> Result<(), String> {
    let Some(clinic) = &story.clinic else { return Err("no hub runs at the end".to_owned()) };
    let (_, shown) = clinic.board.queue();
    let shown: BTreeSet<_> = shown.iter().map(|alert| (alert.id, alert.version)).collect();
    let open: BTreeSet<_> = story.disk.state().open(None).iter().map(|alert| (alert.id, alert.version)).collect();
    if shown == open { Ok(()) } else { Err(format!("the board shows {shown:?}, open are {open:?}")) }
}

fn set_back(story: &Story) -> bool {
    let is_set_back =
        |entry: &store::JournalEntry| matches!(&entry.what, store::Journal::Started { set_back_from: Some(_) });
    story.disk.state().journal.values().any(is_set_back)
}

/// What is stored, folded from the first stamp on, gives the alerts that are stored, byte for byte. (Where the hub's clock was set back, stamps
/// do not say in which order it was judged: decision 0073.)
async fn retold(story: &Story, set_back: bool) -> Result<(), String> {
    if set_back {
        return Ok(());
    }
    let patients: Vec<PatientId> = story.kits.iter().map(|kit| kit.patient.clone()).collect();
    let (_, found) = verified(&*story.disk, &patients).await.map_err(|error| format!("{error:?}"))?;
    found.first().map_or(Ok(()), |first| Err(format!("told again, {} things are otherwise: {first}", found.len())))
}
