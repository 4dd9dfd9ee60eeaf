//! Everything of a clinic, or of one person, as lines of JSON: to be taken to another store, or handed out.
//!
//! Both databases have the same tables, so one list says what is carried, in which order, and which rows are of a person. What is of a person is
//! also what is taken away when that person is erased. Messages are carried by hand (`message.rs`), since each database keeps them its own way.
//! Left behind are signed-in browsers, and what each database works out by itself: numbers of patients and kits, ends of chains, aggregates.

pub(crate) mod line;
pub(crate) mod message;
pub(crate) mod whose;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::StoreError;

/// How a column is written in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// As it is.
    Json,
    Number,
    /// Nanoseconds since 1970 in the database, RFC 3339 in a line.
    Time,
    Flag,
    /// Base64 in a line.
    Bytes,
    /// A UUID.
    Id,
    /// A number of `patient_key` in the database, the id in a line.
    Patient,
    /// The same of a kit.
    Kit,
    /// A number of `alert` in the database, its id in a line.
    Alert,
}

/// A table that is carried, with its columns in the order of a line.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// Rows of both databases come in the same order by this.
    pub(crate) order: &'static str,
    /// Which rows (`t`) are of the person `$1`; `{...}` stands for one of [`Words`].
    pub(crate) whose: Option<&'static str>,
}

/// Where the two databases say the same in other words.
pub(crate) struct Words {
    /// `kit, seq` (both numbers) of every message of the person `$1`.
    pub(crate) messages: &'static str,
    /// `t.bytes` has the id of the person `$1` in it, in quotes.
    pub(crate) named: &'static str,
    /// After a column that is read as a number.
    pub(crate) number: &'static str,
    /// Around a column that is read as the bytes of a UUID.
    pub(crate) id: (&'static str, &'static str),
}

/// The name of the section that has the messages.
pub(crate) const MESSAGES: &str = "message";
/// The name of the one whose rows are looked at one by one.
pub(crate) const QUARANTINE: &str = "quarantine";

use Kind::{Alert, Bytes, Flag, Id, Json, Kit, Number, Patient, Text, Time};

const OF_NUMBER: Option<&str> = Some("t.patient = (SELECT key FROM patient_key WHERE patient = $1)");

/// Before the messages: what they name.
pub(crate) const BEFORE: &[Table] = &[
    Table {
        name: "programme_version",
        columns: &[
            ("id", Text),
            ("version", Number),
            ("text", Text),
            ("sha256", Text),
            ("proposed_by", Text),
            ("proposed_at", Time),
            ("note", Text),
        ],
        order: "t.id, t.version",
        whose: None,
    },
    Table {
        name: "patient",
        columns: &[
            ("id", Text),
            ("name", Text),
            ("born", Number),
            ("programmes", Json),
            ("stratum", Text),
            ("own", Json),
            ("simulated", Flag),
            ("since", Time),
        ],
        order: "t.id",
        whose: Some("t.id = $1"),
    },
    Table {
        name: "kit",
        columns: &[
            ("id", Text),
            ("patient", Text),
            ("patients", Json),
            ("secret_sha256", Text),
            ("since", Time),
            ("devices", Json),
            ("revoked", Flag),
        ],
        order: "t.id",
        whose: Some("t.patient = $1 OR replace(t.patients, '\"' || $1 || '\"', '') <> t.patients"),
    },
    Table {
        name: "enrolment",
        columns: &[("kit", Text), ("code_sha256", Text), ("expires_at", Time), ("secret_sha256", Text)],
        order: "t.kit",
        whose: Some("t.kit IN (SELECT id FROM kit WHERE patient = $1)"),
    },
    Table {
        name: "account",
        columns: &[("user", Text), ("name", Text), ("password_hash", Text), ("role", Text), ("language", Text)],
        order: "t.\"user\"",
        whose: None,
    },
    Table {
        name: "heard",
        columns: &[("kit", Text), ("at", Time), ("online", Flag), ("status", Json)],
        order: "t.kit",
        whose: Some("t.kit IN (SELECT id FROM kit WHERE patient = $1)"),
    },
    Table {
        name: "command",
        columns: &[
            ("id", Text),
            ("kit", Text),
            ("patient", Text),
            ("command", Text),
            ("by", Text),
            ("issued_at", Time),
            ("expires_at", Time),
            ("body", Json),
            ("state", Text),
            ("changed_at", Time),
            ("detail", Text),
        ],
        order: "t.id",
        // Earlier programs kept no person where the kit is one person's: what was asked since it is theirs is.
        whose: Some(
            "t.patient = $1 OR (t.patient IS NULL AND EXISTS (
                SELECT 1 FROM kit k WHERE k.id = t.kit AND k.patient = $1 AND k.since <= t.issued_at))",
        ),
    },
    Table {
        name: "receipt",
        columns: &[
            ("kit", Text),
            ("command", Text),
            ("outcome", Text),
            ("at", Time),
            ("recorded_at", Time),
            ("detail", Text),
        ],
        order: "t.kit, t.command, t.outcome",
        // As its command; one of a command that is not known, as what the kit sends.
        whose: Some(
            "(t.kit, t.command) IN (SELECT c.kit, c.id FROM command c WHERE c.patient = $1) OR EXISTS (
                SELECT 1 FROM kit k LEFT JOIN command c ON c.id = t.command AND c.kit = t.kit
                WHERE k.id = t.kit AND k.patient = $1 AND c.patient IS NULL
                AND k.since <= coalesce(c.issued_at, t.recorded_at))",
        ),
    },
];

/// After the messages.
pub(crate) const AFTER: &[Table] = &[
    Table {
        name: QUARANTINE,
        columns: &[
            ("kit", Kit),
            ("seq", Number),
            ("hash", Bytes),
            ("recorded_at", Time),
            ("bytes", Bytes),
            ("reason", Text),
            ("whole", Flag),
        ],
        order: "t.id",
        // What may be theirs: `whose.rs` looks at each. Anything, if a kit was theirs and is no longer.
        whose: Some(
            "EXISTS (SELECT 1 FROM kit_key n JOIN kit k ON k.id = n.kit
                WHERE n.key = t.kit AND k.patient = $1 AND k.since <= t.recorded_at)
             OR EXISTS (SELECT 1 FROM journal j JOIN patient_key p ON p.key = j.patient
                WHERE p.patient = $1 AND j.entry = 'kit_left')
             OR (t.kit, t.seq) IN ({messages}) OR {named}
             OR replace(' ' || t.reason || ' ', ' ' || $1 || ' ', '') <> ' ' || t.reason || ' '
             OR replace(t.reason, ' ' || $1 || ',', '') <> t.reason",
        ),
    },
    Table {
        name: "assessment",
        columns: &[
            ("patient", Patient),
            ("recorded_at", Time),
            ("at", Time),
            ("was", Text),
            ("colour", Text),
            ("blue", Flag),
            ("late", Flag),
            ("findings", Json),
        ],
        order: "t.id",
        whose: OF_NUMBER,
    },
    Table {
        name: "alert",
        columns: &[
            ("id", Id),
            ("patient", Patient),
            ("family", Text),
            ("open", Flag),
            ("state", Text),
            ("mark", Text),
            ("raised_at", Time),
            ("waiting_since", Time),
            ("changed_at", Time),
            ("body", Json),
        ],
        order: "t.key",
        whose: OF_NUMBER,
    },
    Table {
        name: "alert_event",
        columns: &[("alert", Alert), ("kind", Text), ("at", Time), ("by", Text), ("mark", Text), ("text", Text)],
        order: "t.id",
        whose: Some(
            "t.alert IN (SELECT a.key FROM alert a JOIN patient_key p ON p.key = a.patient WHERE p.patient = $1)",
        ),
    },
    Table {
        name: "journal",
        columns: &[("at", Time), ("by", Text), ("patient", Patient), ("entry", Text), ("body", Json)],
        order: "t.id",
        whose: OF_NUMBER,
    },
    Table {
        name: "shadow_alert",
        columns: &[
            ("programme", Text),
            ("version", Number),
            ("id", Id),
            ("patient", Text),
            ("raised_at", Time),
            ("body", Json),
        ],
        order: "t.key",
        whose: Some("t.patient = $1"),
    },
];

/// The names of the sections, in the order in which they are carried.
pub fn sections() -> impl Iterator<Item = &'static str> {
    let names = |tables: &'static [Table]| tables.iter().map(|table| table.name);
    names(BEFORE).chain([MESSAGES]).chain(names(AFTER))
}

/// The table of a section that is one.
pub(crate) fn table(name: &str) -> Option<&'static Table> {
    BEFORE.iter().chain(AFTER).find(|table| table.name == name)
}

impl Table {
    /// The question for its rows: all, or those of the person `$1`; none where no row can be anybody's.
    pub(crate) fn select(&self, words: &Words, of_person: bool) -> Option<String> {
        self.select_with("", words, of_person)
    }

    /// The same with more columns at the end, each after a comma.
    fn select_with(&self, more: &str, words: &Words, of_person: bool) -> Option<String> {
        let columns: Vec<String> = self.columns.iter().map(|(name, kind)| column(words, name, *kind)).collect();
        let filter = match (of_person, self.whose) {
            (false, _) => String::new(),
            (true, None) => return None,
            (true, Some(_)) => format!("WHERE {}", self.of_person(words)?),
        };
        let columns = columns.join(", ");
        Some(format!("SELECT {columns}{more} FROM {} t {filter} ORDER BY {}", self.name, self.order))
    }

    /// Which rows (`t`) are of the person `$1`.
    pub(crate) fn of_person(&self, words: &Words) -> Option<String> {
        Some(self.whose?.replace("{messages}", words.messages).replace("{named}", words.named))
    }

    /// The statement for a row.
    pub(crate) fn insert(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let values = self.columns.iter().zip(1..).map(|((_, kind), place)| match kind {
            Patient => format!("(SELECT key FROM patient_key WHERE patient = ${place})"),
            Kit => format!("(SELECT key FROM kit_key WHERE kit = ${place})"),
            Alert => format!("(SELECT key FROM alert WHERE id = ${place})"),
            _ => format!("${place}"),
        });
        let values: Vec<String> = values.collect();
        format!("INSERT INTO {} ({}) VALUES ({})", self.name, names.join(", "), values.join(", "))
    }
}

fn column(words: &Words, name: &str, kind: Kind) -> String {
    let (before, after) = words.id;
    match kind {
        Number | Time => format!("t.\"{name}\"{}", words.number),
        Id => format!("{before}t.\"{name}\"{after}"),
        Patient => format!("(SELECT k.patient FROM patient_key k WHERE k.key = t.\"{name}\")"),
        Kit => format!("(SELECT k.kit FROM kit_key k WHERE k.key = t.\"{name}\")"),
        Alert => format!("(SELECT {before}a.id{after} FROM alert a WHERE a.key = t.\"{name}\")"),
        Text | Json | Flag | Bytes => format!("t.\"{name}\""),
    }
}

/// Lines of one part.
pub(crate) const PART_LINES: usize = 1_024;
/// Bytes beyond which a part ends.
pub(crate) const PART_BYTES: usize = 4 << 20;
/// Parts that wait for whoever asked.
pub(crate) const PARTS_WAIT_MAX: usize = 2;

/// Some lines of a section.
#[derive(Debug, Default)]
pub struct Part {
    /// Which.
    pub section: &'static str,
    /// Each a JSON object, without a line's end.
    pub lines: Vec<String>,
    /// Does the section end here? Each ends once.
    pub is_last: bool,
}

/// Everything, as it was at one moment, section by section. Dropping it ends the reading.
pub struct Dump(mpsc::Receiver<Result<Part, StoreError>>);

impl Dump {
    pub(crate) fn new(parts: mpsc::Receiver<Result<Part, StoreError>>) -> Self {
        Self(parts)
    }

    /// The next part; nothing at the end, or after an error.
    pub async fn next(&mut self) -> Option<Result<Part, StoreError>> {
        self.0.recv().await
    }
}

/// Gathers lines into parts, and sends them.
pub(crate) struct Parts {
    to: mpsc::Sender<Result<Part, StoreError>>,
    part: Part,
    bytes: usize,
}

/// Nobody wants more.
pub(crate) struct Unwanted;

impl Parts {
    pub(crate) fn new(to: mpsc::Sender<Result<Part, StoreError>>) -> Self {
        Self { to, part: Part::default(), bytes: 0 }
    }

    pub(crate) fn begin(&mut self, section: &'static str) {
        self.part.section = section;
    }

    pub(crate) async fn line(&mut self, line: String) -> Result<(), Unwanted> {
        self.bytes += line.len();
        self.part.lines.push(line);
        if self.part.lines.len() < PART_LINES && self.bytes < PART_BYTES {
            return Ok(());
        }
        self.send(false).await
    }

    pub(crate) async fn end(&mut self) -> Result<(), Unwanted> {
        self.send(true).await
    }

    pub(crate) async fn fail(self, error: StoreError) {
        if self.to.send(Err(error)).await.is_err() {
            tracing::debug!("nobody waits for what could not be read");
        }
    }

    async fn send(&mut self, is_last: bool) -> Result<(), Unwanted> {
        let section = self.part.section;
        let part = Part { is_last, ..std::mem::take(&mut self.part) };
        (self.part.section, self.bytes) = (section, 0);
        self.to.send(Ok(part)).await.map_err(|_| Unwanted)
    }
}

/// Why a dump stopped before its end.
pub(crate) enum Stopped {
    Failed(StoreError),
    Unwanted,
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for Stopped {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Unwanted> for Stopped {
    fn from(_: Unwanted) -> Self {
        Self::Unwanted
    }
}

/// Everything coming into an empty store, in one transaction: dropped before its end, nothing has come in.
#[async_trait]
pub trait Load: Send {
    /// The next lines of a section. Sections come in the order of [`sections`].
    async fn put(&mut self, section: &str, lines: &[String]) -> Result<(), StoreError>;

    /// All is there: commits durably.
    async fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// What was taken away of a person: of each section so many rows, without those of nothing. Readings and answers are named too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased(pub std::collections::BTreeMap<&'static str, u64>);

impl Erased {
    pub(crate) fn add(&mut self, section: &'static str, rows: u64) {
        if rows > 0 {
            *self.0.entry(section).or_default() += rows;
        }
    }

    /// Was there nothing?
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Both.
    pub fn and(&mut self, other: &Self) {
        for (section, rows) in &other.0 {
            self.add(section, *rows);
        }
    }
}

/// Nothing comes in where something is.
pub(crate) fn must_be_empty(store: &str, counts: &[(&'static str, u64)]) -> Result<(), StoreError> {
    match counts.iter().find(|(_, rows)| *rows > 0) {
        Some((section, found)) => Err(StoreError::NotEmpty { store: store.to_owned(), section, found: *found }),
        None => Ok(()),
    }
}

/// The table of a section that must be one.
pub(crate) fn known(section: &str) -> Result<&'static Table, StoreError> {
    table(section).ok_or_else(|| StoreError::BadLine {
        section: section.to_owned(),
        line: 0,
        what: "a section that is not known here".to_owned(),
    })
}

/// A line that can't be taken in; its place among those of one call.
pub(crate) fn bad_line(section: &str, place: usize, what: String) -> StoreError {
    StoreError::BadLine { section: section.to_owned(), line: place, what }
}

/// An id in a line.
pub(crate) fn id<T: std::str::FromStr>(section: &str, place: usize, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| bad_line(section, place, "found something that is no id".to_owned()))
}

/// A message that can't be read back.
pub(crate) fn damaged(id: i64, what: String) -> StoreError {
    crate::convert::corrupt("message", id, what)
}

/// The people who share a kit, without one of them.
pub(crate) fn without(patients: &str, patient: &str) -> Result<Vec<String>, serde_json::Error> {
    let mut list: Vec<String> = serde_json::from_str(patients)?;
    list.retain(|one| one != patient);
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_is_there_once_and_says_whose_its_rows_are() {
        let all: Vec<_> = sections().collect();
        let once: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), once.len()), (15, 15));
        let of_nobody: Vec<_> =
            BEFORE.iter().chain(AFTER).filter(|table| table.whose.is_none()).map(|table| table.name).collect();
        assert_eq!(of_nobody, ["programme_version", "account"]);
    }
}
