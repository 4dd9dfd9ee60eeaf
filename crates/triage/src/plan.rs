//! What one patient is judged by: one programme or several, the clinic's defaults under them, the patient's own settings over them, a time
//! zone, and since when they are watched.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use vitals::{PatientId, Vital};

use crate::{
    BandView, Clinic, Judging, Own, OwnReference, Pause, Problem, Programme, ProgrammeError,
    assess::TOGETHER,
    bands::Ladder,
    bounds::PROGRAMMES_MAX,
    fill::Filled,
    own::{self, Lasting},
    rules::{Guard, MissingSpec, Rule},
    series::Need,
};

/// The programmes that some patients are in together, with the clinic's defaults: made once, shared by all of them.
#[derive(Clone, Debug)]
pub struct Rulebook {
    programmes: Vec<Arc<Programme>>,
    clinic: Arc<Clinic>,
    /// Of each rule: the number of its programme, and its number there.
    rules: Vec<(u16, u16)>,
    /// Of each rule: its limits with the clinic's among them. Empty where the clinic has none.
    filled: Vec<Filled>,
    /// What has to be kept of each vital that some rule watches, and which rules those are.
    vitals: Vec<(Vital, Need, RuleSet)>,
    /// The same of each question.
    questions: Vec<(Arc<str>, Arc<str>, Need, RuleSet)>,
    /// The programmes' questionnaires, whether a rule looks at their questions or not: a rule of silence may expect them.
    questionnaires: Vec<Arc<str>>,
    /// The rules that guard against values of somebody else.
    guards: Vec<usize>,
}

/// Some of a rulebook's rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuleSet([u64; PROGRAMMES_MAX]);

impl RuleSet {
    pub fn add(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    pub fn join(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(one, two)| *one |= two);
    }

    /// In the order of the rules.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                (bits != 0).then(|| {
                    let bit = bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    word * 64 + bit
                })
            })
        })
    }
}

impl Rulebook {
    /// The rules of some programmes together.
    ///
    /// # Errors
    /// [`ProgrammeError`] when there is none, one twice, or too many.
    pub fn new(programmes: Vec<Arc<Programme>>, clinic: Arc<Clinic>) -> Result<Arc<Self>, ProgrammeError> {
        let found = programmes.len();
        let twice = |at: usize| programmes[..at].iter().any(|other| other.id() == programmes[at].id());
        if !(1..=PROGRAMMES_MAX).contains(&found) || (0..found).any(twice) {
            let ids: Vec<&str> = programmes.iter().map(|programme| programme.id()).collect();
            let text = format!("found {found} ({}), want 1 to {PROGRAMMES_MAX}, each once", ids.join(", "));
            let (file, field) = ("plan".to_owned(), "programmes".to_owned());
            return Err(ProgrammeError::new(vec![Problem { file, line: 1, column: 1, field, text }]));
        }
        let (rules, vitals, questions, guards) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (questionnaires, filled) = (Vec::new(), Vec::new());
        let mut book = Self { programmes, clinic, rules, filled, vitals, questions, questionnaires, guards };
        if !book.clinic.limits().is_empty() {
            book.filled = book.programmes.iter().flat_map(|programme| book.clinic.filled(programme)).collect();
        }
        for (of, programme) in book.programmes.clone().iter().enumerate() {
            let asked = programme.questionnaires().iter().map(|asked| Arc::<str>::from(asked.id.as_str()));
            book.questionnaires.extend(asked);
            for (at, rule) in programme.rules().iter().enumerate() {
                let number = |place: usize| u16::try_from(place).expect("few programmes with few rules");
                book.rules.push((number(of), number(at)));
                book.watch(book.rules.len() - 1, rule);
            }
        }
        Ok(Arc::new(book))
    }

    fn watch(&mut self, place: usize, rule: &Rule) {
        if rule.judge.guard().is_some() {
            self.guards.push(place);
        }
        let least = Need::raw(TOGETHER);
        // Oxygen that a rule only needs makes it look all the same: it may not have applied before.
        let also = rule.judge.also();
        let watched =
            |vital: &Vital| rule.watches.vitals.contains(vital) || also.contains(vital) || *vital == Vital::OxygenFlow;
        for (vital, need) in rule.needs() {
            let row = match self.vitals.iter().position(|(known, ..)| *known == vital) {
                Some(row) => row,
                None => {
                    self.vitals.push((vital, least, RuleSet::default()));
                    self.vitals.len() - 1
                }
            };
            self.vitals[row].1 = self.vitals[row].1.and(need);
            if watched(&vital) {
                self.vitals[row].2.add(place);
            }
        }
        for (questionnaire, question) in &rule.watches.questions {
            let is_it =
                |(of, known, ..): &(Arc<str>, Arc<str>, Need, RuleSet)| of == questionnaire && known == question;
            let row = match self.questions.iter().position(is_it) {
                Some(row) => row,
                None => {
                    self.questions.push((Arc::clone(questionnaire), Arc::clone(question), least, RuleSet::default()));
                    self.questions.len() - 1
                }
            };
            self.questions[row].2 = self.questions[row].2.and(rule.judge.needs_answers());
            self.questions[row].3.add(place);
        }
    }

    /// The programmes.
    #[must_use]
    pub fn programmes(&self) -> &[Arc<Programme>] {
        &self.programmes
    }

    /// The clinic's defaults.
    #[must_use]
    pub fn clinic(&self) -> &Clinic {
        &self.clinic
    }

    /// How far back readings are needed to judge what comes now: a chart that is built from so much is whole.
    ///
    /// What a person closed holds so long as any rule says (`again_after`), and is known by what was found then. A red makes days around
    /// it unstable that a baseline still looks back on, and may itself have been found by a baseline.
    #[must_use]
    pub fn history(&self) -> SignedDuration {
        let vitals = self.vitals.iter().map(|(_, need, _)| need);
        let needs = vitals.chain(self.questions.iter().map(|(.., need, _)| need));
        let silences = self.rules().filter_map(|(_, rule)| rule.judge.missing()).map(MissingSpec::back);
        let needed = needs.map(|need| need.span.max(need.raw)).chain(silences).max().unwrap_or_default();
        let again = self.rules().filter_map(|(_, rule)| rule.again_after).max().unwrap_or_default();
        let frozen = self.programmes.iter().map(|programme| programme.clinic().baseline_frozen.0).max();
        let before = frozen.filter(|_| self.has_baseline()).map_or(SignedDuration::ZERO, |frozen| needed + frozen);
        (needed + again + before).max(HISTORY_MIN) + SILENT
    }

    /// Does any rule compare a person with a baseline of their own?
    #[must_use]
    pub fn has_baseline(&self) -> bool {
        self.rules().any(|(_, rule)| STAND_STILL.contains(&rule.kind))
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = (&Programme, &Rule)> {
        self.rules.iter().map(|(of, at)| {
            let programme = &*self.programmes[usize::from(*of)];
            (programme, &programme.rules()[usize::from(*at)])
        })
    }

    /// A rule's limits as its programme has them, with those of the clinic's that hold in it at a time.
    pub(crate) fn ladder<'l>(&'l self, place: usize, ladder: &'l Ladder, at: Timestamp) -> &'l Ladder {
        self.filled.get(place).and_then(|filled| filled.at(at)).unwrap_or(ladder)
    }

    pub(crate) fn in_words(&self) -> String {
        let ids: Vec<&str> = self.programmes.iter().map(|programme| programme.id()).collect();
        format!("programme {}", ids.join(", "))
    }
}

/// What stands of now was measured up to so long ago, if the person has been away: what it was compared with lies before that.
const SILENT: SignedDuration = SignedDuration::from_hours(24 * 14);
/// The kinds of rule that leave out the days around a red.
pub(crate) const STAND_STILL: [&str; 4] = ["baseline", "ewma", "cusum", "habit"];
/// A chart is built from at least so much.
const HISTORY_MIN: SignedDuration = SignedDuration::from_hours(24 * 35);

/// What one patient is judged by.
#[derive(Clone, Debug)]
pub struct Plan {
    patient: PatientId,
    book: Arc<Rulebook>,
    own: Own,
    zone: TimeZone,
    since: Timestamp,
    stratum: Option<Arc<str>>,
    judging: Judging,
}

impl Plan {
    /// `zone` is the patient's; nothing is expected before `since`.
    ///
    /// # Errors
    /// [`ProgrammeError`] when the programmes don't go together, or the patient's own settings don't fit them: an unknown rule, a wrong
    /// unit, limits that cross.
    pub fn new(
        patient: PatientId,
        programmes: Vec<Arc<Programme>>,
        clinic: Arc<Clinic>,
        own: Own,
        zone: TimeZone,
        since: Timestamp,
    ) -> Result<Self, ProgrammeError> {
        Self::with(patient, Rulebook::new(programmes, clinic)?, own, zone, since)
    }

    /// The same, with a rulebook that others have too.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn with(
        patient: PatientId,
        book: Arc<Rulebook>,
        own: Own,
        zone: TimeZone,
        since: Timestamp,
    ) -> Result<Self, ProgrammeError> {
        own::check(&own, &book, &patient)?;
        Ok(Self { patient, book, own, zone, since, stratum: None, judging: Judging::NEWEST })
    }

    /// The same plan for somebody of this risk level. One that no programme knows means nothing.
    #[must_use]
    pub fn in_stratum(mut self, stratum: Option<&str>) -> Self {
        self.stratum = stratum.map(Arc::from);
        self
    }

    /// The same plan, judged in the way that was known then.
    #[must_use]
    pub fn judged(mut self, judging: Judging) -> Self {
        self.judging = judging;
        self
    }

    /// In which way it is judged.
    #[must_use]
    pub fn judging(&self) -> Judging {
        self.judging
    }

    /// The bands of a vital, from low to high, as they are until further notice: with the own limits that have no end. Empty where no rule
    /// judges the vital.
    #[must_use]
    pub fn bands(&self, vital: Vital) -> Vec<BandView> {
        let lasting = Own {
            limits: self.own.limits.iter().filter(|limit| limit.until.is_none()).cloned().collect(),
            ..Own::default()
        };
        self.first_ladder(vital, &lasting, Timestamp::MAX)
    }

    /// The bands of a vital as they are at one time, own limits of limited time included.
    #[must_use]
    pub fn bands_at(&self, vital: Vital, at: Timestamp) -> Vec<BandView> {
        self.first_ladder(vital, &self.own, at)
    }

    /// The first of its programmes: the one that its pages are headed by.
    #[must_use]
    pub fn programme(&self) -> &Programme {
        &self.book.programmes[0]
    }

    /// The programmes.
    #[must_use]
    pub fn programmes(&self) -> &[Arc<Programme>] {
        &self.book.programmes
    }

    /// The programme of this id.
    #[must_use]
    pub fn programme_named(&self, id: &str) -> Option<&Programme> {
        self.book.programmes.iter().map(AsRef::as_ref).find(|programme| programme.id() == id)
    }

    /// The rules, shared with others.
    #[must_use]
    pub fn book(&self) -> &Arc<Rulebook> {
        &self.book
    }

    /// Whose plan.
    #[must_use]
    pub fn patient(&self) -> &PatientId {
        &self.patient
    }

    /// The patient's own settings.
    #[must_use]
    pub fn own(&self) -> &Own {
        &self.own
    }

    /// The patient's time zone.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Since when the patient is watched.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// The patient's risk level.
    #[must_use]
    pub fn stratum(&self) -> Option<&str> {
        self.stratum.as_deref()
    }

    /// How urgent the patient's risk level is: the highest of the ranks that their programmes give it; 0 where none of them knows it. For the
    /// order of people who wait with the same mark.
    #[must_use]
    pub fn rank(&self) -> u8 {
        let Some(stratum) = self.stratum() else { return 0 };
        let strata = self.book.programmes.iter().flat_map(|programme| programme.strata());
        strata.filter(|known| known.id == stratum).map(|known| known.rank).max().unwrap_or(0)
    }

    /// After how long a kit of which nothing is heard is silent: the strictest of the programmes, each by itself or by the clinic's default.
    #[must_use]
    pub fn silent_kit_after(&self) -> SignedDuration {
        let default = self.book.clinic.silent_kit_after();
        let of = |programme: &Arc<Programme>| programme.clinic().silent_kit_after.map_or(default, |after| after.0);
        self.book.programmes.iter().map(of).min().unwrap_or(default)
    }

    /// The pause that holds at a time.
    #[must_use]
    pub fn pause(&self, at: Timestamp) -> Option<&Pause> {
        self.own.pauses.iter().find(|pause| pause.holds(at))
    }

    /// How many rules there are.
    pub(crate) fn len(&self) -> usize {
        self.book.rules.len()
    }

    pub(crate) fn rule(&self, place: usize) -> &Rule {
        let (of, at) = self.book.rules[place];
        &self.book.programmes[usize::from(of)].rules()[usize::from(at)]
    }

    pub(crate) fn programme_of(&self, place: usize) -> &Programme {
        &self.book.programmes[usize::from(self.book.rules[place].0)]
    }

    /// The place of the first rule of the programme that this one is of: what a rule's references within its programme count from.
    pub(crate) fn first_of(&self, place: usize) -> usize {
        place - usize::from(self.book.rules[place].1)
    }

    /// The place of a rule.
    pub(crate) fn place(&self, programme: &str, rule: &str) -> Option<usize> {
        self.book.rules().position(|(known, known_rule)| known.id() == programme && *known_rule.id == *rule)
    }

    /// What is kept of a vital, and for whom.
    pub(crate) fn of_vital(&self, vital: Vital) -> Option<(Need, RuleSet)> {
        self.book.vitals.iter().find(|(known, ..)| *known == vital).map(|(_, need, rules)| (*need, *rules))
    }

    /// The rules that guard against values of somebody else.
    pub(crate) fn guards(&self) -> impl Iterator<Item = &Guard> {
        self.book.guards.iter().filter_map(|place| self.rule(*place).judge.guard())
    }

    /// A questionnaire of the programmes, and who looks at any question of it.
    pub(crate) fn of_questionnaire(&self, questionnaire: &str) -> Option<(&Arc<str>, RuleSet)> {
        let of = self.book.questionnaires.iter().find(|known| ***known == *questionnaire)?;
        let mut rules = RuleSet::default();
        let rows = self.book.questions.iter().filter(|(of, ..)| **of == *questionnaire);
        rows.for_each(|(.., more)| rules.join(*more));
        Some((of, rules))
    }

    /// What is kept of a question, and for whom: its number among those asked, its need, its rules.
    pub(crate) fn of_question(
        &self,
        questionnaire: &str,
        question: &str,
    ) -> Option<(&Arc<str>, &Arc<str>, Need, RuleSet)> {
        let row = self.book.questions.iter().find(|(of, known, ..)| **of == *questionnaire && **known == *question)?;
        Some((&row.0, &row.1, row.2, row.3))
    }

    pub(crate) fn ladder(&self, place: usize, ladder: &Ladder, at: Timestamp) -> Ladder {
        let ladder = self.book.ladder(place, ladder, at);
        if self.own.limits.is_empty() {
            return *ladder;
        }
        own::ladder(&self.own, self.programme_of(place).id(), &self.rule(place).id, ladder, at)
    }

    pub(crate) fn reference(&self, place: usize, at: Timestamp) -> Option<&OwnReference> {
        let (programme, rule) = (self.programme_of(place).id(), &self.rule(place).id);
        let holding = self.own.references.iter().filter(|own| own.is_of(programme, rule) && own.holds(at));
        holding.max_by_key(|own| own.from)
    }

    fn first_ladder(&self, vital: Vital, own: &Own, at: Timestamp) -> Vec<BandView> {
        let mut rules = self.book.rules().enumerate();
        let of_vital = rules.find_map(|(place, (programme, rule))| {
            (rule.judge.absolute() == Some(vital)).then(|| (place, programme, rule, rule.judge.ladder()))
        });
        let Some((place, programme, rule, Some(ladder))) = of_vital else { return Vec::new() };
        own::ladder(own, programme.id(), &rule.id, self.book.ladder(place, ladder, at), at).views()
    }
}
