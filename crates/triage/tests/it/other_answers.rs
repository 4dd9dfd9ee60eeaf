//! Other answers on a path would have been as mild as is said: each is put into the sitting, and that is judged anew.

use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, sample::Index};
use triage::{
    Finding, Given, Input, Mark, OnlyIf, Own, Plan, Programme, Questionnaire, SHIPPED, Way, Would, why, why_given,
};
use vitals::Answer;

use crate::{
    life::{Life, shipped},
    ward::{Ward, programme},
};

fn rule(paths: &str) -> String {
    format!(
        "\n[[rule]]\nid = \"own\"\nkind = \"path\"\nfamily = \"ward\"\nquestionnaire = \"asked\"\npaths = [\n{paths}\n]\n"
    )
}

/// Breathless and coughing is red, either alone yellow.
fn both() -> String {
    rule(
        r#"{ when = { breathless = ["yes"], cough = ["yes"] }, mark = "red" },
        { when = { breathless = ["yes"] }, mark = "yellow" },
        { when = { cough = ["yes"] }, mark = "yellow" },"#,
    )
}

/// What came, and what is said of other answers: with what the finding itself knows, and with all that was answered.
#[track_caller]
fn says(rules: &str, answers: &str, alone: &str, with_all: &str) {
    let mut ward = Ward::of(rules);
    ward.on("10 08:00", answers);
    let finding = ward.finding("own").unwrap();
    let said =
        |given: &[Given<'_>]| why_given(&ward.plan, &finding, given).otherwise.map(|it| it.said).unwrap_or_default();
    assert_eq!((said(&[]).as_str(), said(&ward.chart.given(&finding)).as_str()), (alone, with_all), "{answers}");
    assert_eq!(why(&ward.plan, &finding).otherwise.map(|it| it.said).unwrap_or_default(), alone, "{answers}");
}

#[test]
fn one_question_that_would_do_is_named_and_what_is_not_known_may_be_bad() {
    let either = "yellow if the answer to \"Breathless?\" were \"No\", or if the answer to \"Cough?\" were \"No\"";
    says(&both(), "breathless=yes, cough=yes", either, either);
    let breathless = "green if the answer to \"Breathless?\" were \"No\"";
    says(&both(), "breathless=yes, cough=no", "", breathless);
    says(&both(), "breathless=yes", "", "");
    says(&both(), "breathless=no, cough=no", "", "");
    // What the questionnaire does not know is yellow itself.
    says(&both(), "breathless=no, cough=perhaps", "", "green if the answer to \"Cough?\" were \"No\"");
    says(&both(), "breathless=perhaps, cough=perhaps", "", "");
}

#[test]
fn where_one_is_not_enough_all_of_them_together_are_named() {
    let rules = rule(
        r#"{ when = { breathless = ["yes"], cough = ["yes"] }, mark = "yellow" },
        { when = { breathless = ["yes"] }, mark = "yellow" },
        { when = { cough = ["yes"] }, mark = "yellow" },"#,
    );
    let together = "green if the answer to \"Breathless?\" were \"No\" and the answer to \"Cough?\" were \"No\"";
    says(&rules, "breathless=yes, cough=yes", together, together);
    // One of three needs no other answer.
    let rules = rule(
        r#"{ when = { breathless = ["yes"], cough = ["yes"], sputum = ["green"] }, mark = "yellow" },
        { when = { breathless = ["yes"] }, mark = "yellow" },
        { when = { cough = ["yes"] }, mark = "yellow" },"#,
    );
    says(&rules, "breathless=yes, cough=yes, sputum=green", together, together);
}

/// Green sputum is red, and not to cough is yellow: who is not breathless gets there by not being asked for sputum.
fn asking() -> String {
    rule(
        r#"{ when = { cough = ["yes"], sputum = ["green"] }, mark = "red" },
        { when = { breathless = ["no"] }, not_asked = ["sputum"], mark = "yellow" },
        { when = { breathless = ["yes"], cough = ["no"] }, mark = "yellow" },"#,
    )
}

#[test]
fn another_answer_asks_other_questions() {
    let no_longer_asked =
        "green if the answer to \"Sputum?\" were \"Clear\"; yellow if the answer to \"Cough?\" were \"No\"";
    says(
        &asking(),
        "breathless=no, cough=yes, sputum=green",
        "yellow if the answer to \"Cough?\" were \"No\", or if the answer to \"Sputum?\" were \"Clear\"",
        no_longer_asked,
    );
    // Who coughs is asked for the sputum, and it may be green.
    let rules = rule(
        r#"{ when = { cough = ["yes"], sputum = ["green"] }, mark = "yellow" },
        { when = { cough = ["no"] }, mark = "yellow" },"#,
    );
    says(&rules, "cough=no", "", "");
    let clear = "green if the answer to \"Sputum?\" were \"Clear\"";
    says(&rules, "cough=yes, sputum=green", clear, clear);
}

#[test]
fn of_another_version_or_a_sitting_long_ago_nothing_is_said() {
    let mut ward = Ward::of(&both());
    ward.on("10 08:00", "breathless=yes, cough=yes");
    let finding = ward.finding("own").unwrap();
    assert!(why(&ward.plan, &Finding { version: 99, ..finding.clone() }).otherwise.is_none());
    assert!(ward.chart.given(&Finding { late: true, ..finding.clone() }).is_empty());
    // An answer of another sitting does not count.
    let mut ward = Ward::of(&both());
    ward.on("10 07:44", "cough=no");
    ward.on("10 08:00", "breathless=yes");
    let finding = ward.finding("own").unwrap();
    let given = |ward: &Ward| why_given(&ward.plan, &finding, &ward.chart.given(&finding)).otherwise.is_some();
    assert!(!given(&ward));
    ward.sends("10 07:50", "10 08:01", "cough=no");
    assert!(given(&ward));
}

/// A programme with a rule of this kind, and a person who has answered nothing yet.
struct Home {
    before: Life,
    rule: &'static str,
}

static HOMES: LazyLock<[Home; 4]> = LazyLock::new(|| {
    let of = |programme: &Arc<Programme>, rule| {
        let mut before = Life::on(programme, Own::default());
        before.passes(1);
        Home { before, rule }
    };
    [
        of(&written(&both()), "own"),
        of(&written(&asking()), "own"),
        of(&alpha_1(), "worse"),
        of(&shipped("heart-failure.toml"), "answers_together"),
    ]
});

fn written(rules: &str) -> Arc<Programme> {
    Arc::new(programme(rules).unwrap_or_else(|fault| panic!("{fault}")))
}

/// Its path of answers is there for other rules: here it is asked itself.
fn alpha_1() -> Arc<Programme> {
    let (file, text) = SHIPPED.iter().find(|(file, _)| *file == "alpha-1.toml").unwrap();
    let rules = text.split("[[example]]").next().unwrap();
    let own = rules
        .replace("kind = \"path\"\nfamily = \"copd\"\ningredient = true\n", "kind = \"path\"\nfamily = \"copd\"\n");
    assert_ne!(rules, own);
    Arc::new(Programme::parse(&own, file).unwrap_or_else(|fault| panic!("{fault}")))
}

/// What somebody does with a question: which choice, in which minute, and (0) that it is not answered.
type Does = (Index, i64, u8);

fn sitting() -> impl Strategy<Value = Vec<Does>> {
    prop::collection::vec((any::<Index>(), 0..15_i64, 0..12_u8), 12)
}

impl Home {
    fn plan(&self) -> &Plan {
        &self.before.plan
    }

    fn questionnaire(&self) -> &Questionnaire {
        &self.plan().programme().questionnaires()[0]
    }

    /// What the kit asks for, one question after another, as it is answered, without what is left out; and whether
    /// that is nothing.
    fn answered(&self, does: &[Does]) -> (Vec<Answer>, bool) {
        let (questionnaire, begun) = (self.questionnaire(), self.before.now - SignedDuration::from_mins(15));
        let (mut answers, mut kept) = (Vec::<Answer>::new(), Vec::new());
        for (question, (which, minute, left_out)) in questionnaire.question.iter().zip(does) {
            let leads_past = |only: &OnlyIf| !is_answered(&answers, &only.question, &only.answer);
            if question.only_if.as_ref().is_some_and(leads_past) {
                continue;
            }
            let chosen = match question.choice.as_slice() {
                [] => "words",
                choices => which.get(choices).id.as_str(),
            };
            answers.push(answer(questionnaire, &question.id, chosen, begun + SignedDuration::from_mins(*minute)));
            kept.push(*left_out > 0);
        }
        let all = kept.iter().all(|kept| *kept);
        (answers.into_iter().zip(kept).filter_map(|(answer, kept)| kept.then_some(answer)).collect(), all)
    }

    /// What the rule says of a sitting.
    fn judged(&self, answers: &[Answer]) -> (Life, Option<Finding>) {
        let mut life = self.before.clone();
        life.takes(Vec::new(), answers.to_vec());
        let standing = life.chart.standing(&life.plan);
        let found = standing.into_iter().find(|finding| finding.rule == self.rule);
        (life, found)
    }

    fn mark(&self, answers: &[Answer]) -> Mark {
        self.judged(answers).1.map_or(Mark::Green, |found| found.colour)
    }

    /// The sittings that there might have been, had these questions been answered so: what depends on them is asked no longer, or is asked then
    /// and answered in any way.
    fn otherwise(&self, answers: &[Answer], others: &[(&str, &str)]) -> Vec<Vec<Answer>> {
        let mut then = answers.to_vec();
        for answer in &mut then {
            if let Some((_, other)) = others.iter().find(|(question, _)| answer.question == *question) {
                (*other).clone_into(&mut answer.answer);
            }
        }
        let mut sittings = vec![then.clone()];
        for question in &self.questionnaire().question {
            let Some(only) = &question.only_if else { continue };
            let is_asked = |answers: &[Answer]| is_answered(answers, &only.question, &only.answer);
            match (is_asked(answers), is_asked(&then)) {
                (true, false) => {
                    sittings.iter_mut().for_each(|one| one.retain(|answer| answer.question != question.id));
                }
                (false, true) => {
                    let (of, at) = (self.questionnaire(), then[0].answered_at);
                    let mut answered = Vec::new();
                    for one in &sittings {
                        for choice in &question.choice {
                            let follows = answer(of, &question.id, &choice.id, at);
                            answered.push([one.as_slice(), &[follows]].concat());
                        }
                    }
                    sittings.extend(answered);
                }
                _ => {}
            }
        }
        sittings
    }
}

fn is_answered(answers: &[Answer], question: &str, with: &str) -> bool {
    answers.iter().any(|answer| answer.question == question && answer.answer == with)
}

fn answer(of: &Questionnaire, question: &str, answer: &str, at: Timestamp) -> Answer {
    Answer {
        questionnaire: of.id.clone(),
        version: of.version,
        question: question.to_owned(),
        answer: answer.to_owned(),
        answered_at: at,
    }
}

fn ways(plan: &Plan, finding: &Finding, given: &[Given<'_>]) -> Vec<Way> {
    match why_given(plan, finding, given).otherwise.map(|it| it.what) {
        Some(Would::Path { ways }) => ways,
        other => {
            assert_eq!(other, None);
            Vec::new()
        }
    }
}

/// Each combination of what a way names.
fn combinations(way: &Way) -> Vec<Vec<(&str, &str)>> {
    let mut all: Vec<Vec<(&str, &str)>> = vec![Vec::new()];
    for instead in &way.answers {
        let mut longer = Vec::new();
        for one in &all {
            for chosen in &instead.answers {
                let mut one = one.clone();
                one.push((instead.question.as_str(), chosen.id.as_str()));
                longer.push(one);
            }
        }
        all = longer;
    }
    all
}

/// How many combinations of other answers were said to be milder, and are.
fn holds(home: &Home, does: &[Does], knows: &[bool]) -> Result<u32, TestCaseError> {
    let (answers, all) = home.answered(does);
    let (life, found) = home.judged(&answers);
    let Some(finding) = found.filter(|finding| finding.colour > Mark::Green) else { return Ok(0) };
    let kept = life.chart.given(&finding);
    let known = answers.iter().zip(knows).filter(|(_, known)| **known);
    let some: Vec<Given<'_>> = known.map(|(answer, _)| Given::from(answer)).collect();
    let none: &[Given<'_>] = &[];
    let mut said = 0;
    for given in [none, some.as_slice(), kept.as_slice()] {
        for way in ways(home.plan(), &finding, given) {
            prop_assert!(way.mark < finding.colour);
            for others in combinations(&way) {
                for sitting in home.otherwise(&answers, &others) {
                    let mark = home.mark(&sitting);
                    prop_assert!(mark <= way.mark, "{}\n{way:?}\nand is {mark:?} by {sitting:?}", finding.why);
                }
                said += 1;
            }
        }
    }
    if all {
        nothing_is_left_out(home, &answers, &finding, &ways(home.plan(), &finding, &kept))?;
    }
    Ok(said)
}

/// Where everything is known, each answer to one question that is milder is named, unless another question hangs on it.
fn nothing_is_left_out(home: &Home, answers: &[Answer], finding: &Finding, ways: &[Way]) -> Result<(), TestCaseError> {
    let leads = |id: &str| {
        let mut questions = home.questionnaire().question.iter();
        questions.any(|question| question.only_if.as_ref().is_some_and(|only| only.question == id))
    };
    for input in &finding.inputs {
        let Input::Answer { question: id, answer, .. } = input else { continue };
        let asked = home.questionnaire().question.iter().find(|question| question.id == *id).unwrap();
        for choice in asked.choice.iter().filter(|choice| choice.id != *answer && !leads(id)) {
            let mark = home.mark(&home.otherwise(answers, &[(id.as_str(), choice.id.as_str())])[0]);
            let names = |way: &&Way| {
                let [only] = way.answers.as_slice() else { return false };
                only.question == *id && only.answers.iter().any(|chosen| chosen.id == choice.id)
            };
            let named = ways.iter().find(names).map(|way| way.mark);
            prop_assert_eq!(
                named,
                Some(mark).filter(|mark| *mark < finding.colour),
                "{}: {} {}",
                finding.why,
                id,
                choice.id
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_other_answers_would_be_they_are(
        which in 0..HOMES.len(), does in sitting(), knows in prop::collection::vec(any::<bool>(), 12)
    ) {
        holds(&HOMES[which], &does, &knows)?;
    }
}

#[test]
fn much_is_said_of_each_programme() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    for home in &*HOMES {
        let mut said = 0;
        for _ in 0..100 {
            let does = sitting().new_tree(&mut runner).unwrap().current();
            said += holds(home, &does, &[true; 12]).unwrap_or_else(|fault| panic!("{fault}"));
        }
        assert!(said > 20, "{}: {said} say too little", home.rule);
    }
}
