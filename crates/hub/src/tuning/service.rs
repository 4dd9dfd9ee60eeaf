//! Tuning as the desk asks for it, over HTTP: the same as on the command line, with the same refusals.

use std::sync::Arc;

use async_trait::async_trait;
use desk::{
    BacktestAsk, BudgetAsk, Diff, ProgrammeText, ProgrammeView, Proposed, Question, Refusal, Refused, Tuning,
    VersionState, VersionView,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use store::{JournalEntry, Place, Store};
use triage::Programme;

use super::{
    agreement::Window,
    backtest::{self, Ask, Sides},
    beside::Beside,
    budget,
    compare::Span,
    diff,
    jobs::{Answering, Jobs, Question as Job},
    proposals, rules, shadow, shadow_report,
    shift::SHIFT,
};
use crate::{
    clock::Clock,
    programmes::{self, Decider, Library, Refused as Turned, tried::Tried},
};

/// How far back a question looks, where it does not say.
const SINCE: SignedDuration = SignedDuration::from_hours(24 * 90);
/// The longest shift, in hours.
const SHIFT_HOURS_MAX: u32 = 24 * 7;
/// The longest lead, in days.
const LEAD_DAYS_MAX: u32 = 90;
/// The longest time before what is looked at, in days.
const WARM_UP_DAYS_MAX: u32 = 366;

/// Tuning over the clinic's store.
pub struct StoredTuning {
    store: Arc<dyn Store>,
    /// Where the store is: long questions open it for themselves, for reading alone.
    place: Place,
    zone: TimeZone,
    clock: Clock,
    jobs: Jobs,
}

impl StoredTuning {
    /// Ready for questions; those under way end with what judges `beside`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, place: Place, zone: TimeZone, clock: Clock, beside: Beside) -> Self {
        let jobs = Jobs::new(Arc::clone(&clock), beside);
        Self { store, place, zone, clock, jobs }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    async fn library(&self) -> Result<Library, Refused> {
        Ok(Library::open(&*self.store, self.now()).await?)
    }

    async fn backtest(&self, asked: BacktestAsk) -> Result<Job, Refused> {
        let library = self.library().await?;
        let proposed = match (&asked.text, &asked.programme, asked.version) {
            (Some(text), None, None) => Tried::read(text, "text").map_err(unfit)?,
            (None, Some(id), Some(version)) => tried(&library, id, version)?,
            _ => return Err(unfit("want `programme` and `version`, or `text` alone")),
        };
        let Tried { programme: proposed, failing, .. } = proposed;
        let active = match asked.active {
            Some(version) => tried(&library, proposed.id(), version)?.programme,
            None => in_use(&library, proposed.id())?,
        };
        let mut ask = self.ask(&library, (active, proposed), asked.since, asked.until, asked.shift_hours)?;
        if let Some(days) = asked.warm_up_days {
            let days = within("warm_up_days", days, 0, WARM_UP_DAYS_MAX)?;
            ask.warm_up = SignedDuration::from_hours(24 * i64::from(days));
        }
        if let Some(days) = asked.lead_days {
            let days = within("lead_days", days, 1, LEAD_DAYS_MAX)?;
            ask.window.lead = SignedDuration::from_hours(24 * i64::from(days));
        }
        if let Some(worst) = asked.worst {
            ask.worst_max = within("worst", worst, 0, backtest::WORST_ASKED_MAX as u32)? as usize;
        }
        let place = self.place.clone();
        Ok(Box::new(move |watch| {
            Box::pin(async move {
                let store = store::open_read_only(&place).await.map_err(|error| error.to_string())?;
                let report = backtest::run(&*store, &ask, &watch).await;
                store.close().await;
                let report = report.map_err(|error| error.to_string())?.of_failing(failing);
                serde_json::to_value(report).map_err(|error| error.to_string())
            }) as Answering
        }))
    }

    async fn budget(&self, asked: BudgetAsk, by: &str) -> Result<Job, Refused> {
        if !asked.dry_run {
            proposals::may_propose(&*self.store, by).await.map_err(turned)?;
        }
        let library = self.library().await?;
        if !(asked.per_shift.is_finite() && asked.per_shift > 0.0) {
            return Err(unfit(format!("per_shift: found {}, want a number above 0", asked.per_shift)));
        }
        let id = asked.programme;
        let active = in_use(&library, &id)?;
        let text = library.stored(&id, active.version()).map(|stored| stored.text.clone()).unwrap_or_default();
        let both = (Arc::clone(&active), active);
        let ask = self.ask(&library, both, asked.since, asked.until, asked.shift_hours)?;
        let version = library.numbers(&id).last().copied().unwrap_or(0) + 1;
        let keeps = !asked.dry_run;
        let asked = budget::BudgetAsk { ask, text, per_shift: asked.per_shift, move_red: asked.red, version };
        let (place, store, by, clock) =
            (self.place.clone(), Arc::clone(&self.store), by.to_owned(), Arc::clone(&self.clock));
        Ok(Box::new(move |watch| {
            Box::pin(async move {
                let reading = store::open_read_only(&place).await.map_err(|error| error.to_string())?;
                let found = budget::find(&*reading, &asked, &watch).await;
                reading.close().await;
                let found = found.map_err(|error| error.to_string())?;
                let proposed = keeps && !found.moved.is_empty() && !watch.is_cancelled();
                if proposed {
                    proposals::keep(&*store, &found, &by, clock()).await.map_err(|error| error.to_string())?;
                }
                let mut told = serde_json::to_value(found).map_err(|error| error.to_string())?;
                told["proposed"] = Value::from(proposed);
                Ok(told)
            }) as Answering
        }))
    }

    /// What is asked of the history, by these versions.
    fn ask(
        &self,
        library: &Library,
        (active, proposed): (Arc<Programme>, Arc<Programme>),
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        shift_hours: Option<u32>,
    ) -> Result<Ask, Refused> {
        let failed = |why: String| Refused::new(Refusal::Failed, why);
        let others = library.programmes().map_err(failed)?;
        let sides = Sides { active, proposed, others, clinic: library.clinic().map_err(failed)? };
        let span = self.span(since, until)?;
        let mut ask = Ask::new(sides, span.since, span.until, self.zone.clone());
        if let Some(hours) = shift_hours {
            let hours = within("shift_hours", hours, 1, SHIFT_HOURS_MAX)?;
            ask.shift = SignedDuration::from_hours(i64::from(hours));
        }
        Ok(ask)
    }

    fn span(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Span, Refused> {
        let until = until.unwrap_or_else(|| self.now());
        let since = since.unwrap_or_else(|| until.checked_sub(SINCE).unwrap_or(Timestamp::MIN));
        if since < until {
            Ok(Span { since, until })
        } else {
            Err(unfit(format!("found since {since}, want it before until {until}")))
        }
    }
}

#[async_trait]
impl Tuning for StoredTuning {
    async fn programmes(&self) -> Result<Vec<ProgrammeView>, Refused> {
        let library = self.library().await?;
        let shadows = shadow::running(&*self.store, self.now()).await?;
        Ok(library.ids().iter().map(|id| view(&library, &shadows, id)).collect())
    }

    async fn text(&self, id: &str, version: u32) -> Result<ProgrammeText, Refused> {
        let library = self.library().await?;
        let stored = library.stored(id, version).cloned().ok_or_else(|| unknown_version(&library, id, version))?;
        let explained = library.explained(id, version).ok();
        Ok(ProgrammeText { stored, explained })
    }

    async fn diff(&self, id: &str, from: u32, to: u32) -> Result<Diff, Refused> {
        let library = self.library().await?;
        let text = |version| library.stored(id, version).ok_or_else(|| unknown_version(&library, id, version));
        let (before, after) = (&text(from)?.text, &text(to)?.text);
        Ok(Diff { lines: diff::lines(before, after), warnings: library.warnings(id, from, to) })
    }

    async fn history(&self, id: &str) -> Result<Vec<JournalEntry>, Refused> {
        if self.store.programme_versions(Some(id)).await?.is_empty() {
            return Err(unknown_programme(&self.library().await?, id));
        }
        Ok(programmes::history(&*self.store, id).await?)
    }

    async fn propose(&self, text: &str, note: &str, by: &str) -> Result<Proposed, Refused> {
        let who = Decider { by, reason: note, now: self.now() };
        programmes::propose(&*self.store, text, "text", who).await.map_err(turned)
    }

    async fn activate(
        &self,
        id: &str,
        version: u32,
        from: Option<Timestamp>,
        reason: &str,
        by: &str,
    ) -> Result<Value, Refused> {
        let who = Decider { by, reason, now: self.now() };
        let used = programmes::activate(&*self.store, &self.zone, (id, version), from, who).await.map_err(turned)?;
        Ok(json!(used))
    }

    async fn reject(&self, id: &str, version: u32, reason: &str, by: &str) -> Result<(), Refused> {
        let who = Decider { by, reason, now: self.now() };
        programmes::reject(&*self.store, (id, version), who).await.map_err(turned)
    }

    async fn rollback(&self, id: &str, reason: &str, by: &str) -> Result<Value, Refused> {
        let who = Decider { by, reason, now: self.now() };
        let used = programmes::rollback(&*self.store, &self.zone, id, who).await.map_err(turned)?;
        Ok(json!(used))
    }

    async fn ask(&self, question: Question, by: &str) -> Result<Value, Refused> {
        let (kind, job) = match question {
            Question::Backtest(asked) => ("backtest", self.backtest(asked).await?),
            Question::Budget(asked) => ("budget", self.budget(asked, by).await?),
        };
        let view = self.jobs.start(kind, by, job).map_err(|full| Refused::new(Refusal::Busy, full.to_string()))?;
        Ok(json!(view))
    }

    async fn asked(&self) -> Result<Vec<Value>, Refused> {
        Ok(self.jobs.all().into_iter().map(|view| json!(view)).collect())
    }

    async fn answer(&self, id: &str) -> Result<Value, Refused> {
        let mut view = json!(self.jobs.view(id).ok_or_else(|| unknown_question(id))?);
        if let Some(answer) = self.jobs.answer(id) {
            view["result"] = answer;
        }
        Ok(view)
    }

    async fn cancel(&self, id: &str) -> Result<(), Refused> {
        if self.jobs.cancel(id) { Ok(()) } else { Err(unknown_question(id)) }
    }

    async fn shadow_start(&self, id: &str, version: u32, by: &str) -> Result<(), Refused> {
        shadow::start(&*self.store, (id, version), by, self.now()).await.map_err(turned)
    }

    async fn shadow_stop(&self, id: &str, version: u32, by: &str) -> Result<(), Refused> {
        shadow::stop(&*self.store, (id, version), by, self.now()).await.map_err(turned)
    }

    async fn shadow(&self, id: &str, version: u32, since: Option<Timestamp>) -> Result<Value, Refused> {
        let ever = shadow::ever(&*self.store, self.now()).await?;
        let running = ever.into_iter().find(|one| one.programme == id && one.version == version);
        let running = running
            .ok_or_else(|| Refused::new(Refusal::Unknown, format!("{id} version {version} never ran as a shadow")))?;
        let told = shadow_report::report(&*self.store, &running, since, self.now(), &self.zone).await?;
        Ok(json!(told))
    }

    async fn rules(&self, id: &str, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Value, Refused> {
        let span = self.span(since, until)?;
        let (programme, zone) = (Some(id.to_owned()), self.zone.clone());
        let ask = rules::RulesAsk { programme, span, window: Window::default(), zone, shift: SHIFT };
        Ok(json!(rules::report(&*self.store, &ask).await?))
    }
}

/// One programme with its versions.
fn view(library: &Library, shadows: &[shadow::Running], id: &str) -> ProgrammeView {
    let in_use = library.in_use().get(id).copied();
    let newest = library.numbers(id).last().copied();
    let read = in_use.or(newest).and_then(|version| library.version(id, version));
    let title = read.map(|programme| programme.titles().clone());
    let mut versions: Vec<VersionView> =
        library.numbers(id).into_iter().filter_map(|version| version_view(library, shadows, id, version)).collect();
    versions.reverse();
    ProgrammeView {
        id: id.to_owned(),
        title: title.as_ref().map_or(id, |title| &title.en).to_owned(),
        title_da: title.as_ref().map_or(id, |title| &title.da).to_owned(),
        in_use,
        versions,
    }
}

fn version_view(library: &Library, shadows: &[shadow::Running], id: &str, version: u32) -> Option<VersionView> {
    let stored = library.stored(id, version)?;
    let standing = library.standing(id);
    let is_it = |used: &&programmes::standing::Use| used.version == version;
    let before = standing.used.iter().rfind(is_it);
    let (state, from) = match (standing.in_use().filter(is_it), standing.planned.as_ref().filter(is_it)) {
        (Some(used), _) => (VersionState::InUse, Some(used.from)),
        (_, Some(planned)) => (VersionState::Planned, Some(planned.from)),
        _ if standing.rejected.contains(&version) => (VersionState::Rejected, None),
        _ if before.is_some() => (VersionState::Before, before.map(|used| used.from)),
        _ => (VersionState::Proposed, None),
    };
    Some(VersionView {
        version,
        state,
        from,
        shadow: shadows.iter().any(|one| one.programme == id && one.version == version),
        proposed_by: stored.proposed_by.clone(),
        proposed_at: stored.proposed_at,
        note: stored.note.clone(),
        sha256: stored.sha256.clone(),
    })
}

/// A stored version to be tried: its worked examples may fail.
fn tried(library: &Library, id: &str, version: u32) -> Result<Tried, Refused> {
    if library.stored(id, version).is_none() {
        return Err(unknown_version(library, id, version));
    }
    library.tried(id, version).cloned().map_err(unfit)
}

fn in_use(library: &Library, id: &str) -> Result<Arc<Programme>, Refused> {
    let version = library.in_use().get(id).ok_or_else(|| unknown_programme(library, id))?;
    library.version(id, *version).cloned().ok_or_else(|| unknown_version(library, id, *version))
}

fn within(field: &str, found: u32, least: u32, most: u32) -> Result<u32, Refused> {
    if (least..=most).contains(&found) {
        Ok(found)
    } else {
        Err(unfit(format!("{field}: found {found}, want {least} to {most}")))
    }
}

fn unfit(text: impl Into<String>) -> Refused {
    Refused::new(Refusal::Unfit, text)
}

fn unknown_question(id: &str) -> Refused {
    Refused::new(Refusal::Unknown, format!("found no question {id:?}: its answer may have been forgotten"))
}

fn unknown_programme(library: &Library, id: &str) -> Refused {
    let known = library.ids().join(", ");
    Refused::new(Refusal::Unknown, format!("found no programme {id:?} in use, want one of {known}"))
}

fn unknown_version(library: &Library, id: &str, version: u32) -> Refused {
    let known: Vec<String> = library.numbers(id).iter().map(ToString::to_string).collect();
    if known.is_empty() {
        return unknown_programme(library, id);
    }
    let known = known.join(", ");
    Refused::new(Refusal::Unknown, format!("found no version {version} of {id} that can be read, want one of {known}"))
}

/// What the clinic's office said, for the desk.
fn turned(turned: Turned) -> Refused {
    let kind = match &turned {
        Turned::Nobody(_) | Turned::Role { .. } => Refusal::Forbidden,
        Turned::SamePerson { .. } | Turned::Floors(_) | Turned::Patients(_) => Refusal::Conflict,
        Turned::Unknown { .. } => Refusal::Unknown,
        Turned::Unfit(_) | Turned::Faulty(_) => Refusal::Unfit,
        Turned::Store(_) => Refusal::Failed,
    };
    Refused::new(kind, turned.to_string())
}
