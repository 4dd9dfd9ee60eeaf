//! What nurses do to alerts.

use desk::{ActionRefused, ActionRequest};
use store::Journal;
use triage::{act, next_tick};

use super::{Judge, Watched};
use crate::pipeline::{charts::Step, work::refuse};

impl Judge {
    /// What a nurse asks for. Gives it back if the open batch takes nothing now.
    pub(super) async fn act(&mut self, request: ActionRequest) -> Option<ActionRequest> {
        if request.reply.is_closed() {
            return None;
        }
        if let Some(why) = self.health.why() {
            return refuse(request, ActionRefused::Store(why));
        }
        if self.directory.plan(&request.patient).is_none() {
            return refuse(request, ActionRefused::Unknown);
        }
        if let Err(damage) = self.need_chart(&request.patient).await {
            return refuse(request, ActionRefused::Store(damage.to_string()));
        }
        if self.room() == 0 {
            return Some(request);
        }
        self.act_now(request);
        None
    }

    fn act_now(&mut self, request: ActionRequest) {
        let at = self.stamp();
        let ActionRequest { alert, patient, seen_version, action, by, .. } = &request;
        let (alert, seen_version) = (*alert, *seen_version);
        let Some(Watched { chart, plan, .. }) = self.charts.get_mut(patient) else { return };
        let before = chart.open_alerts().find(|open| open.id == alert).map(|open| open.version);
        match act(chart, alert, seen_version, action, by, at) {
            Err(illegal) => {
                refuse(request, illegal.into());
            }
            Ok(change) if Some(change.alert.version) == before => {
                self.work.answer_unchanged(request.reply, change);
            }
            Ok(change) => {
                self.timers.set(patient, next_tick(chart, plan));
                if !change.alert.state.is_open() {
                    self.meanwhile(&request.patient, || Step::Closed(change.alert.clone()));
                }
                let ActionRequest { patient, action, by, reply, .. } = request;
                self.note(at, Some(by), Some(&patient), Journal::Acted { alert, seen_version, action });
                self.work.answer(reply, change);
            }
        }
    }
}
