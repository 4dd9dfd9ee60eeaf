//! Every word on the pages, in Danish and English, from the Fluent files of `locales/`.

use std::sync::LazyLock;

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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

    /// `da` or `en`, as in an account and in `<html lang>`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Da => "da",
            Self::En => "en",
        }
    }

    /// Reads a code.
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// The first of a browser's languages that the pages speak.
    pub fn accepted(header: Option<&str>) -> Self {
        let wanted = header.unwrap_or_default().split(',');
        wanted.filter_map(|tag| Self::of(tag.trim().get(..2)?)).next().unwrap_or_default()
    }

    /// Its words.
    pub fn words(self) -> &'static Words {
        match self {
            Self::Da => &DANISH,
            Self::En => &ENGLISH,
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::Da => include_str!("../locales/da.ftl"),
            Self::En => include_str!("../locales/en.ftl"),
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
    pub fn knows(&self, key: &str) -> bool {
        self.bundle.has_message(key)
    }

    /// The words of a key.
    pub fn say(&self, key: &str) -> String {
        self.with(key, &[])
    }

    /// The words of a key, with a number.
    pub fn count(&self, key: &str, n: impl TryInto<i64>) -> String {
        self.with(key, &[("n", FluentValue::from(n.try_into().unwrap_or(i64::MAX)))])
    }

    /// The words of a key, with what stands in them. An unknown key is said as it is, so that nothing is hidden.
    pub fn with(&self, key: &str, args: &[(&'static str, FluentValue<'_>)]) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|message| message.value()) else {
            tracing::error!(key, language = self.language.code(), "no words for this key");
            return key.to_owned();
        };
        let args: FluentArgs<'_> = args.iter().map(|(name, value)| (*name, value.clone())).collect();
        self.bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn keys(language: Language) -> BTreeSet<&'static str> {
        let lines = language.source().lines();
        lines
            .filter(|line| line.starts_with(char::is_alphabetic))
            .filter_map(|line| Some(line.split_once(" =")?.0))
            .collect()
    }

    #[test]
    fn both_languages_have_the_same_keys_and_can_be_read() {
        assert_eq!(keys(Language::Da), keys(Language::En));
        for language in Language::ALL {
            let unknown: Vec<_> = keys(language).into_iter().filter(|key| !language.words().knows(key)).collect();
            assert!(unknown.is_empty(), "{language:?}: {unknown:?}");
        }
    }

    #[test]
    fn every_key_that_a_page_or_the_program_says_exists() {
        let mut missing = BTreeSet::new();
        for (name, text) in crate::tests::sources() {
            for call in [".say(\"", ".count(\"", ".with(\""] {
                for rest in text.split(call).skip(1) {
                    let key = rest.split('"').next().unwrap_or_default();
                    if !key.is_empty() && !key.contains('{') && !DANISH.knows(key) {
                        missing.insert(format!("{name}: {key}"));
                    }
                }
            }
        }
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn numbers_choose_their_form() {
        assert_eq!(ENGLISH.count("kits-all-but", 1), "all kits connected but 1");
        assert_eq!(Language::accepted(Some("en-GB,en;q=0.9,da;q=0.8")), Language::En);
        assert_eq!(Language::accepted(Some("fr, de")), Language::Da);
    }
}
