//! One view of every kind that the page can be asked to draw, by name. For the gallery and for the tests.

use edge::round::{
    Asked, Call, Choice, Doubt, Fate, Note, Page, Question, QuestionKind, Shown, Sight, Step, StepState, Text, View,
    What, advice::ADVICE,
};
use jiff::{SignedDuration, Timestamp};
use vitals::{Colour, Unit, Vital};

/// Every view, with its name.
pub fn views(now: Timestamp) -> Vec<(String, View)> {
    let at = |minutes: i64| now - SignedDuration::from_mins(minutes);
    let mut views: Vec<(String, View)> =
        pages(now).into_iter().map(|(name, page)| (name.to_owned(), around(page, at(12)))).collect();
    views.extend(ADVICE.iter().map(|advice| (format!("advice-{advice}"), around(poor(advice), at(12)))));
    let rest = |change: fn(&mut View, Timestamp)| {
        let mut view = around(Page::Rest, at(12));
        change(&mut view, now);
        view
    };
    views.push(("call-asked".into(), rest(|view, now| view.call = Call::Asked { at: now })));
    views.push((
        "call-held-up".into(),
        rest(|view, now| {
            view.call = Call::Asked { at: now - SignedDuration::from_mins(2) };
            view.notes = vec![Note::Offline];
        }),
    ));
    views.push(("call-sent".into(), rest(|view, now| view.call = Call::Sent { asked_at: now, at: now })));
    views.push((
        "call-seen".into(),
        rest(|view, now| view.call = Call::Seen { asked_at: now, seen: Sight { by: Some("Mette".into()), at: now } }),
    ));
    views.push((
        "call-seen-by-nobody".into(),
        rest(|view, now| view.call = Call::Seen { asked_at: now, seen: Sight { by: None, at: now } }),
    ));
    views.push(("offline".into(), rest(|view, _| view.notes = vec![Note::Offline])));
    views.push((
        "every-note".into(),
        rest(|view, _| view.notes = vec![Note::Offline, Note::Clock, Note::Disk, Note::Gap, Note::Bluetooth]),
    ));
    views.push(("station".into(), rest(|view, _| view.station = true)));
    views.push(("nobody".into(), View { page: Page::Rest, ..View::default() }));
    views
}

/// Everything around a page: a person, a round under way, something sent.
fn around(page: Page, at: Timestamp) -> View {
    let step = |what, state| Step { what, state };
    let measure = |vitals: &[Vital], state| step(What::Measure(vitals.to_vec()), state);
    let steps = vec![
        measure(&[Vital::Weight], StepState::Done),
        measure(&[Vital::Spo2, Vital::Pulse], StepState::Now),
        measure(&[Vital::Systolic, Vital::Diastolic, Vital::Pulse], StepState::Skipped),
        step(What::Answer("copd-daily".into()), StepState::Left),
    ];
    let choosing = matches!(page, Page::Choose { .. });
    let skip = matches!(
        page,
        Page::Measure { .. }
            | Page::Advice { .. }
            | Page::Question { .. }
            | Page::Message { .. }
            | Page::Measuring { .. }
    );
    let sight = Sight { by: Some("Mette".into()), at: at + SignedDuration::from_mins(1) };
    View {
        revision: 7,
        station: choosing,
        person: (!choosing).then(|| "Inger".to_owned()),
        steps: if choosing { vec![] } else { steps },
        page,
        skip,
        sent: (!choosing).then(|| fate(at, true, Some(Colour::Green), Some(sight))),
        call: Call::Idle,
        notes: vec![],
    }
}

fn fate(at: Timestamp, sent: bool, colour: Option<Colour>, seen: Option<Sight>) -> Fate {
    Fate { kept_at: at, sent_at: sent.then_some(at), colour, seen }
}

fn shown(vital: Vital, value: &str, unit: Unit, colour: Option<Colour>, flags: &[&str]) -> Shown {
    let flags = flags.iter().map(|flag| flag.parse().expect("a flag")).collect();
    Shown { vital, value: value.parse().expect("a number"), unit, flags, colour }
}

fn oximeter(spo2: &str, pulse: &str, colours: [Option<Colour>; 2], flags: &[&str]) -> Vec<Shown> {
    vec![
        shown(Vital::Spo2, spo2, Unit::Percent, colours[0], flags),
        shown(Vital::Pulse, pulse, Unit::PerMinute, colours[1], flags),
    ]
}

fn cuff() -> Vec<Shown> {
    vec![
        shown(Vital::Systolic, "148", Unit::MillimetreMercury, Some(Colour::Yellow), &[]),
        shown(Vital::Diastolic, "92", Unit::MillimetreMercury, Some(Colour::Yellow), &[]),
        shown(Vital::Pulse, "72", Unit::PerMinute, Some(Colour::Green), &[]),
    ]
}

fn poor(advice: &'static str) -> Page {
    let (values, vitals) = (oximeter("84", "71", [None; 2], &["low_perfusion"]), vec![Vital::Spo2, Vital::Pulse]);
    Page::Advice { values, advice, vitals, attempt: 2 }
}

fn text(da: &str, en: &str) -> Text {
    Text { en: en.to_owned(), da: da.to_owned() }
}

fn question(id: &str, text: Text, kind: QuestionKind, answer: Option<&str>) -> Page {
    Page::Question {
        questionnaire: "sample".into(),
        title: self::text("Hvordan har du det i dag?", "How are you today?"),
        question: Question { id: id.into(), text, help: None, kind, answer: answer.map(Into::into) },
        number: 2,
        back: true,
    }
}

/// Every page, and every measurement's page.
fn pages(now: Timestamp) -> Vec<(&'static str, Page)> {
    let hour = SignedDuration::from_hours(1);
    let measure = |vitals: &[Vital]| Page::Measure { vitals: vitals.to_vec(), asked: None };
    let spirometry = vec![
        shown(Vital::Fev1, "1.42", Unit::Litre, None, &[]),
        shown(Vital::Fvc, "2.61", Unit::Litre, None, &[]),
        shown(Vital::Pef, "268", Unit::LitrePerMinute, None, &[]),
    ];
    let mut pages = vec![
        ("rest", Page::Rest),
        ("waiting", Page::Waiting { next: now + hour * 24 }),
        ("finished", Page::Finished { next: Some(now + hour * 48) }),
        ("finished-for-good", Page::Finished { next: None }),
        ("measure-oximeter", measure(&[Vital::Spo2, Vital::Pulse])),
        ("measure-cuff", measure(&[Vital::Systolic, Vital::Diastolic, Vital::Pulse])),
        ("measure-thermometer", measure(&[Vital::Temperature])),
        ("measure-scale", measure(&[Vital::Weight])),
        ("measure-spirometer", measure(&[Vital::Fev1, Vital::Fvc, Vital::Pef])),
        ("measure-glucometer", measure(&[Vital::Glucose])),
        ("measure-other", measure(&[Vital::RespRate])),
        ("measure-asked", Page::Measure {
            vitals: vec![Vital::Spo2, Vital::Pulse],
            asked: Some(Asked { text: Some("Din ilt var lidt lav før. Vil du måle en gang til?".into()), by: Some("Mette".into()) }),
        }),
        ("measure-asked-by-nobody", Page::Measure { vitals: vec![Vital::Weight], asked: Some(Asked { text: None, by: None }) }),
        ("measuring", measuring(oximeter("92", "76", [None; 2], &[]), Some(60), None)),
        ("measuring-unknown", measuring(vec![], None, None)),
        ("measuring-poor", measuring(oximeter("84", "71", [None; 2], &["low_perfusion"]), Some(60), Some("warm-finger"))),
        ("result-kept", Page::Result { values: oximeter("93", "72", [None; 2], &[]), fate: fate(now, false, None, None) }),
        ("result-sent", Page::Result { values: spirometry, fate: fate(now, true, None, None) }),
        ("result-green", Page::Result { values: oximeter("93", "72", [Some(Colour::Green); 2], &[]), fate: fate(now, true, Some(Colour::Green), None) }),
        ("result-yellow", Page::Result { values: cuff(), fate: fate(now, true, Some(Colour::Yellow), None) }),
        ("result-red", Page::Result { values: oximeter("84", "118", [Some(Colour::Red), Some(Colour::Yellow)], &["low_perfusion"]), fate: fate(now, true, Some(Colour::Red), None) }),
        ("message", Page::Message {
            id: "m-1".into(),
            text: "Kære Inger\n\nDine tal ser fine ud i dag. Husk at drikke godt, når det er varmt. Jeg ringer torsdag som aftalt.\n\nVenlig hilsen Mette".into(),
            by: Some("Mette".into()),
            at: now - hour,
        }),
        ("message-by-nobody", Page::Message { id: "m-2".into(), text: "Vi ringer i morgen.".into(), by: None, at: now - hour * 30 }),
        ("choose", Page::Choose { unclaimed: 0, unknown_code: false }),
        ("choose-unclaimed", Page::Choose { unclaimed: 1, unknown_code: true }),
        ("choose-many", Page::Choose { unclaimed: 3, unknown_code: false }),
    ];
    pages.extend(questions());
    for (name, significance) in
        [("answered-green", Colour::Green), ("answered-yellow", Colour::Yellow), ("answered-red", Colour::Red)]
    {
        let fate = fate(now, true, (significance == Colour::Red).then_some(Colour::Red), None);
        pages.push((name, Page::Answered { title: text("Din KOL i dag", "Your COPD today"), significance, fate }));
    }
    let weight = || vec![shown(Vital::Weight, "81.4", Unit::Kilogram, None, &[])];
    for (name, values, why) in [
        ("hold-weight", weight(), Doubt::OtherWeight),
        ("hold-user", cuff(), Doubt::OtherUser),
        ("hold-nobody", weight(), Doubt::Nobody),
        ("hold-turn", weight(), Doubt::OtherTurn),
    ] {
        pages.push((name, Page::Hold { id: 3, values, at: now - SignedDuration::from_mins(3), why }));
    }
    pages
}

fn measuring(values: Vec<Shown>, percent: Option<u8>, advice: Option<&'static str>) -> Page {
    Page::Measuring { device: "gatt-plx:1".parse().expect("a device"), values, percent, advice }
}

fn questions() -> Vec<(&'static str, Page)> {
    let choice = |id: &str, da, en| Choice { id: id.into(), text: text(da, en) };
    let options = vec![
        choice("not_at_all", "Slet ikke", "Not at all"),
        choice("a_little", "Lidt", "A little"),
        choice("somewhat", "En del", "Quite a bit"),
        choice("a_lot", "Meget", "A lot"),
    ];
    let breathless =
        text("Har du haft sværere ved at få luft siden i går?", "Have you been shorter of breath since yesterday?");
    let number = QuestionKind::Number {
        unit: Some(text("grader", "degrees")),
        min: "34.0".parse().expect("a number"),
        max: "42.0".parse().expect("a number"),
        decimals: 1,
    };
    vec![
        (
            "question-choice",
            question("breathless", breathless.clone(), QuestionKind::Choice { options: options.clone() }, None),
        ),
        ("question-again", question("breathless", breathless, QuestionKind::Choice { options }, Some("a_little"))),
        (
            "question-yes-no",
            question("swollen", text("Er dine ankler hævede?", "Are your ankles swollen?"), QuestionKind::YesNo, None),
        ),
        (
            "question-number",
            question(
                "temperature",
                text("Hvad viste termometeret?", "What did the thermometer show?"),
                number,
                Some("37.5"),
            ),
        ),
        (
            "question-text",
            question(
                "other",
                text("Er der andet, vi skal vide?", "Is there anything else we should know?"),
                QuestionKind::Text { length_max: 400 },
                None,
            ),
        ),
    ]
}
