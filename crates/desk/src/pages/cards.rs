//! The cards of the queue: one open alert each, as a person reads it at three in the morning.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use triage::{Alert, AlertId, Finding, Mark, Plan, Reason, State};
use vitals::Vital;

use crate::{
    app::App,
    board::Person,
    say::{Said, Say, doubts, simulated},
    session::Session,
    spark::{Spark, spark},
};

/// Cards drawn at most; how many more wait is said below them.
pub const CARDS_MAX: usize = 200;
/// A card's curve goes back so far.
pub const CARD_CURVE_AGE_MAX: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Other findings named on a card.
const OTHERS_MAX: usize = 2;

/// One open alert.
pub struct Card {
    /// The alert.
    pub id: AlertId,
    /// Its version: a page redraws a card when this has grown.
    pub version: u32,
    /// Its colour on the wire and in the style sheet.
    pub mark: &'static str,
    /// Did what made it so come late? Then it is no news of now, and sounds nothing.
    pub late: bool,
    /// Its colour in words.
    pub mark_word: String,
    /// The patient's name, or their id where the roster does not know them any more.
    pub name: String,
    /// Age and programme.
    pub sub: String,
    /// What.
    pub said: Said,
    /// Other findings, and what is known of the kit when data is missing.
    pub context: Vec<String>,
    /// What is odd about it: late, doubtful, simulated, better now.
    pub tags: Vec<Tag>,
    /// The last 14 days of the vital that decided.
    pub spark: Option<Spark>,
    /// Since when somebody is waited for.
    pub since: String,
    /// How long, when drawn.
    pub waited: String,
    /// Who has it.
    pub owner: Option<Owner>,
    /// Is it open on the right?
    pub selected: bool,
}

/// A small mark with its word.
pub struct Tag {
    /// For the style sheet.
    pub kind: &'static str,
    /// In words.
    pub word: String,
}

/// Who has taken an alert.
pub struct Owner {
    /// Short.
    pub initials: String,
    /// In words: who, and since when.
    pub said: String,
}

/// The queue's cards, worst first, at most [`CARDS_MAX`].
pub async fn cards(app: &App, session: &Session, open: &[Arc<Alert>], selected: Option<AlertId>) -> Vec<Card> {
    let say = app.say(session);
    let mut cards = Vec::with_capacity(open.len().min(CARDS_MAX));
    for alert in open.iter().take(CARDS_MAX) {
        let person = app.desk.board.person(&alert.patient);
        let (spark, newest) = card_spark(app, &say, alert, person.as_ref()).await;
        let mut card = card(app, &say, alert, person.as_ref(), spark);
        if let Some(finding) = alert.findings.first() {
            card.said = say.finding(&last_heard(finding, newest), plan(person.as_ref()));
        }
        card.selected = selected == Some(alert.id);
        cards.push(card);
    }
    cards
}

fn card(app: &App, say: &Say<'_>, alert: &Alert, person: Option<&Person>, spark: Option<Spark>) -> Card {
    let plan = plan(person);
    Card {
        id: alert.id,
        version: alert.version,
        mark: alert.mark.name(),
        late: alert.late,
        mark_word: say.mark(alert.mark),
        name: person.map_or_else(|| alert.patient.to_string(), |person| person.patient.name.clone()),
        sub: person.map(|person| sub(say, person)).unwrap_or_default(),
        said: Said { lead: String::new(), headline: alert.family.clone(), limit: String::new() },
        context: context(app, say, alert, plan),
        tags: tags(say, alert, person),
        spark,
        since: alert.waiting_since.to_string(),
        waited: say.age(alert.waiting_since),
        owner: owner(say, &alert.state),
        selected: false,
    }
}

/// The finding, and for missing data the newest measurement that is known: stored records may have come after it was judged.
pub fn last_heard(finding: &Finding, newest: Option<Timestamp>) -> Finding {
    let mut finding = finding.clone();
    if let Reason::Missing { last_at, .. } = &mut finding.reason {
        *last_at = (*last_at).max(newest);
    }
    finding
}

/// The programme with the patient's limits.
pub fn plan(person: Option<&Person>) -> Option<&Plan> {
    person.and_then(|person| person.plan.as_deref())
}

/// "78 · COPD": of each programme's title, what stands before the first comma.
pub fn sub(say: &Say<'_>, person: &Person) -> String {
    let short = programmes(say, person).into_iter().map(|title| title.split(',').next().unwrap_or_default().to_owned());
    age(say, person).into_iter().chain(short).collect::<Vec<_>>().join(" · ")
}

/// The age that the person reaches this year.
pub fn age(say: &Say<'_>, person: &Person) -> Option<String> {
    person.patient.born.map(|born| (say.now.to_zoned(say.zone.clone()).year() - born).to_string())
}

/// The programmes' titles in the page's language, or their ids.
pub fn programmes(say: &Say<'_>, person: &Person) -> Vec<String> {
    match &person.plan {
        Some(plan) => plan.programmes().iter().map(|programme| say.text(programme.titles()).to_owned()).collect(),
        None => person.patient.programmes.clone(),
    }
}

fn context(app: &App, say: &Say<'_>, alert: &Alert, asked: Option<&Plan>) -> Vec<String> {
    let first = alert.findings.first().map(|finding| say.sentence(finding, asked));
    let others = alert.findings.iter().skip(1).filter(|finding| finding.colour != Mark::Green);
    let others = others.map(|finding| say.sentence(finding, asked)).filter(|line| Some(line) != first.as_ref());
    let mut lines: Vec<String> = others.take(OTHERS_MAX).collect();
    if let Some(finding) = alert.findings.first() {
        lines.extend(late_line(say, finding));
        lines.extend(silence_line(app, say, alert, finding));
    }
    lines
}

fn late_line(say: &Say<'_>, finding: &Finding) -> Option<String> {
    finding.late.then(|| say.words.with("late-measured", &[("when", say.when(finding.at).into())]))
}

/// A silent person is another matter than a dead kit.
fn silence_line(app: &App, say: &Say<'_>, alert: &Alert, finding: &Finding) -> Option<String> {
    // Who measures and does not answer is not silent.
    if !matches!(&finding.reason, Reason::Missing { vitals, .. } if !vitals.is_empty()) {
        return None;
    }
    let kits: Vec<_> = app.desk.board.kits().into_iter().filter(|state| state.kit.serves(&alert.patient)).collect();
    let last = kits.iter().filter_map(|state| state.heard.as_ref()).max_by_key(|heard| (heard.online, heard.at));
    if !kits.is_empty() && kits.iter().all(|state| state.kit.is_station()) {
        let when = last.map_or_else(|| say.words.say("kit-never"), |heard| say.when(heard.at));
        return Some(say.words.with("silent-shared", &[("when", when.into())]));
    }
    if !kits.is_empty() && kits.iter().all(|state| state.kit.revoked) {
        return Some(say.words.say("silent-revoked"));
    }
    Some(match last {
        Some(heard) if heard.online => say.words.say("silent-person"),
        Some(heard) => say.words.with("silent-kit", &[("when", say.when(heard.at).into())]),
        None => say.words.say("silent-never"),
    })
}

/// What is odd about an alert.
pub fn tags(say: &Say<'_>, alert: &Alert, person: Option<&Person>) -> Vec<Tag> {
    let tag = |kind, key: &str| Tag { kind, word: say.words.say(key) };
    let mut tags = Vec::new();
    if alert.late {
        tags.push(tag("late", "tag-late"));
    }
    if alert.provisional && alert.state.is_open() {
        tags.push(tag("doubt", "tag-provisional"));
    }
    if let Some(flag) = doubts(alert).first() {
        tags.push(Tag { kind: "doubt", word: say.flag(flag) });
    }
    if alert.state.is_open() && alert.now_mark < alert.mark {
        tags.push(Tag {
            kind: "now",
            word: say.words.with("tag-now", &[("mark", say.mark(alert.now_mark).to_lowercase().into())]),
        });
    }
    if simulated(alert) || person.is_some_and(|person| person.patient.simulated) {
        tags.push(tag("simulated", "tag-simulated"));
    }
    tags
}

/// Who has it.
pub fn owner(say: &Say<'_>, state: &State) -> Option<Owner> {
    let State::Acknowledged { by, at } = state else { return None };
    let by = say.colleague(by);
    let initials = by.split_whitespace().filter_map(|part| part.chars().next()).take(3).collect();
    let said = say.words.with("owner", &[("by", by.as_str().into()), ("time", say.clock(*at).into())]);
    Some(Owner { initials, said })
}

/// The vital that decided.
pub fn deciding_vital(alert: &Alert) -> Option<Vital> {
    alert.findings.iter().find_map(|finding| match finding.reason {
        Reason::Band { vital, .. } | Reason::Trend { vital, .. } => Some(vital),
        _ => None,
    })
}

/// The vital to draw: the one that decided, or else the first that the programme has limits for.
fn drawn_vital(alert: &Alert, person: Option<&Person>) -> Option<Vital> {
    deciding_vital(alert).or_else(|| {
        let plan = plan(person)?;
        vitals::VITALS.iter().map(|info| info.vital).find(|vital| !plan.bands(*vital).is_empty())
    })
}

/// The curve, and when its newest value was measured.
async fn card_spark(
    app: &App,
    say: &Say<'_>,
    alert: &Alert,
    person: Option<&Person>,
) -> (Option<Spark>, Option<Timestamp>) {
    let Some(vital) = drawn_vital(alert, person) else { return (None, None) };
    let since = say.now - CARD_CURVE_AGE_MAX;
    let curve = app.card_curve(&alert.patient, vital, since, alert.version).await;
    let bands = plan(person).map(|plan| plan.bands_at(vital, say.now)).unwrap_or_default();
    let values = || curve.points.iter().map(|point| point.value);
    let (Some(low), Some(high)) = (values().min(), values().max()) else { return (None, None) };
    let range = [("vital", say.vital(vital)), ("low", say.value(low)), ("high", say.quantity(high, curve.unit))];
    let label = say.words.with("spark-label", &range.map(|(name, text)| (name, text.into())));
    let newest = curve.points.last().map(|point| point.at);
    (spark(&curve.points, &bands, since, say.now, label), newest)
}
