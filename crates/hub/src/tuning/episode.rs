//! An alert of a backtest or a shadow, as far as it is compared: small, since a year of a clinic has many.

use std::{cmp::Reverse, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;
use triage::{Alert, CALL_FAMILY, CloseReason, Mark, Reason, State};

use super::side::STAND_IN;

/// One episode of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// The family of rules.
    pub family: Arc<str>,
    /// The rule whose finding raised it, or made it worst.
    pub rule: Arc<str>,
    /// What that finding said.
    pub why: Box<str>,
    /// The worst mark.
    pub mark: Mark,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When it became red.
    pub red_at: Option<Timestamp>,
    /// When it ended, and how; none while it is open.
    pub ended: Option<(Timestamp, End)>,
    /// It says nothing but that expected data did not come, whatever its mark.
    pub silence: bool,
    /// Everything that raised it had come late.
    pub late: bool,
    /// Why the other side had no such alert then.
    pub quiet: Option<Box<str>>,
    /// With what reason a nurse closed the clinic's own alert of this family meanwhile.
    pub closed_as: Option<CloseReason>,
}

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By itself: normal sittings, or data came.
    Eased,
    /// A nurse closed the clinic's alert of this family at that time.
    Nurse,
    /// The stand-in for a nurse: what fed it had been normal for as many sittings as ease a yellow one.
    StandIn,
}

/// What kinds of alert are compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Yellow or red.
    Illness,
    /// Expected data is missing.
    Missing,
    /// Somebody asked to be called: no programme has a say in it.
    Call,
}

impl Episode {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.mark {
            _ if &*self.family == CALL_FAMILY => Kind::Call,
            Mark::Yellow | Mark::Red => Kind::Illness,
            Mark::Blue | Mark::Green => Kind::Missing,
        }
    }

    /// Until when it was open; `None` while it is.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.ended.map(|(at, _)| at)
    }

    /// Was it open at some time between these two, the ends included?
    #[must_use]
    pub fn is_open_between(&self, from: Timestamp, to: Timestamp) -> bool {
        self.raised_at <= to && self.ended_at().is_none_or(|ended| ended >= from)
    }
}

impl From<&Alert> for Episode {
    /// A stored alert: what was raised, whatever of it was withdrawn since, as in the report by rule. When it became red is not kept with it: it
    /// counts from where it was waited for last.
    fn from(alert: &Alert) -> Self {
        let worst = alert.ever_found().min_by_key(|finding| Reverse(finding.colour));
        let mark = alert.withdrawn.iter().map(|finding| finding.colour).fold(alert.mark, Mark::max);
        let text = |text: Option<&String>| text.map_or("", String::as_str).to_owned();
        let ended = match &alert.state {
            State::Eased { at } => Some((*at, End::Eased)),
            State::Closed { at, by, .. } if by == STAND_IN => Some((*at, End::StandIn)),
            State::Closed { at, .. } => Some((*at, End::Nurse)),
            State::Open | State::Acknowledged { .. } => None,
        };
        let closed_as = match &alert.state {
            State::Closed { by, reason, .. } if by != STAND_IN => Some(*reason),
            _ => None,
        };
        Self {
            family: alert.family.as_str().into(),
            rule: text(worst.map(|finding| &finding.rule)).into(),
            why: text(worst.map(|finding| &finding.why)).into(),
            mark,
            raised_at: alert.raised_at,
            red_at: (mark == Mark::Red).then_some(alert.waiting_since),
            ended,
            silence: is_silence(alert),
            late: alert.late,
            quiet: is_withdrawn(alert).then(|| WITHDRAWN.into()),
            closed_as,
        }
    }
}

/// Why a side that was judged without a reading that was declared invalid has no alert of it.
const WITHDRAWN: &str = "judged without the reading that this rested on, which was declared invalid since";

/// Is all that it was raised for withdrawn since?
fn is_withdrawn(alert: &Alert) -> bool {
    !alert.withdrawn.is_empty() && alert.findings.iter().all(|finding| finding.colour <= Mark::Green)
}

/// Does an alert say nothing but that expected data did not come?
pub(super) fn is_silence(alert: &Alert) -> bool {
    let bad = alert.ever_found().filter(|finding| finding.colour > Mark::Green);
    bad.clone().next().is_some() && bad.clone().all(|finding| matches!(finding.reason, Reason::Missing { .. }))
}

/// An episode as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EpisodeView {
    /// The family of rules.
    pub family: String,
    /// The rule.
    pub rule: String,
    /// The worst mark.
    pub mark: Mark,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When it became red.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub red_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<End>,
    /// The finding's sentence.
    pub why: String,
    /// With what reason a nurse closed the clinic's own alert meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_as: Option<CloseReason>,
}

impl From<&Episode> for EpisodeView {
    fn from(episode: &Episode) -> Self {
        Self {
            family: episode.family.to_string(),
            rule: episode.rule.to_string(),
            mark: episode.mark,
            raised_at: episode.raised_at,
            red_at: episode.red_at,
            ended_at: episode.ended_at(),
            ended: episode.ended.map(|(_, how)| how),
            why: episode.why.to_string(),
            closed_as: episode.closed_as,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const AT: &str = "2026-11-22T08:00:00Z";

    fn finding(colour: &str, reason: Value) -> Value {
        json!({ "rule": "r", "version": 1, "programme": "copd", "colour": colour, "why": "w", "reason": reason, "inputs": [],
                "at": AT, "late": false })
    }

    fn missing(colour: &str) -> Value {
        let reason = json!({ "kind": "missing", "schedule": "morning", "vitals": ["spo2"], "expected_at": AT,
                             "overdue_at": AT, "last_at": null });
        finding(colour, reason)
    }

    fn measured(colour: &str) -> Value {
        let reason = json!({ "kind": "band", "vital": "spo2", "value": 84, "unit": "%", "from": null, "below": null, "own": false });
        finding(colour, reason)
    }

    fn episode(mark: &str, findings: &[Value], withdrawn: &[Value]) -> Episode {
        let alert = json!({
            "id": uuid::Uuid::nil(), "patient": "p-1", "family": "copd", "state": { "state": "open" }, "mark": mark,
            "now_mark": mark, "waiting_since": AT, "raised_at": AT, "changed_at": AT, "late": false, "count": 1,
            "normal_in_row": 0, "findings": findings, "withdrawn": withdrawn, "version": 1,
        });
        let alert: Alert = serde_json::from_str(&alert.to_string()).unwrap();
        Episode::from(&alert)
    }

    #[test]
    fn what_was_withdrawn_was_raised_all_the_same() {
        let all = episode("red", &[measured("green")], &[measured("red")]);
        assert_eq!((&*all.rule, &*all.why, all.mark, all.red_at.is_some()), ("r", "w", Mark::Red, true));
        assert_eq!(all.quiet.as_deref(), Some(WITHDRAWN));
        // Something else stands: the alert is yellow by now, and was red.
        let some = episode("yellow", &[missing("yellow")], &[measured("red")]);
        assert_eq!((some.mark, some.kind(), some.silence, some.quiet), (Mark::Red, Kind::Illness, false, None));
        assert!(episode("blue", &[], &[missing("blue")]).silence);
    }

    #[track_caller]
    fn check(mark: &str, findings: &[Value], silence: bool, kind: Kind) {
        let episode = episode(mark, findings, &[]);
        assert_eq!((episode.silence, episode.kind()), (silence, kind), "{findings:?}");
    }

    #[test]
    fn silence_is_an_alert_of_nothing_but_missing_data_whatever_its_mark() {
        check("blue", &[missing("blue")], true, Kind::Missing);
        // After a red, what is missing is more serious: still silence, though it stands among the ill.
        check("red", &[missing("red")], true, Kind::Illness);
        check("red", &[missing("red"), measured("green")], true, Kind::Illness);
        check("red", &[measured("red"), missing("blue")], false, Kind::Illness);
        check("yellow", &[missing("yellow"), measured("yellow")], false, Kind::Illness);
        // What says nothing bad any more is not silence either.
        check("yellow", &[measured("green")], false, Kind::Illness);
        check("yellow", &[], false, Kind::Illness);
    }
}
