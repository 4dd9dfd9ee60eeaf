//! Ids as types: a `PatientId` is not a `KitId`, and neither is ever a national identity number.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::text;

/// Readings and answers taken together: one sitting.
pub type SessionId = Uuid;

/// A text that is not an id of its kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("found {found:?}, want {what}: {wanted}")]
pub struct IdError {
    /// What came, cut at 80 characters.
    pub found: String,
    /// Which id.
    pub what: &'static str,
    /// What it may consist of.
    pub wanted: &'static str,
}

fn any_of(text: &str, len_max: usize, extra: &str) -> bool {
    (1..=len_max).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(c))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $wanted:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    return Ok(Self(text.into()));
                }
                Err(IdError { found: text.chars().take(80).collect(), what: $what, wanted: $wanted })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::parsed(deserializer)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

id!(
    /// A home gateway, the MQTT client: `[a-z0-9-]{1,64}`.
    KitId, "a kit", "1 to 64 of a-z, 0-9 and -", "^[a-z0-9-]{1,64}$", |text| any_of(text, 64, "-")
);
id!(
    /// A person being monitored; opaque: `[a-z0-9-]{1,64}`.
    PatientId, "a patient", "1 to 64 of a-z, 0-9 and -", "^[a-z0-9-]{1,64}$", |text| any_of(text, 64, "-")
);
id!(
    /// A device of a kit: its driver's name, a colon, and its serial number or address.
    DeviceId, "a device", "driver:serial, at most 128 characters without spaces or controls", "^[a-z0-9-]+:[!-~]+$",
    |text| text.len() <= 128
        && text.split_once(':').is_some_and(|(driver, serial)| {
            any_of(driver, 64, "-") && !serial.is_empty() && serial.chars().all(|c| c.is_ascii_graphic())
        })
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_what_they_want() {
        assert_eq!("kit-1".parse::<KitId>().unwrap().as_str(), "kit-1");
        assert_eq!(
            "Kit/1".parse::<KitId>().unwrap_err().to_string(),
            r#"found "Kit/1", want a kit: 1 to 64 of a-z, 0-9 and -"#
        );
        assert!("nonin-3230:501234567".parse::<DeviceId>().is_ok());
        assert!("501234567".parse::<DeviceId>().is_err());
        assert!("x".repeat(65).parse::<PatientId>().is_err());
        assert!("".parse::<KitId>().is_err());
    }
}
