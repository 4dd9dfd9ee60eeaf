//! Numbers, times and findings in words: a person's language, the clinic's time zone, and the moment of saying it.

use fluent_bundle::FluentValue;
use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};
use triage::{Alert, Finding, Input, Limit, LimitKind, Mark, Plan, Reason, Text};
use vitals::{Flag, Unit, Value, Vital};

use crate::words::{Language, Words};

/// How to say things to one person now.
#[derive(Clone, Copy)]
pub struct Say<'a> {
    /// In which words.
    pub words: &'static Words,
    /// In which zone.
    pub zone: &'a TimeZone,
    /// When.
    pub now: Timestamp,
}

/// A finding in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// What was asked, before what was answered; else empty.
    pub lead: String,
    /// The value: "SpO₂ 82 %".
    pub headline: String,
    /// The limit beside it: "red at 85 % or less".
    pub limit: String,
}

/// Who knows what the questions of a questionnaire ask.
pub type Asked<'a> = Option<&'a Plan>;

impl Say<'_> {
    /// A number with its digits, and a comma in Danish.
    pub fn value(&self, value: Value) -> String {
        let text = value.to_string();
        if self.words.language == Language::Da { text.replace('.', ",") } else { text }
    }

    /// A number with its unit, never parted by a line break.
    pub fn quantity(&self, value: Value, unit: Unit) -> String {
        format!("{}\u{a0}{}", self.value(value), unit.plain()).trim_end().to_owned()
    }

    /// A programme's text in the page's language.
    pub fn text<'t>(&self, text: &'t Text) -> &'t str {
        in_language(self.words.language, text)
    }

    /// A vital's name.
    pub fn vital(&self, vital: Vital) -> String {
        self.words.say(&format!("vital-{}", vital.name()))
    }

    /// A mark's name.
    pub fn mark(&self, mark: Mark) -> String {
        self.words.say(&format!("mark-{}", mark_name(mark)))
    }

    /// What was odd about a reading. A flag that a newer kit sends is said as it came.
    pub fn flag(&self, flag: &Flag) -> String {
        let key = format!("flag-{flag}");
        if self.words.knows(&key) { self.words.say(&key) } else { flag.as_str().replace('_', " ") }
    }

    /// The time of day.
    pub fn clock(&self, at: Timestamp) -> String {
        self.local(at).strftime("%H:%M").to_string()
    }

    /// A time as people say it: today, yesterday, a weekday, a date.
    pub fn when(&self, at: Timestamp) -> String {
        let (local, today) = (self.local(at), self.local(self.now).date());
        let time = FluentValue::from(self.clock(at));
        let days = (today - local.date()).get_days();
        match days {
            0 => self.words.with("when-today", &[("time", time)]),
            1 => self.words.with("when-yesterday", &[("time", time)]),
            2..=6 => format!("{} {}", self.weekday(&local), self.clock(at)),
            _ => format!("{} {}", self.date(at), self.clock(at)),
        }
    }

    /// A day: "15 Nov", with its year when that is another.
    pub fn date(&self, at: Timestamp) -> String {
        let (local, now) = (self.local(at), self.local(self.now));
        let month = self.words.say(&format!("month-{}", local.month()));
        let day =
            self.words.with("date", &[("day", FluentValue::from(i64::from(local.day()))), ("month", month.into())]);
        if local.year() == now.year() { day } else { format!("{day} {}", local.year()) }
    }

    /// How long something took, in one or two parts.
    pub fn length(&self, length: SignedDuration) -> String {
        let minutes = length.as_mins().max(0);
        let (days, hours) = (minutes / 1440, minutes / 60 % 24);
        let two = |big: String, small: i64, key: &str| {
            if small == 0 { big } else { format!("{big} {}", self.words.count(key, small)) }
        };
        match minutes {
            0 => self.words.say("js-now"),
            1..60 => self.words.count("length-min", minutes),
            60..1440 => two(self.words.count("length-h", hours), minutes % 60, "length-min"),
            _ => two(self.words.count("length-d", days), hours, "length-h"),
        }
    }

    /// How long ago.
    pub fn age(&self, at: Timestamp) -> String {
        self.length(self.now.duration_since(at))
    }

    /// A finding in words.
    pub fn finding(&self, finding: &Finding, asked: Asked<'_>) -> Said {
        match &finding.reason {
            Reason::Band { vital, value, unit, limit, own, .. } => Said {
                lead: String::new(),
                headline: format!("{} {}", self.vital(*vital), self.quantity(*value, *unit)),
                limit: self.limit(finding.colour, *limit, *unit, *own),
            },
            Reason::Answer { questionnaire, question, answer, .. } => {
                let (question, answer) = question_text(self.words.language, asked, questionnaire, question, answer);
                Said { lead: question, headline: answer, limit: String::new() }
            }
            Reason::Missing { expected_at, last_at, vitals, .. } => Said {
                lead: String::new(),
                headline: self.silence(*last_at),
                limit: self.expected(*expected_at, vitals),
            },
        }
    }

    /// A finding in one line.
    pub fn sentence(&self, finding: &Finding, asked: Asked<'_>) -> String {
        let Said { lead, headline, limit } = self.finding(finding, asked);
        let limit = if limit.is_empty() { limit } else { format!(", {limit}") };
        format!("{lead} {headline}{limit}").trim_start().to_owned()
    }

    fn expected(&self, at: Timestamp, vitals: &[Vital]) -> String {
        let line = self.words.with("missing-expected", &[("when", self.when(at).into())]);
        let names: Vec<String> = vitals.iter().map(|vital| self.vital(*vital)).collect();
        if names.is_empty() { line } else { format!("{line}: {}", names.join(", ")) }
    }

    fn silence(&self, last_at: Option<Timestamp>) -> String {
        match last_at {
            Some(at) => self.words.with("missing-since", &[("when", self.when(at).into())]),
            None => self.words.say("missing-ever"),
        }
    }

    /// A limit in words: "red at 85 % or less".
    pub fn limit(&self, mark: Mark, limit: Option<Limit>, unit: Unit, own: bool) -> String {
        let Some(limit) = limit else { return self.words.say("limit-none") };
        let key = match limit.kind {
            LimitKind::AtMost => "limit-at-most",
            LimitKind::Below => "limit-below",
            LimitKind::From => "limit-from",
            LimitKind::Above => "limit-above",
        };
        let args =
            [("mark", self.mark(mark).to_lowercase().into()), ("value", self.quantity(limit.value, unit).into())];
        let said = self.words.with(key, &args);
        if own { format!("{said}, {}", self.words.say("limit-own")) } else { said }
    }

    fn weekday(&self, local: &Zoned) -> String {
        self.words.say(&format!("day-{}", local.weekday().to_monday_one_offset()))
    }

    fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }
}

/// A mark's name on the wire and in a style sheet.
pub fn mark_name(mark: Mark) -> &'static str {
    match mark {
        Mark::Green => "green",
        Mark::Blue => "blue",
        Mark::Yellow => "yellow",
        Mark::Red => "red",
    }
}

/// Was anything that the alert's findings looked at doubtful, and in which ways?
pub fn doubts(alert: &Alert) -> Vec<&Flag> {
    let mut flags: Vec<&Flag> =
        alert.findings.iter().flat_map(|finding| &finding.inputs).flat_map(input_flags).collect();
    flags.retain(|flag| **flag != Flag::SIMULATED && **flag != Flag::FROM_STORAGE);
    flags.sort_unstable();
    flags.dedup();
    flags
}

/// Does the alert stand on a simulated device?
pub fn simulated(alert: &Alert) -> bool {
    alert.findings.iter().flat_map(|finding| &finding.inputs).flat_map(input_flags).any(|flag| *flag == Flag::SIMULATED)
}

fn input_flags(input: &Input) -> &[Flag] {
    match input {
        Input::Reading { flags, .. } => flags,
        Input::Answer { .. } => &[],
    }
}

/// A question and its answer as the programme words them, or by their ids.
pub fn question_text(
    language: Language,
    asked: Asked<'_>,
    questionnaire: &str,
    question: &str,
    answer: &str,
) -> (String, String) {
    let known = asked.and_then(|plan| plan.programme().questionnaires().iter().find(|known| known.id == questionnaire));
    let Some(known) = known.and_then(|known| known.question.iter().find(|known| known.id == question)) else {
        return (format!("{question}:"), answer.to_owned());
    };
    let choice = known.choice.iter().find(|choice| choice.id == answer);
    let said = choice.map_or(answer, |choice| in_language(language, &choice.text));
    (in_language(language, &known.text).to_owned(), said.to_owned())
}

fn in_language(language: Language, text: &Text) -> &str {
    match language {
        Language::Da => &text.da,
        Language::En => &text.en,
    }
}
