//! A clinic as one document of JSON lines, verified by checksum: written from any store, read into any other.
//!
//! First a line that says what it is; then each section: a line that names it, its rows, and a line with how many they were and their SHA-256; at
//! the end how many rows there were in all, and the SHA-256 of every line before. Two stores that hold the same give the same bytes.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read as _, Write},
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::{Dump, Load, Store, StoreError, sections};

use crate::directory::hex;

/// The format that is written, and the newest that is read.
pub const FORMAT: u32 = 1;
/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// Lines that are taken in together.
const TOGETHER: usize = 1_024;

/// What a document holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holds {
    /// Rows of each section.
    pub rows: BTreeMap<String, u64>,
    /// SHA-256 of everything before the last line, in hex.
    pub sha256: String,
}

impl Holds {
    /// Rows of all sections.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// Why a clinic can't be carried.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file can't be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The document is not one, or is damaged.
    #[error("line {line}: {what}")]
    Wrong {
        /// Which, from 1.
        line: u64,
        /// What was found, and what was wanted.
        what: String,
    },
}

/// A line that is not a row.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Mark {
    Head { vagt: String, format: u32 },
    Section { section: String },
    End { end: String, rows: u64, sha256: String },
}

/// Writes everything in a store. `on_rows` hears how many rows were written since.
///
/// # Errors
/// The store can't be read, or the output not be written.
pub async fn write(store: &dyn Store, out: &mut impl Write, mut on_rows: impl FnMut(u64)) -> Result<Holds, CarryError> {
    let mut dump: Dump = store.dump(None).await?;
    let mut out = Hashed { out, hash: Sha256::new() };
    let mut holds = Holds::default();
    out.line(&json!({ "vagt": "clinic", "format": FORMAT }).to_string())?;
    let mut section: Option<Hashed<io::Sink>> = None;
    while let Some(part) = dump.next().await {
        let part = part?;
        if section.is_none() {
            out.line(&json!({ "section": part.section }).to_string())?;
        }
        let of_section = section.get_or_insert_with(|| Hashed { out: io::sink(), hash: Sha256::new() });
        for line in &part.lines {
            out.line(line)?;
            of_section.line(line)?;
        }
        *holds.rows.entry(part.section.to_owned()).or_default() += part.lines.len() as u64;
        on_rows(part.lines.len() as u64);
        if let Some(ended) = section.take_if(|_| part.is_last) {
            let rows = holds.rows[part.section];
            out.line(&end(part.section, rows, &ended.digest()))?;
        }
    }
    holds.sha256 = out.digest();
    writeln!(out.out, "{}", end("clinic", holds.all(), &holds.sha256))?;
    out.out.flush()?;
    Ok(holds)
}

fn end(what: &str, rows: u64, sha256: &str) -> String {
    json!({ "end": what, "rows": rows, "sha256": sha256 }).to_string()
}

/// Lines on their way, with their hash.
struct Hashed<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Hashed<W> {
    fn line(&mut self, line: &str) -> io::Result<()> {
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")
    }

    fn digest(&self) -> String {
        hex(&self.hash.clone().finalize())
    }
}

/// Reads a document into a store that is being filled; it is still to be finished. `on_rows` hears how many rows were read since.
///
/// # Errors
/// It is no such document, it is damaged or has no end, or the store refuses a row.
pub async fn read(input: impl BufRead, load: &mut dyn Load, mut on_rows: impl FnMut(u64)) -> Result<Holds, CarryError> {
    let mut lines = Lines { input, text: String::new(), at: 0, hash: Sha256::new() };
    match lines.mark()? {
        Mark::Head { vagt, format } if vagt == "clinic" && format <= FORMAT => {}
        Mark::Head { format, .. } if format > FORMAT => {
            let what =
                format!("format {format} is newer than {FORMAT}, the newest this program knows: use the newer vagt");
            return Err(lines.wrong(what));
        }
        other => return Err(lines.wrong(format!("found {}, want the head of a clinic's document", other.name()))),
    }
    let mut holds = Holds::default();
    for section in sections() {
        match lines.mark()? {
            Mark::Section { section: found } if found == section => {}
            other => return Err(lines.wrong(format!("found {}, want section {section}", other.name()))),
        }
        let rows = read_section(&mut lines, section, load, &mut on_rows).await?;
        holds.rows.insert(section.to_owned(), rows);
    }
    holds.sha256 = lines.digest();
    lines.ends("clinic", holds.all(), &holds.sha256)?;
    if lines.next()? {
        return Err(lines.wrong("found something after the end".to_owned()));
    }
    Ok(holds)
}

async fn read_section(
    lines: &mut Lines<impl BufRead>,
    section: &'static str,
    load: &mut dyn Load,
    on_rows: &mut impl FnMut(u64),
) -> Result<u64, CarryError> {
    let (mut rows, mut hash) = (0, Sha256::new());
    loop {
        let (first, mut together) = (lines.at + 1, Vec::new());
        let mut is_end = false;
        while together.len() < TOGETHER && !is_end {
            lines.must_go_on()?;
            is_end = lines.text.starts_with("{\"end\":");
            if !is_end {
                hash.update(lines.text.as_bytes());
                hash.update(b"\n");
                together.push(lines.text.clone());
            }
        }
        if !together.is_empty() {
            load.put(section, &together).await.map_err(|error| at_line(first, error))?;
        }
        rows += together.len() as u64;
        on_rows(together.len() as u64);
        if is_end {
            let found = hex(&hash.finalize());
            lines.is_end(section, rows, &found)?;
            return Ok(rows);
        }
    }
}

/// Where in the document it is.
fn at_line(first: u64, error: StoreError) -> CarryError {
    match error {
        StoreError::BadLine { section, line, what } => {
            CarryError::Wrong { line: first + line as u64, what: format!("section {section}: {what}") }
        }
        error => error.into(),
    }
}

/// A document, line by line.
struct Lines<R> {
    input: R,
    /// The line, without its end.
    text: String,
    /// Its number.
    at: u64,
    /// Of every line before it, and of it where it belongs to what the last line says.
    hash: Sha256,
}

impl<R: BufRead> Lines<R> {
    /// The next line; no at the end.
    fn next(&mut self) -> Result<bool, CarryError> {
        self.text.clear();
        self.at += 1;
        let read = (&mut self.input).take(LINE_BYTES_MAX).read_line(&mut self.text);
        match read {
            Ok(0) => return Ok(false),
            Ok(_) if !self.text.ends_with('\n') => {
                return Err(self.wrong("the document ends in the middle of a line".to_owned()));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(self.wrong("found bytes that are no text, want a clinic's document".to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
        self.text.pop();
        if !self.text.starts_with("{\"end\":\"clinic\"") {
            self.hash.update(self.text.as_bytes());
            self.hash.update(b"\n");
        }
        Ok(true)
    }

    fn must_go_on(&mut self) -> Result<(), CarryError> {
        if self.next()? {
            Ok(())
        } else {
            Err(self.wrong("the document ends here, want more: it was cut off".to_owned()))
        }
    }

    fn mark(&mut self) -> Result<Mark, CarryError> {
        self.must_go_on()?;
        serde_json::from_str(&self.text)
            .map_err(|_| self.wrong("found something else, want a line of a clinic's document".to_owned()))
    }

    fn ends(&mut self, what: &str, rows: u64, sha256: &str) -> Result<(), CarryError> {
        self.must_go_on()?;
        self.is_end(what, rows, sha256)
    }

    /// Does this line end what was read, and say of it what was found?
    fn is_end(&self, what: &str, rows: u64, sha256: &str) -> Result<(), CarryError> {
        match serde_json::from_str(&self.text) {
            Ok(Mark::End { end, rows: said, sha256: sum }) if end == what => {
                if said != rows {
                    return Err(self.wrong(format!("{what}: found {rows} rows, want {said}: it is damaged")));
                }
                if sum != sha256 {
                    return Err(self.wrong(format!("{what}: found SHA-256 {sha256}, want {sum}: it is damaged")));
                }
                Ok(())
            }
            _ => Err(self.wrong(format!("found something else, want the end of {what}"))),
        }
    }

    fn digest(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    fn wrong(&self, what: String) -> CarryError {
        CarryError::Wrong { line: self.at, what }
    }
}

impl Mark {
    fn name(&self) -> String {
        match self {
            Self::Head { vagt, .. } => format!("the head of {vagt:?}"),
            Self::Section { section } => format!("section {section:?}"),
            Self::End { end, .. } => format!("the end of {end:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use store::{Sqlite, Store as _};

    use super::*;

    async fn refusal(document: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        let mut load = store.load().await.unwrap();
        read(document.as_bytes(), &mut *load, |_| {}).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn what_is_no_document_or_is_damaged_is_said_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        let account = store::Account {
            user: "ane".into(),
            name: "Ane".into(),
            password_hash: String::new(),
            role: "nurse".into(),
            language: "da".into(),
        };
        store.put_account(&account).await.unwrap();
        let mut bytes = Vec::new();
        let holds = write(&store, &mut bytes, |_| {}).await.unwrap();
        assert_eq!((holds.all(), holds.rows["account"], holds.rows.len()), (1, 1, 15));
        let whole = String::from_utf8(bytes).unwrap();
        let row = whole.lines().position(|line| line.contains("\"ane\"")).unwrap() + 1;
        let last = whole.lines().count();
        let newer = whole.replace("\"format\":1", "\"format\":9");
        for (document, said) in [
            ("", "line 1: the document ends here, want more: it was cut off".to_owned()),
            ("Dear nurse\n", "line 1: found something else, want a line of a clinic's document".to_owned()),
            (&newer, "line 1: format 9 is newer than 1, the newest this program knows: use the newer vagt".to_owned()),
            (&whole[..whole.len() - 9], format!("line {last}: the document ends in the middle of a line")),
            (
                &whole.replace("\"role\":\"nurse\"", "\"role\":\"admin\""),
                format!("line {}: account: found SHA-256", row + 1),
            ),
            (
                &whole.replace("\"user\":\"ane\"", "\"user\":7"),
                format!("line {row}: section account: user: want a text"),
            ),
            (&format!("{whole}\n"), format!("line {}: found something after the end", last + 1)),
            (&whole.replace("{\"section\":\"heard\"}", "{\"section\":\"kit\"}"), "want section heard".to_owned()),
        ] {
            let found = refusal(document).await;
            assert!(found.contains(&said), "{found}, want {said}");
        }
    }
}
