//! What a nurse may do to an alert, and what happens when two of them do it at once: it is done once, and the second is told.

use jiff::Timestamp;

use crate::{Action, ActionError, Alert, AlertChange, AlertEvent, AlertId, Chart, EventKind, State};

impl Alert {
    /// A closing note's longest, in characters.
    pub const NOTE_CHARS_MAX: usize = 2000;
}

/// Does a person's action on an open alert. Acknowledging again by the same person changes nothing: the alert comes back with the version
/// it had, and nothing needs to be recorded.
///
/// # Errors
/// [`ActionError`], a sentence for the person: it has ended, somebody else has taken it, or it became worse since `seen_version`.
pub fn act(
    chart: &mut Chart,
    alert: AlertId,
    seen_version: u32,
    action: &Action,
    by: &str,
    now: Timestamp,
) -> Result<AlertChange, ActionError> {
    let Some((family, found)) = chart.alerts.iter().find(|(_, open)| open.id == alert).cloned() else {
        let ended = chart.ended.iter().find(|(id, _)| *id == alert);
        return Err(ActionError::AlreadyEnded(ended.map_or("closed or eased", |(_, how)| *how)));
    };
    let found = (*found).clone();
    let change = match action {
        Action::Acknowledge => acknowledge(found, seen_version, by, now)?,
        Action::Close { reason, note } => {
            seen(&found, seen_version)?;
            let characters = note.chars().count();
            if characters > Alert::NOTE_CHARS_MAX {
                return Err(ActionError::NoteTooLong { found: characters, limit: Alert::NOTE_CHARS_MAX });
            }
            let state = State::Closed { by: by.to_owned(), at: now, reason: *reason, note: note.clone() };
            let reason =
                serde_json::to_value(reason).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default();
            let text = if note.is_empty() { reason } else { format!("{reason}: {note}") };
            step(found, state, EventKind::Closed, by, now, text)
        }
    };
    if change.alert.state.is_open() {
        chart.alerts.insert(&family, change.alert.clone());
    } else {
        chart.hear_closed(&change.alert);
        chart.end(alert, "closed");
    }
    Ok(change)
}

fn acknowledge(found: Alert, seen_version: u32, by: &str, now: Timestamp) -> Result<AlertChange, ActionError> {
    if let State::Acknowledged { by: taken_by, at } = &found.state {
        if taken_by != by {
            return Err(ActionError::TakenBy { by: taken_by.clone() });
        }
        let event = AlertEvent {
            kind: EventKind::Acknowledged,
            at: *at,
            by: Some(by.to_owned()),
            mark: found.mark,
            text: String::new(),
        };
        return Ok(AlertChange { alert: found, event });
    }
    seen(&found, seen_version)?;
    let state = State::Acknowledged { by: by.to_owned(), at: now };
    Ok(step(found, state, EventKind::Acknowledged, by, now, String::new()))
}

/// Has the person seen what must be seen?
fn seen(alert: &Alert, seen: u32) -> Result<(), ActionError> {
    if (alert.must_have_seen..=alert.version).contains(&seen) {
        return Ok(());
    }
    Err(ActionError::Changed { found: alert.version, seen })
}

fn step(mut alert: Alert, state: State, kind: EventKind, by: &str, now: Timestamp, text: String) -> AlertChange {
    alert.version += 1;
    alert.must_have_seen = alert.version;
    alert.changed_at = alert.changed_at.max(now);
    alert.state = state;
    let event = AlertEvent { kind, at: now, by: Some(by.to_owned()), mark: alert.mark, text };
    AlertChange { alert, event }
}
