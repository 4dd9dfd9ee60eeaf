//! Numbers, times and findings in words: a person's language, the clinic's time zone, and the moment of saying it.

use fluent_bundle::FluentValue;
use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};
use triage::{Alert, Finding, Input, Limit, LimitKind, Mark, Plan, Reason, Share, Text};
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    names::Names,
    words::{Language, Words},
};

/// How to say things to one person now.
#[derive(Clone, Copy)]
pub struct Say<'a> {
    /// In which words.
    pub words: &'static Words,
    /// In which zone.
    pub zone: &'a TimeZone,
    /// When.
    pub now: Timestamp,
    /// What colleagues are called, where that is known.
    pub names: Option<&'a Names>,
}

/// So much of what was looked at together is said in one line.
const PARTS_MAX: usize = 3;

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
    /// A colleague, as others know them.
    pub fn colleague(&self, by: &str) -> String {
        self.names.map_or_else(|| by.to_owned(), |names| names.of(by))
    }

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
        self.words.say(&format!("mark-{}", mark.name()))
    }

    /// What was odd about a reading. Flags that end in a number (`user_2`) share their words. A flag that a newer kit sends is said as it
    /// came.
    pub fn flag(&self, flag: &Flag) -> String {
        let key = format!("flag-{flag}");
        if self.words.knows(&key) {
            return self.words.say(&key);
        }
        let numbered = flag
            .as_str()
            .rsplit_once('_')
            .and_then(|(name, n)| Some((format!("flag-{name}_n"), n.parse::<u16>().ok()?)));
        match numbered.filter(|(key, _)| self.words.knows(key)) {
            Some((key, n)) => self.words.count(&key, n),
            None => flag.as_str().replace('_', " "),
        }
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
            Reason::Band { vital, value, unit, limit, own, clinic, .. } => Said {
                lead: String::new(),
                headline: format!("{} {}", self.vital(*vital), self.quantity(*value, *unit)),
                limit: self.limit(finding.colour, *limit, *unit, (*own, clinic.is_some())),
            },
            Reason::Answer { .. } if finding.rule == triage::CALL_RULE => {
                Said { lead: String::new(), headline: self.words.say("call-me"), limit: String::new() }
            }
            Reason::Answer { questionnaire, question, answer, .. } => {
                let (question, answer) =
                    question_text(self.words.language, asked, Some(questionnaire), question, answer);
                Said { lead: question, headline: answer, limit: String::new() }
            }
            Reason::Trend { vital, of, limit, own, .. } => Said {
                lead: String::new(),
                headline: format!("{} {}", self.vital(*vital), self.quantity(*of, vital.unit())),
                limit: match limit {
                    Some(limit) => {
                        let quantity = self.statistic_limit(&finding.reason, limit.value);
                        let limit = self.limit_of(finding.colour, *limit, &quantity, *own);
                        format!("{}, {limit}", self.statistic(&finding.reason))
                    }
                    None => self.statistic(&finding.reason),
                },
            },
            Reason::Sum { .. } => self.sum(finding),
            Reason::Together { .. } => self.together(finding, asked),
            Reason::Missing { expected_at, overdue_at, last_at, vitals, questionnaires, in_a_row, .. } => {
                let row = in_a_row.map(|row| format!(", {}", self.words.count("missing-row", row))).unwrap_or_default();
                // Who measures and does not answer is not silent.
                let headline = match vitals.is_empty() {
                    true => self.words.say("missing-answers"),
                    false => self.silence(*last_at, *overdue_at),
                };
                let expected = self.expected(*expected_at, &self.missing(vitals, questionnaires));
                Said { lead: String::new(), headline, limit: format!("{expected}{row}") }
            }
        }
    }

    /// A statistic with its unit: "−2.6 spreads from the own usual", or by its name where there are no words for it.
    fn statistic(&self, reason: &Reason) -> String {
        let Reason::Trend { statistic, vital, value, unit, .. } = reason else { return String::new() };
        let quantity = self.of_statistic(*value, unit, *vital);
        let key = format!("trend-{statistic}");
        match self.words.knows(&key) {
            true => self.words.with(&key, &[("value", quantity.into())]),
            false => format!("{} {quantity}", statistic.replace('_', " ")),
        }
    }

    fn statistic_limit(&self, reason: &Reason, value: Value) -> String {
        let Reason::Trend { vital, unit, .. } = reason else { return String::new() };
        self.of_statistic(value, unit, *vital)
    }

    /// Points of a sum.
    pub fn points(&self, value: Value) -> String {
        let number = self.value(value).replace('-', "\u{2212}");
        self.words.with("unit-points", &[("value", number.into())])
    }

    /// A number in a statistic's unit.
    pub fn of_statistic(&self, value: Value, unit: &str, vital: Vital) -> String {
        let number = self.value(value).replace('-', "\u{2212}");
        let key = match unit {
            "{z}" => "unit-z",
            "%/a" => "unit-percent-year",
            "L/a" => "unit-litre-year",
            "kg/a" => "unit-kilo-year",
            "1" => "unit-times",
            unit if unit == vital.unit().ucum() => return format!("{number}\u{a0}{}", vital.unit().plain()),
            unit => return format!("{number}\u{a0}{unit}"),
        };
        self.words.with(key, &[("value", number.into())])
    }

    /// A sum: what of it adds points, the most first, and how many they are.
    fn sum(&self, finding: &Finding) -> Said {
        let Reason::Sum { statistic, value, limit, own, shares, missing, .. } = &finding.reason else {
            return Said { lead: String::new(), headline: finding.why.clone(), limit: String::new() };
        };
        let mut adds: Vec<&Share> = shares.iter().filter(|share| share.points.to_f64() > 0.0).collect();
        adds.sort_by_key(|share| std::cmp::Reverse(share.points));
        let adds: Vec<String> = adds.into_iter().take(PARTS_MAX).map(|share| self.share(share)).collect();
        let key = format!("sum-{statistic}");
        let mut parts = vec![self.words.with(&key, &[("value", self.points(*value).into())])];
        parts.extend(limit.map(|limit| self.limit_of(finding.colour, limit, &self.points(limit.value), *own)));
        parts.extend((!missing.is_empty()).then(|| self.words.count("together-missing", missing.len())));
        if adds.is_empty() {
            return Said { lead: String::new(), headline: parts.remove(0), limit: parts.join(", ") };
        }
        Said { lead: String::new(), headline: adds.join(" · "), limit: parts.join(", ") }
    }

    /// A part of a sum: "answers 2.5 points", "pulse 1.2 points".
    pub fn share(&self, share: &Share) -> String {
        let name = share.vital.map_or_else(|| self.words.say("share-answers"), |vital| self.vital(vital));
        format!("{name} {}", self.points(share.points))
    }

    /// Several things together: what they were, and how many of how many were so.
    fn together(&self, finding: &Finding, asked: Asked<'_>) -> Said {
        let Reason::Together { how, found, of, want, missing, .. } = &finding.reason else {
            return Said { lead: String::new(), headline: finding.why.clone(), limit: String::new() };
        };
        let mut parts: Vec<String> = Vec::new();
        for part in finding.inputs.iter().map(|input| self.input(input, asked)) {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        let more = parts.len().saturating_sub(PARTS_MAX);
        parts.truncate(PARTS_MAX);
        if more > 0 {
            parts.push(self.words.count("together-more", more));
        }
        let mark = self.mark(finding.colour).to_lowercase();
        let numbers = [("found", *found), ("of", *of), ("want", *want)].map(|(name, number)| (name, number.into()));
        let args: Vec<_> = numbers.into_iter().chain([("mark", mark.into())]).collect();
        let key = format!("together-{how}");
        let key = if self.words.knows(&key) { key } else { "together-all".to_owned() };
        let mut limit = self.words.with(&key, &args);
        if !missing.is_empty() {
            limit = format!("{limit}, {}", self.words.count("together-missing", missing.len()));
        }
        // Without an input there is nothing else to say than what is stored.
        let headline = if parts.is_empty() { finding.why.clone() } else { parts.join(" · ") };
        Said { lead: String::new(), headline, limit }
    }

    /// What a rule looked at, shortly: "SpO₂ 84 %", "More cough? A lot".
    pub fn input(&self, input: &Input, asked: Asked<'_>) -> String {
        match input {
            Input::Reading { vital, value, unit, .. } => {
                format!("{} {}", self.vital(*vital), self.quantity(*value, *unit))
            }
            Input::Answer { question, answer, .. } => {
                let (question, answer) = question_text(self.words.language, asked, None, question, answer);
                format!("{question} {answer}")
            }
        }
    }

    /// A finding in one line.
    pub fn sentence(&self, finding: &Finding, asked: Asked<'_>) -> String {
        let Said { lead, headline, limit } = self.finding(finding, asked);
        let limit = if limit.is_empty() { limit } else { format!(", {limit}") };
        format!("{lead} {headline}{limit}").trim_start().to_owned()
    }

    fn expected(&self, at: Timestamp, what: &str) -> String {
        let line = self.words.with("missing-expected", &[("when", self.when(at).into())]);
        if what.is_empty() { line } else { format!("{line}: {what}") }
    }

    /// What did not come: "SpO2, pulse, answers (copd-daily)".
    pub fn missing(&self, vitals: &[Vital], questionnaires: &[String]) -> String {
        let answers = self.words.say("share-answers");
        let measured = vitals.iter().map(|vital| self.vital(*vital));
        let asked = questionnaires.iter().map(|id| format!("{answers} ({id})"));
        measured.chain(asked).collect::<Vec<String>>().join(", ")
    }

    fn silence(&self, last_at: Option<Timestamp>, overdue_at: Timestamp) -> String {
        match last_at {
            Some(at) if at > overdue_at => self.words.with("missing-again", &[("when", self.when(at).into())]),
            Some(at) => self.words.with("missing-since", &[("when", self.when(at).into())]),
            None => self.words.say("missing-ever"),
        }
    }

    /// A limit in words: "red at 85 % or less".
    pub fn limit(&self, mark: Mark, limit: Option<Limit>, unit: Unit, (own, clinic): (bool, bool)) -> String {
        let Some(limit) = limit else { return self.words.say("limit-none") };
        let said = self.limit_of(mark, limit, &self.quantity(limit.value, unit), own);
        if clinic { format!("{said}, {}", self.words.say("limit-clinic")) } else { said }
    }

    /// The same of a number that is said already.
    pub fn limit_of(&self, mark: Mark, limit: Limit, quantity: &str, own: bool) -> String {
        let key = match limit.kind {
            LimitKind::AtMost => "limit-at-most",
            LimitKind::Below => "limit-below",
            LimitKind::From => "limit-from",
            LimitKind::Above => "limit-above",
        };
        let args = [("mark", self.mark(mark).to_lowercase().into()), ("value", quantity.into())];
        let said = self.words.with(key, &args);
        if own { format!("{said}, {}", self.words.say("limit-own")) } else { said }
    }

    fn weekday(&self, local: &Zoned) -> String {
        self.words.say(&format!("day-{}", local.weekday().to_monday_one_offset()))
    }

    /// A time on the clock of the zone.
    pub fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }
}

/// Was anything doubtful that made the alert as bad as it is, and in which ways?
pub fn doubts(alert: &Alert) -> Vec<&Flag> {
    let deciding = alert.findings.iter().filter(|finding| finding.colour == alert.mark);
    let mut flags: Vec<&Flag> =
        deciding.flat_map(|finding| &finding.inputs).flat_map(input_flags).filter(|flag| flag.is_doubt()).collect();
    flags.sort_unstable();
    flags.dedup();
    flags
}

/// Does the alert stand on a simulated device?
pub fn simulated(alert: &Alert) -> bool {
    alert.ever_found().flat_map(|finding| &finding.inputs).flat_map(input_flags).any(|flag| *flag == Flag::SIMULATED)
}

fn input_flags(input: &Input) -> &[Flag] {
    match input {
        Input::Reading { flags, .. } => flags,
        Input::Answer { .. } => &[],
    }
}

/// A question and its answer as one of the patient's programmes words them, or by their ids.
pub fn question_text(
    language: Language,
    asked: Asked<'_>,
    questionnaire: Option<&str>,
    question: &str,
    answer: &str,
) -> (String, String) {
    let all = asked.iter().flat_map(|plan| plan.programmes()).flat_map(|programme| programme.questionnaires());
    let named = all.filter(|known| questionnaire.is_none_or(|id| known.id == id));
    let Some(known) = named.flat_map(|known| &known.question).find(|known| known.id == question) else {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn say(language: Language, zone: &TimeZone) -> Say<'_> {
        Say { words: language.words(), zone, now: "2026-11-22T03:14:00Z".parse().unwrap(), names: None }
    }

    #[track_caller]
    fn when(at: &str, danish: &str, english: &str) {
        let zone = TimeZone::get("Europe/Copenhagen").unwrap();
        let at = at.parse().unwrap();
        assert_eq!(
            (say(Language::Da, &zone).when(at).as_str(), say(Language::En, &zone).when(at).as_str()),
            (danish, english)
        );
    }

    #[test]
    fn times_are_said_as_people_say_them_in_the_clinics_zone() {
        when("2026-11-22T02:10:00Z", "i dag 03:10", "today 03:10");
        when("2026-11-21T23:30:00Z", "i dag 00:30", "today 00:30");
        when("2026-11-21T22:30:00Z", "i går 23:30", "yesterday 23:30");
        when("2026-11-18T07:00:00Z", "ons 08:00", "Wed 08:00");
        when("2026-11-15T07:00:00Z", "15. nov 08:00", "15 Nov 08:00");
        when("2025-05-01T06:00:00Z", "1. maj 2025 08:00", "1 May 2025 08:00");
    }

    #[test]
    fn lengths_have_one_part_or_two() {
        let zone = TimeZone::UTC;
        for (minutes, danish, english) in [
            (0, "nu", "now"),
            (4, "4 min", "4 min"),
            (60, "1 t", "1 h"),
            (125, "2 t 5 min", "2 h 5 min"),
            (1500, "1 d 1 t", "1 d 1 h"),
        ] {
            let length = SignedDuration::from_mins(minutes);
            assert_eq!(say(Language::Da, &zone).length(length), danish);
            assert_eq!(say(Language::En, &zone).length(length), english);
        }
    }

    #[test]
    fn numbers_keep_their_digits_and_danish_has_a_comma() {
        let zone = TimeZone::UTC;
        let value: Value = "36.70".parse().unwrap();
        assert_eq!(say(Language::Da, &zone).quantity(value, Unit::Celsius), "36,70\u{a0}°C");
        assert_eq!(say(Language::En, &zone).quantity(value, Unit::Celsius), "36.70\u{a0}°C");
        assert_eq!(say(Language::En, &zone).quantity(Value::new(71, 2), Unit::Ratio), "0.71");
    }

    #[test]
    fn a_limit_says_which_side_of_it_counts() {
        let zone = TimeZone::UTC;
        let limit = |kind| Some(Limit { kind, value: Value::new(85, 0) });
        let english = |kind| say(Language::En, &zone).limit(Mark::Red, limit(kind), Unit::Percent, (false, false));
        assert_eq!(english(LimitKind::AtMost), "red at 85\u{a0}% or less");
        assert_eq!(english(LimitKind::Below), "red below 85\u{a0}%");
        assert_eq!(english(LimitKind::From), "red at 85\u{a0}% or more");
        assert_eq!(english(LimitKind::Above), "red above 85\u{a0}%");
        let own = say(Language::Da, &zone).limit(Mark::Yellow, limit(LimitKind::Above), Unit::Percent, (true, false));
        assert_eq!(own, "gul over 85\u{a0}%, egen grænse");
        let clinic = say(Language::Da, &zone).limit(Mark::Yellow, limit(LimitKind::From), Unit::Percent, (false, true));
        assert_eq!(clinic, "gul ved 85\u{a0}% eller derover, klinikkens grænse");
    }

    #[test]
    fn a_flag_of_a_newer_kit_is_said_as_it_came() {
        let zone = TimeZone::UTC;
        assert_eq!(say(Language::Da, &zone).flag(&"low_perfusion".parse().unwrap()), "svagt signal");
        assert_eq!(say(Language::Da, &zone).flag(&"user_2".parse().unwrap()), "bruger 2 af apparatet");
        assert_eq!(say(Language::Da, &zone).flag(&"left_hand".parse().unwrap()), "left hand");
        assert_eq!(say(Language::Da, &zone).flag(&"left_2".parse().unwrap()), "left 2");
    }

    fn finding(reason: serde_json::Value) -> Finding {
        let text = serde_json::json!({
            "rule": "a-rule", "version": 1, "programme": "copd", "colour": "red", "why": "in English", "at": "2026-11-22T03:00:00Z",
            "reason": reason,
            "inputs": [
                { "vital": "weight", "value": 82.4, "unit": "kg", "measured_at": "2026-11-22T03:00:00Z", "device": "scale:1" },
                { "question": "swollen", "answer": "yes", "answered_at": "2026-11-22T03:00:00Z" },
            ],
        });
        serde_json::from_str(&text.to_string()).unwrap()
    }

    #[track_caller]
    fn said(reason: serde_json::Value, danish: (&str, &str), english: (&str, &str)) {
        let (zone, finding) = (TimeZone::UTC, finding(reason));
        for (language, (headline, limit)) in [(Language::Da, danish), (Language::En, english)] {
            let Said { headline: found, limit: beside, .. } = say(language, &zone).finding(&finding, None);
            assert_eq!(
                (found.replace('\u{a0}', " ").as_str(), beside.replace('\u{a0}', " ").as_str()),
                (headline, limit)
            );
        }
    }

    #[test]
    fn who_measures_and_does_not_answer_is_told_from_who_is_silent() {
        let missing = |vitals: &[&str], questionnaires: &[&str]| {
            serde_json::json!({ "kind": "missing", "schedule": "morning", "vitals": vitals, "questionnaires": questionnaires,
                "expected_at": "2026-11-22T07:00:00Z", "overdue_at": "2026-11-22T13:00:00Z", "last_at": "2026-11-22T07:10:00Z" })
        };
        said(
            missing(&[], &["copd-daily"]),
            ("Spørgsmålene er ikke besvaret", "ventet i dag 07:00: Svar (copd-daily)"),
            ("The questions were not answered", "expected today 07:00: Answers (copd-daily)"),
        );
        said(
            missing(&["pulse"], &["copd-daily"]),
            ("Ingen måling siden i dag 07:10", "ventet i dag 07:00: Puls, Svar (copd-daily)"),
            ("No measurement since today 07:10", "expected today 07:00: Pulse, Answers (copd-daily)"),
        );
        let mut again = missing(&["pulse"], &[]);
        again["last_at"] = "2026-11-22T20:22:00Z".into();
        said(
            again,
            ("Ikke målt i tide, sidst målt i dag 20:22", "ventet i dag 07:00: Puls"),
            ("Not measured in time, last measured today 20:22", "expected today 07:00: Pulse"),
        );
    }

    #[test]
    fn a_statistic_and_several_things_together_are_said_in_the_pages_language() {
        let trend = |statistic: &str, value: f64, unit: &str, limit: f64| {
            serde_json::json!({ "kind": "trend", "statistic": statistic, "vital": "spo2", "of": 88, "value": value, "unit": unit,
                "limit": { "kind": "at_most", "value": limit }, "own": false })
        };
        said(
            trend("baseline", -2.6, "{z}", -2.5),
            ("SpO₂ 88 %", "−2,6 spredninger fra det normale, rød ved −2,5 spredninger eller derunder"),
            ("SpO₂ 88 %", "−2.6 spreads from what is usual, red at −2.5 spreads or less"),
        );
        said(
            trend("moon_phase", -4.5, "%", -4.0),
            ("SpO₂ 88 %", "moon phase −4,5 %, rød ved −4,0 % eller derunder"),
            ("SpO₂ 88 %", "moon phase −4.5 %, red at −4.0 % or less"),
        );
        let together = serde_json::json!({ "kind": "together", "how": "all", "found": 2, "of": 2, "want": 2,
            "parts": ["weight up", "swollen"], "missing": ["temperature"] });
        said(
            together,
            ("Vægt 82,4 kg · swollen: yes", "2 af 2 opfyldt: rød, 1 mangler"),
            ("Weight 82.4 kg · swollen: yes", "2 of 2 met: red, 1 missing"),
        );
    }
}
