//! From the state to what the page shows: one thing, by what matters most now.

use drivers::Progress;
use jiff::{SignedDuration, Timestamp};
use vitals::Vital;

use super::{
    Call, Page, Shown, Step, StepState, View, What, advice,
    machine::{LIVE_FOR, Live, Round, Who},
    own::{After, Own, Shows},
    plan,
};

/// A result stays this long, unless the person goes on.
pub const RESULT_SHOWN_FOR: SignedDuration = SignedDuration::from_secs(60);
/// So does the end of a questionnaire.
pub const ANSWERED_SHOWN_FOR: SignedDuration = SignedDuration::from_secs(120);
/// An advice stays until it is measured again, at most this long,
pub const ADVICE_SHOWN_FOR: SignedDuration = SignedDuration::from_mins(10);
/// and at least this long, though the device goes on measuring: it has to be read.
pub const ADVICE_SHOWN_MIN: SignedDuration = SignedDuration::from_secs(10);

impl Round {
    /// What the page shows now. The revision is the shell's.
    #[must_use]
    pub fn view(&self, now: Timestamp) -> View {
        let notes = self.notes.iter().copied().collect();
        let station = self.rules.station.is_some();
        let Some(who) = self.who() else {
            let unclaimed = self.kit.held.iter().filter(|held| held.is_nobodys()).count();
            let unclaimed = u8::try_from(unclaimed).unwrap_or(u8::MAX);
            let page = Page::Choose { unclaimed, unknown_code: self.unknown_code };
            return View { station, page, notes, ..View::default() };
        };
        let nobody = Own::default();
        let own = self.people.get(&who).unwrap_or(&nobody);
        let page = self.page(&who, own, now);
        let current = self.current(&who, now);
        let is_now = |step: &plan::Begun, state| state == StepState::Left && current.as_ref() == Some(step);
        let steps = self.steps(&who, now).into_iter().map(|(step, state)| {
            let state = if is_now(&step, state) { StepState::Now } else { state };
            Step { what: step.what, state }
        });
        View {
            revision: 0,
            station,
            person: self.turn.as_ref().map(|turn| turn.name.clone()).or_else(|| self.rules.name.clone()),
            steps: steps.collect(),
            skip: matches!(
                page,
                Page::Measure { .. } | Page::Advice { .. } | Page::Question { .. } | Page::Measuring { .. }
            ) && (current.is_some() || !own.remeasures.is_empty() || own.after.is_some()),
            page,
            sent: own.last.and_then(|trace| self.traces.fate(trace)),
            call: own.call.as_ref().map_or(Call::Idle, super::own::Called::view),
            notes,
        }
    }

    /// Whose is it; what was just done; what is going on; what was written; what is to be done.
    fn page(&self, who: &Who, own: &Own, now: Timestamp) -> Page {
        if let Some(held) = self.asking(who) {
            return Page::Hold { id: held.id, values: held.values(), at: held.at(), why: held.why };
        }
        let todo = self.todo(who, own, now);
        let live = self.live_page(&todo, now);
        let advised = own.after.as_ref().is_some_and(|after| matches!(after.what, Shows::Advice { .. }));
        match (self.after_page(own, now), live) {
            (Some(_), Some(live)) if advised && self.advice_was_read(own, now) => live,
            (Some(after), _) => after,
            (None, Some(live)) => live,
            (None, None) => match own.messages.first() {
                Some(message) => Page::Message {
                    id: message.command.clone(),
                    text: message.text.clone(),
                    by: message.by.clone(),
                    at: message.at,
                },
                None => todo,
            },
        }
    }

    fn advice_was_read(&self, own: &Own, now: Timestamp) -> bool {
        own.after.as_ref().is_none_or(|after| now.duration_since(after.since) >= ADVICE_SHOWN_MIN)
    }

    fn after_page(&self, own: &Own, now: Timestamp) -> Option<Page> {
        let After { what, since } = own.after.as_ref()?;
        let within = |shown_for| now.duration_since(*since).abs() < shown_for;
        match what {
            Shows::Advice { values, advice, vitals, attempt } if within(ADVICE_SHOWN_FOR) => {
                let (values, vitals) = (values.clone(), vitals.clone());
                Some(Page::Advice { values, advice, vitals, attempt: *attempt })
            }
            Shows::Result { values, trace } if within(RESULT_SHOWN_FOR) => {
                let values = self.traces.coloured(*trace, values);
                Some(Page::Result { values, fate: self.traces.fate(*trace)? })
            }
            Shows::Answered { title, significance, trace } if within(ANSWERED_SHOWN_FOR) => {
                let (title, significance) = (title.clone(), *significance);
                Some(Page::Answered { title, significance, fate: self.traces.fate(*trace)? })
            }
            _ => None,
        }
    }

    /// What is to be done, whatever is going on.
    fn todo(&self, who: &Who, own: &Own, now: Timestamp) -> Page {
        if let Some(asked) = own.remeasures.first() {
            return Page::Measure { vitals: vec![asked.vital], asked: Some(asked.asked()) };
        }
        match self.current(who, now).map(|step| step.what) {
            Some(What::Measure(vitals)) => Page::Measure { vitals, asked: None },
            Some(What::Answer(id)) => self.question_page(who, own, &id).unwrap_or(Page::Rest),
            None => self.nothing_due(who, now),
        }
    }

    fn nothing_due(&self, who: &Who, now: Timestamp) -> Page {
        let next = plan::next(self.dues(), now, &self.rules.zone);
        match (self.steps(who, now).is_empty(), next) {
            (false, next) => Page::Finished { next },
            (true, Some(next)) => Page::Waiting { next },
            (true, None) => Page::Rest,
        }
    }

    fn question_page(&self, who: &Who, own: &Own, id: &str) -> Option<Page> {
        let questionnaire = self.rules.questionnaires.get(id)?;
        let question = self.question_of(who, questionnaire);
        let filling = own.filling.as_ref().filter(|filling| filling.questionnaire == id);
        let way = filling.map_or(0, |filling| filling.way.len());
        let answer = filling.and_then(|filling| filling.before.get(&question).cloned());
        Some(Page::Question {
            questionnaire: id.to_owned(),
            title: questionnaire.title().clone(),
            question: questionnaire.question(&question, answer)?,
            number: u8::try_from(way + 1).unwrap_or(u8::MAX),
            back: way > 0,
        })
    }

    /// A measurement that goes on is shown where one is asked for, or nothing is; never over a question.
    fn live_page(&self, todo: &Page, now: Timestamp) -> Option<Page> {
        let wanted: Option<&[Vital]> = match todo {
            Page::Measure { vitals, .. } => Some(vitals),
            Page::Rest | Page::Finished { .. } | Page::Waiting { .. } => None,
            _ => return None,
        };
        let turn = self.turn.as_ref().map(|turn| turn.number);
        let fresh = |live: &Live| now.duration_since(live.at).abs() <= LIVE_FOR && live.turn == turn;
        let of_it = |progress: &Progress| {
            wanted.is_none_or(|wanted| progress.values.iter().any(|value| wanted.contains(&value.vital)))
        };
        let fresh = self.live.iter().filter(|(_, live)| fresh(live));
        let going_on = fresh.filter_map(|(device, live)| Some((device, live.at, live.progress.as_ref()?)));
        let (device, _, progress) = going_on.min_by_key(|(_, at, progress)| (!of_it(progress), *at))?;
        let values: Vec<Shown> = progress.values.iter().map(shown_live).collect();
        let advice = values.iter().find_map(|value| advice::meanwhile(value.vital, &value.flags));
        Some(Page::Measuring { device: device.clone(), values, percent: progress.percent, advice })
    }
}

fn shown_live(measured: &drivers::Measured) -> Shown {
    let drivers::Measured { vital, value, unit, flags, .. } = measured;
    Shown { vital: *vital, value: *value, unit: *unit, flags: flags.clone(), colour: None }
}
