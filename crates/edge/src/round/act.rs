//! What a person did on the page.

use jiff::{SignedDuration, Timestamp};
use vitals::Answer;

use super::{
    Acted, Action, Refusal, StepState, What,
    machine::{Round, Said},
    own::{After, Called, Shows},
    station::Turn,
};

/// The questionnaire of what a person asks for by a button.
pub const KIT_QUESTIONNAIRE: &str = "kit";
/// Its version.
pub const KIT_QUESTIONNAIRE_VERSION: u32 = 1;
/// Pressing "call me" again within this is the same press.
pub const CALL_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(5);

impl Round {
    /// A person did this.
    pub fn act(&mut self, action: Action, now: Timestamp) -> Acted {
        self.end_idle_turn(now);
        self.touch(now);
        if let Action::Choose { code } = &action {
            return self.choose(code, now);
        }
        let done = match action {
            Action::Next => self.go_on(),
            Action::Skip => self.skip(now),
            Action::Take { step } => self.take(step, now),
            Action::Answer { questionnaire, question, answer } => {
                return self.answer(&questionnaire, &question, &answer, now);
            }
            Action::Back { questionnaire, question } => self.back(&questionnaire, &question, now),
            Action::Read { id } => self.read(&id, now),
            Action::Mine { id } => self.mine(id, now),
            Action::NotMine { id } => self.not_mine(id),
            Action::CallMe => self.call_me(now),
            Action::LeaveSitting => self.leave(now),
            Action::Choose { .. } => false,
        };
        if done { Acted::Done } else { Acted::Stale }
    }

    fn go_on(&mut self) -> bool {
        let Some(who) = self.who() else { return false };
        self.own_mut(&who).after.take().is_some()
    }

    /// From an advice: the measurement is let be. Else the question, or the step.
    fn skip(&mut self, now: Timestamp) -> bool {
        let Some(who) = self.who() else { return false };
        let advised = match self.own_mut(&who).after.take() {
            Some(After { what: Shows::Advice { vitals, .. }, .. }) => Some(vitals),
            Some(_) => return true,
            None => None,
        };
        if let Some(vitals) = advised {
            let of_it = |what: &What| matches!(what, What::Measure(asked) if asked.iter().any(|v| vitals.contains(v)));
            let step = self.steps(&who, now).into_iter().find(|(step, _)| of_it(&step.what));
            self.skip_remeasure(&who, |asked| vitals.contains(&asked.vital), now);
            if let Some((step, state)) = step
                && state != StepState::Done
            {
                self.own_mut(&who).skip(step.what, now);
            }
            return true;
        }
        if self.skip_remeasure(&who, |_| true, now) {
            return true;
        }
        let Some(step) = self.current(&who, now) else { return false };
        match step.what {
            What::Answer(questionnaire) => self.skip_question(&who, &questionnaire, now),
            measure @ What::Measure(_) => {
                self.own_mut(&who).skip(measure, now);
                true
            }
        }
    }

    fn take(&mut self, step: u8, now: Timestamp) -> bool {
        let Some(who) = self.who() else { return false };
        let Some((step, state)) = self.steps(&who, now).into_iter().nth(step.into()) else { return false };
        if state == StepState::Done {
            return false;
        }
        let own = self.own_mut(&who);
        own.skipped.retain(|(what, _)| *what != step.what);
        own.focus = Some(step.what);
        own.after = None;
        true
    }

    fn call_me(&mut self, now: Timestamp) -> bool {
        let Some(who) = self.who() else { return false };
        let before = self.people.get(&who).and_then(|own| own.call.as_ref());
        if before.is_some_and(|call| call.seen.is_none() && now.duration_since(call.at).abs() < CALL_AGAIN_AFTER) {
            return true;
        }
        let answer = Answer {
            questionnaire: KIT_QUESTIONNAIRE.to_owned(),
            version: KIT_QUESTIONNAIRE_VERSION,
            question: "call_me".to_owned(),
            answer: "now".to_owned(),
            answered_at: now,
        };
        self.send_answers(&who, vec![answer], true, now);
        self.own_mut(&who).call = Some(Called { at: now, seq: None, sent_at: None, seen: None });
        self.out.said.push(Said::CallMe);
        true
    }

    fn choose(&mut self, code: &str, now: Timestamp) -> Acted {
        let Some(station) = &self.rules.station else { return Acted::Stale };
        let Some(member) = station.find(code).cloned() else {
            self.unknown_code = self.turn.is_none();
            return Acted::Refused { why: Refusal::UnknownCode };
        };
        self.leave(now);
        self.turns += 1;
        let (patient, name, number) = (member.patient, member.name, self.turns);
        self.turn = Some(Turn { patient, name, began: now, touched: now, number });
        Acted::Done
    }

    /// The turn is over: what was answered goes, what is on the page goes.
    fn leave(&mut self, now: Timestamp) -> bool {
        self.unknown_code = false;
        let Some(turn) = self.turn.take() else { return false };
        let who = Some(turn.patient);
        self.send_half_filled(&who, now);
        let own = self.own_mut(&who);
        (own.after, own.focus, own.last) = (None, None, None);
        true
    }

    pub(super) fn end_idle_turn(&mut self, now: Timestamp) {
        let idle = self.rules.station.as_ref().map(|station| station.idle);
        let over = self.turn.as_ref().zip(idle).is_some_and(|(turn, idle)| now.duration_since(turn.touched) >= idle);
        if over {
            self.leave(now);
        }
    }
}
