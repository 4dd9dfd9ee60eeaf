//! Alerts: as they were, one open for each patient and family, with their history.

use triage::{AssessmentChange, EventKind};
use vitals::Colour;

use super::{
    Failure, Open, ensure, same,
    sample::{alert, at, batch, change, closed, ids, of, plain},
};
use crate::{Batch, StoreError};

fn of_changes(alerts: Vec<triage::AlertChange>) -> Batch {
    Batch { alerts, ..batch(0, vec![]) }
}

pub(super) async fn an_alert_comes_back_with_its_history(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let first = alert(1, "p-1", "copd", 0);
    let mut worse = alert(1, "p-1", "copd", 0);
    worse.mark = triage::Mark::Red;
    worse.version = 2;
    let assessment = AssessmentChange {
        at: at(1),
        patient: of("p-1"),
        was: Colour::Green,
        colour: Colour::Red,
        blue: false,
        late: false,
        findings: first.findings.iter().map(|finding| (**finding).clone()).collect(),
    };
    let changes = vec![change(&first, EventKind::Raised, 1), change(&worse, EventKind::Worsened, 2)];
    store.commit(&Batch { assessments: vec![assessment], ..of_changes(changes.clone()) }).await?;
    let mut acknowledged = change(&worse, EventKind::Acknowledged, 3);
    acknowledged.event.by = Some("ane".to_owned());
    store.commit(&of_changes(vec![acknowledged.clone()])).await?;

    let (found, history) = store.alert(first.id).await?.ok_or_else(|| Failure("the alert is gone".to_owned()))?;
    same("alert", &found, &worse)?;
    let digits = |alert: &triage::Alert| serde_json::to_string(alert).map_err(|error| Failure(error.to_string()));
    same("alert with its digits", digits(&found)?, digits(&worse)?)?;
    ensure(digits(&found)?.contains("93.0,"), "93.0 stays 93.0 in an alert")?;
    let wanted = changes.into_iter().chain([acknowledged]).map(|change| change.event).collect();
    same("history", history, wanted)?;
    same("an alert that never was", store.alert(uuid::Uuid::from_u128(9)).await?, None)
}

pub(super) async fn only_the_open_ones_are_open(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let [one, two, three] = [alert(1, "p-1", "copd", 2), alert(2, "p-1", "missing", 1), alert(3, "p-2", "copd", 3)];
    let mut blue = two.clone();
    blue.mark = triage::Mark::Blue;
    let raised = [&one, &blue, &three].map(|alert| change(alert, EventKind::Raised, 5));
    store.commit(&of_changes(raised.to_vec())).await?;
    same(
        "all, longest open first",
        ids(&store.open_alerts(None).await?),
        ids(&[two.clone(), one.clone(), three.clone()]),
    )?;
    same("of one", ids(&store.open_alerts(Some(&of("p-1"))).await?), ids(&[two, one.clone()]))?;
    same("of nobody", store.open_alerts(Some(&of("p-9"))).await?, vec![])?;
    let stored = store.stored().await?;
    same("waiting", (stored.open.get(&Colour::Yellow), stored.open_blue, stored.alerts), (Some(&2), 1, 3))?;

    store.commit(&of_changes(vec![change(&closed(&one, 6), EventKind::Closed, 6)])).await?;
    same("after closing one", ids(&store.open_alerts(None).await?), ids(&[blue, three]))?;
    let stored = store.stored().await?;
    same("waiting after", (stored.open.get(&Colour::Yellow), stored.open_blue, stored.alerts), (Some(&1), 1, 3))
}

pub(super) async fn a_closed_alert_makes_room_for_the_next_in_one_batch(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let (old, new) = (alert(1, "p-1", "copd", 0), alert(2, "p-1", "copd", 7));
    let changes = vec![
        change(&old, EventKind::Raised, 0),
        change(&closed(&old, 6), EventKind::Closed, 6),
        change(&new, EventKind::Raised, 7),
    ];
    store.commit(&of_changes(changes)).await?;
    same("open", ids(&store.open_alerts(None).await?), ids(&[new]))?;
    let history = store.alert(old.id).await?.map(|(_, history)| history.len());
    same("the old one's history", history, Some(2))
}

pub(super) async fn a_second_open_alert_of_a_family_stores_nothing(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let (one, two) = (alert(1, "p-1", "copd", 0), alert(2, "p-1", "copd", 1));
    store.commit(&of_changes(vec![change(&one, EventKind::Raised, 0)])).await?;
    let second =
        Batch { entries: vec![plain("kit-1", 1, "p-1")], ..of_changes(vec![change(&two, EventKind::Raised, 1)]) };
    let refused = store.commit(&second).await;
    ensure(matches!(refused, Err(StoreError::AlertAlreadyOpen { .. })), "a second open alert was not refused as such")?;
    same("open", ids(&store.open_alerts(None).await?), ids(&[one]))?;
    same("messages", store.stored().await?.messages, 0)
}

pub(super) async fn a_patients_alerts_newest_first(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let mut changes = Vec::new();
    let alerts: Vec<_> = (1..=4).map(|n| alert(n, "p-1", "copd", i64::try_from(n).unwrap_or(0) * 10)).collect();
    for alert in &alerts {
        changes.push(change(alert, EventKind::Raised, 0));
        changes.push(change(&closed(alert, 5), EventKind::Closed, 5));
    }
    store.commit(&of_changes(changes)).await?;
    let mut wanted = ids(&alerts);
    wanted.reverse();
    same("all", ids(&store.alerts_of(&of("p-1"), 10).await?), wanted.clone())?;
    wanted.truncate(2);
    same("at most two", ids(&store.alerts_of(&of("p-1"), 2).await?), wanted)?;
    same("somebody else's", store.alerts_of(&of("p-2"), 10).await?, vec![])
}
