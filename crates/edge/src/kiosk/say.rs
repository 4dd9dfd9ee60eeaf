//! Numbers, units and times as a person says them, in one language and the kit's zone.

use jiff::{Timestamp, Zoned, tz::TimeZone};
use vitals::{Colour, Unit, Value, Vital};

use super::words::{Language, Words};
use crate::round::{Fate, Shown, Sight, Text};

/// How to say things now.
#[derive(Clone, Copy)]
pub struct Say<'a> {
    /// In which words.
    pub words: &'static Words,
    /// In which zone.
    pub zone: &'a TimeZone,
    /// When.
    pub now: Timestamp,
}

/// What a vital is measured with, as far as the page tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instrument {
    /// On the finger.
    Oximeter,
    /// Around the arm.
    Cuff,
    /// In the ear, in the mouth.
    Thermometer,
    /// To stand on.
    Scale,
    /// To blow into.
    Spirometer,
    /// A drop of blood.
    Glucometer,
    /// Whatever else.
    Other,
}

impl Instrument {
    /// What a vital is measured with.
    #[must_use]
    pub fn of(vital: Vital) -> Self {
        match vital {
            Vital::Spo2 | Vital::Pulse | Vital::PerfusionIndex => Self::Oximeter,
            Vital::Systolic | Vital::Diastolic | Vital::MeanPressure => Self::Cuff,
            Vital::Temperature => Self::Thermometer,
            Vital::Weight => Self::Scale,
            Vital::Fev1 | Vital::Fvc | Vital::Fev6 | Vital::Pef | Vital::Fev1Fvc => Self::Spirometer,
            Vital::Glucose => Self::Glucometer,
            Vital::RespRate | Vital::OxygenFlow => Self::Other,
        }
    }

    /// Its name in the ids of sentences and pictures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oximeter => "oximeter",
            Self::Cuff => "cuff",
            Self::Thermometer => "thermometer",
            Self::Scale => "scale",
            Self::Spirometer => "spirometer",
            Self::Glucometer => "glucometer",
            Self::Other => "other",
        }
    }
}

impl<'a> Say<'a> {
    /// In this language, now.
    #[must_use]
    pub fn new(language: Language, zone: &'a TimeZone, now: Timestamp) -> Self {
        Self { words: language.words(), zone, now }
    }

    /// A number with its digits, and a comma in Danish.
    #[must_use]
    pub fn number(&self, value: Value) -> String {
        let text = value.to_string();
        if self.words.language == Language::Da { text.replace('.', ",") } else { text }
    }

    /// A unit in words.
    #[must_use]
    pub fn unit(&self, vital: Vital, unit: Unit) -> String {
        match (unit_key(unit), vital) {
            (Some("per-minute"), Vital::RespRate) => self.words.say("unit-breaths"),
            (Some(key), _) => self.words.say(&format!("unit-{key}")),
            (None, _) => String::new(),
        }
    }

    /// A vital's name.
    #[must_use]
    pub fn vital(&self, vital: Vital) -> String {
        self.words.say(&format!("vital-{}", vital.name()))
    }

    /// A text of a questionnaire.
    #[must_use]
    pub fn text<'t>(&self, text: &'t Text) -> &'t str {
        match self.words.language {
            Language::Da => &text.da,
            Language::En => &text.en,
        }
    }

    /// The time of day, as it is said: "8.02", "08:02".
    #[must_use]
    pub fn clock(&self, at: Timestamp) -> String {
        let format = if self.words.language == Language::Da { "%-H.%M" } else { "%H:%M" };
        self.local(at).strftime(format).to_string()
    }

    /// A day and a time: "kl. 8.02", "i morgen kl. 8.00", "onsdag kl. 8.00", "1. december kl. 8.00".
    #[must_use]
    pub fn when(&self, at: Timestamp) -> String {
        let (local, today) = (self.local(at), self.local(self.now).date());
        let time = ("time", self.clock(at).into());
        match (local.date() - today).get_days() {
            0 => self.words.with("when-today", &[time]),
            1 => self.words.with("when-tomorrow", &[time]),
            -1 => self.words.with("when-yesterday", &[time]),
            -6..=6 => self.words.with("when-day", &[time, ("day", self.weekday(&local).into())]),
            _ => {
                let month = self.words.say(&format!("month-{}", local.month()));
                self.words.with("when-date", &[time, ("day", i64::from(local.day()).into()), ("month", month.into())])
            }
        }
    }

    /// "søndag morgen".
    #[must_use]
    pub fn today(&self) -> String {
        let now = self.local(self.now);
        let part = self.words.say(&format!("part-{}", part_of_day(&now)));
        self.words.with("today", &[("day", self.weekday(&now).into()), ("part", part.into())])
    }

    /// "Godmorgen, Inger".
    #[must_use]
    pub fn greeting(&self, person: Option<&str>) -> String {
        let hello = self.words.say(&format!("hello-{}", part_of_day(&self.local(self.now))));
        person.map_or_else(|| hello.clone(), |person| format!("{hello}, {person}"))
    }

    /// "set af Mette kl. 8.03".
    #[must_use]
    pub fn seen(&self, sight: &Sight) -> String {
        let when = ("when", self.when(sight.at).into());
        match &sight.by {
            Some(by) => self.words.with("seen-by", &[when, ("by", by.as_str().into())]),
            None => self.words.with("seen", &[when]),
        }
    }

    /// What became of what was measured or answered, in one line: "Sendt til klinikken kl. 8.02 · set af Mette kl. 8.03".
    #[must_use]
    pub fn fate(&self, fate: &Fate) -> String {
        let Some(sent_at) = fate.sent_at else { return self.words.say("fate-kept") };
        let sent = self.words.with("fate-sent", &[("when", self.when(sent_at).into())]);
        fate.seen.as_ref().map_or_else(|| sent.clone(), |seen| format!("{sent} · {}", self.seen(seen)))
    }

    /// A colour's name.
    #[must_use]
    pub fn colour(&self, colour: Colour) -> String {
        self.words.say(&format!("colour-{}", colour_name(colour)))
    }

    /// What stands large: the first value, or a blood pressure as its pair; and how many of the values that is.
    #[must_use]
    pub fn headline(&self, values: &[Shown]) -> (String, usize) {
        match values {
            [] => (String::new(), 0),
            [upper, lower, ..] if upper.vital == Vital::Systolic && lower.vital == Vital::Diastolic => {
                (format!("{}/{}", self.number(upper.value), self.number(lower.value)), 2)
            }
            [first, ..] => (self.number(first.value), 1),
        }
    }

    fn weekday(&self, local: &Zoned) -> String {
        self.words.say(&format!("day-{}", local.weekday().to_monday_one_offset()))
    }

    fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }
}

/// A colour's name in style sheets and in the ids of sentences.
#[must_use]
pub fn colour_name(colour: Colour) -> &'static str {
    match colour {
        Colour::Green => "green",
        Colour::Yellow => "yellow",
        Colour::Red => "red",
    }
}

fn part_of_day(local: &Zoned) -> &'static str {
    match local.hour() {
        5..=9 => "morning",
        10..=11 => "forenoon",
        12..=17 => "afternoon",
        18..=22 => "evening",
        _ => "night",
    }
}

/// A unit's name in the ids of sentences; a ratio has none.
pub(super) fn unit_key(unit: Unit) -> Option<&'static str> {
    let key = match unit {
        Unit::Percent => "percent",
        Unit::PerMinute => "per-minute",
        Unit::Celsius => "celsius",
        Unit::Fahrenheit => "fahrenheit",
        Unit::MillimetreMercury => "mmhg",
        Unit::Kilopascal => "kilopascal",
        Unit::Kilogram => "kilogram",
        Unit::Pound => "pound",
        Unit::Gram => "gram",
        Unit::Litre => "litre",
        Unit::Millilitre => "millilitre",
        Unit::LitrePerMinute => "litre-per-minute",
        Unit::LitrePerSecond => "litre-per-second",
        Unit::Ratio => return None,
        Unit::MillimolePerLitre => "millimole",
        Unit::MilligramPerDecilitre => "milligram",
    };
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(say: impl Fn(Say<'_>) -> String) -> [String; 2] {
        let zone = TimeZone::get("Europe/Copenhagen").unwrap();
        let now = "2026-11-22T07:14:00Z".parse().unwrap();
        Language::ALL.map(|language| say(Say::new(language, &zone, now)))
    }

    #[track_caller]
    fn when(at: &str, danish: &str, english: &str) {
        let at = at.parse().unwrap();
        assert_eq!(both(|say| say.when(at)), [danish, english]);
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        when("2026-11-22T07:02:00Z", "kl. 8.02", "at 08:02");
        when("2026-11-22T23:30:00Z", "i morgen kl. 0.30", "tomorrow at 00:30");
        when("2026-11-21T22:30:00Z", "i går kl. 23.30", "yesterday at 23:30");
        when("2026-11-25T07:00:00Z", "onsdag kl. 8.00", "Wednesday at 08:00");
        when("2026-12-01T07:00:00Z", "1. december kl. 8.00", "1 December at 08:00");
        assert_eq!(both(|say| say.today()), ["søndag morgen", "Sunday morning"]);
        assert_eq!(both(|say| say.greeting(Some("Inger"))), ["Godmorgen, Inger", "Good morning, Inger"]);
    }

    #[test]
    fn numbers_keep_their_digits_and_danish_has_a_comma() {
        let shown = |vital, value: &str, unit| Shown {
            vital,
            value: value.parse().unwrap(),
            unit,
            flags: vec![],
            colour: None,
        };
        let temperature = [shown(Vital::Temperature, "36.70", Unit::Celsius)];
        assert_eq!(both(|say| say.headline(&temperature).0), ["36,70", "36.70"]);
        let pressure = [
            shown(Vital::Systolic, "128", Unit::MillimetreMercury),
            shown(Vital::Diastolic, "76", Unit::MillimetreMercury),
            shown(Vital::Pulse, "72", Unit::PerMinute),
        ];
        assert_eq!(both(|say| format!("{:?}", say.headline(&pressure))), ["(\"128/76\", 2)", "(\"128/76\", 2)"]);
        assert_eq!(both(|say| say.unit(Vital::Pulse, Unit::PerMinute)), ["slag i minuttet", "beats a minute"]);
        assert_eq!(both(|say| say.unit(Vital::RespRate, Unit::PerMinute))[1], "breaths a minute");
    }
}
