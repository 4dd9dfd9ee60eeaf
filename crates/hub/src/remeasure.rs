//! Another measurement, asked of the kit at once: a doubtful value is measured again while the person is still there. Once for a vital and a
//! sitting, and of a kit that is there alone: what is asked hours later helps nobody.

use std::sync::Arc;

use desk::Ask;
use jiff::{SignedDuration, Timestamp};
use store::Store;
use tokio::sync::mpsc;
use uuid::Uuid;
use vitals::{KitId, PatientId, SessionId, Vital};

use crate::{clock, directory::Directories, presence::Presence};

/// What waits to be asked; beyond this it is not asked, and counted.
pub const REMEASURES_MAX: usize = 256;
/// A kit that was heard this lately is there.
const LATELY: SignedDuration = SignedDuration::from_mins(5);
/// How long it is worth doing.
const LASTS: SignedDuration = SignedDuration::from_mins(15);
/// Ids are made from what they ask for: the same is asked once.
const NAMES: Uuid = Uuid::from_u128(0x7c1d_02b6_4f0e_5b37_8d21_6a90_11c4_e85d);

/// Something that should be measured again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// By whom.
    pub patient: PatientId,
    /// With which kit.
    pub kit: KitId,
    /// In which sitting the doubtful value came.
    pub session: SessionId,
    /// What.
    pub vital: Vital,
}

/// Asks, for ever.
pub async fn keep(
    mut wanted: mpsc::Receiver<Wanted>,
    store: Arc<dyn Store>,
    directories: Directories,
    presence: Arc<Presence>,
) {
    while let Some(one) = wanted.recv().await {
        let directory = directories.now();
        let Some(kit) = directory.roster().kits.iter().find(|kit| kit.id == one.kit) else { continue };
        let now = clock::now();
        if !is_there(presence.last(&one.kit), now) {
            metrics::counter!("vagt_remeasure_not_asked_total").increment(1);
            continue;
        }
        match desk::ask(&*store, kit, ask(&one, now), None, now).await {
            Ok(_) => metrics::counter!("vagt_remeasure_asked_total").increment(1),
            Err(error) => tracing::warn!(kit = %one.kit, "another measurement is not asked for: {error}"),
        }
    }
}

fn is_there(heard: Option<(bool, Timestamp)>, now: Timestamp) -> bool {
    heard.is_some_and(|(online, at)| online || now.duration_since(at) < LATELY)
}

fn ask(wanted: &Wanted, now: Timestamp) -> Ask {
    let Wanted { patient, kit, session, vital } = wanted;
    let name = format!("{kit} {patient} {session} {}", vital.name());
    Ask {
        id: Some(Uuid::new_v5(&NAMES, name.as_bytes()).to_string()),
        command: "remeasure".to_owned(),
        vital: Some(*vital),
        text: Some(TEXT.to_owned()),
        schedule: None,
        patient: Some(patient.clone()),
        expires_at: now.checked_add(LASTS).ok(),
    }
}

/// What the person reads, in both languages: the kit says itself what to measure and how.
const TEXT: &str = "Vi er ikke sikre på den sidste måling. Mål venligst en gang til. / \
                    We are not sure of the last measurement. Please measure once more.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_of_one_sitting_is_asked_once_and_of_a_kit_that_is_there() {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let wanted = |session: u128, vital| Wanted {
            patient: "p-1".parse().unwrap(),
            kit: "kit-1".parse().unwrap(),
            session: Uuid::from_u128(session),
            vital,
        };
        let id = |session, vital| ask(&wanted(session, vital), now).id;
        assert_eq!(id(1, Vital::Spo2), id(1, Vital::Spo2));
        assert_ne!(id(1, Vital::Spo2), id(2, Vital::Spo2));
        assert_ne!(id(1, Vital::Spo2), id(1, Vital::Pulse));
        assert!(TEXT.chars().count() < 200);
        let ago = |minutes| Some((false, now - SignedDuration::from_mins(minutes)));
        assert!(is_there(Some((true, now - LATELY * 9)), now) && is_there(ago(4), now));
        assert!(!is_there(ago(6), now) && !is_there(None, now));
    }
}
