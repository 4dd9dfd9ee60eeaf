//! Rule kind `score`: the sum of points for what was measured, as NEWS2 or a score of the programme's own, and a mark for each of its bands.
//!
//! What counts is the newest of each parameter within a while; nothing is imputed. Points only add, so a partial sum is the least that the whole
//! can be: it may raise an alert by itself, but it is green only where all that `calm_needs` names is known. Oxygen is what the flow of the last
//! while says, else what the patient's own settings say, else missing; so is SpO2 scale 2, which is the patient's own with author and reason.

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Colour, Flag, Vital};

use super::{Judge, Nothing, Reader, Told, Verdict, Watches, doubt, read};
use crate::{
    Input, Length, OwnOxygen, Programme, Reason, Score, Scored,
    assess::TOGETHER,
    hysteresis::FOLLOWED_BACK,
    look::Look,
    own::Lasting,
    programme::place::steps,
    score::{Given, Inputs},
    series::{Nanos, Need, Sample, in_words, length, time},
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Which score: `news2`, or a `[[score]]` of this programme.
    score: String,
    /// Parts that lie at most so far before the newest one count with it.
    within: Length,
    /// An oxygen flow that was measured at most so long ago is still the one that is given. Wanted where the score asks for oxygen.
    oxygen_within: Option<Length>,
    /// How many points fewer it must be, in the sum and in a part that is enough by itself, before a mark that was reached counts as milder again.
    hysteresis: Option<u8>,
    /// What each of its bands means: all of them, from mild to severe.
    marks: BTreeMap<String, Colour>,
    /// Parameters without which a sum is not called green, however small it is.
    #[serde(default)]
    calm_needs: Vec<String>,
    /// Parameters that are answered: parameter = where it is asked, and which choice of the score each answer is.
    #[serde(default)]
    answers: BTreeMap<String, AskedFile>,
    /// Settings of the score that are the same for everybody in this programme: setting = choice.
    #[serde(default)]
    settings: BTreeMap<String, String>,
}

/// A parameter that is answered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskedFile {
    /// In which questionnaire.
    questionnaire: String,
    /// Which question.
    question: String,
    /// Answer = choice of the score. An answer that is not named says nothing, and the parameter is missing.
    choices: BTreeMap<String, String>,
}

/// A checked rule: the inputs of the score by their places.
#[derive(Debug)]
struct Counts {
    score: Arc<Score>,
    within: SignedDuration,
    oxygen_within: SignedDuration,
    /// Of each band, in the score's order.
    marks: Vec<Colour>,
    calm_needs: Vec<String>,
    measured: Vec<(usize, Vital)>,
    asked: Vec<(usize, AskedFile)>,
    oxygen: Option<usize>,
    scale: Option<usize>,
    settings: Vec<(usize, String)>,
    /// In points.
    hysteresis: Option<u8>,
}

/// The parameter that says whether oxygen is given, and its choices.
const OXYGEN: (&str, [&str; 2]) = ("oxygen", ["no", "yes"]);
/// The setting that chooses the SpO2 scale, and the choice for a target of 88 to 92 %.
const SCALE: (&str, &str) = ("scale", "2");
/// Parts do not lie further apart than this.
const WITHIN_MAX: SignedDuration = SignedDuration::from_hours(24);
/// An oxygen flow does not count longer than this.
const OXYGEN_WITHIN_MAX: SignedDuration = SignedDuration::from_hours(24 * 7);

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let file: File = reader.file()?;
    let own = reader.known.scores.iter().find(|score| score.id() == file.score).cloned();
    let Some(score) = own.or_else(|| Score::shipped(&file.score)) else {
        if reader.document.place_of("score", &file.score).is_some() {
            return None;
        }
        let shipped: Vec<&str> = crate::score::SCORES.iter().map(|(id, _)| *id).collect();
        let wanted = format!("want {}, or the id of a [[score]] of this programme", shipped.join(", "));
        reader.fault(steps!["score"], format!("found {:?}, {wanted}", file.score));
        return None;
    };
    let oxygen = score.place_with_choices(OXYGEN.0, &OXYGEN.1);
    lengths(reader, &file, oxygen.is_some());
    let marks = marks(reader, &score, &file.marks)?;
    let hysteresis = file.hysteresis;
    if let Some(found) =
        hysteresis.filter(|back| *back == 0 || marks[score.inputs().scored().band_with(*back)] > Colour::Green)
    {
        let text = format!("found {found}, want 1 or more, and so few that no points at all are green again");
        reader.fault(steps!["hysteresis"], text);
    }
    for (at, name) in file.calm_needs.iter().enumerate() {
        if score.parameters().iter().all(|parameter| parameter.name() != name) {
            reader.fault(steps!["calm_needs", at], format!("found {name:?}, want a parameter of {}", score.id()));
        }
    }
    let settings = settings(reader, &score, file.settings);
    let asked = file.answers.into_iter().filter_map(|(name, asked)| asks(reader, &score, &name, asked)).collect();
    let vital = |(at, parameter): (usize, &crate::score::Parameter)| Some((at, parameter.vital()?));
    let measured = score.parameters().iter().enumerate().filter_map(vital).collect();
    let scale = score.place_with_choices(SCALE.0, &[SCALE.1]);
    let oxygen_within = file.oxygen_within.map(|length| length.0).unwrap_or_default();
    let (within, calm_needs) = (file.within.0, file.calm_needs);
    read::judge(Counts {
        score,
        within,
        oxygen_within,
        marks,
        calm_needs,
        measured,
        asked,
        oxygen,
        scale,
        settings,
        hysteresis,
    })
}

fn lengths(reader: &mut Reader<'_, '_, '_>, file: &File, oxygen: bool) {
    let lengths = [("within", Some(file.within), WITHIN_MAX), ("oxygen_within", file.oxygen_within, OXYGEN_WITHIN_MAX)];
    for (field, length, most) in lengths {
        if let Some(found) = length.filter(|length| length.0 > most || length.0.is_zero()) {
            let text = format!("found {:#}, want more than nothing and at most {most:#}", found.0);
            reader.fault(steps![field], text);
        }
    }
    match (oxygen, file.oxygen_within) {
        (true, None) => reader.fault(steps!["oxygen_within"], "found nothing, want it: the score asks for oxygen"),
        (false, Some(_)) => reader.fault(steps!["oxygen_within"], "found it, want none: the score asks for no oxygen"),
        _ => {}
    }
}

/// A mark for each band, none milder than that of a milder band.
fn marks(reader: &mut Reader<'_, '_, '_>, score: &Score, written: &BTreeMap<String, Colour>) -> Option<Vec<Colour>> {
    for band in written.keys().filter(|band| score.bands().all(|known| known != *band)) {
        let known: Vec<&str> = score.bands().collect();
        let text = format!("found {band:?}, want a band of {}: {}", score.id(), known.join(", "));
        reader.fault(steps!["marks", band.as_str()], text);
    }
    let mut marks: Vec<Colour> = Vec::new();
    for band in score.bands() {
        let Some(mark) = written.get(band) else {
            reader.fault(steps!["marks"], format!("found no mark for band {band:?}, want one for each"));
            continue;
        };
        if let Some(milder) = marks.last().filter(|before| *before > mark) {
            let text = format!("found {mark} after {milder}, want none milder than that of a milder band");
            reader.fault(steps!["marks", band], text);
        }
        marks.push(*mark);
    }
    (marks.len() == score.bands().count()).then_some(marks)
}

fn settings(reader: &mut Reader<'_, '_, '_>, score: &Score, written: BTreeMap<String, String>) -> Vec<(usize, String)> {
    let mut settings = Vec::new();
    for (name, choice) in written {
        let own = name == SCALE.0 && score.place_with_choices(SCALE.0, &[SCALE.1]).is_some();
        match score.setting(&name) {
            Some(_) if own => {
                let text = "found it for everybody, want it as a patient's own: a decision with author and reason";
                reader.fault(steps!["settings", name.as_str()], text);
            }
            Some(place) => match score.inputs().give_at(place, Given::Choice(&choice)) {
                Ok(()) => settings.push((place, choice)),
                Err(fault) => reader.fault(steps!["settings", name.as_str()], fault.to_string()),
            },
            None => {
                let text = format!("found {name:?}, want a setting of {}", score.id());
                reader.fault(steps!["settings", name.as_str()], text);
            }
        }
    }
    settings
}

/// A parameter that is answered: its question is one of the programme, its answers are choices of the score.
fn asks(reader: &mut Reader<'_, '_, '_>, score: &Score, name: &str, asked: AskedFile) -> Option<(usize, AskedFile)> {
    let at = |fields: &[&str]| -> Vec<_> {
        ["answers", name].iter().chain(fields).map(|field| crate::programme::place::Step::from(*field)).collect()
    };
    let place = score.parameters().iter().position(|known| known.name() == name && known.choices().next().is_some());
    let Some(place) = place else {
        reader.fault(at(&[]), format!("found {name:?}, want a parameter of {} that is chosen", score.id()));
        return None;
    };
    let AskedFile { questionnaire, question, choices } = &asked;
    let asked_in = reader.known.questionnaires.iter().find(|(_, known)| known.id == *questionnaire);
    let Some((_, asked_in)) = asked_in else {
        reader.unknown(at(&["questionnaire"]), "questionnaire", questionnaire);
        return None;
    };
    let Some(found) = asked_in.question.iter().find(|known| known.id == *question) else {
        reader.fault(at(&["question"]), format!("found {question:?}, want a question of {questionnaire:?}"));
        return None;
    };
    let known = score.parameters()[place].choices().collect::<Vec<_>>();
    for (answer, choice) in choices {
        if found.choice.iter().all(|offered| offered.id != *answer) {
            let text = format!("found {answer:?}, want a choice of question {question:?}");
            reader.fault(at(&["choices", answer]), text);
        }
        if !known.contains(&choice.as_str()) {
            let text = format!("found {choice:?}, want one of {}", known.join(", "));
            reader.fault(at(&["choices", answer]), text);
        }
    }
    Some((place, asked))
}

/// Something that a score was made of.
#[derive(Clone, Copy)]
enum Part<'a> {
    Reading(Vital, &'a Sample),
    Answer(&'a AskedFile, &'a Sample),
}

impl Part<'_> {
    fn sample(&self) -> &Sample {
        match self {
            Self::Reading(_, sample) | Self::Answer(_, sample) => sample,
        }
    }
}

impl Counts {
    /// What is known, given to the score; `used` hears of each part with the place of its parameter. Of `sure`, doubtful values are left out.
    fn inputs<'a>(&'a self, look: &Look<'a>, sure: bool, mut used: impl FnMut(usize, Part<'a>)) -> Inputs<'a> {
        let mut inputs = self.score.inputs();
        for (place, choice) in &self.settings {
            inputs.give_at(*place, Given::Choice(choice)).expect("checked when it was read");
        }
        for (place, vital) in &self.measured {
            let Some(sample) = newest(look, *vital, self.within).filter(|it| !(sure && it.is_doubtful())) else {
                continue;
            };
            if inputs.give_at(*place, Given::Number(sample.value())).is_ok() {
                used(*place, Part::Reading(*vital, sample));
            }
        }
        for (place, asked) in &self.asked {
            let answers = look.answers(&asked.questionnaire, &asked.question);
            let answer = answers.last().filter(|answer| is_within(look, answer, self.within));
            let choice = answer.and_then(|answer| asked.choices.get(look.text(answer)));
            if let Some((answer, choice)) = answer.zip(choice) {
                inputs.give_at(*place, Given::Choice(choice)).expect("checked when it was read");
                used(*place, Part::Answer(asked, answer));
            }
        }
        self.give_oxygen(look, &mut inputs, used);
        inputs
    }

    /// Oxygen by its flow, else by what is known of the patient; the scale by what is known of the patient.
    fn give_oxygen<'a>(&'a self, look: &Look<'a>, inputs: &mut Inputs<'a>, mut used: impl FnMut(usize, Part<'a>)) {
        let own = own_oxygen(look);
        let choose = |given: bool| Given::Choice(OXYGEN.1[usize::from(given)]);
        if let Some(place) = self.oxygen.filter(|place| self.asked.iter().all(|(asked, _)| asked != place)) {
            if let Some(flow) = newest(look, Vital::OxygenFlow, self.oxygen_within) {
                let given = choose(!flow.value().decimal().is_zero());
                inputs.give_at(place, given).expect("checked when it was read");
                used(place, Part::Reading(Vital::OxygenFlow, flow));
            } else if let Some(own) = own {
                inputs.give_at(place, choose(own.at_home)).expect("checked when it was read");
            }
        }
        if let Some(place) = self.scale.filter(|_| own.is_some_and(|own| own.target_88_92)) {
            inputs.give_at(place, Given::Choice(SCALE.1)).expect("checked when it was read");
        }
    }

    fn mark(&self, scored: &Scored<'_>) -> Colour {
        self.marks[scored.band_at()]
    }

    /// How far back earlier scores are asked for.
    fn before(&self) -> SignedDuration {
        self.hysteresis.map_or(SignedDuration::ZERO, |_| FOLLOWED_BACK)
    }

    /// What the score was before, newest first, once for each sitting, of what is beyond doubt.
    fn older<'l>(&'l self, look: &'l Look<'_>, newest: Nanos) -> impl Iterator<Item = Inputs<'l>> + 'l {
        let (mut times, mut later) = (Vec::new(), newest);
        look.chart.times(&self.watches(), newest.saturating_sub(length(FOLLOWED_BACK)), newest, &mut times);
        let apart = move |at: &Nanos| {
            let is_apart = *at < later.saturating_sub(length(TOGETHER));
            later = if is_apart { *at } else { later };
            is_apart
        };
        let before = move |at| self.inputs(&Look { at, rank: 0, ..*look }, true, |_, _| ());
        times.into_iter().rev().filter(apart).map(before)
    }

    /// The worst mark, at most `hovering`, that was reached before and from which no score since went back by the hysteresis.
    fn held(&self, look: &Look<'_>, newest: Nanos, mut hovering: Colour) -> Colour {
        let mut held = Colour::Green;
        let Some(back) = self.hysteresis else { return held };
        for older in self.older(look, newest) {
            if hovering <= held {
                break;
            }
            let scored = older.scored();
            held = held.max(self.mark(&scored).min(hovering));
            // What was not known has not gone back.
            if self.is_known(&scored) {
                hovering = hovering.min(self.marks[scored.band_with(back)]);
            }
        }
        held
    }

    /// The mark of a score, or the worse one that it has not left yet.
    fn mark_at(&self, look: &Look<'_>, at: Nanos, scored: &Scored<'_>) -> Colour {
        let mark = self.mark(scored);
        let hovering = self.hysteresis.map_or(mark, |back| self.marks[scored.band_with(back)]);
        if hovering > mark { mark.max(self.held(look, at, hovering)) } else { mark }
    }

    /// Is enough known to say that it has gone back?
    fn is_known(&self, scored: &Scored<'_>) -> bool {
        if self.calm_needs.is_empty() { scored.is_complete() } else { self.is_calm(scored) }
    }

    /// Is enough known to call it green?
    fn is_calm(&self, scored: &Scored<'_>) -> bool {
        self.calm_needs.iter().all(|name| scored.parts().any(|(parameter, _)| parameter.name() == name))
    }
}

fn is_within(look: &Look<'_>, sample: &Sample, within: SignedDuration) -> bool {
    sample.at >= look.at.saturating_sub(length(within))
}

fn newest<'a>(look: &Look<'a>, vital: Vital, within: SignedDuration) -> Option<&'a Sample> {
    look.samples(vital).last().filter(|sample| is_within(look, sample, within))
}

/// What was set last of those that hold now.
fn own_oxygen<'a>(look: &Look<'a>) -> Option<&'a OwnOxygen> {
    let own = &look.plan.own().oxygen;
    if own.is_empty() {
        return None;
    }
    let now = look.time();
    own.iter().filter(|own| own.holds(now)).max_by_key(|own| own.from)
}

impl Judge for Counts {
    fn watches(&self) -> Watches {
        let mut watches =
            Watches { vitals: self.measured.iter().map(|(_, vital)| *vital).collect(), questions: vec![] };
        if self.oxygen.is_some() {
            watches = watches.and(&Watches::vital(Vital::OxygenFlow));
        }
        for (_, asked) in &self.asked {
            watches = watches.and(&Watches::question(&asked.questionnaire, &asked.question));
        }
        watches
    }

    fn needs(&self) -> Vec<(Vital, Need)> {
        let measured = self.measured.iter().map(|(_, vital)| (*vital, Need::raw(self.within + self.before())));
        let oxygen = self.oxygen.map(|_| (Vital::OxygenFlow, Need::raw(self.oxygen_within + self.before())));
        measured.chain(oxygen).collect()
    }

    fn needs_answers(&self) -> Need {
        Need::raw(self.within + self.before())
    }

    fn within(&self) -> Option<SignedDuration> {
        Some(self.within)
    }

    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing> {
        let mut at = Nanos::MIN;
        let (mut found, mut doubtful) = (0, false);
        let inputs = self.inputs(look, false, |place, part| {
            at = at.max(part.sample().at);
            found += usize::from(Some(place) != self.oxygen);
            doubtful |= matches!(part, Part::Reading(_, sample) if sample.is_doubtful());
        });
        if found == 0 {
            return Err(Nothing::NoValue);
        }
        let scored = inputs.scored();
        let mark = self.mark_at(look, at, &scored);
        if mark == Colour::Green && !self.is_calm(&scored) {
            let want = self.score.parameters().len();
            return Err(Nothing::Partial { found: scored.parts().count(), want });
        }
        // Points only add: where those beyond doubt give the same mark, there is no doubt about it.
        let doubtful = doubtful && self.mark_at(look, at, &self.inputs(look, true, |_, _| ()).scored()) < mark;
        Ok(Verdict { mark: mark.into(), at, doubtful })
    }

    fn tell(&self, look: &Look<'_>, verdict: &Verdict) -> Told {
        let mut parts = Vec::new();
        let scored = self.inputs(look, false, |place, part| parts.push((place, part))).scored();
        parts.sort_by_key(|(place, _)| *place);
        let mut flags: Vec<Flag> = Vec::new();
        let mut inputs = Vec::new();
        for (_, part) in &parts {
            inputs.push(match part {
                Part::Reading(vital, sample) => {
                    flags.extend_from_slice(sample.flags(&look.chart.names));
                    look.input(*vital, sample)
                }
                Part::Answer(asked, sample) => Input::Answer {
                    question: asked.question.clone(),
                    answer: look.text(sample).to_owned(),
                    answered_at: time(sample.at),
                },
            });
        }
        let worded = self.worded(look, &scored, &parts);
        let missing: Vec<String> = scored.missing().map(|parameter| parameter.label().to_owned()).collect();
        let mark = verdict.mark.colour().unwrap_or_default();
        let scale = match self.scale.and(own_oxygen(look)).filter(|own| own.target_88_92) {
            Some(_) => ", on SpO2 scale 2 (own setting)",
            None => "",
        };
        let points = if worded.is_empty() { String::new() } else { format!(" ({})", worded.join(", ")) };
        let kept = match self.hysteresis {
            Some(back) if self.mark(&scored) < mark => format!(", kept until it is {back} points back"),
            _ => String::new(),
        };
        let why = format!("{scored}: {mark}{points}{scale}{kept}{}", doubt(&flags));
        let back = self.hysteresis.filter(|_| self.held(look, verdict.at, mark) == mark).unwrap_or(0);
        let (found, want) = (u32::from(scored.total()), u32::from(scored.milder_below(&self.marks, mark, back)));
        let of = u32::from(self.score.most());
        Told {
            why,
            reason: Reason::Together { how: "score".to_owned(), found, of, want, parts: worded, missing },
            inputs,
        }
    }

    fn explain(&self, programme: &Programme) -> String {
        let marks: Vec<String> =
            self.score.bands().zip(&self.marks).map(|(band, mark)| format!("{band} is {mark}")).collect();
        let oxygen = match self.oxygen {
            Some(_) => format!(
                " Oxygen is what a flow of the last {} says, else what the patient's own settings say, else missing.",
                in_words(self.oxygen_within)
            ),
            None => String::new(),
        };
        let calm = match self.calm_needs.is_empty() {
            true => String::new(),
            false => format!(" It is not called green without {}.", self.calm_needs.join(", ")),
        };
        let kept = match self.hysteresis {
            Some(back) => format!(" A mark that was reached counts until the score is {back} points back."),
            None => String::new(),
        };
        let asked = self.asked.iter().map(|(place, asked)| {
            let question = programme.question(&asked.questionnaire, &asked.question).map_or("", |(text, _)| &text.en);
            format!(" {} is the answer to {question:?}.", self.score.parameters()[*place].name())
        });
        format!(
            "{}: {}. Parts of the last {} count together; what is missing is told and never taken as normal, and the sum is then the least \
             that it can be.{oxygen}{calm}{kept}{}",
            self.score.title().en,
            marks.join(", "),
            in_words(self.within),
            asked.collect::<String>(),
        )
    }
}

impl Counts {
    /// Each part that gave points: `SpO2 92 % gives 2`.
    fn worded(&self, look: &Look<'_>, scored: &Scored<'_>, parts: &[(usize, Part<'_>)]) -> Vec<String> {
        let part = |place: usize| parts.iter().find(|(of, _)| *of == place).map(|(_, part)| part);
        let of = |(parameter, points): (&crate::score::Parameter, u8)| {
            let place = self.score.parameters().iter().position(|known| known.name() == parameter.name())?;
            let label = parameter.label();
            let what = match part(place) {
                Some(Part::Reading(vital, sample)) => {
                    let label = if *vital == Vital::OxygenFlow { vital.info().label } else { label };
                    format!("{label} {} {}", sample.value(), vital.unit().plain())
                }
                Some(Part::Answer(_, sample)) => format!("{label} {:?}", look.text(sample)),
                None => format!("{label} (own setting)"),
            };
            Some(format!("{what} gives {points}"))
        };
        scored.parts().filter(|(_, points)| *points > 0).filter_map(of).collect()
    }
}
