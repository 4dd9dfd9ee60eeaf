//! Every backend keeps every promise of the conformance suite.

use std::sync::Arc;

use store::{Sqlite, Store, conformance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let failed = conformance::run(|case| {
        let path = Arc::new(folder.path().join(format!("{}.db", case.name)));
        Box::new(move || {
            let path = path.clone();
            Box::pin(async move { Ok(Box::new(Sqlite::open(&path).await?) as Box<dyn Store>) })
        })
    })
    .await;
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = conformance::CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), conformance::CASES.len());
    assert!(names.len() >= 50);
}
