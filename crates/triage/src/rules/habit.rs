//! Rule kind `habit`: how much of what a person answers and measures is unlike what is usual for this person, as one sum of points.
//!
//! Who is a little breathless on most days answers so on most days; so an answer tells something by what it lies above the person's own. The
//! points of a day's answers are added up, and the mean of the last days is compared with that of stable days before them. A vital adds points
//! for each spread that its mean of the same days lies off its own baseline in the direction that is feared, and takes some away on the other
//! side, at most so many: no single measurement decides alone. A person looks worse where several small things agree, which no rule of one
//! value sees. That differences from the own habit tell more than those between people: Burton 2015 (J Telemed Telecare 21:29).
//!
//! It is judged as of the newest answers, with what was measured until then; what comes later but was measured before has it judged anew, so
//! that the order of messages does not matter. A measurement after the answers counts with the next ones, and raises nothing by itself. Each
//! part is rounded to a tenth of a point, and the sum is that of the rounded parts: what is told adds up.

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Value, Vital};

use super::{
    BandFile, Judge, Nothing, Reader, Told, Verdict, Watches,
    days::{self, BaselineFile, Floor, FloorFile},
    read,
    trend::{Basis, digits_of, in_range, rounded},
};
use crate::{
    Input, Programme, Reason, Rung, Share,
    bands::{BandView, Ladder, meaning},
    hysteresis::{FOLLOWED_BACK, Hysteresis},
    look::Look,
    programme::{
        Number,
        place::{Step, steps},
    },
    series::{Nanos, Need, Sample, length, time},
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Of which questionnaire.
    questionnaire: String,
    /// Question = answer = its points, more than 0 and at most 10. An answer that is not named has none.
    levels: BTreeMap<String, BTreeMap<String, Number>>,
    /// What vitals add.
    #[serde(default)]
    vitals: Vec<VitalFile>,
    /// So many days, that of the answers included, are compared with what is usual.
    #[schemars(range(min = 1, max = 14))]
    over_days: u32,
    /// What is usual: of stable days before those.
    baseline: BaselineFile,
    /// The unit of its limits: `{points}`.
    unit: String,
    /// Bands of the sum: 0 is as usual, and limits lie above green.
    bands: Vec<BandFile>,
    /// How far the sum must go back over a limit that was crossed before it counts as milder again.
    hysteresis: Option<Number>,
}

/// What a vital adds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct VitalFile {
    /// Which vital.
    vital: Vital,
    /// Which side of what is usual is feared.
    feared: Side,
    /// Points for each spread: more than 0, at most 10.
    points: Number,
    /// More spreads than this, on either side, count as so many: more than 0, at most 10.
    at_most: Number,
    /// The least spread that counts.
    sd_floor: FloorFile,
    /// Its own baseline, where the rule's does not fit it.
    baseline: Option<BaselineFile>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Side {
    Above,
    Below,
}

#[derive(Debug)]
struct Habit {
    questionnaire: String,
    levels: Vec<(String, BTreeMap<String, f64>)>,
    parts: Vec<Part>,
    over_days: u32,
    baseline: BaselineFile,
    ladder: Ladder,
    hysteresis: Hysteresis,
}

/// A vital's part, checked.
#[derive(Debug)]
struct Part {
    vital: Vital,
    feared: Side,
    points: Value,
    at_most: f64,
    floor: Floor,
    baseline: BaselineFile,
}

/// Days that are compared at most.
const OVER_DAYS_MAX: u32 = 14;
/// Points of one answer or one spread, and spreads of one vital, at most.
const POINTS_MAX: f64 = 10.0;
/// Vitals of one rule.
const VITALS_MAX: usize = 8;
/// Questions of one rule.
const QUESTIONS_MAX: usize = 16;
/// Digits of points behind their point.
const DIGITS: u32 = 1;
const UNIT: &str = "{points}";
/// Answers that lie so far apart are of two times that the questionnaire was answered.
const ONE_ANSWERING: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { questionnaire, levels, vitals, over_days, baseline, unit, bands, hysteresis } = reader.file()?;
    reader.unit(&unit, UNIT, "a sum of points");
    let mut fits = in_range(reader, &["over_days"], over_days, 1, OVER_DAYS_MAX);
    fits &= days::check(reader, &baseline);
    fits &= check_number(reader, "levels", levels.len(), 1, QUESTIONS_MAX);
    fits &= check_number(reader, "vitals", vitals.len(), 0, VITALS_MAX);
    let levels = read_levels(reader, &questionnaire, levels);
    let parts: Vec<Option<Part>> =
        vitals.into_iter().enumerate().map(|(at, written)| part(reader, at, written, baseline)).collect();
    let ladder = reader.ladder(&bands);
    let (hysteresis, ladder) = (Hysteresis::read(reader, hysteresis)?, ladder?);
    hysteresis.check(reader, &ladder, "points");
    hysteresis.check_nothing(reader, &ladder);
    if [Rung::RedLow, Rung::YellowLow].into_iter().any(|rung| ladder.at(rung).is_some()) {
        reader.fault(steps!["bands"], "found a limit under green, want limits above it alone: fewer points are better");
        fits = false;
    }
    let (levels, parts) = (levels?, parts.into_iter().collect::<Option<_>>().filter(|_| fits)?);
    read::judge(Habit { questionnaire, levels, parts, over_days, baseline, ladder, hysteresis })
}

fn check_number(reader: &mut Reader<'_, '_, '_>, field: &str, found: usize, least: usize, most: usize) -> bool {
    let fits = (least..=most).contains(&found);
    if !fits {
        reader.fault(steps![field], format!("found {found}, want {least} to {most}"));
    }
    fits
}

/// The points of the answers. One question at least is always asked, since a day without an answer does not count.
fn read_levels(
    reader: &mut Reader<'_, '_, '_>,
    questionnaire: &str,
    written: BTreeMap<String, BTreeMap<String, Number>>,
) -> Option<Vec<(String, BTreeMap<String, f64>)>> {
    let known = reader.known;
    let Some((_, asked_in)) = known.questionnaires.iter().find(|(_, other)| other.id == questionnaire) else {
        reader.unknown(steps!["questionnaire"], "questionnaire", questionnaire);
        return None;
    };
    let (mut levels, mut always) = (Vec::new(), written.is_empty());
    for (question, written) in written {
        let here = || steps!["levels", question.as_str()];
        let Some(asked) = asked_in.question.iter().find(|other| other.id == question) else {
            reader.fault(here(), format!("found {question:?}, want a question of {questionnaire:?}"));
            always = true;
            continue;
        };
        always |= asked.only_if.is_none();
        if written.is_empty() {
            reader.fault(here(), "found no answer, want at least one with its points");
        }
        for (answer, points) in &written {
            let path = || here().into_iter().chain(steps![answer.as_str()]);
            if asked.choice.iter().all(|choice| choice.id != *answer) {
                reader.fault(path(), format!("found {answer:?}, want a choice of question {question:?}"));
            }
            check_points(reader, path(), *points);
        }
        levels.push((question, written.into_iter().map(|(answer, points)| (answer, points.0.to_f64())).collect()));
    }
    if !always {
        reader.fault(steps!["levels"], "found only questions with `only_if`, want one that is always asked among them");
    }
    Some(levels)
}

fn part(reader: &mut Reader<'_, '_, '_>, at: usize, written: VitalFile, usual: BaselineFile) -> Option<Part> {
    let VitalFile { vital, feared, points, at_most, sd_floor, baseline } = written;
    let path: Vec<Step> = reader.path.iter().cloned().chain(steps!["vitals", at]).collect();
    let reader =
        &mut Reader { document: &mut *reader.document, path: &path, known: reader.known, before: reader.before };
    check_points(reader, steps!["points"], points);
    let at_most = check_points(reader, steps!["at_most"], at_most);
    let fits = baseline.is_none_or(|baseline| days::check(reader, &baseline));
    let floor = Floor::read(reader, vital, &sd_floor);
    let (points, baseline) = (points.0, baseline.unwrap_or(usual));
    Some(Part { vital, feared, points, at_most, floor: floor?, baseline }).filter(|_| fits)
}

fn check_points(reader: &mut Reader<'_, '_, '_>, field: impl IntoIterator<Item = Step>, found: Number) -> f64 {
    let number = found.0.to_f64();
    if number <= 0.0 || number > POINTS_MAX {
        reader.fault(field, format!("found {number}, want more than 0 and at most {POINTS_MAX}"));
    }
    number
}

/// A part of the sum.
struct Found {
    /// The mean of the last days.
    mean: f64,
    usual: Basis,
    /// How many spreads of its own it lies from what is usual: of a vital.
    spreads: Option<f64>,
    /// Rounded.
    points: Value,
}

/// The sum as of its newest answers.
struct Sum {
    at: Nanos,
    value: Value,
    answers: Found,
    /// In the order of the rule's vitals; nothing where there is too little to compare.
    vitals: Vec<Option<Found>>,
}

impl Habit {
    fn newest(&self, look: &Look<'_>) -> Option<Nanos> {
        let newest = |(question, _): &(String, _)| Some(look.answers(&self.questionnaire, question).last()?.at);
        self.levels.iter().filter_map(newest).max()
    }

    /// What was answered last: a question that was not asked this time says nothing any more.
    fn given<'a>(&'a self, look: &'a Look<'_>, at: Nanos) -> impl Iterator<Item = (&'a str, &'a Sample, f64)> {
        let oldest = at.saturating_sub(length(ONE_ANSWERING));
        self.levels.iter().filter_map(move |(question, levels)| {
            let given = look.answers(&self.questionnaire, question).last().filter(|given| given.at >= oldest)?;
            Some((question.as_str(), given, levels.get(look.text(given)).copied().unwrap_or_default()))
        })
    }

    /// Points of the answers by days, from that of `at` back: each day's first, and of the newest day the newest.
    fn by_days(&self, look: &Look<'_>, at: Nanos) -> Vec<Option<(Nanos, f64)>> {
        let (today, back) = (days::day(at), (self.over_days + self.baseline.max_age_days) as usize);
        let mut sums = vec![None; back];
        for (question, levels) in &self.levels {
            let answers = look.answers(&self.questionnaire, question);
            for given in days::days(answers, today + 1 - back as i64, today - 1) {
                let sum = usize::try_from(today - days::day(given.at)).ok().and_then(|ago| sums.get_mut(ago));
                let (_, points) = sum.expect("the days that were asked for").get_or_insert((given.at, 0.0));
                *points += levels.get(look.text(given)).copied().unwrap_or_default();
            }
        }
        sums[0] = Some((at, self.given(look, at).map(|(.., points)| points).sum()));
        sums
    }

    /// The mean of the last days, compared with that of stable days before them.
    fn answers(&self, look: &Look<'_>, at: Nanos) -> Result<Found, Nothing> {
        let (sums, over, today) = (self.by_days(look, at), self.over_days as usize, days::day(at));
        let (newest, older) = sums.split_at(over);
        let stable = |(ago, sum): (usize, &Option<(Nanos, f64)>)| {
            sum.filter(|_| days::is_stable_day(look, today - (over + ago) as i64))
        };
        let stable = older.iter().enumerate().skip(self.baseline.gap_days as usize).filter_map(stable);
        let usual: Vec<(Nanos, f64)> = stable.take(self.baseline.days as usize).collect();
        let want = (self.baseline.minimum_days as usize).max(1);
        let last = today - i64::from(self.over_days) - i64::from(self.baseline.gap_days);
        let none = days::no_baseline(usual.len(), want, last);
        let [(until, _), .., (from, _)] = usual[..] else { return Err(none) };
        if usual.len() < want {
            return Err(none);
        }
        let mut numbers: Vec<f64> = usual.iter().map(|(_, points)| *points).collect();
        let (centre, _) = self.baseline.centre.of(&mut numbers);
        let usual = Basis { what: "baseline", centre, spread: None, count: usual.len(), from, until };
        let mean = mean(newest.iter().flatten().map(|(_, points)| *points)).ok_or(Nothing::NoValue)?;
        Ok(Found { mean, usual, spreads: None, points: rounded(mean - centre, DIGITS) })
    }

    fn vital(&self, look: &Look<'_>, part: &Part, at: Nanos) -> Option<Found> {
        let today = days::day(at);
        let first = today - i64::from(self.over_days) + 1;
        let usual = part.baseline.of(look, part.vital, first).ok()?;
        let samples = look.samples(part.vital);
        let until = samples.partition_point(|sample| sample.at <= at);
        let mean = mean(days::days(&samples[..until], first, today).map(Sample::number))?;
        // Of a middle of nothing, a percentage is no spread.
        let (spreads, usual) = Some(days::z(mean, usual, part.floor)).filter(|(spreads, _)| spreads.is_finite())?;
        let bad = if part.feared == Side::Above { spreads } else { -spreads };
        let points = rounded(part.points.to_f64() * bad.clamp(-part.at_most, part.at_most), DIGITS);
        Some(Found { mean, usual, spreads: Some(spreads), points })
    }

    fn sum(&self, look: &Look<'_>) -> Result<Sum, Nothing> {
        let at = self.newest(look).ok_or(Nothing::NoValue)?;
        let answers = self.answers(look, at)?;
        let vitals: Vec<_> = self.parts.iter().map(|part| self.vital(look, part, at)).collect();
        let each = vitals.iter().flatten().map(|found| found.points.decimal());
        let value = each.fold(answers.points.decimal(), |sum, points| sum + points).into();
        Ok(Sum { at, value, answers, vitals })
    }

    /// The band of a sum. Those before it are only worked out as far as the hysteresis asks for them.
    fn band(&self, look: &Look<'_>, ladder: &Ladder, sum: &Sum) -> BandView {
        self.hysteresis.judge(ladder, || std::iter::once(sum.value).chain(self.older(look, sum.at)))
    }

    /// What the sum was before, newest first: once for each time that the questionnaire was answered.
    fn older<'l>(&'l self, look: &'l Look<'_>, newest: Nanos) -> impl Iterator<Item = Value> + 'l {
        let (mut at, first) = (newest, newest.saturating_sub(length(FOLLOWED_BACK)));
        std::iter::from_fn(move || {
            let before = at.saturating_sub(length(ONE_ANSWERING)).saturating_sub(1);
            at = self.newest(&Look { at: before, rank: 0, ..*look }).filter(|at| *at >= first)?;
            self.sum(&Look { at, rank: 0, ..*look }).ok().map(|sum| sum.value)
        })
    }

    /// The newest answers that have points, and of each vital that counts the newest that nothing speaks against.
    fn inputs(&self, look: &Look<'_>, sum: &Sum) -> Vec<Input> {
        let answered = self.given(look, sum.at).filter(|(.., points)| *points > 0.0).map(|(question, given, _)| {
            let (question, answer) = (question.to_owned(), look.text(given).to_owned());
            Input::Answer { question, answer, answered_at: time(given.at) }
        });
        let measured =
            self.parts.iter().zip(&sum.vitals).filter(|(_, found)| found.is_some()).filter_map(|(part, _)| {
                let mut samples = look.samples(part.vital).iter().rev();
                let newest = samples.find(|sample| sample.at <= sum.at && !sample.is_doubtful())?;
                Some(look.input(part.vital, newest))
            });
        answered.chain(measured).collect()
    }

    /// `answers 2.6 points (breathless "somewhat" 2, cough "a_little" 1; 2.5 a day, usual 0.4, 28 stable days, ...)`.
    fn answers_in_words(&self, look: &Look<'_>, sum: &Sum) -> String {
        let Found { mean, usual, points, .. } = &sum.answers;
        let given = self.given(look, sum.at).filter(|(.., points)| *points > 0.0);
        let given: Vec<String> =
            given.map(|(question, given, points)| format!("{question} {:?} {points}", look.text(given))).collect();
        let given = if given.is_empty() { "none with points today".to_owned() } else { given.join(", ") };
        let (mean, centre, days) = (rounded(*mean, DIGITS), rounded(usual.centre, DIGITS), usual.days(look, "stable "));
        format!("answers {points} ({given}; {mean} a day, usual {centre}, {days})")
    }

    /// `pulse 1.3 (95.0 /min, 2.1 spreads above usual 84.2 /min, 28 stable days, ...; 0.6 for each spread)`.
    fn vital_in_words(&self, look: &Look<'_>, part: &Part, found: &Found) -> String {
        let Found { mean, usual, points, .. } = found;
        let (label, unit) = (part.vital.info().label, part.vital.unit().plain());
        let number = |number: f64| rounded(number, digits_of(part.vital));
        let spreads = found.spreads.unwrap_or_default();
        let side = if spreads < 0.0 { "below" } else { "above" };
        let (off, weight, most) = (rounded(spreads.abs(), DIGITS), part.points, part.at_most);
        let most = if spreads.abs() > most { format!(", {most} spreads at most") } else { String::new() };
        let (mean, centre, days) = (number(*mean), number(usual.centre), usual.days(look, "stable "));
        format!(
            "{label} {points} ({mean} {unit}, {off} spreads {side} usual {centre} {unit}, {days}; {weight} for each spread{most})"
        )
    }
}

/// The mean, where there is something.
fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

impl Judge for Habit {
    fn watches(&self) -> Watches {
        let each = self.levels.iter().map(|(question, _)| Watches::question(&self.questionnaire, question));
        each.fold(Watches::default(), |all, one| all.and(&one))
    }

    fn also(&self) -> Vec<Vital> {
        self.parts.iter().map(|part| part.vital).collect()
    }

    fn needs(&self) -> Vec<(Vital, Need)> {
        self.parts
            .iter()
            .map(|part| (part.vital, self.hysteresis.need_of_days(part.baseline.need(self.over_days))))
            .collect()
    }

    fn needs_answers(&self) -> Need {
        self.hysteresis.need_of_days(self.baseline.need(self.over_days)).and(self.hysteresis.need())
    }

    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing> {
        let sum = self.sum(look)?;
        let mark = self.band(look, &look.ladder(&self.ladder), &sum).mark;
        Ok(Verdict { mark, at: sum.at, doubtful: false })
    }

    fn tell(&self, look: &Look<'_>, _: &Verdict) -> Told {
        let sum = self.sum(look).expect("a verdict has a sum");
        let ladder = look.ladder(&self.ladder);
        let band = self.band(look, &ladder, &sum);
        let (mut said, mut missing) = (vec![self.answers_in_words(look, &sum)], Vec::new());
        let mut parts = vec![sum.answers.share(None)];
        for (part, found) in self.parts.iter().zip(&sum.vitals) {
            match found {
                Some(found) => {
                    said.push(self.vital_in_words(look, part, found));
                    parts.push(found.share(Some(part)));
                }
                None => missing.push(part.vital.info().label.to_owned()),
            }
        }
        let own = if band.own { " (own limit)" } else { "" };
        let kept = self.hysteresis.words(&ladder, sum.value, &band, "points");
        let unknown =
            if missing.is_empty() { String::new() } else { format!("; not compared: {}", missing.join(", ")) };
        let (value, means, over) = (sum.value, meaning(&ladder, &band, "points"), in_days(self.over_days));
        let why = format!("{value} points unlike usual, {over}, {means}{own}{kept}: {}{unknown}", said.join("; "));
        let reason = Reason::Sum {
            statistic: "habit".to_owned(),
            value,
            unit: UNIT.to_owned(),
            limit: band.limit,
            own: band.own,
            green: self.hysteresis.green_list(&ladder, &band, || self.older(look, sum.at)),
            shares: parts,
            missing,
        };
        Told { why, reason, inputs: self.inputs(look, &sum) }
    }

    fn explain(&self, _: &Programme) -> String {
        let question = |(question, levels): &(String, BTreeMap<String, f64>)| {
            let levels: Vec<String> = levels.iter().map(|(answer, points)| format!("{answer} {points}")).collect();
            format!("{question} ({})", levels.join(", "))
        };
        let vital = |part: &Part| {
            let Part { vital, feared, points, at_most, floor, baseline } = part;
            let side = if *feared == Side::Above { "above" } else { "below" };
            let own =
                if *baseline == self.baseline { String::new() } else { format!(", usual being {}", baseline.words()) };
            let (label, floor) = (vital.info().label, floor.words());
            format!("{label} {points} for each spread ({floor}) {side} it, {at_most} spreads at most{own}")
        };
        let questions: Vec<String> = self.levels.iter().map(question).collect();
        let vitals: Vec<String> = self.parts.iter().map(vital).collect();
        let vitals = if vitals.is_empty() { String::new() } else { format!("; and {}", vitals.join("; ")) };
        let (over, baseline, words) = (in_days(self.over_days), self.baseline.words(), self.ladder.in_words("points"));
        format!(
            "How many points answers and measurements, {over}, lie above what is usual for the person: {baseline}. Points: {}{vitals}. It is {words}.{}",
            questions.join(", "),
            self.hysteresis.explain("points")
        )
    }

    fn ladder(&self) -> Option<&Ladder> {
        Some(&self.ladder)
    }

    fn unit(&self) -> Option<&str> {
        Some(UNIT)
    }
}

fn in_days(days: u32) -> String {
    if days == 1 { "of the day".to_owned() } else { format!("the mean of {days} days") }
}

impl Found {
    fn share(&self, part: Option<&Part>) -> Share {
        let digits = part.map_or(DIGITS, |part| digits_of(part.vital));
        Share {
            vital: part.map(|part| part.vital),
            points: self.points,
            mean: rounded(self.mean, digits),
            spreads: self.spreads.map(|spreads| rounded(spreads, DIGITS)),
            weight: part.map(|part| part.points),
            usual: self.usual.told(digits),
        }
    }
}
