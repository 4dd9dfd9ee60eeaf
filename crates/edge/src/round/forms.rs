//! Questionnaires on the page: question by question, back, and what is sent at the end.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use vitals::{Answer, Colour};

use super::{
    Acted, StepState, What,
    machine::{Round, Who},
    own::{After, Filling, Shows},
};
use crate::questionnaire::Questionnaire;

/// Answers that wait for further ones are sent after this.
pub const ANSWERS_IDLE_MAX: SignedDuration = SignedDuration::from_mins(30);

impl Round {
    /// Answers the question that is asked.
    pub(super) fn answer(&mut self, id: &str, question: &str, answer: &str, now: Timestamp) -> Acted {
        let Some((who, questionnaire)) = self.asked(id, question, now) else { return Acted::Stale };
        match questionnaire.take(question, answer) {
            Ok(taken) => {
                self.step_on(&who, &questionnaire, question, Some(taken), now);
                Acted::Done
            }
            Err(why) => Acted::Refused { why },
        }
    }

    /// Goes on without an answer.
    pub(super) fn skip_question(&mut self, who: &Who, id: &str, now: Timestamp) -> bool {
        let Some(questionnaire) = self.rules.questionnaires.get(id).cloned() else { return false };
        let question = self.question_of(who, &questionnaire);
        self.step_on(who, &questionnaire, &question, None, now);
        true
    }

    /// Goes back to the question before.
    pub(super) fn back(&mut self, id: &str, question: &str, now: Timestamp) -> bool {
        let Some((who, _)) = self.asked(id, question, now) else { return false };
        let Some(filling) = self.own_mut(&who).filling.as_mut() else { return false };
        let Some((before, answer, _)) = filling.way.pop() else { return false };
        filling.before.extend(answer.map(|answer| (before, answer)));
        filling.touched = now;
        true
    }

    /// The question that this questionnaire asks this person now.
    pub(super) fn question_of(&self, who: &Who, questionnaire: &Questionnaire) -> String {
        let filling = self.people.get(who).and_then(|own| own.filling.as_ref());
        let last = filling.filter(|filling| filling.questionnaire == questionnaire.id()).and_then(|f| f.way.last());
        let next = last.and_then(|(question, answer, _)| questionnaire.next(question, answer.as_deref()));
        next.unwrap_or(questionnaire.first()).to_owned()
    }

    /// What was answered and not sent, because the person went away.
    pub(super) fn leave_idle_questions(&mut self, now: Timestamp) {
        let idle = |filling: &Filling| now.duration_since(filling.touched) >= ANSWERS_IDLE_MAX;
        let people = self.people.iter().filter(|(_, own)| own.filling.as_ref().is_some_and(idle));
        let people: Vec<Who> = people.map(|(who, _)| who.clone()).collect();
        people.iter().for_each(|who| self.send_half_filled(who, now));
    }

    /// Sends what was answered so far; the step counts as skipped, and can be taken again.
    pub(super) fn send_half_filled(&mut self, who: &Who, now: Timestamp) {
        if self.people.get(who).is_none_or(|own| own.filling.is_none()) {
            return;
        }
        let own = self.own_mut(who);
        let Some(filling) = own.filling.take() else { return };
        own.skip(What::Answer(filling.questionnaire.clone()), now);
        let answers = answers(&filling);
        if !answers.is_empty() {
            self.send_answers(who, answers, false, now);
        }
    }

    /// Is this what is asked now?
    fn asked(&self, id: &str, question: &str, now: Timestamp) -> Option<(Who, Arc<Questionnaire>)> {
        let who = self.who()?;
        let current = self.current(&who, now)?;
        let questionnaire =
            self.rules.questionnaires.get(id).filter(|_| current.what == What::Answer(id.to_owned()))?;
        (self.question_of(&who, questionnaire) == question).then(|| (who, questionnaire.clone()))
    }

    fn step_on(
        &mut self,
        who: &Who,
        questionnaire: &Questionnaire,
        question: &str,
        answer: Option<String>,
        now: Timestamp,
    ) {
        // Answers to another questionnaire, or another version of it, are not mixed with these.
        let of_another = |filling: &Filling| {
            filling.questionnaire != questionnaire.id() || filling.version != questionnaire.version()
        };
        if self.people.get(who).and_then(|own| own.filling.as_ref()).is_some_and(of_another) {
            self.send_half_filled(who, now);
        }
        let own = self.own_mut(who);
        let filling = own.filling.get_or_insert_with(|| Filling {
            questionnaire: questionnaire.id().to_owned(),
            version: questionnaire.version(),
            way: Vec::new(),
            before: BTreeMap::new(),
            touched: now,
        });
        filling.touched = now;
        filling.before.remove(question);
        let next = questionnaire.next(question, answer.as_deref()).is_some();
        filling.way.push((question.to_owned(), answer, now));
        if !next {
            self.finish(who, questionnaire, now);
        }
    }

    fn finish(&mut self, who: &Who, questionnaire: &Questionnaire, now: Timestamp) {
        let own = self.own_mut(who);
        let Some(filling) = own.filling.take() else { return };
        own.focus = None;
        let answers = answers(&filling);
        if answers.is_empty() {
            return own.skip(What::Answer(filling.questionnaire), now);
        }
        own.answered.insert(filling.questionnaire, now);
        let given = answers.iter().map(|answer| (answer.question.as_str(), answer.answer.as_str()));
        let significance: Colour = questionnaire.significance(given);
        let trace = self.send_answers(who, answers, false, now);
        let what = Shows::Answered { title: questionnaire.title().clone(), significance, trace };
        self.own_mut(who).after = Some(After { what, since: now });
    }

    /// Today's steps of this person, in order.
    pub(super) fn steps(&self, who: &Who, now: Timestamp) -> Vec<(super::plan::Begun, StepState)> {
        let own = self.people.get(who).cloned().unwrap_or_default();
        let begun = super::plan::begun(self.dues(), now, &self.rules.zone);
        begun.into_iter().map(|step| (own.state(&step), step)).map(|(state, step)| (step, state)).collect()
    }

    /// The step whose turn it is: one that was begun, one that was chosen, or the first that is left.
    pub(super) fn current(&self, who: &Who, now: Timestamp) -> Option<super::plan::Begun> {
        let own = self.people.get(who).cloned().unwrap_or_default();
        let left: Vec<_> = self.steps(who, now).into_iter().filter(|(_, state)| *state == StepState::Left).collect();
        let filling = own.filling.map(|filling| What::Answer(filling.questionnaire));
        let wanted = [own.focus, filling].into_iter().flatten();
        let chosen = wanted.filter_map(|what| left.iter().find(|(step, _)| step.what == what)).next();
        chosen.or(left.first()).map(|(step, _)| step.clone())
    }
}

fn answers(filling: &Filling) -> Vec<Answer> {
    let given = filling.way.iter().filter_map(|(question, answer, at)| Some((question, answer.as_ref()?, at)));
    let answer = |(question, answer, at): (&String, &String, &Timestamp)| Answer {
        questionnaire: filling.questionnaire.clone(),
        version: filling.version,
        question: question.clone(),
        answer: answer.clone(),
        answered_at: *at,
    };
    given.map(answer).collect()
}
