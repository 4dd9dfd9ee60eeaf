//! A list that is written as a plain text when it has one: `programme = "copd"`, or `programme = ["copd", "heart-failure"]`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize)]
#[serde(untagged, expecting = "want a text or a list of texts")]
enum Form {
    One(String),
    More(Vec<String>),
}

/// Writes a list of one as that one.
pub(crate) fn serialize<S: Serializer>(list: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match list {
        [one] => one.serialize(serializer),
        more => more.serialize(serializer),
    }
}

/// Reads either form.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Form::deserialize(deserializer)? {
        Form::One(one) => vec![one],
        Form::More(more) => more,
    })
}
