//! A nurse's action on its way to the pipeline, which owns the charts, and the answer on its way back.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use triage::{Action, ActionError, AlertChange, AlertId};
use vitals::PatientId;

use crate::{app::App, clock, command};

/// How long a page waits for the pipeline's answer.
pub const ACTION_SECONDS_MAX: u64 = 10;

/// An action, handed to the pipeline (the one owner of charts), which decides with `triage`, commits, and replies.
#[derive(Debug)]
pub struct ActionRequest {
    /// On which alert.
    pub alert: AlertId,
    /// Whose it is.
    pub patient: PatientId,
    /// The alert's version that the person saw.
    pub seen_version: u32,
    /// What to do.
    pub action: Action,
    /// Who does it: the account's user name.
    pub by: String,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<AlertChange, ActionRefused>>,
}

/// Why an action was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ActionRefused {
    /// It is not legal now.
    #[error(transparent)]
    Illegal(#[from] ActionError),
    /// There is no such alert.
    #[error("no such alert is open")]
    Unknown,
    /// It could not be stored.
    #[error("could not be stored: {0}")]
    Store(String),
}

/// What a page asks for.
pub(crate) struct Wanted {
    pub alert: AlertId,
    pub patient: PatientId,
    pub seen_version: u32,
    pub action: Action,
    pub by: String,
    /// What colleagues call them: the person at home sees the first of it.
    pub name: String,
}

/// Has an action done, and tells the patient's kit that somebody has looked.
pub(crate) async fn act_on(app: &App, wanted: Wanted) -> Result<AlertChange, ActionRefused> {
    let (name, desk) = (wanted.name.clone(), &app.desk);
    let change = ask(&desk.actions, wanted).await?;
    let (alert, kits) = (&change.alert, desk.board.kits());
    let what = format!("{} {}", alert.id, alert.version);
    command::seen(&*desk.store, &kits, &alert.patient, &what, &name, clock::now()).await;
    Ok(change)
}

/// Hands an action to the pipeline and waits for its answer, both within [`ACTION_SECONDS_MAX`].
async fn ask(pipeline: &mpsc::Sender<ActionRequest>, wanted: Wanted) -> Result<AlertChange, ActionRefused> {
    let (reply, answer) = oneshot::channel();
    let Wanted { alert, patient, seen_version, action, by, .. } = wanted;
    let request = ActionRequest { alert, patient, seen_version, action, by, reply };
    let asked = async {
        pipeline.send(request).await.map_err(|_| ActionRefused::Store("the core has stopped".to_owned()))?;
        answer.await.map_err(|_| ActionRefused::Store("the core gave no answer".to_owned()))?
    };
    let late = || ActionRefused::Store(format!("the core did not answer within {ACTION_SECONDS_MAX} s"));
    tokio::time::timeout(Duration::from_secs(ACTION_SECONDS_MAX), asked).await.unwrap_or_else(|_| Err(late()))
}
