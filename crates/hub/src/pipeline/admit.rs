//! Step 5. A payload becomes readings of a known patient, plausible and in canonical units. Pure; the first half of admission, which needs no
//! chart and no memory. Whether it was seen before, and whether it steps too far from the reading before, the pipeline says.
//!
//! One bad reading does not cost its neighbours: it goes to quarantine with its reason, and they are admitted. Bounds: `vitals::plausible`;
//! of pairs: the diastolic pressure is at least 10 mm[Hg] under the systolic, and FEV1 is no more than FVC (the project's clinical
//! reference, section 2.1).

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use store::{Entry, KitSeq, Progress, Quarantined, Receipt};
use triage::asks_to_be_called;
use vitals::{
    Answer, CLOCK_AHEAD_MAX, Decimal, Flag, KitId, PatientId, Plausibility, Reading, Vital, check_time, check_value,
};
use wire::{Arrived, CommandOutcome, Message, RefusedPart};

use crate::{
    clock,
    directory::{Directory, KnownKit},
    source::Arrival,
    watching::traces::{AtKit, Way},
};

/// The most reasons that are spelt out for one message; the rest is counted.
pub const REASONS_MAX: usize = 16;

/// What admission made of a payload.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The kit whose credentials brought it.
    pub kit: KitId,
    /// Its seq, where that could be read.
    pub seq: Option<u64>,
    /// The oldest message that the kit still keeps, if it says so.
    pub oldest: Option<u64>,
    /// SHA-256 of what it says; of its bytes, if it can't be understood.
    pub hash: [u8; 32],
    /// What is to be stored as readings and answers.
    pub entry: Option<Entry>,
    /// Why it, or part of it, is to be quarantined.
    pub refused: Option<String>,
    /// The same in a word, to be counted.
    pub why: &'static str,
    /// Its way, where it is traced.
    pub way: Way,
}

impl Admitted {
    /// When the newest of what it says was measured or answered.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        let entry = self.entry.as_ref()?;
        let measured = entry.readings.iter().map(|reading| reading.measured_at);
        measured.chain(entry.answers.iter().map(|answer| answer.answered_at)).max()
    }

    /// Begins its trace, where its sitting is one of those that are traced.
    pub fn trace(&mut self, received_at: Timestamp) {
        let Some(entry) = &self.entry else { return };
        let at_kit = || AtKit {
            span: wire::TraceParent::of(&entry.session, entry.key.seq),
            from: self.newest().unwrap_or(entry.sent_at),
            sent_at: entry.sent_at,
        };
        self.way = Way::begin(at_kit, received_at);
        if self.way.is_traced() {
            self.way.step("admit", received_at, clock::now(), 1);
        }
    }

    /// The quarantine's row for it, if it needs one.
    #[must_use]
    pub fn quarantined(&self, bytes: &[u8]) -> Option<Quarantined> {
        let reason = self.refused.clone()?;
        Some(self.in_quarantine(bytes, reason, self.entry.is_none()))
    }

    /// The quarantine's row for all of it: its seq was used before, for something else.
    #[must_use]
    pub fn reused(&self, bytes: &[u8]) -> Quarantined {
        let seq = self.seq.unwrap_or_default();
        self.in_quarantine(bytes, format!("seq {seq} was used before with other content"), false)
    }

    fn in_quarantine(&self, bytes: &[u8], reason: String, whole: bool) -> Quarantined {
        let (kit, seq, hash) = (self.kit.clone(), self.seq, self.hash);
        Quarantined { kit, seq, hash, bytes: bytes.to_vec(), reason, whole }
    }
}

/// Reads and checks one payload.
#[must_use]
pub fn admit(directory: &Directory, arrival: &Arrival) -> Admitted {
    let kit = &arrival.kit;
    let refuse = |why, seq, oldest, hash, reason| {
        let (kit, refused) = (kit.clone(), Some(reason));
        Admitted { kit, seq, oldest, hash, entry: None, refused, why, way: Way::default() }
    };
    if let Some(reason) = &arrival.refused {
        return refuse("wrong_topic", None, None, Sha256::digest(&arrival.payload).into(), reason.clone());
    }
    let arrived = match wire::decode(&arrival.payload) {
        Ok(arrived) => arrived,
        Err(error) => {
            return refuse("unreadable", error.seq, None, Sha256::digest(&arrival.payload).into(), error.reason);
        }
    };
    let (seq, oldest, hash) = (Some(arrived.message.seq), arrived.message.oldest, content_hash(&arrived));
    let Some(known) = directory.kit(kit) else {
        return refuse("unknown_kit", seq, oldest, hash, format!("kit {kit} is not in the roster"));
    };
    let patient = match whose(kit, known, &arrived.message) {
        Ok(patient) => patient.clone(),
        Err(reason) => return refuse("not_theirs", seq, oldest, hash, reason),
    };
    let Message { readings, answers, receipts, .. } = &arrived.message;
    let said = readings.len() + answers.len() + receipts.len() + arrived.refused.len();
    let (entry, refused) = check(kit, patient, arrived, hash, known.since, arrival.received_at);
    let empty = said > 0 && entry.readings.is_empty() && entry.answers.is_empty() && entry.receipts.is_empty();
    let (kit, entry, refused) = (kit.clone(), (!empty).then_some(entry), sentence(&refused));
    Admitted { kit, seq, oldest, hash, entry, refused, why: "implausible", way: Way::default() }
}

/// Whose a message is. What measures nobody (receipts of a kit that several people share) is kept with the first of them.
fn whose<'a>(kit: &KitId, known: &'a KnownKit, message: &'a Message) -> Result<&'a PatientId, String> {
    let nobodys = message.patient.is_none() && message.readings.is_empty() && message.answers.is_empty();
    match known.patients.first().filter(|_| nobodys) {
        Some(first) => Ok(first),
        None => known.whose(kit, message.patient.as_ref()),
    }
}

fn check(
    kit: &KitId,
    patient: PatientId,
    arrived: Arrived,
    hash: [u8; 32],
    since: Timestamp,
    now: Timestamp,
) -> (Entry, Vec<RefusedPart>) {
    let Arrived { message, mut refused } = arrived;
    let mut readings = Vec::with_capacity(message.readings.len());
    for (index, reading) in message.readings.into_iter().enumerate() {
        match check_reading(reading, since, now) {
            Ok(reading) => readings.push((index, reading)),
            Err(reason) => refused.push(RefusedPart { at: format!("readings[{index}]"), reason }),
        }
    }
    check_pairs(&mut readings, &mut refused);
    let mut answers = message.answers;
    check_answers(&mut answers, since, now, &mut refused);
    let receipts = check_receipts(message.receipts, &mut refused);
    let entry = Entry {
        key: KitSeq { kit: kit.clone(), seq: message.seq },
        hash,
        patient,
        session: message.session,
        sent_at: message.sent_at,
        recorded_at: now,
        readings: readings.into_iter().map(|(_, reading)| reading).collect(),
        answers,
        receipts,
    };
    (entry, refused)
}

fn check_reading(reading: Reading, since: Timestamp, now: Timestamp) -> Result<Reading, String> {
    let mut reading = reading.into_canonical().map_err(|e| e.to_string())?;
    if let Plausibility::Reject(why) = check_time(reading.measured_at, since, now) {
        return Err(why);
    }
    match check_value(reading.vital, reading.value) {
        Plausibility::Ok => {}
        Plausibility::Suspect(_) => reading.flag(Flag::SUSPECT),
        Plausibility::Reject(why) => return Err(why),
    }
    Ok(reading)
}

/// The longest id of a command that a receipt may name.
pub const COMMAND_ID_CHARS_MAX: usize = 64;
/// The longest that a receipt may say (diagnostics say most).
pub const RECEIPT_DETAIL_BYTES_MAX: usize = 32 * 1024;
/// The smallest believable difference between systolic and diastolic pressure, in mm[Hg].
const PULSE_PRESSURE_MIN: Decimal = Decimal::TEN;

/// What was measured at once by one device must fit together.
fn check_pairs(readings: &mut Vec<(usize, Reading)>, refused: &mut Vec<RefusedPart>) {
    let mut impossible = Vec::new();
    for upper in 0..readings.len() {
        let (partner, is_pressure) = match readings[upper].1.vital {
            Vital::Systolic => (Vital::Diastolic, true),
            Vital::Fvc => (Vital::Fev1, false),
            _ => continue,
        };
        let Some(lower) = readings.iter().position(|(_, other)| fits(&readings[upper].1, other, partner)) else {
            continue;
        };
        let (high, low) = (readings[upper].1.value.decimal(), readings[lower].1.value.decimal());
        if is_pressure && high - low < PULSE_PRESSURE_MIN {
            impossible.push((upper, lower));
        } else if !is_pressure && low > high {
            readings[upper].1.flag(Flag::SUSPECT);
            readings[lower].1.flag(Flag::SUSPECT);
        }
    }
    refuse_pairs(readings, &impossible, refused);
}

fn fits(one: &Reading, other: &Reading, partner: Vital) -> bool {
    other.vital == partner && other.measured_at == one.measured_at && other.device == one.device
}

fn refuse_pairs(readings: &mut Vec<(usize, Reading)>, pairs: &[(usize, usize)], refused: &mut Vec<RefusedPart>) {
    let mut gone: Vec<usize> = Vec::new();
    for (upper, lower) in pairs {
        let reason = format!(
            "systolic {} and diastolic {} mm[Hg] can't belong together: want at least {PULSE_PRESSURE_MIN} between them",
            readings[*upper].1.value, readings[*lower].1.value
        );
        for place in [*upper, *lower] {
            if !gone.contains(&place) {
                gone.push(place);
                refused.push(RefusedPart { at: format!("readings[{}]", readings[place].0), reason: reason.clone() });
            }
        }
    }
    let mut place = 0;
    readings.retain(|_| {
        place += 1;
        !gone.contains(&(place - 1))
    });
}

fn check_answers(answers: &mut Vec<Answer>, since: Timestamp, now: Timestamp, refused: &mut Vec<RefusedPart>) {
    let mut index = 0;
    answers.retain_mut(|answer| {
        let at = index;
        index += 1;
        if let Some(reason) = wrong_time(answer.answered_at, since, now) {
            if asks_to_be_called(answer) && is_wrong_clock(answer.answered_at, now) {
                answer.answered_at = now;
                return true;
            }
            refused.push(RefusedPart { at: format!("answers[{at}]"), reason });
            return false;
        }
        true
    });
}

/// The time of a clock that was never set, or runs ahead. Who asks to be called is called all the same, as asked now; whereas a call that was
/// asked for before the kit was handed out is another person's.
fn is_wrong_clock(at: Timestamp, now: Timestamp) -> bool {
    at > now || at < CLOCK_SET_EARLIEST
}

/// No kit was ever in use before this.
const CLOCK_SET_EARLIEST: Timestamp = Timestamp::constant(1_735_689_600, 0); // 2025-01-01

fn check_receipts(receipts: Vec<wire::Receipt>, refused: &mut Vec<RefusedPart>) -> Vec<Receipt> {
    let mut good = Vec::with_capacity(receipts.len());
    for (index, wire::Receipt { command, outcome, at, detail }) in receipts.into_iter().enumerate() {
        let (id, said) = (command.chars().count(), detail.as_ref().map_or(0, String::len));
        if !(1..=COMMAND_ID_CHARS_MAX).contains(&id) || said > RECEIPT_DETAIL_BYTES_MAX {
            let reason = format!(
                "receipt names a command with {id} characters and says {said} bytes, \
                 want 1 to {COMMAND_ID_CHARS_MAX} and at most {RECEIPT_DETAIL_BYTES_MAX}"
            );
            refused.push(RefusedPart { at: format!("receipts[{index}]"), reason });
            continue;
        }
        let outcome = match outcome {
            CommandOutcome::Taken => Progress::Taken,
            CommandOutcome::Done => Progress::Done,
            CommandOutcome::Read => Progress::Read,
            CommandOutcome::Expired => Progress::Expired,
            CommandOutcome::Failed => Progress::Failed,
        };
        good.push(Receipt { command, outcome, at, detail });
    }
    good
}

fn wrong_time(at: Timestamp, since: Timestamp, now: Timestamp) -> Option<String> {
    if at.duration_since(now) > CLOCK_AHEAD_MAX {
        return Some(format!("answered_at {at} is in the future: it is {now}"));
    }
    (at < since).then(|| format!("answered_at {at} is before the kit was handed out, {since}"))
}

/// All reasons in one sentence, each with its place.
fn sentence(refused: &[RefusedPart]) -> Option<String> {
    let shown: Vec<_> = refused.iter().take(REASONS_MAX).map(|part| format!("{}: {}", part.at, part.reason)).collect();
    let more = refused.len().saturating_sub(REASONS_MAX);
    match (shown.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(shown.join("; ")),
        _ => Some(format!("{}; and {more} more", shown.join("; "))),
    }
}

/// SHA-256 of what a message says: the same however often, and whenever, it is sent. What older kits never said adds nothing where it is
/// absent, so that their hashes stay as they are stored.
fn content_hash(arrived: &Arrived) -> [u8; 32] {
    let message = &arrived.message;
    let mut said = Vec::with_capacity(64 + 96 * message.readings.len() + 64 * message.answers.len());
    said.extend(message.session.as_bytes());
    for reading in &message.readings {
        say_reading(&mut said, reading);
    }
    for answer in &message.answers {
        let Answer { questionnaire, version, question, answer, answered_at } = answer;
        for text in [questionnaire, question, answer] {
            say(&mut said, text);
        }
        said.extend(version.to_be_bytes());
        said.extend(answered_at.as_nanosecond().to_be_bytes());
    }
    if let Some(patient) = &message.patient {
        say(&mut said, "patient");
        say(&mut said, patient.as_str());
    }
    for wire::Receipt { command, outcome, at, detail } in &message.receipts {
        for text in ["receipt", command, detail.as_deref().unwrap_or_default()] {
            say(&mut said, text);
        }
        said.push(*outcome as u8);
        said.extend(at.as_nanosecond().to_be_bytes());
    }
    for part in &arrived.refused {
        say(&mut said, &part.at);
        say(&mut said, &part.reason);
    }
    Sha256::digest(&said).into()
}

fn say_reading(said: &mut Vec<u8>, reading: &Reading) {
    say(said, reading.vital.name());
    say(said, reading.unit.ucum());
    let value = reading.value.decimal();
    said.extend(value.mantissa().to_be_bytes());
    said.extend(value.scale().to_be_bytes());
    said.extend(reading.measured_at.as_nanosecond().to_be_bytes());
    said.push(reading.clock as u8);
    say(said, reading.device.as_str());
    for flag in &reading.flags {
        say(said, flag.as_str());
    }
    said.push(0);
}

fn say(said: &mut Vec<u8>, text: &str) {
    said.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    said.extend(text.as_bytes());
}

#[cfg(test)]
mod tests;
