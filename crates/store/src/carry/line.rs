//! A row as a line of JSON, and back.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Kind, Table};
use crate::{
    StoreError,
    convert::{corrupt, nanos, time},
    rows::Row,
};

/// A column's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null(Kind),
    /// Text, JSON and ids of patients and kits.
    Text(String),
    Number(i64),
    Flag(bool),
    Bytes(Vec<u8>),
    /// A UUID, also an alert's.
    Id(Uuid),
}

/// A row as it came from the database, as a line.
pub(crate) fn line(table: &Table, row: &impl Row) -> Result<String, StoreError> {
    let cells = table.columns.iter().enumerate().map(|(at, (_, kind))| read(table, row, at, *kind));
    let cells = cells.collect::<Result<Vec<_>, _>>()?;
    serde_json::to_string(&Line(table, &cells)).map_err(|error| corrupt(table.name, "?", error.to_string()))
}

fn read(table: &Table, row: &impl Row, at: usize, kind: Kind) -> Result<Cell, StoreError> {
    let null = Cell::Null(kind);
    Ok(match kind {
        Kind::Text | Kind::Json | Kind::Patient | Kind::Kit => {
            row.text_if_any(at)?.map_or(null, |text| Cell::Text(text.to_owned()))
        }
        Kind::Number | Kind::Time => row.number_if_any(at)?.map_or(null, Cell::Number),
        Kind::Flag => Cell::Flag(row.flag(at)?),
        Kind::Bytes => Cell::Bytes(row.bytes(at)?.to_owned()),
        Kind::Id | Kind::Alert => {
            let bytes = row.bytes(at)?;
            Cell::Id(Uuid::from_slice(bytes).map_err(|error| corrupt(table.name, "?", error.to_string()))?)
        }
    })
}

/// Columns that have no value are left out.
struct Line<'a>(&'a Table, &'a [Cell]);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(table, cells) = self;
        let mut map = serializer.serialize_map(None)?;
        for ((name, kind), cell) in table.columns.iter().zip(*cells) {
            match (cell, kind) {
                (Cell::Null(_), _) => {}
                (Cell::Text(text), Kind::Json) => {
                    let raw: &RawValue = serde_json::from_str(text).map_err(serde::ser::Error::custom)?;
                    map.serialize_entry(name, raw)?;
                }
                (Cell::Text(text), _) => map.serialize_entry(name, text)?,
                (Cell::Number(nanos), Kind::Time) => map.serialize_entry(name, &time(*nanos))?,
                (Cell::Number(number), _) => map.serialize_entry(name, number)?,
                (Cell::Flag(flag), _) => map.serialize_entry(name, flag)?,
                (Cell::Bytes(bytes), _) => map.serialize_entry(name, &encoded(bytes))?,
                (Cell::Id(id), _) => map.serialize_entry(name, id)?,
            }
        }
        map.end()
    }
}

/// A line as the columns of a row, in their order.
///
/// # Errors
/// What was found, and what was wanted, without the value: it may be a person's.
pub(crate) fn cells(table: &Table, line: &str) -> Result<Vec<Cell>, String> {
    let mut found: BTreeMap<&str, &RawValue> = serde_json::from_str(line)
        .map_err(|error| format!("not a JSON object, at its character {}", error.column()))?;
    let cells = table.columns.iter().map(|(name, kind)| {
        let value = found.remove(name).map(RawValue::get).filter(|text| *kind == Kind::Json || *text != "null");
        let cell = value.map_or(Ok(Cell::Null(*kind)), |text| cell(*kind, text));
        cell.map_err(|what| format!("{name}: {what}"))
    });
    let cells = cells.collect::<Result<Vec<_>, _>>()?;
    match found.keys().next() {
        Some(unknown) => Err(format!("found a field {unknown:?} that is not known here")),
        None => Ok(cells),
    }
}

fn cell(kind: Kind, text: &str) -> Result<Cell, String> {
    fn parsed<'a, T: Deserialize<'a>>(text: &'a str, wanted: &str) -> Result<T, String> {
        serde_json::from_str(text).map_err(|_| format!("want {wanted}"))
    }
    Ok(match kind {
        Kind::Json => Cell::Text(text.to_owned()),
        Kind::Text | Kind::Patient | Kind::Kit => Cell::Text(parsed(text, "a text")?),
        Kind::Number => Cell::Number(parsed(text, "a whole number")?),
        Kind::Time => Cell::Number(nanos(parsed::<Timestamp>(text, "a time such as 2026-11-22T08:00:00Z")?)),
        Kind::Flag => Cell::Flag(parsed(text, "true or false")?),
        Kind::Bytes => Cell::Bytes(decoded(&parsed::<String>(text, "a text")?)?),
        Kind::Id | Kind::Alert => Cell::Id(parsed(text, "a UUID")?),
    })
}

pub(crate) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn decoded(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| format!("want base64: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{super::table, *};

    #[test]
    fn a_line_comes_back_as_it_was_and_what_is_wrong_is_said_without_the_value() {
        let patient = table("patient").unwrap();
        let line = r#"{"id":"p-1","name":"Åse \"Ø\"","programmes":["copd"],"own":{"spo2":85.50},"simulated":true,"since":"2026-11-22T08:00:00.000000001Z"}"#;
        let read = cells(patient, line).unwrap();
        assert_eq!((&read[2], &read[4]), (&Cell::Null(Kind::Number), &Cell::Null(Kind::Text)));
        assert_eq!(serde_json::to_string(&Line(patient, &read)).unwrap(), line);
        for (wrong, said) in [
            (r#"{"id":7}"#, "id: want a text"),
            (r#"{"id":"p-1","since":"Åse"}"#, "since: want a time such as 2026-11-22T08:00:00Z"),
            (r#"{"id":"p-1","shoe":44}"#, r#"found a field "shoe" that is not known here"#),
        ] {
            assert_eq!(cells(patient, wrong).unwrap_err(), said);
        }
        assert!(cells(patient, "Åse").unwrap_err().starts_with("not a JSON object"));
    }
}
