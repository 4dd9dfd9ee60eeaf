//! `vagt/v1/{kit}/{readings|status|acks|commands}`.

use std::fmt;

use vitals::KitId;

const PREFIX: &str = "vagt/v1/";

/// What a topic carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicKind {
    /// Messages, from the kit.
    Readings,
    /// Retained status and last will, from the kit.
    Status,
    /// What has been stored, from the core.
    Acks,
    /// What the kit is asked to do, from the core.
    Commands,
}

/// One topic of one kit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Whose.
    pub kit: KitId,
    /// What it carries.
    pub kind: TopicKind,
}

impl TopicKind {
    const ALL: [Self; 4] = [Self::Readings, Self::Status, Self::Acks, Self::Commands];

    /// The topic's last level.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Readings => "readings",
            Self::Status => "status",
            Self::Acks => "acks",
            Self::Commands => "commands",
        }
    }

    /// Does the kit write it (and the core read it)?
    #[must_use]
    pub fn from_kit(self) -> bool {
        matches!(self, Self::Readings | Self::Status)
    }
}

impl Topic {
    /// The topic of `kit` that carries `kind`.
    #[must_use]
    pub fn new(kit: &KitId, kind: TopicKind) -> Self {
        Self { kit: kit.clone(), kind }
    }

    /// Reads a topic name; `None` if it is none of ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (kit, kind) = name.strip_prefix(PREFIX)?.split_once('/')?;
        let kind = TopicKind::ALL.into_iter().find(|k| k.name() == kind)?;
        Some(Self { kit: kit.parse().ok()?, kind })
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/{}", self.kit, self.kind.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints_and_nothing_else() {
        for kind in TopicKind::ALL {
            let topic = Topic::new(&"kit-1".parse().unwrap(), kind);
            assert_eq!(Topic::parse(&topic.to_string()), Some(topic));
        }
        for other in
            ["vagt/v1/kit-1", "vagt/v1//readings", "vagt/v1/+/readings", "vagt/v1/k/readings/x", "vagt/v2/k/acks"]
        {
            assert_eq!(Topic::parse(other), None, "{other}");
        }
    }
}
