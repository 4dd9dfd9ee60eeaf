//! "Call me": a person asks to be called, on the kit's own page. Built in, beside every programme, because no programme may forget it.
//!
//! It is an alert of a family of its own, yellow: it says nothing of how ill somebody is, so it leaves the patient's colour alone; the queue
//! puts it before the other yellows. No reading eases it: a person closes it. One that arrives late (its own time is longer ago than the
//! programme's `late_after`) is told all the same, and marked late.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use vitals::Answer;

use crate::{
    Chart, Finding, Input, Mark, Plan, Reason, Sitting,
    episode::{CALL, Fed, Tells},
    late,
    series::nanos,
};

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

/// Tells a call's key from those of other findings.
const CALL_KEY: u64 = 0x6361_6c6c_5f6d_6521;

/// What the alert of this family is fed.
pub(crate) struct Called {
    pub family: Arc<str>,
    pub fed: Vec<Fed>,
}

/// Who asks to be called in this sitting, and was not heard before.
pub(crate) fn heard(chart: &mut Chart, plan: &Plan, sitting: &Sitting<'_>, now: Timestamp) -> Option<Called> {
    let mut asked = sitting.answers.iter().filter(|answer| asks_to_be_called(answer)).peekable();
    asked.peek()?;
    let mut fed = Vec::new();
    for answer in asked {
        let finding = Arc::new(finding(plan, answer, now));
        let key = nanos(finding.at).cast_unsigned() ^ CALL_KEY;
        if !chart.knows(key) {
            chart.remember(key);
            fed.push(Fed { place: CALL, finding: Some(finding), tells: Tells::Now });
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
        provisional: false,
    };
    if now.duration_since(answered_at) > programme.clinic().late_after.0 { late::told(finding) } else { finding }
}
