//! A pressed form to an action.

use std::collections::BTreeMap;

use crate::round::Action;

/// The fields of a form, as they came. Bounded by the body's size.
pub type Fields = BTreeMap<String, String>;

/// The action that the form means; `None` when it is not one of the page's forms.
#[must_use]
pub fn action(fields: &Fields) -> Option<Action> {
    let field = |name: &str| fields.get(name).cloned();
    let number = |name: &str| fields.get(name)?.parse().ok();
    let action = match fields.get("action")?.as_str() {
        "next" => Action::Next,
        "skip" => Action::Skip,
        "take" => Action::Take { step: u8::try_from(number("step")?).ok()? },
        "answer" => Action::Answer {
            questionnaire: field("questionnaire")?,
            question: field("question")?,
            answer: answer(fields)?,
        },
        "back" => Action::Back { questionnaire: field("questionnaire")?, question: field("question")? },
        "read" => Action::Read { id: field("id")? },
        "mine" => Action::Mine { id: number("id")? },
        "not_mine" => Action::NotMine { id: number("id")? },
        "call_me" => Action::CallMe,
        "choose" => Action::Choose { code: field("code")?.trim().to_owned() },
        "leave_sitting" => Action::LeaveSitting,
        _ => return None,
    };
    Some(action)
}

/// An answer as it was given; a number with a comma or a point.
fn answer(fields: &Fields) -> Option<String> {
    match fields.get("number") {
        Some(number) => Some(number.trim().replace(',', ".")),
        None => fields.get("answer").map(|answer| answer.trim().to_owned()),
    }
}

/// The screen that the form stood on, where that matters.
#[must_use]
pub fn seen(fields: &Fields) -> Option<&str> {
    fields.get("seen").map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: &[(&str, &str)], wanted: Option<Action>) {
        let fields = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(action(&fields), wanted, "{form:?}");
    }

    #[test]
    fn forms_mean_actions_and_nonsense_means_nothing() {
        check(&[("action", "next")], Some(Action::Next));
        check(&[("action", "take"), ("step", "2")], Some(Action::Take { step: 2 }));
        check(&[("action", "take"), ("step", "300")], None);
        check(&[("action", "mine"), ("id", "18446744073709551615")], Some(Action::Mine { id: u64::MAX }));
        check(&[("action", "mine"), ("id", "-1")], None);
        check(&[("action", "choose"), ("code", " 1234\n")], Some(Action::Choose { code: "1234".to_owned() }));
        check(&[("action", "explode")], None);
        check(&[], None);
    }

    #[test]
    fn a_number_may_have_a_comma_and_words_keep_theirs() {
        let answer = |answer: &str| {
            let (questionnaire, question) = ("copd-daily".to_owned(), "temperature".to_owned());
            Some(Action::Answer { questionnaire, question, answer: answer.to_owned() })
        };
        let about = [("action", "answer"), ("questionnaire", "copd-daily"), ("question", "temperature")];
        check(&[&about[..], &[("number", " 37,5 ")]].concat(), answer("37.5"));
        check(&[&about[..], &[("answer", "tired, and cold ")]].concat(), answer("tired, and cold"));
        check(&about, None);
    }
}
