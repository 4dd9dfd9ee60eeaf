//! "Call me": a person asks to be called, on the kit's own page. Built in, beside every programme, because no programme may forget it.
//!
//! It is an alert of a family of its own, yellow: it says nothing of how ill somebody is, so it leaves the patient's colour alone; the queue
//! puts it before the other yellows. No reading eases it: a person closes it. One that arrives late (its own time is longer ago than the
//! programme's `late_after`) is told all the same, and marked late.

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock},
};

use jiff::Timestamp;
use vitals::Answer;

use crate::{Chart, Finding, Input, Mark, Plan, Reason, Sitting, assess::late, chart::Memory, episode::Fed};

/// The questionnaire under which a kit reports what was asked of the clinic.
pub const CALL_QUESTIONNAIRE: &str = "kit";
/// The question that stands for asking to be called.
pub const CALL_QUESTION: &str = "call_me";
/// The answer that asks for it.
pub const CALL_NOW: &str = "now";
/// The family of the alert; a programme's own rules can't have it.
pub const CALL_FAMILY: &str = "call";
/// The rule's id in findings; a programme's own rules can't have it.
pub const CALL_RULE: &str = "call_me";

static FAMILY: LazyLock<Arc<str>> = LazyLock::new(|| CALL_FAMILY.into());
static RULE: LazyLock<Arc<str>> = LazyLock::new(|| CALL_RULE.into());

/// What the alert of this family is fed.
pub(crate) struct Called {
    pub family: Arc<str>,
    pub fed: Vec<Fed>,
}

/// Who asks to be called in this sitting, and was not heard before.
pub(crate) fn heard(chart: &mut Chart, plan: &Plan, sitting: &Sitting<'_>, now: Timestamp) -> Option<Called> {
    let mut asked = sitting.answers.iter().filter(|answer| asks_to_be_called(answer)).peekable();
    asked.peek()?;
    let fresh = || Memory { newest: Timestamp::MIN, stands: None, remembered: VecDeque::new() };
    let memory = chart.rules.entry(Arc::clone(&RULE)).or_insert_with(fresh);
    let mut fed = Vec::new();
    for answer in asked {
        let finding = Arc::new(finding(plan, answer, now));
        if !memory.knows(&finding) {
            memory.remember(&finding);
            memory.newest = memory.newest.max(finding.at);
            fed.push(Fed { rule: Arc::clone(&RULE), finding: Some(finding), stands: true });
        }
    }
    (!fed.is_empty()).then(|| Called { family: Arc::clone(&FAMILY), fed })
}

/// Does this answer ask for a call?
#[must_use]
pub fn asks_to_be_called(answer: &Answer) -> bool {
    answer.questionnaire == CALL_QUESTIONNAIRE && answer.question == CALL_QUESTION && answer.answer == CALL_NOW
}

fn finding(plan: &Plan, answer: &Answer, now: Timestamp) -> Finding {
    let Answer { questionnaire, question, answer, answered_at, .. } = answer.clone();
    let programme = plan.programme();
    let finding = Finding {
        rule: CALL_RULE.to_owned(),
        version: programme.version(),
        programme: programme.id().to_owned(),
        colour: Mark::Yellow,
        why: "asks to be called".to_owned(),
        reason: Reason::Answer { questionnaire, question: question.clone(), answer: answer.clone(), known: true },
        inputs: vec![Input::Answer { question, answer, answered_at }],
        at: answered_at,
        late: false,
    };
    if now.duration_since(answered_at) > programme.clinic().late_after.0 { late(finding) } else { finding }
}
