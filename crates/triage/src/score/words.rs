//! A score in plain English words: for `vagt config explain` and for whoever reviews it.

use std::fmt::Write as _;

use super::{Does, Parameter, Response, Scale, Score, Setting, Table, table::Between};

impl Score {
    /// The whole score in plain English words.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = format!("{} ({}), version {}.\nSource: {}\n", self.title.en, self.id, self.version, self.source);
        let mut line = |words: String| writeln!(text, "{words}").expect("a String takes any text");
        if let Some(note) = &self.note {
            line(note.en.clone());
        }
        line("\nPoints:".to_owned());
        self.parameters.iter().flat_map(|parameter| self.parameter_in_words(parameter)).for_each(&mut line);
        self.settings.iter().map(setting_in_words).for_each(&mut line);
        line("\nThe sum:".to_owned());
        self.responses.iter().map(response_in_words).for_each(&mut line);
        line("\nWhat was not given is missing and never taken as normal: the sum of the rest is then the least that it can be.".to_owned());
        line(format!("{} worked examples came out as they should.", self.examples));
        text
    }

    fn parameter_in_words(&self, parameter: &Parameter) -> Vec<String> {
        let head = format!("- {} ({})", parameter.title.en, parameter.name);
        match &parameter.does {
            Does::Choice(choices) => {
                let each =
                    choices.iter().map(|choice| format!("{} ({}) {}", choice.id, choice.title.en, choice.points));
                vec![format!("{head}: {}", each.collect::<Vec<_>>().join("; "))]
            }
            Does::Number(scale) => {
                let digits = match scale.digits {
                    0 => "whole numbers".to_owned(),
                    1 => "one decimal".to_owned(),
                    more => format!("{more} decimals"),
                };
                let mut lines =
                    vec![format!("{head}, {}, rounded to {digits}, halves away from zero:", scale.plain_unit())];
                lines.extend(scale.tables.iter().map(|table| self.table_in_words(scale, table)));
                lines
            }
        }
    }

    fn table_in_words(&self, scale: &Scale, table: &Table) -> String {
        let when: Vec<String> = table
            .when
            .iter()
            .filter_map(|when| {
                let choice = &self.choices(when.input).get(usize::from(when.choice))?;
                Some(format!("{} {}", self.name(when.input)?, choice.id))
            })
            .collect();
        let when = if when.is_empty() { String::new() } else { format!("{}: ", when.join(", ")) };
        let cells: Vec<String> = table
            .cells
            .iter()
            .map(|(from, at_most, points)| {
                format!("{} gives {points}", Between { from, at_most, digits: scale.digits })
            })
            .collect();
        format!("  {when}{}", cells.join("; "))
    }
}

fn setting_in_words(setting: &Setting) -> String {
    let choices: Vec<String> =
        setting.choices.iter().map(|choice| format!("{} ({})", choice.id, choice.title.en)).collect();
    let default = setting.choices.get(usize::from(setting.default)).map_or("", |choice| choice.id.as_str());
    let note = setting.note.as_ref().map(|note| format!(" {}", note.en)).unwrap_or_default();
    format!("- {} ({}): {}; {default} where nothing is said.{note}", setting.title.en, setting.name, choices.join("; "))
}

fn response_in_words(response: &Response) -> String {
    let at_most = (response.at_most < u16::MAX).then_some(i64::from(response.at_most));
    let range = Between { from: Some(i64::from(response.from)), at_most, digits: 0 };
    let any = response.any_part.map(|part| format!(", with {part} or more in one part")).unwrap_or_default();
    format!("- {range}{any}: {} ({}). {}", response.title.en, response.id, response.response.en)
}
