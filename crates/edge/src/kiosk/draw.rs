//! The view as HTML: the whole document, or the regions of it that change while it is open.

use std::borrow::Cow;

use askama::Template;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use vitals::Colour;

use super::{
    assets,
    say::{Instrument, Say, colour_name},
    settings::KioskSettings,
    words::Language,
};
use crate::round::{Call, Fate, Note, Page, QuestionKind, Refusal, Shown, Step, StepState, View, What};

/// A call that has not arrived after this is said to be held up, also when the connection seems to be there.
const CALL_HELD_UP: SignedDuration = SignedDuration::from_secs(30);

/// Everything that a drawing needs.
#[derive(Clone, Copy)]
pub struct Drawing<'a> {
    /// What is shown.
    pub view: &'a View,
    /// In which language.
    pub language: Language,
    /// The kit's zone.
    pub zone: &'a TimeZone,
    /// When.
    pub now: Timestamp,
    /// What is configured of the page.
    pub settings: &'a KioskSettings,
    /// Why what was given last can't be taken, to be said beside the field.
    pub refusal: Option<Refusal>,
}

impl<'a> Drawing<'a> {
    /// The whole document.
    #[must_use]
    pub fn document(&self) -> String {
        rendered(&Document { d: self.sheet() })
    }

    /// Only what changes.
    #[must_use]
    pub fn regions(&self) -> String {
        rendered(&Regions { d: self.sheet() })
    }

    fn sheet(&self) -> Sheet<'a> {
        let Self { view, language, zone, now, settings, refusal } = *self;
        Sheet { view, say: Say::new(language, zone, now), settings, refusal }
    }
}

fn rendered(template: &impl Template) -> String {
    template.render().unwrap_or_else(|error| {
        tracing::error!(%error, "kiosk: a template failed");
        String::new()
    })
}

/// Which screen it is. A press carries it, so that one meant for another screen does nothing; a screen with another key is drawn in whole.
#[must_use]
pub fn key(page: &Page) -> String {
    match page {
        Page::Rest | Page::Finished { .. } | Page::Waiting { .. } | Page::Choose { .. } => page.name().to_owned(),
        Page::Measure { vitals, asked } => {
            let first = vitals.first().map_or("", |vital| vital.name());
            format!("measure-{first}{}", if asked.is_some() { "-asked" } else { "" })
        }
        Page::Measuring { device, .. } => format!("measuring-{device}"),
        Page::Advice { advice, attempt, .. } => format!("advice-{advice}-{attempt}"),
        Page::Result { fate, .. } => format!("result-{}", fate.kept_at),
        Page::Question { questionnaire, question, .. } => format!("question-{questionnaire}-{}", question.id),
        Page::Answered { fate, .. } => format!("answered-{}", fate.kept_at),
        Page::Message { id, .. } => format!("message-{id}"),
        Page::Hold { id, .. } => format!("hold-{id}"),
    }
}

#[derive(Template)]
#[template(path = "kiosk/document.html")]
struct Document<'a> {
    d: Sheet<'a>,
}

#[derive(Template)]
#[template(path = "kiosk/regions.html")]
struct Regions<'a> {
    d: Sheet<'a>,
}

/// What the templates ask.
struct Sheet<'a> {
    view: &'a View,
    say: Say<'a>,
    settings: &'a KioskSettings,
    refusal: Option<Refusal>,
}

/// The ring with what stands in it.
struct Ring {
    /// How much of it is drawn, 0 to 100; `None` turns.
    percent: Option<u8>,
    /// `green`, `yellow`, `red`, or nothing.
    colour: &'static str,
    /// What stands large; else the picture of the instrument.
    number: String,
    /// Below it.
    under: String,
    instrument: &'static str,
}

impl Sheet<'_> {
    fn t(&self, key: &str) -> String {
        self.say.words.say(key)
    }

    fn lang(&self) -> &'static str {
        self.say.words.language.code()
    }

    fn other_language(&self) -> (&'static str, &'static str) {
        let (language, name) = self.say.words.language.other();
        (language.code(), name)
    }

    fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    fn key(&self) -> String {
        key(&self.view.page)
    }

    /// Nothing is typed on this screen, so that a browser without scripts may load it again by itself.
    fn only_shows(&self) -> bool {
        !matches!(
            self.view.page,
            Page::Question { .. } | Page::Choose { .. } | Page::Message { .. } | Page::Hold { .. }
        )
    }

    // --- the head

    fn step_class(&self, step: &Step) -> &'static str {
        match step.state {
            StepState::Done => "done",
            StepState::Skipped => "skipped",
            StepState::Now => "now",
            StepState::Left => "left",
        }
    }

    /// "Trin 2, blodtryk: nu".
    fn step_said(&self, index: &usize, step: &Step) -> String {
        let state = self.t(&format!("step-{}", self.step_class(step)));
        let number = i64::try_from(index + 1).unwrap_or(i64::MAX);
        let args = [("n", number.into()), ("what", self.what(&step.what).into()), ("state", state.into())];
        self.say.words.with("step", &args)
    }

    /// What a step asks for, by name.
    fn what(&self, what: &What) -> String {
        match what {
            What::Measure(vitals) => vitals.first().map_or_else(String::new, |vital| match Instrument::of(*vital) {
                Instrument::Other => self.say.vital(*vital),
                instrument => self.t(&format!("step-{}", instrument.name())),
            }),
            What::Answer(_) => self.t("step-questions"),
        }
    }

    /// The steps that can be made good: their places and names.
    fn skipped(&self) -> Vec<(usize, String)> {
        let steps = self.view.steps.iter().enumerate();
        let skipped = steps.filter(|(_, step)| step.state == StepState::Skipped);
        skipped.map(|(place, step)| (place, self.what(&step.what))).collect()
    }

    // --- what is worth knowing

    fn notes(&self) -> Vec<String> {
        let said = |note: &Note| {
            self.t(match note {
                Note::Offline => "note-offline",
                Note::Clock => "note-clock",
                Note::Disk => "note-disk",
                Note::Gap => "note-gap",
                Note::Bluetooth => "note-bluetooth",
            })
        };
        self.view.notes.iter().filter(|note| !self.call_held_up() || **note != Note::Offline).map(said).collect()
    }

    /// What became of "call me", in a sentence.
    fn call(&self) -> Option<String> {
        let said = match &self.view.call {
            Call::Idle => return None,
            Call::Asked { .. } if self.call_held_up() => {
                let phone = self.settings.phone.as_deref().map(|phone| self.phone(phone));
                let parts = [Some(self.t("call-held-up")), phone, Some(self.t("call-emergency"))];
                parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
            }
            Call::Asked { .. } => self.t("call-asked"),
            Call::Sent { at, .. } => self.say.words.with("call-sent", &[("when", self.say.when(*at).into())]),
            Call::Seen { seen, .. } => {
                let when = ("when", self.say.when(seen.at).into());
                match &seen.by {
                    Some(by) => self.say.words.with("call-seen-by", &[when, ("by", by.as_str().into())]),
                    None => self.say.words.with("call-seen", &[when]),
                }
            }
        };
        Some(said)
    }

    fn call_held_up(&self) -> bool {
        let Call::Asked { at } = self.view.call else { return false };
        self.view.notes.contains(&Note::Offline) || self.say.now.duration_since(at) > CALL_HELD_UP
    }

    /// At a station it has to be somebody who calls.
    fn can_call(&self) -> bool {
        !self.view.station || self.view.person.is_some()
    }

    fn is_calling(&self) -> bool {
        self.view.call != Call::Idle
    }

    fn phone(&self, phone: &str) -> String {
        self.say.words.with("call-phone", &[("phone", phone.into())])
    }

    fn skip_said(&self) -> String {
        self.t(if matches!(self.view.page, Page::Message { .. }) { "later" } else { "skip" })
    }

    fn call_button(&self) -> String {
        self.t(if self.is_calling() { "call-asked-button" } else { "call" })
    }

    // --- the one thing

    fn instrument(&self, vitals: &[vitals::Vital]) -> &'static str {
        vitals.first().map_or(Instrument::Other, |vital| Instrument::of(*vital)).name()
    }

    /// What a measurement under way is taken with: what it has told, or what its driver can tell.
    fn instrument_under_way(&self, device: &vitals::DeviceId, values: &[Shown]) -> &'static str {
        if let Some(first) = values.first() {
            return Instrument::of(first.vital).name();
        }
        let driver = device.as_str().split_once(':').and_then(|(driver, _)| drivers::find(driver));
        self.instrument(driver.map_or(&[], |driver| driver.vitals))
    }

    /// "Mål dit blodtryk".
    fn measure_heading(&self, vitals: &[vitals::Vital]) -> String {
        match self.instrument(vitals) {
            "other" => {
                let names: Vec<String> = vitals.iter().map(|vital| self.say.vital(*vital).to_lowercase()).collect();
                self.say.words.with("measure-other", &[("what", names.join(", ").into())])
            }
            name => self.t(&format!("measure-{name}")),
        }
    }

    fn how(&self, instrument: &str) -> String {
        self.t(&format!("measure-{instrument}-how"))
    }

    fn meanwhile(&self, instrument: &str) -> String {
        self.t(&format!("measuring-{instrument}"))
    }

    fn ring(&self, instrument: &'static str, percent: Option<u8>, under: &str) -> Ring {
        Ring { percent, colour: "", number: String::new(), under: under.to_owned(), instrument }
    }

    fn ring_under_way(&self, instrument: &'static str, values: &[Shown], percent: &Option<u8>) -> Ring {
        let number = self.say.headline(values).0;
        Ring { number, ..self.ring(instrument, percent.map(|percent| percent.min(100)), &self.t("measuring")) }
    }

    /// Poor: what there was of it, and again from the beginning.
    fn ring_again(&self, instrument: &'static str, values: &[Shown]) -> Ring {
        let under = values.first().map(|shown| self.say.unit(shown.vital, shown.unit)).unwrap_or_default();
        Ring { number: self.say.headline(values).0, ..self.ring(instrument, Some(0), &under) }
    }

    fn advice(&self, advice: &str) -> String {
        self.t(&format!("advice-{advice}"))
    }

    fn advice_more(&self, advice: &str) -> String {
        self.t(&format!("advice-{advice}-more"))
    }

    fn result_key(&self, colour: &Colour) -> &'static str {
        match colour {
            Colour::Green => "result-green",
            Colour::Yellow => "result-yellow",
            Colour::Red => "result-red",
        }
    }

    fn answered_key(&self, significance: &Colour) -> &'static str {
        match significance {
            Colour::Green => "answered-green",
            Colour::Yellow => "answered-yellow",
            Colour::Red => "answered-red",
        }
    }

    fn question_number(&self, number: &u8) -> String {
        self.say.words.with("question-number", &[("n", i64::from(*number).into())])
    }

    fn unclaimed(&self, unclaimed: &u8) -> String {
        self.say.words.with("unclaimed", &[("n", i64::from(*unclaimed).into())])
    }

    fn greeting(&self) -> String {
        self.say.greeting(self.view.person.as_deref())
    }

    fn ring_done(&self, values: &[Shown], colour: &Option<Colour>) -> Ring {
        let instrument = values.first().map_or(Instrument::Other, |shown| Instrument::of(shown.vital)).name();
        let under = values.first().map(|shown| self.say.unit(shown.vital, shown.unit)).unwrap_or_default();
        let colour = colour.map_or("", colour_name);
        Ring { colour, number: self.say.headline(values).0, ..self.ring(instrument, Some(100), &under) }
    }

    /// What does not stand in the ring.
    fn others<'v>(&self, values: &'v [Shown]) -> &'v [Shown] {
        &values[self.say.headline(values).1..]
    }

    fn vital(&self, shown: &Shown) -> String {
        self.say.vital(shown.vital)
    }

    fn number(&self, shown: &Shown) -> String {
        self.say.number(shown.value)
    }

    fn unit(&self, shown: &Shown) -> String {
        self.say.unit(shown.vital, shown.unit)
    }

    fn ring_held(&self, values: &[Shown]) -> Ring {
        self.ring_done(values, &None)
    }

    fn when(&self, at: &Timestamp) -> String {
        self.say.when(*at)
    }

    fn colour_said(&self, colour: &Colour) -> String {
        self.say.colour(*colour)
    }

    fn colour(&self, colour: &Colour) -> &'static str {
        colour_name(*colour)
    }

    fn is_poor(&self, values: &[Shown]) -> bool {
        values.iter().any(|shown| shown.flags.iter().any(vitals::Flag::is_doubt))
    }

    fn attempt(&self, attempt: &u8) -> String {
        self.say.words.with("attempt", &[("n", i64::from(*attempt).into())])
    }

    fn asked_by(&self, by: &Option<String>) -> String {
        match by {
            Some(by) => self.say.words.with("asked-by", &[("by", by.as_str().into())]),
            None => self.t("asked"),
        }
    }

    fn message_heading(&self, by: &Option<String>) -> String {
        match by {
            Some(by) => self.say.words.with("message-by", &[("by", by.as_str().into())]),
            None => self.t("message"),
        }
    }

    fn next_time(&self, next: &Timestamp) -> String {
        self.say.words.with("next-time", &[("when", self.say.when(*next).into())])
    }

    fn hold_heading(&self, values: &[Shown]) -> String {
        let instrument = values.first().map_or(Instrument::Other, |shown| Instrument::of(shown.vital));
        self.t(if instrument == Instrument::Scale { "hold-scale" } else { "hold" })
    }

    fn hold_why(&self, why: &crate::round::Doubt) -> String {
        use crate::round::Doubt;
        self.t(match why {
            Doubt::OtherUser => "hold-other-user",
            Doubt::OtherWeight => "hold-other-weight",
            Doubt::Nobody => "hold-nobody",
            Doubt::OtherTurn => "hold-other-turn",
        })
    }

    /// The values of a held measurement in one line.
    fn in_a_line(&self, values: &[Shown]) -> String {
        let one = |shown: &Shown| {
            format!("{} {} {}", self.vital(shown), self.number(shown), self.unit(shown)).trim_end().to_owned()
        };
        values.iter().map(one).collect::<Vec<_>>().join(" · ")
    }

    fn finished_heading(&self) -> String {
        match &self.view.person {
            Some(person) => self.say.words.with("finished-person", &[("person", person.as_str().into())]),
            None => self.t("finished"),
        }
    }

    fn fate(&self, fate: &Fate) -> String {
        self.say.fate(fate)
    }

    fn refused(&self) -> Option<String> {
        let refusal = self.refusal?;
        let range = match &self.view.page {
            Page::Question { question, .. } => self.range(&question.kind),
            _ => None,
        };
        Some(match refusal {
            Refusal::NotANumber => self.t("refused-not-a-number"),
            Refusal::OutOfRange => range.unwrap_or_else(|| self.t("refused-not-a-number")),
            Refusal::TooManyDecimals => self.t("refused-decimals"),
            Refusal::TooLong => self.t("refused-too-long"),
            Refusal::Empty => self.t("refused-empty"),
            Refusal::UnknownOption => self.t("refused-option"),
            Refusal::UnknownCode => self.t("refused-code"),
        })
    }

    /// "Et tal fra 30 til 250".
    fn range(&self, kind: &QuestionKind) -> Option<String> {
        let QuestionKind::Number { min, max, .. } = kind else { return None };
        let args = [("min", self.say.number(*min).into()), ("max", self.say.number(*max).into())];
        Some(self.say.words.with("number-range", &args))
    }

    /// The answer given before, as it is typed.
    fn given<'q>(&self, question: &'q crate::round::Question) -> Cow<'q, str> {
        let answer = question.answer.as_deref().unwrap_or_default();
        let number = matches!(question.kind, QuestionKind::Number { .. });
        if number && self.say.words.language == Language::Da { answer.replace('.', ",").into() } else { answer.into() }
    }

    fn is_given(&self, question: &crate::round::Question, answer: &str) -> bool {
        question.answer.as_deref() == Some(answer)
    }
}
