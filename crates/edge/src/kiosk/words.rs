//! Every word on the kit's page, in Danish and English, from the Fluent files of `locales/`.

use std::sync::LazyLock;

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use schemars::JsonSchema;
use serde::Deserialize;
use unic_langid::LanguageIdentifier;

/// A language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Danish.
    #[default]
    Da,
    /// English.
    En,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Da, Self::En];

    /// `da` or `en`, as in the configuration and in `<html lang>`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Da => "da",
            Self::En => "en",
        }
    }

    /// Reads a code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// The other one, and what it calls itself.
    #[must_use]
    pub fn other(self) -> (Self, &'static str) {
        match self {
            Self::Da => (Self::En, "English"),
            Self::En => (Self::Da, "Dansk"),
        }
    }

    /// Its words.
    #[must_use]
    pub fn words(self) -> &'static Words {
        match self {
            Self::Da => &DANISH,
            Self::En => &ENGLISH,
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::Da => include_str!("../../locales/da.ftl"),
            Self::En => include_str!("../../locales/en.ftl"),
        }
    }
}

static DANISH: LazyLock<Words> = LazyLock::new(|| Words::load(Language::Da));
static ENGLISH: LazyLock<Words> = LazyLock::new(|| Words::load(Language::En));

/// One language's words.
pub struct Words {
    /// Which.
    pub language: Language,
    bundle: FluentBundle<FluentResource>,
}

/// What stands in a sentence: its name and its text.
pub type With<'a> = (&'static str, FluentValue<'a>);

impl Words {
    fn load(language: Language) -> Self {
        let id: LanguageIdentifier = language.code().parse().expect("a language code is an identifier");
        let mut bundle = FluentBundle::new_concurrent(vec![id]);
        bundle.set_use_isolating(false);
        let resource = FluentResource::try_new(language.source().to_owned()).expect("a test reads every locale");
        bundle.add_resource(resource).expect("a test finds no key twice");
        Self { language, bundle }
    }

    /// Is this key known?
    #[must_use]
    pub fn knows(&self, key: &str) -> bool {
        self.bundle.has_message(key)
    }

    /// The words of a key.
    #[must_use]
    pub fn say(&self, key: &str) -> String {
        self.with(key, &[])
    }

    /// The words of a key, with what stands in them. An unknown key is said as it is, so that nothing is hidden.
    #[must_use]
    pub fn with(&self, key: &str, args: &[With<'_>]) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|message| message.value()) else {
            tracing::error!(key, language = self.language.code(), "no words for this key");
            return key.to_owned();
        };
        let args: FluentArgs<'_> = args.iter().map(|(name, value)| (*name, value.clone())).collect();
        self.bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
    }
}

#[cfg(test)]
pub(super) fn keys(language: Language) -> Vec<&'static str> {
    let lines = language.source().lines().filter(|line| line.starts_with(char::is_alphabetic));
    lines.filter_map(|line| Some(line.split_once(" =")?.0)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn both_languages_have_the_same_keys_in_the_same_order_and_can_be_read() {
        assert_eq!(keys(Language::Da), keys(Language::En));
        for language in Language::ALL {
            let unknown: Vec<_> = keys(language).into_iter().filter(|key| !language.words().knows(key)).collect();
            assert!(unknown.is_empty(), "{language:?}: {unknown:?}");
        }
    }

    #[test]
    fn every_key_that_the_page_says_exists_and_every_key_is_said() {
        let said = super::super::tests::said_keys();
        for language in Language::ALL {
            let missing: Vec<_> = said.iter().filter(|key| !language.words().knows(key)).collect();
            assert!(missing.is_empty(), "{language:?} has no words for {missing:?}");
        }
        let said: BTreeSet<&str> = said.iter().map(String::as_str).collect();
        let idle: Vec<_> = keys(Language::Da).into_iter().filter(|key| !said.contains(key)).collect();
        assert!(idle.is_empty(), "nobody says {idle:?}");
    }
}
