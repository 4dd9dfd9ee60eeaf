//! Answers of the Record Access Control Point.

use drivers::racp::Answer;

use super::*;

pub fn answer(bytes: &[u8]) -> Result<Facts, DecodeError> {
    for driver in ["gatt-plx", "gatt-glucose"] {
        assert_eq!(values(driver, 0x2a52, bytes)?, [], "an answer is no reading");
    }
    Ok(match Answer::parse(bytes)? {
        Answer::Count(count) => Facts::from([("count", json!(count))]),
        Answer::Ended { request, code } => Facts::from([("request", json!(request)), ("result", json!(code))]),
    })
}
