//! Why, in the page's language: whose limit decided, what the person was compared with, and what would have been green.

use triage::{
    Chosen, ClinicLimit, Compared, Decided, Instead, Limit, Mark, Moved, Origin, OwnLimit, Reason, Share, Way, Why,
    Would,
};

use crate::say::Say;

/// The lines of one finding.
pub fn told(say: &Say<'_>, why: &Why) -> Vec<String> {
    let own = why.limit.iter().flat_map(|decided| whose(say, decided));
    let moved = why.moved.iter().flat_map(|moved| kept(say, moved, &why.finding.reason));
    let reference = why.reference.as_ref().map(|set| set_by(say, &set.author, &set.reason, Some(set.until)));
    let compared = compared(say, &why.finding.reason).into_iter().chain(shares(say, &why.finding.reason));
    own.chain(moved).chain(compared).chain(reference).chain(otherwise(say, why)).collect()
}

/// Who set the limit that decided, and why; nothing of a programme's, which says it itself.
fn whose(say: &Say<'_>, decided: &Decided) -> Vec<String> {
    let (setting, beyond_floor) = match &decided.origin {
        Origin::Programme { .. } => return Vec::new(),
        Origin::Clinic { version, setting } => return vec![of_clinic(say, *version, setting.as_ref())],
        Origin::Patient { setting, beyond_floor } => (setting, beyond_floor),
    };
    let set = match setting {
        Some(OwnLimit { author, reason, until, .. }) => set_by(say, author, reason, *until),
        None => say.words.say("why-own-before"),
    };
    let floor = beyond_floor.as_ref().map(|_| say.words.say("why-floor"));
    [set].into_iter().chain(floor).collect()
}

/// "Limit of the whole clinic, version 2: fever, until 1 April".
fn of_clinic(say: &Say<'_>, version: u32, setting: Option<&ClinicLimit>) -> String {
    let line = say.words.with("why-clinic", &[("version", version.into())]);
    let Some(ClinicLimit { source, until, .. }) = setting else { return line };
    let until = until.map(|until| say.words.with("own-until", &[("when", say.date(until).into())]));
    let until = until.map(|until| format!(", {until}")).unwrap_or_default();
    format!("{line}: {source}{until}")
}

/// An own limit that changed the mark, and did not itself decide it.
fn kept(say: &Say<'_>, moved: &Moved, reason: &Reason) -> Vec<String> {
    let quantity = |limit: Limit| match reason {
        Reason::Band { vital, .. } | Reason::Trend { vital, .. } => say.of_statistic(limit.value, &moved.unit, *vital),
        _ => say.points(limit.value),
    };
    let limit = |limit: Limit| say.limit_of(moved.mark, limit, &quantity(limit), false);
    let (key, name, before) = match moved.clinic {
        Some(clinic) => ("why-moved-clinic", "clinic", limit(clinic)),
        None => {
            let programme = moved.programme.map_or_else(|| say.words.say("why-moved-none"), limit);
            ("why-moved", "programme", programme)
        }
    };
    let args = [
        ("own", limit(moved.limit).into()),
        (name, before.into()),
        ("without", say.mark(moved.without).to_lowercase().into()),
    ];
    let OwnLimit { author, reason, until, .. } = &moved.setting;
    let line = say.words.with(key, &args);
    let floor = moved.beyond_floor.as_ref().map(|_| say.words.say("why-floor"));
    [line, set_by(say, author, reason, *until)].into_iter().chain(floor).collect()
}

/// Who set something, why, until when.
pub fn set_by(say: &Say<'_>, author: &str, reason: &str, until: Option<jiff::Timestamp>) -> String {
    let line = say.words.with("own-set", &[("author", author.into()), ("reason", reason.into())]);
    match until {
        Some(until) => format!("{line}, {}", say.words.with("own-until", &[("when", say.date(until).into())])),
        None => line,
    }
}

fn compared(say: &Say<'_>, reason: &Reason) -> Option<String> {
    let Reason::Trend { vital, compared: Some(compared), .. } = reason else { return None };
    Some(usual(say, compared, say.quantity(compared.value, vital.unit())))
}

/// Each part of a sum: what it adds, its mean, and what is usual with its days.
fn shares(say: &Say<'_>, reason: &Reason) -> Vec<String> {
    let Reason::Sum { shares, .. } = reason else { return Vec::new() };
    let line = |share: &Share| {
        let quantity = |value| share.vital.map_or_else(|| say.points(value), |vital| say.quantity(value, vital.unit()));
        let usual = usual(say, &share.usual, quantity(share.usual.value));
        let args = [("share", say.share(share).into()), ("mean", quantity(share.mean).into())];
        format!("{}. {usual}", say.words.with("why-share", &args))
    };
    shares.iter().map(line).collect()
}

fn usual(say: &Say<'_>, compared: &Compared, value: String) -> String {
    let key = format!("compared-{}", compared.what);
    let what = if say.words.knows(&key) { say.words.say(&key) } else { compared.what.replace('_', " ") };
    let args = [
        ("what", what.into()),
        ("value", value.into()),
        ("from", say.date(compared.from).into()),
        ("until", say.date(compared.until).into()),
    ];
    let line = say.words.with("why-compared", &args);
    match compared.count {
        0 | 1 => line,
        count => format!("{line}, {}", say.words.count("why-compared-of", count)),
    }
}

fn otherwise(say: &Say<'_>, why: &Why) -> Option<String> {
    let said = match &why.otherwise.as_ref()?.what {
        Would::Limits { limits, unit, measured } => {
            let green = |limit: &Limit, quantity: String| say.limit_of(Mark::Green, *limit, &quantity, false);
            let said: Vec<String> = match &why.finding.reason {
                Reason::Sum { .. } => limits.iter().map(|limit| green(limit, say.points(limit.value))).collect(),
                Reason::Band { vital, .. } | Reason::Trend { vital, .. } if measured.is_empty() => {
                    limits.iter().map(|limit| green(limit, say.of_statistic(limit.value, unit, *vital))).collect()
                }
                Reason::Band { vital, .. } | Reason::Trend { vital, .. } => {
                    measured.iter().map(|limit| green(limit, say.quantity(limit.value, vital.unit()))).collect()
                }
                _ => return None,
            };
            let said = said.join(&format!(" {} ", say.words.say("and")));
            say.words.with("would-limits", &[("limits", said.into())])
        }
        Would::Answers { answers } => say.words.with("would-answers", &[("answers", any_of(say, answers).into())]),
        Would::Path { ways } => path(say, ways),
        Would::Fewer { than, .. } => say.words.count("would-fewer", *than),
        Would::Data { vitals, questionnaires } if questionnaires.is_empty() => {
            say.words.with("would-data", &[("vitals", say.missing(vitals, questionnaires).into())])
        }
        Would::Data { vitals, questionnaires } => {
            say.words.with("would-data-answers", &[("what", say.missing(vitals, questionnaires).into())])
        }
        Would::Person => say.words.say("would-person"),
    };
    Some(said)
}

/// `“No” or “A little”`.
fn any_of(say: &Say<'_>, answers: &[Chosen]) -> String {
    let said: Vec<String> = answers.iter().map(|answer| format!("“{}”", say.text(&answer.text))).collect();
    said.join(&format!(" {} ", say.words.say("or")))
}

/// What would have been milder on a path of answers, a sentence for each mark.
fn path(say: &Say<'_>, ways: &[Way]) -> String {
    let as_mild = |ways: &[Way]| {
        let each: Vec<String> = ways.iter().map(|way| way_in_words(say, way)).collect();
        let each = each.join(&format!(", {} ", say.words.say("or")));
        say.words.with("would-path", &[("mark", say.mark(ways[0].mark).into()), ("ways", each.into())])
    };
    ways.chunk_by(|one, next| one.mark == next.mark).map(as_mild).collect::<Vec<_>>().join(". ")
}

fn way_in_words(say: &Say<'_>, way: &Way) -> String {
    let one = |Instead { text, answers, .. }: &Instead| {
        let args = [("question", say.text(text).into()), ("answers", any_of(say, answers).into())];
        say.words.with("would-path-answer", &args)
    };
    let all: Vec<String> = way.answers.iter().map(one).collect();
    let all = all.join(&format!(" {} ", say.words.say("and")));
    say.words.with("would-path-if", &[("way", all.into())])
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};
    use triage::Text;

    use super::*;
    use crate::words::Language;

    fn text(en: &str, da: &str) -> Text {
        Text { en: en.to_owned(), da: da.to_owned() }
    }

    #[test]
    fn other_answers_on_a_path_are_said_in_both_languages() {
        let chosen = |en, da| Chosen { id: "id".to_owned(), text: text(en, da) };
        let (no, little) = (chosen("No", "Nej"), chosen("A little", "Lidt"));
        let instead = |en, da, answers: &[&Chosen]| Instead {
            question: "id".to_owned(),
            text: text(en, da),
            answers: answers.iter().map(|one| (*one).clone()).collect(),
        };
        let breathless = instead("Breathless?", "Forpustet?", &[&no, &little]);
        let cough = instead("Cough?", "Hoste?", &[&no]);
        let ways = [
            Way { mark: Mark::Green, answers: vec![breathless.clone(), cough.clone()] },
            Way { mark: Mark::Yellow, answers: vec![breathless] },
            Way { mark: Mark::Yellow, answers: vec![cough] },
        ];
        let said = |language: Language| {
            let say = Say { words: language.words(), zone: &TimeZone::UTC, now: Timestamp::UNIX_EPOCH, names: None };
            path(&say, &ways)
        };
        assert_eq!(
            said(Language::En),
            "Green if the answer to “Breathless?” were “No” or “A little” and the answer to “Cough?” were “No”. \
             Yellow if the answer to “Breathless?” were “No” or “A little”, or if the answer to “Cough?” were “No”"
        );
        assert_eq!(
            said(Language::Da),
            "Grøn, hvis svaret på “Forpustet?” var “Nej” eller “Lidt” og svaret på “Hoste?” var “Nej”. \
             Gul, hvis svaret på “Forpustet?” var “Nej” eller “Lidt”, eller hvis svaret på “Hoste?” var “Nej”"
        );
    }
}
