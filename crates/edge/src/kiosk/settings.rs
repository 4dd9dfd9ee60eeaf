//! `[kiosk]` of `edge.toml`: where the page is, in which language, and whom to phone.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::words::Language;

/// Letters of a phone number, at most.
const PHONE_CHARS_MAX: usize = 40;

/// `[kiosk]`: the page on the kit. Without this block there is none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KioskConfig {
    /// Address and port of the page. Loopback alone: the page has no sign-in.
    #[serde(default = "listen")]
    #[schemars(with = "String")]
    pub listen: Spanned<SocketAddr>,
    /// The language that the page begins in; there is a switch on it.
    #[serde(default)]
    pub language: Language,
    /// The clinic's phone number, shown when the clinic can't be reached through the kit.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub phone: Option<Spanned<String>>,
}

fn listen() -> Spanned<SocketAddr> {
    Spanned::new(0..0, SocketAddr::from(([127, 0, 0, 1], 8088)))
}

/// What the block means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KioskSettings {
    /// A loopback address.
    pub listen: SocketAddr,
    /// The language that the page begins in.
    pub language: Language,
    /// The clinic's phone number.
    pub phone: Option<String>,
}

/// Something in the block that can't be used: where, which field, why.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// Byte offset in the file.
    pub at: usize,
    /// Which field.
    pub field: &'static str,
    /// What was found and what was wanted.
    pub reason: String,
}

impl KioskConfig {
    /// Checks the block.
    ///
    /// # Errors
    /// The first thing that can't be used.
    pub fn settings(self) -> Result<KioskSettings, Refused> {
        let (at, listen) = (self.listen.span().start, self.listen.into_inner());
        if !listen.ip().is_loopback() {
            let reason = format!(
                "found {listen}, want a loopback address such as 127.0.0.1:{}: the page has no sign-in, and must not be reached from elsewhere",
                listen.port()
            );
            return Err(Refused { at, field: "kiosk.listen", reason });
        }
        let phone = short(self.phone, "kiosk.phone")?;
        Ok(KioskSettings { listen, language: self.language, phone })
    }
}

fn short(text: Option<Spanned<String>>, field: &'static str) -> Result<Option<String>, Refused> {
    let Some(text) = text else { return Ok(None) };
    let (at, text) = (text.span().start, text.into_inner().trim().to_owned());
    let chars = text.chars().count();
    if !(1..=PHONE_CHARS_MAX).contains(&chars) {
        return Err(Refused { at, field, reason: format!("has {chars} letters, want 1 to {PHONE_CHARS_MAX}") });
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<KioskSettings, Refused> {
        toml::from_str::<KioskConfig>(text).unwrap().settings()
    }

    #[test]
    fn left_out_it_is_danish_on_port_8088_of_this_machine_alone() {
        let wanted = KioskSettings { listen: "127.0.0.1:8088".parse().unwrap(), language: Language::Da, phone: None };
        assert_eq!(read(""), Ok(wanted));
    }

    #[test]
    fn what_is_not_loopback_is_refused_with_a_sentence() {
        for found in ["0.0.0.0:8088", "192.168.1.20:8088", "[::]:8088"] {
            let refused = read(&format!("listen = \"{found}\"")).unwrap_err();
            assert_eq!((refused.field, refused.at), ("kiosk.listen", 9));
            let start = format!("found {found}, want a loopback address such as 127.0.0.1:8088");
            assert!(refused.reason.starts_with(&start), "{}", refused.reason);
        }
        assert!(read("listen = \"[::1]:9000\"").is_ok());
    }

    #[test]
    fn a_number_that_is_no_number_is_refused() {
        assert_eq!(read("phone = \" 12 34 56 78 \"").unwrap().phone.as_deref(), Some("12 34 56 78"));
        assert_eq!(read("phone = \"\"").unwrap_err().reason, "has 0 letters, want 1 to 40");
        assert_eq!(read(&format!("phone = \"{}\"", "1".repeat(41))).unwrap_err().field, "kiosk.phone");
    }
}
