//! Devices that break the standard they claim, by name, as data: what is matched, and what is read otherwise.

/// One way in which devices break a standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirk {
    /// Its name in configuration.
    pub name: &'static str,
    /// The driver whose standard is broken.
    pub driver: &'static str,
    /// How the models that do it begin, as they call themselves.
    pub models: &'static [&'static str],
    /// What they do, in one sentence, with its source.
    pub does: &'static str,
}

/// Every quirk profile.
pub const QUIRKS: &[Quirk] = &[];
