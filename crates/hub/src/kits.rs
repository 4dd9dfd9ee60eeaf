//! Whose kit is silent: a kit that nothing is heard of says nothing of the person. What was heard is compared with what is allowed, and the
//! judge is told of each change, so that silence is put down to the kit and not to the person.
//!
//! How long a kit may be silent, the patient's programmes say, else the clinic's document (`silent_kit_after`); what its silence means, the
//! programme says too (`kit_silent`). For ten minutes after a start nobody is told that a kit is silent, since all of them are on their way back;
//! after that silence counts from when the kit was last heard, before the start or after it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use store::{Kit, Roster};
use tokio::sync::mpsc;
use vitals::{KitId, PatientId};

use crate::{clock::Clock, directory::Directories, presence::Presence};

/// How often it is looked at.
const LOOK_PERIOD: Duration = Duration::from_secs(30);
/// After a start kits have so long to come back before one counts as silent.
const RETURN_MAX: SignedDuration = SignedDuration::from_mins(10);
/// What waits for the judge.
pub const KITS_HEARD_MAX: usize = 256;

/// One patient's kit fell silent, or came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KitHeard {
    /// Whose.
    pub patient: PatientId,
    /// Of several kits the one that was heard last.
    pub kit: KitId,
    /// Since when nothing is heard of it; none if something is.
    pub silent_since: Option<Timestamp>,
}

/// Tells the judge, for ever.
pub async fn watch(directories: Directories, presence: Arc<Presence>, to: mpsc::Sender<KitHeard>, clock: Clock) {
    let began = clock();
    tracing::info!("silent kits are told of from {} on, {RETURN_MAX:#} after the start", began + RETURN_MAX);
    let mut told = HashMap::new();
    loop {
        tokio::time::sleep(LOOK_PERIOD).await;
        let now = clock();
        if now.duration_since(began) < RETURN_MAX {
            continue;
        }
        let directory = directories.now();
        let heard = |kit: &Kit| presence.last(&kit.id);
        let allowed = |patient: &PatientId| directory.plan(patient).map(|plan| plan.silent_kit_after());
        for news in look(directory.roster(), heard, allowed, now, &mut told) {
            if to.send(news).await.is_err() {
                return;
            }
        }
    }
}

/// What is new since it was last told. `heard` gives whether a kit is connected, and when it was last heard; `allowed` how long a patient's kit
/// may be silent (nothing for somebody who is not judged).
fn look(
    roster: &Roster,
    heard: impl Fn(&Kit) -> Option<(bool, Timestamp)>,
    allowed: impl Fn(&PatientId) -> Option<SignedDuration>,
    now: Timestamp,
    told: &mut HashMap<PatientId, Option<Timestamp>>,
) -> Vec<KitHeard> {
    let mut best: HashMap<&PatientId, (bool, Timestamp, &KitId)> = HashMap::new();
    for kit in roster.kits.iter().filter(|kit| !kit.revoked) {
        let (online, at) = heard(kit).unwrap_or((false, kit.since.unwrap_or(now)));
        for patient in kit.people() {
            let known = best.entry(patient).or_insert((online, at, &kit.id));
            *known = (*known).max((online, at, &kit.id));
        }
    }
    told.retain(|patient, _| best.contains_key(patient));
    let mut news: Vec<KitHeard> = best
        .into_iter()
        .filter_map(|(patient, (online, at, kit))| {
            let allowed = allowed(patient).unwrap_or(SignedDuration::MAX);
            let silent_since = (!online && now.duration_since(at) > allowed).then_some(at);
            let before = told.insert(patient.clone(), silent_since);
            let is_news = before.is_none_or(|before| before.is_some() != silent_since.is_some());
            is_news.then(|| KitHeard { patient: patient.clone(), kit: kit.clone(), silent_since })
        })
        .collect();
    news.sort_by(|a, b| a.patient.cmp(&b.patient));
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_is_told_of_once_and_counts_as_silent_when_every_kit_is() {
        let roster: Roster = toml::from_str(
            "[[kit]]\nid = \"kit-1\"\npatient = \"p-1\"\n[[kit]]\nid = \"kit-2\"\npatient = \"p-1\"\n\
             [[kit]]\nid = \"bus\"\npatients = [\"p-2\"]\n",
        )
        .unwrap();
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        let mut told = HashMap::new();
        let mut looks = |hour: i64, one: (bool, i64), two: (bool, i64), bus: (bool, i64)| -> Vec<String> {
            let heard = |kit: &Kit| {
                let (online, hour) = match kit.id.as_str() {
                    "kit-1" => one,
                    "kit-2" => two,
                    _ => bus,
                };
                Some((online, at(hour)))
            };
            // p-2's programme is stricter.
            let allowed =
                |patient: &PatientId| Some(SignedDuration::from_hours(if patient.as_str() == "p-2" { 4 } else { 12 }));
            let news = look(&roster, heard, allowed, at(hour), &mut told);
            let said = |news: &KitHeard| {
                let since = news.silent_since.map_or(-1, |since| since.as_second() / 3600);
                format!("{} {} {since}", news.patient, news.kit)
            };
            news.iter().map(said).collect()
        };
        assert_eq!(looks(1, (true, 0), (false, 0), (true, 0)), ["p-1 kit-1 -1", "p-2 bus -1"]);
        assert!(looks(14, (true, 0), (false, 0), (false, 10)).is_empty());
        assert_eq!(looks(15, (true, 0), (false, 0), (false, 10)), ["p-2 bus 10"]);
        assert!(looks(22, (false, 9), (false, 10), (false, 10)).is_empty());
        assert_eq!(looks(23, (false, 9), (false, 10), (false, 10)), ["p-1 kit-2 10"]);
        assert!(looks(30, (false, 9), (false, 10), (false, 10)).is_empty());
        assert_eq!(looks(31, (true, 31), (false, 10), (false, 10)), ["p-1 kit-1 -1"]);
    }
}
