//! Versions of programmes, and what they would have raised.

use super::{
    Failure, Open, ensure, same,
    sample::{alert, at, closed, of},
};
use crate::{ProgrammeVersion, ShadowAlert, StoreError};

pub(super) fn version(id: &str, version: u32, text: &str) -> ProgrammeVersion {
    ProgrammeVersion {
        id: id.to_owned(),
        version,
        text: text.to_owned(),
        sha256: "a5".repeat(32),
        proposed_by: "ane".to_owned(),
        proposed_at: at(version.into()),
        note: "færre falske alarmer".to_owned(),
    }
}

pub(super) async fn a_version_is_never_edited(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let [two, one, clinic] = [version("copd", 2, "b"), version("copd", 1, "a"), version("clinic", 1, "c")];
    for put in [&two, &one, &clinic] {
        store.put_programme(put).await?;
    }
    let by_another = ProgrammeVersion { proposed_by: "bo".to_owned(), proposed_at: at(99), ..one.clone() };
    store.put_programme(&by_another).await?;
    match store.put_programme(&version("copd", 2, "b, but softer")).await {
        Err(StoreError::VersionTaken { programme, version }) => {
            same("named", (programme.as_str(), version), ("copd", 2))?
        }
        other => return Err(Failure(format!("another text of a version gave {other:?}"))),
    }
    drop(store);
    let store = open().await?;
    same("of one", store.programme_versions(Some("copd")).await?, vec![one.clone(), two.clone()])?;
    same("all", store.programme_versions(None).await?, vec![clinic, one, two])?;
    same("of none", store.programme_versions(Some("' OR 1=1 --")).await?, vec![])
}

fn shadow(version: u32, id: u128, raised: i64) -> ShadowAlert {
    let alert = alert(id, "p-1", "copd", raised);
    ShadowAlert { programme: "copd".to_owned(), version, patient: of("p-1"), raised_at: alert.raised_at, alert }
}

pub(super) async fn a_shadow_alert_has_its_latest_state(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let [one, two, other] = [shadow(4, 1, 10), shadow(4, 2, 20), shadow(5, 1, 10)];
    store.put_shadow(&[]).await?;
    store.put_shadow(&[two.clone(), one.clone(), other.clone()]).await?;
    let ended = ShadowAlert { alert: closed(&one.alert, 15), ..one.clone() };
    store.put_shadow(std::slice::from_ref(&ended)).await?;
    let found = async |version, since, until| store.shadow_alerts("copd", version, at(since), at(until)).await;
    same("in order", found(4, 0, 99).await?, vec![ended, two.clone()])?;
    same("from 11 on", found(4, 11, 99).await?, vec![two.clone()])?;
    same("before 20", found(4, 11, 20).await?, vec![])?;
    same("another version", found(5, 0, 99).await?, vec![other.clone()])?;
    same("not open alerts", store.open_alerts(None).await?, vec![])?;
    store.shadow_clear("copd", 4).await?;
    ensure(found(4, 0, 99).await?.is_empty(), "a cleared version still has alerts")?;
    same("others stay", found(5, 0, 99).await?, vec![other])
}
