//! What the clinic asks of the kit: each command is done once, answered by receipts that are as durable as a reading, and not done too late.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vitals::{Flag, PatientId, Reading};
use wire::{Command, CommandOutcome, Receipt};

use super::{
    Sight,
    machine::{Round, Said, Who},
    own::{MESSAGES_MAX, REMEASURES_MAX, Remeasure, Waiting},
    plan,
};
use crate::placing::CLOCK_SAME_MAX;

/// Ids of commands that are remembered, so that one that comes again is not done again.
pub const COMMANDS_REMEMBERED: usize = 256;
/// Characters of a message.
pub const TEXT_CHARS_MAX: usize = 2000;
/// Characters of an id.
pub const ID_CHARS_MAX: usize = 128;
/// Characters of what a receipt tells.
const DETAIL_CHARS_MAX: usize = 300;

/// The commands that were taken in, the newest last.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Commands(VecDeque<String>);

impl Commands {
    fn knows(&self, id: &str) -> bool {
        self.0.iter().any(|known| known == id)
    }

    /// These, and then those that came later.
    pub fn and(mut self, later: Self) -> Self {
        later.0.iter().for_each(|id| self.remember(id));
        self
    }

    fn remember(&mut self, id: &str) {
        self.0.push_back(id.to_owned());
        if self.0.len() > COMMANDS_REMEMBERED {
            self.0.pop_front();
        }
    }
}

type Done = Result<(CommandOutcome, Option<String>), String>;

impl Round {
    /// The clinic asks for something. `diagnostics`: what to answer where that is asked for.
    pub fn command(&mut self, command: Command, diagnostics: &str, now: Timestamp) {
        if !self.is_new(&command.id) {
            return;
        }
        let who = command.patient.clone().filter(|_| self.rules.station.is_some());
        let id = command.id.clone();
        let (outcome, detail) = if command.expires_at.is_some_and(|expires_at| expires_at <= now) {
            (CommandOutcome::Expired, None)
        } else {
            self.done(command, &who, diagnostics, now).unwrap_or_else(|why| (CommandOutcome::Failed, Some(why)))
        };
        self.answer_command(&who, id, outcome, detail, now);
    }

    /// The clinic asks for something that this kit can't read.
    pub fn unreadable(&mut self, id: String, patient: Option<PatientId>, why: String, now: Timestamp) {
        if self.is_new(&id) {
            let who = patient.filter(|_| self.rules.station.is_some());
            self.answer_command(&who, id, CommandOutcome::Failed, Some(why), now);
        }
    }

    /// Has this not been asked before? From now on it has.
    fn is_new(&mut self, id: &str) -> bool {
        if self.kit.commands.knows(id) {
            return false;
        }
        // An id that can't be remembered can't be done once.
        let usable = (1..=ID_CHARS_MAX).contains(&id.chars().count());
        if usable {
            self.kit_mut().commands.remember(id);
        } else {
            tracing::warn!("a command without a usable id is passed over");
        }
        usable
    }

    fn done(&mut self, command: Command, who: &Who, diagnostics: &str, now: Timestamp) -> Done {
        let Command { id, command, vital, text, by, issued_at, expires_at, schedule, .. } = command;
        match command.as_str() {
            "remeasure" => {
                self.one_person(who)?;
                let vital = vital.ok_or("remeasure: found no vital, want one")?;
                self.remeasure(who, Remeasure { command: id, vital, text, by, at: now, expires_at })
            }
            "message" => {
                self.one_person(who)?;
                let text = text.filter(|text| !text.trim().is_empty()).ok_or("message: found no text, want one")?;
                let at = issued_at.unwrap_or(now);
                self.message(who, Waiting { command: id, text, by, at, expires_at })
            }
            "schedule" => self.schedule(schedule),
            "diagnostics" => Ok((CommandOutcome::Done, Some(diagnostics.to_owned()))),
            "seen" => {
                self.one_person(who)?;
                self.seen(who, Sight { by, at: issued_at.map_or(now, |at| at.min(now)) });
                Ok((CommandOutcome::Done, None))
            }
            other => Err(format!("this kit knows no command {:?}", other.chars().take(40).collect::<String>())),
        }
    }

    /// At a station it must be said for whom.
    fn one_person(&self, who: &Who) -> Result<(), String> {
        match (&self.rules.station, who) {
            (None, _) => Ok(()),
            (Some(_), None) => Err("found no patient, want one: several people share this kit".to_owned()),
            (Some(station), Some(patient)) if !station.knows(patient) => {
                Err(format!("patient {patient} is not among the people of this kit"))
            }
            (Some(_), Some(_)) => Ok(()),
        }
    }

    fn remeasure(&mut self, who: &Who, asked: Remeasure) -> Done {
        if asked.text.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX) {
            return Err(format!("text has more than {TEXT_CHARS_MAX} characters"));
        }
        let own = self.own_mut(who);
        if own.remeasures.len() >= REMEASURES_MAX {
            return Err(format!("{REMEASURES_MAX} measurements are asked for already"));
        }
        own.remeasures.push(asked);
        Ok((CommandOutcome::Taken, None))
    }

    fn message(&mut self, who: &Who, waiting: Waiting) -> Done {
        let chars = waiting.text.chars().count();
        if chars > TEXT_CHARS_MAX {
            return Err(format!("text has {chars} characters, at most {TEXT_CHARS_MAX} are shown"));
        }
        let own = self.own_mut(who);
        if own.messages.len() >= MESSAGES_MAX {
            return Err(format!("{MESSAGES_MAX} messages wait to be read already"));
        }
        own.messages.push(waiting);
        Ok((CommandOutcome::Taken, None))
    }

    fn schedule(&mut self, schedule: Option<Vec<wire::Due>>) -> Done {
        let dues = schedule.ok_or("schedule: found none, want one")?;
        plan::check(&dues, |id| self.rules.questionnaires.contains_key(id))
            .map_err(|(index, why)| format!("schedule[{index}]: {why}"))?;
        self.kit_mut().dues = Some(dues);
        Ok((CommandOutcome::Done, None))
    }

    fn seen(&mut self, who: &Who, sight: Sight) {
        self.traces.seen(who, &sight);
        if let Some(call) = self.own_mut(who).call.as_mut()
            && call.at <= sight.at
        {
            call.seen.get_or_insert(sight);
        }
    }

    /// "I have read it."
    pub(super) fn read(&mut self, id: &str, now: Timestamp) -> bool {
        let Some(who) = self.who() else { return false };
        let own = self.own_mut(&who);
        let Some(index) = own.messages.iter().position(|message| message.command == id) else { return false };
        own.messages.remove(index);
        self.answer_command(&who, id.to_owned(), CommandOutcome::Read, None, now);
        true
    }

    /// These were measured well enough.
    pub(super) fn remeasured(&mut self, who: &Who, readings: &[Reading], now: Timestamp) {
        // A device's clock that is right to the minute may say that it was just before it was asked for.
        let near = |reading: &Reading, asked: Timestamp| {
            let slack = if reading.has(&Flag::FROM_STORAGE) { SignedDuration::ZERO } else { CLOCK_SAME_MAX };
            asked.duration_since(reading.measured_at) <= slack
        };
        let measured =
            |asked: &Remeasure| readings.iter().any(|reading| reading.vital == asked.vital && near(reading, asked.at));
        self.end_remeasures(who, measured, CommandOutcome::Done, None, now);
    }

    /// The person skips the first that is like this.
    pub(super) fn skip_remeasure(&mut self, who: &Who, like: impl Fn(&Remeasure) -> bool, now: Timestamp) -> bool {
        let asked = self.people.get(who).and_then(|own| own.remeasures.iter().find(|asked| like(asked)).cloned());
        let Some(asked) = asked else { return false };
        let why = Some("the person skipped it".to_owned());
        self.end_remeasures(who, |other| *other == asked, CommandOutcome::Failed, why, now);
        true
    }

    fn end_remeasures(
        &mut self,
        who: &Who,
        which: impl Fn(&Remeasure) -> bool,
        outcome: CommandOutcome,
        detail: Option<String>,
        now: Timestamp,
    ) {
        let own = self.own_mut(who);
        let (ended, left) = own.remeasures.drain(..).partition(|asked| which(asked));
        own.remeasures = left;
        let ended: Vec<Remeasure> = ended;
        for asked in ended {
            self.answer_command(who, asked.command, outcome, detail.clone(), now);
        }
    }

    /// What was not done or read in time.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let late = |expires_at: &Option<Timestamp>| expires_at.is_some_and(|expires_at| expires_at <= now);
        let people: Vec<Who> = self.people.keys().cloned().collect();
        for who in people {
            let own = self.people.get_mut(&who).expect("its key was just listed");
            let measures = own.remeasures.extract_if(.., |asked| late(&asked.expires_at)).map(|asked| asked.command);
            let mut expired: Vec<String> = measures.collect();
            expired.extend(own.messages.extract_if(.., |one| late(&one.expires_at)).map(|one| one.command));
            for id in expired {
                self.own_mut(&who);
                self.answer_command(&who, id, CommandOutcome::Expired, None, now);
            }
        }
    }

    fn answer_command(
        &mut self,
        who: &Who,
        id: String,
        outcome: CommandOutcome,
        detail: Option<String>,
        now: Timestamp,
    ) {
        self.out.said.push(Said::Command);
        let long = outcome != CommandOutcome::Failed;
        let detail = detail.map(|text| if long { text } else { text.chars().take(DETAIL_CHARS_MAX).collect() });
        self.send_receipt(who, Receipt { command: id, outcome, at: now, detail }, now);
    }
}
