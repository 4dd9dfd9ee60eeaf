//! How a patient stands on the pages: as the chart says, from the start on, and whatever came late.

use vitals::Colour;

use super::*;

/// How the pages show the patient with a batch, one after the other.
fn shown(work: &Work) -> Vec<Option<Colour>> {
    work.standings.iter().map(|(_, standing)| standing.map(|standing| standing.colour)).collect()
}

/// What has changed of the assessment: the colour, and whether it came late.
fn changed(work: &Work) -> Vec<(Colour, bool)> {
    work.batch.assessments.iter().map(|change| (change.colour, change.late)).collect()
}

#[tokio::test]
async fn how_somebody_stands_is_shown_when_the_chart_is_built_and_nothing_before() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::at("2026-03-02T08:00:00Z");
    let mut first = room(&folder, &hands).await;
    first.turn().await;
    assert_eq!(shown(&first.commit().await), [None], "nobody has said anything yet, which is not green");
    first.comes_as(1, hands.now(), 80, "");
    first.take().await;
    assert_eq!(shown(&first.commit().await), [Some(Colour::Red)]);
    first.comes_as(2, hands.now(), 80, "");
    first.take().await;
    assert!(shown(&first.commit().await).is_empty(), "it is shown already");
    first.store.close().await;

    let mut again = room(&folder, &hands).await;
    assert!(shown(&again.commit().await).is_empty(), "the chart is not built yet");
    again.turn().await;
    assert!(again.judge.work.is_empty(), "nothing is stored for it");
    assert!(again.judge.work.has_news(), "and it waits for nothing else");
    assert_eq!(shown(&again.commit().await), [Some(Colour::Red)]);
}

#[tokio::test]
async fn what_came_late_is_shown_where_it_is_how_somebody_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let mut room = room(&folder, &Hands::at("2026-03-02T08:00:00Z")).await;
    room.comes(1);
    room.take().await;
    assert_eq!(shown(&room.commit().await), [None, Some(Colour::Green)]);

    room.hands.turn(DAY * 2);
    let measured_at = room.hands.now() - DAY - MINUTE * 60;
    room.comes_as(2, measured_at, 80, "");
    room.take().await;
    let work = room.commit().await;
    assert_eq!((changed(&work), shown(&work)), (vec![(Colour::Red, true)], vec![Some(Colour::Red)]));

    room.comes_as(3, measured_at - MINUTE * 60, 87, "");
    room.take().await;
    let work = room.commit().await;
    assert_eq!((changed(&work), shown(&work)), (vec![(Colour::Yellow, true)], vec![]), "that is of then");

    room.hands.turn(DAY * 2);
    room.comes_as(4, room.hands.now() - DAY - MINUTE * 60, 95, "");
    room.take().await;
    let work = room.commit().await;
    assert_eq!((changed(&work), shown(&work)), (vec![(Colour::Green, true)], vec![Some(Colour::Green)]));
}
