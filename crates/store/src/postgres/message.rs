//! A message's row: many are written by `COPY`, a few by statements that take one journey each, and long ones in parts where the server takes
//! small statements alone; and read again.

use std::{borrow::Cow, sync::LazyLock};

use sqlx::{
    Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;
use vitals::{Answer, Decimal, Value};

use super::{conn::Asked, copy::Rows, keys::Keys};
use crate::{
    Entry, StoreError,
    convert::{SCALE_MAX, corrupt, json, nanos, to_json},
};

/// In place of a number of digits: the value is among the odd ones.
const ODD: i64 = 255;
/// Bits of a reading's first number that are not the channel's.
const DIGITS_BITS: u32 = 8;
/// Numbers of a reading.
pub(super) const NUMBERS: usize = 3;
/// Numbers, and odd values, of one small statement.
const SMALL_NUMBERS: usize = 768;
/// Bytes that a row needs beside its readings.
const ROW_BYTES: usize = 200;

const NAMES: &str =
    "id, kept_at, kit, patient, seq, recorded_at, newest, sent_at, session, hash, readings, odd, answers";
static COPY: LazyLock<String> = LazyLock::new(|| format!("COPY message ({NAMES}) FROM STDIN (FORMAT binary)"));
const COLUMNS: i16 = 13;

/// From so many rows on, `COPY`. It is two journeys, and over TCP its end waits for the server's delayed acknowledgement of the rows, up to 40 ms,
/// since the driver leaves Nagle's algorithm on: fewer rows are there sooner by a statement of arrays.
const COPY_MIN: usize = 512;

/// Rows as arrays, one of each column. Their readings are one array of numbers, of which each row takes its part; odd values are not among them.
static ROWS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO message ({NAMES})
         SELECT id, to_timestamp($1::bigint / 1e6), kit, patient, seq, recorded_at, newest, sent_at, session, hash,
             ($2::bigint[])[first:last], NULL, answers
         FROM UNNEST($3::bigint[], $4::int[], $5::int[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::uuid[], $11::bytea[],
             $12::int[], $13::int[], $14::text[])
         AS n (id, kit, patient, seq, recorded_at, newest, sent_at, session, hash, first, last, answers)"
    )
});

static ROW: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO message ({NAMES}) VALUES ($1, to_timestamp($2::bigint / 1e6), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    )
});

/// What `COPY` would bring at once, in parts.
const APPEND: &str = "UPDATE message SET readings = readings || $2, odd = odd || $3 WHERE id = $1";

/// What is kept of a message.
pub(super) struct MessageRow<'a> {
    pub(super) id: i64,
    kit: i32,
    patient: Option<i32>,
    seq: i64,
    pub(super) recorded_at: i64,
    /// Nothing in it was recorded or measured later.
    pub(super) newest: i64,
    sent_at: Option<i64>,
    session: Option<Uuid>,
    hash: &'a [u8; 32],
    readings: Option<Vec<i64>>,
    odd: Vec<String>,
    answers: Option<String>,
}

impl<'a> MessageRow<'a> {
    /// Of an admitted one; everything that it names was learnt.
    pub(super) fn of_entry(id: i64, kit: i32, entry: &'a Entry, keys: &Keys) -> Self {
        let recorded_at = nanos(entry.recorded_at);
        let (mut newest, mut odd) = (recorded_at, Vec::new());
        let mut readings = Vec::with_capacity(entry.readings.len() * NUMBERS);
        for reading in &entry.readings {
            let at = nanos(reading.measured_at);
            newest = newest.max(at);
            let (digits, value) = numbers(reading.value, &mut odd);
            readings.extend([i64::from(keys.channel(reading)) << DIGITS_BITS | digits, value, at]);
        }
        Self {
            id,
            kit,
            patient: Some(keys.patient(&entry.patient)),
            seq: entry.key.seq.cast_signed(),
            recorded_at,
            newest,
            sent_at: Some(nanos(entry.sent_at)),
            session: Some(entry.session),
            hash: &entry.hash,
            readings: (!readings.is_empty()).then_some(readings),
            odd,
            answers: (!entry.answers.is_empty()).then(|| to_json(&entry.answers)),
        }
    }

    /// The mark of one of which nothing else is stored here.
    pub(super) fn of_mark(id: i64, kit: i32, seq: u64, hash: &'a [u8; 32], at: jiff::Timestamp) -> Self {
        let at = nanos(at);
        Self {
            id,
            kit,
            patient: None,
            seq: seq.cast_signed(),
            recorded_at: at,
            newest: at,
            sent_at: None,
            session: None,
            hash,
            readings: None,
            odd: Vec::new(),
            answers: None,
        }
    }

    fn put(&self, rows: &mut Rows, kept_at: i64) {
        rows.row();
        rows.int8(self.id);
        rows.timestamptz(kept_at);
        rows.int4(self.kit);
        rows.maybe(self.patient, Rows::int4);
        rows.int8(self.seq);
        rows.int8(self.recorded_at);
        rows.int8(self.newest);
        rows.maybe(self.sent_at, Rows::int8);
        rows.maybe(self.session, Rows::uuid);
        rows.bytes(self.hash);
        rows.maybe(self.readings.as_deref(), Rows::int8s);
        rows.maybe((!self.odd.is_empty()).then_some(self.odd.as_slice()), Rows::texts);
        rows.maybe(self.answers.as_deref(), Rows::text);
    }
}

/// The number of digits after the point, and the value without the point; or where it is among the odd ones.
fn numbers(value: Value, odd: &mut Vec<String>) -> (i64, i64) {
    let decimal = value.decimal();
    match i64::try_from(decimal.mantissa()) {
        Ok(mantissa) if decimal.scale() <= SCALE_MAX && !(mantissa == 0 && decimal.is_sign_negative()) => {
            (i64::from(decimal.scale()), mantissa)
        }
        _ => {
            odd.push(decimal.to_string());
            (ODD, odd.len().cast_signed() as i64)
        }
    }
}

/// PostgreSQL's texts hold every character but one.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// Writes rows, all with this time of keeping.
pub(super) async fn write(
    conn: &mut Asked,
    kept_at: i64,
    messages: &[MessageRow<'_>],
    copy: bool,
) -> Result<(), sqlx::Error> {
    if !copy {
        for message in messages {
            insert(conn, kept_at, message).await?;
        }
        return Ok(());
    }
    if messages.len() < COPY_MIN {
        return insert_some(conn, kept_at, messages).await;
    }
    let numbers: usize = messages.iter().filter_map(|message| message.readings.as_ref()).map(Vec::len).sum();
    let mut rows = Rows::new(COLUMNS, messages.len() * ROW_BYTES + numbers * 12);
    messages.iter().for_each(|message| message.put(&mut rows, kept_at));
    conn.copy_in(&COPY, rows.finish()).await
}

/// A few rows, in one statement; those with odd values, which are rare, by themselves.
async fn insert_some(conn: &mut Asked, kept_at: i64, messages: &[MessageRow<'_>]) -> Result<(), sqlx::Error> {
    let (odd, usual): (Vec<_>, Vec<_>) = messages.iter().partition(|message| !message.odd.is_empty());
    for message in odd {
        bind(kept_at, message, message.readings.as_deref(), &message.odd).execute(&mut *conn).await?;
    }
    if usual.is_empty() {
        return Ok(());
    }
    let mut numbers: Vec<i64> = Vec::new();
    let parts: Vec<_> = usual.iter().map(|message| Some(part(&mut numbers, message.readings.as_deref()?))).collect();
    let rows = || usual.iter();
    sqlx::query(ROWS.as_str())
        .bind(kept_at)
        .bind(numbers)
        .bind(rows().map(|row| row.id).collect::<Vec<_>>())
        .bind(rows().map(|row| row.kit).collect::<Vec<_>>())
        .bind(rows().map(|row| row.patient).collect::<Vec<_>>())
        .bind(rows().map(|row| row.seq).collect::<Vec<_>>())
        .bind(rows().map(|row| row.recorded_at).collect::<Vec<_>>())
        .bind(rows().map(|row| row.newest).collect::<Vec<_>>())
        .bind(rows().map(|row| row.sent_at).collect::<Vec<_>>())
        .bind(rows().map(|row| row.session).collect::<Vec<_>>())
        .bind(rows().map(|row| row.hash.as_slice()).collect::<Vec<_>>())
        .bind(parts.iter().map(|part| part.map(|(first, _)| first)).collect::<Vec<_>>())
        .bind(parts.iter().map(|part| part.map(|(_, last)| last)).collect::<Vec<_>>())
        .bind(rows().map(|row| row.answers.as_deref()).collect::<Vec<_>>())
        .execute(conn)
        .await
        .map(drop)
}

/// Puts a row's numbers behind those of the others: where they begin and end, counted from 1.
fn part(numbers: &mut Vec<i64>, own: &[i64]) -> (i32, i32) {
    let place =
        |at: usize| i32::try_from(at).expect("a batch has less than two billion numbers: its bytes are bounded");
    let first = place(numbers.len() + 1);
    numbers.extend_from_slice(own);
    (first, place(numbers.len()))
}

/// One row, with these of its readings.
fn bind<'q>(
    kept_at: i64,
    message: &'q MessageRow<'_>,
    readings: Option<&'q [i64]>,
    odd: &'q [String],
) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(ROW.as_str())
        .bind(message.id)
        .bind(kept_at)
        .bind(message.kit)
        .bind(message.patient)
        .bind(message.seq)
        .bind(message.recorded_at)
        .bind(message.newest)
        .bind(message.sent_at)
        .bind(message.session)
        .bind(message.hash.as_slice())
        .bind(readings)
        .bind((!odd.is_empty()).then_some(odd))
        .bind(message.answers.as_deref())
}

/// One row by itself, a long one in parts.
async fn insert(conn: &mut Asked, kept_at: i64, message: &MessageRow<'_>) -> Result<(), sqlx::Error> {
    let readings = message.readings.as_deref();
    let first = readings.map(|numbers| &numbers[..numbers.len().min(SMALL_NUMBERS)]);
    let first_odd = &message.odd[..message.odd.len().min(SMALL_NUMBERS)];
    bind(kept_at, message, first, first_odd).execute(&mut *conn).await?;
    let mut rest = readings.map_or(&[][..], |numbers| &numbers[numbers.len().min(SMALL_NUMBERS)..]);
    let mut odd = &message.odd[first_odd.len()..];
    while !rest.is_empty() || !odd.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(SMALL_NUMBERS));
        let (odd_now, odd_later) = odd.split_at(odd.len().min(SMALL_NUMBERS));
        sqlx::query(APPEND).bind(message.id).bind(now).bind(odd_now).execute(&mut *conn).await?;
        (rest, odd) = (later, odd_later);
    }
    Ok(())
}

/// The message of a kit (by number) with this seq: its id, its time of keeping (as text) and its hash.
pub(super) async fn find(conn: &mut Asked, kit: i32, seq: i64) -> Result<Option<PgRow>, sqlx::Error> {
    let sql = "SELECT id, hash FROM message WHERE kit = $1 AND seq = $2 ORDER BY id LIMIT 1";
    sqlx::query(sql).bind(kit).bind(seq).fetch_optional(conn).await
}

/// A stored reading.
pub(super) struct Kept {
    pub(super) channel: i32,
    pub(super) value: Value,
    pub(super) measured_at: i64,
}

/// The readings of a row's columns `at` (three numbers each) and `at + 1` (the odd values).
pub(super) fn readings(row: &PgRow, at: usize, id: i64) -> Result<Vec<Kept>, StoreError> {
    let numbers: Option<Vec<i64>> = row.try_get(at)?;
    let odd: Option<Vec<String>> = row.try_get(at + 1)?;
    let (numbers, odd) = (numbers.unwrap_or_default(), odd.unwrap_or_default());
    let (each, rest) = numbers.as_chunks::<NUMBERS>();
    if !rest.is_empty() {
        return Err(corrupt("message", id, format!("{} numbers, want three for each reading", numbers.len())));
    }
    each.iter().map(|numbers| kept(*numbers, &odd).map_err(|what| corrupt("message", id, what))).collect()
}

fn kept([first, value, measured_at]: [i64; NUMBERS], odd: &[String]) -> Result<Kept, String> {
    let channel = i32::try_from(first >> DIGITS_BITS).map_err(|_| format!("channel {}", first >> DIGITS_BITS))?;
    let digits = first & ((1 << DIGITS_BITS) - 1);
    let value = match u32::try_from(digits) {
        Ok(scale) if scale <= SCALE_MAX => Value::new(value, scale),
        _ if digits == ODD => {
            let place = usize::try_from(value - 1).ok().and_then(|place| odd.get(place));
            let text = place.ok_or_else(|| format!("odd value {value} of {}", odd.len()))?;
            text.parse::<Decimal>().map(Value::from).map_err(|error| format!("value {text:?}: {error}"))?
        }
        _ => return Err(format!("{digits} digits after the point, want 0 to {SCALE_MAX}")),
    };
    Ok(Kept { channel, value, measured_at })
}

/// The answers of a row's column.
pub(super) fn answers(row: &PgRow, at: usize, id: i64) -> Result<Vec<Answer>, StoreError> {
    let text: Option<&str> = row.try_get(at)?;
    text.map_or_else(|| Ok(Vec::new()), |text| json("message", &id.to_string(), text))
}
