//! Whose something in quarantine is: of the one whom it names; else of whoever had the kit when it was measured, as far as the bytes say when that
//! was; else of whoever had it when it came.
//!
//! What was measured before the kit was theirs is never handed out to who has it now. If nobody knows of whom it is, it goes with whoever had the
//! kit when it came, once they are erased.

use jiff::Timestamp;
use vitals::PatientId;

use super::{Table, Words};
use crate::{
    Journal, JournalEntry, Kit, StoreError,
    convert::{json, nanos, parsed},
    rows::Row,
};

/// Who has which kit, and since when.
pub(crate) const HAVE: &str = "SELECT patient, id, since FROM kit WHERE patient IS NOT NULL";
/// Who had one before.
pub(crate) const HAD: &str =
    "SELECT p.patient, j.body FROM journal j JOIN patient_key p ON p.key = j.patient WHERE j.entry = 'kit_left'";
/// Who has the kit `$1`, and since when.
pub(crate) const HAS: &str = "SELECT patient, since FROM kit WHERE id = $1 AND patient IS NOT NULL";

/// No kit was in use before 2025: a clock that says so was never set.
const CLOCK_SET_EARLIEST: i64 = 1_735_689_600 * 1_000_000_000;

/// What the journal says when a kit is about to be put that a row of [`HAS`] gives to somebody else.
pub(crate) fn left(row: &impl Row, kit: &Kit, now: Timestamp) -> Result<Option<JournalEntry>, StoreError> {
    let patient: PatientId = parsed("kit", kit.id.as_str(), row.text(0)?)?;
    if kit.patient.as_ref() == Some(&patient) {
        return Ok(None);
    }
    let what = Journal::KitLeft { kit: kit.id.clone(), since: row.time(1)?, until: kit.since.unwrap_or(now) };
    Ok(Some(JournalEntry { at: now, by: None, patient: Some(patient), what }))
}

/// The question for the rows that may be of the person `$1`: the table's columns, the id, and whether its message is stored as theirs.
pub(crate) fn select(table: &Table, words: &Words) -> Option<String> {
    let Words { number, messages, .. } = words;
    let more = format!(", t.id{number}, (CASE WHEN (t.kit, t.seq) IN ({messages}) THEN 1 ELSE 0 END){number}");
    table.select_with(&more, words, true)
}

/// Everybody who has a kit of their own, or had one.
pub(crate) struct Owners(Vec<Owner>);

struct Owner {
    patient: String,
    kit: String,
    since: i64,
    until: Option<i64>,
}

impl Owner {
    fn had_it_at(&self, at: i64) -> bool {
        self.since <= at && self.until.is_none_or(|until| at < until)
    }

    /// Was it measured in their time? All of it, while they have the kit; some of it, if they had it before.
    fn measured(&self, kept: &Kept<'_>) -> bool {
        if kept.times.is_empty() {
            self.had_it_at(kept.recorded_at)
        } else if self.until.is_none() {
            kept.times.iter().all(|at| self.had_it_at(*at))
        } else {
            kept.times.iter().any(|at| self.had_it_at(*at))
        }
    }
}

/// A row of [`select`].
struct Kept<'a> {
    id: i64,
    kit: &'a str,
    recorded_at: i64,
    bytes: &'a [u8],
    reason: &'a str,
    /// Is its message stored as theirs who are asked for?
    is_stored: bool,
    /// Of whom the bytes say that it is.
    patient: Option<String>,
    /// When it was measured and answered, by the bytes; not later than it came.
    times: Vec<i64>,
}

impl<'a> Kept<'a> {
    fn of(row: &'a impl Row) -> Result<Self, StoreError> {
        let (recorded_at, bytes) = (row.number(3)?, row.bytes(4)?);
        let text = String::from_utf8_lossy(bytes);
        let times = ["measured_at", "answered_at"].into_iter().flat_map(|name| texts(&text, name));
        let times = times.filter_map(|text| text.parse::<Timestamp>().ok()).map(nanos);
        Ok(Self {
            id: row.number(7)?,
            kit: row.text_if_any(0)?.unwrap_or_default(),
            recorded_at,
            bytes,
            reason: row.text(5)?,
            is_stored: row.number(8)? != 0,
            patient: texts(&text, "patient").first().map(|id| (*id).to_owned()),
            times: times.filter(|at| *at >= CLOCK_SET_EARLIEST).map(|at| at.min(recorded_at)).collect(),
        })
    }

    /// Does it name them, in the bytes or in the reason?
    fn names(&self, patient: &PatientId) -> bool {
        let quoted = format!("\"{patient}\"");
        self.bytes.windows(quoted.len()).any(|part| part == quoted.as_bytes())
            || self.reason.split(' ').any(|word| word.trim_end_matches(',') == patient.as_str())
    }
}

/// Every text that a field of this name has, also in what is cut off or is no JSON at all.
fn texts<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let quoted = format!("\"{name}\"");
    let fields = text.match_indices(&quoted).filter_map(|(at, found)| {
        let value = text.get(at + found.len()..)?.trim_start().strip_prefix(':')?;
        Some(value.trim_start().strip_prefix('"')?.split_once('"')?.0)
    });
    fields.collect()
}

impl Owners {
    /// From the rows of [`HAVE`] and [`HAD`].
    pub(crate) fn read(have: &[impl Row], had: &[impl Row]) -> Result<Self, StoreError> {
        let mut owners = Vec::with_capacity(have.len() + had.len());
        for row in have {
            owners.push(Owner { patient: row.string(0)?, kit: row.string(1)?, since: row.number(2)?, until: None });
        }
        for row in had {
            let what: Journal = json("journal", "kit_left", row.text(1)?)?;
            if let Journal::KitLeft { kit, since, until } = what {
                let (kit, since, until) = (kit.as_str().to_owned(), nanos(since), Some(nanos(until)));
                owners.push(Owner { patient: row.string(0)?, kit, since, until });
            }
        }
        Ok(Self(owners))
    }

    /// Is a row of [`select`] handed out to this person?
    pub(crate) fn is_of(&self, row: &impl Row, patient: &PatientId) -> Result<bool, StoreError> {
        Ok(self.is_theirs(&Kept::of(row)?, patient))
    }

    /// The id of a row of [`select`] that goes when this person is erased: it is theirs, names them, or came while the kit was theirs and nobody
    /// knows that it is somebody else's.
    pub(crate) fn goes_with(&self, row: &impl Row, patient: &PatientId) -> Result<Option<i64>, StoreError> {
        let kept = Kept::of(row)?;
        let (theirs, others) = self.of_kit(kept.kit, patient);
        let came_to_them = theirs.iter().any(|owner| owner.had_it_at(kept.recorded_at));
        let is_anothers =
            kept.patient.is_some() || others.iter().any(|owner| owner.until.is_some() && owner.measured(&kept));
        let goes = self.is_theirs(&kept, patient) || kept.names(patient) || (came_to_them && !is_anothers);
        Ok(goes.then_some(kept.id))
    }

    fn is_theirs(&self, kept: &Kept<'_>, patient: &PatientId) -> bool {
        if let Some(named) = &kept.patient {
            return named == patient.as_str();
        }
        let (theirs, _) = self.of_kit(kept.kit, patient);
        kept.names(patient) || theirs.iter().any(|owner| owner.measured(kept)) || (theirs.is_empty() && kept.is_stored)
    }

    /// The times in which a kit was theirs, and those in which it was others'.
    fn of_kit(&self, kit: &str, patient: &PatientId) -> (Vec<&Owner>, Vec<&Owner>) {
        self.0.iter().filter(|owner| owner.kit == kit).partition(|owner| owner.patient == patient.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_in_what_is_cut_off_too() {
        let text = r#"{"patient" : "p-1","question":"measured_at","readings":[{"measured_at":"2026-11-22T08:00:00Z"},{"measured_at": "2026-"#;
        assert_eq!(texts(text, "measured_at"), ["2026-11-22T08:00:00Z"]);
        assert_eq!(texts(text, "patient"), ["p-1"]);
        assert!(texts(r#"{"patient":null}"#, "patient").is_empty());
    }
}
