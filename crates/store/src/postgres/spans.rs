//! Long curves, from what is added up by hour and day. It may be some seconds behind.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use vitals::{PatientId, Vital};

use super::Inner;
use crate::{
    StoreError,
    convert::parsed,
    spans::{LongCurve, Span, Step, long_curve},
};

/// The long curves of a patient of whom nothing was invalidated.
pub(super) async fn spans(
    store: &Inner,
    patient: &PatientId,
    vitals: &[Vital],
    since: Timestamp,
    step: Step,
) -> Result<Vec<LongCurve>, StoreError> {
    let table = match step {
        Step::Hour => "reading_hour",
        Step::Day => "reading_day",
    };
    let sql = format!(
        "SELECT a.vital, extract(epoch FROM a.bucket)::bigint, a.readings::bigint, a.doubtful::bigint, a.low, a.high, a.total / a.readings
         FROM {table} a WHERE a.patient = (SELECT key FROM patient_key WHERE patient = $1) AND a.vital = ANY($2)
         AND a.bucket >= to_timestamp($3::bigint) ORDER BY a.bucket"
    );
    let names: Vec<&str> = vitals.iter().map(|vital| vital.name()).collect();
    let asked = sqlx::query(AssertSqlSafe(sql)).bind(patient.as_str()).bind(names);
    let rows = asked.bind(step.begin(since).as_second()).fetch_all(&mut *store.reader().await?).await;
    let mut curves: Vec<(Vital, Vec<Span>)> = vitals.iter().map(|vital| (*vital, Vec::new())).collect();
    for row in rows.map_err(|error| store.trouble(error))? {
        let vital: Vital = parsed(table, "?", row.try_get(0)?)?;
        if let Some((_, spans)) = curves.iter_mut().find(|(wanted, _)| *wanted == vital) {
            spans.push(span(&row)?);
        }
    }
    Ok(curves.into_iter().map(|(vital, spans)| long_curve(vital, spans.into_iter())).collect())
}

fn span(row: &PgRow) -> Result<Span, StoreError> {
    Ok(Span {
        at: Timestamp::from_second(row.try_get(1)?).unwrap_or(Timestamp::MIN),
        readings: row.try_get::<i64, _>(2)?.cast_unsigned(),
        doubtful: row.try_get::<i64, _>(3)?.cast_unsigned(),
        low: row.try_get(4)?,
        high: row.try_get(5)?,
        mean: row.try_get(6)?,
    })
}
