//! Where a safety floor binds, and what would leave one open.
//!
//! A floor binds a programme wherever one of its rules looks at the floor's vital, or expects it. Then every value at or beyond it is red, by
//! a rule of kind `band` that says so always: not only on oxygen or with a target (rules that leave nobody out between them are as good as one),
//! not as an ingredient of another rule, which may want a second reading or a second sign, and not with alerts that are held back
//! (`again_after`). A programme may leave no floor open (decision 0079); a person's own limit may pass one, with a reason and an end.

use jiff::{SignedDuration, Timestamp};
use vitals::Vital;

use crate::{
    Clinic, Floor, Limit, LimitKind, OwnLimit, Pause, Plan, Problem, Programme, Rulebook,
    bands::{Cut, Rung, sentence},
    own::Lasting,
    rules::{Rule, Written},
};

/// An own limit that passes a safety floor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override<'p> {
    /// Its number among the person's own limits.
    pub at: usize,
    /// It: who set it, why, from when until when.
    pub limit: &'p OwnLimit,
    /// Which floor it passes, in words.
    pub floor: String,
}

/// Who breathes oxygen or not, and has a target of 88 to 92 % or not: everybody is one of these.
pub(crate) const EVERYBODY: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

impl Floor {
    /// From where on a value is red, and whether the number itself is: it is.
    fn limit(&self) -> Limit {
        let kind = if self.limit.low() { LimitKind::AtMost } else { LimitKind::From };
        Limit { kind, value: self.value.0 }
    }

    /// Is all that lies at or beyond it beyond this limit too?
    fn is_covered_by(&self, cut: Cut) -> bool {
        let floor = Cut::of(self.limit());
        if self.limit.low() { cut >= floor } else { cut <= floor }
    }

    /// Does a rule make all that lies at or beyond it red, for those whom the rule applies to?
    fn is_covered(&self, rule: &Rule) -> bool {
        rule.judge.absolute() == Some(self.vital)
            && rule
                .judge
                .ladder()
                .and_then(|ladder| ladder.cut_at(self.limit))
                .is_some_and(|cut| self.is_covered_by(cut))
    }

    /// The same, and nothing holds the red back.
    fn is_guarded(&self, rule: &Rule) -> bool {
        self.is_covered(rule) && !rule.ingredient && rule.again_after.is_none()
    }

    /// `the safety floor of 83 % or less (NEWS2, ...)`.
    fn words(&self) -> String {
        let side = if self.limit.low() { "or less" } else { "or more" };
        format!("the safety floor of {} {} {side} ({})", self.value.0, self.unit.plain(), self.source)
    }

    /// `always red at 83 % or less`.
    fn wanted(&self) -> String {
        format!("always red {}", sentence(self.limit(), self.unit.plain()))
    }

    /// What leaves it open in a programme: the nearest that there is to a rule that guards it.
    fn open_in(&self, programme: &Programme) -> Option<Problem> {
        let looks: Vec<&Rule> = programme.rules().iter().filter(|rule| rule.looks_at(self.vital)).collect();
        let first = *looks.first()?;
        let guarded = |(oxygen, target): &(bool, bool)| {
            looks.iter().any(|rule| self.is_guarded(rule) && rule.when.holds_for(*oxygen, *target))
        };
        if EVERYBODY.iter().all(guarded) {
            return None;
        }
        let bands = || looks.iter().copied().filter(|rule| rule.judge.absolute() == Some(self.vital));
        let limit = |rule: &Rule| rule.judge.ladder().and_then(|ladder| ladder.limit_at(self.limit));
        let (floor, vital) = (self.words(), self.vital.name());
        if let Some((rule, limit)) =
            bands().filter(|rule| !self.is_covered(rule)).find_map(|rule| Some((rule, limit(rule)?)))
        {
            let found = sentence(limit, self.unit.plain());
            return Some(self.problem(programme, rule, "bands", format!("found red {found}, which passes {floor}")));
        }
        if let Some(rule) = bands().find(|rule| self.is_covered(rule)) {
            let (field, found) = held_back(rule);
            return Some(self.problem(programme, rule, field, format!("found {found}, which leaves open {floor}")));
        }
        if let Some(rule) = bands().find(|rule| limit(rule).is_none()) {
            let side = if self.limit.low() { "low" } else { "high" };
            let found = format!("found no red for a {side} {vital}, which leaves open {floor}");
            return Some(self.problem(programme, rule, "bands", found));
        }
        let found = format!("found {vital} looked at, and no rule of kind band on it, which leaves open {floor}");
        Some(self.problem(programme, first, "", found))
    }

    fn problem(&self, programme: &Programme, rule: &Rule, field: &str, found: String) -> Problem {
        problem_at(programme, rule, field, format!("{found}: want {} {}", self.vital.name(), self.wanted()))
    }
}

/// A fault of a rule, or of one of its fields, where it is written.
pub(crate) fn problem_at(programme: &Programme, rule: &Rule, field: &str, text: String) -> Problem {
    let place = Written::FIELDS.iter().position(|known| *known == field).unwrap_or_default();
    let (line, column) = rule.written.places[place];
    let dot = if field.is_empty() { "" } else { "." };
    let field = format!("{}{dot}{field}", rule.written.path);
    Problem { file: programme.file().to_owned(), line, column, field, text }
}

/// Why a red limit that would cover a floor does not bind, and at which field.
fn held_back(rule: &Rule) -> (&'static str, &'static str) {
    match rule {
        Rule { ingredient: true, .. } => ("ingredient", "its red limit for other rules alone"),
        Rule { again_after: Some(_), .. } => ("again_after", "its red limit with alerts that are held back"),
        _ => ("when", "its red limit for some people alone"),
    }
}

impl Clinic {
    /// The floor that a limit of a vital's absolute value passes, in words; `None` where it passes none.
    #[must_use]
    pub fn passed(&self, vital: Vital, rung: Rung, limit: Limit) -> Option<String> {
        let floor = self.floors().iter().find(|floor| floor.vital == vital && floor.limit == rung)?;
        (!floor.is_covered_by(Cut::of(limit)))
            .then(|| format!("red {} passes {}", sentence(limit, floor.unit.plain()), floor.words()))
    }

    /// Every floor that a programme leaves open, with the place in its file, what was found and what is wanted. It may leave none.
    #[must_use]
    pub fn passed_by(&self, programme: &Programme) -> Vec<Problem> {
        self.floors().iter().filter_map(|floor| floor.open_in(programme)).collect()
    }
}

impl Plan {
    /// The person's own limits that pass a safety floor, whether they hold now or not.
    #[must_use]
    pub fn overrides(&self) -> Vec<Override<'_>> {
        let limits = self.own().limits.iter().enumerate();
        limits
            .filter_map(|(at, limit)| Some(Override { at, limit, floor: passed_by_own(self.book(), limit)? }))
            .collect()
    }

    /// The floor that an own limit passes here, in words; `None` where it passes none.
    #[must_use]
    pub fn floor_passed_by(&self, limit: &OwnLimit) -> Option<String> {
        passed_by_own(self.book(), limit)
    }

    /// Those that hold at a time.
    #[must_use]
    pub fn overrides_at(&self, at: Timestamp) -> Vec<Override<'_>> {
        self.overrides().into_iter().filter(|over| over.limit.holds(at)).collect()
    }

    /// What is wrong with setting these own settings at a time, in words: every limit that passes a safety floor of the clinic and has no end, or
    /// one that lies too far ahead; and every pause that would last for longer than the clinic lets a setting stand unlooked at, since nobody is
    /// missed in it. (What was set before there was such a bound goes on to hold, and is listed.)
    #[must_use]
    pub fn unbounded(&self, now: Timestamp) -> Vec<String> {
        let most = self.book().clinic().override_max();
        let said = |over: Override<'_>| {
            let Override { at, limit, floor } = over;
            let found = match limit.until {
                None => "found no end, want one".to_owned(),
                Some(until) if until.duration_since(now) > most => {
                    format!("found {until}, want an end within {} days", most.as_hours() / 24)
                }
                Some(_) => return None,
            };
            Some(format!("limits[{at}].until: {found}: {floor}"))
        };
        self.overrides().into_iter().filter_map(said).chain(self.long_pauses(now)).collect()
    }

    fn long_pauses(&self, now: Timestamp) -> Vec<String> {
        let most = self.book().clinic().review_after();
        let said = |(at, pause): (usize, &Pause)| {
            let (until, days) = (pause.until, most.as_hours() / 24);
            let is_long = until.duration_since(now) > most;
            is_long.then(|| {
                format!(
                    "pauses[{at}].until: found {until}, want an end within {days} days: nobody is missed in a pause"
                )
            })
        };
        self.own().pauses.iter().enumerate().filter_map(said).collect()
    }
}

/// The floor that an own limit passes, in any of the programmes that it is for.
fn passed_by_own(book: &Rulebook, own: &OwnLimit) -> Option<String> {
    let is_meant = |programme: &Programme, rule: &Rule| own.is_of(programme.id(), &rule.id);
    book.rules().filter(|(programme, rule)| is_meant(programme, rule)).find_map(|(_, rule)| {
        let (vital, mut ladder) = (rule.judge.absolute()?, *rule.judge.ladder()?);
        ladder.set(own.limit, own.value.0);
        book.clinic().passed(vital, own.limit, ladder.limit_at(own.limit)?)
    })
}

/// The longest that an own limit may pass a floor, where the clinic says nothing shorter.
pub(crate) const OVERRIDE_MAX: SignedDuration = SignedDuration::from_hours(24 * 400);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CLINIC;

    /// One floor under SpO2, one over the pulse.
    fn clinic() -> Clinic {
        let floors = CLINIC.split("[[floor]]").filter(|part| {
            !part.contains("vital = ") || part.contains("spo2") || (part.contains("pulse") && part.contains("red_high"))
        });
        Clinic::parse(&floors.collect::<Vec<_>>().join("[[floor]]"), "clinic.toml")
            .unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn programme(rules: &str) -> Programme {
        let text = format!(
            "id = \"p\"\nversion = 1\ntitle = {{ en = \"P\", da = \"P\" }}\nzone = \"UTC\"\n\
             clinic = {{ late_after = \"4h\", ease_after_sittings = 1, early = \"1h\", grace = \"1h\" }}\n{rules}"
        );
        Programme::parse(&text, "p.toml").unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn band(id: &str, vital: &str, more: &str, bands: &str) -> String {
        let unit = vital.parse::<Vital>().unwrap().unit().ucum();
        format!(
            "[[rule]]\nid = \"{id}\"\nkind = \"band\"\nfamily = \"f\"\nvital = \"{vital}\"\nunit = \"{unit}\"\n{more}\nbands = [{bands}]\n"
        )
    }

    #[track_caller]
    fn open(rules: &str, wanted: &[&str]) {
        let found: Vec<String> = clinic().passed_by(&programme(rules)).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(found.contains(wanted), "{found} lacks {wanted:?}");
        }
    }

    const RED_83: &str = "{ mark = \"red\", at_most = 83 }, { mark = \"green\", above = 83 }";

    #[test]
    fn half_open_bands_are_compared_in_both_senses() {
        let low = |end: &str, start: &str| {
            band("s", "spo2", "", &format!("{{ mark = \"red\", {end} }}, {{ mark = \"green\", {start} }}"))
        };
        open(&low("at_most = 83", "above = 83"), &[]);
        open(&low("below = 83.1", "from = 83.1"), &[]);
        open(
            &low("below = 83", "from = 83"),
            &[
                "p.toml:13:9: rule[0].bands: found red below 83 %, which passes the safety floor of 83 % or less (NEWS2, SpO2 scale 2: three points at 83 % or less): want spo2 always red at 83 % or less",
            ],
        );
        open(&low("at_most = 82.9", "above = 82.9"), &["found red at 82.9 % or less, which passes"]);
        let high = |end: &str, start: &str| {
            band("h", "pulse", "", &format!("{{ mark = \"green\", {end} }}, {{ mark = \"red\", {start} }}"))
        };
        open(&high("below = 131", "from = 131"), &[]);
        open(&high("at_most = 130", "above = 130"), &[]);
        open(
            &high("at_most = 131", "above = 131"),
            &["found red above 131 /min, which passes the safety floor of 131 /min or more"],
        );
    }

    #[test]
    fn a_red_that_does_not_always_count_leaves_the_floor_open() {
        open(&band("w", "weight", "", "{ mark = \"green\" }"), &[]);
        let yellow = "{ mark = \"yellow\", at_most = 83 }, { mark = \"green\", above = 83 }";
        open(&band("s", "spo2", "", yellow), &["rule[0].bands: found no red for a low spo2, which leaves open"]);
        open(
            &band("s", "spo2", "ingredient = true", RED_83),
            &["rule[0].ingredient: found its red limit for other rules alone"],
        );
        open(
            &band("s", "spo2", "again_after = \"48h\"", RED_83),
            &["rule[0].again_after: found its red limit with alerts that are held back"],
        );
        open(
            &band("s", "spo2", "when = \"on_oxygen\"", RED_83),
            &["p.toml:12:8: rule[0].when: found its red limit for some people alone"],
        );
        let parted = band("s", "spo2", "when = \"target_88_92\"", RED_83)
            + &band("t", "spo2", "when = \"no_target_88_92\"", RED_83);
        open(&parted, &[]);
        let gap = band("s", "spo2", "when = \"target_88_92\"", RED_83)
            + &band("t", "spo2", "when = [\"no_target_88_92\", \"on_air\"]", RED_83);
        open(&gap, &["found its red limit for some people alone"]);
    }

    #[test]
    fn whatever_looks_at_the_vital_makes_the_floor_bind() {
        let twice = band("s", "spo2", "ingredient = true", RED_83)
            + "[[rule]]\nid = \"k\"\nkind = \"k_of_n\"\nfamily = \"f\"\nof = \"s\"\nat_least = \"red\"\nk = 2\nn = 2\nby = \"readings\"\nwithin = \"48h\"\nmark = \"red\"\n";
        open(&twice, &["rule[0].ingredient"]);
        open(&(twice.clone() + &band("t", "spo2", "", RED_83)), &[]);
        let expected = "[[schedule]]\nid = \"s\"\ndays = [\"monday\"]\nat = \"08:00\"\nwindow = \"1h\"\n[[rule]]\nid = \"m\"\nkind = \"missing\"\nfamily = \"m\"\nschedule = \"s\"\nvitals = [\"pulse\"]\n";
        open(expected, &["rule[0]: found pulse looked at, and no rule of kind band on it"]);
        let own = "[[rule]]\nid = \"o\"\nkind = \"baseline\"\nfamily = \"f\"\nvital = \"spo2\"\nas = \"difference\"\nunit = \"%\"\nbaseline = { centre = \"median\", days = 14, minimum_days = 7, max_age_days = 60, gap_days = 3 }\ndigits = 1\nbands = [{ mark = \"red\", at_most = -6 }, { mark = \"green\", above = -6 }]\n";
        open(
            own,
            &[
                "p.toml:6:1: rule[0]: found spo2 looked at, and no rule of kind band on it, which leaves open the safety floor of 83 %",
            ],
        );
    }
}
