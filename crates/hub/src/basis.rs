//! What a patient is judged by, in a form that is stored: which versions of which programmes, own settings, since when, in which time zone, and
//! which readings are left out. The judge writes it into the journal whenever it changes, so that a replay judges by the same.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::KitSeq;
use triage::Judging;
use vitals::KitId;

/// A reading of a stored message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReadingPlace {
    /// The kit that sent it.
    pub kit: KitId,
    /// The message it came in.
    pub seq: u64,
    /// Its place among the message's stored readings, from 0.
    pub place: u16,
}

/// A programme in one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionOf {
    /// The programme's id.
    pub id: String,
    /// Its version.
    pub version: u32,
}

/// What a patient is judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// The programmes, in the patient's order.
    pub programmes: Vec<VersionOf>,
    /// The version of the clinic's defaults and floors.
    pub clinic: u32,
    /// In which way findings feed alerts.
    #[serde(default, skip_serializing_if = "Judging::is_first")]
    pub judging: Judging,
    /// Own settings, in the form of `triage::Own`.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub own: serde_json::Value,
    /// The risk level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stratum: Option<String>,
    /// Nothing is expected before.
    pub since: Timestamp,
    /// The time zone of schedules.
    pub zone: String,
    /// Readings that are left out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<ReadingPlace>,
}

impl Basis {
    /// Is this reading of a stored message left out?
    #[must_use]
    pub fn is_left_out(&self, message: &KitSeq, place: usize) -> bool {
        let (kit, seq) = (message.kit.clone(), message.seq);
        !self.without.is_empty()
            && u16::try_from(place).is_ok_and(|place| self.without.contains(&ReadingPlace { kit, seq, place }))
    }

    /// What is different from the one before, in words for the journal.
    #[must_use]
    pub fn changes(&self, before: &Self) -> String {
        let mut said = Vec::from_iter(self.changes_plan_of(before));
        let (left_out, restored) =
            (self.without.difference(&before.without).count(), before.without.difference(&self.without).count());
        for (count, what) in [(left_out, "invalidated"), (restored, "restored")] {
            match count {
                0 => {}
                1 => said.push(format!("1 reading was {what}")),
                _ => said.push(format!("{count} readings were {what}")),
            }
        }
        said.join("; ")
    }

    /// The same of the plan alone, without the readings. None if the plan is the same.
    #[must_use]
    pub fn changes_plan_of(&self, before: &Self) -> Option<String> {
        let mut said = Vec::new();
        if self.programmes != before.programmes {
            let named: Vec<_> =
                self.programmes.iter().map(|one| format!("{} version {}", one.id, one.version)).collect();
            said.push(format!("judged by {}", named.join(" and ")));
        }
        if self.clinic != before.clinic {
            said.push("the clinic's defaults have changed".to_owned());
        }
        if self.judging != before.judging {
            said.push("judged in a newer way".to_owned());
        }
        if self.own != before.own {
            said.push("own settings have changed".to_owned());
        }
        if self.stratum != before.stratum {
            said.push("the risk level has changed".to_owned());
        }
        if (self.since, &self.zone) != (before.since, &before.zone) {
            said.push("since when, or in which time zone, has changed".to_owned());
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_different() {
        let copd = |version| vec![VersionOf { id: "copd".into(), version }];
        let before = Basis {
            programmes: copd(3),
            clinic: 1,
            judging: Judging::First,
            own: serde_json::Value::Null,
            stratum: None,
            since: Timestamp::UNIX_EPOCH,
            zone: "UTC".into(),
            without: BTreeSet::new(),
        };
        assert_eq!(before.changes(&before), "");
        let mut after = Basis { programmes: copd(4), ..before.clone() };
        after.without.insert(ReadingPlace { kit: "kit-1".parse().unwrap(), seq: 7, place: 0 });
        assert_eq!(after.changes(&before), "judged by copd version 4; 1 reading was invalidated");
        assert_eq!(before.changes(&after), "judged by copd version 3; 1 reading was restored");
        let text = serde_json::to_string(&after).unwrap();
        assert_eq!(serde_json::from_str::<Basis>(&text).unwrap(), after);
    }
}
