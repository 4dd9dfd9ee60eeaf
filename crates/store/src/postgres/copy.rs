//! Rows as `COPY ... (FORMAT binary)` takes them: <https://www.postgresql.org/docs/15/sql-copy.html>, "Binary Format".
//!
//! A signature, flags and the length of an extension (none); then each row: how many fields, and of each its length in bytes, -1 for null, and
//! its bytes as the type's own `recv` function reads them; at the end -1 in place of a number of fields. All numbers are big-endian.

use uuid::Uuid;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Seconds from 1970 to 2000, where PostgreSQL's times begin.
const EPOCH_MICROS: i64 = 946_684_800 * 1_000_000;
/// The types of what arrays hold.
const INT8: i32 = 20;
const TEXT: i32 = 25;

/// Rows, so far.
pub(super) struct Rows {
    bytes: Vec<u8>,
    columns: i16,
}

impl Rows {
    /// Of so many columns.
    pub(super) fn new(columns: i16, room: usize) -> Self {
        let mut bytes = Vec::with_capacity(room);
        bytes.extend_from_slice(SIGNATURE);
        bytes.extend_from_slice(&[0; 8]);
        Self { bytes, columns }
    }

    /// The next row: its fields follow, each by one of the methods below.
    pub(super) fn row(&mut self) {
        self.bytes.extend_from_slice(&self.columns.to_be_bytes());
    }

    /// The end, and everything as bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        self.bytes
    }

    pub(super) fn null(&mut self) {
        self.number(-1);
    }

    pub(super) fn int4(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn int8(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Microseconds since 1970.
    pub(super) fn timestamptz(&mut self, micros: i64) {
        self.int8(micros - EPOCH_MICROS);
    }

    pub(super) fn uuid(&mut self, value: Uuid) {
        self.bytes(value.as_bytes());
    }

    pub(super) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.number(length(value.len()));
        self.bytes.extend_from_slice(value);
    }

    /// One or null.
    pub(super) fn maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => put(self, value),
            None => self.null(),
        }
    }

    /// An array without nulls.
    pub(super) fn int8s(&mut self, values: &[i64]) {
        self.array(INT8, values.len(), |rows| values.iter().for_each(|value| rows.int8(*value)));
    }

    /// The same of texts.
    pub(super) fn texts(&mut self, values: &[String]) {
        self.array(TEXT, values.len(), |rows| values.iter().for_each(|value| rows.text(value)));
    }

    /// Dimensions (none for an empty array), whether there are nulls, the type; of the one dimension its length and where it begins.
    fn array(&mut self, of: i32, len: usize, put: impl FnOnce(&mut Self)) {
        let at = self.bytes.len();
        self.number(0);
        for number in [i32::from(len > 0), 0, of] {
            self.number(number);
        }
        if len > 0 {
            self.number(length(len));
            self.number(1);
        }
        put(self);
        let all = length(self.bytes.len() - at - size_of::<i32>());
        self.bytes[at..at + size_of::<i32>()].copy_from_slice(&all.to_be_bytes());
    }

    fn number(&mut self, number: i32) {
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }
}

fn length(len: usize) -> i32 {
    i32::try_from(len).expect("a message has less than two billion bytes: its packet was at most 256 KiB")
}
